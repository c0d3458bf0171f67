"""Why an order goes where it goes."""

from typing import Annotated

from msgspec import Meta

from malha.api.work import Work, query
from malha.platform.ids import UUID
from malha.routing import reads
from malha.routing.errors import NotDecided
from malha.routing.telling import Explanation


@query("/orders/{order_id:uuid}/routing", permission="orders:read")
async def explain_routing(
    work: Work, order_id: UUID, attempt: Annotated[int, Meta(ge=1, le=32_767)] | None = None
) -> Explanation:
    """Return how an order's locations were chosen: the alternatives with their costs, and why others were refused.

    Without `attempt` the last decision is told; an order is decided again after a rejection, a short pick or a new
    address. Texts are in the caller's language. Alternatives are ranked from the cheapest; the cost of each is that of
    the cheapest plan that uses its locations, exact where `exact` is true.
    """
    found = await reads.explanation(work.tx, order_id, attempt)
    if found is None:
        raise NotDecided(order=order_id)
    return found


handlers = [explain_routing]
