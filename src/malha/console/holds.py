"""Holds of carts and payments, on screen: what is kept, for whom, until when, and letting it go before its time."""

from typing import Any, ClassVar

from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, filling, forms, goods_forms, render, shell, web
from malha.inventory import hold_reads, service
from malha.inventory.hold_reads import Held, HeldLine, Wanted
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, n_
from malha.platform.sheets import Column, Kind

SEE, CHANGE = "stock:read", "stock:write"
PAGE_SIZE = 100
PATH = "/holds"


class Asked(web.Terms, frozen=True, kw_only=True):
    """What an address says; nonsense in it is ignored."""

    PATH: ClassVar[str] = PATH

    q: str = ""
    location: str = ""
    channel: str = ""

    @property
    def filtered(self) -> bool:
        """Return whether the list is narrowed."""
        return bool(self.q or self.location or self.channel)

    def wanted(self, request: web.Asking) -> Wanted:
        """Return which holds are asked for, among those that the person sees."""
        scope = shell.scope_of(web.caller_of(request))
        return Wanted(text=self.q, location=self.location, channel=self.channel, scope=scope)


@get(PATH, opt={"permission": SEE})
async def holds_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the holds that last, those that end soonest first."""
    asked = Asked.of(request.query_params)
    wanted = asked.wanted(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "holds", here=asked.address(after=asked.after))
        places = await goods_forms.places_of(tx, request)
        rows = await hold_reads.holds(tx, wanted, after=web.place_in(asked.after), limit=PAGE_SIZE + 1)
        total = await hold_reads.count(tx, wanted)
    shown = rows[:PAGE_SIZE]
    more = web.place(shown[-1].expires_at, shown[-1].id) if len(rows) > PAGE_SIZE else ""
    return render.html(
        "stock/holds.html",
        shell=around,
        may=around.may,
        asked=asked,
        rows=shown,
        total=total,
        places=[(place.code, place.name) for place in places],
        first=asked.address(after="") if asked.after else "",
        next=asked.address(after=more) if more else "",
        exports=export.choices(asked.address, "/holds:export"),
    )


@post("/holds:release", opt={"permission": CHANGE}, status_code=200)
async def holds_release(request: Request[Any, Any, Any]) -> Response[Any]:
    """Let the chosen holds go before their time.

    Raises:
        Invalid: nothing is chosen, or no reason is given.
    """
    form = await request.form()
    read = filling.filled(form)
    chosen = forms.chosen(form, "key", PAGE_SIZE)
    if not chosen:
        refuse([Flaw("key", N_("Choose at least one hold."))])
    async with web.writing(request) as tx:
        gone = await service.release_by_hand(tx, chosen, read.text("reason", 500))
    told = n_("{n} hold released", "{n} holds released", len(gone))
    if left := len(set(chosen)) - len(gone):
        told = f"{told}. {n_('{n} was over already.', '{n} were over already.', left)}"
    return web.go_on(request, web.safe_address(read.text("next", 400), PATH), told)


COLUMNS = (
    Column(N_("Held for"), width=28), Column(N_("Sales channel"), width=22), Column(N_("Held since"), Kind.MOMENT, 18),
    Column(N_("Until"), Kind.MOMENT, 18), Column(N_("SKU")), Column(N_("Item"), width=30),
    Column(N_("Location"), width=26), Column(N_("Units"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/holds:export"), opt={"permission": SEE})
async def holds_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file, a row for each SKU and location."""
    wanted = Asked.of(request.query_params).wanted(request)

    async def read(tx: Tx, after: hold_reads.Place | None) -> list[Held]:
        return await hold_reads.holds(tx, wanted, after=after, limit=export.BATCH)

    async def lines() -> Any:
        async for found in export.pages(request, read, lambda held: (held.expires_at, held.id)):
            yield [(held, line) for held in found for line in held.lines]

    def cells(row: tuple[Held, HeldLine]) -> list[Any]:
        held, line = row
        return [
            held.reference, held.channel_name, held.created_at, held.expires_at, line.sku, line.name,
            line.location_name, line.quantity,
        ]  # fmt: skip

    return export.send(request, "holds", COLUMNS, lines(), cells)


HANDLERS = [holds_page, holds_release, holds_export]
