"""A customer always hears of a cancelled or late order, by whatever way it came to that.

The ways are read from the program, not from a list somebody keeps: a new event, a new caller of a cancel or a new place
where units lose their location fails a test here until it is decided what the customer is told, and walked.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path

import pytest
from ahead_world import Shop as SoldAhead
from tests_http import Shop, open_shop

import malha
from malha.capacity import service as slot_service
from malha.capacity.model import Kind as SlotKind
from malha.capacity.model import Template
from malha.channels.connecting import reversing
from malha.channels.contract import ExtLine, ExtOrder, ExtState
from malha.flows import order_to_cash, telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import asking, bringing, dropping, pickups, shortfalls, slipping
from malha.fulfillment import service as fulfillment
from malha.fulfillment.bringing import Sending
from malha.fulfillment.model import RejectReason, Short
from malha.intake import replanning, ruled
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import service as supply
from malha.inventory.transfers.model import Arrival, Arrived
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import OfferDraft
from malha.network import reads as network
from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.notifications import reads
from malha.notifications.model import KINDS, Kind
from malha.ordering import edits, lateness, slots
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.events import OrderEvent
from malha.ordering.model import Address, HoldKind, PromiseReason, UnitState
from malha.payments import deadlines
from malha.platform import revisions
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.routing.ruling import service as rule_sets
from malha.routing.ruling.model import Content, Rule, Run, Unfilled, When, Where
from malha.testing.builders import Sold, World, a_network, a_product, an_order, in_days

pytestmark = pytest.mark.usefixtures("mail_set_up")

SOURCE = Path(malha.__file__).parent
# Not a running shop: imports of a past whose customers know how it ended, and invented customers.
NOT_A_SHOP = {"history", "demo", "bench"}
ASKED = (".Move", "ensure_holds")  # calls whose arguments are looked at
NOTHING = ast.Call(ast.Name("nothing"), [], [])
LOSSES = {Kind.CANCELLED, Kind.CANCELLED_IN_PART, Kind.LATE, Kind.REPROMISED, Kind.ON_HOLD, Kind.REPLACED}


# --- the ways, as the program has them ---


@cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call in a running shop: (where it is, what is called by its full name, the call).

    Read once, for that takes seconds; the arguments only of those that are asked about them, for all take much room.
    """
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        if module.split(".")[0] in NOT_A_SHOP:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        name = full_name(node.func, names)
                        call = node if name.endswith(ASKED) else NOTHING
                        found.append((f"{module}.{function.name}", name, call))
    return found


def full_name(function: ast.expr, names: dict[str, str]) -> str:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{names.get(function.value.id, function.value.id)}.{function.attr}"
    return names.get(function.id, function.id) if isinstance(function, ast.Name) else ""


def says(call: ast.Call, state: UnitState) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr == state.name for a in call.args for n in ast.walk(a))


def callers_of(*targets: str) -> set[str]:
    return {where for where, name, _ in calls() if name in targets}


def events() -> Iterator[type[OrderEvent]]:
    for module in pkgutil.walk_packages(malha.__path__, "malha."):
        if module.name.endswith("events"):
            importlib.import_module(module.name)
    waiting = [OrderEvent]
    while waiting:
        event = waiting.pop()
        waiting += event.__subclasses__()
        if "." in event.TYPE:
            yield event


def test_of_every_event_of_an_order_it_is_decided_what_the_customer_hears() -> None:
    known = {event.TYPE for event in events()}
    assert len(known) > 25
    assert known == telling.TELLS.keys() | telling.SILENT.keys()
    assert not telling.TELLS.keys() & telling.SILENT.keys()
    assert all(telling.SILENT.values())


