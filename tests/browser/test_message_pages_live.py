"""Writing a text in a real browser: a mistake is said and nothing typed is lost, the preview follows, saving keeps it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .conftest import NARROW, WIDE, sideways, violations

Visit = Callable[..., Page]
TEXT = "/messages/texts/refunded/pt-BR"


def test_a_text_is_previewed_refused_mended_and_saved(visit: Visit) -> None:
    page = visit(TEXT)
    mail = page.frame_locator("iframe[name=preview]")
    expect(mail.get_by_role("paragraph").filter(has_text="Devolvemos")).to_be_visible()
    body = page.get_by_label("Texto", exact=True)
    body.fill("Oi, {nome}")
    page.get_by_role("button", name="Salvar texto").click()
    expect(page.get_by_role("alert")).to_contain_text("Não existe o campo nome.")
    expect(body).to_have_value("Oi, {nome}")
    body.fill("Oi, {customer_name}: {amount}")
    page.get_by_role("button", name="Prévia").click()
    expect(mail.get_by_role("paragraph").filter(has_text="Oi, Marina")).to_be_visible()
    page.get_by_role("button", name="Salvar texto").click()
    expect(page.get_by_text("O texto foi salvo e já está em uso.")).to_be_visible()
    page.get_by_role("button", name="Voltar ao padrão").click()
    expect(page.get_by_text("O texto padrão está em uso a partir de agora.")).to_be_visible()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("path", ["/messages", "/messages?q=zzzz", "/messages/texts", TEXT])
def test_pages_of_messages_are_accessible_and_fit(visit: Visit, path: str, size: object) -> None:
    page = visit(path, size=size)
    assert violations(page) == []
    assert sideways(page) == 0
