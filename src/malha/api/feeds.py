"""Feeds: files of what a channel sells for Google, Meta and others; their builds, reports and files."""

from datetime import datetime
from typing import Annotated, Any, cast
from wsgiref.handlers import format_date_time

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from litestar.types import ASGIApp
from msgspec import Meta

from malha.api.replies import Pieces, Raw
from malha.api.work import Work, actor_of, command, query
from malha.channels import service as channels
from malha.channels.feeds import building, reads, service, serving
from malha.channels.feeds.model import Build, BuildKind, Count, Feed, FeedDraft, FlawRow, Plan
from malha.channels.feeds.profiles import PROFILES
from malha.identity.model import PUBLIC
from malha.network.service import refuse_limited
from malha.platform import paging
from malha.platform.i18n import _
from malha.platform.paging import Page
from malha.platform.sheets import Format, Reader

TAG = "feeds"
Code = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[a-z0-9_-]+$")]
Minutes = Annotated[int, Meta(ge=service.LEAST_MINUTES, le=service.MOST_MINUTES)]


class StateFeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A feed: what the file is made of, how often it is built, and where it is put.

    `full_minutes` and `changes_minutes`: how often all rows, or what differs from them, are built. Null: when asked.
    `push_url`: where each new file is put by HTTP PUT; `{name}` in it becomes the file's name, and without it only full
    files are put. `push_secret` is sent as `Authorization`; without one the feed keeps what it has.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    channel: Annotated[str, Meta(min_length=1, max_length=80)]
    plan: Plan
    active: bool = True
    full_minutes: Minutes | None = None
    changes_minutes: Minutes | None = None
    push_url: Annotated[str, Meta(max_length=2_048)] | None = None
    push_secret: Annotated[str, Meta(max_length=1_000)] | None = None


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """A feed with the addresses its files are read at; the path `changes` is that of the file of changes."""

    code: str
    name: str
    channel: str
    plan: Plan
    active: bool
    full_minutes: int | None
    changes_minutes: int | None
    next_full_at: datetime | None
    next_changes_at: datetime | None
    push_url: str | None
    has_secret: bool
    version: int
    pulled_at: datetime | None
    url: str
    changes_url: str


class FeedStored(msgspec.Struct, frozen=True):
    """The version it has now."""

    code: str
    version: int


class BuildView(msgspec.Struct, frozen=True, kw_only=True):
    """A build. Of `rows`, `removed` say what is gone and `warned` are odd; `refused` were left out. Sizes in bytes."""

    number: int
    kind: BuildKind
    state: str
    total: int
    looked: int
    rows: int
    removed: int
    refused: int
    warned: int
    size: int
    packed: int
    problem: str
    by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    push_state: str
    push_error: str
    counts: list[Count] = []


