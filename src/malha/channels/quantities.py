"""How many units a channel is told it may sell: what intake would give it, less what rules keep unpublished."""

from collections.abc import Hashable, Mapping

from malha.intake import availability
from malha.intake.reference import Channel, Reference
from malha.platform.db import Tx

# Whether a rule is about this very channel; rules are few.
OWN_RULE = "SELECT EXISTS (SELECT FROM safety_rule WHERE channel_id = %(channel_id)s::int)"


def channel_of(reference: Reference, channel_id: int) -> Channel:
    """Return a channel by its id."""
    return next(channel for channel in reference.channels.values() if channel.id == channel_id)


async def view_of(tx: Tx, reference: Reference, channel_id: int) -> Hashable:
    """Return what a channel's quantities depend on: channels with equal views may sell the same."""
    places = tuple(availability.places_of(reference, channel_of(reference, channel_id), None))
    alone = channel_id in reference.allotments.watched or await tx.value(OWN_RULE, {"channel_id": channel_id})
    return places, channel_id if alone else None


async def published(tx: Tx, reference: Reference, channel_id: int, skus: Mapping[str, int]) -> dict[int, int]:
    """Return the units a channel is told it may sell, by SKU id; `skus` maps codes to ids. Inactive ones have none."""
    cards = await reference.cards(tx, skus.keys())
    offers = await availability.offers(tx, reference, channel_of(reference, channel_id), cards)
    return dict.fromkeys(skus.values(), 0) | {skus[offer.sku]: offer.published for offer in offers.skus}
