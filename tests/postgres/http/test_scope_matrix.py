"""Every route, for people of every role who are limited to one location or to none: what is not theirs is not there.

A route is asked for a record of another franchise and for one that does not exist: both get the same answer, and only
who holds the permission gets any. Writes are sent with everything that a form or a body may hold; afterwards the other
franchise is as it was, to the byte.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import msgspec
import pytest
from test_access import ENDING, FINER, LEADING, ROLE_ORDER, STREAMS, declared, expected_roles
from test_foreign_locations import CONSIGNOR, EVERY, FIRST, SECOND, Franchise, two_franchises
from test_foreign_locations import shop as franchises  # noqa: F401 -- a fixture
from tests_http import Shop

from malha.api import reference
from malha.identity.model import Role
from malha.inventory.sync import applying
from malha.platform.brazil import build_access_key
from malha.platform.ids import new_id

TEMPLATES = Path(__file__).parents[3] / "src" / "malha" / "console" / "templates"
FIELD = re.compile(r'name="([a-z_]+)"')

# Parameters of addresses whose name depends on what stands before them.
BY_PREFIX = {
    ("/orders/", "number"): "order_number",
    ("/customers/", "number"): "customer_number",
    ("/imports/", "number"): "import_number",
    ("/locations/", "code"): "location",
    ("/stock/", "code"): "location",
    ("/purchase-orders/", "number"): "inbound_number",
    ("/receipts/", "number"): "receipt_number",
    ("/transfers/", "number"): "transfer_number",
    ("/counts/", "number"): "count_number",
    ("/stock-sync/snapshots/", "number"): "snapshot_number",
    ("/allotments/", "code"): "allotment",
    ("/safety-rules/", "code"): "safety_rule",
    ("/stock/sources/", "code"): "source",
    ("/stock-sync/sources/", "code"): "source",
}
# What a form or a body holds where its name says nothing.
WORDS = {
    "quantity": "1", "counted": "1", "change": "1", "amount": "100", "kind": "manual", "reason": "damaged", "note": "x", "text": "x", "why": "x", "code": "123456",
    "days": "3", "version": "1", "position": "1", "line": "1", "reference": "x", "received_by": "x", "language": "en", "theme": "dark", "active": "true", "status": "paused",
    "name": "Outro Nome", "email": "outro@loja.test", "role": "owner", "postal_code": "01310100", "street": "Rua X", "state": "SP", "city": "São Paulo", "action": "release",
}  # fmt: skip

# One hash over all that is of one franchise alone.
STATE = """
SELECT md5(concat_ws('|',
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM sales_order t WHERE id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY line, part, state) FROM order_unit t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM order_hold t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM order_note t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM fulfillment_order t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM shipment t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM fiscal_document t WHERE id = %(document)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM tender t WHERE order_id = %(order)s::uuid),
    (SELECT count(*) FROM payment_entry e JOIN tender t ON t.id = e.tender_id WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM message t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM customer t WHERE id = %(customer)s::uuid),
    (SELECT string_agg(t::text, ',') FROM message_preference t WHERE customer_id = %(customer)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM person t WHERE id = %(person)s::uuid),
    (SELECT string_agg(t.id::text, ',' ORDER BY id) FROM session t WHERE person_id = %(person)s::uuid),
    (SELECT string_agg(t.revoked_at::text, ',' ORDER BY id) FROM api_key t WHERE id = %(key)s::int),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM stock_hold t WHERE reference = %(hold)s::text),
    (SELECT string_agg(t::text, ',' ORDER BY sku_id) FROM balance t JOIN location l ON l.id = t.location_id
     WHERE l.code = %(location)s::text),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM location t WHERE code = %(location)s::text),
    (SELECT count(*) FROM location_closure t JOIN location l ON l.id = t.location_id
     WHERE l.code = %(location)s::text),
    (SELECT string_agg(t.state, ',' ORDER BY id) FROM import_run t WHERE id = %(run)s::uuid),
    (SELECT string_agg(t::text, ',') FROM message_consent t WHERE customer_id = %(customer)s::uuid),
    (SELECT string_agg(t::text, ',') FROM payment_deadline t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(t::text, ',' ORDER BY promised_at) FROM order_promise t WHERE order_id = %(order)s::uuid),
    (SELECT string_agg(concat(t, n), ',' ORDER BY t.id, n.line) FROM inbound_order t
     JOIN inbound_line n ON n.order_id = t.id WHERE t.number = %(inbound)s::int),
    (SELECT string_agg(t::text, ',') FROM receipt t WHERE number = %(receipt)s::int),
    (SELECT string_agg(concat(t, n), ',') FROM transfer t JOIN transfer_discrepancy n ON n.transfer_id = t.id
     WHERE t.number = %(transfer)s::int),
    (SELECT string_agg(concat(t, n), ',') FROM count_task t JOIN count_line n ON n.task_id = t.id
     WHERE t.number = %(count)s::int),
    (SELECT string_agg(t::text, ',') FROM stock_snapshot t WHERE id = %(snapshot)s::uuid),
    (SELECT string_agg(t::text, ',') FROM stock_drift t WHERE id = %(drift)s::uuid),
    (SELECT string_agg(t::text, ',') FROM stock_source t WHERE code = %(source)s::text),
    (SELECT string_agg(t::text, ',') FROM allotment t WHERE code = %(allotment)s::text),
    (SELECT string_agg(t::text, ',') FROM safety_rule t WHERE code = %(rule)s::text),
    (SELECT string_agg(t::text, ',' ORDER BY sku_id, bucket) FROM bucket_balance t JOIN location l
     ON l.id = t.location_id WHERE l.code = %(location)s::text),
    (SELECT string_agg(t::text, ',' ORDER BY id) FROM saved_view t WHERE person_id = %(person)s::uuid)))
