"""What a lane says, as every decision it was used for keeps it."""

import msgspec

from malha.routing.terms import Run


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """Centavos by zone for parcels up to `limit` grams; `packages` by zone where some take more than one."""

    limit: int
    prices: list[int]
    packages: list[int] | None = None
    cartons: list[int] | None = None  # by zone where some cost anything


class LaneFacts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a lane says, as it is stored with every decision it was used for. Costs are centavos."""

    rules: int  # version of the rules
    network: int  # revision of the network
    channel: int
    method: str
    service: int | None = None  # what the customer chose; absent: the cheapest
    to: str | None = None  # state
    pickup: int | None = None  # location
    locations: list[Run]  # ids of the open ones, by position
    refused: list[tuple[int, list[Run]]] = msgspec.field(default_factory=list)  # (number of the reason, location ids)
    classes: list[tuple[int, int, int]]  # (zone, handling, line): locations of a class cost the same
    members: list[int] = msgspec.field(default_factory=list)  # by position: its class; absent: each its own
    split: int = 0  # centavos of a parcel beyond the first
    fees: list[tuple[int, int]] = msgspec.field(default_factory=list)  # by class: (rejection, lateness), a parcel
    learned: int | None = None  # version of the risks behind the fees
    # What a further location of a site saves in centavos, and the site's open positions, where there are several.
    sites: list[tuple[int, list[int]]] = msgspec.field(default_factory=list)

    def klass(self) -> list[int]:
        """Return the class of each position."""
        return self.members or list(range(len(self.classes)))
