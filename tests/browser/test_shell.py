"""What surrounds the pages, in a real browser: home with its map, the command bar, saved views, one's own settings."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, SIDEWAYS, WIDE, patient, sideways, stand_in, violations, walk
from .test_console import number_of

Visit = Callable[..., Page]


# --- home ---


def test_signing_in_leads_home_and_every_figure_opens_its_list(visit: Visit) -> None:
    page = visit("/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Helena")
    late = page.locator(".m-kpi", has_text="Atrasados")
    count = late.locator(".m-kpi-value").inner_text()
    late.click()
    expect(page.locator("#views [aria-current=true] span")).to_have_text(count)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Helena")
    if page.locator("#more-todos").count():  # as other tests leave more to be done
        page.locator("#more-todos summary").click()
    page.get_by_role("link", name=re.compile("^Analisar: Análise de fraude")).click()
    expect(page).to_have_url(re.compile(r"hold=fraud"))
    expect(page.locator("[data-rows] > tr")).to_have_count(3)


def test_home_hears_of_a_change_and_stays_as_it_was_scrolled_unfolded_and_focused(
    visit: Visit, seeded: str, settle: Callable[[], None]
) -> None:
    home, acting = visit("/"), visit(f"/orders/{number_of(seeded, 'status = $$allocated$$')}")
    expect(home.locator("[data-sync-text]")).to_contain_text("Em dia")
    manual = home.locator(".m-todo", has_text="Retido por uma pessoa").locator("b")
    before = manual.inner_text()
    home.locator("#map-table summary").click()
    link = home.locator(".m-kpi").nth(2)
    link.focus()
    home.evaluate("document.querySelector('#content').scrollTop = 40")
    acting.get_by_role("button", name="Reter").click()
    acting.get_by_role("button", name="Reter pedido").click()
    expect(acting.locator("#toasts")).to_contain_text("Pedido retido")
    settle()
    expect(manual).not_to_have_text(before)
    expect(home.locator("#map-table")).to_have_attribute("open", "")
    # By its own document: which of the two tabs has the window's focus is not what this is about.
    home.wait_for_function("document.querySelectorAll('.m-kpi')[2] === document.activeElement")
    assert home.evaluate("document.querySelector('#content').scrollTop") == 40


def test_the_map_is_one_stop_of_the_tab_key_and_the_arrows_move_on_it(visit: Visit) -> None:
    page = visit("/")
    assert page.locator("[data-map] a[tabindex='0']").count() == 1
    page.locator("[data-map] a[aria-label^='Mato Grosso:']").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("^(Mato Grosso do Sul|Goiás)"))
    page.keyboard.press("ArrowUp")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("^(Mato Grosso|Pará|Goiás|Rondônia)"))
    assert page.locator("[data-map] a[tabindex='0']").count() == 1
    page.locator("[data-map] a[aria-label^='Recife Boa Viagem']").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/fulfillment\?location=REC-01"))


TO_TODAY = """
WITH chosen AS (
    SELECT id, row_number() OVER (ORDER BY number) AS n FROM sales_order WHERE method = 'ship' ORDER BY number LIMIT 2)
