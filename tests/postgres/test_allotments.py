"""Fences and caps: a channel draws its fence, then common stock, then what it may borrow; what goes back goes home."""

from datetime import UTC, datetime, timedelta

import pytest

from malha.doctor import examine
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory import reads, service
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.errors import AllotmentCodeTaken, AllotmentEnded, FencesOverlap
from malha.inventory.allotments.model import AllotmentDraft, BorrowerDraft, FenceRow, Kind, Taker
from malha.inventory.allotments.reads import listed
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.testing.builders import World, a_network, a_product

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")


class Shop:
    """A small network with ten units of one SKU at DC."""

    def __init__(self, database: Database, world: World, sku: int) -> None:
        self.database, self.world, self.sku = database, world, sku
        self.at = world.locations["DC"]

    def taker(self, channel: str, group: str | None = None) -> Taker:
        return Taker(self.world.channels[channel], group)

    async def fence(self, code: str = "F", units: int = 4, **more: object) -> None:
        more = {"channels": ("mall",), "stock": (FenceRow("A", "DC", units),)} | more
        async with self.database.transaction() as tx:
            await allotments.put(tx, AllotmentDraft(code=code, name=code, kind=Kind.FENCE, **more), None)

    async def cap(self, code: str = "C", quota: int = 3, **more: object) -> None:
        async with self.database.transaction() as tx:
            await allotments.put(tx, AllotmentDraft(code=code, name=code, kind=Kind.CAP, quota=quota, **more), None)

    async def claim(self, order, channel: str, units: int, group: str | None = None) -> int | None:
        """Claim; return None, or how many units would have been open."""
        async with self.database.transaction() as tx:
            short = await service.reserve(
                tx,
                [Claim(self.sku, self.at, units)],
                Reference("order", order),
                taker=self.taker(channel, group),
            )
            return short[0].free if short else None

    async def give_back(self, order, units: int) -> None:
        async with self.database.transaction() as tx:
            await service.release(tx, [Claim(self.sku, self.at, units)], Reference("order", order))

    async def ship(self, order, units: int) -> None:
        async with self.database.transaction() as tx:
            await service.ship(tx, [Claim(self.sku, self.at, units)], Reference("order", order))

    async def state(self) -> tuple[int, int, int]:
        """Return common stock, units in fences, and what the first allotment has used."""
        async with self.database.snapshot() as tx:
            (row,) = await reads.availability(tx, [self.sku], [self.at])
            return row.free, row.fenced, (await listed(tx))[0].used

    async def drift(self) -> list[str]:
        """What the doctor finds, the claims of orders that have no rows here apart."""
        report = await examine(self.database)
        known = {"allocated_units", "draws_claimed", "cap_uses_claimed"}
        return [x for f in report.findings if f.drifts and f.check not in known for x in f.lines("en")]


@pytest.fixture
async def shop(database: Database) -> Shop:
    async with database.transaction() as tx:
        world = await a_network(tx)
        return Shop(database, world, await a_product(tx, world, "A", stock={"DC": 10}))


async def test_a_fence_is_open_to_its_channel_only_and_comes_before_common_stock(shop: Shop) -> None:
    await shop.fence(units=4)
    assert await shop.state() == (6, 4, 0)
    assert await shop.claim(new_id(), "web", 7) == 6
    first, second = new_id(), new_id()
    assert await shop.claim(first, "mall", 5) is None
    assert await shop.state() == (5, 0, 0)
    assert await shop.claim(second, "web", 5) is None
    assert await shop.claim(new_id(), "mall", 1) == 0
    assert await shop.drift() == []


async def test_what_is_given_back_goes_home_common_stock_first(shop: Shop) -> None:
    await shop.fence(units=4)
    order = new_id()
    await shop.claim(order, "mall", 6)
    assert await shop.state() == (4, 0, 0)
    await shop.give_back(order, 1)
    assert await shop.state() == (5, 0, 0)
    await shop.give_back(order, 3)
    assert await shop.state() == (6, 2, 0)
    await shop.ship(order, 1)
    await shop.give_back(order, 1)
    assert await shop.state() == (6, 3, 0)
    assert await shop.drift() == []
    async with shop.database.snapshot() as tx:
        (fence,) = await listed(tx)
    assert (fence.granted, fence.remaining, fence.drawn, fence.sold) == (4, 3, 0, 1)


