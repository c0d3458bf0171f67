"""Settings and audit trail: what shoppers see is changed at once, secrets are never shown, every change can be found."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests_http import Shop

from malha.console import audit_words, settings
from malha.fiscal import events as fiscal_events
from malha.fulfillment import events as fulfillment_events
from malha.identity.model import Role
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.ordering import events as ordering_events
from malha.payments import events as payments_events
from malha.platform import audit, i18n
from malha.platform.audit import Entry
from malha.platform.db import Actor
from malha.platform.settings import Settings
from malha.testing import builders

EVENTS = (fiscal_events, fulfillment_events, ordering_events, payments_events)
HTMX = {"hx-request": "true", "x-slot": "#refusal"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
FORM = {"version": "0", "name": "Loja Azul", "colour": "#ffe600", "first": "en", "speaks-en": "on", "timezone": ""}


# --- settings ---


async def test_the_retailer_is_renamed_and_every_page_says_so(shop: Shop) -> None:
    owner = await shop.session()
    assert (await shop.http.post("/settings", data=FORM, headers=owner)).status_code == 303
    page = (await shop.http.get("/settings", headers=owner)).text
    assert 'value="#ffe600"' in page
    assert '<b class="m-clip">Loja Azul</b>' in (await shop.http.get("/orders", headers=owner)).text
    async with shop.database.transaction() as tx:
        found = await retailer.current(tx)
    assert (found.name, found.languages) == ("Loja Azul", ("en",))
    late = await shop.http.post("/settings", data=FORM, headers=owner | HTMX)
    assert late.status_code == 409


async def test_people_without_a_time_zone_have_the_retailers(shop: Shop) -> None:
    owner = await shop.session()
    async with shop.database.transaction() as tx:
        await retailer.change(tx, RetailerDraft(name="Loja", timezone="America/Manaus"), 0)
        at = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
        await audit.record(tx, action="change", entity="location", entity_id="S1")
        await tx.execute("UPDATE audit SET at = %(at)s::timestamptz", {"at": at})
    page = (await shop.http.get("/audit", headers=owner)).text
    assert "08:00" in page


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"colour": "blue"}, "colour"), ({"first": "pt-BR"}, "first"), ({"website": "http://x"}, "website")],
)
async def test_a_setting_that_cannot_be_is_told_at_its_field(shop: Shop, wrong: dict[str, str], field: str) -> None:
    owner = await shop.session()
    refused = await shop.http.post("/settings", data=FORM | wrong, headers=owner | HTMX)
    assert (refused.status_code, re.findall(r'data-at="([^"]*)"', refused.text)) == (422, [field])


async def test_a_pale_colour_gets_readable_links(shop: Shop) -> None:
    owner = await shop.session()
    told = (await shop.http.get("/settings/colour?colour=%23ffe600", headers=owner)).text
    assert 'fill="#ffe600"' in told
    assert "darker shade" in told
    assert "This is no colour" in (await shop.http.get("/settings/colour?colour=x", headers=owner)).text


async def test_a_logo_is_uploaded_shown_and_removed(shop: Shop) -> None:
    owner = await shop.session()
    sent = await shop.http.post("/settings/logo", files={"logo": ("l.png", PNG, "image/png")}, headers=owner)
    assert sent.status_code == 303
    page = (await shop.http.get("/settings", headers=owner)).text
    address = re.search(r'src="(/settings/logo/[0-9a-f]+)"', page)
    assert address is not None
    shown = await shop.http.get(address[1], headers=owner)
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    refused = await shop.http.post(
        "/settings/logo", files={"logo": ("l.png", b"<svg/>", "image/png")}, headers=owner | HTMX
    )
    assert refused.status_code == 422
    await shop.http.post("/settings/logo", data={"remove": "1"}, headers=owner)
    assert (await shop.http.get(address[1], headers=owner)).status_code == 404


async def test_only_who_may_manage_settings_sees_them(shop: Shop) -> None:
    manager = await shop.session(Role.MANAGER)
    assert (await shop.http.get("/settings", headers=manager)).status_code == 403
    assert (await shop.http.post("/settings", data=FORM, headers=manager)).status_code == 403


async def test_secrets_of_the_process_are_never_shown(shop: Shop) -> None:
    owner = await shop.session()
    page = (await shop.http.get("/settings", headers=owner)).text
    assert "MALHA_DATABASE_URL" in page
    assert shop.database.url not in page
    rows = {row.variable: row for row in settings.process_settings(Settings(secret_key="s" * 40, port=9000))}
    assert "s" * 40 not in rows["MALHA_SECRET_KEY"].value
    assert (rows["MALHA_PORT"].value, rows["MALHA_PORT"].is_default) == ("9000", False)


def test_every_setting_of_the_process_has_a_word() -> None:
    assert settings.PROCESS.keys() == set(Settings.__struct_fields__)


async def test_the_api_reads_and_changes_the_retailer_from_the_version_it_read(shop: Shop) -> None:
    key = await shop.key(["network:read", "settings:manage"])
    read = await shop.http.get("/v1/retailer", headers=key)
    assert (read.status_code, read.headers["etag"]) == (200, '"0"')
    body = {"name": "Loja Verde", "colour": "#00a650"}
    assert (await shop.http.put("/v1/retailer", json=body, headers=key)).status_code == 428
    changed = await shop.http.put("/v1/retailer", json=body, headers=key | {"if-match": '"0"'})
    assert (changed.status_code, changed.json()["name"]) == (200, "Loja Verde")
    assert (await shop.http.put("/v1/retailer", json=body, headers=key | {"if-match": '"0"'})).status_code == 412


# --- audit ---


async def some_changes(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        order_id = await builders.an_order(tx, world)
    ana = Actor("person", "0190a000-0000-7000-8000-000000000001", "Ana", "10.0.0.7", "req-ana-0001")
    key = Actor("key", "7", "ERP", "10.0.0.9", "req-erp-0001")
    async with shop.database.transaction(ana) as tx:
        before, after = {"daily_capacity": 10, "can_ship": True}, {"daily_capacity": 60, "can_ship": False}
        await audit.record(tx, action="change", entity="location", entity_id="S1", before=before, after=after)
        await audit.record(tx, action="order.cancelled", entity="order", entity_id=order_id, after={"reason": "=HYPER"})
    async with shop.database.transaction(key) as tx:
        await audit.record(tx, action="create", entity="channel", entity_id="web", after={"name": "<i>Site</i>"})


async def test_the_trail_shows_who_changed_what_and_leads_to_the_record(shop: Shop) -> None:
    await some_changes(shop)
    auditor = await shop.session(Role.AUDITOR)
    page = (await shop.http.get("/audit?entity=location", headers=auditor)).text
    assert "Ana" in page
    assert "10.0.0.7" in page
    assert "<del>10</del>" in page
    assert "<ins>60</ins>" in page
    assert "<del>yes</del>" in page
    assert 'href="/locations/S1"' in page
    everything = (await shop.http.get("/audit", headers=auditor)).text
    assert "&lt;i&gt;Site&lt;/i&gt;" in everything
    assert re.search(r"Order #\d+", everything)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("entity=channel", ["channel"]),
        ("action=change", ["location"]),
        ("source=10.0.0.9", ["channel"]),
        ("request=req-ana-0001", ["order", "location"]),
        ("who=key:7", ["channel"]),
        ("record=S1", ["location"]),
        ("until=2000-01-01", []),
        ("since=nonsense&after=x&entity=channel", ["channel"]),
    ],
)
async def test_the_trail_is_found_by_any_of_its_facts(shop: Shop, query: str, expected: list[str]) -> None:
    await some_changes(shop)
    auditor = await shop.session(Role.AUDITOR)
    page = (await shop.http.get(f"/audit?{query}", headers=auditor)).text
    body = page[page.index("data-rows") :] if "data-rows" in page else ""
    kinds = re.findall(r'data-peek="[^"]+">(Order|Location|Sales channel)', body)
    words = {"Order": "order", "Location": "location", "Sales channel": "channel"}
    assert [words[kind] for kind in kinds] == expected
    if not expected:
        assert "No change matches" in page


async def test_pages_of_the_trail_follow_one_another_in_both_directions(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        changes = [(f"C{i:03d}", None, {"count": i}) for i in range(120)]
        await audit.record_many(tx, action="create", entity="category", changes=changes)
    auditor = await shop.session(Role.AUDITOR)

    async def visit(address: str) -> tuple[list[str], str, str]:
        page = (await shop.http.get(address, headers=auditor)).text.replace("&amp;", "&")
        after = re.search(r'href="([^"]+)"[^>]*rel="next"', page)
        before = re.search(r'href="([^"]+)"[^>]*rel="prev"', page)
        return re.findall(r"Category (C\d+)</a>", page), after[1] if after else "", before[1] if before else ""

    first, following, newer = await visit("/audit?entity=category")
    assert (first[0], len(first), newer) == ("C119", 50, "")
    second, following, newer = await visit(following)
    third, last, _newer = await visit(following)
    assert (second[0], third[-1], last) == ("C069", "C000", "")
    assert first + second + third == [f"C{i:03d}" for i in reversed(range(120))]
    assert (await visit(newer))[0] == first


async def test_the_exported_trail_runs_nothing_in_a_spreadsheet_and_is_written_down(shop: Shop) -> None:
    await some_changes(shop)
    auditor = await shop.session(Role.AUDITOR)
    told = await shop.http.get("/audit/export.csv?entity=order", headers=auditor)
    lines = told.text.lstrip("\ufeff").splitlines()
    assert lines[0].startswith("When;Who;")
    assert len(lines) == 2
    assert "=HYPER" in lines[1]
    assert not lines[1].startswith("=")
    async with shop.database.transaction() as tx:
        assert (await audit.trail(tx, entity="audit"))[0].action == "export"


async def test_who_may_not_read_the_trail_is_refused(shop: Shop) -> None:
    planner = await shop.session(Role.PLANNER)
    for path in ("/audit", "/audit/1", "/audit/1/peek", "/audit/export.csv"):
        assert (await shop.http.get(path, headers=planner)).status_code == 403
    auditor = await shop.session(Role.AUDITOR)
    assert (await shop.http.get("/audit/999", headers=auditor)).status_code == 404


async def test_the_api_narrows_the_trail_by_time_and_request(shop: Shop) -> None:
    await some_changes(shop)
    key = await shop.key(["audit:read"])
    found = (await shop.http.get("/v1/audit?request_id=req-erp-0001", headers=key)).json()["items"]
    assert [entry["entity"] for entry in found] == ["channel"]
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await shop.http.get(f"/v1/audit?since={soon}", headers=key)).json()["items"] == []


def test_what_has_no_word_is_shown_as_it_was_written_down() -> None:
    assert audit_words.act("frobnicate") == "frobnicate"
    assert audit_words.entity("gadget") == "gadget"
    assert audit_words.label("half_life") == "half life"


def test_what_is_only_said_of_a_change_is_not_shown_as_changed() -> None:
    entry = Entry(
        1, datetime.now(UTC), "key", "1", "ERP", None, None, "change", "product", "CUP",
        {"price": 100}, {"price": 150, "sku": "CUP-1", "line": 2, "import": "1 prices.csv"},
    )  # fmt: skip
    with i18n.speaking("en"):
        sku, price, *told = audit_words.differences(entry)
        assert audit_words.summary(entry) == "SKU: CUP-1, Price: R$1.00 → R$1.50"
    assert (sku.only, price.only, {row.only for row in told}) == ("after", "both", {"after"})


def test_everything_that_happens_to_an_order_has_a_word() -> None:
    happens = {e.TYPE for module in EVENTS for e in vars(module).values() if hasattr(e, "TYPE") and "." in e.TYPE}
    assert len(happens) > 30
    assert happens - audit_words.ACTIONS.keys() == set()
