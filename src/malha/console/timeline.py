"""What happened to an order, as sentences in the reader's language.

Rows come from the event log: a type and its facts, ids and quantities. A type that has no sentence here is shown by
its name, so that nothing that happened is ever hidden.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.console import messages, render, words
from malha.notifications.model import CHANNEL_WORDS, KINDS, REASON_WORDS, Channel, Kind, State
from malha.notifications.reads import MessageRow
from malha.ordering.model import PROMISE_REASON_WORDS, PromiseReason
from malha.ordering.reads import TimelineRow
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_

Facts = Mapping[str, Any]


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What ids in facts are called."""

    locations: Mapping[int, str] = {}
    people: Mapping[str, str] = {}
    currency: str = "BRL"
    state: str | None = None  # the order goes to; None: it is fetched, or there is none
    fetched_in: str | None = None  # the time zone it is fetched in

    def place(self, facts: Facts, key: str = "location_id") -> str:
        """Return the name of the one location in the facts, or nothing."""
        found = facts.get(key)
        return self.locations.get(found, "") if isinstance(found, int) else ""

    def places(self, facts: Facts, key: str = "locations") -> str:
        """Return the names of the locations in the facts."""
        return ", ".join(self.locations[i] for i in facts.get(key) or () if i in self.locations)

    def actor(self, label: str) -> str:
        """Return who acted: a person's name, `API`, or nothing for the system itself."""
        kind, _separator, id_ = label.partition(":")
        if kind == "person":
            return self.people.get(id_, _("A person who has left"))
        if kind == "shopper":
            return _("Customer")
        return self.people.get(id_, _("API")) if kind == "key" else ""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it is drawn."""

    title: str
    detail: str
    icon: str
    tone: str  # done, fail, now, plain
    at: datetime
    day: str
    clock: str
    actor: str


def _money(facts: Facts, names: Names, key: str = "amount") -> str:
    amount = facts.get(key)
    return i18n.money(amount, names.currency) if isinstance(amount, int) else ""


def _units(facts: Facts) -> int:
    lines = facts.get("lines")
    if isinstance(lines, Mapping):
        return sum(v for v in lines.values() if isinstance(v, int))
    quantity = facts.get("quantity", facts.get("units"))
    return quantity if isinstance(quantity, int) else 0


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _hold(facts: Facts) -> str:
    return _(words.HOLD.get(str(facts.get("kind")), str(facts.get("kind", ""))))


def _placed(facts: Facts, names: Names) -> tuple[str, str]:
    return _("Order received"), _joined(_money(facts, names, "total"), names.places(facts))


def _cancelled(facts: Facts, names: Names) -> tuple[str, str]:
    title = (
        _("Order cancelled") if facts.get("whole") else n_("{n} unit cancelled", "{n} units cancelled", _units(facts))
    )
    reason = str(facts.get("reason", ""))
    return title, _joined(_money(facts, names), _(reason) if reason else "")


def _hold_placed(facts: Facts, _names: Names) -> tuple[str, str]:
    return _("On hold: {reason}", reason=_hold(facts)), str(facts.get("note", ""))


def _hold_resolved(facts: Facts, _names: Names) -> tuple[str, str]:
    resolution = str(facts.get("resolution", ""))
    return _("Hold lifted: {reason}", reason=_hold(facts)), _(resolution) if resolution else ""


def _count(facts: Facts, key: str = "units") -> str:
    found = facts.get(key)
    return n_("{n} unit", "{n} units", found) if isinstance(found, int) else ""


def location_ids(rows: Sequence[TimelineRow]) -> list[int]:
    """Return the locations that the facts name."""
    found: set[int] = set()
    for row in rows:
        one, several, placed, dropped = (
            row.facts.get(key) for key in ("location_id", "locations", "placed", "dropped")
        )
        named = (one, *(several or ()), *(p[1] for p in (*(placed or ()), *(dropped or ()))))
        found.update(x for x in named if isinstance(x, int))
    return sorted(found)


def _routed(facts: Facts, names: Names) -> tuple[str, str]:
    placed = facts.get("placed") or ()
    places = dict.fromkeys(names.locations.get(p[1], "") for p in placed)
    left = (
        n_("{n} unit waits", "{n} units wait", waiting)
        if (waiting := sum(u[1] for u in facts.get("unplaced") or ()))
        else ""
    )
    saved = facts.get("saved")
    if isinstance(saved, int):
        if saved > 0:
            saves = _("saves {amount}", amount=_money(facts, names, "saved"))
            return _("Moved to a cheaper location"), _joined(*places, saves)
        saves = _("together they save {amount}", amount=_money(facts, names, "saved_together"))
        return _("Made way for other orders"), _joined(*places, saves)
    if vendors := dict.fromkeys(names.locations.get(d[1], "") for d in facts.get("dropped") or ()):
        return _("A vendor was asked to send it"), _joined(*places, *vendors)
    return _("Location chosen") if placed else _("No location found"), _joined(*places, left)


def _supplied(facts: Facts, names: Names) -> tuple[str, str]:
    placed = facts.get("placed") or ()
    places = dict.fromkeys(names.locations.get(p[1], "") for p in placed)
    units = sum(p[2] for p in placed)
    return _("The goods it waited for arrived"), _joined(*places, n_("{n} unit", "{n} units", units))


def _awaits(facts: Facts, _names: Names) -> tuple[str, str]:
    units = sum(line[1] for line in facts.get("lines") or ())
    return _("Waits for goods on order"), n_("{n} unit", "{n} units", units)


def _plain(title: str) -> "_Say":
    return lambda _facts, _names: (_(title), "")


def _at(title: str) -> "_Say":
    """Say a step of a location's work: where, and how many units."""
    return lambda facts, names: (_(title), _joined(names.place(facts), _count(facts)))


