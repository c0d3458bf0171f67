"""Thirty days of orders: what customers sent, and what became of each."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from zoneinfo import ZoneInfo

import msgspec

from malha.catalog.model import ProductDraft
from malha.demo.retailer import CAPITALS
from malha.demo.words import DISTRICTS, FIRST_NAMES, LAST_NAMES, SITES, STREETS
from malha.history.life import Ends, Story
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.network.calendar import add_business_days
from malha.network.places import locate_city
from malha.platform.address import Address
from malha.platform.brazil import cpf_check_digits
from malha.platform.text import fold
from malha.promising.rules import end_of

DAYS = 30
RECENT = timedelta(days=2)
ZONE = ZoneInfo("America/Sao_Paulo")
_CHANNELS = ("site", "app", "mercado-livre", "loja", "televendas", "franquias", "representantes")
_SHARES = (34, 26, 15, 9, 7, 5, 4)
# Orders by hour of the day: quiet at night, a peak in the evening.
_HOURS = (1, 1, 1, 1, 1, 2, 3, 5, 8, 10, 11, 11, 12, 11, 10, 10, 10, 10, 11, 13, 14, 13, 9, 4)
_CITIES = [(city, state, weight) for city, state, weight in (
    *((site[3], site[4], 3) for site in SITES if site[2] == "store"),
    *((city, state, 2) for state, city in CAPITALS.items()),
    ("Guarulhos", "SP", 3), ("Osasco", "SP", 2), ("Duque de Caxias", "RJ", 2), ("Juiz de Fora", "MG", 2),
    ("Feira de Santana", "BA", 2), ("Joinville", "SC", 2), ("Olinda", "PE", 2), ("Mossoró", "RN", 1),
)]  # fmt: skip
_PLACES = [locate_city(city, state) for city, state, _ in _CITIES]
_PICKUPS = {site[0] for site in SITES if site[7]}
_FRANCHISES = {site[0] for site in SITES if site[5] == "franchise"}


class Fate(StrEnum):
    """What a person did with an order that the ordinary way does not do."""

    NONE = "none"
    CANCELLED = "cancelled"
    PART_CANCELLED = "part_cancelled"
    FRAUD = "fraud"
    SHORT_PICK = "short_pick"
    NOTE = "note"


class Tale(msgspec.Struct, frozen=True):
    """An order, how far it came, and what else happened to it."""

    order: NewOrder
    story: Story | None
    fate: Fate = Fate.NONE


class Person(msgspec.Struct, frozen=True):
    """An invented customer with a valid CPF."""

    buyer: Buyer
    address: Address


def people(rng: random.Random, count: int) -> list[Person]:
    """Return customers all over the country."""
    found = []
    for _ in range(count):
        first, last = rng.choice(FIRST_NAMES), f"{rng.choice(LAST_NAMES)} {rng.choice(LAST_NAMES)}"
        base = f"{rng.randrange(10**9):09}"
        place = rng.choices(_PLACES, [weight for _, _, weight in _CITIES])[0]
        if place is None:
            continue
        ddd = rng.choice(("11", "21", "31", "41", "51", "61", "71", "81"))
        found.append(
            Person(
                Buyer(
                    name=f"{first} {last}",
                    document=base + cpf_check_digits(base),
                    email=f"{fold(first)}.{fold(last).replace(' ', '')}{base[-3:]}@example.com",
                    phone=f"+55{ddd}9{rng.randrange(10**8):08}",
                ),
                Address(
                    street=rng.choice(STREETS),
                    number=str(rng.randint(1, 2400)),
                    complement=rng.choice(("", "", f"ap. {rng.randint(11, 204)}", "casa 2")),
                    district=rng.choice(DISTRICTS),
                    city=place.city,
                    state=place.state,
                    ibge=place.ibge,
                ),
            )
        )
    return found


class Shoppers:
    """Makes orders, one after the other, the same for the same seed."""

    def __init__(
        self,
        rng: random.Random,
        customers: Sequence[Person],
        goods: Sequence[ProductDraft],
        stock: Iterable[tuple[str, str, int]],
    ) -> None:
        self._rng = rng
        self._customers = customers
        self._places: dict[str, set[str]] = {}  # where a SKU is on the shelf: shoppers choose what they see
        for sku, place, units in stock:
            if units > 1:
                self._places.setdefault(sku, set()).add(place)
        self._variants = [v for draft in goods for v in draft.variants]
        self._weights = [1 / (rank + 8) ** 0.7 for rank in range(len(self._variants))]
        rng.shuffle(self._weights)
        self._count = 0

    def order(self, placed_at: datetime | None, *, prefix: str = "D", paid: bool = True) -> NewOrder:
        """Return the next order; `placed_at` None is now."""
        rng = self._rng
        self._count += 1
        channel = rng.choices(_CHANNELS, _SHARES)[0]
        person = rng.choice(self._customers)
        lines = []
        wanted = rng.choices((1, 2, 3, 4), (55, 25, 14, 6))[0]
        chosen = dict.fromkeys(rng.choices(range(len(self._variants)), self._weights, k=wanted))
        for variant in (self._variants[n] for n in chosen):
            quantity = rng.choices((1, 2, 4), (80, 15, 5))[0]
            price = variant.price or 9_990
            lines.append(NewLine(variant.sku, quantity, price, price // 10 if rng.random() < 0.15 else 0))
        items = sum(line.quantity * line.unit_price - line.discount for line in lines)
        shelves = [self._places.get(line.sku, set()) for line in lines]
        stores = sorted(set.intersection(*shelves) & _PICKUPS)
        if channel == "franquias" and not set.intersection(*shelves) & _FRANCHISES:
            channel = "site"
        pickup = bool(stores) and (channel == "loja" or (channel in {"site", "app"} and rng.random() < 0.5))
        if channel == "loja" and not pickup:
            channel = "app"
        shipping = 0 if pickup or items > 39_900 else rng.choice((1_490, 1_990, 2_490))
        at = f"{rng.randrange(16**6):06x}"
        return NewOrder(
            channel=channel,
            external_id=f"{prefix}-{channel[:3].upper()}-{self._count:06}-{at}",
            placed_at=placed_at,
            customer=person.buyer,
            ship_to=None if pickup else person.address,
            method="pickup" if pickup else "ship",
            pickup_location=rng.choice(stores) if pickup else None,
            service=None if pickup or rng.random() < 0.7 else rng.choice(("padrao", "expressa")),
            lines=lines,
            shipping=shipping,
            payments=self._payments(channel, items + shipping, placed_at, paid=paid, session=prefix),
        )

    def _payments(self, channel: str, total: int, at: datetime | None, *, paid: bool, session: str) -> list[NewPayment]:
        rng = self._rng
        if channel == "representantes":
            return [NewPayment(kind="on_delivery", amount=total)]
        kind: str
        if channel == "mercado-livre":
            kind = "prepaid"
        elif channel == "loja":
            kind = rng.choice(("card_terminal", "cash", "pix"))
        elif channel == "franquias":
            kind = "boleto"
        else:
            kind = rng.choices(("pix", "credit_card", "boleto"), (48, 44, 8))[0]
        state = "captured" if paid else "pending"
        return [
            NewPayment(
                kind=kind,  # type: ignore[arg-type]  # one of the tenders
                amount=total,
                state=state,  # type: ignore[arg-type]
                # Another one each time that live orders begin anew from the same seed: one PIX pays one order.
                reference=f"E{session}{rng.randrange(16**12):012x}",
                installments=rng.choice((1, 1, 2, 3, 6, 10)) if kind == "credit_card" else 1,
                paid_at=at if paid else None,
            )
        ]

    def odd(self, order: NewOrder) -> NewOrder:
        """Return the order with something wrong that has to hold it."""
        match self._rng.randrange(5):
            case 0:
                lines = [msgspec.structs.replace(order.lines[0], sku="AR-DESCONHECIDO"), *order.lines[1:]]
                return msgspec.structs.replace(order, lines=lines)
            case 1:
                buyer = msgspec.structs.replace(order.customer, document="123.456.789-00")
                return msgspec.structs.replace(order, customer=buyer)
            case 2:
                return msgspec.structs.replace(order, total=1_00)
            case 3 if order.ship_to is not None:
                return msgspec.structs.replace(order, ship_to=msgspec.structs.replace(order.ship_to, state=""))
            case _:
                return msgspec.structs.replace(order, service="drone")


def tales(rng: random.Random, shoppers: Shoppers, count: int, now: datetime) -> Iterator[Tale]:
    """Yield `count` orders of the last thirty days by time, each with its fate."""
    starts = sorted(_instant(rng, now) for _ in range(count))
    for placed_at in starts:
        age = now - placed_at
        order = partial(_order, shoppers, placed_at, age)
        chance = rng.random()
        if chance < 0.012:
            yield Tale(shoppers.odd(order()), None)
        elif age < timedelta(days=2) and chance < 0.05:
            yield Tale(order(paid=False), None)
        elif chance < 0.07:
            fate = rng.choice((Fate.CANCELLED, Fate.CANCELLED, Fate.PART_CANCELLED))
            yield Tale(order(), None, fate)
        elif age < timedelta(days=3) and chance < 0.085:
            yield Tale(order(), None, Fate.FRAUD)
        else:
            placed = order()
            fate = Fate.NOTE if chance > 0.97 else Fate.NONE
            story = _story(rng, placed, placed_at, now)
            if story is not None and story.ends is Ends.ACCEPTED and rng.random() < 0.35:
                fate = Fate.SHORT_PICK
            yield Tale(placed, story, fate)


def _order(shoppers: Shoppers, placed_at: datetime, age: timedelta, *, paid: bool = True) -> NewOrder:
    """Return the next order of the past. Its channel promised a day: today's plans would promise it from now on."""
    order = shoppers.order(placed_at, paid=paid)
    if order.ship_to is None or age < RECENT:
        return order
    days = 4 + int((order.external_id or "0")[-2:], 16) % 3
    day = add_business_days(placed_at.astimezone(ZONE).date(), days, f"BR-{order.ship_to.state}")
    return msgspec.structs.replace(order, promised_at=end_of(day, order.ship_to.state))


