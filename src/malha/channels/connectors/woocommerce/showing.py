"""What a product of the shop differs in from what Malha says of it, and what of it is Malha's. Pure.

A note in the product's metadata says what Malha wrote: of a text how it was said and what the shop made of it, of
categories, tags and brands which were put there, of attributes their names, of pictures which address became which. So
what did not change is not written again, however the shop spells it, and what people added stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.paragraphs import html_of
from malha.channels.connectors.woocommerce.words import Listed
from malha.channels.contract import Field, Kind, ListingFields, ProductPush

FIELDS = ListingFields(
    (
        Field("title", required=True, longest=200),
        Field("description", Kind.LONG),
        Field("short_description", Kind.LONG),
        Field("brand", longest=200),
        Field("categories", longest=2_000),  # apart by "|", each an id or names from the top with ">" between them
        Field("tags", longest=5_000),  # with commas between them
        Field("images", Kind.URLS, longest=50),
        Field("gtin", Kind.GTIN),
    ),
    attributes=True,
)
NOTE = "_malha_listing"
TEXTS = {
    "title": "name",
    "description": "description",
    "short_description": "short_description",
    "gtin": "global_unique_id",
}
HTML = frozenset({"description", "short_description"})
TERMS = {"categories": "categories", "tags": "tags", "brand": "brands"}
OURS = {there: name for name, there in (TEXTS | TERMS).items()}
NOBODY_KNOWS = -1


class Terms(msgspec.Struct, frozen=True):
    """Categories, tags or brands: how they were said, which that were, and which of those Malha put there."""

    said: str
    ids: Sequence[int]
    ours: Sequence[int] = ()


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Malha wrote on a product, by marks: names and texts are not repeated.

    `texts` by field, those of attributes by the mark of their name: how it was said, what became of it. `images` by the
    mark of their address: the id that the shop gave, 0 while it is looked for among what came since `before`, the ids
    that were there then, and `NOBODY_KNOWS` where it was not found.
    """

    texts: Mapping[str, tuple[str, str]] = {}
    terms: Mapping[str, Terms] = {}
    images: Mapping[str, int] = {}
    before: Sequence[int] | None = None

    @classmethod
    def of(cls, row: Listed) -> "Note":
        """Return what is noted on a product; nothing where somebody else wrote over it."""
        said = next((entry.value for entry in reversed(row.meta_data) if entry.key == NOTE), None)
        try:
            return msgspec.json.decode(said if isinstance(said, str) else "{}", type=cls)
        except msgspec.DecodeError:
            return cls()


class Units(msgspec.Struct, frozen=True):
    """What a shop weighs and measures in."""

    weight: str = "kg"
    length: str = "cm"


GRAMS = {"kg": Decimal(1000), "g": Decimal(1), "lbs": Decimal("453.59237"), "oz": Decimal("28.349523125")}
MILLIMETRES = {"m": Decimal(1000), "cm": Decimal(10), "mm": Decimal(1), "in": Decimal("25.4"), "yd": Decimal("914.4")}
FINEST = Decimal("0.0001")


class Plan(msgspec.Struct, frozen=True):
    """What to write of a product; `fresh` are the marks of pictures that it brings."""

    changes: dict[str, Any]
    fresh: Sequence[str] = ()


def mark(text: str) -> str:
    """Return what tells a text from all others."""
    return sha256(text.encode()).hexdigest()[:12]


def named(name: str) -> str:
    """Return what the note calls an attribute."""
    return "@" + mark(name.strip().casefold())


def text_of_term(item: ProductPush, field: str) -> str:
    """Return what is said of categories, tags or brand."""
    return str(item.fields.get(field) or "").strip()


def wants(item: ProductPush, row: Listed) -> dict[str, str]:
    """Return the categories, tags and brand whose ids are needed: those that are said otherwise than noted, or gone."""
    note = Note.of(row)
    found: dict[str, str] = {}
    for field, there in TERMS.items():
        text, now = text_of_term(item, field), ids_there(row, there)
        if text and now is not None and not _stands(note.terms.get(field), text, now):
            found[field] = text
    return found


