"""Webhooks: who is told what, how each does, what is in line and what failed, and sending it again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, forms, plots, render, shell, web
from malha.console.filling import Filled
from malha.console.words import Sign
from malha.network import reads as network
from malha.platform import failures, i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind
from malha.platform.text import whole_in
from malha.webhooks import catalogue, reads, rules, sending, service
from malha.webhooks.model import (
    DELIVERY_NAMES,
    MANAGES,
    DeliveryState,
    Endpoint,
    EndpointDraft,
    EndpointState,
    Replay,
    silence_of,
)

Asking = Request[Any, Any, Any]
MANAGE = {"permission": MANAGES}
PAGE = 50
HOURS = 24
ACTIVE = Sign(N_("Active"), "done", "done")
RESTING = Sign(N_("Waits for the server"), "wait", "dash")
FAILING = Sign(N_("Failing"), "fail", "fail")
PAUSED = Sign(N_("Paused"), "wait", "pause")
DISABLED = Sign(N_("Disabled"), "fail", "x")
DELIVERIES: dict[str, Sign] = {
    DeliveryState.WAITING: Sign(DELIVERY_NAMES[DeliveryState.WAITING], "wait", "dash"),
    DeliveryState.DELIVERED: Sign(DELIVERY_NAMES[DeliveryState.DELIVERED], "done", "done"),
    DeliveryState.FAILED: Sign(DELIVERY_NAMES[DeliveryState.FAILED], "fail", "fail"),
}
FAMILY_WORDS = {
    "order": N_("Orders"),
    "payment": N_("Payments"),
    "fulfillment": N_("Work at the locations"),
    "shipment": N_("Shipments"),
    "fiscal": N_("Fiscal documents"),
    "stock": N_("Stock"),
    "inbound": N_("Goods on order"),
    "drop_ship": N_("Drop-ship orders"),
    "transfer": N_("Transfers"),
    "count": N_("Counts"),
}
COLUMNS = (
    Column(N_("Name"), width=28), Column(N_("Address"), width=48), Column(N_("Events"), width=40),
    Column(N_("State")), Column(N_("In line"), SheetKind.WHOLE), Column(N_("Not delivered"), SheetKind.WHOLE),
    Column(N_("Delivered, 24 h"), SheetKind.WHOLE), Column(N_("Failed attempts, 24 h"), SheetKind.WHOLE),
    Column(N_("Answer time, ms (95%)"), SheetKind.WHOLE),
)  # fmt: skip


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint did in the last day, and what is in line."""

    delivered: int
    failed: int
    share: float | None  # of attempts that succeeded
    p95: int | None
    waiting: int
    oldest_at: datetime | None
    given_up: int
    by_hour: list[int]
    failed_by_hour: list[int]
    lag_by_hour: list[int]  # seconds, the longest


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint in the list."""

    endpoint: Endpoint
    sign: Sign
    health: Health
    spark: plots.Spark | None


def sign_of(endpoint: Endpoint) -> Sign:
    """Return how an endpoint stands."""
    if endpoint.state != EndpointState.ACTIVE:
        return PAUSED if endpoint.state == EndpointState.PAUSED else DISABLED
    if endpoint.failing_since is not None:
        rests = [at for at in (endpoint.open_until, endpoint.rest_until) if at is not None and at > now()]
        return RESTING if rests else FAILING
    return ACTIVE


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


async def _health(tx: Tx, ids: Sequence[int]) -> dict[int, Health]:
    """Return how endpoints did in the last 24 hours."""
    end = _hour(now()) + timedelta(hours=1)
    since = end - timedelta(hours=HOURS)
    backlogs = await reads.backlogs(tx)
    by_id: dict[int, list[reads.Minute]] = {id_: [] for id_ in ids}
    for minute in await reads.minutes(tx, ids, since):
        by_id[minute.endpoint_id].append(minute)
    found = {}
    for id_, rows in by_id.items():
        slots = [
            [row for row in rows if int((row.minute - since) / timedelta(hours=1)) == hour] for hour in range(HOURS)
        ]
        took = [sum(column) for column in zip(*(row.took for row in rows), strict=True)] if rows else []
        delivered, failed = sum(row.delivered for row in rows), sum(row.failed for row in rows)
        backlog = backlogs.get(id_) or reads.Backlog(id_, 0, None, 0)
        found[id_] = Health(
            delivered=delivered,
            failed=failed,
            share=delivered / (delivered + failed) if delivered + failed else None,
            p95=rules.percentile(took, 0.95),
            waiting=backlog.waiting,
            oldest_at=backlog.oldest_at,
            given_up=backlog.failed,
            by_hour=[sum(row.delivered for row in slot) for slot in slots],
            failed_by_hour=[sum(row.failed for row in slot) for slot in slots],
            lag_by_hour=[max((row.lag_ms for row in slot), default=0) // 1000 for slot in slots],
        )
    return found


async def _rows(tx: Tx) -> list[Row]:
    endpoints = await service.all_seen(tx)
    health = await _health(tx, [endpoint.id for endpoint in endpoints])
    return [
        Row(
            endpoint=endpoint,
            sign=sign_of(endpoint),
            health=health[endpoint.id],
            spark=plots.spark(health[endpoint.id].by_hour),
        )
        for endpoint in endpoints
    ]


@get("/webhooks", opt=MANAGE)
async def webhook_list(request: Asking) -> Response[str]:
    """Show who is told what, and how each does."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "webhooks")
        rows = await _rows(tx)
    return render.html(
        "webhooks/list.html",
        shell=around,
        may=around.may,
        rows=rows,
        percent=i18n.percent,
        exports=export.choices(str, "/webhooks:export"),
    )


