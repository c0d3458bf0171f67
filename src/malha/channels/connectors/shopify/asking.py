"""The way to Shopify's Admin API: one request, what it cost, and what its errors mean.

Shopify counts points: each query has a price, a shop has a bucket of points that fills up again. What is left is said
with every answer, and told to the budget of the connection; who asks for more than there is waits as long as the
bucket needs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.channels.connectors.answers import unreadable
from malha.channels.connectors.shopify.config import url_of
from malha.channels.connectors.shopify.operations import OPERATIONS
from malha.channels.contract import AuthExpired, Ctx, Invalid, Missing, RateLimited, Rejected, Retryable, Unsure

LONGEST_S = 60.0  # no bucket takes longer to fill
BUSY = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"})
REFUSED_US = frozenset({"ACCESS_DENIED", "UNAUTHORIZED", "SHOP_INACTIVE"})
_encode = msgspec.json.Encoder().encode


class TooDear(Invalid):
    """A query asks for more than one query may: less of it can be had."""


async def ask(ctx: Ctx, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the Admin API for an operation and return its data.

    Raises:
        RateLimited: the bucket is empty; with how long it takes to fill up to what this costs.
        AuthExpired: the token is none, or may not do this.
        TooDear: less must be asked for at once.
        Missing, Invalid: Shopify will never do this.
        Unsure: a change whose outcome is not known.
    """
    text = OPERATIONS[name]
    headers = {"content-type": "application/json", "x-shopify-access-token": ctx.access.secret("access_token")}
    body = _encode({"query": text, "variables": variables})
    reply = await ctx.http.send("POST", url_of(ctx.config), headers=headers, body=body, operation=name)
    if reply.status == 404:
        raise Invalid("Shopify has no such shop, or no longer this version of its API", code="404")
    if reply.status >= 400:
        raise Invalid(f"HTTP {reply.status} at the Admin API", code=str(reply.status))
    try:
        said = msgspec.json.decode(reply.body)
        errors, found = said.get("errors") or [], said.get("data")
        extensions = said.get("extensions") or {}
    except (msgspec.DecodeError, AttributeError) as error:
        raise unreadable(reply.body, error) from None
    cost = _Cost.of(extensions)
    if errors:
        if not isinstance(errors, list):  # a text, where the token is none
            raise AuthExpired(str(errors)[:200])
        refusal = _refusal(errors[0], cost, changes=text.lstrip().startswith("mutation"))
        if isinstance(refusal, RateLimited):
            await ctx.http.learned(0.0)
        raise refusal
    if not isinstance(found, dict):
        raise Unsure("the answer holds no data")
    if cost is not None:
        await ctx.http.learned(cost.left)
    return found


class _Cost(msgspec.Struct, frozen=True):
    """What a query cost, and how the bucket stands: `extensions.cost`."""

    asked: float
    available: float
    restored: float  # points a second

    @classmethod
    def of(cls, extensions: Any) -> "_Cost | None":
        try:
            cost = extensions["cost"]
            status = cost["throttleStatus"]
            asked = float(cost.get("requestedQueryCost") or 1)
            return cls(asked, float(status["currentlyAvailable"]), float(status["restoreRate"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @property
    def left(self) -> float:
        """How many more such requests the bucket takes now."""
        return self.available // max(1.0, self.asked)

    @property
    def wait(self) -> float | None:
        if self.restored <= 0:
            return None
        return min(LONGEST_S, max(0.0, self.asked - self.available) / self.restored)


def _refusal(error: Any, cost: _Cost | None, *, changes: bool) -> Exception:
    error = error if isinstance(error, dict) else {"message": str(error)}
    extensions = error.get("extensions")
    code = str(extensions.get("code", "")) if isinstance(extensions, dict) else ""
    why = f"{code}: {error.get('message', '')}"[:300]
    if code == "THROTTLED":  # nothing was done
        return RateLimited(why, after=None if cost is None else cost.wait)
    if code == "MAX_COST_EXCEEDED":
        return TooDear(why, code=code)
    if code in REFUSED_US:
        return AuthExpired(why)
    if code in {"NOT_FOUND", "RESOURCE_NOT_FOUND"}:
        return Missing(why)
    if code in BUSY or not code:
        return Unsure(why) if changes else Retryable(why)
    return Invalid(why, code=code)


def refused(errors: Sequence[Mapping[str, Any]]) -> Rejected:
    """Return the first of Shopify's `userErrors` as a result."""
    first = errors[0]
    return Rejected(
        code=str(first.get("code") or "refused").lower(),
        message=str(first.get("message") or ""),
        field=".".join(str(part) for part in first.get("field") or ()),
    )


def spot(error: Mapping[str, Any], *path: str) -> int | None:
    """Return which item of a list an error is about, as in `variants.3.price`; None where it does not say."""
    parts = [str(part) for part in error.get("field") or ()]
    for n, part in enumerate(parts):
        if part.isascii() and part.isdigit() and tuple(parts[max(0, n - len(path)) : n]) == path:
            return int(part)
    return None


def quoted(text: str) -> str:
    """Return a text as a word of Shopify's search."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
