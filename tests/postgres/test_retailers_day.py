"""Near midnight it is another day for a retailer in Manaus, Rio Branco or on Fernando de Noronha than in São Paulo.

Its own counts where goods are sold ahead of their arrival; a vendor's, where a vendor sends them.
"""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ahead_world import Shop, a_shop

from malha.app import create_app
from malha.flows import order_to_cash
from malha.intake import dropping, promised, service
from malha.intake.errors import OutOfStock
from malha.intake.reference import Cache, Reference, reference_in
from malha.inventory.ahead.model import Mode
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.network.reads import snapshot
from malha.platform import i18n
from malha.platform.db import Database, Tx
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.settings import Settings
from malha.routing.ruling import reads as ruling
from malha.routing.ruling.model import Content, Dropped
from malha.simulation import service as simulations
from malha.testing.builders import in_days

LATE, EARLY = time(23, 30), time(0, 30)
MANAUS, RIO_BRANCO, NORONHA = "America/Manaus", "America/Rio_Branco", "America/Noronha"
# On these clocks São Paulo is on another day: the one after, or the one before.
NEAR_MIDNIGHT = [(MANAUS, LATE), (RIO_BRANCO, LATE), (NORONHA, EARLY)]


async def lives_in(database: Database, zone: str) -> None:
    async with database.transaction() as tx:
        await retailer.change(tx, RetailerDraft(name="Loja", timezone=zone), (await retailer.current(tx)).version)


def at_the_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    """Have the gate, and every transaction, say this instant."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return at.astimezone(tz)

    async def now(_tx: Tx) -> datetime:
        return at.astimezone(UTC)

    monkeypatch.setattr(service, "datetime", Clock)
    monkeypatch.setattr(Tx, "now", now)


def there(zone: str, clock: time, day: date | None = None) -> datetime:
    at = datetime.combine(day or in_days(0), clock, ZoneInfo(zone))
    assert at.astimezone(ZoneInfo(DEFAULT_ZONE)).date() != at.date(), "no test of these zones"
    return at


@pytest.mark.parametrize(("zone", "clock"), NEAR_MIDNIGHT)
async def test_goods_that_come_today_are_sold_ahead_as_long_as_it_is_today_for_the_retailer(
    database: Database, monkeypatch: pytest.MonkeyPatch, zone: str, clock: time
) -> None:
    shop = await a_shop(database)
    await shop.allow()
    await lives_in(database, zone)
    at_the_clock(monkeypatch, there(zone, clock))
    await shop.order_goods(5, -1)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    await shop.order_goods(5, 0)
    (order,) = await shop.sold(2)
    assert await shop.waits(order) == [("waiting", in_days(0), 2)]


@pytest.mark.parametrize(("zone", "clock"), NEAR_MIDNIGHT)
async def test_a_preorder_ends_and_is_released_at_the_retailers_midnight(
    database: Database, monkeypatch: pytest.MonkeyPatch, zone: str, clock: time
) -> None:
    shop = await a_shop(database)
    await lives_in(database, zone)
    at = there(zone, clock)
    at_the_clock(monkeypatch, at)
    release = in_days(1)
    await shop.allow(Mode.PREORDER, release_on=release)
    await shop.order_goods(5, 0)
    (order,) = await shop.sold(1)
    async with database.transaction() as tx:
        after = await tx.value("SELECT release_after FROM sales_order WHERE id = %(id)s", {"id": order})
        reference = await reference_in(tx)
        cards = list((await reference.cards(tx, ["CUP"])).values())
    assert after == datetime.combine(release, time(), ZoneInfo(zone))
    assert promised.released_at(reference, reference.channels["mall"], cards, at) == after, (
        "and so says who asks before"
    )
    at_the_clock(monkeypatch, there(zone, clock, release))
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]


@pytest.mark.parametrize(("zone", "clock"), NEAR_MIDNIGHT)
async def test_who_is_short_joins_the_queue_of_goods_that_come_today(
    database: Database, monkeypatch: pytest.MonkeyPatch, zone: str, clock: time
) -> None:
    """The sweep reads the policies again, by the same clock as the gate."""
    shop = await a_shop(database)
    await lives_in(database, zone)
    async with database.transaction() as tx:
        await tx.execute("UPDATE channel SET shortage_policy = 'backorder'")
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
    (order,) = await shop.sold(2)
    await shop.order_goods(5, 0)
    await shop.allow(Mode.PREORDER, release_on=in_days(1))
    at_the_clock(monkeypatch, there(zone, clock))
    await order_to_cash.place_waiting.work(database, order_id=str(order))
    assert await shop.waits(order) == [("waiting", in_days(0), 2)]


async def test_whoever_takes_orders_hears_that_the_retailer_moved(database: Database) -> None:
    await a_shop(database)
    late = there(RIO_BRANCO, LATE)
    cache = Cache(database)
    before: Reference = await cache.current()
    assert before.zone.key == DEFAULT_ZONE
    await lives_in(database, RIO_BRANCO)
    cache.expire()
    after = await cache.current()
    assert (before.day_of(late), after.day_of(late)) == (in_days(1), in_days(0))


async def test_a_vendor_has_its_days_from_today_by_the_clock_there(database: Database) -> None:
    shop: Shop = await a_shop(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET timezone = %s WHERE code = 'S1'", (RIO_BRANCO,))
        known = await snapshot(tx)
    asked = [Dropped(line=1, location=shop.world.locations["S1"], units=1, cost=1, lead_days=1, days=1, freight=0)]
    # Thursday evening in Rio Branco, Friday in São Paulo: one working day later is Friday.
    at = datetime(2031, 1, 2, 23, 30, tzinfo=ZoneInfo(RIO_BRANCO))
    assert at.weekday() == 3
    assert dropping.leaves_on(asked, known, at) == at.date() + timedelta(days=1)


async def test_who_reads_moves_no_day_of_a_retailer_that_states_no_zone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules of routing, simulations and lists of orders are of the installation's days then, for everybody."""
    await a_shop(database)
    for installation in DEFAULT_ZONE, MANAUS:
        monkeypatch.setitem(i18n._usual, "zone", installation)
        with i18n.speaking("en", "Asia/Tokyo"):
            async with database.transaction() as tx:
                rules = await ruling.compiled(tx, 0, Content(runs=[]), await snapshot(tx))
                said = {(await retailer.zone(tx)).key, await simulations.zone_of(tx), str(rules._zone)}
        assert said == {installation}


def test_an_installation_says_its_zone_once_for_its_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(i18n._usual, "zone", DEFAULT_ZONE)
    create_app(Settings(data_dir=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/x", timezone=RIO_BRANCO))
    assert i18n.usual_zone() == RIO_BRANCO
