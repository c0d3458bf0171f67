"""How fields of a channel are made of ours: tried on what is published before it counts, and taken back."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.channels.connecting.model import Linked
from malha.channels.connecting.service import connection_of
from malha.channels.feeds.model import Mapped
from malha.channels.listings import making, reads, rules, service
from malha.channels.listings.errors import NothingToTakeBack, UnknownListing
from malha.channels.listings.model import Content
from malha.channels.listings.reads import Goods
from malha.platform import audit
from malha.platform.audit import Wanted
from malha.platform.db import Tx
from malha.platform.flaws import refuse

LOOKED_AT = 500  # published listings that a mapping is tried on
MOST_SHOWN = 20  # listings shown of one mapping that is tried
LOOKED_BACK = 20  # changes of the mapping that are looked through for the newest that changed something


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping would make of one listing: what its channel gets now, and what it would get."""

    goods: Goods
    now: Content
    then: Content


class KeptBack(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why listings would not be sent that are sent now: a rule, the field it is about, how many."""

    field: str
    rule: str
    count: int
    sku: str  # one of them


class Foresight(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping would do to the published listings that were looked at.

    `told`: their channel would be told something else than it was told last. `kept_back`: they are sent now and would
    not be: their channel keeps what it has. `freed`: the other way round.
    """

    shown: list[Foreseen]
    looked: int
    more: bool  # there are more than were looked at
    told: int
    kept_back: int
    freed: int
    why: list[KeptBack]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The change that made the mapping what it is, which can be taken back."""

    at: datetime
    actor: str
    before: list[Mapped] | None


async def foresee(
    tx: Tx, code: str, mapping: Sequence[Mapped] | None, sku: str | None = None, most: int = 3
) -> Foresight:
    """Return what a mapping would make of a SKU, or of the first listings that it changes. Nothing is kept.

    Raises:
        SharedByAll, UnknownConnection, NoListings, UnknownListing: as the names say.
        Invalid: the mapping makes no sense.
    """
    connection = await connection_of(tx, code)
    refuse(list(rules.check_mapping(making.profile_of(connection), mapping or [], connection.currency)))
    now, then = await making.makers_of(tx, connection, mapping)

    async def of(ids: Sequence[int]) -> list[Foreseen]:
        return [Foreseen(goods=g, now=now.made(g), then=then.made(g)) for g in await reads.goods_of(tx, now.place, ids)]

    ids = await reads.published(tx, connection.id, LOOKED_AT + 1)
    looked = await of(ids[:LOOKED_AT])
    other = [each for each in looked if each.now.digest != each.then.digest]
    held = [each for each in looked if each.then.push is None and each.now.push is not None]
    freed = sum(each.then.push is not None and each.now.push is None for each in looked)
    if sku:
        goods = await reads.goods_of_sku(tx, now.place, sku)
        if goods is None:
            raise UnknownListing(key=sku)
        shown = [Foreseen(goods=goods, now=now.made(goods), then=then.made(goods))]
    else:
        first = [*held[:1], *other, *looked]  # one that would be kept back is worth seeing before all others
        shown = list({each.goods.sku_id: each for each in first}.values())[:most]
        if not shown:
            shown = await of([row.sku_id for row in await reads.listed(tx, now.place, most=most)])
    return Foresight(
        shown=shown,
        looked=len(looked),
        more=len(ids) > LOOKED_AT,
        told=sum(each.then.push is not None and each.then.digest != each.goods.queued for each in other),
        kept_back=len(held),
        freed=freed,
        why=_why(held),
    )


def _why(held: Sequence[Foreseen]) -> list[KeptBack]:
    found: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for each in held:
        for key in {(error.field, error.code) for error in each.then.errors}:
            found[key] += 1
            example.setdefault(key, each.goods.sku)
    return [KeptBack(field=key[0], rule=key[1], count=n, sku=example[key]) for key, n in found.most_common()]


async def last_change(tx: Tx, connection: Linked, mapping: Sequence[Mapped] | None) -> Change | None:
    """Return the change that made a connection's mapping what it is; None: there was none, or it is too long ago."""
    wanted = Wanted(entity="listing", entity_id=connection.code, action="map")
    for entry in (await audit.search(tx, wanted, size=LOOKED_BACK)).entries:
        if "mapping" in (entry.after or {}):  # else it was saved as it was
            after, before = (_mapping((side or {})["mapping"]) for side in (entry.after, entry.before))
            same = after == (None if mapping is None else list(mapping))
            return Change(at=entry.at, actor=entry.actor_name, before=before) if same else None
    return None


def _mapping(kept: object) -> list[Mapped] | None:
    return msgspec.convert(kept, list[Mapped] | None)


async def take_back(tx: Tx, code: str, version: int) -> int:
    """Map fields as they were mapped before the last change; return the new version.

    Raises:
        SharedByAll, UnknownConnection, NoListings: as the names say.
        NothingToTakeBack: nobody mapped anything, or it is too long ago.
        ListingChanged: somebody else mapped them meanwhile.
        Invalid: the channel does not take any more what was mapped then.
    """
    connection = await connection_of(tx, code)
    mapping, _version, _seen = await reads.plan(tx, connection.id)
    change = await last_change(tx, connection, mapping)
    if change is None:
        raise NothingToTakeBack(key=code)
    return await service.put_mapping(tx, code, change.before, version)
