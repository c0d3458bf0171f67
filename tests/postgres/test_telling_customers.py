"""Messages to customers, from the event to a real mail server: at most once, with every end told apart."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from mail_server import mail_server
from malha.flows import telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import pickups
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Tracking
from malha.notifications import reads, service, wishes
from malha.notifications.errors import KindAlways, MessageOnItsWay, NotBounceable
from malha.notifications.model import Channel, Kind, State, Text
from malha.ordering import cancelling, edits, lateness
from malha.ordering.model import CancelWish, HoldKind
from malha.ordering.rules import Buyer
from malha.platform import outbox
from malha.platform.db import Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

pytestmark = pytest.mark.usefixtures("mail_set_up")

SENDER = "Loja Azul <pedidos@loja.example>"
ASK_BUYER = """
UPDATE sales_order SET buyer_email = %(email)s::text, promised_at = %(promised)s::timestamptz WHERE id = %(id)s::uuid
"""


async def sold(database: Database, email: str | None = "maria@example.com", *, promised=None, **options) -> UUID:
    """An order of a buyer with an address, of which nothing was told yet."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, **options)
        await tx.execute(ASK_BUYER, {"id": order_id, "email": email, "promised": promised})
    return order_id


async def told(database: Database, order_id: UUID) -> list[tuple[str, str, str | None]]:
    """Digest all events and return the order's messages: (kind, state, reason)."""
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        return sorted((m.kind, m.state, m.reason) for m in await reads.of_order(tx, order_id))


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=database.url, public_url="https://oms.example.com")


def by(settings: Settings, url: str) -> Settings:
    import msgspec

    return msgspec.structs.replace(settings, smtp_url=url, mail_from=SENDER)


async def due_now(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("UPDATE message SET due_at = now() WHERE state = 'queued'")


# --- the way of one message ---


async def test_an_order_is_confirmed_by_mail_with_its_items_and_the_way_to_follow_it(database, settings, tmp_path):
    order_id = await sold(database)
    assert await told(database, order_id) == [("placed", "queued", None)]
    async with mail_server(tmp_path) as box:
        assert await telling.send_due(database, by(settings, box.url)) == 1
    mail = box.inbox[0]
    assert (mail["From"], mail["To"], mail["Auto-Submitted"]) == (SENDER, "maria@example.com", "auto-generated")
    words = mail.get_body(("plain",)).get_content()
    assert "Olá, Maria!" in words
    assert "R$\xa020,00" in words
    assert "https://oms.example.com/track/" in words
    assert "https://oms.example.com/track/" in mail.get_body(("html",)).get_content()
    async with database.transaction() as tx:
        kept = (await reads.of_order(tx, order_id))[0]
    assert (kept.state, kept.subject, kept.attempts) == ("sent", mail["Subject"], 1)
    assert kept.answer.endswith("queued as 1")
    assert mail["Message-ID"] == f"<{kept.id}@loja.example>"


async def test_a_link_that_somebody_gives_for_a_name_is_told_to_nobody(database, settings, tmp_path):
    order_id = await sold(database)
    async with database.transaction() as tx:
        named = "UPDATE sales_order SET buyer_name = 'https://premio.example/ganhe agora' WHERE id = %(id)s::uuid"
        await tx.execute(named, {"id": order_id})
    assert await told(database, order_id) == [("placed", "queued", None)]
    async with mail_server(tmp_path) as box:
        assert await telling.send_due(database, by(settings, box.url)) == 1
    (mail,) = box.inbox
    for kind in ("plain", "html"):
        words = mail.get_body((kind,)).get_content()
        assert "premio.example" not in words
        assert "R$\xa020,00" in words
    assert "premio.example" not in str(mail["Subject"])


async def test_the_job_that_follows_an_event_sends_it(database, settings, tmp_path, monkeypatch):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        for name, value in {"SMTP_URL": box.url, "MAIL_FROM": SENDER, "DATA_DIR": str(tmp_path)}.items():
            monkeypatch.setenv(f"MALHA_{name}", value)
        async with database.transaction() as tx:
            names = await tx.values("SELECT task_name FROM malha_jobs.procrastinate_jobs WHERE status = 'todo'")
        assert names == ["messages.send"]
        await telling.send_messages.work(database)
    assert [m["To"] for m in box.inbox] == ["maria@example.com"]
    assert (await told(database, order_id))[0][1] == "sent"


async def test_where_no_mail_can_be_sent_only_what_must_be_heard_is_written_down(database, settings, monkeypatch):
    monkeypatch.delenv("MALHA_SMTP_URL")
    order_id = await sold(database)
    assert await told(database, order_id) == []
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="changed his mind")
    assert [kind for kind, _state, _reason in await told(database, order_id)] == ["cancelled"]
    assert await telling.send_due(database, settings) == 0
    assert await told(database, order_id) == [("cancelled", "skipped", "not_configured")]


