"""A logistics partner that writes and reads CSV files at an SFTP server: a 3PL, a WMS, an ERP.

We write into `out`, one file for each thing that is asked, named by what it asks and by its key:

    PICK_F12_1f0c9a34.csv   CANCEL_F12_77ab01c2.csv   ASN_PO7_v1_0b54e911.csv

The partner writes into `in`; which file says what is told by its name (`ACK*`, `SHIP*`, `ADJ*`, `RECV*`, `STOCK*`).
What was read is put into `processed`, or into `errors` beside the rows that are to be mended. The columns of each file
are described on the page "Connect a logistics partner".
"""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import islice
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

import msgspec
from msgspec import Meta

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.partner_tables import Row, Style
from malha.channels.contract import (
    SHORT_REASONS,
    AdjustmentTold,
    Answer,
    Ask,
    Capability,
    CountedLine,
    Ctx,
    ExtAddress,
    ExtBuyer,
    ExtRef,
    Files,
    FileServer,
    FileTold,
    Health,
    InboundNotice,
    Invalid,
    Limits,
    Ok,
    ParcelTold,
    PickCancel,
    PickRequest,
    ReceiptTold,
    ReceivedLine,
    RemoteFile,
    RequestAnswer,
    Result,
    RowFlaw,
    Said,
    ShipmentTold,
    ShortLine,
    StockTold,
    Tier,
    ToldLine,
)

MB = 1 << 20
ROWS, STOCK_ROWS = 50_000, 500_000
PASSED_OVER = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".done")
MARKER = ".done"
Folder = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=100)]
CONDITIONS = {
    "": "good", "good": "good", "bom": "good", "boa": "good", "ok": "good", "novo": "good",
    "damaged": "damaged", "avariado": "damaged", "avaria": "damaged", "danificado": "damaged",
    "quality": "quality", "qualidade": "quality", "inspecao": "quality",
}  # fmt: skip
REASONS = {reason.replace("_", ""): reason for reason in SHORT_REASONS} | {
    "": "not_in_stock", "semestoque": "not_in_stock", "naoencontrado": "not_in_stock", "falta": "not_in_stock",
    "divergencia": "mismatch", "avaria": "damaged", "avariado": "damaged", "danificado": "damaged",
    "fechado": "store_closed", "capacidade": "capacity", "outro": "other",
}  # fmt: skip


class PartnerFilesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are, and how the partner writes."""

    host: Annotated[str, Meta(min_length=1, max_length=253, title="Server", description="Name of the SFTP server.")]
    user: Annotated[str, Meta(min_length=1, max_length=100, title="User", description="Who we log in as.")]
    port: Annotated[int, Meta(ge=1, le=65_535, title="Port", description="Usually 22.")] = 22
    outgoing: Annotated[Folder, Meta(title="Folder we write into", description="The partner reads here.")] = "out"
    incoming: Annotated[Folder, Meta(title="Folder we read from", description="The partner writes here.")] = "in"
    processed: Annotated[Folder, Meta(title="Folder for what was read", description="Made if it is missing.")] = (
        "processed"
    )
    errors: Annotated[Folder, Meta(title="Folder for errors", description="Files to mend, and the rows.")] = "errors"
    encoding: Annotated[
        Literal["utf-8", "latin-1"],
        Meta(title="Encoding", description="Of what we write. UTF-8 is recognised when read, whatever is set here."),
    ] = "utf-8"
    delimiter: Annotated[Literal[";", ",", "\t", "|"], Meta(title="Separator", description="Between columns.")] = ";"
    numbers: Annotated[
        Literal["comma", "point"], Meta(title="Decimals", description="Whether 1,5 or 1.5 is one and a half.")
    ] = "comma"
    timezone: Annotated[str, Meta(title="Time zone", description="Of times without one.")] = "America/Sao_Paulo"
    whole: Annotated[
        Literal["quiet", "marker"],
        Meta(
            title="When a file is whole",
            description="quiet: it did not change between two looks; marker: an empty file NAME.done is beside it.",
        ),
    ] = "quiet"
    acknowledgements: Annotated[Pattern, Meta(title="Files of acknowledgements", description="By name.")] = "ACK*"
    shipments: Annotated[Pattern, Meta(title="Files of shipments", description="By name.")] = "SHIP*"
    adjustments: Annotated[Pattern, Meta(title="Files of adjustments", description="By name.")] = "ADJ*"
    receipts: Annotated[Pattern, Meta(title="Files of receipts", description="By name.")] = "RECV*"
    stock: Annotated[Pattern, Meta(title="Files of stock", description="By name.")] = "STOCK*"
    stock_source: Annotated[
        str, Meta(max_length=40, title="Stock source", description="Code of the source whose word its stock is.")
    ] = ""
    answer_hours: Annotated[
        int, Meta(ge=1, le=720, title="Hours for an answer", description="After them a request needs attention.")
    ] = 4
    most_mb: Annotated[int, Meta(ge=1, le=64, title="Largest file", description="In megabytes.")] = 20


class PartnerFiles:
    """See the module."""

    key: ClassVar[str] = "partner_files"
    name: ClassVar[str] = "Partner by files (SFTP)"
    config_model: ClassVar[type[msgspec.Struct]] = PartnerFilesConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "password": "Password of the user, where there is no key",
        "private_key": "Private key of the user (OpenSSH or PEM)",
        "passphrase": "Passphrase of the private key, if it has one",
    }
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FULFILMENT, Capability.FILES})
    limits: ClassVar[Limits] = Limits(rate=20.0, burst=100.0, in_flight=4, batch=100)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    def server(self, config: PartnerFilesConfig) -> FileServer:
        """Return where the files are."""
        return FileServer(config.host, config.user, config.port)

    async def check(self, ctx: Ctx) -> Health:
        """List both folders."""
        config: PartnerFilesConfig = ctx.config
        waiting = await _files(ctx).list(config.incoming)
        written = await _files(ctx).list(config.outgoing)
        facts = {config.incoming: str(len(waiting)), config.outgoing: str(len(written))}
        return Health(
            ok=True, says=f"{len(waiting)} in {config.incoming}, {len(written)} in {config.outgoing}", facts=facts
        )

    # --- what it is asked ---

    async def find_ask(self, ctx: Ctx, ask: Ask, key: str) -> ExtRef | None:
        """Tell whether the file was ever to be seen, though the partner may have taken it away."""
        name = _name(ask, key)
        return ExtRef(name) if await _files(ctx).wrote(ctx.config.outgoing, name) else None

    async def ask(self, ctx: Ctx, ask: Ask, key: str) -> Result:
        """Write the file of what is asked."""
        name = _name(ask, key)
        await _files(ctx).write(ctx.config.outgoing, name, _body(ask, _style(ctx.config)))
        return Ok(name)

    # --- what it answers ---

    async def look(self, ctx: Ctx) -> Sequence[RemoteFile]:
        """Return what waits: stock last, so that what left is known before what is there."""
        config: PartnerFilesConfig = ctx.config
        found = await _files(ctx).list(config.incoming)
        marked = {f.name.removesuffix(MARKER) for f in found if f.name.endswith(MARKER)}
        whole = [
            f
            for f in found
            if not f.name.startswith(".")
            and not f.name.lower().endswith(PASSED_OVER)
            and (config.whole == "quiet" or f.name in marked)
        ]
        return sorted(whole, key=lambda f: (_kind(config, f.name) == "stock", f.modified, f.name))

    async def fetch(self, ctx: Ctx, name: str, into: BinaryIO) -> None:
        """Read a file into another one."""
        await _files(ctx).read(f"{ctx.config.incoming}/{name}", into, most=ctx.config.most_mb * MB)

    def understand(self, config: PartnerFilesConfig, name: str, body: BinaryIO, modified: datetime) -> FileTold:
        """Return what a file tells; stock is read from it again whenever its lines are asked for."""
        kind = _kind(config, name)
        if kind is None:
            raise Invalid(name, code="unknown_file")
        if kind == "stock":
            return _stock(config, body, modified)
        return _READERS[kind](config, tables.rows(kind, body, _style(config), most=ROWS), modified)

    async def put_away(self, ctx: Ctx, name: str, number: int, errors: bytes | None) -> None:
        """Move a file, and write the rows to mend beside it."""
        config: PartnerFilesConfig = ctx.config
        stem, dot, ending = name.rpartition(".")
        stem, ending = (stem, f"{dot}{ending}") if stem else (name, "")
        if errors is not None:
            await _files(ctx).write(config.errors, f"{stem}_{number}.errors.csv", errors)
        to = config.processed if errors is None else config.errors
        await _files(ctx).move(f"{config.incoming}/{name}", f"{to}/{stem}_{number}{ending}")
        if config.whole == "marker":
            await _files(ctx).remove(f"{config.incoming}/{name}{MARKER}")

    def error_file(self, config: PartnerFilesConfig, body: BinaryIO, errors: Mapping[int, str]) -> bytes:
        """Return the rows to mend."""
        try:
            return tables.mended(body, errors, _style(config))
        except Invalid:
            return tables.written([tables.ERROR_COLUMN], [[says] for says in errors.values()], _style(config))


def _files(ctx: Ctx) -> Files:
    if ctx.files is None:
        raise Invalid("the runtime offers no files")
    return ctx.files


def _style(config: PartnerFilesConfig) -> Style:
    return Style(config.encoding, config.delimiter, config.numbers, config.timezone)


def _kind(config: PartnerFilesConfig, name: str) -> str | None:
    lower = name.lower()
    kinds = ("acknowledgements", "shipments", "adjustments", "receipts", "stock")
    return next((kind for kind in kinds if fnmatchcase(lower, getattr(config, kind).lower())), None)


# --- what we write ---


def _name(ask: Ask, key: str) -> str:
    match ask:
        case PickRequest():
            about = f"PICK_{ask.request}"
        case PickCancel():
            about = f"CANCEL_{ask.request}"
        case InboundNotice():
            about = f"ASN_{ask.notice}_v{ask.version}"
    return f"{re.sub(r'[^A-Za-z0-9_-]', '', about)}_{key.replace('-', '')[:12]}.csv"


PICK = (
    "request", "order", "line", "sku", "gtin", "name", "quantity", "location", "method", "service", "carrier", "due_at",
    "buyer_name", "buyer_document", "buyer_email", "buyer_phone", "street", "number", "complement", "district", "city",
    "state", "postal_code", "country",
)  # fmt: skip
CANCEL = ("request", "order", "location", "whole", "line", "sku", "quantity")
NOTICE = (
    "notice", "version", "kind", "location", "sender", "document", "line", "sku", "gtin", "name", "quantity", "expected"
)  # fmt: skip


def _body(ask: Ask, style: Style) -> bytes:
    match ask:
        case PickRequest():
            return tables.written(PICK, _picks(ask), style)
        case PickCancel():
            flag = "yes" if ask.whole else "no"
            head = (ask.request, ask.order, ask.location, flag)
            return tables.written(CANCEL, [(*head, n.line, n.sku, n.quantity) for n in ask.lines], style)
        case InboundNotice():
            about = (ask.notice, ask.version, ask.kind, ask.location, ask.sender, ask.document)
            lines = [(*about, n.line, n.sku, n.gtin, n.name, n.quantity, n.expected) for n in ask.lines]
            return tables.written(NOTICE, lines or [(*about, "", "", "", "", 0, "")], style)


def _picks(ask: PickRequest) -> Iterator[Sequence[object]]:
    to: ExtAddress = ask.ship_to or ExtAddress(country="")
    buyer: ExtBuyer = ask.buyer
    phone = re.sub(r"\D", "", buyer.phone or "")
    whither = (to.street, to.number, to.complement, to.district, to.city, to.state, to.postal_code, to.country)
    for line in ask.lines:
        yield (
            *(ask.request, ask.order, line.line, line.sku, line.gtin, line.name, line.quantity),
            *(ask.location, ask.method, ask.service, ask.carrier, ask.due_at),
            *(buyer.name, buyer.document, buyer.email, phone, *whither),
        )


# --- what we read ---

Found = Iterator[Row | RowFlaw]


class _Bad(Exception):
    """A cell that cannot be used."""

    def __init__(self, problem: str, field: str, value: str) -> None:
        self.problem = problem
        self.field = field
        self.value = value[:100]
        super().__init__(problem)


def _whole(config: PartnerFilesConfig, row: Row, name: str, *, least: int = 0) -> int:
    if not row[name]:
        return 0
    found = tables.whole(row[name], config.numbers)
    if found is None or found < least:
        raise _Bad("no_quantity", name, row[name])
    return found


def _moment(config: PartnerFilesConfig, row: Row, name: str) -> datetime | None:
    found = tables.moment(row[name], config.timezone) if row[name] else None
    if row[name] and found is None:
        raise _Bad("no_moment", name, row[name])
    return found


def _word(row: Row, name: str, words: Mapping[str, str]) -> str:
    found = words.get(tables.fold(row[name]))
    if found is None:
        raise _Bad("unknown_word", name, row[name])
    return found


def _yes(row: Row, name: str, *, empty: bool) -> bool:
    found = tables.yes(row[name]) if row[name] else empty
    if found is None:
        raise _Bad("unknown_word", name, row[name])
    return found


def _grams(config: PartnerFilesConfig, row: Row) -> int | None:
    if not row["weight_kg"]:
        return None
    found = tables.number(row["weight_kg"], config.numbers)
    if found is None or not 0 <= found < 100_000:
        raise _Bad("no_weight", "weight_kg", row["weight_kg"])
    return int(found * Decimal(1000))


class _Reading:
    """Rows on their way to what they say: those that cannot be used are set aside, the others go on."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.count = 0
        self.flaws: list[RowFlaw] = []

    def rows(self) -> Iterator[Row]:
        for each in self._found:
            self.count += 1
            if isinstance(each, RowFlaw):
                self.flaws.append(each)
            else:
                yield each

    def bad(self, row: Row, bad: _Bad) -> None:
        self.flaws.append(RowFlaw(row.line, bad.problem, bad.field, bad.value))

    def told(self, kind: str, said: Sequence[Said]) -> FileTold:
        return FileTold(kind=kind, rows=self.count, said=said, flaws=sorted(self.flaws, key=lambda f: f.row))


