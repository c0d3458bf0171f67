"""What Vendure sells, written there: products with their options, and variants by SKU.

Vendure knows no keys of ours: a variant is found by its SKU, and a product that we make by the end of its address,
which follows from our code of it. So whatever was lost on the way is found again, and made once. Texts are written in
the language of the channel.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from malha.channels.connectors.vendure.asking import ask
from malha.channels.connectors.vendure.operations import (
    ADD_GROUP,
    CREATE_GROUP,
    CREATE_OPTION,
    CREATE_PRODUCT,
    CREATE_VARIANTS,
    FIND_PRODUCT,
    FIND_VARIANTS,
    LANGUAGE,
    UPDATE_PRODUCTS,
    UPDATE_VARIANTS,
)
from malha.channels.contract import Ctx, Field, Invalid, Kind, ListingFields, Missing, Ok, ProductPush, Rejected, Result

FIELDS = ListingFields(
    (
        Field("title", required=True, longest=255),
        Field("product_title", required=True, longest=255, shared=True),
        Field("description", Kind.LONG, shared=True),
    )
)
OPERATION = "upsert_products"
NO_PRICE = "the shop keeps its prices itself and does not have this: make it there, with its price"


async def upsert(ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
    """Change what is there by its SKU, and make what is not; one that is refused holds up no others."""
    language = (await ask(ctx, LANGUAGE, {}, OPERATION))["activeChannel"]["defaultLanguageCode"]
    asked = {"options": {"take": len(items), "filter": {"sku": {"in": sorted({item.code for item in items})}}}}
    rows = (await ask(ctx, FIND_VARIANTS, asked, OPERATION))["productVariants"]["items"]
    known = {str(row["sku"]): row for row in rows}
    results: dict[int, Result] = {}
    there = [(n, item, known[item.code]) for n, item in enumerate(items) if item.code in known]
    if there:
        results |= await _changed(ctx, there, language)
    for n, item in enumerate(items):
        if item.code in known:
            continue
        if not item.active:
            results[n] = Ok()  # it is not for sale there, which is what is wanted
            continue
        if item.price is None:
            results[n] = Rejected("price", NO_PRICE, "price")
            continue
        try:
            results[n] = Ok(await _made(ctx, item, language))
        except (Invalid, Missing) as error:
            results[n] = _refused(error)
    return [results[n] for n in range(len(items))]


async def _changed(
    ctx: Ctx, there: Sequence[tuple[int, ProductPush, Mapping[str, Any]]], language: str
) -> dict[int, Result]:
    """Write variants and their products, all in two calls; where that is refused, one by one."""
    try:
        await _write(ctx, there, language)
    except (Invalid, Missing) as error:
        if len(there) == 1:
            return {there[0][0]: _refused(error)}
        found: dict[int, Result] = {}
        for one in there:
            found |= await _changed(ctx, [one], language)
        return found
    return {n: Ok(str(row["id"])) for n, _, row in there}


async def _write(ctx: Ctx, there: Sequence[tuple[int, ProductPush, Mapping[str, Any]]], language: str) -> None:
    variants = [
        {
            "id": row["id"],
            "enabled": item.active,
            "translations": [{"languageCode": language, "name": item.name}],
        }
        for _, item, row in there
    ]
    await ask(ctx, UPDATE_VARIANTS, {"input": variants}, OPERATION)
    # Once for each product: its variants say the same of it. An end says nothing of a product that others sell on.
    products = {
        str(row["product"]["id"]): {
            "id": row["product"]["id"],
            "enabled": True,
            "translations": [_texts(item, language)],
        }
        for _, item, row in there
        if item.active
    }
    if products:
        await ask(ctx, UPDATE_PRODUCTS, {"input": list(products.values())}, OPERATION)


def _texts(item: ProductPush, language: str) -> dict[str, Any]:
    name = str(item.fields.get("product_title") or item.name)
    return {"languageCode": language, "name": name, "description": str(item.fields.get("description") or "")}


async def _made(ctx: Ctx, item: ProductPush, language: str) -> str:
    """Make a variant, and before it its product and its options where they are missing; return its id."""
    slug = slug_of(item.product or item.code)
    query = {"options": {"take": 1, "filter": {"slug": {"eq": slug}}}}
    found = (await ask(ctx, FIND_PRODUCT, query, OPERATION))["products"]["items"]
    if found:
        product, groups = str(found[0]["id"]), found[0]["optionGroups"]
        texts = {"id": product, "enabled": True, "translations": [_texts(item, language)]}
        await ask(ctx, UPDATE_PRODUCTS, {"input": [texts]}, OPERATION)
    else:
        draft = {"enabled": True, "translations": [{**_texts(item, language), "slug": slug}]}
        product = str((await ask(ctx, CREATE_PRODUCT, {"input": draft}, OPERATION))["createProduct"]["id"])
        groups = []
    options = [
        await _option(ctx, product, groups, name, value, language) for name, value in sorted(item.options.items())
    ]
    variant = {
        "productId": product,
        "sku": item.code,
        "price": item.price,
        "enabled": True,
        "optionIds": options,
        "stockOnHand": 0,
        "trackInventory": "TRUE",
        "translations": [{"languageCode": language, "name": item.name}],
    }
    made = await ask(ctx, CREATE_VARIANTS, {"input": [variant]}, OPERATION)
    return str(made["createProductVariants"][0]["id"])


async def _option(
    ctx: Ctx, product: str, groups: Sequence[Mapping[str, Any]], name: str, value: str, language: str
) -> str:
    """Return the id of an option of a product, made where it is missing."""
    option = {"code": _code(value), "translations": [{"languageCode": language, "name": value}]}
    group = next((each for each in groups if each["name"] == name or each["code"] == _code(name)), None)
    if group is None:
        texts = [{"languageCode": language, "name": name}]
        draft = {"code": _code(name), "translations": texts, "options": [option]}
        made = (await ask(ctx, CREATE_GROUP, {"input": draft}, OPERATION))["createProductOptionGroup"]
        await ask(ctx, ADD_GROUP, {"product": product, "group": made["id"]}, OPERATION)
        return str(made["options"][0]["id"])
    known = next((o for o in group["options"] if o["name"] == value or o["code"] == _code(value)), None)
    if known is not None:
        return str(known["id"])
    more = {"productOptionGroupId": group["id"], **option}
    return str((await ask(ctx, CREATE_OPTION, {"input": more}, OPERATION))["createProductOption"]["id"])


def _code(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    return f"{plain}-{sha256(text.encode()).hexdigest()[:6]}".strip("-")


def slug_of(product: str) -> str:
    """Return the end of the address of a product that we make: what people can read of its code, and a mark of it."""
    plain = re.sub(r"[^a-z0-9]+", "-", product.lower()).strip("-")[:60]
    return "-".join(part for part in (plain, sha256(product.encode()).hexdigest()[:10]) if part)


def _refused(error: Invalid | Missing) -> Rejected:
    if isinstance(error, Invalid):
        return Rejected(error.code or "refused", error.why, error.field)
    return Rejected("missing", error.why)
