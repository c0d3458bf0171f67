"""Use cases of stock that channels show: compare it, tell it again, and say that a connection states stock itself."""

from collections.abc import Sequence

import msgspec

from malha.channels import service as channels
from malha.channels.connecting import registry, stock_looks, stock_reads, stock_rules, stock_writes, writes
from malha.channels.connecting.errors import (
    NotCompared,
    NothingToTell,
    SourceTaken,
    StatesNoStock,
    StockRoleChanged,
)
from malha.channels.connecting.service import connection_of
from malha.channels.contract import Capability
from malha.inventory.sync import reads as sources
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

STATEMENTS = "stock_source"  # the stream of what a connection states
SCOPES = ("partial", "whole")


class RoleDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as one that states stock: for which source, whether what it does not mention is zero, how often."""

    source: str
    scope: str = "partial"
    minutes: int = 15


async def compare(tx: Tx, code: str) -> None:
    """Have a connection's stock compared as soon as a worker is free.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        NotCompared: its connector does not say what the channel shows, or takes no stock.
    """
    found = await connection_of(tx, code)
    if not stock_looks.comparable(found.connector):
        raise NotCompared(connector=found.connector)
    await tx.execute(writes.ADD_CURSOR, {"id": found.id, "stream": stock_looks.STREAM, "since": None})
    await tx.execute(stock_writes.ASK_TURN, {"id": found.id, "stream": stock_looks.STREAM})
    await audit.record(tx, action="compare", entity="connection", entity_id=code)


async def tell_again(
    tx: Tx, code: str, *, codes: Sequence[str] | None = None, causes: Sequence[str] | None = None
) -> int:
    """Have the channel told again what differed at the newest look: some codes, some causes, or all; return how many.

    What telling cannot mend (it is not listed, out of use, or the channel is not told of stock at all) is passed over.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        PushNotFound: the channel is not told of stock.
        NothingToTell: none of it can be told.
    """
    found = await connection_of(tx, code)
    await channels.push_of(tx, found.channel)
    newest = await stock_reads.looks(tx, found.id, 1)
    wanted = sorted(stock_rules.TELLABLE if causes is None else stock_rules.TELLABLE & set(causes))
    skus: list[str] = []
    if newest:
        params = {"look_id": newest[0].id, "causes": wanted, "codes": None if codes is None else list(codes)}
        skus = await tx.values(stock_writes.TELL_AGAIN, params)
    if not skus:
        raise NothingToTell(key=code)
    await channels.unsettle(tx, found.channel_id, skus)
    facts = {"count": len(skus), "skus": sorted(skus)[:100]}
    await audit.record(tx, action="tell_again", entity="connection", entity_id=code, after=facts)
    return len(skus)


# --- a connection that states stock ---


async def lock_role(tx: Tx, code: str) -> int:
    """Let nobody else say what a connection states until the transaction ends; return the version, 0 for nothing.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
    """
    found = await connection_of(tx, code)
    await tx.execute(stock_writes.LOCK_ROLE, {"connection_id": found.id})
    role = await stock_reads.role(tx, found.id)
    return role.version if role else 0


async def put_role(tx: Tx, code: str, draft: RoleDraft, version: int) -> int:
    """Say that a connection states stock for a source; return the new version. `version` 0 says so first.

    Its places are mapped like ways to pay: what is not mapped is not stated.

    Raises:
        UnknownConnection, SharedByAll, UnknownSource: as the names say.
        StatesNoStock: its connector cannot.
        SourceTaken: another connection states stock for the source.
        StockRoleChanged: somebody changed it meanwhile.
        Invalid: a field is not acceptable.
    """
    found = await connection_of(tx, code)
    connector = registry.connectors().get(found.connector)
    if connector is None or Capability.STOCK_SOURCE not in connector.capabilities:
        raise StatesNoStock(connector=found.connector)
    flaws = []
    if draft.scope not in SCOPES:
        flaws.append(Flaw("scope", N_("It is one of: {values}."), facts={"values": ", ".join(SCOPES)}))
    if not 1 <= draft.minutes <= 1440:
        flaws.append(Flaw("minutes", N_("It is between 1 minute and a day (1440).")))
    refuse(flaws)
    await tx.execute(stock_writes.LOCK_ROLE, {"connection_id": found.id})
    source = await sources.source(tx, draft.source)
    other = await stock_reads.source_of(tx, source.code)
    if other is not None and other != code:
        raise SourceTaken(source=source.code, connection=other)
    before = await stock_reads.role(tx, found.id)
    stored: int | None = None
    if (before is None) == (version == 0):
        stored = await tx.value(
            stock_writes.PUT_ROLE,
            {"connection_id": found.id, "version": version, **msgspec.structs.asdict(draft)},
        )
    if stored is None:
        raise StockRoleChanged(key=code)
    await tx.execute(writes.ADD_CURSOR, {"id": found.id, "stream": STATEMENTS, "since": None})
    await tx.execute(stock_writes.ASK_TURN, {"id": found.id, "stream": STATEMENTS})
    await audit.record(tx, action="state_stock", entity="connection", entity_id=code, before=before, after=draft)
    return stored


async def drop_role(tx: Tx, code: str, version: int) -> None:
    """Let a connection state no stock any more. What it stated stays.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        StockRoleChanged: it states none, or somebody changed that meanwhile.
    """
    found = await connection_of(tx, code)
    before = await stock_reads.role(tx, found.id)
    if await tx.value(stock_writes.DROP_ROLE, {"connection_id": found.id, "version": version}) is None:
        raise StockRoleChanged(key=code)
    await tx.execute(stock_writes.DROP_STREAM, {"id": found.id, "stream": STATEMENTS})
    await audit.record(tx, action="state_no_stock", entity="connection", entity_id=code, before=before)


async def state_now(tx: Tx, code: str) -> None:
    """Have what a connection states read as soon as a worker is free.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        StatesNoStock: it states none.
    """
    found = await connection_of(tx, code)
    if await tx.value(stock_writes.ASK_TURN, {"id": found.id, "stream": STATEMENTS}) is None:
        raise StatesNoStock(connector=found.connector)
    await audit.record(tx, action="read_stock", entity="connection", entity_id=code)
