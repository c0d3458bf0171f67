"""Taking orders: many submissions, one transaction, a handful of set-based statements.

`place_orders` reads what it needs in one round trip, plans every order against one snapshot of stock (routing is pure
and works on the batch's own running balance), claims stock by conditional update and writes everything in a second one.
If the update refuses a balance that moved meanwhile, or a natural key appeared meanwhile, `Moved` is raised: the caller
rolls back and calls again with `lock=True`, which reads the balances under their locks, so the second attempt cannot be
refused.

Nothing is dropped: what cannot be understood (unknown SKU, location, service) or covered is an order on hold, a
backorder or an explicit refusal, as the channel's policy says. Retrying a submission returns the order that exists.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from psycopg import AsyncCursor

from malha.capacity import service as capacity
from malha.capacity.errors import SlotFull
from malha.intake import allotting as allot
from malha.intake import beyond, dropping, ruled, rules
from malha.intake import promised as offering
from malha.intake.allotting import Allotting
from malha.intake.covering import (
    Covering,
    at_hand,
    behind,
    by_balance,
    by_line,
    expected,
    promised,
)
from malha.intake.errors import OrderDiffers, OrderDiffersUnnamed, OutOfStock, UnknownChannel, WrongCurrency
from malha.intake.model import LineOutcome, NewOrder, Outcome, Placed, Result, Submission
from malha.intake.reference import Channel, Reference
from malha.intake.slotting import Slotting, slotting_of
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import NewClaim
from malha.inventory.allotments import claims as drawn_claims
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments.model import Taker
from malha.inventory.allotments.rules import touches
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import NewDrop
from malha.network.places import locate, state_beside
from malha.ordering import placing
from malha.ordering.events import OrderPlaced
from malha.ordering.model import HoldKind, UnitState
from malha.ordering.placing import NewOrders
from malha.ordering.rules import derive_status, tags_of
from malha.payments import service as payments
from malha.platform import audit, outbox, revisions
from malha.platform.address import Address
from malha.platform.brazil import STATES, normalise_document, normalise_email, normalise_phone
from malha.platform.db import Actor, Tx
from malha.platform.errors import MalhaError
from malha.platform.idempotency import KeyReused
from malha.platform.ids import UUID, new_id
from malha.promising.making import stored
from malha.promising.model import Made
from malha.routing import rules as routing
from malha.routing import service as decisions
from malha.routing.model import Plan, Request, RequestLine, parts_of, uncovered

_json = msgspec.json.Encoder().encode


class Moved(Exception):
    """Stock or a natural key changed between reading and writing: roll back and call again with `lock=True`.

    With `stale`, allotments changed: look at the reference data again first.
    """

    def __init__(self, *, stale: bool = False) -> None:
        self.stale = stale
        super().__init__()


class _Batch:
    """What one batch is about to write."""

    __slots__ = (
        "actors",
        "allotting",
        "ats",
        "claims",
        "covering",
        "decisions",
        "drops",
        "events",
        "free",
        "ledger",
        "new",
        "paid_for",
        "paying",
        "placed",
        "slotting",
        "tenders",
    )

    def __init__(
        self,
        free: dict[int, list[int]],
        allotting: Allotting | None,
        covering: Covering,
        slotting: Slotting,
    ) -> None:
        self.free = free
        self.allotting = allotting
        self.covering = covering
        self.slotting = slotting
        self.new = NewOrders()
        self.placed: dict[str, tuple[int, Placed]] = {}  # by order: position in the batch, reply without its number
        self.claims: dict[tuple[int, int], int] = {}
        self.ledger: tuple[list[int], list[int], list[int], list[str], list[str]] = ([], [], [], [], [])
        self.tenders: list[tuple[UUID, NewOrder]] = []
        self.paid_for: dict[str, tuple[UUID, int]] = {}  # of payments of this batch, the order they are on, its channel
        self.paying: dict[str, UUID] = {}  # those that this batch takes
        self.decisions: list[decisions.Decision] = []
        self.drops: list[NewDrop] = []
        self.events: list[OrderPlaced] = []
        self.actors: list[str] = []
        self.ats: list[str] = []

    def keep(self, decision: decisions.Decision) -> None:
        """Keep a decision, and where the goods come together by it."""
        self.decisions.append(decision)
        onward = decision.plan.basis.onward
        if onward is not None:
            self.new.merges.append((decision.order_id, onward.location))


async def place_orders(
    tx: Tx, submissions: Sequence[Submission], reference: Reference, *, lock: bool = False, hold: str | None = None
) -> list[Outcome]:
    """Place a batch; return, in order, each order or the refusal it met. Refused orders leave nothing behind.

    `hold` is a stock hold to release first, under the same locks, so that its units are never free for anybody else; it
    asks for `lock`.

    Raises:
        Moved: see the module's docstring.
    """
    outcomes: list[Outcome | None] = [None] * len(submissions)
    fresh = _first_of_each_key(submissions, reference, outcomes)
    fresh = await _refuse_reused_keys(tx, fresh, outcomes)
    paying = _identities_of(fresh)
    skus = await reference.cards(tx, {line.sku for _, s in fresh for line in s.order.lines})
    sku_ids = sorted({part for card in skus.values() for part in card.stocked})
    await reference.learn_kinds(tx, [part for card in skus.values() for part in (card.id, *card.stocked)])
    instant = datetime.now(UTC)
    allotting = _allotting(fresh, reference, skus, instant) if reference.allotments.watched else None
    covering = _covering(fresh, reference, skus, instant)
    slotting = slotting_of(fresh, reference, instant)
    await slotting.ask(tx, lock=lock)
    if lock:
        await covering.ask(tx, lock=True)
        await _make_way(tx, allotting, sku_ids, hold)
    async with tx.pipeline():
        found = await placing.find_by_keys(
            tx, [reference.channels[s.order.channel].id for _, s in fresh], [s.external_id for _, s in fresh]
        )
        asked = None if allotting is None or lock else await allot.ask(tx, allotting)
        await covering.ask(tx)
        balances = await _ask_stock(tx, sku_ids, lock=lock)
        # Whose cart held the units has them before who waits.
        waiting = await ahead.queue_ahead_of(tx, sku_ids) if reference.sells_ahead and hold is None else None
    # Answers are read when the round trip is over: asking for one in it would be another.
    existing = {(row[0], row[1]): row[2:] for row in await found.fetchall()}
    if allotting is not None and asked is not None:
        allotting.stand(await asked.answer())
    await covering.answer()
    rows = await balances.fetchall()
    first = await waiting.fetchall() if waiting is not None else []
    free = _free_of(reference, sku_ids, rows, first, locked=lock)
    if existing:
        fresh = await _answer_existing(tx, fresh, reference, existing, outcomes)
    batch = _Batch(free, allotting, covering, slotting)
    batch.paid_for = await payments.claimed_by(tx, paying)

    def plan() -> None:
        for position, submission in fresh:
            refusal = _plan_one(batch, position, submission, reference, skus, instant)
            if refusal is not None:
                outcomes[position] = refusal

    if rules.leaves_the_loop(max((len(s.order.lines) for _, s in fresh), default=0)):
        await asyncio.to_thread(plan)
    else:
        plan()
    await slotting.explain(tx, fresh, outcomes)
    if batch.placed:
        await _write(tx, batch, outcomes, reference.allotments.revision)
        await _keep_trail(tx, fresh, outcomes)
    _answer_repeats(submissions, outcomes)
    return [outcome for outcome in outcomes if outcome is not None]


async def _ask_stock(tx: Tx, sku_ids: Sequence[int], *, lock: bool) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for free stock: balance by balance under locks, else by SKU."""
    return await (stock.queue_free_stock(tx, sku_ids, lock=True) if lock else stock.queue_free_by_sku(tx, sku_ids))


