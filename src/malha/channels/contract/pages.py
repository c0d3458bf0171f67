"""Lists that are read page by page."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Items in the order in which they changed, and where to go on: `cursor` is kept even if nothing more is there.

    `handles` are acknowledged once the items are safe here. `unread` are the ids of items that could not be read: they
    are asked for one by one later, so that one that is broken does not hold up the others.
    """

    items: Sequence[T]
    cursor: str
    more: bool = False
    handles: Sequence[str] = ()
    unread: Sequence[str] = ()
