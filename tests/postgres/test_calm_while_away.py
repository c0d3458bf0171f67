"""While the database is away, the loops of a worker say so once each, in a line without a traceback."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from away import absence
from malha.channels import pushing
from malha.flows import order_to_cash
from malha.platform import rounds
from malha.platform.db import Database

PATIENCE_S = 60.0
LOOPS: dict[str, Callable[[Database, asyncio.Event], Awaitable[None]]] = {
    "pushes_wait": lambda db, stop: pushing.run_pushes(db, {}, stop),
    "release_waits": order_to_cash.run_release,
}


@pytest.mark.parametrize("waits", sorted(LOOPS))
async def test_an_absence_of_many_rounds_is_one_line(
    waits: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = 0
    is_away = rounds.is_away

    def counted(error: BaseException) -> bool:
        nonlocal met
        met += 1
        return is_away(error)

    async def at_once(stop: asyncio.Event, _seconds: float) -> None:
        await asyncio.sleep(0.01)

    monkeypatch.setattr(rounds, "is_away", counted)
    for module in (pushing, order_to_cash):
        monkeypatch.setattr(module, "rest", at_once)
    stop = asyncio.Event()
    with absence(database) as gone, capture_logs() as told:
        async with Database(database.url, database.retailer, max_size=1, away_s=0.1) as db, asyncio.timeout(PATIENCE_S):
            gone.begin()
            loop = asyncio.create_task(LOOPS[waits](db, stop))
            while met < 5 and not loop.done():
                await asyncio.sleep(0.01)
            gone.end()
            while not any(line["event"] == "goes_on" for line in told) and not loop.done():
                await asyncio.sleep(0.01)
            stop.set()
            await loop
    mine = [line for line in told if line["log_level"] != "debug"]
    assert [line["event"] for line in mine] == [waits, "goes_on"]
    assert not any("exc_info" in line for line in mine)
