"""From a filled-in form to the order that the gate is given: everything that is wrong with it is told at once.

What was shown is what counts: a way of delivery that has another date or price by now, or a price that changed, is
refused with what is so now, and the person looks again before anything is placed. An order that is here already is left
to the gate, which answers with it.
"""

from datetime import date
from typing import Any, Literal, cast

import msgspec

from malha.console import taking_reads as reads
from malha.console.filling import Filled
from malha.console.taking_form import ANY, KEY, NEW, PROFILE, Draft, Line, slot_field
from malha.console.taking_reads import Goods, Offers, Scope
from malha.customers.model import Customer
from malha.identity.model import Caller
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment, NewSlot
from malha.intake.reference import Reference
from malha.intake.slots_offered import Offered
from malha.network.model import Channel, PaymentPolicy, ShortagePolicy
from malha.ordering import placing
from malha.ordering.model import OrderDetails
from malha.platform import i18n
from malha.platform.address import Address
from malha.platform.brazil import STATES, normalise_document, normalise_email, normalise_phone
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.promising.model import FreeSlot

PAID = ("pix", "credit_card", "debit_card", "card_terminal", "cash", "boleto", "voucher", "prepaid")
PENDING = ("pix", "boleto")
NO_REFERENCE = frozenset({"cash"})  # nobody but the till knows it
FILL_IN = N_("This field is empty."), N_("Fill it in.")

Payment = Literal["prepaid", "cash", "card_terminal", "credit_card", "debit_card", "pix", "boleto", "voucher"]


def ship_option(service: str, price: int, arrives: date) -> str:
    """Return the value of a delivery in the form: it says what was shown, so that it can be told when that changed."""
    return f"{service}|{price}|{arrives.isoformat()}"


def pickup_option(location: str, day: date) -> str:
    """Return the value of a pickup point in the form, with the day it was said to be ready on."""
    return f"{location}|{day.isoformat()}"


def slot_value(location: str, slot: FreeSlot) -> str:
    """Return the value of a slot in the form."""
    return f"{slot.day.isoformat()}|{slot.starts}|{location}"


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """A form with what it means."""

    draft: Draft
    channel: Channel
    buyer: Customer | None
    to: Address | None
    goods: dict[str, Goods]
    offers: Offers
    option: str  # the way that is marked: the one that was chosen, as it is offered now, else the cheapest
    slots: list[Offered]  # of that way

    def slot(self) -> FreeSlot | None:
        """Return the slot that was chosen as it is now; None where there is none such."""
        return next(
            (x for own in self.slots for x in own.slots if slot_value(own.location, x) == self.draft.slot), None
        )


async def meant(tx: Tx, reference: Reference, caller: Caller, draft: Draft, scope: Scope) -> Taking | None:
    """Return what a form means now; None where it names no channel that the person may use."""
    channel = next((c for c in reads.channels_of(reference, caller) if c.code == draft.channel), None)
    if channel is None:
        return None
    buyer = await reads.customer(tx, draft.customer, scope) if caller.may("customers:read") else None
    to = await reads.address(tx, draft, buyer, scope)
    skus = {line.sku for line in draft.lines}
    goods = await reads.goods(tx, reference, channel, skus, scope)
    cards = await reference.cards(tx, skus)
    offers = await reads.offers(tx, reference, channel, draft, cards, to)
    option = _marked(draft, offers)
    slots = await reads.slots(tx, reference, channel, msgspec.structs.replace(draft, option=option), cards, to, offers)
    return Taking(
        draft=draft, channel=channel, buyer=buyer, to=to, goods=goods, offers=offers, option=option, slots=slots
    )


def _marked(draft: Draft, offers: Offers) -> str:
    name = draft.option.partition("|")[0]
    if draft.method == "pickup":
        points = {one.location: one for one in offers.collections}
        one = points.get(name)
        return pickup_option(one.location, i18n.local(one.ready_at).date()) if one else ""
    ways = {one.service: one for one in offers.deliveries}
    if not ways:
        return ANY
    way = ways.get(name) or min(offers.deliveries, key=lambda one: (one.price, one.arrives))
    return ship_option(way.service, way.price, way.arrives)


async def is_placed(tx: Tx, channel: Channel, key: str) -> bool:
    """Tell whether a form's order is here."""
    return bool(await (await placing.find_by_keys(tx, [channel.id], [key])).fetchall())


