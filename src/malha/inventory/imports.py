"""Stock from a table, one row per SKU and location, and back.

A row states what is physically there; the ledger gets the difference, so the same file twice changes nothing the second
time. A row that was exported and says what it said then is left as it is: what moved meanwhile, a sale say, would be
undone by a table that was sent back for other rows. Of repeated pairs the last row counts, and is told where it says
something else. Undoing an import counts back by
movements of its own, where nothing moved since and nobody's order rests on the units: the ledger is never edited.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import msgspec

from malha.catalog import mangled
from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.inventory import reads, service
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.safety import reads as safety_reads
from malha.network import reads as network
from malha.network.errors import OwnerNotAtSite
from malha.platform import audit
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import IN_USE, TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row, whole

EXPORTED = "exported_on_hand"  # what a row said when it was exported
SKUS_AT_ONCE = 500
MAX_SEEN = 2_000_000


def units(text: str) -> int:
    """Read a number of units.

    Raises:
        BadCell: it is no whole number, negative, or more than a balance holds.
    """
    found = whole(text)
    if not 0 <= found <= service.MAX_QUANTITY:
        says, mend = N_("{value} is no possible quantity."), N_("Use a whole number from 0 to {most}.")
        raise BadCell(says, mend, most=service.MAX_QUANTITY)
    return found


COLUMNS = (
    Column("sku", ("código sku", "código", "cod", "referência", "ref", "item"), required=True),
    Column("location", ("local", "loja", "filial", "depósito", "cd", "código do local", "store"), required=True),
    Column(
        "on_hand",
        ("físico", "saldo", "estoque", "quantidade", "qtd", "qtde", "estoque físico", "quantity", "stock", "qty"),
        parse=units,
        required=True,
    ),
    Column("safety", ("segurança", "estoque de segurança", "safety stock", "buffer"), parse=units),
    Column("owner", ("dono", "dono dos produtos", "consignante", "consignor")),
    Column(EXPORTED, ("físico ao exportar", "saldo exportado", "on hand when exported"), parse=units),
)


class StockImport:
    """Rows of balances; a `malha.platform.imports.Target`. One per import: it remembers what the file said before."""

    entity = "stock"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}  # hash of SKU, location and owner -> line and units

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk; a person sees and states the stock of their own locations only."""
        outcome = Outcome()
        cards = {card.sku: card for card in await catalog.by_skus(tx, [row.values["sku"] for row in rows])}
        places = {place.code: place.id for place in await network.locations(tx) if tx.actor.sees(place.id)}
        kept = await network.kept_at(tx, {_named(row) for row in rows if "owner" in row.values})
        meant = await mangled.meant(tx, [row.values["sku"] for row in rows if row.values["sku"] not in cards])
        good: dict[tuple[int, int], Row] = {}
        for row in rows:
            flaws = list(_flaws(row, cards, meant, places, kept))
            if flaws:
                combine(outcome, row.line, flaws)
            else:
                combine(outcome, row.line, self._otherwise(row), warning=True)
                location = kept.get(_named(row), row.values["location"])
                good[cards[row.values["sku"]].id, places[location]] = row
        standing = await _standing(tx, sorted(good), lock=apply)
        stated: dict[tuple[int, int], tuple[int, int]] = {}
        for key, row in good.items():
            was = standing.get(key, (0, 0))
            stated[key] = (_stated(row, was[0]), row.values.get("safety", was[1]))
            combine(outcome, row.line, _moved(row, was[0]), warning=True)
            outcome.created += key not in standing
            outcome.unchanged += key in standing and stated[key] == was
            outcome.changed += key in standing and stated[key] != was
        outcome.unchanged += len(rows) - len(outcome.flaws) - len(good)  # rows that a later one of the chunk overrides
        if apply and good:
            counted = [Claim(*key, on_hand) for key, (on_hand, _safety) in stated.items()]
            await service.set_on_hand(tx, counted, Reference("import"), Reason.SET)
            buffers = [Claim(*key, row.values["safety"]) for key, row in good.items() if "safety" in row.values]
            if buffers:
                await service.set_safety(tx, buffers)
            outcome.traces = [
                _trace(key, good[key], standing.get(key, (0, 0)), after)
                for key, after in sorted(stated.items())
                if standing.get(key, (0, 0)) != after
            ]
            lines = [row.line for key, row in sorted(good.items()) if standing.get(key, (0, 0)) != stated[key]]
            await _note_safety(tx, outcome.traces, lines)
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:  # noqa: ARG002
        """Remember what rows said that were handled before."""
        for row in rows:
            self._otherwise(row)

    def _otherwise(self, row: Row) -> list[Flaw]:
        """Return that an earlier row stated other units of the same stock: lots, say, that were meant to be added."""
        key, said = hash((row.values["sku"], *_named(row))), row.values["on_hand"]
        line, before = self._seen.get(key, (row.line, said))
        if key in self._seen or len(self._seen) < MAX_SEEN:
            self._seen[key] = row.line, said
        if line >= row.line or before == said:
            return []
        says = N_("Line {line} says {units} of the same SKU and location; this line counts.")
        mend = N_("Add the two up, or leave one out.")
        return [Flaw("on_hand", says, mend, {"line": line, "units": before})]

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """Count balances back to what they were, where nothing moved since and no claim would be left without units."""
        keys = {(int(sku), int(place)): t for t in traces for sku, _colon, place in [t.key.partition(":")]}
        locked = await service.lock_balances(tx, sorted(keys))
        left: Left = {trace.key: TOUCHED for key, trace in keys.items() if key not in locked}
        counts, safeties, back = [], [], []
        for key, stock in locked.items():
            trace = keys[key]
            before, after = trace.before, trace.after
            if (stock.on_hand, stock.safety) != (after["on_hand"], after["safety"]):
                left[trace.key] = TOUCHED
            elif before["on_hand"] < min(stock.allocated, after["on_hand"]):
                left[trace.key] = IN_USE
            else:
                counts.append(Claim(*key, before["on_hand"] - after["on_hand"]))
                safeties.append(Claim(*key, before["safety"]))
                back.append(trace)
        await service.adjust(tx, counts, Reason.ADJUSTMENT, Reference("import"))
        if safeties:
            await service.set_safety(tx, safeties)
        await _note_safety(tx, [msgspec.structs.replace(t, before=t.after, after=t.before) for t in back])
        return left


