"""Many pieces of work taken the same way at once, set-based.

For histories, demonstrations and systems at locations that report in batches. The same rules, events, gate and ledger
as step by step; nothing is short here, and each work leaves as one parcel.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.fulfillment import pickups, writes
from malha.fulfillment.errors import DocumentRequired, OrderStopped, WorkNotFound
from malha.fulfillment.events import (
    ShipmentDelivered,
    UnitsPicked,
    WorkAccepted,
    WorkCollected,
    WorkEvent,
    WorkPacked,
    WorkReady,
    WorkShipped,
)
from malha.fulfillment.model import TRANSFER, Tracking, Work, WorkState
from malha.fulfillment.work import about, lock_work, restate, wrong_state
from malha.inventory import service as inventory
from malha.inventory.counts.freezing import refuse_frozen
from malha.inventory.model import Claim, Reason, Reference
from malha.ordering import service as ordering
from malha.ordering.events import OrderEvent
from malha.ordering.model import STOPPING_HOLDS, Move, Unit, UnitState, word_of
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id


class Step(IntEnum):
    """How far work is taken; each step includes those before it."""

    ACCEPTED = 1
    PICKED = 2
    PACKED = 3
    INVOICED = 4
    LEFT = 5  # shipped, or ready for pickup
    ARRIVED = 6  # delivered, or collected


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """Open work and how far it goes. Without `document` work that needs one stays packed."""

    work_id: UUID
    until: Step
    document: DocumentFacts | None = None
    weight_grams: int | None = None
    tracking: Tracking = Tracking()
    received_by: str | None = None


class _Job:
    """One errand under way: its work, its units as they stand, its parcel."""

    __slots__ = ("errand", "shipment_id", "units", "work")

    def __init__(self, errand: Errand, work: Work, units: list[Unit]) -> None:
        self.errand = errand
        self.work = work
        self.units = units
        self.shipment_id = new_id()

    @property
    def quantity(self) -> int:
        return sum(u.quantity for u in self.units)


async def carry_out(tx: Tx, errands: Sequence[Errand]) -> list[Work]:
    """Take open work as far as each errand says, in a fixed number of statements; all or none.

    Returns:
        The work, as it stood before.

    Raises:
        WorkNotFound: there is no such work, or it is outside the actor's locations.
        WrongState: it is not open.
        OrderStopped: a hold says that nothing leaves.
        DocumentRequired: goods that are to leave need a document and the errand has none.
        MalhaError: as `fiscal.service.record_documents`.
    """
    jobs = await _open(tx, errands)
    if not jobs:
        return []
    await _step(tx, jobs, UnitState.PICKING, lambda job: WorkAccepted(**about(job.work)))
    await _step(tx, _as_far_as(jobs, Step.PICKED), UnitState.PICKED, _picked)
    here = [job for job in jobs if job.work.method != TRANSFER]  # others are packed where they are brought to
    await _pack(tx, _as_far_as(here, Step.PACKED))
    invoiced = _as_far_as(here, Step.INVOICED)
    facts = [(job.work.id, job.errand.document) for job in invoiced if job.errand.document is not None]
    await fiscal.record_documents(tx, [(id_, document) for id_, document in facts if document is not None])
    await _refresh(tx, invoiced)
    leaving = _as_far_as(here, Step.LEFT)
    await _refuse_held(tx, leaving)
    arriving = _as_far_as(here, Step.ARRIVED)
    await _ship(tx, [job for job in leaving if job.work.method == "ship"])
    await _make_ready(tx, [job for job in leaving if job.work.method == "pickup"])
    await _arrive(tx, arriving)
    every = [u for rows in (await ordering.units_of(tx, {j.work.order_id for j in jobs})).values() for u in rows]
    await restate(tx, [job.work for job in jobs], every, ended=WorkState.CANCELLED)
    return [job.work for job in jobs]


def _as_far_as(jobs: Sequence[_Job], step: Step) -> list[_Job]:
    return [job for job in jobs if job.errand.until >= step]


async def _open(tx: Tx, errands: Sequence[Errand]) -> list[_Job]:
    by_id = {errand.work_id: errand for errand in errands}
    found = await lock_work(tx, by_id)
    missing = sorted(by_id.keys() - {work.id for work in found})
    if missing:
        raise WorkNotFound(key=missing[0])
    jobs = []
    for work in found:
        if work.state is not WorkState.OPEN:
            raise wrong_state(work, WorkState.OPEN)
        jobs.append(_Job(by_id[work.id], work, []))
    await _refresh(tx, jobs)
    return [job for job in jobs if job.units]


async def _refresh(tx: Tx, jobs: Sequence[_Job]) -> None:
    """Read the units again: rows split, join and change hands."""
    mine: dict[UUID | None, list[Unit]] = {}
    for unit in await ordering.units_of_fulfillments(tx, [job.work.id for job in jobs]):
        if unit.state is not UnitState.CANCELLED:
            mine.setdefault(unit.fulfillment_id, []).append(unit)
    for job in jobs:
        job.units = mine.get(job.work.id, [])


async def _step(
    tx: Tx,
    jobs: Sequence[_Job],
    to: UnitState | Callable[[_Job], UnitState],
    event: Callable[[_Job], OrderEvent],
    *,
    place: bool = False,
) -> None:
    """Move all units of some work to a state, with one event each."""
    if not jobs:
        return
    moves: dict[UUID, list[Move]] = {}
    for job in jobs:
        state = to if isinstance(to, UnitState) else to(job)
        moves.setdefault(job.work.order_id, []).extend(
            Move(u.line, u.part, u.quantity, state, shipment_id=job.shipment_id if place else u.shipment_id)
            for u in job.units
        )
    after = await ordering.move_many(tx, moves, [event(job) for job in jobs])
    for job in jobs:
        mine = [u for u in after[job.work.order_id] if u.fulfillment_id == job.work.id]
        job.units = [u for u in mine if u.state is not UnitState.CANCELLED]


def _picked(job: _Job) -> WorkEvent:
    return UnitsPicked(**about(job.work), lines=[(u.line, u.sku_id or 0, u.quantity) for u in job.units])


async def _pack(tx: Tx, jobs: Sequence[_Job]) -> None:
    if not jobs:
        return
    required = {
        method: await fiscal.requiring(tx, {j.work.location_id for j in jobs if j.work.method == method}, method)
        for method in {job.work.method for job in jobs}
    }

    def awaits(job: _Job) -> bool:
        return job.work.location_id in required[job.work.method]

    await tx.execute(
        writes.ADD_PARCELS,
        {
            "ids": [job.shipment_id for job in jobs],
            "fulfillments": [job.work.id for job in jobs],
            "orders": [job.work.order_id for job in jobs],
            "weights": [job.errand.weight_grams for job in jobs],
        },
    )
    await _step(
        tx,
        jobs,
        lambda job: UnitState.AWAITING_DOCUMENT if awaits(job) else UnitState.PACKED,
        lambda job: WorkPacked(
            **about(job.work),
            parcels=1,
            weight_grams=job.errand.weight_grams,
            units=job.quantity,
            awaits_document=awaits(job),
        ),
        place=True,
    )


async def _refuse_held(tx: Tx, jobs: Sequence[_Job]) -> None:
    waiting = sum(u.quantity for job in jobs for u in job.units if u.state is UnitState.AWAITING_DOCUMENT)
    if waiting:
        raise DocumentRequired(quantity=waiting)
    holds = await ordering.open_holds(tx, {job.work.order_id for job in jobs})
    stops = sorted({kind for own in holds.values() for kind in own} & STOPPING_HOLDS)
    if stops:
        raise OrderStopped(kind=word_of(stops[0]))


async def _ship(tx: Tx, jobs: Sequence[_Job]) -> None:
    if not jobs:
        return
    await refuse_frozen(tx, {(u.sku_id, job.work.location_id) for job in jobs for u in job.units})
    services = sorted({job.work.service_id for job in jobs if job.work.service_id is not None})
    carriers = dict(await tx.tuples(writes.CARRIERS_OF, {"services": services}))
    chosen = {job.work.id: job.errand.tracking.carrier or carriers.get(job.work.service_id) for job in jobs}
    await tx.execute(
        writes.SEND_SHIPMENTS,
        {
            "ids": [job.shipment_id for job in jobs],
            "carriers": [chosen[job.work.id] for job in jobs],
            "codes": [job.errand.tracking.tracking_code for job in jobs],
            "urls": [job.errand.tracking.tracking_url for job in jobs],
        },
    )
    await _step(
        tx,
        jobs,
        UnitState.SHIPPED,
        lambda job: WorkShipped(
            **about(job.work),
            shipments=[
                {
                    "id": job.shipment_id,
                    "carrier": chosen[job.work.id],
                    "tracking_code": job.errand.tracking.tracking_code,
                }
            ],
            units=job.quantity,
        ),
    )
    await _take_from_stock(tx, jobs, Reason.SHIP)


async def _take_from_stock(tx: Tx, jobs: Sequence[_Job], reason: Reason) -> None:
    leaving = [(job, u) for job in jobs for u in job.units if u.sku_id is not None]
    claims = [Claim(u.sku_id or 0, job.work.location_id, u.quantity) for job, u in leaving]
    await inventory.ship(tx, claims, Reference("order"), reason, [job.work.order_id for job, _ in leaving])


async def _make_ready(tx: Tx, jobs: Sequence[_Job]) -> None:
    if not jobs:
        return
    until = await pickups.give_codes(tx, [job.work.id for job in jobs])
    await _step(tx, jobs, UnitState.READY, lambda job: WorkReady(**about(job.work), until=until[job.work.id]))


async def _arrive(tx: Tx, jobs: Sequence[_Job]) -> None:
    if not jobs:
        return
    rows = {"ids": [job.shipment_id for job in jobs], "receivers": [job.errand.received_by for job in jobs]}
    await tx.execute(writes.ARRIVE_SHIPMENTS, rows)
    collected = [job for job in jobs if job.work.method == "pickup"]
    await _step(
        tx,
        collected,
        UnitState.COLLECTED,
        lambda job: WorkCollected(**about(job.work), shipment_id=job.shipment_id, units=job.quantity),
    )
    await _take_from_stock(tx, collected, Reason.HAND_OVER)
    now = await tx.now()
    await _step(
        tx,
        [job for job in jobs if job.work.method == "ship"],
        UnitState.DELIVERED,
        lambda job: ShipmentDelivered(
            id=job.work.order_id, seq=0, shipment_id=job.shipment_id, units=job.quantity, delivered_at=now
        ),
    )
