"""Prices of stock, on screen: how the last runs went, each price with what it rests on, a run now, on and off."""

from typing import Any, ClassVar, NamedTuple

from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, filling, plots, render, shell, web
from malha.console.words import Sign
from malha.network import reads as network
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.settings import Settings
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold
from malha.routing import price_state
from malha.routing.price_process import EVERY_S
from malha.routing.price_state import Going, Place, Price, Run, State, Wanted, Why
from malha.routing.prices import HORIZON_DAYS, LEAST_BASKETS, LEAST_SAVING

SEE, CHANGE = "network:read", "network:write"
PATH = "/stock-prices"
PAGE_SIZE = 50
MOST_INT = 2**31 - 1
SIGNS = {
    Why.USED: Sign(N_("In force"), "done", "done"),
    Why.WITHDRAWN: Sign(N_("No longer in force"), "neutral", "dash"),
    Why.FEW_BASKETS: Sign(N_("Too few orders"), "wait", "dash"),
    Why.NOTHING_AT_RISK: Sign(N_("Nothing may run out"), "neutral", "dash"),
    Why.NO_SAVING: Sign(N_("Saves too little"), "neutral", "dash"),
    Why.FAILED: Sign(N_("Failed"), "fail", "fail"),
}
GOING = {
    Going.ASKED: Sign(N_("Waiting"), "wait", "dash"),
    Going.RUNNING: Sign(N_("Running"), "work", "move"),
    Going.OFF: Sign(N_("Turned off"), "neutral", "pause"),
    Going.OFF_BY_SETTING: Sign(N_("Turned off by setting"), "neutral", "pause"),
}
METHODS = {
    "programme": N_("Linear programme"),
    "closed_form": N_("Closed form, without a solver"),
    "none": N_("None"),
}


class Asked(web.Terms, frozen=True, kw_only=True):
    """What an address says; nonsense in it is ignored."""

    PATH: ClassVar[str] = PATH

    q: str = ""
    location: str = ""

    @property
    def filtered(self) -> bool:
        """Return whether the list is narrowed."""
        return bool(self.q or self.location)

    @property
    def wanted(self) -> Wanted:
        """Return which prices are asked for."""
        return Wanted(text=self.q, location=self.location)


class Row(NamedTuple):
    """A price as it is drawn: `share` of the highest in percent, the `change` since the run before, and its `tone`."""

    price: Price
    share: float
    change: str
    tone: str


class Panel(NamedTuple):
    """How prices stand: a sign, a sentence, what the last run said of itself, and what may be done."""

    sign: Sign | None
    sentence: str
    problem: str
    facts: list[tuple[str, str, str]]  # name, value, note
    busy: bool
    waits: bool  # for the worker to begin
    on: bool
    may_run: bool
    may_turn: bool


def _place_in(text: str) -> tuple[int, Place] | None:
    """Return the version and place that an address goes on from; None where it says none."""
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        return None
    version, price, sku, location = map(int, parts)
    return (version, (price, sku, location)) if max(version, sku, location) <= MOST_INT else None


def panel_of(found: State, *, may_change: bool) -> Panel:
    """Return how prices stand, in words."""
    last, going = found.last, found.going
    sign = GOING.get(going) or (None if last is None else SIGNS[last.why])
    on = going not in {Going.OFF, Going.OFF_BY_SETTING}
    return Panel(
        sign=sign,
        sentence=_sentence(found),
        problem=last.problem if last is not None and on else "",
        facts=[] if last is None else _facts(last),
        busy=going in {Going.ASKED, Going.RUNNING},
        waits=going is Going.ASKED,
        on=on,
        may_run=may_change and going is Going.ON,
        may_turn=may_change and going is not Going.OFF_BY_SETTING,
    )


def _sentence(found: State) -> str:
    last = found.last
    if found.going is Going.OFF:
        return _("A person turned prices of stock off: every order takes its cheapest location.")
    if found.going is Going.OFF_BY_SETTING:
        return _("The setting MALHA_STOCK_PRICES says false: every order takes its cheapest location.")
    if last is None:
        return n_(
            "The worker makes them every {n} minute.", "The worker makes them every {n} minutes.", round(EVERY_S / 60)
        )
    return _came_to(last)


def _came_to(last: Run) -> str:
    saving = i18n.percent(last.saving, decimals=1)
    match last.why:
        case Why.USED:
            return _("Routing counts these prices. On past orders they save {saving} of the cost.", saving=saving)
        case Why.WITHDRAWN:
            return _("These prices no longer count; the next run makes new ones.")
        case Why.FEW_BASKETS:
            return _(
                "Of the last four weeks {known} orders can be used; from {needed} on there are prices.",
                known=i18n.number(last.baskets),
                needed=i18n.number(LEAST_BASKETS),
            )
        case Why.NOTHING_AT_RISK:
            return _(
                "No SKU may run out at a location in the next {n} days, so none needs a price.", n=int(HORIZON_DAYS)
            )
        case Why.NO_SAVING:
            return _(
                "On past orders these prices save {saving} of the cost, less than {least}: routing leaves them out.",
                saving=saving,
                least=i18n.percent(LEAST_SAVING, decimals=1),
            )
        case Why.FAILED:
            return _("The last run failed, so no price counts: every order takes its cheapest location.")


