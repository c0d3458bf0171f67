"""How a connection did over time: lag, throughput, what waited for a person and the budget, while by while."""

from typing import Literal

from malha.api.work import Work, query
from malha.channels.connecting import samples, service
from malha.channels.connecting.samples import Course

TAG = "connections"


@query("/connections/{code:str}/health", permission="network:read", tag=TAG)
async def get_connection_health(work: Work, code: str, period: Literal["6h", "2d", "14d"] = "2d") -> list[Course]:
    """Return how a connection did, the oldest first: six hours by 5 minutes, two days by hours, 14 days by 6 hours."""
    found = await service.connection_of(work.tx, code)
    return await samples.course(work.tx, found.id, *samples.PERIODS[period])


handlers = [get_connection_health]
