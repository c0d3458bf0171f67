"""Scanning as it is on a shop floor: nobody looks at the screen, codes are wrong, phones lose their page."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from malha.inventory import service as stock
from malha.inventory.counts import service as counts
from malha.inventory.counts.model import CountDraft
from malha.inventory.model import Claim, Reference
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id

from . import seeding
from .conftest import NARROW, apart, patient, shot, stand_in, violations
from .test_goods_moving import scan

Visit = Callable[..., Page]
PLACE = "NAT-01"
GTINS = ["7896004000015", "7896004000022", "7896004000039"]
# Not of the SKU that nobody has: other tests of this shop rest on that.
BARCODES = """
UPDATE variant SET gtin = (%(gtins)s::text[])[n.at]
FROM (SELECT id, row_number() OVER (ORDER BY sku DESC) AS at FROM variant
      WHERE NOT is_kit AND sku <> %(rare)s::text) n
WHERE n.id = variant.id AND n.at <= 3 RETURNING n.at, variant.id, variant.sku
"""


@pytest.fixture(scope="module")
def shelf(seeded: str) -> list[tuple[int, str, str]]:
    """Three SKUs with barcodes and stock at a place: id, SKU, GTIN."""

    async def fill() -> list[tuple[int, str, str]]:
        async with Database(seeded) as db, db.transaction() as tx:
            place = await tx.value("SELECT id FROM location WHERE code = %(code)s", {"code": PLACE})
            goods = sorted(await tx.tuples(BARCODES, {"gtins": GTINS, "rare": seeding.RARE[0]}))
            await stock.set_on_hand(tx, [Claim(id_, place, 30) for _at, id_, _sku in goods], Reference("test"))
            return [(id_, sku, GTINS[at - 1]) for at, id_, sku in goods]

    found: list[tuple[int, str, str]] = apart(fill)
    return found


@pytest.fixture
def count(seeded: str, shelf: list[tuple[int, str, str]]) -> int:
    """A count of the first two SKUs."""

    async def begin() -> int:
        async with Database(seeded) as db, db.transaction(Actor("person", str(new_id()), "Ana")) as tx:
            place = await tx.value("SELECT id FROM location WHERE code = %(code)s", {"code": PLACE})
            return await counts.raise_count(tx, CountDraft(location_id=place, skus=[id_ for id_, _, _ in shelf[:2]]))

    number: int = apart(begin)
    return number


def tally(page: Page, sku: str) -> Any:
    return page.locator(".m-count-list li", has_text=sku).locator("b")


def test_units_that_are_typed_are_of_one_scan_and_not_of_the_next(
    visit: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = visit(f"/counts/{count}/count", size=NARROW)
    page.locator("#quantity").fill("12")
    page.locator("#code").focus()
    scan(page, shelf[0][2])
    scan(page, shelf[1][2])
    expect(tally(page, shelf[0][1])).to_have_text("12")
    expect(tally(page, shelf[1][1])).to_have_text("1")
    page.locator("#code").fill(shelf[1][2])
    page.locator("#quantity").fill("4")
    page.get_by_role("button", name="Incluir").click()
    expect(tally(page, shelf[1][1])).to_have_text("5")
    expect(page.locator("#quantity")).to_have_value("1")
    expect(page.locator("#code")).to_have_value("")


def test_a_code_that_was_not_taken_stays_to_be_seen_while_scanning_goes_on(
    visit: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = visit(f"/counts/{count}/count", size=NARROW)
    for code in (shelf[0][2], "7899999999990", shelf[0][2]):
        scan(page, code)
    expect(tally(page, shelf[0][1])).to_have_text("2")
    expect(page.locator("[data-missed]")).to_contain_text("Não registrado: 7899999999990")
    expect(page.locator("#scan-slot")).to_be_empty()  # what was refused before is not said of what was taken since
    assert not violations(page)
    shot(page, "count-missed-narrow")
    page.get_by_role("button", name="Entendi").click()
    expect(page.locator("[data-missed]")).to_be_hidden()
    expect(page.locator("#code")).to_be_focused()


@pytest.fixture
def unwatched(visit: Visit, browser: Any, address: str, session_cookies: list[Any]) -> Any:
    """Open a page whose network fails: what the browser says of that is no fault."""
    contexts = []

    def open_(path: str) -> Page:
        context = browser.new_context(viewport=NARROW, has_touch=True)
        contexts.append(context)
        context.add_cookies([*session_cookies, {"name": "malha_language", "value": "pt-BR", "url": address}])
        page: Page = context.new_page()
        page.goto(address + path)
        return page

    yield open_
    for context in contexts:
        context.close()


def answer_lost(route: Route) -> None:
    """Let the server do it, and lose what it answers."""
    route.fetch()
    route.abort()


def test_a_scan_whose_answer_was_lost_is_noted_once(
    unwatched: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = unwatched(f"/counts/{count}/count")
    stand_in(page, "**/scan", answer_lost, times=1)
    scan(page, shelf[0][2])
    expect(page.locator("[data-unsent]")).to_contain_text(shelf[0][2])
    expect(page.locator("[data-missed]")).to_be_hidden()  # who reads that it was not noted scans it again
    expect(tally(page, shelf[0][1])).to_have_text("1")
    expect(page.locator("[data-unsent]")).to_be_hidden()
    scan(page, shelf[0][2])
    expect(tally(page, shelf[0][1])).to_have_text("2")


def test_what_is_added_by_the_button_again_since_no_answer_came_is_added_once(
    unwatched: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = unwatched(f"/counts/{count}/count")
    stand_in(page, "**/scan", answer_lost, times=1)
    page.locator("#code").fill(shelf[0][2])
    page.locator("#quantity").fill("7")
    page.get_by_role("button", name="Incluir").click()
    expect(page.locator("#scan-slot")).to_contain_text("O servidor não responde")
    page.get_by_role("button", name="Incluir").click()
    expect(tally(page, shelf[0][1])).to_have_text("7")
    page.locator("#code").fill(shelf[0][2])
    page.locator("#quantity").fill("7")
    page.get_by_role("button", name="Incluir").click()
    expect(tally(page, shelf[0][1])).to_have_text("14")  # said anew, it is more


def test_scans_without_a_network_outlive_the_page_and_are_part_of_what_is_done(
    unwatched: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = unwatched(f"/counts/{count}/count")
    scan(page, shelf[0][2])
    expect(tally(page, shelf[0][1])).to_have_text("1")
    stand_in(page, "**/scan", lambda route: route.abort())
    for code in (shelf[0][2], shelf[1][2], shelf[0][2]):
        scan(page, code)
    expect(page.locator("[data-unsent-codes]")).to_have_text(f"{shelf[0][2]}, {shelf[1][2]}, {shelf[0][2]}")
    assert not violations(page)
    shot(page, "count-unsent-narrow")
    page.get_by_role("button", name="Pronto").click()
    expect(page.locator("#toasts")).not_to_contain_text("contado")  # not without what is still on its way
    page.reload()
    expect(page.locator("[data-unsent]")).to_be_visible()
    page.unroute("**/scan")
    expect(tally(page, shelf[0][1])).to_have_text("3")
    expect(tally(page, shelf[1][1])).to_have_text("1")
    expect(page.locator("[data-unsent]")).to_be_hidden()


def test_who_is_done_while_scans_are_on_their_way_has_counted_them(
    unwatched: Visit, count: int, shelf: list[tuple[int, str, str]], seeded: str
) -> None:
    page = unwatched(f"/counts/{count}/count")
    scan(page, shelf[0][2])
    expect(tally(page, shelf[0][1])).to_have_text("1")

    def slowly(route: Route) -> None:
        page.wait_for_timeout(700)
        route.continue_()

    stand_in(page, "**/scan", slowly)
    scan(page, shelf[0][2])
    scan(page, shelf[0][2])
    page.get_by_role("button", name="Pronto").click()
    expect(page.locator("#toasts")).to_contain_text("1 SKU contado")
    with patient(seeded) as connection:
        counted = connection.execute(
            "SELECT e.counted - e.set_aside FROM count_entry e JOIN count_task t ON t.id = e.task_id WHERE t.number = %s",
            (count,),
        ).fetchall()
    assert counted == [(3,)]


def test_who_takes_a_wrong_scan_away_has_not_counted_that_none_is_there(
    visit: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = visit(f"/counts/{count}/count", size=NARROW)
    scan(page, shelf[0][2])
    expect(tally(page, shelf[0][1])).to_have_text("1")
    page.locator("#code").fill(shelf[0][2])
    page.get_by_role("button", name="Tirar").click()
    expect(tally(page, shelf[0][1])).to_have_count(0)
    expect(page.locator(".m-count-wait li", has_text=shelf[0][1])).to_be_visible()  # to be counted still
    page.locator("#quantity").fill("-3")
    page.locator("#code").fill(shelf[0][2])
    page.locator("#code").press("Enter")
    expect(page.locator("#scan-slot")).to_contain_text("número inteiro, 0 ou mais")
    expect(tally(page, shelf[0][1])).to_have_count(0)


def test_a_sku_is_found_as_a_phone_writes_it_and_a_gtin_with_other_zeros(
    visit: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = visit(f"/counts/{count}/count", size=NARROW)
    scan(page, shelf[0][1].lower())
    scan(page, "0" + shelf[0][2])
    expect(tally(page, shelf[0][1])).to_have_text("2")


def test_done_twice_in_a_row_tells_what_was_counted(
    visit: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    page = visit(f"/counts/{count}/count", size=NARROW)
    scan(page, shelf[0][2])
    page.get_by_role("button", name="Pronto").dblclick()
    expect(page.locator("#toasts")).to_contain_text("1 SKU contado")
    expect(page.locator("#toasts")).not_to_contain_text("0 SKU contado")


def test_what_was_scanned_of_a_delivery_outlives_the_page(visit: Visit, shelf: list[tuple[int, str, str]]) -> None:
    page = visit("/receive", size=NARROW)
    for code in (shelf[0][2], shelf[0][2], "7899999999990", shelf[2][2]):
        scan(page, code)
    first, third = (page.locator(f"[data-codes~='{shelf[at][2]}'] input[name$='/sellable']") for at in (0, 2))
    expect(third).to_have_value("1")
    expect(page.locator("[data-missed]")).to_contain_text("7899999999990")
    page.get_by_role("textbox", name="Documento").fill("NF 881")
    receipt = page.locator("input[name=id]").input_value()
    page.reload()
    expect(third).to_have_value("1")
    expect(first).to_have_value("2")
    expect(page.get_by_role("textbox", name="Documento")).to_have_value("NF 881")
    assert page.locator("input[name=id]").input_value() == receipt  # twice would be a repetition
    page.get_by_label("Local").select_option(PLACE)
    page.locator("#scan").fill("78960040")
    page.get_by_role("button", name="Receber mercadoria").click()
    expect(page.locator("[data-scan-says]")).to_contain_text("78960040 ainda não foi registrado")
    page.locator("#scan").fill("")
    page.get_by_role("button", name="Receber mercadoria").click()
    expect(page.locator("#toasts")).to_contain_text("Mercadoria recebida")
    page.goto(page.url.split("/receipts")[0] + "/receive")
    expect(page.locator("[data-scan-rows] tr")).to_have_count(0)
    assert page.locator("input[name=id]").input_value() != receipt


OPEN_WORK = """
SELECT o.number, v.sku, v.id, n.units FROM fulfillment_order f JOIN sales_order o ON o.id = f.order_id
JOIN LATERAL (SELECT u.sku_id, sum(u.quantity) AS units, count(*) OVER () AS skus FROM order_unit u
              WHERE u.fulfillment_id = f.id AND u.state IN ('released', 'picking') GROUP BY u.sku_id) n ON true
