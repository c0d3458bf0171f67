"""Text for searching, folded so that "Joao" finds "João" (accents, case, compatibility forms); and how words begin."""

import re
import unicodedata

_SPACES = re.compile(r"\s+")


def fold(text: str) -> str:
    """Return the text without accents, in folded case, with single spaces and no NUL.

    Applied alike to what is stored and to what is asked, so both sides of a search agree.
    """
    if text.isascii():  # nothing to take apart
        return " ".join(text.replace("\x00", "").lower().split())
    decomposed = unicodedata.normalize("NFKD", text.replace("\x00", ""))
    stripped = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _SPACES.sub(" ", stripped.casefold()).strip()


# An apostrophe as keyboards have it, and as phones and typesetters write it.
_APOSTROPHES = str.maketrans(dict.fromkeys("'\u2018\u2019\u02bc\uff07`", "_"))


def literal(text: str) -> str:
    """Return a text that is looked for as a part of a LIKE pattern: what is a wildcard there stands for itself.

    But for apostrophes: whoever types one means it however it was written.
    """
    return exactly(text).translate(_APOSTROPHES)


def exactly(text: str) -> str:
    """Return a text as a LIKE pattern of itself only, whatever its case."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def whole_in(text: str, digits: int) -> int | None:
    """Return the whole number that a text states in so many digits at the most; None: it states none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def initials(name: str) -> str:
    """Return up to two letters that stand for a name."""
    parts = [part for part in name.split() if part[:1].isalpha()]
    return (parts[0][:1] + (parts[-1][:1] if len(parts) > 1 else parts[0][1:2])).upper() if parts else "?"


def begun(text: str) -> str:
    """Return a text as a sentence begins with it: `SKU identified` stays so, `log-in` is `Log-in`."""
    return text[:1].upper() + text[1:]


def within(text: str) -> str:
    """Return a label as a sentence goes on with it: `On hold` is `on hold`, an acronym in front stays: `CEP of ...`."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