def _instant(rng: random.Random, now: datetime) -> datetime:
    day = now - timedelta(days=DAYS * rng.random() ** 1.7)
    local = day.astimezone(ZONE).replace(
        hour=rng.choices(range(24), _HOURS)[0], minute=rng.randrange(60), second=rng.randrange(60), microsecond=0
    )
    return min(local, now - timedelta(seconds=rng.randint(5, 600)))


def _story(rng: random.Random, order: NewOrder, placed_at: datetime, now: datetime) -> Story | None:
    """Let an order move as far as its age allows; some are slower than they should be."""
    slow = 3.0 if rng.random() < 0.06 else 1.0

    def after(at: datetime, low: float, high: float) -> datetime:
        return at + timedelta(hours=slow * rng.uniform(low, high))

    released = placed_at + timedelta(minutes=rng.randint(11, 40))
    accepted = after(released, 0.1, 2.5)
    picked = after(accepted, 0.2, 4)
    packed = after(picked, 0.1, 2)
    left = after(packed, 0.3, 6)
    arrived = after(left, 3, 60) if order.method == "pickup" else after(left, 22, 120)
    steps = (
        (Ends.RELEASED, released),
        (Ends.ACCEPTED, accepted),
        (Ends.PICKED, picked),
        (Ends.PACKED, packed),
        (Ends.LEFT, left),
        (Ends.ARRIVED, arrived),
    )
    reached = [end for end, at in steps if at < now]
    if not reached:
        return None
    ends = reached[-1]
    if ends is Ends.PACKED and rng.random() < 0.5:
        ends = Ends.INVOICED
    return Story(
        ends=ends,
        released_at=released,
        accepted_at=accepted,
        picked_at=picked,
        packed_at=packed,
        left_at=left,
        arrived_at=arrived,
        tracking=f"BR{rng.randrange(10**9):09}BR",
        received_by=order.customer.name,
        weight_grams=rng.randint(400, 6000),
    )
