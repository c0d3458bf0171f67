"""Prices of stock: no barrier in any look, found as one types, a run asked for and seen, turned off and on."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from playwright.sync_api import Page, expect

from malha.platform.db import Database
from malha.routing import prices, pricing_wishes
from malha.routing.prices import Basis, Found

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
PAIRS = """
SELECT b.sku_id, b.location_id, b.on_hand FROM balance b WHERE b.on_hand > 0 ORDER BY b.sku_id, b.location_id LIMIT 70
"""


def made(pairs: list[tuple[int, int, int]], most: int, **facts: object) -> Found:
    found = Found(
        method="programme",
        prices={(sku, at): most // (n + 1) + 90 for n, (sku, at, _) in enumerate(pairs)},
        baskets=1834,
        bound_gap=0.0006,
        saving=0.0213,
        seconds=8.4,
        in_force=True,
        at_risk=len({sku for sku, _, _ in pairs}),
        bases={(sku, at): Basis(units, 14.5 + n, n / 3) for n, (sku, at, units) in enumerate(pairs)},
    )
    return msgspec.structs.replace(found, **facts)


@pytest.fixture
def priced(seeded: str) -> Iterator[None]:
    """Four runs, one of which failed; taken away afterwards."""

    async def run() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            pairs = await tx.tuples(PAIRS)
            await prices.keep(tx, made(pairs[:40], 2900))
            await prices.keep(tx, prices.failure("it took more than 120 s", 120.0))
            await prices.keep(tx, made(pairs[:52], 3300))
            await prices.keep(tx, made(pairs, 3100))

    async def clean() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM stock_price_version")
            await tx.execute("DELETE FROM stock_pricing")

    apart(run)
    yield
    apart(clean)


LOOKS = [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")]
IDS = ["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"]


@pytest.mark.parametrize(("language", "size", "theme"), LOOKS, ids=IDS)
def test_the_page_has_no_barrier_and_nothing_sticks_out(
    visit: Visit, priced: None, language: str, size: dict[str, int], theme: str, request: pytest.FixtureRequest
) -> None:
    page = visit("/stock-prices", language=language, size=size, theme=theme)
    title = "Prices of stock" if language == "en" else "Preços do estoque"
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator("#prices tbody tr")).to_have_count(50)
    shot(page, f"stock-prices-{request.node.callspec.id}", whole=False)
    page.locator("#runs").evaluate("at => at.scrollIntoView()")
    shot(page, f"stock-prices-{request.node.callspec.id}-runs", whole=False)
    assert violations(page) == []
    assert sideways(page) == 0


@pytest.mark.parametrize(("language", "size", "theme"), [LOOKS[0], LOOKS[3]], ids=[IDS[0], IDS[3]])
def test_who_has_no_prices_is_told_what_they_are_for(
    visit: Visit, language: str, size: dict[str, int], theme: str, request: pytest.FixtureRequest
) -> None:
    page = visit("/stock-prices", language=language, size=size, theme=theme)
    expect(page.locator("#prices")).to_contain_text("200")
    shot(page, f"stock-prices-none-{request.node.callspec.id}", whole=False)
    assert violations(page) == []


def test_prices_are_found_as_one_types_and_paged(visit: Visit, priced: None) -> None:
    page = visit("/stock-prices", language="en")
    rows = page.locator("#prices tbody tr")
    page.get_by_role("link", name="Next page").click()
    expect(rows).to_have_count(20)
    page.get_by_role("link", name="First page").click()
    expect(rows).to_have_count(50)
    sku = rows.first.locator("small").first.inner_text()
    page.get_by_label("SKU or product").fill(sku)
    expect(page.locator("#prices-n")).not_to_have_text("70 prices")
    for told in rows.locator("td:first-child small").all_inner_texts():
        assert sku in told
    page.get_by_label("SKU or product").fill("nothing like it")
    expect(page.locator("#prices")).to_contain_text("No price matches")


def test_a_run_is_asked_for_and_its_end_is_seen_without_a_reload(visit: Visit, priced: None, seeded: str) -> None:
    page = visit("/stock-prices", language="en")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Run now")).to_have_count(0)
    shot(page, "stock-prices-running", whole=False)

    async def done() -> None:
        async with Database(seeded) as database:
            await pricing_wishes.begin(database)
            async with database.transaction() as tx:
                await prices.keep(tx, made(await tx.tuples(PAIRS), 9900, in_force=False, saving=0.0))
            await pricing_wishes.end(database)

    apart(done)
    expect(page.get_by_role("button", name="Run now")).to_be_visible()
    expect(page.locator("#pricing")).to_contain_text("Saves too little")
    expect(page.locator("#prices tbody tr").first).to_contain_text("R$99.90")


def test_prices_are_turned_off_after_a_question_and_on_again(visit: Visit, priced: None) -> None:
    page = visit("/stock-prices", language="en")
    page.get_by_role("button", name="Turn off").click()
    page.get_by_role("dialog").get_by_role("button", name="Turn off").click()
    expect(page.locator("#pricing")).to_contain_text("Turned off")
    expect(page.get_by_role("button", name="Run now")).to_have_count(0)
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("button", name="Run now")).to_be_visible()


@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_what_a_panel_offers_stays_within_the_narrowest_screen(visit: Visit, priced: None, language: str) -> None:
    page = visit("/stock-prices", language=language, size={"width": 320, "height": 640})
    off = page.get_by_role("button", name="Turn off" if language == "en" else "Desativar").bounding_box()
    assert off is not None
    assert off["x"] + off["width"] <= 320
