"""Lists of orders: pages, and counts of the saved views.

A page costs one statement however many rows it has: the page of headers is cut first, by keyset on an index, and only
its rows gather their units and holds. Counts stop at `COUNT_LIMIT`; "more than ten thousand" is all a person needs to
know.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg import sql

from malha.ordering.finding_reads import find
from malha.ordering.listing import (
    COUNT_LIMIT,
    OPEN_STATUSES,
    VIEW_STATUSES,
    Counts,
    Due,
    OrderRow,
    Page,
    Place,
    Sort,
    View,
    Wanted,
)
from malha.ordering.promised_days import complete_at, fetched_in, is_over
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import fold

NEWEST = 500  # orders that are looked at whether or not the projections know them yet


FEW_PROMISES = timedelta(days=62)  # a range of promises up to this is looked up by the promise


WALKED = 5_000  # orders of all locations that a list of one location looks through before it asks the projection


# The page's rows gather what the list shows of units, locations and holds: primary-key prefixes, one page deep.
_ROWS: LiteralString = f"""
SELECT p.id, p.number, p.external_id, c.name AS channel, c.code AS channel_code, p.placed_at, p.status, p.currency,
       p.total, p.cancelled_total, p.method, p.buyer_name, p.ship_to ->> 'city' AS city, p.ship_state AS state,
       {fetched_in("p")} AS pickup_zone, p.promised_at, {complete_at("p")} AS complete_at, p.release_after,
       p.seq AS version,
       coalesce(u.units, '{{}}'::jsonb) AS units, coalesce(l.locations, '{{}}'::text[]) AS locations,
       coalesce(l.location_codes, '{{}}'::text[]) AS location_codes,
       coalesce(h.holds, '{{}}'::text[]) AS holds, coalesce(t.tags, '{{}}'::text[]) AS tags, p.sort_key
FROM page p
JOIN channel c ON c.id = p.channel_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(s.state, s.quantity) AS units
    FROM (SELECT state, sum(quantity)::int AS quantity FROM order_unit WHERE order_id = p.id GROUP BY state) s
) u ON true
LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT n.name) AS locations, array_agg(DISTINCT n.code) AS location_codes
    FROM order_unit o JOIN location n ON n.id = o.location_id WHERE o.order_id = p.id AND o.state <> 'cancelled'
) l ON true
LEFT JOIN LATERAL (
    SELECT array_agg(kind ORDER BY placed_at) AS holds FROM order_hold WHERE order_id = p.id AND resolved_at IS NULL
) h ON true
LEFT JOIN LATERAL (SELECT array_agg(tag ORDER BY key) AS tags FROM order_tag WHERE order_id = p.id) t ON true
"""


_PAGE_COLUMNS: LiteralString = (
    "SELECT o.id, o.number, o.external_id, o.channel_id, o.placed_at, o.status, o.currency, o.total, "
    "o.cancelled_total, o.method, o.buyer_name, o.ship_to, o.ship_state, o.pickup_location_id, o.promised_at, "
    "o.release_after, o.seq, "
)


_OPEN: LiteralString = "o.status NOT IN ('delivered', 'cancelled')"  # spelled as in the partial index


# Keys as text in a cursor: microseconds survive, and "infinity" stands for no promise.
_SORTS: dict[Sort, tuple[LiteralString, bool]] = {
    Sort.NEWEST: ("o.placed_at", True),
    Sort.OLDEST: ("o.placed_at", False),
    Sort.DUE: ("coalesce(o.promised_at, 'infinity'::timestamptz)", False),
}


# Each view counts at most a limit of entries of the partial index (status, placed_at, id).
COUNT_STATUSES = """
SELECT s.status, (
    SELECT count(*) FROM (
        SELECT FROM sales_order o
        WHERE o.status = s.status AND o.status NOT IN ('delivered', 'cancelled') LIMIT %(most)s::int + 1
    ) capped
)::int
FROM unnest(%(statuses)s::text[]) s (status)
"""


COUNT_ALL = "SELECT count(*)::int FROM (SELECT FROM sales_order o LIMIT %(most)s::int + 1) capped"


# Broken promises: before goods leave by the partial index on promises, afterwards among what is under way; and orders
# whose work is late, by primary key.
_LATE: LiteralString = f"""
    SELECT l.id FROM sales_order l
    WHERE l.promised_at IS NOT NULL AND l.status NOT IN ('ready', 'shipped', 'delivered', 'cancelled')
      AND {is_over("l.promised_at")}
    UNION
    SELECT l.id FROM sales_order l
    WHERE l.status IN ('ready', 'shipped') AND l.status NOT IN ('delivered', 'cancelled') AND {is_over("l.promised_at")}
    UNION
    SELECT l.id FROM sales_order l
    WHERE l.id = ANY(%(overdue)s::uuid[]) AND l.status NOT IN ('delivered', 'cancelled')
