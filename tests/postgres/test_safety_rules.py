"""Safety rules: the most specific wins, the sweep writes it, a quantity stated by hand stays, every answer has a reason."""

import io

import pytest

from malha.exchange import kinds
from malha.exchange.model import Kind
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.inventory.safety import reads, service
from malha.inventory.safety.errors import SafetyRuleCodeTaken, UnknownSafetyRule
from malha.inventory.safety.model import Measure, Precedence, Purpose, SafetyRuleDraft
from malha.network import ownership
from malha.network.model import LocationGroupDraft
from malha.platform.db import Actor, Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.imports import Mode, run_import
from malha.platform.sheets import Format
from malha.testing.builders import World, a_network, a_product


class Shop:
    def __init__(self, database: Database, world: World, skus: dict[str, int]) -> None:
        self.database, self.world, self.skus = database, world, skus

    async def rule(self, code: str, amount: int, **more) -> None:
        async with self.database.transaction() as tx:
            await service.put(tx, SafetyRuleDraft(code=code, name=code, amount=amount, **more), None)

    async def kept(self) -> dict[tuple[str, str], int]:
        """Sweep, and return what each balance keeps back."""
        await service.sweep(self.database)
        names = {id_: sku for sku, id_ in self.skus.items()}
        places = {id_: code for code, id_ in self.world.locations.items()}
        async with self.database.snapshot() as tx:
            rows = await stock.availability(tx, list(names))
        return {(names[r.sku_id], places[r.location_id]): r.safety for r in rows}


