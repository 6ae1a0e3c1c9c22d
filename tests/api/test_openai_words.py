"""Every model takes the words of OpenAI's API: what each becomes, and that the model accepts it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modellix_server.api.openai_api.names import ModelNames
from modellix_server.api.openai_api.words import Words, WordsEntry, size_of
from modellix_server.base.errors import InvalidFormat, InvalidParameters, MissingParameter, OutOfRange, PlatformError
from modellix_server.base.settings import BadSettings
from modellix_server.catalogue import Catalogue, Model

CATALOGUE = Catalogue.load()
NAMES = ModelNames(CATALOGUE, [])
SIZES = {
    "image": (None, "auto", "256x256", "1024x1024", "1536x1024", "1024x1536", "1792x1024", "1024x1792", "3840x2160"),
    "video": (None, "720x1280", "1280x720", "1024x1792", "1792x1024"),
}
PICTURE = "https://example.com/a.png"
WITHOUT_A_SIZE = {
    *("alibaba/aitryon", "alibaba/aitryon-parsing-v1", "alibaba/aitryon-plus", "alibaba/aitryon-refiner"),
    *("alibaba/image-out-painting", "alibaba/qwen-image-edit", "alibaba/qwen-mt-image", "alibaba/wordart-texture"),
    *("alibaba/wanx-background-generation-v2", "alibaba/wanx-style-repaint-v1", "alibaba/wanx2.1-imageedit"),
    *(
        "alibaba/wan2.2-animate-mix",
        "alibaba/wan2.2-animate-move",
        "minimax/minimax-s2v-01",
        "bytedance/seededit-3.0-i2i",
    ),
}
"""They follow the picture, or have one size."""
NEEDS = {
    "alibaba/aitryon-parsing-v1": {"clothes_type": ["upper"]},
    "alibaba/aitryon": {"top_garment_url": PICTURE},
    "alibaba/aitryon-plus": {"top_garment_url": PICTURE},
    "alibaba/aitryon-refiner": {"gender": "woman", "coarse_image_url": PICTURE, "top_garment_url": PICTURE},
    "alibaba/image-out-painting": {"x_scale": 1.5, "y_scale": 1.5},
    "alibaba/qwen-mt-image": {"source_lang": "zh", "target_lang": "en"},
    "alibaba/wanx-style-repaint-v1": {"style_index": 1},
    "alibaba/wordart-semantic": {"text": "A"},
    "alibaba/wordart-texture": {"text": {"text_content": "A"}},
    "alibaba/wan2.2-animate-mix": {"video_url": "https://example.com/a.mp4", "mode": "wan-std"},
    "alibaba/wan2.2-animate-move": {"video_url": "https://example.com/a.mp4", "mode": "wan-std"},
    "alibaba/wanx-background-generation-v2": {"prompt": "a lake"},
    "alibaba/wanx2.1-kf2v-plus": {"template": "solaron"},
    "minimax/hailuo-02-fl2v": {"last_frame_image": PICTURE},
    "alibaba/wan2.7-videoedit": {"video_url": "https://example.com/a.mp4"},
    "alibaba/happyhorse-1.0-video-edit": {"input_video_url": "https://example.com/a.mp4"},
    **{
        f"bytedance/seedance-2.0{kind}-v2v": {"video_urls": ["https://example.com/a.mp4"]}
        for kind in ("", "-fast", "-mini")
    },
}
"""What a model needs that OpenAI's API has no word for: a client sends it beside."""


def words(slug: str) -> Words:
    return NAMES.to_make(slug, CATALOGUE.models[slug].type.rpartition("-")[2], pictures=False)


def becomes(slug: str, wanted: int | None = None, pictures: int = 0, mask: str | None = None, **given: Any) -> Any:
    return words(slug).parameters(given, [PICTURE] * pictures, mask, pictures_wanted=wanted)


@pytest.mark.parametrize("model", list(CATALOGUE), ids=lambda model: model.slug)
def test_every_model_takes_every_usual_size_and_length(model: Model) -> None:
    kind = model.type.rpartition("-")[2]
    prompt = {"prompt": "a lake"} if "prompt" in model.schema["properties"] else {}
    pictures = 0 if model.type.startswith("text") else 1
    for size in SIZES[kind]:
        for seconds in (None, "4", "8", "12") if "duration" in model.schema["properties"] else (None,):
            given = {**prompt, **NEEDS.get(model.slug, {})}
            given |= {} if size is None else {"size": size}
            given |= {} if seconds is None else {"seconds": seconds}
            wanted = 1 if kind == "image" else None
            try:
                params = becomes(model.slug, wanted, pictures, **given)
            except InvalidParameters as error:
                if model.slug in WITHOUT_A_SIZE and "takes no size" in error.message:
                    continue
                raise
            checked = model.check(params)
            price = model.quote(checked, None, live=False)
            assert price.unit != "image" or price.units == 1 or model.type == "text-to-image", (size, params)


