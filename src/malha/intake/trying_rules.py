"""Trying routing rules on an order or an example: which run and rule would decide now, and what the plan would be."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.catalog import reads as catalog
from malha.intake.model import Code, Quantity
from malha.intake.reference import Reference, reference_in
from malha.inventory import reads as stock
from malha.network.model import Method
from malha.network.places import locate
from malha.network.service import refuse_limited
from malha.ordering import reads as orders
from malha.ordering import service as ordering
from malha.ordering.errors import OrderNotFound
from malha.ordering.model import UnitState
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import new_id
from malha.routing import rules as routing
from malha.routing.model import Plan, Request, RequestLine, parts_of
from malha.routing.ruling import reads
from malha.routing.ruling.errors import RuleSetNotFound
from malha.routing.ruling.model import Facts, Unfilled
from malha.routing.ruling.planning import Rules
from malha.routing.ruling.telling import rule_sentences

NO_STATE = N_("There is no state {state}.")
NO_CEP = N_("No city has the CEP {cep}.")


class TrialLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an example."""

    sku: Code
    quantity: Quantity = 1


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is tried: the order of a number as if it came now, or an example. `rule_set` None: the one in force.

    `value` is the order's total in centavos; `to_state` follows from a CEP that is known.
    """

    rule_set: int | None = None
    order: Annotated[int, Meta(ge=1)] | None = None
    channel: Code | None = None
    method: Method = Method.SHIP
    to_state: Annotated[str, Meta(max_length=2)] | None = None
    postal_code: Annotated[str, Meta(max_length=20)] | None = None
    pickup_location: Code | None = None
    customer_group: Code | None = None
    value: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    lines: Annotated[list[TrialLine], Meta(max_length=100)] = []


class TrialPlace(msgspec.Struct, frozen=True):
    """Units of a SKU that would leave a location."""

    sku: str
    quantity: int
    location: str  # code
    name: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules would do. `rule_set` None: no rules. `run` None: no run takes it; it goes where it is cheapest."""

    rule_set: int | None  # id
    number: int | None
    run: str | None
    rule: str | None
    rows: list[int]  # of the decision table, from 1 on, that fitted it and counted
    tried: list[str]  # rules before, which could not fill it
    ending: Unfilled | None
    cancel_after_days: int | None
    places: list[TrialPlace]
    unplaced: list[TrialLine]
    cost: int  # centavos
    packages: int
    sentences: list[str]  # in the reader's language


async def try_rules(tx: Tx, trial: Trial) -> Tried:
    """Plan an order or example by a rule set, on the stock of now; nothing is written.

    Raises:
        SharedByAll: the actor is limited to some locations.
        OrderNotFound, RuleSetNotFound: there is none.
        Invalid: the example says too little, or names what is not there.
    """
    refuse_limited(tx)
    reference = await reference_in(tx)
    found = None if trial.rule_set is None else await reads.rule_set(tx, trial.rule_set)
    if trial.rule_set is not None and found is None:
        raise RuleSetNotFound(key=trial.rule_set)
    rules = reference.rules
    if found is not None:
        rules = await reads.compiled(tx, found.number or 0, found.content, reference.snapshot)
    request, facts, free = await (
        _example(tx, reference, trial) if trial.order is None else _order(tx, reference, trial.order)
    )
    if rules is not None:
        traits = await reads.traits(tx, facts.skus) if rules.asks_goods else {}
        await reads.learn_vendors(tx, rules, set(free))
        request = msgspec.structs.replace(request, under=rules.under(facts, traits))
    plan = routing.plan(request, reference.network, free, reference.taken, reference.prices, costs=False)
    set_id = None if found is None else found.id
    return await _told(tx, reference, request, plan, rules, set_id)


Asked = tuple[Request, Facts, dict[int, list[int]]]


async def _example(tx: Tx, reference: Reference, trial: Trial) -> Asked:
    cards = await reference.cards(tx, {line.sku for line in trial.lines})
    channel = reference.channels.get(trial.channel or "")
    flaws = [] if trial.lines else [Flaw("lines", N_("Name at least one SKU."))]
    if channel is None:
        flaws.append(Flaw("channel", N_("There is no channel {code}."), facts={"code": trial.channel or ""}))
    flaws += [
        Flaw(f"lines/{n}/sku", N_("There is no SKU {value}."), facts={"value": line.sku})
        for n, line in enumerate(trial.lines)
        if line.sku not in cards
    ]
    pickup = None
    if trial.method is Method.PICKUP:
        pickup = reference.locations.get(trial.pickup_location or "")
        if pickup is None:
            says = N_("There is no location {code}.")
            flaws.append(Flaw("pickup_location", says, facts={"code": trial.pickup_location or ""}))
    to_state, wrong = _state_of(trial) if pickup is None and trial.method is Method.SHIP else (None, [])
    refuse([*flaws, *wrong])
    assert channel is not None  # noqa: S101
    wanted = [(cards[line.sku], line.quantity) for line in trial.lines]
    lines = [
        RequestLine(n, card.id, quantity, card.grams, card.components) for n, (card, quantity) in enumerate(wanted, 1)
    ]
    facts = Facts(
        channel=channel.code,
        method=trial.method.value,
        to_state=to_state,
        postal_code=trial.postal_code or None,
        customer_group=trial.customer_group or None,
        value=trial.value,
        units=sum(line.quantity for line in lines),
        grams=sum(line.quantity * line.grams for line in lines),
        skus=[line.sku_id for line in lines],
        at=await tx.now(),
    )
    return _request(channel.id, facts, lines, None, pickup), facts, await _free(tx, reference, lines, {})


