"""What each channel can sell of a SKU now, at all locations and by group of locations, for a group of buyers, and why.

The numbers are those of `/v1/availability`, asked for in the same way; nothing is worked out a second time here.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Request, get
from litestar.params import FromPath, FromQuery
from litestar.response import Response

from malha.console import render, shell, web
from malha.intake import availability
from malha.intake.reference import Card, Reference, reference_in
from malha.inventory.allotments import groups, rules
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments.model import OWN, Taker
from malha.inventory.allotments.reads import FencedUnits
from malha.inventory.errors import UnknownBalance
from malha.network import reads as network
from malha.network.model import Channel, LocationStatus
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.i18n import _, n_
from malha.platform.text import fold
from malha.routing.lanes import barred
from malha.routing.model import Reason

MOST_CHANNELS = 16
MOST_GROUPS = 5


class Cell(NamedTuple):
    """Units a channel may sell at some locations, and how many of them it is shown."""

    available: int
    published: int


class Why(NamedTuple):
    """One reason for a channel's number; `href` leads to the record it comes from."""

    text: str
    href: str = ""
    limits: bool = False


class Line(NamedTuple):
    """One channel: its cells in the order of the columns, and why they are so."""

    code: str
    name: str
    cells: list[Cell]
    why: list[Why]


def _closed(reference: Reference, channel: Channel, only: Collection[int] | None) -> Counter[str]:
    door = reference.network.channels[channel.id]
    found: Counter[str] = Counter()
    for place in reference.network.places:
        if (only is not None and place.id not in only) or place.status == LocationStatus.CLOSED:
            continue
        if place.status != LocationStatus.ACTIVE:
            found["paused"] += 1
        elif not channel.may_use(place.id):
            found["channel"] += 1
        elif (reason := barred(place, door)) is not None:
            found["owner" if reason is Reason.OWNER else "issuer"] += 1
    return found


def _why(
    reference: Reference,
    channel: Channel,
    buyer: str | None,
    offer: availability.Offer,
    fences: list[FencedUnits],
    closed: Counter[str],
    now: datetime,
) -> list[Why]:
    said: list[Why] = []
    by_code: Counter[str] = Counter()
    for fence in fences:
        by_code[fence.code] += fence.remaining
    names = {fence.code: fence.name for fence in fences}
    codes = {fence.id: fence.code for fence in reference.allotments.fences}
    for source in rules.sources(reference.allotments, Taker(channel.id, buyer), now):
        code = codes[source.fence_id]
        if by_code[code]:
            facts = {"n": i18n.number(by_code[code]), "name": names[code]}
            own = _("{n} set apart in {name}", **facts)
            text = own if source.rank == OWN else _("{n} it may borrow from {name}", **facts)
            said.append(Why(text, f"/allotments/{quote(code, safe='')}"))
    said += [
        Why(_("cap {code} lets no more through", code=code), f"/allotments/{quote(code, safe='')}", True)
        for code in offer.caps
    ]
    if offer.published < offer.available:
        text = n_("{n} unit is not published", "{n} units are not published", offer.available - offer.published)
        said.append(Why(text, "/safety-rules?purpose=online", True))
    said += [Why(_closed_words(reason, count), limits=True) for reason, count in sorted(closed.items())]
    return said


def _closed_words(reason: str, count: int) -> str:
    match reason:
        case "paused":
            return n_("{n} location is paused", "{n} locations are paused", count)
        case "channel":
            return n_("{n} location does not serve it", "{n} locations do not serve it", count)
        case "owner":
            return n_("{n} location keeps goods it does not sell", "{n} locations keep goods it does not sell", count)
    return n_(
        "{n} location keeps goods its company cannot invoice",
        "{n} locations keep goods its company cannot invoice",
        count,
    )


async def _line(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    card: Mapping[str, Card],
    columns: list[frozenset[int] | None],
    buyer: str | None,
    fences: list[FencedUnits],
    now: datetime,
) -> Line:
    cells, first = [], None
    for only in columns:
        found = await availability.offers(tx, reference, channel, card, customer_group=buyer, only=only)
        (offer,) = found.skus
        first = first or offer
        cells.append(Cell(offer.available, offer.published))
    assert first is not None  # noqa: S101 -- there is always the column of all locations
    closed = _closed(reference, channel, columns[0])
    return Line(channel.code, channel.name, cells, _why(reference, channel, buyer, first, fences, closed, now))


@get("/stock/{sku:str}/channels", opt={"permission": "stock:read"})
async def sku_channels(
    request: Request[Any, Any, Any], sku: FromPath[str], buyer: FromQuery[str] = ""
) -> Response[str]:
    """Show what each channel can sell of a SKU, as a page, or as the part of the SKU's page that asks for it."""
    scope = web.caller_of(request).locations
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock")
        reference = await reference_in(tx)
        card = await reference.cards(tx, {sku})
        if sku not in card:
            raise UnknownBalance(keys=sku)
        buyers = [(g.code, g.name) for g in await groups.groups(tx)]
        chosen = buyer if buyer in {code for code, _name in buyers} else ""
        every = sorted(
            (c for c in reference.channels.values() if c.active), key=lambda c: (c.priority, fold(c.name), c.code)
        )
        grouped = [
            (g, frozenset(id_ for code in g.locations if _seen(id_ := reference.locations.get(code), scope)))
            for g in await network.location_groups(tx)
        ]
        grouped = [(g, places) for g, places in grouped if places]
        columns: list[frozenset[int] | None] = [scope, *(_ids(places) for _g, places in grouped[:MOST_GROUPS])]
        fences = [
            f for f in await allotments.fences_on(tx, card[sku].stocked) if scope is None or f.location_id in scope
        ]
        now = await tx.now()
        lines = [
            await _line(tx, reference, channel, card, columns, chosen or None, fences, now)
            for channel in every[:MOST_CHANNELS]
        ]
    part = web.wants_part(request) and request.headers.get("hx-target") == "selling-body"
    return render.html(
        "stock/selling_body.html" if part else "stock/selling.html",
        shell=around,
        may=around.may,
        sku=sku,
        name=card[sku].name,
        kit=card[sku].components is not None,
        lines=lines,
        groups=[g for g, _places in grouped[:MOST_GROUPS]],
        left_out=max(0, len(every) - MOST_CHANNELS),
        groups_left_out=max(0, len(grouped) - MOST_GROUPS),
        buyers=buyers,
        buyer=chosen,
    )


def _seen(id_: int | None, scope: Collection[int] | None) -> bool:
    return id_ is not None and (scope is None or id_ in scope)


def _ids(places: frozenset[int | None]) -> frozenset[int]:
    return frozenset(id_ for id_ in places if id_ is not None)


HANDLERS = [sku_channels]
