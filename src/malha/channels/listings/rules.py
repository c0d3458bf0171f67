"""What a channel gets of a listing, worked out field by field, each with where it comes from. Pure.

Fields are mapped and checked by the rules of feeds (`feeds.rules`): there is one set of them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from malha.channels.contract import Field, Kind, ListingFields, ProductPush
from malha.channels.feeds.model import Format, Mapped, Origin, Plan, Severity
from malha.channels.feeds.profiles import Profile
from malha.channels.feeds.rules import Compiled, check_plan
from malha.channels.listings.model import Content, Explained, Found, ListingError, Source, Teller
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

# What the fields that every connector may state are filled from; all others are empty until somebody maps them.
USUAL: dict[str, str] = {
    "title": "name",
    "product_title": "product_name",
    "description": "description",
    "brand": "brand",
    "gtin": "gtin",
    "category": "category",
    "images": "pictures",
    "product": "product",
}
LONGEST = 50_000  # characters of one override
MOST_IMAGES = 50
PRICE = "price"
_IS_TOLD = N_("It is told from the stock, as the channel hears of it.")
_IS_CODE = N_("The SKU is the catalogue's; what the channel calls it is said in the listings of the channel.")
# What is not a word of the goods has a place of its own: where it is said instead.
RESERVED: dict[str, str] = {
    PRICE: N_("Say it as the listing's own price: on its page, as price by the API, or in a column price of a table."),
    "currency": N_("It is the currency of the channel."),
    "stock": _IS_TOLD,
    "quantity": _IS_TOLD,
    "availability": _IS_TOLD,
    "sku": _IS_CODE,
    "code": _IS_CODE,
    "active": N_("Publish the listing, or end it."),
}
_encode = msgspec.json.Encoder(order="deterministic").encode


def profile_of(connector: str, fields: ListingFields) -> Profile:
    """Return what a connector's peer wants, as feeds know it."""
    return Profile(
        key=connector,
        word=connector,
        says="",
        formats=(Format.JSONL,),
        fields=fields.fields,
        defaults=tuple(
            Mapped(target=f.name, value=USUAL[f.name])
            if f.name in USUAL
            else Mapped(target=f.name, origin=Origin.CONSTANT)
            for f in fields.fields
        ),
        open=fields.attributes,
        price_digits=False,
    )


def plan_of(profile: Profile, mapping: Sequence[Mapped] | None, currency: str) -> Plan:
    """Return how fields are made: as somebody mapped them, the others in the usual way."""
    said = {m.target: m for m in mapping or ()}
    known = [said.pop(usual.target, usual) for usual in profile.defaults]
    more = [m for m in said.values() if profile.field(m.target) is not None]  # the connector may have had others
    return Plan(profile=profile.key, format=Format.JSONL, mapping=[*known, *more], currency=currency)


def check_mapping(profile: Profile, mapping: Sequence[Mapped], currency: str) -> Iterator[Flaw]:
    """Yield what is wrong with a mapping before anything is made with it."""
    plan = Plan(profile=profile.key, format=Format.JSONL, mapping=list(mapping), currency=currency)
    wanted = {f.name for f in profile.fields if f.required} - {m.target for m in mapping}
    for flaw in check_plan(plan, profile):
        if not (flaw.at == "mapping" and flaw.facts.get("name") in wanted):  # what is not mapped is made as usual
            yield flaw


def worked_out(
    compiled: Compiled,
    goods: Mapping[str, Any],
    said: Mapping[str, Any],
    *,
    active: bool,
    currency: str,
    version: int = 0,
    price_kept: bool = False,
) -> Content:
    """Return what a channel gets of a listing.

    Args:
        compiled: how fields are made and checked.
        goods: the listing by the names of `feeds.rules.FIELDS`, with its measures.
        said: overrides by field.
        active: whether it shall be for sale there.
        currency: of the channel.
        version: of the statement.
        price_kept: the channel keeps the price itself: it is told none, and none is missing.
    """
    fields = [_explained(compiled, *each, said) for each in compiled.each(goods, said)]
    if compiled.profile.open:
        fields += _attributes(goods, said, {each.field for each in fields})
    price = None if price_kept else goods[PRICE]
    errors = [
        ListingError(found.rule, each.field, teller=Teller.CHECK)
        for each in fields
        for found in each.found
        if found.severity is Severity.ERROR
    ]
    if price is None and not price_kept:
        errors.append(ListingError("missing", PRICE, teller=Teller.CHECK))
    push = _push(compiled, goods, fields, price, active=active, currency=currency, version=version)
    # Errors do not keep what is withdrawn from being withdrawn.
    kept = push if not errors or not active else None
    return Content(fields=fields, errors=errors, push=kept, digest=digest_of(push))


