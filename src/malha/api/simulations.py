"""What if: past orders decided again in a network changed on paper, and what that would have come to."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.network.service import refuse_limited
from malha.platform.ids import UUID
from malha.simulation import reads, service
from malha.simulation.model import MOST_MOVED, Draft, Moved, Result, Simulation

TAG = "routing"


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From when the rules that were tried decide; absent: at once. Costs have no such time."""

    effective_from: Annotated[datetime, Meta(tz=True)] | None = None


@query("/simulations", permission="network:read", tag=TAG)
async def list_simulations(work: Work) -> list[Simulation]:
    """List simulations, the newest first. Whoever is limited to some locations sees none."""
    refuse_limited(work.tx)
    return await reads.simulations(work.tx)


@command("/simulations", permission="network:write", status=201, tag=TAG)
async def start_simulation(work: Work, data: Draft) -> Simulation:
    """Have past orders decided again in the background, from what was known when each was decided.

    Only what the scenario names is changed: a location may be closed, keep units back, cost more or less, take more or
    fewer orders a day; carriage may cost more or less; a location may be opened with a share of another's stock. With
    `rule_set`, a draft of the routing rules, or a published one, decides in place of those that decided then; with
    `cost_draft` plans are compared by a draft of costs, and `before` is the real plans at its costs. Nothing real
    changes.
    """
    started = await service.start(work.tx, data)
    work.created(f"/v1/simulations/{started.id}")
    return started


@query("/simulations/{id:uuid}", permission="network:read", tag=TAG)
async def show_simulation(work: Work, id: UUID) -> Simulation:  # noqa: A002 -- the parameter's name in the path
    """Return a simulation and how far it is."""
    return await service.show(work.tx, id)


@query("/simulations/{id:uuid}/result", permission="network:read", tag=TAG)
async def show_simulation_result(work: Work, id: UUID) -> Result:  # noqa: A002
    """Return what came of a simulation: cost, parcels, transit and load, as it was and as it would have been.

    It is there as soon as all orders are decided again, while the status is still `running`; `gap` is null until the
    bounds of its days are worked out. Where none could be, `gap` says why. `together` tells of orders whose goods come
    together, and which could not be decided the other way from what was stored.
    """
    return await service.outcome(work.tx, id)


@query("/simulations/{id:uuid}/orders", permission="network:read", tag=TAG)
async def list_simulation_orders(work: Work, id: UUID) -> list[Moved]:  # noqa: A002
    """List orders that would have gone elsewhere, at most 500: those whose cost differs most, the largest first."""
    await service.show(work.tx, id)
    return await reads.moved(work.tx, id, MOST_MOVED)


@command("/simulations/{id:uuid}/promote", permission="network:write", tag=TAG)
async def promote_simulation(work: Work, id: UUID, data: Promotion) -> Simulation:  # noqa: A002
    """Publish the rules, or put the costs into force, that a simulation tried.

    Only if nothing else was changed, and the draft and what is in force are those that were compared.
    """
    return await service.promote(work.tx, id, effective_from=data.effective_from)


@command("/simulations/{id:uuid}/take-back", permission="network:write", everywhere=True, tag=TAG)
async def take_back_simulation(work: Work, id: UUID) -> Simulation:  # noqa: A002
    """Undo a promotion: what was in force before comes back, or promoted rules never come into force."""
    return await service.take_back(work.tx, id)


@command("/simulations/{id:uuid}/stop", permission="network:write", everywhere=True, tag=TAG)
async def stop_simulation(work: Work, id: UUID) -> Simulation:  # noqa: A002
    """Stop a simulation that has not ended."""
    return await service.stop(work.tx, id)


@command("/simulations/{id:uuid}", method="DELETE", permission="network:write", everywhere=True, status=204, tag=TAG)
async def forget_simulation(work: Work, id: UUID) -> None:  # noqa: A002
    """Delete a simulation that has ended."""
    await service.forget(work.tx, id)


handlers = [
    list_simulations,
    start_simulation,
    show_simulation,
    show_simulation_result,
    list_simulation_orders,
    promote_simulation,
    take_back_simulation,
    stop_simulation,
    forget_simulation,
]