async def test_an_event_that_is_handled_again_tells_nothing_twice(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
        async with database.transaction() as tx:
            await tx.execute("UPDATE subscriber SET position = 0 WHERE name = 'order_messages'")
        assert await told(database, order_id) == [("placed", "sent", None)]
        assert await telling.send_due(database, by(settings, box.url)) == 0
    assert len(box.inbox) == 1


async def test_many_workers_share_the_messages_and_send_each_once(database, settings, tmp_path):
    async with database.transaction() as tx:
        world = await a_network(tx)
        orders = [await an_order(tx, world, 1) for _ in range(12)]
        await tx.execute("UPDATE sales_order SET buyer_email = 'c' || number || '@example.com'")
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        taken = await asyncio.gather(*(telling.send_due(database, by(settings, box.url)) for _ in range(4)))
    assert sum(taken) == len(orders)
    assert len({m["To"] for m in box.inbox}) == len(box.inbox) == len(orders)


async def test_without_a_mail_server_nothing_waits_to_surprise_customers_later(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    assert await telling.send_due(database, settings) == 0
    assert await told(database, order_id) == [("placed", "skipped", "not_configured")]
    async with mail_server(tmp_path) as box:
        assert await telling.send_due(database, by(settings, box.url)) == 0
        async with database.transaction() as tx:
            await service.send_again(tx, (await reads.of_order(tx, order_id))[0].id)
        assert await telling.send_due(database, by(settings, box.url)) == 1
    assert len(box.inbox) == 1


# --- how sending ends ---


async def test_a_refusal_for_now_is_tried_again_later_and_in_the_end_given_up(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        box.answer_to["maria@example.com"] = "451 4.7.1 come back later"
        assert await telling.send_due(database, by(settings, box.url)) == 1
        assert await told(database, order_id) == [("placed", "queued", "postponed")]
        assert await telling.send_due(database, by(settings, box.url)) == 0  # not yet
        for _ in range(7):
            await due_now(database)
            assert await telling.send_due(database, by(settings, box.url)) == 1
    assert await told(database, order_id) == [("placed", "failed", "attempts")]
    assert box.inbox == []


async def test_a_server_that_is_away_costs_no_message(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        port = box.port
    await telling.send_due(database, by(settings, box.url))
    assert await told(database, order_id) == [("placed", "queued", "unreachable")]
    await due_now(database)
    async with mail_server(tmp_path, port=port) as box:
        await telling.send_due(database, by(settings, box.url))
    assert await told(database, order_id) == [("placed", "sent", None)]


async def test_an_address_that_does_not_exist_gets_no_more_mail_until_somebody_says_so(database, settings, tmp_path):
    order_id = await sold(database, "Gone@example.com")
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        box.answer_to["Gone@example.com"] = "550 5.1.1 <gone@example.com> unknown"
        await telling.send_due(database, by(settings, box.url))
    assert await told(database, order_id) == [("placed", "refused", "refused")]
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="by the customer")
    assert ("cancelled", "skipped", "suppressed") in await told(database, order_id)
    async with database.transaction() as tx:
        first = (await reads.of_order(tx, order_id))[-1]
        assert first.answer == "550 5.1.1 <G\N{BULLET}\N{BULLET}\N{BULLET}@example.com> unknown"
        await service.lift_suppression(tx, first.id)
        assert await reads.suppressed(tx, Channel.EMAIL, "gone@example.com") is None


async def test_a_message_whose_answer_was_lost_is_not_repeated_by_itself(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        box.drop_after_data = True
        await telling.send_due(database, by(settings, box.url))
        assert await told(database, order_id) == [("placed", "uncertain", "unanswered")]
        assert await telling.send_due(database, by(settings, box.url)) == 0
        assert len(box.inbox) == 1


async def test_a_worker_killed_while_sending_leaves_a_message_a_person_can_see_and_repeat(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    code = (
        "import asyncio\nfrom malha.flows import telling\nfrom malha.platform.db import Database\n"
        "from malha.platform.settings import load\n"
        "async def main():\n    s = load()\n    async with Database(s.database_url, s.retailer) as db:\n"
        "        await telling.send_due(db, s)\n"
        "asyncio.run(main())\n"
    )
    async with mail_server(tmp_path) as box:
        env = {k: v for k, v in os.environ.items() if not k.startswith("MALHA_")}
        env |= {"DATABASE_URL": database.url, "MALHA_SMTP_URL": box.url, "MALHA_MAIL_FROM": SENDER}
        worker = subprocess.Popen([sys.executable, "-c", code], env=env | {"MALHA_DATA_DIR": str(tmp_path)})
        box.after_data = worker.kill  # it has the whole message, the worker will never hear of it
        await asyncio.to_thread(worker.wait)
        assert len(box.inbox) == 1
        assert await told(database, order_id) == [("placed", "sending", None)]
        await telling.care_for_messages(database)
        assert await told(database, order_id) == [("placed", "sending", None)]  # it might still be at it
        async with database.transaction() as tx:
            await tx.execute("UPDATE message SET claimed_at = now() - interval '6 minutes'")
        await telling.care_for_messages(database)
        assert await told(database, order_id) == [("placed", "uncertain", "interrupted")]
        assert await telling.send_due(database, by(settings, box.url)) == 0
        box.after_data = None
        async with database.transaction() as tx:
            message = (await reads.of_order(tx, order_id))[0]
            await service.send_again(tx, message.id)
            with pytest.raises(MessageOnItsWay):
                await service.send_again(tx, message.id)
        assert await telling.send_due(database, by(settings, box.url)) == 1
        assert [m["Message-ID"] for m in box.inbox] == [f"<{message.id}@loja.example>"] * 2


async def test_a_bounce_that_came_back_later_is_marked_by_a_person(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        message = (await reads.of_order(tx, order_id))[0]
        with pytest.raises(NotBounceable):
            await service.mark_bounced(tx, message.id)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    async with database.transaction() as tx:
        await service.mark_bounced(tx, message.id)
        assert await reads.suppressed(tx, Channel.EMAIL, "MARIA@example.com") == "bounced"
    assert await told(database, order_id) == [("placed", "bounced", "bounced")]


# --- what is told ---


async def test_an_order_that_waits_for_money_says_so_and_its_payment_is_confirmed_later(database, settings, tmp_path):
    from malha.payments import service as payments
    from malha.payments.model import Fact, FactKind

    order_id = await sold(database, paid="pending", holds=[HoldKind.PAYMENT], lines=1)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
        async with database.transaction() as tx:
            await payments.record_fact(
                tx, order_id, Fact(position=1, kind=FactKind.CAPTURED, amount=1000, reference="e2e")
            )
        await drain(database, SUBSCRIPTIONS)
        await telling.send_due(database, by(settings, box.url))
    words = [m.get_body(("plain",)).get_content() for m in box.inbox]
    assert "Aguardamos o seu pagamento" in words[0]
    assert box.inbox[1]["Subject"].startswith("Pagamento confirmado")


async def test_a_buyer_whose_cep_is_of_another_state_is_asked_for_the_right_address(database, settings, tmp_path):
    order_id = await sold(database, holds=[HoldKind.SHORTAGE, HoldKind.ADDRESS_CHECK], lines=1)
    assert ("on_hold", "queued", None) in await told(database, order_id)
    await due_now(database)  # at night it rests until the morning
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    held = next(m for m in box.inbox if "em espera" in m["Subject"])
    assert "O CEP não corresponde ao estado do endereço." in held.get_body(("plain",)).get_content()


async def test_a_cancelled_unit_is_named_with_what_it_cost_and_what_is_left(database, settings, tmp_path):
    order_id = await sold(database, lines=2)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM message")
        await cancelling.cancel(tx, order_id, reason="segredo interno", wishes=[CancelWish(1, 1)])
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    words = box.inbox[0].get_body(("plain",)).get_content()
    assert box.inbox[0]["Subject"].startswith("Itens cancelados")
    assert "1 x T" in words
    assert words.count("R$\xa010,00") == 3  # the item, what is left, what goes back
    assert "segredo" not in words


async def test_a_parcel_that_is_out_for_delivery_is_told_once_a_day_with_its_tracking(database, settings, tmp_path):
    order_id = await sold(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
        [work] = (await fulfillment.release(tx, [order_id])).work
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id)
        [parcel] = await fulfillment.pack(tx, work.id)
        await fulfillment.ship(tx, work.id, [Tracking(tracking_code="BR123")])
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM message")
        await fulfillment.send_out(tx, parcel)
        await fulfillment.send_out(tx, parcel)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    [mail] = box.inbox
    assert mail["Subject"].startswith("Chega hoje")
    assert "BR123" in mail.get_body(("plain",)).get_content()


async def test_each_parcel_is_told_with_what_is_in_it_and_that_the_rest_comes_separately(database, settings, tmp_path):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cups, lamp = [await a_product(tx, world, sku, stock={"DC": 5, "S1": 5}) for sku in ("CUP", "LAMP")]
        order_id = await an_order(tx, world, [Sold(cups, 2, at="DC"), Sold(lamp, at="S1")])
        yesterday = datetime.now(UTC) - timedelta(days=1)
        await tx.execute(ASK_BUYER, {"id": order_id, "email": "maria@example.com", "promised": yesterday})
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")

    async def words_of(act) -> str:
        """Return the only mail that an act has sent."""
        await drain(database, SUBSCRIPTIONS)
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM message")
            await act(tx)
        await drain(database, SUBSCRIPTIONS)
        await due_now(database)
        async with mail_server(tmp_path) as box:
            await telling.send_due(database, by(settings, box.url))
        (mail,) = box.inbox
        return mail.get_body(("plain",)).get_content()

    parcels: list[UUID] = []

    async def ship(tx, work) -> None:
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id)
        parcels.extend(await fulfillment.pack(tx, work.id))
        await fulfillment.ship(tx, work.id, [Tracking(tracking_code=f"BR{len(parcels)}")])

    async with database.transaction() as tx:
        works = sorted((await fulfillment.release(tx, [order_id])).work, key=lambda work: work.number)
        first = await tx.value("SELECT line FROM order_unit WHERE fulfillment_id = %(id)s", {"id": works[0].id})
    one, other = ("2 x CUP", "1 x LAMP") if first == 1 else ("1 x LAMP", "2 x CUP")
    rest = "O restante do seu pedido vem separado."
    shipped = await words_of(lambda tx: ship(tx, works[0]))
    assert ("BR1" in shipped, one in shipped, other in shipped, rest in shipped) == (True, True, False, True)
    late = await words_of(lateness.find_late)  # of what is under way nothing is late yet
    assert (one in late, other in late) == (False, True)
    shipped = await words_of(lambda tx: ship(tx, works[1]))
    assert ("BR2" in shipped, one in shipped, other in shipped, rest in shipped) == (True, False, True, True)
    delivered = await words_of(lambda tx: fulfillment.deliver(tx, parcels[1]))
    assert (one in delivered, other in delivered, rest in delivered) == (False, True, True)
    delivered = await words_of(lambda tx: fulfillment.deliver(tx, parcels[0]))
    assert (one in delivered, other in delivered, rest in delivered) == (True, False, False)


async def test_a_promise_that_was_broken_is_found_once_and_told_once(database, settings):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    order_id = await sold(database, promised=yesterday)
    async with database.transaction() as tx:
        assert await lateness.find_late(tx) == 1
        assert await lateness.find_late(tx) == 0
    assert [kind for kind, *_ in await told(database, order_id)] == ["late", "placed"]


async def test_a_promise_broken_long_ago_or_kept_is_nobodys_news(database):
    old = await sold(database, promised=datetime.now(UTC) - timedelta(days=20))
    async with database.transaction() as tx:
        assert await lateness.find_late(tx) == 0
        await tx.execute(ASK_BUYER, {"id": old, "email": None, "promised": datetime.now(UTC) + timedelta(days=1)})
        assert await lateness.find_late(tx) == 0


async def test_an_order_that_waits_for_its_customers_money_is_not_late(database):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await sold(database, promised=yesterday, paid="pending", holds=[HoldKind.PAYMENT])
    async with database.transaction() as tx:
        assert await lateness.find_late(tx) == 0


@pytest.mark.parametrize(("days", "heard"), [(8, ["cancelled"]), (400, [])])
async def test_a_cancel_of_today_is_told_of_an_order_that_an_outage_kept_from_us_and_not_of_the_past(
    database, days, heard
):
    order_id = await sold(database)
    async with database.transaction() as tx:  # the gate says of its event that it happened when the order was placed
        placed_at = datetime.now(UTC) - timedelta(days=days)
        await tx.execute("UPDATE sales_order SET placed_at = %s", [placed_at])
        await outbox.restate(tx, [(f"order:{order_id}", "order.placed", placed_at)])
    assert await told(database, order_id) == []
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    assert [kind for kind, *_ in await told(database, order_id)] == heard


async def test_a_marketplace_speaks_with_its_customers_itself(database):
    order_id = await sold(database, channel="mall")
    assert await told(database, order_id) == []
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    assert await told(database, order_id) == [("cancelled", "skipped", "told_by_channel")]


async def test_a_customer_is_written_to_in_the_language_they_chose(database, settings, tmp_path):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)  # finds who the customer is
    async with database.transaction() as tx:
        customer = await tx.value("SELECT customer_id FROM order_customer")
        wish = {"language": "en", "declined": [Channel.EMAIL], "source": "by telephone"}
        assert (await wishes.set_preference(tx, customer, **wish, version=0)).version == 1
        with pytest.raises(Conflict):
            await wishes.set_preference(tx, customer, **wish, version=0)
        with pytest.raises(Invalid):
            await wishes.set_preference(tx, customer, **wish | {"language": "xx", "source": ""}, version=1)
        await cancelling.cancel(tx, order_id, reason="x")
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    # The confirmation waited when they asked for silence: it does not go out any more. News of a loss do.
    assert [m["Subject"].split(" #")[0] for m in box.inbox] == ["Order"]
    assert await told(database, order_id) == [("cancelled", "sent", None), ("placed", "skipped", "declined")]


# --- what a retailer may change ---


async def test_a_text_of_ones_own_is_used_kept_in_versions_and_given_up_again(database, settings, tmp_path):
    order_id = await sold(database)
    key = (Kind.PLACED, Channel.EMAIL, "pt-BR")
    async with database.transaction() as tx:
        with pytest.raises(Invalid):
            await service.save_template(tx, *key, Text("Oi {nome}", "x"), version=0)
        saved = await service.save_template(tx, *key, Text("Oba! {order_number}", "Valeu, {customer_name}."), version=0)
        assert (saved.version, saved.own) == (1, True)
        with pytest.raises(Conflict):
            await service.save_template(tx, *key, Text("Outro", "texto"), version=0)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    assert box.inbox[0]["Subject"].startswith("Oba! ")
    async with database.transaction() as tx:
        again = await service.reset_template(tx, *key, version=1)
        assert (again.version, again.own) == (2, False)
        assert again.text == reads.default_text(Kind.PLACED, "pt-BR")
        assert [v.version for v in await reads.versions(tx, *key)] == [2, 1]
        assert (await reads.text_of_version(tx, *key, 1)).subject == "Oba! {order_number}"
    assert order_id


async def test_what_is_switched_off_is_not_written_and_losses_cannot_be(database):
    async with database.transaction() as tx:
        await service.switch(tx, Kind.PLACED, on=False)
        with pytest.raises(KindAlways):
            await service.switch(tx, Kind.CANCELLED, on=False)
    order_id = await sold(database)
    assert await told(database, order_id) == []


async def test_quiet_hours_and_keeping_are_changed_by_one_person_at_a_time(database):
    async with database.transaction() as tx:
        changed = await service.change_rules(tx, quiet_from=time(22), quiet_until=time(7), kept_days=30, version=0)
        assert (changed.quiet_from, changed.version) == (time(22), 1)
        with pytest.raises(Conflict):
            await service.change_rules(tx, quiet_from=time(20), quiet_until=time(7), kept_days=30, version=0)
        with pytest.raises(Invalid):
            await service.change_rules(tx, quiet_from=time(20), quiet_until=time(7), kept_days=0, version=1)


async def test_who_was_told_what_is_forgotten_after_its_time_and_that_something_was_told_is_not(
    database, settings, tmp_path
):
    order_id = await sold(database)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    async with database.transaction() as tx:
        assert await service.forget_words(tx) == 0
        await tx.execute("UPDATE message SET created_at = now() - interval '181 days'")
        assert await service.forget_words(tx) == 1
        left = (await reads.of_order(tx, order_id))[0]
    assert (left.address, left.subject, left.body, State(left.state)) == (None, None, None, State.SENT)


# --- what is not so any more when its time comes ---


async def test_who_pays_for_a_cancelled_order_is_not_told_that_it_is_prepared(database, settings, tmp_path):
    from malha.payments import service as payments
    from malha.payments.model import Fact, FactKind

    order_id = await sold(database, paid="pending", holds=[HoldKind.PAYMENT], lines=1)
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="the time to pay is over")
    async with database.transaction() as tx:
        fact = Fact(position=1, kind=FactKind.CAPTURED, amount=1000, reference="e2e")
        assert (await payments.record_fact(tx, order_id, fact)).refund_due == 1000
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    assert not [mail["Subject"] for mail in box.inbox if mail["Subject"].startswith("Pagamento confirmado")]
    assert ("paid", "skipped", "overtaken") in await told(database, order_id)


async def test_a_delay_or_a_hold_that_waited_for_the_morning_is_not_told_of_what_was_cancelled(
    database, settings, tmp_path
):
    over = datetime.now(UTC) - timedelta(days=2)
    order_id = await sold(database, promised=over, holds=[HoldKind.SHORTAGE], lines=1)
    async with database.transaction() as tx:
        await lateness.find_late(tx)
    assert {kind for kind, *_ in await told(database, order_id)} == {"placed", "on_hold", "late"}
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="it cannot be had")
    await told(database, order_id)
    await due_now(database)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    ends = {kind: (state, reason) for kind, state, reason in await told(database, order_id)}
    assert ends["late"] == ends["on_hold"] == ("skipped", "overtaken")
    assert ends["cancelled"] == ("sent", None)
    async with database.transaction() as tx:
        assert await reads.untold(tx, order_id=order_id) == []


async def test_who_corrected_what_was_wrong_is_not_asked_for_it_in_the_morning(database, settings, tmp_path):
    order_id = await sold(database, holds=[HoldKind.CUSTOMER], lines=1)
    await told(database, order_id)
    async with database.transaction() as tx:
        await edits.change_buyer(tx, order_id, Buyer(name="Maria Souza", email="maria@example.com"))
    await told(database, order_id)
    await due_now(database)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    assert ("on_hold", "skipped", "overtaken") in await told(database, order_id)


async def test_what_waits_goes_to_the_corrected_address_and_not_to_the_stranger(database, settings, tmp_path):
    order_id = await sold(database, "stranger@example.com", holds=[HoldKind.SHORTAGE], lines=1)
    assert ("on_hold", "queued", None) in await told(database, order_id)
    async with database.transaction() as tx:
        await tx.execute("UPDATE message SET due_at = now() + interval '9 hours'")
        await edits.change_buyer(tx, order_id, Buyer(name="Maria Souza", email="maria@example.com"))
    await told(database, order_id)
    await due_now(database)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    assert {mail["To"] for mail in box.inbox} == {"maria@example.com"}


async def test_what_waits_for_a_buyer_without_that_address_now_rests_and_is_tried_otherwise(database, settings):
    order_id = await sold(database, "stranger@example.com", holds=[HoldKind.SHORTAGE], lines=1)
    await told(database, order_id)
    async with database.transaction() as tx:
        await tx.execute("UPDATE message SET due_at = now() + interval '9 hours'")
        await edits.change_buyer(tx, order_id, Buyer(name="Maria Souza", phone="+5511987654321"))
    assert await told(database, order_id) == [("on_hold", "skipped", "no_address"), ("placed", "skipped", "no_address")]
    async with database.transaction() as tx:
        assert {m.address for m in await reads.of_order(tx, order_id)} == {None}


async def test_the_link_of_a_message_is_bound_to_where_the_buyer_is_reached(database, settings, tmp_path):
    from malha.ordering.tracking import read_link
    from malha.platform.signing import TokenExpired, keys_of

    order_id = await sold(database, "Maria@Example.com")
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
    said = box.inbox[0].get_body(("plain",)).get_content()
    token, keys, at = said.partition("/track/")[2].split()[0], keys_of(settings), datetime.now(UTC)
    link = read_link(keys, token, at=at)
    assert link.order_id == order_id
    link.refuse_moved(keys, ("maria@example.com", None))
    with pytest.raises(TokenExpired):
        link.refuse_moved(keys, ("other@example.com", "+5511987654321"))


async def test_who_collected_in_the_evening_is_not_reminded_in_the_morning(database, settings, tmp_path):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1, at="S1")], method="pickup")
        await tx.execute(ASK_BUYER, {"id": order_id, "email": "maria@example.com", "promised": None})
        [work] = [w.id for w in await fulfillment.release_order(tx, order_id)]
        await fulfillment.confirm_pick(tx, work)
        await fulfillment.pack(tx, work)
        await fulfillment.make_ready(tx, work)
    await drain(database, SUBSCRIPTIONS)
    async with mail_server(tmp_path) as box:
        await telling.send_due(database, by(settings, box.url))
        assert len(box.inbox) == 2  # that it was received, and that it is ready
        async with database.transaction() as tx:
            await tx.execute("UPDATE fulfillment_order SET pickup_remind_at = now() - interval '1 hour'")
            assert await pickups.remind(tx) == 1
        assert ("pickup_reminder", "queued", None) in await told(database, order_id)
        async with database.transaction() as tx:
            code = await fulfillment.pickup_code(tx, work)
            assert (await fulfillment.hand_over(tx, work, code=code, received_by="Maria")).done
        await told(database, order_id)
        await due_now(database)
        before = len(box.inbox)
        await telling.send_due(database, by(settings, box.url))
        assert len(box.inbox) == before
    assert ("pickup_reminder", "skipped", "overtaken") in await told(database, order_id)


