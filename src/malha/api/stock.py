"""Stock: what is free, what was counted, received or corrected, and holds for carts and payments.

Everything is named by SKU and location code. Physical facts are always recorded, even when they leave fewer units than
are promised: the answer then lists the deficits, which are work for a person.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.api.supply import owned_by
from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.fulfillment import settlements
from malha.fulfillment.settlements import Settled
from malha.intake import availability
from malha.intake import rules as gate
from malha.intake.errors import OVER_MOST_UNITS, TooManyUnits
from malha.intake.reference import reference_in
from malha.inventory import balance_reads, reads, service
from malha.inventory.balance_reads import LedgerAsked, PlacedLine
from malha.inventory.buckets.model import Bucket
from malha.inventory.errors import UnknownBalance
from malha.inventory.model import Claim, Deficit, Reason, Reference, Shortfall
from malha.inventory.reads import LedgerRow
from malha.network import reads as network
from malha.network.errors import OwnerNotAtSite, UnknownChannel, UnknownLocation
from malha.network.rules import check_addressable
from malha.payments import deadlines
from malha.payments.model import TenderKind
from malha.payments.terms import Awaited
from malha.platform import audit, paging
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import FieldError
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.paging import Page
from malha.platform.shapes import Instant

TAG = "stock"
MAX_ITEMS = 2_000
MOST_REFERENCE = 120

Code = Annotated[str, Meta(min_length=1, max_length=80)]
Quantity = Annotated[int, Meta(ge=0, le=2_000_000_000)]
Units = Annotated[int, Meta(ge=1, le=2_000_000_000)]
Change = Annotated[int, Meta(ge=-2_000_000_000, le=2_000_000_000)]
Text = Annotated[str, Meta(min_length=1, max_length=120)]
Seconds = Annotated[int, Meta(ge=1, le=7 * 24 * 3600)]

UNKNOWN_SKU = N_("There is no SKU {sku}.")
UNKNOWN_LOCATION = N_("There is no location {location}.")
IS_KIT = N_("{sku} is a kit: stock is kept of its components.")
GROUP_OF_NO_CHANNEL = N_("A group of buyers counts on a channel: name the channel, too.")


class NotEnoughStock(FieldError):
    """A hold is all or nothing: some of what was asked is not free. Nothing is held."""

    status = 409
    code = "not_enough_stock"
    says = "Items that are not free in the asked quantity: {count}."
    mend = "Ask for less, or elsewhere."


class StockRow(msgspec.Struct, frozen=True, gc=False):
    """One balance. `free` is what anybody may still be promised: on hand without allocated, held, safety and fenced.

    `fenced` is set apart for some channels.
    """

    sku: str
    location: str
    on_hand: int
    allocated: int
    held: int
    safety: int
    free: int
    fenced: int


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A quantity of a SKU at a location; `owner` is an establishment, where its site keeps several owners' goods."""

    sku: Code
    location: Code
    quantity: Quantity
    owner: Code | None = None


class ChangedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference in units, negative when units are missing; `owner` as of a quantity."""

    sku: Code
    location: Code
    change: Change
    owner: Code | None = None


class HeldItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units to hold; `owner` as of a quantity."""

    sku: Code
    location: Code
    quantity: Units
    owner: Code | None = None


Items = Annotated[list[Item], Meta(min_length=1, max_length=MAX_ITEMS)]


class StockStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Physical quantities as they are: `set` by a source, `count`ed by a person, or `initial`.

    With `occurred_at` they are those of that moment: what moved since is added on top, and what was stated of a later
    moment stands; the answer says which.
    """

    items: Items
    reason: Literal["set", "count", "initial"] = "set"
    occurred_at: Instant | None = None
    reference: Text | None = None


class StockChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Physical differences and why.

    With an `occurred_at` that the last snapshot of the location's source of truth may include they are applied, and a
    disagreement (`late`) says so.
    """

    items: Annotated[list[ChangedItem], Meta(min_length=1, max_length=MAX_ITEMS)]
    reason: Literal["adjustment", "damage", "loss", "found", "count"]
    occurred_at: Instant | None = None
    reference: Text | None = None


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Goods that arrived; `occurred_at` as of differences."""

    items: Annotated[list[HeldItem], Meta(min_length=1, max_length=MAX_ITEMS)]
    occurred_at: Instant | None = None
    reference: Text | None = None


class SafetyStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units kept back from being promised."""

    items: Items


