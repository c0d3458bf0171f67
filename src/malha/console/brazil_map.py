"""The map of Brazil: shapes of the states by UF and where a place lies on it.

`tools/build_assets.py` draws the shapes from Natural Earth (ADR 0019) and writes down the projection with them, so that
points land where the shapes are.
"""

import json
import math
from collections.abc import Sequence
from functools import cache

import msgspec

from malha.console import assets

LABELS = 9  # more names than this would cover the map
LABEL_HEIGHT, LETTER_WIDTH = 14.0, 6.5  # of a name as it is drawn, about


class Map(msgspec.Struct, frozen=True):
    """The drawn map, in its own units. `top` is the northern edge in Mercator radians."""

    width: float
    height: float
    west: float
    top: float
    scale: float
    states: dict[str, str]  # SVG path by UF


class Label(msgspec.Struct, frozen=True):
    """Where a name stands."""

    x: float
    y: float
    anchor: str


@cache
def shapes() -> Map:
    """Return the map as set-up drew it."""
    return msgspec.convert(json.loads(assets.library_file("brazil", "states.json").read_text("utf-8")), Map)


def place(latitude: float, longitude: float) -> tuple[float, float] | None:
    """Return where a place lies on the map; None for one that is not on it."""
    drawn = shapes()
    if not (-85 < latitude < 85):
        return None
    x = math.radians(longitude - drawn.west) * drawn.scale
    y = (drawn.top - math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))) * drawn.scale
    return (round(x, 1), round(y, 1)) if 0 <= x <= drawn.width and 0 <= y <= drawn.height else None


def labels(points: Sequence[tuple[float, float, float, str]]) -> list[Label | None]:
    """Return a place for the name of each point (x, y, radius, name), the most important first; None where no room is.

    A name stands left of its point, right of it, above or below, where it covers no other name and no point.
    """
    taken = [(x - r, y - r, x + r, y + r) for x, y, r, _name in points]
    found: list[Label | None] = []
    for i, (x, y, r, name) in enumerate(points):
        others = taken[:i] + taken[i + 1 :]
        found.append(None if sum(1 for label in found if label) >= LABELS else _label(x, y, r, name, others))
        if (label := found[-1]) is not None:
            taken.append(_box(label, name))
    return found


def _label(x: float, y: float, r: float, name: str, taken: Sequence[tuple[float, float, float, float]]) -> Label | None:
    sides = (
        ("end", x - r - 4, y + 3.5),
        ("start", x + r + 4, y + 3.5),
        ("middle", x, y - r - 4),
        ("middle", x, y + r + 12),
    )
    for anchor, at, base in sides:
        label = Label(round(at, 1), round(base, 1), anchor)
        left, top, right, bottom = _box(label, name)
        inside = left >= 0 and right <= shapes().width
        if inside and not any(left < c and a < right and top < d and b < bottom for a, b, c, d in taken):
            return label
    return None


def _box(label: Label, name: str) -> tuple[float, float, float, float]:
    width = LETTER_WIDTH * len(name)
    left = label.x - width * {"start": 0, "middle": 0.5, "end": 1}[label.anchor]
    return left, label.y - LABEL_HEIGHT + 3, left + width, label.y + 3
