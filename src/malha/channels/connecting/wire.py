"""How a connection speaks with its peer: within its budget, past a breaker, and written down without secrets.

What all workers share about the peer is one row: the bucket of tokens, the breaker, and how often was called. It is
locked for a moment before and after a call, never during one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from malha.channels.connecting import rules, writes
from malha.channels.contract import AuthExpired, ChannelError, Invalid, Limits, RateLimited, Reply, Retryable, Unsure
from malha.platform import retrying
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.outward import Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable
from malha.platform.retrying import Breaker, Bucket

log = structlog.get_logger(__name__)

T = TypeVar("T")
DONE = Reply(0, {}, b"")  # of what has no status
RING = 500  # calls that are kept
LONGEST_WAIT_S = 5.0  # for a token; who would wait longer comes back later
TOLD = frozenset({404, 409, 410, 412, 422})  # whose meaning the connector knows
MAYBE = frozenset({500, 502, 504})  # the peer may have acted
REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")


class Pace(msgspec.Struct, frozen=True):
    """A connection's budget and breaker at an instant of the database's clock."""

    bucket: Bucket
    breaker: Breaker
    clock: float


async def ask(
    outward: Outward,
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    clean: Callable[[str], str],
) -> tuple[Reply | None, ChannelError | None]:
    """Send one request; return the answer if one came, and what it means if that is an error. See `contract.Http`."""
    try:
        answer = await outward.send(method, url, headers=headers, body=body)
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
    after = retrying.retry_after(reply.headers.get("retry-after"), now())
    if status == 429:
        return RateLimited(says, after=after)
    if status == 401:
        return AuthExpired(says)
    if status in MAYBE:
        return Unsure(says)
    if status >= 500:
        return Retryable(says, after=after)
    return Invalid(f"{says}: {clean(reply.body.decode('utf-8', 'replace'))}", code=str(status))


async def pace_of(tx: Tx, connection_id: int, limits: Limits) -> Pace:
    """Lock and return the budget of a connection; a new one is full."""
    ((bucket, breaker, clock),) = await tx.tuples(writes.LOCK_PACE, {"id": connection_id})
    return Pace(
        msgspec.convert(bucket, Bucket) if bucket else Bucket.full(limits.rate, limits.burst, clock),
        msgspec.convert(breaker, Breaker) if breaker else Breaker(),
        clock,
    )


def _stored(connection_id: int, bucket: Bucket, breaker: Breaker) -> dict[str, Any]:
    encode = msgspec.json.encode
    return {"id": connection_id, "bucket": encode(bucket).decode(), "breaker": encode(breaker).decode()}


class Wire:
    """The `contract.Http` of one connection."""

    def __init__(
        self, db: Database, outward: Outward, connection_id: int, limits: Limits, secrets: Collection[str] = ()
    ) -> None:
        self._db = db
        self._outward = outward
        self._id = connection_id
        self._limits = limits
        self._secrets = set(secrets)

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
    ) -> Reply:
        """Send one request; see `contract.Http`."""
        await self._enter()
        begun = time.monotonic()
        try:
            reply, error = await ask(self._outward, method, url, headers, body, self._clean)
        except asyncio.CancelledError:
            await asyncio.shield(self._leave(method, url, operation, None, begun, Unsure("cut off")))
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
            await asyncio.shield(self._leave(method, path, operation, None, begun, Unsure("cut off")))
            raise
        await self._leave(method, path, operation, DONE, begun, None)
        return found

    async def learned(self, left: float) -> None:
        """Take what the peer says is left of its budget for ours; see `contract.Http`."""
        async with self._db.transaction() as tx:
            pace = await pace_of(tx, self._id, self._limits)
            if left < pace.bucket.level(pace.clock):
                bucket = pace.bucket.learned(pace.clock, left)
                await tx.execute(writes.PUT_PACE, _stored(self._id, bucket, pace.breaker))

    def _clean(self, text: str) -> str:
        return rules.redacted(text, self._secrets)

    async def _enter(self) -> None:
        """Take a token and wait for it.

        Raises:
            Retryable: the breaker is open.
            RateLimited: the wait would be long.
        """
        async with self._db.transaction() as tx:
            pace = await pace_of(tx, self._id, self._limits)
            if not pace.breaker.allows(pace.clock):
                until = pace.breaker.until or pace.clock
                raise Resting("the peer failed often and rests", after=max(1.0, until - pace.clock))
            bucket, wait = pace.bucket.take(pace.clock)
            if wait > LONGEST_WAIT_S:
                raise Waiting("the budget is used up", after=wait)
            await tx.execute(writes.PUT_PACE, _stored(self._id, bucket, pace.breaker.tries(pace.clock)))
        if wait:
            await asyncio.sleep(wait)

    async def _leave(
        self, method: str, url: str, operation: str, reply: Reply | None, begun: float, error: ChannelError | None
    ) -> None:
        ms = int((time.monotonic() - begun) * 1000)
        parts = urlsplit(url)
        path = self._clean(parts.path + (f"?{parts.query}" if parts.query else ""))
        failed = isinstance(error, Unsure | Retryable) and not isinstance(error, RateLimited)
        async with self._db.transaction() as tx:
            pace = await pace_of(tx, self._id, self._limits)
            bucket = pace.bucket
            if isinstance(error, RateLimited):
                bucket = bucket.blocked(pace.clock + (error.after if error.after is not None else 1.0))
            elif reply is not None and (left := _remaining(reply)) is not None:
                bucket = bucket.learned(pace.clock, left)
            breaker = pace.breaker.failed(pace.clock) if failed else pace.breaker.succeeded()
            ended = {"failed": int(failed), "limited": isinstance(error, RateLimited)}
            calls: int = await tx.value(writes.END_CALL, {**_stored(self._id, bucket, breaker), **ended})
            await tx.execute(
                writes.ADD_LOG,
                {
                    "id": self._id,
                    "slot": calls % RING,
                    "operation": operation[:60],
                    "method": method,
                    "path": path,
                    "status": None if reply is None else reply.status,
                    "ms": ms,
                    "says": "" if error is None else self._clean(error.why),
                },
            )


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
