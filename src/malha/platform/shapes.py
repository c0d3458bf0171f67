"""What does not fit a type, in words people understand: every flaw at once, each with the path of its field.

msgspec stops at the first flaw and speaks of types. Only for a bad value it is walked along its type to collect all.
"""

import re
import types
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, Word

Instant = Annotated[datetime, Meta(tz=True)]  # a field or parameter that needs its zone

MAX_FLAWS = 50
MAX_CHOICES = 40  # possible values that are told
LONGEST_REASON = 300  # characters of what a type says of a value that it refuses
_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$|- at `key` in `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")

_TYPES: dict[str, str] = {
    "int": N_("a whole number"),
    "float": N_("a number"),
    "str": N_("a text"),
    "bool": N_("true or false"),
    "array": N_("a list"),
    "object": N_("an object"),
    "null": N_("nothing"),
    "datetime": N_("a date with time"),
    "date": N_("a date"),
    "time": N_("a time"),
    "uuid": N_("a UUID"),
    "bytes": N_("base64 text"),
}
REQUIRED = N_("This is required.")
UNKNOWN = N_("There is no such field here.")
WRONG_TYPE = N_("This must be {expected}.")
AT_LEAST = N_("This must be at least {limit}.")
AT_MOST = N_("This must be at most {limit}.")
MORE_THAN = N_("This must be more than {limit}.")
LESS_THAN = N_("This must be less than {limit}.")
LONGER = N_("This must have at least {limit} characters.")
SHORTER = N_("This must have at most {limit} characters.")
MORE_ITEMS = N_("This must have at least {limit} items.")
FEWER_ITEMS = N_("This must have at most {limit} items.")
EMPTY = N_("This must not be empty.")
PATTERN = N_("This does not have the expected form.")
NOT_ONE_OF = N_("{value} is not one of the possible values.")
USE_ONE = N_("Use one of {known}.")
NOT_UUID = N_("This is not a UUID.")
NOT_TIME = N_("This is not a date with time, like 2026-11-23T14:05:00-03:00.")
NOT_DATE = N_("This is not a date, like 2026-11-23.")
NO_YEAR = N_("This day is of none of the years 1900 to 2999.")
NO_YEAR_MEND = N_("Leave it out, or empty, where there is no date.")
NO_ZONE = N_("This needs a time zone, like 2026-11-23T14:05:00-03:00.")
TOO_BIG = N_("This number is too large.")
NOT_VALID = N_("This is not valid.")
NOT_VALID_AS = N_("This is not valid: {why}")

SENTENCES = (
    REQUIRED, UNKNOWN, WRONG_TYPE, AT_LEAST, AT_MOST, MORE_THAN, LESS_THAN, LONGER, SHORTER, MORE_ITEMS, FEWER_ITEMS,
    EMPTY, PATTERN, NOT_ONE_OF, USE_ONE, NOT_UUID, NOT_TIME, NOT_DATE, NO_YEAR, NO_ZONE, TOO_BIG, NOT_VALID,
    NOT_VALID_AS, *_TYPES.values(),
)  # fmt: skip

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), says)
    for pattern, says in (
        (r"^Expected `(?:int|float|decimal)` >= (?P<limit>\S+)", AT_LEAST),
        (r"^Expected `(?:int|float|decimal)` <= (?P<limit>\S+)", AT_MOST),
        (r"^Expected `(?:int|float|decimal)` > (?P<limit>\S+)", MORE_THAN),
        (r"^Expected `(?:int|float|decimal)` < (?P<limit>\S+)", LESS_THAN),
        (r"^Expected `(?:str|bytes)` of length >= (?P<limit>\d+)", LONGER),
        (r"^Expected `(?:str|bytes)` of length <= (?P<limit>\d+)", SHORTER),
        (r"^Expected `(?:array|object)` of length >= (?P<limit>\d+)", MORE_ITEMS),
        (r"^Expected `(?:array|object)` of length <= (?P<limit>\d+)", FEWER_ITEMS),
        (r"^Expected `str` matching regex", PATTERN),
        (r"^Expected `datetime` with a timezone", NO_ZONE),
        (r"^Invalid enum value (?P<value>.+)", NOT_ONE_OF),
        (r"^Invalid UUID", NOT_UUID),
        (r"^Invalid RFC3339 encoded datetime", NOT_TIME),
        (r"^Invalid RFC3339 encoded date", NOT_DATE),
        (r"^Integer value out of range", TOO_BIG),
    )
)
_EXPECTED = re.compile(r"^Expected `([^`]+)`")
_FIELD = re.compile(r"^Object (missing required|contains unknown) field `(.+?)`")


def flaws_in(value: Any, kind: Any, first: str) -> list[Flaw]:
    """Return every flaw of a decoded value; `first` is msgspec's own message, for what the walk cannot see."""
    found: list[Flaw] = []
    _walk(value, kind, "", found.append)
    return found[:MAX_FLAWS] or [flaw_of(first)]


def flaw_of(message: str, at: str = "") -> Flaw:
    """Return a flaw in plain words for one message of msgspec, its path made a JSON pointer under `at`."""
    text, _separator, _rest = message.partition(" - at `")
    where = _PATH.search(message)
    pointer = at
    if where:
        for name, index in _STEP.findall(where.group(1) or where.group(2) or ""):
            pointer = joined(pointer, name or index)
    field = _FIELD.match(text)
    if field:
        return Flaw(joined(pointer, field.group(2)), REQUIRED if field.group(1).startswith("missing") else UNKNOWN)
    for pattern, says in _RULES:
        match = pattern.match(text)
        if match:
            facts = match.groupdict()
            if says in {LONGER, MORE_ITEMS} and facts["limit"] == "1":
                return Flaw(pointer, EMPTY)
            return Flaw(pointer, says, facts=facts)
    expected = _EXPECTED.match(text)
    if expected:
        names = [name.strip() for name in expected.group(1).split("|")]
        kinds = _Kinds(Word(_TYPES[name]) for name in names if name in _TYPES)
        return Flaw(pointer, WRONG_TYPE, facts={"expected": kinds})
    return Flaw(pointer, NOT_VALID)


class _Kinds(list[Word]):
    """What a value may be; translated where it is shown."""

    def __str__(self) -> str:
        return " / ".join(self)


def words_of(value: Any) -> list[str] | None:
    """Return the message ids in a fact that is itself to be translated, else None."""
    return list(value) if isinstance(value, _Kinds) else None


def joined(at: str, step: object) -> str:
    """Return the path of a part of what is at `at`."""
    # RFC 6901 escapes; the first slash is added by `Invalid`.
    name = str(step).replace("~", "~0").replace("/", "~1")
    return f"{at}/{name}" if at else name


def _walk(value: Any, kind: Any, at: str, add: Callable[[Flaw], None]) -> None:
    """Collect flaws below `value`; a flaw of a container is only told when none of its parts has one."""
    try:
        msgspec.convert(value, kind, builtin_types=())
    except msgspec.ValidationError as error:
        told: list[Flaw] = []
        _parts(value, _plain(kind), at, told.append)
        for flaw in told or [_flaw(error, _plain(kind), at)]:
            add(flaw)


def _flaw(error: msgspec.ValidationError, kind: Any, at: str) -> Flaw:
    """Return a flaw for an error of msgspec; where a type refused the value by itself, with what it said."""
    flaw = with_choices(flaw_of(str(error), at), kind)
    why = error.__cause__
    if flaw.says != NOT_VALID or not isinstance(why, ValueError | TypeError) or not str(why):
        return flaw
    return Flaw(flaw.at, NOT_VALID_AS, facts={"why": str(why)[:LONGEST_REASON]})


def _plain(kind: Any) -> Any:
    """Return the type inside Annotated and Optional."""
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind = get_args(kind)[0]
        elif origin in {Union, types.UnionType}:
            inner = [part for part in get_args(kind) if part is not type(None)]
            if len(inner) != 1:
                return kind
            kind = inner[0]
        else:
            return kind


def with_choices(flaw: Flaw, kind: Any) -> Flaw:
    """Return a flaw with what the value may be, where it is none of a few possible ones; else as it is."""
    if flaw.says == NOT_ONE_OF and 0 < len(known := _choices(kind)) <= MAX_CHOICES:
        return Flaw(flaw.at, NOT_ONE_OF, USE_ONE, {**flaw.facts, "known": ", ".join(known)})
    return flaw


def _choices(kind: Any) -> list[str]:
    """Return what a value of an enumeration or of literals may be, in their order; of a list, its items."""
    origin = get_origin(kind)
    if origin is Literal:
        return [str(value) for value in get_args(kind)]
    if origin is Annotated:
        return _choices(get_args(kind)[0])
    if origin in {Union, types.UnionType, list}:
        return [choice for part in get_args(kind) for choice in _choices(part)]
    return [str(member.value) for member in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def _parts(value: Any, kind: Any, at: str, add: Callable[[Flaw], None]) -> None:
    origin = get_origin(kind) or kind
    inner = get_args(kind)
    if isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        _fields(value, kind, origin.__struct_config__, at, add)
    elif isinstance(value, list) and origin in {list, tuple, set, frozenset} and inner:
        for i, item in enumerate(value):
            _walk(item, inner[0], joined(at, i), add)
    elif isinstance(value, dict) and origin is dict and len(inner) == 2:
        for name, item in value.items():
            _walk(item, inner[1], joined(at, name), add)


def _fields(value: dict[str, Any], kind: Any, config: Any, at: str, add: Callable[[Flaw], None]) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            _walk(value[name], field.type, joined(at, name), add)
        elif field.required:
            add(Flaw(joined(at, name), REQUIRED))
    if config.forbid_unknown_fields:
        for name in value:
            if name not in fields and name != config.tag_field:
                add(Flaw(joined(at, name), UNKNOWN))
