"""The questions that the page of an order answers first: where is it, is it late, what keeps it, what can be done."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from malha.console import render, words
from malha.console.order_facts import Facts, count_of, is_locked, open_work, places_of
from malha.console.order_steps import Step
from malha.ordering import listing
from malha.ordering.model import GONE, WAITING, OrderStatus, UnitState
from malha.ordering.promised_days import ends_at, is_by_day
from malha.ordering.reads import UnitRow
from malha.platform.clock import now
from malha.platform.i18n import N_, _, n_
from malha.platform.text import within
from malha.promising.slipping import SLIP_WORDS, Slip


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One of the four answers: a strong line and a supporting one."""

    icon: str
    asks: str
    says: str
    tone: str = ""  # m-ok, m-soon, m-late
    rest: str = ""  # continues the strong line without the tone
    more: str = ""


def _nowhere(facts: Facts, done: dict[str, str], alive: int) -> Answer:
    """Return where an order is of which no location has anything: with vendors, or nowhere."""
    if alive == facts.at_vendors:
        names = dict.fromkeys(row.location_name for row in facts.drops if row.is_open)
        others = [_("outside of your locations")] if facts.at_others else []
        return Answer(**done, says=_("At a vendor"), more=", ".join([*names, *others]))
    return Answer(
        **done, says=_("Without a location"), more=n_("{n} unit waits for one.", "{n} units wait for one.", alive)
    )


def where_is_it(facts: Facts) -> Answer:
    """Answer where the goods of an order are."""
    asks, units, header = _("Where is it?"), facts.living, facts.header
    done = {"icon": "map-pin", "asks": asks}
    if not units:
        return Answer(**done, says=_("Nowhere: cancelled"), more=_("Its stock was given back."))
    states = {u.state for u in units}
    alive = count_of(units)
    if states <= {UnitState.DELIVERED, UnitState.COLLECTED}:
        return Answer(**done, says=_("With the customer"), more=_delivered_text(facts))
    if states <= GONE:
        parcel = next((s for s in facts.shipments if s.shipped_at), None)
        carrier = (parcel and parcel.carrier) or header.carrier or _("the carrier")
        code = (parcel and parcel.tracking_code) or ""
        left = (
            _("Left {place} {time}.", place=places_of(units), time=render.moment(parcel.shipped_at))
            if parcel and parcel.shipped_at
            else ""
        )
        return Answer(
            **done, says=_("On its way with {carrier}", carrier=carrier), more=" ".join(x for x in (left, code) if x)
        )
    if states <= WAITING:
        return _nowhere(facts, done, alive)
    placed = [u for u in units if u.location]
    if UnitState.READY in states:
        return Answer(**done, says=_("At the counter of {place}", place=places_of(placed)), more=_ready_text(facts))
    more = _progress_text(units, pickup=header.method == "pickup")
    sent = states == {UnitState.IN_TRANSFER}
    where = places_of(placed)
    return Answer(**done, says=_("On its way to {place}", place=where) if sent else where, more=more)


def _last_seen(facts: Facts) -> datetime | None:
    """Return when the last parcel arrived or, where nobody said so, left."""
    return max((at for s in facts.shipments if (at := s.delivered_at or s.shipped_at)), default=None)


def _delivered_text(facts: Facts) -> str:
    last = _last_seen(facts)
    who = next((s.received_by for s in facts.shipments if s.received_by), None)
    when = _("Since {time}.", time=render.moment(last)) if last else ""
    return " ".join(x for x in (when, _("Received by {name}.", name=who) if who else "") if x)


def _ready_text(facts: Facts) -> str:
    waiting = [w for w in facts.work if w.state == "ready" and w.pickup_until]
    until = next((w.pickup_until for w in waiting), None)
    if until and waiting[0].pickup_expired_at:
        return _("Not collected until {day}: cancel the document, or give more time.", day=render.day(until))
    return _("Waits for the customer until {day}.", day=render.day(until)) if until else _("Waits for the customer.")


