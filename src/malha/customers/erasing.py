"""A profile whose person asked to be erased: locked so that nobody speaks of it meanwhile, then emptied for good.

The row stays, with its number, for the orders and documents that rest on it. Nothing leads to it any more, so whoever
orders again is a new customer. What else is kept of a person is erased by `privacy`, which calls this.
"""

import msgspec

from malha.customers import reads, rules, writes
from malha.customers.model import Customer
from malha.customers.service import customer_of
from malha.platform.address import Address
from malha.platform.db import Tx
from malha.platform.ids import UUID

_encode = msgspec.json.Encoder().encode


async def lock(tx: Tx, customer_id: UUID) -> Customer:
    """Lock a profile and all that leads to it, and return it.

    Raises:
        UnknownCustomer: there is none.
    """
    found = await customer_of(tx, customer_id)
    led = {rules.bucket_of_alias(value) for value in await reads.aliases_to(tx, [customer_id])}
    await writes.lock_identities(tx, sorted({*rules.buckets_of([found]), *led}))
    await tx.tuples(writes.LOCK_CUSTOMERS, {"ids": [customer_id]})
    return await customer_of(tx, customer_id)  # it may have gone into another one while we waited


async def empty(tx: Tx, customer: Customer, profiles: list[UUID]) -> None:
    """Empty a locked profile, and those that went into it, as they are kept; municipality and state stay."""
    address = Address(
        city=customer.address.city,
        state=customer.address.state,
        country=customer.address.country,
        ibge=customer.address.ibge,
    )
    row = {"id": customer.id, "address": _encode(address).decode()}
    await tx.execute(writes.EMPTY_CUSTOMER, row)
    await tx.execute(writes.EMPTY_MERGES, {"ids": profiles})
    await tx.execute(writes.DROP_ALIASES_TO, {"ids": profiles})
