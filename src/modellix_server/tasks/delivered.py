"""What a vendor delivered, as the rows of a task and of its result keep it: never the bytes themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from modellix_server.catalogue import Measurement, MediaKind
from modellix_server.upstreams.contract import FileKind


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a stored result, as the client sees it. Pixels, bytes, milliseconds."""

    type: MediaKind
    format: str
    role: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None

    def public(self) -> dict[str, Any]:
        """The fields of the contract's `resources[]`, without the link."""
        seconds = None if self.duration_ms is None else self.duration_ms / 1000
        return {
            "type": self.type,
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "role": self.role,
            "size": self.size,
            "duration": seconds,
        }


class StoredResult(msgspec.Struct, frozen=True):
    """What a task delivered: the JSON in `results.result.resources`."""

    resources: tuple[StoredFile, ...]
    request_id: str | None = None
    data: dict[str, Any] = {}

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.resources)

    @property
    def counted(self) -> Measurement:
        """What we ourselves found in the files that are charged: another form of the same is not."""
        charged = [file for file in self.resources if file.role == "primary"]
        clips = [file.duration_ms for file in charged if file.type == "video"]
        return Measurement(
            images=sum(file.type == "image" for file in charged) or None,
            milliseconds=sum(clip or 0 for clip in clips) if clips else None,
        )

    def metadata(self) -> dict[str, Any]:
        """The contract's `result.metadata`."""
        counted = self.counted
        about: dict[str, Any] = {**self.data, "request_id": self.request_id}
        if counted.images is not None:
            about["image_count"] = counted.images
        if counted.milliseconds is not None:
            about["video_duration"] = counted.milliseconds / 1000
        return about


class VerdictFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a verdict: a link to it or, where the answer carried it, what we have stored already."""

    kind: FileKind
    url: str = ""
    role: str = "primary"
    stored: StoredFile | None = None


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The vendor's success: the JSON in `tasks.task.verdict`, from which the task goes on after a crash."""

    files: tuple[VerdictFile, ...]
    measured: Measurement
    request_id: str | None = None
    data: dict[str, Any] = {}
