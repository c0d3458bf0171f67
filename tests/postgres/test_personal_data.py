"""What is kept of a person, as one file and erased for good: over a whole life, in every column of every table.

Quitéria buys on a channel, is written to, noted about, imported, put together from two profiles. Nothing of her may be
left anywhere afterwards, whoever wrote it down; what the law keeps is there as it was.
"""

import asyncio
import json
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from linked_world import Linked, linked
from tests.waiting import waiting

from mail_server import mail_server
from malha.channels.connecting import inbox
from malha.console.views import query_of
from malha.customers import reads as customers
from malha.customers import service as profiles
from malha.customers.errors import CustomerErased, UnknownCustomer
from malha.customers.model import Buyer, CustomerDraft
from malha.exchange import service as exchange
from malha.exchange.errors import FileGone
from malha.exchange.model import Kind
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows import order_to_cash, telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Parcel, Tracking
from malha.network.errors import SharedByAll
from malha.notifications import service as messages
from malha.notifications import wishes
from malha.notifications.merging import merge_customers, unmerge_customers
from malha.notifications.model import Channel, Consent, ConsentSource, Purpose
from malha.ordering import details
from malha.ordering import service as ordering
from malha.ordering.errors import BuyerErased
from malha.ordering.model import HoldKind
from malha.ordering.rules import Buyer as OrderBuyer
from malha.platform import parking
from malha.platform.clock import now
from malha.platform.db import Actor
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.subscribers import drain
from malha.platform.text import fold
from malha.privacy import places, reads, rules, service, writes
from malha.privacy.errors import (
    HoldsOpen,
    ImportsOpen,
    MessagesLeaving,
    OrdersComing,
    OrdersOpen,
    RefundsOpen,
)
from malha.privacy.model import Erased, PersonalData
from malha.testing.builders import an_access_key

pytestmark = pytest.mark.usefixtures("mail_set_up")

ANA = Actor("person", "ana", "Ana")
CPF, OTHER_CPF = "11144477735", "52998224725"
MAIL, PHONE = "quiteria.zambrana@exemplo.com.br", "+5581987654321"
OTHER_MAIL = "qz@trabalho.example"
TRACKED = "QZ123456785BR"
SHIP_TO = {
    "postal_code": "51020017", "street": "Rua das Jabuticabas Azuis", "number": "4711", "complement": "Bloco Mirtilo",
    "district": "Vila Graviola", "city": "Recife", "state": "PE",
}  # fmt: skip
TABLE = (
    "Nome;CPF;E-mail;Celular;CEP;Endereço;Número;Complemento;Bairro;Cidade;UF\n"
    f"Quitéria Zambrana;111.444.777-35;{MAIL};(81) 98765-4321;51020-017;Rua das Jabuticabas Azuis;4711;Bloco Mirtilo;"
    "Vila Graviola;Recife;PE\n"
    "Outra Pessoa;111.444.777-35;;;;;;Bloco Mirtilo;;;\n"
).encode()
# Whatever tells of her: who she is, where she lives, what was written by her and about her.
MARKS = {
    "her name": "Quitéria Zambrana", "the name of another profile": "Q. Zambrana", "her CPF": CPF, "her e-mail": MAIL,
    "another e-mail": OTHER_MAIL, "her telephone": "81987654321", "her street": "Jabuticabas Azuis",
    "her flat": "Bloco Mirtilo", "her district": "Vila Graviola", "her CEP": "51020017",
    "her parcel": TRACKED, "who took it": "Porteiro Anacleto", "what she wrote": "portão azulejado",
    "her gift": "Feliz aniversário, Petúnia", "a note": "chora quando atrasa", "why she waited": "está viajando",
    "how she agreed": "protocolo 8841-Z", "why she was looked up": "ligou furiosa",
}  # fmt: skip


class Life:
    """What there is of her."""

    def __init__(self, shop: Linked) -> None:
        self.shop = shop
        self.customer = None
        self.order = None


async def in_tx(shop: Linked, act, *args: Any, actor: Actor = ANA, **more: Any) -> Any:
    async with shop.database.transaction(actor) as tx:
        return await act(tx, *args, **more)


