"""The command bar: pages, records and views that fit a text; without one, what was chosen last.

Each group asks its own permission. What a person chose is kept as the key of a record and looked up again with their
rights of the moment, so that a name they may no longer see is not shown.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar import get, post
from litestar.response import Response

from malha.console import finding_reads as reads
from malha.console import goods_words, menu, render, shell, web, words
from malha.console.menu import Page
from malha.console.orders import TABS, Asked, row_views
from malha.console.views import LISTS, address_of
from malha.console.words import Sign
from malha.fulfillment import finding as papers
from malha.identity import keeping, keeping_reads
from malha.identity.model import SIGNED_IN, Caller
from malha.ordering import list_reads, listing
from malha.ordering import reads as orders
from malha.ordering.listing import View, Wanted
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.text import whole_in

MOST = {"page": 5, "order": 5, "variant": 4, "customer": 4, "location": 4, "view": 4}
FEWEST_LETTERS = 3  # before records are looked for: fewer fit everything, and no trigram index knows them
RECENT = 6
LATEST = 4
# Papers of goods: by the letter that pages write before their number.
PAPERS = {"P": "purchase", "R": "receipt", "T": "transfer", "C": "count"}
PAPER_NUMBER = re.compile(r"([PRTC]?)(\d{1,18})", re.ASCII | re.IGNORECASE)
KINDS = frozenset({"page", "order", "variant", "customer", "location", *PAPERS.values()})


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to choose. `kind` and `key` name it for the next time."""

    kind: str
    key: str
    icon: str
    text: str
    href: str
    note: str = ""
    note_class: str = ""
    code: str = ""  # shown before the text, in figures of one width


class Group(NamedTuple):
    """Things of one kind."""

    label: str
    found: list[Item]


class Asker(msgspec.Struct, frozen=True):
    """Who asks, and in which transaction."""

    tx: Tx
    request: web.Asking
    caller: Caller
    scope: tuple[int, ...] | None

    @property
    def sees_customers(self) -> bool:
        """Return whether customers are shown: to whoever may see them, of the whole retailer."""
        return self.caller.may("customers:read") and self.scope is None


# --- items ---


def page_item(page: Page) -> Item:
    """Return a page to go to."""
    return Item(kind="page", key=page.key, icon=page.icon, text=_(page.word), href=page.href)


async def order_items(asker: Asker, rows: list[listing.OrderRow]) -> list[Item]:
    """Return orders with their state and what is late about them."""
    return [
        Item(
            kind="order",
            key=str(row.number),
            icon="shopping-bag",
            code=f"#{row.number}",
            text=row.buyer,
            href=f"/orders/{row.number}",
            note=" · ".join(x for x in (_(row.sign.word), row.due) if x),
            note_class=row.due_class,
        )
        for row in await row_views(asker.tx, rows)
    ]


def variant_item(goods: reads.Goods) -> Item:
    """Return a SKU: its own page where there is one, else its orders."""
    href = menu.record_address("products", goods.sku) or Asked(view=View.ALL, q=goods.sku).address()
    return Item(kind="variant", key=goods.sku, icon="barcode", text=goods.name, href=href, note=goods.sku)


def customer_item(buyer: reads.Buyer) -> Item:
    """Return a customer: their own page where there is one, else their orders."""
    href = menu.record_address("customers", str(buyer.number)) or Asked(view=View.ALL, q=buyer.name).address()
    note = " · ".join(x for x in (buyer.city, buyer.document) if x)
    return Item(kind="customer", key=str(buyer.number), icon="user", text=buyer.name, href=href, note=note)


def location_item(spot: reads.Spot, caller: Caller) -> Item:
    """Return a location: its own page where there is one, else its work, else its orders."""
    work = f"/fulfillment?location={spot.code}" if caller.may("fulfillment:work") else ""
    href = menu.record_address("locations", spot.code) or work or Asked(location=spot.code).address()
    return Item(
        kind="location",
        key=spot.code,
        icon="building-store",
        text=spot.name,
        href=href,
        note=_(words.LOCATION_KIND.get(spot.kind, spot.kind)),
    )


PAPER_WORDS = {
    "purchase": ("P", "clipboard-list", "/purchase-orders", goods_words.INBOUND),
    "receipt": ("R", "package-import", "/receipts", {"undone": Sign(N_("taken back"), "neutral", "x")}),
    "transfer": ("T", "transfer", "/transfers", goods_words.TRANSFER),
    "count": ("C", "checklist", "/counts", goods_words.TASK),
}


