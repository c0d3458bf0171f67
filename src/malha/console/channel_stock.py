"""How a channel hears of stock: the way, how far behind it is, what it refused; its listings, as a page and a file."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels import reads, service
from malha.channels.connecting import failures
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.channels.reads import ListingRow
from malha.console import export, filling, render, shell, web
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind
from malha.platform.text import whole_in

PAGE = 50
WAYS = {
    PushKind.WEBHOOK: N_("We call an address"),
    PushKind.FEED: N_("The channel asks us"),
    PushKind.CONNECTOR: N_("Over its connection"),
}
COLUMNS = (
    Column(N_("SKU")),
    Column(N_("Product")),
    Column(N_("Code on the channel")),
    Column(N_("In use")),
    Column(N_("Own price"), SheetKind.MONEY),
    Column(N_("Told quantity"), SheetKind.WHOLE),
    Column(N_("Told at"), SheetKind.MOMENT),
    Column(N_("Refused because")),
)


def _after(request: Request[Any, Any, Any]) -> int:
    said = request.query_params.get("after", "")
    return whole_in(said, 9) or 0


@get("/channels/{code:str}/stock", opt={"permission": "network:read"})
async def stock_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show how a channel hears of stock, and a page of its listings."""
    refused = request.query_params.get("view") == "refused"
    sku = request.query_params.get("q", "").strip()[:80]
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "channels")
        channel = await service.channel_of(tx, code)
        push = next(iter(await reads.pushes(tx, code)), None)
        in_use, not_taken = await reads.counts(tx, channel.id)
        rows = await reads.listed(
            tx, channel.id, after=_after(request), sku=sku or None, refused=refused, most=PAGE + 1
        )
    return render.html(
        "channels/stock.html",
        shell=around,
        may=around.may,
        c=channel,
        push=push,
        rows=rows[:PAGE],
        following=rows[PAGE - 1].sku_id if len(rows) > PAGE else None,
        view="refused" if refused else "all",
        q=sku,
        in_use=in_use,
        not_taken=not_taken,
        kinds=[(kind.value, _(word)) for kind, word in WAYS.items()],
        way=_(WAYS[PushKind(push.kind)]) if push else "",
        exports=export.choices(str, f"/channels/{channel.code}/stock:export"),
    )


@post("/channels/{code:str}/stock", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def stock_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Say how a channel hears of stock, or that it shall hear no more (`act`)."""
    read = filling.filled(await request.form())
    address = f"/channels/{code}/stock"
    if read.text("act") == "remove":
        async with web.writing(request) as tx:
            await service.drop_push(tx, code, read.version())
        return web.go_on(request, address, _("The channel is not told of stock any more"))
    draft = PushDraft(
        kind=read.choice("kind", PushKind),
        url=read.text("url", 2_048) or None,
        secret=read.text("secret", 200) or None,
        active=read.flag("active"),
        all_skus=read.flag("all_skus"),
    )
    read.refuse()
    services: Any = request.app.state.services
    async with web.writing(request) as tx:
        _version, secret = await service.put_push(
            tx, code, draft, read.version(), services.signing, allowed=services.settings.outward_allow
        )
    if secret:  # in the answer only: no cookie and no address carries it
        return render.html("channels/secret.html", secret=secret, address=address)
    return web.go_on(request, address, _("Saved"))


@post("/channels/{code:str}/stock/resend", opt={"permission": "network:write"}, status_code=200)
async def stock_resend(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Look at all listings again; with `everything`, tell all of them."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.resend(tx, code, everything=read.flag("everything"))
    return web.go_on(request, f"/channels/{code}/stock", _("All listings are looked at again"))


@post("/channels/{code:str}/stock/listing", opt={"permission": "network:write"}, status_code=200)
async def listing_put(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """List a SKU, change what the channel calls it and what it costs there, or take it out of use."""
    read = filling.filled(await request.form())
    price = read.maybe_scaled("price", 2)
    said = price if price is not None else None if read.flag("usual_price") else msgspec.UNSET
    draft = ListingDraft(read.text("sku", 80), read.text("code", 80) or None, read.flag("active"), said)
    if price is not None and read.flag("usual_price"):
        read.wrong("price", N_("Give it an own price or the catalogue's, not both."))
    if not draft.sku:
        read.wrong("sku", N_("This field is empty."), N_("Fill it in."))
    async with web.writing(request) as tx:
        if draft.sku and draft.sku in await service.put_listings(tx, code, [draft]):
            read.wrong("sku", N_("There is no SKU {sku}."), sku=draft.sku)
        read.refuse()
    return web.go_on(request, f"/channels/{code}/stock?{urlencode({'q': draft.sku})}", _("Listing saved"))


@get(export.paths("/channels/{code:str}/stock:export"), opt={"permission": "network:read"})
async def stock_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send all listings as a file."""
    async with web.reading(request) as tx:
        channel = await service.channel_of(tx, code)

    def cells(row: ListingRow) -> list[Any]:
        used = _("yes") if row.active else _("no")
        told = [row.sent_quantity, row.sent_at, failures.shown(row.error)]
        return [row.sku, row.name, row.code, used, row.own_price, *told]

    pages = export.pages(
        request,
        lambda tx, after: reads.listed(tx, channel.id, after=after or 0, most=export.BATCH),
        lambda row: row.sku_id,
    )
    return export.send(request, f"listings-{channel.code}", COLUMNS, pages, cells)


HANDLERS = [stock_show, stock_change, stock_resend, listing_put, stock_export]
