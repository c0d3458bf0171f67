"""Who waits for a SKU's stock waits for one small question, and what was read is kept in step with the log of events."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from malha.intake import shelves
from malha.intake.change_reads import Changes, Mark
from malha.intake.shelves import FRESH_S, MOST_READ, OLDEST_S, Shelves

AHEAD = range(1, 3 * MOST_READ)
NEVER = datetime(2026, 1, 1, tzinfo=UTC)


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
    monkeypatch.setattr(shelves.availability, "common_stock", questions)
    made = Shelves(Nowhere())
    made.notice(SimpleNamespace(network=object(), frozen={}, sells_ahead=True))
    yield made, questions
    await made.close()


async def have(made: Shelves, *skus: int) -> bool:
    async with asyncio.timeout(60):
        return await made.have(set(skus))


def age(made: Shelves, seconds: float) -> None:
    for shelf in made._kept.values():
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
    assert made[7].column == [3]
    questions.go.set()
    await asyncio.sleep(0.01)
    assert made[7].column == [3]


class Log:
    """Answers looks at what changed with what is put on it; one look at a time can be held up."""

    def __init__(self) -> None:
        self.news: list[tuple[int, int, int]] = []
        self.lost = False
        self.looks = 0
        self.seen = asyncio.Event()  # a look saw what it will tell
        self.go = asyncio.Event()
        self.go.set()

    async def begin(self, _tx) -> Mark:
        return Mark(0, NEVER, NEVER)

    async def since(self, _tx, mark: Mark) -> Changes | None:
        found, self.news = self.news, []
        self.looks += 1
        self.seen.set()
        await self.go.wait()
        return None if self.lost else Changes(mark, found)


@pytest.fixture
async def followed(monkeypatch):
    """Shelves in step with a log, at places 10 and 20; SKUs are read as 5 units at each, or as `questions` says."""
    log, asked, read = Log(), [], {}
    monkeypatch.setattr(shelves.changes, "begin", log.begin)
    monkeypatch.setattr(shelves.changes, "since", log.since)
    monkeypatch.setattr(shelves, "LOOK_S", 0.01)

    async def common_stock(_tx, _reference, skus):
        asked.extend(skus)
        found = {sku: list(read.get(sku, [5, 5])) for sku in skus}
        if hold := read.get("hold"):
            await hold.wait()
        return found, {}

    monkeypatch.setattr(shelves.availability, "common_stock", common_stock)
    made = Shelves(Nothing())
    made.notice(network_of())
    yield made, log, asked, read
    log.go.set()
    await made.close()


class Nothing(Nowhere):
    """A database whose SKUs are not read beforehand."""

    @asynccontextmanager
    async def transaction(self):
        yield SimpleNamespace(values=lambda *_: _none())


async def _none() -> list[int]:
    return []


def network_of(**changes: object) -> SimpleNamespace:
    network = SimpleNamespace(index={10: 0, 20: 1}, places=[None, None])
    return SimpleNamespace(**{"network": network, "frozen": {}, "sells_ahead": False} | changes)


async def looked(log: Log, times: int = 2) -> None:
    async with asyncio.timeout(60):
        until = log.looks + times
        while log.looks < until:
            await asyncio.sleep(0.001)


async def in_step(made: Shelves, log: Log, sku: int) -> None:
    """Have a SKU once looking has begun, so that what is read is in step."""
    await have(made, 10_000)
    await looked(log)
    await have(made, sku)


async def test_what_a_look_names_is_on_the_shelf_without_a_question_and_the_rest_is_as_young(followed):
    made, log, asked, _ = followed
    await in_step(made, log, 1)
    await have(made, 2)
    asked.clear()
    log.news = [(1, 20, 0), (1, 99, 3), (77, 10, 1)]  # another place, and a SKU that nobody asked for, are passed over
    before = time.monotonic()
    await looked(log)
    assert made[1].column == [5, 0]
    assert made[1].up_to(1) == bytes([1, 0])
    assert made.as_of(made[1]) > before
    assert made.as_of(made[2]) > before
    assert await have(made, 1, 2) is False
    assert asked == []


async def test_units_below_zero_and_those_that_stand_still_for_a_count_are_none(followed):
    made, log, _, _ = followed
    reference = network_of(frozen={2: frozenset({10})})
    reference.network = made._reference.network
    made.notice(reference)
    await in_step(made, log, 1)
    await have(made, 2)
    log.news = [(1, 10, -3), (2, 10, 8)]
    await looked(log)
    assert (made[1].column, made[2].column) == ([0, 5], [0, 5])


async def test_what_begins_or_ends_to_stand_still_is_read_again(followed):
    made, log, asked, _ = followed
    await in_step(made, log, 1)
    await have(made, 2)
    asked.clear()
    made.notice(SimpleNamespace(network=made._reference.network, frozen={1: frozenset({20})}, sells_ahead=False))
    assert await have(made, 1, 2) is True
    assert asked == [1]


async def test_a_look_that_comes_while_a_sku_is_read_is_taken_into_what_was_read_before_it(followed):
    made, log, _, read = followed
    await in_step(made, log, 1)
    read["hold"] = asyncio.Event()
    reading = asyncio.create_task(have(made, 2))
    await asyncio.sleep(0.005)
    log.news = [(2, 10, 1)]
    await looked(log)
    read["hold"].set()
    await reading
    assert made[2].column == [1, 5]


async def test_a_look_that_saw_less_than_what_was_read_makes_the_shelf_as_old_as_itself(followed):
    made, log, _, read = followed
    await in_step(made, log, 1)
    log.go.clear()
    log.seen.clear()
    log.news = [(2, 10, 4)]  # what was so when it looked
    async with asyncio.timeout(60):
        await log.seen.wait()
    asked = time.monotonic()
    read[2] = [3, 5]  # and what is so when the SKU is read
    await have(made, 2)
    assert made.as_of(made[2]) >= asked
    log.go.set()
    async with asyncio.timeout(60):
        while made[2].column != [4, 5]:
            await asyncio.sleep(0)
    assert made.as_of(made[2]) < asked  # the next look tells what this one did not see


async def test_where_the_log_cannot_be_followed_shelves_go_by_their_age(followed):
    made, log, asked, _ = followed
    await in_step(made, log, 1)
    log.lost = True
    await looked(log, 1)
    async with asyncio.timeout(60):
        while made._mark is not None:
            await asyncio.sleep(0.001)
    age(made, OLDEST_S + 0.1)
    asked.clear()
    assert await have(made, 1) is True
    assert asked == [1]


async def test_what_was_read_before_looking_began_anew_goes_by_its_age(followed, monkeypatch):
    made, log, asked, _ = followed
    monkeypatch.setattr(shelves, "AGAIN_S", 0.0)
    await in_step(made, log, 1)
    log.lost = True
    await looked(log, 1)
    log.lost = False
    await looked(log, 2)
    log.news = [(1, 10, 0)]
    age(made, FRESH_S + 0.1)
    asked.clear()
    assert await have(made, 1) is False
    async with asyncio.timeout(60):
        while asked != [1]:
            await asyncio.sleep(0.001)