def _free_of(
    reference: Reference,
    sku_ids: Sequence[int],
    rows: Sequence[tuple[Any, ...]],
    waiting: Sequence[tuple[int, int, int]],
    *,
    locked: bool,
) -> dict[int, list[int]]:
    """Return free units by SKU in the network's order of locations, without those that go to who waits there.

    `rows` are the answer to `_ask_stock`.

    Raises:
        Moved: expired holds are in the way.
    """
    if locked:
        return reference.grid(sku_ids, behind(rows, waiting))
    if any(locations is None for _, locations, _ in rows):
        raise Moved
    if not waiting:
        return reference.grid_by_sku(sku_ids, rows)
    balances = [(sku, *at) for sku, locations, units in rows for at in zip(locations, units, strict=True)]
    return reference.grid(sku_ids, behind(balances, waiting))


async def _make_way(tx: Tx, allotting: Allotting | None, sku_ids: Sequence[int], hold: str | None) -> None:
    """Lock what fences and caps have left, and let the order's own hold and expired ones go."""
    await inventory.make_way(tx, sku_ids, hold, counters=None if allotting is None else allotting.counters)
    if allotting is not None:  # after holds gave units back to fences
        await allot.lock(tx, allotting)


def _allotting(
    fresh: Sequence[tuple[int, Submission]], reference: Reference, skus: dict[str, Any], instant: datetime
) -> Allotting | None:
    """Return what fences and caps mean for a batch; None when they touch none of its orders."""
    found: Allotting | None = None
    for _, submission in fresh:
        order = submission.order
        channel = reference.channels[order.channel]
        if channel.id not in reference.allotments.watched:
            continue
        stocked = [part for line in order.lines if line.sku in skus for part in skus[line.sku].stocked]
        if touches(reference.allotments, channel.id, stocked):
            found = found or Allotting(reference, instant)
            found.add(Taker(channel.id, order.customer_group), stocked)
    return found


def _covering(
    fresh: Sequence[tuple[int, Submission]], reference: Reference, skus: dict[str, Any], instant: datetime
) -> Covering:
    """Return what of a batch may be sold ahead of the goods, by the channels that sell it."""
    covering = Covering(reference.network, reference.day_of(instant))
    if reference.sells_ahead:
        for _, submission in fresh:
            channel = reference.channels[submission.order.channel]
            for line in submission.order.lines:
                if line.sku in skus:
                    covering.add(skus[line.sku], channel.id)
    return covering


