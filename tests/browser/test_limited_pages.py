"""Who is limited to locations reads what is the whole retailer's, and is told why they do not change it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
EMAIL, PASSWORD = "planejamento@uma-loja.test", "um segredo de uma loja só"
SAYS = {
    "pt-BR": "quem é limitado a alguns lê e não altera",
    "en": "who is limited to some reads it and does not change it",
}


@pytest.fixture(scope="module")
def planner(seeded: str) -> None:
    """A planner of one store."""

    async def make() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            draft = PersonDraft(name="Pia Loja", email=EMAIL, role=Role.PLANNER, locations=["REC-01"])
            await identity.create_person(tx, draft, password=PASSWORD)

    apart(make)


@pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("en", NARROW, "dark")],
    ids=["pt-wide", "en-narrow-dark"],
)
def test_lists_of_what_concerns_all_locations_say_why_they_offer_nothing_to_change(
    visit: Visit, address: str, planner: None, language: str, size: dict[str, int], theme: str
) -> None:
    page = visit("/login", signed_in=False, size=size, language=language, theme=theme)
    signing = page.context.request.post(
        f"{address}/login", form={"email": EMAIL, "password": PASSWORD}, max_redirects=0
    )
    assert signing.status == 303, signing.text()[:500]
    for path in ("/products", "/channels", "/services", "/companies"):
        page.goto(address + path)
        expect(page.get_by_text(SAYS[language])).to_have_count(1)
        expect(page.locator(f'a[href^="{path}:new"]')).to_have_count(0)
        assert not violations(page), path
        assert sideways(page) == 0, path
        shot(page, f"limited-{path[1:]}-{language}-{size['width']}-{theme}")


def test_a_channel_leads_who_is_limited_to_nothing_that_is_refused(visit: Visit, address: str, planner: None) -> None:
    page = visit("/login", signed_in=False, language="pt-BR")
    page.context.request.post(f"{address}/login", form={"email": EMAIL, "password": PASSWORD}, max_redirects=0)
    page.goto(f"{address}/channels/site")
    links = page.locator("#content a[href^='/']").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
    assert links
    answers = {link: page.context.request.get(address + link).status for link in links}
    assert {link: status for link, status in answers.items() if status >= 400} == {}
