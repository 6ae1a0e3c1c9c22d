"""What the models take and refuse, and in which words."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modellix_server.base.errors import (
    InvalidFormat,
    InvalidParameters,
    MissingParameter,
    OutOfRange,
    PlatformError,
)
from modellix_server.catalogue import Catalogue, Model, form

CATALOGUE = Catalogue.load()
MODELS = list(CATALOGUE)
SLUGS = [model.slug for model in MODELS]
QWEN, EDIT, I2V = (
    CATALOGUE.models[f"alibaba/{name}"] for name in ("qwen-image-plus", "qwen-image-edit-plus", "wan2.2-i2v-flash")
)
T2I, T2V = CATALOGUE.models["alibaba/wan2.6-t2i"], CATALOGUE.models["alibaba/wan2.6-t2v"]
LINK = "https://example.com/a.png"
UNSEEN = "Invalid parameters: parameter 'prompt' must contain something that can be seen"

INPUTS = {
    "qwen-image-plus": "prompt negative_prompt size n seed prompt_extend",
    "wan2.6-t2i": "prompt negative_prompt size n seed prompt_extend",
    "qwen-image-edit-plus": "images prompt negative_prompt n size prompt_extend seed",
    "wan2.6-t2v": "prompt negative_prompt audio_url size duration prompt_extend shot_type seed",
    "wan2.2-i2v-flash": "img_url prompt negative_prompt resolution duration prompt_extend seed",
    "wan2.2-kf2v-flash": "first_frame_url last_frame_url prompt negative_prompt template resolution duration"
    " prompt_extend seed",
}
DEFAULTS = {
    "qwen-image-plus": {"size": "1328*1328", "n": 1, "prompt_extend": True},
    "wan2.6-t2i": {"size": "1280*1280", "n": 4, "prompt_extend": True},
    "qwen-image-edit-plus": {"n": 1, "prompt_extend": True},
    "wan2.6-t2v": {"size": "1920*1080", "duration": 5, "prompt_extend": False},
    "wan2.2-i2v-flash": {"resolution": "720P", "duration": 5, "prompt_extend": False, "seed": -1},
    "wan2.2-kf2v-flash": {"resolution": "720P", "duration": 5, "prompt_extend": True},
}


def least(model: Model) -> dict[str, object]:
    """The example without all that may be left out."""
    body = dict(model.example)
    for name in model.example:
        fewer = {key: value for key, value in body.items() if key != name}
        if outcome(model, fewer)[1] is None:
            body = fewer
    return body


def edges(said: dict) -> tuple[list, list]:
    """Values that must be taken and values one step outside, from a property of the published schema."""
    if "enum" in said:
        return list(said["enum"]), [said["enum"][0] + 1000] if said["type"] == "integer" else []
    if said["type"] in ("integer", "number"):
        return [said["minimum"], said["maximum"]], [said["minimum"] - 1, said["maximum"] + 1]
    if said["type"] == "string" and not {"pattern", "format"} & said.keys() and said["maxLength"] < 10_000:
        low, high = said.get("minLength", 0), said["maxLength"]
        return ["x" * low, "x" * high, "é" * high, "\U0001f600" * high], ["x" * (high + 1)] + [""] * (low > 0)
    return ([True, False], []) if said["type"] == "boolean" else ([], [])


@pytest.mark.parametrize("name", INPUTS)
def test_fields_and_defaults_are_those_of_the_facts(name: str) -> None:
    model = CATALOGUE.models[f"alibaba/{name}"]
    assert list(model.schema["properties"]) == INPUTS[model.id].split()
    assert model.check(least(model)) == least(model) | DEFAULTS[model.id]


@pytest.mark.parametrize("model", MODELS, ids=SLUGS)
def test_both_ends_are_in_and_one_step_further_is_out(model: Model) -> None:
    base = least(model)
    for name, said in model.schema["properties"].items():
        inside, outside = edges(said)
        for value in inside:
            params, error = outcome(model, base | {name: value})
            if error is None:
                assert params[name] == value
            else:  # fine by itself; a rule has something against it beside the rest
                assert type(error) is InvalidParameters
                assert "unknown parameter" not in error.message
                assert " got " not in error.message
        for value in outside:
            with pytest.raises(OutOfRange):
                model.check(base | {name: value})


@pytest.mark.parametrize("model", MODELS, ids=SLUGS)
def test_wrong_types_missing_and_unknown_fields(model: Model) -> None:
    base = least(model)
    for name, said in model.schema["properties"].items():
        for value in {"string": (1, {}), "integer": ("1", {}), "number": ("1", {}), "boolean": (1, {})}.get(
            said["type"], (LINK, 1)
        ):
            for wrong in (value, None) if name in model.schema["required"] else (value,):
                with pytest.raises(InvalidParameters, match=f"parameter '{name}' must be"):
                    model.check(base | {name: wrong})
    for name in model.schema["required"]:
        with pytest.raises(MissingParameter) as caught:
            model.check({key: value for key, value in base.items() if key != name} | {"zzz": 1})
        assert caught.value.message == f"Missing required parameter: parameter '{name}' is required"
    with pytest.raises(InvalidParameters) as caught:
        model.check(base | {"zzz": 1, "aaa": 1})
    assert caught.value.detail == f"unknown parameter 'aaa'; allowed: {', '.join(model.schema['properties'])}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("model", MODELS, ids=SLUGS)
@settings(deadline=None)
@given(data=st.data())
def test_no_json_breaks_the_checker(model: Model, data: st.DataObject) -> None:
    names, base = st.sampled_from([*model.schema["properties"], "zzz"]), least(model)
    body = data.draw(JSON | st.dictionaries(names, JSON, max_size=5).map(lambda more: base | more))
    params, error = outcome(model, body)
    if error is None:
        assert params.items() >= {key: value for key, value in body.items() if value is not None}.items()
        msgspec.json.encode(params)  # storable: no lone surrogate
        assert model.price.quote(params, None, live=False).amount_micros > 0
    else:
        assert error.status == 400
        assert error.message.isprintable()
        assert "does not fit the model's schema" not in error.message  # the last resort is never needed
        assert len(error.message) < 700


# Texts and links of every sort, in place of those of an example.
TEXTS = [
    *("", "a", "\0", "é", "a\n", "\ud800"),
    *(
        LINK,
        LINK + "\n",
        "http://a",
        "http://a.b:0/",
        "https://A/é",
        "https://a/" + "b" * 2030,
        "https://a/" + "b" * 2048,
    ),
    *("data:image/png;base64,QUJD", "QUJD" * 20, "file-" + "0" * 32, "sha256:" + "0" * 64),
]


@pytest.mark.parametrize("model", MODELS, ids=SLUGS)
def test_a_quick_look_says_what_the_second_one_would(model: Model, monkeypatch) -> None:
    bodies = [model.example]
    for name, value in model.example.items():
        if isinstance(value, str):
            bodies += [model.example | {name: text} for text in TEXTS]
        elif isinstance(value, list) and isinstance(value[0], str):
            bodies += [model.example | {name: [text, *value[1:]]} for text in TEXTS]
    quick = [said(model, body) for body in bodies]
    monkeypatch.setattr(model.checker, "_is_plain", lambda _: False)
    assert quick == [said(model, body) for body in bodies]


def said(model: Model, body: object) -> tuple[dict, str | None]:
    params, error = outcome(model, body)
    return params, error and error.message


def outcome(model: Model, body: object) -> tuple[dict, PlatformError | None]:
    try:
        return model.check(body), None
    except PlatformError as error:
        return {}, error


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        (QWEN, {"size": "1024"}, "Invalid format: parameter 'size' must be in format 'width*height', got '1024'"),
        (T2I, {"n": 9}, "Value out of range: parameter 'n' must be between 1 and 4, got 9"),
        (T2I, {"n": True}, "Invalid parameters: parameter 'n' must be an integer, got true"),
        (T2I, {"n": 4.5}, "Invalid parameters: parameter 'n' must be an integer, got 4.5"),
        (T2I, {"n": 9.0}, "Value out of range: parameter 'n' must be between 1 and 4, got 9"),
        (
            T2I,
            {"zzz": None},
            f"Invalid parameters: unknown parameter 'zzz'; allowed: {', '.join(T2I.schema['properties'])}",
        ),
        (QWEN, {"prompt": None}, "Invalid parameters: parameter 'prompt' must be a string, got null"),
        (QWEN, {"prompt": " \t\n"}, UNSEEN),
        (QWEN, {"prompt": "\u200b\u200d\ufeff"}, UNSEEN),
        (QWEN, {"prompt": "\u3000\u2800\u3164"}, UNSEEN),
        (QWEN, {"prompt": "\u00ad\u2060\U000e0020"}, UNSEEN),
        (
            EDIT,
            {"images": [f"https://a.example/{'b' * 2031}"]},
            "Invalid format: parameter 'images[0]' must be a link of at most 2048 characters, got 2049",
        ),
        (
            EDIT,
            {"images": ["https://me:secret@a.example/b.png"]},
            "Invalid format: parameter 'images[0]' must be a link without a user and a password",
        ),
        (
            EDIT,
            {"images": ["HTTP://me@a.example/b.png"]},
            "Invalid format: parameter 'images[0]' must be a link without a user and a password",
        ),
        (
            EDIT,
            {"images": ["https://a.example/b c.png"]},
            (
                "Invalid format: parameter 'images[0]' must be an http(s) URL without spaces or non-ASCII characters, a"
                " data URI, base64 or the id of an upload, got 'https://a.example/b c.png'"
            ),
        ),
        (T2I, {"n": 10**40}, f"Value out of range: parameter 'n' must be between 1 and 4, got {10**40}"),
        (T2I, {"n": 10**5000}, "Value out of range: parameter 'n' must be between 1 and 4, got a very large number"),
        (QWEN, {"n": 2}, "Value out of range: parameter 'n' must be 1, got 2"),
        (QWEN, {"prompt": ""}, "Value out of range: parameter 'prompt' must have between 1 and 800 characters, got 0"),
        (QWEN, {"prompt": "a\0b"}, "Invalid format: parameter 'prompt' must not contain NUL characters"),
        (QWEN, {"prompt": "a\ud800"}, "Invalid format: parameter 'prompt' must be valid Unicode"),
        (
            QWEN,
            {"size": "1*1"},
            (
                "Value out of range: parameter 'size' must be one of 1664*928, 1472*1140, 1328*1328,"
                " 1140*1472, 928*1664, got '1*1'"
            ),
        ),
        (
            QWEN,
            {"size": "x" * 500},
            "Invalid format: parameter 'size' must be in format 'width*height', got '" + "x" * 79 + "…'",
        ),
        (
            T2I,
            {"size": "767*768"},
            (
                "Value out of range: parameter 'size' must have an area between 768*768 and"
                " 1440*1440 pixels, got '767*768'"
            ),
        ),
        (
            T2I,
            {"size": "2001*500"},
            ("Value out of range: parameter 'size' must have a ratio between 1:4 and 4:1, got '2001*500'"),
        ),
        (
            EDIT,
            {"size": "511*2048"},
            ("Value out of range: parameter 'size' must have sides between 512 and 2048 pixels, got '511*2048'"),
        ),
        (EDIT, {"images": []}, "Value out of range: parameter 'images' must have between 1 and 3 items, got 0"),
        (
            EDIT,
            {"images": [LINK] * 500},
            ("Value out of range: parameter 'images' must have between 1 and 3 items, got 500"),
        ),
        (EDIT, {"images": [LINK, 7]}, "Invalid parameters: parameter 'images[1]' must be a string, got 7"),
        (
            EDIT,
            {"images": [LINK, "nope"]},
            (
                "Invalid format: parameter 'images[1]' must be an http(s) URL without spaces or non-ASCII"
                " characters, a data URI, base64 or the id of an upload, got 'nope'"
            ),
        ),
        (
            T2V,
            {"audio_url": "ftp://a/b"},
            (
                "Invalid format: parameter 'audio_url' must be an http(s) URL without spaces or non-ASCII"
                " characters, a data URI, base64 or the id of an upload, got 'ftp://a/b'"
            ),
        ),
        (
            T2V,
            {"shot_type": "multi"},
            ("Invalid parameters: parameter 'shot_type' can be 'multi' only when 'prompt_extend' is true"),
        ),
        (
            QWEN,
            {"a\nb": 1},
            (
                "Invalid parameters: unknown parameter 'a\ufffdb'; allowed: prompt, negative_prompt, size,"
                " n, seed, prompt_extend"
            ),
        ),
    ],
)
def test_the_words_of_a_refusal(model: Model, change: dict, message: str) -> None:
    with pytest.raises(PlatformError) as caught:
        model.check(least(model) | change)
    assert caught.value.message == message


def test_a_body_that_is_no_object() -> None:
    for body in (None, [], "x", 3, True):
        with pytest.raises(InvalidFormat, match="must be a JSON object"):
            QWEN.check(body)


def test_the_order_of_several_faults_is_fixed() -> None:
    with pytest.raises(MissingParameter):
        QWEN.check({"zzz": 1, "n": 9, "size": "x"})
    with pytest.raises(InvalidFormat, match="'size'"):  # size stands before n in the schema
        QWEN.check({"zzz": 1, "n": 9, "size": "x", "prompt": "x"})


@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_a_free_size_is_taken_exactly_within_its_limits(width: int, height: int) -> None:
    size = f"{width}*{height}"
    fits = 768 * 768 <= width * height <= 1440 * 1440 and max(width, height) <= 4 * min(width, height)
    assert taken(T2I, {"size": size}) == fits
    assert taken(EDIT, {"size": size}) == all(512 <= side <= 2048 for side in (width, height))


@pytest.mark.parametrize("size", ["768*768", "1440*1440", "2880*720", "720*2880"])
def test_the_corners_of_a_free_size(size: str) -> None:
    assert taken(T2I, {"size": size})


def taken(model: Model, change: dict) -> bool:
    try:
        model.check(least(model) | change)
    except OutOfRange:
        return False
    return True


BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNg+M/wHwAEAQH/"
SHAPES = {
    LINK: "url",
    "http://example.com": "url",
    "https://[2001:db8::1]:8443/a?b=%20#c": "url",
    f"data:image/png;base64,{BASE64}": "data",
    f"data:image/svg+xml;charset=utf-8;base64,{BASE64}": "data",
    BASE64: "base64",
    "sha256:" + "0a" * 32: "stored",
    "": None,
    "cat": None,
    "abcdabcd": None,
    "https://": None,
    "https:///a": None,
    "https://exa mple.com": None,
    "https://example.com/图.png": None,
    "https://example.com:99999/": None,
    "https://[::1/": None,
    "https://example.com/" + "a" * 2048: None,
    "HTTPS://example.com": "url",
    "https://me@example.com/": None,
    "https://me:secret@example.com/a.png": None,
    "javascript:alert(1)": None,
    "data:image/png,abc": "data",
    "data:image/png;base64": None,
    f'data:image/png;name="a,b.png";base64,{BASE64}': "data",
    f"\ufeffdata:image/png;base64,{BASE64}\u00a0": "data",
    "data:image/png;base64,a": None,
    "data:image/png;base64,ab=c": None,
    "data:image/png;base64,": None,
    f"data:image/png;base64,{BASE64}\n": "data",
    f"DATA:IMAGE/PNG;BASE64,{BASE64}": "data",
    f"data:;base64,{BASE64}": "data",
    f"data:image/png;base64,{BASE64.replace('+', '%2B').replace('/', '%2F')}": "data",
    f"{BASE64}\n": "base64",
    f"{BASE64[:76]}\r\n{BASE64[76:]}\r\n": "base64",
    BASE64.replace("+", "-").replace("/", "_"): "base64",
    f"{BASE64}AA": "base64",
    f"{BASE64}AA==": "base64",
    f"{BASE64}A": None,
    f"{BASE64}AA===": None,
    "a cat sits on a mat and looks at the moon above it": None,
    "sha256:" + "0A" * 32: None,
    "sha256:" + "0a" * 31: None,
}


@pytest.mark.parametrize(("text", "shape"), SHAPES.items())
def test_the_shapes_of_media(text: str, shape: str | None) -> None:
    assert form(text) == shape
    for model, change in ((I2V, {"img_url": text}), (EDIT, {"images": [text]}), (T2V, {"audio_url": text})):
        accepted = shape is not None  # what the vendor takes is no concern of the caller
        try:
            model.check(least(model) | change)
        except (InvalidFormat, OutOfRange):
            assert not accepted
        else:
            assert accepted
