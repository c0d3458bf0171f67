"""What a valid establishment, location, channel and service is, and what the machine may fill in. Pure."""

import re
from calendar import isleap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.network.calendar import NO_HOLIDAYS
from malha.network.colour import normalise_colour
from malha.network.model import (
    WEEKDAYS,
    Channel,
    ChannelDraft,
    EstablishmentDraft,
    Hours,
    LocationDraft,
    LocationGroup,
    LocationStatus,
    RateDraft,
    Repeat,
    RetailerDraft,
    ServiceDraft,
)
from malha.network.places import STATE_ZONES, locate, locate_city
from malha.network.tariff import ANY
from malha.platform.address import Address, check_parts, tidied
from malha.platform.brazil import (
    STATES,
    bare,
    normalise_cep,
    normalise_cnpj,
    normalise_email,
)
from malha.platform.flaws import Flaw
from malha.platform.i18n import LANGUAGES, N_
from malha.platform.money import CURRENCY_DIGITS
from malha.platform.text import fold

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_CALENDAR = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?|-")
MAX_INT = 2_147_483_647
MOST_PICKUP_DAYS = 90
MOST_UNITS = 1_000_000

_CODE_SAYS = N_("{value} is no code.")
_CODE_MEND = N_("Use up to 40 letters, digits, dots, dashes and underscores, beginning with a letter or digit.")
_EMPTY_SAYS = N_("This field is empty.")
_EMPTY_MEND = N_("Fill it in.")
_STATE_SAYS = N_("{value} is no Brazilian state.")
_STATE_MEND = N_("Use the two letters of the state, like SP.")
_RANGE_SAYS = N_("{value} is out of range.")
_RANGE_MEND = N_("Use a whole number from {least} to {most}.")


def check_code(at: str, value: str) -> Iterator[Flaw]:
    """Yield what is wrong with a code."""
    if not CODE.fullmatch(value):
        yield Flaw(at, _CODE_SAYS, _CODE_MEND, {"value": value})


def check_addressable(at: str, value: str, longest: int = 80) -> Iterator[Flaw]:
    """Yield what is wrong with a code that people choose freely: addresses of pages and operations have it."""
    if "/" in value or value in {".", ".."} or not value.isprintable():  # addresses with dots mean another one
        yield Flaw(at, _CODE_SAYS, N_("Use visible characters without slashes."), {"value": value})
    if len(value) > longest:
        facts = {"length": len(value), "longest": longest}
        yield Flaw(at, N_("The text has {length} characters."), N_("Use at most {longest}."), facts)


def check_new_code(at: str, value: str, longest: int = 80) -> Iterator[Flaw]:
    """Yield what is wrong with a code that people choose freely, as something new gets it; older ones are as they are.

    Forms and tables take spaces off the ends, and nobody sees two where one is: it would never be found again.
    """
    yield from check_addressable(at, value, longest)
    if value != value.strip() or "  " in value:
        says, mend = N_("The code has spaces that nobody sees."), N_("Take them off its ends, and keep one of several.")
        yield Flaw(at, says, mend)


def check_text(at: str, value: str, longest: int = 200) -> Iterator[Flaw]:
    """Yield what is wrong with a name that people read: empty, too long, or with control characters."""
    if not value.strip():
        yield Flaw(at, _EMPTY_SAYS, _EMPTY_MEND)
    if len(value) > longest:
        facts = {"length": len(value), "longest": longest}
        yield Flaw(at, N_("The text has {length} characters."), N_("Use at most {longest}."), facts)
    if any(ord(c) < 32 and c not in "\n\t" for c in value):
        yield Flaw(at, N_("The text has control characters."), N_("Type it again without them."))


def check_range(at: str, value: int | None, least: int = 0, most: int = MAX_INT) -> Iterator[Flaw]:
    """Yield what is wrong with a whole number; None is allowed."""
    if value is not None and not least <= value <= most:
        yield Flaw(at, _RANGE_SAYS, _RANGE_MEND, {"value": value, "least": least, "most": most})


def _check_state(at: str, value: str) -> Iterator[Flaw]:
    if value not in STATES:
        yield Flaw(at, _STATE_SAYS, _STATE_MEND, {"value": value})


# --- establishments ---


