"""The page of what needs attention: says what failed and why, leads to the order, and tries again."""

import re

from tests_http import Shop

from malha.console.attention import DOES
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.ordering.events import NoteAdded
from malha.platform import outbox
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
