"""What is looked up while an order is taken by hand: channels, goods with stock and price, customers, addresses, dates.

Stock and dates come from what answers carts and product pages, so that what is told on the telephone is what an order
gets. Nothing is held by looking.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

import msgspec

from malha.catalog import reads as catalog
from malha.channels import service as listings
from malha.console import customer_reads, finding_reads
from malha.console.taking_form import NEW, PROFILE, Draft, Line
from malha.customers import reads as customers
from malha.customers.model import Customer, CustomerRow
from malha.identity.model import Caller
from malha.intake import availability, promised, slots_offered, substituting
from malha.intake.availability import Substitute
from malha.intake.reference import Card, Reference
from malha.intake.slots_offered import Offered
from malha.inventory.allotments.model import Taker
from malha.network.model import Channel
from malha.network.places import locate
from malha.ordering import list_reads
from malha.ordering import reads as orders
from malha.platform.address import Address
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.ids import new_id
from malha.platform.text import whole_in
from malha.promising.model import Collection as Pickup
from malha.promising.model import Delivery, NotPromised

FOUND = 8  # goods or customers shown of what a text finds
FEWEST_LETTERS = 2
LATEST_ADDRESSES = 4

Scope = tuple[int, ...] | None


def channels_of(reference: Reference, caller: Caller) -> list[Channel]:
    """Return the channels that somebody may take orders in, by name.

    Whoever is limited to locations sells in the channels that one of these may serve.
    """
    mine = caller.locations
    return sorted(
        (c for c in reference.channels.values() if c.active and (mine is None or any(map(c.may_use, mine)))),
        key=lambda channel: (channel.priority, channel.name),
    )


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """A SKU to sell. `price` in centavos, None: Malha holds none. `available`: at the locations the reader sees.

    `elsewhere`: more of it may be had from locations that the reader does not see.
    """

    sku: str
    name: str
    price: int | None
    available: int
    elsewhere: bool = False


async def goods(
    tx: Tx, reference: Reference, channel: Channel, skus: Collection[str], scope: Scope
) -> dict[str, Goods]:
    """Return goods on sale by their SKU, with what the channel asks for them and may sell of them now."""
    cards = await reference.cards(tx, set(skus))
    if not cards:
        return {}
    listed = {card.sku: card for card in await catalog.by_skus(tx, sorted(cards))}
    own = await listings.own_prices(tx, channel.id, [card.id for card in listed.values()])
    every = {one.sku: one.available for one in (await availability.offers(tx, reference, channel, cards)).skus}
    here = every
    if scope is not None:
        mine = frozenset(scope)
        here = {
            one.sku: one.available for one in (await availability.offers(tx, reference, channel, cards, only=mine)).skus
        }
    return {
        sku: Goods(
            sku=sku,
            name=card.name,
            price=own.get(card.id, card.price),
            available=here.get(sku, 0),
            elsewhere=every.get(sku, 0) > here.get(sku, 0),
        )
        for sku, card in listed.items()
    }


async def find_goods(tx: Tx, reference: Reference, channel: Channel, text: str, scope: Scope) -> list[Goods]:
    """Return goods on sale that fit part of a SKU, a GTIN or a name; what is there first."""
    if len(text) < FEWEST_LETTERS:
        return []
    named = [each.sku for each in await finding_reads.variants(tx, text, 3 * FOUND)]
    found = await goods(tx, reference, channel, named, scope)
    kept = [found[sku] for sku in named if sku in found]
    exact = text.casefold()
    kept.sort(key=lambda one: (one.sku.casefold() != exact, not (one.available or one.elsewhere)))
    return kept[:FOUND]


async def sku_of(tx: Tx, code: str) -> str | None:
    """Return the SKU that a code means: its own, or the one whose GTIN it is."""
    if await catalog.by_skus(tx, [code]):
        return code
    scanned = await catalog.by_gtins(tx, [code])
    return scanned[0].sku if scanned else None


async def find_customers(tx: Tx, text: str, scope: Scope) -> list[CustomerRow]:
    """Return customers by name, CPF, CNPJ, e-mail or telephone, masked; those that the reader may see."""
    if len(text) < FEWEST_LETTERS:
        return []
    page = await customer_reads.customers(tx, customer_reads.Wanted(search=text, scope=scope), size=FOUND)
    return [row.who for row in page.rows]


async def customer(tx: Tx, number: int | None, scope: Scope) -> Customer | None:
    """Return a profile by its number, if the reader may see it."""
    found = None if number is None else await customers.by_number(tx, number)
    return found if found is not None and await customer_reads.is_seen(tx, found.id, scope) else None


class Known(msgspec.Struct, frozen=True):
    """An address to choose: its value in the form, and what is shown of it."""

    value: str
    text: dict[str, str]
    of_profile: bool


async def addresses(tx: Tx, of: Customer, scope: Scope, *, reveals: bool) -> list[Known]:
    """Return where a customer had goods sent, the latest first, then the address of the profile.

    Of the profile's, who may not see personal data in full is shown city and state, as on its page.
    """
    found: list[Known] = []
    seen: set[tuple[str, str, str]] = set()
    if tx.actor.may("orders:read"):
        rows = await list_reads.rows_of(tx, await customer_reads.orders(tx, of.id, scope), scope)
        for row in sorted(rows, key=lambda row: row.placed_at, reverse=True)[: 3 * LATEST_ADDRESSES]:
            head = await orders.header(tx, row.number)
            to = None if head is None else head.ship_to
            if not to or not to.get("postal_code") or len(found) == LATEST_ADDRESSES:
                continue
            key = to["postal_code"], to.get("street", ""), to.get("number", "")
            if key not in seen:
                seen.add(key)
                found.append(Known(str(row.number), to, of_profile=False))
    own = of.address
    if own.postal_code and (own.postal_code, own.street, own.number) not in seen:
        text = {"city": own.city, "state": own.state}
        if reveals:
            text |= {"street": own.street, "number": own.number, "complement": own.complement, "district": own.district}
        found.append(Known(PROFILE, text, of_profile=True))
    return found


async def address(tx: Tx, draft: Draft, buyer: Customer | None, scope: Scope) -> Address | None:
    """Return where a form sends its goods; None where it names an address that is not there.

    City, state and the code of the municipality come from the CEP.
    """
    if draft.address == PROFILE:
        return None if buyer is None else _placed(buyer.address)
    if draft.address != NEW:
        number = whole_in(draft.address, 17)
        head = None if number is None else await orders.header(tx, number)
        seen = head is not None and tx.actor.may("orders:read")
        if seen and scope is not None and head is not None:
            seen = await orders.is_at(tx, head.id, scope)
        return _placed(msgspec.convert(head.ship_to, Address)) if seen and head is not None and head.ship_to else None
    return _placed(
        Address(
            postal_code="".join(c for c in draft.postal_code if c.isdigit()),
            street=draft.street,
            number=draft.number,
            complement=draft.complement,
            district=draft.district,
        )
    )


def _placed(to: Address) -> Address:
    place = locate(to.postal_code) if to.postal_code else None
    if place is None:
        return to
    city = to.city if to.city and to.state == place.state else place.city
    return msgspec.structs.replace(to, city=city, state=place.state, ibge=to.ibge or place.ibge)


class LineOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What a line would get now; `instead`: what could stand in for what is not there."""

    found: int
    ahead: int = 0
    ahead_day: date | None = None
    instead: Sequence[Substitute] = ()

    def missing(self, line: Line) -> int:
        """Return how many units of the line nothing covers."""
        return max(0, line.quantity - self.found - self.ahead)


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """How a form's goods can reach their customer now."""

    deliveries: Sequence[Delivery] = ()
    collections: Sequence[Pickup] = ()
    lines: Mapping[int, LineOffer] = {}  # by number in the form
    reasons: Sequence[NotPromised] = ()
    unpriced: bool = False  # no service has a price to where it goes: that nothing is found says nothing of stock

    def short(self, draft: Draft) -> list[Line]:
        """Return the lines that neither stock nor supply covers."""
        if self.unpriced:
            return []
        return [line for line in draft.lines if line.at in self.lines and self.lines[line.at].missing(line)]