def _released(facts: Facts, names: Names) -> tuple[str, str]:
    due = _instant(facts.get("due_at"))
    until = _("due {time}", time=render.moment(due)) if due else ""
    return _("Released to {place}", place=names.place(facts) or "?"), _joined(_count(facts), until)


def _rejected(facts: Facts, names: Names) -> tuple[str, str]:
    reason = str(facts.get("reason", ""))
    said = _(words.SHORT_REASONS.get(reason, reason))
    return _("Rejected by {place}", place=names.place(facts) or "?"), _joined(said, str(facts.get("note", "")))


def _picked(facts: Facts, names: Names) -> tuple[str, str]:
    quantity = sum(line[2] for line in facts.get("lines") or ())
    return n_("{n} unit picked", "{n} units picked", quantity), names.place(facts)


def _short(facts: Facts, names: Names) -> tuple[str, str]:
    lines = facts.get("lines") or ()
    quantity = sum(line[2] for line in lines)
    reasons = dict.fromkeys(_(words.SHORT_REASONS.get(line[3], line[3])) for line in lines if len(line) > 3)
    return n_("{n} unit missing", "{n} units missing", quantity), _joined(names.place(facts), *reasons)


def _packed(facts: Facts, names: Names) -> tuple[str, str]:
    parcels = facts.get("parcels")
    said = n_("{n} parcel", "{n} parcels", parcels) if isinstance(parcels, int) else ""
    waits = _("awaits its document") if facts.get("awaits_document") else ""
    return _("Packed"), _joined(names.place(facts), said, waits)


def _shipped(facts: Facts, names: Names) -> tuple[str, str]:
    parcels = [p for p in facts.get("shipments") or () if isinstance(p, Mapping)]
    told_ = [_joined(str(p.get("carrier") or ""), str(p.get("tracking_code") or "")) for p in parcels]
    return _("Shipped"), _joined(names.place(facts), *[x for x in told_ if x])


def _sent(facts: Facts, names: Names) -> tuple[str, str]:
    return _("Sent to the store"), _joined(names.place(facts), _count(facts), f"T{facts.get('transfer')}")


def _arrived(facts: Facts, names: Names) -> tuple[str, str]:
    missing = facts.get("missing") or 0
    lost = n_("{n} unit did not come", "{n} units did not come", missing) if missing else ""
    return _("Arrived at the store"), _joined(names.place(facts), _count(facts), lost, f"T{facts.get('transfer')}")


def _ready(facts: Facts, names: Names) -> tuple[str, str]:
    until = _instant(facts.get("until"))
    title = _("Pickup code renewed") if facts.get("renewed") else _("Ready for pickup")
    return title, _joined(names.place(facts), _("until {day}", day=render.day(until)) if until else "")


