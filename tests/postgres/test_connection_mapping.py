"""Which of ours a channel's variants are: suggested, said by a person, taken back; orders that waited go on by themselves."""

import asyncio

import pytest
from linked_world import CODE, Linked, linked

from malha.channels import service as channels
from malha.channels.connecting import mapping, mapping_reads, products, service, turns
from malha.channels.connecting.errors import UnknownEntry
from malha.channels.connecting.mapping_rules import Suggestion, clear, gtins_of, ranked
from malha.channels.model import ListingDraft
from malha.platform.flaws import Invalid
from malha.platform.text import fold
from malha.testing.builders import a_product

ORDERS = "SELECT external_id FROM sales_order ORDER BY external_id"
MAPPED = """
SELECT m.code, v.sku, m.how FROM channel_variant m LEFT JOIN variant v ON v.id = m.sku_id ORDER BY m.code
"""


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


async def name(shop: Linked, sku: str, text: str, gtin: str | None = None) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE variant SET name = %(name)s, folded = %(folded)s, gtin = %(gtin)s WHERE sku = %(sku)s",
            {"sku": sku, "name": text, "folded": fold(f"{text} {sku}"), "gtin": gtin},
        )


async def read(shop: Linked) -> None:
    await products.ensure(shop.runtime)
    await shop.due()
    assert await turns.work(shop.runtime, products.STREAM, products.read, asyncio.Event()) == 1


async def suggested(shop: Linked) -> dict[str, list[Suggestion]]:
    async with shop.database.transaction() as tx:
        return await mapping_reads.suggestions(tx, await mapping_reads.rows(tx, await shop.id()))


def sold(*codes: str) -> list[dict]:
    return [{"sku": code, "quantity": 1, "unit_price": 1000, "id": f"l{n}"} for n, code in enumerate(codes)]


async def test_an_order_for_what_nobody_knows_waits_and_goes_on_once_somebody_does(shop: Linked):
    for id_ in ("1001", "1002"):
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_, lines=sold("A", "BLUE", "GREEN"))))
    await shop.receive(shop.peer.webhook(shop.peer.sell("1003", lines=sold("A"))))
    await shop.handle()
    assert await shop.values(ORDERS) == ["1003"]
    assert await shop.rows(MAPPED) == [("BLUE", None, None), ("GREEN", None, None)]
    async with shop.database.transaction() as tx:
        assert await mapping_reads.waiting(tx, await shop.id(), ["BLUE", "GREEN", "A"]) == {"BLUE": 2, "GREEN": 2}
        assert await mapping.put(tx, CODE, [("BLUE", "A")]) == 0
        assert await mapping.put(tx, CODE, [("GREEN", "B")]) == 2
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001", "1002", "1003"]
    assert await shop.values(
        "SELECT DISTINCT v.sku FROM order_line l JOIN variant v ON v.id = l.sku_id ORDER BY 1"
    ) == [
        "A",
        "B",
    ]


async def test_what_is_mapped_is_told_under_the_channels_code_and_taken_back_under_ours(shop: Linked):
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=sold("BLUE", "AZUL"))))
    await shop.handle()
    async with shop.database.transaction() as tx:
        await channels.put_listings(tx, "web", [ListingDraft("A"), ListingDraft("B", code="own-code-of-b")])
        await mapping.put(tx, CODE, [("BLUE", "A"), ("AZUL", "B")])
    await shop.handle()
    listed = "SELECT code FROM listing ORDER BY code"
    assert await shop.values(listed) == ["BLUE", "own-code-of-b"]
    async with shop.database.transaction() as tx:
        assert await mapping.unmap(tx, CODE, ["BLUE", "AZUL"]) == 2
        with pytest.raises(UnknownEntry):
            await mapping.unmap(tx, CODE, ["BLUE"])
    assert await shop.values(listed) == ["A", "own-code-of-b"]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", lines=sold("BLUE"))))
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001"]


async def test_a_product_that_is_made_later_lets_the_order_go_on(shop: Linked):
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=sold("C"))))
    await shop.handle()
    await products.care(shop.runtime)
    await shop.handle()
    assert await shop.values(ORDERS) == []
    async with shop.database.transaction() as tx:
        await a_product(tx, shop.world, "C", stock={"DC": 3})
    await products.care(shop.runtime)
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001"]
    assert await shop.rows(MAPPED) == [("C", "C", "exact")]