def _acknowledgements(_config: PartnerFilesConfig, found: Found, _modified: datetime) -> FileTold:
    reading = _Reading(found)
    said: list[Said] = []
    for row in reading.rows():
        try:
            accepted = _yes(row, "accepted", empty=True)
            reason = _word(row, "reason", REASONS) if row["reason"] and not accepted else "other"
        except _Bad as bad:
            reading.bad(row, bad)
        else:
            answer = RequestAnswer(request=row["request"], accepted=accepted, reason=reason, note=row["note"][:500])
            said.append(Said([row.line], answer))
    return reading.told("acknowledgements", said)


def _shipments(config: PartnerFilesConfig, found: Found, _modified: datetime) -> FileTold:
    """Read shipments: the rows of one request and confirmation are one statement, and one bad row holds all of it."""
    reading = _Reading(found)
    groups: dict[tuple[str, str], list[tuple[Row, _Shipped | None]]] = {}
    for row in reading.rows():
        rows = groups.setdefault((row["request"], row["confirmation"]), [])
        try:
            rows.append((row, _Shipped(config, row)))
        except _Bad as bad:
            reading.bad(row, bad)
            rows.append((row, None))
    said: list[Said] = []
    for (request, confirmation), rows in groups.items():
        good = [read for _, read in rows if read is not None]
        if len(good) == len(rows):
            said.append(Said([row.line for row, _ in rows], _shipment(request, confirmation, good)))
        else:
            reading.flaws += [RowFlaw(row.line, "with_others") for row, read in rows if read is not None]
    return reading.told("shipments", said)


