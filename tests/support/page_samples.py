"""Samples of documentation pages, run as a reader would: in their order, with what the answers before them said."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.javascript import NODE

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OPEN = re.compile(r"export (\w+)=(?:[a-z]+[-_]|http)…\n")
_COMMAND = re.compile(r"^(?:curl|modellix (?!login|logout)) ?", re.MULTILINE)
_FIELDS = {"TASK": "task_id", "FILE": "file_id", "HOOK": "id"}
_COMMANDS = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@dataclass
class Sample:
    """One block of code that runs by itself: `sh`, `python` or `javascript`."""

    language: str
    text: str


def samples_of(page: str) -> list[Sample]:
    """Those of a page that talk to a platform; the others show a form, or are commands of an operator."""
    found = [Sample(language, text) for language, text in _FENCE.findall(page)]
    return [one for one in found if one.language in ("python", "javascript") or _is_for_clients(one)]


def _is_for_clients(one: Sample) -> bool:
    return one.language == "sh" and bool(_COMMAND.search(one.text) or _OPEN.fullmatch(one.text))


@dataclass
class Reader:
    """Somebody who follows a page."""

    folder: Path
    env: dict[str, str]
    answers: list[Any] = field(default_factory=list)
    """JSON that samples printed, in order."""
    printed: str = ""
    """What the last sample wrote."""
    ran: list[str] = field(default_factory=list)
    """The languages of the samples that ran."""

    async def follow(self, page: str) -> None:
        """Run every sample of a page. AssertionError names the one that failed."""
        for one in samples_of(page):
            if opened := _OPEN.fullmatch(one.text):
                self.env[opened[1]] = self._said(opened[1])
            else:
                await self.run(one)

    async def run(self, one: Sample) -> None:
        """Run one sample to its end."""
        file = self.folder / f"sample.{'mjs' if one.language == 'javascript' else one.language}"
        text = one.text.replace("https://modellix.example.com", self.env["ORIGIN"]).replace("mdlx-…", self.env["KEY"])
        file.write_text(text.replace("curl -sS", "curl -sS -w '\\n'"), encoding="utf-8")
        programs: Mapping[str, list[str]] = {
            "sh": ["sh", "-eu"],
            "python": [sys.executable],
            "javascript": [NODE],
        }
        process = await asyncio.create_subprocess_exec(
            *programs[one.language], str(file), cwd=self.folder, env=os.environ | _COMMANDS | self.env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complained = await asyncio.wait_for(process.communicate(), 240)
        self.printed = said.decode(errors="replace")
        assert process.returncode == 0, f"{one.text}\n{self.printed}\n{complained.decode(errors='replace')}"
        for answer in _json_of(self.printed):
            assert answer.get("code", 0) == 0, f"{one.text}\n{answer}"
            self.answers.append(answer)
            if str((answer.get("data") or {}).get("id", "")).startswith("we_"):
                self.env["ENDPOINT"] = answer["data"]["id"]
        self.ran.append(one.language)

    def _said(self, name: str) -> str:
        """What an answer before had for an open variable."""
        for answer in reversed(self.answers):
            data = answer.get("data") or {}
            if name == "URL" and data.get("result"):
                return str(data["result"]["resources"][0]["url"])
            if name in _FIELDS and _FIELDS[name] in data:
                return str(data[_FIELDS[name]])
        raise AssertionError(f"no answer before had a {name}")


def _json_of(said: str) -> Iterator[dict[str, Any]]:
    for line in said.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
