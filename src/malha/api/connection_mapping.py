"""Which of ours a channel's variants are: what is open with suggestions, what is mapped, and saying it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.channels.connecting import mapping, mapping_reads, service
from malha.channels.connecting.mapping_rules import Suggestion
from malha.platform import paging
from malha.platform.paging import Page

TAG = "connections"

VariantCode = Annotated[str, Meta(min_length=1, max_length=200)]
MappingState = Literal["open", "mapped", "ignored"]


class ChannelVariantView(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of a channel. `code` is how its orders name it; `waiting` is how many orders wait for its mapping.

    `how` we know which of ours it is: exact (same SKU, GTIN or listing), person, or the suggestion that was accepted.
    """

    code: str
    external_id: str
    gtin: str
    name: str
    price: int | None
    active: bool
    source: str
    sku: str | None
    how: str | None
    waiting: int
    suggestions: list[Suggestion]
    seen_at: datetime
    mapped_at: datetime | None


class StateMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A variant of the channel, by code, and which SKU it is."""

    code: VariantCode
    sku: Annotated[str, Meta(min_length=1, max_length=80)]


class StateMappings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which are which; all of it, or nothing."""

    items: Annotated[list[StateMapping], Meta(min_length=1, max_length=1_000)]


class AcceptSuggestions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From how sure on (percent) suggestions are accepted that are clearly surer than the next."""

    at_least: Annotated[int, Meta(ge=80, le=100)] = 95


class ChosenVariants(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which variants, by code."""

    codes: Annotated[list[VariantCode], Meta(min_length=1, max_length=1_000)]


class Mapped(msgspec.Struct, frozen=True):
    """How many were mapped, and how many orders that waited go on."""

    mapped: int
    orders: int


class Concerned(msgspec.Struct, frozen=True):
    """How many it concerned."""

    count: int


@query("/connections/{code:str}/variants", permission="network:read", tag=TAG)
async def list_channel_variants(
    work: Work, code: str, view: MappingState = "open", cursor: str | None = None, limit: int | None = None
) -> Page[ChannelVariantView]:
    """List what a channel sells, as its catalogue and its orders name it; what is open with suggestions, best first."""
    found = await service.connection_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "channel_variants", (str,))
    rows = await mapping_reads.rows(work.tx, found.id, state=view, after=after[0] if after else "", most=size + 1)
    page = paging.page_of(rows, size, "channel_variants", lambda row: (row.code,))
    suggested = await mapping_reads.suggestions(work.tx, page.items) if view == "open" else {}
    waiting = await mapping_reads.waiting(work.tx, found.id, [row.code for row in page.items])
    views = [_view(row, waiting.get(row.code, 0), suggested.get(row.code, [])) for row in page.items]
    return Page(views, page.next)


def _view(row: mapping_reads.Named, waiting: int, suggestions: list[Suggestion]) -> ChannelVariantView:
    return ChannelVariantView(
        code=row.code,
        external_id=row.external_id,
        gtin=row.gtin,
        name=row.name,
        price=row.price,
        active=row.active,
        source=row.source,
        sku=row.sku,
        how=row.how,
        waiting=waiting,
        suggestions=suggestions,
        seen_at=row.seen_at,
        mapped_at=row.mapped_at,
    )


@command("/connections/{code:str}/variants", method="PUT", permission="network:write", tag=TAG)
async def map_channel_variants(work: Work, code: str, data: StateMappings) -> Mapped:
    """Say which SKUs variants are. The channel hears of stock and prices under its own code; waiting orders go on."""
    orders = await mapping.put(work.tx, code, [(item.code, item.sku) for item in data.items])
    return Mapped(len(data.items), orders)


@command("/connections/{code:str}/variants/accept", permission="network:write", tag=TAG)
async def accept_suggestions(work: Work, code: str, data: AcceptSuggestions) -> Mapped:
    """Accept the suggestions that are sure enough and clearly surer than the next, at most 5,000 at once."""
    return Mapped(*await mapping.accept(work.tx, code, data.at_least))


@command("/connections/{code:str}/variants/unmap", permission="network:write", tag=TAG)
async def unmap_channel_variants(work: Work, code: str, data: ChosenVariants) -> Concerned:
    """Take mappings back that somebody made. Orders that went on stay; new ones wait."""
    return Concerned(await mapping.unmap(work.tx, code, data.codes))


@command("/connections/{code:str}/variants/ignore", permission="network:write", tag=TAG)
async def ignore_channel_variants(work: Work, code: str, data: ChosenVariants) -> Concerned:
    """Say that variants are none of ours. An order for one asks again."""
    return Concerned(await mapping.ignore(work.tx, code, data.codes))


@command("/connections/{code:str}/variants/consider", permission="network:write", tag=TAG)
async def consider_channel_variants(work: Work, code: str, data: ChosenVariants) -> Concerned:
    """Take variants that were ignored back among what is to be mapped."""
    return Concerned(await mapping.ignore(work.tx, code, data.codes, ignored=False))


handlers = [
    list_channel_variants,
    map_channel_variants,
    accept_suggestions,
    unmap_channel_variants,
    ignore_channel_variants,
    consider_channel_variants,
]
