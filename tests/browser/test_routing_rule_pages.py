"""Routing rules on screen: written, ordered, tried, published and brought back by a person; no barrier in any look."""

import re
from collections.abc import Callable, Iterator

import msgspec
import pytest
from playwright.sync_api import Page, expect

from malha.network import reads as network
from malha.platform.db import Actor, Database
from malha.routing.ruling import service
from malha.routing.ruling.model import Content, Row, Rule, Run, Table, Then, Unfilled, When, Where

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]


@pytest.fixture
def ruled(seeded: str) -> Iterator[dict[str, int]]:
    """Two published sets and a draft; afterwards there are no rules."""
    ids: dict[str, int] = {}

    async def write() -> None:
        async with Database(seeded) as database, database.transaction(Actor("person", "ana", "Ana Prado")) as tx:
            codes = [x.code for x in await network.locations(tx)]
            channel = (await network.channels(tx))[0].code
            near = Rule(name="Lojas do estado", where=Where(same_state=True), keep=2, max_packages=1)
            far = Rule(
                name="Até 400 km",
                where=Where(max_km=400),
                prefer=[Where(locations=codes[:1]), Where(locations=codes[1:3])],
                complete=True,
                unfilled=Unfilled.QUEUE,
                cancel_after_days=3,
            )
            first = Content(
                runs=[Run(name="Expressa", when=When(channels=[channel], states=["SP", "RJ"]), rules=[near])]
            )
            second = Content(
                runs=[
                    Run(
                        name="Expressa",
                        when=When(channels=[channel], states=["SP", "RJ"], min_value=19_900),
                        rules=[near, far],
                    ),
                    Run(name="Frágeis", when=When(attributes={"classe": ["frágil"]}, goods="all")),
                ]
            )
            for content, note in ((first, "Começo"), (second, "Black Friday")):
                draft = await service.start_draft(tx, content, note=note)
                ids[note] = (await service.publish(tx, draft.id, draft.version)).id
                await tx.execute("UPDATE routing_rule_set SET effective_from = now() - interval '1 day' * %s", [2])
            table = Table(
                rows=[
                    Row(
                        name="Valor alto",
                        when=When(channels=[channel], states=["SP", "RJ"], min_value=50_000),
                        then=Then(run="Expressa", max_packages=1),
                    ),
                    Row(
                        name="Noite",
                        when=When(channels=[channel], weekdays=[1, 2, 3, 4, 5], from_hour=20, to_hour=6),
                        then=Then(keep=3, unfilled=Unfilled.BACKORDER),
                    ),
                    Row(when=When(states=["SP"], min_value=60_000, channels=[channel]), then=Then(complete=True)),
                    Row(name="Pesados", when=When(min_grams=5_000), then=Then(max_packages=2)),
                ]
            )
            draft = msgspec.structs.replace(first, table=table)
            ids["draft"] = (await service.start_draft(tx, draft, note="Natal", based_on=None)).id

    async def forget() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM routing_rule_set")

    apart(write)
    yield ids
    apart(forget)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"],
)
def test_the_pages_of_rules_have_no_barrier_and_nothing_sticks_out(
    visit: Visit,
    ruled: dict[str, int],
    language: str,
    size: dict[str, int],
    theme: str,
    request: pytest.FixtureRequest,
) -> None:
    look = request.node.callspec.id
    pages = {
        "list": "/routing-rules",
        "draft": f"/routing-rules/{ruled['draft']}",
        "set": f"/routing-rules/{ruled['Black Friday']}",
        "table": f"/routing-rules/{ruled['draft']}/table",
        "run": f"/routing-rules/{ruled['draft']}/runs/0/edit",
        "rule": f"/routing-rules/{ruled['draft']}/runs/0/rules/0/edit",
    }
    walked = walk(visit, pages.values(), language=language, size=size, theme=theme)
    for name, (_, page) in zip(pages, walked, strict=True):
        shot(page, f"rules-{name}-{look}")
        assert violations(page) == [], name
        assert sideways(page) == 0, name


