"""Signing in and out, the first owner, and how a person wants pages: language and theme."""

from typing import Any

from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.response import Response

from malha.console import door, forms, provider_session, render, shell, web
from malha.identity import links, provider_reads, rules, second_factor
from malha.identity import reads as people
from malha.identity import service as identity
from malha.identity.errors import LogInExpired, OnlyByProvider, OwnerExists, WrongCredentials, WrongFactorCode
from malha.identity.keeping import THEMES
from malha.identity.model import PUBLIC, SIGNED_IN
from malha.identity.service import CodeWanted, LoggedIn, NotByPassword, Refused
from malha.platform import i18n, mail
from malha.platform.errors import MalhaError
from malha.platform.i18n import _, n_

YEAR = 365 * 24 * 3600


async def _is_empty(request: Request[Any, Any, Any]) -> bool:
    async with web.reading(request) as tx:
        return not await people.any_person(tx)


@get("/login", opt={"permission": PUBLIC})
async def login_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the log-in, or the first-run page while there is nobody to log in."""
    if await _is_empty(request):
        return web.see_other("/welcome")
    by_password = request.query_params.get("by") == "password"
    return render.html("session/login.html", door=await door.opened(request, by_password=by_password))


@post("/login", opt={"permission": PUBLIC}, status_code=200)
async def login(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign in and go where the person wanted to go."""
    form = await request.form()
    email, password = str(form.get("email", ""))[:254], forms.secret(form)
    outcome = await _enter(request, email, password)
    wanted = str(form.get("next", ""))
    if isinstance(outcome, LoggedIn):
        return door.entered(request, outcome, wanted)
    if isinstance(outcome, CodeWanted):
        async with web.reading(request) as tx:
            token = second_factor.half_way(request.app.state.services.signing, outcome, at=await tx.now())
        return render.html("session/code.html", door=await door.opened(request, token=token, next=wanted))
    if isinstance(outcome, NotByPassword):
        return await door.refused(request, OnlyByProvider(), email=email, next=wanted)
    refused = WrongCredentials.says, WrongCredentials.mend
    return await _again(request, "session/login.html", outcome, refused, email=email, next=wanted)


async def _again(
    request: Request[Any, Any, Any], template: str, outcome: Refused, refused: tuple[str, str], **typed: str
) -> Response[Any]:
    """Show the form again with why it was refused, or how long to wait."""
    if outcome.wait:
        says = _("Too many log-ins failed.")
        mend = n_("Try again in {n} second.", "Try again in {n} seconds.", outcome.wait)
        at_door = await door.opened(request, **typed, wait=outcome.wait, says=says, mend=mend)
        return render.html(template, door=at_door, status=429, headers={"Retry-After": str(outcome.wait)})
    at_door = await door.opened(request, **typed, says=_(refused[0]), mend=_(refused[1]))
    return render.html(template, door=at_door, status=401)


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
            outcome = await second_factor.enter(tx, services.signing, half, code, **door.browser(request, tx))
            await door.leave_former(request, tx, outcome)
    except LogInExpired as error:
        says, mend = web.refusal_text(error)
        at_door = await door.opened(request, next=wanted, says=says, mend=mend)
        return render.html("session/login.html", door=at_door, status=error.status)
    if isinstance(outcome, LoggedIn):
        return door.entered(request, outcome, wanted)
    refused = WrongFactorCode.says, WrongFactorCode.mend
    return await _again(request, "session/code.html", outcome, refused, token=token, next=wanted)


async def _enter(
    request: Request[Any, Any, Any], email: str, password: str
) -> LoggedIn | CodeWanted | NotByPassword | Refused:
    async with request.app.state.services.log_ins, web.writing(request) as tx:
        by = door.known(request)
        outcome = await identity.log_in(tx, email, password, **door.browser(request, tx), browser=by)
        await door.leave_former(request, tx, outcome)
    return outcome


@get("/welcome", opt={"permission": PUBLIC})
async def welcome_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the page that makes the first owner; afterwards it only leads to the log-in."""
    if not await _is_empty(request):
        return web.see_other("/login")
    return render.html("session/welcome.html", door=await door.opened(request))


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
        at_door = await door.opened(
            request, name=name, email=email, says=says, mend=mend, problems=tuple(web.problems_text(error))
        )
        return render.html("session/welcome.html", door=at_door, status=error.status)
    outcome = await _enter(request, email, password)
    return door.entered(request, outcome, "/") if isinstance(outcome, LoggedIn) else web.see_other("/login")


@post("/logout", opt={"permission": SIGNED_IN}, status_code=303)
async def logout(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign out; whoever came by a provider goes on to it, so that its session ends too."""
    cookie = request.app.state.services.cookie
    token = request.cookies.get(cookie.name)
    by = None
    if token:
        async with web.writing(request) as tx:
            by = await provider_reads.session_provider(tx, rules.digest(token))
            await identity.log_out(tx, token)
    elsewhere = await provider_session.log_out_address(request, by)
    sent: Response[Any] = provider_session.leave(*elsewhere) if elsewhere else web.see_other("/login")
    sent.headers["Set-Cookie"] = cookie.header("")
    return sent


# --- a new password by a link


@get("/forgot", opt={"permission": PUBLIC})
async def forgot_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the form that asks for a new password, or who can give one where no mail can be sent."""
    return render.html("session/forgot.html", door=await door.opened(request), asked=False)


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
        at_door = await door.opened(request, email=email, wait=wait, says=says, mend=mend)
        return render.html(
            "session/forgot.html", door=at_door, asked=False, status=429, headers={"Retry-After": str(wait)}
        )
    return render.html("session/forgot.html", door=await door.opened(request, email=email), asked=True)


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
        at_door = await door.opened(request, says=says, mend=mend)
        return render.html("session/forgot.html", door=at_door, asked=False, status=gone.status)
    shown: dict[str, Any] = {"token": token, "name": link.name, "email": link.email}
    if error is not None:
        says, mend = web.refusal_text(error)
        shown |= {"says": says, "mend": mend, "problems": tuple(web.problems_text(error))}
    at_door = await door.opened(request, **shown)
    return render.html("session/access.html", door=at_door, invited=link.invited, status=error.status if error else 200)


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
    *provider_session.HANDLERS,
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
