"""The command bar: finds pages and records for whoever may see them, and remembers what a person chose."""

import html
import re
from typing import NamedTuple

from tests_http import Shop

from malha.identity.model import Role
from malha.platform.db import Tx
from malha.testing import builders
from malha.testing.builders import Sold


class Found(NamedTuple):
    """One thing the bar shows."""

    kind: str
    key: str
    href: str
    text: str


ITEM = re.compile(r'role="option"[^>]* href="([^"]*)" data-kind="(\w+)" data-key="([^"]*)">(.*?)</a>', re.DOTALL)


async def find(shop: Shop, headers: dict[str, str], text: str = "") -> list[Found]:
    answer = await shop.http.get("/find", params={"q": text}, headers=headers)
    assert answer.status_code == 200
    plain = lambda body: " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())  # noqa: E731
    return [Found(kind, key, html.unescape(href), plain(body)) for href, kind, key, body in ITEM.findall(answer.text)]


def of(found: list[Found], kind: str) -> list[str]:
    return [each.key for each in found if each.kind == kind]


async def a_shop(tx: Tx) -> dict[str, int]:
    world = await builders.a_network(tx)
    sku = await builders.a_product(tx, world, "COURO-1", stock={"S2": 5, "DC": 5})
    await tx.execute("UPDATE variant SET folded = 'bota de couro couro-1' WHERE sku = 'COURO-1'")
    await tx.execute(
        "INSERT INTO customer (id, name, document, folded) VALUES"
        " (gen_random_uuid(), 'Maria Couro', '52998224725', 'maria couro 52998224725')"
    )
    await builders.an_order(tx, world, [Sold(sku, 1, at="S2")])
    await builders.an_order(tx, world, [Sold(sku, 1, at="DC")])
    return dict(await tx.tuples(
        "SELECT l.code, o.number FROM sales_order o JOIN order_unit u ON u.order_id = o.id JOIN location l ON l.id = u.location_id"
    ))  # fmt: skip


