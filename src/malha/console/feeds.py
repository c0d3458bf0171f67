"""Feeds on screen: the list with what rules found, one feed with its address and builds, a report to drill into."""

from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.feeds import building, reads, rules, service, serving
from malha.channels.feeds.model import OPEN, Build, BuildKind, Count, Feed, State
from malha.channels.feeds.profiles import PROFILES
from malha.console import export, filling, render, shell, web
from malha.console.words import Sign
from malha.network.service import refuse_limited
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Reader
from malha.platform.sheets import Kind as SheetKind

SIGNS = {
    State.WAITING: Sign(N_("Waiting"), "wait", "dash"),
    State.BUILDING: Sign(N_("Being built"), "work", "move"),
    State.DONE: Sign(N_("Done"), "done", "done"),
    State.FAILED: Sign(N_("Failed"), "fail", "fail"),
    State.STOPPED: Sign(N_("Stopped"), "neutral", "x"),
}
KINDS = {BuildKind.FULL: N_("All rows"), BuildKind.CHANGES: N_("Changes")}
SHOWN_BUILDS, SHOWN_FLAWS = 20, 50
ADDRESS = "/channel-feeds"


class Bar(NamedTuple):
    """What one rule found: its words, rows, and the share of the largest in percent."""

    severity: str
    rule: str
    field: str
    word: str
    rows: int
    share: float


class Line(NamedTuple):
    """A feed in the list: its newest build, and the newest full file with what rules found in it."""

    feed: Feed
    target: str
    newest: Build | None
    file: Build | None
    bars: list[Bar]
    errors: int
    warnings: int


def bars_of(counts: list[Count], severity: str) -> list[Bar]:
    """Return what was found of one severity, the most first."""
    chosen = [c for c in counts if c.severity == severity]
    most = max((c.rows for c in chosen), default=1)
    words = rules.LEFT if severity == "filter" else rules.RULES
    return [
        Bar(c.severity, c.rule, c.field, _(words.get(c.rule, c.rule)), c.rows, max(1.0, 100 * c.rows / most))
        for c in chosen
    ]


@get(ADDRESS, opt={"permission": "network:read"})
async def feed_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the feeds with what became of them."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "feeds")
        refuse_limited(tx)
        lines = await _lines(tx)
    return render.html(
        "feeds/list.html",
        shell=around,
        may=around.may,
        lines=lines,
        signs=SIGNS,
        busy=any(line.newest is not None and line.newest.state in OPEN for line in lines),
        targets=[(p.key, _(p.word), _(p.says)) for p in PROFILES.values()],
        exports=export.choices(str, f"{ADDRESS}:export"),
    )


async def _lines(tx: Tx) -> list[Line]:
    found = await reads.newest_builds(tx)
    files: dict[int, Build] = {}
    for feed_id, builds in found.items():
        whole = next((b for b in builds if b.state is State.DONE and b.kind is BuildKind.FULL), None)
        if whole is not None:
            files[feed_id] = whole
    counts = await reads.counts_of(tx, [b.id for b in files.values()])
    lines = []
    for feed in await reads.feeds(tx):
        file = files.get(feed.id)
        told = counts.get(file.id, []) if file else []
        newest = found.get(feed.id, [None])[0]
        lines.append(
            Line(
                feed,
                _(PROFILES[feed.plan.profile].word),
                newest,
                file,
                [*bars_of(told, "error"), *bars_of(told, "warning")][:3],
                sum(c.rows for c in told if c.severity == "error"),
                sum(c.rows for c in told if c.severity == "warning"),
            )
        )
    return lines


COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=28), Column(N_("Target"), width=24), Column(N_("Sales channel")),
    Column(N_("Rows"), SheetKind.WHOLE), Column(N_("Left out"), SheetKind.WHOLE),
    Column(N_("With a warning"), SheetKind.WHOLE), Column(N_("Built"), SheetKind.MOMENT),
    Column(N_("Next"), SheetKind.MOMENT), Column(N_("In use")),
)  # fmt: skip


