"""Statements that record fiscal documents. Private to `fiscal`. The order's row is locked by the caller."""

# Who issues for a location: the establishment whose goods it keeps. Two primary keys.
ISSUERS_OF_LOCATIONS = """
SELECT l.id, e.id, e.code, e.cnpj, e.state, e.document_policy
FROM location l JOIN establishment e ON e.id = coalesce(l.owner_id, l.establishment_id)
WHERE l.id = ANY (%(locations)s::int[])
"""

_DOCUMENT = "SELECT id, access_key, model, series, number, state, source_id, total FROM fiscal_document"

# As char(44): compared as text, the unique index would be of no use.
FIND_BY_KEYS = f"{_DOCUMENT} WHERE access_key = ANY (%(keys)s::bpchar[])"

FIND_BY_ID = f"{_DOCUMENT} WHERE id = %(id)s::uuid"

# By the partial unique index: at most one document lives for a source and operation.
FIND_LIVING = f"""{_DOCUMENT}
WHERE source_kind = 'fulfillment' AND source_id = ANY (%(fulfillments)s::uuid[]) AND operation = 'sale'
  AND state NOT IN ('cancelled', 'rejected', 'abandoned', 'voided')
"""

# By the unique index on an issuer's numbers.
FIND_NUMBERS = """
SELECT d.series, d.number
FROM unnest(%(establishments)s::int[], %(models)s::text[], %(series)s::int[], %(numbers)s::int[])
     AS w(establishment_id, model, series, number)
JOIN fiscal_document d ON d.establishment_id = w.establishment_id AND d.model = w.model AND d.series = w.series
                      AND d.number = w.number
"""

# Three unique constraints have the last word: key, number, and one living document per source. Keys arrive sorted.
ADD_DOCUMENTS = """
INSERT INTO fiscal_document (id, establishment_id, model, series, number, access_key, operation, state, provider,
                             source_kind, source_id, total, protocol, issued_at, authorised_at, recorded_by)
SELECT w.id, w.establishment_id, w.model, w.series, w.number, w.access_key, 'sale', 'authorised', w.provider,
       'fulfillment', w.source_id, w.total, w.protocol, coalesce(w.issued_at, now()), coalesce(w.issued_at, now()),
       %(actor)s::text
FROM unnest(%(ids)s::uuid[], %(establishments)s::int[], %(models)s::text[], %(series)s::int[], %(numbers)s::int[],
            %(keys)s::text[], %(providers)s::text[], %(fulfillments)s::uuid[], %(totals)s::bigint[],
            %(protocols)s::text[], %(times)s::timestamptz[])
     AS w(id, establishment_id, model, series, number, access_key, provider, source_id, total, protocol, issued_at)
"""

ADD_LINES = """
INSERT INTO fiscal_line (document_id, item, order_id, line, sku_id, quantity, total)
SELECT * FROM unnest(%(documents)s::uuid[], %(items)s::smallint[], %(orders)s::uuid[], %(lines)s::smallint[],
                     %(skus)s::int[], %(quantities)s::int[], %(totals)s::bigint[])
"""

# Conditional on the state: of two cancels one gets the row.
CANCEL_DOCUMENT = """
UPDATE fiscal_document SET state = 'cancelled', cancelled_at = now()
WHERE id = %(id)s::uuid AND state = 'authorised' RETURNING id
"""

SKU_CODES = "SELECT id, sku FROM variant WHERE id = ANY (%(skus)s::int[])"
