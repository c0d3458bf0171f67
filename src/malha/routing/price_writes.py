"""Statements that keep prices of stock. Private to routing."""

# One row; its id is the version.
INSERT_VERSION = """
INSERT INTO stock_price_version (method, baskets, bound_gap, saving, seconds, in_force)
VALUES (%(method)s::text, %(baskets)s::int, %(bound_gap)s::float8, %(saving)s::float8, %(seconds)s::float8,
        %(in_force)s::boolean)
RETURNING id
"""

# All prices of a version at once; nobody else knows the version yet. A location that is gone meanwhile is left out.
INSERT_PRICES = """
INSERT INTO stock_price (version_id, sku_id, location_id, price)
SELECT %(version)s::int, p.sku_id, p.location_id, p.price
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(prices)s::bigint[]) AS p (sku_id, location_id, price)
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
