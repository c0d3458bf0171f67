"""People who sign in: the list, inviting somebody, their role and places, and what an administrator does for them."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.feeds import reads as feeds
from malha.channels.feeds.model import Feed
from malha.console import export, forms, render, shell, web
from malha.console.forms import Refusal
from malha.console.words import Sign
from malha.identity import links, provider_reads, reads, second_factor, service
from malha.identity.errors import PersonChanged
from malha.identity.links import Link
from malha.identity.model import ROLE_NAMES, ROLES, Role
from malha.identity.reads import PeopleWanted, PersonView
from malha.identity.service import PersonDraft
from malha.network import reads as network
from malha.platform import mail
from malha.platform.db import Tx
from malha.platform.errors import MalhaError, NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind
from malha.webhooks import service as webhooks

MANAGE = {"permission": "identity:manage"}
PAGE_SIZE = 100
ROLE_KEYS = frozenset(role.value for role in Role)
STATES = {"active": N_("Has access"), "invited": N_("Invited"), "inactive": N_("Deactivated")}
SIGNS = {
    "active": Sign(STATES["active"], "done", "done"),
    "invited": Sign(STATES["invited"], "wait", "dash"),
    "inactive": Sign(STATES["inactive"], "neutral", "x"),
}
# What each role is for, as one would explain it to somebody new.
ROLE_USES: dict[Role, str] = {
    Role.OWNER: N_("Everything, people and settings included."),
    Role.MANAGER: N_("The whole operation, but not people and settings."),
    Role.CUSTOMER_SERVICE: N_("Orders and customers: change, cancel, refund, see personal data."),
    Role.PLANNER: N_("Stock, catalogue and network; no customers' data in full."),
    Role.STORE_LEAD: N_("Runs a store: its orders, stock, payments and documents."),
    Role.STORE_ASSOCIATE: N_("Picks, packs and hands over; takes orders at the counter."),
    Role.INTEGRATOR: N_("Connects other systems."),
    Role.AUDITOR: N_("Sees everything that is not personal, changes nothing."),
}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The form as it stands: what is kept, or what was typed and refused."""

    name: str = ""
    email: str = ""
    role: str = Role.STORE_ASSOCIATE.value
    everywhere: bool = False
    locations: tuple[str, ...] = ()
    language: str = ""
    version: int = 0


def state_of(person: PersonView) -> str:
    """Return whether a person is active, invited or deactivated."""
    return "inactive" if not person.active else "invited" if person.invited else "active"


def _wanted(request: Request[Any, Any, Any]) -> tuple[PeopleWanted, str]:
    asked = request.query_params
    typed = asked.get("q", "").strip()[:100]
    role, state = asked.get("role", ""), asked.get("state", "")
    return (
        PeopleWanted(
            text=web.fold(typed) or None,
            role=Role(role) if role in ROLE_KEYS else None,
            state=state if state in STATES else None,
        ),
        typed,
    )


def _address(path: str, **terms: str | None) -> str:
    query = urlencode({name: value for name, value in terms.items() if value})
    return f"{path}?{query}" if query else path