def _facts(last: Run) -> list[tuple[str, str, str]]:
    seconds = n_("it took {n} second", "it took {n} seconds", max(1, round(last.seconds)))
    version = _("version {n}", n=i18n.number(last.version))
    facts = [(_("Last run"), render.moment(last.made_at), f"{version}, {seconds}")]
    if last.method == "none":
        return facts
    note = "" if last.bound_gap is None else _("{share} from its bound", share=i18n.percent(last.bound_gap, decimals=2))
    at_risk = _("not counted") if last.at_risk is None else i18n.number(last.at_risk)
    return [
        *facts,
        (_("Solved by"), _(METHODS[last.method]), note),
        (_("SKUs at risk"), at_risk, _("more expected than is there")),
        (_("Prices"), i18n.number(last.prices), n_("of {n} SKU", "of {n} SKUs", last.skus)),
        (
            _("Saving on past orders"),
            i18n.percent(last.saving, decimals=1),
            n_("{n} order looked at", "{n} orders looked at", last.baskets),
        ),
    ]


def row_of(price: Price, most: int, *, compared: bool) -> Row:
    """Return a price as it is drawn; `compared`: whether there was a run before."""
    if price.before is None:
        change, tone = (_("new"), "new") if compared else ("", "")
    else:
        difference = price.price - price.before
        sign = "+" if difference > 0 else ""
        change = f"{sign}{i18n.money(difference)}" if difference else ""
        tone = "up" if difference > 0 else "down" if difference < 0 else ""
    return Row(price, round(100 * price.price / most, 1) if most else 0.0, change, tone)


@get(PATH, opt={"permission": SEE})
async def stock_prices_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show how the last runs went, and the prices of the newest, the highest first."""
    asked = Asked.of(request.query_params)
    settings: Settings = request.app.state.services.settings
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock_prices", here=asked.address(after=asked.after))
        found = await price_state.state(tx, by_setting=settings.stock_prices)
        went_on = _place_in(asked.after)
        version = went_on[0] if went_on else (found.last.version if found.last else 0)
        after = went_on[1] if went_on else None
        prices = await price_state.listed(tx, version, asked.wanted, after=after, limit=PAGE_SIZE + 1)
        total, most = await price_state.counted(tx, version, asked.wanted)
        places = sorted(await network.locations(tx), key=lambda p: fold(p.name))
    shown = prices[:PAGE_SIZE]
    more = ""
    if len(prices) > PAGE_SIZE:
        more = f"{version}.{shown[-1].price}.{shown[-1].sku_id}.{shown[-1].location_id}"
    return render.html(
        "stock_prices/page.html",
        shell=around,
        may=around.may,
        asked=asked,
        panel=panel_of(found, may_change=web.caller_of(request).may(CHANGE)),
        runs=[(run, SIGNS[run.why], _(METHODS[run.method])) for run in found.runs],
        plot=_plot(found.runs),
        rows=[row_of(price, most, compared=len(found.runs) > 1) for price in shown],
        total=total,
        days=int(HORIZON_DAYS),
        places=[(place.code, place.name) for place in places],
        first=asked.address(after="") if asked.after else "",
        next=asked.address(after=more) if more else "",
        here=asked.address(after=asked.after),
        exports=export.choices(asked.address, f"{PATH}:export"),
        percent=i18n.percent,
    )


def _plot(runs: list[Run]) -> plots.Days | None:
    """Return the bars of how many prices each of the last runs came to, the oldest first; None of fewer than two."""
    return plots.days([run.prices for run in reversed(runs)], []) if len(runs) > 1 else None


@post(f"{PATH}:run", opt={"permission": CHANGE}, status_code=200)
async def stock_prices_run(request: Request[Any, Any, Any]) -> Response[Any]:
    """Have the worker price stock now.

    Raises:
        SharedByAll, PricesOff: see `price_state.run_now`.
    """
    settings: Settings = request.app.state.services.settings
    async with web.writing(request) as tx:
        await price_state.run_now(tx, by_setting=settings.stock_prices)
    return web.go_on(request, PATH, _("The worker prices stock as soon as it can"))


@post(f"{PATH}:turn", opt={"permission": CHANGE}, status_code=200)
async def stock_prices_turn(request: Request[Any, Any, Any]) -> Response[Any]:
    """Turn prices of stock on or off.

    Raises:
        SharedByAll: the caller is limited to some locations.
    """
    on = filling.filled(await request.form()).text("on", 1) == "1"
    async with web.writing(request) as tx:
        await price_state.turn(tx, on=on)
    return web.go_on(request, PATH, _("Prices of stock are turned on") if on else _("Prices of stock are turned off"))


COLUMNS = (
    Column(N_("SKU")), Column(N_("Product"), width=30), Column(N_("Location")), Column(N_("Name"), width=26),
    Column(N_("Price"), Kind.MONEY), Column(N_("Price in the run before"), Kind.MONEY),
    Column(N_("Free units"), Kind.WHOLE), Column(N_("Expected in orders that are sent")),
    Column(N_("Expected to be fetched there")),
)  # fmt: skip


@get(export.paths(f"{PATH}:export"), opt={"permission": SEE})
async def stock_prices_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered prices of the newest run as a file."""
    asked = Asked.of(request.query_params)
    async with web.reading(request) as tx:
        version = await price_state.newest(tx)
        await price_state.listed(tx, version, asked.wanted, limit=1)  # refused before the file begins

    async def read(tx: Tx, after: Place | None) -> list[Price]:
        return await price_state.listed(tx, version, asked.wanted, after=after, limit=export.BATCH)

    def number(value: float | None) -> str:
        return "" if value is None else i18n.number(value, decimals=1)

    def cells(p: Price) -> list[Any]:
        return [
            p.sku, p.name, p.location, p.location_name, p.price, p.before, p.free, number(p.shipped), number(p.fetched),
        ]  # fmt: skip

    pages = export.pages(request, read, lambda p: (p.price, p.sku_id, p.location_id))
    return export.send(request, "stock-prices", COLUMNS, pages, cells)


HANDLERS = [stock_prices_page, stock_prices_run, stock_prices_turn, stock_prices_export]
