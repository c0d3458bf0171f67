"""Imports taken back: what was before is there again, what somebody touched since is left and named, the ledger grows only."""

import msgspec
import pytest
from linked_world import CODE, linked

from malha.catalog import reads as catalog
from malha.catalog import service as products
from malha.catalog.model import ProductDraft, Substitute, VariantDraft
from malha.channels.listings import service as listings
from malha.customers import reads as customers
from malha.customers import service as profiles
from malha.customers.model import Buyer, CustomerDraft
from malha.exchange import reads, service, undoing
from malha.exchange.errors import NothingToUndo
from malha.exchange.model import Kind, State
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft
from malha.platform.db import SYSTEM, Actor
from malha.platform.errors import Forbidden
from malha.platform.tabular import as_csv
from malha.testing.builders import Sold, a_network, a_product, an_order

BIA = Actor("person", "bia", "Bia", permissions=frozenset({"stock:write", "catalog:write", "customers:write", "audit:read",
                                                           "stock:read", "catalog:read", "customers:reveal"}))  # fmt: skip


async def body_of(text):
    yield text.encode()


async def imported(database, kind, text, actor=BIA):
    run_id = await service.take_in(database, actor, kind, "table.csv", body_of(text), limit_mb=5)
    async with database.transaction(actor) as tx:
        await service.begin(tx, run_id, None, apply=True)
    await service.go_on.work(database, run_id=str(run_id))
    return run_id


async def undone(database, run_id, actor=BIA):
    async with database.transaction(actor) as tx:
        await undoing.undo(tx, run_id)
    await undoing.take_back.work(database, run_id=str(run_id))
    async with database.transaction(SYSTEM) as tx:
        run = await reads.run(tx, run_id)
        left = {record.label: undoing.why_left(record, "en") for record in await reads.left(tx, run_id)}
    assert run.state is State.UNDONE
    return run, left


async def all_products(database):
    async with database.transaction() as tx:
        return await catalog.products_by_code(tx, await catalog.product_codes(tx))


def without_versions(found):
    return {code: repr(catalog.product_draft(product)) for code, product in found.items()}


@pytest.fixture
async def world(database, examined):
    async with database.transaction() as tx:
        world = await a_network(tx)
        for n in range(1, 4):
            await a_product(tx, world, f"SKU-{n}", stock={"DC": 10}, price=1990)
    return world


PRODUCTS = """sku;product;name;brand;price;components;option:Cor
SKU-1;SKU-1;Rede grande;Aroeira;21,00;;
SKU-2;SKU-2;Toalha;;19,90;;
NEW-A;NEW;Camiseta;Aroeira;50,00;;Azul
NEW-B;NEW;Camiseta;Aroeira;50,00;;Verde
KIT-1;KIT;Kit;;99,00;NEW-A:1 | SKU-1:2;
"""


async def test_an_import_of_products_is_taken_back_as_a_whole(database, world):
    before = await all_products(database)
    run_id = await imported(database, Kind.PRODUCTS, PRODUCTS)
    assert sorted(await all_products(database)) == ["KIT", "NEW", "SKU-1", "SKU-2", "SKU-3"]
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept, left) == (4, 0, {})
    assert without_versions(await all_products(database)) == without_versions(before)
    with pytest.raises(NothingToUndo):
        await undone(database, run_id)


async def test_what_somebody_changed_or_sold_since_is_left_and_named(database, world):
    run_id = await imported(database, Kind.PRODUCTS, PRODUCTS)
    async with database.transaction(BIA) as tx:
        found = await catalog.product_by_code(tx, "SKU-1")
        draft = catalog.product_draft(found)
        await products.update_product(tx, ProductDraft(code=draft.code, name="Rede enorme"), found.version)
        new = {v.sku: v.id for v in (await catalog.product_by_code(tx, "NEW")).variants}
        place = await tx.value("SELECT id FROM location WHERE code = 'DC'")
        await inventory.receive(tx, [Claim(new["NEW-B"], place, 1)], Reference("test"))
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept) == (2, 2)
    assert left["SKU-1"].startswith("It was changed since the import.")
    assert left["NEW"].startswith("Orders or stock rest on it by now.")
    now = await all_products(database)
    assert now["SKU-1"].name == "Rede enorme"
    assert sorted(now) == ["NEW", "SKU-1", "SKU-2", "SKU-3"]  # the kit went, what it held stays
    assert now["SKU-2"].name != "Toalha"
    pages = undoing.left_pages(database, BIA, run_id, "pt-BR", ("Registro", "Por que fica"))
    told = b"".join([piece async for piece in as_csv(pages)]).decode("utf-8-sig").splitlines()
    assert told[0] == "Registro;Por que fica"
    assert sorted(line.split(";")[0] for line in told[1:]) == ["NEW", "SKU-1"]


