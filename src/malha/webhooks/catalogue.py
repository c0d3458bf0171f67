"""The public events: which of the log's events others are told, as what, and who may know of them.

A public event says codes where the log has ids of ours (`location`, `sku`, `channel`), names what the log keeps as
rows of numbers, and leaves out what people wrote. What is told is declared here by class and worked out from its
fields; `tests/contract/public_events.json` keeps the outcome: a field that is renamed in the log cannot change silently
what others read. A changed meaning is a new `VERSION`, fields may be added to a version.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from inspect import cleandoc
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from malha.channels import events as channels
from malha.fiscal import events as fiscal
from malha.fulfillment import events as fulfillment
from malha.inventory import events as inventory
from malha.inventory.ahead import events as ahead
from malha.inventory.allotments import events as allotments
from malha.inventory.counts import events as counts
from malha.inventory.supply import events as supply
from malha.inventory.transfers import events as transfers
from malha.inventory.vendors import events as vendors
from malha.ordering import events as ordering
from malha.payments import events as payments
from malha.platform.ids import UUID
from malha.platform.outbox import Event

TEST = "webhook.test"  # of no aggregate: sent when somebody asks whether an address works

# By what one has to be allowed to see.
_ORDERS = (
    ordering.OrderPlaced,
    ordering.OrderCancelled,
    ordering.HoldPlaced,
    ordering.HoldResolved,
    ordering.SlotChanged,
    ordering.AddressChanged,
    ordering.BuyerChanged,
    ordering.DetailsChanged,
    ordering.OrderTagged,
    ordering.NoteAdded,
    ordering.LineMapped,
    ordering.LineReplaced,
    ordering.OrderRouted,
    ordering.OrderSupplied,
    ordering.OrderAwaitsSupply,
    ordering.OrderLate,
    ordering.OrderRepromised,
    payments.PaymentAuthorised,
    payments.PaymentCaptured,
    payments.PaymentRefunded,
    payments.PaymentChargedBack,
    payments.PaymentVoided,
    payments.PaymentDeclined,
    payments.TenderAdded,
    payments.PaymentTimeOver,
    payments.PaymentTimeExtended,
    fiscal.DocumentRecorded,
    fiscal.DocumentCancelled,
    fulfillment.WorkReleased,
    fulfillment.WorkMoved,
    fulfillment.WorkAccepted,
    fulfillment.WorkRejected,
    fulfillment.UnitsPicked,
    fulfillment.UnitsShort,
    fulfillment.WorkPacked,
    fulfillment.WorkShipped,
    fulfillment.WorkSent,
    fulfillment.WorkArrived,
    fulfillment.ShipmentOut,
    fulfillment.ShipmentDelivered,
    fulfillment.WorkReady,
    fulfillment.PickupExpiring,
    fulfillment.PickupExpired,
    fulfillment.PickupReturned,
    fulfillment.PickupExtended,
    fulfillment.PickupRefused,
    fulfillment.WorkCollected,
    fulfillment.WorkCancelled,
    vendors.DropShipAsked,
    vendors.DropShipAccepted,
    vendors.DropShipRefused,
    vendors.DropShipSent,
    vendors.DropShipCancelled,
)
_STOCK = (
    inventory.StockIncreased,
    inventory.StockDecreased,
    inventory.StockShortfall,
    counts.CountRaised,
    counts.CountApplied,
    counts.CountCancelled,
    counts.StockSuspected,
    counts.SuspicionLifted,
    supply.InboundPlaced,
    supply.InboundChanged,
    supply.IncomingRescheduled,
    supply.InboundDropped,
    supply.InboundReceived,
    supply.ReceiptTakenBack,
    transfers.TransferRequested,
    transfers.TransferApproved,
    transfers.TransferShipped,
    transfers.TransferClosedShort,
    transfers.TransferRescheduled,
    transfers.TransferReceived,
    transfers.DiscrepancyDecided,
    transfers.TransferCancelled,
)
# Events that wake parts of this program and mean nothing outside of it, and why.
INTERNAL: Mapping[type[Event], str] = {
    ahead.SupplyOffered: "makes the queue of waiting orders move up; what becomes of them are events of the orders",
    ahead.SupplyClaimsMoved: "makes orders follow their goods; what becomes of them are events of the orders",
    channels.ListingsUnsettled: "has channels told again; each listing says what its channel was told",
    allotments.FenceShrunk: "a fence is known by a number of ours; who manages allotments sees it in the console",
}

# What a row of numbers means: (type, field) or field alone.
_ROWS: Mapping[tuple[str, str] | str, tuple[str, ...]] = {
    ("drop_ship.asked", "lines"): ("line", "sku_id", "quantity", "unit_cost"),
    ("fulfillment.short", "lines"): ("line", "sku_id", "quantity", "reason"),
    ("inbound.changed", "lines"): ("line", "sku_id", "was", "became"),
    ("inbound.changed", "added"): ("line", "sku_id", "quantity", "date"),
    ("inbound.placed", "lines"): ("line", "sku_id", "quantity", "date"),
    ("inbound.rescheduled", "moves"): ("line", "sku_id", "quantity", "was", "became"),
    ("order.awaits_supply", "lines"): ("line", "quantity"),
    ("order.cancelled", "lines"): ("line", "quantity"),
    "unplaced": ("line", "quantity"),
    "placed": ("line", "location_id", "quantity"),
    "dropped": ("line", "location_id", "quantity"),
    "companions": ("line", "sku_id", "quantity"),
    "lines": ("line", "sku_id", "quantity"),
}
_CODES = {
    "location_id": ("location", "locations"),
    "origin_id": ("origin", "locations"),
    "destination_id": ("destination", "locations"),
    "locations": ("locations", "locations"),
    "channel_id": ("channel", "channels"),
    "sku_id": ("sku", "skus"),
    "by_sku_id": ("by_sku", "skus"),
    "skus": ("skus", "skus"),
}
# What people wrote may name other people; what belongs together with the aggregate's own identifier is said once.
_LEFT_OUT = frozenset({"note", "id", "seq", "saved_together"})
_NAMED = ("order", "transfer", "count", "inbound", "drop_ship")  # aggregates with an identifier that the API knows


class Field(msgspec.Struct, frozen=True):
    """One public field: where it comes from, and as what."""

    name: str
    source: str
    kind: Any  # its public type
    codes: str = ""  # which ids of ours become codes: locations, channels or skus
    row: tuple[tuple[str, str], ...] = ()  # of a list of rows: (public name, which ids) per column


class Public(msgspec.Struct, frozen=True):
    """One public type of event."""

    type: str
    version: int
    kind: str  # of aggregate
    permission: str
    when: str  # one sentence, English
    fields: tuple[Field, ...]
    data: Any  # msgspec struct class of its `data`


class Shipped(msgspec.Struct, frozen=True):
    """A parcel that left."""

    id: UUID
    carrier: str | None
    tracking_code: str | None


def _public_of(event: type[Event], permission: str) -> Public:
    hints = get_type_hints(event)
    fields = [] if event.KIND not in _NAMED else [Field(f"{event.KIND}_id", "id", UUID)]
    fields += [
        _field(event, name, hints[name]) for name in event.__struct_fields__ if name not in _LEFT_OUT and name in hints
    ]
    optional = {f.name for f in msgspec.structs.fields(event) if not f.required}
    data = msgspec.defstruct(
        f"{event.__name__}Data",
        [(f.name, f.kind) if f.source not in optional else (f.name, f.kind | None, None) for f in fields],
        frozen=True,
        kw_only=True,
    )
    data.__doc__ = None
    when = " ".join(cleandoc(event.__doc__ or "").split("\n\n")[0].split())
    return Public(event.TYPE, event.VERSION, event.KIND, permission, _outside(when), tuple(fields), data)


def _outside(sentence: str) -> str:
    """Return what a class says of itself without the remark on how it keeps rows: they have names here."""
    first, separator, rest = sentence.partition("; `")
    said = f"{first}." if separator and " are (" in rest else sentence.partition("; `placed` (")[0]
    return said if said.endswith(".") else f"{said}."


def _field(event: type[Event], name: str, kind: Any) -> Field:
    row = _ROWS.get((event.TYPE, name)) or (_ROWS.get(name) if _has_rows(kind) else None)
    if row:
        columns = tuple(_CODES.get(column, (column, "")) for column in row)
        of = dict(zip(row, _row_types(kind), strict=True))
        struct = msgspec.defstruct(
            "".join(part.title() for part in (*event.TYPE.replace("_", ".").split("."), name, "Row")),
            [(public, str if codes else of[column]) for column, (public, codes) in zip(row, columns, strict=True)],
            frozen=True,
        )
        struct.__doc__ = None
        return Field(name, name, list[struct], row=columns)  # type: ignore[valid-type]
    if name == "shipments":
        return Field(name, name, list[Shipped])
    public, codes = _CODES.get(name, (name, ""))
    return Field(public, name, _coded(kind) if codes else kind, codes)


def _has_rows(kind: Any) -> bool:
    inner = get_args(kind)
    return get_origin(kind) in {list, dict} and (get_origin(kind) is dict or get_origin(inner[0]) is tuple)


def _row_types(kind: Any) -> tuple[Any, ...]:
    inner = get_args(kind)
    return inner if get_origin(kind) is dict else get_args(inner[0])


def _coded(kind: Any) -> Any:
    if get_origin(kind) is list:
        return list[str]
    return str | None if get_origin(kind) in {Union, UnionType} else str


PUBLIC: Mapping[str, Public] = {
    public.type: public
    for public in (
        *(_public_of(event, "orders:read") for event in _ORDERS),
        *(_public_of(event, "stock:read") for event in _STOCK),
    )
}
FAMILIES = tuple(sorted({name.partition(".")[0] for name in PUBLIC}))


def types_of(wanted: Collection[str], may: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the public types that names or families (`order.*`, `*`) mean, of those somebody may know of; sorted."""
    return tuple(
        sorted(
            public.type
            for public in PUBLIC.values()
            if may(public.permission)
            and not {public.type, f"{public.type.partition('.')[0]}.*", "*"}.isdisjoint(wanted)
        )
    )


