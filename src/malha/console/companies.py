"""Legal entities and their establishments: the list by company, one company, one establishment, and their forms."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, locations, record_form, render, shell, web
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.console.record_form import Form
from malha.network import reads, service
from malha.network.errors import UnknownEstablishment, UnknownLegalEntity
from malha.network.model import (
    DocumentPolicy,
    EntityKind,
    Establishment,
    EstablishmentDraft,
    LegalEntity,
    LegalEntityDraft,
    Location,
    TaxRegime,
)
from malha.platform.brazil import STATES, format_cnpj, normalise_cnpj
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind
from malha.platform.text import fold

BLANK = EstablishmentDraft(code="", name="", cnpj="", state="")


async def _seen(tx: Tx, request: Request[Any, Any, Any]) -> tuple[list[Establishment], list[Location]]:
    """Return the establishments and locations the caller may see: in a scope, only those of its locations."""
    return await reads.establishments_seen(tx), await locations.in_scope(tx, request)


def _fits(e: Establishment, words: list[str], digits: str) -> bool:
    text = fold(f"{e.code} {e.name} {e.legal_name} {e.state} {e.cnpj} {format_cnpj(e.cnpj)}")
    return all(word in text for word in words) or bool(len(digits) > 3 and digits in e.cnpj.lower())


def _asked(request: Request[Any, Any, Any]) -> str:
    return web.said(request.query_params, "q")[:200].strip()


def _sought(asked: str) -> tuple[list[str], str]:
    """Return the words of a search, and its letters and digits: a CNPJ is found without its punctuation."""
    return fold(asked).split(), "".join(c for c in asked.lower() if c.isalnum())


@get("/companies", opt={"permission": "network:read"})
async def company_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the companies, each with its establishments."""
    asked = _asked(request)
    words, digits = _sought(asked)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "companies")
        seen, places = await _seen(tx, request)
        companies = await reads.legal_entities(tx)
    found = [e for e in seen if not words or _fits(e, words, digits)]
    held = Counter(place.establishment_id for place in places)
    groups = [(company, [e for e in found if e.legal_entity_id == company.id]) for company in companies]
    part = web.wants_part(request)
    return render.html(
        "companies/list.html" if part else "companies/page.html",
        shell=around,
        may=around.may,
        q=asked,
        groups=[(company, _(say.ENTITY_KIND[company.kind]), members) for company, members in groups if members],
        held=held,
        regimes={regime: _(word) for regime, word in say.TAX_REGIME.items()},
        known=len(seen),
        total=len(found),
        exports=export.choices(
            lambda path: path + (f"?{urlencode({'q': asked})}" if asked else ""), "/companies:export"
        ),
    )


COLUMNS = (
    Column(N_("Company"), width=34), Column(N_("CNPJ root")), Column(N_("Kind"), width=18), Column(N_("Code")),
    Column(N_("Establishment"), width=30), Column(N_("CNPJ"), width=20), Column(N_("State registration"), width=18),
    Column(N_("UF"), width=6), Column(N_("Tax regime"), width=22), Column(N_("Documents"), width=34),
    Column(N_("Locations"), SheetKind.WHOLE), Column(N_("In use")),
)  # fmt: skip


@get(export.paths("/companies:export"), opt={"permission": "network:read"})
async def company_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the establishments, as they are filtered, with their companies as a file."""
    words, digits = _sought(_asked(request))
    async with web.reading(request) as tx:
        seen, places = await _seen(tx, request)
    held = Counter(place.establishment_id for place in places)
    found = [e for e in seen if not words or _fits(e, words, digits)]

    def cells(e: Establishment) -> list[Any]:
        return [
            e.legal_name, e.cnpj[:8], _(say.ENTITY_KIND[e.kind]), e.code, e.name, format_cnpj(e.cnpj),
            e.state_registration, e.state, _(say.TAX_REGIME[e.tax_regime]), _(say.DOCUMENT_POLICY[e.document_policy]),
            held[e.id], _("yes") if e.active else _("no"),
        ]  # fmt: skip

    return export.send_all(request, "establishments", COLUMNS, found, cells)


async def _company(tx: Tx, request: Request[Any, Any, Any], root: str) -> tuple[LegalEntity, list[Establishment]]:
    found = await reads.legal_entity(tx, root)
    members = [e for e in (await _seen(tx, request))[0] if found is not None and e.legal_entity_id == found.id]
    if found is None or (not members and web.caller_of(request).locations is not None):
        raise UnknownLegalEntity(key=root)
    return found, members


@get("/companies/{root:str}", opt={"permission": "network:read"})
async def company_show(request: Request[Any, Any, Any], root: FromPath[str]) -> Response[str]:
    """Show one company with its establishments, and its form to those who may change it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "companies")
        company, members = await _company(tx, request, root)
    return render.html(
        "companies/company.html",
        shell=around,
        may=around.may,
        company=company,
        kind=_(say.ENTITY_KIND[company.kind]),
        members=members,
        regimes={regime: _(word) for regime, word in say.TAX_REGIME.items()},
        kinds=list(filling.options(say.ENTITY_KIND)),
    )


