"""What if, on screen: the simulations, the form of a scenario, and what came of one beside what happened."""

from datetime import date, timedelta
from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Stream

from malha.console import cost_drafts, export, filling, goods_together, plots, render, rules_tried, shell, web
from malha.console.filling import Filled
from malha.console.why import drawn
from malha.console.words import Sign
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import i18n
from malha.platform.brazil import STATES
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold
from malha.simulation import gap_rules, reads, service
from malha.simulation.model import (
    MOST_MOVED,
    OVER,
    At,
    Beyond,
    CostsTried,
    DayGap,
    Draft,
    Freight,
    Gap,
    Load,
    Moved,
    NoBound,
    Opening,
    Result,
    RulesTried,
    Scenario,
    Simulation,
    Status,
    Sums,
)

SIGNS = {
    Status.WAITING: Sign(N_("Waiting"), "wait", "dash"),
    Status.RUNNING: Sign(N_("Running"), "work", "move"),
    Status.DONE: Sign(N_("Done"), "done", "done"),
    Status.FAILED: Sign(N_("Failed"), "fail", "fail"),
    Status.CANCELLED: Sign(N_("Stopped"), "neutral", "x"),
}
FIRST_ROWS, MORE_ROWS, MOST_ROWS = 4, 6, 200
USUAL_DAYS = 30
SHOWN_MOVED = 50


class Figure(NamedTuple):
    """One figure in both worlds. `tone` says whether the difference is welcome."""

    label: str
    before: str
    after: str
    difference: str
    tone: str  # good, bad or empty


class PlaceRow(NamedTuple):
    """What a location had to do in both worlds; shares are of the largest, in percent."""

    code: str
    name: str
    new: bool
    before: Load
    after: Load
    share_before: float
    share_after: float
    difference: int


# --- the list ---


@get("/simulations", opt={"permission": "network:read"})
async def simulations(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the simulations, the newest first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "simulations")
        refuse_limited(tx)
        found = await reads.simulations(tx)
    rows = [(run, SIGNS[run.status], changes(run)) for run in found]
    exports = export.choices(str, "/simulations:export")
    return render.html("simulations/list.html", shell=around, may=around.may, rows=rows, exports=exports)


MOST_EXPORTED = 100_000
COLUMNS = (
    Column(N_("Name"), width=32), Column(N_("From"), Kind.DAY), Column(N_("Until"), Kind.DAY),
    Column(N_("Sales channel")), Column(N_("Changes"), width=48), Column(N_("State")),
    Column(N_("Orders"), Kind.WHOLE), Column(N_("Done"), Kind.WHOLE), Column(N_("Who"), width=24),
    Column(N_("Created"), Kind.MOMENT), Column(N_("Ended"), Kind.MOMENT),
)  # fmt: skip


@get(export.paths("/simulations:export"), opt={"permission": "network:read"})
async def simulations_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        found = await reads.simulations(tx, MOST_EXPORTED)

    def cells(run: Simulation) -> list[Any]:
        return [
            run.name, run.since, run.until, run.channel, changes(run), _(SIGNS[run.status].word), run.total,
            run.done, run.created_by, run.created_at, run.finished_at,
        ]  # fmt: skip

    return export.send_all(request, "simulations", COLUMNS, found, cells)


def changes(run: Simulation) -> str:
    """Return what a simulation changes, in words."""
    return changes_said(run.rules, run.costs, run.scenario)


def changes_said(rules: RulesTried | None, costs: CostsTried | None, scenario: Scenario) -> str:
    """Return what a trial changes, in words: its rules, its costs, and the scenario."""
    plain = scenario == Scenario()
    said = told(scenario)
    if costs is not None:
        named = _("costs: {costs}", costs=cost_drafts.name_of(costs))
        said, plain = named if plain else f"{named}, {said}", False
    return rules_tried.said_with(rules, said, plain=plain)


