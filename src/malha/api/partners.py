"""Partners who fulfil for us: their locations, what they were asked and answered, the files of both sides."""

import re
from datetime import datetime
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from malha.api.replies import Raw
from malha.api.work import Work, command, query
from malha.channels.connecting import failures
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import ChannelError
from malha.channels.partners import filing, list_reads, reads, service
from malha.channels.partners.errors import HostUnreachable, UnknownFile
from malha.channels.partners.list_reads import Only
from malha.platform import i18n, paging
from malha.platform.ids import UUID
from malha.platform.paging import Page

TAG = "partners"
CHECK_S = 10.0

Name = Annotated[str, Meta(max_length=80)]
Code = Annotated[str, Meta(min_length=1, max_length=80)]


class LocationView(msgspec.Struct, frozen=True):
    """A location that a partner fulfils, and what the partner calls it."""

    location: str
    name: str
    theirs: str


class HostKeyView(msgspec.Struct, frozen=True):
    """The key of a file server: what it shows now, or what was trusted."""

    server: str
    fingerprint: str


class PartnerView(msgspec.Struct, frozen=True, kw_only=True):
    """How a partner is. `overdue` needs somebody: no answer in time, late, or not told."""

    code: str
    locations: list[LocationView]
    trusted: HostKeyView | None
    open: int
    unanswered: int
    overdue: int
    held_files: int
    heard_at: datetime | None


class StateLocations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Codes of our locations, each with the partner's name of it; an empty name is our code."""

    locations: Annotated[dict[Code, Name], Meta(max_length=1_000)]


class TrustKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fingerprint that you compared with what the partner told you."""

    fingerprint: Annotated[str, Meta(min_length=1, max_length=200)]


class SendAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of requests or notices that the partner does not have."""

    names: Annotated[list[Code], Meta(min_length=1, max_length=500)]


class SentAgain(msgspec.Struct, frozen=True):
    """How many will be sent once more."""

    count: int


class FlawView(msgspec.Struct, frozen=True):
    """A row that cannot be used, and how to mend it. Row 0 is the whole file."""

    row: int
    says: str


@query("/connections/{code:str}/partner", permission="network:read", tag=TAG)
async def get_partner(work: Work, code: str) -> PartnerView:
    """Return how a partner is: its locations, its key, and what needs somebody."""
    found = await service.partner_of(work.tx, code)
    counts = await list_reads.counts(work.tx, found.id, list_reads.hours_of(found.config))
    key = await reads.host_key(work.tx, found.id)
    return PartnerView(
        code=code,
        locations=[LocationView(p.code, p.name, p.theirs) for p in await reads.locations(work.tx, found.id)],
        trusted=None if key is None else HostKeyView(key.server, key.fingerprint),
        open=counts.open,
        unanswered=counts.unanswered,
        overdue=counts.overdue,
        held_files=counts.held_files,
        heard_at=counts.heard_at,
    )


@command("/connections/{code:str}/partner/locations", method="PUT", permission="settings:manage", tag=TAG)
async def put_partner_locations(work: Work, code: str, data: StateLocations) -> None:
    """Say which locations a partner fulfils. What is open there is asked for now."""
    await service.set_locations(work.tx, code, data.locations)


@command("/connections/{code:str}/partner/host-key/look", permission="settings:manage", transaction=False, tag=TAG)
async def look_at_host_key(work: Work, code: str) -> HostKeyView:
    """Return the key that the file server shows now. Nobody is logged in and nothing is kept."""
    try:
        shown = await service.look_at_host(_runtime(work), work.actor, code)
    except ChannelError as error:
        raise HostUnreachable(why=failures.shown(error.why)) from None
    return HostKeyView(shown.server, shown.fingerprint)


