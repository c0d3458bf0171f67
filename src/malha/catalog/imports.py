"""Products from a table, one row per SKU, and back into one.

A row states only what its filled cells say: an empty cell or an absent column leaves what is there. Rows of one
product belong together by its code; a row without one is found by its SKU, or makes a product of its own. Kits are
written on a second way through the file, when every component is there. Headers may be English or Portuguese.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
from psycopg.errors import ForeignKeyViolation

from malha.catalog import mangled, ownership, reads, rules, service
from malha.catalog.model import (
    CategoryDraft,
    MediaDraft,
    Product,
    ProductDraft,
    Substitute,
    Variant,
    VariantDraft,
)
from malha.network.service import refuse_limited
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import IN_USE, TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import (
    BadCell,
    Column,
    Row,
    centavos,
    decimal_text,
    parse_decimal,
    whole,
    yes_no,
)

_PRODUCT_FIELDS = ("name", "description", "brand", "category", "ncm", "cest", "origin")
_VARIANT_FIELDS = ("gtin", "price", "active")
_NAMING_OTHERS = {"components", "substitutes"}  # which must be there before
MAX_SEEN = 2_000_000
MAX_ROUNDS = 6


def parse_components(text: str) -> dict[str, int]:
    """Read what a kit is made of: "CAM-P:1 | MEIA-U:2"; without a number it is one.

    Raises:
        BadCell: a component is named twice or has no SKU.
    """
    found: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in re.split(r"[|;\n]", text))):
        sku, quantity = _component(part)
        if sku in found:
            raise BadCell(N_("The component {sku} is named twice."), N_("Add the quantities."), sku=sku)
        found[sku] = quantity
    return found


BOTH_WAYS = "<>"  # never first in a cell: a spreadsheet would take a `=` for a formula


def parse_substitutes(text: str) -> list[Substitute]:
    """Read what may stand in for a SKU: "CAM-M | CAM-G <>"; before a `<>` each may stand in for the other.

    Raises:
        BadCell: a `<>` without a SKU.
    """
    found = []
    for part in filter(None, (p.strip() for p in re.split(r"[|;\n]", text))):
        both_ways = part.endswith(BOTH_WAYS)
        sku = part.removesuffix(BOTH_WAYS).strip()
        if not sku:
            raise BadCell(N_("{value} names no SKU."), N_("Write it like CAM-M | CAM-G <>."), value=part)
        found.append(Substitute(sku, both_ways))
    return found


def substitutes_text(substitutes: Sequence[Substitute]) -> str:
    """Write substitutes as `parse_substitutes` reads them."""
    return " | ".join(f"{one.sku} {BOTH_WAYS}" if one.both_ways else one.sku for one in substitutes)


def _component(text: str) -> tuple[str, int]:
    """Read "CAM-P:1" or "CAM-P x 1". Step by step: a pattern for it takes for ever over a cell of spaces."""
    named = text.rstrip("0123456789")
    digits, named = text[len(named) :], named.rstrip()
    sku = named[:-1].rstrip()
    return (sku, int(digits)) if 0 < len(digits) <= 6 and named[-1:] in ":xX*" and sku else (text, 1)


# How many grams, and how many millimetres, a unit is.
_WEIGHTS = {"kg": Fraction(1000), "g": Fraction(1), "lb": Fraction("453.59237"), "oz": Fraction("28.349523125")}
_SIZES = {"cm": Fraction(10), "mm": Fraction(1), "m": Fraction(1000), "in": Fraction("25.4")}


def _unit(known: Mapping[str, Fraction], text: str) -> Fraction:
    found = known.get(text.strip().lower().rstrip("s."))
    if found is None:
        raise BadCell(N_("{value} is no unit."), N_("Use one of {known}."), known=", ".join(known))
    return found


def _weight_unit(text: str) -> Fraction:
    return _unit(_WEIGHTS, text)


def _size_unit(text: str) -> Fraction:
    return _unit(_SIZES, text)


def _measured(number: tuple[int, int], unit: Fraction) -> int:
    """Return a decimal number of units as whole grams or millimetres, rounded half up."""
    digits, decimals = number
    return int(Fraction(digits, 10**decimals) * unit + Fraction(1, 2))


def _urls(text: str) -> list[str]:
    """Read addresses apart by spaces, bars, or commas and semicolons, which stand within some of them too."""
    parts = re.split(r"[|\s]+|[,;](?=\s|https?://|$)", text)
    return [part for part in parts if part]


def parse_ncm(text: str) -> str:
    """Read an NCM code, also one whose leading zero a spreadsheet took away."""
    return _filled(text, 8)


def parse_cest(text: str) -> str:
    """Read a CEST code, also one whose leading zero a spreadsheet took away."""
    return _filled(text, 7)


def _filled(text: str, digits: int) -> str:
    """Return a code of so many digits of which one is missing with a zero in front; any other text as it is."""
    bare = text.strip()
    return bare.zfill(digits) if len(bare) == digits - 1 and bare.isascii() and bare.isdigit() else text


COLUMNS = (
    Column("sku", ("código sku", "código", "cod", "referência", "ref", "item", "variant sku"), required=True),
    Column("product", ("produto", "código do produto", "product code", "produto pai", "parent", "handle", "slug")),
    Column("name", ("nome", "nome do produto", "product name", "título", "title")),
    Column("variant_name", ("nome da variação", "variant name")),
    Column("description", ("descrição", "body (html)")),
    Column("brand", ("marca", "vendor")),
    Column("category", ("categoria",)),
    Column("ncm", ("código ncm", "ncm code"), parse=parse_ncm),
    Column("cest", ("código cest",), parse=parse_cest),
    Column("origin", ("origem",), parse=whole),
    Column("gtin", ("ean", "código de barras", "barcode", "gtin/ean", "cean", "variant barcode")),
    Column("weight_grams", ("weight_g", "peso_g", "peso (g)", "weight (g)", "variant grams"), parse=whole),
    Column("weight", ("peso", "peso_kg", "peso (kg)", "weight_kg", "peso bruto (kg)"), parse=parse_decimal),
    Column("weight_unit", ("unidade de peso",), parse=_weight_unit),
    Column("length", ("length_cm", "comprimento", "comprimento (cm)", "profundidade", "depth"), parse=parse_decimal),
    Column("width", ("width_cm", "largura", "largura (cm)"), parse=parse_decimal),
    Column("height", ("height_cm", "altura", "altura (cm)"), parse=parse_decimal),
    Column("dimensions_unit", ("unidade de medida", "size unit"), parse=_size_unit),
    Column("price", ("preço", "valor", "preço de venda", "variant price"), parse=centavos),
    Column("active", ("ativo", "situação", "status"), parse=yes_no),
    Column("components", ("componentes", "kit", "composição"), parse=parse_components),
    Column("substitutes", ("substitutos", "alternativas", "substitui por"), parse=parse_substitutes),
    Column("images", ("imagens", "imagem", "image", "url da imagem", "fotos", "image src", "image1_src"), parse=_urls),
    *(Column(f"option{i}_{part}", (f"option{i} {part}",)) for i in (1, 2, 3) for part in ("name", "value")),
)
FAMILIES = {"options": ("option", "opção", "opções"), "attributes": ("attribute", "attr", "atributo", "atributos")}


class _Group:
    """Rows of one product, and the draft they amount to."""

    def __init__(self, code: str, product: Product | None) -> None:
        self.code = code
        self.product = product
        self.rows: list[Row] = []
        self.flaws: dict[int, list[Flaw]] = {}

    def add(self, row: Row) -> None:
        for name in _PRODUCT_FIELDS:
            first = next((r for r in self.rows if name in r.values), None)
            if first is not None and name in row.values and row.values[name] != first.values[name]:
                says = N_("Line {line} says something else of the same product.")
                flaw = Flaw(name, says, N_("Make the rows of a product agree."), {"line": first.line})
                self.flaws.setdefault(row.line, []).append(flaw)
        self.rows.append(row)

    def has(self, sku: str) -> bool:
        """Tell whether the product has a SKU already."""
        return self.product is not None and any(variant.sku == sku for variant in self.product.variants)

    def draft(self, rows: Sequence[Row]) -> ProductDraft:
        """Return the product as it would be after these rows."""
        stated: dict[str, Any] = {}
        attributes: dict[str, str] = {}
        for row in rows:
            stated |= {name: row.values[name] for name in _PRODUCT_FIELDS if name in row.values}
            attributes |= row.values.get("attributes", {})
        if "category" in stated and ">" in stated["category"]:
            path = rules.categories_of_path(stated["category"])
            stated["category"] = path[-1].code if path else None
        old = self.product
        base = (
            msgspec.structs.replace(reads.product_draft(old), variants=[], media=None)
            if old is not None
            else ProductDraft(code=self.code, name=rows[0].values.get("name", ""))
        )
        known = {v.sku: v for v in old.variants} if old is not None else {}
        variants = [self._variant(row, known.get(row.values["sku"])) for row in rows]
        options = list(dict.fromkeys([*base.options, *(o for v in variants for o in v.options)]))
        return msgspec.structs.replace(
            base, **stated, attributes=base.attributes | attributes, options=options, variants=variants
        )

    def _variant(self, row: Row, old: Variant | None) -> VariantDraft:
        values: Mapping[str, Any] = row.values
        left_out = {"price"} if _says_no_price(values, old) else set()
        stated = {name: values[name] for name in _VARIANT_FIELDS if name in values.keys() - left_out}
        if "weight_grams" in values:
            stated["weight_grams"] = values["weight_grams"]
        elif "weight" in values:
            stated["weight_grams"] = _measured(values["weight"], values.get("weight_unit", _WEIGHTS["kg"]))
        for side in ("length", "width", "height"):
            if side in values:
                stated[f"{side}_mm"] = _measured(values[side], values.get("dimensions_unit", _SIZES["cm"]))
        if "variant_name" in values:
            stated["name"] = values["variant_name"]
        if "components" in values:
            stated["components"] = values["components"]
        if "substitutes" in values:
            stated["substitutes"] = values["substitutes"]
        if "images" in values:
            stated["media"] = [MediaDraft(url=url) for url in values["images"]]
        options = {
            **values.get("options", {}),
            **{
                values[f"option{i}_name"]: values[f"option{i}_value"]
                for i in (1, 2, 3)
                if f"option{i}_name" in values and f"option{i}_value" in values
            },
        }
        if old is None or self.product is None:
            return VariantDraft(sku=values["sku"], options=options, **stated)
        made = rules.variant_name(self.product.name, old.options, self.product.options)
        base = VariantDraft(
            sku=old.sku,
            # A name that was made of product and options is made again; one that a person wrote stays.
            name="" if old.name == made else old.name,
            gtin=old.gtin,
            options=old.options | options,
            weight_grams=old.weight_grams,
            length_mm=old.length_mm,
            width_mm=old.width_mm,
            height_mm=old.height_mm,
            price=old.price,
            active=old.active,
            components=old.components,
        )
        return msgspec.structs.replace(base, **stated)


def _says_no_price(values: Mapping[str, Any], old: Variant | None) -> bool:
    """Return whether a row says zero where there is no price, as sheets do of what only has variants."""
    return values.get("price") == 0 and (old is None or old.price is None)


def _column_of(at: str) -> str:
    """Return the column a flaw of a draft belongs to."""
    parts = at.split("/")
    name = parts[2] if parts[0] == "variants" and len(parts) > 2 else parts[0]
    if parts[0] == "variants" and name == "name":
        return "variant_name"
    columns = {
        "media": "images",
        "code": "product",
        "variants": "sku",
        "weight_grams": "weight",
        "length_mm": "length",
        "width_mm": "width",
        "height_mm": "height",
    }
    return columns.get(name, name)


class ProductImport:
    """Rows of SKUs; a `malha.platform.imports.Target`. One per import: it remembers what the file promised before.

    `allowed`: of addresses of pictures, `stands`: of SKUs that have stock, see `service.flaws_of`.
    """

    entity = "product"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = FAMILIES
    passes = 2

    def __init__(self, allowed: Sequence[str] | None = None, stands: service.Stands | None = None) -> None:
        self.allowed = allowed
        self.stands = stands
        self._seen: dict[int, int] = {}  # hash of a SKU -> its line: this and the next grow with the file
        self._codes: set[int] = set()  # hashes of products' codes that it states
        self._categories: set[str] = set()

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:
        """Check or write a chunk: rows that name no other SKU in turn 0, kits and rows with substitutes in turn 1."""
        refuse_limited(tx)
        outcome = Outcome()
        mine = []
        for row in rows:
            first = self._first(row)
            if bool(row.values.keys() & _NAMING_OTHERS) != (turn == 1):
                continue
            if first != row.line:
                says, mend = N_("The SKU {value} is in line {line} already."), N_("Keep one of them.")
                combine(outcome, row.line, [Flaw("sku", says, mend, {"value": row.values["sku"], "line": first})])
            else:
                mine.append(row)
        if not mine:
            return outcome
        await self._make_categories(tx, mine, apply=apply)
        if apply and turn == 1:
            await service.lock_kits(tx)
        groups = await _groups(tx, mine, lock=apply)
        drafts = await self._good(tx, groups, outcome)
        if not drafts:
            return outcome
        if apply:
            await service.write_products(tx, list(drafts.values()))
            after = await reads.products_by_code(tx, list(drafts))
            outcome.traces = [_trace(groups[code].product, product) for code, product in after.items()]
            outcome.traces = [trace for trace in outcome.traces if trace.before != trace.after]
            lines = {trace.key: groups[trace.key].rows[0].line for trace in outcome.traces}
            before = {code: product for code in lines if (product := groups[code].product) is not None}
            await service.note_products(tx, before, {code: after[code] for code in lines}, lines)
        else:
            after = {}
        for code, draft in drafts.items():
            _count(groups[code].product, draft, after.get(code), outcome)
            lines = {row.values["sku"]: row.line for row in groups[code].rows}
            combine(outcome, lines[draft.variants[0].sku], list(rules.warn_product(draft)), warning=True)
        return outcome

    def _first(self, row: Row) -> int:
        """Return the line where the file says a row's SKU first, and remember it."""
        key = hash(row.values["sku"])
        first = self._seen.get(key, row.line)
        if len(self._seen) < MAX_SEEN:
            self._seen.setdefault(key, row.line)
            self._codes.add(hash(row.values.get("product")))
        return first

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:  # noqa: ARG002
        """Remember the SKUs of rows that were handled before."""
        for row in rows:
            self._first(row)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:
        """Put products back; those that were not there go with their variants. Categories that were made stay.

        `in_use` are SKUs that orders or stock rest on.
        """
        await service.lock_kits(tx)
        codes = sorted(trace.key for trace in traces)
        # With those for which a variant that goes stands in: they change with it.
        await service.lock_products(tx, sorted({*codes, *await service.naming(tx, codes)}))
        now = await reads.products_by_code(tx, codes)
        left: Left = {}
        drafts: dict[str, ProductDraft] = {}
        gone: dict[str, list[str]] = {}
        for trace in traces:
            after = msgspec.convert(trace.after, Product)
            before = None if trace.before is None else msgspec.convert(trace.before, Product)
            if trace.key not in now or _stated(now[trace.key]) != _stated(after):
                left[trace.key] = TOUCHED
                continue
            stood = {v.sku for v in before.variants} if before else set()
            added = [v.sku for v in after.variants if v.sku not in stood]
            if any(sku in in_use for sku in added):
                left[trace.key] = IN_USE
                continue
            gone[trace.key] = added
            if before is not None:
                drafts[trace.key] = reads.product_draft(before)
        held = await service.named_by_others(tx, [sku for skus in gone.values() for sku in skus])
        for code in [code for code, skus in gone.items() if held & set(skus)]:
            left[code] = IN_USE
            drafts.pop(code, None)
            del gone[code]
        found = await service.flaws_of(tx, list(drafts.values()))
        kept = await ownership.kept_of(tx, now, [rules.tidy_product(draft) for draft in drafts.values()])
        for code, ours, (_, theirs) in zip(list(drafts), found, kept, strict=True):
            if ours or theirs:
                left[code] = msgspec.structs.replace([*ours, *theirs][0], at="")
                del drafts[code], gone[code]
        for code in await _remove(tx, gone, drafts):
            left[code] = IN_USE
            drafts.pop(code, None)
        if drafts:
            await service.write_products(tx, list(drafts.values()))
        put = [code for code in codes if code not in left]
        await service.note_products(tx, {code: now[code] for code in put}, await reads.products_by_code(tx, put))
        return left

    async def _make_categories(self, tx: Tx, rows: Sequence[Row], *, apply: bool) -> None:
        """Make the categories that paths of names like "Roupas > Camisetas" speak of."""
        paths = {row.values["category"] for row in rows if ">" in row.values.get("category", "")}
        drafts: dict[str, CategoryDraft] = {}
        for path in sorted(paths):
            drafts |= {d.code: d for d in rules.categories_of_path(path) if d.code not in drafts}
        good = {code: d for code, d in drafts.items() if not any(rules.check_category(d))}
        if not apply:
            self._categories |= good.keys()
        elif good:  # also those a look at the whole file before has promised: it made none
            known = {c.code for c in await reads.categories(tx)}
            wanted = [d for code, d in good.items() if code not in known]
            if wanted:
                await service.put_categories(tx, wanted)

    async def _good(self, tx: Tx, groups: Mapping[str, "_Group"], outcome: Outcome) -> dict[str, ProductDraft]:
        """Return the drafts of the good rows; tell what is wrong with the others."""
        bad: dict[int, list[Flaw]] = {}
        for group in groups.values():
            bad |= group.flaws
        bad |= await self._mangled(tx, groups)
        drafts: dict[str, ProductDraft] = {}
        there = {code: group.product for code, group in groups.items() if group.product is not None}
        locks = await ownership.locked(tx, list(there.values()))
        owned: dict[str, list[Flaw]] = {}
        for _ in range(MAX_ROUNDS):
            left = {code: [r for r in group.rows if r.line not in bad] for code, group in groups.items()}
            drafts = {code: rules.tidy_product(groups[code].draft(rows)) for code, rows in left.items() if rows}
            for code in drafts.keys() & there.keys():  # what is kept elsewhere stays; the rest of the row counts
                drafts[code], owned[code] = ownership.keep(there[code], drafts[code], locks[code])
            found = await service.flaws_of(
                tx,
                list(drafts.values()),
                promised_sku=lambda sku: hash(sku) in self._seen,
                promised_category=lambda code: code in self._categories,
                allowed=self.allowed,
                stands=self.stands,
            )
            flawed = {code: flaws for code, flaws in zip(drafts, found, strict=True) if flaws}
            if not flawed:
                break
            # A row that goes may take with it what others of its product relied on: look again without it.
            for code, flaws in flawed.items():
                _blame(left[code], flaws, bad)
                drafts.pop(code)
        for line, flaws in bad.items():
            combine(outcome, line, flaws)
        for code in drafts:
            _tell_owned(left[code], owned.get(code, []), outcome)
        return drafts

    async def _mangled(self, tx: Tx, groups: Mapping[str, "_Group"]) -> dict[int, list[Flaw]]:
        """Return by line which new SKUs and products a spreadsheet made of others; who states both means both."""
        rows = [row for group in groups.values() for row in group.rows if not group.has(row.values["sku"])]
        found = await mangled.meant(tx, [row.values["sku"] for row in rows])
        one = {sku: other for sku, other in found.items() if hash(other) not in self._seen}
        flaws = {row.line: mangled.new(row.values["sku"], one) for row in rows}
        codes = [code for code, group in groups.items() if group.product is None]
        whole = {
            c: other for c, other in (await mangled.meant_codes(tx, codes)).items() if hash(other) not in self._codes
        }
        for code in codes:
            wrong = mangled.new_code(code, whole)
            for row in groups[code].rows if wrong is not None else ():
                if row.values["sku"] != code:  # else the SKU is told
                    flaws[row.line] = flaws.get(row.line) or wrong
        return {line: [flaw] for line, flaw in flaws.items() if flaw is not None}


