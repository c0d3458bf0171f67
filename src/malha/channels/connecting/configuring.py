"""What a connection is told: the fields of its connector's configuration, and what is wrong with values of them.

All of it is in the JSON Schema of the connector's `config_model`, so that connectors of others have forms like ours:
title and description of a field, `examples`, and under `x-choices` a word for each value that may be chosen.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from malha.channels.contract import Connector, FileSource, Misfit
from malha.platform import shapes
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, Word
from malha.platform.outward import OutwardRefused, inward, server_of

CHOICES = "x-choices"
MENDS = {
    shapes.REQUIRED: N_("Fill it in."),
    shapes.EMPTY: N_("Fill it in."),
    shapes.UNKNOWN: N_("Leave it out."),
    shapes.NOT_ONE_OF: N_("Choose one of these: {choices}."),
}
MEND = N_("Correct it as the connector describes it.")
_HOST = re.compile(r"\[?[0-9a-f:]+\]?|(?:[a-z0-9_-]+\.)+[a-z0-9-]+")


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    CHOICE = "choice"
    LIST = "list"
    MAP = "map"
    JSON = "json"  # whatever is none of these


class Choice(msgspec.Struct, frozen=True):
    """A value that may be chosen. `word` is a message id; empty where the connector has none for it."""

    value: Any
    word: str = ""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a configuration. `title`, `about` and words of choices are message ids; empty where nobody said."""

    name: str
    kind: Kind
    title: str = ""
    about: str = ""
    required: bool = False
    nullable: bool = False
    default: Any = None
    choices: tuple[Choice, ...] = ()
    item: "Field | None" = None  # of a list or a map
    longest: int | None = None  # characters
    example: Any = None

    @property
    def word(self) -> str:
        """Return its title as a fact of a sentence; the name where it has none, which is never translated."""
        return Word(self.title) if self.title else self.name


_SIMPLE = {"string": Kind.TEXT, "integer": Kind.WHOLE, "number": Kind.NUMBER}
_YES_NO = (Choice(True, N_("Yes")), Choice(False, N_("No")))


def fields_of(connector: Connector) -> Mapping[str, Field]:
    """Return the fields of a connector's configuration by name, in their order."""
    return _fields(connector.config_model)


def field_of(connector: Connector, at: str) -> Field:
    """Return the field that a path leads into; one without a title where there is none."""
    name = at.partition("/")[0].replace("~1", "/").replace("~0", "~")
    return fields_of(connector).get(name) or Field(name=name, kind=Kind.JSON)


@cache
def _fields(model: type[msgspec.Struct]) -> Mapping[str, Field]:
    schema = msgspec.json.schema(model)
    defs = schema.get("$defs", {})
    whole = _resolved(schema, defs)[0]
    required = set(whole.get("required", ()))
    # Only some of what a factory makes is in the schema.
    made = {f.encode_name: f.default_factory() for f in msgspec.structs.fields(model) if callable(f.default_factory)}
    return {
        name: _field(name, {"default": msgspec.to_builtins(made.get(name)), **said}, defs, name in required)
        for name, said in whole.get("properties", {}).items()
    }


