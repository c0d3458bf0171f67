"""Reading by when things changed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

MOST = 1_000  # what the Admin API gives at once unless its operator says otherwise
LOOK_BACK = timedelta(seconds=5)
FAR = datetime(9999, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Cursor(msgspec.Struct, frozen=True):
    """Where reading is: the last change that was read, and what was read shortly before it, by id, in microseconds.

    A change gets its time when it is made and shows when it is committed: so what lies `LOOK_BACK` before the last one
    is asked for again, and passed over where it was read.
    """

    at: datetime
    seen: dict[str, int] = {}


def cursor_of(text: str | None, since: datetime | None) -> Cursor:
    """Return a kept cursor, or one at the beginning."""
    if text is not None:
        return msgspec.json.decode(text, type=Cursor)
    return Cursor(since or datetime(2000, 1, 1, tzinfo=UTC))


def changed_after(kept: Cursor, others: Mapping[str, Any], page: int) -> dict[str, Any]:
    """Return what to ask for: what changed from shortly before a cursor on, what was read already included."""
    wanted = page + len(kept.seen)
    start = kept.at - LOOK_BACK
    return {
        "take": min(wanted, MOST),
        "skip": max(0, wanted - MOST),
        "sort": {"updatedAt": "ASC", "id": "ASC"},
        "filter": {**others, "updatedAt": {"between": {"start": iso(start), "end": iso(FAR)}}},
    }


def fresh_of(kept: Cursor, rows: Sequence[Any]) -> list[tuple[Any, str, int]]:
    """Return the rows that were not read before, with their ids and when they changed."""
    dated = [(row, str(row["id"]), micros_of(instant(row["updatedAt"]))) for row in rows]
    return [(row, id_, micros) for row, id_, micros in dated if kept.seen.get(id_) != micros]


def advanced(kept: Cursor, fresh: Sequence[tuple[Any, str, int]]) -> str:
    """Return the cursor after rows that were read."""
    last = max((micros for _row, _id, micros in fresh), default=micros_of(kept.at))
    last = max(last, micros_of(kept.at))
    oldest = last - int(LOOK_BACK.total_seconds() * 1_000_000)
    seen = kept.seen | {id_: micros for _row, id_, micros in fresh}
    return _encode(Cursor(_of_micros(last), {id_: m for id_, m in seen.items() if m >= oldest})).decode()


def more(found: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Tell whether there is more to be read now."""
    return int(found["totalItems"]) > int(options["skip"]) + len(found["items"])


def _of_micros(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC) + timedelta(microseconds=micros % 1_000_000)


def iso(at: datetime) -> str:
    """Return an instant as Vendure takes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """Return an instant as Vendure writes it."""
    return msgspec.convert(text, datetime)


def micros_of(at: datetime) -> int:
    """Return microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