@command(
    "/connections/{code:str}/partner/host-key",
    method="PUT",
    permission="settings:manage",
    transaction=False,
    tag=TAG,
)
async def trust_host_key(work: Work, code: str, data: TrustKey) -> None:
    """Trust the key that the file server shows, if its fingerprint is the one you compared."""
    try:
        await service.trust_host(_runtime(work), work.actor, code, data.fingerprint)
    except ChannelError as error:
        raise HostUnreachable(why=failures.shown(error.why)) from None


def _runtime(work: Work) -> Runtime:
    return Runtime(work.database, work.services.settings, timeout_s=CHECK_S)


@query("/connections/{code:str}/partner/requests", permission="network:read", tag=TAG)
async def list_partner_requests(
    work: Work,
    code: str,
    only: Literal["all", "open", "overdue", "ended"] = "all",
    q: str = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[list_reads.RequestRow]:
    """List what a partner was asked, the newest first. `q` is the name of a request or the number of an order."""
    found = await service.partner_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "partner-requests", (UUID,))
    rows = await list_reads.requests(
        work.tx,
        found.id,
        list_reads.hours_of(found.config),
        only=Only(only),
        text=q[:80],
        before=after[0] if after else None,
        limit=size + 1,
    )
    return paging.page_of(rows, size, "partner-requests", lambda row: (row.id,))


@query("/connections/{code:str}/partner/notices", permission="network:read", tag=TAG)
async def list_partner_notices(
    work: Work, code: str, cursor: str | None = None, limit: int | None = None
) -> Page[list_reads.NoticeRow]:
    """List the goods that a partner was told to expect."""
    found = await service.partner_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "partner-notices", (str,))
    rows = await list_reads.notices(work.tx, found.id, before=after[0] if after else None, limit=size + 1)
    return paging.page_of(rows, size, "partner-notices", lambda row: (row.name,))


@command("/connections/{code:str}/partner/send-again", permission="network:write", tag=TAG)
async def send_requests_again(work: Work, code: str, data: SendAgain) -> SentAgain:
    """Ask a partner once more, under the same names, for what it says it does not have."""
    return SentAgain(await service.send_again(work.tx, code, data.names))


@query("/connections/{code:str}/partner/files", permission="network:read", tag=TAG)
async def list_partner_files(
    work: Work,
    code: str,
    way: Literal["in", "out"] | None = None,
    held: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[list_reads.FileRow]:
    """List files that came and went, the newest first; `held`: those with rows to mend."""
    found = await service.partner_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "partner-files", (int,))
    rows = await list_reads.files(
        work.tx, found.id, way=way, held=held, before=after[0] if after else None, limit=size + 1
    )
    return paging.page_of(rows, size, "partner-files", lambda row: (row.number,))


@query("/connections/{code:str}/partner/files/{number:int}/flaws", permission="network:read", tag=TAG)
async def list_partner_flaws(work: Work, code: str, number: int) -> list[FlawView]:
    """List what is wrong with a file, each row with how to mend it."""
    found = await service.partner_of(work.tx, code)
    file = await list_reads.file(work.tx, found.id, number)
    if file is None:
        raise UnknownFile(key=number)
    errors = await filing.errors_of(work.tx, file.id, i18n.current_language())
    return [FlawView(row, says) for row, says in sorted(errors.items())]


@query(
    "/connections/{code:str}/partner/files/{number:int}/content",
    permission="orders:read",
    transaction=False,
    media_type="application/octet-stream",
    tag=TAG,
)
async def get_partner_file(work: Work, code: str, number: int) -> bytes:
    """Return a file as it was. Files are kept for 30 days after they were handled.

    One that may name people, as files of orders and requests to pick do, needs `customers:reveal` besides; that it was
    looked at is written down.
    """
    async with work.transaction() as tx:
        file = await service.file_of(tx, code, number)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", file.name)[:120]
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return cast("bytes", Raw(file.body(), 200, headers, "application/octet-stream"))


handlers = [
    get_partner,
    put_partner_locations,
    look_at_host_key,
    trust_host_key,
    list_partner_requests,
    list_partner_notices,
    send_requests_again,
    list_partner_files,
    list_partner_flaws,
    get_partner_file,
]
