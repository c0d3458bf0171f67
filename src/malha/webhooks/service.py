"""Use cases of webhooks: who is told what, secrets, and sending again."""

import secrets as random_bytes
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from malha.identity import service as identity
from malha.identity.model import PERMISSIONS, ROLES
from malha.identity.rules import exceeds
from malha.network import reads as network
from malha.platform import audit, sealing, signing
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.eventlog import Recorded
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.outward import LONGEST, never_asked
from malha.webhooks import catalogue, reads, rendering, rules, writes
from malha.webhooks.errors import (
    DeliveryBeyond,
    DeliveryNotFound,
    EventsGone,
    WebhookBeyondKeeper,
    WebhookChanged,
    WebhookNotActive,
    WebhookNotFound,
)
from malha.webhooks.model import Endpoint, EndpointDraft, EndpointState, Replay, WebhookMaker, Why

PURPOSE = "webhook"
SUBSCRIBER = "webhooks"
WITHDRAWN = "The webhook may not be told of this any more."  # as `failures` knows it
MOST_ENDPOINTS = 200
MOST_REPLAYED = 50_000
_LAST = datetime(9999, 1, 1, tzinfo=UTC)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


# --- from the log ---


def _pairs(endpoints: Sequence[Endpoint]) -> dict[str, list[int] | list[str]]:
    """Return which endpoint wants which type: names, families and rights come down to this."""
    pairs = [(e.id, type_) for e in endpoints for type_ in catalogue.types_of(e.types, e.may)]
    return {"endpoints": [id_ for id_, _ in pairs], "types": [type_ for _, type_ in pairs]}


async def line_up(tx: Tx, events: list[Recorded]) -> None:
    """Put events in line for the endpoints that want them."""
    pairs = _pairs(await reads.active(tx))
    if pairs["endpoints"]:
        await tx.execute(writes.LINE_UP_THESE, {**pairs, "positions": [event.position for event in events]})


async def sweep(tx: Tx, since: int, reach: int) -> None:
    """As `line_up`, for the events after `since` up to `reach`. Where nobody is told anything it costs a look."""
    pairs = _pairs(await reads.active(tx))
    if pairs["endpoints"]:
        await tx.execute(writes.LINE_UP, {**pairs, "since": since, "reach": reach})


# --- endpoints ---


async def seen(tx: Tx, id_: int) -> Endpoint:
    """Return an endpoint that the actor may see: one that tells of nothing that is not the actor's to know.

    Raises:
        WebhookNotFound: there is none.
    """
    found = await reads.endpoint(tx, id_)
    if found is None or not _within(tx, found):
        raise WebhookNotFound(key=id_)
    return found


async def all_seen(tx: Tx) -> list[Endpoint]:
    """Return the endpoints that the actor may see, by name."""
    return [endpoint for endpoint in await reads.endpoints(tx) if _within(tx, endpoint)]


def _within(tx: Tx, endpoint: Endpoint) -> bool:
    # Whoever has an endpoint in hand reads what it was told, and may have the rest told elsewhere.
    beyond = exceeds(endpoint.permissions, endpoint.locations, tx.actor.permissions, tx.actor.locations)
    return not beyond


async def create(
    tx: Tx, draft: EndpointDraft, keys: signing.Keys, *, allowed: Sequence[str] | None = None
) -> tuple[int, str]:
    """Make an endpoint; it is told what happens from now on.

    It is told at most what its maker may see: permissions and locations are the maker's, or fewer.

    Returns:
        Its id, and its secret, which is shown once.

    Raises:
        Invalid, OutwardRefused: as the flaws say.
    """
    if len(await reads.endpoints(tx)) >= MOST_ENDPOINTS:
        says = N_("There are {most} webhooks already.")
        refuse([Flaw("name", says, N_("Remove some that nobody needs."), {"most": MOST_ENDPOINTS})])
    row = await _row(tx, draft, allowed)
    secret = rules.secret_of(random_bytes.token_bytes(rules.SECRET_BYTES))
    # From here on nothing is put in line without it.
    await tx.value(writes.LOCK_CHECKPOINT, {"name": SUBSCRIBER})
    sealed = sealing.seal(keys, PURPOSE, secret)
    id_: int = await tx.value(writes.ADD_ENDPOINT, {**row, "secret": sealed, "by": tx.actor.label})
    await audit.record(tx, action="create", entity="webhook", entity_id=id_, after=_told(row))
    return id_, secret


