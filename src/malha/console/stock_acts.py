"""What a person does about stock: adjust by a difference, state a count, set safety stock; each is audited.

A form is sent from beside the list, from the page of a balance or from the page of a SKU; the answer is that part drawn
anew. What is refused changed nothing.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, post
from litestar.datastructures import FormMultiDict
from litestar.response import Response

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.console import balance, forms, render, shell, stock, stock_item, stock_reads, stock_view, web
from malha.console import stock_words as words
from malha.console.stock_reads import Place
from malha.inventory import reads as inventory
from malha.inventory import service
from malha.inventory.buckets.model import BY_HAND, Bucket
from malha.inventory.counts import service as counts
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import service as supply
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_

Form = FormMultiDict
Act = Callable[[Tx, VariantCard, Place, Form], Awaitable[str]]
_SIGNED = re.compile(r"[+\-\N{MINUS SIGN}]?[0-9]{1,9}")
NO_NUMBER = N_("Write a whole number, 0 or more.")


def _whole(form: Form, name: str) -> int:
    """Return a number that a form says.

    Raises:
        Invalid: it is none, or below zero.
    """
    text = forms.said(form, name, 20)
    good = text.isascii() and text.isdigit() and len(text) < 10
    refuse([] if good else [Flaw(name, NO_NUMBER)])
    return int(text)


async def _adjust(tx: Tx, card: VariantCard, place: Place, form: Form) -> str:
    text, reasons = forms.said(form, "change", 20), {reason.value for reason in words.BY_HAND}
    reason, note = forms.said(form, "reason", 120), forms.said(form, "note", 120)
    change = int(text.replace("\N{MINUS SIGN}", "-")) if _SIGNED.fullmatch(text) else 0
    flaws = []
    if not change:
        flaws.append(Flaw("change", N_("Write by how many units it changes, like 3 or -2.")))
    if reason not in reasons:
        flaws.append(Flaw("reason", N_("Choose a reason.")))
    if change > 0 and reason in {Reason.DAMAGE, Reason.LOSS}:
        flaws.append(Flaw("change", N_("Damage and loss take units away: write a number below zero.")))
    if change < 0 and reason == Reason.FOUND:
        flaws.append(Flaw("change", N_("What was found is added: write a number above zero.")))
    refuse(flaws)
    about = Reference("console", text=note or None)
    left = await service.adjust(tx, [Claim(card.id, place.id, change)], Reason(reason), about)
    await _audit(tx, "adjust", card, place, {"change": change, "reason": reason, "note": note})
    return words.with_missing(_("Stock adjusted"), left)


async def _count(tx: Tx, card: VariantCard, place: Place, form: Form) -> str:
    counted, note = _whole(form, "counted"), forms.said(form, "note", 120)
    left = await counts.count_shelf(tx, card.id, place.id, counted, note or None)
    await _audit(tx, "count", card, place, {"counted": counted, "note": note})
    return words.with_missing(_("Count recorded"), left)


async def _safety(tx: Tx, card: VariantCard, place: Place, form: Form) -> str:
    quantity = _whole(form, "quantity")
    await service.set_safety(tx, [Claim(card.id, place.id, quantity)])
    await _audit(tx, "set_safety", card, place, {"quantity": quantity})
    return _("Safety stock set")


async def _move(tx: Tx, card: VariantCard, place: Place, form: Form) -> str:
    names = {bucket.value for bucket in BY_HAND}
    source, target = forms.said(form, "source", 120), forms.said(form, "target", 120)
    refuse(
        [
            Flaw(name, N_("Choose a bucket."))
            for name in ("source", "target")
            if forms.said(form, name, 120) not in names
        ]
    )
    lines = [(card.id, _whole(form, "quantity"))]
    left = await supply.move_by_hand(tx, place.id, lines, Bucket(source), Bucket(target), forms.said(form, "note", 120))
    return words.with_missing(_("Goods moved"), left)


async def _audit(tx: Tx, action: str, card: VariantCard, place: Place, facts: dict[str, Any]) -> None:
    await audit.record(tx, action=action, entity="stock", entity_id=f"{card.sku} {place.code}", after=facts)


async def _carry_out(request: Request[Any, Any, Any], act: Act) -> Response[Any]:
    form = await request.form()
    async with web.writing(request) as tx:
        card = await balance.sku_of(tx, forms.said(form, "sku", 120))
        place = await balance.place_of(tx, request, forms.said(form, "location", 120))
        notice = await act(tx, card, place, form)
    if not web.wants_part(request):
        return web.see_other(stock_view.address_of(card.sku, place.code), notice=notice)
    async with web.reading(request) as tx:
        match forms.said(form, "on", 20):
            case "list":
                view = await balance.view_of(tx, request, card, place, limit=balance.IN_DRAWER)
                row = await stock.row_again(tx, request, card)
                may = web.caller_of(request).may
                shown = render.html("stock/drawer.html", drawer=view, row=row, may=may)
            case "sku":
                shown = await stock_item.draw(tx, request, card.sku)
            case _:
                shown = await balance.draw(tx, request, card, place, balance.filter_of(web.page_query(request)))
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


def _handler(name: str, act: Act) -> Any:
    @post(
        f"/stock:{name}",
        opt={"permission": "stock:count" if name == "move" else "stock:write"},
        status_code=200,
        name=f"console-stock-{name}",
    )
    async def run(request: Request[Any, Any, Any]) -> Response[Any]:
        return await _carry_out(request, act)

    return run


@post("/stock:bulk-safety", opt={"permission": "stock:write"}, status_code=200)
async def bulk_safety(request: Request[Any, Any, Any]) -> Response[Any]:
    """Set the safety stock of the chosen SKUs at one location, or at every location of the person that keeps them.

    Raises:
        Invalid: nothing is chosen, or the number is none.
    """
    form = await request.form()
    ids = forms.numbers(form, "sku", 9, stock.PAGE_SIZE)
    quantity, code = _whole(form, "quantity"), forms.said(form, "location", 120)
    async with web.writing(request) as tx:
        places = await stock_reads.places(tx, shell.scope_of(web.caller_of(request)))
        chosen = [place for place in places if place.code == code] if code else places
        cards = {card.id: card for card in await catalog.by_ids(tx, ids) if not card.is_kit}
        refuse(
            ([] if cards else [Flaw("sku", N_("Choose at least one SKU."))])
            + ([] if chosen else [Flaw("location", N_("Choose a location."))])
        )
        if code:
            keys = [(sku_id, chosen[0].id) for sku_id in sorted(cards)]
        else:
            kept = await inventory.availability(tx, sorted(cards), [place.id for place in chosen])
            keys = [(row.sku_id, row.location_id) for row in kept]
        await service.set_safety(tx, [Claim(sku, location, quantity) for sku, location in keys])
        facts = {"quantity": quantity, "location": code or "*", "skus": sorted(card.sku for card in cards.values())}
        await audit.record(tx, action="set_safety", entity="stock", entity_id="-", after=facts)
    notice = n_("Safety stock set on {n} SKU", "Safety stock set on {n} SKUs", len(cards))
    if not web.wants_part(request):
        return web.see_other("/stock", notice=notice)
    shown = await stock.list_page(request, stock.asked_of(web.page_query(request)))
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


ACTS: dict[str, Act] = {"adjust": _adjust, "count": _count, "safety": _safety, "move": _move}
HANDLERS = [*(_handler(name, act) for name, act in ACTS.items()), bulk_safety]
