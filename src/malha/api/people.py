"""People who sign in: their role, the locations they see, their language."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.identity import links, reads, second_factor, service
from malha.identity.model import Role
from malha.identity.reads import KeyView, PersonView
from malha.identity.service import PersonDraft
from malha.platform import mail, paging
from malha.platform.errors import NotFound
from malha.platform.ids import UUID
from malha.platform.paging import Page

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(max_length=1_000, description="10 to 200 characters.")]
Codes = Annotated[list[Annotated[str, Meta(max_length=80)]], Meta(max_length=1_000)]


class NewPerson(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A person to add. `locations` are codes; null is everywhere. Without a password they choose one by a link."""

    name: Name
    email: Email
    password: Password | None = None
    role: Role
    locations: Codes | None = None
    language: str | None = None
    timezone: str | None = None


class ChangedPerson(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A person as it shall be. `locations` are codes; null is everywhere. `active` false ends every session.

    Keys that the person made are the retailer's and go on working; `revoke_keys` ends them in the same step.
    """

    name: Name
    email: Email
    role: Role
    locations: Codes | None = None
    language: str | None = None
    timezone: str | None = None
    active: bool = True
    revoke_keys: bool = False


class GivenPassword(msgspec.Struct, forbid_unknown_fields=True):
    """A password an owner gives."""

    password: Password


class PersonCreated(msgspec.Struct, frozen=True):
    """Which person was added."""

    id: UUID
    version: int = 1


class PersonChanged(msgspec.Struct, frozen=True):
    """The person's new version, and which keys that they made still work."""

    id: UUID
    version: int
    keys: list[int]


class KeysRevoked(msgspec.Struct, frozen=True):
    """Which keys ended."""

    keys: list[int]


class LinkMade(msgspec.Struct, frozen=True):
    """A link to hand over. Whoever has `address` chooses the person's password, once."""

    address: str | None
    expires_at: datetime


@query("/people", permission="identity:manage")
async def list_people(work: Work, cursor: str | None = None, limit: int | None = None) -> Page[PersonView]:
    """List people by name."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "people", (str, UUID))
    rows = await reads.people(work.tx, size + 1, None if after is None else (after[0], after[1]))
    return paging.page_of(rows, size, "people", lambda row: (row.name, row.id))


@query("/people/{person_id:uuid}", permission="identity:manage")
async def get_person(work: Work, person_id: UUID) -> PersonView:
    """Return one person, with the version as `ETag`."""
    person = await reads.person(work.tx, person_id)
    if person is None:
        raise NotFound(what="person", key=person_id)
    work.tag(person.version)
    return person


@command("/people", permission="identity:manage", status=201)
async def create_person(work: Work, data: NewPerson) -> PersonCreated:
    """Add a person."""
    draft = PersonDraft(
        name=data.name,
        email=data.email,
        role=data.role,
        locations=data.locations,
        language=data.language,
        timezone=data.timezone,
    )
    person_id = await service.create_person(work.tx, draft, password=data.password)
    work.created(f"/v1/people/{person_id}")
    work.tag(1)
    return PersonCreated(person_id)


@command("/people/{person_id:uuid}", method="PUT", permission="identity:manage", versioned="required")
async def change_person(work: Work, person_id: UUID, data: ChangedPerson) -> PersonChanged:
    """Change a person. What is taken away is lost at once; the last active owner of all locations stays."""
    work.expect(await service.lock_to_change(work.tx, person_id))
    draft = PersonDraft(
        name=data.name,
        email=data.email,
        role=data.role,
        locations=data.locations,
        language=data.language,
        timezone=data.timezone,
        active=data.active,
    )
    version = await service.change_person(work.tx, person_id, draft)
    if data.revoke_keys:
        await service.revoke_keys_of(work.tx, person_id)
    work.tag(version)
    return PersonChanged(person_id, version, [key.id for key in await reads.keys_of(work.tx, person_id)])


@query("/people/{person_id:uuid}/keys", permission="identity:manage")
async def list_keys_of_person(work: Work, person_id: UUID) -> list[KeyView]:
    """List the keys that still work and that a person made, themselves or by a key of theirs."""
    if await reads.person(work.tx, person_id) is None:
        raise NotFound(what="person", key=person_id)
    return await reads.keys_of(work.tx, person_id)


@command("/people/{person_id:uuid}/keys/revoke", permission="identity:manage")
async def revoke_keys_of_person(work: Work, person_id: UUID) -> KeysRevoked:
    """End all keys that a person made, for good; every web process refuses them within five seconds."""
    return KeysRevoked(await service.revoke_keys_of(work.tx, person_id))


@command("/people/{person_id:uuid}/password", permission="identity:manage")
async def set_password(work: Work, person_id: UUID, data: GivenPassword) -> None:
    """Give a person a new password; every session of theirs ends."""
    await service.person_to_manage(work.tx, person_id)
    await service.set_password(work.tx, person_id, data.password)


@command("/people/{person_id:uuid}/link", permission="identity:manage")
async def make_link(work: Work, person_id: UUID) -> LinkMade:
    """Make a link by which a person chooses a password.

    The person's earlier links end. The address is shown this once: a repeated send of the same Idempotency-Key answers
    null.
    """
    made = await links.make_link(work.tx, work.services.signing, person_id)
    work.keep(LinkMade(None, made.expires_at))
    return LinkMade(links.address_of(work.services.settings, made.token), made.expires_at)


@command("/people/{person_id:uuid}/link/mail", permission="identity:manage")
async def mail_link(work: Work, person_id: UUID) -> None:
    """Have a link mailed to a person by which they choose a password; their earlier links end."""
    mail.server_of(work.services.settings)
    await links.mail_link(work.tx, person_id)


@command("/people/{person_id:uuid}/second-factor", method="DELETE", permission="identity:manage")
async def remove_second_factor(work: Work, person_id: UUID) -> None:
    """Take the second factor of a person who lost it away; every session of theirs ends."""
    await second_factor.remove(work.tx, person_id)


handlers = [
    list_people,
    get_person,
    create_person,
    change_person,
    set_password,
    make_link,
    mail_link,
    remove_second_factor,
    list_keys_of_person,
    revoke_keys_of_person,
]
