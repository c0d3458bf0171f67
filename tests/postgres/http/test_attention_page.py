"""The page of what needs attention: says what failed and why, leads to the order, and tries again."""

import re

from tests_http import Shop

from malha.console.attention import DOES
from malha.flows.order_to_cash import place_waiting
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.ordering.events import NoteAdded
from malha.platform import jobs, outbox
from malha.platform.db import Tx
from malha.platform.parking import retry_due
from malha.platform.subscribers import Recorded, Subscription, drain
from malha.testing import builders


async def test_a_record_that_waits_is_shown_with_its_cause_and_tried_again(shop: Shop) -> None:
    broken = True

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        if broken:
            raise ValueError("<b>no paint</b> left")

    subscription = Subscription(name="order_search", handler=handler, types=("order.note_added",))
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        order_id = await builders.an_order(tx, world)
        number, seq = (await tx.tuples("UPDATE sales_order SET seq = seq + 1 RETURNING number, seq"))[0]
        await outbox.add(tx, NoteAdded(id=order_id, seq=seq, note_id="n"))
    await drain(shop.database, [subscription], strict=False)

    owner = await shop.session()
    page = (await shop.http.get("/attention", headers=owner)).text
    assert f'href="/orders/{number}"' in page
    assert "&lt;b&gt;no paint&lt;/b&gt; left" in page
    assert "ValueError" in page
    form = dict(re.findall(r'name="(subscriber|key)" value="([^"]+)"', page))
    assert form == {"subscriber": "order_search", "key": f"order:{order_id}"}

    broken = False
    sent = await shop.http.post("/attention/replay", data=form, headers=owner)
    assert (sent.status_code, sent.headers["location"]) == (303, "/attention")
    assert await retry_due(shop.database, [subscription]) == 1
    assert "Nothing needs attention" in (await shop.http.get("/attention", headers=owner)).text


async def test_a_subscriber_that_fails_on_everything_is_told(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sequencer SET position = 12")
        await tx.execute(
            "INSERT INTO subscriber (name, failures, error) VALUES ('order_timeline', 3, 'OSError: disk full')"
        )
    owner = await shop.session()
    page = (await shop.http.get("/attention", headers=owner)).text
    assert "Timeline stands still since" in page
    assert "12 events wait." in page
    assert "OSError: disk full" in page


async def test_who_may_not_manage_sees_no_button_and_is_refused(shop: Shop) -> None:
    auditor = await shop.session(Role.AUDITOR)
    assert (await shop.http.get("/attention", headers=auditor)).status_code == 200
    refused = await shop.http.post("/attention/replay", data={"subscriber": "x", "key": "y"}, headers=auditor)
    assert refused.status_code == 403
    associate = await shop.session(Role.STORE_ASSOCIATE)
    assert (await shop.http.get("/attention", headers=associate)).status_code == 403


def test_every_subscriber_has_a_name_for_people() -> None:
    assert {s.name for s in SUBSCRIPTIONS} == DOES.keys()


async def parked(shop: Shop, *records: tuple[str, str, str, str]) -> None:
    """Park records: (subscriber, key, cause, error)."""
    async with shop.database.transaction() as tx:
        for subscriber, key, cause, error in records:
            await tx.execute(
                "INSERT INTO subscriber (name) VALUES (%(s)s::text) ON CONFLICT DO NOTHING", {"s": subscriber}
            )
            await tx.execute(
                "INSERT INTO parked_key (subscriber, key, state, cause, error, position) VALUES "
                "(%(s)s::text, %(k)s::text, 'parked', %(c)s::text, %(e)s::text, 1)",
                {"s": subscriber, "k": key, "c": cause, "e": error},
            )


async def test_records_that_failed_for_one_cause_are_one_entry_and_tried_again_together(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        orders = [await builders.an_order(tx, world) for _n in range(2)]
        total = await tx.value("SELECT sum(total - cancelled_total)::bigint FROM sales_order")
    keys = [f"order:{order_id}" for order_id in orders]
    await parked(
        shop,
        *(("order_payments", key, "OperationalError", "OperationalError: gone") for key in keys),
        ("order_search", keys[0], "ValueError", "ValueError: no"),
    )
    owner = await shop.session()
    page = (await shop.http.get("/attention?incident=order_payments%2FOperationalError", headers=owner)).text
    assert page.count('class="m-inc"') == 2
    assert "The database did not answer" in page
    assert f"R${total / 100:,.2f} in 2 orders" in page
    sent = {"subscriber": "order_payments", "key": keys}
    assert (await shop.http.post("/attention/replay", data=sent, headers=owner)).status_code == 303
    async with shop.database.transaction() as tx:
        states = dict(await tx.tuples("SELECT subscriber || key, state FROM parked_key"))
    assert [states[f"order_payments{key}"] for key in keys] == ["retrying", "retrying"]
    assert states[f"order_search{keys[0]}"] == "parked"
    waiting = (await shop.http.get("/attention?view=parked", headers=owner)).text
    assert waiting.count('class="m-inc"') == 1


async def test_a_refusal_is_told_in_the_readers_language_with_its_own_remedy(shop: Shop) -> None:
    await parked(shop, ("order_places", "balance:7-1", "unknown_location", "There is no location SAO-99."))
    owner = await shop.session()
    portuguese = owner | {"cookie": f"{owner['cookie']}; malha_language=pt-BR"}
    page = (await shop.http.get("/attention", headers=portuguese)).text
    assert "Não existe o local SAO-99." in page
    assert "Confira o código na lista de locais." in page


async def test_a_background_job_that_failed_for_good_is_shown_and_runs_once_more(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await jobs.defer(tx, place_waiting, order_id="x")
        await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'failed', attempts = 5")
        number = await tx.value("SELECT id FROM malha_jobs.procrastinate_jobs")
    owner = await shop.session()
    page = (await shop.http.get("/attention", headers=owner)).text
    assert "Background job failed for good" in page
    sent = {"subscriber": "jobs", "key": str(number)}
    assert (await shop.http.post("/attention/replay", data=sent, headers=owner)).status_code == 303
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT status::text FROM malha_jobs.procrastinate_jobs") == "todo"
    assert (await shop.http.post("/attention/replay", data=sent, headers=owner)).status_code == 404
