"""Whose goods are where: which company's goods each channel sells, who invoices them, and whose each location keeps.

What a cell says is decided by routing's own rule (`routing.lanes.barred`). Two things can be stated: the companies
whose goods a channel sells, and the establishment whose goods a location keeps.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, locations, render, shell, web
from malha.console import network_words as say
from malha.intake.reference import Reference, reference_in
from malha.network import ownership, reads, service
from malha.network.errors import UnknownChannel, UnknownLocation
from malha.network.model import Channel, EntityKind, Establishment, LegalEntity, Location
from malha.network.service import refuse_limited
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.i18n import N_, Word, _
from malha.platform.sheets import Column
from malha.platform.text import fold
from malha.routing.lanes import barred
from malha.routing.model import Door, Place, Reason

SEE, CHANGE = "network:read", "network:write"
COLUMNS = (
    Column(N_("Location")),
    Column(N_("Name"), width=28),
    Column(N_("Establishment")),
    Column(N_("Keeps the goods of")),
    Column(N_("Company"), width=34),
    Column(N_("Sold by"), width=40),
)


class Cell(NamedTuple):
    """Whether a channel sells a company's goods: `sells`, `not_sold` (not stated) or `no_invoice` (it may not)."""

    state: str
    issuer: str  # the company that invoices them; empty when they are not sold


class Owned(NamedTuple):
    """A location and whose goods it keeps; `stated` when that is not its own establishment."""

    place: Location
    kind: str
    owner: Establishment
    company: str
    stated: bool


def _may(request: web.Asking) -> bool:
    caller = web.caller_of(request)
    return caller.may(CHANGE) and caller.locations is None


def cell_of(place: Place, door: Door, names: Mapping[int, str]) -> Cell:
    """Return what a channel does with the goods of a location's owner, and who invoices them.

    The owner of the goods invoices, unless a logistics operator keeps them for the company of the channel.
    """
    reason = barred(place, door)
    if reason is not None:
        return Cell("not_sold" if reason is Reason.OWNER else "no_invoice", "")
    operated = place.entity_kind == EntityKind.OPERATOR and door.entity_id is not None
    issuer = door.entity_id if operated and door.entity_id is not None else place.entity_id
    return Cell("sells", names.get(issuer, ""))


class _World(NamedTuple):
    reference: Reference
    channels: list[Channel]
    companies: dict[int, LegalEntity]
    establishments: dict[int, Establishment]
    places: list[Location]


async def _world(tx: Tx, request: web.Asking) -> _World:
    reference = await reference_in(tx)
    active = [c for c in reference.channels.values() if c.active]
    return _World(
        reference,
        sorted(active, key=lambda c: (c.priority, fold(c.name))),
        {e.id: e for e in await reads.legal_entities(tx)},
        {e.id: e for e in await reads.establishments(tx)},
        [p for p in await locations.in_scope(tx, request) if p.status != "closed"],
    )


def _owned(world: _World) -> list[Owned]:
    found = []
    for place in world.places:
        owner = world.establishments[place.owner_id or place.establishment_id]
        stated = place.owner_id is not None and place.owner_id != place.establishment_id
        company = world.companies[owner.legal_entity_id].name
        found.append(Owned(place, _(say.LOCATION_KIND[place.kind]), owner, company, stated))
    return sorted(found, key=lambda o: (fold(o.company), fold(o.place.name)))


def _matrix(world: _World, owned: Iterable[Owned]) -> list[tuple[LegalEntity, str, int, list[Cell]]]:
    """Return each company with its kind, how many locations keep its goods, and its cells by channel."""
    network = world.reference.network
    names = {id_: company.name for id_, company in world.companies.items()}
    doors = [network.channels[c.id] for c in world.channels]
    by_id = {place.id: place for place in network.places}
    rows = []
    kept: dict[int, list[Owned]] = {}
    for one in owned:
        kept.setdefault(one.owner.legal_entity_id, []).append(one)
    for company_id, own in kept.items():
        place = by_id.get(own[0].place.id)
        if place is None:
            continue
        company = world.companies[company_id]
        cells = [cell_of(place, door, names) for door in doors]
        rows.append((company, _(say.ENTITY_KIND[company.kind]), len(own), cells))
    return rows