"""
FACTS = """
SELECT (SELECT id FROM shipment WHERE order_id = %(order)s::uuid),
       (SELECT d.id FROM fiscal_document d JOIN fiscal_line f ON f.document_id = d.id
        WHERE f.order_id = %(order)s::uuid LIMIT 1),
       (SELECT id FROM message WHERE order_id = %(order)s::uuid LIMIT 1),
       (SELECT number FROM customer WHERE id = %(customer)s::uuid),
       (SELECT id FROM session WHERE person_id = %(person)s::uuid LIMIT 1)
"""


# Customers of marketplaces are not written to by themselves.
MESSAGE = """
INSERT INTO message (id, order_id, event_seq, kind, channel, language, address, facts, state, subject, body, done_at)
VALUES (%(id)s::uuid, %(order)s::uuid, 1, 'placed', 'email', 'pt-BR', 'x@example.com', '{}', 'sent', 'x', 'x', now())
"""
ISSUER = """
SELECT e.cnpj, e.state FROM establishment e JOIN location l ON l.establishment_id = e.id WHERE l.code = %(code)s::text
"""


class Own(NamedTuple):
    """What a franchise's records are called in addresses, and for the statement above."""

    names: dict[str, str]
    rows: dict[str, Any]


async def furnish(shop: Shop) -> dict[Franchise, Own]:
    """Give each franchise one of everything: work that is packed, a document, a message, a hold, a key, a session, goods
    that are ordered, received, moved, counted, set apart and stated.
    """
    known = await two_franchises(shop)
    found = {}
    for own in EVERY:
        theirs = known[own]
        key = await shop.key(
            ["intake:submit", "stock:write", "stock:read", "fulfillment:work", "fiscal:record"], locations=[own.code]
        )
        job = f"/v1/fulfillments/{theirs.fulfillment}"

        async def post(path: str, body: Any, key: dict[str, str] = key) -> dict[str, Any]:
            answer = await shop.http.post(
                path, headers=key, **({"content": body} if isinstance(body, bytes) else {"json": body})
            )
            assert answer.status_code < 300, (path, answer.text)
            return answer.json() if answer.content else {}

        await post(f"{job}/pick", {})
        await post(f"{job}/pack", {})
        cnpj, state = (await _rows(shop, ISSUER, code=own.code))[0]
        today = datetime.now(UTC)
        document_key = build_access_key(
            state=state,
            year=today.year,
            month=today.month,
            issuer=cnpj,
            model="55",
            series=1,
            number=1,
            code="00000001",
        )
        await post(f"{job}/document", {"access_key": document_key})
        hold = f"hold-of-{own.code}"
        await post("/v1/holds", {"reference": hold, "items": [{"sku": own.sku, "location": own.code, "quantity": 1}]})
        run = await post("/v1/imports/stock", f"sku;location;on_hand\n{own.sku};{own.code};5\n".encode())
        await shop.token(f"{own.code.lower()}-lead@loja.test")
        key_id = (await _rows(shop, "SELECT max(id) FROM api_key"))[0][0]
        async with shop.database.transaction() as tx:
            rows = {"order": theirs.order, "customer": theirs.customer, "person": theirs.person}
            await tx.execute(MESSAGE, {"id": new_id(), **rows})
            ((shipment, document, message, customer_number, session),) = await tx.tuples(FACTS, rows)
            view = await tx.value(
                "INSERT INTO saved_view (person_id, list, name, query) VALUES (%(p)s::uuid, 'orders', 'x', '') RETURNING id",
                {"p": theirs.person},
            )
            entry = await tx.value("SELECT max(id) FROM audit WHERE actor_id = %(k)s::text", {"k": str(key_id)})
        goods = await goods_of(shop, own)
        names = {
            "order_id": theirs.order, "order_number": theirs.number, "fulfillment_id": theirs.fulfillment, "shipment_id": shipment, "document_id": document,
            "message_id": message, "customer_id": theirs.customer, "customer_number": customer_number, "person_id": theirs.person, "session_id": session,
            "key_id": key_id, "reference": hold, "location": own.code, "import_id": run["id"], "import_number": run["number"], "view_id": view, "entry_id": entry,
        }  # fmt: skip
        names |= goods
        assert None not in names.values(), names
        rows |= {
            "inbound": goods["inbound_number"],
            "receipt": goods["receipt_number"],
            "transfer": goods["transfer_number"],
            "count": goods["count_number"],
            "snapshot": goods["snapshot_id"],
            "drift": goods["drift_id"],
            "source": goods["source"],
            "allotment": goods["allotment"],
            "rule": goods["safety_rule"],
        }
        rows |= {"document": document, "key": key_id, "hold": hold, "location": own.code, "run": UUID(run["id"])}
        found[own] = Own({name: str(value) for name, value in names.items()}, rows)
    return found


