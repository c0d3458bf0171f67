"""An order for more units than its channel takes unasked: its page says of what, and a person lets it go on."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
OPEN = """
SELECT o.id, o.number, l.sku_text FROM sales_order o JOIN order_line l ON l.order_id = o.id AND l.line = 1
WHERE o.status = 'allocated' AND NOT EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id)
ORDER BY o.number LIMIT 1
"""


@pytest.fixture(scope="module")
def held(seeded: str) -> tuple[int, str]:
    """An order that waits because it wants 1,200 of a SKU of which its channel takes 24."""

    async def make() -> tuple[int, str]:
        async with Database(seeded) as database, database.transaction() as tx:
            order_id, number, sku = (await tx.tuples(OPEN))[0]
            detail = {"most": 24, "skus": {sku: 1200}}
            await ordering.lock_order(tx, order_id)
            await holds.ensure_holds(tx, {order_id: detail}, HoldKind.QUANTITY)
            return number, sku

    return apart(make)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("en", WIDE, "dark"), ("en", NARROW, "light"), ("pt-BR", NARROW, "dark"), ("pt-BR", WIDE, "light")],
    ids=["en-wide-dark", "en-narrow", "pt-narrow-dark", "pt-wide"],
)
def test_its_page_says_of_what_it_wants_too_many(
    visit: Visit, held: tuple[int, str], language: str, size: dict[str, int], theme: str
) -> None:
    number, sku = held
    page = visit(f"/orders/{number}", size=size, language=language, theme=theme)
    says = f"O pedido quer 1.200 de {sku}; o canal aceita 24 sem perguntar."
    if language == "en":
        says = f"1,200 of {sku} are wanted, the channel takes 24 unasked."
    expect(page.get_by_text(says)).to_have_count(1)
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"many-units-{language}-{size['width']}-{theme}")


def test_a_person_lets_it_go_on(visit: Visit, held: tuple[int, str]) -> None:
    page = visit(f"/orders/{held[0]}", size=WIDE, language="pt-BR")
    page.locator('.m-note [data-open="dlg-resolve-quantity"]').click()
    dialog = page.locator("#dlg-resolve-quantity")
    dialog.locator('[name="resolution"]').fill("É para um casamento")
    dialog.get_by_role("button", name="Liberar retenção").click()
    expect(page.locator('[data-open="dlg-resolve-quantity"]')).to_have_count(0)
