"""Picking slots on the pages: how full and how far they are, the board by slot, and the slot of an order's work."""

from collections.abc import Callable, Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.capacity import service
from malha.capacity.model import Kind, Measure, Template
from malha.network import reads as network
from malha.platform.db import Tx

from .conftest import shot, sideways, violations, walk
from .test_capacity_pages import LOOKS, clear, within

Visit = Callable[..., Page]
SPANS = ((time(0), time(23, 58), 6), (time(23, 58), time(23, 59), 4))
# Whose open work is to be picked, where there is most of it.
BUSIEST = """
SELECT l.code FROM fulfillment_order f JOIN location l ON l.id = f.location_id
WHERE f.state IN ('open', 'accepted', 'picking') AND l.site_id IS NULL AND l.status = 'active'
GROUP BY l.code ORDER BY count(*) DESC, l.code LIMIT 1
"""
OPEN = """
SELECT f.id, f.capacity_day, o.number FROM fulfillment_order f JOIN sales_order o ON o.id = f.order_id
WHERE f.location_id = %(place)s AND f.state IN ('open', 'accepted', 'picking') ORDER BY f.due_at, f.number LIMIT 5
"""
SEAT = """
UPDATE fulfillment_order SET capacity_day = %(day)s, slot_location_id = %(place)s, slot_starts = %(starts)s,
       slot_ends = %(ends)s
WHERE id = %(id)s
"""
COUNT = """
INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest, confirmed, units)
SELECT %(place)s, 'pick', %(day)s, %(starts)s, %(ends)s, %(quota)s, %(quota)s, %(confirmed)s,
       coalesce((SELECT sum(units) FROM fulfillment_order
                 WHERE slot_location_id = %(place)s AND capacity_day = %(day)s AND slot_starts = %(starts)s), 0)
"""
# With those of work that is in no slot of the day: it fills the first.
UNITS = """
SELECT sum(units)::int FROM fulfillment_order
WHERE location_id = %(place)s AND capacity_day = %(day)s
  AND (slot_starts = %(starts)s OR slot_starts IS NULL AND state NOT IN ('closed', 'rejected', 'cancelled'))
"""


@pytest.fixture
def picking(seeded: str) -> Iterator[dict[str, Any]]:
    """A location with two picking slots a day; what it is to pick is in those of today, and taken out afterwards."""

    async def fill(tx: Tx) -> dict[str, Any]:
        code = await tx.value(BUSIEST)
        place = await network.location_by_code(tx, code)
        assert place is not None
        week = [Template(d, starts, ends, quota) for d in range(1, 8) for starts, ends, quota in SPANS]
        await service.set_templates(tx, place, {Kind.PICK: week})
        today = service.today_at(place, await tx.now())
        work = await tx.tuples(OPEN, {"place": place.id})
        there = dict(zip(SPANS, (work[:-1], work[-1:]), strict=True))
        for (starts, ends, quota), mine in there.items():
            slot = {"place": place.id, "day": today, "starts": starts, "ends": ends}
            for id_, _day, _number in mine:
                await tx.execute(SEAT, slot | {"id": id_})
            await tx.execute(COUNT, slot | {"quota": quota, "confirmed": len(mine)})
        return {"code": code, "name": place.name, "today": today, "work": work}

    made = within(seeded, fill)
    yield made

    async def empty(tx: Tx) -> None:
        for id_, day, _number in made["work"]:
            none = {"place": None, "starts": None, "ends": None}
            await tx.execute(SEAT, none | {"id": id_, "day": day})
        await clear(tx)

    within(seeded, empty)