def _state_of(trial: Trial) -> tuple[str | None, list[Flaw]]:
    """Return the state an example goes to, stated or that of its CEP, and why there is none."""
    if trial.to_state:
        state = trial.to_state.strip().upper()
        return state, [] if state in STATES else [Flaw("to_state", NO_STATE, facts={"state": trial.to_state})]
    if not trial.postal_code:
        return None, [Flaw("to_state", N_("Say where it goes."), N_("Give the state, or a CEP."))]
    place = locate(trial.postal_code)
    if place is None:
        return None, [Flaw("postal_code", NO_CEP, N_("Correct it, or give the state."), {"cep": trial.postal_code})]
    return place.state, []


async def _order(tx: Tx, reference: Reference, number: int) -> Asked:
    order_id = await orders.id_of(tx, number)
    if order_id is None:
        raise OrderNotFound(key=number)
    order = await ordering.lock_order(tx, order_id)
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    own: dict[tuple[int, int], int] = {}
    for u in units:
        if u.state is UnitState.ALLOCATED and u.sku_id is not None and u.location_id is not None:
            own[u.sku_id, u.location_id] = own.get((u.sku_id, u.location_id), 0) + u.quantity
    sold = [line for line in (await ordering.lines_of(tx, [order_id]))[order_id] if line.sku_id is not None]
    grams = await reference.weights(tx, {line.sku_id for line in sold if line.sku_id is not None})
    lines = [
        RequestLine(
            line.line, line.sku_id, line.quantity, grams[line.sku_id], tuple(sorted(line.components.items())) or None
        )
        for line in sold
        if line.sku_id in grams
    ]
    if not lines:
        refuse([Flaw("order", N_("None of its SKUs is known."))])
    state = (order.ship_to or {}).get("state")
    facts = Facts(
        channel=reference.channel_codes[order.channel_id],
        method=order.method,
        to_state=state if order.method == Method.SHIP and isinstance(state, str) else None,
        postal_code=(order.ship_to or {}).get("postal_code"),
        customer_group=order.customer_group,
        value=order.total,
        units=sum(line.quantity for line in lines),
        grams=sum(line.quantity * line.grams for line in lines),
        skus=[line.sku_id for line in lines],
        at=order.placed_at,
    )
    request = _request(order.channel_id, facts, lines, order.service_id, order.pickup_location_id)
    return request, facts, await _free(tx, reference, lines, own)


def _request(
    channel_id: int, facts: Facts, lines: list[RequestLine], service_id: int | None, pickup: int | None
) -> Request:
    return Request(
        order_id=new_id(),
        channel_id=channel_id,
        method=facts.method,
        service_id=service_id,
        pickup_location_id=pickup,
        to_state=facts.to_state or "",
        lines=lines,
    )


async def _free(
    tx: Tx, reference: Reference, lines: list[RequestLine], own: dict[tuple[int, int], int]
) -> dict[int, list[int]]:
    """Return what is free now, with what the order holds itself."""
    skus = sorted({sku for line in lines for sku, _ in parts_of(line)})
    rows = await (await stock.queue_free_stock(tx, skus)).fetchall()
    free = reference.grid(skus, rows)
    for (sku, location), units in own.items():
        if sku in free and location in reference.network.index:
            free[sku][reference.network.index[location]] += units
    return free


async def _told(
    tx: Tx, reference: Reference, request: Request, plan: Plan, rules: Rules | None, set_id: int | None
) -> Tried:
    cards = {card.id: card.sku for card in await catalog.by_ids(tx, sorted({line.sku_id for line in request.lines}))}
    sku_of = {line.line: cards.get(line.sku_id, "") for line in request.lines}
    bound = plan.basis.bound
    return Tried(
        rule_set=set_id,
        number=None if rules is None else rules.number or None,
        run=None if bound is None else bound.run,
        rule=None if bound is None else bound.rule,
        rows=[] if bound is None else bound.rows,
        tried=[] if bound is None else bound.tried,
        ending=None if bound is None else bound.ending,
        cancel_after_days=None if bound is None else bound.cancel_after_days,
        places=[
            TrialPlace(sku_of[n], quantity, reference.location_codes[at], reference.details[at].name)
            for n, at, quantity in plan.assignments
        ],
        unplaced=[TrialLine(sku_of[n], quantity) for n, quantity in plan.unplaced],
        cost=plan.cost,
        packages=plan.packages,
        sentences=[]
        if bound is None
        else rule_sentences(bound, {x.id: x.name for x in reference.snapshot.locations.values()}),
    )
