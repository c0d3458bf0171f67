"""The feed of a channel that asks: first all its listings, then what changed since, each with its newest quantity.

A cursor is a position of the log, and while all listings are told also the last SKU of the page. It has a mark, too, of
what quantities follow beside stock: when that is another, as when a location is paused, all listings are told again.
Reading changes nothing, so a page that got lost is read again.
"""

from collections.abc import Sequence
from typing import NamedTuple

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
    at = _place(cursor)
    mark = await _mark(tx, channel.id, at) if at is None or at.after < 0 else at.mark
    if at is None or (at.after < 0 and (at.mark.rules, at.mark.goods) != (mark.rules, mark.goods)):
        at = _Place(await reads.newest(tx), 0, mark)
    if at.after >= 0:
        page = await reads.listings_after(tx, channel.id, at.after, most)
        # What changes meanwhile comes after the last page, from the position at which the first began.
        following = page[-1].sku_id if len(page) == most else -1
        return Told(await _updates(tx, channel.id, page), _cursor(at.position, following, mark), following >= 0)
    changed = await reads.changed_since(tx, at.position, most)
    found = (await reads.listings_of(tx, [channel.id], changed))[channel.id]
    reached = changed[-1].version if changed else at.position
    return Told(await _updates(tx, channel.id, found), _cursor(reached, -1, mark), len(changed) >= most)


class _Mark(NamedTuple):
    """What quantities follow beside stock: rules, and of the catalogue what of it is sold and what kits are made of."""

    rules: str
    catalogue: int  # its revision: most changes of it change no quantity
    goods: str


class _Place(NamedTuple):
    """Where a cursor is; `after` is below 0 once all listings were told."""

    position: int
    after: int
    mark: _Mark


def _place(cursor: str | None) -> _Place | None:
    try:
        found = paging.position(cursor, LISTING, (int, int, str, int, str))
    except paging.BadCursor:  # of before cursors had a mark
        found = paging.position(cursor, LISTING, (int, int))
    if found is None:
        return None
    position, after, *mark = found
    return _Place(position, after, _Mark(*mark) if mark else _Mark("", -1, ""))


def _cursor(position: int, after: int, mark: _Mark) -> str:
    return paging.cursor_of(LISTING, (position, after, *mark))


async def _mark(tx: Tx, channel_id: int, at: _Place | None) -> _Mark:
    rules, catalogue = await reads.feed_revisions(tx)
    if at is not None and at.mark.catalogue == catalogue:
        return _Mark(rules, catalogue, at.mark.goods)
    return _Mark(rules, catalogue, await reads.goods_of_feed(tx, channel_id))


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