async def offers(
    tx: Tx, reference: Reference, channel: Channel, draft: Draft, cards: Mapping[str, Card], to: Address | None
) -> Offers:
    """Return the deliveries, pickup points and stock that an order for a form's known goods would find now."""
    wanted = [(cards[line.sku], line.quantity) for line in draft.lines if line.sku in cards]
    if not wanted:
        return Offers()
    state = to.state if to is not None and to.state in STATES else None
    cep = to.postal_code if to is not None and to.postal_code else None
    value = draft.items + (draft.freight or 0)
    found = {}
    reasons = promised.not_promised(channel, [(line.sku, line.quantity) for line in draft.lines])
    options = None
    if not reasons:
        options = await promised.options(
            tx, reference, channel, wanted, id_=new_id(), to_state=state, postal_code=cep, value=value
        )
    known = [line for line in draft.lines if line.sku in cards]
    if state is not None or draft.method == "pickup":
        found = await _covered(tx, reference, channel, known, wanted, draft, state, cep)
    return Offers(
        deliveries=() if options is None else options.deliveries,
        collections=() if options is None else options.collections,
        lines=found,
        reasons=reasons,
        unpriced=state is not None and draft.method == "ship" and not promised.carries(reference, state),
    )


async def slots(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    draft: Draft,
    cards: Mapping[str, Card],
    to: Address | None,
    offered: Offers,
) -> list[Offered]:
    """Return the slots of the way of a form (`draft.option`), full ones too: of where it is fetched or sent from."""
    name = draft.option.partition("|")[0]
    if draft.method == "pickup":
        one = next((one for one in offered.collections if one.location == name), None)
        return [] if one is None else await slots_offered.of_pickup(tx, reference, one)
    if to is None or name not in {one.service for one in offered.deliveries}:
        return []
    return await slots_offered.of_delivery(
        tx,
        reference,
        channel,
        [(cards[line.sku], line.quantity) for line in draft.lines if line.sku in cards],
        name,
        id_=new_id(),
        to_state=to.state,
        postal_code=to.postal_code or None,
        value=draft.items + (draft.freight or 0),
    )


