"""Tags of orders: stated by channels, added and taken away by people, searched, filtered, listed in files."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from test_routing_explained import placed, retailer
from tests_http import Shop

from malha.ordering import details, list_reads, reads
from malha.ordering.listing import Sort, View, Wanted
from malha.ordering.model import OrderDetails
from malha.platform.ids import UUID, new_id

__all__ = ["retailer"]


async def tag(shop: Shop, orders: list[UUID], *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Any:
    key = await shop.key({"orders:read", "orders:write"})
    said = {"orders": [str(o) for o in orders], "add": list(add), "remove": list(remove)}
    return await shop.http.post("/v1/orders/tags", json=said, headers=key)


async def listed(shop: Shop, **asked: Any) -> list[str]:
    key = await shop.key({"orders:read"})
    answer = await shop.http.get("/v1/orders", params=asked, headers=key)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


async def state(shop: Shop, order: UUID, *tags: str, note: str = "") -> None:
    """Have the channel say what an order says besides."""
    async with shop.database.transaction() as tx:
        await details.set_details(tx, order, OrderDetails(tags=list(tags), note=note))


async def tags_of(shop: Shop, order: UUID) -> list[str]:
    async with shop.database.transaction() as tx:
        return (await reads.tags(tx, [order])).get(order, [])


async def test_orders_are_tagged_together_found_by_any_spelling_and_untagged(retailer: Shop) -> None:
    first, second, third = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(3)]
    done = await tag(retailer, [first, second], add=["São João", "VIP"])
    assert done.status_code == 200, done.text
    assert done.json() == {"changed": [str(first), str(second)], "unchanged": [], "unknown": [], "full": []}
    assert await listed(retailer, tag="sao  joao") == [str(second), str(first)], "newest first"
    assert await listed(retailer, tag="VIP", sort="oldest", view="open") == [str(first), str(second)]
    assert await listed(retailer, search="são joão") == [str(second), str(first)]
    assert await listed(retailer, tag="nobody") == []
    again = (await tag(retailer, [second, third], add=["vip"], remove=["SAO JOAO"])).json()
    assert again["changed"] == [str(second), str(third)]
    assert await listed(retailer, tag="São João") == [str(first)]
    assert await tags_of(retailer, second) == ["VIP"], "as it was written first"
    known = await retailer.http.get("/v1/order-tags", headers=await retailer.key({"orders:read"}))
    assert known.json() == {"tags": ["São João", "vip"]}, "spelled as on the newest order"
    one = await retailer.http.get(f"/v1/orders/{first}", headers=await retailer.key({"orders:read"}))
    assert one.json()["tags"] == ["São João", "VIP"]
    events = (
        "SELECT payload->'added', payload->'removed' FROM outbox WHERE type = 'order.tagged' AND key = %s ORDER BY seq"
    )
    async with retailer.database.transaction() as tx:
        assert await tx.tuples(events, (f"order:{second}",)) == [(["São João", "VIP"], []), ([], ["São João"])]


async def test_the_same_again_changes_nothing_and_is_no_event(retailer: Shop) -> None:
    order = UUID(str(await placed(retailer, ("CAMA", 1))))
    await tag(retailer, [order], add=["VIP"])
    nowhere = UUID(int=1)
    done = (await tag(retailer, [order, nowhere], add=["vip "], remove=["gift"])).json()
    assert (done["changed"], done["unchanged"], done["unknown"]) == ([], [str(order)], [str(nowhere)])
    async with retailer.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM outbox WHERE type = 'order.tagged'") == 1


@pytest.mark.parametrize(
    ("add", "remove", "at"),
    [([], [], "add"), (["  "], [], "add"), (["VIP"], ["vip"], "remove"), (["x" * 61], [], "add")],
)
async def test_what_makes_no_sense_is_refused_with_its_place(
    retailer: Shop, add: list[str], remove: list[str], at: str
) -> None:
    order = UUID(str(await placed(retailer, ("CAMA", 1))))
    done = await tag(retailer, [order], add=add, remove=remove)
    assert 400 <= done.status_code < 500, done.text
    assert at in done.text
    assert await tags_of(retailer, order) == []


async def test_an_order_takes_only_so_many_tags_and_others_are_tagged_all_the_same(retailer: Shop) -> None:
    full, free = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(2)]
    await tag(retailer, [full], add=[f"t{n:02}" for n in range(details.MOST_TAGS)])
    done = (await tag(retailer, [full, free], add=["more"])).json()
    assert (done["changed"], done["full"]) == ([str(free)], [str(full)])
    assert (await tag(retailer, [full], add=["more"], remove=["t00"])).json()["changed"] == [str(full)]


async def test_a_channel_takes_back_only_the_tags_that_it_stated(retailer: Shop) -> None:
    order = UUID(str(await placed(retailer, ("CAMA", 1))))
    await state(retailer, order, "Presente", "Novo")
    await tag(retailer, [order], add=["VIP"], remove=["novo"])
    assert await tags_of(retailer, order) == ["Presente", "VIP"]
    await state(retailer, order, "Presente", "Novo", note="Deixar na portaria")
    assert await tags_of(retailer, order) == ["Presente", "VIP"], "what it said before is not said again"
    await state(retailer, order, "Urgente")
    assert await tags_of(retailer, order) == ["Urgente", "VIP"]


async def test_tags_that_an_order_comes_with_are_there_at_once(retailer: Shop) -> None:
    order = {
        "channel": "site",
        "external_id": str(new_id()),
        "lines": [{"sku": "CAMA", "quantity": 1, "unit_price": 1000}],
        "ship_to": {"postal_code": "58038000", "city": "João Pessoa", "state": "PB", "street": "Rua A"},
        "details": {"tags": ["Troca", "troca ", "VIP"]},
    }
    made = await retailer.http.post("/v1/orders", json=order, headers=await retailer.key({"intake:submit"}))
    assert made.status_code == 201, made.text
    assert await tags_of(retailer, UUID(made.json()["id"])) == ["Troca", "VIP"]
    assert await listed(retailer, tag="troca") == [made.json()["id"]]


async def test_pages_of_a_tag_are_whole_forwards_and_backwards(retailer: Shop) -> None:
    orders = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(5)]
    await tag(retailer, [orders[n] for n in (0, 1, 3, 4)], add=["VIP"])
    wanted = Wanted(tags=("vip",))
    async with retailer.database.transaction() as tx:
        for sort, expected in ((Sort.NEWEST, [4, 3, 1, 0]), (Sort.OLDEST, [0, 1, 3, 4])):
            first = await list_reads.page(tx, wanted, sort=sort, size=3)
            rest = await list_reads.page(tx, wanted, sort=sort, after=first.next, size=3)
            assert [row.id for row in [*first.rows, *rest.rows]] == [orders[n] for n in expected]
            assert rest.previous is not None
            back = await list_reads.page(tx, wanted, sort=sort, before=rest.previous, size=3)
            assert [row.id for row in back.rows] == [row.id for row in first.rows]
        due = await list_reads.page(tx, wanted, sort=Sort.DUE, size=10)
        assert {row.id for row in due.rows} == {orders[n] for n in (0, 1, 3, 4)}
        assert await list_reads.count(tx, wanted) == 4
        assert await list_reads.count(tx, Wanted(tags=("VIP",), view=View.OPEN)) == 4
        assert await list_reads.count(tx, Wanted(tags=("VIP",), view=View.LATE)) == 0


async def test_several_tags_are_asked_for_all_of_them_or_any(retailer: Shop) -> None:
    orders = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(5)]
    await tag(retailer, [orders[n] for n in (0, 1, 2)], add=["VIP"])
    await tag(retailer, [orders[n] for n in (1, 2, 3)], add=["São João"])
    await tag(retailer, [orders[2]], add=["Troca"])
    names = [str(order) for order in orders]
    assert await listed(retailer, tag=["vip", "sao joao"]) == [names[2], names[1]]
    assert await listed(retailer, tag=["vip", "VIP "]) == [names[2], names[1], names[0]], "one tag in two spellings"
    assert await listed(retailer, tag=["vip", "sao joao", "troca"]) == [names[2]]
    assert await listed(retailer, tag=["vip", "nobody"]) == []
    assert await listed(retailer, tag=["vip", "sao joao"], tags="any") == names[3::-1]
    assert await listed(retailer, tag=["vip", "nobody"], tags="any", sort="oldest") == names[:3]
    key = await retailer.key({"orders:read"})
    many = await retailer.http.get("/v1/orders", params={"tag": [f"t{n}" for n in range(11)]}, headers=key)
    assert many.status_code in {400, 422}
    async with retailer.database.transaction() as tx:
        any_ = Wanted(tags=("vip", "são joão", "troca"), any_tag=True)
        for sort, expected in ((Sort.NEWEST, orders[3::-1]), (Sort.OLDEST, orders[:4])):
            first = await list_reads.page(tx, any_, sort=sort, size=3)
            rest = await list_reads.page(tx, any_, sort=sort, after=first.next, size=3)
            assert [row.id for row in [*first.rows, *rest.rows]] == expected
            assert rest.previous is not None
            back = await list_reads.page(tx, any_, sort=sort, before=rest.previous, size=3)
            assert [row.id for row in back.rows] == [row.id for row in first.rows]
        due = await list_reads.page(tx, any_, sort=Sort.DUE, size=10)
        assert {row.id for row in due.rows} == set(orders[:4])
        late = await list_reads.page(tx, msgspec.structs.replace(any_, view=View.OPEN), sort=Sort.OLDEST, size=10)
        assert [row.id for row in late.rows] == orders[:4]
        assert await list_reads.count(tx, any_) == 4
        assert await list_reads.count(tx, any_, 2) == 3, "it stops counting"
        assert await list_reads.count(tx, Wanted(tags=("vip", "troca"))) == 1
        places = [
            await tx.value("SELECT location_id FROM order_unit WHERE order_id = %s LIMIT 1", (order,))
            for order in orders[:4]
        ]
        other = await tx.value("SELECT id FROM location WHERE id <> ALL(%s) LIMIT 1", (places,))
        for scope, found in (((places[0],), places.count(places[0])), ((other,), 0)):
            narrow = msgspec.structs.replace(any_, scope=scope)
            assert len((await list_reads.page(tx, narrow, size=10)).rows) == found
            assert await list_reads.count(tx, narrow) == found


async def test_who_is_limited_to_locations_tags_and_sees_the_orders_of_these_only(retailer: Shop) -> None:
    order = UUID(str(await placed(retailer, ("CAMA", 1))))
    await tag(retailer, [order], add=["VIP"])
    async with retailer.database.transaction() as tx:
        place = await tx.value("SELECT location_id FROM order_unit WHERE order_id = %s LIMIT 1", (order,))
        other = await tx.value("SELECT id FROM location WHERE id <> %s LIMIT 1", (place,))
        for scope, found in (((place,), [order]), ((other,), [])):
            page = await list_reads.page(tx, Wanted(tags=("VIP",), scope=scope), size=5)
            assert [row.id for row in page.rows] == found
            assert await list_reads.count(tx, Wanted(tags=("VIP",), scope=scope)) == len(found)


async def test_the_desk_tags_many_at_once_narrows_to_a_tag_and_sends_it_as_a_file(retailer: Shop) -> None:
    orders = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(3)]
    async with retailer.database.transaction() as tx:
        numbers = {v: k for k, v in (await reads.numbers_of(tx, orders)).items()}
    first, second, third = sorted(numbers)
    headers = await retailer.session()
    bare = await retailer.http.get("/orders?view=open", headers=headers)
    assert 'name="tag"' not in bare.text, "nobody has any tag yet"
    form = {"act": "tags", "order": [str(first), str(second)], "add": "VIP, Troca", "untag": "nenhuma"}
    done = await retailer.http.post("/orders/bulk", data=form, headers=headers)
    assert done.status_code in {200, 303}, done.text
    page = await retailer.http.get("/orders?view=open&tag=vip", headers=headers)
    assert [f"#{n}" in page.text for n in (first, second, third)] == [True, True, False]
    assert 'name="tag" value="VIP" checked' in page.text
    await retailer.http.post(f"/orders/{first}/tags", data={"remove": "VIP", "add": "Nova"}, headers=headers)
    assert await tags_of(retailer, numbers[first]) == ["Nova", "Troca"]
    shown = await retailer.http.get(f"/orders/{first}", headers=headers)
    assert "/orders?view=all&amp;tag=Nova" in shown.text
    sheet = await retailer.http.get("/orders/export.csv?view=open&tag=troca", headers=headers)
    assert len(sheet.text.splitlines()) == 3
    assert "Nova, Troca" in sheet.text
    assert "Troca, VIP" in sheet.text
    # A view that is saved keeps them.
    keep = {"list": "orders", "name": "Important", "query": "view=open&tag=VIP&tag=Troca&tags=any"}
    await retailer.http.post("/views", data=keep, headers=headers)
    kept = "tag=VIP&amp;tag=Troca&amp;tags=any"
    assert kept in (await retailer.http.get("/orders?view=open", headers=headers)).text


async def test_the_desk_narrows_to_several_tags_and_sends_what_it_shows(retailer: Shop) -> None:
    orders = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(3)]
    async with retailer.database.transaction() as tx:
        numbers = {v: k for k, v in (await reads.numbers_of(tx, orders)).items()}
    first, second, third = sorted(numbers)
    await tag(retailer, [numbers[first], numbers[second]], add=["VIP"])
    await tag(retailer, [numbers[second], numbers[third]], add=["Troca"])
    headers = await retailer.session()

    async def shown(query: str) -> list[int]:
        page = await retailer.http.get(f"/orders?view=open&{query}", headers=headers)
        assert page.status_code == 200, page.text
        sheet = await retailer.http.get(f"/orders/export.csv?view=open&{query}", headers=headers)
        found = [n for n in (first, second, third) if f"#{n}" in page.text]
        assert len(sheet.text.splitlines()) == len(found) + 1, "the file has what the list shows"
        return found

    assert await shown("tag=vip&tag=TROCA") == [second]
    assert await shown("tag=vip&tag=troca&tags=any") == [first, second, third]
    assert await shown("tag=vip&tags=any") == [first, second]
    assert await shown("tag=vip&tag=&tag=VIP") == [first, second]
    assert await shown("tag=vip&tag=nobody") == []
    assert await shown("tag=vip&tag=nobody&tags=any") == [first, second]
    page = (await retailer.http.get("/orders?view=open&tag=vip&tag=troca&tags=any", headers=headers)).text
    assert "tag=vip&amp;tag=troca&amp;tags=any" in page, "tabs and files keep them"
    assert "VIP or Troca" in page
    act = {"act": "tags", "order": [str(first)], "add": "Nova"}
    seen = {**headers, "hx-request": "true", "hx-current-url": "http://x/orders?view=open&tag=vip&tag=troca&tags=any"}
    done = await retailer.http.post("/orders/bulk", data=act, headers=seen)
    assert all(f"#{n}" in done.text for n in (first, second, third)), "the list is drawn as it was seen"


async def test_a_full_order_says_so_at_the_desk_and_the_others_are_tagged(retailer: Shop) -> None:
    full, free = [UUID(str(await placed(retailer, ("CAMA", 1)))) for _ in range(2)]
    await tag(retailer, [full], add=[f"t{n:02}" for n in range(details.MOST_TAGS)])
    async with retailer.database.transaction() as tx:
        numbers = await reads.numbers_of(tx, [full, free])
    form = {"act": "tags", "order": [str(n) for n in numbers.values()], "add": "more"}
    headers = {**await retailer.session(), "HX-Request": "true"}
    done = await retailer.http.post("/orders/bulk", data=form, headers=headers)
    assert "more than 30 tags" in done.text
    assert await tags_of(retailer, free) == ["more"]
    assert "more" not in await tags_of(retailer, full)
