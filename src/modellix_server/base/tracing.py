"""Traces through OpenTelemetry: one per task, with the task's id, so that no context is passed along or stored.

A span's parent is the span `task`, whose id comes from the task's as well; it is sent when the task ends. Without a
collector in `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is imported, and a span costs one comparison.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span, Tracer

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_S = 5.0
_LOWER_64 = (1 << 64) - 1


class _Off:
    tracer: Tracer | None = None
    provider: TracerProvider | None = None
    root: UUID | None = None
    """The task whose root span is created next."""


_state = _Off()


def set_up(process: str, version: str) -> None:
    """Send traces from now on, if a collector is named in the environment."""
    if not any(os.environ.get(name) for name in _VARIABLES):
        return
    # Only here: together they take 20 MB and a fifth of a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            """Of a span without a parent, which here is a task's root."""
            return _state.root.int if _state.root else super().generate_trace_id()

        def generate_span_id(self) -> int:
            return _root_of(_state.root) if _state.root else super().generate_span_id()

    about = Resource.create({"service.name": f"modellix-{process}", "service.version": version})
    _state.provider = TracerProvider(resource=about, id_generator=Ids())
    _state.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _state.tracer = _state.provider.get_tracer("modellix_server", version)


async def close() -> None:
    """Send the remaining spans, within a short time-out."""
    if (provider := _state.provider) is not None:
        _state.tracer = _state.provider = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await asyncio.to_thread(provider.force_flush, int(_FLUSH_S * 1000))


def on() -> bool:
    """Whether spans are exported."""
    return _state.tracer is not None


def record(
    name: str, task_id: UUID, seconds: float = 0.0, *, traceparent: str | None = None, **about: str | int | None
) -> None:
    """A span that ends now and began so many seconds ago. Attributes that are None are left out."""
    if (tracer := _state.tracer) is None:
        return
    now = time.time_ns()
    _start(tracer, name, task_id, now - int(seconds * 1e9), about, _links(traceparent)).end(now)


def _start(
    tracer: Tracer,
    name: str,
    task_id: UUID,
    at_ns: int,
    about: Mapping[str, str | int | None],
    links: Sequence[Link] = (),
) -> Span:
    from opentelemetry import trace  # noqa: PLC0415

    root = trace.SpanContext(
        task_id.int, _root_of(task_id), is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    return tracer.start_span(
        name,
        trace.set_span_in_context(trace.NonRecordingSpan(root)),
        attributes={key: value for key, value in about.items() if value is not None},
        links=links,
        start_time=at_ns,
    )


def record_root(task_id: UUID, seconds: float, *, failed: bool, **about: str | int | None) -> None:
    """The span of a whole task, which ends now."""
    if (tracer := _state.tracer) is None:
        return
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.context import Context  # noqa: PLC0415

    now = time.time_ns()
    _state.root = task_id
    try:
        span = tracer.start_span(
            "task",
            Context(),
            attributes={key: value for key, value in about.items() if value is not None},
            start_time=now - int(seconds * 1e9),
        )
    finally:
        _state.root = None
    if failed:
        span.set_status(trace.StatusCode.ERROR)
    span.end(now)


class Timed:
    """A span in progress; without a collector a dummy."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """The header for calls within the span (W3C Trace Context)."""
        if self._span is None:
            return None
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def note(self, name: str, value: str | int) -> None:
        """Add an attribute."""
        if self._span is not None:
            self._span.set_attribute(name, value)


_NOTHING = contextlib.nullcontext(Timed())


def timed(name: str, task_id: UUID, **about: str | int | None) -> contextlib.AbstractContextManager[Timed]:
    """A span around the block."""
    return _NOTHING if _state.tracer is None else _timed(_state.tracer, name, task_id, about)


@contextlib.contextmanager
def _timed(tracer: Tracer, name: str, task_id: UUID, about: Mapping[str, str | int | None]) -> Iterator[Timed]:
    started, started_ns = time.monotonic(), time.time_ns()
    span = _start(tracer, name, task_id, started_ns, about)
    try:
        yield Timed(span)
    except BaseException as raised:
        span.set_attribute("error", type(raised).__name__)
        raise
    finally:
        span.end(started_ns + int((time.monotonic() - started) * 1e9))  # independent of changes of the wall clock


def _root_of(task_id: UUID) -> int:
    return task_id.int & _LOWER_64 or 1


def _links(traceparent: str | None) -> list[Link]:
    """The client's own trace, if it names one (W3C Trace Context)."""
    if traceparent is None:
        return []
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carried = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    found = trace.get_current_span(carried).get_span_context()
    return [trace.Link(found)] if found.is_valid else []
