"""What came in is kept once, and handled in the order of its entity.

`work` takes what is due, several entities at a time, each by one worker. Plain new orders are taken `together`; of the
rest, a hint is read again at the peer first, then the order goes to `orders.take`, whose natural keys make a second
time harmless. What fails is tried again with growing pauses, and after `ATTEMPTS` waits for a person.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import structlog
from psycopg import DatabaseError, OperationalError
from psycopg.errors import ProgramLimitExceeded

from malha.channels.connecting import cleaning, failures, forgetting, mapping, orders, reads, together, unread, writes
from malha.channels.connecting.model import Came, InboxState, Linked
from malha.channels.connecting.orders import Parked, Unmapped
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.wire import Resting, Waiting
from malha.channels.contract import (
    AuthExpired,
    ChannelError,
    ExtOrder,
    InboxEvent,
    Invalid,
    Missing,
    OrderSource,
    Page,
    Trust,
)
from malha.channels.partners import answering
from malha.channels.partners import rules as partners
from malha.intake.errors import Unavailable
from malha.intake.gate import Gate
from malha.platform import retrying
from malha.platform.db import Database, Tx, takes_nothing
from malha.platform.errors import DatabaseFull, DatabaseReadOnly, MalhaError
from malha.platform.rounds import Rounds, tell
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

ATTEMPTS = 8
LEASE_S = 90.0
TOGETHER = 100  # that need nobody's answer
AT_ONCE = 16  # looked at one by one
FIRST_S, LONGEST_S = 2.0, 900.0
IDLE_S = 0.25

_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(ExtOrder).decode


# --- what came is kept ---


async def keep(tx: Tx, connection_id: int, source: str, events: Sequence[InboxEvent]) -> int:
    """Keep what came over a connection; return how much of it is new."""
    return len(await keep_all(tx, source, [(connection_id, event) for event in events]))


async def keep_all(tx: Tx, source: str, told: Sequence[tuple[int, InboxEvent]]) -> set[tuple[int, str]]:
    """Keep what came over connections, in its order; return the natural keys of what is new."""
    told = await forgetting.stripped(tx, [(connection_id, _cleaned(event)) for connection_id, event in told])
    events = [event for _, event in told]
    found = await tx.tuples(
        writes.RECEIVE,
        {
            "source": source,
            "connections": [connection_id for connection_id, _ in told],
            "dedups": [e.dedup for e in events],
            "entities": [e.entity for e in events],
            "trusts": [e.trust.value for e in events],
            "payloads": [
                cleaning.body(_encode(e.order)) if e.order is not None else e.order_id.encode() for e in events
            ],
        },
    )
    return {(connection_id, dedup) for connection_id, dedup in found}


def _cleaned(event: InboxEvent) -> InboxEvent:
    """Return what came with names that can be kept; the rest of an order is cleaned as it is written."""
    if cleaning.NUL not in event.dedup + event.entity + event.order_id:
        return event
    order = event.order and msgspec.structs.replace(event.order, id=cleaning.text(event.order.id))
    dedup, entity = cleaning.text(event.dedup), cleaning.text(event.entity)
    return msgspec.structs.replace(event, dedup=dedup, entity=entity, order=order)


def events_of(page: Page[ExtOrder]) -> list[InboxEvent]:
    """Return what a page of orders tells: each version of an order once; what could not be read, to be asked for."""
    told = [
        InboxEvent(dedup=f"order:{o.id}:{o.version}", entity=f"order:{o.id}", trust=Trust.DATA, order=o, order_id=o.id)
        for o in page.items
    ]
    # Once for each place in the stream: read again, it is asked for again.
    return told + [
        InboxEvent(dedup=f"unread:{id_}:{page.cursor}", entity=f"order:{id_}", trust=Trust.HINT, order_id=id_)
        for id_ in page.unread
    ]


# --- afterwards ---


async def work(runtime: Runtime, gate: Gate) -> int:
    """Handle what is due, several at a time; return how much that was."""
    told = await _handle_told(runtime, gate)
    hints = await _begin_hints(runtime, gate, AT_ONCE)
    await asyncio.gather(*(hint() for hint in hints))
    return told + len(hints)


async def _handle_told(runtime: Runtime, gate: Gate) -> int:
    """Handle what is due and needs no answer of a peer: what is plain together, the rest one by one."""
    taken, linked = await _take(runtime, Trust.DATA, TOGETHER)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(came: Came) -> None:
        async with room:
            await _handle(runtime, gate, linked[came.connection_id], came)

    left = await together.take(runtime, gate, taken, linked)
    await asyncio.gather(*(one(came) for came in left))
    return len(taken)


async def _begin_hints(runtime: Runtime, gate: Gate, most: int) -> list[Callable[[], Awaitable[None]]]:
    """Take hints that are due, and return what there is to do for each."""
    taken, linked = await _take(runtime, Trust.HINT, most)
    return [partial(_handle, runtime, gate, linked[came.connection_id], came) for came in taken]


async def _take(runtime: Runtime, trust: Trust, most: int) -> tuple[list[Came], dict[int, Linked]]:
    async with runtime.db.transaction() as tx:
        taken = await tx.all(Came, writes.TAKE_CAME, {"lease": LEASE_S, "most": most, "trust": trust.value})
        return taken, await reads.linked_by_id(tx, [came.connection_id for came in taken]) if taken else {}


async def _handle(runtime: Runtime, gate: Gate, connection: Linked, came: Came) -> None:
    fence = {"id": came.id, "attempts": came.attempts}
    try:
        state = await _taken(runtime, gate, connection, came)
    except Unmapped as error:
        await _wait_for_words(runtime.db, connection, came, fence, error)
    except Parked as error:
        await _park(runtime.db, fence, InboxState.PARKED, error.cause, error.why)
    except (Resting, Waiting) as error:
        await _return(runtime.db, fence, error.after)
    except Missing as error:
        await _park(runtime.db, fence, InboxState.PARKED, "missing", error.why)
    except Invalid as error:
        await _park(runtime.db, fence, InboxState.PARKED, "invalid", error.why)
    except (ChannelError, MalhaError) as error:
        await _again(runtime.db, came, fence, _cause(error), error)
    except Exception as error:
        log.exception("inbox_failed", connection=connection.code, entity=came.entity)
        await _again(runtime.db, came, fence, "defect", error)
    else:
        async with runtime.db.transaction() as tx:
            ended = await tx.value(writes.END_CAME, {**fence, "state": state.value}) is not None
            # What is older than what we know says nothing about what waits for a person.
            if ended and state is InboxState.DONE and not _is_answer(came):
                retired = {"connection_id": connection.id, "entity": came.entity, "id": came.id}
                await tx.execute(writes.RETIRE_STUCK, retired)


async def _wait_for_words(
    db: Database, connection: Linked, came: Came, fence: dict[str, int], unmapped: Unmapped
) -> None:
    try:
        async with db.transaction() as tx:
            await orders.note_wanted(tx, connection.id, unmapped.wants)
            await mapping.note(tx, connection.id, unmapped.seen, "order")
    except DatabaseError as error:
        if isinstance(error, OperationalError) and not isinstance(error, ProgramLimitExceeded):
            raise  # it is away: the lease runs out
        log.exception("inbox_failed", connection=connection.code, entity=came.entity)
        await _again(db, came, fence, "defect", error)
    else:
        await _park(db, fence, InboxState.UNMAPPED, "unmapped", "", unmapped.wants)


async def _return(db: Database, fence: dict[str, int], after: float | None = None) -> None:
    async with db.transaction() as tx:
        await tx.value(writes.RETURN_CAME, {**fence, "after": retrying.wait_of(1, after=after)})


def _is_answer(came: Came) -> bool:
    return came.entity.startswith(partners.PREFIX)


async def _taken(runtime: Runtime, gate: Gate, connection: Linked, came: Came) -> InboxState:
    if _is_answer(came):
        await answering.take(runtime, connection, came.payload, came.received_at)
        return InboxState.DONE
    if came.entity.startswith(unread.PREFIX):
        async with runtime.db.transaction() as tx:
            await unread.read_anew(tx, connection.id)
        return InboxState.DONE
    return await orders.take(runtime, gate, connection, await _order_of(runtime, connection, came))


async def _order_of(runtime: Runtime, connection: Linked, came: Came) -> ExtOrder:
    if came.trust == Trust.DATA:
        return _order(came.payload)
    line = runtime.line(connection)
    source = line.connector
    if not isinstance(source, OrderSource):
        raise Invalid(failures.UNREADABLE_ORDERS)
    found = await line.call(lambda: source.get_order(line.ctx, came.payload.decode()))
    return _order(cleaning.body(_encode(found)))


def _cause(error: Exception) -> str:
    if isinstance(error, AuthExpired):
        return "auth"
    return "refused" if isinstance(error, MalhaError) else "exhausted"


def _is_of_database(error: Exception) -> bool:
    """Tell whether nothing is said of what came: it waits until the database is back."""
    return isinstance(error, DatabaseFull | DatabaseReadOnly | Unavailable) or takes_nothing(error)


async def _again(db: Database, came: Came, fence: dict[str, int], cause: str, error: Exception) -> None:
    if _is_of_database(error):
        await _return(db, fence)
        return
    why = f"{type(error).__name__}: {error}" if cause == "defect" else str(error)
    after: float | None = getattr(error, "after", None)
    if came.failures + 1 >= ATTEMPTS:
        await _park(db, fence, InboxState.PARKED, cause, why)
        return
    wait = retrying.wait_of(came.failures + 1, after=after, first_s=FIRST_S, longest_s=LONGEST_S)
    async with db.transaction() as tx:
        await tx.value(writes.PUT_OFF_CAME, {**fence, "cause": cause, "error": why[:500], "after": wait})


async def _park(
    db: Database, fence: dict[str, int], state: InboxState, cause: str, why: str, wants: Sequence[str] | None = None
) -> None:
    async with db.transaction() as tx:
        wanted = None if wants is None else list(wants)
        told = {"state": state.value, "cause": cause, "error": why[:500], "wants": wanted}
        await tx.value(writes.PARK_CAME, {**fence, **told})


async def run(runtime: Runtime, gate: Gate, stop: asyncio.Event) -> None:
    """Handle what comes in until `stop` is set; a failed round is logged and tried again."""
    await asyncio.gather(_run_told(runtime, gate, stop), _run_hints(runtime, gate, stop))


async def _run_told(runtime: Runtime, gate: Gate, stop: asyncio.Event) -> None:
    rounds = Rounds(log, waits="inbox_waits", failed="inbox_round_failed")
    while not stop.is_set():
        done = 0
        with rounds:
            done = await _handle_told(runtime, gate)
        if not done:
            await rest(stop, IDLE_S)


async def _run_hints(runtime: Runtime, gate: Gate, stop: asyncio.Event) -> None:
    """Read hints again at their peers. One that takes its time holds up only its own place of `AT_ONCE`."""
    under_way: set[asyncio.Task[None]] = set()
    rounds = Rounds(log, waits="hints_wait", failed="inbox_round_failed")
    while not stop.is_set():
        hints: Sequence[Callable[[], Awaitable[None]]] = ()
        with rounds:
            hints = await _begin_hints(runtime, gate, AT_ONCE - len(under_way))
        for hint in hints:
            task = asyncio.create_task(_surely(hint))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if len(under_way) >= AT_ONCE:
            await asyncio.wait(set(under_way), timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await rest(stop, IDLE_S if not hints else 0.0)
    await asyncio.gather(*under_way)


async def _surely(hint: Callable[[], Awaitable[None]]) -> None:
    try:
        await hint()
    except Exception as error:  # noqa: BLE001 -- told; the lease runs out, and it is handled again
        tell(log, "hint_not_recorded", error)
