"""Bulk actions: one act on all orders that a list finds.

First the orders are written down, each with its version (`gather`): what the person is shown and begins is exactly
these, whatever comes in meanwhile. A worker goes through them one by one, each in a transaction of its own. Killed, it
goes on where it was. An order that refuses stays as it is, and the action says why; so does one that changed since it
was gathered, where the act cannot be taken back.
"""

import time
from typing import Any

import msgspec
import structlog
from psycopg import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from malha.fulfillment import bulk_acts, finding
from malha.fulfillment import bulk_reads as reads
from malha.fulfillment import bulk_writes as writes
from malha.fulfillment.bulk_model import PERMISSIONS, Act, Wish
from malha.fulfillment.bulk_reads import BulkAction
from malha.fulfillment.errors import BulkBegun, BulkEnded, NoOrdersFound, OrderFailed, TooManyOrders
from malha.ordering import kept_names
from malha.ordering import reads as orders
from malha.ordering.finding_reads import FOUND_LIMIT
from malha.ordering.reads import Wanted
from malha.platform import audit, jobs, refusals
from malha.platform.db import Actor, Database, Tx, in_turn
from malha.platform.errors import Forbidden, MalhaError
from malha.platform.ids import UUID, new_id

MOST = 50_000  # orders of one action
TURN_S = 20.0  # that an action works before others have their turn
TRIES = 5  # with an order that others work on
LOCK = "bulk_actions:{retailer}"  # one of a retailer works at a time: four would take all places of a worker

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger(__name__)


async def gather(tx: Tx, wish: Wish, wanted: Wanted | None, sought: str) -> int:
    """Write down the orders that a list finds, for an act that is begun later; return the action's number.

    What the same person gathered before and did not begin is gone.

    Args:
        tx: in the name of the person.
        wish: the act.
        wanted: the list; its scope is the person's. None: it names what is not there, and finds nothing.
        sought: the list's address, to come back to.

    Raises:
        Forbidden: the person may not do this to orders.
        Invalid: the wish lacks what its act needs.
        NoOrdersFound: the list is empty by now.
        TooManyOrders: it finds more than `MOST`, or a search may have found more than it looks at.
    """
    _allow(tx, wish.act)
    if wanted is None:
        raise NoOrdersFound
    bulk_acts.check(wish)
    wanted = await finding.sought(tx, wanted)
    if wanted.found is not None and len(wanted.found) >= FOUND_LIMIT:
        raise TooManyOrders(most=FOUND_LIMIT - 1)
    found = await orders.ids_of_list(tx, wanted, MOST)
    if not found:
        raise NoOrdersFound
    if len(found) > MOST:
        raise TooManyOrders(most=MOST)
    id_ = new_id()
    said: dict[str, Any] = {
        "id": id_,
        "act": wish.act.value,
        "wish": _encode(wish).decode(),
        "sought": sought,
        "orders": len(found),
        "actor": tx.actor.label,
        "person": tx.actor.name,
    }
    await tx.execute(writes.DROP_READY, {"actor": tx.actor.label})
    number: int = await tx.value(writes.ADD_ACTION, said)
    await tx.execute(writes.ADD_ORDERS, {"id": id_, "orders": found})
    await _note(tx, "gather", number, wish, {"orders": len(found), "sought": sought})
    return number


async def begin(tx: Tx, number: int) -> None:
    """Have a worker go through what was gathered.

    Raises:
        BulkNotFound: there is none, or somebody else gathered it.
        Forbidden: the person may not do this to orders.
        BulkBegun: it was begun already.
    """
    action = await reads.action(tx, number)
    _allow(tx, action.act)
    if await tx.value(writes.BEGIN, {"id": action.id}) is None:
        raise BulkBegun(number=number)
    await _note(tx, "start", number, action.wish, {"orders": action.orders, "sought": action.sought})
    await _take_turns(tx, action.id)


