"""The configuration of a connection as people see and fill it in: a field of a form for each of the connector's.

A list is written one entry a line, a map one `key = value` a line. What was not touched stays exactly as it was kept,
also where nothing was kept and the connector's own value holds.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from malha.channels.connecting import configuring
from malha.channels.connecting.configuring import Choice, Field, Kind
from malha.channels.contract import Connector
from malha.console import web
from malha.console.filling import Filled
from malha.platform import shapes
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, Phrase, _, current_language

LONGEST = 20_000  # characters of a field
LINE = 2_048  # characters of a field that is one line
LONG = 1_000  # a text that may be longer gets several lines
TAB = "\t"
MODES = {Kind.WHOLE: "numeric", Kind.NUMBER: "decimal"}
Wrong = Callable[..., None]
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}([.,][0-9]{1,18})?")


class Shown(NamedTuple):
    """A field of the form. `lines` is how many it has; `options` are (value, word) of a choice."""

    name: str
    label: str | Markup
    hint: str
    value: str
    options: list[tuple[str, str]]
    required: bool
    blank: str = ""
    lines: int = 1
    mode: str = ""  # which keys a number needs
    longest: int = LINE


class _Bad(Exception):
    """A text that is no value of its field."""

    def __init__(self, says: str, mend: str, **facts: Any) -> None:
        super().__init__(says)
        self.says, self.mend, self.facts = says, mend, facts


# --- shown ---


def fields(connector: Connector, config: Mapping[str, Any]) -> list[Shown]:
    """Return the fields of the form, filled in with a configuration and else with the connector's own values.

    What must be filled in stands first.
    """
    ordered = sorted(configuring.fields_of(connector).values(), key=lambda field: not field.required)
    return [_shown(field, _held(field, config)) for field in ordered]


def _held(field: Field, config: Mapping[str, Any]) -> Any:
    return config.get(field.name, field.default)


def _shown(field: Field, held: Any) -> Shown:
    value = written(field, held)
    lines = _lines(field, value)
    return Shown(
        name=field.name,
        label=label(field),
        hint=" ".join(part for part in (_(field.about), _how(field)) if part),
        value=value,
        options=_options(field, held, value),
        required=field.required and field.kind not in {Kind.LIST, Kind.MAP} and not field.nullable,
        blank=_blank(field, held),
        lines=lines,
        mode=MODES.get(field.kind, ""),
        longest=min(field.longest or (LINE if lines == 1 else LONGEST), LONGEST),
    )


def label(field: Field) -> str | Markup:
    """Return what a field is called; its name as it is, and marked as such, where nobody gave it a title."""
    return _(field.title) if field.title else Markup('<span class="m-mono">{}</span>').format(field.name)


def _lines(field: Field, value: str) -> int:
    if field.kind in {Kind.LIST, Kind.MAP, Kind.JSON}:
        return min(10, max(3, value.count("\n") + 2))
    return 3 if field.kind is Kind.TEXT and ("\n" in value or (field.longest or 0) > LONG) else 1


def _how(field: Field) -> str:
    if field.kind is Kind.JSON:
        return _("Written as JSON.")
    if field.kind not in {Kind.LIST, Kind.MAP}:
        return ""
    line = _example(field)
    if field.kind is Kind.LIST:
        return _("One a line, as {example}.", example=line) if line else _("One a line.")
    return _("One a line, as {example}.", example=line or _("key = value"))


def _example(field: Field) -> str:
    return written(field, field.example).partition("\n")[0] if field.example else ""


def _options(field: Field, held: Any, value: str) -> list[tuple[str, str]]:
    if field.kind is not Kind.CHOICE:
        return []
    options = [(_text(choice.value), _word(choice)) for choice in field.choices]
    # What is kept although it is no choice any more stays visible; it is refused when it is saved.
    return options if held is None or value in {o[0] for o in options} else [*options, (value, value)]


def _word(choice: Choice) -> str:
    return _(choice.word) if choice.word else str(choice.value).replace(TAB, "Tab")


def _blank(field: Field, held: Any) -> str:
    if field.kind is not Kind.CHOICE:
        return ""
    return "-" if field.nullable else _("Choose") if held is None else ""


def written(field: Field, value: Any) -> str:
    """Return a value as it is written into its field."""
    if value is None:
        return ""
    try:
        match field.kind:
            case Kind.LIST:
                return "\n".join(_text(each) for each in value)
            case Kind.MAP:
                return "\n".join(f"{key} = {_text(each)}" for key, each in sorted(value.items()))
            case Kind.JSON:
                return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
            case _:
                return _text(value)
    except (TypeError, AttributeError):  # kept by an older connector that had another kind of field
        return str(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.15g}".replace(".", "," if current_language() == "pt-BR" else ".")
    return str(value)


class Said(NamedTuple):
    """A field of a configuration as it is told."""

    label: str | Markup
    text: str
    mono: bool


def said(connector: Connector | None, config: Mapping[str, Any]) -> Iterator[Said]:
    """Yield what a connection is told, each in words; as it is kept where the connector is not installed."""
    known = configuring.fields_of(connector) if connector else {}
    for field in known.values():
        held = _held(field, config)
        word = next((_word(c) for c in field.choices if type(c.value) is type(held) and c.value == held), "")
        text = word or written(field, held).replace("\n", ", ")
        if text:
            yield Said(label(field), text, not word)
    for name in sorted(set(config) - set(known)):
        yield Said(label(Field(name=name, kind=Kind.JSON)), msgspec.json.encode(config[name]).decode(), True)


# --- read ---


def read(form: Filled, connector: Connector, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that was filled in over the one that is `kept`; what is wrong is noted in the form."""
    config: dict[str, Any] = {}  # what the connector does not know any more is left out
    begun = len(form.flaws)
    lines: dict[str, int] = {}
    for field in configuring.fields_of(connector).values():
        _read(form, field, kept, config, lines)
    if len(form.flaws) == begun:
        for flaw in configuring.flaws_of(connector, config):
            _note(form, flaw, lines)
    return config


