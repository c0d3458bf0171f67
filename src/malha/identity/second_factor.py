"""The second factor: a code of an authenticator app besides the password, recovery codes, and who must have it.

The app's secret is encrypted at rest. Until a first code of it was entered it is nowhere but, encrypted, in the form
that shows it: an abandoned set-up leaves nothing behind and takes nothing away. A code is good once, recovery codes are
deleted when used, wrong codes are counted like wrong passwords. Between password and code the browser holds a signed
token for five minutes; it is void once the password or anything else about the person has changed.
"""

import re
import secrets
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta

import msgspec

from malha.identity import guessing, reads, rules, service, totp, ways, writes
from malha.identity.errors import FactorDemanded, LogInExpired, NeedsEverywhere, SetUpExpired
from malha.identity.model import Role
from malha.identity.service import CodeWanted, LoggedIn, Refused
from malha.platform import audit, sealing, signing
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.signing import Keys

PURPOSE = "second-factor"
PENDING = "second-factor-pending"
HALF_WAY = timedelta(minutes=5)
SET_UP = timedelta(minutes=30)
RECOVERY_CODES = 10
_APP_CODE = re.compile(r"[0-9]{6}")
_WRONG = N_("This code does not fit.")


class SetUp(msgspec.Struct, frozen=True):
    """An app to be set up: what its QR code says, the secret for typing, and the sealed form of both."""

    address: str
    secret: str
    sealed: str


# --- between password and code


def half_way(keys: Keys, wanted: CodeWanted, *, at: datetime) -> str:
    """Return the token by which a log-in goes on with a code."""
    payload = wanted.person_id.bytes + wanted.version.to_bytes(4, "big") + (wanted.provider_id or 0).to_bytes(4, "big")
    return signing.sign(keys, PURPOSE, payload, until=at + HALF_WAY)


def wanted_by(keys: Keys, token: str, *, at: datetime) -> CodeWanted:
    """Return whose log-in a token is.

    Raises:
        LogInExpired: it took too long, or nobody here made the token.
    """
    try:
        payload = signing.read(keys, PURPOSE, token, at=at)
    except (signing.TokenWrong, signing.TokenExpired):
        raise LogInExpired from None
    if len(payload) != 24:
        raise LogInExpired
    provider_id = int.from_bytes(payload[20:], "big") or None
    return CodeWanted(UUID(bytes=payload[:16]), int.from_bytes(payload[16:20], "big"), provider_id)


async def enter(
    tx: Tx,
    keys: Keys,
    wanted: CodeWanted,
    code: str,
    *,
    source: str | None,
    agent: str = "",
    hours: int = service.SESSION_HOURS,
    days: int = service.SESSION_DAYS,
) -> LoggedIn | Refused:
    """Check the code and open a session. Commit whatever it returns: a refusal counts the failed try.

    Raises:
        LogInExpired: the person was changed since the password was checked, or may no longer come in.
        SealBroken: the app's secret was encrypted with a key that is gone; a recovery code still helps.
    """
    subject = f"code:{wanted.person_id}"
    tries = await guessing.begin(tx, subject, guessing.source_subject(source))
    if tries.wait:
        return Refused(tries.wait)
    if await tx.value(writes.LOCK_TO_ENTER, {"id": wanted.person_id}) != wanted.version:
        raise LogInExpired
    if not await _spend(tx, keys, wanted.person_id, code):
        await guessing.failed(tx, tries)
        return Refused()
    await guessing.succeeded(tx, tries, subject)
    by = service.ByProvider(wanted.provider_id) if wanted.provider_id else None
    return await service.open_session(tx, wanted.person_id, source=source, agent=agent, hours=hours, days=days, by=by)


async def _spend(tx: Tx, keys: Keys, person_id: UUID, code: str) -> bool:
    """Return whether a code is good, and use it up."""
    bare = re.sub(r"[\s-]", "", code).lower()
    if not _APP_CODE.fullmatch(bare):
        spent = {"person_id": person_id, "code_hash": rules.digest(bare)}
        if not await tx.execute(writes.SPEND_RECOVERY_CODE, spent):
            return False
        await audit.record(tx, action="use_recovery_code", entity="person", entity_id=person_id)
        return True
    sealed = await tx.value(writes.SEALED_FACTOR, {"person_id": person_id})
    if sealed is None:
        return False
    step = totp.step_of(totp.decoded(sealing.unseal(keys, PURPOSE, bytes(sealed))), bare, await tx.now())
    return step is not None and bool(await tx.execute(writes.SPEND_STEP, {"person_id": person_id, "step": step}))


# --- set-up


def begin(keys: Keys, *, person_id: UUID, issuer: str, account: str, at: datetime, sealed: str = "") -> SetUp:
    """Return an app to be set up; `sealed` shows the same one again. Nothing is stored.

    Raises:
        SetUpExpired: the sealed one is too old, or not this person's.
    """
    secret = _pending(keys, person_id, sealed, at) if sealed else secrets.token_bytes(totp.SECRET_BYTES)
    if not sealed:
        until = int((at + SET_UP).timestamp())
        closed = sealing.seal(keys, f"{PENDING}:{person_id}", f"{totp.encoded(secret)} {until}")
        sealed = urlsafe_b64encode(closed).decode("ascii")
    return SetUp(totp.address(secret, issuer=issuer, account=account), totp.encoded(secret), sealed)


