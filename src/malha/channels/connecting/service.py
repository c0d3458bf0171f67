"""Use cases of connections: make, change, pause and resume them, and look after what waits for a person."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from malha.catalog import ownership
from malha.channels import service as channels
from malha.channels.connecting import access, configuring, reads, refunding, registry, stuck_reads, writes
from malha.channels.connecting.errors import ConnectionChanged, ConnectionExists, UnknownConnection, UnknownEntry
from malha.channels.connecting.model import ConnectionDraft, Linked, OpState, Status
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import Capability, ChannelError, Connector, Health, Tokens
from malha.channels.service import channel_of
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.payments.model import TenderKind
from malha.platform import audit, signing
from malha.platform.db import Actor, Tx
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Phrase
from malha.platform.ids import UUID
from malha.platform.retrying import Breaker, Bucket

OVERLAP_S = 3 * 86_400.0  # how long a replaced secret is believed
BACK = timedelta(days=1)  # where reading of orders begins
REFRESH = "refresh_token"
# What is never sent: it signs what we send, or proves who signed what comes.
UNSENT = frozenset({"webhook_secret", "signing_secret", "private_key", "passphrase"})
FAILED = "! "  # before what a failed check said, where it is kept


async def connection_of(tx: Tx, code: str) -> Linked:
    """Return a connection by its code.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownConnection: there is none.
    """
    refuse_limited(tx)
    found = await reads.linked(tx, code)
    if found is None:
        raise UnknownConnection(key=code)
    return found


def _check(connector: Connector, draft: ConnectionDraft, allowed: Sequence[str] | None) -> list[Flaw]:
    flaws: list[Flaw] = []
    if registry.is_selling(connector) and not draft.channel:
        flaws.append(Flaw("channel", N_("A sales channel is missing."), N_("Say whose orders come this way.")))
    if draft.channel and not registry.is_selling(connector):
        says = N_("{connector} sells nothing: such a connection has no sales channel.")
        flaws.append(Flaw("channel", says, N_("Leave the sales channel out."), {"connector": connector.name}))
    says = N_("{field}: {what}")
    for flaw in configuring.flaws_of(connector, draft.config, allowed):
        if not flaw.at:
            flaws.append(Flaw("config", flaw.says, flaw.mend, flaw.facts))
            continue
        what = Phrase(flaw.says, flaw.facts)
        told = {**flaw.facts, "field": configuring.field_of(connector, flaw.at).word, "what": what}
        flaws.append(Flaw(f"config/{flaw.at}", says, flaw.mend, told))
    says = N_("The connector has no secret {name}.")
    flaws += [
        Flaw(f"secrets/{n}", says, facts={"name": n}) for n in sorted(set(draft.secrets) - set(connector.secrets))
    ]
    return flaws


async def add_connection(
    tx: Tx, draft: ConnectionDraft, keys: signing.Keys, *, allowed: Sequence[str] | None = None
) -> Linked:
    """Make a connection. It is paused until it is resumed, so that it can be tested first.

    Raises:
        SharedByAll, UnknownChannel, UnknownConnector, ConnectionExists: as the names say.
        Invalid: the configuration or a secret does not fit the connector, a channel is missing, or is named for a
            connector that sells nothing.
    """
    connector = registry.connector_of(draft.connector)
    refuse(_check(connector, draft, allowed))
    channel = await channel_of(tx, draft.channel) if draft.channel else None
    id_ = await tx.value(
        writes.ADD,
        {
            "code": draft.code,
            "name": draft.name,
            "connector": draft.connector,
            "channel_id": None if channel is None else channel.id,
            "config": msgspec.json.encode(draft.config).decode(),
            "secrets": access.seal(keys, draft.secrets),
        },
    )
    if id_ is None:
        raise ConnectionExists(key=draft.code)
    await tx.execute(writes.ADD_PACE, {"id": id_})
    if registry.is_asked(connector, Capability.ORDERS):
        since = (await tx.now()) - BACK
        await tx.execute(writes.ADD_CURSOR, {"id": id_, "stream": "orders", "since": since})
    if {Capability.FULFILMENT, Capability.FILES} & connector.capabilities:
        await tx.execute(writes.ADD_CURSOR, {"id": id_, "stream": "files", "since": None})
    await _first_token(tx, keys, id_, draft.secrets)
    facts = {"connector": draft.connector, "channel": draft.channel, "config": draft.config}
    await audit.record(tx, action="create", entity="connection", entity_id=draft.code, after=facts)
    return await connection_of(tx, draft.code)


async def _first_token(tx: Tx, keys: signing.Keys, id_: int, secrets: Mapping[str, str]) -> None:
    """Keep a refresh token that was entered: the first access token is asked for with it."""
    if secrets.get(REFRESH):
        over = datetime.fromtimestamp(0, (await tx.now()).tzinfo)
        await access.keep_tokens(tx, keys, id_, Tokens("", secrets[REFRESH], over))


async def hold(tx: Tx, code: str) -> Linked:
    """Return a connection that nobody else changes until the transaction ends.

    Raises:
        SharedByAll, UnknownConnection: as the names say.
    """
    await connection_of(tx, code)
    await tx.value(writes.LOCK, {"code": code})
    return await connection_of(tx, code)


async def change_connection(
    tx: Tx, draft: ConnectionDraft, version: int, keys: signing.Keys, *, allowed: Sequence[str] | None = None
) -> Linked:
    """Change a connection's name, configuration or secrets; connector and channel stay.

    Secrets that are not mentioned stay, an empty one is removed; of what is replaced the former is believed for three
    more days. A secret is for one server: where the configuration names another one, what is sent there is entered
    anew. Else whoever may change connections could have a secret that they cannot see sent to a server of their own.

    Raises:
        SharedByAll, UnknownConnection, ConnectionChanged: as the names say.
        Invalid: the configuration or a secret does not fit the connector, or a secret that is there would go to another
            server.
    """
    before = await hold(tx, draft.code)
    flaws = _check(registry.connector_of(before.connector), draft, allowed)
    other_channel = before.channel and draft.channel not in {"", before.channel}
    if draft.connector != before.connector or other_channel:
        says = N_("A connection keeps its connector and its channel.")
        flaws.append(Flaw("connector", says, N_("Make another connection for another one.")))
    kept = access.unseal(keys, before.secrets) if before.secrets else {}
    if configuring.servers_in(draft.config) - configuring.servers_in(before.config):
        says = N_("The address is another server's than the secret was entered for.")
        mend = N_("Enter the secret again.")
        flaws += [Flaw(f"secrets/{n}", says, mend) for n in sorted(set(kept) - set(draft.secrets) - UNSENT)]
    refuse(flaws)
    secrets = None
    if draft.secrets:
        secrets = {n: s for n, s in (kept | draft.secrets).items() if s}
    stored = await tx.value(
        writes.CHANGE,
        {
            "code": draft.code,
            "name": draft.name,
            "config": msgspec.json.encode(draft.config).decode(),
            "secrets": None if secrets is None else access.seal(keys, secrets) or b"",
            "overlap": OVERLAP_S,
            "version": version,
        },
    )
    if stored is None:
        raise ConnectionChanged(key=draft.code)
    await ownership.rename(tx, draft.code, draft.name)
    await _first_token(tx, keys, before.id, draft.secrets)
    if draft.config != before.config:  # it may say how much the peer is asked for: what was learned begins anew
        await _tell_stock(tx, before)  # and it may lead to another shop, or another place of it
        await tx.execute(writes.CLEAR_PACE, {"id": before.id})
    facts = {"name": draft.name, "config": draft.config, "secrets": sorted(draft.secrets)}
    was = {"name": before.name, "config": before.config}
    await audit.record(tx, action="change", entity="connection", entity_id=draft.code, before=was, after=facts)
    return await connection_of(tx, draft.code)


async def pause(tx: Tx, code: str) -> None:
    """Ask and send nothing any more; what comes in is kept."""
    await _set(tx, code, Status.PAUSED, "pause")


async def resume(tx: Tx, code: str) -> None:
    """Go on, with a fresh budget: whatever stopped the connection is taken for mended.

    Its peer is told all its stock: it may be new, and others of its channel may have been told meanwhile.
    """
    found = await connection_of(tx, code)
    if found.status != Status.ACTIVE:
        await _tell_stock(tx, found)
    await tx.execute(writes.CLEAR_PACE, {"id": found.id})
    await _set(tx, code, Status.ACTIVE, "resume")


async def _tell_stock(tx: Tx, connection: Linked) -> None:
    """Have the channel of a connection that takes stock told all of it. Before budgets are locked, as turns do."""
    connector = registry.connectors().get(connection.connector)
    if connector is not None and Capability.STOCK in connector.capabilities:
        await channels.tell_all(tx, connection.channel_id)


async def _set(tx: Tx, code: str, status: Status, action: str) -> None:
    found = await connection_of(tx, code)
    if await tx.value(writes.SET_STATUS, {"id": found.id, "status": status.value, "why": ""}) is not None:
        after = {"status": status.value}
        was = {"status": found.status}
        await audit.record(tx, action=action, entity="connection", entity_id=code, before=was, after=after)


async def test(runtime: Runtime, actor: Actor, code: str) -> Health:
    """Have the connector check its peer, whatever the status of the connection; what it finds is kept and returned."""
    async with runtime.db.transaction(actor) as tx:
        found = await connection_of(tx, code)
    health = await check(runtime, found)
    async with runtime.db.transaction(actor) as tx:
        says = health.says.lstrip("! ")[:300] if health.ok else FAILED + health.says[:300]
        await tx.execute(writes.NOTE_CHECK, {"id": found.id, "says": says})
        await audit.record(tx, action="try", entity="connection", entity_id=code, after={"ok": health.ok})
    return health


async def check(runtime: Runtime, connection: Linked) -> Health:
    """Ask a connection's peer something harmless. Never raises for what the peer answers."""
    try:
        line = runtime.line(connection)
        try:
            return await line.connector.check(line.ctx)
        finally:
            await line.close()
    except ChannelError as error:
        return Health(ok=False, says=error.why)
    except MalhaError as error:
        return Health(ok=False, says=str(error))


