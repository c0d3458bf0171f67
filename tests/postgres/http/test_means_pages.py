"""Means of contact over HTTP: the forms of gateways, receipts that prove themselves, a shopper's wishes and a person's."""

import hashlib
import hmac
import json
import re

import pytest
from tests_http import HOST, Shop

from http_gateway import http_gateway
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.notifications import reads, wishes
from malha.notifications.model import Channel, Purpose
from malha.ordering import cancelling
from malha.ordering import service as ordering
from malha.platform.clock import now
from malha.platform.ids import UUID
from malha.platform.signing import keys_of
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, an_order

pytestmark = pytest.mark.usefixtures("mail_set_up")

HTMX = {"hx-request": "true"}
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": HOST}
GATEWAY = {
    "name": "Our gateway",
    "method": "POST",
    "headers": "Authorization: Bearer {secret}",
    "format": "json",
    "body": '{"to": "{to}", "text": "{text}"}',
    "accepted": "200-299",
    "refused": "400-499",
    "later": "429,503",
    "id_path": "id",
    "receipt_proof": "hmac-sha256",
    "receipt_header": "X-Signature",
    "receipt_prefix": "sha256=",
    "receipt_encoding": "hex",
    "receipt_items_path": "events",
    "receipt_id_path": "id",
    "receipt_status_path": "status",
    "receipt_delivered": "delivered",
    "receipt_read": "read",
    "receipt_bounced": "failed, rejected",
    "version": "0",
    "secret": "s3cret-of-the-gateway",
    "receipt_secret": "word-of-receipts",
    "active": "1",
}


async def placed(shop: Shop, **options) -> UUID:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        order_id: UUID = await an_order(tx, world, **options)
        await tx.execute("UPDATE sales_order SET buyer_email = 'maria@example.com', buyer_phone = '+5511987654321'")
    await drain(shop.database, SUBSCRIPTIONS)
    return order_id


async def said(shop: Shop, order_id: UUID) -> reads.MessageRow:
    async with shop.database.transaction() as tx:
        return (await reads.of_order(tx, order_id))[0]


async def test_a_gateway_is_described_tried_and_never_shows_its_secret(shop: Shop) -> None:
    session = await shop.session()
    page = (await shop.http.get("/messages/means", headers=session)).text
    assert "No gateway yet" in page
    preset = (await shop.http.get("/messages/means/whatsapp?preset=whatsapp-cloud", headers=session)).text
    assert "graph.facebook.com" in preset
    async with http_gateway() as box:
        form = GATEWAY | {"url": box.url.replace("127.0.0.1", "localhost")}
        saved = await shop.http.post("/messages/means/sms", data=form, headers=session)
        assert saved.status_code == 303, saved.text
        again = await shop.http.post("/messages/means/sms", data=form, headers=session)
        assert again.status_code == 409
        wrong = await shop.http.post("/messages/means/sms", data=form | {"body": '{"to": {to}}'}, headers=session)
        assert wrong.status_code == 422
        assert "quotation marks" in wrong.text
        page = (await shop.http.get("/messages/means/sms", headers=session)).text
        assert "Our gateway" in page
        assert "kept; type to replace it" in page
        assert "s3cret-of-the-gateway" not in page
        assert "word-of-receipts" not in page
        # It is on this machine, which nobody allowed: the test says so and nothing is sent.
        tried = await shop.http.post("/messages/means/sms/try", data={"phone": "(11) 98765-4321"}, headers=session)
        assert tried.status_code == 422
        assert "not public" in tried.text
        assert box.asked == []
    assert (await shop.http.post("/messages/means/sms/try", data={"phone": "1"}, headers=session)).status_code == 422
    missing = await shop.http.post("/messages/means/whatsapp/try", data={"phone": "11987654321"}, headers=session)
    assert missing.status_code == 409
    assert (await shop.http.get("/messages/means/fax", headers=session)).status_code == 404


async def test_what_goes_first_is_chosen_for_all_messages_and_for_one(shop: Shop) -> None:
    session = await shop.session()
    usual = {"kind": "*", "means1": "sms", "means2": "email", "version": "0"}
    assert (await shop.http.post("/messages/means/route", data=usual, headers=session)).status_code == 303
    own = {"kind": "ready", "means1": "whatsapp", "means2": "sms", "every": "1", "version": "0"}
    assert (await shop.http.post("/messages/means/route", data=own, headers=session)).status_code == 303
    assert (await shop.http.post("/messages/means/route", data=own, headers=session)).status_code == 409
    twice = own | {"kind": "paid", "means2": "whatsapp"}
    assert (await shop.http.post("/messages/means/route", data=twice, headers=session)).status_code == 422
    assert "WhatsApp + SMS" in (await shop.http.get("/messages/means", headers=session)).text
    back = own | {"own": "0", "version": "1"}
    assert (await shop.http.post("/messages/means/route", data=back, headers=session)).status_code == 303
    async with shop.database.transaction() as tx:
        assert set(await reads.routes(tx)) == {"*"}


