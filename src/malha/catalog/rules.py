"""What a valid product is, how its parts are named and found, and what a kit is made of. Pure."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import msgspec

from malha.catalog.model import (
    CategoryDraft,
    Component,
    MediaDraft,
    Product,
    ProductDraft,
    Substitute,
    Variant,
    VariantDraft,
)
from malha.catalog.ncm import is_known_ncm
from malha.platform.brazil import bare, normalise_gtin
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.text import fold

CODE = re.compile(r"[^\s\x00-\x1f/][^\x00-\x1f/]{0,62}[^\s\x00-\x1f/]|[^\s\x00-\x1f/]")
CATEGORY_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
MAX_INT = 2_147_483_647
MAX_COMPONENTS = 100
MAX_SUBSTITUTES = 20
_WHO = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*@")  # who asks, in an address: in front of its host
_NOT_SLUG = re.compile(r"[^a-z0-9]+")

_EMPTY_SAYS = N_("This field is empty.")
_EMPTY_MEND = N_("Fill it in.")
_RANGE_SAYS = N_("{value} is out of range.")
_RANGE_MEND = N_("Use a whole number from {least} to {most}.")
_TWICE_SAYS = N_("{value} is stated twice.")
_TWICE_MEND = N_("Keep one of them.")
# What has no price is not sold by mistake for nothing: shops and feeds would take zero for what it says.
_ZERO_SAYS = N_("The price is zero.")
_ZERO_MEND = N_("Leave it empty for what is given away: a line of an order may still cost nothing.")


def _digits(text: str | None) -> str | None:
    return (bare(text) or None) if text else None


def tidy_product(draft: ProductDraft) -> ProductDraft:
    """Return the draft in its stored form: trimmed texts, bare numbers, a name for every variant.

    What it states only as it was read is left out, see `check_read_back`.
    """
    name = _line(draft.name)
    chosen = [{_line(k): _line(v) for k, v in variant.options.items()} for variant in draft.variants]
    options = [_line(option) for option in draft.options] or list(dict.fromkeys(o for c in chosen for o in c))
    variants = [
        msgspec.structs.replace(
            variant,
            sku=variant.sku.strip(),
            name=_line(variant.name) or variant_name(name, mine, options),
            gtin=_digits(variant.gtin),
            options=mine,
            substitutes=None
            if variant.substitutes is None
            else [Substitute(one.sku.strip(), one.both_ways) for one in variant.substitutes],
            media=_own(variant.media, {None, variant.sku}),
            id=msgspec.UNSET,
            is_kit=msgspec.UNSET,
            version=msgspec.UNSET,
        )
        for variant, mine in zip(draft.variants, chosen, strict=True)
    ]
    return msgspec.structs.replace(
        draft,
        code=draft.code.strip(),
        name=name,
        description=draft.description.strip(),
        brand=_line(draft.brand or "") or None,
        category=(draft.category or "").strip() or None,
        ncm=_digits(draft.ncm),
        cest=_digits(draft.cest),
        options=options,
        attributes={_line(k): v.strip() for k, v in draft.attributes.items()},
        variants=variants,
        media=_own(draft.media, {None}),
        id=msgspec.UNSET,
        version=msgspec.UNSET,
    )


def _own(media: Sequence[MediaDraft] | None, of: Container[str | None]) -> list[MediaDraft] | None:
    return None if media is None else [MediaDraft(url=one.url, alt=one.alt) for one in media if one.sku in of]


def _line(text: str) -> str:
    return " ".join(text.split())


def variant_name(product: str, options: Mapping[str, str], order: Sequence[str] = ()) -> str:
    """Return the name orders show: the product's, then its options in the product's order ("Camiseta Azul / M")."""
    names = [*(o for o in order if o in options), *(o for o in options if o not in order)]
    suffix = " / ".join(options[o] for o in names if options[o])
    return f"{product} {suffix}".strip()


def folded_variant(*, product: str, code: str, brand: str | None, variant: str, sku: str, gtin: str | None) -> str:
    """Return the text a variant is found by."""
    return fold(" ".join(dict.fromkeys(filter(None, (variant, product, brand, sku, code, gtin)))))


def kits_from(components: Mapping[str, int], free: Mapping[str, int]) -> int:
    """Return how many kits free units of its components make at one location; a kit of nothing is none."""
    return min((free.get(sku, 0) // units for sku, units in components.items()), default=0)


def check_product(draft: ProductDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a tidied product, apart from what only the database knows."""
    yield from _check_code("code", draft.code)
    yield from _check_text("name", draft.name, 200)
    yield from _check_text("description", draft.description, 20_000, required=False)
    yield from _check_text("brand", draft.brand or "", 120, required=False)
    if draft.ncm is not None and not (len(draft.ncm) == 8 and draft.ncm.isdigit() and draft.ncm.isascii()):
        yield Flaw("ncm", N_("{value} is no NCM code."), N_("An NCM code has eight digits."), {"value": draft.ncm})
    if draft.cest is not None and not (len(draft.cest) == 7 and draft.cest.isdigit() and draft.cest.isascii()):
        yield Flaw("cest", N_("{value} is no CEST code."), N_("A CEST code has seven digits."), {"value": draft.cest})
    yield from _check_range("origin", draft.origin, 0, 8)
    yield from _check_media("media", draft.media)
    if not all(draft.options):
        yield Flaw("options", N_("An option has no name."), N_("Say what its values are of, as in colour or size."))
    for name, value in draft.attributes.items():
        yield from _check_text(f"attributes/{name}", value, 2_000, required=False)
    seen: dict[str, set[str]] = {"sku": set(), "gtin": set(), "options": set()}
    for i, variant in enumerate(draft.variants):
        at = f"variants/{i}"
        yield from _check_variant(at, variant)
        choice = " / ".join(variant.options.get(option, "") for option in draft.options)
        for part, value in (("sku", variant.sku), ("gtin", variant.gtin or ""), ("options", fold(choice))):
            if value and value in seen[part] and (part != "options" or any(variant.options.values())):
                shown = choice if part == "options" else value
                yield Flaw(f"{at}/{part}", _TWICE_SAYS, _TWICE_MEND, {"value": shown})
            seen[part].add(value)
        for option in variant.options:
            if option not in draft.options:
                says = N_("The product has no option {value}.")
                yield Flaw(f"{at}/options", says, N_("Add the option to the product."), {"value": option})