"""


COUNT_LATE = f"SELECT count(*)::int FROM ({_LATE} LIMIT %(most)s::int + 1) capped"


# What is open and may be at some locations, from their side: claimed there by the partial index, or placed since the
# oldest order that is open (one look at the partial index for each status) by the projection, which may be moments
# behind: so the newest orders, too. Whether it is there say the units.
_NEAR: LiteralString = """
    SELECT c.order_id FROM order_unit c
    WHERE c.location_id = ANY(%(places)s::int[]) AND c.state = ANY (ARRAY[
        'allocated', 'released', 'picking', 'picked', 'awaiting_document', 'packed', 'invoiced', 'ready'])
    UNION
    SELECT k.order_id FROM order_location k
    WHERE k.location_id = ANY(%(places)s::int[]) AND k.placed_at >= (
        SELECT min(first.placed_at) FROM unnest(%(open)s::text[]) AS s (status) CROSS JOIN LATERAL (
            SELECT f.placed_at FROM sales_order f
            WHERE f.status = s.status AND f.status NOT IN ('delivered', 'cancelled')
            ORDER BY f.placed_at, f.id LIMIT 1) first)
    UNION
    (SELECT n.id FROM sales_order n ORDER BY n.placed_at DESC, n.id DESC LIMIT %(newest)s::int)
"""


# Whether an order is at some locations, by the prefix of the units' primary key: a join for the few that are near; a
# scalar question where there may be many, which the planner cannot answer by reading all units there are.
_AT: LiteralString = "EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY({places}))"


_AT_EACH: LiteralString = (
    "(SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY({places}) LIMIT 1)"
)


COUNT_SCOPE = f"""
SELECT o.status, count(*)::int,
       count(*) FILTER (WHERE {is_over("o.promised_at")} OR o.id = ANY(%(overdue)s::uuid[]))::int
FROM sales_order o
WHERE o.status NOT IN ('delivered', 'cancelled') AND o.id IN ({_NEAR})
  AND EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(places)s::int[]))
