"""Orders that are paid with more than their total: no barrier in any look, and the refund of the difference at hand."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, violations

Visit = Callable[..., Page]
CHOSEN = """
SELECT o.id FROM sales_order o JOIN order_payment p ON p.order_id = o.id
WHERE p.captured >= o.total AND p.refunded = 0 AND o.status NOT IN ('cancelled', 'delivered') ORDER BY o.number LIMIT 3
"""
PAID_TWICE = f"""
UPDATE order_payment SET overpaid = 2500, captured = captured + 2500 WHERE order_id IN ({CHOSEN})
"""
BACK = "UPDATE order_payment SET captured = captured - overpaid, overpaid = 0 WHERE overpaid > 0"
FIRST = """
SELECT o.number FROM sales_order o JOIN order_payment p ON p.order_id = o.id WHERE p.overpaid > 0
ORDER BY o.number LIMIT 1
"""


@pytest.fixture
def overpaid(seeded: str) -> Iterator[int]:
    """Orders that are overpaid, the number of the first; as they were afterwards."""

    async def run(*statements: str) -> int:
        async with Database(seeded) as database, database.transaction() as tx:
            for statement in statements:
                await tx.execute(statement)
            return int(await tx.value(FIRST) or 0)

    number = apart(lambda: run(PAID_TWICE))
    assert number
    yield number
    apart(lambda: run(BACK))


LOOKS = pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("pt-BR", NARROW, "dark"), ("en", WIDE, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide", "pt-narrow-dark", "en-wide-dark", "en-narrow"],
)
WORDS = {"pt-BR": "Pedidos pagos a mais", "en": "Overpaid orders"}


@LOOKS
def test_overpaid_orders_have_no_barrier_in_any_look(
    visit: Visit, overpaid: int, language: str, size: dict[str, int], theme: str
) -> None:
    page = visit("/overpaid", size=size, language=language, theme=theme)
    expect(page.get_by_role("heading", level=1)).to_have_text(WORDS[language])
    assert not violations(page)
    shot(page, f"overpaid-{language}-{size['width']}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page = visit("/attention", size=size, language=language, theme=theme)
    expect(page.locator("#overpaid")).to_be_visible()
    page = visit(f"/orders/{overpaid}", size=size, language=language, theme=theme)
    expect(page.locator("#overpaid")).to_be_visible()
    assert not violations(page)
    shot(page, f"overpaid-order-{language}-{size['width']}-{theme}")


def test_the_refund_of_the_difference_is_ready_to_record(visit: Visit, overpaid: int) -> None:
    page = visit("/overpaid", size=WIDE, language="pt-BR")
    page.get_by_role("link", name=f"#{overpaid}").click()
    page.locator("#overpaid").get_by_role("button").click()
    expect(page.locator("#dlg-refund #refund-amount")).to_have_value("25,00")
    shot(page, "overpaid-refund", whole=False)
