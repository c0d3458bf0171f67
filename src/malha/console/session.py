"""Signing in and out, the first owner, and how a person wants pages: language and theme."""

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.response import Response

from malha.console import forms, render, shell, web
from malha.console import reads as page_reads
from malha.identity import links, second_factor
from malha.identity import reads as people
from malha.identity import service as identity
from malha.identity.errors import LogInExpired, OwnerExists, WrongCredentials, WrongFactorCode
from malha.identity.keeping import THEMES
from malha.identity.model import PUBLIC, SIGNED_IN
from malha.identity.service import CodeWanted, LoggedIn, Refused
from malha.platform import i18n, mail
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import _, n_

YEAR = 365 * 24 * 3600


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """What the log-in and first-run pages show."""

    retailer: str
    theme: str
    next: str
    email: str = ""
    name: str = ""
    says: str = ""
    mend: str = ""
    problems: tuple[str, ...] = ()
    wait: int = 0
    notices: tuple[str, ...] = ()
    can_mail: bool = False
    token: str = ""  # of a log-in half way, or of a link


async def _door(request: Request[Any, Any, Any], **shown: Any) -> Door:
    async with web.reading(request) as tx:
        name = (await page_reads.surroundings(tx)).retailer
    said = shown.pop("next", request.query_params.get("next", ""))
    return Door(
        retailer=name,
        theme=shell.theme_of(request),
        next=web.safe_address(said, "/"),
        notices=web.notices_of(request),
        can_mail=mail.is_set_up(request.app.state.services.settings),
        **shown,
    )


async def _is_empty(request: Request[Any, Any, Any]) -> bool:
    async with web.reading(request) as tx:
        return not await people.any_person(tx)


@get("/login", opt={"permission": PUBLIC})
async def login_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the log-in, or the first-run page while there is nobody to log in."""
    if await _is_empty(request):
        return web.see_other("/welcome")
    return render.html("session/login.html", door=await _door(request))


@post("/login", opt={"permission": PUBLIC}, status_code=200)
async def login(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign in and go where the person wanted to go."""
    form = await request.form()
    email, password = str(form.get("email", ""))[:254], forms.secret(form)
    outcome = await _enter(request, email, password)
    wanted = str(form.get("next", ""))
    if isinstance(outcome, LoggedIn):
        return _entered(request, outcome, wanted)
    if isinstance(outcome, CodeWanted):
        async with web.reading(request) as tx:
            token = second_factor.half_way(request.app.state.services.signing, outcome, at=await tx.now())
        return render.html("session/code.html", door=await _door(request, token=token, next=wanted))
    refused = WrongCredentials.says, WrongCredentials.mend
    return await _again(request, "session/login.html", outcome, refused, email=email, next=wanted)


async def _again(
    request: Request[Any, Any, Any], template: str, outcome: Refused, refused: tuple[str, str], **typed: str
) -> Response[Any]:
    """Show the form again with why it was refused, or how long to wait."""
    if outcome.wait:
        says = _("Too many log-ins failed.")
        mend = n_("Try again in {n} second.", "Try again in {n} seconds.", outcome.wait)
        door = await _door(request, **typed, wait=outcome.wait, says=says, mend=mend)
        return render.html(template, door=door, status=429, headers={"Retry-After": str(outcome.wait)})
    door = await _door(request, **typed, says=_(refused[0]), mend=_(refused[1]))
    return render.html(template, door=door, status=401)


@post("/login/code", opt={"permission": PUBLIC}, status_code=200)
async def login_code(request: Request[Any, Any, Any]) -> Response[Any]:
    """Go on with a log-in whose password was right: check the code of the second factor."""
    form = await request.form()
    token, code = forms.said(form, "token", 400), forms.said(form, "code", 40)
    wanted = str(form.get("next", ""))
    services = request.app.state.services
    try:
        async with web.writing(request) as tx:
            half = second_factor.wanted_by(services.signing, token, at=await tx.now())
            outcome = await second_factor.enter(tx, services.signing, half, code, **_browser(request, tx))
            await _leave(request, tx, outcome)
    except LogInExpired as error:
        says, mend = web.refusal_text(error)
        door = await _door(request, next=wanted, says=says, mend=mend)
        return render.html("session/login.html", door=door, status=error.status)
    if isinstance(outcome, LoggedIn):
        return _entered(request, outcome, wanted)
    refused = WrongFactorCode.says, WrongFactorCode.mend
    return await _again(request, "session/code.html", outcome, refused, token=token, next=wanted)


def _browser(request: Request[Any, Any, Any], tx: Tx) -> dict[str, Any]:
    """Return what a session keeps of where it was opened."""
    return {
        "source": tx.actor.source,
        "agent": request.headers.get("user-agent", "")[:400],
        "hours": request.app.state.services.settings.session_hours,
    }


async def _leave(request: Request[Any, Any, Any], tx: Tx, outcome: object) -> None:
    """End the session this browser had before: the token changes at every log-in."""
    before = request.cookies.get(request.app.state.services.cookie.name)
    if before and isinstance(outcome, LoggedIn):
        await identity.log_out(tx, before)


async def _enter(request: Request[Any, Any, Any], email: str, password: str) -> LoggedIn | CodeWanted | Refused:
    async with web.writing(request) as tx:
        outcome = await identity.log_in(tx, email, password, **_browser(request, tx))
        await _leave(request, tx, outcome)
    return outcome


def _entered(request: Request[Any, Any, Any], outcome: LoggedIn, wanted: str) -> Response[bytes]:
    sent = web.see_other(web.safe_address(wanted, "/"))
    sent.headers["Set-Cookie"] = request.app.state.services.cookie.header(outcome.token)
    return sent


