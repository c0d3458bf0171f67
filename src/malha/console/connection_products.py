"""Fields of products that a connection keeps, on screen: chosen, tried before, what could not be written."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.catalog import ownership
from malha.catalog.taking import Change
from malha.channels.connecting import making_reads, master_reads, master_rules, mastering, registry, service
from malha.channels.connecting.master_reads import Held
from malha.console import export, filling, meanwhile, render, shell, web
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

SEE, DECLARE = "network:read", "settings:manage"
PAGE = 50
WORDS = {
    "name": N_("Name"), "description": N_("Description"), "brand": N_("Brand"), "ncm": N_("NCM"), "cest": N_("CEST"),
    "origin": N_("Origin"), "variant_name": N_("Name of the variant"), "gtin": N_("GTIN"), "weight": N_("Weight"),
    "category": N_("Category"), "attributes": N_("Attributes"), "options": N_("Options"), "pictures": N_("Pictures"),
    "dimensions": N_("Dimensions"), "price": N_("Price"),
}  # fmt: skip
COLUMNS = (
    Column(N_("Product")), Column(N_("What is wrong"), width=60), Column(N_("What to do"), width=40),
    Column(N_("Since"), Kind.MOMENT),
)  # fmt: skip


CREATES = {
    "never": (N_("Leave them"), N_("Orders for them wait until somebody says which of ours they are.")),
    "held": (N_("Hold them until somebody accepts them"), N_("One by one, or all together; it can be taken back.")),
    "once": (N_("Make them products at once"), N_("What cannot be made is held with its reason.")),
}


class Choice(NamedTuple):
    """A field: its word, whether it is chosen, and who else keeps it."""

    field: str
    word: str
    chosen: bool
    other: ownership.Owner | None


def said_of(flaws: list[Flaw]) -> list[tuple[str, str]]:
    """Return what is wrong and what to do, in the reader's language."""
    return [web.flaw_text(f) for f in flaws]


def _held(row: Held) -> list[tuple[str, str]]:
    return said_of([msgspec.convert(flaw, Flaw) for flaw in row.flaws])


def _narrowed(request: Request[Any, Any, Any]) -> tuple[str, str]:
    """Return the text and the key of the reason that what is held is narrowed to."""
    query = request.query_params
    return web.said(query, "q").strip()[:200], query.get("reason", "")[:12]


def _address(path: str, q: str, reason: str, after: str = "") -> str:
    said = {name: text for name, text in (("q", q), ("reason", reason), ("after", after)) if text}
    return f"{path}?{urlencode(said)}" if said else path


def _shown(change: Change) -> tuple[Change, str]:
    return change, _(WORDS[change.field])


@get("/connections/{code:str}/products", opt={"permission": SEE})
async def products_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show which fields a connection keeps and, with `try`, what it would change if it kept those named."""
    query = request.query_params
    tried = "try" in query
    after = web.said(query, "after")[:200]
    q, reason = _narrowed(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        role = await master_reads.master(tx, found.id)
        counts = await master_reads.counts(tx, found.id)
        owners = await ownership.owners(tx)
        reasons = await master_reads.reasons(tx, found.id)
        narrowed = master_reads.narrowed(reasons, q, reason)
        held = await master_reads.held(tx, found.id, after=after, most=PAGE + 1, narrowed=narrowed)
        able = master_rules.able(registry.connectors().get(found.connector))
        asked = [field for field in query.getall("field", []) if field in able] if tried else list(role.fields)
        fresh = await making_reads.counts(tx, found.id)
        preview = await mastering.preview(tx, code, asked) if tried else None
    elsewhere = {field: by for field, by in owners.items() if by.owner != code}
    return render.html(
        "connections/products.html",
        shell=around,
        may=around.may,
        c=found,
        role=role,
        counts=counts,
        kept=[_(WORDS[field]) for field in role.fields],
        choices=[Choice(f, _(WORDS[f]), f in asked and f not in elsewhere, elsewhere.get(f)) for f in able],
        creates=query.get("creates", role.creates) if tried else role.creates,
        ways=[(way, _(word), _(hint)) for way, (word, hint) in CREATES.items()],
        fresh=fresh,
        made=("made" if query.get("categories") == "made" else "held") if tried else role.categories,
        tells_categories="category" in able,
        preview=preview,
        would=[(_(WORDS[field]), n) for field, n in preview.counts.items()] if preview else [],
        changes=[_shown(change) for change in preview.sample] if preview else [],
        left=[(product, said_of(flaws)) for product, flaws in preview.held.items()] if preview else [],
        held=[(row, _held(row)) for row in held[:PAGE]],
        following=_address(f"/connections/{code}/products", q, reason, held[PAGE - 1].product)
        if len(held) > PAGE
        else None,
        q=q,
        reason=reason,
        reasons=reasons,
        exports=export.choices(lambda path: _address(path, q, reason), f"/connections/{code}/products:export"),
    )


@get(export.paths("/connections/{code:str}/products:export"), opt={"permission": SEE})
async def products_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send what could not be written as a file, of what the list is narrowed to."""
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)
        narrowed = master_reads.narrowed(await master_reads.reasons(tx, found.id), *_narrowed(request))

    def cells(row: Held) -> list[Any]:
        said = _held(row)
        return [row.product, " ".join(s for s, _m in said), " ".join(m for _s, m in said), row.since]

    pages = export.pages(
        request,
        lambda tx, after: master_reads.held(tx, found.id, after=after or "", most=export.BATCH, narrowed=narrowed),
        lambda row: row.product,
    )
    return export.send(request, f"held-products-{code}", COLUMNS, pages, cells)


@post("/connections/{code:str}/products", opt={"permission": DECLARE}, status_code=200)
async def products_keep(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Have the connection keep the fields that were chosen, and no others, and make products, or not, as was chosen."""
    form = await request.form()
    read = filling.filled(form)
    fields = [str(field)[:40] for field in form.getall("field", [])]
    creates = read.text("creates") or "never"
    made = "made" if read.text("categories") == "made" else "held"
    if creates not in CREATES:
        read.wrong("creates", N_("Choose one of the three."))
    version = read.version()
    read.refuse()
    address = f"/connections/{code}/products"
    async with (
        meanwhile.told(request, address, "connection", code, {"keep_products"}),
        web.writing(request) as tx,
    ):
        await mastering.put_fields(tx, code, fields, version, creates, made)
    kept = _("Saved: what it tells is being written") if fields else _("It keeps no field of products any more")
    said = _("Saved: what it sells is being read") if creates != "never" and not fields else kept
    return web.go_on(request, address, said)


HANDLERS = [products_show, products_export, products_keep]
