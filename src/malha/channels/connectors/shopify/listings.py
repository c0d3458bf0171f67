"""What a shop shows of its products, written there: what it is called, described as, filed under and looks like.

Malha notes on each product what it wrote there. A field that it never wrote, tags that others gave and images that
others added stay as they are; a field that it wrote and that has no value any more is emptied, and an image that it put
there and that left the listing is taken off (see `pictures`).
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.paragraphs import html_of
from malha.channels.connectors.shopify import pictures
from malha.channels.connectors.shopify.asking import ask, refused
from malha.channels.connectors.shopify.goods import ONLY, ambiguous, variants_of
from malha.channels.connectors.shopify.money import decimal
from malha.channels.connectors.shopify.pictures import Kept
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
NO_PRICE = "the shop keeps its prices itself and does not have this: make it there, with its price"
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
    """What Malha wrote on a product: names of fields, tags, and of images what `Kept` says.

    Before ids were noted, `images` held marks alone: whose pictures those are cannot be known any more, so they stay.
    """

    fields: Sequence[str] = ()
    tags: Sequence[str] = ()
    images: Mapping[str, str | None] | Sequence[str] = ()
    before: Sequence[str] | None = None

    @property
    def pictures(self) -> Kept:
        """What is known of the images that Malha put there."""
        ids = self.images if isinstance(self.images, Mapping) else dict.fromkeys(self.images)
        return Kept(ids, self.before)

    def with_pictures(self, kept: Kept) -> "_Note":
        """Return it with something else known of images."""
        return _Note(self.fields, self.tags, kept.ids, kept.before)

    @property
    def metafields(self) -> list[dict[str, str]]:
        """What to write of it on a product."""
        return [{**NOTE, "type": "json", "value": msgspec.json.encode(self).decode()}]

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
    if item.price is None:
        return Rejected("price", NO_PRICE, "price")
    wanted = pictures.addresses(item)
    content, note = _content(item, _Note(), ())
    note = note.with_pictures(note.pictures.with_fresh([*wanted], ()))
    variant = {
        "optionValues": [{"optionName": "Title", "name": ONLY}],
        "sku": item.code,
        "barcode": item.gtin or None,
        "price": decimal(item.price, item.currency),
        "inventoryItem": {"tracked": True},
    }
    draft = {
        **content,
        "metafields": note.metafields,
        "handle": handle,
        "status": "ACTIVE",
        "productOptions": [{"name": "Title", "values": [{"name": ONLY}]}],
        "variants": [variant],
        "files": [{"originalSource": url, "contentType": "IMAGE", "alt": item.name} for url in wanted.values()],
    }
    said = (await ask(ctx, "set_product", {"handle": handle, "input": draft}))["productSet"]
    if said["userErrors"]:
        return _refused(said["userErrors"])
    id_ = str(said["product"]["id"])
    return await _pictured(ctx, item, id_, note, wanted) or Ok(id_)


async def _changed(ctx: Ctx, item: ProductPush, row: Mapping[str, Any]) -> Result:
    product = row["product"]
    if item.gtin:
        asked = {"product": product["id"], "variants": [{"id": row["id"], "barcode": item.gtin}]}
        said = (await ask(ctx, "set_prices", asked))["productVariantsBulkUpdate"]
        if said["userErrors"]:
            return _refused(said["userErrors"])
    if (product["variantsCount"] or {}).get("count") != 1:
        return Ok(str(row["id"]))
    id_ = str(product["id"])
    wanted: dict[str, Any] = {"id": id_, "status": "ACTIVE" if item.active else "DRAFT"}
    if not item.active:  # an end says nothing of what it looks like
        told = (await ask(ctx, "update_product", {"product": wanted, "media": []}))["productUpdate"]
        return _refused(told["userErrors"]) if told["userErrors"] else Ok(str(row["id"]))
    content, note = _content(item, _Note.of(product), product["tags"])
    images, kept = pictures.addresses(item), note.pictures
    fresh = [mark for mark in images if mark not in kept.ids]
    if fresh or kept.before is not None:
        there = await pictures.look(ctx, id_)
        kept = kept.seen(there, item.name).with_fresh(fresh, there)
    note = note.with_pictures(kept)
    # Images go with their own note in one change: an answer that was lost has none of them there twice.
    wanted |= {**content, "metafields": note.metafields}
    media = [{"originalSource": images[mark], "mediaContentType": "IMAGE", "alt": item.name} for mark in fresh]
    told = (await ask(ctx, "update_product", {"product": wanted, "media": media}))["productUpdate"]
    if told["userErrors"]:
        return _refused(told["userErrors"])
    return await _pictured(ctx, item, id_, note, images) or Ok(str(row["id"]))


async def _pictured(ctx: Ctx, item: ProductPush, product: str, note: _Note, wanted: Mapping[str, str]) -> Result | None:
    """Note which images are those that were put, and take off those that left; return what is still to be done."""
    kept = note.pictures
    leaving = [mark for mark in kept.ids if mark not in wanted]
    if kept.before is None and not leaving:
        return None
    there = await pictures.look(ctx, product)
    kept = kept.seen(there, item.name)
    known = {each.id: each for each in there}
    ours = {mark: known[id_] for mark in leaving if (id_ := kept.ids[mark]) in known}
    off, held = await pictures.take_off(ctx, product, ours) if ours else ([], None)
    # What people took off themselves, and what nobody knows, is forgotten.
    kept = kept.without([mark for mark in leaving if mark not in ours or mark in off])
    said = {"id": product, "metafields": note.with_pictures(kept).metafields}
    told = (await ask(ctx, "update_product", {"product": said, "media": []}))["productUpdate"]
    return _refused(told["userErrors"]) if told["userErrors"] else held


def _content(item: ProductPush, note: _Note, tags: Sequence[str]) -> tuple[dict[str, Any], _Note]:
    """Return what to write of a product's texts and tags, and what to note of it; of images it says what was noted."""
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
    return content, _Note(written, ours).with_pictures(note.pictures)


def handle_of(code: str) -> str:
    """Return a name for a product's address: what people can read of a SKU, and what tells it from all others."""
    plain = re.sub(r"[^a-z0-9]+", "-", code.lower()).strip("-")[:60]
    return "-".join(part for part in ("malha", plain, sha256(code.encode()).hexdigest()[:12]) if part)


def _refused(errors: Sequence[Mapping[str, Any]]) -> Rejected:
    """Return a refusal with the field as the listing calls it."""
    said = refused(errors)
    ours = next((OURS[part] for part in reversed(said.field.split(".")) if part in OURS), said.field)
    return msgspec.structs.replace(said, field=ours)