@get(export.paths(f"{ADDRESS}:export"), opt={"permission": "network:read"})
async def feed_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        lines = await _lines(tx)

    def cells(line: Line) -> list[Any]:
        file, feed = line.file, line.feed
        numbers = [file.rows, file.refused, file.warned, file.ended_at] if file else [None] * 4
        used = _("yes") if feed.active else _("no")
        return [feed.code, feed.name, line.target, feed.channel, *numbers, feed.next_full_at, used]

    return export.send_all(request, "feeds", COLUMNS, lines, cells)


@get(f"{ADDRESS}/{{code:str}}", opt={"permission": "network:read"})
async def feed_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one feed: its addresses, its builds, what rules found in its newest file."""
    services: Any = request.app.state.services
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "feeds")
        feed = await service.feed_of(tx, code)
        builds = await reads.builds(tx, feed.id, limit=SHOWN_BUILDS)
        file = await reads.newest_file(tx, feed.id, BuildKind.FULL)
        counts = await reads.counts(tx, file.id) if file else []
        retailer = tx.retailer
    base, keys = services.settings.address, services.signing
    addresses = [
        (kind, _(word), base + service.path_of(keys, feed, retailer, kind))
        for kind, word in KINDS.items()
        if kind is BuildKind.FULL or rules.has_unique_ids(feed.plan)
    ]
    return render.html(
        "feeds/show.html",
        shell=around,
        may=around.may,
        feed=feed,
        target=_(PROFILES[feed.plan.profile].word),
        builds=builds,
        file=file,
        errors=bars_of(counts, "error"),
        warnings=bars_of(counts, "warning"),
        left=bars_of(counts, "filter"),
        addresses=addresses,
        signs=SIGNS,
        kinds=KINDS,
        busy=next((b for b in builds if b.state in OPEN), None),
        size_of=size_of,
        mapped=len(feed.plan.mapping),
    )


def size_of(count: int) -> str:
    """Return a number of bytes as people read it."""
    if count < 1 << 20:
        return f"{i18n.number(max(count / 1024, 0.1), decimals=1)} kB"
    return f"{i18n.number(count / (1 << 20), decimals=1)} MB"


@post(f"{ADDRESS}/{{code:str}}/build", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def feed_build(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Have a file built now."""
    read = filling.filled(await request.form())
    kind = read.choice("kind", BuildKind)
    read.refuse()
    async with web.writing(request) as tx:
        await service.start_build(tx, code, kind)
    return web.go_on(request, f"{ADDRESS}/{code}", _("The feed is being built"))