@get("/people", opt=MANAGE)
async def people_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the people."""
    wanted, typed = _wanted(request)
    after = request.query_params.get("after", "")[:200]
    place = _place(after)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "people")
        rows = await reads.people(tx, PAGE_SIZE + 1, place, wanted)
        counts = await reads.people_by_state(tx)
    more = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    terms = {"q": typed, "role": wanted.role, "state": wanted.state}
    total = sum(counts.values())
    tabs = [("", _("All"), total)] + [(state, _(word), counts.get(state, 0)) for state, word in STATES.items()]
    return render.html(
        "people/list.html",
        shell=around,
        may=around.may,
        people=[(row, SIGNS[state_of(row)], _places_text(row)) for row in rows[:PAGE_SIZE]],
        tabs=[(word, found, _address("/people", **{**terms, "state": state}), state) for state, word, found in tabs],
        wanted=wanted,
        typed=typed,
        narrowed=bool(typed or wanted.role or wanted.state),
        roles=[(role.value, _(ROLE_NAMES[role])) for role in Role],
        role_names=ROLE_NAMES,
        alone=total <= 1,
        next=_address("/people", **terms, after=f"{more.id}~{more.name}") if more else "",
        exports=export.choices(lambda path: _address(path, **terms), "/people/export"),
    )


def _place(after: str) -> tuple[str, UUID] | None:
    person_id, _sign, name = after.partition("~")
    try:
        return (name, UUID(person_id)) if name else None
    except ValueError:
        return None


def _places_text(person: PersonView) -> str:
    if person.everywhere:
        return _("Everywhere")
    return ", ".join(person.locations[:3]) + (f" +{len(person.locations) - 3}" if len(person.locations) > 3 else "")


COLUMNS = (
    Column(N_("Name"), width=30), Column(N_("E-mail"), width=34), Column(N_("Role"), width=22),
    Column(N_("Locations"), width=30), Column(N_("State")), Column(N_("Second factor")),
    Column(N_("Last seen"), Kind.MOMENT, 18), Column(N_("Since"), Kind.MOMENT, 18),
)  # fmt: skip


def _export_row(person: PersonView) -> list[Any]:
    return [
        person.name, person.email, _(ROLE_NAMES[person.role]),
        _("Everywhere") if person.everywhere else ", ".join(person.locations), _(STATES[state_of(person)]),
        _("yes") if person.second_factor else _("no"), person.seen_at, person.created_at,
    ]  # fmt: skip


@get(export.paths("/people/export"), opt=MANAGE)
async def people_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file."""
    wanted, _typed = _wanted(request)

    pages = export.pages(
        request, lambda tx, after: reads.people(tx, export.BATCH, after, wanted), lambda row: (row.name, row.id)
    )

    return export.send(request, "people", COLUMNS, pages, _export_row)


# --- one person


async def _page(
    tx: Tx,
    request: Request[Any, Any, Any],
    *,
    person: PersonView | None,
    draft: Draft,
    refused: Refusal | None = None,
    made: Link | None = None,
) -> Response[str]:
    """Draw the form of a person, or of a new one."""
    around = await shell.around(tx, request, "people", here=f"/people/{person.id}" if person else "/people/new")
    settings = request.app.state.services.settings
    demanding = await reads.demanding_roles(tx)
    scope = shell.scope_of(web.caller_of(request))
    return render.html(
        "people/person.html",
        status=refused.status if refused else 200,
        shell=around,
        may=around.may,
        person=person,
        state=SIGNS[state_of(person)] if person else None,
        role_name=ROLE_NAMES[person.role] if person else "",
        link=await reads.link_of(tx, person.id) if person else None,
        keys=await reads.keys_of(tx, person.id) if person else [],
        hooks=await webhooks.kept_by(tx, person.id) if person else [],
        addresses=await _addresses_read_by(tx, person) if person and scope is None else [],
        accounts=await provider_reads.identities(tx, person.id) if person else [],
        own=person is not None and str(person.id) == web.caller_of(request).id,
        demanded=person is not None and person.role in demanding,
        draft=draft,
        refused=refused,
        made=links.address_of(settings, made.token) if made else "",
        made_until=made.expires_at if made else None,
        mailing=mail.is_set_up(request.app.state.services.settings),
        roles=[(role.value, _(ROLE_NAMES[role]), _(ROLE_USES[role]), role in demanding) for role in Role],
        places=[place for place in await network.locations(tx) if scope is None or place.id in scope],
        all_places=scope is None,
        languages={"pt-BR": "Português (Brasil)", "en": "English"},
    )


