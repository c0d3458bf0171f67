"""What happens to an order's payment. Part of the order's life: the aggregate is the order."""

from datetime import datetime
from typing import ClassVar

from malha.ordering.events import OrderEvent


class PaymentEvent(OrderEvent, frozen=True, kw_only=True):
    """Base: a fact on one tender. `state` is the order's payment state afterwards, amounts are centavos."""

    TYPE: ClassVar[str] = "payment"

    position: int
    tender: str
    amount: int
    reference: str
    state: str


class PaymentAuthorised(PaymentEvent, frozen=True, kw_only=True):
    """The money is secured."""

    TYPE: ClassVar[str] = "payment.authorised"


class PaymentCaptured(PaymentEvent, frozen=True, kw_only=True):
    """The money is ours."""

    TYPE: ClassVar[str] = "payment.captured"


class PaymentRefunded(PaymentEvent, frozen=True, kw_only=True):
    """Money went back to the customer. A `favour` is nothing of what was due for what was cancelled."""

    TYPE: ClassVar[str] = "payment.refunded"

    favour: bool = False


class PaymentChargedBack(PaymentEvent, frozen=True, kw_only=True):
    """The customer fetched money back through their bank; it may have been refunded before."""

    TYPE: ClassVar[str] = "payment.charged_back"


class PaymentVoided(PaymentEvent, frozen=True, kw_only=True):
    """An authorisation was given up."""

    TYPE: ClassVar[str] = "payment.voided"


class PaymentDeclined(PaymentEvent, frozen=True, kw_only=True):
    """The tender was refused."""

    TYPE: ClassVar[str] = "payment.declined"


class TenderAdded(OrderEvent, frozen=True, kw_only=True):
    """The customer pays with something more, or something else."""

    TYPE: ClassVar[str] = "payment.tender_added"

    position: int
    tender: str
    amount: int
    state: str


class PaymentTimeOver(OrderEvent, frozen=True, kw_only=True):
    """The money did not come in time: `units` are free for others, late money finds the order for `keep_days` more."""

    TYPE: ClassVar[str] = "payment.time_over"

    units: int
    keep_days: int


class PaymentTimeExtended(OrderEvent, frozen=True, kw_only=True):
    """The customer has more time to pay."""

    TYPE: ClassVar[str] = "payment.time_extended"

    until: datetime
