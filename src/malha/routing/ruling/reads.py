"""Rule sets for screens and for the gate, and what of the catalogue their conditions ask."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.inventory.vendors import reads as vendors
from malha.network import reads as network
from malha.network import retailer
from malha.network.snapshot import NetworkSnapshot
from malha.platform.db import Tx
from malha.routing.ruling.model import Content, RuleSet, Standing, Status, Traits
from malha.routing.ruling.planning import NOWHERE, Rules

# By the partial index, the last one whose time has come and is not over: one row, after those that ended since. Of two
# with the same time the one that was published last. A transaction that waited for another to publish sees what did.
IN_FORCE = """
SELECT id FROM routing_rule_set WHERE status = 'published' AND effective_from <= statement_timestamp()
  AND (effective_until IS NULL OR effective_until > statement_timestamp())
ORDER BY effective_from DESC, number DESC LIMIT 1
"""

# By the partial index, and by the unique one on numbers: two rows.
STANDING = (
    """
SELECT (SELECT number FROM routing_rule_set WHERE id = ("""
    + IN_FORCE
    + """)) AS live, (SELECT max(number) FROM routing_rule_set) AS newest
"""
)

# By primary key.
CONTENT_OF = """
SELECT number, content::text FROM routing_rule_set WHERE id = %(id)s::bigint
"""

# What decides now, is to decide, or decides again when later ones end as they say; not what was replaced for good.
LASTING = """
SELECT r.number, r.content::text FROM routing_rule_set r
WHERE r.status = 'published' AND (r.effective_until IS NULL OR r.effective_until > statement_timestamp())
  AND NOT EXISTS (
    SELECT FROM routing_rule_set o
    WHERE o.status = 'published' AND o.effective_until IS NULL AND o.effective_from <= statement_timestamp()
      AND (o.effective_from, o.number) > (r.effective_from, r.number))
ORDER BY r.number
"""

# Rule sets are few: people write them. The newest first.
RULE_SETS = (
    """
SELECT id, number, status, note, content, version, based_on, effective_from, effective_until, created_at, created_by,
       changed_at, published_at, published_by,
       id = coalesce(("""
    + IN_FORCE
    + """), 0) AS in_force
FROM routing_rule_set
WHERE (%(id)s::bigint IS NULL OR id = %(id)s::bigint) AND (%(number)s::bigint IS NULL OR number = %(number)s::bigint)
ORDER BY (status = 'draft') DESC, number DESC NULLS LAST, id DESC
LIMIT %(most)s::int
"""
)

# By the partial index on the rule set: of how many orders each decided, most of them in its time in force.
DECIDED_BY = """
SELECT rule_set, count(DISTINCT order_id) FROM routing_decision
WHERE rule_set = ANY (%(numbers)s::int[]) GROUP BY rule_set
"""

_decode = msgspec.json.Decoder(Content).decode


async def rule_sets(tx: Tx, most: int = 200) -> list[RuleSet]:
    """Return drafts, then what was published, the newest first."""
    return [_read(row) for row in await tx.all(dict, RULE_SETS, {"id": None, "number": None, "most": most})]


async def rule_set(tx: Tx, id_: int) -> RuleSet | None:
    """Return one rule set."""
    row = await tx.maybe(dict, RULE_SETS, {"id": id_, "number": None, "most": 1})
    return None if row is None else _read(row)


async def by_number(tx: Tx, number: int) -> RuleSet | None:
    """Return a published rule set by the number decisions name."""
    row = await tx.maybe(dict, RULE_SETS, {"id": None, "number": number, "most": 1})
    return None if row is None else _read(row)


async def decided_by(tx: Tx, numbers: Collection[int]) -> dict[int, int]:
    """Return how many orders rule sets decided."""
    return dict(await tx.tuples(DECIDED_BY, {"numbers": list(numbers)})) if numbers else {}


def _read(row: Mapping[str, Any]) -> RuleSet:
    content = msgspec.convert(row["content"], Content)
    return RuleSet(**{**row, "status": Status(row["status"]), "content": content})


async def in_force(tx: Tx, known: NetworkSnapshot) -> Rules | None:
    """Return the rule set in force over a network; None: every order goes where it is cheapest."""
    id_ = await tx.value(IN_FORCE)
    if id_ is None:
        return None
    ((number, content),) = await tx.tuples(CONTENT_OF, {"id": id_})
    found = _decode(content)
    return None if found.empty else await compiled(tx, number, found, known)


async def lasting(tx: Tx) -> dict[int, Content]:
    """Return rule sets that decide, are to decide, or decide again when others end, by their numbers."""
    return {number: _decode(content) for number, content in await tx.tuples(LASTING)}


async def naming_group(tx: Tx, code: str) -> list[int]:
    """Return the numbers of rule sets that decide, or are to decide, and name a group of locations."""
    return [number for number, content in (await lasting(tx)).items() if code in content.groups]


async def standing(tx: Tx) -> Standing:
    """Return which rule set is in force and the highest number there is."""
    return await tx.one(Standing, STANDING)


async def compiled(
    tx: Tx, number: int, content: Content, known: NetworkSnapshot, *, twins: Mapping[int, int] = NOWHERE
) -> Rules:
    """Return a rule set as it would decide over a network. A draft has the number 0. `twins`: see `Rules`."""
    groups = {group.code: group.locations for group in await network.location_groups(tx)}
    zone = await retailer.zone(tx)
    return Rules(number, content, known, groups, zone, twins)


async def categories_unknown(tx: Tx, content: Content) -> set[str]:
    """Return the codes that conditions name and no category has."""
    conditions = [*(run.when for run in content.runs), *(row.when for row in content.table.rows)]
    named = {code for when in conditions for code in when.categories}
    return named - {category.code for category in await catalog.categories(tx)} if named else set()


async def learn_vendors(tx: Tx, rules: Rules | None, sku_ids: Collection[int] | None) -> None:
    """Read who may be asked to send SKUs, where rules ask vendors and it is not known; None: all there is."""
    if rules is None or not rules.asks_vendors:
        return
    known = rules.vendors.offers
    missing = None if sku_ids is None else [sku for sku in sku_ids if sku not in known]
    if missing is None or missing:
        found = await vendors.offers_of(tx, missing)
        known.update(found)
        known.update(dict.fromkeys([sku for sku in missing or () if sku not in found], ()))


async def traits(tx: Tx, sku_ids: Collection[int]) -> dict[int, Traits]:
    """Return what conditions ask of products, by SKU id."""
    return {
        id_: Traits(brand, frozenset(categories), attributes)
        for id_, brand, categories, attributes in await catalog.traits(tx, sorted(sku_ids))
    }
