"""Flags of a model, made from its JSON Schema."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from modellix.types import ModelDetails

_A_FILE = 1_000_000
"""A text that may be so long can be a file as base64."""
_LONGEST_PATH = 4096
_PATH = re.compile(r"[^:]*\.\w{2,5}")
"""What can only be meant for a file: links have a colon, base64 and ids have no dot."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One parameter on the command line."""

    name: str
    schema: Mapping[str, Any]
    required: bool

    @property
    def words(self) -> str:
        """How it is written."""
        flag = "--" + self.name.replace("_", "-")
        return f"{flag}/--no-{flag[2:]}" if self.kind == "boolean" else flag

    @property
    def kind(self) -> str:
        """JSON type of one value: of a list of simple values that of the values, each with a flag of its own."""
        return str(self._one.get("type", "object"))

    @property
    def many(self) -> bool:
        """Whether it is given several times."""
        return self._one is not self.schema

    @property
    def takes_file(self) -> bool:
        """Whether a value may be a file."""
        return bool(self._one.get("type") == "string" and self._one.get("maxLength", 0) >= _A_FILE)

    @property
    def values(self) -> str:
        """What it takes, in short."""
        one = self._one
        if choices := one.get("enum"):
            return " | ".join(map(str, choices))
        if "minimum" in one and "maximum" in one:
            least, most = one["minimum"], one["maximum"]
            return f"{least} to {most}" if least != most else f"{most} only"
        if self.takes_file:
            return "file, link or file id" + (", several times" if self.many else "")
        return {"object": "JSON", "array": "JSON", "boolean": "", "string": "text"}.get(self.kind, self.kind)

    @property
    def about(self) -> str:
        """What it does, its default with it."""
        told = str(self.schema.get("description", ""))
        if "default" not in self.schema:
            return told
        default = self.schema["default"]
        return f"{told} (default: {('off', 'on')[default] if isinstance(default, bool) else default})"

    @property
    def _one(self) -> Mapping[str, Any]:
        items: Mapping[str, Any] = self.schema.get("items") or {}
        return items if items.get("type") in ("string", "integer", "number") else self.schema

    def value(self, text: str) -> Any:
        """A value as typed. Raises UsageError."""
        try:
            match self.kind:
                case "integer":
                    return int(text)
                case "number":
                    return float(text)
                case "string":
                    return _file(text) if self.takes_file else text
                case _:
                    return json.loads(text)
        except ValueError:
            wanted = "JSON" if self.kind in ("object", "array") else f"a value of type {self.kind}"
            raise click.UsageError(f"{self.words} takes {wanted}, not {text!r}") from None


def of_model(model: ModelDetails) -> list[Flag]:
    """All flags of a model, those that it needs first."""
    needed = model.schema.get("required", ())
    flags = [Flag(name, said, name in needed) for name, said in model.schema["properties"].items()]
    return sorted(flags, key=lambda flag: not flag.required)


def parse(model: ModelDetails, words: Sequence[str]) -> dict[str, Any]:
    """The parameters of words such as `--prompt`, `A cat`. Files are paths. Raises UsageError.

    `--input` gives all of them as JSON: in a file, on standard input (`-`) or as it is; other flags go over it.
    """
    flags = {flag.words.partition("/")[0]: flag for flag in of_model(model)}
    given: dict[str, Any] = {}
    for word, text in _pairs(words, flags):
        if word == "--input":
            given |= _input(text or "")
            continue
        flag = flags.get(word) or flags.get("--" + word.removeprefix("--no-"))
        if flag is None or (word not in flags and flag.kind != "boolean"):
            raise click.UsageError(_unknown(word, flags, model.slug))
        if flag.kind == "boolean":
            given[flag.name] = word in flags if text is None else text.lower() in ("true", "yes", "1")
        elif text is None:
            raise click.UsageError(f"{word} needs a value: {flag.values}")
        elif flag.many:
            given[flag.name] = [*given.get(flag.name, ()), flag.value(text)]
        else:
            given[flag.name] = flag.value(text)
    missing = [flag.words for flag in flags.values() if flag.required and flag.name not in given]
    if missing:
        raise click.UsageError(f"{model.slug} needs {', '.join(missing)}: `modellix schema {model.slug}` has all flags")
    return given


def _pairs(words: Sequence[str], flags: Mapping[str, Flag]) -> Iterator[tuple[str, str | None]]:
    left = list(words)
    while left:
        word, equals, text = left.pop(0).partition("=")
        if not word.startswith("--"):
            raise click.UsageError(f"{word!r} belongs to no flag: put values with spaces in quotes")
        if equals:
            yield word, text
        elif word.startswith("--no-") or (word in flags and flags[word].kind == "boolean") or not left:
            yield word, None
        else:
            yield word, left.pop(0)


def _unknown(word: str, flags: Mapping[str, Flag], slug: str) -> str:
    close = difflib.get_close_matches(word, flags, 1)
    hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(flags)}"
    return f"{slug} takes no {word}: {hint}"


def _input(text: str) -> dict[str, Any]:
    try:
        if not text.lstrip().startswith("{"):
            text = sys.stdin.read() if text == "-" else Path(text).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--input takes JSON, a file of it, or -: {error}") from None
    if not isinstance(found, dict):
        raise click.UsageError("--input takes a JSON object: the parameters of the model")
    return found


def _file(text: str) -> str | Path | bytes:
    """A local file, or a text that names one elsewhere."""
    if text == "-":
        return sys.stdin.buffer.read()
    path = Path(text.removeprefix("@")).expanduser() if len(text) < _LONGEST_PATH else Path()
    if (text.startswith("@") or _PATH.fullmatch(text)) and not path.is_file():
        raise click.UsageError(f"there is no file {path}")
    return path if path.is_file() else text
