"""The page of kept and broken promises: shares, the weeks as bars and as a table, filters, and no barrier in any look."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.platform.db import Database

from .conftest import NARROW, SHOTS, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
# Promises of six weeks by the orders that are there: every seventh came late, every 31st has not come.
FILL = """
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                             placed_at, promised_at, shipped_at, delivered_at, present_at, foretold, said)
SELECT gen_random_uuid(), o.id, o.channel_id, l.id, 'ship', s.id, l.state,
       (ARRAY['SP', 'PE', 'RJ', 'BA', 'CE', 'MG', 'AM'])[1 + mod(n, 7)], d.at - interval '5 days', d.at,
       d.at - interval '4 days',
       CASE WHEN mod(n, 31) > 0 THEN d.at + interval '1 hour' * CASE WHEN mod(n * n + n / 60, 9) = 0 THEN 40 ELSE -30 END END,
       CASE WHEN mod(n, 62) = 0 THEN d.at + interval '2 days' END, 0.91, 0.9
FROM generate_series(1, 400) n
CROSS JOIN LATERAL (SELECT now() - interval '1 hour' * (1 + n * 2.4) AS at) d
JOIN (SELECT id, channel_id, row_number() OVER (ORDER BY id) AS r, count(*) OVER () AS many FROM sales_order) o
    ON o.r = 1 + mod(n, o.many)
JOIN (SELECT id, state, row_number() OVER (ORDER BY id) AS r, count(*) OVER () AS many FROM location) l
    ON l.r = 1 + mod(n, l.many)
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS r, count(*) OVER () AS many FROM service WHERE method = 'ship') s
    ON s.r = 1 + mod(n, s.many)
"""


LEARNED = """
INSERT INTO promise_days_version (outcomes, level, worth, in_force, since)
VALUES (2841, 0.934, 20, true, now() - interval '11 days')
"""


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        shot(page, name, whole=False)
        page.locator("#by-2-h").scroll_into_view_if_needed()
        shot(page, f"{name}-groups", whole=False)
        page.locator("#broken-h").evaluate("at => at.scrollIntoView()")
        shot(page, f"{name}-broken", whole=False)


@pytest.fixture
def due(seeded: str) -> Iterator[None]:
    """Promises that came due; taken away afterwards."""

    async def run(statement: str) -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute(statement)

    apart(lambda: run(FILL))
    apart(lambda: run(LEARNED))
    yield
    apart(lambda: run("DELETE FROM promise_days_version"))
    apart(lambda: run("DELETE FROM promise_outcome WHERE work_id NOT IN (SELECT id FROM fulfillment_order)"))


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"],
)
def test_the_page_has_no_barrier_and_nothing_sticks_out(
    visit: Visit, due: None, language: str, size: dict[str, int], theme: str, request: pytest.FixtureRequest
) -> None:
    page = visit("/promises?weeks=13", language=language, size=size, theme=theme)
    expect(page.get_by_role("heading", level=1)).to_have_text("Promises" if language == "en" else "Promessas")
    shoot(page, f"promises-{request.node.callspec.id}")
    assert violations(page) == []
    assert sideways(page) == 0


def test_the_weeks_are_there_as_a_table_and_a_filter_narrows_every_figure(visit: Visit, due: None) -> None:
    page = visit("/promises?weeks=13", language="en")
    weeks = page.get_by_role("region", name="Kept by week, %, as a table")
    expect(weeks).to_be_hidden()
    page.get_by_text("Show as a table").click()
    expect(weeks.get_by_role("row")).not_to_have_count(1)
    before = page.locator(".m-kpi-value").first.text_content()
    page.locator("select[name=state]").select_option("AM")
    expect(page.get_by_role("link", name="Clear filters")).to_be_visible()
    assert "state=AM" in page.url
    states = page.get_by_role("region", name="By destination, as a table").get_by_role("row")
    expect(states).to_have_count(2)  # with its heading
    assert page.locator(".m-kpi-value").first.text_content() != before


def test_nothing_that_came_due_is_said_so(visit: Visit) -> None:
    page = visit("/promises?state=TO", language="en")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    assert violations(page) == []


def test_learned_dates_are_turned_off_after_a_question_and_on_again(visit: Visit, due: None) -> None:
    page = visit("/promises", language="en")
    panel = page.get_by_role("region", name="Learned dates")
    expect(panel).to_contain_text("In force")
    expect(panel).to_contain_text("by costs: a broken promise is worth 20 days longer")
    panel.get_by_role("button", name="Turn off").click()
    dialog = page.get_by_role("dialog", name="Turn learned dates off?")
    expect(dialog).to_contain_text("What was promised stays promised.")
    assert violations(page) == []
    dialog.get_by_role("button", name="Turn off").click()
    expect(panel).to_contain_text("A person turned learned dates off.")
    panel.get_by_role("button", name="Turn on").click()
    expect(panel).not_to_contain_text("A person turned learned dates off.")


def test_what_the_learned_dates_offer_does_not_touch_the_edge_of_their_panel(visit: Visit) -> None:
    page = visit("/promises", size=NARROW)
    room = page.locator("section[aria-labelledby=learned-h]").evaluate(
        "panel => panel.getBoundingClientRect().bottom"
        " - Math.max(...[...panel.querySelectorAll('p, dd, .m-btn')].map(at => at.getBoundingClientRect().bottom))"
    )
    assert room >= 8
