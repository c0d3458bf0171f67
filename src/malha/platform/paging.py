"""Pages by keyset: a cursor is the sort key of the last row shown, so a page costs the same however deep it is.

Cursors are opaque: base64 of a JSON array. They are no secret and grant nothing (every query still filters by the
caller's scope); a damaged one, or one of another list, is refused.

A query of a page asks for one row more than the limit and hands all to `page_of`:

    after = paging.position(cursor, "orders", (datetime, UUID))
    rows = await tx.all(OrderRow, ORDERS, {"limit": limit + 1, "at": after and after[0], "id": after and after[1]})
    return paging.page_of(rows, limit, "orders", lambda row: (row.placed_at, row.id))
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from malha.platform.errors import MalhaError

T = TypeVar("T")
LIMIT = 50
MAX_LIMIT = 200


class BadCursor(MalhaError):
    """The cursor is damaged, or of another list."""

    status = 422
    code = "bad_cursor"
    says = "The cursor is not one of this list."
    mend = "Send `next` of the page before as `cursor`, unchanged, or leave it out to begin again."


class Coded(Protocol):
    """What a list shows by code."""

    @property
    def code(self) -> str:
        """Return its code."""


C = TypeVar("C", bound=Coded)


def behind(found: Sequence[C], after: str | None, unknown: type[MalhaError]) -> Sequence[C]:
    """Return what of a short list, read whole, comes after the one with a code; None: all of it.

    Raises:
        unknown: none of it has that code.
    """
    if after is None:
        return found
    codes = [one.code for one in found]
    if after not in codes:
        raise unknown(key=after)
    return found[codes.index(after) + 1 :]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items of a list. `next` is the cursor of the following page; null on the last."""

    items: list[T]
    next: str | None = None


def cursor_of(listing: str, key: Sequence[Any]) -> str:
    """Return the cursor of a row's sort key in a listing."""
    return urlsafe_b64encode(msgspec.json.encode([listing, *key])).rstrip(b"=").decode()


def position(cursor: str | None, listing: str, types: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return the sort key in a cursor, converted to `types`; None without a cursor.

    Raises:
        BadCursor: the cursor is damaged or of another listing.
    """
    if not cursor:
        return None
    try:
        raw = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        if raw[0] != listing or len(raw) != len(types) + 1:
            raise BadCursor
        return tuple(msgspec.convert(value, kind) for value, kind in zip(raw[1:], types, strict=True))
    except (binascii.Error, msgspec.MsgspecError, ValueError, IndexError, RecursionError):
        raise BadCursor from None


def page_of(rows: Sequence[T], limit: int, listing: str, key: Callable[[T], Sequence[Any]]) -> Page[T]:
    """Return the page of up to `limit` rows; a row beyond the limit is only the sign that there is a next page."""
    shown = list(rows[:limit])
    return Page(shown, cursor_of(listing, key(shown[-1])) if len(rows) > limit else None)


def bounded(limit: int | None) -> int:
    """Return a page size between 1 and `MAX_LIMIT`; None is `LIMIT`."""
    return LIMIT if limit is None else max(1, min(limit, MAX_LIMIT))