async def _note_safety(tx: Tx, traces: Sequence[Trace], lines: Sequence[int] = ()) -> None:
    """Write into the audit trail what safety stocks were and are; units on hand are in the ledger."""
    told = [{"line": line} for line in lines] or [{}] * len(traces)
    some = [(t, more) for t, more in zip(traces, told, strict=True) if t.before["safety"] != t.after["safety"]]
    changes = [
        (t.label.replace(", ", " ", 1), {"safety": t.before["safety"]}, {"safety": t.after["safety"]}) for t, _ in some
    ]
    told = [more for _, more in some]
    await audit.record_many(tx, action="set_safety", entity="stock", changes=changes, told=told)


async def _standing(tx: Tx, keys: Sequence[tuple[int, int]], *, lock: bool) -> dict[tuple[int, int], tuple[int, int]]:
    """Return what stands on balances, on hand and safety stock; what is about to be written is locked first.

    Balances that are not there are absent. Locked, they are made: another table that states them waits.
    """
    found = await reads.availability(tx, sorted({sku for sku, _ in keys}), sorted({place for _, place in keys}))
    there = {(a.sku_id, a.location_id): (a.on_hand, a.safety) for a in found}
    if not lock:
        return there
    await service.ensure_balances(tx, keys)
    locked = {key: (a.on_hand, a.safety) for key, a in (await service.lock_balances(tx, keys)).items()}
    return {key: stands for key, stands in locked.items() if key in there or stands != (0, 0)}


