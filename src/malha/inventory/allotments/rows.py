"""Rows of fences: what one wants of some balances, stated apart from the rest of it; and the same as a table.

A row of a table states how many units a fence wants of a SKU at a location; balances that no row names stay as they
are. Undoing an import puts wanted quantities back where nobody stated others since; units come and go with them.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from malha.catalog import mangled
from malha.catalog import reads as catalog
from malha.inventory.allotments import reads, rules, service, writes
from malha.inventory.allotments.errors import AllotmentEnded, NotAFence, UnknownAllotment
from malha.inventory.allotments.model import Allotment, Kind, State
from malha.inventory.writes import ENSURE_BALANCES
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row, whole

Key = tuple[int, int]  # SKU, location


def units(text: str) -> int:
    """Read a number of units to set apart.

    Raises:
        BadCell: it is no whole number, negative, or more than a balance holds.
    """
    found = whole(text)
    if not 0 <= found <= service.MOST_UNITS:
        says, mend = N_("{value} is no possible quantity."), N_("Use a whole number from 0 to {most}.")
        raise BadCell(says, mend, most=service.MOST_UNITS)
    return found


COLUMNS = (
    Column("allotment", ("cota", "cota reservada", "fence", "código da cota", "campanha"), required=True),
    Column("sku", ("código sku", "código", "cod", "referência", "ref", "item"), required=True),
    Column("location", ("local", "loja", "filial", "depósito", "cd", "código do local", "store"), required=True),
    Column(
        "quantity",
        ("quantidade", "qtd", "qtde", "qty", "wanted", "desejado", "unidades", "units"),
        parse=units,
        required=True,
    ),
)


async def want(tx: Tx, code: str, stock: Mapping[Key, int]) -> None:
    """State how many units a fence wants on some balances, and fill it there; its other balances stay.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownAllotment, NotAFence, AllotmentEnded: it can have no such rows.
    """
    refuse_limited(tx)
    await tx.tuples(writes.LOCK_ALL)
    fence = await _fence(tx, code)
    keys = sorted(stock)
    at = {"id": fence.id, "skus": [sku for sku, _ in keys], "locations": [place for _, place in keys]}
    await tx.execute(ENSURE_BALANCES, {"skus": at["skus"], "locations": at["locations"]})
    await tx.execute(writes.WANT_FENCES, at | {"quantities": [stock[key] for key in keys]})
    await tx.execute(writes.TOUCH_ALLOTMENT, {"id": fence.id})  # a form that was opened before would put back what was
    if fence.starts_at <= await tx.now():
        await service.fill(tx, fence.id, keys)
    await revisions.bump(tx, reads.REVISION)
    facts = {"rows": len(keys), "units": sum(stock.values())}
    await audit.record(tx, action="change", entity="allotment", entity_id=code, after=facts)


async def _fence(tx: Tx, code: str) -> Allotment:
    found = next(iter(await reads.listed(tx, [code])), None)
    if found is None:
        raise UnknownAllotment(key=code)
    if found.kind is not Kind.FENCE:
        raise NotAFence(key=code)
    if found.state is State.ENDED:
        raise AllotmentEnded(key=code)
    return found


class FenceImport:
    """Rows of fences; a `malha.platform.imports.Target`."""

    entity = "allotment"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk, fence by fence: two of one file may not set the same units apart."""
        if apply:
            refuse_limited(tx)
            await tx.tuples(writes.LOCK_ALL)
        outcome = Outcome()
        codes = sorted({row.values["allotment"] for row in rows})
        fences = {a.code: a for a in await reads.listed(tx, codes)}
        cards = {card.sku: card for card in await catalog.by_skus(tx, [row.values["sku"] for row in rows])}
        places = {place.code: place.id for place in await network.locations(tx)}
        meant = await mangled.meant(tx, [row.values["sku"] for row in rows if row.values["sku"] not in cards])
        good: dict[str, dict[Key, Row]] = {}
        for row in rows:
            flaws = _flaws(row, fences, cards, meant, places)
            if flaws:
                combine(outcome, row.line, flaws)
            else:
                key = cards[row.values["sku"]].id, places[row.values["location"]]
                good.setdefault(row.values["allotment"], {})[key] = row
        counted = 0
        for code in sorted(good):
            counted += await self._one(tx, fences[code], good[code], outcome, apply=apply)
        outcome.unchanged += len(rows) - len(outcome.flaws) - counted  # rows that a later one of the chunk overrides
        return outcome

    async def _one(self, tx: Tx, fence: Allotment, rows: dict[Key, Row], outcome: Outcome, *, apply: bool) -> int:
        """Look at the rows of one fence; return how many of them are counted in the outcome as good."""
        for key, other in (await _shared(tx, fence.id, rows)).items():
            combine(outcome, rows[key].line, [Flaw("allotment", OVERLAPS, OVERLAPS_MEND, {"other": other})])
            del rows[key]
        now = await _wanted(tx, fence.id, sorted(rows))
        stated = {key: row.values["quantity"] for key, row in rows.items()}
        different = {key: n for key, n in stated.items() if now.get(key, 0) != n}
        outcome.created += sum(key not in now for key in different)
        outcome.changed += sum(key in now for key in different)
        outcome.unchanged += len(rows) - len(different)
        if apply and different:
            await want(tx, fence.code, different)
            outcome.traces += [_trace(fence, key, rows[key], now.get(key), n) for key, n in sorted(different.items())]
            changes = [
                (fence.code, {"quantity": now.get(key, 0)}, {"quantity": n}) for key, n in sorted(different.items())
            ]
            told = [_told(rows[key]) for key in sorted(different)]
            await audit.record_many(tx, action="change", entity="allotment", changes=changes, told=told)
        return len(rows)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """Put wanted quantities back, where the fence still runs and nobody stated others since."""
        await tx.tuples(writes.LOCK_ALL)
        left: Left = {}
        by_code: dict[str, dict[Key, Trace]] = {}
        for trace in traces:
            code, sku, place = trace.key.rsplit(":", 2)
            by_code.setdefault(code, {})[int(sku), int(place)] = trace
        fences = {a.code: a for a in await reads.listed(tx, sorted(by_code))}
        for code, own in sorted(by_code.items()):
            fence = fences.get(code)
            if fence is None or fence.state is State.ENDED:
                left |= {trace.key: TOUCHED for trace in own.values()}
                continue
            now = await _wanted(tx, fence.id, sorted(own))
            back = {}
            for key, trace in own.items():
                if now.get(key, 0) != trace.after["quantity"]:
                    left[trace.key] = TOUCHED
                else:
                    back[key] = 0 if trace.before is None else trace.before["quantity"]
            for key, other in (await _shared(tx, fence.id, [key for key, n in back.items() if n])).items():
                left[own[key].key] = Flaw("", OVERLAPS, OVERLAPS_MEND, {"other": other})
                del back[key]
            if back:
                await want(tx, code, back)
        return left


