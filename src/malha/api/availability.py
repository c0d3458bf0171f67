"""Availability: what a channel may sell now, SKU by SKU or a whole basket, and what it may publish."""

import hashlib
import time
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.intake import availability, promised, substituting
from malha.intake.availability import Availability, Basket, BasketLine, Offer
from malha.intake.errors import UnknownChannel
from malha.intake.pages import PromisePages, Wish, as_of
from malha.intake.reference import Card, Reference, reference_in
from malha.inventory.allotments.model import Taker
from malha.inventory.errors import UnknownBalance
from malha.network import reads as network
from malha.network.errors import UnknownLocation
from malha.network.model import Channel
from malha.network.ownership import UnknownLocationGroup
from malha.network.places import Place, locate
from malha.platform.brazil import STATES
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import new_id
from malha.promising.model import Options, PagePromise

TAG = "availability"
Code = Annotated[str, Meta(min_length=1, max_length=80)]
Group = Annotated[str, Meta(min_length=1, max_length=80)]


class AskedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a SKU or kit wanted."""

    sku: Code
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]


Value = Annotated[int, Meta(ge=0, lt=2**53)]


class AskedBasket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A basket and where it would go: to a postal code or a state, or collected at a location.

    `value` is what its order would come to: items less discounts, with shipping, in minor units of the channel's
    currency. Routing rules that ask for a value, or for a distance, take no basket without it, or without a postal
    code.
    """

    channel: Code
    lines: Annotated[list[AskedLine], Meta(min_length=1, max_length=200)]
    method: Literal["ship", "pickup"] = "ship"
    to_state: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    pickup_location: Code | None = None
    postal_code: Annotated[str, Meta(max_length=20)] | None = None
    customer_group: Group | None = None
    value: Value | None = None


def _channel(reference: Reference, code: str) -> Channel:
    found = reference.channels.get(code)
    if found is None or not found.active:
        problem = {"at": "/channel", "says": UnknownChannel.says, "facts": {"channel": code}}
        raise UnknownChannel(channel=code, count=1, problems=[problem])
    return found


@query("/availability", permission="stock:read", tag=TAG)
async def show_availability(
    work: Work,
    channel: str,
    sku: Annotated[list[str], Meta(min_length=1, max_length=200)],
    location: Annotated[list[str], Meta(max_length=500)] | None = None,
    location_group: str | None = None,
    customer_group: Annotated[str, Meta(min_length=1, max_length=80)] | None = None,
) -> Availability:
    """Return what a channel may sell of SKUs (`sku=A&sku=B`), per location, kits from their components.

    `available` is what an order may have: common stock, the channel's fences and what it may borrow, within its caps.
    `published` keeps back what safety rules say for the channel. Locations that may not serve the channel, whose goods
    it does not sell, or outside the caller's scope are left out. `at` has (index into `locations`, available,
    published) for every location with units; the totals may be less than their sum where a cap covers several.
    `ahead` lists what may be promised from supply beyond that, by day, where the SKU may be sold ahead on the channel.
    Of a SKU that is no longer sold nothing is available. `most_units` is how many of one SKU one order may have without
    waiting for a person.
    Of a SKU of which nothing is available, `substitutes` says what its product names instead and the channel may sell
    now.
    """
    reference = await reference_in(work.tx)
    of = _channel(reference, channel)
    cards = await reference.cards(work.tx, set(sku))
    retired = await _retired(work, set(sku) - cards.keys())
    only = await _places(work, reference, location, location_group)
    found = await availability.offers(work.tx, reference, of, cards, customer_group=customer_group, only=only)
    none_left = {cards[offer.sku].id for offer in found.skus if not offer.available}
    instead = (
        await substituting.available(work.tx, reference, of, none_left, customer_group=customer_group, only=only)
        if none_left
        else {}
    )
    offers = [msgspec.structs.replace(offer, substitutes=instead.get(cards[offer.sku].id, [])) for offer in found.skus]
    return msgspec.structs.replace(found, skus=[*offers, *(Offer(each, 0, 0, [], []) for each in retired)])


async def _retired(work: Work, skus: set[str]) -> list[str]:
    """Return SKUs that are there and no longer sold: of these nothing is available.

    Raises:
        UnknownBalance: some are not there.
    """
    there = {card.sku for card in await catalog.by_skus(work.tx, sorted(skus))} if skus else set()
    unknown = sorted(skus - there)
    if unknown:
        raise UnknownBalance(keys=", ".join(unknown))
    return sorted(there)


