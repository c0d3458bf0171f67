"""Taking the work of a list on: many pieces at once, of all owners whose goods one person fetches in one walk."""

from collections.abc import Sequence

from malha.fulfillment import batch, writes
from malha.fulfillment.batch import Errand, Step
from malha.fulfillment.errors import WorkNotFound
from malha.fulfillment.model import Work, WorkState
from malha.fulfillment.work import lock_work
from malha.platform.db import Tx
from malha.platform.ids import UUID

_TO_PICK = frozenset({WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING})


async def take_on(tx: Tx, work_ids: Sequence[UUID], *, assignee: str) -> list[Work]:
    """Accept open work, in a fixed number of statements, and say who has it; return it as it stood before.

    What nobody has by name becomes `assignee`'s, as long as it is to be picked. What somebody took meanwhile and what
    is past that stays as it is: the same press of a button twice is one.

    Raises:
        WorkNotFound: some work does not exist, or is outside the actor's locations. Nothing is taken then.
    """
    found = await lock_work(tx, work_ids)
    if missing := sorted(set(work_ids) - {work.id for work in found}):
        raise WorkNotFound(key=missing[0])
    opened = [work for work in found if work.state is WorkState.OPEN]
    await batch.carry_out(tx, [Errand(work_id=work.id, until=Step.ACCEPTED) for work in opened])
    free = sorted(work.id for work in found if work.state in _TO_PICK)
    taken = set(await tx.values(writes.TAKE_ON, {"ids": free, "assignee": assignee}))
    return [work for work in found if work.id in taken]
