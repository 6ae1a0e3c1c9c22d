"""Pictures of the command line, from a real terminal: `python -m tests.clients.cli_screens` writes docs/images/cli.

A platform is started, and the commands run in a pseudo-terminal.
"""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

from rich.console import Console
from rich.text import Text
from tests.support.platform_processes import open_platform
from tests.support.postgres_server import open_server

OUT = Path(__file__).parents[2] / "docs/images/cli"
COLUMNS = 110
MODEL = "alibaba/qwen-image-plus"
_STEP = re.compile(r"\x1b\[[\d;]*m|\x1b\[\??\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+")


def shown(text: str) -> str:
    """What a terminal shows that understands what progress lines need: up, erase. Colours stay as they are."""
    lines, row = [""], 0
    for part in _STEP.findall(text.replace("\r\n", "\n")):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part[0] == "\x1b" and part[-1] == "A":
            row = max(0, row - int(part[2:-1] or 1))
        elif part[0] == "\x1b" and part[-1] == "K":
            lines[row] = ""
        elif part[0] != "\r" and (part[0] != "\x1b" or part[-1] == "m"):
            lines[row] += part
    return "\n".join(lines).rstrip("\n")


def run(command: str, env: dict[str, str], folder: Path, until: Callable[[str], bool] | None = None) -> str:
    """What the screen shows at the end of a command, or as soon as it shows something."""
    main, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    env = os.environ | env | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": str(COLUMNS)}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    process = subprocess.Popen(
        ["sh", "-c", command], env=env, cwd=folder, stdin=child, stdout=child, stderr=child, start_new_session=True
    )
    os.close(child)
    text = b""
    while True:
        if not select.select([main], [], [], 60)[0]:
            raise TimeoutError(text)
        try:
            seen = os.read(main, 1 << 16)
        except OSError:
            break
        if not seen:
            break
        text += seen
        if until and until(shown(text.decode("utf-8", "ignore"))):
            break
    process.terminate()
    process.wait()
    os.close(main)
    return f"\x1b[1m$ {command}\x1b[0m\n{shown(text.decode())}\n"


def draw(name: str, *screens: str) -> None:
    """Write an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for screen in screens:
        console.print(Text.from_ansi(screen), overflow="fold")
    console.save_svg(str(OUT / f"{name}.svg"), title="modellix")


async def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_server() as server, open_platform(server, folder) as platform:
            team = await platform.team(concurrency=1)
            env = {"MODELLIX_BASE_URL": platform.origin, "MODELLIX_API_KEY": team.text}
            show = lambda command, until=None: asyncio.to_thread(run, command, env, folder, until)  # noqa: E731
            picture = await show(f'modellix run {MODEL} --prompt "A cat in a garden" --size 1664*928 -o pictures/')
            draw("run", picture)
            await show(f"modellix run {MODEL} --prompt '[sandbox:slow=20]' --no-wait")
            ahead = await show(
                f'modellix run {MODEL} --prompt "A dog" -o pictures/',
                lambda text: "position 1" in text and "0:00:02" in text,
            )
            draw("progress", ahead)
            draw("models", await show("modellix models qwen"), await show(f"modellix schema {MODEL}"))
            draw(
                "errors",
                await show(f'modellix run {MODEL} --prompt "A cat" --sice 1*1'),
                await show(f'modellix run {MODEL} --prompt "A cat" --size 1*1'),
                await show(f'modellix run {MODEL} --prompt "A cat" --max-cost 0.01; echo "exit code $?"'),
                await show("MODELLIX_API_KEY=mdlx-unknown modellix balance"),
            )
            for task in (await team.get("/api/v1/tasks?status=pending")).data["tasks"]:
                await team.post(f"/api/v1/tasks/{task['task_id']}/cancel")
            draw(
                "account",
                await show("modellix tasks"),
                await show("modellix keys"),
                await show("modellix usage --by model"),
            )


if __name__ == "__main__":
    asyncio.run(main())
