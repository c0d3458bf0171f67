"""From an order to its delivery, told over HTTP. Read it to learn how Malha is used."""

from malha.testing.builders import ADDRESS, an_access_key

MARIA = {"name": "Maria da Silva", "document": "529.982.247-25", "email": "maria@example.com"}


def an_order(*lines, channel="web", external_id="W-1", **more):
    """The body of an order: lines are (SKU, quantity, unit price in centavos)."""
    return {
        "channel": channel,
        "external_id": external_id,
        "customer": MARIA,
        "ship_to": ADDRESS,
        "lines": [{"sku": sku, "quantity": quantity, "unit_price": price} for sku, quantity, price in lines],
        **more,
    }


async def only_work(story, order_id):
    """The one piece of work of the order that is not over."""
    view = await story.get(f"/orders/{order_id}")
    [work] = [w["id"] for w in view["fulfillments"] if w["state"] not in {"rejected", "closed", "cancelled"}]
    return work


async def status(story, order_id):
    return (await story.get(f"/orders/{order_id}"))["order"]["status"]


async def test_an_order_is_placed_paid_released_picked_packed_invoiced_shipped_and_delivered(story):
    shirt = await story.product("SHIRT", DC=10)
    placed = await story.post(
        "/orders", an_order(("SHIRT", 2, 5_990), shipping=1_500, payments=[{"kind": "pix", "amount": 13_480}])
    )
    order = placed["id"]
    assert placed["holds"] == ["payment"]
    assert await status(story, order) == "awaiting_payment"
    assert await story.refused(f"/orders/{order}/release") == "release_held"

    fact = {"position": 1, "kind": "captured", "amount": 13_480, "reference": "E2E-77"}
    assert (await story.post(f"/orders/{order}/payments", fact))["state"] == "paid"
    assert (await story.post(f"/orders/{order}/payments", fact))["repeated"]
    await story.time_passes()
    await story.time_passes()
    assert await status(story, order) == "picking"

    work = await only_work(story, order)
    assert [w["id"] for w in await story.get("/fulfillments?location=DC")] == [work]
    await story.post(f"/fulfillments/{work}/accept")
    assert await story.refused(f"/fulfillments/{work}/pack", {}) == "not_picked"
    picked = await story.post(f"/fulfillments/{work}/pick", {"picked": [{"line": 1, "quantity": 2}]})
    assert picked["work"]["state"] == "picked"
    packed = await story.post(f"/fulfillments/{work}/pack", {"parcels": [{"weight_grams": 640}]})
    [parcel] = packed["shipments"]

    assert await story.refused(f"/fulfillments/{work}/ship", {}) == "document_required"
    wrong = {"access_key": an_access_key(story.world), "lines": [{"line": 1, "sku": "SHIRT", "quantity": 1}]}
    assert await story.refused(f"/fulfillments/{work}/document", wrong) == "document_differs"
    document = await story.post(
        f"/fulfillments/{work}/document", {"access_key": an_access_key(story.world), "provider": "erp"}
    )
    assert (document["number"], document["total"]) == (1, 11_980)
    assert await status(story, order) == "invoiced"

    await story.post(f"/fulfillments/{work}/ship", {"parcels": [{"tracking_code": "BR000000001BR"}]})
    assert await story.stock(shirt, "DC") == (8, 0)
    assert await status(story, order) == "shipped"
    await story.post(f"/shipments/{parcel}/deliver", {"received_by": "Porteiro"})
    await story.time_passes()
    view = await story.get(f"/orders/{order}")
    assert view["order"]["status"] == "delivered"
    assert view["payment"]["state"] == "paid"
    assert [d["access_key"] for d in view["documents"]] == [document["access_key"]]
    assert [s["tracking_code"] for s in view["shipments"]] == ["BR000000001BR"]

    told = [row["type"] for row in reversed(await story.get(f"/orders/{order}/timeline"))]
    assert told == [
        "order.placed", "payment.captured", "order.hold_resolved", "fulfillment.released", "fulfillment.accepted",
        "fulfillment.picked", "fulfillment.packed", "fiscal.document_recorded", "fulfillment.shipped",
        "shipment.delivered",
    ]  # fmt: skip


async def test_an_order_is_collected_at_the_store_with_a_code(story):
    mug = await story.product("MUG", S1=3)
    body = an_order(("MUG", 1, 3_000), channel="till", method="pickup", pickup_location="S1")
    del body["ship_to"]
    order = (await story.post("/orders", body))["id"]
    await story.time_passes()
    work = await only_work(story, order)
    await story.post(f"/fulfillments/{work}/pick", {})  # picking accepts what was not accepted yet
    await story.post(f"/fulfillments/{work}/pack", {})
    key = an_access_key(story.world, model="65")
    await story.post(f"/fulfillments/{work}/document", {"access_key": key})
    ready = await story.post(f"/fulfillments/{work}/ready")
    assert "code" not in str(ready)
    assert await status(story, order) == "ready"
    code = (await story.get(f"/fulfillments/{work}/pickup-code"))["code"]
    wrong = {"code": f"{(int(code) + 1) % 10**6:06d}", "received_by": "Ana"}
    for _ in range(5):
        assert await story.refused(f"/fulfillments/{work}/hand-over", wrong) == "wrong_pickup_code"
    right = {"code": code, "received_by": "Ana, sister"}
    assert await story.refused(f"/fulfillments/{work}/hand-over", right) == "pickup_code_locked"
    await story.post(f"/fulfillments/{work}/renew-code")
    right["code"] = (await story.get(f"/fulfillments/{work}/pickup-code"))["code"]
    await story.post(f"/fulfillments/{work}/hand-over", right)
    assert await status(story, order) == "delivered"
    assert await story.stock(mug, "S1") == (2, 0)
    await story.time_passes()


