"""What a product page is promised, over HTTP: as an order would be, kept while nothing matters, never old beyond `as_of`."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from test_promises_made_of import place
from test_promises_offered import ask, sold
from tests_http import Shop

from malha.intake.pages import OLDEST_S
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.network import reads
from malha.platform import revisions
from malha.platform.sequencer import make_partitions, sequence
from malha.testing.builders import a_product, in_days

__all__ = ["sold"]


@pytest.fixture
async def page(sold: Shop) -> Shop:
    """The shop, once the process has seen what is in it."""
    await asyncio.sleep(OLDEST_S + 0.1)
    return sold


async def grow_old(shop: Shop) -> None:
    """Let what the process knows of stock and of the shop be too old to be told, as if so many seconds had passed."""
    pages = shop.app.state.services.extra["promise_pages"]
    await pages.close()  # what was asked for before this must not come in as young
    pages._cache.expire()
    for shelf in pages._shelves._kept.values():
        shelf.asked -= OLDEST_S


async def get(shop: Shop, status: int = 200, headers: dict[str, str] | None = None, **asked: object):
    facts = {"channel": "web", "sku": "CUP", "postal_code": "01310-100"} | asked
    params = {name: value for name, value in facts.items() if value is not None}
    answer = await shop.http.get("/v1/promises", params=params, headers=shop.headers | (headers or {}))
    assert answer.status_code == status, answer.text
    return answer


async def fresh(shop: Shop, **changes: object) -> dict:
    """Return what the database says now, without free slots, of which a page says nothing."""
    found = await ask(shop, **changes)
    for place_ in found["collections"]:
        del place_["slots"]
    return found


def by(answer) -> str:
    return str(answer.headers["server-timing"].split('"')[1])


async def stock(shop: Shop, units: int, place: str = "DC", sku: str = "CUP") -> None:
    async with shop.database.transaction() as tx:
        sku_id = await tx.value("SELECT id FROM variant WHERE sku = %s", (sku,))
        where = await tx.value("SELECT id FROM location WHERE code = %s", (place,))
        await inventory.set_on_hand(tx, [Claim(sku_id, where, units)], Reference("test"), Reason.COUNT)


async def test_a_page_shows_what_the_basket_of_one_would_be_promised(page: Shop) -> None:
    [item] = (await get(page, quantity=2)).json()["items"]
    assert item == {"sku": "CUP"} | await fresh(page)
    assert [d["service"] for d in item["deliveries"]] == ["fast", "standard"]


async def test_the_second_who_asks_is_told_what_was_kept_and_a_known_tag_is_not_modified(page: Shop) -> None:
    assert by(await get(page)) == "read"
    minute = None
    while minute != (minute := datetime.now(UTC).replace(second=0, microsecond=0)):  # an answer is kept for its minute
        first, second = await get(page), await get(page)
    assert by(second) == "kept"
    assert second.json()["items"] == first.json()["items"]
    assert second.headers["etag"] == first.headers["etag"]
    assert "max-age=5" in second.headers["cache-control"]
    assert (await get(page, 304, {"if-none-match": first.headers["etag"]})).content == b""


async def test_a_sale_from_a_full_shelf_changes_nothing_and_the_last_unit_does(page: Shop) -> None:
    minute = None
    while minute != (minute := datetime.now(UTC).replace(second=0, microsecond=0)):  # what is promised may turn with it
        first = await get(page)
        await stock(page, 9)
        await asyncio.sleep(OLDEST_S + 0.1)
        same = await get(page)
    assert by(same) in {"kept", "read"}  # read ahead of need, or waited for on a busy machine
    assert same.headers["etag"] == first.headers["etag"]
    await stock(page, 0)
    await stock(page, 0, "S2")
    await asyncio.sleep(OLDEST_S + 0.1)
    [item] = (await get(page)).json()["items"]
    assert item == {"sku": "CUP", "deliveries": [], "collections": []}


async def test_no_answer_is_older_than_it_says_while_stock_comes_and_goes(page: Shop) -> None:
    """Stock is there or not there, each for a known stretch; an answer must be of a stretch since its `as_of`."""
    await stock(page, 0, "S2")
    changes: list[tuple[datetime, datetime, bool]] = [(datetime.now(UTC), datetime.now(UTC), True)]
    answers: list[tuple[datetime, datetime, datetime, bool]] = []
    over = asyncio.Event()

    async def sell() -> None:
        for n in range(12):
            began = datetime.now(UTC)
            await stock(page, 0 if n % 2 == 0 else 5)
            changes.append((began, datetime.now(UTC), n % 2 == 1))
            await asyncio.sleep(0.45)
        over.set()

    async def look() -> None:
        while not over.is_set():
            asked = datetime.now(UTC)
            found = (await get(page)).json()
            seen = bool(found["items"][0]["deliveries"])
            answers.append((datetime.fromisoformat(found["as_of"]), asked, datetime.now(UTC), seen))
            await asyncio.sleep(0.01)

    await asyncio.gather(sell(), look(), look())
    assert {seen for *_, seen in answers} == {True, False}
    for since, asked, until, seen in answers:
        assert asked - since <= timedelta(
            seconds=OLDEST_S + 0.01
        )  # however long it was waited for; two clocks are read
        possible = {there for began, done, there in changes if began <= until and done >= since}
        possible.add(next(there for _, done, there in reversed(changes) if done <= since or done == changes[0][1]))
        assert seen in possible, (since, until, seen)


async def test_a_new_tariff_and_a_closed_location_show_within_seconds(page: Shop) -> None:
    [before] = (await get(page)).json()["items"]
    async with page.database.transaction() as tx:
        await tx.execute("UPDATE service_rate SET lead_days = lead_days + 2, price = price + 100")
        await revisions.bump(tx, reads.REVISION)
    await asyncio.sleep(OLDEST_S + 0.1)
    [after] = (await get(page)).json()["items"]
    assert [d["price"] for d in after["deliveries"]] == [d["price"] + 100 for d in before["deliveries"]]
    assert after["deliveries"][0]["arrives"] > before["deliveries"][0]["arrives"]
    assert {k: v for k, v in after.items() if k == "sku"} | await fresh(
        page, lines=[{"sku": "CUP", "quantity": 1}]
    ) == after


async def test_several_skus_are_told_apart_in_the_order_asked_and_each_once(page: Shop) -> None:
    async with page.database.transaction() as tx:
        await a_product(tx, page.world, "POT", stock={"S2": 1})
        await revisions.bump(tx, "catalog")
    await asyncio.sleep(OLDEST_S + 0.1)
    items = (await get(page, sku=["POT", "CUP", "POT"])).json()["items"]
    assert [item["sku"] for item in items] == ["POT", "CUP"]
    assert [len(item["collections"]) for item in items] == [1, 2]


async def test_a_pre_order_is_promised_from_its_release_day_as_its_order_is(page: Shop) -> None:
    day = in_days(20)
    async with page.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO ahead_policy (product_id, mode, release_on)"
            " SELECT product_id, 'preorder', %s FROM variant WHERE sku = 'CUP'",
            (day,),
        )
        await revisions.bump(tx, "catalog")
    await asyncio.sleep(OLDEST_S + 0.1)
    [item] = (await get(page)).json()["items"]
    assert all(d["leaves"] >= day.isoformat() for d in item["deliveries"])
    assert item == {"sku": "CUP"} | await fresh(page, lines=[{"sku": "CUP", "quantity": 1}])
    for shown in item["deliveries"]:
        one = [{"sku": "CUP", "quantity": 1, "unit_price": 1000}]
        order_id = await place(page, shown["service"], service=shown["service"], lines=one)
        found = await page.http.get(f"/v1/orders/{order_id}/promises", headers=page.headers)
        assert datetime.fromisoformat(found.json()["present"]) == datetime.fromisoformat(shown["promised_at"])


async def test_what_is_asked_wrongly_is_refused_with_its_place(page: Shop) -> None:
    assert (await get(page, 422, sku="NONE")).json()["errors"][0]["at"] == "?sku"
    assert (await get(page, 422, postal_code="99999-9")).json()["errors"][0]["at"] == "?postal_code"
    assert (await get(page, 422, to_state="RJ")).json()["errors"][0]["at"] == "?to_state"
    assert (await get(page, 422, channel="none")).json()["code"] == "no_active_channel"
    nowhere = (await get(page, postal_code=None)).json()["items"][0]
    assert nowhere["deliveries"] == []
    assert nowhere["collections"][0]["kilometres"] is None


@pytest.mark.parametrize("numbered", [False, True], ids=["from the outbox", "from the log"])
async def test_what_changes_is_heard_of_and_nothing_that_was_read_once_is_asked_for_again(
    page: Shop, numbered: bool
) -> None:
    """Sales, counts, and a cart whose time ends by itself: pages follow, without a question about the SKU's stock."""
    while by(await get(page)) == "read" or page.app.state.services.extra["promise_pages"]._shelves._mark is None:
        await asyncio.sleep(0.05)
    await asyncio.sleep(OLDEST_S)  # what was read before the log was followed has been read again
    await get(page)

    async def follows() -> None:
        if numbered:
            async with page.database.transaction() as tx:
                await make_partitions(tx)
                await sequence(tx)
        async with asyncio.timeout(30):
            while True:
                answer = await get(page)
                assert by(answer) in {"kept", "planned"}
                [item] = answer.json()["items"]
                if item == {"sku": "CUP"} | await fresh(page, lines=[{"sku": "CUP", "quantity": 1}]):
                    return
                await asyncio.sleep(0.05)

    await stock(page, 0, "S2")
    await stock(page, 1)
    await follows()
    assert (await get(page)).json()["items"][0]["deliveries"]
    async with page.database.transaction() as tx:
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'CUP'")
        place = await tx.value("SELECT id FROM location WHERE code = 'DC'")
        assert await inventory.place_hold(tx, "cart", [Claim(sku, place, 1)], seconds=2.0) == []
    await follows()
    async with asyncio.timeout(30):  # its time ends, and nobody retires it
        while not (await get(page)).json()["items"][0]["deliveries"]:
            await asyncio.sleep(0.05)
    await follows()
