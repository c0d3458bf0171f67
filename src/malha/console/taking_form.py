"""What the form of an order taken by hand says, read leniently: it is asked for dates long before it is complete."""

import re
import secrets
from typing import NamedTuple

import msgspec

from malha.console.filling import Filled
from malha.platform.i18n import N_
from malha.platform.text import whole_in

MOST_LINES = 100
MOST_UNITS = 1_000_000
# The natural key a form gets when it is opened. Its own prefix: no form can take the key of a marketplace's order.
KEY = re.compile(r"CON-[0-9A-HJKMNP-TV-Z]{10}")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no letters that are read as others
_LINE = re.compile(r"lines/(\d{1,4})/sku")
NEW = "new"  # the address is typed
PROFILE = "profile"  # it is the customer's own
ANY = "any"  # no way of delivery was chosen: routing finds one, or the order waits


def new_key() -> str:
    """Return a key for one form: its orders are one order, however often it is sent."""
    return "CON-" + "".join(secrets.choice(_ALPHABET) for _ in range(10))


class Line(NamedTuple):
    """A line as it was typed. `at`: its number in the form. Amounts in centavos; None: nothing was typed."""

    at: int
    sku: str
    quantity: int
    price: int | None
    discount: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The form as it is filled in. `option`: how it reaches the customer, with what was shown of it."""

    key: str = ""
    channel: str = ""
    customer: int | None = None  # number of a profile; None: what is typed
    name: str = ""
    document: str = ""
    email: str = ""
    phone: str = ""
    address: str = NEW  # NEW, PROFILE, or the number of an order that went there
    postal_code: str = ""
    street: str = ""
    number: str = ""
    complement: str = ""
    district: str = ""
    method: str = "ship"
    option: str = ""
    slot: str = ""  # day, start and location, as they were shown; empty: none was agreed
    freight: int | None = None  # None: what the option costs
    pay: str = ""
    paid_with: str = ""
    reference: str = ""
    note: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def items(self) -> int:
        """What the lines cost, less discounts, in centavos; a price that is not there yet counts as nothing."""
        return sum(line.quantity * (line.price or 0) - line.discount for line in self.lines)


TEXTS = {
    "key": 20, "channel": 80, "name": 200, "document": 20, "email": 254, "phone": 40, "address": 20, "postal_code": 20,
    "street": 200, "number": 200, "complement": 200, "district": 200, "option": 200, "pay": 20, "paid_with": 20,
    "reference": 200, "note": 2_000,
}  # fmt: skip


def slot_field(method: str, option: str) -> str:
    """Return the field that holds the slot: each pickup point has its own, so that another point has no slot yet."""
    return f"slot/{option.partition('|')[0]}" if method == "pickup" else "slot"


def drafted(read: Filled) -> Draft:
    """Return what a form says. What cannot be read of it is among the form's flaws."""
    given = {name: read.text(name, most) for name, most in TEXTS.items()}
    freight = _amount(read, "freight")
    lines = tuple(_line(read, at) for at in sorted(_numbers(read)))
    option = given["option"]
    method = "pickup" if read.text("method", 10) == "pickup" else "ship"
    return Draft(
        **{**given, "address": given["address"] or NEW},
        customer=whole_in(read.text("customer", 18), 18),
        method=method,
        slot=read.text(slot_field(method, option), 120),
        freight=freight,
        lines=lines,
    )


def _numbers(read: Filled) -> set[int]:
    found = {int(match[1]) for name in read.form if (match := _LINE.fullmatch(name))}
    if len(found) > MOST_LINES:
        read.wrong("goods", N_("An order taken here has at most {most} lines."), N_("Split it."), most=MOST_LINES)
    return set(sorted(found)[:MOST_LINES])


def _line(read: Filled, at: int) -> Line:
    name = f"lines/{at}/quantity"
    quantity = read.whole(name)
    if not 1 <= quantity <= MOST_UNITS and not any(flaw.at == name for flaw in read.flaws):
        read.wrong(name, N_("Write a number from 1 to {most}."), most=MOST_UNITS)
    return Line(
        at,
        read.text(f"lines/{at}/sku", 80),
        min(max(quantity, 1), MOST_UNITS),
        _amount(read, f"lines/{at}/price"),
        _amount(read, f"lines/{at}/discount") or 0,
    )


def _amount(read: Filled, name: str) -> int | None:
    amount = read.maybe_scaled(name, 2)
    if amount is not None and amount < 0:
        read.wrong(name, N_("An amount is not less than nothing."))
        return 0
    return amount
