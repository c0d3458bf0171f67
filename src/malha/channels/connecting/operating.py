"""Telling peers what is queued: each thing once, as far as that can be known, and otherwise a person decides.

A turn takes what is due of a connection, as much as may be under way at once, the first open thing of each entity. That
it is being sent is durable before a byte goes out. So whoever finds such a thing after a crash or a time-out knows that
it may have arrived: it is looked up at the peer before it is sent again; where a peer cannot be asked and does not know
keys, it waits for a person. Absolute statements (prices) are simply made again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import msgspec
import structlog

from malha.channels import service as channels
from malha.channels.connecting import documenting, failures, price_reads, reads, rules, writes
from malha.channels.connecting.model import NEWEST_WINS, Linked, Op, OpKind
from malha.channels.connecting.runtime import Line, Runtime
from malha.channels.connecting.wire import Resting, Waiting
from malha.channels.contract import (
    Ask,
    AuthExpired,
    CancelPush,
    CancelRefundSink,
    Capability,
    ChannelError,
    Conflicting,
    Document,
    DocumentSink,
    ExtRef,
    FulfillmentSink,
    Invalid,
    Missing,
    Ok,
    Pending,
    PricePush,
    PriceSink,
    RefundPush,
    Rejected,
    Result,
    Retryable,
    ShipmentPush,
    ShipmentSink,
    Unknown,
    Unsure,
)
from malha.channels.listings import posting
from malha.channels.listings.errors import NoListings
from malha.platform import retrying
from malha.platform.db import Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.platform.rounds import Rounds, tell
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

ATTEMPTS = 10
LEASE_S = 180.0
FIRST_S, LONGEST_S = 2.0, 1800.0
SETTLE_S = 5.0  # what a peer that said nothing gets to end before it is asked what became of it
PENDING_S = 60.0
IDLE_S = 1.0
LISTINGS_AT_ONCE = 25  # of one call: they are large, and a peer may need several requests for each
NOT_SENT = "not sent"
GATHER_S = 0.02  # for others that end at the same moment

_NEEDS = {
    OpKind.SET_PRICE: Capability.PRICES,
    OpKind.PUSH_SHIPMENT: Capability.SHIPMENTS,
    OpKind.CANCEL: Capability.CANCELS,
    OpKind.REFUND: Capability.CANCELS,
    OpKind.ASK: Capability.FULFILMENT,
    OpKind.POST_DOCUMENT: Capability.DOCUMENTS,
}
Push = ShipmentPush | CancelPush | RefundPush | Document | Ask
_PUSHES: dict[OpKind, Any] = {
    OpKind.PUSH_SHIPMENT: ShipmentPush,
    OpKind.CANCEL: CancelPush,
    OpKind.REFUND: RefundPush,
    OpKind.ASK: Ask,
}


_ALL = [kind.value for kind in OpKind]
Task = Callable[[], Awaitable[None]]


async def work(runtime: Runtime, *, settle_s: float = SETTLE_S) -> int:
    """Tell what is due, over all active connections at once; return how much that was."""
    count, tasks = await _begin(runtime, settle_s)
    await asyncio.gather(*(task() for task in tasks))
    return count


async def _begin(runtime: Runtime, settle_s: float) -> tuple[int, list[Task]]:
    """Take what is due and return how much that is, and what there is to do for it."""
    async with runtime.db.transaction() as tx:
        due = await tx.values(reads.DUE_OPS, {"kinds": _ALL})
        linked = await reads.linked_by_id(tx, due) if due else {}
    count, tasks = 0, []
    for id_ in due:
        if id_ in linked:
            taken, more = await _turn(runtime, linked[id_], settle_s)
            count += taken
            tasks += more
    return count, tasks


async def _turn(runtime: Runtime, connection: Linked, settle_s: float) -> tuple[int, list[Task]]:
    try:
        line = runtime.line(connection)
    except (MalhaError, AuthExpired) as error:
        broken = {"id": connection.id, "version": connection.version, "why": str(error)[:300]}
        async with runtime.db.transaction() as tx:
            await tx.execute(writes.BREAK, broken)
        return 0, []
    limits = line.limits
    async with runtime.db.transaction() as tx:
        if not await tx.values(writes.LOCK_ROOM, {"ids": [connection.id]}):
            return 0, []
        single = await _take(tx, connection, set(OpKind) - NEWEST_WINS, limits.in_flight)
        prices = await _take(tx, connection, {OpKind.SET_PRICE}, limits.batch)
        skus = [str(op.payload.get("sku", "")) for op in prices]
        kept = await price_reads.kept(tx, connection.id, skus) if skus else set()
        # One call about listings at a time: who makes a product looks first whether another variant of it made it.
        listings = []
        if not await tx.value(reads.LISTINGS_UNDER_WAY, {"id": connection.id}):
            listings = await _take(tx, connection, {OpKind.PUT_LISTING}, min(limits.batch, LISTINGS_AT_ONCE))
    line.wire.settles = True
    turn = _Turn(runtime.db, line, settle_s)
    tasks: list[Task] = [partial(turn.one, op) for op in single]
    if prices:
        tasks.append(partial(turn.together, partial(turn.prices, kept=kept), prices))
    if listings:
        tasks.append(partial(turn.together, turn.listings, listings))
    if line.stays_open:
        tasks = [partial(_and_close, line, tasks)]
    return len(single) + len(prices) + len(listings), tasks


async def _take(tx: Tx, connection: Linked, kinds: Collection[OpKind], room: int) -> list[Op]:
    asked = {"id": connection.id, "lease": LEASE_S, "kinds": [kind.value for kind in kinds], "room": room}
    return [_op(row) for row in await tx.all(_Taken, writes.TAKE_OPS, asked)]


async def _and_close(line: Line, tasks: Sequence[Task]) -> None:
    try:
        await asyncio.gather(*(task() for task in tasks))
    finally:
        await line.close()


class _Taken(msgspec.Struct, frozen=True, kw_only=True):
    key: Any
    connection_id: int
    kind: str
    entity: str
    version: int
    payload: dict[str, Any]
    attempts: int
    failures: int
    doubtful: bool


def _op(row: _Taken) -> Op:
    fields = msgspec.structs.asdict(row)
    return Op(**{**fields, "kind": OpKind(row.kind)})


class _Turn:
    """What one worker tells one peer now."""

    def __init__(self, db: Database, line: Line, settle_s: float) -> None:
        self._db = db
        self._line = line
        self._settle_s = settle_s

    # --- things that are told once ---

    async def one(self, op: Op) -> None:
        """Tell one thing, and write what became of it together with what was asked and answered."""
        try:
            await self._one(op)
        finally:
            await self._line.wire.flush()

    async def _one(self, op: Op) -> None:
        if _NEEDS[op.kind] not in self._line.connector.capabilities:
            await self._bury(op, "no_capability", failures.NOT_TOLD, doubtful=False)
            return
        try:
            told = await self._what(op)
        except Exception as error:  # noqa: BLE001 -- what was queued cannot be read any more, or its order is gone
            await self._failed(op, error, doubtful=op.doubtful)
            return
        if told is None:
            await self._bury(op, "awaits_sale", "the sale of this order is not at the ERP yet", doubtful=op.doubtful)
            return
        # A document is looked up before every attempt but the first: a person may have sent it again.
        if (op.doubtful or (op.kind is OpKind.POST_DOCUMENT and op.attempts > 1)) and not await self._cleared(op, told):
            return
        if not await self._mine([op]):
            return
        try:
            result = await self._line.call(lambda: self._tell(op, told))
        except Exception as error:  # noqa: BLE001 -- someone else's code; it is told to a person
            await self._failed(op, error, doubtful=_may_have_arrived(error))
            return
        await self._ended(op, result)

    async def _what(self, op: Op) -> Push | None:
        """Return what the peer is told; None: it refers to a sale that is not there yet."""
        if op.kind is OpKind.POST_DOCUMENT:
            async with self._db.transaction() as tx:
                return await documenting.document_of(tx, self._line.connection, op)
        if op.kind is OpKind.PUSH_SHIPMENT and documenting.is_of_sale(op):
            async with self._db.transaction() as tx:
                return await documenting.shipment_of(tx, self._line.connection, op)
        push: Push = msgspec.convert(op.payload, _PUSHES[op.kind])
        return push

    async def _tell(self, op: Op, told: Push) -> Result:
        sink: Any = self._line.connector
        key, ctx = str(op.key), self._line.ctx
        match told:
            case ShipmentPush():
                return await cast("ShipmentSink", sink).push_shipment(ctx, told, key)
            case CancelPush():
                return await cast("CancelRefundSink", sink).cancel(ctx, told, key)
            case RefundPush():
                return await cast("CancelRefundSink", sink).refund(ctx, told, key)
            case Document():
                return await cast("DocumentSink", sink).post_document(ctx, told, key)
            case _:
                return await cast("FulfillmentSink", sink).ask(ctx, told, key)

    async def _find(self, op: Op, told: Push) -> ExtRef | None:
        sink: Any = self._line.connector
        key, ctx = str(op.key), self._line.ctx
        match told:
            case ShipmentPush():
                return await cast("ShipmentSink", sink).find_shipment(ctx, told, key)
            case CancelPush() | RefundPush():
                return await cast("CancelRefundSink", sink).find_operation(ctx, told.order, key)
            case Document():
                return await cast("DocumentSink", sink).find_document(ctx, told, key)
            case _:
                return await cast("FulfillmentSink", sink).find_ask(ctx, told, key)

    async def _cleared(self, op: Op, told: Push) -> bool:
        """Look up whether it arrived; tell whether it may be sent. Whatever else there is to do is done."""
        sink: Any = self._line.connector
        try:
            found = await self._line.call(lambda: self._find(op, told))
        except NotImplementedError:
            if sink.idempotent:
                return True  # the peer itself takes a key once
            why = "nobody knows whether it arrived, and the channel cannot be asked"
            await self._bury(op, "unknown_outcome", why, doubtful=True)
            return False
        except Exception as error:  # noqa: BLE001 -- as above
            await self._failed(op, error, doubtful=True)
            return False
        if found is None:
            return True
        await self._ended(op, Ok(found.id))
        return False

    # --- absolute statements, many in one call ---

    async def together(self, tell: "Callable[[Sequence[Op]], Awaitable[list[_End]]]", ops: Sequence[Op]) -> None:
        """Tell things in one call, and write what became of all of them in one transaction."""
        try:
            await self._write(*await tell(ops))
        finally:
            await self._line.wire.flush()

    async def prices(self, ops: Sequence[Op], *, kept: Collection[str]) -> "list[_End]":
        """Tell prices but those of the SKUs that the peer has `kept` to itself; return what becomes of each."""
        sink: Any = self._line.connector
        if not isinstance(sink, PriceSink):
            return [self._dead(op, "no_capability", failures.NOT_TOLD, doubtful=False) for op in ops]
        every = [(op, msgspec.convert(op.payload, PricePush)) for op in ops]
        # Since it was queued the peer became the one that says it, or somebody had an old one sent again.
        ends = [
            _End(op, NOT_SENT, failures.KEEPS_PRICE, writes.END_OPS, {"reference": None})
            for op, push in every
            if push.sku in kept
        ]
        mine = await self._mine(ops)
        sent = [(op, push) for op, push in every if push.sku not in kept and op.key in mine]
        if not sent:
            return ends
        items = [push for _, push in sent]
        try:
            results = await self._line.call(lambda: sink.set_prices(self._line.repeatable, items))
        except Exception as error:  # noqa: BLE001 -- as above
            return [*ends, *(self._end_of_failed(op, error, doubtful=False) for op, _ in sent)]
        results = [*results, *[Unknown(failures.NOTHING_SAID)] * (len(sent) - len(results))]
        return [*ends, *(self._end(op, result) for (op, _), result in zip(sent, results, strict=False))]

    async def listings(self, ops: Sequence[Op]) -> "list[_End]":
        """Publish listings; return what becomes of each."""
        sink: Any = self._line.connector
        try:
            async with self._db.transaction() as tx:
                told = await posting.postings(tx, self._line.connection, ops)
        except NoListings as error:
            return [self._dead(op, "no_capability", str(error), doubtful=False) for op in ops]
        both = list(zip(ops, told, strict=True))
        # Something is wrong with it by now: that shows at the listing, which is queued anew when it is mended.
        left = [(op, each) for op, each in both if each.push is None]
        await self._note_listings([(each, None) for _, each in left])
        ends = [
            _End(op, NOT_SENT, ", ".join(e.code for e in each.errors), writes.END_OPS, {"reference": None})
            for op, each in left
        ]
        mine = await self._mine(ops)
        sent = [(op, each, each.push) for op, each in both if each.push is not None and op.key in mine]
        if not sent:
            return ends
        items = [push for _, _, push in sent]
        try:
            results = await self._line.call(lambda: sink.upsert_products(self._line.ctx, items))
        except Exception as error:  # noqa: BLE001 -- as above
            return [*ends, *(self._end_of_failed(op, error, doubtful=False) for op, _, _ in sent)]
        results = [*results, *[Unknown(failures.NOTHING_SAID)] * (len(sent) - len(results))]
        # Before the operations end: a crash in between tells them again, and loses nothing of what came of them.
        await self._note_listings([(each, result) for (_, each, _), result in zip(sent, results, strict=False)])
        return [*ends, *(self._end(op, result) for (op, _, _), result in zip(sent, results, strict=False))]

    async def _note_listings(self, came: Sequence[tuple[posting.Posting, Result | None]]) -> None:
        if came:
            async with self._db.transaction() as tx:
                await posting.note(tx, self._line.connection, came)

    async def _mine(self, ops: Sequence[Op]) -> set[UUID]:
        """Return the keys of what nobody else has taken meanwhile, and keep these as long as sending them may take.

        A process that stood still for longer than its lease, as a paused machine does, would send again what another
        one sent, or an old price over a newer one.
        """
        fence = {"keys": [op.key for op in ops], "attempts": [op.attempts for op in ops]}
        async with self._db.transaction() as tx:
            found = set(await tx.values(writes.STILL_MINE, {**fence, "least": LEASE_S / 2}))
            if len(found) < len(ops):
                await tx.execute(writes.LOCK_OPS, {"keys": fence["keys"]})
                found = set(await tx.values(writes.KEEP_OPS, {**fence, "lease": LEASE_S}))
        if len(found) < len(ops):
            log.warning("operations_lost", connection=self._line.connection.code, count=len(ops) - len(found))
        return found

    # --- what became of it ---

    async def _ended(self, op: Op, result: Result) -> None:
        if isinstance(result, Ok):
            if op.kind is OpKind.CANCEL:
                await self._unsettle(op)
            if op.kind is OpKind.POST_DOCUMENT:
                async with self._db.transaction() as tx:
                    await documenting.note_sale(tx, op, result.ref)
        await self._write(self._end(op, result))

    async def _failed(self, op: Op, error: Exception, *, doubtful: bool) -> None:
        await self._write(self._end_of_failed(op, error, doubtful=doubtful))

    async def _bury(self, op: Op, cause: str, why: str, *, doubtful: bool) -> None:
        await self._write(self._dead(op, cause, why, doubtful=doubtful))

    def _end(self, op: Op, result: Result) -> "_End":
        match result:
            case Ok(ref):
                return _End(op, "ok", ref, writes.END_OPS, {"reference": ref})
            case Pending(handle):
                # It is not there before the peer says so: it is looked up later, like what nobody knows.
                later = {"after": PENDING_S, "cause": "pending", "error": None, "reference": handle}
                told = {"doubtful": op.kind not in NEWEST_WINS, **later}
                return _End(op, "pending", handle, writes.PUT_OFF_OPS, told)
            case Rejected(code, message, field):
                why = " ".join(part for part in (code, field, message) if part)
                return self._dead(op, "invalid", why, doubtful=False)
            case Unknown(why):
                return self._end_of_failed(op, Unsure(why), doubtful=True)

    def _end_of_failed(self, op: Op, error: Exception, *, doubtful: bool) -> "_End":
        why = str(error)[:500]
        doubtful = doubtful and op.kind not in NEWEST_WINS
        match error:
            case Resting() | Waiting():
                # A token that was renewed or looked up with before does not matter: nothing of this one was sent.
                wait = retrying.wait_of(1, after=error.after)
                waits = {"doubtful": doubtful or op.doubtful, "after": wait}
                return _End(op, "waits", why, writes.RETURN_OPS, waits)
            case AuthExpired():
                return _End(op, "auth", why, writes.RETURN_OPS, {"doubtful": doubtful, "after": 30.0})
            case Invalid():
                return self._dead(op, "invalid", f"{error.field} {why}".strip(), doubtful=False)
            case Missing() | Conflicting():
                cause = "missing" if isinstance(error, Missing) else "conflict"
                return self._dead(op, cause, why, doubtful=False)
            case _ if op.failures + 1 >= ATTEMPTS:
                cause = "exhausted" if isinstance(error, ChannelError) else "defect"
                return self._dead(op, "unknown_outcome" if doubtful else cause, why, doubtful=doubtful)
            case _:
                if not isinstance(error, ChannelError):
                    log.error("connector_failed", connection=self._line.connection.code, exc_info=error)
                asked = error.after if isinstance(error, Retryable) else None
                wait = retrying.wait_of(op.failures + 1, after=asked, first_s=FIRST_S, longest_s=LONGEST_S)
                if doubtful:
                    wait = max(wait, self._settle_s)
                cause = "unsure" if doubtful else "retry"
                told = {"cause": cause, "error": why, "reference": None, "after": wait, "doubtful": doubtful}
                return _End(op, cause, why, writes.PUT_OFF_OPS, told)

    def _dead(self, op: Op, cause: str, why: str, *, doubtful: bool) -> "_End":
        told = {"cause": cause, "error": why[:500], "doubtful": doubtful}
        return _End(op, f"dead: {cause}", why, writes.BURY_OPS, told)

    async def _write(self, *ends: "_End") -> None:
        """Write what became of operations, unless somebody else has them by now, and what the peer was asked for it.

        In the order of their keys, as everybody who holds several of one connection does.
        """
        async with self._db.transaction() as tx:
            if len(ends) > 1:
                await tx.execute(writes.LOCK_OPS, {"keys": [end.op.key for end in ends]})
            written: set[UUID] = set()
            for statement in dict.fromkeys(end.statement for end in ends):
                written |= await _write_alike(tx, statement, [end for end in ends if end.statement is statement])
            await _note_prices(tx, [end for end in ends if end.statement is writes.END_OPS and end.outcome != NOT_SENT])
            attempts = [end for end in ends if end.op.key in written]
            if attempts:
                columns = {
                    "keys": [end.op.key for end in attempts],
                    "outcomes": [end.outcome for end in attempts],
                    "says": [rules.told(end.says) for end in attempts],
                }
                await tx.execute(writes.ADD_ATTEMPTS, columns)
            await self._line.wire.settle(tx)
        dead = Counter((end.op.kind.value, end.params["cause"]) for end in ends if end.statement is writes.BURY_OPS)
        for (kind, cause), count in dead.items():
            code = self._line.connection.code
            log.warning("operations_dead", connection=code, kind=kind, cause=cause, count=count)

    async def _unsettle(self, op: Op) -> None:
        # The peer has units back that it had set apart for the order: what it shows is more than it was told, if it was
        # told after the cancel here. Before the operation ends, so that a crash in between tells it twice.
        push = msgspec.convert(op.payload, CancelPush)
        async with self._db.transaction() as tx:
            await channels.unsettle(tx, self._line.connection.channel_id, [line.sku for line in push.lines])


class _End(NamedTuple):
    """What becomes of an operation: what its history says, and the statement that writes it."""

    op: Op
    outcome: str
    says: str
    statement: Any
    params: dict[str, Any]


async def _write_alike(tx: Tx, statement: Any, ends: Sequence[_End]) -> set[UUID]:
    """Write what became of operations by one statement; return the keys of what was written."""
    columns = {name: [end.params[name] for end in ends] for name in ends[0].params}
    fence = {"keys": [end.op.key for end in ends], "attempts": [end.op.attempts for end in ends]}
    return set(await tx.values(statement, {**fence, **columns}))


async def _note_prices(tx: Tx, ends: Sequence[_End]) -> None:
    """Note which prices a peer has now, of operations that ended well."""
    told = {
        push.sku: (end.op, push)
        for end in sorted(ends, key=lambda end: end.op.version)
        if end.op.kind is OpKind.SET_PRICE
        for push in [msgspec.convert(end.op.payload, PricePush)]
    }
    if told:
        await tx.execute(
            writes.BIND_MANY,
            {
                "entity": "price",
                "connections": [op.connection_id for op, _ in told.values()],
                "internal_ids": list(told),
                "external_ids": [push.code for _, push in told.values()],
                "versions": [op.version for op, _ in told.values()],
                "hashes": [push.price.to_bytes(8, "big") for _, push in told.values()],
            },
        )


def _may_have_arrived(error: Exception) -> bool:
    """Tell whether the peer may have acted: it was asked and did not answer, or the connector broke down on the way."""
    return isinstance(error, Unsure) or not isinstance(error, ChannelError)


async def run(runtime: Runtime, stop: asyncio.Event) -> None:
    """Tell peers what is queued until `stop` is set; a failed round is logged and tried again.

    A peer that takes its time holds up no other, and one operation no other of its connection: what ends makes room.
    """
    under_way: set[asyncio.Task[None]] = set()
    rounds = Rounds(log, waits="operations_wait", failed="operation_round_failed")
    while not stop.is_set():
        count, tasks = 0, list[Task]()
        with rounds:
            count, tasks = await _begin(runtime, SETTLE_S)
        for task in tasks:
            doing = asyncio.create_task(_surely(task))
            under_way.add(doing)
            doing.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(set(under_way), timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
            await rest(stop, GATHER_S)
        elif not count:
            await rest(stop, IDLE_S)
    await asyncio.gather(*under_way)


async def _surely(task: Task) -> None:
    try:
        await task()
    except Exception as error:  # noqa: BLE001 -- told; the lease runs out, and what is doubtful is looked up
        tell(log, "operation_not_recorded", error)
