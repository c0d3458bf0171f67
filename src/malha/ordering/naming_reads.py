"""Orders held for what nobody knew when they came, and that is known by now. Read beside orders: nothing is locked."""

# Open holds, by their partial index. What a hold of intake names is looked up by the unique codes of services and
# locations. A parcel that the channel labels needs no more than its state.
NAMED_NOW = """
SELECT h.order_id, h.kind, coalesce(s.id, l.id) AS found
FROM order_hold h
JOIN sales_order o ON o.id = h.order_id
LEFT JOIN service s ON CASE WHEN h.kind = 'unknown_service' THEN s.code = h.detail ->> 'service' AND s.active
                            WHEN h.kind <> 'unknown_location' THEN s.id = o.service_id AND s.channel_label END
LEFT JOIN location l ON h.kind = 'unknown_location' AND l.code = h.detail ->> 'location'
WHERE h.resolved_at IS NULL AND h.kind IN ('unknown_service', 'unknown_location', 'address', 'address_check')
  AND coalesce(s.id, l.id) IS NOT NULL
  AND (h.kind <> 'address' OR h.detail ? 'missing' AND NOT h.detail -> 'missing' ? 'state')
ORDER BY h.order_id, h.kind LIMIT %(limit)s::int
"""
