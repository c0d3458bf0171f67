"""The feed of a channel that asks: first all its listings, then what changed since, each with its newest quantity.

A cursor is a position of the log, and while all listings are told also the last SKU of the page. Reading changes
nothing, so a page that got lost is read again.
"""

from collections.abc import Sequence

import msgspec

from malha.channels import quantities, reads, service
from malha.channels.contract import StockUpdate
from malha.channels.errors import FeedOnly
from malha.channels.model import Change, PushKind
from malha.intake.reference import reference_in
from malha.platform import paging
from malha.platform.db import Tx

LISTING = "stock-changes"


class Told(msgspec.Struct, frozen=True):
    """A page of the feed."""

    items: list[StockUpdate]
    cursor: str
    more: bool


async def read(tx: Tx, code: str, cursor: str | None, most: int) -> Told:
    """Return the page after a cursor.

    Raises:
        UnknownChannel, PushNotFound: the channel hears of stock in no way.
        FeedOnly: it is called instead.
        BadCursor: the cursor is none of this feed's.
    """
    push = await service.push_of(tx, code)
    if push.kind != PushKind.FEED:
        raise FeedOnly(channel=code)
    channel = await service.channel_of(tx, code)
    at = paging.position(cursor, LISTING, (int, int))
    position, after = at or (await reads.newest(tx), 0)
    if after >= 0:
        page = await reads.listings_after(tx, channel.id, after, most)
        # What changes meanwhile comes after the last page, from the position at which the first began.
        following = page[-1].sku_id if len(page) == most else -1
        return Told(await _updates(tx, channel.id, page), _cursor(position, following), following >= 0)
    changed = await reads.changed_since(tx, position, most)
    found = (await reads.listings_of(tx, [channel.id], changed))[channel.id]
    reached = changed[-1].version if changed else position
    return Told(await _updates(tx, channel.id, found), _cursor(reached, -1), len(changed) >= most)


def _cursor(position: int, after: int) -> str:
    return paging.cursor_of(LISTING, (position, after))


async def _updates(tx: Tx, channel_id: int, found: Sequence[Change]) -> list[StockUpdate]:
    units = (
        await quantities.published(tx, await reference_in(tx), channel_id, {c.sku: c.sku_id for c in found})
        if found
        else {}
    )
    return [
        StockUpdate(sku=c.sku, code=c.code, quantity=units[c.sku_id], version=c.version, changed_at=c.changed_at)
        for c in found
    ]
