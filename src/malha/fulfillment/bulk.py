"""Bulk actions: one act on all orders that a list finds.

First the orders are written down, each with its version (`gather`): what the person is shown and begins is exactly
these, whatever comes in meanwhile. A worker goes through them one by one (`platform.piecework`). An order that refuses
stays as it is, and the action says why; so does one that changed since it was gathered, where the act cannot be taken
back.
"""

from functools import partial
from typing import Any

import msgspec

from malha.fulfillment import bulk_acts, finding
from malha.fulfillment import bulk_reads as reads
from malha.fulfillment import bulk_writes as writes
from malha.fulfillment.bulk_model import PERMISSIONS, Act, Wish
from malha.fulfillment.bulk_reads import BulkAction
from malha.fulfillment.errors import BulkBegun, BulkEnded, NoOrdersFound, TooManyOrders
from malha.ordering import kept_names, list_reads
from malha.ordering.finding_reads import FOUND_LIMIT
from malha.ordering.listing import Wanted
from malha.platform import audit, jobs, piecework
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import Forbidden
from malha.platform.ids import UUID, new_id

MOST = 50_000  # orders of one action
LOCK = "bulk_actions:{retailer}"  # one of a retailer works at a time: four would take all places of a worker

_encode = msgspec.json.Encoder().encode


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
    found = await list_reads.ids_of_list(tx, wanted, MOST)
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
    """Go through the orders of an action that it has not come to, in the name of who began it."""
    id_ = UUID(action_id)
    async with db.transaction() as tx:
        action = await reads.action_by_id(tx, id_)
    if action is not None:
        again = partial(_take_turns, action_id=id_)
        await piecework.go_on(db, Actor.of_label(action.actor, action.person), id_, writes.ORDERS, _work(action), again)


async def do_one(db: Database, actor: Actor, action: BulkAction) -> bool:
    """Do to the next order of an action what is wished, or keep why it refused; return whether there was one.

    What the actor may do is asked with each: what was taken from them since they began is refused.
    """
    return await piecework.do_one(db, actor, action.id, writes.ORDERS, _work(action))


def _work(action: BulkAction) -> piecework.Work:
    wish = action.wish

    async def carry_out(tx: Tx, order_id: UUID, seen: int) -> None:
        await kept_names.take_up(tx, order_id, PERMISSIONS[wish.act])
        await bulk_acts.carry_out(tx, order_id, wish, seen)

    return carry_out
