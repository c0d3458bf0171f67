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
# As ADD_TO_TIMELINE, for all events of orders between two positions: primary key range of the log.
SWEEP_TO_TIMELINE = """
INSERT INTO order_timeline (order_id, seq, at, type, actor, facts)
SELECT substr(key, 7)::uuid AS order_id, seq, at, type, actor, payload::jsonb - 'id'
FROM event
WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND starts_with(key, 'order:')
ORDER BY order_id, seq
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
# As SEARCHED_FACTS and STORE_SEARCH for the orders of events between two positions, folded here as far as what is left
# is plain ASCII: then lower case is folded case. Returns the orders whose text needs more than that.
SWEEP_TO_SEARCH = """
WITH meant AS MATERIALIZED (
    SELECT DISTINCT substr(key, 7)::uuid AS id FROM event
    WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = ANY (%(types)s::text[])
), told AS MATERIALIZED (
    SELECT o.id, o.placed_at, concat_ws(' ', o.number, o.external_id, o.buyer_name,
           o.buyer_document, nullif(regexp_replace(o.buyer_document, '[^[:alnum:]]', '', 'g'), o.buyer_document),
           o.buyer_email, o.buyer_phone, nullif(regexp_replace(o.buyer_phone, '[^[:alnum:]]', '', 'g'), o.buyer_phone),
           (SELECT string_agg(concat_ws(' ', l.sku_text, nullif(v.sku, l.sku_text)), ' ')
            FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id WHERE l.order_id = o.id)) AS said
    FROM meant JOIN sales_order o ON o.id = meant.id
), stripped AS MATERIALIZED (
    SELECT id, placed_at, CASE WHEN octet_length(said) = length(said) THEN said
                               ELSE regexp_replace(normalize(said, NFKD), '[\u0300-\u036f]', '', 'g') END AS said
    FROM told
), folded AS MATERIALIZED (
    SELECT id, placed_at, btrim(CASE WHEN said LIKE '%%  %%' THEN regexp_replace(lower(said), ' +', ' ', 'g')
                                     ELSE lower(said) END) AS document,
           octet_length(said) = length(said) AND said !~ '[[:cntrl:]]' AS plain
    FROM stripped
    ORDER BY id
), stored AS (
    INSERT INTO order_search (order_id, placed_at, document)
    SELECT id, placed_at, document FROM folded WHERE plain
    ON CONFLICT (order_id) DO UPDATE SET document = excluded.document
    WHERE order_search.document <> excluded.document
)
SELECT id FROM folded WHERE NOT plain
"""
# Where the units of orders of events between two positions are, by the primary key of the units; sorted by primary key.
SWEEP_TO_LOCATIONS = """
INSERT INTO order_location (location_id, placed_at, order_id)
SELECT DISTINCT u.location_id, o.placed_at, o.id
FROM (SELECT DISTINCT substr(key, 7)::uuid AS id FROM event
      WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = ANY (%(types)s::text[])) AS meant
JOIN sales_order o ON o.id = meant.id
JOIN order_unit u ON u.order_id = o.id
WHERE u.location_id IS NOT NULL
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
# As SWEEP_TO_LOCATIONS, for orders by primary key.
ADD_LOCATIONS = """
INSERT INTO order_location (location_id, placed_at, order_id)
SELECT DISTINCT u.location_id, o.placed_at, o.id
FROM sales_order o JOIN order_unit u ON u.order_id = o.id
WHERE o.id = ANY (%(orders)s::uuid[]) AND u.location_id IS NOT NULL
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
# Orders of events between two positions that have no customer yet; sorted, so that equal ones come in one order.
SWEEP_BUYERS = """
SELECT o.id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to::text, k.customer_id
FROM (SELECT DISTINCT substr(key, 7)::uuid AS id FROM event
      WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = ANY (%(types)s::text[])) AS meant
JOIN sales_order o ON o.id = meant.id
LEFT JOIN order_customer k ON k.order_id = o.id
WHERE k.order_id IS NULL
ORDER BY o.id
"""
# As SWEEP_BUYERS, for orders by primary key.
UNLINKED_BUYERS = """
SELECT o.id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to::text, k.customer_id
FROM sales_order o
LEFT JOIN order_customer k ON k.order_id = o.id
WHERE o.id = ANY (%(orders)s::uuid[]) AND k.order_id IS NULL
ORDER BY o.id
"""
# Orders by primary key whose buyer has another document than their customer. Profiles that are gone were merged, and
# their orders moved with that.
MISLINKED_BUYERS = """
SELECT o.id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to::text, k.customer_id
FROM sales_order o JOIN order_customer k ON k.order_id = o.id JOIN customer c ON c.id = k.customer_id
WHERE o.id = ANY (%(orders)s::uuid[]) AND o.buyer_document IS NOT NULL
  AND c.document IS DISTINCT FROM o.buyer_document
ORDER BY o.id
"""
# As MISLINKED_BUYERS, for orders whose buyer was corrected between two positions of the log.
SWEEP_MISLINKED = """
SELECT o.id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to::text, k.customer_id
FROM (SELECT DISTINCT substr(key, 7)::uuid AS id FROM event
      WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = 'order.buyer_changed') AS meant
JOIN sales_order o ON o.id = meant.id JOIN order_customer k ON k.order_id = o.id JOIN customer c ON c.id = k.customer_id
WHERE o.buyer_document IS NOT NULL AND c.document IS DISTINCT FROM o.buyer_document
ORDER BY o.id
"""
# They follow their buyer, unless somebody put them elsewhere meanwhile. By primary key.
FOLLOW_BUYERS = """
UPDATE order_customer k SET customer_id = w.customer_id
FROM (SELECT * FROM unnest(%(orders)s::uuid[], %(formers)s::uuid[], %(customers)s::uuid[])
      AS u(order_id, former_id, customer_id) ORDER BY order_id) AS w
WHERE k.order_id = w.order_id AND k.customer_id = w.former_id
"""
# The link is no part of the aggregate's story: no new `seq`. Sorted by primary key.
LINK_CUSTOMERS = """
INSERT INTO order_customer (order_id, customer_id)
SELECT * FROM unnest(%(orders)s::uuid[], %(customers)s::uuid[])
ON CONFLICT DO NOTHING
"""

# Two profiles became one: index order_customer_orders.
MOVE_ORDERS = """
UPDATE order_customer SET customer_id = %(to)s::uuid WHERE customer_id = %(from)s::uuid RETURNING order_id
"""
NOTE_MOVED = "UPDATE customer_merge SET orders = %(orders)s::uuid[] WHERE id = %(id)s::uuid"
# Orders of a profile that came since a moment, by the index order_customer_orders: ids begin with the time.
CAME_SINCE = """
SELECT o.id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone
FROM order_customer k JOIN sales_order o ON o.id = k.order_id
WHERE k.customer_id = %(customer)s::uuid AND k.order_id >= %(since)s::uuid AND NOT k.order_id = ANY(%(moved)s::uuid[])
ORDER BY o.id
"""
# They are told apart again: what followed goes back, unless it belongs to somebody else by now.
MOVE_BACK = """
UPDATE order_customer SET customer_id = %(to)s::uuid
WHERE order_id = ANY (%(orders)s::uuid[]) AND customer_id = %(from)s::uuid
"""
