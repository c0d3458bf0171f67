"""Sending what is in line: claims in batches, no transaction open while a server is spoken to, outcomes in batches.

A pump serves one endpoint: it takes what is next under a lease, makes the bodies from the log, sends several at a time,
and writes what became of them together with the next claim. A worker that dies leaves leases behind; when they run
out, what they hold is sent again under the same id: at least once, and each receiver can tell. Any number of workers
may run; claims of one endpoint happen one after the other, so the order of an aggregate holds across them.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

import msgspec
import structlog

from malha.channels.signatures import signature_of
from malha.platform import retrying, sealing, signing
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.errors import Busy, MalhaError
from malha.platform.outward import Answer, Kept, Outward
from malha.platform.retrying import Breaker, Circuit
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest
from malha.platform.settings import Settings
from malha.webhooks import catalogue, reads, rendering, rules, service, writes
from malha.webhooks.model import APART_AFTER, Due, Endpoint, EndpointState, Outcome, Why

log = structlog.get_logger(__name__)

TIMEOUT_S = 10.0  # until an answer begins
REST_S = 2.0  # for what follows its status
ANSWER_LIMIT = 64 << 10
LEASE_S = 60.0
CONCURRENCY = 16  # requests under way to one endpoint
TAKE = 256  # deliveries claimed at once
FLUSH_S = 0.1  # what became of deliveries is written at least this often while there is something to write
LOOK_EVERY_S, IDLE_S = 0.1, 1.0
ENDPOINTS_AT_ONCE = 32
CONNECTIONS = 128
FORGET_AT_ONCE = 5_000
_AWAY = (Busy, OSError)  # beside the database


class Sending:
    """What sending needs: where it goes out, and the keys that unseal secrets."""

    def __init__(self, outward: Outward, keys: Callable[[], signing.Keys], *, lease_s: float = LEASE_S) -> None:
        self.kept = Kept(outward, connections=CONNECTIONS, idle=CONNECTIONS, idle_of_one=CONCURRENCY)
        self.keys = keys
        self.lease_s = lease_s

    async def post(self, endpoint: Endpoint, id_: str, body: bytes) -> Outcome:
        """Send one body and return what became of it; never raises."""
        began = time.monotonic()
        try:
            signing_keys = service.keys_of(endpoint, self.keys(), now())
            answer = await self._send(endpoint.url, id_, body, signing_keys)
        except MalhaError as error:
            ms = _ms_since(began)
            # An address that may not be asked, or a secret that cannot be read, is no fault of the server.
            unanswered = not isinstance(error, sealing.SealBroken) and error.status == 503
            return Outcome(
                position=0, delivered=False, status=None, ms=ms, error=str(error)[:500], servers_fault=unanswered
            )
        ms = _ms_since(began)
        if answer.status // 100 == 2:
            return Outcome(position=0, delivered=True, status=answer.status, ms=ms)
        after = retrying.retry_after(answer.headers.get("retry-after"), now())
        return Outcome(
            position=0,
            delivered=False,
            status=answer.status,
            ms=ms,
            error=f"HTTP {answer.status}",
            answer=rules.redacted(answer.body) or None,
            after=after if answer.status in {429, 503} else None,
            gone=answer.status == 410,
            servers_fault=rules.is_servers_fault(answer.status),
        )

    async def _send(self, url: str, id_: str, body: bytes, keys: Sequence[bytes]) -> Answer:
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "Malha-Webhooks",
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature_of(keys, id_, timestamp, body),
        }
        # The id tells the same again; of the answer the status counts, whatever page comes with it.
        return await self.kept.send("POST", url, headers=headers, body=body, again=True, cut=True, rest_s=REST_S)


def sending_of(settings: Settings) -> Sending:
    """Return how the settings say to send."""
    outward = Outward(settings.outward_allow, timeout_s=TIMEOUT_S, limit=ANSWER_LIMIT)
    return Sending(outward, lambda: signing.keys_of(settings))


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


class _Taken(msgspec.Struct, frozen=True):
    """One delivery with its body."""

    due: Due
    id: str
    body: bytes


class Pump:
    """Sends what is in line for one endpoint until nothing may go any more."""

    def __init__(self, db: Database, sending: Sending, endpoint_id: int, stop: asyncio.Event) -> None:
        self._db = db
        self._sending = sending
        self._id = endpoint_id
        self._stop = stop
        self._endpoint: Endpoint | None = None
        self._line: deque[list[_Taken]] = deque()  # chains: what must go one after the other
        self._running: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._written = 0.0
        self._until = 0.0  # no request begins after it: the lease would end before the answer
        self.sent = 0

    async def run(self) -> int:
        """Return how many were delivered."""
        try:
            while await self._turn():
                pass
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            # What was answered meanwhile is worth writing: else it is sent again.
            if self._outcomes:
                await self._write(claim=False)
        return self.sent

    async def _turn(self) -> bool:
        while self._line and len(self._running) < CONCURRENCY:
            task = asyncio.create_task(self._chain(self._line.popleft()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        # A claim for each answer would be a transaction for each; one in a while, and slow answers hold up no others.
        waited = time.monotonic() - self._written >= FLUSH_S
        idle = not self._line and len(self._running) < CONCURRENCY
        if idle and (waited or len(self._running) < CONCURRENCY // 2):
            claimed = await self._write(claim=not self._stop.is_set())
            if not claimed and not self._running:
                return False
            if claimed:
                return True
        elif self._outcomes and (waited or len(self._outcomes) >= TAKE // 2):
            await self._write(claim=False)
        if self._running:
            await asyncio.wait(self._running, timeout=FLUSH_S, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def _chain(self, chain: list[_Taken]) -> None:
        for at, one in enumerate(chain):
            endpoint = self._endpoint
            if endpoint is None or time.monotonic() > self._until or (self._stop.is_set() and at):
                self._outcomes += [_untried(left) for left in chain[at:]]
                return
            outcome = await self._sending.post(endpoint, one.id, one.body)
            lag = round((datetime.now(UTC) - one.due.at).total_seconds() * 1000)
            self._outcomes.append(
                msgspec.structs.replace(
                    outcome,
                    position=one.due.position,
                    url=endpoint.url,
                    lag_ms=max(lag, 0),
                    attempts=one.due.attempts + 1,
                )
            )
            if not outcome.delivered:  # in a chain, what comes after waits for it
                self._outcomes += [_untried(left) for left in chain[at + 1 :]]
                return

    async def _write(self, *, claim: bool) -> bool:
        """Write what became of deliveries, and claim the next; return whether there are any."""
        outcomes, self._outcomes = self._outcomes, []
        if not outcomes and not claim:
            return False
        began = self._written = time.monotonic()
        try:
            async with self._db.transaction() as tx:
                statement = writes.HOLD_ENDPOINT if outcomes else writes.LOCK_ENDPOINT
                endpoint = await tx.maybe(Endpoint, statement, {"id": self._id})
                if endpoint is not None and outcomes:
                    endpoint = await store(tx, endpoint, outcomes)
                chains = await self._claim(tx, endpoint) if claim and endpoint is not None else []
        except BaseException:
            self._outcomes = outcomes + self._outcomes
            raise
        self.sent += sum(outcome.delivered for outcome in outcomes)
        self._endpoint = endpoint
        if chains:
            self._until = began + self._sending.lease_s - 2.5 * TIMEOUT_S
            self._line.extend(chains)
        return bool(chains)

    async def _claim(self, tx: Tx, endpoint: Endpoint) -> list[list[_Taken]]:
        breaker, moment = breaker_of(endpoint), time.time()
        if endpoint.state != EndpointState.ACTIVE or not breaker.allows(moment):
            return []
        if endpoint.rest_until is not None and endpoint.rest_until.timestamp() > moment:
            return []
        trying = breaker.state(moment) is Circuit.TRYING
        if trying and self._running:
            return []
        row = {"endpoint": self._id, "lease": self._sending.lease_s, "ordered": endpoint.ordered}
        taken = dict(await tx.tuples(writes.TAKE, {**row, "most": 1 if trying else TAKE}))
        if not taken:
            return []
        if trying:
            await _store_health(tx, endpoint, breaker.tries(moment, self._sending.lease_s), endpoint.error)
        return list(_chains(await self._bodies(tx, endpoint, taken), ordered=endpoint.ordered))

    async def _bodies(self, tx: Tx, endpoint: Endpoint, taken: dict[int, int]) -> list[_Taken]:
        events = await reads.events_at(tx, sorted(taken))
        gone = taken.keys() - {event.position for event in events}
        if gone:  # older than the log: it cannot be told any more
            await _fail(tx, self._id, [_of_the_past(position) for position in sorted(gone)])
        told = await rendering.render(tx, events, endpoint.locations)
        return [
            _Taken(
                Due(
                    position=event.position,
                    key=event.key,
                    type=event.type,
                    attempts=taken[event.position],
                    at=event.at,
                    seq=event.seq,
                    version=event.version,
                    actor=event.actor,
                    payload="",
                ),
                envelope.id,
                rendering.encode(envelope),
            )
            for event, envelope in zip(events, told, strict=True)
        ]


def _chains(taken: Sequence[_Taken], *, ordered: bool) -> Iterator[list[_Taken]]:
    if not ordered:
        yield from ([one] for one in taken)
        return
    by_key = sorted(taken, key=lambda one: (one.due.key, one.due.position))
    chains = [list(chain) for _key, chain in groupby(by_key, key=lambda one: one.due.key)]
    yield from sorted(chains, key=lambda chain: chain[0].due.position)


def _untried(one: _Taken) -> Outcome:
    return Outcome(position=one.due.position, delivered=False, status=None, ms=0, untried=True)


def _of_the_past(position: int) -> tuple[Outcome, float, bool]:
    why = "The log no longer holds this event."
    return Outcome(position=position, delivered=False, status=None, ms=0, error=why), 0.0, True


# --- what became of it ---


def breaker_of(endpoint: Endpoint) -> Breaker:
    """Return the breaker of an endpoint as its row says."""
    return msgspec.structs.replace(
        rules.breaker(),
        failures=endpoint.failures,
        opened=endpoint.opened,
        until=endpoint.open_until.timestamp() if endpoint.open_until else None,
        trial_until=endpoint.trial_until.timestamp() if endpoint.trial_until else None,
    )


async def store(tx: Tx, endpoint: Endpoint, outcomes: Sequence[Outcome]) -> Endpoint | None:
    """Write what became of deliveries, the endpoint's row locked; return the endpoint as it is now."""
    tried = [outcome for outcome in outcomes if not outcome.untried]
    delivered = [outcome for outcome in tried if outcome.delivered]
    failed = [outcome for outcome in tried if not outcome.delivered]
    untried = [outcome.position for outcome in outcomes if outcome.untried]
    if untried:
        await tx.execute(writes.GIVE_BACK, {"endpoint": endpoint.id, "positions": untried})
    if delivered:
        columns = {
            "positions": [o.position for o in delivered],
            "statuses": [o.status for o in delivered],
            "ms": [o.ms for o in delivered],
        }
        await tx.execute(writes.STORE_DELIVERED, {"endpoint": endpoint.id, **columns})
    moment = time.time()
    breaker = breaker_of(endpoint)
    was_resting = breaker.state(moment) is not Circuit.CLOSED
    if failed:
        await _fail(
            tx,
            endpoint.id,
            [
                (
                    o,
                    rules.wait_after(o.attempts, o.after, random.uniform),
                    rules.gives_up(o.attempts, resting=was_resting),
                )
                for o in failed
            ],
        )
    # What a former address answers says nothing of the one that is there now.
    here = [outcome for outcome in tried if outcome.url in {"", endpoint.url}]
    since = await _failing_since(tx, endpoint, here)
    await _note_attempts(tx, endpoint.id, [o for o in tried if not o.delivered or o.attempts > 1])
    if tried:
        await _count(tx, endpoint.id, tried)
    for outcome in here:
        if outcome.delivered:
            breaker = breaker.succeeded()
        elif outcome.servers_fault:
            breaker = breaker.failed(moment)
        elif breaker.state(moment) is Circuit.TRYING:  # it dislikes the event, but it is there
            breaker = breaker.succeeded()
    changed = await _health(tx, endpoint, breaker, here, since)
    return await _stop_if_hopeless(tx, endpoint, here) if any(not outcome.delivered for outcome in here) else changed


