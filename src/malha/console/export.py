"""Lists as files: the answer that streams one, and how its name and format are told by the address."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from litestar import Request
from litestar.response import Stream

from malha.console import web
from malha.platform import i18n, sheets
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.sheets import Column, Format, Reader

T = TypeVar("T")
P = TypeVar("P")
BATCH = 1_000  # rows of one transaction


class Choice(NamedTuple):
    """One entry of a page's export menu."""

    word: str
    href: str


def choices(address: Callable[[str], str], path: str) -> tuple[Choice, ...]:
    """Return the menu: the list at hand as each format, `address` giving the list's terms under another path."""
    return (Choice("Excel (XLSX)", address(f"{path}.xlsx")), Choice("CSV", address(f"{path}.csv")))


def paths(path: str) -> list[str]:
    """Return the addresses of an export, one per format."""
    return [f"{path}.{format_.value}" for format_ in Format]


async def pages(
    request: Request[Any, Any, Any],
    read: Callable[[Tx, P | None], Awaitable[Sequence[T]]],
    place: Callable[[T], P],
    *,
    batch: int = BATCH,
) -> AsyncIterator[Sequence[T]]:
    """Yield a list in pages, each read in a transaction of its own.

    Args:
        request: whose reader it is.
        read: gives the `batch` items that come after a place, fewer at the end of the list; None: from the first.
        place: where an item stands, to go on after it.
        batch: how many are read at once; more where each page costs what the whole list does.
    """
    after: P | None = None
    while True:
        async with web.reading(request) as tx:
            items = await read(tx, after)
        yield items
        if len(items) < batch:
            return
        after = place(items[-1])


def send(
    request: Request[Any, Any, Any],
    name: str,
    columns: Sequence[Column],
    pages: AsyncIterator[Sequence[T]],
    row: Callable[[T], sheets.Row],
) -> Stream:
    """Stream a list as the file its address asks for, all of it; a workbook has as many sheets as its rows need.

    Args:
        request: what was asked; its path ends in the format.
        name: what the file is called, without day and ending.
        columns: the headings.
        pages: the list in pages, each read in a transaction of its own: a long download holds none open.
        row: makes cells of one item, spoken in the reader's language.
    """
    format_ = format_of(request)
    reader = Reader.now()

    def told(items: Sequence[T]) -> list[sheets.Row]:
        with i18n.speaking(reader.language, reader.zone):
            return [row(item) for item in items]

    async def cells() -> AsyncIterator[list[sheets.Row]]:
        async for items in pages:
            # A thousand rows in words take tens of milliseconds, in which others want their answers.
            yield await asyncio.to_thread(told, items)

    return file(name, format_, sheets.written(format_, columns, cells(), reader))


def send_all(
    request: Request[Any, Any, Any],
    name: str,
    columns: Sequence[Column],
    items: Sequence[T],
    row: Callable[[T], sheets.Row],
) -> Stream:
    """Send a short list, which was read as a whole, as the file its address asks for."""

    async def pages() -> AsyncIterator[Sequence[T]]:
        yield items

    return send(request, name, columns, pages(), row)


def format_of(request: Request[Any, Any, Any]) -> Format:
    """Return the format that the address of an export ends in."""
    return Format(request.url.path.rpartition(".")[2])


def disposition(said: str) -> str:
    """Return what has a browser save a file under a name, which may hold a code that somebody typed (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", said)
    other = "" if plain == said else f"; filename*=UTF-8''{quote(said, safe='')}"
    return f'attachment; filename="{plain}"{other}'


def file(name: str, format_: Format, pieces: AsyncIterator[bytes]) -> Stream:
    """Send a file piece by piece, to be saved under a name with the day, as its reader has it."""
    said = f"{name}-{i18n.local(now()):%Y-%m-%d}.{format_.value}"
    headers = {"Content-Disposition": disposition(said), "Cache-Control": "no-store"}
    return Stream(pieces, media_type=format_.media_type, headers=headers)
