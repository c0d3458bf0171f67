"""Tryton 8, an ERP, through its REST protocol with the key of a user application.

Products and stock come from it; sales, credits and what left go to it. Tryton knows no keys of ours, so what is told
once bears a mark in its reference and is found by it again. A sale is made as a draft, looked up by its mark, confirmed
only as the one of its mark and only with the very total of Malha: whatever broke on the way, a second draft is removed
instead of confirmed.

Money goes and comes as Tryton's Decimal. Tryton keeps quantities as numbers with a unit: they go as whole numbers and
are read as exact decimals.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from malha.channels.contract import (
    Capability,
    Ctx,
    DaySummary,
    Document,
    DocumentKind,
    DocumentRules,
    ExtAddress,
    ExtProduct,
    ExtRef,
    ExtStock,
    Health,
    Invalid,
    Limits,
    Missing,
    Ok,
    Page,
    Rejected,
    Result,
    Retryable,
    ShipmentPush,
    Tier,
    Unsure,
)

LOOK_BACK = timedelta(minutes=2)  # a change gets its time when its transaction begins, and shows when that ends
MOST_SALES = 200
CODES = 20  # asked for at once: an address may not be long
ID_MAX = 2**31 - 1
MINOR = {"JPY": 0, "CLP": 0, "PYG": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3, "JOD": 3}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

_PRODUCT = (
    "code",
    "name",
    "active",
    "salable",
    "list_price_used",
    "identifiers.type",
    "identifiers.code",
    "create_date",
    "write_date",
    "template.active",
    "template.create_date",
    "template.write_date",
)
_SALE = ("state", "number", "reference", "total_amount", "currency.code")
_SHIPMENT = ("state", "reference", "warehouse_storage", "warehouse_output")
CONFIRMED = frozenset({"confirmed", "processing", "done"})
NEXT_OF_SALE = {"draft": "quote", "quotation": "confirm"}
NEXT_OF_SHIPMENT = {
    "draft": "wait",
    "waiting": "assign_force",
    "assigned": "pick",
    "picked": "pack",
    "packed": "ship",
    "shipped": "do",
}


class TrytonConfig(DocumentRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ERP is, and how what we tell is booked there."""

    base_url: Annotated[
        str,
        Meta(
            min_length=8, max_length=500, description="Address with the database, as in https://erp.example.com/shop."
        ),
    ]
    company: Annotated[int, Meta(ge=1, le=ID_MAX, description="Id of the company in Tryton.")] = 1
    warehouses: Annotated[
        str,
        Meta(
            max_length=4_000,
            description="Code that Tryton has for each of our locations, as in DC=MAIN, SP=2;"
            " a location that is not named has the code it has here.",
        ),
    ] = ""
    freight_product: Annotated[
        str, Meta(min_length=1, max_length=100, description="Code of the service that freight is booked as.")
    ] = "FRETE"
    adjustment_product: Annotated[
        str, Meta(min_length=1, max_length=100, description="Code of the service that discounts are booked as.")
    ] = "DESCONTO"
    anonymous_party: Annotated[
        str,
        Meta(
            max_length=100, description="Code of the party for buyers without CPF or CNPJ; empty: they are not posted."
        ),
    ] = ""
    shipments: Annotated[
        Literal["malha", "tryton"],
        Meta(description="Who ships: Malha tells Tryton what left, or Tryton makes shipments of each sale."),
    ] = "malha"
    invoices: Annotated[
        Literal["manual", "order", "shipment"], Meta(description="When Tryton makes an invoice of a sale.")
    ] = "manual"
    page: Annotated[int, Meta(ge=1, le=500, description="Products asked for at once.")] = 100


