"""The API is what its OpenAPI document says: every operation is used once as it is meant, then made-up requests look
for a fault, an answer that is not documented, or a way past the permission.

`MALHA_TEST_FUZZ_EXAMPLES=500` searches deep, `MALHA_TEST_FUZZ_SEED=7` elsewhere; a failure says what to send.
"""

import asyncio
import functools
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import schemathesis
from api_goods import (
    LATER,
    Job,
    ask_what_if,
    count_goods,
    move_goods,
    order_and_receive,
    sell_ahead,
    share_out,
    state_stock,
    weigh,
    worked_off,
)
from api_world import Names, build_world, hook_in, names_in
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from traffic import Serving

from malha.exchange import service as exchange
from malha.exchange import undoing
from malha.identity import service as identity
from malha.identity.model import PERMISSIONS, PUBLIC, SIGNED_IN, Role
from malha.identity.service import PersonDraft
from malha.platform.brazil import build_access_key
from malha.platform.db import Database

EXAMPLES = int(os.environ.get("MALHA_TEST_FUZZ_EXAMPLES", "0"))
SEED = int(os.environ.get("MALHA_TEST_FUZZ_SEED", "1"))
PATIENCE_S = max(1_200, EXAMPLES * 72)  # a search computes all the time, and the machine may be busy
PASSWORD = "correct horse battery"
EMAIL = "dona@loja.test"

# What a JSON schema cannot say (codes that must exist, states that must fit) is refused with 409 and 422: that good
# looking requests are refused is no defect. A table is any text.
CHECKS = {
    "positive_data_acceptance": {"enabled": False},
    "missing_required_header": {"expected-statuses": [400, 401, 403, 406, 415, 422, 428]},
}
# What is longer is refused by the HTTP server itself (414, no body), before Malha reads it: its URI type holds no more.
LONGEST_ADDRESS = 65_000
ANY_BYTES = ["/v1/imports/*", "*:import"]


class Served(NamedTuple):
    url: str
    owner: str  # a key with every permission
    narrow: str  # a key that may read orders, at one location
    names: Names
    serving: Serving
    work_off: Callable[[Job], Any]  # what the worker would do

    def renamed(self) -> Names:
        """What records are called now."""
        found: Names = self.work_off(names_in)
        return found


@pytest.fixture(scope="module")
def served(template_url: str, retailer_on) -> Iterator[Served]:
    """A retailer with a past behind `malha serve`, without a worker: nothing changes but what requests change."""
    home = Path(tempfile.mkdtemp(prefix="malha-a-"))
    mail = {"MALHA_SMTP_URL": "smtp://127.0.0.1:9?tls=none", "MALHA_MAIL_FROM": "Loja <pedidos@loja.example>"}
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        for name, value in mail.items():  # so that messages to customers are written; nothing listens there
            patch.setenv(name, value)
        retailer = retailer_on(template_url)
        database = runner.run(retailer.__aenter__())
        try:
            owner, narrow, names = runner.run(_fill(database))
            options = {"DATABASE_URL": database.url, "MALHA_LOG_LEVEL": "warning", **mail}
            with Serving(home, "--no-worker", "--web-workers", "1", **options) as serving:
                work_off = functools.partial(worked_off, database.url, database.retailer)
                yield Served(f"http://127.0.0.1:{serving.port}", owner, narrow, names, serving, work_off)
        finally:
            runner.run(retailer.__aexit__(None, None, None))
            shutil.rmtree(home, ignore_errors=True)


async def _fill(database: Database) -> tuple[str, str, Names]:
    await build_world(database)
    async with database.transaction() as tx:
        owner = await identity.create_key(tx, name="owner", permissions=list(PERMISSIONS))
        some = await tx.value("SELECT code FROM location ORDER BY id LIMIT 1")
        narrow = await identity.create_key(tx, name="narrow", permissions=["orders:read"], locations=[some])
        draft = PersonDraft(name="Dona", email=EMAIL, role=Role.OWNER)
        await identity.create_person(tx, draft, password=PASSWORD)
        await tx.execute(
            "INSERT INTO parked_key (subscriber, key, state, cause, error, position) "
            "SELECT min(name), 'order:lost', 'parked', 'ValueError', 'no such order', 1 FROM subscriber"
        )
        await tx.execute("UPDATE message SET state = 'sent', subject = 'Olá', body = 'Chegou.', done_at = now()")
    return owner.secret, narrow.secret, await names_in(database)


