"""Coming in by a provider: what the browser carries meanwhile, and whom the provider's word lets in as what.

Between the button and the answer nothing is stored: state, nonce and PKCE verifier are sealed in a cookie of this
browser, for ten minutes. An answer is good for the browser that asked, and once (`take_answer`, which is committed
before the provider is asked anything).

A person is found by issuer and subject. Only who is not known by these is looked for by e-mail, if the provider has
verified it and the administrator lets e-mails bind; or by the invitation that they opened, if it went to that e-mail.
A refusal is a value, so that its row in the trail is committed.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta

import msgspec

from malha.identity import (
    guessing,
    links,
    provider_reads,
    provider_rules,
    provider_writes,
    reads,
    rules,
    service,
    writes,
)
from malha.identity.errors import (
    AccountEnded,
    EmailElsewhere,
    EmailOfAnother,
    EmailUnverified,
    LastOwner,
    LogInLost,
    NoGroupFits,
    NotKnownHere,
    NoWayBack,
    TurnedAway,
)
from malha.identity.guessing import Tries
from malha.identity.provider_model import FactorPolicy, Given, Said
from malha.identity.provider_reads import Provider
from malha.identity.reads import PersonView
from malha.identity.service import CodeWanted, LoggedIn, PersonDraft
from malha.platform import audit, sealing, signing
from malha.platform.db import Actor, Tx
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.platform.signing import Keys

PURPOSE = "provider-log-in"
ID_TOKEN = "provider-id-token"  # noqa: S105 -- the purpose of the seal
LASTS = timedelta(minutes=10)
LONGEST = 3_000  # characters of the cookie: browsers take 4096 with its name and attributes
ID_TOKEN_LENGTH = 6_000  # a longer one would not fit into an address


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A log-in that is under way in one browser. `link` is the token of the invitation it began from, if any."""

    code: str
    state: str
    nonce: str
    verifier: str
    next: str
    link: str
    until: int

    def __repr__(self) -> str:
        return f"Flow({self.code!r})"


def begin(provider_code: str, *, next_: str, link: str, at: datetime) -> Flow:
    """Return a new log-in by a provider."""
    return Flow(
        code=provider_code,
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        next=next_[:1_000],
        link=link[:400],
        until=int((at + LASTS).timestamp()),
    )


def sealed(keys: Keys, flow: Flow) -> str:
    """Return what this browser carries of a log-in; where it wanted to go is left out when it is too long."""
    text = _sealed(keys, flow)
    return text if len(text) <= LONGEST else _sealed(keys, msgspec.structs.replace(flow, next=""))


def _sealed(keys: Keys, flow: Flow) -> str:
    return urlsafe_b64encode(sealing.seal(keys, PURPOSE, msgspec.json.encode(flow).decode())).decode("ascii")


def carried(keys: Keys, cookie: str, *, code: str, state: str, at: datetime) -> Flow:
    """Return the log-in that this browser began at this provider with this state.

    Raises:
        LogInLost: it began none, another one, or too long ago.
    """
    try:
        raw = urlsafe_b64decode(cookie.encode("ascii")) if len(cookie) <= LONGEST else b""
        flow = msgspec.json.decode(sealing.unseal(keys, PURPOSE, raw), type=Flow)
    except (sealing.SealBroken, ValueError):
        raise LogInLost from None
    same = hmac.compare_digest(flow.state.encode(), state.encode())
    if not same or flow.code != code or at.timestamp() >= flow.until:
        raise LogInLost
    return flow


async def take_answer(tx: Tx, flow: Flow, *, source: str | None) -> Tries:
    """Use an answer up, and count the try. Commit it before the provider is asked.

    `wait` of what is returned says how many seconds this network address has to wait first; the answer is used up then
    too.

    Raises:
        LogInLost: it was used before.
    """
    answer = {"state_hash": rules.digest(flow.state), "lasts": LASTS + timedelta(minutes=1)}
    if not await tx.execute(provider_writes.TAKE_ANSWER, answer):
        raise LogInLost
    return await guessing.begin(tx, guessing.source_subject(source))


async def turn_away(tx: Tx, code: str, error: TurnedAway, tries: Tries | None = None) -> None:
    """Write down in the trail that somebody was not let in by a provider, and why; count it where it was a try."""
    if tries is not None:
        await guessing.failed(tx, tries)
    told: dict[str, str] = {
        name: str(error.facts[name])[:200] for name in sorted({"detail", "domain"} & error.facts.keys())
    }
    await audit.record(
        tx, action="turn_away", entity="login_provider", entity_id=code, after={"reason": error.code, **told}
    )


async def enter(
    tx: Tx,
    keys: Keys,
    provider: Provider,
    said: Said,
    tries: Tries,
    *,
    link: str = "",
    id_token: str = "",
    source: str | None,
    agent: str = "",
    hours: int = service.SESSION_HOURS,
    days: int = service.SESSION_DAYS,
) -> LoggedIn | CodeWanted | TurnedAway:
    """Let in whom a provider speaks of, and give them the role and places its rules say. Commit whatever it returns.

    Raises:
        EmailTaken: somebody was added at the same moment; trying again finds them.
    """
    acting = Tx(tx.connection, tx.retailer, _provider_as_actor(tx, provider))
    try:
        person_id, given = await _found(acting, keys, provider, said, link)
        await _adjust(acting, person_id, given)
        state = await provider_reads.version_and_factor(acting, person_id)
        if state is None:
            raise AccountEnded(provider=provider.name)
    except TurnedAway as error:
        await turn_away(acting, provider.code, error, tries)
        return error
    await guessing.succeeded(tx, tries, "")
    version, factor = state
    proved = provider.second_factor is FactorPolicy.PROVIDER or bool(said.proved & set(provider.proofs))
    if factor and not proved:
        return CodeWanted(person_id, version, provider.id)
    hint = sealing.seal(keys, ID_TOKEN, id_token) if 0 < len(id_token) <= ID_TOKEN_LENGTH else None
    by = service.ByProvider(provider.id, vouched=proved, id_token=hint)
    return await service.open_session(acting, person_id, source=source, agent=agent, hours=hours, days=days, by=by)


