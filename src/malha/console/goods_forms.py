"""What forms of goods share: codes and quantities as people type, paste, scan or upload them.

A sheet of lines is a field with one line per SKU, `code quantity`, or a file with headings. A scan sheet is a table of
fields, one per SKU and bucket, that a scanner fills.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar.datastructures import FormMultiDict, UploadFile

from malha.catalog.model import VariantCard
from malha.console import forms, stock_reads, web
from malha.console import reads as page_reads
from malha.console.stock_reads import Place
from malha.console.timeline import Names
from malha.inventory.buckets.model import BY_HAND, Bucket
from malha.inventory.supply import scanning
from malha.inventory.transfers.model import Crosses
from malha.network import owner_reads
from malha.network.errors import UnknownLocation
from malha.network.model import Location
from malha.network.owner_reads import Owner
from malha.ordering.listing import day_bounds
from malha.platform import i18n, workbook
from malha.platform.days import checked, maybe_day
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.tabular import BadCell, Column, centavos, whole

MOST_LINES = 1_000
_LINE = re.compile(r"^(?P<code>[^\s;,]+)(?:[\s;,]+(?P<quantity>\d{1,9}))?$")
_FIELD = re.compile(r"^q/(\d{1,9})/([a-z_]+)$")


def _day(text: str) -> date:
    """Read a day as spreadsheets write it, `2026-12-24` or `24/12/2026`.

    Raises:
        BadCell: it is none.
    """
    for pattern in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            return checked(datetime.strptime(text.strip()[:10], pattern).replace(tzinfo=UTC).date())
        except ValueError:
            continue
    raise BadCell(N_("{value} is no day."), N_("Write it like 2026-12-24 or 24/12/2026."))


COLUMNS = (
    Column("sku", ("código", "código sku", "gtin", "ean", "ref", "item", "referência"), required=True),
    Column("quantity", ("quantidade", "qtd", "qtde", "qty", "units", "unidades"), parse=whole, required=True),
    Column("eta", ("previsão", "data", "chegada", "date", "prazo"), parse=_day),
    Column("unit_cost", ("custo", "custo unitário", "cost", "preço de custo"), parse=centavos),
)


class SheetLine(msgspec.Struct, frozen=True):
    """One line of a sheet."""

    card: VariantCard
    quantity: int
    eta: date | None = None
    unit_cost: int | None = None


async def place_of(tx: Tx, request: web.Asking, code: str) -> Place:
    """Return a location of the person.

    Raises:
        UnknownLocation: there is none with this code, or it is not theirs.
    """
    found = [place for place in await places_of(tx, request) if place.code == code]
    if not found:
        raise UnknownLocation(key=code)
    return found[0]


async def places_of(tx: Tx, request: web.Asking) -> list[Place]:
    """Return the locations of the person."""
    scope = web.caller_of(request).locations
    return await stock_reads.places(tx, None if scope is None else sorted(scope))


async def sheet_of(tx: Tx, form: FormMultiDict) -> list[SheetLine]:
    """Return the lines of a form: of its file where there is one, else of its field `lines`.

    Raises:
        Invalid: a line cannot be read, or its code is unknown; every one is named.
    """
    raw = await file_in(form)
    rows = _typed(str(form.get("lines", ""))) if raw is None else await asyncio.to_thread(_rows_of, raw)
    if not 0 < len(rows) <= MOST_LINES:
        refuse([Flaw("lines", N_("Write 1 to {most} lines."), facts={"most": MOST_LINES})])
    cards = await scanning.goods_of(tx, [row["sku"] for row in rows], "lines")
    return [
        SheetLine(card, row["quantity"], row.get("eta"), row.get("unit_cost"))
        for card, row in zip(cards, rows, strict=True)
    ]


async def file_in(form: FormMultiDict) -> bytes | None:
    """Return the file of a form's sheet of lines; None: it has none."""
    given = form.get("file")
    if not isinstance(given, UploadFile) or not given.filename:
        return None
    await given.seek(0)  # whoever says what of it was not read asks for it again
    return await given.read()


def has_sheet(form: FormMultiDict) -> bool:
    """Return whether a form's sheet of lines says anything."""
    given = form.get("file")
    return bool(str(form.get("lines", "")).strip()) or (isinstance(given, UploadFile) and bool(given.filename))


def _typed(text: str) -> list[dict[str, Any]]:
    rows, flaws = [], []
    for number, line in enumerate(text.replace("\x00", "").splitlines(), start=1):
        if not line.strip():
            continue
        found = _LINE.match(line.strip())
        if found is None:
            says, mend = N_("Line {number} cannot be read."), N_("Write a code and a quantity, like CAM-P 12.")
            flaws.append(Flaw("lines", says, mend, {"number": number}))
            continue
        rows.append({"sku": found["code"], "quantity": int(found["quantity"] or 1)})
    refuse(flaws)
    return rows


def _rows_of(body: bytes) -> list[dict[str, Any]]:
    rows, flaws = [], []
    with workbook.opened(body, COLUMNS) as table:
        for row in table:
            for flaw in row.flaws:
                facts = {**flaw.facts, "number": row.line, "column": flaw.at}
                flaws.append(Flaw("file", N_("Line {number}, {column}: this cannot be read."), flaw.mend, facts))
            if not row.flaws:
                rows.append(dict(row.values))
    refuse(flaws[:50])
    return rows


