"""What of connections waits for a person stands on the page of what needs attention, with what to do and a press."""

import re
from pathlib import Path

import msgspec
import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.channels.connecting import troubles
from malha.console import connection_stuck
from malha.identity.model import Role
from malha.platform.db import Database
from malha.platform.retrying import Breaker

CAME = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, state, cause)
SELECT id, cause || n, 'order:' || n, 'pull', 'hint', '1', CASE cause WHEN 'unmapped' THEN 'unmapped' ELSE 'parked' END, cause
FROM connection, unnest(ARRAY['exhausted', 'unmapped']) AS w(cause), generate_series(1, 2) n
"""
GONE = """
INSERT INTO channel_op (key, connection_id, kind, entity, payload, state, cause, doubtful)
SELECT gen_random_uuid(), id, 'push_shipment', cause, '{}', 'dead', cause, cause = 'unknown_outcome'
FROM connection, unnest(ARRAY['exhausted', 'unknown_outcome']) AS w(cause)
"""
LOOK = """
INSERT INTO stock_look (connection_id, began_at, shown, listed, passing, underway, differing)
SELECT id, now(), 2, 2, 0, 0, 7 FROM connection
"""

ATTEMPTED = """
WITH told AS (UPDATE channel_op SET payload = '{"order": "1001"}' WHERE cause = 'unknown_outcome' RETURNING key)
INSERT INTO op_attempt (op_key, attempt, outcome, says) SELECT key, 1, 'dead: unknown_outcome', 'no answer in time' FROM told
"""
CALLS = """
INSERT INTO api_log (connection_id, slot, at, operation, method, path, status, ms, says)
SELECT id, 900, now() - interval '2 hours', 'orders', 'GET', '/orders', 200, 5, '' FROM connection
UNION ALL SELECT id, 901, now(), 'orders', 'GET', '/orders', NULL, 5, 'no route to it' FROM connection
"""


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection with two messages and a parcel that failed, two without a mapping, and a parcel nobody knows of."""
    from contextlib import AsyncExitStack

    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        yield world, await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))


async def test_what_waits_is_shown_by_cause_and_all_of_a_cause_is_tried_again(made):
    world, shop = made
    owner = await shop.session()
    assert "Nothing needs attention" in (await shop.http.get("/attention", headers=owner)).text
    async with world.database.transaction() as tx:
        for statement in (CAME, GONE, LOOK):
            await tx.execute(statement)
        await tx.execute("UPDATE connection SET status = 'broken', why = 'HTTP 401'")
    page = (await shop.http.get("/attention", headers=owner)).text
    assert "Nothing needs attention" not in page
    for said in ("Loja is broken", "HTTP 401", "Loja: 2 messages wait", "Loja: 1 thing was not told", "7 listings"):
        assert said in page, said
    assert page.count('action="/attention/connections"') == 2, "only what trying again can mend has a press"
    for way, count in (("in", 2), ("out", 1)):
        form = {"connection": CODE, "way": way, "cause": "exhausted"}
        assert (await shop.http.post("/attention/connections", data=form, headers=owner)).status_code == 303
        table = "channel_inbox" if way == "in" else "channel_op"
        assert await world.values(f"SELECT count(*) FROM {table} WHERE state = 'waiting'") == [count]
        again = await shop.http.post("/attention/connections", data=form, headers=owner)
        assert again.status_code == 404


