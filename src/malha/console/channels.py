"""The sales channels: the list, one channel with the policies its orders come under, and its form."""

from collections.abc import Iterable, Sequence
from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, record_form, render, shell, web
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.console.record_form import Form
from malha.network import reads, rules, service
from malha.network.errors import UnknownChannel
from malha.network.model import (
    Channel,
    ChannelDraft,
    ChannelKind,
    PaymentPolicy,
    ShortagePolicy,
)
from malha.network.snapshot import NetworkSnapshot
from malha.notifications import means
from malha.notifications import reads as messages
from malha.notifications.model import TELLER_WORDS, Teller
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.money import CURRENCY_DIGITS
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind
from malha.platform.text import fold

BLANK = ChannelDraft(code="", name="", kind=ChannelKind.WEB)


COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=26), Column(N_("Kind"), width=20), Column(N_("Establishment")),
    Column(N_("Currency"), width=10), Column(N_("Payment"), width=30), Column(N_("When stock is short"), width=34),
    Column(N_("Release delay, minutes"), SheetKind.WHOLE), Column(N_("Priority"), SheetKind.WHOLE),
    Column(N_("Most units of a SKU"), SheetKind.WHOLE), Column(N_("Locations"), width=30), Column(N_("In use")),
)  # fmt: skip


def _sorted(channels: Iterable[Channel]) -> list[Channel]:
    return sorted(channels, key=lambda c: (not c.active, c.priority, fold(c.name)))


@get("/channels", opt={"permission": "network:read"})
async def channel_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the channels, the most urgent first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "channels")
        found = _sorted(await reads.channels(tx))
    return render.html(
        "channels/list.html",
        shell=around,
        may=around.may,
        exports=export.choices(str, "/channels:export"),
        rows=[
            (c, _(say.CHANNEL_KIND[c.kind]), _(say.PAYMENT_POLICY[c.payment_policy]),
             _(say.SHORTAGE_POLICY[c.shortage_policy])) for c in found
        ],
    )  # fmt: skip


@get(export.paths("/channels:export"), opt={"permission": "network:read"})
async def channel_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    caller = web.caller_of(request)
    async with web.reading(request) as tx:
        network = await reads.snapshot(tx)
        found = _sorted(await reads.channels(tx))

    def cells(c: Channel) -> list[Any]:
        issuer = network.establishments[c.establishment_id].code if c.establishment_id else ""
        seen, hidden = rules.channel_in_sight(c, caller.sees)
        places = sorted(network.locations[i].code for i in seen.location_ids)
        return [
            c.code, c.name, _(say.CHANNEL_KIND[c.kind]), issuer, c.currency, _(say.PAYMENT_POLICY[c.payment_policy]),
            _(say.SHORTAGE_POLICY[c.shortage_policy]), c.release_delay_minutes, c.priority,
            c.most_units, _places_cell(places, hidden), _("yes") if c.active else _("no"),
        ]  # fmt: skip

    return export.send_all(request, "channels", COLUMNS, found, cells)


def _places_cell(places: Sequence[str], hidden: int) -> str:
    """Return which locations may serve a channel, `hidden` of which the reader does not see; it names none: all may."""
    if not places:
        return _("None of your locations.") if hidden else _("All of them.")
    more = n_("{n} more is not among your locations", "{n} more are not among your locations", hidden)
    return f"{' '.join(places)}; {more}" if hidden else " ".join(places)


async def _one(tx: Tx, code: str) -> tuple[Channel, NetworkSnapshot]:
    network = await reads.snapshot(tx)
    found = network.channel(code)
    if found is None:
        raise UnknownChannel(key=code)
    return found, network


