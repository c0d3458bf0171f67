"""What a person does on an order: each act is one service call in one transaction, then the order drawn anew.

A form works without scripts (the answer is a redirect) and in place with them (the answer is the order's page part,
or, when it is refused, the sentence that says why, put where the form wants it). What is refused changed nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath
from litestar.response import Response

from malha.console import forms, order_facts, order_slot, picking_view, render, shell, web, words
from malha.console import order as page
from malha.fiscal import reads as documents
from malha.fiscal import service as fiscal
from malha.fiscal.errors import DocumentNotFound
from malha.fiscal.model import DocumentFacts
from malha.fulfillment import bringing, bulk_acts, moving, pickups
from malha.fulfillment import reads as jobs
from malha.fulfillment import service as work
from malha.fulfillment.bringing import Sending
from malha.fulfillment.bulk_model import PERMISSIONS, Wish
from malha.fulfillment.bulk_model import Act as BulkAct
from malha.fulfillment.errors import CodeLocked, WorkNotFound, WrongCode
from malha.fulfillment.model import Content, Parcel, RejectReason, Short, Tracking
from malha.intake import replanning, substituting
from malha.network.rules import MOST_PICKUP_DAYS
from malha.ordering import details, edits, promises, reads, replacing, rules, slots
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.errors import LineNotFound, OrderChanged, OrderNotFound, TooManyTags
from malha.ordering.model import Address, CancelWish, HoldKind, Order, PromiseReason
from malha.ordering.tracking import tracking_address
from malha.payments import deadlines
from malha.payments import reads as payments_reads
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind, NewTender, Standing, TenderKind
from malha.platform import audit, brazil, i18n
from malha.platform.clock import now
from malha.platform.days import maybe_day, read_day
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, first_of, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID, id_in
from malha.platform.text import whole_in

Form = FormMultiDict
Act = Callable[[Tx, UUID, Form], Awaitable[str]]
MOST_CENTAVOS = 10**12


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel would do."""

    units: int = 0
    amount: int = 0
    back: int = 0
    currency: str = "BRL"
    refusal: str = ""


def _whole(form: Form, name: str) -> int | None:
    text = forms.said(form, name, 20)
    return whole_in(text, 9)


def centavos(text: str) -> int | None:
    """Return an amount a person wrote (`1.126,40`, `1126.40`, `1126`) in centavos; None when it is none."""
    bare = text.replace("R$", "").replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    if "," in bare:
        bare = bare.replace(".", "").replace(",", ".") if bare.rfind(",") > bare.rfind(".") else bare.replace(",", "")
    try:
        amount = Decimal(bare) * 100
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount != amount.to_integral_value() or not 0 < amount <= MOST_CENTAVOS:
        return None
    return int(amount)


def _work_id(form: Form) -> UUID:
    try:
        return UUID(forms.said(form, "work", 60))
    except ValueError:
        raise WorkNotFound(key=forms.said(form, "work", 60)) from None


# --- the acts ---


def _wishes(form: Form) -> list[CancelWish]:
    return [
        CancelWish(line, quantity)
        for name in form
        if name.startswith("q") and (line := whole_in(name[1:], 5)) and (quantity := _whole(form, name))
    ]


async def _cancel(tx: Tx, order_id: UUID, form: Form) -> str:
    wishes = _wishes(form)
    refuse([] if wishes else [Flaw("lines", N_("Choose at least one unit to cancel."))])
    # Of two people who are asked for the same one of three, the second sees first what the other did.
    seen = {wish.line: count for wish in wishes if (count := _whole(form, f"of{wish.line}")) is not None}
    if seen:
        order = await ordering.lock_order(tx, order_id)
        units = (await ordering.units_of(tx, [order_id]))[order_id]
        lines = (await ordering.lines_of(tx, [order_id]))[order_id]
        here = {line.line: rules.still_here(line, units) for line in lines}
        paid = (await payments_reads.totals(tx, [order_id])).get(order_id)
        mark = order_facts.cancel_mark(order.ship_to, paid, await reads.holds(tx, order_id))
        changed = any(here.get(line) != count for line, count in seen.items())
        _refuse_changed(order, form, changed or forms.said(form, "mark", 8) not in {"", mark})
    done = await work.cancel(tx, order_id, reason=forms.said(form, "reason", 200), wishes=wishes)
    await payments.restate(tx, [order_id])
    cancelled = sum(done.lines.values())
    return _("Order cancelled") if done.whole else n_("{n} unit cancelled", "{n} units cancelled", cancelled)