# --- every operation, as it is meant ----------------------------------------------------------------------------------


class Story:
    """Uses operations by their ids; each answer is checked against the document."""

    def __init__(self, served: Served) -> None:
        config = SchemathesisConfig.from_dict({"base-url": served.url})
        self.schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json", config=config)
        self.owner = {"Authorization": f"Bearer {served.owner}", "Accept-Language": "en"}
        self.used: set[str] = set()
        self.work_off = served.work_off

    def do(self, operation_id: str, /, *, body: Any = None, headers: Any = None, query: Any = None, **path: Any) -> Any:
        """Send it; return what was answered. Anything but success, or what the document says, fails."""
        operation = self.schema.find_operation_by_id(operation_id)
        kind = next(iter(operation.definition.raw.get("requestBody", {}).get("content", {})), None)
        given: dict[str, Any] = {} if kind is None else {"body": body, "media_type": kind}
        case = operation.Case(path_parameters=path, query=query or {}, headers=headers or {}, **given)
        sent = {**self.owner, **(headers or {})} if "Cookie" not in (headers or {}) else headers
        answer = case.call(headers=sent, timeout=180)  # a whole table on a busy machine is not quick
        assert 200 <= answer.status_code < 300, f"{operation_id}: {answer.status_code} {answer.content[:600]!r}"
        assert str(answer.status_code) in operation.definition.raw["responses"], f"{operation_id}: {answer.status_code}"
        case.validate_response(answer, excluded_checks=[schemathesis.checks.CHECKS.get_one("ignored_auth")])
        self.used.add(operation_id)
        self.headers = {name: values[0] for name, values in answer.headers.items()}
        is_json = self.headers.get("content-type", "").startswith("application/json")
        return answer.json() if is_json else answer.content

    def version(self) -> int:
        """Return the version that was answered last."""
        return int(self.headers["etag"].strip('"'))

    def change(self, operation_id: str, /, version: int, **options: Any) -> Any:
        """Send a change of a version."""
        return self.do(operation_id, headers={"If-Match": f'"{version}"'}, **options)


def an_address() -> dict[str, str]:
    return {
        "postal_code": "01310100",
        "street": "Avenida Paulista",
        "number": "1000",
        "district": "Bela Vista",
        "city": "São Paulo",
        "state": "SP",
    }


def an_order(sku: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "channel": "fair",
        "external_id": name,
        "customer": {"name": "Maria da Silva", "document": "529.982.247-25", "email": "maria@example.com"},
        "lines": [{"sku": sku, "quantity": 2, "unit_price": 5_990}],
        "ship_to": an_address(),
        **more,
    }


