"""Clips that come as inputs: checked, and single frames taken from them. Runs in a render process."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pymediainfo import MediaInfo

from modellix_server.sandbox.rendering import ffmpeg
from modellix_server.sandbox.rendering.paint import UnusableMedia

_CONTAINERS = {"MPEG-4": "mov", "QuickTime": "mov", "AVI": "avi"}
_SHORTEST_S = 0.045


@dataclass(frozen=True, slots=True)
class Take:
    """An input clip and the limits it must keep."""

    data: bytes
    most_bytes: int
    sides: tuple[int, int] = (1, 16_384)
    seconds: tuple[float, float] = (0, 3600)


@dataclass(frozen=True, slots=True)
class Footage:
    """A clip that keeps its limits, as a file."""

    path: Path
    container: str
    size: tuple[int, int]
    seconds: float
    sound: bool

    @property
    def source(self) -> list[str]:
        """Options for ffmpeg to read it; its container is named, so that nothing is guessed."""
        return ["-f", self.container, "-i", str(self.path)]


def undecodable() -> UnusableMedia:
    """The error for a video that ffmpeg cannot read."""
    return UnusableMedia("clip", "The video could not be decoded.")


def is_clip(data: bytes) -> bool:
    """By its first bytes: MP4, MOV or AVI, which is what vendors take."""
    return data[4:8] in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip", b"uuid") or (
        data[:4] == b"RIFF" and data[8:12] == b"AVI "
    )


def develop(take: Take, path: Path) -> Footage:
    """Write the video to `path` and check it. Raises BadMedia."""
    if len(take.data) > take.most_bytes:
        raise UnusableMedia("size", f"The video file must not be larger than {take.most_bytes // 1024**2} MB.")
    if not is_clip(take.data):
        raise UnusableMedia("clip", "The video must be MP4, MOV or AVI.")
    path.write_bytes(take.data)
    tracks = {track.track_type: track for track in MediaInfo.parse(str(path)).tracks}
    video, container = tracks.get("Video"), _CONTAINERS.get(tracks["General"].format)
    if video is None or container is None or not (video.width and video.height and tracks["General"].duration):
        raise undecodable()
    width, height = int(video.width), int(video.height)
    if abs(float(video.rotation or 0)) % 180 == 90:
        width, height = height, width
    seconds = float(tracks["General"].duration) / 1000
    low, high = take.sides
    if min(width, height) < low or max(width, height) > high:
        raise UnusableMedia("resolution", f"The video's sides must be between {low} and {high} pixels.")
    if not take.seconds[0] - 0.05 <= seconds <= take.seconds[1] + 0.05:
        raise UnusableMedia(
            "duration", f"The video must be between {take.seconds[0]:g} and {take.seconds[1]:g} seconds."
        )
    return Footage(path, container, (width, height), seconds, "Audio" in tracks)


def frame(footage: Footage, at_s: float) -> Image.Image:
    """The picture shown at a moment. Raises BadMedia."""
    still = footage.path.with_name(footage.path.name + ".png")
    moment = max(0.0, min(at_s, footage.seconds - _SHORTEST_S))
    shape = ["-frames:v", "1", "-update", "1", "-threads", "1", "-y", str(still)]
    for start_s in (moment, moment - 0.1, moment - 0.5, 0.0):  # the last frame may be well before the end
        try:
            ffmpeg.run(["-ss", f"{max(0.0, start_s):.3f}", *footage.source, *shape])
        except ffmpeg.FfmpegFailed as error:
            raise undecodable() from error
        if still.exists():
            with Image.open(still) as picture:
                return picture.convert("RGB")
    raise UnusableMedia("clip", "The video has no pictures.")
