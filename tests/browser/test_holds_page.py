"""Stock holds: no barrier in any look, found as one types, and released by the keyboard and the mouse with a reason."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.inventory import service as inventory
from malha.inventory.model import Claim
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
FREE = """
SELECT sku_id, location_id FROM balance WHERE on_hand - allocated - held - safety - fenced >= 2
ORDER BY sku_id, location_id LIMIT 6
"""
CARTS = ("cart-7f31", "cart-90aa", "pix-20418")


@pytest.fixture
def carts(seeded: str) -> Iterator[tuple[str, ...]]:
    """Two carts and a payment, which keep units of several SKUs; let go afterwards."""

    async def place() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            rows = await tx.tuples(FREE)
            channel = await tx.value("SELECT id FROM channel ORDER BY id LIMIT 1")
            for n, reference in enumerate(CARTS):
                claims = [Claim(sku, location, 1) for sku, location in rows[2 * n : 2 * n + 2]]
                short = await inventory.place_hold(tx, reference, claims, seconds=900 * (n + 1), channel_id=channel)
                assert short == []

    async def let_go() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await inventory.release_holds(tx, CARTS)

    apart(place)
    yield CARTS
    apart(let_go)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"],
)
def test_the_list_has_no_barrier_and_nothing_sticks_out(
    visit: Visit,
    carts: tuple[str, ...],
    language: str,
    size: dict[str, int],
    theme: str,
    request: pytest.FixtureRequest,
) -> None:
    page = visit("/holds", language=language, size=size, theme=theme)
    expect(page.get_by_role("heading", level=1)).to_have_text("Stock holds" if language == "en" else "Reservas")
    expect(page.locator("tbody tr")).to_have_count(len(carts))
    shot(page, f"holds-{request.node.callspec.id}", whole=False)
    assert violations(page) == []
    assert sideways(page) == 0


def test_a_hold_is_found_and_released_with_a_reason(visit: Visit, carts: tuple[str, ...]) -> None:
    page = visit("/holds", language="en")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_label("Reference or SKU").fill("90aa")
    expect(rows).to_have_count(1)
    page.get_by_label("cart-90aa").check()
    page.get_by_role("button", name="Release").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("gave up on the telephone")
    shot(page, "holds-dialog", whole=False)
    assert violations(page) == []
    dialog.get_by_role("button", name="Release").click()
    expect(page.get_by_text("No hold matches")).to_be_visible()
    page.get_by_role("link", name="Clear filters").first.click()
    expect(rows).to_have_count(2)
    expect(page.get_by_text("cart-90aa")).to_have_count(0)
