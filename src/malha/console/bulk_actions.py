"""Bulk actions on screen: what is to be done with all orders that a list found, beginning it, and how far it is."""

from collections.abc import Awaitable
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, order, render, shell, web, words
from malha.console.words import Sign
from malha.fulfillment import bulk
from malha.fulfillment import bulk_reads as reads
from malha.fulfillment.bulk_model import FINAL, PERMISSIONS, Act, Wish
from malha.fulfillment.bulk_reads import BulkAction, Refused
from malha.platform import refusals
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, current_language
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind

SEE = "orders:read"
PATH = "/bulk-actions"
PAGE_SIZE = 50
SHOWN_REFUSED = 200
STATES = {
    "ready": Sign(N_("Not begun"), "neutral", "ring"),
    "going": Sign(N_("Being worked through"), "work", "p50"),
    "done": Sign(N_("Finished"), "done", "done"),
    "stopped": Sign(N_("Stopped halfway"), "wait", "pause"),
}
# By act: the question before it begins, the word on the button, and what it does.
ACTS = {
    Act.RELEASE: (
        N_("Release these orders?"),
        N_("Release orders"),
        N_("Each is released to its locations now. What waits for a payment, stock or a person stays as it is."),
    ),
    Act.HOLD: (
        N_("Hold these orders?"),
        N_("Hold orders"),
        N_(
            "Held orders are not released to a location until the hold is lifted. Work that a location has already "
            "begun goes on."
        ),
    ),
    Act.RESOLVE: (
        N_("Lift the holds of these orders?"),
        N_("Lift the holds"),
        N_("Holds that a person may lift are lifted. Those that wait for a payment, stock or a SKU stay."),
    ),
    Act.PROMISE: (
        N_("Promise these orders for another day?"),
        N_("Promise and tell"),
        N_("Each customer is told the new day and the reason. What was promised before stays on record."),
    ),
    Act.TAGS: (
        N_("Tag these orders?"),
        N_("Set the tags"),
        N_("What an order has already, or has not, is left as it is."),
    ),
    Act.CANCEL: (
        N_("Cancel these orders?"),
        N_("Cancel orders"),
        N_(
            "Every unit that has not left its location is cancelled and its stock given back. Orders already shipped "
            "are left as they are. What was paid becomes refundable. This cannot be undone."
        ),
    ),
}
COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("Act"), width=22), Column(N_("State"), width=20),
    Column(N_("Orders"), Kind.WHOLE), Column(N_("Carried out"), Kind.WHOLE),
    Column(N_("Orders that refused"), Kind.WHOLE), Column(N_("Person"), width=28),
    Column(N_("Began"), Kind.MOMENT, 18), Column(N_("Ended"), Kind.MOMENT, 18),
    Column(N_("Reason"), width=40),
)  # fmt: skip
REFUSED_COLUMNS = (Column(N_("Order"), Kind.WHOLE), Column(N_("Why"), width=80))


def particulars(wish: Wish) -> list[tuple[str, str]]:
    """Return what belongs to an act, as (name, text), in the reader's language."""
    reasons = dict(order.promise_reasons())
    said = [
        (_("Reason"), wish.reason),
        (_("New day"), render.calendar_day(wish.day) if wish.day else ""),
        (_("Reason"), str(reasons.get(wish.because, "")) if wish.because else ""),
        (_("Note for colleagues"), wish.note),
        (_("Add"), ", ".join(wish.add)),
        (_("Take away"), ", ".join(wish.remove)),
    ]
    return [(name, text) for name, text in said if text]


