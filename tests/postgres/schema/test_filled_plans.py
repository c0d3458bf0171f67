"""On a retailer with a past, each question of the lists and searches goes by the index that was made for it."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from test_plans import GROWING, whole_reads

from malha.bench.past import Past, Size, write
from malha.console import customer_reads, stock_reads
from malha.console.stock_reads import View as StockView
from malha.customers import reads as customers
from malha.fulfillment import finding
from malha.inventory import reads as inventory
from malha.notifications import reads as messages
from malha.ordering import finding_customers, finding_reads, list_reads, reads
from malha.ordering.listing import Due, Sort, View, Wanted
from malha.platform.db import Database, Tx
from malha.platform.ids import first_id
from malha.platform.text import fold

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ORDERS = 4_000
DAY = NOW.replace(hour=3)
STORE = (7,)
# Holds of carts: most are over.
HOLDS = """
WITH hold AS (
    INSERT INTO stock_hold (id, reference, state, expires_at, retired_at)
    SELECT gen_random_uuid(), 'cart-' || n, CASE WHEN n % 100 = 0 THEN 'active' ELSE 'released' END,
           now() + interval '1 hour', CASE WHEN n % 100 <> 0 THEN now() END
    FROM generate_series(1, 5000) n RETURNING id
)
INSERT INTO stock_hold_line (hold_id, sku_id, location_id, quantity)
SELECT id, 1 + (row_number() OVER ()) % 80, 1 + (row_number() OVER ()) % 30, 1 FROM hold
"""
# One tag that a quarter of all orders has, and one that few have; each of many other orders a tag of its own.
TAGS = """
INSERT INTO order_tag (key, placed_at, order_id, tag)
SELECT t.key, o.placed_at, o.id, t.key FROM sales_order o CROSS JOIN LATERAL (
    SELECT 'natal' AS key WHERE o.number % 4 = 0
    UNION ALL SELECT 'vip' WHERE o.number % 500 = 0
    UNION ALL SELECT 'lote ' || o.number % 40 WHERE o.number % 4 = 1) AS t
"""
# What led to profiles that went into others.
ALIASES = """
WITH merge AS (
    INSERT INTO customer_merge (id, actor, person, kept_id, gone_id, gone_number, kept_before, gone_before, kept_version)
    VALUES (gen_random_uuid(), 'test', 'test', gen_random_uuid(), gen_random_uuid(), 1, '{}', '{}', 1) RETURNING id
)
INSERT INTO customer_alias (value, customer_id, merge_id)
SELECT 'gone' || number || '@x.example', customer.id, merge.id FROM customer CROSS JOIN merge
"""
Ask = Callable[[Tx], Awaitable[Any]]


class Recorder(Tx):
    """Runs what it is asked, and remembers it."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx.connection, tx.retailer, tx.actor)
        self.asked: list[tuple[Any, Any]] = []

    __slots__ = ("asked",)

    async def cursor_of(self, statement: Any, params: Any = ()) -> Any:
        self.asked.append((statement, params))
        return await super().cursor_of(statement, params)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


async def plans_of(tx: Tx, ask: Ask) -> list[dict[str, Any]]:
    """The plans of everything that is asked, with a table read whole only where nothing else is possible."""
    recorder = Recorder(tx)
    await ask(recorder)
    plans = []
    async with tx.savepoint():
        await tx.connection.execute("SET LOCAL enable_seqscan = off")
        for statement, params in recorder.asked:
            text = statement if isinstance(statement, sql.Composable) else sql.SQL(statement)
            cursor = await tx.connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + text, params)
            row = await cursor.fetchone()
            assert row is not None
            plans.append(row[0][0]["Plan"])
        await tx.connection.execute("SET LOCAL enable_seqscan = on")
    return plans


