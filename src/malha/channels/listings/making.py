"""Content of listings as it is now, from the catalogue and what is said of them on a connection."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.channels.connecting import registry
from malha.channels.connecting.model import Linked
from malha.channels.contract import CatalogSink
from malha.channels.feeds.making import facts_of, tree_of
from malha.channels.feeds.model import Mapped
from malha.channels.feeds.profiles import Profile
from malha.channels.feeds.rules import Compiled
from malha.channels.listings import reads, rules
from malha.channels.listings.errors import NoListings
from malha.channels.listings.model import Content
from malha.channels.listings.reads import Goods, Place
from malha.network import retailer
from malha.platform.db import Tx


class Maker(msgspec.Struct, frozen=True):
    """Makes content for one connection; categories, mapping and website are as they were when it was made."""

    place: Place
    profile: Profile
    compiled: Compiled
    paths: dict[str, str]
    currency: str

    def made(self, goods: Goods, version: int = 0) -> Content:
        """Return what the channel gets of a listing as it is now."""
        facts = {**facts_of(goods, self.paths), "weight_grams": goods.weight_grams}
        return rules.worked_out(
            self.compiled,
            facts,
            {**goods.said_of_product, **goods.said},
            active=self.sells(goods),
            currency=self.currency,
            version=version,
            price_kept=goods.price_kept,
        )

    def sells(self, goods: Goods) -> bool:
        """Tell whether a listing shall be for sale there: somebody published it, and it is for sale here."""
        return goods.wanted and goods.active and goods.on_sale


def takes(connector: str) -> bool:
    """Tell whether connections of a connector are told what to sell."""
    return isinstance(registry.connectors().get(connector), CatalogSink)


def profile_of(connection: Linked) -> Profile:
    """Return what a connection's peer wants of goods.

    Raises:
        NoListings: it takes none.
    """
    connector: Any = registry.connectors().get(connection.connector)
    if not isinstance(connector, CatalogSink):
        raise NoListings(key=connection.code)
    return rules.profile_of(connection.connector, connector.listing_fields)


async def maker_of(tx: Tx, connection: Linked) -> Maker:
    """Return what makes the content of a connection's listings.

    Raises:
        NoListings: its connector takes no products.
    """
    (maker,) = await makers_of(tx, connection)
    return maker


async def makers_of(tx: Tx, connection: Linked, *others: Sequence[Mapped] | None) -> list[Maker]:
    """Return what makes the content as fields are mapped now, and as each of `others` would map them.

    Raises:
        NoListings: its connector takes no products.
    """
    profile = profile_of(connection)
    mapping, _version, _seen = await reads.plan(tx, connection.id)
    categories = await catalog.categories(tx)
    paths, lines = tree_of(categories)
    website = (await retailer.current(tx)).website or ""
    said = msgspec.json.encode([website, profile.fields, sorted((c.code, c.name, c.path) for c in categories)])
    around = hashlib.blake2b(said, digest_size=8).hexdigest()
    place = Place(connection.id, connection.channel_id, around)
    currency = connection.currency
    return [
        Maker(
            place,
            profile,
            Compiled(rules.plan_of(profile, each, currency), currency, website, lines, profile),
            paths,
            currency,
        )
        for each in (mapping, *others)
    ]
