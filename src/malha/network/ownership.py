"""Groups of locations, whose goods a location keeps, and whose goods a channel sells.

A location keeps the goods of one owner: its establishment, unless another is stated. Routing takes the owner for whose
goods they are: channels that sell only some companies' goods pass the others by, and a company cannot sell what it may
not invoice.
"""

from collections.abc import Sequence

from psycopg.errors import ForeignKeyViolation

from malha.network import ownership_writes as writes
from malha.network import reads, rules, service, sites
from malha.network.errors import UnknownChannel, UnknownEstablishment, UnknownLegalEntity, UnknownLocation
from malha.network.model import LocationGroup, LocationGroupDraft
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.errors import Conflict, MalhaError, NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word


class UnknownLocationGroup(NotFound):
    """There is no group of locations with this code."""

    code = "unknown_location_group"
    says = "There is no group of locations {key}."
    mend = "Check the code in the list of groups."


class LocationGroupInUse(MalhaError):
    """Rules name the group: without it they would say something else."""

    status = 409
    code = "location_group_in_use"
    says = "Group {key} cannot be deleted: safety rules name it."
    mend = "Change or delete those rules first; the page of the group lists them."


async def put_group(tx: Tx, code: str, draft: LocationGroupDraft, version: int | None) -> LocationGroup:
    """Create a group (`version` None), or change one that still has `version`; its locations are what is stated.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: the code or name is not possible, or a location does not exist.
        UnknownLocationGroup: `version` is given and there is no such group.
        Conflict: it was changed meanwhile, or exists already.
    """
    service.refuse_limited(tx)
    known = await reads.locations_by_code(tx, draft.locations)
    says = N_("There is no location {value}.")
    refuse(
        [
            *rules.check_text("code", code),
            *(rules.check_new_code("code", code) if version is None else ()),
            *rules.check_text("name", draft.name),
            *(
                Flaw(f"locations/{i}", says, facts={"value": value})
                for i, value in enumerate(draft.locations)
                if value not in known
            ),
        ]
    )
    before = next(iter(await reads.location_groups(tx, [code])), None)
    if version is not None and before is None:
        raise UnknownLocationGroup(key=code)
    row = {"code": code, "name": draft.name.strip(), "version": version}
    group = await tx.value(writes.INSERT_GROUP if version is None else writes.UPDATE_GROUP, row)
    if group is None:
        raise Conflict(what=Word(N_("Location group")), key=code)
    await tx.execute(writes.CLEAR_MEMBERS, {"group": group})
    await tx.execute(writes.ADD_MEMBERS, {"group": group, "codes": draft.locations})
    await revisions.bump(tx, reads.REVISION)
    (after,) = await reads.location_groups(tx, [code])
    action = "create" if before is None else "change"
    await audit.record(tx, action=action, entity="location_group", entity_id=code, before=before, after=after)
    return after


async def remove_group(tx: Tx, code: str, version: int) -> None:
    """Delete a group that nothing names and that still has `version`; its locations stay what they are.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownLocationGroup: there is none.
        LocationGroupInUse: a rule names it.
        Conflict: it was changed meanwhile.
    """
    service.refuse_limited(tx)
    if await lock_group(tx, code) != version:
        raise Conflict(what=Word(N_("Location group")), key=code)
    (before,) = await reads.location_groups(tx, [code])
    await tx.execute(writes.CLEAR_MEMBERS_OF, {"code": code})
    try:
        await tx.values(writes.DELETE_GROUP, {"code": code, "version": version})
    except ForeignKeyViolation:  # who names groups is above this capability; the constraint knows, and holds in a race
        raise LocationGroupInUse(key=code) from None
    await revisions.bump(tx, reads.REVISION)
    await audit.record(tx, action="delete", entity="location_group", entity_id=code, before=before)


async def lock_group(tx: Tx, code: str) -> int:
    """Lock a group for a change and return its version.

    Raises:
        UnknownLocationGroup: there is none.
    """
    version: int | None = await tx.value(writes.LOCK_GROUP, {"code": code})
    if version is None:
        raise UnknownLocationGroup(key=code)
    return version


async def set_owner(tx: Tx, code: str, establishment: str | None) -> None:
    """State whose goods a location keeps; None: its own establishment's.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownLocation, UnknownEstablishment: they do not exist.
        OwnerTwiceAtSite: another location of its site keeps this owner's goods.
    """
    service.refuse_limited(tx)
    place = await reads.location_by_code(tx, code)
    if place is None:
        raise UnknownLocation(key=code)
    owner = None
    if establishment is not None:
        found = await reads.establishments_by_code(tx, [establishment])
        if establishment not in found:
            raise UnknownEstablishment(key=establishment)
        owner = found[establishment].id
    await sites.lock(tx, [code])
    await sites.refuse_owner_twice(tx, place, place.establishment_id if owner is None else owner)
    await tx.execute(writes.SET_OWNER, {"code": code, "owner": owner})
    await revisions.bump(tx, reads.REVISION)
    before = {"owner_id": place.owner_id}
    await audit.record(tx, action="change", entity="location", entity_id=code, before=before, after={"owner_id": owner})


async def set_channel_owners(tx: Tx, code: str, roots: Sequence[str]) -> None:
    """State whose goods a channel sells, by the roots of their CNPJs; none: anybody's.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownChannel, UnknownLegalEntity: they do not exist.
    """
    service.refuse_limited(tx)
    channel = next((c for c in await reads.channels(tx) if c.code == code), None)
    if channel is None:
        raise UnknownChannel(key=code)
    by_root = {e.cnpj_root: e for e in await reads.legal_entities(tx)}
    for root in roots:
        if root not in by_root:
            raise UnknownLegalEntity(key=root)
    await tx.execute(writes.CLEAR_CHANNEL_OWNERS, {"code": code})
    await tx.execute(writes.ADD_CHANNEL_OWNERS, {"code": code, "roots": sorted(set(roots))})
    await tx.execute(writes.MOVE_CHANNEL, {"code": code})
    await revisions.bump(tx, reads.REVISION)
    before = sorted(e.cnpj_root for e in by_root.values() if e.id in channel.owner_ids)
    await audit.record(
        tx,
        action="change",
        entity="channel",
        entity_id=code,
        before={"owners": before},
        after={"owners": sorted(set(roots))},
    )