def test_what_words_become() -> None:
    assert becomes("alibaba/qwen-image", 1, prompt="a", size="1792x1024") == {"prompt": "a", "n": 1, "size": "1664*928"}
    assert becomes("bytedance/seedream-4.5-t2i", 1, size="1024x1024")["size"] == "1920x1920"
    assert becomes("bytedance/seedream-4.5-t2i", 1, size="4K")["size"] == "4K"
    assert becomes("alibaba/wan2.7-t2v", size="1024x1792") == {"ratio": "9:16", "resolution": "1080P"}
    assert becomes("alibaba/wan2.7-t2v", size="1280x720", resolution="1080P")["resolution"] == "1080P"
    assert becomes("minimax/hailuo-2.3-t2v", seconds="4") == {"duration": 6}
    assert becomes("minimax/hailuo-2.3-t2v", seconds=8) == {"duration": 6}
    assert becomes("minimax/hailuo-2.3-t2v", prompt="a", seconds="12", size="1024x1792") == {
        "prompt": "a", "duration": 10, "resolution": "768P",
    }  # fmt: skip
    assert becomes("alibaba/wan2.6-t2v", seconds="12") == {"duration": 12}
    assert becomes("openai/gpt-image-1.5", 1, quality="hd", background="auto") == {
        "quality": "high",
        "background": "auto",
    }
    assert becomes("openai/gpt-image-1.5", 1, quality="auto") == {}
    assert becomes("alibaba/qwen-image", 1, quality="standard", user="u", moderation="low") == {"n": 1}
    assert becomes("alibaba/wanx2.1-imageedit", 1, 1, "m") == {
        "n": 1, "base_image_url": PICTURE, "mask_image_url": "m", "function": "description_edit_with_mask",
    }  # fmt: skip
    assert becomes("alibaba/wanx2.1-imageedit", 1, 1, function="expand")["function"] == "expand"
    for spelt in ("1024X768", "1024 x 768", "1024\u00d7768", "1024*768"):
        assert becomes("alibaba/wan2.6-t2i", 1, size=spelt) == {"n": 1, "size": "1024*768"}
    assert becomes("alibaba/qwen-image", 1, size="16:9") == {"n": 1, "size": "1664*928"}
    assert becomes("alibaba/qwen-image", 1, aspect_ratio="9:16") == {"n": 1, "size": "928*1664"}
    assert becomes("openai/gpt-image-2", 1, aspect_ratio="16:9") == {"size": "2048x1152"}
    assert becomes("bytedance/seedance-2.0-t2v", aspect_ratio="3:4", resolution="480p") == {
        "ratio": "3:4", "resolution": "480p",
    }  # fmt: skip
    assert becomes("minimax/minimax-image-01-t2i", 1, aspect_ratio="21:9")["aspect_ratio"] == "21:9"  # its own
    frames = becomes("bytedance/seedance-2.0-i2v", pictures=3)
    assert frames == {"first_frame_image": PICTURE, "last_frame_image": PICTURE, "reference_images": [PICTURE]}


def test_the_format_that_a_model_delivers_anyway_is_no_wish() -> None:
    for slug, name in (("alibaba/qwen-image", "png"), ("bytedance/seedream-4.0-t2i", "jpg")):
        assert becomes(slug, output_format=name) == {}
        with pytest.raises(InvalidParameters, match=r"delivers (png|jpeg): leave parameter 'output_format' out"):
            becomes(slug, output_format="webp")
    assert becomes("bytedance/seedream-5.0-lite", output_format="jpg") == {"output_format": "jpeg"}
    with pytest.raises(InvalidParameters, match="leaves no choice there"):  # not known of this one
        becomes("minimax/minimax-image-01-t2i", output_format="jpeg")


def test_texts_of_forms_become_what_the_schema_wants() -> None:
    given = {"seed": "7", "prompt_extend": "false", "images": "x"}
    assert becomes("alibaba/qwen-image-edit-plus", 1, 2, **given) == {
        "n": 1, "images": ["x"], "seed": 7, "prompt_extend": False,
    }  # fmt: skip
    assert becomes("alibaba/qwen-image", 1, seed="seven") == {"n": 1, "seed": "seven"}  # which the model refuses