@get("/welcome", opt={"permission": PUBLIC})
async def welcome_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the page that makes the first owner; afterwards it only leads to the log-in."""
    if not await _is_empty(request):
        return web.see_other("/login")
    return render.html("session/welcome.html", door=await _door(request))


@post("/welcome", opt={"permission": PUBLIC}, status_code=200)
async def welcome(request: Request[Any, Any, Any]) -> Response[Any]:
    """Make the first owner and sign them in."""
    form = await request.form()
    name, email = str(form.get("name", "")).strip()[:200], str(form.get("email", ""))[:254]
    password = str(form.get("password", ""))[:1000]
    try:
        async with web.writing(request) as tx:
            language = i18n.current_language()
            await identity.create_first_owner(tx, name=name, email=email, password=password, language=language)
    except OwnerExists:
        return web.see_other("/login")
    except MalhaError as error:
        says, mend = web.refusal_text(error)
        door = await _door(
            request, name=name, email=email, says=says, mend=mend, problems=tuple(web.problems_text(error))
        )
        return render.html("session/welcome.html", door=door, status=error.status)
    outcome = await _enter(request, email, password)
    return _entered(request, outcome, "/") if isinstance(outcome, LoggedIn) else web.see_other("/login")


@post("/logout", opt={"permission": SIGNED_IN}, status_code=303)
async def logout(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign out."""
    cookie = request.app.state.services.cookie
    token = request.cookies.get(cookie.name)
    if token:
        async with web.writing(request) as tx:
            await identity.log_out(tx, token)
    sent = web.see_other("/login")
    sent.headers["Set-Cookie"] = cookie.header("")
    return sent


# --- a new password by a link


@get("/forgot", opt={"permission": PUBLIC})
async def forgot_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the form that asks for a new password, or who can give one where no mail can be sent."""
    return render.html("session/forgot.html", door=await _door(request), asked=False)


@post("/forgot", opt={"permission": PUBLIC}, status_code=200)
async def forgot(request: Request[Any, Any, Any]) -> Response[Any]:
    """Have a link mailed to whoever has the e-mail; the answer is the same when nobody has it."""
    email = forms.said(await request.form(), "email", 254)
    mail.server_of(request.app.state.services.settings)
    async with web.writing(request) as tx:
        wait = await links.ask_reset(tx, email, source=tx.actor.source)
    if wait:
        says = _("A new password was asked for too often.")
        mend = n_(
            "Look into your mail, or try again in {n} second.",
            "Look into your mail, or try again in {n} seconds.",
            wait,
        )
        door = await _door(request, email=email, wait=wait, says=says, mend=mend)
        return render.html(
            "session/forgot.html", door=door, asked=False, status=429, headers={"Retry-After": str(wait)}
        )
    return render.html("session/forgot.html", door=await _door(request, email=email), asked=True)


@get("/access", opt={"permission": PUBLIC})
async def access_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the form in which the person of a link chooses a password. Opening it uses nothing up."""
    token = request.query_params.get("token", "")[:400]
    return await _choosing(request, token)


@post("/access", opt={"permission": PUBLIC}, status_code=200)
async def access(request: Request[Any, Any, Any]) -> Response[Any]:
    """Give the person of a link the password they chose; every session of theirs ends."""
    form = await request.form()
    token = forms.said(form, "token", 400)
    try:
        async with web.writing(request) as tx:
            await links.use_link(tx, request.app.state.services.signing, token, forms.secret(form))
    except MalhaError as error:
        return await _choosing(request, token, error)
    sent = web.see_other("/login", notice=_("Your password is saved. Log in with it."))
    sent.headers["Set-Cookie"] = request.app.state.services.cookie.header("")
    return sent


async def _choosing(request: Request[Any, Any, Any], token: str, error: MalhaError | None = None) -> Response[Any]:
    try:
        async with web.reading(request) as tx:
            link = await links.open_link(tx, request.app.state.services.signing, token)
    except MalhaError as gone:
        says, mend = web.refusal_text(gone)
        door = await _door(request, says=says, mend=mend)
        return render.html("session/forgot.html", door=door, asked=False, status=gone.status)
    shown: dict[str, Any] = {"token": token, "name": link.name, "email": link.email}
    if error is not None:
        says, mend = web.refusal_text(error)
        shown |= {"says": says, "mend": mend, "problems": tuple(web.problems_text(error))}
    door = await _door(request, **shown)
    return render.html("session/access.html", door=door, invited=link.invited, status=error.status if error else 200)


def kept(name: str, value: str) -> Cookie:
    """Return the cookie by which a browser's log-in page remembers how it was."""
    return Cookie(key=name, value=value, max_age=YEAR, samesite="lax", httponly=True)


@post("/settings/language", opt={"permission": PUBLIC}, status_code=303)
async def choose_language(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Keep the language of this browser, for whoever has not signed in yet."""
    form = await request.form()
    said = str(form.get("language", ""))
    sent = web.see_other(web.safe_address(str(form.get("next", "")), "/"))
    if said in i18n.LANGUAGES:
        sent.cookies.append(kept(web.LANGUAGE_COOKIE, said))
    return sent


@post("/settings/theme", opt={"permission": PUBLIC}, status_code=303)
async def choose_theme(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Keep the theme of this browser, for whoever has not signed in yet."""
    form = await request.form()
    said = str(form.get("theme", ""))
    sent = web.see_other(web.safe_address(str(form.get("next", "")), "/"))
    if said in THEMES:
        sent.cookies.append(kept(shell.THEME_COOKIE, said))
    return sent


HANDLERS = [
    login_page,
    login,
    login_code,
    welcome_page,
    welcome,
    logout,
    forgot_page,
    forgot,
    access_page,
    access,
    choose_language,
    choose_theme,
]
