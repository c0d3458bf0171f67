"""From where goods are brought to places where orders are fetched, and what is coming there for whom."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.fulfillment import reads as jobs
from malha.fulfillment.reads import ComingRow
from malha.network import reads, service, store_lanes
from malha.network.model import StoreLaneDraft
from malha.network.store_lanes import MOST_DAYS, MOST_PRICE, OriginRow

TAG = "network"


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A location that goods are brought from, by its code.

    `days` are the working days until they are there when the place opens, `price` the centavos that bringing what an
    order has there costs: it is compared with other plans.
    """

    origin: Annotated[str, Meta(min_length=1, max_length=80)]
    days: Annotated[int, Meta(ge=0, le=MOST_DAYS)]
    price: Annotated[int, Meta(ge=0, le=MOST_PRICE)] = 0


class Origins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All locations that goods are brought from; none: the place hands over only what it has."""

    origins: Annotated[list[Origin], Meta(max_length=1_000)]


@query("/locations/{code:str}/origins", permission="network:read", tag=TAG)
async def list_origins(work: Work, code: str) -> list[OriginRow]:
    """Return from where goods are brought to a place for orders that are fetched there."""
    place = await store_lanes.place_of(work.tx, code)
    work.tag(place.version)
    return await store_lanes.origins_of(work.tx, place)


@command("/locations/{code:str}/origins", method="PUT", permission="network:write", versioned="required", tag=TAG)
async def state_origins(work: Work, code: str, data: Origins) -> None:
    """State from where goods are brought to a place for orders that are fetched there, all origins at once.

    It holds for all owners at its site, and for orders placed from then on; what is on its way goes on.
    """
    await store_lanes.place_of(work.tx, code)
    work.expect(await service.lock(work.tx, "location", code))
    drafts = [StoreLaneDraft(origin=one.origin, days=one.days, price=one.price) for one in data.origins]
    await store_lanes.state(work.tx, code, drafts)


@query("/locations/{code:str}/coming", permission="orders:read", tag=TAG)
async def list_coming(work: Work, code: str) -> list[ComingRow]:
    """Return the goods that come to a place for orders fetched there, the first to come first: from where and for whom.

    Without a transfer they have not left yet. At most 500.
    """
    place = await store_lanes.place_of(work.tx, code)
    around = await reads.locations_at_sites(work.tx, [code])
    there = [one.id for one in around if work.actor.sees(one.id)]
    return await jobs.coming(work.tx, there or [place.id])


handlers = [list_origins, state_origins, list_coming]
