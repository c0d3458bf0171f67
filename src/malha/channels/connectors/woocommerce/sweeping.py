"""Reading by when things changed, where times are whole seconds and a page ends anywhere within one."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from malha.channels.connectors.woocommerce.asking import decoded, iso, send
from malha.channels.contract import Ctx, Invalid, Reply, Retryable

SETTLED = timedelta(seconds=10)  # after it no change can bear this second any more
LOOK_BACK = timedelta(seconds=30)  # what is read again: a change shows later than its time says
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What the second in which it changed says of an order that changed more than once within it: further is newer.
RANK = {
    "checkout-draft": 0,
    "pending": 1,
    "failed": 2,
    "on-hold": 3,
    "processing": 4,
    "completed": 5,
    "refunded": 6,
    "cancelled": 7,
}
STEPS = 100  # versions within a second; the last is that of a second that is over


class Cursor(msgspec.Struct, frozen=True):
    """Where reading is, in seconds since 1970.

    `start` is the first one that is asked for next, `last` the newest that was read, `open` the oldest that was not
    over when it was read: it is read again before it is left behind. `seen` are versions by id of what was read since.
    `torn` are the pages left of a second that holds more than a page; they are read from the last to the first, so that
    what leaves the second moves nothing past us.
    """

    start: int
    last: int | None = None
    seen: dict[str, int] = {}
    torn: int = 0
    open: int | None = None


class Swept(msgspec.Struct, frozen=True):
    """Where reading goes on, and whether there is more now."""

    cursor: Cursor
    more: bool


async def sweep(
    ctx: Ctx, path: str, params: Mapping[str, str], kept: Cursor, operation: str
) -> tuple[list[tuple[dict[str, Any], str, int]], Swept]:
    """Read on from a cursor: what was not read before, with ids and versions, and where to go on.

    A page ends anywhere within the last of its seconds, in no order that lasts. So that second is read again from its
    beginning; where it alone fills the page, by id, page by page.
    """
    size = ctx.config.page
    if kept.torn:
        rows, _total, clock = await _asked(ctx, path, _within(kept.start, params, kept.torn), size, operation)
        left = kept.torn - 1
        return _read(kept, rows, clock, kept.start if left else kept.start + 1, left)
    after = {**params, **_from(kept.start), "orderby": "modified", "order": "asc", "page": "1"}
    rows, total, clock = await _asked(ctx, path, after, size, operation)
    if len(rows) < size or (total is not None and total <= len(rows)):
        fresh, swept = _read(kept, rows, clock, kept.start)
        return fresh, Swept(_ended(swept.cursor), False)
    edge = max(second_of(row) for row in rows)
    whole = [row for row in rows if second_of(row) < edge]
    if whole:
        return _read(kept, whole, clock, edge)
    rows, total, clock = await _asked(ctx, path, _within(edge, params, 1), size, operation)
    if total is None:
        raise Retryable("the shop does not say how many there are: something on the way takes X-WP-Total off")
    if total <= len(rows):
        return _read(kept, rows, clock, edge + 1)
    return [], Swept(msgspec.structs.replace(kept, start=edge, torn=math.ceil(total / size)), True)


def _read(
    kept: Cursor, rows: Iterable[dict[str, Any]], clock: datetime, start: int, torn: int = 0
) -> tuple[list[tuple[dict[str, Any], str, int]], Swept]:
    """Return what of rows was not read before, and where to go on."""
    versions = [(row, str(row["id"]), version_of(row, clock)) for row in rows]
    fresh = [(row, id_, version) for row, id_, version in versions if kept.seen.get(id_) != version]
    seconds = [version // STEPS for _row, _id, version in versions]
    unsettled = [version // STEPS for _row, _id, version in versions if version % STEPS != STEPS - 1]
    seen = kept.seen | {id_: version for _row, id_, version in fresh}
    last = max([*seconds, *([] if kept.last is None else [kept.last])], default=None)
    open_ = min([*unsettled, *([] if kept.open is None else [kept.open])], default=None)
    oldest = _beginning(last, open_)
    kept_still = {id_: version for id_, version in seen.items() if oldest is None or version // STEPS >= oldest}
    return fresh, Swept(Cursor(start, last, kept_still, torn, open_), True)


def _beginning(last: int | None, open_: int | None) -> int | None:
    """Return where the next sweep begins: a little before the last change, and before all that may change unseen."""
    if last is None:
        return None
    start = last - int(LOOK_BACK.total_seconds())
    return start if open_ is None else min(start, open_)


def _ended(read: Cursor) -> Cursor:
    start = _beginning(read.last, read.open)
    return Cursor(read.start if start is None else start, read.last, read.seen)


def _from(second: int) -> dict[str, str]:
    # "After" leaves out the second it names.
    return {"modified_after": iso(at_second(second - 1)), "dates_are_gmt": "true"}


def _within(second: int, params: Mapping[str, str], page: int) -> dict[str, str]:
    until = {"modified_before": iso(at_second(second + 1)), "orderby": "id", "order": "asc", "page": str(page)}
    return {**params, **_from(second), **until}


async def _asked(
    ctx: Ctx, path: str, params: Mapping[str, str], size: int, operation: str
) -> tuple[list[dict[str, Any]], int | None, datetime]:
    reply = await send(ctx, "GET", path, operation, params={**params, "per_page": str(size)})
    said = reply.headers.get("x-wp-total", "")
    total = int(said) if said.isascii() and said.isdigit() else None
    return decoded(reply, list[dict[str, Any]]), total, clock_of(ctx, reply)


def cursor_of(text: str | None, since: datetime | None) -> Cursor:
    """Return a kept cursor, or one at the beginning."""
    if text is not None:
        return msgspec.json.decode(text, type=Cursor)
    return Cursor(seconds_of(since or datetime(2000, 1, 1, tzinfo=UTC)))


def version_of(row: Mapping[str, Any], clock: datetime) -> int:
    """Return the version of a row that was read when the shop's clock stood so."""
    second = second_of(row)
    if clock - at_second(second) > SETTLED:
        return second * STEPS + STEPS - 1
    refunds = row.get("refunds")
    tie = 10 * RANK.get(str(row.get("status")), 0) + min(9, len(refunds) if isinstance(refunds, list) else 0)
    return second * STEPS + tie


def second_of(row: Mapping[str, Any]) -> int:
    """Return the second in which a row changed."""
    said = row.get("date_modified_gmt") or row.get("date_created_gmt")
    try:
        return seconds_of(msgspec.convert(said, datetime).replace(tzinfo=UTC))
    except msgspec.ValidationError:
        raise Invalid(f"{row.get('id', '')}: it says no time of its last change") from None


def clock_of(ctx: Ctx, reply: Reply) -> datetime:
    """Return the time that the shop says it is."""
    try:
        said = parsedate_to_datetime(reply.headers["date"])
    except (KeyError, ValueError):
        return ctx.now()
    return said if said.tzinfo is not None else said.replace(tzinfo=UTC)


def seconds_of(at: datetime) -> int:
    """Return whole seconds since 1970."""
    return (at - EPOCH) // timedelta(seconds=1)


def at_second(second: int) -> datetime:
    """Return the moment at which a second begins."""
    return EPOCH + timedelta(seconds=second)
