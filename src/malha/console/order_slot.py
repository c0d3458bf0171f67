"""The slot of an order on its page: which it has, and those it could be moved to."""

from collections.abc import Sequence
from datetime import date, time
from typing import NamedTuple

import msgspec

from malha.capacity.model import Kind
from malha.console import render
from malha.network import reads as network
from malha.ordering import slots
from malha.ordering.model import Unit
from malha.platform.days import read_day
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID


class Choice(NamedTuple):
    """A free slot as a form offers it."""

    value: str
    text: str


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says: the slot in words, empty for none, and free ones."""

    pickup: bool = True
    text: str = ""
    choices: list[Choice] = []


async def view(tx: Tx, order_id: UUID, units: Sequence[Unit]) -> SlotView:
    """Return the slot of an order with these units, and those it could have instead."""
    had, free = await slots.choices(tx, order_id, units)
    several = len({place.id for place, _slot in free}) > 1
    choices = []
    for place, slot in free:
        text = _("{day}, {from_} to {to}", day=render.calendar_day(slot.key.day), from_=_clock(slot.key.starts),
                 to=_clock(slot.ends))  # fmt: skip
        left = n_("{n} place left", "{n} places left", slot.left)
        where = f"{place.name}: " if several else ""
        value = f"{slot.key.day.isoformat()} {_clock(slot.key.starts)} {place.code}"
        choices.append(Choice(value, f"{where}{text} ({left})"))
    if had is None:
        return SlotView(choices=choices)
    name = (await network.locations_by_id(tx, [had.location_id]))[had.location_id].name
    text = _("{day}, {from_} to {to}", day=render.calendar_day(had.day), from_=_clock(had.starts), to=_clock(had.ends))
    return SlotView(pickup=had.kind is Kind.PICKUP, text=f"{text}, {name}", choices=choices)


def _clock(at: time) -> str:
    return f"{at:%H:%M}"


def chosen(text: str) -> tuple[date, time, str]:
    """Return the day, start and location of a choice.

    Raises:
        Invalid: it is none.
    """
    day, _space, rest = text.partition(" ")
    starts, _space, code = rest.partition(" ")
    try:
        return read_day(day), time.fromisoformat(starts), code
    except ValueError:
        refuse([Flaw("slot", N_("Choose a slot."))])
        raise
