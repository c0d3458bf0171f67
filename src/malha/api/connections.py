"""Connections to channels: what there is, how each is, what waits for a person, and what to do about it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.channels.connecting import failures, following, reads, registry, rules, service, stuck_reads
from malha.channels.connecting.errors import UnknownEntry
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.runtime import Runtime
from malha.network.service import refuse_limited
from malha.ordering import reads as orders
from malha.ordering.errors import OrderNotFound
from malha.platform import paging
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID
from malha.platform.paging import Page

TAG = "connections"
CHECK_S = 10.0  # an answer of the peer, while a person waits

Code = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._-]+$")]
Secret = Annotated[str, Meta(max_length=4_000)]
Ids = Annotated[list[int], Meta(max_length=1_000)]
Keys = Annotated[list[UUID], Meta(max_length=1_000)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class ConnectorView(msgspec.Struct, frozen=True, kw_only=True):
    """A connector: what it can do, what decides that it is right (`tier`), and what a connection of it is given."""

    key: str
    name: str
    tier: str
    capabilities: list[str]
    secrets: dict[str, str]
    config: dict[str, Any]  # JSON Schema


class StateConnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A connection. Secrets that are not mentioned stay, an empty one is removed; none is ever shown again.

    One that sells nothing, as to a logistics partner, has no `channel`.
    """

    code: Code
    name: Text
    connector: Code
    channel: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    config: dict[str, Any]
    secrets: dict[Code, Secret] = {}


class ConnectionStored(msgspec.Struct, frozen=True):
    """The version it has now, and where the channel sends its messages."""

    code: str
    version: int
    webhook_url: str


