"""Selling ahead on screen: who waits for goods on order, and what may be sold before it is there."""

from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, web, words
from malha.console.filling import Filled
from malha.console.products import address_of, product_of
from malha.console.words import Sign
from malha.inventory.ahead import policies, reads
from malha.inventory.ahead.model import MODE_WORDS, ClaimState, Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.ahead.reads import PolicyRow
from malha.network import reads as network
from malha.ordering import waiting_reads
from malha.ordering.waiting_reads import WaitingRow, WaitingWanted
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold

PAGE_SIZE = 50
VIEWS = (("all", N_("All")), ("late", N_("Goods are late")), ("lost", N_("No goods expected")))
CLAIM: dict[str, Sign] = {
    ClaimState.WAITING: Sign(N_("Waits"), "wait", "dash"),
    ClaimState.LOST: Sign(N_("No goods expected"), "fail", "fail"),
    ClaimState.ARRIVED: Sign(N_("Arrived"), "work", "p50"),
}


# --- who waits ---


def _wanted(request: web.Asking) -> tuple[str, WaitingWanted]:
    query = request.query_params
    view = query.get("view", "all")
    view = view if view in {key for key, _word in VIEWS} else "all"
    return view, WaitingWanted(
        today=render.local(now()).date(),
        state=ClaimState.LOST.value if view == "lost" else None,
        late=view == "late",
        text=web.said(query, "q").strip()[:80],
        scope=shell.scope_of(web.caller_of(request)),
    )


def _after(request: web.Asking) -> tuple[datetime, int] | None:
    at, _dot, id_ = request.query_params.get("after", "").partition("/")
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    if found.tzinfo is None or not (id_.isascii() and id_.isdigit() and len(id_) < 18):
        return None
    return found, int(id_)


@get("/waiting", opt={"permission": "orders:read"})
async def waiting_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show who waits for goods on order, the first in the queue first."""
    view, wanted = _wanted(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "waiting")
        rows = await waiting_reads.waiting(tx, wanted, after=_after(request), limit=PAGE_SIZE + 1)
        counts = await waiting_reads.counts(tx, wanted.today, wanted.scope)
    said = {"view": view, "q": wanted.text}

    def address(path: str = "/waiting", **changes: Any) -> str:
        return f"{path}?{urlencode({k: v for k, v in {**said, **changes}.items() if v})}"

    last = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    found = dict(zip(("all", "lost", "late"), counts, strict=True))
    return render.html(
        "ahead/waiting.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        today=wanted.today,
        words=words,
        signs=CLAIM,
        q=wanted.text,
        view=view,
        views=[(_(word), address(view=key), key == view, found[key]) for key, word in VIEWS],
        next=address(after=f"{last.since.isoformat()}/{last.id}") if last else "",
        exports=export.choices(address, "/waiting:export"),
    )


COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Sales channel")), Column(N_("Order state")),
    Column(N_("Line"), Kind.WHOLE), Column(N_("SKU")), Column(N_("Item"), width=30), Column(N_("Units"), Kind.WHOLE),
    Column(N_("State")), Column(N_("Waits for")), Column(N_("Supplier"), width=24), Column(N_("Location code")),
    Column(N_("Expected")), Column(N_("Promised")), Column(N_("In the queue since"), width=20),
)  # fmt: skip


def source_of(kind: str | None, number: int | None) -> str:
    """Return the short name of a purchase order or transfer."""
    return "" if number is None else f"{'T' if kind == 'transfer' else 'P'}{number}"


@get(export.paths("/waiting:export"), opt={"permission": "orders:read"})
async def waiting_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file."""
    _view, wanted = _wanted(request)

    pages = export.pages(
        request,
        lambda tx, after: waiting_reads.waiting(tx, wanted, after=after, limit=export.BATCH),
        lambda row: (row.since, row.id),
    )

    def cells(row: WaitingRow) -> list[Any]:
        return [
            row.order_number, row.channel, _(words.STATUS[row.status].word), row.line, row.sku, row.name, row.quantity,
            _(CLAIM[row.state].word), source_of(row.kind, row.source_number), row.supplier, row.location,
            row.eta.isoformat() if row.eta else None,
            render.day_for(row, row.promised_at).isoformat() if row.promised_at else None,
            render.local(row.since).isoformat(sep=" ", timespec="minutes"),
        ]  # fmt: skip

    return export.send(request, "waiting", COLUMNS, pages, cells)