GROUP BY o.status
"""


# Few are late among many, and what is open is at the other end of all orders by date, oldest first: an expression keeps
# the planner from walking them until it has found a page.
_DOWN = {True: sql.SQL(" DESC"), False: sql.SQL("")}


_NO_INDEX: LiteralString = "(o.placed_at + interval '0')"


# Which of several tags is the rarest: a stretch of the primary key for each, no longer than tells them apart.
RAREST = """
SELECT w.key FROM unnest(%(keys)s::text[]) WITH ORDINALITY AS w (key, n)
CROSS JOIN LATERAL (
    SELECT count(*) AS orders FROM (SELECT FROM order_tag t WHERE t.key = w.key LIMIT %(most)s::int) x
) c
ORDER BY c.orders, w.n
"""


# Orders of a tag; to count them the stretch of its key is read first, and no other index.
_TAGGED: LiteralString = " FROM order_tag k JOIN sales_order o ON o.id = k.order_id"


_STRETCH: LiteralString = (
    " FROM (SELECT * FROM order_tag x WHERE x.key = %(tag)s::text OFFSET 0) k JOIN sales_order o ON o.id = k.order_id"
)


# That it has others, too: on the primary key, beside the row of the first.
_OTHER_TAGS: LiteralString = (
    "(SELECT count(*) FROM order_tag t WHERE t.key = ANY(%(other_tags)s::text[]) AND t.placed_at = k.placed_at"
    " AND t.order_id = k.order_id) = cardinality(%(other_tags)s::text[])"
)


_EACH_TAG: LiteralString = " FROM unnest(%(tags)s::text[]) AS w (key) CROSS JOIN LATERAL (SELECT "


async def sought(tx: Tx, wanted: Wanted) -> Wanted:
    """Return what is wanted with what its search finds: a page and its count need not look twice."""
    if not wanted.search.strip() or wanted.found is not None:
        return wanted
    return msgspec.structs.replace(wanted, found=tuple(await find(tx, wanted.search)))


def _tag_keys(wanted: Wanted) -> list[str]:
    return list(dict.fromkeys(fold(tag) for tag in wanted.tags))


def _is_any(wanted: Wanted) -> bool:
    """Return whether several tags are asked for of which one is enough."""
    return wanted.any_tag and len(_tag_keys(wanted)) > 1


async def _rarest_first(tx: Tx, wanted: Wanted) -> Wanted:
    """Return what is wanted with the rarest of several tags first, when all are asked for: its orders are walked."""
    keys = _tag_keys(wanted)
    if wanted.any_tag or len(keys) < 2:
        return wanted
    return msgspec.structs.replace(wanted, tags=tuple(await tx.values(RAREST, {"keys": keys, "most": WALKED})))


def _conditions(  # noqa: C901, PLR0912 -- one line per filter
    wanted: Wanted,
) -> tuple[list[sql.Composable], dict[str, Any]]:
    """Return the conditions of a list and their parameters. Open views say the partial index's predicate."""
    parts: list[sql.Composable] = []
    params: dict[str, Any] = {}
    places = _places(wanted)

    def add(condition: LiteralString, **given: Any) -> None:
        parts.append(sql.SQL(condition))
        params.update(given)

    statuses = VIEW_STATUSES.get(wanted.view)
    if statuses or wanted.view is View.OPEN:
        add(_OPEN)
    if statuses:
        add("o.status = ANY(%(view_statuses)s::text[])", view_statuses=list(statuses))
    if wanted.view is View.LATE:
        parts.append(sql.SQL("o.id IN (") + sql.SQL(_LATE) + sql.SQL(")"))
        params["overdue"] = list(wanted.overdue)
    if wanted.statuses and set(wanted.statuses) <= set(OPEN_STATUSES):
        add(_OPEN)
    if wanted.statuses:
        add("o.status = ANY(%(statuses)s::text[])", statuses=list(wanted.statuses))
    if wanted.channel_ids:
        add("o.channel_id = ANY(%(channel_ids)s::int[])", channel_ids=list(wanted.channel_ids))
    if wanted.method:
        add("o.method = %(method)s::text", method=wanted.method)
    if wanted.ship_state:
        add("o.ship_state = %(ship_state)s::text", ship_state=wanted.ship_state)
    if wanted.hold:
        # The partial index of open holds, by order and kind.
        add(
            "EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id AND h.kind = %(hold)s::text"
            " AND h.resolved_at IS NULL)",
            hold=wanted.hold,
        )
    if wanted.due is Due.NONE:
        add("o.promised_at IS NULL")
    if wanted.due is Due.LATE:
        parts.append(sql.SQL("o.id IN (") + sql.SQL(_LATE) + sql.SQL(")"))
        params.setdefault("overdue", [])
    if wanted.promised_since:
        add("o.promised_at >= %(promised_since)s::timestamptz", promised_since=wanted.promised_since)
    if wanted.promised_until:
        add("o.promised_at < %(promised_until)s::timestamptz", promised_until=wanted.promised_until)
    if _is_any(wanted):
        add("k.key = w.key", tags=_tag_keys(wanted))
    elif wanted.tags:
        first, *others = _tag_keys(wanted)
        add("k.key = %(tag)s::text", tag=first)
        if others:
            add(_OTHER_TAGS, other_tags=others)
    times, instants = _times(wanted)
    parts += _of(times, "k.placed_at" if wanted.tags else "o.placed_at", "k.order_id" if wanted.tags else "o.id")
    params |= instants
    near = places is not None and wanted.found is None and any(part == sql.SQL(_OPEN) for part in parts)
    at = _AT if near else _AT_EACH
    if wanted.location_id is not None:
        parts.append(sql.SQL(at).format(places=sql.SQL("%(location)s::int[]")))
        params["location"] = [wanted.location_id]
    if wanted.scope is not None:
        parts.append(sql.SQL(at).format(places=sql.SQL("%(scope)s::int[]")))
        params["scope"] = list(wanted.scope)
    if wanted.found is not None:
        add("o.id = ANY(%(found)s::uuid[])", found=list(wanted.found))
    elif near:
        parts.append(sql.SQL("o.id IN (") + sql.SQL(_NEAR) + sql.SQL(")"))
        params |= _near(places or ())
    return parts, params


