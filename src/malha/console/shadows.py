"""Drafts beside the live network, on screen: which decide, what each saves an order, and how it would become real."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import cost_drafts, export, filling, goods_together, plots, render, rules_tried, shell, web
from malha.console.simulations import Figure, changes_said, figures, places, promoted_said
from malha.console.words import Sign
from malha.network import reads as network
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind
from malha.simulation import reads, service, shadow_reads, shadowing
from malha.simulation.model import Scenario, Sums
from malha.simulation.shadow_model import Comparison, Shadow, ShadowDraft, ShadowOrder, ShadowStatus

SIGNS = {
    ShadowStatus.RUNNING: Sign(N_("Decides"), "work", "move"),
    ShadowStatus.STOPPED: Sign(N_("Stopped"), "neutral", "x"),
    ShadowStatus.FAILED: Sign(N_("Failed"), "fail", "fail"),
}
SHOWN = 25
SLOW_S = 60.0  # from here on the page says how far behind it is


class Move(NamedTuple):
    """One thing to do so that a draft becomes real, and the page on which it is done."""

    says: str
    href: str


@get("/shadows", opt={"permission": "network:read"})
async def shadows(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the drafts beside the live network, the newest first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "simulations")
        found = await shadowing.listed(tx)
        compared = [await shadow_reads.comparison(tx, x.id) for x in found[:SHOWN]]
    rows = [(x, SIGNS[x.status], changes(x), saved(c)) for x, c in zip(found, compared, strict=False)]
    return render.html(
        "shadows/list.html", shell=around, may=around.may, rows=rows, exports=export.choices(str, "/shadows:export")
    )


COLUMNS = (
    Column(N_("Name"), width=32), Column(N_("Changes"), width=48), Column(N_("State")),
    Column(N_("Orders"), Kind.WHOLE), Column(N_("Passed over"), Kind.WHOLE), Column(N_("Who"), width=24),
    Column(N_("Created"), Kind.MOMENT), Column(N_("Ended"), Kind.MOMENT),
)  # fmt: skip


@get(export.paths("/shadows:export"), opt={"permission": "network:read"})
async def shadows_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    async with web.reading(request) as tx:
        found = await shadowing.listed(tx)

    def cells(x: Shadow) -> list[Any]:
        return [
            x.name, changes(x), _(SIGNS[x.status].word), x.decided, x.passed_over, x.created_by, x.created_at,
            x.ended_at,
        ]  # fmt: skip

    return export.send_all(request, "drafts", COLUMNS, found, cells)


@post("/simulations/{id:uuid}/beside", opt={"permission": "network:write"}, status_code=200)
async def shadow_start(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Let the scenario of a simulation decide new orders, too."""
    async with web.writing(request) as tx:
        run = await service.show(tx, id)
        rule_set = None if run.rules is None else run.rules.rule_set
        costs = None if run.costs is None else run.costs.draft
        wanted = ShadowDraft(name=run.name, scenario=run.scenario, rule_set=rule_set, cost_draft=costs)
        started = await shadowing.start(tx, wanted)
    return web.go_on(request, f"/shadows/{started.id}", _("New orders are decided on the draft, too"))


