"""A feed's file on its way out: unpacked piece by piece, not sent to who has it; and the rows to mend as a table."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

from malha.channels.feeds import service
from malha.channels.feeds.model import Build
from malha.platform import i18n, sheets
from malha.platform.db import Actor, Database
from malha.platform.sheets import Column, Format, Reader

MEND_COLUMNS = tuple(
    Column(title, width=width)
    for title, width in zip(service.MEND_TITLES, (16, 30, 16, 12, 20, 34, 20, 40), strict=True)
)
_PIECE = 1 << 18


async def unpacked(packed: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the file's own bytes, a quarter of a megabyte at a time however well it is packed."""
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    async for piece in packed:
        rest = piece
        while rest:
            if data := inflate.decompress(rest, _PIECE):
                yield data
            rest = inflate.unconsumed_tail
    if data := inflate.flush():
        yield data


def takes_gzip(accepted: str) -> bool:
    """Tell whether an `Accept-Encoding` lets gzip through."""
    for one in accepted.lower().split(","):
        name, _, quality = one.strip().partition(";")
        if name.strip() in {"gzip", "x-gzip", "*"}:
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def is_known(headers: Mapping[str, str], file: service.File) -> bool:
    """Tell whether a reader has this very file, by its tag or else by its time."""
    tags = headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or f'"{file.tag}"' in tags
    since = headers.get("if-modified-since")
    if since is None:
        return False
    try:
        at = parsedate_to_datetime(since)
    except ValueError:
        return False
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) >= service.modified(file)


def mend_pieces(
    database: Database,
    actor: Actor,
    build: Build,
    format_: Format,
    reader: Reader,
    *,
    rule: str | None = None,
    field: str | None = None,
) -> AsyncGenerator[bytes, None]:
    """Yield the rows to mend as a file that people open: what a spreadsheet would run is defused."""

    async def cells() -> AsyncIterator[Sequence[sheets.Row]]:
        async for found in service.mend_pages(database, actor, build, rule=rule, field=field):
            with i18n.speaking(reader.language, reader.zone):
                rows = [service.mend_cells(row) for row in found]
            yield rows

    return sheets.written(format_, MEND_COLUMNS, cells(), reader)
