"""Statements that look after the ledger's partitions. Private to `inventory.closing`."""

from psycopg import sql

# Catalog only; names are movement_YYYY_MM, and movement_default for what falls outside of all.
PARTITIONS = """
SELECT c.relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
WHERE inhparent = 'movement'::regclass ORDER BY c.relname
"""
# Two that look after partitions at once would make the same table; transaction-scoped, per schema.
LOCK_CARE = "SELECT pg_advisory_xact_lock(hashtext(current_schema() || ':movement'))"
# Rows already in the default partition that belong to a month: it cannot have a partition of its own any more.
STRAYS = """
SELECT EXISTS (
    SELECT FROM movement_default WHERE recorded_at >= %(since)s::timestamptz AND recorded_at < %(until)s::timestamptz
)
"""
CLOSED = "SELECT partition FROM movement_partition"
# Written under a SHARE lock of the partition: no row can be added between the sums and their proof.
NOTE_CLOSING = """
INSERT INTO movement_partition (partition, closed_at, rows, last_id)
VALUES (%(partition)s::text, now(), %(rows)s::bigint, %(last_id)s::bigint)
"""

# Waiting longer for a lock would make everybody who comes after wait too: it is tried again in an hour.
SHORT_LOCKS = "SET LOCAL lock_timeout = 500"

# Made apart and attached: CREATE ... PARTITION OF would lock the ledger against every reader and writer.
_MAKE = "CREATE TABLE {name} (LIKE movement INCLUDING ALL EXCLUDING IDENTITY)"
_ATTACH = "ALTER TABLE movement ATTACH PARTITION {name} FOR VALUES FROM ({since}) TO ({until})"
_LOCK = "LOCK TABLE {name} IN SHARE MODE"
_SUM = """
INSERT INTO movement_closing (partition, sku_id, location_id, bucket, on_hand, allocated, held)
SELECT {label}, sku_id, location_id, bucket, sum(d_on_hand), sum(d_allocated), sum(d_held)
FROM {name} GROUP BY sku_id, location_id, bucket
"""
_PROOF = "SELECT count(*), coalesce(max(id), 0) FROM {name}"


def make_partition(name: str) -> sql.Composed:
    """Return the statement that makes a month's table."""
    return sql.SQL(_MAKE).format(name=sql.Identifier(name))


def attach_partition(name: str, since: str, until: str) -> sql.Composed:
    """Return the statement that makes a table the ledger's partition of a month."""
    return sql.SQL(_ATTACH).format(name=sql.Identifier(name), since=sql.Literal(since), until=sql.Literal(until))


def lock_partition(name: str) -> sql.Composed:
    """Return the statement that keeps writers out of a partition until commit."""
    return sql.SQL(_LOCK).format(name=sql.Identifier(name))


def sum_partition(name: str) -> sql.Composed:
    """Return the statement that writes a partition's sums per balance and bucket."""
    return sql.SQL(_SUM).format(name=sql.Identifier(name), label=sql.Literal(name))


def prove_partition(name: str) -> sql.Composed:
    """Return the statement that counts a partition's rows and finds its last id."""
    return sql.SQL(_PROOF).format(name=sql.Identifier(name))
