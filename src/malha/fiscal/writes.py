"""Statements that record fiscal documents. Private to `fiscal`. The order's row is locked by the caller."""

# Who issues for a location: the establishment that owns its stock. Two primary keys.
ISSUER_OF_LOCATION = """
SELECT e.id, e.code, e.cnpj, e.state, e.document_policy
FROM location l JOIN establishment e ON e.id = l.establishment_id WHERE l.id = %(location_id)s::int
"""

# As char(44): compared as text, the unique index on it would be of no use.
FIND_BY_KEY = """
SELECT id, access_key, model, series, number, state, source_id, total
FROM fiscal_document WHERE access_key = %(access_key)s::bpchar
"""

FIND_BY_ID = """
SELECT id, access_key, model, series, number, state, source_id, total FROM fiscal_document WHERE id = %(id)s::uuid
"""

# By the partial unique index: at most one document lives for a source and operation.
FIND_LIVING = """
SELECT id, access_key, model, series, number, state, source_id, total FROM fiscal_document
WHERE source_kind = 'fulfillment' AND source_id = %(fulfillment_id)s::uuid AND operation = 'sale'
  AND state NOT IN ('cancelled', 'rejected', 'abandoned', 'voided')
"""

FIND_BY_NUMBER = """
SELECT id, access_key, model, series, number, state, source_id, total FROM fiscal_document
WHERE establishment_id = %(establishment_id)s::int AND model = %(model)s::text AND series = %(series)s::int
  AND number = %(number)s::int
"""

# Three unique constraints have the last word: key, number, and one living document per source.
ADD_DOCUMENT = """
INSERT INTO fiscal_document (id, establishment_id, model, series, number, access_key, operation, state, provider,
                             source_kind, source_id, total, protocol, issued_at, authorised_at, recorded_by)
VALUES (%(id)s::uuid, %(establishment_id)s::int, %(model)s::text, %(series)s::int, %(number)s::int,
        %(access_key)s::text, 'sale', 'authorised', %(provider)s::text, 'fulfillment', %(fulfillment_id)s::uuid,
        %(total)s::bigint, %(protocol)s::text, %(issued_at)s::timestamptz, %(issued_at)s::timestamptz, %(actor)s::text)
"""

ADD_LINES = """
INSERT INTO fiscal_line (document_id, item, order_id, line, sku_id, quantity, total)
SELECT %(document_id)s::uuid, item, %(order_id)s::uuid, line, sku_id, quantity, total
FROM unnest(%(items)s::smallint[], %(lines)s::smallint[], %(skus)s::int[], %(quantities)s::int[], %(totals)s::bigint[])
     AS w(item, line, sku_id, quantity, total)
"""

# Conditional on the state: of two cancels one gets the row.
CANCEL_DOCUMENT = """
UPDATE fiscal_document SET state = 'cancelled', cancelled_at = now()
WHERE id = %(id)s::uuid AND state = 'authorised' RETURNING id
"""

SKU_CODES = "SELECT id, sku FROM variant WHERE id = ANY (%(skus)s::int[])"
