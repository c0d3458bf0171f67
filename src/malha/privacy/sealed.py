"""Where secrets lie that are sealed at rest, and sealing them anew once the secret key was changed.

What was sealed with the former key is read as long as that is set. Much of it nobody can enter again: a person's second
factor, the tokens of a connection, the secret of a webhook at its receiver. So it is sealed anew before the former key
goes. `tests/contract/test_sealed_places.py` asks of every column of bytes whether it belongs here.
"""

from typing import Final

import msgspec

from malha.channels import service as pushes
from malha.channels.connecting import access
from malha.channels.feeds import building
from malha.identity import provider_login, providers, second_factor
from malha.notifications import means
from malha.notifications.model import Channel
from malha.platform import audit, sealing
from malha.platform.db import Tx
from malha.platform.signing import Keys
from malha.privacy import reads, writes
from malha.webhooks import service as webhooks


class Sealed(msgspec.Struct, frozen=True):
    """A column of sealed secrets, all for one purpose; `only` bounds its rows to those with this channel."""

    table: str
    column: str
    purpose: str
    only: str | None = None


SEALED: Final = (
    Sealed("connection", "secrets", access.PURPOSE),
    Sealed("connection", "former_secrets", access.PURPOSE),
    Sealed("connection_token", "tokens", access.PURPOSE),
    Sealed("feed", "push_secret", building.PURPOSE),
    Sealed("login_provider", "client_secret", providers.SECRET),
    *(Sealed("message_gateway", "secret", means.purpose(channel, "secret"), channel) for channel in Channel),
    *(Sealed("message_gateway", "receipt_secret", means.purpose(channel, "receipt"), channel) for channel in Channel),
    Sealed("second_factor", "secret", second_factor.PURPOSE),
    Sealed("session", "id_token", provider_login.ID_TOKEN),
    Sealed("stock_push", "secret", pushes.PURPOSE),
    Sealed("webhook_endpoint", "secret", webhooks.PURPOSE),
    Sealed("webhook_endpoint", "former_secret", webhooks.PURPOSE),
)


class Resealed(msgspec.Struct, frozen=True):
    """How many secrets were sealed anew, and how many neither key opens, by table."""

    anew: int
    unreadable: dict[str, int]


async def reseal(tx: Tx, keys: Keys) -> Resealed:
    """Seal with the present key what was sealed with the former one.

    A secret that is changed meanwhile stays as it was changed: that one is sealed with the present key.
    """
    anew, unreadable = 0, dict.fromkeys((place.table for place in SEALED), 0)
    for place in SEALED:
        was, fresh = [], []
        for kept in await tx.values(reads.sealed_in(place.table, place.column, place.only)):
            try:
                again = sealing.resealed(keys, place.purpose, bytes(kept))
            except sealing.SealBroken:
                unreadable[place.table] += 1
                continue
            if again is not None:
                was.append(bytes(kept))
                fresh.append(again)
        if was:
            anew += await tx.execute(writes.reseal(place.table, place.column), {"was": was, "fresh": fresh})
    told = Resealed(anew, {table: count for table, count in unreadable.items() if count})
    after = {"anew": told.anew, "unreadable": told.unreadable}
    await audit.record(tx, action="reseal", entity="secret", entity_id="secrets", after=after)
    return told
