"""Reference data as the gate keeps it between batches: network, channels, SKUs and today's capacity.

Ids never change once given, so stale data can cost a hold or a dearer parcel, never a wrong claim. `Cache.current`
compares revision numbers at most every `REFRESH_SECONDS` and swaps the whole `Reference`, so one batch sees one
network.
"""

import time
from collections.abc import Collection, Sequence

import msgspec

from malha.catalog import reads as catalog
from malha.intake import reads
from malha.network import reads as network
from malha.network.model import Channel
from malha.network.tariff import billable_grams
from malha.platform.db import Database, Tx
from malha.routing.model import Network
from malha.routing.rules import compile_network

REFRESH_SECONDS = 0.5
MAX_CARDS = 500_000

__all__ = ["Cache", "Card", "Channel", "Reference"]


class Card(msgspec.Struct, frozen=True):
    """What intake needs of a SKU. `grams` is billable weight; `components` are (sku_id, per kit); None if plain."""

    id: int
    name: str
    grams: int
    components: tuple[tuple[int, int], ...] | None
    stocked: tuple[int, ...]  # the SKU itself, or its components: what balances exist for


class Reference:
    """One revision of everything a batch needs."""

    __slots__ = (
        "_cards",
        "_index",
        "channels",
        "location_codes",
        "locations",
        "network",
        "priorities",
        "services",
        "taken",
    )

    def __init__(
        self,
        network_: Network,
        channels: dict[str, Channel],
        services: dict[str, int],
        locations: dict[str, int],
        taken: dict[int, int],
        cards: dict[str, Card],
    ) -> None:
        self.network = network_
        self.channels = channels
        self.priorities = {code: c.priority for code, c in channels.items()}
        self.services = services
        self.locations = locations
        codes = {id_: code for code, id_ in locations.items()}
        self.location_codes = [codes[id_] for id_ in network_.location_ids]
        self.taken = [taken.get(id_, 0) for id_ in network_.location_ids]
        self._index = {id_: n for n, id_ in enumerate(network_.location_ids)}
        self._cards = cards

    async def cards(self, tx: Tx, codes: Collection[str]) -> dict[str, Card]:
        """Return the active SKUs among `codes`; reads only what is not in memory. Unknown ones are absent."""
        known = self._cards
        missing = [code for code in codes if code not in known]
        if missing:
            if len(known) > MAX_CARDS:
                known.clear()
            for v in await catalog.by_skus(tx, missing):
                if not v.active:
                    continue
                components = tuple((c.sku_id, c.quantity) for c in v.components) if v.is_kit else None
                grams = billable_grams(v.weight_grams, v.length_mm, v.width_mm, v.height_mm)
                stocked = tuple(part for part, _ in components) if components else (v.id,)
                known[v.sku] = Card(v.id, v.name, grams, components, stocked)
        return {code: known[code] for code in codes if code in known}

    def grid(self, sku_ids: Sequence[int], balances: Sequence[tuple[int, ...]]) -> dict[int, list[int]]:
        """Lay (sku, location, free) rows out as one list per SKU in the network's order of locations."""
        empty = [0] * len(self._index)
        free = {sku: empty.copy() for sku in sku_ids}
        index = self._index
        for sku, location, units in balances:
            if location in index:
                free[sku][index[location]] = max(0, units)
        return free


class Cache:
    """Holds the current `Reference` of one process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reference: Reference | None = None
        self._revisions: tuple[int, int] = (-1, -1)
        self._checked = 0.0

    async def current(self) -> Reference:
        """Return the reference data, at most `REFRESH_SECONDS` old."""
        if self._reference is None or time.monotonic() - self._checked > REFRESH_SECONDS:
            async with self._db.transaction() as tx:
                self._reference = await self._load(tx)
            self._checked = time.monotonic()
        return self._reference

    async def load(self, tx: Tx) -> Reference:
        """Return the reference data as this transaction sees it, for use outside the gate."""
        return await self._load(tx)

    async def _load(self, tx: Tx) -> Reference:
        revisions = await reads.revisions(tx)
        taken = await reads.taken_today(tx)
        old = self._reference
        if old is not None and revisions == self._revisions:
            if taken:
                old.taken = [taken.get(id_, 0) for id_ in old.network.location_ids]
            return old
        snapshot = await network.snapshot(tx)
        keep = old is not None and revisions[1] == self._revisions[1]
        self._revisions = revisions
        return Reference(
            compile_network(snapshot),
            {c.code: c for c in snapshot.channels.values()},
            {s.code: s.id for s in snapshot.services.values() if s.active},
            dict(snapshot.location_ids),
            taken,
            old._cards if keep and old is not None else {},
        )