async def change(tx: Tx, id_: int, draft: EndpointDraft, version: int, *, allowed: Sequence[str] | None = None) -> int:
    """Change an endpoint and return its new version. What is in line already stays, unless it may not be told any more.

    Its rights become those of who changes it, who answers for it from now on.

    Raises:
        WebhookNotFound, WebhookChanged, Invalid, OutwardRefused: as the names say.
    """
    before = await _held(tx, id_, version)
    row = await _row(tx, draft, allowed)
    stored: int = await tx.value(writes.CHANGE_ENDPOINT, {**row, "id": id_})
    if tx.actor.id:
        await tx.execute(writes.KEEP_ENDPOINT, {"id": id_, "by": tx.actor.label})
    after = await reads.endpoint(tx, id_)
    if after is not None and _narrower(before, after):
        gone = {"endpoint": id_, "permitted": _permitted(after), "error": WITHDRAWN}
        await tx.execute(writes.WITHDRAW, gone)
    await audit.record(tx, action="change", entity="webhook", entity_id=id_, before=_facts(before), after=_told(row))
    return stored


def _narrower(before: Endpoint, after: Endpoint) -> bool:
    """Tell whether an endpoint may be told less than before."""
    fewer = after.channels is not None and (before.channels is None or not set(before.channels) <= set(after.channels))
    return fewer or exceeds(before.permissions, before.locations, after.permissions, after.locations)


def _permitted(endpoint: Endpoint) -> list[str]:
    """Return the types that an endpoint may be told, whether it asks for them or not."""
    return list(catalogue.types_of(("*",), endpoint.may))


def _readable(tx: Tx, endpoint: Endpoint) -> list[str] | None:
    """Return of which types the actor reads what an endpoint was told; None is everything it ever was.

    Who may be told everything reads on what one of wider rights once was. To others it shows what it may be told now.
    """
    if tx.actor.locations is None and all(tx.actor.may(public.permission) for public in catalogue.PUBLIC.values()):
        return None
    return _permitted(endpoint)


async def deliveries(tx: Tx, id_: int, **asked: Any) -> list[reads.DeliveryRow]:
    """Return deliveries of an endpoint that the actor may read, the newest event first; `asked` as `reads.deliveries`.

    Raises:
        WebhookNotFound: there is none.
    """
    return await reads.deliveries(tx, id_, permitted=_readable(tx, await seen(tx, id_)), **asked)


async def kept_by(tx: Tx, person_id: UUID) -> list[Endpoint]:
    """Return the endpoints a person answers for, by name: those that the actor may see."""
    every = await all_seen(tx)
    makers = await reads.makers(tx, every)
    return [e for e in every if (maker := makers.get(e.id)) is not None and maker.id == person_id]


async def orphaned(tx: Tx) -> list[tuple[Endpoint, WebhookMaker]]:
    """Return the endpoints that are told something and for which nobody with access answers any more.

    Of those that the actor may see.
    """
    told = [endpoint for endpoint in await all_seen(tx) if endpoint.state == EndpointState.ACTIVE]
    makers = await reads.makers(tx, told)
    return [(each, makers[each.id]) for each in told if each.id in makers and makers[each.id].state == "gone"]


