"""Saying that more or less may be claimed of balances: to orders that wait for stock, and to channels that sell it."""

from collections.abc import Sequence

from malha.inventory.events import StockDecreased, StockIncreased
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.ids import new_id

AT_ONCE = 1000  # balances of one event

Keys = Sequence[tuple[int, int]]  # (sku_id, location_id)


async def increased(tx: Tx, keys: Keys, reason: str) -> None:
    """Say that more may be claimed."""
    await _announce(tx, StockIncreased, keys, reason)


async def decreased(tx: Tx, keys: Keys, reason: str) -> None:
    """Say that less may be claimed, or published."""
    await _announce(tx, StockDecreased, keys, reason)


async def _announce(tx: Tx, kind: type[StockIncreased] | type[StockDecreased], keys: Keys, reason: str) -> None:
    parts = [keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)]
    await outbox.add_all(
        tx,
        [
            kind(id=new_id(), seq=1, reason=reason, skus=[s for s, _ in part], locations=[x for _, x in part])
            for part in parts
        ],
    )
