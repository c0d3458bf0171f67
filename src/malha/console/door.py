"""The pages before the console, shared by every way to log in: what they show, and how somebody is let in."""

from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import Cookie
from litestar.response import Response

from malha.console import reads as page_reads
from malha.console import render, shell, web
from malha.identity import known_browser, provider_reads
from malha.identity import service as identity
from malha.identity.known_browser import Known
from malha.identity.provider_reads import Button
from malha.identity.service import LoggedIn
from malha.platform import mail
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import MalhaError

Asking = Request[Any, Any, Any]


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
    providers: tuple[Button, ...] = ()
    provider_only: bool = False
    by_password: bool = False  # show the password form although people log in by a provider


async def opened(request: Asking, **shown: Any) -> Door:
    """Return what a page shows."""
    async with web.reading(request) as tx:
        name = (await page_reads.surroundings(tx)).retailer
        buttons = tuple(await provider_reads.buttons(tx))
        only = (await provider_reads.policy(tx)).provider_only
    said = shown.pop("next", request.query_params.get("next", ""))
    return Door(
        retailer=name,
        theme=shell.theme_of(request),
        next=web.safe_address(said, "/"),
        notices=web.notices_of(request),
        can_mail=mail.is_set_up(request.app.state.services.settings),
        providers=buttons,
        provider_only=only and bool(buttons),
        **shown,
    )


async def refused(request: Asking, error: MalhaError, **shown: Any) -> Response[Any]:
    """Show the log-in with why somebody was not let in."""
    says, mend = web.refusal_text(error)
    headers = {"Retry-After": str(error.facts["retry_after"])} if "retry_after" in error.facts else None
    door = await opened(request, says=says, mend=mend, **{"next": "/", **shown})
    return render.html("session/login.html", door=door, status=error.status, headers=headers)


def browser(request: Asking, tx: Tx) -> dict[str, Any]:
    """Return what a session keeps of where it was opened, and how long it lasts."""
    settings = request.app.state.services.settings
    return {
        "source": tx.actor.source,
        "agent": request.headers.get("user-agent", "")[:400],
        "hours": settings.session_hours,
        "days": settings.session_days,
    }


async def leave_former(request: Asking, tx: Tx, outcome: object) -> None:
    """End the session this browser had before: the token changes at every log-in."""
    before = request.cookies.get(request.app.state.services.cookie.name)
    if before and isinstance(outcome, LoggedIn):
        await identity.log_out(tx, before)


def entered(request: Asking, outcome: LoggedIn, wanted: str) -> Response[bytes]:
    """Let somebody in, to where they wanted to go; the browser keeps that it let them in."""
    services = request.app.state.services
    sent = web.see_other(web.safe_address(wanted, "/"))
    sent.headers["Set-Cookie"] = services.cookie.header(outcome.token)
    sent.cookies.append(
        Cookie(
            key=_known_name(request),
            value=known_browser.marked(services.signing, outcome.person_id, now()),
            max_age=int(known_browser.LASTS.total_seconds()),
            secure=services.cookie.secure,
            httponly=True,
            samesite="lax",
        )
    )
    return sent


def known(request: Asking) -> Known | None:
    """Return whom this browser let in before, None if nobody."""
    kept = request.cookies.get(_known_name(request), "")
    return known_browser.known(request.app.state.services.signing, kept, now()) if kept else None


def _known_name(request: Asking) -> str:
    return "__Host-malha-known" if request.app.state.services.cookie.secure else "malha_known"