class DeficitRow(msgspec.Struct, frozen=True):
    """Units promised at a location that are not there."""

    sku: str
    location: str
    quantity: int
    reason: str


class StockReply(msgspec.Struct, frozen=True):
    """What the statement left: empty when every promise is covered."""

    deficits: list[DeficitRow]


class KeptRow(msgspec.Struct, frozen=True, kw_only=True):
    """An item that changed nothing, by its place in `items`: `on_hand` was stated as of `since`, which is later."""

    item: int
    sku: str
    location: str
    on_hand: int
    since: datetime


class SetReply(StockReply, frozen=True, omit_defaults=True):
    """What the statement left, and which items were not followed because what was stated of a later moment stands."""

    kept: list[KeptRow] = []


class NewHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Units to hold for a cart or a payment, all or nothing. `reference` names the hold, also on the order later.

    With a `tender` they are held as long as the retailer waits for such money (`expires_at`: the tender's own end);
    else for `seconds`. Of a kit its components are held. A `customer_group` of the `channel` also draws what is set
    apart for its buyers.
    """

    reference: Annotated[str, Meta(min_length=1, max_length=MOST_REFERENCE, pattern=r"^[A-Za-z0-9._:-]+$")]
    items: Annotated[list[HeldItem], Meta(min_length=1, max_length=200)]
    seconds: Seconds = 900
    channel: Code | None = None
    customer_group: Code | None = None
    tender: TenderKind | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class HoldTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a hold shall last from now."""

    seconds: Seconds


class HoldPlaced(msgspec.Struct, frozen=True):
    """A hold, and until when at least."""

    reference: str
    seconds: int


class HoldExtended(msgspec.Struct, frozen=True):
    """When the hold ends now."""

    reference: str
    ends_at: datetime


class Keys(msgspec.Struct, frozen=True):
    """Codes to ids and back."""

    skus: dict[str, int]
    locations: dict[tuple[str, str | None], int]  # by code and owner
    location_of: dict[int, str]
    kits: dict[str, dict[int, int]]  # units of each component in one of them

    @property
    def sku_of(self) -> dict[int, str]:
        """Return SKUs by id."""
        return {id_: sku for sku, id_ in self.skus.items()}


async def _keys(work: Work, items: Sequence[Item | ChangedItem | HeldItem], *, kits: bool = False) -> Keys:
    """Find all SKUs and locations.

    Raises:
        Invalid: some do not exist, are kits where `kits` are no answer, or are outside the caller's scope; every one is
            named.
    """
    cards = {card.sku: card for card in await catalog.by_skus(work.tx, sorted({item.sku for item in items}))}
    owned = await network.kept_at(work.tx, {(item.location, item.owner) for item in items if item.owner})
    codes = {item.location for item in items} | set(owned.values())
    places = await network.locations_by_code(work.tx, sorted(codes))
    locations: dict[tuple[str, str | None], int] = {}
    flaws = []
    for i, item in enumerate(items):
        card, place = cards.get(item.sku), places.get(item.location)
        if item.owner:
            named, place = place, places.get(owned.get((item.location, item.owner), ""))
            if named is not None and work.actor.sees(named.id) and (place is None or not work.actor.sees(place.id)):
                facts = {"owner": item.owner, "key": item.location}
                flaws.append(Flaw(f"items/{i}/owner", OwnerNotAtSite.says, OwnerNotAtSite.mend, facts))
                continue
        if place is not None:
            locations[item.location, item.owner] = place.id
        if card is None:
            flaws.append(Flaw(f"items/{i}/sku", UNKNOWN_SKU, facts={"sku": item.sku}))
        elif card.is_kit and not kits:
            flaws.append(Flaw(f"items/{i}/sku", IS_KIT, facts={"sku": item.sku}))
        if place is None or not work.actor.sees(place.id):  # what is out of sight is not there
            flaws.append(Flaw(f"items/{i}/location", UNKNOWN_LOCATION, facts={"location": item.location}))
    refuse(flaws)
    return Keys(
        {sku: card.id for sku, card in cards.items()},
        locations,
        {place.id: code for code, place in places.items()},
        {sku: {part.sku_id: part.quantity for part in card.components} for sku, card in cards.items() if card.is_kit},
    )


def _claims(keys: Keys, items: Sequence[Item | ChangedItem | HeldItem]) -> list[Claim]:
    return [
        Claim(
            keys.skus[item.sku],
            keys.locations[item.location, item.owner],
            item.change if isinstance(item, ChangedItem) else item.quantity,
        )
        for item in items
    ]


async def _replied(
    tx: Tx, action: str, keys: Keys, given: StockStatement | StockChange | Receipt, left: Sequence[Deficit]
) -> StockReply:
    """Write the audit row of a physical statement and return its reply; the ledger has the movements themselves."""
    facts = {
        "items": len(given.items),
        "reference": given.reference,
        "locations": sorted({item.location for item in given.items})[:50],
    }
    await audit.record(tx, action=action, entity="stock", entity_id=given.reference or "-", after=facts)
    skus, places = keys.sku_of, keys.location_of
    return StockReply([DeficitRow(skus[d.sku_id], places[d.location_id], d.quantity, d.reason) for d in left])


@query("/stock", permission="stock:read", tag=TAG)
async def list_stock(
    work: Work,
    sku: Annotated[list[str], Meta(max_length=200)] | None = None,
    location: str | None = None,
    q: str = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[StockRow]:
    """List balances by SKU.

    Name SKUs (`sku=A&sku=B`), or page through the SKUs whose names and codes hold the words of `q`; a page is counted
    in SKUs and has one row per location that ever kept the SKU. Locations outside the caller's scope are left out.
    """
    places = await _visible(work, location)
    if sku:
        cards = await catalog.by_skus(work.tx, sorted(set(sku)))
        return Page(await _rows(work.tx, {card.id: card.sku for card in cards}, places))
    size = paging.bounded(limit)
    after = paging.position(cursor, "stock", (str,))
    found = await catalog.variant_page(work.tx, query=q, after=after[0] if after else "", limit=size + 1)
    page = paging.page_of(found, size, "stock", lambda row: (row.sku,))
    return Page(await _rows(work.tx, {row.id: row.sku for row in page.items}, places), page.next)


async def _visible(work: Work, location: str | None) -> dict[int, str]:
    """Return the codes of the locations to show, by id.

    Raises:
        UnknownLocation: `location` does not exist, or is not the caller's to see.
    """
    if location is None:
        return {place.id: place.code for place in await network.locations(work.tx) if work.actor.sees(place.id)}
    place = await network.location_by_code(work.tx, location)
    if place is None or not work.actor.sees(place.id):
        raise UnknownLocation(key=location)
    return {place.id: place.code}


async def _rows(tx: Tx, skus: dict[int, str], places: dict[int, str]) -> list[StockRow]:
    found = await reads.availability_rows(tx, sorted(skus), sorted(places))
    # Thousands of rows are usual: each is touched once, in the order of the codes.
    by_sku: dict[int, list[StockRow]] = {id_: [] for id_ in sorted(skus, key=skus.__getitem__)}
    rank = {id_: at for at, id_ in enumerate(sorted(places, key=places.__getitem__))}
    found.sort(key=lambda row: rank[row[1]])
    for sku_id, location_id, *quantities in found:
        row = StockRow(skus[sku_id], places[location_id], *quantities)
        by_sku[sku_id].append(row)
    return [row for rows in by_sku.values() for row in rows]


@query("/stock/{sku:str}/{location:str}/movements", permission="stock:read", tag=TAG)
async def list_movements(
    work: Work,
    sku: str,
    location: str,
    bucket: Bucket = Bucket.SELLABLE,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[LedgerRow]:
    """List what moved a balance, the newest first: the ledger it is the sum of.

    `bucket` is that of goods that are there, or on their way, and may not be sold: their ledger is one of its own, with
    what moved them in `d_on_hand`.
    """
    (place_id,) = await _visible(work, location)
    cards = await catalog.by_skus(work.tx, [sku])
    if not cards:
        raise UnknownBalance(keys=sku)
    size = paging.bounded(limit)
    after = paging.position(cursor, "movements", (datetime, int))
    before, before_id = after or (None, None)
    rows = await reads.ledger(
        work.tx, cards[0].id, place_id, before=before, before_id=before_id, limit=size + 1, bucket=bucket.value
    )
    return paging.page_of(rows, size, "movements", lambda row: (row.recorded_at, row.id))


@query("/stock/{sku:str}/movements", permission="stock:read", tag=TAG)
async def list_sku_movements(
    work: Work,
    sku: str,
    *,
    bucket: Bucket = Bucket.SELLABLE,
    owner: Code | None = None,
    reason: Reason | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[PlacedLine]:
    """List what moved a SKU at the caller's locations, the newest first, each with what was on hand there after it.

    `bucket` is that of goods that are there, or on their way, and may not be sold: what moved them, and how many
    there were after it. `owner` is whose goods the locations keep: the code of an establishment, or the first eight
    digits of a company's CNPJ for all of its establishments. `since` and `until`, which is exclusive, are about
    when it was recorded.
    """
    cards = await catalog.by_skus(work.tx, [sku])
    if not cards:
        raise UnknownBalance(keys=sku)
    size = paging.bounded(limit)
    after = paging.position(cursor, "sku-movements", (datetime, int))
    owned = await owned_by(work, owner)
    if owned is None:
        owned = tuple(place.id for place in await network.locations(work.tx) if work.actor.sees(place.id))
    asked = LedgerAsked(sku_id=cards[0].id, location_ids=owned, bucket=bucket, reason=reason, since=since, until=until)
    rows = await balance_reads.ledger(work.tx, asked, before=after, limit=size + 1)
    return paging.page_of(rows, size, "sku-movements", lambda row: (row.recorded_at, row.id))


@command("/stock:set", permission="stock:write", tag=TAG)
async def set_stock(work: Work, data: StockStatement) -> SetReply:
    """State physical quantities; the ledger gets the differences. The last of a repeated SKU and location counts.

    An item of an earlier moment (`occurred_at`) than the last one of which the balance was stated changes nothing: it
    is in `kept`, with what stands and since when.
    """
    keys = await _keys(work, data.items)
    claims = _claims(keys, data.items)
    done = await service.state_on_hand(
        work.tx, claims, Reference("api", text=data.reference), Reason(data.reason), data.occurred_at
    )
    reply = await _replied(work.tx, "set", keys, data, done.deficits)
    stands = {(kept.sku_id, kept.location_id): kept for kept in done.kept}
    kept_rows = [
        KeptRow(
            item=i, sku=item.sku, location=keys.location_of[kept.location_id], on_hand=kept.on_hand, since=kept.since
        )
        for i, (item, claim) in enumerate(zip(data.items, claims, strict=True))
        if (kept := stands.get((claim.sku_id, claim.location_id))) is not None
    ]
    return SetReply(reply.deficits, kept_rows)


@command("/stock:adjust", permission="stock:write", tag=TAG)
async def adjust_stock(work: Work, data: StockChange) -> StockReply:
    """Correct physical quantities by differences, with the reason."""
    keys = await _keys(work, data.items)
    left = await service.adjust(
        work.tx, _claims(keys, data.items), Reason(data.reason), Reference("api", text=data.reference), data.occurred_at
    )
    return await _replied(work.tx, "adjust", keys, data, left)


@command("/stock:receive", permission="stock:write", tag=TAG)
async def receive_stock(work: Work, data: Receipt) -> StockReply:
    """Add goods that arrived."""
    keys = await _keys(work, data.items)
    left = await service.receive(
        work.tx, _claims(keys, data.items), Reference("api", text=data.reference), data.occurred_at
    )
    return await _replied(work.tx, "receive", keys, data, left)


@command("/stock:safety", permission="stock:write", tag=TAG)
async def set_safety(work: Work, data: SafetyStatement) -> None:
    """State how many units to keep back from being promised."""
    keys = await _keys(work, data.items)
    last = {(claim.sku_id, claim.location_id): claim for claim in _claims(keys, data.items)}
    await service.set_safety(work.tx, [last[key] for key in sorted(last)])
    facts = {"items": [f"{item.sku} {item.location} {item.quantity}" for item in data.items[:100]]}
    await audit.record(work.tx, action="set_safety", entity="stock", entity_id="-", after=facts)


@command("/holds", permission="intake:submit", status=201, tag=TAG)
async def hold_stock(work: Work, data: NewHold) -> HoldPlaced:
    """Hold units for a cart or a payment, all of them or none.

    An order with the same `hold_reference` takes the units over. A hold that is over gives its units back by itself.
    More of a SKU than the channel takes unasked is not held: its order would wait for a person. Nor is what
    `GET /v1/availability` does not offer the channel: at a location that takes no work now, serves other channels or
    keeps goods of an owner whose goods the channel does not sell.
    """
    refuse(list(check_addressable("reference", data.reference, MOST_REFERENCE)))
    keys = await _keys(work, data.items, kits=True)
    channel_id = None
    if data.channel is None and data.customer_group is not None:
        refuse([Flaw("channel", GROUP_OF_NO_CHANNEL)])
    if data.channel is not None:
        channels = {channel.code: channel for channel in await network.channels(work.tx)}
        if data.channel not in channels:
            raise UnknownChannel(key=data.channel)
        channel_id = channels[data.channel].id
        _refuse_too_many(data.items, channels[data.channel].most_units)
        await _refuse_not_sold(work.tx, keys, data.items, data.channel)
    seconds = data.seconds
    if data.tender is not None:
        awaited = Awaited(kind=data.tender.value, created_at=now(), expires_at=data.expires_at)
        seconds = await deadlines.seconds_for(work.tx, awaited, channel_id or 0)
    short = await service.place_hold(
        work.tx,
        data.reference,
        [claim for item in data.items for claim in _parts(keys, item)],
        seconds=seconds,
        channel_id=channel_id,
        customer_group=data.customer_group,
    )
    if short:
        raise await _not_enough(work.tx, keys, data.items, short)
    return HoldPlaced(data.reference, seconds)


def _refuse_too_many(items: Sequence[HeldItem], most: int | None) -> None:
    """Refuse more of a SKU, wherever it is held, than an order of the channel may have before a person looked at it.

    Raises:
        TooManyUnits: there is more of some.
    """
    many = gate.beyond(((item.sku, item.quantity) for item in items), most)
    if many:
        problems = [
            {
                "at": f"/items/{i}/quantity",
                "says": OVER_MOST_UNITS,
                "facts": {"sku": item.sku, "most_units": most, "asked": many[item.sku]},
            }
            for i, item in enumerate(items)
            if item.sku in many
        ]
        raise TooManyUnits(most_units=most, skus=many, count=len(many), problems=problems)


async def _refuse_not_sold(tx: Tx, keys: Keys, items: Sequence[HeldItem], channel: str) -> None:
    """Refuse to hold for a channel what an order of it could not have: its cart would believe in goods kept for it.

    Raises:
        NotEnoughStock: there is some.
    """
    reference = await reference_in(tx)
    places = availability.places_of(reference, reference.channels[channel], None)
    sold = {reference.network.location_ids[index] for index in places}
    problems = [
        {
            "at": f"/items/{i}/quantity",
            "says": N_("Channel {channel} sells nothing of {sku} from {location} now."),
            "facts": {"channel": channel, "sku": item.sku, "location": item.location, "free": 0},
        }
        for i, item in enumerate(items)
        if any(
            part.location_id not in sold or part.location_id in reference.frozen.get(part.sku_id, ())
            for part in _parts(keys, item)
        )
    ]
    if problems:
        raise NotEnoughStock(count=len(problems), problems=problems)


def _parts(keys: Keys, item: HeldItem) -> list[Claim]:
    """Return what of an item is kept: of a kit its components."""
    place = keys.locations[item.location, item.owner]
    parts = keys.kits.get(item.sku, {keys.skus[item.sku]: 1})
    return [Claim(sku_id, place, item.quantity * each) for sku_id, each in parts.items()]


async def _not_enough(tx: Tx, keys: Keys, items: Sequence[HeldItem], short: Sequence[Shortfall]) -> NotEnoughStock:
    lacks = {(s.sku_id, s.location_id): s for s in short}
    sku_of = {card.id: card.sku for card in await catalog.by_ids(tx, [s.sku_id for s in short])} if keys.kits else {}
    problems: list[dict[str, Any]] = []
    for i, item in enumerate(items):
        for part in _parts(keys, item):
            lack = lacks.get((part.sku_id, part.location_id))
            if lack is None:
                continue
            facts: dict[str, Any] = {"free": lack.free}
            says = N_("The cap {cap} lets only {free} more be sold.") if lack.cap else N_("Only {free} are free.")
            facts |= {"cap": lack.cap} if lack.cap else {}
            if item.sku in keys.kits:
                says = N_("Of the component {sku} only {free} are free, {asked} are needed.")
                if lack.cap:
                    says = N_("Of the component {sku} the cap {cap} lets only {free} more be sold, {asked} are needed.")
                facts |= {"sku": sku_of[part.sku_id], "asked": lack.asked}
            problems.append({"at": f"/items/{i}/quantity", "says": says, "facts": facts})
    return NotEnoughStock(count=len({problem["at"] for problem in problems}), problems=problems)


@command("/holds/{reference:str}/extend", permission="intake:submit", tag=TAG)
async def extend_stock_hold(work: Work, reference: str, data: HoldTime) -> HoldExtended:
    """Make a hold last at least so long from now; it is never shortened."""
    return HoldExtended(reference, await service.extend_hold(work.tx, reference, seconds=data.seconds))


@command("/holds/{reference:str}/release", permission="intake:submit", tag=TAG)
async def release_stock_hold(work: Work, reference: str) -> None:
    """Let a hold go before its time. One that is over already is no error."""
    await service.release_hold(work.tx, reference)


@query("/stock/settlement", permission="stock:read", tag=TAG)
async def list_settlement(
    work: Work,
    since: Instant,
    until: Instant,
    owner: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[Settled]:
    """List what left of each owner's goods from `since` until before `until`, by owner, SKU and location.

    Units are those of the ledger: shipped or handed over, recorded in that time. `value` is what customers paid for
    them in minor units, without the `unpriced` ones: components of kits, and what was reported without an order.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "settlement", (str, str, str, str))
    scope = work.actor.scope
    rows = await settlements.settlement(work.tx, since, until, owner=owner, scope=scope, after=after, limit=size + 1)
    return paging.page_of(rows, size, "settlement", lambda row: row.place)


handlers = [
    list_settlement,
    list_stock,
    list_movements,
    list_sku_movements,
    set_stock,
    adjust_stock,
    receive_stock,
    set_safety,
    hold_stock,
    extend_stock_hold,
    release_stock_hold,
]