def _first_of_each_key(
    submissions: Sequence[Submission], reference: Reference, outcomes: list[Outcome | None]
) -> list[tuple[int, Submission]]:
    """Keep the first submission of each natural key whose channel and amounts can be; note why others cannot."""
    fresh: list[tuple[int, Submission]] = []
    seen: set[tuple[str, str]] = set()
    for position, submission in enumerate(submissions):
        order = submission.order
        channel = reference.channels.get(order.channel)
        refusal: MalhaError | None
        if channel is None or not channel.active:
            refusal = UnknownChannel(
                channel=order.channel,
                count=1,
                problems=[{"at": "/channel", "says": UnknownChannel.says, "facts": {"channel": order.channel}}],
            )
        elif order.currency is not None and order.currency != channel.currency:
            refusal = WrongCurrency(currency=order.currency, channel=channel.code, expected=channel.currency)
        else:
            refusal = rules.refuse_amounts(order) or rules.refuse_days(order)
        if refusal is not None:
            outcomes[position] = refusal
            continue
        key = (order.channel, submission.external_id)
        if key not in seen:
            seen.add(key)
            fresh.append((position, submission))
    return fresh


async def _refuse_reused_keys(
    tx: Tx, fresh: list[tuple[int, Submission]], outcomes: list[Outcome | None]
) -> list[tuple[int, Submission]]:
    """Refuse an Idempotency-Key that came with another body before, or comes with two bodies now."""
    keyed = {s.request_key for _, s in fresh if s.request_key is not None}
    if not keyed:
        return fresh
    bodies = await placing.find_by_request_keys(tx, sorted(keyed))
    rest: list[tuple[int, Submission]] = []
    for position, submission in fresh:
        key = submission.request_key
        if key is not None and bodies.setdefault(key, submission.body_hash) != submission.body_hash:
            outcomes[position] = KeyReused()
        else:
            rest.append((position, submission))
    return rest


async def _answer_existing(
    tx: Tx,
    fresh: Sequence[tuple[int, Submission]],
    reference: Reference,
    existing: dict[tuple[int, str], tuple[Any, ...]],
    outcomes: list[Outcome | None],
) -> list[tuple[int, Submission]]:
    """Answer submissions whose order is here already; return the others."""
    rest: list[tuple[int, Submission]] = []
    lines, holds = await placing.contents_of(tx, [row[0] for row in existing.values()])
    for position, submission in fresh:
        order = submission.order
        row = existing.get((reference.channels[order.channel].id, submission.external_id))
        if row is None:
            rest.append((position, submission))
            continue
        order_id, number, status, body_hash, total, currency = row
        if body_hash.hex != submission.body_hash:
            outcomes[position] = _differs(submission, number)
            continue
        outcomes[position] = Placed(
            id=order_id,
            number=number,
            channel=order.channel,
            external_id=submission.external_id,
            status=status,
            result=Result.DUPLICATE,
            total=total,
            currency=currency,
            holds=holds.get(order_id, []),
            lines=[LineOutcome(*line) for line in lines.get(order_id, [])],
        )
    return rest


def _differs(submission: Submission, number: int) -> MalhaError:
    if submission.order.external_id is None:
        return KeyReused()
    if submission.limited:
        return OrderDiffersUnnamed(channel=submission.order.channel, external_id=submission.external_id)
    return OrderDiffers(channel=submission.order.channel, external_id=submission.external_id, number=number)


def _answer_repeats(submissions: Sequence[Submission], outcomes: list[Outcome | None]) -> None:
    """Answer the second and later submissions of a key within one batch by the first one's outcome."""
    if None not in outcomes:
        return
    first = {(s.order.channel, s.external_id): n for n, s in reversed(list(enumerate(submissions)))}
    for position, submission in enumerate(submissions):
        if outcomes[position] is not None:
            continue
        at = first[submission.order.channel, submission.external_id]
        outcome = outcomes[at]
        if isinstance(outcome, Placed) and submissions[at].body_hash != submission.body_hash:
            outcomes[position] = _differs(submission, outcome.number)
        elif isinstance(outcome, Placed):
            outcomes[position] = msgspec.structs.replace(outcome, result=Result.DUPLICATE)
        else:
            outcomes[position] = outcome


