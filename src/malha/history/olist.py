"""The "Brazilian E-Commerce Public Dataset by Olist" as orders, products and sellers; nothing is dropped.

Reads the public CSV names or parquet files of the same tables. Money becomes centavos, local times get their zone. An
item row is one unit; equal items of one seller become a line. The dataset names no people: a buyer is known by
`customer_unique_id`, which becomes an address under the reserved domain `.invalid`, so that one person is one customer.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec

from malha.catalog.model import CategoryDraft, ProductDraft, VariantDraft
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.network.model import (
    ChannelDraft,
    ChannelKind,
    DocumentPolicy,
    EntityKind,
    EstablishmentDraft,
    LocationDraft,
    LocationKind,
    PaymentPolicy,
    RateDraft,
    ServiceDraft,
    ShortagePolicy,
)
from malha.network.places import locate
from malha.platform.address import Address
from malha.platform.brazil import cnpj_check_digits

ZONE = ZoneInfo("America/Sao_Paulo")
CHANNEL = "olist"
SERVICE = "olist-standard"
CARRIER = "Olist"
HEAVIEST_GRAMS = 200_000
FIRST_ROOT = 90_000_000  # of the invented CNPJs of sellers, whose real ones the dataset does not hold

# Table -> stems its file may have.
TABLES = {
    "orders": ("olist_orders_dataset", "orders"),
    "order_items": ("olist_order_items_dataset", "order_items"),
    "order_payments": ("olist_order_payments_dataset", "order_payments_full", "order_payments"),
    "customers": ("olist_customers_dataset", "customers"),
    "sellers": ("olist_sellers_dataset", "sellers"),
    "products": ("olist_products_dataset", "products"),
    "product_category_name_translation": ("product_category_name_translation",),
}
_TENDERS = {"credit_card": "credit_card", "boleto": "boleto", "voucher": "voucher", "debit_card": "debit_card"}

Row = dict[str, Any]


class OlistError(ValueError):
    """The folder does not hold the dataset; the message says what is missing."""


class Status(StrEnum):
    """The dataset's own states of an order."""

    CREATED = "created"
    APPROVED = "approved"
    PROCESSING = "processing"
    INVOICED = "invoiced"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELED = "canceled"
    UNAVAILABLE = "unavailable"


class Past(msgspec.Struct, frozen=True):
    """One order of the dataset: what is submitted, and what became of it."""

    status: Status
    order: NewOrder
    approved_at: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    paid: int  # centavos in the payments table

    @property
    def total(self) -> int:
        """Return items and freight in centavos."""
        order = self.order
        return sum(line.quantity * line.unit_price for line in order.lines) + order.shipping


class Dataset(msgspec.Struct):
    """Everything the importer needs."""

    categories: list[CategoryDraft]
    products: list[ProductDraft]
    establishments: list[EstablishmentDraft]
    locations: list[LocationDraft]
    channel: ChannelDraft
    service: ServiceDraft
    past: list[Past]
    stock: dict[tuple[str, str], int]  # (SKU, location) -> units its orders need
    moved_sellers: dict[str, tuple[str, str]]  # seller -> (state it states, state of its postal code)
    left_out: dict[str, str]  # order id -> why it cannot be submitted
    payments_elsewhere: int  # orders in the payments table that the orders table does not have
    paid_total: int  # centavos of the payments of all orders in the orders table


def read(folder: Path) -> Dataset:
    """Read the dataset.

    Raises:
        OlistError: a table is missing, or is not as it was published.
    """
    try:
        return _read(folder)
    except OlistError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError) as error:
        cause = " ".join(str(error).split())[:200]
        raise OlistError(
            f"{folder} does not hold the dataset as it was published: {type(error).__name__}: {cause}. "
            "Mend: take its files anew."
        ) from error


