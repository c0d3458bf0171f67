"""Links by which a person chooses a password: the invitation of somebody new, and the way back of who forgot theirs.

A link's token is signed for the id of a row and is not stored anywhere: neither the database nor a job's arguments can
give it away. Using it deletes the row, and so do a newer link, a new password, another e-mail and a deactivation.
Opening it changes nothing, because mail scanners open links.

Who asks for a new password learns nothing: for an address that nobody has the same statements run, the same job is
deferred and the same words are said. Mail leaves by that job, never from a transaction.
"""

from datetime import datetime, timedelta
from email.message import EmailMessage

import msgspec
import structlog

from malha.identity import guessing, reads, rules, service, writes
from malha.identity.errors import LinkUsed, TooManyLinks
from malha.platform import audit, jobs, mail, signing
from malha.platform.db import Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import _, speaking
from malha.platform.ids import UUID, new_id
from malha.platform.settings import Settings
from malha.platform.signing import Keys

log = structlog.get_logger(__name__)

PURPOSE = "password-link"
PATH = "/access"
INVITATION = timedelta(days=7)
RESET = timedelta(hours=1)


class Link(msgspec.Struct, frozen=True):
    """A link to hand over. Whoever has the token chooses the person's password."""

    token: str
    expires_at: datetime


def address_of(settings: Settings, token: str) -> str:
    """Return the whole address. The token is in the query, which the access log does not have."""
    return f"{settings.address}{PATH}?token={token}"


async def make_link(tx: Tx, keys: Keys, person_id: UUID) -> Link:
    """Make a link for an administrator to hand over; the person's earlier ones end.

    Raises:
        NotFound: there is no such person.
        LinkUsed: the person may not come in.
        BeyondOwn: the person has rights that the actor does not hold.
    """
    link_id, expires_at = await _prepare(tx, person_id, mailed=False)
    await audit.record(tx, action="make_link", entity="person", entity_id=person_id)
    return Link(signing.sign(keys, PURPOSE, link_id.bytes, until=expires_at), expires_at)


async def mail_link(tx: Tx, person_id: UUID) -> None:
    """Have a link mailed to a person; their earlier ones end.

    Raises:
        NotFound: there is no such person.
        LinkUsed: the person may not come in.
        BeyondOwn: the person has rights that the actor does not hold.
    """
    link_id, _expires_at = await _prepare(tx, person_id, mailed=True)
    await jobs.defer(tx, send_link, link_id=str(link_id))
    await audit.record(tx, action="mail_link", entity="person", entity_id=person_id)


async def _prepare(tx: Tx, person_id: UUID, *, mailed: bool) -> tuple[UUID, datetime]:
    person = await service.person_to_manage(tx, person_id)
    await tx.execute(writes.DELETE_LINKS_OF, {"person_id": person_id})
    link_id = new_id()
    expires_at = await tx.value(
        writes.INSERT_LINK,
        {"id": link_id, "person_id": person_id, "lasts": INVITATION if person.invited else RESET, "mailed": mailed},
    )
    if expires_at is None:
        raise LinkUsed
    return link_id, expires_at


async def ask_reset(tx: Tx, email: str, *, source: str | None) -> int:
    """Have a link mailed to whoever has this e-mail, if anybody has; return how many seconds to wait, 0 when it went.

    Commit whatever it returns: it counts. The same happens for an address that nobody has.
    """
    email = rules.normal_email(email)
    asker = guessing.source_subject(source, "reset-source")
    tries = await guessing.begin(tx, rules.account_subject(email, "reset"), asker)
    if tries.wait:
        return tries.wait
    await guessing.failed(tx, tries)
    link_id = new_id()
    await tx.execute(writes.INSERT_LINK_BY_EMAIL, {"id": link_id, "email": email, "lasts": RESET})
    await jobs.defer(tx, send_link, link_id=str(link_id))
    return 0


def refuse_wait(seconds: int) -> None:
    """Refuse whoever must wait, after the commit.

    Raises:
        TooManyLinks: there are seconds to wait.
    """
    if seconds:
        raise TooManyLinks(seconds=seconds, retry_after=seconds)


