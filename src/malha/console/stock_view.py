"""How stock is drawn: a cell of the matrix, a movement, the line of the last days."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote
from zlib import crc32

import msgspec

from malha.console import render
from malha.console.stock_words import REASON
from malha.console.timeline import Names
from malha.inventory.balance_reads import PlacedLine
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Availability
from malha.platform import i18n
from malha.platform.i18n import _, n_
from malha.platform.ids import UUID

_HEAT = (1, 10, 50, 200, 500)  # from how many free units on a cell is one step darker


def address_of(sku: str, location: str = "") -> str:
    """Return the address of a SKU's stock, or of one balance."""
    return f"/stock/{quote(sku, safe='')}" + (f"/{quote(location, safe='')}" if location else "")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One balance in the matrix."""

    free: int
    tone: str  # classes of the number: m-mx-out, m-mx-low or nothing
    heat: int  # 0 to 5
    detail: str  # second line, short
    says: str  # all of it, for whoever hears the page
    place: str  # for paper, where the heads of the columns are not


def cell_of(stock: Availability, place: str) -> Cell:
    """Return a balance as it is drawn."""
    units = (stock.free, stock.on_hand, stock.allocated, stock.held, stock.safety)
    tone, heat, detail, says = _drawn(units, i18n.current_language())
    return Cell(free=stock.free, tone=tone, heat=heat, detail=detail, says=f"{place}: {says}", place=place)


@lru_cache(maxsize=8192)  # a page has a thousand cells, and most say what others say
def _drawn(units: tuple[int, int, int, int, int], language: str) -> tuple[str, int, str, str]:
    """Return tone, heat, second line and words of so many units: free, on hand, allocated, held, safety."""
    free, on_hand, allocated, held, safety = units
    tone = ""
    if free <= 0:
        tone = "m-mx-low" if safety and on_hand - allocated - held > 0 else "m-mx-out"
    with i18n.speaking(language):
        short = [render.figure(on_hand)]
        says = [_("{n} available", n=render.figure(free)), _("{n} on hand", n=render.figure(on_hand))]
        if allocated:
            short.append(_("{n}a", n=i18n.number(allocated)))
            says.append(n_("{n} allocated", "{n} allocated", allocated))
        if held:
            short.append(_("{n}h", n=i18n.number(held)))
            says.append(n_("{n} held", "{n} held", held))
        if safety:
            says.append(_("{n} safety stock", n=i18n.number(safety)))
    return tone, sum(free >= step for step in _HEAT), " · ".join(short), ", ".join(says)


def mark_of(stock: Iterable[Availability]) -> str:
    """Return what a page remembers of balances it shows: another mark means that one of them changed."""
    facts = sorted((s.location_id, s.on_hand, s.allocated, s.held, s.safety, s.free) for s in stock)
    facts = [fact for fact in facts if any(fact[1:])]  # an empty balance is none
    return f"{crc32(repr(facts).encode()):08x}"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A movement as it is drawn."""

    id: int
    at: datetime
    when: str
    what: str
    about: str
    href: str
    who: str
    on_hand: int  # its change
    allocated: int
    held: int
    after: int
    location: str  # code
    place: str
    place_href: str
    owner: str  # whose goods are there


def line_of(row: PlacedLine, sku: str, bucket: Bucket, orders: Mapping[UUID, int], names: Names) -> Line:
    """Return a movement in a bucket as it is drawn; `orders` are the numbers of the orders it may be about."""
    about, href = row.ref_text or "", ""
    if row.ref_kind == "order" and row.ref_id is not None and row.ref_id in orders:
        number = orders[row.ref_id]
        about, href = f"#{number}", f"/orders/{number}"
    elif row.ref_kind == "api" and not about:
        about = _("API")
    return Line(
        id=row.id,
        at=row.recorded_at,
        when=render.moment(row.recorded_at),
        what=_(REASON.get(row.reason, row.reason)),
        about=about,
        href=href,
        who=names.actor(row.actor),
        on_hand=row.d_on_hand,
        allocated=row.d_allocated,
        held=row.d_held,
        after=row.on_hand,
        location=row.location,
        place=row.location_name,
        place_href=address_of(sku, row.location) + ("" if bucket is Bucket.SELLABLE else f"?bucket={bucket}"),
        owner=row.owner_name,
    )


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """Stock at the end of each day as a line that steps, in units of its own 100 by 30 box."""

    line: str  # path
    since: date
    area: str
    most: int
    least: int
    says: str


def plot_of(current: int, changes: Mapping[date, int], days: int, today: date) -> Plot:
    """Return the line of the last days: from what is there now, back through what changed."""
    ends = [current]
    for back in range(days - 1):
        ends.append(ends[-1] - changes.get(today - timedelta(days=back), 0))
    ends.reverse()
    most, least = max(*ends, 1), min(*ends, 0)
    scale = 28 / (most - least)
    step = 100 / (days - 1)
    points = [(round(i * step, 1), round(29 - (end - least) * scale, 1)) for i, end in enumerate(ends)]
    line = f"M{points[0][0]} {points[0][1]}" + "".join(f"H{x}V{y}" for x, y in points[1:])
    says = _(
        "{first} units {days} days ago, {last} now, at most {most}",
        first=i18n.number(ends[0]), days=days - 1, last=i18n.number(current), most=i18n.number(max(ends)),
    )  # fmt: skip
    return Plot(
        since=today - timedelta(days=days - 1),
        line=line,
        area=f"{line}V30H0Z",
        most=max(ends),
        least=min(ends),
        says=says,
    )
