"""Safety rules: what is kept back from claims or publishing, in what order rules win, and why a balance has what."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.network import Stored
from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.inventory.errors import UnknownBalance
from malha.inventory.safety import reads, service
from malha.inventory.safety.errors import UnknownSafetyRule
from malha.inventory.safety.model import Kept, Match, Precedence, Purpose, SafetyRule, SafetyRuleDraft, Trial
from malha.network import reads as network
from malha.network.errors import UnknownChannel
from malha.platform import paging
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

TAG = "safety"


class MatchRow(msgspec.Struct, frozen=True):
    """A rule that fits, with its units, and why it comes before the next one."""

    rule: str
    name: str
    units: int
    before_next: Precedence | None


class Explained(msgspec.Struct, frozen=True):
    """Why a balance keeps back what it does. The override wins, else the first rule of the list."""

    location: str
    units: int
    override: int | None
    overridden_by: str | None
    routing: list[MatchRow]
    online: list[MatchRow]


@query("/safety-rules", permission="stock:read", tag=TAG)
async def list_safety_rules(
    work: Work,
    purpose: Purpose | None = None,
    q: Annotated[str, Meta(max_length=80)] = "",
    after: str | None = None,
    limit: Annotated[int, Meta(ge=1, le=1_000)] | None = None,
) -> list[SafetyRule]:
    """List safety rules in the order in which they win: the first that fits a balance is the one.

    `q` are words of codes and names of what rules name: SKU, location, group, product, category, brand, channel. For a
    page at a time give a `limit`, and `after` the code of the last rule of the page before.
    """
    found = [r for r in await reads.rules_with(work.tx, q) if purpose is None or r.purpose is purpose]
    return list(paging.behind(found, after, UnknownSafetyRule))[:limit]


@command("/safety-rules", permission="stock:write", everywhere=True, status=201, tag=TAG)
async def create_safety_rule(work: Work, data: SafetyRuleDraft) -> Stored:
    """Add a rule. Balances follow within a minute."""
    made = await service.put(work.tx, data, None)
    work.created(f"/v1/safety-rules/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version)


@command(
    "/safety-rules/{code:str}", method="PUT", permission="stock:write", everywhere=True, versioned="required", tag=TAG
)
async def change_safety_rule(work: Work, code: str, data: SafetyRuleDraft) -> Stored:
    """Change a rule: it is afterwards what the body says."""
    if data.code != code:
        refuse([Flaw("code", N_("The code cannot be changed."), facts={"code": code})])
    version = await _version(work, code)
    changed = await service.put(work.tx, data, version)
    work.tag(changed.version)
    return Stored(code, changed.version)


@command(
    "/safety-rules/{code:str}",
    method="DELETE",
    permission="stock:write",
    everywhere=True,
    versioned="required",
    tag=TAG,
)
async def delete_safety_rule(work: Work, code: str) -> None:
    """Delete a rule; the next one that fits counts from then on."""
    await service.remove(work.tx, code, await _version(work, code))


async def _version(work: Work, code: str) -> int:
    found = next((r for r in await reads.rules_in_sight(work.tx) if r.code == code), None)
    if found is None:
        raise UnknownSafetyRule(key=code)
    work.expect(found.version)
    return found.version


@command("/safety-rules:try", permission="stock:read", everywhere=True, idempotent=False, tag=TAG)
async def try_safety_rule(work: Work, data: SafetyRuleDraft) -> Trial:
    """Tell what a rule would change if it were saved, balance by balance; nothing is written."""
    return await service.try_out(work.tx, data)


@query("/stock/{sku:str}/safety", permission="stock:read", tag=TAG)
async def explain_safety(work: Work, sku: str, channel: str | None = None) -> list[Explained]:
    """Explain what a SKU keeps back at each location: every rule that fits, the winner first, and why it wins."""
    cards = await catalog.by_skus(work.tx, [sku])
    if not cards:
        raise UnknownBalance(keys=sku)
    channel_id = None
    if channel is not None:
        channels = {c.code: c.id for c in await network.channels(work.tx)}
        if channel not in channels:
            raise UnknownChannel(key=channel)
        channel_id = channels[channel]
    places = {x.id: x.code for x in await network.locations(work.tx) if work.actor.sees(x.id)}
    found = await reads.explain(work.tx, cards[0].id, sorted(places), channel_id)
    return [_told(kept, places[kept.location_id]) for kept in found]


def _told(kept: Kept, location: str) -> Explained:
    return Explained(
        location,
        kept.units,
        kept.override,
        kept.overridden_by,
        [_row(match) for match in kept.routing],
        [_row(match) for match in kept.online],
    )


def _row(match: Match) -> MatchRow:
    return MatchRow(match.rule.code, match.rule.name, match.units, match.before_next)


handlers = [
    list_safety_rules,
    create_safety_rule,
    change_safety_rule,
    delete_safety_rule,
    try_safety_rule,
    explain_safety,
]
