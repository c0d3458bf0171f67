"""Orders of which money is to be given back, on screen: how much, and recording that it was given, of some or all."""

from typing import Any, ClassVar

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import actions, bulk, export, forms, render, shell, web
from malha.console.words import Sign
from malha.payments import giving_back, reads
from malha.payments import giving_back_reads as together
from malha.payments.reads import RefundDue
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, current_language
from malha.platform.ids import id_in
from malha.platform.sheets import Column, Kind

SEE, RECORD = "orders:read", "payments:record"
PAGE_SIZE = 50
PATH = "/refunds-due"
SHOWN_REFUSED = 200
STATES = {
    "going": Sign(N_("Being recorded"), "work", "p50"),
    "done": Sign(N_("Finished"), "done", "done"),
    "stopped": Sign(N_("Stopped halfway"), "wait", "pause"),
}
COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Channel order")), Column(N_("Channel"), width=24),
    Column(N_("Placed at"), Kind.MOMENT, 18), Column(N_("Currency")), Column(N_("Total"), Kind.MONEY),
    Column(N_("Cancelled"), Kind.MONEY), Column(N_("Captured"), Kind.MONEY), Column(N_("Refunded"), Kind.MONEY),
    Column(N_("As a favour"), Kind.MONEY), Column(N_("To give back"), Kind.MONEY),
)  # fmt: skip


class Asked(web.Terms, frozen=True, kw_only=True):
    """What an address says; nonsense in it is ignored."""

    PATH: ClassVar[str] = PATH

    q: str = ""


@get(PATH, opt={"permission": SEE})
async def refunds_due_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the orders of which money is to be given back, the newest first."""
    return await _page(request, Asked.of(request.query_params))


async def _page(
    request: Request[Any, Any, Any], asked: Asked, refused: list[tuple[int, str]] | None = None
) -> Response[str]:
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "refunds_due", here=asked.address(after=asked.after))
        rows = await reads.refunds_due(
            tx, text=asked.q, scope=tx.actor.scope, after=id_in(asked.after), limit=PAGE_SIZE + 1
        )
        found = await together.found(tx, asked.q)
        batches = await together.batches(tx)
    shown = rows[:PAGE_SIZE]
    return render.html(
        "payments/refunds_due.html",
        shell=around,
        may=around.may,
        rows=shown,
        refused=refused or [],
        found=found,
        mark=together.mark_of(found),
        batches=batches,
        states=STATES,
        q=asked.q,
        here=asked.address(after=asked.after),
        next=asked.address(after=str(shown[-1].order_id)) if len(rows) > PAGE_SIZE else "",
        exports=export.choices(asked.address, f"{PATH}:export"),
    )


@post(f"{PATH}:record", opt={"permission": RECORD}, status_code=200)
async def refunds_record(request: Request[Any, Any, Any]) -> Response[Any]:
    """Record that the money of the chosen orders was given back, each in a transaction of its own.

    Raises:
        Invalid: nothing is chosen, or no reference is given.
    """
    form = await request.form()
    numbers = forms.numbers(form, "order", 18, PAGE_SIZE)
    flaws = [] if numbers else [Flaw("order", N_("Choose at least one order."))]
    refuse([*flaws, *actions.reference_flaws(forms.said(form, "reference", 100))])
    outcome = await actions.bulk(request, "refund", numbers, form)
    told = bulk.told("refund", outcome)
    back = web.safe_address(forms.said(form, "next", 400), PATH)
    if not outcome.refused or not web.wants_part(request):
        return web.go_on(request, back, told)
    shown = await _page(request, Asked.of(web.page_query(request)), outcome.refused)
    whole = {"HX-Retarget": "#content", "HX-Reselect": "#content", "HX-Reswap": "outerHTML"}
    shown.headers.update({"HX-Trigger": web.trigger("toast", told), **whole})
    return shown


@post(f"{PATH}:record-all", opt={"permission": RECORD}, status_code=200)
async def refunds_record_all(request: Request[Any, Any, Any]) -> Response[Any]:
    """Have a worker record that the money of all orders the filter finds was given back, and show how far it is.

    Raises:
        Invalid: no reference is given.
        NoRefundsFound, RefundsChanged: it is no longer what the page showed.
    """
    form = await request.form()
    reference = forms.said(form, "reference", 100)
    refuse(actions.reference_flaws(reference))
    async with web.writing(request) as tx:
        number = await giving_back.begin(tx, reference, forms.said(form, "q", 200), forms.said(form, "mark", 2_000))
    return web.go_on(request, f"{PATH}/together/{number}")


@get(f"{PATH}/together/{{number:int}}", opt={"permission": SEE})
async def refunds_together(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show refunds that are recorded together: how far it is, and of which orders none was recorded, with why."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "refunds_due")
        batch = await together.batch(tx, number)
        sums = await together.taken(tx, batch.id)
        refused = await together.refused(tx, batch.id, SHOWN_REFUSED)
    return render.html(
        "payments/refunds_together.html",
        shell=around,
        may=around.may,
        batch=batch,
        sums=sums,
        state_sign=STATES[batch.state],
        refused=[(each, giving_back.why(each, current_language())) for each in refused],
    )


@post(f"{PATH}/together/{{number:int}}/stop", opt={"permission": RECORD}, status_code=200)
async def refunds_stop(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Stop recording; the rest stays due."""
    async with web.writing(request) as tx:
        await giving_back.stop(tx, number)
    return web.go_on(request, f"{PATH}/together/{number}")


@get(export.paths(f"{PATH}:export"), opt={"permission": SEE})
async def refunds_due_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    asked = Asked.of(request.query_params)
    pages = export.pages(
        request,
        lambda tx, after: reads.refunds_due(tx, text=asked.q, scope=tx.actor.scope, after=after, limit=export.BATCH),
        lambda row: row.order_id,
    )

    def cells(row: RefundDue) -> list[Any]:
        money = [row.total, row.cancelled_total, row.captured, row.refunded, row.favour, row.refund_due]
        return [row.number, row.external_id, row.channel, row.placed_at, row.currency, *money]

    return export.send(request, "refunds-due", COLUMNS, pages, cells)


HANDLERS = [
    refunds_due_page, refunds_record, refunds_record_all, refunds_together, refunds_stop, refunds_due_export,
]  # fmt: skip