def _tell_owned(rows: Sequence[Row], flaws: Sequence[Flaw], outcome: Outcome) -> None:
    """Tell each row which of its values were left out, because its field is kept elsewhere."""
    for flaw in flaws:
        parts = flaw.at.split("/")
        told = msgspec.structs.replace(flaw, at=_column_of(flaw.at))
        of = [rows[int(parts[1])]] if parts[0] == "variants" else [row for row in rows if told.at in row.values]
        for row in of:
            combine(outcome, row.line, [told], warning=True)


def _blame(rows: Sequence[Row], flaws: Sequence[Flaw], bad: dict[int, list[Flaw]]) -> None:
    """Give each flaw of a product to the row it comes from; what concerns the whole product takes all its rows."""
    for flaw in flaws:
        parts = flaw.at.split("/")
        told = msgspec.structs.replace(flaw, at=_column_of(flaw.at))
        if parts[0] == "variants" and len(parts) > 1:
            bad.setdefault(rows[int(parts[1])].line, []).append(told)
            continue
        first = next((row for row in rows if told.at in row.values), rows[0])
        bad.setdefault(first.line, []).append(told)
        for row in rows:
            if row.line not in bad:
                says, mend = N_("The product of this row is refused because of line {line}."), N_("Mend that line.")
                bad[row.line] = [Flaw("", says, mend, {"line": first.line})]


