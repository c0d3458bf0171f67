"""Which target reads a kind's rows, and which pages write them: the one table of what can come and go."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from malha.catalog.imports import PriceImport, ProductImport, price_pages, product_pages
from malha.channels.listings.imports import OverrideImport, override_pages, own_price
from malha.customers import reads as customers
from malha.customers.imports import CustomerImport, customer_pages
from malha.customers.model import Customer
from malha.exchange.model import Kind
from malha.inventory import standing
from malha.inventory.ahead.table import AheadImport, policy_pages
from malha.inventory.allotments.rows import FenceImport, fence_pages
from malha.inventory.imports import StockImport, stock_pages
from malha.inventory.safety.table import SafetyImport, rule_pages
from malha.network.imports import LocationImport, location_pages
from malha.ordering import reads as orders
from malha.platform import sheets, tabular
from malha.platform.db import Actor, Database, Tx
from malha.platform.imports import Target, Undoable
from malha.platform.sheets import Format, Reader

Pages = AsyncIterator[list[list[object]]]


TARGETS: Mapping[Kind, Callable[[], Target]] = {
    Kind.PRODUCTS: ProductImport,
    Kind.PRICES: PriceImport,
    Kind.STOCK: StockImport,
    Kind.LOCATIONS: LocationImport,
    Kind.CUSTOMERS: CustomerImport,
    Kind.ALLOTMENTS: FenceImport,
    Kind.SAFETY_RULES: SafetyImport,
    Kind.AHEAD_POLICIES: AheadImport,
    Kind.LISTINGS: OverrideImport,
}


def target_of(kind: Kind, allowed: Sequence[str] | None = None) -> Target:
    """Return a new target: some remember what a file said before. `allowed`: see `outward.inward`."""
    target = TARGETS[kind]()
    if isinstance(target, ProductImport):
        target.allowed, target.stands = allowed, standing.of
    return target


def undoable_of(kind: Kind) -> Undoable:
    """Return a target that takes back what an import wrote.

    Raises:
        LookupError: this kind cannot be undone.
    """
    target = target_of(kind)
    if isinstance(target, Undoable):
        return target
    raise LookupError(kind)


PAGES: Mapping[Kind, Callable[[Database, Actor], Pages]] = {
    Kind.PRODUCTS: lambda database, _actor: product_pages(database),
    Kind.PRICES: lambda database, _actor: price_pages(database),
    Kind.STOCK: stock_pages,
    Kind.LOCATIONS: lambda database, actor: location_pages(database, actor.locations),
    Kind.CUSTOMERS: lambda database, actor: (
        customer_pages(database) if actor.locations is None else _own_customers(database, actor.locations)
    ),
    Kind.ALLOTMENTS: fence_pages,
    Kind.SAFETY_RULES: rule_pages,
    Kind.AHEAD_POLICIES: policy_pages,
    Kind.LISTINGS: override_pages,
}


def pages_of(kind: Kind, database: Database, actor: Actor) -> Pages:
    """Return all rows of a kind that an actor may see, header first, each page read in a transaction of its own."""
    return PAGES[kind](database, actor)


def _own_customers(database: Database, locations: Collection[int]) -> Pages:
    """Return the customers who have an order at some locations."""
    own = sorted(locations)

    async def walk(tx: Tx, after: int) -> list[Customer]:
        ids = await orders.walk_customers_at(tx, own, after=after)
        found = await customers.by_ids(tx, ids)
        return [found[id_] for id_ in ids]

    return customer_pages(database, walk)


async def export(kind: Kind, format_: Format, database: Database, actor: Actor) -> AsyncIterator[bytes]:
    """Yield a file of a kind with the columns its import reads, so that a way there and back changes nothing."""
    async for piece in file_of(format_, pages_of(kind, database, actor), numbers_of(kind)):
        yield piece


async def file_of(
    format_: Format, pages: Pages, numbers: Mapping[str, sheets.Kind] = MappingProxyType({})
) -> AsyncIterator[bytes]:
    """Yield a file of rows, header first, whose headings are the same in every language.

    Args:
        format_: of the file.
        pages: texts and numbers, as an import reads them.
        numbers: the columns whose cells are numbers for a spreadsheet too; see `numbers_of`.
    """
    if format_ is Format.CSV:
        async for piece in tabular.as_csv(pages):
            yield piece
        return
    first = await anext(pages)
    columns = [sheets.Column(str(name), numbers.get(str(name), sheets.Kind.TEXT), 18, fixed=True) for name in first[0]]
    async for piece in sheets.written(format_, columns, _cells(columns, _below(first[1:], pages)), Reader.now()):
        yield piece


WHOLE = {
    Kind.STOCK: ("on_hand", "safety", "exported_on_hand"),
    Kind.ALLOTMENTS: ("quantity",),
    Kind.SAFETY_RULES: ("amount",),
    Kind.AHEAD_POLICIES: ("cap", "horizon_days", "handling_days"),
}


def numbers_of(kind: Kind) -> dict[str, sheets.Kind]:
    """Return the columns of a kind whose cells are numbers for a spreadsheet too."""
    kinds = {tabular.centavos: sheets.Kind.MONEY, own_price: sheets.Kind.MONEY}
    found = {column.name: kinds[column.parse] for column in target_of(kind).columns if column.parse in kinds}
    return found | dict.fromkeys(WHOLE.get(kind, ()), sheets.Kind.WHOLE)


async def _below(first: list[list[object]], pages: Pages) -> Pages:
    yield first
    async for page in pages:
        yield page


async def _cells(columns: Sequence[sheets.Column], pages: Pages) -> AsyncIterator[Sequence[sheets.Row]]:
    async for page in pages:
        yield [[_cell(column.kind, cell) for column, cell in zip(columns, row, strict=True)] for row in page]


def _cell(kind: sheets.Kind, cell: object) -> object:
    if kind is sheets.Kind.MONEY and cell not in {None, ""}:
        return tabular.scaled(str(cell), 2)
    # A text that begins like one that was defused gets a mark of its own, which reading takes away in its place.
    return f"'{cell}" if isinstance(cell, str) and tabular.undo(cell) != cell else cell
