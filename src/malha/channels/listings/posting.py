"""What a channel is told of listings that are queued, as it is at that moment, and what came of it."""

from collections.abc import Sequence

import msgspec

from malha.channels import service as channels
from malha.channels.connecting.model import Linked, Op
from malha.channels.contract import Ok, Pending, ProductPush, Rejected, Result, Unknown
from malha.channels.listings import making, reads, rules, writes
from malha.channels.listings.model import ListingError, Status
from malha.platform.db import Tx

MOST_ERRORS = 50
_encode = msgspec.json.Encoder().encode


class Posting(msgspec.Struct, frozen=True):
    """A listing that is told. `push` is None where it is not sent: `errors` say why."""

    sku_id: int
    version: int
    push: ProductPush | None
    errors: list[ListingError] = []


async def postings(tx: Tx, connection: Linked, ops: Sequence[Op]) -> list[Posting]:
    """Return what the channel is told for operations, in their order.

    Raises:
        NoListings: the connector takes no products (any more).
    """
    maker = await making.maker_of(tx, connection)
    ids = [int(op.payload["sku_id"]) for op in ops]
    found = {goods.sku_id: goods for goods in await reads.goods_of(tx, maker.place, ids)}
    told = []
    for op, id_ in zip(ops, ids, strict=True):
        goods = found.get(id_)
        content = None if goods is None else maker.made(goods, op.version)
        if content is None:
            told.append(Posting(id_, op.version, None))
        else:
            told.append(Posting(id_, op.version, content.push, content.errors if content.push is None else []))
    return told


async def note(tx: Tx, connection: Linked, came: Sequence[tuple[Posting, Result | None]]) -> None:
    """Keep what came of listings; None: it was not sent."""
    rows = [_row(posting, result) for posting, result in came if not isinstance(result, Unknown | Pending)]
    if not rows:
        return
    # What was not there before was not told its stock, or refused it.
    taken = [
        posting.sku_id for posting, result in came if isinstance(result, Ok) and posting.push and posting.push.active
    ]
    fresh = await tx.values(reads.NEVER_TAKEN, {"connection_id": connection.id, "skus": taken}) if taken else []
    columns = ("skus", "versions", "takens", "digests", "references", "statuses", "errors")
    params = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
    await tx.execute(writes.NOTE_OUTCOMES, {"connection_id": connection.id, **params})
    if fresh:
        await channels.unsettle(tx, connection.channel_id, fresh)


def _row(posting: Posting, result: Result | None) -> tuple[int, int, bool, bytes | None, str, str | None, str]:
    digest = None if posting.push is None else rules.digest_of(posting.push)
    status: Status | None = None
    reference, errors = "", posting.errors
    match result:
        case Ok(ref):
            status = Status.LIVE if posting.push is not None and posting.push.active else Status.ENDED
            reference = ref
        case Rejected():
            status = Status.REJECTED
            errors = [ListingError(e.code, e.field, e.message) for e in [result, *result.others]][:MOST_ERRORS]
        case _:
            pass
    taken = isinstance(result, Ok)
    said = None if status is None else status.value
    return posting.sku_id, posting.version, taken, digest, reference, said, _encode(errors).decode()