class _Shipped:
    """A row of a shipment, read."""

    def __init__(self, config: PartnerFilesConfig, row: Row) -> None:
        self.sku = row["sku"]
        self.quantity = _whole(config, row, "quantity")
        self.short = _whole(config, row, "short")
        if not self.quantity and not self.short:
            raise _Bad("nothing_said", "quantity", row["quantity"])
        self.reason = _word(row, "reason", REASONS)
        self.line = _whole(config, row, "line", least=1) or None
        self.parcel = (row["parcel"], row["tracking"])
        self.carrier = row["carrier"][:100]
        self.tracking = row["tracking"][:100]
        self.url = row["tracking_url"][:500]
        self.grams = _grams(config, row)
        self.at = _moment(config, row, "shipped_at")


def _shipment(request: str, confirmation: str, rows: Sequence[_Shipped]) -> Answer:
    parcels: dict[tuple[str, str], list[_Shipped]] = {}
    for row in rows:
        if row.quantity:
            parcels.setdefault(row.parcel, []).append(row)
    return ShipmentTold(
        request=request,
        confirmation=confirmation,
        parcels=[
            ParcelTold(
                lines=[ToldLine(sku=r.sku, quantity=r.quantity, line=r.line) for r in inside],
                carrier=next((r.carrier for r in inside if r.carrier), ""),
                tracking=inside[0].tracking,
                tracking_url=next((r.url for r in inside if r.url), ""),
                weight_grams=next((r.grams for r in inside if r.grams is not None), None),
            )
            for inside in parcels.values()
        ],
        short=[ShortLine(sku=r.sku, quantity=r.short, line=r.line, reason=r.reason) for r in rows if r.short],
        shipped_at=max((r.at for r in rows if r.at is not None), default=None),
    )


