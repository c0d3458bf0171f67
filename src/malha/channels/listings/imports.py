"""What is said of listings as a table: a row says one field of one SKU on one connection otherwise, or takes it back.

Addresses stand in one cell, apart by spaces. A row may say what the SKU costs there, with a field or without one.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec

from malha.channels import service as channels
from malha.channels.connecting import reads as connections
from malha.channels.connecting import registry
from malha.channels.connecting.model import Linked
from malha.channels.listings import making, reads, rules, service
from malha.channels.listings.errors import NoListings
from malha.channels.listings.making import Maker
from malha.network.service import refuse_limited
from malha.platform import revisions
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row, centavos, decimal_text
from malha.platform.text import fold

AT_ONCE = 500
TAKEN_BACK = 0  # the price of a row that has the catalogue's count again
PRICE = ""  # what stands for the price where fields have names: none of them is empty
_TAKE_BACK = frozenset({"none", "nenhum", "nenhuma"})
_ROW_FIELD = "field"


def own_price(text: str) -> int:
    """Read what a SKU costs on a channel as centavos, or the word that takes it back (`TAKEN_BACK`)."""
    if fold(text) in _TAKE_BACK:
        return TAKEN_BACK
    price = centavos(text)
    if price == 0:
        raise BadCell(N_("A price is more than nothing."), N_("Write none to have the catalogue's."))
    return price


COLUMNS = (
    Column("connection", ("conexão", "conexao", "código da conexão"), required=True),
    Column("sku", ("código sku",), required=True),
    Column("field", ("campo",)),
    Column("value", ("valor", "texto")),
    Column("price", ("preço", "preco"), parse=own_price),
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
        if apply and any("price" in row.values for row in rows):  # who waits for it holds nothing that is locked above
            await revisions.bump(tx, channels.PRICES)
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Remember what rows said that were handled before."""
        await self.handle(tx, rows, apply=False, turn=0)

    async def _handle(
        self, tx: Tx, connection: Linked, maker: Maker, rows: Sequence[Row], outcome: Outcome, *, apply: bool
    ) -> None:
        known = await reads.skus_of(tx, sorted({row.values["sku"] for row in rows}))
        if apply:
            await service.lock(tx, connection)
        now = await reads.overrides_of(tx, connection.id, sorted({product for _, product in known.values()}))
        asked = {row.values["sku"] for row in rows if row.values.get("price")}
        given = {sku: id_ for sku, (id_, _) in known.items() if sku in asked}
        kept = await channels.kept_prices(tx, connection.channel_id, given)
        costs = await channels.own_prices(tx, connection.channel_id, [id_ for id_, _ in known.values()])
        wanted: list[tuple[str, str, Any]] = []
        for row in rows:
            sku = row.values["sku"]
            said, flaws = self._said(maker, connection, row, known.get(sku), now)
            if "price" in row.values and sku in kept:
                flaws.append(kept[sku])
            if flaws:
                combine(outcome, row.line, flaws)
                continue
            changes = []
            for key, name, value in said:
                before = costs.get(key[1]) if name == PRICE else now.get(key, {}).get(name)
                if before != value:
                    changes.append(before)
                    wanted.append((sku, name, value))
                    outcome.traces.append(_trace(connection.code, sku, name, before, value))
            outcome.unchanged += not changes
            outcome.created += None in changes
            outcome.changed += bool(changes) and None not in changes
        if apply and wanted:
            await service.say_all(tx, connection, maker, *_parted(wanted))

    def _said(
        self,
        maker: Maker,
        connection: Linked,
        row: Row,
        known: tuple[int, int] | None,
        now: Mapping[tuple[int, int], Mapping[str, Any]],
    ) -> tuple[list[tuple[tuple[int, int], str, Any]], list[Flaw]]:
        """Return what a row says: of which product and variant, which field, what; and what is wrong with it.

        `now`: what is said already. That comes back from a file as it went, be it a field that could not be said today.
        """
        sku, name = row.values["sku"], row.values.get(_ROW_FIELD, "")
        flaws: list[Flaw] = []
        found: list[tuple[str, Any]] = []
        if name:
            text = str(row.values.get("value") or "")
            value = rules.texts_of(maker.profile, name, text) if text else None
            found.append((name, value))
            # A field that the channel no longer has is taken back without a word.
            place = known and (known[1], 0 if rules.shared_of(maker.profile, name) else known[0])
            there = place and now.get(place, {}).get(name)
            wrong = [] if value is None or value == there else rules.check_said(maker.profile, {name: value})
            flaws += [Flaw(_ROW_FIELD, f.says, f.mend, f.facts) for f in wrong]
        elif "value" in row.values or "price" not in row.texts:
            flaws.append(Flaw(_ROW_FIELD, N_("This field is empty."), N_("Fill it in.")))
        if "price" in row.values:
            found.append((PRICE, row.values["price"] or None))
        if known is None:
            mend = N_("Create it first, or correct the code.")
            return [], [*flaws, Flaw("sku", N_("There is no SKU {value}."), mend, {"value": sku[:80]})]
        said = []
        for name, value in found:
            key = (known[1], 0 if name != PRICE and rules.shared_of(maker.profile, name) else known[0])
            said.append((key, name, value))
            if (other := self._lines.setdefault((connection.code, *key, name), row.line)) != row.line:
                says, mend = N_("Line {line} says the same field."), N_("Leave one of the two out.")
                flaws.append(Flaw("price" if name == PRICE else _ROW_FIELD, says, mend, {"line": other}))
        return said, flaws

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """Say of listings what was said before, where nobody said otherwise since and the channel has the field."""
        linked = {c.code: c for c in await connections.all_linked(tx)}
        left: Left = {}
        priced = False
        by_code: dict[str, dict[tuple[str, str], Trace]] = {}
        for trace in traces:
            code, sku, name = msgspec.json.decode(trace.key, type=tuple[str, str, str])
            by_code.setdefault(code, {})[sku, name] = trace
            priced = priced or name == PRICE
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
        if priced:
            await revisions.bump(tx, channels.PRICES)
        return left


