"""The pages of messages: who sees which, what can be done about one, and texts that are tried before they are used."""

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from tests_http import HOST, Shop, open_shop

from mail_server import mail_server
from malha.flows import telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.notifications import reads
from malha.notifications.reads import MessageRow
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

pytestmark = pytest.mark.usefixtures("mail_set_up")

TEXT = "/messages/texts/placed/pt-BR"
HTMX = {"hx-request": "true"}


async def told(shop: Shop, name: str = "Maria da Silva", at: str = "DC") -> MessageRow:
    """An order of which the customer was told, and its message."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={at: 5})
        order_id: UUID = await an_order(tx, world, [Sold(sku, 1, at=at)])
        await tx.execute("UPDATE sales_order SET buyer_email = 'maria@example.com', buyer_name = %s", (name,))
    await drain(shop.database, SUBSCRIPTIONS)
    async with shop.database.transaction() as tx:
        return (await reads.of_order(tx, order_id))[0]


async def state_of(shop: Shop, message: MessageRow) -> str:
    async with shop.database.transaction() as tx:
        found = await reads.one(tx, message.id)
    assert found is not None
    return found.state


async def sent(shop: Shop, message: MessageRow) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE message SET state = 'sent', subject = 'Olá', body = '<i>words</i>', done_at = now()")


async def test_the_log_shows_who_was_told_what_and_hides_the_address(shop: Shop) -> None:
    message = await told(shop)
    page = (await shop.http.get("/messages", headers=await shop.session())).text
    assert f'href="/messages/{message.id}"' in page
    assert f'href="/orders/{message.order_number}"' in page
    assert "Order received" in page
    assert "maria@example.com" not in page


async def test_the_log_is_searched_by_order_and_narrowed_by_state_and_kind(shop: Shop) -> None:
    message = await told(shop)
    owner = await shop.session()

    async def listed(query: str) -> bool:
        return str(message.id) in (await shop.http.get(f"/messages?{query}", headers=owner)).text

    assert await listed(f"q={message.order_number}")
    assert await listed("view=waiting&kind=placed")
    assert not await listed("q=9999999")
    assert not await listed("view=trouble")
    assert not await listed("kind=shipped")
    assert not await listed("until=2020-01-01")
    assert await listed("view=%00&kind=x&since=never&after=broken")  # nonsense shows the whole list


async def test_whoever_sees_one_location_sees_its_messages_only(shop: Shop) -> None:
    message = await told(shop)
    elsewhere = await shop.session(Role.STORE_LEAD, locations=["S2"])
    assert str(message.id) not in (await shop.http.get("/messages", headers=elsewhere)).text
    assert str(message.order_number) not in (await shop.http.get("/messages/export.csv", headers=elsewhere)).text
    for path in ("", "/send", "/bounced", "/lift"):
        method = shop.http.get if not path else shop.http.post
        assert (await method(f"/messages/{message.id}{path}", headers=elsewhere)).status_code == 404
    key = await shop.key({"orders:read", "orders:write"}, locations=["S2"])
    assert (await shop.http.get(f"/v1/orders/{message.order_id}/messages", headers=key)).status_code == 404
    assert (await shop.http.post(f"/v1/messages/{message.id}/bounced", headers=key)).status_code == 404
    here = await shop.session(Role.STORE_LEAD, email="dc@loja.test", locations=["DC"])
    assert (await shop.http.get(f"/messages/{message.id}", headers=here)).status_code == 200


async def test_the_export_runs_nothing_in_a_spreadsheet(shop: Shop) -> None:
    await told(shop, name="=HYPERLINK(1)")
    owner = await shop.session()
    csv = (await shop.http.get("/messages/export.csv", headers=owner)).text
    assert (await shop.http.get("/messages/export.xlsx", headers=owner)).content.startswith(b"PK")
    assert "'=HYPERLINK(1)" in csv
    assert "maria@example.com" not in csv


async def test_a_message_shows_its_words_as_words_and_is_sent_again(shop: Shop) -> None:
    message = await told(shop)
    await sent(shop, message)
    owner = await shop.session()
    page = (await shop.http.get(f"/messages/{message.id}", headers=owner)).text
    assert "&lt;i&gt;words&lt;/i&gt;" in page
    assert (await shop.http.post(f"/messages/{message.id}/send", headers=owner)).status_code == 303
    assert await state_of(shop, message) == "queued"


async def test_an_address_that_bounced_takes_nothing_until_it_is_allowed_again(shop: Shop) -> None:
    message = await told(shop)
    await sent(shop, message)
    owner, address = await shop.session(), f"/messages/{message.id}"
    assert (await shop.http.post(f"{address}/bounced", headers=owner)).status_code == 303
    assert "This address takes no messages." in (await shop.http.get(address, headers=owner)).text
    assert (await shop.http.post(f"{address}/send", headers=owner)).status_code == 409
    assert (await shop.http.post(f"{address}/lift", headers=owner)).status_code == 303
    assert (await shop.http.post(f"{address}/send", headers=owner)).status_code == 303
    assert await state_of(shop, message) == "queued"


async def test_several_are_sent_again_at_once_and_strange_ones_do_no_harm(shop: Shop) -> None:
    message = await told(shop)
    await sent(shop, message)
    form = {"message": [str(message.id), "nonsense"], "next": "//evil.example"}
    answer = await shop.http.post("/messages/again", data=form, headers=await shop.session())
    assert (answer.status_code, answer.headers["location"]) == (303, "/messages")
    assert await state_of(shop, message) == "queued"


async def test_programs_read_messages_and_report_bounces_by_the_id_in_the_mail(shop: Shop) -> None:
    message = await told(shop)
    await sent(shop, message)
    key = await shop.key({"orders:read", "orders:write"})
    listed = (await shop.http.get(f"/v1/orders/{message.order_id}/messages", headers=key)).json()["items"]
    assert [(m["id"], m["kind"], m["state"]) for m in listed] == [(str(message.id), "placed", "sent")]
    assert (await shop.http.post(f"/v1/messages/{message.id}/bounced", headers=key)).status_code == 204
    assert await state_of(shop, message) == "bounced"
    assert (await shop.http.post(f"/v1/messages/{message.id}/send", headers=key)).json()[
        "code"
    ] == "message_address_silent"


async def test_what_a_customer_wants_is_kept_with_its_proof_and_its_version(shop: Shop) -> None:
    message = await told(shop)
    async with shop.database.transaction() as tx:
        customer = await tx.value("SELECT customer_id FROM order_customer WHERE order_id = %s", (message.order_id,))
    key, path = await shop.key({"customers:read", "customers:write"}), f"/v1/customers/{customer}/messaging"
    assert (await shop.http.get(path, headers=key)).headers["etag"] == '"0"'
    wish = {"language": "en", "declined": ["email"], "source": "chat of 26 November"}
    kept = await shop.http.put(path, json=wish, headers={**key, "if-match": '"0"'})
    assert kept.json() == {**wish, "version": 1}
    assert (await shop.http.put(path, json=wish, headers={**key, "if-match": '"0"'})).status_code == 412
    assert (
        await shop.http.put(path, json={**wish, "source": ""}, headers={**key, "if-match": '"1"'})
    ).status_code == 422


# --- texts ---


async def test_a_text_is_refused_with_what_is_wrong_and_saved_when_it_is_right(shop: Shop) -> None:
    owner = {**await shop.session(), **HTMX}
    refused = await shop.http.post(TEXT, data={"subject": "Oi {nome}", "body": "x", "version": "0"}, headers=owner)
    assert refused.status_code == 422
    assert "There is no placeholder nome." in refused.text
    form = {"subject": "Oi {order_number}", "body": "Oi, {customer_name}", "version": "0"}
    saved = await shop.http.post(TEXT, data=form, headers=owner)
    assert saved.headers["hx-redirect"] == TEXT
    assert "Oi, {customer_name}" in (await shop.http.get(TEXT, headers=owner)).text
    assert (await shop.http.post(TEXT, data=form, headers=owner)).status_code == 409
    await shop.http.post(f"{TEXT}/reset", data={"version": "1"}, headers=owner)
    assert "Recebemos o seu pedido" in (await shop.http.get(TEXT, headers=owner)).text
    assert "Oi, {customer_name}" in (await shop.http.get(f"{TEXT}?version=1", headers=owner)).text


async def test_a_preview_shows_a_real_order_and_can_do_nothing(shop: Shop) -> None:
    message = await told(shop, name="<script>alert(1)</script>Maria")
    owner = await shop.session()
    form = {
        "subject": "x",
        "body": "Oi, {customer_name}: {order_number}\n\n{items}",
        "order": f"#{message.order_number}",
    }
    shown = await shop.http.post(f"{TEXT}/preview", data=form, headers=owner)
    policy = shown.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "sandbox" in policy[0]
    assert "default-src 'none'" in policy[0]
    assert "<script>" not in shown.text
    assert f": {message.order_number}" in shown.text
    page = await shop.http.get(TEXT, headers=owner)
    assert page.headers.get_list("content-security-policy") == [page.headers["content-security-policy"]]
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert "script-src 'self'" in page.headers["content-security-policy"]
    lost = await shop.http.post(f"{TEXT}/preview", data={**form, "order": "99999"}, headers=owner)
    assert "#99999" in lost.text


async def test_every_kind_can_be_edited_and_previewed_with_any_order(shop: Shop) -> None:
    message = await told(shop)
    owner = await shop.session()
    async with shop.database.transaction() as tx:
        texts = await reads.templates(tx)
    for text in texts:
        path = f"/messages/texts/{text.kind}/{text.language}"
        assert (await shop.http.get(path, headers=owner)).status_code == 200
        form = {"subject": text.text.subject, "body": text.text.body, "order": str(message.order_number)}
        shown = (await shop.http.post(f"{path}/preview", data=form, headers=owner)).text
        assert str(message.order_number) in shown, path
        assert "{" not in shown.partition("</style>")[2], path
    for path in ("/messages/texts/nothing/en", "/messages/texts/placed/fr"):
        assert (await shop.http.get(path, headers=owner)).status_code == 404


async def test_a_text_is_tried_on_oneself_before_it_is_saved(database: Database, tmp_path: Path) -> None:
    async with mail_server(tmp_path) as box, AsyncExitStack() as stack:
        settings = {"smtp_url": box.url, "mail_from": "Loja <pedidos@loja.example>"}
        shop = await open_shop(stack, database, tmp_path, **settings)
        owner = {**await shop.session(email="dona@loja.example"), **HTMX}
        form = {"subject": "Pedido {order_number}", "body": "Oi, {customer_name}"}
        answer = await shop.http.post(f"{TEXT}/try", data=form, headers=owner)
        assert answer.status_code == 200, answer.text
        assert "toast" in answer.headers["hx-trigger"]
    assert [(m["To"], m["Subject"]) for m in box.inbox] == [("dona@loja.example", "[Test] Pedido 1042")]


async def test_a_try_without_a_mail_server_says_what_to_set(shop: Shop) -> None:
    form = {"subject": "Pedido", "body": "Oi"}
    answer = await shop.http.post(f"{TEXT}/try", data=form, headers={**await shop.session(), **HTMX})
    assert answer.status_code == 409
    assert "MALHA_SMTP_URL" in answer.text


async def test_kinds_are_stopped_but_for_losses_and_rules_are_changed(shop: Shop) -> None:
    owner = {**await shop.session(), **HTMX}
    assert (await shop.http.post("/messages/texts/shipped/switch", data={"on": "0"}, headers=owner)).status_code == 303
    refused = await shop.http.post("/messages/texts/cancelled/switch", data={"on": "0"}, headers=owner)
    assert refused.status_code == 409
    form = {"quiet_from": "22:00", "quiet_until": "07:30", "kept_days": "90", "version": "0"}
    assert (await shop.http.post("/messages/rules", data=form, headers=owner)).status_code == 303
    page = (await shop.http.get("/messages/texts", headers=owner)).text
    assert 'value="07:30"' in page
    assert "not sent" in page
    wrong = {**form, "quiet_from": "late", "kept_days": "-1"}
    assert (await shop.http.post("/messages/rules", data=wrong, headers=owner)).status_code == 422


async def test_the_order_shows_what_its_customer_was_told(shop: Shop) -> None:
    message = await told(shop)
    page = (await shop.http.get(f"/orders/{message.order_number}", headers=await shop.session())).text
    assert f'href="/messages/{message.id}"' in page


async def test_the_code_that_opens_the_counter_is_mailed_and_not_kept(database: Database, tmp_path: Path) -> None:
    from malha.fulfillment import service as fulfillment

    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1, at="S1")], method="pickup")
        await tx.execute("UPDATE sales_order SET buyer_email = 'maria@example.com'")
        await fulfillment.release_order(tx, order_id)
        work = await tx.value("SELECT id FROM fulfillment_order")
        await fulfillment.accept(tx, work)
        await fulfillment.confirm_pick(tx, work)
        await fulfillment.pack(tx, work)
        await fulfillment.make_ready(tx, work)
        code = await fulfillment.pickup_code(tx, work)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        settings = Settings(data_dir=tmp_path, database_url=database.url)
        given = {"smtp_url": box.url, "mail_from": "Loja <pedidos@loja.example>", "public_url": HOST}
        await telling.send_due(database, msgspec.structs.replace(settings, **given))
    ready = next(m for m in box.inbox if m["Subject"].startswith("Pode retirar"))
    assert code in ready.get_body(("plain",)).get_content()
    async with database.transaction() as tx:
        kept = [m.body or "" for m in await reads.of_order(tx, order_id)]
    assert kept
    assert not any(code in body for body in kept)


async def test_who_may_not_see_a_customers_data_gets_no_way_to_the_page_of_the_order_from_the_log(
    shop: Shop, tmp_path: Path
) -> None:
    message = await told(shop)
    settings = Settings(data_dir=tmp_path, database_url=shop.database.url, public_url="https://oms.example.com")
    async with mail_server(tmp_path) as box:
        here = msgspec.structs.replace(settings, smtp_url=box.url, mail_from="Loja <loja@loja.example>")
        await telling.send_due(shop.database, here)
    said = box.inbox[0].get_body(("plain",)).get_content()
    token = said.partition("https://oms.example.com/track/")[2].split()[0]
    wishes = said.partition("https://oms.example.com/wishes/")[2].split()[0]
    lead = await shop.session(Role.STORE_LEAD, locations=["DC"])
    page = (await shop.http.get(f"/messages/{message.id}", headers=lead)).text
    assert "oms.example.com/track/" in page
    assert token not in page
    assert wishes not in page
    async with shop.database.transaction() as tx:  # what was kept before
        await tx.execute("UPDATE message SET body = %s", (said,))
    page = (await shop.http.get(f"/messages/{message.id}", headers=lead)).text
    assert token not in page
    assert wishes not in page


async def test_who_may_not_see_a_customers_data_sends_no_message_to_an_address_of_their_own(shop: Shop) -> None:
    message = await told(shop)
    await sent(shop, message)
    lead = await shop.session(Role.STORE_LEAD, locations=["DC"])
    assert "dlg-to" not in (await shop.http.get(f"/messages/{message.id}", headers=lead)).text
    to = f"/messages/{message.id}/send"
    assert (await shop.http.post(to, data={"address": "me@example.com"}, headers=lead)).status_code == 403
    assert await state_of(shop, message) == "sent"
    service = await shop.session(Role.CUSTOMER_SERVICE, email="service@loja.test")
    assert (await shop.http.post(to, data={"address": "other@example.com"}, headers=service)).status_code == 303
    assert (await shop.http.post(to, headers=lead)).status_code in {303, 409}  # to where it went before
