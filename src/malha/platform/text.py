"""Text for searching: accents, case and compatibility forms folded, so that "Joao" finds "João"."""

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