async def _take_back(tx: Tx, connection: Linked, maker: Maker, own: Mapping[tuple[str, str], Trace]) -> Left:
    known = await reads.skus_of(tx, sorted({sku for sku, _ in own}))
    await service.lock(tx, connection)
    now = await reads.overrides_of(tx, connection.id, sorted({product for _, product in known.values()}))
    costs = await channels.own_prices(tx, connection.channel_id, [id_ for id_, _ in known.values()])
    kept = await channels.kept_prices(tx, connection.channel_id, {sku: id_ for sku, (id_, _) in known.items()})
    left: Left = {}
    back: list[tuple[str, str, Any]] = []
    for (sku, name), trace in own.items():
        if sku not in known:
            left[trace.key] = TOUCHED
            continue
        sku_id, product = known[sku]
        before = None if trace.before is None else trace.before["value"]
        if name == PRICE:
            said = costs.get(sku_id)
            flaws = [kept[sku]] if before is not None and sku in kept else []
        else:
            said = now.get((product, 0 if rules.shared_of(maker.profile, name) else sku_id), {}).get(name)
            flaws = [] if before is None else list(rules.check_said(maker.profile, {name: before}))
        if said != trace.after["value"]:
            left[trace.key] = TOUCHED
        elif flaws:
            left[trace.key] = flaws[0]
        else:
            back.append((sku, name, before))
    if back:
        await service.say_all(tx, connection, maker, *_parted(back))
    return left


def _parted(said: Sequence[tuple[str, str, Any]]) -> tuple[list[tuple[str, str, Any]], dict[str, int | None]]:
    """Return fields and prices apart."""
    return [each for each in said if each[1] != PRICE], {sku: value for sku, name, value in said if name == PRICE}


def _trace(code: str, sku: str, name: str, before: Any, after: Any) -> Trace:
    return Trace(
        key=msgspec.json.encode((code, sku, name)).decode(),  # any of them may hold what would part them
        label=f"{code}, {sku}, {name or rules.PRICE}",
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
            break
        yield [[code, sku, field, _cell(value), ""] for code, sku, field, value, _ in rows if value]
        after = rows[-1][4]
    takers = [key for key in registry.connectors() if making.takes(key)]
    at: reads.PricePlace = (0, 0)
    while True:
        async with database.transaction(actor) as tx:
            prices = await reads.prices_after(tx, at, takers, AT_ONCE)
        if not prices:
            return
        yield [[code, sku, "", "", decimal_text(price, 2)] for code, sku, price, _ in prices]
        at = prices[-1][3]


def _cell(value: Any) -> object:
    return " ".join(value) if isinstance(value, list) else str(value)