async def _hold(tx: Tx, order_id: UUID, form: Form) -> str:
    kind = _kind(form)
    await order_holds.place_hold(tx, order_id, kind, note=forms.said(form, "note", 200))
    return _("Order on hold")


async def _refuse_another(tx: Tx, order_id: UUID, form: Form, kind: HoldKind) -> None:
    """Refuse to lift a hold that was placed since the person looked, in the place of the one that was lifted."""
    seen = forms.said(form, "hold", 60)
    if seen:
        order = await ordering.lock_order(tx, order_id)
        holds = [str(h.id) for h in await reads.holds(tx, order_id) if h.kind == kind and h.resolved_at is None]
        _refuse_changed(order, form, bool(holds) and seen not in holds)


async def _resolve(tx: Tx, order_id: UUID, form: Form) -> str:
    kind = _kind(form, words.LIFTED_BY_HAND)
    await _refuse_another(tx, order_id, form, kind)
    await order_holds.resolve_hold(tx, order_id, kind, resolution=forms.said(form, "resolution", 200))
    return _("Hold lifted")


async def _override(tx: Tx, order_id: UUID, form: Form) -> str:
    kind = _kind(form, tuple(words.OVERRIDDEN))
    await _refuse_another(tx, order_id, form, kind)
    await order_holds.resolve_hold(tx, order_id, kind, resolution=forms.said(form, "resolution", 200), force=True)
    return _("Hold lifted")


def _kind(form: Form, among: tuple[str, ...] = words.BY_HAND) -> HoldKind:
    said = forms.said(form, "kind", 40)
    known = said in among
    refuse([] if known else [Flaw("kind", N_("Choose a kind of hold."))])
    return HoldKind(said)


async def _note(tx: Tx, order_id: UUID, form: Form) -> str:
    await edits.add_note(tx, order_id, str(form.get("text", "")).replace("\x00", ""))
    return _("Note saved")


async def _tags(tx: Tx, order_id: UUID, form: Form) -> str:
    """Add tags (`add`, apart by commas) and take others away (`remove`, each a field of its own)."""
    add = _tags_in(form, "add")
    remove = [str(tag).strip() for tag in form.getall("remove", []) if str(tag).strip()]
    done = await details.change_tags(tx, [order_id], add=add, remove=remove)
    if done.full:
        raise TooManyTags(most=details.MOST_TAGS)
    return _("Tags changed") if done.changed else _("The order was tagged so already")


async def _address(tx: Tx, order_id: UUID, form: Form) -> str:
    order = await ordering.lock_order(tx, order_id)
    mark = forms.said(form, "mark", 8)
    _refuse_changed(order, form, bool(mark) and mark != order_facts.address_mark(order.ship_to))
    said = {name: forms.said(form, name, 200) for name in Address.__struct_fields__ if name in form}
    country = (order.ship_to or {}).get("country", "BR")  # which the form does not ask for
    await edits.change_address(tx, order_id, Address(**{"country": country, **said}))
    return _("Address changed")


def _refuse_changed(order: Order, form: Form, changed: bool) -> None:
    """Refuse an act on what somebody else changed since the person looked.

    Raises:
        OrderChanged: it is so.
    """
    if changed:
        raise OrderChanged(number=order.number, version=order.seq, expected=_whole(form, "version") or 0)


def promised_day(form: Form, name: str = "day") -> date | None:
    """Return the day a form names."""
    return maybe_day(forms.said(form, name, 10))


async def _promise(tx: Tx, order_id: UUID, form: Form) -> str:
    day, because = promised_day(form), _because(form)
    refuse(bulk_acts.lacking_in_promise(day, because))
    assert day is not None and because is not None  # noqa: PT018, S101  (no flaws)
    seen = _whole(form, "version")
    lines = forms.numbers(form, "line", 5)
    until = rules.end_of_day(day, await _zone_of(tx, order_id))
    await promises.repromise(
        tx, order_id, until, reason=because, note=forms.said(form, "note", promises.NOTE_LENGTH),
        lines=lines or None, expected=seen,
    )  # fmt: skip
    return _("Promised for {day}; the customer is told", day=i18n.day(day, render.local(now()).date()))


