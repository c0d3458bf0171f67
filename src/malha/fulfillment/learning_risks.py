"""Learning how often locations give work back and break promises, from what they did lately: every few hours.

Counts come from one statement each; the rest is a division (`routing.cost_rules.learn`).
"""

import time
from typing import LiteralString
from uuid import UUID

import structlog

from malha.fulfillment.outcome_reads import ENDS_AT
from malha.platform.db import Database, Tx
from malha.routing import cost_reads, costs
from malha.routing.cost_rules import Lived, learn

log = structlog.get_logger(__name__)

EVERY_S = 6 * 3600.0
LOOK_BACK = 28  # days of work
LOOK_BACK_PROMISES = 60  # days of promised days

# Orders that each location was asked for, and of them those it gave back in whole or part: rejected, or not found when
# picked. Ids begin with the time they were made at, so this is a range of the primary key; exclusions are one probe of
# theirs. Work that a person cancelled says nothing.
WORKS = """
SELECT f.location_id, count(DISTINCT f.order_id)::int,
       (count(DISTINCT f.order_id) FILTER (WHERE EXISTS (
           SELECT FROM routing_exclusion x WHERE x.order_id = f.order_id AND x.location_id = f.location_id)))::int
FROM fulfillment_order f
WHERE f.id >= %(since)s::uuid AND f.state NOT IN ('open', 'cancelled')
GROUP BY f.location_id
"""

# By the index on promised days. What nobody said to have arrived is neither kept nor broken.
PROMISES: LiteralString = f"""
SELECT location_id, count(*)::int, (count(*) FILTER (WHERE done_at > {ENDS_AT}))::int
FROM promise_outcome p
WHERE promised_at > now() - make_interval(days => %(days)s::int) AND promised_at <= now()
  AND location_id IS NOT NULL AND method = 'ship' AND done_at IS NOT NULL
GROUP BY location_id
"""


async def renew(db: Database) -> bool:
    """Learn anew where the last version is some hours old; return whether it did."""
    async with db.transaction() as tx:
        if await cost_reads.learned_within(tx, EVERY_S):
            return False
        lived = await looked_back(tx)
        version = await costs.keep_risks(tx, learn(lived))
    log.info("routing_risks_learned", version=version, locations=len(lived))
    return True


async def looked_back(tx: Tx) -> dict[int, Lived]:
    """Return what became of each location's work and promises lately."""
    since = UUID(int=int((time.time() - LOOK_BACK * 86_400) * 1_000) << 80)
    works = {id_: (n, bad) for id_, n, bad in await tx.tuples(WORKS, {"since": since})}
    promises = {id_: (n, bad) for id_, n, bad in await tx.tuples(PROMISES, {"days": LOOK_BACK_PROMISES})}
    return {id_: Lived(*works.get(id_, (0, 0)), *promises.get(id_, (0, 0))) for id_ in sorted({*works, *promises})}