@get(export.paths("/webhooks:export"), opt=MANAGE)
async def webhook_export(request: Asking) -> Stream:
    """Send the list as a file, without a secret."""
    async with web.reading(request) as tx:
        rows = await _rows(tx)

    def cells(row: Row) -> list[Any]:
        health = row.health
        return [
            row.endpoint.name, row.endpoint.url, " ".join(row.endpoint.types), _(row.sign.word), health.waiting,
            health.given_up, health.delivered, health.failed, health.p95,
        ]  # fmt: skip

    return export.send_all(request, "webhooks", COLUMNS, rows, cells)


# --- the form ---


async def _form(tx: Tx, request: Asking, endpoint: Endpoint | None) -> Response[str]:
    caller = web.caller_of(request)
    here = f"/webhooks/{endpoint.id}/edit" if endpoint else "/webhooks/new"
    around = await shell.around(tx, request, "webhooks", here=here)
    scope = shell.scope_of(caller)
    places = [place for place in await network.locations(tx) if scope is None or place.id in scope]
    chosen = set(endpoint.types) if endpoint else {"order.*"}
    families = [
        (f"{family}.*", _(FAMILY_WORDS[family]))
        for family in FAMILY_WORDS
        if catalogue.types_of([f"{family}.*"], caller.may)
    ]
    everywhere = endpoint.locations is None if endpoint else scope is None
    own = set(endpoint.locations or ()) if endpoint else set()
    return render.html(
        "webhooks/form.html",
        shell=around,
        may=around.may,
        endpoint=endpoint,
        action=f"/webhooks/{endpoint.id}" if endpoint else "/webhooks/new",
        back=f"/webhooks/{endpoint.id}" if endpoint else "/webhooks",
        families=families,
        everything="*" in chosen,
        chosen=chosen,
        single=", ".join(sorted(chosen - {"*"} - {name for name, _word in families})),
        scope={"everywhere": everywhere, "locations": [place.code for place in places if place.id in own]},
        places=places,
        all_places=scope is None,
        channels=[
            (c.code, c.name, endpoint is not None and c.id in (endpoint.channels or ()))
            for c in await network.channels(tx)
        ],
    )


@get("/webhooks/new", opt=MANAGE)
async def webhook_new(request: Asking) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        return await _form(tx, request, None)


