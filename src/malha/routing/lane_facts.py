"""What a lane says, as every decision it was used for keeps it."""

import msgspec

from malha.routing.terms import Run


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """Centavos by zone for parcels up to `limit` grams; `packages` by zone where some take more than one."""

    limit: int
    prices: list[int]
    packages: list[int] | None = None
    cartons: list[int] | None = None  # by zone where some cost anything


class Onward(msgspec.Struct, frozen=True, array_like=True):
    """How goods that come together at a location go on from there, in one shipment. Amounts are centavos.

    `grams` is the billable weight of all that was to be placed, `days` are working days in transit.
    """

    location: int  # id
    service: int
    grams: int
    packages: int
    freight: int
    carton: int
    days: int

    @property
    def cost(self) -> int:
        """Return what it costs."""
        return self.freight + self.carton


class LaneFacts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a lane says, as it is stored with every decision it was used for. Costs are centavos."""

    rules: int  # version of the rules
    network: int  # revision of the network
    channel: int
    method: str
    service: int | None = None  # what the customer chose; absent: the cheapest
    to: str | None = None  # state
    pickup: int | None = None  # location: where it is fetched, or where goods that are shipped come together
    locations: list[Run]  # ids of the open ones, by position
    refused: list[tuple[int, list[Run]]] = msgspec.field(default_factory=list)  # (number of the reason, location ids)
    classes: list[tuple[int, int, int]]  # (zone, handling, line): locations of a class cost the same
    members: list[int] = msgspec.field(default_factory=list)  # by position: its class; absent: each its own
    split: int = 0  # centavos of a parcel beyond the first; below zero where they are handed over together
    fees: list[tuple[int, int]] = msgspec.field(default_factory=list)  # by class: (rejection, lateness), a parcel
    learned: int | None = None  # version of the risks behind the fees
    # What a further location of a site saves in centavos, and the site's open positions, where there are several.
    sites: list[tuple[int, list[int]]] = msgspec.field(default_factory=list)
    # By zone, where goods are brought to the place where the order is fetched, or where they come together: the working
    # days that takes. Zone 0 is that place itself.
    brought: list[int] = msgspec.field(default_factory=list)

    def days_brought(self) -> list[int | None]:
        """Return, by position, the working days until its goods are at `pickup`; None: not brought."""
        if not self.brought:
            return [None] * len(self.klass())
        zones = [self.classes[k][0] for k in self.klass()]
        return [self.brought[zone] if zone else None for zone in zones]

    def klass(self) -> list[int]:
        """Return the class of each position."""
        return self.members or list(range(len(self.classes)))
