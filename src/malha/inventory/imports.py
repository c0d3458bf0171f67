"""Stock from a table, one row per SKU and location, and back.

A row states what is physically there; the ledger gets the difference, so the same file twice changes nothing the second
time. Of repeated pairs the last row counts. There is no undo: what was sold meanwhile rests on the new numbers.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.inventory import reads, service
from malha.inventory.model import Claim, Reason, Reference
from malha.network import reads as network
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import Outcome, combine
from malha.platform.tabular import BadCell, Column, Row, whole

SKUS_AT_ONCE = 500


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
)


class StockImport:
    """Rows of balances; a `malha.platform.imports.Target`."""

    entity = "stock"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk; a person sees and states the stock of their own locations only."""
        outcome = Outcome()
        cards = {card.sku: card for card in await catalog.by_skus(tx, [row.values["sku"] for row in rows])}
        places = {place.code: place.id for place in await network.locations(tx) if tx.actor.sees(place.id)}
        good: dict[tuple[int, int], Row] = {}
        for row in rows:
            flaws = list(_flaws(row, cards, places))
            if flaws:
                combine(outcome, row.line, flaws)
            else:
                good[cards[row.values["sku"]].id, places[row.values["location"]]] = row
        skus, locations = sorted({sku for sku, _ in good}), sorted({place for _, place in good})
        standing = {
            (a.sku_id, a.location_id): (a.on_hand, a.safety) for a in await reads.availability(tx, skus, locations)
        }
        for key, row in good.items():
            on_hand, safety = standing.get(key, (0, 0))
            same = (on_hand, safety) == (row.values["on_hand"], row.values.get("safety", safety))
            outcome.created += key not in standing
            outcome.unchanged += key in standing and same
            outcome.changed += key in standing and not same
        outcome.unchanged += len(rows) - len(outcome.flaws) - len(good)  # rows that a later one of the chunk overrides
        if apply and good:
            stated = [Claim(*key, row.values["on_hand"]) for key, row in good.items()]
            await service.set_on_hand(tx, stated, Reference("import"), Reason.SET)
            kept = [Claim(*key, row.values["safety"]) for key, row in good.items() if "safety" in row.values]
            if kept:
                await service.set_safety(tx, kept)
        return outcome


def _flaws(row: Row, cards: Mapping[str, VariantCard], places: Mapping[str, int]) -> list[Flaw]:
    sku, location = row.values["sku"], row.values["location"]
    flaws = []
    card = cards.get(sku)
    if card is None:
        flaws.append(Flaw("sku", N_("There is no SKU {value}."), N_("Import its product first."), {"value": sku}))
    elif card.is_kit:
        says = N_("{value} is a kit: it has no stock of its own.")
        flaws.append(Flaw("sku", says, N_("State the stock of its components."), {"value": sku}))
    if location not in places:
        says, mend = N_("There is no location {value}, or it is not one of yours."), N_("Use the code of a location.")
        flaws.append(Flaw("location", says, mend, {"value": location}))
    return flaws


async def stock_pages(database: Database, actor: Actor) -> AsyncIterator[list[list[object]]]:
    """Yield the balances an actor may see, header first, as rows that `StockImport` reads back unchanged."""
    yield [[column.name for column in COLUMNS]]
    async with database.transaction(actor) as tx:
        places = {place.id: place.code for place in await network.locations(tx) if actor.sees(place.id)}
    after = ""
    while True:
        async with database.transaction(actor) as tx:
            found = await catalog.variant_page(tx, after=after, limit=SKUS_AT_ONCE)
            skus = {row.id: row.sku for row in found}
            balances = await reads.availability(tx, sorted(skus), sorted(places))
        if not found:
            return
        after = found[-1].sku
        balances.sort(key=lambda a: (skus[a.sku_id], places[a.location_id]))
        yield [[skus[a.sku_id], places[a.location_id], a.on_hand, a.safety] for a in balances]
