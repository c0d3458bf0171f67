"""A logistics partner in a real browser: what it has not answered, files with errors, its locations and its key."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
HERE = "/connections/parceiro/partner"
PLACE = """
INSERT INTO partner_location (location_id, connection_id, theirs)
SELECT (SELECT f.location_id FROM fulfillment_order f ORDER BY f.number LIMIT 1), id, 'ARM-1'
FROM connection WHERE code = 'parceiro'
"""
OPS = """
INSERT INTO channel_op (key, connection_id, kind, entity, payload, state, done_at, cause, error)
SELECT ('00000000-0000-7000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, c.id, 'ask', 'request:F' || n, '{}',
       CASE n WHEN 3 THEN 'dead' ELSE 'done' END, now() - make_interval(hours => 8 - 2 * n),
       CASE n WHEN 3 THEN 'invalid' END, CASE n WHEN 3 THEN 'out: No space left on device' END
FROM connection c, generate_series(1, 4) n WHERE c.code = 'parceiro'
"""
REQUESTS = """
INSERT INTO partner_request (fulfillment_id, connection_id, order_id, location_id, root, name, op_key, due_at, state,
                             outcome, answered_at, ended_at, note)
SELECT f.id, c.id, f.order_id, f.location_id, f.id, 'F' || f.number,
       ('00000000-0000-7000-8000-0000000000' || lpad(f.n::text, 2, '0'))::uuid, now() + interval '5 hours',
       CASE f.n WHEN 2 THEN 'acknowledged' WHEN 4 THEN 'ended' ELSE 'asked' END, CASE f.n WHEN 4 THEN 'shipped' END,
       CASE WHEN f.n IN (2, 4) THEN now() END, CASE WHEN f.n = 4 THEN now() END, ''
FROM connection c, (SELECT *, row_number() OVER (ORDER BY number) AS n FROM fulfillment_order ORDER BY number LIMIT 4) f
WHERE c.code = 'parceiro'
"""
LINES = """
INSERT INTO partner_request_line (fulfillment_id, line, sku_id, asked, short)
SELECT r.fulfillment_id, 1, (SELECT min(id) FROM variant), 3, 1 FROM partner_request r
"""
FILES = """
INSERT INTO partner_file (id, connection_id, way, kind, name, fingerprint, bytes, content, rows, held, state, says, ended_at)
SELECT ('00000000-0000-7000-9000-0000000000' || lpad(n::text, 2, '0'))::uuid, c.id,
       CASE WHEN n < 3 THEN 'in' ELSE 'out' END, CASE n WHEN 1 THEN 'shipments' WHEN 2 THEN 'stock' ELSE 'pick' END,
       CASE n WHEN 1 THEN 'SHIP_2026-11-26.csv' WHEN 2 THEN 'STOCK_2026-11-26.csv' ELSE 'PICK_F12_1f0c9a34bd11.csv' END,
       int4send(n), 412, '\\x1f8b0800000000000203010000ffff0000000000000000', 6, CASE n WHEN 1 THEN 2 ELSE 0 END,
       CASE n WHEN 1 THEN 'held' ELSE 'done' END, '', now()
FROM connection c, generate_series(1, 3) n WHERE c.code = 'parceiro'
"""
FLAWS = """
INSERT INTO partner_flaw (file_id, row, problem, field, value)
SELECT id, r, CASE r WHEN 2 THEN 'unknown_sku' ELSE 'no_quantity' END, CASE r WHEN 2 THEN 'sku' ELSE 'quantity' END,
       CASE r WHEN 2 THEN 'NOPE' ELSE 'um' END
FROM partner_file, generate_series(2, 3) r WHERE kind = 'shipments'
"""


@pytest.fixture(scope="module")
def partnered(seeded: str) -> None:
    """A partner with a request that nobody answered, one that could not be sent, and a file with rows to mend."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            draft = ConnectionDraft(
                code="parceiro",
                name="Armazéns do Sul",
                connector="partner_files",
                config={"host": "127.0.0.1", "user": "loja", "stock_source": "wms"},
                secrets={"password": "secret-of-the-partner"},
            )
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            for statement in (PLACE, OPS, REQUESTS, LINES, FILES, FLAWS):
                await tx.execute(statement)

    apart(run)


@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_a_partner_page_shows_what_needs_somebody_and_is_sound(partnered: None, visit: Visit, language: str) -> None:
    del partnered
    for size, name in ((WIDE, "wide"), (NARROW, "narrow")):
        page = visit(HERE, size=size, language=language)
        words = "Precisam de atenção" if language == "pt-BR" else "Need attention"
        expect(page.get_by_role("link", name=words)).to_have_attribute("aria-current", "page")
        expect(page.get_by_text("No space left on device")).to_be_visible()
        assert violations(page) == []
        assert sideways(page) == 0
        shot(page, f"a_partner_{name}_{language}")


def test_the_rows_of_a_file_to_mend_are_told_and_requests_can_be_found(partnered: None, visit: Visit) -> None:
    del partnered
    page = visit(HERE, size=WIDE, language="en")
    page.get_by_role("link", name="SHIP_2026-11-26.csv").first.click()
    expect(page.get_by_text("there is no SKU “NOPE”")).to_be_visible()
    assert violations(page) == []
    shot(page, "a_partner_file")
    page = visit(HERE + "?view=ended", size=WIDE, language="en")
    expect(page.get_by_text("Shipped")).to_be_visible()


def test_a_location_is_renamed_and_a_server_that_is_away_is_told(partnered: None, visit: Visit) -> None:
    del partnered
    page = visit(HERE, size=WIDE, language="en")
    page.locator("#t-1").fill("CD-SUL")
    with page.expect_navigation():  # else the next press is lost with this page
        page.locator("form[action$='/locations'] button[type=submit]").click()
    expect(page.locator("#t-1")).to_have_value("CD-SUL")
    page.locator("form[action$='/key'] button[type=submit]").click()
    expect(page.get_by_text("The file server cannot be reached")).to_be_visible()
