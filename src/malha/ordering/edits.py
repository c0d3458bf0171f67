"""What people correct of an order: its address, its buyer, the SKU of a line; and notes."""

from collections.abc import Sequence

import msgspec

from malha.customers.lines import stated_address
from malha.network.places import state_beside
from malha.ordering import reads, rules, writes
from malha.ordering.errors import (
    BuyerErased,
    LineMapped,
    LineNotFound,
    NothingToSend,
    NotShipped,
    SkuNotKnown,
    WorkBegan,
)
from malha.ordering.events import AddressChanged, BuyerChanged, NoteAdded
from malha.ordering.events import LineMapped as LineWasMapped
from malha.ordering.holds import _lift, ensure_holds
from malha.ordering.model import Address, HoldKind, Order, OrderStatus, Unit, UnitState
from malha.ordering.rules import Buyer
from malha.ordering.service import _encode, columns, lines_of, lock_order, record, restate, units_of
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

NOTE_LENGTH = 4_000


async def change_address(tx: Tx, order_id: UUID, address: Address, *, expected: int | None = None) -> Address:
    """Send an order elsewhere, as long as no location works on it; return the address as stored.

    Where it comes from is decided again by who listens to `AddressChanged`. A hold on the address is resolved. Where
    the new CEP is of another state than the address says, there is a hold for that.

    Raises:
        Invalid: a part of the address is missing or wrong.
        NotShipped: the order is collected at a counter.
        NothingToSend: it is cancelled.
        WorkBegan: a location already works on it.
        BuyerErased: its customer was erased for good.
    """
    order = await lock_order(tx, order_id, expected)
    await _refuse_erased(tx, order)
    clean, flaws = rules.check_address(address)
    refuse(flaws)
    # The code of a municipality, which people do not type, stays with its city.
    clean = stated_address(msgspec.convert(order.ship_to or {}, Address), clean)
    if order.method != "ship":
        raise NotShipped(number=order.number)
    if order.status == OrderStatus.CANCELLED:
        raise NothingToSend(number=order.number)
    await _require_untouched(tx, order)
    params = {"order_id": order_id, "ship_to": _encode(clean).decode(), "state": clean.state}
    await tx.execute(writes.SET_ADDRESS, params)
    kinds = [HoldKind.ADDRESS, HoldKind.ADDRESS_CHECK]
    lifted = await _lift(tx, [order_id], kinds, N_("The address was corrected."))
    former = (order.ship_to or {}).get("state")
    await restate(tx, [order_id], AddressChanged(id=order_id, seq=0, state=clean.state, former_state=former), *lifted)
    other = state_beside(clean.postal_code, clean.state)
    if other is not None:
        detail = {"state": clean.state, "cep_state": other}
        await ensure_holds(tx, {order_id: detail}, HoldKind.ADDRESS_CHECK)
    return clean


async def change_buyer(tx: Tx, order_id: UUID, buyer: Buyer, *, expected: int | None = None) -> Buyer:
    """Correct who buys, until work begins; return the data as stored. A hold on the buyer's data is resolved.

    Raises:
        Invalid: a name is missing, or a document, e-mail or telephone is wrong.
        WorkBegan: a location already works on the order: its papers may be made out.
        BuyerErased: its customer was erased for good.
    """
    order = await lock_order(tx, order_id, expected)
    await _refuse_erased(tx, order)
    clean, flaws = rules.check_buyer(buyer)
    refuse(flaws)
    await _require_untouched(tx, order)
    standing = Buyer(order.buyer_name, order.buyer_document, order.buyer_email, order.buyer_phone)
    fields = [name for name in Buyer.__struct_fields__ if getattr(standing, name) != getattr(clean, name)]
    await tx.execute(writes.SET_BUYER, {"order_id": order_id, **msgspec.structs.asdict(clean)})
    lifted = await _lift(tx, [order_id], [HoldKind.CUSTOMER], N_("The buyer's data were corrected."))
    await restate(tx, [order_id], BuyerChanged(id=order_id, seq=0, fields=fields), *lifted)
    return clean


