"""Words, money, dates and numbers in the reader's language.

English sentences are the message ids; `{facts}` in them are filled after translation. `N_` marks a sentence that is
translated later (it returns it unchanged), `_` translates into the current language, `translate` into a given one. The
current language is a context variable that every edge sets per request, from the person's setting, else the browser's
wish, else the default.

Catalogues are plain .po files, one per capability; `malha.platform.messages` merges and compiles them when they are
first needed. See `locale/README.md`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date as Date  # noqa: N812 -- `date` is the formatter here
from datetime import datetime as DateTime  # noqa: N812
from datetime import time as Time  # noqa: N812
from datetime import timedelta
from decimal import Decimal
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from malha.platform.clock import now
from malha.platform.money import CURRENCY_DIGITS, Money

if TYPE_CHECKING:
    from babel import Locale

Width = Literal["short", "medium", "long", "full"]

LANGUAGES: tuple[str, ...] = ("pt-BR", "en")
DEFAULT = "pt-BR"
DEFAULT_ZONE = "America/Sao_Paulo"


def N_(msgid: str) -> str:  # noqa: N802 -- gettext's own name
    """Mark a sentence for translation later; return it unchanged."""
    return msgid


MOST_DECIMALS = 3  # of a number whose decimals nobody fixed
_NEAR_DAYS = {-1: N_("yesterday"), 0: N_("today"), 1: N_("tomorrow")}
_WORD_ENDS = re.compile(r"-feira|\.(?=\s|$|,)")

_language: ContextVar[str] = ContextVar("language", default=DEFAULT)
_zone: ContextVar[str] = ContextVar("zone", default=DEFAULT_ZONE)
_usual = {"zone": DEFAULT_ZONE}


def current_language() -> str:
    """Return the language of the request (or job) at hand, like `pt-BR`."""
    return _language.get()


def current_zone() -> str:
    """Return the reader's time zone by its IANA name."""
    return _zone.get()


def usual_zone() -> str:
    """Return the time zone of this installation: that of a retailer who states none, whoever reads."""
    return _usual["zone"]


def settle(zone: str) -> None:
    """State the time zone of this installation, for all of the process and its children."""
    _usual["zone"] = zone


def use(language: str, zone: str | None = None) -> None:
    """Speak `language` (and tell time in `zone`) from here to the end of this task."""
    _language.set(language if language in LANGUAGES else DEFAULT)
    if zone:
        _zone.set(zone)


@contextmanager
def speaking(language: str, zone: str | None = None) -> Iterator[None]:
    """Speak `language` inside the block only."""
    said = _language.set(language if language in LANGUAGES else DEFAULT)
    told = _zone.set(zone or _zone.get())
    try:
        yield
    finally:
        _language.reset(said)
        _zone.reset(told)


def of_terminal(environment: Mapping[str, str]) -> str:
    """Return the language of whoever sits at a terminal, by POSIX's variables.

    Where they name none that is spoken here: `MALHA_LANGUAGE`, else the default.
    """
    said = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    primary = re.split("[_.@]", said)[0].lower()
    usual = environment.get("MALHA_LANGUAGE", DEFAULT)
    found = next((language for language in LANGUAGES if language.lower().split("-")[0] == primary), usual)
    return found if found in LANGUAGES else DEFAULT


@lru_cache(maxsize=256)
def choose(accepted: str | None, default: str = DEFAULT) -> str:
    """Return the language that fits an `Accept-Language` header best, or `default`.

    Any Portuguese is served Brazilian Portuguese, any English English: `pt-PT,en;q=0.5` gives `pt-BR`.
    """
    best, best_weight = default, 0.0
    for part in (accepted or "")[:400].split(","):
        tag, _sep, parameters = part.strip().partition(";")
        weight = 1.0
        if parameters.strip().startswith("q="):
            try:
                weight = float(parameters.strip()[2:])
            except ValueError:
                continue
        primary = tag.strip().lower().split("-")[0]
        found = next((language for language in LANGUAGES if language.lower().split("-")[0] == primary), None)
        if found and weight > best_weight:
            best, best_weight = found, weight
    return best


class Word(str):
    """A fact of a sentence that is itself a message id: shown in the reader's language."""

    __slots__ = ()