def unknown_attributes(item: ProductPush, row: Listed) -> list[str]:
    """Return the names of attributes that the product lacks."""
    known = {str(each.get("name", "")).strip().casefold() for each in row.attributes}
    return [name for name, text in item.attributes.items() if text and name.strip().casefold() not in known]


def ids_there(row: Listed, there: str) -> list[int] | None:
    """Return the ids of a product's terms; None where the shop has no such terms."""
    if there != "brands":
        return [term.id for term in getattr(row, there)]
    if not isinstance(row.brands, list):
        return None
    ids = [each.get("id") for each in row.brands if isinstance(each, dict)]
    return [id_ for id_ in ids if isinstance(id_, int)] if len(ids) == len(row.brands) else None


def _stands(noted: Terms | None, text: str, now: Sequence[int]) -> bool:
    return noted is not None and noted.said == mark(text) and set(noted.ids) <= set(now)


def plan(
    item: ProductPush,
    row: Listed,
    *,
    ids: Mapping[str, Sequence[int]],
    shared: Mapping[str, int],
    units: Units,
    visible: bool,
    written: Mapping[str, Any],
    refused: frozenset[str] = frozenset(),
    most: int,
) -> Plan:
    """Return what to write, nothing where the product shows what it shall.

    Pictures go last and by themselves, few at a time: the shop fetches them while we wait.

    Args:
        item: what is said of the listing; of one that ends that it does, and nothing else.
        row: the product as the shop has it.
        ids: those of categories, tags and brands, by field, as far as `wants` asks for them.
        shared: the shop's own attributes, ids by name.
        units: what the shop weighs and measures in.
        visible: whether shoppers are shown attributes.
        written: what was written last, where `row` is the answer to it: what is otherwise is what the shop made of it.
        refused: marks of pictures that the shop did not take.
        most: pictures at once.
    """
    if not item.active:
        return Plan({"status": "draft"} if row.status == "publish" else {})
    old = Note.of(row)
    changes: dict[str, Any] = {} if row.status == "publish" else {"status": "publish"}
    _put_measures(changes, item, row, units)
    texts = _put_texts(changes, item, row, old, written)
    texts |= _put_attributes(changes, item, row, old, shared, visible=visible, written="attributes" in written)
    terms = _put_terms(changes, item, row, old, ids)
    images, before = _resolved(old, row)
    fresh: Sequence[str] = ()
    if not changes:
        gallery, images, fresh = _gallery(item, row, images, refused, most)
        if gallery is not None:
            changes["images"] = gallery
            before = [image.id for image in row.images] if fresh else before
    note = Note(texts, terms, images, before)
    if note != old:
        changes["meta_data"] = [{"key": NOTE, "value": msgspec.json.encode(note).decode()}]
    return Plan(changes, fresh)


def plan_variation(item: ProductPush, row: Listed, units: Units) -> Plan:
    """Return what to write of a variation: what it is called and described as, its product says for all of them."""
    if not item.active:
        return Plan({"status": "private"} if row.status == "publish" else {})
    changes: dict[str, Any] = {} if row.status == "publish" else {"status": "publish"}
    if item.gtin and item.gtin != row.global_unique_id:
        changes["global_unique_id"] = item.gtin
    _put_measures(changes, item, row, units)
    return Plan(changes)


def is_measured(item: ProductPush) -> bool:
    """Tell whether anything is known of a listing's weight or size."""
    return any((item.weight_grams, item.length_mm, item.width_mm, item.height_mm))


