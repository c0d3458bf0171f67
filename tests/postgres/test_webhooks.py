"""Others are told what happened: signed, in the order they asked for, at least once, and nobody more than they may see."""

import asyncio
import sys
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.waiting import doomed, gone

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.inventory.supply import changing
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import (
    InboundChange,
    InboundDraft,
    InboundKind,
    InboundLineDraft,
    InboundState,
    LineChange,
)
from malha.ordering import cancelling
from malha.payments.model import PaymentState
from malha.platform import outbox
from malha.platform.clock import now
from malha.platform.db import Actor
from malha.platform.flaws import Invalid
from malha.platform.outward import Outward, OutwardRefused
from malha.platform.signing import Keys
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order
from malha.webhooks import catalogue, reads, rules, sending, service
from malha.webhooks.errors import WebhookChanged, WebhookNotFound
from malha.webhooks.model import EndpointDraft, Replay
from webhook_sink import webhook_sink

KEYS = Keys(b"k" * 32, None)
FRANCHISE = Actor("key", "7", "franchise", permissions=frozenset({"orders:read", "webhooks:manage"}))


@pytest.fixture
async def sink():
    async with webhook_sink() as served:
        yield served


@pytest.fixture
async def out():
    made = sending.Sending(Outward(("127.0.0.1/32",), timeout_s=5.0), lambda: KEYS)
    async with made.kept:
        yield made


@pytest.fixture
async def world(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 500, "S1": 50, "S2": 50})
    await drain(database, SUBSCRIPTIONS)
    return world, sku


class Shop:
    """What the stories do, in few words."""

    def __init__(self, database, world, sink, out):
        self.database, self.sink, self.out = database, sink, out
        self.world, self.sku = world
        self.secret = ""

    async def listens(self, *types, actor=None, **more) -> int:
        draft = EndpointDraft(name="ERP", url=more.pop("url", self.sink.url), types=types or ("*",), **more)
        async with self.database.transaction(*([actor] if actor else [])) as tx:
            id_, self.secret = await service.create(tx, draft, KEYS)
        return id_

    async def order(self, at="DC", quantity=1):
        async with self.database.transaction() as tx:
            return await an_order(tx, self.world, [Sold(self.sku, quantity, at=at)])

    async def lined_up(self):
        await drain(self.database, SUBSCRIPTIONS)

    async def told(self) -> int:
        await self.lined_up()
        return await sending.send_due(self.database, self.out)

    async def later(self, id_):
        """As if all waits of an endpoint were over."""
        async with self.database.transaction() as tx:
            await tx.execute("UPDATE webhook_delivery SET next_at = now() WHERE endpoint_id = %s", [id_])
            await tx.execute(
                "UPDATE webhook_endpoint SET open_until = now() - '1s'::interval, rest_until = NULL, trial_until = NULL"
                " WHERE id = %s AND open_until IS NOT NULL",
                [id_],
            )

    async def rows(self, id_, **filters):
        async with self.database.transaction() as tx:
            return await reads.deliveries(tx, id_, limit=500, **filters)

    async def endpoint(self, id_):
        async with self.database.transaction() as tx:
            return await reads.endpoint(tx, id_)


@pytest.fixture
def shop(database, world, sink, out):
    return Shop(database, world, sink, out)


async def test_what_happens_is_told_signed_as_standard_webhooks_says_with_codes_and_no_number_of_ours(shop, sink):
    await shop.listens("order.*")
    order_id = await shop.order()
    assert await shop.told() == 1
    (sent,) = sink.sent
    assert Webhook(shop.secret).verify(sent.body, sent.headers) == sent.json
    with pytest.raises(WebhookVerificationError):
        Webhook(shop.secret).verify(sent.body + b" ", sent.headers)
    assert sent.json["type"] == "order.placed"
    assert sent.json["subject"] == f"order:{order_id}"
    assert sent.json["data"]["order_id"] == str(order_id)
    assert sent.json["data"]["channel"] == "web"
    assert sent.json["id"] == sent.id


async def test_a_body_is_what_its_schema_says(shop, sink):
    from jsonschema_rs import Draft202012Validator

    await shop.listens("*")
    order_id = await shop.order()
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await shop.told()
    assert {"order.placed", "order.cancelled"} <= set(sink.types)
    for sent in sink.sent:
        Draft202012Validator(catalogue.schema_of(sent.json["type"])).validate(sent.json)


