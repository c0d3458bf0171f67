"""Routing rules that people write: drafts, what was published, what is in force, and trying them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.intake.trying_rules import Trial, Tried, try_rules
from malha.network.service import refuse_limited
from malha.routing.ruling import reads, service
from malha.routing.ruling.model import Content, RuleSet

TAG = "routing"
Note = Annotated[str, Meta(max_length=500)]


class NewRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A draft: as `content` says, or as the published rule set of number `based_on`; neither: empty."""

    content: Content | None = None
    based_on: int | None = None
    note: Note = ""


class ChangedRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a draft is afterwards. `note` absent: as it is."""

    content: Content
    note: Note | None = None


class Publishing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From when rules decide (absent: at once), and until when; absent: until others are in force.

    When they end, the rule set before them that lasts decides again.
    """

    effective_from: Annotated[datetime, Meta(tz=True)] | None = None
    effective_until: Annotated[datetime, Meta(tz=True)] | None = None


class Ending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Until when a published rule set decides; null: until another one is in force."""

    effective_until: Annotated[datetime, Meta(tz=True)] | None


class RollBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The number of the rule set that comes back, from when (absent: at once), until when, and why."""

    number: int
    effective_from: Annotated[datetime, Meta(tz=True)] | None = None
    effective_until: Annotated[datetime, Meta(tz=True)] | None = None
    note: Note = ""


@query("/routing-rules", permission="network:read", tag=TAG)
async def list_rule_sets(work: Work) -> list[RuleSet]:
    """List rule sets: drafts, then what was published, the newest first; `in_force` marks the one that decides now."""
    refuse_limited(work.tx)
    return await reads.rule_sets(work.tx)


@query("/routing-rules/{id:int}", permission="network:read", tag=TAG)
async def show_rule_set(work: Work, id: int) -> RuleSet:  # noqa: A002 -- the parameter's name in the path
    """Return one rule set, and the version of a draft as `ETag`."""
    refuse_limited(work.tx)
    found = await service.show(work.tx, id)
    work.tag(found.version)
    return found


@command("/routing-rules", permission="network:write", status=201, tag=TAG)
async def draft_rules(work: Work, data: NewRules) -> RuleSet:
    """Start a draft of routing rules. Nothing is decided by it before it is published."""
    made = await service.start_draft(work.tx, data.content, note=data.note, based_on=data.based_on)
    work.created(f"/v1/routing-rules/{made.id}")
    work.tag(made.version)
    return made


@command(
    "/routing-rules/{id:int}", method="PUT", permission="network:write", everywhere=True, versioned="required", tag=TAG
)
async def change_rules(work: Work, id: int, data: ChangedRules) -> RuleSet:  # noqa: A002
    """Change a draft: it is afterwards what the body says."""
    found = await service.show(work.tx, id)
    work.expect(found.version)
    changed = await service.save_draft(work.tx, id, data.content, found.version, note=data.note)
    work.tag(changed.version)
    return changed


@command("/routing-rules/{id:int}", method="DELETE", permission="network:write", everywhere=True, status=204, tag=TAG)
async def drop_rules(work: Work, id: int) -> None:  # noqa: A002
    """Throw a draft away. What was published stays."""
    found = await service.show(work.tx, id)
    await service.drop_draft(work.tx, id, found.version)


@command("/routing-rules/{id:int}/publish", permission="network:write", everywhere=True, versioned="required", tag=TAG)
async def publish_rules(work: Work, id: int, data: Publishing) -> RuleSet:  # noqa: A002
    """Publish a draft: from its time on it decides where orders go that are placed or placed again."""
    found = await service.show(work.tx, id)
    work.expect(found.version)
    return await service.publish(
        work.tx, id, found.version, effective_from=data.effective_from, effective_until=data.effective_until
    )


@command("/routing-rules/{id:int}/end", permission="network:write", everywhere=True, versioned="optional", tag=TAG)
async def end_rules(work: Work, id: int, data: Ending) -> RuleSet:  # noqa: A002
    """State when a published rule set ends; the one before it that lasts decides again from then on."""
    found = await service.show(work.tx, id)
    work.expect(found.version)
    changed = await service.end_at(work.tx, id, data.effective_until, found.version)
    work.tag(changed.version)
    return changed


@command("/routing-rules/{id:int}/withdraw", permission="network:write", everywhere=True, versioned="optional", tag=TAG)
async def withdraw_rules(work: Work, id: int) -> RuleSet:  # noqa: A002
    """Take back a published rule set whose time has not come."""
    found = await service.show(work.tx, id)
    work.expect(found.version)
    changed = await service.withdraw(work.tx, id, found.version)
    work.tag(changed.version)
    return changed


@command("/routing-rules:rollback", permission="network:write", tag=TAG)
async def roll_back_rules(work: Work, data: RollBack) -> RuleSet:
    """Publish an earlier rule set anew, under a new number."""
    return await service.roll_back(
        work.tx,
        data.number,
        effective_from=data.effective_from,
        effective_until=data.effective_until,
        note=data.note,
    )


@command("/routing-rules:try", permission="network:read", everywhere=True, idempotent=False, tag=TAG)
async def try_routing_rules(work: Work, data: Trial) -> Tried:
    """Tell what rules would do now with an order that is there, or with an example; nothing is written."""
    return await try_rules(work.tx, data)


handlers = [
    list_rule_sets,
    show_rule_set,
    draft_rules,
    change_rules,
    drop_rules,
    publish_rules,
    end_rules,
    withdraw_rules,
    roll_back_rules,
    try_routing_rules,
]