@get("/shadows/{id:uuid}", opt={"permission": "network:read"})
async def shadow(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[str]:  # noqa: A002
    """Show what a draft comes to beside live decisions."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "simulations")
        run = await shadowing.show(tx, id)
        compared = await shadow_reads.comparison(tx, id)
        orders = await shadow_reads.orders(tx, id, limit=SHOWN)
        names = {x.code: x.name for x in await network.locations(tx)}
        tried = await rules_tried.tried(tx, run, compared.result, await shadow_reads.rule_content(tx, id))
        content = await shadow_reads.cost_content(tx, id)
        costs = await cost_drafts.panel(tx, run.costs, content, compared.result.costed)
    result = compared.result
    days = reads.days_of(result)
    cost = [
        [side.days.get(day.isoformat(), Sums()).cost // 100 for day in days] for side in (result.after, result.before)
    ]
    return render.html(
        "shadows/show.html",
        shell=around,
        may=around.may,
        run=run,
        sign_=SIGNS[run.status],
        busy=run.status is ShadowStatus.RUNNING,
        lag=render.span(timedelta(seconds=run.lag)) if run.lag > SLOW_S else "",
        changes=changes(run),
        tried=tried,
        costs_tried=costs,
        ready=compared.orders > 0,
        at=f"/shadows/{id}",
        alone=run.scenario == Scenario(replenished_after=run.scenario.replenished_after),
        **rules_tried.promotion(run),
        compared=compared,
        saved=saved(compared),
        share=round(100 * compared.differs / compared.orders, 1) if compared.orders else 0,
        figures=figures(result.before.total, result.after.total),
        places=places(result, names),
        together=goods_together.view(result.together),
        plot=plots.days(*cost) if len(days) > 1 else None,
        by_day=[(render.short_date(day), b, a) for day, a, b in zip(days, *cost, strict=True)],
        orders=orders,
        more=f"/shadows/{id}/orders:export.xlsx",
        moves=list(moves(run.scenario)),
    )


def changes(run: Shadow) -> str:
    """Return what a draft changes, in words."""
    return changes_said(run.rules, run.costs, run.scenario)


def saved(compared: Comparison) -> Figure:
    """Return what an order costs less by the draft, with how sure that is."""
    between = _(
        "95%: {least} to {most}",
        least=i18n.money(round(compared.saved_least)),
        most=i18n.money(round(compared.saved_most)),
    )
    tone = "good" if compared.saved_least > 0 else "bad" if compared.saved_most < 0 else ""
    return Figure(_("Saved an order"), "", i18n.money(round(compared.saved)), between, tone)


def moves(scenario: Scenario) -> Iterator[Move]:
    """Yield what is to be done so that a draft becomes real, each on its own page, with its own trail."""
    for at in scenario.locations:
        place = f"/locations/{quote(at.location, safe='')}"
        if at.closed:
            yield Move(_("Pause or close {code}", code=at.location), place)
        if at.handling is not None or at.line is not None or at.capacity is not None:
            yield Move(_("Change costs and orders a day of {code}", code=at.location), f"{place}/edit")
        if at.keep:
            yield Move(
                n_("Keep {n} unit of every SKU at {code}", "Keep {n} units of every SKU at {code}", at.keep,
                   code=at.location),
                "/safety-rules",
            )  # fmt: skip
    if scenario.freight:
        yield Move(_("Change the prices of carriage"), "/services")
    for opening in scenario.opened:
        yield Move(_("Register {name}", name=opening.name), "/locations:new")


ORDER_COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Day"), Kind.DAY), Column(N_("Live from"), width=24),
    Column(N_("Draft from"), width=24), Column(N_("Cost, live"), Kind.MONEY), Column(N_("Cost, draft"), Kind.MONEY),
    Column(N_("Parcels, live"), Kind.WHOLE), Column(N_("Parcels, draft"), Kind.WHOLE),
    Column(N_("Days on the way, live"), Kind.WHOLE), Column(N_("Days on the way, draft"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/shadows/{id:uuid}/orders:export"), opt={"permission": "network:read"})
async def shadow_orders_export(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Stream:  # noqa: A002
    """Send the orders that differ as a file."""
    async with web.reading(request) as tx:
        await shadowing.show(tx, id)
    pages = export.pages(
        request,
        lambda tx, before: shadow_reads.orders(tx, id, before=before, limit=export.BATCH),
        lambda row: row.position,
    )

    def cells(row: ShadowOrder) -> list[Any]:
        return [
            row.number, row.day, ", ".join(row.locations_live), ", ".join(row.locations_shadow), row.cost_live,
            row.cost_shadow, row.packages_live, row.packages_shadow, row.days_live, row.days_shadow,
        ]  # fmt: skip

    return export.send(request, "draft-orders", ORDER_COLUMNS, pages, cells)


@post("/shadows/{id:uuid}/promote", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def shadow_promote(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Publish the rules by which the draft decides."""
    read = filling.filled(await request.form())
    at = read.instant("effective_from", i18n.current_zone())
    read.refuse()
    async with web.writing(request) as tx:
        done = await shadowing.promote(tx, id, effective_from=at)
    return web.go_on(request, f"/shadows/{id}", promoted_said(done.promoted))


@post("/shadows/{id:uuid}/take-back", opt={"permission": "network:write"}, status_code=200)
async def shadow_take_back(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Undo the promotion."""
    async with web.writing(request) as tx:
        await shadowing.take_back(tx, id)
    return web.go_on(request, f"/shadows/{id}", _("Promotion taken back"))


@post("/shadows/{id:uuid}/stop", opt={"permission": "network:write"}, status_code=200)
async def shadow_stop(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Let a draft decide no more."""
    async with web.writing(request) as tx:
        await shadowing.stop(tx, id)
    return web.go_on(request, f"/shadows/{id}", _("Draft stopped"))


@post("/shadows/{id:uuid}/delete", opt={"permission": "network:write"}, status_code=200)
async def shadow_delete(request: Request[Any, Any, Any], id: FromPath[UUID]) -> Response[Any]:  # noqa: A002
    """Delete a draft that has ended."""
    async with web.writing(request) as tx:
        await shadowing.forget(tx, id)
    return web.go_on(request, "/shadows", _("Draft deleted"))


HANDLERS = [
    shadows,
    shadows_export,
    shadow_start,
    shadow,
    shadow_orders_export,
    shadow_promote,
    shadow_take_back,
    shadow_stop,
    shadow_delete,
]
