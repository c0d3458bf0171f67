"""When to try again, and when not to: back-off, a circuit breaker and a bucket of tokens, as data.

Nothing here waits, knows the time or keeps state of its own: a caller holds the value, gives the instant in seconds of
any clock that only goes forward (all of one caller's by the same clock), and keeps what it gets back, in memory or in a
row of the database. So two workers can share one breaker, and a test needs no sleep.

    breaker = breaker.failed(now)
    if not breaker.allows(now): ...
    bucket, wait = bucket.take(now)
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import msgspec

Draw = Callable[[float, float], float]
"""Draws a number between two, like `random.uniform`."""

FIRST_S, LONGEST_S = 1.0, 3600.0


def wait_of(
    attempts: int,
    *,
    after: float | None = None,
    first_s: float = FIRST_S,
    longest_s: float = LONGEST_S,
    draw: Draw = random.uniform,
) -> float:
    """Return how many seconds to wait after so many failed attempts (1 is the first).

    Full jitter: anything between nothing and `first_s` doubled by each attempt, at most `longest_s`, so that those who
    failed together do not come back together. What the other side asked for (`after`) wins, however long, and gets up
    to a tenth on top for the same reason; it is never less.
    """
    if after is not None:
        asked = max(0.0, after)
        return asked + draw(0.0, min(asked / 10, longest_s))
    ceiling = min(first_s * 2.0 ** min(max(attempts - 1, 0), 40), longest_s)
    return draw(0.0, ceiling)


LONGEST_ASKED_S = 86_400.0


def retry_after(header: str | None, now: datetime, *, longest_s: float = LONGEST_ASKED_S) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number or a date. None where it says nothing usable.

    A date in the past is 0. More than `longest_s`, a day, is taken for a mistake and read as that.
    """
    if header is None or not (text := header.strip()):
        return None
    if text.replace(".", "", 1).isdigit() and text.isascii():
        return min(float(text), longest_s)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or a zone of any length
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - now).total_seconds()), longest_s)


class Circuit(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"  # all go through
    OPEN = "open"  # none
    TRYING = "trying"  # one, to see


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """Stops asking a server that fails, and lets one request through after a while to see.

    `threshold` failures in a row open it for `rest_s`; each trial that fails doubles the rest up to `longest_s`; one
    success closes it. What the other side refuses for its own reasons (4xx) is no failure of the server: do not count
    it.
    """

    threshold: int = 5
    rest_s: float = 30.0
    longest_s: float = 600.0
    failures: int = 0
    opened: int = 0  # times in a row
    until: float | None = None  # open until then
    trial_until: float | None = None  # one is under way, and is given up then

    def state(self, now: float) -> Circuit:
        """Return how it stands at an instant."""
        if self.until is None:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.until else Circuit.TRYING

    def allows(self, now: float) -> bool:
        """Tell whether a request may go. Where it stands at a trial, call `tries` as it goes."""
        state = self.state(now)
        if state is Circuit.TRYING:
            return self.trial_until is None or now >= self.trial_until
        return state is Circuit.CLOSED

    def tries(self, now: float, patience_s: float = 60.0) -> "Breaker":
        """Return it as a request goes: a trial keeps others away until it ends, at most `patience_s`."""
        if self.state(now) is not Circuit.TRYING:
            return self
        return msgspec.structs.replace(self, trial_until=now + patience_s)

    def succeeded(self) -> "Breaker":
        """Return it after an answer."""
        return msgspec.structs.replace(self, failures=0, opened=0, until=None, trial_until=None)

    def failed(self, now: float) -> "Breaker":
        """Return it after a failure of the server: no connection, no answer, 5xx."""
        failures = self.failures + 1
        state = self.state(now)
        if state is Circuit.OPEN:  # one that was under way when it opened
            return msgspec.structs.replace(self, failures=failures)
        if state is Circuit.CLOSED and failures < self.threshold:
            return msgspec.structs.replace(self, failures=failures)
        rest = min(self.rest_s * 2.0 ** min(self.opened, 20), self.longest_s)
        return msgspec.structs.replace(
            self, failures=failures, opened=self.opened + 1, until=now + rest, trial_until=None
        )


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that trickle in: `rate` a second, at most `burst` at once; a request takes one or more.

    It may owe: a token taken ahead of time is waited for, so that callers are spread out rather than turned away.
    """

    rate: float
    burst: float
    tokens: float
    at: float  # when `tokens` was right
    blocked_until: float = 0.0  # the other side said so

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> "Bucket":
        """Return one with all its tokens.

        Raises:
            ValueError: no rate or no burst.
        """
        if rate <= 0 or burst < 1:
            raise ValueError("a bucket needs a rate above 0 and a burst of at least 1")
        return cls(rate=rate, burst=burst, tokens=burst, at=now)

    def level(self, now: float) -> float:
        """Return the tokens there are at an instant; below 0 it owes."""
        return min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)

    def take(self, now: float, cost: float = 1.0) -> tuple["Bucket", float]:
        """Return it with `cost` tokens taken, and how many seconds to wait before the request goes.

        Raises:
            ValueError: more than ever fit: it would wait for nothing.
        """
        if cost > self.burst:
            raise ValueError("a request that costs more than the burst can never go")
        left = self.level(now) - cost
        wait = max(0.0, -left / self.rate, self.blocked_until - now)
        return msgspec.structs.replace(self, tokens=left, at=max(now, self.at)), wait

    def learned(self, now: float, remaining: float) -> "Bucket":
        """Return it after the other side said what is left: fewer than thought is believed, more is not."""
        return msgspec.structs.replace(self, tokens=min(self.level(now), remaining), at=max(now, self.at))

    def blocked(self, until: float) -> "Bucket":
        """Return it after the other side asked for rest until an instant: nothing goes before."""
        return msgspec.structs.replace(self, blocked_until=max(self.blocked_until, until))

    def paced(self, now: float, rate: float, burst: float | None = None) -> "Bucket":
        """Return it with the rate that the other side announced; what it holds is kept within the new burst."""
        if rate <= 0 or (burst is not None and burst < 1):
            raise ValueError("a bucket needs a rate above 0 and a burst of at least 1")
        most = self.burst if burst is None else burst
        return msgspec.structs.replace(
            self, rate=rate, burst=most, tokens=min(self.level(now), most), at=max(now, self.at)
        )
