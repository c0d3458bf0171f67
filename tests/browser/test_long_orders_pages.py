"""Long words and long orders: no name, note or code is wider than a phone, and of many lines or tags one finds the one that counts."""

from collections.abc import Callable, Iterator
from urllib.parse import urljoin

import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, shot, sideways

Visit = Callable[..., Page]
WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
CODE = "W" * 40
MAKE = f"""
WITH p AS (INSERT INTO malha.product (code, name) VALUES ('{CODE}', '{WORD}') RETURNING id)
INSERT INTO malha.variant (product_id, sku, name, price, weight_grams)
SELECT id, '{CODE}', '{WORD}', 1, 1 FROM p
"""
UNMAKE = f"""
DELETE FROM malha.variant WHERE sku = '{CODE}';
DELETE FROM malha.product WHERE code = '{CODE}';
DELETE FROM malha.order_tag WHERE length(tag) = 60;
UPDATE malha.order_hold SET detail = detail - 'word' WHERE detail ? 'word'
"""
SAY = f"""
UPDATE malha.order_hold SET detail = detail || '{{"note": "{WORD}", "word": true}}'
WHERE order_id = (SELECT order_id FROM malha.order_hold WHERE kind = 'manual' AND resolved_at IS NULL LIMIT 1)
RETURNING order_id
"""
TAG = """
INSERT INTO malha.order_tag (key, placed_at, order_id, tag)
SELECT repeat('w', 58) || to_char(n, 'FM00'), o.placed_at, o.id, repeat('W', 58) || to_char(n, 'FM00')
FROM malha.sales_order o, generate_series(1, 12) n WHERE o.id = %s
RETURNING (SELECT number FROM malha.sales_order s WHERE s.id = order_id)
"""


@pytest.fixture
def order(seeded: str) -> Iterator[int]:
    """An order on hold with a long word and twelve long tags, and a product that is called by one."""
    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute(UNMAKE)
        connection.execute(MAKE)
        said = connection.execute(SAY).fetchone()
        assert said
        number = connection.execute(TAG, said).fetchone()
        assert number
        yield int(number[0])
        connection.execute(UNMAKE)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_the_longest_words_stay_within_the_screen(visit: Visit, order: int, size: dict[str, int]) -> None:
    paths = [f"/orders/{order}", f"/products/{CODE}", f"/products/{CODE}/edit", f"/stock/{CODE}"]
    page = visit(paths[0], size=size)
    wide = {}
    for path in paths:
        page.goto(urljoin(page.url, path))
        expect(page.locator("#content h1")).to_be_visible()
        shot(page, f"long-{path.split('/')[1]}-{size['width']}")
        if sideways(page):
            wide[path] = sideways(page)
    assert wide == {}


def test_of_many_tags_some_are_shown_and_the_others_are_a_click_away(visit: Visit, order: int) -> None:
    page = visit(f"/orders/{order}", size=NARROW, language="en")
    tags = page.locator(".m-order-tags a")
    expect(tags.locator("visible=true")).to_have_count(8)
    page.get_by_text("4 more tags").click()
    expect(tags.locator("visible=true")).to_have_count(12)


def test_of_an_order_of_many_lines_one_unit_is_soon_cancelled(visit: Visit, seeded: str) -> None:
    with psycopg.connect(seeded) as connection:
        found = connection.execute(
            "SELECT number FROM malha.sales_order o WHERE status = 'allocated' "
            "AND (SELECT count(*) FROM malha.order_line l WHERE l.order_id = o.id) > 2 LIMIT 1"
        ).fetchone()
    assert found
    page = visit(f"/orders/{found[0]}", language="en", size=NARROW)
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Cancel order").click()
    dialog = page.get_by_role("dialog")
    fields = dialog.locator("input[type=number]")
    assert fields.count() > 2
    dialog.get_by_role("button", name="None yet").click()
    for field in fields.all():
        expect(field).to_have_value("0")
    expect(dialog.locator("#cancel-effect")).not_to_contain_text("Units cancelled")
    dialog.get_by_role("button", name="All units").click()
    for field in fields.all():
        expect(field).to_have_value(field.get_attribute("max") or "")
    expect(dialog.locator("#cancel-effect")).to_contain_text("Units cancelled")
    expect(dialog.get_by_role("button", name="Cancel these units")).to_be_in_viewport()


BEYOND = """(one, home) => {
    const text = document.createRange(), box = one.closest(home).getBoundingClientRect();
    text.selectNodeContents(one);
    return Math.max(0, text.getBoundingClientRect().right - box.right + 8, box.left - text.getBoundingClientRect().left);
}"""


def test_millions_stay_within_their_column_and_their_panel(visit: Visit) -> None:
    page = visit("/orders?view=all", size=WIDE)
    total = page.locator(".m-orders .m-col-total").first
    total.evaluate("one => { one.textContent = 'R$\\u00a09.999.999,99'; }")
    assert total.evaluate(BEYOND, "td") == 0
    number = page.locator("[data-rows] > tr").first.get_attribute("data-number")
    page.goto(urljoin(page.url, f"/orders/{number}"))
    line = page.locator(".m-linetotal").first
    line.evaluate(
        "one => { one.firstChild.data = 'R$\\u00a09.999.999,99'; one.lastChild.textContent = '1 × R$\\u00a09.999.999,99'; }"
    )
    assert line.evaluate(BEYOND, ".m-panel") == 0
