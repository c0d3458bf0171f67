"""Who looks after what failed: taking it, handing it on, putting it off, notes; and entries of the trail to follow up."""

import html
import re

from tests_http import Shop

from malha.identity.model import Role
from malha.ordering.events import NoteAdded
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.subscribers import Recorded, Subscription, drain
from malha.testing import builders


async def broken(tx: Tx, events: list[Recorded]) -> None:
    raise ValueError("no paint left")


async def three_failures(shop: Shop) -> list[str]:
    """Three orders whose event could not be handled; their keys."""
    keys = []
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        for _ in range(3):
            order_id = await builders.an_order(tx, world)
            seq = await tx.value(
                "UPDATE sales_order SET seq = seq + 1 WHERE id = %(id)s::uuid RETURNING seq", {"id": order_id}
            )
            await outbox.add(tx, NoteAdded(id=order_id, seq=seq, note_id="n"))
            keys.append(f"order:{order_id}")
    subscription = Subscription(name="order_search", handler=broken, types=("order.note_added",))
    await drain(shop.database, [subscription], strict=False)
    return keys


def counts(page: str) -> dict[str, int]:
    return {
        word: int(n) for word, n in re.findall(r'class="m-view"[^>]*>([^<]+?) <span>(\d+)</span>', html.unescape(page))
    }


async def test_records_are_taken_handed_on_and_put_off(shop: Shop) -> None:
    keys = await three_failures(shop)
    owner = await shop.session()
    page = (await shop.http.get("/attention", headers=owner)).text
    assert counts(page) == {"Open": 1, "Mine": 0, "Waits for you": 0, "Tried again by itself": 1, "Put off": 0}
    me = re.search(r'<option value="([0-9a-f-]{36})">Me</option>', page)
    assert me
    every = {"subscriber": "order_search", "key": keys}
    sent = await shop.http.post("/attention/care", data=every | {"assignee": me[1], "pick": keys[:2]}, headers=owner)
    assert sent.status_code == 303
    mine = (await shop.http.get("/attention?view=mine", headers=owner)).text
    assert counts(mine)["Mine"] == 1
    assert len(re.findall(r'name="pick" value="order:', mine)) == 2  # of the three, those that were ticked
    told = {"snooze": "hour", "note": "Waiting for the supplier of paint"}
    assert (await shop.http.post("/attention/care", data=every | told, headers=owner)).status_code == 303
    page = (await shop.http.get("/attention", headers=owner)).text
    assert counts(page) == {"Open": 0, "Mine": 1, "Waits for you": 0, "Tried again by itself": 0, "Put off": 1}
    put_off = (await shop.http.get("/attention?view=snoozed", headers=owner)).text
    assert put_off.count("Waiting for the supplier of paint") == 1  # once, although of three records
    assert "put off until" in put_off
    assert (await shop.http.post("/attention/care", data=every | {"snooze": "end", "assignee": "none"}, headers=owner)).status_code == 303  # fmt: skip
    assert counts((await shop.http.get("/attention", headers=owner)).text)["Open"] == 1
    async with shop.database.transaction() as tx:
        audited = await tx.tuples("SELECT entity_id, after FROM audit WHERE action = 'take_care' ORDER BY id")
        assert await tx.value("SELECT count(*) FROM care WHERE assignee IS NOT NULL") == 0
    assert len(audited) == 2 + 3 + 3
    assert audited[0][1] == {"assignee": me[1]}


async def test_what_is_not_there_or_says_nothing_is_refused(shop: Shop) -> None:
    keys = await three_failures(shop)
    owner = await shop.session()
    form = {"subscriber": "order_search", "key": keys[:1]}
    for wrong, status in (
        ({}, 422),
        ({"assignee": "somebody"}, 422),
        ({"assignee": "01a20aaa-3a0a-7699-914b-ef55839f91c1"}, 404),
        ({"note": "x", "key": ["order:01a20aaa-3a0a-7699-914b-ef55839f91c1"]}, 404),
    ):
        assert (await shop.http.post("/attention/care", data=form | wrong, headers=owner)).status_code == status, wrong


async def test_a_record_that_fails_again_later_is_nobodys(shop: Shop) -> None:
    keys = await three_failures(shop)
    owner = await shop.session()
    sent = {"subscriber": "order_search", "key": keys, "snooze": "week"}
    assert (await shop.http.post("/attention/care", data=sent, headers=owner)).status_code == 303
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE care SET at = now() - interval '2 days'")
    assert counts((await shop.http.get("/attention", headers=owner)).text)["Open"] == 1


async def test_an_entry_of_the_trail_is_followed_up(shop: Shop) -> None:
    owner = await shop.session()
    async with shop.database.transaction() as tx:
        entry = await tx.value("SELECT max(id) FROM audit")
    page = (await shop.http.get(f"/audit/{entry}", headers=owner)).text
    me = re.search(r'<option value="([0-9a-f-]{36})">Me</option>', page)
    assert me
    form = {"assignee": me[1], "note": "Ask why at night"}
    sent = await shop.http.post(f"/audit/{entry}/care", data=form, headers=owner)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/audit/{entry}")
    assert "Ask why at night" in (await shop.http.get(f"/audit/{entry}/peek", headers=owner)).text
    mine = (await shop.http.get("/audit?care=mine", headers=owner)).text
    assert len(set(re.findall(r"/audit/(\d+)/peek", mine))) == 1
    auditor = await shop.session(Role.AUDITOR)
    assert not re.findall(r"/audit/(\d+)/peek", (await shop.http.get("/audit?care=mine", headers=auditor)).text)
    assert re.findall(r"/audit/(\d+)/peek", (await shop.http.get("/audit?care=any", headers=auditor)).text)