async def test_a_product_with_an_order_is_not_taken_away_even_without_stock(database, world):
    run_id = await imported(database, Kind.PRODUCTS, "sku;product;name\nNEW-A;NEW;Camiseta\n")
    async with database.transaction() as tx:
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'NEW-A'")
        await an_order(tx, world, [Sold(sku, 1, at=None)])
    run, left = await undone(database, run_id)
    assert (run.undone, list(left)) == (0, ["NEW"])


async def test_prices_go_back_where_nobody_set_another_one(database, world):
    run_id = await imported(database, Kind.PRICES, "sku;price\nSKU-1;30,00\nSKU-2;31,00\nSKU-3;19,90\n")
    async with database.transaction() as tx:
        await products.set_prices(tx, {"SKU-2": 3200})
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept, list(left)) == (1, 1, ["SKU-2"])
    async with database.transaction() as tx:
        found = dict(await catalog.prices(tx))
    assert found == {"SKU-1": 1990, "SKU-2": 3200, "SKU-3": 1990}


async def test_stock_is_counted_back_by_movements_and_never_under_what_is_promised(database, world):
    text = "sku;location;on_hand;safety\nSKU-1;DC;4;2\nSKU-2;DC;25;0\nSKU-3;DC;40;0\nSKU-3;S1;5;0\n"
    run_id = await imported(database, Kind.STOCK, text)
    async with database.transaction() as tx:
        place = await tx.value("SELECT id FROM location WHERE code = 'DC'")
        ids = dict(await tx.tuples("SELECT sku, id FROM variant"))
        movements = await tx.value("SELECT count(*) FROM movement")
        await inventory.adjust(tx, [Claim(ids["SKU-2"], place, -1)], Reason.DAMAGE, Reference("test"))
        assert not await inventory.reserve(tx, [Claim(ids["SKU-3"], place, 12)], Reference("test"))
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept) == (2, 2)
    assert left["SKU-2, DC"].startswith("It was changed since the import.")
    assert left["SKU-3, DC"].startswith("Orders or stock rest on it by now.")
    async with database.transaction() as tx:
        rows = await tx.tuples(
            "SELECT v.sku, l.code, b.on_hand, b.safety FROM balance b JOIN variant v ON v.id = b.sku_id"
            " JOIN location l ON l.id = b.location_id WHERE v.sku ~ '^SKU' ORDER BY 1, 2"
        )
        assert rows == [("SKU-1", "DC", 10, 0), ("SKU-2", "DC", 24, 0), ("SKU-3", "DC", 40, 0), ("SKU-3", "S1", 0, 0)]
        assert await tx.value("SELECT count(*) FROM movement") == movements + 4  # damage, claim, two counted back
        await inventory.release(tx, [Claim(ids["SKU-3"], place, 12)], Reference("test"))


async def test_customers_go_back_and_new_ones_without_an_order_go(database, world):
    async with database.transaction(BIA) as tx:
        known = await profiles.create_customer(
            tx, CustomerDraft(name="Ana", document="52998224725", email="ana@x.example")
        )
    text = (
        "nome;cpf;email;telefone\nAna Prates;529.982.247-25;ana@y.example;11987654321\nBento;;bento@x.example;\n"
        "Caio;;caio@x.example;\nDora;;dora@x.example;\n"
    )
    run_id = await imported(database, Kind.CUSTOMERS, text)
    async with database.transaction(BIA) as tx:
        caio = (await customers.candidates(tx, emails=["caio@x.example"]))[0]
        await profiles.update_customer(
            tx, caio.id, CustomerDraft(name="Caio Luz", email="caio@x.example"), caio.version
        )
        dora = await profiles.link(tx, [Buyer(name="Dora", email="dora@x.example")])
        order = await an_order(tx, world)
        await tx.execute(
            "INSERT INTO order_customer (order_id, customer_id) VALUES (%(order)s::uuid, %(customer)s::uuid)"
            " ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id",
            {"order": order, "customer": dora[0]},
        )
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept) == (2, 2)
    assert sorted(why.split(".")[0] for why in left.values()) == [
        "It was changed since the import", "Orders or stock rest on it by now",
    ]  # fmt: skip
    assert all(label.startswith("#") for label in left)  # a number, no personal data
    async with database.transaction() as tx:
        again = (await customers.by_ids(tx, [known.id]))[known.id]
        assert (again.name, again.email, again.phone) == ("Ana", "ana@x.example", None)
        assert not await customers.candidates(tx, emails=["bento@x.example"])
        assert (await customers.candidates(tx, emails=["caio@x.example"]))[0].name == "Caio Luz"