async def _groups(tx: Tx, rows: Sequence[Row], *, lock: bool) -> dict[str, _Group]:
    codes, new = await _codes(tx, rows)
    if lock and new:  # another table may bring them too: whoever comes second finds them
        await service.lock_new(tx)
        codes, _ = await _codes(tx, rows)
    if lock:  # before they are read: what a row does not state is written as it was read
        await service.lock_products(tx, sorted(set(codes)))
    products = await reads.products_by_code(tx, sorted(set(codes)))
    groups: dict[str, _Group] = {}
    for code, row in zip(codes, rows, strict=True):
        groups.setdefault(code, _Group(code, products.get(code))).add(row)
    return groups


async def _codes(tx: Tx, rows: Sequence[Row]) -> tuple[list[str], bool]:
    """Return the code of each row's product, and whether any row is of a SKU that is not there."""
    owners = await reads.products_of_skus(tx, [row.values["sku"] for row in rows])
    codes = [(row.values.get("product") or owners.get(row.values["sku"]) or row.values["sku"]).strip() for row in rows]
    return codes, any(row.values["sku"] not in owners for row in rows)


async def _remove(tx: Tx, gone: Mapping[str, Sequence[str]], staying: Collection[str]) -> set[str]:
    """Take away what an import had added to products, by code; return of which something else rests on it.

    Products of which no variant is left go too, unless they are `staying`.
    """

    async def some(codes: Collection[str]) -> bool:
        try:
            async with tx.savepoint():
                await service.remove_variants(tx, [sku for code in codes for sku in gone[code]])
                await service.remove_products(tx, [code for code in codes if code not in staying])
        except ForeignKeyViolation:  # a rule, a listing, goods that are expected: which of them it is shows one by one
            return False
        return True

    if await some(gone.keys()):
        return set()
    stuck, before = set(gone), len(gone) + 1
    while len(stuck) < before:  # one may go only after another one that names it
        before = len(stuck)
        stuck -= {code for code in sorted(stuck) if await some([code])}
    return stuck