class Tryton:
    """See the module."""

    key: ClassVar[str] = "tryton"
    name: ClassVar[str] = "Tryton"
    config_model: ClassVar[type[msgspec.Struct]] = TrytonConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "key": "Key of a user application for REST, of a user who may sell and ship"
    }
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CATALOG_SOURCE, Capability.STOCK_SOURCE, Capability.DOCUMENTS, Capability.SHIPMENTS}
    )
    limits: ClassVar[Limits] = Limits(rate=50.0, burst=100.0, in_flight=4, batch=100)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    async def check(self, ctx: Ctx) -> Health:
        """Ask for the company, its currency and all that documents are booked with."""
        found = await _search(ctx, "company.company", [["id", "=", ctx.config.company]], ["rec_name", "currency.code"])
        if not found:
            return Health(ok=False, says=f"There is no company {ctx.config.company}, or the user may not see it.")
        currency = found[0]["currency"]["code"]
        if currency != ctx.connection.currency:
            return Health(ok=False, says=f"The company counts in {currency}, not in {ctx.connection.currency}.")
        wanted = [ctx.config.freight_product, ctx.config.adjustment_product]
        there = await _products(ctx, wanted)
        lacking = [f"product {code}" for code in wanted if code not in there]
        places = await _warehouses(ctx)
        lacking += [f"warehouse {code}" for code in _named(ctx).values() if code not in places]
        if code := ctx.config.anonymous_party:
            lacking += [] if await _search(ctx, "party.party", [["code", "=", code]], ["id"]) else [f"party {code}"]
        await _search(ctx, "sale.sale", [], ["id"], size=1)
        if lacking:
            return Health(ok=False, says=f"Tryton has no {', no '.join(lacking)}.")
        return Health(ok=True, says=str(found[0]["rec_name"]), facts={c: str(w["name"]) for c, w in places.items()})

    # --- products and stock ---

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return the products that changed after a cursor; without one, all of them.

        A round reads by id what changed since the round before began, less a little: what was told of that little is
        passed over where it is the same.
        """
        kept = msgspec.json.decode(cursor, type=_Round) if cursor else _Round()
        began = kept.began
        domain: list[Any] = [["id", ">", kept.after], ["code", "!=", None]]
        if kept.since is not None:
            domain.append(_changed_since(kept.since - LOOK_BACK))
        query = _query(domain, _PRODUCT, ctx.config.page)
        both = {"active_test": False}  # a condition would not reach the parts of an OR
        reply = await _ask(ctx, "GET", "product.product", query=query, context=both, operation="pull_products")
        rows = reply.body
        began = began or reply.at
        items = [_product(ctx, row) for row in rows]
        prints = {item.id: _print(item) for item in items}
        fresh = [item for item in items if kept.told.get(item.id) != prints[item.id]]
        more = len(rows) == ctx.config.page
        told = {**kept.now, **prints} if kept.since is not None else {}
        after = msgspec.structs.replace(kept, began=began, after=rows[-1]["id"] if rows else kept.after, now=told)
        if not more:
            after = _Round(since=began, told=told)
        return Page(items=fresh, cursor=_encode(after).decode(), more=more)

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return the stock of goods in the storage of each warehouse, by its code.

        What Tryton set apart there for shipments of its own is not for sale. Parts of a unit are left out.
        """
        at, after = (int(part) for part in cursor.split(":")) if cursor else (0, 0)
        places = sorted((place["id"], code, place) for code, place in (await _warehouses(ctx)).items())
        place = next(((id_, code, place) for id_, code, place in places if id_ >= at), None)
        if place is None:
            return Page(items=[], cursor=f"{at}:{after}")
        id_, code, said = place
        if id_ != at:
            after = 0
        domain = [["id", ">", after], ["type", "=", "goods"], ["code", "!=", None]]
        inside = {"locations": [said["storage_location"]["id"]], "with_childs": True}
        query = _query(domain, ("code", "quantity"), ctx.config.page)
        there = await _ask(ctx, "GET", "product.product", query=query, context=inside, operation="pull_stock")
        free = await _ask(
            ctx, "GET", "product.product", query=query, context={**inside, "stock_assign": True}, operation="pull_stock"
        )
        unassigned = {row["id"]: _whole(row["quantity"]) for row in free.body}
        items = [
            ExtStock(
                sku=row["code"],
                location=code,
                quantity=min(unassigned.get(row["id"], 0), _whole(row["quantity"])),
                on_hand=_whole(row["quantity"]),
                as_of=there.at,
            )
            for row in there.body
        ]
        if len(there.body) == ctx.config.page:
            return Page(items=items, cursor=f"{id_}:{there.body[-1]['id']}", more=True)
        return Page(items=items, cursor=f"{id_ + 1}:0", more=any(other > id_ for other, _, _ in places))

    # --- documents ---

    async def find_document(self, ctx: Ctx, document: Document, key: str) -> ExtRef | None:
        """Return the sale that bears a key's mark; one that was not confirmed yet is."""
        ended = await self._confirmed(ctx, document, _mark(document.number, key))
        if isinstance(ended, Rejected):
            raise Invalid(ended.message, field=ended.field, code=ended.code)
        return None if ended is None else ExtRef(ended.ref)

    async def post_document(self, ctx: Ctx, document: Document, key: str) -> Result:
        """Make a sale, or one with negative quantities that refers to it, and confirm it."""
        mark = _mark(document.number, key)
        made = await self._draft(ctx, document, mark)
        if isinstance(made, Rejected):
            return made
        await _ask(ctx, "POST", "sale.sale", query=_fields(_SALE), body=made, operation="post_document")
        ended = await self._confirmed(ctx, document, mark)
        if ended is None:
            raise Unsure("the sale that was made is not found")
        return ended

    async def _confirmed(self, ctx: Ctx, document: Document, mark: str) -> Ok | Rejected | None:
        """Bring the sale of a mark on its way. Of several the one that is furthest stays, then the oldest."""
        found = await _search(ctx, "sale.sale", [["reference", "=", mark]], _SALE)
        if not found:
            return None
        found.sort(key=lambda sale: (sale["state"] in {"draft", "quotation", "cancelled"}, sale["id"]))
        sale, others = found[0], found[1:]
        if sale["state"] == "cancelled":
            return Rejected("cancelled", f"sale {sale['number']} was cancelled in Tryton")
        if sale["state"] in NEXT_OF_SALE and _minor(sale["total_amount"], document.currency) != document.total:
            await _ask(ctx, "DELETE", f"sale.sale/{sale['id']}", operation="post_document")
            said = sale["total_amount"]["decimal"]
            return Rejected("total", f"Tryton comes to {said}: check its taxes and the digits of prices", "total")
        for other in others:
            if other["state"] == "draft":
                await _ask(ctx, "DELETE", f"sale.sale/{other['id']}", operation="post_document")
        state = sale["state"]
        while state in NEXT_OF_SALE:
            path = f"sale.sale/{sale['id']}/{NEXT_OF_SALE[state]}"
            moved = await _ask(ctx, "POST", path, query=_fields(_SALE), body={}, operation="post_document")
            state = _moved(state, moved.body["state"])
        return Ok(str(sale["id"]))

    async def _draft(self, ctx: Ctx, document: Document, mark: str) -> dict[str, Any] | Rejected:
        config = ctx.config
        codes = [line.code for line in document.lines]
        extra = [(config.freight_product, document.freight), (config.adjustment_product, document.adjustment)]
        there = await _products(ctx, [*codes, *(code for code, amount in extra if amount)])
        for code in [*codes, *(code for code, amount in extra if amount)]:
            if code not in there:
                return Rejected("unknown_sku", f"Tryton has no product with the code {code}", "lines")
        company = await _search(ctx, "company.company", [["id", "=", config.company]], ["currency.id", "currency.code"])
        if not company or company[0]["currency"]["code"] != document.currency:
            return Rejected("currency", f"the company does not count in {document.currency}", "currency")
        party = await _party(ctx, document)
        if isinstance(party, Rejected):
            return party
        places = await _warehouses(ctx)
        if not places:
            return Rejected("warehouse", "Tryton has no warehouse")
        lines = [
            _line(there[line.code], line.quantity, line.unit_price, document.currency, line.name)
            for line in document.lines
        ]
        lines += [_line(there[code], 1, amount, document.currency) for code, amount in extra if amount]
        made = {
            "company": config.company,
            "currency": company[0]["currency"]["id"],
            "party": party.id,
            "invoice_address": party.address,
            "shipment_address": party.address,
            "warehouse": min(place["id"] for place in places.values()),
            "reference": mark,
            "description": f"{_whose(ctx)} {document.channel} {document.reference} {document.order_day}",
            "comment": document.reason,
            "sale_date": _date(date.fromisoformat(document.day)),
            "invoice_method": config.invoices,
            "shipment_method": "order" if config.shipments == "tryton" else "manual",
            "lines": [["create", lines]],
        }
        if document.kind is not DocumentKind.SALE:
            made["origin"] = f"sale.sale,{_id(document.sale)}"
        return made

    async def summarise_documents(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what Tryton has confirmed of the orders placed on a day: sales, and what was taken back of them."""
        del zone  # the day is written into each document
        ids: set[str] = set()
        total, after = 0, 0
        pattern = f"{_like(_whose(ctx))} %{day.isoformat()}"
        while True:
            domain = [
                ["id", ">", after],
                ["company", "=", ctx.config.company],
                ["sale_date", ">=", _date(day)],
                ["description", "like", pattern],
                ["state", "in", sorted(CONFIRMED)],
            ]
            fields = (*_SALE, "origin")
            page = await _search(ctx, "sale.sale", domain, fields, size=MOST_SALES)
            total += sum(_minor(sale["total_amount"], sale["currency"]["code"]) for sale in page)
            ids |= {sale["reference"].partition(" ")[0] for sale in page if not sale["origin"]}
            if len(page) < MOST_SALES:
                return DaySummary(day.isoformat(), len(ids), total, sorted(ids))
            after = page[-1]["id"]

    # --- what left ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return the customer shipment that bears a parcel's mark; one that is not done yet is."""
        del key
        found = await self._done(ctx, _parcel(shipment))
        return None if found is None else ExtRef(found)

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Make a customer shipment of exactly what left, and bring it to done."""
        del key
        if ctx.config.shipments == "tryton":
            return Ok()  # Tryton makes the shipments of what it sells: there is nothing to tell
        made = await self._packed(ctx, shipment)
        if isinstance(made, Rejected):
            return made
        await _ask(ctx, "POST", "stock.shipment.out", query=_fields(_SHIPMENT), body=made, operation="push_shipment")
        found = await self._done(ctx, _parcel(shipment))
        if found is None:
            raise Unsure("the shipment that was made is not found")
        return Ok(found)

    async def _done(self, ctx: Ctx, mark: str) -> str | None:
        found = await _search(ctx, "stock.shipment.out", [["reference", "=", mark]], _SHIPMENT)
        if not found:
            return None
        found.sort(key=lambda each: (each["state"] in {"draft", "cancelled"}, each["id"]))
        parcel, others = found[0], found[1:]
        for other in others:
            if other["state"] == "draft":
                await _ask(ctx, "DELETE", f"stock.shipment.out/{other['id']}", operation="push_shipment")
        if parcel["state"] == "cancelled":
            raise Invalid("the shipment was cancelled in Tryton")
        state = parcel["state"]
        while state in NEXT_OF_SHIPMENT:
            act = NEXT_OF_SHIPMENT[state]
            if act == "pick" and parcel["warehouse_storage"] == parcel["warehouse_output"]:
                act = "pack"  # there is no way between the two
            path = f"stock.shipment.out/{parcel['id']}/{act}"
            # What left has left, whatever Tryton would warn of.
            sure = {"_skip_warnings": True}
            moved = await _ask(
                ctx, "POST", path, query=_fields(_SHIPMENT), body={}, context=sure, operation="push_shipment"
            )
            state = _moved(state, moved.body["state"])
        return str(parcel["id"])

    async def _packed(self, ctx: Ctx, shipment: ShipmentPush) -> dict[str, Any] | Rejected:
        id_ = _id(shipment.order)
        sales = await _search(
            ctx,
            "sale.sale",
            [["id", "=", id_]],
            ["party.id", "party.customer_location", "shipment_address", "currency"],
        )
        if not sales:
            raise Missing(f"there is no sale {shipment.order}")
        sale = sales[0]
        places = await _warehouses(ctx)
        code = _named(ctx).get(shipment.location, shipment.location)
        place = places.get(code) if code else next(iter(places.values()), None)
        if place is None:
            return Rejected("unknown_warehouse", f"Tryton has no warehouse with the code {code}", "location")
        # What stands in for other goods is on a document of its own, which refers to the sale.
        mine = ["OR", ["sale.id", "=", id_], ["sale.origin", "=", f"sale.sale,{id_}"]]
        fields = ("product.id", "product.code", "unit", "unit_price", "quantity", "moves.quantity", "moves.state")
        lines = await _search(ctx, "sale.line", [mine, ["quantity", ">", 0], ["product.type", "=", "goods"]], fields)
        moves = []
        for sku, quantity in _summed(shipment).items():
            mine_of = [line for line in lines if line["product"]["code"] == sku]
            if not mine_of:
                return Rejected("unknown_line", f"the sale has no line of {sku}", "lines")
            moves += [
                {
                    "product": line["product"]["id"],
                    "quantity": units,
                    "unit": line["unit"],
                    "unit_price": line["unit_price"],
                    "currency": sale["currency"],
                    "company": ctx.config.company,
                    "from_location": place["output_location"]["id"],
                    "to_location": sale["party"]["customer_location"],
                    "origin": f"sale.line,{line['id']}",
                }
                for line, units in _shared(mine_of, quantity)
            ]
        return {
            "company": ctx.config.company,
            "customer": sale["party"]["id"],
            "delivery_address": sale["shipment_address"],
            "warehouse": place["id"],
            "warehouse_storage": (place["picking_location"] or place["storage_location"])["id"],
            "warehouse_output": place["output_location"]["id"],
            "reference": _parcel(shipment),
            "moves": [["create", moves]],
        }


def _summed(shipment: ShipmentPush) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in shipment.lines:
        found[line.sku] = found.get(line.sku, 0) + line.quantity
    return found


def _shared(lines: Sequence[Mapping[str, Any]], quantity: int) -> list[tuple[Mapping[str, Any], int]]:
    """Share units among lines of one product: as many as each still has to ship, the rest on the last."""
    shared: list[tuple[Mapping[str, Any], int]] = []
    for n, line in enumerate(lines, 1):
        moved = sum(_whole(move["quantity"]) for move in line["moves"] if move["state"] != "cancelled")
        units = quantity if n == len(lines) else min(quantity, max(0, _whole(line["quantity"]) - moved))
        quantity -= units
        if units:
            shared.append((line, units))
    return shared


# --- parties ---


class _Party(msgspec.Struct, frozen=True):
    id: int
    address: int


async def _party(ctx: Ctx, document: Document) -> _Party | Rejected:
    """Return who buys, found by CPF or CNPJ or made, with the address of the order."""
    number = re.sub(r"[^0-9A-Z]", "", (document.party.document or "").upper())
    if not number:
        code = ctx.config.anonymous_party
        if not code:
            return Rejected("no_document", "the buyer has no CPF or CNPJ, and no party is set for such buyers", "party")
        found = await _search(ctx, "party.party", [["code", "=", code]], ["id"])
        if not found:
            return Rejected("unknown_party", f"Tryton has no party with the code {code}", "party")
        return await _addressed(ctx, found[0]["id"], document)
    kind = {11: "br_cpf", 14: "br_vat"}.get(len(number))  # as Tryton calls the CNPJ
    # The code is unique in Tryton: two orders of a new buyer at one moment make one party.
    code = f"BR-{number}"
    written = [["identifiers.code_compact", "=", number], ["code", "=", code]]
    found = await _search(ctx, "party.party", ["OR", *written], ["id"])
    if found:
        return await _addressed(ctx, found[0]["id"], document)
    made: dict[str, Any] = {"name": document.party.name or number, "code": code}
    if kind:
        made["identifiers"] = [["create", [{"type": kind, "code": number}]]]
    if document.party.email:
        made["contact_mechanisms"] = [["create", [{"type": "email", "value": document.party.email}]]]
    try:
        new = await _ask(ctx, "POST", "party.party", query=_fields(["id"]), body=made, operation="make_party")
    except Invalid:
        found = await _search(ctx, "party.party", [["code", "=", code]], ["id"])
        if not found:
            raise
        return await _addressed(ctx, found[0]["id"], document)
    return await _addressed(ctx, new.body["id"], document)


async def _addressed(ctx: Ctx, party: int, document: Document) -> _Party:
    wanted = _address(document.ship_to)
    fields = ["street", "postal_code", "city"]
    there = await _search(ctx, "party.address", [["party", "=", party]], fields)
    for each in there:
        if not wanted or all((each[f] or "") == wanted[f] for f in fields):
            return _Party(party, each["id"])
    body = {"party": party, "party_name": document.party.name, **wanted}
    made = await _ask(ctx, "POST", "party.address", query=_fields(["id"]), body=body, operation="make_address")
    return _Party(party, made.body["id"])


def _address(said: ExtAddress | None) -> dict[str, str]:
    if said is None:
        return {}
    street = ", ".join(part for part in (said.street, said.number, said.complement, said.district) if part)
    city = f"{said.city}/{said.state}" if said.state else said.city
    return {"street": street, "postal_code": said.postal_code, "city": city}


# --- products, warehouses ---


async def _products(ctx: Ctx, codes: Sequence[str]) -> dict[str, Any]:
    fields = ["code", "template.default_uom"]
    found: dict[str, Any] = {}
    wanted = sorted(set(codes))
    for n in range(0, len(wanted), CODES):
        domain = [["code", "in", wanted[n : n + CODES]]]
        found |= {row["code"]: row for row in await _search(ctx, "product.product", domain, fields)}
    return found


async def _warehouses(ctx: Ctx) -> dict[str, Any]:
    """Return the warehouses by their codes; one without a code has its id for one."""
    fields = ["code", "name", "storage_location.id", "picking_location.id", "output_location.id"]
    rows = await _search(ctx, "stock.location", [["type", "=", "warehouse"]], fields)
    return {row["code"] or str(row["id"]): row for row in rows}


def _named(ctx: Ctx) -> dict[str, str]:
    """Return the codes of warehouses by our locations, as far as they are set."""
    pairs = (pair.partition("=") for pair in ctx.config.warehouses.split(",") if pair.strip())
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs if theirs.strip()}


def _line(product: Mapping[str, Any], quantity: int, price: int, currency: str, name: str = "") -> dict[str, Any]:
    line = {
        "type": "line",
        "product": product["id"],
        "unit": product["template"]["default_uom"],
        "quantity": quantity,
        "unit_price": _major(price, currency),
    }
    return {**line, "description": name} if name else line


class _Round(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where reading products is: `since` when the last round began, and what of this one was read."""

    since: datetime | None = None
    began: datetime | None = None
    after: int = 0
    told: dict[str, str] = {}  # what the last round told of what had just changed
    now: dict[str, str] = {}


def _changed_since(at: datetime) -> list[Any]:
    """Return the condition that a product, its template, its price or its codes changed since an instant."""
    when = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    paths = ("", "template.", "template.list_prices.", "list_prices.", "identifiers.")
    return ["OR", *([f"{path}{field}", ">=", when] for path in paths for field in ("create_date", "write_date"))]


def _product(ctx: Ctx, row: Mapping[str, Any]) -> ExtProduct:
    price = row.get("list_price_used")
    template = row["template"]
    dates = [d for r in (row, template) for d in (r["create_date"], r["write_date"]) if d]
    gtin = next((i["code"] for i in row["identifiers"] if i["type"] == "ean" and len(i["code"]) in {8, 12, 13, 14}), "")
    return ExtProduct(
        id=str(row["id"]),
        sku=row["code"] or "",
        gtin=gtin,
        name=row["name"] or "",
        price=_minor(price, ctx.connection.currency) if price is not None else None,
        active=bool(row["active"] and template["active"] and row["salable"]),
        version=max((_micros(_instant(d)) for d in dates), default=0),
    )


def _print(item: ExtProduct) -> str:
    return f"{item.version}:{item.price}:{item.gtin}:{int(item.active)}:{item.sku}"


# --- marks ---


def _mark(number: str, key: str) -> str:
    return f"{number} #{key}"


def _parcel(shipment: ShipmentPush) -> str:
    return " ".join(part for part in (shipment.carrier, shipment.tracking, f"#{shipment.shipment}") if part)


def _whose(ctx: Ctx) -> str:
    return f"Malha {ctx.connection.code}:"


def _like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= ID_MAX):
        raise Missing(f"there is no sale {text}")
    return int(text)


