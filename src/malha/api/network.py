"""The network: establishments, locations, sales channels, shipping services, and where a CEP is."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from malha.api.work import Work, command, query
from malha.network import reads, retailer, rules, service
from malha.network.errors import (
    UnknownChannel,
    UnknownEstablishment,
    UnknownLegalEntity,
    UnknownLocation,
    UnknownPlace,
    UnknownService,
)
from malha.network.model import (
    Channel,
    ChannelDraft,
    EstablishmentDraft,
    LegalEntity,
    LegalEntityDraft,
    Location,
    LocationDraft,
    LocationStatus,
    Method,
    Retailer,
    RetailerDraft,
    ServiceDraft,
)
from malha.network.places import Place, locate
from malha.network.reads import Closure
from malha.network.snapshot import NetworkSnapshot
from malha.platform import paging
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.paging import Page
from malha.platform.shapes import Instant

Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Days = Annotated[list[date], Meta(min_length=1, max_length=366)]


class EstablishmentView(EstablishmentDraft, frozen=True, kw_only=True):
    """An establishment with its company's name."""

    version: int


class LocationView(LocationDraft, frozen=True, kw_only=True):
    """A location, completed by what its CEP tells; a paused one with why and until when."""

    version: int
    paused_reason: str | None = None
    paused_until: datetime | None = None


class LegalEntityView(LegalEntityDraft, frozen=True, kw_only=True):
    """A company, by the first eight characters of its CNPJ."""

    cnpj_root: str
    version: int


class ChannelView(ChannelDraft, frozen=True, kw_only=True):
    """A sales channel with its policies.

    Whoever is limited to locations reads in `locations` those only; `others` then tells how many more may serve it, and
    is absent otherwise.
    """

    version: int
    others: int | UnsetType = UNSET


class ServiceView(ServiceDraft, frozen=True, kw_only=True):
    """A shipping service with its tariff."""

    version: int


class Stored(msgspec.Struct, frozen=True):
    """Which record was written, and its version now."""

    code: str
    version: int


class StatusNow(msgspec.Struct, frozen=True):
    """A location's status after the change."""

    code: str
    status: LocationStatus
    version: int


class ClosedDays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days on which a location does not work, and why."""

    days: Days
    reason: Reason


class OpenedDays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days to take from the closures."""

    days: Days


class ServiceQuote(msgspec.Struct, frozen=True):
    """What a service asks for a parcel. `price` is centavos, `lead_days` business days."""

    service: str
    name: str
    price: int
    lead_days: int


def _fields(draft: msgspec.Struct) -> dict[str, object]:
    return {name: getattr(draft, name) for name in draft.__struct_fields__}


def _location_view(found: Location, owners: Mapping[int, str]) -> LocationView:
    return LocationView(
        **_fields(reads.location_draft(found, owners[found.establishment_id])),  # type: ignore[arg-type]
        version=found.version,
        paused_reason=found.paused_reason,
        paused_until=found.paused_until,
    )


def _channel_view(work: Work, found: Channel, network: NetworkSnapshot) -> ChannelView:
    seen, others = rules.channel_in_sight(found, work.actor.sees)
    draft = reads.channel_draft(seen, network)
    return ChannelView(**_fields(draft), version=found.version, others=others or UNSET)  # type: ignore[arg-type]


def _same_code(stated: str, code: str) -> None:
    if stated != code:
        says, mend = N_("The code cannot be changed."), N_("Send {code}, the code in the address.")
        refuse([Flaw("code", says, mend, {"code": code})])


async def _companies(tx: Tx) -> list[LegalEntity]:
    """Return the companies that the actor may see: in a scope, those of its establishments."""
    own = {e.legal_entity_id for e in await reads.establishments_seen(tx)}
    return [each for each in await reads.legal_entities(tx) if tx.actor.locations is None or each.id in own]


# --- companies ---


@query("/legal-entities", permission="network:read")
async def list_legal_entities(work: Work) -> list[LegalEntityView]:
    """List all companies by name. One comes into being with its first establishment.

    Whoever is limited to locations sees the companies of these.
    """
    return [
        LegalEntityView(name=e.name, kind=e.kind, cnpj_root=e.cnpj_root, version=e.version)
        for e in await _companies(work.tx)
    ]