def _read(form: Filled, field: Field, kept: Mapping[str, Any], config: dict[str, Any], lines: dict[str, int]) -> None:
    at = f"config/{field.name}"
    if at not in form.form:  # a form that does not know the field
        if field.name in kept:
            config[field.name] = kept[field.name]
        return
    raw = str(form.form.get(at, "")).replace("\x00", "").replace("\r\n", "\n")
    text = raw if field.kind is Kind.CHOICE else raw.strip()
    if len(text) > LONGEST:
        form.wrong(at, shapes.SHORTER, limit=LONGEST)
        return
    before = written(field, _held(field, kept))
    if text == (before if field.kind is Kind.CHOICE else before.strip()):
        if field.name in kept:
            config[field.name] = kept[field.name]
        with suppress(_Bad):
            _value(field, text, lambda *_: None, lines)
        return
    if not text:
        _empty(field, config)
        return

    def wrong(says: str, mend: str, **facts: Any) -> None:
        form.wrong(at, says, mend, **facts)

    try:
        config[field.name] = _value(field, text, wrong, lines)
    except _Bad as bad:
        wrong(bad.says, bad.mend, **bad.facts)


def _empty(field: Field, config: dict[str, Any]) -> None:
    """Take an emptied field for nothing where its kind knows nothing, else for the connector's own value."""
    if field.nullable:
        if field.default is not None or field.required:
            config[field.name] = None
    elif field.kind in {Kind.LIST, Kind.MAP} and (field.default or field.required):
        config[field.name] = [] if field.kind is Kind.LIST else {}


