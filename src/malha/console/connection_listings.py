"""Listings over a connection, on screen: how each stands, field by field what its channel gets, said otherwise."""

from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels import service as channels
from malha.channels.connecting.service import connection_of
from malha.channels.contract import Kind
from malha.channels.feeds.rules import RULES
from malha.channels.listings import making, reads, rules, service, words
from malha.channels.listings.model import Explained, ListingError, Source, Status, Teller
from malha.channels.listings.reads import Goods, Listed
from malha.channels.listings.service import Published
from malha.console import export, filling, meanwhile, pictures, render, shell, web
from malha.console.pictures import Shown
from malha.console.words import Sign
from malha.platform import sheets
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column

SEE, CHANGE = "network:read", "network:write"
PAGE = 50
SIGNS = {
    Status.DRAFT: Sign(N_("Draft"), "neutral", "ring"),
    Status.SUBMITTED: Sign(N_("On its way"), "wait", "dash"),
    Status.LIVE: Sign(N_("Live"), "done", "done"),
    Status.REJECTED: Sign(N_("Rejected"), "fail", "fail"),
    Status.ENDED: Sign(N_("Ended there"), "neutral", "pause"),
}
SOURCES = {
    Source.PRODUCT: N_("The product"),
    Source.MAPPING: N_("The mapping"),
    Source.OVERRIDE: N_("Said here"),
    Source.MISSING: N_("Nothing fills it"),
}
# What fields that most channels have are called; others have the channel's own name.
FIELDS = {
    "title": N_("Title"),
    "product_title": N_("Title of the product"),
    "description": N_("Description"),
    "short_description": N_("Short description"),
    "brand": N_("Brand"),
    "categories": N_("Categories"),
    "product_type": N_("Product type"),
    "tags": N_("Tags"),
    "gtin": N_("GTIN"),
    "category": N_("Category"),
    "images": N_("Pictures"),
    "product": N_("Code of the product"),
    "slug": N_("End of its address"),
    "price": N_("Price"),
    "currency": N_("Currency"),
    "code": N_("Code on the channel"),
}
COLUMNS = (
    Column(N_("SKU")), Column(N_("Product"), width=28), Column(N_("Code on the channel")), Column(N_("State")),
    Column(N_("Price"), sheets.Kind.MONEY), Column(N_("Price said here"), sheets.Kind.MONEY),
    Column(N_("Said otherwise"), sheets.Kind.WHOLE),
    Column(N_("Its name there")), Column(N_("Last sent"), sheets.Kind.MOMENT), Column(N_("What is wrong"), width=48),
)  # fmt: skip


class Terms(msgspec.Struct, frozen=True):
    """What the list is narrowed to; `view` is a status, `errors`, or empty for all."""

    view: str
    q: str


class Row(NamedTuple):
    """A listing in the list."""

    row: Listed
    sign: Sign
    errors: list[str]


class FieldRow(NamedTuple):
    """A field of a listing; `text` is what stands in the box that says it otherwise."""

    said: Explained
    label: str
    own: bool  # its name is the channel's or the retailer's, not ours
    source: str
    usual: str
    text: str
    images: list[tuple[str, Shown]]
    found: list[tuple[bool, str]]  # whether it keeps the listing from being sent, and in which words


def _asked(request: Request[Any, Any, Any]) -> tuple[Terms, str]:
    query = request.query_params
    view = query.get("view", "")
    known = view == "errors" or view in {s.value for s in Status}
    return Terms(view if known else "", web.said(query, "q").strip()[:200]), web.said(query, "after")[:200]


def _in_list(error: ListingError) -> str:
    name = _(FIELDS[error.field]) if error.field in FIELDS else error.field
    return f"{name}: {words.said(error)}" if name else words.said(error)


def _narrowed(terms: Terms) -> dict[str, Any]:
    status = None if terms.view in {"", "errors"} else Status(terms.view)
    return {"status": status, "wrong": terms.view == "errors", "sought": terms.q or None}


@get("/connections/{code:str}/listings", opt={"permission": SEE})
async def listings_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what may be sold over a connection, how each stands there, and what is wrong."""
    terms, after = _asked(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await connection_of(tx, code)
        takes = making.takes(found.connector)
        rows: list[Listed] = []
        counts: dict[Status, int] = {}
        wrong = 0
        if takes:
            place = service.place_of(found)
            rows = await reads.listed(tx, place, after=after, most=PAGE + 1, **_narrowed(terms))
            counts, wrong = await reads.counts(tx, place)
    base = f"/connections/{code}/listings"
    views = [("", _("All"), sum(counts.values()))]
    views += [(s.value, _(SIGNS[s].word), counts.get(s, 0)) for s in Status]
    views.append(("errors", _("With errors"), wrong))
    return render.html(
        "connections/listings.html",
        shell=around,
        may=around.may,
        c=found,
        takes=takes,
        rows=[Row(row, SIGNS[row.status], [_in_list(e) for e in row.errors]) for row in rows[:PAGE]],
        last=rows[PAGE - 1].sku if len(rows) > PAGE else "",
        following=web.address(base, terms, {}),
        views=[
            (word, web.address(base, Terms(view, ""), {}), view == terms.view, count)
            for view, word, count in views
            if count or view in {"", terms.view}
        ],
        terms=terms,
        most=service.MOST,
        exports=export.choices(lambda path: web.address(path, terms, {}), f"{base}:export"),
    )


@get(export.paths("/connections/{code:str}/listings:export"), opt={"permission": SEE})
async def listings_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the list as a file, as it is filtered."""
    terms, _after = _asked(request)
    async with web.reading(request) as tx:
        found = await connection_of(tx, code)
        making.profile_of(found)

    def cells(row: Listed) -> list[Any]:
        return [
            row.sku, row.name, row.code, _(SIGNS[row.status].word), row.price, row.own_price, row.overrides,
            row.reference, row.sent_at, "; ".join(_in_list(e) for e in row.errors),
        ]  # fmt: skip

    pages = export.pages(
        request,
        lambda tx, after: reads.listed(
            tx, service.place_of(found), after=after or "", most=export.BATCH, **_narrowed(terms)
        ),
        lambda row: row.sku,
    )
    return export.send(request, f"listings-{code}", COLUMNS, pages, cells)