async def test_pages_orders_goods_customers_and_locations_are_found(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        numbers = await a_shop(tx)
    owner = await shop.session()
    assert of(await find(shop, owner, "pedidos"), "page") == ["orders", "purchases"]
    assert of(await find(shop, owner, str(numbers["S2"])), "order") == [str(numbers["S2"])]
    found = await find(shop, owner, "couro")
    assert of(found, "variant") == ["COURO-1"]
    assert [each.text for each in found if each.kind == "customer"] == ["Maria Couro •••.982.247-••"]
    assert of(await find(shop, owner, "s2"), "location") == ["S2"]
    assert of(await find(shop, owner, "atras"), "view") == []  # English is spoken
    assert of(await find(shop, owner, "late"), "view") == ["/orders?view=late"]


async def test_a_number_means_an_order_first(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        numbers = await a_shop(tx)
        await tx.execute("UPDATE variant SET folded = folded || ' ' || %(n)s::text", {"n": str(numbers["DC"])})
    found = await find(shop, await shop.session(), str(numbers["DC"]))
    assert found[0].kind == "order"


PAPERS = {
    "purchase": """
        INSERT INTO inbound_order (id, kind, supplier, location_id, created_by)
        SELECT gen_random_uuid(), 'purchase', 'Curtume', id, 'test' FROM location WHERE code = 'S2' RETURNING 'P' || number
    """,
    "receipt": """
        INSERT INTO receipt (id, location_id, received_by)
        SELECT gen_random_uuid(), id, 'test' FROM location WHERE code = 'S2' RETURNING 'R' || number
    """,
    "transfer": """
        INSERT INTO transfer (id, origin_id, destination_id, needs_document, state, requested_by)
        SELECT gen_random_uuid(), o.id, d.id, false, 'requested', 'test' FROM location o, location d
        WHERE o.code = 'DC' AND d.code = 'S2' RETURNING 'T' || number
    """,
    "count": """
        INSERT INTO count_task (id, location_id, kind, source, limit_units, limit_value, created_by)
        SELECT gen_random_uuid(), id, 'cycle', 'person', 1, 1, 'test' FROM location WHERE code = 'S2'
        RETURNING 'C' || number
    """,
}


async def test_papers_of_goods_are_found_by_their_numbers_where_a_person_may_see_them(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_shop(tx)
        papers = {kind: str(await tx.value(insert)) for kind, insert in PAPERS.items()}
    owner, here = await shop.session(), await shop.session(Role.STORE_LEAD, locations=["S2"])
    elsewhere = await shop.session(Role.STORE_ASSOCIATE, locations=["S1"])
    for kind, number in papers.items():
        for who in (owner, here):
            found = await find(shop, who, number.lower())
            assert [(each.kind, each.key) for each in found if each.kind in papers] == [(kind, number[1:])]
        assert number[1:] in of(await find(shop, owner, number[1:]), kind)  # the bare number finds it as well
        assert of(await find(shop, elsewhere, number), kind) == []
    assert [each.text for each in await find(shop, owner, papers["transfer"]) if each.kind == "transfer"] == [
        f"{papers['transfer']} · DC → S2 To approve"
    ]
    await shop.http.post("/find/chosen", data={"kind": "count", "key": papers["count"][1:]}, headers=owner)
    assert of(await find(shop, owner), "count") == [papers["count"][1:]]


async def test_nothing_is_shown_that_a_person_may_not_see(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        numbers = await a_shop(tx)
    associate = await shop.session(Role.STORE_ASSOCIATE, locations=["S2"])
    assert of(await find(shop, associate, str(numbers["DC"])), "order") == []
    assert of(await find(shop, associate, str(numbers["S2"])), "order") == [str(numbers["S2"])]
    assert of(await find(shop, associate, "couro"), "customer") == []
    assert of(await find(shop, associate, "dc"), "location") == []
    assert of(await find(shop, associate, "attention"), "page") == []
    lead = await shop.session(Role.STORE_LEAD, locations=["S2"])  # may see customers, not those of the whole retailer
    assert of(await find(shop, lead, "couro"), "customer") == []


async def test_what_was_chosen_comes_first_the_next_time_while_it_may_be_seen(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        numbers = await a_shop(tx)
        number = await tx.value("SELECT number FROM customer")
    owner = await shop.session()
    assert [each.kind for each in await find(shop, owner)][:2] == ["order", "order"]  # the latest, before any choice
    chosen = [("order", str(numbers["DC"])), ("variant", "COURO-1"), ("customer", str(number)), ("location", "S2"), ("page", "fulfillment")]  # fmt: skip
    for kind, key in chosen:
        sent = await shop.http.post("/find/chosen", data={"kind": kind, "key": key}, headers=owner)
        assert sent.status_code == 204
    recent = [(each.kind, each.key) for each in await find(shop, owner)]
    assert recent[:5] == chosen[::-1]
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET role = 'store_associate', everywhere = false")
    assert ("customer", str(number)) not in [(each.kind, each.key) for each in await find(shop, owner)]
    assert ("order", str(numbers["DC"])) not in [(each.kind, each.key) for each in await find(shop, owner)]


async def test_a_dozen_choices_are_kept_and_nothing_unknown(shop: Shop) -> None:
    owner = await shop.session()
    for n in range(15):
        await shop.http.post("/find/chosen", data={"kind": "order", "key": str(n)}, headers=owner)
    await shop.http.post("/find/chosen", data={"kind": "secret", "key": "1"}, headers=owner)
    async with shop.database.transaction() as tx:
        kept = await tx.values("SELECT key FROM recent_choice ORDER BY at DESC")
    assert kept == [str(n) for n in range(14, 2, -1)]


async def test_a_text_that_fits_nothing_is_said_so_and_is_never_markup(shop: Shop) -> None:
    answer = await shop.http.get("/find", params={"q": "<b>%_\\"}, headers=await shop.session())
    assert "Nothing fits “&lt;b&gt;%_\\”." in answer.text


async def test_a_persons_own_views_are_found_by_their_name(shop: Shop) -> None:
    owner = await shop.session()
    view = {"list": "orders", "query": "view=ready&channel=web", "name": "Retirada da web"}
    await shop.http.post("/views", data=view, headers=owner)
    assert [each.href for each in await find(shop, owner, "retirada da")] == ["/orders?view=ready&channel=web"]


async def test_an_apostrophe_is_found_however_it_was_written(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_shop(tx)
        await tx.execute("UPDATE variant SET folded = 'copo d’agua couro-1' WHERE sku = 'COURO-1'")
        await tx.execute("UPDATE customer SET name = 'Joana D''Arc', folded = 'joana d''arc'")
        (order,) = await tx.values("SELECT id FROM sales_order ORDER BY number LIMIT 1")
        await tx.execute("UPDATE sales_order SET buyer_name = 'Ana Sant’Anna' WHERE id = %s", (order,))
        await tx.execute(
            "INSERT INTO order_search (order_id, placed_at, document) VALUES (%s, now(), 'ana sant’anna')"
            " ON CONFLICT (order_id) DO UPDATE SET document = excluded.document",
            (order,),
        )
    owner = await shop.session()
    for typed in ("d'agua", "d’água", "D‘ÁGUA"):
        assert of(await find(shop, owner, typed), "variant") == ["COURO-1"]
    for typed in ("d'arc", "d’arc"):
        assert len(of(await find(shop, owner, typed), "customer")) == 1
    for typed in ("sant'anna", "sant’anna"):
        assert len(of(await find(shop, owner, typed), "order")) == 1
    assert of(await find(shop, owner, "dxagua"), "variant") == []
    assert of(await find(shop, owner, "d%agua"), "variant") == []