async def test_an_order_that_is_here_is_cancelled_though_its_variant_was_unmapped_since(shop: Linked):
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=sold("BLUE"))))
    await shop.handle()
    async with shop.database.transaction() as tx:
        await mapping.put(tx, CODE, [("BLUE", "A")])
    await shop.handle()
    async with shop.database.transaction() as tx:
        await mapping.unmap(tx, CODE, ["BLUE"])
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", status="cancelled")))
    await shop.handle()
    assert await shop.values("SELECT status FROM sales_order") == ["cancelled"]


HELD = "SELECT entity, state, cause FROM channel_inbox ORDER BY id"


async def test_a_product_that_cannot_be_read_waits_for_a_person_until_it_can_be(shop: Linked):
    shop.peer.products = [{"id": "1", "sku": "A"}, {"id": "bad", "price": "x"}, {"id": "worse", "price": "x"}]
    await read(shop)
    held = [("product:bad", "parked", "unread"), ("product:worse", "parked", "unread")]
    assert await shop.rows(HELD) == held
    assert (await shop.health()).inbox_parked == 2
    await shop.settle()
    assert await shop.rows(HELD) == held, "nobody asks its channel for an order of that name"
    # Tried again and as it was, it is held again; one that was dropped is not.
    ids = dict(await shop.rows("SELECT entity, id FROM channel_inbox"))
    async with shop.database.transaction() as tx:
        await service.drop(tx, CODE, came=[ids["product:worse"]])
        await service.replay(tx, CODE, came=[ids["product:bad"]])
    await shop.handle()
    await read(shop)
    assert await shop.rows(HELD) == [("product:bad", "parked", "unread"), ("product:worse", "dropped", "unread")]
    shop.peer.products.append({"id": "bad", "sku": "BLUE", "name": "Mended"})
    await read(shop)
    assert [state for _, state, _ in await shop.rows(HELD)] == ["done", "dropped"]
    assert "BLUE" in {code for code, _, _ in await shop.rows(MAPPED)}


async def test_a_catalogue_is_read_page_by_page_and_what_is_exactly_ours_is_taken_for_it(shop: Linked):
    await name(shop, "B", "Manta", "7891000315507")
    shop.peer.products = [{"id": f"v{n}", "sku": f"T-{n}", "name": f"Thing {n}"} for n in range(7)]
    shop.peer.products += [{"id": "va", "sku": "A"}, {"id": "vb", "gtin": "7891000315507"}, {"id": "bad", "price": "x"}]
    shop.peer.fail("GET /products", "status 502")
    await read(shop)
    found = {code: (sku, how) for code, sku, how in await shop.rows(MAPPED)}
    assert len(found) == 9
    assert (found["A"], found["vb"], found["T-3"]) == (("A", "exact"), ("B", "exact"), (None, None))
    assert await shop.rows(HELD) == [("product:bad", "parked", "unread")]
    asked = len(shop.peer.asked)
    shop.peer.products.append({"id": "late", "sku": "LATE"})
    await read(shop)
    assert [target for _, target, _ in shop.peer.asked[asked:]] == ["/products?limit=3&cursor=10"]
    assert "LATE" in {code for code, _, _ in await shop.rows(MAPPED)}


async def test_an_older_word_of_the_catalogue_changes_nothing_and_an_order_none_of_it(shop: Linked):
    shop.peer.products = [{"id": "x", "sku": "X", "name": "New name", "version": 5}]
    await read(shop)
    shop.peer.products.append({"id": "x", "sku": "X", "name": "Old name", "version": 4})
    await read(shop)
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=sold("X"))))
    await shop.handle()
    assert await shop.rows("SELECT name, source FROM channel_variant") == [("New name", "catalog")]


async def test_suggestions_are_ranked_by_gtin_then_sku_then_name(shop: Linked):
    await name(shop, "A", "Jogo de cama Percal 300 fios queen areia")
    await name(shop, "B", "Toalha de banho Felpa terracota", "7891000315507")
    async with shop.database.transaction() as tx:
        await a_product(tx, shop.world, "AB-12.x")
    shop.peer.products = [
        {"id": "1", "sku": "ab 12 X", "name": "Toalha de banho Felpa terracota"},
        {"id": "2", "sku": "Q", "gtin": "07891000315507"},
        {"id": "3", "sku": "R", "name": "Jogo de cama percal 300 fios - Queen, AREIA"},
        {"id": "4", "sku": "S", "name": "Cadeira"},
        {"id": "5", "sku": "U"},
    ]
    await read(shop)
    found = await suggested(shop)
    assert [(s.sku, s.how) for s in found["ab 12 X"]] == [("AB-12.x", "sku"), ("B", "name")]
    assert [(s.sku, s.how, s.score) for s in found["Q"]] == [("B", "gtin", 98)]
    assert [(s.sku, s.how) for s in found["R"]] == [("A", "name")]
    assert found["R"][0].score >= 70
    assert (found["S"], found["U"]) == ([], [])