async def _refuse_erased(tx: Tx, order: Order) -> None:
    if await reads.is_erased(tx, order.id):
        raise BuyerErased(number=order.number)


async def _require_untouched(tx: Tx, order: Order) -> None:
    if not rules.is_untouched((await units_of(tx, [order.id]))[order.id]):
        raise WorkBegan(number=order.number)


async def add_note(tx: Tx, order_id: UUID, text: str) -> UUID:
    """Write a note on an order; return its id.

    Raises:
        Invalid: the text is empty or longer than 4,000 characters.
        BuyerErased: the order's customer was erased for good.
    """
    await _refuse_erased(tx, await lock_order(tx, order_id))
    text = text.strip()
    if not 0 < len(text) <= NOTE_LENGTH:
        says = N_("A note needs between 1 and {most} characters.")
        refuse([Flaw("text", says, facts={"most": NOTE_LENGTH})])
    note_id = new_id()
    row = {"id": note_id, "order_id": order_id, "text": text, "by": tx.actor.label, "author": tx.actor.name}
    await tx.execute(writes.ADD_NOTE, row)
    await record(tx, NoteAdded(id=order_id, seq=0, note_id=str(note_id)))
    return note_id


async def map_line(tx: Tx, order_id: UUID, line: int, sku: str, *, expected: int | None = None) -> bool:
    """Say which SKU of the catalogue a line with an unknown one means; a kit is taken apart.

    When no unknown SKU is left, that hold is resolved. Who listens to `LineMapped` places the units.

    Returns:
        Whether the order has no unknown SKU any more.

    Raises:
        LineNotFound, LineMapped, SkuNotKnown: what the names say.
    """
    order = await lock_order(tx, order_id, expected)
    lines = {x.line: x for x in (await lines_of(tx, [order_id]))[order_id]}
    if line not in lines:
        raise LineNotFound(number=order.number, line=line)
    if lines[line].sku_id is not None:
        raise LineMapped(number=order.number, line=line)
    found = await tx.tuples(writes.FIND_SKU, {"sku": sku.strip()})
    if not found:
        raise SkuNotKnown(sku=sku)
    sku_id = found[0][0]
    key = {"order_id": order_id, "line": line}
    sku_text = await tx.value(writes.LINE_TEXT, key)
    await tx.execute(writes.MAP_LINE, {**key, "sku_id": sku_id})
    components = [(component, each) for _, _, component, each in found if component is not None]
    if components:
        await _explode(tx, order_id, line, components)
    else:
        await tx.execute(writes.MAP_UNITS, {**key, "sku_id": sku_id})
    units = (await units_of(tx, [order_id]))[order_id]
    complete = all(u.sku_id is not None or u.state is UnitState.CANCELLED for u in units)
    lifted = await _lift(tx, [order_id], [HoldKind.UNKNOWN_SKU], N_("Every SKU is known.")) if complete else []
    mapped = LineWasMapped(id=order_id, seq=0, line=line, sku_text=sku_text, sku_id=sku_id, complete=complete)
    await restate(tx, [order_id], mapped, *lifted)
    return complete


async def _explode(tx: Tx, order_id: UUID, line: int, components: Sequence[tuple[int, int]]) -> None:
    key = {"order_id": order_id, "line": line}
    parts = {"skus": [sku for sku, _ in components], "quantities": [each for _, each in components]}
    await tx.execute(writes.ADD_COMPONENTS, {**key, **parts})
    dropped = await tx.tuples(writes.DROP_UNMAPPED_UNITS, key)
    rows = [
        Unit(order_id, line, 0, sku_id, quantity * each, UnitState(state))
        for quantity, state in dropped
        for sku_id, each in components
    ]
    await tx.execute(
        writes.ADD_UNITS, columns([msgspec.structs.replace(u, part=part) for part, u in enumerate(rows, 1)])
    )
