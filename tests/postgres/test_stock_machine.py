"""Everything that touches stock, in any order and at the same time, on a real PostgreSQL with real connections.

Orders one by one, in batches, from carts and from history; cancels, lapsed payments, releases, picks short and whole,
handovers; receipts, transfers, counts, buckets, snapshots, deltas; goods sold ahead of supply; fences, caps, safety,
suspicions; kits; the clock; carts and orders that want the last units at the same moment.
After every step nobody was sold what is not there, the ledger is the balances, fences partition them, kits are whole,
who follows the log knows what is free without having read it anew, and the doctor finds nothing.

`STOCK_MACHINE=200 pytest tests/postgres/test_stock_machine.py` goes deeper, elsewhere each time, and makes what it
finds smaller.
"""

import asyncio
import os
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from whole_shop import ACTS, CLAIMS, Shop, balances

from malha.doctor import examine
from malha.intake import change_reads as changes

# A claim is a ledger row that takes and moves no goods. What it left of its balance, by the ledger alone, in the order
# in which rows of one balance were written: under its lock, so in the order in which things happened.
SOLD_TWICE = """
SELECT sku_id, location_id, reason, ref_kind, ref_id, left_over FROM (
    SELECT sku_id, location_id, reason, ref_kind, ref_id, d_on_hand, d_allocated, d_held,
           sum(d_on_hand - d_allocated - d_held) OVER (PARTITION BY sku_id, location_id ORDER BY id) AS left_over
    FROM movement WHERE bucket = 'sellable'
) AS told
WHERE d_on_hand = 0 AND (d_allocated > 0 OR d_held > 0) AND left_over < 0
"""
# Fences set apart no more than is there and unclaimed.
SET_APART_TWICE = """
SELECT b.sku_id, b.location_id FROM balance b
LEFT JOIN (SELECT sku_id, location_id, sum(remaining) AS units FROM fence_stock WHERE open GROUP BY 1, 2) f
  USING (sku_id, location_id)
WHERE b.fenced <> coalesce(f.units, 0) OR b.fenced > greatest(b.on_hand - b.allocated - b.held, 0)
"""
# Nobody drew from a fence that is not open to him.
DRAWN_BY_OTHERS = """
SELECT m.allotment_id, m.ref_id FROM fence_movement m JOIN allotment a ON a.id = m.allotment_id
LEFT JOIN sales_order o ON o.id = m.ref_id LEFT JOIN stock_hold h ON h.id = m.ref_id
WHERE m.reason = 'drawn' AND (
    NOT EXISTS (SELECT FROM allotment_channel c
                WHERE c.allotment_id = a.id AND c.channel_id = coalesce(o.channel_id, h.channel_id))
    OR (o.id IS NOT NULL AND a.customer_groups <> '{}' AND NOT coalesce(o.customer_group = ANY (a.customer_groups), false)))
"""
CAPS_PASSED = """
SELECT a.code FROM cap_counter n JOIN allotment a ON a.id = n.allotment_id
WHERE n.used > a.quota AND NOT a.code = ANY (%(lowered)s)
"""
UNITS_LOST = """
SELECT l.order_id, l.line FROM order_line l JOIN order_unit u ON u.order_id = l.order_id AND u.line = l.line
LEFT JOIN order_component c ON c.order_id = l.order_id AND c.line = l.line AND c.sku_id = u.sku_id
GROUP BY l.order_id, l.line, l.quantity, u.sku_id, c.quantity
HAVING sum(u.quantity) <> l.quantity * coalesce(c.quantity, 1)
"""
# Kits of which a place, or what waits, or what was cancelled, has more of one component than of another.
HALF_KITS = """
SELECT order_id, line FROM (
    SELECT c.order_id, c.line, u.location_id, u.fulfillment_id, u.state = 'cancelled',
           coalesce(sum(u.quantity) FILTER (WHERE u.sku_id = c.sku_id), 0) / c.quantity::numeric
    FROM order_component c JOIN order_unit u ON u.order_id = c.order_id AND u.line = c.line
    GROUP BY 1, 2, 3, 4, 5, c.sku_id, c.quantity
) AS there(order_id, line, location_id, fulfillment_id, cancelled, kits)
GROUP BY order_id, line, location_id, fulfillment_id, cancelled HAVING count(DISTINCT kits) > 1
"""
# What is free by balance, and of expired holds that nobody retired yet.
FREE = """
SELECT b.sku_id, b.location_id, (b.on_hand - b.allocated - b.held - b.safety - b.fenced + coalesce((
    SELECT sum(l.quantity - coalesce((
        SELECT sum(d.quantity) FROM stock_draw d WHERE d.claim_id = l.hold_id AND d.sku_id = l.sku_id
          AND d.location_id = l.location_id AND d.allotment_id IS NOT NULL), 0))
    FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
    WHERE h.state = 'active' AND h.expires_at <= now() AND l.sku_id = b.sku_id AND l.location_id = b.location_id
), 0))::int FROM balance b
"""
BELOW_ZERO = "SELECT sku_id, location_id, bucket FROM bucket_balance WHERE quantity < 0"

