"""Statements that replace the table of tax costs. Private to `fiscal`."""

# The table is replaced as a whole, by one writer at a time: the revision's row is locked before.
CLEAR_TAX_COSTS = "DELETE FROM tax_cost"
ADD_TAX_COSTS = """
INSERT INTO tax_cost (from_state, to_state, ncm, basis_points, centavos)
SELECT * FROM unnest(%(origins)s::text[], %(targets)s::text[], %(ncms)s::text[], %(points)s::int[],
                     %(centavos)s::bigint[])
"""
