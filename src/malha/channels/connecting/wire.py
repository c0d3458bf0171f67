"""How a connection speaks with its peer: within its budget, past a breaker, and written down without secrets.

What all workers share about the peer is one row: the bucket of tokens, the breaker, and how often was called. It is
locked for a moment before and after a call, never during one. Both can be had without a transaction of their own:
tokens are taken ahead in the transaction that finds out what there is to tell (`ahead`), and what a call told is
written together with what became of the thing (`settle`). A crash in between loses a token, or a line of the log.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from malha.channels.connecting import failures, rules, writes
from malha.channels.contract import AuthExpired, ChannelError, Invalid, Limits, RateLimited, Reply, Retryable, Unsure
from malha.platform import retrying
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.outward import Kept, Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable
from malha.platform.retrying import Breaker, Bucket

log = structlog.get_logger(__name__)

T = TypeVar("T")
DONE = Reply(0, {}, b"")  # of what has no status
RING = 500  # calls that are kept
LONGEST_WAIT_S = 5.0  # for a token; who would wait longer comes back later
# A clock that is off, or milliseconds where seconds are meant, are not to keep orders and stock away for a day: who is
# asked once an hour is not troubled.
LONGEST_ASKED_S = 3600.0
TOLD = frozenset({404, 409, 410, 412, 422})  # whose meaning the connector knows
# What was asked for did not reach who would have done it: not here, not now, not so; and a proxy that found nobody. Of
# every other 5xx (as 520 and 524 of a proxy) nobody knows, nor of 408: the peer may have acted.
AWAY = frozenset({501, 503, 505, 521, 523, 525, 526})
READING = frozenset({"GET", "HEAD"})
REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")


class Pace(msgspec.Struct, frozen=True):
    """A connection's budget and breaker at an instant of the database's clock."""

    bucket: Bucket
    breaker: Breaker
    clock: float


async def ask(
    outward: Outward | Kept,
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    clean: Callable[[str], str],
    *,
    again: bool = False,
) -> tuple[Reply | None, ChannelError | None]:
    """Send one request; return the answer if one came, and what it means if that is an error. See `contract.Http`.

    `again`: the same request twice does no harm; see `Kept.send`.
    """
    try:
        answer = await outward.send(method, url, headers=headers, body=body, again=again)
    except OutwardRefused as refused:
        return None, Invalid(str(refused))
    except OutwardUnreachable as away:
        return None, Retryable(str(away))
    except OutwardUnanswered as silent:
        return None, Unsure(str(silent))
    reply = Reply(answer.status, answer.headers, answer.body)
    return reply, _judged(reply, clean)


def _judged(reply: Reply, clean: Callable[[str], str]) -> ChannelError | None:
    status = reply.status
    if status < 400 or status in TOLD:
        return None
    says = f"HTTP {status}"
    after = retrying.retry_after(reply.headers.get("retry-after"), now(), longest_s=LONGEST_ASKED_S)
    if status == 429:
        return RateLimited(says, after=after)
    if status == 401:
        return AuthExpired(says)
    if status in AWAY or status == 425:
        return Retryable(says, after=after)
    if status >= 500 or status == 408:
        return Unsure(says)
    return Invalid(f"{says}: {clean(reply.body.decode('utf-8', 'replace'))}", code=str(status))


async def pace_of(tx: Tx, connection_id: int, limits: Limits) -> Pace:
    """Lock and return the budget of a connection; a new one is full."""
    ((bucket, breaker, clock),) = await tx.tuples(writes.LOCK_PACE, {"id": connection_id})
    return _pace(bucket, breaker, clock, limits)


def _pace(bucket: Any, breaker: Any, clock: float, limits: Limits) -> Pace:
    return Pace(
        msgspec.convert(bucket, Bucket) if bucket else Bucket.full(limits.rate, limits.burst, clock),
        msgspec.convert(breaker, Breaker) if breaker else Breaker(),
        clock,
    )


def _stored(connection_id: int, bucket: Bucket, breaker: Breaker) -> dict[str, Any]:
    return {"id": connection_id, "bucket": _text(bucket), "breaker": _text(breaker)}


def _text(value: Bucket | Breaker) -> str:
    return msgspec.json.encode(value).decode()


async def ahead(tx: Tx, wires: "Sequence[Wire]") -> None:
    """Take a token for each of these ahead of its first call, the last thing in a transaction; locks their budgets."""
    by_id = {wire.id: wire for wire in wires}
    taken: list[tuple[int, Pace]] = []
    for id_, bucket, breaker, clock in await tx.tuples(writes.LOCK_PACES, {"ids": sorted(by_id)}) if by_id else []:
        pace = by_id[id_].take(_pace(bucket, breaker, clock, by_id[id_].limits))
        if pace is not None:
            taken.append((id_, pace))
    if taken:
        rows = {"buckets": [_text(pace.bucket) for _, pace in taken]}
        rows["breakers"] = [_text(pace.breaker) for _, pace in taken]
        await tx.execute(writes.PUT_PACES, {"ids": [id_ for id_, _ in taken], **rows})


class _Call(msgspec.Struct, frozen=True):
    """A call that ended, as it is written down."""

    operation: str
    method: str
    path: str
    status: int | None
    ms: int
    says: str = ""
    failed: bool = False  # of the peer's
    aside: bool = False  # see `Wire.aside`
    limited: float | None = None  # asked for rest, for so many seconds
    left: float | None = None  # of its budget, as it said

    @property
    def plain(self) -> bool:
        """Tell whether it says nothing but that the peer is well."""
        return not self.failed and self.limited is None and self.left is None

    def after(self, pace: Pace) -> Pace:
        """Return budget and breaker after it."""
        bucket, breaker, clock = pace.bucket, pace.breaker, pace.clock
        if self.limited is not None:
            bucket = bucket.blocked(clock + self.limited)
        elif self.left is not None:
            bucket = bucket.learned(clock, self.left)
        if not self.aside:
            breaker = breaker.failed(clock) if self.failed else breaker.succeeded()
        return Pace(bucket, breaker, clock)


class Wire:
    """The `contract.Http` of one connection."""

    def __init__(
        self, db: Database, outward: Outward | Kept, connection_id: int, limits: Limits, secrets: Collection[str] = ()
    ) -> None:
        self._db = db
        self._outward = outward
        self.id = connection_id
        self.limits = limits
        self._secrets = set(secrets)
        self._ahead: float | Resting | Waiting | None = None  # the instant to wait for, or why the call may not be
        self._ended: list[_Call] = []
        self.settles = False  # who uses it writes what calls told, by `settle` or `flush`
        # It neither heeds the breaker nor says anything to it: who uses it comes back later and later by itself, for
        # something that orders and messages about them are not to rest for, nor it for them.
        self.aside = False

    def hide(self, secret: str) -> None:
        """Cut one more secret out of everything that is written down."""
        self._secrets.add(secret)

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        operation: str = "",
        again: bool = False,
    ) -> Reply:
        """Send one request; see `contract.Http`. `again`: it may be sent twice; what only reads always may."""
        await self._enter()
        begun = time.monotonic()
        again = again or method in READING
        try:
            reply, error = await ask(self._outward, method, url, headers, body, self._clean, again=again)
        except asyncio.CancelledError:
            await asyncio.shield(self._cut_off(method, url, operation, begun))
            raise
        await self._leave(method, url, operation, reply, begun, error)
        if error is not None:
            raise error
        assert reply is not None  # noqa: S101 -- without an error there is one
        return reply

    async def counted(self, method: str, path: str, operation: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the peer in another way than HTTP, within the same budget and log.

        Raises:
            ChannelError: what `ask` raised, or that the peer may not be asked now.
        """
        await self._enter()
        begun = time.monotonic()
        try:
            found = await ask()
        except ChannelError as error:
            await self._leave(method, path, operation, None, begun, error)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._cut_off(method, path, operation, begun))
            raise
        await self._leave(method, path, operation, DONE, begun, None)
        return found

    async def learned(self, left: float) -> None:
        """Take what the peer says is left of its budget for ours; see `contract.Http`."""
        async with self._db.transaction() as tx:
            pace = await pace_of(tx, self.id, self.limits)
            if left < pace.bucket.level(pace.clock):
                bucket = pace.bucket.learned(pace.clock, left)
                await tx.execute(writes.PUT_PACE, _stored(self.id, bucket, pace.breaker))

    def without_secrets(self, text: str) -> str:
        """Return a text of the peer without the secrets that it was asked with."""
        return rules.without_secrets(text, self._secrets)

    def _clean(self, text: str) -> str:
        return rules.redacted(text, self._secrets)

    def take(self, pace: Pace) -> Pace | None:
        """Take a token for the next call out of a budget that is locked; return what is left, None if it may not be."""
        try:
            left, wait = _taken(pace, aside=self.aside)
        except (Resting, Waiting) as error:
            self._ahead = error
            return None
        self._ahead = time.monotonic() + wait
        return left

    async def _enter(self) -> None:
        """Take a token and wait for it.

        Raises:
            Resting: the breaker is open.
            Waiting: the wait would be long.
        """
        entry, self._ahead = self._ahead, None
        if isinstance(entry, ChannelError):
            raise entry
        if entry is None:
            async with self._db.transaction() as tx:
                await self.settle(tx)
                left, wait = _taken(await pace_of(tx, self.id, self.limits), aside=self.aside)
                await tx.execute(writes.PUT_PACE, _stored(self.id, left.bucket, left.breaker))
        else:
            wait = entry - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _leave(
        self, method: str, url: str, operation: str, reply: Reply | None, begun: float, error: ChannelError | None
    ) -> None:
        ms = int((time.monotonic() - begun) * 1000)
        parts = urlsplit(url)
        limited = isinstance(error, RateLimited)
        call = _Call(
            operation[:60],
            method,
            self._clean(parts.path + (f"?{parts.query}" if parts.query else "")),
            None if reply is None else reply.status,
            ms,
            "" if error is None else self._clean(error.why),
            failed=isinstance(error, Unsure | Retryable) and not limited,
            aside=self.aside,
            limited=(1.0 if error.after is None else error.after) if isinstance(error, RateLimited) else None,
            left=None if limited or reply is None else _remaining(reply),
        )
        self._ended.append(call)
        if not self.settles:
            await self.flush()

    async def _cut_off(self, method: str, url: str, operation: str, begun: float) -> None:
        await self._leave(method, url, operation, None, begun, Unsure(failures.CUT_OFF))
        await self.flush()

    async def settle(self, tx: Tx) -> None:
        """Write down calls that ended and are not written yet, after everything else that a transaction locks."""
        calls, self._ended = self._ended, []
        if not calls:
            return
        try:
            await self._settle(tx, calls)
        except BaseException:
            self._ended = calls + self._ended
            raise

    async def _settle(self, tx: Tx, calls: Sequence[_Call]) -> None:
        plain = all(call.plain for call in calls)
        row: dict[str, Any] = {"id": self.id, "bucket": None, "breaker": None}
        if not plain:
            pace = await pace_of(tx, self.id, self.limits)
            for call in calls:
                pace = call.after(pace)
            row = _stored(self.id, pace.bucket, pace.breaker)
        told = calls[-RING:]
        await tx.execute(
            writes.END_CALLS,
            {
                **row,
                "plain": plain,
                "aside": self.aside,
                "ring": RING,
                "calls": len(calls),
                "failed": sum(call.failed for call in calls),
                "limited": any(call.limited is not None for call in calls),
                "operations": [call.operation for call in told],
                "methods": [call.method for call in told],
                "paths": [call.path for call in told],
                "statuses": [call.status for call in told],
                "took": [call.ms for call in told],
                "says": [call.says for call in told],
            },
        )

    async def flush(self) -> None:
        """Write down what is not written yet, in a transaction of its own; nothing is done where all is."""
        if self._ended:
            async with self._db.transaction() as tx:
                await self.settle(tx)