def questions(past: Past) -> dict[str, tuple[Ask, set[str]]]:
    """What is asked, and the indexes that must answer."""
    name, cpf, email, phone = past.person(past.customer(777))

    def stock(view: StockView, **more: Any) -> Ask:
        wanted = stock_reads.Wanted(places=STORE, view=view, **more)
        return lambda tx: stock_reads.skus(tx, wanted, size=30)

    by_word, by_part = {"order_search_words"}, {"order_search_document"}
    return {
        "number": (lambda tx: finding_reads.find(tx, "777"), {"sales_order_number_key"}),
        "external id": (lambda tx: finding_reads.find(tx, "EXT-777"), {"sales_order_channel_id_external_id_key"}),
        "its beginning": (lambda tx: finding_reads.find(tx, "EXT-77"), {"sales_order_channel_id_external_id_key"}),
        "CPF": (lambda tx: finding_reads.find(tx, cpf), by_word),
        "e-mail": (lambda tx: finding_reads.find(tx, email), by_word),
        "telephone": (lambda tx: finding_reads.find(tx, phone), by_word),
        "GTIN": (lambda tx: finding_reads.find(tx, "7890000000017"), {*by_word, "variant_gtin"}),
        "name": (lambda tx: finding_reads.find(tx, name), {*by_word, "order_search_pkey"}),
        "what is not there": (lambda tx: finding_reads.find(tx, "zzqx"), {*by_part, "order_search_pkey"}),
        "tracking code": (lambda tx: finding.find(tx, "BR000000777"), {"shipment_tracking"}),
        "access key": (lambda tx: finding.find(tx, f"{777:044d}"), {"fiscal_document_access_key_key"}),
        "counts": (list_reads.counts, {"sales_order_open", "sales_order_promised"}),
        "counts of a store": (
            lambda tx: list_reads.counts(tx, scope=STORE),
            {"order_unit_claimed", "order_location_pkey", "sales_order_pkey"},
        ),
        "late": (lambda tx: list_reads.page(tx, Wanted(view=View.LATE), size=50), {"sales_order_promised"}),
        "promised for a day": (
            lambda tx: list_reads.page(tx, Wanted(promised_since=DAY, promised_until=DAY + timedelta(days=1)), size=50),
            {"sales_order_promised_for"},
        ),
        "promised for a day at a store": (
            lambda tx: list_reads.page(
                tx, Wanted(scope=STORE, promised_since=DAY, promised_until=DAY + timedelta(days=1)), size=50
            ),
            {"sales_order_promised_for", "order_unit_pkey"},
        ),
        "count of what is promised for a day": (
            lambda tx: list_reads.count(tx, Wanted(promised_since=DAY, promised_until=DAY + timedelta(days=1))),
            {"sales_order_promised_for"},
        ),
        "promised before now, not over": (
            lambda tx: list_reads.page(tx, Wanted(due=Due.LATE), size=50),
            {"sales_order_promised"},
        ),
        "open at a store": (
            lambda tx: list_reads.page(tx, Wanted(view=View.OPEN, scope=STORE), size=50),
            {"order_unit_claimed", "order_location_pkey"},
        ),
        "all of a store": (
            lambda tx: list_reads.page(tx, Wanted(scope=STORE, method="pickup"), size=500),
            {"sales_order_placed", "order_location_pkey"},
        ),
        "all of a location, oldest first": (
            lambda tx: list_reads.page(tx, Wanted(location_id=7), sort=Sort.OLDEST, size=500),
            {"sales_order_placed", "order_location_pkey"},
        ),
        "count of a location": (lambda tx: list_reads.count(tx, Wanted(location_id=7)), {"order_location_pkey"}),
        "a tag that many have": (lambda tx: list_reads.page(tx, Wanted(tags=("Natal",)), size=50), {"order_tag_pkey"}),
        "a tag that few have": (lambda tx: list_reads.page(tx, Wanted(tags=("VIP",)), size=50), {"order_tag_pkey"}),
        "a tag, oldest first, after a moment": (
            lambda tx: list_reads.page(
                tx, Wanted(tags=("Natal",), since=DAY - timedelta(days=9)), sort=Sort.OLDEST, size=50
            ),
            {"order_tag_pkey", "sales_order_pkey"},
        ),
        "a tag at a store": (
            lambda tx: list_reads.page(tx, Wanted(tags=("Natal",), scope=STORE), size=50),
            {"order_tag_pkey", "order_unit_pkey"},
        ),
        "two tags that many have, and few both": (
            lambda tx: list_reads.page(tx, Wanted(tags=("Natal", "VIP")), size=50),
            {"order_tag_pkey", "sales_order_pkey"},
        ),
        "any of some tags": (
            lambda tx: list_reads.page(tx, Wanted(tags=("Natal", "VIP", "lote 1"), any_tag=True), size=50),
            {"order_tag_pkey", "sales_order_pkey"},
        ),
        "any of some tags at a store, by their promise": (
            lambda tx: list_reads.page(
                tx, Wanted(tags=("Natal", "VIP"), any_tag=True, scope=STORE), sort=Sort.DUE, size=50
            ),
            {"order_tag_pkey", "order_unit_pkey"},
        ),
        "count of two tags": (
            lambda tx: list_reads.count(tx, Wanted(tags=("Natal", "VIP")), 1_000),
            {"order_tag_pkey"},
        ),
        "count of any of some tags": (
            lambda tx: list_reads.count(tx, Wanted(tags=("Natal", "VIP"), any_tag=True), 1_000),
            {"order_tag_pkey"},
        ),
        "count of a tag": (lambda tx: list_reads.count(tx, Wanted(tags=("Natal",)), 1_000), {"order_tag_pkey"}),
        "a tag as a search": (lambda tx: finding_reads.find(tx, "natal"), {"order_tag_pkey"}),
        "tags that there are": (reads.known_tags, {"order_tag_pkey"}),
        "tags of some orders": (lambda tx: reads.tags(tx, [first_id(NOW)]), {"order_tag_order"}),
        "customer by CPF": (lambda tx: customers.find(tx, cpf), {"customer_document", "customer_alias_pkey"}),
        "customer by e-mail": (lambda tx: customers.find(tx, email), {"customer_email"}),
        "customer by telephone": (lambda tx: customers.find(tx, phone), {"customer_phone"}),
        "customer by the number of an order": (
            lambda tx: finding_customers.find(tx, "777"),
            {"sales_order_number_key", "sales_order_channel_id_external_id_key", "order_customer_pkey"},
        ),
        "customer by what only an order has": (
            lambda tx: finding_customers.find(tx, "98.765.432/0001-00"),
            {*by_word, "order_customer_pkey"},
        ),
        "customer by name": (lambda tx: customers.find(tx, name), {"customer_number_key", "customer_folded"}),
        "customers found": (
            lambda tx: customer_reads.customers(tx, customer_reads.Wanted(search=name), size=50),
            {"customer_pkey", "order_customer_orders"},
        ),
        "customers of a store": (
            lambda tx: customer_reads.customers(tx, customer_reads.Wanted(scope=STORE), size=50),
            {"customer_number_key", "order_customer_orders", "order_unit_pkey"},
        ),
        "count of the customers of a store": (
            lambda tx: customer_reads.count(tx, customer_reads.Wanted(scope=STORE)),
            {"order_location_pkey", "order_customer_pkey", "order_unit_pkey"},
        ),
        "customers of a store by the API": (
            lambda tx: reads.customers_at(tx, STORE),
            {"customer_number_key", "order_customer_orders", "order_unit_pkey"},
        ),
        "messages of a store": (
            lambda tx: messages.log(tx, messages.LogWanted(scope=STORE), limit=50),
            {"message_newest", "order_unit_pkey"},
        ),
        "stock down to safety": (stock(StockView.SAFETY), {"balance_safety"}),
        "stock that is held": (stock(StockView.HELD), {"stock_hold_expiry"}),
        "stock with a deficit": (stock(StockView.DEFICIT), {"stock_deficit_open"}),
        "stock that is out": (stock(StockView.OUT, out=[1, 2, 3]), {"variant_pkey"}),
        "stock of a store": (stock(StockView.ALL), {"variant_sku_key"}),
        "stock by a word": (stock(StockView.ALL, search="product 17"), {"variant_folded"}),
        "availability": (lambda tx: inventory.availability_rows(tx, list(range(1, 51)), [7]), {"balance_pkey"}),
    }


