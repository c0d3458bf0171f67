"""What of a channel waits for a person, in a real browser: searched as it is typed, by cause, one and all."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, SHOTS, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
PAGE = "/connections/full/stuck"
CAME = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, state, cause, error)
SELECT c.id, 'w' || n, 'order:' || (70000 + n), 'webhook', 'data', '{"id": "70001", "buyer": {"name": "Ana"}}'::bytea,
       'parked', CASE WHEN mod(n, 9) = 0 THEN 'field' ELSE 'unknown_status' END, 'status levitating'
FROM connection c, generate_series(1, 60) n WHERE c.code = 'full'
"""
GONE = """
WITH told AS (
    INSERT INTO channel_op (key, connection_id, kind, entity, payload, state, cause, error, attempts, doubtful)
    SELECT '019a0000-0000-7000-8000-000000000001', id, 'cancel', 'order:70001', '{"order": "70001", "whole": true}', 'dead',
           'unknown_outcome', 'no whole answer came', 3, true
    FROM connection WHERE code = 'full' RETURNING key
)
INSERT INTO op_attempt (op_key, attempt, outcome, says)
SELECT key, n, CASE WHEN n = 3 THEN 'dead: unknown_outcome' ELSE 'waits' END, 'no whole answer came'
FROM told, generate_series(1, 3) n
"""


@pytest.fixture(scope="module")
def full(seeded: str) -> Iterator[None]:
    """A connection with sixty messages that wait, and a cancel nobody knows about; another with nothing."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            for code, name in (("full", "Marketplace"), ("idle", "Loja nova")):
                config = {"base_url": "https://loja.example/oms"}
                draft = ConnectionDraft(code=code, name=name, connector="generic", channel=channel, config=config)
                await service.add_connection(tx, draft, Keys(b"k" * 32))
            await tx.execute(CAME)
            await tx.execute(GONE)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM op_attempt WHERE op_key = '019a0000-0000-7000-8000-000000000001'")
            await tx.execute("DELETE FROM channel_op WHERE key = '019a0000-0000-7000-8000-000000000001'")
            await tx.execute(
                "DELETE FROM channel_inbox i USING connection c WHERE c.id = i.connection_id AND c.code = 'full'"
            )
            await tx.execute("DELETE FROM connection WHERE code IN ('full', 'idle')")

    apart(run)
    yield
    apart(away)


@pytest.mark.parametrize(
    ("language", "viewport", "theme"),
    [("pt-BR", WIDE, "light"), ("en", WIDE, "dark"), ("pt-BR", NARROW, "dark"), ("en", NARROW, "light")],
    ids=["wide", "wide-dark", "narrow-dark", "narrow"],
)
@pytest.mark.usefixtures("full")
def test_what_waits_is_whole_in_both_languages_widths_and_lights(
    visit: Visit, language: str, viewport: dict[str, int], theme: str
) -> None:
    for path in (
        PAGE, f"{PAGE}?cause=field", f"{PAGE}?way=out", f"{PAGE}/019a0000-0000-7000-8000-000000000001",
        f"{PAGE}?q=nobody", "/connections/idle/stuck", "/connections/full", "/attention", "/",
    ):  # fmt: skip
        page = visit(path, language=language, size=viewport, theme=theme)
        assert violations(page) == [], path
        assert sideways(page) == 0, path
        if SHOTS:
            name = path.replace("/", "-").replace("?", "-").replace("=", "-")[:40]
            shot(page, f"stuck{name}-{language}-{viewport['width']}-{theme}")


@pytest.mark.usefixtures("full")
def test_what_waits_is_found_as_it_is_typed_looked_at_and_given_up_by_its_cause(visit: Visit) -> None:
    page = visit("/connections/full", language="en")
    page.get_by_role("link", name="See all 60").click()
    expect(page.locator('input[name="pick"]')).to_have_count(50)
    page.get_by_role("searchbox").fill("70033")
    expect(page.locator('input[name="pick"]')).to_have_count(1)
    page.locator("a.m-id", has_text="Message").click()
    page.get_by_label("Reason").fill("to see the status")
    page.get_by_role("button", name="Show what came").click()
    expect(page.locator("pre.m-code")).to_contain_text('"name": "Ana"')
    page.goto(page.url.split("/connections/")[0] + f"{PAGE}?cause=field")
    page.get_by_role("button", name="Give all up").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Give all up").click()
    expect(page.get_by_role("link", name="What came in")).to_contain_text("54")