def _read(folder: Path) -> Dataset:
    tables = {name: _table(folder, name, stems) for name, stems in TABLES.items()}
    orders = {row["order_id"]: row for row in tables["orders"]}
    items = _grouped(tables["order_items"], orders)
    payments = _grouped(tables["order_payments"], orders)
    customers = {row["customer_id"]: row for row in tables["customers"]}
    sellers, moved = _placed(tables["sellers"])
    by_short = {seller_id[:16]: row for seller_id, row in sellers.items()}
    left_out: dict[str, str] = {}
    past: list[Past] = []
    for order_id, row in sorted(orders.items(), key=lambda pair: (pair[1]["order_purchase_timestamp"], pair[0])):
        if order_id not in items:
            left_out[order_id] = "no items"
        elif row["customer_id"] not in customers:
            left_out[order_id] = "no customer"
        else:
            past.append(_past(row, items[order_id], payments.get(order_id, []), customers[row["customer_id"]]))
    used = {item["seller_id"] for rows in items.values() for item in rows}
    stock: dict[tuple[str, str], int] = defaultdict(int)
    for p in past:
        if p.status is not Status.UNAVAILABLE:
            for line in p.order.lines:
                stock[line.sku, _seller_of(line.sku, by_short)] += line.quantity
    categories = _categories(tables["product_category_name_translation"], tables["products"])
    elsewhere = {row["order_id"] for row in tables["order_payments"]} - orders.keys()
    return Dataset(
        categories=categories,
        products=_products(tables["products"], items.values()),
        establishments=[_establishment(n, sellers[s]) for n, s in enumerate(sorted(used))],
        locations=[_location(sellers[s]) for s in sorted(used)],
        channel=ChannelDraft(
            code=CHANNEL,
            name="Olist",
            kind=ChannelKind.MARKETPLACE,
            shortage_policy=ShortagePolicy.HOLD,
            payment_policy=PaymentPolicy.SETTLED_BY_CHANNEL,
            release_delay_minutes=0,
        ),
        service=_service(past, by_short),
        past=past,
        stock=dict(stock),
        left_out=left_out,
        moved_sellers={seller: states for seller, states in moved.items() if seller in used},
        payments_elsewhere=len(elsewhere),
        paid_total=sum(cents(row["payment_value"]) for rows in payments.values() for row in rows),
    )


def first(data: Dataset, orders: int) -> Dataset:
    """Return the dataset of its first orders by time, with the sellers and goods they need."""
    past = data.past[:orders]
    used = {line.sku for p in past for line in p.order.lines}
    needed: dict[str, int] = defaultdict(int)
    for p in past:
        if p.status is not Status.UNAVAILABLE:
            for line in p.order.lines:
                needed[line.sku] += line.quantity
    stock = {key: needed[key[0]] for key in data.stock if needed.get(key[0])}
    sellers = {seller for sku, seller in data.stock if sku in used}
    return msgspec.structs.replace(
        data,
        products=[p for p in data.products if any(v.sku in used for v in p.variants)],
        establishments=[e for e in data.establishments if e.code in sellers],
        locations=[place for place in data.locations if place.code in sellers],
        past=past,
        stock=stock,
    )


def _placed(rows: Iterable[Row]) -> tuple[dict[str, Row], dict[str, tuple[str, str]]]:
    """Return sellers by id, each in the state its postal code lies in, and those that state another one."""
    sellers: dict[str, Row] = {}
    moved: dict[str, tuple[str, str]] = {}
    for row in rows:
        place = locate(f"{row['seller_zip_code_prefix']}000")
        if place is not None and place.state != row["seller_state"]:
            moved[row["seller_id"]] = row["seller_state"], place.state
            sellers[row["seller_id"]] = {**row, "seller_state": place.state, "seller_city": place.city}
        else:
            sellers[row["seller_id"]] = row
    return sellers, moved


def cents(value: float) -> int:
    """Return an amount in reais as centavos."""
    return round(float(value) * 100)


def sku_of(product_id: str, seller_id: str) -> str:
    """Return the SKU of a seller's offer of a product: the buyer chose both."""
    return f"{product_id}.{seller_id[:16]}"