async def hand_over(tx: Tx, id_: int, person_id: UUID) -> Endpoint:
    """Have a person answer for an endpoint from now on; its address, secret and rights stay.

    Raises:
        WebhookNotFound: there is none, or the actor may not see it.
        NotFound: there is no such person who has access.
        BeyondOwn: the person has rights that the actor does not hold.
        WebhookBeyondKeeper: the endpoint tells of more than the person sees.
    """
    await identity.lock_owners(tx)  # as who deactivates: the person still has access when this is written
    person = await identity.person_to_manage(tx, person_id)
    if not person.active:
        raise NotFound(what="person", key=person_id)
    endpoint = await hold(tx, id_)
    codes = {location.code: location.id for location in await network.locations(tx)}
    sees = None if person.everywhere else [codes[code] for code in person.locations]
    if exceeds(endpoint.permissions, endpoint.locations, ROLES[person.role], sees):
        raise WebhookBeyondKeeper(name=person.name)
    former = (await reads.makers(tx, [endpoint])).get(id_)
    await tx.execute(writes.KEEP_ENDPOINT, {"id": id_, "by": f"person:{person_id}"})
    was = {} if former is None else {"kept_by": former.name, "person": former.id}
    now_by = {"kept_by": person.name, "person": person_id}
    await audit.record(tx, action="hand_over", entity="webhook", entity_id=id_, before=was, after=now_by)
    return endpoint


async def remove(tx: Tx, id_: int, version: int) -> None:
    """Remove an endpoint with all that is in line for it.

    Raises:
        WebhookNotFound, WebhookChanged: as the names say.
    """
    before = await _held(tx, id_, version)
    await tx.execute(writes.DROP_ENDPOINT, {"id": id_})
    await audit.record(tx, action="remove", entity="webhook", entity_id=id_, before=_facts(before))


async def pause(tx: Tx, id_: int, version: int) -> int:
    """Tell an endpoint nothing for now; what is in line stays there. Return the new version.

    Raises:
        WebhookNotFound, WebhookChanged: as the names say.
        WebhookNotActive: it is told nothing already.
    """
    before = await _held(tx, id_, version)
    if before.state != EndpointState.ACTIVE:
        raise WebhookNotActive(key=id_)
    stored = await stop(tx, id_, EndpointState.PAUSED, None)
    await audit.record(tx, action="pause", entity="webhook", entity_id=id_)
    return stored


async def stop(tx: Tx, id_: int, state: EndpointState, why: Why | None) -> int:
    """Stop telling an endpoint; what happens from here on is not put in line for it. Return the new version."""
    position: int | None = await tx.value(writes.LOCK_CHECKPOINT, {"name": SUBSCRIBER})
    row = {"id": id_, "state": state.value, "why": why, "position": position or 0}
    stored: int = await tx.value(writes.STOP_ENDPOINT, row)
    return stored


async def start(tx: Tx, id_: int, version: int, *, catch_up: bool = True) -> tuple[int, int]:
    """Tell an endpoint again what happens; with `catch_up`, also what happened meanwhile.

    Returns:
        The new version, and how many events it missed were put in line.

    Raises:
        WebhookNotFound, WebhookChanged: as the names say.
        EventsGone: the log does not reach back to where it stopped; start it without catching up.
    """
    before = await _held(tx, id_, version)
    if before.state == EndpointState.ACTIVE:
        return before.version, 0
    reach: int = await tx.value(writes.LOCK_CHECKPOINT, {"name": SUBSCRIBER}) or 0
    stored: int = await tx.value(writes.START_ENDPOINT, {"id": id_})
    await tx.execute(writes.HURRY, {"id": id_})
    missed = 0
    if catch_up and before.stopped_position is not None:
        _last, first = await reads.ends(tx)
        if before.stopped_position + 1 < first and before.stopped_position < reach:
            raise EventsGone(cursor=before.stopped_position, first=first)
        pairs = _pairs([before])
        missed = await tx.execute(writes.LINE_UP, {**pairs, "since": before.stopped_position, "reach": reach})
    await audit.record(tx, action="resume", entity="webhook", entity_id=id_, after={"catch_up": missed})
    return stored, missed


async def rotate(tx: Tx, id_: int, version: int, keys: signing.Keys, now: datetime) -> tuple[int, str, datetime]:
    """Give an endpoint another secret; the former one signs too for a day.

    Returns:
        The new version, the new secret, which is shown once, and until when the former one signs.

    Raises:
        WebhookNotFound, WebhookChanged: as the names say.
    """
    await _held(tx, id_, version)
    secret = rules.secret_of(random_bytes.token_bytes(rules.SECRET_BYTES))
    until = now + rules.OVERLAP
    sealed = sealing.seal(keys, PURPOSE, secret)
    stored: int = await tx.value(writes.ROTATE, {"id": id_, "secret": sealed, "until": until})
    await audit.record(tx, action="rotate", entity="webhook", entity_id=id_, after={"former_until": until})
    return stored, secret, until