def _stated(product: Product) -> Product:
    """Return a product without its versions: what was changed and changed back is as it was."""
    variants = [msgspec.structs.replace(variant, version=0) for variant in product.variants]
    return msgspec.structs.replace(product, variants=variants, version=0)


def _trace(before: Product | None, after: Product) -> Trace:
    return Trace(
        key=after.code,
        label=after.code,
        before=None if before is None else msgspec.to_builtins(before),
        after=msgspec.to_builtins(after),
    )


def _count(before: Product | None, draft: ProductDraft, after: Product | None, outcome: Outcome) -> None:
    """Count the rows of one product as created, changed or unchanged; without `after` by what would change."""
    old = {v.sku: v for v in before.variants} if before is not None else {}
    new = {v.sku: v for v in after.variants} if after is not None else {}
    if before is not None and after is not None:
        same_product = msgspec.structs.replace(before, variants=[], media=[]) == msgspec.structs.replace(
            after, variants=[], media=[]
        )
        same_product = same_product and before.media == after.media
    else:
        stated = msgspec.structs.replace(draft, variants=[], media=None)
        same_product = before is not None and stated == msgspec.structs.replace(
            reads.product_draft(before), variants=[], media=None
        )
    shown = {v.sku: v for v in reads.product_draft(before).variants} if before is not None else {}
    for variant in draft.variants:
        if variant.sku not in old:
            outcome.created += 1
        elif same_product and (
            new.get(variant.sku) == old[variant.sku]
            if after is not None
            else variant
            == msgspec.structs.replace(
                shown[variant.sku],
                media=variant.media,
                substitutes=None if variant.substitutes is None else shown[variant.sku].substitutes,
            )
        ):
            outcome.unchanged += 1
        else:
            outcome.changed += 1