async def goods_of(shop: Shop, own: Franchise) -> dict[str, Any]:
    """Have goods ordered, received, moved with a loss, counted, set apart, kept back and stated; return their names."""
    key = await shop.key(["stock:read", "stock:write", "stock:count", "stock:approve", "network:write"])
    later = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()

    async def send(path: str, body: Any, method: str = "POST", **params: Any) -> dict[str, Any]:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = await shop.http.request(method, f"/v1{path}", headers=key, params=params, **content)
        assert answer.status_code < 300, (path, answer.text)
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    one = {"sku": own.sku, "quantity": 1}
    inbound = await send("/purchase-orders", {"supplier": "X", "location": own.code, "lines": [{**one, "eta": later}]})
    receipt = await send("/receipts", {"location": own.code, "lines": [{**one, "bucket": "damaged"}]})
    moved = await send("/transfers", {"origin": own.code, "destination": "DC", "lines": [{**one, "quantity": 2}]})
    path = f"/transfers/{moved['number']}"
    await send(f"{path}/approve", {})
    await send(f"{path}/ship", {"document": "NF-1"})
    await send(f"{path}/receive", {"lines": [one]})
    alone = {"owner": own.code.removeprefix("S1-")} if own is CONSIGNOR else {}  # of the site it would be another's too
    count = await send("/counts", {"location": own.code, "skus": [own.sku], **alone})
    source, fence, rule = f"ERP-{own.code}", f"APART-{own.code}", f"SPARE-{own.code}"
    await send("/stock/sources", {"code": source, "name": source, "secondary": [own.code], "skew_seconds": 0})
    stated = f"sku;location;on_hand\n{own.sku};{own.code};5\n".encode()
    as_of = datetime.now(UTC).isoformat()
    snapshot = await send("/stock/snapshots", stated, "PUT", source=source, seq=1, as_of=as_of)
    await applying.apply(shop.database, UUID(snapshot["id"]))
    stock = [{**one, "location": own.code}]
    await send("/allotments", {"code": fence, "name": fence, "kind": "fence", "channels": ["mall"], "stock": stock})
    await send("/safety-rules", {"code": rule, "name": rule, "amount": 1, "location": own.code})
    async with shop.database.transaction() as tx:
        about = {"snapshot": snapshot["id"]}
        drift = await tx.value("SELECT id FROM stock_drift WHERE snapshot_id = %(snapshot)s::uuid", about)
        gone = await tx.value("SELECT max(id::text) FROM transfer_discrepancy")
    return {
        "inbound_number": inbound["number"], "receipt_number": receipt["number"], "transfer_number": moved["number"], "discrepancy_id": gone,
        "count_number": count["number"], "source": source, "snapshot_id": UUID(snapshot["id"]), "snapshot_number": snapshot["number"], "drift_id": drift,
        "allotment": fence, "safety_rule": rule,
    }  # fmt: skip


