"""Channels hear of stock: the newest quantity, once, whoever dies when; what a channel may sell is never more than there is."""

import asyncio
import itertools
import random
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from malha.catalog import reads as catalog
from malha.channels import feed, pushing, quantities, reads, service
from malha.channels.contract import Handed, NotHanded
from malha.channels.errors import FeedOnly, PushChanged, PushNotFound
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake.reference import reference_in
from malha.inventory import service as inventory
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind, Taker
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import Measure, Purpose, SafetyRuleDraft
from malha.network import service as network
from malha.network.model import LocationStatus
from malha.ordering import cancelling
from malha.platform import revisions
from malha.platform.ids import new_id
from malha.platform.outward import OutwardRefused
from malha.platform.paging import cursor_of
from malha.platform.signing import Keys
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

KEYS = Keys(b"k" * 32, None)
WEBHOOK = PushDraft(kind=PushKind.WEBHOOK, url="https://shop.example/stock")
OPEN = "SELECT kind, position, resend_after, failures, error FROM stock_push"


class Till:
    """A channel that writes down what it hears; it can be told to be away, or to refuse codes."""

    def __init__(self):
        self.heard: list[tuple[str, int]] = []
        self.away = False
        self.refuses: dict[str, str] = {}

    async def send(self, updates):
        if self.away:
            raise NotHanded("it is away", after=0)
        self.heard += [(u.code, u.quantity) for u in updates if u.code not in self.refuses]
        return Handed({u.code: self.refuses[u.code] for u in updates if u.code in self.refuses})

    @property
    def knows(self) -> dict[str, int]:
        return dict(self.heard)


