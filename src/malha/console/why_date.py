"""Why this date: what a promise was made of, as it is drawn."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from malha.console import render
from malha.platform import i18n
from malha.platform.i18n import _, n_
from malha.promising.reads import MadeAtPickup, MadeOf, MadeParcel


class Parcel(msgspec.Struct, frozen=True):
    """One parcel: from where, by what, what is in it, and the steps to its day."""

    name: str
    service: str
    items: str
    cut_off: str
    leaves: str
    days: str
    by: str
    arrives: str
    last: bool  # it decides the date


class WhyDate(msgspec.Struct, frozen=True, kw_only=True):
    """The panel."""

    subtitle: str
    headline: str
    sentences: list[str]
    ready: list[tuple[str, str]]  # of what is fetched: what, when
    parcels: list[Parcel]
    supply: list[str]


def drawn(found: Sequence[MadeOf], names: Mapping[int, str]) -> WhyDate | None:
    """Return what the newest date was made of; `names` are those of the lines. None: nothing of it is known."""
    if not found:
        return None
    made = found[-1]
    learned = any(parcel.learned for parcel in made.parcels)
    several = len(made.parcels) + made.hidden > 1
    sentences = [_("From {time} on the order could be released.", time=render.moment(made.released_at))]
    if made.parcels:
        sentences.append(
            _("Days under way are working days of {state}: no Saturday, no Sunday, no holiday.", state=made.to_state)
        )
    if made.ready is not None and made.ready.late_days:
        sentences.append(
            n_(
                "The location was learned to be late by {n} working day.",
                "The location was learned to be late by {n} working days.",
                made.ready.late_days,
            )
        )
    if learned and made.level is not None and made.version is not None:
        sentences.append(
            _(
                "They were learned from earlier deliveries, so that {share} of them come in time (version {n}).",
                share=i18n.percent(made.level),
                n=made.version,
            )
        )
    if len(found) > 1:
        sentences.append(
            _("The order found its places in {n} decisions; this is what the last one comes to.", n=len(found))
        )
    if made.hidden:
        sentences.append(n_("{n} parcel leaves elsewhere.", "{n} parcels leave elsewhere.", made.hidden))
    return WhyDate(
        subtitle=_("worked out {time}", time=render.moment(made.decided_at)),
        headline=_headline(made, several=several),
        sentences=sentences,
        ready=[] if made.ready is None else _ready(made.ready),
        parcels=[_parcel(parcel, made.arrives, names) for parcel in made.parcels],
        supply=[
            _(
                "{item}: expected {day}, then {days} until it is there.",
                item=names.get(row.line, str(row.line)),
                day=render.calendar_day(max(row.expected, row.not_before or row.expected)),
                days=n_("{n} working day", "{n} working days", row.days),
            )
            for row in made.supply
        ],
    )


def _ready(ready: MadeAtPickup) -> list[tuple[str, str]]:
    """Return the steps to the hour at which goods are ready, on the location's clock."""
    steps = [(_("Fetched at"), ready.location_name or ready.location)]
    if ready.there_at is not None:
        steps.append((_("All of it is there"), _clock(ready.there_at, ready.timezone)))
    steps.append((_("Released until"), ready.cut_off.strftime("%H:%M")))
    if ready.late_days:
        steps.append((_("Work is due"), _clock(ready.due_at, ready.timezone)))
    return [*steps, (_("Ready"), _clock(ready.ready_at, ready.timezone))]


def _clock(at: datetime, zone: str) -> str:
    there = at.astimezone(ZoneInfo(zone))
    return f"{render.calendar_day(there.date())}, {there:%H:%M}"


def _headline(made: MadeOf, *, several: bool) -> str:
    if made.ready is not None:
        return _headline_of_pickup(made, _clock(made.ready.ready_at, made.ready.timezone))
    if made.arrives is None:
        return _("The date comes from goods that are on order.")
    if made.stated:
        return _("The channel promised the date. Ours would have been {day}.", day=render.calendar_day(made.arrives))
    if made.supply:
        return _("What is there arrives {day}; the rest has days of its own.", day=render.calendar_day(made.arrives))
    if several:
        return _("The last parcel arrives {day}: that is the date.", day=render.calendar_day(made.arrives))
    return _("The parcel arrives {day}: that is the date.", day=render.calendar_day(made.arrives))


def _headline_of_pickup(made: MadeOf, ready: str) -> str:
    if made.stated:
        return _("The channel promised the date. Ours would have been {day}.", day=ready)
    if made.supply:
        return _("What is there is ready {day}; the rest has days of its own.", day=ready)
    return _("The goods are ready {day}: that is the date.", day=ready)


def _parcel(parcel: MadeParcel, arrives: date | None, names: Mapping[int, str]) -> Parcel:
    return Parcel(
        name=parcel.location_name or parcel.location,
        service=parcel.service_name or parcel.service or "",
        items=", ".join(names.get(line, str(line)) for line in parcel.lines),
        cut_off=parcel.cut_off.strftime("%H:%M"),
        leaves=render.calendar_day(parcel.leaves),
        days=n_("{n} working day", "{n} working days", parcel.transit_days),
        by=_by(parcel),
        arrives=render.calendar_day(parcel.arrives),
        last=parcel.arrives == arrives,
    )


def _by(parcel: MadeParcel) -> str:
    if not parcel.learned:
        return _("by the tariff")
    if not parcel.late_days:
        return _("learned")
    return n_("learned, {n} of them to leave late", "learned, {n} of them to leave late", parcel.late_days)