UPDATE sales_order o SET placed_at = now() + (c.n - 1) * interval '10 minutes'
FROM chosen c, sales_order before WHERE c.id = o.id AND before.id = o.id RETURNING o.id, before.placed_at
"""


@pytest.fixture
def orders_today(seeded: str) -> Iterator[None]:
    """Orders to be shipped that came in today, though the day may be a minute old, or over before a page has come."""
    with patient(seeded) as connection:
        moved = connection.execute(TO_TODAY).fetchall()
    yield
    with patient(seeded) as connection:
        for id_, placed_at in moved:
            connection.execute("UPDATE sales_order SET placed_at = %s WHERE id = %s", (placed_at, id_))


def test_the_map_and_the_plot_have_a_table_beside_them(visit: Visit, orders_today: None) -> None:
    page = visit("/")
    page.locator("#map-table summary").click()
    page.locator("#hours-table summary").click()
    expect(page.locator("#hours-table tbody tr")).to_have_count(24)
    shaded = page.locator("[data-map] a:not(:has(.m-map-s0)):has(.m-map-state)").count()
    rows = page.locator("#map-table table").first.locator("tbody a").count()
    assert rows == shaded > 0


# --- command bar ---


def test_the_keyboard_alone_goes_to_a_page_and_what_was_chosen_comes_first(visit: Visit) -> None:
    page = visit("/orders")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Buscar páginas e registros")
    expect(box).to_be_focused()
    box.press_sequentially("exped")
    chosen = page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_have_text("Expedição")
    expect(box).to_have_attribute("aria-activedescendant", "cmd-0")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/fulfillment"))
    first = page.locator("#cmd-list .m-label").first
    for _ in range(5):  # the choice is told by a beacon, which nobody waits for
        page.keyboard.press("Control+k")
        expect(page.locator("[role=option]").first).to_be_visible()
        if first.inner_text().casefold() == "escolhidos há pouco":
            break
        page.reload()
    assert first.inner_text().casefold() == "escolhidos há pouco"
    expect(page.locator("[role=option]").first).to_have_text("Expedição")


def test_the_arrows_go_through_groups_of_records(visit: Visit) -> None:
    page = visit("/", language="en")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search pages and records").press_sequentially("jonas")
    expect(page.locator("#cmd-list .m-label", has_text="Customers")).to_be_visible()
    labels = page.locator("#cmd-list .m-label").all_inner_texts()
    assert labels == ["Orders", "Customers"]
    options = page.locator("[role=option]")
    page.keyboard.press("ArrowUp")  # from the first to the last
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert violations(page) == []


# --- saved views ---


def test_a_filter_is_saved_renamed_opened_first_and_deleted(visit: Visit) -> None:
    page = visit("/orders?view=open&hold=fraud")
    page.locator("summary", has_text="Visões").click()
    page.get_by_role("button", name="Salvar o que a lista mostra").click()
    dialog = page.get_by_role("dialog", name="Salvar esta visão")
    dialog.get_by_label("Nome").fill("Fraudes")
    dialog.get_by_label("Abrir a lista nesta visão").check()
    dialog.get_by_role("button", name="Salvar visão").click()
    expect(page.locator("#toasts")).to_contain_text("Visão salva.")
    expect(page.locator("summary", has_text="Fraudes")).to_be_visible()

    page.get_by_role("navigation", name="Principal").get_by_role("link", name=re.compile(r"^Pedidos( \d+)?$")).click()
    expect(page).to_have_url(re.compile(r"hold=fraud"))
    page.locator("#views").get_by_text("Atrasados").click()
    expect(page).to_have_url(re.compile(r"view=late"))
    page.locator("summary", has_text="Visões").click()
    page.get_by_role("button", name="Organizar visões").click()
    dialog = page.get_by_role("dialog", name="Organizar visões")
    dialog.get_by_label("Nome").fill("")
    dialog.get_by_label("Nome").evaluate("input => input.removeAttribute('required')")
    dialog.get_by_role("button", name="Salvar Fraudes").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Uma visão precisa de um nome.")
    dialog.get_by_label("Nome").fill("Suspeitas")
    dialog.get_by_role("button", name="Salvar Fraudes").click()
    expect(page.locator("#toasts")).to_contain_text("Visão salva.")
    page.locator("summary", has_text="Visões").click()
    expect(page.locator(".m-views-menu")).to_contain_text("Suspeitas")
    page.get_by_role("button", name="Organizar visões").click()
    page.get_by_role("button", name="Excluir Suspeitas").click()
    expect(page.locator("#toasts")).to_contain_text("Visão excluída.")
    page.get_by_role("navigation", name="Principal").get_by_role("link", name=re.compile(r"^Pedidos( \d+)?$")).click()
    expect(page).to_have_url(re.compile(r"/orders$"))


# --- one's own settings ---


def test_language_and_theme_follow_the_person_to_another_browser(visit: Visit) -> None:
    page = visit("/me")
    page.get_by_label("Idioma").select_option("en")
    page.get_by_role("radio", name="Escuro").check()
    page.get_by_role("button", name="Salvar preferências").click()
    expect(page.locator("#toasts")).to_contain_text("Your settings are saved.")
    elsewhere = visit("/orders", language="pt-BR", theme="light")
    expect(elsewhere.locator("html")).to_have_attribute("lang", "en")
    expect(elsewhere.locator("html")).to_have_attribute("data-bs-theme", "dark")
    elsewhere.get_by_role("button", name="Switch to the light theme").click()
    expect(elsewhere.get_by_role("button", name="Switch to the dark theme")).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")


# --- all of it, both languages, both sizes ---

PAGES = ["/", "/me", "/components", "/orders?view=open&hold=fraud"]


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide light", "narrow dark"])
def test_pages_of_the_shell_are_accessible_and_fit(visit: Visit, size: Any, theme: str) -> None:
    found = {}
    language = "en" if theme == "dark" else "pt-BR"
    for path, page in walk(visit, PAGES, size=size, theme=theme, language=language):
        for summary in page.locator("main details > summary").all():
            summary.evaluate("summary => summary.parentElement.open = true")
        found[path] = violations(page)
        if wide := sideways(page):
            found[path].append(f"{wide} px too wide")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


TAG = """
INSERT INTO order_tag (order_id, placed_at, key, tag)
SELECT id, placed_at, 'presente', 'Presente' FROM sales_order WHERE number = %s
"""


@pytest.fixture
def tagged(seeded: str) -> Iterator[None]:
    """Orders with tags, so that their list has one filter more."""
    number = number_of(seeded, "status = 'allocated'")
    with patient(seeded) as connection:
        connection.execute(TAG, (number,))
    yield
    with patient(seeded) as connection:
        connection.execute("DELETE FROM order_tag WHERE key = 'presente'")


@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_a_menu_at_the_edge_of_the_page_opens_to_the_left(visit: Visit, tagged: None, language: str) -> None:
    page = visit("/orders?view=open&hold=fraud", size=WIDE, language=language)
    for summary in page.locator("main details[data-pop] > summary").all():
        summary.click()
        expect(summary.locator("+ *")).to_be_visible()
        page.wait_for_function(f"() => ({SIDEWAYS})().every(beyond => beyond <= 0)")
        page.keyboard.press("Escape")


def test_the_dialogs_of_saved_views_are_accessible(visit: Visit) -> None:
    page = visit("/orders?view=ready")
    for name in ("Uma", "Outra"):
        page.evaluate("id => document.getElementById(id).showModal()", "dlg-view-save")
        page.locator("#view-name").fill(name)
        with page.expect_navigation():
            page.get_by_role("button", name="Salvar visão").click()
    found = {}
    for dialog in ("dlg-view-save", "dlg-views"):
        page.evaluate("id => document.getElementById(id).showModal()", dialog)
        found[dialog] = violations(page)
        page.evaluate("id => document.getElementById(id).close()", dialog)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_components_page_shows_both_themes_whatever_the_page_has(visit: Visit) -> None:
    for theme in ("light", "dark"):
        page = visit("/components", theme=theme, language="en")
        grounds = page.locator(".m-spec > section").evaluate_all(
            "all => all.map(s => getComputedStyle(s).backgroundColor)"
        )
        assert grounds == ["rgb(245, 244, 240)", "rgb(14, 17, 25)"]
        bars = page.locator(".m-costbar .m-fill-c1").evaluate_all("all => all.map(b => getComputedStyle(b).fill)")
        assert bars[0] != bars[2]


# --- where the keyboard, and a person, is ---


def test_the_keyboard_goes_on_in_the_page_when_the_button_that_was_pressed_is_gone(visit: Visit, seeded: str) -> None:
    page = visit(f"/orders/{number_of(seeded, 'status = $$allocated$$ AND method = $$ship$$')}")
    page.locator(".m-head-actions").get_by_role("button", name="Liberar agora").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Liberado")
    expect(page.locator("#content")).to_be_focused()


def test_the_keyboard_stays_on_a_button_whose_act_is_refused(visit: Visit, seeded: str) -> None:
    page = visit(f"/orders/{number_of(seeded, 'status = $$allocated$$ AND method = $$ship$$')}")
    refused = '<div role="alert">Outra pessoa foi mais rápida.</div>'
    where = {"HX-Retarget": "#refusal", "HX-Reswap": "innerHTML", "Content-Type": "text/html; charset=utf-8"}
    stand_in(page, "**/release", lambda route: route.fulfill(status=409, headers=where, body=refused))
    button = page.locator(".m-head-actions").get_by_role("button", name="Liberar agora")
    button.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("mais rápida")
    expect(button).to_be_focused()


@pytest.mark.parametrize("path", ["/settings", "/products", "/audit"])
def test_the_menu_shows_where_a_person_is_however_far_down_that_stands(visit: Visit, path: str) -> None:
    page = visit(path)
    expect(page.locator(".m-nav [aria-current=page]")).to_be_in_viewport(ratio=1)
