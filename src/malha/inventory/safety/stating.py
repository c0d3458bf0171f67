"""What the codes in stated rules mean, and what is wrong with a rule: for one of a form and for many of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.inventory.safety import reads
from malha.inventory.safety.model import Measure, Purpose, SafetyRuleDraft
from malha.network import reads as network
from malha.network import rules as network_rules
from malha.network.model import LocationKind
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

MOST_UNITS = 2_000_000_000

NEEDED = N_("It must not be empty.")
UNKNOWN = N_("There is no {value}.")
BAD_AMOUNT = N_("{value} is no possible amount.")
NO_PERCENT = N_("A percentage is at most 100.")
BAD_TIME = N_("It must end after it starts.")
NO_CHANNEL = N_("Only a rule for what is published can depend on the channel.")

# Conditions that name a record, with the column that holds which.
NAMING = {
    "location": "location_id",
    "location_group": "group_id",
    "sku": "sku_id",
    "product": "product_id",
    "category": "category_id",
    "channel": "channel_id",
}


class Named(msgspec.Struct, frozen=True):
    """The records that drafts name: for each kind of condition the ids by code, and the paths of categories.

    `there` are the codes of those that exist as rules.
    """

    ids: Mapping[str, Mapping[str, int]]
    paths: Mapping[str, str]
    there: frozenset[str]


async def named(tx: Tx, drafts: Sequence[SafetyRuleDraft]) -> Named:
    """Look up every code that some drafts name, one statement for each kind of it."""
    asked = {name: sorted({code for draft in drafts if (code := getattr(draft, name))}) for name in NAMING}
    categories = await catalog.categories(tx) if asked["category"] else []
    groups = await network.location_groups(tx, asked["location_group"]) if asked["location_group"] else []
    products = await tx.tuples(catalog.PRODUCT_IDS, {"codes": asked["product"]}) if asked["product"] else []
    ids = {
        "location": {x.code: x.id for x in (await network.locations(tx) if asked["location"] else [])},
        "location_group": {group.code: group.id for group in groups},
        "sku": {card.sku: card.id for card in (await catalog.by_skus(tx, asked["sku"]) if asked["sku"] else [])},
        "product": dict(products),
        "category": {category.code: category.id for category in categories},
        "channel": {x.code: x.id for x in (await network.channels(tx) if asked["channel"] else [])},
    }
    there = await tx.values(reads.CODES_THERE, {"codes": [draft.code for draft in drafts]})
    return Named(ids, {category.code: category.path for category in categories}, frozenset(there))


def meant(draft: SafetyRuleDraft, known: Named) -> tuple[dict[str, Any], list[Flaw]]:
    """Return a rule as it is stored, and everything that is wrong with it."""
    row: dict[str, Any] = msgspec.structs.asdict(draft)
    row |= {"name": draft.name.strip(), "purpose": draft.purpose.value, "measure": draft.measure.value}
    row |= {column: known.ids[name].get(getattr(draft, name) or "") for name, column in NAMING.items()}
    row["path"] = known.paths.get(draft.category or "")
    flaws = [Flaw(name, NEEDED) for name in ("code", "name") if not getattr(draft, name).strip()]
    if draft.code not in known.there:
        flaws += network_rules.check_new_code("code", draft.code)
    if not 0 <= draft.amount <= MOST_UNITS:
        flaws.append(Flaw("amount", BAD_AMOUNT, facts={"value": draft.amount}))
    elif draft.measure is Measure.PERCENT and draft.amount > 100:
        flaws.append(Flaw("amount", NO_PERCENT))
    if draft.starts_at and draft.ends_at and draft.ends_at <= draft.starts_at:
        flaws.append(Flaw("ends_at", BAD_TIME))
    if draft.channel is not None and draft.purpose is not Purpose.ONLINE:
        flaws.append(Flaw("channel", NO_CHANNEL))
    unknown = [name for name, column in NAMING.items() if getattr(draft, name) and row[column] is None]
    if draft.location_kind is not None and draft.location_kind not in set(LocationKind):
        unknown.append("location_kind")
    if draft.state is not None and draft.state not in STATES:
        unknown.append("state")
    flaws += [Flaw(name, UNKNOWN, facts={"value": getattr(draft, name)}) for name in unknown]
    return row, flaws
