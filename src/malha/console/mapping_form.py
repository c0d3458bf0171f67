"""How fields of somebody else are made of ours, as a form: a row for each, for feeds and for listings alike."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from malha.channels.feeds import rules
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.feeds.profiles import Profile
from malha.console.filling import Filled
from malha.platform.flaws import Invalid
from malha.platform.i18n import N_, _

OTHERS = {
    Origin.ATTRIBUTE: N_("Attribute of the product …"),
    Origin.OPTION: N_("Option of the SKU …"),
    Origin.CONSTANT: N_("Fixed text …"),
    Origin.TEMPLATE: N_("Template …"),
}
NOTHING = "none"  # a source: the field is stated to be empty
_SEPARATOR = "="


class FieldRow(NamedTuple):
    """One field of the target as the form shows it. `source` is `field:price`, `constant` …; empty: as if not said.

    `free`: its name is written by who fills the form in. `usual` says what an empty source means.
    """

    n: int | str
    target: str
    required: bool
    hint: str
    source: str
    value: str
    table: str
    otherwise: str
    replaces: bool
    free: bool = False
    label: str = ""
    usual: str = ""


def new_row(usual: str = "") -> FieldRow:
    """Return the row that a page adds for a field of any name; its number is put in there."""
    return FieldRow("__n__", "", False, "", "", "", "", "", False, free=True, usual=usual)


def sources(profile: Profile) -> list[tuple[str, str]]:
    """Return which of our fields may fill one of a target."""
    return [
        (f"field:{name}", _(word))
        for name, word in rules.FIELDS.items()
        if profile.per_location or name not in {"location", "location_name"}
    ]


def others() -> list[tuple[str, str]]:
    """Return what may fill a field besides ours."""
    return [(origin.value, _(word)) for origin, word in OTHERS.items()]


def rows_of(profile: Profile, mapping: Sequence[Mapped]) -> list[FieldRow]:
    """Return the fields as the form shows them: all that the target has, or those mapped where it takes any."""
    mapped = {m.target: m for m in mapping}
    names = [m.target for m in mapping] if profile.open else [f.name for f in profile.fields]
    return [row_of(n, profile, name, mapped.get(name))._replace(free=profile.open) for n, name in enumerate(names)]


def row_of(n: int, profile: Profile, name: str, one: Mapped | None) -> FieldRow:
    """Return one field as the form shows it."""
    field = profile.field(name)
    source = value = ""
    if one is not None:
        source = f"field:{one.value}" if one.origin is Origin.FIELD else one.origin.value
        value = "" if one.origin is Origin.FIELD else one.value
    return FieldRow(
        n,
        name,
        bool(field and field.required),
        ", ".join(field.values) if field else "",
        source,
        value,
        "\n".join(f"{ours} {_SEPARATOR} {theirs}" for ours, theirs in one.table.items()) if one else "",
        (one.otherwise or "") if one else "",
        one is not None and one.otherwise is not None,
    )


def read_mapping(read: Filled) -> tuple[list[Mapped], list[int]]:
    """Return the mapping that was filled in, and of which row of the form each of its fields is."""
    mapping, of_row = [], []
    for n in sorted({int(m) for name in read.form if (m := _row(name)) is not None})[: rules.MOST_FIELDS]:
        source, _sep, name = read.text(f"plan/mapping/{n}/source", 80).partition(":")
        target = read.text(f"plan/mapping/{n}/target", 80)
        if not source:
            continue
        if not target:
            read.wrong(f"plan/mapping/{n}/target", N_("This field is empty."), N_("Fill it in."))
            continue
        if source == NOTHING:
            mapping.append(Mapped(target=target, origin=Origin.CONSTANT))
            of_row.append(n)
            continue
        value = name if source == Origin.FIELD else read.text(f"plan/mapping/{n}/value", rules.LONGEST_VALUE)
        replaces = read.flag(f"plan/mapping/{n}/replaces")
        mapping.append(
            Mapped(
                target=target,
                origin=Origin(source) if source in set(Origin) else Origin.FIELD,
                value=value,
                table=_table(read, n),
                otherwise=read.text(f"plan/mapping/{n}/otherwise", 300) if replaces else None,
            )
        )
        of_row.append(n)
    return mapping, of_row


def _row(name: str) -> str | None:
    parts = name.split("/")
    fits = len(parts) == 4 and parts[:2] == ["plan", "mapping"] and parts[2].isascii() and parts[2].isdigit()
    return parts[2][:4] if fits else None


def _table(read: Filled, n: int) -> dict[str, str]:
    table = {}
    for line in read.text(f"plan/mapping/{n}/table", 200_000).splitlines():
        ours, sign, theirs = line.partition(_SEPARATOR)
        if not line.strip():
            continue
        if not sign:
            read.wrong(
                f"plan/mapping/{n}/table",
                N_("A line of the table has no “=”."),
                N_("Write one pair a line: M = medium."),
            )
            break
        table[ours.strip()] = theirs.strip()
    return table


def placed(error: Invalid, mapping: Sequence[Mapped], of_row: Sequence[int]) -> Invalid:
    """Return a refusal with its paths pointing at the rows of the form."""
    flaws = []
    for flaw in error.flaws:
        parts = flaw.at.removeprefix("plan/").split("/")
        if parts[0] == "mapping" and len(parts) == 3 and int(parts[1]) < len(of_row):
            chosen = parts[2] == "value" and mapping[int(parts[1])].origin is Origin.FIELD  # ours are in the list
            last = "source" if chosen else parts[2]
            flaw = msgspec.structs.replace(flaw, at=f"plan/mapping/{of_row[int(parts[1])]}/{last}")  # noqa: PLW2901
        flaws.append(flaw)
    return Invalid(flaws)
