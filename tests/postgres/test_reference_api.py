"""Network, catalogue and customers over HTTP: versions, refusals in the reader's language, masking."""

from collections.abc import AsyncIterator

import pytest
from litestar.testing import AsyncTestClient

from malha.app import create_app
from malha.identity import service as identity
from malha.identity.model import PERMISSIONS
from malha.platform.db import Database
from malha.platform.settings import Settings


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncTestClient]:
    async with database.transaction() as tx:
        key = await identity.create_key(tx, name="test", permissions=set(PERMISSIONS))
    app = create_app(Settings(database_url=database.url, retailer=database.retailer))
    async with AsyncTestClient(app) as client:
        client.headers["authorization"] = f"Bearer {key.secret}"
        yield client


ESTABLISHMENT = {"code": "E1", "name": "Malha SP", "cnpj": "12.ABC.345/01DE-35", "state": "SP"}
LOCATION = {
    "code": "SP01",
    "name": "Paulista",
    "kind": "store",
    "establishment": "E1",
    "address": {"postal_code": "01310-100"},
}


async def test_a_location_lives_through_the_api(client: AsyncTestClient) -> None:
    assert (await client.post("/v1/establishments", json=ESTABLISHMENT)).status_code == 201
    made = await client.post("/v1/locations", json=LOCATION)
    assert (made.status_code, made.headers["location"], made.headers["etag"]) == (201, "/v1/locations/SP01", '"1"')
    assert (await client.post("/v1/locations", json=LOCATION)).json()["code"] == "code_taken"
    shown = (await client.get("/v1/locations/SP01")).json()
    assert (shown["address"]["city"], shown["timezone"], shown["establishment"]) == (
        "São Paulo",
        "America/Sao_Paulo",
        "E1",
    )
    changed = {**LOCATION, "name": "Avenida Paulista"}
    assert (await client.put("/v1/locations/SP01", json=changed)).status_code == 428
    answer = await client.put("/v1/locations/SP01", json=changed, headers={"if-match": '"1"'})
    assert answer.json() == {"code": "SP01", "version": 2}
    assert (await client.put("/v1/locations/SP01", json=changed, headers={"if-match": '"1"'})).status_code == 412
    paused = await client.post("/v1/locations/SP01/pause")
    assert paused.json() == {"code": "SP01", "status": "paused", "version": 3}
    assert (
        await client.post("/v1/locations/SP01/close-days", json={"days": ["2026-12-08"], "reason": "Feriado"})
    ).status_code == 204
    assert (await client.get("/v1/locations/SP01/closures")).json() == [{"day": "2026-12-08", "reason": "Feriado"}]
    assert [x["code"] for x in (await client.get("/v1/locations")).json()["items"]] == ["SP01"]


async def test_what_an_operation_does_not_take_is_refused_and_not_lost(client: AsyncTestClient) -> None:
    await client.post("/v1/establishments", json=ESTABLISHMENT)
    await client.post("/v1/locations", json=LOCATION)
    until = "2036-12-01T09:00:00-03:00"
    lost = await client.post("/v1/locations/SP01/pause", json={"reason": "Enchente", "until": until})
    assert (lost.status_code, lost.json()["code"]) == (422, "body_not_taken")
    misspelt = await client.post("/v1/locations/SP01/pause", params={"untill": until})
    assert (misspelt.status_code, misspelt.json()["errors"][0]["at"]) == (422, "?untill")
    assert (await client.get("/v1/locations/SP01")).json()["status"] == "active"
    said_by_chunks = {"transfer-encoding": "chunked"}
    lost = await client.post("/v1/locations/SP01/pause", content=b'{"until": "2036-12-01"}', headers=said_by_chunks)
    assert (lost.status_code, lost.json()["code"]) == (422, "body_not_taken")
    for nothing in (b"", b"{}", b" null ", b"{\r\n\r\n}", b"[]"):
        said = await client.post(
            "/v1/locations/SP01/pause",
            params={"reason": "Enchente", "until": until},
            content=nothing,
            headers={"content-type": "application/json"},
        )
        assert said.json()["status"] == "paused"
    shown = (await client.get("/v1/locations/SP01")).json()
    assert (shown["paused_reason"], shown["paused_until"][:4]) == ("Enchente", "2036")


async def test_what_is_wrong_is_said_in_the_readers_language(client: AsyncTestClient) -> None:
    body = {**ESTABLISHMENT, "cnpj": "11.222.333/0001-80", "state": "XX"}
    answer = await client.post("/v1/establishments", json=body, headers={"accept-language": "pt-BR"})
    assert answer.status_code == 422
    assert {(e["at"], e["says"]) for e in answer.json()["errors"]} == {
        ("/cnpj", "11.222.333/0001-80 não é um CNPJ."),
        ("/state", "XX não é um estado brasileiro."),
    }
    unknown = await client.get("/v1/locations/nada", headers={"accept-language": "pt-BR"})
    assert unknown.json()["detail"] == "Não existe o local nada."


