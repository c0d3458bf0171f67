"""How the demo is built: in few transactions, and never silent for long."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from malha.demo import build
from malha.demo.orders import Fate

ORDERS = 1_000


def a_past() -> tuple[list[Any], dict[str, Any]]:
    names = [f"D-{n}" for n in range(ORDERS)]
    story = SimpleNamespace(released_at=datetime(2026, 11, 1, tzinfo=UTC))
    told = [SimpleNamespace(order=SimpleNamespace(external_id=n), story=story, fate=Fate.NONE) for n in names]
    return told, {n: SimpleNamespace(id=n, status="allocated") for n in names}


class Transactions:
    """A database of which only the transactions are counted."""

    begun = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.begun += 1
        yield None


async def test_lives_of_many_orders_share_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    lived: list[str] = []

    async def live(_tx: None, stories: Mapping[str, Any], _issue: Any) -> int:
        lived.extend(stories)
        return len(stories)

    monkeypatch.setattr(build, "live", live)
    told, placed = a_past()
    db, documents = Transactions(), SimpleNamespace(issue=None)
    assert await build._lives(db, told, placed, documents, lambda *_: None) == ORDERS  # type: ignore[arg-type]
    assert lived == list(placed)
    assert db.begun <= ORDERS // 100


async def test_the_bar_moves_while_people_do_what_they_do() -> None:
    told, placed = a_past()
    moved: list[tuple[str, int, int]] = []
    await build._fates(Transactions(), told, placed, random.Random(7), lambda *at: moved.append(at))  # type: ignore[arg-type]
    assert {what for what, _, _ in moved} == {"Deeds of people"}
    assert [done for _, done, _ in moved] == list(range(0, ORDERS, 100))
