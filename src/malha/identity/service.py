"""Use cases of people, sessions and keys.

A session is a random 256-bit token in a cookie; the database has its hash. A key is `mk_<prefix>_<secret>`; the
database has the hash of the whole. Checked keys are remembered per process for `Keys.REMEMBERED` seconds, so that
submitting orders costs no query: revoking a key takes effect within that time.
"""

import asyncio
import hmac
import secrets
import time
from base64 import b32encode
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from malha.identity import guessing, passwords, provider_writes, reads, rules, ways, writes
from malha.identity.errors import BeyondOwn, EmailTaken, KeyBeyondKeeper, KeyBeyondOwn, LastOwner, OwnerExists
from malha.identity.known_browser import Known
from malha.identity.model import ROLES, Caller, Role
from malha.platform import audit
from malha.platform.db import Database, Tx
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

SESSION_HOURS = 12  # without use
SESSION_DAYS = 30  # at most
UNKNOWN_LOCATION = N_("There is no location {location}.")


class LoggedIn(msgspec.Struct, frozen=True):
    """A log-in that went well. `token` goes into the cookie and nowhere else."""

    token: str
    person_id: UUID


class Refused(msgspec.Struct, frozen=True):
    """A log-in that failed. `wait` is how many seconds to wait before the next try counts; 0: at once."""

    wait: int = 0


class NotByPassword(msgspec.Struct, frozen=True):
    """The password is right, but passwords do not let this person in: the retailer logs in by a provider."""


class CodeWanted(msgspec.Struct, frozen=True):
    """The first proof is good, and the account has a second factor: `second_factor.enter` goes on from here.

    `version` is the person's: a password changed in between makes the rest of this log-in void. `provider_id` is set
    when the first proof was a provider's word.
    """

    person_id: UUID
    version: int
    provider_id: int | None = None


class ByProvider(msgspec.Struct, frozen=True):
    """By which provider a session is opened, whether it answers for the second factor, and its sealed ID token."""

    provider_id: int
    vouched: bool = False
    id_token: bytes | None = None


class PersonDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said about a person. `locations` are codes; None is everywhere."""

    name: str
    email: str
    role: Role
    locations: Sequence[str] | None = None
    language: str | None = None
    timezone: str | None = None
    active: bool = True


# --- people
# ---------------------------------------------------------------------------------------------------------------


async def create_first_owner(tx: Tx, *, name: str, email: str, password: str, language: str | None = None) -> UUID:
    """Make the owner of an empty retailer.

    Raises:
        OwnerExists: there is a person already.
        Invalid: e-mail or password are not acceptable.
    """
    await tx.execute(writes.LOCK_PEOPLE)
    if await reads.any_person(tx):
        raise OwnerExists
    return await create_person(
        tx, PersonDraft(name=name, email=email, role=Role.OWNER, language=language), password=password
    )


async def create_person(tx: Tx, draft: PersonDraft, *, password: str | None) -> UUID:
    """Add a person who can sign in with a password; None is for whoever chooses one by a link (`links`).

    Raises:
        Invalid: a field is not acceptable.
        EmailTaken: another person has this e-mail.
        BeyondOwn: the person would get rights that the actor does not hold.
    """
    email = rules.normal_email(draft.email)
    places = await _checked(tx, draft, email, password)
    _within_own(tx, draft.role, None if draft.locations is None else places)
    person_id = new_id()
    password_hash = None if password is None else await passwords.hashed(password)
    added = await tx.execute(
        writes.INSERT_PERSON, {**_columns(draft, email), "id": person_id, "password_hash": password_hash}
    )
    if not added:
        raise EmailTaken(email=email)
    await tx.execute(writes.INSERT_PERSON_LOCATIONS, {"id": person_id, "locations": places})
    await audit.record(tx, action="create", entity="person", entity_id=person_id, after=_audited(draft))
    return person_id


async def change_person(tx: Tx, person_id: UUID, draft: PersonDraft) -> int:
    """Change a person; return the new version. Lost rights are lost at once: sessions read the person every time.

    Raises:
        NotFound: there is no such person.
        Invalid: a field is not acceptable.
        EmailTaken: another person has this e-mail.
        LastOwner: nobody active who can come in would own all places.
        NoWayBack: people log in by a provider, and nobody could come in if it fails.
        BeyondOwn: the person has, or would get, rights that the actor does not hold.
    """
    owners = await lock_owners(tx)
    await lock_person(tx, person_id)
    before = await reads.person(tx, person_id)
    if before is None:
        raise NotFound(what="person", key=person_id)
    await _reachable(tx, before)
    email = rules.normal_email(draft.email)
    places = await _checked(tx, draft, email, None)
    _within_own(tx, draft.role, None if draft.locations is None else places)
    if await tx.value(writes.EMAIL_TAKEN, {"id": person_id, "email": email}):
        raise EmailTaken(email=email)
    stays_owner = draft.role is Role.OWNER and draft.active and draft.locations is None
    if not stays_owner and rules.is_last_owner(person_id, owners):
        raise LastOwner
    version = await tx.value(writes.UPDATE_PERSON, {**_columns(draft, email), "id": person_id, "active": draft.active})
    await tx.execute(writes.DELETE_PERSON_LOCATIONS, {"id": person_id})
    await tx.execute(writes.INSERT_PERSON_LOCATIONS, {"id": person_id, "locations": places})
    if not draft.active:
        await tx.execute(writes.DELETE_SESSIONS_OF, {"person_id": person_id, "but": None})
    if not draft.active or email != before.email:  # links that are out went to who may no longer use them
        await tx.execute(writes.DELETE_LINKS_OF, {"person_id": person_id})
    if before.role is Role.OWNER and not stays_owner:
        await ways.keep_way_back(tx)
    was = _audited(draft_of(before))
    await audit.record(tx, action="update", entity="person", entity_id=person_id, before=was, after=_audited(draft))
    return int(version)


async def set_active(tx: Tx, person_id: UUID, *, active: bool, revoke_keys: bool = False) -> int:
    """Let a person in no more, or again; return the new version. The rest stays as it is.

    `revoke_keys` ends the keys they made too: keys are the retailer's, and go on working otherwise.

    Raises:
        NotFound: there is no such person.
        LastOwner: nobody active who can come in would own all places.
        BeyondOwn: the person has rights that the actor does not hold.
        KeyBeyondOwn: a key they made holds rights that the actor does not.
    """
    await lock_to_change(tx, person_id)
    person = await reads.person(tx, person_id)
    if person is None:
        raise NotFound(what="person", key=person_id)
    version = await change_person(tx, person_id, msgspec.structs.replace(draft_of(person), active=active))
    if revoke_keys:
        await revoke_keys_of(tx, person_id)
    return version


def draft_of(person: reads.PersonView) -> PersonDraft:
    """Return a person as they could be saved again."""
    return PersonDraft(
        name=person.name,
        email=person.email,
        role=person.role,
        locations=None if person.everywhere else person.locations,
        language=person.language,
        timezone=person.timezone,
        active=person.active,
    )


async def lock_person(tx: Tx, person_id: UUID) -> int:
    """Lock a person's row until the end of the transaction; return its version.

    Raises:
        NotFound: there is no such person.
    """
    version = await tx.value(writes.LOCK_PERSON, {"id": person_id})
    if version is None:
        raise NotFound(what="person", key=person_id)
    return int(version)


async def lock_owners(tx: Tx) -> dict[UUID, bool]:
    """Lock all active owners of all places, in one order; return them with whether they have a way to come in."""
    return dict(await tx.tuples(writes.LOCK_OWNERS))


async def lock_to_change(tx: Tx, person_id: UUID) -> int:
    """Lock a person whom `change_person` will change, and return their version.

    Owners come first, in one order: two owners who change each other would otherwise wait for one another for ever.

    Raises:
        NotFound: there is no such person.
    """
    await lock_owners(tx)
    return await lock_person(tx, person_id)


async def person_to_manage(tx: Tx, person_id: UUID) -> reads.PersonView:
    """Lock a person whom the actor wants to change or to act for, and return them.

    Raises:
        NotFound: there is no such person.
        BeyondOwn: the person has rights that the actor does not hold.
    """
    await lock_person(tx, person_id)
    person = await reads.person(tx, person_id)
    if person is None:
        raise NotFound(what="person", key=person_id)
    await _reachable(tx, person)
    return person


async def set_password(tx: Tx, person_id: UUID, password: str, *, keep_token: str | None = None) -> None:
    """Give a person a new password, end every session but the one of `keep_token`, and every link that is out.

    Raises:
        NotFound: there is no such person.
        Invalid: the password is not acceptable.
    """
    await lock_person(tx, person_id)
    person = await reads.person(tx, person_id)
    if person is None:
        raise NotFound(what="person", key=person_id)
    refuse(rules.password_flaws(password, person.email, passwords.MIN_LENGTH, passwords.MAX_LENGTH))
    await tx.execute(writes.CHANGE_CREDENTIALS, {"id": person_id, "password_hash": await passwords.hashed(password)})
    await end_sessions(tx, person_id, keep_token=keep_token)
    await tx.execute(writes.DELETE_LINKS_OF, {"person_id": person_id})
    await audit.record(tx, action="set_password", entity="person", entity_id=person_id)


async def end_sessions(tx: Tx, person_id: UUID, *, keep_token: str | None = None) -> int:
    """End a person's sessions but the one of `keep_token`; return how many ended."""
    but = rules.digest(keep_token) if keep_token else None
    return await tx.execute(writes.DELETE_SESSIONS_OF, {"person_id": person_id, "but": but})