async def test_an_undo_that_was_cut_off_goes_on_and_puts_nothing_back_twice(database, world, monkeypatch):
    rows = "".join(f"SKU-{n};DC;{20 + n}\n" for n in (1, 2, 3))
    run_id = await imported(database, Kind.STOCK, "sku;location;on_hand\n" + rows)
    monkeypatch.setattr(undoing, "AT_ONCE", 1)
    async with database.transaction(BIA) as tx:
        await undoing.undo(tx, run_id)
    async with database.transaction(SYSTEM) as tx:
        run = await reads.run(tx, run_id)
    assert await undoing._take_some_back(database, BIA, run, set())  # one piece, then the worker was killed
    await undoing.take_back.work(database, run_id=str(run_id))
    await undoing.take_back.work(database, run_id=str(run_id))
    async with database.transaction(SYSTEM) as tx:
        run = await reads.run(tx, run_id)
        assert (run.state, run.undone, run.kept) == (State.UNDONE, 3, 0)
        assert await tx.values("SELECT on_hand FROM balance WHERE on_hand > 0 ORDER BY sku_id") == [10, 10, 10]
        assert await tx.value("SELECT count(*) FROM movement WHERE reason = 'adjustment'") == 3
        kinds = await tx.values("SELECT action FROM audit WHERE entity = 'import_stock' ORDER BY id")
    assert kinds == ["import", "imported", "undo", "undone"]


async def test_who_may_not_write_may_not_undo_and_a_check_leaves_nothing_to_undo(database, world):
    run_id = await imported(database, Kind.STOCK, "sku;location;on_hand\nSKU-1;DC;11\n")
    reader = Actor("person", "rui", "Rui", permissions=frozenset({"audit:read", "stock:read"}))
    with pytest.raises(Forbidden):
        await undone(database, run_id, reader)
    same = await imported(database, Kind.STOCK, "sku;location;on_hand\nSKU-1;DC;11\n")
    with pytest.raises(NothingToUndo):
        await undone(database, same)


async def test_a_variant_that_an_import_added_to_a_product_goes_and_the_product_stays(database, world):
    async with database.transaction() as tx:
        await products.put_products(
            tx, [ProductDraft(code="P", name="Vaso", variants=[VariantDraft(sku="P-1", price=100)])]
        )
    before = await all_products(database)
    run_id = await imported(database, Kind.PRODUCTS, "sku;product;name;price\nP-2;P;Vaso grande;2,00\n")
    _run, left = await undone(database, run_id)
    assert not left
    assert without_versions(await all_products(database)) == without_versions(before)


MAYA = Actor("person", "maya", "Maya", permissions=frozenset({"network:write", "network:read", "audit:read"}))
IT_SAYS = f"""connection,sku,field,value
{CODE},A,title,From the table
{CODE},A,brand,
{CODE},A,images,https://img.example/1.jpg https://img.example/2.jpg
{CODE},A,description,Linen.
{CODE},B,title,From the table
"""


async def said(database, sku):
    async with database.transaction() as tx:
        found = (await listings.listing_of(tx, CODE, sku))[1].content
        return {field.field: field.value for field in found.fields if field.source.value == "override"}


async def say(database, sku, **values):
    async with database.transaction(MAYA) as tx:
        await listings.say_many(tx, CODE, [(sku, name, value) for name, value in values.items()])