def paper_item(paper: reads.Paper) -> Item:
    """Return a purchase order, a goods receipt, a transfer or a count, with its state."""
    letter, icon, path, signs = PAPER_WORDS[paper.kind]
    between = " → " if paper.kind == "transfer" else " · "
    sides = (paper.place, paper.name) if paper.kind == "count" else (paper.name, paper.place)
    return Item(
        kind=paper.kind,
        key=str(paper.number),
        icon=icon,
        code=f"{letter}{paper.number}",
        text=between.join(side for side in sides if side),
        href=f"{path}/{paper.number}",
        note=_(signs[paper.state].word) if paper.state else "",
    )


# --- what fits what was typed ---


async def find(asker: Asker, text: str) -> list[Group]:
    """Return what fits a text, a group for each kind."""
    may, folded = asker.caller.can, web.fold(text)
    pages = [page_item(page) for page in menu.found(text, may, limited=asker.scope is not None)][: MOST["page"]]
    groups = [Group(N_("Pages"), pages)]
    if len(folded) < FEWEST_LETTERS:
        groups.append(Group(N_("Orders"), await _orders(asker, [text.removeprefix("#")])))
    else:
        if may("orders:read"):
            wanted = await papers.sought(asker.tx, Wanted(search=text, scope=asker.scope))
            found = await list_reads.page(asker.tx, wanted, size=MOST["order"])
            groups.append(Group(N_("Orders"), await order_items(asker, found.rows)))
        an_order = text.startswith("#")  # nothing else is written so
        if may("catalog:read") and not an_order:
            goods = await reads.variants(asker.tx, text, MOST["variant"])
            groups.append(Group(N_("Goods"), [variant_item(each) for each in goods]))
        if asker.sees_customers and not an_order:
            buyers = await reads.customers(asker.tx, text, MOST["customer"])
            groups.append(Group(N_("Customers"), [customer_item(each) for each in buyers]))
    if numbered := PAPER_NUMBER.fullmatch(text):
        letter, number = numbered[1].upper(), int(numbered[2])
        kinds = [PAPERS[letter]] if letter else list(PAPERS.values())
        groups.append(Group(N_("Papers of goods"), await paper_items(asker, {kind: [number] for kind in kinds})))
    if may("network:read"):
        groups.append(Group(N_("Locations"), await location_items(asker, folded)))
    groups.append(Group(N_("Views"), (await view_items(asker, folded))[: MOST["view"]]))
    # Someone who types a number means an order.
    if text.removeprefix("#").isdigit():
        groups.sort(key=lambda group: group.label != "Orders")
    return [group for group in groups if group.found]


async def paper_items(asker: Asker, numbers: dict[str, list[int]]) -> list[Item]:
    """Return papers of goods by their kinds and numbers, to whoever may see stock."""
    if not asker.caller.may("stock:read"):
        return []
    found = await reads.papers(asker.tx, asker.scope, **{f"{kind}s": each for kind, each in numbers.items()})
    return [paper_item(paper) for paper in found]


async def location_items(asker: Asker, folded: str) -> list[Item]:
    """Return the locations whose name or code holds a folded text."""
    spots = await reads.locations(asker.tx, asker.scope)
    fitting = [s for s in spots if folded in web.fold(s.name) or folded in web.fold(s.code)]
    return [location_item(spot, asker.caller) for spot in fitting[: MOST["location"]]]


async def view_items(asker: Asker, folded: str) -> list[Item]:
    """Return views of lists whose name holds a folded text: the person's own, then those every order list has."""
    caller = asker.caller
    saved = []
    if caller.kind == "person":
        saved = await keeping_reads.views(asker.tx, web.person_of(asker.request), caller.role)
    named = [
        (view.name, address_of(view.list, view.query))
        for view in saved
        if view.list in LISTS and caller.may(LISTS[view.list].permission)
    ]
    if caller.may("orders:read"):
        named += [(_(words.VIEW[view]), Asked(view=view).address()) for view in TABS]
    return [
        Item(kind="view", key=href, icon="table", text=name, href=href)
        for name, href in named
        if folded in web.fold(name)
    ]


# --- what was chosen before ---


