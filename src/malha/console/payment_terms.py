"""How long stock waits for money: the terms by tender and channel, read and stated on one page."""

from typing import Any

from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, web, words
from malha.network import reads as network
from malha.payments import deadlines
from malha.payments.terms import ANY, KINDS, Term
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold

PAGE = "payment_terms"
ADDRESS = "/payment-terms"


def tender_word(kind: str) -> str:
    """Return what a kind of tender is called; the word for those that have no term of their own."""
    return _("All others") if kind == ANY else _(words.TENDER[kind][0])


@get(ADDRESS, opt={"permission": "network:read"})
async def terms_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the terms, each with its form for those who may change it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, PAGE)
        rows, channels = await _terms(tx)
    return render.html(
        "channels/terms.html",
        shell=around,
        may=around.may,
        rows=[(t, tender_word(t.tender), channels.get(t.channel_id or 0, "")) for t in rows],
        channels=sorted(channels.items(), key=lambda c: fold(c[1])),
        kinds=[(kind.value, tender_word(kind.value)) for kind in KINDS],
        exports=export.choices(str, f"{ADDRESS}:export"),
    )


async def _terms(tx: Tx) -> tuple[list[Term], dict[int, str]]:
    """Return the terms as they are shown, and the names of channels."""
    found = await deadlines.terms(tx)
    channels = {c.id: c.name for c in await network.channels(tx)}
    order = [ANY, *(kind.value for kind in KINDS)]
    rows = sorted(
        found, key=lambda t: (t.tender == ANY, order.index(t.tender) if t.tender in order else 99, t.channel_id or 0)
    )
    return rows, channels


COLUMNS = (
    Column(N_("Tender"), width=24), Column(N_("Channel"), width=24), Column(N_("Minutes to pay"), Kind.WHOLE),
    Column(N_("Business days until the bank has it"), Kind.WHOLE), Column(N_("Minutes of grace"), Kind.WHOLE),
    Column(N_("Days late money finds the order"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths(f"{ADDRESS}:export"), opt={"permission": "network:read"})
async def terms_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the terms as a file."""
    async with web.reading(request) as tx:
        rows, channels = await _terms(tx)

    def cells(t: Term) -> list[Any]:
        channel = channels.get(t.channel_id or 0) or _("All channels")
        return [tender_word(t.tender), channel, t.minutes, t.clearing_days, t.grace_minutes, t.keep_days]

    return export.send_all(request, "payment-terms", COLUMNS, rows, cells)


@post(ADDRESS, opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def term_put(request: Request[Any, Any, Any]) -> Response[Any]:
    """State a term, or remove one (`act`): what nobody else changed since the page was opened."""
    read = filling.filled(await request.form())
    channel = read.text("channel", 10)
    removed = read.text("act") == "remove"
    unit = {"60": 60, "1440": 1440}.get(read.text("unit", 5), 1)
    term = Term(
        id=read.maybe_whole("id") or 0,
        tender=read.text("tender", 20),
        channel_id=int(channel) if channel.isascii() and channel.isdigit() else None,
        minutes=read.whole("minutes") * unit,
        clearing_days=read.maybe_whole("clearing_days") or 0,
        grace_minutes=read.maybe_whole("grace_minutes") or 0,
        keep_days=read.whole("keep_days"),
        version=read.version(),
    )
    if not removed:
        read.refuse()
    async with web.writing(request) as tx:
        if removed:
            await deadlines.drop_term(tx, term.id, term.version)
        else:
            await deadlines.put_term(tx, term)
    return web.go_on(request, ADDRESS, _("Payment term removed") if removed else _("Payment term saved"))


HANDLERS = [terms_page, terms_export, term_put]