def budget_of(row: reads.Standing) -> tuple[float | None, datetime | None]:
    """Return how many requests a connection could send at once now, and until when its breaker keeps it from asking."""
    budget = None if row.bucket is None else msgspec.convert(row.bucket, Bucket).level(row.clock)
    breaker = None if row.breaker is None else msgspec.convert(row.breaker, Breaker)
    resting = breaker is not None and breaker.until is not None and breaker.until > row.clock
    return budget, datetime.fromtimestamp(breaker.until, UTC) if resting and breaker and breaker.until else None


def is_resting(row: reads.Standing) -> bool:
    """Return whether a connection's peer failed so often that it is only tried now and then."""
    return row.breaker is not None and msgspec.convert(row.breaker, Breaker).until is not None


# --- what waits for a person ---


async def replay(tx: Tx, code: str, *, came: Sequence[int] = (), ops: Sequence[UUID] = ()) -> int:
    """Have things tried again, from the start; return how many. Of an operation a person says that it did not arrive.

    Raises:
        UnknownEntry: none of them waits for a person.
        Invalid: a refund among them gives back more than is left.
    """
    found = await connection_of(tx, code)
    done = await tx.values(writes.REPLAY_CAME, {"connection_id": found.id, "ids": list(came)}) if came else []
    again = await tx.values(writes.REPLAY_OPS, {"connection_id": found.id, "keys": list(ops)}) if ops else []
    await refunding.refuse_too_much_again(tx, found, "operations", again)
    done += again
    return await _settled(tx, code, "replay", done, [*came, *ops])


