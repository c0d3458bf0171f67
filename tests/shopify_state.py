"""What is in the Shopify shop of the tests, and what follows from it by arithmetic alone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

START = datetime(2026, 11, 27, 12, tzinfo=UTC)
ADDRESS: dict[str, str | None] = {
    "name": "Maria da Silva",
    "company": None,
    "phone": "+5511987654321",
    "address1": "Avenida Paulista, 1000",
    "address2": "apto 12",
    "city": "São Paulo",
    "provinceCode": "SP",
    "zip": "01310-100",
    "countryCodeV2": "BR",
}


def gid(kind: str, id_: int | str) -> str:
    return f"gid://shopify/{kind}/{id_}"


@dataclass
class Variant:
    id: int
    sku: str
    price: Decimal
    product: "Product"
    barcode: str = ""
    weight: tuple[float, str] | None = None
    options: tuple[tuple[str, str], ...] = (("Title", "Default Title"),)
    tracked: bool = True
    available: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    on_hand: dict[int, int] = field(default_factory=dict)
    fixed: dict[str, Decimal] = field(default_factory=dict)  # by price list


@dataclass
class Picture:
    id: int
    url: str
    alt: str | None = None
    status: str = "READY"


@dataclass
class Product:
    id: int
    title: str
    handle: str
    status: str = "ACTIVE"
    html: str = ""
    vendor: str = ""
    kind: str = ""
    taxon: str = ""  # of Shopify's own taxonomy, by its whole name
    tags: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    metafields: dict[tuple[str, str], str] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    updated: datetime = START

    @property
    def images(self) -> list[str]:
        """The addresses that its pictures came from, which Shopify itself forgets."""
        return [picture.url for picture in self.pictures]


@dataclass
class Line:
    id: int
    variant: Variant
    quantity: int
    unit: Decimal
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    removed: int = 0  # by refunds or edits
    refunded: int = 0  # by refunds
    returned: int = 0  # of these, those that had left
    gift_card: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Transaction:
    id: int
    kind: str
    amount: Decimal
    status: str = "SUCCESS"
    gateway: str = "cartao"
    parent: int | None = None
    at: datetime = START
    expires: datetime | None = None


@dataclass
class Refund:
    id: int
    note: str
    lines: list[tuple[Line, int]]
    amount: Decimal
    restock: str = "CANCEL"


@dataclass
class Work:
    """A fulfillment order: what a location shall send."""

    id: int
    location: int
    lines: list[list[Any]]  # [id, line, remaining, total]
    status: str = "OPEN"
    method: str = "SHIPPING"


@dataclass
class Fulfillment:
    id: int
    lines: list[tuple[Line, int]]
    location: int
    tracking: str
    company: str
    at: datetime
    notified: bool
    status: str = "SUCCESS"


@dataclass
class Order:
    id: int
    name: str
    created: datetime
    updated: datetime
    lines: list[Line]
    currency: str
    presentment: str
    shipping: Decimal = Decimal("15.00")
    shipping_tax: Decimal = Decimal(0)
    taxes_included: bool = True
    tip: Decimal = Decimal(0)
    transactions: list[Transaction] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    cancelled: datetime | None = None
    cancelling: float | None = None  # when the job is done
    job: int = 0
    note: str = ""
    pending_note: str = ""
    buyer_note: str = ""
    edited: bool = False
    test: bool = False
    source: str = "web"
    email: str = "maria@example.com"
    address: dict[str, str | None] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    changes: int = 1

    @property
    def total(self) -> Decimal:
        """Before returns, after edits that add."""
        return sum((self.of(line, line.quantity - (line.removed - line.refunded)) for line in self.lines), self.beside)

    @property
    def current(self) -> Decimal:
        return sum((self.of(line, line.quantity - line.removed) for line in self.lines), self.beside)

    @property
    def beside(self) -> Decimal:
        return self.shipping + (0 if self.taxes_included else self.shipping_tax) + self.tip

    def of(self, line: Line, units: int) -> Decimal:
        """What so many units of a line cost: discounts and taxes are of all units alike."""
        share = Decimal(units) / line.quantity
        tax = Decimal(0) if self.taxes_included else line.tax * share
        return (line.unit * units - line.discount * share + tax).quantize(Decimal("0.01"))

    @property
    def paid(self) -> Decimal:
        took = sum((t.amount for t in self.done if t.kind in {"SALE", "CAPTURE"}), Decimal(0))
        return took - sum((t.amount for t in self.done if t.kind == "CHANGE"), Decimal(0))

    @property
    def back(self) -> Decimal:
        return sum((t.amount for t in self.done if t.kind == "REFUND"), Decimal(0))

    @property
    def done(self) -> list[Transaction]:
        return [t for t in self.transactions if t.status == "SUCCESS"]

    @property
    def financial(self) -> str:
        if self.back:
            return "REFUNDED" if self.back >= self.paid else "PARTIALLY_REFUNDED"
        if self.paid:
            return "PAID" if self.paid >= self.total else "PARTIALLY_PAID"
        if any(t.kind == "VOID" for t in self.done):
            return "VOIDED"
        return "AUTHORIZED" if any(t.kind == "AUTHORIZATION" for t in self.done) else "PENDING"

    @property
    def fulfillment(self) -> str:
        if any(work.status in {"ON_HOLD", "SCHEDULED"} for work in self.works):
            return next(work.status for work in self.works if work.status in {"ON_HOLD", "SCHEDULED"})
        remaining = sum(row[2] for work in self.works for row in work.lines)
        if not self.fulfillments:
            return "UNFULFILLED"
        return "PARTIALLY_FULFILLED" if remaining else "FULFILLED"