def set_up(story: Story) -> None:
    """A company with a location, a channel, a service and a product, each made, changed, read and listed."""
    do, change = story.do, story.change
    company = {"code": "FAIR", "name": "Feira", "cnpj": "12.ABC.345/01DE-35", "state": "SP"}
    do("create_establishment", body=company)
    change("change_establishment", 1, code="FAIR", body={**company, "name": "Feira SP"})
    do("get_establishment", code="FAIR")
    do("list_establishments")
    entity = do("get_legal_entity", root="12ABC345")
    change("change_legal_entity", entity["version"], root="12ABC345", body={"name": "Feira", "kind": "franchise"})
    do("list_legal_entities")
    place = {"code": "STALL", "name": "Barraca", "kind": "store", "establishment": "FAIR", "address": an_address()}
    place |= {"can_pickup": True, "can_ship": True, "latitude": -23.5, "longitude": -46.6}
    do("create_location", body=place)
    do("create_location", body={**place, "code": "SHED"})
    do("create_location", body={**place, "code": "TENT", "can_ship": False, "can_pickup": False})
    change("change_location", 1, code="STALL", body={**place, "name": "Barraca 1"})
    do("get_location", code="STALL")
    do("list_locations", query={"limit": 1})
    do("pause_location", code="STALL", query={"reason": "chuva"})
    do("resume_location", code="STALL")
    do("close_days", code="STALL", body={"days": ["2031-12-24"], "reason": "Natal"})
    do("list_closures", code="STALL")
    do("open_days", code="STALL", body={"days": ["2031-12-24"]})
    do("close_location", code="SHED")
    channel = {"code": "fair", "name": "Feira", "kind": "marketplace", "payment_policy": "settled_by_channel"}
    channel |= {"locations": ["STALL"], "release_delay_minutes": 600}
    do("create_channel", body=channel)
    do("create_channel", body={**channel, "code": "page", "kind": "web", "payment_policy": "before_release"})
    change("change_channel", 1, code="fair", body={**channel, "priority": 7})
    do("get_channel", code="fair")
    do("list_channels")
    rate = {"from_state": "SP", "to_state": "SP", "max_grams": 30_000, "price": 900, "lead_days": 2}
    service = {"code": "cart", "name": "Carrinho", "carrier": "Própria", "rates": [rate]}
    do("create_service", body=service)
    change("change_service", 1, code="cart", body={**service, "name": "Carrinho de mão"})
    do("create_service", body={"code": "counter", "name": "Balcão", "carrier": "-", "method": "pickup"})
    do("get_service", code="cart")
    do("list_services")
    do("quote_services", query={"from_state": "SP", "to_state": "SP", "grams": 500})
    do("get_place", cep="01310100")
    retailer = do("get_retailer")
    story.change("change_retailer", retailer["version"], body={"name": "Feira", "languages": ["pt-BR", "en"]})
    do("put_categories", body=[{"code": "fruit", "name": "Frutas"}, {"code": "figs", "name": "Figos"}])
    do("move_category", code="figs", body={"parent": "fruit"})
    do("list_categories")
    product = {"code": "FIG", "name": "Figo", "category": "figs", "variants": [{"sku": "FIG-1", "price": 5_990}]}
    do("create_product", body=product)
    change("change_product", 1, code="FIG", body={**product, "brand": "Roxo"})
    do("get_product", code="FIG")
    do("list_variants", query={"q": "figo", "limit": 5})


def keep_stock(story: Story) -> None:
    do = story.do
    fig = {"sku": "FIG-1", "location": "STALL"}
    do("set_stock", body={"items": [{**fig, "quantity": 100}], "reason": "count"})
    do("adjust_stock", body={"items": [{**fig, "change": -1}], "reason": "damage"})
    do("receive_stock", body={"items": [{**fig, "quantity": 11}]})
    do("set_safety", body={"items": [{**fig, "quantity": 2}]})
    do("list_stock", query={"sku": "FIG-1"})
    do("list_movements", sku="FIG-1", location="STALL")
    do("list_sku_movements", sku="FIG-1", query={"reason": "damage", "limit": 5})
    do("hold_stock", body={"reference": "cart-1", "items": [{**fig, "quantity": 3}], "channel": "fair"})
    do("extend_stock_hold", reference="cart-1", body={"seconds": 1_800})
    do("list_stock_holds", query={"sku": "FIG-1", "limit": 1})
    do("get_stock_hold", reference="cart-1")
    do("release_stock_holds", body={"references": ["cart-1"], "reason": "gave up"})
    do("release_stock_hold", reference="cart-1")