@pytest.fixture
async def shop(database):
    """Two SKUs and a kit of both at two locations, told to one channel."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        a = await a_product(tx, world, "A", stock={"DC": 5, "S1": 2})
        b = await a_product(tx, world, "B", stock={"DC": 3})
        kit = await a_product(tx, world, "KIT", components={a: 2, b: 1})
        await service.put_push(tx, "web", WEBHOOK, 0, KEYS)
    return world, a, b, kit


async def tell(database, till):
    """Have everything told that is due."""
    await drain(database, SUBSCRIPTIONS)
    while True:
        async with database.transaction() as tx:
            due = await reads.due(tx)
        if not due or not await pushing.push(database, lambda _taken: till, due):
            return


async def test_a_channel_first_hears_of_everything_kits_by_what_one_place_can_make(database, shop):
    till = Till()
    await tell(database, till)
    assert till.knows == {"A": 7, "B": 3, "KIT": 2}
    heard = len(till.heard)
    await tell(database, till)
    assert len(till.heard) == heard


async def test_what_orders_claim_and_people_change_is_told_with_the_kits_it_is_in(database, shop):
    world, a, b, _ = shop
    till = Till()
    await tell(database, till)
    till.heard.clear()
    async with database.transaction() as tx:
        order_id = await an_order(tx, world, [Sold(a, 3)])
    await tell(database, till)
    assert till.knows == {"A": 4, "KIT": 1}
    till.heard.clear()
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
        await inventory.adjust(tx, [Claim(b, world.locations["DC"], -3)], Reason.LOSS, Reference("test"))
    await tell(database, till)
    assert till.knows == {"A": 7, "B": 0, "KIT": 0}
    till.heard.clear()
    async with database.transaction() as tx:
        assert not await inventory.place_hold(tx, "cart", [Claim(a, world.locations["S1"], 2)], seconds=60)
    await tell(database, till)
    assert till.heard == [("A", 5)]
    async with database.transaction() as tx:
        await inventory.release_hold(tx, "cart")
    await tell(database, till)
    assert till.knows == {"A": 7}


async def test_of_many_changes_between_two_turns_only_the_last_quantity_is_told(database, shop):
    world, a, _, _ = shop
    till = Till()
    await tell(database, till)
    till.heard.clear()
    for quantity in (9, 1, 8, 4):
        async with database.transaction() as tx:
            await inventory.set_on_hand(tx, [Claim(a, world.locations["DC"], quantity)], Reference("test"))
    await tell(database, till)
    assert till.heard == [("A", 6)]
    async with database.transaction() as tx:  # there and back again is no news
        await inventory.adjust(tx, [Claim(a, world.locations["DC"], 1)], Reason.FOUND, Reference("test"))
        await inventory.adjust(tx, [Claim(a, world.locations["DC"], -1)], Reason.LOSS, Reference("test"))
    await tell(database, till)
    assert till.heard == [("A", 6)]


async def test_a_channel_that_is_away_is_asked_again_and_told_the_newest_then(database, shop):
    world, a, _, _ = shop
    till = Till()
    await tell(database, till)
    till.away = True
    async with database.transaction() as tx:
        await inventory.receive(tx, [Claim(a, world.locations["DC"], 1)], Reference("test"))
    await drain(database, SUBSCRIPTIONS)
    assert await pushing.push_due(database, lambda _taken: till) == 0
    async with database.transaction() as tx:
        row = await reads.pushes(tx, "web")
        await inventory.receive(tx, [Claim(a, world.locations["DC"], 1)], Reference("test"))
    assert (row[0].failures, row[0].error, row[0].behind) == (1, "it is away", 1)
    till.away = False
    await tell(database, till)
    assert till.knows["A"] == 9
    async with database.transaction() as tx:
        row = await reads.pushes(tx, "web")
    assert (row[0].failures, row[0].error, row[0].behind) == (0, None, 0)


async def test_what_a_channel_refuses_is_kept_with_its_reason_and_stops_nothing(database, shop):
    till = Till()
    till.refuses = {"B": "unknown product"}
    await tell(database, till)
    assert till.knows == {"A": 7, "KIT": 2}
    async with database.transaction() as tx:
        channel = await service.channel_of(tx, "web")
        refused = await reads.listed(tx, channel.id, refused=True)
        assert [(row.sku, row.error) for row in refused] == [("B", "unknown product")]
        await service.put_listings(tx, "web", [ListingDraft("B", "BB-1")])
    await tell(database, till)
    assert till.heard[-1] == ("BB-1", 3)


async def test_a_turn_that_died_after_its_hand_over_is_done_again_and_harms_nothing(database, shop):
    till = Till()

    class Dies(Till):
        async def send(self, updates):
            await till.send(updates)
            raise asyncio.CancelledError

    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        due = await reads.due(tx)
    with pytest.raises(asyncio.CancelledError):
        await pushing.push(database, lambda _taken: Dies(), due)
    assert till.knows == {"A": 7, "B": 3, "KIT": 2}
    async with database.transaction() as tx:
        assert await reads.due(tx) == []  # in hand, as far as anybody knows
        await tx.execute("UPDATE stock_push SET taken_until = now() - interval '1 second'")
    await tell(database, till)
    assert till.heard == [("A", 7), ("B", 3), ("KIT", 2)] * 2


async def test_a_channel_is_told_by_one_worker_at_a_time(database, shop):
    speaking = most = 0

    class Slow(Till):
        async def send(self, updates):
            nonlocal speaking, most
            speaking += 1
            most = max(most, speaking)
            await asyncio.sleep(0.05)
            speaking -= 1
            return await super().send(updates)

    till = Slow()
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        due = await reads.due(tx)
    told = await asyncio.gather(*(pushing.push(database, lambda _taken: till, due) for _ in range(5)))
    assert sorted(told) == [0, 0, 0, 0, 3]
    assert most == 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_meanwhile_a_channel_ends_up_knowing_what_it_may_sell(database, shop, seed):
    world, a, b, kit = shop
    rng = random.Random(seed)
    till, stop = Till(), asyncio.Event()
    carts = itertools.count()

    async def seller():
        for _ in range(12):
            async with database.transaction() as tx:
                place, sku = world.locations[rng.choice(["DC", "S1"])], rng.choice([a, b])
                match rng.randrange(4):
                    case 0:
                        await inventory.receive(tx, [Claim(sku, place, rng.randint(1, 5))], Reference("test"))
                    case 1:
                        await inventory.reserve(tx, [Claim(sku, place, 1)], Reference("test"))
                    case 2:
                        await inventory.place_hold(tx, f"cart-{next(carts)}", [Claim(sku, place, 1)], seconds=60)
                    case _:
                        await inventory.set_on_hand(tx, [Claim(sku, place, rng.randint(0, 9))], Reference("test"))
            await asyncio.sleep(rng.random() / 100)

    async def pump():
        while not stop.is_set():
            till.away = rng.random() < 0.2
            await drain(database, SUBSCRIPTIONS)
            await pushing.push_due(database, lambda _taken: till)

    pumps = [asyncio.create_task(pump()) for _ in range(2)]
    await asyncio.gather(*(seller() for _ in range(4)))
    stop.set()
    await asyncio.gather(*pumps)
    till.away = False
    await tell(database, till)
    async with database.transaction() as tx:
        units = await quantities.published(
            tx, await reference_in(tx), world.channels["web"], {"A": a, "B": b, "KIT": kit}
        )
    assert till.knows == {"A": units[a], "B": units[b], "KIT": units[kit]}


async def test_a_new_sku_is_listed_by_itself_where_a_channel_lists_all(database, shop):
    world = shop[0]
    till = Till()
    await tell(database, till)
    async with database.transaction() as tx:
        await a_product(tx, world, "NEW", stock={"S1": 1})
    await tell(database, till)
    assert till.knows["NEW"] == 1


async def test_a_channel_that_asks_reads_all_listings_and_then_what_changed(database, shop):
    world, a, _, _ = shop
    async with database.transaction() as tx:
        version = (await service.push_of(tx, "web")).version
        await service.put_push(tx, "web", PushDraft(kind=PushKind.FEED), version, KEYS)
    await drain(database, SUBSCRIPTIONS)
    heard: dict[str, int] = {}
    cursor, pages = None, 0
    async with database.transaction() as tx:
        while True:
            told = await feed.read(tx, "web", cursor, 2)
            heard |= {u.code: u.quantity for u in told.items}
            cursor, pages = told.cursor, pages + 1
            if not told.more:
                break
    assert heard == {"A": 7, "B": 3, "KIT": 2}
    async with database.transaction() as tx:
        assert (await feed.read(tx, "web", cursor, 100)).items == []
        await inventory.receive(tx, [Claim(a, world.locations["DC"], 1)], Reference("test"))
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        told = await feed.read(tx, "web", cursor, 100)
        assert {u.code: u.quantity for u in told.items} == {"A": 8, "KIT": 3}
        assert await reads.due(tx) == []
        with pytest.raises(PushNotFound):
            await feed.read(tx, "till", None, 100)


async def asked(database, heard, cursor=None):
    """Read the channel's feed to its end, two at a time; return the cursor."""
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        while True:
            told = await feed.read(tx, "web", cursor, 2)
            heard |= {u.code: u.quantity for u in told.items}
            cursor = told.cursor
            if not told.more:
                return cursor


