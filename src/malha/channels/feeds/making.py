"""Rows of a page of listings: their goods, what the channel may sell of them now, and what the plan makes of both."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import msgspec

import malha
from malha.catalog import reads as catalog
from malha.catalog.model import Category
from malha.channels import quantities
from malha.channels.feeds import rules
from malha.channels.feeds.model import Plan
from malha.channels.feeds.profiles import PROFILES
from malha.channels.feeds.reads import Goods
from malha.intake import availability
from malha.intake.reference import reference_in
from malha.network import reads as network
from malha.network import retailer
from malha.platform.db import Tx


class Stock(msgspec.Struct, frozen=True):
    """What may be sold of a SKU: in all, from when otherwise, and by the index of a place."""

    quantity: int
    ahead: date | None
    at: dict[int, int]


class Places(msgspec.Struct, frozen=True):
    """Stock of a page, and the locations it tells of: (code, name)."""

    skus: dict[str, Stock]
    locations: list[tuple[str, str]]


class Made(msgspec.Struct, frozen=True):
    """What became of a listing: rows, or the filter that left it out; `short`: places left out for want of stock."""

    sku_id: int
    stamp: int
    rows: list[rules.Row]
    left: str | None = None
    short: int = 0


NOTHING = Stock(0, None, {})
FEW_PLACES = 50


@cache
def program() -> str:
    """Return what stands for the program that makes rows.

    Another one may make other rows of the same goods, as one row of a store where there were two: a file of changes
    then looks at all listings, as after any other change that no listing has a mark of.
    """
    told = hashlib.blake2b(malha.__version__.encode(), digest_size=8)
    for name in ("making.py", "rules.py", "profiles.py"):
        told.update((resources.files("malha.channels.feeds") / name).read_bytes())
    return told.hexdigest()


class Maker:
    """Makes rows for one plan. Categories and the website are as they were when it was made; stock is as it is."""

    def __init__(
        self, plan: Plan, channel_id: int, currency: str, website: str, categories: Sequence[Category]
    ) -> None:
        self._plan = plan
        self._channel_id = channel_id
        self._names, lines = tree_of(categories)
        self.compiled = rules.Compiled(plan, currency, website, lines)
        self._by_place = PROFILES[plan.profile].per_location
        self._stores: dict[tuple[tuple[str, str], ...], list[list[int]]] = {}
        self.places = FEW_PLACES  # rows that one listing makes, known after the first page

    async def stock(self, tx: Tx, page: Sequence[Goods]) -> Places:
        """Read what the channel may sell of a page's SKUs now."""
        reference = (await reference_in(tx)).apart()
        channel = quantities.channel_of(reference, self._channel_id)
        only: set[int] | None = None
        if self._plan.filters.location_group is not None:
            groups = await network.location_groups(tx, [self._plan.filters.location_group])
            only = {reference.locations[code] for group in groups for code in group.locations}
        elif self._by_place:
            only = {place.id for place in reference.details if place.can_pickup}
        cards = await reference.cards(tx, [g.sku for g in page if g.active and g.on_sale])
        offers = await availability.offers(tx, reference, channel, cards, only=only)
        names = {place.code: place.name for place in reference.details}
        self.places = max(1, len(offers.locations))
        return Places(
            {
                o.sku: Stock(
                    o.published,
                    o.ahead[0].day if o.ahead else None,
                    {row.location: row.published for row in o.at} if self._by_place else {},
                )
                for o in offers.skus
            },
            [(code, names[code]) for code in offers.locations] if self._by_place else [],
        )

    def made(self, page: Sequence[Goods], places: Places) -> list[Made]:
        """Return what becomes of each listing of a page."""
        return [self._made(goods, places) for goods in page]

    def _made(self, goods: Goods, places: Places) -> Made:
        facts = facts_of(goods, self._names)
        left = self.compiled.left_out(facts)
        if left is not None:
            return Made(goods.sku_id, goods.stamp, [], left)
        stock = places.skus.get(goods.sku, NOTHING)
        if not self._by_place:
            _put_stock(facts, stock.quantity, stock.ahead)
            if self._plan.filters.in_stock and facts["availability"] == "out_of_stock":
                return Made(goods.sku_id, goods.stamp, [], "no_stock")
            return Made(goods.sku_id, goods.stamp, [self.compiled.row(facts)])
        rows, short = [], 0
        for store in self._stores_of(facts, places.locations):
            there = {at: stock.at.get(at, 0) for at in store}
            # A cap on the whole limits what one store may sell, too.
            units = min(sum(there.values()), stock.quantity)
            if self._plan.filters.in_stock and units <= 0:
                short += 1
                continue
            _put_stock(facts, units, None)
            rows.append(self._row_of(facts, places.locations, there))
        return Made(goods.sku_id, goods.stamp, rows, None, short)

    def _stores_of(self, facts: dict[str, Any], locations: Sequence[tuple[str, str]]) -> list[list[int]]:
        """Return the indexes of the locations of each store that the target knows; one that is none stands alone."""
        key = tuple(locations) if self.compiled.stores_are_fixed else ()
        if key in self._stores:
            return self._stores[key]
        found: dict[tuple[str, str], list[int]] = {}
        for at, (code, name) in enumerate(locations):
            facts["location"], facts["location_name"] = code, name
            store = self.compiled.store(facts)
            found.setdefault((store, "" if store else code), []).append(at)
        stores = list(found.values())
        if key:
            self._stores = {key: stores}  # of the newest page: locations hardly ever change meanwhile
        return stores

    def _row_of(
        self, facts: dict[str, Any], locations: Sequence[tuple[str, str]], there: Mapping[int, int]
    ) -> rules.Row:
        """Return the row of a store from its locations with their units; `facts` have what it may sell in all."""
        rows: dict[int, rules.Row] = {}
        for at in there:
            facts["location"], facts["location_name"] = locations[at]
            rows[at] = self.compiled.row(facts)
        if len(rows) == 1:
            return next(iter(rows.values()))
        stocked = [row for at, row in rows.items() if there[at] > 0]
        return self.compiled.together(list(rows.values()), stocked or list(rows.values()))