class Phrase:
    """A fact of a sentence that is itself a sentence with facts: shown in the reader's language."""

    __slots__ = ("facts", "msgid")

    def __init__(self, msgid: str, facts: Mapping[str, Any] | None = None) -> None:
        self.msgid = msgid
        self.facts = dict(facts or {})

    def __str__(self) -> str:
        return self.msgid.format_map(_Facts(self.facts))

    def __repr__(self) -> str:
        return f"Phrase({self.msgid!r}, {self.facts!r})"


def _(msgid: str, **facts: Any) -> str:
    """Return `msgid` in the current language with its facts filled in."""
    return translate(_language.get(), msgid, **facts)


def n_(singular: str, plural: str, n: int, **facts: Any) -> str:
    """Return the form for `n` in the current language; `{n}` is filled with the number as the language writes it.

    Less than nothing is as many as its opposite: ten fewer are ten.
    """
    language = _language.get()
    text = _catalogue(language).ngettext(singular, plural, abs(n))
    return _fill(text, {"n": number(n, language=language), **facts}, language)


def translate(language: str, msgid: str, /, **facts: Any) -> str:
    """Return `msgid` in `language` with its `{facts}` filled in: Money, dates and times as the language writes them.

    A sentence without a translation stays English, a missing fact stays `{visible}`: neither may break a page.
    """
    if not msgid:  # gettext would answer with the catalogue's header
        return ""
    text = _catalogue(language).gettext(msgid)
    return _fill(text, facts, language) if "{" in text else text


class _Facts(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _fill(text: str, facts: dict[str, Any], language: str) -> str:
    shown = {name: _shown(value, language) for name, value in facts.items()}
    try:
        return text.format_map(_Facts(shown))
    except (ValueError, IndexError, KeyError, AttributeError):  # braces that are no facts
        return text


def _said(value: Word | Phrase, language: str) -> str:
    if isinstance(value, Phrase):
        return translate(language, value.msgid, **value.facts)
    return translate(language, value)


def _shown(value: Any, language: str) -> Any:
    if isinstance(value, Word | Phrase):
        return _said(value, language)
    if isinstance(value, Money):
        return money(value, language=language)
    if isinstance(value, DateTime):
        return datetime(value, language=language)
    if isinstance(value, Date):
        return date(value, language=language)
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(_shown(item, language)) for item in value)
    return value


@cache
def _catalogue(language: str) -> NullTranslations:
    if language not in LANGUAGES:
        return _catalogue(DEFAULT)
    from malha.platform import messages  # noqa: PLC0415 -- reads .po files; only the first use in a process pays

    found = messages.open_catalogue(language)
    return NullTranslations() if found is None else GNUTranslations(found)


@cache
def _locale(language: str) -> "Locale":
    from babel import Locale  # noqa: PLC0415 -- 30 ms and several MB that a process that shows no page need not spend

    return Locale.parse(language.replace("-", "_"))


def money(amount: Money | int, currency: str = "BRL", *, language: str | None = None) -> str:
    """Return an amount of minor units as people write it: `R$ 1.126,40` (pt-BR), `R$1,126.40` (en)."""
    minor = amount if isinstance(amount, int) else amount.minor
    currency = currency if isinstance(amount, int) else amount.currency
    return _money(minor, currency, language or _language.get())


@lru_cache(maxsize=4096)  # a list of fifty orders is a quarter of a millisecond each without
def _money(minor: int, currency: str, language: str) -> str:
    from decimal import Decimal  # noqa: PLC0415

    from babel.numbers import format_currency  # noqa: PLC0415

    exact = Decimal(minor).scaleb(-CURRENCY_DIGITS.get(currency, 2))
    return str(format_currency(exact, currency, locale=_locale(language)))


def number(value: float, *, decimals: int | None = None, language: str | None = None) -> str:
    """Return a number as people write it: `12.345,6` (pt-BR). `decimals` fixes the digits after the comma."""
    language = language or _language.get()
    if type(value) is int:
        return _whole(value, decimals, language)
    return _decimal(value, decimals, language)


@lru_cache(maxsize=8192)  # a page of stock says a thousand quantities, and many of them often
def _whole(value: int, decimals: int | None, language: str) -> str:
    return _decimal(value, decimals, language)


def _decimal(value: float, decimals: int | None, language: str) -> str:
    from babel.numbers import format_decimal  # noqa: PLC0415

    pattern = None if decimals is None else "#,##0" + ("." + "0" * decimals if decimals else "")
    value = _settled(value, MOST_DECIMALS if decimals is None else decimals)
    return str(format_decimal(value, pattern, locale=_locale(language)))


