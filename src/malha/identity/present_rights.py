"""What somebody may do now in whose name work goes on while they are not there.

A worker that was asked by a person or a key asks this again with each piece: what is taken from them is lost at once,
as it is at a page and by the API.
"""

import msgspec

from malha.identity import reads
from malha.identity.model import ROLES, Role
from malha.identity.reads import KeyRights, PersonRights
from malha.platform.db import Actor, Tx
from malha.platform.ids import UUID

# Who lost their access, or never had any.
_NOTHING: frozenset[str] = frozenset()


async def as_now(tx: Tx, actor: Actor) -> Actor:
    """Return an actor with the permissions and locations that they have at this moment.

    A person without access, a key that was revoked or is past its expiry, and one that is not there have none. The
    system itself may do everything, as ever. That a role demands a second factor takes nothing away here: it is asked
    of whoever comes in.

    Args:
        tx: in which something is about to be done.
        actor: whose name was kept; see `Actor.of_label`.
    """
    match actor.kind:
        case "person":
            id_ = _uuid(actor.id)
            person = await reads.person_rights(tx, id_) if id_ else None
            return _with(actor, ROLES[Role(person.role)] if person else _NOTHING, person)
        case "key":
            number = _number(actor.id)
            key = await reads.key_rights(tx, number) if number else None
            return _with(actor, frozenset(key.permissions) if key else _NOTHING, key)
        case _:
            return actor


def _with(actor: Actor, permissions: frozenset[str], found: PersonRights | KeyRights | None) -> Actor:
    places = frozenset[int]() if found is None else None if found.everywhere else frozenset(found.locations)
    return msgspec.structs.replace(actor, permissions=permissions, locations=places)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
