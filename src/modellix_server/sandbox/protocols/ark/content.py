"""Reading a clip task: which of its modes the content items ask for, and the fields beside them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modellix_server.sandbox import directives, media, seeds
from modellix_server.sandbox.protocols.ark.rules import MOST_SEED, ArkFields, asked, invalid, link, missing
from modellix_server.sandbox.protocols.ark.table import ClipModel

FRAMES_PER_S = 24
RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
LONGEST_WAIT_S = 172_800
_CHOSEN_SECONDS = 5
"""The length that the model takes for -1 (its own choice)."""

_ROLES = {
    "image_url": ("first_frame", "last_frame", "reference_image"),
    "video_url": ("reference_video",),
    "audio_url": ("reference_audio",),
}


@dataclass(frozen=True, slots=True)
class ClipJob:
    """A clip task that keeps the rules."""

    model: str
    rules: ClipModel
    prompt: str
    media: dict[str, list[str]]
    """Role -> links or data URIs, not loaded yet."""
    draft_task: str
    """Id of the draft to finish; its prompt and pictures are then this task's."""
    resolution: str
    ratio: str
    frames: int
    by_frames: bool
    """Whether the length was given as a number of frames."""
    seed: int
    sound: bool
    draft: bool
    last_frame: bool
    tier: str
    wait_s: int
    asked: directives.Directives
    callback: str
    """The client's callback URL for every change; empty for none."""


@dataclass(slots=True)
class _Content:
    texts: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)
    media: dict[str, list[str]] = field(default_factory=dict)


def clip(body: dict[str, Any], name: str, rules: ClipModel, draft: Callable[[str], ClipJob]) -> ClipJob:
    """The job a body of the task endpoint asks for; `draft` finds an earlier draft. Raises Refusal."""
    fields = ArkFields(body)
    fields.take("model")
    content = _content(fields.take("content"))
    mode = _mode(content, rules)
    prompt, links = content.texts[0] if content.texts else "", content.media
    finished = content.drafts[0] if content.drafts else ""
    shape = "16:9" if mode == "text" else "adaptive"
    if finished:
        earlier = draft(finished)
        prompt, links, shape = earlier.prompt, earlier.media, earlier.ratio
    is_draft = rules.draft and fields.yes("draft")
    resolution = fields.text("resolution", words=tuple(rules.shapes), default="480p" if is_draft else rules.resolution)
    ratio = fields.text("ratio", words=RATIOS)
    frames, by_frames = _length(fields, rules)
    seed = fields.whole("seed", -1, MOST_SEED * 2 + 1, -1) if rules.seed else -1
    if seed < 0:
        seed = earlier.seed if finished else seeds.seed_for(None)
    still = rules.camera and fields.yes("camera_fixed")
    sound = rules.sound and fields.yes("generate_audio", default=True)
    tier = fields.text("service_tier", words=("default", "flex") if rules.flex else ("default",), default="default")
    wait_s = fields.whole("execution_expires_after", 3600, 259_200, LONGEST_WAIT_S)
    last_frame = fields.yes("return_last_frame")
    fields.yes("watermark")
    fields.tools(allowed=rules.search)
    if len(fields.text("safety_identifier")) > 64:
        raise invalid("safety_identifier", "at most 64 characters")
    callback = fields.text("callback_url")
    if callback and not media.is_link(callback):
        raise invalid("callback_url", "expected a URL")
    fields.end()
    if is_draft and (resolution != "480p" or tier == "flex" or last_frame):
        raise invalid("draft", "a draft is 480p, without flex and without a last frame")
    if mode == "references" and rules.camera:
        if resolution == "1080p" or ratio == "adaptive" or still:
            raise invalid("content", "reference images do not go with 1080p, adaptive ratio or a fixed camera")
        ratio = ratio or "16:9"
    # The oldest models know no adaptive clip from text; later ones choose the shape themselves.
    if mode == "text" and rules.frames and ratio == "adaptive":
        raise invalid("ratio", "adaptive needs an image")
    return ClipJob(
        name, rules, prompt, links, finished, resolution, ratio or shape,
        frames, by_frames, seed, sound, is_draft, last_frame, tier, wait_s, asked(prompt), callback,
    )  # fmt: skip


def _length(fields: ArkFields, rules: ClipModel) -> tuple[int, bool]:
    """Frames of the clip, and whether they were given as such: they then beat a duration."""
    low, high = rules.seconds
    seconds = fields.take("duration")
    if seconds is None or (seconds == -1 and rules.chooses):
        seconds = _CHOSEN_SECONDS
    if type(seconds) is not int or not low <= seconds <= high:
        raise invalid("duration", f"expected an integer between {low} and {high}")
    frames = fields.take("frames") if rules.frames else None
    if frames is None:
        return seconds * FRAMES_PER_S, False
    if type(frames) is not int or not 29 <= frames <= 289 or frames % 4 != 1:
        raise invalid("frames", "expected 25 + 4n between 29 and 289")
    return frames, True


def _content(items: object) -> _Content:
    if items is None or items == []:
        raise missing("content")
    if not isinstance(items, list):
        raise invalid("content", "expected a list")
    found = _Content()
    pictures = sum(isinstance(item, dict) and item.get("type") == "image_url" for item in items)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid(f"content[{index}]", "expected an object")
        _take(ArkFields(item, f"content[{index}]."), found, lone=pictures == 1)
    if len(found.texts) > 1 or len(found.drafts) > 1:
        raise invalid("content", "at most one text and one draft")
    return found


def _take(item: ArkFields, found: _Content, *, lone: bool) -> None:
    kind = item.text("type", words=("text", "draft_task", *_ROLES))
    if kind == "text":
        found.texts.append(item.text("text"))
    elif kind == "draft_task":
        part = item.part(kind)
        found.drafts.append(part.text("id"))
        part.end()
    elif kind in _ROLES:
        part = item.part(kind)
        role = item.text("role", words=_ROLES[kind], default="first_frame" if kind == "image_url" and lone else "")
        if not role:
            raise missing("content.role")
        found.media.setdefault(role, []).append(link(part.take("url"), "content"))
        part.end()
    else:
        raise missing("content.type")
    item.end()


def _mode(content: _Content, rules: ClipModel) -> str:
    """Text, first, last, references or draft; they exclude each other."""
    count = {role: len(links) for role, links in content.media.items()}
    references = tuple(count.get(f"reference_{kind}", 0) for kind in ("image", "video", "audio"))
    framed = count.get("first_frame", 0) + count.get("last_frame", 0)
    if content.drafts:
        if content.texts or count or not rules.draft:
            raise invalid("content", "draft_task stands alone, in models that make drafts")
        return "draft"
    if framed and any(references):
        raise invalid("content", "first/last frame content cannot be mixed with reference media content")
    if any(references):
        mode = "references"
        if any(number > most for number, most in zip(references, rules.references, strict=True)):
            raise invalid("content", f"at most {rules.references} reference images, videos and audios")
        if not references[0] and not references[1]:
            raise invalid("content", "audio needs an image or a video beside it")
    elif framed:
        mode = "last" if count.get("last_frame") else "first"
        if count.get("first_frame", 0) != 1 or count.get("last_frame", 0) > 1:
            raise invalid("content", "one first frame, and at most one last frame with it")
    else:
        mode = "text"
        if not any(content.texts):
            raise missing("content.text")
    if mode not in rules.modes:
        raise invalid("content", f"this model does not support the mode {mode}")
    return mode
