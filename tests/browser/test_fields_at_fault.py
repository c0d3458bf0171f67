"""A form that is refused leads to the field at fault, wherever that is: in a form sent as a whole, in a group, folded up. It is sent once."""

import re
from collections.abc import Callable

import psycopg
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
UNCHECKED = "document.querySelectorAll('#content form').forEach(form => { form.noValidate = true; })"


def test_a_form_that_is_sent_as_a_whole_comes_back_at_the_field(visit: Visit) -> None:
    page = visit("/people/new")
    page.evaluate(UNCHECKED)
    page.locator("input[name=scope][value=everywhere]").check()
    page.get_by_label("Nome").fill("Bento")
    page.get_by_label("E-mail").fill("bento@")
    page.get_by_role("button", name=re.compile("^(Adicionar|Convidar)")).click()
    email = page.get_by_label("E-mail")
    expect(email).to_be_focused()
    expect(email).to_have_attribute("aria-invalid", "true")
    expect(email).to_have_value("bento@")
    expect(page.get_by_role("alert").get_by_role("listitem")).to_have_text(re.compile("^E-mail: "))


def test_an_event_that_there_is_not_is_told_where_it_was_typed(visit: Visit) -> None:
    page = visit("/webhooks/new", language="en")
    page.get_by_label("Who listens?").fill("ERP")
    page.get_by_label("Address").fill("https://erp.example/in")
    page.get_by_label("Or single events").fill("order.placd")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_label("Or single events")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("There is no event order.placd.")


def test_what_is_folded_up_is_opened_for_the_field_at_fault(visit: Visit) -> None:
    page = visit("/channel-feeds:new", language="en")
    page.evaluate(UNCHECKED)
    table = page.locator("textarea[name$='/table']").first
    folded = table.locator("xpath=ancestor::details[1]")
    expect(folded).not_to_have_attribute("open", "")
    table.evaluate("field => { field.value = 'no sign of equality'; }")
    page.locator("#content form.m-form [type=submit]").last.click()
    expect(table).to_be_focused()
    expect(table).to_be_visible()


def test_whoever_presses_twice_makes_one_key(visit: Visit, seeded: str) -> None:
    page = visit("/keys/new", language="en")
    page.locator("#name").fill("pressed twice")
    page.locator("input[name=scope][value=everywhere]").check()
    page.locator("#content input[type=checkbox]").first.check()
    button = page.locator("#content form button[type=submit]").last
    button.evaluate("button => { button.click(); setTimeout(() => button.click(), 40); }")
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    with psycopg.connect(seeded) as connection:
        made = connection.execute("SELECT count(*) FROM malha.api_key WHERE name = 'pressed twice'").fetchone()
    assert made == (1,)