async def change_password(
    tx: Tx, person_id: UUID, current: str, password: str, *, keep_token: str | None = None
) -> None:
    """Change a password by whoever knows it; every session but the one of `keep_token` ends.

    Raises:
        Invalid: `current` is not the password, or the new one is not acceptable.
    """
    await check_password(tx, person_id, current)
    await set_password(tx, person_id, password, keep_token=keep_token)


async def begin_proof(tx: Tx, person_id: UUID) -> int:
    """Count that a signed-in person is about to prove their password; return how many seconds they have to wait first.

    Commit it whatever it returns: it counts as a failure until `check_password` finds the password right. Whoever has
    taken over a session could otherwise guess on.
    """
    tries = await guessing.begin(tx, f"password:{person_id}")
    if not tries.wait:
        await guessing.failed(tx, tries)
    return tries.wait


async def check_password(tx: Tx, person_id: UUID, password: str) -> None:
    """Make sure that a signed-in person still knows their password; edges call `begin_proof` first.

    Raises:
        Invalid: this is not the password.
    """
    kept = await tx.value(reads.KEPT_HASH, {"id": person_id})
    if not await passwords.fits(password[: passwords.MAX_LENGTH + 1], kept):
        refuse([Flaw("current", N_("This is not your password."))])
    await guessing.forget(tx, f"password:{person_id}")


async def _checked(tx: Tx, draft: PersonDraft, email: str, password: str | None) -> list[int]:
    """Return the ids of the draft's locations, or refuse with every flaw."""
    flaws = rules.email_flaws(email) + rules.language_flaws(draft.language) + rules.timezone_flaws(draft.timezone)
    if not draft.name.strip():
        flaws.append(Flaw("name", N_("A person needs a name.")))
    if password is not None:
        flaws += rules.password_flaws(password, email, passwords.MIN_LENGTH, passwords.MAX_LENGTH)
    places, unknown = await _places(tx, draft.locations)
    refuse(flaws + unknown)
    return places


def _within_own(tx: Tx, role: Role, places: list[int] | None) -> None:
    if rules.exceeds(ROLES[role], places, tx.actor.permissions, tx.actor.locations):
        raise BeyondOwn


async def _reachable(tx: Tx, person: reads.PersonView) -> None:
    places = None if person.everywhere else list((await reads.location_ids(tx, person.locations)).values())
    _within_own(tx, person.role, places)


async def _places(tx: Tx, codes: Sequence[str] | None) -> tuple[list[int], list[Flaw]]:
    found = await reads.location_ids(tx, codes or ())
    known = {code: id_ for code, id_ in found.items() if tx.actor.sees(id_)}  # what is out of sight is not there
    unknown = [
        Flaw(f"locations/{i}", UNKNOWN_LOCATION, facts={"location": code})
        for i, code in enumerate(codes or ())
        if code not in known
    ]
    return sorted(set(known.values())), unknown


def _columns(draft: PersonDraft, email: str) -> dict[str, Any]:
    return {
        "name": draft.name.strip(),
        "email": email,
        "role": draft.role.value,
        "everywhere": draft.locations is None,
        "language": draft.language,
        "timezone": draft.timezone,
    }


def _audited(draft: PersonDraft) -> dict[str, Any]:
    return {
        **_columns(draft, rules.normal_email(draft.email)),
        "active": draft.active,
        "locations": sorted(draft.locations or ()),
    }


# --- sessions
# -------------------------------------------------------------------------------------------------------------


