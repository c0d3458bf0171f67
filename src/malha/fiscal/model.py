"""Words of fiscal documents as facts. Issuing them comes later, on the same tables."""

from datetime import datetime
from enum import StrEnum

import msgspec

from malha.platform.ids import UUID


class Provider(StrEnum):
    """Who issued a document, or told us of it."""

    ERP = "erp"
    MANUAL = "manual"
    SEFAZ = "sefaz"
    GATEWAY = "gateway"
    STORE = "store"


class Flow(StrEnum):
    """How goods leave; a policy may tell them apart."""

    SHIP = "ship"
    PICKUP = "pickup"


class DocumentPolicy(StrEnum):
    """Whether an establishment's goods need a document before they leave."""

    REQUIRED = "required"
    NOT_REQUIRED = "not_required"


class Issuer(msgspec.Struct, frozen=True):
    """The establishment whose stock a location holds: it issues the documents of what leaves from there."""

    establishment_id: int
    code: str
    cnpj: str
    state: str
    policy: DocumentPolicy


class Covered(msgspec.Struct, frozen=True):
    """Units of one SKU of one order line that a document covers."""

    line: int
    sku_id: int
    quantity: int


class Worth(msgspec.Struct, frozen=True):
    """What the goods of a document may come to on it, in centavos; `most` None: there is no telling."""

    least: int
    most: int | None
    rounding: int  # how far a total may be from that


class DocumentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A document as somebody else issued it.

    `model`, `series` and `number` may be left out: the key says them. `lines` None: it covers what was packed. `total`
    in centavos; None: the worth of the units it covers. `total_reason`: why a total is right that the goods are not
    worth, as somebody said it.
    """

    access_key: str
    issued_at: datetime | None = None
    provider: Provider = Provider.MANUAL
    protocol: str | None = None
    total: int | None = None
    total_reason: str | None = None
    model: str | None = None
    series: int | None = None
    number: int | None = None
    lines: list[Covered] | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A document after it was recorded; `repeated`: it had been before, nothing changed."""

    id: UUID
    order_id: UUID
    fulfillment_id: UUID
    access_key: str
    model: str
    series: int
    number: int
    total: int
    repeated: bool = False


class Standing(msgspec.Struct, frozen=True):
    """A document as it stands in the table."""

    id: UUID
    access_key: str
    model: str
    series: int
    number: int
    state: str
    source_id: UUID
    total: int
