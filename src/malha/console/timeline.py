"""What happened to an order, as sentences in the reader's language.

Rows come from the event log: a type and its facts, ids and quantities. A type that has no sentence here is shown by
its name, so that nothing that happened is ever hidden.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from malha.console import render, words
from malha.ordering.reads import TimelineRow
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_

Facts = Mapping[str, Any]


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What ids in facts are called."""

    locations: Mapping[int, str] = {}
    people: Mapping[str, str] = {}
    currency: str = "BRL"

    def place(self, facts: Facts, key: str = "location_id") -> str:
        """Return the name of the one location in the facts, or nothing."""
        found = facts.get(key)
        return self.locations.get(found, "") if isinstance(found, int) else ""

    def places(self, facts: Facts, key: str = "locations") -> str:
        """Return the names of the locations in the facts."""
        return ", ".join(self.locations[i] for i in facts.get(key) or () if i in self.locations)

    def actor(self, label: str) -> str:
        """Return who acted: a person's name, `API`, or nothing for the system itself."""
        kind, _separator, id_ = label.partition(":")
        if kind == "person":
            return self.people.get(id_, _("A person who has left"))
        return self.people.get(id_, _("API")) if kind == "key" else ""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it is drawn."""

    title: str
    detail: str
    icon: str
    tone: str  # done, fail, now, plain
    at: datetime
    day: str
    clock: str
    actor: str


def _money(facts: Facts, names: Names, key: str = "amount") -> str:
    amount = facts.get(key)
    return i18n.money(amount, names.currency) if isinstance(amount, int) else ""


def _units(facts: Facts) -> int:
    lines = facts.get("lines")
    if isinstance(lines, Mapping):
        return sum(v for v in lines.values() if isinstance(v, int))
    quantity = facts.get("quantity", facts.get("units"))
    return quantity if isinstance(quantity, int) else 0


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _hold(facts: Facts) -> str:
    return _(words.HOLD.get(str(facts.get("kind")), str(facts.get("kind", ""))))


def _placed(facts: Facts, names: Names) -> tuple[str, str]:
    return _("Order received"), _joined(_money(facts, names, "total"), names.places(facts))


def _cancelled(facts: Facts, names: Names) -> tuple[str, str]:
    title = (
        _("Order cancelled") if facts.get("whole") else n_("{n} unit cancelled", "{n} units cancelled", _units(facts))
    )
    return title, _joined(_money(facts, names), str(facts.get("reason", "")))


def _hold_placed(facts: Facts, _names: Names) -> tuple[str, str]:
    return _("On hold: {reason}", reason=_hold(facts)), str(facts.get("note", ""))


def _hold_resolved(facts: Facts, _names: Names) -> tuple[str, str]:
    resolution = str(facts.get("resolution", ""))
    return _("Hold lifted: {reason}", reason=_hold(facts)), _(resolution) if resolution else ""


def _simple(title: str) -> Callable[[Facts, Names], tuple[str, str]]:
    def say(facts: Facts, names: Names) -> tuple[str, str]:
        reason = facts.get("reason") or facts.get("note") or ""
        return _(title), _joined(
            names.place(facts),
            names.places(facts),
            _money(facts, names),
            str(facts.get("tracking_code") or ""),
            str(reason),
        )

    return say


_Say = Callable[[Facts, Names], tuple[str, str]]
SENTENCES: dict[str, tuple[_Say, str, str]] = {
    "order.placed": (_placed, "shopping-bag", "done"),
    "order.cancelled": (_cancelled, "ban", "plain"),
    "order.hold_placed": (_hold_placed, "player-pause", "fail"),
    "order.hold_resolved": (_hold_resolved, "lock-open", "done"),
    "order.address_changed": (_simple(N_("Address changed")), "map-pin", "plain"),
    "order.buyer_changed": (_simple(N_("Customer data corrected")), "user", "plain"),
    "order.note_added": (_simple(N_("Note written")), "note", "plain"),
    "order.line_mapped": (_simple(N_("SKU identified")), "barcode", "done"),
}


def told(rows: list[TimelineRow], names: Names) -> list[Happening]:
    """Return what happened, newest first, each with the day it happened on where that differs from the one above."""
    out: list[Happening] = []
    last: date | None = None
    for row in rows:
        say, icon, tone = SENTENCES.get(row.type, (None, "circle", "plain"))
        title, detail = say(row.facts, names) if say else (row.type, "")
        local = render.local(row.at).date()
        out.append(
            Happening(
                title=title,
                detail=detail,
                icon=icon,
                tone=tone,
                at=row.at,
                day=render.day(row.at) if local != last else "",
                clock=render.clock(row.at),
                actor=names.actor(row.actor),
            )
        )
        last = local
    return out
