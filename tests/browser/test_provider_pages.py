"""Logging in by a provider in a real browser: setting it up, the button, the way there and back, logging out."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.oidc_provider import honest

from malha.identity import providers
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, violations

Visit = Callable[..., Page]
IARA = {"sub": "iara-7", "email": "iara@aroeira.example", "email_verified": True, "name": "Iara Prado"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with honest(IARA) as found:
        yield found


@pytest.fixture
def gone_after(seeded: str) -> Iterator[None]:
    """Leave the log-in page as other tests know it."""
    yield

    async def delete() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await providers.delete_provider(tx, "aroeira")

    apart(delete)


def stay_here(page: Page) -> None:
    """The provider's own pages would load their style from elsewhere."""
    page.route(re.compile("^https:"), lambda route: route.abort())


def add_provider(visit: Visit, issuer: str) -> Page:
    page = visit("/providers:new", language="en")
    page.get_by_label("Name on the button").fill("Aroeira ID")
    page.get_by_label("Code", exact=True).fill("aroeira")
    page.get_by_label("Issuer").fill(issuer)
    page.get_by_label("Client id").fill("malha")
    page.get_by_label("Client secret").fill("a secret that is never shown")
    page.get_by_label("Add people at their first log-in").check()
    page.get_by_label("Role of whoever is new or fits no rule").select_option("planner")
    page.get_by_role("button", name="Add provider").click()
    expect(page.locator("#toasts")).to_contain_text("Provider added")
    return page


def test_an_owner_adds_a_provider_tries_it_and_somebody_logs_in_by_it(
    visit: Visit, issuer: str, gone_after: None
) -> None:
    page = visit("/providers:new", language="en")
    page.get_by_label("Name on the button").fill("Aroeira ID")
    page.get_by_label("Code", exact=True).fill("Not A Code")
    page.get_by_label("Issuer").fill("http://10.0.0.1/")
    page.get_by_label("Client id").fill("malha")
    page.get_by_role("button", name="Add provider").click()
    expect(page.get_by_role("alert")).to_contain_text("A code has small letters")
    expect(page.get_by_role("alert")).to_contain_text("it is not https")
    page = add_provider(visit, issuer)
    assert "a secret that is never shown" not in page.content()
    page.get_by_role("button", name="Test this provider").click()
    report = page.get_by_role("status").filter(has_text="What the provider said")
    expect(report).to_contain_text("The provider answers, and people log in at 127.0.0.1.")
    expect(report).to_contain_text("It publishes 1 key that signs.")
    assert violations(page) == []
    page.get_by_label("In use").check()
    page.get_by_role("button", name="Save provider").click()
    expect(page.locator("#toasts")).to_contain_text("Provider saved")

    for language, size, button, account, by in (
        ("pt-BR", NARROW, "Continuar com Aroeira ID", "Suas sessões", "por Aroeira ID"),
        ("en", WIDE, "Continue with Aroeira ID", "Your sessions", "by Aroeira ID"),
    ):
        page = visit("/stock", size=size, language=language, signed_in=False)
        stay_here(page)
        expect(page.get_by_role("button", name=button)).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name=button).click()
        page.get_by_role("button", name="iara-7").first.click()
        expect(page).to_have_url(re.compile(r"127\.0\.0\.1:\d+/stock$"))
        page.goto(re.sub(r"/stock$", "/account", page.url))
        expect(page.get_by_role("heading", name="Iara Prado")).to_be_visible()
        expect(page.get_by_role("region", name=account)).to_contain_text(by)
        page.evaluate("document.querySelector('form[action=\"/logout\"]').requestSubmit()")
        expect(page).to_have_url(re.compile(re.escape(issuer) + r"/.*"))

    page = visit("/login", language="en", signed_in=False)
    stay_here(page)
    page.get_by_role("button", name="Continue with Aroeira ID").click()
    expect(page.get_by_role("button", name="Deny")).to_be_visible()
    page.goto(parse_qs(urlsplit(page.url).query)["redirect_uri"][0])  # back by hand, without an answer
    expect(page.get_by_role("alert")).to_contain_text("This log-in cannot be finished")


def test_the_list_of_providers_says_who_could_come_in_without_them(visit: Visit, issuer: str, gone_after: None) -> None:
    add_provider(visit, issuer)
    page = visit("/providers", size=NARROW)
    expect(page.get_by_role("link", name="Aroeira ID")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Entrar somente por um provedor").click()
    expect(page.get_by_role("alert")).to_contain_text("ninguém conseguiria entrar")
