"""Geometry of the small plots: numbers in, coordinates of an SVG out. Templates draw them; nothing here speaks or asks.

Plots are drawn on the server, as part of the page: they need no script, follow the theme by their classes, and are
there when the page is.
"""

import math
from collections.abc import Sequence

import msgspec

SPARK_WIDTH, SPARK_HEIGHT, SPARK_MARGIN = 76.0, 26.0, 3.0
HOURS_WIDTH, HOURS_TOP, HOURS_BOTTOM, HOURS_LEFT = 640.0, 8.0, 152.0, 26.0
BAR_SHARE = 0.76  # of the room an hour has


class Spark(msgspec.Struct, frozen=True):
    """A line without axes: its path, and its last point."""

    line: str
    area: str
    x: float
    y: float


class Bar(msgspec.Struct, frozen=True):
    """One hour's bar. `soft`: the hour is not over."""

    x: float
    y: float
    width: float
    height: float
    soft: bool


class Tick(msgspec.Struct, frozen=True):
    """A mark on an axis."""

    at: float
    value: int


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """A day's bars against its usual line."""

    bars: list[Bar]
    usual: str  # a path; empty without a usual day
    now: float
    rows: list[Tick]
    columns: list[Tick]


def spark(values: Sequence[float]) -> Spark | None:
    """Return a sparkline; None for fewer than two values or nothing but zeros."""
    if len(values) < 2 or not any(values):
        return None
    low, high = min(values), max(values)
    room = SPARK_HEIGHT - 2 - SPARK_MARGIN
    step = SPARK_WIDTH / (len(values) - 1)
    points = [
        (round(i * step, 1), round(SPARK_MARGIN + room * (1 - (v - low) / ((high - low) or 1)), 1))
        for i, v in enumerate(values)
    ]
    line = "M" + " ".join(f"{x:g} {y:g}" for x, y in points)
    return Spark(line, f"{line} {SPARK_WIDTH:g} {SPARK_HEIGHT:g} 0 {SPARK_HEIGHT:g}Z", *points[-1])


def nice_top(most: float) -> tuple[int, int]:
    """Return the end of an axis that holds `most`, and the step of its marks: at most five, in round numbers."""
    raw = max(most, 1) / 4
    magnitude = 10 ** math.floor(math.log10(raw)) if raw >= 1 else 1
    step = next(int(m * magnitude) for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw and (m * magnitude) % 1 == 0)
    return step * math.ceil(max(most, 1) / step), step


def hours(values: Sequence[int], usual: Sequence[float], at: float) -> Hours:
    """Return the plot of a day.

    Args:
        values: what came in each of the 24 hours.
        usual: what comes in each on a usual such day; empty where none is known.
        at: hours since midnight, with their fraction.
    """
    top, step = nice_top(max([*values, *usual]))
    slot = (HOURS_WIDTH - HOURS_LEFT) / 24

    def height(value: float) -> float:
        return round((HOURS_BOTTOM - HOURS_TOP) * value / top, 1)

    bars = [
        Bar(
            round(HOURS_LEFT + slot * (hour + (1 - BAR_SHARE) / 2), 1),
            round(HOURS_BOTTOM - height(value), 1),
            round(slot * BAR_SHARE, 1),
            height(value),
            hour == int(at),
        )
        for hour, value in enumerate(values)
        if value
    ]
    line = " ".join(
        f"{HOURS_LEFT + slot * (hour + 0.5):.1f} {HOURS_BOTTOM - height(v):.1f}" for hour, v in enumerate(usual)
    )
    return Hours(
        bars=bars,
        usual=f"M{line}" if line else "",
        now=round(HOURS_LEFT + slot * at, 1),
        rows=[Tick(round(HOURS_BOTTOM - height(value), 1), value) for value in range(0, top + 1, step)],
        columns=[Tick(round(HOURS_LEFT + slot * (hour + 0.5), 1), hour) for hour in range(0, 24, 3)],
    )


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """Some days' bars against the line of as many days before."""

    bars: list[Bar]
    before: str  # a path; empty without days before
    rows: list[Tick]
    columns: list[Tick]  # which days are named: their index


def days(values: Sequence[int], before: Sequence[int], *, whole: int = 0) -> Days:
    """Return the plot of some days, the oldest first, beside as many days before them (or none).

    `whole` is what the axis goes to at least, such as 100 for shares in percent: four in five is not the whole height.
    """
    top, step = nice_top(max([*values, *before, whole]))
    slot = (HOURS_WIDTH - HOURS_LEFT) / len(values)

    def height(value: float) -> float:
        return round((HOURS_BOTTOM - HOURS_TOP) * value / top, 1)

    width = min(slot * BAR_SHARE, 44.0)
    line = " ".join(f"{HOURS_LEFT + slot * (n + 0.5):.1f} {HOURS_BOTTOM - height(v):.1f}" for n, v in enumerate(before))
    every = math.ceil(len(values) / 8)
    return Days(
        bars=[
            Bar(
                round(HOURS_LEFT + slot * (n + 0.5) - width / 2, 1),
                round(HOURS_BOTTOM - height(value), 1),
                round(width, 1),
                height(value),
                soft=False,
            )
            for n, value in enumerate(values)
            if value
        ],
        before=f"M{line}" if line else "",
        rows=[Tick(round(HOURS_BOTTOM - height(value), 1), value) for value in range(0, top + 1, step)],
        columns=[
            Tick(round(HOURS_LEFT + slot * (n + 0.5), 1), n)
            for n in range(len(values))
            if (len(values) - 1 - n) % every == 0
        ],
    )


class Stacks(msgspec.Struct, frozen=True, kw_only=True):
    """Bars that are made of parts: which part, counted from 0, and where it stands."""

    bars: list[tuple[int, Bar]]
    rows: list[Tick]
    columns: list[Tick]  # which are named: their index


def stacks(values: Sequence[Sequence[int]], count: int) -> Stacks:
    """Return the plot of `count` bars, each made of one part of each of `values`, the first at the bottom."""
    sums = [sum(each[n] for each in values) for n in range(count)]
    frame = days(sums, [])
    top, _step = nice_top(max(sums, default=0))
    slot = (HOURS_WIDTH - HOURS_LEFT) / count
    width = min(slot * BAR_SHARE, 44.0)
    bars = []
    for n in range(count):
        at = HOURS_BOTTOM
        for part, each in enumerate(values):
            if each[n]:
                height = (HOURS_BOTTOM - HOURS_TOP) * each[n] / top
                at -= height
                bars.append(
                    (
                        part,
                        Bar(
                            round(HOURS_LEFT + slot * (n + 0.5) - width / 2, 1),
                            round(at, 1),
                            round(width, 1),
                            round(height, 1),
                            soft=False,
                        ),
                    )
                )
    return Stacks(bars=bars, rows=frame.rows, columns=frame.columns)


def so_far(usual: Sequence[float], at: float) -> float:
    """Return how much of a usual day has come by `at`: whole hours, and the share of the one that runs."""
    hour = int(at)
    return sum(usual[:hour]) + (usual[hour] * (at - hour) if hour < len(usual) else 0)


def heat(value: int, most: int) -> int:
    """Return a shade from 1 to 5, 0 for nothing. By the root: one large state must not bleach all others."""
    return min(5, math.ceil(5 * math.sqrt(value / most))) if value > 0 and most > 0 else 0


def radius(value: int, most: int, *, least: float, largest: float) -> float:
    """Return the radius of a point whose area stands for a value."""
    return round(least + (largest - least) * math.sqrt(value / most), 1) if most > 0 else least
