"""Safety rules as they stand, and what they say of balances."""

from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec

from malha.inventory.safety import rules
from malha.inventory.safety.model import Kept, SafetyRule
from malha.inventory.safety.statements import matching
from malha.platform.db import Tx
from malha.platform.text import fold

_NAMED: LiteralString = """
FROM safety_rule r
LEFT JOIN location l ON l.id = r.location_id
LEFT JOIN location_group g ON g.id = r.group_id
LEFT JOIN variant v ON v.id = r.sku_id
LEFT JOIN product p ON p.id = r.product_id
LEFT JOIN category c ON c.id = r.category_id
LEFT JOIN channel h ON h.id = r.channel_id
"""
# Few rows, with the codes of what they name; columns in the order of SafetyRule's.
RULES: LiteralString = f"""
SELECT r.id, r.code, r.name, r.purpose, r.measure, r.amount, r.location_id, r.group_id, r.location_kind, r.state,
       r.sku_id, r.product_id, c.path AS category_path, r.brand, r.channel_id, l.code AS location,
       g.code AS location_group, v.sku, p.code AS product, c.code AS category, h.code AS channel, r.starts_at,
       r.ends_at, r.active, r.changed_at, r.version
{_NAMED}ORDER BY r.id
"""
# What rules are looked for by: codes and names of all that they name, and barcodes.
TEXTS: LiteralString = f"""
SELECT r.id, concat_ws(' ', r.code, r.name, r.location_kind, r.state, r.brand, l.code, l.name, g.code, g.name, v.sku,
                       v.gtin, v.name, p.code, p.name, c.code, c.name, h.code, h.name)
{_NAMED}"""
# By the unique index on codes.
CODES_THERE = "SELECT code FROM safety_rule WHERE code = ANY (%(codes)s::text[])"
# Every rule that fits each balance of a SKU, in order.
MATCHES = matching("SELECT location_id, id, purpose, channel_id, units FROM matched ORDER BY location_id, rank")
# What a set of rules would change, without locks: the balances that differ from what another set says.
DIFFERENCES = matching("""
, won AS (
    SELECT DISTINCT ON (sku_id, location_id) sku_id, location_id, units
    FROM matched WHERE purpose = 'routing' ORDER BY sku_id, location_id, rank
)
SELECT p.sku_id, p.location_id, p.safety, coalesce(o.quantity, w.units, 0)
FROM pair p
LEFT JOIN won w ON w.sku_id = p.sku_id AND w.location_id = p.location_id
LEFT JOIN safety_override o ON o.sku_id = p.sku_id AND o.location_id = p.location_id
WHERE p.safety <> coalesce(o.quantity, w.units, 0)
""")
OVERRIDES = """
SELECT location_id, quantity, stated_by FROM safety_override WHERE sku_id = %(sku)s::int
"""
STATED = """
SELECT sku_id, location_id FROM safety_override WHERE sku_id = ANY(%(skus)s::int[])
"""
KEPT_NOW = "SELECT location_id, safety FROM balance WHERE sku_id = %(sku)s::int"
# Everything that what rules say depends on, but stock and time.
FINGERPRINT = """
SELECT coalesce((SELECT string_agg(id || ':' || version, ',' ORDER BY id) FROM safety_rule
                 WHERE active AND coalesce(starts_at, '-infinity') <= now()
                   AND now() < coalesce(ends_at, 'infinity')), ''),
       coalesce((SELECT string_agg(name || n, ',' ORDER BY name) FROM revision
                 WHERE name IN ('network', 'catalog')), ''),
       floor(extract(epoch FROM now()) / %(every)s::int)::bigint
"""
NEXT_SKUS = "SELECT id FROM variant WHERE id > %(after)s::int AND NOT is_kit ORDER BY id LIMIT %(limit)s::int"
# SKUs that a rule could concern, by the indexes of the catalogue.
CONCERNED = """
SELECT v.id FROM variant v JOIN product p ON p.id = v.product_id LEFT JOIN category c ON c.id = p.category_id
WHERE NOT v.is_kit AND (%(sku)s::int IS NULL OR v.id = %(sku)s::int)
  AND (%(product)s::int IS NULL OR p.id = %(product)s::int)
  AND (%(brand)s::text IS NULL OR lower(p.brand) = lower(%(brand)s::text))
  AND (%(path)s::text IS NULL OR c.path = %(path)s::text OR starts_with(c.path, %(path)s::text || '/'))
ORDER BY v.id LIMIT %(limit)s::int
"""


