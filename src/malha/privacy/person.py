"""Somebody as everything that is kept of them tells."""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from malha.customers import reads as customers
from malha.customers.model import Customer
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.privacy import reads, rules
from malha.privacy.places import Place
from malha.privacy.rules import Known, Marks

_encode = msgspec.json.Encoder(order="deterministic").encode


class Person(msgspec.Struct, frozen=True):
    """A profile, those that went into it, and by what its person is known anywhere."""

    customer: Customer
    merged: list[Customer]
    profiles: list[UUID]
    aliases: list[str]
    orders: list[UUID]
    known: Known

    def marks(self, place: Place) -> Mapping[str, str]:
        """Return by what the person is looked for in a column."""
        found = rules.strong_marks(self.known) if place.strong else rules.all_marks(self.known)
        return asked(found)

    def digest(self) -> str:
        """Return what is another text as soon as anything of the person is."""
        return hashlib.sha256(_encode(self)).hexdigest()

    def keys(self) -> list[str]:
        """Return the keys of their orders' events."""
        return [f"order:{id_}" for id_ in self.orders]


def asked(marks: Marks) -> dict[str, str]:
    """Return marks as statements take them."""
    return {"words": marks.words, "numbers": marks.numbers}


async def person_of(tx: Tx, customer: Customer) -> Person:
    """Return the person of a profile."""
    ids = await tx.values(reads.PROFILES, {"customer": customer.id})
    merged = [msgspec.convert(row, Customer) for row in await tx.values(reads.MERGED, {"profiles": ids})]
    aliases = sorted(await customers.aliases_to(tx, ids))
    orders = await tx.values(reads.ORDERS, {"customer": customer.id})
    called = await tx.tuples(reads.CALLED, {"orders": orders})
    written_to = set(await tx.values(reads.WRITTEN_TO, {"orders": orders}))
    mailed = {address for address in written_to if "@" in address}
    every = [customer, *merged]
    addresses = [(c.address.street, c.address.number) for c in every]
    addresses += [((to or {}).get("street", ""), (to or {}).get("number", "")) for *_, to in called]
    known = Known(
        names=_said([*(c.name for c in every), *(row[0] for row in called)]),
        documents=_said([*(c.document for c in every), *(row[1] for row in called)]),
        emails=_said([*(c.email for c in every), *(row[2] for row in called), *mailed]),
        phones=_said([*(c.phone for c in every), *(row[3] for row in called), *(written_to - mailed)]),
        ceps=_said([*(c.address.postal_code for c in every), *((row[4] or {}).get("postal_code") for row in called)]),
        parcels=_said(await tx.values(reads.PARCELS, {"orders": orders})),
        streets=_said([f"{street} {number}" if street and number else "" for street, number in addresses]),
    )
    return Person(customer, merged, ids, aliases, orders, known)


def _said(texts: Iterable[str | None]) -> frozenset[str]:
    return frozenset(text.strip() for text in texts if text and text.strip())
