"""Common part of all emulators: result files, the bill, a page about the emulator."""

from html import escape

from modellix_server.sandbox import directives, wire
from modellix_server.sandbox.bill import Bill
from modellix_server.sandbox.spool import SandboxSpool


class Front:
    """An ASGI app around a vendor's: `/files/…`, `/_bill` and `/` are answered here."""

    def __init__(self, service: wire.App, spool: SandboxSpool, bill: Bill, title: str) -> None:
        self._service = service
        self._spool = spool
        self._bill = bill
        self._page = _page(title)

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request."""
        path = wire.path_in_app(scope)
        if path.startswith("/files/"):
            await self._spool.serve(path, scope, receive, send)
        elif path == "/_bill":
            await self._show_bill(scope, send)
        elif path in ("", "/"):
            await wire.answer(send, 200, self._page, b"text/html; charset=utf-8")
        else:
            await self._service(scope, receive, send)

    async def _show_bill(self, scope: wire.Scope, send: wire.Send) -> None:
        if scope["method"] == "DELETE":
            self._bill.reset()
        asked = wire.query(scope)
        await wire.answer_json(send, 200, self._bill.read(attempt=asked.get("attempt"), task=asked.get("task")))


def _page(title: str) -> bytes:
    rows = "".join(
        f"<tr><td><code>[sandbox:{name}{'' if spec.value == 'none' else '=' + spec.otherwise}]</code>"
        f"<td>{escape(spec.does)}"
        for name, spec in directives.KNOWN.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Sandbox</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "td{padding:.2rem 1rem .2rem 0;vertical-align:top}</style>"
        f"<h1>{escape(title)}</h1><p>An imitation for tests. Nothing is sent to the vendor and nothing costs money; "
        "any key works but <code>sk-invalid</code> and <code>invalid</code>.<p>What it received and charged: "
        '<a href="_bill"><code>_bill</code></a>, filtered by <code>?attempt=</code> (the <code>X-Request-Id</code> of '
        "the submission) or <code>?task=</code> (that id without its last number); <code>DELETE</code> empties it."
        "<p>Put these into a prompt to make it misbehave (the values shown are the ones used when none is given):"
        f"<table>{rows}</table></html>"
    ).encode()
