"""From what happened here to what a partner is asked: pick this, leave that, expect these goods.

A subscriber calls it with events. It looks at the orders as they are now and asks for the difference from what was
asked before, so an event that comes twice, or late, asks for nothing twice. It notes down and sends nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from malha.channels.connecting import queueing
from malha.channels.connecting.model import NewOp, OpKind
from malha.channels.contract import ExpectedLine, ExtBuyer, InboundNotice, PickCancel, PickLine, PickRequest
from malha.channels.partners import reads, rules, writes
from malha.channels.partners.reads import Asked, Coming, ComingLine, WorkThere
from malha.ordering import service as ordering
from malha.ordering.model import Unit
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded

WORK_TYPES = (
    "fulfillment.released",
    "fulfillment.rejected",
    "fulfillment.short",
    "fulfillment.cancelled",
    "fulfillment.shipped",
    "fulfillment.collected",
    "order.cancelled",
    "order.routed",
)
INBOUND_TYPES = (
    "inbound.placed",
    "inbound.changed",
    "inbound.rescheduled",
    "inbound.dropped",
    "transfer.approved",
    "transfer.shipped",
    "transfer.rescheduled",
    "transfer.closed_short",
    "transfer.cancelled",
)
WORKABLE = frozenset({"open", "accepted", "picking"})
_encode = msgspec.json.Encoder(order="deterministic").encode


async def note_work(tx: Tx, events: list[Recorded]) -> None:
    """Ask partners for what orders want of them now, and to leave what they do not want any more."""
    await ask_for_orders(tx, {UUID(event.id) for event in events})


async def ask_for_orders(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """As `note_work`, for orders; they are locked, those with work at a partner's locations alone."""
    work = await reads.work(tx, order_ids)
    before = await reads.asked(tx, order_ids)
    orders = sorted({w.order_id for w in work} | {a.order_id for a in before})
    if not orders:
        return
    await ordering.lock_orders(tx, orders)
    # Under the locks: whoever recorded an answer meanwhile is done.
    work, before = await reads.work(tx, orders), await reads.asked(tx, orders)
    units = await ordering.units_of(tx, orders)
    fresh = [w for w in work if w.root is None and w.state in WORKABLE]
    ops = await _requests(tx, fresh, units)
    ops += await _cancels(tx, before, units)
    await queueing.add(tx, ops)
    await tx.values(writes.END_CLOSED, {"orders": orders})


async def _requests(tx: Tx, fresh: Sequence[WorkThere], units: Mapping[UUID, Sequence[Unit]]) -> list[NewOp]:
    wanted = {w.id: rules.still_wanted(units[w.order_id], [w.id]) for w in fresh}
    fresh = [w for w in fresh if wanted[w.id]]
    if not fresh:
        return []
    goods = await reads.goods(tx, {sku for keys in wanted.values() for _, sku in keys})
    ops = [_request(w, _lines(wanted[w.id], goods)) for w in fresh]
    await tx.values(
        writes.ADD_REQUESTS,
        {
            "ids": [w.id for w in fresh],
            "connections": [w.connection_id for w in fresh],
            "orders": [w.order_id for w in fresh],
            "locations": [w.location_id for w in fresh],
            "names": [rules.request_name(w.number) for w in fresh],
            "op_keys": [queueing.key_of(op) for op in ops],
            "dues": [w.due_at for w in fresh],
        },
    )
    rows = [(w.id, line, sku, n) for w in fresh for (line, sku), n in sorted(wanted[w.id].items())]
    ids, lines, skus, asked = zip(*rows, strict=True)
    columns = {"ids": list(ids), "lines": list(lines), "skus": list(skus), "asked": list(asked)}
    await tx.execute(writes.ADD_LINES, columns)
    return ops


def _lines(wanted: Mapping[tuple[int, int], int], goods: Mapping[int, tuple[str, str, str]]) -> list[PickLine]:
    return [
        PickLine(line=line, sku=goods[sku][0], quantity=n, gtin=goods[sku][1], name=goods[sku][2])
        for (line, sku), n in sorted(wanted.items())
    ]


def _request(w: WorkThere, lines: Sequence[PickLine]) -> NewOp:
    name = rules.request_name(w.number)
    ask = PickRequest(
        request=name,
        order=str(w.order_number),
        location=w.theirs,
        method=w.method,
        lines=lines,
        due_at=w.due_at,
        service=w.service,
        carrier=w.carrier,
        buyer=ExtBuyer(name=w.buyer_name, document=w.buyer_document, email=w.buyer_email, phone=w.buyer_phone),
        ship_to=w.address(),
    )
    return NewOp(
        connection_id=w.connection_id,
        kind=OpKind.ASK,
        entity=f"request:{name}",
        name=f"pick:{w.id}",
        payload=ask,
    )