@pytest.fixture
async def shop(database: Database) -> Shop:
    """CUP and PLATE at DC and S1, the cup of a brand and a category below `home`."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        skus = {sku: await a_product(tx, world, sku, stock={"DC": 20, "S1": 10}) for sku in ("CUP", "PLATE")}
        await tx.execute("INSERT INTO category (code, name, path) VALUES ('home', 'Home', 'home')")
        await tx.execute("INSERT INTO category (parent_id, code, name, path) VALUES (1, 'cups', 'Cups', 'home/cups')")
        await tx.execute("UPDATE product SET category_id = 2, brand = 'Acme' WHERE code = 'CUP'")
    return Shop(database, world, skus)


async def test_the_most_specific_rule_wins_and_the_others_are_told_in_order(shop: Shop) -> None:
    await shop.rule("ALL", 1)
    await shop.rule("STORES", 2, location_kind="store")
    await shop.rule("CUPS", 3, category="home")
    await shop.rule("CUPS-STORES", 5, category="cups", location_kind="store")
    assert await shop.kept() == {("CUP", "DC"): 3, ("CUP", "S1"): 5, ("PLATE", "DC"): 1, ("PLATE", "S1"): 2}
    async with shop.database.snapshot() as tx:
        why = {k.location_id: k for k in await reads.explain(tx, shop.skus["CUP"])}[shop.world.locations["S1"]]
    assert [(m.rule.code, m.units, m.before_next) for m in why.routing] == [
        ("CUPS-STORES", 5, Precedence.MORE_CONDITIONS),
        ("STORES", 2, Precedence.DIMENSION),
        ("CUPS", 3, Precedence.MORE_CONDITIONS),
        ("ALL", 1, None),
    ]
    assert (why.units, why.override) == (5, None)


async def test_conditions_on_group_state_brand_product_and_sku_all_count(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await ownership.put_group(tx, "sul", LocationGroupDraft(name="Sul", locations=["S1"]), None)
    await shop.rule("GROUP", 1, location_group="sul", product="PLATE")
    await shop.rule("BRAND", 2, brand="ACME", state="SP")
    await shop.rule("SKU", 4, sku="PLATE", location="DC")
    await shop.rule("ELSEWHERE", 9, state="AC", brand="Acme", sku="CUP")
    assert await shop.kept() == {("CUP", "DC"): 2, ("CUP", "S1"): 2, ("PLATE", "DC"): 4, ("PLATE", "S1"): 1}


async def test_percent_follows_what_is_on_hand_and_days_what_left(shop: Shop) -> None:
    await shop.rule("PERCENT", 15, measure=Measure.PERCENT, location="S1")
    await shop.rule("DAYS", 7, measure=Measure.DAYS, location="DC")
    order = new_id()
    async with shop.database.transaction() as tx:
        claim = Claim(shop.skus["CUP"], shop.world.locations["DC"], 9)
        assert await inventory.reserve(tx, [claim], Reference("order", order)) == []
        await inventory.ship(tx, [claim], Reference("order", order))
    # 15 % of 10, rounded up; 9 units in 28 days are 2.25 in 7.
    assert await shop.kept() == {("CUP", "DC"): 3, ("CUP", "S1"): 2, ("PLATE", "DC"): 0, ("PLATE", "S1"): 2}


async def test_a_mistyped_quantity_of_millions_does_not_stop_the_sweep_of_the_others(shop: Shop) -> None:
    await shop.rule("PERCENT", 100, measure=Measure.PERCENT, location="S1")
    await shop.rule("DAYS", 2_000_000_000, measure=Measure.DAYS, location="DC")
    async with shop.database.transaction() as tx:
        wrong = Claim(shop.skus["CUP"], shop.world.locations["S1"], 78_900_000)
        await inventory.set_on_hand(tx, [wrong], Reference("test"))
        claim = Claim(shop.skus["CUP"], shop.world.locations["DC"], 9)
        order = Reference("order", new_id())
        assert await inventory.reserve(tx, [claim], order) == []
        await inventory.ship(tx, [claim], order)
    kept = await shop.kept()
    assert (kept["CUP", "S1"], kept["CUP", "DC"]) == (78_900_000, 642_857_143)
    assert kept["PLATE", "S1"] == 10


async def test_a_quantity_stated_by_hand_wins_until_it_is_taken_away(shop: Shop) -> None:
    await shop.rule("ALL", 4)
    key = (shop.skus["CUP"], shop.world.locations["DC"])
    async with shop.database.transaction() as tx:
        await inventory.set_safety(tx, [Claim(*key, 1)])
    kept = await shop.kept()
    assert (kept["CUP", "DC"], kept["CUP", "S1"]) == (1, 4)
    async with shop.database.transaction() as tx:
        why = {k.location_id: k for k in await reads.explain(tx, key[0])}[key[1]]
        assert (why.override, why.overridden_by, why.routing[0].units) == (1, "system", 4)
        assert await service.drop_overrides(tx, [key]) == 1
    assert (await shop.kept())["CUP", "DC"] == 4


async def test_a_table_of_stock_that_was_exported_and_comes_back_leaves_rules_in_force(shop: Shop) -> None:
    """Each balance of it had what its rule said stated by hand from then on: no rule reached any of them again."""
    await shop.rule("ALL", 4)
    async with shop.database.transaction() as tx:
        await inventory.set_safety(tx, [Claim(shop.skus["PLATE"], shop.world.locations["S1"], 2)])
    await shop.kept()
    pieces = kinds.export(Kind.STOCK, Format.CSV, shop.database, Actor("person", "ana"))
    table = b"".join([piece async for piece in pieces])
    report = await run_import(shop.database, kinds.target_of(Kind.STOCK), io.BytesIO(table), mode=Mode.ALL)
    assert (report.changed, report.unchanged, report.problems) == (0, 4, [])
    await shop.rule("CUPS", 6, sku="CUP")
    assert await shop.kept() == {("CUP", "DC"): 6, ("CUP", "S1"): 6, ("PLATE", "DC"): 4, ("PLATE", "S1"): 2}


async def test_a_rule_that_is_deleted_or_over_keeps_nothing_back_and_says_that_more_may_be_sold(shop: Shop) -> None:
    await shop.rule("ALL", 4)
    await shop.rule("CUP", 6, sku="CUP")
    assert (await shop.kept())["CUP", "DC"] == 6
    async with shop.database.transaction() as tx:
        await service.remove(tx, "CUP", 1)
        await tx.execute("UPDATE safety_rule SET ends_at = now() - interval '1 hour' WHERE code = 'ALL'")
    assert set((await shop.kept()).values()) == {0}
    async with shop.database.snapshot() as tx:
        told = await tx.values("SELECT payload ->> 'reason' FROM outbox WHERE type = 'stock.increased'")
    assert told[-1] == "safety"


async def test_what_is_not_published_depends_on_the_channel_and_is_kept_apart_from_what_is_claimed(shop: Shop) -> None:
    await shop.rule("ROUTING", 1)
    await shop.rule("ONLINE", 3, purpose=Purpose.ONLINE)
    await shop.rule("MALL", 5, purpose=Purpose.ONLINE, channel="mall", sku="CUP")
    assert set((await shop.kept()).values()) == {1}
    async with shop.database.snapshot() as tx:
        rows = await tx.tuples("SELECT sku_id, channel_id, quantity FROM safety_online WHERE location_id = 1")
    mall = shop.world.channels["mall"]
    assert set(rows) == {
        (shop.skus["CUP"], 0, 3),
        (shop.skus["PLATE"], 0, 3),
        (shop.skus["CUP"], mall, 5),
        (shop.skus["PLATE"], mall, 3),
    }


async def test_a_trial_tells_what_would_change_and_changes_nothing(shop: Shop) -> None:
    await shop.rule("ALL", 4)
    before = await shop.kept()
    async with shop.database.transaction() as tx:
        trial = await service.try_out(tx, SafetyRuleDraft(code="CUP", name="Cup", amount=1, sku="CUP"))
    assert (trial.balances, trial.more, trial.fewer, trial.complete) == (2, 0, 6, True)
    assert {(r.sku, r.location, r.before, r.after) for r in trial.rows} == {("CUP", "DC", 4, 1), ("CUP", "S1", 4, 1)}
    assert await shop.kept() == before


async def test_the_sweep_does_nothing_while_nothing_changes_and_goes_on_where_it_stopped(shop: Shop) -> None:
    await shop.rule("ALL", 2)
    assert await service.sweep(shop.database) == 4
    assert await service.sweep(shop.database) == 0
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE balance SET safety = 9")
    assert await service.sweep(shop.database) == 0
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE safety_sweep SET after_sku = 1")
    assert await service.sweep(shop.database) == 2


async def test_what_cannot_be_is_refused_by_name(shop: Shop) -> None:
    with pytest.raises(Invalid) as refused:
        await shop.rule("X", 101, measure=Measure.PERCENT, location="NO", state="XX", channel="web", sku="NO")
    assert {f.at for f in refused.value.flaws} == {"amount", "location", "state", "channel", "sku"}
    await shop.rule("A", 1)
    with pytest.raises(SafetyRuleCodeTaken):
        await shop.rule("A", 1)
    async with shop.database.transaction() as tx:
        with pytest.raises(UnknownSafetyRule):
            await service.remove(tx, "B", 1)
    with pytest.raises(Conflict):
        async with shop.database.transaction() as tx:
            await service.put(tx, SafetyRuleDraft(code="A", name="A", amount=2), 7)
