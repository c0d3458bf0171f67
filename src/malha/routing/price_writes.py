"""Statements that keep prices of stock. Private to routing."""

# One row; its id is the version.
INSERT_VERSION = """
INSERT INTO stock_price_version (method, baskets, bound_gap, saving, seconds, in_force, at_risk, problem)
VALUES (%(method)s::text, %(baskets)s::int, %(bound_gap)s::float8, %(saving)s::float8, %(seconds)s::float8,
        %(in_force)s::boolean, %(at_risk)s::int, %(problem)s::text)
RETURNING id
"""

# All prices of a version at once; nobody else knows the version yet. A location that is gone meanwhile is left out.
INSERT_PRICES = """
INSERT INTO stock_price (version_id, sku_id, location_id, price, free, shipped, fetched)
SELECT %(version)s::int, p.sku_id, p.location_id, p.price, p.free, p.shipped, p.fetched
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(prices)s::bigint[], %(free)s::int[], %(shipped)s::float8[],
            %(fetched)s::float8[]) AS p (sku_id, location_id, price, free, shipped, fetched)
JOIN location l ON l.id = p.location_id
"""

# A handful of rows. Told apart so that a second withdrawal changes nothing.
WITHDRAW = """
UPDATE stock_price_version SET in_force = false WHERE in_force RETURNING id
"""

# Decisions keep the prices they saw, so old versions are only for looking back.
DROP_OLD = """
DELETE FROM stock_price_version WHERE made_at < now() - make_interval(days => %(days)s::int)
"""

# The one row of what people want, made where it is missing and locked: who turns prices off comes before or after.
LOCK_WISH = """
INSERT INTO stock_pricing DEFAULT VALUES ON CONFLICT (one) DO UPDATE SET one = true RETURNING wanted
"""

# After `LOCK_WISH`, as all that follows.
SAY = """
UPDATE stock_pricing SET wanted = %(wanted)s::boolean, asked_at = CASE WHEN %(wanted)s::boolean THEN asked_at END
"""
ASK = "UPDATE stock_pricing SET asked_at = now()"
BEGIN = "UPDATE stock_pricing SET began_at = now()"
END = "UPDATE stock_pricing SET began_at = NULL, asked_at = CASE WHEN asked_at > began_at THEN asked_at END"
LEAVE = "UPDATE stock_pricing SET began_at = NULL"