async def _addresses_read_by(tx: Tx, person: PersonView) -> list[Feed]:
    """Return the feeds in use whose addresses a person may have read: who knows one reads its file without a log-in."""
    if not person.everywhere or "network:read" not in ROLES[person.role]:
        return []
    return [feed for feed in await feeds.feeds(tx) if feed.active]


def _kept(person: PersonView) -> Draft:
    return Draft(
        name=person.name,
        email=person.email,
        role=person.role.value,
        everywhere=person.everywhere,
        locations=tuple(person.locations),
        language=person.language or "",
        version=person.version,
    )


async def _typed(request: Request[Any, Any, Any]) -> Draft:
    form = await request.form()
    version = forms.said(form, "version", 9)
    return Draft(
        name=forms.said(form, "name", 120),
        email=forms.said(form, "email", 254),
        role=forms.said(form, "role", 40),
        everywhere=forms.said(form, "scope", 20) == "everywhere",
        locations=tuple(forms.chosen(form, "locations")),
        language=forms.said(form, "language", 10),
        version=int(version) if version.isascii() and version.isdigit() else 0,
    )


def _said_person(typed: Draft, *, active: bool = True, timezone: str | None = None) -> PersonDraft:
    """Return the form as a person.

    Raises:
        Invalid: neither everywhere nor any location was chosen.
    """
    placed = typed.everywhere or typed.locations
    refuse([] if placed else [Flaw("locations", N_("Choose at least one location, or everywhere."))])
    return PersonDraft(
        name=typed.name,
        email=typed.email,
        role=Role(typed.role) if typed.role in ROLE_KEYS else Role.STORE_ASSOCIATE,
        locations=None if typed.everywhere else list(typed.locations),
        language=typed.language or None,
        timezone=timezone,
        active=active,
    )


async def _person(tx: Tx, person_id: UUID) -> PersonView:
    found = await reads.person(tx, person_id)
    if found is None:
        raise NotFound(what="person", key=person_id)
    return found