def _plan_one(
    batch: _Batch,
    position: int,
    submission: Submission,
    reference: Reference,
    skus: dict[str, Any],
    instant: datetime,
) -> MalhaError | None:
    """Plan one order against the batch's running balances and collect its rows; return why it is refused, if it is."""
    submission = _with_state(submission, reference)
    order = submission.order
    channel = reference.channels[order.channel]
    items = sum([line.quantity * line.unit_price - line.discount for line in order.lines])
    total = items - order.discount + order.shipping
    holds, target = _holds_of(submission, channel, reference, skus, total)
    plan: Plan | None = None
    order_id = submission.id
    covers: list[NewClaim] = []
    seat = batch.slotting.seat(submission)
    if seat.refused and (channel.shortage_policy == "reject" or submission.taken_by is not None):
        return SlotFull()
    holds |= seat.holds
    if target is not None:
        request = seat.narrow(_request(submission, order, channel, skus, target, reference), reference)
        if reference.rules is not None:
            request = ruled.of_new(reference, order, request, total, instant)
        taker = _taker_of(batch, order, channel, request)
        caps: list[str] = []
        if taker is None or batch.allotting is None:
            plan = routing.plan(request, reference.network, batch.free, reference.taken, reference.prices)
        else:
            plan, caps = batch.allotting.plan(taker, request, batch.free, reference.taken, reference.prices)
        goods = {line.line: skus[order.lines[line.line - 1].sku] for line in request.lines} if plan.unplaced else {}
        covers, caps = beyond.claims_of(request, plan, goods, batch.covering, batch.free, batch.allotting, taker, caps)
        uncovered = _uncovered(plan, covers)
        if uncovered and channel.shortage_policy == "reject" and ruled.ending_of(plan) is None:
            seat.give_up()
            return _out_of_stock(order, uncovered, caps)
        holds |= _short(channel, plan, uncovered, caps, instant)
        if taker is not None and batch.allotting is not None:
            stock_of = _added(batch.allotting.wanted(request, plan), by_balance(at_hand(covers)))
            batch.allotting.take(order_id, taker, stock_of, batch.free, by_balance(expected(covers)))
        batch.covering.take(covers)
        batch.drops += dropping.asked(plan, order_id, reference.rules, reference.snapshot, instant)
    holds |= _pay(batch, submission, channel.id)
    id_text = str(order_id)
    now = instant.isoformat()
    released = _release_after(submission, channel, instant, batch.covering, reference, skus)
    released = released if _is_brought(order, plan) else seat.not_before(released, submission, reference)
    # A clock that goes wrong would keep its order at the head of every list, and out of every day, until then.
    placed_at = order.placed_at.isoformat() if order.placed_at and order.placed_at < instant else now
    states, lines, locations = _units_of(batch, submission, id_text, reference, skus, plan, channel, covers)
    stated = order.promised_at or seat.promised_at
    made = None if plan is None else _made_of(order, plan, covers, reference, released)
    promise, line_promises = _promises(order, stated, plan, made, covers, reference, released)
    batch.new.promises += [(id_text, line, at.isoformat()) for line, at in line_promises.items()]
    status = derive_status(states, holds)
    buyer = order.customer
    ship_to = order.ship_to
    batch.new.orders.append(
        (
            id_text,
            channel.id,
            submission.external_id,
            submission.body_hash,
            submission.request_key,
            placed_at,
            channel.currency,
            status.value,
            items,
            order.discount,
            order.shipping,
            total,
            order.method,
            None if target is None else target[0],
            reference.locations.get(order.pickup_location) if order.pickup_location else None,
            buyer.name,
            (normalise_document(buyer.document) or buyer.document) if buyer.document else None,
            (normalise_email(buyer.email) or buyer.email) if buyer.email else None,
            (normalise_phone(buyer.phone) or buyer.phone) if buyer.phone else None,
            None if ship_to is None else _json(ship_to).decode(),
            None if ship_to is None else ship_to.state,
            None if promise is None else promise.isoformat(),
            released.isoformat(),
            order.customer_group,
        )
    )
    batch.new.details += _details_of(order, id_text)
    batch.new.tags += _tags_of(order, id_text)
    for kind, detail in holds.items():
        batch.new.holds.append((str(new_id()), id_text, kind.value, _json(detail).decode()))
    if plan is not None:
        kept = None if promise is None or made is None else stored(made)
        batch.keep(decisions.Decision(id_text, 1, plan, kept, ruled.asked_of(reference, order, plan, total)))
    kinds = [kind.value for kind in holds]
    batch.events.append(
        OrderPlaced(
            id=id_text,
            seq=1,
            channel_id=channel.id,
            total=total,
            status=status.value,
            holds=kinds,
            locations=locations,
        )
    )
    batch.actors.append(submission.actor)
    batch.ats.append(placed_at)
    batch.placed[id_text] = (
        position,
        Placed(
            id=order_id,
            number=0,
            channel=order.channel,
            external_id=submission.external_id,
            status=status.value,
            result=Result.ACCEPTED,
            total=total,
            currency=channel.currency,
            holds=kinds,
            lines=lines,
        ),
    )
    return None


def _pay(batch: _Batch, submission: Submission, channel_id: int) -> dict[HoldKind, dict[str, Any]]:
    """Take the payments of an order for it; return the hold for one that is an order's of another channel.

    A channel parts what was bought at once into orders that one payment pays. What an order of the past was paid with
    nobody asks.
    """
    order, order_id = submission.order, submission.id
    if not order.payments:
        return {}
    batch.tenders.append((order_id, order))
    if submission.release_now:
        return {}
    taken = []
    for identity in payments.identities_of(_said(submission)):
        paid_for, of_channel = batch.paid_for.setdefault(identity, (order_id, channel_id))
        if paid_for == order_id:
            batch.paying[identity] = order_id
        elif of_channel != channel_id:
            taken.append(identity)
    return {HoldKind.PAYMENT_ELSEWHERE: {"reference": taken[0]}} if taken else {}