async def test_who_waits_for_goods_is_told_that_other_quantities_are_expected_and_others_are_not(shop, sink):
    from jsonschema_rs import Draft202012Validator

    centre, franchise = shop.world.locations["DC"], shop.world.locations["S1"]
    async with shop.database.transaction() as tx:
        other = await a_product(tx, shop.world, "B")
    day, later = date(2026, 12, 10), date(2026, 12, 24)

    async def ordered(place):
        lines = [InboundLineDraft(shop.sku, 10, day), InboundLineDraft(other, 4, day)]
        draft = InboundDraft(kind=InboundKind.PURCHASE, supplier="Tecelagem", location_id=place, lines=lines)
        async with shop.database.transaction() as tx:
            return await supply.place_order(tx, draft)

    async def change(number, **wanted):
        async with shop.database.transaction() as tx:
            return await changing.change(tx, number, InboundChange(**wanted))

    theirs, ours = await ordered(franchise), await ordered(centre)
    await shop.lined_up()
    await shop.listens("inbound.changed")
    whole_secret = shop.secret
    seen = {"stock:read", "orders:read", "webhooks:manage"}
    limited = msgspec.structs.replace(FRANCHISE, permissions=frozenset(seen), locations=frozenset({franchise}))
    near = await shop.listens("inbound.*", actor=limited, locations=("S1",))
    more = [InboundLineDraft(shop.sku, 6, later)]
    await change(ours.number, lines=[LineChange(line=1, quantity=14)], added=more, reason="season", note="ask for Ana")
    await change(ours.number, lines=[LineChange(line=1, quantity=14)], reason="season")  # as it is already
    await change(ours.number, note="by road")  # nothing that is expected changes
    assert await shop.told() == 1
    (sent,) = sink.sent
    assert Webhook(whole_secret).verify(sent.body, sent.headers) == sent.json
    assert (sent.json["type"], sent.json["subject"]) == ("inbound.changed", f"inbound:{ours.id}")
    assert sent.json["data"] == {
        "inbound_id": str(ours.id),
        "location": "DC",
        "reason": "season",
        "state": "open",
        "lines": [{"line": 1, "sku": "A", "was": 10, "became": 14}],
        "added": [{"line": 3, "sku": "A", "quantity": 6, "date": "2026-12-24"}],
    }
    assert "Ana" not in sent.body.decode(), "what people wrote may name people"
    Draft202012Validator(catalogue.schema_of("inbound.changed")).validate(sent.json)
    assert await shop.rows(near) == []

    await change(theirs.number, lines=[LineChange(line=2, quantity=3, eta=later)])
    await shop.told()
    told = [sent.json for sent in sink.sent[1:]]
    assert sorted(one["type"] for one in told) == ["inbound.changed", "inbound.changed", "inbound.rescheduled"]
    assert {one["data"]["location"] for one in told} == {"S1"}
    (changed, again) = [one["data"] for one in told if one["type"] == "inbound.changed"]
    assert changed == again
    assert (changed["lines"], changed["added"]) == ([{"line": 2, "sku": "B", "was": 4, "became": 3}], [])


def test_the_example_of_a_type_says_states_that_it_can_be_in():
    for type_, public in catalogue.PUBLIC.items():
        family = type_.partition(".")[0]
        if family in {"inbound", "payment"} and "state" in {field.name for field in public.fields}:
            states = InboundState if family == "inbound" else PaymentState
            assert catalogue.example_of(type_)["data"]["state"] in set(states), type_


async def test_only_types_and_families_that_were_asked_for_are_told(shop, sink):
    await shop.listens("order.cancelled", "transfer.*")
    order_id = await shop.order()
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await shop.told()
    assert sink.types == ["order.cancelled"]


