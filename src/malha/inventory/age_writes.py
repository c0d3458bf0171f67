"""Statements that keep how long goods have lain. Private to inventory."""

# The next balances by primary key. Each walks its own arrivals by the ledger's index on (sku, location, time), newest
# first: what is there now is taken to have come last. Units that no arrival explains came with the first one known.
# Plain rows nobody else writes: no lock that an order could wait for.
WORK_OUT = """
WITH wanted AS (
    SELECT b.sku_id, b.location_id, b.on_hand FROM balance b
    WHERE (b.sku_id, b.location_id) > (%(sku)s::int, %(location)s::int) AND b.on_hand > 0
    ORDER BY b.sku_id, b.location_id LIMIT %(limit)s::int
), arrived AS (
    SELECT w.sku_id, w.location_id, w.on_hand, m.d_on_hand AS units,
           greatest(floor(extract(epoch FROM %(at)s::timestamptz - m.occurred_at) / 86400), 0)::int AS days,
           coalesce(sum(m.d_on_hand) OVER (
               PARTITION BY w.sku_id, w.location_id ORDER BY m.occurred_at DESC, m.id DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS later
    FROM wanted w JOIN movement m ON m.sku_id = w.sku_id AND m.location_id = w.location_id
    WHERE m.d_on_hand > 0 AND m.bucket = 'sellable' AND m.reason = ANY (%(reasons)s::text[])
), lain AS (
    SELECT sku_id, location_id, on_hand, max(days) AS oldest, sum(least(units, on_hand - later)) AS known,
           sum(least(units, on_hand - later) * days) AS summed
    FROM arrived WHERE later < on_hand GROUP BY sku_id, location_id, on_hand
), kept AS (
    INSERT INTO stock_age (sku_id, location_id, days, oldest, units, worked_out_at)
    SELECT sku_id, location_id, ((summed + (on_hand - known) * oldest) / on_hand)::int, oldest, on_hand,
           %(at)s::timestamptz
    FROM lain ORDER BY sku_id, location_id
    ON CONFLICT (sku_id, location_id) DO UPDATE SET days = excluded.days, oldest = excluded.oldest,
        units = excluded.units, worked_out_at = excluded.worked_out_at
    WHERE stock_age.worked_out_at <= excluded.worked_out_at
)
SELECT sku_id, location_id FROM wanted ORDER BY sku_id DESC, location_id DESC LIMIT 1
"""
# What the work passed by without a row is gone; by the index on when it was worked out.
FORGET = "DELETE FROM stock_age WHERE worked_out_at < %(at)s::timestamptz"