PARTNER = """
INSERT INTO connection (code, name, connector, config, status) VALUES
    ('sul', 'Armazéns do Sul', 'partner_files', '{"answer_hours": 2}', 'active'),
    ('norte', 'Norte Log', 'partner_http', '{}', 'active')
"""
ASKED = """
INSERT INTO channel_op (key, connection_id, kind, entity, payload, state, done_at)
SELECT (w.id || '-0000-7000-8000-000000000000')::uuid, c.id, 'ask', w.id, '{}', w.told, now() - w.ago * interval '1 hour'
FROM connection c JOIN (VALUES ('00000001', 'sul', 'done', 3), ('00000002', 'sul', 'done', 1), ('00000003', 'sul', 'done', 3),
    ('00000004', 'sul', 'dead', 3), ('00000005', 'norte', 'done', 3), ('00000006', 'norte', 'waiting', 3))
    AS w(id, code, told, ago) ON w.code = c.code
"""
REQUESTS = """
INSERT INTO partner_request (fulfillment_id, connection_id, name, root, order_id, location_id, op_key, state, due_at)
SELECT o.key, o.connection_id, 'F' || o.entity, o.key, gen_random_uuid(), 1, o.key,
       CASE WHEN o.entity = '00000003' THEN 'acknowledged' ELSE 'asked' END,
       now() + CASE WHEN o.entity IN ('00000003', '00000004') THEN -1 ELSE 24 END * interval '1 hour'
FROM channel_op o
"""


async def test_requests_that_a_partner_leaves_unanswered_or_late_are_shown_counted_and_on_the_first_page(made):
    world, shop = made
    owner = await shop.session()
    async with world.database.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")  # of work that this test needs no orders for
        for statement in (PARTNER, ASKED, REQUESTS):
            await tx.execute(statement)
    page = (await shop.http.get("/attention", headers=owner)).text
    assert "Armazéns do Sul: 2 requests to the partner are overdue" in page
    assert "Of 1 the goods should have left by now." in page
    assert 'href="/connections/sul/partner?view=overdue"' in page
    assert "Norte Log:" not in page, "its hours are not over, and what was not told yet is nobody's debt"
    home = (await shop.http.get("/", headers=owner)).text
    assert "2 requests to Armazéns do Sul are overdue" in home
    told = await shop.http.get("/v1/attention", headers=await shop.key(["doctor:read"]))
    assert len(told.json()["partners"]) == 1
    partner = told.json()["partners"][0]
    assert (partner["connection"], partner["requests"], partner["late"]) == ("sul", 2, 1)
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE partner_request SET state = 'ended', outcome = 'shipped', ended_at = now()")
    assert "are overdue" not in (await shop.http.get("/attention", headers=owner)).text


async def test_what_may_have_arrived_is_not_sent_again_together(made):
    world, shop = made
    async with world.database.transaction() as tx:
        await tx.execute(GONE)
    form = {"connection": CODE, "way": "out", "cause": "unknown_outcome"}
    owner = await shop.session()
    assert (await shop.http.post("/attention/connections", data=form, headers=owner)).status_code == 404
    assert await world.values("SELECT count(*) FROM channel_op WHERE state = 'dead'") == [2]


async def test_a_channel_that_does_not_answer_is_told_at_home_in_the_list_by_attention_and_to_the_alerts(made):
    world, shop = made
    owner = await shop.session()
    pages = {path: (await shop.http.get(path, headers=owner)).text for path in ("/", "/connections", "/attention")}
    for path, page in pages.items():
        assert "has not answered" not in page, path
        assert ">Does not answer<" not in page, path
    breaker, clock = Breaker(), 0.0
    while breaker.opened < 3:  # as the wire does: each trial after its rest fails again
        breaker, clock = breaker.failed(clock), max(clock + 1, breaker.until or 0)
    async with world.database.transaction() as tx:
        await tx.execute(
            "UPDATE connection_pace SET breaker = %(b)s::jsonb", {"b": msgspec.json.encode(breaker).decode()}
        )
        await tx.execute(CALLS)
    for path, sentence in (
        ("/", "Loja has not answered since"),
        ("/attention", "Loja has not answered since"),
        ("/attention", "no route to it"),
        ("/connections", "Does not answer"),
        (f"/connections/{CODE}", "Does not answer"),
    ):
        assert sentence in (await shop.http.get(path, headers=owner)).text, path
    async with world.database.transaction() as tx:
        await troubles.measure(tx)
    assert troubles.SILENT.collect()[0].samples[0].value == 1
    async with world.database.transaction() as tx:  # whoever is paused on purpose is no trouble
        await tx.execute("UPDATE connection SET status = 'paused'")
        assert await troubles.silent(tx) == []
        await tx.execute("UPDATE connection SET status = 'active'")
        await tx.execute("UPDATE connection_pace SET breaker = NULL")
        await tx.execute("UPDATE connection_cursor SET failures = 6, error = 'HTTP 400' WHERE stream = 'orders'")
    page = (await shop.http.get("/attention", headers=owner)).text
    assert "Loja cannot be read" in page
    assert "HTTP 400" in page