def _put_measures(changes: dict[str, Any], item: ProductPush, row: Listed, units: Units) -> None:
    """Add weight and sizes that shall be others to what is written; what nobody says is the shop's."""
    weight = _in_unit(item.weight_grams, GRAMS.get(units.weight))
    if weight is not None and weight != _number(row.weight):
        changes["weight"] = format(weight, "f")
    said = {"length": item.length_mm, "width": item.width_mm, "height": item.height_mm}
    sizes = {
        name: size for name, mm in said.items() if (size := _in_unit(mm, MILLIMETRES.get(units.length))) is not None
    }
    if any(size != _number(row.dimensions.get(name)) for name, size in sizes.items()):
        changes["dimensions"] = {name: format(size, "f") for name, size in sizes.items()}


def _in_unit(amount: int, unit: Decimal | None) -> Decimal | None:
    """Return an amount in a unit of the shop; None where there is none, or the unit is not known."""
    if not amount or unit is None:
        return None
    exact = (Decimal(amount) / unit).quantize(FINEST).normalize()
    return exact or FINEST  # too little for the unit is not nothing


def _number(text: Any) -> Decimal | None:
    try:
        return Decimal(str(text or ""))
    except InvalidOperation:
        return None


def _put_texts(
    changes: dict[str, Any], item: ProductPush, row: Listed, old: Note, written: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """Add texts that shall be others to what is written; return what to note of Malha's."""
    noted: dict[str, tuple[str, str]] = {}
    for field, there in TEXTS.items():
        wanted, note = _said(_text(item, field), str(getattr(row, there) or ""), old.texts.get(field), there in written)
        if wanted is not None:
            changes[there] = wanted
        if note is not None:
            noted[field] = note
    return noted


def _put_terms(
    changes: dict[str, Any], item: ProductPush, row: Listed, old: Note, ids: Mapping[str, Sequence[int]]
) -> dict[str, Terms]:
    """Add categories, tags and brands that shall be others to what is written; return what to note of Malha's."""
    noted: dict[str, Terms] = {}
    for field, there in TERMS.items():
        now, known = ids_there(row, there), old.terms.get(field)
        if now is None:  # the shop has none, or none any more
            continue
        wanted, note = _terms(text_of_term(item, field), now, known, ids.get(field))
        if set(wanted) != set(now):
            changes[there] = [{"id": id_} for id_ in wanted]
        if note is not None:
            noted[field] = note
    return noted


def _text(item: ProductPush, field: str) -> str:
    if field == "title":
        return item.name
    if field == "gtin":
        return item.gtin
    text = str(item.fields.get(field) or "")
    return html_of(text) if field in HTML else text


def _said(
    text: str, now: str, noted: tuple[str, str] | None, written: bool
) -> tuple[str | None, tuple[str, str] | None]:
    """Return what to write of a text, and what to note where it is Malha's."""
    if not text:
        if noted is None:
            return None, None
        # What people made of it since is theirs.
        return ("" if now and noted[1] == mark(now) else None), None
    if text == now and noted is None:
        return None, None  # people wrote the same before us
    if text == now or written or noted == (mark(text), mark(now)):
        return None, (mark(text), mark(now))
    return text, (mark(text), mark(text))


def _terms(
    text: str, now: Sequence[int], noted: Terms | None, ids: Sequence[int] | None
) -> tuple[list[int], Terms | None]:
    """Return which terms a product shall have, and what to note where some are Malha's."""
    ours = () if noted is None else noted.ours
    if not text:
        return [id_ for id_ in now if id_ not in ours], None
    if noted is not None and _stands(noted, text, now):
        return list(now), noted
    if ids is None:  # refused: what is there stays
        return list(now), noted
    others = [id_ for id_ in now if id_ not in ours or id_ in ids]
    wanted = [*others, *(id_ for id_ in ids if id_ not in others)]
    return wanted, Terms(mark(text), list(ids), [id_ for id_ in ids if id_ not in now or id_ in ours])


def _put_attributes(
    changes: dict[str, Any],
    item: ProductPush,
    row: Listed,
    old: Note,
    shared: Mapping[str, int],
    *,
    visible: bool,
    written: bool,
) -> dict[str, tuple[str, str]]:
    """Add attributes where they shall be others to what is written; return what to note of Malha's.

    Those that tell variations apart are the shop's.
    """
    said = {named(name): (name.strip(), _options(text)) for name, text in item.attributes.items() if text.strip()}
    noted: dict[str, tuple[str, str]] = {}
    wanted: list[dict[str, Any]] = []
    changed = False
    for each in row.attributes:
        key, now = named(str(each.get("name", ""))), mark("|".join(map(str, each.get("options", ()))))
        if each.get("variation"):
            said.pop(key, None)
            wanted.append(_again(each))
        elif key in said:
            _name, options = said.pop(key)
            asked = mark("|".join(options))
            if now == asked or written or old.texts.get(key) == (asked, now):
                if now != asked or key in old.texts:  # else people wrote the same before us
                    noted[key] = (asked, now)
                wanted.append(_again(each))
            else:
                noted[key] = (asked, asked)
                wanted.append({**_again(each), "options": options})
                changed = True
        elif key in old.texts and old.texts[key][1] == now:
            changed = True  # said no more
        else:
            wanted.append(_again(each))
    for key, (name, options) in said.items():
        asked = mark("|".join(options))
        if written or old.texts.get(key) == (asked, ""):  # the shop did not keep it
            noted[key] = (asked, "")
            continue
        known = shared.get(name.casefold(), 0)
        new = {"id": known, "name": name, "position": len(wanted), "visible": visible, "variation": False}
        wanted.append({**new, "options": options})
        noted[key] = (asked, asked)
        changed = True
    if changed:
        changes["attributes"] = wanted
    return noted


def _options(text: str) -> list[str]:
    """Return the values of an attribute; the shop keeps them apart by bars."""
    return [part for part in map(str.strip, text.split("|")) if part]


def _again(each: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each[name] for name in ("id", "name", "position", "visible", "variation", "options") if name in each}


def _resolved(old: Note, row: Listed) -> tuple[dict[str, int], Sequence[int] | None]:
    """Return the ids of pictures by marks, with those that the shop gave since, and what is still to be seen."""
    images = dict(old.images)
    open_ = [each for each, id_ in images.items() if not id_]
    known = {*(old.before or ()), *images.values()}
    came = [] if old.before is None else [image.id for image in row.images if image.id not in known]
    # Where somebody else added some, nobody knows which is which: they stay, and are not counted with later ones.
    images |= zip(open_, came, strict=True) if len(came) == len(open_) else dict.fromkeys(open_, NOBODY_KNOWS)
    return images, None


def _gallery(
    item: ProductPush, row: Listed, known: Mapping[str, int], refused: frozenset[str], most: int
) -> tuple[list[dict[str, Any]] | None, dict[str, int], Sequence[str]]:
    """Return the pictures of a product where they shall be others, what to note of them, and which are new.

    Malha's stand where Malha's stood, in Malha's order; one that people took off stays off, and theirs stay.
    """
    wanted = {mark(url): url for url in _urls(item)}
    there = [image.id for image in row.images]
    fresh = [each for each in wanted if each not in known and each not in refused][:most]
    ours = {id_ for id_ in known.values() if id_}
    order = iter([each for each in wanted if each in fresh or known.get(each, 0) in there])
    gallery: list[dict[str, Any]] = []

    def entry(each: str) -> dict[str, Any]:
        return {"src": wanted[each], "alt": item.name} if each in fresh else {"id": known[each]}

    for id_ in there:
        if id_ not in ours:
            gallery.append({"id": id_})
        elif (following := next(order, None)) is not None:
            gallery.append(entry(following))
    gallery += [entry(each) for each in order]
    noted = {each: id_ for each, id_ in known.items() if each in wanted} | dict.fromkeys(fresh, 0)
    changed = bool(fresh) or [each["id"] for each in gallery] != there
    return (gallery if changed else None), noted, fresh


def _urls(item: ProductPush) -> Iterator[str]:
    said = item.fields.get("images") or ()
    yield from dict.fromkeys([said] if isinstance(said, str) else said)
