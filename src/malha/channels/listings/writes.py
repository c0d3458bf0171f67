"""Every statement that changes or locks listings over connections. Private to `channels`."""

ENSURE_PLAN = "INSERT INTO listing_plan (connection_id) VALUES (%(connection_id)s::int) ON CONFLICT DO NOTHING"
# One at a time says something of a connection's listings: versions of two rows are compared as one.
LOCK_PLAN = """
SELECT version FROM listing_plan WHERE connection_id = %(connection_id)s::int FOR NO KEY UPDATE
"""
# Everything is worked out anew.
PUT_PLAN = """
UPDATE listing_plan SET mapping = %(mapping)s::jsonb, version = version + 1, seen = ''
WHERE connection_id = %(connection_id)s::int AND version = %(version)s::int RETURNING version
"""
NOTE_SEEN = "UPDATE listing_plan SET seen = %(seen)s::text WHERE connection_id = %(connection_id)s::int"
# In the order of the key.
PUT_OVERRIDES = """
INSERT INTO listing_override AS x (connection_id, product_id, sku_id, said)
SELECT %(connection_id)s::int, w.product_id, w.sku_id, w.said
FROM unnest(%(products)s::int[], %(skus)s::int[], %(saids)s::jsonb[]) AS w(product_id, sku_id, said)
ORDER BY 2, 3
ON CONFLICT (connection_id, product_id, sku_id) DO UPDATE SET said = excluded.said, version = x.version + 1,
    changed_at = now()
WHERE x.said IS DISTINCT FROM excluded.said
"""
# What is not listed on the channel is, under its own code unless something else has it; what was out of use is in use.
LIST_THEM = """
INSERT INTO listing (channel_id, sku_id, code)
SELECT %(channel_id)s::int, v.id, v.sku FROM variant v
WHERE v.id = ANY (%(skus)s::int[]) AND NOT EXISTS (
    SELECT FROM listing x WHERE x.channel_id = %(channel_id)s::int AND x.code = v.sku AND x.sku_id <> v.id)
ORDER BY v.id
ON CONFLICT (channel_id, sku_id) DO UPDATE SET active = true, sent_quantity = NULL WHERE NOT listing.active
RETURNING sku_id
"""
WANT = """
INSERT INTO listing_post AS w (connection_id, sku_id, status, wanted)
SELECT %(connection_id)s::int, l.sku_id, 'draft', true FROM listing l
WHERE l.channel_id = %(channel_id)s::int AND l.sku_id = ANY (%(skus)s::int[])
ORDER BY l.sku_id
ON CONFLICT (connection_id, sku_id) DO UPDATE SET wanted = true, changed_at = now() WHERE NOT w.wanted
"""
UNWANT = """
UPDATE listing_post w SET wanted = false, changed_at = now()
FROM (SELECT connection_id, sku_id FROM listing_post
      WHERE connection_id = %(connection_id)s::int AND sku_id = ANY (%(skus)s::int[]) AND wanted
      ORDER BY sku_id FOR NO KEY UPDATE) AS x
WHERE w.connection_id = x.connection_id AND w.sku_id = x.sku_id RETURNING w.sku_id
"""
# Before their goods are read: of two that work out the same listing the second sees what the first said.
LOCK_POSTS = """
SELECT sku_id FROM listing_post WHERE connection_id = %(connection_id)s::int AND sku_id = ANY (%(skus)s::int[])
ORDER BY sku_id FOR NO KEY UPDATE
"""
# What was worked out; a digest of NULL queues nothing.
NOTE_WORKED = """
UPDATE listing_post w SET stamp = r.stamp, errors = r.errors, changed_at = now(),
    version = w.version + (r.digest IS NOT NULL)::int, queued = coalesce(r.digest, w.queued),
    status = CASE WHEN r.digest IS NULL THEN w.status ELSE 'submitted' END
FROM unnest(%(skus)s::int[], %(stamps)s::bigint[], %(digests)s::bytea[], %(errors)s::jsonb[])
     AS r(sku_id, stamp, digest, errors)
WHERE w.connection_id = %(connection_id)s::int AND w.sku_id = r.sku_id
"""
# A newer statement makes a dead one needless; by the index on what is dead.
RETIRE_DEAD = """
UPDATE channel_op SET state = 'superseded', done_at = now()
WHERE connection_id = %(connection_id)s::int AND state = 'dead' AND kind = 'put_listing'
  AND entity = ANY (%(entities)s::text[])
"""
# What came of statements. An older one changes neither the status nor the errors of a newer that is on its way.
NOTE_OUTCOMES = """
UPDATE listing_post w SET changed_at = now(),
    sent = CASE WHEN r.taken THEN r.digest ELSE w.sent END,
    sent_version = CASE WHEN r.taken THEN r.version ELSE w.sent_version END,
    sent_at = CASE WHEN r.taken THEN now() ELSE w.sent_at END,
    reference = CASE WHEN r.reference <> '' THEN r.reference ELSE w.reference END,
    queued = CASE WHEN r.version = w.version THEN coalesce(r.digest, w.queued) ELSE w.queued END,
    status = CASE WHEN r.version = w.version THEN coalesce(r.status, w.status) ELSE w.status END,
    errors = CASE WHEN r.version = w.version THEN r.errors ELSE w.errors END
FROM unnest(%(skus)s::int[], %(versions)s::bigint[], %(takens)s::boolean[], %(digests)s::bytea[],
            %(references)s::text[], %(statuses)s::text[], %(errors)s::jsonb[])
     AS r(sku_id, version, taken, digest, reference, status, errors)
WHERE w.connection_id = %(connection_id)s::int AND w.sku_id = r.sku_id
  AND coalesce(w.sent_version, 0) <= r.version
"""