async def _fail(tx: Tx, endpoint_id: int, failed: Sequence[tuple[Outcome, float, bool]]) -> None:
    columns = {
        "positions": [o.position for o, _, _ in failed],
        "statuses": [o.status for o, _, _ in failed],
        "ms": [o.ms for o, _, _ in failed],
        "errors": [o.error for o, _, _ in failed],
        "waits": [wait for _, wait, _ in failed],
        "finals": [final for _, _, final in failed],
    }
    await tx.execute(writes.STORE_FAILED, {"endpoint": endpoint_id, **columns})


async def _note_attempts(tx: Tx, endpoint_id: int, noted: Sequence[Outcome]) -> None:
    if noted:
        columns = {
            "positions": [o.position or None for o in noted],
            "statuses": [o.status for o in noted],
            "ms": [o.ms for o in noted],
            "errors": [o.error for o in noted],
            "answers": [o.answer for o in noted],
        }
        await tx.execute(writes.ADD_ATTEMPTS, {"endpoint": endpoint_id, **columns})


async def _count(tx: Tx, endpoint_id: int, tried: Sequence[Outcome]) -> None:
    took = [0] * len(rules.BUCKETS_MS)
    for outcome in tried:
        took[rules.bucket_of(outcome.ms)] += 1
    delivered = sum(outcome.delivered for outcome in tried)
    lag = max((outcome.lag_ms for outcome in tried if outcome.attempts == 1), default=0)
    counts = {"delivered": delivered, "failed": len(tried) - delivered, "took": took, "lag": lag}
    await tx.execute(writes.COUNT_MINUTE, {"endpoint": endpoint_id, **counts})