async def replay_cause(tx: Tx, code: str, way: str, cause: str) -> int:
    """Have all that stopped for a cause tried again; `way` is in or out. Return how many.

    What may have arrived at the peer is left out: of each of these a person says first that it did not (`replay`).

    Raises:
        UnknownEntry: nothing waits for this cause that may be tried again so.
        Invalid: refunds among it give back more than is left.
    """
    found = await connection_of(tx, code)
    statement = writes.REPLAY_CAUSE_CAME if way == "in" else writes.REPLAY_CAUSE_OPS
    done = await tx.values(statement, {"connection_id": found.id, "cause": cause})
    if way == "out":
        await refunding.refuse_too_much_again(tx, found, "cause", done)
    return await _settled(tx, code, "replay", done, [cause])


async def drop(tx: Tx, code: str, *, came: Sequence[int] = (), ops: Sequence[UUID] = ()) -> int:
    """Give things up for good; return how many.

    Raises:
        UnknownEntry: none of them waits for a person.
    """
    found = await connection_of(tx, code)
    done = await tx.values(writes.DROP_CAME, {"connection_id": found.id, "ids": list(came)}) if came else []
    settled = {"connection_id": found.id, "keys": list(ops), "state": OpState.DROPPED.value}
    done += await tx.values(writes.SETTLE_OPS, settled) if ops else []
    return await _settled(tx, code, "drop", done, [*came, *ops])