def _because(form: Form) -> PromiseReason | None:
    """Return why a form promises another day; None where it says no reason."""
    why = forms.said(form, "promise_reason", 40)
    return PromiseReason(why) if why in set(PromiseReason) else None


async def _slot(tx: Tx, order_id: UUID, form: Form) -> str:
    because = _because(form)
    if because is None:
        refuse([Flaw("promise_reason", N_("Choose a reason."))])
    assert because is not None  # noqa: S101  (refused)
    day, starts, code = order_slot.chosen(forms.said(form, "slot", 120))
    found = await slots.agree(
        tx, order_id, day, starts, location=code or None, reason=because,
        note=forms.said(form, "note", promises.NOTE_LENGTH), expected=_whole(form, "version"),
    )  # fmt: skip
    text = _("{day}, {from_} to {to}", day=render.calendar_day(day), from_=f"{starts:%H:%M}", to=f"{found.ends:%H:%M}")
    return _("Moved to {slot}; the customer is told", slot=text)


async def _leave_slot(tx: Tx, order_id: UUID, form: Form) -> str:
    await slots.give_back(tx, order_id, expected=_whole(form, "version"))
    return _("Slot given back")


async def _zone_of(tx: Tx, order_id: UUID) -> ZoneInfo:
    """Return by whose days an order is promised: where it goes or is fetched, else the reader's."""
    return await promises.zone_promised(tx, await ordering.lock_order(tx, order_id), i18n.current_zone())


async def _map(tx: Tx, order_id: UUID, form: Form) -> str:
    complete = await edits.map_line(tx, order_id, _whole(form, "line") or 0, forms.said(form, "sku", 100))
    await replanning.place_units(tx, order_id)
    return _("SKU identified, the order goes on") if complete else _("SKU identified")


async def _replace(tx: Tx, order_id: UUID, form: Form) -> str:
    sku, quantity = forms.said(form, "sku", 80), _whole(form, "quantity")
    flaws = []
    if not sku:
        flaws.append(Flaw("sku", N_("Choose what stands in.")))
    if not quantity:
        flaws.append(Flaw("quantity", N_("Write a whole number, 1 or more.")))
    refuse(flaws)
    line = _whole(form, "line") or 0
    seen = _whole(form, "of")
    if seen is not None:  # as of a cancel: of two people who are asked for one of three, the second sees the other's
        order = await ordering.lock_order(tx, order_id)
        units = (await ordering.units_of(tx, [order_id]))[order_id]
        lines = (await ordering.lines_of(tx, [order_id]))[order_id]
        _refuse_changed(order, form, any(x.line == line and replacing.waiting(x, units) != seen for x in lines))
    done = await substituting.replace(tx, order_id, line, sku, quantity)
    await payments.restate(tx, [order_id])
    return _("Replaced by {sku}; the customer is told", sku=done.sku)


async def _release(tx: Tx, order_id: UUID, _form: Form) -> str:
    made = await work.release_order(tx, order_id)
    return n_("Released to {n} location", "Released to {n} locations", len(made))


async def _place(tx: Tx, order_id: UUID, _form: Form) -> str:
    waiting = await replanning.place_units(tx, order_id)
    left = sum(w.quantity for w in waiting)
    return n_("{n} unit still waits", "{n} units still wait", left) if left else _("Every unit has a location")


async def _payment(tx: Tx, order_id: UUID, form: Form) -> str:
    order = await ordering.lock_order(tx, order_id)
    mark = order_facts.money_mark((await payments_reads.totals(tx, [order_id])).get(order_id))
    done = await _recorded(tx, order_id, form)
    # Of two people who give the same money back, each under a reference of its own, the second sees first what the
    # other did. What is only said once more changes nothing.
    _refuse_changed(order, form, not done.repeated and forms.said(form, "mark", 8) not in {"", mark})
    await payments.settle_holds(tx, [order_id])
    return _("It had been recorded before; nothing changed") if done.repeated else _("Recorded")


