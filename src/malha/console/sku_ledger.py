"""The ledger of one SKU at all locations of a person: what moved, where, and whose goods they were; also as a file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.catalog.model import VariantCard
from malha.console import balance, export, goods_forms, goods_words, render, shell, stock_reads, stock_view, web
from malha.console import stock_words as words
from malha.inventory import balance_reads
from malha.inventory.balance_reads import LedgerAsked
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Reason
from malha.platform import i18n, paging
from malha.platform.db import Tx
from malha.platform.i18n import _

LISTING = "console-sku-ledger"


class Asked(balance.LedgerFilter, frozen=True, kw_only=True):
    """What an address says about the ledger of a SKU. Nonsense in it is ignored."""

    location: str = ""  # code
    owner: str = ""  # an establishment's code, or the root of a company's CNPJ

    @property
    def filtered(self) -> bool:
        """Return whether anything narrows the ledger."""
        return super().filtered or bool(self.location or self.owner)

    def said(self) -> dict[str, Any]:
        """Return what the address says, without the place where the list goes on."""
        return {"location": self.location, "owner": self.owner, **super().said()}


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    plain = balance.filter_of(query)
    texts = {name: web.said(query, name).strip()[:80] for name in ("location", "owner")}
    said: dict[str, Any] = {**msgspec.structs.asdict(plain), **texts}
    return Asked(**said)


async def _wanted(
    tx: Tx, request: web.Asking, card: VariantCard, asked: Asked
) -> tuple[LedgerAsked, list[stock_reads.Place], goods_forms.OwnerChoices]:
    """Return the ledger's terms, the person's locations, and the owners of goods there.

    At a location that is none, or not the person's, and of an owner whose goods none of theirs keeps, nothing moved.
    """
    places = await goods_forms.places_of(tx, request)
    owners = await goods_forms.owners_of(tx, request, asked.owner)
    shown = {id_ for owner in owners.known for id_ in owner.location_ids}  # closed ones too: they had goods once
    if owners.location_ids is not None:
        shown &= set(owners.location_ids)
    if asked.location:
        shown &= {place.id for place in places if place.code == asked.location}
    return balance.ledger_of(card, shown, asked), places, owners


@get("/stock/{sku:str}/ledger", opt={"permission": "stock:read"})
async def sku_ledger(request: Request[Any, Any, Any], sku: FromPath[str]) -> Response[str]:
    """Show what moved a SKU, the newest first."""
    asked = asked_of(request.query_params)
    try:
        before: Any = paging.position(asked.cursor, LISTING, (datetime, int))
    except paging.BadCursor:
        before = None
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock")
        card = await balance.sku_of(tx, sku)
        wanted, places, owners = await _wanted(tx, request, card, asked)
        rows = await balance_reads.ledger(tx, wanted, before=before, limit=balance.ON_PAGE + 1)
        page = paging.page_of(rows, balance.ON_PAGE, LISTING, lambda row: (row.recorded_at, row.id))
        lines = await balance.lines_of(tx, card.sku, page.items, asked.bucket)
    path = f"{stock_view.address_of(card.sku)}/ledger"
    ends = [i18n.date(end) if end else "\N{HORIZONTAL ELLIPSIS}" for end in (asked.since, asked.until)]
    return render.html(
        "stock/sku_ledger.html",
        shell=around,
        may=around.may,
        card=card,
        asked=asked,
        path=path,
        lines=lines,
        places=[(place.code, place.name) for place in places],
        owners=owners,
        reasons=[(reason.value, _(words.REASON[reason])) for reason in Reason],
        buckets=[(bucket.value, _(goods_words.BUCKET[bucket])) for bucket in Bucket],
        range_text=ends[0] if asked.since == asked.until else render.DASH.join(ends),
        newest=asked.address(path) if before is not None else "",
        next=asked.address(path, page.next) if page.next else "",
        exports=export.choices(asked.address, path),
    )


@get(export.paths("/stock/{sku:str}/ledger"), opt={"permission": "stock:read"})
async def sku_ledger_export(request: Request[Any, Any, Any], sku: FromPath[str]) -> Stream:
    """Send what moved a SKU, as it is filtered, as a file."""
    async with web.reading(request) as tx:
        card = await balance.sku_of(tx, sku)
        asked = asked_of(request.query_params)
        wanted, _places, _owners = await _wanted(tx, request, card, asked)
    return balance.send_ledger(request, asked.name_of(card.sku), card.sku, wanted)


HANDLERS = [sku_ledger, sku_ledger_export]