async def pause_s1(tx):
    await network.set_location_status(tx, "S1", LocationStatus.PAUSED, reason="x")


async def cap_web(tx):
    draft = AllotmentDraft(code="CAP", name="Cap", kind=Kind.CAP, channels=("web",), quota=4)
    await allotments.put(tx, draft, None)


async def archive_b(tx):
    await tx.execute("UPDATE variant SET active = false WHERE sku = 'B'")
    await revisions.bump(tx, catalog.REVISION)


@pytest.mark.parametrize(
    ("changed", "then"),
    [
        (pause_s1, {"A": 5, "B": 3, "KIT": 2}),
        (cap_web, {"A": 4, "B": 3, "KIT": 1}),
        (archive_b, {"A": 7, "B": 0, "KIT": 2}),
    ],
)
async def test_a_channel_that_asks_hears_of_what_else_changes_a_quantity(database, shop, changed, then):
    async with database.transaction() as tx:
        version = (await service.push_of(tx, "web")).version
        await service.put_push(tx, "web", PushDraft(kind=PushKind.FEED, all_skus=True), version, KEYS)
    heard = {}
    cursor = await asked(database, heard)
    assert heard == {"A": 7, "B": 3, "KIT": 2}
    async with database.transaction() as tx:
        await changed(tx)
    cursor = await asked(database, heard, cursor)
    assert heard == then
    async with database.transaction() as tx:
        await revisions.bump(tx, catalog.REVISION)  # another name, or picture
        assert (await feed.read(tx, "web", cursor, 2)).items == []


