"""Sales, and sales with negative quantities which take back of them."""

from datetime import date
from typing import Any

from malha.channels.connectors.tryton.asking import ask, fields_of, moved_to, search
from malha.channels.connectors.tryton.closing import close_units
from malha.channels.connectors.tryton.goods import line_of, products_of, warehouses
from malha.channels.connectors.tryton.parties import party_of
from malha.channels.connectors.tryton.values import date_of, id_of, like, mark_of, minor_of, whose
from malha.channels.contract import (
    Ctx,
    DaySummary,
    Document,
    DocumentKind,
    ExtRef,
    Invalid,
    Ok,
    Rejected,
    Result,
    Unsure,
)

MOST_SALES = 200
SALE = ("state", "number", "reference", "total_amount", "currency.code")
CONFIRMED = frozenset({"confirmed", "processing", "done"})
NEXT_OF_SALE = {"draft": "quote", "quotation": "confirm"}


async def find_document(ctx: Ctx, document: Document, key: str) -> ExtRef | None:
    """Return the sale that bears a key's mark; one that was not confirmed yet is."""
    ended = await _confirmed(ctx, document, mark_of(document.number, key))
    if isinstance(ended, Rejected):
        raise Invalid(ended.message, field=ended.field, code=ended.code)
    if ended is None:
        return None
    await close_units(ctx, document, ended.ref)
    return ExtRef(ended.ref)


async def post_document(ctx: Ctx, document: Document, key: str) -> Result:
    """Make a sale, or one with negative quantities that refers to it, and confirm it."""
    mark = mark_of(document.number, key)
    made = await _draft(ctx, document, mark)
    if isinstance(made, Rejected):
        return made
    await ask(ctx, "POST", "sale.sale", query=fields_of(SALE), body=made, operation="post_document")
    ended = await _confirmed(ctx, document, mark)
    if ended is None:
        raise Unsure("the sale that was made is not found")
    if isinstance(ended, Ok):
        await close_units(ctx, document, ended.ref)
    return ended


async def _confirmed(ctx: Ctx, document: Document, mark: str) -> Ok | Rejected | None:
    """Bring the sale of a mark on its way. Of several the one that is furthest stays, then the oldest."""
    found = await search(ctx, "sale.sale", [["reference", "=", mark]], SALE)
    if not found:
        return None
    found.sort(key=lambda sale: (sale["state"] in {"draft", "quotation", "cancelled"}, sale["id"]))
    sale, others = found[0], found[1:]
    if sale["state"] == "cancelled":
        return Rejected("cancelled", f"sale {sale['number']} was cancelled in Tryton")
    if sale["state"] in NEXT_OF_SALE and minor_of(sale["total_amount"], document.currency) != document.total:
        await ask(ctx, "DELETE", f"sale.sale/{sale['id']}", operation="post_document")
        said = sale["total_amount"]["decimal"]
        return Rejected("total", f"Tryton comes to {said}: check its taxes and the digits of prices", "total")
    for other in others:
        if other["state"] == "draft":
            await ask(ctx, "DELETE", f"sale.sale/{other['id']}", operation="post_document")
    state = sale["state"]
    while state in NEXT_OF_SALE:
        path = f"sale.sale/{sale['id']}/{NEXT_OF_SALE[state]}"
        moved = await ask(ctx, "POST", path, query=fields_of(SALE), body={}, operation="post_document")
        state = moved_to(state, moved.body["state"])
    return Ok(str(sale["id"]))


async def _draft(ctx: Ctx, document: Document, mark: str) -> dict[str, Any] | Rejected:
    config = ctx.config
    codes = [line.code for line in document.lines]
    extra = [(config.freight_product, document.freight), (config.adjustment_product, document.adjustment)]
    there = await products_of(ctx, [*codes, *(code for code, amount in extra if amount)])
    for code in [*codes, *(code for code, amount in extra if amount)]:
        if code not in there:
            return Rejected("unknown_sku", f"Tryton has no product with the code {code}", "lines")
    company = await search(ctx, "company.company", [["id", "=", config.company]], ["currency.id", "currency.code"])
    if not company or company[0]["currency"]["code"] != document.currency:
        return Rejected("currency", f"the company does not count in {document.currency}", "currency")
    party = await party_of(ctx, document)
    if isinstance(party, Rejected):
        return party
    places = await warehouses(ctx)
    if not places:
        return Rejected("warehouse", "Tryton has no warehouse")
    lines = [
        line_of(there[line.code], line.quantity, line.unit_price, document.currency, line.name)
        for line in document.lines
    ]
    lines += [line_of(there[code], 1, amount, document.currency) for code, amount in extra if amount]
    made = {
        "company": config.company,
        "currency": company[0]["currency"]["id"],
        "party": party.id,
        "invoice_address": party.address,
        "shipment_address": party.address,
        "warehouse": min(place["id"] for place in places.values()),
        "reference": mark,
        "description": f"{whose(ctx)} {document.channel} {document.reference} {document.order_day}",
        "comment": document.reason,
        "sale_date": date_of(date.fromisoformat(document.day)),
        "invoice_method": config.invoices,
        # Of a credit nothing had left, so nothing is to come back.
        "shipment_method": "order"
        if config.shipments == "tryton" and document.kind in {DocumentKind.SALE, DocumentKind.CHANGE}
        else "manual",
        "lines": [["create", lines]],
    }
    if document.kind is not DocumentKind.SALE:
        made["origin"] = f"sale.sale,{id_of(document.sale)}"
    return made


async def summarise_documents(ctx: Ctx, day: date, zone: str) -> DaySummary:
    """Return what Tryton has confirmed of the orders placed on a day: sales, and what was taken back of them."""
    del zone  # the day is written into each document
    ids: set[str] = set()
    total, after = 0, 0
    pattern = f"{like(whose(ctx))} %{day.isoformat()}"
    while True:
        domain = [
            ["id", ">", after],
            ["company", "=", ctx.config.company],
            ["sale_date", ">=", date_of(day)],
            ["description", "like", pattern],
            ["state", "in", sorted(CONFIRMED)],
        ]
        fields = (*SALE, "origin")
        page = await search(ctx, "sale.sale", domain, fields, size=MOST_SALES)
        total += sum(minor_of(sale["total_amount"], sale["currency"]["code"]) for sale in page)
        ids |= {sale["reference"].partition(" ")[0] for sale in page if not sale["origin"]}
        if len(page) < MOST_SALES:
            return DaySummary(day.isoformat(), len(ids), total, sorted(ids))
        after = page[-1]["id"]