def sell_and_send(story: Story) -> None:
    """An order from its placing to its delivery, one that is collected, and what may be done to others."""
    do = story.do
    sent = do("create_order", body=an_order("FIG-1", "F-1"))["id"]
    assert do("create_order", body=an_order("FIG-1", "F-1"))["result"] == "duplicate"
    line = b'{"channel":"fair","external_id":"F-2","lines":[{"sku":"FIG-9","quantity":1,"unit_price":100}]}'
    other = do("create_orders", body=line)["results"][0]["order"]["id"]
    collected = an_order("FIG-1", "F-3", method="pickup", pickup_location="STALL", service="counter")
    del collected["ship_to"]
    fetched = do("create_order", body=collected)["id"]

    do("list_orders", query={"search": "F-1", "limit": 1})
    do("get_order", order_id=other)
    version = story.version()
    mapped = story.change("map_line", version, order_id=other, line=1, body={"sku": "FIG-1"})
    story.change("change_address", mapped["order"]["version"], order_id=other, body=an_address())
    do("change_buyer", order_id=other, body={"name": "João Souza"})
    do("place_hold", order_id=other, body={"kind": "fraud", "note": "strange address"})
    do("resolve_hold", order_id=other, kind="fraud", body={"resolution": "called"})
    do("add_note", order_id=other, body={"text": "Ligar antes."})
    do("place_units", order_id=other)
    do("add_tender", order_id=other, body={"kind": "pix", "amount": 100})
    fact = {"position": 1, "kind": "captured", "amount": 100, "reference": "E2E-1"}
    do("record_payment", order_id=other, body=fact)
    do("get_payments", order_id=other)
    do("put_payment_term", body={"tender": "pix", "channel": "page", "minutes": 45})
    do("list_payment_terms")
    unpaid = do("create_order", body=an_order("FIG-1", "F-5", channel="page"))["id"]
    do("add_tender", order_id=unpaid, body={"kind": "pix", "amount": 11_980})
    do("get_payment_deadline", order_id=unpaid)
    do("extend_payment_deadline", order_id=unpaid, body={"minutes": 90})
    do("promise_order", order_id=other, body={"promised_at": f"{LATER}T20:00:00-03:00", "reason": "customer_asked"})
    do("list_promises", order_id=other)
    do("show_kept_promises")
    do("list_broken_promises")
    do("explain_routing", order_id=other)
    do("get_timeline", order_id=other)
    do("cancel_order", order_id=other, body={"reason": "changed his mind"})

    (work,) = do("release_order", order_id=sent)["fulfillments"]
    do("list_work", query={"location": "STALL"})
    do("list_work", query={"site": "STALL"})
    assert {row["fulfillment_id"] for row in do("get_pick_list", query={"site": "STALL"})} >= {work}
    assert do("accept_many", body={"fulfillments": [work]})["fulfillments"] == [work]
    do("accept_work", fulfillment_id=work)
    do("confirm_pick", fulfillment_id=work, body={"picked": [{"line": 1, "quantity": 2}]})
    (parcel,) = do("pack_work", fulfillment_id=work, body={"parcels": [{"weight_grams": 640}]})["shipments"]
    document = do("record_document", fulfillment_id=work, body={"access_key": a_key(1)})
    do("list_documents", order_id=sent)
    do("cancel_document", document_id=document["id"], body={"reason": "wrong series"})
    do("record_document", fulfillment_id=work, body={"access_key": a_key(2)})
    do("ship_work", fulfillment_id=work, body={"parcels": [{"tracking_code": "BR000000001BR"}]})
    do("send_shipment_out", shipment_id=parcel, body={})
    do("deliver_shipment", shipment_id=parcel, body={"received_by": "Porteiro"})
    do("get_work", fulfillment_id=work)
    do("get_order", order_id=sent)

    (work,) = do("release_order", order_id=fetched)["fulfillments"]
    do("confirm_pick", fulfillment_id=work, body={})
    do("pack_work", fulfillment_id=work, body={})
    do("record_document", fulfillment_id=work, body={"access_key": a_key(3, "65")})
    do("make_ready", fulfillment_id=work)
    do("renew_code", fulfillment_id=work)
    do("extend_pickup", fulfillment_id=work, body={"days": 9})
    code = do("get_pickup_code", fulfillment_id=work)["code"]
    do("hand_over", fulfillment_id=work, body={"code": code, "received_by": "Ana"})

    third = do("create_order", body=an_order("FIG-1", "F-4"))["id"]
    (work,) = do("release_order", order_id=third)["fulfillments"]
    do("reject_work", fulfillment_id=work, body={"reason": "store_closed"})


def a_key(number: int, model: str = "55") -> str:
    """The access key of a document of the fair, issued now."""
    today = datetime.now(UTC)
    return build_access_key(
        state="SP",
        year=today.year,
        month=today.month,
        issuer="12ABC34501DE35",
        model=model,
        series=1,
        number=number,
        code="12345678",
    )


