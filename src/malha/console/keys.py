"""API keys: how programs sign in. A key's secret is shown once, on the page that made it."""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, forms, render, shell, web
from malha.console.forms import Refusal
from malha.console.people import MANAGE
from malha.console.roles import groups
from malha.console.words import Sign
from malha.identity import reads, service
from malha.identity.reads import KeyView
from malha.network import reads as network
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind

SOON = timedelta(days=14)
LASTS = {"30": N_("30 days"), "90": N_("90 days"), "365": N_("One year"), "": N_("Until it is revoked")}
COLUMNS = (
    Column(N_("Name"), width=28),
    Column(N_("Beginning")),
    Column(N_("Permissions"), width=60),
    Column(N_("Locations")),
    Column(N_("Created"), SheetKind.MOMENT),
    Column(N_("Made by")),
    Column(N_("Maker has access")),
    Column(N_("Ends"), SheetKind.MOMENT),
    Column(N_("Last used"), SheetKind.MOMENT),
    Column(N_("State")),
)
HAS = {"active": N_("yes"), "less": N_("less than the key"), "gone": N_("no")}
ACTIVE = Sign(N_("Valid"), "done", "done")
ENDING = Sign(N_("Ends soon"), "wait", "dash")
EXPIRED = Sign(N_("Expired"), "neutral", "x")
REVOKED = Sign(N_("Revoked"), "neutral", "x")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The form as it stands."""

    name: str = ""
    permissions: tuple[str, ...] = ()
    everywhere: bool = True
    locations: tuple[str, ...] = ()
    lasts: str = "365"


def sign_of(key: KeyView) -> Sign:
    """Return whether a key works, and for how long."""
    if key.revoked_at is not None:
        return REVOKED
    if key.expires_at is None:
        return ACTIVE
    left = key.expires_at - now()
    return EXPIRED if left <= timedelta(0) else ENDING if left < SOON else ACTIVE


@get("/keys", opt=MANAGE)
async def key_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the keys, those that work first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "keys")
        keys = await reads.keys(tx)
    signed = [(key, sign_of(key)) for key in keys]
    working = [pair for pair in signed if pair[1] in {ACTIVE, ENDING}]
    ended = [pair for pair in signed if pair[1] not in {ACTIVE, ENDING}]
    return render.html(
        "keys/list.html",
        shell=around,
        may=around.may,
        working=working,
        ended=ended[::-1],
        orphaned=sum(key.maker is not None and key.maker.state == "gone" for key, _sign in working),
        exports=export.choices(str, "/keys:export"),
    )


@get(export.paths("/keys:export"), opt=MANAGE)
async def key_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the keys as a file: what each may, where and until when. No secret is kept that could be sent."""
    async with web.reading(request) as tx:
        keys = await reads.keys(tx)

    def cells(key: KeyView) -> list[Any]:
        places = "" if key.everywhere else " ".join(key.locations)
        maker = key.maker
        return [
            key.name, key.prefix, " ".join(key.permissions), places, key.created_at,
            maker.name if maker else "", _(HAS[maker.state]) if maker else "",
            key.expires_at, key.last_used_at, _(sign_of(key).word),
        ]  # fmt: skip

    return export.send_all(request, "keys", COLUMNS, keys, cells)


async def _form(tx: Tx, request: Request[Any, Any, Any], draft: Draft, refused: Refusal | None = None) -> Response[str]:
    around = await shell.around(tx, request, "keys", here="/keys/new")
    caller, scope = web.caller_of(request), shell.scope_of(web.caller_of(request))
    return render.html(
        "keys/new.html",
        status=refused.status if refused else 200,
        shell=around,
        may=around.may,
        draft=draft,
        refused=refused,
        groups=[
            (group.word, [pair for pair in group.permissions if caller.may(pair[0])])
            for group in groups()
            if any(caller.may(name) for name, _says in group.permissions)
        ],
        lasts=LASTS,
        places=[place for place in await network.locations(tx) if scope is None or place.id in scope],
        all_places=scope is None,
    )


@get("/keys/new", opt=MANAGE)
async def key_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form for a new key."""
    async with web.reading(request) as tx:
        everywhere = shell.scope_of(web.caller_of(request)) is None
        return await _form(tx, request, Draft(everywhere=everywhere))


@post("/keys/new", opt=MANAGE, status_code=200)
async def key_create(request: Request[Any, Any, Any]) -> Response[str]:
    """Make a key and show its secret this once."""
    form = await request.form()
    lasts = forms.said(form, "lasts", 4)
    draft = Draft(
        name=forms.said(form, "name", 120),
        permissions=tuple(forms.chosen(form, "permissions", 100)),
        everywhere=forms.said(form, "scope", 20) == "everywhere",
        locations=tuple(forms.chosen(form, "locations")),
        lasts=lasts if lasts in LASTS else "30",
    )
    caller = web.caller_of(request)
    try:
        async with web.writing(request) as tx:
            at = await tx.now()
            made = await service.create_key(
                tx,
                name=draft.name,
                permissions=draft.permissions,
                locations=None if draft.everywhere else list(draft.locations),
                expires_at=at + timedelta(days=int(draft.lasts)) if draft.lasts else None,
                held=caller.permissions,
                within=caller.locations,
            )
    except MalhaError as error:
        async with web.reading(request) as tx:
            return await _form(tx, request, draft, forms.refusal(error))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "keys", here="/keys")
        key = await reads.key(tx, made.id)
    address = request.app.state.services.settings.address
    return render.html("keys/made.html", shell=around, may=around.may, key=key, secret=made.secret, address=address)


@post("/keys/{key_id:int}/revoke", opt=MANAGE, status_code=303)
async def key_revoke(request: Request[Any, Any, Any], key_id: FromPath[int]) -> Response[bytes]:
    """End a key for good."""
    async with web.writing(request) as tx:
        key = await reads.key(tx, key_id)
        await service.revoke_key(tx, key_id)
    name = key.name if key else ""
    return web.see_other("/keys", notice=_("{name} is revoked.", name=name))


@post("/keys/{key_id:int}/take-over", opt=MANAGE, status_code=303)
async def key_take_over(request: Request[Any, Any, Any], key_id: FromPath[int]) -> Response[bytes]:
    """Have the person who asks answer for a key whose maker is gone."""
    async with web.writing(request) as tx:
        key = await service.hand_over_key(tx, key_id, web.person_of(request))
    return web.see_other("/keys", notice=_("You answer for {name} from now on.", name=key.name))


HANDLERS = [key_list, key_export, key_new, key_create, key_revoke, key_take_over]
