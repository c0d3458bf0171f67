"""Customers: lists with masked identities, profiles, and the reveal that is written down."""

from collections.abc import Collection
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.customers import reads, service
from malha.customers.errors import UnknownCustomer
from malha.customers.model import Customer, CustomerDraft, CustomerRow
from malha.network.service import refuse_limited
from malha.ordering import finding_customers
from malha.ordering import reads as orders
from malha.platform import paging
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.privacy import searching
from malha.privacy import service as privacy
from malha.privacy.model import Erased, PersonalData


class CustomerStored(msgspec.Struct, frozen=True):
    """Which profile was written, and its version now."""

    id: UUID
    number: int
    version: int


class Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why personal data is needed in full."""

    why: Annotated[str, Meta(max_length=200)]


async def in_scope(work: Work, customer_id: UUID) -> None:
    """Make sure that the caller may see a customer.

    Raises:
        UnknownCustomer: the caller is limited to locations, and the customer has no order there.
    """
    scope = work.actor.locations
    if scope is not None and not await orders.customers_at(work.tx, sorted(scope), ids=[customer_id]):
        raise UnknownCustomer(key=customer_id)


async def everyone_in_scope(work: Work, customer_ids: Collection[UUID]) -> None:
    """As `in_scope`, for many customers that must exist.

    Raises:
        UnknownCustomer: one of them is not there, or out of sight.
    """
    ids = sorted(customer_ids)
    known: Collection[UUID] = await reads.by_ids(work.tx, ids)
    if work.actor.locations is not None:
        places = sorted(work.actor.locations)
        known = await orders.customers_at(work.tx, places, ids=ids, limit=len(ids)) if known else ()
    missing = sorted(set(ids) - set(known))
    if missing:
        raise UnknownCustomer(key=missing[0])


@query("/customers", permission="customers:read")
async def list_customers(
    work: Work, q: str = "", cursor: str | None = None, limit: int | None = None
) -> Page[CustomerRow]:
    """List customers, newest first, with masked identities.

    `q` finds name, CPF, CNPJ, e-mail and telephone, the customer's number, and the buyers of an order by its number or
    the channel's own id (with `orders:read`).

    Whoever is limited to locations sees the customers who have an order there.
    """
    size = paging.bounded(limit)
    before = paging.position(cursor, "customers", (int,))
    last = before[0] if before else None
    sought = await finding_customers.find(work.tx, q)
    if work.actor.locations is None:
        rows = await reads.page(work.tx, found=sought, before=last, limit=size + 1)
    else:
        ids = await orders.customers_at(work.tx, sorted(work.actor.locations), ids=sought, before=last, limit=size + 1)
        found = await reads.by_ids(work.tx, ids)
        rows = [reads.masked_customer(found[id_]) for id_ in ids]
    return paging.page_of(rows, size, "customers", lambda row: (row.number,))


@query("/customers/{customer_id:uuid}", permission="customers:read")
async def get_customer(work: Work, customer_id: UUID) -> CustomerRow:
    """Return one customer with masked identities, with the version as `ETag`."""
    await in_scope(work, customer_id)
    found = await service.customer_of(work.tx, customer_id)
    work.tag(found.version)
    return reads.masked_customer(found)


@command("/customers/{customer_id:uuid}/reveal", permission="customers:reveal", idempotent=False)
async def reveal_customer(work: Work, customer_id: UUID, data: Reveal) -> Customer:
    """Return one customer with everything readable; who looked, and why, is written down, each time.

    Without a reason nothing is shown. No reply is kept for repeats: that would be a copy of personal data.
    """
    await in_scope(work, customer_id)
    found = await service.reveal(work.tx, customer_id, data.why)
    work.tag(found.version)
    return found


@command("/customers", permission="customers:write", everywhere=True, status=201)
async def create_customer(work: Work, data: CustomerDraft) -> CustomerStored:
    """Add a customer. A document, or an e-mail without a document, that another profile has is refused.

    That tells who is a customer, so whoever is limited to locations adds none: those of their orders come with these.
    """
    made = await service.create_customer(work.tx, data)
    work.created(f"/v1/customers/{made.id}")
    work.tag(made.version)
    return CustomerStored(made.id, made.number, made.version)


@command("/customers/{customer_id:uuid}", method="PUT", permission="customers:write", versioned="required")
async def change_customer(work: Work, customer_id: UUID, data: CustomerDraft) -> CustomerStored:
    """Change a customer: the profile is afterwards what the body says, empty identities and address included.

    Only the municipality's code (`ibge`) that the body leaves out stays, as long as city and state do. Whoever is
    limited to locations gives nobody another document, nor another e-mail where there is no document: the answer would
    tell whether it is somebody's.
    """
    await in_scope(work, customer_id)
    version = await service.lock_customer(work.tx, customer_id, data)
    work.expect(version)
    changed = await service.update_customer(work.tx, customer_id, data, version)
    work.tag(changed.version)
    return CustomerStored(changed.id, changed.number, changed.version)


class Taking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why all that is kept of a person is taken, like the number of their request."""

    why: Annotated[str, Meta(min_length=1, max_length=200)]


class Erasing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a person is erased, like the number of their request; the reason is kept, so it names nobody."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]


@command(
    "/customers/{customer_id:uuid}/personal-data", permission="customers:reveal", everywhere=True, idempotent=False
)
async def take_personal_data(work: Work, customer_id: UUID, data: Taking) -> PersonalData:
    """Return everything that is kept of a person, for them (LGPD, art. 18, II and V); who took it, and why, is kept.

    Profile and profiles that went into it, consents and refusals, orders with payments, documents, parcels, notes,
    messages and timeline, the audit trail about them, and copies of what channels, tables, partners and programs sent.
    The same data give the same file but for `taken_at` and this entry of the trail. No reply is kept for repeats.
    """
    return await privacy.export(work.tx, customer_id, data.why)


@command("/customers/{customer_id:uuid}/erase", permission="customers:erase", everywhere=True)
async def erase_customer(work: Work, customer_id: UUID, data: Erasing) -> Erased:
    """Erase a person for good: the profile and every copy of their data (LGPD, art. 18, VI). It cannot be undone.

    What the law obliges to keep stays: fiscal documents, amounts and references of payments; and what names nobody.
    Refused with 409 while goods, holds, refunds, messages, orders at connections or imports are open. `again` says that
    it was done before. Where there is much to look through, a worker does that first and the answer says `looking`:
    follow it at `GET /v1/customers/{customer_id}/erasure`. Backups are not changed.
    """
    return await searching.begin(work.tx, customer_id, data.reason)


@query("/customers/{customer_id:uuid}/erasure", permission="customers:erase")
async def get_erasure(work: Work, customer_id: UUID) -> Erased:
    """Return how far erasing a person is: a worker looks for them, it was refused meanwhile, or it is done."""
    refuse_limited(work.tx)
    return await searching.state_of(work.tx, customer_id)


handlers = [
    list_customers,
    get_customer,
    reveal_customer,
    create_customer,
    change_customer,
    take_personal_data,
    erase_customer,
    get_erasure,
]