def order_of(read: Filled, taking: Taking, *, placed: bool, may: Any) -> NewOrder:
    """Return the order that a form asks for; what is wrong is told at once.

    `placed`: it is here already, and only its contents are to be told apart from it.

    Raises:
        Invalid: fields are wrong, or what was shown is no longer so.
    """
    draft, channel = taking.draft, taking.channel
    if not KEY.fullmatch(draft.key):
        read.wrong("key", N_("This form has lost its number."), N_("Load the page anew."))
    buyer = _buyer(read, taking)
    _check_lines(read, taking, placed=placed)
    ship_to = None if draft.method == "pickup" else _ship_to(read, taking)
    short = not placed and _is_short(read, taking)
    if not short:
        _check_freight(read, draft)
    freight = freight_of(draft)
    total = draft.items + freight
    payment = _payment(read, taking, total, may)
    if not read.flaws and not placed:  # of a form that is not complete there are other dates
        _check_option(read, taking)
    if not read.flaws and not placed:
        _check_slot(read, taking)
    read.refuse()
    head = draft.option.split("|")
    return NewOrder(
        channel=channel.code,
        external_id=draft.key,
        lines=[
            NewLine(sku=line.sku, quantity=line.quantity, unit_price=line.price or 0, discount=line.discount)
            for line in draft.lines
        ],
        customer=buyer,
        ship_to=ship_to,
        method="pickup" if draft.method == "pickup" else "ship",
        service=head[0] if draft.method == "ship" and draft.option != ANY else None,
        pickup_location=head[0] if draft.method == "pickup" else None,
        shipping=freight,
        payments=[] if payment is None else [payment],
        slot=_slot(draft),
        details=OrderDetails(note=draft.note) if draft.note else None,
    )


def _buyer(read: Filled, taking: Taking) -> Buyer:
    """Return who buys: of a profile what it has, and what was typed of the rest."""
    draft, known = taking.draft, taking.buyer
    if draft.customer is not None and known is None:
        read.wrong("customer", N_("There is no customer {number}."), N_("Search again."), number=draft.customer)
    name = known.name if known is not None and known.name else draft.name
    if not name:
        read.wrong("name", *FILL_IN)
    typed = {
        "document": (draft.document, normalise_document, N_("{value} is no CPF or CNPJ: its check digits differ.")),
        "email": (draft.email, normalise_email, N_("{value} is no e-mail address.")),
        "phone": (draft.phone, normalise_phone, N_("{value} is no telephone number with its area code.")),
    }
    said: dict[str, str | None] = {}
    for field, (text, normalise, says) in typed.items():
        own = None if known is None else getattr(known, field)
        said[field] = own or (normalise(text) if text else None)
        if text and not own and said[field] is None:
            read.wrong(field, says, N_("Read it back to the customer, or leave it empty."), value=text)
    return Buyer(name=name, **said)


def _check_lines(read: Filled, taking: Taking, *, placed: bool) -> None:
    draft = taking.draft
    if not draft.lines:
        read.wrong("goods", N_("The order has no lines."), N_("Search what the customer wants and add it."))
    for line in draft.lines:
        at = f"lines/{line.at}"
        known = taking.goods.get(line.sku)
        if known is None and not placed:
            says = N_("There is no SKU {sku} on sale.")
            read.wrong(f"{at}/quantity", says, N_("Remove the line, and search the goods again."), sku=line.sku)
        if line.price is None and not any(flaw.at == f"{at}/price" for flaw in read.flaws):
            says = N_("{sku} has no price yet.")
            read.wrong(f"{at}/price", says, N_("Type what the customer pays; 0 is free."), sku=line.sku)
        elif known is not None and known.price is not None and line.price != known.price and not placed:
            read.wrong(
                f"{at}/price",
                N_("{sku} costs {price} now."),
                N_("Tell the customer, and place the order again. Another price is given as a discount."),
                sku=line.sku,
                price=i18n.money(known.price, taking.channel.currency),
            )
        if line.discount > line.quantity * (line.price or 0):
            says = N_("The discount is more than the {amount} of the line.")
            amount = i18n.money(line.quantity * (line.price or 0), taking.channel.currency)
            read.wrong(f"{at}/discount", says, amount=amount)


