"""Use cases of the network: state establishments, locations, channels and services; pause a location; close days.

`put_*` take many records at once, create or change them by code, refuse all of them when one is not valid, and change
nothing (no version, no audit row) where nothing differs. `create_*` and `update_*` are for one record under a
person's hands: a taken code or a changed version is refused. Every change moves the network's revision, which caches
watch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from malha.network import reads, rules, sites, writes
from malha.network.errors import (
    CnpjTaken,
    CodeTaken,
    SharedByAll,
    UnknownChannel,
    UnknownEstablishment,
    UnknownLegalEntity,
    UnknownLocation,
    UnknownService,
)
from malha.network.model import (
    ChannelDraft,
    Establishment,
    EstablishmentDraft,
    LegalEntity,
    LegalEntityDraft,
    Location,
    LocationDraft,
    LocationStatus,
    Saved,
    ServiceDraft,
)
from malha.platform import audit, revisions
from malha.platform.db import Statement, Tx
from malha.platform.errors import Conflict, MalhaError, NotFound
from malha.platform.flaws import Flaw, Invalid, refuse
from malha.platform.i18n import N_, Word

D = TypeVar("D", EstablishmentDraft, LocationDraft, ChannelDraft, ServiceDraft)


def _check_all(drafts: Sequence[D], check: Callable[[D], Iterable[Flaw]]) -> None:
    """Refuse all drafts when one is not valid; positions are in the path when there are several."""
    flaws = []
    seen: set[str] = set()
    for i, draft in enumerate(drafts):
        prefix = f"{i}/" if len(drafts) > 1 else ""
        found = list(check(draft))
        if draft.code in seen:
            found.append(Flaw("code", N_("The code {value} is stated twice."), N_("Keep one."), {"value": draft.code}))
        seen.add(draft.code)
        flaws += [msgspec.structs.replace(flaw, at=prefix + flaw.at) for flaw in found]
    refuse(flaws)


def refuse_limited(tx: Tx) -> None:
    """Refuse whoever is limited to some locations: what follows concerns all of them.

    Raises:
        SharedByAll: the actor is.
    """
    if tx.actor.locations is not None:
        raise SharedByAll


async def _saved(tx: Tx, statement: Statement, known: set[str], drafts: Sequence[D]) -> list[Saved]:
    found = await writes.ids(tx, statement, [d.code for d in drafts])
    return [Saved(d.code, found[d.code], created=d.code not in known) for d in drafts]


async def _free_or_current(
    tx: Tx, lock: Statement, draft: D, version: int | None, *, unknown: type[NotFound], what: str
) -> None:
    """Refuse a new record whose code is taken, or a change of a record that is gone or has moved on."""
    current = await writes.lock(tx, lock, draft.code)
    if version is None:
        if current is not None:
            raise CodeTaken(what=what, key=draft.code)
    elif current is None:
        raise unknown(key=draft.code)
    elif current != version:
        raise Conflict(what=Word(what), key=draft.code)


_LOCKS: dict[str, tuple[Statement, type[NotFound]]] = {
    "establishment": (writes.LOCK_ESTABLISHMENT, UnknownEstablishment),
    "location": (writes.LOCK_LOCATION, UnknownLocation),
    "channel": (writes.LOCK_CHANNEL, UnknownChannel),
    "service": (writes.LOCK_SERVICE, UnknownService),
    "legal_entity": (writes.LOCK_LEGAL_ENTITY, UnknownLegalEntity),
}


async def lock(tx: Tx, what: str, code: str) -> int:
    """Lock one "legal_entity", "establishment", "location", "channel" or "service" for a change; return its version.

    Raises:
        NotFound: there is none with this code.
    """
    statement, unknown = _LOCKS[what]
    version = await writes.lock(tx, statement, code)
    if version is None:
        raise unknown(key=code)
    return version


# --- establishments ---


async def put_establishments(tx: Tx, drafts: Sequence[EstablishmentDraft]) -> list[Saved]:
    """Create or change establishments by code, and their companies by the root of the CNPJ.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: one of them is not valid; nothing was changed.
        CnpjTaken: a CNPJ belongs to an establishment with another code.
    """
    refuse_limited(tx)
    drafts = [rules.tidy_establishment(d) for d in drafts]
    _check_all(drafts, rules.check_establishment)
    owners = dict(await tx.tuples(writes.CNPJ_OWNERS, {"cnpjs": [d.cnpj for d in drafts]}))
    for draft in drafts:
        if owners.setdefault(draft.cnpj, draft.code) != draft.code:
            raise CnpjTaken(cnpj=draft.cnpj, key=owners[draft.cnpj])
    known = await reads.establishments_by_code(tx, [d.code for d in drafts])
    companies: dict[str, dict[str, Any]] = {}
    for draft in drafts:
        root = draft.cnpj[:8]
        if draft.legal_name or root not in companies:
            companies[root] = {"name": draft.legal_name, "cnpj_root": root, "kind": draft.kind}
    existing = {e.cnpj_root: e for e in await reads.legal_entities(tx)} if companies else {}
    for root, company in companies.items():
        before = existing.get(root)
        first = next(d for d in drafts if d.cnpj.startswith(root))
        company["name"] = company["name"] or (before.name if before else first.name)
    changed = await writes.upsert(tx, writes.UPSERT_LEGAL_ENTITIES, list(companies.values()))
    changed += await writes.upsert(tx, writes.UPSERT_ESTABLISHMENTS, drafts)
    if changed:
        await revisions.bump(tx, reads.REVISION)
    return await _saved(tx, writes.ESTABLISHMENT_IDS, set(known), drafts)


async def create_establishment(tx: Tx, draft: EstablishmentDraft) -> Establishment:
    """Create one establishment. Refuses a taken code or CNPJ, and values that are not valid."""
    lock = writes.LOCK_ESTABLISHMENT
    await _free_or_current(tx, lock, draft, None, unknown=UnknownEstablishment, what=N_("Establishment"))
    await put_establishments(tx, [draft])
    created = (await reads.establishments_by_code(tx, [draft.code]))[draft.code]
    await audit.record(tx, action="create", entity="establishment", entity_id=draft.code, after=created)
    return created


async def update_establishment(tx: Tx, draft: EstablishmentDraft, version: int) -> Establishment:
    """Change one establishment that still has `version`."""
    lock = writes.LOCK_ESTABLISHMENT
    await _free_or_current(tx, lock, draft, version, unknown=UnknownEstablishment, what=N_("Establishment"))
    before = (await reads.establishments_by_code(tx, [draft.code]))[draft.code]
    await put_establishments(tx, [draft])
    after = (await reads.establishments_by_code(tx, [draft.code]))[draft.code]
    await audit.record(tx, action="change", entity="establishment", entity_id=draft.code, before=before, after=after)
    return after


async def update_legal_entity(tx: Tx, root: str, draft: LegalEntityDraft, version: int) -> LegalEntity:
    """Change the name or kind of the company with this root of the CNPJ, if it still has `version`.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownLegalEntity: there is none.
        Invalid: the name is empty or too long.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    before = await reads.legal_entity(tx, root)
    if before is None:
        raise UnknownLegalEntity(key=root)
    refuse(list(rules.check_text("name", draft.name)))
    facts = {"root": root, "name": draft.name.strip(), "kind": draft.kind, "version": version}
    if not await tx.execute(writes.UPDATE_LEGAL_ENTITY, facts):
        raise Conflict(what=Word(N_("Company")), key=before.name)
    await revisions.bump(tx, reads.REVISION)
    after = msgspec.structs.replace(before, name=draft.name.strip(), kind=draft.kind, version=version + 1)
    await audit.record(tx, action="change", entity="legal_entity", entity_id=root, before=before, after=after)
    return after