@post("/connections/{code:str}/listings", opt={"permission": CHANGE}, status_code=200)
async def listings_act(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Publish or end what was chosen (`act`, `pick`), or publish SKUs that somebody wrote down (`skus`)."""
    form = await request.form()
    read = filling.filled(form)
    act = read.text("act")
    skus = [str(each)[:80] for each in form.getall("pick", [])]
    if act == "add":
        skus = read.text("skus", 100_000).replace(",", " ").replace(";", " ").split()
        if not skus:
            read.wrong("skus", N_("This field is empty."), N_("Fill it in."))
    elif not skus:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    read.refuse()
    async with web.writing(request) as tx:
        done = await (service.end if act == "end" else service.publish)(tx, code, skus)
    back = f"/connections/{code}/listings"
    if read.text("sku"):
        back = f"{back}/{quote(skus[0], safe='')}"
    return web.go_on(request, back, _told(done, ended=act == "end"))


def _told(done: Published, *, ended: bool) -> str:
    parts = []
    if done.queued:
        if ended:
            parts.append(n_("{n} is being ended", "{n} are being ended", done.queued))
        else:
            parts.append(n_("{n} is on its way", "{n} are on their way", done.queued))
    if done.refused:
        count = len(done.refused)
        parts.append(n_("{n} waits to be mended", "{n} wait to be mended", count))
    if done.unknown:
        parts.append(_("unknown: {skus}", skus=", ".join(done.unknown[:5])))
    return "; ".join(parts) or _("Nothing to tell: the channel has it so")


# --- one ---


@get("/connections/{code:str}/listings/{sku:str}", opt={"permission": SEE})
async def listing_show(request: Request[Any, Any, Any], code: FromPath[str], sku: FromPath[str]) -> Response[str]:
    """Show field by field what the channel gets of a SKU and from where, with what is wrong beside each."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found, listing = await service.listing_of(tx, code, sku)
    goods = listing.goods
    errors = [*goods.errors, *(e for e in listing.content.errors if e not in goods.errors)]
    known = {each.field for each in listing.content.fields}
    return render.html(
        "connections/listing.html",
        shell=around,
        may=around.may,
        c=found,
        g=goods,
        version=listing.version,
        sells=listing.sells,
        sign_=SIGNS[goods.status],
        fields=[_field(request, each, errors) for each in listing.content.fields],
        beside=[_in_list(e) for e in errors if e.field not in known and e.field != rules.PRICE],
        ready=not listing.content.errors,
        withdrawn=_withdrawn(goods),
    )


def _withdrawn(goods: Goods) -> str:
    if not goods.on_sale:
        return _("The product is not for sale here, so it is not there.")
    if not goods.active:
        return _("It is not listed on the channel, or out of use there; publishing lists it.")
    return ""


def _field(request: Request[Any, Any, Any], said: Explained, errors: list[ListingError]) -> FieldRow:
    rules_found = [(f.severity == "error", _(RULES[f.rule])) for f in said.found]
    told = [(True, words.said(e)) for e in errors if e.field == said.field and e.teller is Teller.CHANNEL]
    urls = said.kind == Kind.URLS.value
    return FieldRow(
        said=said,
        label=_(FIELDS[said.field]) if said.field in FIELDS else said.field,
        own=said.field not in FIELDS,
        source=_(SOURCES[said.source]),
        usual="\n".join(said.usual) if urls else str(said.usual),
        text="\n".join(said.value) if urls else str(said.value),
        images=[(url, pictures.shown(request, url)) for url in said.value] if urls else [],
        found=[*told, *rules_found],
    )


@post("/connections/{code:str}/listings/{sku:str}", opt={"permission": CHANGE}, status_code=200)
async def listing_say(request: Request[Any, Any, Any], code: FromPath[str], sku: FromPath[str]) -> Response[Any]:
    """Say one field (`field`) otherwise (`value`), or what it costs there (`price`); or take it back (`act`)."""
    read = filling.filled(await request.form())
    clear = read.text("act") == "clear"
    name = read.text("field", 80)
    priced = name == rules.PRICE and read.flag("own_price")
    price = None if clear or not priced else _price(read)
    if not name:
        read.wrong("field", N_("This field is empty."), N_("Fill it in."))
    read.refuse()
    address = f"/connections/{code}/listings/{quote(sku, safe='')}"
    async with meanwhile.told(request, address, "listing", code, {"change"}), web.writing(request) as tx:
        if priced:
            await service.say(tx, code, sku, {}, read.version(), price=price)
        else:
            profile = making.profile_of(await connection_of(tx, code))
            value = None if clear else rules.texts_of(profile, name, read.text("value", rules.LONGEST + 1))
            await service.say(tx, code, sku, {name: value}, read.version())
    notice = _("It is again as it would be without a word here") if clear else _("Saved")
    return web.go_on(request, address, notice)


def _price(read: filling.Filled) -> int | None:
    price = read.maybe_scaled("price", 2)
    if price is None and not read.flaws:
        read.wrong("price", N_("This field is empty."), N_("Fill it in."))
    read.flaws += channels.check_price(price)
    return price


HANDLERS = [listings_show, listings_export, listings_act, listing_show, listing_say]