def keys_of(endpoint: Endpoint, keys: signing.Keys, now: datetime) -> list[bytes]:
    """Return the keys that sign for an endpoint now, the newest first.

    Raises:
        SealBroken: they were sealed with another key.
    """
    former = endpoint.former_secret if endpoint.former_until and endpoint.former_until > now else None
    sealed = [endpoint.secret, former]
    return [rules.key_of(sealing.unseal(keys, PURPOSE, one)) for one in sealed if one is not None]


async def hold(tx: Tx, id_: int) -> Endpoint:
    """Return an endpoint that nobody else changes until the transaction ends.

    Raises:
        WebhookNotFound: there is none, or the actor may not see it.
    """
    found = await tx.maybe(Endpoint, writes.HOLD_ENDPOINT, {"id": id_})
    if found is None or not _within(tx, found):
        raise WebhookNotFound(key=id_)
    return found


async def _held(tx: Tx, id_: int, version: int) -> Endpoint:
    found = await hold(tx, id_)
    if found.version != version:
        raise WebhookChanged(what="webhook", key=id_)
    return found


async def _row(tx: Tx, draft: EndpointDraft, allowed: Sequence[str] | None) -> dict[str, object]:
    """Return a draft as it is stored: bounded by what the actor may see."""
    flaws = [] if draft.name.strip() else [Flaw("name", N_("A webhook needs a name that says who listens."))]
    if len(draft.url) > LONGEST:
        flaws.append(Flaw("url", N_("An address has at most {most} characters."), facts={"most": LONGEST}))
    flaws += [
        Flaw(
            "types",
            N_("There is no event {name}."),
            N_("The types of events are listed at {at}."),
            {"name": name, "at": "/v1/event-types"},
        )
        for name in catalogue.unknown_types(draft.types)
    ]
    permissions = [p for p in PERMISSIONS if tx.actor.may(p) and p in {x.permission for x in catalogue.PUBLIC.values()}]
    if not flaws and not catalogue.types_of(draft.types, lambda p: p in permissions):
        flaws.append(Flaw("types", N_("Name at least one event that you may see yourself.")))
    places = {location.id: location.code for location in await network.locations(tx)}
    locations = _ids({code: id_ for id_, code in places.items()}, draft.locations)
    flaws += [_unknown("locations", code) for code in draft.locations or () if code not in places.values()]
    own = tx.actor.locations
    if own is not None and (locations is None or not set(locations) <= own):
        flaws.append(Flaw("locations", N_("A webhook is told of no more locations than its maker sees.")))
    known = {channel.code: channel.id for channel in await network.channels(tx)}
    flaws += [_unknown("channels", code) for code in draft.channels or () if code not in known]
    refuse(flaws)
    refuse(never_asked("url", draft.url, allowed))
    return {
        "name": draft.name.strip(),
        "url": draft.url,
        "types": sorted(set(draft.types)),
        "permissions": permissions,
        "locations": locations,
        "channels": _ids(known, draft.channels),
        "ordered": draft.ordered,
    }


def _unknown(at: str, code: str) -> Flaw:
    return Flaw(at, N_("There is none with the code {code}."), facts={"code": code})


def _ids(known: dict[str, int], codes: Collection[str] | None) -> list[int] | None:
    return None if codes is None else sorted({known[code] for code in codes if code in known})


def _facts(endpoint: Endpoint) -> dict[str, object]:
    return _told(msgspec.structs.asdict(endpoint))


def _told(row: dict[str, object]) -> dict[str, object]:
    return {k: row[k] for k in ("name", "url", "types", "permissions", "locations", "channels", "ordered") if k in row}


# --- again ---


