"""Rules on past orders in a real browser: the comparison, both explanations, the press that promotes and its undoing."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.platform.clock import now
from malha.platform.db import Actor, Database
from malha.routing.ruling import service as ruling
from malha.routing.ruling.model import Content, Row, Rule, Run, Table, Then, When, Where
from malha.simulation import reads, service
from malha.simulation.model import Draft, Scenario

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def replayed(seeded: str) -> Iterator[dict[str, str]]:
    """A draft that was tried on every order there is; afterwards there are no rules and no simulations."""

    async def make() -> dict[str, str]:
        async with Database(seeded) as database:
            async with database.transaction(Actor("person", "ana", "Ana Prado")) as tx:
                place = await tx.value(
                    "SELECT l.code FROM order_unit u JOIN location l ON l.id = u.location_id"
                    " GROUP BY l.code ORDER BY count(*) DESC, l.code LIMIT 1"
                )
                rule = Rule(name="Pela loja", where=Where(), prefer=[Where(locations=[place])])
                rows = [
                    Row(name="Sudeste", when=When(states=["SP", "RJ", "MG", "ES"]), then=Then(run="Lojas primeiro")),
                    Row(name="São Paulo", when=When(states=["SP"]), then=Then(max_packages=1)),
                    Row(name="Alto valor", when=When(min_value=10_000_000), then=Then(max_packages=1)),
                ]
                content = Content(runs=[Run(name="Lojas primeiro", rules=[rule])], table=Table(rows=rows))
                draft = await ruling.start_draft(tx, content, note="Black Friday")
                today = now().date()
                wanted = Draft(
                    name="Lojas primeiro", since=today - timedelta(days=2), until=today, scenario=Scenario(),
                    rule_set=draft.id,
                )  # fmt: skip
                run = await service.start(tx, wanted)
            await service.run.work(database, simulation_id=str(run.id))
            async with database.transaction() as tx:
                (moved, *_others) = await reads.moved(tx, run.id, 1)
        return {
            "simulation": f"/simulations/{run.id}",
            "order": f"/simulations/{run.id}/orders/{moved.order_id}",
            "rules": f"/routing-rules/{draft.id}",
            "form": f"/simulations:new?rule_set={draft.id}",
        }

    async def drop() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM simulation")
            await tx.execute("DELETE FROM routing_rule_set")

    yield apart(make)
    apart(drop)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
)
def test_the_pages_have_no_barrier_and_nothing_sticks_out(
    visit: Visit, replayed: dict[str, str], language: str, size: Any, theme: str
) -> None:
    walked = walk(visit, replayed.values(), size=size, language=language, theme=theme)
    for name, (_, page) in zip(replayed, walked, strict=True):
        shot(page, f"tried-{name}-{language}-{size['width']}")
        assert violations(page) == [], name
        assert sideways(page) == 0, name


def test_a_person_compares_reads_both_explanations_promotes_and_takes_back(
    visit: Visit, replayed: dict[str, str]
) -> None:
    page = visit(replayed["rules"], language="en")
    expect(page.get_by_text("Never reached: row 1 takes all of it.")).to_be_visible()
    expect(page.get_by_text("never hit").first).to_be_visible()
    page = visit(replayed["simulation"], language="en")
    page.get_by_role("link", name=re.compile("^Why")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("both ways")
    expect(page.get_by_text("Rule “Pela loja” of the run “Lojas primeiro” decided", exact=False)).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Promote").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Promote").click()
    expect(page.get_by_text("Promoted as rule set 1")).to_be_visible()
    shot(page, "tried-promoted")
    page.get_by_role("button", name="Undo the promotion").click()
    expect(page.get_by_text("taken back: rule set 2 replaced it")).to_be_visible()
    assert violations(page) == []