def _times(wanted: Wanted) -> tuple[list[LiteralString], dict[str, Any]]:
    """Return the conditions on when an order was placed, of columns yet to be named, and their parameters."""
    given: dict[str, tuple[LiteralString, datetime | None]] = {
        "since": ("{at} >= %(since)s::timestamptz", wanted.since),
        "until": ("{at} < %(until)s::timestamptz", wanted.until),
    }
    said = {name: (text, instant) for name, (text, instant) in given.items() if instant}
    return [text for text, _instant in said.values()], {name: instant for name, (_text, instant) in said.items()}


def _of(times: list[LiteralString], at: LiteralString, id_: LiteralString) -> list[sql.Composable]:
    return [sql.SQL(text).format(at=sql.SQL(at), id=sql.SQL(id_)) for text in times]


def _near(places: Sequence[int]) -> dict[str, Any]:
    return {"places": list(places), "open": list(OPEN_STATUSES), "newest": NEWEST}


def _places(wanted: Wanted) -> tuple[int, ...] | None:
    """Return the locations that a list is about; None is all of them."""
    return wanted.scope if wanted.location_id is None else (wanted.location_id,)


def _is_long(wanted: Wanted) -> bool:
    """Return whether a list is of some locations and of all times: too long to walk for what may be rare."""
    only_open = wanted.view is not View.ALL or (wanted.statuses and set(wanted.statuses) <= set(OPEN_STATUSES))
    return _places(wanted) is not None and wanted.found is None and not only_open and not wanted.tags


def _by_promise(wanted: Wanted) -> bool:
    """Return whether few orders have the promise that is asked for: a list is then looked up by it, not walked."""
    if wanted.due is Due.LATE:
        return True
    since, until = wanted.promised_since, wanted.promised_until
    return since is not None and until is not None and until - since <= FEW_PROMISES


async def _asked(tx: Tx, wanted: Wanted) -> tuple[Wanted, list[sql.Composable], dict[str, Any]] | None:
    """Return what is wanted once its search has looked, its conditions and their parameters; None: nothing is found."""
    wanted = await sought(tx, wanted)
    if wanted.found is not None and not wanted.found:
        return None
    wanted = await _rarest_first(tx, wanted)
    return wanted, *_conditions(wanted)


