"""Sites: locations of several owners on one shelf. What they share is the same everywhere; what is theirs stays apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import time, timedelta

import pytest
from test_network import a_location, a_network, an_establishment
from tests.waiting import waiting

from malha.capacity import picking
from malha.capacity import reads as slots
from malha.capacity import service as capacity
from malha.capacity.errors import SlotFull
from malha.capacity.model import Kind, Template
from malha.doctor import examine
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.fulfillment import service as fulfillment
from malha.intake import availability
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.intake.reference import reference_in
from malha.inventory.counts import freezing
from malha.inventory.counts import reads as count_reads
from malha.inventory.counts import service as counts
from malha.inventory.counts.errors import AlreadyFrozen, LocationFrozen, ZoneFrozen
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Limits, LineState, Source
from malha.inventory.counts.raising import raise_for
from malha.inventory.transfers import reads as transfer_reads
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.errors import DocumentNeeded, WrongTransferState
from malha.inventory.transfers.model import Arrival, Departure, TransferDraft, TransferState
from malha.network import imports, ownership, reads, service
from malha.network.errors import OwnerTwiceAtSite, SharedByAll, SiteIsClosed, SiteShared
from malha.network.model import LocationDraft, LocationKind, LocationStatus
from malha.ordering.model import HoldKind
from malha.platform.address import Address
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.tabular import Row
from malha.testing import builders
from malha.testing.builders import Sold, a_product, an_access_key, an_order, an_owner_at, in_days

SHARED = (
    "status", "paused_reason", "paused_until", "address", "state", "postal_code", "latitude", "longitude", "timezone",
    "opening_hours", "holiday_calendar", "can_ship", "can_pickup", "can_curbside", "can_return", "cut_off",
    "daily_capacity", "handling_cost", "line_cost", "pickup_days",
)  # fmt: skip


def at_site(code: str, site: str, establishment: str = "E2", **facts: object) -> LocationDraft:
    return LocationDraft(code=code, name=code, kind=LocationKind.STORE, establishment=establishment, site=site, **facts)


async def agreed(tx: Tx, site: str, count: int) -> None:
    """All at a site share what is shared, closures included."""
    first, *others = await reads.locations_at_sites(tx, [site])
    assert len(others) == count - 1
    for other in others:
        assert [getattr(other, name) for name in SHARED] == [getattr(first, name) for name in SHARED], other.code
        assert await reads.closures(tx, other.id) == await reads.closures(tx, first.id)


async def flaws_of(tx: Tx, *drafts: LocationDraft) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        await service.put_locations(tx, drafts)
    return {p["at"]: p["says"] for p in refused.value.facts["problems"]}


async def test_what_a_site_shares_is_written_to_all_who_are_there_and_follows_every_change(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.close_days(tx, "SP01", [in_days(3)], "Works")
        await service.put_locations(tx, [at_site("SP01-V", "SP01")])
        await agreed(tx, "SP01", 2)
        moved = a_location(
            "SP01", opening_hours={"tue": [("10:00", "20:00")]}, cut_off=time(11), daily_capacity=7, can_pickup=True,
            can_ship=False, handling_cost=333, pickup_days=3, address=Address(postal_code="20040-002", number="5"),
        )  # fmt: skip
        await service.put_locations(tx, [moved])
        await agreed(tx, "SP01", 2)
        member = await reads.location_by_code(tx, "SP01-V")
        assert member is not None
        assert (member.state, member.daily_capacity, member.cut_off) == ("RJ", 7, time(11))
        await service.close_days(tx, "SP01-V", [in_days(5)], "Holiday")  # said of one, so of all
        await service.open_days(tx, "SP01", [in_days(3)])
        await agreed(tx, "SP01", 2)
        first = await reads.location_by_code(tx, "SP01")
        assert first is not None
        assert [c.day for c in await reads.closures(tx, first.id)] == [in_days(5)]
        revision = await reads.revision(tx)
        await service.put_locations(tx, [at_site("SP01-V", "SP01")])
        assert await reads.revision(tx) == revision  # the same said again changes nothing


async def test_a_site_is_paused_closed_and_opened_as_a_whole_but_an_owner_can_leave_alone(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.put_locations(tx, [at_site("SP01-V", "SP01")])
        until = await tx.now() + timedelta(hours=2)
        await service.set_location_status(tx, "SP01-V", LocationStatus.PAUSED, reason="Flood", until=until)
        await agreed(tx, "SP01", 2)
        first = await reads.location_by_code(tx, "SP01")
        assert first is not None
        assert (first.status, first.paused_reason) == (LocationStatus.PAUSED, "Flood")
        assert sorted(await service.resume_locations(tx, ["SP01-V"])) == ["SP01", "SP01-V"]
        assert sorted(await service.pause_locations(tx, ["SP01"], "Again")) == ["SP01", "SP01-V"]
        await tx.execute("UPDATE location SET paused_until = now() - interval '1 minute' WHERE status = 'paused'")
        assert sorted(await service.resume_due(tx)) == ["SP01", "SP01-V"]
        await service.set_location_status(tx, "SP01-V", LocationStatus.CLOSED)
        await service.pause_locations(tx, ["SP01"], "Works")
        states = {x.code: x.status.value for x in await reads.locations_at_sites(tx, ["SP01"])}
        assert states == {"SP01": "paused", "SP01-V": "closed"}
        await service.set_location_status(tx, "SP01-V", LocationStatus.ACTIVE)
        await agreed(tx, "SP01", 2)  # back, and paused as the site is
        await service.set_location_status(tx, "SP01", LocationStatus.CLOSED)
        await agreed(tx, "SP01", 2)
        with pytest.raises(SiteIsClosed):
            await service.set_location_status(tx, "SP01-V", LocationStatus.ACTIVE)
        assert await tx.value("SELECT count(*) FROM audit WHERE entity_id = 'SP01-V' AND action = 'set_status'") == 7


async def test_what_cannot_be_at_a_site_is_refused_with_its_field(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.put_locations(tx, [at_site("SP01-V", "SP01")])
        assert await flaws_of(tx, at_site("X", "SP01-V")) == {"/site": "{value} is itself at the site of {site}."}
        assert "/site" in await flaws_of(tx, at_site("X", "X"))
        assert await flaws_of(tx, at_site("X", "NOWHERE")) == {"/site": "There is no location {value}."}
        assert "/site" in await flaws_of(tx, a_location("SP01", site="AM01"))  # others are at its site
        twice = "The goods of {owner} at this site are kept at {location} already."
        assert await flaws_of(tx, at_site("X", "SP01", "E1")) == {"/establishment": twice}
        assert await flaws_of(tx, a_location("SP01", establishment="E2")) == {"/establishment": twice}
        assert await flaws_of(tx, at_site("X", "AM01"), at_site("Y", "AM01")) == {"/1/establishment": twice}
        elsewhere = at_site(
            "SP01-V", "SP01", address=Address(city="Niterói", state="RJ"), timezone="America/Manaus", daily_capacity=9,
            opening_hours={"sun": [("08:00", "12:00")]},
        )  # fmt: skip
        shared = "This is shared by the whole site of {site}."
        flaws = await flaws_of(tx, elsewhere)
        assert {at for at, says in flaws.items() if says == shared} >= {
            "/address/street", "/timezone", "/opening_hours", "/daily_capacity",
        }  # fmt: skip
        with pytest.raises(OwnerTwiceAtSite):
            await ownership.set_owner(tx, "SP01-V", "E1")
        await ownership.set_owner(tx, "AM01", "E2")
        assert "/establishment" in await flaws_of(
            tx, at_site("X", "AM01")
        )  # by the stated owner, not its establishment
        await service.put_locations(tx, [at_site("X", "AM01", "E1")])


async def test_an_owner_cannot_come_to_a_site_twice_however_many_try_at_once(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)

    async def come(code: str) -> bool:
        async with database.transaction() as tx:
            try:
                await service.put_locations(tx, [at_site(code, "SP01")])
            except Invalid:
                return False
            return True

    assert sum(await asyncio.gather(*[come(f"V{n}") for n in range(5)])) == 1


async def test_who_changes_two_locations_of_a_site_do_not_wait_for_one_another(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.put_locations(tx, [at_site("SP01-V", "SP01")])

    async def change(tx: Tx, draft: LocationDraft) -> None:
        version = await service.lock(tx, "location", draft.code)
        await service.update_location(tx, draft, version)

    async def change_first() -> None:
        async with database.transaction() as tx:
            await change(tx, a_location("SP01", daily_capacity=7))

    async with database.transaction() as tx:
        await service.lock(tx, "location", "SP01-V")
        first = asyncio.create_task(change_first())
        while not await waiting(database):
            assert not first.done()
        await change(tx, at_site("SP01-V", "SP01", priority=3))
    await first
    async with database.transaction() as tx:
        await agreed(tx, "SP01", 2)
        member = await reads.location_by_code(tx, "SP01-V")
        assert member is not None
        assert (member.priority, member.daily_capacity) == (3, 7)


async def test_locations_come_to_a_site_and_leave_it(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.close_days(tx, "RJ01", [in_days(1)], "Its own")
        await service.close_days(tx, "SP01", [in_days(2)], "Works")
        await service.put_locations(tx, [at_site("RJ01", "SP01")])
        await agreed(tx, "SP01", 2)
        alone = a_location("RJ01", establishment="E2", address=Address(city="Niterói", state="RJ"))
        await service.put_locations(tx, [alone])
        left = await reads.location_by_code(tx, "RJ01")
        assert left is not None
        assert (left.site, left.state) == (None, "RJ")
        await service.set_location_status(tx, "SP01", LocationStatus.CLOSED)
        assert (await reads.location_by_code(tx, "RJ01")).status is LocationStatus.ACTIVE


async def test_who_sees_only_an_owners_location_changes_nothing_of_its_site(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.put_locations(tx, [at_site("SP01-V", "SP01")])
        ids = (await reads.snapshot(tx)).location_ids
    async with database.transaction(actor=Actor("person", "V", locations=frozenset({ids["SP01-V"]}))) as tx:
        with pytest.raises(SiteShared):
            await service.pause_locations(tx, ["SP01-V"], "Mine")
        with pytest.raises(SiteShared):
            await service.close_days(tx, "SP01-V", [in_days(1)], "Mine")
        with pytest.raises(SharedByAll):
            await service.put_locations(tx, [a_location("SP01-V", establishment="E2")])  # would leave the site
        rows = [{"code": "SP01-V", "site": "AM01"}, {"code": "SP01-V", "site": "NOWHERE"}]
        told = [(await _handle(tx, [row])).flaws[2][0] for row in rows]
        assert {(flaw.at, flaw.says) for flaw in told} == {("site", "There is no location {value}.")}
        await service.set_location_status(tx, "SP01-V", LocationStatus.CLOSED)
    async with database.transaction(actor=Actor("person", "S", locations=frozenset({ids["SP01"]}))) as tx:
        await service.pause_locations(tx, ["SP01"], "The shelf is mine")


async def test_an_exported_site_is_read_back_unchanged_and_a_preview_says_what_is_wrong(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.put_locations(tx, [at_site("A-V", "SP01")])
        owners = {e.id: e for e in await reads.establishments(tx)}
        header, *rows = imports.location_rows(await reads.locations(tx), owners)
        assert [row[0] for row in rows][-1] == "A-V"  # a site before what is at it
        table = [dict(zip(header, row, strict=True)) for row in rows]
        assert {row["code"]: row["site"] for row in table}["A-V"] == "SP01"
        told = await _handle(tx, table)
        assert (told.created, told.changed, told.unchanged, told.flaws) == (0, 0, 4, {})
        new = [
            {"code": "N1", "name": "N1", "establishment": "E1", "postal_code": "01310-100"},
            {"code": "N2", "name": "N2", "establishment": "E2", "site": "N1"},
            {"code": "N3", "name": "N3", "establishment": "E2", "site": "N1"},
            {"code": "N4", "name": "N4", "establishment": "E1", "site": "A-V"},
        ]
        told = await _handle(tx, new)
        assert (told.created, sorted(told.flaws)) == (2, [4, 5])
        assert (await _handle(tx, new[:2], apply=True)).created == 2
        await agreed(tx, "N1", 2)


async def _handle(tx: Tx, table: list[dict[str, object]], *, apply: bool = False):
    parse = {column.name: column.parse for column in imports.COLUMNS}
    rows = [
        Row(line, {k: parse[k](str(v)) if parse[k] else v for k, v in row.items() if v not in {None, ""}}, {})
        for line, row in enumerate(table, 2)
    ]
    return await imports.LocationImport().handle(tx, rows, apply=apply, turn=0)


# --- the whole way, with every location split between two owners ---


@asynccontextmanager
async def a_gate(database: Database) -> AsyncIterator[Gate]:
    gate = Gate(database)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.close()


async def split(tx: Tx, **facts: object) -> builders.World:
    """Return a network in which a franchise has a location at the site of each other one."""
    world = await builders.a_network(tx, **facts)
    for code in list(world.locations):
        await an_owner_at(tx, world, code, "SP9", root="98765432")
    return world


def wanted(n: object, *lines: tuple[str, int], channel: str = "mall", **more: object) -> NewOrder:
    more.setdefault("ship_to", Address(postal_code="01310100", city="São Paulo", state="SP", street="R", number="1"))
    return NewOrder(channel=channel, external_id=str(n), lines=[NewLine(s, q, 1000) for s, q in lines], **more)


async def found_sound(database: Database) -> None:
    report = await examine(database)
    assert [f.lines("en") for f in report.findings if f.drifts] == []


async def test_a_channel_gets_only_goods_of_owners_it_sells_and_their_owner_invoices_them(database: Database) -> None:
    async with database.transaction() as tx:
        world = await split(tx)
        await a_product(tx, world, "CUP", stock={"DC": 2, "DC-SP9": 9, "S1-SP9": 9})
        await ownership.set_channel_owners(tx, "mall", ["11222333", "AB345678"])
        await ownership.set_channel_owners(tx, "till", ["98765432"])
        reference = await reference_in(tx)
        cards = await reference.cards(tx, ["CUP"])
        for code, units in (("mall", 2), ("till", 18), ("web", 20)):
            told = await availability.offers(tx, reference, reference.channels[code], cards)
            assert told.skus[0].available == units
            assert any(c.endswith("-SP9") for c in told.locations) is (code != "mall")
            assert ("DC" in told.locations) is (code != "till")
    async with a_gate(database) as gate:
        placed = await asyncio.gather(
            *[gate.enqueue(wanted(n, ("CUP", 1))) for n in range(4)],
            *[gate.enqueue(wanted(f"t{n}", ("CUP", 2), channel="till")) for n in range(3)],
            return_exceptions=True,
        )
    mall, till = placed[:4], placed[4:]
    assert [len([x for x in mall if not isinstance(x, Exception)]), len(till)] == [2, 3]  # the rest was refused
    assert {line.location for x in mall if not isinstance(x, Exception) for line in x.lines} == {"DC"}
    assert {line.location for x in till for line in x.lines} <= {"DC-SP9", "S1-SP9"}
    async with database.transaction() as tx:
        own = await an_order(tx, world, [Sold(await a_product(tx, world, "OWN", stock={"DC": 1}))])
        theirs = await an_order(
            tx, world, [Sold(await a_product(tx, world, "THEIRS", stock={"DC-SP9": 1}), at="DC-SP9")]
        )
        await ownership.set_owner(tx, "S2", "SP1")  # stated, not its establishment's
        stated = await an_order(tx, world, [Sold(await a_product(tx, world, "STATED", stock={"S2": 1}), at="S2")])
        for number, (order, owner) in enumerate(((own, "SP1"), (theirs, "SP9"), (stated, "SP1")), 70):
            [work] = await fulfillment.release_order(tx, order)
            await fulfillment.confirm_pick(tx, work.id)
            await fulfillment.pack(tx, work.id)
            others = {"SP1", "RJ1", "SP9"} - {owner}
            for other in sorted(others):
                key = an_access_key(world, other, number=number)
                with pytest.raises(Invalid):
                    await fiscal.record_document(tx, work.id, DocumentFacts(access_key=key))
            key = an_access_key(world, owner, number=number)
            await fiscal.record_document(tx, work.id, DocumentFacts(access_key=key))
            said = "SELECT establishment_id FROM fiscal_document WHERE source_id = %(id)s::uuid"
            issuer = await tx.value(said, {"id": work.id})
            assert issuer == world.establishments[owner]
    await found_sound(database)


async def test_the_capacity_of_a_site_is_one_however_many_owners_it_has(database: Database) -> None:
    async with database.transaction() as tx:
        world = await split(tx, capacity=3)
        sku = await a_product(tx, world, "A", stock={"DC": 50, "DC-SP9": 50})
        orders = [await an_order(tx, world, [Sold(sku, at=("DC", "DC-SP9")[n % 2])]) for n in range(10)]

    async def release(some):
        async with database.transaction() as tx:
            return await fulfillment.release(tx, some)

    parts = await asyncio.gather(*[release(orders[n::3]) for n in range(3)])
    assert sum(len(p.work) for p in parts) == 10
    async with database.transaction() as tx:
        days = await tx.values(
            "SELECT sum(taken)::int FROM location_day GROUP BY day HAVING sum(taken) > 0 ORDER BY day"
        )
        assert days == [3, 3, 3, 1]
        at = {x.code: x for x in await reads.locations_at_sites(tx, ["DC"])}
        today = capacity.today_at(at["DC"], await tx.now())
        told = await reads.capacity_taken(tx, [x.id for x in at.values()], [today])
        assert {told[x.id, today] for x in at.values()} == {3}
        reference = await reference_in(tx)
        index = reference.network.index
        assert {reference.taken[index[at[code].id]] for code in at} == {3}
    await found_sound(database)


async def test_the_gate_counts_claims_of_all_owners_against_a_sites_capacity(database: Database) -> None:
    async with database.transaction() as tx:
        world = await split(tx, capacity=2)
        await a_product(tx, world, "A", stock={"DC": 50, "DC-SP9": 50, "S1": 50})
    async with a_gate(database) as gate:
        first = await gate.submit(wanted(1, ("A", 1)))
    async with database.transaction() as tx:
        await a_product(tx, world, "B", stock={"DC-SP9": 50, "S1": 50})
    async with a_gate(database) as gate:
        second = await gate.submit(wanted(2, ("B", 1)))
    async with a_gate(database) as gate:  # a gate counts anew when it opens
        third = await gate.submit(wanted(3, ("B", 1)))
    assert [x.lines[0].location for x in (first, second, third)] == ["DC", "DC-SP9", "S1"]
    await found_sound(database)


async def test_slots_are_a_sites_whichever_owners_location_is_named(database: Database) -> None:
    async with database.transaction() as tx:
        await split(tx)
        at = {x.code: x for x in await reads.locations_at_sites(tx, ["S1"])}
        week = [Template(day, time(0), time(23, 59), 1) for day in range(1, 8)]
        await capacity.set_templates(tx, at["S1-SP9"], {Kind.PICKUP: week, Kind.PICK: week})
        assert await slots.stating(tx, Kind.PICKUP) == [at["S1"].id]
        day = in_days(1)
        await capacity.hold(tx, at["S1-SP9"], Kind.PICKUP, day, time(0), reference="cart", seconds=600)
        for place in at.values():
            [slot] = await slots.slots(tx, [place], [Kind.PICKUP], [day])
            assert (slot.key.location_id, slot.left) == (at["S1"].id, 0)
            with pytest.raises(SlotFull):
                await capacity.hold(tx, place, Kind.PICKUP, day, time(0), reference="other", seconds=600)
        assert set(await picking.stated(tx, at.values())) == {x.id for x in at.values()}
        offered = await capacity.offers(tx, at.values(), Kind.PICKUP, ready={x.id: await tx.now() for x in at.values()})
        assert offered[at["S1"].id] == offered[at["S1-SP9"].id] != []
    await found_sound(database)


async def test_a_customer_collects_goods_of_any_owner_at_the_counter_of_the_site(database: Database) -> None:
    async with database.transaction() as tx:
        world = await split(tx)
        await a_product(tx, world, "A", stock={"S1-SP9": 1, "DC": 5})
    async with a_gate(database) as gate:
        placed = await gate.submit(wanted(1, ("A", 1), method="pickup", pickup_location="S1", ship_to=None))
    assert [line.location for line in placed.lines] == ["S1-SP9"]
    await found_sound(database)


async def test_a_site_that_is_counted_stands_still_for_all_its_owners(database: Database) -> None:
    async with database.transaction() as tx:
        world = await split(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5, "DC-SP9": 5})
        draft = CountDraft(location_id=world.locations["DC"], kind=CountKind.PHYSICAL, freeze=True)
        number = await counts.raise_count(tx, draft)
        assert {x.status.value for x in await reads.locations_at_sites(tx, ["DC"])} == {"paused"}
        with pytest.raises(LocationFrozen):
            await freezing.refuse_frozen(tx, [(sku, world.locations["DC-SP9"])])
        with pytest.raises(AlreadyFrozen):
            await freezing.freeze(tx, world.locations["DC-SP9"])
        await counts.cancel(tx, number, "enough")
        assert {x.status.value for x in await reads.locations_at_sites(tx, ["DC"])} == {"active"}


async def test_goods_change_their_owner_on_the_shelf_at_once_and_nothing_is_ever_on_its_way(database: Database) -> None:
    async with database.transaction(actor=Actor("person", "Ana", permissions=frozenset({"stock:approve"}))) as tx:
        world = await split(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC-SP9": 10})
        order = await an_order(tx, world, [Sold(cup, 2, at=None)], holds=[HoldKind.SHORTAGE])
        places = {"origin_id": world.locations["DC-SP9"], "destination_id": world.locations["DC"]}
        number = await transfers.request(tx, TransferDraft(**places, lines=[(cup, 6)]))
        await transfers.approve(tx, number)
        with pytest.raises(DocumentNeeded):
            await transfers.ship(tx, number, Departure())  # two companies: the fiscal rules ask for one between them
        await transfers.ship(tx, number, Departure(quantities={1: 5}, document="NF 1"))
        head = await transfer_reads.transfer(tx, number)
        assert head is not None
        assert (head.state, head.changes_owner) == (TransferState.CLOSED, True)
        assert (await transfer_reads.transfer_lines(tx, head.id))[0].arrived == 5
        assert await on_hand(tx) == {"DC-SP9": 5, "DC": 5}
        assert await tx.values("SELECT DISTINCT bucket FROM movement") == ["sellable"]
        assert await tx.values("SELECT type FROM outbox WHERE key LIKE 'transfer:%%' ORDER BY seq") == [
            "transfer.requested", "transfer.approved", "transfer.shipped", "transfer.received",
        ]  # fmt: skip
        with pytest.raises(WrongTransferState):
            await transfers.receive(tx, number, Arrival(id=new_id(), lines=[]))
        apart = TransferDraft(origin_id=world.locations["DC"], destination_id=world.locations["S1"], lines=[(cup, 1)])
        number = await transfers.request(tx, apart)
        await transfers.approve(tx, number)
        await transfers.ship(tx, number, Departure())  # the same owner elsewhere: no document, and a way to go
        assert (await transfer_reads.transfer(tx, number)).state == TransferState.SHIPPED
        assert order
    await found_sound(database)


async def test_one_shelf_is_counted_once_and_what_differs_is_divided_between_its_owners(database: Database) -> None:
    async with database.transaction(actor=Actor("person", "Ana", permissions=frozenset({"stock:approve"}))) as tx:
        world = await split(tx)
        both = await a_product(tx, world, "BOTH", stock={"DC": 6, "DC-SP9": 3})
        theirs = await a_product(tx, world, "THEIRS", stock={"DC-SP9": 4})
        nobodys = await a_product(tx, world, "NOBODYS")
        draft = CountDraft(location_id=world.locations["DC"], kind=CountKind.PHYSICAL, limits=Limits(10, 10**6))
        number = await counts.raise_count(tx, draft)
        head = await count_reads.task(tx, number)
        assert head is not None
        assert head.places == [world.locations["DC"], world.locations["DC-SP9"]]
        lines = await count_reads.lines(tx, head.id)
        assert [line.sku for line in lines] == ["BOTH", "THEIRS"]  # one line a SKU, whoever has it
        found = [Entry(both, 5), Entry(theirs, 5), Entry(nobodys, 1)]
        states = await counts.enter(tx, number, found, set_aside={both: 1})  # one of the six is picked already
        assert set(states.values()) == {LineState.ACCEPTED}
        lines = {line.sku: (line.expected, line.variance) for line in await count_reads.lines(tx, head.id)}
        assert lines == {"BOTH": (9, -3), "THEIRS": (4, 1), "NOBODYS": (0, 1)}
        await counts.close(tx, number, {})
        there = "SELECT v.sku, p.code, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id"
        rows = await tx.tuples(f"{there} JOIN location p ON p.id = b.location_id WHERE b.on_hand <> 0 ORDER BY 1, 2")
        assert rows == [("BOTH", "DC", 4), ("BOTH", "DC-SP9", 2), ("NOBODYS", "DC", 1), ("THEIRS", "DC-SP9", 5)]
    await found_sound(database)


async def test_one_owners_goods_can_be_counted_alone_and_what_the_system_raises_is_of_the_shelf(
    database: Database,
) -> None:
    async with database.transaction(actor=Actor("person", "Ana", permissions=frozenset({"stock:approve"}))) as tx:
        world = await split(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 6, "DC-SP9": 3})
        alone = CountDraft(location_id=world.locations["DC-SP9"], skus=[sku], owner_alone=True, limits=Limits(9, 10**6))
        number = await counts.raise_count(tx, alone)
        await counts.enter(tx, number, [Entry(sku, 1)], {})
        await counts.close(tx, number, {})
        assert await on_hand(tx) == {"DC": 6, "DC-SP9": 1}
        raised = await raise_for(tx, world.locations["DC-SP9"], [sku], Source.SHORT_PICK)
        again = await raise_for(tx, world.locations["DC"], [sku], Source.SHORT_PICK)
        assert raised.number == again.number  # one shelf, one count
        head = await count_reads.task(tx, raised.number)
        assert head is not None
        assert (head.location, len(head.places)) == ("DC", 2)
        zone = CountDraft(location_id=world.locations["DC-SP9"], skus=[sku], freeze_zone=True)
        await counts.raise_count(tx, zone)
        assert (await count_reads.frozen_goods(tx))[sku] == {world.locations["DC"], world.locations["DC-SP9"]}
        with pytest.raises(ZoneFrozen):
            await freezing.refuse_frozen(tx, [(sku, world.locations["DC-SP9"])])
    await found_sound(database)


async def on_hand(tx: Tx) -> dict[str, int]:
    return dict(
        await tx.tuples(
            "SELECT p.code, sum(on_hand)::int FROM balance b JOIN location p ON p.id = b.location_id"
            " WHERE on_hand <> 0 GROUP BY 1"
        )
    )


async def test_establishments_may_be_made_for_a_site(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_establishments(tx, [an_establishment(), an_establishment("E2", "12ABC34501DE35", state="SP")])
        # a site and who is there, said at once
        await service.put_locations(tx, [at_site("V", "SP01"), a_location("SP01")])
        await agreed(tx, "SP01", 2)