def check_zero(at: str, price: int | None, now: int | None) -> Iterator[Flaw]:
    """Yield that a price would become zero; one that is there stays."""
    if price == 0 and now != 0:
        yield Flaw(at, _ZERO_SAYS, _ZERO_MEND)


def _check_variant(at: str, variant: VariantDraft) -> Iterator[Flaw]:
    yield from _check_code(f"{at}/sku", variant.sku)
    yield from _check_text(f"{at}/name", variant.name, 300, required=False)
    if variant.gtin is not None and normalise_gtin(variant.gtin) is None:
        says, mend = N_("{value} is no GTIN."), N_("A GTIN has 8, 12, 13 or 14 digits; the last proves the others.")
        yield Flaw(f"{at}/gtin", says, mend, {"value": variant.gtin})
    for part in ("weight_grams", "length_mm", "width_mm", "height_mm", "price"):
        value = getattr(variant, part)
        if value is not None:
            yield from _check_range(f"{at}/{part}", value, 0, MAX_INT)
    for sku, quantity in variant.parts.items():
        if sku == variant.sku:
            yield Flaw(f"{at}/components", N_("A kit cannot hold itself."), N_("Name other SKUs."))
        yield from _check_range(f"{at}/components", quantity, 1, 100_000)
    if len(variant.parts) > MAX_COMPONENTS:
        facts = {"count": len(variant.parts), "most": MAX_COMPONENTS}
        yield Flaw(f"{at}/components", N_("The kit has {count} components."), N_("Use at most {most}."), facts)
    yield from _check_substitutes(f"{at}/substitutes", variant)
    yield from _check_media(f"{at}/media", variant.media)