async def _recorded(tx: Tx, order_id: UUID, form: Form) -> Standing:
    if forms.said(form, "position", 20) == "another":
        return await _another_payment(tx, order_id, form)
    amount, reference, flaws = _paid(form)
    position, kinds = _whole(form, "position"), {kind.value: kind for kind in FactKind}
    kind = kinds.get(forms.said(form, "kind", 20))
    if kind is None or position is None:
        flaws.append(Flaw("kind", N_("Choose the tender and what happened.")))
    refuse(flaws)
    assert amount is not None and kind is not None and position is not None  # noqa: PT018, S101  (no flaws)
    favour = bool(forms.said(form, "favour", 1))
    fact = Fact(position=position, kind=kind, amount=amount, reference=reference, favour=favour)
    return await payments.record_fact(tx, order_id, fact)


async def _another_payment(tx: Tx, order_id: UUID, form: Form) -> Standing:
    """Record what was paid beside the tenders that the channel named, or where it named none."""
    amount, reference, wrong = _paid(form)
    means, state = forms.said(form, "means", 20), forms.said(form, "kind", 20)
    flaws = [] if means in set(TenderKind) else [Flaw("means", N_("Choose how it was paid."))]
    if state not in {FactKind.CAPTURED, FactKind.AUTHORISED}:
        flaws.append(Flaw("kind", N_("Another payment is recorded once it is authorised or captured.")))
    refuse([*flaws, *wrong])
    assert amount is not None  # noqa: S101  (no flaws)
    tender = NewTender(order_id=order_id, position=0, kind=means, amount=amount, state=state, reference=reference)
    return await payments.add_tender(tx, order_id, tender)


def _paid(form: Form) -> tuple[int | None, str, list[Flaw]]:
    """Return the amount of a payment in centavos and its reference, and what is wrong with them."""
    amount, reference = centavos(forms.said(form, "amount", 30)), forms.said(form, "reference", 100)
    flaws = [Flaw("amount", N_("Write the amount like 1.126,40."))] if amount is None else []
    return amount, reference, flaws + reference_flaws(reference)


def reference_flaws(reference: str) -> list[Flaw]:
    """Return what is wrong with the reference of a payment: there is none."""
    says = N_("Write the reference; it keeps the same payment from being recorded twice.")
    return [] if reference else [Flaw("reference", says)]


async def _accept(tx: Tx, _order_id: UUID, form: Form) -> str:
    who = await work.accept(tx, _work_id(form), assignee=tx.actor.name)
    return _("Work accepted") if who == tx.actor.name else _("{name} has taken this work on already", name=who)


async def _move_work(tx: Tx, _order_id: UUID, form: Form) -> str:
    day, starts = picking_view.slot_of(forms.said(form, "slot", 20))
    reason = forms.said(form, "reason", moving.MOST_REASON)
    await moving.move_to_slot(tx, _work_id(form), day, starts, reason=reason, expected=_whole(form, "version"))
    return _("Moved to {day} at {time}", day=render.calendar_day(day), time=f"{starts:%H:%M}")


def _reason(form: Form) -> RejectReason:
    said = forms.said(form, "reason", 40)
    known = said in words.SHORT_REASONS
    refuse([] if known else [Flaw("reason", N_("Choose a reason."))])
    return RejectReason(said)


async def _reject(tx: Tx, _order_id: UUID, form: Form) -> str:
    done = await work.reject(tx, _work_id(form), _reason(form), note=forms.said(form, "note", 200))
    return _rerouted(done.placed, done.waiting)


def _rerouted(placed: int, waiting: int) -> str:
    if waiting:
        return n_("No other location has {n} unit", "No other location has {n} units", waiting)
    return n_("{n} unit placed elsewhere", "{n} units placed elsewhere", placed)


async def _pick(tx: Tx, order_id: UUID, form: Form) -> str:
    work_id = _work_id(form)
    missing = []
    open_: dict[tuple[int, int | None], int] = {}
    for unit in (await ordering.units_of(tx, [order_id]))[order_id]:
        if unit.fulfillment_id == work_id and unit.state in {"released", "picking"}:
            key = (unit.line, unit.sku_id)
            open_[key] = open_.get(key, 0) + unit.quantity
    flaws = []
    for (line, sku_id), asked in sorted(open_.items(), key=str):
        name = f"p{line}.{sku_id}"
        found = _whole(form, name) if name in form else asked
        if found is None or found > asked:  # nobody counted that: a field left empty says nothing of what was found
            says = N_("Write a whole number from {least} to {most}.")
            flaws.append(Flaw(name, says, facts={"least": 0, "most": asked}))
        elif found < asked:
            missing.append(Short(line, asked - found, _reason(form), sku_id))
    refuse(flaws)
    done = await work.confirm_pick(tx, work_id, short=missing)
    return _rerouted(done.placed, done.waiting) if missing else _("Everything picked")