async def test_a_channel_that_asks_hears_of_a_new_sku_where_it_lists_all(database, shop):
    async with database.transaction() as tx:
        version = (await service.push_of(tx, "web")).version
        await service.put_push(tx, "web", PushDraft(kind=PushKind.FEED, all_skus=True), version, KEYS)
    heard = {}
    cursor = await asked(database, heard)
    async with database.transaction() as tx:
        await a_product(tx, shop[0], "NEW", stock={"S1": 1})
    await asked(database, heard, cursor)
    assert heard == {"A": 7, "B": 3, "KIT": 2, "NEW": 1}


async def test_a_cursor_of_before_it_had_a_mark_is_told_all_listings_once(database, shop):
    async with database.transaction() as tx:
        version = (await service.push_of(tx, "web")).version
        await service.put_push(tx, "web", PushDraft(kind=PushKind.FEED), version, KEYS)
    heard = {}
    cursor = await asked(database, heard, cursor_of("stock-changes", (0, -1)))
    assert heard == {"A": 7, "B": 3, "KIT": 2}
    async with database.transaction() as tx:
        assert (await feed.read(tx, "web", cursor, 2)).items == []


async def test_a_push_is_changed_from_the_version_that_was_read_and_its_secret_shown_once(database, shop):
    async with database.transaction() as tx:
        with pytest.raises(PushChanged):
            await service.put_push(tx, "web", WEBHOOK, 7, KEYS)
    async with database.transaction() as tx:
        version, secret = await service.put_push(tx, "web", WEBHOOK, 1, KEYS)
        assert (version, secret) == (2, None)
        _, made = await service.put_push(tx, "mall", WEBHOOK, 0, KEYS)
        assert len(made) > 40
        stored = await tx.values(
            "SELECT secret FROM stock_push WHERE channel_id = %(c)s", {"c": shop[0].channels["mall"]}
        )
        assert made.encode() not in stored[0]
        with pytest.raises(FeedOnly):
            await feed.read(tx, "mall", None, 10)
        with pytest.raises(OutwardRefused):
            await service.put_push(
                tx, "till", msgspec.structs.replace(WEBHOOK, url="https://user:secret@shop.example/x"), 0, KEYS
            )


async def test_where_nobody_hears_of_stock_nothing_is_noted(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 5})
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM stock_change") == 0
        assert not await reads.any_active(tx)


async def test_what_else_changes_a_quantity_is_noticed_a_paused_location_a_fence_a_rule(database, shop):
    till = Till()
    await tell(database, till)
    till.heard.clear()
    async with database.transaction() as tx:
        await network.set_location_status(tx, "S1", LocationStatus.PAUSED, reason="x")
    await tell(database, till)
    assert till.heard == [("A", 5)]
    till.heard.clear()
    async with database.transaction() as tx:
        rule = SafetyRuleDraft(code="keep", name="Keep one", purpose=Purpose.ONLINE, measure=Measure.UNITS, amount=1)
        await safety.put(tx, rule, None)
    await safety.sweep(database)
    await tell(database, till)
    assert till.knows == {"A": 4, "B": 2}


async def may_sell(database, channel_id):
    """Return what a channel may sell now, by SKU."""
    async with database.transaction() as tx:
        skus = dict(await tx.tuples("SELECT sku, id FROM variant"))
        units = await quantities.published(tx, await reference_in(tx), channel_id, skus)
    return {sku: units[id_] for sku, id_ in skus.items()}


async def a_cap(database, quota=6, **what):
    async with database.transaction() as tx:
        draft = AllotmentDraft(code="CAP", name="Cap", kind=Kind.CAP, channels=("web",), quota=quota, **what)
        await allotments.put(tx, draft, None)


async def sell(database, world, claims):
    """Sell to somebody of the channel, and return who; `give_back` undoes it."""
    order, taker = Reference("order", new_id()), Taker(world.channels["web"])
    async with database.transaction() as tx:
        assert await inventory.reserve(tx, claims, order, taker=taker) == []
    return order


