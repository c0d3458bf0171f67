"""The way to Tryton: one request, what its errors mean, and how far it moved a thing."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from malha.channels.connectors.answers import unreadable
from malha.channels.contract import Ctx, Invalid, Missing, Retryable, Unsure

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Said(msgspec.Struct, frozen=True):
    """What Tryton said, and when."""

    body: Any
    at: datetime  # by Tryton's clock, else by ours


def b64(value: Any) -> str:
    """Return a value as Tryton takes it in addresses and headers."""
    return urlsafe_b64encode(_encode(value)).decode()


def fields_of(fields: Sequence[str]) -> list[tuple[str, str]]:
    """Return the part of an address that says which fields are wanted."""
    return [("f", field) for field in fields]


def query_of(domain: Sequence[Any], fields: Sequence[str], size: int | None = None) -> list[tuple[str, str]]:
    """Return the part of an address that says which records are wanted, by id."""
    query = [("d", b64(domain)), ("o", b64([["id", "ASC"]])), *fields_of(fields)]
    return [*query, ("s", str(size))] if size else query


async def search(
    ctx: Ctx, model: str, domain: Sequence[Any], fields: Sequence[str], size: int | None = None
) -> list[dict[str, Any]]:
    """Return the records that a condition holds for."""
    found = await ask(ctx, "GET", model, query=query_of(domain, fields, size), operation=f"find {model}")
    rows: list[dict[str, Any]] = found.body
    return rows


async def ask(
    ctx: Ctx,
    method: str,
    path: str,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
    context: Mapping[str, Any] | None = None,
    operation: str,
) -> Said:
    """Ask Tryton and return what it says.

    Raises:
        AuthExpired: it does not know the key.
        Invalid: it refuses; its own words are in it.
        Missing: there is no such record, or no such database.
        Unsure: the answer cannot be read.
    """
    headers = {
        "authorization": f"Bearer {ctx.access.secret('key')}",
        "content-type": "application/json",
        "x-tryton-context": b64({"company": ctx.config.company, **(context or {})}),
    }
    url = f"{ctx.config.base_url.rstrip('/')}/rest/model/{path}"
    if query:
        url += f"?{urlencode(query)}"
    sent = None if body is None else _encode(body)
    reply = await ctx.http.send(method, url, headers=headers, body=sent, operation=operation)
    if reply.status == 404:
        raise Missing(f"Tryton has no {path.partition('?')[0]}")
    if reply.status >= 400:
        raise Invalid(f"HTTP {reply.status} from Tryton", code=str(reply.status))
    try:
        said = _decode(reply.body) if reply.body else None
    except msgspec.DecodeError as error:
        raise unreadable(reply.body, error) from None
    if method == "GET" and not isinstance(said, list):
        raise Unsure("the answer is no list")
    if method == "POST" and not isinstance(said, dict):
        raise Unsure("the answer is no record")
    return Said(said, _clock(reply.headers.get("date")) or ctx.now())


def _clock(said: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(said) if said else None
    except ValueError:
        return None
    return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None


def moved_to(before: str, after: Any) -> str:
    """Return the state after an action; one that changes nothing must not be done for ever."""
    if after == before:
        raise Retryable(f"Tryton leaves it in the state {before}")
    return str(after)
