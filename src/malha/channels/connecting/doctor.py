"""A visit to one connection: does its peer answer, know us, and say what can be read? Nothing is changed there."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.channels.connecting import reads, registry, service, stock_looks, stock_reads
from malha.channels.connecting.model import Linked, Status
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import (
    Capability,
    ChannelError,
    Connector,
    ExtState,
    Health,
    OrderSource,
    StockSource,
    SummarySource,
)
from malha.channels.partners import list_reads as partner_lists
from malha.channels.partners import reads as partners
from malha.channels.partners.list_reads import FileRow
from malha.platform.clock import now
from malha.platform.errors import MalhaError

BACK = timedelta(days=2)


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str


async def examine(runtime: Runtime, code: str) -> list[Finding]:
    """Look at a connection, and return what was found.

    Raises:
        UnknownConnection: there is none.
    """
    async with runtime.db.transaction() as tx:
        connection = await service.connection_of(tx, code)
        (standing,) = await reads.health(tx, code)
        counts = await partner_lists.counts(tx, connection.id, partner_lists.hours_of(connection.config))
        places = await partners.locations(tx, connection.id)
        key = await partners.host_key(tx, connection.id)
        newest = await partner_lists.newest(tx, connection.id)
    connector = registry.connectors().get(connection.connector)
    if connector is None:
        return [Finding("connector", False, f"{connection.connector} is not installed")]
    tier = f"{connector.name}, tier {connector.evidence.value}"
    findings = [Finding("connector", True, tier), _status(connection)]
    if Capability.FULFILMENT in connector.capabilities:
        codes = ", ".join(p.code for p in places)
        findings.append(Finding("locations", bool(places), codes or "none: it will be asked for nothing"))
        late = f"{counts.open} open, {counts.unanswered} unanswered, {counts.overdue} overdue"
        findings.append(Finding("requests", not counts.overdue, late))
        findings.append(Finding("files", not counts.held_files, f"{counts.held_files} with rows to mend"))
    if Capability.FILES in connector.capabilities:
        trusted = key.fingerprint if key else "nobody has trusted one"
        findings.append(Finding("key of the server", key is not None, trusted))
    health = await service.check(runtime, connection)
    findings.append(Finding("check", health.ok, health.says or ("it answers" if health.ok else "no")))
    findings += [*_folders(connection, health), *_files({kind: newest.get(kind) for kind in _kinds(connector)})]
    if health.ok:
        findings += [await _orders(runtime, connection), await _summary(runtime, connection)]
        findings.append(await _stock(runtime, connection))
    waiting = standing.inbox_parked + standing.inbox_unmapped + standing.ops_dead
    says = f"{standing.inbox_parked} in, {standing.inbox_unmapped} without a mapping, {standing.ops_dead} out"
    findings.append(Finding("waiting for a person", not waiting, says))
    return findings


def _status(connection: Linked) -> Finding:
    return Finding("status", connection.status != Status.BROKEN, connection.status)


def _kinds(connector: Connector) -> Sequence[str]:
    """Return the kinds of files that a connector says it reads, where it sells; a partner's are counted together."""
    by_files = Capability.FILES in connector.capabilities and Capability.FULFILMENT not in connector.capabilities
    return getattr(connector, "kinds", ()) if by_files else ()


def _folders(connection: Linked, health: Health) -> list[Finding]:
    """Say what waits at a server of files, by what its name says that it tells."""
    waiting = {n.removeprefix("waiting:"): int(c) for n, c in health.facts.items() if n.startswith("waiting:")}
    if not waiting:
        return []
    unknown = waiting.pop("unknown", 0)
    says = ", ".join(f"{count} {kind}" for kind, count in waiting.items())
    says += f", {unknown} of a name that says nothing" if unknown else ""
    return [Finding(f"folder {connection.config.get('incoming', 'in')}", not unknown, says)]


def _files(newest: Mapping[str, FileRow | None]) -> Iterator[Finding]:
    """Say what became of the newest file of each kind."""
    for kind, row in newest.items():
        if row is None:
            yield Finding(f"files of {kind}", True, "none came yet")
            continue
        says = f"{row.name}, {row.at:%Y-%m-%d %H:%M}, {row.rows} rows"
        says += f", {row.held} of them to mend" if row.held else ""
        says += ", being read" if row.state == "taken" else ""
        yield Finding(f"files of {kind}", row.state != "held", says)


async def _orders(runtime: Runtime, connection: Linked) -> Finding:
    try:
        line = runtime.line(connection)
        source = line.connector
        if not isinstance(source, OrderSource):
            by_files = {Capability.ORDERS, Capability.FILES} <= line.connector.capabilities
            return Finding("orders", True, "they come as files" if by_files else "the connector reads none")
        page = await source.pull_orders(line.ctx, None, now() - BACK)
    except (ChannelError, MalhaError) as error:
        return Finding("orders", False, str(error))
    unknown = sorted({o.status for o in page.items if o.state is ExtState.UNKNOWN})
    says = f"{len(page.items)} read, {len(page.unread)} cannot be read"
    if unknown:
        says += f", unknown status: {', '.join(unknown[:5])}"
    return Finding("orders", not unknown and not page.unread, says)


async def _stock(runtime: Runtime, connection: Linked) -> Finding:
    try:
        line = runtime.line(connection)
        source = line.connector
        if not isinstance(source, StockSource):
            return Finding("stock", True, "the connector does not say what the channel shows")
        page = await source.pull_stock(line.ctx, None)
    except (ChannelError, MalhaError) as error:
        return Finding("stock", False, str(error))
    says = f"{len(page.items)} variants on the first page"
    async with runtime.db.transaction() as tx:
        newest = await stock_reads.looks(tx, connection.id, 1)
    if newest:
        says += f"; compared {newest[0].ended_at:%Y-%m-%d %H:%M}: {newest[0].differing} differ"
    elif stock_looks.comparable(connection.connector):
        says += "; not compared yet"
    return Finding("stock", not (newest and newest[0].differing), says)


async def _summary(runtime: Runtime, connection: Linked) -> Finding:
    try:
        line = runtime.line(connection)
        source = line.connector
        if not isinstance(source, SummarySource):
            return Finding("summary", True, "the connector counts none: lost webhooks show only by reading")
        zone = runtime.settings.timezone
        found = await source.summarise(line.ctx, now().astimezone(ZoneInfo(zone)).date(), zone)
    except (ChannelError, MalhaError) as error:
        return Finding("summary", False, str(error))
    return Finding("summary", True, f"{found.orders} orders today")
