"""How many units a channel is told it may sell: what intake would give it, less what rules keep unpublished."""

from collections.abc import Hashable, Mapping, Sequence

from malha.intake import availability
from malha.intake.reference import Channel, Reference
from malha.inventory.allotments import rules
from malha.inventory.allotments.model import Taker
from malha.platform.db import Tx

# Which channels a rule is about; rules are few.
OWN_RULES = "SELECT DISTINCT channel_id FROM safety_rule WHERE channel_id = ANY (%(channels)s::int[])"


def channel_of(reference: Reference, channel_id: int) -> Channel:
    """Return a channel by its id."""
    return next(channel for channel in reference.channels.values() if channel.id == channel_id)


async def views_of(tx: Tx, reference: Reference, channels: Sequence[int]) -> dict[int, Hashable]:
    """Return by channel what its quantities depend on: channels with equal views may sell the same."""
    alone = {*reference.allotments.watched, *await tx.values(OWN_RULES, {"channels": list(channels)})}
    return {id_: (_places(reference, id_), id_ if id_ in alone else None) for id_ in channels}


async def caps_on_all(tx: Tx, reference: Reference, channel_id: int) -> list[int]:
    """Return the caps on which all SKUs of a channel count together: what is sold of one leaves less of every other.

    Where some SKUs are named, these are noted as changed together.
    """
    if not any(cap.any_sku and not cap.per_sku for cap in reference.allotments.caps):
        return []
    caps = rules.caps_of(reference.allotments, Taker(channel_id), await tx.now())
    return [cap.id for cap in caps if cap.any_sku and not cap.per_sku]


def _places(reference: Reference, channel_id: int) -> tuple[int, ...]:
    return tuple(availability.places_of(reference, channel_of(reference, channel_id), None))


async def published(tx: Tx, reference: Reference, channel_id: int, skus: Mapping[str, int]) -> dict[int, int]:
    """Return the units a channel is told it may sell, by SKU id; `skus` maps codes to ids. Inactive ones have none."""
    cards = await reference.cards(tx, skus.keys())
    offers = await availability.offers(tx, reference, channel_of(reference, channel_id), cards)
    return dict.fromkeys(skus.values(), 0) | {skus[offer.sku]: offer.published for offer in offers.skus}
