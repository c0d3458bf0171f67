"""What orders say besides what is bought: details that a channel states, and tags of channels and people.

Tags are words by which orders are put together; nothing is decided by them. Two are one when they differ in case,
accents or spaces only. What a channel states of an order adds its tags and, when it states otherwise later, takes away
only those it had stated itself: what people added stays.
"""

from collections.abc import Iterable, Sequence

import msgspec

from malha.ordering import reads, service, tag_writes, writes
from malha.ordering.events import DetailsChanged, OrderTagged
from malha.ordering.model import OrderDetails
from malha.ordering.rules import tags_of
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID

MOST_TAGS = 30  # of one order
LONGEST = 60  # characters of one tag
AT_ONCE = 500  # orders of one call
_encode = msgspec.json.Encoder().encode


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change of tags: orders changed and left as they were, and those it was refused for.

    `unknown`: there is no such order, or it is none of the asker's business. `full`: it would have too many tags.
    """

    changed: list[UUID]
    unchanged: list[UUID]
    unknown: list[UUID]
    full: list[UUID]


async def set_details(tx: Tx, order_id: UUID, details: OrderDetails) -> bool:
    """State what a locked order says besides what is bought; tell whether that is anything new."""
    before = await reads.details(tx, order_id) or OrderDetails()
    if before == details:
        return False
    await tx.value(writes.PUT_DETAILS, {"order_id": order_id, "details": _encode(details).decode()})
    had, has = tags_of(before.tags), tags_of(details.tags)
    added = [(key, order_id, tag) for key, tag in has.items() if key not in had]
    await _write(tx, added, [(key, order_id) for key in had if key not in has])
    fields = [name for name in details.__struct_fields__ if getattr(before, name) != getattr(details, name)]
    await service.record(tx, DetailsChanged(id=order_id, seq=0, fields=fields))
    return True


async def change_tags(
    tx: Tx, order_ids: Iterable[UUID], *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> Tagged:
    """Add tags to orders and take others away; what an order has already, or has not, is left as it is.

    Raises:
        Invalid: nothing is said, a tag is empty or too long, one is in both lists, or too many orders.
    """
    asked = list(dict.fromkeys(order_ids))
    check_tags(add, remove, len(asked))
    adding, removing = tags_of(add), tags_of(remove)
    found = await service.lock_orders(tx, asked)
    seen = await service.seen_of(tx, found.values())
    now = await reads.tags(tx, sorted(seen))
    events, full = [], []
    added: list[tuple[str, UUID, str]] = []
    removed: list[tuple[str, UUID]] = []
    for order_id in sorted(seen):
        had = tags_of(now.get(order_id, ()))
        new = {key: tag for key, tag in adding.items() if key not in had}
        gone = {key: had[key] for key in removing if key in had}
        if len(had) + len(new) - len(gone) > MOST_TAGS and new:
            full.append(order_id)
        elif new or gone:
            added += [(key, order_id, tag) for key, tag in new.items()]
            removed += [(key, order_id) for key in gone]
            events.append(OrderTagged(id=order_id, seq=0, added=[*new.values()], removed=[*gone.values()]))
    await _write(tx, added, removed)
    await service.record(tx, *events)
    changed = {event.id for event in events}
    left = seen - changed - set(full)
    return Tagged(
        changed=[o for o in asked if o in changed],
        unchanged=[o for o in asked if o in left],
        unknown=[o for o in asked if o not in seen],
        full=full,
    )


def check_tags(add: Sequence[str], remove: Sequence[str], orders: int = 1) -> None:
    """Refuse tags that nobody could add or take away, before any order is looked at.

    Raises:
        Invalid: nothing is said, a tag is empty or too long, one is in both lists, or too many orders.
    """
    adding, removing = tags_of(add), tags_of(remove)
    flaws = []
    if not add and not remove:
        flaws.append(Flaw("add", N_("Name at least one tag to add or to remove.")))
    if orders > AT_ONCE:
        flaws.append(Flaw("orders", N_("At most {most} at once."), facts={"most": AT_ONCE}))
    for at, said in (("add", add), ("remove", remove)):
        if any(not tags_of([tag]) for tag in said):
            flaws.append(Flaw(at, N_("A tag is empty."), N_("Write at least one letter or digit.")))
        if any(len(tag.strip()) > LONGEST for tag in said):
            flaws.append(Flaw(at, N_("At most {most} characters."), facts={"most": LONGEST}))
    if len(adding) > MOST_TAGS:
        flaws.append(Flaw("add", N_("An order has at most {most} tags."), facts={"most": MOST_TAGS}))
    if adding.keys() & removing.keys():
        flaws.append(Flaw("remove", N_("A tag is to be added and removed at once."), N_("Leave it in one of the two.")))
    refuse(flaws)


async def _write(tx: Tx, added: Sequence[tuple[str, UUID, str]], removed: Sequence[tuple[str, UUID]]) -> None:
    """Write tags of locked orders: (key, order, tag) to add, (key, order) to take away."""
    if removed:
        keys, orders = zip(*removed, strict=True)
        await tx.execute(tag_writes.REMOVE_TAGS, {"keys": list(keys), "orders": list(orders)})
    if added:
        keys, orders, tags = zip(*added, strict=True)
        columns = {"keys": list(keys), "orders": list(orders), "tags": list(tags)}
        await tx.execute(tag_writes.ADD_TAGS, columns)