def _check_substitutes(at: str, variant: VariantDraft) -> Iterator[Flaw]:
    named = [one.sku for one in variant.substitutes or ()]
    if variant.sku in named:
        yield Flaw(at, N_("A SKU cannot stand in for itself."), N_("Name other SKUs."))
    for sku in sorted({sku for sku in named if named.count(sku) > 1}):
        yield Flaw(at, N_("{value} is stated twice."), N_("Keep one of them."), {"value": sku})
    if len(named) > MAX_SUBSTITUTES:
        facts = {"count": len(named), "most": MAX_SUBSTITUTES}
        yield Flaw(at, N_("{count} substitutes are named."), N_("Use at most {most}."), facts)


def warn_product(draft: ProductDraft) -> Iterator[Flaw]:
    """Yield what is acceptable but looks wrong."""
    if draft.ncm and len(draft.ncm) == 8 and not is_known_ncm(draft.ncm):
        mend = N_("Check it: fiscal documents with a code that does not exist are refused.")
        yield Flaw("ncm", N_("The NCM code {value} is not in the table."), mend, {"value": draft.ncm})


def check_read_back(draft: ProductDraft, before: Product | None) -> Iterator[Flaw]:
    """Yield what a draft states of fields that are only read, where it is not what they are.

    So a product can be sent back as it was read. `before` is None where there is none yet, and nothing was read.
    """
    yield from _same("", draft, before, ("id", "version"))
    were = {variant.sku: variant for variant in before.variants} if before is not None else {}
    for i, variant in enumerate(draft.variants):
        old = were.get(variant.sku.strip())
        yield from _same(f"variants/{i}/", variant, old, ("id", "version"))
        kit = old is not None and old.is_kit if variant.components is msgspec.UNSET else bool(variant.components)
        if variant.is_kit not in {msgspec.UNSET, kit}:
            mend = N_("Leave it out, and state the components of a kit.")
            yield Flaw(f"variants/{i}/is_kit", N_("Whether it is a kit follows from its components."), mend)
        yield from _placed(f"variants/{i}/media", variant.media or (), {None, variant.sku})
    yield from _placed("media", draft.media or (), None)
    yield from _read_media(draft, before)


def _same(
    at: str, draft: ProductDraft | VariantDraft, old: Product | Variant | None, names: Sequence[str]
) -> Iterator[Flaw]:
    for name in names:
        stated, now = getattr(draft, name), getattr(old, name, None)
        if stated is not msgspec.UNSET and stated != now:
            if now is None:
                yield Flaw(f"{at}{name}", N_("This is not for you to state."), N_("Leave it out."))
            else:
                says, mend = N_("This is {now} here, not {value}."), N_("Read it again, or leave it out.")
                yield Flaw(f"{at}{name}", says, mend, {"now": now, "value": stated})


def _placed(at: str, media: Sequence[MediaDraft], of: Container[str | None] | None) -> Iterator[Flaw]:
    """Yield what is said of places that differ from those in the list, and of whom a picture shows."""
    places: dict[str | None, int] = {}
    for i, one in enumerate(media):
        place = places.setdefault(one.sku, 0)
        places[one.sku] += 1
        if one.position not in {msgspec.UNSET, place}:
            mend = N_("Leave it out: the list has the order.")
            yield Flaw(f"{at}/{i}/position", N_("This is picture {place} of the list."), mend, {"place": place})
        if of is not None and one.sku not in of:
            mend = N_("State it with that variant.")
            yield Flaw(f"{at}/{i}/sku", N_("This is the picture of another SKU."), mend)


