"""The work of all locations as a board: a column per stage, the soonest due on top, a ring that shows the time used."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, forms, picking_view, reads, render, shell, web, words
from malha.fulfillment import moving
from malha.fulfillment import reads as jobs
from malha.fulfillment.errors import WorkNotFound
from malha.fulfillment.reads import QueueRow
from malha.network import reads as network
from malha.network import sites
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID, id_in
from malha.platform.sheets import Column as Heading
from malha.platform.sheets import Kind

# Stages: their states, their name, and what an empty one says.
STAGES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("open",), N_("To accept"), N_("Nothing waits for an answer.")),
    (("accepted", "picking"), N_("To pick"), N_("Nothing to pick.")),
    (("picked",), N_("To pack"), N_("Nothing to pack.")),
    (("packed",), N_("Packed"), N_("Nothing packed waits.")),
    (("ready",), N_("Waits for the customer"), N_("No counter has anything ready.")),
)
TO_PICK = ("open", "accepted", "picking")
MOVED_AT_ONCE = 200
ROUND = 2 * 3.141592653589793 * 12  # of the ring, in its own units


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One location's work for one order."""

    id: str
    number: int
    work: int
    movable: bool  # to another picking slot
    who: str
    place: str
    detail: str
    due: str
    tone: str  # "", soon, late
    used: float  # length of the ring's arc
    sign: str  # short text inside the ring
    waits_document: bool
    owner: str  # whose goods they are, where the site keeps several owners'
    slot: str  # when it is to be picked; empty without


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One stage. `count` is of all its work, cards are at most those of the page."""

    title: str
    count: int
    late: int
    empty: str
    cards: list[Card]


def _card(row: QueueRow, at: datetime, slotted: Collection[int]) -> Card:
    left = row.due_at - at
    whole = max((row.due_at - row.released_at).total_seconds(), 1.0)
    used = min(max((at - row.released_at).total_seconds() / whole, 0.0), 1.0)
    waiting = row.state == "ready"
    late = not waiting and row.due_at < at
    soon = not waiting and not late and left < render.SOON
    minutes = int(abs(left).total_seconds()) // 60
    short = f"{minutes}" if minutes < 100 else f"{minutes // 60}h" if minutes < 6000 else f"{minutes // 1440}d"
    until = row.pickup_until if waiting else None
    due = render.due_text(until, promise=True) if until else render.moment(row.due_at)
    way = _("Pickup") if row.method == "pickup" else row.service or ""
    if row.to_location_name is not None:
        way = _("for {place}", place=row.to_location_name)
    parts = [n_("{n} unit", "{n} units", row.units), way]
    return Card(
        id=str(row.id),
        number=row.order_number,
        work=row.number,
        movable=row.state in TO_PICK and row.location_id in slotted,
        who=row.buyer_name or _("Name not given"),
        place=row.location,
        detail=", ".join(part for part in parts if part),
        due=due,
        tone="late" if late else "soon" if soon else "",
        used=round(ROUND * used, 1),
        sign="" if waiting else f"+{short}" if late else short,
        waits_document=row.awaiting_document,
        owner=row.owner_name if row.shared else "",
        slot=picking_view.short(row.slot, i18n.local(at).date()) if row.slot and row.state in TO_PICK else "",
    )


def columns_of(
    rows: list[QueueRow], counts: Mapping[str, tuple[int, int]], slotted: Collection[int] = ()
) -> list[Column]:
    """Return the board's columns. `slotted` are the locations that have picking slots to move work to."""
    at = now()
    return [
        Column(
            title=_(title),
            count=sum(counts.get(state, (0, 0))[0] for state in states),
            late=sum(counts.get(state, (0, 0))[1] for state in states),
            empty=_(empty),
            cards=[_card(row, at, slotted) for row in rows if row.state in states],
        )
        for states, title, empty in STAGES
    ]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the work that an address asks for is: a location, a site with all its owners, or all in sight."""

    wanted: tuple[int, ...] | None  # ids of locations; None is all
    location: str = ""
    site: str = ""
    places: list[tuple[str, str]] = []
    sites: list[tuple[str, str, int]] = []

    @property
    def said(self) -> dict[str, str]:
        """Return what an address says of it."""
        return {name: value for name, value in (("site", self.site), ("location", self.location)) if value}


async def place_of(tx: Tx, query: Mapping[str, str], scope: Sequence[int] | None) -> Place:
    """Return where an address asks for. What is not in sight narrows nothing, nor does a location of another site."""
    busy = await reads.locations_with_work(tx, scope)
    seen = {p.id: p for p in await network.locations(tx) if scope is None or p.id in scope}
    shared = sites.shared(seen.values())
    homes = {seen[id_].code: site for site in shared for id_ in site.places}
    site = homes.get(query.get("site", ""))
    there = [(id_, code, name) for id_, code, name in busy if site is None or id_ in site.places]
    asked = query.get("location", "")
    if asked not in {code for _id, code, _name in there}:  # one with nothing to do is still the one that is asked for
        idle = (p for p in seen.values() if p.code == asked and (site is None or p.id in site.places))
        there += [(p.id, p.code, p.name) for p in idle]
    at = next((id_ for id_, code, _name in there if code == asked), None)
    if at is not None:
        wanted: tuple[int, ...] | None = (at,)
    elif site is not None:
        wanted = tuple(site.places)
    else:
        wanted = None if scope is None else tuple(scope)
    return Place(
        wanted=wanted,
        location="" if at is None else asked,
        site=site.code if site else "",
        places=[(code, name) for _id, code, name in there],
        sites=[(s.code, s.name, len(s.places)) for s in shared],
    )


@get("/fulfillment", opt={"permission": "fulfillment:work"})
async def board(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the board, of all locations, of one or of one site, of all work or of a picking slot's."""
    return await _drawn(request, request.query_params)