async def test_what_a_table_says_of_listings_is_taken_back_but_for_what_somebody_said_since(database, tmp_path):
    async with linked(database, tmp_path):
        await say(database, "A", brand="Alfa", description="Cotton.")
        run_id = await imported(database, Kind.LISTINGS, IT_SAYS, MAYA)
        images = ["https://img.example/1.jpg", "https://img.example/2.jpg"]
        wanted = {"title": "From the table", "images": images, "description": "Linen."}
        assert await said(database, "A") == wanted
        await say(database, "A", description="Wool.")
        run, left = await undone(database, run_id, MAYA)
        assert (run.undone, run.kept) == (4, 1)
        assert left == {
            f"{CODE}, A, description": "It was changed since the import. Look at it, and change it by hand if it is wrong."
        }
        assert await said(database, "A") == {"brand": "Alfa", "description": "Wool."}
        assert await said(database, "B") == {}
        with pytest.raises(NothingToUndo):
            await undone(database, run_id, MAYA)


async def test_prices_of_a_table_of_listings_are_taken_back_but_for_what_somebody_gave_since(database, tmp_path):
    async with linked(database, tmp_path):
        async with database.transaction(MAYA) as tx:
            await listings.say_many(tx, CODE, [], {"A": 1_000, "B": 1_100})
        run_id = await imported(
            database, Kind.LISTINGS, f"connection;sku;price\n{CODE};A;10,50\n{CODE};B;nenhum\n", MAYA
        )
        run, left = await undone(database, run_id, MAYA)
        assert (run.undone, run.kept, left) == (2, 0, {})
        costs = "SELECT v.sku, l.price FROM listing_price l JOIN variant v ON v.id = l.sku_id ORDER BY 1"
        async with database.transaction() as tx:
            assert await tx.tuples(costs) == [("A", 1_000), ("B", 1_100)]
        run_id = await imported(database, Kind.LISTINGS, f"connection;sku;price\n{CODE};A;7\n{CODE};B;8\n", MAYA)
        async with database.transaction(MAYA) as tx:
            await listings.say_many(tx, CODE, [], {"B": 900})
        run, left = await undone(database, run_id, MAYA)
        assert (run.undone, run.kept, list(left)) == (1, 1, [f"{CODE}, B, price"])
        async with database.transaction() as tx:
            assert await tx.tuples(costs) == [("A", 1_000), ("B", 900)]


async def test_what_a_table_said_of_a_connection_that_is_gone_stays_as_it_is(database, tmp_path):
    async with linked(database, tmp_path):
        run_id = await imported(database, Kind.LISTINGS, IT_SAYS, MAYA)
        async with database.transaction() as tx:
            await tx.execute("UPDATE connection SET connector = 'tryton'")  # which takes no listings
        run, left = await undone(database, run_id, MAYA)
        assert (run.undone, run.kept, len(left)) == (0, 4, 4)


async def test_what_rests_on_a_new_sku_keeps_it_and_the_undo_ends(database, world):
    """Another product that may stand in, a safety rule, a policy: none of them is stock or an order."""
    run_id = await imported(database, Kind.PRODUCTS, "sku;nome\nN1;One\nN2;Two\nN3;Three\nN4;Four\n")
    async with database.transaction() as tx:
        [old] = (await catalog.products_by_code(tx, ["SKU-1"])).values()
        draft = catalog.product_draft(old)
        [variant] = draft.variants
        variant = msgspec.structs.replace(variant, substitutes=[Substitute("N1", both_ways=False)])
        await products.put_products(tx, [msgspec.structs.replace(draft, variants=[variant])])
        await safety.put(tx, SafetyRuleDraft(code="R", name="R", amount=1, sku="N2"), None)
        await safety.put(tx, SafetyRuleDraft(code="S", name="S", amount=1, product="N3"), None)
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept, sorted(left)) == (1, 3, ["N1", "N2", "N3"])
    assert sorted(await all_products(database)) == ["N1", "N2", "N3", "SKU-1", "SKU-2", "SKU-3"]


async def test_an_import_undone_after_another_one_that_was_undone_is_taken_back_whole(database, world):
    before = await all_products(database)
    goods = await imported(database, Kind.PRODUCTS, "sku;nome;preço\nSKU-1;Rede grande;21,00\n")
    prices = await imported(database, Kind.PRICES, "sku;preço\nSKU-1;25,00\n")
    await undone(database, prices)
    run, left = await undone(database, goods)
    assert (run.undone, run.kept, left) == (1, 0, {})
    assert without_versions(await all_products(database)) == without_versions(before)