def know_people(story: Story, names: Names) -> None:
    """Customers, colleagues, keys, sessions."""
    do = story.do
    maria = {"name": "Ana Lima", "document": "111.444.777-35", "email": "ana@example.com"}
    customer = do("create_customer", body=maria)["id"]
    do("list_customers", query={"q": "ana", "limit": 1})
    do("get_customer", customer_id=customer)
    story.change("change_customer", 1, customer_id=customer, body={**maria, "name": "Ana L."})
    do("reveal_customer", customer_id=customer, body={"why": "called the shop"})
    version = do("get_wishes", customer_id=customer)["version"]
    story.change("put_wishes", version, customer_id=customer, body={"declined": ["email"], "source": "telephone"})

    caio = {"name": "Caio", "email": "caio@example.com", "role": "planner"}
    person = do("create_person", body={**caio, "password": PASSWORD})["id"]
    do("list_people", query={"limit": 1})
    do("get_person", person_id=person)
    story.change("change_person", 1, person_id=person, body={**caio, "name": "Caio B."})
    do("set_password", person_id=person, body={"password": "another good phrase"})
    do("make_link", person_id=person)
    do("mail_link", person_id=person)

    consent = {"customer_id": customer, "purpose": "marketing", "channel": "email", "given": True, "source": "call"}
    do("record_consents", body={"items": [consent]})
    do("list_consents", customer_id=customer)

    key = do("create_key", body={"name": "till", "permissions": ["orders:read"]})
    do("list_keys")
    do("revoke_key", key_id=key["id"])

    provider = {"name": "Entrada", "issuer": "https://login.invalid", "client_id": "malha", "client_secret": "s" * 20}
    provider |= {"domains": ["example.com"], "rules": [{"value": "lojas", "role": "store_lead"}], "claim": "groups"}
    do("create_login_provider", body={**provider, "code": "door"})
    story.change("change_login_provider", 1, code="door", body={**provider, "name": "Porta"})
    do("get_login_provider", code="door")
    do("list_login_providers")
    assert do("test_login_provider", code="door")[-1]["state"] == "bad"  # nothing listens there
    do("get_login_policy")
    story.change("change_login_policy", story.version(), body={"provider_only": False})
    do("delete_login_provider", code="door")

    inside, elsewhere = signed_in(story), signed_in(story)
    do("get_session", headers=inside)
    sessions = do("list_sessions", headers=inside)
    do("revoke_session", headers=inside, session_id=next(s["id"] for s in sessions if not s["current"]))
    elsewhere = signed_in(story)
    do("revoke_other_sessions", headers=inside)
    for old, new in ((PASSWORD, PASSWORD + "!"), (PASSWORD + "!", PASSWORD)):
        do("change_password", headers=inside, body={"current": old, "password": new})
        inside = {**inside, "Cookie": story.headers["set-cookie"].partition(";")[0]}  # the token is a new one each time
    do("delete_session", headers=inside)
    assert elsewhere


def signed_in(story: Story) -> dict[str, str]:
    """Headers of a browser of the owner."""
    story.do("create_session", body={"email": EMAIL, "password": PASSWORD}, headers={"Cookie": "none=1"})
    token = story.headers["set-cookie"].partition(";")[0]
    return {"Cookie": token, "Origin": story.schema.get_base_url().removesuffix("/"), "Accept-Language": "en"}


def another(story: Story) -> dict[str, str]:
    """Headers of a program that may count and look."""
    key = story.do("create_key", body={"name": "counter", "permissions": ["stock:read", "stock:count"]})
    return {"Authorization": f"Bearer {key['secret']}"}


def bring_tables(story: Story) -> None:
    """Every table out and in again, at once and in the background."""
    do = story.do
    for kind in ("products", "prices", "stock", "locations", "customers"):
        table = do(f"export_all_{kind}", query={"format": "csv"})
        do(f"export_all_{kind}", query={"format": "xlsx"})
        assert do(f"import_{kind}", query={"mode": "all"}, body=table)["bad"] == 0
        run = do(f"upload_{kind}", query={"name": f"{kind}.csv"}, body=table)["id"]
        do("check_import", import_id=run, body={})
        do("stop_import", import_id=run)
        do("get_import", import_id=run)
    run = do("upload_prices", body=b"sku;price\nFIG-1;59,90\n")["id"]
    do("apply_import", import_id=run, body={})
    do("stop_import", import_id=run)
    do("resume_import", import_id=run)
    do("refused_rows", import_id=run)
    do("list_imports")
    run = do("upload_prices", body=b"sku;price\nFIG-1;61,90\n")["id"]
    do("apply_import", import_id=run, body={})
    story.work_off(lambda database: exchange.go_on.work(database, run_id=run))
    do("undo_import", import_id=run)
    story.work_off(lambda database: undoing.take_back.work(database, run_id=run))
    assert do("get_import", import_id=run)["undone"] == 1
    do("left_records", import_id=run)