async def _drawn(
    request: Request[Any, Any, Any], query: Mapping[str, str], refused: Sequence[tuple[str, str]] = ()
) -> Response[str]:
    """Return the board as an address asks, with the work that could not be moved, and why."""
    slot = picking_view.chosen(query.get("slot", ""))
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "fulfillment")
        place = await place_of(tx, query, scope)
        rows = await jobs.queue(tx, place.wanted, slot=slot)
        room = await moving.choices(tx, {row.location_id for row in rows if row.state in TO_PICK})
        columns = columns_of(rows, await jobs.queue_counts(tx, place.wanted, slot=slot), room)
        slots = picking_view.options(await jobs.slots_at_work(tx, place.wanted), slot)
    address = address_of(place, slot)
    template = "fulfillment/board.html" if web.wants_part(request) else "fulfillment/page.html"
    return render.html(
        template,
        shell=around,
        columns=columns,
        place=place,
        slots=slots,
        slot=written(slot),
        here=f"/fulfillment{address}",
        pick_list=f"/fulfillment/pick-list{address}",
        exports=export.choices(lambda path: f"{path}{address}", "/fulfillment/export"),
        total=i18n.number(sum(column.count for column in columns)),
        others=picking_view.free(next(iter(room.values())))
        if len(room) == 1
        else picking_view.free_anywhere(room.values()),
        refused=refused,
        may=around.may,
    )


@post("/fulfillment/move", opt={"permission": "fulfillment:work"}, status_code=200)
async def move_chosen(request: Request[Any, Any, Any]) -> Response[Any]:
    """Move the chosen work to a picking slot, each piece in a transaction of its own, then draw the board anew.

    Raises:
        Invalid: no slot was chosen, or no reason given.
    """
    form = await request.form()
    day, starts = picking_view.slot_of(str(form.get("slot", "")))
    reason = forms.said(form, "reason", moving.MOST_REASON)
    refuse([] if reason else [Flaw("reason", N_("Say why, in a few words."))])
    done, refused = 0, []
    for text in dict.fromkeys(str(id_) for id_ in form.getall("work", [])[:MOVED_AT_ONCE]):
        try:
            async with web.writing(request) as tx:
                await moving.move_to_slot(tx, _id_of(text), day, starts, reason=reason)
            done += 1
        except MalhaError as error:
            refused.append((text, web.refusal_text(error)[0]))
    notice = n_("{n} piece of work moved", "{n} pieces of work moved", done)
    if refused:
        notice = f"{notice}, {n_('{n} refused', '{n} refused', len(refused))}"
    if not web.wants_part(request):
        return web.see_other("/fulfillment", notice=notice)
    async with web.reading(request) as tx:
        numbers = await jobs.order_numbers(tx, [id_ for text, _says in refused if (id_ := id_in(text))])
    named = [(str(numbers.get(text, "")), says) for text, says in refused]
    shown = await _drawn(request, web.page_query(request), named)
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


def _id_of(text: str) -> UUID:
    found = id_in(text)
    if found is None:
        raise WorkNotFound(key=text[:60])
    return found


def address_of(place: Place, slot: jobs.Hours) -> str:
    """Return the question of an address that asks for work at a place, in a slot."""
    said = place.said | ({"slot": written(slot)} if written(slot) else {})
    return f"?{urlencode(said)}" if said else ""


def written(slot: jobs.Hours) -> str:
    """Return a slot as addresses name it."""
    day, starts = slot
    return "" if day is None or starts is None else f"{day.isoformat()}T{starts:%H:%M}"


COLUMNS = (
    Heading(N_("Work"), Kind.WHOLE), Heading(N_("Order"), Kind.WHOLE), Heading(N_("Location"), width=26),
    Heading(N_("Owner of the goods"), width=28),
    Heading(N_("State"), width=20), Heading(N_("Customer"), width=32), Heading(N_("City"), width=22),
    Heading(N_("Method")), Heading(N_("Service"), width=20), Heading(N_("Lines"), Kind.WHOLE),
    Heading(N_("Units"), Kind.WHOLE),
    Heading(N_("Released at"), Kind.MOMENT, 18), Heading(N_("Due"), Kind.MOMENT, 18),
    Heading(N_("Pickup until"), Kind.MOMENT, 18), Heading(N_("Picking day"), Kind.DAY), Heading(N_("Picking slot")),
)  # fmt: skip


def _export_row(row: QueueRow) -> list[Any]:
    sign = words.AWAITING_DOCUMENT if row.awaiting_document else words.FULFILLMENT[row.state]
    return [
        row.number, row.order_number, row.location, row.owner_name, _(sign.word), row.buyer_name, row.city,
        _(words.METHOD[row.method]),
        row.service, row.lines, row.units, row.released_at, row.due_at, row.pickup_until,
        row.slot and row.slot.day, picking_view.hours(row.slot.starts, row.slot.ends) if row.slot else None,
    ]  # fmt: skip


@get(export.paths("/fulfillment/export"), opt={"permission": "fulfillment:work"})
async def board_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the open work of all locations, of one or of one site, and of a picking slot if one is chosen, as a file."""
    slot = picking_view.chosen(request.query_params.get("slot", ""))
    async with web.reading(request) as tx:
        wanted = (await place_of(tx, request.query_params, shell.scope_of(web.caller_of(request)))).wanted

    pages = export.pages(
        request, lambda tx, after: jobs.queue(tx, wanted, slot=slot, after=after, most=export.BATCH), lambda row: row
    )

    return export.send(request, "fulfillment", COLUMNS, pages, _export_row)


HANDLERS = [board, board_export, move_chosen]
