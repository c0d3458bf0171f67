"""Tags of orders in a real browser: set on many orders at once, seen in the list and on the order, and narrowing it."""

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, shot, sideways, violations

Visit = Callable[..., Page]
TAG = """
INSERT INTO malha.order_tag (key, placed_at, order_id, tag)
SELECT lower(x.tag), o.placed_at, o.id, x.tag
FROM (SELECT *, row_number() OVER (ORDER BY placed_at DESC, id DESC) AS n FROM malha.sales_order
      WHERE status NOT IN ('delivered', 'cancelled')) o
JOIN (VALUES (1, 'VIP'), (1, 'Presente'), (1, 'Embalagem especial de Natal'), (1, 'Troca'), (2, 'VIP'), (4, 'Troca'))
     AS x (n, tag) ON x.n = o.n
RETURNING order_id
"""


@pytest.fixture
def tagged(seeded: str) -> Iterator[None]:
    """Three open orders with tags; none before and after."""
    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("DELETE FROM malha.order_tag")
        connection.execute(TAG)
        yield
        connection.execute("DELETE FROM malha.order_tag")


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_the_list_and_the_order_show_their_tags_in_both_languages_and_widths(
    visit: Visit, language: str, viewport: dict[str, int]
) -> None:
    page = visit("/orders?view=open", language=language, size=viewport)
    expect(page.locator("[data-row-tags]").first).to_contain_text("Presente")
    assert violations(page) == []
    assert sideways(page) == 0
    shot(page, f"tags-list-{language}-{viewport['width']}", whole=False)
    page.locator("#tag-filter summary").click()
    page.locator("#tag-filter").get_by_label("VIP").check()
    page.locator("#tag-filter").get_by_label("Troca").check()
    assert violations(page) == []
    shot(page, f"tags-choice-{language}-{viewport['width']}", whole=False)
    # A new page: what looked at this one left styles that a swap would copy.
    page.goto(page.url)
    page.locator("#tag-filter summary").click()
    page.locator("#tag-filter").get_by_label("VIP").check()
    page.locator("#tag-filter").get_by_label("Troca").check()
    page.locator("#tag-filter input[type=radio][value=any]").check()
    page.locator("#tag-filter button").click()
    expect(page.locator("[data-select-row]")).to_have_count(3)
    expect(page.locator("#tag-filter summary")).to_contain_text(
        "Troca ou VIP" if language == "pt-BR" else "Troca or VIP"
    )
    assert violations(page) == []
    assert sideways(page) == 0
    shot(page, f"tags-chosen-{language}-{viewport['width']}", whole=False)
    page.goto(page.url.split("?")[0] + "?view=open")
    number = page.locator("[data-select-row]").first.get_attribute("value")
    page.goto(page.url.split("/orders")[0] + f"/orders/{number}")
    expect(page.locator("[data-tags]")).to_contain_text("VIP")
    assert violations(page) == []
    assert sideways(page) == 0
    shot(page, f"tags-order-{language}-{viewport['width']}", whole=False)
    page.locator("[data-open=dlg-tags]").click()
    expect(page.locator("#dlg-tags")).to_be_visible()
    assert violations(page) == []
    shot(page, f"tags-dialog-{language}-{viewport['width']}", whole=False)


@pytest.mark.usefixtures("tagged")
def test_many_orders_are_tagged_and_untagged_at_once_and_the_list_narrows_to_a_tag(visit: Visit) -> None:
    page = visit("/orders?view=open", language="en")
    boxes = page.locator("[data-select-row]")
    numbers = [boxes.nth(i).get_attribute("value") for i in (0, 1, 2)]
    for i in range(3):
        boxes.nth(i).check()
    # All acts are within reach beside the order, in as many rows as they need.
    inside = page.locator("#bulk").bounding_box()
    last = page.get_by_role("toolbar").get_by_role("button", name="Clear selection").bounding_box()
    assert inside is not None
    assert last is not None
    assert last["x"] + last["width"] <= inside["x"] + inside["width"]
    page.get_by_role("toolbar").get_by_role("button", name="Tags").click()
    dialog = page.get_by_role("dialog", name="Tag the selected orders")
    dialog.get_by_label("Add").fill("Urgent, vip")
    dialog.get_by_label("Take away").fill("presente")
    dialog.get_by_role("button", name="Set the tags").click()
    expect(page.locator("#toasts")).to_contain_text("Tags set on 3 orders")
    for number in numbers:
        expect(page.locator(f"#o{number} [data-row-tags]")).to_be_visible()
    page.locator("#tag-filter summary").click()
    page.locator("#tag-filter").get_by_label("Urgent").check()
    page.locator("#tag-filter").get_by_role("button", name="Apply").click()
    expect(page.locator("[data-select-row]")).to_have_count(3)
    expect(page).to_have_url(re.compile("tag=Urgent"))
    page.goto(page.url.split("/orders")[0] + f"/orders/{numbers[0]}")
    expect(page.locator("[data-tags]")).to_contain_text("Urgent")
    expect(page.locator("[data-tags]")).not_to_contain_text("Presente")
    page.get_by_role("button", name="Change tags").click()
    page.locator("#dlg-tags").get_by_label("Urgent").check()
    page.locator("#dlg-tags").get_by_label("Add", exact=True).fill("Later")
    page.locator("#dlg-tags").get_by_role("button", name="Save").click()
    expect(page.locator("[data-tags]")).to_contain_text("Later")
    expect(page.locator("[data-tags]")).not_to_contain_text("Urgent")
    page.locator("[data-tags]").get_by_role("link", name="Later").click()
    expect(page.locator("[data-select-row]")).to_have_count(1)
