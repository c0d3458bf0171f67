"""What somebody typed is shown as it was typed, on every page: never read as markup, as an address or as a template.

Every free text of a retailer with a past holds what would break out of an element, an attribute and a template. Each
page, part and file that leads from the first one is asked for, those that customers open too.
"""

import json
import re
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
from test_access import STREAMS, declared
from tests_http import Shop, open_shop

from malha.demo.build import build
from malha.ordering.tracking import tracking_path
from malha.platform.db import Database
from malha.platform.signing import keys_of

TYPED = "\"'><img src=x onerror=alert(1)>{{7*191919}}"
RUN = "1343433"  # of the template in it
ADDRESS = "javascript:alert(1)"

# Free texts, by table. Codes with a pattern of their own and words that the program chooses are not typed.
TEXTS = {
    "allotment": ("name",), "category": ("name", "path"), "channel": ("name",), "count_line": ("bin",), "count_task": ("zone", "note"),
    "customer": ("name",), "establishment": ("name",), "feed": ("name",), "fence_movement": ("reason",), "inbound_eta": ("reason",),
    "inbound_order": ("supplier", "reference", "note"), "legal_entity": ("name",), "location": ("name", "paused_reason"), "location_group": ("name",),
    "movement": ("ref_text",), "order_hold": ("resolution",), "order_line": ("name", "external_id", "sku_text"), "order_note": ("text",),
    "person": ("name",), "product": ("code", "name", "description", "brand"), "receipt": ("document", "note"), "retailer": ("name",),
    "routing_cost_draft": ("note",), "routing_rule_set": ("note",), "safety_rule": ("name", "brand"), "sales_order": ("external_id", "buyer_name"),
    "service": ("name", "carrier"), "shipment": ("carrier", "tracking_code", "received_by"), "stock_hold": ("reference",),
    "stock_snapshot": ("name",), "stock_snapshot_held": ("sku", "location", "stated"), "stock_source": ("name",),
    "transfer": ("document", "carrier", "tracking_code", "note", "closed_short_reason"), "transfer_discrepancy": ("reference", "note"),
    "transfer_shipment": ("document", "carrier", "tracking_code"), "variant": ("sku", "name"), "vendor_offer": ("vendor_sku",),
    "fiscal_document": ("protocol",), "tender": ("reference",), "payment_entry": ("reference",),
    "audit": ("actor_name", "entity_id"),
}  # fmt: skip

# Texts in documents: the path to each, by table and column.
INSIDE = {
    ("customer", "address"): ("street", "complement", "district", "city", "number"),
    ("location", "address"): ("street", "complement", "district", "city", "number"),
    ("sales_order", "ship_to"): ("street", "complement", "district", "city", "number", "recipient", "reference"),
    ("audit", "after"): ("name", "note", "address"),
    ("audit", "before"): ("name", "note", "address"),
}
WHOLE = """
UPDATE product SET attributes = jsonb_build_object(%(typed)s::text, %(typed)s::text);
UPDATE retailer SET support_email = %(typed)s::text, support_phone = %(typed)s::text, website = 'https://' || %(typed)s::text;
UPDATE shipment SET tracking_url = %(address)s::text;
"""
FILE = re.compile(r'attachment; filename="[\w.-]+"(; filename\*=UTF-8\'\'[\w.%~-]+)?', re.ASCII)
ADDRESSES = {"href", "src", "action", "formaction", "hx-get", "hx-post", "hx-put", "hx-delete", "data-peek", "data-url", "poster", "xlink:href"}  # fmt: skip
PER_ROUTE = 2
MOST_OF_ROUTE = 8
# What ends the session or never ends; and workbooks, which hold what the files beside them do.
PASSED_BY = re.compile(r"^/(logout|login|static|events)|[.]xlsx$")