@get(PATH, opt={"permission": SEE})
async def bulk_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the bulk actions that were begun, the newest first."""
    before = web.said(request.query_params, "before")
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "orders", here=PATH)
        rows = await reads.actions(tx, PAGE_SIZE + 1, before=int(before) if before.isdecimal() else None)
    return render.html(
        "bulk/list.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        states=STATES,
        acts=words.ACT,
        next=f"{PATH}?before={rows[PAGE_SIZE - 1].number}" if len(rows) > PAGE_SIZE else "",
        exports=export.choices(str, f"{PATH}:export"),
    )


@get(export.paths(f"{PATH}:export"), opt={"permission": SEE})
async def bulk_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""

    def row(each: BulkAction) -> list[Any]:
        wish = each.wish
        return [
            each.number, _(words.ACT[each.act]), _(STATES[each.state].word), each.orders, each.done, each.refused,
            each.person, each.begun_at, each.ended_at, "; ".join(text for _name, text in particulars(wish)),
        ]  # fmt: skip

    def page(tx: Tx, before: int | None) -> Awaitable[list[BulkAction]]:
        return reads.actions(tx, export.BATCH, before=before)

    return export.send(request, "bulk-actions", COLUMNS, export.pages(request, page, lambda each: each.number), row)


@get(f"{PATH}/{{number:int}}", opt={"permission": SEE})
async def bulk_page(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show a bulk action: what is about to be done, how far it is, and which orders refused, with why."""
    async with web.reading(request) as tx:
        action = await reads.action(tx, number)
        around = await shell.around(tx, request, "orders", here=f"{PATH}/{number}")
        standing = await reads.standing(tx, action.id)
        refused = await reads.refused(tx, action.id, SHOWN_REFUSED)
    sums: dict[str, int] = {}
    for each in standing:
        sums[each.currency] = sums.get(each.currency, 0) + each.total
    question, button, says = ACTS[action.act]
    return render.html(
        "bulk/show.html",
        shell=around,
        may=around.may,
        allowed=around.may(PERMISSIONS[action.act]),
        action=action,
        name=words.ACT[action.act],
        question=question,
        button=button,
        says=says,
        final=action.act in FINAL,
        grave=action.act is Act.CANCEL,
        particulars=particulars(action.wish),
        standing=[(words.STATUS[each.status], each) for each in standing],
        sums=sums,
        state_sign=STATES[action.state],
        back=f"/orders?{action.sought}",
        refused=[(each, refusals.said(each.why, current_language())) for each in refused],
        exports=export.choices(str, f"{PATH}/{number}/refused"),
    )


@post(f"{PATH}/{{number:int}}/begin", opt={"permission": SEE}, status_code=200)
async def bulk_begin(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Begin what was gathered.

    Raises:
        Forbidden: the person may not do this to orders.
        BulkBegun: it was begun already.
    """
    async with web.writing(request) as tx:
        await bulk.begin(tx, number)
    return web.go_on(request, f"{PATH}/{number}")


@post(f"{PATH}/{{number:int}}/stop", opt={"permission": SEE}, status_code=200)
async def bulk_stop(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Stop what goes on; orders that it has not come to are left alone.

    Raises:
        Forbidden: the person may not do this to orders.
        BulkEnded: it does not go on any more.
    """
    async with web.writing(request) as tx:
        await bulk.stop(tx, number)
    return web.go_on(request, f"{PATH}/{number}")


@get(export.paths(f"{PATH}/{{number:int}}/refused"), opt={"permission": SEE})
async def bulk_refused(request: Request[Any, Any, Any], number: FromPath[int]) -> Stream:
    """Send the orders that refused, with why, as a file."""
    async with web.reading(request) as tx:
        action = await reads.action(tx, number)
    language = current_language()

    def row(each: Refused) -> list[Any]:
        return [each.number, refusals.said(each.why, language)]

    def page(tx: Tx, after: UUID | None) -> Awaitable[list[Refused]]:
        return reads.refused(tx, action.id, export.BATCH, after=after)

    pages = export.pages(request, page, lambda each: each.order_id)
    return export.send(request, f"bulk-action-{number}-refused", REFUSED_COLUMNS, pages, row)


HANDLERS = [bulk_list, bulk_export, bulk_page, bulk_begin, bulk_stop, bulk_refused]
