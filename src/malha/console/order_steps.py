"""What can be done with an order next, by whom: the steps that its page offers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from malha.capacity.model import Slot
from malha.console import words
from malha.console.order_facts import Facts, asked_now, count_of, is_locked, open_work, standing_documents
from malha.fulfillment import moving
from malha.fulfillment import reads as jobs
from malha.intake import substituting
from malha.ordering.model import AUTOMATIC_HOLDS, GONE, WAITING, HoldKind, UnitState
from malha.ordering.reads import HoldRow
from malha.platform.i18n import _


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The primary action: what it is called, which dialog it opens, which form it sends, or to which page it leads."""

    act: str
    label: str
    icon: str
    hint: str = ""
    dialog: str = ""
    work_id: str = ""
    href: str = ""
    permission: str = "orders:write"


def next_step(
    facts: Facts, instead: Sequence[substituting.Choice] = (), may: Callable[[str], bool] | None = None
) -> Step | None:
    """Return what is to be done next, in the order a person would do it; None when nothing is.

    What the person `may` do goes before what they have to leave to somebody else.
    """
    steps = list(_steps(facts, instead))
    return next((step for step in steps if may is None or may(step.permission)), next(iter(steps), None))


def _steps(  # noqa: C901 -- a list of cases in a person's order
    facts: Facts, instead: Sequence[substituting.Choice]
) -> Iterator[Step]:
    units = facts.living
    states = {u.state for u in units}
    for hold in facts.open_holds:
        mended = mending(facts, hold)
        if mended is not None:
            yield mended
        elif hold.kind not in AUTOMATIC_HOLDS:
            yield Step(
                act="resolve",
                label=_("Lift hold"),
                icon="lock-open",
                dialog=f"dlg-resolve-{hold.kind}",
                permission="orders:release_hold",
            )
    if instead and count_of(units, WAITING) > facts.awaited + facts.at_vendors:
        yield Step(
            act="replace",
            label=_("Replace the item"),
            icon="arrows-left-right",
            hint=_("No location has it; {name} could stand in.", name=instead[0].substitutes[0].name),
            dialog=f"dlg-replace-{instead[0].line}",
        )
    if count_of(units, WAITING) > facts.awaited + facts.at_vendors:
        yield Step(
            act="place",
            label=_("Try to place again"),
            icon="route",
            hint=_("Asks every location again with the stock of now."),
        )
    for row in open_work(facts):
        steps = work_steps(facts, row)
        if steps:
            yield steps[0]
    if any(row.is_open for row in facts.drops):
        yield Step(
            act="vendor",
            label=_("To the drop-ship order"),
            icon="truck-delivery",
            hint=_("Note there what the vendor says."),
            href=f"/drop-ships/{next(row.number for row in facts.drops if row.is_open)}",
            permission="orders:read",
        )
    if UnitState.ALLOCATED in states and not facts.open_holds:
        yield Step(
            act="release",
            label=_("Release now"),
            icon="player-play",
            hint=_("Asks {place} to pick it now.", place=asked_now(facts, units)),
        )
    if states and states <= GONE and facts.under_way:
        yield Step(act="deliver", label=_("Record delivery"), icon="circle-check", permission="fulfillment:work")


def mending(facts: Facts, hold: HoldRow) -> Step | None:
    """Return what mends the cause of a hold, other than to lift it; None: nothing on this page does."""
    if hold.kind in {HoldKind.PAYMENT, HoldKind.PAYMENT_LAPSED} and (facts.tenders or facts.owed):
        label, who = _("Record payment"), "payments:record"
        return Step(act="payment", label=label, icon="cash", dialog="dlg-payment", permission=who)
    if hold.kind in {HoldKind.ADDRESS, HoldKind.ADDRESS_CHECK}:
        return Step(act="address", label=_("Correct address"), icon="map-pin", dialog="dlg-address")
    if hold.kind == HoldKind.UNKNOWN_SKU:
        return Step(act="map", label=_("Identify SKU"), icon="barcode", dialog="dlg-map")
    if hold.kind in REGISTERED:
        return _register(hold.kind, hold.detail)
    if hold.kind == HoldKind.SLOT and facts.slot.choices:
        return Step(act="slot", label=_("Choose another slot"), icon="calendar-event", dialog="dlg-slot")
    return None


def lacking(hold: HoldRow) -> str:
    """Return the parts of an address that a hold says are missing, in the reader's language; empty: it says none."""
    if hold.kind != HoldKind.ADDRESS:  # of a payment it is an amount that is missing
        return ""
    return ", ".join(_(words.LACKING[part]) for part in hold.detail.get("missing", ()) if part in words.LACKING)


# What is registered so that an order goes on: the name of the code in the hold, the page, the icon.
REGISTERED = {
    HoldKind.UNKNOWN_SERVICE: ("service", "/services:new", "truck"),
    HoldKind.UNKNOWN_LOCATION: ("location", "/locations:new", "building-store"),
}


def _register(kind: str, detail: Mapping[str, Any]) -> Step:
    name, page, icon = REGISTERED[HoldKind(kind)]
    code = str(detail.get(name) or "")
    label = _("Register the service") if kind == HoldKind.UNKNOWN_SERVICE else _("Register the location")
    hint = _("The channel asked for “{code}”.", code=code) if code else ""
    href = f"{page}?code={quote(code, safe='')}"
    return Step(act="register", label=label, icon=icon, hint=hint, href=href, permission="network:write")


