"""What a shop sells, as Malha takes it, and how its changes are found.

Vendure dates a variant when its price, its SKU or whether it is sold changes. A text, a picture, a facet or a
collection that changes leaves no date on the variant, and often none anywhere: which pictures a product has is a table
of its own there. So variants are read by when they changed each time, and all of them by id every so often: what then
says otherwise than it did, by a digest that is kept in the cursor, is told. The digests make the cursor large, and each
page of ours has it written: so one of them, when all is read, is many of Vendure's.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.reading_html import text_of
from malha.channels.connectors.vendure.asking import ask
from malha.channels.connectors.vendure.operations import PRODUCTS
from malha.channels.connectors.vendure.reading import (
    Cursor,
    advanced,
    changed_after,
    cursor_of,
    fresh_of,
    instant,
    micros_of,
    more,
)
from malha.channels.contract import Ctx, ExtProduct, Page

FIELDS = frozenset({"name", "description", "category", "attributes", "options", "pictures", "variant_name", "price"})
LONGEST_CODE = 64
MOST_KEPT = (
    20_000  # variants whose digests are kept; of a larger catalogue the others are told each time it is read whole
)
PIECES = (
    20  # of Vendure's pages in one of ours, when all is read; an answer with a thousand variants would be too large
)
LONGEST = timedelta(seconds=60)  # then what was read is kept, however little
_encode = msgspec.json.Encoder().encode


class Place(Cursor, frozen=True, omit_defaults=True):
    """Where reading variants is: see `Cursor` for those that changed; `said` are digests of what was told, by id.

    `whole` is when the last reading of all began, None before the first; `skip` how many of it were read, None while
    none is under way. Each digest begins with the `mark`, 0 or 1 in turn, of the reading of all that found it last.
    """

    said: dict[str, str] = {}  # noqa: RUF012 -- msgspec copies it
    whole: datetime | None = None
    skip: int | None = None
    mark: str = "0"


async def pull_products(ctx: Ctx, text: str | None) -> Page[ExtProduct]:
    """Return what changed after a cursor: variants by their dates, then, where it is time, what says otherwise."""
    place = Place(cursor_of(None, None).at, whole=ctx.now()) if text is None else msgspec.json.decode(text, type=Place)
    return await (_changed(ctx, place) if place.skip is None else _whole(ctx, place))


async def _changed(ctx: Ctx, place: Place) -> Page[ExtProduct]:
    options = changed_after(place, {}, ctx.config.page)
    found = (await ask(ctx, PRODUCTS, {"options": options}, "pull_products"))["productVariants"]
    fresh = fresh_of(place, found["items"])
    items = [product_of(row) for row, _id, _micros in fresh]
    moved = msgspec.json.decode(advanced(place, fresh), type=Cursor)
    said = _with(place.said, items, place.mark)
    further = more(found, options)
    due = not further and _is_due(ctx, place)
    after = msgspec.structs.replace(place, at=moved.at, seen=moved.seen, said=said)
    if due:
        mark = "1" if place.mark == "0" else "0"
        after = msgspec.structs.replace(after, whole=ctx.now(), skip=0, mark=mark)
    return Page(items=items, cursor=_encode(after).decode(), more=further or due)


def _is_due(ctx: Ctx, place: Place) -> bool:
    return place.whole is None or ctx.now() - place.whole >= timedelta(minutes=ctx.config.reread_minutes)


async def _whole(ctx: Ctx, place: Place) -> Page[ExtProduct]:
    skip, said, until = place.skip or 0, place.said, ctx.now() + LONGEST
    fresh: list[ExtProduct] = []
    further = True
    for _ in range(PIECES):
        options = {"take": ctx.config.page, "skip": skip, "sort": {"id": "ASC"}}
        found = (await ask(ctx, PRODUCTS, {"options": options}, "pull_products"))["productVariants"]
        items = [product_of(row) for row in found["items"]]
        fresh += [item for item in items if said.get(item.id, "")[1:] != digest_of(item)]
        said = _with(said, items, place.mark)
        skip += len(items)
        further = bool(items) and skip < int(found["totalItems"])
        if not further or ctx.now() >= until:
            break
    after = msgspec.structs.replace(place, said=said, skip=skip)
    if not further:  # what is gone there is forgotten
        kept = {id_: digest for id_, digest in said.items() if digest.startswith(place.mark)}
        after = msgspec.structs.replace(after, said=kept, skip=None)
    return Page(items=fresh, cursor=_encode(after).decode(), more=further)


def _with(said: Mapping[str, str], items: Sequence[ExtProduct], mark: str) -> dict[str, str]:
    """Return the digests with those of variants, as far as there is room for them."""
    kept = dict(said)
    for item in items:
        if item.id in kept or len(kept) < MOST_KEPT:
            kept[item.id] = mark + digest_of(item)
    return kept


def digest_of(item: ExtProduct) -> str:
    """Return a short mark of all that a variant says."""
    return urlsafe_b64encode(sha256(_encode(item)).digest()[:6]).decode()


def product_of(row: Mapping[str, Any]) -> ExtProduct:
    """Return a variant as Malha takes it, with the texts of its product."""
    product = row["product"]
    options = sorted(row["options"], key=lambda each: int(each["group"]["id"]))
    return ExtProduct(
        id=str(row["id"]),
        sku=row["sku"],
        name=row["name"],
        price=row["priceWithTax"],
        active=bool(row["enabled"] and product["enabled"]),
        version=micros_of(instant(row["updatedAt"]).astimezone(UTC)),
        product=_code_of(product),
        product_name=product["name"],
        description=text_of(product["description"] or ""),
        category=_category(product["collections"]),
        attributes=_attributes(product["facetValues"]),
        options={str(each["group"]["name"]): str(each["name"]) for each in options},
        pictures=_pictures(product),
    )


def _code_of(product: Mapping[str, Any]) -> str:
    """Return how a product is called: by the end of its address, unless that is too long."""
    slug = str(product["slug"] or "")
    return slug if 0 < len(slug) <= LONGEST_CODE else str(product["id"])


def _category(collections: Sequence[Mapping[str, Any]]) -> str:
    """Return the public collection that is deepest in the tree, the oldest of these, without the root's own name."""
    paths = [
        [str(each["name"]).replace(">", "-") for each in collection["breadcrumbs"][1:]]
        for collection in sorted(collections, key=lambda each: int(each["id"]))
        if not collection["isPrivate"]
    ]
    deepest: list[str] = max(paths, key=len, default=[])
    return " > ".join(deepest)


def _attributes(values: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the public facets with their values, in the order in which they were made."""
    found: dict[str, list[str]] = {}
    for value in sorted(values, key=lambda each: (int(each["facet"]["id"]), int(each["id"]))):
        if not value["facet"]["isPrivate"]:
            found.setdefault(str(value["facet"]["name"]), []).append(str(value["name"]))
    return {name: ", ".join(names) for name, names in found.items()}


def _pictures(product: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a product's pictures, the featured one first; those that are not https are no use."""
    featured = [product["featuredAsset"]] if product["featuredAsset"] else []
    shown = {
        str(each["id"]): str(each["source"]) for each in (*featured, *product["assets"]) if each["type"] == "IMAGE"
    }
    return [address for address in shown.values() if address.startswith("https://")]
