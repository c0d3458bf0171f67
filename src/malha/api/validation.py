"""Reading bodies: strict decoding, and every flaw at once, with its JSON pointer and in words people understand.

A good body costs one decode; what is wrong with a bad one says `malha.platform.shapes`.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from malha.api.errors import MalformedBody
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_
from malha.platform.shapes import TOO_BIG, flaws_in, joined

MARK = b"\xef\xbb\xbf"  # that Windows programs put before UTF-8
_DIGITS = re.compile(rb"\d{19}")
_INT64 = 2**63
NUL = N_("This holds a NUL character.")


class Body:
    """A strict JSON decoder of one type, built once per operation."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, raw: bytes) -> Any:
        """Return the value in `raw`, with or without a byte order mark.

        Raises:
            MalformedBody: it is no JSON, or lists in lists without end.
            Invalid: it is not of this type, or holds what no database column can. All flaws are listed.
        """
        try:
            return self._read(raw.removeprefix(MARK))
        except RecursionError:
            raise MalformedBody(reason="it is nested too deeply") from None

    def _read(self, raw: bytes) -> Any:
        try:
            value = self._decode(raw)
        except msgspec.ValidationError as error:
            raise Invalid(flaws_in(_value(raw), self.kind, str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _malformed(raw, error) from None
        # Two searches of the raw bytes are cheap; a hit may still be harmless, so the value itself decides.
        if b"\\u0000" in raw or _DIGITS.search(raw):
            unstorable = list(_unstorable(msgspec.json.decode(raw), ""))
            if unstorable:
                raise Invalid(unstorable)
        return value


def _value(raw: bytes) -> Any:
    """Return the plain value of a text whose first flaw came before its end: the rest may be no JSON at all."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(raw, error) from None


def _malformed(raw: bytes, error: Exception) -> MalformedBody:
    reason = "it is empty" if not raw.strip() else str(error).removeprefix("JSON is malformed: ")
    return MalformedBody(reason=reason)


def _unstorable(value: Any, at: str) -> Iterator[Flaw]:
    if isinstance(value, str):
        if "\0" in value:
            yield Flaw(at, NUL)
    elif isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            yield Flaw(at, TOO_BIG)
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                yield Flaw(at, NUL)
            yield from _unstorable(item, joined(at, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unstorable(item, joined(at, i))
