"""What a table changes stands in the audit trail record by record, as a change by hand does, with its import and line."""

import io

import psycopg
import pytest

from malha.catalog import reads as catalog
from malha.exchange import reads, service, undoing
from malha.exchange.at_once import import_at_once
from malha.exchange.errors import FileGone, ImportBusy
from malha.exchange.model import Kind, State
from malha.inventory.ahead import table as ahead
from malha.platform import audit
from malha.platform.audit import Wanted
from malha.platform.db import SYSTEM, Actor
from malha.platform.imports import Mode
from malha.testing.builders import a_network, a_product

BIA = Actor("person", "bia", "Bia", request_id="req-1")
CPF = "11144477735"
TRAIL = """
SELECT entity, action, entity_id, before, after FROM audit
WHERE entity NOT LIKE 'import%%' AND action <> 'import' AND id > %(after)s ORDER BY id
"""


async def at_once(database, kind, text, mode=Mode.ALL, name="table.csv"):
    return await import_at_once(database, kind, io.BytesIO(text.encode()), mode=mode, actor=BIA, name=name)


async def in_background(database, kind, text, name="table.csv"):
    async def body():
        yield text.encode()

    run_id = await service.take_in(database, BIA, kind, name, body(), limit_mb=5)
    async with database.transaction(BIA) as tx:
        await service.begin(tx, run_id, None, apply=True)
    await service.go_on.work(database, run_id=str(run_id))
    return run_id


async def newest(database):
    async with database.transaction(BIA) as tx:
        return (await reads.runs(tx, [kind.value for kind in Kind]))[0]


async def undone(database, run_id):
    async with database.transaction(BIA) as tx:
        await undoing.undo(tx, run_id)
    await undoing.take_back.work(database, run_id=str(run_id))


@pytest.fixture
async def world(database, examined):
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 5})
        await tx.execute("UPDATE variant SET price = 100 WHERE sku = 'CUP'")
        return world


class Trail:
    """The entries of the trail since it was made, or since it was read."""

    def __init__(self, database):
        self.database = database
        self.after = 0

    async def read(self):
        async with self.database.transaction() as tx:
            found = await tx.tuples(TRAIL, {"after": self.after})
            self.after = await tx.value("SELECT coalesce(max(id), 0) FROM audit")
        return found


@pytest.fixture
async def trail(database, world):
    trail = Trail(database)
    await trail.read()
    return trail


ways = pytest.mark.parametrize("bring", [at_once, in_background], ids=["at_once", "in_background"])


@ways
async def test_products_of_a_table_are_told_one_by_one_with_file_and_line(database, trail, bring):
    await bring(database, Kind.PRODUCTS, "sku;nome;preço\nCUP;Caneca azul;1,00\nPEN;Caneta;2,00\n", name="goods.csv")
    new, changed = await trail.read()
    number = (await newest(database)).number
    assert new[:4] == ("product", "create", "PEN", None)
    assert (new[4]["name"], new[4]["line"], new[4]["import"]) == ("Caneta", 3, f"{number} goods.csv")
    assert changed[:3] == ("product", "change", "CUP")
    assert changed[3]["name"] != changed[4]["name"] == "Caneca azul"
    assert (changed[4]["line"], changed[4]["import"]) == (2, f"{number} goods.csv")
    await bring(database, Kind.PRODUCTS, "sku;nome;preço\nCUP;Caneca azul;1,00\n")
    assert await trail.read() == []  # what is as it was is not told


@ways
async def test_prices_of_a_table_are_told_under_their_products(database, trail, bring):
    await bring(database, Kind.PRICES, "sku;preço\nCUP;1,50\n")
    [(entity, action, code, before, after)] = await trail.read()
    number = (await newest(database)).number
    assert (entity, action, code, before) == ("product", "change", "CUP", {"price": 100})
    assert after == {"price": 150, "sku": "CUP", "line": 2, "import": f"{number} table.csv"}