async def _cancels(tx: Tx, before: Sequence[Asked], units: Mapping[UUID, Sequence[Unit]]) -> list[NewOp]:
    """Ask partners to leave what no unit wants any more: what was asked less what they know is not wanted."""
    open_ = [a for a in before if a.fulfillment_id == a.root and a.state != "ended"]
    if not open_:
        return []
    rows = await tx.tuples(reads.ASKED_LINES, {"ids": [a.fulfillment_id for a in open_]})
    goods = await reads.goods(tx, {sku for _, _, sku, _, _ in rows})
    ops: list[NewOp] = []
    gone: list[tuple[UUID, int, int, int]] = []
    for a in open_:
        works = [b.fulfillment_id for b in before if b.root == a.root]
        living = rules.still_wanted(units[a.order_id], works)
        mine = [(line, sku, n, told) for id_, line, sku, n, told in rows if id_ == a.fulfillment_id]
        less = {(line, sku): n - living.get((line, sku), 0) for line, sku, n, _ in mine}
        less = {key: n for key, n in less.items() if n > 0}
        if not less:
            continue
        left = sum(living.get((line, sku), 0) for line, sku, _, _ in mine)
        told = sum(less.values()) + sum(n for *_, n in mine)
        ops.append(_cancel(a, _lines(less, goods), whole=not left, told=told))
        gone += [(a.fulfillment_id, line, sku, n) for (line, sku), n in sorted(less.items())]
    if gone:
        ids, lines, skus, counts = zip(*gone, strict=True)
        columns = {"ids": list(ids), "lines": list(lines), "skus": list(skus), "units": list(counts)}
        await tx.execute(writes.NOTE_CANCELLED, columns)
    return ops


def _cancel(a: Asked, lines: Sequence[PickLine], *, whole: bool, told: int) -> NewOp:
    ask = PickCancel(request=a.name, order=str(a.order_number), location=a.theirs, lines=lines, whole=whole)
    return NewOp(
        connection_id=a.connection_id,
        kind=OpKind.ASK,
        entity=f"request:{a.name}",
        name=f"cancel:{a.fulfillment_id}:{told}",
        payload=ask,
    )


# --- goods that come ---


async def note_inbound(tx: Tx, events: list[Recorded]) -> None:
    """Tell partners which goods will come to their locations, or come no more."""
    by_kind: dict[str, set[UUID]] = {"purchase": set(), "transfer": set()}
    for event in events:
        by_kind["purchase" if event.type.startswith("inbound.") else "transfer"].add(UUID(event.id))
    for kind, ids in by_kind.items():
        if ids:
            await announce(tx, kind, ids)


async def announce(tx: Tx, kind: str, ids: Iterable[UUID]) -> None:
    """Tell what comes with these purchase orders or transfers, if it is not what was told before."""
    heads, lines = (
        (reads.PURCHASES, reads.PURCHASE_LINES) if kind == "purchase" else (reads.TRANSFERS, reads.TRANSFER_LINES)
    )
    coming = await tx.all(Coming, heads, {"ids": sorted(ids)})
    if not coming:
        return
    by_id: dict[UUID, list[ComingLine]] = {}
    for line in await tx.all(ComingLine, lines, {"ids": [c.id for c in coming]}):
        by_id.setdefault(line.id, []).append(line)
    goods = await reads.goods(tx, {line.sku_id for rows in by_id.values() for line in rows})
    ops = [op for c in coming if (op := await _notice(tx, kind, c, by_id.get(c.id, []), goods)) is not None]
    await queueing.add(tx, ops)


async def _notice(
    tx: Tx, kind: str, coming: Coming, lines: Sequence[ComingLine], goods: Mapping[int, tuple[str, str, str]]
) -> NewOp | None:
    name = rules.notice_name(kind, coming.number)
    expected = [
        ExpectedLine(
            line=each.line,
            sku=goods[each.sku_id][0],
            quantity=each.quantity,
            gtin=goods[each.sku_id][1],
            name=goods[each.sku_id][2],
            expected=each.eta,
        )
        for each in lines
    ]
    ask = InboundNotice(
        notice=name,
        version=1,
        kind="purchase" if kind == "purchase" else "transfer",
        location=coming.theirs,
        sender=coming.sender,
        lines=expected,
        document=coming.document,
    )
    op = NewOp(
        connection_id=coming.connection_id, kind=OpKind.ASK, entity=f"notice:{name}", name=f"notice:{name}", payload=ask
    )
    row = {
        "connection_id": coming.connection_id,
        "name": name,
        "kind": kind,
        "number": coming.number,
        "location_id": coming.location_id,
        "digest": hashlib.sha256(_encode(ask)).digest(),
        "op_key": queueing.key_of(op),
    }
    version: int | None = await tx.value(writes.PUT_NOTICE, row)
    if version is None:
        return None
    op = msgspec.structs.replace(op, version=version, payload=msgspec.structs.replace(ask, version=version))
    key = {"connection_id": coming.connection_id, "name": name, "op_key": queueing.key_of(op)}
    await tx.execute(writes.SET_NOTICE_KEY, key)
    return op