def _until(title: str) -> "_Say":
    """Say something of a window to collect: where, and until when."""

    def say(facts: Facts, names: Names) -> tuple[str, str]:
        until = _instant(facts.get("until"))
        return _(title), _joined(names.place(facts), _("until {day}", day=render.day(until)) if until else "")

    return say


def _expired(facts: Facts, names: Names) -> tuple[str, str]:
    waits = _("the goods go back when their document is cancelled") if facts.get("document_stands") else ""
    return _("Not collected in time"), _joined(names.place(facts), _count(facts), waits)


def _returned(facts: Facts, names: Names) -> tuple[str, str]:
    units = sum(line[2] for line in facts.get("lines") or ())
    return _("Goods put back in stock"), _joined(names.place(facts), n_("{n} unit", "{n} units", units))


def _extended(facts: Facts, names: Names) -> tuple[str, str]:
    title = _("Set aside again for the customer") if facts.get("taken_back") else _("More time to collect")
    return title, _until(title)(facts, names)[1]


def _late(facts: Facts, names: Names) -> tuple[str, str]:
    return _("The promised day is over"), _it_was(facts, "promised_at", names)


def _repromised(facts: Facts, names: Names) -> tuple[str, str]:
    promised = _instant(facts.get("promised_at"))
    lines = facts.get("lines") or ()
    part = n_("{n} line", "{n} lines", len(lines)) if lines else ""
    why = str(facts.get("why", ""))
    reason = _(PROMISE_REASON_WORDS[PromiseReason(why)]) if why in set(PromiseReason) else why
    title = _("Promised for another day")
    if promised:
        title = _("Promised for {day}", day=render.promise_text(promised, names.state, names.fetched_in))
    return title, _joined(part, _it_was(facts, "former_at", names), reason)


def _it_was(facts: Facts, key: str, names: Names) -> str:
    at = _instant(facts.get(key))
    return _("it was {day}", day=render.promise_text(at, names.state, names.fetched_in)) if at else ""


def _details(facts: Facts, _names: Names) -> tuple[str, str]:
    said = [_(words.DETAILS[name]) for name in facts.get("fields") or () if name in words.DETAILS]
    return _("The channel says other details"), ", ".join(said)


def _tagged(facts: Facts, _names: Names) -> tuple[str, str]:
    added, removed = ", ".join(facts.get("added") or ()), ", ".join(facts.get("removed") or ())
    parts = [_("added: {tags}", tags=added) if added else "", _("removed: {tags}", tags=removed) if removed else ""]
    return _("Tags changed"), _joined(*parts)


def _slot_changed(facts: Facts, names: Names) -> tuple[str, str]:
    day, former = _day_of(facts.get("day")), _day_of(facts.get("former_day"))
    was = _("it was {day} at {time}", day=former, time=facts.get("former_starts")) if former else ""
    if not day:
        lost = _("The goods come from elsewhere") if facts.get("why") == "rerouted" else ""
        return _("Slot given back"), _joined(names.place(facts), was, lost)
    facts_of = {"day": day, "from_": facts.get("starts"), "to": facts.get("ends")}
    title = _("Delivery on {day}, {from_} to {to}", **facts_of)
    if facts.get("slot") == "pickup":
        title = _("Pickup on {day}, {from_} to {to}", **facts_of)
    return title, _joined(names.place(facts), was)


def _moved(facts: Facts, names: Names) -> tuple[str, str]:
    facts_of = {"day": _day_of(facts.get("day")), "from_": facts.get("starts"), "to": facts.get("ends")}
    day, starts = _day_of(facts.get("former_day")), facts.get("former_starts")
    was = _("it was {day} at {time}", day=day, time=starts) if starts else _("it was {day}", day=day)
    why = str(facts.get("note") or "")
    return _("Picking moved to {day}, {from_} to {to}", **facts_of), _joined(names.place(facts), was, why)


def _day_of(said: object) -> str:
    return render.calendar_day(date.fromisoformat(said)) if isinstance(said, str) else ""


def _replaced(facts: Facts, names: Names) -> tuple[str, str]:
    units = facts.get("quantity")
    less = _("{amount} less to pay", amount=_money(facts, names)) if facts.get("amount") else ""
    lines = _("line {line} by line {by_line}", line=facts.get("line"), by_line=facts.get("by_line"))
    count = n_("{n} unit", "{n} units", units) if isinstance(units, int) else ""
    return _("Item replaced"), _joined(count, lines, less)


