"""Chores of the worker: long ones rest between their steps and end when the worker ends."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import cast

from malha.platform.db import Database
from malha.worker import CHORES, RESTS, Chore, do_once

NOWHERE = cast("Database", None)


async def test_a_chore_without_steps_is_done() -> None:
    done = []

    async def work(_db: Database) -> None:
        done.append(1)

    await do_once(NOWHERE, Chore("short", 1, work), asyncio.Event())
    assert done == [1]


async def test_a_long_chore_leaves_most_of_the_time_to_others() -> None:
    worked = 0.0

    async def work(_db: Database) -> AsyncGenerator[int, None]:
        nonlocal worked
        for step in range(3):
            began = time.monotonic()
            await asyncio.sleep(0.02)
            worked += time.monotonic() - began
            yield step

    began = time.monotonic()
    await do_once(NOWHERE, Chore("long", 1, work), asyncio.Event())
    assert time.monotonic() - began >= worked * (1 + RESTS)


async def test_a_long_chore_ends_between_two_steps_when_the_worker_ends() -> None:
    stop, steps, closed = asyncio.Event(), [], []

    async def work(_db: Database) -> AsyncGenerator[int, None]:
        try:
            for step in range(100):
                steps.append(step)
                if step == 2:
                    stop.set()
                yield step
        finally:
            closed.append(True)

    await do_once(NOWHERE, Chore("long", 1, work), stop)
    assert (steps, closed) == ([0, 1, 2], [True])


def test_what_reads_the_whole_ledger_does_not_begin_with_the_worker() -> None:
    first = {chore.name: chore.first_s for chore in CHORES}
    assert first["suspect_stock"] >= 300
    assert first["measure"] == 0