async def digest(shop: Linked) -> None:
    await drain(shop.database, SUBSCRIPTIONS)


async def import_her(shop: Linked, *, apply: bool = True) -> None:
    async def body():
        yield TABLE

    actor = Actor("person", "ana", "Ana", permissions=frozenset({"customers:write"}))
    run_id = await exchange.take_in(shop.database, actor, Kind.CUSTOMERS, "clientes.csv", body(), limit_mb=5)
    if apply:
        await in_tx(shop, exchange.begin, run_id, None, apply=True, actor=actor)
        await exchange.go_on.work(shop.database, run_id=str(run_id))


async def her_order(shop: Linked, id_: str = "1001", **more: Any) -> Any:
    """An order that the channel told, with all that it knows of her; paid."""
    told = shop.peer.sell(
        id_,
        buyer={"name": "Quitéria Zambrana", "document": "111.444.777-35", "email": MAIL, "phone": PHONE},
        ship_to=SHIP_TO,
        note="Portão azulejado, por favor",
        placed_at=shop.peer.orders.get(id_, {}).get("placed_at", now().isoformat()),  # old news are told to nobody
        payments=[{"id": f"pay-{id_}", "method": "pix", "amount": 1000, "state": "captured"}],
        **more,
    )
    await shop.receive(shop.peer.webhook(told))
    await shop.handle()
    await digest(shop)
    return (await shop.values("SELECT id FROM sales_order WHERE external_id = %s", (id_,)))[0]


async def fulfilled(shop: Linked, order_id: Any, number: int = 1) -> None:
    """Released, packed, documented, shipped and delivered."""
    await order_to_cash.release_due(shop.database)
    (work,) = await shop.values("SELECT id FROM fulfillment_order WHERE order_id = %s", (order_id,))
    async with shop.database.transaction(ANA) as tx:
        await fulfillment.accept(tx, work)
        await fulfillment.confirm_pick(tx, work)
        (parcel,) = await fulfillment.pack(tx, work, [Parcel(weight_grams=700)])
        await fiscal.record_document(tx, work, DocumentFacts(access_key=an_access_key(shop.world, number=number)))
        link = f"https://correios.example/{TRACKED}"
        await fulfillment.ship(tx, work, [Tracking(None, "Correios", TRACKED, link)])
    await digest(shop)
    async with shop.database.transaction(ANA) as tx:
        await fulfillment.deliver(tx, parcel, received_by="Porteiro Anacleto")
    await digest(shop)


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


@pytest.fixture
async def life(shop: Linked, tmp_path) -> Life:
    """All of her life, by what the product does; then what other places may have written down of it."""
    her = Life(shop)
    await import_her(shop)
    (ident,) = await shop.values("SELECT id FROM customer WHERE document = %s", (CPF,))
    other = await in_tx(
        shop, profiles.create_customer, CustomerDraft(name="Q. Zambrana", email=OTHER_MAIL, phone="+5581912345678")
    )
    async with shop.database.transaction(ANA) as tx:
        found = await customers.by_ids(tx, [ident])
        await merge_customers(tx, ident, other.id, (found[ident].version, 1))
        said = Consent(purpose=Purpose.MARKETING, channel=Channel.EMAIL, given=False, source=ConsentSource.CALL,
                       proof="protocolo 8841-Z", key="consent-8841")  # fmt: skip
        await wishes.record_consents(tx, ident, [said])
        await wishes.set_preference(tx, ident, language="pt-BR", declined=(), source="protocolo 8841-Z", version=0)
        await messages.suppress(tx, Channel.EMAIL, OTHER_MAIL, "bounced")
        await profiles.reveal(tx, ident, "Quitéria ligou furiosa")
    her.customer, her.order = ident, await her_order(shop)
    async with shop.database.transaction(ANA) as tx:
        await details.set_details(
            tx, her.order, msgspec.convert({"gift_message": "Feliz aniversário, Petúnia"}, details.OrderDetails)
        )
        await details.change_tags(tx, [her.order], add=["frágil", "Quitéria Zambrana"])
        await ordering.add_note(tx, her.order, "A cliente chora quando atrasa")
        await ordering.place_hold(tx, her.order, HoldKind.MANUAL, note="Ela está viajando")
        await ordering.resolve_hold(tx, her.order, HoldKind.MANUAL, resolution="Não está viajando mais")
    await digest(shop)
    async with mail_server(tmp_path) as box:
        out = msgspec.structs.replace(
            shop.settings,
            smtp_url=box.url,
            mail_from="Loja <pedidos@loja.example>",
            public_url="https://oms.example.com",
        )
        assert await telling.send_due(shop.database, out) >= 1
        await fulfilled(shop, her.order)
        await telling.send_due(shop.database, out)
    await her_order(shop)  # the channel tells it again
    await shop.tell()
    await elsewhere(shop, her)
    return her