def _where(parts: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(parts) if parts else sql.SQL("")


async def page(
    tx: Tx,
    wanted: Wanted,
    *,
    sort: Sort = Sort.NEWEST,
    after: Place | None = None,
    before: Place | None = None,
    size: int,
) -> Page:
    """Return the page of orders that begins after one place or ends before another."""
    asked = await _asked(tx, wanted)
    if asked is None:
        return Page([], 0, None, None)
    wanted, parts, params = asked
    key, descending = _SORTS[sort]
    rare = wanted.view is View.LATE or _by_promise(wanted) or (wanted.view is View.OPEN and sort is Sort.OLDEST)
    if sort is not Sort.DUE and rare:
        key = _NO_INDEX
    elif sort is not Sort.DUE and wanted.tags:
        key = "k.placed_at"
    backward = before is not None
    place = before or after
    down = descending != backward
    times, _instants = _times(wanted)
    if place is not None:
        behind: LiteralString = "({at}, {id}) < " if down else "({at}, {id}) > "
        behind += "(%(place_key)s::timestamptz, %(place_id)s::uuid)"
        times.append(behind)
        parts += _of([behind], key, "k.order_id" if wanted.tags else "o.id")
        params |= {"place_key": place.key, "place_id": place.id}
    params["limit"] = size + 1
    order = _Order(key, down, descending)
    if _is_any(wanted):
        # Of each tag as many as the page may need of it; what has two of them is there once.
        outer = "o.placed_at" if key == "k.placed_at" else key
        rows = await tx.all(OrderRow, _page(_any_tagged(parts, order), order._replace(key=outer)), params)
    elif sort is Sort.DUE or _by_promise(wanted) or not _is_long(wanted):
        rows = await tx.all(
            OrderRow, _page(sql.SQL(_TAGGED if wanted.tags else " FROM sales_order o") + _where(parts), order), params
        )
    else:
        params |= {"walked": WALKED, "places": list(_places(wanted) or ())}
        rows = await _long_page(tx, parts, times, params, order)
        rows = rows[-size - 1 :] if backward else rows[: size + 1]
    more = len(rows) > size
    if more:
        rows = rows[1:] if backward else rows[:size]
    if not rows:
        return Page([], 0, None, None)
    first = max((place.before - len(rows) if backward else place.before), 0) if place else 0
    has_previous = more if backward else after is not None
    has_next = more if not backward else True
    return Page(
        rows,
        first + 1,
        Place(rows[0].sort_key, rows[0].id, first) if has_previous else None,
        Place(rows[-1].sort_key, rows[-1].id, first + len(rows)) if has_next else None,
    )


class _Order(NamedTuple):
    """In which order a page is cut, and in which it is shown."""

    key: LiteralString
    down: bool
    shown_down: bool


def _page(source: sql.Composable, order: _Order) -> sql.Composed:
    """Return the statement of a page of what `source` gives as `o`."""
    terms = {"key": sql.SQL(order.key), "d": sql.SQL(" DESC" if order.down else "")}
    shown = sql.SQL(" DESC" if order.shown_down else "")
    return (
        sql.SQL("WITH page AS MATERIALIZED (")
        + sql.SQL(_PAGE_COLUMNS)
        + sql.SQL("{key} AS key, ({key})::text AS sort_key").format(**terms)
        + source
        + sql.SQL(" ORDER BY {key}{d}, o.id{d} LIMIT %(limit)s::int) ").format(**terms)
        + sql.SQL(_ROWS)
        + sql.SQL(" ORDER BY p.key{d}, p.id{d}").format(d=shown)
    )


async def _long_page(
    tx: Tx, parts: list[sql.Composable], times: list[LiteralString], params: dict[str, Any], order: _Order
) -> list[OrderRow]:
    """Return rows of a list of some locations: of the next orders of all locations, else of the projection, too.

    The projection may be moments behind, and knows locations that units have left: what both give, once, is the list.
    """
    rows = await tx.all(OrderRow, _page(_walked(parts, times, down=order.down), order), params)
    if len(rows) < params["limit"]:
        projected = await tx.all(OrderRow, _page(_projected(parts, times, down=order.down), order), params)
        known = {row.id: row for row in [*rows, *projected]}
        rows = sorted(known.values(), key=lambda row: (row.placed_at, row.id), reverse=order.shown_down)
    return rows


def _walked(parts: list[sql.Composable], times: list[LiteralString], *, down: bool) -> sql.Composed:
    """Return the wanted of the next orders of all locations, by the index on the instant they were placed."""
    return (
        sql.SQL(" FROM (SELECT * FROM sales_order o")
        + _where(_of(times, "o.placed_at", "o.id"))
        + sql.SQL(" ORDER BY o.placed_at{d}, o.id{d} LIMIT %(walked)s::int) o").format(d=_DOWN[down])
        + _where(parts)
    )


def _projected(parts: list[sql.Composable], times: list[LiteralString], *, down: bool) -> sql.Composed:
    """Return the wanted orders of each location, by the projection's primary key; an order of two of them once."""
    return (
        sql.SQL(
            " FROM (SELECT DISTINCT ON (x.id) x.* FROM unnest(%(places)s::int[]) AS w (place)"
            " CROSS JOIN LATERAL (SELECT o.* FROM order_location k JOIN sales_order o ON o.id = k.order_id"
        )
        + _where([sql.SQL("k.location_id = w.place"), *_of(times, "k.placed_at", "k.order_id"), *parts])
        + sql.SQL(" ORDER BY k.placed_at{d}, k.order_id{d} LIMIT %(limit)s::int) x) o").format(d=_DOWN[down])
    )


def _any_tagged(parts: list[sql.Composable], order: _Order) -> sql.Composed:
    """Return the wanted orders of each of some tags, in the order of a page and no more; one of two of them once."""
    return (
        sql.SQL(" FROM (SELECT DISTINCT ON (x.id) x.*")
        + sql.SQL(_EACH_TAG)
        + sql.SQL("o.*")
        + sql.SQL(_TAGGED)
        + _where(parts)
        + sql.SQL(" ORDER BY {key}{d}, o.id{d} LIMIT %(limit)s::int) x) o").format(
            key=sql.SQL(order.key), d=_DOWN[order.down]
        )
    )


async def rows_of(tx: Tx, ids: Sequence[UUID], scope: tuple[int, ...] | None = None) -> list[OrderRow]:
    """Return list rows of given orders, newest first: what a live update shows anew. Of a scope, only its orders."""
    statement = (
        sql.SQL("WITH page AS MATERIALIZED (")
        + sql.SQL(_PAGE_COLUMNS)
        + sql.SQL("o.placed_at::text AS sort_key FROM sales_order o WHERE o.id = ANY(%(ids)s::uuid[])")
        + sql.SQL(
            " AND (%(scope)s::int[] IS NULL OR (SELECT true FROM order_unit u WHERE u.order_id = o.id"
            " AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))) "
        )
        + sql.SQL(_ROWS)
        + sql.SQL(" ORDER BY p.placed_at DESC, p.id DESC")
    )
    return await tx.all(OrderRow, statement, {"ids": list(ids), "scope": None if scope is None else list(scope)})


async def count(tx: Tx, wanted: Wanted, most: int = COUNT_LIMIT) -> int:
    """Return how many orders a filtered list has, at most `most + 1`."""
    asked = await _asked(tx, wanted)
    if asked is None:
        return 0
    wanted, parts, params = asked
    if wanted.found is not None and len(parts) == 1:  # nothing narrows what was found: it is counted already
        return min(len(wanted.found), most + 1)
    ids = _ids(wanted, parts, params, most)
    return int(await tx.value(sql.SQL("SELECT count(*)::int FROM (") + ids + sql.SQL(") capped"), params))


async def ids_of_list(tx: Tx, wanted: Wanted, most: int) -> list[UUID]:
    """Return the orders of a filtered list, at most `most + 1`, in no order."""
    asked = await _asked(tx, wanted)
    if asked is None:
        return []
    wanted, parts, params = asked
    return await tx.values(_ids(wanted, parts, params, most), params)


def _ids(wanted: Wanted, parts: list[sql.Composable], params: dict[str, Any], most: int) -> sql.Composed:
    """Return the statement that gives the ids of a list, at most `most + 1`; its parameters are added to `params`."""
    params["limit"] = most + 1
    source = sql.SQL("SELECT o.id") + sql.SQL(_STRETCH if wanted.tags else " FROM sales_order o") + _where(parts)
    if _is_any(wanted):
        each = sql.SQL("o.id") + sql.SQL(_TAGGED) + _where(parts) + sql.SQL(" LIMIT %(limit)s::int) x")
        source = sql.SQL("SELECT DISTINCT x.id") + sql.SQL(_EACH_TAG) + each
    elif _is_long(wanted) and not _by_promise(wanted):
        params |= {"walked": NEWEST, "places": list(_places(wanted) or ())}
        times, _instants = _times(wanted)
        source = (
            sql.SQL("(SELECT o.id")
            + _walked(parts, times, down=True)
            + sql.SQL(" LIMIT %(limit)s::int) UNION (SELECT o.id")
            + _projected(parts, times, down=True)
            + sql.SQL(")")
        )
    return sql.SQL("{} LIMIT %(limit)s::int").format(source)


async def counts(tx: Tx, overdue: Sequence[UUID] = (), scope: tuple[int, ...] | None = None) -> Counts:
    """Return the live counts of every saved view: a few bounded statements, of a scope one pass over what is open."""
    if scope is not None:
        return await _scope_counts(tx, overdue, scope)
    by_status = dict(await tx.tuples(COUNT_STATUSES, {"statuses": list(OPEN_STATUSES), "most": COUNT_LIMIT}))
    counted = _by_view(by_status)
    counted[View.ALL] = int(await tx.value(COUNT_ALL, {"most": COUNT_LIMIT}))
    counted[View.LATE] = int(await tx.value(COUNT_LATE, {"most": COUNT_LIMIT, "overdue": list(overdue)}))
    return Counts(counted)


async def open_counts(tx: Tx, overdue: Sequence[UUID], scope: tuple[int, ...]) -> dict[View, int]:
    """Return the counts of the views of what is open at some locations."""
    rows = await tx.tuples(COUNT_SCOPE, {"overdue": list(overdue), **_near(scope)})
    counted = _by_view({status: found for status, found, _late in rows})
    counted[View.LATE] = min(sum(late for _status, _found, late in rows), COUNT_LIMIT + 1)
    return counted


async def _scope_counts(tx: Tx, overdue: Sequence[UUID], scope: tuple[int, ...]) -> Counts:
    counts = Counts(await open_counts(tx, overdue, scope), scoped=True)
    counts.by_view[View.ALL] = await count(tx, Wanted(scope=scope), counts.most(View.ALL))
    return counts


def _by_view(by_status: Mapping[str, int]) -> dict[View, int]:
    most = COUNT_LIMIT + 1
    counted = {view: min(sum(by_status.get(s, 0) for s in wanted), most) for view, wanted in VIEW_STATUSES.items()}
    counted[View.OPEN] = min(sum(by_status.values()), most)
    return counted