async def _failing_since(tx: Tx, endpoint: Endpoint, tried: Sequence[Outcome]) -> datetime | None:
    """Return when the failures in a row began, these attempts included; None where one of them arrived."""
    if any(outcome.delivered for outcome in tried):
        return None
    at = now()
    if rules.may_be_apart(endpoint.failing_since, at) and not await reads.failed_since(
        tx, endpoint.id, at - APART_AFTER
    ):
        return at
    return endpoint.failing_since or at


async def _health(
    tx: Tx, endpoint: Endpoint, breaker: Breaker, tried: Sequence[Outcome], since: datetime | None
) -> Endpoint:
    """Write how the address does, if that changed."""
    if not tried:
        return endpoint
    last_failure = next((o for o in reversed(tried) if not o.delivered), None)
    rest_s = max((min(o.after, rules.LONGEST_REST_S) for o in tried if o.after), default=0.0)
    if last_failure is None and breaker == breaker_of(endpoint) and endpoint.failing_since is None:
        return endpoint
    error = last_failure.error if last_failure else None
    healthy = msgspec.structs.replace(endpoint, failing_since=since)
    await _store_health(tx, healthy, breaker, error, rest_s)
    return await reads.endpoint(tx, endpoint.id) or endpoint


async def _store_health(tx: Tx, endpoint: Endpoint, breaker: Breaker, error: str | None, rest_s: float = 0.0) -> None:
    await tx.execute(
        writes.STORE_HEALTH,
        {
            "endpoint": endpoint.id,
            "failures": breaker.failures,
            "opened": breaker.opened,
            "open_until": breaker.until,
            "trial_until": breaker.trial_until,
            "rest": rest_s,
            "failing_since": endpoint.failing_since,
            "error": error,
        },
    )


