"""Creating and changing a location: one form, its hours as a grid of the week."""

from datetime import time
from typing import Any

import msgspec
from litestar import Request

from malha.console import filling, locations, record_form, shell
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.console.record_form import Form
from malha.network import reads, service
from malha.network.calendar import NO_HOLIDAYS
from malha.network.model import WEEKDAYS, Hours, Location, LocationDraft, LocationKind, LocationStatus
from malha.network.places import STATE_ZONES
from malha.platform import i18n
from malha.platform.address import Address
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.i18n import N_, _

INTERVALS = 2  # a day: morning and afternoon
BLANK = LocationDraft(code="", name="", kind=LocationKind.STORE, establishment="", cut_off=time(14, 0))
ADDRESS_PARTS = ("postal_code", "street", "number", "complement", "district", "city", "state")


async def _form(tx: Tx, request: Request[Any, Any, Any], found: Location | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "locations")
    owners = await reads.establishments_seen(tx)
    asked = request.query_params
    draft = msgspec.structs.replace(  # a held order waits for the code; an establishment's page leads here
        BLANK, code=asked.get("code", "")[:40], establishment=asked.get("establishment", "")[:40]
    )
    site = None
    if found is not None and found.site is not None:
        site = await reads.location_by_code(tx, found.site)
    elif found is None and (code := request.query_params.get("site", "")[:40]):
        site = await locations.home_of(tx, request, code)
        draft = msgspec.structs.replace(draft, site=site.code, kind=site.kind, status=site.status)
    if found is not None:
        draft = reads.location_draft(found, next(e.code for e in owners if e.id == found.establishment_id))
    return {
        "shell": around,
        "may": around.may,
        "draft": draft,
        "site": site,
        "version": found.version if found else 0,
        "latitude": _degrees(draft.latitude),
        "longitude": _degrees(draft.longitude),
        "action": f"/locations/{draft.code}/edit" if found else "/locations:new",
        "back": f"/locations/{draft.code}" if found else "/locations",
        "kinds": list(filling.options(say.LOCATION_KIND)),
        "owners": [(e.code, f"{e.name} ({e.code})") for e in owners if e.active or e.code == draft.establishment],
        "states": [(state, state) for state in sorted(STATES)],
        "zones": [(z, z) for z in sorted({*STATE_ZONES.values(), *([draft.timezone] if draft.timezone else [])})],
        "calendars": _calendars(),
        "hours": [(day, _(say.WEEKDAY[day]), _spans(draft, day)) for day in WEEKDAYS],
        "capabilities": [
            (name, _(word), _(means), getattr(draft, name)) for name, (word, means) in say.CAPABILITIES.items()
        ],
    }


def _calendars() -> list[tuple[str, str]]:
    states = [(f"BR-{state}", f"BR-{state}") for state in sorted(STATES)]
    return [("", _("Of its state")), ("BR", _("National only")), *states, (NO_HOLIDAYS, _("Works on holidays"))]


def _spans(draft: LocationDraft, day: str) -> list[tuple[str, str]]:
    stated = draft.opening_hours.get(day, [])
    return [*stated, *[("", "")] * (INTERVALS - len(stated))]


async def _terms(tx: Tx, request: Request[Any, Any, Any], code: str | None) -> dict[str, Any]:
    return await _form(tx, request, await locations.one(tx, request, code) if code is not None else None)


async def _make(tx: Tx, read: Filled) -> str:
    draft = draft_of(read, None)
    read.refuse()
    return (await service.create_location(tx, draft)).code


async def _change(tx: Tx, request: Request[Any, Any, Any], read: Filled, code: str) -> None:
    draft = draft_of(read, await locations.one(tx, request, code))
    read.refuse()
    await service.update_location(tx, draft, read.version())


def draft_of(read: Filled, before: Location | None) -> LocationDraft:
    """Return the location the form states; what follows from the CEP is found anew when the CEP has changed."""
    site = read.text("site", 40) or None
    if site is not None:
        return _draft_at(site, read, before)
    parts = {part: read.text(f"address/{part}", 200) for part in ADDRESS_PARTS}
    address = Address(**parts, ibge=before.address.ibge if before else "")
    latitude, longitude = read.degrees("latitude"), read.degrees("longitude")
    read_back = (_degrees(before.latitude), _degrees(before.longitude)) if before else None
    if before is not None and address.postal_code.replace("-", "") != before.address.postal_code:
        address = msgspec.structs.replace(address, ibge="")
        if (read.text("latitude"), read.text("longitude")) == read_back:
            latitude = longitude = None
    if (latitude is None) != (longitude is None):
        read.wrong("longitude" if longitude is None else "latitude", N_("A place has both coordinates, or none."))
    return LocationDraft(
        code=before.code if before else read.text("code", 40),
        name=read.text("name"),
        kind=read.choice("kind", LocationKind),
        establishment=read.text("establishment", 40),
        status=before.status if before else LocationStatus.ACTIVE,
        address=address,
        latitude=latitude,
        longitude=longitude,
        timezone=read.text("timezone", 60) or None,
        opening_hours=_hours(read),
        holiday_calendar=read.text("holiday_calendar", 10) or None,
        can_ship=read.flag("can_ship"),
        can_pickup=read.flag("can_pickup"),
        can_curbside=read.flag("can_curbside"),
        can_return=read.flag("can_return"),
        cut_off=read.clock("cut_off"),
        daily_capacity=read.maybe_whole("daily_capacity"),
        handling_cost=read.centavos("handling_cost"),
        line_cost=read.centavos("line_cost"),
        priority=read.whole("priority"),
        pickup_days=read.whole("pickup_days"),
    )


def _draft_at(site: str, read: Filled, before: Location | None) -> LocationDraft:
    """Return the draft of a location at another's site: the form states only what is its own."""
    draft = BLANK if before is None else reads.location_draft(before, "")
    return msgspec.structs.replace(
        draft,
        code=before.code if before else read.text("code", 40),
        name=read.text("name"),
        kind=read.choice("kind", LocationKind),
        establishment=read.text("establishment", 40),
        priority=read.whole("priority"),
        site=site,
    )


def _degrees(value: float | None) -> str:
    """Return a coordinate with the reader's decimal mark, as the form has it."""
    text = "" if value is None else str(value)
    return text.replace(".", ",") if i18n.current_language() == "pt-BR" else text


def _hours(read: Filled) -> Hours:
    """Return the week's hours. A closing hour of 00:00 is the end of the day."""
    hours: Hours = {}
    for day in WEEKDAYS:
        i = 0
        while f"hours/{day}/{i}/from" in read.form and i < 10:
            said = len(read.flaws)
            opens, closes = (read.hour(f"hours/{day}/{i}/{end}") for end in ("from", "to"))
            if len(read.flaws) > said:
                pass
            elif bool(opens) != bool(closes):
                read.wrong(f"hours/{day}/{i}/{'to' if opens else 'from'}", N_("Give both hours, or none."))
            elif opens:
                hours.setdefault(day, []).append((opens, "24:00" if closes == "00:00" else closes))
            i += 1
    return hours


FORM = Form(
    path="/locations",
    template="locations/form.html",
    terms=_terms,
    make=_make,
    change=_change,
    made=N_("Location created"),
    changed=N_("Location saved"),
    located=True,
)
HANDLERS = record_form.handlers(FORM)
