"""Logs: a JSON object a line for machines, readable lines on a terminal, a request id on all, nothing personal.

Log ids and facts: `log.info("order_placed", order_id=...)`. What must not be written down is taken out by name of the
field and by shape of the value, also in nested values and in messages of other libraries, before anything renders it.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.typing import Processor

REDACTED = "[redacted]"
# Fields never written, by any part of their name.
_SECRET_NAMES = re.compile(
    r"password|passwd|secret|token|authorization|cookie|api_?key|credential|private_key|session_id|pickup_code"
    r"|buyer|recipient|e_?mail|phone|document|cpf|cnpj|street|complement|postal_code|full_name|first_name|last_name",
    re.IGNORECASE,
)
# Names that contain one of the words above and are no secret: an access key's number is not, a document's id is not.
_OPEN_NAMES = frozenset({"document_id", "documents", "idempotency_key", "token_count", "buyer_changed"})
# Values never written, wherever they stand.
_SECRET_VALUES = (
    (re.compile(r"(?<=://)([^/\s:@]+):([^/\s@]+)@"), rf"\1:{REDACTED}@"),  # password in a URL
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?i)\b(password|passwd|secret|token)=\S+"), rf"\1={REDACTED}"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), REDACTED),  # e-mail
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), REDACTED),  # CPF as people write it
    (re.compile(r"\b[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2}\b"), REDACTED),  # CNPJ likewise
    (re.compile(r"\+55\d{10,11}\b"), REDACTED),  # phone, E.164
)
_encode = msgspec.json.Encoder(enc_hook=str).encode


def configure(
    level: str = "info",
    log_format: Literal["auto", "json", "console"] = "auto",
    *,
    role: str = "",
    stream: TextIO | None = None,
) -> None:
    """Set logging up for this process, structlog's and the standard library's alike, on standard error.

    `role` is put on every line.
    """
    stream = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _process(role),
        # On a terminal too: its own renderer would print every local variable, passwords among them.
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    lines = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Processor = lines if console else structlog.processors.JSONRenderer(_as_json)
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [*(other for other in root.handlers if not isinstance(other, _Handler)), handler]
    root.setLevel(level.upper())
    # Libraries that say at "info" what belongs to "debug".
    for name in ("procrastinate", "psycopg.pool", "asyncio", "_granian", "httpx"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level) if level != "debug" else logging.DEBUG)
    for name in ("psycopg", "psycopg.pool"):
        logging.getLogger(name).addFilter(_is_news)


_TOLD_ELSEWHERE = (
    "error connecting in",  # for each attempt; `platform.db` says it once
    "reconnection attempt in",
    "discarding closed ",
    "error ignored terminating",  # a pipeline, after the error that was raised
)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of psycopg's says more than is told elsewhere, once."""
    return not str(record.msg).startswith(_TOLD_ELSEWHERE)


class _Handler(logging.StreamHandler[Any]):
    """Ours: replaced when logging is configured again; others' handlers stay."""


def bind_request(request_id: str, **facts: Any) -> None:
    """Put the request's id (and facts like its route) on everything this task logs from now on."""
    clear_contextvars()
    bind_contextvars(request_id=request_id, **facts)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets and personal data out of one log event."""
    for name in list(event):
        event[name] = _clean(name, event[name])
    return event


def _clean(name: str, value: Any) -> Any:
    if name != "event" and name not in _OPEN_NAMES and _SECRET_NAMES.search(name.replace("-", "_")):
        return value if value is None or value == "" else REDACTED
    if isinstance(value, str):
        for pattern, replacement in _SECRET_VALUES:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(name, item) for item in value]
    return value


def _process(role: str) -> Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if role:
            event["role"] = role
        record = event.get("_record")
        if record is not None:
            event["logger"] = record.name
        return event

    return add


def _as_json(event: Any, **_: Any) -> str:
    return _encode(event).decode()
