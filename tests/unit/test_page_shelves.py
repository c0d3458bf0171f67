"""Who waits for a SKU's stock waits for one small question, whatever else is read meanwhile, and never gets older stock."""

import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from malha.intake import pages
from malha.intake.pages import FRESH_S, MOST_READ, OLDEST_S, PromisePages

AHEAD = range(1, 3 * MOST_READ)


class Nowhere:
    """A database that is not asked: `Questions` answers."""

    @asynccontextmanager
    async def transaction(self):
        yield None


class Questions:
    """Answers questions about stock: each SKU has as many units as questions came so far. Some wait for `go`."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.held: set[int] = set()
        self.go = asyncio.Event()

    async def __call__(self, _tx, _reference, skus):
        self.asked.append(list(skus))
        units = len(self.asked)
        if self.held & set(skus):
            await self.go.wait()
        return {sku: [units] for sku in skus}, {}


@pytest.fixture
async def shop(monkeypatch):
    questions = Questions()
    monkeypatch.setattr(pages.availability, "common_stock", questions)
    made = PromisePages(Nowhere(), SimpleNamespace(close=_nothing))
    made._reference = SimpleNamespace(network=object())
    yield made, questions
    await made.close()


async def _nothing() -> None:
    pass


async def have(made: PromisePages, *skus: int) -> bool:
    async with asyncio.timeout(60):
        return await made._have(set(skus))


def age(made: PromisePages, seconds: float) -> None:
    for shelf in made._shelves.values():
        shelf.asked = time.monotonic() - seconds


async def test_who_waits_does_not_wait_for_what_is_read_ahead_nor_brings_it_along(shop):
    made, questions = shop
    await have(made, *AHEAD)
    age(made, FRESH_S + 0.1)
    questions.asked.clear()
    questions.held = set(AHEAD)
    assert await have(made, *AHEAD) is False  # young enough to be served; read again behind
    await asyncio.sleep(0)
    assert await have(made, 999) is True
    assert questions.asked[-1] == [999]
    assert [len(skus) for skus in questions.asked] == [MOST_READ, 1]
    questions.go.set()


async def test_those_who_wait_at_the_same_time_share_a_question(shop):
    made, questions = shop
    questions.held = {1}
    first = asyncio.create_task(have(made, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(have(made, sku)) for sku in (2, 3, 4)]
    await asyncio.sleep(0)
    questions.go.set()
    assert await asyncio.gather(first, *others) == [True] * 4
    assert questions.asked == [[1], [2, 3, 4]]


async def test_an_answer_that_comes_late_does_not_replace_one_that_was_asked_for_later(shop):
    made, questions = shop
    await have(made, 7)
    age(made, FRESH_S + 0.1)
    questions.held = {7}
    assert await have(made, 7) is False
    async with asyncio.timeout(60):
        while len(questions.asked) < 2:
            await asyncio.sleep(0)
    questions.held = set()
    age(made, OLDEST_S + 0.1)
    assert await have(made, 7) is True
    assert made._shelves[7].column == [3]
    questions.go.set()
    await asyncio.sleep(0.01)
    assert made._shelves[7].column == [3]
