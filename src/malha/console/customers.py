"""Customers: the list with masked identities, one profile with its orders and what was done to it, changing it.

Identities stay masked on every page. Seeing them in full is an act with a reason that is written down; changing one
needs no look at what it was.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import customer_reads as page_reads
from malha.console import export, forms, render, shell, timeline, web
from malha.console import messages as message_log
from malha.console import orders as order_list
from malha.console.customer_reads import Row, Wanted
from malha.customers import reads, service
from malha.customers.errors import UnknownCustomer
from malha.customers.model import Customer, CustomerDraft, CustomerKind
from malha.notifications import reads as messages
from malha.notifications import wishes
from malha.notifications.model import (
    CHANNEL_WORDS,
    PURPOSE_WORDS,
    SOURCE_WORDS,
    Channel,
    ConsentSource,
    Purpose,
)
from malha.notifications.reads import ConsentRow, MessageRow
from malha.ordering import list_reads
from malha.platform import audit, brazil
from malha.platform.address import Address
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in
from malha.privacy import reads as privacy
from malha.privacy import searching

PAGE_SIZE = 50
KINDS = {CustomerKind.PERSON: N_("Person"), CustomerKind.COMPANY: N_("Company")}
FIELDS = {
    "name": N_("name"),
    "document": N_("CPF or CNPJ"),
    "email": N_("e-mail"),
    "phone": N_("phone"),
    "address": N_("address"),
    "kind": N_("kind"),
}
ADDRESS = ("postal_code", "street", "number", "complement", "district", "city", "state")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of the list says. Nonsense in it is ignored."""

    q: str = ""
    kind: CustomerKind | None = None
    older: int | None = None
    newer: int | None = None

    def address(self, path: str = "/customers", **changes: Any) -> str:
        """Return the address of this list with parts changed, its first page unless a page is named."""
        return web.address(path, self, {"older": None, "newer": None, **changes})


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""

    def number(name: str) -> int | None:
        text = query.get(name, "")
        return whole_in(text, 18)

    kind = query.get("kind", "")
    return Asked(
        q=web.said(query, "q")[:200].strip(),
        kind=CustomerKind(kind) if kind in set(CustomerKind) else None,
        older=number("older"),
        newer=number("newer"),
    )


def _wanted(request: Request[Any, Any, Any], asked: Asked) -> Wanted:
    return Wanted(search=asked.q, kind=asked.kind, scope=shell.scope_of(web.caller_of(request)))


@get("/customers", opt={"permission": "customers:read"})
async def customer_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the list."""
    asked = asked_of(request.query_params)
    wanted = _wanted(request, asked)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "customers", here=asked.address(older=asked.older, newer=asked.newer))
        wanted = await page_reads.sought(tx, wanted)
        page = await page_reads.customers(tx, wanted, older=asked.older, newer=asked.newer, size=PAGE_SIZE)
        total = await page_reads.count(tx, wanted)
    terms = {
        "everywhere": wanted.scope is None,
        "search": asked.q,
        "kind": asked.kind or "",
        "kinds": [(kind.value, _(word)) for kind, word in KINDS.items()],
        "filtered": bool(asked.q or asked.kind),
        "rows": page.rows,
        "total": total,
        "most": wanted.most,
        "previous": asked.address(newer=page.rows[0].who.number) if page.more_newer and page.rows else "",
        "next": asked.address(older=page.rows[-1].who.number) if page.more_older and page.rows else "",
        "exports": export.choices(asked.address, "/customers:export"),
    }
    part = web.wants_part(request)
    headers = {"HX-Push-Url": asked.address(older=asked.older, newer=asked.newer)} if part else {}
    template = "customers/list.html" if part else "customers/page.html"
    return render.html(template, headers=headers, shell=around, list=terms, may=around.may)


async def customer_of(tx: Tx, request: Request[Any, Any, Any], number: int) -> Customer:
    """Return a profile that the caller may see.

    Raises:
        UnknownCustomer: there is none, for this caller.
    """
    found = await reads.by_number(tx, number)
    if found is None or not await page_reads.is_seen(tx, found.id, shell.scope_of(web.caller_of(request))):
        raise UnknownCustomer(key=number)
    return found


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a customer's timeline."""

    at: datetime
    icon: str
    title: str
    detail: str = ""
    href: str = ""