def _read_media(draft: ProductDraft, before: Product | None) -> Iterator[Flaw]:
    """Yield what a product's media say of its variants that is not what those have, or are stated to have."""
    owned = {variant.sku.strip(): variant.media for variant in draft.variants}
    for sku in dict.fromkeys(one.sku for one in draft.media or () if one.sku is not None):
        stated = [(i, one.url, one.alt) for i, one in enumerate(draft.media or ()) if one.sku == sku]
        own = owned.get(sku)
        kept = [one for one in before.media if one.sku == sku] if before is not None else []
        if [(url, alt) for _, url, alt in stated] != [(one.url, one.alt) for one in (kept if own is None else own)]:
            says, mend = N_("These are not the pictures of {sku}."), N_("State the media of a variant with it.")
            yield Flaw(f"media/{stated[0][0]}/sku", says, mend, {"sku": sku})


def check_category(draft: CategoryDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a category."""
    if not CATEGORY_CODE.fullmatch(draft.code):
        mend = N_("Use up to 120 letters, digits, dots, dashes and underscores, beginning with a letter or digit.")
        yield Flaw("code", N_("{value} is no code."), mend, {"value": draft.code})
    yield from _check_text("name", draft.name, 200)


def _check_code(at: str, value: str) -> Iterator[Flaw]:
    if not value:
        yield Flaw(at, _EMPTY_SAYS, _EMPTY_MEND)
    elif not CODE.fullmatch(value):
        mend = N_("Use up to 64 characters without slashes.")
        yield Flaw(at, N_("{value} is no code."), mend, {"value": value})


def _check_text(at: str, value: str, longest: int, *, required: bool = True) -> Iterator[Flaw]:
    if required and not value.strip():
        yield Flaw(at, _EMPTY_SAYS, _EMPTY_MEND)
    if len(value) > longest:
        facts = {"length": len(value), "longest": longest}
        yield Flaw(at, N_("The text has {length} characters."), N_("Use at most {longest}."), facts)
    if any(ord(c) < 32 and c not in "\n\r\t" for c in value):
        yield Flaw(at, N_("The text has control characters."), N_("Type it again without them."))


def _check_range(at: str, value: int, least: int, most: int) -> Iterator[Flaw]:
    if not least <= value <= most:
        yield Flaw(at, _RANGE_SAYS, _RANGE_MEND, {"value": value, "least": least, "most": most})


def _check_media(at: str, media: Iterable[MediaDraft] | None) -> Iterator[Flaw]:
    for i, one in enumerate(media or ()):
        shown = _WHO.sub(r"\1", one.url)[:200]
        if not re.fullmatch(r"https://[^\s\"'<>\\]{3,2000}", one.url):
            says, mend = N_("{value} is no https address."), N_("Use an address that begins with https://.")
            yield Flaw(f"{at}/{i}/url", says, mend, {"value": shown})
        elif _WHO.match(one.url):
            says = N_("The address {value} holds a name or a password.")
            yield Flaw(f"{at}/{i}/url", says, N_("Use an address that anybody may open."), {"value": shown})


def slug(text: str) -> str:
    """Return a text as a code: folded, other characters than letters and digits as dashes."""
    return _NOT_SLUG.sub("-", fold(text)).strip("-")


def categories_of_path(path: str) -> list[CategoryDraft]:
    """Return the categories a path like "Roupas > Camisetas" names, from the root; codes are made of the names."""
    drafts: list[CategoryDraft] = []
    for name in filter(None, (part.strip() for part in path.split(">"))):
        parent = drafts[-1].code if drafts else None
        code = f"{parent}.{slug(name)}" if parent else slug(name)
        drafts.append(CategoryDraft(code=code, name=name, parent=parent))
    return drafts


def explode(lines: Iterable[tuple[int, int]], components: Mapping[int, Sequence[Component]]) -> dict[int, int]:
    """Return the quantity per SKU that lines of (SKU, quantity) need, kits replaced by what they hold."""
    needed: dict[int, int] = {}
    for sku_id, quantity in lines:
        for part in components.get(sku_id) or (Component(sku_id, 1),):
            needed[part.sku_id] = needed.get(part.sku_id, 0) + quantity * part.quantity
    return needed