OVERLAPS = N_("Fence {other} already sets it apart for the same channels at that time.")
OVERLAPS_MEND = N_("Leave it out of one of the two.")


async def _shared(tx: Tx, fence_id: int, keys: Collection[Key]) -> dict[Key, str]:
    """Return which balances another fence, for the same takers at the same time, sets apart already: its code."""
    every = {f.id: f for f in (await reads.load(tx)).fences}
    mine = every.get(fence_id)
    others = {f.id: f.code for f in every.values() if mine and f.id != fence_id and rules.overlaps(mine, f)}
    if not others or not keys:
        return {}
    ordered = sorted(keys)
    params = {"skus": [s for s, _ in ordered], "locations": [x for _, x in ordered], "fences": sorted(others)}
    return {(sku, place): others[id_] for id_, sku, place in await tx.tuples(reads.FENCED_BY, params)}


async def _wanted(tx: Tx, fence_id: int, keys: Sequence[Key]) -> dict[Key, int]:
    params = {"id": fence_id, "skus": [s for s, _ in keys], "locations": [x for _, x in keys]}
    return {(sku, place): n for sku, place, n in await tx.tuples(reads.WANTED_AT, params)}


def _told(row: Row) -> dict[str, Any]:
    return {"sku": row.values["sku"], "location": row.values["location"], "line": row.line}


def _trace(fence: Allotment, key: Key, row: Row, before: int | None, after: int) -> Trace:
    return Trace(
        key=f"{fence.code}:{key[0]}:{key[1]}",
        label=f"{fence.code}, {row.values['sku']}, {row.values['location']}",
        before=None if before is None else {"quantity": before},
        after={"quantity": after},
    )


def _flaws(
    row: Row,
    fences: Mapping[str, Allotment],
    cards: Mapping[str, Any],
    meant: Mapping[str, str],
    places: Mapping[str, int],
) -> list[Flaw]:
    flaws = []
    code, sku, location = (row.values[name] for name in ("allotment", "sku", "location"))
    fence, card = fences.get(code), cards.get(sku)
    if fence is None:
        says, mend = N_("There is no allotment {value}."), N_("Create the fence first.")
        flaws.append(Flaw("allotment", says, mend, {"value": code}))
    elif fence.kind is not Kind.FENCE:
        says, mend = N_("{value} is a cap: it sets nothing apart."), N_("Name a fence.")
        flaws.append(Flaw("allotment", says, mend, {"value": code}))
    elif fence.state is State.ENDED:
        says, mend = N_("Fence {value} has ended."), N_("Create a new fence.")
        flaws.append(Flaw("allotment", says, mend, {"value": code}))
    if card is None:
        flaws.append(mangled.unknown(sku, meant))
    elif card.is_kit:
        says = N_("{value} is a kit: it has no stock of its own.")
        flaws.append(Flaw("sku", says, N_("State the stock of its components."), {"value": sku}))
    if location not in places:
        flaws.append(Flaw("location", N_("There is no location {value}."), facts={"value": location}))
    return flaws


async def fence_pages(database: Database, actor: Actor) -> AsyncIterator[list[list[object]]]:
    """Yield the rows of the fences that run or will, header first, as `FenceImport` reads them back unchanged."""
    yield [[column.name for column in COLUMNS]]
    async with database.transaction(actor) as tx:
        fences = [a for a in await reads.listed(tx) if a.kind is Kind.FENCE and a.state is State.ACTIVE]
    for fence in sorted(fences, key=lambda a: a.code):
        async with database.transaction(actor) as tx:
            lines = await reads.fence_lines(tx, fence.id)
        found: list[list[object]] = [[fence.code, x.sku, x.location, x.wanted] for x in lines if x.wanted]
        if found:
            yield found
