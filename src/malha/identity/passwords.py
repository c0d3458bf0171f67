"""Passwords: argon2id with the parameters OWASP recommends (19 MiB, two passes), away from the event loop."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH = 10
MAX_LENGTH = 200
AT_ONCE = 2  # each takes 19 MiB and a processor for some 20 ms


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher, Type  # noqa: PLC0415 -- only a process that signs someone in loads it

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


@cache
def _turn() -> asyncio.Semaphore:
    return asyncio.Semaphore(AT_ONCE)


@cache
def _nobody() -> str:
    """Return a hash that no password fits: an unknown account must cost as much time as a known one."""
    return _hasher().hash("nobody has this password")


async def hashed(password: str) -> str:
    """Return the argon2id hash of a password, salt and parameters included."""
    return await asyncio.to_thread(_hasher().hash, password)


async def fits(password: str, kept: str | None) -> bool:
    """Return whether a password belongs to a hash; None (no such account) takes as long and is False."""
    async with _turn():
        return await asyncio.to_thread(_fits, password, kept)


def _fits(password: str, kept: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        right = _hasher().verify(kept or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return right and kept is not None


def outdated(kept: str) -> bool:
    """Return whether a hash was made with weaker parameters than today's."""
    return _hasher().check_needs_rehash(kept)