# --- export ---

_EXPORTED = (
    "sku", "product", "name", "variant_name", "description", "brand", "category", "ncm", "cest", "origin", "gtin",
    "weight_g", "length_cm", "width_cm", "height_cm", "price", "active", "components", "substitutes", "images",
)  # fmt: skip


async def product_pages(database: Database) -> AsyncIterator[list[list[object]]]:
    """Yield the whole catalogue, header first, as rows `ProductImport` reads back unchanged, 500 products at a time."""
    async with database.transaction() as tx:
        options = await reads.option_names(tx)
        attributes = await reads.attribute_names(tx)
    yield [[*_EXPORTED, *(f"option:{o}" for o in options), *(f"attribute:{a}" for a in attributes)]]
    after = ""
    while True:
        async with database.transaction() as tx:
            codes = await reads.product_codes(tx, after=after)
            products = await reads.products_by_code(tx, codes)
        if not codes:
            return
        after = codes[-1]
        yield [_exported(products[c], v, options, attributes) for c in codes for v in products[c].variants]


def _exported(p: Product, v: Variant, options: Sequence[str], attributes: Sequence[str]) -> list[object]:
    made = rules.variant_name(p.name, v.options, p.options)
    return [
        v.sku,
        p.code,
        p.name,
        v.name if v.name != made else "",
        p.description,
        p.brand,
        p.category,
        p.ncm,
        p.cest,
        p.origin,
        v.gtin,
        v.weight_grams,
        decimal_text(v.length_mm, 1),
        decimal_text(v.width_mm, 1),
        decimal_text(v.height_mm, 1),
        decimal_text(v.price, 2),
        "sim" if v.active else "não",
        " | ".join(f"{sku}:{quantity}" for sku, quantity in v.components.items()),
        substitutes_text(v.substitutes),
        " ".join(m.url for m in p.media if m.sku == v.sku),
        *(v.options.get(o, "") for o in options),
        *(p.attributes.get(a, "") for a in attributes),
    ]