async def test_a_webhook_is_told_of_no_more_than_its_maker_sees(shop, sink):
    limited = msgspec.structs.replace(FRANCHISE, locations=frozenset({shop.world.locations["S1"]}))
    with pytest.raises(Invalid):
        await shop.listens("*", actor=limited)  # all locations
    with pytest.raises(Invalid):
        await shop.listens("stock.*", actor=limited, locations=("S1",))  # no permission for stock
    id_ = await shop.listens("*", actor=limited, locations=("S1",))
    theirs, other = await shop.order(at="S1"), await shop.order(at="S2")
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, theirs, reason="x")
        await cancelling.cancel(tx, other, reason="x")
    await shop.told()
    assert {sent.json["subject"] for sent in sink.sent} == {f"order:{theirs}"}
    assert not [t for t in sink.types if t.startswith("stock.")]
    # Nor does anybody see a webhook that tells of more than their own locations.
    everywhere = await shop.listens("*")
    async with shop.database.transaction(limited) as tx:
        assert [e.id for e in await service.all_seen(tx)] == [id_]
        with pytest.raises(WebhookNotFound):
            await service.seen(tx, everywhere)


async def test_shares_of_other_locations_are_left_out_for_who_sees_only_some():
    public = catalogue.PUBLIC["order.routed"]
    names = catalogue.Names({1: "S1", 2: "S2"}, {}, {})
    facts = {"id": "x", "attempt": 1, "placed": [[1, 1, 3], [1, 2, 4]], "unplaced": []}
    assert catalogue.data_of(facts, public, names, {1})["placed"] == [{"line": 1, "location": "S1", "quantity": 3}]


async def test_a_webhook_of_some_channels_is_told_of_their_orders_only(shop, sink):
    await shop.listens("*", channels=("till",))
    await shop.order()
    assert await shop.told() == 0
    await shop.listens("*", channels=("web",))
    await shop.order()
    await shop.told()
    assert sink.types == ["order.placed"]


async def test_an_address_of_the_own_network_is_refused_when_it_is_written_and_when_it_is_asked(shop, database):
    with pytest.raises(OutwardRefused):
        await shop.listens(url="ftp://shop.example/x")
    id_ = await shop.listens("order.*", url="https://127.0.0.2/hook")  # a literal address is judged when it is asked
    await shop.order()
    await shop.lined_up()
    closed = sending.Sending(Outward(), lambda: KEYS)
    async with closed.kept:
        assert await sending.send_due(database, closed) == 0
    (row,) = await shop.rows(id_)
    assert "network that is not public" in row.error


