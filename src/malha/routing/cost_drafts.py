"""Drafting what routing compares, putting a draft into force at once, and taking it back with one press.

A draft says each part as a whole that it changes. Promoting one is one transaction over all its parts; what they were
is kept with it, so that taking it back puts exactly that back. Both are refused where something changed meanwhile.
"""

from collections.abc import Iterable

import msgspec

from malha.fiscal import tax_cost_reads, tax_costs
from malha.network import reads as network
from malha.network import service as network_service
from malha.network.service import refuse_limited
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.routing import cost_draft_reads as reads
from malha.routing import cost_draft_writes as writes
from malha.routing import cost_reads, costs
from malha.routing.cost_draft_model import CostDraft, Drafted, Labour, Standing
from malha.routing.cost_draft_rules import flaws_of, print_of, rescaled
from malha.routing.errors import CostDraftNotFound, CostDraftPromoted, CostsMovedOn, CostsNotPromoted

_encode = msgspec.json.Encoder().encode


async def start_draft(tx: Tx, content: Drafted, *, note: str = "") -> CostDraft:
    """Start a draft. Nothing is decided by it.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: parts of it cannot be; every one is named.
    """
    refuse_limited(tx)
    await _check(tx, content)
    row = {"note": note.strip(), "content": _encode(content).decode(), "by": tx.actor.name}
    made = await show(tx, await tx.value(writes.INSERT_DRAFT, row))
    await _note(tx, "create", made, after=made)
    return made


async def save_draft(tx: Tx, id_: int, content: Drafted, version: int, *, note: str | None = None) -> CostDraft:
    """Change a draft that still has `version`. `note` None: as it is.

    Raises:
        SharedByAll, Invalid: as `start_draft`.
        CostDraftNotFound: there is none.
        CostDraftPromoted: it was put into force.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    before = await _open(tx, id_)
    await _check(tx, content)
    said = before.note if note is None else note.strip()
    row = {"id": id_, "version": version, "note": said, "content": _encode(content).decode()}
    if await tx.value(writes.UPDATE_DRAFT, row) is None:
        raise Conflict(what=Word(N_("Draft of costs")), key=str(id_))
    after = await show(tx, id_)
    await _note(tx, "change", after, before=before, after=after)
    return after


async def drop_draft(tx: Tx, id_: int, version: int) -> None:
    """Throw a draft away.

    Raises:
        SharedByAll, CostDraftNotFound, CostDraftPromoted, Conflict: as `save_draft`.
    """
    refuse_limited(tx)
    before = await _open(tx, id_)
    if await tx.value(writes.DELETE_DRAFT, {"id": id_, "version": version}) is None:
        raise Conflict(what=Word(N_("Draft of costs")), key=str(id_))
    await _note(tx, "delete", before, before=before)


async def promote(tx: Tx, id_: int, version: int, beside: str | None = None) -> CostDraft:
    """Put a draft that still has `version` into force: new orders are planned by it within a second.

    Args:
        tx: all parts change in it, or none.
        id_: of the draft.
        version: that was looked at.
        beside: fingerprint of the costs that were in force when it was compared; None does not ask.

    Raises:
        CostsMovedOn: the draft, or what is in force, is another one than then.
        Conflict: somebody changed a part at the same time; what they stated stays.
        SharedByAll, CostDraftNotFound, Invalid: as `save_draft`.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_DRAFTS)
    found = await show(tx, id_)
    versions = await _versions(tx)
    before = await reads.standing(tx, found.content)
    if found.version != version or (beside is not None and print_of(before) != beside):
        raise CostsMovedOn
    if found.in_force:
        raise CostDraftPromoted(key=id_)
    await _check(tx, found.content)
    await _put(tx, _made_of(found.content, before), versions)
    row = {"id": id_, "by": tx.actor.name, "before": _encode(before).decode()}
    await tx.execute(writes.PROMOTED, row)
    after = await show(tx, id_)
    await _note(tx, "promote", after, after=after)
    return after