def _allow(tx: Tx, act: Act) -> None:
    """Refuse who may not do to one order what is to be done to many."""
    if not tx.actor.may(PERMISSIONS[act]):
        raise Forbidden(permission=PERMISSIONS[act])


async def _take_turns(tx: Tx, action_id: UUID) -> None:
    """Line an action up behind those that wait."""
    await jobs.defer(tx, go_on, lock=LOCK.format(retailer=tx.retailer), action_id=str(action_id))


async def _note(tx: Tx, what: str, number: int, wish: Wish, facts: dict[str, Any]) -> None:
    told = {key: value for key, value in msgspec.to_builtins(wish).items() if key != "zone"}
    await audit.record(tx, action=what, entity="bulk_action", entity_id=number, after={**told, **facts})


async def stop(tx: Tx, number: int) -> None:
    """Stop: what is done stays so, the rest is left alone. A job of it that failed for good waits no more.

    Raises:
        BulkNotFound: there is none.
        Forbidden: the person may not do this to orders.
        BulkEnded: it does not go on any more.
    """
    action = await reads.action(tx, number)
    _allow(tx, action.act)
    await tx.execute(writes.LEAVE_ORDERS, {"id": action.id})
    if await tx.value(writes.STOP_ACTION, {"id": action.id}) is None:
        raise BulkEnded(number=number)
    await jobs.give_up(tx, go_on, action_id=str(action.id))
    action = await reads.action(tx, number)
    facts = {"done": action.done, "refused": action.refused}
    await audit.record(tx, action="stop", entity="bulk_action", entity_id=number, after=facts)


@jobs.task("orders.bulk_action", attempts=5)
async def go_on(db: Database, *, action_id: str) -> None:
    """Go through the orders of an action that it has not come to, in the name of who began it.

    For a while: then other actions have their turn, and jobs of other kinds their places.
    """
    id_, until = UUID(action_id), time.monotonic() + TURN_S
    async with db.transaction() as tx:
        action = await reads.action_by_id(tx, id_)
    if action is None:
        return
    actor = Actor.of_label(action.actor, action.person)
    while action is not None and action.state == "going":
        if time.monotonic() >= until:
            async with db.transaction() as tx:
                await _take_turns(tx, id_)
            return
        if await do_one(db, actor, action):
            continue
        async with db.transaction() as tx:
            await tx.execute(writes.END_ACTION, {"id": id_})
            action = await reads.action_by_id(tx, id_)


async def do_one(db: Database, actor: Actor, action: BulkAction) -> bool:
    """Do to the next order of an action what is wished, or keep why it refused; return whether there was one.

    What the actor may do is asked with each: what was taken from them since they began is refused. An order that
    others work on is tried some times. One that the program fails at is kept like one that refused, or
    nobody behind it would have their turn; a database that is away fails the job, which is tried again as a whole.
    """
    ended: dict[str, Any] = {"id": action.id, "order_id": None, "outcome": "done", "why": None}
    wish = action.wish

    async def attempt() -> bool:
        async with db.transaction(actor) as tx:
            row = next(iter(await tx.tuples(writes.TAKE, {"id": action.id})), None)
            if row is None:
                return False
            ended["order_id"], seen = row
            await kept_names.take_up(tx, ended["order_id"], PERMISSIONS[wish.act])
            await bulk_acts.carry_out(tx, ended["order_id"], wish, seen)
            await tx.execute(writes.END_ORDER, ended)
            return True

    try:
        return await in_turn(attempt, TRIES)
    except MalhaError as error:
        refusal = error
    except (OperationalError, InterfaceError, PoolTimeout):
        raise
    except Exception:
        log.exception("bulk_action_failed", action=action.number, order=str(ended["order_id"]))
        refusal = OrderFailed()
    async with db.transaction(actor) as tx:
        await tx.execute(writes.END_ORDER, ended | {"outcome": "refused", "why": refusals.kept(refusal)})
    return True
