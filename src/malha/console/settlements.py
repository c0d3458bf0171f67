"""Settlement by sales: what left of each owner's goods in a period, by owner and SKU, on a page and as a file."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.response import Response, Stream

from malha.console import export, render, shell, web
from malha.fulfillment import settlements
from malha.fulfillment.settlements import Settled
from malha.network import reads as network
from malha.network import retailer
from malha.ordering import listing
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.days import maybe_day
from malha.platform.db import Tx
from malha.platform.i18n import N_
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold

SEE = "stock:read"
SHOWN = 500
BATCH = 20_000
COLUMNS = (
    Column(N_("Owner")), Column(N_("Name"), width=28), Column(N_("Company"), width=34), Column(N_("SKU"), width=22),
    Column(N_("Product"), width=40), Column(N_("Location")), Column(N_("Currency")), Column(N_("Units"), Kind.WHOLE),
    Column(N_("Units without a price"), Kind.WHOLE), Column(N_("Paid by customers"), Kind.MONEY),
)  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address says: a period of days, and one owner or all. Nonsense in it is ignored."""

    since: date
    until: date
    owner: str = ""

    def address(self, path: str = "/stock-owners/settlement") -> str:
        """Return the address of this report under a path."""
        return web.address(path, self, {}, usual={})

    async def bounds(self, tx: Tx) -> tuple[datetime, datetime]:
        """Return the instants of the period on the retailer's calendar: two who read it owe an owner the same."""
        since, until = listing.day_bounds(self.since, self.until, await retailer.zone(tx))
        return since or now(), until or now()


class Total(NamedTuple):
    """What left of one owner's goods, in one currency; `share` of the largest, in percent."""

    owner: str
    name: str
    company: str
    currency: str
    units: int
    unpriced: int
    value: int
    share: int


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks; usually the month until today."""
    today = now().astimezone(ZoneInfo(i18n.current_zone())).date()

    def day(name: str, usual: date) -> date:
        return maybe_day(query.get(name)) or usual

    since = day("since", today.replace(day=1))
    return Asked(since=since, until=max(day("until", today), since), owner=query.get("owner", "")[:80])


def totals(rows: Sequence[Settled]) -> list[Total]:
    """Return the sums by owner and currency, the largest first."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        found = sums.setdefault((row.owner, row.currency), [row, 0, 0, 0])
        found[1] += row.units
        found[2] += row.unpriced
        found[3] += row.value
    most = max((units for _, units, _, _ in sums.values()), default=1) or 1
    return [
        Total(
            first.owner, first.owner_name, first.company, first.currency, units, unpriced, value,
            max(round(100 * units / most), 1),
        )
        for first, units, unpriced, value in sorted(sums.values(), key=lambda found: (-found[1], found[0].owner))
    ]  # fmt: skip


@get("/stock-owners/settlement", opt={"permission": SEE})
async def settlement_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show what left of each owner's goods in a period."""
    asked = asked_of(request.query_params)
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        since, until = await asked.bounds(tx)
        around = await shell.around(tx, request, "owners", here=asked.address())
        keepers = {place.keeps for place in await network.locations(tx) if scope is None or place.id in scope}
        owners = sorted((await network.establishments_by_id(tx, sorted(keepers))).values(), key=lambda e: fold(e.name))
        rows = await settlements.settlement(
            tx, since, until, owner=asked.owner or None, scope=scope, limit=settlements.MOST + 1
        )
    return render.html(
        "owners/settlement.html",
        shell=around,
        may=around.may,
        asked=asked,
        owners=[(e.code, e.name) for e in owners],
        totals=totals(rows),
        rows=rows[:SHOWN],
        more=len(rows) > SHOWN,
        partial=len(rows) > settlements.MOST,
        range=render.DASH.join([render.calendar_day(asked.since), render.calendar_day(asked.until)]),
        exports=export.choices(asked.address, "/stock-owners/settlement:export"),
    )


@get(export.paths("/stock-owners/settlement:export"), opt={"permission": SEE})
async def settlement_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the report as a file, all of it."""
    asked = asked_of(request.query_params)
    scope = shell.scope_of(web.caller_of(request))

    async def read(tx: Tx, after: tuple[str, str, str, str] | None) -> list[Settled]:
        since, until = await asked.bounds(tx)
        return await settlements.settlement(
            tx, since, until, owner=asked.owner or None, scope=scope, after=after, limit=BATCH
        )

    # Each page adds the whole period up: few large ones.
    pages = export.pages(request, read, lambda row: row.place, batch=BATCH)

    def cells(row: Settled) -> list[Any]:
        return [
            row.owner, row.owner_name, row.company, row.sku, row.name, row.location, row.currency, row.units,
            row.unpriced, row.value,
        ]  # fmt: skip

    return export.send(request, "settlement", COLUMNS, pages, cells)


HANDLERS = [settlement_page, settlement_export]
