"""Templates: one Jinja environment, and the functions every page speaks with.

Everything a template shows is escaped. Sizes that come from data are SVG attributes, because the
Content-Security-Policy allows no inline style. Words go through `_`, `n_`; money, days and times through the reader's
language and zone.
"""

from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from markupsafe import Markup, escape

from malha.channels.connecting import failures
from malha.console import assets, stock_words, words
from malha.platform import brazil, i18n
from malha.platform.clock import now
from malha.platform.db import SYSTEM
from malha.platform.i18n import _
from malha.platform.text import begun, initials
from malha.promising import rules

TEMPLATES = Path(__file__).resolve().parent / "templates"
DASH = " \N{EN DASH} "  # between ends of a range, and city and state
local, day = i18n.local, i18n.day_of
SOON = timedelta(hours=1)  # before a deadline it is drawn in amber


def clock(instant: datetime, zone: str | None = None) -> str:
    """Return hours and minutes, like `14:05`."""
    return i18n.time(instant, zone=zone)


def moment(instant: datetime, zone: str | None = None) -> str:
    """Return day and time as people say them: `14:05` today, `yesterday, 14:05`, `Tue, 24 Nov, 14:05`."""
    told, today = local(instant, zone).date(), local(now(), zone).date()
    return clock(instant, zone) if told == today else f"{day(instant, zone)}, {clock(instant, zone)}"