@ways
async def test_customers_of_a_table_are_told_without_personal_data(database, trail, bring):
    text = "nome;cpf;email\nAna Souza;111.444.777-35;ana@exemplo.com.br\n"
    await bring(database, Kind.CUSTOMERS, text)
    [(entity, action, id_, before, after)] = await trail.read()
    assert (entity, action, before, after["line"]) == ("customer", "create", None, 2)
    await bring(database, Kind.CUSTOMERS, text.replace("Souza", "Lima"))
    [(_entity, action, same, before, after)] = await trail.read()
    assert (action, same) == ("change", id_)
    assert (before["name"], after["name"]) == ("(changed)", "(changed)")
    async with database.transaction() as tx:
        said = "\n".join(await tx.values("SELECT concat(before, after) FROM audit"))
    assert not any(secret in said for secret in (CPF, "111.444", "ana@", "Ana", "Lima", "Souza"))


@ways
async def test_locations_and_establishments_of_a_table_are_told(database, trail, bring):
    text = "código,nome,cnpj,razão social,cep,número\nN1,Nova,11.444.777/0001-61,Nova Ltda,01310-100,1\n"
    await bring(database, Kind.LOCATIONS, text)
    made, place = await trail.read()
    assert made[:4] == ("establishment", "create", "N1", None)
    assert place[:4] == ("location", "create", "N1", None)
    assert place[4]["line"] == 2
    await bring(database, Kind.LOCATIONS, text.replace("Nova,", "Nova loja,"))
    [(entity, action, code, before, after)] = await trail.read()
    assert (entity, action, code, before["name"], after["name"]) == ("location", "change", "N1", "Nova", "Nova loja")


@ways
async def test_of_stock_the_ledger_has_the_units_and_the_trail_the_safety_stock(database, trail, bring):
    await bring(database, Kind.STOCK, "sku;local;saldo;segurança\nCUP;DC;9;2\n")
    [(entity, action, code, before, after)] = await trail.read()
    assert (entity, action, code, before) == ("stock", "set_safety", "CUP DC", {"safety": 0})
    assert (after["safety"], after["line"]) == (2, 2)
    await bring(database, Kind.STOCK, "sku;local;saldo\nCUP;DC;8\n")
    assert await trail.read() == []


async def test_rules_and_policies_of_a_table_are_told_with_their_lines_too(database, trail):
    await at_once(database, Kind.SAFETY_RULES, "code;name;amount\nR1;One;3\n")
    await at_once(database, Kind.AHEAD_POLICIES, "product;mode;cap;handling_days\nCUP;backorder;3;1\n")
    told = await trail.read()
    assert [(entity, action, after["line"]) for entity, action, _, _, after in told] == [
        ("safety_rule", "create", 2),
        (ahead.AheadImport.entity, "create", 2),
    ]


async def test_what_an_undo_puts_back_is_told_as_well(database, trail):
    await at_once(database, Kind.PRODUCTS, "sku;nome;preço\nCUP;Caneca azul;1,00\nPEN;Caneta;2,00\n")
    goods = await newest(database)
    await at_once(database, Kind.PRICES, "sku;preço\nCUP;1,50\n")
    prices = await newest(database)
    await at_once(database, Kind.CUSTOMERS, "nome;cpf;email\nAna Souza;111.444.777-35;ana@exemplo.com.br\n")
    people = await newest(database)
    await at_once(database, Kind.STOCK, "sku;local;saldo;segurança\nCUP;DC;9;2\n")
    stock = await newest(database)
    await trail.read()
    for run in (stock, people, prices, goods):
        await undone(database, run.id)
    told = [(entity, action, code, after) for entity, action, code, _, after in await trail.read()]
    assert [(entity, action) for entity, action, _, _ in told] == [
        ("stock", "set_safety"), ("customer", "delete"), ("product", "change"), ("product", "change"), ("product", "delete"),
    ]  # fmt: skip
    assert told[0][3] == {"safety": 0, "undone_import": f"{stock.number} table.csv"}
    assert told[2][3] == {"price": 100, "sku": "CUP", "undone_import": f"{prices.number} table.csv"}