# --- what may be sold ahead ---


def terms_of(policy: PolicyRow) -> str:
    """Return the terms of a policy in words."""
    said = []
    if policy.release_on:
        said.append(_("released on {day}", day=render.calendar_day(policy.release_on)))
    if policy.cap:
        said.append(n_("at most {n} unit waits", "at most {n} units wait", policy.cap))
    if policy.horizon_days:
        said.append(n_("goods of the next {n} day", "goods of the next {n} days", policy.horizon_days))
    if policy.mode != Mode.NONE:
        said.append(n_("{n} business day to hand over", "{n} business days to hand over", policy.handling_days))
    return ", ".join(said)


async def panel_of(tx: Tx, product_id: int) -> list[tuple[PolicyRow, str, str]]:
    """Return what may be sold ahead of a product, each with its mode and terms in words."""
    return [(p, _(MODE_WORDS[Mode(p.mode)]), terms_of(p)) for p in await reads.of_product(tx, product_id)]


@get("/products/{code:str}/ahead", opt={"permission": "catalog:read"})
async def ahead_page(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what may be sold ahead of a product, and the form that states it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "products")
        product = await product_of(tx, code)
        rows = await panel_of(tx, product.id)
        channels = sorted(await network.channels(tx), key=lambda c: fold(c.name))
        asked = request.query_params.get("policy", "")
        chosen = next((p for p, _mode, _terms in rows if str(p.id) == asked), None)
        plain = [v for v in product.variants if not v.is_kit]
        scope = shell.scope_of(web.caller_of(request))
        supply = await reads.supply_of(tx, [v.id for v in plain], scope) if around.may("stock:read") else []
    return render.html(
        "ahead/policies.html",
        shell=around,
        may=around.may,
        product=product,
        address=address_of(code),
        rows=rows,
        chosen=chosen,
        modes=[(mode.value, _(word)) for mode, word in MODE_WORDS.items()],
        skus=[(v.sku, f"{v.sku} {v.name}") for v in plain],
        sku_of={v.id: v.sku for v in plain},
        channels=[(c.code, c.name) for c in channels],
        supply=supply,
        source_of=source_of,
        today=render.local(now()).date(),
    )


@post("/products/{code:str}/ahead", opt={"permission": "catalog:write"}, status_code=200)
async def ahead_put(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """State what may be sold ahead, or change it as long as nobody else did."""
    read = filling.filled(await request.form())
    mode, version = read.choice("mode", Mode), read.version()
    release_on = read.day("release_on")
    cap, horizon = read.maybe_whole("cap"), read.maybe_whole("horizon_days")
    handling = read.maybe_whole("handling_days")
    async with web.writing(request) as tx:
        product = await product_of(tx, code)
        sku, channel = read.text("sku", 80), read.text("channel", 80)
        skus = {v.sku: v.id for v in product.variants}
        channels = {c.code: c.id for c in await network.channels(tx)}
        _known(read, "sku", sku, skus)
        _known(read, "channel", channel, channels)
        read.refuse()
        draft = PolicyDraft(
            product_id=product.id,
            sku_id=skus[sku] if sku else None,
            channel_id=channels[channel] if channel else None,
            mode=mode,
            release_on=release_on if mode is Mode.PREORDER else None,
            cap=cap,
            horizon_days=horizon,
            handling_days=1 if handling is None else handling,
        )
        await policies.put(tx, draft, version or None)
    return web.go_on(request, f"/products/{quote(code, safe='')}/ahead", _("Saved"))


def _known(read: Filled, name: str, value: str, known: dict[str, int]) -> None:
    if value and value not in known:
        read.wrong(name, N_("There is no {value}."), value=value)


@post("/products/{code:str}/ahead/remove", opt={"permission": "catalog:write"}, status_code=200)
async def ahead_remove(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Take a policy away."""
    read = filling.filled(await request.form())
    policy, version = read.whole("policy"), read.version()
    read.refuse()
    async with web.writing(request) as tx:
        await policies.remove(tx, (await product_of(tx, code)).id, policy, version)
    return web.go_on(request, f"/products/{quote(code, safe='')}/ahead", _("Taken away. Who bought waits on."))


HANDLERS = [waiting_list, waiting_export, ahead_page, ahead_put, ahead_remove]