DEEP = int(os.environ.get("STOCK_MACHINE", "0"))
# What goes on comes more often than what ends it.
OFTEN = ["order", "order", "batch", "cart", "order_of_cart", "go_on", "go_on", "release", "release", "digest", "pay"]
OFTEN += ["last_units", "kit_sold_ahead", "sell_ahead", "expect", "what_was_expected_comes", "follow_supply"]
NUMBERS = [st.integers(0, 41)] * 4
ACT = st.tuples(st.sampled_from([*ACTS, *OFTEN]), *NUMBERS)


class Stock(RuleBasedStateMachine):
    """One shop; each step is one act, or several at the same time on connections of two processes."""

    runner: asyncio.Runner
    copies: object
    done: dict[str, int]
    at_once = 1
    steps = 0

    def run(self, coroutine):
        return self.runner.run(coroutine)

    @initialize(stock=st.integers(4, 14), kits_at=st.integers(0, 7), kits=st.tuples(*NUMBERS))
    def begin(self, stock, kits_at, kits):
        # What is drawn changes with the words of the program: kits are sold ahead once in every shop, whatever is drawn.
        self.directed = {kits_at: [("kit_sold_ahead", *kits)]}
        self.copy = self.copies.one()
        name = self.copy.__enter__()
        self.shop = Shop(urlunsplit(urlsplit(self.copies.url)._replace(path=f"/{name}")))

        async def build():
            await self.shop.__aenter__()
            await self.shop.begin(stock)
            self.knows = await self.read_free()

        self.run(build())

    @rule(data=st.data())
    def step(self, data):
        acts = data.draw(st.lists(ACT, min_size=1, max_size=self.at_once))
        acts = [*self.directed.pop(self.steps, []), *acts]
        self.steps += 1

        async def together():
            async with self.shop.db.transaction() as tx:
                before = await balances(tx)
            await asyncio.gather(*(self.shop.carry_out(act) for act in acts))
            await self.look(before if all(name in CLAIMS for name, *_ in acts) else None)

        self.run(together())

    async def read_free(self):
        async with self.shop.db.transaction() as tx:
            self.mark = await changes.begin(tx)
        async with self.shop.db.transaction() as tx:
            return {(sku, place): free for sku, place, free in await tx.tuples(FREE)}

    async def follow(self, tx):
        """What a follower of the log knows is what is so, though it reads only what a look names."""
        found = await changes.since(tx, self.mark)
        self.mark = found.mark
        self.knows |= {(sku, place): free for sku, place, free in found.free}
        # A balance that was just made, and of which nothing is free, is nobody's news.
        free = {(sku, place): units for sku, place, units in await tx.tuples(FREE)}
        assert {key: n for key, n in self.knows.items() if n} == {key: n for key, n in free.items() if n}

    async def look(self, before):
        async with self.shop.db.snapshot() as tx:
            for statement in (SOLD_TWICE, SET_APART_TWICE, DRAWN_BY_OTHERS, UNITS_LOST, HALF_KITS, BELOW_ZERO):
                assert await tx.tuples(statement) == [], statement
            assert await tx.values(CAPS_PASSED, {"lowered": sorted(self.shop.lowered)}) == []
            if before is not None:  # nothing physical happened: nobody took what common stock does not have
                after = await balances(tx)
                taken = {key: (before[key], free) for key, free in after.items() if free < min(before.get(key, 0), 0)}
                assert not taken
            await self.follow(tx)
        report = await examine(self.shop.db)
        assert report.healthy, [line for f in report.findings if f.drifts for line in (f.check, *f.lines("en"))]

    def teardown(self):
        if not hasattr(self, "shop"):
            return
        for name, times in self.shop.done.items():
            self.done[name] = self.done.get(name, 0) + times
        self.run(self.shop.__aexit__())
        self.copy.__exit__(None, None, None)


@pytest.fixture
def machine(copies):
    """The machine, with an event loop of its own; every example has a database of its own."""
    with asyncio.Runner() as runner:
        Stock.runner, Stock.copies, Stock.done = runner, copies, {}
        yield Stock


def run(machine, examples, steps):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=DEEP or examples,
            stateful_step_count=steps * 2 if DEEP else steps,
            deadline=None,
            derandomize=not DEEP,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if DEEP else (Phase.generate,),
        ),
    )


@pytest.mark.timeout(max(300, DEEP * 120))
def test_no_sequence_of_acts_sells_what_is_not_there(machine):
    machine.at_once = 1
    run(machine, 5, 32)
    assert len(machine.done) > len(ACTS) * 2 // 3, sorted(ACTS.keys() - machine.done)
    assert machine.done.get("a kit waits")


@pytest.mark.timeout(max(300, DEEP * 120))
def test_no_acts_at_the_same_moment_sell_what_is_not_there(machine):
    machine.at_once = 6
    run(machine, 6, 12)
    assert len(machine.done) > len(ACTS) * 2 // 3, sorted(ACTS.keys() - machine.done)