async def test_only_what_is_sure_and_clear_is_accepted_together(shop: Linked):
    await name(shop, "B", "Toalha", "7891000315507")
    async with shop.database.transaction() as tx:
        for sku in ("AB-12", "ab.12"):
            await a_product(tx, shop.world, sku)
    shop.peer.products = [
        {"id": "1", "sku": "AB12"},  # two of ours look like it
        {"id": "2", "sku": "Q", "gtin": "07891000315507"},
        {"id": "3", "sku": "R", "name": "Toalha"},
    ]
    await read(shop)
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=sold("Q"))))
    await shop.handle()
    async with shop.database.transaction() as tx:
        with pytest.raises(Invalid):
            await mapping.accept(tx, CODE, 50)
        assert await mapping.accept(tx, CODE, 95) == (1, 1)
        assert await mapping.accept(tx, CODE, 95) == (0, 0)
    assert await shop.rows(MAPPED) == [("AB12", None, None), ("Q", "B", "gtin"), ("R", None, None)]
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001"]
    assert await shop.values("SELECT action FROM audit WHERE action = 'accept_suggestions'") == ["accept_suggestions"]


async def test_what_is_none_of_ours_is_out_of_the_way_until_it_is_ordered(shop: Linked):
    shop.peer.products = [{"id": "1", "sku": "GIFT"}, {"id": "2", "sku": "CARD"}]
    await read(shop)
    async with shop.database.transaction() as tx:
        assert await mapping.ignore(tx, CODE, ["GIFT", "CARD"]) == 2
        assert await mapping.ignore(tx, CODE, ["CARD"], ignored=False) == 1
        assert await mapping_reads.counts(tx, await shop.id()) == {"open": 1, "mapped": 0, "ignored": 1}
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=sold("GIFT"))))
    await shop.handle()
    async with shop.database.transaction() as tx:
        assert await mapping_reads.counts(tx, await shop.id()) == {"open": 2, "mapped": 0, "ignored": 0}


async def test_a_mapping_to_nothing_is_refused_as_a_whole(shop: Linked):
    shop.peer.products = [{"id": "1", "sku": "X"}]
    await read(shop)
    with pytest.raises(Invalid):
        async with shop.database.transaction() as tx:
            await mapping.put(tx, CODE, [("X", "A"), ("X2", "A")])
    assert await shop.rows(MAPPED) == [("X", None, None)]


def test_a_gtin_is_the_same_with_and_without_zeros_before_it():
    assert "07891000315507" in gtins_of("7891000315507")
    assert gtins_of("036000291452") == ["036000291452", "0036000291452", "00036000291452"]
    assert (gtins_of(""), gtins_of("12"), gtins_of("١٢٣٤٥٦٧٨"), gtins_of("1234567890123456")) == ([], [], [], [])


def test_of_two_that_are_alike_none_is_clear():
    both = ranked([("A", "", "name", 1.0), ("B", "", "name", 0.97), ("A", "", "sku", 1.0)])
    assert [(s.sku, s.score) for s in both] == [("A", 95), ("B", 87)]
    assert clear(both, 90) == both[0]
    assert clear(ranked([("A", "", "name", 1.0), ("B", "", "name", 0.97)]), 80) is None
    assert clear(both, 96) is None


async def test_among_many_that_are_taken_at_once_only_what_nobody_knows_waits(shop: Linked):
    for n in range(8):
        lines = sold("A", "GREEN") if n % 2 else sold("A")
        await shop.receive(shop.peer.webhook(shop.peer.sell(f"{1000 + n}", lines=lines)))
    await shop.handle()
    assert await shop.values(ORDERS) == ["1000", "1002", "1004", "1006"]
    assert await shop.values("SELECT DISTINCT wants FROM channel_inbox WHERE state = 'unmapped'") == [["listing:GREEN"]]
    assert await shop.values("SELECT kind FROM order_hold WHERE kind = 'unknown_sku'") == []