def _seller_of(sku: str, sellers: dict[str, Row]) -> str:
    """Return the seller of a SKU; `sellers` is keyed by the first 16 characters of their ids."""
    seller: str = sellers[sku.partition(".")[2]]["seller_id"]
    return seller


def _table(folder: Path, name: str, stems: Iterable[str]) -> list[Row]:
    # Brings a hundred megabytes with it, and nothing else of Malha needs it.
    import pyarrow.csv as pa_csv  # noqa: PLC0415
    import pyarrow.parquet as pa_parquet  # noqa: PLC0415

    for stem in stems:
        if (folder / f"{stem}.parquet").is_file():
            return cast("list[Row]", pa_parquet.read_table(folder / f"{stem}.parquet").to_pylist())
        if (folder / f"{stem}.csv").is_file():
            # Prefixes of postal codes begin with zeros: they are text.
            text = dict.fromkeys(("customer_zip_code_prefix", "seller_zip_code_prefix"), "string")
            options = pa_csv.ConvertOptions(column_types=text, strings_can_be_null=True)
            return cast("list[Row]", pa_csv.read_csv(folder / f"{stem}.csv", convert_options=options).to_pylist())
    wanted = ", ".join(f"{stem}.csv or {stem}.parquet" for stem in stems)
    raise OlistError(f"{folder} has no table of {name.replace('_', ' ')}: expected {wanted}.")


