"""Which of our variants a channel's may be: what to look for, and how sure a suggestion is. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.channels.contract import ExtLine

LISTING = "listing"  # what an order waits for: `listing:<code>`
SURE = {"gtin": 98, "sku": 95}  # percent; a name is as sure as it is alike, and never more than `NAME_AT_MOST`
NAME_AT_MOST = 90
APART = 5  # percent by which the best must be ahead of the next to be taken without being looked at
LEAST = 40
GTIN_LENGTHS = (8, 12, 13, 14)
_NO_CODE = re.compile(r"[^A-Za-z0-9]")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of a channel, as it or one of its orders names it."""

    code: str
    external_id: str = ""
    gtin: str = ""
    name: str = ""
    price: int | None = None
    active: bool | None = True  # null: it is not told
    version: int = 0
    parent: str = ""  # how the channel calls its product
    told: Mapping[str, Any] = {}  # by the name of a product's field, what it tells beside these


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One of ours that a channel's may be. `how`: gtin, sku or name; `score` in percent."""

    sku: str
    name: str
    how: str
    score: int


def code_of(sku: str, external_id: str, gtin: str) -> str:
    """Return how a channel's variant is named here: by its SKU there, else by its id, else by its GTIN."""
    return (sku or external_id or gtin)[:200]


def storable(seen: Seen) -> Seen:
    """Return a variant without NUL in its texts, which no database keeps: one of them would hold up all that follow."""
    plain = _without_nul(msgspec.structs.asdict(seen))
    return Seen(**plain)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, Mapping):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    return [_without_nul(each) for each in value] if isinstance(value, list | tuple) else value


def seen_of(line: ExtLine) -> Seen:
    """Return the variant that an order's line names."""
    return Seen(
        code=code_of(line.sku, line.item, line.gtin),
        external_id=line.item[:200],
        gtin=line.gtin[:20],
        name=line.name[:200],
        price=line.unit_price,
    )


def squeezed(code: str) -> str:
    """Return a code without what people write differently: case, spaces, punctuation."""
    return _NO_CODE.sub("", code).upper()


def gtins_of(gtin: str) -> list[str]:
    """Return the ways a number may be written: with and without the zeros before it."""
    digits = gtin.strip()
    if not (digits.isascii() and digits.isdigit()) or not 8 <= len(digits) <= 14:
        return []
    bare = digits.lstrip("0")
    return [bare.zfill(length) for length in GTIN_LENGTHS if len(bare) <= length]


def ranked(found: Sequence[tuple[str, str, str, float]], most: int = 3) -> list[Suggestion]:
    """Return suggestions, the surest first, each SKU once: of (SKU, name, how, how alike from 0 to 1)."""
    best: dict[str, Suggestion] = {}
    for sku, name, how, alike in found:
        score = SURE.get(how) or round(alike * NAME_AT_MOST)
        if score >= LEAST and (sku not in best or best[sku].score < score):
            best[sku] = Suggestion(sku=sku, name=name, how=how, score=score)
    return sorted(best.values(), key=lambda s: (-s.score, s.sku))[:most]


def clear(suggestions: Sequence[Suggestion], least: int) -> Suggestion | None:
    """Return the suggestion that is sure enough, and clearly more so than the next; else None."""
    if not suggestions or suggestions[0].score < least:
        return None
    if len(suggestions) > 1 and suggestions[0].score - suggestions[1].score < APART:
        return None
    return suggestions[0]


def unmapped(lines: Sequence[ExtLine], found: Mapping[int, str | None]) -> list[Seen]:
    """Return what an order names that is none of ours yet, each once."""
    seen = {s.code: s for n, line in enumerate(lines) if not found.get(n) and (s := seen_of(line)).code}
    return [seen[code] for code in sorted(seen)]
