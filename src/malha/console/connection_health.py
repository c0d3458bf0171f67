"""How a connection does over time, on screen: plots of lag, throughput, what stops, the budget; each as a table too."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import reads, samples, service, stock_reads
from malha.channels.connecting.model import Status
from malha.channels.connecting.samples import Course
from malha.console import export, plots, render, shell, web
from malha.console.connections import CAUSES, SIGNS
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

SEE = "network:read"
PERIODS = {"6h": N_("6 hours"), "2d": N_("2 days"), "14d": N_("14 days")}
USUAL = "2d"
COMPARED = 14
LOOKS = 30
MOST_CAUSES = 4  # that have a colour of their own
LONG_S = 600  # from here on a lag is told in minutes
COLUMNS = (
    Column(N_("From"), Kind.MOMENT), Column(N_("Came in"), Kind.WHOLE), Column(N_("Handled"), Kind.WHOLE),
    Column(N_("Told"), Kind.WHOLE), Column(N_("Most waiting in"), Kind.WHOLE),
    Column(N_("Most waiting out"), Kind.WHOLE), Column(N_("Oldest in, seconds"), Kind.WHOLE),
    Column(N_("Oldest out, seconds"), Kind.WHOLE), Column(N_("Calls"), Kind.WHOLE),
    Column(N_("Failed calls"), Kind.WHOLE), Column(N_("Budget used, %"), Kind.WHOLE),
    Column(N_("For a person"), Kind.WHOLE),
)  # fmt: skip


class Series(NamedTuple):
    """One row of a legend, and of the table: its name and the class that colours it (empty: the dashed line)."""

    name: str
    fill: str


class Plot(NamedTuple):
    """A plot and what is said of it; `rows` are those of its table: when, and a number of each series or None."""

    id: str
    title: str
    says: str
    series: list[Series]
    days: plots.Days | None
    stacks: plots.Stacks | None
    labels: list[str]
    rows: list[tuple[str, list[int | None]]]
    spoken: str


def _label(at: datetime, step: timedelta) -> tuple[str, str]:
    """Return how a while is called on an axis, and in a table."""
    return render.short_date(render.local(at).date()) if step > timedelta(hours=1) else i18n.time(at), render.moment(at)


def _plot(
    id_: str,
    title: str,
    says: str,
    names: Sequence[str],
    labels: Sequence[tuple[str, str]],
    *values: Sequence[int | None],
) -> Plot:
    """Return a plot of bars, and (second) a dashed line."""
    bars = [value or 0 for value in values[0]]
    line = [value or 0 for value in values[1]] if len(values) > 1 else []
    series = [Series(name, fill) for name, fill in zip(names, ("c1", ""), strict=False)]
    most = max(bars, default=0)
    return Plot(
        id=id_,
        title=title,
        says=says,
        series=series,
        days=plots.days(bars, line if any(line) else []),
        stacks=None,
        labels=[short for short, _whole in labels],
        rows=[(whole, [each[n] for each in values]) for n, (_short, whole) in enumerate(labels)],
        spoken=_("{name}: {n} at most.", name=names[0], n=i18n.number(most)),
    )


def _lag(bins: Sequence[Course], labels: Sequence[tuple[str, str]]) -> Plot:
    coming, going = [b.lag_in_s for b in bins], [b.lag_out_s for b in bins]
    long = max([value or 0 for value in (*coming, *going)], default=0) > LONG_S
    if long:
        coming = [None if value is None else round(value / 60) for value in coming]
        going = [None if value is None else round(value / 60) for value in going]
    says = _("in minutes: how old the oldest was that waited") if long else _("in seconds: how old the oldest was")
    return _plot("lag", _("Lag"), says, [_("of what came in"), _("of what goes out")], labels, coming, going)


def _stuck(course: Sequence[Course], labels: Sequence[tuple[str, str]]) -> Plot:
    causes = samples.causes_of(course)
    named, others = causes[:MOST_CAUSES], causes[MOST_CAUSES:]
    values = [[each.stuck.get(key, 0) for each in course] for key in named]
    series = [Series(_cause(key), f"c{n}") for n, key in enumerate(named, 1)]
    if others:
        values.append([sum(each.stuck.get(key, 0) for key in others) for each in course])
        series.append(Series(_("other causes"), "c6"))
    most = max((sum(each.stuck.values()) for each in course), default=0)
    return Plot(
        id="stuck",
        title=_("What waits for a person"),
        says=_("by cause, the most of each while"),
        series=series,
        days=None,
        stacks=plots.stacks(values, len(labels)),
        labels=[short for short, _whole in labels],
        rows=[(whole, [each[n] for each in values]) for n, (_short, whole) in enumerate(labels)],
        spoken=_("{name}: {n} at most.", name=_("What waits for a person"), n=i18n.number(most)),
    )


def _cause(key: str) -> str:
    way, _sep, cause = key.partition(":")
    word = _(CAUSES[cause]) if cause in CAUSES else cause
    return _("in: {cause}", cause=word) if way == "in" else _("out: {cause}", cause=word)


def _used(course: Course) -> int | None:
    return None if course.budget_left is None else 100 - course.budget_left


def _plots(bins: Sequence[Course], step: timedelta) -> list[Plot]:
    labels = [_label(b.at, step) for b in bins]
    came, told = [b.came for b in bins], [b.told for b in bins]
    calls, failed = [b.calls for b in bins], [b.failures for b in bins]
    return [
        _lag(bins, labels),
        _stuck(bins, labels),
        _plot("in", _("In"), _("messages and orders that were read"), [_("Came in"), _("Handled")], labels, came,
              [b.ended for b in bins]),
        _plot("out", _("Out"), _("what the channel was told"), [_("Told"), _("Most waiting")], labels, told,
              [b.waiting_out for b in bins]),
        _plot("calls", _("Requests to the channel"), "", [_("Calls"), _("Failed calls")], labels, calls, failed),
        _plot("budget", _("Budget used"), _("in percent, the most of each while"), [_("Used")], labels,
              [_used(b) for b in bins]),
    ]  # fmt: skip


async def _compared(tx: Tx, connection_id: int) -> list[Plot]:
    """Return plots of what differed between both sides, where these were compared."""
    found = []
    days = [d for d in await reads.compared(tx, connection_id, COMPARED * 2) if d.kind == "orders"][:COMPARED][::-1]
    if days:
        labels = [(render.short_date(d.day), render.calendar_day(d.day)) for d in days]
        apart = [max(len(d.differing), abs(d.ours - d.theirs), 0 if d.agrees else 1) for d in days]
        says = _("by the day the orders were placed")
        found.append(_plot("days", _("Orders that differ"), says, [_("Differ")], labels, apart))
    looks = (await stock_reads.looks(tx, connection_id, LOOKS))[::-1]
    if looks:
        labels = [_label(look.ended_at, timedelta(days=1)) for look in looks]
        says = _("at each comparison")
        found.append(_plot("stock", _("Stock that differs"), says, [_("Differ")], labels, [k.differing for k in looks]))
    return found


@get("/connections/{code:str}/health", opt={"permission": SEE})
async def health_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show how a connection did in a period (`period`), and how both sides differed."""
    period = request.query_params.get("period", "")
    period = period if period in PERIODS else USUAL
    step, count = samples.PERIODS[period]
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        course = await samples.course(tx, found.id, step, count)
        compared = await _compared(tx, found.id)
    here = f"/connections/{code}/health"
    any_ = any(b.waiting_in is not None or b.came or b.ended or b.told for b in course)
    return render.html(
        "connections/health_body.html" if web.wants_part(request) else "connections/health.html",
        shell=around,
        may=around.may,
        c=found,
        sign_=SIGNS[Status(found.status)],
        here=here,
        period=period,
        periods=[(_(word), f"{here}?period={key}", key == period) for key, word in PERIODS.items()],
        plots=(_plots(course, step) if any_ else []) + compared,
        exports=export.choices(lambda path: f"{path}?period={period}", f"{here}:export"),
    )


@get(export.paths("/connections/{code:str}/health:export"), opt={"permission": SEE})
async def health_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send what is plotted as a file."""
    period = request.query_params.get("period", "")
    step, count = samples.PERIODS[period if period in PERIODS else USUAL]
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)
        course = await samples.course(tx, found.id, step, count)

    def cells(b: Course) -> list[Any]:
        return [
            b.at, b.came, b.ended, b.told, b.waiting_in, b.waiting_out, b.lag_in_s, b.lag_out_s, b.calls, b.failures,
            _used(b), sum(b.stuck.values()),
        ]  # fmt: skip

    return export.send_all(request, f"health-{code}", COLUMNS, course, cells)


HANDLERS = [health_show, health_export]