def _added(one: Mapping[tuple[int, int], int], other: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in [*one, *(k for k in other if k not in one)]}


def _uncovered(plan: Plan, covers: Sequence[NewClaim]) -> list[tuple[int, int]]:
    """Return what neither stock nor supply covers, nor a vendor sends, by line."""
    if not plan.unplaced:  # nearly always
        return plan.unplaced
    sent = dropping.units_in(plan)  # what a vendor may send is not sold ahead
    return uncovered(plan.unplaced, by_line(covers) | sent)


def _short(
    channel: Channel, plan: Plan, uncovered: Sequence[tuple[int, int]], caps: Sequence[str], instant: datetime
) -> dict[HoldKind, dict[str, Any]]:
    """Return the hold of an order that finds neither stock nor supply: as its routing rule says, else its channel."""
    if not uncovered:
        return {}
    lines = [line for line, _ in uncovered]
    bound = plan.basis.bound
    if bound is not None and bound.ending is not None:
        return {HoldKind.ROUTING_RULE: ruled.hold_detail(bound, lines, instant)}
    if channel.shortage_policy != "hold":
        return {}
    return {HoldKind.SHORTAGE: {"lines": lines, "caps": caps} if caps else {"lines": lines}}


def _waits_as(channel: Channel, plan: Plan | None) -> UnitState:
    """Return the state of units that have no place: what a routing rule left waits for a person."""
    if channel.shortage_policy != "backorder" or (plan is not None and ruled.ending_of(plan) is not None):
        return UnitState.UNPLACED
    return UnitState.BACKORDERED


def _release_after(
    submission: Submission,
    channel: Channel,
    instant: datetime,
    covering: Covering,
    reference: Reference,
    skus: dict[str, Any],
) -> datetime:
    """Return from when an order may be released: after its channel's delay, and not before a pre-order's release."""
    at = instant if submission.release_now else instant + timedelta(minutes=channel.release_delay_minutes)
    for line in submission.order.lines if covering.skus else ():
        for policy in covering.parts(skus[line.sku], channel.id).values() if line.sku in skus else ():
            if policy.release_on is not None:
                at = max(at, reference.midnight(policy.release_on))
    return at


def _taker_of(batch: _Batch, order: NewOrder, channel: Channel, request: Request) -> Taker | None:
    """Return who takes stock, for an order that a fence or cap touches."""
    if batch.allotting is None:
        return None
    stocked = [sku for line in request.lines for sku, _ in parts_of(line)]
    if not touches(batch.allotting.allotments, channel.id, stocked):
        return None
    return Taker(channel.id, order.customer_group)


def _with_state(submission: Submission, reference: Reference) -> Submission:
    """Return an order on its channel's label with the state that its CEP lies in, where it says none.

    The channel has the address, and keeps it to itself: nobody could complete it here.
    """
    if not reference.labelled:
        return submission
    order = submission.order
    to = order.ship_to
    if to is None or to.state.strip() or reference.services.get(order.service or "") not in reference.labelled:
        return submission
    place = locate(to.postal_code)
    if place is None:
        return submission
    with_state = msgspec.structs.replace(order, ship_to=msgspec.structs.replace(to, state=place.state))
    return msgspec.structs.replace(submission, order=with_state)


def _address_of(submission: Submission, *, labelled: bool) -> tuple[str | None, dict[HoldKind, dict[str, Any]]]:
    """Return the state that an order goes to, None where it says none, and the hold on its address.

    Goods of an address that lacks something, or whose CEP is of another state, are kept meanwhile. Of an order of the
    past nobody asks any of that: it has been there. Nor of one `labelled` by its channel, which may keep the street to
    itself: only where it is decided from, its state, is ours to know.
    """
    to = submission.order.ship_to
    state = to.state if to is not None else None
    if to is None or state not in STATES:
        lacking = [*([] if labelled else rules.lacking(to or Address())), "state"]
        return None, {HoldKind.ADDRESS: {"state": state, "missing": lacking}}
    if submission.release_now or labelled:
        return state, {}
    if missing := rules.lacking(to):
        return state, {HoldKind.ADDRESS: {"state": state, "missing": missing}}
    other = state_beside(to.postal_code, state)
    return state, {} if other is None else {HoldKind.ADDRESS_CHECK: {"state": state, "cep_state": other}}


def _unasked(submission: Submission, channel: Channel) -> dict[str, int]:
    """Return of which SKUs an order wants more than its channel takes unasked; none of an order of the past."""
    if submission.release_now:
        return {}
    return rules.beyond(((line.sku, line.quantity) for line in submission.order.lines), channel.most_units)


