"""Which sender tells a channel, with what it needs for that: the one place that knows senders and secrets."""

from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.stock import ConnectionSender
from malha.channels.contract import StockSender
from malha.channels.model import PushKind, Taken
from malha.channels.pushing import Senders
from malha.channels.senders import TIMEOUT_S, Webhook
from malha.channels.service import PURPOSE
from malha.platform import sealing, signing
from malha.platform.outward import Outward
from malha.platform.settings import Settings


def senders(runtime: Runtime) -> Senders:
    """Return how the sender of a push is made: over the channel's connections, or a webhook."""
    by_webhook = webhooks(runtime.settings)

    def sender(taken: Taken) -> StockSender:
        if taken.kind == PushKind.CONNECTOR:
            return ConnectionSender(runtime, taken.channel_id)
        return by_webhook(taken)

    return sender


def webhooks(settings: Settings) -> Senders:
    """Return how the sender of a webhook is made, its secret unsealed for one turn."""
    outward = Outward(settings.outward_allow, timeout_s=TIMEOUT_S)

    def sender(taken: Taken) -> StockSender:
        secret = sealing.unseal(signing.keys_of(settings), PURPOSE, taken.secret) if taken.secret else ""
        return Webhook(outward, taken.channel, taken.url or "", secret)

    return sender