async def elsewhere(shop: Linked, her: Life) -> None:
    """What can only be written down when something fails, or by people in their own words."""
    said = f"Quiteria  ZAMBRANA, cpf 111.444.777-35, {MAIL.upper()}, (81) 98765-4321"
    link = shop.world
    async with shop.database.transaction() as tx:
        person = new_id()
        (connection,) = await tx.values("SELECT id FROM connection")
        key = f"order:{her.order}"
        for statement, params in (
            ("INSERT INTO person (id, name, email, role) VALUES (%s, 'Ana', 'ana@loja.example', 'owner')", (person,)),
            ("INSERT INTO care_note (kind, subject, person_id, text) VALUES ('event', 'x', %s, %s)", (person, said)),
            ("INSERT INTO saved_view (person_id, list, name, query) VALUES (%s, 'orders', 'dela', %s)",
             (person, f"q={MAIL.replace('@', '%40')}")),
            # As a page keeps what was looked for: every sign and accent in its coded form.
            *(("INSERT INTO saved_view (person_id, list, name, query) VALUES (%s, 'orders', %s, %s)",
               (person, f"dela {n}", query_of({"q": looked_for})))
              for n, looked_for in enumerate(("Quitéria Zambrana", PHONE, "(81) 98765-4321", CPF, "Rua das Jabuticabas Azuis, 4711"))),
            (("INSERT INTO idempotency (client, key, operation, body_hash, status, reply, expires_at)"
             " VALUES ('key:1', 'k', 'x', '', 200, %s, now() + '1 day'::interval)"),
             (json.dumps({"n": 11144477735, "s": said}).encode(),)),
            (("INSERT INTO api_log (connection_id, slot, at, operation, method, path, ms, says)"
             " VALUES (%s, 99, now(), 'x', 'GET', %s, 1, %s)"), (connection, f"/customers/{MAIL}", said)),
            (("INSERT INTO parked_key (subscriber, key, state, cause, error, position)"
             " VALUES ('order_search', %s, 'parked', 'x', %s, 1)"),
             (key, said)),
            (("INSERT INTO parked_event (subscriber, key, position, at, seq, version, type, actor, payload)"
             " SELECT 'order_search', key, position, at, seq, version, type, actor, payload FROM event WHERE key = %s"), (key,)),
            ("INSERT INTO refund_batch (id, reference, sought, actor, person) VALUES (%s, 'r', %s, 'a', 'a')",
             (new_id(), said)),
        ):  # fmt: skip
            await tx.execute(statement, params)
    assert link


async def texts(shop: Linked) -> dict[tuple[str, str], list[str]]:
    """Every text of every column of every table of the schema that can hold one."""
    columns = await shop.rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns c JOIN information_schema.tables t"
        " USING (table_schema, table_name) WHERE table_schema = 'malha' AND table_type = 'BASE TABLE'"
        " AND data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'bytea', 'ARRAY', 'tsvector')"
        " ORDER BY 1, 2"
    )
    assert len(columns) > 500
    found = {}
    for table, column, kind in columns:
        said = f'"{column}"' if kind == "bytea" else f'"{column}"::text'
        rows = await shop.values(f'SELECT {said} FROM malha."{table}" WHERE "{column}" IS NOT NULL')
        found[table, column] = [bytes(x).decode("utf-8", "replace") if kind == "bytea" else x for x in rows]
    return found


