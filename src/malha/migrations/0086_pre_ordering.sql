-- Tags of orders: what an order is tagged with now. What its channel stated stays as it was said in order_details; what
-- people add and remove is here alone. A list of one tag is a stretch of the primary key, newest or oldest first.
CREATE TABLE order_tag (
    key text NOT NULL,                             -- folded: VIP and vip are one tag
    placed_at timestamptz NOT NULL,                -- of the order
    order_id uuid NOT NULL,
    tag text NOT NULL,                             -- as it was written first
    PRIMARY KEY (key, placed_at, order_id)
);

CREATE INDEX order_tag_order ON order_tag (order_id);

INSERT INTO order_tag (key, placed_at, order_id, tag)
SELECT DISTINCT ON (w.key, o.placed_at, o.id) w.key, o.placed_at, o.id, w.tag
FROM order_details d
JOIN sales_order o ON o.id = d.order_id
CROSS JOIN LATERAL jsonb_array_elements_text(
    CASE WHEN jsonb_typeof(d.details -> 'tags') = 'array' THEN d.details -> 'tags' ELSE '[]' END) AS t (said)
CROSS JOIN LATERAL (
    SELECT btrim(regexp_replace(t.said, '\s+', ' ', 'g')) AS tag,
           btrim(regexp_replace(lower(regexp_replace(normalize(t.said, NFKD), '[\u0300-\u036f]', '', 'g')),
                                '\s+', ' ', 'g')) AS key) AS w
WHERE w.key <> ''
ORDER BY w.key, o.placed_at, o.id, w.tag;