def test_units_are_cancelled_in_one_place_which_says_so() -> None:
    assert callers_of("malha.ordering.events.OrderCancelled") == {"ordering.cancelling._cancel_rows"}
    rows = {where for where, name, _ in calls() if where.startswith("ordering.cancelling.") and name == "_cancel_rows"}
    assert rows == {"ordering.cancelling.cancel", "ordering.cancelling.cancel_units"}
    made = {where for where, name, call in calls() if name.endswith(".Move") and says(call, UnitState.CANCELLED)}
    assert made == {
        "ordering.rules._take_rows",
        "fulfillment.pickups._give_back",
        "intake.ruled.cancel_due",
        "payments.deadlines.end_lapsed",
        "ordering.replacing._retire",  # for what stands in, which is told
    }
    assert callers_of("malha.ordering.events.LineReplaced") == {"ordering.replacing.replace_units"}
    assert callers_of("malha.ordering.replacing.replace_units") == {"intake.substituting.replace"}
    planned = callers_of("malha.ordering.rules.plan_cancel")
    # The one that is left out only shows what would be.
    assert planned - {"console.actions.effect_of"} == {"ordering.cancelling.cancel"}
    # Nor does a statement do it behind the service's back.
    for path in SOURCE.rglob("*writes.py"):
        for statement in re.findall(r'"""(.*?)"""', path.read_text("utf-8"), re.DOTALL):
            if "UPDATE order_unit" in statement:
                assert "'cancelled'" not in statement.partition("WHERE")[0], path


def test_every_way_to_cancel_or_to_lose_a_place_is_walked_below() -> None:
    services = ("malha.ordering.cancelling", "malha.fulfillment.service")
    cancels = callers_of(*(f"{s}.cancel" for s in services), "malha.ordering.cancelling.cancel_units")
    back = {where for where, name, call in calls() if name.endswith(".Move") and says(call, UnitState.UNPLACED)}
    moved_back = callers_of("malha.fulfillment.giving_back.find_another_place", "malha.intake.replanning.replan")
    held = {w for w, name, call in calls() if name.endswith("ensure_holds") and "SHORTAGE" in ast.unparse(call)}
    late = callers_of("malha.ordering.events.OrderLate", "malha.ordering.promises.repromise")
    assert callers_of("malha.ordering.events.OrderRepromised") == {"ordering.promises.repromise"}
    # An unpaid order without stock is no loss yet: it is paid and placed again, or cancelled, which is walked. What a
    # wave moves has its next place, and no later day, in the same transaction (tests/postgres/test_order_waves.py).
    assert back == {
        "fulfillment.bringing._arrived",
        "fulfillment.giving_back.moves_of",
        "intake.moving._write",
        "intake.replanning.replan",
        "payments.deadlines.lapse_due",
    }
    replaced = callers_of("malha.intake.substituting.replace")
    walked = {way for ways, _, _ in WAYS.values() for way in ways}
    assert cancels | moved_back | held | late | replaced == walked


# --- and walked ---


async def api_cancel(shop: Shop, world: World, order_id: UUID) -> None:
    key = await shop.key({"orders:cancel", "orders:read"})
    sent = await shop.http.post(f"/v1/orders/{order_id}/cancel", json={"reason": "x"}, headers=key)
    assert sent.status_code == 200, sent.text


async def api_cancel_one(shop: Shop, world: World, order_id: UUID) -> None:
    key = await shop.key({"orders:cancel", "orders:read"})
    body = {"reason": "x", "lines": [{"line": 1, "quantity": 1}]}
    sent = await shop.http.post(f"/v1/orders/{order_id}/cancel", json=body, headers=key)
    assert sent.status_code == 200, sent.text


async def number_of(shop: Shop, order_id: UUID) -> int:
    async with shop.database.transaction() as tx:
        return (await ordering.lock_order(tx, order_id)).number


async def page_cancel(shop: Shop, world: World, order_id: UUID) -> None:
    form = {"q1": "2", "reason": "x"}
    sent = await shop.http.post(
        f"/orders/{await number_of(shop, order_id)}/cancel", data=form, headers=await shop.session()
    )
    assert sent.status_code in {200, 303}, sent.text