async def test_thousands_of_messages_leave_room_for_other_jobs(database, settings, tmp_path, monkeypatch):
    async with database.transaction() as tx:
        world = await a_network(tx)
        for _ in range(3):
            await an_order(tx, world, 1)
        await tx.execute("UPDATE sales_order SET buyer_email = 'c' || number || '@example.com'")
    await drain(database, SUBSCRIPTIONS)
    monkeypatch.setattr(telling, "AT_ONCE", 2)
    async with mail_server(tmp_path) as box:
        for name, value in {"SMTP_URL": box.url, "MAIL_FROM": SENDER, "DATA_DIR": str(tmp_path)}.items():
            monkeypatch.setenv(f"MALHA_{name}", value)
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM malha_jobs.procrastinate_jobs")
        await telling.send_messages.work(database)
        assert len(box.inbox) == 2
        waits = "SELECT task_name FROM malha_jobs.procrastinate_jobs WHERE status = 'todo'"
        async with database.transaction() as tx:
            assert await tx.values(waits) == ["messages.send"]  # behind whatever came meanwhile
            await tx.execute("DELETE FROM malha_jobs.procrastinate_jobs")
        await telling.send_messages.work(database)
        assert len(box.inbox) == 3
        async with database.transaction() as tx:
            assert await tx.values(waits) == []
