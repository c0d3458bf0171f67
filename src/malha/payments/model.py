"""Words of payment: tenders, the facts recorded on them, and what an order's payment amounts to."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from malha.platform.ids import UUID


class TenderKind(StrEnum):
    """What the customer pays with. `prepaid` was paid to the channel, which settles with us."""

    PREPAID = "prepaid"
    CASH = "cash"
    CARD_TERMINAL = "card_terminal"
    CREDIT_CARD = "credit_card"
    DEBIT_CARD = "debit_card"
    PIX = "pix"
    BOLETO = "boleto"
    VOUCHER = "voucher"
    ON_DELIVERY = "on_delivery"


class FactKind(StrEnum):
    """What happened on a tender. Recorded as a fact: somebody else moved the money."""

    AUTHORISED = "authorised"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    VOIDED = "voided"
    DECLINED = "declined"
    CHARGED_BACK = "charged_back"  # fetched back by the customer through their bank, refunded or not


class PaymentState(StrEnum):
    """Derived: how far an order is paid."""

    UNPAID = "unpaid"
    PENDING = "pending"
    AUTHORISED = "authorised"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DECLINED = "declined"


class Secured(msgspec.Struct, frozen=True):
    """How far an order's money is secured. `missing`: centavos of what is payable; `enough`: by its channel's policy.

    `waived`: it is not enough, and a person overrode the hold for that.
    """

    missing: int
    enough: bool
    waived: bool

    @property
    def suffices(self) -> bool:
        """Tell whether nothing waits for money."""
        return self.enough or self.waived


class WentBack(Protocol):
    """What was taken, of a tender or an order, and what of it went back."""

    @property
    def captured(self) -> int:
        """Return what was taken, in centavos."""
        ...

    @property
    def refunded(self) -> int:
        """Return what we gave back."""
        ...

    @property
    def charged_back(self) -> int:
        """Return what the customer fetched back through their bank, refunded or not."""
        ...


class Sums(msgspec.Struct, frozen=True):
    """What was recorded, of one tender or of all tenders of an order, in centavos."""

    authorised: int = 0
    captured: int = 0
    refunded: int = 0
    voided: int = 0
    charged_back: int = 0
    favour: int = 0  # of what was refunded: what was given beyond what was due

    @property
    def covered(self) -> int:
        """Return the money one tender secures: captured, or still authorised for capture, less what went back."""
        return max(max(self.authorised - self.voided, self.captured) - self.refunded - self.charged_back, 0)

    def plus(self, kind: FactKind, amount: int, *, favour: bool = False) -> "Sums":
        """Return the sums after one more fact; a decline moves nothing, and only a refund is a favour."""
        if kind is FactKind.DECLINED:
            return self
        given = amount if favour and kind is FactKind.REFUNDED else 0
        moved = {kind.value: getattr(self, kind.value) + amount, "favour": self.favour + given}
        return msgspec.structs.replace(self, **moved)


class Tender(msgspec.Struct, frozen=True):
    """One tender with its sums; `declined` when the last thing recorded on it is a decline."""

    id: UUID
    position: int
    kind: TenderKind
    amount: int
    sums: Sums
    declined: bool = False

    @property
    def standing(self) -> Sums:
        """Return the sums as they count: of an authorisation that was declined since, only what was captured."""
        if not self.declined:
            return self.sums
        return msgspec.structs.replace(
            self.sums, voided=max(self.sums.voided, self.sums.authorised - self.sums.captured)
        )


class NewTender(msgspec.Struct, frozen=True, kw_only=True):
    """A tender as it is recorded; `state` says what already happened with its whole amount."""

    order_id: UUID
    position: int
    kind: str
    amount: int
    state: str = "pending"  # pending, authorised or captured
    reference: str | None = None
    installments: int = 1
    expires_at: datetime | None = None
    occurred_at: datetime | None = None  # of the authorisation or capture; None: now


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on a tender. (tender, kind, reference) is its natural key: it is recorded once."""

    position: int  # of the tender
    kind: FactKind
    amount: int
    reference: str
    occurred_at: datetime | None = None
    favour: bool = False  # a refund that was due for nothing: an apology, the freight


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an order's payment stands, in centavos. `refund_due` is what is to be given back for what was cancelled.

    `favour` is what of `refunded` was given beyond that, and takes nothing off it.
    """

    state: PaymentState
    payable: int
    authorised: int
    captured: int
    refunded: int
    voided: int
    charged_back: int
    favour: int
    refund_due: int
    lost: int  # refunded and charged back: it went back twice
    repeated: bool = False  # the fact had been recorded before; nothing changed