def _explained(
    compiled: Compiled, mapped: Mapped, usual: Any, value: Any, found: Sequence[Any], said: Mapping[str, Any]
) -> Explained:
    field = compiled.profile.field(mapped.target) or Field(mapped.target)
    plain = mapped.origin is Origin.FIELD and not mapped.table and mapped.otherwise is None
    made = Source.MISSING if _empty(usual) else Source.PRODUCT if plain else Source.MAPPING
    source = Source.OVERRIDE if mapped.target in said else made
    return Explained(
        field=mapped.target,
        kind=field.kind.value,
        required=field.required,
        shared=field.shared,
        longest=field.longest,
        words=field.values,
        value=value,
        source=Source.MISSING if source is not Source.OVERRIDE and _empty(value) else source,
        usual=_plain(field, usual),
        usual_source=made,
        origin=mapped.value if plain else f"{mapped.origin.value}: {mapped.value}",
        found=[Found(each.rule, each.severity) for each in found],
    )


def _attributes(goods: Mapping[str, Any], said: Mapping[str, Any], known: set[str]) -> list[Explained]:
    """Return what the catalogue, or somebody, says of a product by names of the retailer's own."""
    own = {name: str(value) for name, value in goods["attributes"].items() if name not in known}
    names = [*own, *sorted(name for name in said if name not in known and name not in own)]
    rows = []
    for name in names:
        usual = own.get(name, "")
        made = Source.PRODUCT if usual else Source.MISSING
        rows.append(
            Explained(
                field=name,
                kind=Kind.TEXT.value,
                required=False,
                shared=True,
                longest=0,
                words=(),
                value=said.get(name, usual),
                source=Source.OVERRIDE if name in said else made,
                usual=usual,
                usual_source=made,
                origin=f"attribute: {name}",
            )
        )
    return rows


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], ())


def _plain(field: Field, value: Any) -> Any:
    if field.kind is Kind.URLS:
        return list(value) if isinstance(value, list | tuple) else [v for v in str(value or "").split(",") if v]
    return "" if value is None else str(value)


def _push(
    compiled: Compiled,
    goods: Mapping[str, Any],
    fields: Sequence[Explained],
    price: int | None,
    *,
    active: bool,
    currency: str,
    version: int,
) -> ProductPush:
    stated = {f.name for f in compiled.profile.fields}
    filled = {each.field: each.value for each in fields if not _empty(each.value)}
    taken = {name: value for name, value in filled.items() if name in stated}
    return ProductPush(
        sku=goods["sku"],
        code=goods["code"],
        name=str(taken.get("title") or goods["name"]),
        price=price,
        currency=currency,
        gtin=str(taken.get("gtin") or ""),
        active=active,
        version=version,
        product=goods["product"],
        fields=taken,
        attributes={name: str(value) for name, value in filled.items() if name not in stated},
        options={name: str(value) for name, value in goods["options"].items()},
        weight_grams=goods["weight_grams"],
        length_mm=goods["length"] or 0,
        width_mm=goods["width"] or 0,
        height_mm=goods["height"] or 0,
    )


def digest_of(push: ProductPush) -> bytes:
    """Return what is the same for two statements that say the same; a price is told by itself and does not count."""
    told = msgspec.structs.replace(push, version=0, price=0)
    return hashlib.blake2b(_encode(told), digest_size=16).digest()


def check_said(profile: Profile, said: Mapping[str, Any]) -> Iterator[Flaw]:
    """Yield what is wrong with overrides before they are kept; what a rule finds in a value is shown, not refused."""
    stated = {f.name for f in profile.fields}
    for name, value in said.items():
        field = profile.field(name)
        facts = {"name": name[:80]}
        if name not in stated and (instead := RESERVED.get(name.strip().casefold())):
            yield Flaw(name, N_("{name} is not said as a field of a listing."), instead, facts)
        elif field is None or not name or len(name) > 80:
            says, known = N_("The channel has no field {name}."), ", ".join(f.name for f in profile.fields)
            yield Flaw(name[:80] or "field", says, N_("It has: {known}."), {**facts, "known": known})
        elif field.kind is Kind.URLS:
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                yield Flaw(name, N_("{name} takes a list of addresses."), facts=facts)
            elif len(value) > MOST_IMAGES:
                yield Flaw(name, N_("At most {most} addresses."), facts={"most": MOST_IMAGES})
        elif not isinstance(value, str):
            yield Flaw(name, N_("{name} takes a text."), facts=facts)
        if isinstance(value, str) and len(value) > LONGEST:
            yield Flaw(name, N_("At most {most} characters."), facts={"most": LONGEST})


def shared_of(profile: Profile, name: str) -> bool:
    """Tell whether a field is said of the product, for all its variants; attributes of the retailer's own are."""
    stated = next((f for f in profile.fields if f.name == name), None)
    return True if stated is None else stated.shared


def texts_of(profile: Profile, name: str, text: str) -> str | list[str]:
    """Return a value that was written into one cell or box; addresses are apart by spaces or lines."""
    field = profile.field(name)
    return text.split() if field is not None and field.kind is Kind.URLS else text.replace("\r\n", "\n").strip()
