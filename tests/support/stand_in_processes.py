"""Small programs in the place of `serve`, `work` and `sandbox`, and a supervisor that runs them.

Run as `python stand_in_processes.py ROLE …`. `stubborn` is a worker that ignores the request to stop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from modellix_server.base.process import die_with_parent


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def up(data: str, port: str, *roles: str) -> None:
    from modellix_server.cli.context import told_plainly
    from modellix_server.embedded.data_directory import DataDirectory
    from modellix_server.processes.banner import Welcome
    from modellix_server.processes.up import Child, Supervisor

    def children(data_directory: DataDirectory, sandbox_port: int) -> list[Child]:
        me = (sys.executable, __file__)
        parent = str(os.getpid())
        return [Child(role, (*me, role, parent, str(port)), stop_rank=int(role == "sandbox")) for role in roles]

    async def first_start(settings: object) -> Welcome:
        made = DataDirectory(data).root / "team"
        if made.exists():
            return Welcome(None, "http://here/sign-in/link/0")
        made.touch()
        return Welcome("mdlx-test-0", "http://here/sign-in/link/0")

    supervisor = Supervisor(
        DataDirectory(data), host="127.0.0.1", port=int(port), children=children, first_start=first_start
    )
    with told_plainly():
        asyncio.run(supervisor.run())


def main(role: str, *arguments: str) -> None:
    if role == "up":
        return up(*arguments)
    die_with_parent(int(arguments[0]))
    if role == "serve":
        HTTPServer(("127.0.0.1", int(arguments[1])), Ready).serve_forever()
    if role == "broken":
        sys.exit("no such table: shoes")
    if role == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if role in ("work", "stubborn"):
        subprocess.Popen([sys.executable, __file__, "helper", str(os.getpid())])
    while True:
        time.sleep(60)


main(*sys.argv[1:])