def _moved(before: str, after: Any) -> str:
    """Return the state after an action; one that changes nothing must not be done for ever."""
    if after == before:
        raise Retryable(f"Tryton leaves it in the state {before}")
    return str(after)


# --- values as Tryton writes them ---


def _major(amount: int, currency: str) -> dict[str, str]:
    value = Decimal(amount).scaleb(-MINOR.get(currency, 2))
    return {"__class__": "Decimal", "decimal": format(value, "f")}


def _minor(said: Any, currency: str) -> int:
    """Return minor units; what Tryton keeps more exactly is rounded half up."""
    value = Decimal(said["decimal"]) if isinstance(said, Mapping) else Decimal(said)
    return int(value.scaleb(MINOR.get(currency, 2)).quantize(Decimal(1), ROUND_HALF_UP))


def _whole(said: Any) -> int:
    value = Decimal(said or 0)
    return int(value // 1)


def _date(day: date) -> dict[str, Any]:
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


def _instant(said: Mapping[str, Any]) -> datetime:
    return datetime(**{k: int(v) for k, v in said.items() if k != "__class__"}, tzinfo=UTC)


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# --- the way there ---


class _Said(msgspec.Struct, frozen=True):
    body: Any
    at: datetime  # by Tryton's clock, else by ours


def _b64(value: Any) -> str:
    return urlsafe_b64encode(_encode(value)).decode()


def _fields(fields: Sequence[str]) -> list[tuple[str, str]]:
    return [("f", field) for field in fields]


def _query(domain: Sequence[Any], fields: Sequence[str], size: int | None = None) -> list[tuple[str, str]]:
    query = [("d", _b64(domain)), ("o", _b64([["id", "ASC"]])), *_fields(fields)]
    return [*query, ("s", str(size))] if size else query


async def _search(
    ctx: Ctx, model: str, domain: Sequence[Any], fields: Sequence[str], size: int | None = None
) -> list[dict[str, Any]]:
    found = await _ask(ctx, "GET", model, query=_query(domain, fields, size), operation=f"find {model}")
    rows: list[dict[str, Any]] = found.body
    return rows


async def _ask(
    ctx: Ctx,
    method: str,
    path: str,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
    context: Mapping[str, Any] | None = None,
    operation: str,
) -> _Said:
    """Ask Tryton and return what it says.

    Raises:
        AuthExpired: it does not know the key.
        Invalid: it refuses; its own words are in it.
        Missing: there is no such record, or no such database.
        Unsure: the answer cannot be read.
    """
    headers = {
        "authorization": f"Bearer {ctx.access.secret('key')}",
        "content-type": "application/json",
        "x-tryton-context": _b64({"company": ctx.config.company, **(context or {})}),
    }
    url = f"{ctx.config.base_url.rstrip('/')}/rest/model/{path}"
    if query:
        url += f"?{urlencode(query)}"
    sent = None if body is None else _encode(body)
    reply = await ctx.http.send(method, url, headers=headers, body=sent, operation=operation)
    if reply.status == 404:
        raise Missing(f"Tryton has no {path.partition('?')[0]}")
    if reply.status >= 400:
        raise Invalid(f"HTTP {reply.status} from Tryton", code=str(reply.status))
    try:
        said = _decode(reply.body) if reply.body else None
    except msgspec.DecodeError as error:
        raise Unsure(f"the answer cannot be read: {error}"[:200]) from None
    if method == "GET" and not isinstance(said, list):
        raise Unsure("the answer is no list")
    if method == "POST" and not isinstance(said, dict):
        raise Unsure("the answer is no record")
    return _Said(said, _clock(reply.headers.get("date")) or ctx.now())


def _clock(said: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(said) if said else None
    except ValueError:
        return None
    return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