async def list_cancel(shop: Shop, world: World, order_id: UUID) -> None:
    form = {"act": "cancel", "order": str(await number_of(shop, order_id)), "why": "x"}
    sent = await shop.http.post("/orders/bulk", data=form, headers=await shop.session())
    assert sent.status_code in {200, 303}, sent.text


async def released(shop: Shop, order_id: UUID) -> UUID:
    async with shop.database.transaction() as tx:
        await fulfillment.release_order(tx, order_id)
        return await tx.value("SELECT id FROM fulfillment_order WHERE order_id = %s", (order_id,))


async def rejection(shop: Shop, world: World, order_id: UUID) -> None:
    work = await released(shop, order_id)
    async with shop.database.transaction() as tx:
        await fulfillment.reject(tx, work, RejectReason.STORE_CLOSED)


async def location_closes(shop: Shop, world: World, order_id: UUID) -> None:
    """It closes for good before the order is released, and nobody else has the goods."""
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE location SET status = 'closed'")
        await tx.execute("UPDATE sales_order SET release_after = now()")
        await revisions.bump(tx, network.REVISION)
    assert await order_to_cash.leave_shut(shop.database) == 1


async def short_pick(shop: Shop, world: World, order_id: UUID) -> None:
    work = await released(shop, order_id)
    async with shop.database.transaction() as tx:
        await fulfillment.accept(tx, work)
        await fulfillment.confirm_pick(tx, work, short=[Short(1, 1, RejectReason.NOT_IN_STOCK)])


async def _with_substitute(shop: Shop, world: World, order_id: UUID) -> None:
    async with shop.database.transaction() as tx:
        other = await a_product(tx, world, "B", stock={"DC": 2})
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position)"
            " SELECT id, %(other)s::int, 0 FROM variant WHERE sku = 'A'",
            {"other": other},
        )
    await rejection(shop, world, order_id)


async def api_replace(shop: Shop, world: World, order_id: UUID) -> None:
    await _with_substitute(shop, world, order_id)
    key = await shop.key({"orders:write", "orders:read"}) | {"Idempotency-Key": "replace-1"}
    (choice,) = (await shop.http.get(f"/v1/orders/{order_id}/substitutes", headers=key)).json()
    assert [(one["sku"], one["available"]) for one in choice["substitutes"]] == [("B", 2)]
    body = {"sku": choice["substitutes"][0]["sku"]}
    said = [await shop.http.post(f"/v1/orders/{order_id}/lines/1/replace", json=body, headers=key) for _ in range(2)]
    assert [s.status_code for s in said] == [200, 200], said[0].text
    assert said[0].json() == said[1].json()
    assert said[0].json()["replaced"] == {"by_line": 2, "sku": "B", "quantity": 2, "amount": 0}
    again = await shop.http.post(
        f"/v1/orders/{order_id}/lines/1/replace", json=body, headers=key | {"Idempotency-Key": "replace-2"}
    )
    assert (again.status_code, again.json()["code"]) == (409, "nothing_waits")


async def page_replace(shop: Shop, world: World, order_id: UUID) -> None:
    await _with_substitute(shop, world, order_id)
    number = await number_of(shop, order_id)
    session = await shop.session()
    page = (await shop.http.get(f"/orders/{number}", headers=session)).text
    assert 'action="/orders/' + str(number) + '/replace"' in page
    form = {"line": "1", "sku": "B", "quantity": "2"}
    assert (
        await shop.http.post(f"/orders/{number}/replace", data=form | {"sku": ""}, headers=session)
    ).status_code == 422
    sent = await shop.http.post(f"/orders/{number}/replace", data=form, headers=session)
    assert sent.status_code in {200, 303}, sent.text
    page = (await shop.http.get(f"/orders/{number}", headers=session)).text
    assert f'action="/orders/{number}/replace"' not in page


