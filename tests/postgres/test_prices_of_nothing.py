"""Prices that are refused: zero, wherever it comes from, and two for one SKU in one table."""

import io
from typing import Any

import pytest
from msgspec.structs import replace

from malha.catalog import making, ownership, reads, service, taking
from malha.catalog.imports import PriceImport, ProductImport
from malha.catalog.model import ProductDraft, VariantDraft
from malha.platform.db import Database
from malha.platform.flaws import Invalid
from malha.platform.imports import Mode, Report, run_import

CUP = ProductDraft(code="CUP", name="Caneca", variants=[VariantDraft(sku="CUP", price=3000)])
SAYS = "The price is zero. Leave it empty for what is given away: a line of an order may still cost nothing."


@pytest.fixture(autouse=True)
async def cup(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_products(tx, [CUP])


async def price(database: Database, sku: str = "CUP") -> int | None:
    async with database.transaction() as tx:
        (card,) = await reads.by_skus(tx, [sku])
    return card.price


async def imported(database: Database, text: str, target: Any, mode: Mode = Mode.VALID) -> Report:
    return await run_import(database, target, io.BytesIO(text.encode()), mode=mode)


def told(report: Report) -> list[tuple[int, str, str]]:
    return [(p.line, p.column, p.text("en")) for p in report.problems]


@pytest.mark.parametrize("mode", [Mode.PREVIEW, Mode.ALL, Mode.VALID])
@pytest.mark.parametrize("apart", [0, 600])
async def test_a_sku_with_two_prices_in_a_table_is_told_with_the_other_line(
    database: Database, mode: Mode, apart: int
) -> None:
    """In one piece of the file, and in two."""
    async with database.transaction() as tx:
        variants = [VariantDraft(sku=f"S{n}", name=f"S{n}", price=1) for n in range(600)]
        await service.put_products(tx, [ProductDraft(code="S", name="S", variants=variants)])
    between = "".join(f"S{n};5\n" for n in range(apart))
    text = f"sku;price\nCUP;31\n{between}CUP;31,00\nCUP;32\n"
    report = await imported(database, text, PriceImport(), mode)
    says = "The SKU CUP is in line 2 already, with another price. Keep one of them."
    assert told(report) == [(apart + 4, "price", says)]
    assert await price(database) == (3100 if mode is Mode.VALID else 3000)


@pytest.mark.parametrize("target", [PriceImport, ProductImport])
async def test_a_table_does_not_set_a_price_of_zero(database: Database, target: Any) -> None:
    report = await imported(database, "sku;price\nCUP;0,00\n", target())
    assert told(report) == [(2, "price", SAYS)]
    assert await price(database) == 3000


async def test_goods_for_which_a_sheet_of_products_says_zero_come_in_without_a_price(database: Database) -> None:
    for created, unchanged in ((1, 0), (0, 1)):
        report = await imported(database, "sku;name;price\nGIFT;Brinde;0\n", ProductImport())
        assert (told(report), report.created, report.unchanged) == ([], created, unchanged)
        assert await price(database, "GIFT") is None


async def test_nobody_states_a_price_of_zero_and_no_price_is_stated_by_leaving_it_out(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Invalid) as refused:
            await service.put_products(tx, [replace(CUP, variants=[VariantDraft(sku="CUP", price=0)])])
        assert [(flaw.at, f"{flaw.says} {flaw.mend}") for flaw in refused.value.flaws] == [("variants/0/price", SAYS)]
        await service.put_products(tx, [replace(CUP, variants=[VariantDraft(sku="CUP")])])
    assert await price(database) is None


async def test_a_connection_that_tells_of_zero_changes_no_price_and_makes_goods_without_one(database: Database) -> None:
    async with database.transaction() as tx:
        await ownership.claim(tx, "erp", "ERP", ["price"])
        (plan,) = await taking.take(tx, "erp", {"CUP": {"price": 0}})
        assert [(flaw.at, f"{flaw.says} {flaw.mend}") for flaw in plan.flaws] == [("variants/0/price", SAYS)]
        made = await making.make(
            tx, "erp", [making.New(sku="GIFT", product="GIFT", told={"name": "Brinde", "price": 0})]
        )
        assert made.flaws == {}
    assert (await price(database), await price(database, "GIFT")) == (3000, None)


async def test_a_price_of_zero_that_is_there_already_stays_until_somebody_changes_it(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = 0 WHERE sku = 'CUP'")
        await service.put_products(tx, [replace(CUP, variants=[VariantDraft(sku="CUP", price=0, weight_grams=9)])])
    for target in (PriceImport(), ProductImport()):
        assert told(await imported(database, "sku;price\nCUP;0\n", target)) == []
    assert await price(database) == 0