def tidy_establishment(draft: EstablishmentDraft) -> EstablishmentDraft:
    """Return the draft with CNPJ and registration in their stored form; "isento" is no registration."""
    registration = bare(draft.state_registration or "")
    return msgspec.structs.replace(
        draft,
        name=draft.name.strip(),
        cnpj=normalise_cnpj(draft.cnpj) or draft.cnpj,
        state=draft.state.strip().upper(),
        state_registration=None if registration in {"", "ISENTO", "ISENTA"} else registration,
    )


def check_establishment(draft: EstablishmentDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a tidied establishment."""
    yield from check_code("code", draft.code)
    yield from check_text("name", draft.name)
    if normalise_cnpj(draft.cnpj) is None:
        yield Flaw(
            "cnpj",
            N_("{value} is no CNPJ."),
            N_("Check it against the company's registration: its last two digits prove the others."),
            {"value": draft.cnpj},
        )
    yield from _check_state("state", draft.state)
    if draft.state_registration is not None and not re.fullmatch(r"[0-9P]{2,14}", draft.state_registration):
        yield Flaw(
            "state_registration",
            N_("{value} is no state registration."),
            N_("Use its digits, or leave it empty for an exempt establishment."),
            {"value": draft.state_registration},
        )


# --- locations ---


def complete_location(draft: LocationDraft, fallback_state: str = "") -> LocationDraft:
    """Return the draft with what its CEP or city tells: city, state, coordinates, time zone, holidays.

    What was stated wins over what is found; `fallback_state` (the establishment's) is used last.
    """
    address = tidied(draft.address)
    cep = normalise_cep(address.postal_code) or address.postal_code.strip()
    state = address.state.strip().upper()
    place = locate(cep) or (locate_city(address.city, state or fallback_state) if address.city else None)
    state = state or (place.state if place else fallback_state)
    if place is not None and place.state != state:
        place = None
    address = msgspec.structs.replace(
        address,
        postal_code=cep,
        city=address.city.strip() or (place.city if place else ""),
        state=state,
        ibge=address.ibge or (place.ibge if place else ""),
    )
    stated = draft.latitude is not None and draft.longitude is not None
    return msgspec.structs.replace(
        draft,
        name=draft.name.strip(),
        address=address,
        latitude=draft.latitude if stated else place.latitude if place else None,
        longitude=draft.longitude if stated else place.longitude if place else None,
        timezone=draft.timezone or (place.timezone if place else STATE_ZONES.get(state)),
        holiday_calendar=draft.holiday_calendar or (f"BR-{state}" if state in STATES else "BR"),
    )


def check_location(draft: LocationDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a completed location."""
    yield from check_code("code", draft.code)
    yield from check_text("name", draft.name)
    yield from check_parts(draft.address)
    yield from _check_state("address/state", draft.address.state)
    cep = draft.address.postal_code
    if cep and normalise_cep(cep) is None:
        yield Flaw("address/postal_code", N_("{value} is no CEP."), N_("A CEP has eight digits."), {"value": cep})
    elif cep and (place := locate(cep)) and place.state != draft.address.state:
        facts = {"value": cep, "city": place.city, "found": place.state, "stated": draft.address.state}
        says = N_("The CEP {value} lies in {city} ({found}), not in {stated}.")
        yield Flaw("address/postal_code", says, N_("Correct the CEP or the state."), facts)
    for at, degrees, limit in (("latitude", draft.latitude, 90), ("longitude", draft.longitude, 180)):
        if degrees is not None and not -limit <= degrees <= limit:
            yield Flaw(at, _RANGE_SAYS, N_("Use degrees, negative for south and west."), {"value": degrees})
    yield from _check_zone(draft.timezone)
    if not _CALENDAR.fullmatch(draft.holiday_calendar or ""):
        yield Flaw(
            "holiday_calendar",
            N_("{value} is no holiday calendar."),
            N_("Use BR, a state like BR-SP, or {none} for none."),
            {"value": draft.holiday_calendar or "", "none": NO_HOLIDAYS},
        )
    yield from check_hours(draft.opening_hours)
    yield from check_range("daily_capacity", draft.daily_capacity)
    yield from check_range("handling_cost", draft.handling_cost)
    yield from check_range("line_cost", draft.line_cost)
    yield from check_range("priority", draft.priority, -MAX_INT)
    yield from check_range("pickup_days", draft.pickup_days, 1, MOST_PICKUP_DAYS)


# What all locations of a site share, as a draft names it: it is stated of the site's first location. Whether it takes
# work is shared too, except that one whose owner is gone is closed by itself.
SHARED = (
    "address", "latitude", "longitude", "timezone", "opening_hours", "holiday_calendar", "can_ship", "can_pickup",
    "can_curbside", "can_return", "cut_off", "daily_capacity", "handling_cost", "line_cost", "pickup_days",
)  # fmt: skip
_UNSTATED = {f.name: f.default for f in msgspec.structs.fields(LocationDraft) if f.name in SHARED} | {
    "address": Address(),
    "opening_hours": {},
}


def at_site(draft: LocationDraft, site: LocationDraft) -> LocationDraft:
    """Return the draft of a location at another's site with what the site shares; see `check_at_site`."""
    shared = {name: getattr(site, name) for name in SHARED}
    status = draft.status if draft.status is LocationStatus.CLOSED else site.status
    return msgspec.structs.replace(draft, name=draft.name.strip(), status=status, **shared)


def check_at_site(draft: LocationDraft, site: LocationDraft) -> Iterator[Flaw]:
    """Yield what a draft states otherwise than the site it is at. What it leaves out it does not state."""
    completed = complete_location(draft)
    for name in SHARED:
        said, shared = getattr(draft, name), getattr(site, name)
        if said not in (_UNSTATED[name], shared) and getattr(completed, name) != shared:
            says = N_("This is shared by the whole site of {site}.")
            mend = N_("Leave it out here, or change it at {site}: the others follow.")
            yield Flaw("address/street" if name == "address" else name, says, mend, {"site": site.code})


def _check_zone(zone: str | None) -> Iterator[Flaw]:
    try:
        ZoneInfo(zone or "")
    except (ValueError, OSError, KeyError):
        mend = N_("Use the zone's name, like America/Sao_Paulo.")
        yield Flaw("timezone", N_("{value} is no time zone."), mend, {"value": zone or ""})


def check_hours(hours: Hours) -> Iterator[Flaw]:
    """Yield what is wrong with opening hours: unknown days, no times, intervals that overlap."""
    for day, intervals in hours.items():
        at = f"opening_hours/{day}"
        if day not in WEEKDAYS:
            yield Flaw(at, N_("{value} is no day."), N_("Use mon, tue, wed, thu, fri, sat and sun."), {"value": day})
            continue
        previous = ""
        for opens, closes in sorted(intervals):
            if not _CLOCK.fullmatch(opens) or not _CLOCK.fullmatch(closes):
                facts = {"value": f"{opens}-{closes}"}
                yield Flaw(at, N_("{value} are no hours."), N_("Use hours like 09:00 to 18:00."), facts)
            elif closes <= opens or opens < previous:
                says = N_("The hours {value} end before they begin, or overlap others.")
                yield Flaw(at, says, N_("Correct the hours of this day."), {"value": f"{opens}-{closes}"})
            previous = max(previous, closes)


def check_pause(reason: str, until: datetime | None, at: datetime) -> Iterator[Flaw]:
    """Yield what is wrong with a pause begun at an instant."""
    if reason:
        yield from check_text("reason", reason)
    if until is not None and until <= at:
        says, mend = N_("The end of the pause is over already."), N_("Choose a later time, or none.")
        yield Flaw("until", says, mend)


MOST_REPEATS = 60


def repeated_days(first: date, repeat: Repeat, times: int) -> list[date]:
    """Return a day and those on which it comes again, `times` in all: weekly, or on the same date of each year.

    A leap day comes again only in leap years.
    """
    count = 1 if repeat is Repeat.NEVER else max(1, min(times, MOST_REPEATS))
    if repeat is not Repeat.YEARLY:
        return [first + timedelta(days=7 * n) for n in range(count)]
    years = (first.year + n for n in range(count))
    return [date(y, first.month, first.day) for y in years if (first.month, first.day) != (2, 29) or isleap(y)]


def closed_days(first: date, last: date, repeat: Repeat, times: int) -> list[date]:
    """Return every day from `first` to `last`, as often as they come again."""
    span = (last - first).days
    return sorted({day for n in range(span + 1) for day in repeated_days(first + timedelta(days=n), repeat, times)})


_HOURS_PART = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?\s+([0-9: ,-]+)")
_DAY_NAMES = {
    **{day: i for i, day in enumerate(WEEKDAYS)},
    **{day: i for i, day in enumerate(("seg", "ter", "qua", "qui", "sex", "sab", "dom"))},
}


def parse_hours(text: str) -> Hours | None:
    """Read hours as a person writes them in one cell, or None when that is not what it says.

    `mon-fri 09:00-18:00; sat 09:00-13:00`, with days in English or Portuguese (`seg-sex`), several intervals by comma.
    """
    hours: Hours = {}
    for part in filter(None, (p.strip().lower().replace("á", "a") for p in text.split(";"))):
        found = _HOURS_PART.fullmatch(part)
        if found is None or found[1] not in _DAY_NAMES or (found[2] and found[2] not in _DAY_NAMES):
            return None
        first, last = _DAY_NAMES[found[1]], _DAY_NAMES[found[2] or found[1]]
        intervals = []
        for interval in found[3].split(","):
            opens, dash, closes = interval.partition("-")
            if not dash:
                return None
            intervals.append((opens.strip(), closes.strip()))
        day = first
        while True:
            hours[WEEKDAYS[day]] = intervals
            if day == last:
                break
            day = (day + 1) % 7
    return None if any(check_hours(hours)) else hours


def write_hours(hours: Hours) -> str:
    """Return hours in the form `parse_hours` reads, days in a row with equal hours joined."""
    parts: list[tuple[int, int, str]] = []
    for i, day in enumerate(WEEKDAYS):
        text = ", ".join(f"{opens}-{closes}" for opens, closes in hours.get(day, ()))
        if not text:
            continue
        if parts and parts[-1][1] == i - 1 and parts[-1][2] == text:
            parts[-1] = parts[-1][0], i, text
        else:
            parts.append((i, i, text))
    return "; ".join(
        f"{WEEKDAYS[first]}{f'-{WEEKDAYS[last]}' if last > first else ''} {text}" for first, last, text in parts
    )


# --- channels and services ---


def check_channel(draft: ChannelDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a channel."""
    yield from check_code("code", draft.code)
    yield from check_text("name", draft.name)
    if draft.currency not in CURRENCY_DIGITS:
        facts = {"value": draft.currency, "known": ", ".join(CURRENCY_DIGITS)}
        yield Flaw("currency", N_("The currency {value} is not known."), N_("Use one of {known}."), facts)
    yield from check_range("release_delay_minutes", draft.release_delay_minutes, most=525_600)
    yield from check_range("priority", draft.priority, -MAX_INT)
    yield from check_range("pickup_days", draft.pickup_days, 1, MOST_PICKUP_DAYS)
    yield from check_range("most_units", draft.most_units, 1, MOST_UNITS)


def channel_in_sight(channel: Channel, sees: Callable[[int], bool]) -> tuple[Channel, int]:
    """Return a channel as somebody sees it, with only the locations they see, and how many others it has.

    One that has others and none in sight is not for all locations, though it names none.
    """
    seen = frozenset(id_ for id_ in channel.location_ids if sees(id_))
    return msgspec.structs.replace(channel, location_ids=seen), len(channel.location_ids) - len(seen)


def check_service(draft: ServiceDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a service and its tariff."""
    yield from check_code("code", draft.code)
    yield from check_text("name", draft.name)
    yield from check_text("carrier", draft.carrier)
    yield from check_rates(draft.rates)


def check_rates(rates: Sequence[RateDraft]) -> Iterator[Flaw]:
    """Yield what is wrong with a tariff: unknown states, brackets twice, a heavier parcel that would be cheaper."""
    zones: dict[tuple[str, str], dict[int, int]] = {}
    for i, rate in enumerate(rates):
        at = f"rates/{i}"
        for part, state in (("from_state", rate.from_state), ("to_state", rate.to_state)):
            if state != ANY:
                yield from _check_state(f"{at}/{part}", state)
        yield from check_range(f"{at}/max_grams", rate.max_grams, 1)
        yield from check_range(f"{at}/price", rate.price)
        yield from check_range(f"{at}/per_extra_kg", rate.per_extra_kg)
        yield from check_range(f"{at}/lead_days", rate.lead_days, most=365)
        zone = zones.setdefault((rate.from_state, rate.to_state), {})
        if rate.max_grams in zone:
            says = N_("The bracket up to {grams} g from {origin} to {destination} is stated twice.")
            facts = {"grams": rate.max_grams, "origin": rate.from_state, "destination": rate.to_state}
            yield Flaw(at, says, N_("Keep one of them."), facts)
        zone[rate.max_grams] = rate.price
    for (origin, destination), zone in zones.items():
        prices = [zone[grams] for grams in sorted(zone)]
        if prices != sorted(prices):
            says = N_("From {origin} to {destination} a heavier bracket is cheaper than a lighter one.")
            facts = {"origin": origin, "destination": destination}
            yield Flaw("rates", says, N_("Correct the prices, or leave out the lighter bracket."), facts)


# --- the retailer as shoppers see it ---

LOGO_BYTES = 262_144
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_SUPPORT_PHONE = re.compile(r"(?=(?:\D*\d){7,15}\D*$)\+?[0-9() .-]{7,24}")  # 0800 and 4004 are numbers too
_WEBSITE = re.compile(r"https://[a-z0-9.-]+\.[a-z]{2,}(?::[0-9]{1,5})?(?:/[^\s\"<>]*)?", re.IGNORECASE)


def tidy_retailer(draft: RetailerDraft) -> RetailerDraft:
    """Return the draft with colour and e-mail in their stored form, and nothing where a field is empty."""
    email = (draft.support_email or "").strip()
    return msgspec.structs.replace(
        draft,
        name=draft.name.strip(),
        colour=normalise_colour(draft.colour) or draft.colour,
        languages=tuple(dict.fromkeys(draft.languages)),
        timezone=draft.timezone or None,
        support_email=normalise_email(email) or email or None,
        support_phone=(draft.support_phone or "").strip() or None,
        website=(draft.website or "").strip() or None,
    )


def check_retailer(draft: RetailerDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a tidied retailer."""
    if draft.name:
        yield from check_text("name", draft.name, 80)
    if normalise_colour(draft.colour) is None:
        says, mend = N_("{value} is no colour."), N_("Write it like #2a52b0.")
        yield Flaw("colour", says, mend, {"value": draft.colour[:40]})
    if not draft.languages or not set(draft.languages) <= set(LANGUAGES):
        mend = N_("Use one or more of {known}.")
        yield Flaw("languages", N_("These languages cannot be spoken."), mend, {"known": ", ".join(LANGUAGES)})
    if draft.timezone is not None:
        yield from _check_zone(draft.timezone)
    if draft.support_email and normalise_email(draft.support_email) is None:
        mend = N_("Write it like help@example.com.")
        yield Flaw("support_email", N_("{value} is no e-mail address."), mend, {"value": draft.support_email[:80]})
    if draft.support_phone and not _SUPPORT_PHONE.fullmatch(draft.support_phone):
        mend = N_("Write it like (11) 91234-5678 or 0800 123 4567.")
        yield Flaw("support_phone", N_("{value} is no telephone number."), mend, {"value": draft.support_phone[:40]})
    if draft.website and (len(draft.website) > 300 or not _WEBSITE.fullmatch(draft.website)):
        mend = N_("Write it with its scheme, like https://www.example.com.")
        yield Flaw("website", N_("{value} is no web address."), mend, {"value": draft.website[:80]})


def picture_type(picture: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, or None when it is none that browsers may be given.

    SVG is not among them: it can carry programs.
    """
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _PICTURES.items() if picture.startswith(start)), None)


def check_logo(picture: bytes) -> Iterator[Flaw]:
    """Yield what is wrong with a logo."""
    if picture_type(picture) is None:
        yield Flaw("logo", N_("This file is no PNG, JPEG or WebP picture."), N_("Save the logo as PNG and try again."))
    if len(picture) > LOGO_BYTES:
        facts = {"size": -(-len(picture) // 1024), "most": LOGO_BYTES // 1024}
        yield Flaw("logo", N_("The logo has {size} kB."), N_("Use a picture of at most {most} kB."), facts)


def group_has(group: LocationGroup, q: str, names: Mapping[str, str]) -> bool:
    """Return whether a group, or one of its members by code or name, has every word of a text; `names` are by code."""
    members = (f"{code} {names.get(code, '')}" for code in group.locations)
    text = fold(" ".join((group.code, group.name, *members)))
    return all(word in text for word in fold(q).split())