async def log_in(
    tx: Tx,
    email: str,
    password: str,
    *,
    source: str | None,
    agent: str = "",
    hours: int = SESSION_HOURS,
    days: int = SESSION_DAYS,
    browser: Known | None = None,
) -> LoggedIn | CodeWanted | NotByPassword | Refused:
    """Check e-mail and password and open a session. Commit whatever it returns: a refusal counts the failed try.

    Tries are limited per account and per network address, with growing waits; those of a `browser` that let this person
    in before are counted apart. An unknown account takes as long as a known one and is refused in the same words. An
    account with a second factor gets no session here. Where people log in by a provider only, whoever knows the
    password is told so.
    """
    email = rules.normal_email(email)
    account = rules.account_subject(email)
    if browser is not None and await tx.value(reads.WHOSE_EMAIL, {"email": email}) == browser.person_id:
        account = f"{account}:{browser.mark}"
    tries = await guessing.begin(tx, account, guessing.source_subject(source))
    if tries.wait:
        return Refused(tries.wait)
    found = await tx.tuples(writes.PERSON_TO_LOG_IN, {"email": email})
    person_id, kept, active, version, factor, role = found[0] if found else (None, None, False, 0, False, None)
    right = await passwords.fits(password[: passwords.MAX_LENGTH + 1], kept)
    if not (right and active and person_id):
        await guessing.failed(tx, tries)
        return Refused()
    await guessing.succeeded(tx, tries, account)
    if not await ways.opens_by_password(tx, Role(role), factor=factor):
        return NotByPassword()
    if factor:
        return CodeWanted(person_id, version)
    return await open_session(tx, person_id, source=source, agent=agent, hours=hours, days=days)


async def open_session(
    tx: Tx,
    person_id: UUID,
    *,
    source: str | None,
    agent: str = "",
    hours: int = SESSION_HOURS,
    days: int = SESSION_DAYS,
    by: ByProvider | None = None,
) -> LoggedIn:
    """Open a session for a person who has proved who they are: good for `hours` without use, `days` at most."""
    token = secrets.token_urlsafe(32)
    await tx.execute(
        writes.INSERT_SESSION,
        {
            "token_hash": rules.digest(token),
            "id": new_id(),
            "person_id": person_id,
            "hours": hours,
            "days": days,
            "source": source,
            "agent": agent,
            "provider_id": by.provider_id if by else None,
            "vouched": by is not None and by.vouched,
            "id_token": by.id_token if by else None,
        },
    )
    await audit.record(tx, action="log_in", entity="person", entity_id=person_id)
    return LoggedIn(token, person_id)


async def session_of(
    tx: Tx, token: str, hours: int = SESSION_HOURS, days: int = SESSION_DAYS, *, uses: bool = True
) -> Caller | None:
    """Return the person signed in with a token, None if it is unknown or expired.

    Who `uses` it moves the expiry on, to `hours` from now, and never past `days` after the log-in.
    """
    token_hash = rules.digest(token)
    found = await tx.maybe(reads.SessionPerson, reads.SESSION_PERSON, {"token_hash": token_hash})
    if found is None:
        return None
    if uses and found.at - found.seen_at > timedelta(minutes=1):
        await tx.execute(writes.TOUCH_SESSION, {"token_hash": token_hash, "hours": hours, "days": days})
    role = Role(found.role)
    return Caller(
        kind="person",
        id=str(found.id),
        name=found.name,
        permissions=frozenset() if found.must_enrol else ROLES[role],
        locations=None if found.everywhere else frozenset(found.locations),
        role=role,
        language=found.language,
        timezone=found.timezone,
        theme=found.theme,
        must_enrol=found.must_enrol,
    )


async def renew_token(tx: Tx, token: str) -> str:
    """Give a session a new token, and return it: what it may do has grown, and the old token may be known to others.

    An unknown token gives one that is good for nothing.
    """
    fresh = secrets.token_urlsafe(32)
    await tx.execute(writes.MOVE_SESSION, {"token_hash": rules.digest(token), "fresh": rules.digest(fresh)})
    return fresh


async def log_out(tx: Tx, token: str) -> None:
    """End the session of a token; an unknown one is no error."""
    person_id = await tx.value(writes.DELETE_SESSION, {"token_hash": rules.digest(token)})
    if person_id is not None:
        await audit.record(tx, action="log_out", entity="person", entity_id=person_id)


async def revoke_session(tx: Tx, person_id: UUID, session_id: UUID) -> None:
    """End one of a person's sessions.

    Raises:
        NotFound: the person has no such session.
    """
    if not await tx.execute(writes.DELETE_SESSION_BY_ID, {"id": session_id, "person_id": person_id}):
        raise NotFound(what="session", key=session_id)
    await audit.record(tx, action="revoke_session", entity="person", entity_id=person_id)