def _ship_to(read: Filled, taking: Taking) -> Address | None:
    draft, to = taking.draft, taking.to
    if to is None:
        read.wrong("address", N_("This address is not there any more."), N_("Choose another one, or type it."))
        return None
    if draft.address == PROFILE and (not to.street or to.state not in STATES):
        read.wrong("address", N_("The address of the profile is not complete."), N_("Type the address."))
    if draft.address != NEW:
        return to
    if not draft.postal_code:
        read.wrong("postal_code", *FILL_IN)
    elif len(to.postal_code) != 8 or to.state not in STATES:
        says = N_("There is no postal code {code} in Brazil.")
        read.wrong("postal_code", says, N_("A CEP has eight digits."), code=draft.postal_code)
    for name in ("street", "number"):
        if not getattr(draft, name):
            mend = N_("Fill it in.") if name == "street" else N_("Fill it in; write S/N where it has none.")
            read.wrong(name, FILL_IN[0], mend)
    return to


UNPRICED = N_("Who keeps the shipping services has to state one; then place the order again.")


def _is_short(read: Filled, taking: Taking) -> bool:
    """Tell whether stock does not cover a form in a channel that takes no such order, and refuse its lines.

    So it does where nobody carries it there, which is no matter of the lines.
    """
    if taking.offers.unpriced and taking.channel.shortage_policy is ShortagePolicy.REJECT:
        says = N_("No shipping service has a price to {state}.")
        read.wrong("option", says, UNPRICED, state="" if taking.to is None else taking.to.state)
        return True
    short = taking.offers.short(taking.draft)
    if not short or taking.channel.shortage_policy is not ShortagePolicy.REJECT or taking.offers.reasons:
        return False
    for line in short:
        offer = taking.offers.lines[line.at]
        _not_there(read, line, offer.found + offer.ahead)
    return True


def _check_option(read: Filled, taking: Taking) -> None:
    """Refuse a way of delivery that is not offered as it was shown."""
    draft, offers = taking.draft, taking.offers
    if draft.method == "pickup":
        _check_pickup(read, taking)
    elif offers.reasons:
        return  # taken, and a person looks at it first: the page said so
    elif draft.option == ANY:
        if offers.deliveries:
            read.wrong("option", N_("There is a way of delivery now."), N_("Choose one, and place the order again."))
    else:
        _check_delivery(read, taking)


def _not_there(read: Filled, line: Line, found: int) -> None:
    read.wrong(
        f"lines/{line.at}/quantity",
        N_("Of {sku}, {found} can be had now."),
        N_("Take fewer, take what could stand in for it, or choose another channel or way of delivery."),
        sku=line.sku,
        found=found,
    )


def _check_delivery(read: Filled, taking: Taking) -> None:
    draft = taking.draft
    shown = draft.option.split("|")
    offered = {one.service: one for one in taking.offers.deliveries}
    if not draft.option:
        read.wrong("option", N_("No way of delivery was chosen."), N_("Choose one of the list."))
    elif shown[0] not in offered:
        read.wrong("option", N_("This way of delivery is not offered any more."), N_("Choose another one."))
    elif ship_option((one := offered[shown[0]]).service, one.price, one.arrives) != draft.option:
        read.wrong(
            "option",
            N_("{name} arrives on {day} for {price} now."),
            N_("Tell the customer, choose it again and place the order."),
            name=one.name,
            day=i18n.date(one.arrives),
            price=i18n.money(one.price, taking.channel.currency),
        )


def _check_pickup(read: Filled, taking: Taking) -> None:
    draft = taking.draft
    shown = draft.option.split("|")
    offered = {one.location: one for one in taking.offers.collections}
    if not draft.option or draft.option == ANY:
        read.wrong("option", N_("No pickup point was chosen."), N_("Choose one of the list."))
    elif shown[0] not in offered:
        says = N_("This pickup point cannot have all of it ready any more.")
        read.wrong("option", says, N_("Choose another one, or have it delivered."))
    elif pickup_option((one := offered[shown[0]]).location, i18n.local(one.ready_at).date()) != draft.option:
        read.wrong(
            "option",
            N_("{name} has it ready on {day} now."),
            N_("Tell the customer, choose it again and place the order."),
            name=one.name,
            day=i18n.date(i18n.local(one.ready_at).date()),
        )


