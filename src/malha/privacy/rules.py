"""By what a person is found in texts that nobody filed under them: patterns of their identities. Pure.

A pattern is read by PostgreSQL. Numbers are found however they are punctuated, names however they are accented or
capitalised, all of them also as they stand in an address of a page. Bytes are looked through as Latin-1, in which an
accented letter of UTF-8 is two characters.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import msgspec

from malha.platform.text import fold

NOTHING: Final = "(?!)"
GONE: Final = "***"
_LIKE = {"a": "aáàâãäAÁÀÂÃÄ", "e": "eéèêëEÉÈÊË", "i": "iíìîïIÍÌÎÏ", "o": "oóòôõöOÓÒÔÕÖ", "u": "uúùûüUÚÙÛÜ"}
_LIKE |= {"c": "cçCÇ", "n": "nñNÑ"}
_BEFORE, _AFTER = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
# Of a number in an address of a page the sign in front goes too: looking back at it costs twenty times as much.
_BEGINS = rf"({_BEFORE}|%2[0-9A-F])"
_BETWEEN = r"(?:[-+./() ]|%2[0-9A-F]){0,2}"  # the digits of a number
_CEP = 8
_SHORTEST_NUMBER = 8  # digits: fewer are anybody's


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a person was called and reached by, in whatever spelling, over all their profiles and orders."""

    names: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    streets: frozenset[str] = frozenset()  # with their number: a street alone is many people's
    ceps: frozenset[str] = frozenset()
    parcels: frozenset[str] = frozenset()  # tracking codes: a carrier's page says who lives where


class Marks(msgspec.Struct, frozen=True):
    """Patterns of what is told in words, and of what is a number."""

    words: str
    numbers: str


def strong_marks(known: Known) -> Marks:
    """Return the patterns of what is one person's alone: e-mails, documents, telephones."""
    return Marks(_any(_email(e) for e in known.emails), _any(_numbers(known)))


def all_marks(known: Known) -> Marks:
    """Return the patterns of all that is known, names and addresses too; a name of one word is many people's."""
    words = [_email(e) for e in known.emails]
    words += [_phrase(name) for name in known.names if len(fold(name).split()) > 1]
    words += [_bounded(code) for code in known.parcels if len(code) >= _SHORTEST_NUMBER]
    words += [_phrase(street) for street in known.streets if any(c.isdigit() for c in street)]
    return Marks(_any(words), _any(_numbers(known)))


def cep_marks(known: Known) -> str:
    """Return the pattern of CEPs, of which the first group is the district's part."""
    told = sorted(c for c in known.ceps if len(c) == _CEP and c.isdigit())
    found = [f"{cep[:5]}(?=-?{cep[5:]})" for cep in told]
    return f"{_BEFORE}({'|'.join(found)})-?[0-9]{{3}}{_AFTER}" if told else NOTHING


def _any(patterns: Iterable[str]) -> str:
    told = sorted({p for p in patterns if p}, key=lambda p: (-len(p), p))
    return f"({'|'.join(told)})" if told else NOTHING


def _email(email: str) -> str:
    return "(@|%40)".join(_literal(part) for part in email.strip().split("@")) if "@" in email else ""


def _numbers(known: Known) -> Iterable[str]:
    for number in (*known.documents, *known.phones):
        bare = "".join(c for c in number if c.isalnum())
        if len(bare) >= _SHORTEST_NUMBER:
            yield _spaced(bare)
            if number.startswith("+55"):
                yield _spaced(bare[2:])


def _spaced(bare: str) -> str:
    """Return a pattern of a number with any punctuation, which is no part of a longer number or word."""
    return _BEGINS + _BETWEEN.join(bare) + _AFTER


def _bounded(code: str) -> str:
    return _BEFORE + _literal(code) + _AFTER


def _phrase(text: str) -> str:
    return r"([\s,;+.\"]|%2[0C])+".join(_word(word) for word in text.replace(",", " ").split())


def _word(word: str) -> str:
    """Return a pattern of a word in any case, with or without its accents, also in bytes read as Latin-1."""
    pattern = ""
    for letter in word:
        base = fold(letter)
        if base in _LIKE:
            pattern += f"([{_LIKE[base]}]|\N{LATIN CAPITAL LETTER A WITH TILDE}.|%C3%[89AB][0-9A-F])"
        else:
            pattern += _literal(letter)
    return pattern


def _literal(text: str) -> str:
    """Return a pattern of exactly this text; a sign also as addresses of pages write it."""
    return "".join(letter if letter.isalnum() or letter in "_@ " else _sign(letter) for letter in text)


def _sign(letter: str) -> str:
    coded = quote(letter, safe="")
    return f"\\{letter}" if coded == letter else f"(\\{letter}|{coded})"