class Sheet(HTMLParser):
    """Reads a page as a browser does: where it leads, and what in it nobody of ours wrote."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            said = (value or "").strip()
            if name.startswith("on") or (tag == "img" and said == "x") or name in {"srcdoc", "style"} or "<" in name:
                self.wrong.append(f"<{tag} {name}={said}>")
            if name in ADDRESSES:
                self._address(tag, name, said)
            if name in {"hx-headers", "hx-vals"} and not isinstance(json.loads(said), dict):
                self.wrong.append(f"<{tag} {name}={said}>")

    def _address(self, tag: str, name: str, said: str) -> None:
        scheme = urlsplit(said).scheme if re.match(r"[A-Za-z][\w+.-]*:", said) else ""
        if said.startswith(("//", "/\\")) or scheme not in {"", "https", "mailto", "tel"}:
            self.wrong.append(f"<{tag} {name}={said}>")
        elif not scheme and tag != "form" and name in {"href", "hx-get", "data-peek"}:
            self.links.append(urljoin(self.address, said))


async def type_markup(database: Database) -> None:
    """Have every free text of the retailer hold markup."""
    async with database.transaction() as tx:
        for table, columns in TEXTS.items():
            for column in columns:
                statement = f"UPDATE {table} SET {column} = {column} || %(typed)s::text"
                await tx.execute(statement, {"typed": TYPED})  # type: ignore[arg-type]
        for (table, column), fields in INSIDE.items():
            for field in fields:
                await tx.execute(
                    f"UPDATE {table} SET {column} = jsonb_set({column}::jsonb, '{{{field}}}', to_jsonb(%(typed)s::text))::{'json' if table == 'audit' else 'jsonb'}"  # type: ignore[arg-type]
                    f" WHERE {column} IS NOT NULL AND jsonb_typeof({column}::jsonb) = 'object'",
                    {"typed": TYPED},
                )
        for statement in WHOLE.strip().split(";\n"):
            await tx.execute(statement.rstrip(";"), {"typed": TYPED, "address": ADDRESS})  # type: ignore[arg-type]


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    await build(database, orders=30, seed=1, progress=lambda *_: None)
    await type_markup(database)
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path)


def route_of(address: str, routes: list[tuple[re.Pattern[str], str]]) -> str:
    path = urlsplit(address).path
    return next((route for pattern, route in routes if pattern.fullmatch(path)), path)


@pytest.mark.parametrize(
    "page",
    [
        f"<p>{TYPED}</p>",
        f'<a title="{TYPED}">',
        f'<a href="{ADDRESS}">',
        '<a href="//evil.example">',
        '<b onclick="x">',
    ],
)
def test_what_gets_out_of_its_place_is_seen(page: str) -> None:
    assert Sheet("/", page).wrong


@pytest.mark.timeout(600)
async def test_no_page_takes_for_markup_what_somebody_typed(shop: Shop) -> None:
    headers = await shop.session()
    paths = {
        p for m, p, _permission in declared(shop.app) if m == "GET" and p not in STREAMS and not p.startswith("/v1")
    }
    kinds = {"int": r"-?\d+", "uuid": r"[0-9a-f-]{36}", "path": ".+"}
    routes = [
        (re.compile(re.sub(r"\\\{\w+:(\w+)\\\}", lambda m: kinds.get(m[1], "[^/]+"), re.escape(path))), path)
        for path in sorted(paths, key=lambda p: p.count("{"))
    ]
    keys = keys_of(shop.app.state.services.settings)
    async with shop.database.transaction() as tx:
        orders = await tx.values("SELECT id FROM sales_order ORDER BY number LIMIT 8")
    queue = deque(["/", *sorted(p for p in paths if "{" not in p)])
    queue.extend(f"/find?q={quote(word)}" for word in ("img", "onerror", "x"))
    queue.extend(tracking_path(keys, order, at=datetime.now(UTC)) for order in orders)
    met: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wrong, shown = [], 0
    while queue:
        address = queue.popleft()
        parts = urlsplit(address)
        route = route_of(address, routes)
        most = len(orders) if route.startswith("/track") else PER_ROUTE
        asked = f"{route}?{re.sub(r'=[^&]*', '', parts.query)}"
        if parts.netloc or PASSED_BY.search(parts.path) or met[asked] >= most or found[route] > MOST_OF_ROUTE:
            continue
        met[asked] += 1
        shop.http.cookies.clear()
        answer = await shop.http.get(address, headers=headers)
        found[route] += answer.status_code == 200
        if answer.status_code >= 500:
            wrong.append(f"{answer.status_code} {address}")
        if "location" in answer.headers:
            queue.append(answer.headers["location"])
        said = answer.headers.get("content-disposition")
        if said is not None and not FILE.fullmatch(said):
            wrong.append(f"{address}: {said}")
        if "html" in answer.headers.get("content-type", ""):
            sheet = Sheet(address, answer.text)
            shown += "&lt;img" in answer.text
            wrong += [f"{address}: {each}" for each in sheet.wrong]
            wrong += [f"{address}: a template was run"] if RUN in answer.text else []
            queue.extend(sheet.links)
    assert shown > 150  # pages that hold what was typed
    assert sum(found[path] > 0 for path in paths) > 200
    assert not wrong, "\n".join(sorted(wrong)[:80])
