"""What is said of listings as a table: a row says one field of one SKU on one connection otherwise, or takes it back.

Addresses stand in one cell, apart by spaces.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec

from malha.channels.connecting import reads as connections
from malha.channels.connecting.model import Linked
from malha.channels.listings import making, reads, rules, service
from malha.channels.listings.errors import NoListings
from malha.channels.listings.making import Maker
from malha.network.service import refuse_limited
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import Column, Row

AT_ONCE = 500
COLUMNS = (
    Column("connection", ("conexão", "conexao", "código da conexão"), required=True),
    Column("sku", ("código sku",), required=True),
    Column("field", ("campo",), required=True),
    Column("value", ("valor", "texto")),
)


class OverrideImport:
    """What is said of listings; a `malha.platform.imports.Target`."""

    entity = "listing"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int, int, str], int] = {}  # where a file says a field

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk of rows, with a few statements for each connection."""
        refuse_limited(tx)
        outcome = Outcome()
        linked = {c.code: c for c in await connections.all_linked(tx)}
        by_code: dict[str, list[Row]] = {}
        for row in rows:
            by_code.setdefault(row.values["connection"], []).append(row)
        for code, own in sorted(by_code.items()):  # each is locked: in one order, whatever that of the file
            connection = linked.get(code)
            if connection is None:
                says, mend = N_("There is no connection {value}."), N_("Check the code in the list of connections.")
                _all(outcome, own, Flaw("connection", says, mend, {"value": code[:80]}))
                continue
            try:
                maker = await making.maker_of(tx, connection)
            except NoListings as error:
                _all(outcome, own, Flaw("connection", error.says, error.mend, error.facts))
                continue
            await self._handle(tx, connection, maker, own, outcome, apply=apply)
        return outcome

    async def _handle(
        self, tx: Tx, connection: Linked, maker: Maker, rows: Sequence[Row], outcome: Outcome, *, apply: bool
    ) -> None:
        known = await reads.skus_of(tx, sorted({row.values["sku"] for row in rows}))
        if apply:
            await service.lock(tx, connection)
        now = await reads.overrides_of(tx, connection.id, sorted({product for _, product in known.values()}))
        wanted: list[tuple[str, str, Any]] = []
        for row in rows:
            sku, name = row.values["sku"], row.values["field"]
            text = str(row.values.get("value") or "")
            value = rules.texts_of(maker.profile, name, text) if text else None
            # A field that the channel no longer has is taken back without a word.
            found = [] if value is None else rules.check_said(maker.profile, {name: value})
            flaws = [Flaw("field", f.says, f.mend, f.facts) for f in found]
            if sku not in known:
                mend = N_("Create it first, or correct the code.")
                flaws.append(Flaw("sku", N_("There is no SKU {value}."), mend, {"value": sku[:80]}))
            else:
                sku_id, product = known[sku]
                key = (product, 0 if rules.shared_of(maker.profile, name) else sku_id)
                said = (connection.code, *key, name)
                if (other := self._lines.setdefault(said, row.line)) != row.line:
                    says, mend = N_("Line {line} says the same field."), N_("Leave one of the two out.")
                    flaws.append(Flaw("field", says, mend, {"line": other}))
            if flaws:
                combine(outcome, row.line, flaws)
                continue
            before = now.get(key, {}).get(name)
            if before == value:
                outcome.unchanged += 1
                continue
            outcome.created += before is None
            outcome.changed += before is not None
            wanted.append((sku, name, value))
            outcome.traces.append(_trace(connection.code, sku, name, before, value))
        if apply and wanted:
            await service.say_all(tx, connection, maker, wanted)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """Say of listings what was said before, where nobody said otherwise since and the channel has the field."""
        linked = {c.code: c for c in await connections.all_linked(tx)}
        left: Left = {}
        by_code: dict[str, dict[tuple[str, str], Trace]] = {}
        for trace in traces:
            code, sku, name = msgspec.json.decode(trace.key, type=tuple[str, str, str])
            by_code.setdefault(code, {})[sku, name] = trace
        for code, own in sorted(by_code.items()):  # locked in the order in which a file is written
            connection = linked.get(code)
            try:
                maker = None if connection is None else await making.maker_of(tx, connection)
            except NoListings:
                maker = None
            if connection is None or maker is None:
                left |= {trace.key: TOUCHED for trace in own.values()}
                continue
            left |= await _take_back(tx, connection, maker, own)
        return left


async def _take_back(tx: Tx, connection: Linked, maker: Maker, own: Mapping[tuple[str, str], Trace]) -> Left:
    known = await reads.skus_of(tx, sorted({sku for sku, _ in own}))
    await service.lock(tx, connection)
    now = await reads.overrides_of(tx, connection.id, sorted({product for _, product in known.values()}))
    left: Left = {}
    back: list[tuple[str, str, Any]] = []
    for (sku, name), trace in own.items():
        if sku not in known:
            left[trace.key] = TOUCHED
            continue
        sku_id, product = known[sku]
        said = now.get((product, 0 if rules.shared_of(maker.profile, name) else sku_id), {}).get(name)
        before = None if trace.before is None else trace.before["value"]
        if said != trace.after["value"]:
            left[trace.key] = TOUCHED
        elif before is not None and (flaws := list(rules.check_said(maker.profile, {name: before}))):
            left[trace.key] = flaws[0]
        else:
            back.append((sku, name, before))
    if back:
        await service.say_all(tx, connection, maker, back)
    return left


def _trace(code: str, sku: str, name: str, before: Any, after: Any) -> Trace:
    return Trace(
        key=msgspec.json.encode((code, sku, name)).decode(),  # any of them may hold what would part them
        label=f"{code}, {sku}, {name}",
        before=None if before is None else {"value": before},
        after={"value": after},
    )


def _all(outcome: Outcome, rows: Sequence[Row], flaw: Flaw) -> None:
    for row in rows:
        combine(outcome, row.line, [flaw])


async def override_pages(database: Database, actor: Actor) -> AsyncIterator[list[list[object]]]:
    """Yield what is said of listings of all connections, header first, as `OverrideImport` reads it back unchanged.

    What is said of a product stands at its first variant. What is said to be empty has no row: one without a value
    would take it back. Who is limited to locations sees no connection, and nothing.
    """
    yield [[column.name for column in COLUMNS]]
    if actor.locations is not None:
        return
    after: reads.OverridePlace = (0, 0, 0)
    while True:
        async with database.transaction(actor) as tx:
            rows = await reads.overrides_after(tx, after, AT_ONCE)
        if not rows:
            return
        yield [[code, sku, field, _cell(value)] for code, sku, field, value, _ in rows if value]
        after = rows[-1][4]


def _cell(value: Any) -> object:
    return " ".join(value) if isinstance(value, list) else str(value)
