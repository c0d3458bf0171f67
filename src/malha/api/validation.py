"""Reading bodies: strict decoding, and every flaw at once, with its JSON pointer and in words people understand.

A good body costs one decode; what is wrong with a bad one says `malha.platform.shapes`.
"""

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from malha.api.errors import MalformedBody
from malha.platform.days import is_far
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_, Phrase
from malha.platform.shapes import MAX_FLAWS, NO_YEAR, NO_YEAR_MEND, TOO_BIG, flaws_in, joined

MARK = b"\xef\xbb\xbf"  # that Windows programs put before UTF-8
_DIGITS = re.compile(rb"\d{19}")
# What begins like a day before 1900 or after 2999, or has a digit or a dash that is written otherwise.
_FAR = re.compile(rb'"(?:0\d|1[0-8]|[3-9]\d)\d\d-\d\d-\d\d|\\u00[23]')
_INT64 = 2**63
_encode = msgspec.json.Encoder().encode
NUL = N_("This holds a NUL character.")
TWICE = N_("This is stated twice.")
TWICE_MEND = N_("Say which is meant: one would be taken, and the other lost without a word.")

# What the decoder says of a text that is no JSON, with the byte at which it says so.
_BROKEN = re.compile(r"(?:JSON is malformed: )?(?P<why>.*?)(?: - at `.*`)?(?: \(byte (?P<byte>\d+)\))?")
_WHY = {
    "Number out of range": N_("it holds a number beyond all measure"),
    "Input data was truncated": N_("it ends before it is complete"),
    "expected '\"'": N_('a quotation mark (") is missing at byte {byte}'),
    "expected ':'": N_("a colon is missing at byte {byte}"),
    "expected ',' or ']'": N_("a comma or a closing ] is missing at byte {byte}"),
    "expected ',' or '}'": N_("a comma or a closing brace is missing at byte {byte}"),
    "invalid character": N_("there is a character at byte {byte} that may not be there"),
    "invalid character in unicode escape": N_("there is an escaped character at byte {byte} that is none"),
    "invalid escape character in string": N_("there is an escaped character at byte {byte} that is none"),
    "invalid escaped character": N_("there is an escaped character at byte {byte} that is none"),
    "invalid utf-16 surrogate pair": N_("there is half of a character at byte {byte}"),
    "unexpected end of escaped utf-16 surrogate pair": N_("there is half of a character at byte {byte}"),
    "invalid number": N_("there is a number at byte {byte} that is none"),
    "object keys must be strings": N_("a name at byte {byte} is not in quotation marks"),
    "trailing characters": N_("something follows its end at byte {byte}"),
    "trailing comma in array": N_("there is a comma too many at byte {byte}"),
    "trailing comma in object": N_("there is a comma too many at byte {byte}"),
}
_NOT_UTF8 = N_("it is not UTF-8 from byte {byte} on")
EMPTY = N_("it is empty")
_TOO_DEEP = N_("it is nested too deeply")


class Body:
    """A strict JSON decoder of one type, built once per operation.

    `whole`: False where its items are bodies of their own, each read and refused for itself.
    """

    def __init__(self, kind: Any, *, whole: bool = True) -> None:
        self.kind = kind
        self._whole = whole
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
            raise MalformedBody(reason=Phrase(_TOO_DEEP)) from None

    def _read(self, raw: bytes) -> Any:
        try:
            value = self._decode(raw)
        except msgspec.ValidationError as error:
            raise Invalid(flaws_in(_value(raw), self.kind, str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _malformed(raw, error) from None
        if not self._whole:
            return value
        # Searches of the raw bytes are cheap; a hit may still be harmless, so the value itself decides.
        if b"\\u0000" in raw or _DIGITS.search(raw):
            unstorable = list(_unstorable(msgspec.json.decode(raw), ""))
            if unstorable:
                raise Invalid(unstorable)
        if _may_repeat(raw):
            repeated = list(_repeated(_pairs(raw), ""))
            if repeated:
                raise Invalid(repeated[:MAX_FLAWS])
        if _FAR.search(raw):
            far = list(_far(value, ""))
            if far:
                raise Invalid(far)
        return value


def _value(raw: bytes) -> Any:
    """Return the plain value of a text whose first flaw came before its end: the rest may be no JSON at all."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(raw, error) from None


def _malformed(raw: bytes, error: Exception) -> MalformedBody:
    if not raw.strip():
        return MalformedBody(reason=Phrase(EMPTY))
    if isinstance(error, UnicodeDecodeError):  # which counts from the beginning of one text
        return MalformedBody(reason=Phrase(_NOT_UTF8, {"byte": _first_stray(raw)}))
    said = _BROKEN.fullmatch(str(error))
    if said is None or said["why"] not in _WHY:  # a decoder that words it anew
        return MalformedBody(reason=str(error))
    return MalformedBody(reason=Phrase(_WHY[said["why"]], {"byte": int(said["byte"] or 0)}))


def _first_stray(raw: bytes) -> int:
    """Return the place of the first byte that is none of UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


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


def _may_repeat(raw: bytes) -> bool:
    """Tell whether an object may state a name twice, of which decoding keeps the last.

    What was kept has fewer colons then, unless some are escaped in the text. It costs 4 microseconds with an order of
    five lines; a reader in Python, which sees each name, takes three times as long.
    """
    if b"\\u003" in raw:
        return True
    try:
        return raw.count(b":") > _encode(msgspec.json.decode(raw)).count(b":")
    except msgspec.DecodeError:  # a number that only its own type can hold
        return True


class _Pairs(list[tuple[str, Any]]):
    """Names and values of an object, as they stand in the text."""


def _pairs(raw: bytes) -> Any:
    return json.loads(raw, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)


def _repeated(value: Any, at: str) -> Iterator[Flaw]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, item in value:
            if name in seen:
                yield Flaw(joined(at, name), TWICE, TWICE_MEND)
            seen.add(name)
            yield from _repeated(item, joined(at, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _repeated(item, joined(at, i))


def _far(value: Any, at: str) -> Iterator[Flaw]:
    """Yield the days and instants of a read value that are of no year in which anything is sold."""
    if isinstance(value, date):
        if is_far(value):
            yield Flaw(at, NO_YEAR, NO_YEAR_MEND)
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from _far(getattr(value, field.name), joined(at, field.encode_name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _far(item, joined(at, str(name)))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _far(item, joined(at, i))