async def test_questions_about_a_long_past_go_by_their_indexes(database: Database) -> None:
    past = await write(database, Size(ORDERS), NOW, lambda _text: None)
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        rows = connection.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
        partial = {name for (name,) in rows.fetchall()}
        connection.execute(HOLDS)
        connection.execute(TAGS)
        connection.execute(ALIASES)
        connection.execute("ANALYZE stock_hold, stock_hold_line, order_tag, customer_alias")
    problems = []
    async with database.transaction() as tx:
        for asked, (ask, expected) in questions(past).items():
            plans = await plans_of(tx, ask)
            used = {node["Index Name"] for plan in plans for node in nodes(plan) if "Index Name" in node}
            if not expected <= used:
                problems.append(f"{asked}: not by {', '.join(sorted(expected - used))}, but {', '.join(sorted(used))}")
            # Behind a limit an index may give the order of a list: that is no table read whole.
            whole = set().union(*[whole_reads(plan, partial) for plan in plans]) & GROWING
            if whole:
                problems.append(f"{asked}: reads {', '.join(sorted(whole))} whole")
    assert not problems, "\n".join(problems)


async def test_a_word_that_many_orders_have_is_looked_for_among_the_newest_and_found_in_full(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = await write(database, Size(ORDERS), NOW, lambda _text: None)
    monkeypatch.setattr(finding_reads, "RECENT", 500)
    monkeypatch.setattr(finding_reads, "MANY", 10)
    first, second, _last = past.person(past.customer(777))[0].split()
    async with database.transaction() as tx:
        for words, most, by_index in (
            (first, 40, False),
            (first, 120, False),
            (first, ORDERS, True),  # there are fewer
            (f"{first} {second}", 40, True),  # few of the newest have both
        ):
            monkeypatch.setattr(finding_reads, "FOUND_LIMIT", most)
            patterns = [f"%{fold(word)}%" for word in words.split()]
            every = await tx.values(
                "SELECT order_id FROM order_search WHERE document LIKE ALL(%(patterns)s::text[])"
                " ORDER BY placed_at DESC LIMIT %(most)s::int",
                {"patterns": patterns, "most": most},
            )
            recorder = Recorder(tx)
            found = await finding_reads.find(recorder, words)
            assert set(found) == set(every), (words, most)
            asked = [statement for statement, _params in recorder.asked]
            # As many as are wanted are there without sorting all orders that ever had the word.
            assert (finding_reads.FIND_WORDS in asked) == by_index, (words, most)
            # What was found is counted without asking again, unless something narrows it.
            wanted = Wanted(found=tuple(found))
            counting = Recorder(tx)
            assert await list_reads.count(counting, wanted, 30) == min(len(found), 31)
            assert not counting.asked
            narrowed = Wanted(found=tuple(found), view=View.OPEN)
            assert await list_reads.count(counting, narrowed, 1_000) == await tx.value(
                "SELECT count(*) FROM sales_order WHERE id = ANY(%(ids)s::uuid[])"
                " AND status NOT IN ('delivered', 'cancelled')",
                {"ids": found},
            )


async def test_a_question_without_its_index_is_found(database: Database) -> None:
    past = await write(database, Size(1_000), NOW, lambda _text: None)
    ask, expected = questions(past)["CPF"]
    async with database.transaction() as tx:
        await tx.connection.execute("DROP INDEX order_search_words")
        plans = await plans_of(tx, ask)
    used = {node.get("Index Name") for plan in plans for node in nodes(plan)}
    assert not expected & used