class Repeatable:
    """The `contract.Http` of statements that may be made twice: a connection that waited may carry them."""

    def __init__(self, wire: Wire) -> None:
        self.send = partial(wire.send, again=True)
        self.learned = wire.learned


def _taken(pace: Pace, *, aside: bool) -> tuple[Pace, float]:
    """Return what is left after a token was taken, and the seconds to wait. `aside`: see `Wire.aside`.

    Raises:
        Resting: the breaker is open.
        Waiting: the wait would be long.
    """
    if not aside and not pace.breaker.allows(pace.clock):
        until = pace.breaker.until or pace.clock
        raise Resting(failures.RESTS, after=max(1.0, until - pace.clock))
    bucket, wait = pace.bucket.take(pace.clock)
    if wait > LONGEST_WAIT_S:
        raise Waiting(failures.BUDGET_OVER, after=wait)
    return Pace(bucket, pace.breaker if aside else pace.breaker.tries(pace.clock), pace.clock), wait


class Resting(Retryable):
    """Nothing was asked: the breaker is open. Not the fault of what was to be sent."""


class Waiting(RateLimited):
    """Nothing was asked: the budget is used up. Not the fault of what was to be sent."""


def _remaining(reply: Reply) -> float | None:
    for name in REMAINING:
        said = reply.headers.get(name, "")
        if said.isascii() and said.isdigit() and len(said) < 9:
            return float(said)
    return None
