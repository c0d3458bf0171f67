"""How a connection did over time: lag, throughput, what waited for a person and the budget, while by while."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from malha.api.work import Work, query
from malha.channels.connecting import samples, service

TAG = "connections"
PERIODS = {"6h": (timedelta(minutes=5), 72), "2d": (timedelta(hours=1), 48), "14d": (timedelta(hours=6), 56)}


class CourseView(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection did in a while that begins at `at`. What nobody looked at is null; lags are in seconds.

    `came`, `ended` (handled) and `told` are counts; `waiting_in`, `waiting_out` and the lags the most that was seen,
    `budget_left` (percent of the requests that may be sent) the least. `stuck` is what waited for a person, by
    `in:cause` and `out:cause`.
    """

    at: datetime
    came: int
    ended: int
    told: int
    waiting_in: int | None
    waiting_out: int | None
    lag_in_s: int | None
    lag_out_s: int | None
    calls: int | None
    failures: int | None
    budget_left: int | None
    stuck: dict[str, int]


@query("/connections/{code:str}/health", permission="network:read", tag=TAG)
async def get_connection_health(work: Work, code: str, period: Literal["6h", "2d", "14d"] = "2d") -> list[CourseView]:
    """Return how a connection did, the oldest first: six hours by 5 minutes, two days by hours, 14 days by 6 hours."""
    found = await service.connection_of(work.tx, code)
    course = await samples.course(work.tx, found.id, *PERIODS[period])
    return [
        CourseView(
            at=b.at,
            came=b.came,
            ended=b.ended,
            told=b.told,
            waiting_in=b.waiting_in,
            waiting_out=b.waiting_out,
            lag_in_s=b.lag_in_s,
            lag_out_s=b.lag_out_s,
            calls=b.calls,
            failures=b.failures,
            budget_left=b.budget,
            stuck=stuck,
        )
        for b, stuck in zip(course.bins, course.stuck, strict=True)
    ]


handlers = [get_connection_health]