async def missing_on_arrival(shop: Shop, world: World, order_id: UUID) -> None:
    """It is fetched at a store, is brought there, and one of two is not in the van; nobody else has any."""
    async with shop.database.transaction() as tx:
        place = world.locations["S1"]
        await tx.execute("UPDATE sales_order SET method = 'pickup', pickup_location_id = %s", (place,))
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
        await store_lanes.state(tx, "S1", [StoreLaneDraft(origin="DC", days=1, price=500)])
    work = await released(shop, order_id)
    async with shop.database.transaction() as tx:
        await fulfillment.confirm_pick(tx, work)
        number = await bringing.send(tx, work, Sending(carrier="Van"))
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'A'")
        await bringing.receive(tx, number, Arrival(id=new_id(), lines=[Arrived(sku, 1)], complete=True))


async def vendor_refuses(shop: Shop, world: World, order_id: UUID) -> None:
    """A rule has a vendor asked for it; the vendor does not send, and what the shop had is gone meanwhile."""
    rule = Rule(name="Loja", where=Where(locations=["S2"]), unfilled=Unfilled.DROP_SHIP)
    async with shop.database.transaction() as tx:
        vendor = await tx.value("UPDATE location SET kind = 'vendor' WHERE code = 'S1' RETURNING id")
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'A'")
        offer = OfferDraft(location_id=vendor, sku_id=sku, vendor_sku="VA", unit_cost=100, lead_days=2)
        await vendors.state_offers(tx, [offer])
        draft = await rule_sets.start_draft(tx, Content(runs=[Run(name="Tudo", when=When(), rules=[rule])]))
        await rule_sets.publish(tx, draft.id, draft.version)
        await revisions.bump(tx, network.REVISION)
    async with shop.database.transaction() as tx:
        assert await replanning.replan(tx, order_id) == []
        number = await tx.value("SELECT number FROM drop_ship")
        empty = await rule_sets.start_draft(tx, Content(runs=[]))
        await rule_sets.publish(tx, empty.id, empty.version)
        gone = [Claim(sku, world.locations["DC"], 0)]
        await inventory.set_on_hand(tx, gone, Reference("test"), Reason.COUNT)
    async with shop.database.transaction() as tx:
        assert await dropping.refuse_drop(tx, number, "nada mais") == 2


async def new_address(shop: Shop, world: World, order_id: UUID) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE service_rate SET to_state = 'SP'")  # nobody delivers to Acre
        there = Address(
            postal_code="69900062", street="Rua", number="1", district="Centro", city="Rio Branco", state="AC"
        )
        await edits.change_address(tx, order_id, there)


async def not_collected(shop: Shop, world: World, order_id: UUID) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET method = 'pickup', pickup_location_id = %s", (world.locations["DC"],))
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
    work = await released(shop, order_id)
    async with shop.database.transaction() as tx:
        await fulfillment.confirm_pick(tx, work)
        await fulfillment.pack(tx, work)
        await fulfillment.make_ready(tx, work)
        await tx.execute(
            "UPDATE fulfillment_order SET pickup_until = now() - interval '1 minute', pickup_remind_at = NULL"
        )
        assert await pickups.expire(tx) == 1


async def shopper_cancel(shop: Shop, world: World, order_id: UUID) -> None:
    async with shop.database.transaction() as tx:
        assert await asking.ask_to_cancel(tx, order_id, None, reason="x", note="x") is asking.Outcome.CANCELLED


async def promise_broken(shop: Shop, world: World, order_id: UUID) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET promised_at = %s", (datetime.now(UTC) - timedelta(hours=1),))
        assert await lateness.find_late(tx) == 1


