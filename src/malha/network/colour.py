"""A retailer's colour on pages: what text is read on it, and the shades that links and buttons take. Pure.

Any colour may be chosen. Where it is too pale or too dark to be read, a shade of it is used that is not: contrast is
the ratio of WCAG 2.1 (relative luminance), and text needs `READABLE`.
"""

import re

WHITE, INK = "#ffffff", "#11151f"
DARK_SURFACE = "#151922"
READABLE = 4.5
_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})")
_STEP = 0.02  # of the way to black or white

RGB = tuple[float, float, float]


def normalise_colour(text: str) -> str | None:
    """Return `#2A52B0`, `2a52b0` or `#28b` as `#2a52b0`, or None when it is no colour."""
    found = _HEX.fullmatch(text.strip().lower())
    if found is None:
        return None
    digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
    return f"#{digits}"


def _rgb(colour: str) -> RGB:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _written(rgb: RGB) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in rgb)


def _luminance(colour: str) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_on(ground: str) -> str:
    """Return white or ink, whichever is read better on a ground."""
    return max(WHITE, INK, key=lambda text: contrast(text, ground))


def readable(colour: str, ground: str = WHITE) -> str:
    """Return the shade of a colour nearest to it that is read on a ground: itself, or darker (lighter on dark)."""
    towards = 0.0 if _luminance(ground) > 0.18 else 1.0
    shade, way = colour, 0.0
    while contrast(shade, ground) < READABLE and way < 1:
        way = min(way + _STEP, 1.0)
        red, green, blue = (part + (towards - part) * way for part in _rgb(colour))
        shade = _written((red, green, blue))
    return shade