def reach_customers(story: Story) -> None:
    """A gateway described, tried, changed, removed; which means goes first."""
    do = story.do
    gateway = {"url": "https://sms.invalid/send", "headers": [{"name": "Authorization", "value": "Bearer {secret}"}]}
    gateway |= {"body": '{"to": "{to}", "text": "{text}"}', "name": "Nobody's"}
    do("list_message_gateway_presets")
    do("create_message_gateway", body={**gateway, "channel": "sms", "secret": "s" * 20, "receipt_secret": "r" * 20})
    do("list_message_gateways")
    assert do("get_message_gateway", channel="sms")["has_secret"]
    story.change("change_message_gateway", story.version(), channel="sms", body={**gateway, "active": True})
    answer = do("test_message_gateway", channel="sms", body={"phone": "(11) 98765-4321"})
    assert answer["end"] == "later"  # there is no such host
    story.do("delete_message_gateway", channel="sms")
    do("list_message_routes")
    do("get_message_route", kind="ready")
    story.change("put_message_route", story.version(), kind="ready", body={"means": ["whatsapp", "email"]})
    assert not do("delete_message_route", kind="ready")["own"]


def tell_others(story: Story) -> None:
    """A webhook from its making to its end, and what happened, asked for."""
    do, change = story.do, story.change
    do("list_event_types")
    start = do("list_events")["cursor"]
    assert do("list_events", query={"after": max(0, start - 3), "limit": 3})["cursor"] <= start
    webhook = {"name": "ERP", "url": "https://erp.invalid/hook", "types": ["order.*"]}
    made = do("create_webhook", body=webhook)["id"]
    change("change_webhook", 1, webhook_id=made, body={**webhook, "ordered": True})
    assert do("get_webhook", webhook_id=made)["ordered"]
    do("list_webhooks")
    change("rotate_webhook_secret", 2, webhook_id=made)
    assert not do("test_webhook", webhook_id=made)["delivered"]  # there is no such host
    since = {"since": "2020-01-01T00:00:00Z", "types": ["order.placed"]}
    assert do("replay_webhook", webhook_id=made, body=since)["count"]
    delivery = do("list_webhook_deliveries", webhook_id=made)["items"][0]
    do("get_webhook_delivery", webhook_id=made, position=delivery["cursor"])
    do("replay_webhook_delivery", webhook_id=made, position=delivery["cursor"])
    do("get_webhook_health", webhook_id=made)
    change("pause_webhook", 3, webhook_id=made)
    change("start_webhook", 4, webhook_id=made, body={})
    other = do("create_webhook", body=webhook)["id"]
    change("remove_webhook", 1, webhook_id=other)


def connect_channel(story: Story) -> None:
    """A shop is connected, paused as it is made, and how its fields are filled is tried before it is saved."""
    do, change = story.do, story.change
    config = {"base_url": "https://shop.invalid"}
    shop = {"code": "shop", "name": "Loja", "connector": "generic", "channel": "page", "config": config}
    do("add_connection", body={**shop, "secrets": {"api_key": "a" * 32, "webhook_secret": "b" * 32}})
    assert do("get_listing_fields", code="shop")["mapping"] is None
    said = {"mapping": [{"target": "title", "origin": "template", "value": "{name} {sku}"}]}
    seen = do("preview_listing_fields", code="shop", body={**said, "sku": "FIG-1"})
    (title,) = [f for f in seen["listings"][0]["fields"] if f["field"] == "title"]
    assert (title["value"], title["changes"], seen["told"]) == (f"{title['now']} FIG-1", True, 0)
    change("put_listing_fields", 0, code="shop", body=said)
    seen = do("preview_listing_fields", code="shop", body={**said, "sku": "FIG-1"})
    assert not seen["listings"][0]["changes"], "what is tried is what is saved"


def look_after(story: Story, names: Names) -> None:
    """Messages, the trail, what failed."""
    do = story.do
    assert any(do("list_messages", order_id=order)["items"] for order in names["order_id"])
    do("send_message", message_id=names["message_id"][0])
    do("record_bounce", message_id=names["message_id"][1])
    do("list_audit", query={"limit": 3})
    (parked,) = do("list_attention")["items"]
    do("replay_events", subscriber=parked["subscriber"], key=parked["key"])


