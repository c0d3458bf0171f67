"""What a draft of costs may say, and what its carriage makes of a tariff. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import product
from operator import attrgetter
from typing import Any

import msgspec

from malha.network.model import RateDraft
from malha.network.tariff import ANY
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.routing.cost_draft_model import Carriage, Drafted, Standing
from malha.routing.cost_rules import flaws_of as flaws_of_costs

MOST_ROWS = 20_000  # of tax costs, or of credits
_encode = msgspec.json.Encoder(order="deterministic").encode
Zone = tuple[str, str]


def flaws_of(drafted: Drafted, locations: Collection[str], channels: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with a draft, apart from its rows of tax costs and credits."""
    if drafted == Drafted():
        yield Flaw("", N_("The draft changes nothing."), N_("Change at least one cost."))
    if drafted.costs is not None:
        for flaw in flaws_of_costs(drafted.costs, locations, channels):
            yield msgspec.structs.replace(flaw, at=f"costs/{flaw.at}")
    for name in ("taxes", "markdowns"):
        rows = getattr(drafted, name)
        if rows is not None and len(rows) > MOST_ROWS:
            says, mend = N_("The table has {count} rows."), N_("Use at most {most}.")
            yield Flaw(name, says, mend, {"count": len(rows), "most": MOST_ROWS})
    seen: set[str] = set()
    for n, labour in enumerate(drafted.labour):
        at = f"labour/{n}/location"
        if labour.location not in locations:
            yield Flaw(at, N_("There is no location {value}."), facts={"value": labour.location})
        elif labour.location in seen:
            yield Flaw(at, N_("{value} is there twice."), N_("Leave one row."), {"value": labour.location})
        seen.add(labour.location)


def print_of(standing: Standing) -> str:
    """Return a fingerprint: two that differ are not the same costs. The order of a table's rows does not count."""
    ordered = msgspec.structs.replace(
        standing,
        taxes=_ordered(standing.taxes, "from_state", "to_state", "ncm"),
        markdowns=_ordered(standing.markdowns, "location", "sku"),
        tariff={
            code: _ordered(rates, "from_state", "to_state", "max_grams") for code, rates in standing.tariff.items()
        },
    )
    return sha256(_encode(ordered)).hexdigest()[:32]


def _ordered(rows: list[Any] | None, *names: str) -> list[Any] | None:
    return None if rows is None else sorted(rows, key=attrgetter(*names))


def percent_of(carriage: Sequence[Carriage], origin: str, target: str) -> int:
    """Return what percent carriage from a state to another costs; of `*`, what it costs wherever no row names more."""
    percent = 100
    for change in carriage:
        if change.from_state in {None, origin} and change.to_state in {None, target}:
            percent = change.percent
    return percent


def rescaled(tariff: Mapping[str, Sequence[RateDraft]], carriage: Sequence[Carriage]) -> dict[str, list[RateDraft]]:
    """Return a tariff by which every parcel costs its percent of what it did, to half a centavo a price.

    A row for any state is parted where a change names states: each pair of states finds the row it found before, at
    the percent of the last change that fits it.
    """
    return {service: _rescaled(rates, carriage) for service, rates in tariff.items()}


def _rescaled(rates: Sequence[RateDraft], carriage: Sequence[Carriage]) -> list[RateDraft]:
    zones: dict[Zone, list[RateDraft]] = {}
    for rate in rates:
        zones.setdefault((rate.from_state, rate.to_state), []).append(rate)
    named: set[Zone] = {(change.from_state or ANY, change.to_state or ANY) for change in carriage}
    wanted, fresh = set(zones), set(zones)
    while fresh:  # closed under what two rows have in common: the narrowest row that fits a pair is then one of them
        met = {zone for one, other in product(fresh, wanted | named) if (zone := _common(one, other)) is not None}
        fresh = met - wanted
        wanted |= fresh
    found = []
    for zone in sorted(wanted):
        percent = percent_of(carriage, *zone)
        found += [
            msgspec.structs.replace(
                rate,
                from_state=zone[0],
                to_state=zone[1],
                price=(rate.price * percent + 50) // 100,
                per_extra_kg=max((rate.per_extra_kg * percent + 50) // 100, min(rate.per_extra_kg, 1)),
            )
            for rate in zones[_zone_of(zones, *zone)]
        ]
    return found


def _common(one: Zone, other: Zone) -> Zone | None:
    found = []
    for a, b in zip(one, other, strict=True):
        if ANY not in {a, b} and a != b:
            return None
        found.append(b if a == ANY else a)
    return found[0], found[1]


def _zone_of(zones: Mapping[Zone, object], origin: str, target: str) -> Zone:
    """Return the row of a tariff that a pair of states finds: see `network.tariff`."""
    return next(zone for zone in ((origin, target), (origin, ANY), (ANY, target), (ANY, ANY)) if zone in zones)