# --- locations ---


async def put_locations(tx: Tx, drafts: Sequence[LocationDraft]) -> list[Saved]:
    """Create or change locations by code. Address, coordinates and time zone are completed from the CEP.

    What a site shares is taken from its first location, and goes from there to all that are at it.

    Raises:
        SharedByAll: the actor is limited to other locations, or one of these is new or goes to an establishment that
            issues for none of theirs.
        Invalid: one of them is not valid; nothing was changed.
        UnknownEstablishment: one names an establishment that does not exist.
    """
    establishments = await reads.establishments_by_code(tx, sorted({d.establishment for d in drafts}))
    for draft in drafts:
        if draft.establishment not in establishments:
            raise UnknownEstablishment(key=draft.establishment)
    drafts = [d if d.site else rules.complete_location(d, establishments[d.establishment].state) for d in drafts]
    known = await reads.locations_by_code(tx, [d.code for d in drafts])
    if tx.actor.locations is not None:  # before sites are looked at, which may be out of sight
        own = [d for d in drafts if d.code in known and tx.actor.sees(known[d.code].id)]
        # Whose the goods are, and who issues their documents, is not theirs to give to another company.
        issuers = {each.code for each in await reads.establishments_seen(tx)}
        foreign = not {d.establishment for d in drafts} <= issuers
        if foreign or len(own) < len(drafts) or any(d.site != known[d.code].site for d in own):
            _check_all([d for d in drafts if not d.site], rules.check_location)
            refuse_limited(tx)
    await sites.lock(tx, sorted({d.code for d in drafts} | {d.site for d in drafts if d.site}))
    placed = await sites.place(tx, drafts)
    drafts = placed.drafts
    _check_all(drafts, lambda d: placed.flaws.get(d.code) or list(rules.check_location(d)))
    # A site is there before what is at it: no statement sees the rows that it writes itself.
    written = await writes.upsert(tx, writes.UPSERT_LOCATIONS, [d for d in drafts if not d.site])
    written += await writes.upsert(tx, writes.UPSERT_LOCATIONS, [d for d in drafts if d.site])
    if written:
        await sites.follow(tx, placed.sites, placed.came)
        await revisions.bump(tx, reads.REVISION)
    return await _saved(tx, writes.LOCATION_IDS, set(known), drafts)


