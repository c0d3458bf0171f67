"""What a parcel costs and how long it travels, by service, states and weight. Pure, fast enough for inner loops."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from math import asin, cos, radians, sin, sqrt

import msgspec

from malha.network.model import Rate

ANY = "*"
CUBIC_MM3_PER_GRAM = 6_000  # 6,000 cm3 weigh a kilogram: what Brazilian carriers and Correios bill by volume
EARTH_RADIUS_KM = 6371.0088


class Quote(msgspec.Struct, frozen=True):
    """Price in centavos and business days in transit."""

    price: int
    lead_days: int


class Tariff:
    """All rates, indexed.

    The most specific zone decides, in the order (from, to), (from, any), (any, to), (any, any), even if a wider one
    would carry more. Within a zone the smallest bracket that holds the weight decides. Above the last bracket each
    started kilogram adds `per_extra_kg`; where that is 0 the last bracket is the limit.
    """

    __slots__ = ("_zones",)

    def __init__(self, rates: Iterable[Rate]) -> None:
        grouped: dict[tuple[int, str, str], list[Rate]] = defaultdict(list)
        for rate in rates:
            grouped[rate.service_id, rate.from_state, rate.to_state].append(rate)
        self._zones: dict[tuple[int, str, str], tuple[list[int], list[Quote], int]] = {}
        for key, zone in grouped.items():
            zone.sort(key=lambda r: r.max_grams)
            limits = [r.max_grams for r in zone]
            self._zones[key] = limits, [Quote(r.price, r.lead_days) for r in zone], zone[-1].per_extra_kg

    def quote(self, service_id: int, from_state: str, to_state: str, grams: int) -> Quote | None:
        """Return the price and time of a parcel of billable grams, or None when the service does not carry it."""
        zones = self._zones
        zone = (
            zones.get((service_id, from_state, to_state))
            or zones.get((service_id, from_state, ANY))
            or zones.get((service_id, ANY, to_state))
            or zones.get((service_id, ANY, ANY))
        )
        if zone is None:
            return None
        limits, quotes, per_extra_kg = zone
        i = bisect_left(limits, grams)
        if i < len(limits):
            return quotes[i]
        if not per_extra_kg:
            return None
        extra_kg = -(-(grams - limits[-1]) // 1000)
        return Quote(quotes[-1].price + extra_kg * per_extra_kg, quotes[-1].lead_days)


def cubic_grams(length_mm: int, width_mm: int, height_mm: int) -> int:
    """Return the grams a box of this size is billed as, rounded up; 0 when a side is unknown."""
    return -(-length_mm * width_mm * height_mm // CUBIC_MM3_PER_GRAM)


def billable_grams(grams: int, length_mm: int, width_mm: int, height_mm: int) -> int:
    """Return the larger of real and cubic weight."""
    return max(grams, cubic_grams(length_mm, width_mm, height_mm))


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Return the great-circle distance of two points in kilometres (haversine, mean earth radius)."""
    a, b = radians(latitude_a), radians(latitude_b)
    half_latitude = (b - a) / 2
    half_longitude = radians(longitude_b - longitude_a) / 2
    h = sin(half_latitude) ** 2 + cos(a) * cos(b) * sin(half_longitude) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(h, 1.0)))