# Operations that the story does not use yet, and the module in which they are used over HTTP and succeed.
ELSEWHERE = {
    "test_connections_api.py": "ask_refund change_connection drop_entries get_connection list_attempts list_calls"
    " list_connections list_connectors list_dead list_methods list_stuck mark_operations_done pause_connection"
    " put_method read_again replay_entries resume_connection test_connection",
    "test_connection_listings_api.py": "list_connection_listings get_connection_listing say_connection_listing"
    " say_connection_listings publish_connection_listings end_connection_listings"
    " import_listings export_listings upload_listings",
    "test_brought_over_http.py": "list_coming list_origins send_work state_origins",
    "test_refunds_due.py": "get_refund_batch list_refund_batches list_refunds_due list_refused_refunds record_refunds"
    " stop_refund_batch sum_refunds_due",
    "test_bulk_actions_http.py": "begin_bulk_action gather_orders get_bulk_action list_bulk_actions list_orders_left"
    " stop_bulk_action",
    "test_order_tags.py": "change_order_tags list_order_tags",
    "test_webhooks_outlive_makers.py": "hand_over_webhook",
    "test_connection_mapping_api.py": "accept_suggestions consider_channel_variants ignore_channel_variants"
    " list_channel_variants map_channel_variants unmap_channel_variants",
    "test_connection_fields_api.py": "list_field_rules put_field_rules restore_field_rules show_field_rules try_field_rules",
    "test_connection_products_api.py": "get_product_role list_held_products list_held_reasons preview_product_role"
    " put_product_role",
    "test_connection_new_products_api.py": "accept_new_products list_new_products list_product_acceptances"
    " list_products_made take_products_back list_product_categories map_product_categories"
    " list_products_made_at_once take_products_made_at_once_back",
    "test_connection_health_api.py": "get_connection_health",
    "test_connection_stock_api.py": "compare_stock drop_stock_role get_stock_role list_stock_comparisons"
    " list_stock_differences put_stock_role tell_stock_again",
    "test_partner_over_http.py": "get_partner get_partner_file list_partner_files list_partner_flaws"
    " list_partner_notices list_partner_requests look_at_host_key put_partner_locations send_requests_again"
    " trust_host_key",
    "test_rules_on_past_orders.py": "list_simulation_orders promote_shadow promote_simulation take_back_shadow"
    " take_back_simulation",
    "test_capacity_api.py": "change_capacity_day change_capacity_templates change_order_slot confirm_slot"
    " get_capacity_plan get_order_slot hold_slot list_capacity move_work release_order_slot release_slot_hold",
    "test_drop_ships_api.py": "accept_drop_ship cancel_drop_ship get_drop_ship list_drop_ships list_vendor_offers"
    " refuse_drop_ship remove_vendor_offer send_drop_ship state_vendor_offers",
    "test_routing_rules_api.py": "change_rules draft_rules drop_rules end_rules list_rule_sets publish_rules roll_back_rules"
    " show_rule_set try_routing_rules withdraw_rules",
    "test_cost_drafts.py": "change_cost_draft draft_costs drop_cost_draft list_cost_drafts promote_cost_draft"
    " show_cost_draft take_back_cost_draft",
    "test_owners_at_sites.py": "list_settlement",
    "test_shadows.py": "compare_shadow forget_shadow list_shadow_orders list_shadows show_shadow start_shadow stop_shadow",
    "test_shortages.py": "end_shortage get_reroute_policy list_shortages put_reroute_policy",
    "test_feeds_api.py": "drop_feed feed_file get_build get_feed list_builds list_feed_profiles list_feeds list_flaws"
    " mend_file preview_feed put_feed rotate_feed start_build stop_build",
    "test_promise_pages_api.py": "promise_page",
    "test_keys_outlive_makers.py": "hand_over_key list_keys_of_person revoke_keys_of_person",
    "test_personal_data_http.py": "erase_customer get_erasure take_personal_data",
    "test_promises_slipping.py": "list_slipping_promises promise_slipping_orders",
    "test_promises_learned_switch.py": "show_learned_dates turn_learned_dates",
    "test_second_factor.py": "remove_second_factor",  # no person of this story has a second factor
}
UNREACHED = {name for names in ELSEWHERE.values() for name in names.split()}
HTTP_TESTS = Path(__file__).parents[1] / "postgres" / "http"


@pytest.fixture(scope="module")
def told(served: Served) -> Story:
    """The story, told to its end: there are records of every kind now."""
    story = Story(served)
    set_up(story)
    keep_stock(story)
    share_out(story)
    sell_and_send(story)
    order_and_receive(story)
    sell_ahead(story)
    weigh(story)
    ask_what_if(story)
    move_goods(story)
    count_goods(story, another(story), another(story))
    state_stock(story)
    know_people(story, served.names)
    bring_tables(story)
    reach_customers(story)
    tell_others(story)
    connect_channel(story)
    look_after(story, served.names)
    return story