def _resolved(said: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema without references and without null, and whether null is taken. Its own words go first."""
    found, nullable = dict(said), False
    while True:
        if "$ref" in found:
            found = {**defs[found.pop("$ref").rpartition("/")[2]], **found}
        kinds = found.get("anyOf", ())
        some = [kind for kind in kinds if kind.get("type") != "null"]
        nullable = nullable or len(some) < len(kinds)
        if len(some) != 1:
            return found, nullable
        del found["anyOf"]
        found = {**some[0], **found}


def _field(name: str, said: Mapping[str, Any], defs: Mapping[str, Any], required: bool = False) -> Field:
    found, nullable = _resolved(said, defs)
    choices = tuple(_choices(found))
    kind, item = (Kind.CHOICE, None) if choices else _kind(found, defs)
    examples = said.get("examples", ())
    return Field(
        name=name,
        kind=kind,
        title=said.get("title", ""),
        about=said.get("description", ""),
        required=required,
        nullable=nullable or None in found.get("enum", ()),
        default=found.get("default"),
        choices=choices,
        item=item,
        longest=found.get("maxLength"),
        example=examples[0] if examples else None,
    )


def _choices(found: Mapping[str, Any]) -> Iterator[Choice]:
    if found.get("type") == "boolean":
        yield from _YES_NO
    words = found.get(CHOICES, {})
    values = found.get("enum", (found["const"],) if "const" in found else ())
    # As the connector tells them; msgspec has values in the order of the alphabet.
    order = {value: n for n, value in enumerate(words)}
    for value in sorted(values, key=lambda v: order.get(str(v), len(order))):
        if value is not None:
            yield Choice(value, words.get(str(value), ""))


def _kind(found: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[Kind, Field | None]:
    type_ = found.get("type")
    if type_ in _SIMPLE:
        return _SIMPLE[type_], None
    inner = found.get("items") if type_ == "array" else found.get("additionalProperties") if type_ == "object" else None
    if isinstance(inner, dict) and not found.get("properties"):
        item = _field("", inner, defs)
        if item.item is None and item.kind is not Kind.JSON and not item.nullable:
            return (Kind.LIST if type_ == "array" else Kind.MAP), item
    return Kind.JSON, None


def flaws_of(connector: Connector, config: Mapping[str, Any], allowed: Sequence[str] | None = None) -> list[Flaw]:
    """Return what is wrong with a configuration; each `at` is a path in it. `allowed`: see `outward.inward`."""
    try:
        made = msgspec.convert(config, connector.config_model)
    except msgspec.ValidationError as error:
        why = error.__cause__
        if isinstance(why, Misfit):  # of a whole configuration, all of whose fields fit by themselves
            place = shapes.flaw_of(str(error)).at
            return [Flaw(shapes.joined(place, why.field), why.says, why.mend or MEND, why.facts)]
        return [_mended(connector, flaw) for flaw in shapes.flaws_in(dict(config), connector.config_model, str(error))]
    address = getattr(made, "base_url", None)
    if address is None:
        return _inward_server(connector, made, allowed)
    try:
        return inward("base_url", address, allowed)
    except OutwardRefused as error:
        return [Flaw("base_url", error.says, error.mend, error.facts)]


def _inward_server(connector: Connector, made: Any, allowed: Sequence[str] | None) -> list[Flaw]:
    """Return what is wrong with the server whose files a connector reads, as `outward.inward` does."""
    if not isinstance(connector, FileSource):
        return []
    server = connector.server(made)
    host = f"[{server.host}]" if ":" in server.host else server.host
    try:
        found = inward("host", f"https://{host}:{server.port}/", allowed)
    except OutwardRefused as error:
        found = [Flaw("host", error.says, error.mend, error.facts)]
    # It is no web address for who typed it.
    return [Flaw(f.at, f.says, f.mend, {**f.facts, "address": server.host[:100]}) for f in found]


def _mended(connector: Connector, flaw: Flaw) -> Flaw:
    field = field_of(connector, flaw.at)
    choices = (field.item or field).choices
    mend = MENDS.get(flaw.says, MEND)
    if flaw.says == shapes.NOT_ONE_OF and not choices:
        mend = MEND
    return Flaw(flaw.at, flaw.says, mend, {**flaw.facts, "choices": [str(c.value) for c in choices]})


def servers_in(config: Any) -> frozenset[str]:
    """Return the servers that a configuration names, by whatever field: of addresses how and whom they ask.

    A text that only looks like a server is taken for one.
    """
    if isinstance(config, str):
        said = config.strip().lower()
        scheme, server = server_of(said)
        if server:
            return frozenset({f"{scheme}://{server}"})
        return frozenset({said} if _HOST.fullmatch(said) and not said.isdigit() else ())
    if isinstance(config, Mapping):
        return frozenset().union(*map(servers_in, config.values()), _named(config))
    if isinstance(config, Sequence) and not isinstance(config, bytes):
        return frozenset().union(*map(servers_in, config))
    return frozenset()


def _named(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the servers of fields that are called so: one may have a name without a dot, or another port."""
    return frozenset(f"{name}={config[name]}".lower() for name in ("host", "port") if config.get(name))
