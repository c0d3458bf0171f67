"""Use cases of means of contact: gateways, which kind goes by which means, and who tells the buyers of a channel.

Secrets are sealed before they are stored, are given back to nobody, and are in no log and no audit row.
"""

from collections.abc import Sequence

import msgspec

from malha.network.service import refuse_limited
from malha.notifications import reads, writes
from malha.notifications.errors import GatewayExists, GatewayNotReady
from malha.notifications.gateways import Gateway, check_gateway
from malha.notifications.model import CHANNEL_WORDS, Channel, Kind, Route, Teller
from malha.notifications.reads import GatewayRow
from malha.platform import audit, outward, sealing
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.signing import Keys

ALL_KINDS = "*"
SECRET_LENGTH = 4_000
_encode = msgspec.json.Encoder().encode


class Opened(msgspec.Struct, frozen=True):
    """A gateway with its secrets, for who talks to it. Its `repr` shows none."""

    channel: Channel
    gateway: Gateway
    secret: str
    receipt_secret: str

    def __repr__(self) -> str:
        return f"Opened({self.channel!r}, ...)"


async def open_gateway(tx: Tx, keys: Keys, channel: Channel) -> Opened | None:
    """Return a gateway with its secrets; None when it is not described.

    Raises:
        SealBroken: its secrets were sealed with another key.
    """
    row = await reads.gateway(tx, channel)
    if row is None:
        return None
    said = [
        sealing.unseal(keys, purpose(channel, part), sealed) if sealed else ""
        for part, sealed in (("secret", row.secret), ("receipt", row.receipt_secret))
    ]
    return Opened(channel, row.gateway, *said)


async def save_gateway(
    tx: Tx,
    keys: Keys,
    channel: Channel,
    gateway: Gateway,
    *,
    active: bool,
    version: int,
    secret: str = "",
    receipt_secret: str = "",
    allowed: Sequence[str] | None = None,
) -> GatewayRow:
    """Describe a gateway, if it is still as the asker saw it (`version`; 0: not described). An empty secret stays.

    A secret is for one server: where the address names another one, it is entered anew. Else whoever may describe
    gateways could have a secret that they cannot see sent to a server of their own. `allowed`: see `outward.inward`.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: the description is wrong, or a secret that is there would go to another server.
        GatewayExists: `version` is 0, and there is one.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    flaws = check_gateway(gateway, channel)
    if gateway.url and channel is not Channel.EMAIL:
        try:
            flaws += outward.inward("url", gateway.url, allowed)
        except outward.OutwardRefused as wrong:
            says = N_("The gateway cannot be asked at this address: {why}.")
            flaws.append(Flaw("url", says, N_("Write it like https://sms.example.com/messages."), wrong.facts))
        if "<" in gateway.url + gateway.body:
            says = N_("Something in angle brackets is still to be filled in.")
            flaws.append(Flaw("body" if "<" in gateway.body else "url", says))
    flaws += [
        Flaw(at, N_("A secret has at most {most} visible characters."), facts={"most": SECRET_LENGTH})
        for at, said in (("secret", secret), ("receipt_secret", receipt_secret))
        if len(said) > SECRET_LENGTH or not said.isprintable()
    ]
    before = await reads.gateway(tx, channel)
    if (
        before is not None
        and before.secret
        and not secret
        and outward.server_of(before.gateway.url) != outward.server_of(gateway.url)
    ):
        says = N_("The address is another server's than the secret was entered for.")
        flaws.append(Flaw("secret", says, N_("Enter the secret again.")))
    refuse(flaws)
    row = {
        "channel": channel.value,
        "active": active,
        "config": _encode(gateway).decode(),
        "secret": sealing.seal(keys, purpose(channel, "secret"), secret) if secret else None,
        "receipt_secret": sealing.seal(keys, purpose(channel, "receipt"), receipt_secret) if receipt_secret else None,
        "version": version,
    }
    if not await tx.execute(writes.SET_GATEWAY if version else writes.PUT_GATEWAY, row):
        if not version:
            raise GatewayExists(means=Word(CHANNEL_WORDS[channel]))
        raise Conflict(what=Word(N_("gateway")), key=channel.value)
    after = await reads.gateway(tx, channel)
    assert after is not None  # noqa: S101 -- it was just written
    await audit.record(
        tx,
        action="change",
        entity="message_gateway",
        entity_id=channel.value,
        before=before and {"active": before.active, **_audited(before.gateway)},
        after={
            "active": active,
            **_audited(gateway),
            **({"secret": "new"} if secret else {}),
            **({"receipt_secret": "new"} if receipt_secret else {}),
        },
        personal=("receipt_secret",),
    )
    return after


async def remove_gateway(tx: Tx, channel: Channel, *, version: int | None = None) -> None:
    """Forget a gateway and its secrets, if it is still as the asker saw it; what waits goes by the next means.

    Raises:
        SharedByAll: the actor is limited to some locations.
        GatewayNotReady: there is none.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    before = await reads.gateway(tx, channel)
    if before is None:
        raise GatewayNotReady(means=Word(CHANNEL_WORDS[channel]))
    row = {"channel": channel.value, "version": before.version if version is None else version}
    if not await tx.execute(writes.DROP_GATEWAY, row):
        raise Conflict(what=Word(N_("gateway")), key=channel.value)
    facts = {"active": before.active, **_audited(before.gateway)}
    await audit.record(tx, action="delete", entity="message_gateway", entity_id=channel.value, before=facts)


def _audited(gateway: Gateway) -> dict[str, object]:
    # Values of headers may hold what somebody typed instead of {secret}.
    return {"url": gateway.url, "method": gateway.method, "headers": [h.name for h in gateway.headers]}


def purpose(channel: Channel, part: str) -> str:
    """Return what a secret of a gateway is sealed for."""
    return f"message-gateway:{channel.value}:{part}"


async def set_route(
    tx: Tx, kind: Kind | None, means: Sequence[Channel] | None, *, every: bool = False, version: int
) -> Route:
    """Say by which means a kind is told (None: every kind without a route of its own), first choice first.

    No means (None) gives a kind's own route up. `version` is the one the asker saw, 0 where there was none.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: no means, or one twice.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    key = kind.value if kind else ALL_KINDS
    if means is not None and (not means or len(set(means)) != len(means)):
        refuse([Flaw("means", N_("Name at least one means, and each once."))])
    before = (await reads.routes(tx)).get(key)
    row = {"kind": key, "means": [c.value for c in means or ()], "every": every, "version": version}
    if means is None:
        done = not version or await tx.execute(writes.DROP_ROUTE, row)
    else:
        done = await tx.execute(writes.SET_ROUTE if version else writes.PUT_ROUTE, row)
    if not done:
        raise Conflict(what=Word(N_("rules")), key=key)
    after = (await reads.routes(tx)).get(key)
    await audit.record(tx, action="change", entity="message_route", entity_id=key, before=before, after=after)
    return after or Route()


async def set_teller(tx: Tx, channel_id: int, code: str, teller: Teller) -> None:
    """Say who tells the buyers of a sales channel."""
    before = await reads.teller(tx, channel_id)
    if await tx.execute(writes.PUT_TELLER, {"channel": channel_id, "teller": teller.value}) and before is not teller:
        changed = {"before": {"teller": before.value}, "after": {"teller": teller.value}}
        await audit.record(tx, action="change", entity="channel", entity_id=code, **changed)
