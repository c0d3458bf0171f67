"""Orders that are new and plain become ours many at a time: the usual case on the busiest day.

What came is looked up together, mapped together, submitted together, and bound and ended in one transaction: a handful
of statements for a hundred orders instead of a dozen for each. Whatever is not plain (it is here already, a word or a
status is unknown, the gate refuses it) is left for `inbox`, which looks at one at a time and knows what to do: nothing
is decided here that is decided there.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from malha.channels.connecting import fields, orders, reads, reversing, writes
from malha.channels.connecting.model import Came, InboxState, Linked
from malha.channels.connecting.orders import Parked, Unmapped
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import ExtOrder, ExtState, Invalid, Trust
from malha.intake.errors import Overloaded
from malha.intake.gate import Gate
from malha.intake.model import NewOrder, Placed
from malha.network import reads as network
from malha.network import retailer
from malha.platform.db import Tx
from malha.platform.ids import UUID

log = structlog.get_logger(__name__)

_order = msgspec.json.Decoder(ExtOrder).decode


class _Plain(msgspec.Struct):
    """A thing that came in, as far as it is known to be plain."""

    came: Came
    connection: Linked
    order: ExtOrder
    new: NewOrder | None = None
    content: bytes = b""
    placed: UUID | None = None


async def take(runtime: Runtime, gate: Gate, taken: Sequence[Came], linked: Mapping[int, Linked]) -> list[Came]:
    """Take what is plain; return the rest, in its order, for whoever looks at one at a time."""
    if len(taken) < 2:
        return list(taken)
    ended: set[int] = set()
    try:
        plain = _readable(taken, linked)
        async with runtime.db.transaction() as tx:
            plain, stale = await _unknown(tx, plain)
            plain = await _mapped(tx, plain)
        ended |= await _end(runtime, stale, InboxState.STALE)
        placed = await _placed(gate, plain)
        ended |= await _end(runtime, placed, InboxState.DONE)
    except Exception:  # one at a time it shows whose fault it is
        log.exception("not_taken_together", count=len(taken))
    return [came for came in taken if came.id not in ended]


def _readable(taken: Sequence[Came], linked: Mapping[int, Linked]) -> list[_Plain]:
    found: dict[tuple[int, str], _Plain] = {}
    for came in taken:
        if came.trust != Trust.DATA or came.failures:
            continue
        connection = linked[came.connection_id]
        try:
            order = _order(came.payload)
            orders.refuse_unknown(connection, order)
        except (msgspec.DecodeError, Parked):
            continue
        if order.state is ExtState.OPEN and not order.sent and not reversing.is_any(order):
            found.setdefault((connection.id, order.id), _Plain(came, connection, order))
    return list(found.values())


async def _unknown(tx: Tx, plain: Sequence[_Plain]) -> tuple[list[_Plain], list[_Plain]]:
    """Return those that are not here, and those of which we know something newer."""
    keys = [(p.connection.id, p.order.id) for p in plain]
    known = await reads.versions(tx, (orders.ENTITY, orders.CANCELLED), keys) if keys else {}
    fresh, stale = [], []
    for key, each in zip(keys, plain, strict=True):
        version = known.get(key)
        if key not in known:
            fresh.append(each)
        elif version is not None and version >= each.order.version:
            stale.append(each)
    return fresh, stale


async def _mapped(tx: Tx, plain: Sequence[_Plain]) -> list[_Plain]:
    """Return those whose words and lines make an order, with that order."""
    if not plain:
        return []
    own = orders.own_words(await network.services(tx))
    mapped = await reads.methods_of(tx, sorted({p.connection.id for p in plain}))
    ruling = await fields.newest(tx, sorted({p.connection.id for p in plain}))
    zone = (await retailer.zone(tx)).key
    found = await orders.skus_of(tx, [(p.connection, p.order) for p in plain])
    good = []
    for each, skus in zip(plain, found, strict=True):
        try:
            ruled = fields.ruled(ruling[each.connection.id], each.order, zone)
            orders.refuse_unfilled(ruled)
            words = orders.words_of(ruled.order, own | mapped[each.connection.id])
            orders.refuse_unmapped(each.order, skus)
            each.new = orders.new_order(each.connection, ruled, words, skus)
            each.content = orders.content_of(each.connection, ruled, words, skus, each.new)
        except (Unmapped, Parked, Invalid):
            continue
        good.append(each)
    return good


async def _placed(gate: Gate, plain: Sequence[_Plain]) -> list[_Plain]:
    """Submit them all and return those that the gate took, or had taken before."""
    asked = []
    for each in plain:
        if each.new is None:
            continue
        try:
            asked.append((each, gate.enqueue(each.new, actor=orders.actor_of(each.connection))))
        except Overloaded:
            break
    outcomes = await asyncio.gather(*(future for _, future in asked))
    good = []
    for (each, _), outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, Placed):
            each.placed = outcome.id
            good.append(each)
    return good


async def _end(runtime: Runtime, plain: Sequence[_Plain], state: InboxState) -> set[int]:
    """Write down what became of them; return the ids of what nobody needs to look at any more."""
    if not plain:
        return set()
    bound = [each for each in plain if each.placed is not None and each.new is not None]
    async with runtime.db.transaction() as tx:
        if bound:
            await tx.execute(
                writes.BIND_MANY,
                {
                    "entity": orders.ENTITY,
                    "connections": [each.connection.id for each in bound],
                    "internal_ids": [str(each.placed) for each in bound],
                    "external_ids": [each.order.id for each in bound],
                    "versions": [each.order.version for each in bound],
                    "hashes": [each.content for each in bound],
                },
            )
        rows = await tx.tuples(
            writes.END_MANY,
            {
                "ids": [each.came.id for each in plain],
                "attempts": [each.came.attempts for each in plain],
                "states": [state.value] * len(plain),
            },
        )
        if state is InboxState.DONE and rows:
            retired = {"connections": [c for _, c, *_ in rows], "entities": [e for _, _, e, _ in rows]}
            await tx.execute(writes.RETIRE_MANY, {**retired, "ids": [id_ for id_, *_ in rows]})
    # Who lost the lease meanwhile has nothing left to do either: another worker has it.
    return {each.came.id for each in plain}