def _settled(value: float, decimals: int) -> float:
    """Return a number that is nothing once it is rounded as nothing at all, not as `-0`."""
    if value and (value > 0 or value <= -1 or Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals))):
        return value
    return 0


def any_of(texts: Sequence[str], *, language: str | None = None) -> str:
    """Return texts of which one is enough, put together: `VIP ou Troca`."""
    from babel.lists import format_list  # noqa: PLC0415

    return format_list(texts, style="or", locale=_locale(language or _language.get()))


def percent(value: float, *, decimals: int = 0, language: str | None = None) -> str:
    """Return a fraction as a percentage: 0.256 is `26%`."""
    from babel.numbers import format_percent  # noqa: PLC0415

    pattern = "#,##0" + ("." + "0" * decimals if decimals else "") + "%"
    return str(format_percent(_settled(value, decimals + 2), pattern, locale=_locale(language or _language.get())))


def date(
    value: Date | DateTime, width: Width = "short", *, zone: str | None = None, language: str | None = None
) -> str:
    """Return a day: `23/11/2026` (pt-BR, short). An instant is first moved to `zone` (default: the reader's)."""
    from babel.dates import format_date  # noqa: PLC0415

    if isinstance(value, DateTime):
        value = local(value, zone).date()
    language = language or _language.get()
    # CLDR's short dates of English write two digits of the year, and month first: wrong half of the time. Be plain.
    pattern: str = {"pt-BR": "dd/MM/yyyy", "en": "yyyy-MM-dd"}.get(language, width) if width == "short" else width
    return str(format_date(value, pattern, locale=_locale(language)))


def time(value: DateTime | Time, *, zone: str | None = None, language: str | None = None) -> str:
    """Return hours and minutes of an instant in `zone` (default: the reader's): `14:05`."""
    from babel.dates import format_time  # noqa: PLC0415

    if isinstance(value, DateTime):
        value = local(value, zone).timetz().replace(tzinfo=None)
    return str(format_time(value, "HH:mm", locale=_locale(language or _language.get())))


def datetime(value: DateTime, width: Width = "short", *, zone: str | None = None, language: str | None = None) -> str:
    """Return day and time of an instant in `zone` (default: the reader's): `23/11/2026 14:05`."""
    told = zone or _zone.get()
    return f"{date(value, width, zone=told, language=language)} {time(value, zone=told, language=language)}"


def local(instant: DateTime, zone: str | None = None) -> DateTime:
    """Return an instant in the reader's zone, or another; one at an end of the calendar may have none but its own."""
    try:
        return instant.astimezone(ZoneInfo(zone or _zone.get()))
    except OverflowError:
        return instant


def written(value: Date, pattern: str) -> str:
    """Return a day by a CLDR pattern, in the current language, without the stops and the `-feira` of Portuguese."""
    from babel.dates import format_date  # noqa: PLC0415

    return _WORD_ENDS.sub("", str(format_date(value, pattern, locale=_locale(_language.get()))))


def day(told: Date, today: Date) -> str:
    """Return a day as people say it: `today`, `tomorrow`, `Tue, 24 Nov`, and the year when it is another one."""
    near = _NEAR_DAYS.get((told - today).days)
    if near is not None:
        return _(near)
    return written(told, "EEE, d MMM" if told.year == today.year else "d MMM yyyy")


def day_of(instant: DateTime, zone: str | None = None) -> str:
    """Return the day of an instant as people say it; see `day`."""
    return day(local(instant, zone).date(), local(now(), zone).date())


def ago(value: DateTime, *, at: DateTime | None = None, language: str | None = None) -> str:
    """Return how long ago (or from now) an instant is: `há 3 minutos`."""
    from babel.dates import format_timedelta  # noqa: PLC0415

    delta: timedelta = value - (at or now())
    return str(format_timedelta(delta, add_direction=True, locale=_locale(language or _language.get())))


__all__ = [
    "DEFAULT",
    "DEFAULT_ZONE",
    "LANGUAGES",
    "N_",
    "Word",
    "_",
    "ago",
    "choose",
    "current_language",
    "current_zone",
    "date",
    "datetime",
    "day",
    "day_of",
    "local",
    "money",
    "n_",
    "number",
    "of_terminal",
    "percent",
    "settle",
    "speaking",
    "time",
    "translate",
    "use",
    "usual_zone",
    "written",
]