async def _covered(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    lines: Sequence[Line],
    wanted: Sequence[tuple[Card, int]],
    draft: Draft,
    state: str | None,
    cep: str | None,
) -> dict[int, LineOffer]:
    """Plan a basket as the gate would; return what each line finds, with substitutes for what it does not."""
    taker = Taker(channel.id, None)
    pickup = reference.locations.get(draft.option.partition("|")[0]) if draft.method == "pickup" else None
    if pickup is None and draft.method == "pickup":
        return {}
    request = availability.basket_request(
        new_id(), taker, wanted, to_state=None if draft.method == "pickup" else state, pickup=pickup
    )
    now = await tx.now()
    found, ahead, _caps = await availability.check(
        tx, reference, taker, request, [card for card, _ in wanted], now, postal_code=cep, value=draft.items
    )
    short = {
        card.id
        for n, (card, quantity) in enumerate(wanted, 1)
        if found.get(n, 0) + ahead.get(n, (0, now))[0] < quantity
    }
    only = None if tx.actor.locations is None else set(tx.actor.locations)
    instead = await substituting.available(tx, reference, channel, short, only=only) if short else {}
    covered = {}
    for n, (line, (card, _quantity)) in enumerate(zip(lines, wanted, strict=True), 1):
        units, day = ahead.get(n, (0, None))
        covered[line.at] = LineOffer(
            found=found.get(n, 0), ahead=units, ahead_day=day, instead=instead.get(card.id, ())
        )
    return covered