async def test_what_of_channels_waits_for_a_person_is_counted_at_home(made):
    world, shop = made
    owner = await shop.session()
    assert "of channels wait for you" not in (await shop.http.get("/", headers=owner)).text
    async with world.database.transaction() as tx:
        for statement in (CAME, GONE):
            await tx.execute(statement)
    assert "things of channels wait for you" in (await shop.http.get("/", headers=owner)).text


async def test_what_waits_is_searched_paged_looked_at_and_settled_by_cause(made, monkeypatch):
    world, shop = made
    owner = await shop.session()
    base = f"/connections/{CODE}/stuck"

    async def page(path: str, status: int = 200) -> str:
        answer = await shop.http.get(path, headers=owner)
        assert answer.status_code == status, answer.text[:800]
        return answer.text

    assert "Nothing waits" in await page(base)
    async with world.database.transaction() as tx:
        for statement in (CAME, GONE, ATTEMPTED):
            await tx.execute(statement)
    monkeypatch.setattr(connection_stuck, "PAGE", 3)
    first = await page(base)
    following = re.search(r'href="([^"]*after=\d+)"', first)
    assert following
    assert first.count('name="pick"') == 3
    assert (await page(following[1].replace("&amp;", "&"))).count('name="pick"') == 1
    assert (await page(f"{base}?cause=exhausted")).count('name="pick"') == 2
    assert (await page(f"{base}?q=order:2")).count('name="pick"') == 2
    assert "Nothing found" in await page(f"{base}?q=order_2")
    rows = (await shop.http.get(f"{base}:export.csv?way=in&cause=exhausted", headers=owner)).text.splitlines()
    assert len(rows) == 3
    key = (await world.values("SELECT key FROM channel_op WHERE cause = 'unknown_outcome'"))[0]
    shown = await page(f"{base}/{key}")
    assert "no answer in time" in shown
    assert "1001" not in shown
    why = {"why": "Olist asked"}
    assert (await shop.http.post(f"{base}/{key}/reveal", data={"why": " "}, headers=owner)).status_code == 422
    answer = await shop.http.post(f"{base}/{key}/reveal", data=why, headers=owner)
    assert "&#34;order&#34;: &#34;1001&#34;" in answer.text
    id_ = (await world.values("SELECT min(id) FROM channel_inbox"))[0]
    assert "It may name people" in await page(f"{base}/{id_}")
    answer = await shop.http.post(f"{base}/{id_}/reveal", data=why, headers=owner)
    assert '<pre class="m-code" tabindex="0">1</pre>' in answer.text
    revealed = "SELECT after ->> 'why' FROM audit WHERE action = 'reveal' AND entity = 'connection'"
    assert await world.values(revealed) == ["Olist asked"] * 2
    lead = await shop.session(Role.PLANNER)
    assert (await shop.http.post(f"{base}/{id_}/reveal", headers=lead)).status_code == 403
    await page(f"{base}/999999", 404)
    await page(f"{base}/nobody", 404)
    for act, cause, left in (("drop", "unmapped", 2), ("replay", "exhausted", 0)):
        form = {"act": act, "cause": cause, "way": "in"}
        assert (await shop.http.post(base, data=form, headers=owner)).status_code in {200, 303}
        assert await world.values("SELECT count(*) FROM channel_inbox WHERE state IN ('parked', 'unmapped')") == [left]
    form = {"act": "replay", "cause": "unknown_outcome", "way": "out"}
    assert (await shop.http.post(base, data=form, headers=owner)).status_code == 404, "each needs a word of its own"
