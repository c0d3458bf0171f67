"""A file in a form: the fields before it are read, the file itself stays in the request until it is asked for."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from litestar import Request
from litestar.datastructures import FormMultiDict
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from malha.exchange.errors import NoFile
from malha.platform import workbook
from malha.platform.i18n import _, current_language

FIELD_BYTES = 1 << 18  # all fields before the file
NAMED_SHEETS = 5


class Upload(NamedTuple):
    """A file as it arrives. `fields` are those that stand before it in the form."""

    name: str
    media_type: str
    fields: FormMultiDict
    body: AsyncIterator[bytes]


async def file_of(request: Request[Any, Any, Any], *, most_fields: int = 20) -> Upload:
    """Return the file in a form, its bytes read from the request as they are asked for.

    Raises:
        NoFile: the form holds none, or is none that a browser would send.
    """
    _kind, options = parse_options_header(request.headers.get("content-type", ""))
    if not options.get("boundary"):
        raise NoFile
    events = _events(request, PushMultipartParser(options["boundary"], max_segment_count=most_fields))
    fields: list[tuple[str, str]] = []
    room = FIELD_BYTES
    async for event in events:
        if not isinstance(event, MultipartSegment):
            continue
        if event.filename:
            return Upload(event.filename, event.content_type or "", FormMultiDict(fields), _segment(events))
        value = bytearray()
        async for piece in _segment(events):
            room -= len(piece)
            if room < 0:
                raise NoFile
            value += piece
        fields.append((event.name, value.decode("utf-8", "replace")))
    raise NoFile


async def unseen(raw: bytes) -> str:
    """Return what of a workbook that was sent is read otherwise than it is seen, in the reader's language.

    Those are filled sheets that were not read, hidden rows, merged cells and results that may be old; empty for none.
    """
    found = await asyncio.to_thread(workbook.passed_over, io.BytesIO(raw))
    says = [odd.text(current_language()) for odd in await asyncio.to_thread(workbook.oddities_of, raw)]
    if found:
        names, more = ", ".join(found[:NAMED_SHEETS]), len(found) - NAMED_SHEETS
        if more > 0:
            names = f"{names} (+{more})"
        says.insert(0, _("Only the first sheet is read; these are not: {names}.", names=names))
    return " ".join(says)


async def told(notice: str, raw: bytes | None) -> str:
    """Return what is said of a file that was taken, with what of it is read otherwise than seen; None is no file."""
    beside = "" if raw is None else await unseen(raw)
    return f"{notice}. {beside}" if beside else notice


async def _events(request: Request[Any, Any, Any], parser: PushMultipartParser) -> AsyncIterator[Any]:
    try:
        async for chunk in request.stream():
            for event in parser.parse(chunk) if chunk else ():
                yield event
    except MultipartError:
        raise NoFile from None


async def _segment(events: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            return
        yield bytes(event)
    raise NoFile  # the form ends before its file does: half a file is none