def _grouped(rows: Iterable[Row], orders: dict[str, Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["order_id"] in orders:
            groups[row["order_id"]].append(row)
    return groups


def _zoned(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=ZONE)


def _past(row: Row, items: list[Row], payments: list[Row], customer: Row) -> Past:
    placed_at = row["order_purchase_timestamp"].replace(tzinfo=ZONE)
    approved_at = _zoned(row["order_approved_at"])
    units: dict[tuple[str, int], int] = defaultdict(int)
    freight = 0
    for item in sorted(items, key=lambda item: item["order_item_id"]):
        units[sku_of(item["product_id"], item["seller_id"]), cents(item["price"])] += 1
        freight += cents(item["freight_value"])
    promised = _zoned(row["order_estimated_delivery_date"])
    order = NewOrder(
        channel=CHANNEL,
        external_id=row["order_id"],
        placed_at=placed_at,
        customer=Buyer(
            name=f"Cliente {customer['customer_unique_id'][:8]}",
            email=f"{customer['customer_unique_id']}@olist.invalid",
        ),
        ship_to=Address(
            postal_code=f"{customer['customer_zip_code_prefix']}000",
            city=customer["customer_city"].title(),
            state=customer["customer_state"],
        ),
        service=SERVICE,
        lines=[NewLine(sku, quantity, price) for (sku, price), quantity in units.items()],
        shipping=freight,
        payments=[
            NewPayment(
                kind=_TENDERS[str(payment["payment_type"])],  # type: ignore[arg-type]  # the four kinds are tenders
                amount=cents(payment["payment_value"]),
                state="pending" if approved_at is None else "captured",
                reference=f"{row['order_id']}-{payment['payment_sequential']}",
                installments=max(1, int(payment["payment_installments"] or 1)),
                paid_at=approved_at,
            )
            for payment in sorted(payments, key=lambda p: p["payment_sequential"])
            if str(payment["payment_type"]) in _TENDERS and cents(payment["payment_value"]) > 0
        ],
        promised_at=None if promised is None else promised + timedelta(hours=23, minutes=59),
    )
    return Past(
        Status(str(row["order_status"])),
        order,
        approved_at,
        _zoned(row["order_delivered_carrier_date"]),
        _zoned(row["order_delivered_customer_date"]),
        sum(cents(payment["payment_value"]) for payment in payments),
    )


def _categories(translations: Iterable[Row], products: Iterable[Row]) -> list[CategoryDraft]:
    names = {row["product_category_name"] for row in translations}
    names |= {row["product_category_name"] for row in products if row["product_category_name"]}
    return [CategoryDraft(code=name, name=name.replace("_", " ").capitalize()) for name in sorted(names)]


def _products(rows: Iterable[Row], items: Iterable[list[Row]]) -> list[ProductDraft]:
    """Return the products that were sold, with one variant for each seller's offer."""
    offers: dict[str, set[str]] = defaultdict(set)
    for group in items:
        for item in group:
            offers[item["product_id"]].add(item["seller_id"])
    drafts = []
    for row in sorted(rows, key=lambda row: row["product_id"]):
        product_id = row["product_id"]
        if product_id not in offers:
            continue
        name = (row["product_category_name"] or "produto").replace("_", " ").capitalize()
        grams, long, high, wide = (
            int(row[column] or 0)
            for column in ("product_weight_g", "product_length_cm", "product_height_cm", "product_width_cm")
        )
        drafts.append(
            ProductDraft(
                code=product_id,
                name=f"{name} {product_id[:6]}",
                category=row["product_category_name"],
                variants=[
                    VariantDraft(
                        sku=sku_of(product_id, seller),
                        name=f"{name} {product_id[:6]}",
                        options={"seller": seller[:16]},
                        weight_grams=grams,
                        length_mm=long * 10,
                        height_mm=high * 10,
                        width_mm=wide * 10,
                    )
                    for seller in sorted(offers[product_id])
                ],
                options=["seller"],
            )
        )
    return drafts


def _establishment(n: int, seller: Row) -> EstablishmentDraft:
    base = f"{FIRST_ROOT + n:08}0001"
    return EstablishmentDraft(
        code=seller["seller_id"],
        name=_seller_name(seller),
        legal_name=_seller_name(seller),
        cnpj=base + cnpj_check_digits(base),
        state=seller["seller_state"],
        kind=EntityKind.VENDOR,
        document_policy=DocumentPolicy.NOT_REQUIRED,  # the seller's own document is not in the dataset
    )


def _seller_name(seller: Row) -> str:
    return f"Vendedor {seller['seller_id'][:6]}, {seller['seller_city'].title()}"


def _location(seller: Row) -> LocationDraft:
    return LocationDraft(
        code=seller["seller_id"],
        name=_seller_name(seller),
        kind=LocationKind.VENDOR,
        establishment=seller["seller_id"],
        address=Address(
            postal_code=f"{seller['seller_zip_code_prefix']}000",
            city=seller["seller_city"].title(),
            state=seller["seller_state"],
        ),
    )


def _service(past: Iterable[Past], sellers: dict[str, Row]) -> ServiceDraft:
    """Return the tariff the orders themselves show: median freight and transit per pair of states."""
    prices: dict[tuple[str, str], list[int]] = defaultdict(list)
    days: dict[tuple[str, str], list[int]] = defaultdict(list)
    for p in past:
        origins = {sellers[line.sku.partition(".")[2]]["seller_state"] for line in p.order.lines}
        if len(origins) > 1 or p.order.ship_to is None:
            continue
        lane = (origins.pop(), p.order.ship_to.state)
        prices[lane].append(p.order.shipping)
        if p.shipped_at and p.delivered_at:
            days[lane].append(max(0, (p.delivered_at - p.shipped_at).days))
    every = [price for group in prices.values() for price in group]
    waits = [day for group in days.values() for day in group]
    rates = [
        RateDraft(
            from_state=origin,
            to_state=to,
            max_grams=HEAVIEST_GRAMS,
            price=int(median(group)),
            per_extra_kg=100,
            lead_days=int(median(days.get((origin, to)) or waits or [7])),
        )
        for (origin, to), group in sorted(prices.items())
    ]
    anywhere = RateDraft(
        from_state="*",
        to_state="*",
        max_grams=HEAVIEST_GRAMS,
        price=int(median(every or [2000])),
        per_extra_kg=100,
        lead_days=int(median(waits or [7])),
    )
    return ServiceDraft(code=SERVICE, name="Olist", carrier=CARRIER, rates=[*rates, anywhere])
