"""Listings of a connection in a real browser: what a channel gets, said otherwise, taken back, published and ended."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.listings import service as listings
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
CODE = "seller"
FIELDS = f"/connections/{CODE}/listing-fields"
STOOD = """
UPDATE listing_post w SET status = x.status, sent_at = now() - interval '2 hours', sent_version = 1, version = 1,
    reference = 'p-' || w.sku_id, errors = x.errors::jsonb
FROM (VALUES (1, 'live', '[]'), (2, 'ended', '[]'),
             (3, 'rejected', '[{"code": "too_short", "field": "description", "message": "The description is too short"},
                               {"code": "category", "field": "category", "message": "Choose a leaf category"},
                               {"code": "policy", "message": "The shop needs a return policy"}]')) AS x(n, status, errors),
     (SELECT sku_id, row_number() OVER (ORDER BY sku_id) AS n FROM listing_post) AS p
WHERE w.sku_id = p.sku_id AND p.n = x.n
"""


@pytest.fixture(scope="module")
def sold(seeded: str) -> Iterator[list[str]]:
    """A connection with a listing of each status; the third one is refused with three reasons."""
    skus: list[str] = []

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code=CODE, name="Marketplace", connector="generic", channel=channel,
                config={"base_url": "https://loja.example/oms"},
            )  # fmt: skip
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            draft = ConnectionDraft(
                code="erp", name="ERP", connector="tryton", channel=channel,
                config={"base_url": "https://erp.example/db", "company": 1},
            )  # fmt: skip
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            skus.extend(await tx.values("SELECT sku FROM variant WHERE price > 0 AND NOT is_kit ORDER BY id LIMIT 6"))
            await listings.publish(tx, CODE, skus[:4])
            await tx.execute(STOOD)
            said = [
                (skus[0], "title", "Oferta: só no marketplace"),
                (skus[0], "images", ["https://img.example/frente.jpg", "https://img.example/costas.jpg"]),
                (skus[0], "description", "Algodão penteado.\nModelagem reta.\nLavar à máquina."),
            ]
            await listings.say_many(tx, CODE, said)
            await tx.execute(STOOD)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM listing WHERE channel_id IN (SELECT channel_id FROM connection)")
            await tx.execute("DELETE FROM connection WHERE code IN ('erp', 'seller')")

    apart(run)
    yield skus
    apart(away)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_the_pages_are_whole_in_both_languages_and_widths(
    visit: Visit, sold: list[str], language: str, viewport: dict[str, int]
) -> None:
    base = f"/connections/{CODE}/listings"
    paths = (base, f"{base}/{sold[0]}", f"{base}/{sold[2]}", f"/connections/{CODE}", FIELDS)
    for n, (_, page) in enumerate(walk(visit, paths, language=language, size=viewport)):
        assert violations(page) == []
        assert sideways(page) == 0
        if page.url.endswith(FIELDS):
            expect(page.locator("#preview table")).to_be_visible()
        shot(page, f"a_l{n}-{language}-{viewport['width']}")


@pytest.mark.usefixtures("sold")
def test_a_channel_that_takes_no_products_says_so(visit: Visit) -> None:
    page = visit("/connections/erp/listings", language="en")
    expect(page.get_by_text("This channel cannot be told what to sell")).to_be_visible()
    assert violations(page) == []


def test_a_field_is_said_otherwise_and_taken_back(visit: Visit, sold: list[str]) -> None:
    page = visit(f"/connections/{CODE}/listings/{sold[3]}", language="en")
    page.get_by_role("button", name="Say Brand otherwise").click()
    page.locator("dialog[open] [name=value]").fill("Nobody's brand")
    page.locator("dialog[open]").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nobody's brand", exact=True)).to_be_visible()
    expect(page.get_by_text("Said here").first).to_be_visible()
    page.get_by_role("button", name="Take back what is said of Brand").click()
    expect(page.get_by_text("It is again as it would be")).to_be_visible()
    expect(page.get_by_text("Nobody's brand", exact=True)).to_have_count(0)


def test_a_price_is_given_on_the_page_refused_beside_the_field_and_taken_back(visit: Visit, sold: list[str]) -> None:
    page = visit(f"/connections/{CODE}/listings/{sold[5]}", language="pt-BR")
    row = page.locator("#field-price")
    usual = row.locator("td.m-full").inner_text()
    expect(row).to_contain_text("O produto")
    page.get_by_role("button", name="Dizer Preço de outro modo").click()
    page.locator("dialog[open] [name=price]").fill("0,00")
    page.locator("dialog[open]").get_by_role("button", name="Salvar").click()
    expect(page.locator("dialog[open]")).to_contain_text("Um preço é maior que zero.")
    page.locator("dialog[open] [name=price]").fill("1.088,80")
    shot(page, "listing_price_dialog")
    page.locator("dialog[open]").get_by_role("button", name="Salvar").click()
    expect(row).to_contain_text("1.088,80")
    expect(row).to_contain_text("Dito aqui")
    expect(row).to_contain_text(f"no lugar de: {usual}")
    expect(page.locator(".m-answers")).to_contain_text("dito aqui, só para este canal")
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        assert violations(page) == []
        shot(page, f"listing_price-{size['width']}")
    page.goto(page.url.rsplit("/", 1)[0] + f"?q={sold[5]}")
    expect(page.locator("tr", has_text=sold[5])).to_contain_text("dito aqui")
    shot(page, "listing_price_list")
    page.go_back()
    page.get_by_role("button", name="Desfazer o que se diz de Preço").click()
    expect(row).to_contain_text("O produto")
    expect(row.locator("td.m-full")).to_have_text(usual)


def test_what_the_channel_refuses_stands_beside_the_field_it_concerns(visit: Visit, sold: list[str]) -> None:
    page = visit(f"/connections/{CODE}/listings/{sold[2]}", language="en")
    row = page.locator("tr", has=page.get_by_role("button", name="Say Description otherwise"))
    expect(row.get_by_text("The description is too short")).to_be_visible()
    expect(page.get_by_text("The shop needs a return policy")).to_be_visible()


def test_listings_are_narrowed_published_and_ended_together(visit: Visit, sold: list[str]) -> None:
    page = visit(f"/connections/{CODE}/listings?view=errors", language="en")
    expect(page.locator("[data-select-row]")).to_have_count(1)
    page = visit(f"/connections/{CODE}/listings", language="en")
    page.get_by_role("button", name="Publish SKUs").click()
    page.get_by_label("SKUs", exact=True).fill(f"{sold[4]}, {sold[5]} NOPE")
    page.locator("dialog[open]").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("2 are on their way; unknown: NOPE")).to_be_visible()
    for sku in sold[4:]:
        page.get_by_label(f"Choose {sku}").check()
    page.get_by_role("button", name="End", exact=True).click()
    expect(page.get_by_text("2 are being ended")).to_be_visible()


@pytest.mark.usefixtures("sold")
def test_fields_are_mapped_with_the_listings_beside_them_and_taken_back(visit: Visit) -> None:
    page = visit(f"/connections/{CODE}", language="en")
    page.get_by_role("link", name="Listing fields").click()
    title, preview = page.get_by_label("What fills Title", exact=True), page.locator("#preview")
    expect(title.locator("option:checked")).to_have_text("as usual: Name of the SKU")
    expect(preview).to_contain_text("No published listing changes")
    expect(page.get_by_role("button", name="Take the last change back")).to_have_count(0)
    # What the form would make follows it, and says what would be kept back.
    title.select_option("none")
    expect(preview).to_contain_text("would be kept back")
    expect(preview).to_contain_text("Title: A required field is empty")
    title.select_option("template")
    page.get_by_label("Name or text for Title").fill("{nothing}")
    page.get_by_label("Name or text for Title").blur()
    expect(preview).to_contain_text("Title: There is no field nothing here.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#refusal")).to_contain_text("There is no field nothing here.")
    expect(page.get_by_label("Name or text for Title")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Name or text for Title").fill("SALE {sku}")
    page.get_by_role("button", name="Another field").click()
    page.get_by_label("What fills …").select_option("constant")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#refusal")).to_contain_text("This field is empty")
    page.get_by_label("Name of the field").fill("season")
    page.get_by_label("Name or text for …").fill("summer")
    page.get_by_label("Name or text for …").blur()
    expect(preview.locator("tr", has_text="season")).to_contain_text("summer")
    expect(preview).to_contain_text("are told anew")
    shot(page, "listing_fields")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Saved")
    expect(title).to_have_value("template")
    expect(page.get_by_label("Name of the field")).to_have_value("season")
    expect(page.locator(".m-head")).to_contain_text("Changed last by")
    assert violations(page) == []
    page.get_by_role("button", name="Take the last change back").click()
    expect(page.locator("#toasts")).to_contain_text("taken back")
    expect(title).to_have_value("")
    page.get_by_role("button", name="Take the last change back").click()
    expect(title).to_have_value("template")
    page.get_by_role("button", name="Fill all as usual").click()
    expect(page.locator("#toasts")).to_contain_text("as usual again")
    expect(title).to_have_value("")
    expect(page.get_by_role("button", name="Fill all as usual")).to_have_count(0)


@pytest.mark.usefixtures("sold")
def test_of_two_who_map_fields_the_second_reads_that_somebody_did(visit: Visit) -> None:
    first, second = (visit(FIELDS, language="en") for _ in range(2))
    for page, text in ((first, "one"), (second, "two")):
        page.get_by_label("What fills Brand", exact=True).select_option("constant")
        page.get_by_label("Name or text for Brand").fill(text)
        page.get_by_role("button", name="Save", exact=True).click()
        if page is first:
            expect(page.locator("#toasts")).to_contain_text("Saved")
    expect(second.locator("#refusal")).to_contain_text("changed by someone else")
    first.get_by_role("button", name="Fill all as usual").click()
    expect(first.get_by_label("What fills Brand", exact=True)).to_have_value("")