async def confirm(
    tx: Tx,
    keys: Keys,
    person_id: UUID,
    sealed: str,
    code: str,
    *,
    password: str = "",
    keep_token: str | None = None,
) -> list[str]:
    """Turn the second factor on, or replace its app; return the recovery codes, which are shown this once.

    Replacing an app takes the password, as taking it away does: a session alone must not be enough to take an account
    over. Every session but the one of `keep_token` ends: they were opened without it.

    Raises:
        SetUpExpired: the set-up took too long, or is not this person's.
        Invalid: the code is not the app's, or this is not the password.
    """
    await service.lock_person(tx, person_id)
    if await replaces(tx, person_id):
        await service.check_password(tx, person_id, password)
    at = await tx.now()
    secret = _pending(keys, person_id, sealed, at)
    step = totp.step_of(secret, re.sub(r"\s", "", code), at)
    if step is None:
        refuse([Flaw("code", _WRONG, N_("Wait for the next code in your app, or check its clock."))])
    kept = sealing.seal(keys, PURPOSE, totp.encoded(secret))
    await tx.execute(writes.PUT_FACTOR, {"person_id": person_id, "secret": kept, "step": step})
    codes = await _fresh_codes(tx, person_id)
    await service.end_sessions(tx, person_id, keep_token=keep_token)
    await audit.record(tx, action="set_second_factor", entity="person", entity_id=person_id)
    return codes


async def replaces(tx: Tx, person_id: UUID) -> bool:
    """Return whether a new app would replace one, so that the password is asked for; who has none is not asked."""
    has = (await reads.factor_state(tx, person_id)).since is not None
    return has and await reads.has_password(tx, person_id)


async def renew_codes(tx: Tx, person_id: UUID, password: str) -> list[str]:
    """Make new recovery codes, shown this once; the former ones end.

    Raises:
        Invalid: this is not the password.
    """
    await service.check_password(tx, person_id, password)
    codes = await _fresh_codes(tx, person_id)
    await audit.record(tx, action="renew_recovery_codes", entity="person", entity_id=person_id)
    return codes


async def turn_off(tx: Tx, person_id: UUID, password: str) -> None:
    """Take one's own second factor away.

    Raises:
        Invalid: this is not the password.
        FactorDemanded: the role demands one.
        NoWayBack: people log in by a provider, and nobody could come in if it fails.
    """
    await service.check_password(tx, person_id, password)
    if (await reads.factor_state(tx, person_id)).demanded:
        raise FactorDemanded
    await _remove(tx, person_id)


async def remove(tx: Tx, person_id: UUID) -> None:
    """Take the second factor of somebody who lost it away; all their sessions end.

    Raises:
        NotFound: there is no such person.
        BeyondOwn: the person has rights that the actor does not hold.
    """
    await service.person_to_manage(tx, person_id)
    await _remove(tx, person_id)
    await service.end_sessions(tx, person_id)


async def demand(tx: Tx, role: Role, *, demanded: bool) -> None:
    """Say whether people of a role need a second factor. Without one they can do nothing but set it up, at once.

    Raises:
        NeedsEverywhere: the actor is limited to locations, and the role's people are everywhere.
    """
    if tx.actor.locations is not None:
        raise NeedsEverywhere
    if await tx.execute(writes.PUT_POLICY, {"role": role.value, "second_factor": demanded}):
        await audit.record(tx, action="update", entity="role", entity_id=role.value, after={"second_factor": demanded})


async def _remove(tx: Tx, person_id: UUID) -> None:
    await tx.execute(writes.DELETE_RECOVERY_CODES, {"person_id": person_id})
    if await tx.execute(writes.DELETE_FACTOR, {"person_id": person_id}):
        await ways.keep_way_back(tx)
        await audit.record(tx, action="remove_second_factor", entity="person", entity_id=person_id)


async def _fresh_codes(tx: Tx, person_id: UUID) -> list[str]:
    await tx.execute(writes.DELETE_RECOVERY_CODES, {"person_id": person_id})
    bare = [b32encode(secrets.token_bytes(10)).decode("ascii").lower() for _ in range(RECOVERY_CODES)]
    hashes = [rules.digest(code) for code in bare]
    await tx.execute(writes.INSERT_RECOVERY_CODES, {"person_id": person_id, "hashes": hashes})
    return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in bare]


def _pending(keys: Keys, person_id: UUID, sealed: str, at: datetime) -> bytes:
    try:
        text = sealing.unseal(keys, f"{PENDING}:{person_id}", urlsafe_b64decode(sealed.encode("ascii")))
    except (sealing.SealBroken, ValueError):
        raise SetUpExpired from None
    secret, _space, until = text.partition(" ")
    if at.timestamp() > int(until):
        raise SetUpExpired
    return totp.decoded(secret)