async def take_back(tx: Tx, id_: int) -> CostDraft:
    """Undo a promotion in one step: each part is again what it was before.

    Raises:
        CostsNotPromoted: it is not in force.
        CostsMovedOn: a part was changed since; it would be lost.
        Conflict: the same, by somebody at the same time.
        SharedByAll, CostDraftNotFound: as `save_draft`.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_DRAFTS)
    found = await show(tx, id_)
    if not found.in_force or found.before is None:
        raise CostsNotPromoted(key=id_)
    versions = await _versions(tx)
    if print_of(await reads.standing(tx, found.content)) != print_of(_made_of(found.content, found.before)):
        raise CostsMovedOn
    await _put(tx, found.before, versions)
    await tx.execute(writes.TAKEN_BACK, {"id": id_, "by": tx.actor.name})
    after = await show(tx, id_)
    await _note(tx, "take_back", after, before=found, after=after)
    return after


async def show(tx: Tx, id_: int) -> CostDraft:
    """Return a draft.

    Raises:
        CostDraftNotFound: there is none.
    """
    found = await reads.draft(tx, id_)
    if found is None:
        raise CostDraftNotFound(key=id_)
    return found


async def _open(tx: Tx, id_: int) -> CostDraft:
    found = await show(tx, id_)
    if found.promoted_at is not None:
        raise CostDraftPromoted(key=id_)
    return found


async def _check(tx: Tx, content: Drafted) -> None:
    known = await network.snapshot(tx)
    flaws = list(flaws_of(content, known.location_ids, known.channel_ids))
    if content.taxes is not None:
        flaws += _under("taxes", tax_costs.flaws_of(content.taxes))
    if content.markdowns is not None:
        flaws += _under("markdowns", await costs.flaws_of_markdowns(tx, content.markdowns))
    refuse(flaws)


def _under(part: str, flaws: Iterable[Flaw]) -> list[Flaw]:
    return [msgspec.structs.replace(flaw, at=part + flaw.at.removeprefix("rows")) for flaw in flaws]


def _made_of(content: Drafted, before: Standing) -> Standing:
    """Return what is in force once a draft is, given what was."""
    was = {one.location: one for one in before.labour}
    return Standing(
        costs=content.costs,
        taxes=content.taxes,
        markdowns=content.markdowns,
        labour=[
            Labour(
                location=one.location,
                handling=was[one.location].handling if one.handling is None else one.handling,
                line=was[one.location].line if one.line is None else one.line,
            )
            for one in content.labour
            if one.location in was
        ],
        tariff=rescaled(before.tariff, content.carriage),
    )


async def _versions(tx: Tx) -> tuple[int, int, int]:
    """Return the versions of the document, the taxes and the credits: read before what they say is."""
    return await cost_reads.version(tx), await tax_cost_reads.version(tx), await cost_reads.markdowns_version(tx)


async def _put(tx: Tx, wanted: Standing, versions: tuple[int, int, int]) -> None:
    """Bring parts into force, each by the service it belongs to, with its checks and its trail."""
    document, taxes, credits_ = versions
    if wanted.costs is not None:
        await costs.set_costs(tx, wanted.costs, document)
    if wanted.taxes is not None:
        await tax_costs.replace(tx, wanted.taxes, taxes)
    if wanted.markdowns is not None:
        await costs.set_markdowns(tx, wanted.markdowns, credits_)
    if wanted.labour:
        known = await network.snapshot(tx)
        places = await network.locations_by_code(tx, [one.location for one in wanted.labour])
        for one in sorted(wanted.labour, key=lambda one: one.location):  # people name few
            place = places[one.location]
            stated = network.location_draft(place, known.establishments[place.establishment_id].code)
            handling, line = one.handling or 0, one.line or 0
            stated = msgspec.structs.replace(stated, handling_cost=handling, line_cost=line)
            await network_service.update_location(tx, stated, place.version)
    if wanted.tariff:
        services = {service.code: service for service in await network.services(tx)}
        rates = await network.rates(tx)
        for code, brackets in sorted(wanted.tariff.items()):  # a retailer has some dozens
            stated_service = network.service_draft(services[code], rates)
            stated_service = msgspec.structs.replace(stated_service, rates=brackets)
            await network_service.update_service(tx, stated_service, services[code].version)


async def _note(
    tx: Tx, action: str, found: CostDraft, *, before: CostDraft | None = None, after: CostDraft | None = None
) -> None:
    told = [None if one is None else _told(one) for one in (before, after)]
    entity_id = str(found.id)
    await audit.record(
        tx, action=action, entity="routing_cost_draft", entity_id=entity_id, before=told[0], after=told[1]
    )


def _told(draft: CostDraft) -> dict[str, object]:
    return {"note": draft.note, "in_force": draft.in_force, "content": msgspec.to_builtins(draft.content)}
