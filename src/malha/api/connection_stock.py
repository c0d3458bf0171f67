"""Stock that channels show: compared with what they were told, told again; connections that state stock themselves."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.channels.connecting import failures, service, stock_reads, stock_rules, stock_service
from malha.channels.connecting.stock_rules import Cause
from malha.channels.connecting.stock_service import RoleDraft
from malha.platform import paging
from malha.platform.i18n import _
from malha.platform.paging import Page

TAG = "connections"

Causes = Literal["changed", "missing", "refused", "behind", "never_told", "push_off", "delisted", "unlisted"]
ChannelCode = Annotated[str, Meta(min_length=1, max_length=200)]


class StockCauseView(msgspec.Struct, frozen=True, kw_only=True):
    """How often a cause was found, how many of these were told again since, and what a person can do."""

    cause: str
    count: int
    told_again: int
    since: datetime
    mend: str


class StockCompared(msgspec.Struct, frozen=True, kw_only=True):
    """The last comparisons of a connection, the newest first, and the causes of the newest."""

    looks: list[stock_reads.Look]
    causes: list[StockCauseView]


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A listing of which the channel shows another quantity than it should.

    `shown` is null where the channel does not have it, `told` where it was never told, `sku` where nothing is listed
    under the code. `repairs` is after how many looks it was told again, and differed all the same.
    """

    code: str
    sku: str | None
    cause: str
    mend: str
    shown: int | None
    told: int | None
    ours: int
    places: dict[str, int] | None
    error: str
    since: datetime
    told_again_at: datetime | None
    repairs: int


class TellStockAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of the newest comparison is to be told again: these codes, these causes; without either, all."""

    codes: Annotated[list[ChannelCode], Meta(max_length=10_000)] | None = None
    causes: Annotated[list[Causes], Meta(max_length=8)] | None = None


class ToldAgain(msgspec.Struct, frozen=True):
    """How many listings are told again."""

    count: int


class StateStockRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A connection that states stock: for which source, and every how many minutes.

    `whole`: what it does not mention is zero. `partial`: what it mentions, and nothing else.
    """

    source: Annotated[str, Meta(min_length=1, max_length=40)]
    scope: Literal["partial", "whole"] = "partial"
    minutes: Annotated[int, Meta(ge=1, le=1440)] = 15


class StockRoleView(msgspec.Struct, frozen=True, kw_only=True):
    """For which source a connection states stock; `source` is null where it states none.

    `places` are the channel's words for its places and our locations for them; those without one are not stated.
    """

    source: str | None
    scope: str
    minutes: int
    version: int
    places: dict[str, str | None]


class StockRoleStored(msgspec.Struct, frozen=True):
    """The version it has now."""

    version: int


@query("/connections/{code:str}/stock-comparisons", permission="network:read", tag=TAG)
async def list_stock_comparisons(work: Work, code: str) -> StockCompared:
    """Return the last comparisons of what the channel shows with what it was told, and the causes of the newest."""
    found = await service.connection_of(work.tx, code)
    looks = await stock_reads.looks(work.tx, found.id)
    causes = await stock_reads.by_cause(work.tx, looks[0].id) if looks else []
    return StockCompared(
        looks=looks,
        causes=[
            StockCauseView(
                cause=c.cause.value,
                count=c.count,
                told_again=c.told_again,
                since=c.since,
                mend=_(stock_rules.FIXES[c.cause]),
            )
            for c in causes
        ],
    )


@query("/connections/{code:str}/stock-differences", permission="network:read", tag=TAG)
async def list_stock_differences(
    work: Work, code: str, cause: Causes | None = None, cursor: str | None = None, limit: int | None = None
) -> Page[DifferenceView]:
    """List what differed at the newest comparison, at both of its readings, each with its cause and what to do."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    newest = await stock_reads.looks(work.tx, found.id, 1)
    if not newest:
        return Page([], None)
    look_id = newest[0].id
    after = paging.position(cursor, "stock_differences", (int, str))
    # A page of an older comparison is not gone on with: codes after it are those of the newest.
    start = after[1] if after else ""
    rows = await stock_reads.differences(work.tx, look_id, after=start, cause=cause, most=size + 1)
    page = paging.page_of(rows, size, "stock_differences", lambda row: (look_id, row.code))
    return Page([_difference(row) for row in page.items], page.next)


def _difference(row: stock_reads.Difference) -> DifferenceView:
    return DifferenceView(
        code=row.code,
        sku=row.sku,
        cause=row.cause,
        mend=_(stock_rules.FIXES[Cause(row.cause)]),
        shown=row.shown,
        told=row.told,
        ours=row.ours,
        places=row.places,
        error=failures.shown(row.error),
        since=row.since,
        told_again_at=row.told_again_at,
        repairs=row.repairs,
    )


@command("/connections/{code:str}/stock-comparisons", permission="network:write", everywhere=True, tag=TAG)
async def compare_stock(work: Work, code: str) -> None:
    """Compare now, as soon as a worker is free. It takes two readings a minute apart."""
    await stock_service.compare(work.tx, code)


@command("/connections/{code:str}/tell-stock-again", permission="network:write", status=202, tag=TAG)
async def tell_stock_again(work: Work, code: str, data: TellStockAgain) -> ToldAgain:
    """Tell the channel again what differed at the newest comparison, as far as telling can mend it."""
    return ToldAgain(await stock_service.tell_again(work.tx, code, codes=data.codes, causes=data.causes))


@query("/connections/{code:str}/stock-role", permission="network:read", tag=TAG)
async def get_stock_role(work: Work, code: str) -> StockRoleView:
    """Return whether a connection states stock itself, for which source, and which locations its places are."""
    found = await service.connection_of(work.tx, code)
    role = await stock_reads.role(work.tx, found.id)
    places = await stock_reads.places(work.tx, found.id)
    work.tag(role.version if role else 0)
    if role is None:
        return StockRoleView(source=None, scope="partial", minutes=15, version=0, places=places)
    return StockRoleView(
        source=role.source, scope=role.scope, minutes=role.minutes, version=role.version, places=places
    )


@command(
    "/connections/{code:str}/stock-role", method="PUT", permission="settings:manage", versioned="required", tag=TAG
)
async def put_stock_role(work: Work, code: str, data: StateStockRole) -> StockRoleStored:
    """Have a connection state the stock of a source. Its places are mapped with `PUT .../methods`, kind `location`."""
    draft = RoleDraft(source=data.source, scope=data.scope, minutes=data.minutes)
    version = work.expect(await stock_service.lock_role(work.tx, code))
    stored = await stock_service.put_role(work.tx, code, draft, version)
    work.tag(stored)
    return StockRoleStored(stored)


@command(
    "/connections/{code:str}/stock-role", method="DELETE", permission="settings:manage", versioned="required", tag=TAG
)
async def drop_stock_role(work: Work, code: str) -> None:
    """Have a connection state no stock any more; what it stated stays."""
    version = work.expect(await stock_service.lock_role(work.tx, code))
    await stock_service.drop_role(work.tx, code, version)


handlers = [
    list_stock_comparisons,
    list_stock_differences,
    compare_stock,
    tell_stock_again,
    get_stock_role,
    put_stock_role,
    drop_stock_role,
]