async def _places(
    work: Work, reference: Reference, codes: list[str] | None, group: str | None
) -> frozenset[int] | None:
    """Return the locations to look at; None: all."""
    wanted = codes
    if group is not None:
        found = await network.location_groups(work.tx, [group])
        if not found:
            raise UnknownLocationGroup(key=group)
        wanted = [code for code in found[0].locations if codes is None or code in codes]
    if wanted is None:
        if work.actor.locations is None:
            return None
        return frozenset(id_ for id_ in reference.network.location_ids if work.actor.sees(id_))
    for code in wanted:
        hidden = codes is not None and code in reference.locations and not work.actor.sees(reference.locations[code])
        if code not in reference.locations or hidden:  # what is out of sight is not there
            raise UnknownLocation(key=code)
    return frozenset(id_ for code in wanted if work.actor.sees(id_ := reference.locations[code]))


@command("/availability:check", permission="stock:read", idempotent=False, tag=TAG)
async def check_basket(work: Work, data: AskedBasket) -> Basket:
    """Tell whether an order for a whole basket would find all its units now, and how many of each line.

    The basket is planned as an order would be: all lines on their sum, kits whole at one location, fences, caps,
    services and capacity included; what finds no stock is looked for in supply where it may be sold ahead. Nothing is
    held; place a hold to keep units that are there. A line that is not available in full names its substitutes that
    are. A basket with more of a SKU than the channel takes unasked is not available: `reasons` says of what, and how
    many may be bought.
    """
    reference = await reference_in(work.tx)
    of = _channel(reference, data.channel)
    cards = await reference.cards(work.tx, {line.sku for line in data.lines})
    flaws = _unknown_skus(data.lines, cards)
    pickup, state = None, data.to_state
    if data.method == "pickup":
        pickup = reference.locations.get(data.pickup_location or "")
        if pickup is None:
            says = N_("There is no location {location}.")
            flaws.append(Flaw("pickup_location", says, facts={"location": data.pickup_location}))
    else:
        _place, state, wrong = _destination(data.postal_code, data.to_state)
        flaws += wrong
        if state is None:
            flaws.append(Flaw("to_state", N_("There is no state {state}."), facts={"state": None}))
    refuse(flaws)
    taker = Taker(of.id, data.customer_group)
    wanted = [(cards[line.sku], line.quantity) for line in data.lines]
    request = availability.basket_request(new_id(), taker, wanted, to_state=state, pickup=pickup)
    now = await work.tx.now()
    found, ahead, caps = await availability.check(
        work.tx,
        reference,
        taker,
        request,
        [c for c, _ in wanted],
        now,
        postal_code=data.postal_code,
        value=data.value,
    )
    short = {cards[line.sku].id for n, line in enumerate(data.lines, 1) if found.get(n, 0) < line.quantity}
    only = None if pickup is None else {pickup}
    instead = (
        await substituting.available(work.tx, reference, of, short, customer_group=data.customer_group, only=only)
        if short
        else {}
    )
    lines = []
    for n, line in enumerate(data.lines, 1):
        units, day = ahead.get(n, (0, None))
        others = instead.get(cards[line.sku].id, [])
        lines.append(BasketLine(n, line.sku, line.quantity, found.get(n, 0), units, day, others))
    reasons = promised.not_promised(of, [(line.sku, line.quantity) for line in data.lines])
    there = not reasons and all(line.available == line.asked for line in lines)
    covered = not reasons and all(line.available + line.ahead == line.asked for line in lines)
    return Basket(there, lines, caps, covered, reasons)