def told(mark: str, text: str) -> bool:
    """Tell whether a text has a mark, however it is spelt, accented or punctuated."""
    text = unquote(text)
    bare = "".join(c for c in text if c.isalnum())
    said = fold(text.encode().decode("unicode_escape", "replace")) if "\\u" in text else fold(text)
    return fold(mark) in said or (mark.isdigit() and mark in bare)


async def left(shop: Linked) -> list[str]:
    found = await texts(shop)
    return sorted(
        f"{what} in {table}.{column}"
        for (table, column), rows in found.items()
        for what, mark in MARKS.items()
        if any(told(mark, text) for text in rows)
    )


async def unpark(shop: Linked) -> None:
    """Let no event wait for a person any more, who would be told each time events are handled."""
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM parked_event")
        await tx.execute("DELETE FROM parked_key")


async def erase(shop: Linked, customer: Any, reason: str = "asked by letter, protocol 77") -> Erased:
    return await in_tx(shop, service.erase, customer, reason)


# --- all of it ---


async def test_her_file_holds_everything_and_who_took_it_is_written_down(life: Life):
    data = await in_tx(life.shop, service.export, life.customer, "asked by letter")
    text = msgspec.json.encode(data).decode()
    assert [what for what, mark in MARKS.items() if not told(mark, text)] == []
    assert data.format == "malha.personal-data.1"
    assert [(o.external_id, o.total, o.buyer_document) for o in data.orders] == [("1001", 1000, CPF)]
    order = data.orders[0]
    assert [p["facts"][0]["kind"] for p in order.payments] == ["captured"]
    assert order.documents[0]["access_key"] == an_access_key(life.shop.world)
    assert {m["kind"] for m in order.messages} >= {"placed", "shipped"}
    assert [c.name for c in data.merged] == ["Q. Zambrana"]
    assert [(r.means, r.address) for r in data.refusals] == [("email", OTHER_MAIL)]
    (entry,) = await life.shop.rows("SELECT actor_name, after ->> 'why' FROM audit WHERE action = 'export'")
    assert entry == ("Ana", "asked by letter")
    again = await in_tx(life.shop, service.export, life.customer, "asked by letter")
    same = {"taken_at": data.taken_at, "trail": data.trail}
    assert msgspec.json.encode(msgspec.structs.replace(again, **same)) == text.encode()
    assert msgspec.json.decode(text, type=PersonalData) == data


# --- nothing of it ---


async def test_nothing_of_her_is_left_in_any_column_of_any_table(life: Life):
    shop = life.shop
    before = await left(shop)
    # Each mark is somewhere, and the places that only failures fill are there: the walk looks where it matters.
    assert {line.split(" in ")[0] for line in before} == set(MARKS)
    assert {line.split(" in ")[1] for line in before} >= {
        "sales_order.buyer_email", "order_search.document", "order_note.text", "order_hold.detail", "event.payload",
        "order_timeline.facts", "message.body", "message.address", "message_consent.proof", "channel_inbox.payload",
        "import_part.data", "import_flaw.cells", "import_run.sample", "customer_merge.gone_before", "audit.after",
        "shipment.tracking_url", "order_details.details", "order_tag.tag", "idempotency.reply", "api_log.path",
        "parked_event.payload", "parked_key.error", "saved_view.query", "care_note.text", "channel_op.payload",
        "customer_alias.value", "message_suppression.address", "refund_batch.sought",
    }  # fmt: skip
    done = await erase(shop, life.customer, f"asked by {MAIL}")
    assert (done.orders, done.documents_kept, done.again) == (1, 1, False)
    assert done.messages >= 2
    assert await left(shop) == []


