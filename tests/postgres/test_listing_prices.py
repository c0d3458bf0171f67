"""What a SKU costs on one channel is told to that channel alone, the newest last, and is the catalogue's again when taken back."""

import asyncio
import io
from typing import Any

import pytest
from linked_world import CODE, Linked, linked

from malha.catalog import ownership
from malha.catalog import service as catalog
from malha.catalog.model import ProductDraft, VariantDraft
from malha.channels import service as channels
from malha.channels.connecting import failures, following, mapping, mastering, operating
from malha.channels.connecting import service as connections
from malha.channels.connecting.mapping_rules import Seen
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.feeds import reads as feeds
from malha.channels.listings import reads, service
from malha.channels.listings.errors import ListingChanged
from malha.channels.listings.imports import OverrideImport, override_pages
from malha.channels.listings.model import Status
from malha.channels.listings.service import Listing
from malha.channels.model import ListingDraft
from malha.platform import audit
from malha.platform.db import SYSTEM
from malha.platform.flaws import Invalid
from malha.platform.imports import Mode, run_import

OTHER = "outra"


@pytest.fixture
async def shop(database, tmp_path):
    """A channel that sells A and B for 19.90 each, and has been told so."""
    async with linked(database, tmp_path) as made:
        async with database.transaction() as tx:
            await catalog.set_prices(tx, {"A": 1_990, "B": 1_990})
            await channels.put_listings(tx, "web", [ListingDraft("A"), ListingDraft("B")])
        await told(made)
        assert prices(made) == {"A": 1_990, "B": 1_990}
        yield made


async def told(shop: Linked) -> int:
    """Have prices queued and told; return how many were queued."""
    queued = await following.offer_prices(shop.database)
    await shop.tell()
    return queued


def prices(shop: Linked) -> dict[str, int]:
    return {code: price for code, (_, price) in shop.peer.prices.items()}


async def give(shop: Linked, code: str = CODE, **costs: int | None) -> int:
    async with shop.database.transaction() as tx:
        return await service.say_many(tx, code, [], costs)


async def listing(shop: Linked, sku: str = "A", code: str = CODE) -> Listing:
    async with shop.database.transaction() as tx:
        return (await service.listing_of(tx, code, sku))[1]


async def imported(shop: Linked, text: str) -> Any:
    return await run_import(shop.database, OverrideImport(), io.BytesIO(text.encode()), mode=Mode.VALID)


async def test_only_what_changed_is_told_and_it_is_the_catalogues_again_when_taken_back(shop: Linked):
    assert await give(shop, A=8_880) == 1
    assert await told(shop) == 1
    assert prices(shop) == {"A": 8_880, "B": 1_990}
    goods = (await listing(shop)).goods
    assert (goods.price, goods.own_price, goods.catalog_price) == (8_880, 8_880, 1_990)
    assert await give(shop, A=8_880) == 0
    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"A": 2_500, "B": 2_600})
    assert await told(shop) == 1, "what is said here hides what the catalogue says"
    assert prices(shop) == {"A": 8_880, "B": 2_600}
    assert await give(shop, A=None) == 1
    assert await told(shop) == 1
    assert (prices(shop), await told(shop)) == ({"A": 2_500, "B": 2_600}, 0)


async def test_another_channel_is_told_nothing_of_it(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO channel (code, name, kind, currency) SELECT 'fair', 'Fair', kind, currency FROM channel"
            " WHERE code = 'web'"
        )
        draft = ConnectionDraft(
            code=OTHER,
            name="Outra",
            connector="generic",
            channel="fair",
            config={"base_url": "https://fair.example/oms"},
        )
        await connections.add_connection(tx, draft, shop.keys)
        await connections.resume(tx, OTHER)
        await channels.put_listings(tx, "fair", [ListingDraft("A")])
    ops = "SELECT count(*) FROM channel_op o JOIN connection c ON c.id = o.connection_id WHERE c.code = 'outra'"
    assert await following.offer_prices(shop.database) == 1, "its first word of it"
    for price in (8_880, 7_770):
        await give(shop, A=price)
        assert await following.offer_prices(shop.database) == 1
    waiting = """SELECT c.code = 'loja', (o.payload ->> 'price')::int FROM channel_op o JOIN connection c ON c.id = o.connection_id
    WHERE o.state = 'waiting' ORDER BY 1"""
    assert await shop.rows(waiting) == [(False, 1_990), (True, 7_770)]
    assert await shop.values(ops) == [1]
    assert (await listing(shop, code=OTHER)).goods.price == 1_990


async def test_what_is_taken_back_before_it_is_told_does_not_stay_at_the_channel(shop: Linked):
    await give(shop, A=8_880)
    await following.offer_prices(shop.database)
    await give(shop, A=None)
    await following.offer_prices(shop.database)
    await shop.tell()
    assert prices(shop) == {"A": 1_990, "B": 1_990}


