"""What a franchise orders, receives, moves, counts and states is on no list of another one, nor in its files and figures.

Every page and file that names no record is asked for by people of the other franchise, with the words of the first in
the places where they fit.
"""

import re
from urllib.parse import quote, unquote

import pytest
from test_access import STREAMS, declared
from test_foreign_locations import CONSIGNOR, FIRST, SECOND, Franchise
from test_foreign_locations import shop as franchises  # noqa: F401 -- a fixture
from test_scope_matrix import furnish
from tests_http import Shop

from malha.identity.model import Role

# Words that somebody of a franchise typed, each in one place only.
NOTED = """
WITH here AS (SELECT id FROM location WHERE code = %(code)s::text),
  ordered AS (UPDATE inbound_order o SET supplier = 'supplier' || %(mark)s::text, reference = 'reference' || %(mark)s::text,
    note = 'expects' || %(mark)s::text WHERE EXISTS (SELECT FROM inbound_line l, here WHERE l.order_id = o.id AND l.location_id = here.id)),
  received AS (UPDATE receipt SET document = 'slip' || %(mark)s::text, note = 'received' || %(mark)s::text FROM here WHERE location_id = here.id),
  moved AS (UPDATE transfer SET document = 'paper' || %(mark)s::text, carrier = 'carrier' || %(mark)s::text,
    note = 'moves' || %(mark)s::text FROM here WHERE origin_id = here.id RETURNING transfer.id),
  lost AS (UPDATE transfer_discrepancy SET note = 'lost' || %(mark)s::text FROM moved WHERE transfer_id = moved.id),
  counted AS (UPDATE count_task SET zone = 'zone' || %(mark)s::text, note = 'counts' || %(mark)s::text FROM here WHERE location_id = here.id),
  apart AS (UPDATE allotment SET name = 'apart' || %(mark)s::text WHERE code = 'APART-' || %(code)s::text),
  spare AS (UPDATE safety_rule SET name = 'spare' || %(mark)s::text WHERE code = 'SPARE-' || %(code)s::text),
  stating AS (UPDATE stock_source SET name = 'source' || %(mark)s::text WHERE code = 'ERP-' || %(code)s::text),
  stated AS (UPDATE stock_snapshot s SET name = 'stated' || %(mark)s::text FROM stock_source o
    WHERE o.id = s.source_id AND o.code = 'ERP-' || %(code)s::text)
UPDATE location SET paused_reason = 'because' || %(mark)s::text, name = 'place' || %(mark)s::text FROM here WHERE location.id = here.id
"""


# What goods are sent to may be any location: these name them all, and tell nothing else of them.
SENDING = {"/transfers", "/transfers:new"}


@pytest.mark.parametrize(
    ("own", "other", "role"),
    [(FIRST, SECOND, Role.OWNER), (FIRST, CONSIGNOR, Role.STORE_LEAD), (CONSIGNOR, FIRST, Role.OWNER)],
    ids=["another franchise", "a consignor at the site", "the site of a consignor"],
)
async def test_no_list_tells_of_goods_that_are_anothers(
    franchises: Shop,  # noqa: F811
    own: Franchise,
    other: Franchise,
    role: Role,
) -> None:
    shop = franchises
    known = await furnish(shop)
    async with shop.database.transaction() as tx:
        for each in known:
            await tx.execute(NOTED, {"code": each.code, "mark": f"-{each.external_id}-typed"})
    mark = f"-{other.external_id}-typed"
    names = known[other].names
    marks = [mark, *(names[n] for n in ("reference", "source", "allotment", "safety_rule", "snapshot_id", "drift_id", "discrepancy_id", "message_id", "shipment_id", "document_id", "import_id", "session_id"))]  # fmt: skip
    headers = await shop.session(role, email="walker@loja.test", locations=[own.code])
    narrowed = f"location={other.code}&site={other.code}&sku={other.sku}&source={names['source']}"
    questions = ("", "?view=all&site=*", f"?{narrowed}", f"?q={quote(mark)}&view=all", f"?q={other.sku}&view=all",
                 f"?q={names['transfer_number']}&view=all&open={names['import_number']}")  # fmt: skip
    lists = {p for m, p, _permission in declared(shop.app) if m == "GET" and p not in STREAMS and "{" not in p}
    routes = sorted(lists | {"/channels/web/edit"})  # of everybody, and a form that could name locations
    found, answered = [], 0
    for path in routes:
        for question in questions:
            shop.http.cookies.clear()
            answer = await shop.http.get(path + question, headers=headers)
            assert answer.status_code < 500, (path, question, answer.text[:300])
            if answer.status_code != 200:
                continue
            answered += 1
            told, asked = answer.content.decode("utf-8", "replace"), unquote(question)
            told = told.replace(f"place{mark}", "") if path in SENDING else told
            # A code may be how another one begins.
            if given := [m for m in marks if m not in asked and re.search(rf"{re.escape(m)}(?![\w-])", told)]:
                found.append(f"{path}{question}: {given}")
    assert answered > 300
    assert not found, "\n".join(found)


async def test_the_lists_of_a_franchise_tell_of_its_own_goods(franchises: Shop) -> None:  # noqa: F811
    shop = franchises
    await furnish(shop)
    mark = f"-{FIRST.external_id}-typed"
    async with shop.database.transaction() as tx:
        await tx.execute(NOTED, {"code": FIRST.code, "mark": mark})
    headers = await shop.session(Role.OWNER, email="walker@loja.test", locations=[FIRST.code])
    lists = ("/purchase-orders?view=all", "/receipts?view=all", "/transfers?view=all", "/counts?view=all", "/allotments?view=all", "/safety-rules", "/stock-sync/sources", "/stock-sync/snapshots")  # fmt: skip
    for path in lists:
        answer = await shop.http.get(path, headers=headers)
        assert mark in answer.text, (path, answer.status_code)