def freight_of(draft: Draft) -> int:
    """Return what carriage the customer pays by a form, in centavos: what was typed, else what the option costs."""
    if draft.freight is not None:
        return draft.freight
    if draft.method == "pickup" or draft.option == ANY:
        return 0
    shown = draft.option.split("|")
    return int(shown[1]) if len(shown) == 3 and shown[1].isascii() and shown[1].isdigit() and len(shown[1]) < 10 else 0


def _check_freight(read: Filled, draft: Draft) -> None:
    if draft.method == "ship" and draft.option == ANY and draft.freight is None:
        read.wrong("freight", N_("No way of delivery says what carriage costs."), N_("Type it; 0 is free."))


def _payment(read: Filled, taking: Taking, total: int, may: Any) -> NewPayment | None:
    """Return the tender that covers the order; None where nothing is to be paid."""
    draft, channel = taking.draft, taking.channel
    if total == 0:
        return None
    amount = max(total, 1)  # less than nothing is a discount that is refused already
    if draft.pay == "paid":
        if not may("payments:record"):
            read.wrong("pay", N_("You may not record payments."), N_("Choose how it will be paid, or ask who may."))
        if draft.paid_with not in PAID:
            read.wrong("paid_with", N_("No choice was made."), N_("Choose one of the list."))
            return None
        if not draft.reference and draft.paid_with not in NO_REFERENCE:
            mend = N_("Type what the receipt or the payment provider says: it finds the money again.")
            read.wrong("reference", FILL_IN[0], mend)
        return NewPayment(
            kind=cast("Payment", draft.paid_with),
            amount=amount,
            state="captured",
            reference=draft.reference or None,
        )
    if draft.pay in PENDING:
        return NewPayment(kind=cast("Payment", draft.pay), amount=amount, reference=draft.reference or None)
    if draft.pay == "later":
        if channel.payment_policy is PaymentPolicy.BEFORE_RELEASE:
            says = N_("{channel} sends nothing before it is paid.")
            read.wrong("pay", says, N_("Choose Pix, boleto or paid already, or another channel."), channel=channel.name)
        return NewPayment(kind="on_delivery", amount=amount)
    read.wrong("pay", N_("No choice was made."), N_("Say how the customer pays."))
    return None


def _slot(draft: Draft) -> NewSlot | None:
    if not draft.slot:
        return None
    day, starts, location = [*draft.slot.split("|"), "", ""][:3]
    where = {} if draft.method == "pickup" else {"location": location}
    try:
        return msgspec.convert({"day": day, "starts": starts, **where}, NewSlot)
    except msgspec.ValidationError:
        return None  # what is none was refused; of an order that is here already the gate tells that it differs


def _check_slot(read: Filled, taking: Taking) -> None:
    """Refuse a slot that was chosen and can be had no more."""
    if not taking.draft.slot:
        return
    slot = taking.slot()
    if slot is None:
        says = N_("This slot is not offered any more.")
        read.wrong(_slot_field(taking), says, N_("Agree on another one with the customer, or on none."))
    elif not slot.left:
        _slot_is_full(read, taking, slot)


def _slot_field(taking: Taking) -> str:
    return slot_field(taking.draft.method, taking.draft.option)


def _slot_is_full(read: Filled, taking: Taking, slot: FreeSlot) -> None:
    read.wrong(
        _slot_field(taking),
        N_("The slot on {day} from {from_} to {to} is full now."),
        N_("Agree on another one with the customer, or on none."),
        day=i18n.date(slot.day),
        from_=slot.starts,
        to=slot.ends,
    )


def slot_flaws(read: Filled, taking: Taking) -> list[Flaw]:
    """Return that the gate found no place in the slot of a form: somebody was quicker."""
    slot = taking.slot()
    if slot is not None:
        _slot_is_full(read, taking, slot)
    return read.flaws


def short_flaws(read: Filled, taking: Taking, shortages: list[dict[str, Any]]) -> list[Flaw]:
    """Return what the gate found missing, at the lines of the form: somebody was quicker."""
    for one in shortages:
        _not_there(read, taking.draft.lines[one["line"] - 1], max(0, one["asked"] - one["missing"]))
    return read.flaws
