"""The gate: concurrent submissions of a few milliseconds become one transaction.

One gate per process. Submissions wait in one queue per channel, tills before marketplaces, round-robin among channels
of equal priority. `IN_FLIGHT` runners each take what waits, place it in one transaction and answer. A batch is durable
before anybody is told; a caller that went away never affects its neighbours.

What can go wrong, and what happens then:

* stock or a key moved between reading and writing, or an order that appeared left what belongs to it without one: roll
  back, once more under locks;
* deadlock or serialisation failure: the whole batch again;
* a value the database refuses (SQLSTATE 22, 23): the batch is halved in a slow lane until the offender is alone; it is
  refused,
  the others are placed;
* connection lost, even at COMMIT: the batch is submitted again, and natural keys answer for what was stored;
* database away for longer than a restart takes: 503, and for who comes after that, at once;
* a channel, service or location is not known: what is known is compared with the database first, then the order is
  refused or held; the others go on;
* queue full, by count or bytes: 429 with Retry-After, nothing taken.
"""

import asyncio
import random
from collections import deque
from collections.abc import Sequence

import structlog
from psycopg import DatabaseError, InterfaceError, OperationalError, errors
from psycopg_pool import PoolTimeout

from malha.intake import rules
from malha.intake.batch import Moved
from malha.intake.errors import KeyMissing, Overloaded, Unavailable, Unprocessable
from malha.intake.model import NewOrder, Outcome, Placed, Submission, TakenBy
from malha.intake.reference import Cache
from malha.intake.service import place_orders
from malha.platform.db import SYSTEM, Actor, Database, is_moved_apart, refusal_of, takes_nothing
from malha.platform.errors import Busy, MalhaError
from malha.platform.idempotency import InFlight, refuse_key
from malha.platform.ids import new_id
from malha.platform.rounds import Rounds

MAX_BATCH = 100
IN_FLIGHT = 1  # web processes overlap one another; more batches in one process only means smaller ones (ADR 0012)
GATHER_S = 0.010  # at most, and only while the crowd of the last batches is not back
MOST = 0.9  # of that crowd is enough
MAX_WAITING = 5_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
ATTEMPTS = 6
DEFAULT_PRIORITY = 100

log = structlog.get_logger(__name__)