async def _rows(shop: Shop, statement: str, **facts: Any) -> list[tuple[Any, ...]]:
    async with shop.database.transaction() as tx:
        return await tx.tuples(statement, facts)


def missing() -> dict[str, str]:
    """Names of nothing."""
    uuids = ("order_id", "fulfillment_id", "shipment_id", "document_id", "message_id", "customer_id", "person_id", "session_id", "import_id", "snapshot_id", "drift_id", "discrepancy_id")  # fmt: skip
    numbers = ("order_number", "customer_number", "import_number", "key_id", "view_id", "entry_id", "inbound_number", "receipt_number", "transfer_number", "count_number", "snapshot_number")  # fmt: skip
    codes = ("allotment", "safety_rule", "source")
    return (
        dict.fromkeys(numbers, "987654")
        | {n: str(new_id()) for n in uuids}
        | dict.fromkeys(codes, "NONE")
        | {"reference": "nothing", "location": "NOWHERE"}
    )


def address(path: str, names: dict[str, str]) -> str:
    """A route's address with names of records; what is nobody's is the same for all."""

    def fill(match: re.Match[str]) -> str:
        param, kind = match.groups()
        page = path.removeprefix("/v1")
        by_prefix = [name for (prefix, of), name in BY_PREFIX.items() if of == param and page.startswith(prefix)]
        name = by_prefix[0] if by_prefix else param
        shared = {
            "sku": FIRST.sku,
            "code": "web",
            "channel": "web",
            "line": "1",
            "attempt": "1",
            "kind": "manual",
            "token": "x",
        }
        return (
            names.get(name)
            or shared.get(param)
            or {"int": "1", "uuid": str(UUID(int=7)), "path": "css/none.css", "date": "2026-12-24"}.get(kind, "x")
        )

    return re.sub(r"\{(\w+):(\w+)\}", fill, path)


def everything(names: dict[str, str]) -> dict[str, str]:
    """A form with every field that any page has."""
    fields = {name for page in TEMPLATES.rglob("*.html") for name in FIELD.findall(page.read_text())}
    fields |= {"location", "locations", "ids", "numbers", "orders", "sku", "line", "quantity", "key", "subscriber"}
    return {field: _word(field, names) for field in fields}


def _word(field: str, names: dict[str, str]) -> str:
    if field in {"location", "locations", "pickup_location", "codes", "at", "place", "origin"}:
        return names["location"]
    if field in {"ids", "id", "numbers", "number", "orders", "order"}:
        return names["order_number"]
    return FIRST.sku if field == "sku" else WORDS.get(field, "1")


def bodies(document: dict[str, Any], names: dict[str, str]) -> dict[tuple[str, str], bytes]:
    """An example of the body of every operation of the API, about the records of those names."""
    schemas, made = document["components"]["schemas"], {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if schema is not None:
                example = _named(reference.example(schema, schemas), names)
                made[method.upper(), path] = msgspec.json.encode(example)
    return made


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _field(key, item, names) for key, item in value.items()}
    return [_named(item, names) for item in value] if isinstance(value, list) else value


