"""Where orders come in: one at a time, or many with a result for each."""

import asyncio
from typing import Any, cast

import msgspec

from malha.api.errors import MalformedBody
from malha.api.problem import problem_of
from malha.api.replies import Raw
from malha.api.validation import EMPTY, MARK, Body
from malha.api.work import Work, command
from malha.intake.gate import Gate
from malha.intake.model import NewOrder, Placed, Result
from malha.platform import idempotency
from malha.platform.errors import FieldError, MalhaError
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_, Phrase

MAX_ITEMS = 10_000
AT_ONCE = 500

_encode = msgspec.json.Encoder().encode
_read = Body(NewOrder).read


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one item: its order, or the problem it met. `status` is the one it would have had alone."""

    index: int
    status: int
    order: Placed | None = None
    problem: dict[str, Any] | None = None


class BatchReply(msgspec.Struct, frozen=True):
    """Results in the order of the items."""

    accepted: int
    duplicates: int
    refused: int
    results: list[ItemResult]


class BatchTooLong(FieldError):
    """More items than one request may carry."""

    code = "batch_too_long"
    says = "The batch holds {count} orders, more than {limit}."
    mend = "Send it in parts; what was taken before stays taken."


def _gate(work: Work) -> Gate:
    return cast("Gate", work.services.extra["gate"])


@command(
    "/orders",
    permission="intake:submit",
    status=201,
    transaction=False,
    idempotent=False,
    reads_key=True,
    repeated=True,
    tag="orders",
)
async def create_order(work: Work, data: NewOrder) -> Placed:
    """Place an order.

    Its natural key is `(channel, external_id)`; without an external id the `Idempotency-Key` header takes its place. A
    repeated submission answers 200 with the order that exists (`result: duplicate`), the same key with another body is
    refused. What cannot be understood or covered does not lose the order: unknown SKUs, locations and services, a
    missing address, a payment that is due put it on hold (`holds`); a shortage is refused, backordered or held as the
    channel's policy says.
    """
    placed = await _gate(work).submit(
        data,
        idempotency_key=work.request.headers.get("idempotency-key"),
        actor=work.actor,
        size=len(await work.request.body()),
    )
    status = 200 if placed.result is Result.DUPLICATE else 201
    return cast("Placed", Raw(_encode(placed), status))


@command(
    "/orders:batch",
    permission="intake:submit",
    transaction=False,
    idempotent=False,
    reads_key=True,
    media_type="application/x-ndjson",
    tag="orders",
)
async def create_orders(work: Work, data: bytes) -> BatchReply:
    """Place many orders: a JSON array, or one order a line (NDJSON).

    Every item has its own result; a bad one does not touch the others. Items without an external id are refused,
    because one Idempotency-Key cannot name many orders: it names the batch. The same batch sent again answers with the
    orders it made and tries again what was refused; another batch under the same key is refused as a whole.
    """
    await _refuse_reuse(work, data)
    items = _items(data)
    if not items and data.strip():
        raise Invalid([Flaw("", N_("There is no order in the list."), N_("Send at least one order."))])
    if not items:
        raise MalformedBody(reason=Phrase(EMPTY))
    if len(items) > MAX_ITEMS:
        raise BatchTooLong(count=len(items), limit=MAX_ITEMS, problems=[])
    results: list[ItemResult] = []
    for start in range(0, len(items), AT_ONCE):
        part = items[start : start + AT_ONCE]
        results += await asyncio.gather(*(_one(work, start + n, raw) for n, raw in enumerate(part)))
    return BatchReply(
        accepted=sum(r.status == 201 for r in results),
        duplicates=sum(r.status == 200 for r in results),
        refused=sum(r.status >= 400 for r in results),
        results=results,
    )


async def _refuse_reuse(work: Work, data: bytes) -> None:
    """Keep what a key was used for. Nothing waits for a batch in flight: each of its items has a key of its own.

    Raises:
        KeyReused: the key was used for another batch.
    """
    key = work.request.headers.get("idempotency-key")
    if key is None:
        return
    asked = idempotency.command(work.actor.label, key, "POST /v1/orders:batch", data)
    async with work.database.transaction(work.actor) as tx:
        if await idempotency.begin(tx, asked) is None:
            await idempotency.keep(tx, asked, idempotency.Reply(200, {}, b""))


def _items(data: bytes) -> list[bytes]:
    data = data.removeprefix(MARK)
    if data.lstrip()[:1] == b"[":
        return [bytes(raw) for raw in Body(list[msgspec.Raw], whole=False).read(data)]
    return [line for line in data.splitlines() if line.strip()]


async def _one(work: Work, index: int, raw: bytes) -> ItemResult:
    try:
        placed = await _gate(work).submit(_read(raw), actor=work.actor, size=len(raw))
    except MalhaError as error:
        problem = problem_of(error, work.language)
        return ItemResult(index, error.status, problem=msgspec.to_builtins(problem))
    return ItemResult(index, 200 if placed.result is Result.DUPLICATE else 201, order=placed)


handlers = [create_order, create_orders]
