"""Delivery: a worker leases due messages, sends each signed over its exact bytes, and records the outcome.

At least once: a crash between the receiver's 2xx and its record causes a second delivery, under the same id. No
transaction is open during a call, and a slow receiver does not delay the others (`rules.Lanes`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from modellix_server.base import faults, log, tracing
from modellix_server.base.batcher import Batcher
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.base.envelope import Keyring
from modellix_server.base.ids import task_name
from modellix_server.base.metrics import Counter
from modellix_server.base.notify import Follower
from modellix_server.base.outbound import AnswerLost, Blocked, NotSent, Outbound
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks import endpoints, messages, rules, signing
from modellix_server.webhooks.messages import Message, Report
from modellix_server.webhooks.rules import Lanes, Outcome

TIMEOUT_S = 20.0
_IDLE_S = 1.0
_GAP_S = 0.02
_DRAIN_S = 5.0
_REPORT_TRIES = 5
_LOG = log.get("webhooks")
_DELIVERIES = Counter("modellix_webhook_deliveries_total", "Tries to deliver, by what was answered.", ("outcome",))

Render = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, bytes]]]
"""The bodies of ended tasks; a missing task no longer has a row."""
Tell = Callable[[str, str], Awaitable[None]]
"""Adds a review entry: a reason and details."""


class Deliverer(Follower):
    """Delivery in one worker process. A notice is a hint that something is due; it is looked for regularly too."""

    channel = "modellix_webhooks"

    def __init__(
        self, db: Pool, keys: Keyring, outbound: Outbound, render: Render, tell: Tell, *, lease_s: float
    ) -> None:
        self._db = db
        self._keys = keys
        self._outbound = outbound
        self._render = render
        self._tell = tell
        self._lease_s = TIMEOUT_S + lease_s
        self._lanes = Lanes(time.monotonic)
        self._hint = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()
        self._report: Batcher[Report, None] = Batcher(self._write, flushers=2, most=200)

    def following(self) -> None:
        """Look for messages that became due before the connection."""
        self._hint.set()

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which message makes no difference
        """Something is due."""
        self._hint.set()

    async def run(self) -> None:
        """Deliver until cancelled; messages in flight are then given a moment to finish."""
        try:
            while True:
                self._hint.clear()
                try:
                    started = await self._start_some()
                except Exception:  # noqa: BLE001 - whatever it was, the next time may go well
                    _LOG.exception("delivering met trouble")
                    started = False
                if not started:
                    try:
                        async with asyncio.timeout(_IDLE_S):
                            await self._hint.wait()
                    except TimeoutError:
                        pass
                await asyncio.sleep(_GAP_S)
        finally:
            if self._flying:
                _, late = await asyncio.wait(self._flying, timeout=_DRAIN_S)
                for task in late:
                    task.cancel()

    async def _start_some(self) -> bool:
        """Send due messages within the limits; whether there were any."""
        if self._lanes.left <= 0:
            return False
        lanes = self._lanes
        try:
            leased = await messages.lease(
                self._db, lanes.rooms(), lanes.usual_room, lanes.full_teams(), lanes.left, self._lease_s
            )
            if not leased:
                return False
            bodies = await self._bodies(leased)
            signing_secrets = await endpoints.signing_secrets(
                self._db,
                self._keys,
                [message.endpoint_id for message in leased if message.endpoint_id],
                {TeamMode(message.team_id, message.live) for message in leased if not message.endpoint_id},
            )
        except DATABASE_ERRORS as error:  # messages leased meanwhile are due again when the lease ends
            _LOG.warning("cannot deliver", error=type(error).__name__)
            return False
        for message in leased:
            owner = message.endpoint_id or TeamMode(message.team_id, message.live)
            sending = self._deliver(message, bodies.get(message.id), signing_secrets.get(owner, []))
            lanes.started(message.lane, message.team_id)
            task = asyncio.create_task(sending)
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
        return True

    async def _bodies(self, leased: list[Message]) -> dict[UUID, str]:
        fresh = {message.id: message.task_id for message in leased if message.payload is None and message.task_id}
        rendered = await self._render(list(fresh.values())) if fresh else {}
        found = {message.id: message.payload for message in leased if message.payload is not None}
        found |= {message_id: rendered[task].decode() for message_id, task in fresh.items() if task in rendered}
        return found

    async def _deliver(self, message: Message, body: str | None, signing_secrets: list[str]) -> None:
        log.bind(**{"task": str(message.task_id)} if message.task_id else {"message": str(message.id)})
        outcome = Outcome(None, "stopped", 0)
        try:
            if body is None:
                outcome = Outcome(None, "there is nothing left to send", 0)
            elif not signing_secrets:
                outcome = Outcome(None, "it cannot be signed just now", 0)
            else:
                outcome = await self._send(message, body.encode(), signing_secrets)
                await faults.point("webhook_sent")
        finally:
            self._lanes.ended(message.lane, message.team_id, outcome)
            self._hint.set()
        _DELIVERIES["failed" if outcome.status is None else f"{outcome.status // 100}xx",] += 1
        disable = rules.why_disable(outcome, message.failing_for_s) if message.endpoint_id else None
        over = body is None or outcome.status == 410 or disable is not None
        again = None if over else rules.again_in_s(message.tries + 1)
        for _ in range(_REPORT_TRIES):
            try:
                await self._report(Report(message, body, outcome, again, disable))
                break
            except DATABASE_ERRORS as error:
                _LOG.warning("cannot record a delivery", error=type(error).__name__)
                await asyncio.sleep(_IDLE_S)

    async def _send(self, message: Message, body: bytes, signing_secrets: list[str]) -> Outcome:
        headers = {
            "Content-Type": "application/json",
            **signing.headers(message.id, int(time.time()), body, signing_secrets),
            "X-Modellix-Event": message.event,
            **({"X-Modellix-Task-ID": task_name(message.task_id)} if message.task_id else {}),
            "X-Modellix-Delivery-ID": signing.message_name(message.id),
            "X-Modellix-Retry-Count": str(message.attempts),
        }
        started = time.monotonic()

        def outcome(status: int | None, error: str | None, retry_after: str = "") -> Outcome:
            wait_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
            return Outcome(status, error, int((time.monotonic() - started) * 1000), wait_s)

        try:
            about = message.task_id or message.id
            with tracing.timed("webhook", about, event=message.event, attempt=message.attempts + 1) as span:
                if (parent := span.traceparent) is not None:
                    # Our own, so that a receiver with tracing can correlate its work with the delivery: it identifies
                    # only the task, which the receiver knows. Never the client's: the submitter need not be the
                    # receiver. Without a collector there is no such span.
                    headers["traceparent"] = parent
                answer = await self._outbound.call(
                    "POST", message.url, headers=headers, body=body, timeout_s=TIMEOUT_S, max_bytes=0
                )
                span.note("status", answer.status)
        except Blocked:
            return outcome(None, "the link does not lead to a public address")
        except NotSent as error:
            return outcome(None, f"not reached: {error}")
        except AnswerLost as error:
            return outcome(None, f"no answer: {error}")
        return outcome(answer.status, None, answer.headers.get("retry-after", ""))

    async def _write(self, reports: list[Report]) -> list[None]:
        for fallen in await messages.report(self._db, reports):
            _LOG.warning("an endpoint is disabled", endpoint=str(fallen.id), team=fallen.team_id, why=fallen.why)
            await self._tell(
                "webhook endpoint disabled",
                f"endpoint {fallen.id} of team {fallen.team_id} ({'live' if fallen.live else 'test'}): {fallen.why}",
            )
        return [None] * len(reports)