def _refused(facts: Facts, names: Names) -> tuple[str, str]:
    left = facts.get("attempts_left")
    said = n_("{n} attempt left", "{n} attempts left", left) if isinstance(left, int) else ""
    return _("Wrong pickup code shown"), _joined(names.place(facts), said)


def _document(facts: Facts, _names: Names) -> tuple[str, str]:
    kind = _("NFC-e") if facts.get("model") == "65" else _("NF-e")
    number = i18n.number(facts["number"]) if isinstance(facts.get("number"), int) else ""
    return _("{kind} {number} recorded", kind=kind, number=number), ""


def _document_cancelled(facts: Facts, _names: Names) -> tuple[str, str]:
    kind = _("NFC-e") if facts.get("model") == "65" else _("NF-e")
    number = i18n.number(facts["number"]) if isinstance(facts.get("number"), int) else ""
    return _("{kind} {number} cancelled", kind=kind, number=number), str(facts.get("reason", ""))


def _payment(title: str) -> "_Say":
    """Say a fact on a tender: which, how much, under which reference."""

    def say(facts: Facts, names: Names) -> tuple[str, str]:
        tender = words.TENDER.get(str(facts.get("tender")))
        return _(title), _joined(
            _(tender[0]) if tender else "", _money(facts, names), str(facts.get("reference") or "")
        )

    return say


def _refunded(facts: Facts, names: Names) -> tuple[str, str]:
    return _payment(N_("Refund recorded, as a favour") if facts.get("favour") else N_("Refund recorded"))(facts, names)


def _instant(said: object) -> datetime | None:
    try:
        return datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None


def _time_over(facts: Facts, _names: Names) -> tuple[str, str]:
    return _("Not paid in time"), _joined(_count(facts), _("free for others"))


def _more_time(facts: Facts, _names: Names) -> tuple[str, str]:
    until = _instant(facts.get("until"))
    return _("More time to pay"), _("until {time}", time=render.moment(until)) if until else ""


_Say = Callable[[Facts, Names], tuple[str, str]]
SENTENCES: dict[str, tuple[_Say, str, str]] = {
    "order.placed": (_placed, "shopping-bag", "done"),
    "order.cancelled": (_cancelled, "ban", "plain"),
    "order.hold_placed": (_hold_placed, "player-pause", "fail"),
    "order.hold_resolved": (_hold_resolved, "lock-open", "done"),
    "order.address_changed": (_plain(N_("Address changed")), "map-pin", "plain"),
    "order.buyer_changed": (_plain(N_("Customer data corrected")), "user", "plain"),
    "order.note_added": (_plain(N_("Note written")), "note", "plain"),
    "order.line_mapped": (_plain(N_("SKU identified")), "barcode", "done"),
    "order.routed": (_routed, "route", "done"),
    "order.supplied": (_supplied, "package-import", "done"),
    "order.awaits_supply": (_awaits, "clock", "plain"),
    "payment.tender_added": (_payment(N_("Tender added")), "cash", "plain"),
    "payment.authorised": (_payment(N_("Payment authorised")), "cash", "done"),
    "payment.captured": (_payment(N_("Payment captured")), "cash", "done"),
    "payment.refunded": (_refunded, "receipt-refund", "plain"),
    "payment.charged_back": (_payment(N_("Charged back by the customer's bank")), "receipt-refund", "fail"),
    "payment.voided": (_payment(N_("Authorisation voided")), "cash-off", "plain"),
    "payment.declined": (_payment(N_("Payment declined")), "cash-off", "fail"),
    "payment.time_over": (_time_over, "clock-x", "fail"),
    "payment.time_extended": (_more_time, "clock-plus", "done"),
    "fulfillment.released": (_released, "player-play", "done"),
    "fulfillment.moved": (_moved, "calendar-event", "plain"),
    "fulfillment.accepted": (_at(N_("Accepted by the location")), "check", "done"),
    "fulfillment.rejected": (_rejected, "hand-stop", "fail"),
    "fulfillment.picked": (_picked, "clipboard-check", "done"),
    "fulfillment.short": (_short, "search-off", "fail"),
    "fulfillment.packed": (_packed, "package", "done"),
    "fulfillment.shipped": (_shipped, "truck-delivery", "done"),
    "fulfillment.sent": (_sent, "truck-delivery", "done"),
    "fulfillment.arrived": (_arrived, "package-import", "done"),
    "fulfillment.ready": (_ready, "building-store", "done"),
    "fulfillment.pickup_refused": (_refused, "hand-stop", "fail"),
    "fulfillment.pickup_expiring": (_until(N_("Customer reminded to collect")), "clock", "plain"),
    "fulfillment.pickup_expired": (_expired, "clock-x", "fail"),
    "fulfillment.pickup_returned": (_returned, "arrow-back-up", "plain"),
    "fulfillment.pickup_extended": (_extended, "clock-plus", "done"),
    "fulfillment.collected": (_at(N_("Handed over to the customer")), "hand-grab", "done"),
    "fulfillment.cancelled": (_at(N_("Work cancelled")), "ban", "plain"),
    "fiscal.document_recorded": (_document, "file-invoice", "done"),
    "fiscal.document_cancelled": (_document_cancelled, "file-alert", "plain"),
    "order.late": (_late, "clock", "fail"),
    "order.line_replaced": (_replaced, "arrows-left-right", "done"),
    "order.repromised": (_repromised, "calendar-event", "plain"),
    "order.details_changed": (_details, "note", "plain"),
    "order.tagged": (_tagged, "tag", "plain"),
    "order.slot_changed": (_slot_changed, "calendar-event", "plain"),
    "shipment.out_for_delivery": (_at(N_("Out for delivery")), "truck-delivery", "plain"),
    "shipment.delivered": (_at(N_("Delivered")), "circle-check", "done"),
}


