"""Signing in and out, the first owner, and how a person wants pages: language and theme."""

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.response import Response

from malha.console import reads as page_reads
from malha.console import render, shell, web
from malha.identity import reads as people
from malha.identity import service as identity
from malha.identity.errors import OwnerExists, WrongCredentials
from malha.identity.keeping import THEMES
from malha.identity.model import PUBLIC, SIGNED_IN
from malha.identity.service import LoggedIn
from malha.platform import i18n
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


async def _door(request: Request[Any, Any, Any], **shown: Any) -> Door:
    async with web.reading(request) as tx:
        name = (await page_reads.surroundings(tx)).retailer
    said = shown.pop("next", request.query_params.get("next", ""))
    return Door(
        retailer=name,
        theme=shell.theme_of(request),
        next=web.safe_address(said, "/"),
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
    email, password = str(form.get("email", ""))[:254], str(form.get("password", ""))[:1000]
    outcome = await _enter(request, email, password)
    if isinstance(outcome, LoggedIn):
        return _entered(request, outcome, str(form.get("next", "")))
    again = {"email": email, "next": str(form.get("next", ""))}
    if outcome.wait:
        door = await _door(
            request,
            **again,
            wait=outcome.wait,
            says=_("Too many log-ins failed."),
            mend=n_("Try again in {n} second.", "Try again in {n} seconds.", outcome.wait),
        )
        return render.html("session/login.html", door=door, status=429, headers={"Retry-After": str(outcome.wait)})
    door = await _door(request, **again, says=_(WrongCredentials.says), mend=_(WrongCredentials.mend))
    return render.html("session/login.html", door=door, status=401)


async def _enter(request: Request[Any, Any, Any], email: str, password: str) -> LoggedIn | identity.Refused:
    services = request.app.state.services
    async with web.writing(request) as tx:
        outcome = await identity.log_in(
            tx,
            email,
            password,
            source=tx.actor.source,
            agent=request.headers.get("user-agent", "")[:400],
            hours=services.settings.session_hours,
        )
        before = request.cookies.get(services.cookie.name)
        if before and isinstance(outcome, LoggedIn):
            await identity.log_out(tx, before)
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


HANDLERS = [login_page, login, welcome_page, welcome, logout, choose_language, choose_theme]