async def drop_cause(tx: Tx, code: str, way: str, cause: str) -> int:
    """Give up for good all that stopped for a cause; `way` is in or out. Return how many.

    Raises:
        UnknownEntry: nothing waits for this cause.
    """
    found = await connection_of(tx, code)
    statement = writes.DROP_CAUSE_CAME if way == "in" else writes.DROP_CAUSE_OPS
    done = await tx.values(statement, {"connection_id": found.id, "cause": cause})
    return await _settled(tx, code, "drop", done, [cause])


async def reveal(tx: Tx, code: str, entry: int | UUID, why: str) -> str:
    """Return what a peer sent (by number) or is to be told (by key), as text; who looked at it and why is written down.

    It may name people.

    Raises:
        UnknownEntry: there is no such entry.
        Invalid: no reason is given.
    """
    found = await connection_of(tx, code)
    if isinstance(entry, int):
        content = await stuck_reads.content_of_came(tx, found.id, entry)
    else:
        content = await stuck_reads.content_of_op(tx, found.id, entry)
    if content is None:
        raise UnknownEntry(key=str(entry))
    await audit.record_reveal(tx, "connection", code, why, entries=[str(entry)])
    return content


async def mark_done(tx: Tx, code: str, ops: Sequence[UUID]) -> int:
    """Say that operations did arrive at the peer; return how many.

    Raises:
        UnknownEntry: none of them waits for a person.
    """
    found = await connection_of(tx, code)
    params = {"connection_id": found.id, "keys": list(ops), "state": OpState.DONE.value}
    return await _settled(tx, code, "mark_done", await tx.values(writes.SETTLE_OPS, params), list(ops))


async def _settled(tx: Tx, code: str, action: str, done: Sequence[Any], asked: Sequence[Any]) -> int:
    if not done:
        raise UnknownEntry(key=", ".join(str(each) for each in asked[:3]))
    facts = {"entries": [str(each) for each in done[:100]], "count": len(done)}
    await audit.record(tx, action=action, entity="connection", entity_id=code, after=facts)
    return len(done)


async def put_method(tx: Tx, code: str, kind: str, theirs: str, ours: str) -> int:
    """Say which way to pay or to ship, or which location, a word of the peer means; return how many orders go on.

    Raises:
        Invalid: we have no such way or location.
    """
    found = await connection_of(tx, code)
    says = N_("There is no such way: {value}.")
    services = await network.services(tx)
    known = {kind.value for kind in TenderKind} if kind == "payment" else {service.code for service in services}
    if kind == "location":
        known = {place.code for place in await network.locations(tx)}
    refuse([] if ours in known else [Flaw("ours", says, facts={"value": ours})])
    params = {"connection_id": found.id, "kind": kind, "theirs": theirs, "ours": ours}
    await tx.execute(writes.PUT_METHOD, params)
    woken = len(await tx.values(writes.WAKE_MAPPED, {"connection_id": found.id}))
    after = {"kind": kind, "theirs": theirs, "ours": ours, "orders": woken}
    await audit.record(tx, action="map", entity="connection", entity_id=code, after=after)
    return woken


async def read_again(tx: Tx, code: str, since: datetime) -> None:
    """Read all orders that changed since a moment again; what is known already is passed over.

    Raises:
        UnknownEntry: the connection reads no orders.
    """
    found = await connection_of(tx, code)
    params = {"id": found.id, "stream": "orders", "since": since}
    if await tx.value(writes.REWIND, params) is None:
        raise UnknownEntry(key="orders")
    facts = {"since": since.isoformat()}
    await audit.record(tx, action="read_again", entity="connection", entity_id=code, after=facts)