async def _stop_if_hopeless(tx: Tx, endpoint: Endpoint, tried: Sequence[Outcome]) -> Endpoint | None:
    """Stop telling an endpoint that is gone, or where nothing arrived for days."""
    known = await reads.endpoint(tx, endpoint.id)
    if known is None or known.state != EndpointState.ACTIVE:
        return known
    gone = any(outcome.gone for outcome in tried)
    if gone or rules.is_disabled_by(known.failing_since, now()):
        why = Why.GONE if gone else Why.FAILING
        await service.stop(tx, endpoint.id, EndpointState.DISABLED, why)
        log.warning("webhook_disabled", webhook=endpoint.id, why=why.value)
        return await reads.endpoint(tx, endpoint.id)
    return known


async def send_test(db: Database, sending: Sending, endpoint: Endpoint) -> Outcome:
    """Send a test event now and return what became of it; it is written down.

    Where it arrives after failures the address is rested from no longer, and what is in line goes at once: whoever
    tests it has seen to it.
    """
    moment = now()
    body = rendering.encode(
        {
            "id": (id_ := f"test_{int(moment.timestamp() * 1000)}"),
            "type": catalogue.TEST,
            "version": 1,
            "timestamp": moment,
            "subject": f"webhook:{endpoint.id}",
            "sequence": 0,
            "actor": "system",
            "cursor": 0,
            "data": {"webhook": endpoint.id, "name": endpoint.name},
        }
    )
    outcome = await sending.post(endpoint, id_, body)
    async with db.transaction() as tx:
        held = await tx.maybe(Endpoint, writes.HOLD_ENDPOINT, {"id": endpoint.id})
        await _note_attempts(tx, endpoint.id, [outcome])
        same = held is not None and held.url == endpoint.url
        if same and outcome.delivered and await tx.value(writes.REST_NO_LONGER, {"id": endpoint.id}) is not None:
            await tx.execute(writes.HURRY, {"id": endpoint.id})
    return outcome