@get("/webhooks/{webhook_id:int}/edit", opt=MANAGE)
async def webhook_edit(request: Asking, webhook_id: FromPath[int]) -> Response[str]:
    """Show the form of a webhook."""
    async with web.reading(request) as tx:
        return await _form(tx, request, await service.seen(tx, webhook_id))


def _draft(read: Filled) -> EndpointDraft:
    single = [part for part in read.text("single", 2_000).replace(",", " ").split() if part]
    types = tuple(dict.fromkeys([*forms.chosen(read.form, "types", 100), *single]))
    for name in catalogue.unknown_types(single):
        says, mend = N_("There is no event {name}."), N_("The types of events are listed at {at}.")
        read.flaws.append(Flaw("single", says, mend, {"name": name, "at": "/v1/event-types"}))
    if not types:
        read.wrong("single", N_("Choose at least one kind of event."))
    channels = tuple(forms.chosen(read.form, "channels", 200))
    return EndpointDraft(
        name=read.text("name", 120),
        url=read.text("url", 2_048),
        types=types,
        locations=None if read.text("scope", 20) != "some" else tuple(forms.chosen(read.form, "locations")),
        channels=channels or None,
        ordered=read.flag("ordered"),
    )


@post("/webhooks/new", opt=MANAGE, status_code=200)
async def webhook_create(request: Asking) -> Response[Any]:
    """Make a webhook and show its secret this once."""
    read = filling.filled(await request.form())
    draft = _draft(read)
    read.refuse()
    async with web.writing(request) as tx:
        id_, secret = await service.create(
            tx,
            draft,
            request.app.state.services.signing,
            allowed=request.app.state.services.settings.outward_allow,
        )
    # In place of the form, which is not to be sent twice; in the answer only: no cookie and no address carries it.
    return render.html(
        "webhooks/made.html",
        headers={"HX-Retarget": "#content", "HX-Reswap": "innerHTML show:window:top"},
        name=draft.name,
        secret=secret,
        address=f"/webhooks/{id_}",
        until=None,
    )


@post("/webhooks/{webhook_id:int}", opt=MANAGE, status_code=200)
async def webhook_save(request: Asking, webhook_id: FromPath[int]) -> Response[Any]:
    """Change a webhook, or remove it (`act`)."""
    read = filling.filled(await request.form())
    if read.text("act") == "remove":
        async with web.writing(request) as tx:
            name = (await service.seen(tx, webhook_id)).name
            await service.remove(tx, webhook_id, read.version())
        return web.go_on(request, "/webhooks", _("{name} is told nothing more.", name=name))
    draft = _draft(read)
    read.refuse()
    async with web.writing(request) as tx:
        await service.change(
            tx, webhook_id, draft, read.version(), allowed=request.app.state.services.settings.outward_allow
        )
    return web.go_on(request, f"/webhooks/{webhook_id}", _("Saved"))


# --- one webhook ---


def _plot(health: Health) -> plots.Hours:
    """Return the bars of what was delivered in the last 24 hours, the present one last."""
    return plots.hours(health.by_hour, health.failed_by_hour if any(health.failed_by_hour) else [], HOURS - 0.5)