async def test_what_the_law_keeps_and_what_names_nobody_stays(life: Life):
    shop = life.shop
    money = (
        "SELECT o.number, o.total, o.status, t.amount, t.reference, e.kind, e.amount, e.reference FROM sales_order o"
    )
    money += " JOIN tender t ON t.order_id = o.id JOIN payment_entry e ON e.tender_id = t.id"
    papers = "SELECT access_key, total, state FROM fiscal_document"
    kept = await shop.rows(money), await shop.rows(papers)
    assert kept[0]
    assert kept[1]
    await erase(shop, life.customer)
    assert (await shop.rows(money), await shop.rows(papers)) == kept
    assert await shop.values("SELECT ship_to FROM sales_order") == [
        {"city": "Recife", "state": "PE", "country": "BR", "postal_code": "51020000"}
    ]
    assert await shop.rows("SELECT purpose, channel, given, proof FROM message_consent") == [
        ("marketing", "email", False, "")
    ]
    assert await shop.values("SELECT tag FROM order_tag") == ["frágil"]
    # Who did it and why, without what was erased.
    (row,) = await shop.rows("SELECT actor, person, reason FROM customer_erasure")
    assert row == ("person:ana", "Ana", "asked by letter, protocol 77")
    assert await shop.rows("SELECT actor_name, after ->> 'reason' FROM audit WHERE action = 'erase'") == [
        ("Ana", "asked by letter, protocol 77")
    ]


async def test_a_namesake_keeps_everything(shop: Linked):
    """Another person of the same name, with another CPF, e-mail and telephone."""
    first = await her_order(shop)
    told = shop.peer.sell(
        "1002", ship_to=SHIP_TO, buyer={"name": "Quitéria Zambrana", "document": OTHER_CPF, "email": "outra@x.example"}
    )
    await shop.receive(shop.peer.webhook(told))
    await shop.handle()
    await digest(shop)
    await fulfilled(shop, first)
    (customer,) = await shop.values("SELECT id FROM customer WHERE document = %s", (CPF,))
    await erase(shop, customer)
    assert await shop.rows("SELECT name, document FROM customer WHERE document IS NOT NULL") == [
        ("Quitéria Zambrana", OTHER_CPF)
    ]
    assert await shop.rows("SELECT buyer_name, buyer_email FROM sales_order WHERE external_id = '1002'") == [
        ("Quitéria Zambrana", "outra@x.example")
    ]
    payloads = await shop.values("SELECT payload FROM channel_inbox WHERE entity = 'order:1002'")
    assert all("Quitéria Zambrana" in bytes(p).decode() for p in payloads)


async def test_the_second_time_it_says_that_it_was_done(life: Life):
    first = await erase(life.shop, life.customer)
    second = await erase(life.shop, life.customer, "again")
    assert second == msgspec.structs.replace(first, again=True)
    assert await life.shop.values("SELECT count(*) FROM audit WHERE action = 'erase'") == [1]


async def test_whoever_orders_again_is_a_new_customer(life: Life):
    shop = life.shop
    await erase(shop, life.customer)
    await unpark(shop)
    order = await her_order(shop, "1002")
    (owner,) = await shop.values("SELECT customer_id FROM order_customer WHERE order_id = %s", (order,))
    assert owner != life.customer
    # By what another profile of hers had, too: nothing leads to the erased one.
    (found,) = await in_tx(shop, profiles.link, [Buyer(name="Q. Zambrana", email=OTHER_MAIL)])
    assert found not in {owner, life.customer}


# --- it does not come back ---


async def test_a_channel_that_tells_the_order_again_brings_nobody_back_and_money_is_still_followed(life: Life):
    shop = life.shop
    await erase(shop, life.customer)
    await unpark(shop)
    told = shop.peer.give_back("1001", "r1", 400, payment="pay-1001", reason="Quitéria Zambrana devolveu")
    await shop.receive(shop.peer.webhook(told))
    await shop.handle()
    await digest(shop)
    assert await left(shop) == []
    assert await shop.values("SELECT state FROM channel_inbox ORDER BY id DESC LIMIT 1") == ["done"]
    assert await shop.values("SELECT refunded FROM order_payment") == [400]


async def test_a_subscriber_that_reads_the_log_anew_finds_nothing(life: Life):
    shop = life.shop
    await erase(shop, life.customer)
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM order_timeline")
        await tx.execute("DELETE FROM order_search")
        await tx.execute("UPDATE subscriber SET position = 0")
        await tx.execute("UPDATE parked_key SET state = 'retrying', attempts = 0, retry_at = now()")
    assert await parking.retry_due(shop.database, SUBSCRIPTIONS)
    await digest(shop)
    assert await shop.values("SELECT count(*) > 5 FROM order_timeline") == [True]
    assert await shop.values("SELECT document FROM order_search WHERE strpos(document, '1001') > 0")
    assert await left(shop) == []


