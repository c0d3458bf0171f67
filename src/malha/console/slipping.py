"""Promises that slip, on screen: orders whose plan cannot keep their day, and the button that promises another."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, web
from malha.flows import promises_slip
from malha.fulfillment import slip_reads as reads
from malha.fulfillment import slipping
from malha.fulfillment.slip_reads import SlipRow
from malha.platform import i18n
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import id_in
from malha.platform.settings import Settings
from malha.platform.sheets import Column, Kind
from malha.promising.slipping import SLIP_WORDS, Slip

SEE, CHANGE = "orders:read", "orders:write"
PAGE_SIZE = 100
PATH = "/promises/slipping"


class Asked(web.Terms, frozen=True, kw_only=True):
    """What an address says; nonsense in it is ignored."""

    PATH: ClassVar[str] = PATH

    reason: str = ""

    @property
    def slip(self) -> Slip | None:
        """Return the reason that is asked for."""
        return Slip(self.reason) if self.reason else None


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    reason = query.get("reason", "")
    return Asked(reason=reason if reason in set(Slip) else "", after=query.get("after", "")[:80])


def said(row: SlipRow, at: datetime) -> str:
    """Return a day as it is promised or expected; of what is fetched, the hour."""
    if row.method == "pickup":
        return render.moment(at, row.pickup_zone)
    return render.calendar_day(render.day_for(row, at))


def lateness(row: SlipRow) -> str:
    """Return how late an order would be, as people say it: `2` days; of what is fetched on its day `3 h`."""
    days = days_late(row)
    if days is None or row.expected_at is None:
        return ""
    if row.method == "pickup" and not days:
        return render.span(row.expected_at - row.promised_at)
    return i18n.number(days)


def days_late(row: SlipRow) -> int | None:
    """Return by how many calendar days an order would be late; None: no day can be said."""
    if row.expected_at is None:
        return None
    expected = render.day_for(row, row.expected_at)
    return (expected - render.day_for(row, row.promised_at)).days


@get(PATH, opt={"permission": SEE})
async def slipping_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the orders that cannot keep their day."""
    asked = asked_of(request.query_params)
    settings: Settings = request.app.state.services.settings
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "promises", here=asked.address(after=asked.after))
        scope = shell.scope_of(web.caller_of(request))
        counts = await reads.counts(tx, scope)
        rows = await reads.slipping(
            tx, scope=scope, reason=asked.slip, after=web.place_in(asked.after), most=PAGE_SIZE + 1
        )
    shown = rows[:PAGE_SIZE]
    more = web.place(shown[-1].promised_at, shown[-1].order_id) if len(rows) > PAGE_SIZE else ""
    dated = sum(n for slip, (_all, n) in counts.items() if not asked.reason or slip == asked.reason)
    total = sum(n for n, _dated in counts.values())
    views = [("", _("All"), total)]
    views += [
        (slip.value, _(SLIP_WORDS[slip]), counts[slip][0] if slip in counts else 0)
        for slip in Slip
        if slip in counts or slip == asked.reason
    ]
    page = {
        "asked": asked,
        "rows": [
            (
                row,
                _(SLIP_WORDS[Slip(row.reason)]),
                said(row, row.promised_at),
                row.expected_at and said(row, row.expected_at),
                lateness(row),
            )
            for row in shown
        ],
        "views": [(word, asked.address(reason=key), n, key == asked.reason) for key, word, n in views],
        "total": total,
        "dated": dated,
        "first": asked.address(after="") if asked.after else "",
        "next": asked.address(after=more) if more else "",
        "mode": settings.repromise,
        "storm": dated > slipping.STORM * settings.repromise_most,
        "exports": export.choices(asked.address, "/promises/slipping:export"),
        "whole": scope is None,
    }
    template = "promises/slipping_body.html" if web.wants_part(request) else "promises/slipping.html"
    return render.html(template, shell=around, may=around.may, page=page)


@post(PATH, opt={"permission": CHANGE}, status_code=200)
async def promise_slipping(request: Request[Any, Any, Any]) -> Response[Any]:
    """Promise the chosen orders anew, or all of a reason in the background, and tell their customers.

    Raises:
        Invalid: nothing is chosen.
    """
    form = await request.form()
    read = filling.filled(form)
    reason = read.text("reason", 20)
    everything = read.text("all", 1) == "1" and shell.scope_of(web.caller_of(request)) is None
    chosen = [id_ for key in form.getall("key", []) if (id_ := id_in(str(key)))][:1_000]
    if not everything and not chosen:
        refuse([Flaw("key", N_("Choose at least one order."))])
    async with web.writing(request) as tx:
        if everything:
            await promises_slip.promise_all_soon(tx, Slip(reason) if reason in set(Slip) else None)
            told = _("All of them are promised anew, one after the other.")
        else:
            seen = await reads.seen(tx, chosen, shell.scope_of(web.caller_of(request)))
            done = await slipping.promise_many(tx, seen)
            told = n_("{n} order promised anew", "{n} orders promised anew", done)
    return web.go_on(request, PATH, told)


COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Sales channel"), width=22), Column(N_("Customer"), width=28),
    Column(N_("Promised for"), Kind.DAY), Column(N_("Arrives on its plan"), Kind.DAY),
    Column(N_("Days late"), Kind.WHOLE), Column(N_("Why"), width=36), Column(N_("Location"), width=26),
    Column(N_("Destination")), Column(N_("Found"), Kind.MOMENT, 18), Column(N_("Promised anew by itself"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/promises/slipping:export"), opt={"permission": SEE})
async def slipping_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the orders that cannot keep their day, as they are filtered, as a file."""
    scope = shell.scope_of(web.caller_of(request))
    asked = asked_of(request.query_params)
    pages = export.pages(
        request,
        lambda tx, after: reads.slipping(tx, scope=scope, reason=asked.slip, after=after, most=export.BATCH),
        lambda row: (row.promised_at, row.order_id),
    )

    def cells(row: SlipRow) -> list[Any]:
        expected = None if row.expected_at is None else render.day_for(row, row.expected_at)
        return [
            row.number, row.channel, row.buyer_name, render.day_for(row, row.promised_at), expected,
            days_late(row), _(SLIP_WORDS[Slip(row.reason)]), row.location_name, row.to_state, row.found_at, row.told,
        ]  # fmt: skip

    return export.send(request, "slipping-promises", COLUMNS, pages, cells)


HANDLERS = [slipping_page, promise_slipping, slipping_export]