async def test_what_one_location_cannot_deliver_another_one_does(story):
    lamp = await story.product("LAMP", DC=4, S1=2, S2=5)
    body = an_order(("LAMP", 3, 9_900), channel="mall")
    order = (await story.post("/orders", body))["id"]
    await story.time_passes()
    first = await only_work(story, order)
    rejected = await story.post(f"/fulfillments/{first}/reject", {"reason": "not_in_stock", "note": "shelf empty"})
    assert (rejected["work"]["state"], rejected["placed_elsewhere"], rejected["waiting"]) == ("rejected", 3, 0)
    assert await story.stock(lamp, "DC") == (0, 0)
    await story.time_passes()
    second = await only_work(story, order)
    assert (await story.get(f"/fulfillments/{second}"))["location"] == "S2"

    short = {"picked": [{"line": 1, "quantity": 1}], "short": [{"line": 1, "quantity": 2, "reason": "damaged"}]}
    picked = await story.post(f"/fulfillments/{second}/pick", short)
    assert (picked["given_back"], picked["placed_elsewhere"]) == (2, 2)
    assert await story.stock(lamp, "S2") == (3, 1)
    await story.time_passes()
    work = [w for w in (await story.get(f"/orders/{order}"))["fulfillments"] if w["state"] == "open"]
    assert [w["location"] for w in work] == ["S1"]

    given_up = await story.post(f"/fulfillments/{work[0]['id']}/reject", {"reason": "store_closed"})
    assert given_up["waiting"] == 2
    assert await status(story, order) == "on_hold"
    # Nobody else has it: the customer takes the one that was found.
    cancelled = await story.post(
        f"/orders/{order}/cancel", {"reason": "not available", "lines": [{"line": 1, "quantity": 2}]}
    )
    assert cancelled["amount"] == 19_800
    await story.time_passes()
    view = await story.get(f"/orders/{order}")
    assert view["order"]["status"] == "picking"
    assert [h["kind"] for h in view["holds"] if h["resolved_at"] is None] == []


async def test_a_cancel_gives_everything_back_and_says_what_to_refund(story):
    book = await story.product("BOOK", DC=5)
    body = an_order(
        ("BOOK", 3, 1_000),
        discount=100,
        shipping=500,
        payments=[{"kind": "credit_card", "amount": 3_400, "state": "captured", "reference": "C1"}],
    )
    placed = await story.post("/orders", body)
    order = placed["id"]
    await story.time_passes()
    work = await only_work(story, order)
    part = await story.post(f"/orders/{order}/cancel", {"reason": "one less", "lines": [{"line": 1, "quantity": 1}]})
    assert (part["amount"], part["refund_due"], part["lines"]) == (966, 966, [{"line": 1, "quantity": 1}])
    assert await story.stock(book, "DC") == (5, 2)
    await story.post(f"/fulfillments/{work}/pick", {})
    await story.post(f"/fulfillments/{work}/pack", {})
    document = await story.post(f"/fulfillments/{work}/document", {"access_key": an_access_key(story.world)})
    assert await story.refused(f"/orders/{order}/cancel", {"reason": "all"}) == "document_stands"
    await story.post(f"/documents/{document['id']}/cancel", {"reason": "customer gave up"})
    whole = await story.post(f"/orders/{order}/cancel", {"reason": "all"})
    assert (whole["order"]["status"], whole["amount"], whole["refund_due"]) == ("cancelled", 2_434, 3_400)
    assert await story.refused(f"/orders/{order}/cancel", {"reason": "again"}) == "nothing_to_cancel"
    too_much = {"position": 1, "kind": "refunded", "amount": 3_401, "reference": "R1"}
    assert await story.refused(f"/orders/{order}/payments", too_much) == "refunded_too_much"
    standing = await story.post(f"/orders/{order}/payments", {**too_much, "amount": 3_400})
    assert (standing["state"], standing["refund_due"]) == ("refunded", 0)
    await story.time_passes()
    assert await story.stock(book, "DC") == (5, 0)
    assert (await story.get(f"/fulfillments/{work}"))["state"] == "cancelled"