async def test_nothing_about_her_can_be_added_any_more(life: Life):
    shop = life.shop
    (merge,) = await shop.values("SELECT id FROM customer_merge")
    await erase(shop, life.customer)
    (version,) = await shop.values("SELECT version FROM customer WHERE id = %s", (life.customer,))
    other = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Rui", email="rui@x.example"))
    back = CustomerDraft(name="Quitéria Zambrana", document=CPF)
    yes = {(Purpose.MARKETING, Channel.EMAIL): True}
    for refusal, act, args, more in (
        (CustomerErased, profiles.update_customer, (life.customer, back, version), {}),
        (CustomerErased, merge_customers, (life.customer, other.id, (version, 1)), {}),
        (CustomerErased, merge_customers, (other.id, life.customer, (1, version)), {}),
        (CustomerErased, unmerge_customers, (merge,), {}),
        (CustomerErased, wishes.set_wishes, (life.customer, yes), {"source": ConsentSource.CALL}),
        (BuyerErased, ordering.add_note, (life.order, "Era a Quitéria Zambrana"), {}),
        (BuyerErased, ordering.change_buyer, (life.order, OrderBuyer("Quitéria Zambrana", CPF, MAIL, PHONE)), {}),
    ):
        with pytest.raises(refusal):
            await in_tx(shop, act, *args, **more)
    assert await left(shop) == []


# --- not before that is done ---


async def test_it_needs_a_reason_all_locations_and_somebody(life: Life):
    for reason in ("", "  ", "x" * 201, "a\x00b"):
        with pytest.raises(Invalid):
            await erase(life.shop, life.customer, reason)
    with pytest.raises(UnknownCustomer):
        await erase(life.shop, new_id())
    limited = Actor("person", "bia", "Bia", locations=frozenset({1}))
    for act in (service.erase, service.export):
        with pytest.raises(SharedByAll):
            await in_tx(life.shop, act, life.customer, "asked", actor=limited)


async def test_open_orders_holds_refunds_and_what_is_being_told_come_first(shop: Linked):
    order = await her_order(shop)
    (customer,) = await shop.values("SELECT customer_id FROM order_customer")
    (number,) = await shop.values("SELECT number FROM sales_order")
    with pytest.raises(OrdersOpen) as refused:
        await erase(shop, customer)
    assert refused.value.facts == {"numbers": str(number)}
    await fulfilled(shop, order)
    async with shop.database.transaction() as tx:
        hold = {"id": new_id(), "order": order}
        await tx.execute("INSERT INTO order_hold (id, order_id, kind) VALUES (%(id)s, %(order)s, 'manual')", hold)
    with pytest.raises(HoldsOpen):
        await erase(shop, customer)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE order_hold SET resolved_at = now() WHERE resolved_at IS NULL")
        await tx.execute("UPDATE order_payment SET refund_due = 1")
    with pytest.raises(RefundsOpen):
        await erase(shop, customer)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE order_payment SET refund_due = 0")
        taken = await messages.claim(tx)
        assert taken is not None
    with pytest.raises(MessagesLeaving):
        await erase(shop, customer)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE message SET state = 'sent' WHERE state = 'sending'")
    assert not (await erase(shop, customer)).again


async def test_an_order_that_waits_at_a_connection_and_one_that_nobody_linked_yet_come_first(shop: Linked):
    order = await her_order(shop)
    (customer,) = await shop.values("SELECT customer_id FROM order_customer")
    await fulfilled(shop, order)
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", buyer={"name": "Q", "email": MAIL})))
    with pytest.raises(OrdersComing):
        await erase(shop, customer)
    await inbox.work(shop.runtime, shop.gate)
    # Taken, but no subscriber has seen it: nobody's order yet.
    assert await shop.values("SELECT count(*) FROM order_customer") == [1]
    with pytest.raises(OrdersOpen):
        await erase(shop, customer)