def _stated(row: Row, there: int) -> int:
    """Return how many units are there by a row, of which `there` are by now."""
    on_hand: int = row.values["on_hand"]
    return there if _as_exported(row) else on_hand


def _as_exported(row: Row) -> bool:
    """Tell whether a row says what it said when it was exported."""
    return bool(row.values.get(EXPORTED) == row.values["on_hand"])


def _moved(row: Row, there: int) -> list[Flaw]:
    """Return that a row which says what it said when it was exported does not say what is there by now."""
    if not _as_exported(row) or row.values["on_hand"] == there:
        return []
    says = N_("On hand is {units} by now. The line says what it said when it was exported, so that stays.")
    mend = N_("To set it all the same, empty its cell of what was there at the export.")
    return [Flaw("on_hand", says, mend, {"units": there})]


def _trace(key: tuple[int, int], row: Row, before: tuple[int, int], after: tuple[int, int]) -> Trace:
    def told(stock: tuple[int, int]) -> dict[str, int]:
        return {"on_hand": stock[0], "safety": stock[1]}

    label = f"{row.values['sku']}, {row.values['location']}"
    return Trace(key=f"{key[0]}:{key[1]}", label=label, before=told(before), after=told(after))


def _named(row: Row) -> tuple[str, str]:
    return row.values["location"], row.values.get("owner", "")


def _flaws(
    row: Row,
    cards: Mapping[str, VariantCard],
    meant: Mapping[str, str],
    places: Mapping[str, int],
    kept: Mapping[tuple[str, str], str],
) -> list[Flaw]:
    sku, location = row.values["sku"], row.values["location"]
    flaws = []
    card = cards.get(sku)
    if card is None:
        flaws.append(mangled.unknown(sku, meant))
    elif card.is_kit:
        says = N_("{value} is a kit: it has no stock of its own.")
        flaws.append(Flaw("sku", says, N_("State the stock of its components."), {"value": sku}))
    if location not in places:
        says, mend = N_("There is no location {value}, or it is not one of yours."), N_("Use the code of a location.")
        flaws.append(Flaw("location", says, mend, {"value": location}))
    elif "owner" in row.values and kept.get(_named(row)) not in places:
        facts = {"owner": row.values["owner"], "key": location}
        flaws.append(Flaw("owner", OwnerNotAtSite.says, OwnerNotAtSite.mend, facts))
    return flaws


async def stock_pages(database: Database, actor: Actor) -> AsyncIterator[list[list[object]]]:
    """Yield the balances an actor may see, header first, as rows that `StockImport` reads back unchanged.

    The safety stock is told where it was stated for the balance: what rules say would become a statement that wins over
    every rule once the table comes back.
    """
    yield [[column.name for column in COLUMNS]]
    async with database.transaction(actor) as tx:
        seen = [place for place in await network.locations(tx) if actor.sees(place.id)]
        establishments = {e.id: e.code for e in await network.establishments(tx)}
    places = {place.id: place.code for place in seen}
    parted = {place.home for place in seen if place.site_id is not None}
    owners = {place.id: establishments[place.keeps] for place in seen if place.home in parted}
    after = ""
    while True:
        async with database.transaction(actor) as tx:
            found = await catalog.variant_page(tx, after=after, limit=SKUS_AT_ONCE)
            skus = {row.id: row.sku for row in found}
            balances = await reads.availability(tx, sorted(skus), sorted(places))
            stated = await safety_reads.stated(tx, sorted(skus))
        if not found:
            return
        after = found[-1].sku
        balances.sort(key=lambda a: (skus[a.sku_id], places[a.location_id]))
        yield [
            [
                skus[a.sku_id],
                places[a.location_id],
                a.on_hand,
                a.safety if (a.sku_id, a.location_id) in stated else "",
                owners.get(a.location_id, ""),
                a.on_hand,
            ]
            for a in balances
        ]
