"""Reading what changed, page by page.

A pass asks for what changed since a moment, oldest first, by Shopify's own cursors, which stand still while things
change. When it is through, the next begins `LOOK_BACK` before the last change that was read: Shopify finds changes by
an index that may be late. What was read already is known by its version, and passed over.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from malha.channels.connectors.shopify.asking import TooDear, ask
from malha.channels.contract import Ctx

LOOK_BACK = timedelta(minutes=2)
START = datetime(2000, 1, 1, tzinfo=UTC)
UNREAD: Mapping[str, Any] = {"nodes": (), "pageInfo": {"hasNextPage": True, "endCursor": None}}  # for `rest`
_encode = msgspec.json.Encoder().encode


class Cursor(msgspec.Struct, frozen=True):
    """Where reading is: where this pass began, how far it is, the last change, and what was read around it."""

    since: datetime
    at: datetime
    after: str | None = None
    seen: dict[str, int] = {}

    @classmethod
    def of(cls, text: str | None, since: datetime | None) -> "Cursor":
        """Return what a page said, or where to begin."""
        if text is not None:
            return msgspec.json.decode(text, type=cls)
        begin = since or START
        return cls(begin, begin)

    def text(self) -> str:
        """Return it as a page says it."""
        return _encode(self).decode()

    def fresh(self, read: Mapping[str, int]) -> set[str]:
        """Return which of what was read, by version, was not read before."""
        return {id_ for id_, version in read.items() if self.seen.get(id_) != version}

    def passed(self, read: Mapping[str, int], last: datetime | None, info: Mapping[str, Any]) -> "Cursor":
        """Return it after a page."""
        at = max(self.at, last) if last else self.at
        more = bool(info["hasNextPage"])
        edge = int((at - LOOK_BACK).timestamp()) * 1_000_000
        seen = {id_: version for id_, version in {**self.seen, **read}.items() if version >= edge}
        since = self.since if more else max(self.since, at - LOOK_BACK)
        return Cursor(since, at, str(info["endCursor"]) if more else None, seen)


async def page(ctx: Ctx, operation: str, field: str, cursor: Cursor, size: int) -> Mapping[str, Any]:
    """Return a page of what changed; fewer at once where Shopify says that it is too much to ask for.

    Raises:
        TooDear: even one is.
    """
    query = f"updated_at:>='{stamp(cursor.since)}'"
    while True:
        try:
            asked = {"first": size, "after": cursor.after, "query": query}
            found: Mapping[str, Any] = (await ask(ctx, operation, asked))[field]
        except TooDear:
            if size == 1:
                raise
            size = max(1, size // 2)
            continue
        return found


async def rest(ctx: Ctx, operation: str, path: Sequence[str], id_: str, part: Mapping[str, Any]) -> list[Any]:
    """Return all of a list of which a part came with its owner."""
    nodes, info = list(part["nodes"]), part["pageInfo"]
    while info["hasNextPage"]:
        found = await ask(ctx, operation, {"id": id_, "after": info["endCursor"]})
        here: Any = found
        for name in path:
            here = (here or {}).get(name)
        if here is None:  # it is gone meanwhile
            break
        nodes += here["nodes"]
        info = here["pageInfo"]
    return nodes


def stamp(at: datetime) -> str:
    """Return a moment as Shopify's search takes it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