class _Waiting:
    """One submission and the caller who waits for it."""

    __slots__ = ("future", "key", "size", "submission")

    def __init__(
        self, submission: Submission, size: int, key: tuple[str, str], future: asyncio.Future[Outcome]
    ) -> None:
        self.submission = submission
        self.size = size
        self.key = key
        self.future = future

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, if there still is one."""
        if not self.future.done():
            self.future.set_result(outcome)


class Gate:
    """Takes orders for one process. `open` it, `submit` concurrently, `close` it."""

    def __init__(
        self,
        db: Database,
        *,
        max_batch: int = MAX_BATCH,
        in_flight: int = IN_FLIGHT,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        gather_s: float = GATHER_S,
    ) -> None:
        self._db = db
        self._cache = Cache(db)
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._gather_s = gather_s
        self._queues: dict[int, dict[str, deque[_Waiting]]] = {}
        self._priorities: dict[str, int] = {}
        self._waiting = 0
        self._bytes = 0
        self._crowd = 0.0  # how many were there at once lately: in a batch, or waiting when it was answered
        self._wanted = 0
        self._enough: asyncio.Future[None] | None = None
        self._keys: dict[tuple[str, str], int] = {}
        self._idle = in_flight
        self._strange: deque[_Waiting] = deque()  # name what is not known, and wait for another look
        self._aside = 0  # how many of these wait, those that are being looked for included
        self._aside_bytes = 0
        self._looking = False
        self._rounds = Rounds(log, waits="orders_wait", failed="batch_failed")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many submissions wait for a batch."""
        return self._waiting + self._aside

    @property
    def cache(self) -> Cache:
        """The reference data that orders are placed by."""
        return self._cache

    async def open(self) -> None:
        """Load the reference data, so that the first order does not wait for it."""
        await self._cache.current()

    async def close(self) -> None:
        """Finish what was taken."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(
        self,
        order: NewOrder,
        *,
        idempotency_key: str | None = None,
        actor: Actor = SYSTEM,
        size: int = 1_000,
        release_now: bool = False,
        by_hand: bool = False,
    ) -> Placed:
        """Place one order and return it, or the order that its natural key already has.

        The natural key is `(channel, external_id)`, with the Idempotency-Key in place of a missing external id. `size`
        is the body's length in bytes, for the queue's bound. `by_hand`: a person takes it, which the
        audit trail keeps; where its slot is full it is refused, whatever the channel's policy: the customer is there to
        be asked.

        Raises:
            KeyMissing: neither an external id nor a key.
            InFlight: the same Idempotency-Key is being worked on.
            Overloaded: the queue is full.
            MalhaError: what the order was refused for.
        """
        outcome = await self.enqueue(
            order,
            idempotency_key=idempotency_key,
            actor=actor,
            size=size,
            release_now=release_now,
            by_hand=by_hand,
        )
        if isinstance(outcome, MalhaError):
            raise outcome
        return outcome

    def enqueue(
        self,
        order: NewOrder,
        *,
        idempotency_key: str | None = None,
        actor: Actor = SYSTEM,
        size: int = 1_000,
        release_now: bool = False,
        by_hand: bool = False,
    ) -> asyncio.Future[Outcome]:
        """As `submit`, for many at once: the future's result is the outcome, refusals included.

        Raises:
            KeyMissing: neither an external id nor a key.
            InFlight: the same Idempotency-Key is being worked on.
            Overloaded: the queue is full.
        """
        external_id = order.external_id or idempotency_key
        if external_id is None or not external_id.strip():  # all orders without a name would be one
            raise KeyMissing(count=1, problems=[{"at": "/external_id", "says": KeyMissing.says}])
        if idempotency_key is not None:
            refuse_key(idempotency_key)
        key = (order.channel, external_id)
        if idempotency_key is not None and key in self._keys:
            raise InFlight
        if self.waiting >= self._max_waiting or self._bytes + self._aside_bytes + size > self._max_waiting_bytes:
            raise Overloaded
        # Where it takes the place of an external id, too: that one is of a channel, and a key names one request in all.
        request_key = None if idempotency_key is None else f"{actor.label}:{idempotency_key}"
        submission = Submission(
            rules.told_once(order),
            external_id,
            rules.hash_of(order),
            new_id(),
            actor.label,
            request_key,
            release_now=release_now,
            taken_by=_taken_by(actor) if by_hand else None,
            limited=actor.locations is not None,
        )
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(submission, size, key, future)
        self._keys[key] = self._keys.get(key, 0) + 1
        priority = self._priorities.get(order.channel, DEFAULT_PRIORITY)
        self._queues.setdefault(priority, {}).setdefault(order.channel, deque()).append(waiting)
        self._waiting += 1
        self._bytes += size
        if self._enough is not None and self._waiting >= self._wanted:
            _settle_once(self._enough)
        if self._idle:
            self._idle -= 1
            self._spawn(self._run())
        return future

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self) -> list[_Waiting]:
        """Take the next batch: by priority, then one from each channel in turn."""
        batch: list[_Waiting] = []
        for priority in sorted(self._queues):
            channels = self._queues[priority]
            while channels and len(batch) < self._max_batch:
                for channel in list(channels):
                    queue = channels[channel]
                    batch.append(queue.popleft())
                    if not queue:
                        del channels[channel]
                    if len(batch) == self._max_batch:
                        break
            if not channels:
                del self._queues[priority]
            if len(batch) == self._max_batch:
                break
        self._waiting -= len(batch)
        self._bytes -= sum(w.size for w in batch)
        return batch

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch = self._take()
                await self._place(batch)
                self._crowd = max(len(batch) + self._waiting, self._crowd * 7 / 8)
        finally:
            self._idle += 1

    async def _gather(self) -> None:
        """Wait a moment for those who come back together after a batch was answered.

        Under load the callers of one batch return within milliseconds of one another. Whoever takes the first few at
        once makes two half batches of them for ever, and an order of a half batch costs a third more. A caller who is
        alone does not wait: what is waited for is most of the crowd of the last batches.
        """
        self._wanted = min(int(self._crowd * MOST), self._max_batch)
        if self._waiting < self._wanted:
            loop = asyncio.get_running_loop()
            self._enough = loop.create_future()
            timer = loop.call_later(self._gather_s, _settle_once, self._enough)
            await self._enough
            timer.cancel()
            self._enough = None

    async def _place(self, batch: list[_Waiting]) -> None:
        """Place a batch and answer everyone in it, whatever happens."""
        gone = [w for w in batch if w.future.cancelled()]
        asking = [w for w in batch if not w.future.cancelled()]
        self._forget(gone)
        known = []
        for waiting in asking:
            if self._cache.knows(waiting.submission.order):
                known.append(waiting)
            else:
                self._set_aside(waiting)
        for waiting in known:
            if waiting.submission.order.hold_reference is not None:
                self._spawn(self._settle([waiting]))
        plain = [w for w in known if w.submission.order.hold_reference is None]
        if plain:
            await self._settle(plain)

    def _set_aside(self, waiting: _Waiting) -> None:
        """Have an order that names what is not known wait for another look, while its neighbours go on."""
        self._strange.append(waiting)
        self._aside += 1
        self._aside_bytes += waiting.size
        if not self._looking:
            self._looking = True
            self._spawn(self._settle_strange())

    async def _settle_strange(self) -> None:
        """Place what was set aside, a batch after the other, each once it was looked for again.

        However many there are, one look and one batch of them is under way, and all that wait count as waiting.
        """
        try:
            while self._strange:
                batch = [self._strange.popleft() for _ in range(min(len(self._strange), self._max_batch))]
                try:
                    await self._cache.anew()
                except Exception:  # what becomes of them then `_settle` says
                    log.exception("reference_not_renewed")
                self._aside -= len(batch)
                self._aside_bytes -= sum(w.size for w in batch)
                plain = [w for w in batch if w.submission.order.hold_reference is None]
                if plain:
                    await self._settle(plain)
                for waiting in batch:
                    if waiting.submission.order.hold_reference is not None:
                        await self._settle([waiting])
        finally:
            self._looking = False

    def _forget(self, batch: Sequence[_Waiting]) -> None:
        for w in batch:
            left = self._keys[w.key] - 1
            if left:
                self._keys[w.key] = left
            else:
                del self._keys[w.key]

    async def _settle(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await self._attempt(batch)
        except _Offence as offence:
            if len(batch) > 1:
                # Slow lane: the runner goes on with other orders while the offender is looked for.
                half = len(batch) // 2
                self._spawn(self._settle(batch[:half]))
                self._spawn(self._settle(batch[half:]))
                return
            log.warning("order_unprocessable", sqlstate=offence.sqlstate, channel=batch[0].submission.order.channel)
            outcomes = [Unprocessable(count=1, problems=[])]
        except Exception as error:  # noqa: BLE001 -- told, to each of them too
            self._rounds.met(error)
            outcomes = [refusal_of(error) or Unavailable()] * len(batch)
        else:
            self._rounds.done()
        self._forget(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.answer(outcome)

    async def _attempt(self, batch: Sequence[_Waiting]) -> list[Outcome]:
        """Place a batch, trying again what may be tried again.

        Raises:
            _Offence: the database refused a value.
            OperationalError: the database stores nothing at all.
        """
        lock = False
        for attempt in range(ATTEMPTS):
            try:
                return await self._transact(batch, lock=lock)
            except Moved as moved:
                lock = True
                if moved.stale:
                    self._cache.expire()
            except errors.UniqueViolation:
                lock = True
            except (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable, Busy):
                lock = True
                await asyncio.sleep(random.uniform(0.001, 0.01) * (attempt + 1))  # noqa: S311 - jitter
            except (errors.DataError, errors.IntegrityError) as error:
                # What belongs to an order that another process wrote meanwhile has no order of its own: once more,
                # after that it is found.
                if not is_moved_apart(error) and (lock or not isinstance(error, errors.ForeignKeyViolation)):
                    raise _Offence(error.sqlstate) from error
                lock = True
            except PoolTimeout as error:  # the pool has waited as long as a caller should: away, or far too busy
                log.warning("batch_given_back", orders=len(batch), error=str(error))
                return [refusal_of(error) or Unavailable()] * len(batch)
            except (OperationalError, InterfaceError) as error:
                _refuse_now(error)
                log.warning("batch_retried", orders=len(batch), error=type(error).__name__)
                await asyncio.sleep(0.2 * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        return [Unavailable()] * len(batch)

    async def _transact(self, batch: Sequence[_Waiting], *, lock: bool) -> list[Outcome]:
        reference = await self._cache.current()
        self._priorities = reference.priorities
        submissions = [w.submission for w in batch]
        async with self._db.transaction() as tx:
            hold = submissions[0].order.hold_reference
            return await place_orders(tx, submissions, reference, lock=lock or hold is not None, hold=hold)


def _taken_by(actor: Actor) -> TakenBy:
    return TakenBy(actor.kind, actor.id, actor.name, actor.source, actor.request_id)


def _settle_once(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _refuse_now(error: OperationalError | InterfaceError) -> None:
    """Raise what trying again does not mend."""
    if isinstance(error, DatabaseError) and (error.sqlstate or "").startswith("54"):
        raise _Offence(error.sqlstate) from error
    if takes_nothing(error):
        raise error


class _Offence(Exception):
    """A value the database refuses is somewhere in the batch."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate
        super().__init__(sqlstate)