async def replay_one(tx: Tx, id_: int, position: int) -> None:
    """Send one event to an endpoint again, whatever became of it.

    Raises:
        WebhookNotFound, DeliveryNotFound: as the names say.
        DeliveryBeyond: by the rights it has now, the endpoint is not told of it.
    """
    endpoint = await seen(tx, id_)
    if await reads.delivery(tx, id_, position, _readable(tx, endpoint)) is None:
        raise DeliveryNotFound(webhook=id_, key=position)
    if not await reads.may_be_told(tx, id_, position, _permitted(endpoint)):
        raise DeliveryBeyond(webhook=id_, key=position)
    if await tx.value(writes.REPLAY_ONE, {"endpoint": id_, "position": position}) is None:
        raise DeliveryNotFound(webhook=id_, key=position)
    await audit.record(tx, action="replay", entity="webhook", entity_id=id_, after={"position": position})


async def replay(tx: Tx, id_: int, wanted: Replay, *, beyond: int = 0) -> tuple[int, int | None]:
    """Send events to an endpoint again, the oldest first, at most `MOST_REPLAYED` at once.

    Only what it may be told by the rights it has now.

    Returns:
        How many were put in line, and after which position to go on when there are more.

    Raises:
        WebhookNotFound, WebhookNotActive, Invalid: as the names say.
    """
    endpoint = await seen(tx, id_)
    flaws = [
        Flaw(
            "types",
            N_("There is no event {name}."),
            N_("The types of events are listed at {at}."),
            {"name": name, "at": "/v1/event-types"},
        )
        for name in catalogue.unknown_types(wanted.types)
    ]
    if not wanted.failed and wanted.since is None:
        flaws.append(Flaw("since", N_("Say from when on, or ask for what was given up.")))
    if wanted.since and wanted.until and wanted.until <= wanted.since:
        flaws.append(Flaw("until", N_("The end lies before the beginning.")))
    refuse(flaws)
    own = catalogue.types_of(endpoint.types, endpoint.may)
    types = [t for t in own if not wanted.types or t in catalogue.types_of(wanted.types, endpoint.may)]
    rest: int | None = None
    if wanted.failed:
        permitted = types if wanted.types else _permitted(endpoint)
        row = {"endpoint": id_, "permitted": permitted, "since": wanted.since, "until": wanted.until}
        count = await tx.execute(writes.REPLAY_FAILED, {**row, "most": MOST_REPLAYED})
        rest = 0 if count == MOST_REPLAYED else None
    else:
        if endpoint.state != EndpointState.ACTIVE:
            raise WebhookNotActive(key=id_)
        reach: int = await tx.value(writes.LOCK_CHECKPOINT, {"name": SUBSCRIBER}) or 0
        ((count, found, last),) = await tx.tuples(
            writes.REPLAY,
            {
                "endpoint": id_,
                "types": types,
                "since": wanted.since or _FIRST,
                "until": wanted.until or _LAST,
                "reach": reach,
                "beyond": beyond,
                "most": MOST_REPLAYED,
            },
        )
        rest = last if found == MOST_REPLAYED else None
    facts = {"since": wanted.since, "until": wanted.until, "types": list(wanted.types), "failed": wanted.failed}
    await audit.record(tx, action="replay", entity="webhook", entity_id=id_, after={**facts, "count": count})
    return count, rest


async def delivery_of(
    tx: Tx, id_: int, position: int
) -> tuple[reads.DeliveryRow, list[reads.AttemptRow], bytes | None]:
    """Return a delivery, its attempts, and its body: while the log holds the event and the endpoint may be told of it.

    Raises:
        WebhookNotFound, DeliveryNotFound: as the names say.
    """
    endpoint = await seen(tx, id_)
    row = await reads.delivery(tx, id_, position, _readable(tx, endpoint))
    if row is None:
        raise DeliveryNotFound(webhook=id_, key=position)
    may = await reads.may_be_told(tx, id_, position, _permitted(endpoint))
    told = await rendering.render(tx, await reads.events_at(tx, [position]) if may else [], endpoint.locations)
    return row, await reads.attempts(tx, id_, position), rendering.encode(told[0]) if told else None
