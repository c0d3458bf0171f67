"""Means of contact in a real browser: a gateway described and refused in place, an order promised anew, a shopper's wishes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from playwright.sync_api import Page, expect

from malha.notifications import wishes
from malha.notifications.model import Channel
from malha.platform.settings import Settings
from malha.platform.signing import keys_of

from .conftest import NARROW, WIDE, sideways, violations, walk

Visit = Callable[..., Page]
PAGES = [
    "/messages/means",
    "/messages/means/sms?preset=zenvia-sms",
    "/messages/means/whatsapp?preset=whatsapp-cloud",
    "/messages/means/email",
    "/messages/texts/shipped/pt-BR?means=sms",
    "/messages/texts/shipped/en?means=whatsapp",
    "/messages?view=untold",
]


@pytest.fixture
def customer(seeded: str) -> Iterator[tuple[str, str]]:
    """A customer who agreed to something, and an order of theirs: their number and the order's id."""
    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("SET search_path TO malha")
        row = connection.execute(
            "SELECT c.number, c.id, k.order_id FROM customer c JOIN order_customer k ON k.customer_id = c.id"
            " ORDER BY c.number LIMIT 1"
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO message_consent (id, customer_id, purpose, channel, given, source, proof, at, recorded_by)"
            " VALUES (gen_random_uuid(), %s, 'marketing', 'email', true, 'checkout', 'caixa marcada no site', now(), 'x')",
            (row[1],),
        )
        yield str(row[0]), str(row[2])


@pytest.mark.parametrize(("size", "language"), [(WIDE, "pt-BR"), (NARROW, "en")], ids=["wide", "narrow"])
def test_pages_of_means_are_accessible_and_fit(visit: Visit, size: object, language: str, customer) -> None:
    for path, page in walk(visit, [*PAGES, f"/customers/{customer[0]}"], size=size, language=language):
        assert violations(page) == [], path
        fits = sideways(page) == 0
        assert fits, path


def test_a_gateway_is_refused_in_place_mended_and_saved(visit: Visit) -> None:
    page = visit("/messages/means/sms?preset=zenvia-sms")
    page.get_by_label("Segredo", exact=True).fill("uma-chave")
    page.get_by_role("button", name="Salvar provedor").click()
    expect(page.get_by_role("alert")).to_contain_text("Falta preencher algo entre sinais")
    body = page.get_by_label("Corpo", exact=True)
    body.fill(body.input_value().replace("<sender>", "loja"))
    expect(page.get_by_label("Segredo", exact=True)).to_have_value("uma-chave")
    page.get_by_role("button", name="Salvar provedor").click()
    expect(page.get_by_text("O provedor foi salvo.")).to_be_visible()
    expect(page.get_by_label("Segredo", exact=True)).to_have_value("")
    expect(page.get_by_label("Corpo", exact=True)).to_have_value(body.input_value())


def test_a_short_text_is_counted_while_it_is_shown(visit: Visit) -> None:
    page = visit("/messages/texts/paid/pt-BR?means=sms")
    shown = page.frame_locator("iframe[name=preview]")
    expect(shown.get_by_text("1 SMS")).to_be_visible()
    page.get_by_label("Texto", exact=True).fill("a" * 161)
    page.get_by_role("button", name="Prévia").click()
    expect(shown.get_by_text("2 SMS")).to_be_visible()


def test_an_order_is_promised_for_another_day_and_the_page_says_both(visit: Visit, seeded: str) -> None:
    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("SET search_path TO malha")
        row = connection.execute(
            "UPDATE sales_order SET promised_at = now() + interval '2 days' WHERE number = (SELECT max(number)"
            " FROM sales_order WHERE status = 'allocated') RETURNING number"
        ).fetchone()
    assert row is not None
    page = visit(f"/orders/{row[0]}")
    page.get_by_text("Mais", exact=True).click()
    page.get_by_role("button", name="Prometer outra data").click()
    dialog = page.get_by_role("dialog")
    assert violations(page) == []
    day = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    dialog.get_by_label("Nova data").fill(day)
    dialog.get_by_label("Motivo").select_option("other")
    dialog.get_by_role("button", name="Prometer e avisar").click()
    expect(dialog.get_by_role("alert")).to_contain_text("É preciso dar um motivo.")
    dialog.get_by_label("Observação para os colegas").fill("greve dos correios")
    dialog.get_by_role("button", name="Prometer e avisar").click()
    expect(page.get_by_text("; o cliente é avisado")).to_be_visible()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Antes, para")).to_be_visible()


@pytest.mark.parametrize(("size", "language"), [(WIDE, "pt-BR"), (NARROW, "en")], ids=["wide", "narrow"])
def test_a_shopper_chooses_what_to_get(
    visit: Visit, web_settings: Settings, customer, size: object, language: str
) -> None:
    from uuid import UUID

    link = wishes.wishes_path(keys_of(web_settings), UUID(customer[1]), Channel.EMAIL, at=datetime.now(UTC))
    page = visit(f"{link}?language={language}", size=size, language=language)
    assert violations(page) == []
    assert sideways(page) == 0
    page.get_by_role("group").nth(0).get_by_label("E-mail").uncheck()
    page.get_by_role("button").last.click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(page.get_by_role("group").nth(0).get_by_label("E-mail")).not_to_be_checked()
