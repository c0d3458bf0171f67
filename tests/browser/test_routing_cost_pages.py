"""The page of routing's costs: each term with its form, what is learned as bars, tables by file, no barrier in any look."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from malha.platform.db import Database

from .conftest import NARROW, SHOTS, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
FILL = """
WITH v AS (INSERT INTO routing_risk_version (works, refused, promises, broken) VALUES (900, 60, 700, 90) RETURNING id)
INSERT INTO routing_risk (version_id, location_id, works, refused, promises, broken, rejection, lateness)
SELECT v.id, l.id, 80 + l.id * 7, mod(l.id, 9), 60 + l.id, mod(l.id, 7), mod(l.id, 9) / 110.0, CASE WHEN mod(l.id, 4) > 0 THEN mod(l.id, 7) / 60.0 END
FROM v, location l
"""
CLEAN = """
DELETE FROM routing_risk_version;
DELETE FROM routing_costs;
DELETE FROM tax_cost;
DELETE FROM markdown_credit;
UPDATE revision SET n = n + 1 WHERE name = 'network';
"""


@pytest.fixture
def learned(seeded: str) -> Iterator[None]:
    """What was learned of each location; it, and what a test sets, is taken away afterwards."""

    async def run(statement: str) -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            for one in statement.split(";"):
                if one.strip():
                    await tx.execute(one)

    apart(lambda: run(FILL))
    yield
    apart(lambda: run(CLEAN))


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        shot(page, name, whole=False)
        for at in ("s-not", "s-learned", "s-tax"):
            page.locator(f"#{at}").evaluate("at => at.scrollIntoView()")
            shot(page, f"{name}-{at}", whole=False)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide-light", "en-wide-dark", "pt-narrow-dark", "en-narrow-light"],
)
def test_the_page_has_no_barrier_and_nothing_sticks_out(
    visit: Visit, learned: None, language: str, size: dict[str, int], theme: str, request: pytest.FixtureRequest
) -> None:
    page = visit("/routing-costs", language=language, size=size, theme=theme)
    title = "Costs of routing" if language == "en" else "Custos de roteamento"
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    shoot(page, f"costs-{request.node.callspec.id}")
    assert violations(page) == []
    assert sideways(page) == 0


def test_costs_are_saved_and_what_cannot_be_is_marked_where_it_stands(visit: Visit, learned: None) -> None:
    page = visit("/routing-costs", language="en")
    page.get_by_label("Each parcel beyond the first").fill("2.50")
    page.get_by_label("Carton 1: up to, kg").fill("0.5")
    page.get_by_label("Carton 1: cost, R$").fill("1.20")
    page.get_by_label("Step 1: from, %").fill("80")
    page.get_by_label("Step 1: each parcel, R$").fill("3")
    page.get_by_label("Step 3: from, %").fill("60")
    page.get_by_label("Step 3: each parcel, R$").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#refusal")).to_contain_text("Steps must rise")
    page.get_by_label("Step 3: from, %").fill("")
    page.get_by_label("Step 3: each parcel, R$").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved: orders planned from now on follow it")).to_be_visible()
    expect(page.get_by_label("Each parcel beyond the first")).to_have_value("2.50")
    expect(page.get_by_label("Carton 1: up to, kg")).to_have_value("0.5")
    expect(page.get_by_label("Step 1: from, %")).to_have_value("80")


def test_a_file_replaces_the_tax_costs_or_is_refused_by_its_line(visit: Visit, learned: None, tmp_path: Path) -> None:
    page = visit("/routing-costs", language="en")
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("from,to,ncm,percent\nSP,SP,64,18\nSP,XX,64,12\n")
    right.write_text("origem;destino;ncm;percentual\nSP;SP;6403;18\nSP;*;;12,5\n")
    page.locator("[data-open=dlg-tax]").click()
    page.locator("#dlg-tax-file").set_input_files(wrong)
    page.locator("#dlg-tax").get_by_role("button", name="Replace").click()
    expect(page.locator("#dlg-tax-slot")).to_contain_text("XX")
    page.locator("#dlg-tax-file").set_input_files(right)
    page.locator("#dlg-tax").get_by_role("button", name="Replace").click()
    expect(page.get_by_text("The table has 2 rows now")).to_be_visible()
    expect(page.get_by_role("region", name="Table: Tax")).to_contain_text("12.5 %")
