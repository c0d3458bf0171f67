"""How a listing becomes rows of a file: mapped, checked against what the target wants, left out or warned of. Pure."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote

import msgspec

from malha.channels.feeds.model import Mapped, Origin, Plan, Severity
from malha.channels.feeds.profiles import GENERIC, GENERIC_LOCAL, PROFILES, Field, Kind, Profile
from malha.platform.brazil import normalise_gtin
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.money import CURRENCY_DIGITS

MOST_FIELDS = 100
MOST_TABLE = 5_000
LONGEST_VALUE = 2_000
REMOVED = "removed"

# Ours, with what they are called on screen.
FIELDS: dict[str, str] = {
    "code": N_("Code on the channel"),
    "sku": N_("SKU"),
    "product": N_("Code of the product"),
    "name": N_("Name of the SKU"),
    "product_name": N_("Name of the product"),
    "description": N_("Description"),
    "brand": N_("Brand"),
    "gtin": N_("GTIN"),
    "ncm": N_("NCM"),
    "category": N_("Category (code)"),
    "category_path": N_("Category with its parents"),
    "item_group": N_("Product, where it has variants"),
    "price": N_("Price"),
    "currency": N_("Currency"),
    "quantity": N_("Quantity the channel may sell"),
    "availability": N_("Availability"),
    "availability_date": N_("Day from which it is there"),
    "image": N_("First picture"),
    "images": N_("Further pictures"),
    "pictures": N_("All pictures"),
    "weight": N_("Weight with its unit"),
    "length": N_("Length in millimetres"),
    "width": N_("Width in millimetres"),
    "height": N_("Height in millimetres"),
    "location": N_("Code of the location"),
    "location_name": N_("Name of the location"),
    "website": N_("Website of the retailer"),
}
UNIQUE = frozenset({"code", "sku"})  # what no two listings of a channel share
OF_PLACE = frozenset({"location", "location_name"})  # known of a row's location alone

# What a row can have, with what it is called on screen.
RULES: dict[str, str] = {
    "missing": N_("A required field is empty"),
    "image_missing": N_("There is no picture"),
    "price_zero": N_("The price is zero"),
    "price_wrong": N_("The price cannot be read"),
    "currency_wrong": N_("The price is in another currency"),
    "gtin_missing": N_("There is no GTIN"),
    "gtin_wrong": N_("The GTIN has a wrong check digit"),
    "too_long": N_("The text is too long and was cut"),
    "id_too_long": N_("The id is too long"),
    "word_unknown": N_("The target does not know this word"),
    "link_wrong": N_("This is no web address"),
    "count_wrong": N_("This is no whole number"),
    "day_wrong": N_("This is no day"),
    "too_many": N_("More addresses than the target takes"),
    "category_missing": N_("The category is mapped to none of the target's"),
    "duplicate_id": N_("Another listing has the same id"),
    "places_differ": N_("Locations with the same store code say different things"),
}
LEFT: dict[str, str] = {
    "inactive": N_("The listing is not in use"),
    "not_sold": N_("The product is not in use"),
    "no_stock": N_("There is no stock"),
    "category": N_("Its category is not chosen"),
    "brand": N_("Its brand is not chosen"),
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")
_PLACE = re.compile(r"\{([^{}|]+)(\|url)?\}")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_AS_IT_IS = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_LINK = re.compile(r"https?://[^\s/@\\]+(/[^\s\\]*)?")
_PRICE = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,4}))?(?: ([A-Z]{3}))?")

Value = Any  # str, int, list of str or None
Goods = Mapping[str, Any]


class Found(msgspec.Struct, frozen=True):
    """Something that a rule found in one field of a row."""

    rule: str
    field: str
    severity: Severity
    value: str = ""


class Row(msgspec.Struct, frozen=True):
    """A row as the target wants it, its cells in the order of `Compiled.columns`."""

    key: str
    place: str
    cells: list[Any]
    found: list[Found]
    refused: bool

    @property
    def values(self) -> list[Any] | None:
        """Return what is written; None where the row is left out."""
        return None if self.refused else self.cells


# --- checking a plan ---


def check_plan(plan: Plan, profile: Profile | None = None) -> Iterator[Flaw]:
    """Yield what is wrong with a plan before anything is built; `profile`: of a target that is not well known."""
    profile = profile or PROFILES.get(plan.profile)
    if profile is None:
        yield Flaw("profile", N_("There is no target {name}."), facts={"name": plan.profile[:80]})
        return
    if plan.format not in profile.formats:
        known = ", ".join(f.value for f in profile.formats)
        yield Flaw("format", N_("This target does not read {format}."), N_("It reads: {known}."),
                   {"format": plan.format.value, "known": known})  # fmt: skip
    if plan.currency not in CURRENCY_DIGITS:
        yield Flaw("currency", N_("The currency {code} is not known."), facts={"code": plan.currency[:8]})
    if len(plan.mapping) > MOST_FIELDS:
        yield Flaw("mapping", N_("At most {most} fields."), facts={"most": MOST_FIELDS})
    targets = [m.target for m in plan.mapping]
    for n, mapped in enumerate(plan.mapping):
        yield from _check_mapped(f"mapping/{n}", profile, mapped)
        if mapped.target in targets[:n]:
            yield Flaw(f"mapping/{n}/target", N_("{value} is there twice."), facts={"value": mapped.target[:80]})
    for field in profile.fields:
        if field.required and field.name not in targets:
            yield Flaw("mapping", N_("The target wants a field {name}."), N_("Map it to something."),
                       {"name": field.name})  # fmt: skip


def _check_mapped(at: str, profile: Profile, mapped: Mapped) -> Iterator[Flaw]:
    name = mapped.target[:80]
    if not _NAME.fullmatch(mapped.target):
        yield Flaw(f"{at}/target", N_("{name} is no name of a field."),
                   N_("Use letters, digits, points, hyphens and underscores."), {"name": name})  # fmt: skip
    elif profile.field(mapped.target) is None:
        yield Flaw(f"{at}/target", N_("The target has no field {name}."), facts={"name": name})
    elif profile.open and mapped.target == REMOVED:
        yield Flaw(f"{at}/target", N_("The field {name} says what was removed."), N_("Use another name."),
                   {"name": name})  # fmt: skip
    if len(mapped.value) > LONGEST_VALUE or len(mapped.table) > MOST_TABLE:
        yield Flaw(f"{at}/value", N_("This is too long."))
    used = [mapped.value] if mapped.origin is Origin.FIELD else []
    if mapped.origin is Origin.TEMPLATE:
        used = [m[1] for m in _PLACE.finditer(mapped.value) if not m[1].startswith(("attribute.", "option."))]
        if "{" in _PLACE.sub("", mapped.value) or "}" in _PLACE.sub("", mapped.value):
            yield Flaw(f"{at}/value", N_("A brace is not closed."), N_("Write fields like {example}."),
                       {"example": "{name}"})  # fmt: skip
    for one in used:
        if one not in FIELDS:
            yield Flaw(f"{at}/value", N_("There is no field {name} here."), N_("There are: {known}."),
                       {"name": one[:80], "known": ", ".join(FIELDS)})  # fmt: skip
        elif one in OF_PLACE and not profile.per_location:
            yield Flaw(f"{at}/value", N_("Only a target with rows per location has a field {name}."),
                       facts={"name": one})  # fmt: skip


def has_unique_ids(plan: Plan) -> bool:
    """Tell whether no two listings can have the same id in the file."""
    mapped = next((m for m in plan.mapping if m.target == "id"), None)
    return mapped is not None and mapped.origin is Origin.FIELD and mapped.value in UNIQUE and not mapped.table


# --- from goods to rows ---


class Compiled:
    """A plan made ready for many rows."""

    def __init__(
        self,
        plan: Plan,
        currency: str,
        website: str,
        parents: Mapping[str, Sequence[str]],
        profile: Profile | None = None,
    ) -> None:
        """`currency` is the channel's; `parents` are the codes of a category and those above it, nearest first.

        `profile` is a target that is none of the well-known ones.
        """
        self.plan = plan
        self.profile = profile or PROFILES[plan.profile]
        self._currency = currency
        self.website = website.rstrip("/")
        self._parents = parents
        order = {f.name: n for n, f in enumerate(self.profile.fields)}
        # The order of the target's spec, then what it does not name, as mapped.
        chosen = plan.mapping if self.profile.open else sorted(plan.mapping, key=lambda m: order[m.target])
        self.columns = [m.target for m in chosen]
        self._key = [self.columns.index(n) for n in ("store_code", "id") if n in self.columns]
        self._wants_gtin = self.profile not in (GENERIC, GENERIC_LOCAL) and "gtin" in self.columns
        self._chosen = [(m, self._checked(m), self._source(m)) for m in chosen]
        self._cells = [self._cell(*each) for each in self._chosen]
        self._store = self.columns.index("store_code") if self.profile.per_location else 0
        # Whether a location is the same store whatever is sold there.
        self.stores_are_fixed = self.profile.per_location and _of_place(chosen[self._store])

    def left_out(self, goods: Goods) -> str | None:
        """Return why filters leave a listing out; None if they do not. Stock is looked at where rows are made."""
        filters = self.plan.filters
        if not goods["active"]:
            return "inactive"
        if not goods["on_sale"]:
            return "not_sold"
        if filters.brands and goods["brand"] not in filters.brands:
            return "brand"
        if filters.categories and not set(filters.categories) & set(self._parents.get(goods["category"] or "", ())):
            return "category"
        return None

    def row(self, goods: Goods) -> Row:
        """Return one row with everything that is wrong with it."""
        found: list[Found] = []
        values = [cell(goods, found) for cell in self._cells]
        key = "\t".join([str(values[n]) for n in self._key])
        place = goods.get("location") or ""
        bad = bool(found) and any(f.severity is Severity.ERROR for f in found)
        return Row(key, place, values, found, bad)

    def store(self, goods: Goods) -> str:
        """Return what the target calls the store of a row's location; empty where it is mapped to none."""
        return str(self._cells[self._store](goods, []))

    def together(self, rows: Sequence[Row], counting: Sequence[Row]) -> Row:
        """Return the one row of locations that are one store to the target, each given as if it had all the units.

        The first one's words stand. Of picking up, those of `counting` (the ones whose units are in the sum) that
        promise least: who comes for any of the units is promised nothing that one of them cannot keep. Where they
        differ, that is said.
        """
        first = rows[0]
        cells, found = list(first.cells), list(first.found)
        for n, name in enumerate(self.columns):
            if all(row.cells[n] == first.cells[n] for row in rows):
                continue
            if (words := self.profile.pickup.get(name)) is not None:
                ranks = [_rank(words, row.cells[n]) for row in counting]
                least = counting[ranks.index(max(ranks))]
                cells[n] = least.cells[n]
                found = [f for f in found if f.field != name] + [f for f in least.found if f.field == name]
            said = dict.fromkeys(str(row.cells[n]) for row in rows)
            found.append(Found("places_differ", name, Severity.WARNING, ", ".join(said)[:200]))
        bad = any(f.severity is Severity.ERROR for f in found)
        return Row(first.key, first.place, cells, found, bad)

    def each(self, goods: Goods, said: Mapping[str, Any]) -> Iterator[tuple[Mapped, Value, Any, list[Found]]]:
        """Yield each field: its mapping, what that makes, what is written, and what is wrong with it.

        `said` is what stands instead of what the mapping makes, by field.
        """
        for mapped, check, source in self._chosen:
            found: list[Found] = []
            usual = source(goods)
            yield mapped, usual, check(said.get(mapped.target, usual), found), found

    def gone(self, key: str) -> list[Any]:
        """Return the values of a row that says that something is no more."""
        parts = dict(zip([self.columns[n] for n in self._key], key.split("\t"), strict=True))
        return [parts.get(name, self.profile.gone.get(name, "")) for name in self.columns]

    def _source(self, mapped: Mapped) -> Callable[[Goods], Value]:
        plain = self._plain(mapped)
        if not mapped.table and mapped.otherwise is None:
            return plain
        table = {key.casefold(): value for key, value in mapped.table.items()}
        otherwise = mapped.otherwise
        by_branch = mapped.origin is Origin.FIELD and mapped.value == "category"

        def looked_up(goods: Goods) -> Value:
            value = plain(goods)
            said = str(value) if value is not None else ""
            names = self._parents.get(said, (said,)) if by_branch else (said,)
            for name in names:
                if (hit := table.get(name.casefold())) is not None:
                    return hit
            return value if otherwise is None else otherwise

        return looked_up

    def _plain(self, mapped: Mapped) -> Callable[[Goods], Value]:
        name = mapped.value
        match mapped.origin:
            case Origin.CONSTANT:
                return lambda _goods: name
            case Origin.ATTRIBUTE:
                return lambda goods: goods["attributes"].get(name, "")
            case Origin.OPTION:
                return lambda goods: goods["options"].get(name, "")
            case Origin.TEMPLATE:
                return self._template(name)
        return self._field(name)

    def _field(self, name: str) -> Callable[[Goods], Value]:
        if name == "website":
            return lambda _goods: self.website
        if name == "currency":
            return lambda _goods: self._currency
        if name == "availability":
            words = self.profile.availability
            return lambda goods: words[goods["availability"]]
        return lambda goods: goods.get(name)

    def _template(self, text: str) -> Callable[[Goods], str]:
        parts: list[tuple[str, Callable[[Goods], Value] | None, bool]] = []
        at = 0
        for place in _PLACE.finditer(text):
            parts.append((text[at : place.start()], self._named(place[1]), place[2] is not None))
            at = place.end()
        rest = text[at:]

        def filled(goods: Goods) -> str:
            said = ""
            for before, value_of, encoded in parts:
                value = value_of(goods) if value_of else ""
                piece = value if isinstance(value, str) else "" if value is None else self._said(value)
                # Letters, digits, hyphens and the like stay as they are.
                said += before + (quote(piece, safe="") if encoded and not _AS_IT_IS(piece) else piece)
            return said + rest

        return filled

    def _named(self, name: str) -> Callable[[Goods], Value]:
        kind, _, of = name.partition(".")
        if kind == "attribute" and of:
            return lambda goods: goods["attributes"].get(of, "")
        if kind == "option" and of:
            return lambda goods: goods["options"].get(of, "")
        if name == "price":
            return lambda goods: "" if goods["price"] is None else amount(goods["price"], self._currency)
        return self._field(name)

    @staticmethod
    def _said(value: Value) -> str:
        return ",".join(value) if isinstance(value, list) else str(value)

    # --- checks, by the kind of a field ---

    def _checked(self, mapped: Mapped) -> Callable[[Value, list[Found]], Any]:
        field = self.profile.field(mapped.target) or Field(mapped.target)
        check = {
            Kind.TEXT: self._text,
            Kind.LONG: self._long,
            Kind.ID: self._id,
            Kind.GTIN: self._gtin,
            Kind.URL: self._url,
            Kind.URLS: self._urls,
            Kind.PRICE: self._price,
            Kind.COUNT: self._count,
            Kind.WORD: self._word,
            Kind.CATEGORY: self._category,
            Kind.DAY: self._day,
        }[field.kind]

        def run(value: Value, found: list[Found]) -> Any:
            if not value and (value is None or value in ("", [])):
                return self._empty(field, found)
            return check(field, value, found)

        return run

    def _cell(
        self, mapped: Mapped, check: Callable[[Value, list[Found]], Any], source: Callable[[Goods], Value]
    ) -> Callable[[Goods, list[Found]], Any]:
        """Return what makes a cell of a row. Most are texts as they should be, or the same in every row: quickly."""
        field = self.profile.field(mapped.target) or Field(mapped.target)

        def cell(goods: Goods, found: list[Found]) -> Any:
            return check(source(goods), found)

        if mapped.origin is Origin.CONSTANT:
            flaws: list[Found] = []
            always = cell({}, flaws)
            return cell if flaws or isinstance(always, list) else lambda _goods, _found: always
        if field.kind is not Kind.TEXT:
            return cell
        longest = field.longest or sys.maxsize

        def text(goods: Goods, found: list[Found]) -> Any:
            value = source(goods)
            if isinstance(value, str) and value and len(value) <= longest and is_tidy(value):
                return value
            return check(value, found)

        return text

    def _empty(self, field: Field, found: list[Found]) -> Any:
        if field.required:
            rule = "image_missing" if field.name == "image_link" else "missing"
            found.append(Found(rule, field.name, Severity.ERROR))
        elif field.kind is Kind.GTIN and self._wants_gtin:
            found.append(Found("gtin_missing", field.name, Severity.WARNING))
        elif field.kind is Kind.CATEGORY:
            found.append(Found("category_missing", field.name, Severity.WARNING))
        return [] if field.kind is Kind.URLS else ""

    def _text(self, field: Field, value: Value, found: list[Found]) -> str:
        text = tidy(self._said(value))
        if field.longest and len(text) > field.longest:
            found.append(Found("too_long", field.name, Severity.WARNING, text[:200]))
            text = cut(text, field.longest)
        return text or str(self._empty(field, found))

    def _long(self, field: Field, value: Value, found: list[Found]) -> str:
        text = "\n".join(tidy(line) for line in self._said(value).splitlines()).strip()
        if field.longest and len(text) > field.longest:
            found.append(Found("too_long", field.name, Severity.WARNING, tidy(text)[:200]))
            text = cut(text, field.longest)
        return text or str(self._empty(field, found))

    def _id(self, field: Field, value: Value, found: list[Found]) -> str:
        text = tidy(self._said(value))
        if not text:
            self._empty(field, found)
        if len(text) > field.longest:
            found.append(Found("id_too_long", field.name, Severity.ERROR, text[:200]))
        return text

    def _gtin(self, field: Field, value: Value, found: list[Found]) -> str:
        gtin = normalise_gtin(str(value))
        if gtin is None:
            found.append(Found("gtin_wrong", field.name, Severity.ERROR, tidy(str(value))[:200]))
        return gtin or ""

    def _url(self, field: Field, value: Value, found: list[Found]) -> str:
        text = str(value).strip()
        strange = not text.isprintable() and _UNSAFE.search(text)
        if strange or not _LINK.fullmatch(text) or (field.longest and len(text) > field.longest):
            found.append(Found("link_wrong", field.name, Severity.ERROR, tidy(text)[:200]))
        return text

    def _urls(self, field: Field, value: Value, found: list[Found]) -> list[str]:
        stated = value if isinstance(value, list) else str(value).split(",")
        good = [one.replace(",", "%2C") for one in map(str.strip, stated) if _LINK.fullmatch(one)]
        if len(good) < len(stated):
            found.append(Found("link_wrong", field.name, Severity.WARNING, tidy(self._said(value))[:200]))
        if field.longest and len(good) > field.longest:
            found.append(Found("too_many", field.name, Severity.WARNING, str(len(good))))
            good = good[: field.longest]
        return good

    def _price(self, field: Field, value: Value, found: list[Found]) -> str:
        currency = self._currency
        if isinstance(value, int):
            said = amount(value, currency)
        else:
            text = tidy(str(value))
            read = _PRICE.fullmatch(text)
            if read is None:
                found.append(Found("price_wrong", field.name, Severity.ERROR, text[:200]))
                return ""
            currency = read[3] or currency
            said = f"{int(read[1])}.{read[2]}" if read[2] else f"{int(read[1])}"
        if not said.replace(".", "").strip("0"):
            found.append(Found("price_zero", field.name, Severity.ERROR, said))
        if currency != self.plan.currency:
            found.append(Found("currency_wrong", field.name, Severity.ERROR, currency))
        return f"{said} {currency}" if self.profile.price_digits else said

    def _count(self, field: Field, value: Value, found: list[Found]) -> str:
        text = str(value).strip()
        if not (text.isascii() and text.isdigit()):
            found.append(Found("count_wrong", field.name, Severity.ERROR, tidy(text)[:200]))
        return text

    def _word(self, field: Field, value: Value, found: list[Found]) -> str:
        text = tidy(str(value))
        if text not in field.values:
            found.append(Found("word_unknown", field.name, Severity.ERROR, text[:200]))
        return text

    def _category(self, field: Field, value: Value, found: list[Found]) -> str:
        text = tidy(str(value))
        return text or str(self._empty(field, found))

    def _day(self, field: Field, value: Value, found: list[Found]) -> str:
        try:
            return (value if isinstance(value, date) else date.fromisoformat(str(value).strip())).isoformat()
        except ValueError:
            found.append(Found("day_wrong", field.name, Severity.ERROR, tidy(str(value))[:200]))
            return ""


