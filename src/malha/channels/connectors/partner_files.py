"""A logistics partner that writes and reads CSV files at an SFTP server: a 3PL, a WMS.

We write into `out`, one file for each thing that is asked, named by what it asks and by its key:

    PICK_F12_1f0c9a34.csv   CANCEL_F12_77ab01c2.csv   ASN_PO7_v1_0b54e911.csv

The partner writes into `in`; which file says what is told by its name (`ACK*`, `SHIP*`, `ADJ*`, `RECV*`, `STOCK*`).
What was read is put into `processed`, or into `errors` beside the rows that are to be mended. The columns of each file
are described on the page "Connect a logistics partner".
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, BinaryIO, ClassVar

import msgspec
from msgspec import Meta

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.filed import FilesConfig, Folders, Pattern, files_of, style_of
from malha.channels.connectors.filed_rows import Bad, Found, Reading, grams_of, moment_of, whole_of, word_of, yes_of
from malha.channels.connectors.filed_stock import stock_told
from malha.channels.connectors.partner_tables import Row, Style
from malha.channels.contract import (
    SHORT_REASONS,
    AdjustmentTold,
    Answer,
    Ask,
    Capability,
    Ctx,
    ExtAddress,
    ExtBuyer,
    ExtRef,
    FileTold,
    InboundNotice,
    Invalid,
    Limits,
    Ok,
    ParcelTold,
    PickCancel,
    PickRequest,
    ReceiptTold,
    ReceivedLine,
    RequestAnswer,
    Result,
    RowFlaw,
    Said,
    ShipmentTold,
    ShortLine,
    Tier,
    ToldLine,
)

ROWS = 50_000
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


class PartnerFilesConfig(FilesConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are, how the partner writes, and which of its files say what."""

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


class PartnerFiles(Folders):
    """See the module."""

    key: ClassVar[str] = "partner_files"
    name: ClassVar[str] = "Partner by files (SFTP)"
    config_model: ClassVar[type[msgspec.Struct]] = PartnerFilesConfig
    kinds: ClassVar[Sequence[str]] = ("acknowledgements", "shipments", "adjustments", "receipts", "stock")
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FULFILMENT, Capability.FILES})
    limits: ClassVar[Limits] = Limits(rate=20.0, burst=100.0, in_flight=4, batch=100)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    # --- what it is asked ---

    async def find_ask(self, ctx: Ctx, ask: Ask, key: str) -> ExtRef | None:
        """Tell whether the file was ever to be seen, though the partner may have taken it away."""
        name = _name(ask, key)
        return ExtRef(name) if await files_of(ctx).wrote(ctx.config.outgoing, name) else None

    async def ask(self, ctx: Ctx, ask: Ask, key: str) -> Result:
        """Write the file of what is asked."""
        name = _name(ask, key)
        await files_of(ctx).write(ctx.config.outgoing, name, _body(ask, style_of(ctx.config)))
        return Ok(name)

    # --- what it answers ---

    def understand(self, config: PartnerFilesConfig, name: str, body: BinaryIO, modified: datetime) -> FileTold:
        """Return what a file tells; stock is read from it again whenever its lines are asked for."""
        kind = self.kind_of(config, name)
        if kind is None:
            raise Invalid(name, code="unknown_file")
        if kind == "stock":
            return stock_told(config, name, body, modified)
        return _READERS[kind](config, tables.rows(kind, body, style_of(config), most=ROWS), modified)


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


def _acknowledgements(_config: PartnerFilesConfig, found: Found, _modified: datetime) -> FileTold:
    reading = Reading(found)
    said: list[Said] = []
    for row in reading.rows():
        try:
            accepted = yes_of(row, "accepted", empty=True)
            reason = word_of(row, "reason", REASONS) if row["reason"] and not accepted else "other"
        except Bad as bad:
            reading.bad(row, bad)
        else:
            answer = RequestAnswer(request=row["request"], accepted=accepted, reason=reason, note=row["note"][:500])
            said.append(Said([row.line], answer))
    return reading.told("acknowledgements", said)


def _shipments(config: PartnerFilesConfig, found: Found, _modified: datetime) -> FileTold:
    """Read shipments: the rows of one request and confirmation are one statement, and one bad row holds all of it."""
    reading = Reading(found)
    groups: dict[tuple[str, str], list[tuple[Row, _Shipped | None]]] = {}
    for row in reading.rows():
        rows = groups.setdefault((row["request"], row["confirmation"]), [])
        try:
            rows.append((row, _Shipped(config, row)))
        except Bad as bad:
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
        self.quantity = whole_of(config, row, "quantity")
        self.short = whole_of(config, row, "short")
        if not self.quantity and not self.short:
            raise Bad("nothing_said", "quantity", row["quantity"])
        self.reason = word_of(row, "reason", REASONS)
        self.line = whole_of(config, row, "line", least=1) or None
        self.parcel = (row["parcel"], row["tracking"])
        self.carrier = row["carrier"][:100]
        self.tracking = row["tracking"][:100]
        self.url = row["tracking_url"][:500]
        self.grams = grams_of(config, row)
        self.at = moment_of(config, row, "shipped_at")


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
    reading = Reading(found)
    said: list[Said] = []
    for row in reading.rows():
        try:
            quantity = whole_of(config, row, "quantity", least=-2_147_483_647)
            at = moment_of(config, row, "at")
        except Bad as bad:
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
    reading = Reading(found)
    groups: dict[tuple[str, str, str], list[tuple[Row, ReceivedLine | None, bool, datetime | None]]] = {}
    for row in reading.rows():
        rows = groups.setdefault((row["reference"], row["notice"], row["location"]), [])
        try:
            condition: Any = word_of(row, "condition", CONDITIONS)
            quantity = whole_of(config, row, "quantity", least=1)
            line = ReceivedLine(sku=row["sku"], quantity=quantity, condition=condition)
            rows.append((row, line, yes_of(row, "complete", empty=False), moment_of(config, row, "at")))
        except Bad as bad:
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


_READERS = {
    "acknowledgements": _acknowledgements,
    "shipments": _shipments,
    "adjustments": _adjustments,
    "receipts": _receipts,
}