async def test_both_secrets_sign_for_a_day_after_a_rotation(shop, sink):
    id_ = await shop.listens("order.*")
    former = shop.secret
    async with shop.database.transaction() as tx:
        _version, fresh, until = await service.rotate(tx, id_, 1, KEYS, now())
        assert until > now() + timedelta(hours=23)
    await shop.order()
    await shop.told()
    for secret in (former, fresh):
        Webhook(secret).verify(sink.sent[0].body, sink.sent[0].headers)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE webhook_endpoint SET former_until = now() - '1s'::interval")
    await shop.order()
    await shop.told()
    Webhook(fresh).verify(sink.sent[1].body, sink.sent[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(former).verify(sink.sent[1].body, sink.sent[1].headers)
    async with shop.database.transaction() as tx:
        stored = await tx.value("SELECT secret FROM webhook_endpoint")
        with pytest.raises(WebhookChanged):
            await service.rotate(tx, id_, 1, KEYS, now())
    assert rules.key_of(fresh) not in stored


async def test_what_fails_is_tried_again_under_the_same_id_and_its_attempts_are_written_down(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (500, {}, b'{"token": "abc123", "mail": "ana@loja.com.br"}')
    await shop.order()
    assert await shop.told() == 0
    (row,) = await shop.rows(id_)
    assert (row.state, row.attempts, row.status) == ("waiting", 1, 500)
    assert await shop.told() == 0 or row.next_at  # waits for its time
    sink.answer = lambda _sent: (200, {}, b"")
    await shop.later(id_)
    await shop.told()
    (row,) = await shop.rows(id_)
    assert row.state == "delivered"
    assert len(sink.times) == 1
    async with shop.database.transaction() as tx:
        attempts = await reads.attempts(tx, id_, row.position)
    assert attempts[0].status == 500
    assert attempts[-1].status == 200
    assert "abc123" not in attempts[0].answer
    assert "ana@" not in attempts[0].answer


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({}, b"<html>" + b"x" * (1 << 21)),
        ({"content-encoding": "br"}, b"\x1b\x00\xf8"),
        ({"content-encoding": "gzip"}, b"?"),
        ({"content-length": 50}, b"half"),
    ],
    ids=["a page of two megabytes", "packed", "packed badly", "half of an answer"],
)
async def test_an_answer_of_200_is_a_delivery_whatever_comes_with_it(shop, sink, more, body):
    """It used to be sent again for days, to a server that had taken it each time."""
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (200, more, body)
    await shop.order()
    assert await shop.told() == 1
    (row,) = await shop.rows(id_)
    assert (row.state, row.attempts, row.status) == ("delivered", 1, 200)
    sink.answer = lambda _sent: (410, more, body)
    await shop.order()
    await shop.told()
    assert (await shop.endpoint(id_)).state == "disabled"


async def test_a_delivery_is_given_up_after_the_whole_schedule_and_can_be_replayed(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (404, {}, b"")
    await shop.order()
    await shop.lined_up()
    for _ in range(rules.MOST_ATTEMPTS):
        await shop.later(id_)
        await shop.told()
    (row,) = await shop.rows(id_)
    assert (row.state, row.attempts) == ("failed", rules.MOST_ATTEMPTS)
    sink.answer = lambda _sent: (204, {}, b"")
    async with shop.database.transaction() as tx:
        assert await service.replay(tx, id_, Replay(failed=True)) == (1, None)
    assert await shop.told() == 1
    assert len(sink.times) == 1


async def test_retry_after_is_waited_for_by_the_whole_endpoint(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (429, {"retry-after": "3600"}, b"")
    await shop.order()
    await shop.told()
    (row,) = await shop.rows(id_)
    assert row.next_at > now() + timedelta(minutes=50)
    assert (await shop.endpoint(id_)).rest_until > now() + timedelta(minutes=50)
    sink.answer = lambda _sent: (200, {}, b"")
    await shop.order()
    assert await shop.told() == 0
    assert len(sink.sent) == 1


async def test_410_disables_a_webhook_and_what_it_missed_can_be_given_to_it(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (410, {}, b"")
    await shop.order()
    await shop.told()
    gone = await shop.endpoint(id_)
    assert (gone.state, gone.why) == ("disabled", "gone")
    await shop.order()
    await shop.order()
    assert await shop.told() == 0
    async with shop.database.transaction() as tx:
        assert [e.id for e in await reads.disabled(tx)] == [id_]
        _version, missed = await service.start(tx, id_, gone.version)
    assert missed == 2
    sink.answer = lambda _sent: (200, {}, b"")
    await shop.later(id_)
    await shop.told()
    assert len(sink.times) == 3


async def test_a_server_in_trouble_is_left_alone_then_asked_once_and_uses_up_nothing(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (503, {}, b"")
    for _ in range(30):
        await shop.order()
    await shop.told()
    resting = await shop.endpoint(id_)
    assert resting.open_until > now()
    before = len(sink.sent)
    assert await shop.told() == 0
    assert len(sink.sent) == before
    await shop.later(id_)
    await shop.told()
    assert len(sink.sent) == before + 1  # one, to see
    for _ in range(rules.MOST_ATTEMPTS):
        await shop.later(id_)
        await shop.told()
    assert not await shop.rows(id_, state="failed")
    sink.answer = lambda _sent: (200, {}, b"")
    for _ in range(3):
        await shop.later(id_)
        await shop.told()
    assert len(await shop.rows(id_, state="delivered")) == 30
    healthy = await shop.endpoint(id_)
    assert (healthy.failures, healthy.failing_since, healthy.open_until) == (0, None, None)


async def test_after_days_without_a_success_a_webhook_is_disabled(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (500, {}, b"")
    await shop.order()
    await shop.told()
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE webhook_endpoint SET failing_since = failing_since - '6 days'::interval")
    await shop.later(id_)
    await shop.told()
    disabled = await shop.endpoint(id_)
    assert (disabled.state, disabled.why) == ("disabled", "failing")


async def test_a_failure_of_long_ago_does_not_count_with_the_next_one(shop, sink):
    id_ = await shop.listens("order.*")
    sink.answer = lambda _sent: (400, {}, b"")
    await shop.order()
    await shop.told()
    async with shop.database.transaction() as tx:  # it was given up, and nothing happened for a week
        await tx.execute("UPDATE webhook_delivery SET state = 'failed', done_at = now() - '6 days'::interval")
        await tx.execute("UPDATE webhook_endpoint SET failing_since = failing_since - '7 days'::interval")
        await tx.execute("UPDATE webhook_attempt SET at = at - '6 days'::interval")
    sink.answer = lambda _sent: (500, {}, b"")
    await shop.order()
    await shop.told()
    trying = await shop.endpoint(id_)
    assert trying.state == "active"
    assert now() - trying.failing_since < timedelta(days=1)
    sink.answer = lambda _sent: (200, {}, b"")
    await shop.later(id_)
    assert await shop.told() == 1
    # From failure to failure without a pause it still counts, whoever writes them.
    sink.answer = lambda _sent: (500, {}, b"")
    for hours in range(0, 132, 24):
        await shop.order()
        await shop.later(id_)
        await shop.told()
        assert (await shop.endpoint(id_)).state == ("active" if hours < 120 else "disabled")
        async with shop.database.transaction() as tx:
            for column in ("webhook_endpoint SET failing_since = failing_since", "webhook_attempt SET at = at"):
                await tx.execute(f"UPDATE {column} - '24 hours 1 minute'::interval")


@pytest.mark.parametrize("status", [410, 500])
async def test_what_a_former_address_answers_says_nothing_of_the_new_one(shop, sink, status):
    id_ = await shop.listens("order.*")
    sink.answers = asyncio.Event()
    sink.answer = lambda _sent: (status, {}, b"")
    await shop.order()
    await shop.lined_up()
    under_way = asyncio.create_task(sending.send_due(shop.database, shop.out))
    while not sink.under_way:
        await asyncio.sleep(0)
    async with shop.database.transaction() as tx:
        version = (await service.seen(tx, id_)).version
        draft = EndpointDraft(name="ERP", url=f"{sink.url}/new", types=("order.*",))
        await service.change(tx, id_, draft, version)
    sink.answers.set()
    await under_way
    there = await shop.endpoint(id_)
    assert (there.state, there.failures, there.failing_since, there.error) == ("active", 0, None, None)
    sink.answer = lambda _sent: (200, {}, b"")
    await shop.later(id_)
    await shop.told()
    assert [row.state for row in await shop.rows(id_)] == ["delivered"]


async def test_ordered_later_events_of_an_order_wait_behind_one_that_fails_and_other_orders_do_not(shop, sink):
    id_ = await shop.listens("order.*", ordered=True)
    first, other = await shop.order(), await shop.order()
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, first, reason="x")
        await cancelling.cancel(tx, other, reason="x")
    refused = lambda sent: sent.json["subject"] == f"order:{first}" and sent.json["type"] == "order.placed"  # noqa: E731
    sink.answer = lambda sent: (400 if refused(sent) else 200, {}, b"")
    await shop.told()
    told = [(sent.json["subject"], sent.json["type"]) for sent in sink.sent]
    assert (f"order:{first}", "order.cancelled") not in told
    assert [t for s, t in told if s == f"order:{other}"] == ["order.placed", "order.cancelled"]
    sink.answer = lambda _sent: (200, {}, b"")
    await shop.later(id_)
    await shop.told()
    assert [t for s, t in ((x.json["subject"], x.json["type"]) for x in sink.sent) if s == f"order:{first}"][-2:] == [
        "order.placed",
        "order.cancelled",
    ]


async def test_unordered_they_do_not_wait(shop, sink):
    await shop.listens("order.*")
    first = await shop.order()
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, first, reason="x")
    sink.answer = lambda sent: (400 if sent.json["type"] == "order.placed" else 200, {}, b"")
    assert await shop.told() == 1


async def test_several_requests_are_under_way_over_connections_that_stay_and_no_more_than_the_bound(shop, sink):
    await shop.listens("order.*")
    for _ in range(60):
        await shop.order()
    sink.delay = 0.02
    assert await shop.told() == 60
    assert 1 < sink.most_under_way <= sending.CONCURRENCY
    assert sink.connections <= sending.CONCURRENCY


async def test_two_workers_at_once_lose_nothing_and_send_nothing_twice(shop, sink, database):
    await shop.listens("order.*", ordered=True)
    for _ in range(80):
        await shop.order()
    await shop.lined_up()
    other = sending.Sending(Outward(("127.0.0.1/32",)), lambda: KEYS)
    async with other.kept:
        for _ in range(20):
            await asyncio.gather(sending.send_due(database, shop.out), sending.send_due(database, other))
    assert len(sink.times) == 80
    assert set(sink.times.values()) == {1}


async def test_a_lease_that_ran_out_is_sent_again_under_its_id(shop, sink):
    id_ = await shop.listens("order.*")
    await shop.order()
    await shop.lined_up()
    async with shop.database.transaction() as tx:  # a worker took it and died
        await tx.execute("UPDATE webhook_delivery SET taken_until = now() + '60s'::interval")
    assert await shop.told() == 0
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE webhook_delivery SET taken_until = now() - '1s'::interval")
    assert await shop.told() == 1
    assert (await shop.rows(id_))[0].state == "delivered"


async def test_a_worker_that_is_killed_amid_sending_loses_nothing_and_repeats_only_what_was_under_way(
    shop, sink, database
):
    id_ = await shop.listens("order.*")
    for _ in range(150):
        await shop.order()
    await shop.lined_up()
    sink.delay = 0.01
    script = Path(__file__).with_name("webhook_worker.py")
    worker = await asyncio.create_subprocess_exec(sys.executable, str(script), database.url, env=doomed())
    while len(sink.times) < 60:
        assert worker.returncode is None
        await asyncio.sleep(0.005)
    worker.kill()
    await worker.wait()
    await gone(database)
    assert len(sink.times) < 150
    written = {row.position for row in await shop.rows(id_, state="delivered")}
    unwritten = len(sink.times) - len(written)
    async with database.transaction() as tx:  # the leases of the dead worker run out
        await tx.execute("UPDATE webhook_delivery SET taken_until = now() - '1s'::interval WHERE state = 'waiting'")
    await shop.told()
    assert len(await shop.rows(id_, state="delivered")) == 150
    assert len(sink.times) == 150
    twice = [id_ for id_, count in sink.times.items() if count > 1]
    assert len(twice) == unwritten <= sending.TAKE // 2 + sending.CONCURRENCY
    assert set(sink.times.values()) <= {1, 2}


async def test_a_stretch_of_time_is_replayed_from_the_log_also_where_no_delivery_is_left(shop, sink):
    since = now() - timedelta(minutes=1)
    await shop.order()
    await shop.lined_up()
    id_ = await shop.listens("order.*")
    assert await shop.told() == 0  # it happened before
    async with shop.database.transaction() as tx:
        assert await service.replay(tx, id_, Replay(since=since, types=("order.placed",))) == (1, None)
        assert await service.replay(tx, id_, Replay(since=now() + timedelta(hours=1))) == (0, None)
    assert await shop.told() == 1
    async with shop.database.transaction() as tx:
        assert await service.replay(tx, id_, Replay(since=since)) == (1, None)
    assert await shop.told() == 1
    assert list(sink.times.values()) == [2]
    (row,) = await shop.rows(id_)
    async with shop.database.transaction() as tx:
        await service.replay_one(tx, id_, row.position)
    assert await shop.told() == 1


async def test_pausing_and_starting_again_gives_exactly_what_was_missed(shop, sink):
    id_ = await shop.listens("order.*")
    await shop.order()
    await shop.told()
    async with shop.database.transaction() as tx:
        version = await service.pause(tx, id_, 1)
    for _ in range(3):
        await shop.order()
    assert await shop.told() == 0
    async with shop.database.transaction() as tx:
        assert (await service.start(tx, id_, version))[1] == 3
    await shop.told()
    assert sorted(sink.times.values()) == [1, 1, 1, 1]


async def test_what_is_old_is_forgotten_and_what_is_in_line_stays(shop, sink, database):
    id_ = await shop.listens("order.*")
    for _ in range(2):
        await shop.order()
    await shop.told()
    await shop.order()
    await shop.lined_up()
    async with database.transaction() as tx:
        await tx.execute("UPDATE webhook_delivery SET done_at = now() - '4 days'::interval WHERE state = 'delivered'")
    await sending.forget(database)
    assert [row.state for row in await shop.rows(id_)] == ["waiting"]


async def test_a_test_event_is_sent_at_once_and_verifies(shop, sink, database):
    id_ = await shop.listens("order.*")
    outcome = await sending.send_test(database, shop.out, await shop.endpoint(id_))
    assert outcome.delivered
    assert Webhook(shop.secret).verify(sink.sent[0].body, sink.sent[0].headers)["type"] == "webhook.test"
    assert await shop.rows(id_) == []


async def _a_day_of_failures(shop, sink, id_):
    """Leave three deliveries that wait for hours, and an address that is rested from."""
    sink.answer = lambda _sent: (503, {"retry-after": "40000"}, b"")
    for _ in range(3):
        await shop.order()
    await shop.told()
    async with shop.database.transaction() as tx:
        await tx.execute(
            "UPDATE webhook_delivery SET attempts = 9, next_at = now() + '9 hours'::interval WHERE state = 'waiting'"
        )
        await tx.execute(
            "UPDATE webhook_endpoint SET failures = 30, opened = 20, open_until = now() + '1 hour'::interval"
        )
    assert await shop.told() == 0
    assert {row.state for row in await shop.rows(id_)} == {"waiting"}
    sink.sent.clear()
    sink.answer = lambda _sent: (200, {}, b"")


async def test_a_test_that_arrives_after_failures_has_what_is_in_line_go_at_once(shop, sink, database):
    """The receiver was away for a day: what was tried first waits for up to a day more, and the breaker for an hour."""
    id_ = await shop.listens("order.*")
    await _a_day_of_failures(shop, sink, id_)
    sink.answer = lambda _sent: (500, {}, b"")
    await sending.send_test(database, shop.out, await shop.endpoint(id_))
    assert await shop.told() == 0  # it is not there yet: nothing is hurried
    sink.answer = lambda _sent: (200, {}, b"")
    sink.sent.clear()
    assert (await sending.send_test(database, shop.out, await shop.endpoint(id_))).delivered
    assert (await shop.endpoint(id_)).failing_since is None
    assert await shop.told() == 3
    assert sorted(sink.times.values()) == [1, 1, 1, 1]


async def test_a_webhook_that_is_started_again_is_told_at_once_what_waited(shop, sink, database):
    id_ = await shop.listens("order.*")
    await _a_day_of_failures(shop, sink, id_)
    async with database.transaction() as tx:
        version = await service.pause(tx, id_, 1)
    async with database.transaction() as tx:
        await service.start(tx, id_, version)
    assert await shop.told() == 3


def test_waits_are_drawn_between_nothing_and_the_schedule_and_asking_for_rest_wins():
    assert rules.wait_after(1, None, lambda _a, b: b) == rules.SCHEDULE_S[0]
    assert rules.wait_after(99, None, lambda _a, b: b) == rules.SCHEDULE_S[-1]
    assert rules.wait_after(1, 90.0, lambda a, _b: a) == 90.0
    assert sum(rules.SCHEDULE_S) > timedelta(days=3).total_seconds()


def test_a_log_keeps_no_secret_number_or_address_of_an_answer():
    said = rules.redacted(
        b'Authorization: Bearer abc.def token=xyz cpf 529.982.247-25 mail ana@loja.com.br {"apiKey": "s3cr3t"}'
    )
    for hidden in ("abc.def", "xyz", "529", "ana@", "s3cr3t"):
        assert hidden not in said


def test_every_public_event_of_the_program_is_in_the_catalogue_or_named_as_internal():
    from malha.api.reference import every_refusal

    every_refusal()  # imports everything

    def below(kind):
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    known = {
        kind.TYPE: kind
        for kind in below(outbox.Event)
        if "." in getattr(kind, "TYPE", "") and kind.__module__.startswith("malha.")
    }
    internal = {kind.TYPE for kind in catalogue.INTERNAL}
    assert known.keys() == set(catalogue.PUBLIC) | internal
    assert not internal & set(catalogue.PUBLIC)