@pytest.mark.parametrize(("locations", "kits"), [((), 2), (("S1",), 4), (("DC",), 3)])
async def test_a_kit_is_told_as_often_as_a_cap_lets_its_components_through_together(database, shop, locations, kits):
    """Nine of A and three of B at DC and two and one at S1: without a cap three and one."""
    world, a, b, _ = shop
    async with database.transaction() as tx:
        goods = [Claim(a, world.locations["DC"], 4), Claim(b, world.locations["S1"], 1)]
        await inventory.receive(tx, goods, Reference("test"))
    assert (await may_sell(database, world.channels["web"]))["KIT"] == 4
    await a_cap(database, quota=8, locations=locations)
    assert (await may_sell(database, world.channels["web"]))["KIT"] == kits


@pytest.mark.parametrize("named", [(), ("A", "B")])
async def test_what_is_sold_under_a_cap_leaves_less_of_all_that_count_together_and_is_told_of_all(
    database, shop, named
):
    world, a, b, _ = shop
    async with database.transaction() as tx:
        dc = world.locations["DC"]
        await inventory.receive(tx, [Claim(a, dc, 5), Claim(b, dc, 7)], Reference("test"))
    await a_cap(database, skus=named)
    till = Till()
    await tell(database, till)
    assert till.knows == await may_sell(database, world.channels["web"]) == {"A": 6, "B": 6, "KIT": 2}
    claims = [Claim(a, dc, 4)]
    order = await sell(database, world, claims)
    await tell(database, till)
    assert till.knows == await may_sell(database, world.channels["web"]) == {"A": 2, "B": 2, "KIT": 0}
    async with database.transaction() as tx:
        await inventory.release(tx, claims, order)
    await tell(database, till)
    assert till.knows == await may_sell(database, world.channels["web"]) == {"A": 6, "B": 6, "KIT": 2}


async def test_of_many_skus_under_one_cap_all_are_told_though_a_turn_takes_only_some(database, shop, monkeypatch):
    world, a, _, _ = shop
    monkeypatch.setattr(pushing, "MOST", 2)
    async with database.transaction() as tx:
        dc = world.locations["DC"]
        for n in range(7):
            await a_product(tx, world, f"S{n}", stock={"DC": 9})
    await a_cap(database)
    till = Till()
    await tell(database, till)
    assert till.knows == await may_sell(database, world.channels["web"])
    await sell(database, world, [Claim(a, dc, 4)])
    await drain(database, SUBSCRIPTIONS)
    for _ in range(20):  # turns with nothing to tell are among them
        await pushing.push_due(database, lambda _taken: till)
    async with database.transaction() as tx:
        assert await reads.due(tx) == []
    assert till.knows == await may_sell(database, world.channels["web"])
    assert till.knows["S6"] == 2


async def test_a_channel_hears_of_less_when_a_cap_begins(database, shop):
    world = shop[0]
    async with database.transaction() as tx:
        begins = await tx.now() + timedelta(seconds=3)  # a busy machine has told the channel once by then
    await a_cap(database, quota=1, starts_at=begins)
    till = Till()
    await tell(database, till)
    assert till.knows["A"] == 7
    async with asyncio.timeout(60):
        while till.knows["A"] != 1:
            await asyncio.sleep(0.05)
            await tell(database, till)
    assert till.knows == await may_sell(database, world.channels["web"])


async def test_a_channel_that_takes_its_time_holds_up_no_other(database, shop):
    """The first hangs with what it was given; the second hears of all that changes meanwhile."""
    world, a, _, _ = shop
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO channel (code, name, kind) VALUES ('slow', 'Slow', 'web')")
        await service.put_push(tx, "slow", WEBHOOK, 0, KEYS)
    answered, stop = asyncio.Event(), asyncio.Event()
    till, heard = Till(), asyncio.Event()

    class Slow:
        async def send(self, updates):
            heard.set()
            await answered.wait()
            return Handed()

    running = asyncio.create_task(
        pushing.run_pushes(database, lambda taken: Slow() if taken.channel == "slow" else till, stop)
    )
    async with asyncio.timeout(60):
        await heard.wait()
        while till.knows.get("A") != 7:
            await asyncio.sleep(0.01)
        async with database.transaction() as tx:
            await inventory.set_on_hand(tx, [Claim(a, world.locations["DC"], 9)], Reference("test"))
        await drain(database, SUBSCRIPTIONS)
        while till.knows.get("A") != 11:
            await asyncio.sleep(0.01)
        answered.set()
        stop.set()
        await running