def _of_place(mapped: Mapped) -> bool:
    """Tell whether a mapping makes the same of a location whatever the goods are."""
    match mapped.origin:
        case Origin.CONSTANT:
            return True
        case Origin.FIELD:
            return mapped.value in OF_PLACE
        case Origin.TEMPLATE:
            return all(place[1] in OF_PLACE for place in _PLACE.finditer(mapped.value))
    return False


def _rank(words: Sequence[str], said: str) -> int:
    """Return how little a word promises; one that is not there promises nothing."""
    return words.index(said) if said in words else len(words)


def tidy(text: str) -> str:
    """Return a text in one line, without control characters."""
    if is_tidy(text):
        return text
    return _UNSAFE.sub("", _SPACE.sub(" ", text)).strip()


def is_tidy(text: str) -> bool:
    """Tell whether a text is as `tidy` leaves it, as nearly all are; of some that are it says no."""
    return text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " "


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text, whole words where that costs less than a fifth of it."""
    head = text[:longest]
    space = head.rfind(" ") if len(text) > longest and text[longest] != " " else -1
    return head[:space].rstrip() if space > longest * 4 // 5 else head.rstrip()


def amount(minor: int, currency: str) -> str:
    """Return minor units as a decimal number: `1990` of BRL is `19.90`."""
    digits = CURRENCY_DIGITS.get(currency, 2)
    return f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}" if digits else str(minor)