def _value(field: Field, text: str, wrong: Wrong, lines: dict[str, int]) -> Any:
    match field.kind:
        case Kind.LIST:
            return _list(field, text, wrong, lines)
        case Kind.MAP:
            return _map(field, text, wrong, lines)
        case Kind.JSON:
            try:
                return msgspec.json.decode(text)
            except msgspec.DecodeError as error:
                why = str(error).removeprefix("JSON is malformed: ")
                raise _Bad(
                    N_("This is no JSON: {why}"), N_("Write texts and names in quotation marks."), why=why
                ) from None
        case _:
            return _scalar(field, text)


def _list(field: Field, text: str, wrong: Wrong, lines: dict[str, int]) -> list[Any]:
    found: list[Any] = []
    for line, entry in _entries(text):
        lines[shapes.joined(field.name, len(found))] = line
        try:
            found.append(_scalar(_item(field), entry))
        except _Bad as bad:
            _wrong_line(wrong, line, bad)
    return found


def _map(field: Field, text: str, wrong: Wrong, lines: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    named: dict[str, int] = {}
    example = _example(field) or "A = 1"
    for line, entry in _entries(text):
        # Either side may hold a = of its own, when the one between them stands apart.
        key, apart, value = (part.strip() for part in entry.partition(" = " if " = " in entry else "="))
        facts: dict[str, Any] = {"line": line, "text": entry[:80], "example": example}
        if not apart:
            says = N_("Line {line}, {text}: there is no = in it.")
            wrong(says, N_("Write both sides with a = between them, as {example}."), **facts)
        elif not key or not value:
            says = N_("Line {line}, {text}: one side of the = is empty.")
            wrong(says, N_("Write both sides with a = between them, as {example}."), **facts)
        elif key in named:
            says = N_("Line {line}: {key} is there in line {first} already.")
            wrong(says, N_("Keep one of them."), line=line, key=key[:80], first=named[key])
        else:
            named[key] = line
            lines[shapes.joined(field.name, key)] = line
            try:
                found[key] = _scalar(_item(field), value)
            except _Bad as bad:
                _wrong_line(wrong, line, bad)
    return found


def _entries(text: str) -> Iterable[tuple[int, str]]:
    return ((n, line.strip()) for n, line in enumerate(text.split("\n"), 1) if line.strip())


def _item(field: Field) -> Field:
    assert field.item is not None  # noqa: S101 -- lists and maps have one
    return field.item


def _wrong_line(wrong: Wrong, line: int, bad: _Bad) -> None:
    wrong(N_("Line {line}: {what}"), bad.mend, **bad.facts, line=line, what=Phrase(bad.says, bad.facts))


def _scalar(field: Field, text: str) -> Any:
    match field.kind:
        case Kind.WHOLE:
            if not _WHOLE.fullmatch(text):
                raise _Bad(
                    N_("{value} is no whole number."), N_("Write it with digits only, like 25."), value=text[:40]
                )
            return int(text)
        case Kind.NUMBER:
            if not _NUMBER.fullmatch(text):
                raise _Bad(N_("{value} is no number."), N_("Write it like 1.234,50 or 1234.50."), value=text[:40])
            return float(text.replace(",", "."))
        case Kind.CHOICE:
            for choice in field.choices:
                if text in {_text(choice.value), _word(choice)}:
                    return choice.value
            words = [_word(choice) for choice in field.choices]
            mend = N_("Choose one of these: {choices}.")
            raise _Bad(shapes.NOT_ONE_OF, mend, value=text[:40], choices=words)
        case _:
            return text


def _note(form: Filled, flaw: Flaw, lines: Mapping[str, int]) -> None:
    """Note what the connector does not take at the field of the form, with its line where it has several."""
    name = flaw.at.partition("/")[0].replace("~1", "/").replace("~0", "~")
    at = f"config/{name}" if name else "config"
    line = lines.get(flaw.at)
    if line is None:
        form.wrong(at, flaw.says, flaw.mend, **flaw.facts)
    else:
        what = Phrase(flaw.says, web.amounts(flaw.facts))
        form.wrong(at, N_("Line {line}: {what}"), flaw.mend, **flaw.facts, line=line, what=what)
