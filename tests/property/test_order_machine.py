"""Orders under any sequence of acts, on real PostgreSQL.

After each act: no unit is made or lost, balances are their ledger, what is allocated is what claims, money adds up, and
the doctor, who compares everything that is stored twice, finds nothing. Acts that make no sense are refused and leave
no trace.
"""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from malha.doctor import examine
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import holds as order_holds
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.db import Database
from malha.platform.errors import MalhaError
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order

TABLES = """
SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
WHERE schemaname = 'malha' AND tablename NOT IN ('revision', 'sequencer') AND tablename !~ '^(event|movement)_'
  AND tablename !~ 'migration'
"""
UNITS = """
SELECT l.order_id, l.line, l.quantity, u.sku_id, sum(u.quantity)::int, coalesce(c.quantity, 1)
FROM order_line l JOIN order_unit u ON u.order_id = l.order_id AND u.line = l.line
LEFT JOIN order_component c ON c.order_id = l.order_id AND c.line = l.line AND c.sku_id = u.sku_id
GROUP BY 1, 2, 3, 4, 6 HAVING sum(u.quantity) <> l.quantity * coalesce(c.quantity, 1)
"""
LEDGER = """
SELECT b.sku_id, b.location_id FROM balance b
LEFT JOIN (SELECT sku_id, location_id, sum(d_on_hand) AS h, sum(d_allocated) AS a FROM movement
             WHERE bucket = 'sellable' GROUP BY 1, 2) m
  USING (sku_id, location_id)
LEFT JOIN (SELECT sku_id, location_id, sum(quantity) AS q FROM order_unit
           WHERE state IN ('allocated', 'released', 'picking', 'picked', 'awaiting_document', 'packed', 'invoiced', 'ready')
           GROUP BY 1, 2) u USING (sku_id, location_id)
WHERE b.on_hand <> coalesce(m.h, 0) OR b.allocated <> coalesce(m.a, 0) OR b.allocated <> coalesce(u.q, 0)
"""
WITHOUT_COVER = """
SELECT u.order_id FROM order_unit u LEFT JOIN fiscal_document d ON d.id = u.document_id
WHERE u.state IN ('invoiced', 'ready', 'shipped', 'delivered', 'collected') AND d.state IS DISTINCT FROM 'authorised'
"""
CAPACITY = """
SELECT d.location_id, d.day FROM location_day d
LEFT JOIN (SELECT location_id, capacity_day AS day, count(*) AS n FROM fulfillment_order
           WHERE state NOT IN ('rejected', 'cancelled') GROUP BY 1, 2) f USING (location_id, day)
WHERE d.taken <> coalesce(f.n, 0)
"""
# Kits of which a piece of work, or what waits, or what was cancelled, has more of one component than of another.
HALF_KITS = """
SELECT DISTINCT order_id, line FROM (
    SELECT c.order_id, c.line, u.location_id, u.fulfillment_id, u.state = 'cancelled',
           coalesce(sum(u.quantity) FILTER (WHERE u.sku_id = c.sku_id), 0) / c.quantity::numeric AS kits
    FROM order_component c JOIN order_unit u ON u.order_id = c.order_id AND u.line = c.line
    GROUP BY 1, 2, 3, 4, 5, c.sku_id, c.quantity
) AS there(order_id, line, location_id, fulfillment_id, cancelled, kits)
GROUP BY order_id, line, location_id, fulfillment_id, cancelled HAVING count(DISTINCT kits) > 1
"""

ORDER = st.integers(0, 3)
SELDOM = st.integers(0, 5).map(lambda n: n == 5)