async def not_paid(shop: Shop, world: World, order_id: UUID) -> None:
    async with shop.database.transaction() as tx:
        await ordering.lock_order(tx, order_id)
        await order_holds.ensure_holds(tx, {order_id: {}}, HoldKind.PAYMENT)
    await drain(shop.database, SUBSCRIPTIONS)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE payment_deadline SET due_at = now() - interval '1 minute'")
        assert await deadlines.lapse_due(tx) == 1
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE payment_deadline SET cancel_at = now() - interval '1 minute'")
        assert await deadlines.end_lapsed(tx) == 1


def in_ten_days() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)


async def api_promise(shop: Shop, world: World, order_id: UUID) -> None:
    key = await shop.key({"orders:write", "orders:read"}) | {"Idempotency-Key": "promise-1"}
    body = {"promised_at": in_ten_days().isoformat(), "reason": "carrier_late"}
    said = [await shop.http.post(f"/v1/orders/{order_id}/promise", json=body, headers=key) for _ in range(2)]
    assert [s.status_code for s in said] == [200, 200], said[0].text
    assert said[0].json() == said[1].json()
    found = (await shop.http.get(f"/v1/orders/{order_id}/promises", headers=key)).json()
    assert (len(found["changes"]), found["first"]) == (1, None)


async def page_promise(shop: Shop, world: World, order_id: UUID) -> None:
    form = {"day": in_ten_days().date().isoformat(), "promise_reason": "capacity"}
    address = f"/orders/{await number_of(shop, order_id)}/promise"
    session = await shop.session()
    sent = await shop.http.post(address, data=form, headers=session)
    assert sent.status_code in {200, 303}, sent.text
    wrong = await shop.http.post(address, data=form | {"promise_reason": "other"}, headers=session)
    assert wrong.status_code == 422


async def list_promise(shop: Shop, world: World, order_id: UUID) -> None:
    number = str(await number_of(shop, order_id))
    form = {"act": "promise", "order": number, "day": in_ten_days().date().isoformat(), "promise_reason": "capacity"}
    sent = await shop.http.post("/orders/bulk", data=form, headers=await shop.session())
    assert sent.status_code in {200, 303}, sent.text


async def _awaits_supply(shop: Shop, world: World, order_id: UUID) -> tuple[SoldAhead, int]:
    """Let an order wait for goods that another location expects; return the purchase order's number."""
    async with shop.database.transaction() as tx:
        sku = await tx.value("SELECT sku_id FROM order_line WHERE order_id = %(id)s::uuid", {"id": order_id})
    ahead = SoldAhead(shop.database, world, sku)
    await ahead.allow()
    _, number = await ahead.order_goods(2, 5, at="S1")
    await rejection(shop, world, order_id)
    await ahead.settle()
    assert await ahead.waits(order_id) == [("waiting", in_days(5), 2)]
    assert await ahead.units(order_id) == {"backordered": 2}
    return ahead, number


async def supply_lost(shop: Shop, world: World, order_id: UUID) -> None:
    ahead, number = await _awaits_supply(shop, world, order_id)
    assert Kind.ON_HOLD not in {kind for kind, _ in await told(shop, order_id)}
    async with shop.database.transaction() as tx:
        await supply.drop_lines(tx, number, None, "the factory burned down")
    await ahead.settle()
    assert await ahead.waits(order_id) == [("lost", None, 2)]
    assert await ahead.holds(order_id) == ["shortage"]


async def supply_later(shop: Shop, world: World, order_id: UUID) -> None:
    ahead, number = await _awaits_supply(shop, world, order_id)
    before = await told(shop, order_id)
    day = await ahead.promise(order_id)
    async with shop.database.transaction() as tx:
        await supply.reschedule(tx, number, {1: in_days(25)}, "the ship is late")
    await ahead.settle()
    moved = await ahead.promise(order_id)
    assert day is not None
    assert moved is not None
    assert moved > day
    assert sorted([*before, (Kind.REPROMISED, "queued")]) == await told(shop, order_id)