@query("/legal-entities/{root:str}", permission="network:read")
async def get_legal_entity(work: Work, root: str) -> LegalEntityView:
    """Return one company, with the version as `ETag`."""
    found = next((e for e in await _companies(work.tx) if e.cnpj_root == root), None)
    if found is None:
        raise UnknownLegalEntity(key=root)
    work.tag(found.version)
    return LegalEntityView(name=found.name, kind=found.kind, cnpj_root=root, version=found.version)


@command("/legal-entities/{root:str}", method="PUT", permission="network:write", everywhere=True, versioned="required")
async def change_legal_entity(work: Work, root: str, data: LegalEntityDraft) -> Stored:
    """Change the name or kind of a company."""
    version = await service.lock(work.tx, "legal_entity", root)
    work.expect(version)
    changed = await service.update_legal_entity(work.tx, root, data, version)
    work.tag(changed.version)
    return Stored(root, changed.version)


# --- establishments ---


@query("/establishments", permission="network:read")
async def list_establishments(work: Work) -> list[EstablishmentView]:
    """List all establishments by code. Whoever is limited to locations sees those that issue for these."""
    return [
        EstablishmentView(**_fields(reads.establishment_draft(e)), version=e.version)  # type: ignore[arg-type]
        for e in await reads.establishments_seen(work.tx)
    ]


@query("/establishments/{code:str}", permission="network:read")
async def get_establishment(work: Work, code: str) -> EstablishmentView:
    """Return one establishment, with the version as `ETag`."""
    found = next((e for e in await reads.establishments_seen(work.tx) if e.code == code), None)
    if found is None:
        raise UnknownEstablishment(key=code)
    work.tag(found.version)
    return EstablishmentView(**_fields(reads.establishment_draft(found)), version=found.version)  # type: ignore[arg-type]