def span(length: timedelta) -> str:
    """Return a length of time in its one or two largest units: `42 min`, `3 h 10`, `2 d 4 h`."""
    minutes = max(int(abs(length).total_seconds()) // 60, 1)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d}" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 4 else f"{days} d"


def promised_day(at: datetime, state: str | None, fetched_in: str | None = None) -> date:
    """Return the day a promise means: by the clock of the state the goods go to, or the zone they are fetched in.

    Of others it is the reader's.
    """
    return rules.day_promised(at, None if fetched_in else state, fetched_in or i18n.current_zone())


class Promised(Protocol):
    """A row of something that is promised."""

    @property
    def to_state(self) -> str | None:
        """Return the state it is sent to."""

    @property
    def pickup_zone(self) -> str | None:
        """Return the time zone it is fetched in; none where it is sent."""


def day_for(row: Promised, at: datetime) -> date:
    """Return the day that an instant is on where a row's goods go or are fetched; see `promised_day`."""
    return promised_day(at, row.to_state, row.pickup_zone)


def promise_text(at: datetime, state: str | None, fetched_in: str | None = None) -> str:
    """Return the day a promise means, as people say it."""
    return i18n.day(promised_day(at, state, fetched_in), local(now()).date())


def lateness(due: datetime) -> str:
    """Return the class of a deadline: `m-late` past it, `m-soon` in the last hour before it, else nothing."""
    at = now()
    return "m-late" if due < at else "m-soon" if due - at < SOON else ""


def due_text(due: datetime, *, promise: bool = False, state: str | None = None, fetched_in: str | None = None) -> str:
    """Return a deadline: `42 min late` past it, `17:00` today, else the day.

    A promise is a day, not a minute; `state` is where its goods go, `fetched_in` the zone they are fetched in.
    """
    at = now()
    if due < at:
        return _("{time} late", time=span(at - due))
    if promise:
        return promise_text(due, state, fetched_in)
    return clock(due) if local(due).date() == local(at).date() else day(due)


def maker(name: str) -> str:
    """Return by whose hand something was made, as it was stored: nobody's is the system's."""
    return _("System") if name == SYSTEM.name else name


def deadline(due: datetime) -> str:
    """Return a deadline with its instant, and by how much it is missed."""
    at = now()
    return _("{time} ({late} late)", time=moment(due), late=span(at - due)) if due < at else moment(due)


@lru_cache(maxsize=1024)  # a page has dozens, and putting markup together is slow
def icon(name: str, extra: str = "") -> Markup:
    """Return a Tabler icon, inline, silent to screen readers: its button or text says what it means."""
    body = Markup(assets.icon_body(name))  # noqa: S704 -- a file of ours
    return Markup('<svg class="m-i{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>').format(
        f" {extra}" if extra else "", body
    )


def sign(of: words.Sign, *, pill: bool = False, text: str | None = None) -> Markup:
    """Return a state: its sign and its word."""
    return _sign(of.family, of.glyph, pill, text or _(of.word))


@lru_cache(maxsize=1024)  # every row of a list has one
def _sign(family: str, shape: str, pill: bool, text: str) -> Markup:
    return Markup('<span class="m-st m-st-{}{}">{}{}</span>').format(
        family, " m-st-pill" if pill else "", glyph(shape), text
    )


@lru_cache(maxsize=256)
def glyph(name: str) -> Markup:
    """Return a state sign alone."""
    return Markup('<svg class="m-st-g" aria-hidden="true"><use href="#g-{}"/></svg>').format(name)


def capped(count: int, most: int = 10_000) -> str:
    """Return a count that stopped at a limit: `10.000+` past it."""
    return f"{i18n.number(most)}+" if count > most else i18n.number(count)


def address_line(address: dict[str, str] | None) -> str:
    """Return an address on one line."""
    if not address:
        return ""
    street = ", ".join(x for x in (address.get("street"), address.get("number"), address.get("complement")) if x)
    town = DASH.join(x for x in (address.get("city"), address.get("state")) if x)
    return ", ".join(x for x in (street, address.get("district"), town) if x)


def short_date(day_: date) -> str:
    """Return a day of this year on an axis, like `27 Oct`."""
    return i18n.written(day_, "d MMM")


def calendar_day(day_: date) -> str:
    """Return a day that was promised or planned, like `Thu, 10 Dec`, with the year when it is another one."""
    pattern = "EEE, d MMM" if day_.year == local(now()).year else "d MMM yyyy"
    return i18n.written(day_, pattern)


def read_at() -> str:
    """Return day and time of this page as a sheet of paper has them, read on other days too: `30 Nov 2026, 14:05`."""
    instant = now()
    return f"{i18n.written(local(instant).date(), 'd MMM yyyy')}, {clock(instant)}"


def figure(value: int) -> str:
    """Return a whole number for a column of figures: a real minus sign, as wide as the plus."""
    return i18n.number(value).replace("-", "\N{MINUS SIGN}")


def signed_money(minor: int) -> str:
    """Return an amount that may be below zero, with the minus sign of `figure`."""
    return i18n.money(minor).replace("-", "\N{MINUS SIGN}")


def plain_amount(minor: int | None) -> str:
    """Return an amount as a person types it in the reader's language, without its currency."""
    return i18n.number((minor or 0) / 100, decimals=2)


def format_root(root: str) -> str:
    """Return the root of a CNPJ, `12.ABC.345`."""
    return f"{root[:2]}.{root[2:5]}.{root[5:8]}"


def local_input(instant: datetime, zone: str | None = None) -> str:
    """Return an instant as the value of a browser's field for day and time."""
    return local(instant, zone).strftime("%Y-%m-%dT%H:%M")


def paragraphs(text: str) -> Markup:
    """Return a person's text with its line breaks."""
    return Markup("<br>").join(escape(line) for line in text.splitlines())


def swap(href: str) -> Markup:
    """Return the attributes that fetch another state of the list in place; without scripts the link itself does it."""
    return Markup(
        'hx-get="{}" hx-target="#content" hx-select="#content" hx-swap="outerHTML show:none" hx-push-url="true" '
        'hx-sync="closest main:replace"'
    ).format(href)


def bulk_post() -> Markup:
    """Return the attributes of a button that acts on the chosen orders."""
    return Markup('hx-post="/orders/bulk" hx-target="#content" hx-swap="outerHTML show:none" hx-disabled-elt="this"')


@cache
def environment() -> Environment:
    """Return the one template environment."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        auto_reload=False,
    )
    env.globals |= {
        "_": _,
        "n_": i18n.n_,
        "asset": assets.address,
        "icon": icon,
        "sign": sign,
        "glyph": glyph,
        "money": i18n.money,
        "number": i18n.number,
        "figure": figure,
        "signed_money": signed_money,
        "short_date": short_date,
        "calendar_day": calendar_day,
        "clock": clock,
        "day": day,
        "promise_text": promise_text,
        "moment": moment,
        "read_at": read_at,
        "span": span,
        "due_text": due_text,
        "lateness": lateness,
        "capped": capped,
        "initials": initials,
        "begun": begun,
        "maker": maker,
        "address_line": address_line,
        "paragraphs": paragraphs,
        "failure": failures.shown,
        "format_cep": brazil.format_cep,
        "format_document": brazil.format_document,
        "format_cnpj": brazil.format_cnpj,
        "format_root": format_root,
        "local_input": local_input,
        "format_access_key": brazil.format_access_key,
        "plain_amount": plain_amount,
        "words": words,
        "stock_words": stock_words,
        "now": now,
        "language": i18n.current_language,
        "zone": i18n.current_zone,
        "swap": swap,
        "bulk_post": bulk_post,
        "small": False,
    }
    return env


def text_of(template: str, **context: Any) -> str:
    """Return a template as text."""
    return environment().get_template(template).render(**context)


def html(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **context: Any) -> Response[str]:
    """Return a page or a part of one. Pages are personal: no cache keeps them."""
    return Response(
        text_of(template, **context),
        media_type=MediaType.HTML,
        status_code=status,
        headers={"Cache-Control": "no-store", "Vary": "HX-Request", **(headers or {})},
    )