async def test_units_of_a_fence_that_ended_go_back_to_common_stock(shop: Shop) -> None:
    await shop.fence(units=4)
    order = new_id()
    await shop.claim(order, "mall", 3)
    async with shop.database.transaction() as tx:
        await allotments.end(tx, "F")
    assert await shop.state() == (7, 0, 0)
    await shop.give_back(order, 3)
    assert await shop.state() == (10, 0, 0)
    assert await shop.drift() == []


async def test_a_channel_borrows_when_its_own_and_common_stock_are_used_up_and_not_before_its_time(shop: Shop) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    await shop.fence("NOW", 3, borrowers=(BorrowerDraft(channel="web"), BorrowerDraft(channel="till", since=later)))
    assert await shop.claim(new_id(), "till", 8) == 7
    order = new_id()
    assert await shop.claim(order, "web", 9) is None
    assert await shop.state() == (0, 1, 0)
    await shop.give_back(order, 2)
    assert await shop.state() == (0, 3, 0)
    await shop.give_back(order, 7)
    assert await shop.state() == (7, 3, 0)
    assert await shop.drift() == []


async def test_a_fence_for_a_customer_group_is_closed_to_other_buyers(shop: Shop) -> None:
    await shop.fence(units=8, channels=("web",), customer_groups=("vip",))
    assert await shop.claim(new_id(), "web", 3) == 2
    assert await shop.claim(new_id(), "web", 3, "gold") == 2
    assert await shop.claim(new_id(), "web", 10, "vip") is None
    assert await shop.drift() == []


async def test_a_count_that_finds_fewer_units_than_are_set_apart_shrinks_fences_in_proportion(shop: Shop) -> None:
    await shop.fence("F1", 6)
    await shop.fence("F2", 3, channels=("web",))
    async with shop.database.transaction() as tx:
        await service.set_on_hand(tx, [Claim(shop.sku, shop.at, 5)], Reference("count"), Reason.COUNT)
    async with shop.database.snapshot() as tx:
        left = {a.code: (a.remaining, a.granted, a.wanted) for a in await listed(tx)}
        assert await tx.value("SELECT count(*) FROM outbox WHERE type = 'stock.fence_shrunk'") == 2
    assert left == {"F1": (4, 4, 6), "F2": (1, 1, 3)}
    assert await shop.state() == (0, 5, 0)
    assert await shop.drift() == []


async def test_what_is_given_back_to_a_fence_but_is_not_there_any_more_is_lost_to_it(shop: Shop) -> None:
    await shop.fence(units=6)
    order, other = new_id(), new_id()
    await shop.claim(order, "mall", 6)
    await shop.claim(other, "web", 3)
    async with shop.database.transaction() as tx:
        await service.set_on_hand(tx, [Claim(shop.sku, shop.at, 5)], Reference("count"), Reason.COUNT)
    await shop.give_back(order, 6)
    async with shop.database.snapshot() as tx:
        (fence,) = await listed(tx)
    assert (fence.remaining, fence.granted) == (2, 2)
    assert await shop.drift() == []


async def test_a_fence_is_filled_up_as_stock_arrives_and_gives_back_what_it_should_not_have(shop: Shop) -> None:
    await shop.fence(units=15)
    assert await shop.state() == (0, 10, 0)
    async with shop.database.transaction() as tx:
        await service.receive(tx, [Claim(shop.sku, shop.at, 8)], Reference("receipt"))
    await allotments.care(shop.database)
    assert await shop.state() == (3, 15, 0)
    async with shop.database.transaction() as tx:
        (now,) = await listed(tx)
        draft = AllotmentDraft(code="F", name="F", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("A", "DC", 2),))
        await allotments.put(tx, draft, now.version)
    assert await shop.state() == (16, 2, 0)
    assert await shop.drift() == []


async def test_a_fence_begins_and_ends_by_its_dates(shop: Shop) -> None:
    now = datetime.now(UTC)
    await shop.fence("LATER", 4, starts_at=now + timedelta(hours=1))
    assert await shop.state() == (10, 0, 0)
    await allotments.care(shop.database)
    assert await shop.state() == (10, 0, 0)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE allotment SET starts_at = now() - interval '1 hour'")
    await allotments.care(shop.database)
    assert await shop.state() == (6, 4, 0)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE allotment SET ends_at = now() - interval '1 minute'")
    await allotments.care(shop.database)
    assert await shop.state() == (10, 0, 0)
    assert await shop.drift() == []


