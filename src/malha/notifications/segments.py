"""How many parts an SMS has. Networks charge each part: 160 letters of the GSM alphabet, or 70 of any other.

A message of several parts loses a few letters of each to what joins them: 153 and 67. The letters of the GSM extension
count twice and are not split. Portuguese needs letters the alphabet lacks (ã, ç, õ, í, ...), so one of them halves what
fits; `plain` writes them without their accents.
"""

import unicodedata

import msgspec

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
# What typewriters of all kinds put where the alphabet has something alike.
_ALIKE = {
    "\N{LEFT DOUBLE QUOTATION MARK}": '"', "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{BULLET}": "*",
}  # fmt: skip


class Length(msgspec.Struct, frozen=True):
    """How long a text is as an SMS: its letters, what fits into its parts, how many they are, and how it is written."""

    letters: int  # as they are counted
    parts: int
    room: int  # letters that fit into that many parts
    unicode: bool  # a letter in it is outside the GSM alphabet


def length_of(text: str) -> Length:
    """Return how long a text is as an SMS."""
    if all(c in _BASIC or c in _EXTENDED for c in text):
        weights = [2 if c in _EXTENDED else 1 for c in text]
        return _parts(weights, 160, 153, unicode=False)
    # UCS-2 counts what lies beyond its plane as two; the two are not split.
    return _parts([2 if ord(c) > 0xFFFF else 1 for c in text], 70, 67, unicode=True)


def _parts(weights: list[int], alone: int, joined: int, *, unicode: bool) -> Length:
    letters = sum(weights)
    if letters <= alone:
        return Length(letters, 1 if letters else 0, alone, unicode)
    parts, left = 1, joined
    for weight in weights:
        if weight > left:
            parts, left = parts + 1, joined
        left -= weight
    return Length(letters, parts, parts * joined, unicode)


def plain(text: str) -> str:
    """Return a text in letters of the GSM alphabet, as far as they have a plain form there."""
    return "".join(c if c in _BASIC or c in _EXTENDED else _plain_letter(c) for c in text)


def _plain_letter(letter: str) -> str:
    if letter in _ALIKE:
        return _ALIKE[letter]
    bare = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
    return bare if bare and all(c in _BASIC or c in _EXTENDED for c in bare) else letter
