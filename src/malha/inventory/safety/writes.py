"""Every statement that writes safety stock and its rules. Private to `inventory`."""

from malha.inventory.safety.statements import matching

# Balances of some SKUs whose safety stock is not what rules say, locked in key order; overrides are left alone.
LOCK_DIFFERING = matching("""
, won AS (
    SELECT DISTINCT ON (sku_id, location_id) sku_id, location_id, units
    FROM matched WHERE purpose = 'routing' ORDER BY sku_id, location_id, rank
), differing AS (
    SELECT p.sku_id, p.location_id, coalesce(o.quantity, w.units, 0) AS units
    FROM pair p
    LEFT JOIN won w ON w.sku_id = p.sku_id AND w.location_id = p.location_id
    LEFT JOIN safety_override o ON o.sku_id = p.sku_id AND o.location_id = p.location_id
    WHERE p.safety <> coalesce(o.quantity, w.units, 0)
)
SELECT b.sku_id, b.location_id, b.safety, d.units
FROM balance b JOIN differing d ON d.sku_id = b.sku_id AND d.location_id = b.location_id
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE OF b
""")
# Under those locks; an override that came meanwhile wins.
APPLY = """
UPDATE balance b SET safety = coalesce(o.quantity, w.units)
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(units)s::int[]) AS w(sku_id, location_id, units)
LEFT JOIN safety_override o ON o.sku_id = w.sku_id AND o.location_id = w.location_id
WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id
"""
# What is not to be published, by channel: those that rules name, and 0 for all others.
PUT_ONLINE = matching("""
, channel_of AS (
    SELECT DISTINCT channel_id FROM rule WHERE purpose = 'online' AND channel_id IS NOT NULL
    UNION SELECT 0
), won AS (
    SELECT DISTINCT ON (m.sku_id, m.location_id, c.channel_id) m.sku_id, m.location_id, c.channel_id, m.units
    FROM matched m JOIN channel_of c ON m.channel_id IS NULL OR m.channel_id = c.channel_id
    WHERE m.purpose = 'online'
    ORDER BY m.sku_id, m.location_id, c.channel_id, m.rank
), gone AS (
    DELETE FROM safety_online s
    WHERE s.sku_id = ANY (%(skus)s::int[])
      AND NOT EXISTS (SELECT FROM won w WHERE w.sku_id = s.sku_id AND w.location_id = s.location_id
                                          AND w.channel_id = s.channel_id)
)
INSERT INTO safety_online AS s (sku_id, location_id, channel_id, quantity)
SELECT sku_id, location_id, channel_id, units FROM won
ON CONFLICT (sku_id, location_id, channel_id) DO UPDATE SET quantity = excluded.quantity
WHERE s.quantity <> excluded.quantity
""")

STATE_OVERRIDES = """
INSERT INTO safety_override AS o (sku_id, location_id, quantity, stated_by)
SELECT sku_id, location_id, quantity, %(by)s::text
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
ORDER BY sku_id, location_id
ON CONFLICT (sku_id, location_id) DO UPDATE
SET quantity = excluded.quantity, stated_at = now(), stated_by = excluded.stated_by
"""
DROP_OVERRIDES = """
DELETE FROM safety_override o
USING unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
WHERE o.sku_id = w.sku_id AND o.location_id = w.location_id
RETURNING o.sku_id, o.location_id
"""

_VALUES = """
    name = %(name)s::text, purpose = %(purpose)s::text, location_id = %(location_id)s::int,
    group_id = %(group_id)s::int, location_kind = %(location_kind)s::text, state = %(state)s::text,
    sku_id = %(sku_id)s::int, product_id = %(product_id)s::int, category_id = %(category_id)s::int,
    brand = %(brand)s::text, channel_id = %(channel_id)s::int, measure = %(measure)s::text, amount = %(amount)s::int,
    starts_at = %(starts_at)s::timestamptz, ends_at = %(ends_at)s::timestamptz, active = %(active)s::bool
"""
INSERT_RULE = """
INSERT INTO safety_rule (code, name, purpose, location_id, group_id, location_kind, state, sku_id, product_id,
    category_id, brand, channel_id, measure, amount, starts_at, ends_at, active)
VALUES (%(code)s::text, %(name)s::text, %(purpose)s::text, %(location_id)s::int, %(group_id)s::int,
    %(location_kind)s::text, %(state)s::text, %(sku_id)s::int, %(product_id)s::int, %(category_id)s::int,
    %(brand)s::text, %(channel_id)s::int, %(measure)s::text, %(amount)s::int, %(starts_at)s::timestamptz,
    %(ends_at)s::timestamptz, %(active)s::bool)
ON CONFLICT (code) DO NOTHING RETURNING id
"""
# The version is the caller's.
UPDATE_RULE = f"""
UPDATE safety_rule SET {_VALUES}, changed_at = now(), version = version + 1
WHERE code = %(code)s::text AND version = %(version)s::int RETURNING id
"""
# Rules of a table, by code: new ones come in, others become what the table says.
STATE_RULES = """
INSERT INTO safety_rule AS r (code, name, purpose, location_id, group_id, location_kind, state, sku_id, product_id,
    category_id, brand, channel_id, measure, amount, starts_at, ends_at, active)
SELECT * FROM unnest(%(code)s::text[], %(name)s::text[], %(purpose)s::text[], %(location_id)s::int[],
    %(group_id)s::int[], %(location_kind)s::text[], %(state)s::text[], %(sku_id)s::int[], %(product_id)s::int[],
    %(category_id)s::int[], %(brand)s::text[], %(channel_id)s::int[], %(measure)s::text[], %(amount)s::int[],
    %(starts_at)s::timestamptz[], %(ends_at)s::timestamptz[], %(active)s::bool[])
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, purpose = excluded.purpose, location_id = excluded.location_id,
    group_id = excluded.group_id, location_kind = excluded.location_kind, state = excluded.state,
    sku_id = excluded.sku_id, product_id = excluded.product_id, category_id = excluded.category_id,
    brand = excluded.brand, channel_id = excluded.channel_id, measure = excluded.measure, amount = excluded.amount,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, active = excluded.active,
    changed_at = now(), version = r.version + 1
"""
# A table and its undo say what rules were: nobody changes one in between. Who only reads them does not wait.
LOCK_RULES = "LOCK TABLE safety_rule IN SHARE ROW EXCLUSIVE MODE"
DELETE_RULE = "DELETE FROM safety_rule WHERE code = %(code)s::text AND version = %(version)s::int RETURNING id"
# Under that lock.
DELETE_RULES = "DELETE FROM safety_rule WHERE code = ANY (%(codes)s::text[])"

# The sweep is one process's at a time; who finds the row locked leaves it to the other.
ENSURE_SWEEP = "INSERT INTO safety_sweep DEFAULT VALUES ON CONFLICT DO NOTHING"
LOCK_SWEEP = "SELECT fingerprint, after_sku FROM safety_sweep FOR UPDATE SKIP LOCKED"
NOTE_SWEEP = """
UPDATE safety_sweep SET fingerprint = %(fingerprint)s::text, after_sku = %(after)s::int,
       finished_at = CASE WHEN %(after)s::int IS NULL THEN now() ELSE finished_at END
"""