def work_steps(facts: Facts, row: jobs.WorkRow) -> list[Step]:
    """Return what a location may do with its part, the usual first; nothing where it is not the reader's."""
    if facts.scope is not None and row.location_id not in facts.scope:
        return []
    steps = _next_steps(facts, row)
    if other_slots(facts, row):
        dialog, label = f"dlg-move-{str(row.id)[-12:]}", _("Move to another slot")
        job: dict[str, Any] = {"work_id": str(row.id), "permission": "fulfillment:work"}
        steps.append(Step(act="move-work", label=label, icon="calendar-event", dialog=dialog, **job))
    return steps


def _next_steps(facts: Facts, row: jobs.WorkRow) -> list[Step]:
    mine = [u for u in facts.living if u.fulfillment_id == row.id]
    states = {u.state for u in mine}
    work_id = str(row.id)
    job: dict[str, Any] = {"work_id": work_id, "permission": "fulfillment:work"}
    short = work_id[-12:]
    steps: list[Step] = []
    if row.state == "open":
        steps = [
            Step(act="accept", label=_("Accept at {place}", place=row.location), icon="check", **job),
            Step(act="reject", label=_("Reject"), icon="hand-stop", dialog=f"dlg-reject-{short}", **job),
        ]
    elif row.state in {"accepted", "picking"}:
        steps = [
            Step(act="pick", label=_("Confirm pick"), icon="clipboard-check", dialog=f"dlg-pick-{short}", **job),
        ]
    elif row.state == "picked":
        steps = [_leave_the_shelf(row, job, count_of(mine))]
    elif UnitState.AWAITING_DOCUMENT in states:
        steps = [
            Step(
                act="document",
                label=_("Record document"),
                icon="file-invoice",
                dialog=f"dlg-document-{short}",
                work_id=work_id,
                permission="fiscal:record",
            ),
        ]
    elif row.state == "packed" and row.method == "ship":
        steps = [Step(act="ship", label=_("Ship"), icon="truck-delivery", dialog=f"dlg-ship-{short}", **job)]
    elif row.state == "packed":
        steps = [Step(act="ready", label=_("Ready for pickup"), icon="building-store", **job)]
    elif row.state == "ready":
        steps = _counter_steps(row, job)
    elif row.state == "cancelled" and row.pickup_returned:
        steps = [_more_time(work_id, _("Set aside again"), "arrow-back-up")]
    if any(u.document_id is not None and u.state not in GONE for u in mine) and standing_documents(facts, row):
        steps.append(_dialog_step("cancel-document", _("Document cancelled"), "ban", row, permission="fiscal:record"))
    return steps


def _counter_steps(row: jobs.WorkRow, job: Mapping[str, Any]) -> list[Step]:
    """Return what may be done with goods that wait for their customer."""
    dialog, work_id = f"dlg-hand-{str(row.id)[-12:]}", str(row.id)
    more = _more_time(work_id, _("More time"), "clock-plus")
    if row.pickup_expired_at is not None:
        return [more]
    fresh = _dialog_step("new-code", _("New code"), "refresh", row, permission="orders:write")
    if is_locked(row):
        return [fresh, more]
    return [Step(act="hand-over", label=_("Hand over"), icon="hand-grab", dialog=dialog, **job), more, fresh]


def _dialog_step(act: str, label: str, icon: str, row: jobs.WorkRow, *, permission: str) -> Step:
    dialog, work_id = f"dlg-{act}-{str(row.id)[-12:]}", str(row.id)
    return Step(act=act, label=label, icon=icon, dialog=dialog, work_id=work_id, permission=permission)


def _leave_the_shelf(row: jobs.WorkRow, job: dict[str, Any], units: int) -> Step:
    """Return what follows once all is picked: goods are packed here, or where they are brought to.

    One unit is one parcel; of several a person may say which go in which.
    """
    if row.to_location is None:
        dialog = f"dlg-pack-{str(row.id)[-12:]}" if units > 1 else ""
        return Step(act="pack", label=_("Pack"), icon="package", dialog=dialog, **job)
    dialog = f"dlg-send-{str(row.id)[-12:]}"
    label = _("Send to {place}", place=row.to_location_name)
    return Step(act="send", label=label, icon="truck-delivery", dialog=dialog, **job)


def other_slots(facts: Facts, row: jobs.WorkRow) -> list[Slot]:
    """Return the picking slots that work could move to, with room for all of it."""
    if row.state not in moving.MOVABLE:
        return []
    has = None if row.slot is None else (row.slot.day, row.slot.starts)
    room = facts.room.get(row.location_id, ())
    return [s for s in room if (s.key.day, f"{s.key.starts:%H:%M}") != has and s.has_room_for(row.units)]


def _more_time(work_id: str, label: str, icon: str) -> Step:
    dialog = f"dlg-extend-{work_id[-12:]}"
    return Step(act="extend", label=label, icon=icon, dialog=dialog, work_id=work_id, permission="orders:write")
