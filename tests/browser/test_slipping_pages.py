"""Promises that slip, and why an order has its date: no barrier in any look, and the way to promise another day."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
# Open orders, promised for days to come; three of them held up for three reasons. What their dates were made of.
PROMISE = """
UPDATE sales_order SET promised_at = date_trunc('day', now()) + interval '3 days 23:59:59'
WHERE status IN ('allocated', 'picking') AND method = 'ship'
"""
SLIP = """
INSERT INTO promise_slip (order_id, promised_at, expected_at, lines, reason, location_id, found_at)
SELECT o.id, o.promised_at,
       CASE WHEN o.n <> 2 THEN o.promised_at + interval '4 days' END, '{1}',
       (ARRAY['carrier', 'overdue', 'no_place', 'closed', 'moved'])[1 + mod(o.n, 5)], l.id, now() - interval '20 minutes'
FROM (SELECT id, promised_at, (row_number() OVER (ORDER BY number) - 1)::int AS n FROM sales_order
      WHERE promised_at > now() AND status IN ('allocated', 'picking') AND method = 'ship') o
CROSS JOIN (SELECT id FROM location ORDER BY id LIMIT 1) l
"""
MADE = """
UPDATE routing_decision d SET promise = json_build_object(
    'released_at', now() - interval '1 hour', 'to_state', 'SP', 'version', 7, 'level', 0.9,
    'legs', json_build_array(
        json_build_object('location', l.id, 'service', s.id, 'lines', json_build_array(1), 'grams', 800,
            'cut_off', '14:00:00', 'leaves', current_date + 1, 'days', 2, 'learned', true, 'arrives', current_date + 3),
        json_build_object('location', l.id, 'service', s.id, 'lines', json_build_array(1), 'grams', 500,
            'cut_off', '16:00:00', 'leaves', current_date + 1, 'days', 4, 'learned', false, 'arrives', current_date + 6)))
FROM (SELECT id FROM location ORDER BY id LIMIT 1) l, (SELECT id FROM service WHERE method = 'ship' ORDER BY id LIMIT 1) s
WHERE d.order_id = (SELECT id FROM sales_order WHERE promised_at > now() AND status IN ('allocated', 'picking')
                    AND method = 'ship' ORDER BY number LIMIT 1)
"""
FIRST = """
SELECT number FROM sales_order WHERE promised_at > now() AND status IN ('allocated', 'picking') AND method = 'ship'
ORDER BY number LIMIT 1
"""


@pytest.fixture
def slips(seeded: str) -> Iterator[int]:
    """Orders that slip, the number of the first; taken away afterwards."""

    async def run(*statements: str) -> int:
        async with Database(seeded) as database, database.transaction() as tx:
            for statement in statements:
                await tx.execute(statement)
            return int(await tx.value(FIRST))

    number = apart(lambda: run(PROMISE, SLIP, MADE))
    yield number
    apart(lambda: run("DELETE FROM promise_slip", "UPDATE routing_decision SET promise = NULL"))


LOOKS = pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"],
)


@LOOKS
def test_the_list_has_no_barrier_and_nothing_sticks_out(
    visit: Visit, slips: int, language: str, size: dict[str, int], theme: str, request: pytest.FixtureRequest
) -> None:
    page = visit("/promises/slipping", language=language, size=size, theme=theme)
    title = "Promises that slip" if language == "en" else "Promessas em risco"
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    shot(page, f"slipping-{request.node.callspec.id}", whole=False)
    assert violations(page) == []
    assert sideways(page) == 0
    page = visit("/attention", language=language, size=size, theme=theme)
    expect(page.locator("#slips")).to_be_visible()
    shot(page, f"attention-{request.node.callspec.id}", whole=False)
    assert violations(page) == []


@LOOKS
def test_an_order_says_why_it_has_its_date(
    visit: Visit, slips: int, language: str, size: dict[str, int], theme: str, request: pytest.FixtureRequest
) -> None:
    page = visit(f"/orders/{slips}", language=language, size=size, theme=theme)
    panel = page.locator("section[aria-labelledby=why-date-h]")
    expect(panel.locator("tbody tr")).to_have_count(2)
    panel.scroll_into_view_if_needed()
    shot(page, f"why-date-{request.node.callspec.id}", whole=False)
    assert violations(page) == []
    assert sideways(page) == 0


def test_a_view_narrows_the_list_and_chosen_orders_are_promised_anew(visit: Visit, slips: int) -> None:
    page = visit("/promises/slipping", language="en")
    rows = page.locator("tbody tr")
    before = rows.count()
    assert before >= 3
    page.get_by_role("link", name="The carrier takes longer").click()
    expect(rows).not_to_have_count(before)
    expect(rows.first).to_contain_text("The carrier takes longer")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Promise the new day").click()
    page.get_by_role("dialog").get_by_role("button", name="Promise and tell").click()
    # The text of the page speaks of promising anew before anything was: what was done is told beside it.
    expect(page.locator("#toasts")).to_contain_text("promised anew")
    expect(page.get_by_role("heading", level=1)).to_have_text("Promises that slip")


def test_a_page_without_slips_says_so(visit: Visit, slips: int) -> None:
    page = visit("/promises/slipping?reason=capacity", language="en")
    expect(page.get_by_text("Every promise can be kept")).to_be_visible()
    assert violations(page) == []