async def test_safety_stock_raised_above_common_stock_leaves_fences_as_they_are(shop: Shop) -> None:
    await shop.fence(units=4)
    async with shop.database.transaction() as tx:
        await service.set_safety(tx, [Claim(shop.sku, shop.at, 8)])
    assert await shop.claim(new_id(), "web", 1) == -2
    assert await shop.claim(new_id(), "mall", 5) == 4
    assert await shop.claim(new_id(), "mall", 4) is None
    assert await shop.drift() == []


async def test_fences_that_leave_it_open_which_a_channel_draws_from_are_refused(shop: Shop) -> None:
    await shop.fence("F1", 2)
    with pytest.raises(FencesOverlap):
        await shop.fence("F2", 2, channels=("web", "mall"))
    await shop.fence("F3", 2, channels=("web",))
    await shop.fence("F4", 2, stock=(FenceRow("A", "S1", 1),))
    soon = datetime.now(UTC) + timedelta(days=30)
    with pytest.raises(FencesOverlap):
        await shop.fence("F5", 2, starts_at=soon)
    async with shop.database.transaction() as tx:
        await allotments.end(tx, "F1")
    await shop.fence("F5", 2, starts_at=soon)


async def test_a_cap_lets_its_quota_through_and_takes_a_cancel_off(shop: Shop) -> None:
    await shop.cap(quota=3, channels=("mall",))
    first = new_id()
    assert await shop.claim(first, "mall", 2) is None
    assert await shop.claim(new_id(), "mall", 2) == 1
    assert await shop.claim(new_id(), "web", 5) is None
    await shop.give_back(first, 1)
    assert await shop.claim(new_id(), "mall", 2) is None
    await shop.ship(first, 1)
    assert await shop.state() == (2, 0, 3)
    assert await shop.claim(new_id(), "mall", 1) == 0
    assert await shop.drift() == []


async def test_what_cannot_be_is_refused_by_name(shop: Shop) -> None:
    with pytest.raises(Invalid) as refused:
        await shop.fence(channels=("nowhere",), stock=(FenceRow("A", "DC", 1), FenceRow("A", "DC", 2)), quota=3)
    assert {flaw.at for flaw in refused.value.flaws} == {"channels/0", "stock/1/sku", "quota"}
    await shop.fence()
    with pytest.raises(AllotmentCodeTaken):
        await shop.fence()
    async with shop.database.transaction() as tx:
        (now,) = await listed(tx)
    draft = AllotmentDraft(code="F", name="F", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("A", "DC", 1),))
    with pytest.raises(Conflict):
        async with shop.database.transaction() as tx:
            await allotments.put(tx, draft, now.version + 1)
    async with shop.database.transaction() as tx:
        ended = await allotments.end(tx, "F")
    with pytest.raises(AllotmentEnded):
        async with shop.database.transaction() as tx:
            await allotments.put(tx, draft, ended.version)


async def test_a_hold_draws_from_the_fence_and_its_order_takes_the_units_over(shop: Shop) -> None:
    await shop.fence(units=4)
    async with shop.database.transaction() as tx:
        channel = shop.world.channels["mall"]
        short = await service.place_hold(tx, "cart", [Claim(shop.sku, shop.at, 6)], seconds=60, channel_id=channel)
        assert short == []
    assert await shop.state() == (4, 0, 0)
    gate = Gate(shop.database)
    order = NewOrder(
        channel="mall", external_id="1", lines=[NewLine("A", 6, 100)], ship_to=SAO_PAULO, hold_reference="cart"
    )
    placed = await gate.submit(order)
    await gate.close()
    assert placed.lines[0].state == "allocated"
    assert await shop.state() == (4, 0, 0)
    assert [x for f in (await examine(shop.database)).findings if f.drifts for x in f.lines("en")] == []


async def test_an_expired_hold_gives_back_to_the_fence(shop: Shop) -> None:
    await shop.fence(units=4)
    async with shop.database.transaction() as tx:
        channel = shop.world.channels["mall"]
        await service.place_hold(tx, "cart", [Claim(shop.sku, shop.at, 6)], seconds=-1, channel_id=channel)
    assert await shop.state() == (6, 0, 0)
    async with shop.database.snapshot() as tx:  # of many balances it is asked in another way
        (found,) = await reads.availability(tx, [shop.sku], [shop.at])
        (row,) = await reads.availability_rows(tx, [shop.sku], [shop.at])
    held = (found.on_hand, found.allocated, found.held, found.safety, found.free, found.fenced)
    assert row == (shop.sku, shop.at, *held)
    async with shop.database.transaction() as tx:
        await service.retire_expired(tx)
    assert await shop.state() == (6, 4, 0)
    assert await shop.drift() == []