def _adjustments(config: PartnerFilesConfig, found: Found, _modified: datetime) -> FileTold:
    reading = _Reading(found)
    said: list[Said] = []
    for row in reading.rows():
        try:
            quantity = _whole(config, row, "quantity", least=-2_147_483_647)
            at = _moment(config, row, "at")
        except _Bad as bad:
            reading.bad(row, bad)
        else:
            answer = AdjustmentTold(
                reference=row["reference"][:100],
                location=row["location"],
                sku=row["sku"],
                quantity=quantity,
                reason=row["reason"][:100],
                at=at,
            )
            said.append(Said([row.line], answer))
    return reading.told("adjustments", said)


def _receipts(config: PartnerFilesConfig, found: Found, _modified: datetime) -> FileTold:
    reading = _Reading(found)
    groups: dict[tuple[str, str, str], list[tuple[Row, ReceivedLine | None, bool, datetime | None]]] = {}
    for row in reading.rows():
        rows = groups.setdefault((row["reference"], row["notice"], row["location"]), [])
        try:
            condition: Any = _word(row, "condition", CONDITIONS)
            quantity = _whole(config, row, "quantity", least=1)
            line = ReceivedLine(sku=row["sku"], quantity=quantity, condition=condition)
            rows.append((row, line, _yes(row, "complete", empty=False), _moment(config, row, "at")))
        except _Bad as bad:
            reading.bad(row, bad)
            rows.append((row, None, False, None))
    said: list[Said] = []
    for (reference, notice, location), rows in groups.items():
        lines = [line for _, line, _, _ in rows if line is not None]
        if len(lines) != len(rows):
            reading.flaws += [RowFlaw(row.line, "with_others") for row, line, _, _ in rows if line is not None]
            continue
        answer = ReceiptTold(
            reference=reference[:100],
            notice=notice,
            location=location,
            lines=lines,
            complete=any(complete for _, _, complete, _ in rows),
            at=max((at for *_, at in rows if at is not None), default=None),
        )
        said.append(Said([row.line for row, *_ in rows], answer))
    return reading.told("receipts", said)


def _stock(config: PartnerFilesConfig, body: BinaryIO, modified: datetime) -> FileTold:
    """Read stock. A row that cannot be used goes on without a number: it is held there, and empties no shelf.

    Of half a million rows none is kept but its number: whoever wants them has the file read again.

    Raises:
        Invalid: a row cannot be read at all: what it is of would be taken for gone.
    """
    counting = _Counting(config, body)
    numbers = array("I", (line for line, _ in counting.rows()))
    broken = [f for f in counting.flaws if f.problem in {"unreadable", "too_many_cells", "empty_field"}]
    if broken:
        raise Invalid(f"line {broken[0].row}", code="stock_unreadable")
    return FileTold(
        kind="stock",
        rows=counting.count,
        stock=StockTold(as_of=counting.as_of or modified, lines=_Lines(config, body, len(numbers))),
        stock_rows=numbers,
        flaws=counting.flaws,
    )


class _Counting:
    """Rows of stock on their way to what they say."""

    def __init__(self, config: PartnerFilesConfig, body: BinaryIO) -> None:
        self._config = config
        self._reading = _Reading(tables.rows("stock", body, _style(config), most=STOCK_ROWS))
        self.as_of: datetime | None = None

    @property
    def count(self) -> int:
        return self._reading.count

    @property
    def flaws(self) -> list[RowFlaw]:
        return self._reading.flaws

    def rows(self) -> Iterator[tuple[int, CountedLine]]:
        """Yield rows with their lines in the file."""
        for row in self._reading.rows():
            shown: int | str
            try:
                self.as_of = _one_moment(self._config, row, self.as_of)
            except _Bad as bad:
                self._reading.bad(row, bad)
                shown = "?"
            else:
                quantity = tables.whole(row["quantity"], self._config.numbers)
                shown = row["quantity"] if quantity is None else quantity
            yield row.line, CountedLine(location=row["location"], sku=row["sku"], quantity=shown)


class _Lines(Sequence[CountedLine]):
    """The rows of a stock file, read from it each time they are asked for."""

    def __init__(self, config: PartnerFilesConfig, body: BinaryIO, count: int) -> None:
        self._config = config
        self._body = body
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[CountedLine]:
        return (line for _, line in _Counting(self._config, self._body).rows())

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return list(self)[at]
        return next(islice(self, range(self._count)[at], None))


def _one_moment(config: PartnerFilesConfig, row: Row, as_of: datetime | None) -> datetime | None:
    said = _moment(config, row, "as_of")
    if as_of is not None and said is not None and said != as_of:
        raise _Bad("other_moment", "as_of", row["as_of"])
    return said or as_of


_READERS = {
    "acknowledgements": _acknowledgements,
    "shipments": _shipments,
    "adjustments": _adjustments,
    "receipts": _receipts,
}
