"""The pages of capacity: a week as a grid, what a location states, several at once, files, and the slot of an order."""

from collections.abc import Callable, Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.capacity import service
from malha.capacity.model import Key, Kind, Override, Template
from malha.network import reads as network
from malha.ordering import slots
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID, new_id

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
HOURS = ((9, 11, 6), (11, 13, 8), (13, 15, 8), (15, 17, 6), (17, 19, 4))
CLEAR = (
    "DELETE FROM capacity_reservation",
    "DELETE FROM capacity_slot",
    "DELETE FROM capacity_override",
    "DELETE FROM capacity_template",
    "DELETE FROM capacity_plan",
)
# An order that a customer is to fetch, work not begun.
PICKUPS = """
SELECT o.id, o.number, l.code FROM sales_order o JOIN location l ON l.id = o.pickup_location_id
WHERE o.method = 'pickup' AND o.status IN ('allocated', 'picking', 'ready') ORDER BY o.number LIMIT 1
"""
STORES = "SELECT code FROM location WHERE can_pickup AND status = 'active' ORDER BY code LIMIT 3"


def within(seeded: str, work: Callable[[Tx], Any]) -> Any:
    async def run() -> Any:
        async with Database(seeded) as database, database.transaction() as tx:
            return await work(tx)

    return apart(run)


@pytest.fixture
def stated(seeded: str) -> Iterator[dict[str, Any]]:
    """Stores with pickup slots, busy on some days, one lowered below what is reserved; taken away afterwards."""

    async def fill(tx: Tx) -> dict[str, Any]:
        order, number, at = (await tx.tuples(PICKUPS))[0]
        codes = sorted({at, *await tx.values(STORES)})
        week = [Template(d, time(a), time(b), n) for d in range(1, 7) for a, b, n in HOURS]
        for code in codes:
            place = await network.location_by_code(tx, code)
            assert place is not None
            await service.set_templates(tx, place, {Kind.PICKUP: week})
            monday = service.today_at(place, await tx.now()) + timedelta(days=7)
            monday -= timedelta(days=monday.weekday())
            for day in range(5):
                for n, (start, _end, places) in enumerate(HOURS):
                    for _ in range((day * 3 + n * 2) % (places + 1)):
                        key = Key(place.id, "pickup", monday + timedelta(days=day), time(start))
                        await service.book(tx, new_id(), place, key)
            lowered = Override(starts=time(9), ends=time(11), quota=1, reason="Falta de equipe")
            await service.set_overrides(tx, place, {(Kind.PICKUP, monday + timedelta(days=1)): [lowered]})
        return {"order": order, "number": number, "at": at, "codes": codes, "monday": monday}

    within(seeded, clear)
    yield within(seeded, fill)
    within(seeded, clear)


async def clear(tx: Tx) -> None:
    for statement in CLEAR:
        await tx.execute(statement)


LOOKS = pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"],
)


