"""How long orders wait for their money: the retailer's terms, and more time for one order."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.orders_actions import open_order, seen_order
from malha.api.work import Work, command, query
from malha.network import reads as network
from malha.network.errors import UnknownChannel
from malha.payments import deadlines, reads
from malha.payments.terms import Term
from malha.platform.ids import UUID

TAG = "payments"
Tender = Annotated[str, Meta(min_length=1, max_length=20, description="A kind of tender, or `*` for all others.")]


class TermView(msgspec.Struct, frozen=True, kw_only=True):
    """How long stock waits for a kind of tender; without a channel, in all of them.

    `minutes` count from the tender on when it names no end itself; `clearing_days` are business days until the bank has
    the money, `grace_minutes` what is added in the end. For `keep_days` late money still finds the order.
    """

    tender: Tender
    channel: str | None
    minutes: int
    clearing_days: int
    grace_minutes: int
    keep_days: int
    version: int


class PutTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A term as it shall be. `version` is the one that was read; 0 makes a new one."""

    tender: Tender
    minutes: Annotated[int, Meta(ge=1, le=525_600)]
    channel: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    clearing_days: Annotated[int, Meta(ge=0, le=30)] = 0
    grace_minutes: Annotated[int, Meta(ge=0, le=10_080)] = 0
    keep_days: Annotated[int, Meta(ge=0, le=60)] = 3
    version: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class MoreTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long an order may be paid from now on."""

    minutes: Annotated[int, Meta(ge=1, le=deadlines.MOST_MINUTES)]


class TimeGiven(msgspec.Struct, frozen=True):
    """Until when the order may be paid."""

    due_at: datetime


class DeadlineView(msgspec.Struct, frozen=True):
    """Until when an order keeps its stock; nothing when it waits for no money."""

    deadline: reads.Deadline | None


@query("/payment-terms", permission="network:read", tag=TAG)
async def list_payment_terms(work: Work) -> list[TermView]:
    """Return how long stock waits for each kind of tender; the most specific term holds."""
    codes = {c.id: c.code for c in await network.channels(work.tx)}
    return [
        TermView(
            tender=t.tender,
            channel=codes.get(t.channel_id or 0),
            minutes=t.minutes,
            clearing_days=t.clearing_days,
            grace_minutes=t.grace_minutes,
            keep_days=t.keep_days,
            version=t.version,
        )
        for t in await deadlines.terms(work.tx)
    ]


@command("/payment-terms", permission="network:write", everywhere=True, tag=TAG)
async def put_payment_term(work: Work, data: PutTerm) -> None:
    """State how long stock waits for a kind of tender. Orders that wait already keep the time they have."""
    channel_id = None
    if data.channel is not None:
        channel_id = {c.code: c.id for c in await network.channels(work.tx)}.get(data.channel)
        if channel_id is None:
            raise UnknownChannel(key=data.channel)
    await deadlines.put_term(
        work.tx,
        Term(
            tender=data.tender,
            channel_id=channel_id,
            minutes=data.minutes,
            clearing_days=data.clearing_days,
            grace_minutes=data.grace_minutes,
            keep_days=data.keep_days,
            version=data.version,
        ),
    )


@query("/orders/{order_id:uuid}/payment-deadline", permission="orders:read", tag=TAG)
async def get_payment_deadline(work: Work, order_id: UUID) -> DeadlineView:
    """Return until when an order keeps its stock while it waits for money, and whether that time is over."""
    await seen_order(work, order_id)
    return DeadlineView(await reads.deadline(work.tx, order_id))


@command("/orders/{order_id:uuid}/payment-deadline/extend", permission="orders:write", versioned="optional", tag=TAG)
async def extend_payment_deadline(work: Work, order_id: UUID, data: MoreTime) -> TimeGiven:
    """Give an order more time to be paid; it is never shortened. One whose time was over is placed again."""
    await open_order(work, order_id)
    return TimeGiven(await deadlines.extend(work.tx, order_id, minutes=data.minutes))


handlers = [
    list_payment_terms,
    put_payment_term,
    get_payment_deadline,
    extend_payment_deadline,
]