def unknown_types(wanted: Sequence[str]) -> list[str]:
    """Return which of these are neither a public type nor a family of them."""
    known = {*PUBLIC, *(f"{family}.*" for family in FAMILIES), "*"}
    return [name for name in dict.fromkeys(wanted) if name not in known]


class Names(msgspec.Struct, frozen=True):
    """Codes by id, of what some events name."""

    locations: Mapping[int, str]
    channels: Mapping[int, str]
    skus: Mapping[int, str]

    def of(self, which: str, id_: Any) -> Any:
        """Return a code, or codes; what is gone since has none, and is told as `#` and our id."""
        if isinstance(id_, list):
            return [self.of(which, one) for one in id_]
        found: Mapping[int, str] = getattr(self, which)
        return None if id_ is None else found.get(id_) or f"#{id_}"


def skus_in(facts: Mapping[str, Any], public: Public) -> set[int]:
    """Return the SKUs that an event names, by id."""
    found: set[int] = set()
    for field in public.fields:
        value = facts.get(field.source)
        if not value:
            continue
        if field.codes == "skus":
            found |= set(value) if isinstance(value, list) else {value}
        for at, (_name, codes) in enumerate(field.row):
            if codes == "skus":
                found |= {row[at] for row in _rows(value)}
    return found


def data_of(
    facts: Mapping[str, Any], public: Public, names: Names, within: Collection[int] | None = None
) -> dict[str, Any]:
    """Return an event's public data; other locations' shares are left out for who sees only some (`within`)."""
    data: dict[str, Any] = {}
    for field in public.fields:
        if field.source not in facts:
            continue
        value = facts[field.source]
        if field.row:
            rows = _rows(value)
            for at, (_name, codes) in enumerate(field.row):
                if codes == "locations" and within is not None:
                    rows = [row for row in rows if row[at] in within]
            value = [
                {
                    name: names.of(codes, cell) if codes else cell
                    for (name, codes), cell in zip(field.row, row, strict=True)
                }
                for row in rows
            ]
        elif field.codes:
            if field.codes == "locations" and within is not None and isinstance(value, list):
                value = [one for one in value if one in within]
            value = names.of(field.codes, value)
        data[field.name] = value
    return data


