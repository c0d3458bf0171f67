"""What is kept of a person, as one file and erased for good: over a whole life, in every column of every table.

Quitéria buys on a channel, is written to, noted about, imported, put together from two profiles. Nothing of her may be
left anywhere afterwards, whoever wrote it down; what the law keeps is there as it was.
"""

import asyncio

import msgspec
import pytest
from linked_world import Linked, linked
from personal_world import (
    ANA,
    CPF,
    MAIL,
    MARKS,
    OTHER_CPF,
    OTHER_MAIL,
    PHONE,
    SHIP_TO,
    Life,
    digest,
    erase,
    fulfilled,
    her_life,
    her_order,
    import_her,
    in_tx,
    left,
    told,
    unpark,
)
from tests.waiting import waiting

from mail_server import mail_server
from malha.channels.connecting import inbox
from malha.customers import service as profiles
from malha.customers.errors import CustomerErased, UnknownCustomer
from malha.customers.model import Buyer, CustomerDraft
from malha.exchange import service as exchange
from malha.exchange.errors import FileGone
from malha.flows import telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.network.errors import SharedByAll
from malha.notifications import service as messages
from malha.notifications import wishes
from malha.notifications.merging import merge_customers, unmerge_customers
from malha.notifications.model import Channel, ConsentSource, Purpose
from malha.ordering import edits
from malha.ordering.errors import BuyerErased
from malha.ordering.rules import Buyer as OrderBuyer
from malha.platform import parking
from malha.platform.db import Actor
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.privacy import places, reads, rules, searching, service, writes
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


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


@pytest.fixture
async def life(shop: Linked, tmp_path) -> Life:
    return await her_life(shop, tmp_path)


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
    await shop.tell()
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
        (BuyerErased, edits.add_note, (life.order, "Era a Quitéria Zambrana"), {}),
        (BuyerErased, edits.change_buyer, (life.order, OrderBuyer("Quitéria Zambrana", CPF, MAIL, PHONE)), {}),
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
    for act in (searching.begin, service.export):
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
    with pytest.raises(MessagesLeaving):  # the channel is to hear of the parcel yet, by its tracking code
        await erase(shop, customer)
    await shop.tell()
    assert not (await erase(shop, customer)).again


async def test_an_order_that_waits_at_a_connection_and_one_that_nobody_linked_yet_come_first(shop: Linked):
    order = await her_order(shop)
    (customer,) = await shop.values("SELECT customer_id FROM order_customer")
    await fulfilled(shop, order)
    await shop.tell()
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
        await searching.begin(tx, life.customer, "asked")
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
        await searching.begin(tx, kept.id, "asked")
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
    await shop.tell()
    (customer,) = await shop.values("SELECT customer_id FROM order_customer")
    assert await shop.values("SELECT count(*) > 0 FROM message WHERE state = 'queued'") == [True]
    async with shop.database.transaction(ANA) as tx:
        await searching.begin(tx, customer, "asked")
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
