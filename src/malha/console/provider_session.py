"""Logging in by a provider: the way there, the way back, and the end of both sessions.

The button is a form, so that another site cannot begin a log-in for somebody. Its answer is a page that leads on by a
`Refresh` header: our policy lets forms go to this server only, and a redirect of a form to another server would be
stopped by it.
"""

from typing import Any, NamedTuple

import structlog
from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Response

from malha.console import door, forms, render, web
from malha.identity import oidc, provider_login, provider_rules, providers, second_factor
from malha.identity.errors import (
    AnswerWrong,
    EmailTaken,
    LogInLost,
    NotKnownHere,
    ProviderSaysNo,
    ProviderSilent,
    TooManyAttempts,
    TurnedAway,
)
from malha.identity.guessing import Tries
from malha.identity.model import PUBLIC
from malha.identity.oidc import Client, Metadata
from malha.identity.provider_login import Flow
from malha.identity.provider_model import Said
from malha.identity.provider_reads import Provider, SessionProvider
from malha.identity.service import CodeWanted, LoggedIn
from malha.platform import sealing
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import MalhaError, NotFound
from malha.platform.sealing import SealBroken

log = structlog.get_logger(__name__)
Asking = Request[Any, Any, Any]


class _Answered(NamedTuple):
    """What came back from a provider."""

    state: str
    code: str
    issuer: str | None
    error: str


def _cookie(request: Asking, value: str) -> Cookie:
    """Return the cookie that carries a log-in under way; empty: it ends."""
    session = request.app.state.services.cookie
    return Cookie(
        key=f"{session.name}-login",
        value=value,
        max_age=int(provider_login.LASTS.total_seconds()) if value else 0,
        httponly=True,
        samesite="lax",
        secure=session.secure,
    )


def redirect_uri(request: Asking, code: str) -> str:
    """Return the address to which a provider sends people back."""
    return f"{request.app.state.services.settings.address}/login/back/{code}"


def leave(name: str, address: str) -> Response[Any]:
    """Send the browser to another server."""
    headers = {"Refresh": f"0; url={address}", "Cache-Control": "no-store"}
    return render.html("session/leaving.html", name=name, address=address, headers=headers)


