"""Which vendor sends what a routing rule could not place. Pure.

A vendor takes a line whole: all that is left of it, of kits every component. Of those who supply it, the one that the
rule names first counts; where it names none, the one whose goods and carriage cost least, then the soonest.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from malha.inventory.vendors.model import Offer
from malha.network.model import Method
from malha.network.snapshot import NetworkSnapshot
from malha.routing.model import RequestLine, parts_of
from malha.routing.ruling.model import Dropped

NOWHERE_ELSE: Mapping[int, Collection[int]] = {}


class Destination(msgspec.Struct, frozen=True):
    """Where an order goes. `excluded` are locations that are not to be asked for a line again."""

    method: str
    state: str | None
    service_id: int | None  # None: the cheapest
    excluded: Mapping[int, Collection[int]] = NOWHERE_ELSE


class Vendors:
    """What vendors supply, as far as it was learned, and what carries it. Of one revision of the network."""

    __slots__ = ("_services", "_tariff", "offers")

    def __init__(self, known: NetworkSnapshot) -> None:
        self.offers: dict[int, tuple[Offer, ...]] = {}  # by SKU; whoever plans has them learned first
        self._tariff = known.tariff
        self._services = [service.id for service in known.offered_services()]

    def take(
        self, named: Sequence[str], lines: Sequence[RequestLine], left: Sequence[tuple[int, int]], to: Destination
    ) -> list[Dropped]:
        """Return who is asked for what is left of lines: (line, units). A line that nobody can send is not there.

        Goods that a customer fetches are sent by nobody.
        """
        if to.method != Method.SHIP or to.state is None:
            return []
        by_number = {line.line: line for line in lines}
        found = []
        for number, units in left:
            best = min(self._of(named, by_number[number], units, to), default=None)
            if best is not None:
                found.append(best[1])
        return found

    def _of(
        self, named: Sequence[str], line: RequestLine, units: int, to: Destination
    ) -> list[tuple[tuple[int, int, int, int], Dropped]]:
        parts = parts_of(line)
        found = []
        for first in self.offers.get(parts[0][0], ()):
            own = self._all_of(parts, first.location_id)
            if not own or (named and first.code not in named) or first.location_id in to.excluded.get(line.line, ()):
                continue
            carriage = self._carriage(first.state, to, line.grams, units)
            if carriage is None:
                continue
            freight, days = carriage
            cost = sum(offer.cost * per for offer, (_, per) in zip(own, parts, strict=True))
            lead = max(offer.lead_days for offer in own)
            rank = named.index(first.code) if named else 0
            one = Dropped(line.line, first.location_id, units, cost, lead, days, freight)
            found.append(((rank, cost * units + freight, lead + days, first.location_id), one))
        return found

    def _all_of(self, parts: Sequence[tuple[int, int]], location_id: int) -> list[Offer]:
        """Return what a vendor asks for each part; nothing where one is missing."""
        own = [next((o for o in self.offers.get(sku, ()) if o.location_id == location_id), None) for sku, _ in parts]
        return [offer for offer in own if offer is not None] if None not in own else []

    def _carriage(self, state: str, to: Destination, grams: int, units: int) -> tuple[int, int] | None:
        """Return centavos and days of the cheapest service; what is too heavy for one parcel goes unit by unit."""
        best = None
        for service in self._services if to.service_id is None else [to.service_id]:
            quote = self._tariff.quote(service, state, to.state or "", grams * units)
            times = 1
            if quote is None:
                quote, times = self._tariff.quote(service, state, to.state or "", grams), units
            if quote is not None and (best is None or (quote.price * times, quote.lead_days) < best):
                best = quote.price * times, quote.lead_days
        return best
