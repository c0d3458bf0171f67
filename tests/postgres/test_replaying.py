"""Stored decisions decided again, fast: the same bytes, whatever order they come in; and what was changed is told."""

import random

import pytest

from malha.bench import replaying
from malha.routing.records import read_record
from malha.routing.records import replay as slowly
from malha.routing.replaying import Replayer


@pytest.fixture
async def stored(database, monkeypatch):
    """Decisions of orders that went through the gate: some of many lines, some that found no place."""
    monkeypatch.setattr(replaying, "REAL", 200)
    monkeypatch.setattr(replaying, "SKUS", 20)
    monkeypatch.setattr(replaying, "UNITS", (0, 2))  # last units are fought for
    await replaying.place(database)
    async with database.transaction() as tx:
        return [bytes(record) for record in await tx.values(replaying.RECORDS)]


async def test_what_was_decided_comes_out_byte_for_byte_in_any_order(stored):
    records = [read_record(record) for record in stored]
    assert len(stored) == 200
    assert any(record.unplaced for record in records)
    assert any(not record.exact for record in records)
    assert max(len(record.lines) for record in records) >= 6
    for seed in range(3):
        again = Replayer()
        random.Random(seed).shuffle(stored)
        assert [again.again(record) for record in stored] == stored
        assert again.lanes < len(stored)


async def test_it_says_what_the_plain_way_says(stored):
    again = Replayer()
    for record in stored[:50]:
        told, plan = read_record(again.again(record)), slowly(read_record(record))
        assert told.cost == plan.cost
        assert [(p[0], p[4]) for p in told.parcels] == [(p.index, p.units) for p in plan.parcels]


async def test_a_record_that_says_otherwise_is_found(stored):
    again = Replayer()
    wrong = stored[0].replace(b'"cost":', b'"cost":1', 1)
    assert again.again(wrong) == stored[0] != wrong


def test_what_is_no_record_is_refused():
    with pytest.raises(ValueError, match="not found"):
        Replayer().again(b"{}")
