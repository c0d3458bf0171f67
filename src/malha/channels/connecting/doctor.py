"""A visit to one connection: does its peer answer, know us, and say what can be read? Nothing is changed there."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from malha.channels.connecting import failures, reads, registry, service, stock_looks, stock_reads
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
from malha.network import retailer
from malha.platform.clock import now
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, Phrase, Word, translate

BACK = timedelta(days=2)

# What was looked at, by the key that programs know it by.
WORDS: Mapping[str, str] = {
    "connector": N_("connector"),
    "status": N_("status of the connection"),
    "locations": N_("locations of the partner"),
    "requests": N_("requests to the partner"),
    "files": N_("files of the partner"),
    "server_key": N_("key of the server"),
    "check": N_("answer of the channel"),
    "folder": N_("folder {of}"),
    "files_of": N_("files of {of}"),
    "orders": N_("orders of the last two days"),
    "summary": N_("count of today"),
    "stock": N_("stock that the channel shows"),
    "waiting": N_("waiting for a person"),
}
STATUSES: Mapping[Status, str] = {
    Status.ACTIVE: N_("in use"),
    Status.PAUSED: N_("paused by a person"),
    Status.BROKEN: N_("the channel does not know us any more"),
}
KINDS: Mapping[str, str] = {
    "products": N_("products"),
    "prices": N_("prices"),
    "orders": N_("orders"),
    "stock": N_("stock levels"),
    "acknowledgements": N_("acknowledgements"),
    "shipments": N_("shipments"),
    "adjustments": N_("adjustments"),
    "receipts": N_("receipts"),
}


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `check` is a key of `WORDS`; `of` says which, where there are several.

    `says` are message ids with their facts, one after the other.
    """

    check: str
    ok: bool
    says: Sequence[Phrase]
    of: str = ""

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Return what each sentence says by names, for programs; an instant as ISO 8601 has it."""
        return [{name: _bare(fact) for name, fact in each.facts.items()} for each in self.says]

    def name(self, language: str) -> str:
        """Return what was looked at, in a language."""
        return translate(language, WORDS[self.check], of=_kind(self.of))

    def text(self, language: str) -> str:
        """Return what was found, in a language."""
        return ", ".join(translate(language, each.msgid, **each.facts) for each in self.says)


def _bare(fact: Any) -> Any:
    return str(fact) if isinstance(fact, Phrase | Word) else fact


def _kind(word: str) -> str:
    return Word(KINDS[word]) if word in KINDS else word


def _plain(text: str) -> Phrase:
    """Return words of others, or a failure that was told in English, as a sentence."""
    return failures.found(text) or Phrase("{text}", {"text": text})


def _of_error(error: ChannelError | MalhaError) -> Phrase:
    return Phrase(error.says, error.facts) if isinstance(error, MalhaError) else _plain(error.why)


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
        absent = Phrase(N_("{connector} is not installed"), {"connector": connection.connector})
        return [Finding("connector", False, [absent])]
    known = {"connector": Word(connector.name), "tier": connector.evidence.value}
    findings = [Finding("connector", True, [Phrase(N_("{connector}, tier {tier}"), known)]), _status(connection)]
    if Capability.FULFILMENT in connector.capabilities:
        codes = Phrase("{locations}", {"locations": ", ".join(p.code for p in places)})
        none = Phrase(N_("none: it will be asked for nothing"))
        findings.append(Finding("locations", bool(places), [codes if places else none]))
        late = {"open": counts.open, "unanswered": counts.unanswered, "overdue": counts.overdue}
        says = Phrase(N_("{open} open, {unanswered} unanswered, {overdue} overdue"), late)
        findings.append(Finding("requests", not counts.overdue, [says]))
        says = Phrase(N_("{count} with rows to mend"), {"count": counts.held_files})
        findings.append(Finding("files", not counts.held_files, [says]))
    if Capability.FILES in connector.capabilities:
        trusted = Phrase("{key}", {"key": key.fingerprint}) if key else Phrase(N_("nobody has trusted one"))
        findings.append(Finding("server_key", key is not None, [trusted]))
    health = await service.check(runtime, connection)
    nothing = Phrase(N_("it answers") if health.ok else N_("it does not answer"))
    findings.append(Finding("check", health.ok, [_plain(health.says) if health.says else nothing]))
    findings += [*_folders(connection, health), *_files({kind: newest.get(kind) for kind in _kinds(connector)})]
    if health.ok:
        findings += [await _orders(runtime, connection), await _summary(runtime, connection)]
        findings.append(await _stock(runtime, connection))
    waits = {"came": standing.inbox_parked, "unmapped": standing.inbox_unmapped, "dead": standing.ops_dead}
    says = Phrase(N_("{came} that came, {unmapped} without a mapping, {dead} that could not be told"), waits)
    findings.append(Finding("waiting", not any(waits.values()), [says]))
    return findings


def _status(connection: Linked) -> Finding:
    status = Status(connection.status)
    return Finding("status", status is not Status.BROKEN, [Phrase(STATUSES[status])])


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
    says = [Phrase(N_("{kind}: {count}"), {"kind": _kind(kind), "count": count}) for kind, count in waiting.items()]
    if unknown:
        says.append(Phrase(N_("{unknown} of a name that says nothing"), {"unknown": unknown}))
    return [Finding("folder", not unknown, says, of=str(connection.config.get("incoming", "in")))]


def _files(newest: Mapping[str, FileRow | None]) -> Iterator[Finding]:
    """Say what became of the newest file of each kind."""
    for kind, row in newest.items():
        if row is None:
            yield Finding("files_of", True, [Phrase(N_("none came yet"))], of=kind)
            continue
        says = [Phrase(N_("{name}, {at}, rows: {rows}"), {"name": row.name, "at": row.at, "rows": row.rows})]
        if row.held:
            says.append(Phrase(N_("{held} of them to mend"), {"held": row.held}))
        if row.state == "taken":
            says.append(Phrase(N_("being read")))
        yield Finding("files_of", row.state != "held", says, of=kind)


async def _orders(runtime: Runtime, connection: Linked) -> Finding:
    try:
        line = runtime.line(connection)
        source = line.connector
        if not isinstance(source, OrderSource):
            by_files = {Capability.ORDERS, Capability.FILES} <= line.connector.capabilities
            says = N_("they come as files") if by_files else failures.NO_ORDERS
            return Finding("orders", True, [Phrase(says)])
        page = await source.pull_orders(line.ctx, None, now() - BACK)
    except (ChannelError, MalhaError) as error:
        return Finding("orders", False, [_of_error(error)])
    unknown = sorted({o.status for o in page.items if o.state is ExtState.UNKNOWN})
    counted = {"read": len(page.items), "unread": len(page.unread)}
    told = [Phrase(N_("{read} read, {unread} cannot be read"), counted)]
    if unknown:
        told.append(Phrase(N_("unknown status: {statuses}"), {"statuses": ", ".join(unknown[:5])}))
    return Finding("orders", not unknown and not page.unread, told)


async def _stock(runtime: Runtime, connection: Linked) -> Finding:
    try:
        line = runtime.line(connection)
        source = line.connector
        if not isinstance(source, StockSource):
            return Finding("stock", True, [Phrase(failures.NO_SHOWN_STOCK)])
        page = await source.pull_stock(line.ctx, None)
    except (ChannelError, MalhaError) as error:
        return Finding("stock", False, [_of_error(error)])
    says = [Phrase(N_("variants on the first page: {variants}"), {"variants": len(page.items)})]
    async with runtime.db.transaction() as tx:
        newest = await stock_reads.looks(tx, connection.id, 1)
    if newest:
        compared = {"compared_at": newest[0].ended_at, "differing": newest[0].differing}
        says.append(Phrase(N_("compared {compared_at}: {differing} differ"), compared))
    elif stock_looks.comparable(connection.connector):
        says.append(Phrase(N_("not compared yet")))
    return Finding("stock", not (newest and newest[0].differing), says)


async def _summary(runtime: Runtime, connection: Linked) -> Finding:
    try:
        line = runtime.line(connection)
        source = line.connector
        if not isinstance(source, SummarySource):
            return Finding("summary", True, [Phrase(N_("it counts none: lost webhooks show only by reading"))])
        async with runtime.db.transaction() as tx:
            zone = await retailer.zone(tx)
        found = await source.summarise(line.ctx, now().astimezone(zone).date(), zone.key)
    except (ChannelError, MalhaError) as error:
        return Finding("summary", False, [_of_error(error)])
    return Finding("summary", True, [Phrase(N_("orders today: {orders}"), {"orders": found.orders})])
