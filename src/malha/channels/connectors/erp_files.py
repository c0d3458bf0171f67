"""An ERP, or any old system, that can only put CSV files on an SFTP server and take them from there.

It writes into `in`; which file says what is told by its name (`PROD*`, `PRICE*`, `STOCK*`, `ORDER*` and what they are
called in Portuguese). We write into `out`, one file for each thing that is told, named by its order and our key of it:

    SHIPMENT_1001_1f0c9a34.csv   CANCELLATION_1001_77ab01c2.csv   REFUND_1001_0b54e911.csv

What was read is put into `processed`, or into `errors` beside the rows that are to be mended. The columns of each file
are described on the page "Connect an ERP by files".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, BinaryIO, ClassVar

import msgspec
from msgspec import Meta

from malha.channels.connectors import erp_tables
from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.erp_goods import Goods
from malha.channels.connectors.erp_orders import Orders
from malha.channels.connectors.filed import FilesConfig, Folders, Pattern, files_of, style_of
from malha.channels.connectors.filed_stock import stock_told
from malha.channels.contract import (
    CancelPush,
    Capability,
    Ctx,
    ExtRef,
    FileTold,
    Invalid,
    Limits,
    Misfit,
    Ok,
    RefundPush,
    Result,
    ShipmentPush,
    Tier,
)

PAIRS = r"^[^\x00]*$"


class ErpFilesConfig(FilesConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are, how the ERP writes, and which of its files say what."""

    products: Annotated[
        Pattern, Meta(title="Files of products", description="By name; several with commas between them.")
    ] = "PROD*"
    prices: Annotated[
        Pattern, Meta(title="Files of prices", description="By name; several with commas between them.")
    ] = "PRICE*, PRECO*"
    stock: Annotated[
        Pattern, Meta(title="Files of stock", description="By name; several with commas between them.")
    ] = "STOCK*, ESTOQUE*"
    orders: Annotated[
        Pattern, Meta(title="Files of orders", description="By name; several with commas between them.")
    ] = "ORDER*, PEDIDO*"
    columns: Annotated[
        str,
        Meta(
            max_length=2_000,
            pattern=PAIRS,
            title="Headings of its own",
            description="Where its headings are not understood by themselves: COD_PROD=sku, VLR_VENDA=price",
        ),
    ] = ""
    locations: Annotated[
        str,
        Meta(
            max_length=2_000,
            pattern=PAIRS,
            title="Locations",
            description="What it calls our locations, where that is not our code: 01=LOJA-1, 02=CD",
        ),
    ] = ""
    currency: Annotated[
        str, Meta(pattern="^[A-Z]{3}$", title="Currency", description="Of prices, and of orders that name none.")
    ] = "BRL"
    stock_source: Annotated[
        str, Meta(max_length=40, title="Stock source", description="Code of the source whose word its stock is.")
    ] = ""

    def __post_init__(self) -> None:
        """Refuse pairs that cannot be read, and headings that would mean nothing.

        Raises:
            Misfit: there is one.
        """
        known = erp_tables.KNOWN | set(erp_tables.STOCK)
        for theirs, ours in _pairs("columns", self.columns, "COD_PROD=sku"):
            if ours not in known:
                raise Misfit(
                    "columns",
                    "“{pair}”: there is no column {column}.",
                    "Choose one of these: {choices}.",
                    pair=f"{theirs}={ours}"[:80],
                    column=ours[:40],
                    choices=", ".join(sorted(known)),
                )
        _pairs("locations", self.locations, "01=LOJA-1")


def _pairs(field: str, text: str, example: str) -> list[tuple[str, str]]:
    try:
        return list(erp_tables.pairs(text))
    except erp_tables.NoPairError as error:
        raise Misfit(
            field,
            "“{pair}” is no pair.",
            "Write both sides with a = between them, as {example}.",
            pair=error.part,
            example=example,
        ) from None


