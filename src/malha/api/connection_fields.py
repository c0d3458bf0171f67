"""Field rules of a connection: what of a channel's order goes into which field here, and trying them before."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.channels.connecting import field_reads, field_rules, fields, service
from malha.channels.connecting.field_reads import FormerFieldRules
from malha.channels.connecting.field_rules import FieldRule
from malha.platform.i18n import _

TAG = "connections"

Rules = Annotated[list[FieldRule], Meta(max_length=field_rules.MOST)]
Version = Annotated[int, Meta(ge=0, le=2_000_000_000)]


class FieldRulesView(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that count, in their order; `waiting` orders wait because one failed.

    `fields` are those that a rule may fill, besides `attributes.` and `line.attributes.` with a name of one's own;
    `sources` are what it may read, with what the last orders of the channel name themselves.
    """

    version: int
    rules: list[FieldRule]
    waiting: int
    fields: list[str]
    sources: list[str]


class StateFieldRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules that count from now on, and the version that they were made from."""

    version: Version
    rules: Rules


class FieldRulesStored(msgspec.Struct, frozen=True):
    """The version they have now, and how many orders that waited are looked at again."""

    version: int
    orders: int


class RestoreFieldRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version that counts now."""

    version: Version


class TryFieldRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules to try, on so many of the orders that were told last."""

    rules: Rules
    most: Annotated[int, Meta(ge=1, le=fields.MOST_TRIED)] = fields.TRIED


class FieldGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What a field would get; `rule` and `line` count from 1, `was` is what the connector gave."""

    rule: int
    field: str
    line: int | None
    value: str
    was: str


class FieldFailed(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule could not give, and how that is mended."""

    rule: int
    field: str
    line: int | None
    says: str
    mend: str


class FieldsTried(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the channel told, and what it would get. With anything in `failed` it would wait."""

    order: str
    received_at: datetime
    given: list[FieldGiven]
    failed: list[FieldFailed]


@query("/connections/{code:str}/order-fields", permission="network:read", tag=TAG)
async def show_field_rules(work: Work, code: str) -> FieldRulesView:
    """Return the rules by which texts of the channel's orders become fields here."""
    found = await service.connection_of(work.tx, code)
    rules = (await fields.newest(work.tx, [found.id]))[found.id]
    told = await field_reads.told(work.tx, found.id, fields.TRIED)
    return FieldRulesView(
        version=rules.version,
        rules=rules.rules,
        waiting=await field_reads.waiting(work.tx, found.id),
        fields=list(field_rules.FIELDS),
        sources=field_rules.names_of([each.order for each in told]),
    )


@command("/connections/{code:str}/order-fields", method="PUT", permission="network:write", tag=TAG)
async def put_field_rules(work: Work, code: str, data: StateFieldRules) -> FieldRulesStored:
    """Replace the rules; every version stays. Orders that wait because a rule failed are looked at again.

    Orders that were taken stay as they are. Of several rules for one field the first that gives anything counts.
    """
    return FieldRulesStored(*await fields.put(work.tx, code, data.rules, data.version))


@query("/connections/{code:str}/order-fields/versions", permission="network:read", tag=TAG)
async def list_field_rules(work: Work, code: str) -> list[FormerFieldRules]:
    """List the last 50 versions of the rules, the newest first."""
    found = await service.connection_of(work.tx, code)
    return await field_reads.versions(work.tx, found.id)


@command(
    "/connections/{code:str}/order-fields/versions/{number:int}/restore",
    permission="network:write",
    tag=TAG,
)
async def restore_field_rules(work: Work, code: str, number: int, data: RestoreFieldRules) -> FieldRulesStored:
    """Have the rules of a former version count again, as a new version."""
    return FieldRulesStored(*await fields.restore(work.tx, code, number, data.version))


@command("/connections/{code:str}/order-fields:try", permission="network:write", idempotent=False, tag=TAG)
async def try_field_rules(work: Work, code: str, data: TryFieldRules) -> list[FieldsTried]:
    """Tell what the orders that the channel told last would have got by rules. Nothing is written.

    Values are hidden from those who may not read orders, and of who somebody is from those who may not see it in full.
    """
    tried = await fields.tried(work.tx, code, data.rules, data.most)
    return [
        FieldsTried(
            order=each.told.order.id,
            received_at=each.told.received_at,
            given=[FieldGiven(rule=g.rule, field=g.to, line=g.line, value=g.value, was=g.was) for g in shown.given],
            failed=[
                FieldFailed(rule=f.rule, field=f.to, line=f.line, says=_(f.says, **f.facts), mend=_(f.mend))
                for f in shown.failed
            ],
        )
        for each in tried
        for shown in [field_rules.shown_to(each.applied, work.actor.may)]
    ]


handlers = [show_field_rules, put_field_rules, list_field_rules, restore_field_rules, try_field_rules]