def told(scenario: Scenario) -> str:
    """Return what a scenario changes, in words."""
    said = []
    for at in scenario.locations:
        if at.closed:
            said.append(_("{code} closed", code=at.location))
        if at.keep:
            said.append(n_("{code} keeps {n} unit", "{code} keeps {n} units", at.keep, code=at.location))
        if at.capacity is not None:
            said.append(
                n_("{code} takes {n} order a day", "{code} takes {n} orders a day", at.capacity, code=at.location)
            )
        if at.handling is not None or at.line is not None:
            said.append(_("other costs at {code}", code=at.location))
    said += [
        _(
            "carriage {origin} to {target} at {percent}%",
            origin=f.from_state or _("anywhere"),
            target=f.to_state or _("anywhere"),
            percent=f.percent,
        )
        for f in scenario.freight
    ]
    said += [
        _(
            "{name} opened in {state} with {share}% of {code}",
            name=o.name,
            state=o.state,
            share=o.share,
            code=o.stock_from,
        )
        for o in scenario.opened
    ]
    if scenario.split_penalty:
        said.append(_("{amount} for each further parcel", amount=i18n.money(scenario.split_penalty)))
    return ", ".join(said) or _("nothing changed")


# --- the form ---


async def _form(
    tx: Tx,
    request: Request[Any, Any, Any],
    read: Filled | None,
    rows: int,
    rule_set: str = "",
    cost_draft: str = "",
) -> dict[str, Any]:
    around = await shell.around(tx, request, "simulations")
    refuse_limited(tx)
    today = i18n.local(now()).date()
    places = sorted(await network.locations(tx), key=lambda x: fold(x.name))
    return {
        "shell": around,
        "may": around.may,
        "typed": (lambda name, otherwise="": otherwise if read is None else read.text(name)),
        "ticked": (lambda name: read is not None and read.flag(name)),
        "since": (today - timedelta(days=USUAL_DAYS - 1)).isoformat(),
        "until": today.isoformat(),
        "rules": await rules_tried.choices(tx, now()),
        "rule_set": rule_set,
        "cost_drafts": await cost_drafts.choices(tx),
        "cost_draft": cost_draft,
        "rows": rows,
        "most_rows": MOST_ROWS,
        "places": [(x.code, f"{x.name} ({x.code})") for x in places],
        "states": [(s, s) for s in sorted(STATES)],
        "channels": [(c.code, c.name) for c in sorted(await network.channels(tx), key=lambda c: fold(c.name))],
    }


@get("/simulations:new", opt={"permission": "network:write"})
async def simulation_new(
    request: Request[Any, Any, Any], rule_set: FromQuery[str] = "", cost_draft: FromQuery[str] = ""
) -> Response[str]:
    """Show the empty form; `rule_set` and `cost_draft` are the ids of the rules and costs that are chosen."""
    async with web.reading(request) as tx:
        found = await _form(tx, request, None, FIRST_ROWS, rule_set[:12], cost_draft[:12])
        return render.html("simulations/form.html", **found)