@get("/people/new", opt=MANAGE)
async def person_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form for somebody new."""
    async with web.reading(request) as tx:
        return await _page(tx, request, person=None, draft=Draft())


@post("/people/new", opt=MANAGE, status_code=200)
async def person_invite(request: Request[Any, Any, Any]) -> Response[Any]:
    """Add a person and invite them: by mail where mail can be sent, else by a link to hand over."""
    typed = await _typed(request)
    mailing = mail.is_set_up(request.app.state.services.settings)
    try:
        async with web.writing(request) as tx:
            person_id = await service.create_person(tx, _said_person(typed), password=None)
            made = None
            if mailing:
                await links.mail_link(tx, person_id)
            else:
                made = await links.make_link(tx, request.app.state.services.signing, person_id)
    except MalhaError as error:
        async with web.reading(request) as tx:
            return await _page(tx, request, person=None, draft=typed, refused=forms.refusal(error))
    if made is None:
        notice = _("{name} gets the invitation by e-mail.", name=typed.name)
        return web.see_other(f"/people/{person_id}", notice=notice)
    return await _shown(request, person_id, made)


async def _shown(request: Request[Any, Any, Any], person_id: UUID, made: Link) -> Response[str]:
    async with web.reading(request) as tx:
        person = await _person(tx, person_id)
        return await _page(tx, request, person=person, draft=_kept(person), made=made)


@get("/people/{person_id:uuid}", opt=MANAGE)
async def person_show(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[str]:
    """Show one person."""
    async with web.reading(request) as tx:
        person = await _person(tx, person_id)
        return await _page(tx, request, person=person, draft=_kept(person))


@post("/people/{person_id:uuid}", opt=MANAGE, status_code=200)
async def person_save(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """Save a person. What is taken away is lost at once."""
    typed = await _typed(request)
    try:
        async with web.writing(request) as tx:
            version = await service.lock_to_change(tx, person_id)
            if version != typed.version:
                raise PersonChanged
            before = await _person(tx, person_id)
            draft = _said_person(typed, active=before.active, timezone=before.timezone)
            await service.change_person(tx, person_id, draft)
    except NotFound:
        raise
    except MalhaError as error:
        async with web.reading(request) as tx:
            person = await _person(tx, person_id)
            fresh = msgspec.structs.replace(typed, version=person.version)
            return await _page(tx, request, person=person, draft=fresh, refused=forms.refusal(error))
    return web.see_other(f"/people/{person_id}", notice=_("Saved"))


@post("/people/{person_id:uuid}/deactivate", opt=MANAGE, status_code=200)
async def person_deactivate(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """Let a person in no more; their sessions and links end, and the keys they made if that is chosen."""
    revoke_keys = bool(forms.said(await request.form(), "revoke_keys", 10))

    async def end(tx: Tx) -> None:
        await service.set_active(tx, person_id, active=False, revoke_keys=revoke_keys)

    return await _act(request, person_id, end, _("Deactivated"))


@post("/people/{person_id:uuid}/keys/revoke", opt=MANAGE, status_code=200)
async def person_keys_revoke(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """End every key that a person made."""
    return await _act(request, person_id, lambda tx: service.revoke_keys_of(tx, person_id), _("Their keys are revoked"))


@post("/people/{person_id:uuid}/activate", opt=MANAGE, status_code=200)
async def person_activate(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """Let a person in again."""
    return await _act(request, person_id, lambda tx: service.set_active(tx, person_id, active=True), _("Active again"))


@post("/people/{person_id:uuid}/sign-out", opt=MANAGE, status_code=200)
async def person_sign_out(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """End every session of a person, but the one that asks."""

    async def end(tx: Tx) -> None:
        await service.person_to_manage(tx, person_id)
        await service.revoke_other_sessions(tx, person_id, forms.own_token(request))

    return await _act(request, person_id, end, _("Every session ended"))


@post("/people/{person_id:uuid}/second-factor/remove", opt=MANAGE, status_code=200)
async def person_factor_remove(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """Take the second factor of somebody who lost it away."""
    return await _act(request, person_id, lambda tx: second_factor.remove(tx, person_id), _("Second factor removed"))


@post("/people/{person_id:uuid}/mail", opt=MANAGE, status_code=200)
async def person_mail(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """Mail a person a link by which they choose a password."""
    mail.server_of(request.app.state.services.settings)
    return await _act(request, person_id, lambda tx: links.mail_link(tx, person_id), _("The link goes out by e-mail"))


@post("/people/{person_id:uuid}/link", opt=MANAGE, status_code=200)
async def person_link(request: Request[Any, Any, Any], person_id: FromPath[UUID]) -> Response[Any]:
    """Make a link to hand over, and show it this once."""
    try:
        async with web.writing(request) as tx:
            made = await links.make_link(tx, request.app.state.services.signing, person_id)
    except NotFound:
        raise
    except MalhaError as error:
        return await _refused(request, person_id, error)
    return await _shown(request, person_id, made)


async def _refused(request: Request[Any, Any, Any], person_id: UUID, error: MalhaError) -> Response[str]:
    async with web.reading(request) as tx:
        person = await _person(tx, person_id)
        return await _page(tx, request, person=person, draft=_kept(person), refused=forms.refusal(error))


async def _act(
    request: Request[Any, Any, Any], person_id: UUID, do: Callable[[Tx], Awaitable[object]], notice: str
) -> Response[Any]:
    try:
        async with web.writing(request) as tx:
            await do(tx)
    except NotFound:
        raise
    except MalhaError as error:
        return await _refused(request, person_id, error)
    return web.see_other(f"/people/{person_id}", notice=notice)


HANDLERS = [
    people_list,
    people_export,
    person_new,
    person_invite,
    person_show,
    person_save,
    person_deactivate,
    person_activate,
    person_sign_out,
    person_factor_remove,
    person_mail,
    person_link,
    person_keys_revoke,
]
