"""Statements that keep routing's costs, credits for aged stock and learned risks. Private to routing."""

# The revision's row is locked before: one writer at a time.
SET_COSTS = """
INSERT INTO routing_costs (costs) VALUES (%(costs)s::jsonb) ON CONFLICT (id) DO UPDATE SET costs = excluded.costs
"""

CLEAR_CREDITS = "DELETE FROM markdown_credit"
ADD_CREDITS = """
INSERT INTO markdown_credit (sku_id, location_id, centavos)
SELECT v.id, l.id, w.centavos
FROM unnest(%(skus)s::text[], %(locations)s::text[], %(centavos)s::bigint[]) AS w (sku, location, centavos)
JOIN variant v ON v.sku = w.sku JOIN location l ON l.code = w.location
ORDER BY 1, 2
RETURNING sku_id
"""

# One row; its id is the version.
INSERT_VERSION = """
INSERT INTO routing_risk_version (works, refused, promises, broken)
VALUES (%(works)s::int, %(refused)s::int, %(promises)s::int, %(broken)s::int) RETURNING id
"""
# All locations at once; nobody else knows the version yet. One that is gone meanwhile is left out.
INSERT_RISKS = """
INSERT INTO routing_risk (version_id, location_id, works, refused, promises, broken, rejection, lateness)
SELECT %(version)s::int, w.* FROM unnest(%(locations)s::int[], %(works)s::int[], %(refused)s::int[],
    %(promises)s::int[], %(broken)s::int[], %(rejections)s::float8[], %(latenesses)s::float8[])
    AS w (location_id, works, refused, promises, broken, rejection, lateness)
JOIN location l ON l.id = w.location_id
"""
# Old versions are only for looking back: each decision keeps what it used.
DROP_OLD = "DELETE FROM routing_risk_version WHERE made_at < now() - make_interval(days => %(days)s::int)"
