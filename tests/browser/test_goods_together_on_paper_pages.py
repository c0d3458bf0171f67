"""Goods that come together on past orders, and a comparison without a bound, in a real browser."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.platform.clock import now
from malha.platform.db import Actor, Database
from malha.routing.ruling import service as ruling
from malha.routing.ruling.model import Content, Rule, Run
from malha.simulation import service
from malha.simulation.model import Draft, Scenario

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
DEPOT, STORE = "CD-JAB", "NAT-01"
# A comparison whose bounds a defect stopped, with one order of each kind that stays as it was.
WITHOUT = """
UPDATE simulation SET result = result
    || jsonb_build_object('gap', '{"left": 3, "why": {"time": 1, "defect": 2}, "said": "SolverFailed",
                                   "beyond": {"kit": 2, "parted": 1, "lines": 1, "aged": 1}, "busy": 123456}'::jsonb)
    || jsonb_build_object('together', jsonb_build_object('before', 4, 'after', 9, 'today', 7,
        'unknown', '{"stock": 12, "network": 2, "next": 1}'::jsonb,
        'kept', (SELECT jsonb_agg(jsonb_build_object('number', number, 'order_id', id, 'why', 'stock')) FROM (
            SELECT number::text, id FROM sales_order ORDER BY number DESC LIMIT 12) o)))
WHERE id = %(id)s::uuid
"""


@pytest.fixture(scope="module")
def simulated(seeded: str) -> Iterator[dict[str, str]]:
    """A draft by which goods come together, tried on every order there is; and one whose bounds were not found."""

    async def make() -> dict[str, str]:
        found = {}
        async with Database(seeded) as database:
            for name in ("together", "without"):
                async with database.transaction(Actor("person", "ana", "Ana Prado")) as tx:
                    await store_lanes.state(tx, DEPOT, [StoreLaneDraft(origin=STORE, days=1, price=490)])
                    rules = [Rule(name="Em uma remessa", merge_at=DEPOT), Rule(name="Separado")]
                    content = Content(runs=[Run(name="Envios", rules=rules)])
                    draft = await ruling.start_draft(tx, content, note="Uma remessa só")
                    today = now().date()
                    wanted = Draft(
                        name="Uma remessa só", since=today - timedelta(days=2), until=today, scenario=Scenario(),
                        rule_set=draft.id,
                    )  # fmt: skip
                    run = await service.start(tx, wanted)
                await service.run.work(database, simulation_id=str(run.id))
                found[name] = f"/simulations/{run.id}"
            async with database.transaction() as tx:
                await tx.execute(WITHOUT, {"id": run.id})
        return found

    async def drop() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM simulation")
            await tx.execute("DELETE FROM routing_rule_set")
            await tx.execute("DELETE FROM store_lane")

    yield apart(make)
    apart(drop)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
)
def test_the_pages_have_no_barrier_and_nothing_sticks_out(
    visit: Visit, simulated: dict[str, str], language: str, size: Any, theme: str
) -> None:
    walked = walk(visit, simulated.values(), size=size, language=language, theme=theme)
    for name, (_, page) in zip(simulated, walked, strict=True):
        shot(page, f"on-paper-{name}-{language}-{size['width']}")
        for panel in ("#gap-h", "#together-h", "#moved-h"):
            page.locator(panel).evaluate("heading => heading.scrollIntoView({block: 'start'})")
            shot(page, f"on-paper-{name}-{panel[1:-2]}-{language}-{size['width']}")
        assert violations(page) == [], name
        assert sideways(page) == 0, name


def test_a_comparison_without_a_bound_says_why_and_keeps_the_rest(visit: Visit, simulated: dict[str, str]) -> None:
    page = visit(simulated["without"], language="en")
    expect(page.get_by_text("No bound of hindsight could be worked out.", exact=False)).to_be_visible()
    expect(page.get_by_text("2 days have no bound, for a defect (SolverFailed)", exact=False)).to_be_visible()
    expect(page.get_by_text("Of 15 orders it cannot be told", exact=False)).to_be_visible()
    expect(page.get_by_role("heading", name="Destinations")).to_be_visible()