async def _pack(tx: Tx, order_id: UUID, form: Form) -> str:
    work_id = _work_id(form)
    further = _further_parcels(form)
    if not further:
        await work.pack(tx, work_id)
        return _("Packed")
    picked: dict[tuple[int, int | None], int] = {}
    for unit in (await ordering.units_of(tx, [order_id]))[order_id]:
        if unit.fulfillment_id == work_id and unit.state == "picked":
            key = (unit.line, unit.sku_id)
            picked[key] = picked.get(key, 0) + unit.quantity
    await work.pack(tx, work_id, _parcels(picked, further))
    return n_("Packed in {n} parcel", "Packed in {n} parcels", len(further) + 1)


def _further_parcels(form: Form) -> dict[str, dict[tuple[int, int | None], tuple[str, str]]]:
    """Return what was written of each parcel beyond the first, by line and SKU: the field's name and its text."""
    found: dict[str, dict[tuple[int, int | None], tuple[str, str]]] = {}
    for name in form:
        parcel, _dot, rest = name.partition(".")
        line, _dot, sku = rest.partition(".")
        number, sku_id = whole_in(line, 9), whole_in(sku, 9)
        if parcel[:1] == "c" and whole_in(parcel[1:], 9) is not None and number is not None:
            found.setdefault(parcel, {})[number, sku_id] = name, forms.said(form, name, 20)
    return found


def _parcels(
    picked: Mapping[tuple[int, int | None], int],
    further: Mapping[str, Mapping[tuple[int, int | None], tuple[str, str]]],
) -> list[Parcel]:
    """Return the parcels as written: the first holds what no other does.

    Raises:
        Invalid: a field holds no number, more than was picked, or a parcel would hold nothing.
    """
    left = dict(picked)
    flaws = []
    made = []
    for asked in further.values():
        contents = []
        for key, (name, text) in asked.items():
            units, most = whole_in(text, 9), left.get(key, 0)
            if units is None or units > most:
                says = N_("Write a whole number from {least} to {most}.")
                flaws.append(Flaw(name, says, facts={"least": 0, "most": most}))
            elif units:
                left[key] = most - units
                contents.append(Content(key[0], units, key[1]))
        if not contents and not flaws:
            empty = N_("This parcel would hold nothing: say what goes in it, or take it off.")
            flaws.append(Flaw(next(iter(asked.values()))[0], empty))
        made.append(Parcel(contents=contents))
    first = [Content(line, units, sku_id) for (line, sku_id), units in left.items() if units]
    if not first and not flaws:
        flaws.append(Flaw("parcels", N_("The first parcel would hold nothing: one of the others is that one.")))
    refuse(flaws)
    return [Parcel(contents=first), *made]


async def _document(tx: Tx, _order_id: UUID, form: Form) -> str:
    done = await fiscal.record_document(
        tx, _work_id(form), DocumentFacts(access_key=forms.said(form, "access_key", 80))
    )
    return _("Document {number} recorded", number=i18n.number(done.number))


async def _cancel_document(tx: Tx, order_id: UUID, form: Form) -> str:
    work_id, wanted = _work_id(form), forms.said(form, "document", 60)
    mine = {str(d.id): d.id for d in await documents.of_order(tx, order_id) if d.source_id == work_id}
    if wanted not in mine:
        raise DocumentNotFound(key=wanted)
    done = await fiscal.cancel_document(tx, mine[wanted], reason=forms.said(form, "reason", 200))
    return _("Document {number} recorded as cancelled", number=i18n.number(done.number))