class ConnectionState(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection is. `budget` is how many requests could go at once now; below 0 some are waiting for it."""

    code: str
    name: str
    connector: str
    channel: str | None
    status: str
    why: str
    version: int
    checked_at: datetime | None
    check_ok: bool | None  # null: not tested yet
    check_says: str
    budget: float | None
    resting_until: datetime | None
    calls: int
    failures: int
    limited_at: datetime | None
    refused: int
    refused_at: datetime | None
    inbox_waiting: int
    inbox_oldest: datetime | None
    inbox_parked: int
    inbox_unmapped: int
    operations_waiting: int
    operations_oldest: datetime | None
    operations_dead: int
    unmapped_methods: int
    in_last_hour: int
    out_last_hour: int


class CauseView(msgspec.Struct, frozen=True, kw_only=True):
    """How often something stopped for one cause, and what a person can do; `way` is in or out."""

    way: str
    cause: str
    count: int
    oldest: datetime
    mend: str


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A connection with how it is set up, how far it has read, why things stopped, and what was compared last."""

    state: ConnectionState
    config: dict[str, Any]
    webhook_url: str
    cursors: list[reads.Cursor]
    causes: list[CauseView]
    compared: list[reads.Compared]


class HealthView(msgspec.Struct, frozen=True):
    """What a test found."""

    ok: bool
    says: str


class StuckView(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that came in and waits for a person."""

    id: int
    entity: str
    state: str
    cause: str
    error: str
    wants: list[str]
    mend: str
    received_at: datetime


class DeadView(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that could not be told and waits for a person."""

    key: UUID
    kind: str
    entity: str
    cause: str
    error: str
    mend: str
    attempts: int
    created_at: datetime


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of what waits for a person: one by one, or all that stopped for a cause of what came `in` or goes `out`."""

    inbox: Ids = []
    operations: Keys = []
    cause: Annotated[str, Meta(max_length=40)] = ""
    way: Literal["in", "out"] = "in"


class ChosenOperations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which operations."""

    operations: Annotated[list[UUID], Meta(min_length=1, max_length=1_000)]


class Done(msgspec.Struct, frozen=True):
    """How many it concerned."""

    count: int


class StateMethod(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a word of the channel for a way to pay or to ship, or for a place of its own, means."""

    kind: Literal["payment", "shipping", "location"]
    theirs: Text
    ours: Annotated[str, Meta(min_length=1, max_length=80)]


class ReadAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on."""

    since: Annotated[datetime, Meta(tz=True)]


class AskRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Money of an order to give back. `payment` is the channel's id of it, `reference` yours of this refund.

    `favour`: it is due for nothing that was cancelled, as an apology is.
    """

    order: Annotated[int, Meta(ge=1)]
    payment: Text
    amount: Annotated[int, Meta(ge=1, le=10**12)]
    reference: Text
    favour: bool = False


class RefundAsked(msgspec.Struct, frozen=True):
    """The operation; none when the same was asked for before."""

    operation: UUID | None


def _webhook(work: Work, code: str) -> str:
    return f"{work.services.settings.address}/in/{code}"


def _fix(cause: str | None) -> str:
    return _(rules.FIXES[cause]) if cause in rules.FIXES else ""


@query("/connectors", permission="network:read", transaction=False, tag=TAG)
async def list_connectors(work: Work) -> list[ConnectorView]:
    """List the connectors that are installed, each with its tier: A is proved on the real product, D on nothing."""
    del work
    return [
        ConnectorView(
            key=c.key,
            name=c.name,
            tier=c.evidence.value,
            capabilities=sorted(capability.value for capability in c.capabilities),
            secrets=dict(c.secrets),
            config=msgspec.json.schema(c.config_model),
        )
        for c in sorted(registry.connectors().values(), key=lambda c: c.name)
    ]


@query("/connections", permission="network:read", tag=TAG)
async def list_connections(work: Work) -> list[ConnectionState]:
    """List the connections and how each is."""
    refuse_limited(work.tx)
    return [_state(row) for row in await reads.health(work.tx)]


def _state(row: reads.Standing) -> ConnectionState:
    budget, until = service.budget_of(row)
    return ConnectionState(
        code=row.code,
        name=row.name,
        connector=row.connector,
        channel=row.channel or None,
        status=row.status,
        why=failures.shown(row.why),
        version=row.version,
        checked_at=row.checked_at,
        check_ok=row.check_ok,
        check_says=failures.shown(row.check_says),
        budget=budget,
        resting_until=until,
        calls=row.calls,
        failures=row.failures,
        limited_at=row.limited_at,
        refused=row.refused,
        refused_at=row.refused_at,
        inbox_waiting=row.inbox_waiting,
        inbox_oldest=row.inbox_oldest,
        inbox_parked=row.inbox_parked,
        inbox_unmapped=row.inbox_unmapped,
        operations_waiting=row.ops_waiting,
        operations_oldest=row.ops_oldest,
        operations_dead=row.ops_dead,
        unmapped_methods=row.unmapped_methods,
        in_last_hour=row.in_last_hour,
        out_last_hour=row.out_last_hour,
    )


def _cursor(row: reads.Cursor) -> reads.Cursor:
    return msgspec.structs.replace(row, error=row.error and failures.shown(row.error))


@query("/connections/{code:str}", permission="network:read", tag=TAG)
async def get_connection(work: Work, code: str) -> ConnectionView:
    """Return a connection: its set-up without secrets, how far it has read, why things stopped."""
    found = await service.connection_of(work.tx, code)
    (row,) = await reads.health(work.tx, code)
    work.tag(found.version)
    causes = await reads.causes(work.tx, found.id)
    return ConnectionView(
        state=_state(row),
        config=found.config,
        webhook_url=_webhook(work, code),
        cursors=[_cursor(row) for row in await reads.cursors(work.tx, found.id)],
        causes=[
            CauseView(way=c.way, cause=c.cause or "", count=c.count, oldest=c.oldest, mend=_fix(c.cause))
            for c in causes
        ],
        compared=await reads.compared(work.tx, found.id, 14),
    )


@command("/connections", permission="settings:manage", status=201, tag=TAG)
async def add_connection(work: Work, data: StateConnection) -> ConnectionStored:
    """Make a connection. It is paused: test it, then resume it."""
    made = await service.add_connection(
        work.tx, _draft(data), work.services.signing, allowed=work.services.settings.outward_allow
    )
    work.created(f"/v1/connections/{made.code}")
    work.tag(made.version)
    return ConnectionStored(made.code, made.version, _webhook(work, made.code))


def _draft(data: StateConnection) -> ConnectionDraft:
    return ConnectionDraft(
        code=data.code,
        name=data.name,
        connector=data.connector,
        channel=data.channel or "",
        config=data.config,
        secrets=dict(data.secrets),
    )


@command("/connections/{code:str}", method="PUT", permission="settings:manage", versioned="required", tag=TAG)
async def change_connection(work: Work, code: str, data: StateConnection) -> ConnectionStored:
    """Change a connection. Of a secret that is replaced the former is believed for three more days."""
    version = work.expect((await service.hold(work.tx, code)).version)
    draft = msgspec.structs.replace(_draft(data), code=code)
    made = await service.change_connection(
        work.tx,
        draft,
        version,
        work.services.signing,
        allowed=work.services.settings.outward_allow,
    )
    work.tag(made.version)
    return ConnectionStored(made.code, made.version, _webhook(work, made.code))


@command("/connections/{code:str}/pause", permission="network:write", everywhere=True, tag=TAG)
async def pause_connection(work: Work, code: str) -> None:
    """Ask and send nothing any more. What the channel sends is kept."""
    await service.pause(work.tx, code)


@command("/connections/{code:str}/resume", permission="network:write", everywhere=True, tag=TAG)
async def resume_connection(work: Work, code: str) -> None:
    """Go on, with a fresh budget; a connection that is broken is taken for mended."""
    await service.resume(work.tx, code)


@command("/connections/{code:str}/test", permission="network:write", everywhere=True, transaction=False, tag=TAG)
async def test_connection(work: Work, code: str) -> HealthView:
    """Ask the channel something harmless that proves address and secrets."""
    runtime = Runtime(work.database, work.services.settings, timeout_s=CHECK_S)
    found = await service.test(runtime, work.actor, code)
    return HealthView(found.ok, failures.shown(found.says))


@query("/connections/{code:str}/inbox", permission="network:read", tag=TAG)
async def list_stuck(
    work: Work, code: str, cause: str = "", q: str = "", cursor: str | None = None, limit: int | None = None
) -> Page[StuckView]:
    """List what came in and waits for a person, each with why and what to do; of a cause, or with a text `q`."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "inbox", (int,))
    place = after[0] if after else 0
    text = q.replace("\x00", "")
    rows = await stuck_reads.came(work.tx, found.id, cause=cause, text=text, after=place, most=size + 1)
    page = paging.page_of(rows, size, "inbox", lambda row: (row.id,))
    return Page([_stuck(row) for row in page.items], page.next)


def _stuck(row: reads.Stuck) -> StuckView:
    return StuckView(
        id=row.id,
        entity=row.entity,
        state=row.state,
        cause=row.cause or "",
        error=failures.shown(row.error),
        wants=row.wants or [],
        mend=_fix(row.cause),
        received_at=row.received_at,
    )


@query("/connections/{code:str}/operations", permission="network:read", tag=TAG)
async def list_dead(
    work: Work, code: str, cause: str = "", q: str = "", cursor: str | None = None, limit: int | None = None
) -> Page[DeadView]:
    """List what could not be told and waits for a person, each with why and what to do; of a cause, or with `q`."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "operations", (int,))
    place = after[0] if after else 0
    text = q.replace("\x00", "")
    rows = await stuck_reads.gone(work.tx, found.id, cause=cause, text=text, after=place, most=size + 1)
    page = paging.page_of(rows, size, "operations", lambda row: (row.number,))
    return Page([_dead(row) for row in page.items], page.next)


def _dead(row: reads.Dead) -> DeadView:
    return DeadView(
        key=row.key,
        kind=row.kind,
        entity=row.entity,
        cause=row.cause or "",
        error=failures.shown(row.error),
        mend=_fix(row.cause),
        attempts=row.attempts,
        created_at=row.created_at,
    )


def _by_cause(data: Chosen) -> bool:
    """Return whether all of a cause are meant.

    Raises:
        Invalid: single entries are named beside it: which of both is meant is not guessed.
    """
    both = data.cause and (data.inbox or data.operations)
    says = N_("Name a cause, or entries of it, not both.")
    refuse([Flaw("cause", says, N_("Leave out the cause to settle these entries alone."))] if both else [])
    return bool(data.cause)


@command("/connections/{code:str}/replay", permission="network:write", everywhere=True, tag=TAG)
async def replay_entries(work: Work, code: str, data: Chosen) -> Done:
    """Have things tried again. Whoever replays an operation says that it did not arrive at the channel.

    By `cause`, operations that may have arrived are left out: of each of these somebody says so by its key.
    """
    if _by_cause(data):
        return Done(await service.replay_cause(work.tx, code, data.way, data.cause))
    return Done(await service.replay(work.tx, code, came=data.inbox, ops=data.operations))


@command("/connections/{code:str}/drop", permission="network:write", everywhere=True, tag=TAG)
async def drop_entries(work: Work, code: str, data: Chosen) -> Done:
    """Give things up for good."""
    if _by_cause(data):
        return Done(await service.drop_cause(work.tx, code, data.way, data.cause))
    return Done(await service.drop(work.tx, code, came=data.inbox, ops=data.operations))


@command("/connections/{code:str}/mark-done", permission="network:write", tag=TAG)
async def mark_operations_done(work: Work, code: str, data: ChosenOperations) -> Done:
    """Say that operations did arrive at the channel."""
    return Done(await service.mark_done(work.tx, code, data.operations))


@query("/connections/{code:str}/operations/{key:uuid}/attempts", permission="network:read", tag=TAG)
async def list_attempts(work: Work, code: str, key: UUID) -> list[reads.Attempt]:
    """List what became of each attempt to tell the channel something, in order."""
    found = await service.connection_of(work.tx, code)
    if await stuck_reads.one_gone(work.tx, found.id, key) is None:
        raise UnknownEntry(key=str(key))
    tried = await reads.attempts(work.tx, key)
    return [msgspec.structs.replace(each, says=failures.shown(each.says)) for each in tried]


@query("/connections/{code:str}/methods", permission="network:read", tag=TAG)
async def list_methods(work: Work, code: str) -> list[reads.Method]:
    """List the channel's words for ways to pay and to ship; those without `ours` keep orders waiting."""
    found = await service.connection_of(work.tx, code)
    return await reads.methods(work.tx, found.id)


@command("/connections/{code:str}/methods", method="PUT", permission="network:write", tag=TAG)
async def put_method(work: Work, code: str, data: StateMethod) -> Done:
    """Say what a word means; orders that waited for it go on, and the answer says how many."""
    return Done(await service.put_method(work.tx, code, data.kind, data.theirs, data.ours))


@query("/connections/{code:str}/log", permission="network:read", tag=TAG)
async def list_calls(work: Work, code: str, failed: bool = False) -> list[reads.Call]:
    """Return the last calls to the channel, without secrets and personal data, the newest first."""
    found = await service.connection_of(work.tx, code)
    calls = await reads.calls(work.tx, found.id, bad=failed, most=200)
    return [msgspec.structs.replace(call, says=failures.shown(call.says)) for call in calls]


@command("/connections/{code:str}/read-again", permission="network:write", tag=TAG)
async def read_again(work: Work, code: str, data: ReadAgain) -> None:
    """Read all orders that changed since a moment again; what is known already is passed over."""
    await service.read_again(work.tx, code, data.since)


@command("/connections/{code:str}/refunds", permission="payments:record", status=202, tag=TAG)
async def ask_refund(work: Work, code: str, data: AskRefund) -> RefundAsked:
    """Have the channel give money back, where it holds it. Once it tells that it did, the refund is recorded.

    A `favour` is recorded as one, and takes nothing off what is due for what is cancelled.
    """
    order_id = await orders.id_of(work.tx, data.order)
    if order_id is None:
        raise OrderNotFound(key=data.order)
    key = await following.ask_refund(
        work.tx, code, order_id, data.payment, data.amount, data.reference, favour=data.favour
    )
    return RefundAsked(key)


handlers = [
    list_connectors,
    list_connections,
    get_connection,
    add_connection,
    change_connection,
    pause_connection,
    resume_connection,
    test_connection,
    list_stuck,
    list_dead,
    replay_entries,
    drop_entries,
    mark_operations_done,
    list_attempts,
    list_methods,
    put_method,
    list_calls,
    read_again,
    ask_refund,
]
