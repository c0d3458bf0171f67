"""Ways to come in: whom a password lets in where people log in by a provider, and that somebody always can.

Who changes what could lock everybody out (the policy, a provider's switch, an owner's role, places, state or second
factor) asks `keep_way_back` afterwards, in the same transaction: one such change is made at a time.
"""

from malha.identity import provider_reads, provider_writes
from malha.identity.errors import NoProviderInUse, NoWayBack
from malha.identity.model import Role
from malha.platform.db import Tx


async def opens_by_password(tx: Tx, role: Role, *, factor: bool) -> bool:
    """Return whether a right password lets somebody in: always, or for owners with a second factor only."""
    policy = await provider_reads.policy(tx)
    return not policy.provider_only or (role is Role.OWNER and factor)


async def keep_way_back(tx: Tx) -> None:
    """Make sure that, where passwords are off, somebody can come in with a provider and somebody without.

    Raises:
        NoWayBack: no active owner of all places has a password and a second factor.
        NoProviderInUse: no provider is in use.
    """
    policy = await provider_reads.policy(tx)
    if not policy.provider_only:
        return
    await tx.execute(provider_writes.LOCK_POLICY)
    policy = await provider_reads.policy(tx)  # as it is now that nobody else changes it
    if not policy.provider_only:
        return
    if not policy.ways_back:
        raise NoWayBack
    if not policy.providers:
        raise NoProviderInUse
