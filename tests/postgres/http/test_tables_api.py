"""Tables over HTTP: a large file goes in as it arrives, is checked and applied in the background, and comes out again."""

from io import BytesIO

import pytest
from tests_http import Shop
from xlsxwriter import Workbook

from malha.exchange import service
from malha.identity.model import Role
from malha.platform import jobs
from malha.testing.builders import a_network, a_product


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 1}, price=100)
    await jobs.install(shop.database.url)
    return shop


async def test_a_file_is_uploaded_checked_applied_and_its_refused_rows_come_back(stocked: Shop) -> None:
    key = await stocked.key(["catalog:write", "catalog:read"])

    async def body():
        yield b"codigo;valor\nA;2,"
        yield b"50\nB;1,00\n"

    made = await stocked.http.post("/v1/imports/prices?name=p.csv", content=body(), headers=key)
    assert made.status_code == 201
    address = made.headers["location"]
    assert made.json()["mapping"] == {"codigo": "sku", "valor": "price"}
    for act in ("check", "apply"):
        answer = await stocked.http.post(f"{address}/{act}", json={}, headers=key)
        assert answer.status_code == 200
        await service.go_on.work(stocked.database, run_id=made.json()["id"])
    now = (await stocked.http.get(address, headers=key)).json()
    assert (now["state"], now["percent"], now["changed"], now["bad"]) == ("done", 100, 1, 1)
    refused = (await stocked.http.get(f"{address}/refused", headers=key)).text.lstrip("\ufeff").splitlines()
    assert refused[0] == "codigo;valor;What is wrong"
    assert refused[1].startswith("B;1,00;codigo: There is no SKU B.")
    exported = await stocked.http.get("/v1/prices:export", headers=key)
    assert exported.text.lstrip("\ufeff").splitlines() == ["sku;price", "A;2,50"]
    book = await stocked.http.get("/v1/prices:export?format=xlsx", headers=key)
    assert book.content.startswith(b"PK")
    other = await stocked.key(["catalog:write"])
    assert (await stocked.http.get(address, headers=other)).status_code == 404
    assert [run["number"] for run in (await stocked.http.get("/v1/imports", headers=key)).json()] == [now["number"]]


async def test_sheets_that_are_not_read_are_named(stocked: Shop) -> None:
    file = BytesIO()
    made = Workbook(file)
    for name, price in (("Novembro", 2.5), ("Dezembro", 3)):
        sheet = made.add_worksheet(name)
        sheet.write_row(0, 0, ["sku", "price"])
        sheet.write_row(1, 0, ["A", price])
    made.close()
    key = await stocked.key(["catalog:write", "catalog:read"])
    sent = {"content": file.getvalue(), "headers": key}
    looked = (await stocked.http.post("/v1/prices:import", **sent)).json()
    assert (looked["rows"], looked["other_sheets"]) == (1, ["Dezembro"])
    kept = (await stocked.http.post("/v1/imports/prices?name=p.xlsx", **sent)).json()
    assert kept["other_sheets"] == ["Dezembro"]
    written = (await stocked.http.post("/v1/prices:import?mode=all", **sent)).json()
    assert (written["changed"], written["other_sheets"]) == (1, ["Dezembro"])
    listed = (await stocked.http.get("/v1/imports", headers=key)).json()
    assert [run["other_sheets"] for run in listed] == [["Dezembro"], ["Dezembro"]]


async def test_a_table_whose_answer_was_lost_is_sent_again_and_puts_nothing_back(stocked: Shop) -> None:
    """The answer to a long table is what networks lose; meanwhile stock was counted, which the repeat must not undo."""
    key = {**await stocked.key(["stock:write", "stock:read"]), "idempotency-key": "night-1"}
    table = b"sku;location;on_hand\nA;DC;9\nNOPE;DC;1\n"

    async def on_hand() -> int:
        async with stocked.database.transaction() as tx:
            return int(await tx.value("SELECT sum(on_hand) FROM balance"))

    first = await stocked.http.post("/v1/stock:import?mode=valid", content=table, headers=key)
    assert (first.status_code, first.json()["changed"], first.json()["bad"], await on_hand()) == (200, 1, 1, 9)
    counted = {"items": [{"sku": "A", "location": "DC", "quantity": 4}]}
    assert (
        await stocked.http.post("/v1/stock:set", json=counted, headers={**key, "idempotency-key": "count"})
    ).status_code == 200
    again = await stocked.http.post("/v1/stock:import?mode=valid", content=table, headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"], await on_hand()) == (200, "true", 4)
    assert again.json() == {**first.json(), "problems": [], "more_problems": 1}  # what a row said is not kept
    other = await stocked.http.post("/v1/stock:import?mode=valid", content=table + b"A;S1;1\n", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_table_that_wrote_nothing_leaves_its_key_free(stocked: Shop) -> None:
    key = {**await stocked.key(["stock:write", "stock:read"]), "idempotency-key": "night-2"}
    looked = await stocked.http.post("/v1/stock:import", content=b"sku;location;on_hand\nA;DC;9\n", headers=key)
    assert (looked.status_code, looked.json()["applied"]) == (200, False)
    refused = await stocked.http.post(
        "/v1/stock:import?mode=all", content=b"sku;location;on_hand\nA;DC;9\nNOPE;DC;1\n", headers=key
    )
    assert (refused.status_code, refused.json()["applied"]) == (200, False)
    mended = await stocked.http.post(
        "/v1/stock:import?mode=all", content=b"sku;location;on_hand\nA;DC;9\n", headers=key
    )
    assert (mended.status_code, mended.json()["applied"], "idempotent-replayed" in mended.headers) == (200, True, False)


async def test_a_form_without_scripts_leads_from_the_file_to_its_columns(stocked: Shop) -> None:
    planner = await stocked.session(Role.PLANNER)
    file = {"file": ("saldos.csv", b"sku;local;saldo\nA;DC;9\n", "text/csv")}
    sent = await stocked.http.post("/imports/stock", files=file, headers=planner)
    assert sent.status_code == 303
    page = (await stocked.http.get(sent.headers["location"], headers=planner)).text
    assert "saldos.csv" in page
    assert "What is each column?" in page
    nothing = await stocked.http.post("/imports/stock", data={"file": ""}, headers=planner)
    assert nothing.status_code == 422
    associate = await stocked.session(Role.STORE_ASSOCIATE)
    assert (await stocked.http.post("/imports/stock", files=file, headers=associate)).status_code == 403
    assert (await stocked.http.get(sent.headers["location"], headers=associate)).status_code == 404
    listed = (await stocked.http.get("/imports", headers=associate)).text
    assert "/exports/stock.csv" in listed
    assert "/exports/customers.csv" not in listed
    assert "/imports/stock" not in listed