class ErpFiles(Folders):
    """See the module."""

    key: ClassVar[str] = "erp_files"
    name: ClassVar[str] = "ERP by files (SFTP)"
    config_model: ClassVar[type[msgspec.Struct]] = ErpFilesConfig
    kinds: ClassVar[Sequence[str]] = ("products", "prices", "orders", "stock")
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.FILES,
            Capability.CATALOG_SOURCE,
            Capability.ORDERS,
            Capability.SHIPMENTS,
            Capability.CANCELS,
        }
    )
    product_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "name",
            "description",
            "brand",
            "category",
            "attributes",
            "options",
            "pictures",
            "ncm",
            "cest",
            "origin",
            "variant_name",
            "gtin",
            "weight",
            "dimensions",
            "price",
        }
    )
    limits: ClassVar[Limits] = Limits(rate=20.0, burst=100.0, in_flight=4, batch=100)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    # --- what it tells ---

    def understand(self, config: ErpFilesConfig, name: str, body: BinaryIO, modified: datetime) -> FileTold:
        """Return what a file tells; its rows are read from it again whenever they are asked for."""
        kind = self.kind_of(config, name)
        headings = {tables.fold(theirs): ours for theirs, ours in erp_tables.pairs(config.columns)}
        places = dict(erp_tables.pairs(config.locations))
        if kind is None:
            raise Invalid(name, code="unknown_file")
        if kind == "stock":
            return stock_told(config, name, body, modified, places, erp_tables.table_of(kind, headings))
        if kind == "orders":
            return Orders(config, body, modified, headings, config.currency, places).told()
        return Goods(kind, config, body, headings, config.currency).told()

    # --- what it is told ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Tell whether the file was ever to be seen, though the ERP may have taken it away."""
        return await self._find(ctx, [_name("SHIPMENT", shipment.order, key)])

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Write the file of a parcel."""
        about = (shipment.carrier, shipment.tracking, shipment.shipped_at, _theirs(ctx.config, shipment.location))
        rows = [(shipment.order, shipment.shipment, n.line, n.sku, n.quantity, *about) for n in shipment.lines]
        return await self._write(ctx, _name("SHIPMENT", shipment.order, key), SHIPMENT, rows)

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Tell whether the file of a cancel or a refund was ever to be seen."""
        return await self._find(ctx, [_name("CANCELLATION", order, key), _name("REFUND", order, key)])

    async def cancel(self, ctx: Ctx, push: CancelPush, key: str) -> Result:
        """Write the file of what will not come."""
        whole = "yes" if push.whole else "no"
        rows = [(push.order, whole, n.line, n.sku, n.quantity, push.reason) for n in push.lines]
        name = _name("CANCELLATION", push.order, key)
        return await self._write(ctx, name, CANCELLATION, rows or [(push.order, whole, "", "", "", push.reason)])

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Write the file of money that the ERP is to give back."""
        amount = erp_tables.major_of(push.amount, ctx.config.numbers, push.currency)
        rows = [(push.order, push.payment, amount, push.currency)]
        return await self._write(ctx, _name("REFUND", push.order, key), REFUND, rows)

    async def _find(self, ctx: Ctx, names: Sequence[str]) -> ExtRef | None:
        for name in names:
            if await files_of(ctx).wrote(ctx.config.outgoing, name):
                return ExtRef(name)
        return None

    async def _write(self, ctx: Ctx, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Result:
        await files_of(ctx).write(ctx.config.outgoing, name, tables.written(header, rows, style_of(ctx.config)))
        return Ok(name)


SHIPMENT = ("order", "shipment", "line", "sku", "quantity", "carrier", "tracking", "shipped_at", "location")
CANCELLATION = ("order", "whole", "line", "sku", "quantity", "reason")
REFUND = ("order", "payment", "amount", "currency")


def _name(kind: str, order: str, key: str) -> str:
    return f"{kind}_{re.sub(r'[^A-Za-z0-9-]', '', order)[:60]}_{key.replace('-', '')[:12]}.csv"


def _theirs(config: ErpFilesConfig, location: str) -> str:
    """Return what the ERP calls a location of ours."""
    names: Mapping[str, str] = {ours: theirs for theirs, ours in erp_tables.pairs(config.locations)}
    return names.get(location, location)
