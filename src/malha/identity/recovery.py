"""How an operator gets somebody in again, who has the server but no way into it: an owner of all places is made.

Everything is written to the trail: what the person was before, and that it was done past everybody's rights.
"""

import msgspec

from malha.identity import links, provider_reads, providers, reads, rules, second_factor, service
from malha.identity.links import Link
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import refuse
from malha.platform.ids import UUID
from malha.platform.signing import Keys


class Restored(msgspec.Struct, frozen=True):
    """Who owns all places now, the link by which they choose a password, and what else a log-in of theirs asks for."""

    person_id: UUID
    name: str
    email: str
    link: Link
    provider_only: bool
    second_factor: bool


async def restore_owner(
    tx: Tx,
    keys: Keys,
    *,
    email: str,
    name: str = "",
    let_passwords_in: bool = False,
    without_second_factor: bool = False,
) -> Restored:
    """Make the person of an e-mail an active owner of all places, or add one; their sessions and former links end.

    `name` is for somebody new. `let_passwords_in` ends that people log in by a provider only, `without_second_factor`
    takes a lost authenticator app away; neither is done unasked.

    Raises:
        Invalid: this is no e-mail.
        EmailTaken: somebody was added at the same moment; trying again finds them.
        NoWayBack: people log in by a provider only, and without the factor nobody could come in if it fails.
    """
    email = rules.normal_email(email)
    refuse(rules.email_flaws(email))
    if let_passwords_in:
        await providers.set_policy(tx, provider_only=False)
    person_id = await provider_reads.person_of_email(tx, email)
    if person_id is None:
        draft = PersonDraft(name=name.strip() or email, email=email, role=Role.OWNER)
        person_id = await service.create_person(tx, draft, password=None)
    else:
        await _raise(tx, person_id)
    if without_second_factor:
        await second_factor.remove(tx, person_id)
    await service.end_sessions(tx, person_id)
    link = await links.make_link(tx, keys, person_id)
    person = await service.person_to_manage(tx, person_id)
    policy = await provider_reads.policy(tx)
    await audit.record(tx, action="restore_owner", entity="person", entity_id=person_id)
    return Restored(person_id, person.name, email, link, policy.provider_only, person.second_factor)


async def _raise(tx: Tx, person_id: UUID) -> None:
    await service.lock_to_change(tx, person_id)
    person = await reads.person(tx, person_id)
    if person is None or (person.role is Role.OWNER and person.everywhere and person.active):
        return
    draft = service.draft_of(person)
    owner = msgspec.structs.replace(draft, role=Role.OWNER, locations=None, active=True)
    await service.change_person(tx, person_id, owner)