class Held:
    """A channel whose first hand-over hangs until it is let go, and only then says its quantities there."""

    def __init__(self, till):
        self.till = till
        self.began, self.goes_on = asyncio.Event(), asyncio.Event()

    async def send(self, updates):
        first = not self.began.is_set()
        self.began.set()
        if first:
            await self.goes_on.wait()
        return await self.till.send(updates)


@asynccontextmanager
async def a_turn_under_way(database, till):
    """A turn whose hand-over has begun; it ends with the block."""
    held = Held(till)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        due = await reads.due(tx)
    turn = asyncio.create_task(pushing.push(database, lambda _taken: held, due))
    async with asyncio.timeout(60):
        await held.began.wait()
        yield held
        held.goes_on.set()
        await turn


async def change_a(database, world, a, units):
    async with database.transaction() as tx:
        await inventory.set_on_hand(tx, [Claim(a, world.locations["DC"], units)], Reference("test"))


async def list_on_web(database, *drafts):
    async with database.transaction() as tx:
        await service.put_listings(tx, "web", drafts)


async def test_what_is_listed_while_a_channel_is_told_is_told_after_it(database, shop):
    world, a, *_ = shop
    till = Till()
    async with database.transaction() as tx:
        await tx.execute("UPDATE stock_push SET all_skus = false")
        await a_product(tx, world, "NEW", stock={"DC": 8})
    await tell(database, till)
    await change_a(database, world, a, 9)
    async with a_turn_under_way(database, till):
        await list_on_web(database, ListingDraft(sku="NEW"))
    await tell(database, till)
    assert till.knows == {"A": 11, "B": 3, "KIT": 3, "NEW": 8}


async def test_a_code_that_changes_while_the_former_one_is_told_is_told_too(database, shop):
    till = Till()
    async with a_turn_under_way(database, till):
        await list_on_web(database, ListingDraft(sku="A", code="MLB-1"))
    await tell(database, till)
    assert till.knows["MLB-1"] == 7


async def test_everything_is_told_again_though_a_turn_is_under_way_when_somebody_asks_for_it(database, shop):
    world, a, *_ = shop
    till = Till()
    await tell(database, till)
    till.heard.clear()
    await change_a(database, world, a, 9)
    async with a_turn_under_way(database, till), database.transaction() as tx:
        await service.resend(tx, "web", everything=True)
    await tell(database, till)
    assert till.knows == {"A": 11, "B": 3, "KIT": 3}


async def test_the_last_word_stays_where_a_turn_went_on_after_another_had_taken_its_place(database, shop):
    world, a, *_ = shop
    till = Till()
    async with a_turn_under_way(database, till) as held:
        async with database.transaction() as tx:  # frozen for longer than its lease
            await tx.execute("UPDATE stock_push SET taken_until = now() - interval '1 second'")
        await change_a(database, world, a, 0)
        await drain(database, SUBSCRIPTIONS)
        async with database.transaction() as tx:
            due = await reads.due(tx)
        assert await pushing.push(database, lambda _taken: held, due) == 3
        assert till.knows["A"] == 2
    await tell(database, till)
    assert till.knows["A"] == 2, "what was sold out shows again at the channel"


async def test_a_hand_over_that_takes_long_keeps_its_place(database, shop, monkeypatch):
    monkeypatch.setattr(pushing, "LEASE_S", 0.3)
    until = "SELECT taken_until FROM stock_push"
    async with a_turn_under_way(database, Till()):
        async with database.transaction() as tx:
            first = await tx.value(until)
        while True:
            async with database.transaction() as tx:
                if (await tx.value(until)) > first:
                    break
            await asyncio.sleep(0.01)
