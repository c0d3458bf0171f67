"""Orders that are paid with more than their total, on screen: what is to be given back, and to whom it leads."""

from typing import Any, ClassVar

from litestar import Request, get
from litestar.response import Response, Stream

from malha.console import export, render, shell, web
from malha.payments import reads
from malha.payments.reads import Overpaid
from malha.platform.i18n import N_
from malha.platform.ids import id_in
from malha.platform.sheets import Column, Kind

SEE = "orders:read"
PAGE_SIZE = 50
PATH = "/overpaid"
COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Channel"), width=24), Column(N_("Placed"), Kind.MOMENT),
    Column(N_("Currency")), Column(N_("Total"), Kind.MONEY), Column(N_("Captured"), Kind.MONEY),
    Column(N_("Refunded"), Kind.MONEY), Column(N_("To give back"), Kind.MONEY),
)  # fmt: skip


class Asked(web.Terms, frozen=True, kw_only=True):
    """What an address says; nonsense in it is ignored."""

    PATH: ClassVar[str] = PATH

    q: str = ""


@get(PATH, opt={"permission": SEE})
async def overpaid_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the orders that are paid with more than their total, the newest first."""
    asked = Asked.of(request.query_params)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "overpaid", here=asked.address(after=asked.after))
        rows = await reads.overpaid(
            tx, text=asked.q, scope=tx.actor.scope, after=id_in(asked.after), limit=PAGE_SIZE + 1
        )
    shown = rows[:PAGE_SIZE]
    return render.html(
        "payments/overpaid.html",
        shell=around,
        may=around.may,
        rows=shown,
        q=asked.q,
        next=asked.address(after=str(shown[-1].order_id)) if len(rows) > PAGE_SIZE else "",
        exports=export.choices(asked.address, f"{PATH}:export"),
    )


@get(export.paths(f"{PATH}:export"), opt={"permission": SEE})
async def overpaid_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    asked = Asked.of(request.query_params)
    pages = export.pages(
        request,
        lambda tx, after: reads.overpaid(tx, text=asked.q, scope=tx.actor.scope, after=after, limit=export.BATCH),
        lambda row: row.order_id,
    )

    def cells(row: Overpaid) -> list[Any]:
        money = [row.total, row.captured, row.refunded, row.overpaid]
        return [row.number, row.channel, row.placed_at, row.currency, *money]

    return export.send(request, "overpaid-orders", COLUMNS, pages, cells)


HANDLERS = [overpaid_page, overpaid_export]
