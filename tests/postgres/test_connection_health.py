"""How connections do over time: sampled, counted anew after a pause, kept for two weeks, and read while by while."""

from datetime import timedelta

import pytest
from linked_world import CODE, Linked, linked

from malha.channels.connecting import housekeeping, samples
from malha.channels.connecting.samples import Course

NEWEST = "SELECT * FROM connection_sample ORDER BY slot DESC LIMIT 1"
SAMPLED = """
SELECT came, ended, told, waiting_in, waiting_out, lag_in_s, lag_out_s, stuck, budget FROM connection_sample
ORDER BY slot DESC LIMIT 1
"""
CAME = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, received_at, state, cause, done_at)
SELECT c.id, gen_random_uuid()::text, 'order:' || n, 'pull', 'data', '1', now() - %(ago)s::interval, %(state)s::text,
       %(cause)s::text, CASE WHEN %(state)s::text = 'done' THEN now() - %(ago)s::interval END
FROM connection c, generate_series(1, %(count)s::int) n
"""
OPS = """
INSERT INTO channel_op (key, connection_id, kind, entity, payload, state, created_at, done_at)
SELECT gen_random_uuid(), c.id, 'set_price', 'price:' || n || %(state)s::text, '{}', %(state)s::text,
       now() - interval '90 seconds', CASE WHEN %(state)s::text = 'done' THEN now() END
FROM connection c, generate_series(1, %(count)s::int) n
"""


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        await made.values("UPDATE connection SET created_at = now() - interval '30 days' RETURNING id")
        yield made


async def sample(shop: Linked) -> None:
    async with shop.database.transaction() as tx:
        await samples.sample(tx)


async def came(shop: Linked, count: int, ago: str, state: str = "done", cause: str | None = None) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(CAME, {"count": count, "ago": ago, "state": state, "cause": cause})


async def ops(shop: Linked, count: int, state: str) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(OPS, {"count": count, "state": state})


async def course(shop: Linked, minutes: int, count: int) -> list[Course]:
    async with shop.database.transaction() as tx:
        return await samples.course(tx, await shop.id(), timedelta(minutes=minutes), count)


async def test_a_sample_holds_what_came_what_waits_what_stands_and_how_old_it_is(shop: Linked):
    await came(shop, 2, "0 seconds")
    await came(shop, 3, "20 minutes", "waiting")
    await came(shop, 1, "2 days", "parked", "field")
    await ops(shop, 4, "done")
    await ops(shop, 5, "waiting")
    await ops(shop, 1, "dead")
    await shop.values("""UPDATE connection_pace SET calls = 7, failures = 2,
        bucket = '{"rate": 0.001, "burst": 10, "tokens": 4, "at": 9999999999}' RETURNING 1""")
    await sample(shop)
    ((came_, ended, told, in_, out, lag_in, lag_out, stuck, budget),) = await shop.rows(SAMPLED)
    assert (came_, ended, told, in_, out) == (2, 2, 4, 3, 5)
    assert 1200 <= lag_in < 1260
    assert 90 <= lag_out < 150
    assert (stuck, budget) == ({"in:field": 1, "out:": 1}, 40)
    found = await course(shop, 60, 3)
    assert sum(b.came for b in found) == 5  # of these, what waits since 20 minutes ago
    assert found[-1].stuck == {"in:field": 1, "out:": 1}
    assert samples.causes_of(found) == ["in:field", "out:"]


async def test_the_worst_of_a_while_is_kept_and_the_same_again_changes_nothing(shop: Linked):
    await came(shop, 3, "100 seconds", "waiting")
    await sample(shop)
    (first,) = await shop.rows(SAMPLED)
    await shop.values("UPDATE channel_inbox SET state = 'done', done_at = now() RETURNING id")
    await sample(shop)
    await sample(shop)
    (second,) = await shop.rows(SAMPLED)
    assert (second[3], second[5]) == (first[3], first[5]) == (3, first[5])
    assert sum(b.ended for b in await course(shop, 5, 3)) == 3
    assert sum(b.came for b in await course(shop, 5, 3)) == 3


async def test_what_happened_while_nobody_looked_is_counted_but_not_how_long_it_waited(shop: Linked):
    await sample(shop)
    await shop.values("DELETE FROM connection_sample WHERE slot > now() - interval '3 hours' RETURNING 1")
    await came(shop, 6, "2 hours")
    await sample(shop)
    bins = await course(shop, 60, 5)
    assert sum(b.came for b in bins) == 6
    assert [b.waiting_in for b in bins][-1] == 0
    assert [b.waiting_in for b in bins if b.came] == [None]


async def test_calls_of_a_while_are_the_difference_of_counters(shop: Linked):
    await sample(shop)
    await shop.values("UPDATE connection_sample SET slot = slot - interval '5 minutes', calls = 10, failures = 1"
                      " WHERE slot = (SELECT max(slot) FROM connection_sample) AND slot - interval '5 minutes' NOT IN"
                      " (SELECT slot FROM connection_sample) RETURNING 1")  # fmt: skip
    await shop.values("UPDATE connection_sample SET calls = 10, failures = 1 RETURNING 1")
    await shop.values("UPDATE connection_pace SET calls = 25, failures = 4 RETURNING 1")
    await sample(shop)
    last = (await course(shop, 5, 1))[0]
    assert (last.calls, last.failures) in {(15, 3), (0, 0)}
    found = await course(shop, 60, 2)
    assert (sum(b.calls or 0 for b in found), sum(b.failures or 0 for b in found)) == (15, 3)


async def test_samples_older_than_two_weeks_go_and_a_connection_has_none_from_before_it_was_made(shop: Linked):
    await shop.values("UPDATE connection SET created_at = now() - interval '1 hour' RETURNING 1")
    await shop.values(
        "INSERT INTO connection_sample (connection_id, slot)"
        " SELECT id, now() - interval '15 days' FROM connection RETURNING 1"
    )
    await sample(shop)
    async with shop.database.transaction() as tx:
        await housekeeping.forget_old(tx)
    assert await shop.values("SELECT count(*) BETWEEN 12 AND 14 FROM connection_sample") == [True]
    assert CODE


async def test_two_workers_that_sample_at_once_do_not_disturb_each_other(shop: Linked):
    import asyncio

    await came(shop, 50, "10 minutes")
    await asyncio.gather(*(sample(shop) for _ in range(4)))
    assert sum(b.came for b in await course(shop, 60, 3)) == 50