async def promise_slips(shop: Shop, world: World, order_id: UUID) -> None:
    """Its location pauses beyond the promised day; the worker's look promises another."""
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET promised_at = now() + interval '2 days'")
        await tx.execute("UPDATE location SET status = 'paused', paused_until = now() + interval '9 days'")
        await revisions.bump(tx, network.REVISION)
    assert await slipping.watch(shop.database, mode="tell", most=10, quiet_hours=24) == 1
    assert await slipping.watch(shop.database, mode="tell", most=10, quiet_hours=24) == 0


async def paid_late(shop: Shop, world: World, order_id: UUID) -> None:
    """The day it was promised for is over when its money comes."""
    async with shop.database.transaction() as tx:
        await ordering.lock_order(tx, order_id)
        await order_holds.ensure_holds(tx, {order_id: {}}, HoldKind.PAYMENT)
        await tx.execute("UPDATE sales_order SET promised_at = now() - interval '2 days'")
        await order_holds.lift_holds(tx, [order_id], HoldKind.PAYMENT, "The payment is secured.")


async def placed_late(shop: Shop, world: World, order_id: UUID) -> None:
    """Nobody had its goods, so no day was promised; another location gets some."""
    async with shop.database.transaction() as tx:
        sku = await tx.value("SELECT sku_id FROM order_line WHERE order_id = %(id)s::uuid", {"id": order_id})
    await rejection(shop, world, order_id)
    async with shop.database.transaction() as tx:
        await inventory.receive(tx, [Claim(sku, world.locations["S1"], 2)], Reference("test", text="goods"))
        assert await order_to_cash.try_again(tx, order_id)


async def channel_cancel(shop: Shop, world: World, order_id: UUID) -> None:
    """The channel says, of an order that it told before, that it is cancelled."""
    await taken_back(shop, order_id, cancelled=2, state=ExtState.CANCELLED)


async def channel_cancel_one(shop: Shop, world: World, order_id: UUID) -> None:
    await taken_back(shop, order_id, cancelled=1, state=ExtState.OPEN)


async def taken_back(shop: Shop, order_id: UUID, *, cancelled: int, state: ExtState) -> None:
    lines = [ExtLine(sku="A", quantity=2, unit_price=1000, cancelled=cancelled)]
    told = ExtOrder(id="1", version=2, placed_at=datetime.now(UTC), currency="BRL", lines=lines, state=state)
    async with shop.database.transaction() as tx:
        await ordering.lock_orders(tx, [order_id])
        assert await reversing.record(tx, order_id, told) == []


async def cancelled_for_want(shop: Shop, world: World, order_id: UUID) -> None:
    await rejection(shop, world, order_id)
    await drain(shop.database, SUBSCRIPTIONS)
    async with shop.database.transaction() as tx:
        taken = await shortfalls.take(tx, order_id, shortfalls.Way.CANCEL, 1)
    assert taken.quantity == 2


async def _held_by_a_rule(shop: Shop, order_id: UUID, cancel_on: str) -> None:
    async with shop.database.transaction() as tx:
        await ordering.lock_order(tx, order_id)
        detail = {"lines": [1], "cancel_on": cancel_on}
        await order_holds.ensure_holds(tx, {order_id: detail}, HoldKind.ROUTING_RULE)


async def rule_waits_too_long(shop: Shop, world: World, order_id: UUID) -> None:
    await rejection(shop, world, order_id)
    await drain(shop.database, SUBSCRIPTIONS)
    await _held_by_a_rule(shop, order_id, "2026-01-01T00:00:00Z")
    async with shop.database.transaction() as tx:
        assert await ruled.cancel_due(tx) == 1


async def rule_is_gone(shop: Shop, world: World, order_id: UUID) -> None:
    """Its rule held it; the rule is gone, and it is short of goods like any other."""
    await _held_by_a_rule(shop, order_id, "2030-01-01T00:00:00Z")
    assert Kind.ON_HOLD not in {kind for kind, _ in await told(shop, order_id)}
    async with shop.database.transaction() as tx:
        await ordering.lock_order(tx, order_id)
        assert not await ruled.settle_hold(tx, order_id, None, [1])


