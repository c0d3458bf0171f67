"""Policies of selling ahead as a table: each row one policy whole, refused row by row, and out again unchanged."""

import io
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from ahead_world import Shop, a_shop

from malha.exchange import kinds
from malha.exchange.model import Kind
from malha.intake.errors import OutOfStock
from malha.inventory.ahead import policies, reads
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.reads import PolicyRow
from malha.inventory.ahead.table import AheadImport
from malha.platform import sheets
from malha.platform.db import Actor, Database
from malha.platform.imports import Mode as How
from malha.platform.imports import Report, run_import
from malha.platform.sheets import Format
from malha.testing.builders import a_product, in_days

BIA = Actor("person", "bia", "Bia", permissions=frozenset({"catalog:write", "catalog:read"}))
HEADER = "produto;sku;canal;modo;lançamento;limite;horizonte;dias até a expedição\n"


@pytest.fixture
async def shop(database: Database) -> Shop:
    shop = await a_shop(database)
    async with database.transaction() as tx:
        await a_product(tx, shop.world, "PLATE")
        await a_product(tx, shop.world, "SET", components={shop.sku: 2})
    return shop


async def bring(shop: Shop, text: str, mode: How = How.VALID) -> Report:
    data = io.BytesIO((HEADER + text).encode())
    return await run_import(shop.database, AheadImport(), data, mode=mode, actor=BIA)


async def product_of(shop: Shop, sku: str) -> tuple[int, str]:
    async with shop.database.snapshot() as tx:
        rows = await tx.tuples(
            "SELECT p.id, p.code FROM variant v JOIN product p ON p.id = v.product_id WHERE v.sku = %(sku)s",
            {"sku": sku},
        )
    found: tuple[int, str] = rows[0]
    return found


async def stated(shop: Shop, sku: str) -> list[PolicyRow]:
    id_, _ = await product_of(shop, sku)
    async with shop.database.snapshot() as tx:
        return await reads.of_product(tx, id_)


async def taken(shop: Shop, format_: Format = Format.CSV) -> bytes:
    pieces: AsyncIterator[bytes] = kinds.export(Kind.AHEAD_POLICIES, format_, shop.database, BIA)
    return b"".join([piece async for piece in pieces])


async def test_rows_state_policies_of_products_and_skus_and_the_trail_names_each(shop: Shop) -> None:
    plate = (await product_of(shop, "PLATE"))[1]
    await shop.allow(cap=9)
    told = await bring(
        shop, f";CUP;;encomenda;;4;20;\n;CUP;mall;pré-venda;31/12/2027;;;3\n{plate};;;backorder;;;;0\n", How.ALL
    )
    assert (told.created, told.changed, told.bad) == (2, 1, 0)
    all_channels, mall = await stated(shop, "CUP")
    assert (all_channels.mode, all_channels.cap, all_channels.horizon_days, all_channels.version) == (
        Mode.BACKORDER, 4, 20, 2,
    )  # fmt: skip
    assert (mall.channel, mall.mode, mall.release_on, mall.handling_days) == (
        "mall", Mode.PREORDER, date(2027, 12, 31), 3,
    )  # fmt: skip
    (whole,) = await stated(shop, "PLATE")
    assert (whole.sku, whole.cap, whole.handling_days) == (None, None, 0)
    async with shop.database.transaction() as tx:
        trail = await tx.tuples("SELECT action, entity_id FROM audit WHERE entity = 'ahead_policy' ORDER BY id")
    named = {(action, id_) for action, id_ in trail if action != "import"}
    assert named == {
        ("create", str(all_channels.id)), ("change", str(all_channels.id)), ("create", str(mall.id)),
        ("create", str(whole.id)),
    }  # fmt: skip


async def test_intake_follows_what_a_table_says_and_who_waits_goes_on_waiting(shop: Shop) -> None:
    await shop.order_goods(9, 5)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    await bring(shop, ";CUP;;backorder;;;;\n")
    (order,) = await shop.sold(2)
    await bring(shop, ";CUP;;none;;;;\n")
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    assert await shop.waits(order) == [("waiting", in_days(5), 2)]
    (policy,) = await stated(shop, "CUP")
    assert (policy.mode, policy.waiting) == (Mode.NONE, 2)


async def test_a_policy_that_was_removed_comes_back_by_a_table(shop: Shop) -> None:
    await shop.allow()
    (policy,) = await stated(shop, "CUP")
    async with shop.database.transaction() as tx:
        await policies.remove(tx, (await product_of(shop, "CUP"))[0], policy.id, policy.version)
    assert (await bring(shop, ";CUP;;backorder;;7;;\n")).created == 1
    assert [p.cap for p in await stated(shop, "CUP")] == [7]


@pytest.mark.parametrize("format_", [Format.CSV, Format.XLSX])
async def test_what_an_export_says_changes_nothing(shop: Shop, format_: Format) -> None:
    plate = (await product_of(shop, "PLATE"))[1]
    await bring(shop, f";CUP;web;backorder;;4;20;2\n;CUP;;preorder;2027-03-01;;;\n{plate};;till;none;;;;\n", How.ALL)
    out = await taken(shop, format_)
    again = await run_import(shop.database, AheadImport(), io.BytesIO(out), mode=How.ALL, actor=BIA)
    assert (again.unchanged, again.changed, again.created, again.bad) == (3, 0, 0, 0)


async def test_bad_rows_are_told_each_with_its_column_and_the_others_go_in(shop: Shop) -> None:
    _, cup = await product_of(shop, "CUP")
    _, plate = await product_of(shop, "PLATE")
    told = await bring(
        shop,
        ";;;backorder;;;;\n"
        ";NONE;;backorder;;;;\n"
        "NADA;;;backorder;;;;\n"
        f"{plate};CUP;;backorder;;;;\n"
        ";CUP;nowhere;backorder;;;;\n"
        ";CUP;;talvez;;;;\n"
        ";CUP;;preorder;;;;\n"
        ";CUP;;backorder;ontem;;;\n"
        ";CUP;;backorder;;0;;\n"
        ";CUP;;backorder;;;9999;\n"
        ";SET;;backorder;;;;\n"
        f"{cup};;;backorder;;;;\n"
        f"{cup};;;none;;;;\n",
    )
    assert (told.created, told.bad) == (1, 12)
    wrong = {(problem.line, problem.column) for problem in told.problems}
    assert wrong == {
        (2, "sku"), (3, "sku"), (4, "produto"), (5, "sku"), (6, "canal"), (7, "modo"), (8, "lançamento"),
        (9, "lançamento"), (10, "limite"), (11, "horizonte"), (12, "sku"), (14, ""),
    }  # fmt: skip
    assert [p.mode for p in await stated(shop, "CUP")] == [Mode.BACKORDER]


async def test_a_check_writes_nothing_and_one_bad_row_stops_a_table_that_wants_all_or_nothing(shop: Shop) -> None:
    assert (await bring(shop, ";CUP;;backorder;;;;\n", How.PREVIEW)).created == 1
    assert not (await bring(shop, ";CUP;;backorder;;;;\n;NONE;;backorder;;;;\n", How.ALL)).applied
    assert await stated(shop, "CUP") == []


def test_numbers_are_numbers_for_a_spreadsheet_too() -> None:
    found: dict[str, Any] = kinds.numbers_of(Kind.AHEAD_POLICIES)
    assert set(found) == {"cap", "horizon_days", "handling_days"}
    assert set(found.values()) == {sheets.Kind.WHOLE}