async def _ship(tx: Tx, _order_id: UUID, form: Form) -> str:
    work_id, carrier = _work_id(form), forms.said(form, "carrier", 80) or None
    several = [name for name in form if name.startswith("tracking_code.")]
    if several:
        ids = [id_in(name.removeprefix("tracking_code.")) for name in several]
        codes = [forms.said(form, name, 80) or None for name in several]
        told = [Tracking(id_, carrier, code) for id_, code in zip(ids, codes, strict=True) if carrier or code]
    else:
        code = forms.said(form, "tracking_code", 80) or None
        told = [Tracking(carrier=carrier, tracking_code=code)] if carrier or code else []
    await work.ship(tx, work_id, told)
    return _("Shipped")


async def _send(tx: Tx, _order_id: UUID, form: Form) -> str:
    asked = forms.said(form, "eta", 10)
    try:
        eta = read_day(asked) if asked else None
    except ValueError:
        eta = None
        refuse([Flaw("eta", N_("This is no day."))])
    sending = Sending(
        document=forms.said(form, "document", 120) or None,
        carrier=forms.said(form, "carrier", 120) or None,
        tracking_code=forms.said(form, "tracking_code", 120) or None,
        eta=eta,
    )
    number = await bringing.send(tx, _work_id(form), sending)
    return _("On its way to the store with transfer T{number}", number=number)


async def _ready(tx: Tx, _order_id: UUID, form: Form) -> str:
    until = await work.make_ready(tx, _work_id(form))
    return _("Ready for pickup until {day}", day=render.day(until))


async def _new_code(tx: Tx, _order_id: UUID, form: Form) -> str:
    until = await work.renew_code(tx, _work_id(form))
    return _("The customer gets a new code; the goods wait until {day}", day=render.day(until))


async def _extend(tx: Tx, _order_id: UUID, form: Form) -> str:
    days = _whole(form, "days")
    most = MOST_PICKUP_DAYS
    flaw = Flaw("days", N_("Write a number of days from 1 to {most}."), facts={"most": most})
    refuse([] if days is not None and 1 <= days <= most else [flaw])
    until = await pickups.extend(tx, _work_id(form), days or 1)
    return _("Kept for the customer until {day}", day=render.day(until))


async def _time(tx: Tx, order_id: UUID, form: Form) -> str:
    amount = _whole(form, "amount")
    unit = {"minutes": 1, "hours": 60, "days": 1440}.get(str(form.get("unit")), 60)
    flaw = Flaw("amount", N_("Give between one minute and 60 days."))
    refuse([] if amount is not None and 0 < amount * unit <= deadlines.MOST_MINUTES else [flaw])
    until = await deadlines.extend(tx, order_id, minutes=(amount or 1) * unit)
    return _("It may be paid until {time}", time=render.moment(until))


async def _under_way(tx: Tx, order_id: UUID) -> list[UUID]:
    """Return the parcels of an order that have left and not arrived, of the locations that the person sees."""
    parcels = await jobs.shipments(tx, order_id)
    return jobs.under_way(parcels, await jobs.of_order(tx, order_id), tx.actor.locations)


async def _deliver(tx: Tx, order_id: UUID, _form: Form) -> str:
    parcels = await _under_way(tx, order_id)
    for parcel in parcels:
        await work.deliver(tx, parcel)
    return _("Delivery recorded") if parcels else _("Nothing was recorded: no parcel of yours is on its way.")


async def _out(tx: Tx, order_id: UUID, _form: Form) -> str:
    new = [await work.send_out(tx, parcel) for parcel in await _under_way(tx, order_id)]
    if any(new):
        return _("Recorded: out for delivery")
    return _("Nothing was recorded: it was said within the last 12 hours, or no parcel of yours is on its way.")


ACTS: dict[str, tuple[str, Act]] = {
    "cancel": ("orders:cancel", _cancel),
    "hold": ("orders:write", _hold),
    "resolve": ("orders:release_hold", _resolve),
    "override": ("orders:override_hold", _override),
    "note": ("orders:write", _note),
    "tags": ("orders:write", _tags),
    "address": ("orders:write", _address),
    "map": ("orders:write", _map),
    "promise": ("orders:write", _promise),
    "slot": ("orders:write", _slot),
    "leave-slot": ("orders:write", _leave_slot),
    "replace": ("orders:write", _replace),
    "release": ("orders:write", _release),
    "place": ("orders:write", _place),
    "payment": ("payments:record", _payment),
    "accept": ("fulfillment:work", _accept),
    "reject": ("fulfillment:work", _reject),
    "move-work": ("fulfillment:work", _move_work),
    "pick": ("fulfillment:work", _pick),
    "pack": ("fulfillment:work", _pack),
    "document": ("fiscal:record", _document),
    "cancel-document": ("fiscal:record", _cancel_document),
    "ship": ("fulfillment:work", _ship),
    "send": ("fulfillment:work", _send),
    "ready": ("fulfillment:work", _ready),
    "new-code": ("orders:write", _new_code),
    "extend": ("orders:write", _extend),
    "time": ("orders:write", _time),
    "out": ("fulfillment:work", _out),
    "deliver": ("fulfillment:work", _deliver),
}


