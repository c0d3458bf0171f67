"""Templates of the shopper's pages, and how days and times are said on them.

The application hands in what these pages share with the console without knowing it: addresses of front-end files and
drawn icons (`Face`). Everything a template shows is escaped.
"""

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from malha.platform import brazil, i18n
from malha.platform.clock import now
from malha.platform.i18n import _
from malha.platform.text import initials

TEMPLATES = Path(__file__).resolve().parent / "templates"
local, day, short_day, written = i18n.local, i18n.day, i18n.day_of, i18n.written


class Face(NamedTuple):
    """What the application lends these pages."""

    asset: Callable[[str], str]  # address of a front-end file
    icon: Callable[[str], Markup]  # a drawn icon


def long_day(day: date) -> str:
    """Return a day as a promise names it: `quarta, 25 de novembro`, `Wednesday, 25 November`."""
    return written(day, "EEEE, d 'de' MMMM" if i18n.current_language() == "pt-BR" else "EEEE, d MMMM")


def moment(instant: datetime, zone: str | None = None) -> str:
    """Return day and time in few letters: `today, 14:05`, `Tue, 14:05` within a week, else `14 Nov, 14:05`."""
    told, today = local(instant, zone).date(), local(now(), zone).date()
    if 1 < (today - told).days < 7:
        said = written(told, "EEE")
    else:
        said = day(told, today) if abs((told - today).days) < 7 or told.year != today.year else written(told, "d MMM")
    return f"{said}, {i18n.time(instant, zone=zone or i18n.current_zone())}"


@cache
def environment(face: Face) -> Environment:
    """Return the template environment."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.globals |= {
        "_": _,
        "n_": i18n.n_,
        "asset": face.asset,
        "icon": face.icon,
        "money": i18n.money,
        "initials": initials,
        "language": i18n.current_language,
        "format_access_key": brazil.format_access_key,
    }
    return env


def text_of(face: Face, template: str, **context: Any) -> str:
    """Return a template as text."""
    return environment(face).get_template(template).render(**context)
