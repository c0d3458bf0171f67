"""Which sender tells a channel, with what it needs for that: the one place that knows senders and secrets."""

from collections.abc import Callable, Sequence

from malha.channels.connecting import stock
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.stock import ConnectionSender
from malha.channels.contract import StockSender
from malha.channels.model import PushKind, Taken
from malha.channels.pushing import Senders
from malha.channels.senders import TIMEOUT_S, Webhook
from malha.channels.service import PURPOSE
from malha.platform import sealing, signing
from malha.platform.db import Tx
from malha.platform.outward import Kept, Outward
from malha.platform.settings import Settings


class Over:
    """How the sender of a push is made: over the channel's connections, or a webhook. A `pushing.Preparing`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._by_webhook = webhooks(runtime.settings, runtime.way)

    def __call__(self, taken: Taken) -> StockSender:
        """Return the sender of a push."""
        if taken.kind == PushKind.CONNECTOR:
            return ConnectionSender(self._runtime, taken.channel_id)
        return self._by_webhook(taken)

    async def prepare(self, tx: Tx, made: Sequence[StockSender]) -> None:
        """Do together what each sender would do by itself before its first request."""
        connected = [sender for sender in made if isinstance(sender, ConnectionSender)]
        if connected:
            await stock.prepare(tx, connected)


def senders(runtime: Runtime) -> Senders:
    """Return how the sender of a push is made: over the channel's connections, or a webhook."""
    return Over(runtime)


def webhooks(settings: Settings, way: Callable[[Outward], Outward | Kept] = lambda outward: outward) -> Senders:
    """Return how the sender of a webhook is made, its secret unsealed for one turn; `way` says how requests leave."""
    outward = way(Outward(settings.outward_allow, timeout_s=TIMEOUT_S))

    def sender(taken: Taken) -> StockSender:
        secret = sealing.unseal(signing.keys_of(settings), PURPOSE, taken.secret) if taken.secret else ""
        return Webhook(outward, taken.channel, taken.url or "", secret)

    return sender
