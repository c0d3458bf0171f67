"""Many stored decisions decided again, fast, and written as they would be stored now. Pure.

What the lane said is the first part of a record, and the same bytes for every order of it that looked at the same
weights: it is decoded once, and what a parcel costs is worked out once. Only the rest is read for each order.
"""

import msgspec

from malha.routing.lane_facts import LaneFacts, Rates
from malha.routing.lanes import Lane, reopen_lane
from malha.routing.model import Basis, stock_of
from malha.routing.rules import decide

_END = b'],"lines":['  # of what the lane said
_RATES = b',"rates":['
MOST_LANES = 20_000  # kept; more begin anew


class _Said(LaneFacts, frozen=True, kw_only=True):
    """What a lane said, with the tariff as far as it was looked at."""

    rates: list[Rates]


_decode_said = msgspec.json.Decoder(_Said).decode
_decode_basis = msgspec.json.Decoder(Basis).decode
_encode = msgspec.json.Encoder().encode


class Replayer:
    """Decides stored decisions again. `lanes` counts those it worked out."""

    def __init__(self) -> None:
        self.lanes = 0
        self._by_prefix: dict[bytes, Lane] = {}
        self._known: dict[bytes, dict[int, Rates]] = {}

    def again(self, stored: bytes) -> bytes:
        """Return the record of deciding again what a record was decided from: the same bytes, if nothing changed.

        Carriers and transit times are no inputs: they are taken over from the record.

        Raises:
            msgspec.ValidationError, ValueError: it is no record.
        """
        end = stored.index(_END)
        prefix = stored[:end]
        lane = self._by_prefix.get(prefix) or self._open(prefix)
        basis = _decode_basis(b"{" + stored[end + 2 :])
        stock = stock_of(basis.lines, basis.free)
        prices = {sku: dict(by_position) for sku, by_position in basis.prices} if basis.prices else None
        plan = decide(
            lane, basis.lines, stock, basis.full, basis.excluded, basis.heavy, prices, basis.version,
            costs=bool(basis.costs) or None, terms=basis.terms, bound=basis.bound, onward=basis.onward,
        )  # fmt: skip
        services = [parcel[1] for parcel in basis.parcels]
        parcels = plan.basis.parcels
        if len(services) == len(parcels):
            parcels = [(p[0], service, *p[2:]) for p, service in zip(parcels, services, strict=True)]
        found = msgspec.structs.replace(plan.basis, parcels=parcels, lead_days=basis.lead_days, later=basis.later)
        return b"".join((plan.head, plan.rates, b"],", _encode(found)[1:]))

    def _open(self, prefix: bytes) -> Lane:
        """Work a lane out, knowing every weight that any record of it looked at: more of them only say the same."""
        if self.lanes >= MOST_LANES:
            self._by_prefix.clear()
            self._known.clear()
            self.lanes = 0
        said = _decode_said(prefix + b"]}")
        known = self._known.setdefault(prefix[: prefix.index(_RATES)], {})
        known.update({rate.limit: rate for rate in said.rates})
        facts = LaneFacts(**{name: getattr(said, name) for name in LaneFacts.__struct_fields__})
        lane = self._by_prefix[prefix] = reopen_lane(facts, list(known.values()))
        self.lanes += 1
        return lane