# --- all of them ---


async def send_due(db: Database, sending: Sending, stop: asyncio.Event | None = None) -> int:
    """Send what may go now to every endpoint; return how many were delivered. For tests and commands."""
    async with db.transaction() as tx:
        due = await reads.due(tx)
    stop = stop or asyncio.Event()
    return sum(await asyncio.gather(*(Pump(db, sending, id_, stop).run() for id_ in due)))


async def run_sending(db: Database, sending: Sending, stop: asyncio.Event) -> None:
    """Send until `stop` is set; outlives a lost database. An endpoint that is slow holds up no other."""
    pumps: dict[int, asyncio.Task[None]] = {}
    quiet: dict[int, float] = {}  # nothing of theirs could go: what is in line waits behind something
    rounds = Rounds(log, waits="webhooks_wait", failed="webhooks_failed", also=_AWAY)
    of_one: dict[int, Rounds] = {}
    async with sending.kept:
        while not stop.is_set():
            due: list[int] | None = None
            with rounds:
                async with db.transaction() as tx:
                    found = await reads.due(tx)
                    someone = bool(found) or bool(await reads.active(tx))
                due = found
            if due is None:
                await rest(stop, IDLE_S)
                continue
            for id_ in due:
                if id_ in pumps or len(pumps) >= ENDPOINTS_AT_ONCE or quiet.get(id_, 0.0) > time.monotonic():
                    continue
                each = of_one.setdefault(
                    id_, Rounds(log, waits="webhook_waits", failed="webhook_failed", also=_AWAY, webhook=id_)
                )
                pumps[id_] = asyncio.create_task(_pump(db, sending, id_, stop, quiet, each))
                pumps[id_].add_done_callback(lambda _task, id_=id_: pumps.pop(id_, None))  # type: ignore[misc]
            await rest(stop, LOOK_EVERY_S if someone else IDLE_S)
        await asyncio.gather(*pumps.values(), return_exceptions=True)


async def _pump(
    db: Database, sending: Sending, id_: int, stop: asyncio.Event, quiet: dict[int, float], rounds: Rounds
) -> None:
    sent = 0
    with rounds:  # whatever becomes of it, the next look starts another; the other endpoints go on
        sent = await Pump(db, sending, id_, stop).run()
    if sent:
        quiet.pop(id_, None)
    else:
        quiet[id_] = time.monotonic() + IDLE_S


async def forget(db: Database) -> None:
    """Forget what is old: deliveries and attempts, minutes, secrets that no longer sign."""
    async with db.transaction() as tx:
        await tx.execute(writes.FORGET_FORMER_SECRETS)
        await tx.execute(writes.GIVE_UP_OLD, {"age": rules.WAITS_AT_MOST, "error": "It waited for too long."})
        await tx.execute(writes.FORGET_MINUTES, {"age": rules.MINUTES_KEPT})
    for statement, params in (
        (writes.FORGET_DELIVERIES, {"delivered": rules.DELIVERED_KEPT, "failed": rules.FAILED_KEPT}),
        (writes.FORGET_ATTEMPTS, {"age": rules.FAILED_KEPT}),
    ):
        while True:
            async with db.transaction() as tx:
                if await tx.execute(statement, {**params, "most": FORGET_AT_ONCE}) < FORGET_AT_ONCE:
                    break