def _holds_of(
    submission: Submission, channel: Channel, reference: Reference, skus: dict[str, Any], total: int
) -> tuple[dict[HoldKind, dict[str, Any]], tuple[int | None, int | None, str | None] | None]:
    """Return an order's first holds, and (service, pickup location, state) to plan for, or None where no plan is."""
    order = submission.order
    holds: dict[HoldKind, dict[str, Any]] = {}
    service_id: int | None = None
    location_id: int | None = None
    state: str | None = None
    routable = True
    unknown = [n for n, line in enumerate(order.lines, 1) if line.sku not in skus]
    if unknown:
        holds[HoldKind.UNKNOWN_SKU] = {"lines": unknown}
        routable = len(unknown) < len(order.lines)
    if order.service is not None:
        service_id = reference.services.get(order.service)
        if service_id is None:
            holds[HoldKind.UNKNOWN_SERVICE] = {"service": order.service}
            routable = False
    if order.method == "pickup":
        location_id = reference.locations.get(order.pickup_location or "")
        if location_id is None:
            holds[HoldKind.UNKNOWN_LOCATION] = {"location": order.pickup_location}
            routable = False
    else:
        state, wrong = _address_of(submission, labelled=service_id in reference.labelled)
        holds |= wrong
        routable = routable and state is not None
    document = order.customer.document
    if document and normalise_document(document) is None:
        holds[HoldKind.CUSTOMER] = {"field": "document"}
    many = _unasked(submission, channel)
    if many:
        holds[HoldKind.QUANTITY] = {"most": channel.most_units, "skus": many}
    if order.total is not None and order.total != total:
        holds[HoldKind.TOTALS] = {"stated": order.total, "computed": total}
    if channel.payment_policy == "before_release" and not rules.paid_enough(order, total):
        holds[HoldKind.PAYMENT] = {}
    return holds, (service_id, location_id, state) if routable and not many else None


def _request(
    submission: Submission,
    order: NewOrder,
    channel: Channel,
    skus: dict[str, Any],
    target: tuple[int | None, int | None, str | None],
    reference: Reference,
) -> Request:
    service_id, location_id, state = target
    lines: list[RequestLine] = []
    terms = reference.network.terms
    worth: dict[int, tuple[Sequence[int], int]] = {}
    for n, line in enumerate(order.lines, 1):
        card = skus.get(line.sku)
        if card is not None:
            lines.append(RequestLine(n, card.id, line.quantity, card.grams, card.components))
            if terms.asks_goods:
                value = (line.quantity * line.unit_price - line.discount) // line.quantity
                worth[n] = (card.id, *card.stocked), value
    return Request(
        order_id=submission.id,
        channel_id=channel.id,
        method=order.method,
        service_id=service_id,
        pickup_location_id=location_id,
        to_state=state,
        lines=lines,
        goods=reference.goods(worth),
        to_cep=order.ship_to.postal_code if terms.asks_cep and order.ship_to is not None else None,
    )


def _units_of(
    batch: _Batch,
    submission: Submission,
    order_id: str,
    reference: Reference,
    skus: dict[str, Any],
    plan: Plan | None,
    channel: Channel,
    covers: Sequence[NewClaim],
) -> tuple[set[UnitState], list[LineOutcome], list[int]]:
    """Collect lines, kit components, units, claims and ledger rows; lower the batch's running balances."""
    new, free, claims = batch.new, batch.free, batch.claims
    led_skus, led_locations, led_quantities, led_orders, led_actors = batch.ledger
    went: dict[int, list[tuple[int, int]]] = {}
    if plan is not None:
        for n, index, quantity in plan.assignments:
            went.setdefault(n, []).append((index, quantity))
    short = _waits_as(channel, plan)
    states: set[UnitState] = set()
    outcome: list[LineOutcome] = []
    used: dict[int, None] = {}
    waits = dropping.waiting(by_line(covers) if covers else {}, plan, reference.snapshot)
    for n, line in enumerate(submission.order.lines, 1):
        card = skus.get(line.sku)
        sku_id = None if card is None else card.id
        new.lines.append(
            (
                order_id,
                n,
                sku_id,
                line.sku,
                line.name or ("" if card is None else card.name),
                line.quantity,
                line.unit_price,
                line.discount,
                line.external_id,
            )
        )
        parts: tuple[tuple[int, int], ...] = ()
        if card is not None:
            parts = card.components or ((card.id, 1),)
            if card.components:
                new.components.extend([(order_id, n, component, per) for component, per in card.components])
        part = 0
        left = line.quantity
        for index, quantity in went.get(n, ()):
            location = reference.network.location_ids[index]
            used[location] = None
            for component, per in parts:
                part += 1
                units = quantity * per
                new.units.append((order_id, n, part, component, units, "allocated", location))
                free[component][index] -= units
                key = (component, location)
                claims[key] = claims.get(key, 0) + units
                led_skus.append(component)
                led_locations.append(location)
                led_quantities.append(units)
                led_orders.append(order_id)
                led_actors.append(submission.actor)
            outcome.append(LineOutcome(n, line.sku, quantity, "allocated", reference.location_codes[index]))
            states.add(UnitState.ALLOCATED)
            left -= quantity
        for units, vendor in waits.get(n, ()):
            new.units += _waiting(order_id, n, part, parts, units, UnitState.BACKORDERED)
            part += len(parts)
            outcome.append(LineOutcome(n, line.sku, units, UnitState.BACKORDERED.value, vendor))
            states.add(UnitState.BACKORDERED)
            left -= units
        if left:
            state = UnitState.UNPLACED if card is None or plan is None else short
            new.units += _waiting(order_id, n, part, parts, left, state)
            outcome.append(LineOutcome(n, line.sku, left, state.value))
            states.add(state)
    _claim_at_hand(batch, submission, order_id, reference, covers)
    return states, outcome, list(used)


