"""The way to a shop and back: who asks, what an answer means, and lists page by page."""

import base64
import hashlib
import hmac
import secrets as randomness
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from malha.channels.connectors.answers import unreadable
from malha.channels.connectors.woocommerce.money import Unfit, digits_of
from malha.channels.connectors.woocommerce.words import PAGE
from malha.channels.contract import Conflicting, Ctx, Invalid, Missing, Reply, Retryable, Unsure

API = "/wp-json/wc/v3"
encode = msgspec.json.Encoder().encode


class NoRoute(Retryable):
    """The address is none of WooCommerce's: it is away for a moment, or too old for what was asked."""


async def ask(
    ctx: Ctx,
    method: str,
    path: str,
    into: type[Any],
    operation: str,
    *,
    params: Mapping[str, str] | None = None,
    body: Any = None,
) -> Any:
    """Ask and return what was answered.

    Raises:
        Missing: there is no such thing.
        Retryable: no WooCommerce answers at this address now.
        Invalid, Conflicting: it will not be taken.
        Unsure: the answer cannot be read.
    """
    reply = await send(ctx, method, path, operation, params=params, body=body)
    return decoded(reply, into, changes=method != "GET")


async def send(
    ctx: Ctx, method: str, path: str, operation: str, *, params: Mapping[str, str] | None = None, body: Any = None
) -> Reply:
    """Ask and return the answer; see `ask`."""
    address = _api(ctx.config.base_url) + path
    headers = {"accept": "application/json"}
    if body is not None:
        headers["content-type"] = "application/json"
    key, secret = ctx.access.secret("consumer_key"), ctx.access.secret("consumer_secret")
    asked = dict(params or {})
    if address.startswith("https://"):
        headers["authorization"] = "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()
    else:
        asked |= signed(method, address, asked, key, secret, ctx.now(), randomness.token_hex(16))
    url = address + ("?" + _query(asked) if asked else "")
    content = None if body is None else encode(body)
    reply = await ctx.http.send(method, url, headers=headers, body=content, operation=operation)
    if reply.status < 400:
        return reply
    raise _refusal(reply)


def _api(base_url: str) -> str:
    base = base_url.rstrip("/")
    return base if base.endswith(API) else base + API


def _query(params: Mapping[str, str]) -> str:
    return "&".join(f"{quoted(name)}={quoted(text)}" for name, text in params.items())


def quoted(text: str) -> str:
    """Return text as it stands in an address (RFC 3986)."""
    return quote(text, safe="~")


def signed(
    method: str, address: str, params: Mapping[str, str], key: str, secret: str, now: datetime, nonce: str
) -> dict[str, str]:
    """Return the parameters that prove a request over http: OAuth 1.0a with HMAC-SHA256 and no token (RFC 5849)."""
    proof = {
        "oauth_consumer_key": key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_timestamp": str(int(now.timestamp())),
    }
    pairs = sorted((quoted(name), quoted(text)) for name, text in {**params, **proof}.items())
    line = "&".join(f"{name}={text}" for name, text in pairs)
    base = "&".join((method.upper(), quoted(address), quoted(line)))
    digest = hmac.digest(f"{secret}&".encode(), base.encode(), hashlib.sha256)
    return {**proof, "oauth_signature": base64.b64encode(digest).decode()}


def decoded(reply: Reply, into: type[Any], *, changes: bool = False) -> Any:
    """Return what an answer says; `changes`: what was asked for may have been done, whatever it says.

    Raises:
        Invalid: it is other than a shop answers.
        Unsure: it cannot be read.
    """
    try:
        return msgspec.json.decode(reply.body, type=into)
    except msgspec.ValidationError as error:
        if changes:
            raise Unsure(f"the answer is other than expected: {error}"[:200]) from None
        raise Invalid(f"the answer is other than expected: {error}"[:200]) from None
    except msgspec.DecodeError as error:
        # Cut off or no JSON: whatever was asked may have been done.
        raise unreadable(reply.body, error) from None


def _refusal(reply: Reply) -> Exception:
    try:
        said = msgspec.json.decode(reply.body, type=dict[str, Any])
    except msgspec.DecodeError:
        said = {}
    code, why = str(said.get("code", "")), f"{said.get('code', '')} {said.get('message', '')}".strip()[:300]
    if reply.status in {404, 410}:
        # Without the plug-in (while it is brought up to date) the route is not there, which says nothing of orders.
        if not code or code == "rest_no_route":
            return NoRoute("no WooCommerce answers at this address")
        return Missing(why)
    if reply.status in {409, 412}:
        return Conflicting(why)
    return Invalid(why or f"HTTP {reply.status}", code=code)


async def pages(ctx: Ctx, path: str, params: Mapping[str, str], operation: str) -> Any:
    """Yield the rows of all pages of a list that does not change much while it is read.

    Raises:
        Retryable: what stands between the shop and us gives the first page whichever is asked for.
    """
    page, former = 1, list[dict[str, Any]]()
    while True:
        asked = {**params, "per_page": str(PAGE), "page": str(page)}
        rows = await ask(ctx, "GET", path, list[dict[str, Any]], operation, params=asked)
        if rows and rows == former:
            raise Retryable("the channel promises more pages and gives the same one again")
        former = rows
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        page += 1


async def one_order(ctx: Ctx, id_: str, operation: str) -> tuple[dict[str, Any], Reply]:
    """Return an order as the shop says it.

    Raises:
        Missing: there is none.
    """
    if not (id_.isascii() and id_.isdigit()):
        raise Missing(f"there is no order {id_[:40]}")
    reply = await send(ctx, "GET", f"/orders/{id_}", operation, params=decimals_of(ctx))
    return decoded(reply, dict[str, Any]), reply


def read_as(row: Mapping[str, Any], into: type[Any]) -> Any:
    """Return a row as a struct.

    Raises:
        Unfit: it does not fit.
    """
    try:
        return msgspec.convert(row, into, strict=False)
    except msgspec.ValidationError as error:
        raise Unfit(f"{row.get('id', '')}: {error}"[:200]) from None


def decimals_of(ctx: Ctx) -> dict[str, str]:
    """Return the argument that has amounts said with the decimals of the currency, whatever the shop shows."""
    return {"dp": str(digits_of(ctx.connection.currency))}


def iso(at: datetime) -> str:
    """Return a moment as the shop reads it where `dates_are_gmt`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


# --- money: decimals as text there, minor units here, exactly ---