async def test_what_changes_while_a_price_is_on_its_way_is_told_after_it(shop: Linked):
    shop.peer.fail("POST /prices", "commit_then_silence")
    await give(shop, A=8_880)
    await following.offer_prices(shop.database)
    running = asyncio.create_task(operating.work(shop.runtime))
    while prices(shop)["A"] != 8_880:
        await asyncio.sleep(0.01)
    await give(shop, A=1_990)
    await following.offer_prices(shop.database)
    await running
    await shop.tell()
    assert (prices(shop)["A"], await told(shop)) == (1_990, 0)


async def test_of_many_at_once_the_last_word_is_what_the_channel_gets(shop: Linked):
    await asyncio.gather(*(give(shop, A=1_000 + n) for n in range(8)))
    assert await told(shop) == 1
    (now,) = await shop.values("SELECT price FROM listing_price")
    assert prices(shop)["A"] == now == (await listing(shop)).goods.price


async def test_of_two_who_read_the_same_one_is_told_that_the_other_was_quicker(shop: Linked):
    version = (await listing(shop)).version

    async def say(price: int) -> int:
        async with shop.database.transaction() as tx:
            return await service.say(tx, CODE, "A", {}, version, price=price)

    done = await asyncio.gather(*(say(1_000 + n) for n in range(6)), return_exceptions=True)
    assert sum(isinstance(each, ListingChanged) for each in done) == 5
    version = (await listing(shop)).version
    await give(shop, A=None)
    with pytest.raises(ListingChanged):
        await say(5)


async def test_a_listing_with_a_price_of_its_own_goes_though_the_catalogue_has_none(shop: Linked):
    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"A": None})
        assert "A" in (await service.publish(tx, CODE, ["A"])).refused
    await give(shop, A=8_880)
    await shop.tell()
    assert (shop.peer.listings["A"]["price"], (await listing(shop)).goods.status) == (8_880, Status.LIVE)
    assert await service.offer(shop.database) == 0
    await give(shop, A=None)
    assert [(e.code, e.field) for e in (await listing(shop)).goods.errors] == [("missing", "price")]


async def test_a_price_is_said_before_anything_is_listed_and_shows_there_as_a_draft(shop: Linked):
    await shop.values("DELETE FROM listing WHERE code = 'B' RETURNING 1")
    await give(shop, B=5_000)
    async with shop.database.transaction() as tx:
        place = service.place_of((await service.listing_of(tx, CODE, "B"))[0])
        rows = {row.sku: row for row in await reads.listed(tx, place)}
        counts, _ = await reads.counts(tx, place)
    assert (rows["B"].price, rows["B"].own_price, rows["B"].active) == (5_000, 5_000, False)
    assert (rows["A"].price, rows["A"].own_price) == (1_990, None)
    assert counts == {Status.DRAFT: 2}
    assert await shop.values("SELECT count(*) FROM listing WHERE code = 'B'") == [0], (
        "the channel hears of no stock of it"
    )


async def test_rows_of_feeds_of_the_channel_have_its_price_and_are_found_when_it_changes(shop: Linked):
    async with shop.database.transaction() as tx:
        channel_id = await tx.value("SELECT id FROM channel WHERE code = 'web'")
        before = {g.sku: g for g in await feeds.goods_after(tx, channel_id, 0, 10)}
    await give(shop, A=8_880)
    async with shop.database.transaction() as tx:
        after = {g.sku: g for g in await feeds.goods_after(tx, channel_id, 0, 10)}
    assert {sku: g.price for sku, g in after.items()} == {"A": 8_880, "B": 1_990}
    assert [sku for sku in after if after[sku].stamp != before[sku].stamp] == ["A"]


