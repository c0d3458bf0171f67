"""How long goods have lain: from the ledger's arrivals, once a day, and what a credit by age makes of it in decisions."""

from contextlib import aclosing
from datetime import timedelta

import pytest
from test_routing_costs import decided, gate, place, retailer, set_costs
from two_wares import stocked

from malha.intake.gate import Gate
from malha.inventory import age_reads, ages
from malha.inventory import service as inventory
from malha.inventory.model import Reason
from malha.inventory.service import Claim, Reference
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.flaws import Invalid
from malha.routing import aging, cost_drafts, cost_reads, costs
from malha.routing.cost_draft_model import Drafted
from malha.routing.cost_model import Aging, Costs, Markdown
from malha.routing.cost_rules import credit_of
from malha.simulation import service
from malha.simulation.model import Draft

__all__ = ["gate", "retailer"]

AGING = Aging(after_days=30, per_day=10, most=900)


async def came(database: Database, sku: int, place_: int, days_ago: int, units: int = 0) -> None:
    """Let what is there of a key have come so many days ago, or more of it come now."""
    async with database.transaction() as tx:
        if units:
            await inventory.receive(tx, [Claim(sku, place_, units)], Reference("test"))
        await tx.execute(
            "UPDATE movement SET occurred_at = now() - make_interval(days => %s, hours => 1)"
            " WHERE sku_id = %s AND location_id = %s AND occurred_at > now() - interval '1 hour'",
            (days_ago, sku, place_),
        )


async def worked_out(database: Database) -> int:
    steps = 0
    async with aclosing(aging.renew(database)) as pieces:
        async for _piece in pieces:
            steps += 1
    return steps


async def ages_of(database: Database, sku: int) -> dict[int, tuple[int, int, int]]:
    async with database.transaction() as tx:
        return {one.location_id: (one.days, one.oldest, one.units) for one in await age_reads.ages(tx, [sku])}


async def test_what_is_there_came_last_and_ages_are_a_mean_of_its_units(retailer: Database) -> None:
    await came(retailer, 1, 1, 100)  # nine units
    await came(retailer, 1, 2, 100)
    await came(retailer, 1, 2, 10, units=3)  # twelve: (9 x 100 + 3 x 10) / 12
    async with retailer.transaction() as tx:
        await inventory.adjust(tx, [Claim(1, 2, -6)], Reason.LOSS, Reference("test"))  # the first ones: 3 x 100, 3 x 10
        await stocked(tx, {(1, 3): 0})  # all gone
    await set_costs(retailer, aging=AGING)
    assert await worked_out(retailer) >= 1
    assert await ages_of(retailer, 1) == {1: (100, 100, 9), 2: (55, 100, 6)}
    assert await worked_out(retailer) == 0, "not again within the day"


async def test_units_that_are_found_are_as_old_as_the_first_arrival_that_is_known(retailer: Database) -> None:
    await came(retailer, 1, 1, 50)
    async with retailer.transaction() as tx:
        await inventory.adjust(tx, [Claim(1, 1, 1)], Reason.FOUND, Reference("test"))
    await set_costs(retailer, aging=AGING)
    await worked_out(retailer)
    assert (await ages_of(retailer, 1))[1] == (50, 50, 10)


async def test_pieces_go_on_where_the_last_ended_and_what_is_gone_is_forgotten(
    retailer: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ages, "PIECE", 2)
    await set_costs(retailer, aging=AGING)
    assert await worked_out(retailer) == 3  # six balances
    assert set(await ages_of(retailer, 1)) == {1, 2, 3}
    async with retailer.transaction() as tx:
        await stocked(tx, {(1, 2): 0})
        await tx.execute("UPDATE stock_age SET worked_out_at = worked_out_at - interval '1 day'")
    await worked_out(retailer)
    assert set(await ages_of(retailer, 1)) == {1, 3}


async def test_two_workers_at_once_forget_nothing_that_is_there(retailer: Database) -> None:
    began = now()
    async with retailer.transaction() as tx:
        await ages.work_out(tx, began + timedelta(seconds=5), None)  # the one that began later is through already
    async with retailer.transaction() as tx:
        await ages.work_out(tx, began, None)
    async with retailer.transaction() as tx:
        await ages.forget_before(tx, began + timedelta(seconds=5))
    assert set(await ages_of(retailer, 1)) == {1, 2, 3}


async def test_nothing_is_worked_out_while_nobody_asks(retailer: Database) -> None:
    assert await worked_out(retailer) == 0
    assert await ages_of(retailer, 1) == {}
    async with retailer.transaction() as tx:
        await cost_drafts.start_draft(tx, Drafted(costs=Costs(aging=AGING)))
    assert await worked_out(retailer) >= 1


async def test_aged_stock_is_credited_by_its_days_and_a_credit_of_its_own_stands_before(
    gate: Gate, retailer: Database
) -> None:
    await came(retailer, 1, 2, 60)
    await came(retailer, 1, 3, 70)
    await set_costs(retailer, aging=AGING)
    await worked_out(retailer)
    order, where = await place(gate, 1, "A")
    # L1 costs 1100; L2 1200 less 300; L3 1300 less 400: of equals the first.
    assert where == ["L2"]
    record, told = await decided(retailer, order)
    assert record.cost == 900
    assert {a.locations[0].code: a.credit for a in told.alternatives} == {"L2": -300, "L3": -400, "L1": 0}
    async with retailer.transaction() as tx:
        await costs.set_markdowns(tx, [Markdown(sku="A", location="L2", centavos=10)], None)
    order, where = await place(gate, 2, "A")
    assert where == ["L3"]


async def test_a_draft_of_a_credit_by_age_is_tried_on_past_orders(gate: Gate, retailer: Database) -> None:
    await came(retailer, 1, 3, 90)
    _, where = await place(gate, 1, "A")
    assert where == ["L1"]
    async with retailer.transaction() as tx:
        made = await cost_drafts.start_draft(tx, Drafted(costs=Costs(aging=AGING)))
    await worked_out(retailer)
    today = now().date()
    async with retailer.transaction() as tx:
        wanted = Draft(name="x", since=today - timedelta(days=2), until=today + timedelta(days=1), cost_draft=made.id)
        run = await service.start(tx, wanted)
    await service.run.work(retailer, simulation_id=str(run.id))
    async with retailer.transaction() as tx:
        result = await service.outcome(tx, run.id)
        assert await cost_reads.costs(tx) == Costs()
    assert result.moved == 1
    assert result.costed is not None
    assert (result.costed.after.credit, result.costed.after.total, result.costed.kept.total) == (600, 700, 1100)


def test_a_credit_grows_by_the_day_up_to_its_most() -> None:
    assert [credit_of(AGING, days) for days in (0, 30, 31, 75, 120, 4_000)] == [0, 0, 10, 450, 900, 900]


async def test_a_credit_that_cannot_be_is_refused_where_it_is_wrong(retailer: Database) -> None:
    with pytest.raises(Invalid) as refused:
        await set_costs(retailer, aging=Aging(after_days=0, per_day=-1, most=0))
    assert [flaw.at for flaw in refused.value.flaws] == ["aging/after_days", "aging/per_day", "aging/most"]