async def test_an_import_of_customers_that_goes_on_comes_first_and_files_of_others_go(shop: Linked):
    made = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Quitéria Zambrana", document=CPF))
    await import_her(shop, apply=False)
    (run_id,) = await shop.values("SELECT id FROM import_run")
    actor = Actor("person", "ana", "Ana", permissions=frozenset({"customers:write"}))
    await in_tx(shop, exchange.begin, run_id, None, apply=True, actor=actor)
    with pytest.raises(ImportsOpen):
        await erase(shop, made.id)
    await in_tx(shop, exchange.stop, run_id, actor=actor)
    await import_her(shop, apply=False)  # another one that nobody went on with
    await erase(shop, made.id)
    assert await left(shop) == []
    assert set(await shop.values("SELECT state FROM import_run")) == {"stopped"}
    with pytest.raises(FileGone):
        await in_tx(shop, exchange.resume, run_id, actor=actor)


# --- at the same moment ---


async def test_an_order_that_comes_while_she_is_erased_is_a_new_customers(life: Life):
    shop = life.shop

    async def comes():
        async with shop.database.transaction() as tx:
            return (await profiles.link(tx, [Buyer(name="Quitéria Zambrana", document=CPF, email=MAIL)]))[0]

    async with shop.database.transaction(ANA) as tx:
        await service.erase(tx, life.customer, "asked")
        coming = asyncio.create_task(comes())
        while not coming.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
    assert await coming != life.customer


async def test_what_a_subscriber_is_writing_is_waited_for_and_erased(life: Life):
    """A batch that read events before is done before; its rows are erased with the others."""
    shop = life.shop
    async with shop.database.transaction() as tx:
        await tx.execute("SELECT FROM subscriber ORDER BY name FOR NO KEY UPDATE")
        erasing = asyncio.create_task(erase(shop, life.customer))
        while not erasing.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
        assert not erasing.done()
        await tx.execute("UPDATE order_search SET document = document || %(said)s::text", {"said": f" {MAIL}"})
    assert not (await erasing).again
    assert await left(shop) == []


async def test_what_comes_after_a_large_table_was_looked_through_is_erased_too(life: Life):
    """Large tables are looked through while all goes on; here more comes before all is still."""
    shop = life.shop
    asked = "SELECT order_id FROM order_customer WHERE customer_id = %(customer)s"
    ((order_id,),) = await shop.rows(asked, {"customer": life.customer})
    async with shop.database.transaction() as tx:
        await tx.execute("SELECT FROM subscriber ORDER BY name FOR NO KEY UPDATE")
        erasing = asyncio.create_task(erase(shop, life.customer))
        while not erasing.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
        said = {"said": f'{{"email": "{MAIL}"}}', "key": f"order:{order_id}"}
        await tx.execute(
            "INSERT INTO audit (actor_kind, actor_name, action, entity, entity_id, after)"
            " VALUES ('person', 'Bia', 'change', 'customer_group', 'vip', %(said)s::json)",
            said,
        )
        await tx.execute(
            "INSERT INTO event (position, at, seq, version, key, type, actor, payload)"
            " SELECT max(position) + 1, now(), 999, 1, %(key)s, 'order.details_changed', 'person:bia', %(said)s::json"
            " FROM event",
            said,
        )
    assert not (await erasing).again
    assert await left(shop) == []


async def test_what_comes_where_nobody_had_named_her_before_is_erased_too(life: Life):
    shop = life.shop
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE subscriber SET error = NULL")
    async with shop.database.transaction() as tx:
        await tx.execute("SELECT FROM subscriber ORDER BY name FOR NO KEY UPDATE")
        erasing = asyncio.create_task(erase(shop, life.customer))
        while not erasing.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
        first = "UPDATE subscriber SET error = %(said)s::text WHERE name = (SELECT min(name) FROM subscriber)"
        await tx.execute(first, {"said": f"no such address: {MAIL}"})
    assert not (await erasing).again
    assert await left(shop) == []