async def lock_locations(tx: Tx, codes: Sequence[str]) -> None:
    """Lock locations with their sites for a table that changes them, in order; other tables wait for their turn."""
    await tx.execute(writes.LOCK_TABLES)
    await sites.lock(tx, sorted(codes))


async def create_location(tx: Tx, draft: LocationDraft) -> Location:
    """Create one location. Refuses a taken code, an unknown establishment, and values that are not valid."""
    await _free_or_current(tx, writes.LOCK_LOCATION, draft, None, unknown=UnknownLocation, what=N_("Location"))
    await put_locations(tx, [draft])
    created = await _location(tx, draft.code)
    await audit.record(tx, action="create", entity="location", entity_id=draft.code, after=created)
    return created


async def update_location(tx: Tx, draft: LocationDraft, version: int) -> Location:
    """Change one location that still has `version`."""
    await _free_or_current(tx, writes.LOCK_LOCATION, draft, version, unknown=UnknownLocation, what=N_("Location"))
    before = await _own_location(tx, draft.code)
    await put_locations(tx, [draft])
    after = await _location(tx, draft.code)
    await audit.record(tx, action="change", entity="location", entity_id=draft.code, before=before, after=after)
    return after


async def note_places(
    tx: Tx, establishments: Sequence[str], before: Mapping[str, Location], lines: Mapping[str, int]
) -> list[Location]:
    """Write into the audit trail which establishments a table made, and what became of locations, each with its line.

    `before` lacks locations that are new; those that are as they were are passed over. Returns the others, as they are.
    """
    made = await reads.establishments_by_code(tx, establishments) if establishments else {}
    new = [(code, None, made[code]) for code in sorted(made)]
    await audit.record_many(tx, action="create", entity="establishment", changes=new)
    after = await reads.locations_by_code(tx, sorted(lines))
    changed = [code for code in sorted(lines) if before.get(code) != after[code]]
    some = {"create": [c for c in changed if c not in before], "change": [c for c in changed if c in before]}
    for action, codes in some.items():
        changes = [(code, before.get(code), after[code]) for code in codes]
        told = [{"line": lines[code]} for code in codes]
        await audit.record_many(tx, action=action, entity="location", changes=changes, told=told)
    return [after[code] for code in changed]