class StartBuild(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which file to build."""

    kind: BuildKind = BuildKind.FULL


class AskPreview(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A plan to look at before it is kept: its first rows, or those of one SKU."""

    channel: Annotated[str, Meta(min_length=1, max_length=80)]
    plan: Plan
    rows: Annotated[int, Meta(ge=1, le=service.MOST_PREVIEWED)] = 3
    sku: Annotated[str, Meta(max_length=80)] | None = None


class ProfileField(msgspec.Struct, frozen=True):
    """One field of a target; `longest` in characters, 0 for any; `values` are the words it takes."""

    name: str
    kind: str
    required: bool
    longest: int
    values: list[str]


class ProfileView(msgspec.Struct, frozen=True, kw_only=True):
    """A target: its formats, fields, and the plan a feed for it begins with."""

    key: str
    name: str
    says: str
    formats: list[str]
    per_location: bool
    any_field: bool
    fields: list[ProfileField]
    usual: Plan


@query("/feed-profiles", permission="network:read", tag=TAG, transaction=False)
async def list_feed_profiles(work: Work, currency: str = "BRL") -> list[ProfileView]:  # noqa: ARG001
    """Return the targets that feeds can be made for."""
    return [
        ProfileView(
            key=p.key,
            name=_(p.word),
            says=_(p.says),
            formats=[f.value for f in p.formats],
            per_location=p.per_location,
            any_field=p.open,
            fields=[ProfileField(f.name, f.kind.value, f.required, f.longest, list(f.values)) for f in p.fields],
            usual=service.usual_plan(p.key, currency),
        )
        for p in PROFILES.values()
    ]


@query("/feeds", permission="network:read", tag=TAG)
async def list_feeds(work: Work) -> list[FeedView]:
    """Return the feeds with their addresses."""
    refuse_limited(work.tx)
    return [_view(work, feed) for feed in await reads.feeds(work.tx)]


@query("/feeds/{code:str}", permission="network:read", tag=TAG)
async def get_feed(work: Work, code: str) -> FeedView:
    """Return one feed."""
    found = await service.feed_of(work.tx, code)
    work.tag(found.version)
    return _view(work, found)


def _view(work: Work, feed: Feed) -> FeedView:
    keys, base, retailer = work.services.signing, work.services.settings.address, work.tx.retailer
    shown = {name: getattr(feed, name) for name in FeedView.__struct_fields__ if hasattr(feed, name)}
    return FeedView(
        **shown,
        url=base + service.path_of(keys, feed, retailer),
        changes_url=base + service.path_of(keys, feed, retailer, BuildKind.CHANGES),
    )


@command("/feeds/{code:str}", method="PUT", permission="network:write", versioned="optional", tag=TAG)
async def put_feed(work: Work, code: Code, data: StateFeed) -> FeedStored:
    """State a feed. One that is there already is changed only with the `If-Match` of what was read."""
    version = work.expect_or_make(await service.lock_feed(work.tx, code))
    draft = FeedDraft(**msgspec.structs.asdict(data))
    version = await service.put_feed(
        work.tx,
        code,
        draft,
        version,
        work.services.signing,
        allowed=work.services.settings.outward_allow,
    )
    work.tag(version)
    return FeedStored(code, version)


@command(
    "/feeds/{code:str}", method="DELETE", permission="network:write", everywhere=True, versioned="required", tag=TAG
)
async def drop_feed(work: Work, code: str) -> None:
    """Delete a feed with its files and reports."""
    version = work.expect((await service.held_feed(work.tx, code)).version)
    await service.drop_feed(work.tx, code, version)


@command("/feeds/{code:str}/rotate", permission="network:write", everywhere=True, versioned="required", tag=TAG)
async def rotate_feed(work: Work, code: str) -> FeedView:
    """Give a feed another address; the former answers no more."""
    version = work.expect((await service.held_feed(work.tx, code)).version)
    await service.rotate(work.tx, code, version)
    found = await service.feed_of(work.tx, code)
    work.tag(found.version)
    return _view(work, found)


@command("/feeds/preview", permission="network:read", tag=TAG)
async def preview_feed(work: Work, data: AskPreview) -> service.Preview:
    """Return the rows that a plan makes now, with what is wrong in each. Nothing is kept."""
    channel = await channels.channel_of(work.tx, data.channel)
    return await service.preview(work.tx, data.plan, channel, rows=data.rows, sku=data.sku)


@command("/feeds/{code:str}/builds", permission="network:write", status=202, tag=TAG)
async def start_build(work: Work, code: str, data: StartBuild) -> BuildView:
    """Have a file built in the background."""
    begun = await service.start_build(work.tx, code, data.kind)
    work.header("location", f"/v1/feeds/{code}/builds/{cast('Build', begun).number}")
    return _build(cast("Build", begun), [])


@command("/feeds/{code:str}/builds/{number:int}/stop", permission="network:write", everywhere=True, tag=TAG)
async def stop_build(work: Work, code: str, number: int) -> BuildView:
    """Stop a build; the file before it stays."""
    return _build(await service.stop_build(work.tx, code, number), [])


@query("/feeds/{code:str}/builds", permission="network:read", tag=TAG)
async def list_builds(work: Work, code: str, cursor: str | None = None, limit: int | None = None) -> Page[BuildView]:
    """List a feed's builds, the newest first."""
    feed = await service.feed_of(work.tx, code)
    size = paging.bounded(limit)
    at = paging.position(cursor, "feed-builds", (int,))
    found = await reads.builds(work.tx, feed.id, before=at[0] if at else None, limit=size + 1)
    page = paging.page_of(found, size, "feed-builds", lambda row: (row.number,))
    counts = await reads.counts_of(work.tx, [b.id for b in page.items])
    return Page([_build(b, counts.get(b.id, [])) for b in page.items], page.next)


@query("/feeds/{code:str}/builds/{number:int}", permission="network:read", tag=TAG)
async def get_build(work: Work, code: str, number: int) -> BuildView:
    """Return a build: how far it is, what rules found and what filters left out."""
    found = await service.build_of(work.tx, code, number)
    return _build(found, await reads.counts(work.tx, found.id))


def _build(build: Build, counts: list[Count]) -> BuildView:
    shown = {n: getattr(build, n) for n in BuildView.__struct_fields__ if n not in {"counts", "state"}}
    return BuildView(**shown, state=build.state.value, counts=counts)


@query("/feeds/{code:str}/builds/{number:int}/flaws", permission="network:read", tag=TAG)
async def list_flaws(
    work: Work,
    code: str,
    number: int,
    rule: str | None = None,
    field: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[FlawRow]:
    """List the rows to mend of a build, of one rule and field or of all."""
    found = await service.build_of(work.tx, code, number)
    size = paging.bounded(limit)
    at = paging.position(cursor, "feed-flaws", (int, str, str, str))
    after = cast("reads.Place", at) if at else reads.START
    rows = await reads.flaws(work.tx, found.id, rule=rule, field=field, after=after, limit=size + 1)
    return paging.page_of(rows, size, "feed-flaws", reads.place_of)


@query(
    "/feeds/{code:str}/builds/{number:int}/mend",
    permission="network:read",
    transaction=False,
    media_type=(Format.CSV.media_type, Format.XLSX.media_type),
    tag=TAG,
)
async def mend_file(
    work: Work,
    code: str,
    number: int,
    xlsx: bool = False,
    rule: str | None = None,
    field: str | None = None,
) -> bytes:
    """Return the rows to mend as a file that a spreadsheet opens, CSV or `xlsx`."""
    chosen = Format.XLSX if xlsx else Format.CSV
    async with work.transaction() as tx:
        build = await service.build_of(tx, code, number)
    pieces = serving.mend_pieces(work.database, work.actor, build, chosen, Reader.now(), rule=rule, field=field)
    name = {"content-disposition": f'attachment; filename="{code}-{number}.{chosen.value}"'}
    return cast("bytes", Pieces(pieces, chosen.media_type, name))


@query(
    "/feeds/{code:str}/builds/{number:int}/file",
    permission="network:read",
    transaction=False,
    media_type="application/gzip",
    tag=TAG,
)
async def feed_file(work: Work, code: str, number: int) -> bytes:
    """Return a build's file, gzipped. The two newest of each kind are kept."""
    async with work.transaction() as tx:
        file = await service.file_of(tx, code, number)
    name = building.name_of(code, file.build.kind, file.build.plan.format.ending)
    headers = {"content-disposition": f'attachment; filename="{name}.gz"'}
    pieces = reads.packed_parts(work.database, file.build.id)
    return cast("bytes", Pieces(pieces, "application/gzip", headers))


# --- the public address ---


@get("/feeds/{token:str}/{name:str}", opt={"permission": PUBLIC}, name="feed-file")
async def pulled_file(request: Request[Any, Any, Any], token: FromPath[str], name: FromPath[str]) -> ASGIApp:
    """Send a feed's newest file to whoever knows its address, if it is another one than they have."""
    services = request.app.state.services
    async with services.database.transaction(actor_of(request)) as tx:
        file = await service.pulled(tx, services.signing, token, name)
    headers = {
        "etag": f'W/"{file.tag}"',
        "last-modified": format_date_time(service.modified(file).timestamp()),
        "cache-control": "private, no-cache",
        "vary": "accept-encoding",
    }
    if serving.is_known(request.headers, file):
        return cast("ASGIApp", Raw(b"", 304, headers))
    packed = reads.packed_parts(services.database, file.build.id)
    if file.gzipped:
        headers["content-length"] = str(file.build.packed)
        return cast("ASGIApp", Pieces(packed, "application/gzip", headers))
    media_type = file.build.plan.format.media_type
    if serving.takes_gzip(request.headers.get("accept-encoding", "")):
        headers |= {"content-encoding": "gzip", "content-length": str(file.build.packed)}
        return cast("ASGIApp", Pieces(packed, media_type, headers))
    headers["content-length"] = str(file.build.size)
    return cast("ASGIApp", Pieces(serving.unpacked(packed), media_type, headers))


public = [pulled_file]
handlers = [
    list_feed_profiles,
    list_feeds,
    preview_feed,
    get_feed,
    put_feed,
    drop_feed,
    rotate_feed,
    start_build,
    list_builds,
    get_build,
    stop_build,
    list_flaws,
    mend_file,
    feed_file,
]
