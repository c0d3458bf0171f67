"""Stock over a connection: what `channels.pushing` coalesces and times, a connector hands over.

Quantities are absolute and carry a version, so what nobody knows the fate of is simply said again.
"""

from collections.abc import Sequence

from malha.channels.connecting import failures, reads, registry, wire
from malha.channels.connecting.model import Linked
from malha.channels.connecting.runtime import Line, Runtime
from malha.channels.contract import (
    Capability,
    ChannelError,
    Handed,
    NotHanded,
    Rejected,
    Result,
    Retryable,
    StockSink,
    StockUpdate,
    Unknown,
)
from malha.platform.db import Tx
from malha.platform.errors import MalhaError

NO_ONE = "no active connection of this channel takes stock"


class ConnectionSender:
    """The `contract.StockSender` of a channel that is connected: all its active connections that take stock."""

    def __init__(self, runtime: Runtime, channel_id: int) -> None:
        self._runtime = runtime
        self.channel_id = channel_id
        self._ways: list[Line | str] = []

    def over(self, linked: Sequence[Linked]) -> list[Line]:
        """Have it go over these connections of its channel; return those that can be used."""
        able = registry.connectors()
        takes = [c for c in linked if c.connector in able and Capability.STOCK in able[c.connector].capabilities]
        self._ways = [self._way(connection) for connection in takes]
        return [way for way in self._ways if isinstance(way, Line)]

    def _way(self, connection: Linked) -> Line | str:
        try:
            line = self._runtime.line(connection)
        except ChannelError as error:
            return error.why
        except MalhaError as error:
            return str(error)
        line.wire.settles = True
        line.wire.aside = True  # a channel that takes no stock still gives its orders, and the other way round
        return line

    async def send(self, updates: Sequence[StockUpdate]) -> Handed:
        """Hand updates over; see `contract.StockSender`. It goes over what `prepare` found."""
        if not self._ways:
            raise NotHanded(NO_ONE, after=60.0)
        refused: dict[str, str] = {}
        unsure: dict[str, str] = {}
        for way in self._ways:
            if isinstance(way, str):
                raise NotHanded(way)
            handed = await self._over(way, updates)
            refused |= handed.refused
            unsure |= handed.unsure
        return Handed(refused, unsure)

    async def settle(self, tx: Tx) -> None:
        """Write down what was asked and answered; see `pushing.Settling`."""
        for way in self._ways:
            if isinstance(way, Line):
                await way.wire.settle(tx)

    async def _over(self, line: Line, updates: Sequence[StockUpdate]) -> Handed:
        refused: dict[str, str] = {}
        unsure: dict[str, str] = {}
        try:
            size = line.limits.batch
            for start in range(0, len(updates), size):
                part = updates[start : start + size]
                results = await self._hand(line, part)
                missing = [Unknown(failures.NOTHING_SAID)] * (len(part) - len(results))
                for update, result in zip(part, [*results, *missing], strict=False):
                    if isinstance(result, Rejected):
                        refused[update.code] = f"{result.code} {result.message}".strip()
                    elif isinstance(result, Unknown):
                        why = result.why or failures.NOTHING_SAID
                        unsure[update.code] = failures.DOUBTFUL.format(why=why)
        except ChannelError as error:
            raise NotHanded(error.why, after=error.after if isinstance(error, Retryable) else None) from None
        except MalhaError as error:
            raise NotHanded(str(error)) from None
        return Handed(refused, unsure)

    async def _hand(self, line: Line, part: Sequence[StockUpdate]) -> Sequence[Result]:
        sink = line.connector
        if not isinstance(sink, StockSink):
            raise NotHanded(NO_ONE, after=60.0)
        return await line.call(lambda: sink.set_stock(line.repeatable, part))


async def prepare(tx: Tx, senders: Sequence[ConnectionSender]) -> None:
    """Read the connections of these senders together and take what their first requests cost, last in a transaction."""
    found: dict[int, list[Linked]] = {}
    for connection in await reads.linked_of_channels(tx, [sender.channel_id for sender in senders]):
        found.setdefault(connection.channel_id, []).append(connection)
    lines = [line for sender in senders for line in sender.over(found.get(sender.channel_id, []))]
    await wire.ahead(tx, [line.wire for line in lines])