async def test_a_connection_that_keeps_prices_itself_is_told_none_of_its_own(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("INSERT INTO product_owner (field, owner, name) VALUES ('price', %s, 'Loja')", [CODE])
        await tx.execute("INSERT INTO variant_owner SELECT id, %s::text FROM variant WHERE sku = 'A'", [CODE])
    with pytest.raises(Invalid) as refused:
        await give(shop, A=8_880, B=8_880)
    assert [(f.at, f.says) for f in refused.value.flaws] == [("price", ownership.SAYS)]
    report = await imported(shop, f"connection;sku;price\n{CODE};A;88,80\n{CODE};B;88,80\n")
    assert ([(p.line, p.column) for p in report.problems], report.created) == ([(2, "price")], 1)


async def keep(shop: Linked, fields: list[str], version: int) -> int:
    """Have the connection keep fields, and the worker write what the channel told."""
    async with shop.database.transaction() as tx:
        stored = await mastering.put_fields(tx, CODE, fields, version)
    while await mastering.work(shop.runtime, asyncio.Event()):
        pass
    return stored


async def sold_there(shop: Linked, **costs: int) -> None:
    """What the channel says that it sells, and for how much."""
    said = [Seen(code=sku, external_id=sku, name=sku, price=cost, version=1) for sku, cost in costs.items()]
    async with shop.database.transaction() as tx:
        (id_,) = await tx.values("SELECT id FROM connection WHERE code = %s", [CODE])
        await mapping.note(tx, id_, said, "catalog")
        await mapping.settle_exact(tx, id_)


async def test_prices_given_before_a_connection_keeps_them_end_and_the_trail_says_what_they_were(shop: Linked):
    await give(shop, A=8_880, B=4_000)
    assert await told(shop) == 2
    await sold_there(shop, A=2_500)
    async with shop.database.transaction() as tx:
        assert (await mastering.preview(tx, CODE, ["price"])).own_prices == 1
        assert (await mastering.preview(tx, CODE, ["gtin"])).own_prices == 0
    version = await keep(shop, ["price"], 0)
    ours = [(await listing(shop, sku)).goods for sku in ("A", "B")]
    assert [(g.price, g.own_price) for g in ours] == [(2_500, None), (4_000, 4_000)], "of B the channel says nothing"
    async with shop.database.transaction() as tx:
        entries = await audit.trail(tx, entity="listing", entity_id=CODE)
    (ended,) = [e for e in entries if e.before and e.before["listings"] == {"A": {"price": 8_880}}]
    assert ended.after == {"count": 1, "listings": {"A": {"price": None}}}

    # The shop moves on; what it said a while ago does not come back to it.
    assert await told(shop) == 0
    assert prices(shop) == {"A": 8_880, "B": 4_000}
    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"B": 5_000, "A": 2_600})
    assert await told(shop) == 0
    await keep(shop, [], version)
    assert await told(shop) == 1
    assert prices(shop) == {"A": 2_600, "B": 4_000}


async def test_a_whole_listing_tells_no_price_to_who_keeps_it_and_none_is_missing(shop: Linked):
    await sold_there(shop, A=2_500)
    version = await keep(shop, ["price"], 0)
    async with shop.database.transaction() as tx:
        await service.publish(tx, CODE, ["A", "B"])
    await shop.tell()
    told_of = shop.peer.listings
    assert ("price" in told_of["A"], told_of["B"]["price"]) == (False, 1_990), "of B the channel says nothing"

    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"A": None})
        assert not (await service.publish(tx, CODE, ["A"])).refused
        await service.say_many(tx, CODE, [("A", "title", "Outro nome")])
    await shop.tell()
    assert told_of["A"]["name"] == "Outro nome"
    assert "price" not in told_of["A"]

    async with shop.database.transaction() as tx:
        await service.end(tx, CODE, ["A"])
    await shop.tell()
    assert (told_of["A"]["active"], "price" in told_of["A"]) == (False, False)

    await keep(shop, [], version)
    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"A": 2_600})
        await service.publish(tx, CODE, ["A"])
    await shop.tell()
    assert told_of["A"]["price"] == 2_600, "it is told again"


async def test_a_price_that_waits_when_the_channel_becomes_its_keeper_is_not_sent(shop: Linked):
    await give(shop, A=8_880, B=4_000)
    assert await following.offer_prices(shop.database) == 2
    await sold_there(shop, A=2_500)
    version = await keep(shop, ["price"], 0)
    await shop.tell()
    assert prices(shop) == {"A": 1_990, "B": 4_000}, "of B the channel says nothing"
    ended = """SELECT a.outcome, a.says FROM op_attempt a JOIN channel_op o ON o.key = a.op_key
    WHERE o.entity = 'price:A' ORDER BY a.at DESC LIMIT 1"""
    assert await shop.rows(ended) == [("not sent", failures.KEEPS_PRICE)]

    # What it was told long ago does not count as told once it hears of prices again.
    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"A": 1_990})
    await keep(shop, [], version)
    assert await told(shop) == 1
    assert prices(shop) == {"A": 1_990, "B": 4_000}


async def test_a_price_does_not_overtake_what_the_keeper_told_and_nobody_has_written_yet(shop: Linked):
    await sold_there(shop, A=2_500)
    async with shop.database.transaction() as tx:
        await mastering.put_fields(tx, CODE, ["price"], 0)
        await catalog.set_prices(tx, {"A": 7_770, "B": 7_770})
        await service.publish(tx, CODE, ["A"])
    assert await told(shop) == 1
    assert prices(shop) == {"A": 1_990, "B": 7_770}
    assert "price" not in shop.peer.listings["A"]