async def put_back(tx: Tx, drafts: Sequence[LocationDraft]) -> dict[str, Flaw]:
    """Change locations back to what they were; return why some stay as they are, by code: it cannot be any more.

    They are locked (`lock_locations`).
    """
    before = await reads.locations_by_code(tx, [draft.code for draft in drafts])
    left = await _put_if(tx, drafts)
    if left:  # one that cannot be keeps no other from it
        sites_first = sorted(drafts, key=lambda draft: draft.site is not None)
        left = {draft.code: flaw for draft in sites_first for flaw in (await _put_if(tx, [draft])).values()}
    after = await reads.locations_by_code(tx, list(before))
    changes = [(code, before[code], after[code]) for code in sorted(before) if before[code] != after[code]]
    await audit.record_many(tx, action="change", entity="location", changes=changes)
    return left


async def _put_if(tx: Tx, drafts: Sequence[LocationDraft]) -> dict[str, Flaw]:
    """Change locations together; where that is refused, none of them is, and why is returned by the code of each."""
    try:
        async with tx.savepoint():
            await put_locations(tx, drafts)
    except Invalid as error:
        return dict.fromkeys([draft.code for draft in drafts], msgspec.structs.replace(error.flaws[0], at=""))
    except MalhaError as error:
        return dict.fromkeys([draft.code for draft in drafts], Flaw("", error.says, error.mend, error.facts))
    return {}


async def _own_location(tx: Tx, code: str) -> Location:
    """Return a location the actor's scope holds; another is as unknown as one that does not exist."""
    found = await _location(tx, code)
    if not tx.actor.sees(found.id):
        raise UnknownLocation(key=code)
    return found


async def _location(tx: Tx, code: str) -> Location:
    found = await reads.location_by_code(tx, code)
    if found is None:
        raise UnknownLocation(key=code)
    return found


async def set_location_status(
    tx: Tx,
    code: str,
    status: LocationStatus,
    version: int | None = None,
    *,
    reason: str = "",
    until: datetime | None = None,
) -> Location:
    """Pause, close or open a location. New work goes elsewhere at once; what the location has, it finishes.

    Why and until when are kept of a pause only; the worker resumes the location when that time is over. All of a site
    is paused, closed and opened together; a location at another's site can be closed by itself.

    Raises:
        UnknownLocation: there is no such location.
        SiteShared: its site is another's, which the actor does not see.
        SiteIsClosed: it was closed, and so is its site.
        Conflict: it no longer has `version`; None does not ask.
        Invalid: `until` is over.
    """
    before = await _own_location(tx, code)
    facts = await _status_facts(tx, status, reason, until)
    others: list[str] = []
    if before.site is None or LocationStatus.CLOSED not in {before.status, status}:
        others = [other for other in await sites.together(tx, [code]) if other != code]
    elif status is not LocationStatus.CLOSED:
        await sites.lock(tx, [code])
        facts = await sites.reopened(tx, before)
    if not await tx.tuples(writes.SET_LOCATION_STATUS, {"code": code, "version": version, **facts}):
        raise Conflict(what=Word(N_("Location")), key=code)
    if others:
        await _set_status_of(tx, others, list(LocationStatus), facts)
    after = await _location(tx, code)
    if (before.status, before.paused_reason, before.paused_until) != (
        after.status,
        after.paused_reason,
        after.paused_until,
    ):
        await audit.record(tx, action="set_status", entity="location", entity_id=code, before=before, after=after)
        await revisions.bump(tx, reads.REVISION)
    return after


async def _status_facts(tx: Tx, status: LocationStatus, reason: str, until: datetime | None) -> dict[str, Any]:
    if status is not LocationStatus.PAUSED:
        return {"status": status, "reason": None, "until": None}
    refuse(list(rules.check_pause(reason, until, await tx.now())))
    return {"status": status, "reason": reason.strip() or None, "until": until}


async def pause_locations(tx: Tx, codes: Sequence[str], reason: str, until: datetime | None = None) -> list[str]:
    """Pause the locations among these that are active and in the actor's scope, with their sites; return the codes.

    Raises:
        Invalid: `until` is over.
        SiteShared: one is at a site that the actor does not see.
    """
    facts = await _status_facts(tx, LocationStatus.PAUSED, reason, until)
    codes = await sites.together(tx, await _in_scope(tx, codes))
    return await _set_status_of(tx, codes, [LocationStatus.ACTIVE], facts)


