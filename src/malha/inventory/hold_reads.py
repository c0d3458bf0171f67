"""Holds of carts and payments, as people and programs look for them: what each keeps, for whom, and until when."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.inventory.writes import SEEN_BY_SCOPE
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

Place = tuple[datetime, UUID]  # where a page goes on: when the last hold of the one before ends, and its id

_SHOWN = """
SELECT h.id, h.reference, c.code AS channel, c.name AS channel_name, h.created_at, h.expires_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object('sku', v.sku, 'name', p.name, 'location', n.code,
                                                     'location_name', n.name, 'quantity', l.quantity)
                                  ORDER BY v.sku, n.code)
                 FROM stock_hold_line l JOIN variant v ON v.id = l.sku_id JOIN product p ON p.id = v.product_id
                 JOIN location n ON n.id = l.location_id
                 WHERE l.hold_id = h.id), '[]') AS lines
FROM stock_hold h LEFT JOIN channel c ON c.id = h.channel_id
"""
# By the partial index on when active holds end: what is over, and was not given back yet, keeps nothing from anybody.
_STANDING = (
    """
WHERE h.state = 'active' AND h.expires_at > clock_timestamp() AND """
    + SEEN_BY_SCOPE
    + """
  AND (%(channel)s::text IS NULL OR EXISTS (
       SELECT FROM channel k WHERE k.id = h.channel_id AND k.code = %(channel)s::text))
  AND (%(sku)s::text IS NULL AND %(location)s::text IS NULL OR EXISTS (
       SELECT FROM stock_hold_line l JOIN variant v ON v.id = l.sku_id JOIN location n ON n.id = l.location_id
       WHERE l.hold_id = h.id AND (%(sku)s::text IS NULL OR v.sku = %(sku)s::text)
         AND (%(location)s::text IS NULL OR n.code = %(location)s::text)))
  AND (%(pattern)s::text IS NULL OR h.reference ILIKE %(pattern)s::text OR EXISTS (
       SELECT FROM stock_hold_line l JOIN variant v ON v.id = l.sku_id
       WHERE l.hold_id = h.id AND v.sku ILIKE %(pattern)s::text))
"""
)
HOLDS = (
    _SHOWN
    + _STANDING
    + """
  AND (%(at)s::timestamptz IS NULL OR (h.expires_at, h.id) > (%(at)s::timestamptz, %(after)s::uuid))
ORDER BY h.expires_at, h.id
LIMIT %(limit)s::int
"""
)
COUNT = "SELECT count(*) FROM stock_hold h " + _STANDING
HOLD = (
    _SHOWN
    + """
WHERE h.state = 'active' AND h.reference = %(reference)s::text AND """
    + SEEN_BY_SCOPE
)


class HeldLine(msgspec.Struct, frozen=True):
    """Units of one SKU that a hold keeps at one location."""

    sku: str
    name: str
    location: str
    location_name: str
    quantity: int


class Held(msgspec.Struct, frozen=True):
    """A hold of a cart or a payment that nobody has used or released."""

    id: UUID
    reference: str
    channel: str | None
    channel_name: str | None
    created_at: datetime
    expires_at: datetime
    lines: list[HeldLine]

    @property
    def units(self) -> int:
        """Return how many units it keeps."""
        return sum(line.quantity for line in self.lines)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which holds are wanted; codes are exact, `text` is part of a reference or of a SKU."""

    text: str = ""
    sku: str = ""
    location: str = ""
    channel: str = ""
    scope: Sequence[int] | None = None


def _params(wanted: Wanted) -> dict[str, object]:
    return {
        "pattern": f"%{literal(wanted.text)}%" if wanted.text else None,
        "sku": wanted.sku or None,
        "location": wanted.location or None,
        "channel": wanted.channel or None,
        "scope": None if wanted.scope is None else list(wanted.scope),
    }


async def holds(tx: Tx, wanted: Wanted, *, after: Place | None = None, limit: int) -> list[Held]:
    """Return holds that last, those that end soonest first."""
    at, id_ = after or (None, None)
    rows = await tx.all(dict, HOLDS, _params(wanted) | {"at": at, "after": id_, "limit": limit})
    return msgspec.convert(rows, list[Held])


async def count(tx: Tx, wanted: Wanted) -> int:
    """Return how many holds last."""
    return int(await tx.value(COUNT, _params(wanted)))


async def hold(tx: Tx, reference: str, scope: Sequence[int] | None = None) -> Held | None:
    """Return a hold by its reference, also one whose time is over while nobody needed its units. None: none."""
    row = await tx.maybe(dict, HOLD, {"reference": reference, "scope": None if scope is None else list(scope)})
    return None if row is None else msgspec.convert(row, Held)
