"""What `up` shows when everything runs: the address, a key, and lines to paste."""

import asyncio
import contextlib
import email
import email.policy
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from modellix_server.embedded.data_directory import DEFAULT, DataDirectory

_MODEL = "text-to-image/alibaba/qwen-image-plus"
_MAIL_EVERY_S = 0.5
_PROMPT = '{"prompt": "A cute cat playing in a garden"}'


class Welcome(NamedTuple):
    """What lets somebody in."""

    key: str | None
    """The new test key of a first start."""
    link: str
    """Signs the operator in at the console, once."""


class Terminal(Console):
    """Where `up` says what happens. It may go away before the platform does, as with `up | tee log`."""

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print one line, however wide: what is meant for pasting must not be broken up."""
        with contextlib.suppress(OSError):
            self.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Say nothing from now on; Rich would end the program."""
        self.quiet = True


def show(terminal: Terminal, data_directory: DataDirectory, origin: str, welcome: Welcome) -> None:
    """Print the banner."""
    key = welcome.key
    bearer = f'"Authorization: Bearer {key or "$MODELLIX_API_KEY"}"'
    line = terminal.say
    line()
    line(f"Modellix is up at {origin}   (data: {data_directory.root}, stop: Ctrl-C)", "bold green")
    line()
    line("Open the console in a browser (this link signs in once, within 15 minutes):")
    line(f"  {welcome.link}", "bold")
    line()
    if key:
        line(f"Test key of team default, shown only now: {key}", "bold")
    else:
        line("Make a test key and put it in MODELLIX_API_KEY:")
        line(f"  {_program()} admin key create --team default --test{_data_option(data_directory)}")
    line("Submit a task (test keys cost nothing and reach no vendor):")
    line(
        f"  curl -sS -X POST {origin}/api/v1/{_MODEL}/async -H {bearer} "
        f"-H 'Content-Type: application/json' -d {shlex.quote(_PROMPT)}"
    )
    line("Ask for its result, with the task_id of that answer:")
    line(f"  curl -sS {origin}/api/v1/tasks/TASK_ID -H {bearer}")
    line()


async def show_mail(terminal: Terminal, folder: Path) -> None:
    """Print, until cancelled, a line for each message that the worker writes into the folder, with its sign-in code."""
    seen = {path.name for path in folder.glob("*.eml")}
    while True:
        await asyncio.sleep(_MAIL_EVERY_S)
        found = {path.name: path for path in folder.glob("*.eml")}
        for name in sorted(found.keys() - seen):
            with contextlib.suppress(OSError, ValueError):
                message = email.message_from_bytes(found[name].read_bytes(), policy=email.policy.default)
                code = (
                    f"sign-in code {message['X-Modellix-Code']}" if message["X-Modellix-Code"] else message["Subject"]
                )
                told = f"Mail to {message['To']}: {code}   ({found[name]})"
                terminal.say("".join(one for one in told if one.isprintable()), "bold")
        seen = set(found)


def _program() -> str:
    program = Path(sys.executable).with_name("modellix-server")
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


def _data_option(data_directory: DataDirectory) -> str:
    return "" if data_directory.root == Path(DEFAULT).absolute() else f" --data {shlex.quote(str(data_directory.root))}"