async def test_a_short_text_is_edited_counted_and_shown_as_it_is_registered(shop: Shop) -> None:
    session = await shop.session()
    text = "/messages/texts/shipped/pt-BR"
    page = (await shop.http.get(f"{text}?means=sms", headers=session)).text
    assert "est\N{LATIN SMALL LETTER A WITH ACUTE} a caminho" in page
    shown = await shop.http.post(f"{text}/preview", data={"means": "sms", "body": "a" * 161}, headers=session)
    assert "2 SMS" in shown.text
    approved = {"means": "whatsapp", "subject": "shipped_1", "body": "Hi {customer_name}, #{order_number}"}
    shown = await shop.http.post(f"{text}/preview", data=approved, headers=session)
    assert "Hi {{1}}, #{{2}}" in shown.text
    wrong = await shop.http.post(text, data=approved | {"subject": "two words", "version": "0"}, headers=session)
    assert wrong.status_code == 422
    saved = await shop.http.post(text, data=approved | {"version": "0"}, headers=session)
    assert saved.status_code == 303
    assert saved.headers["location"] == f"{text}?means=whatsapp"


async def test_a_receipt_counts_only_with_the_secrets_proof(shop: Shop) -> None:
    session = await shop.session()
    order_id = await placed(shop)
    form = GATEWAY | {"url": "https://sms.example.com/"}
    assert (await shop.http.post("/messages/means/sms", data=form, headers=session)).status_code == 303
    async with shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE message SET channel = 'sms', state = 'sent', reference = 'g-7', address = '+5511987654321'"
        )
    body = json.dumps({"events": [{"id": "g-7", "status": "delivered"}, {"id": "other", "status": "failed"}]}).encode()
    proof = "sha256=" + hmac.new(b"word-of-receipts", body, hashlib.sha256).hexdigest()

    async def report(body: bytes, **headers: str):
        typed = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await shop.http.post("/v1/messages/receipts/sms", content=body, headers=typed)

    for wrong in ({}, {"x_signature": "sha256=00"}, {"x_signature": proof[:-1] + "0"}):
        assert (await report(body, **wrong)).status_code in {400, 403}
    assert (await report(body + b" ", x_signature=proof)).status_code == 403
    assert (await said(shop, order_id)).delivered_at is None
    taken = await report(body, x_signature=proof)
    assert (taken.status_code, taken.json()) == (200, {"known": 1, "bounced": 0, "kept": 1})
    assert (await said(shop, order_id)).delivered_at is not None
    bounce = json.dumps({"events": [{"id": "g-7", "status": "rejected"}]}).encode()
    proof = "sha256=" + hmac.new(b"word-of-receipts", bounce, hashlib.sha256).hexdigest()
    assert (await report(bounce, x_signature=proof)).json()["bounced"] == 1
    assert (await report(bounce, x_signature=proof)).json()["bounced"] == 0
    assert (await said(shop, order_id)).state == "queued"  # by the next means
    assert (await shop.http.post("/v1/messages/receipts/whatsapp", content=body)).status_code == 403
    assert (await shop.http.post("/v1/messages/receipts/fax", content=body)).status_code == 404
    # How WhatsApp Cloud API checks the address.
    asked = "/v1/messages/receipts/sms?hub.mode=subscribe&hub.challenge=42&hub.verify_token="
    assert (await shop.http.get(asked + "word-of-receipts")).text == "42"
    assert (await shop.http.get(asked + "guess")).status_code == 403


async def test_a_shopper_chooses_what_to_get_by_the_link_in_a_message(shop: Shop) -> None:
    order_id = await placed(shop)
    settings = shop.app.state.services.settings
    link = wishes.wishes_path(keys_of(settings), order_id, Channel.EMAIL, at=now())
    page = await shop.http.get(link, headers={"accept-language": "en"})
    assert page.status_code == 200
    assert page.headers["cache-control"] == "private, no-store"
    assert re.search(r'name="transactional-email" value="1" checked', page.text)
    assert "maria" not in page.text.lower()
    saved = await shop.http.post(link, data={"marketing-email": "1"}, headers=FORM)
    assert saved.status_code == 303
    async with shop.database.transaction() as tx:
        customer = await reads.customer_of(tx, order_id)
        assert customer is not None
        assert await reads.standing(tx, customer) == {
            (Purpose.TRANSACTIONAL, Channel.EMAIL): False,
            (Purpose.MARKETING, Channel.EMAIL): True,
        }
        assert [c.source for c in await reads.consents(tx, customer)] == ["shopper_page"] * 2
    # Looking at the address ends nothing; the mail program's POST does, without a redirect.
    assert (await shop.http.get(f"{link}/stop")).status_code == 303
    stopped = await shop.http.post(f"{link}/stop", data={"List-Unsubscribe": "One-Click"})
    assert stopped.status_code == 200
    async with shop.database.transaction() as tx:
        assert not any((await reads.standing(tx, customer)).values())
        await cancelling.cancel(tx, order_id, reason="x")
    await drain(shop.database, SUBSCRIPTIONS)
    assert [(m.kind, m.state) for m in [await said(shop, order_id)]] == [("cancelled", "queued")]
    for wrong in (link[:-2] + "xx", "/wishes/x"):
        assert (await shop.http.get(wrong)).status_code == 404


