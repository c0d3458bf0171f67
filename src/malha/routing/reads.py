"""What routing decided and why, for people and programs, and whom it will not ask again."""

from collections.abc import Mapping
from typing import Any

from malha.catalog import reads as catalog
from malha.network import reads as network
from malha.network.places import Place, locate
from malha.network.tariff import distance_km
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing.explaining import explain
from malha.routing.records import read_record
from malha.routing.telling import Decision, Explanation, Spot, Teller, within

# The primary key begins with the order.
EXCLUSIONS = """
SELECT line, location_id, reason FROM routing_exclusion WHERE order_id = %(order_id)s::uuid
"""

# Backwards over the primary key: one row.
LAST_ATTEMPT = """
SELECT attempt FROM routing_decision WHERE order_id = %(order_id)s::uuid ORDER BY attempt DESC LIMIT 1
"""

# One decision by primary key, the last when none is named, with what its order calls things. Who sees some locations
# only, sees orders that have units there.
DECISION = """
SELECT d.order_id, o.number, d.attempt, d.decided_at, d.record::text AS record, o.currency,
       o.ship_to->>'postal_code' AS cep, c.code AS channel,
       (SELECT max(x.attempt) FROM routing_decision x WHERE x.order_id = d.order_id) AS attempts
FROM routing_decision d
JOIN sales_order o ON o.id = d.order_id
JOIN channel c ON c.id = o.channel_id
WHERE d.order_id = %(order_id)s::uuid
  AND (%(attempt)s::smallint IS NULL OR d.attempt = %(attempt)s::smallint)
  AND (%(scope)s::int[] IS NULL OR EXISTS (
       SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[])))
ORDER BY d.attempt DESC
LIMIT 1
"""

# By primary key; a network has thousands of locations at most.
PLACES_BY_ID = """
SELECT id, code, name, kind, state, coalesce(address->>'city', '') AS city, latitude, longitude
FROM location WHERE id = ANY(%(ids)s::int[])
"""


async def exclusions(tx: Tx, order_id: UUID) -> dict[int, set[int]]:
    """Return, per line of an order, the locations that are not to be asked for it again."""
    found: dict[int, set[int]] = {}
    for line, location, _why in await tx.tuples(EXCLUSIONS, {"order_id": order_id}):
        found.setdefault(line, set()).add(location)
    return found


async def attempts(tx: Tx, order_id: UUID) -> int:
    """Return how often an order's way was decided."""
    return int(await tx.value(LAST_ATTEMPT, {"order_id": order_id}) or 0)


async def explanation(
    tx: Tx, order_id: UUID, attempt: int | None = None, *, on_paper: str | None = None
) -> Explanation | None:
    """Return why an order went where it went, in the current language.

    `attempt` picks one of several decisions; without it the last is told. None: there is no such decision, or the actor
    does not see the order. Costs and reasons of locations outside the actor's scope are left out. `on_paper` is
    a record that is explained in place of the decision's own.
    """
    scope = tx.actor.scope
    row = await tx.maybe(Decision, DECISION, {"order_id": order_id, "attempt": attempt, "scope": scope})
    if row is None:
        return None
    record = read_record(row.record if on_paper is None else on_paper)
    explained = explain(record)
    ids = {id_ for option in explained.options for id_ in option.location_ids} | set(explained.obstacles)
    if record.pickup is not None:
        ids.add(record.pickup)
    if record.onward is not None:
        ids.add(record.onward.location)
    asked = set() if record.bound is None else {one.location for one in record.bound.dropped}
    target = locate(row.cep) if row.cep and record.method == "ship" else None
    spots = {
        found["id"]: Spot(**found, distance_km=_distance(found, target))
        for found in await tx.all(dict, PLACES_BY_ID, {"ids": sorted(ids | asked)})
    }
    vendors = {id_: spots[id_].name for id_ in asked if tx.actor.sees(id_)}
    cards = {card.id: card for card in await catalog.by_ids(tx, sorted({line.sku_id for line in record.lines}))}
    services = {service.id: service for service in await network.services(tx)}
    gave_back = {(line, location): why for line, location, why in await tx.tuples(EXCLUSIONS, {"order_id": order_id})}
    told = Teller(row, record, explained, spots, cards, services, gave_back, vendors).tell(target)
    return told if tx.actor.locations is None else within(told, tx.actor.locations)


def _distance(found: Mapping[str, Any], target: Place | None) -> int | None:
    latitude, longitude = found["latitude"], found["longitude"]
    if target is None or latitude is None or longitude is None:
        return None
    return round(distance_km(latitude, longitude, target.latitude, target.longitude))