@post("/companies/{root:str}", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def company_change(request: Request[Any, Any, Any], root: FromPath[str]) -> Response[Any]:
    """Change a company's name or kind."""
    read = filling.filled(await request.form())
    draft = LegalEntityDraft(name=read.text("name"), kind=read.choice("kind", EntityKind))
    read.refuse()
    async with web.writing(request) as tx:
        await _company(tx, request, root)
        await service.update_legal_entity(tx, root, draft, read.version())
    return web.go_on(request, f"/companies/{root}", _("Company saved"))


# --- establishments ---


async def _establishment(tx: Tx, request: Request[Any, Any, Any], code: str) -> tuple[Establishment, list[Location]]:
    seen, places = await _seen(tx, request)
    found = next((e for e in seen if e.code == code), None)
    if found is None:
        raise UnknownEstablishment(key=code)
    return found, [x for x in places if x.establishment_id == found.id]


@get("/establishments/{code:str}", opt={"permission": "network:read"})
async def establishment_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one establishment with the locations whose documents it issues."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "companies")
        found, places = await _establishment(tx, request, code)
        channels = [c for c in await reads.channels(tx) if c.establishment_id == found.id]
    return render.html(
        "companies/establishment.html",
        shell=around,
        may=around.may,
        e=found,
        kind=_(say.ENTITY_KIND[found.kind]),
        regime=_(say.TAX_REGIME[found.tax_regime]),
        policy=_(say.DOCUMENT_POLICY[found.document_policy]),
        places=[(x, _(say.LOCATION_KIND[x.kind]), say.LOCATION_STATUS[x.status]) for x in places],
        channels=channels,
    )


async def _form(tx: Tx, request: Request[Any, Any, Any], found: Establishment | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "companies")
    return {
        "shell": around,
        "may": around.may,
        "draft": BLANK if found is None else reads.establishment_draft(found),
        "version": found.version if found else 0,
        "action": f"/establishments/{found.code}/edit" if found else "/establishments:new",
        "back": f"/establishments/{found.code}" if found else "/companies",
        "states": [(state, state) for state in sorted(STATES)],
        "regimes": list(filling.options(say.TAX_REGIME)),
        "policies": list(filling.options(say.DOCUMENT_POLICY)),
        "kinds": list(filling.options(say.ENTITY_KIND)),
    }


async def _terms(tx: Tx, request: Request[Any, Any, Any], code: str | None) -> dict[str, Any]:
    return await _form(tx, request, (await _establishment(tx, request, code))[0] if code is not None else None)


async def _make(tx: Tx, read: Filled) -> str:
    """Make an establishment, and its company with it when the root of its CNPJ is new."""
    draft = await _draft(tx, read, None)
    read.refuse()
    return (await service.create_establishment(tx, draft)).code


async def _change(tx: Tx, request: Request[Any, Any, Any], read: Filled, code: str) -> None:
    found, _places = await _establishment(tx, request, code)
    draft = await _draft(tx, read, found)
    read.refuse()
    await service.update_establishment(tx, draft, read.version())


async def _draft(tx: Tx, read: Filled, before: Establishment | None) -> EstablishmentDraft:
    """Return the establishment the form states; a company that is known keeps its name and kind."""
    cnpj = read.text("cnpj", 30)
    company = await reads.legal_entity(tx, (normalise_cnpj(cnpj) or "")[:8])
    # An establishment that moves to a root nobody has takes its company's name with it.
    legal_name = before.legal_name if before else read.text("legal_name")
    if company is None and not legal_name and normalise_cnpj(cnpj):
        read.wrong("legal_name", N_("No company has this CNPJ root yet."), N_("Give the company's registered name."))
    kind = company.kind if company else before.kind if before else read.choice("company_kind", EntityKind)
    return EstablishmentDraft(
        code=before.code if before else read.text("code", 40),
        name=read.text("name"),
        cnpj=cnpj,
        state=read.text("state", 2),
        state_registration=read.text("state_registration", 30) or None,
        tax_regime=read.choice("tax_regime", TaxRegime),
        document_policy=read.choice("document_policy", DocumentPolicy),
        active=read.flag("active"),
        legal_name=None if company else legal_name or None,
        kind=kind,
    )


FORM = Form(
    path="/establishments",
    template="companies/form.html",
    terms=_terms,
    make=_make,
    change=_change,
    made=N_("Establishment created"),
    changed=N_("Establishment saved"),
)
HANDLERS = [
    company_list,
    company_export,
    company_show,
    company_change,
    establishment_show,
    *record_form.handlers(FORM),
]