def test_every_operation_answers_as_it_is_documented_when_it_is_used_as_it_is_meant(told: Story) -> None:
    every = {operation.ok().definition.raw["operationId"] for operation in told.schema.get_all_operations()}
    assert sorted(every - told.used) == sorted(UNREACHED)
    there = {path.name for folder in (HTTP_TESTS, Path(__file__).parent) for path in folder.glob("test_*.py")}
    assert sorted(ELSEWHERE.keys() - there) == []


# --- requests that a machine makes up ---------------------------------------------------------------------------------


class Search(NamedTuple):
    """What a search found: how often each operation was answered with which status, and what was wrong."""

    answers: dict[str, Counter[int]]
    wrong: list[str]

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return sum(sum(counter.values()) for counter in self.answers.values())


def searched(served: Served, key: str, *, examples: int, phases: Sequence[str]) -> Search:
    """Send made-up requests to every operation, good ones and bad ones, and check the answers."""
    config = SchemathesisConfig.from_dict(
        {
            "base-url": served.url,
            "seed": SEED,
            "headers": {"Authorization": f"Bearer {key}", "Accept-Language": "en"},
            "generation": {"mode": "all", "max-examples": examples, "database": "none", "no-shrink": True},
            "phases": {name: {"enabled": name in phases} for name in ("examples", "coverage", "fuzzing", "stateful")},
            "checks": CHECKS,
            "operations": [{"include-path-regex": "import", "checks": {"negative_data_rejection": {"enabled": False}}}],
            "continue-on-failure": True,
            "request-timeout": 30,
        }
    )
    schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json", config=config)
    hook_in(schema, served.renamed(), spared=[("key_id", "1"), ("key_id", "2")])
    answers: dict[str, Counter[int]] = defaultdict(Counter)
    wrong: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(event.recorder, answers, wrong)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(event))
    return Search(answers, wrong)


def _note(recorder: Any, answers: dict[str, Counter[int]], wrong: list[str]) -> None:
    unread: set[str] = set()
    for case_id, interaction in recorder.interactions.items():
        operation, answer = recorder.cases[case_id].value.operation, interaction.response
        where = f"{operation.label}"
        if answer is None:
            wrong.append(f"{where}: no answer")
            continue
        if answer.status_code == 414 and len(interaction.request.uri) > LONGEST_ADDRESS:
            unread.add(case_id)
            continue
        answers[where][answer.status_code] += 1
        if answer.status_code < 400 and str(answer.status_code) not in operation.definition.raw["responses"]:
            wrong.append(f"{where}: {answer.status_code} is not documented")
    for case_id, checks in recorder.checks.items():
        if case_id in unread:
            continue
        wrong += [
            f"{recorder.cases[case_id].value.operation.label}: {check.name}: {check.failure_info.failure.message}\n"
            f"{check.failure_info.code_sample}"
            for check in checks
            if check.failure_info is not None
        ]


def permissions_of(served: Served) -> dict[str, str]:
    schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json")
    return {o.ok().label: o.ok().definition.raw["x-permission"] for o in schema.get_all_operations()}


@pytest.mark.timeout(PATIENCE_S)
def test_made_up_requests_meet_no_fault_and_nothing_undocumented(served: Served, told: Story) -> None:
    phases = ("coverage", "fuzzing") if EXAMPLES else ("fuzzing",)
    found = searched(served, served.owner, examples=EXAMPLES or 8, phases=phases)
    assert not found.wrong, "\n\n".join(found.wrong[:20])
    assert set(found.answers) == set(permissions_of(served))
    assert found.requests > 800
    assert "Traceback" not in served.serving.said()


@pytest.mark.timeout(PATIENCE_S)
def test_a_key_that_may_read_orders_gets_nothing_else_whatever_it_sends(served: Served, told: Story) -> None:
    found = searched(served, served.narrow, examples=EXAMPLES or 3, phases=("fuzzing",))
    assert not found.wrong, "\n\n".join(found.wrong[:20])
    may = {PUBLIC, SIGNED_IN, "orders:read"}
    for label, permission in permissions_of(served).items():
        let_in = [status for status in found.answers[label] if status < 400]
        assert permission in may or not let_in, (label, permission, found.answers[label])
    assert "Traceback" not in served.serving.said()
