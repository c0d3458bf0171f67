"""One's own account: password, second factor, and the browsers one is signed in with."""

import io
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response
from markupsafe import Markup

from malha.console import forms, render, shell, web
from malha.console import reads as page_reads
from malha.console.devices import device, is_handheld
from malha.console.forms import Refusal
from malha.identity import reads, rules, second_factor, service
from malha.identity.errors import TooManyAttempts
from malha.identity.model import ROLE_NAMES, SIGNED_IN
from malha.platform.db import Tx
from malha.platform.errors import MalhaError, NotFound
from malha.platform.i18n import _, n_
from malha.platform.ids import UUID

OPEN = {"permission": SIGNED_IN}


def _own_id(request: Request[Any, Any, Any]) -> UUID:
    """Return the person who asks.

    Raises:
        NotFound: a key asks; it has no account.
    """
    caller = web.caller_of(request)
    if caller.kind != "person":
        raise NotFound(what="page", key=request.url.path)
    return UUID(caller.id)


async def _page(
    tx: Tx, request: Request[Any, Any, Any], *, refused: Refusal | None = None, at: str = ""
) -> Response[str]:
    """Draw the account; a refusal stands in the form it came from (`at`)."""
    own_id = _own_id(request)
    around = await shell.around(tx, request, "me", here="/account")
    person = await reads.person(tx, own_id)
    if person is None:
        raise NotFound(what="person", key=own_id)
    sessions = await reads.sessions(tx, own_id, rules.digest(forms.own_token(request)))
    return render.html(
        "account/page.html",
        status=refused.status if refused else 200,
        shell=around,
        may=around.may,
        person=person,
        role_name=ROLE_NAMES[person.role],
        factor=await reads.factor_state(tx, own_id),
        has_password=await reads.has_password(tx, own_id),
        sessions=[(session, device(session.agent), is_handheld(session.agent)) for session in sessions],
        refused=refused,
        at=at,
    )


@get("/account", opt=OPEN)
async def account(request: Request[Any, Any, Any]) -> Response[str]:
    """Show one's own account."""
    async with web.reading(request) as tx:
        return await _page(tx, request)


async def _refused(request: Request[Any, Any, Any], error: MalhaError, at: str) -> Response[str]:
    async with web.reading(request) as tx:
        return await _page(tx, request, refused=forms.refusal(error), at=at)


async def _begin_proof(request: Request[Any, Any, Any]) -> None:
    """Count that the person is about to prove their password.

    Raises:
        TooManyAttempts: it was wrong too often.
    """
    async with web.writing(request) as tx:
        wait = await service.begin_proof(tx, _own_id(request))
    if wait:
        raise TooManyAttempts(seconds=wait, retry_after=wait)


@post("/account/password", opt=OPEN, status_code=200)
async def password_change(request: Request[Any, Any, Any]) -> Response[Any]:
    """Change one's own password; every other session ends."""
    form = await request.form()
    try:
        await _begin_proof(request)
        async with web.writing(request) as tx:
            await service.change_password(
                tx,
                _own_id(request),
                forms.secret(form, "current"),
                forms.secret(form),
                keep_token=forms.own_token(request),
            )
            token = await service.renew_token(tx, forms.own_token(request))
    except NotFound:
        raise
    except MalhaError as error:
        return await _refused(request, error, "password")
    return _renewed(request, web.see_other("/account", notice=_("Password changed. Your other sessions ended.")), token)


def _renewed(request: Request[Any, Any, Any], sent: Response[Any], token: str) -> Response[Any]:
    """Give the browser the session's new token: what was known before must not open what may be done now."""
    sent.headers["Set-Cookie"] = request.app.state.services.cookie.header(token)
    return sent


@post("/account/sessions/{session_id:uuid}/revoke", opt=OPEN, status_code=303)
async def session_revoke(request: Request[Any, Any, Any], session_id: FromPath[UUID]) -> Response[bytes]:
    """End one of one's own sessions."""
    async with web.writing(request) as tx:
        await service.revoke_session(tx, _own_id(request), session_id)
    return web.see_other("/account", notice=_("Session ended"))


