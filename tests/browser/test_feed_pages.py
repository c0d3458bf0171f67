"""Feeds in a real browser: from the empty page over the form with its preview to a built file and the rows to mend."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from malha.channels.feeds import building  # noqa: F401 -- declares its jobs

from .conftest import NARROW, SHOTS, shot, unsound, violations

Visit = Callable[..., Page]


def ask(seeded: str, statement: str, *params: Any) -> list[Any]:
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        cursor = connection.execute(statement, params)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def listed(seeded: str) -> Iterator[str]:
    """All SKUs on one channel; without feeds before and after."""
    channel = ask(seeded, "SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")[0][0]
    ask(
        seeded,
        "INSERT INTO listing (channel_id, sku_id, code) SELECT c.id, v.id, v.sku FROM channel c, variant v WHERE c.code = %s"
        " ON CONFLICT DO NOTHING",
        channel,
    )
    ask(seeded, "DELETE FROM feed")
    yield channel
    ask(seeded, "DELETE FROM feed")
    ask(
        seeded,
        "DELETE FROM listing l USING channel c WHERE c.id = l.channel_id AND c.code = %s AND l.sent_at IS NULL",
        channel,
    )


def test_a_feed_is_made_previewed_built_and_its_rows_to_mend_are_read(
    visit: Visit, listed: str, seeded: str, run_jobs: Any
) -> None:
    page = visit("/channel-feeds")
    expect(page.get_by_text("Nenhum feed ainda")).to_be_visible()
    assert violations(page) == []
    shot(page, "empty")
    page.get_by_role("link", name="Google: produtos").click()
    page.get_by_label("Código", exact=True).fill("vitrine")
    page.get_by_label("Canal de venda", exact=True).select_option(listed)
    # The preview follows the form.
    source = page.get_by_label("O que preenche title")
    source.select_option("template")
    page.get_by_label("Nome ou texto de title").fill("OFERTA {sku}")
    page.get_by_label("Nome ou texto de title").blur()
    expect(page.locator("#preview")).to_contain_text("OFERTA ")
    page.get_by_label("Nome ou texto de title").fill("{nada}")
    page.get_by_label("Nome ou texto de title").blur()
    expect(page.locator("#preview")).to_contain_text("Não existe aqui o campo nada")
    page.get_by_role("button", name="Salvar", exact=True).click()
    expect(page.locator("#refusal")).to_contain_text("Não existe aqui o campo nada")
    page.get_by_label("Nome ou texto de title").fill("{name} {brand}")
    page.get_by_label("Nome ou texto de link").fill("https://loja.example/{sku|url}")
    page.get_by_label("Nome ou texto de link").blur()
    expect(page.locator("#preview")).to_contain_text("https://loja.example/")
    shot(page, "form")
    page.get_by_role("button", name="Salvar", exact=True).click()
    expect(page).to_have_url(re.compile("/channel-feeds/vitrine$"))
    address = page.get_by_label("Todas as linhas").first
    expect(address).to_have_value(re.compile(r"/feeds/[\w-]{32}/vitrine\.tsv$"))
    page.get_by_role("button", name="Gerar agora").click()
    expect(page.get_by_role("heading", name="O feed está sendo gerado")).to_be_visible()
    run_jobs(lambda: ask(seeded, "SELECT state FROM feed_build")[0][0] == "done")
    expect(page.get_by_role("heading", name="O feed está sendo gerado")).to_be_hidden()
    assert violations(page) == []
    shot(page, "show")
    page.locator("#s-mend").locator("..").get_by_role("link", name="Relatório").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Relatório da geração")
    shot(page, "report")
    first = page.locator(".m-feed-bar a").first
    word = first.inner_text()
    first.click()
    expect(page).to_have_url(re.compile(r"rule=\w+"))
    expect(page.locator("td[data-cell=wrong] span").first).to_have_text(word)
    with page.expect_download() as download:
        page.locator("summary", has_text="Exportar").click()
        page.get_by_role("link", name="CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    assert word in text
    token = ask(seeded, "SELECT encode(salt, 'hex') FROM feed")
    page.goto(page.url.partition("/builds")[0])
    before = page.get_by_label("Todas as linhas").first.input_value()
    page.get_by_role("button", name="Outro endereço").click()
    page.get_by_role("dialog").get_by_role("button", name="Outro endereço").click()
    expect(page.locator("#toasts")).to_contain_text("outro endereço")
    assert ask(seeded, "SELECT encode(salt, 'hex') FROM feed") != token
    assert page.get_by_label("Todas as linhas").first.input_value() != before


def test_pages_of_feeds_are_sound_wide_and_narrow_light_and_dark_in_both_languages(
    visit: Visit, listed: str, seeded: str, run_jobs: Any
) -> None:
    for target, code in (("google_local", "lojas"), ("generic", "parceiro"), ("generic_local", "pontos")):
        page = visit(f"/channel-feeds:new?target={target}", language="en")
        page.get_by_label("Code", exact=True).fill(code)
        page.get_by_label("Sales channel", exact=True).select_option(listed)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page).to_have_url(re.compile(f"/channel-feeds/{code}$"))
        page.get_by_role("button", name="Build now").click()
        expect(page.get_by_role("heading", name="The feed is being built")).to_be_visible()
        page.close()
    run_jobs(lambda: {state for (state,) in ask(seeded, "SELECT state FROM feed_build")} == {"done"})
    number = ask(
        seeded, "SELECT max(number) FROM feed_build WHERE feed_id = (SELECT id FROM feed WHERE code = 'lojas')"
    )[0][0]
    paths = {
        "list": "/channel-feeds",
        "show": "/channel-feeds/lojas",
        "edit": "/channel-feeds/parceiro/edit",
        "edit of stores": "/channel-feeds/pontos/edit",
        "report": f"/channel-feeds/lojas/builds/{number}",
    }
    if SHOTS:
        for name, path in paths.items():
            for size, of in ((NARROW, "narrow"), ({"width": 1366, "height": 768}, "wide")):
                page = visit(path, size=size, language="pt-BR" if of == "narrow" else "en")
                page.wait_for_timeout(300)
                shot(page, f"{name}-{of}", whole=False)
                page.close()
    assert unsound(visit, paths) == {}
    assert unsound(visit, paths, size=NARROW, language="en") == {}
    assert unsound(visit, paths, theme="dark") == {}