async def open_link(tx: Tx, keys: Keys, token: str) -> reads.LinkRow:
    """Return whose a link is; nothing changes.

    Raises:
        TokenWrong: nobody here made it.
        TokenExpired: its time is over.
        LinkUsed: it was used, a newer one was made, or the person may not come in.
    """
    found = await reads.link(tx, _id_in(keys, token, await tx.now()))
    if found is None or not found.active:
        raise LinkUsed
    return found


async def use_link(tx: Tx, keys: Keys, token: str, password: str) -> UUID:
    """Give the person of a link the password they chose; every session and every other link of theirs ends.

    Raises:
        TokenWrong: nobody here made it.
        TokenExpired: its time is over.
        LinkUsed: it was used, a newer one was made, or the person may not come in.
        Invalid: the password is not acceptable; the link is still good.
    """
    link_id = _id_in(keys, token, await tx.now())
    found = await reads.link(tx, link_id)
    if found is None or not found.active:
        raise LinkUsed
    await service.lock_person(tx, found.person_id)
    if await tx.value(writes.TAKE_LINK, {"id": link_id}) is None:  # somebody was first, while this waited for the lock
        raise LinkUsed
    await service.set_password(tx, found.person_id, password)
    return found.person_id


def _id_in(keys: Keys, token: str, at: datetime) -> UUID:
    payload = signing.read(keys, PURPOSE, token, at=at)
    if len(payload) != 16:
        raise signing.TokenWrong
    return UUID(bytes=payload)


@jobs.task("identity.send_link", attempts=7)
async def send_link(db: Database, *, settings: Settings, link_id: str) -> None:
    """Mail a link, unless it was mailed, used or outdated meanwhile. What the server refuses for good is written down.

    Raises:
        MailPostponed, MailUnreachable: it is tried again.
    """
    async with db.transaction() as tx:
        found = await reads.link(tx, UUID(link_id))
    if found is None or found.sent_at is not None or not found.active:
        return
    try:
        await mail.send(mail.server_of(settings), letter(settings, found))
    except (mail.MailPostponed, mail.MailUnreachable) as error:
        await _note(db, found.id, error)
        raise
    except MalhaError as error:  # refused for good, not configured, or perhaps arrived: never by itself again
        await _note(db, found.id, error)
        log.warning("link_not_mailed", problem=error.code)
        return
    async with db.transaction() as tx:
        await tx.execute(writes.LINK_SENT, {"id": found.id})


async def _note(db: Database, link_id: UUID, error: MalhaError) -> None:
    with speaking("en"):
        said = _(error.says, **error.facts)
    async with db.transaction() as tx:
        await tx.execute(writes.LINK_FAILED, {"id": link_id, "problem": said})


def letter(settings: Settings, link: reads.LinkRow) -> EmailMessage:
    """Return the message with a link, in the person's language."""
    token = signing.sign(signing.keys_of(settings), PURPOSE, link.id.bytes, until=link.expires_at)
    with speaking(link.language or settings.language, settings.timezone):
        if link.invited:
            subject = _("Your access to Malha")
            says = _("You were invited to work with Malha. Choose your password here:")
        else:
            subject = _("Choose a new password")
            says = _("Someone asked for a new password for your account. Choose it here:")
        lines = [
            _("Hello, {name}.", name=link.name),
            says,
            address_of(settings, token),
            _("The link is good until {time} and can be used once.", time=link.expires_at),
            _("If you did not expect this message, you need not do anything: your password stays as it is.")
            if not link.invited
            else _("If you do not know what this is about, ignore this message."),
        ]
    return mail.compose(
        sender=settings.mail_from or "",
        to=link.email,
        to_name=link.name,
        subject=subject,
        text="\n\n".join(lines) + "\n",
        message_id=f"<{link.id}@{mail.parse_sender(settings.mail_from or '').domain}>",
        headers={"Auto-Submitted": "auto-generated"},
    )
