"""What is traced: requests, the gate's batches, statements, jobs, subscribers. Imported only by a process that traces.

Nothing in the program knows about it: this module wraps what it watches, once, after the fork.

Names and numbers only: routes, statement names, outcomes, counts. No parameters, no bodies, nothing personal.
"""

import asyncio
import contextlib
import importlib
import pkgutil
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import malha
from malha import worker
from malha.intake.gate import Gate
from malha.platform import jobs
from malha.platform.db import Tx
from malha.platform.settings import Settings

FLUSH_MS = 2_000
_SQL_MODULES = ("reads", "writes", "platform")


@contextlib.contextmanager
def tracing(settings: Settings, role: str) -> Iterator[Callable[[ASGIApp], ASGIApp]]:
    """Trace this process while the block runs; give what wraps the application."""
    facts = {"service.name": "malha", "service.version": malha.__version__, "malha.role": role}
    provider = TracerProvider(
        resource=Resource.create(facts), sampler=ParentBased(TraceIdRatioBased(settings.trace_percent / 100))
    )
    exporter = OTLPSpanExporter(
        endpoint=f"{(settings.otlp_endpoint or '').rstrip('/')}/v1/traces", timeout=FLUSH_MS / 1000
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("malha", malha.__version__)
    _watch_statements(tracer)
    _watch_gate(tracer)
    _watch_worker(tracer)
    try:
        yield lambda app: _Traced(app, tracer)
    finally:
        provider.shutdown()


class _Traced:
    """A span for each request, a child of the caller's where it sent its own (`traceparent`)."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:

        facts = cast("dict[str, Any]", scope)
        if facts["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in facts["headers"]}
        parent = TraceContextTextMapPropagator().extract(carrier)
        method = facts["method"]
        with self._tracer.start_as_current_span(method, context=parent, kind=SpanKind.SERVER) as span:

            async def watching(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, watching)
            finally:
                route = facts.get("path_template") or "(unknown)"
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": route,
                        "malha.request_id": facts.get("request_id", ""),
                    }
                )


def _watch_statements(tracer: Tracer) -> None:
    """A span for each statement within something that is traced, by the name of its constant."""
    names = _statement_names()
    run = Tx.cursor_of

    async def watched(self: Tx, statement: Any, params: Any = ()) -> Any:
        if not get_current_span().is_recording():  # pollers, and what was not sampled
            return await run(self, statement, params)
        name = names.get(statement, "(composed)") if isinstance(statement, str) else "(composed)"
        with tracer.start_as_current_span(f"sql {name}") as span:
            cursor = await run(self, statement, params)
            span.set_attributes({"db.system.name": "postgresql", "db.response.returned_rows": cursor.rowcount})
            return cursor

    Tx.cursor_of = watched  # type: ignore[method-assign]


def _statement_names() -> dict[str, str]:
    found = {}
    for module in pkgutil.walk_packages(malha.__path__, "malha."):
        if any(part in module.name for part in _SQL_MODULES):
            for name, value in vars(importlib.import_module(module.name)).items():
                if name.isupper() and isinstance(value, str):
                    found[value] = f"{module.name.removeprefix('malha.')}.{name}"
    return found


def _watch_gate(tracer: Tracer) -> None:
    """A span for each batch: a child of its first order's request, linked to those of the others."""
    asked: weakref.WeakKeyDictionary[asyncio.Future[Any], Span] = weakref.WeakKeyDictionary()
    enqueue, settle = Gate.enqueue, Gate._settle  # noqa: SLF001 -- where a batch begins and ends is the gate's own affair

    def watched_enqueue(self: Gate, order: Any, **how: Any) -> asyncio.Future[Any]:
        future = enqueue(self, order, **how)
        asked[future] = trace.get_current_span()
        return future

    async def watched_settle(self: Gate, batch: list[Any]) -> None:
        spans = [span for waiting in batch if (span := asked.get(waiting.future)) is not None]
        parent = trace.set_span_in_context(spans[0]) if spans else None
        links = [trace.Link(span.get_span_context()) for span in spans[1:]]
        with tracer.start_as_current_span("gate batch", context=parent, links=links) as span:
            span.set_attribute("malha.orders", len(batch))
            await settle(self, batch)

    Gate.enqueue = watched_enqueue  # type: ignore[method-assign]
    Gate._settle = watched_settle  # type: ignore[method-assign]  # noqa: SLF001


def _watch_worker(tracer: Tracer) -> None:
    """A span for each job, and one for each batch of events a subscriber handles."""
    for name, task in list(jobs.TASKS.items()):
        jobs.TASKS[name] = msgspec.structs.replace(task, work=_job(tracer, name, task.work))
    process: Any = worker  # it reads the table by this name when it starts
    process.SUBSCRIPTIONS = tuple(
        msgspec.structs.replace(each, handler=_subscriber(tracer, each.name, each.handler))
        for each in process.SUBSCRIPTIONS
    )


def _job(tracer: Tracer, name: str, work: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def watched(*arguments: Any, **named: Any) -> None:
        with tracer.start_as_current_span(f"job {name}"):
            await work(*arguments, **named)

    return watched


def _subscriber(tracer: Tracer, name: str, handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def watched(tx: Tx, events: Sequence[Any]) -> None:
        with tracer.start_as_current_span(f"subscriber {name}") as span:
            span.set_attributes({"malha.events": len(events), "malha.first_position": events[0].position})
            await handler(tx, events)

    return watched