async def test_an_order_nobody_understands_yet_is_held_repaired_and_goes_on(story):
    await story.product("CHAIR", DC=2)
    body = an_order(("CHAIR-OLD-CODE", 1, 20_000), channel="mall")
    placed = await story.post("/orders", body)
    order = placed["id"]
    assert placed["holds"] == ["unknown_sku"]
    assert (
        await story.refused(f"/orders/{order}/holds/unknown_sku/resolve", {"resolution": "let it go"})
        == "hold_automatic"
    )
    assert await story.refused(f"/orders/{order}/lines/1/map", {"sku": "TABLE"}) == "sku_not_known"
    mapped = await story.post(f"/orders/{order}/lines/1/map", {"sku": "CHAIR"})
    assert (mapped["waiting"], mapped["order"]["status"]) == (0, "allocated")
    await story.post(f"/orders/{order}/holds", {"kind": "fraud", "note": "new customer"})
    await story.time_passes()
    assert await status(story, order) == "on_hold"
    new = {**ADDRESS, "postal_code": "20040-002", "city": "Rio de Janeiro", "state": "RJ"}
    stale = await story.ask("PUT", f"/orders/{order}/address", new, headers={"if-match": '"1"'})
    assert stale.status_code == 412
    await story.put(f"/orders/{order}/address", new)
    assert await story.refused(f"/orders/{order}/address", {**new, "state": "XX"}, method="PUT") == "invalid"
    await story.post(f"/orders/{order}/notes", {"text": "Customer called, all is well."})
    await story.post(f"/orders/{order}/holds/fraud/resolve", {"resolution": "called"})
    await story.time_passes()
    assert await status(story, order) == "picking"
    assert await story.refused(f"/orders/{order}/address", new, method="PUT") == "work_began"
    [found] = (await story.get("/orders?search=CHAIR-OLD"))["items"]
    assert found["id"] == order
    assert (await story.get("/orders?channel=web"))["items"] == []


async def test_a_repeated_cancel_with_the_same_key_is_answered_once(story):
    await story.product("PEN", DC=9)
    order = (await story.post("/orders", an_order(("PEN", 4, 100), channel="mall")))["id"]
    body = {"reason": "one less", "lines": [{"line": 1, "quantity": 1}]}
    answers = [
        await story.ask("POST", f"/orders/{order}/cancel", body, headers={"idempotency-key": "abc-1"}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    units = (await story.get(f"/orders/{order}"))["units"]
    assert sorted((u["state"], u["quantity"]) for u in units) == [("allocated", 3), ("cancelled", 1)]


async def test_a_store_sees_and_touches_its_own_work_only_and_every_act_has_a_name(story):
    await story.product("CUP", DC=5, S1=5)
    far = (await story.post("/orders", an_order(("CUP", 1, 900), channel="mall")))["id"]
    near_body = an_order(("CUP", 1, 900), channel="mall", external_id="W-2", method="pickup", pickup_location="S1")
    del near_body["ship_to"]
    near = (await story.post("/orders", near_body))["id"]
    await story.time_passes()
    elsewhere, here = await only_work(story, far), await only_work(story, near)

    associate = await story.person("store_associate", ["S1"])
    assert [row["order_number"] for row in (await associate.ask("GET", "/fulfillments")).json()] == [2]
    assert [o["id"] for o in (await associate.ask("GET", "/orders")).json()["items"]] == [near]
    for path in (f"/orders/{far}", f"/orders/{far}/timeline", f"/fulfillments/{elsewhere}"):
        assert (await associate.ask("GET", path)).status_code == 404, path
    assert (await associate.ask("GET", "/fulfillments?location=DC")).status_code == 404
    assert (await associate.ask("POST", f"/fulfillments/{elsewhere}/accept")).status_code == 404
    assert (await associate.ask("POST", f"/fulfillments/{here}/accept")).status_code == 200
    assert (await associate.ask("GET", f"/fulfillments/{here}/pickup-code")).status_code == 403
    assert (await associate.ask("POST", f"/orders/{near}/cancel", {"reason": "x"})).status_code == 403
    masked = (await associate.ask("GET", f"/orders/{near}")).json()["order"]
    assert masked["buyer_document"] == "•••.982.247-••"

    async with story.database.transaction() as tx:
        acts = await tx.tuples("SELECT action, actor_name FROM audit WHERE entity = 'order' ORDER BY id")
    assert ("fulfillment.accepted", "Store Associate") in acts


async def test_only_those_who_may_override_a_hold_lift_what_its_cause_would_lift(story):
    await story.product("CAP", DC=5)
    body = an_order(("CAP", 1, 900), payments=[{"kind": "boleto", "amount": 900}])
    order = (await story.post("/orders", body))["id"]
    path, wish = f"/orders/{order}/holds/payment/resolve", {"resolution": "paid at the shop", "override": True}
    service = await story.person("customer_service")
    assert (await service.ask("POST", path, wish)).json()["code"] == "hold_automatic"
    manager = await story.person("manager")
    assert (await manager.ask("POST", path, {"override": True})).json()["code"] == "invalid"
    assert (await manager.ask("POST", path, wish)).json()["status"] == "allocated"
    assert (await manager.ask("POST", path, wish)).json()["code"] == "hold_not_open"