def test_a_person_writes_orders_tries_publishes_and_brings_back_rules(visit: Visit, ruled: dict[str, int]) -> None:
    page = visit(f"/routing-rules/{ruled['draft']}", language="en")
    page.get_by_role("link", name="Add a run").click()
    page.get_by_label("Name").fill("North")
    page.get_by_label("States").fill("XX")
    page.get_by_role("button", name="Add run").click()
    expect(page.get_by_text("There is no state XX.").first).to_be_visible()
    page.get_by_label("States").fill("PA, AM")
    page.get_by_role("button", name="Add run").click()
    expect(page.get_by_role("heading", name="North")).to_be_visible()

    page.get_by_role("link", name=re.compile("Add a rule.*North")).click()
    page.get_by_label("Name").fill("Whole")
    page.get_by_label("Groups of locations").first.fill("nowhere")
    page.get_by_label("Complete or not at all").check()
    page.get_by_role("button", name="Add rule").click()
    expect(page.get_by_text("There is no group of locations nowhere.").first).to_be_visible()
    page.get_by_label("Groups of locations").first.fill("")
    page.get_by_label("What happens then").select_option("queue")
    page.get_by_role("button", name="Add rule").click()
    expect(page.get_by_role("definition").filter(has_text="complete or nothing")).to_be_visible()

    page.get_by_role("button", name="Move North up").click()
    expect(page.get_by_role("heading", level=3).first).to_have_text("North")
    page.get_by_label("SKUs").fill("NOT-THERE 2")
    page.get_by_label("State", exact=True).fill("PA")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("There is no SKU NOT-THERE.").first).to_be_visible()
    expect(page.locator(".m-rr-new").filter(has_text="North").first).to_be_visible()

    page.get_by_role("button", name="Publish").first.click()
    page.locator("#dlg-publish").get_by_label("Why").fill("North first")
    page.locator("#dlg-publish").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rule set 3")
    expect(page.get_by_text("In force", exact=True)).to_be_visible()

    page.goto(page.url.rsplit("/", 1)[0])
    page.get_by_role("button", name=re.compile("Bring back.*Rule set 1$")).click()
    page.locator("dialog[open]").get_by_role("button", name="Bring back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rule set 4")


def test_a_person_fills_in_a_table_by_keyboard_and_wrong_cells_say_so(visit: Visit, ruled: dict[str, int]) -> None:
    page = visit(f"/routing-rules/{ruled['draft']}/table", language="en")
    page.get_by_label("Name, row 5").fill("Weekend")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Sales channel, row 5")).to_be_focused()
    page.get_by_label("Value of the order, R$, row 5").fill("dear")
    page.get_by_label("Weekday, row 5").fill("Sat-Sun")
    page.get_by_label("Hours, row 5").fill("25-3")
    page.get_by_label("Packages at most, row 5").fill("1")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-invalid]")).to_have_count(2)
    expect(page.locator(".m-field-error").first).to_contain_text("dear is no range.")
    page.get_by_label("Value of the order, R$, row 5").fill("100..2000")
    page.get_by_label("Hours, row 5").fill("8-22")
    page.get_by_role("button", name="Move row 5 up").click()
    expect(page.get_by_label("Name, row 4")).to_have_value("Weekend")
    expect(page.get_by_role("button", name="Move row 4 up")).to_be_focused()
    page.get_by_role("button", name="Copy row 4").click()
    expect(page.get_by_label("Name, row 5")).to_have_value("Weekend")
    page.get_by_role("button", name="Remove row 5").click()
    expect(page.get_by_label("Name, row 5")).to_have_value("Pesados")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Brand", exact=True).check()
    page.get_by_role("button", name="Show these").click()
    page.get_by_label("Brand, row 4").fill("Acme")
    page.get_by_role("button", name="Save the table").click()
    expect(page.get_by_text("Table of 5 rows saved")).to_be_visible()
    row = page.locator(".m-dt-view tbody tr").nth(3)
    expect(row).to_contain_text("Sat, Sun")
    expect(row).to_contain_text("brand Acme")
    expect(page.get_by_text("Never reached: row 1 takes all of it.")).to_be_visible()


def test_without_rules_the_page_says_where_orders_go(visit: Visit) -> None:
    page = visit("/routing-rules", language="en")
    expect(page.get_by_text("No rules yet.")).to_be_visible()
    expect(page.get_by_role("heading", name="All orders")).to_be_visible()
    assert violations(page) == []