async def revoke_other_sessions(tx: Tx, person_id: UUID, keep_token: str) -> int:
    """End a person's sessions but the one of `keep_token`; return how many ended."""
    ended = await end_sessions(tx, person_id, keep_token=keep_token)
    if ended:
        await audit.record(
            tx, action="revoke_sessions", entity="person", entity_id=person_id, after={"sessions": ended}
        )
    return ended


async def forget_expired(tx: Tx) -> int:
    """Delete expired sessions, links and old failed log-ins; return how many rows. For a nightly job."""
    gone = await tx.execute(writes.DELETE_EXPIRED_SESSIONS) + await tx.execute(writes.DELETE_EXPIRED_LINKS)
    gone += await tx.execute(provider_writes.FORGET_ANSWERS)
    return gone + await tx.execute(writes.DELETE_OLD_TRIES, {"forget": rules.FORGET_AFTER})


# --- keys
# -----------------------------------------------------------------------------------------------------------------


class NewKey(msgspec.Struct, frozen=True):
    """A key just made. The secret is shown once: only its hash is kept."""

    id: int
    secret: str


async def create_key(
    tx: Tx,
    *,
    name: str,
    permissions: Collection[str],
    locations: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    held: Collection[str] | None = None,
    within: Collection[int] | None = None,
) -> NewKey:
    """Make an API key.

    Args:
        tx: the transaction.
        name: what it is for, like `ERP`.
        permissions: what it may do.
        locations: codes of the locations it may see; None is all.
        expires_at: when it ends by itself.
        held: permissions of whoever makes it, which bound the key's; None for the system itself.
        within: locations of whoever makes it, which bound the key's; None is all.

    Raises:
        Invalid: a permission is unknown or not the maker's to give, a location is unknown, or the end is past.
    """
    flaws = rules.permission_flaws(permissions, permissions if held is None else held)
    if not name.strip():
        flaws.append(Flaw("name", N_("A key needs a name that says what it is for.")))
    if not permissions:
        flaws.append(Flaw("permissions", N_("A key needs at least one permission.")))
    places, unknown = await _places(tx, locations)
    if within is not None and (locations is None or not set(places) <= set(within)):
        flaws.append(Flaw("locations", N_("A key can see no more locations than its maker.")))
    if expires_at is not None and expires_at <= await tx.now():
        says, mend = N_("A key that ended at {time} would never work."), N_("Name a time to come, or none.")
        flaws.append(Flaw("expires_at", says, mend, {"time": expires_at}))
    refuse(flaws + unknown)
    prefix = b32encode(secrets.token_bytes(5)).decode().lower()
    secret = f"mk_{prefix}_{secrets.token_urlsafe(32)}"
    row = {
        "name": name.strip(),
        "prefix": prefix,
        "secret_hash": rules.digest(secret),
        "permissions": sorted(permissions),
        "everywhere": locations is None,
        "created_by": tx.actor.label,
        "expires_at": expires_at,
    }
    key_id = int(await tx.value(writes.INSERT_KEY, row))
    await tx.execute(writes.INSERT_KEY_LOCATIONS, {"id": key_id, "locations": places})
    await audit.record(
        tx, action="create", entity="api_key", entity_id=key_id, after={**row, "secret_hash": "", "locations": places}
    )
    return NewKey(key_id, secret)


async def revoke_key(tx: Tx, key_id: int) -> None:
    """End a key; web processes stop accepting it within `Keys.REMEMBERED` seconds.

    Raises:
        NotFound: there is no such key, or it was revoked before.
        KeyBeyondOwn: it holds rights that the actor does not.
    """
    key = await reads.key(tx, key_id)
    if key is None:
        raise NotFound(what="key", key=key_id)
    places = None if key.everywhere else list((await reads.location_ids(tx, key.locations)).values())
    if rules.exceeds(key.permissions, places, tx.actor.permissions, tx.actor.locations):
        raise KeyBeyondOwn
    if not await tx.execute(writes.REVOKE_KEY, {"id": key_id}):
        raise NotFound(what="key", key=key_id)
    await audit.record(tx, action="revoke", entity="api_key", entity_id=key_id)


