"""What holds a new order up: an address, an unknown SKU, a payment; and what is short of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.intake import ruled, rules
from malha.intake.model import Submission
from malha.intake.reference import Channel, Reference
from malha.network.places import locate, state_beside
from malha.ordering.model import HoldKind, UnitState
from malha.platform.address import Address
from malha.platform.brazil import STATES, normalise_document
from malha.routing.model import Plan


def hold_for_shortage(
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


def waits_as(channel: Channel, plan: Plan | None) -> UnitState:
    """Return the state of units that have no place: what a routing rule left waits for a person."""
    if channel.shortage_policy != "backorder" or (plan is not None and ruled.ending_of(plan) is not None):
        return UnitState.UNPLACED
    return UnitState.BACKORDERED


def with_state(submission: Submission, reference: Reference) -> Submission:
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


def holds_of(
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