def _rows(value: Any) -> list[Any]:
    return [(int(line), quantity) for line, quantity in value.items()] if isinstance(value, dict) else value


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event as others are told it. `data` depends on `type`; see the types of events.

    `id` is the same however often it is sent: who has seen it drops it. `cursor` is the event's place in the log.
    Events of one `subject` come in the order of `sequence`.
    """

    id: str
    type: str
    version: int
    timestamp: datetime
    subject: str
    sequence: int
    actor: str
    cursor: int
    data: dict[str, Any]


@cache
def schema_of(type_: str) -> dict[str, Any]:
    """Return the JSON Schema of a public type's whole body."""
    public = PUBLIC[type_]
    parts = msgspec.json.schema_components([public.data], ref_template="#/$defs/{name}")[1]
    whole = dict(msgspec.json.schema_components([Envelope])[1]["Envelope"])
    whole["properties"] = {
        **whole["properties"],
        "type": {"const": public.type},
        "version": {"const": public.version},
        "data": {"$ref": f"#/$defs/{public.data.__name__}"},
    }
    whole["title"] = public.type
    whole["description"] = public.when
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": dict(sorted(parts.items()))}


_EXAMPLES: Mapping[str, Any] = {
    "sku": "CAM-P-AZUL", "by_sku": "CAM-P-PRETA", "skus": ["CAM-P-AZUL"], "location": "SP01", "origin": "CD1",
    "destination": "SP01", "locations": ["SP01"], "channel": "web", "total": 15990, "amount": 15990, "line": 1,
    "quantity": 1, "units": 1, "number": 1024, "reason": "customer", "status": "reserved", "currency": "BRL",
    "state": "SP", "former_state": "RJ", "carrier": "Correios", "tracking_code": "AA123456785BR", "tender": "pix",
    "reference": "E123", "holds": [], "kind": "payment", "attempt": 1, "fields": ["phone"], "model": "55", "series": 1,
    "provider": "erp", "weight_grams": 450, "parcels": 1, "until": "2026-12-03T02:59:59Z", "source": "person",
    "decision": "lost", "why": "delay", "resolution": "paid", "sku_text": "CAM P AZUL", "note_id":
    "01932c4e-7a10-7c3e-9f52-0a4b8d6e2f12", "document": None, "keep_days": 7, "position": 1, "saved": None,
}  # fmt: skip
# What a name means in one type alone; otherwise a state is one of Brazil's.
_OWN: Mapping[tuple[str, str], Any] = {
    ("inbound.changed", "state"): "partial",
    ("inbound.changed", "lines"): [{"line": 1, "sku": "CAM-P-AZUL", "was": 12, "became": 10}],
    ("inbound.received", "state"): "partial",
    ("payment.authorised", "state"): "authorised",
    ("payment.captured", "state"): "paid",
    ("payment.refunded", "state"): "refunded",
    ("payment.charged_back", "state"): "refunded",
    ("payment.voided", "state"): "unpaid",
    ("payment.declined", "state"): "declined",
    ("payment.tender_added", "state"): "pending",
}