@LOOKS
def test_the_pages_have_no_barrier_and_nothing_sticks_out(
    visit: Visit, stated: dict[str, Any], language: str, size: dict[str, int], theme: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    look = request.node.callspec.id
    pages = {
        "capacity": f"/capacity?week={stated['monday']}",
        "capacity-edit": f"/capacity/{stated['at']}/edit",
        "capacity-several": "/capacity:several",
        "capacity-location": f"/locations/{stated['at']}",
        "capacity-empty": "/capacity?kind=delivery",
        "capacity-order": f"/orders/{stated['number']}",
    }
    walked = walk(visit, pages.values(), language=language, size=size, theme=theme)
    for name, (path, page) in zip(pages, walked, strict=True):
        shot(page, f"{name}-{look}")
        assert violations(page) == [], path
        assert sideways(page) == 0, path


def test_the_week_shows_what_is_taken_and_what_is_full(visit: Visit, stated: dict[str, Any]) -> None:
    page = visit(f"/capacity?week={stated['monday']}&q={stated['at']}", language="en")
    expect(page.get_by_role("heading", level=2)).to_have_count(1)
    lowered = page.get_by_role("row").nth(1).get_by_role("cell").nth(1)
    expect(lowered).to_contain_text("3 of 1 taken")
    expect(page.get_by_text("0 of 6 taken").first).to_be_attached()
    page.get_by_role("link", name="After").click()
    expect(page.get_by_text("3 of 1 taken")).to_have_count(0)


def test_a_week_is_stated_in_the_grid_and_a_date_differs(visit: Visit, stated: dict[str, Any]) -> None:
    page = visit(f"/capacity/{stated['at']}/edit?kind=delivery", language="en")
    page.get_by_label("From, line 1").fill("08:00")
    page.get_by_label("To, line 1").fill("12:00")
    page.get_by_label("Places on Monday, line 1").fill("7")
    page.get_by_role("button", name="Save slots").click()
    expect(page.get_by_text("Slots saved")).to_be_visible()
    expect(page.get_by_label("Places on Monday, line 1")).to_have_value("7")
    page.get_by_label("From, line 2").fill("11:00")
    page.get_by_label("To, line 2").fill("13:00")
    page.get_by_label("Places on Monday, line 2").fill("1")
    page.get_by_role("button", name="Save slots").click()
    expect(page.locator("#refusal")).to_contain_text("starts before the one at 08:00 ends")
    page.get_by_role("button", name="Add a date").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Date").fill(str(stated["monday"]))
    dialog.get_by_label("No slots at all that day").check()
    dialog.get_by_label("Reason").fill("Balanço")
    dialog.get_by_role("button", name="Save date").click()
    expect(page.get_by_role("row").filter(has_text="Balanço")).to_contain_text("no slots")
    page.get_by_role("button", name="Remove:").click()
    expect(page.get_by_text("None ahead.")).to_be_visible()


def test_several_locations_get_the_same_week_at_once(visit: Visit, stated: dict[str, Any]) -> None:
    page = visit("/capacity:several?kind=delivery", language="en")
    page.get_by_role("button", name="Save the week").click()
    expect(page.locator("#refusal")).to_contain_text("No location was chosen")
    for code in stated["codes"][:2]:
        page.locator(f'input[name=code][value="{code}"]').check()
    page.get_by_label("From, line 1").fill("14:00")
    page.get_by_label("To, line 1").fill("16:00")
    page.get_by_label("Places on Friday, line 1").fill("3")
    page.get_by_role("button", name="Save the week").click()
    expect(page.get_by_text("Slots of 2 locations saved")).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_have_count(2)


def test_slots_leave_and_come_back_as_a_file(visit: Visit, stated: dict[str, Any], tmp_path: Path) -> None:
    page = visit("/capacity", language="pt-BR")
    page.locator("summary", has_text="Exportar").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Horários para importar de novo (CSV)").click()
    kept = tmp_path / "slots.csv"
    download.value.save_as(kept)
    text = kept.read_text(encoding="utf-8-sig")
    assert text.count(stated["at"]) == 6 * len(HOURS)
    bad = tmp_path / "bad.csv"
    bad.write_text("local;tipo;dia;início;fim;vagas\nNADA;retirada;seg;09:00;10:00;3\nX;;;;;\n", encoding="utf-8")
    good = tmp_path / "good.csv"
    good.write_text(f"local;tipo;dia;início;fim;vagas\n{stated['at']};entrega;sex;9:00;10:30;3\n", encoding="utf-8")
    for file, says in ((bad, "A linha 3 não é um horário"), (good, "Horários de 1 local salvos")):
        page.get_by_role("button", name="Importar horários").click()
        page.locator("#import-file").set_input_files(file)
        page.get_by_role("dialog").get_by_role("button", name="Importar horários").click()
        expect(page.get_by_text(says)).to_be_visible()
        if file == bad:
            page.get_by_role("dialog").get_by_role("button", name="Voltar").click()
    page = visit(f"/capacity/{stated['at']}/edit?kind=delivery", language="pt-BR")
    expect(page.get_by_label("Vagas em sexta-feira, linha 1")).to_have_value("3")


def test_a_person_gives_an_order_a_slot_and_moves_it(
    visit: Visit, stated: dict[str, Any], seeded: str, settle: Callable[[], None]
) -> None:
    page = visit(f"/orders/{stated['number']}", language="en")
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Choose a slot").click()
    dialog = page.get_by_role("dialog")
    first = dialog.get_by_label("Free slots").locator("option").first.text_content() or ""
    dialog.get_by_role("button", name="Choose and tell").click()
    expect(page.locator("#identity")).to_contain_text("Pickup slot")
    expect(page.locator("#identity")).to_contain_text(first.partition(" (")[0])
    settle()
    page.reload()
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Pickup on")
    page.get_by_role("button", name="Go without a slot").click()
    expect(page.locator("#identity")).not_to_contain_text("Pickup slot")
    assert within(seeded, lambda tx: held(tx, stated["order"])) is None


async def held(tx: Tx, order: UUID) -> object:
    return (await slots.choices(tx, order, []))[0]
