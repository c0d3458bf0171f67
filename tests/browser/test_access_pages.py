"""Coming in, in a real browser: a forgotten password, an invitation, a second factor; the pages of people, roles, keys."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import Page, expect
from tests.mail_server import Mailbox

from malha.identity import service as identity
from malha.identity import totp
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, seeding, sideways, violations

Visit = Callable[..., Page]
RunJobs = Callable[[Callable[[], bool]], None]
PASSWORD = "três canecas azuis"


def a_person(seeded: str, name: str, email: str, role: Role = Role.PLANNER) -> None:
    async def make() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await identity.create_person(tx, PersonDraft(name=name, email=email, role=role), password=PASSWORD)

    apart(make)


def log_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Senha").fill(password)
    page.get_by_role("button", name="Entrar").click()


def link_in(mailbox: Mailbox, to: str) -> str:
    text = next(m for m in reversed(mailbox.inbox) if to in str(m["To"])).get_content()
    found = re.search(r"http://127\.0\.0\.1:\d+(/access\?token=[\w-]+)", text)
    assert found, text
    return found[1]


def code_of(secret: str) -> str:
    return totp.code_at(totp.decoded(secret.replace(" ", "")), totp.step_at(datetime.now(UTC)))


def half_a_minute_passes(seeded: str) -> None:
    """Have a log-in take the code that is shown, although it was used to set up."""

    async def make() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("UPDATE second_factor SET last_step = last_step - 1")

    apart(make)


def test_who_forgot_the_password_comes_back_by_a_link_in_the_mail(
    visit: Visit, seeded: str, mailbox: Mailbox, run_jobs: RunJobs
) -> None:
    a_person(seeded, "Iolanda Reis", "iolanda@aroeira.example")
    page = visit("/login", signed_in=False)
    page.get_by_role("link", name="Esqueceu a senha?").click()
    page.get_by_label("E-mail").fill("iolanda@aroeira.example")
    page.get_by_role("button", name="Enviar o link").click()
    expect(page.get_by_role("heading", name="Veja seu e-mail")).to_be_visible()
    run_jobs(lambda: any("iolanda@" in str(m["To"]) for m in mailbox.inbox))
    page = visit(link_in(mailbox, "iolanda@"), signed_in=False)
    assert violations(page) == []
    page.get_by_label("Senha").fill("uma senha só minha")
    page.get_by_role("button", name="Salvar senha").click()
    expect(page.get_by_role("status")).to_contain_text("Sua senha foi salva")
    log_in(page, "iolanda@aroeira.example", "uma senha só minha")
    expect(page).to_have_url(re.compile(r"127\.0\.0\.1:\d+/$"))


def test_an_owner_invites_a_person_who_chooses_a_password(visit: Visit, mailbox: Mailbox, run_jobs: RunJobs) -> None:
    page = visit("/people", size=NARROW)
    page.get_by_role("link", name="Convidar pessoa").click()
    page.get_by_label("Nome").fill("Quirino Sales")
    page.get_by_label("E-mail").fill("quirino@aroeira.example")
    page.get_by_text("Líder de loja", exact=True).click()
    page.get_by_role("button", name="Convidar por e-mail").click()
    expect(page.get_by_role("alert")).to_contain_text("pelo menos um local")  # what was typed is still there
    expect(page.get_by_label("Nome")).to_have_value("Quirino Sales")
    page.get_by_text("Todos os locais", exact=True).click()
    page.get_by_role("button", name="Convidar por e-mail").click()
    expect(page.get_by_role("heading", name="Quirino Sales")).to_be_visible()
    expect(page.get_by_text("Convidado").first).to_be_visible()
    run_jobs(lambda: any("quirino@" in str(m["To"]) for m in mailbox.inbox))
    page = visit(link_in(mailbox, "quirino@"), signed_in=False)
    expect(page.get_by_role("heading", name="Boas-vindas, Quirino Sales")).to_be_visible()
    page.get_by_label("Senha").fill("uma senha só dele")
    page.get_by_role("button", name="Salvar senha").click()
    log_in(page, "quirino@aroeira.example", "uma senha só dele")
    expect(page).to_have_url(re.compile(r"127\.0\.0\.1:\d+/$"))


def test_a_second_factor_is_set_up_asked_for_and_replaced_by_a_recovery_code(visit: Visit, seeded: str) -> None:
    email = "zulmira@aroeira.example"
    a_person(seeded, "Zulmira Leal", email)
    page = visit("/login", signed_in=False)
    log_in(page, email, PASSWORD)
    page.get_by_role("link", name="Zulmira Leal").click()
    page.get_by_role("link", name="Senha e sessões").click()
    page.get_by_role("link", name="Configurar").click()
    expect(page.get_by_role("img", name="QR code do segredo").locator("svg")).to_be_visible()
    page.get_by_text("Não consigo ler o código").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("Código", exact=True).fill("000000")
    page.get_by_role("button", name="Ativar").click()
    expect(page.get_by_role("alert")).to_contain_text("não confere")
    page.get_by_label("Código", exact=True).fill(code_of(secret))
    page.get_by_role("button", name="Ativar").click()
    codes = page.locator("#codes li").all_inner_texts()
    assert len(codes) == 10
    half_a_minute_passes(seeded)
    assert violations(page) == []
    page.get_by_role("link", name="Já guardei").click()
    expect(page.get_by_text("Restam 10 códigos de recuperação.")).to_be_visible()

    for answer in (None, codes[0]):
        page.get_by_role("button", name="Sair").click()
        log_in(page, email, PASSWORD)
        expect(page.get_by_role("heading", name="Digite o código")).to_be_visible()
        assert violations(page) == []
        page.get_by_label("Código").fill(answer or code_of(secret))
        page.get_by_role("button", name="Entrar").click()
        expect(page).to_have_url(re.compile(r"127\.0\.0\.1:\d+/$"))


def test_a_key_is_made_copied_and_revoked(visit: Visit) -> None:
    page = visit("/keys/new", language="en")
    page.get_by_label("What is it for?").fill("ERP, stock")
    page.get_by_label("See stock").check()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_label("Secret", exact=True)).to_have_value(re.compile(r"^mk_[a-z2-7]{8}_"))
    assert violations(page) == []
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Revoke ERP, stock").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.locator("#toasts")).to_contain_text("ERP, stock is revoked.")


def test_a_page_that_is_loaded_again_sends_its_form_no_more_unless_it_was_refused(visit: Visit, seeded: str) -> None:
    page = visit("/keys/new", language="en")
    page.get_by_label("What is it for?").fill("Made once")
    page.get_by_label("See stock").check()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_label("Secret", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Create key")).to_be_visible()
    with psycopg.connect(seeded) as connection:
        found = connection.execute("DELETE FROM malha.api_key WHERE name = 'Made once' RETURNING id").fetchall()
    assert len(found) == 1
    page.goto(page.url.replace("/keys/new", "/people/new"))
    page.get_by_label("Name", exact=True).fill("Twice There")
    page.get_by_label("E-mail").fill("helena@aroeira.example")
    page.get_by_label("Customer service").check()
    page.get_by_label("All locations").check()
    page.locator("main form.m-panel [type=submit]").click()
    expect(page.locator("main [role=alert]")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Twice There")


def test_a_person_is_found_and_their_rights_are_changed(visit: Visit, seeded: str) -> None:
    a_person(seeded, "Ícaro Môra", "icaro@aroeira.example", Role.AUDITOR)
    page = visit("/people")
    page.get_by_label("Nome ou e-mail").fill("icaro mo")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Ícaro Môra").click()
    page.get_by_text("Planejamento", exact=True).click()
    page.get_by_role("button", name="Salvar").click()
    expect(page.locator("#toasts")).to_contain_text("Salvo")
    page.get_by_role("button", name="Desativar acesso").click()
    page.get_by_role("dialog").get_by_role("button", name="Desativar acesso").click()
    expect(page.get_by_role("button", name="Reativar acesso")).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/people", "/people/new", "/roles", "/keys", "/keys/new", "/account", "/account/second-factor", "/forgot"]
)
def test_the_pages_are_accessible_and_fit_every_screen(visit: Visit, path: str) -> None:
    for size, language, theme in ((WIDE, "pt-BR", "light"), (NARROW, "en", "dark")):
        page = visit(path, size=size, language=language, theme=theme, signed_in=path != "/forgot")
        assert violations(page) == []
        wide = page.evaluate(
            "[document.querySelector('.m-page') ?? document.documentElement].map(e => e.scrollWidth - e.clientWidth)[0]"
        )
        assert wide <= 0, (path, size)


def test_the_owners_own_page_leads_to_the_account(visit: Visit) -> None:
    page = visit("/people")
    page.get_by_role("row", name=re.compile(seeding.OWNER[1])).get_by_role("link").click()
    expect(page.get_by_text("Este é você.")).to_be_visible()
    expect(page.get_by_role("button", name="Desativar acesso")).to_have_count(0)
    assert violations(page) == []


def test_the_page_of_the_api_is_read_on_a_phone_without_scrolling_sideways(visit: Visit) -> None:
    page = visit("/v1/docs", size=NARROW)
    expect(page.locator("h1")).to_be_visible()
    assert sideways(page) == 0