async def _seen(tx: Tx, request: Request[Any, Any, Any], number: FromPath[int]) -> UUID:
    """Return the order's id if the caller may see it."""
    order_id = await reads.id_of(tx, number)
    scope = shell.scope_of(web.caller_of(request))
    if order_id is None or (scope is not None and not await reads.is_at(tx, order_id, scope)):
        raise OrderNotFound(key=f"#{number}")
    return order_id


async def _carry_out(request: Request[Any, Any, Any], number: int, act: Act) -> Response[Any]:
    form = await request.form()
    async with web.writing(request) as tx:
        notice = await act(tx, await _seen(tx, request, number), form)
    return await _after(request, number, notice)


async def _after(request: Request[Any, Any, Any], number: int, notice: str) -> Response[Any]:
    if not web.wants_part(request):
        return web.see_other(f"/orders/{number}", notice=notice)
    shown = await page.show(request, number)
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


def _handler(name: str, permission: str, act: Act) -> Any:
    @post(f"/orders/{{number:int}}/{name}", opt={"permission": permission}, status_code=200, name=f"console-{name}")
    async def run(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
        return await _carry_out(request, number, act)

    return run


@post("/orders/{number:int}/hand-over", opt={"permission": "fulfillment:work"}, status_code=200)
async def hand_over(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Hand the goods to who shows the code. A wrong code is kept as a try, then refused."""
    form = await request.form()
    async with web.writing(request) as tx:
        await _seen(tx, request, number)
        code, who = forms.said(form, "code", 20), forms.said(form, "received_by", 120)
        done = await work.hand_over(tx, _work_id(form), code=code, received_by=who)
    if not done.done:
        raise WrongCode(left=done.attempts_left) if done.attempts_left else CodeLocked
    return await _after(request, number, _("Handed over"))


@post("/orders/{number:int}/cancel/preview", opt={"permission": "orders:cancel"}, status_code=200)
async def cancel_preview(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Say what a cancel of the chosen units would do."""
    form = await request.form()
    async with web.writing(request) as tx:
        order_id = await _seen(tx, request, number)
        effect = await effect_of(tx, order_id, _wishes(form))
    return render.html("order/effect.html", effect=effect)


async def effect_of(tx: Tx, order_id: UUID, wishes: list[CancelWish]) -> Effect:
    """Say what cancelling units would do, by the same rules; nothing is changed."""
    if not wishes:
        return Effect(refusal=_("Nothing is chosen."))
    order = await ordering.lock_order(tx, order_id)
    lines = (await ordering.lines_of(tx, [order_id]))[order_id]
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    paid = (await payments_reads.totals(tx, [order_id])).get(order_id)
    unknown = sorted({wish.line for wish in wishes} - {line.line for line in lines})
    try:
        if unknown:
            raise LineNotFound(number=order.number, line=unknown[0])
        after = rules.plan_moves(units, rules.plan_cancel(lines, units, wishes)).units
    except MalhaError as error:
        return Effect(refusal=" ".join(web.refusal_text(error)))
    worth = rules.cancelled_worth(order, lines, rules.cancelled_quantities(lines, after))
    return Effect(
        units=sum(wish.quantity or 0 for wish in wishes),
        amount=worth - order.cancelled_total,
        back=max((paid.refundable if paid else 0) - (order.total - worth), 0),
        currency=order.currency,
    )


@post("/orders/{number:int}/reveal", opt={"permission": "customers:reveal"}, status_code=200)
async def reveal(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Show the customer's data in full, and the page on which they follow the order. Who saw it, when and why is kept.

    Raises:
        Invalid: no reason is given.
    """
    why = forms.said(await request.form(), "why", 200)
    async with web.writing(request) as tx:
        facts = await order_facts.read(tx, number, shell.scope_of(web.caller_of(request)))
        await audit.record_reveal(tx, "order", facts.header.id, why, shown="buyer")
        drawn = page.view_of(facts, await page.names_of(tx, facts))
    if not web.wants_part(request):
        return web.see_other(f"/orders/{number}")
    head, services = facts.header, request.app.state.services
    revealed = {
        "tracking": tracking_address(
            services.signing, services.settings.address, head.id, at=now(), to=head.buyer_email
        ),
        "document": brazil.format_document(head.buyer_document) if head.buyer_document else "",
        "phone": brazil.format_phone(head.buyer_phone) if head.buyer_phone else "",
        "email": head.buyer_email or "",
    }
    return render.html("order/identity.html", order=drawn, revealed=revealed, may=web.caller_of(request).may)


@get("/documents/key", opt={"permission": "fiscal:record"})
async def check_key(request: Request[Any, Any, Any]) -> Response[str]:
    """Say what an access key names while it is typed, or what is still wrong with it."""
    typed = brazil.bare(request.query_params.get("access_key", "")[:80])
    key = brazil.parse_access_key(typed)
    return render.html("order/key.html", typed=len(typed.removeprefix("NFE")), key=key)


# --- the list's bulk acts ---

BULK: dict[str, str] = {
    **{act.value: permission for act, permission in PERMISSIONS.items()},
    "refund": "payments:record",
}
BULK_MOST = 200


class Outcome(msgspec.Struct, frozen=True):
    """What became of a bulk act: how many it was carried out on, and which orders refused, why."""

    done: int
    refused: list[tuple[int, str]]


async def bulk(request: Request[Any, Any, Any], act: str, numbers: list[int], form: Form) -> Outcome:
    """Carry an act out on each order, in a transaction of its own: one refusal leaves the others alone."""
    done, refused = 0, []
    wish = None if act == "refund" else wish_of(BulkAct(act), form)
    for number in dict.fromkeys(numbers[:BULK_MOST]):
        try:
            async with web.writing(request) as tx:
                order_id = await _seen(tx, request, number)
                if wish is None:
                    await _give_back(tx, order_id, form, _whole(form, f"d{number}"))
                else:
                    await bulk_acts.carry_out(tx, order_id, wish, _whole(form, f"v{number}"))
            done += 1
        except MalhaError as error:
            first = first_of(error)
            refused.append((number, (web.flaw_text(first) if isinstance(first, Flaw) else web.refusal_text(first))[0]))
    return Outcome(done, refused)


def wish_of(act: BulkAct, form: Form) -> Wish:
    """Return what the form of a list asks to be done with each of its orders."""
    match act:
        case BulkAct.HOLD:
            return Wish(act=act, reason=forms.said(form, "reason", 200))
        case BulkAct.CANCEL:
            return Wish(act=act, reason=forms.said(form, "why", 200) or _("Cancelled from the list"))
        case BulkAct.TAGS:
            return Wish(act=act, add=_tags_in(form, "add"), remove=_tags_in(form, "untag"))
        case BulkAct.PROMISE:
            return Wish(
                act=act,
                day=promised_day(form),
                because=_because(form),
                note=forms.said(form, "note", promises.NOTE_LENGTH),
                zone=i18n.current_zone(),
            )
        case _:
            return Wish(act=act)


def _tags_in(form: Form, name: str) -> tuple[str, ...]:
    """Return the tags that a field names, apart by commas."""
    return tuple(tag.strip() for tag in forms.said(form, name, 2_000).split(",") if tag.strip())


async def _give_back(tx: Tx, order_id: UUID, form: Form, seen: int | None) -> None:
    """Record that the money of one order was given back; `seen`: the centavos that the list showed as due of it."""
    reference = forms.said(form, "reference", 100)
    refuse(reference_flaws(reference))
    await payments.record_given_back(tx, order_id, reference, seen=seen)


HANDLERS = [
    *(_handler(name, permission, act) for name, (permission, act) in ACTS.items()),
    hand_over,
    cancel_preview,
    reveal,
    check_key,
]