# --- prices ---

PRICE_COLUMNS = (COLUMNS[0], next(msgspec.structs.replace(c, required=True) for c in COLUMNS if c.name == "price"))


class PriceImport:
    """Rows of a SKU and its price; a `malha.platform.imports.Target`. A SKU may come twice with the same price only.

    One per import: it remembers what the file said before.
    """

    entity = "price"
    columns = PRICE_COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}  # hash of a SKU -> its line and price

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk; a SKU that is not there is a bad row, never a new product."""
        refuse_limited(tx)
        outcome = Outcome()
        if apply:  # before it is read who keeps a price: nobody takes it over meanwhile
            await service.lock_variants(tx, [row.values["sku"] for row in rows])
        cards = {card.sku: card for card in await reads.by_skus(tx, [row.values["sku"] for row in rows])}
        kept = await ownership.prices_kept(tx, {sku: card.id for sku, card in cards.items()})
        meant = await mangled.meant(tx, [row.values["sku"] for row in rows if row.values["sku"] not in cards])
        prices: dict[str, int] = {}
        for row in rows:
            sku, price = row.values["sku"], row.values["price"]
            if sku not in cards:
                combine(outcome, row.line, [mangled.unknown(sku, meant)])
                continue
            flaws = [*self._otherwise(row), *rules.check_zero("price", price, cards[sku].price)]
            if flaws:
                combine(outcome, row.line, flaws)
                continue
            same = prices.get(sku, cards[sku].price) == price
            if sku in kept and not same:
                facts = {"connection": kept[sku].owner, "name": kept[sku].name}
                combine(outcome, row.line, [Flaw("price", ownership.SAYS, ownership.MEND, facts)])
                continue
            outcome.unchanged += same
            outcome.changed += not same
            prices[sku] = price
        if apply:
            changed = {sku: price for sku, price in prices.items() if cards[sku].price != price}
            await service.set_prices(tx, changed)
            lines = {row.values["sku"]: row.line for row in rows}
            await service.note_prices(tx, {sku: cards[sku].price for sku in changed}, changed, lines)
            outcome.traces = [
                Trace(key=sku, label=sku, before={"price": cards[sku].price}, after={"price": price})
                for sku, price in changed.items()
            ]
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:  # noqa: ARG002
        """Remember what rows said that were handled before."""
        for row in rows:
            list(self._otherwise(row))

    def _otherwise(self, row: Row) -> Iterator[Flaw]:
        """Yield that an earlier row has the SKU with another price."""
        sku, price = row.values["sku"], row.values["price"]
        line, first = self._seen.get(hash(sku), (row.line, price))
        if len(self._seen) < MAX_SEEN:
            self._seen.setdefault(hash(sku), (row.line, price))
        if line != row.line and first != price:
            says = N_("The SKU {value} is in line {line} already, with another price.")
            yield Flaw("price", says, N_("Keep one of them."), {"value": sku, "line": line})

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """Put prices back where nobody set another one since."""
        await service.lock_variants(tx, [trace.key for trace in traces])
        cards = {card.sku: card for card in await reads.by_skus(tx, [trace.key for trace in traces])}
        still = [t for t in traces if t.key in cards and cards[t.key].price == t.after["price"]]
        kept = await ownership.prices_kept(tx, {sku: card.id for sku, card in cards.items()})
        put = {trace.key: trace.before["price"] for trace in still if trace.key not in kept}
        await service.set_prices(tx, put)
        await service.note_prices(tx, {sku: cards[sku].price for sku in put}, put)
        left: Left = {trace.key: TOUCHED for trace in traces if trace.key not in put}
        for sku in left.keys() & kept.keys():
            facts = {"connection": kept[sku].owner, "name": kept[sku].name}
            left[sku] = Flaw("", ownership.SAYS, ownership.MEND, facts)
        return left


async def price_pages(database: Database) -> AsyncIterator[list[list[object]]]:
    """Yield the prices of all SKUs that have one, header first, a thousand at a time."""
    yield [[column.name for column in PRICE_COLUMNS]]
    after = ""
    while True:
        async with database.transaction() as tx:
            found = await reads.prices(tx, after=after)
        if not found:
            return
        after = found[-1][0]
        yield [[sku, decimal_text(price, 2)] for sku, price in found]