async def resume_locations(tx: Tx, codes: Sequence[str]) -> list[str]:
    """Let the paused ones among these locations take work again, those in the actor's scope; return their codes."""
    facts = await _status_facts(tx, LocationStatus.ACTIVE, "", None)
    codes = await sites.together(tx, await _in_scope(tx, codes))
    return await _set_status_of(tx, codes, [LocationStatus.PAUSED], facts)


async def resume_due(tx: Tx) -> list[str]:
    """Let the locations whose pause is over take work again; return their codes. Safe beside another worker."""
    due = await tx.all(dict, writes.LOCK_DUE_LOCATIONS)
    return await _change_status(tx, due, await _status_facts(tx, LocationStatus.ACTIVE, "", None))


async def _in_scope(tx: Tx, codes: Sequence[str]) -> list[str]:
    found = await reads.locations_by_code(tx, codes)
    return [code for code, location in found.items() if tx.actor.sees(location.id)]


async def _set_status_of(
    tx: Tx, codes: Sequence[str], expected: Sequence[LocationStatus], facts: dict[str, Any]
) -> list[str]:
    rows = await tx.all(dict, writes.LOCK_LOCATIONS, {"codes": list(codes), "statuses": list(expected)})
    return await _change_status(tx, rows, facts)


async def _change_status(tx: Tx, rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> list[str]:
    codes = [row["code"] for row in rows]
    if not codes:
        return []
    await tx.execute(writes.SET_LOCATIONS_STATUS, {"codes": codes, **facts})
    after = {"status": facts["status"], "paused_reason": facts["reason"], "paused_until": facts["until"]}
    changes = [(row["code"], {name: row[name] for name in after}, after) for row in rows]
    await audit.record_many(tx, action="set_status", entity="location", changes=changes)
    await revisions.bump(tx, reads.REVISION)
    return codes


async def close_days(tx: Tx, code: str, days: Sequence[date], reason: str) -> None:
    """Close a location, with its site, on days it would work: municipal holidays, stocktaking, a flood.

    Raises:
        UnknownLocation: there is no such location.
        Invalid: no reason was given.
    """
    refuse(list(rules.check_text("reason", reason)))
    await _own_location(tx, code)
    await sites.together(tx, [code])
    closed = sorted(set(days))
    await writes.add_closures(tx, [(code, day, reason.strip()) for day in closed])
    facts = {"days": closed, "reason": reason.strip()}
    await audit.record(tx, action="close_days", entity="location", entity_id=code, after=facts)
    await revisions.bump(tx, reads.REVISION)


async def open_days(tx: Tx, code: str, days: Sequence[date]) -> None:
    """Take closures back; days that were not closed are ignored.

    Raises:
        UnknownLocation: there is no such location.
    """
    await _own_location(tx, code)
    await sites.together(tx, [code])
    if await tx.execute(writes.REMOVE_CLOSURES, {"code": code, "days": list(days)}):
        await audit.record(tx, action="open_days", entity="location", entity_id=code, after={"days": sorted(days)})
        await revisions.bump(tx, reads.REVISION)


# --- channels ---


async def put_channels(tx: Tx, drafts: Sequence[ChannelDraft]) -> list[Saved]:
    """Create or change sales channels by code, with the locations that may serve them.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: one of them is not valid; nothing was changed.
        UnknownEstablishment: one names an establishment that does not exist.
        UnknownLocation: one names a location that does not exist.
    """
    refuse_limited(tx)
    _check_all(drafts, rules.check_channel)
    owners = sorted({d.establishment for d in drafts if d.establishment})
    missing = set(owners) - (await reads.establishments_by_code(tx, owners)).keys()
    if missing:
        raise UnknownEstablishment(key=min(missing))
    allowed = sorted({code for d in drafts for code in d.locations})
    missing = set(allowed) - (await writes.ids(tx, writes.LOCATION_IDS, allowed)).keys()
    if missing:
        raise UnknownLocation(key=min(missing))
    codes = [d.code for d in drafts]
    known = await writes.ids(tx, writes.CHANNEL_IDS, codes)
    await writes.upsert(tx, writes.UPSERT_CHANNELS, drafts)
    await tx.execute(writes.REMOVE_CHANNEL_LOCATIONS, {"channels": codes})
    pairs = [(d.code, location) for d in drafts for location in d.locations]
    if pairs:
        params = {"channels": [p[0] for p in pairs], "locations": [p[1] for p in pairs]}
        await tx.execute(writes.ADD_CHANNEL_LOCATIONS, params)
    await revisions.bump(tx, reads.REVISION)
    return await _saved(tx, writes.CHANNEL_IDS, set(known), drafts)


async def create_channel(tx: Tx, draft: ChannelDraft) -> Saved:
    """Create one channel. Refuses a taken code and values that are not valid."""
    await _free_or_current(tx, writes.LOCK_CHANNEL, draft, None, unknown=UnknownChannel, what=N_("Channel"))
    saved = (await put_channels(tx, [draft]))[0]
    await audit.record(tx, action="create", entity="channel", entity_id=draft.code, after=draft)
    return saved


async def update_channel(tx: Tx, draft: ChannelDraft, version: int) -> Saved:
    """Change one channel that still has `version`."""
    await _free_or_current(tx, writes.LOCK_CHANNEL, draft, version, unknown=UnknownChannel, what=N_("Channel"))
    network = await reads.snapshot(tx)
    channel = network.channel(draft.code)
    before = channel and reads.channel_draft(channel, network)
    saved = (await put_channels(tx, [draft]))[0]
    await audit.record(tx, action="change", entity="channel", entity_id=draft.code, before=before, after=draft)
    return saved


# --- services ---


async def put_services(tx: Tx, drafts: Sequence[ServiceDraft]) -> list[Saved]:
    """Create or change shipping services by code; each one's tariff is replaced by what is stated.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: one of them is not valid; nothing was changed.
    """
    refuse_limited(tx)
    _check_all(drafts, rules.check_service)
    codes = [d.code for d in drafts]
    known = await writes.ids(tx, writes.SERVICE_IDS, codes)
    await writes.upsert(tx, writes.UPSERT_SERVICES, drafts)
    await tx.execute(writes.REMOVE_RATES, {"services": codes})
    rows = [{"service": d.code, **msgspec.structs.asdict(rate)} for d in drafts for rate in d.rates]
    await writes.upsert(tx, writes.ADD_RATES, rows)
    await revisions.bump(tx, reads.REVISION)
    return await _saved(tx, writes.SERVICE_IDS, set(known), drafts)


async def create_service(tx: Tx, draft: ServiceDraft) -> Saved:
    """Create one shipping service with its tariff. Refuses a taken code and values that are not valid."""
    await _free_or_current(tx, writes.LOCK_SERVICE, draft, None, unknown=UnknownService, what=N_("Shipping service"))
    saved = (await put_services(tx, [draft]))[0]
    await audit.record(tx, action="create", entity="service", entity_id=draft.code, after=_told(draft))
    return saved


async def update_service(tx: Tx, draft: ServiceDraft, version: int) -> Saved:
    """Change one service that still has `version`; its tariff is replaced."""
    await _free_or_current(tx, writes.LOCK_SERVICE, draft, version, unknown=UnknownService, what=N_("Shipping service"))
    before = next(s for s in await reads.services(tx) if s.code == draft.code)
    old = _told(reads.service_draft(before, await reads.rates(tx)))
    saved = (await put_services(tx, [draft]))[0]
    await audit.record(tx, action="change", entity="service", entity_id=draft.code, before=old, after=_told(draft))
    return saved


def _told(draft: ServiceDraft) -> dict[str, Any]:
    """Return a service with a field for each bracket, so that the audit trail holds those that differ, not all."""
    fields = msgspec.structs.asdict(draft)
    for rate in fields.pop("rates"):
        name = f"rate {rate.from_state}-{rate.to_state} {rate.max_grams} g"
        fields[name] = {"price": rate.price, "lead_days": rate.lead_days, "per_extra_kg": rate.per_extra_kg}
    return fields
