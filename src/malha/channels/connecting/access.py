"""Secrets of a connection, sealed in the database, and tokens that one renews while all others wait for it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar

import msgspec

from malha.channels.connecting import failures, reads, writes
from malha.channels.connecting.model import Linked
from malha.channels.contract import AuthExpired, Conflicting, Invalid, Missing, Retryable, Tokens
from malha.platform import sealing, signing
from malha.platform.clock import now
from malha.platform.db import Database, Tx

PURPOSE = "connection"
LEASE_S = 30.0  # a renewal gets this long
EARLY_S = 60.0  # a token that runs out within it is renewed
LOOK_EVERY_S = 0.05
PATIENCE_S = 40.0

_secrets = msgspec.json.Decoder(dict[str, str]).decode
_tokens = msgspec.json.Decoder(Tokens).decode
_encode = msgspec.json.Encoder().encode

# By task: of two calls at once, one may have used the former token and the other its successor.
_USED: ContextVar[int] = ContextVar("used", default=0)
Renew = Callable[[str], Awaitable[Tokens]]


def seal(keys: signing.Keys, secrets: Mapping[str, str]) -> bytes | None:
    """Return secrets as they are kept; None where there are none."""
    return sealing.seal(keys, PURPOSE, _encode(dict(secrets)).decode()) if secrets else None


def unseal(keys: signing.Keys, sealed: bytes | None) -> dict[str, str]:
    """Return kept secrets.

    Raises:
        SealBroken: they were sealed with another key.
    """
    return _secrets(sealing.unseal(keys, PURPOSE, sealed)) if sealed else {}


def generations(keys: signing.Keys, connection: Linked) -> list[dict[str, str]]:
    """Return the secrets that are believed: the present ones, and the former ones while they are replaced."""
    both = [unseal(keys, connection.secrets)]
    if connection.former_secrets and connection.former_until and connection.former_until > now():
        both.append(unseal(keys, connection.former_secrets))
    return both


async def keep_tokens(tx: Tx, keys: signing.Keys, connection_id: int, tokens: Tokens) -> None:
    """Keep tokens that a person entered or a peer gave."""
    sealed = sealing.seal(keys, PURPOSE, _encode(tokens).decode())
    params = {"id": connection_id, "tokens": sealed, "expires_at": tokens.expires_at}
    await tx.execute(writes.PUT_TOKENS, params)


class Safe:
    """The `contract.Access` of one connection."""

    def __init__(self, db: Database, keys: signing.Keys, connection: Linked, secrets: Mapping[str, str]) -> None:
        self._db = db
        self._keys = keys
        self._connection = connection
        self._secrets = secrets
        self._spoiled = 0  # generation of the newest token that the peer refused
        self.renew: Renew | None = None

    def __repr__(self) -> str:
        return f"Safe({self._connection.code})"

    def secret(self, name: str) -> str:
        """Return a secret; see `contract.Access`."""
        found = self._secrets.get(name, "")
        if not found:
            raise AuthExpired(failures.NO_SECRET.format(name=name))
        return found

    def begin(self) -> None:
        """Forget which token this task used: a call begins."""
        _USED.set(0)

    def spoil(self) -> bool:
        """Note that the peer refused the token that this task used; tell whether another one can be had."""
        used = _USED.get()
        self._spoiled = max(self._spoiled, used)
        return self.renew is not None and used > 0

    async def token(self) -> str:
        """Return a token that is good; see `contract.Access`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            async with self._db.transaction() as tx:
                kept = await tx.maybe(reads.Kept, reads.TOKENS, {"id": self._connection.id, "early": EARLY_S})
                if kept is None:
                    raise AuthExpired(failures.NO_TOKEN)
                tokens = _tokens(sealing.unseal(self._keys, PURPOSE, kept.tokens))
                if not kept.over and kept.generation > self._spoiled:
                    _USED.set(kept.generation)
                    return tokens.access
                asked = {"id": self._connection.id, "generation": kept.generation, "lease": LEASE_S}
                mine = self.renew is not None and await tx.value(writes.TAKE_RENEWAL, asked) is not None
            if mine:
                return await self._renewed(kept.generation, tokens.refresh)
            if self.renew is None:
                raise AuthExpired(failures.TOKEN_OVER)
            if loop.time() > until:
                raise Retryable(failures.RENEWED_BY_ANOTHER)
            await asyncio.sleep(LOOK_EVERY_S * random.uniform(0.5, 1.5))  # noqa: S311 -- jitter

    async def _renewed(self, generation: int, refresh: str) -> str:
        renew = self.renew
        assert renew is not None  # noqa: S101 -- asked before
        try:
            tokens = await renew(refresh)
        except BaseException as error:
            async with self._db.transaction() as tx:
                await tx.execute(writes.GIVE_UP_RENEWAL, {"id": self._connection.id, "generation": generation})
            # In whatever words it says no (OAuth: 400): nothing is wrong with what was to be sent.
            if isinstance(error, Invalid | Missing | Conflicting):
                raise AuthExpired(error.why) from None
            raise
        # Kept before it is used: a refresh token may be good once, and this one is spent.
        async with self._db.transaction() as tx:
            sealed = sealing.seal(self._keys, PURPOSE, _encode(tokens).decode())
            params = {"id": self._connection.id, "generation": generation, "tokens": sealed}
            await tx.execute(writes.END_RENEWAL, {**params, "expires_at": tokens.expires_at})
        _USED.set(generation + 1)
        return tokens.access
