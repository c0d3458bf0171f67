"""Groups of locations, whose goods a location keeps, and whose goods a channel sells."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.network import Stored
from malha.api.work import Work, command, query
from malha.network import ownership, reads, rules, service
from malha.network.errors import UnknownChannel, UnknownLocation
from malha.network.model import Location, LocationGroup, LocationGroupDraft
from malha.network.ownership import UnknownLocationGroup
from malha.platform import paging
from malha.routing.ruling import service as ruling

TAG = "network"


class OwnerOfGoods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The establishment whose goods a location keeps, by code; null: the location's own."""

    establishment: str | None


class OwnersSold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Companies whose goods a channel sells, by the root of their CNPJ; none: anybody's."""

    legal_entities: list[str]


class NewLocationGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of locations, with its code."""

    code: str
    name: str
    locations: list[str]


@query("/location-groups", permission="network:read", tag=TAG)
async def list_location_groups(
    work: Work,
    q: Annotated[str, Meta(max_length=80)] = "",
    after: str | None = None,
    limit: Annotated[int, Meta(ge=1, le=1_000)] | None = None,
) -> list[LocationGroup]:
    """List groups of locations by code, each with its members at the caller's locations.

    `q` are words of codes and names of groups and of their members. For a page at a time give a `limit`, and `after`
    the code of the last group of the page before.
    """
    groups = await _in_sight(work, await reads.location_groups(work.tx))
    names = {place.code: place.name for place in await reads.locations(work.tx)} if q.strip() else {}
    found = [g for g in groups if not q.strip() or rules.group_has(g, q, names)]
    return list(paging.behind(found, after, UnknownLocationGroup))[:limit]


@command("/location-groups", permission="network:write", status=201, tag=TAG)
async def create_location_group(work: Work, data: NewLocationGroup) -> Stored:
    """Add a group of locations."""
    draft = LocationGroupDraft(name=data.name, locations=data.locations)
    made = await ownership.put_group(work.tx, data.code, draft, None)
    work.created(f"/v1/location-groups/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version)


@command(
    "/location-groups/{code:str}",
    method="PUT",
    permission="network:write",
    everywhere=True,
    versioned="required",
    tag=TAG,
)
async def change_location_group(work: Work, code: str, data: LocationGroupDraft) -> Stored:
    """Change a group of locations: it is afterwards what the body says."""
    version = await ownership.lock_group(work.tx, code)
    work.expect(version)
    changed = await ownership.put_group(work.tx, code, data, version)
    work.tag(changed.version)
    return Stored(code, changed.version)


@query("/location-groups/{code:str}", permission="network:read", tag=TAG)
async def show_location_group(work: Work, code: str) -> LocationGroup:
    """Return a group of locations with its members at the caller's locations."""
    found = next(iter(await _in_sight(work, await reads.location_groups(work.tx, [code]))), None)
    if found is None:
        raise UnknownLocationGroup(key=code)
    work.tag(found.version)
    return found


@command(
    "/location-groups/{code:str}",
    method="DELETE",
    permission="network:write",
    everywhere=True,
    versioned="required",
    tag=TAG,
)
async def delete_location_group(work: Work, code: str) -> None:
    """Delete a group of locations that no rule names. The locations stay."""
    version = await ownership.lock_group(work.tx, code)
    work.expect(version)
    await ruling.let_go_of_group(work.tx, code)
    await ownership.remove_group(work.tx, code, version)


@query("/locations/{code:str}/owner", permission="network:read", tag=TAG)
async def show_owner(work: Work, code: str) -> OwnerOfGoods:
    """Return whose goods a location keeps; null: its own establishment's."""
    place = await _seen(work, code)
    work.tag(place.version)
    if place.owner_id is None:
        return OwnerOfGoods(None)
    return OwnerOfGoods((await reads.establishments_by_id(work.tx, [place.owner_id]))[place.owner_id].code)


@command("/locations/{code:str}/owner", method="PUT", permission="network:write", versioned="required", tag=TAG)
async def change_owner(work: Work, code: str, data: OwnerOfGoods) -> None:
    """State whose goods a location keeps. Orders placed from then on follow it; claims stay as they are."""
    await _seen(work, code)
    work.expect(await service.lock(work.tx, "location", code))
    await ownership.set_owner(work.tx, code, data.establishment)


async def _in_sight(work: Work, groups: list[LocationGroup]) -> list[LocationGroup]:
    """Leave out the members that the caller may not see: what is out of sight is not there."""
    if work.actor.locations is None:
        return groups
    seen = {place.code for place in await reads.locations(work.tx) if work.actor.sees(place.id)}
    return [msgspec.structs.replace(g, locations=[c for c in g.locations if c in seen]) for g in groups]


async def _seen(work: Work, code: str) -> Location:
    """Return a location if the caller may see it: what is out of sight is not there."""
    place = await reads.location_by_code(work.tx, code)
    if place is None or not work.actor.sees(place.id):
        raise UnknownLocation(key=code)
    return place


@query("/channels/{code:str}/owners", permission="network:read", tag=TAG)
async def show_channel_owners(work: Work, code: str) -> OwnersSold:
    """Return the companies whose goods a channel sells; none: anybody's."""
    channel = next((c for c in await reads.channels(work.tx) if c.code == code), None)
    if channel is None:
        raise UnknownChannel(key=code)
    work.tag(channel.version)
    roots = [e.cnpj_root for e in await reads.legal_entities(work.tx) if e.id in channel.owner_ids]
    return OwnersSold(sorted(roots))


@command("/channels/{code:str}/owners", method="PUT", permission="network:write", versioned="required", tag=TAG)
async def change_channel_owners(work: Work, code: str, data: OwnersSold) -> None:
    """State whose goods a channel sells; routing leaves the others out, with the reason `owner`."""
    work.expect(await service.lock(work.tx, "channel", code))
    await ownership.set_channel_owners(work.tx, code, data.legal_entities)


handlers = [
    list_location_groups,
    create_location_group,
    show_location_group,
    change_location_group,
    delete_location_group,
    show_owner,
    change_owner,
    show_channel_owners,
    change_channel_owners,
]