def _provider_as_actor(tx: Tx, provider: Provider) -> Actor:
    """Return who acts in the trail: the provider says who comes, and what they get."""
    return Actor("provider", provider.code, provider.name, tx.actor.source, tx.actor.request_id)


async def _found(tx: Tx, keys: Keys, provider: Provider, said: Said, link: str) -> tuple[UUID, Given | None]:
    """Return who it is, bound or added now, and what the provider's rules give them; None: nothing changes."""
    email = _email_to_believe(provider, said)
    given = _given(provider, said)
    account = {"issuer": said.issuer, "subject": said.subject}
    # Read before the binding: the two are committed together, so whoever is found here was bound by then, if they were
    # added by this very account at the same moment. The other way about they would be taken for somebody else.
    known = None if email is None else await provider_reads.person_of_email(tx, email)
    person_id = await provider_reads.bound(tx, said.issuer, said.subject)
    if person_id is not None:
        if provider.rules and given is None:
            await service.end_sessions(tx, person_id)
            raise NoGroupFits(provider=provider.name)
        await tx.execute(provider_writes.TOUCH_BINDING, {**account, "provider_id": provider.id})
        return person_id, given if provider.rules else None
    if email is None:
        raise EmailUnverified(provider=provider.name)
    if provider.rules and given is None:
        raise NoGroupFits(provider=provider.name)
    invited = await _invited(tx, keys, link, email)
    person_id = invited or known
    if person_id is None:
        return await _added(tx, provider, said, email, given), None
    if (person := await reads.person(tx, person_id)) is None or not person.active:
        raise AccountEnded(provider=provider.name)
    if invited is None and not provider.links:
        raise EmailOfAnother(provider=provider.name)
    await service.lock_to_change(tx, person_id)
    if await tx.execute(provider_writes.BIND, {**account, "person_id": person_id, "provider_id": provider.id}):
        if invited is not None:
            await tx.execute(writes.DELETE_LINKS_OF, {"person_id": person_id})
        await audit.record(tx, action="bind", entity="person", entity_id=person_id, after={"issuer": said.issuer})
    return person_id, given if provider.rules else None


def _email_to_believe(provider: Provider, said: Said) -> str | None:
    """Return the e-mail if the provider has verified it; where domains are named, it must be one of them."""
    email = said.email if said.email_verified else None
    if provider.domains:
        if email is None:
            raise EmailUnverified(provider=provider.name)
        if not provider_rules.is_of_domain(email, provider.domains):
            raise EmailElsewhere(domain=email.rpartition("@")[2])
    return email


def _given(provider: Provider, said: Said) -> Given | None:
    values = provider_rules.values_of(said.claims, provider.claim)
    return provider_rules.given_by(values, provider.rules, provider.role, provider.locations)


async def _invited(tx: Tx, keys: Keys, link: str, email: str) -> UUID | None:
    """Return whom an invitation was made for, if it is good and went to this e-mail; anything else is as if no link."""
    if not link:
        return None
    try:
        found = await links.open_link(tx, keys, link)
    except (signing.TokenWrong, signing.TokenExpired, MalhaError):
        return None
    return found.person_id if found.invited and found.email == email else None


async def _added(tx: Tx, provider: Provider, said: Said, email: str, given: Given | None) -> UUID:
    if not provider.creates:
        raise NotKnownHere
    if given is None:
        raise NoGroupFits(provider=provider.name)
    draft = PersonDraft(
        name=said.name or email,
        email=email,
        role=given.role,
        locations=given.locations,
        language=said.language,
    )
    person_id = await service.create_person(tx, draft, password=None)
    account = {"issuer": said.issuer, "subject": said.subject}
    await tx.execute(provider_writes.BIND, {**account, "person_id": person_id, "provider_id": provider.id})
    return person_id


async def _adjust(tx: Tx, person_id: UUID, given: Given | None) -> None:
    """Give a person what the rules say now. The last way in stays: an owner nobody could replace keeps the role."""
    if given is None or (person := await reads.person(tx, person_id)) is None or not person.active:
        return
    if _has(person, given):
        return
    await service.lock_to_change(tx, person_id)
    if (person := await reads.person(tx, person_id)) is None or not person.active:  # as they are now
        return
    draft = msgspec.structs.replace(service.draft_of(person), role=given.role, locations=given.locations)
    try:
        async with tx.savepoint():  # what is refused halfway leaves nothing behind
            await service.change_person(tx, person_id, draft)
    except (LastOwner, NoWayBack) as error:
        await audit.record(tx, action="keep_role", entity="person", entity_id=person_id, after={"reason": error.code})


def _has(person: PersonView, given: Given) -> bool:
    return person.role is given.role and (None if person.everywhere else tuple(person.locations)) == given.locations
