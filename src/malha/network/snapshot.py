"""The whole network at one revision, as routing and intake use it: read in a few statements, kept in memory."""

from collections.abc import Mapping
from datetime import date

import msgspec

from malha.network.calendar import Calendar
from malha.network.model import Channel, Establishment, Location, Method, Rate, Service, StoreLane
from malha.network.tariff import Tariff


class NetworkSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the network, by id, with the ids by code. Replace it when `revision` moves on."""

    revision: int
    establishments: dict[int, Establishment]
    locations: dict[int, Location]
    channels: dict[int, Channel]
    services: dict[int, Service]
    rates: tuple[Rate, ...]
    closures: dict[int, frozenset[date]]
    location_ids: dict[str, int]
    channel_ids: dict[str, int]
    service_ids: dict[str, int]
    tariff: Tariff
    calendars: dict[int, Calendar]
    store_lanes: tuple[StoreLane, ...] = ()

    def location(self, code: str) -> Location | None:
        """Return the location with this code."""
        found = self.location_ids.get(code)
        return None if found is None else self.locations[found]

    def channel(self, code: str) -> Channel | None:
        """Return the channel with this code."""
        found = self.channel_ids.get(code)
        return None if found is None else self.channels[found]

    def service(self, code: str) -> Service | None:
        """Return the service with this code."""
        found = self.service_ids.get(code)
        return None if found is None else self.services[found]

    def active_services(self, method: Method = Method.SHIP) -> list[Service]:
        """Return the services in use for a method."""
        return [s for s in self.services.values() if s.active and s.method is method]

    def offered_services(self) -> list[Service]:
        """Return the services that may carry an order that names none.

        What the channel labels carries only what it sold: nobody else's parcel gets a label there, whatever it costs.
        """
        return [s for s in self.active_services() if not s.channel_label]

    def brought_to(self) -> dict[int, dict[int, tuple[int, int]]]:
        """Return from where goods are brought to places where orders are fetched: place, origin, (price, days)."""
        found: dict[int, dict[int, tuple[int, int]]] = {}
        for lane in self.store_lanes:
            found.setdefault(lane.to_id, {})[lane.from_id] = lane.price, lane.days
        return found

    def establishment_of(self, location_id: int) -> Establishment:
        """Return the establishment a location belongs to."""
        return self.establishments[self.locations[location_id].establishment_id]


def build_snapshot(
    *,
    revision: int,
    establishments: list[Establishment],
    locations: list[Location],
    channels: list[Channel],
    services: list[Service],
    rates: list[Rate],
    closures: Mapping[int, frozenset[date]],
    store_lanes: tuple[StoreLane, ...] = (),
) -> NetworkSnapshot:
    """Index the parts of a network."""
    none: frozenset[date] = frozenset()
    return NetworkSnapshot(
        revision=revision,
        establishments={e.id: e for e in establishments},
        locations={x.id: x for x in locations},
        channels={c.id: c for c in channels},
        services={s.id: s for s in services},
        rates=tuple(rates),
        closures=dict(closures),
        location_ids={x.code: x.id for x in locations},
        channel_ids={c.code: c.id for c in channels},
        service_ids={s.code: s.id for s in services},
        tariff=Tariff(rates),
        calendars={x.id: Calendar(x, closures.get(x.id, none)) for x in locations},
        store_lanes=store_lanes,
    )