def _field(key: str, value: Any, names: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return _named(value, names)
    if key in names:
        return names[key]
    return _word(key, names) if key in {"location", "pickup_location", "sku", "origin"} else value


def alike(answer: httpx.Response) -> tuple[Any, ...]:
    """What an answer tells of whether something is there; words of pages are looked through by the walk of franchises."""
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        problem = answer.json()
        says = [(flaw["at"], re.sub(r"S1-SP9|S2|NOWHERE", "~", flaw["says"])) for flaw in problem.get("errors", ())]
        return answer.status_code, problem["code"], says
    return answer.status_code, re.sub(r"[0-9a-f-]{36}|\d+|S1-SP9|S2|NOWHERE", "~", answer.headers.get("location", ""))


class Walker:
    """Asks routes as somebody, for records of those names."""

    def __init__(self, shop: Shop, document: dict[str, Any]) -> None:
        self.shop, self.document = shop, document
        self.made: dict[str, tuple[dict[str, str], dict[tuple[str, str], bytes]]] = {}

    async def ask(self, method: str, path: str, headers: dict[str, str], names: dict[str, str]) -> httpx.Response:
        order = names["order_id"]
        if order not in self.made:  # all pages and all operations are read for it, which takes longer than an answer
            self.made[order] = everything(names), bodies(self.document, names)
        form, sent = self.made[order]
        self.shop.http.cookies.clear()
        body: dict[str, Any] = {}
        headers = {**headers, "if-match": '"1"'}
        if method != "GET" and path.startswith("/v1/"):
            content = sent.get((method, re.sub(r"\{(\w+):\w+\}", r"{\1}", path)), b"sku;location;on_hand\nA;DC;1\n")
            body = {"content": content}
            headers["content-type"] = "application/json"
        elif method != "GET":
            body = {"data": form}
        return await self.shop.http.request(method, address(path, names), headers=headers, **body)


# To the whole retailer the same for everybody, or the caller's own: here no name of a record makes a difference.
# Who asks these too often is told so.
PROVING = {
    ("POST", "/account/password"),
    ("POST", "/account/second-factor/codes"),
    ("POST", "/account/second-factor/off"),
    ("POST", "/v1/session/password"),
}
UNMATCHED = LEADING | ENDING | FINER | PROVING | {("POST", "/v1/sessions"), ("POST", "/track")}


EVERYBODY = [*((role, [FIRST.code]) for role in ROLE_ORDER), (Role.OWNER, [])]
TWO = [(role, [FIRST.code]) for role in (Role.OWNER, Role.STORE_LEAD)]


@pytest.mark.parametrize(
    ("other", "callers"), [(SECOND, EVERYBODY), (CONSIGNOR, TWO)], ids=["another franchise", "a consignor at the site"]
)
async def test_a_record_of_another_franchise_is_as_one_that_does_not_exist(
    franchises: Shop,  # noqa: F811
    other: Franchise,
    callers: list[tuple[Role, list[str]]],
) -> None:
    shop = franchises
    owned = await furnish(shop)
    nothing = missing()
    walker, expected = Walker(shop, reference.document()), expected_roles()
    routes = sorted(r for r in declared(shop.app) if r[1] not in STREAMS | {"/metrics"} and r[:2] not in UNMATCHED)
    wrong, asked = [], 0
    theirs, before = owned[other].names, await _state(shop, owned[other])
    for role, places in callers:
        email = f"{role}-{len(places)}-{other.code}@walk.test".lower()
        headers = await shop.session(role, email=email, locations=places)
        for method, path, permission in routes:
            may = permission in {"public", "signed_in"} or role in expected[permission]
            if method == "GET" and "{" not in path:
                continue  # names no record; who may see it, and what is in it, other tests ask
            given = await walker.ask(method, path, headers, theirs)
            asked += 1
            where = f"{role} at {places}, of {other.code}: {method} {path}"
            if given.status_code >= 500:
                wrong.append(f"{where}: {given.status_code} {given.text[:300]}")
            if not may:
                if given.status_code != 403:
                    wrong.append(f"{where}: {given.status_code} without {permission}")
                continue
            if role in {Role.OWNER, Role.STORE_LEAD}:
                none = await walker.ask(method, path, headers, nothing)
                if alike(given) != alike(none):
                    wrong.append(f"{where}: {alike(given)} is not {alike(none)}")
        if before != await _state(shop, owned[other]):
            wrong.append(f"{role} at {places} changed what is of {other.code}")
            before = await _state(shop, owned[other])
    assert asked > 200 * len(callers)
    assert not wrong, "\n".join(wrong)


async def _state(shop: Shop, own: Own) -> str:
    async with shop.database.transaction() as tx:
        found = await tx.value(STATE, own.rows)
    assert isinstance(found, str)
    return found