async def another_slot(shop: Shop, world: World, order_id: UUID) -> None:
    day = in_days(7)
    async with shop.database.transaction() as tx:
        (place,) = (await network.locations_by_id(tx, [world.locations["DC"]])).values()
        week = [Template(day.isoweekday(), time(9), time(10), 1)]
        await slot_service.set_templates(tx, place, {SlotKind.DELIVERY: week})
        await slots.agree(tx, order_id, day, time(9), reason=PromiseReason.CAPACITY)


Walk = Callable[[Shop, World, UUID], Awaitable[None]]
# Where in the program it happens, how it is brought about, what the customer hears.
WAYS: dict[str, tuple[set[str], Walk, Kind]] = {
    "cancelled by a channel": (
        {"api.orders_actions.cancel_order", "fulfillment.service.cancel"},
        api_cancel,
        Kind.CANCELLED,
    ),
    "one unit cancelled by a channel": ({"api.orders_actions.cancel_order"}, api_cancel_one, Kind.CANCELLED_IN_PART),
    "cancelled on the order's page": ({"console.actions._cancel"}, page_cancel, Kind.CANCELLED),
    "cancelled from the list": ({"fulfillment.bulk_acts.carry_out"}, list_cancel, Kind.CANCELLED),
    "cancelled by the shopper": ({"fulfillment.asking.ask_to_cancel"}, shopper_cancel, Kind.CANCELLED),
    "not paid in time": ({"payments.deadlines.end_lapsed"}, not_paid, Kind.CANCELLED),
    "not collected in time": ({"fulfillment.pickups._give_back"}, not_collected, Kind.CANCELLED),
    "declined by the only location that has it": (
        {"fulfillment.service.reject", "fulfillment.giving_back.find_another_place"},
        rejection,
        Kind.ON_HOLD,
    ),
    # What `_move_whole` moves has its next place in the same transaction, or stays (tests/postgres/test_shut_locations.py).
    "at a location that closes for good": (
        {"fulfillment.shut.leave", "fulfillment.shut._say_what_is_short", "fulfillment.shut._move_whole"},
        location_closes,
        Kind.ON_HOLD,
    ),
    "not in the van to the store where it is fetched": (
        {"fulfillment.bringing.receive"},
        missing_on_arrival,
        Kind.ON_HOLD,
    ),
    "not sent by its vendor": ({"fulfillment.dropping._take_away"}, vendor_refuses, Kind.ON_HOLD),
    "not found on the shelf": (
        {"fulfillment.service.confirm_pick", "fulfillment.giving_back.find_another_place"},
        short_pick,
        Kind.ON_HOLD,
    ),
    "moved to where nobody delivers": (
        {"flows.order_to_cash.place_again", "flows.order_to_cash._say_what_is_short"},
        new_address,
        Kind.ON_HOLD,
    ),
    "promised anew by a program": ({"api.orders_actions.promise_order"}, api_promise, Kind.REPROMISED),
    "promised anew because its plan cannot keep its day": (
        {"fulfillment.slipping.promise_anew"},
        promise_slips,
        Kind.REPROMISED,
    ),
    "paid too late for its day": ({"fulfillment.slipping.promise_paid"}, paid_late, Kind.REPROMISED),
    "promised a day once its goods are there": (
        {"fulfillment.slipping.promise_first"},
        placed_late,
        Kind.REPROMISED,
    ),
    "promised anew on the order's page": ({"console.actions._promise"}, page_promise, Kind.REPROMISED),
    "promised anew from the list": ({"console.actions._promise"}, list_promise, Kind.REPROMISED),
    "replaced by a program": ({"api.orders_actions.replace_line"}, api_replace, Kind.REPLACED),
    "replaced on the order's page": ({"console.actions._replace"}, page_replace, Kind.REPLACED),
    "waiting for supply that was given up": ({"intake.replanning.follow_supply"}, supply_lost, Kind.ON_HOLD),
    "waiting for supply that comes later": ({"intake.supplying.promise_anew"}, supply_later, Kind.REPROMISED),
    "cancelled at its channel": (
        {"channels.connecting.reversing._cancel_whole"},
        channel_cancel,
        Kind.CANCELLED,
    ),
    "one unit cancelled at its channel": (
        {"channels.connecting.reversing._cancel_line"},
        channel_cancel_one,
        Kind.CANCELLED_IN_PART,
    ),
    "cancelled for want of goods": ({"fulfillment.shortfalls._carry_out"}, cancelled_for_want, Kind.CANCELLED),
    "left by its routing rule for too long": ({"intake.ruled.cancel_due"}, rule_waits_too_long, Kind.CANCELLED),
    "held by a routing rule that is gone": ({"intake.ruled.settle_hold"}, rule_is_gone, Kind.ON_HOLD),
    "given another slot": ({"ordering.slots._settle"}, another_slot, Kind.REPROMISED),
    "promised day over": ({"ordering.lateness.find_late"}, promise_broken, Kind.LATE),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_customer_of_an_order_that_was(way: str, shop: Shop) -> None:
    _, walk, kind = WAYS[way]
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 2})
        paid = "pending" if walk is not_paid else "captured"
        order_id = await an_order(tx, world, [Sold(sku, 2)], paid=paid)
        await tx.execute("UPDATE sales_order SET buyer_email = 'maria@example.com'")
    assert await told(shop, order_id) == [(Kind.PLACED, "queued")]
    await walk(shop, world, order_id)
    assert (kind, "queued") in await told(shop, order_id)