@post("/account/sessions/revoke-others", opt=OPEN, status_code=303)
async def sessions_revoke(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End every session of one's own but this one."""
    async with web.writing(request) as tx:
        ended = await service.revoke_other_sessions(tx, _own_id(request), forms.own_token(request))
    return web.see_other("/account", notice=n_("{n} session ended", "{n} sessions ended", ended))


# --- the second factor


def qr(text: str) -> Markup:
    """Return a QR code as inline SVG, without style or script."""
    import segno  # noqa: PLC0415 -- only who shows a code loads it

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=2, svgclass=None, lineclass=None
    )
    return Markup(out.getvalue().decode("utf-8"))  # noqa: S704 -- made here of modules, not of text


async def _set_up(
    tx: Tx, request: Request[Any, Any, Any], *, sealed: str = "", refused: Refusal | None = None
) -> Response[str]:
    own_id = _own_id(request)
    person = await reads.person(tx, own_id)
    place = await page_reads.surroundings(tx)
    set_up = second_factor.begin(
        request.app.state.services.signing,
        person_id=own_id,
        issuer=place.retailer or "Malha",
        account=person.email if person else "",
        at=await tx.now(),
        sealed=sealed,
    )
    return render.html(
        "account/second_factor.html",
        status=refused.status if refused else 200,
        door={"retailer": place.retailer, "theme": shell.theme_of(request)},
        demanded=web.caller_of(request).must_enrol,
        replacing=await second_factor.replaces(tx, _own_id(request)),
        set_up=set_up,
        spelt=" ".join(set_up.secret[i : i + 4] for i in range(0, len(set_up.secret), 4)),
        qr=qr(set_up.address),
        refused=refused,
    )


@get("/account/second-factor", opt=OPEN)
async def factor_set_up(request: Request[Any, Any, Any]) -> Response[str]:
    """Show a new secret as QR code and text."""
    async with web.reading(request) as tx:
        return await _set_up(tx, request)


@post("/account/second-factor", opt=OPEN, status_code=200)
async def factor_confirm(request: Request[Any, Any, Any]) -> Response[Any]:
    """Turn the second factor on with a first code, and show the recovery codes this once."""
    form = await request.form()
    sealed, code = forms.said(form, "sealed", 400), forms.said(form, "code", 20)
    keys = request.app.state.services.signing
    try:
        async with web.reading(request) as tx:
            replacing = await second_factor.replaces(tx, _own_id(request))
        if replacing:
            await _begin_proof(request)
        async with web.writing(request) as tx:
            codes = await second_factor.confirm(
                tx,
                keys,
                _own_id(request),
                sealed,
                code,
                password=forms.secret(form, "current"),
                keep_token=forms.own_token(request),
            )
            token = await service.renew_token(tx, forms.own_token(request))
    except NotFound:
        raise
    except MalhaError as error:
        async with web.reading(request) as tx:
            again = sealed if error.status in {422, 429} else ""  # a wrong code: the app may keep what it scanned
            return await _set_up(tx, request, sealed=again, refused=forms.refusal(error))
    return _renewed(request, await _codes(request, codes), token)


async def _codes(request: Request[Any, Any, Any], codes: list[str]) -> Response[str]:
    async with web.reading(request) as tx:
        place = await page_reads.surroundings(tx)
    door = {"retailer": place.retailer, "theme": shell.theme_of(request)}
    return render.html("account/recovery_codes.html", door=door, codes=codes)


@post("/account/second-factor/codes", opt=OPEN, status_code=200)
async def factor_codes(request: Request[Any, Any, Any]) -> Response[Any]:
    """Make new recovery codes and show them this once."""
    form = await request.form()
    try:
        await _begin_proof(request)
        async with web.writing(request) as tx:
            codes = await second_factor.renew_codes(tx, _own_id(request), forms.secret(form, "current"))
    except NotFound:
        raise
    except MalhaError as error:
        return await _refused(request, error, "factor")
    return await _codes(request, codes)


@post("/account/second-factor/off", opt=OPEN, status_code=200)
async def factor_off(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take one's own second factor away."""
    form = await request.form()
    try:
        await _begin_proof(request)
        async with web.writing(request) as tx:
            await second_factor.turn_off(tx, _own_id(request), forms.secret(form, "current"))
    except NotFound:
        raise
    except MalhaError as error:
        return await _refused(request, error, "factor")
    return web.see_other("/account", notice=_("Second factor turned off"))


HANDLERS = [
    account,
    password_change,
    session_revoke,
    sessions_revoke,
    factor_set_up,
    factor_confirm,
    factor_codes,
    factor_off,
]