@get("/channels/{code:str}", opt={"permission": "network:read"})
async def channel_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one channel."""
    caller = web.caller_of(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "channels")
        found, network = await _one(tx, code)
        teller = await messages.teller(tx, found.id)
    seen, hidden = rules.channel_in_sight(found, caller.sees)
    places = sorted((network.locations[i] for i in seen.location_ids), key=lambda x: fold(x.name))
    return render.html(
        "channels/show.html",
        shell=around,
        may=around.may,
        c=found,
        kind=_(say.CHANNEL_KIND[found.kind]),
        payment=_(say.PAYMENT_POLICY[found.payment_policy]),
        shortage=_(say.SHORTAGE_POLICY[found.shortage_policy]),
        teller=_(TELLER_WORDS[teller]),
        issuer=network.establishments[found.establishment_id] if found.establishment_id else None,
        places=[(x, _(say.LOCATION_KIND[x.kind]), say.LOCATION_STATUS[x.status]) for x in places],
        hidden=hidden,
    )


async def _form(tx: Tx, request: Request[Any, Any, Any], code: str | None) -> dict[str, Any]:
    around, caller = await shell.around(tx, request, "channels"), web.caller_of(request)
    network = await reads.snapshot(tx)
    found = network.channel(code) if code is not None else None
    if found is None and code is not None:
        raise UnknownChannel(key=code)
    draft = reads.channel_draft(found, network) if found else BLANK
    teller = (await messages.teller(tx, found.id)).value if found else ""
    owners = [(e.code, f"{e.name} ({e.code})") for e in network.establishments.values()]
    return {
        "shell": around,
        "may": around.may,
        "draft": draft,
        "version": found.version if found else 0,
        "action": f"/channels/{draft.code}/edit" if found else "/channels:new",
        "back": f"/channels/{draft.code}" if found else "/channels",
        "kinds": list(filling.options(say.CHANNEL_KIND)),
        "payments": list(filling.options(say.PAYMENT_POLICY)),
        "shortages": list(filling.options(say.SHORTAGE_POLICY)),
        "tellers": [(each.value, _(word)) for each, word in TELLER_WORDS.items()],
        "teller": teller,
        "currencies": [(code, code) for code in CURRENCY_DIGITS],
        "owners": owners,
        "places": [
            (x.code, x.name, _(say.LOCATION_KIND[x.kind]), x.code in draft.locations)
            for x in sorted(network.locations.values(), key=lambda x: fold(x.name))
            if caller.sees(x.id) and (x.status != "closed" or x.code in draft.locations)
        ],
    }


async def _make(tx: Tx, read: Filled) -> str:
    draft = _draft(read, read.text("code", 40))
    read.refuse()
    teller = _teller(read)
    made = await service.create_channel(tx, draft)
    if teller:
        await means.set_teller(tx, made.id, made.code, teller)
    return made.code


async def _change(tx: Tx, _request: Request[Any, Any, Any], read: Filled, code: str) -> None:
    draft = _draft(read, code)
    read.refuse()
    changed = await service.update_channel(tx, draft, read.version())
    teller = _teller(read)
    if teller and teller is not await messages.teller(tx, changed.id):
        await means.set_teller(tx, changed.id, code, teller)


def _teller(read: Filled) -> Teller | None:
    """Return who is to tell the buyers; None leaves it as it is, or as the kind of channel has it."""
    said = read.text("teller", 20)
    return Teller(said) if said in set(Teller) else None


def _draft(read: Filled, code: str) -> ChannelDraft:
    return ChannelDraft(
        code=code,
        name=read.text("name"),
        kind=read.choice("kind", ChannelKind),
        establishment=read.text("establishment", 40) or None,
        currency=read.text("currency", 3),
        shortage_policy=read.choice("shortage_policy", ShortagePolicy),
        payment_policy=read.choice("payment_policy", PaymentPolicy),
        release_delay_minutes=read.whole("release_delay_minutes"),
        priority=read.whole("priority"),
        pickup_days=read.maybe_whole("pickup_days"),
        most_units=read.maybe_whole("most_units"),
        active=read.flag("active"),
        locations=[str(code)[:40] for code in read.form.getall("locations", [])],
    )


FORM = Form(
    path="/channels",
    template="channels/form.html",
    terms=_form,
    make=_make,
    change=_change,
    made=N_("Sales channel created"),
    changed=N_("Sales channel saved"),
)
HANDLERS = [channel_list, channel_export, channel_show, *record_form.handlers(FORM)]