JOIN variant v ON v.id = n.sku_id
WHERE f.state IN ('accepted', 'picking', 'open') ORDER BY f.state, n.skus, f.number LIMIT 1
"""
ACCEPTED = (
    "UPDATE fulfillment_order SET state = 'accepted' WHERE order_id = (SELECT id FROM sales_order WHERE number = %(n)s)"
)


def test_what_is_picked_is_what_was_scanned_and_a_wrong_item_is_told(visit: Visit, seeded: str) -> None:
    async def work() -> tuple[int, str, int]:
        async with Database(seeded) as db, db.transaction() as tx:
            number, sku, id_, units = (await tx.tuples(OPEN_WORK))[0]
            await tx.execute("UPDATE variant SET gtin = '7896004000992' WHERE id = %(id)s", {"id": id_})
            await tx.execute(ACCEPTED, {"n": number})
            return number, sku, int(units)

    number, sku, units = apart(work)
    page = visit(f"/orders/{number}", size=NARROW)
    page.get_by_role("button", name="Confirmar separação").first.click()
    dialog = page.locator("dialog[open]")
    says, field = dialog.locator("[data-pick-says]"), dialog.locator(f"li[data-codes~='{sku}'] input").first
    expect(dialog.locator("[data-pick-code]")).to_be_focused()
    scan(page, "7899999999990")
    expect(says).to_contain_text("7899999999990 não faz parte deste trabalho")
    expect(field).not_to_have_value("0")  # nothing is counted by a wrong item
    scan(page, "7896004000992")
    expect(field).to_have_value("1")
    for _ in range(units):
        scan(page, sku.lower())
    expect(says).to_contain_text("já foram bipadas")  # one too many
    assert not violations(page)
    page.reload()
    page.get_by_role("button", name="Confirmar separação").first.click()
    expect(dialog.locator("[data-pick-says]")).to_contain_text("continua aqui")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


LONG = "Cortina de linho Percal Terracota, forro blecaute / 2,6 m"
CUT = """(where) => {
    const names = [...document.querySelectorAll(where)];
    for (const name of names) name.textContent = 'LONG';
    return names.filter(one => one.scrollWidth > one.clientWidth).length + (names.length ? 0 : 1);
}""".replace("LONG", LONG)


def test_goods_that_are_counted_or_received_are_named_in_full_on_a_phone(
    visit: Visit, count: int, shelf: list[tuple[int, str, str]]
) -> None:
    """Two sizes of one curtain differ in the last word of their names."""
    page = visit(f"/counts/{count}/count", size=NARROW)
    assert page.evaluate(CUT, ".m-count-list .m-cell > span") == 0
    page.goto(page.url.replace(f"counts/{count}/count", "receive"))
    scan(page, shelf[0][2])
    name = page.locator("[data-scan-rows] th .m-cell > span")
    expect(name).to_have_count(1)
    assert page.evaluate(CUT, "[data-scan-rows] th .m-cell > span") == 0
    row = page.locator("[data-scan-rows] tr").bounding_box()
    first = page.locator("[data-scan-rows] .m-qty").first.bounding_box()
    at = name.bounding_box()
    assert at is not None
    assert first is not None
    assert row is not None
    assert at["x"] == first["x"], "the name stands where its fields begin"


def test_a_field_that_a_phone_is_typed_into_does_not_enlarge_the_page(visit: Visit) -> None:
    """An iPhone enlarges the page for each field whose letters are smaller than 16 px, and leaves it so."""
    page = visit("/receive", size=NARROW)
    small = """() => [...document.querySelectorAll('input:not([type=hidden], [type=checkbox], [type=radio]), select, textarea')]
        .filter(one => parseFloat(getComputedStyle(one).fontSize) < 16).map(one => one.outerHTML)"""
    assert page.locator("#content select").count() > 0
    assert page.evaluate(small) == []


BEHIND = """() => {
    const one = document.activeElement;
    if (!one.closest('form[method=post]') || one.closest('.m-form-foot, .m-top, .m-side') || one.type === 'file') return '';
    const box = one.getBoundingClientRect(); // a field of many lines may be higher than what is left: where it begins is seen
    const at = document.elementFromPoint(box.x + box.width / 2, one.matches('textarea') ? box.y + 12 : box.bottom - 3);
    return at && (one.contains(at) || at.contains(one)) ? '' : one.name || one.id;
}"""


@pytest.mark.parametrize("path", ["/receive", "/counts:new", "/transfers:new"])
def test_a_field_that_is_entered_stands_above_the_foot_beside_the_keys_of_a_phone(
    visit: Visit, path: str, shelf: list[tuple[int, str, str]]
) -> None:
    page = visit(path, size={"width": 390, "height": 480})
    if path == "/receive":
        for at in range(3):
            scan(page, shelf[at][1])  # tests before gave one of them another GTIN
        expect(page.locator("[data-scan-rows] tr")).to_have_count(3)
    page.locator("#content form[method=post] :is(input:not([type=hidden]), select)").first.focus()
    behind = []
    for _ in range(24):
        page.keyboard.press("Tab")
        behind.append(page.evaluate(BEHIND))
    assert [name for name in behind if name] == []