@pytest.mark.parametrize(
    ("slug", "given", "said"),
    [
        ("alibaba/qwen-image", {"size": "huge"}, "parameter 'size' must be"),
        ("alibaba/qwen-image-edit", {"size": "1024x1024"}, "takes no size"),
        ("alibaba/qwen-image", {"quality": "high"}, "one quality only"),
        ("alibaba/qwen-image", {"seconds": "4"}, "takes no length"),
        ("alibaba/wan2.6-t2v", {"seconds": "long"}, "whole number"),
        ("alibaba/aitryon", {"prompt": "a"}, "takes no prompt"),
        ("alibaba/qwen-image-edit", {"aspect_ratio": "1:1"}, "leave parameter 'aspect_ratio' out"),
        ("alibaba/qwen-image", {"aspect_ratio": "wide"}, "must be in format"),
    ],
)
def test_what_a_model_has_no_word_for_is_refused(slug: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(PlatformError, match=said):
        CATALOGUE.models[slug].check({"prompt": "a", **becomes(slug, **given)})


def test_too_many_pictures_and_a_mask_without_a_place() -> None:
    with pytest.raises(OutOfRange, match="at most 3 pictures, got 4"):
        becomes("alibaba/qwen-image-edit", 1, 4)
    with pytest.raises(InvalidParameters, match="takes no mask"):
        becomes("alibaba/qwen-image-edit", 1, 1, "m")
    with pytest.raises(OutOfRange, match="one picture at a time"):
        becomes("openai/gpt-image-1.5", 2)


def test_families() -> None:
    def used(name: str, kind: str) -> str:
        return NAMES.to_make(name, kind, pictures=True).model.slug

    assert used("gpt-image-2", "image") == "openai/gpt-image-2-edit"
    assert used("seedream-4.0-t2i", "image") == "bytedance/seedream-4.0-i2i"
    assert used("alibaba/qwen-image-plus", "image") == "alibaba/qwen-image-edit-plus"
    assert used("bytedance/seedream-4.0-t2i", "image") == "bytedance/seedream-4.0-i2i"
    assert used("minimax/minimax-t2v-01", "video") == "minimax/minimax-i2v-01"
    assert used("alibaba/wan2.2-t2v-plus", "video") == "alibaba/wan2.2-i2v-plus"
    assert NAMES.to_remix(None, "bytedance/seedance-2.0-t2v").model.id == "seedance-2.0-v2v"
    assert NAMES.to_remix("wan2.7-videoedit", "bytedance/seedance-2.0-t2v").model.id == "wan2.7-videoedit"
    with pytest.raises(MissingParameter, match="a model that changes videos"):
        NAMES.to_remix(None, None)
    with pytest.raises(InvalidParameters, match="no sibling"):
        used("alibaba/z-image-turbo", "image")
    with pytest.raises(InvalidParameters, match="makes no videos"):
        NAMES.to_make("alibaba/qwen-image", "video", pictures=False)
    with pytest.raises(MissingParameter):
        NAMES.to_make(None, "video", pictures=False)  # sora-2, which the operator has not named here


def test_a_table_or_a_name_that_leads_nowhere_stops_the_start() -> None:
    with pytest.raises(BadSettings, match="there is no model 'alibaba/none'"):
        ModelNames(CATALOGUE, ["sora-2=alibaba/none"])
    with pytest.raises(ValueError, match="has no parameter 'nothing'"):
        Words(CATALOGUE.models["alibaba/qwen-image"], WordsEntry(given={"nothing": 1}))
    mapped = ModelNames(CATALOGUE, ["sora-2 = minimax/hailuo-2.3-t2v"])
    assert mapped.to_make(None, "video", pictures=False).model.slug == "minimax/hailuo-2.3-t2v"


def test_the_size_that_parameters_ask_for() -> None:
    assert size_of({"size": "1280*720"}) == "1280x720"
    assert size_of({"resolution": "1080P", "ratio": "9:16"}) == "1080x1920"
    assert size_of({"resolution": "4k", "ratio": "1:1"}) == "2160x2160"
    assert size_of({"resolution": "768P"}) is None
    assert json.dumps(size_of({})) == "null"


def test_a_size_in_the_wrong_form_for_a_model_without_sizes() -> None:
    with pytest.raises(InvalidFormat):
        becomes("alibaba/qwen-image-edit", size="1328*")
