"""Allotments: stock set apart for channels (fences), and limits to what they may sell (caps)."""

from typing import Literal

import msgspec

from malha.api.network import Stored
from malha.api.work import Work, command, query
from malha.inventory.allotments import reads, service
from malha.inventory.allotments.errors import UnknownAllotment
from malha.inventory.allotments.model import Allotment, AllotmentDraft, CounterLine, FenceLine
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

TAG = "allotments"


class AllotmentDetail(msgspec.Struct, frozen=True):
    """An allotment, with the balances of a fence or the counters of a cap."""

    allotment: Allotment
    stock: list[FenceLine]
    counters: list[CounterLine]


@query("/allotments", permission="stock:read", tag=TAG)
async def list_allotments(work: Work, only: Literal["active", "ended"] | None = None) -> list[Allotment]:
    """List allotments with what became of them, active ones first."""
    return [a for a in await reads.listed(work.tx) if only is None or a.state == only]


@query("/allotments/{code:str}", permission="stock:read", tag=TAG)
async def get_allotment(work: Work, code: str) -> AllotmentDetail:
    """Return one allotment with its balances or counters, and the version as `ETag`."""
    found = next(iter(await reads.listed(work.tx, [code])), None)
    if found is None:
        raise UnknownAllotment(key=code)
    work.tag(found.version)
    return AllotmentDetail(
        found, await reads.fence_lines(work.tx, found.id), await reads.counter_lines(work.tx, found.id)
    )


@command("/allotments", permission="stock:write", everywhere=True, status=201, tag=TAG)
async def create_allotment(work: Work, data: AllotmentDraft) -> Stored:
    """Add an allotment. A fence that has started sets apart at once what common stock has, and the rest as it arrives.

    Fences need `channels` and `stock`; caps need `quota` and count what `channels`, `skus`, `categories`, `locations`
    say, everything where a list is empty. Fences that share a channel, a time, a kind of buyer and a balance are
    refused.
    """
    made = await service.put(work.tx, data, None)
    work.created(f"/v1/allotments/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version)


@command(
    "/allotments/{code:str}", method="PUT", permission="stock:write", everywhere=True, versioned="required", tag=TAG
)
async def change_allotment(work: Work, code: str, data: AllotmentDraft) -> Stored:
    """Change an allotment: it is afterwards what the body says. What a fence has too many goes back to common stock."""
    if data.code != code:
        refuse([Flaw("code", N_("The code cannot be changed."), facts={"code": code})])
    found = next(iter(await reads.listed(work.tx, [code])), None)
    if found is None:
        raise UnknownAllotment(key=code)
    work.expect(found.version)
    changed = await service.put(work.tx, data, found.version)
    work.tag(changed.version)
    return Stored(code, changed.version)


@command("/allotments/{code:str}/end", permission="stock:write", everywhere=True, versioned="optional", tag=TAG)
async def end_allotment(work: Work, code: str) -> Allotment:
    """End an allotment now. What a fence still has is common stock again; claims keep what they drew.

    With `If-Match`, only one that nobody else changed since it was read.
    """
    found = next(iter(await reads.listed(work.tx, [code])), None)
    if found is None:
        raise UnknownAllotment(key=code)
    return await service.end(work.tx, code, work.expect(found.version))


handlers = [list_allotments, get_allotment, create_allotment, change_allotment, end_allotment]
