"""A refusal that is kept says later, in whichever language, what it would have said at once."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from malha.ordering.errors import HoldAutomatic, HoldNotOpen
from malha.ordering.model import HoldKind, word_of
from malha.platform import refusals
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import LANGUAGES, Phrase, translate
from malha.platform.money import Money


class Told(MalhaError):
    """All kinds of facts."""

    says = "{n}, {money}, {text}, {word}, {phrase}, {day}, {moment}, {all}"
    mend = "{word}"


STOCK = word_of(HoldKind.SHORTAGE)
FACTS = {
    "n": 12,
    "money": Money(12_345, "BRL"),
    "text": "A-1",
    "word": STOCK,
    "phrase": Phrase("The hold {kind} is lifted by its cause, not by hand.", {"kind": STOCK}),
    "day": date(2026, 12, 1),
    "moment": datetime(2026, 12, 1, 12, tzinfo=UTC),
    "all": [STOCK, word_of(HoldKind.PAYMENT), "A-1"],
}
KEPT = [Told(**FACTS), HoldNotOpen(number=7, kind=STOCK), HoldAutomatic(kind=STOCK)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("error", KEPT, ids=lambda error: type(error).__name__)
def test_it_says_the_same_later(error: MalhaError, language: str) -> None:
    later = refusals.said(msgspec.json.decode(refusals.kept(error)), language)
    assert later == " ".join(translate(language, text, **error.facts) for text in (error.says, error.mend))


def test_of_values_that_are_not_acceptable_it_says_which() -> None:
    flaws = [Flaw("reason", "This needs a reason.", "Say why in a few words."), Flaw("day", "Choose a day.")]
    later = refusals.said(msgspec.json.decode(refusals.kept(Invalid(flaws))), "en")
    assert later == "This needs a reason. Say why in a few words."


def test_one_that_older_code_kept_is_said_too() -> None:
    why = {"says": "The hold {kind} is lifted by its cause, not by hand.", "mend": "", "facts": {"kind": "Not enough"}}
    assert refusals.said(why, "en") == "The hold Not enough is lifted by its cause, not by hand."
