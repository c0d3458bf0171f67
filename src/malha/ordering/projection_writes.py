"""Statements of the projections: what subscribers write about orders. Private to `ordering.projections`."""

# Primary key (order_id, seq): an event handled again changes nothing. The identifier is the key, so it is left out of
# the facts.
ADD_TO_TIMELINE = """
INSERT INTO order_timeline (order_id, seq, at, type, actor, facts)
SELECT order_id, seq, at, type, actor, payload - 'id'
FROM unnest(%(orders)s::uuid[], %(seqs)s::int[], %(instants)s::timestamptz[], %(types)s::text[], %(actors)s::text[],
            %(payloads)s::jsonb[]) AS w(order_id, seq, at, type, actor, payload)
ON CONFLICT DO NOTHING
"""
# Primary keys of orders and lines; SKUs as sold and, where a line was mapped, as known.
SEARCHED_FACTS = """
SELECT o.id, o.placed_at, o.number, o.external_id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, l.skus
FROM sales_order o
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT concat_ws(' ', l.sku_text, nullif(v.sku, l.sku_text)), ' ') AS skus
    FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id
    WHERE l.order_id = o.id
) l ON true
WHERE o.id = ANY (%(orders)s::uuid[])
ORDER BY o.id
"""
# Sorted by primary key. A text that stays the same is not written: the trigram index is the costly part.
STORE_SEARCH = """
INSERT INTO order_search (order_id, placed_at, document)
SELECT * FROM unnest(%(orders)s::uuid[], %(placed)s::timestamptz[], %(documents)s::text[])
ON CONFLICT (order_id) DO UPDATE SET document = excluded.document
WHERE order_search.document <> excluded.document
"""
# Orders without a customer yet, by primary key; sorted, because the rows are locked in this order below.
UNLINKED_BUYERS = """
SELECT id, buyer_name, buyer_document, buyer_email, buyer_phone, ship_to
FROM sales_order
WHERE id = ANY (%(orders)s::uuid[]) AND customer_id IS NULL
ORDER BY id
"""
# The link is no part of the aggregate's story: no new `seq`. Locks in key order, so that two batches cannot deadlock.
LINK_CUSTOMERS = """
WITH wanted AS MATERIALIZED (
    SELECT o.id, w.customer_id
    FROM sales_order o
    JOIN unnest(%(orders)s::uuid[], %(customers)s::uuid[]) AS w(order_id, customer_id) ON o.id = w.order_id
    ORDER BY o.id
    FOR NO KEY UPDATE OF o
)
UPDATE sales_order o SET customer_id = wanted.customer_id FROM wanted WHERE o.id = wanted.id AND o.customer_id IS NULL
"""