async def all_rules(tx: Tx) -> list[SafetyRule]:
    """Return every rule in the order of precedence."""
    rows = [dict(zip(SafetyRule.__struct_fields__, row, strict=True)) for row in await tx.tuples(RULES)]
    return rules.in_order(msgspec.convert(row, SafetyRule) for row in rows)


async def rules_in_sight(tx: Tx) -> list[SafetyRule]:
    """Return the rules but those for one location that the actor does not see, in the order of precedence."""
    return [r for r in await all_rules(tx) if r.location_id is None or tx.actor.sees(r.location_id)]


async def texts(tx: Tx) -> dict[int, str]:
    """Return what each rule, by id, is looked for by: codes and names of all that it names, folded."""
    return {id_: fold(text) for id_, text in await tx.tuples(TEXTS)}


async def rules_with(tx: Tx, q: str) -> list[SafetyRule]:
    """Return the rules in sight that name something with every word of a text, in the order of precedence."""
    found = await rules_in_sight(tx)
    words = fold(q).split()
    if not words:
        return found
    said = await texts(tx)
    return [r for r in found if all(word in said[r.id] for word in words)]


async def in_force(tx: Tx) -> list[SafetyRule]:
    """Return the rules that count now, in the order of precedence."""
    now = await tx.now()
    return [rule for rule in await all_rules(tx) if rules.is_in_force(rule, now)]


def params(ordered: Sequence[SafetyRule], skus: Sequence[int], only: Sequence[int] | None = None) -> dict[str, Any]:
    """Return rules and SKUs (at some locations) as `matching` takes them."""
    return {
        "ids": [r.id for r in ordered],
        "purposes": [r.purpose.value for r in ordered],
        "measures": [r.measure.value for r in ordered],
        "amounts": [r.amount for r in ordered],
        "locations": [r.location_id for r in ordered],
        "groups": [r.group_id for r in ordered],
        "kinds": [r.location_kind for r in ordered],
        "states": [r.state for r in ordered],
        "rule_skus": [r.sku_id for r in ordered],
        "products": [r.product_id for r in ordered],
        "paths": [r.category_path for r in ordered],
        "brands": [r.brand for r in ordered],
        "channels": [r.channel_id for r in ordered],
        "with_days": any(r.measure.value == "days" for r in ordered),
        "skus": list(skus),
        "only": None if only is None else list(only),
    }


async def explain(
    tx: Tx, sku_id: int, locations: Sequence[int] | None = None, channel_id: int | None = None
) -> list[Kept]:
    """Return why a SKU keeps back what it does at each location: every rule that fits, the winner first.

    With a channel, online rules of other channels are left out.
    """
    ordered = await in_force(tx)
    by_id = {rule.id: rule for rule in ordered}
    overrides = {place: (units, by) for place, units, by in await tx.tuples(OVERRIDES, {"sku": sku_id})}
    now = {
        place: units
        for place, units in await tx.tuples(KEPT_NOW, {"sku": sku_id})
        if locations is None or place in locations
    }
    found: dict[int, dict[str, list[tuple[SafetyRule, int]]]] = {}
    for place, id_, purpose, channel, units in await tx.tuples(MATCHES, params(ordered, [sku_id], locations)):
        if purpose == "routing" or channel is None or channel_id is None or channel == channel_id:
            found.setdefault(place, {}).setdefault(purpose, []).append((by_id[id_], units))
    return [
        Kept(
            sku_id,
            place,
            units,
            overrides.get(place, (None, None))[0],
            overrides.get(place, (None, None))[1],
            rules.told(found.get(place, {}).get("routing", [])),
            rules.told(found.get(place, {}).get("online", [])),
        )
        for place, units in sorted(now.items())
    ]


async def stated(tx: Tx, sku_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return the balances of SKUs, as (SKU, location), whose safety stock was stated and follows no rule."""
    return set(await tx.tuples(STATED, {"skus": list(sku_ids)}))