@post(f"{ADDRESS}/{{code:str}}/stop", opt={"permission": "network:write"}, status_code=200)
async def feed_stop(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Stop the build that goes on."""
    read = filling.filled(await request.form())
    number = read.whole("number")
    read.refuse()
    async with web.writing(request) as tx:
        await service.stop_build(tx, code, number)
    return web.go_on(request, f"{ADDRESS}/{code}", _("Stopped; the file before it stays"))


@post(f"{ADDRESS}/{{code:str}}/rotate", opt={"permission": "network:write"}, status_code=200)
async def feed_rotate(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Give the feed another address."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.rotate(tx, code, read.version())
    return web.go_on(request, f"{ADDRESS}/{code}", _("The feed has another address; tell who reads it"))


@post(f"{ADDRESS}/{{code:str}}/remove", opt={"permission": "network:write"}, status_code=200)
async def feed_remove(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Delete the feed with its files."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.drop_feed(tx, code, read.version())
    return web.go_on(request, ADDRESS, _("Feed deleted"))


# --- the report ---


@get(f"{ADDRESS}/{{code:str}}/builds/{{number:int}}", opt={"permission": "network:read"})
async def report(request: Request[Any, Any, Any], code: FromPath[str], number: FromPath[int]) -> Response[str]:
    """Show what rules found in a build, and a page of the rows to mend, of one rule or of all."""
    rule, field = _chosen(request)
    after = _place(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "feeds")
        feed = await service.feed_of(tx, code)
        found = await service.build_of(tx, code, number)
        counts = await reads.counts(tx, found.id)
        flaws = await reads.flaws(tx, found.id, rule=rule, field=field, after=after, limit=SHOWN_FLAWS + 1)
        kept = bool(await tx.value(reads.HAS_PARTS, {"id": found.id})) and found.state is State.DONE
    shown = flaws[:SHOWN_FLAWS]
    path = f"{ADDRESS}/{code}/builds/{number}/mend"
    terms = "&".join(f"{name}={value}" for name, value in (("rule", rule), ("field", field)) if value)
    return render.html(
        "feeds/report.html",
        shell=around,
        may=around.may,
        feed=feed,
        build=found,
        sign_=SIGNS[found.state],
        kind=_(KINDS[found.kind]),
        errors=bars_of(counts, "error"),
        warnings=bars_of(counts, "warning"),
        left=bars_of(counts, "filter"),
        rule=rule,
        field=field,
        rows=[(row, _(rules.RULES.get(row.rule, row.rule))) for row in shown],
        following=reads.place_of(shown[-1]) if len(flaws) > SHOWN_FLAWS else None,
        kept=kept,
        size_of=size_of,
        exports=export.choices(lambda address: f"{address}?{terms}" if terms else address, path),
        busy=found.state in OPEN,
        mendable=any(c.severity != "filter" for c in counts),
    )


def _chosen(request: Request[Any, Any, Any]) -> tuple[str | None, str | None]:
    asked = request.query_params
    rule = asked.get("rule", "")
    return (rule if rule in rules.RULES else None), (asked.get("field", "")[:80].replace("\x00", "") or None)


def _place(request: Request[Any, Any, Any]) -> reads.Place:
    asked = request.query_params
    sku = asked.get("after", "")
    if not (sku.isascii() and sku.isdigit() and len(sku) < 10):
        return reads.START
    place, rule, field = (asked.get(name, "")[:80].replace("\x00", "") for name in ("at", "was", "of"))
    return int(sku), place, rule, field


@get(export.paths(f"{ADDRESS}/{{code:str}}/builds/{{number:int}}/mend"), opt={"permission": "network:read"})
async def mend_export(request: Request[Any, Any, Any], code: FromPath[str], number: FromPath[int]) -> Stream:
    """Send the rows to mend as a file, of one rule or of all."""
    rule, field = _chosen(request)
    async with web.reading(request) as tx:
        found = await service.build_of(tx, code, number)
    format_ = export.format_of(request)
    database, actor = web.database_of(request), web.actor_of(request)
    pieces = serving.mend_pieces(database, actor, found, format_, Reader.now(), rule=rule, field=field)
    return export.file(f"{code}-{number}", format_, pieces)


@get(f"{ADDRESS}/{{code:str}}/builds/{{number:int}}/file", opt={"permission": "network:read"})
async def file_download(request: Request[Any, Any, Any], code: FromPath[str], number: FromPath[int]) -> Stream:
    """Send a build's file, gzipped."""
    async with web.reading(request) as tx:
        file = await service.file_of(tx, code, number)
    name = building.name_of(code, file.build.kind, file.build.plan.format.ending)
    headers = {"Content-Disposition": export.disposition(f"{name}.gz"), "Cache-Control": "no-store"}
    packed = reads.packed_parts(web.database_of(request), file.build.id)
    return Stream(packed, media_type="application/gzip", headers=headers)


HANDLERS = [
    feed_list,
    feed_export,
    feed_show,
    feed_build,
    feed_stop,
    feed_rotate,
    feed_remove,
    report,
    mend_export,
    file_download,
]