@pytest.fixture
def in_units(seeded: str, picking: dict[str, Any]) -> dict[str, Any]:
    """The same location, whose slots count units."""

    async def restate(tx: Tx) -> dict[str, Any]:
        place = await network.location_by_code(tx, picking["code"])
        assert place is not None
        week = [Template(d, starts, ends, 8 * quota) for d in range(1, 8) for starts, ends, quota in SPANS]
        await service.set_templates(tx, place, {Kind.PICK: week}, measure=Measure.UNITS)
        first = {"place": place.id, "day": picking["today"], "starts": SPANS[0][0]}
        return picking | {"taken": await tx.value(UNITS, first)}

    made: dict[str, Any] = within(seeded, restate)
    return made


@LOOKS
def test_pages_of_slots_that_count_units_have_no_barrier_and_nothing_sticks_out(
    visit: Visit, in_units: dict[str, Any], language: str, size: dict[str, int], theme: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    look = request.node.callspec.id
    pages = {
        "units-capacity": "/capacity?kind=pick",
        "units-edit": f"/capacity/{in_units['code']}/edit?kind=pick",
        "units-several": "/capacity:several?kind=pick",
        "units-location": f"/locations/{in_units['code']}",
        "units-order": f"/orders/{in_units['work'][0][2]}",
    }
    walked = walk(visit, pages.values(), language=language, size=size, theme=theme)
    for name, (path, page) in zip(pages, walked, strict=True):
        shot(page, f"{name}-{look}")
        assert violations(page) == [], path
        assert sideways(page) == 0, path


def test_a_location_is_told_to_count_units_and_its_slots_say_so(visit: Visit, in_units: dict[str, Any]) -> None:
    page = visit("/capacity?kind=pick", language="en")
    bars = page.locator(".m-loads li").first
    expect(bars).to_contain_text(f"{in_units['taken']} of 48 units")
    expect(bars.locator(".m-sr")).to_contain_text(f"{in_units['taken']} of 48 units taken")
    page = visit(f"/capacity/{in_units['code']}/edit?kind=pick", language="en")
    expect(page.get_by_label("Picking slots count")).to_have_value("units")
    page.get_by_label("Picking slots count").select_option("orders")
    page.get_by_role("button", name="Save slots").click()
    expect(page.get_by_text("Slots saved")).to_be_visible()
    expect(page.get_by_label("Picking slots count")).to_have_value("orders")
    page = visit("/capacity?kind=pick", language="en")
    expect(page.locator(".m-loads li").first).to_contain_text(f"{len(in_units['work']) - 1} to pick")


def test_what_slots_count_leaves_and_comes_back_with_them_as_a_file(
    visit: Visit, in_units: dict[str, Any], tmp_path: Path
) -> None:
    page = visit("/capacity?kind=pick", language="en")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Slots to import again (CSV)").click()
    kept = tmp_path / "slots.csv"
    download.value.save_as(kept)
    text = kept.read_text(encoding="utf-8-sig")
    assert text.splitlines()[0].rstrip().endswith("measure")
    assert text.count("units") == 14
    mixed = tmp_path / "mixed.csv"
    mixed.write_text(text.replace("units", "orders", 1), encoding="utf-8")
    orders = tmp_path / "orders.csv"
    orders.write_text(text.replace("units", "orders"), encoding="utf-8")
    for file, says in ((mixed, "count orders or units"), (orders, "Slots of 1 location saved")):
        page.get_by_role("button", name="Import slots").click()
        page.locator("#import-file").set_input_files(file)
        page.get_by_role("dialog").get_by_role("button", name="Import slots").click()
        expect(page.get_by_text(says)).to_be_visible()
        if file == mixed:
            page.get_by_role("dialog").get_by_role("button", name="Back").click()
    page = visit(f"/capacity/{in_units['code']}/edit?kind=pick", language="en")
    expect(page.get_by_label("Picking slots count")).to_have_value("orders")


@LOOKS
def test_the_pages_have_no_barrier_and_nothing_sticks_out(
    visit: Visit, picking: dict[str, Any], language: str, size: dict[str, int], theme: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    look = request.node.callspec.id
    pages = {
        "picking-capacity": "/capacity?kind=pick",
        "picking-location": f"/locations/{picking['code']}",
        "picking-board": f"/fulfillment?location={picking['code']}",
        "picking-order": f"/orders/{picking['work'][0][2]}",
    }
    walked = walk(visit, pages.values(), language=language, size=size, theme=theme)
    for name, (path, page) in zip(pages, walked, strict=True):
        shot(page, f"{name}-{look}")
        assert violations(page) == [], path
        assert sideways(page) == 0, path


def test_a_slot_of_today_says_what_is_picked_and_leads_to_its_work_on_the_board(
    visit: Visit, picking: dict[str, Any]
) -> None:
    page = visit("/capacity?kind=pick", language="en")
    bars = page.locator(".m-loads li").first
    first = len(picking["work"]) - 1
    expect(bars).to_contain_text(f"{first} to pick")
    expect(bars.locator(".m-sr")).to_contain_text(f"6 of 6 taken, {6 - first} orders picked")
    bars.get_by_role("link").click()
    expect(page).to_have_url(f"{page.url.split('/fulfillment')[0]}/fulfillment?location={picking['code']}&slot="
                             f"{picking['today'].isoformat()}T00:00")  # fmt: skip
    expect(page.locator("a.m-card")).to_have_count(first)
    expect(page.locator("a.m-card").first).to_contain_text("Slot 00:00")
    page.get_by_label("Picking slot").select_option(f"{picking['today'].isoformat()}T23:58")
    expect(page.locator("a.m-card")).to_have_count(1)
    page.get_by_label("Picking slot").select_option("")
    expect(page.locator("a.m-card").nth(first)).to_be_visible()


def test_an_order_says_in_which_slot_it_is_picked_and_a_day_without_slots_shows_no_bars(
    visit: Visit, picking: dict[str, Any]
) -> None:
    page = visit(f"/orders/{picking['work'][0][2]}", language="en")
    expect(page.locator(".m-work-facts").filter(has_text="Picking slot").first).to_contain_text("00:00 to 23:58")
    page.goto(page.url.split("/orders")[0] + f"/capacity?kind=pick&week={picking['today'] + timedelta(days=14)}")
    expect(page.locator(".m-loads")).to_have_count(0)
    expect(page.get_by_role("heading", level=2)).to_have_count(1)


def test_chosen_work_of_the_board_moves_to_another_slot(visit: Visit, picking: dict[str, Any]) -> None:
    page = visit(f"/fulfillment?location={picking['code']}", language="en")
    boxes = page.locator("[data-select-row]")
    expect(boxes).to_have_count(len(picking["work"]))
    chosen = min(len(picking["work"]), 4)  # four have a place in the slot
    for n in range(chosen):
        boxes.nth(n).check()
    toolbar = page.get_by_role("toolbar", name="Actions on the selected work")
    expect(toolbar).to_contain_text(f"{chosen} selected")
    toolbar.get_by_role("button", name="Move to another slot").click()
    last = f"{picking['today'] + timedelta(days=6)}T23:58"
    page.get_by_label("Free slots").select_option(last)
    page.get_by_label("Reason").fill("The lorry comes late")
    page.get_by_role("dialog").get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text(f"{chosen} pieces of work moved")).to_be_visible()
    page.get_by_label("Picking slot").select_option(last)
    expect(page.locator("a.m-card")).to_have_count(chosen)


def test_an_order_moves_its_work_to_another_slot_and_its_history_says_why(
    visit: Visit, picking: dict[str, Any]
) -> None:
    page = visit(f"/orders/{picking['work'][0][2]}", language="en")
    page.get_by_role("button", name="Move to another slot").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Free slots").select_option(f"{picking['today'] + timedelta(days=6)}T23:58")
    dialog.get_by_label("Reason").fill("Nobody is there in the morning")
    dialog.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator(".m-work-facts").filter(has_text="Picking slot").first).to_contain_text("23:58 to 23:59")
