"""Messages to customers: what was said about an order, what came back, and what a customer wants."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.customers import everyone_in_scope, in_scope
from malha.api.work import Work, command, query
from malha.customers import service as customers
from malha.flows import telling
from malha.notifications import reads, service, wishes
from malha.notifications.errors import MessageNotFound
from malha.notifications.model import Channel, Consent, ConsentSource, Kind, Purpose, State
from malha.ordering import service as ordering
from malha.ordering.errors import OrderNotFound
from malha.platform.ids import UUID
from malha.platform.shapes import Instant

TAG = "messages"


class Message(msgspec.Struct, frozen=True):
    """One message. `reason` is a code, `answer` what the server said.

    `rank` counts the means that were tried for the same news: 0 is the first.
    """

    id: UUID
    kind: Kind
    channel: Channel
    language: str
    state: State
    reason: str | None
    answer: str | None
    attempts: int
    created_at: datetime
    done_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    rank: int
    subject: str | None


class Messages(msgspec.Struct, frozen=True):
    """The messages about an order, newest first, at most 100."""

    items: list[Message]


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a customer wants. `declined` are channels without anything but cancels, delays and refused parts."""

    language: str | None = None
    declined: list[Channel] = []
    source: str


class Wished(msgspec.Struct, frozen=True):
    """What is known of a customer's wishes; version 0: nothing."""

    language: str | None
    declined: list[Channel]
    source: str
    version: int


@query("/orders/{order_id:uuid}/messages", permission="orders:read", tag=TAG)
async def list_messages(work: Work, order_id: UUID) -> Messages:
    """List what the buyer of an order was told, and how sending it ended."""
    await ordering.open_order(work.tx, order_id)
    rows = await reads.of_order(work.tx, order_id)
    names = Message.__struct_fields__
    return Messages([msgspec.convert({n: getattr(row, n) for n in names}, Message) for row in rows])


@command("/messages/{message_id:uuid}/send", permission="orders:write", tag=TAG)
async def send_message(work: Work, message_id: UUID) -> None:
    """Send a message again, to the address it has."""
    await _open(work, message_id)
    await service.send_again(work.tx, message_id)


@command("/messages/{message_id:uuid}/bounced", permission="orders:write", tag=TAG)
async def record_bounce(work: Work, message_id: UUID) -> None:
    """Record that a mail came back: nothing more is sent to its address until somebody allows it again.

    For programs that read the mailbox bounces arrive in: the id is what stands before the `@` of the `Message-ID`.
    """
    await _open(work, message_id)
    await service.mark_bounced(work.tx, message_id, await telling.means_now(work.tx))


async def _open(work: Work, message_id: UUID) -> None:
    row = await reads.one(work.tx, message_id)
    if row is None:
        raise MessageNotFound(key=message_id)
    try:
        await ordering.open_order(work.tx, row.order_id)
    except OrderNotFound:  # of an order out of sight there are no messages either
        raise MessageNotFound(key=message_id) from None


@query("/customers/{customer_id:uuid}/messaging", permission="customers:read", tag=TAG)
async def get_wishes(work: Work, customer_id: UUID) -> Wished:
    """Return what a customer wants of messages, with the version as `ETag`."""
    await in_scope(work, customer_id)
    await customers.customer_of(work.tx, customer_id)
    found = await reads.preference(work.tx, customer_id)
    work.tag(found.version)
    return Wished(found.language, list(found.declined), found.source, found.version)


@command(
    "/customers/{customer_id:uuid}/messaging",
    method="PUT",
    permission="customers:write",
    versioned="required",
    tag=TAG,
)
async def put_wishes(work: Work, customer_id: UUID, data: Wish) -> Wished:
    """Write down what a customer wants of messages, and how we know: consent needs its proof."""
    await in_scope(work, customer_id)
    await customers.customer_of(work.tx, customer_id)
    version = (await reads.preference(work.tx, customer_id)).version
    work.expect(version)
    kept = await wishes.set_preference(
        work.tx,
        customer_id,
        language=data.language,
        declined=data.declined,
        source=data.source,
        version=version,
    )
    work.tag(kept.version)
    return Wished(kept.language, list(kept.declined), kept.source, kept.version)


class ConsentGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a customer agreed to (`given`) or took back. `key` is your own: the same twice is written once.

    `proof` says what shows it: the words that were agreed to, an address of the network, the id of a record elsewhere.
    """

    customer_id: UUID
    purpose: Purpose
    channel: Channel
    given: bool
    source: ConsentSource = ConsentSource.API
    proof: Annotated[str, Meta(max_length=wishes.PROOF_LENGTH)] = ""
    at: Instant | None = None
    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class ConsentsGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consents of any customers, at most 1,000."""

    items: Annotated[list[ConsentGiven], Meta(min_length=1, max_length=wishes.MOST_AT_ONCE)]


class ConsentsKept(msgspec.Struct, frozen=True):
    """How many were new; the others were brought before under the same key."""

    new: int


class Consents(msgspec.Struct, frozen=True):
    """What a customer agreed to and took back, newest first, at most 100."""

    items: list[reads.ConsentRow]


@command("/consents", permission="customers:write", tag=TAG)
async def record_consents(work: Work, data: ConsentsGiven) -> ConsentsKept:
    """Add to the ledger of consents, for one customer or many (an import). Nothing in it is ever changed or removed.

    What counts is the newest row of a customer, purpose and means. News of losses are sent whatever is said here.
    Whoever is limited to locations can speak for customers who have an order there.
    """
    names = ("purpose", "channel", "given", "source", "proof", "at", "key")
    await everyone_in_scope(work, {item.customer_id for item in data.items})
    rows = [(x.customer_id, Consent(**{name: getattr(x, name) for name in names})) for x in data.items]
    return ConsentsKept(await wishes.record_many(work.tx, rows))


@query("/customers/{customer_id:uuid}/consents", permission="customers:read", tag=TAG)
async def list_consents(work: Work, customer_id: UUID) -> Consents:
    """Return the ledger of a customer's consents."""
    await in_scope(work, customer_id)
    await customers.customer_of(work.tx, customer_id)
    return Consents(await reads.consents(work.tx, customer_id))


handlers = [record_consents, list_consents, list_messages, send_message, record_bounce, get_wishes, put_wishes]
