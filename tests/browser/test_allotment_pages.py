"""Allotments and safety rules in a real browser: made, watched, tried and explained, in both languages and sizes."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from malha.inventory import service as inventory
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, BorrowerDraft, FenceRow, Kind, Taker
from malha.inventory.model import Claim, Reference
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import Measure, SafetyRuleDraft
from malha.platform.db import Database
from malha.platform.ids import new_id

from .conftest import NARROW, WIDE, apart, shot, sideways, violations
from .seeding import CHANNELS

Visit = Callable[..., Page]
TOWEL = "AR-3307-TE"
CHANNEL, OTHER = CHANNELS[0][0], CHANNELS[1][0]


@pytest.fixture
def allotted(seeded: str) -> Iterator[None]:
    """A fence that was drawn from, a cap, and two rules; all taken away afterwards, so that other tests see none."""

    async def fill() -> None:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                places = await tx.tuples(
                    "SELECT l.code, l.id, b.sku_id FROM balance b JOIN location l ON l.id = b.location_id"
                    " JOIN variant v ON v.id = b.sku_id WHERE v.sku = %(s)s AND b.on_hand - b.allocated > 40 ORDER BY l.id",
                    {"s": TOWEL},
                )
                stock = tuple(FenceRow(TOWEL, code, 20) for code, _, _ in places[:3])
                await allotments.put(
                    tx,
                    AllotmentDraft(
                        code="BF26",
                        name="Black Friday marketplace",
                        kind=Kind.FENCE,
                        channels=(CHANNEL,),
                        borrowers=(BorrowerDraft(channel=OTHER),),
                        stock=stock,
                    ),
                    None,
                )
                cap = AllotmentDraft(
                    code="LIM", name="Limite da semana", kind=Kind.CAP, quota=500, channels=(OTHER,), skus=(TOWEL,)
                )
                await allotments.put(tx, cap, None)
                channel = await tx.value("SELECT id FROM channel WHERE code = %(c)s", {"c": CHANNEL})
                claim = Claim(places[0][2], places[0][1], 7)
                order = await tx.value("SELECT id FROM sales_order ORDER BY number LIMIT 1")
                assert not await inventory.reserve(
                    tx, [claim], Reference("order", order or new_id()), taker=Taker(channel)
                )
                for draft in (
                    SafetyRuleDraft(code="LOJAS", name="Lojas", amount=2, location_kind="store"),
                    SafetyRuleDraft(
                        code="TOALHA", name="Toalha nas lojas", amount=10, measure=Measure.PERCENT, sku=TOWEL,
                        location_kind="store",
                    ),
                ):  # fmt: skip
                    await safety.put(tx, draft, None)
            await safety.sweep(database)

    async def empty() -> None:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                order = await tx.value("SELECT claim_id FROM stock_draw LIMIT 1")
                if order is not None:
                    rows = await tx.tuples(
                        "SELECT sku_id, location_id, sum(quantity)::int FROM stock_draw GROUP BY 1, 2"
                    )
                    await inventory.release(tx, [Claim(*row) for row in rows], Reference("order", order))
                for code in await tx.values("SELECT code FROM allotment WHERE state = 'active'"):
                    await allotments.end(tx, code)
                await tx.execute("DELETE FROM safety_rule")
            await safety.sweep(database)

    apart(fill)
    yield
    apart(empty)
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        for table in (
            "cap_use", "cap_counter", "cap_sku", "cap_category", "cap_location", "fence_movement", "fence_stock",
            "allotment_borrower", "allotment_channel", "allotment",
        ):  # fmt: skip
            connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
        connection.execute("UPDATE revision SET n = n + 1 WHERE name = 'allotments'")


@pytest.mark.parametrize("path", ["/allotments", "/allotments/BF26", "/allotments/LIM", "/allotments/BF26/edit",
                                  "/allotments:new?kind=cap", "/safety-rules", "/safety-rules/TOALHA/edit",
                                  f"/stock/{TOWEL}"])  # fmt: skip
def test_every_page_is_whole_in_both_sizes_languages_and_themes(visit: Visit, allotted: None, path: str) -> None:
    for size, language, theme in ((WIDE, "pt-BR", "light"), (NARROW, "en", "light"), (WIDE, "en", "dark")):
        page = visit(path, size=size, language=language, theme=theme)
        expect(page.locator("h1")).to_be_visible()
        assert sideways(page) == 0, "it scrolls sideways"
        assert violations(page) == []
        name = path.strip("/").replace("/", "-").replace(":", "-").replace("?", "-")
        shot(page, f"{name}-{size['width']}-{language}-{theme}")


def test_a_fence_is_made_changed_and_ended(visit: Visit, allotted: None) -> None:
    page = visit("/allotments")
    page.get_by_role("link", name="Nova cota reservada").first.click()
    page.get_by_label("Nome").fill("Campanha")
    page.get_by_label("Código", exact=True).fill("CAMP")
    page.locator(f'input[name=channels][value="{OTHER}"]').check()
    page.get_by_label("SKU, local, quantidade").fill(f"SKU\tlocal\tquantidade\n{TOWEL}\tSSA-01\t3")
    page.get_by_role("button", name="Criar cota").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Campanha")
    expect(page.locator(".m-eq-sum")).to_contain_text("3")
    page.get_by_role("link", name="Editar").click()
    page.get_by_label("SKU, local, quantidade").fill(f"{TOWEL};SSA-01;x")
    page.get_by_role("button", name="Salvar cota").click()
    expect(page.locator("#refusal")).to_contain_text("A linha 1 não pode ser lida")
    page.get_by_label("SKU, local, quantidade").fill(f"{TOWEL};SSA-01;2")
    page.get_by_role("button", name="Salvar cota").click()
    expect(page.locator(".m-eq-sum")).to_contain_text("2")
    page.get_by_role("button", name="Encerrar agora").click()
    page.get_by_role("dialog").get_by_role("button", name="Encerrar cota").click()
    expect(page.locator(".m-head")).to_contain_text("Encerrada")


def test_a_rule_says_what_it_would_change_before_it_is_saved(visit: Visit, allotted: None) -> None:
    page = visit("/safety-rules")
    rows = page.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("Toalha nas lojas")
    expect(rows.nth(0)).to_contain_text("tem mais condições")
    page.get_by_role("link", name="Nova regra de segurança").first.click()
    page.get_by_label("Nome").fill("Tudo")
    page.get_by_label("Código", exact=True).fill("TUDO")
    page.get_by_label("Quanto", exact=True).fill("1")
    page.get_by_role("button", name="O que mudaria?").click()
    expect(page.locator("#trial")).to_contain_text("saldos")
    shot(page, "safety-trial")
    page.get_by_role("button", name="Criar regra de segurança").click()
    expect(page.locator("tbody tr")).to_have_count(3)


def test_the_stock_of_a_sku_says_which_rule_counts_and_what_is_set_apart(visit: Visit, allotted: None) -> None:
    page = visit(f"/stock/{TOWEL}", language="en")
    expect(page.locator("[aria-labelledby=safety-h]")).to_contain_text("Rule Toalha nas lojas: has more conditions")
    expect(page.locator("[aria-labelledby=fences-h]")).to_contain_text("Black Friday marketplace")
