"""What one batch of new orders is about to write."""

from malha.intake.allotting import Allotting
from malha.intake.covering import Covering
from malha.intake.model import NewOrder, Placed
from malha.intake.slotting import Slotting
from malha.inventory.vendors.model import NewDrop
from malha.ordering.events import OrderPlaced
from malha.ordering.placing import NewOrders
from malha.platform.ids import UUID
from malha.routing import service as decisions


class Moved(Exception):
    """Stock or a natural key changed between reading and writing: roll back and call again with `lock=True`.

    With `stale`, allotments changed: look at the reference data again first.
    """

    def __init__(self, *, stale: bool = False) -> None:
        self.stale = stale
        super().__init__()


class Batch:
    """What one batch is about to write."""

    __slots__ = (
        "actors",
        "allotting",
        "ats",
        "claims",
        "covering",
        "decisions",
        "drops",
        "events",
        "free",
        "ledger",
        "new",
        "paid_for",
        "paying",
        "placed",
        "slotting",
        "tenders",
    )

    def __init__(
        self,
        free: dict[int, list[int]],
        allotting: Allotting | None,
        covering: Covering,
        slotting: Slotting,
    ) -> None:
        self.free = free
        self.allotting = allotting
        self.covering = covering
        self.slotting = slotting
        self.new = NewOrders()
        self.placed: dict[str, tuple[int, Placed]] = {}  # by order: position in the batch, reply without its number
        self.claims: dict[tuple[int, int], int] = {}
        self.ledger: tuple[list[int], list[int], list[int], list[str], list[str]] = ([], [], [], [], [])
        self.tenders: list[tuple[UUID, NewOrder]] = []
        self.paid_for: dict[str, tuple[UUID, int]] = {}  # of payments of this batch, the order they are on, its channel
        self.paying: dict[str, UUID] = {}  # those that this batch takes
        self.decisions: list[decisions.Decision] = []
        self.drops: list[NewDrop] = []
        self.events: list[OrderPlaced] = []
        self.actors: list[str] = []
        self.ats: list[str] = []

    def keep(self, decision: decisions.Decision) -> None:
        """Keep a decision, and where the goods come together by it."""
        self.decisions.append(decision)
        onward = decision.plan.basis.onward
        if onward is not None:
            self.new.merges.append((decision.order_id, onward.location))
