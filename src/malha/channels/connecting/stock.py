"""Stock over a connection: what `channels.pushing` coalesces and times, a connector hands over.

Quantities are absolute and carry a version, so what nobody knows the fate of is simply said again.
"""

from collections.abc import Sequence

from malha.channels.connecting import reads, registry
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
from malha.platform.errors import MalhaError

NO_ONE = "no active connection of this channel takes stock"


class ConnectionSender:
    """The `contract.StockSender` of a channel that is connected: all its active connections that take stock."""

    def __init__(self, runtime: Runtime, channel_id: int) -> None:
        self._runtime = runtime
        self._channel_id = channel_id

    async def send(self, updates: Sequence[StockUpdate]) -> Handed:
        """Hand updates over; see `contract.StockSender`."""
        async with self._runtime.db.transaction() as tx:
            linked = await reads.linked_of_channel(tx, self._channel_id)
        able = registry.connectors()
        takes = [c for c in linked if c.connector in able and Capability.STOCK in able[c.connector].capabilities]
        if not takes:
            raise NotHanded(NO_ONE, after=60.0)
        refused: dict[str, str] = {}
        for connection in takes:
            refused |= await self._over(connection, updates)
        return Handed(refused)

    async def _over(self, connection: Linked, updates: Sequence[StockUpdate]) -> dict[str, str]:
        refused: dict[str, str] = {}
        try:
            line = self._runtime.line(connection)
            size = line.limits.batch
            for start in range(0, len(updates), size):
                part = updates[start : start + size]
                results = await self._hand(line, part)
                missing = [Unknown("the channel said nothing of it")] * (len(part) - len(results))
                for update, result in zip(part, [*results, *missing], strict=False):
                    if isinstance(result, Rejected):
                        refused[update.code] = f"{result.code} {result.message}".strip()
                    elif isinstance(result, Unknown):
                        raise NotHanded(f"{update.code}: {result}", after=5.0)
        except ChannelError as error:
            raise NotHanded(error.why, after=error.after if isinstance(error, Retryable) else None) from None
        except MalhaError as error:
            raise NotHanded(str(error)) from None
        return refused

    async def _hand(self, line: Line, part: Sequence[StockUpdate]) -> Sequence[Result]:
        sink = line.connector
        if not isinstance(sink, StockSink):
            raise NotHanded(NO_ONE, after=60.0)
        return await line.call(lambda: sink.set_stock(line.ctx, part))
