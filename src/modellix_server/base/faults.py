"""Named points at which a test may kill the process, to prove that a crash there is safe.

A point costs one comparison unless the fault suite names it: in `MODELLIX_KILL_AT` the process dies there, in
`MODELLIX_HOLD_AT` every caller waits there forever and reports it on standard error. So the suite can bring many tasks
to one point before it kills the process.
"""

import asyncio
import os
import signal

HELD = "held at"

_KILL = os.environ.get("MODELLIX_KILL_AT", "")
_HOLD = os.environ.get("MODELLIX_HOLD_AT", "")


async def point(name: str) -> None:
    """Die by SIGKILL here when this point is armed, or wait here for the end of the process."""
    if name == _KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == _HOLD:
        os.write(2, f"{HELD} {name}\n".encode())
        await asyncio.Event().wait()