class AskedPromise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A basket, or one SKU of a product page, and where its customer is: a postal code, or a state at least.

    `value`: as of `AskedBasket`.
    """

    channel: Code
    lines: Annotated[list[AskedLine], Meta(min_length=1, max_length=200)]
    postal_code: Annotated[str, Meta(max_length=20)] | None = None
    to_state: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    customer_group: Group | None = None
    value: Value | None = None


@command("/promises", permission="stock:read", idempotent=False, tag=TAG)
async def promise_basket(work: Work, data: AskedPromise) -> Options:
    """Return how a basket can reach its customer now: deliveries with dates and prices, places to fetch it and when.

    Each option is planned as its order would be: stock, fences, caps, cut-offs, opening hours, holidays, closures and
    capacity included. What has no stock is offered from supply where the channel may sell it ahead, no more than is
    free of it, and said as such in `ahead` with the day from which it can go on. An order placed now with that service
    is promised the same, line by line: `promised_at` is the first day to keep, `complete_at` when all of it is there.
    Nothing is held. Of places that take appointments, the next free pickup slots once goods are ready. For more of a
    SKU than the channel takes unasked nothing is promised: `reasons` says of what, and how many may be bought.
    """
    reference = await reference_in(work.tx)
    of = _channel(reference, data.channel)
    cards = await reference.cards(work.tx, {line.sku for line in data.lines})
    flaws = _unknown_skus(data.lines, cards)
    _place, state, wrong = _destination(data.postal_code, data.to_state)
    refuse(flaws + wrong)
    reasons = promised.not_promised(of, [(line.sku, line.quantity) for line in data.lines])
    if reasons:
        return Options(deliveries=[], collections=[], reasons=reasons)
    return await promised.options(
        work.tx,
        reference,
        of,
        [(cards[line.sku], line.quantity) for line in data.lines],
        id_=new_id(),
        to_state=state,
        postal_code=data.postal_code,
        customer_group=data.customer_group,
        value=data.value,
    )


MOST_ON_A_PAGE = 24


@query("/promises", permission="stock:read", tag=TAG, transaction=False)
async def promise_page(
    work: Work,
    channel: Code,
    sku: Annotated[list[Code], Meta(min_length=1, max_length=MOST_ON_A_PAGE)],
    postal_code: Annotated[str, Meta(max_length=20)] | None = None,
    to_state: Annotated[str, Meta(min_length=2, max_length=2)] | None = None,
    quantity: Annotated[int, Meta(ge=1, le=1_000)] = 1,
    customer_group: Group | None = None,
) -> PagePromise:
    """Return what a product page may show of each SKU: deliveries with dates and prices, places to fetch it and when.

    As `POST /v1/promises` for each SKU alone, what is sold ahead included, but made to be asked for every page view:
    answers are kept and say `as_of` since when they are so, at most some three seconds. `ETag` and `Cache-Control` let
    a cache in front keep them for a moment too. `reasons`: as of a basket.
    """
    began = time.perf_counter()
    pages: PromisePages = work.services.extra["promise_pages"]
    place, state, wrong = _destination(postal_code, to_state)
    flaws = [msgspec.structs.replace(flaw, at=f"?{flaw.at}") for flaw in wrong]
    asked = list(dict.fromkeys(sku))

    async def wishes(reference: Reference) -> list[Wish]:
        of = _channel(reference, channel)
        cards = {code: reference.known[code] for code in asked if code in reference.known}
        if len(cards) < len(asked):
            async with work.transaction() as tx:
                cards = await reference.cards(tx, asked)
        says = N_("There is no SKU {sku}.")
        refuse([*flaws, *(Flaw("?sku", says, facts={"sku": code}) for code in asked if code not in cards)])
        return [Wish(of, cards[code], code, quantity, customer_group, state, place, postal_code) for code in asked]

    told = await pages.tell(wishes)
    items = b",".join([one.item for one in told])
    work.header("etag", f'"{hashlib.blake2b(items, digest_size=9).hexdigest()}"')
    work.header("cache-control", f"private, max-age={PAGE_MAX_AGE_S}")
    by = max((one.by for one in told), key=BY.index)
    work.header("server-timing", f'promise;desc="{by}";dur={(time.perf_counter() - began) * 1e3:.3f}')
    body = b'{"as_of":%b,"items":[%b]}' % (msgspec.json.encode(as_of(told)), items)
    return cast("PagePromise", body)


PAGE_MAX_AGE_S = 5
BY = ("kept", "planned", "read", "asked")


def _destination(postal_code: str | None, to_state: str | None) -> tuple[Place | None, str | None, list[Flaw]]:
    """Return where a postal code is and which state is meant, and what is wrong with them."""
    flaws = []
    place = None if postal_code is None else locate(postal_code)
    if postal_code is not None and place is None:
        says = N_("There is no postal code {code} in Brazil.")
        flaws.append(Flaw("postal_code", says, facts={"code": postal_code}))
    state = to_state or (None if place is None else place.state)
    if state is not None and state not in STATES:
        flaws.append(Flaw("to_state", N_("There is no state {state}."), facts={"state": state}))
    elif place is not None and state != place.state:
        says = N_("The postal code {code} is in {state}.")
        flaws.append(Flaw("to_state", says, facts={"code": postal_code, "state": place.state}))
    return place, state, flaws


def _unknown_skus(lines: list[AskedLine], cards: dict[str, Card]) -> list[Flaw]:
    return [
        Flaw(f"lines/{i}/sku", N_("There is no SKU {sku}."), facts={"sku": line.sku})
        for i, line in enumerate(lines)
        if line.sku not in cards
    ]


handlers = [show_availability, check_basket, promise_basket, promise_page]