@command("/establishments", permission="network:write", status=201)
async def create_establishment(work: Work, data: EstablishmentDraft) -> Stored:
    """Add an establishment. Its company is found by the root of the CNPJ, or made with `legal_name` and `kind`."""
    made = await service.create_establishment(work.tx, data)
    work.created(f"/v1/establishments/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version)


@command("/establishments/{code:str}", method="PUT", permission="network:write", everywhere=True, versioned="required")
async def change_establishment(work: Work, code: str, data: EstablishmentDraft) -> Stored:
    """Change an establishment: it is afterwards what the body says."""
    _same_code(data.code, code)
    version = await service.lock(work.tx, "establishment", code)
    work.expect(version)
    changed = await service.update_establishment(work.tx, data, version)
    work.tag(changed.version)
    return Stored(code, changed.version)


# --- locations ---


@query("/locations", permission="network:read", snapshot=True)
async def list_locations(work: Work, cursor: str | None = None, limit: int | None = None) -> Page[LocationView]:
    """List locations by code; whoever is limited to locations sees those."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "locations", (str,))
    owners = {e.id: e.code for e in await reads.establishments(work.tx)}
    seen = [x for x in await reads.locations(work.tx) if work.actor.sees(x.id)]
    rows = [x for x in seen if after is None or x.code > after[0]][: size + 1]
    views = [_location_view(x, owners) for x in rows]
    return paging.page_of(views, size, "locations", lambda view: (view.code,))


@query("/locations/{code:str}", permission="network:read", snapshot=True)
async def get_location(work: Work, code: str) -> LocationView:
    """Return one location, with the version as `ETag`."""
    found = await reads.location_by_code(work.tx, code)
    if found is None or not work.actor.sees(found.id):
        raise UnknownLocation(key=code)
    owners = {e.id: e.code for e in await reads.establishments(work.tx)}
    work.tag(found.version)
    return _location_view(found, owners)


@command("/locations", permission="network:write", status=201)
async def create_location(work: Work, data: LocationDraft) -> Stored:
    """Add a location.

    City, state, coordinates, time zone and holidays may be left out where the CEP tells them. Opening hours are by day
    (`mon` to `sun`), each a list of intervals; without any the location works Monday to Friday.
    """
    made = await service.create_location(work.tx, data)
    work.created(f"/v1/locations/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version)


@command("/locations/{code:str}", method="PUT", permission="network:write", versioned="required")
async def change_location(work: Work, code: str, data: LocationDraft) -> Stored:
    """Change a location: it is afterwards what the body says."""
    _same_code(data.code, code)
    version = await service.lock(work.tx, "location", code)
    work.expect(version)
    changed = await service.update_location(work.tx, data, version)
    work.tag(changed.version)
    return Stored(code, changed.version)


async def _set_status(
    work: Work, code: str, status: LocationStatus, reason: str = "", until: Instant | None = None
) -> StatusNow:
    work.expect(await service.lock(work.tx, "location", code))
    changed = await service.set_location_status(work.tx, code, status, reason=reason, until=until)
    work.tag(changed.version)
    return StatusNow(code, changed.status, changed.version)


@command("/locations/{code:str}/pause", permission="network:write", versioned="optional")
async def pause_location(work: Work, code: str, reason: str = "", until: Instant | None = None) -> StatusNow:
    """Pause a location. New work goes elsewhere at once; what it has, it finishes.

    `reason` is told to people. At `until` the location takes work again by itself; without it somebody resumes it.
    """
    return await _set_status(work, code, LocationStatus.PAUSED, reason, until)


@command("/locations/{code:str}/resume", permission="network:write", versioned="optional")
async def resume_location(work: Work, code: str) -> StatusNow:
    """Let a paused or closed location take work again."""
    return await _set_status(work, code, LocationStatus.ACTIVE)


@command("/locations/{code:str}/close", permission="network:write", versioned="optional")
async def close_location(work: Work, code: str) -> StatusNow:
    """Close a location for good. Its history stays; it can be resumed."""
    return await _set_status(work, code, LocationStatus.CLOSED)


@query("/locations/{code:str}/closures", permission="network:read")
async def list_closures(work: Work, code: str) -> list[Closure]:
    """List the days on which a location does not work though its hours say so."""
    found = await reads.location_by_code(work.tx, code)
    if found is None or not work.actor.sees(found.id):
        raise UnknownLocation(key=code)
    return await reads.closures(work.tx, found.id)


@command("/locations/{code:str}/close-days", permission="network:write")
async def close_days(work: Work, code: str, data: ClosedDays) -> None:
    """Close a location on some days: a municipal holiday, stocktaking, a flood."""
    await service.close_days(work.tx, code, data.days, data.reason)


@command("/locations/{code:str}/open-days", permission="network:write")
async def open_days(work: Work, code: str, data: OpenedDays) -> None:
    """Take closures back. Days that were not closed are ignored."""
    await service.open_days(work.tx, code, data.days)


# --- channels ---


@query("/channels", permission="network:read", snapshot=True)
async def list_channels(work: Work) -> list[ChannelView]:
    """List all sales channels by code, each with those of the caller's locations that may serve it."""
    network = await reads.snapshot(work.tx)
    return [_channel_view(work, c, network) for c in network.channels.values()]


@query("/channels/{code:str}", permission="network:read", snapshot=True)
async def get_channel(work: Work, code: str) -> ChannelView:
    """Return one sales channel with those of the caller's locations that may serve it, and the version as `ETag`."""
    network = await reads.snapshot(work.tx)
    found = network.channel(code)
    if found is None:
        raise UnknownChannel(key=code)
    work.tag(found.version)
    return _channel_view(work, found, network)


@command("/channels", permission="network:write", status=201)
async def create_channel(work: Work, data: ChannelDraft) -> Stored:
    """Add a sales channel. Without `locations` every location may serve it."""
    made = await service.create_channel(work.tx, data)
    work.created(f"/v1/channels/{made.code}")
    work.tag(1)
    return Stored(made.code, 1)


@command("/channels/{code:str}", method="PUT", permission="network:write", everywhere=True, versioned="required")
async def change_channel(work: Work, code: str, data: ChannelDraft) -> Stored:
    """Change a sales channel: it is afterwards what the body says, its locations included."""
    _same_code(data.code, code)
    version = await service.lock(work.tx, "channel", code)
    work.expect(version)
    await service.update_channel(work.tx, data, version)
    version = await service.lock(work.tx, "channel", code)
    work.tag(version)
    return Stored(code, version)


# --- services ---


@query("/services", permission="network:read", snapshot=True)
async def list_services(work: Work) -> list[ServiceView]:
    """List all shipping services with their tariffs, by code."""
    rates = await reads.rates(work.tx)
    return [
        ServiceView(**_fields(reads.service_draft(s, rates)), version=s.version)  # type: ignore[arg-type]
        for s in await reads.services(work.tx)
    ]


@query("/services/{code:str}", permission="network:read", snapshot=True)
async def get_service(work: Work, code: str) -> ServiceView:
    """Return one shipping service with its tariff, with the version as `ETag`."""
    found = next((s for s in await reads.services(work.tx) if s.code == code), None)
    if found is None:
        raise UnknownService(key=code)
    work.tag(found.version)
    draft = reads.service_draft(found, await reads.rates(work.tx))
    return ServiceView(**_fields(draft), version=found.version)  # type: ignore[arg-type]


@command("/services", permission="network:write", status=201)
async def create_service(work: Work, data: ServiceDraft) -> Stored:
    """Add a shipping service with its tariff.

    A rate is a weight bracket between two states (`*` is any). The most specific pair decides, then the smallest
    bracket that holds the weight; above the last one every started kilogram adds `per_extra_kg`, and 0 is the limit.
    """
    made = await service.create_service(work.tx, data)
    work.created(f"/v1/services/{made.code}")
    work.tag(1)
    return Stored(made.code, 1)


@command("/services/{code:str}", method="PUT", permission="network:write", everywhere=True, versioned="required")
async def change_service(work: Work, code: str, data: ServiceDraft) -> Stored:
    """Change a shipping service: its tariff is replaced by the body's."""
    _same_code(data.code, code)
    version = await service.lock(work.tx, "service", code)
    work.expect(version)
    await service.update_service(work.tx, data, version)
    version = await service.lock(work.tx, "service", code)
    work.tag(version)
    return Stored(code, version)


@query("/services:quote", permission="network:read", snapshot=True)
async def quote_services(work: Work, from_state: str, to_state: str, grams: int) -> list[ServiceQuote]:
    """Say what every service in use asks for a parcel of billable grams between two states, cheapest first."""
    network = await reads.snapshot(work.tx)
    quotes = []
    for one in network.active_services(Method.SHIP):
        found = network.tariff.quote(one.id, from_state.upper(), to_state.upper(), grams)
        if found is not None:
            quotes.append(ServiceQuote(one.code, one.name, found.price, found.lead_days))
    return sorted(quotes, key=lambda q: (q.price, q.lead_days, q.service))


# --- the retailer as shoppers see it ---


@query("/retailer", permission="network:read")
async def get_retailer(work: Work) -> Retailer:
    """Return how the retailer appears to shoppers, with the version as `ETag`."""
    found = await retailer.current(work.tx)
    work.tag(found.version)
    return found


@command("/retailer", method="PUT", permission="settings:manage", versioned="required")
async def change_retailer(work: Work, data: RetailerDraft) -> Retailer:
    """Change how the retailer appears to shoppers. An empty name is the first own legal entity's."""
    before = await retailer.current(work.tx)
    work.expect(before.version)
    changed = await retailer.change(work.tx, data, before.version)
    work.tag(changed.version)
    return changed


# --- places ---


@query("/places/{cep:str}", permission="network:read", transaction=False)
async def get_place(work: Work, cep: str) -> Place:  # noqa: ARG001 -- every operation gets its work
    """Return the municipality a CEP lies in, with coordinates and time zone."""
    found = locate(cep)
    if found is None:
        raise UnknownPlace(key=cep)
    return found


handlers = [
    list_legal_entities,
    get_legal_entity,
    change_legal_entity,
    list_establishments,
    get_establishment,
    create_establishment,
    change_establishment,
    list_locations,
    get_location,
    create_location,
    change_location,
    pause_location,
    resume_location,
    close_location,
    list_closures,
    close_days,
    open_days,
    list_channels,
    get_channel,
    create_channel,
    change_channel,
    list_services,
    get_service,
    create_service,
    change_service,
    quote_services,
    get_retailer,
    change_retailer,
    get_place,
]
