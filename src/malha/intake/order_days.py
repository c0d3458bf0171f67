"""The days of a new order: from when it may be released, until when it should arrive, and what that is made of."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from malha.intake import dropping
from malha.intake import promised as offering
from malha.intake.covering import Covering, by_line, expected, promised
from malha.intake.model import NewOrder, Submission
from malha.intake.reference import Channel, Reference
from malha.inventory.ahead.model import NewClaim
from malha.promising.model import Made
from malha.routing.model import Plan, uncovered


def uncovered_by(plan: Plan, covers: Sequence[NewClaim]) -> list[tuple[int, int]]:
    """Return what neither stock nor supply covers, nor a vendor sends, by line."""
    if not plan.unplaced:  # nearly always
        return plan.unplaced
    sent = dropping.units_in(plan)  # what a vendor may send is not sold ahead
    return uncovered(plan.unplaced, by_line(covers) | sent)


def release_after(
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


def promises_of(
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
    if plan is not None and (own or travels or fetched) and not uncovered_by(plan, covers):
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


def is_brought(order: NewOrder, plan: Plan | None) -> bool:
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


def made_of(
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
