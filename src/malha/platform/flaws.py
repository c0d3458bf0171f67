"""What is wrong with a value someone sent: where, what, and how to mend it, as data.

Rules return flaws instead of raising, so that one validation serves a request body (`Invalid`, 422 with all of them)
and a row of a file (listed with its line and column). Both texts are gettext message ids with `{facts}`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.platform.errors import FieldError, MalhaError


class Flaw(msgspec.Struct, frozen=True):
    """One thing wrong with one field. `at` is the field's name, or a path like `lines/0/sku`."""

    at: str
    says: str
    mend: str = ""
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def text(self) -> str:
        """Return what is wrong in English; edges translate `says` and format it themselves."""
        return self.says.format_map(self.facts)


class Invalid(FieldError):
    """The body is well-formed but its values are not acceptable; nothing was changed."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = tuple(flaws)
        problems = [
            {"at": f"/{flaw.at}", "says": flaw.says, "mend": flaw.mend, "facts": dict(flaw.facts)} for flaw in flaws
        ]
        super().__init__(count=len(problems), problems=problems)


def first_of(error: MalhaError) -> Flaw | MalhaError:
    """Return the first flaw of values that are not acceptable: how many there are tells nobody what to do. Else it."""
    return error.flaws[0] if isinstance(error, Invalid) and error.flaws else error


def refuse(flaws: Sequence[Flaw]) -> None:
    """Raise `Invalid` when there is any flaw.

    Raises:
        Invalid: `flaws` is not empty.
    """
    if flaws:
        raise Invalid(flaws)
