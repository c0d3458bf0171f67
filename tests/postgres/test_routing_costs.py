"""What a retailer sets of routing's costs: stored, seen by the gate at its next look, by waves, and told in the decision."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from two_wares import a_gate, an_order, open_shop, stocked

from malha.doctor import examine
from malha.fiscal import tax_cost_reads, tax_costs
from malha.fiscal.tax_cost_reads import TaxCost
from malha.flows import order_waves
from malha.fulfillment import learning_risks
from malha.intake.gate import Gate
from malha.platform.db import Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.i18n import speaking
from malha.platform.ids import UUID, new_id
from malha.routing import cost_reads, costs, waves
from malha.routing import reads as routing
from malha.routing.cost_model import Carton, ChannelCosts, Costs, Kind, Markdown, Reach, Restriction, Step
from malha.routing.cost_rules import Learned, Lived, centavos_of, learn
from malha.routing.model import Reason
from malha.routing.pricing.wave import plan_held
from malha.routing.records import Record, read_record, replay
from malha.routing.telling import Explanation

RECIFE = (-8.05, -34.9)


@pytest.fixture
async def retailer(database: Database) -> AsyncIterator[Database]:
    """L1 in SP costs 1100 a parcel, L2 in RJ 1200, L3 in PE 1300. A and B are everywhere. Nothing may drift."""
    stores = [("Near", "SP", 1000), ("Far", "RJ", 1100), ("Recife", "PE", 1200)]
    async with database.transaction() as tx:
        await open_shop(tx, stores, shortage="backorder", release_after=30)
        await stocked(tx, {(ware, store): 9 for ware in (1, 2) for store in (1, 2, 3)})
        await tx.execute("UPDATE product SET ncm = '64039900', brand = 'Acme', attributes = '{\"Perigoso\": \"Sim\"}'")
        await tx.execute("UPDATE location SET latitude = %s, longitude = %s WHERE code = 'L3'", RECIFE)
    yield database
    report = await examine(database)
    assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


@pytest.fixture
async def gate(retailer: Database) -> AsyncIterator[Gate]:
    async with a_gate(retailer) as gate:
        yield gate


async def set_costs(database: Database, **stated: object) -> int:
    async with database.transaction() as tx:
        return await costs.set_costs(tx, Costs(**stated), None)  # type: ignore[arg-type]


async def set_taxes(database: Database, *rows: tuple[str, str, str, int]) -> None:
    async with database.transaction() as tx:
        found = [TaxCost(from_state=a, to_state=b, ncm=ncm, basis_points=points) for a, b, ncm, points in rows]
        await tax_costs.replace(tx, found, None)


async def place(gate: Gate, number: int | str, *skus: str) -> tuple[UUID, list[str | None]]:
    """Place an order at a gate that has looked at its reference data; return it and where its lines go."""
    gate._cache.expire()
    placed = await gate.submit(an_order(number, *skus))
    return placed.id, [line.location for line in placed.lines]


async def decided(database: Database, order_id: UUID) -> tuple[Record, Explanation]:
    async with database.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, order_id)
        stored = await tx.value(
            "SELECT record::text FROM routing_decision WHERE order_id = %s::uuid ORDER BY attempt DESC LIMIT 1",
            [order_id],
        )
    assert told is not None
    record = read_record(stored)
    again = replay(record)
    assert (again.cost, again.basis.costs, again.basis.amounts) == (record.cost, record.costs, record.amounts)
    return record, told


async def test_without_any_setting_a_record_says_nothing_of_terms(gate: Gate, retailer: Database):
    order, where = await place(gate, 1, "A")
    assert where == ["L1"]
    record, told = await decided(retailer, order)
    assert (record.terms, record.amounts, record.split, record.fees, record.cost) == (None, [], 0, [], 1100)
    assert told.alternatives[0].tax == 0


async def test_tax_by_states_and_class_sends_an_order_elsewhere_and_is_a_term_of_its_own(
    gate: Gate, retailer: Database
):
    await set_taxes(retailer, ("SP", "SP", "64", 1800), ("*", "*", "", 1200), ("RJ", "SP", "6403", 700))
    order, where = await place(gate, 1, "A")  # 1990: 358 from SP, 139 from RJ, 239 from PE
    assert where == ["L2"]
    record, told = await decided(retailer, order)
    assert record.cost == 1200 + 139
    assert [(a.locations[0].code, a.tax, a.cost) for a in told.alternatives] == [
        ("L2", 139, 1339), ("L1", 358, 1458), ("L3", 239, 1539),
    ]  # fmt: skip
    assert told.sentences == ["Tax makes R$2.19 of the difference."]
    await set_taxes(retailer)
    assert (await place(gate, 2, "A"))[1] == ["L1"]


async def test_cartons_count_in_every_parcel_and_a_penalty_in_each_beyond_the_first(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await stocked(tx, {(1, 1): 0, (1, 3): 0, (2, 2): 0, (2, 3): 0})  # A at L2 only, B at L1 only
    await set_costs(
        retailer, split_penalty=300, cartons=[Carton(max_grams=100, price=40), Carton(max_grams=900, price=90)],
        channels=[ChannelCosts(channel="web", split_penalty=250)],
    )  # fmt: skip
    order, where = await place(gate, 1, "A", "B")
    assert where == ["L2", "L1"]
    record, told = await decided(retailer, order)
    assert record.cost == 1200 + 1100 + 2 * 40 + 250
    (chosen,) = [a for a in told.alternatives if a.chosen]
    assert (chosen.split, chosen.carton, chosen.cost) == (250, 80, record.cost)


async def test_two_owners_goods_leave_one_site_where_that_saves_more_than_it_costs(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:  # A at L2 only; B at L1, and as another owner's goods where L2 is
        await stocked(tx, {(1, 1): 0, (1, 3): 0, (2, 2): 0, (2, 3): 0})
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) "
            "VALUES (1, 'E2', 'E2', '12345678000276', 'RJ')"
        )
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, site_id, state, handling_cost, can_pickup) "
            "SELECT 'L4', 'Far, E2', kind, 2, id, state, handling_cost, can_pickup FROM location WHERE code = 'L2'"
        )
        await stocked(tx, {(2, 4): 9})
    await set_costs(retailer, split_penalty=200)
    order, where = await place(gate, 1, "A", "B")
    assert where == ["L2", "L1"]  # 1200 + 1100 + 200
    record, _ = await decided(retailer, order)
    assert record.sites == []
    await set_costs(retailer, split_penalty=200, same_site=150)
    order, where = await place(gate, 2, "A", "B")
    assert where == ["L2", "L4"]  # 1200 + 1200 + 200 - 150
    record, told = await decided(retailer, order)
    ids = record.location_ids()
    assert [(saving, [ids[p] for p in those]) for saving, those in record.sites] == [(150, [2, 4])]
    assert record.cost == 2450
    chosen, other = told.alternatives
    assert (chosen.cost, chosen.split, chosen.same_site) == (2450, 200, -150)
    assert (other.cost, other.split, other.same_site) == (2500, 200, 0)
    assert [spot.code for spot in other.locations] == ["L1", "L2"]
    assert "Parcels that leave one site together make R$1.50 of the difference." in told.sentences
    await set_costs(retailer, split_penalty=200, same_site=90_000)
    record, _ = await decided(retailer, (await place(gate, 3, "A", "B"))[0])
    assert record.sites[0][0] == 200 + 100, "never more than the penalty and one handling"


async def test_goods_go_only_where_they_are_served_and_only_so_far(gate: Gate, retailer: Database):
    await set_costs(
        retailer,
        restrictions=[
            Restriction(kind=Kind.BRAND, value="ACME", locations=["L1"]),
            Restriction(kind=Kind.ATTRIBUTE, value="perigoso=sim", locations=["L1", "L2", "L3"], only=True),
        ],
        reach=[Reach(location="L3", max_km=1_000)],
    )
    order, where = await place(gate, 1, "A")
    assert where == ["L2"]
    _, told = await decided(retailer, order)
    assert {(r.location.code, r.reason) for r in told.rejected} == {("L1", Reason.PRODUCT), ("L3", Reason.DISTANCE)}
    assert {r.says for r in told.rejected} == {
        "It does not serve goods like A.",
        "It is farther from the destination than it, or the channel web, may ship: 2,128 km.",
    }


async def test_a_location_that_gives_work_back_is_dearer_once_enough_is_known(gate: Gate, retailer: Database):
    await set_costs(retailer, reroute_cost=2_000)
    few = {1: Lived(works=90, refused=60), 2: Lived(works=90)}
    many = {1: Lived(works=180, refused=60), 2: Lived(works=180)}
    async with retailer.transaction() as tx:
        await costs.keep_risks(tx, learn(few))
    assert (await place(gate, 1, "A"))[1] == ["L1"]  # 180 outcomes say too little
    async with retailer.transaction() as tx:
        version = await costs.keep_risks(tx, learn(many))
    order, where = await place(gate, 2, "A")
    assert where == ["L2"]
    record, told = await decided(retailer, order)
    assert record.learned == version
    by_place = {a.locations[0].code: a.rejection for a in told.alternatives}
    # (60 + 20/6) / 200 and (20/6) / 200, drawn to one in six; L3 is not known.
    assert by_place == {"L1": 630, "L2": 30, "L3": 0}


def test_a_location_with_little_of_its_own_is_taken_for_the_mean_of_all():
    found = learn({1: Lived(works=1, refused=1, promises=3), 2: Lived(works=399, refused=19)})
    assert found[1].rejection == pytest.approx((1 + 20 * 0.05) / 21)
    assert found[2].rejection == pytest.approx((19 + 20 * 0.05) / 419)
    assert found[1].lateness is None
    assert [centavos_of(p, 1_999) for p in (None, 0.0, 0.0475, 1.0)] == [0, 0, 90, 2000]


async def test_what_locations_did_is_counted_from_their_work_and_promises(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        for n in range(6):
            order = new_id()
            await tx.execute(
                "INSERT INTO sales_order (id, channel_id, external_id, status, release_after, currency, items_total, total, placed_at, method, body_hash) "
                "VALUES (%s, 1, %s, 'allocated', now(), 'BRL', 1, 1, now(), 'ship', gen_random_uuid())",
                (order, f"h{n}"),
            )
            await tx.execute(
                "INSERT INTO fulfillment_order (id, order_id, location_id, method, state, capacity_day, due_at) "
                "VALUES (%s, %s, %s, 'ship', %s, current_date, now())",
                (new_id(), order, 1 + n % 2, ["closed", "closed", "rejected", "closed", "open", "cancelled"][n]),
            )
            if n == 2:
                await tx.execute(
                    "INSERT INTO routing_exclusion (order_id, line, location_id, reason) VALUES (%s, 1, 1, 'damaged')",
                    (order,),
                )
            await tx.execute(
                "INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, placed_at, promised_at,"
                " delivered_at) VALUES (%s, %s, 1, %s, 'ship', now(), now() - interval '2 days', %s)",
                (new_id(), order, 1 + n % 2, None if n == 5 else f"2020-01-01 0{n}:00Z" if n < 4 else "2999-01-01"),
            )
        assert await learning_risks.looked_back(tx) == {1: Lived(2, 1, 3, 1), 2: Lived(2, 0, 2, 0)}
    assert await learning_risks.renew(retailer)
    assert not await learning_risks.renew(retailer), "not again within hours"
    async with retailer.snapshot() as tx:
        (first, second) = await cost_reads.risks(tx)
    assert (second.location, second.works, second.refused, second.rejection) == ("L1", 2, 1, None)
    assert first.location == "L2"
    async with retailer.transaction() as tx:  # made by hand, they have no lines: the doctor would say so
        await tx.execute("DELETE FROM fulfillment_order")
        await tx.execute("DELETE FROM sales_order")


async def test_broken_promises_cost_where_a_penalty_is_set(gate: Gate, retailer: Database):
    await set_costs(retailer, late_penalty=1_000)
    async with retailer.transaction() as tx:
        await costs.keep_risks(tx, learn({1: Lived(promises=300, broken=150), 2: Lived(promises=300)}))
    order, where = await place(gate, 1, "A")
    assert where == ["L2"]
    _, told = await decided(retailer, order)
    assert {a.locations[0].code: a.lateness for a in told.alternatives} == {"L1": 480, "L2": 20, "L3": 0}


async def test_a_location_whose_day_fills_up_costs_more(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await tx.execute("UPDATE location SET daily_capacity = 4 WHERE code = 'L1'")
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
    await set_costs(retailer, capacity=[Step(percent=25, price=50), Step(percent=50, price=150)])
    found = []
    for number in range(4):
        order, (where,) = await place(gate, number, "A")
        record, _ = await decided(retailer, order)
        found.append((where, record.cost))
    assert found == [("L1", 1100), ("L1", 1150), ("L2", 1200), ("L2", 1200)]


async def test_aged_stock_leaves_first_and_no_cost_goes_below_zero(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        rows = [Markdown(sku="A", location="L3", centavos=5_000), Markdown(sku="A", location="L2", centavos=90)]
        await costs.set_markdowns(tx, rows, None)
    order, where = await place(gate, 1, "A")
    assert where == ["L3"]
    record, told = await decided(retailer, order)
    assert record.cost == 0
    assert {a.locations[0].code: a.credit for a in told.alternatives} == {"L3": -1300, "L2": -90, "L1": 0}


async def test_a_wave_sees_the_costs_that_the_gate_sees(gate: Gate, retailer: Database):
    order, where = await place(gate, 1, "A")
    assert where == ["L1"]
    await set_taxes(retailer, ("SP", "*", "", 2_000))
    proposed = await plan_held(retailer, least=50)
    assert [step.to for group in proposed.groups for step in group] == [[(1, 2)]]
    async with retailer.transaction() as tx:
        wave = await waves.begin(tx)
    outcome = await order_waves.carry_out(retailer, wave, proposed, 50)
    assert (outcome.moved, outcome.saved) == (1, 1100 + 398 - 1200)
    record, _ = await decided(retailer, order)
    assert record.cost == 1200


async def test_what_cannot_be_is_refused_with_its_place(retailer: Database):
    wrong = Costs(
        split_penalty=-1,
        cartons=[Carton(max_grams=5, price=1), Carton(max_grams=5, price=2)],
        capacity=[Step(percent=50, price=90), Step(percent=60, price=10)],
        channels=[ChannelCosts(channel="nope")],
        reach=[Reach(location="L1", max_km=0)],
        restrictions=[
            Restriction(kind=Kind.NCM, value="123", locations=["L9"]),
            Restriction(kind=Kind.ATTRIBUTE, value="cold", locations=[]),
        ],
    )
    with pytest.raises(Invalid) as refused:
        async with retailer.transaction() as tx:
            await costs.set_costs(tx, wrong, None)
    assert [flaw.at for flaw in refused.value.flaws] == [
        "split_penalty", "cartons/1/max_grams", "capacity/1", "channels/0/channel", "reach/0/max_km",
        "restrictions/0/value", "restrictions/0/locations", "restrictions/1/value", "restrictions/1/locations",
    ]  # fmt: skip
    with pytest.raises(Invalid) as refused:
        await set_taxes(retailer, ("XX", "SP", "1a", 10_001), ("SP", "SP", "", 1), ("SP", "SP", "", 2))
    assert [flaw.at for flaw in refused.value.flaws] == [
        "rows/0/from_state", "rows/0/ncm", "rows/0/basis_points", "rows/2",
    ]  # fmt: skip
    with pytest.raises(Invalid) as refused:
        async with retailer.transaction() as tx:
            await costs.set_markdowns(tx, [Markdown(sku="Z", location="L9", centavos=0)], None)
    assert [flaw.at for flaw in refused.value.flaws] == ["rows/0/centavos", "rows/0/sku", "rows/0/location"]


async def test_of_two_who_change_the_same_version_one_is_refused(retailer: Database):
    await set_taxes(retailer, ("SP", "SP", "", 1))

    read = asyncio.Barrier(2)

    async def change(points: int) -> int:
        async with retailer.transaction() as tx:
            version = await tax_cost_reads.version(tx)
            await read.wait()
            row = TaxCost(from_state="SP", to_state="SP", basis_points=points)
            return await tax_costs.replace(tx, [row], version)

    done = await asyncio.gather(change(10), change(20), return_exceptions=True)
    assert [type(one) for one in done if isinstance(one, Exception)] == [Conflict]
    first = await set_costs(retailer, split_penalty=5)
    async with retailer.transaction() as tx:
        assert await costs.set_costs(tx, Costs(split_penalty=6), first) == first + 1
    with pytest.raises(Conflict):
        async with retailer.transaction() as tx:
            await costs.set_costs(tx, Costs(split_penalty=7), first)


def test_what_is_learned_of_nobody_is_nothing():
    assert learn({}) == {}
    assert learn({1: Lived()}) == {1: Learned(Lived(), None, None)}
