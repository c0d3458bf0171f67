"""Facts of our own that are told late: of a time from before the newest snapshot of the location's source of truth.

People hold the goods, so the units are added. The snapshot may have had them already, and nobody can know: a
disagreement is opened beside them, whose repair takes them off again, keeps them, or has them counted.
"""

from collections.abc import Sequence
from datetime import datetime

from malha.inventory.model import Claim
from malha.inventory.rules import arrays
from malha.inventory.sync.writes import ADD_TOLD_LATE
from malha.platform.db import Tx


async def doubt(tx: Tx, changes: Sequence[Claim], occurred_at: datetime | None) -> None:
    """Open disagreements about differences that were just added and occurred at a time that a snapshot may include.

    What is told as of now is on top of every snapshot: nothing is opened. The balances are locked, each stands once.
    """
    if occurred_at is not None:
        await tx.execute(ADD_TOLD_LATE, arrays(changes) | {"at": occurred_at})
