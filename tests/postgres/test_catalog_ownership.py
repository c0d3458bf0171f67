"""Fields of products that are kept elsewhere: who has them, what may not be written here, what the owner writes."""

import asyncio
import io
from typing import Any

import pytest

from malha.catalog import ownership, reads, service, taking
from malha.catalog.errors import ProductFieldOwned
from malha.catalog.imports import PriceImport, ProductImport
from malha.catalog.model import ProductDraft, VariantDraft
from malha.platform import audit
from malha.platform.db import Actor, Database
from malha.platform.flaws import Invalid
from malha.platform.imports import Mode, run_import

ERP = Actor("connection", "erp", "ERP")
SHIRT = ProductDraft(
    code="CAM", name="Camiseta", brand="Malha", ncm="61091000", options=["Cor"],
    variants=[VariantDraft(sku="CAM-A", options={"Cor": "Azul"}, price=4990, weight_grams=180),
              VariantDraft(sku="CAM-V", options={"Cor": "Verde"}, price=5990, weight_grams=180)],
)  # fmt: skip
SOCK = ProductDraft(code="MEIA", name="Meia", variants=[VariantDraft(sku="MEIA", price=990)])


async def stock_up(database: Database, fields: list[str], skus: list[str]) -> None:
    async with database.transaction() as tx:
        await service.put_products(tx, [SHIRT, SOCK])
        await ownership.claim(tx, "erp", "ERP da matriz", fields)
        await ownership.tell(tx, "erp", skus)


async def shirt(database: Database) -> dict[str, Any]:
    async with database.transaction() as tx:
        found = await reads.product_by_code(tx, "CAM")
    assert found
    prices = {v.sku: v.price for v in found.variants}
    return {"name": found.name, "brand": found.brand, "ncm": found.ncm, "prices": prices, "version": found.version}


async def test_a_field_has_one_owner_and_the_refusal_names_it(database: Database) -> None:
    await stock_up(database, ["brand", "price"], [])
    async with database.transaction() as tx:
        with pytest.raises(ProductFieldOwned) as refused:
            await ownership.claim(tx, "shop", "Loja", ["name", "brand"])
    assert refused.value.facts["connection"] == "erp"
    assert refused.value.facts["fields"] == "brand"
    async with database.transaction() as tx:
        await ownership.claim(tx, "erp", "ERP da matriz", ["price"])
        await ownership.claim(tx, "shop", "Loja", ["name", "brand"])
        held = await ownership.owners(tx)
    assert {field: by.owner for field, by in held.items()} == {"brand": "shop", "name": "shop", "price": "erp"}


async def test_of_two_that_claim_one_field_at_once_one_has_it(database: Database) -> None:
    async def claim(owner: str) -> str:
        try:
            async with database.transaction() as tx:
                await ownership.claim(tx, owner, owner, ["gtin", "name"])
        except ProductFieldOwned:
            return "refused"
        return owner

    said = await asyncio.gather(claim("a"), claim("b"))
    assert sorted(said).count("refused") == 1
    async with database.transaction() as tx:
        held = await ownership.owners(tx)
    assert {by.owner for by in held.values()} == set(said) - {"refused"}


async def test_a_person_cannot_change_what_is_kept_elsewhere_and_may_change_the_rest(database: Database) -> None:
    await stock_up(database, ["brand", "price"], ["CAM-A"])
    version = (await shirt(database))["version"]
    wrong = ProductDraft(code="CAM", name="Blusa", brand="Outra", ncm="61091000",
                         variants=[VariantDraft(sku="CAM-A", price=1), VariantDraft(sku="CAM-V", price=2)])  # fmt: skip
    with pytest.raises(Invalid) as refused:
        async with database.transaction() as tx:
            await service.update_product(tx, wrong, version)
    assert [flaw.at for flaw in refused.value.flaws] == ["brand", "variants/0/price"]
    assert refused.value.flaws[0].facts == {"connection": "erp", "name": "ERP da matriz"}
    free = ProductDraft(
        code="CAM", name="Blusa", brand="Malha", ncm="61091000", variants=[VariantDraft(sku="CAM-V", price=2)]
    )
    async with database.transaction() as tx:
        await service.update_product(tx, free, version)
    now = await shirt(database)
    assert (now["name"], now["brand"], now["prices"]) == ("Blusa", "Malha", {"CAM-A": 4990, "CAM-V": 2})


async def test_an_import_tells_each_row_what_it_left_out_and_writes_the_rest_of_it(database: Database) -> None:
    await stock_up(database, ["brand", "price"], ["CAM-A"])
    table = (
        b"sku;product;name;brand;price\nCAM-A;CAM;Blusa;Outra;1,00\nCAM-V;CAM;Blusa;Outra;2,00\nMEIA;;Meia;Nova;3,00\n"
    )
    for mode in (Mode.PREVIEW, Mode.VALID):
        report = await run_import(database, ProductImport(), io.BytesIO(table), mode=mode)
        assert report.bad == 0
        told = [(p.line, p.column) for p in report.problems if p.warning]
        assert told == [(2, "brand"), (2, "price"), (3, "brand")]
        assert "ERP da matriz" in report.problems[0].text("en")
    now = await shirt(database)
    assert (now["name"], now["brand"], now["prices"]) == ("Blusa", "Malha", {"CAM-A": 4990, "CAM-V": 200})
    async with database.transaction() as tx:
        sock = await reads.product_by_code(tx, "MEIA")
    assert sock
    assert (sock.brand, sock.variants[0].price) == ("Nova", 300)


