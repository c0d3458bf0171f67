"""Acts of the console that came together: kits by component, the last days on the home page, one customer of two, who looks after what."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, sideways, violations

Visit = Callable[..., Page]


def rows(seeded: str, statement: str, *params: Any) -> list[Any]:
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        cursor = connection.execute(statement, params)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def fits(page: Page, size: Any) -> None:
    assert sideways(page) == 0
    assert violations(page) == []


@pytest.mark.parametrize(("language", "size", "code"), [("pt-BR", WIDE, "KIT-A"), ("en", NARROW, "KIT-B")])
def test_a_kit_is_made_of_components_by_keyboard_and_shows_what_they_allow(
    visit: Visit, seeded: str, language: str, size: Any, code: str
) -> None:
    portuguese = language == "pt-BR"
    add = "Incluir componente" if portuguese else "Add a component"
    page = visit("/products:new", language=language, size=size)
    fits(page, size)
    page.get_by_label("Código" if portuguese else "Code", exact=True).fill(code)
    page.locator("#name").fill("Kit da casa")
    page.get_by_label("SKU", exact=True).fill(f"{code}-1")
    page.get_by_text("Transformar em kit" if portuguese else "Make it a kit").click()
    for sku, units in (("AR-1180-CR", "2"), ("AR-3307-TE", "1"), ("NONE", "1")):
        page.get_by_role("button", name=add).press("Enter")
        expect(page.locator("[data-entry] input[name$=components]").last).to_be_focused()
        page.keyboard.type(sku)
        page.keyboard.press("Tab")
        page.keyboard.type(units)
    save = "Criar produto" if portuguese else "Create product"
    page.get_by_role("button", name=save).click()
    expect(page.get_by_role("alert")).to_contain_text("NONE")
    page.get_by_role("button", name="Tirar o componente" if portuguese else "Remove the component").last.click()
    expect(page.locator("[data-entry] input[name$=components]").last).to_be_focused()
    fits(page, size)
    page.get_by_role("button", name=save).click()
    expect(page).to_have_url(re.compile(f"/products/{code}$"))
    expect(page.get_by_role("heading", name="O que vem no kit" if portuguese else "What the kit holds")).to_be_visible()
    made = rows(
        seeded,
        """
        SELECT coalesce(sum(n), 0)::int FROM (
            SELECT min(greatest(b.on_hand - b.allocated - b.held - b.safety, 0) / k.quantity) AS n, count(*) AS parts
            FROM kit_component k JOIN variant kit ON kit.id = k.kit_id AND kit.sku = %s
            JOIN balance b ON b.sku_id = k.component_id GROUP BY b.location_id) here WHERE parts = 2
        """,
        f"{code}-1",
    )[0][0]
    word = "disponíve" if portuguese else "available"
    expect(page.get_by_text(re.compile(rf"^{made} kits? {word}"))).to_be_visible()
    fits(page, size)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_home_page_turns_to_the_last_days_and_back(visit: Visit, size: Any, theme: str) -> None:
    page = visit("/", language="en", size=size, theme=theme)
    page.get_by_role("link", name="7 days").click()
    expect(page).to_have_url(re.compile("period=7"))
    expect(page.get_by_role("heading", name="Orders by day")).to_be_visible()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    fits(page, size)
    page.locator("select[name=location]").select_option("REC-01")
    expect(page).to_have_url(re.compile("period=7.*location=REC-01"))
    fits(page, size)
    page.get_by_role("link", name="Today").click()
    expect(page.get_by_role("heading", name="Orders by hour")).to_be_visible()
    expect(page).to_have_url(re.compile("location=REC-01"))


@pytest.fixture
def twins(seeded: str) -> Iterator[tuple[int, int]]:
    """Two profiles with one e-mail; the numbers, the one with a document first."""
    one = rows(
        seeded,
        "SELECT number, email FROM customer WHERE document IS NOT NULL AND email IS NOT NULL ORDER BY number LIMIT 1",
    )[0]
    other = rows(
        seeded,
        "INSERT INTO customer (id, name, email, phone, folded) VALUES (gen_random_uuid(), 'Nome curto', %s, '+5581912345678', 'x')"
        " RETURNING number",
        one[1],
    )[0]
    yield one[0], other[0]
    rows(seeded, "DELETE FROM customer WHERE number = %s", other[0])


@pytest.mark.parametrize(("language", "size"), [("pt-BR", NARROW), ("en", WIDE)])
def test_two_profiles_are_found_compared_put_together_and_told_apart(
    visit: Visit, twins: tuple[int, int], language: str, size: Any
) -> None:
    portuguese = language == "pt-BR"
    page = visit("/customers:duplicates", language=language, size=size)
    fits(page, size)
    page.locator(f'a[href="/customers/{twins[0]}/merge/{twins[1]}"]').click()
    fits(page, size)
    page.get_by_role("radio", name="Nome curto").check()
    page.get_by_role("button", name=re.compile("^Unir|^Put")).click()
    expect(page).to_have_url(re.compile(f"/customers/{twins[0]}$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nome curto")
    page.goto(page.url.removesuffix(f"/{twins[0]}") + f"/{twins[1]}")
    expect(page).to_have_url(re.compile(f"/customers/{twins[0]}$"))  # the number that went leads on
    fits(page, size)
    page.get_by_role("button", name=re.compile("(Separar|Tell apart): Nome curto")).click()
    expect(page.locator("#toasts")).to_contain_text("dois cadastros de novo" if portuguese else "two profiles again")
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("Nome curto")


@pytest.fixture
def stopped(seeded: str) -> Iterator[None]:
    rows(
        seeded,
        "INSERT INTO parked_key (subscriber, key, state, attempts, cause, error, position)"
        " SELECT 'order_work', 'order:' || id, 'parked', 6, 'ValueError', 'ValueError: sem tinta', 1 FROM sales_order"
        " ORDER BY number LIMIT 3",
    )
    yield
    for table in ("parked_key", "care", "care_note"):
        rows(seeded, f"DELETE FROM {table}")


@pytest.mark.parametrize(("language", "size"), [("pt-BR", WIDE), ("en", NARROW)])
def test_what_stopped_is_taken_noted_and_put_off(visit: Visit, stopped: None, language: str, size: Any) -> None:
    portuguese = language == "pt-BR"
    page = visit("/attention", language=language, size=size)
    page.get_by_label("Atribuir a" if portuguese else "Assign to").select_option(label="Eu" if portuguese else "Me")
    page.locator("#care-note").fill("Falar com o depósito")
    page.get_by_role("button", name="Salvar" if portuguese else "Save", exact=True).click()
    mine = page.locator(".m-view").filter(has_text="Meus" if portuguese else "Mine")
    expect(mine).to_contain_text("1")
    mine.click()
    expect(page.locator(".m-care-notes")).to_contain_text("Falar com o depósito")
    fits(page, size)
    page.get_by_label("Adiar" if portuguese else "Put it off").select_option("hour")
    with page.expect_navigation():  # the form asks first whether somebody is signed in
        page.get_by_role("button", name="Salvar" if portuguese else "Save", exact=True).click()
    page.goto(page.url.partition("?")[0])
    expect(page.get_by_text("Nada nesta visão" if portuguese else "Nothing in this view")).to_be_visible()
    page.locator(".m-view").filter(has_text="Adiados" if portuguese else "Put off").click()
    expect(page.locator(".m-care-now")).to_contain_text("adiado até" if portuguese else "put off until")
    fits(page, size)
