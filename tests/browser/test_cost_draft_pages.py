"""Drafts of costs in a real browser: written, simulated, promoted and taken back, with no barrier in any look."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.platform.clock import now
from malha.platform.db import Database
from malha.routing import cost_drafts
from malha.routing.cost_draft_model import Carriage, Drafted, Labour
from malha.routing.cost_model import Carton, Costs
from malha.simulation import service
from malha.simulation.model import Draft

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
BUSIEST = """
SELECT l.code FROM order_unit u JOIN location l ON l.id = u.location_id GROUP BY l.code ORDER BY count(*) DESC, l.code LIMIT 1
"""
CLEAN = ("DELETE FROM simulation", "DELETE FROM routing_cost_draft")


async def replayed(database: Database, draft: int) -> str:
    today = now().date()
    async with database.transaction() as tx:
        wanted = Draft(name="Frete mais caro", since=today - timedelta(days=60), until=today, cost_draft=draft)
        made = await service.start(tx, wanted)
    await service.run.work(database, simulation_id=str(made.id))
    return f"/simulations/{made.id}"


@pytest.fixture
def tried(seeded: str) -> Iterator[tuple[str, str]]:
    """The addresses of a draft that changes a part of everything, and of a simulation of it."""

    async def make() -> tuple[str, str]:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                place = await tx.value(BUSIEST)
                content = Drafted(
                    costs=Costs(split_penalty=450, cartons=[Carton(max_grams=2_000, price=120), Carton(max_grams=9_000, price=310)]),
                    labour=[Labour(location=place, handling=1_900)],
                    carriage=[Carriage(percent=112, from_state="SP")],
                )  # fmt: skip
                made = await cost_drafts.start_draft(tx, content, note="Fretes de 2027")
            return f"/cost-drafts/{made.id}", await replayed(database, made.id)

    async def drop() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            for statement in CLEAN:
                await tx.execute(statement)

    yield apart(make)
    apart(drop)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
)
def test_the_pages_have_no_flaws(
    visit: Visit, tried: tuple[str, str], language: str, size: dict[str, int], theme: str
) -> None:
    draft, simulation = tried
    paths = {"list": "/cost-drafts", "new": "/cost-drafts:new", "draft": draft, "simulation": simulation}
    walked = walk(visit, paths.values(), language=language, size=size, theme=theme)
    for name, (_, page) in zip(paths, walked, strict=True):
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        shot(page, f"costdraft-{name}-{language}-{size['width']}")
        assert violations(page) == []
        assert sideways(page) == 0


def test_a_draft_is_written_simulated_promoted_and_taken_back(visit: Visit, tried: Any, seeded: str) -> None:
    page = visit("/routing-costs", language="en")
    page.get_by_role("link", name="Drafts of costs").click()
    page.get_by_role("link", name="New draft").click()
    page.get_by_label("Name, or why").fill("Dear parcels")
    page.get_by_label("Labour 1: parcel, R$").fill("3")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.locator("#refusal")).to_contain_text("Which location is this about?")
    page.get_by_label("Labour 1: parcel, R$").fill("")
    page.get_by_label("Each parcel beyond the first").fill("7.50")
    page.get_by_label("Carriage 1: percent").fill("150")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dear parcels")
    expect(page.get_by_role("region", name="Table: What it changes")).to_contain_text("R$7.50")
    expect(page.get_by_role("region", name="Table: What it changes")).to_contain_text("150%")
    page.get_by_role("link", name="Simulate").click()
    expect(page.get_by_label("Costs on paper")).to_contain_text("Dear parcels")
    page.get_by_role("button", name="Start the simulation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Other costs of routing")
    path = "/" + "/".join(page.url.split("/")[3:])

    async def work() -> None:
        async with Database(seeded) as database:
            await service.run.work(database, simulation_id=path.rsplit("/", 1)[1])

    apart(work)
    page = visit(path, language="en")
    expect(page.get_by_role("region", name="Table: Cost by term")).to_contain_text("Freight")
    page.locator("[data-open=dlg-costs]").click()
    page.locator("#dlg-costs").get_by_role("button", name="Promote").click()
    expect(page.get_by_text("In force since")).to_be_visible()
    undo = page.get_by_role("button", name="Undo the promotion")
    undo.click()
    expect(undo).to_have_count(0)
    expect(page.locator("[data-open=dlg-costs]")).to_have_count(0)
    page = visit("/routing-costs", language="en")
    expect(page.get_by_label("Each parcel beyond the first")).not_to_have_value("7.50")
