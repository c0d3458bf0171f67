"""The way to Vendure's Admin API: one request, what its errors mean, and variants by their SKU."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.channels.connectors.answers import unreadable
from malha.channels.connectors.refusing import unknown
from malha.channels.connectors.vendure.config import BATCH
from malha.channels.connectors.vendure.operations import STOCK, UPDATE_VARIANTS
from malha.channels.contract import AuthExpired, Ctx, Invalid, Missing, Ok, Rejected, Result, Retryable, Unsure

_encode = msgspec.json.Encoder().encode


async def ask(ctx: Ctx, query: str, variables: Mapping[str, Any], operation: str) -> dict[str, Any]:
    """Ask the Admin API and return its data.

    Raises:
        AuthExpired: the key is none, or may not do this.
        Invalid: the request is wrong.
        Unsure: a change whose outcome is not known.
    """
    headers = {"content-type": "application/json", "vendure-api-key": ctx.access.secret("api_key")}
    if ctx.config.channel_token:
        headers["vendure-token"] = ctx.config.channel_token
    body = _encode({"query": query, "variables": variables})
    reply = await ctx.http.send("POST", ctx.config.base_url, headers=headers, body=body, operation=operation)
    if reply.status >= 400:
        raise Invalid(f"HTTP {reply.status} at the Admin API", code=str(reply.status))
    try:
        said = msgspec.json.decode(reply.body)
        errors, found = said.get("errors") or [], said.get("data")
    except (msgspec.DecodeError, AttributeError) as error:
        raise unreadable(reply.body, error) from None
    if errors:
        raise _refusal(errors[0], changes=query.lstrip().startswith("mutation"))
    if not isinstance(found, dict):
        raise Unsure("the answer holds no data")
    return found


def _refusal(error: Mapping[str, Any], *, changes: bool) -> Exception:
    code = str((error.get("extensions") or {}).get("code", ""))
    why = f"{code}: {error.get('message', '')}"[:300]
    if code in {"FORBIDDEN", "UNAUTHORIZED", "UNAUTHENTICATED"}:
        return AuthExpired(why)
    if code == "ENTITY_NOT_FOUND":
        return Missing(why)
    if code in {"GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "USER_INPUT_ERROR", "CHANNEL_NOT_FOUND"}:
        return Invalid(why, code=code)
    return Unsure(why) if changes else Retryable(why)


async def variants(ctx: Ctx, skus: Sequence[str]) -> dict[str, Any]:
    """Return variants by SKU, a page of them at a time."""
    found: dict[str, Any] = {}
    for n in range(0, len(skus), BATCH):
        some = sorted(set(skus[n : n + BATCH]))
        options = {"take": BATCH, "filter": {"sku": {"in": some}}}
        page = await ask(ctx, STOCK, {"options": options}, "find_variants")
        found |= {row["sku"]: row for row in page["productVariants"]["items"]}
    return found


async def written(ctx: Ctx, codes: Sequence[str], wanted: Mapping[str, Any], operation: str) -> Sequence[Result]:
    """Write variants and say of each what became of it; one that is refused holds up no others."""
    failed: dict[str, Result] = {}
    if wanted:
        try:
            await ask(ctx, UPDATE_VARIANTS, {"input": list(wanted.values())}, operation)
        except Invalid:
            for code, one in wanted.items():
                try:
                    await ask(ctx, UPDATE_VARIANTS, {"input": [one]}, operation)
                except Invalid as error:
                    failed[code] = Rejected(error.code or "refused", error.why)
    return [failed.get(code) or (Ok(str(wanted[code]["id"])) if code in wanted else unknown(code)) for code in codes]


def mark_of(what: str) -> str:
    """Return the mark by which what is told once is found again."""
    return f"#{what}"