@get("/webhooks/{webhook_id:int}", opt=MANAGE)
async def webhook_show(request: Asking, webhook_id: FromPath[int]) -> Response[str]:
    """Show how a webhook does, and a page of its deliveries."""
    asked = request.query_params.get("view", "")
    view = asked if asked in set(DeliveryState) else ""
    before = request.query_params.get("before", "")
    position = whole_in(before, 18)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "webhooks", here=f"/webhooks/{webhook_id}")
        endpoint = await service.seen(tx, webhook_id)
        health = (await _health(tx, [webhook_id]))[webhook_id]
        rows = await service.deliveries(tx, webhook_id, before=position, state=view or None, limit=PAGE + 1)
        places = {place.id: place.code for place in await network.locations(tx)}
        channels = {channel.id: channel.name for channel in await network.channels(tx)}
        maker = (await reads.makers(tx, [endpoint])).get(webhook_id)
    zone = ZoneInfo(i18n.current_zone())
    first = _hour(now()) - timedelta(hours=HOURS - 1)
    resumes = max((at for at in (endpoint.open_until, endpoint.rest_until) if at and at > now()), default=None)
    return render.html(
        "webhooks/show.html",
        shell=around,
        may=around.may,
        e=endpoint,
        maker=maker,
        sign_=sign_of(endpoint),
        health=health,
        plot=_plot(health),
        hour_names=[(first + timedelta(hours=n)).astimezone(zone).strftime("%Hh") for n in range(HOURS)],
        lag=plots.spark(health.lag_by_hour),
        longest_lag=max(health.lag_by_hour),
        resumes=resumes,
        why=silence_of(endpoint),
        places=None if endpoint.locations is None else [places.get(id_, "?") for id_ in endpoint.locations],
        channels=None if endpoint.channels is None else [channels.get(id_, "?") for id_ in endpoint.channels],
        rows=[(row, DELIVERIES[row.state]) for row in rows[:PAGE]],
        following=rows[PAGE - 1].position if len(rows) > PAGE else None,
        view=view,
        views=[("", _("All"))] + [(state.value, _(sign.word)) for state, sign in _views()],
        percent=i18n.percent,
        since_default=render.local_input(now() - timedelta(hours=1)),
        exports=export.choices(str, f"/webhooks/{webhook_id}/deliveries:export"),
    )


def _views() -> list[tuple[DeliveryState, Sign]]:
    return [
        (state, DELIVERIES[state]) for state in (DeliveryState.FAILED, DeliveryState.WAITING, DeliveryState.DELIVERED)
    ]


LOG_COLUMNS = (
    Column(N_("Event"), width=28), Column(N_("Record"), width=44), Column(N_("Happened"), SheetKind.MOMENT),
    Column(N_("State")), Column(N_("Attempts"), SheetKind.WHOLE), Column(N_("Done"), SheetKind.MOMENT),
    Column(N_("Answer"), SheetKind.WHOLE), Column(N_("Time, ms"), SheetKind.WHOLE), Column(N_("Error"), width=48),
)  # fmt: skip


@get(export.paths("/webhooks/{webhook_id:int}/deliveries:export"), opt=MANAGE)
async def delivery_export(request: Asking, webhook_id: FromPath[int]) -> Stream:
    """Send the deliveries that are kept as a file, the newest first."""
    async with web.reading(request) as tx:
        await service.seen(tx, webhook_id)

    def cells(row: reads.DeliveryRow) -> list[Any]:
        return [
            row.type, row.key, row.at, _(DELIVERIES[row.state].word), row.attempts, row.done_at, row.status, row.ms,
            failures.shown(row.error),
        ]  # fmt: skip

    pages = export.pages(
        request,
        lambda tx, after: service.deliveries(tx, webhook_id, before=after, limit=export.BATCH),
        lambda row: row.position,
    )
    return export.send(request, "deliveries", LOG_COLUMNS, pages, cells)