async def hand_over_key(tx: Tx, key_id: int, person_id: UUID) -> reads.KeyView:
    """Have a person answer for a key from now on, in the place of who made it; its secret and rights stay.

    Raises:
        NotFound: there is no such key that works, or no such person who has access.
        KeyBeyondOwn: the key holds rights that the actor does not.
        KeyBeyondKeeper: it holds rights that the person does not.
    """
    await lock_owners(tx)  # as who deactivates: the person still has access when this is written
    person = await person_to_manage(tx, person_id)
    key = await reads.key(tx, key_id)
    if key is None or not key.works:
        raise NotFound(what="key", key=key_id)
    if not person.active:
        raise NotFound(what="person", key=person_id)
    places = None if key.everywhere else list((await reads.location_ids(tx, key.locations)).values())
    if rules.exceeds(key.permissions, places, tx.actor.permissions, tx.actor.locations):
        raise KeyBeyondOwn
    own = None if person.everywhere else list((await reads.location_ids(tx, person.locations)).values())
    if rules.exceeds(key.permissions, places, ROLES[person.role], own):
        raise KeyBeyondKeeper(name=person.name)
    await tx.execute(writes.KEEP_KEY, {"id": key_id, "kept_by": f"person:{person_id}"})
    former = {} if key.maker is None else {"kept_by": key.maker.name, "person": key.maker.id}
    now_by = {"kept_by": person.name, "person": person_id}
    await audit.record(tx, action="hand_over", entity="api_key", entity_id=key_id, before=former, after=now_by)
    after = await reads.key(tx, key_id)
    return key if after is None else after


async def revoke_keys_of(tx: Tx, person_id: UUID) -> list[int]:
    """End every key that works and that a person made, themselves or by a key of theirs; return which.

    All of them or none. Keys that see more locations than the actor are left out, as in every list.

    Raises:
        NotFound: there is no such person.
        BeyondOwn: the person has rights that the actor does not hold.
        KeyBeyondOwn: a key holds rights that the actor does not.
    """
    await lock_owners(tx)  # who deactivates and who revokes come one after the other
    await person_to_manage(tx, person_id)
    keys = [key.id for key in await reads.keys_of(tx, person_id)]
    for key_id in keys:
        await revoke_key(tx, key_id)
    return keys


class Keys:
    """Checks API keys for one process, remembering the good ones for a few seconds."""

    REMEMBERED = 5.0  # seconds; also the longest time a revoked key still works

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[float, Caller, int]] = {}
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._used: set[int] = set()

    async def caller_of(self, secret: str) -> Caller | None:
        """Return what a key may do, None if it is malformed, unknown, expired or revoked."""
        digest = rules.digest(secret)
        known = self._known.get(digest)
        if known is not None and known[0] > time.monotonic():
            self._used.add(known[2])
            return known[1]
        form = rules.KEY_FORM.match(secret)
        if form is None:
            return None
        # Sixty connections that come with the same key at once ask once; none of them can cancel the others' question.
        asking = self._asking.get(digest)
        if asking is None:
            asking = asyncio.get_running_loop().create_task(self._ask(form.group(1), digest))
            self._asking[digest] = asking
            asking.add_done_callback(lambda _task: self._asking.pop(digest, None))
        return await asyncio.shield(asking)

    async def _ask(self, prefix: str, digest: bytes) -> Caller | None:
        asked = time.monotonic()
        async with self._database.transaction() as tx:
            row = await tx.maybe(reads.KeyRow, reads.KEY_BY_PREFIX, {"prefix": prefix})
            at = None if row is None or row.expires_at is None else await tx.now()
        if row is None or not hmac.compare_digest(bytes(row.secret_hash), digest):
            self._known.pop(digest, None)
            return None
        caller = Caller(
            kind="key",
            id=str(row.id),
            name=row.name,
            permissions=frozenset(row.permissions),
            locations=None if row.everywhere else frozenset(row.locations),
        )
        lasts = self.REMEMBERED
        if row.expires_at is not None and at is not None:
            lasts = min(lasts, (row.expires_at - at).total_seconds())
        if len(self._known) >= 1000:  # keys come and go; old ones must not pile up
            self._known = {known: entry for known, entry in self._known.items() if entry[0] > asked}
        self._known[digest] = (asked + lasts, caller, row.id)
        self._used.add(row.id)
        return caller

    async def write_used(self) -> None:
        """Record which keys were used since the last call. A timer calls this, never a request."""
        used, self._used = self._used, set()
        if used:
            async with self._database.transaction() as tx:
                await tx.execute(writes.TOUCH_KEYS, {"ids": sorted(used)})
