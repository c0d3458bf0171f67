"""The cells of a decision table as people write them: read into conditions and results, and written out again.

The same texts stand in the grid of the page and in a spreadsheet.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from malha.console import routing_rule_words as words
from malha.console.grids import Cell, chosen
from malha.network.model import Method
from malha.platform import i18n
from malha.platform.brazil import STATES
from malha.platform.i18n import N_, _
from malha.platform.tabular import BadCell, scaled
from malha.platform.text import fold
from malha.routing.ruling.model import MAX_TIERS, Row, Then, Unfilled, When

MOST = 10**12
# Days as they begin in the languages of the product, folded.
DAY_BEGINS = {
    name: n
    for names in (("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("seg", "ter", "qua", "qui", "sex", "sab", "dom"))
    for n, name in enumerate(names, 1)
}
YES_NO = {"yes": N_("Yes"), "no": N_("No")}
GOODS = {"any": N_("at least one line"), "all": N_("every line")}
BETWEEN = re.compile(r"\.\.|[\u2013\u2014-]|\ba\b|\bto\b")
DASHES = re.compile(r"\.\.+|[\u2013\u2014]")
NO_RANGE = N_("{value} is no range.")
LIKE_RANGE = N_("Write it like 100..500, >= 100 or <= 500.")

Said = dict[str, Any]


def codes(text: str) -> list[str]:
    """Return what stands between commas, each once."""
    parts = text.replace("\n", ",").replace(";", ",").split(",")
    return list(dict.fromkeys(part.strip()[:80] for part in parts if part.strip()))


def _list(name: str) -> Callable[[str], Said]:
    return lambda text: {name: codes(text)}


def _listed(name: str) -> Callable[[Any], str]:
    return lambda part: ", ".join(getattr(part, name))


def _states(text: str) -> Said:
    found = [state.upper() for state in codes(text)]
    for state in found:
        if state not in STATES:
            raise BadCell(N_("There is no state {value}."), N_("Write two letters each, like SP, RJ."), value=state)
    return {"states": found}


METHODS = {method.value: word for method, word in words.METHODS.items()}
UNFILLED = {
    Unfilled.NEXT.value: N_("Next rule, then any location"),
    Unfilled.QUEUE.value: N_("Wait for a person"),
    Unfilled.BACKORDER.value: N_("Sell ahead, else wait"),
    Unfilled.DROP_SHIP.value: N_("A vendor sends it"),
}


def _methods(text: str) -> Said:
    return {"methods": [Method(chosen(part, METHODS)) for part in codes(text)]}


def bounds(text: str, number: Callable[[str], int]) -> tuple[int | None, int | None]:
    """Return the least and the most of a range.

    Raises:
        BadCell: it is none.
    """
    said = text.strip()
    if not said:
        return None, None
    for signs, place in ((("<=", "≤"), 1), ((">=", "≥"), 0), (("<",), 2), ((">",), 3), (("=",), 4)):
        for sign in signs:
            if said.startswith(sign):
                found = number(said.removeprefix(sign))
                return {
                    0: (found, None), 1: (None, found), 2: (None, found - 1), 3: (found + 1, None), 4: (found, found),
                }[place]  # fmt: skip
    ends = BETWEEN.split(said, maxsplit=1)
    if len(ends) > 1:
        return number(ends[0].strip()), number(ends[1].strip().lstrip("."))
    try:
        found = number(said)
    except BadCell:
        if any(sign.isdigit() for sign in said):
            raise
        raise BadCell(NO_RANGE, LIKE_RANGE, value=said) from None
    return found, found


def _number(text: str, digits: int) -> int:
    try:
        found = scaled(text, digits)
    except BadCell as bad:
        raise BadCell(bad.says, bad.mend, **{"value": text.strip(), **bad.facts}) from None
    if not 0 <= found <= MOST:
        raise BadCell(N_("{value} is out of range."), N_("Check it."), value=text.strip())
    return found


def _range(name: str, digits: int) -> Callable[[str], Said]:
    def read(text: str) -> Said:
        least, most = bounds(text, lambda said: _number(said, digits))
        return {f"min_{name}": least, f"max_{name}": most}

    return read


def _ranged(name: str, digits: int) -> Callable[[Any], str]:
    def number(value: int) -> str:
        return i18n.number(value / 100, decimals=2) if digits else str(value)

    def show(when: Any) -> str:
        least, most = getattr(when, f"min_{name}"), getattr(when, f"max_{name}")
        if least is None:
            return "" if most is None else f"<= {number(most)}"
        if most is None:
            return f">= {number(least)}"
        return number(least) if least == most else f"{number(least)}..{number(most)}"

    return show


def _attributes(text: str) -> Said:
    found: dict[str, list[str]] = {}
    for part in text.replace("\n", ";").split(";"):
        name, sign, values = part.partition(":")
        if not part.strip():
            continue
        if not sign or not name.strip() or not codes(values):
            raise BadCell(
                N_("{value} is no attribute."), N_("Write it like class: fragile, glass; size: S."), value=part.strip()
            )
        found[name.strip()[:80]] = codes(values)
    return {"attributes": found}


def _attributes_shown(when: When) -> str:
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in when.attributes.items())


def _day(text: str) -> int:
    said = fold(text).strip()
    if said.isdigit() and 1 <= int(said) <= 7:
        return int(said)
    if said[:3] not in DAY_BEGINS:
        raise BadCell(N_("{value} is no day of the week."), N_("Write it like Mon-Fri, Sun."), value=text.strip())
    return DAY_BEGINS[said[:3]]


def _weekdays(text: str) -> Said:
    found: list[int] = []
    for part in codes(re.sub(r"-feira\b", "", text, flags=re.IGNORECASE)):
        first, sign, last = DASHES.sub("-", part).partition("-")
        begin = _day(first)
        until = _day(last) if sign else begin
        found += [(begin - 1 + n) % 7 + 1 for n in range((until - begin) % 7 + 1)]
    return {"weekdays": sorted(set(found))}


def _weekdays_shown(when: When) -> str:
    runs: list[list[int]] = []
    for day in sorted(set(when.weekdays)):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(
        _(words.DAYS[run[0] - 1]) if len(run) == 1 else f"{_(words.DAYS[run[0] - 1])}-{_(words.DAYS[run[-1] - 1])}"
        for run in runs
    )


def _hour(text: str) -> int:
    said = text.strip().lower().removesuffix("h").removesuffix(":00").removesuffix("h00")
    if not (said.isascii() and said.isdigit() and int(said) <= 24):
        raise BadCell(
            N_("{value} is no hour."), N_("Write it like 8-18: from 8:00 on and before 18:00."), value=text.strip()
        )
    return int(said)


def _hours(text: str) -> Said:
    said = text.strip()
    if not said:
        return {"from_hour": None, "to_hour": None}
    if said.startswith((">=", "≥")):
        return {"from_hour": _hour(said.lstrip(">=≥")), "to_hour": None}
    if said.startswith("<") and not said.startswith("<="):
        return {"from_hour": None, "to_hour": _hour(said[1:])}
    first, sign, last = DASHES.sub("-", said).partition("-")
    if not sign:
        raise BadCell(
            N_("{value} is no range of hours."), N_("Write it like 8-18: from 8:00 on and before 18:00."), value=said
        )
    return {"from_hour": _hour(first), "to_hour": _hour(last)}


def _hours_shown(when: When) -> str:
    if when.from_hour is None:
        return "" if when.to_hour is None else f"< {when.to_hour}"
    return f">= {when.from_hour}" if when.to_hour is None else f"{when.from_hour}-{when.to_hour}"


def _whole(name: str, least: int, most: int) -> Callable[[str], Said]:
    def read(text: str) -> Said:
        if not text.strip():
            return {name: None}
        found = _number(text, 0)
        if not least <= found <= most:
            raise BadCell(
                N_("{value} is out of range."), N_("Write one from {least} to {most}."),
                value=text.strip(), least=least, most=most,
            )  # fmt: skip
        return {name: found}

    return read


def _plain(name: str) -> Callable[[Any], str]:
    return lambda part: "" if getattr(part, name) is None else str(getattr(part, name))


def _prefer(text: str) -> Said:
    found = codes(text.replace("→", ","))
    if len(found) > MAX_TIERS:
        raise BadCell(N_("More than {most} groups."), N_("Leave out the last ones."), most=MAX_TIERS)
    return {"prefer": found}


WHEN = (
    Cell("channels", N_("Sales channel"), N_("Codes, with commas"), _list("channels"), _listed("channels")),
    Cell("methods", N_("Method"), "", _methods, lambda when: ", ".join(m.value for m in when.methods), METHODS),
    Cell("states", N_("State"), N_("Like SP, RJ"), _states, _listed("states")),
    Cell("customer_groups", N_("Customer group"), N_("Codes, with commas"), _list("customer_groups"),
         _listed("customer_groups")),
    Cell("value", N_("Value of the order, R$"), N_("Like 100..500 or >= 100"), _range("value", 2), _ranged("value", 2)),
    Cell("units", N_("Units"), N_("Like 1..3"), _range("units", 0), _ranged("units", 0)),
    Cell("grams", N_("Weight, g"), N_("Like >= 5000"), _range("grams", 0), _ranged("grams", 0)),
    Cell("brands", N_("Brand"), N_("With commas"), _list("brands"), _listed("brands")),
    Cell("categories", N_("Category"), N_("Codes, with commas"), _list("categories"), _listed("categories")),
    Cell("attributes", N_("Attributes"), N_("Like class: fragile"), _attributes, _attributes_shown),
    Cell("goods", N_("Which lines"), "", lambda text: {"goods": chosen(text, GOODS) if text.strip() else "any"},
         lambda when: "all" if when.goods == "all" else "", GOODS),
    Cell("weekdays", N_("Weekday"), N_("Like Mon-Fri"), _weekdays, _weekdays_shown),
    Cell("hours", N_("Hours"), N_("Like 8-18"), _hours, _hours_shown),
)  # fmt: skip
THEN = (
    Cell("run", N_("Run"), "", lambda text: {"run": text.strip()[:80] or None}, _plain("run"), {}),
    Cell("groups", N_("Only from groups"), N_("Codes, with commas"), _list("groups"), _listed("groups")),
    Cell("prefer", N_("First from groups"), N_("In order, with commas"), _prefer, _listed("prefer")),
    Cell("keep", N_("Keep back"), N_("Units"), _whole("keep", 0, 1_000_000), _plain("keep")),
    Cell("complete", N_("Complete only"), "",
         lambda text: {"complete": None if not text.strip() else chosen(text, YES_NO) == "yes"},
         lambda then: "" if then.complete is None else "yes" if then.complete else "no", YES_NO),
    Cell("max_packages", N_("Packages at most"), N_("1: no split"), _whole("max_packages", 1, 100),
         _plain("max_packages")),
    Cell("unfilled", N_("If it cannot"), "",
         lambda text: {"unfilled": Unfilled(chosen(text, UNFILLED)) if text.strip() else None},
         lambda then: "" if then.unfilled is None else then.unfilled.value, UNFILLED),
    Cell("vendors", N_("Vendors, in order"), N_("Codes, with commas"), lambda text: {"vendors": codes(text)[:20]},
         _listed("vendors")),
    Cell("cancel_after_days", N_("Cancel after, days"), "", _whole("cancel_after_days", 1, 365),
         _plain("cancel_after_days")),
)  # fmt: skip
NAME = Cell("name", N_("Name"), "", lambda text: {"name": text.strip()[:80]}, lambda row: str(row.name))
EVERY = (NAME, *WHEN, *THEN)
# Which cell holds a field of a row: errors of the whole set are told where they can be mended.
FIELDS = {
    **{f"{end}_{name}": name for end in ("min", "max") for name in ("value", "units", "grams")},
    **{f"{end}_hour": "hours" for end in ("from", "to")},
}


def texts_of(row: Row) -> dict[str, str]:
    """Return a row as it is written, by the names of its columns; empty cells are left out."""
    said = {NAME.name: row.name}
    said |= {cell.name: cell.show(row.when) for cell in WHEN}
    said |= {cell.name: cell.show(row.then) for cell in THEN}
    return {name: text for name, text in said.items() if text}


def read_row(texts: Mapping[str, str], wrong: Callable[[str, BadCell], None]) -> Row:
    """Return the row that texts say; a cell that cannot be read is told to `wrong` and left empty."""

    def fields(cells: Iterable[Cell]) -> Said:
        said: Said = {}
        for cell in cells:
            text = texts.get(cell.name, "")
            if text.strip():
                try:
                    said |= cell.read(text)
                except BadCell as bad:
                    wrong(cell.name, bad)
        return said

    name = texts.get(NAME.name, "").strip()[:80]
    return Row(name=name, when=When(**fields(WHEN)), then=Then(**fields(THEN)))


def is_empty(texts: Mapping[str, str]) -> bool:
    """Tell whether nothing is written in a row."""
    return not any(text.strip() for text in texts.values())


def used(rows: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the columns that say something in some row."""
    return {name for row in rows for name, text in row.items() if text.strip()}


def cell_of(pointer: str) -> tuple[int, str] | None:
    """Return the row and the column that a flaw of a rule set is about; None: it is of no row."""
    parts = pointer.split("/")
    if parts[:2] != ["table", "rows"] or len(parts) < 5:
        return None
    return int(parts[2]), FIELDS.get(parts[4], parts[4])