@get("/webhooks/{webhook_id:int}/deliveries/{position:int}", opt=MANAGE)
async def delivery_show(request: Asking, webhook_id: FromPath[int], position: FromPath[int]) -> Response[str]:
    """Show one delivery: its attempts, what was answered, and the body."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "webhooks", here=f"/webhooks/{webhook_id}/deliveries/{position}")
        endpoint = await service.seen(tx, webhook_id)
        row, attempts, body = await service.delivery_of(tx, webhook_id, position)
    return render.html(
        "webhooks/delivery.html",
        shell=around,
        may=around.may,
        e=endpoint,
        row=row,
        sign_=DELIVERIES[row.state],
        attempts=attempts,
        body=msgspec.json.format(body, indent=2).decode() if body else None,
    )


@post("/webhooks/{webhook_id:int}/deliveries/{position:int}/replay", opt=MANAGE, status_code=303)
async def delivery_replay(request: Asking, webhook_id: FromPath[int], position: FromPath[int]) -> Response[bytes]:
    """Send one event again."""
    async with web.writing(request) as tx:
        await service.replay_one(tx, webhook_id, position)
    return web.see_other(f"/webhooks/{webhook_id}/deliveries/{position}", notice=_("It is in line again."))


@post("/webhooks/{webhook_id:int}/test", opt=MANAGE, status_code=303)
async def webhook_test(request: Asking, webhook_id: FromPath[int]) -> Response[bytes]:
    """Send a test event now and say what became of it."""
    async with web.reading(request) as tx:
        endpoint = await service.seen(tx, webhook_id)
    services = request.app.state.services
    sender = sending.sending_of(services.settings)
    async with sender.kept:
        outcome = await sending.send_test(services.database, sender, endpoint)
    said = _("The test event arrived: HTTP {status} after {ms} ms.", status=outcome.status, ms=outcome.ms)
    if not outcome.delivered:
        said = _("The test event was not taken: {error}", error=failures.shown(outcome.error))
    return web.see_other(f"/webhooks/{webhook_id}", notice=said)


@post("/webhooks/{webhook_id:int}/state", opt=MANAGE, status_code=200)
async def webhook_state(request: Asking, webhook_id: FromPath[int]) -> Response[Any]:
    """Pause a webhook, or start it again."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        if read.text("act") == "pause":
            await service.pause(tx, webhook_id, read.version())
            said = _("It is told nothing for now.")
        else:
            _version, missed = await service.start(tx, webhook_id, read.version(), catch_up=read.flag("catch_up"))
            said = i18n.n_(
                "It is told again, with {n} event it had missed.",
                "It is told again, with {n} events it had missed.",
                missed,
            )
    return web.go_on(request, f"/webhooks/{webhook_id}", said)


@post("/webhooks/{webhook_id:int}/take-over", opt=MANAGE, status_code=303)
async def webhook_take_over(request: Asking, webhook_id: FromPath[int]) -> Response[bytes]:
    """Have the person who asks answer for a webhook whose maker is gone."""
    async with web.writing(request) as tx:
        endpoint = await service.hand_over(tx, webhook_id, web.person_of(request))
    return web.see_other(f"/webhooks/{webhook_id}", notice=_("You answer for {name} from now on.", name=endpoint.name))


@post("/webhooks/{webhook_id:int}/rotate", opt=MANAGE, status_code=200)
async def webhook_rotate(request: Asking, webhook_id: FromPath[int]) -> Response[Any]:
    """Make a new secret and show it this once."""
    read = filling.filled(await request.form())
    keys = request.app.state.services.signing
    async with web.writing(request) as tx:
        _version, secret, until = await service.rotate(tx, webhook_id, read.version(), keys, now())
    return render.html("webhooks/secret.html", secret=secret, address=f"/webhooks/{webhook_id}", until=until)


@post("/webhooks/{webhook_id:int}/replay", opt=MANAGE, status_code=200)
async def webhook_replay(request: Asking, webhook_id: FromPath[int]) -> Response[Any]:
    """Send again what was given up, or what happened in a stretch of time."""
    read = filling.filled(await request.form())
    zone = i18n.current_zone()
    failed = read.text("act") == "failed"
    wanted = Replay(
        failed=failed,
        since=None if failed else read.instant("since", zone),
        until=None if failed else read.instant("until", zone),
        types=tuple(read.text("types", 2_000).replace(",", " ").split()),
    )
    read.refuse()
    async with web.writing(request) as tx:
        count, rest = await service.replay(tx, webhook_id, wanted)
    said = i18n.n_("{n} event is in line again.", "{n} events are in line again.", count)
    if rest is not None:
        said += " " + _("There are more: do it again for the rest once these are through.")
    return web.go_on(request, f"/webhooks/{webhook_id}", said)


HANDLERS = [
    webhook_list, webhook_export, webhook_new, webhook_edit, webhook_create, webhook_save, webhook_show,
    delivery_export, delivery_show, delivery_replay, webhook_test, webhook_state, webhook_take_over, webhook_rotate,
    webhook_replay,
]  # fmt: skip
