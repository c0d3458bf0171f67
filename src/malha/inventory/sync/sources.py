"""Sources: who states stock, where it is the truth, and how it counts. Two truths of one location are refused."""

import re
from collections.abc import Mapping

import msgspec

from malha.identity.errors import NeedsEverywhere
from malha.inventory.sync import reads, writes
from malha.inventory.sync.errors import NotItsLocation, SourceChanged, SourceExists, SourceInactive, TwoTruths
from malha.inventory.sync.model import Role, Source, SourceDraft
from malha.network import reads as network
from malha.platform import audit
from malha.platform.db import Actor, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


async def add_source(tx: Tx, draft: SourceDraft) -> Source:
    """Declare a source.

    Raises:
        Invalid: a field is not acceptable, or a location does not exist.
        SourceExists: its code is taken.
        TwoTruths: another source is the truth of one of its locations.
        NeedsEverywhere: the actor is limited to locations.
    """
    places = await _checked(tx, draft)
    id_ = await tx.value(writes.ADD_SOURCE, _fields(draft) | {"code": draft.code})
    if id_ is None:
        raise SourceExists(source=draft.code)
    await _set_places(tx, id_, places)
    await audit.record(tx, action="create", entity="stock_source", entity_id=draft.code, after=draft)
    return await reads.source(tx, draft.code)


async def change_source(tx: Tx, draft: SourceDraft, version: int) -> Source:
    """Change a source that was read at `version`; its code stays.

    Raises:
        UnknownSource: there is none of this code.
        Invalid, TwoTruths: as `add_source`.
        SourceChanged: someone else saved it meanwhile.
    """
    was = await reads.source(tx, draft.code)
    places = await _checked(tx, draft)
    if not await tx.execute(writes.SET_SOURCE, _fields(draft) | {"id": was.id, "version": version}):
        raise SourceChanged(source=draft.code, what="stock source", key=draft.code)
    await _set_places(tx, was.id, places)
    await audit.record(
        tx, action="change", entity="stock_source", entity_id=draft.code, before=draft_of(was), after=draft
    )
    return await reads.source(tx, draft.code)


def seen_by(actor: Actor, source: Source) -> Source:
    """Return a source with only the locations an actor sees."""
    return msgspec.structs.replace(
        source,
        truths={code: id_ for code, id_ in source.truths.items() if actor.sees(id_)},
        secondaries={code: id_ for code, id_ in source.secondaries.items() if actor.sees(id_)},
    )


def draft_of(source: Source) -> SourceDraft:
    """Return a source as someone would state it."""
    return SourceDraft(
        code=source.code,
        name=source.name,
        leaves=source.leaves,
        skew_seconds=source.skew_seconds,
        zero_percent=source.zero_percent,
        zero_rule=source.zero_rule,
        active=source.active,
        truth=sorted(source.truths),
        secondary=sorted(source.secondaries),
    )


def refuse_inactive(source: Source) -> None:
    """Refuse a source that is switched off.

    Raises:
        SourceInactive: it is.
    """
    if not source.active:
        raise SourceInactive(source=source.code)


def places_of(source: Source, codes: list[str]) -> list[int]:
    """Return the ids of locations a source is declared for.

    Raises:
        NotItsLocation: it is not declared for one of them.
    """
    known = source.truths | source.secondaries
    for code in codes:
        if code not in known:
            raise NotItsLocation(source=source.code, location=code)
    return sorted({known[code] for code in codes})


async def _checked(tx: Tx, draft: SourceDraft) -> dict[int, Role]:
    if tx.actor.locations is not None:
        raise NeedsEverywhere
    flaws = []
    if not _CODE.fullmatch(draft.code):
        flaws.append(Flaw("code", N_("The code is not usable."), N_("Use letters, digits, dots and dashes, up to 40.")))
    if not draft.name.strip() or len(draft.name) > 120:
        flaws.append(Flaw("name", N_("Give it a name of up to 120 characters.")))
    if not 0 <= draft.skew_seconds <= 3600:
        flaws.append(Flaw("skew_seconds", N_("The tolerance is between 0 and 3600 seconds.")))
    if not 0 <= draft.zero_percent <= 100:
        flaws.append(Flaw("zero_percent", N_("The guard is between 0 and 100 percent.")))
    wanted = dict.fromkeys(draft.secondary, Role.SECONDARY) | dict.fromkeys(draft.truth, Role.TRUTH)
    found = await network.locations_by_code(tx, sorted(wanted))
    for code in sorted(wanted):
        at = "truth" if wanted[code] is Role.TRUTH else "secondary"
        place = found.get(code)
        if place is None:
            flaws.append(Flaw(at, N_("There is no location {location}."), facts={"location": code}))
    both = sorted(set(draft.truth) & set(draft.secondary))
    flaws += [Flaw("secondary", N_("{location} stands in both lists."), facts={"location": code}) for code in both]
    refuse(flaws)
    return {found[code].id: role for code, role in wanted.items()}


async def _set_places(tx: Tx, id_: int, places: Mapping[int, Role]) -> None:
    truths = sorted(place for place, role in places.items() if role is Role.TRUTH)
    for location, other in await tx.tuples(reads.OTHER_TRUTHS, {"locations": truths, "id": id_}):
        raise TwoTruths(location=location, other=other)
    await tx.execute(writes.DROP_PLACES, {"id": id_, "locations": sorted(places)})
    ids = sorted(places)
    await tx.execute(writes.SET_PLACES, {"id": id_, "locations": ids, "roles": [places[i].value for i in ids]})


def _fields(draft: SourceDraft) -> dict[str, object]:
    return {
        "name": draft.name.strip(),
        "leaves": draft.leaves.value,
        "skew_seconds": draft.skew_seconds,
        "zero_percent": draft.zero_percent,
        "zero_rule": draft.zero_rule.value,
        "active": draft.active,
    }