async def test_a_price_list_leaves_prices_that_are_kept_elsewhere_and_says_so(database: Database) -> None:
    await stock_up(database, ["price"], ["CAM-A"])
    table = b"sku;price\nCAM-A;1,00\nCAM-V;2,00\n"
    report = await run_import(database, PriceImport(), io.BytesIO(table), mode=Mode.VALID)
    assert [(p.line, p.column) for p in report.problems] == [(2, "price")]
    assert (await shirt(database))["prices"] == {"CAM-A": 4990, "CAM-V": 200}


async def test_what_an_owner_tells_is_written_and_told_in_the_trail_by_its_name(database: Database) -> None:
    await stock_up(database, ["name", "brand", "price"], [])
    told: dict[str, dict[str, Any]] = {
        "CAM-A": {"name": "Blusa", "brand": "Dona", "price": 100},
        "MEIA": {"price": 990},
        "NADA": {"price": 1},
    }
    async with database.transaction(ERP) as tx:
        plans = await taking.take(tx, "erp", told)
    changes = [(c.product, c.sku, c.field, c.old, c.new) for plan in plans for c in plan.changes]
    assert changes == [
        ("CAM", None, "name", "Camiseta", "Blusa"),
        ("CAM", None, "brand", "Malha", "Dona"),
        ("CAM", "CAM-A", "variant_name", "Camiseta Azul", "Blusa Azul"),
        ("CAM", "CAM-A", "price", "4990", "100"),
        ("CAM", "CAM-V", "variant_name", "Camiseta Verde", "Blusa Verde"),
    ]
    now = await shirt(database)
    assert (now["name"], now["ncm"], now["prices"]) == ("Blusa", "61091000", {"CAM-A": 100, "CAM-V": 5990})
    async with database.transaction() as tx:
        (entry,) = await audit.trail(tx, entity="product", entity_id="CAM")
        again = await taking.take(tx, "erp", told)
        cam = await reads.product_by_code(tx, "CAM")
        assert cam
        locks = (await ownership.locked(tx, [cam]))["CAM"]
    assert (entry.actor_kind, entry.actor_id, entry.action) == ("connection", "erp", "change")
    assert entry.after
    assert entry.after["brand"] == "Dona"
    assert [plan.draft for plan in again] == [None, None]
    assert [(lock.field, lock.sku) for lock in locks] == [("name", None), ("brand", None), ("price", "CAM-A")]


async def test_what_cannot_be_written_is_left_as_it_is_with_the_reason_and_the_rest_is_written(
    database: Database,
) -> None:
    await stock_up(database, ["ncm", "brand", "price", "gtin"], [])
    told: dict[str, dict[str, Any]] = {
        "CAM-A": {"ncm": "12", "brand": "Dona", "price": 100, "gtin": "7891000315507"},
        "CAM-V": {"ncm": "12", "brand": "Outra", "price": -5},
        "MEIA": {"gtin": "7891000315507", "price": 5},
    }
    async with database.transaction(ERP) as tx:
        plans = {plan.before.code: plan for plan in await taking.take(tx, "erp", told)}
    assert sorted(flaw.at for flaw in plans["CAM"].flaws) == ["brand", "ncm", "variants/1/price"]
    assert [flaw.at for flaw in plans["MEIA"].flaws] == ["variants/0/gtin"]
    now = await shirt(database)
    assert (now["brand"], now["ncm"], now["prices"]) == ("Malha", "61091000", {"CAM-A": 100, "CAM-V": 5990})
    assert [(c.field, c.new) for c in plans["MEIA"].changes] == [("price", "5")]


async def test_an_import_that_runs_while_an_owner_writes_takes_nothing_back(database: Database) -> None:
    await stock_up(database, ["brand"], ["CAM-A", "CAM-V"])
    table = b"sku;product;ncm\nCAM-A;CAM;61159500\nCAM-V;CAM;61159500\n"
    began = asyncio.Event()

    async def own() -> None:
        async with database.transaction(ERP) as tx:
            await taking.take(tx, "erp", {"CAM-A": {"brand": "Dona"}})
            began.set()
            await asyncio.sleep(0.3)

    async def bring() -> None:
        await began.wait()
        await run_import(database, ProductImport(), io.BytesIO(table), mode=Mode.VALID)

    await asyncio.gather(own(), bring())
    now = await shirt(database)
    assert (now["brand"], now["ncm"]) == ("Dona", "61159500")
