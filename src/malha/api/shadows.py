"""Drafts of the network that decide new orders beside the live one, and what they come to."""

from malha.api.simulations import Promotion
from malha.api.work import Work, command, query
from malha.platform import paging
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.simulation import shadow_reads, shadowing
from malha.simulation.shadow_model import Comparison, Shadow, ShadowDraft, ShadowOrder

TAG = "routing"


@query("/shadows", permission="network:read", tag=TAG)
async def list_shadows(work: Work) -> list[Shadow]:
    """List drafts beside the live network, the newest first. Whoever is limited to some locations sees none."""
    return await shadowing.listed(work.tx)


@command("/shadows", permission="network:write", status=201, tag=TAG)
async def start_shadow(work: Work, data: ShadowDraft) -> Shadow:
    """Let a draft decide every order that is placed from now on, beside the live network.

    It decides from what each live decision was decided from and touches neither stock nor orders. At most three at a
    time; one ends by itself after its days. Under load orders are sampled, and counted as `passed_over`.
    """
    started = await shadowing.start(work.tx, data)
    work.created(f"/v1/shadows/{started.id}")
    return started


@query("/shadows/{id:uuid}", permission="network:read", tag=TAG)
async def show_shadow(work: Work, id: UUID) -> Shadow:  # noqa: A002 -- the parameter's name in the path
    """Return a draft, and how far behind it is."""
    return await shadowing.show(work.tx, id)


@query("/shadows/{id:uuid}/comparison", permission="network:read", tag=TAG)
async def compare_shadow(work: Work, id: UUID) -> Comparison:  # noqa: A002
    """Return what a draft came to so far: `before` is live, `after` the draft."""
    return await shadowing.outcome(work.tx, id)


@query("/shadows/{id:uuid}/orders", permission="network:read", tag=TAG)
async def list_shadow_orders(
    work: Work,
    id: UUID,  # noqa: A002
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[ShadowOrder]:
    """List the orders that a draft would send another way, the newest first."""
    await shadowing.show(work.tx, id)
    limit = paging.bounded(limit)
    after = paging.position(cursor, "shadow_orders", (int,))
    rows = await shadow_reads.orders(work.tx, id, before=after[0] if after else None, limit=limit + 1)
    return paging.page_of(rows, limit, "shadow_orders", lambda row: (row.position,))


@command("/shadows/{id:uuid}/promote", permission="network:write", tag=TAG)
async def promote_shadow(work: Work, id: UUID, data: Promotion) -> Shadow:  # noqa: A002
    """Put the rules or costs by which a draft decides beside live into force; as for a simulation. It goes on."""
    return await shadowing.promote(work.tx, id, effective_from=data.effective_from)


@command("/shadows/{id:uuid}/take-back", permission="network:write", everywhere=True, tag=TAG)
async def take_back_shadow(work: Work, id: UUID) -> Shadow:  # noqa: A002
    """Undo a promotion: what was in force before comes back, or promoted rules never come into force."""
    return await shadowing.take_back(work.tx, id)


@command("/shadows/{id:uuid}/stop", permission="network:write", everywhere=True, tag=TAG)
async def stop_shadow(work: Work, id: UUID) -> Shadow:  # noqa: A002
    """Let a draft decide no more; what it came to stays."""
    return await shadowing.stop(work.tx, id)


@command("/shadows/{id:uuid}", method="DELETE", permission="network:write", everywhere=True, status=204, tag=TAG)
async def forget_shadow(work: Work, id: UUID) -> None:  # noqa: A002
    """Delete a draft that has ended, and what it came to."""
    await shadowing.forget(work.tx, id)


handlers = [
    list_shadows,
    start_shadow,
    show_shadow,
    compare_shadow,
    list_shadow_orders,
    promote_shadow,
    take_back_shadow,
    stop_shadow,
    forget_shadow,
]
