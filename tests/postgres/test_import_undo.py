"""Imports taken back: what was before is there again, what somebody touched since is left and named, the ledger grows only."""

import asyncio
from datetime import UTC, date, datetime

import msgspec
import pytest
from linked_world import CODE, linked
from tests.waiting import waiting

from malha.catalog import reads as catalog
from malha.catalog import service as products
from malha.catalog.model import ProductDraft, Substitute, VariantDraft
from malha.channels.listings import service as listings
from malha.customers import reads as customers
from malha.customers import service as profiles
from malha.customers.model import Buyer, CustomerDraft
from malha.exchange import reads, service, undoing
from malha.exchange.errors import NothingToUndo
from malha.exchange.kinds import undoable_of
from malha.exchange.model import Kind, State
from malha.inventory import service as inventory
from malha.inventory.ahead import policies, table
from malha.inventory.ahead import reads as ahead
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.safety import reads as rules
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft
from malha.network import reads as network
from malha.network import service as places
from malha.network.model import LocationStatus
from malha.platform.db import SYSTEM, Actor
from malha.platform.errors import Conflict, Forbidden
from malha.platform.tabular import as_csv
from malha.testing.builders import Sold, a_network, a_product, an_order

BIA = Actor("person", "bia", "Bia", permissions=frozenset({"stock:write", "catalog:write", "customers:write", "audit:read", "network:write",
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


PLACES = """code;name;kind;cnpj;legal_name;cep;opening_hours;capacidade;site
RJ-C;Centro;loja;11.444.777/0001-61;Rio Lojas Ltda;20040-020;mon-sat 09:00-18:00;40;
RJ-B;Botafogo;loja;11.444.777/0002-42;;22250-040;mon-sat 10:00-20:00;25;
RJ-X;Quiosque;loja;11.222.333/0001-81;;;;;RJ-C
"""


async def all_places(database):
    """Return locations as people state them."""
    async with database.transaction() as tx:
        owners = {owner.id: owner.code for owner in await network.establishments(tx)}
        return {x.code: network.location_draft(x, owners[x.establishment_id]) for x in await network.locations(tx)}


@pytest.fixture
async def placed(database, world):
    await imported(database, Kind.LOCATIONS, PLACES)
    return await all_places(database)


async def test_locations_of_a_table_are_as_they_were_and_new_ones_are_closed(database, placed):
    table = (
        "code;name;kind;cnpj;legal_name;cep;opening_hours;capacidade;handling_cost\n"
        "RJ-C;Centro;loja;;;22250-040;mon-fri 08:00-12:00;4;9,90\n"
        "RJ-B;Praia;loja;;;;;0;\n"
        "NEW;Nova;loja;22.233.344/0001-83;Nova Ltda;20040-020;mon-sat 09:00-18:00;10;\n"
    )
    run_id = await imported(database, Kind.LOCATIONS, table)
    now = await all_places(database)
    assert (now["RJ-C"].daily_capacity, now["RJ-C"].address.postal_code, now["RJ-B"].name) == (4, "22250040", "Praia")
    assert now["RJ-X"].opening_hours == now["RJ-C"].opening_hours != placed["RJ-C"].opening_hours  # its site's
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept, left) == (3, 0, {})
    after = await all_places(database)
    assert after.pop("NEW").status is LocationStatus.CLOSED
    assert after == placed
    async with database.transaction() as tx:
        trail = await tx.values("SELECT entity_id FROM audit WHERE entity = 'location' ORDER BY id DESC LIMIT 3")
    assert sorted(trail) == ["NEW", "RJ-B", "RJ-C"]


async def test_a_location_that_somebody_changed_since_is_left_and_named(database, placed):
    run_id = await imported(database, Kind.LOCATIONS, "code;capacidade\nRJ-C;1\nRJ-B;2\nS2;3\n")
    async with database.transaction(BIA) as tx:
        await places.pause_locations(tx, ["RJ-B"], "Obra")
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept) == (2, 1)
    assert left == {
        "RJ-B Botafogo": "It was changed since the import. Look at it, and change it by hand if it is wrong."
    }
    after = await all_places(database)
    assert (after["RJ-C"], after["RJ-B"].daily_capacity) == (placed["RJ-C"], 2)


async def test_a_location_that_cannot_be_as_it_was_keeps_no_other_from_it(database, placed):
    good = msgspec.structs.replace(placed["RJ-B"], daily_capacity=7)
    bad = msgspec.structs.replace(placed["RJ-C"], daily_capacity=-1)
    async with database.transaction(BIA) as tx:
        left = await places.put_back(tx, [good, bad])
    assert list(left) == ["RJ-C"]
    after = await all_places(database)
    assert (after["RJ-B"], after["RJ-C"]) == (good, placed["RJ-C"])


async def test_imports_of_locations_are_undone_the_later_one_first(database, placed):
    first = await imported(database, Kind.LOCATIONS, "code;capacidade\nRJ-C;1\n")
    second = await imported(database, Kind.LOCATIONS, "code;capacidade\nRJ-C;2\n")
    assert (await undone(database, first))[0].kept == 1
    third = await imported(database, Kind.LOCATIONS, "code;capacidade\nRJ-C;3\n")
    assert (await undone(database, third))[0].undone == 1
    assert (await undone(database, second))[0].undone == 1
    assert (await all_places(database))["RJ-C"].daily_capacity == 1


RULES = """code;name;amount;measure;sku;location;ends_at;active
OLD;Old, by table;20;percent;;DC;2027-01-31T08:00;no
NEW;New;3;units;SKU-2;;;yes
MINE;Mine, by table;9;units;;;;yes
SAME;Same;4;units;;;;yes
"""


async def all_rules(database):
    async with database.transaction() as tx:
        return {rule.code: rule for rule in await rules.all_rules(tx)}


def as_stated(rule):
    return {name: getattr(rule, name) for name in SafetyRuleDraft.__struct_fields__}


async def state(database, code, version=None, **said):
    async with database.transaction(BIA) as tx:
        return await safety.put(tx, SafetyRuleDraft(code=code, name=said.pop("name", code), **said), version)


async def kept_back(database):
    await safety.sweep(database)
    async with database.transaction() as tx:
        return dict(
            await tx.tuples("SELECT v.sku, b.safety FROM balance b JOIN variant v ON v.id = b.sku_id ORDER BY 1")
        )


@pytest.fixture
async def ruled(database, world):
    old = await state(database, "OLD", amount=2, sku="SKU-1", starts_at=datetime(2026, 1, 1, 11, tzinfo=UTC))
    await state(database, "MINE", amount=1)
    await state(database, "SAME", name="Same", amount=4)
    return old


async def test_safety_rules_of_a_table_are_as_they_were_and_new_ones_go_and_balances_follow(database, ruled):
    before, kept = await all_rules(database), await kept_back(database)
    run_id = await imported(database, Kind.SAFETY_RULES, RULES)
    assert await kept_back(database) != kept
    run, left = await undone(database, run_id)
    assert (run.created, run.changed, run.unchanged, run.undone, run.kept, left) == (1, 2, 1, 3, 0, {})
    now = await all_rules(database)
    assert {code: as_stated(rule) for code, rule in now.items()} == {c: as_stated(r) for c, r in before.items()}
    assert now["OLD"].version == before["OLD"].version + 2  # a form that is open has to be looked at again
    assert await kept_back(database) == kept
    with pytest.raises(NothingToUndo):
        await undone(database, run_id)


async def test_a_safety_rule_that_somebody_changed_or_took_away_since_is_left_and_named(database, ruled):
    run_id = await imported(database, Kind.SAFETY_RULES, RULES)
    now = await all_rules(database)
    await state(database, "MINE", now["MINE"].version, amount=7)
    async with database.transaction(BIA) as tx:
        await safety.remove(tx, "OLD", now["OLD"].version)
        await safety.remove(tx, "NEW", now["NEW"].version)
    await state(database, "NEW", name="New", amount=3, sku="SKU-2")  # the same words, but theirs
    run, left = await undone(database, run_id)
    why = "It was changed since the import. Look at it, and change it by hand if it is wrong."
    assert (run.undone, run.kept, left) == (0, 3, dict.fromkeys(("MINE", "OLD", "NEW"), why))
    after = await all_rules(database)
    assert (sorted(after), after["MINE"].amount) == (["MINE", "NEW", "SAME"], 7)


async def test_a_safety_rule_stays_when_what_it_named_is_no_longer_there(database, ruled):
    async with database.transaction(BIA) as tx:
        await products.put_products(tx, [ProductDraft(code="P", name="Vaso", variants=[VariantDraft(sku="P-1")])])
    await state(database, "VASE", amount=1, sku="P-1")
    run_id = await imported(database, Kind.SAFETY_RULES, "code;name;amount;sku\nVASE;Vase;5;SKU-3\nOLD;Old;5;\n")
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM variant WHERE sku = 'P-1'")
    run, left = await undone(database, run_id)
    assert (run.undone, left) == (1, {"VASE": "There is no P-1."})
    now = await all_rules(database)
    assert (now["VASE"].sku, now["OLD"].sku) == ("SKU-3", "SKU-1")


async def test_two_imports_of_rules_are_undone_the_later_one_first(database, ruled):
    before = await all_rules(database)
    first = await imported(database, Kind.SAFETY_RULES, "code;name;amount\nOLD;One;5\nNEW;One;5\n")
    second = await imported(database, Kind.SAFETY_RULES, "code;name;amount\nOLD;Two;6\nNEW;Two;6\n")
    for run_id in (second, first):
        run, left = await undone(database, run_id)
        assert (run.undone, left) == (2, {})
    now = await all_rules(database)
    assert {code: as_stated(rule) for code, rule in now.items()} == {c: as_stated(r) for c, r in before.items()}


async def test_who_saves_a_rule_while_an_import_is_undone_waits_and_nothing_of_theirs_is_lost(database, ruled):
    run_id = await imported(database, Kind.SAFETY_RULES, "code;name;amount\nNEW;New;5\n")
    rule = (await all_rules(database))["NEW"]
    async with database.transaction(BIA) as tx:
        await undoing.undo(tx, run_id)
        found = await reads.traces(tx, run_id, 10)
    async with database.transaction(BIA) as tx:
        assert await undoable_of(Kind.SAFETY_RULES).take_back(tx, found, ()) == {}
        late = asyncio.create_task(state(database, "NEW", rule.version, amount=8))
        while not await waiting(database):
            await asyncio.sleep(0.01)
    with pytest.raises(Conflict):
        await late


@pytest.fixture
async def offered(database, world):
    """What may be sold ahead: SKU-1 on all channels as stated by hand, SKU-2 on one, and nothing of SKU-3."""
    async with database.transaction(BIA) as tx:
        ids = {sku: (product, id_) for sku, product, id_ in await tx.tuples("SELECT sku, product_id, id FROM variant")}
        for sku, channel, terms in (
            ("SKU-1", None, {"mode": Mode.PREORDER, "release_on": date(2027, 3, 1), "cap": 9}),
            ("SKU-2", "web", {"mode": Mode.BACKORDER, "horizon_days": 20, "handling_days": 0}),
        ):
            product, id_ = ids[sku]
            where = world.channels[channel] if channel else None
            await policies.put(tx, PolicyDraft(product_id=product, sku_id=id_, channel_id=where, **terms), None)
    return ids


POLICIES = """product;sku;channel;mode;release_on;cap;horizon_days;handling_days
;SKU-1;;backorder;;4;;
;SKU-2;web;none;;;;
;SKU-2;;backorder;;;30;2
SKU-3;;mall;backorder;;;;
"""


async def all_policies(database):
    pages = table.policy_pages(database, BIA)
    return sorted([tuple(row) async for page in pages for row in page][1:])


async def test_policies_of_a_table_are_as_they_were_and_new_ones_are_removed(database, offered):
    before = await all_policies(database)
    run_id = await imported(database, Kind.AHEAD_POLICIES, POLICIES)
    assert len(await all_policies(database)) == 4
    run, left = await undone(database, run_id)
    assert (run.created, run.changed, run.undone, run.kept, left) == (2, 2, 4, 0, {})
    assert await all_policies(database) == before
    async with database.transaction() as tx:
        actions = await tx.values("SELECT action FROM audit WHERE entity = 'ahead_policy' ORDER BY id DESC LIMIT 4")
        assert await tx.values("SELECT label FROM import_trace ORDER BY label") == [
            "SKU-1", "SKU-2", "SKU-2, web", "SKU-3, mall",
        ]  # fmt: skip
    assert sorted(actions) == ["change", "change", "remove", "remove"]
    again = await imported(database, Kind.AHEAD_POLICIES, POLICIES)  # also where one was removed
    async with database.transaction(SYSTEM) as tx:
        assert (await reads.run(tx, again)).created == 2


async def test_a_policy_that_somebody_stated_or_removed_since_is_left_and_named(database, offered):
    run_id = await imported(database, Kind.AHEAD_POLICIES, POLICIES)
    async with database.transaction(BIA) as tx:
        product, sku = offered["SKU-2"]
        web, everywhere = sorted(await ahead.of_product(tx, product), key=lambda p: p.channel_id is None)
        await policies.put(tx, PolicyDraft(product_id=product, sku_id=sku, mode=Mode.NONE), everywhere.version)
        await policies.remove(tx, product, web.id, web.version)
    run, left = await undone(database, run_id)
    assert (run.undone, run.kept, sorted(left)) == (2, 2, ["SKU-2", "SKU-2, web"])
    assert [row[1:4] for row in await all_policies(database)] == [("SKU-1", "", "preorder"), ("SKU-2", "", "none")]


async def test_who_waits_under_a_policy_of_a_table_waits_on_when_the_import_is_undone(database, offered):
    run_id = await imported(database, Kind.AHEAD_POLICIES, POLICIES)
    async with database.transaction() as tx:
        counted = "UPDATE ahead_policy SET waiting = 3 WHERE sku_id = %(sku)s::int AND channel_id IS NULL RETURNING id"
        id_ = await tx.value(counted, {"sku": offered["SKU-2"][1]})
    _run, left = await undone(database, run_id)
    assert not left
    async with database.transaction() as tx:
        found = await tx.tuples("SELECT removed, waiting FROM ahead_policy WHERE id = %(id)s::int", {"id": id_})
        await tx.execute("UPDATE ahead_policy SET waiting = 0")
    assert found == [(True, 3)]


async def test_a_policy_is_not_stated_again_for_what_has_become_a_kit(database, offered):
    head = POLICIES.splitlines(keepends=True)[0]
    run_id = await imported(database, Kind.AHEAD_POLICIES, f"{head};SKU-1;;none;;;;\n")
    async with database.transaction(BIA) as tx:
        await tx.execute("UPDATE variant SET is_kit = true WHERE sku = 'SKU-1'")
    run, left = await undone(database, run_id)
    async with database.transaction(BIA) as tx:
        await tx.execute("UPDATE variant SET is_kit = false WHERE sku = 'SKU-1'")
    assert (run.undone, list(left)) == (0, ["SKU-1"])
    assert left["SKU-1"].startswith("Nothing is stated for a kit itself.")


async def test_two_tables_at_once_never_lose_what_a_policy_was_before(database, offered):
    """Whichever came first: both undone, the later one first, nothing is left of either."""
    before = await all_policies(database)
    head = POLICIES.splitlines(keepends=True)[0]
    both = await asyncio.gather(
        *(imported(database, Kind.AHEAD_POLICIES, f"{head};SKU-1;;backorder;;{cap};;\n;SKU-3;;backorder;;{cap};;\n")
          for cap in (5, 6))
    )  # fmt: skip
    async with database.transaction() as tx:
        ended = "SELECT run_id FROM import_trace GROUP BY run_id ORDER BY max(seq) DESC"
        later, earlier = await tx.values(ended)
    assert {later, earlier} == set(both)
    for run_id in (later, earlier):
        run, left = await undone(database, run_id)
        assert (run.undone, left) == (2, {})
    assert await all_policies(database) == before


async def test_an_import_that_kept_nothing_of_what_was_before_cannot_be_undone(database, ruled):
    """Those of rules and policies from before they could be."""
    run_id = await imported(database, Kind.SAFETY_RULES, RULES)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM import_trace")
    with pytest.raises(NothingToUndo):
        await undone(database, run_id)
