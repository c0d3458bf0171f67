"""API keys: how programs sign in."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.identity import reads, service
from malha.identity.reads import KeyView
from malha.platform.ids import UUID
from malha.platform.shapes import Instant

Permission = Annotated[str, Meta(max_length=40, description="Like `orders:read`.")]


class NewKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key to make. Its permissions are at most the maker's own. `locations` are codes; null is everywhere."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    permissions: Annotated[list[Permission], Meta(min_length=1, max_length=100)]
    locations: Annotated[list[Annotated[str, Meta(max_length=80)]], Meta(max_length=1_000)] | None = None
    expires_at: Instant | None = None


class KeyCreated(msgspec.Struct, frozen=True):
    """The new key. `secret` is shown this once: a repeated send of the same Idempotency-Key answers null."""

    id: int
    secret: str | None


@query("/keys", permission="identity:manage")
async def list_keys(work: Work) -> list[KeyView]:
    """List keys, revoked ones too; secrets are not kept."""
    return await reads.keys(work.tx)


@command("/keys", permission="identity:manage", status=201)
async def create_key(work: Work, data: NewKey) -> KeyCreated:
    """Make a key. Send it as `Authorization: Bearer <secret>`."""
    made = await service.create_key(
        work.tx,
        name=data.name,
        permissions=data.permissions,
        locations=data.locations,
        expires_at=data.expires_at,
        held=work.actor.permissions,
        within=work.actor.locations,
    )
    work.keep(KeyCreated(made.id, None))
    return KeyCreated(made.id, made.secret)


@command("/keys/{key_id:int}/revoke", permission="identity:manage")
async def revoke_key(work: Work, key_id: int) -> None:
    """End a key for good; every web process refuses it within five seconds."""
    await service.revoke_key(work.tx, key_id)


class KeyKeeper(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to answer for a key: the id of a person who has access and all of its rights."""

    person: UUID


@command("/keys/{key_id:int}/hand-over", permission="identity:manage")
async def hand_over_key(work: Work, key_id: int, data: KeyKeeper) -> KeyView:
    """Have a person answer for a key in the place of who made it, who is gone; its secret and rights stay.

    They are its `maker` from then on.
    """
    return await service.hand_over_key(work.tx, key_id, data.person)


handlers = [list_keys, create_key, revoke_key, hand_over_key]