def scanned(form: FormMultiDict) -> list[tuple[int, Bucket, int]]:
    """Return the filled fields of a scan sheet: SKU id, bucket, units.

    Raises:
        Invalid: a field holds no whole number, or none is filled.
    """
    found, flaws = [], []
    for name, value in form.multi_items():
        match = _FIELD.match(name)
        text = str(value).strip()
        if match is None or text in {"", "0"}:
            continue
        if not (text.isascii() and text.isdigit() and len(text) < 10) or match[2] not in set(BY_HAND):
            flaws.append(Flaw(name, N_("Write a whole number, 0 or more.")))
            continue
        found.append((int(match[1]), Bucket(match[2]), int(text)))
    refuse(flaws)
    return found


async def names_of(tx: Tx, labels: Sequence[str | None]) -> Names:
    """Return the names of those who acted, by the labels the ledger has."""
    ids = sorted({label.partition(":")[2] for label in labels if label and ":" in label})
    return Names(people=await page_reads.actor_names(tx, ids))


def skus_of(form: FormMultiDict) -> Sequence[int]:
    """Return the SKUs that were ticked."""
    return forms.numbers(form, "sku", 9)


# --- lists of transfers and receipts ---


# What transfers may be narrowed to by what goods cross on the way.
CROSSINGS: dict[str, tuple[str, tuple[Crosses, ...]]] = {
    "owner": (N_("Between two owners"), (Crosses.ESTABLISHMENT, Crosses.COMPANY)),
    "company": (N_("Between two companies"), (Crosses.COMPANY,)),
    "nothing": (N_("Within one owner"), (Crosses.NOTHING,)),
}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of a list of transfers or receipts says; nonsense in it is ignored."""

    view: str = ""
    q: str = ""
    origin: str = ""  # codes of locations
    destination: str = ""
    owner: str = ""  # an establishment's code, or the root of a company's CNPJ
    crosses: str = ""  # a key of `CROSSINGS`
    since: date | None = None
    until: date | None = None

    @property
    def filtered(self) -> bool:
        """Return whether anything but the view narrows the list."""
        return any((self.q, self.origin, self.destination, self.owner, self.crosses, self.since, self.until))

    def address(self, path: str, **changes: Any) -> str:
        """Return the address of the list with parts changed."""
        return web.address(path, self, changes)

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the instants that the days cover in the reader's zone; the second is exclusive."""
        return day_bounds(self.since, self.until, ZoneInfo(i18n.current_zone()))


def terms_of(request: web.Asking, views: Sequence[str]) -> Terms:
    """Return what an address asks; the first view when it asks for none."""
    query = request.query_params

    def text(name: str) -> str:
        return web.said(query, name).strip()[:80]

    view = text("view")
    return Terms(
        view=view if view in views else views[0],
        q=text("q"),
        origin=text("origin"),
        destination=text("destination"),
        owner=text("owner"),
        crosses=crosses if (crosses := text("crosses")) in CROSSINGS else "",
        since=maybe_day(query.get("since")),
        until=maybe_day(query.get("until")),
    )


NOWHERE = 0  # the id of no location


def place_asked(places: Sequence[Place | Location], code: str) -> int | None:
    """Return the id of a location that a list is narrowed to; None: to none. A code that is not there is nowhere."""
    return next((place.id for place in places if place.code == code), NOWHERE) if code else None


class OwnerChoices(msgspec.Struct, frozen=True, kw_only=True):
    """The owners that a list can be narrowed to, by company, and the one it is narrowed to."""

    known: list[Owner]
    asked: str

    @property
    def several(self) -> bool:
        """Return whether the person sees goods of more than one owner: where there is one, nobody has to be told."""
        return len(self.known) > 1

    @property
    def shown(self) -> bool:
        """Return whether there is something to choose, or to undo."""
        return self.several or bool(self.asked)

    @property
    def companies(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Return root, name and establishments (code, name) of each company."""
        found: dict[str, tuple[str, str, list[tuple[str, str]]]] = {}
        for owner in self.known:
            _root, _name, own = found.setdefault(owner.cnpj_root, (owner.cnpj_root, owner.company, []))
            own.append((owner.code, owner.name))
        return list(found.values())

    @property
    def stray(self) -> bool:
        """Return whether what is asked is none of the choices."""
        return bool(self.asked) and not owner_reads.kept_for(self.known, self.asked)

    @property
    def location_ids(self) -> tuple[int, ...] | None:
        """Return the locations that keep the goods that are asked for; None: of anybody. Unknown owners keep none."""
        return owner_reads.kept_for(self.known, self.asked) if self.asked else None


async def owners_of(tx: Tx, request: web.Asking, asked: str) -> OwnerChoices:
    """Return the owners whose goods the person's locations keep, and which one is asked for."""
    scope = web.caller_of(request).locations
    known = await owner_reads.owners(tx, None if scope is None else sorted(scope))
    return OwnerChoices(known=known, asked=asked)
