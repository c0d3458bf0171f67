"""What happens while a channel that calls us waits: a message is proved on its raw bytes, kept, and answered.

One `Receiver` per process. Messages that come within a moment of one another share a transaction: the first is taken at
once, those that come while it commits are the next batch. So a message alone waits for nobody, and three hundred a
second are a few dozen commits. Nobody is answered before it is durable.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter as Metric

from malha.channels.connecting import access, inbox, reads, registry, rules, writes
from malha.channels.connecting.errors import NotProved, NoWebhooks, WebhookUnreadable
from malha.channels.connecting.model import Linked
from malha.channels.contract import (
    InboxEvent,
    Invalid,
    Ping,
    RawRequest,
    Rejected,
    Shared,
    Trust,
    Verified,
    WebhookReceiver,
)
from malha.channels.partners import filing
from malha.intake.errors import Overloaded
from malha.platform import signing
from malha.platform.clock import now
from malha.platform.db import Database, Tx

log = structlog.get_logger(__name__)

MOST = 100  # messages of one transaction
MOST_WAITING = 2_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
REFUSED = Metric("malha_webhooks_refused", "Webhooks whose signature did not fit.", ["connection"])
WEBHOOK_SECRETS = ("webhook_secret",)

Read = tuple[Linked, list[InboxEvent]] | Exception


class _Waiting(msgspec.Struct, eq=False):
    code: str
    raw: RawRequest
    answer: "asyncio.Future[int]"


class Receiver:
    """Takes what channels call one process with."""

    def __init__(self, db: Database, keys: signing.Keys) -> None:
        self._db = db
        self._keys = keys
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._running: asyncio.Task[None] | None = None

    async def receive(self, code: str, raw: RawRequest) -> int:
        """Keep what a webhook tells; return how much of it is new. A paused connection's is kept all the same.

        Raises:
            NoWebhooks: no such connection, or its connector takes none.
            NotProved: the signature does not fit, or it is of another account; it is counted.
            WebhookUnreadable: it fits, and the message says nothing that can be read.
            Overloaded: too much waits; nothing was kept.
        """
        if len(self._waiting) >= MOST_WAITING or self._bytes + len(raw.body) > MOST_WAITING_BYTES:
            raise Overloaded
        waiting = _Waiting(code, raw, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._bytes += len(raw.body)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await waiting.answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                self._bytes -= sum(len(each.raw.body) for each in batch)
                await self._settle(batch)
        finally:
            self._running = None

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Keep messages and answer each of them, whatever happens; one that spoils a batch spoils only its own."""
        try:
            answers = await self._keep(batch)
        except Exception as error:  # noqa: BLE001 -- whoever sent it hears of it
            if len(batch) > 1:
                for each in batch:
                    await self._settle([each])
                return
            answers = [error]
        for each, answer in zip(batch, answers, strict=True):
            if each.answer.done():  # whoever asked went away; it is kept all the same
                continue
            if isinstance(answer, Exception):
                each.answer.set_exception(answer)
            else:
                each.answer.set_result(answer)

    async def _keep(self, batch: Sequence[_Waiting]) -> list[int | Exception]:
        async with self._db.transaction() as tx:
            linked = await reads.linked_by_code(tx, sorted({each.code for each in batch}))
            secrets: dict[str, Any] = {}
            read = [self._read(linked.get(each.code), each.raw, secrets) for each in batch]
            refused = Counter(each.code for each, one in zip(batch, read, strict=True) if isinstance(one, NotProved))
            if refused:
                counts = {"ids": [linked[code].id for code in refused], "counts": list(refused.values())}
                await tx.execute(writes.COUNT_REFUSED, counts)
            events = [(one[0].id, event) for one in read if not isinstance(one, Exception) for event in one[1]]
            told = [(id_, event) for id_, event in events if event.answer is None]
            new = await inbox.keep_all(tx, "webhook", told) if told else set()
            answered = await _keep_answers(tx, read)
        return [
            one if isinstance(one, Exception) else _count(one, new) + answers
            for one, answers in zip(read, answered, strict=True)
        ]

    def _read(self, connection: Linked | None, raw: RawRequest, known: dict[str, Any]) -> Read:
        """Return what a message tells, or why it is refused. `known` keeps the secrets of the batch's connections."""
        try:
            return self._proved(connection, raw, known)
        except Exception as error:  # noqa: BLE001 -- its sender hears of it, the others of the batch do not
            return error

    def _proved(self, connection: Linked | None, raw: RawRequest, known: dict[str, Any]) -> Read:
        connector: Any = None if connection is None else registry.connectors().get(connection.connector)
        if connection is None or not isinstance(connector, WebhookReceiver):
            raise NoWebhooks
        if connection.code not in known:
            known[connection.code] = _secrets(access.generations(self._keys, connection))
        secrets: list[str] = known[connection.code]
        try:
            verified = connector.verify(raw, secrets, now())
            if isinstance(verified, Verified):
                verified = _of_another(connector, connection, verified) or verified
            if isinstance(verified, Rejected):
                REFUSED.labels(connection.code).inc()
                log.warning("webhook_not_proved", connection=connection.code, why=verified.message)
                raise NotProved
            events = [] if isinstance(verified, Ping) else list(connector.parse(verified))
        except Invalid as error:
            raise WebhookUnreadable(why=rules.redacted(error.why, secrets)) from None
        if not isinstance(verified, Ping) and not verified.signed:
            events = [msgspec.structs.replace(e, trust=Trust.HINT, order=None) for e in events]
        return connection, events


def _of_another(connector: Any, connection: Linked, verified: Verified) -> Rejected | None:
    if not isinstance(connector, Shared):
        return None
    try:
        config = msgspec.convert(connection.config, connector.config_model)  # type: ignore[attr-defined]
    except msgspec.ValidationError as error:
        return Rejected("configuration", f"the configuration does not fit: {error}"[:300])
    return connector.belongs(verified, config)


async def _keep_answers(tx: Tx, read: Sequence[Read]) -> list[int]:
    """Keep what partners answer, and return how much of each message is new."""
    answers = {
        n: (one[0].id, [event for event in one[1] if event.answer is not None])
        for n, one in enumerate(read)
        if not isinstance(one, Exception) and any(event.answer is not None for event in one[1])
    }
    counts = dict(zip(answers, await filing.keep_events(tx, list(answers.values())), strict=True)) if answers else {}
    return [counts.get(n, 0) for n in range(len(read))]


def _secrets(generations: Sequence[Mapping[str, str]]) -> list[str]:
    return [found[name] for found in generations for name in WEBHOOK_SECRETS if found.get(name)]


def _count(read: tuple[Linked, list[InboxEvent]], new: set[tuple[int, str]]) -> int:
    """Return how much of a message is new, and take it out of what is: the next that tells the same tells nothing."""
    connection, events = read
    mine = {(connection.id, event.dedup) for event in events} & new
    new -= mine
    return len(mine)
