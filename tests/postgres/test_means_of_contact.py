"""SMS and WhatsApp through a real HTTP gateway, what is tried when a means fails, receipts, bounces and consent."""

import asyncio
import email
import email.policy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from http_gateway import Box, http_gateway
from mail_server import mail_server
from malha.cli.mail import take
from malha.flows import telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.notifications import means, reads, returns, service, wishes
from malha.notifications.contract import Receipt, Status
from malha.notifications.errors import GatewayExists
from malha.notifications.gateways import Gateway, Header, Meaning
from malha.notifications.model import Channel, Consent, ConsentSource, Kind, Purpose, Teller, Text
from malha.ordering import cancelling
from malha.platform import signing
from malha.platform.db import Database
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, an_order

SENDER = "Loja Azul <pedidos@loja.example>"
PHONE = "+5511987654321"
ASK_BUYER = """
UPDATE sales_order SET buyer_email = %(email)s::text, buyer_phone = %(phone)s::text WHERE id = %(id)s::uuid
"""
SMS, WHATSAPP, EMAIL = Channel.SMS, Channel.WHATSAPP, Channel.EMAIL
Rows = list[tuple[str, str, str, str | None]]


@pytest.fixture
def settings(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MALHA_DATA_DIR", str(tmp_path))
    return Settings(data_dir=tmp_path, database_url=database.url, public_url="https://oms.example.com")


async def gateway(database: Database, settings: Settings, box: Box, channel: Channel = SMS, **changes) -> Settings:
    """Put a gateway into use, alone by this means; return settings that allow it."""
    described = Gateway(
        url=box.url,
        headers=(Header("Authorization", "Bearer {secret}"),),
        body='{"to": "{to}", "text": "{text}", "id": "{id}", "template": "{template}", "fill": "{parameters}"}',
        meaning=Meaning(id_path="id", error_path="error.code", bad_address=("bad_number",)),
    )
    described = msgspec.structs.replace(described, **changes)
    async with database.transaction() as tx:
        await means.save_gateway(
            tx,
            signing.keys_of(settings),
            channel,
            described,
            active=True,
            version=0,
            secret="s3cret",
            receipt_secret="r",
        )
    return msgspec.structs.replace(settings, outward_allow=(box.allowed,))


async def first(database: Database, *channels: Channel, every: bool = False) -> None:
    async with database.transaction() as tx:
        await means.set_route(tx, None, channels, every=every, version=0)


async def sold(
    database: Database, email: str | None = "maria@example.com", phone: str | None = PHONE, **options
) -> UUID:
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id: UUID = await an_order(tx, world, **options)
        await tx.execute(ASK_BUYER, {"id": order_id, "email": email, "phone": phone})
    return order_id


async def sold_many(database: Database, buyers: list[tuple[str | None, str | None]]) -> list[UUID]:
    """Orders of buyers with these e-mails and telephones, one after the other, whose messages wait in that order."""
    async with database.transaction() as tx:
        world = await a_network(tx)
    orders = []
    for mail, phone in buyers:
        async with database.transaction() as tx:
            order_id = await an_order(tx, world)
            await tx.execute(ASK_BUYER, {"id": order_id, "email": mail, "phone": phone})
            orders.append(order_id)
        await drain(database, SUBSCRIPTIONS)
    return orders


async def told(database: Database, order_id: UUID) -> Rows:
    """Digest all events and return the order's messages: (kind, means, state, reason), in the order they were tried."""
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        found = await reads.of_order(tx, order_id)
        return [(m.kind, m.channel, m.state, m.reason) for m in sorted(found, key=lambda m: (m.kind, m.rank))]


async def due_now(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("UPDATE message SET due_at = now() WHERE state = 'queued'")


# --- one message by SMS or WhatsApp ---


async def test_an_order_is_confirmed_by_sms_and_the_gateway_is_asked_as_it_wants(database, settings):
    async with http_gateway() as box:
        here = await gateway(database, settings, box)
        await first(database, SMS, EMAIL)
        order_id = await sold(database)
        assert await told(database, order_id) == [("placed", "sms", "queued", None)]
        assert await telling.send_due(database, here) == 1
        asked = box.asked[0]
    assert (asked.method, asked.path) == ("POST", "/messages")
    assert asked.headers["authorization"] == "Bearer s3cret"
    assert asked.json["to"] == PHONE
    assert "recebemos seu pedido #" in asked.json["text"]
    assert "https://oms.example.com/track/" in asked.json["text"]
    assert asked.json["text"].isascii()
    assert await told(database, order_id) == [("placed", "sms", "sent", None)]
    async with database.transaction() as tx:
        row = (await reads.of_order(tx, order_id))[0]
        kept = await tx.value("SELECT reference FROM message")
    assert (asked.json["id"], kept) == (str(row.id), "g-1")


async def test_whatsapp_gets_the_name_of_the_approved_text_and_what_fills_it_in_order(database, settings):
    async with http_gateway() as box:
        here = await gateway(database, settings, box, WHATSAPP)
        await first(database, WHATSAPP)
        async with database.transaction() as tx:
            text = Text(
                "pedido_recebido:pt_BR", "Oi, {customer_name}: #{order_number}, {customer_name}! {promised_day}"
            )
            await service.save_template(tx, Kind.PLACED, WHATSAPP, "pt-BR", text, version=0)
            with pytest.raises(Invalid):
                await service.save_template(tx, Kind.PLACED, WHATSAPP, "pt-BR", Text("a b", "x"), version=1)
            with pytest.raises(Invalid):
                await service.save_template(tx, Kind.PLACED, WHATSAPP, "pt-BR", Text("a", "{items}"), version=1)
        order_id = await sold(database)
        await told(database, order_id)
        await telling.send_due(database, here)
        asked = box.asked[0].json
        async with database.transaction() as tx:
            number = (await reads.of_order(tx, order_id))[0].order_number
    assert asked["template"] == "pedido_recebido"
    assert asked["fill"] == ["Maria", str(number), "–"]


async def test_what_customers_and_shops_are_called_cannot_change_the_request(database, settings):
    async with http_gateway() as box:
        here = await gateway(database, settings, box)
        await first(database, SMS)
        order_id = await sold(database)
        evil = '"},"to":"+551100000000","x":{"y":"{secret}'
        async with database.transaction() as tx:
            await tx.execute("UPDATE sales_order SET buyer_name = %s", (evil.replace(" ", ""),))
            await retailer.change(tx, RetailerDraft(name=evil, colour="#0b6e4f", languages=("pt-BR",)), 0)
            text = Text("", "{customer_name} #{order_number} {retailer}")
            await service.save_template(tx, Kind.PLACED, SMS, "pt-BR", text, version=0)
        await told(database, order_id)
        await telling.send_due(database, here)
        asked = box.asked[0].json
    assert set(asked) == {"to", "text", "id", "template", "fill"}
    assert asked["to"] == PHONE
    assert asked["text"].startswith("#")  # that is nobody's name
    assert asked["text"].count(evil) == 1


# --- how it ends ---


async def test_a_gateway_that_refuses_for_good_leaves_it_to_the_next_means_once(database, settings, tmp_path):
    async with http_gateway() as box, mail_server(tmp_path) as mails:
        here = await gateway(database, settings, box)
        here = msgspec.structs.replace(here, smtp_url=mails.url, mail_from=SENDER)
        await first(database, SMS, EMAIL)
        order_id = await sold(database)
        await told(database, order_id)
        box.answers.append((400, {}, b'{"error": {"code": "bad_number", "to": "+5511987654321"}}'))
        assert await telling.send_due(database, here) == 2
        assert await told(database, order_id) == [
            ("placed", "sms", "refused", "refused"),
            ("placed", "email", "sent", None),
        ]
        assert [m["To"] for m in mails.inbox] == ["maria@example.com"]
        # The number is bad: nothing more goes there.
        async with database.transaction() as tx:
            assert await reads.suppressed(tx, SMS, PHONE) == "refused"
            await cancelling.cancel(tx, order_id, reason="x")
        assert (await told(database, order_id))[0] == ("cancelled", "email", "queued", None)


async def test_a_time_out_is_an_unknown_outcome_and_never_sent_again_by_itself(database, settings, tmp_path):
    async with http_gateway() as box, mail_server(tmp_path) as mails:
        here = await gateway(database, settings, box)
        here = msgspec.structs.replace(here, smtp_url=mails.url, mail_from=SENDER)
        await first(database, SMS, EMAIL)
        box.silent = True
        order_id = await sold(database)
        await told(database, order_id)
        await telling.send_due(database, here)
        assert await told(database, order_id) == [("placed", "sms", "uncertain", "unanswered")]
        assert await telling.send_due(database, here) == 0
        assert (len(box.asked), mails.inbox) == (1, [])
        # A receipt says that it arrived after all.
        async with database.transaction() as tx:
            row = (await reads.of_order(tx, order_id))[0]
            receipt = Receipt(reference=str(row.id), status=Status.DELIVERED)
            await returns.record_receipts(tx, SMS, [receipt], await telling.means_now(tx))
        assert await told(database, order_id) == [("placed", "sms", "sent", None)]


async def test_a_gateway_that_says_nothing_holds_up_no_mail_and_costs_no_message_that_waits(
    database, settings, tmp_path
):
    async with http_gateway() as box, mail_server(tmp_path) as mails:
        here = await gateway(database, settings, box)
        here = msgspec.structs.replace(here, smtp_url=mails.url, mail_from=SENDER)
        await first(database, SMS, EMAIL)
        box.silent = True
        orders = await sold_many(database, [(None, PHONE)] * 5 + [("maria@example.com", None)])
        await telling.send_due(database, here)
        ends = sorted([row[2:] for order_id in orders[:5] for row in await told(database, order_id)], key=str)
        assert ends == [("queued", None)] * 3 + [("uncertain", "unanswered")] * 2
        assert len(mails.inbox) == 1  # it waited behind them
        box.silent = False
        await telling.send_due(database, here)
        assert len(box.asked) == 5


async def test_a_server_that_hangs_up_now_and_then_is_not_left_alone(database, settings):
    async with http_gateway() as box:
        here = await gateway(database, settings, box)
        await first(database, SMS)
        await sold_many(database, [(None, PHONE)] * 4)

        async def every_second(_asked: object) -> None:
            box.silent = len(box.asked) % 2 == 1

        box.before = every_second
        assert await telling.send_due(database, here) == 4


async def test_a_gateway_that_asks_for_time_is_left_alone_that_long(database, settings):
    async with http_gateway() as box:
        here = await gateway(database, settings, box)
        await first(database, SMS)
        order_id = await sold(database)
        await told(database, order_id)
        box.answers.append((429, {"Retry-After": "7200"}, b"slow down"))
        await telling.send_due(database, here)
        assert await told(database, order_id) == [("placed", "sms", "queued", "postponed")]
        async with database.transaction() as tx:
            wait = (await reads.of_order(tx, order_id))[0].due_at - await tx.now()
        assert timedelta(minutes=119) < wait < timedelta(minutes=121)
        await due_now(database)
        await telling.send_due(database, here)
        assert box.asked[0].json["id"] == box.asked[1].json["id"]
    assert await told(database, order_id) == [("placed", "sms", "sent", None)]


async def test_a_gateway_on_a_private_address_is_not_asked_unless_it_was_allowed(database, settings):
    async with http_gateway() as box:
        await gateway(database, settings, box)
        await first(database, SMS)
        order_id = await sold(database)
        await told(database, order_id)
        await telling.send_due(database, settings)  # nothing is allowed
        assert box.asked == []
    assert await told(database, order_id) == [("placed", "sms", "refused", "refused")]


async def test_two_workers_tell_a_customer_once_across_means(database, settings, tmp_path):
    async with http_gateway() as box, mail_server(tmp_path) as mails:
        here = await gateway(database, settings, box)
        here = msgspec.structs.replace(here, smtp_url=mails.url, mail_from=SENDER)
        await first(database, SMS, EMAIL)
        async with database.transaction() as tx:
            world = await a_network(tx)
            orders = [await an_order(tx, world) for _ in range(6)]
            for n, order_id in enumerate(orders):
                await tx.execute(
                    ASK_BUYER, {"id": order_id, "email": f"c{n}@example.com", "phone": f"+551198765432{n}"}
                )
        await drain(database, SUBSCRIPTIONS)
        box.answers += [(400, {}, b"{}")] * 3
        taken = await asyncio.gather(*(telling.send_due(database, here) for _ in range(4)))
        # Every event is read again, by both subscribers at once.
        async with database.transaction() as tx:
            await tx.execute("UPDATE subscriber SET position = 0 WHERE name = 'order_messages'")
        await asyncio.gather(drain(database, SUBSCRIPTIONS), drain(database, SUBSCRIPTIONS))
        await first_email_only(database)
        await telling.send_due(database, here)
    assert sum(taken) == 9
    assert len(box.asked) == 6
    assert len(mails.inbox) == 3
    ends = [row for order_id in orders for row in await told(database, order_id)]
    assert sorted(state for *_, state, _ in ends) == ["refused"] * 3 + ["sent"] * 6


async def first_email_only(database: Database) -> None:
    async with database.transaction() as tx:
        await means.set_route(tx, None, [EMAIL], version=1)


async def test_two_that_found_the_same_failure_write_one_message_for_the_next_means(database, settings, mail_set_up):
    async with http_gateway() as box:
        await gateway(database, settings, box)
        await first(database, SMS, EMAIL)
        order_id = await sold(database)
        await told(database, order_id)
        async with database.transaction() as tx:
            row = (await reads.of_order(tx, order_id))[0]
            await tx.execute("UPDATE message SET state = 'sent', reference = 'g-1'")
        bounce = Receipt(reference="g-1", status=Status.BOUNCED, words="failed", bad_address=True)

        async def report() -> None:
            async with database.transaction() as tx:
                await returns.record_receipts(tx, SMS, [bounce], await telling.means_now(tx))

        await asyncio.gather(*(report() for _ in range(4)))
    assert row.channel == "sms"
    assert await told(database, order_id) == [
        ("placed", "sms", "bounced", "bounced"),
        ("placed", "email", "queued", None),
    ]


async def test_receipts_that_come_before_the_answer_are_kept_until_it_is_there(database, settings):
    async with http_gateway() as box:
        here = await gateway(database, settings, box)
        await first(database, SMS)
        order_id = await sold(database)
        await told(database, order_id)

        async def early(_asked) -> None:
            async with database.transaction() as tx:
                receipts = [
                    Receipt(reference="g-1", status=Status.DELIVERED, at=datetime.now(UTC)),
                    Receipt(reference="g-1", status=Status.READ),
                ]
                done = await returns.record_receipts(tx, SMS, receipts, await telling.means_now(tx))
                assert (done.known, done.kept) == (0, 2)

        box.before = early
        await telling.send_due(database, here)
    async with database.transaction() as tx:
        row = (await reads.of_order(tx, order_id))[0]
    assert row.state == "sent"
    assert row.delivered_at
    assert row.read_at


# --- gateways as they are kept ---


async def test_a_secret_is_kept_sealed_and_changed_only_by_who_saw_the_last_version(database, settings, caplog):
    async with http_gateway() as box:
        await gateway(database, settings, box)
    async with database.transaction() as tx:
        row = await reads.gateway(tx, SMS)
        assert row is not None
        assert b"s3cret" not in bytes(row.secret)
        opened = await means.open_gateway(tx, signing.keys_of(settings), SMS)
        assert (opened.secret, "s3cret" in repr(opened)) == ("s3cret", False)
        keys = signing.keys_of(settings)
        with pytest.raises(GatewayExists):
            await means.save_gateway(tx, keys, SMS, row.gateway, active=True, version=0)
        # Saved again without the secret, it stays.
        await means.save_gateway(tx, keys, SMS, row.gateway, active=False, version=1)
        assert (await means.open_gateway(tx, keys, SMS)).secret == "s3cret"
        assert await reads.ready_gateways(tx) == {}
        trail = await tx.values("SELECT concat(before::text, after::text) FROM audit WHERE entity = 'message_gateway'")
    assert "s3cret" not in "".join(trail) + caplog.text
    for wrong in (
        {"url": "http://user:x@sms.example"},
        {"body": '{"to": {to}}'},
        {"body": '{"to": "{password}"}'},
        {"headers": (Header("X\n", "a"),)},
        {"meaning": Meaning(accepted="all")},
        {"url": "https://sms.example/<account>"},
        {"url": ""},
    ):
        described = msgspec.structs.replace(row.gateway, **wrong)
        async with database.transaction() as tx:
            with pytest.raises(Invalid):
                await means.save_gateway(tx, keys, SMS, described, active=True, version=2)


async def test_a_secret_sealed_with_a_lost_key_makes_the_means_unset_not_the_worker_fail(database, settings, tmp_path):
    async with http_gateway() as box:
        here = await gateway(database, settings, box)
        await first(database, SMS)
        order_id = await sold(database)
        await told(database, order_id)
        other = msgspec.structs.replace(here, secret_key="x" * 40)
        assert await telling.send_due(database, other) == 0
        assert box.asked == []
    assert await told(database, order_id) == [("placed", "sms", "skipped", "not_configured")]


# --- who tells the buyer ---


@pytest.mark.parametrize(
    ("teller", "heard"),
    [
        (None, [("cancelled", "email", "skipped", "told_by_channel")]),
        (Teller.CHANNEL, [("cancelled", "email", "skipped", "told_by_channel")]),
        (Teller.LOSSES, [("cancelled", "email", "queued", None)]),
        (Teller.US, [("cancelled", "email", "queued", None), ("placed", "email", "queued", None)]),
    ],
)
async def test_the_buyer_of_a_marketplace_is_told_by_whom_the_channel_says(database, mail_set_up, teller, heard):
    order_id = await sold(database, channel="mall")
    async with database.transaction() as tx:
        channel = await tx.value("SELECT id FROM channel WHERE code = 'mall'")
        if teller:
            await means.set_teller(tx, channel, "mall", teller)
        assert await reads.teller(tx, channel) is (teller or Teller.CHANNEL)
    await told(database, order_id)
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    assert await told(database, order_id) == heard


# --- mail that comes back ---


def report_on(mail, to: str, status: str = "5.1.1", action: str = "failed", said: str = "550 no such user") -> bytes:
    return f"""From: mailer-daemon@example.com
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; example.com

Final-Recipient: rfc822; maria@example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: text/rfc822-headers

Message-ID: {mail["Message-ID"]}
Subject: {mail["Subject"]}

--b--
""".encode()


async def mailed(database: Database, settings: Settings, tmp_path: Path):
    """An order confirmed by mail: (its id, the mail, the address the mail comes back to, the settings)."""
    order_id = await sold(database)
    await told(database, order_id)
    async with mail_server(tmp_path) as box:
        here = msgspec.structs.replace(
            settings, smtp_url=box.url, mail_from=SENDER, bounce_address="bounces@loja.example"
        )
        await telling.send_due(database, here)
    return order_id, box.inbox[0], box.envelopes[0][0], here


async def test_a_bounce_finds_its_message_marks_the_address_and_the_next_means_is_tried(
    database, settings, tmp_path, mail_set_up
):
    order_id, mail, back, here = await mailed(database, settings, tmp_path)
    assert back.startswith("bounces+")
    assert len(back.partition("@")[0]) <= 64
    async with http_gateway() as box:
        here = await gateway(database, here, box)
        await first(database, EMAIL, SMS)
        assert await take(database, here, report_on(mail, back)) == "bounced"
        assert await take(database, here, report_on(mail, back)) == "known"
        assert await told(database, order_id) == [
            ("placed", "email", "bounced", "bounced"),
            ("placed", "sms", "queued", None),
        ]
        await telling.send_due(database, here)
        assert len(box.asked) == 1
    async with database.transaction() as tx:
        assert await reads.suppressed(tx, EMAIL, "maria@example.com") == "bounced"
        answer = [m.answer for m in await reads.of_order(tx, order_id) if m.channel == "email"]
    assert answer == ["5.1.1 smtp; 550 no such user"]


@pytest.mark.parametrize(
    ("changes", "end", "silenced"),
    [
        ({"status": "5.2.2", "said": "552 mailbox full"}, "bounced", None),
        ({"status": "5.7.1", "said": "550 policy"}, "bounced", None),
        ({"status": "5.0.0", "said": "550 5.1.1 unknown"}, "bounced", "bounced"),
        ({"status": "4.4.1", "action": "delayed"}, "delayed", None),
        ({"status": "2.0.0", "action": "delivered"}, "delivered", None),
    ],
)
async def test_only_a_bounce_that_says_the_address_is_bad_silences_it(
    database, settings, tmp_path, mail_set_up, changes, end, silenced
):
    order_id, mail, back, here = await mailed(database, settings, tmp_path)
    assert await take(database, here, report_on(mail, back, **changes)) == end
    async with database.transaction() as tx:
        assert await reads.suppressed(tx, EMAIL, "maria@example.com") == silenced
    assert (await told(database, order_id))[0][2] == ("bounced" if end == "bounced" else "sent")


async def test_a_bounce_that_is_made_up_finds_nothing(database, settings, tmp_path, mail_set_up):
    order_id, mail, back, here = await mailed(database, settings, tmp_path)
    mine = email.message_from_bytes(bytes(mail), policy=email.policy.default)
    del mine["Message-ID"]
    mine["Message-ID"] = "<made-up@loja.example>"
    last = back.partition("@")[0][-1]
    forged = back.replace(f"{last}@", f"{'0' if last != '0' else '1'}@")
    assert await take(database, here, report_on(mine, forged)) == "no_message"
    assert await take(database, here, b"Subject: hello\n\nWrong address?") == "no_message"
    assert await take(database, here, f"To: {back}\n\nI am on holiday.".encode()) == "no_report"
    assert await told(database, order_id) == [("placed", "email", "sent", None)]


async def test_a_bounce_to_the_sender_is_known_by_the_mail_it_quotes(database, settings, tmp_path, mail_set_up):
    order_id, mail, _back, here = await mailed(database, settings, tmp_path)
    assert await take(database, here, report_on(mail, "pedidos@loja.example")) == "bounced"
    assert (await told(database, order_id))[0][2] == "bounced"


async def test_a_loss_that_reaches_nobody_is_work_for_a_person(database, mail_set_up):
    order_id = await sold(database, phone=None)
    await told(database, order_id)
    async with database.transaction() as tx:
        assert await reads.untold(tx) == []
        await cancelling.cancel(tx, order_id, reason="x")
    await told(database, order_id)
    async with database.transaction() as tx:
        await tx.execute("UPDATE message SET state = 'sent'")
        cancelled = next(m for m in await reads.of_order(tx, order_id) if m.kind == "cancelled")
        await service.mark_bounced(tx, cancelled.id, await telling.means_now(tx))
        assert [(row.order_id, row.kind) for row in await reads.untold(tx)] == [(order_id, "cancelled")]
        assert await reads.untold(tx, scope=[-1]) == []
        await service.lift_suppression(tx, cancelled.id)
        await service.send_again(tx, cancelled.id)
        assert await reads.untold(tx) == []


# --- consent ---


async def customer_of(database: Database, order_id: UUID) -> UUID:
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        found = await reads.customer_of(tx, order_id)
    assert found is not None
    return found


def said(given: bool, channel: Channel = EMAIL, purpose: Purpose = Purpose.TRANSACTIONAL, **more) -> Consent:
    return Consent(purpose=purpose, channel=channel, given=given, source=ConsentSource.CHECKOUT, **more)


async def test_the_ledger_of_consents_only_grows_and_its_newest_word_counts(database, mail_set_up):
    customer = await customer_of(database, await sold(database))
    day = datetime.now(UTC) - timedelta(days=1)
    async with database.transaction() as tx:
        assert await wishes.record_consents(tx, customer, [said(given=False, proof="box", key="a", at=day)]) == 1
        assert await wishes.record_consents(tx, customer, [said(given=False, key="a", at=day)]) == 0
        assert (await reads.preference(tx, customer)).declined == (EMAIL,)
        assert await wishes.record_consents(tx, customer, [said(given=True)]) == 1
        assert (await reads.preference(tx, customer)).declined == ()
        # What is brought later but was said before does not count.
        await wishes.record_consents(tx, customer, [said(given=False, at=day - timedelta(days=9))])
        assert (await reads.preference(tx, customer)).declined == ()
        marketing = said(given=True, channel=SMS, purpose=Purpose.MARKETING)
        await wishes.record_consents(tx, customer, [marketing])
        assert await reads.standing(tx, customer) == {
            (Purpose.TRANSACTIONAL, EMAIL): True,
            (Purpose.MARKETING, SMS): True,
        }
        assert len(await reads.consents(tx, customer)) == 4
        for wrong in ({"proof": "x" * 1001}, {"at": datetime.now(UTC) + timedelta(days=1)}, {"key": ""}):
            with pytest.raises(Invalid):
                await wishes.record_consents(tx, customer, [said(given=True, **wrong)])


async def test_where_a_means_needs_a_yes_nothing_goes_out_before_it_was_said(database, settings):
    async with http_gateway() as box:
        await gateway(database, settings, box, WHATSAPP, needs_consent=True)
        await first(database, WHATSAPP)
        order_id = await sold(database)
        customer = await customer_of(database, order_id)
        assert await told(database, order_id) == []
        async with database.transaction() as tx:
            await wishes.record_consents(tx, customer, [said(given=True, channel=WHATSAPP)])
            await tx.execute("UPDATE subscriber SET position = 0 WHERE name = 'order_messages'")
        assert await told(database, order_id) == [("placed", "whatsapp", "queued", None)]


async def test_a_mail_carries_the_way_to_end_it_but_for_news_of_losses(database, settings, tmp_path, mail_set_up):
    order_id, mail, _back, here = await mailed(database, settings, tmp_path)
    stop = mail["List-Unsubscribe"].strip("<>")
    assert stop.startswith("https://oms.example.com/wishes/")
    assert stop.endswith("/stop")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert stop.removesuffix("/stop") in mail.get_body(("plain",)).get_content()
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await told(database, order_id)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, msgspec.structs.replace(here, smtp_url=box.url))
    assert box.inbox[0]["List-Unsubscribe"] is None
    assert "https://oms.example.com/wishes/" in box.inbox[0].get_body(("plain",)).get_content()