def example_of(type_: str) -> dict[str, Any]:
    """Return an example of a public type's whole body."""
    public = PUBLIC[type_]
    subject = f"{public.kind}:01932c4e-7a10-7c3e-9f52-0a4b8d6e2f11"
    return {
        "id": "evt_" + "a3f9" * 6,
        "type": public.type,
        "version": public.version,
        "timestamp": "2026-11-27T12:00:00.123456Z",
        "subject": subject,
        "sequence": 3,
        "actor": "system",
        "cursor": 48213,
        "data": {f.name: _OWN.get((type_, f.name)) or _example(f.name, f.kind) for f in public.fields},
    }


def _example(name: str, kind: Any) -> Any:
    inner = get_args(kind)
    if get_origin(kind) is list and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct):
        return [{f.name: _example(f.name, f.type) for f in msgspec.structs.fields(inner[0])}]
    plain = (
        next((part for part in inner if part is not type(None)), kind)
        if get_origin(kind) in {Union, UnionType}
        else kind
    )
    if name in _EXAMPLES and not (plain is str and not isinstance(_EXAMPLES[name], str | None)):
        return _EXAMPLES[name]
    samples = {
        UUID: "01932c4e-7a10-7c3e-9f52-0a4b8d6e2f11",
        datetime: "2026-11-30T23:59:59-03:00",
        date: "2026-11-30",
        bool: False,
        int: 1,
        str: "text",
    }
    return [1] if get_origin(plain) is list else samples.get(plain)


__all__ = [
    "FAMILIES",
    "INTERNAL",
    "PUBLIC",
    "TEST",
    "Envelope",
    "Names",
    "Public",
    "data_of",
    "example_of",
    "schema_of",
    "skus_in",
    "types_of",
    "unknown_types",
]