@pytest.mark.parametrize(
    "way",
    ["cancelled by a channel", "not collected in time", "promised day over", "promised anew by a program"],
)
async def test_where_a_marketplace_tells_its_buyers_what_we_did_not_say_is_written_down(way: str, shop: Shop) -> None:
    _, walk, kind = WAYS[way]
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 2})
        order_id = await an_order(tx, world, [Sold(sku, 2)], channel="mall")
        await tx.execute("UPDATE sales_order SET buyer_email = 'maria@example.com'")
    assert await told(shop, order_id) == []
    await walk(shop, world, order_id)
    assert await told(shop, order_id) == [(kind, "skipped")]
    async with shop.database.transaction() as tx:
        assert [m.reason for m in await reads.of_order(tx, order_id)] == ["told_by_channel"]


async def test_the_customer_of_an_order_that_met_no_stock_hears_that_too(database: Database, tmp_path: Path) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 1})
    order = {
        "channel": "web",
        "external_id": "1",
        "lines": [{"sku": "A", "quantity": 5, "unit_price": 1000}],
        "customer": {"name": "Maria", "email": "maria@example.com"},
        "ship_to": {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "R", "number": "1"},
    }
    async with AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path)
        answer = await shop.http.post("/v1/orders", json=order, headers=await shop.key({"intake:submit"}))
        assert answer.status_code == 201, answer.text
        assert "shortage" in answer.json()["holds"]
        assert await told(shop, UUID(answer.json()["id"])) == [(Kind.ON_HOLD, "queued"), (Kind.PLACED, "queued")]


def test_what_tells_a_loss_cannot_be_switched_off() -> None:
    assert {kind for kind in LOSSES if KINDS[kind].always} == LOSSES - {Kind.ON_HOLD}


async def told(shop: Shop, order_id: UUID) -> list[tuple[str, str]]:
    await drain(shop.database, SUBSCRIPTIONS)
    async with shop.database.transaction() as tx:
        return sorted((m.kind, m.state) for m in await reads.of_order(tx, order_id))