async def test_channels_services_quotes_and_places(client: AsyncTestClient) -> None:
    await client.post("/v1/establishments", json=ESTABLISHMENT)
    await client.post("/v1/locations", json=LOCATION)
    channel = {"code": "site", "name": "Site", "kind": "web", "locations": ["SP01"]}
    assert (await client.post("/v1/channels", json=channel)).status_code == 201
    assert (await client.get("/v1/channels/site")).json()["locations"] == ["SP01"]
    again = await client.put("/v1/channels/site", json={**channel, "priority": 5}, headers={"if-match": '"1"'})
    assert again.json() == {"code": "site", "version": 2}
    rate = {"from_state": "SP", "to_state": "*", "max_grams": 1000, "price": 1990, "lead_days": 3}
    service = {"code": "pac", "name": "PAC", "carrier": "correios", "rates": [rate]}
    assert (await client.post("/v1/services", json=service)).status_code == 201
    quotes = (
        await client.get("/v1/services:quote", params={"from_state": "sp", "to_state": "BA", "grams": 900})
    ).json()
    assert quotes == [{"service": "pac", "name": "PAC", "price": 1990, "lead_days": 3}]
    assert (
        await client.get("/v1/services:quote", params={"from_state": "SP", "to_state": "BA", "grams": 9000})
    ).json() == []
    assert (await client.get("/v1/places/01310100")).json()["city"] == "São Paulo"
    assert (await client.get("/v1/places/00000000")).status_code == 404


async def test_a_product_lives_through_the_api(client: AsyncTestClient) -> None:
    categories = [{"code": "moda", "name": "Moda"}, {"code": "blusas", "name": "Blusas", "parent": "moda"}]
    assert (await client.post("/v1/categories:batch", json=categories)).status_code == 200
    product = {
        "code": "B1", "name": "Blusa", "category": "blusas", "ncm": "61099999",
        "variants": [{"sku": "B1-P", "options": {"Tamanho": "P"}, "price": 7990}],
    }  # fmt: skip
    made = await client.post("/v1/products", json=product, headers={"accept-language": "en"})
    assert made.status_code == 201
    assert made.json()["warnings"] == ["The NCM code 61099999 is not in the table."]
    found = (await client.get("/v1/variants", params={"q": "blusa", "category": "moda"})).json()["items"]
    assert [(v["sku"], v["name"], v["price"]) for v in found] == [("B1-P", "Blusa P", 7990)]
    answer = await client.put("/v1/products/B1", json={**product, "ncm": "61091000"}, headers={"if-match": '"1"'})
    assert answer.json() == {"code": "B1", "version": 2}
    assert (await client.get("/v1/products/B1")).json()["ncm"] == "61091000"
    moved = await client.post("/v1/categories/moda/move", json={"parent": "blusas"})
    assert (moved.status_code, moved.json()["code"]) == (409, "category_loop")


async def test_customers_are_masked_until_someone_says_why(client: AsyncTestClient) -> None:
    body = {"name": "Ana Lima", "document": "111.444.777-35", "email": "ana@x.com.br", "phone": "11 98765-4321"}
    made = await client.post("/v1/customers", json=body)
    assert made.status_code == 201
    at = made.headers["location"]
    assert "111" not in (await client.get(at)).text.replace(made.json()["id"], "")
    (row,) = (await client.get("/v1/customers", params={"q": "111.444.777-35"})).json()["items"]
    assert row["document"] == "•••.444.777-••"
    for reason in ({}, {"why": ""}, {"why": "  "}):
        refused = await client.post(f"{at}/reveal", json=reason)
        assert (refused.status_code, "11144477735" in refused.text) == (422, False)
    full = await client.post(f"{at}/reveal", json={"why": "Ligou para a loja"})
    assert full.json()["document"] == "11144477735"
    changed = await client.put(at, json={**body, "name": "Ana L."}, headers={"if-match": '"1"'})
    assert changed.json()["version"] == 2
    twice = await client.post("/v1/customers", json=body)
    assert (twice.status_code, twice.json()["code"]) == (409, "customer_exists")


async def test_tables_go_in_and_out_over_http(client: AsyncTestClient) -> None:
    csv = "sku;nome;preço;option:Cor\nA-1;Blusa;12,90;Azul\nA-2;Calça;doze;\n".encode()
    headers = {"content-type": "text/csv", "accept-language": "pt-BR"}
    looked = (await client.post("/v1/products:import", content=csv, headers=headers)).json()
    assert (looked["applied"], looked["rows"], looked["bad"], looked["created"]) == (False, 2, 1, 1)
    assert looked["problems"] == [
        {"line": 3, "column": "preço", "value": "doze", "says": "doze não é um número. Escreva assim: 1.234,50 ou 1234.50.", "warning": False}
    ]  # fmt: skip
    done = (await client.post("/v1/products:import?mode=valid&name=blusas.csv", content=csv, headers=headers)).json()
    assert (done["applied"], done["created"]) == (True, 1)
    exported = await client.get("/v1/products:export")
    assert exported.headers["content-type"].startswith("text/csv")
    again = (await client.post("/v1/products:import?mode=all", content=exported.content, headers=headers)).json()
    assert (again["bad"], again["unchanged"]) == (0, 1)
    empty = await client.post("/v1/products:import", content=b"", headers=headers)
    assert (empty.status_code, empty.json()["code"]) == (422, "empty_table")
    people = b"nome;cpf\nAna;111.444.777-35\n"
    assert (await client.post("/v1/customers:import?mode=all", content=people, headers=headers)).json()["created"] == 1
    assert "111.444.777-35" in (await client.get("/v1/customers:export")).text
    places = "código;nome;cnpj;cep\nSP01;Paulista;12.ABC.345/01DE-35;01310-100\n".encode()
    assert (await client.post("/v1/locations:import?mode=all", content=places, headers=headers)).json()["created"] == 1
    assert "SP01;Paulista;store" in (await client.get("/v1/locations:export")).text