def tree_of(categories: Sequence[Category]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return categories by code: their names from the root on, and their codes up to the root, nearest first."""
    by_code = {c.code: c for c in categories}
    lines = {c.code: list(reversed(c.path.split("/"))) for c in categories}
    names = {
        code: " > ".join(by_code[one].name for one in reversed(line) if one in by_code) for code, line in lines.items()
    }
    return names, lines


def facts_of(g: Goods, paths: Mapping[str, str]) -> dict[str, Any]:
    """Return what is known of a listing by the names of `rules.FIELDS`, but its stock."""
    urls = g.urls or []
    return {
        "active": g.active,
        "on_sale": g.on_sale,
        "code": g.code,
        "sku": g.sku,
        "product": g.product,
        "name": g.name,
        "product_name": g.product_name,
        "description": g.description,
        "brand": g.brand,
        "gtin": g.gtin,
        "ncm": g.ncm,
        "category": g.category,
        "category_path": paths.get(g.category or ""),
        "item_group": g.product if g.has_variants else None,
        "price": g.price,
        "image": urls[0] if urls else None,
        "images": urls[1:],
        "pictures": urls,
        "weight": f"{g.weight_grams} g" if g.weight_grams else None,
        "length": g.length_mm or None,
        "width": g.width_mm or None,
        "height": g.height_mm or None,
        "attributes": g.attributes,
        "options": g.options,
    }


def _put_stock(facts: dict[str, Any], units: int, ahead: date | None) -> None:
    facts["quantity"] = max(0, units)
    facts["availability"] = "in_stock" if units > 0 else "backorder" if ahead else "out_of_stock"
    facts["availability_date"] = ahead if units <= 0 else None


async def maker_of(tx: Tx, plan: Plan, channel_id: int) -> Maker:
    """Return what makes rows for a plan and a channel."""
    shop = await retailer.current(tx)
    channel = next(c for c in await network.channels(tx) if c.id == channel_id)
    return Maker(plan, channel_id, channel.currency, shop.website or "", await catalog.categories(tx))


Tally = dict[tuple[str, str, str], int]


def tally(made: Sequence[Made], counted: Tally, duplicates: Mapping[int, str]) -> None:
    """Add up what rules found and filters left out, in rows."""
    for one in made:
        if one.left is not None:
            _add(counted, "filter", one.left, "", 1)
        if one.short:
            _add(counted, "filter", "no_stock", "", one.short)
        for row in one.rows:
            for found in row.found:
                _add(counted, found.severity.value, found.rule, found.field, 1)
        if one.sku_id in duplicates:
            _add(counted, "error", "duplicate_id", "id", len(one.rows))


def _add(counted: Tally, severity: str, rule: str, field: str, rows: int) -> None:
    key = (severity, rule, field)
    counted[key] = counted.get(key, 0) + rows
