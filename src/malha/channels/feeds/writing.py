"""Rows as bytes of a file: tables, XML, RSS, JSON Lines; and gzip that can go on where it was. Pure.

A feed is read by programs: texts are written as they are. (What people open in a spreadsheet, the rows to mend, is
defused elsewhere.)
"""

import csv
import io
import zlib
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from malha.channels.feeds.model import Format

_encode = msgspec.json.Encoder().encode
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
LEVEL = 6


def head(format_: Format, columns: Sequence[str], title: str, link: str) -> bytes:
    """Return what comes before the rows."""
    match format_:
        case Format.TSV | Format.CSV:
            return rows(format_, columns, [list(columns)])
        case Format.RSS:
            about = f"<title>{escape(title)}</title>\n<link>{escape(link)}</link>\n<description>{escape(title)}"
            return (
                '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">\n'
                f"<channel>\n{about}</description>\n"
            ).encode()
        case Format.XML:
            return b'<?xml version="1.0" encoding="UTF-8"?>\n<items>\n'
        case Format.JSONL:
            return b""


def tail(format_: Format) -> bytes:
    """Return what comes after the rows."""
    return {Format.RSS: b"</channel>\n</rss>\n", Format.XML: b"</items>\n"}.get(format_, b"")


def rows(format_: Format, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as bytes; a value is a text or a list of texts. Empty ones are absent where a format allows it."""
    match format_:
        case Format.TSV:  # no value holds a tab or a line break: nothing needs quotes
            return "".join(["\t".join(_flat_row(row)) + "\n" for row in values]).encode()
        case Format.CSV:
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows(map(_flat_row, values))
            return out.getvalue().encode()
        case Format.RSS:
            return _xml([f"g:{name}" for name in columns], values)
        case Format.XML:
            return _xml(columns, values)
        case Format.JSONL:
            return b"".join(
                _encode({n: cell for n, cell in zip(columns, row, strict=True) if cell not in ("", [])}) + b"\n"
                for row in values
            )


def _flat_row(row: Sequence[Any]) -> list[str]:
    return [cell if isinstance(cell, str) else ",".join(cell) for cell in row]


def _xml(names: Sequence[str], values: Sequence[Sequence[Any]]) -> bytes:
    lines = []
    for row in values:
        lines.append("<item>")
        for name, cell in zip(names, row, strict=True):
            texts = cell if isinstance(cell, list) else (cell,) if cell else ()
            lines += [f"<{name}>{escape(text)}</{name}>" for text in texts]
        lines.append("</item>\n")
    return "".join(lines).encode()


def packed(data: bytes, *, first: bool) -> bytes:
    """Return a piece of a gzip file, complete in itself: a later piece needs nothing of what made this one."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
    return (_GZIP_HEAD if first else b"") + body


def trailer(crc: int, size: int) -> bytes:
    """Return the end of a gzip file: its checksum and its size."""
    return _LAST_BLOCK + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
