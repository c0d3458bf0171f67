"""One order's life, from allocation to its end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import IntEnum

import msgspec

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts, Issuer
from malha.fulfillment import batch, history
from malha.fulfillment import service as fulfillment
from malha.fulfillment.history import WorkTimes
from malha.fulfillment.model import PICKUP_DAYS, Tracking, Work
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Makes the fiscal document of packed work, as whoever issues it would report it.
Issue = Callable[[Work, Issuer, datetime], DocumentFacts]


class Ends(IntEnum):
    """How far an order came. Each end includes those before it; pickup and shipping part after PACKED."""

    RELEASED = 1
    ACCEPTED = 2
    PICKED = 3
    PACKED = 4
    INVOICED = 5
    LEFT = 6  # shipped, or ready for pickup
    ARRIVED = 7  # delivered, or collected


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an order and when. Instants that are not known follow the one before them at once."""

    ends: Ends
    released_at: datetime
    accepted_at: datetime | None = None
    picked_at: datetime | None = None
    packed_at: datetime | None = None
    left_at: datetime | None = None
    arrived_at: datetime | None = None
    tracking: str | None = None
    carrier: str | None = None
    received_by: str = "Destinatário"
    weight_grams: int | None = None

    def at(self, end: Ends) -> datetime:
        """Return when the order reached `end`: as told, but never before the step it follows."""
        told = {
            Ends.RELEASED: self.released_at,
            Ends.ACCEPTED: self.accepted_at,
            Ends.PICKED: self.picked_at,
            Ends.PACKED: self.packed_at,
            Ends.LEFT: self.left_at,
            Ends.ARRIVED: self.arrived_at,
        }
        instant = self.released_at
        for step in Ends:
            if step > end:
                break
            instant = max(told.get(step) or instant, instant)
        return instant


_STEPS = {
    Ends.ACCEPTED: batch.Step.ACCEPTED,
    Ends.PICKED: batch.Step.PICKED,
    Ends.PACKED: batch.Step.PACKED,
    Ends.INVOICED: batch.Step.INVOICED,
    Ends.LEFT: batch.Step.LEFT,
    Ends.ARRIVED: batch.Step.ARRIVED,
}
_EVENTS = {
    "fulfillment.released": Ends.RELEASED,
    "fulfillment.accepted": Ends.ACCEPTED,
    "fulfillment.picked": Ends.PICKED,
    "fulfillment.packed": Ends.PACKED,
    "fiscal.document_recorded": Ends.INVOICED,
    "fulfillment.shipped": Ends.LEFT,
    "fulfillment.ready": Ends.LEFT,
    "shipment.delivered": Ends.ARRIVED,
    "fulfillment.collected": Ends.ARRIVED,
}


async def live(tx: Tx, stories: Mapping[UUID, Story], issue: Issue | None = None) -> int:
    """Bring allocated orders of one transaction to their ends; return how many pieces of work that made.

    Orders that may not be released (held, unpaid, without capacity) stay as they are. A document is recorded where
    goods need one; without `issue` such work stays packed.

    Raises:
        MalhaError: a step was refused; the caller rolls back.
    """
    made: list[Work] = []
    for day, orders in _by_day(stories).items():
        made += (await fulfillment.release(tx, orders, forced=True, at=day)).work
    await batch.carry_out(tx, await _errands(tx, made, stories, issue))
    if made:
        await _restate(tx, made, stories)
    return len(made)


def _by_day(stories: Mapping[UUID, Story]) -> dict[datetime, list[UUID]]:
    """Group orders by the day of their release, at its first instant: capacity and due times count from it."""
    days: dict[date, list[UUID]] = {}
    for order_id, story in stories.items():
        days.setdefault(story.released_at.date(), []).append(order_id)
    return {min(stories[o].released_at for o in orders): orders for _, orders in sorted(days.items())}


async def _errands(
    tx: Tx, made: Sequence[Work], stories: Mapping[UUID, Story], issue: Issue | None
) -> list[batch.Errand]:
    """Say how far each piece of work goes; where goods need a document that nobody issues, they stay packed."""
    issuers = await fiscal.issuers_of(tx, {work.location_id for work in made})
    methods = {work.method for work in made}
    needing = {method: await fiscal.requiring(tx, issuers, method) for method in methods}
    errands = []
    for work in made:
        story = stories[work.order_id]
        if story.ends < Ends.ACCEPTED:
            continue
        needs = work.location_id in needing[work.method]
        until = _STEPS[min(story.ends, Ends.PACKED) if needs and issue is None else story.ends]
        document = None
        if needs and issue is not None and until >= batch.Step.INVOICED:
            document = issue(work, issuers[work.location_id], story.at(Ends.PACKED))
        errands.append(
            batch.Errand(
                work_id=work.id,
                until=until,
                document=document,
                weight_grams=story.weight_grams,
                tracking=Tracking(None, story.carrier, story.tracking),
                received_by=story.received_by,
            )
        )
    return errands


async def _restate(tx: Tx, made: Sequence[Work], stories: Mapping[UUID, Story]) -> None:
    """Say when things happened, in the work, its parcels and the events that are about to be told."""
    await history.restate(tx, [_times(work, stories[work.order_id]) for work in made])
    moments = [
        (f"order:{order_id}", type_, story.at(end))
        for order_id, story in stories.items()
        for type_, end in _EVENTS.items()
        if end <= story.ends
    ]
    await outbox.restate(tx, moments)


def _times(work: Work, story: Story) -> WorkTimes:
    def reached(end: Ends) -> datetime | None:
        return story.at(end) if story.ends >= end else None

    pickup = work.method == "pickup"
    return WorkTimes(
        id=work.id,
        released_at=story.at(Ends.RELEASED),
        accepted_at=reached(Ends.ACCEPTED),
        picked_at=reached(Ends.PICKED),
        packed_at=reached(Ends.PACKED),
        left_at=reached(Ends.ARRIVED if pickup else Ends.LEFT),
        arrived_at=reached(Ends.ARRIVED),
        pickup_until=story.at(Ends.LEFT) + timedelta(days=PICKUP_DAYS) if pickup else None,
    )
