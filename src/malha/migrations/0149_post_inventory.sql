-- What was counted on the page of a balance before, or while the former program still ran, and changed it: as far as a
-- count is open that it is news for.
INSERT INTO shelf_count (location_id, sku_id, counted_at, counted_by)
SELECT DISTINCT ON (m.location_id, m.sku_id) m.location_id, m.sku_id, m.recorded_at, m.actor
FROM count_task t JOIN count_line l ON l.task_id = t.id
JOIN movement m ON m.sku_id = l.sku_id AND m.location_id = t.location_id AND m.bucket = 'sellable'
  AND m.recorded_at > l.as_of AND m.reason = 'count' AND m.ref_kind = 'console'
WHERE t.state IN ('open', 'applying')
ORDER BY m.location_id, m.sku_id, m.recorded_at DESC
ON CONFLICT (location_id, sku_id) DO NOTHING;