async def test_a_merge_that_was_quicker_leads_elsewhere_and_a_slower_one_is_refused(shop: Linked):
    her = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Quitéria Zambrana", email=MAIL))
    kept = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Quitéria Zambrana", document=CPF))
    third = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Q. Zambrana", email=OTHER_MAIL))
    async with shop.database.transaction(ANA) as tx:
        await merge_customers(tx, kept.id, her.id, (1, 1))
        erasing = asyncio.create_task(erase(shop, her.id))
        while not erasing.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
    with pytest.raises(UnknownCustomer):
        await erasing
    async with shop.database.transaction(ANA) as tx:
        await service.erase(tx, kept.id, "asked")
        merging = asyncio.create_task(in_tx(shop, merge_customers, third.id, kept.id, (1, 2)))
        while not merging.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
    with pytest.raises(CustomerErased):
        await merging


async def test_a_profile_that_changes_while_she_is_looked_for_is_looked_at_again(shop: Linked):
    her = await in_tx(shop, profiles.create_customer, CustomerDraft(name="Quitéria Zambrana", email=MAIL))
    async with shop.database.transaction(ANA) as tx:
        await profiles.update_customer(tx, her.id, CustomerDraft(name="Quitéria Zambrana", email=OTHER_MAIL), 1)
        erasing = asyncio.create_task(erase(shop, her.id))
        while not erasing.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
    with pytest.raises(Conflict):
        await erasing
    assert not (await erase(shop, her.id)).again


async def test_a_message_that_waits_is_never_sent(shop: Linked, tmp_path):
    order = await her_order(shop)
    await fulfilled(shop, order)
    (customer,) = await shop.values("SELECT customer_id FROM order_customer")
    assert await shop.values("SELECT count(*) > 0 FROM message WHERE state = 'queued'") == [True]
    async with shop.database.transaction(ANA) as tx:
        await service.erase(tx, customer, "asked")
        async with shop.database.transaction() as sender:
            assert await messages.claim(sender) is None  # it passes over what is locked
    async with mail_server(tmp_path) as box:
        out = msgspec.structs.replace(shop.settings, smtp_url=box.url, mail_from="Loja <pedidos@loja.example>")
        await telling.send_due(shop.database, out)
    assert box.inbox == []
    assert set(await shop.rows("SELECT state, reason FROM message")) == {("skipped", "erased")}


async def test_two_who_erase_at_once_do_it_once(life: Life):
    done = await asyncio.gather(*(erase(life.shop, life.customer) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(x, Erased | Conflict) for x in done)
    assert sum(isinstance(x, Erased) and not x.again for x in done) == 1
    assert await left(life.shop) == []


# --- the list of columns ---


async def test_every_column_that_holds_text_is_decided_about_once(shop: Linked):
    """When this fails for a column that is new: say in `privacy.places` what erasing a person does to it."""
    columns = await shop.rows(
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'malha' AND table_type = 'BASE TABLE'"
        " AND (data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'bytea') OR udt_name = '_text')"
        " AND NOT (SELECT relispartition FROM pg_class WHERE oid = format('%%I.%%I', table_schema, table_name)::regclass)"
    )
    swept = {(p.table, p.column) for p in places.SWEPT}
    linked_ = {(table, column) for table, names in places.LINKED.items() for column in names}
    named = {(table, column) for table, names in places.KEPT_COLUMNS.items() for column in names}
    whole = [table for tables in places.KEPT_TABLES.values() for table in tables]
    assert len(whole) == len(set(whole))
    undecided = [c for c in columns if c not in swept | linked_ | named and c[0] not in whole]
    assert undecided == [], undecided
    assert swept | linked_ | named <= set(columns) | {("parked_event", "payload")}
    assert not [c for c in swept | linked_ | named if c[0] in whole]


async def test_every_statement_over_a_column_fits_the_schema(shop: Linked):
    marks = {"words": "(x)", "numbers": rules.NOTHING}
    async with shop.database.transaction() as tx:
        for place in places.SWEPT:
            await tx.values(reads.named_in(place), marks)
            await tx.tuples(reads.copies_in(place), marks)
            await tx.execute(writes.sweep(place, writes.FOUND), {**marks, "rows": ["(0,1)"]})
            await tx.execute(writes.sweep(place, writes.LATER), {**marks, "begun": await tx.value(reads.BEGUN)})
        await tx.execute(writes.empty_files(writes.FOUND), {**marks, "rows": ["(0,1)"]})
        await tx.execute(writes.empty_files(writes.LATER), {**marks, "begun": await tx.value(reads.BEGUN)})
