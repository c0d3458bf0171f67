"""Connections in a real browser: made, tested, looked after; what its words mean, and what nobody can know."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import inbox, queueing, service
from malha.channels.connecting.model import ConnectionDraft, NewOp, OpKind
from malha.channels.contract import ExtLine, ExtOrder, ExtPayment, InboxEvent, PaidState, Trust
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
CAME = """
INSERT INTO reconciliation (connection_id, kind, day, ours, theirs, ours_total, theirs_total, differing)
SELECT id, 'orders', DATE '2026-11-25' - n, 40 + n, 40 + n + (n = 1)::int, 812300, 812300 + 9900 * (n = 1)::int,
       CASE WHEN n = 1 THEN ARRAY['+1007'] ELSE '{}' END
FROM connection, generate_series(0, 3) n WHERE code = 'loja'
"""
LOG = """
INSERT INTO api_log (connection_id, slot, at, operation, method, path, status, ms, says)
SELECT id, n, now() - make_interval(secs => n * 7), 'pull_orders', 'GET', '/orders?cursor=***', CASE WHEN n = 2 THEN 502
       WHEN n = 3 THEN NULL ELSE 200 END, 80 + n, CASE WHEN n = 2 THEN 'HTTP 502' ELSE '' END
FROM connection, generate_series(1, 5) n WHERE code = 'loja'
"""


@pytest.fixture(scope="module")
def linked(seeded: str) -> Iterator[None]:
    """A connection with an order that waits for a word, one of an unknown status, and a parcel nobody knows about."""

    def order(id_: str, method: str) -> InboxEvent:
        told = ExtOrder(
            id=id_,
            version=1,
            placed_at=datetime(2026, 11, 26, tzinfo=UTC),
            currency="BRL",
            lines=[ExtLine(quantity=1, unit_price=1000, sku="A")],
            payments=[ExtPayment(id="p", method=method, amount=1000, state=PaidState.CAPTURED)],
        )
        return InboxEvent(dedup=f"w{id_}", entity=f"order:{id_}", trust=Trust.DATA, order=told)

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code="loja",
                name="Loja online",
                connector="generic",
                channel=channel,
                config={"base_url": "https://loja.example/oms"},
                secrets={"api_key": "secret-of-the-shop"},
            )
            made = await service.add_connection(tx, draft, Keys(b"k" * 32))
            await inbox.keep(tx, made.id, "webhook", [order("1001", "cc_visa"), order("1002", "pix")])
            push = {"order": "1000", "shipment": "s", "lines": [], "shipped_at": "2026-11-26T12:00:00Z"}
            op = NewOp(connection_id=made.id, kind=OpKind.PUSH_SHIPMENT, entity="order:1000", name="s", payload=push)
            await queueing.add(tx, [op])
            for statement in (
                (
                    "UPDATE channel_inbox SET state = 'unmapped', cause = 'unmapped', wants = '{payment:cc_visa}'"
                    " WHERE dedup = 'w1001'"
                ),
                (
                    "UPDATE channel_inbox SET state = 'parked', cause = 'unknown_status', error = 'status half-shipped'"
                    " WHERE dedup = 'w1002'"
                ),
                "UPDATE channel_op SET state = 'dead', cause = 'unknown_outcome', error = 'no whole answer'",
                (
                    "INSERT INTO method_mapping (connection_id, kind, theirs)"
                    " SELECT id, 'payment', 'cc_visa' FROM connection"
                ),
                CAME,
                LOG,
            ):
                await tx.execute(statement)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM connection")

    apart(run)
    yield
    apart(away)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.usefixtures("linked")
def test_the_pages_are_whole_in_both_languages_and_widths(
    visit: Visit, language: str, viewport: dict[str, int]
) -> None:
    paths = ("/connections", "/connections/loja", "/connections:new?connector=generic")
    for path, page in walk(visit, paths, language=language, size=viewport):
        assert violations(page) == []
        assert sideways(page) == 0, path
        name = path.strip("/").replace("/", "-").partition("?")[0].replace(":", "-")
        shot(page, f"{name}-{language}-{viewport['width']}")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.usefixtures("linked")
def test_the_page_has_few_buttons_and_leads_on_by_task_in_the_dark_too(visit: Visit, viewport: dict[str, int]) -> None:
    page = visit("/connections/loja", language="en", size=viewport, theme="dark")
    shot(page, f"connections-loja-dark-{viewport['width']}")
    assert violations(page) == []
    assert page.locator(".m-head-actions .m-btn").all_inner_texts() == ["Edit", "Test", "Let it go on"]
    ways = page.get_by_role("navigation", name="Pages of this connection")
    tasks = {
        task.locator("h2").inner_text(): [link.get_attribute("href") for link in task.get_by_role("link").all()]
        for task in ways.locator(":scope > div").all()
    }
    assert {word: [href.rpartition("/")[2] for href in hrefs] for word, hrefs in tasks.items()} == {
        "Products": ["mapping", "products"],
        "Listings": ["listings", "listing-fields"],
        "Orders and stock": ["fields", "stock"],
        "How it runs": ["health"],
    }
    for href in [href for hrefs in tasks.values() for href in hrefs]:
        page.goto(page.url.split("/connections")[0] + href)
        expect(page.locator(".m-crumb").first).to_contain_text("Loja online")


@pytest.mark.usefixtures("linked")
def test_a_word_gets_a_meaning_and_a_person_says_what_nobody_knows(visit: Visit) -> None:
    page = visit("/connections/loja", language="en")
    expect(page.get_by_role("heading", name="What could not be told")).to_be_visible()
    page.get_by_label("Choose order:1000").check()
    page.get_by_role("button", name="It did arrive").click()
    expect(page.get_by_role("heading", name="What could not be told")).to_have_count(0)
    page.get_by_label("Meaning of cc_visa").select_option("credit_card")
    page.locator("form:has([name=theirs][value=cc_visa])").get_by_role("button", name="Save").click()
    expect(page.get_by_text("1 waiting orders go on")).to_be_visible()


def test_a_connection_is_made_in_the_console(visit: Visit, seeded: str) -> None:
    page = visit("/connections:new?connector=generic", language="en")
    page.get_by_label("Name").fill("Other shop")
    page.get_by_label("Code", exact=True).fill("other")
    page.get_by_label("Address", exact=True).fill("nonsense")
    page.get_by_role("button", name="Make connection").click()
    expect(page.locator("#refusal")).to_contain_text("no web address")
    page.get_by_label("Address", exact=True).fill("https://other.example")
    page.get_by_role("button", name="Make connection").click()
    expect(page.get_by_role("heading", name="Other shop")).to_be_visible()
    page.get_by_role("button", name="Let it go on").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    async def away() -> Any:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM connection WHERE code = 'other'")

    apart(away)


def test_what_is_chosen_yes_or_no_stays_chosen(visit: Visit, seeded: str) -> None:
    page = visit("/connections:new?connector=woocommerce", language="en")
    page.get_by_label("Name").fill("Loja")
    page.get_by_label("Code", exact=True).fill("woo")
    page.get_by_label("Address", exact=True).fill("https://woo.example")
    expect(page.get_by_label("Complete orders")).to_have_value("True")
    page.get_by_label("Complete orders").select_option(label="No")
    page.get_by_label("Keep sale prices").select_option(label="Yes")
    page.get_by_role("button", name="Make connection").click()
    expect(page.get_by_role("heading", name="Loja")).to_be_visible()
    for viewport, language in ((WIDE, "pt-BR"), (NARROW, "pt-BR"), (WIDE, "en")):
        page = visit("/connections/woo/edit", language=language, size=viewport)
        assert violations(page) == []
        shot(page, f"woocommerce-edit-{language}-{viewport['width']}")
    expect(page.get_by_label("Complete orders")).to_have_value("False")
    expect(page.get_by_label("Keep sale prices")).to_have_value("True")
    expect(page.get_by_label("Refund at the gateway")).to_have_value("True")

    async def away() -> Any:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM connection WHERE code = 'woo'")

    apart(away)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.parametrize("connector", ["shopify", "vendure", "tryton", "partner_files"])
def test_the_form_of_a_connector_is_whole(
    visit: Visit, connector: str, language: str, viewport: dict[str, int]
) -> None:
    page = visit(f"/connections:new?connector={connector}", language=language, size=viewport)
    assert violations(page) == []
    assert sideways(page) == 0
    shot(page, f"connection-form-{connector}-{language}-{viewport['width']}")


def test_a_line_that_cannot_be_read_is_named_and_what_was_typed_stays(visit: Visit, seeded: str) -> None:
    page = visit("/connections:new?connector=shopify", language="en")
    page.get_by_label("Name").fill("Loja Shopify")
    page.get_by_label("Code", exact=True).fill("shopify")
    page.get_by_label("Shop domain").fill("loja.myshopify.com")
    page.get_by_label("Location for Malha's stock").fill("61234567890")
    places = page.get_by_label("Our locations at Shopify")
    places.fill("SP-MOEMA = 61234567890\nRJ 61234567891")
    page.get_by_role("button", name="Make connection").click()
    expect(page.locator("#refusal")).to_contain_text("Line 2, RJ 61234567891: there is no = in it.")
    expect(places).to_have_value("SP-MOEMA = 61234567890\nRJ 61234567891")
    shot(page, "connection-form-refused-en-1366")
    places.fill("SP-MOEMA = 61234567890\nRJ = 61234567891")
    page.get_by_role("button", name="Make connection").click()
    expect(page.get_by_role("heading", name="Loja Shopify")).to_be_visible()
    for language in ("pt-BR", "en"):
        shot(visit("/connections/shopify", language=language), f"connection-shopify-{language}-1366")

    async def away() -> Any:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM connection WHERE code = 'shopify'")

    apart(away)
