"""Signing in and out, and who one is."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.identity import reads, rules, second_factor, service
from malha.identity.errors import (
    CodeNeeded,
    NotSignedIn,
    OnlyByProvider,
    TooManyAttempts,
    WrongCredentials,
    WrongFactorCode,
)
from malha.identity.model import PUBLIC, SIGNED_IN, Role
from malha.identity.reads import SessionView
from malha.identity.service import CodeWanted, LoggedIn, NotByPassword, Refused
from malha.platform.db import Tx
from malha.platform.ids import UUID


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """E-mail and password, and the code of the second factor where the account has one."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    password: Annotated[str, Meta(min_length=1, max_length=1_000)]
    code: Annotated[str, Meta(max_length=40, description="Of the app, or a recovery code.")] | None = None


class WhoAmI(msgspec.Struct, frozen=True):
    """The caller: a person or a key, what it may do and where. `locations` null is everywhere."""

    kind: str
    id: str
    name: str
    role: Role | None
    permissions: list[str]
    locations: list[int] | None
    language: str | None
    timezone: str | None


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The password one has, and the one to have."""

    current: Annotated[str, Meta(max_length=1_000)]
    password: Annotated[str, Meta(max_length=1_000)]


@command("/sessions", permission=PUBLIC, transaction=False, idempotent=False, status=201, tag="session")
async def create_session(work: Work, data: Credentials) -> None:
    """Sign in.

    The session comes as a cookie, for browsers; programs use keys. Failed tries are limited per account and per network
    address, with growing waits (429, `Retry-After`). An account with a second factor refuses without `code`
    (`code_needed`). Where people log in by a provider only, passwords are refused (`only_by_provider`), but for owners
    with a second factor.
    """
    async with work.services.log_ins, work.transaction() as tx:
        outcome = await _enter(work, tx, data)
        before = work.request.cookies.get(work.services.cookie.name)
        if before and isinstance(outcome, LoggedIn):
            await service.log_out(tx, before)
    # Raised after the commit: a refusal must not undo the count of failed tries.
    if isinstance(outcome, CodeWanted):
        raise CodeNeeded
    if isinstance(outcome, NotByPassword):
        raise OnlyByProvider
    if isinstance(outcome, Refused):
        if outcome.wait:
            raise TooManyAttempts(seconds=outcome.wait, retry_after=outcome.wait)
        raise WrongFactorCode if data.code else WrongCredentials
    work.header("set-cookie", work.services.cookie.header(outcome.token))


async def _enter(work: Work, tx: Tx, data: Credentials) -> LoggedIn | CodeWanted | NotByPassword | Refused:
    browser: dict[str, Any] = {
        "source": work.actor.source,
        "agent": work.request.headers.get("user-agent", ""),
        "hours": work.services.settings.session_hours,
        "days": work.services.settings.session_days,
    }
    outcome = await service.log_in(tx, data.email, data.password, **browser)
    if not (isinstance(outcome, CodeWanted) and data.code):
        return outcome
    return await second_factor.enter(tx, work.services.signing, outcome, data.code, **browser)


@command("/session", method="DELETE", permission=SIGNED_IN, tag="session")
async def delete_session(work: Work) -> None:
    """Sign out."""
    cookie = work.services.cookie
    token = work.request.cookies.get(cookie.name)
    if token:
        await service.log_out(work.tx, token)
    work.header("set-cookie", cookie.header(""))


@query("/session", permission=SIGNED_IN, transaction=False, tag="session")
async def get_session(work: Work) -> WhoAmI:
    """Return who is asking and what they may do."""
    caller = work.caller
    if caller is None:
        raise NotSignedIn
    return WhoAmI(
        kind=caller.kind,
        id=caller.id,
        name=caller.name,
        role=caller.role,
        permissions=sorted(caller.permissions),
        locations=None if caller.locations is None else sorted(caller.locations),
        language=caller.language,
        timezone=caller.timezone,
    )


@query("/sessions", permission=SIGNED_IN, tag="session")
async def list_sessions(work: Work) -> list[SessionView]:
    """Return the caller's signed-in browsers, the last used first."""
    token = work.request.cookies.get(work.services.cookie.name, "")
    return await reads.sessions(work.tx, _own_id(work), rules.digest(token))


@command("/sessions/{session_id:uuid}", method="DELETE", permission=SIGNED_IN, tag="session")
async def revoke_session(work: Work, session_id: UUID) -> None:
    """End one of the caller's sessions."""
    await service.revoke_session(work.tx, _own_id(work), session_id)


@command("/sessions/revoke-others", permission=SIGNED_IN, tag="session")
async def revoke_other_sessions(work: Work) -> None:
    """End every session of the caller but the one that asks."""
    token = work.request.cookies.get(work.services.cookie.name, "")
    await service.revoke_other_sessions(work.tx, _own_id(work), token)


@command("/session/password", permission=SIGNED_IN, transaction=False, tag="session")
async def change_password(work: Work, data: NewPassword) -> None:
    """Change one's own password; every other session ends, and this one gets a new token."""
    person_id = _own_id(work)
    async with work.transaction() as tx:
        wait = await service.begin_proof(tx, person_id)
    if wait:
        raise TooManyAttempts(seconds=wait, retry_after=wait)
    token = work.request.cookies.get(work.services.cookie.name, "")
    async with work.transaction() as tx:
        await service.change_password(tx, person_id, data.current, data.password, keep_token=token)
        fresh = await service.renew_token(tx, token)
    work.header("set-cookie", work.services.cookie.header(fresh))


def _own_id(work: Work) -> UUID:
    """Return the person who asks; a key has no sessions and no password.

    Raises:
        NotSignedIn: the caller is a key.
    """
    if work.caller is None or work.caller.kind != "person":
        raise NotSignedIn
    return UUID(work.caller.id)


handlers = [
    create_session,
    delete_session,
    get_session,
    list_sessions,
    revoke_session,
    revoke_other_sessions,
    change_password,
]