def _waiting(
    order_id: str, line: int, part: int, parts: Sequence[tuple[int, int]], quantity: int, state: UnitState
) -> list[tuple[Any, ...]]:
    """Return rows of units without a place, numbered after `part`: of kits one for each component."""
    rows: Sequence[tuple[int | None, int]] = parts or ((None, 1),)
    return [
        (order_id, line, part + at, sku, quantity * per, state.value, None) for at, (sku, per) in enumerate(rows, 1)
    ]


def _claim_at_hand(
    batch: _Batch, submission: Submission, order_id: str, reference: Reference, covers: Sequence[NewClaim]
) -> None:
    """Claim what is there of the components of kits that wait for the rest; lower the running balances."""
    led_skus, led_locations, led_quantities, led_orders, led_actors = batch.ledger
    for c in at_hand(covers):
        key = c.sku_id, c.location_id
        batch.free[c.sku_id][reference.network.index[c.location_id]] -= c.quantity
        batch.claims[key] = batch.claims.get(key, 0) + c.quantity
        led_skus.append(c.sku_id)
        led_locations.append(c.location_id)
        led_quantities.append(c.quantity)
        led_orders.append(order_id)
        led_actors.append(submission.actor)


def _out_of_stock(order: NewOrder, uncovered: Sequence[tuple[int, int]], caps: Sequence[str]) -> MalhaError:
    limited = {"caps": list(caps)} if caps else {}
    shortages = [
        {"line": n, "sku": order.lines[n - 1].sku, "asked": order.lines[n - 1].quantity, "missing": missing} | limited
        for n, missing in uncovered
    ]
    return OutOfStock(count=len(shortages), shortages=shortages)


def _promises(
    order: NewOrder,
    stated: datetime | None,
    plan: Plan | None,
    made: Made | None,
    covers: Sequence[NewClaim],
    reference: Reference,
    released_at: datetime,
) -> tuple[datetime | None, dict[int, datetime]]:
    """Return until when an order should arrive, and lines whose day is another: what is stated, else ours.

    Ours is that of `promised.days_of`, which is shown before: the first is the order's, until it is kept. Stated is
    what the channel promised, or the end of the order's slot; where that is sooner than supply comes, the lines that
    wait get their own. `made` is what the plan's date is made of, where one can be said.
    """
    to_state, zone = _state_of(order), _zone_of(order, reference)
    own = promised([*covers, *dropping.supply_of(plan, reference.snapshot, released_at)], to_state, zone)
    if stated is not None:
        own = {n: at for n, at in own.items() if at > stated}
        return stated, _line_days(order, stated, own)
    pickup = _fetched_at(order, reference)
    travels = plan is not None and plan.lead_days is not None
    fetched = pickup is not None and order.slot is None  # one whose slot was gone waits for somebody to find another
    if plan is not None and (own or travels or fetched) and not _uncovered(plan, covers):
        arrives = None if made is None else max([leg.arrives for leg in made.legs], default=None)
        ready = None if made is None or made.ready is None else made.ready.ready_at
        own = offering.days_of(plan, covers, reference, released_at, to_state, pickup, arrives, ready) or own
    soonest = min(own.values(), default=None)
    return soonest, {} if soonest is None else _line_days(order, soonest, own)


def _fetched_at(order: NewOrder, reference: Reference) -> int | None:
    """Return the index of the place an order is fetched at; None: it is sent, or nobody knows that place."""
    if order.method != "pickup":
        return None
    return reference.network.index.get(reference.locations.get(order.pickup_location or "", 0))


def _is_brought(order: NewOrder, plan: Plan | None) -> bool:
    """Tell whether goods are brought to where an order is fetched: they leave in time for it, whatever its slot."""
    return plan is not None and plan.lead_days is not None and order.method == "pickup"


def _line_days(order: NewOrder, soonest: datetime, own: dict[int, datetime]) -> dict[int, datetime]:
    """Return the day of every line where they differ, else nothing."""
    days = {n: own.get(n, soonest) for n in range(1, len(order.lines) + 1)}
    return days if set(days.values()) != {soonest} else {}


def _state_of(order: NewOrder) -> str | None:
    """Return the state an order is sent to; None where its customer fetches it, or says none."""
    return None if order.ship_to is None or order.method == "pickup" else order.ship_to.state


def _zone_of(order: NewOrder, reference: Reference) -> str:
    """Return the time zone of where an order is fetched; the retailer's, of others."""
    index = reference.network.index.get(reference.locations.get(order.pickup_location or "", 0))
    return reference.zone.key if index is None else reference.details[index].timezone


def _made_of(
    order: NewOrder, plan: Plan, covers: Sequence[NewClaim], reference: Reference, released_at: datetime
) -> Made | None:
    """Return what the date of an order is made of; None where no date can be said."""
    stated = order.promised_at is not None
    claims = [*(expected(covers) if covers else ()), *dropping.supply_of(plan, reference.snapshot, released_at)]
    pickup = _fetched_at(order, reference)
    if pickup is not None:
        if order.slot is not None:  # the slot's end is its date
            return None
        return offering.ready_of(plan, reference, pickup, released_at, claims, stated=stated)
    return offering.made_of(plan, reference, released_at, _state_of(order), claims, stated=stated)


