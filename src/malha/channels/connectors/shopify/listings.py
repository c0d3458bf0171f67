"""What a shop shows of its products, written there: what it is called, described as, filed under and looks like.

Malha notes on each product what it wrote there. A field that it never wrote, tags that others gave and images that
others added stay as they are; a field that it wrote and that has no value any more is emptied.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.paragraphs import html_of
from malha.channels.connectors.shopify.asking import ask, refused
from malha.channels.connectors.shopify.goods import ONLY, ambiguous, variants_of
from malha.channels.connectors.shopify.money import decimal
from malha.channels.contract import Ctx, Field, Kind, ListingFields, Ok, ProductPush, Rejected, Result

FIELDS = ListingFields(
    (
        Field("title", required=True, longest=255),
        Field("description", Kind.LONG),
        Field("brand", longest=255),
        Field("product_type", longest=255),
        Field("tags", longest=5_000),  # with commas between them
        Field("images", Kind.URLS, longest=50),
        Field("gtin", Kind.GTIN),
    )
)
NOTE = {"namespace": "malha", "key": "listing"}
TEXTS = {"description": "descriptionHtml", "brand": "vendor", "product_type": "productType"}
OURS = {there: name for name, there in TEXTS.items()} | {
    "media": "images",
    "files": "images",
    "originalSource": "images",
    "barcode": "gtin",
    "sku": "code",
    "title": "title",
    "tags": "tags",
}


class _Note(msgspec.Struct, frozen=True):
    """What Malha wrote on a product: names of fields, tags, and marks of the addresses of images."""

    fields: Sequence[str] = ()
    tags: Sequence[str] = ()
    images: Sequence[str] = ()

    @classmethod
    def of(cls, product: Mapping[str, Any]) -> "_Note":
        """Return what is noted on a product; nothing where somebody else wrote over it."""
        try:
            return msgspec.json.decode((product["metafield"] or {}).get("value") or "{}", type=cls)
        except msgspec.DecodeError:
            return cls()


async def upsert(ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
    """Hand variants over: a new one becomes a product of its own, one that is the only one of its product is rewritten.

    Of a variant that shares its product with others the GTIN is written, and nothing else: what they are called
    together is the shop's affair.
    """
    found = await variants_of(ctx, "find_listings", [item.code for item in items])
    results: list[Result] = []
    for item in items:
        rows = found.get(item.code, [])
        if item.currency != ctx.connection.currency:
            results.append(Rejected("currency", f"the shop sells in {ctx.connection.currency}", "currency"))
        elif len(rows) > 1:
            results.append(ambiguous(item.code))
        elif rows:
            results.append(await _changed(ctx, item, rows[0]))
        else:
            results.append(await _created(ctx, item))
    return results


async def _created(ctx: Ctx, item: ProductPush) -> Result:
    # Named by us, so that the same one again is the same product; Shopify's search may not know it yet.
    handle = handle_of(item.code)
    known = (await ask(ctx, "find_product", {"handle": handle}))["productByIdentifier"]
    if known is not None:
        rows = known["variants"]["nodes"]
        if [str(row["sku"] or "") for row in rows] != [item.code]:
            says = f"the product {handle} has other variants now: give one of them this SKU"
            return Rejected("name_taken", says, "code")
        return await _changed(ctx, item, {**rows[0], "product": known})
    if not item.active:
        return Ok()  # it is not for sale there, which is what is wanted
    content, images = _content(item, _Note(), ())
    variant = {
        "optionValues": [{"optionName": "Title", "name": ONLY}],
        "sku": item.code,
        "barcode": item.gtin or None,
        "price": decimal(item.price, item.currency),
        "inventoryItem": {"tracked": True},
    }
    draft = {
        **content,
        "handle": handle,
        "status": "ACTIVE",
        "productOptions": [{"name": "Title", "values": [{"name": ONLY}]}],
        "variants": [variant],
        "files": [{"originalSource": url, "contentType": "IMAGE", "alt": item.name} for url in images],
    }
    said = (await ask(ctx, "set_product", {"handle": handle, "input": draft}))["productSet"]
    return _refused(said["userErrors"]) if said["userErrors"] else Ok(str(said["product"]["id"]))


async def _changed(ctx: Ctx, item: ProductPush, row: Mapping[str, Any]) -> Result:
    product = row["product"]
    if item.gtin:
        asked = {"product": product["id"], "variants": [{"id": row["id"], "barcode": item.gtin}]}
        said = (await ask(ctx, "set_prices", asked))["productVariantsBulkUpdate"]
        if said["userErrors"]:
            return _refused(said["userErrors"])
    if (product["variantsCount"] or {}).get("count") != 1:
        return Ok(str(row["id"]))
    wanted: dict[str, Any] = {"id": product["id"], "status": "ACTIVE" if item.active else "DRAFT"}
    media: list[dict[str, Any]] = []
    if item.active:  # an end says nothing of what it looks like
        content, images = _content(item, _Note.of(product), product["tags"])
        wanted |= content
        media = [{"originalSource": url, "mediaContentType": "IMAGE", "alt": item.name} for url in images]
    told = (await ask(ctx, "update_product", {"product": wanted, "media": media}))["productUpdate"]
    return _refused(told["userErrors"]) if told["userErrors"] else Ok(str(row["id"]))


def _content(item: ProductPush, note: _Note, tags: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return what to write of a product, and the images that it lacks.

    Images go with their own note in one change: an answer that was lost has none of them there twice.
    """
    content: dict[str, Any] = {"title": item.name}
    written: list[str] = []
    for name, there in TEXTS.items():
        text = str(item.fields.get(name) or "")
        if text:
            written.append(name)
        if text or name in note.fields:
            content[there] = html_of(text) if name == "description" else text
    ours = list(dict.fromkeys(each for each in map(str.strip, str(item.fields.get("tags") or "").split(",")) if each))
    if ours or note.tags:
        former = {each.casefold() for each in (*note.tags, *ours)}
        content["tags"] = [each for each in tags if each.casefold() not in former] + ours
    said = item.fields.get("images") or ()
    urls = list(dict.fromkeys([said] if isinstance(said, str) else said))
    fresh = [url for url in urls if _mark(url) not in note.images]
    left = _Note(written, ours, [*note.images, *(_mark(url) for url in fresh)])
    content["metafields"] = [{**NOTE, "type": "json", "value": msgspec.json.encode(left).decode()}]
    return content, fresh


def _mark(url: str) -> str:
    return sha256(url.encode()).hexdigest()[:16]


def handle_of(code: str) -> str:
    """Return a name for a product's address: what people can read of a SKU, and what tells it from all others."""
    plain = re.sub(r"[^a-z0-9]+", "-", code.lower()).strip("-")[:60]
    return "-".join(part for part in ("malha", plain, sha256(code.encode()).hexdigest()[:12]) if part)


def _refused(errors: Sequence[Mapping[str, Any]]) -> Rejected:
    """Return a refusal with the field as the listing calls it."""
    said = refused(errors)
    ours = next((OURS[part] for part in reversed(said.field.split(".")) if part in OURS), said.field)
    return msgspec.structs.replace(said, field=ours)