def _progress_text(units: Sequence[UnitRow], *, pickup: bool) -> str:
    alive, parts = count_of(units), []
    placed = {u.location_id for u in units if u.location_id}
    waiting = count_of(units, WAITING)
    for states, says in (
        ({UnitState.ALLOCATED}, N_("{n} of {all} allocated")),
        ({UnitState.RELEASED}, N_("{n} of {all} to accept")),
        ({UnitState.PICKING}, N_("{n} of {all} to pick")),
        ({UnitState.PICKED}, N_("{n} of {all} picked")),
        ({UnitState.PACKED, UnitState.INVOICED, UnitState.AWAITING_DOCUMENT}, N_("{n} of {all} packed")),
        (
            {UnitState.IN_TRANSFER},
            N_("{n} of {all} on the way to the store") if pickup else N_("{n} of {all} on the way to be sent together"),
        ),
        (GONE, N_("{n} of {all} shipped")),
    ):
        count = count_of(units, states)
        if count:
            parts.append(_(says, n=count, all=alive))
    if waiting:
        parts.append(words.UNIT_COUNT[UnitState.UNPLACED](waiting))
    parcels = n_("{n} location", "{n} locations", len(placed)) if len(placed) > 1 else ""
    return ", ".join(x for x in (*parts, parcels) if x)


def _promise(facts: Facts) -> str:
    """Say what was promised, and what was promised first."""
    present = facts.header.promised_at
    if present is None:
        return ""
    last = facts.header.complete_at
    says = _("Promised for {day}.", day=_promised_for(facts, present))
    if last and last > present:
        says += " " + _("All of it is promised for {day}.", day=_promised_for(facts, last))
    first = facts.first_promise
    if not first or first == present:
        return says
    return f"{says} {_('First for {day}.', day=_promised_for(facts, first))}"


def _promised_for(facts: Facts, at: datetime) -> str:
    """Return the day a promise means where the order goes or is fetched, as people say it, or its hour."""
    fetched_in = facts.header.pickup_zone
    if fetched_in is not None and not is_by_day(at, ZoneInfo(fetched_in)):
        return render.moment(at)
    return render.promise_text(at, state_of(facts), fetched_in)


def state_of(facts: Facts) -> str | None:
    """Return the state an order goes to; None where it is fetched."""
    header = facts.header
    return None if header.method == "pickup" else (header.ship_to or {}).get("state")


def _slips(facts: Facts) -> str:
    """Say that its plan cannot keep its day, and why, as the last look found it."""
    slip = facts.slip
    if slip is None or ends_at(slip.promised_at) <= now():
        return ""
    why = _(SLIP_WORDS[Slip(slip.reason)])
    if slip.expected_at is None:
        return _("It cannot keep that day, and no other can be said: {why}.", why=why)
    return _("Its plan comes to {day}: {why}.", day=_promised_for(facts, slip.expected_at), why=why)


def is_it_late(facts: Facts) -> Answer:  # noqa: PLR0911 -- a table of cases, one sentence each
    """Answer whether an order keeps its promise."""
    header, at = facts.header, now()
    promised = header.promised_at and ends_at(header.promised_at)
    base = {"icon": "clock", "asks": _("Is it late?")}
    promise = _promise(facts)
    if header.status == OrderStatus.CANCELLED:
        return Answer(**base, says=_("No longer counts"), more=promise)
    if header.method == "pickup" and header.status in {OrderStatus.READY, OrderStatus.DELIVERED}:
        # To be ready is what was promised: when the customer comes is theirs to say.
        collected = header.status == OrderStatus.DELIVERED
        return Answer(**base, says=_("Collected") if collected else _("Ready to collect"), tone="m-ok", more=promise)
    due = min((w.due_at for w in open_work(facts) if w.state != "ready"), default=None)
    if header.status == OrderStatus.DELIVERED:
        last, until = _last_seen(facts), header.complete_at and ends_at(header.complete_at)
        if last and until and last > until:
            return Answer(
                **base,
                says=_("Arrived late"),
                tone="m-late",
                rest=_(", by {time}", time=render.span(last - until)),
                more=promise,
            )
        return Answer(**base, says=_("Arrived in time"), tone="m-ok", more=promise)
    deadline = due or promised
    if deadline is None:
        return _undated(facts, base)
    leave = (
        _("Leave by {time}.", time=render.moment(due))
        if due and header.method == "ship"
        else _("Ready by {time}.", time=render.moment(due))
        if due
        else ""
    )
    slips = _slips(facts)
    more = " ".join(x for x in (leave, promise, slips) if x)
    if deadline < at:
        return Answer(
            **base,
            says=_("It is late"),
            tone="m-late",
            rest=_(", by {time}", time=render.span(at - deadline)),
            more=more,
        )
    if slips:
        return Answer(**base, says=_("It will be late on its plan"), tone="m-late", more=more)
    if deadline - at < render.SOON:
        return Answer(
            **base,
            says=_("Soon due"),
            tone="m-soon",
            rest=_(", {time} left", time=render.span(deadline - at)),
            more=more,
        )
    return Answer(
        **base, says=_("On time"), tone="m-ok", rest=_(", {time} to spare", time=render.span(deadline - at)), more=more
    )


