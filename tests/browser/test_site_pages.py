"""Owners at a site in a real browser: an owner is added on the page of a location, and what left is settled."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.network import service
from malha.network.model import EstablishmentDraft
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
BOTH = pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "dark"), (NARROW, "en", "light"), (WIDE, "en", "light"), (NARROW, "pt-BR", "light")],
    ids=["wide, dark, pt-BR", "narrow, light, en", "wide, light, en", "narrow, light, pt-BR"],
)


@pytest.fixture(scope="module")
def consignor(seeded: str) -> str:
    """An establishment of another company, whose goods may come to a site."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            draft = EstablishmentDraft(
                code="TERRA",
                name="Terra Cosméticos",
                cnpj="12ABC34501DE35",
                state="SP",
                legal_name="Terra Cosméticos Ltda.",
            )
            await service.put_establishments(tx, [draft])

    apart(run)
    return "TERRA"


def test_an_owner_is_added_to_a_site_and_shares_what_the_site_states(visit: Visit, consignor: str, seeded: str) -> None:
    page = visit("/locations/CD-CAJ", size=WIDE, language="en")
    page.locator("details[data-pop] > summary", has_text="More").click()
    page.get_by_role("link", name="Add an owner").click()
    expect(page.get_by_text("are those of the site")).to_be_visible()
    shot(page, "new-owner")
    page.get_by_label("Name").fill("Terra, in Cajamar")
    page.get_by_label("Code", exact=True).fill("CD-CAJ-TERRA")
    page.get_by_label("Establishment").select_option(consignor)
    expect(page.get_by_role("heading", name="New owner at")).to_be_visible()
    page.get_by_role("button", name="Create location").click()
    expect(page.get_by_role("heading", name="Owners at this site")).to_be_visible()
    assert page.locator("section[aria-labelledby=h-owners] tbody tr").count() == 2

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            place = await tx.value("SELECT id FROM location WHERE code = 'CD-CAJ-TERRA'")
            skus = await tx.values("SELECT id FROM variant WHERE NOT is_kit ORDER BY id LIMIT 3")
            reference = Reference("test")
            await inventory.set_on_hand(tx, [Claim(sku, place, 40) for sku in skus], reference, Reason.INITIAL)
            await inventory.reserve(tx, [Claim(sku, place, 7) for sku in skus], reference)
            await inventory.ship(tx, [Claim(sku, place, 7) for sku in skus], reference)

    apart(run)
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Priority on a tie").fill("50")
    page.get_by_role("button", name="Save location").click()
    expect(page.get_by_text("Location saved")).to_be_visible()


@BOTH
def test_pages_with_several_owners_are_whole_in_both_languages(
    visit: Visit, consignor: str, size: dict[str, int], language: str, theme: str
) -> None:
    paths = {
        "show": "/locations/CD-CAJ-TERRA",
        "list": "/locations?q=cajamar",
        "new": "/locations:new?site=CD-CAJ",
        "owners": "/stock-owners",
        "settlement": "/stock-owners/settlement",
        "stock": "/stock?owner=Terra+Cosm%C3%A9ticos",
        "count": "/counts:new",
    }
    walked = walk(visit, paths.values(), size=size, language=language, theme=theme)
    for name, (path, page) in zip(paths, walked, strict=True):
        shot(page, f"{name}-{language}-{size['width']}-{theme}")
        assert violations(page) == [], path
        assert sideways(page) == 0, path