def _of_audit(entry: audit.Entry) -> Happening:
    who = entry.actor_name
    match entry.action:
        case "create":
            return Happening(at=entry.at, icon="user", title=_("Profile created"), detail=who)
        case "merge":
            return Happening(at=entry.at, icon="users", title=_("Put together with another profile"), detail=who)
        case "unmerge":
            return Happening(at=entry.at, icon="users", title=_("Told apart from another profile again"), detail=who)
        case "begin_erasing" | "erase":
            title = _("Erased for good") if entry.action == "erase" else _("To be erased for good")
            return Happening(at=entry.at, icon="trash", title=title, detail=who)
        case "reveal" | "export":
            title = _("Data shown in full") if entry.action == "reveal" else _("All data taken as a file")
            why = str((entry.after or {}).get("why") or "")
            detail = f"{why} \N{MIDDLE DOT} {who}" if why else who
            return Happening(at=entry.at, icon="eye", title=title, detail=detail)
        case _:
            changed = [_(FIELDS[name]) for name in FIELDS if name in (entry.after or {})]
            detail = " \N{MIDDLE DOT} ".join(filter(None, (", ".join(changed), who)))
            return Happening(at=entry.at, icon="pencil", title=_("Profile changed"), detail=detail)


def _of_message(row: MessageRow) -> Happening:
    title, detail, icon, _tone = timeline.of_message(row)
    about = f"{detail} \N{MIDDLE DOT} #{row.order_number}"
    return Happening(at=row.done_at or row.created_at, icon=icon, title=title, detail=about, href=f"/messages/{row.id}")


def _of_consent(row: ConsentRow) -> Happening:
    what, said, how = _consent_words(row)
    return Happening(at=row.at, icon="check" if row.given else "ban", title=f"{said}: {what}", detail=how)


def _consent_words(row: ConsentRow) -> tuple[str, str, str]:
    what = f"{_(PURPOSE_WORDS[Purpose(row.purpose)])}, {_(CHANNEL_WORDS[Channel(row.channel)])}"
    said = _("Agreed") if row.given else _("Took back or refused")
    source = _(SOURCE_WORDS[ConsentSource(row.source)]) if row.source in set(ConsentSource) else row.source
    return what, said, f"{source} \N{MIDDLE DOT} {row.proof}" if row.proof else source


def _consent_line(row: ConsentRow) -> tuple[str, str, str, datetime]:
    return (*_consent_words(row), row.at)


Wish = tuple[str, str, list[tuple[str, str, bool]]]


def _wishes(standing: Mapping[tuple[Purpose, Channel], bool]) -> list[Wish]:
    """Return what counts now, by purpose: each means with whether it is wanted."""
    return [
        (
            purpose.value,
            _(word),
            [
                (c.value, _(name), standing.get((purpose, c), purpose is Purpose.TRANSACTIONAL))
                for c, name in CHANNEL_WORDS.items()
            ],
        )
        for purpose, word in PURPOSE_WORDS.items()
    ]