@post("/simulations:more", opt={"permission": "network:write"}, status_code=200)
async def simulation_more(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form as it was filled in, with more rows; nothing is written."""
    read = filling.filled(await request.form())
    async with web.reading(request) as tx:
        wanted = min(_rows(read) + MORE_ROWS, MOST_ROWS)
        return render.html("simulations/form.html", **await _form(tx, request, read, wanted))


@post("/simulations:new", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def simulation_start(request: Request[Any, Any, Any]) -> Response[Any]:
    """Start a simulation."""
    read = filling.filled(await request.form())
    draft = _draft(read)
    read.refuse()
    async with web.writing(request) as tx:
        started = await service.start(tx, draft)
    return web.go_on(request, f"/simulations/{started.id}", _("Simulation started"))


def _rows(read: Filled) -> int:
    text = read.text("rows", 4)
    return min(int(text), MOST_ROWS) if text.isascii() and text.isdigit() else FIRST_ROWS


def _bounded(read: Filled, name: str, most: int, least: int = 0) -> int | None:
    found = read.maybe_whole(name)
    if found is not None and not least <= found <= most:
        says, mend = N_("This number is out of range."), N_("Use a whole number from {least} to {most}.")
        read.wrong(name, says, mend, least=least, most=most)
        return None
    return found


def _draft(read: Filled) -> Draft:
    today = i18n.local(now()).date()
    locations, freight, opened = [], [], []
    for n in range(_rows(read)):
        code = read.text(f"at/{n}/location", 80)
        at = At(
            location=code,
            closed=read.flag(f"at/{n}/closed"),
            keep=_bounded(read, f"at/{n}/keep", 1_000_000) or 0,
            capacity=_bounded(read, f"at/{n}/capacity", 1_000_000),
            handling=_money(read, f"at/{n}/handling"),
            line=_money(read, f"at/{n}/line"),
        )
        if code:
            locations.append(at)
        elif at != At(location=""):
            read.wrong(f"at/{n}/location", N_("Which location is this about?"), N_("Choose one of the list."))
        percent = read.maybe_whole(f"freight/{n}/percent")
        if percent is not None and not 1 <= percent <= 1_000:
            read.wrong(f"freight/{n}/percent", N_("Carriage can be 1 to 1000 percent."), N_("100 is what it was."))
        elif percent is not None:
            freight.append(
                Freight(
                    percent=percent,
                    from_state=read.text(f"freight/{n}/from", 2) or None,
                    to_state=read.text(f"freight/{n}/to", 2) or None,
                )
            )
        name = read.text(f"new/{n}/name", 80)
        if name:
            opened.append(_opening(read, n, name))
    rule_set, cost_draft = read.maybe_whole("rule_set"), read.maybe_whole("cost_draft")
    scenario = Scenario(locations=locations, freight=freight)
    name = told(scenario)
    if scenario == Scenario() and (rule_set is not None or cost_draft is not None):
        name = _("Other costs of routing") if rule_set is None else _("Other routing rules")
    return Draft(
        name=read.text("name", 120) or name[:120],
        rule_set=rule_set,
        cost_draft=cost_draft,
        since=read.day("since") or today - timedelta(days=USUAL_DAYS - 1),
        until=read.day("until") or today,
        channel=read.text("channel", 80) or None,
        scenario=Scenario(
            locations=locations,
            freight=freight,
            opened=opened,
            split_penalty=_money(read, "split_penalty") or 0,
            replenished_after=_bounded(read, "replenished_after", 365, 1) or 7,
        ),
    )


def _money(read: Filled, name: str) -> int | None:
    found = read.maybe_scaled(name, 2)
    if found is not None and not 0 <= found <= 100_000_00:
        read.wrong(name, N_("This amount is out of range."), N_("Write one from 0 to {most}."), most="100.000,00")
        return None
    return found


def _opening(read: Filled, n: int, name: str) -> Opening:
    share = read.maybe_whole(f"new/{n}/share")
    if share is None or not 1 <= share <= 100:
        read.wrong(f"new/{n}/share", N_("The share must be 1 to 100 percent."), N_("50 is half of the stock."))
        share = 1
    state, source = read.text(f"new/{n}/state", 2), read.text(f"new/{n}/stock_from", 80)
    for field, value in (("state", state), ("stock_from", source)):
        if not value:
            read.wrong(f"new/{n}/{field}", N_("No choice was made."), N_("Choose one of the list."))
    return Opening(
        name=name,
        state=state or "SP",
        stock_from=source or "-",
        share=share,
        handling=_money(read, f"new/{n}/handling") or 0,
        line=_money(read, f"new/{n}/line") or 0,
    )


# --- one simulation ---


@get("/simulations/{id:uuid}", opt={"permission": "network:read"})
async def simulation(request: Request[Any, Any, Any], id: FromPath[UUID], table: FromQuery[str] = "") -> Response[str]:  # noqa: A002
    """Show how far a simulation is, or what came of it."""
    del table
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "simulations")
        run = await service.show(tx, id)
        result = await reads.result(tx, id)
        names = {x.code: x.name for x in await network.locations(tx)}
        tried = await rules_tried.tried(tx, run, result, await reads.rule_content(tx, id))
        costed = None if result is None else result.costed
        costs = await cost_drafts.panel(tx, run.costs, await reads.cost_content(tx, id), costed)
        moved = await reads.moved(tx, id, SHOWN_MOVED)
    return render.html(
        "simulations/show.html",
        shell=around,
        may=around.may,
        run=run,
        sign_=SIGNS[run.status],
        busy=run.status not in OVER,
        share=100 * run.done // run.total if run.total else 0,
        changes=changes(run),
        tried=tried,
        costs_tried=costs,
        ready=run.status is Status.DONE,
        moved=moved,
        at=f"/simulations/{id}",
        alone=run.scenario == Scenario(replenished_after=run.scenario.replenished_after),
        **rules_tried.promotion(run),
        **({} if result is None else _told_result(run, result, names)),
        has_result=result is not None,
    )


def _told_result(run: Simulation, result: Result, names: dict[str, str]) -> dict[str, Any]:
    before, after = result.before.total, result.after.total
    days = reads.days_of(result)
    cost_by_day = [
        [side.days.get(day.isoformat(), Sums()).cost // 100 for day in days] for side in (result.after, result.before)
    ]
    return {
        "result": result,
        "orders": before.orders,
        "figures": figures(before, after),
        "unlike": unlike(before, after),
        "places": places(result, names),
        "together": goods_together.view(result.together),
        "states": [
            (state or _("Collected"), was, result.after.states.get(state, Sums()))
            for state, was in sorted(result.before.states.items(), key=lambda item: (-item[1].orders, item[0]))
        ],
        "plot": plots.days(*cost_by_day) if len(days) > 1 else None,
        "by_day": [(render.short_date(day), b, a) for day, a, b in zip(days, *cost_by_day, strict=True)],
        "per_order": (lambda sums: sums.cost // sums.orders if sums.orders else 0),
        "speed": round(run.total / result.seconds) if result.seconds else 0,
        "gap": gap_view(result.gap) if result.gap is not None and result.gap.days else None,
        "no_gap": "" if result.gap is None or result.gap.days else no_bound(result.gap),
        "gap_notes": [] if result.gap is None else gap_notes(result.gap),
    }


class GapRow(NamedTuple):
    """A day, or all, beside what hindsight would have let it cost; empty where nothing can be said."""

    day: str
    orders: int
    compared: int
    live: str
    draft: str
    certificate: str
    captured: str
    lost: bool = False  # `captured` is lost, not gained


class GapView(NamedTuple):
    """The gap to hindsight as it is drawn: percent above the bound by day, in both worlds."""

    all: GapRow
    rows: list[GapRow]
    plot: plots.Days | None


def gap_view(gap: Gap) -> GapView:
    """Return the gap as it is drawn."""
    days = [(date.fromisoformat(day), found) for day, found in gap.days.items()]
    over = ([_over(d.draft, d.bound) for _, d in days], [_over(d.live, d.bound) for _, d in days])
    return GapView(
        all=_gap_row(_("All"), gap_rules.whole(gap.days.values())),
        rows=[_gap_row(render.short_date(day), found) for day, found in days],
        plot=plots.days(*over) if len(days) > 1 else None,
    )


def no_bound(gap: Gap) -> str:
    """Return what is said where no day has a bound."""
    if gap.left:
        return _("No bound of hindsight could be worked out. The rest of this page stands without it.")
    return _("No order of these days can be compared with what hindsight would have let it cost.")


def gap_notes(gap: Gap) -> list[str]:
    """Return what bounds do not say, and why: days and orders that they leave out, and costs."""
    said = []
    if days := gap.why.get(NoBound.TIME):
        said.append(n_("{n} day has no bound, for lack of time.", "{n} days have no bound, for lack of time.", days))
    if days := gap.why.get(NoBound.DEFECT):
        said.append(
            n_(
                "{n} day has no bound, for a defect ({kind}), which is in the log.",
                "{n} days have no bound, for a defect ({kind}), which is in the log.",
                days,
                kind=gap.said,
            )
        )
    if days := gap.why.get(NoBound.ENDED):
        said.append(
            n_(
                "{n} day has no bound: the process that worked it out ended, as the log says.",
                "{n} days have no bound: the process that worked them out ended, as the log says.",
                days,
            )
        )
    if days := gap.why.get(NoBound.MOVED):
        said.append(
            n_(
                "{n} day has no bound: orders of it were decided meanwhile.",
                "{n} days have no bound: orders of them were decided meanwhile.",
                days,
            )
        )
    if orders := [_beyond(why, n) for why, n in sorted(gap.beyond.items())]:
        said.append(_("Left out on both sides: {orders}.", orders=", ".join(orders)))
    if any(day.orders > gap_rules.SAMPLE for day in gap.days.values()):
        said.append(_("Of large days a sample is compared."))
    if gap.busy:
        amount = i18n.money(gap.busy)
        said.append(
            _("The decisions paid {amount} for places on busy days, which bounds count as nothing.", amount=amount)
        )
    return said


def _beyond(why: Beyond, n: int) -> str:
    match why:
        case Beyond.AGED:
            return n_("{n} order with credit for aged stock", "{n} orders with credit for aged stock", n)
        case Beyond.NOWHERE:
            return n_("{n} order without a location", "{n} orders without a location", n)
        case Beyond.KIT:
            return n_("{n} order with kits", "{n} orders with kits", n)
        case Beyond.LINES:
            most = gap_rules.MOST_LINES
            return n_("{n} order of more than {most} lines", "{n} orders of more than {most} lines", n, most=most)
        case Beyond.SHORT:
            return n_("{n} order not placed in full", "{n} orders not placed in full", n)
        case Beyond.PARTED:
            return n_(
                "{n} order with a line from several locations", "{n} orders with a line from several locations", n
            )


def _over(cost: int, bound: float) -> int:
    """Return tenths of a percent above the bound: a plot has whole numbers."""
    return max(round(1000 * (cost / bound - 1)), 0) if bound > 0 else 0


def _gap_row(day: str, found: DayGap) -> GapRow:
    live, draft = (gap_rules.ratio(cost, found.bound) for cost in (found.live, found.draft))
    gained = gap_rules.captured(found)
    return GapRow(
        day=day,
        orders=found.orders,
        compared=found.compared,
        live=_percent(live - 1, 1) if live is not None else "",
        draft=_percent(draft - 1, 1) if draft is not None and found.alike else "",
        certificate=_percent(found.certificate, 2),
        captured=_percent(gained, 0) if gained is not None else "",
        lost=gained is not None and gained < 0,
    )


def _percent(share: float, decimals: int) -> str:
    return f"{i18n.number(100 * share, decimals=decimals)}%"


def figures(before: Sums, after: Sums) -> list[Figure]:
    """Return what a planner compares first.

    Where one world places fewer units, what these would have cost is missing there: then less is not better.
    """
    alike = before.units == after.units

    def row(label: str, was: float, would: float, show: Any, *, judged: bool = alike) -> Figure:
        difference = would - was
        tone = "" if not difference or not judged else "good" if difference < 0 else "bad"
        sign = "+" if difference > 0 else ""
        return Figure(label, show(was), show(would), f"{sign}{show(difference)}" if difference else "", tone)

    count = max(before.orders, 1)
    transit = [s.transit / s.timed if s.timed else 0.0 for s in (before, after)]
    return [
        row(_("Cost"), before.cost, after.cost, i18n.money),
        row(_("Cost of an order"), round(before.cost / count), round(after.cost / count), i18n.money),
        row(_("Parcels"), before.packages, after.packages, i18n.number),
        row(_("Split orders"), before.split, after.split, i18n.number),
        row(_("Units without a location"), before.unplaced, after.unplaced, i18n.number, judged=True),
        row(_("Business days on the way"), round(transit[0], 2), round(transit[1], 2), _decimal),
    ]


def unlike(before: Sums, after: Sums) -> str:
    """Return why the costs of two worlds do not compare: they place other numbers of units. Empty where they do."""
    fewer = before.units - after.units
    if not fewer:
        return ""
    if fewer > 0:
        said = n_(
            "On paper {n} unit fewer finds a location and costs nothing, so the costs do not compare.",
            "On paper {n} units fewer find a location and cost nothing, so the costs do not compare.",
            fewer,
        )
    else:
        said = n_(
            "On paper {n} unit more finds a location and has its cost, so the costs do not compare.",
            "On paper {n} units more find a location and have their cost, so the costs do not compare.",
            -fewer,
        )
    if not before.units or not after.units:
        return said
    was, would = (i18n.money(round(sums.cost / sums.units)) for sums in (before, after))
    return f"{said} {_('A unit with a location cost {before}, on paper {after}.', before=was, after=would)}"


def _decimal(value: float) -> str:
    return i18n.number(round(value, 2), decimals=2)


def places(result: Result, names: dict[str, str]) -> list[PlaceRow]:
    """Return the locations, those whose load changed most first."""
    codes = {*result.before.locations, *result.after.locations}
    none = Load()
    pairs = {c: (result.before.locations.get(c, none), result.after.locations.get(c, none)) for c in codes}
    most = max((load.orders for pair in pairs.values() for load in pair), default=0) or 1
    rows = [
        PlaceRow(
            code=code,
            name=names.get(code, code.removeprefix("+ ")),
            new=code not in names,
            before=was,
            after=would,
            share_before=round(100 * was.orders / most, 1),
            share_after=round(100 * would.orders / most, 1),
            difference=would.orders - was.orders,
        )
        for code, (was, would) in pairs.items()
    ]
    return sorted(rows, key=lambda r: (-abs(r.difference), -r.before.orders, r.code))


MOVED_COLUMNS = (
    Column(N_("Order"), width=14), Column(N_("Day"), Kind.DAY), Column(N_("From"), width=24),
    Column(N_("On paper from"), width=24), Column(N_("Together at, as it was")),
    Column(N_("Together at, on paper")), Column(N_("Cost, as it was"), Kind.MONEY),
    Column(N_("Cost, on paper"), Kind.MONEY), Column(N_("Parcels, as it was"), Kind.WHOLE),
    Column(N_("Parcels, on paper"), Kind.WHOLE), Column(N_("Units without a location, as it was"), Kind.WHOLE),
    Column(N_("Units without a location, on paper"), Kind.WHOLE), Column(N_("Run"), width=24),
    Column(N_("Rule"), width=24), Column(N_("Rows of the table")),
)  # fmt: skip


@get(export.paths("/simulations/{id:uuid}/orders:export"), opt={"permission": "network:read"})
async def simulation_orders_export(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Stream:  # noqa: A002
    """Send the orders that would have gone elsewhere as a file."""
    async with web.reading(request) as tx:
        await service.show(tx, id)
        found = await reads.moved(tx, id, MOST_MOVED)

    def cells(x: Moved) -> list[Any]:
        return [
            x.number, x.day, ", ".join(x.from_before), ", ".join(x.from_after), x.together_before,
            x.together_after, x.cost_before, x.cost_after,
            x.packages_before, x.packages_after, x.unplaced_before, x.unplaced_after, x.run, x.rule,
            ", ".join(str(n) for n in x.rows),
        ]  # fmt: skip

    return export.send_all(request, "simulation-orders", MOVED_COLUMNS, found, cells)


@get("/simulations/{id:uuid}/orders/{order:uuid}", opt={"permission": "network:read"})
async def simulation_order(
    request: Request[Any, Any, Any],
    id: FromPath[UUID],  # noqa: A002
    order: FromPath[UUID],
) -> Response[str]:
    """Show why an order went where it went, beside why it would have gone elsewhere on paper."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "simulations")
        run = await service.show(tx, id)
        moved, before, after = await service.moved_order(tx, id, order)
    return render.html(
        "simulations/order.html",
        shell=around,
        may=around.may,
        run=run,
        o=moved,
        before=None if before is None else drawn(before),
        after=None if after is None else drawn(after),
    )


@post("/simulations/{id:uuid}/promote", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def simulation_promote(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Publish the rules that were tried."""
    read = filling.filled(await request.form())
    at = read.instant("effective_from", i18n.current_zone())
    read.refuse()
    async with web.writing(request) as tx:
        done = await service.promote(tx, id, effective_from=at)
    return web.go_on(request, f"/simulations/{id}", promoted_said(done.promoted))


def promoted_said(number: int | None) -> str:
    """Return what a promotion did: rules have a number, costs have none."""
    return _("The costs are in force") if number is None else _("Rule set {number} published", number=number)


@post("/simulations/{id:uuid}/take-back", opt={"permission": "network:write"}, status_code=200)
async def simulation_take_back(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Undo the promotion."""
    async with web.writing(request) as tx:
        await service.take_back(tx, id)
    return web.go_on(request, f"/simulations/{id}", _("Promotion taken back"))


@post("/simulations/{id:uuid}/stop", opt={"permission": "network:write"}, status_code=200)
async def simulation_stop(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Stop a simulation that has not ended."""
    async with web.writing(request) as tx:
        await service.stop(tx, id)
    return web.go_on(request, f"/simulations/{id}", _("Simulation stopped"))


@post("/simulations/{id:uuid}/delete", opt={"permission": "network:write"}, status_code=200)
async def simulation_delete(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Delete a simulation that has ended."""
    async with web.writing(request) as tx:
        await service.forget(tx, id)
    return web.go_on(request, "/simulations", _("Simulation deleted"))


HANDLERS = [
    simulations,
    simulations_export,
    simulation_new,
    simulation_more,
    simulation_start,
    simulation,
    simulation_orders_export,
    simulation_order,
    simulation_promote,
    simulation_take_back,
    simulation_stop,
    simulation_delete,
]