@get("/stock-owners", opt={"permission": SEE})
async def owners_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the companies whose goods are kept by the channels that sell them, and each location with its owner."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "owners")
        world = await _world(tx, request)
    owned = _owned(world)
    return render.html(
        "owners/page.html",
        shell=around,
        may=around.may,
        may_change=_may(request),
        channels=[(c, len(c.owner_ids)) for c in world.channels],
        rows=_matrix(world, owned),
        owned=owned,
        exports=export.choices(str, "/stock-owners:export"),
    )


@get(export.paths("/stock-owners:export"), opt={"permission": SEE})
async def owners_export(request: Request[Any, Any, Any]) -> Stream:
    """Send each location with its owner and the channels that sell its goods as a file."""
    async with web.reading(request) as tx:
        world = await _world(tx, request)
    owned = _owned(world)
    cells_of = {company.id: cells for company, _kind, _n, cells in _matrix(world, owned)}

    def cells(o: Owned) -> list[Any]:
        sold = [
            c.code
            for c, cell in zip(world.channels, cells_of.get(o.owner.legal_entity_id, []), strict=False)
            if cell.state == "sells"
        ]
        home = world.establishments[o.place.establishment_id].code
        return [o.place.code, o.place.name, home, o.owner.code, o.company, " ".join(sold)]

    return export.send_all(request, "stock-owners", COLUMNS, owned, cells)


# --- what can be stated ---


@get("/stock-owners/channels/{code:str}", opt={"permission": CHANGE})
async def channel_form(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show the form: whose goods a channel sells."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        around = await shell.around(tx, request, "owners")
        channel = next((c for c in await reads.channels(tx) if c.code == code), None)
        if channel is None:
            raise UnknownChannel(key=code)
        companies = sorted(await reads.legal_entities(tx), key=lambda e: fold(e.name))
    return render.html(
        "owners/channel.html",
        shell=around,
        may=around.may,
        c=channel,
        companies=[
            (e.cnpj_root, e.name, f"{render.format_root(e.cnpj_root)} · {_(say.ENTITY_KIND[e.kind])}",
             e.id in channel.owner_ids)
            for e in companies
        ],
    )  # fmt: skip


@post("/stock-owners/channels/{code:str}", opt={"permission": CHANGE}, status_code=200)
async def channel_save(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """State whose goods a channel sells; none chosen is anybody's."""
    read = filling.filled(await request.form())
    roots = sorted({str(root)[:8] for root in read.form.getall("companies", [])})
    async with web.writing(request) as tx:
        refuse_limited(tx)
        if await service.lock(tx, "channel", code) != read.version():
            raise Conflict(what=Word(N_("Channel")), key=code)
        await ownership.set_channel_owners(tx, code, roots)
    return web.go_on(request, "/stock-owners", _("Saved: whose goods the channel sells"))


@get("/stock-owners/locations/{code:str}", opt={"permission": CHANGE})
async def location_form(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show the form: whose goods a location keeps."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        around = await shell.around(tx, request, "owners")
        place = await reads.location_by_code(tx, code)
        if place is None:
            raise UnknownLocation(key=code)
        every = await reads.establishments(tx)
    home = next(e for e in every if e.id == place.establishment_id)
    owner = next((e.code for e in every if e.id == place.owner_id), "")
    return render.html(
        "owners/location.html",
        shell=around,
        may=around.may,
        p=place,
        home=home,
        owner=owner,
        establishments=[
            (e.code, f"{e.name} · {e.legal_name}")
            for e in sorted(every, key=lambda e: fold(e.name))
            if (e.active or e.code == owner) and e.id != home.id
        ],
    )


@post("/stock-owners/locations/{code:str}", opt={"permission": CHANGE}, status_code=200)
async def location_save(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """State whose goods a location keeps; orders placed from then on follow it."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        refuse_limited(tx)
        if await service.lock(tx, "location", code) != read.version():
            raise Conflict(what=Word(N_("Location")), key=code)
        await ownership.set_owner(tx, code, read.text("owner", 80) or None)
    return web.go_on(request, "/stock-owners", _("Saved: whose goods the location keeps"))


HANDLERS = [owners_page, owners_export, channel_form, channel_save, location_form, location_save]
