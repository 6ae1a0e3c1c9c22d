"""Exit codes: what a script can tell from how a command ended."""

from __future__ import annotations

from enum import IntEnum

from modellix import errors


class ExitCode(IntEnum):
    """The table in the documentation is this one."""

    DONE = 0
    FAULT = 1
    """Something that is in no other row: a file that cannot be written, an answer that is not Modellix'."""
    WRONG = 2
    """The command or the request is wrong, or what it names does not exist."""
    NO_KEY = 3
    """No key, or one that is refused or may not do this."""
    NO_MONEY = 4
    """Balance, budget or `--max-cost` do not allow it."""
    FAILED = 5
    """The task has failed, or was canceled; in a batch, at least one."""
    BUSY = 6
    """The platform is busy or cannot be reached: the same command may succeed later."""
    TIMED_OUT = 124
    """The task has not ended in time. It goes on."""
    INTERRUPTED = 130
    """Ctrl-C. A task that was submitted goes on."""


_CODES: tuple[tuple[type[errors.ModellixError], ExitCode], ...] = (
    (errors.NotConfigured, ExitCode.NO_KEY),
    (errors.AuthenticationFailed, ExitCode.NO_KEY),
    (errors.PermissionDenied, ExitCode.NO_KEY),
    (errors.InsufficientBalance, ExitCode.NO_MONEY),
    (errors.TaskFailed, ExitCode.FAILED),
    (errors.RateLimited, ExitCode.BUSY),
    (errors.ServerError, ExitCode.BUSY),
    (errors.ConnectionFailed, ExitCode.BUSY),
    (errors.TimedOut, ExitCode.TIMED_OUT),
    (errors.ApiError, ExitCode.WRONG),
)


class TooExpensive(errors.ModellixError):
    """The quote is above `--max-cost`; nothing was submitted."""


class NotEnded(errors.ModellixError):
    """What was asked for is there when the task has ended."""


def code_of(error: errors.ModellixError) -> ExitCode:
    """How a command ends with this error."""
    if isinstance(error, TooExpensive):
        return ExitCode.NO_MONEY
    if isinstance(error, NotEnded):
        return ExitCode.WRONG
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAULT)