class Orders(RuleBasedStateMachine):
    """Four orders, two of them with a kit, acted upon at random; destructive acts are rarer than those that go on."""

    runner: asyncio.Runner
    database: Database

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def act(self, what):
        """Carry an act out in a transaction of its own; a refusal is one of ours and leaves no trace."""

        async def carry_out():
            async with self.database.transaction() as tx:
                return await what(tx)

        with suppress(MalhaError):
            self.run(carry_out())

    @initialize(stock=st.integers(12, 20), paid=st.sampled_from(["captured", "authorised", "pending"]))
    def begin(self, stock, paid):
        async def build():
            async with self.database.transaction() as tx:
                await tx.execute("TRUNCATE " + await tx.value(TABLES) + " RESTART IDENTITY CASCADE")
                self.world = await a_network(tx)
                self.cup = await a_product(tx, self.world, "CUP", stock={"DC": stock, "S1": 4, "S2": 3})
                self.plate = await a_product(tx, self.world, "PLATE", stock={"DC": stock, "S1": 4})
                kit = await a_product(tx, self.world, "SET", components={self.cup: 2, self.plate: 1})
                self.orders = [
                    await an_order(
                        tx,
                        self.world,
                        [Sold(self.cup, 2, price=333), Sold(kit, 2, price=777, discount=5)],
                        discount=7,
                        shipping=90,
                        paid=how,
                        holds=[HoldKind.PAYMENT] if how == "pending" else [],
                    )
                    for how in (paid, "captured")
                ] + [
                    await an_order(tx, self.world, [Sold(self.plate, 2, price=250)], channel="mall", paid=how)
                    for how in ("captured", None)
                ]

        self.documents = 0
        self.refunds = 0
        self.run(build())

    def works(self, *states):
        async def read():
            async with self.database.transaction() as tx:
                return await tx.values(
                    "SELECT id FROM fulfillment_order WHERE state = ANY (%(states)s) ORDER BY number",
                    {"states": list(states)},
                )

        return self.run(read())

    @rule(n=ORDER, line=st.integers(1, 2), quantity=st.integers(1, 2))
    def cancel_some(self, n, line, quantity):
        async def act(tx):
            await fulfillment.cancel(tx, self.orders[n], reason="x", wishes=[CancelWish(line, quantity)])
            await payments.restate(tx, [self.orders[n]])

        self.act(act)

    @rule(n=ORDER, rest=st.booleans(), really=SELDOM)
    def cancel_all(self, n, rest, really):
        if not really:
            return

        async def act(tx):
            await fulfillment.cancel(tx, self.orders[n], reason="x", rest=rest)
            await payments.restate(tx, [self.orders[n]])

        self.act(act)

    @rule(n=ORDER, place=SELDOM)
    def hold(self, n, place):
        kind = HoldKind.FRAUD
        if place:
            self.act(lambda tx: order_holds.place_hold(tx, self.orders[n], kind))
        else:
            self.act(lambda tx: order_holds.resolve_hold(tx, self.orders[n], kind))

    @rule(kind=st.sampled_from(list(FactKind)), amount=st.integers(1, 2_400), favour=st.booleans())
    def money(self, kind, amount, favour):
        self.refunds += 1
        fact = Fact(
            position=1,
            kind=kind,
            amount=amount,
            reference=str(self.refunds),
            favour=favour and kind is FactKind.REFUNDED,
        )

        async def act(tx):
            await payments.record_fact(tx, self.orders[0], fact)
            await payments.settle_holds(tx, [self.orders[0]])

        self.act(act)

    @precondition(lambda self: self.works("open", "accepted", "picking", "picked", "packed"))
    @rule(steps=st.integers(1, 4))
    def go_on(self, steps):
        """Do the next right thing with every piece of work, some steps far."""
        for _ in range(steps):
            for work in self.works("open", "accepted", "picking"):
                self.act(lambda tx, work=work: fulfillment.confirm_pick(tx, work))
            self._pack()
            self._document()
            if steps > 2:
                self._ship(deliver=steps > 3)

    @rule()
    def pay_in_full(self):
        async def act(tx):
            standing = await payments.standing(tx, self.orders[0])
            fact = Fact(position=1, kind=FactKind.CAPTURED, amount=max(standing.payable, 1), reference="all")
            await payments.record_fact(tx, self.orders[0], fact)

        self.act(act)
        self.act(lambda tx: payments.settle_holds(tx, self.orders))

    @rule()
    def release(self):
        self.act(fulfillment.release_due)

    @precondition(lambda self: self.works("open", "accepted", "picking"))
    @rule(data=st.data())
    def pick(self, data):
        work = data.draw(st.sampled_from(self.works("open", "accepted", "picking")))
        how = data.draw(st.sampled_from(["all", "some", "short"]))
        reason = data.draw(st.sampled_from(list(RejectReason)))
        line, quantity = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
        sku = data.draw(st.sampled_from([self.cup, self.plate]))
        if how == "all":
            self.act(lambda tx: fulfillment.confirm_pick(tx, work))
        elif how == "some":
            self.act(lambda tx: fulfillment.confirm_pick(tx, work, [Picked(line, quantity, sku)]))
        else:
            short = [Short(line, quantity, reason, sku)]
            self.act(lambda tx: fulfillment.confirm_pick(tx, work, [], short))

    @precondition(lambda self: self.works("open", "accepted", "picking", "picked"))
    @rule(data=st.data(), reason=st.sampled_from(list(RejectReason)))
    def reject(self, data, reason):
        work = data.draw(st.sampled_from(self.works("open", "accepted", "picking", "picked")))
        self.act(lambda tx: fulfillment.reject(tx, work, reason))

    @precondition(lambda self: self.works("picked"))
    @rule()
    def pack(self):
        self._pack()

    def _pack(self):
        for work in self.works("picked"):
            self.act(lambda tx, work=work: fulfillment.pack(tx, work))

    @precondition(lambda self: self.works("packed"))
    @rule(cancel=SELDOM)
    def document(self, cancel):
        self._document()
        if cancel:

            async def act(tx):
                living = "SELECT id FROM fiscal_document WHERE state = 'authorised' ORDER BY number DESC LIMIT 1"
                document = await tx.value(living)
                if document:
                    await fiscal.cancel_document(tx, document, reason="x")

            self.act(act)

    def _document(self):
        for work in self.works("packed"):
            self.documents += 1
            for issuer in ("SP1", "RJ1"):  # one of them owns the stock, the other one is refused
                facts = DocumentFacts(access_key=an_access_key(self.world, issuer, number=self.documents))
                self.act(lambda tx, work=work, facts=facts: fiscal.record_document(tx, work, facts))

    @precondition(lambda self: self.works("packed"))
    @rule(deliver=st.booleans())
    def ship(self, deliver):
        self._ship(deliver)

    def _ship(self, deliver):
        for work in self.works("packed"):

            async def act(tx, work=work):
                for parcel in await fulfillment.ship(tx, work):
                    if deliver:
                        await fulfillment.deliver(tx, parcel)

            self.act(act)

    @rule(sku=st.integers(0, 1), quantity=st.integers(1, 3), place=st.sampled_from(["DC", "S1", "S2"]))
    def goods_come_in(self, sku, quantity, place):
        goods = [Claim([self.cup, self.plate][sku], self.world.locations[place], quantity)]
        self.act(lambda tx: inventory.receive(tx, goods, Reference("receipt")))

    @invariant()
    def everything_adds_up(self):
        if not hasattr(self, "orders"):
            return

        async def look():
            async with self.database.transaction() as tx:
                for statement in (UNITS, LEDGER, WITHOUT_COVER, CAPACITY, HALF_KITS):
                    assert await tx.tuples(statement) == [], statement
                for order_id in self.orders:
                    standing = await payments.standing(tx, order_id)
                    assert standing.payable >= 0
                    assert 0 <= standing.refunded <= standing.captured
                    assert 0 <= standing.charged_back <= standing.captured
                    back = standing.refunded + standing.charged_back
                    assert 0 <= standing.favour <= standing.refunded
                    owed = max(standing.payable - standing.favour, 0)
                    assert standing.refund_due == max(0, standing.captured - back - owed)
            report = await examine(self.database)
            assert report.healthy, [f.lines("en") for f in report.findings if f.drifts]

        self.run(look())

    def teardown(self):
        """The next example begins by emptying every table."""


@pytest.fixture
def machine(template_url, retailer_on):
    """The machine, with an event loop and a database of its own that all its examples use in turn."""
    runner = asyncio.Runner()
    stack = AsyncExitStack()
    Orders.runner = runner
    Orders.database = runner.run(stack.enter_async_context(retailer_on(template_url)))
    yield Orders
    runner.run(stack.aclose())
    runner.close()


def test_no_sequence_of_acts_makes_or_loses_a_unit_or_a_cent(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