def _undated(facts: Facts, base: dict[str, Any]) -> Answer:
    """Return why nobody can say by when an order is to be there."""
    if count_of(facts.living, WAITING):
        return Answer(**base, says=_("Nothing promised yet"), more=_("It is, once all of its goods have a place."))
    if facts.header.method == "pickup":
        counts = _("The deadline of who picks it counts from its release.")
        return Answer(**base, says=_("No deadline yet"), more=counts)
    return Answer(**base, says=_("No promise was made"), more=_("The channel sent no date for this order."))


def _waits(facts: Facts, base: dict[str, Any], waiting: int) -> Answer:
    """Return for what units without a place wait: a vendor, goods on order, or somebody who finds them a place."""
    if waiting == facts.at_vendors:
        leaves = max((row.leaves_on for row in facts.drops if row.is_open), default=None)
        return Answer(
            **base,
            says=_("A vendor is to answer") if facts.unanswered else _("A vendor is to send it"),
            more=_("It is to leave the vendor by {day}.", day=render.calendar_day(leaves)) if leaves else "",
        )
    if waiting == facts.awaited + facts.at_vendors:
        soonest = next((row.eta for row in facts.awaits if row.eta), None)
        return Answer(
            **base,
            says=n_("{n} unit waits for goods on order", "{n} units wait for goods on order", waiting),
            more=_("Expected on {day}.", day=render.calendar_day(soonest)) if soonest else "",
        )
    return Answer(
        **base,
        says=n_("{n} unit has no location", "{n} units have no location", waiting),
        tone="m-soon",
        more=_("No location could serve them when they were last tried."),
    )


def what_keeps_it(facts: Facts) -> Answer:
    """Answer what an order waits for."""
    base: dict[str, Any] = {"icon": "lock", "asks": _("What blocks it?")}
    holds = facts.open_holds
    if holds:
        first = holds[0]
        says = _(words.HOLD.get(first.kind, first.kind))
        note = str(first.detail.get("note", ""))
        more = note or _(words.HOLD_MEND.get(first.kind, ""))
        due = facts.deadline
        if due and not due.lapsed_at:
            more = f"{_('Its stock waits for the money until {time}.', time=render.moment(due.due_at))} {more}"
        if len(holds) > 1:
            more = (
                _("And {others}.", others=", ".join(within(_(words.HOLD.get(h.kind, h.kind))) for h in holds[1:]))
                + " "
                + more
            )
        return Answer(**base, says=says, tone="m-soon", more=more)
    if any(is_locked(row) for row in open_work(facts)):
        more = _("Check who is collecting, and give the customer a new code.")
        return Answer(**base, says=_("Too many wrong pickup codes were shown."), tone="m-soon", more=more)
    waiting = count_of(facts.living, WAITING)
    if waiting:
        return _waits(facts, base, waiting)
    documents = count_of(facts.living, {UnitState.AWAITING_DOCUMENT})
    if documents:
        return Answer(
            **base,
            says=_("The fiscal document is missing"),
            tone="m-soon",
            more=n_("{n} packed unit may not leave before it.", "{n} packed units may not leave before it.", documents),
        )
    if facts.header.release_after > now() and count_of(facts.living, {UnitState.ALLOCATED}):
        return Answer(
            **base,
            says=_("Nothing"),
            rest=_(", it waits on purpose"),
            more=_("The customer may change it until {time}.", time=render.moment(facts.header.release_after)),
        )
    return Answer(**base, says=_("Nothing"))


def what_can_be_done(facts: Facts, step: Step | None, may: Callable[[str], bool] | None) -> Answer:
    """Answer what whoever looks can do, or who can; without `may` whoever it is."""
    base: dict[str, Any] = {"icon": "bulb", "asks": _("What can I do?")}
    if step is not None and may is not None and not may(step.permission):
        return Answer(**base, says=step.label, more=_("Somebody else has to: your role does not allow it."))
    if step is None:
        done = facts.header.status in listing.CLOSED
        return Answer(**base, says=_("Nothing to do"), more=_("The order is finished.") if done else "")
    return Answer(**base, says=step.label, more=step.hint)