async def start(asker: Asker) -> list[Group]:
    """Return what the bar shows at first: what was chosen last, else the latest orders; and the pages."""
    recent = await recent_items(asker)
    groups = [Group(N_("Chosen lately"), recent)]
    if not recent and asker.caller.may("orders:read"):
        found = await list_reads.page(asker.tx, Wanted(scope=asker.scope), size=LATEST)
        groups = [Group(N_("Latest orders"), await order_items(asker, found.rows))]
    groups.append(
        Group(
            N_("Pages"), [page_item(page) for page in menu.pages_for(asker.caller.can, limited=asker.scope is not None)]
        )
    )
    return [group for group in groups if group.found]


async def recent_items(asker: Asker) -> list[Item]:
    """Return what the person chose last and may still see, the latest first: one statement for each kind."""
    if asker.caller.kind == "key":
        return []
    chosen = await keeping_reads.choices(asker.tx, web.person_of(asker.request))
    found: dict[tuple[str, str], Item] = {}
    for kind, look_up in LOOK_UP.items():
        keys = [choice.key for choice in chosen if choice.kind == kind]
        if keys:
            found |= {(item.kind, item.key): item for item in await look_up(asker, keys)}
    return [found[c.kind, c.key] for c in chosen if (c.kind, c.key) in found][:RECENT]


async def _pages(asker: Asker, keys: Sequence[str]) -> list[Item]:
    return [
        page_item(page)
        for page in menu.pages_for(asker.caller.can, limited=asker.scope is not None)
        if page.key in keys
    ]


async def _orders(asker: Asker, keys: Sequence[str]) -> list[Item]:
    if not asker.caller.may("orders:read"):
        return []
    ids = await orders.ids_of(asker.tx, _numbers(keys))
    return await order_items(asker, await list_reads.rows_of(asker.tx, list(ids.values()), asker.scope))


async def _variants(asker: Asker, keys: Sequence[str]) -> list[Item]:
    if not asker.caller.may("catalog:read"):
        return []
    return [variant_item(each) for each in (await reads.variants_by_sku(asker.tx, keys)).values()]


async def _customers(asker: Asker, keys: Sequence[str]) -> list[Item]:
    if not asker.sees_customers:
        return []
    return [customer_item(each) for each in (await reads.customers_by_number(asker.tx, _numbers(keys))).values()]


async def _locations(asker: Asker, keys: Sequence[str]) -> list[Item]:
    if not asker.caller.may("network:read"):
        return []
    spots = await reads.locations(asker.tx, asker.scope)
    return [location_item(spot, asker.caller) for spot in spots if spot.code in keys]


def _papers(kind: str) -> Callable[[Asker, Sequence[str]], Awaitable[list[Item]]]:
    async def look_up(asker: Asker, keys: Sequence[str]) -> list[Item]:
        return await paper_items(asker, {kind: _numbers(keys)})

    return look_up


def _numbers(keys: Iterable[str]) -> list[int]:
    return [n for key in keys if (n := whole_in(key, 18)) is not None]


LOOK_UP: dict[str, Callable[[Asker, Sequence[str]], Awaitable[list[Item]]]] = {
    "page": _pages,
    "order": _orders,
    "variant": _variants,
    "customer": _customers,
    "location": _locations,
    **{kind: _papers(kind) for kind in PAPERS.values()},
}


@get("/find", opt={"permission": SIGNED_IN})
async def answer(request: web.Asking) -> Response[str]:
    """Answer the command bar."""
    text = web.said(request.query_params, "q")[:200].strip()
    caller = web.caller_of(request)
    async with web.reading(request) as tx:
        asker = Asker(tx, request, caller, shell.scope_of(caller))
        groups = await find(asker, text) if text else await start(asker)
    return render.html("parts/found.html", groups=groups, text=text)


@post("/find/chosen", opt={"permission": SIGNED_IN}, status_code=204)
async def chosen(request: web.Asking) -> None:
    """Remember what was chosen in the command bar; something unknown is forgotten at once.

    Raises:
        NotSignedIn: a key asks.
    """
    form = await request.form()
    kind, key = str(form.get("kind", "")), str(form.get("key", "")).replace("\x00", "")[:100]
    person = web.person_of(request)
    if kind in KINDS and key:
        async with web.writing(request) as tx:
            await keeping.note_choice(tx, person, kind, key)


HANDLERS: list[Any] = [answer, chosen]