async def test_a_person_writes_down_what_a_customer_said_and_programs_bring_consents(shop: Shop) -> None:
    order_id = await placed(shop)
    async with shop.database.transaction() as tx:
        customer = await reads.customer_of(tx, order_id)
        number = await tx.value("SELECT number FROM customer WHERE id = %s", (customer,))
    session = await shop.session()
    form = {"transactional-email": "1", "language": "en", "source": "call", "proof": "protocol 4821", "version": "0"}
    assert (await shop.http.post(f"/customers/{number}/wishes", data=form, headers=session)).status_code == 303
    nothing = form | {"proof": ""}
    assert (await shop.http.post(f"/customers/{number}/wishes", data=nothing, headers=session)).status_code == 422
    page = (await shop.http.get(f"/customers/{number}", headers=session)).text
    assert "protocol 4821" in page
    assert "Order received" in page
    async with shop.database.transaction() as tx:
        wanted = await reads.preference(tx, customer)
        assert (wanted.language, set(wanted.declined)) == ("en", {"sms", "whatsapp"})
    key = await shop.key({"customers:write", "customers:read"})
    item = {"customer_id": str(customer), "purpose": "marketing", "channel": "email", "given": True, "key": "crm-1"}
    for new in (1, 0):
        sent = await shop.http.post("/v1/consents", json={"items": [item]}, headers=key)
        assert (sent.status_code, sent.json()) == (200, {"new": new})
    stranger = item | {"customer_id": str(order_id)}
    assert (await shop.http.post("/v1/consents", json={"items": [stranger]}, headers=key)).status_code == 404
    ledger = (await shop.http.get(f"/v1/customers/{customer}/consents", headers=key)).json()["items"]
    assert [row["purpose"] for row in ledger].count("marketing") == 1


async def test_who_tells_the_buyer_is_chosen_on_the_channel_and_said_on_the_order(shop: Shop) -> None:
    order_id = await placed(shop, channel="mall")
    session = await shop.session()
    async with shop.database.transaction() as tx:
        number = (await ordering.lock_order(tx, order_id)).number
    assert (
        "mall tells the buyer what happens to the order"
        in (await shop.http.get(f"/orders/{number}", headers=session)).text
    )
    page = (await shop.http.get("/channels/mall", headers=session)).text
    assert "The channel tells the buyer" in page
    form = (await shop.http.get("/channels/mall/edit", headers=session)).text
    values = dict(re.findall(r'<input[^>]*name="([a-z_]+)"[^>]*value="([^"]*)"', form))
    selects = re.findall(r'<select[^>]*name="([a-z_]+)".*?</select>', form, re.DOTALL)
    assert "teller" in selects
    values |= {
        "kind": "marketplace", "payment_policy": "settled_by_channel", "shortage_policy": "reject", "currency": "BRL",
        "teller": "losses", "active": "on",
    }  # fmt: skip
    saved = await shop.http.post("/channels/mall/edit", data=values, headers=session | HTMX)
    assert saved.status_code in {200, 303}, saved.text
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await drain(shop.database, SUBSCRIPTIONS)
    row = await said(shop, order_id)
    assert (row.kind, row.state) == ("cancelled", "queued")


async def test_a_message_that_reached_nobody_is_sent_to_another_address(shop: Shop) -> None:
    order_id = await placed(shop)
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await drain(shop.database, SUBSCRIPTIONS)
    row = await said(shop, order_id)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE message SET state = 'refused', reason = 'refused' WHERE kind = 'cancelled'")
    session = await shop.session()
    work = (await shop.http.get("/messages?view=untold", headers=session)).text
    assert f'href="/messages/{row.id}"' in work
    assert (
        "The customer did not hear of this"
        in (await shop.http.get(f"/orders/{row.order_number}", headers=session)).text
    )
    wrong = await shop.http.post(f"/messages/{row.id}/send", data={"address": "nobody"}, headers=session)
    assert wrong.status_code == 422
    sent = await shop.http.post(f"/messages/{row.id}/send", data={"address": "ana@example.com"}, headers=session)
    assert sent.status_code == 303
    again = await said(shop, order_id)
    assert (again.state, again.address) == ("queued", "ana@example.com")
    assert f'href="/messages/{row.id}"' not in (await shop.http.get("/messages?view=untold", headers=session)).text
