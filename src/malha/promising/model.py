"""Words of promises: what is offered, and what a date is made of."""

from datetime import date, datetime

import msgspec


class Leg(msgspec.Struct, frozen=True):
    """One parcel on its way: the working day it leaves its location, and its business days in transit."""

    leaves: date
    transit_days: int
    learned: bool = False  # from what became of earlier parcels, lateness in leaving included; else from the tariff


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One way to have a basket brought. `price` is what the tariff asks for its parcels, in centavos."""

    service: str
    name: str
    carrier: str
    price: int
    packages: int
    leaves: date  # the working day the last parcel leaves, after cut-offs, hours, holidays and closures
    transit_days: int  # business days of the slowest parcel
    learned: bool  # whether these days were learned from earlier deliveries; else they are the tariff's
    arrives: date
    promised_at: datetime  # the end of that day: what an order placed now is promised


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """One place to fetch a basket at, and when it is ready."""

    location: str
    name: str
    city: str | None
    kilometres: float | None  # from the postal code that was asked for
    ready_at: datetime
    opening_hours: dict[str, list[tuple[str, str]]]
    days_kept: int


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel can get a basket to a customer now; empty lists where nothing can be promised."""

    deliveries: list[Delivery]  # the soonest first, then the cheaper
    collections: list[Collection]  # the nearest first, else the soonest
