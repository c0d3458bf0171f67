"""Reading a form a person filled in: each field as its type, and all that is wrong told at once.

A field's name in the form is its path in the draft (`address/postal_code`), which is also where a flaw points: the
page marks that field.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from litestar.datastructures import FormMultiDict, UploadFile

from malha.platform import i18n
from malha.platform.days import checked, read_day
from malha.platform.flaws import Flaw, Invalid, refuse
from malha.platform.i18n import N_
from malha.platform.tabular import BadCell, scaled

E = TypeVar("E", bound=StrEnum)

_HOUR = re.compile(r"(24|2[0-3]|[01]?[0-9]):?([0-5][0-9])?")
_FILL_IN = N_("This field is empty."), N_("Fill it in.")


class Filled:
    """A form's fields. What cannot be read is kept as a flaw, and its field has a harmless value until `refuse`."""

    def __init__(self, form: FormMultiDict) -> None:
        self.form = form
        self.flaws: list[Flaw] = []

    def wrong(self, at: str, says: str, mend: str = "", **facts: object) -> None:
        """Note what is wrong with a field."""
        self.flaws.append(Flaw(at, says, mend, facts))

    def refuse(self) -> None:
        """Raise `Invalid` when anything was wrong."""
        refuse(self.flaws)

    def text(self, name: str, most: int = 300) -> str:
        """Return what was typed, trimmed; empty when the form has no such field."""
        return str(self.form.get(name, "")).replace("\x00", "").strip()[:most]

    def flag(self, name: str) -> bool:
        """Return whether a box was ticked."""
        return name in self.form

    def choice(self, name: str, of: type[E]) -> E:
        """Return one of a list's values."""
        try:
            return of(self.text(name))
        except ValueError:
            self.wrong(name, N_("No choice was made."), N_("Choose one of the list."))
            return next(iter(of))

    def chosen(self, name: str) -> str:
        """Return the code of what was chosen of a list in which nothing is chosen at first."""
        code = self.text(name, 80)
        if not code:
            self.wrong(name, N_("No choice was made."), N_("Choose one of the list."))
        return code

    def maybe_whole(self, name: str) -> int | None:
        """Return a whole number; None when the field is empty."""
        return self._number(name, 0)

    def whole(self, name: str) -> int:
        """Return a whole number."""
        return self._required(name, self.maybe_whole(name))

    def centavos(self, name: str) -> int:
        """Return an amount of money in minor units; empty is nothing."""
        return self._number(name, 2) or 0

    def maybe_scaled(self, name: str, digits: int) -> int | None:
        """Return a decimal number as an integer of its `digits`-th decimal; None when the field is empty."""
        return self._number(name, digits)

    def scaled(self, name: str, digits: int) -> int:
        """Return a number with up to so many decimals, times ten to their power."""
        return self._required(name, self.maybe_scaled(name, digits))

    def degrees(self, name: str) -> float | None:
        """Return a coordinate as typed, with comma or point."""
        text = self.text(name)
        if not text:
            return None
        try:
            return float(text.replace(",", "."))
        except ValueError:
            self.wrong(name, N_("{value} is no number."), N_("Write it like 1.234,50 or 1234.50."), value=text[:40])
            return None

    def hour(self, name: str) -> str:
        """Return a time of the day like `09:00` as people write it (`9`, `9h30`, `0930`); empty when it is empty."""
        text = self.text(name, 10).lower().replace("h", ":").rstrip(":")
        if not text:
            return ""
        found = _HOUR.fullmatch(text)
        if found is None or (found[1] == "24" and found[2] not in {None, "00"}):
            self.wrong(name, N_("This is no time of the day."), N_("Write it like 14:00."))
            return ""
        return f"{int(found[1]):02d}:{found[2] or '00'}"

    def clock(self, name: str) -> time:
        """Return a time of the day that must be there."""
        text = self.hour(name)
        if text == "24:00":
            return time(23, 59)
        if not text and not any(flaw.at == name for flaw in self.flaws):
            self.wrong(name, *_FILL_IN)
        return time.fromisoformat(text or "00:00")

    def day(self, name: str) -> date | None:
        """Return a day; None when the field is empty."""
        text = self.text(name)
        try:
            return read_day(text) if text else None
        except ValueError:
            self.wrong(name, N_("This is no day."), N_("Choose it in the calendar."))
            return None

    def instant(self, name: str, zone: str) -> datetime | None:
        """Return an instant that was given as local time in a zone; None when the field is empty."""
        text = self.text(name)
        try:
            found = datetime.fromisoformat(text) if text else None
            if found is not None:
                checked(found.date())
                found = found.replace(tzinfo=ZoneInfo(zone))
        except ValueError:
            self.wrong(name, N_("This is no time of the day."), N_("Choose day and time in the calendar."))
            return None
        return found

    def version(self) -> int:
        """Return the version of the record the form was made from; a missing one matches nothing."""
        text = self.text("version")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1

    async def file(self) -> bytes:
        """Return the table that was sent as `file`.

        Raises:
            Invalid: none was chosen.
        """
        found = self.form.get("file")
        if not isinstance(found, UploadFile) or not found.filename:
            raise Invalid([Flaw("file", N_("No file was chosen."), N_("Choose a CSV or Excel file."))])
        return await found.read()

    def _number(self, name: str, digits: int) -> int | None:
        text = self.text(name, 40)
        if not text:
            return None
        try:
            return scaled(text, digits)
        except BadCell as error:
            self.wrong(name, error.says, error.mend, value=text, **error.facts)
            return None

    def _required(self, name: str, value: int | None) -> int:
        if value is None and not any(flaw.at == name for flaw in self.flaws):
            self.wrong(name, *_FILL_IN)
        return value or 0


def filled(form: FormMultiDict) -> Filled:
    """Return a form to read."""
    return Filled(form)


def options(words: dict[E, str]) -> Iterator[tuple[str, str]]:
    """Yield (value, word in the reader's language) of a list."""
    for value, word in words.items():
        yield value.value, i18n._(word)