# How a message stands, as an entry of a timeline: its icon and tone.
_MESSAGE_LOOKS = {
    State.SENT: ("mail-check", "done"),
    State.QUEUED: ("clock", "plain"),
    State.SENDING: ("clock", "plain"),
    State.SKIPPED: ("mail-off", "plain"),
    State.UNCERTAIN: ("mail-question", "fail"),
}


def of_message(row: MessageRow) -> tuple[str, str, str, str]:
    """Return a message as an entry of a timeline: title, detail, icon, tone."""
    known = row.kind in set(Kind)
    word = _(KINDS[Kind(row.kind)].word) if known else row.kind
    sign = messages.sign_of(row)
    icon, tone = _MESSAGE_LOOKS.get(State(row.state), ("mail-x", "fail"))
    why = _(REASON_WORDS[row.reason]) if row.reason in REASON_WORDS else ""
    title = _("Message: {kind}", kind=word)
    detail = _joined(_(CHANNEL_WORDS[Channel(row.channel)]), _(sign.word))
    return title, f"{detail}. {why}" if why else detail, icon, tone


def _as_happening(row: MessageRow) -> Happening:
    title, detail, icon, tone = of_message(row)
    at = row.done_at or row.created_at
    return Happening(title=title, detail=detail, icon=icon, tone=tone, at=at, day="", clock=render.clock(at), actor="")


def told(rows: list[TimelineRow], names: Names, said: Sequence[MessageRow] = ()) -> list[Happening]:
    """Return what happened and what the customer was told of it, newest first.

    Each entry says the day it happened on where that differs from the one above.
    """
    out = [_happening(row, names) for row in rows] + [_as_happening(row) for row in said]
    out.sort(key=lambda h: h.at, reverse=True)
    last: date | None = None
    for n, entry in enumerate(out):
        local = render.local(entry.at).date()
        if local != last:
            out[n] = msgspec.structs.replace(entry, day=render.day(entry.at))
        last = local
    return out


def _happening(row: TimelineRow, names: Names) -> Happening:
    say, icon, tone = SENTENCES.get(row.type, (None, "circle", "plain"))
    title, detail = say(row.facts, names) if say else (row.type, "")
    actor = names.actor(row.actor)
    if row.type == "order.placed" and row.actor.startswith("person:"):
        title, actor = _("Order taken by {person}", person=actor), ""
    return Happening(
        title=title,
        detail=detail,
        icon=icon,
        tone=tone,
        at=row.at,
        day="",
        clock=render.clock(row.at),
        actor=actor,
    )