async def test_feeds_of_a_channel_whose_connection_keeps_the_price_say_what_the_keeper_said(shop: Linked):
    await give(shop, A=8_880)
    await sold_there(shop, A=2_500)
    await keep(shop, ["price"], 0)
    async with shop.database.transaction() as tx:
        channel_id = await tx.value("SELECT id FROM channel WHERE code = 'web'")
        rows = {g.sku: g.price for g in await feeds.goods_after(tx, channel_id, 0, 10)}
    assert rows == {"A": 2_500, "B": 1_990}


async def test_a_sku_that_the_keeper_tells_of_later_loses_its_own_price_then(shop: Linked):
    await sold_there(shop, A=2_500)
    await keep(shop, ["price"], 0)
    await give(shop, B=4_000)
    await sold_there(shop, B=3_000)
    while await mastering.work(shop.runtime, asyncio.Event()):
        pass
    goods = (await listing(shop, "B")).goods
    assert (goods.price, goods.own_price) == (3_000, None)


async def test_every_price_of_many_is_in_the_trail_with_what_it_was(shop: Linked):
    skus = [f"N-{n}" for n in range(120)]
    async with shop.database.transaction() as tx:
        await catalog.put_products(
            tx,
            [
                ProductDraft(
                    code="N", name="Nó", options=["n"], variants=[VariantDraft(sku=s, options={"n": s}) for s in skus]
                )
            ],
        )
    await give(shop, **dict.fromkeys(skus[:2], 1_000))
    await give(shop, **dict.fromkeys(skus, 2_000))
    async with shop.database.transaction() as tx:
        newest = (await audit.trail(tx, entity="listing", entity_id=CODE))[0]
    assert newest.before["listings"] == {s: {"price": 1_000 if s in skus[:2] else None} for s in skus}
    assert newest.after == {"count": 120, "listings": {s: {"price": 2_000} for s in skus}}


async def test_what_was_once_said_as_a_field_called_price_is_no_price_comes_back_from_a_file_and_goes(shop: Linked):
    """Before a listing had a price of its own the word was taken for an attribute."""
    async with shop.database.transaction() as tx:
        await tx.execute(
            'INSERT INTO listing_override (connection_id, product_id, said) SELECT c.id, v.product_id, \'{"price": "99"}\''
            " FROM connection c, variant v WHERE c.code = %s AND v.sku = 'A'",
            [CODE],
        )
    goods = (await listing(shop)).goods
    assert (goods.price, goods.own_price, goods.said_of_product) == (1_990, None, {"price": "99"})
    file = [row async for page in override_pages(shop.database, SYSTEM) for row in page]
    report = await imported(shop, "\n".join(";".join(map(str, row)) for row in file))
    assert (report.unchanged, report.bad) == (1, 0)
    report = await imported(shop, f"connection;sku;field;value\n{CODE};A;price;98\n")
    assert (report.bad, report.problems[0].column) == (1, "field")
    report = await imported(shop, f"connection;sku;field;value\n{CODE};A;price;\n")
    assert (report.changed, report.bad) == (1, 0)
    assert (await listing(shop)).goods.said_of_product == {}


async def test_a_table_gives_prices_tells_each_bad_row_and_comes_back_as_it_was(shop: Linked):
    await give(shop, B=4_000)
    table = (
        "conexão;sku;preço;campo;valor\n"
        f"{CODE};A;1.088,80;title;Da tabela\n"
        f"{CODE};B;;;\n"
        f"{CODE};A;barato;;\n"
        f"{CODE};A;0;;\n"
        f"{CODE};NOPE;10;;\n"
        f"{CODE};A;99,00;;\n"
        f"{CODE};B;;price;99\n"
        f"{CODE};B;;;sem campo\n"
    )
    report = await imported(shop, table)
    assert [(p.line, p.column) for p in report.problems] == [
        (4, "preço"), (5, "preço"), (6, "sku"), (7, "preço"), (8, "campo"), (9, "campo"),
    ]  # fmt: skip
    assert (report.created, report.changed, report.unchanged, report.bad) == (1, 0, 1, 6)
    assert await told(shop) == 2
    assert prices(shop) == {"A": 108_880, "B": 4_000}
    file = [row async for page in override_pages(shop.database, SYSTEM) for row in page]
    assert file == [
        ["connection", "sku", "field", "value", "price"],
        [CODE, "A", "title", "Da tabela", ""],
        [CODE, "A", "", "", "1088,80"],
        [CODE, "B", "", "", "40,00"],
    ]
    report = await imported(shop, "\n".join(";".join(map(str, row)) for row in file))
    assert (report.unchanged, report.created, report.changed, report.bad) == (3, 0, 0, 0)
    report = await imported(shop, f"connection;sku;price\n{CODE};A;nenhum\n{CODE};B;none\n")
    assert (report.changed, report.bad) == (2, 0)
    assert await told(shop) == 2
    assert prices(shop) == {"A": 1_990, "B": 1_990}