async def test_the_trail_is_asked_for_what_one_import_changed_and_its_undo_put_back(database, world):
    await in_background(database, Kind.PRICES, "sku;preço\nCUP;1,50\n")
    first = await newest(database)
    await in_background(database, Kind.PRICES, "sku;preço\nCUP;1,60\n")
    second = await newest(database)
    await undone(database, second.id)
    async with database.transaction() as tx:
        by_first = (await audit.search(tx, Wanted(import_number=first.number))).entries
        by_second = (await audit.search(tx, Wanted(import_number=second.number))).entries
        assert (await audit.search(tx, Wanted(import_number=99))).entries == []
    assert [entry.after["price"] for entry in by_first] == [150]
    assert [(entry.action, entry.after.get("price")) for entry in by_second] == [
        ("undone", None),
        ("change", 150),
        ("change", 160),
    ]


async def test_an_import_whose_caller_waits_is_seen_and_undone_like_one_in_the_background(database, world):
    report = await at_once(database, Kind.PRICES, "sku;preço\nCUP;1,50\nGONE;3,00\n", Mode.VALID, "prices.csv")
    assert (report.changed, report.bad) == (1, 1)
    run = await newest(database)
    assert (run.kind, run.name, run.state, run.seen, run.changed, run.bad, run.actor, run.header) == (
        Kind.PRICES, "prices.csv", State.DONE, 2, 1, 1, "person:bia", ["sku", "preço"],
    )  # fmt: skip
    assert run.mapping == {"sku": "sku", "preço": "price"}
    pages = service.refused_pages(database, BIA, run.id, "en", "What is wrong")
    rows = [row async for page in pages for row in page]
    assert [row[:2] for row in rows] == [["sku", "preço"], ["GONE", "3,00"]]
    await undone(database, run.id)
    async with database.transaction() as tx:
        [card] = await catalog.by_skus(tx, ["CUP"])
    assert card.price == 100


async def test_a_preview_and_a_table_that_changes_nothing_leave_no_import(database, world):
    for mode, price in ((Mode.PREVIEW, "1,50"), (Mode.ALL, "1,00"), (Mode.VALID, "1,00")):
        await at_once(database, Kind.PRICES, f"sku;preço\nCUP;{price}\n", mode)
    refused = await at_once(database, Kind.PRICES, "sku;preço\nCUP;1,50\nGONE;3,00\n", Mode.ALL)
    assert refused.bad == 1
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM import_run") == 0


async def test_an_import_that_is_cut_off_while_its_caller_waits_can_be_undone_and_not_gone_on_with(database, world):
    lines = "".join(f"P{n};Pen;1,00\n" for n in range(1_200))

    class Gone(Exception):
        pass

    def hang_up(rows):
        raise Gone

    file = io.BytesIO(("sku;nome;preço\n" + lines).encode())
    with pytest.raises(Gone):
        await import_at_once(database, Kind.PRODUCTS, file, mode=Mode.VALID, actor=BIA, progress=hang_up)
    run = await newest(database)
    assert (run.state, run.created) == (State.FAILED, 500)
    assert run.error["says"] == "The call ended before the file did."  # of one that was killed: test_import_taken_up
    with pytest.raises(FileGone):
        async with database.transaction(BIA) as tx:
            await service.resume(tx, run.id)
    await undone(database, run.id)
    async with database.transaction(SYSTEM) as tx:
        assert await tx.value("SELECT count(*) FROM variant WHERE sku LIKE 'P%%'") == 0


async def test_a_person_may_stop_an_import_whose_caller_waits(database, world):
    lines = "".join(f"P{n};Pen;1,00\n" for n in range(1_200))

    def stop(rows):
        with psycopg.connect(database.url, autocommit=True) as beside:
            beside.execute("UPDATE malha.import_run SET state = 'stopped', ended_at = now() WHERE state = 'applying'")

    file = io.BytesIO(("sku;nome;preço\n" + lines).encode())
    with pytest.raises(ImportBusy):
        await import_at_once(database, Kind.PRODUCTS, file, mode=Mode.VALID, actor=BIA, progress=stop)
    run = await newest(database)
    assert (run.state, run.created) == (State.STOPPED, 500)
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM variant WHERE sku LIKE 'P%%'") == 500
