"""Small look-ups of the gate."""

from typing import NamedTuple

from malha.platform.db import Tx
from malha.routing.ruling.reads import IN_FORCE

# One row each by primary key; missing rows count as revision 0. Where slots are stated, each quarter of an hour
# has a revision of its own: how many orders a location may pick is another number each day, which ends at its cut-off.
# The rule set in force, by its partial index: it changes with time alone.
REVISIONS = (
    """
SELECT coalesce(max(n) FILTER (WHERE name = 'network'), 0), coalesce(max(n) FILTER (WHERE name = 'catalog'), 0),
       coalesce(max(n) FILTER (WHERE name = 'allotments'), 0), coalesce(max(n) FILTER (WHERE name = 'stock_prices'), 0),
       coalesce(max(n) FILTER (WHERE name = 'promise_days'), 0),
       coalesce(max(n) FILTER (WHERE name = 'capacity') * 10000000::bigint + extract(epoch FROM now())::bigint / 900,
                0),
       coalesce(("""
    + IN_FORCE
    + """), 0)
FROM revision WHERE name IN ('network', 'catalog', 'allotments', 'stock_prices', 'promise_days', 'capacity')
"""
)

CAPACITY_STEP = 10_000_000  # of the revision of capacities, which counts quarters of an hour below that


class Revisions(NamedTuple):
    """Numbers that change with the reference data; `rules` is the id of the rule set in force, 0: none."""

    network: int
    catalog: int
    allotments: int
    prices: int
    days: int
    capacity: int
    rules: int


async def revisions(tx: Tx) -> Revisions:
    """Return what the gate's reference data are made of."""
    (found,) = await tx.tuples(REVISIONS)
    return Revisions._make(found)
