"""An ERP by files in a real browser: the form of its connection, what it put there, and which rows it has to mend."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.network import reads as network
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
HERE = "/connections/erp-antigo"
FILES = """
INSERT INTO partner_file (id, connection_id, way, kind, name, fingerprint, bytes, content, rows, listed, held, state,
                          says, ended_at)
SELECT ('00000000-0000-7000-9100-0000000000' || lpad(n::text, 2, '0'))::uuid, c.id,
       CASE WHEN n < 5 THEN 'in' ELSE 'out' END,
       (ARRAY['products', 'prices', 'orders', 'unknown', 'shipment'])[n],
       (ARRAY['PRODUTOS_2026-11-27.csv', 'PRECOS.csv', 'PEDIDOS_0815.csv', 'LEIA-ME.txt', 'SHIPMENT_P-77_1f0c9a34bd11.csv'])[n],
       int4send(n + 900), 412, '\\x1f8b0800000000000203010000ffff0000000000000000', (ARRAY[100000, 320, 41, 0, 2])[n],
       (ARRAY[48500, 320, 39, 0, 0])[n], CASE n WHEN 3 THEN 2 ELSE 0 END,
       (ARRAY['taken', 'done', 'held', 'held', 'done'])[n],
       CASE n WHEN 4 THEN '{"problem": "unknown_file", "value": "LEIA-ME.txt"}' ELSE '' END,
       CASE WHEN n > 1 THEN now() END
FROM connection c, generate_series(1, 5) n WHERE c.code = 'erp-antigo'
"""
FLAWS = """
INSERT INTO partner_flaw (file_id, row, problem, field, value)
SELECT id, r, CASE r WHEN 7 THEN 'no_amount' ELSE 'with_others' END, CASE r WHEN 7 THEN 'unit_price' ELSE '' END,
       CASE r WHEN 7 THEN 'a combinar' ELSE '' END
FROM partner_file, generate_series(7, 8) r WHERE name = 'PEDIDOS_0815.csv'
"""


@pytest.fixture(scope="module")
def told(seeded: str) -> None:
    """An ERP with a file that is being read, one with rows to mend, and one that nobody understands."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = (await network.channels(tx))[0].code
            config = {"host": "sftp.erp.example", "user": "malha", "locations": "01=LOJA-1", "columns": "COD=sku"}
            draft = ConnectionDraft(
                code="erp-antigo", name="ERP antigo", connector="erp_files", channel=channel, config=config
            )
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            await tx.execute(FILES)
            await tx.execute(FLAWS)

    apart(run)


@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_the_form_of_an_erp_by_files_says_what_each_option_is(told: None, visit: Visit, language: str) -> None:
    del told
    words = {"pt-BR": ("Arquivos de pedidos", "Cabeçalhos próprios"), "en": ("Files of orders", "Headings of its own")}
    for address, name in (("/connections:new?connector=erp_files", "new"), (HERE + "/edit", "edit")):
        for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
            page = visit(address, size=size, language=language)
            for word in words[language]:
                expect(page.get_by_label(word)).to_be_visible()
            assert violations(page) == []
            assert sideways(page) == 0
            shot(page, f"erp_form_{name}_{width}_{language}")
            page.get_by_label(words[language][0]).scroll_into_view_if_needed()
            page.mouse.wheel(0, 400)
            shot(page, f"erp_form_{name}_{width}_{language}_files")


@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_its_files_stand_on_a_page_with_what_is_to_be_mended(told: None, visit: Visit, language: str) -> None:
    del told
    for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
        page = visit(HERE, size=size, language=language)
        shot(page, f"erp_connection_{width}_{language}")
        page = visit(HERE + "/partner", size=size, language=language)
        expect(page.get_by_role("heading", level=1)).to_have_text("Arquivos" if language == "pt-BR" else "Files")
        expect(page.get_by_role("link", name="PRODUTOS_2026-11-27.csv", exact=True)).to_be_visible()
        expect(page.locator("form[action$='/locations']")).to_have_count(0)
        assert violations(page) == []
        assert sideways(page) == 0
        shot(page, f"erp_files_{width}_{language}")
    page.get_by_role("link", name="PEDIDOS_0815.csv").first.click()
    expect(page.get_by_text("a combinar")).to_be_visible()
    assert violations(page) == []
    shot(page, f"erp_file_{language}")


def test_headings_that_mean_nothing_are_refused_on_the_form(told: None, visit: Visit) -> None:
    del told
    page = visit(HERE + "/edit", size=WIDE, language="en")
    page.get_by_label("Headings of its own").fill("COD_PROD=sku, COR=colour")
    page.get_by_role("button", name="Save connection").click()
    expect(page.locator(".m-field-error", has_text="there is no column colour")).to_be_visible()
    shot(page, "erp_form_refused")
