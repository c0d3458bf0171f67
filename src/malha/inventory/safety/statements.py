"""The one way rules are matched to balances, shared by what reads and what writes: rules in, units kept back out."""

from typing import LiteralString

# Rules as arrays in order of precedence (a draft under trial among them); a NULL condition holds always. The pairs of
# some SKUs come by the primary key of balance; what left lately by index movement_balance, and only if a rule asks. A
# mistyped quantity of millions must not end the sweep of all others: products are large numbers, and bounded.
_MATCHED = """
WITH rule AS (
    SELECT * FROM unnest(%(ids)s::int[], %(purposes)s::text[], %(measures)s::text[], %(amounts)s::int[],
                         %(locations)s::int[], %(groups)s::int[], %(kinds)s::text[], %(states)s::text[],
                         %(rule_skus)s::int[], %(products)s::int[], %(paths)s::text[], %(brands)s::text[],
                         %(channels)s::int[]) WITH ORDINALITY
                  AS r(id, purpose, measure, amount, location_id, group_id, kind, state, sku_id, product_id, path,
                       brand, channel_id, rank)
), left_lately AS (
    SELECT m.sku_id, m.location_id, -sum(m.d_on_hand) AS units
    FROM movement m
    WHERE %(with_days)s::bool AND m.sku_id = ANY (%(skus)s::int[])
      AND (%(only)s::int[] IS NULL OR m.location_id = ANY (%(only)s::int[]))
      AND m.reason IN ('ship', 'hand_over') AND m.recorded_at > now() - interval '28 days'
    GROUP BY m.sku_id, m.location_id
), pair AS MATERIALIZED (
    SELECT b.sku_id, b.location_id, b.on_hand, b.safety, l.kind, l.state, v.product_id, p.brand, c.path,
           coalesce(s.units, 0) AS left_units
    FROM balance b
    JOIN variant v ON v.id = b.sku_id
    JOIN product p ON p.id = v.product_id
    LEFT JOIN category c ON c.id = p.category_id
    JOIN location l ON l.id = b.location_id
    LEFT JOIN left_lately s ON s.sku_id = b.sku_id AND s.location_id = b.location_id
    WHERE b.sku_id = ANY (%(skus)s::int[])
      AND (%(only)s::int[] IS NULL OR b.location_id = ANY (%(only)s::int[]))
), matched AS (
    SELECT p.sku_id, p.location_id, r.id, r.purpose, r.channel_id, r.rank,
           least(2000000000,
                 CASE r.measure WHEN 'units' THEN r.amount
                                WHEN 'percent' THEN ceil(greatest(p.on_hand, 0)::bigint * r.amount / 100.0)
                                ELSE ceil(greatest(p.left_units, 0)::bigint * r.amount / 28.0) END)::int AS units
    FROM pair p JOIN rule r
      ON (r.location_id IS NULL OR r.location_id = p.location_id)
     AND (r.kind IS NULL OR r.kind = p.kind)
     AND (r.state IS NULL OR r.state = p.state)
     AND (r.sku_id IS NULL OR r.sku_id = p.sku_id)
     AND (r.product_id IS NULL OR r.product_id = p.product_id)
     AND (r.brand IS NULL OR lower(r.brand) = lower(p.brand))
     AND (r.path IS NULL OR p.path = r.path OR starts_with(p.path, r.path || '/'))
     AND (r.group_id IS NULL OR EXISTS (SELECT FROM location_group_member m
                                        WHERE m.group_id = r.group_id AND m.location_id = p.location_id))
)
"""


def matching(rest: LiteralString) -> LiteralString:
    """Return a statement that goes on from `rule`, `pair` (the balances) and `matched` (rules that fit them)."""
    return _MATCHED + rest
