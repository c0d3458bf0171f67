"""Statements that write which of our categories a channel's are. Private to `channels.connecting`."""

# In the order of their words; what is known stays as it is.
NOTE = """
INSERT INTO category_mapping (connection_id, theirs)
SELECT %(connection_id)s::int, w FROM unnest(%(theirs)s::text[]) AS w ORDER BY w
ON CONFLICT DO NOTHING
"""
# By primary key.
PUT = """
UPDATE category_mapping m SET ours = c.id
FROM unnest(%(theirs)s::text[], %(ours)s::text[]) AS w(theirs, ours) LEFT JOIN category c ON c.code = w.ours
WHERE m.connection_id = %(connection_id)s::int AND m.theirs = w.theirs RETURNING m.theirs
"""
# What was asked for and could not be made is tried again: by a person's press, in the order of codes.
TRY_AGAIN = """
UPDATE channel_variant m SET to_make = true
FROM (SELECT code FROM channel_variant
      WHERE connection_id = %(connection_id)s::int AND sku_id IS NULL AND NOT ignored AND make_flaws IS NOT NULL
        AND (make_batch IS NOT NULL OR NOT held AND EXISTS (SELECT FROM connection_master k
                 WHERE k.connection_id = %(connection_id)s::int AND k.creates = 'once'))
      ORDER BY code FOR NO KEY UPDATE) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
"""