def _details_of(order: NewOrder, order_id: str) -> list[tuple[str, str]]:
    return [] if order.details is None else [(order_id, _json(order.details).decode())]


def _tags_of(order: NewOrder, order_id: str) -> list[tuple[str, str, str]]:
    said = () if order.details is None else order.details.tags
    return [(key, order_id, tag) for key, tag in tags_of(said).items()]


async def _write(tx: Tx, batch: _Batch, outcomes: list[Outcome | None], revision: int) -> None:
    """Claim and write everything in one round trip; number the replies.

    Raises:
        Moved: a balance, fence or cap refused, a natural key appeared or allotments changed meanwhile.
    """
    allotting = batch.allotting
    slotting = batch.slotting
    async with tx.pipeline():
        booked = await capacity.queue_bookings(tx, slotting.bookings) if slotting.bookings else None
        covers = batch.covering.claims
        supplied = await ahead.queue_claims(tx, covers) if covers else None
        # What is claimed of stock says itself under which allotments.
        since = await revisions.queue_current(tx, allotments.REVISION) if covers and not batch.claims else None
        drawing = None
        drawn: dict[tuple[int, int], int] = {}
        if allotting is not None and (allotting.draws or allotting.uses):
            drawing = await drawn_claims.queue(
                tx, allotting.allotments.caps, allotting.draws, allotting.uses, _actors_by_order(batch)
            )
            drawn = allotting.drawn()
        granted = await inventory.queue_claims(tx, batch.claims, batch.ledger, drawn) if batch.claims else None
        inserted = await placing.insert_orders(tx, batch.new)
        if batch.tenders:
            totals = {order_id: batch.placed[str(order_id)][1].total for order_id, _ in batch.tenders}
            await payments.record_tenders(tx, _tender_rows(batch.tenders), totals)
        taken = await payments.queue_claims(tx, batch.paying) if batch.paying else None
        if batch.decisions:
            await decisions.record_decisions(tx, batch.decisions)
        asked = await vendors.queue_asks(tx, batch.drops)
        await outbox.add_all(tx, batch.events, batch.actors, batch.ats)
        if asked:
            await outbox.add_all(tx, asked)
    applied = booked is None or await booked.applied()
    applied &= drawing is None or await drawing.applied()
    if supplied is not None:
        lines, wanted_lines, counted, wanted_counts = supplied
        applied &= (await lines.fetchall())[0][0] == wanted_lines
        applied &= (await counted.fetchall())[0][0] == wanted_counts
    claimed, under = (0, revision) if granted is None else (await granted.fetchall())[0]
    if since is not None:
        under = sum(n for (n,) in await since.fetchall())
    numbers = dict(await inserted.fetchall())
    applied &= taken is None or len(await taken.fetchall()) == len(batch.paying)
    if under != revision:
        raise Moved(stale=True)
    if claimed != len(batch.claims) or len(numbers) != len(batch.placed) or not applied:
        raise Moved
    for order_id, (position, placed) in batch.placed.items():
        outcomes[position] = msgspec.structs.replace(placed, number=numbers[order_id])


async def _keep_trail(tx: Tx, fresh: Sequence[tuple[int, Submission]], outcomes: Sequence[Outcome | None]) -> None:
    """Write down who took orders by hand, and from where; what systems submit stands in the log of events alone."""
    taken = []
    for position, submission in fresh:
        placed = outcomes[position]
        if submission.taken_by is not None and isinstance(placed, Placed):
            facts = {
                "number": placed.number,
                "channel": placed.channel,
                "external_id": placed.external_id,
                "total": placed.total,
            }
            taken.append((Actor(*msgspec.structs.astuple(submission.taken_by)), placed.id, facts))
    await audit.record_of(tx, action="take", entity="order", made=taken)


def _actors_by_order(batch: _Batch) -> dict[UUID, str]:
    placed = [placed.id for _, placed in batch.placed.values()]
    return dict(zip(placed, batch.actors, strict=True))


def _identities_of(fresh: Sequence[tuple[int, Submission]]) -> list[str]:
    """Return the payments of a batch that are told apart from those of all other orders."""
    return payments.identities_of(said for _, s in fresh if not s.release_now for said in _said(s))


def _said(submission: Submission) -> list[tuple[str, str | None, str]]:
    return [(paid.kind, paid.reference, paid.state) for paid in submission.order.payments]


def _tender_rows(tenders: Sequence[tuple[UUID, NewOrder]]) -> list[payments.NewTender]:
    return [
        payments.NewTender(
            order_id=order_id,
            position=position,
            kind=payment.kind,
            amount=payment.amount,
            state=payment.state,
            reference=payment.reference,
            installments=payment.installments,
            expires_at=payment.expires_at,
            occurred_at=payment.paid_at or order.placed_at,
        )
        for order_id, order in tenders
        for position, payment in enumerate(order.payments, 1)
    ]