@post("/customers/{number:int}/wishes", opt={"permission": "customers:write"}, status_code=200)
async def customer_wishes(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Write down what a customer said they want, and how they said it.

    Raises:
        Invalid: it is not said how the customer said so.
        Conflict: somebody changed it meanwhile.
    """
    form = await request.form()
    said, version = forms.said(form, "proof", 200), forms.said(form, "version", 9)
    source = forms.said(form, "source", 20)
    refuse([] if said else [Flaw("proof", N_("Say in up to 200 characters how the customer said so."))])
    async with web.writing(request) as tx:
        customer = await customer_of(tx, request, number)
        before = await messages.preference(tx, customer.id)
        language = forms.said(form, "language", 5) or None
        if language != before.language:
            seen = int(version) if version.isascii() and version.isdigit() else 0
            await wishes.set_preference(
                tx, customer.id, language=language, declined=before.declined, source=said, version=seen
            )
        wanted = {(p, c): form.get(f"{p.value}-{c.value}") == "1" for p in Purpose for c in Channel}
        how = ConsentSource(source) if source in {"store", "call"} else ConsentSource.CONSOLE
        await wishes.set_wishes(tx, customer.id, wanted, source=how, proof=said)
    notice = _("The wishes were written down")
    if not web.wants_part(request):
        return web.see_other(f"/customers/{number}", notice=notice)
    async with web.reading(request) as tx:
        shown = await draw(tx, request, number)
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


@get("/customers/{number:int}", opt={"permission": "customers:read"})
async def customer_page(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Show one profile; lead from one that went into another to that one."""
    async with web.reading(request) as tx:
        if await reads.by_number(tx, number) is None and (into := await reads.gone_into(tx, number)) is not None:
            return web.see_other(f"/customers/{into}", notice=_("Profile {number} went into this one", number=number))
        return await draw(tx, request, number)


async def draw(tx: Tx, request: Request[Any, Any, Any], number: int) -> Response[str]:
    """Draw the page of a customer, or its part for a script that has the rest."""
    around = await shell.around(tx, request, "customers")
    scope = shell.scope_of(web.caller_of(request))
    customer = await customer_of(tx, request, number)
    search = await privacy.search(tx, customer.id)
    may_orders = around.may("orders:read")
    rows = []
    if may_orders:
        rows = await list_reads.rows_of(tx, await page_reads.orders(tx, customer.id, scope), scope)
        rows.sort(key=lambda row: row.placed_at, reverse=True)
    happenings = [
        Happening(
            at=row.placed_at,
            icon="shopping-bag",
            title=_("Order {number}", number=f"#{row.number}"),
            detail=row.channel,
            href=f"/orders/{row.number}",
        )
        for row in rows
    ]
    if around.may("audit:read"):
        trail = await audit.trail(tx, entity="customer", entity_id=str(customer.id), limit=30)
        happenings += [_of_audit(entry) for entry in trail]
    said = await messages.of_customer(tx, customer.id, scope) if may_orders else []
    consents = await messages.consents(tx, customer.id)
    happenings += [_of_message(row) for row in said] + [_of_consent(row) for row in consents]
    happenings.sort(key=lambda happening: happening.at, reverse=True)
    wants = await messages.preference(tx, customer.id)
    terms: dict[str, Any] = {
        "shell": around,
        "customer": customer,
        "who": reads.masked_customer(customer),
        "erasure": await privacy.erasure(tx, customer.id),
        "search": search,
        "refused": searching.why_refused(search) if search else None,
        "kind": _(KINDS[customer.kind]),
        "bought": await page_reads.bought(tx, customer.id, scope),
        "orders": list(zip(await order_list.row_views(tx, rows), rows, strict=True)),
        "happenings": happenings[:60],
        "messages": [message_log.view_of(row) for row in said[:30]],
        "wants": wants,
        "wishes": _wishes(await messages.standing(tx, customer.id)),
        "consents": [_consent_line(row) for row in consents[:30]],
        "languages": [("", _("as the shop speaks")), ("pt-BR", _("Portuguese")), ("en", _("English"))],
        "alike": await _alike(tx, customer) if scope is None else [],
        "everywhere": scope is None,
        "merges": [m for m in await reads.merges_into(tx, customer.id) if m.undone_at is None] if scope is None else [],
        "may_orders": may_orders,
        "may": around.may,
    }
    part = web.wants_part(request)
    return render.html("customers/customer_body.html" if part else "customers/customer.html", **terms)


async def _alike(tx: Tx, customer: Customer) -> list[tuple[Any, str]]:
    """Return profiles that share an identity with this one, masked, and which identity it is."""
    found = await reads.candidates(
        tx, emails=[customer.email] if customer.email else [], phones=[customer.phone] if customer.phone else []
    )
    alike = []
    for other in sorted(found, key=lambda c: c.number):
        if other.id != customer.id:
            same_email = customer.email is not None and other.email == customer.email
            alike.append((reads.masked_customer(other), _("same e-mail") if same_email else _("same phone")))
    return alike[:10]


@post("/customers/{number:int}/reveal", opt={"permission": "customers:reveal"}, status_code=200)
async def customer_reveal(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Show a customer's data in full. That it was shown, by whom, when and why is kept.

    Raises:
        Invalid: no reason is given.
    """
    why = forms.said(await request.form(), "why", 200)
    async with web.writing(request) as tx:
        customer = await service.reveal(tx, (await customer_of(tx, request, number)).id, why)
    if not web.wants_part(request):
        return web.see_other(f"/customers/{number}")
    shown = {
        "document": brazil.format_document(customer.document) if customer.document else "",
        "email": customer.email or "",
        "phone": brazil.format_phone(customer.phone) if customer.phone else "",
    }
    return render.html(
        "customers/identity.html", customer=customer, who=reads.masked_customer(customer), revealed=shown,
        may=web.caller_of(request).may,
    )  # fmt: skip


@post("/customers/{number:int}", opt={"permission": "customers:write"}, status_code=200)
async def customer_change(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Change a profile that is still as the person saw it; identities and address left empty stay as they are.

    Raises:
        Invalid: a value is not valid; nothing was changed.
        Conflict: somebody changed the profile meanwhile.
        NeedsEverywhere: a document, or an e-mail without one, by whoever is limited to locations.
        CustomerExists: another profile has the document or the e-mail.
    """
    form = await request.form()
    version = forms.said(form, "version", 10)
    address = {part: forms.said(form, part, 200) for part in ADDRESS}
    async with web.writing(request) as tx:
        customer = await customer_of(tx, request, number)
        draft = CustomerDraft(
            name=forms.said(form, "name", 400),
            document=forms.said(form, "document", 40) or customer.document,
            email=forms.said(form, "email", 300) or customer.email,
            phone=forms.said(form, "phone", 40) or customer.phone,
            address=Address(**address) if any(address.values()) else customer.address,
        )
        seen = int(version) if version.isascii() and version.isdigit() else 0
        await service.update_customer(tx, customer.id, draft, seen)
    if not web.wants_part(request):
        return web.see_other(f"/customers/{number}", notice=_("Customer saved"))
    async with web.reading(request) as tx:
        shown = await draw(tx, request, number)
    shown.headers["HX-Trigger"] = web.trigger("toast", _("Customer saved"))
    return shown


COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("Kind")), Column(N_("Name"), width=36),
    Column(N_("CPF or CNPJ"), width=20), Column(N_("E-mail"), width=30), Column(N_("Phone"), width=20),
    Column(N_("City"), width=22), Column(N_("UF"), width=6), Column(N_("Orders"), Kind.WHOLE),
    Column(N_("Latest order"), Kind.MOMENT, 18),
)  # fmt: skip


def _cells(row: Row) -> list[Any]:
    who = row.who
    return [
        who.number, _(KINDS[who.kind]), who.name, who.document, who.email, who.phone, who.city, who.state, row.orders,
        row.latest,
    ]  # fmt: skip


@get(export.paths("/customers:export"), opt={"permission": "customers:read"})
async def customer_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file, its identities masked as on the page."""
    async with web.reading(request) as tx:
        wanted = await page_reads.sought(tx, _wanted(request, asked_of(request.query_params)))

    async def pages() -> AsyncIterator[list[Row]]:
        older = None
        while True:
            async with web.reading(request) as tx:
                page = await page_reads.customers(tx, wanted, older=older, size=export.BATCH)
            yield page.rows
            if not page.more_older:
                return
            older = page.rows[-1].who.number

    return export.send(request, "customers", COLUMNS, pages(), _cells)


HANDLERS = [customer_wishes, customer_list, customer_page, customer_reveal, customer_change, customer_export]
