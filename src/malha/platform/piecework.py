"""One piece of work on each of many orders, as a job does it: order by order, each in a transaction of its own.

Killed, it goes on where it was. An order that refuses stays as it is, and why is kept. So is one that the program fails
at, or nobody behind it would have their turn; one that others work on is tried some times. A database that is away
fails the job, which is tried again as a whole.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, LiteralString

import structlog
from psycopg import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from malha.platform import refusals
from malha.platform.db import Actor, Database, Tx, in_turn
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID

TURN_S = 20.0  # of one batch, before others have their turn and jobs of other kinds their places
TRIES = 5  # with an order that others work on

Work = Callable[[Tx, UUID, Any], Awaitable[object]]

log = structlog.get_logger(__name__)


class OrderFailed(MalhaError):
    """The program failed at one order of many, and went on with the others."""

    status = 500
    code = "order_failed"
    says = "The program failed at this order."
    mend = "Do it on the order itself; if it fails there too, report it with what the log of the worker says."


@dataclass(frozen=True, kw_only=True)
class Statements:
    """How a kind of batch keeps its orders; all are given its `id`.

    `take`: the next order that has no outcome, locked, and what was seen of it. `end_order`: its `outcome`, and `why`
    it refused. `end`: the batch, once each of its orders has an outcome. `going`: whether it goes on. `done`: the
    outcome of an order that went well.
    """

    take: LiteralString
    end_order: LiteralString
    end: LiteralString
    going: LiteralString
    done: str


async def go_on(
    db: Database, actor: Actor, batch_id: UUID, how: Statements, work: Work, again: Callable[[Tx], Awaitable[object]]
) -> None:
    """Go through the orders of a batch that have no outcome yet, in the name of an actor.

    Args:
        db: where they are.
        actor: in whose name.
        batch_id: the batch.
        how: it keeps its orders.
        work: what is done with one, given its id and what was seen of it.
        again: lines the batch up behind others, when its turn is over.

    Raises:
        OperationalError, InterfaceError, PoolTimeout: the database is away.
    """
    until = time.monotonic() + TURN_S
    asked = {"id": batch_id}
    async with db.transaction() as tx:
        going = await tx.value(how.going, asked)
    while going:
        if time.monotonic() >= until:
            async with db.transaction() as tx:
                await again(tx)
            return
        if await do_one(db, actor, batch_id, how, work):
            continue
        # Who waited for the last row that somebody else held finds none, though others may be left.
        async with db.transaction() as tx:
            await tx.execute(how.end, asked)
            going = await tx.value(how.going, asked)


async def do_one(db: Database, actor: Actor, batch_id: UUID, how: Statements, work: Work) -> bool:
    """Do the work on the next order of a batch, or keep why it refused; return whether there was one.

    Raises:
        OperationalError, InterfaceError, PoolTimeout: the database is away.
    """
    ended: dict[str, Any] = {"id": batch_id, "order_id": None, "outcome": how.done, "why": None}

    async def attempt() -> bool:
        async with db.transaction(actor) as tx:
            row = next(iter(await tx.tuples(how.take, {"id": batch_id})), None)
            if row is None:
                return False
            ended["order_id"], seen = row
            await work(tx, ended["order_id"], seen)
            await tx.execute(how.end_order, ended)
            return True

    try:
        return await in_turn(attempt, TRIES)
    except MalhaError as error:
        refusal = error
    except (OperationalError, InterfaceError, PoolTimeout):
        raise
    except Exception:
        log.exception("order_failed", batch=str(batch_id), order=str(ended["order_id"]))
        refusal = OrderFailed()
    async with db.transaction(actor) as tx:
        await tx.execute(how.end_order, ended | {"outcome": "refused", "why": refusals.kept(refusal)})
    return True
