"""What a channel shows of stock is compared with what it was told; what a channel states becomes a source's snapshot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from linked_world import CODE, SECRETS, Linked, linked

from malha.channels import pushing, sending
from malha.channels import reads as channel_reads
from malha.channels import service as channels
from malha.channels.connecting import (
    doctor,
    housekeeping,
    reads,
    service,
    stock_looks,
    stock_reads,
    stock_service,
    turns,
)
from malha.channels.connecting.errors import NothingToTell, SourceTaken, StockRoleChanged
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.stock_reads import Difference
from malha.channels.connecting.stock_service import RoleDraft
from malha.channels.errors import PushNotFound
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.flows import stock_from_channels
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.flaws import Invalid
from malha.platform.subscribers import drain
from malha.testing.builders import a_product
from peer_shop import Peer, peer_shop

OVER_IT = PushDraft(kind=PushKind.CONNECTOR)


@pytest.fixture
async def shop(database, tmp_path):
    """A channel that was told of A (52) and B (30) over its connection."""
    async with linked(database, tmp_path) as made:
        async with database.transaction() as tx:
            await channels.put_push(tx, "web", OVER_IT, 0, made.keys)
        await push(made)
        assert shown(made) == {"A": 52, "B": 30}
        yield made


def shown(shop: Linked) -> dict[str, int]:
    return {code: quantity for code, (_, quantity) in shop.peer.stock.items()}


def show(shop: Linked, code: str, quantity: int) -> None:
    """Have the channel show a quantity that nobody told it."""
    shop.peer.stock[code] = (shop.peer.stock.get(code, (0, 0))[0], quantity)


async def push(shop: Linked) -> None:
    senders = sending.senders(shop.runtime)
    for _ in range(4):
        await drain(shop.database, SUBSCRIPTIONS)
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE stock_push SET next_at = now()")
            due = await channel_reads.due(tx)
        await pushing.push(shop.database, senders, due)


async def move(shop: Linked, sku: str, units: int) -> None:
    async with shop.database.transaction() as tx:
        sku_id = await tx.value("SELECT id FROM variant WHERE sku = %s", (sku,))
        await inventory.adjust(tx, [Claim(sku_id, shop.world.locations["DC"], units)], Reason.LOSS, Reference("test"))


async def told_again(shop: Linked) -> None:
    """Have the time come of what is to be told again, and told."""
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE listing SET again_at = now() WHERE again_at IS NOT NULL")
    await push(shop)


async def look(shop: Linked, *, again_s: float = 0.0) -> dict[str, Difference]:
    """Compare, and return what differed both times."""
    await stock_looks.ensure(shop.runtime)
    await shop.due()
    done = await turns.work(
        shop.runtime, stock_looks.STREAM, partial(stock_looks.look, again_s=again_s), asyncio.Event()
    )
    assert done == 1
    return await differing(shop)


async def differing(shop: Linked) -> dict[str, Difference]:
    async with shop.database.transaction() as tx:
        newest = await stock_reads.looks(tx, await tx.value("SELECT id FROM connection WHERE code = 'loja'"), 1)
        if not newest:
            return {}
        return {found.code: found for found in await stock_reads.differences(tx, newest[0].id)}


async def test_a_channel_that_shows_what_it_was_told_does_not_differ(shop: Linked):
    assert await look(shop) == {}
    assert await shop.rows("SELECT shown, listed, passing, underway, differing FROM stock_look") == [(2, 2, 0, 0, 0)]
    assert [path for method, path, _ in shop.peer.asked if path.startswith("/stock?")] == ["/stock?limit=3"]


async def test_each_way_to_differ_has_its_cause(shop: Linked):
    async with shop.database.transaction() as tx:
        for sku in ("C", "D", "E", "F"):
            await a_product(tx, shop.world, sku, stock={"DC": 5})
    shop.peer.refuses["C"] = "no photo"
    await push(shop)
    async with shop.database.transaction() as tx:
        await channels.put_listings(tx, "web", [ListingDraft("D", active=False)])
        await tx.execute("UPDATE listing SET sent_quantity = 4 WHERE code = 'E'")
        await tx.execute("UPDATE listing SET sent_quantity = NULL WHERE code = 'F'")
        await tx.execute("UPDATE stock_push SET resend_after = NULL, next_at = now() + interval '1 day'")
    show(shop, "A", 50)
    del shop.peer.stock["B"]
    show(shop, "E", 4)
    show(shop, "F", 9)
    show(shop, "GHOST", 3)
    show(shop, "SOLD-OUT-GHOST", 0)
    found = await look(shop)
    assert {code: (each.cause, each.shown, each.told, each.ours) for code, each in found.items()} == {
        "A": ("changed", 50, 52, 52),
        "B": ("missing", None, 30, 30),
        "C": ("refused", None, None, 5),
        "D": ("delisted", 5, None, 5),
        "E": ("behind", 4, 4, 5),
        "F": ("never_told", 9, None, 5),
        "GHOST": ("unlisted", 3, None, 0),
    }
    assert found["C"].error == "no_product no photo"
    assert found["GHOST"].sku is None


async def test_where_the_channel_is_not_told_of_stock_that_is_the_cause(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE stock_push SET active = false")
    show(shop, "A", 50)
    assert {code: each.cause for code, each in (await look(shop)).items()} == {"A": "push_off"}
    async with shop.database.transaction() as tx:
        with pytest.raises(NothingToTell):
            await stock_service.tell_again(tx, CODE)


async def test_what_passes_by_itself_between_two_readings_does_not_count(shop: Linked):
    show(shop, "A", 50)
    show(shop, "B", 7)
    looking = asyncio.create_task(look(shop, again_s=0.6))
    while not any(path.startswith("/stock?") for _, path, _ in shop.peer.asked):
        assert not looking.done()
        await asyncio.sleep(0.01)
    show(shop, "A", 52)  # what was asked for is in the first answer already, all of it
    assert {code: each.shown for code, each in (await looking).items()} == {"B": 7}
    assert await shop.rows("SELECT passing, differing FROM stock_look") == [(1, 1)]


async def test_what_is_being_told_is_not_compared_unless_that_takes_too_long(shop: Linked):
    async with shop.database.transaction() as tx:
        a = await tx.value("SELECT id FROM variant WHERE sku = 'A'")
        await inventory.adjust(tx, [Claim(a, shop.world.locations["DC"], -2)], Reason.LOSS, Reference("test"))
    await drain(shop.database, SUBSCRIPTIONS)
    assert await look(shop) == {}
    assert await shop.rows("SELECT underway, differing FROM stock_look") == [(1, 0)]
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE stock_change SET changed_at = now() - interval '11 minutes'")
    assert {code: each.cause for code, each in (await look(shop)).items()} == {"A": "behind"}


async def test_a_kit_whose_part_is_being_told_is_not_compared(shop: Linked):
    async with shop.database.transaction() as tx:
        a = await tx.value("SELECT id FROM variant WHERE sku = 'A'")
        await a_product(tx, shop.world, "KIT", components={a: 10})
        await channels.put_listings(tx, "web", [ListingDraft("KIT")])
    await push(shop)
    assert shown(shop)["KIT"] == 5
    async with shop.database.transaction() as tx:
        await inventory.adjust(tx, [Claim(a, shop.world.locations["DC"], -12)], Reason.LOSS, Reference("test"))
    await drain(shop.database, SUBSCRIPTIONS)
    assert await look(shop) == {}
    await push(shop)
    assert (await look(shop), shown(shop)["KIT"]) == ({}, 3)


async def test_told_again_it_is_right_and_what_does_not_hold_counts_its_repairs(shop: Linked):
    show(shop, "A", 50)
    show(shop, "B", 7)
    first = await look(shop)
    async with shop.database.transaction() as tx:
        assert await stock_service.tell_again(tx, CODE, codes=["A"]) == 1
    await push(shop)
    assert shown(shop) == {"A": 52, "B": 7}
    show(shop, "A", 50)  # somebody there knows better
    again = await look(shop)
    assert {code: (each.repairs, each.since == first[code].since) for code, each in again.items()} == {
        "A": (1, True),
        "B": (0, True),
    }
    async with shop.database.transaction() as tx:
        assert await stock_service.tell_again(tx, CODE, causes=["changed", "unlisted"]) == 2
    await push(shop)
    assert shown(shop) == {"A": 52, "B": 30}
    assert await look(shop) == {}
    actions = await shop.values("SELECT action FROM audit WHERE entity = 'connection' AND action = 'tell_again'")
    assert len(actions) == 2


async def test_a_listing_of_which_the_channel_does_not_say_what_became_holds_up_no_other(shop: Linked):
    async with shop.database.transaction() as tx:
        await a_product(tx, shop.world, "C", stock={"DC": 5})
    shop.peer.mumbles = {"B"}
    await move(shop, "A", -2)
    await move(shop, "B", -3)
    await push(shop)
    assert shown(shop) == {"A": 50, "B": 30, "C": 5}
    held = "SELECT code, sent_quantity, error FROM listing WHERE error IS NOT NULL"
    why = "nobody knows whether the channel took it, so it is told again by itself: status reindexing"
    assert await shop.rows(held) == [("B", None, why)]
    assert await shop.rows("SELECT failures, error FROM stock_push") == [(0, None)]
    # Not at once, and each time later; once the channel says what becomes of it, it is told the newest quantity.
    waits = "SELECT again_at - sent_at > interval '4 seconds', doubts FROM listing WHERE again_at IS NOT NULL"
    assert await shop.rows(waits) == [(True, 1)]
    await told_again(shop)
    assert await shop.rows(waits.replace("4 ", "9 ")) == [(True, 2)]
    await move(shop, "B", -1)
    shop.peer.mumbles = set()
    await told_again(shop)
    assert shown(shop) == {"A": 50, "B": 26, "C": 5}
    assert await shop.rows(held) == []
    assert await shop.rows("SELECT DISTINCT again_at, doubts FROM listing") == [(None, 0)]


@asynccontextmanager
async def another_shop(shop: Linked) -> AsyncIterator[Peer]:
    """A shop beside the first one, which may be asked too."""
    async with peer_shop() as peer:
        settings = msgspec.structs.replace(shop.settings, outward_allow=(shop.peer.allowed, peer.allowed))
        former = shop.runtime
        async with Runtime(shop.database, settings, timeout_s=1.0, keep=True) as shop.runtime:
            yield peer
        shop.runtime = former


async def test_a_connection_that_goes_on_hears_of_what_another_one_was_told_meanwhile(shop: Linked):
    async with another_shop(shop) as other:
        second = ConnectionDraft(
            code="outra",
            name="Outra",
            connector="generic",
            channel="web",
            config={"base_url": other.url},
            secrets=SECRETS,
        )
        async with shop.database.transaction() as tx:
            await service.add_connection(tx, second, shop.keys)
            await service.resume(tx, "outra")
        await push(shop)
        assert other.stock.keys() == {"A", "B"}
        async with shop.database.transaction() as tx:
            await service.pause(tx, "outra")
        await move(shop, "B", -29)
        await push(shop)
        assert shown(shop) == {"A": 52, "B": 1}
        async with shop.database.transaction() as tx:
            await service.resume(tx, "outra")
        await push(shop)
        assert {code: quantity for code, (_, quantity) in other.stock.items()} == {"A": 52, "B": 1}


async def test_a_connection_that_leads_to_another_shop_by_now_tells_it_of_everything(shop: Linked):
    async with another_shop(shop) as other:
        async with shop.database.transaction() as tx:
            found = await service.connection_of(tx, CODE)
            config = {**found.config, "base_url": other.url}
            draft = ConnectionDraft(
                code=CODE, name="Loja", connector="generic", channel="web", config=config, secrets=SECRETS
            )
            await service.change_connection(tx, draft, found.version, shop.keys)
        await push(shop)
        assert {code: quantity for code, (_, quantity) in other.stock.items()} == {"A": 52, "B": 30}


async def test_a_quantity_that_nobody_knows_the_fate_of_is_told_though_it_is_what_was_told_before_it(shop: Linked):
    shop.peer.mumbles = {"B"}
    await move(shop, "B", -3)
    await push(shop)
    show(shop, "B", 27)  # it was taken all the same
    await move(shop, "B", 3)
    shop.peer.mumbles = set()
    await told_again(shop)
    assert shown(shop)["B"] == 30


async def test_telling_again_needs_somebody_who_tells(shop: Linked):
    show(shop, "A", 50)
    await look(shop)
    async with shop.database.transaction() as tx:
        await channels.drop_push(tx, "web", 1)
    async with shop.database.transaction() as tx:
        with pytest.raises(PushNotFound):
            await stock_service.tell_again(tx, CODE)


async def test_a_channel_that_cannot_be_read_to_the_end_is_not_compared(shop: Linked):
    async with shop.database.transaction() as tx:
        for n in range(6):
            await a_product(tx, shop.world, f"P{n}", stock={"DC": 1})
    await push(shop)
    shop.peer.fail("GET /stock", "status 502", times=1)
    assert await look(shop) == {}  # a page that did not come is asked for again
    assert len(await shop.values("SELECT 1 FROM stock_look")) == 1
    shop.peer.fail("GET /stock", "status 403", times=1)
    assert await look(shop) == {}
    assert len(await shop.values("SELECT 1 FROM stock_look")) == 1
    assert await shop.rows("SELECT failures, error IS NULL FROM connection_cursor WHERE stream = 'stock_look'") == [
        (1, False)
    ]


async def test_a_channel_that_cannot_say_its_stock_still_gives_its_orders_and_is_told_of_stock(shop: Linked):
    await stock_looks.ensure(shop.runtime)
    stopping = asyncio.Event()
    stopping.set()  # a page that does not come is asked for once
    shop.peer.fail("GET /stock", "status 500", times=8)
    for _ in range(8):
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE connection_cursor SET next_at = now() - interval '1 second'")
        await turns.work(shop.runtime, stock_looks.STREAM, stock_looks.look, stopping)
    assert await shop.rows("SELECT failures FROM connection_cursor WHERE stream = 'stock_look'") == [(8,)]
    standing = await shop.health()
    assert (standing.failures, standing.breaker and standing.breaker["until"]) == (8, None)


async def test_two_workers_compare_once(shop: Linked):
    show(shop, "A", 50)
    await stock_looks.ensure(shop.runtime)
    await shop.due()
    do = partial(stock_looks.look, again_s=0.1)
    done = await asyncio.gather(*(turns.work(shop.runtime, stock_looks.STREAM, do, asyncio.Event()) for _ in range(3)))
    assert sorted(done) == [0, 0, 1]
    assert len(await shop.values("SELECT 1 FROM stock_look")) == 1
    async with shop.database.transaction() as tx:
        await stock_service.compare(tx, CODE)
    assert await turns.work(shop.runtime, stock_looks.STREAM, do, asyncio.Event()) == 1


async def test_the_doctor_of_connections_says_what_differs(shop: Linked):
    async def found() -> doctor.Finding:
        return next(f for f in await doctor.examine(shop.runtime, CODE) if f.check == "stock")

    assert (await found()).text("en") == "variants on the first page: 2, not compared yet"
    show(shop, "A", 50)
    await look(shop)
    told = await found()
    assert not told.ok
    assert told.text("en").endswith("1 differ")


async def test_old_comparisons_go_and_the_newest_stays(shop: Linked):
    show(shop, "A", 50)
    await look(shop)
    await look(shop)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE stock_look SET ended_at = now() - interval '31 days'")
        await housekeeping.forget_old(tx)
    assert len(await shop.values("SELECT 1 FROM stock_look")) == 1
    assert set(await differing(shop)) == {"A"}


# --- a connection that states stock ---


async def declare(shop: Linked, *, scope: str = "partial", skew: int = 2, **words: str) -> None:
    """Have the connection state the stock of S1 (or as `words` say) as its truth."""
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE movement SET occurred_at = occurred_at - interval '1 day'")
        places = sorted(set(words.values()) or {"S1"})
        await sources.add_source(tx, SourceDraft(code="shop", name="Shop", truth=places, skew_seconds=skew))
        await stock_service.put_role(tx, CODE, RoleDraft(source="shop", scope=scope), 0)
        for theirs, ours in (words or {"Centro": "S1"}).items():
            await service.put_method(tx, CODE, "location", theirs, ours)


async def state(shop: Linked) -> None:
    await shop.due()
    assert await turns.work(shop.runtime, stock_service.STATEMENTS, stock_from_channels.state, asyncio.Event()) == 1
    for id_ in await shop.values("SELECT id FROM stock_snapshot WHERE state = 'applying' ORDER BY seq"):
        await applying.apply(shop.database, id_)


def held(sku: str, place: str, quantity: int, *, ago_s: float = 60.0, **more: int) -> dict:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {"sku": sku, "location": place, "quantity": quantity, "as_of": at.isoformat(), **more}


async def on_hand(shop: Linked, place: str) -> dict[str, int]:
    return dict(
        await shop.rows(
            """SELECT v.sku, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id
               JOIN location l ON l.id = b.location_id WHERE l.code = %(place)s::text""",
            {"place": place},
        )
    )


async def test_what_a_channel_states_of_its_places_becomes_the_stock_of_ours(shop: Linked):
    await declare(shop)
    shop.peer.places = [held("A", "Centro", 9), held("B", "Centro", 4, on_hand=6), held("A", "Norte", 77)]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 9, "B": 6}
    assert await shop.rows("SELECT theirs, ours FROM method_mapping ORDER BY 1") == [("Centro", "S1"), ("Norte", None)]
    (error,) = await shop.values("SELECT error FROM connection_cursor WHERE stream = 'stock_source'")
    assert error == "not mapped: Norte"
    async with shop.database.transaction() as tx:
        assert await service.put_method(tx, CODE, "location", "Norte", "DC") == 0
        source = await sources.reads.source(tx, "shop")
        draft = SourceDraft(code="shop", name="Shop", truth=["S1", "DC"])
        await sources.change_source(tx, draft, source.version)
    shop.peer.places = [held("A", "Centro", 9, ago_s=10), held("A", "Norte", 77, ago_s=10)]
    await state(shop)
    assert await on_hand(shop, "DC") == {"A": 77, "B": 30}
    assert await shop.rows("SELECT name, client, scope FROM stock_snapshot ORDER BY seq") == [
        ("Loja", f"connection:{CODE}", "partial"),
        ("Loja", f"connection:{CODE}", "partial"),
    ]


async def test_what_moved_here_since_is_not_undone_by_a_statement_from_before(shop: Linked):
    await declare(shop)
    shop.peer.places = [held("A", "Centro", 9, ago_s=600)]
    async with shop.database.transaction() as tx:
        a = await tx.value("SELECT id FROM variant WHERE sku = 'A'")
        await inventory.adjust(tx, [Claim(a, shop.world.locations["S1"], -1)], Reason.LOSS, Reference("test"))
    await state(shop)
    assert (await on_hand(shop, "S1"))["A"] == 8


async def test_a_statement_older_than_the_last_is_refused_and_said(shop: Linked):
    await declare(shop)
    shop.peer.places = [held("A", "Centro", 9, ago_s=20)]
    await state(shop)
    shop.peer.places = [held("A", "Centro", 3, ago_s=300)]
    await state(shop)
    assert (await on_hand(shop, "S1"))["A"] == 9
    (error,) = await shop.values("SELECT error FROM connection_cursor WHERE stream = 'stock_source'")
    assert "not newer" in error


async def test_pages_of_different_moments_are_stated_apart_or_refused_where_all_must_be_of_one(shop: Linked):
    await declare(shop)
    shop.peer.places = [held("A", "Centro", 9, ago_s=90), held("B", "Centro", 4, ago_s=30)]
    await state(shop)
    assert len(await shop.values("SELECT 1 FROM stock_snapshot")) == 2
    assert await on_hand(shop, "S1") == {"A": 9, "B": 4}
    async with shop.database.transaction() as tx:
        await stock_service.put_role(tx, CODE, RoleDraft(source="shop", scope="whole"), 1)
    shop.peer.places = [held("A", "Centro", 1, ago_s=19), held("B", "Centro", 1, ago_s=5)]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 9, "B": 4}
    (error,) = await shop.values("SELECT error FROM connection_cursor WHERE stream = 'stock_source'")
    assert "took 14 s" in error


async def test_a_whole_statement_that_would_empty_too_much_waits_for_a_person(shop: Linked):
    async with shop.database.transaction() as tx:
        for n in range(4):
            await a_product(tx, shop.world, f"P{n}", stock={"S1": 3})
    await declare(shop, scope="whole")
    shop.peer.places = [held("A", "Centro", 9)]
    await state(shop)
    assert await shop.values("SELECT state FROM stock_snapshot") == ["waiting"]
    assert (await on_hand(shop, "S1"))["P0"] == 3


async def test_an_unknown_code_is_held_with_the_snapshot_and_the_others_count(shop: Linked):
    async with shop.database.transaction() as tx:
        await channels.put_listings(tx, "web", [ListingDraft("B", code="blue-one")])
    await declare(shop)
    shop.peer.places = [held("A", "Centro", 9), held("blue-one", "Centro", 4), held("NOBODY", "Centro", 1)]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 9, "B": 4}
    assert await shop.rows("SELECT held, rows FROM stock_snapshot") == [(1, 3)]


@pytest.mark.parametrize("scope", ["partial", "whole"])
async def test_a_quantity_that_is_no_number_is_held_and_shown_and_the_others_count(shop: Linked, scope: str):
    await declare(shop, scope=scope)
    shop.peer.places = [held("A", "Centro", 9), held("B", "Centro", 4)]
    await state(shop)
    shop.peer.places = [held("A", "Centro", 8, ago_s=30), held("B", "Centro", "sob consulta", ago_s=30)]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 8, "B": 4}
    assert await shop.rows("SELECT sku, location, stated FROM stock_snapshot_held") == [("B", "S1", '"sob consulta"')]
    (error,) = await shop.values("SELECT error FROM connection_cursor WHERE stream = 'stock_source'")
    assert error == "of these the channel says no number of units, they wait until it does: B"
    # Once the channel says it, it is taken in by itself.
    shop.peer.places = [held("A", "Centro", 8, ago_s=10), held("B", "Centro", 3, ago_s=10)]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 8, "B": 3}
    assert await shop.values("SELECT error FROM connection_cursor WHERE stream = 'stock_source'") == [None]


async def test_what_a_channel_shows_that_is_no_number_is_not_compared_and_the_others_are(shop: Linked):
    shop.peer.places = [{"sku": "A", "quantity": 50}, {"sku": "B", "quantity": 2.5}]
    assert set(await look(shop)) == {"A"}
    (error,) = await shop.values("SELECT error FROM connection_cursor WHERE stream = 'stock_look'")
    assert error == "of these the channel says no number of units, they wait until it does: B"


async def test_two_places_of_a_channel_that_are_one_of_ours_state_their_sum(shop: Linked):
    await declare(shop, Centro="S1", Fundos="S1")
    at = datetime.now(UTC) - timedelta(seconds=60)
    rows = [("Centro", 9, None), ("Fundos", 4, 5), ("Centro", 8, None)]
    shop.peer.places = [
        {"sku": "A", "location": place, "quantity": n, "as_of": at.isoformat()} | ({"on_hand": o} if o else {})
        for place, n, o in rows
    ]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 13}, "of Centro the later word"
    assert await shop.rows("SELECT held, rows FROM stock_snapshot") == [(0, 1)]
    shop.peer.places = [held("A", "Centro", 2, ago_s=20), held("A", "Fundos", 3, ago_s=5)]
    await state(shop)
    assert await on_hand(shop, "S1") == {"A": 5}, "the later moment hides nothing"


async def test_places_that_state_stock_are_not_compared_with_what_was_told(shop: Linked):
    await declare(shop)
    shop.peer.places = [
        {"sku": "A", "quantity": 52},
        {"sku": "B", "quantity": 30},
        held("A", "Centro", 9),
        held("B", "Norte", 1),
    ]
    found = await look(shop)
    assert {code: (each.shown, each.places) for code, each in found.items()} == {"B": (31, {"": 30, "Norte": 1})}


async def test_a_source_is_stated_by_one_connection_and_edited_by_version(shop: Linked):
    await declare(shop)
    other = ConnectionDraft(
        code="other", name="Other", connector="generic", channel="web", config={"base_url": shop.peer.url}
    )
    async with shop.database.transaction() as tx:
        await service.add_connection(tx, other, shop.keys)
    for code, draft, version, refusal in (
        ("other", RoleDraft(source="shop"), 0, SourceTaken),
        (CODE, RoleDraft(source="shop"), 0, StockRoleChanged),
        (CODE, RoleDraft(source="shop"), 9, StockRoleChanged),
        (CODE, RoleDraft(source="shop", minutes=0), 1, Invalid),
        (CODE, RoleDraft(source="shop", scope="half"), 1, Invalid),
    ):
        async with shop.database.transaction() as tx:
            with pytest.raises(refusal):
                await stock_service.put_role(tx, code, draft, version)
    async with shop.database.transaction() as tx:
        assert await stock_service.put_role(tx, CODE, RoleDraft(source="shop", minutes=60), 1) == 2
        with pytest.raises(StockRoleChanged):
            await stock_service.drop_role(tx, CODE, 1)
        await stock_service.drop_role(tx, CODE, 2)
        found = await reads.linked(tx, CODE)
        assert [c.stream for c in await reads.cursors(tx, found.id)] == ["orders"]
