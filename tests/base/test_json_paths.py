"""One walk for all who look for texts in a body."""

from __future__ import annotations

from modellix_server.base.json_paths import Found, find, replace

BODY = {
    "image": "a",
    "images": ["b", 7, None, "c"],
    "cast": [{"face": "d"}, "e", {"face": ["f", {"face": "g"}]}, {}],
    "edge": {"front": {"face": "h"}, "back": ["i"]},
    "deep": [["j"]],
}
PLACES = (
    "image",
    "images",
    "cast.face",
    "edge.front.face",
    "edge.back",
    "edge.front",
    "deep",
    "none.at.all",
    "image.x",
)


def test_texts_are_found_where_they_stand() -> None:
    assert [(one.where, one.text) for one in find(BODY, PLACES)] == [
        ("image", "a"),
        ("images[0]", "b"),
        ("images[3]", "c"),
        ("cast[0].face", "d"),
        ("cast[2].face[0]", "f"),
        ("edge.front.face", "h"),
        ("edge.back[0]", "i"),
    ]
    assert find(BODY, ["images"])[1] == Found("images", "images[3]", "c")


def test_texts_are_replaced_and_the_callers_stay() -> None:
    changed = replace(BODY, ("images", "cast.face", "edge.front.face"), lambda one: one.text.upper())
    assert changed == {
        **BODY,
        "images": ["B", 7, None, "C"],
        "cast": [{"face": "D"}, "e", {"face": ["F", {"face": "g"}]}, {}],
        "edge": {"front": {"face": "H"}, "back": ["i"]},
    }
    assert BODY["images"] == ["b", 7, None, "c"]
    assert BODY["cast"][0] == {"face": "d"}


def test_depth_is_that_of_the_place_and_not_of_the_body() -> None:
    nested: object = "x"
    for _ in range(100_000):
        nested = [nested]
    assert find({"image": nested}, ["image"]) == []