@post("/login/with/{code:str}", opt={"permission": PUBLIC}, status_code=200)
async def provider_start(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Go to a provider to log in there."""
    form = await request.form()
    wanted, link = str(form.get("next", "")), forms.said(form, "link", 400)
    services = request.app.state.services
    try:
        async with web.reading(request) as tx:
            provider = await _in_use(tx, code)
            client = Client(
                client_id=provider.client_id, secret=None, redirect_uri=redirect_uri(request, provider.code)
            )
        metadata = await _metadata(request, provider)
    except (NotFound, TurnedAway) as error:
        log.warning("provider_not_asked", provider=code[:40], problem=error.code, detail=error.facts.get("detail"))
        return await door.refused(request, error, next=wanted)
    flow = provider_login.begin(provider.code, next_=web.safe_address(wanted, "/"), link=link, at=now())
    address = oidc.authorization_address(
        metadata, client, scopes=provider.scopes, state=flow.state, nonce=flow.nonce, verifier=flow.verifier
    )
    sent = leave(provider.name, address)
    sent.cookies.append(_cookie(request, provider_login.sealed(services.signing, flow)))
    return sent


async def _in_use(tx: Tx, code: str) -> Provider:
    found = await providers.provider_named(tx, code)
    if not found.active:
        raise NotFound(what="login provider", key=code)
    return found


async def _metadata(request: Asking, provider: Provider) -> Metadata:
    directory: oidc.Directory = request.app.state.services.directory
    try:
        return await directory.metadata(provider.issuer)
    except oidc.NOT_ASKED as error:
        raise _silent(provider, error) from None


def _silent(provider: Provider, error: MalhaError) -> ProviderSilent:
    return ProviderSilent(
        provider=provider.name, detail=str(error.facts.get("answer") or error.facts.get("why") or error.code)
    )


@get("/login/back/{code:str}", opt={"permission": PUBLIC})
async def provider_back(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Come back from a provider: the only GET that changes something, because the standard has it so.

    It does so once, for the browser that began, within ten minutes.
    """
    asked = request.query_params
    issuer = asked.get("iss")
    answered = _Answered(
        asked.get("state", "")[:200], asked.get("code", "")[:4_000], issuer, asked.get("error", "")[:60]
    )
    services = request.app.state.services
    carried = request.cookies.get(_cookie(request, "").key, "")
    try:
        flow = provider_login.carried(services.signing, carried, code=code, state=answered.state, at=now())
        async with web.writing(request) as tx:
            provider = await _in_use(tx, flow.code)
            tries = await provider_login.take_answer(tx, flow, source=tx.actor.source)
    except (LogInLost, NotFound) as error:
        sent = await door.refused(request, error)
    else:
        if tries.wait:
            wait = TooManyAttempts(seconds=tries.wait, retry_after=tries.wait)
            sent = await door.refused(request, wait, next=flow.next)
        else:
            sent = await _finish(request, provider, flow, answered, tries)
    sent.cookies.append(_cookie(request, ""))
    return sent


async def _finish(request: Asking, provider: Provider, flow: Flow, answered: _Answered, tries: Tries) -> Response[Any]:
    try:
        said, id_token = await _said(request, provider, flow, answered)
    except TurnedAway as error:
        async with web.writing(request) as tx:
            await provider_login.turn_away(tx, provider.code, error, tries)
        return await door.refused(request, error, next=flow.next)
    outcome = await _enter(request, provider, flow, said, id_token, tries)
    if isinstance(outcome, LoggedIn):
        return door.entered(request, outcome, flow.next)
    if isinstance(outcome, CodeWanted):
        token = second_factor.half_way(request.app.state.services.signing, outcome, at=now())
        return render.html("session/code.html", door=await door.opened(request, token=token, next=flow.next))
    return await door.refused(request, outcome, next=flow.next)


async def _said(request: Asking, provider: Provider, flow: Flow, answered: _Answered) -> tuple[Said, str]:
    """Ask the provider who it was; no transaction is open meanwhile."""
    services = request.app.state.services
    metadata = await _metadata(request, provider)
    # RFC 9207: an answer that another provider gave out must not be taken to this one.
    named = answered.issuer is not None or metadata.authorization_response_iss_parameter_supported
    if named and answered.issuer != provider.issuer:
        raise AnswerWrong(detail="iss_parameter")
    if answered.error or not answered.code:
        word = answered.error if answered.error.replace("_", "").isalnum() and answered.error.isascii() else "no_code"
        raise ProviderSaysNo(provider=provider.name, detail=word)
    try:
        async with web.reading(request) as tx:
            secret = await providers.secret_of(tx, services.signing, provider)
        client = Client(client_id=provider.client_id, secret=secret, redirect_uri=redirect_uri(request, provider.code))
        out = services.directory.out
        tokens = await oidc.exchange(out, metadata, client, code=answered.code, verifier=flow.verifier)
        claims = await services.directory.verified(metadata, tokens.id_token)
        provider_rules.check_token(
            claims, issuer=provider.issuer, client_id=provider.client_id, nonce=flow.nonce, at=now()
        )
        if provider_rules.is_short_of(claims, provider.claim):
            more = await oidc.userinfo(out, metadata, tokens, str(claims["sub"]))
            claims = {**more, **claims}
    except oidc.NOT_ASKED as error:
        raise _silent(provider, error) from None
    except SealBroken:
        raise AnswerWrong(detail="client_secret") from None
    return provider_rules.said_by(claims), tokens.id_token


async def _enter(
    request: Asking, provider: Provider, flow: Flow, said: Said, id_token: str, tries: Tries
) -> LoggedIn | CodeWanted | TurnedAway:
    for last in (False, True):
        try:
            async with web.writing(request) as tx:
                current = await _in_use(tx, provider.code)
                outcome = await provider_login.enter(
                    tx,
                    request.app.state.services.signing,
                    current,
                    said,
                    tries,
                    link=flow.link,
                    id_token=id_token,
                    **door.browser(request, tx),
                )
                await door.leave_former(request, tx, outcome)
                return outcome
        except EmailTaken:  # the same person came in twice at the same moment: now they are there
            if last:
                raise
        except NotFound:  # switched off meanwhile
            break
    return NotKnownHere()


async def log_out_address(request: Asking, by: SessionProvider | None) -> tuple[str, str] | None:
    """Return a provider's name and where its own session ends; None where there is no such place, or no answer."""
    if by is None:
        return None
    services = request.app.state.services
    try:
        async with web.reading(request) as tx:
            provider = await _in_use(tx, by.code)
        id_token = sealing.unseal(services.signing, provider_login.ID_TOKEN, by.id_token) if by.id_token else None
    except SealBroken:
        id_token = None
    except NotFound:
        return None
    try:
        metadata = await _metadata(request, provider)
    except TurnedAway:
        return None
    back_to = f"{services.settings.address}/login"
    address = oidc.log_out_address(metadata, client_id=provider.client_id, back_to=back_to, id_token=id_token)
    return (provider.name, address) if address else None


HANDLERS = [provider_start, provider_back]
