"""Saying that more or less may be claimed of balances, or more of supply: to orders that wait, and to channels."""

from collections.abc import Sequence

from malha.inventory.ahead.events import SupplyOffered
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


async def offered(tx: Tx, keys: Keys) -> None:
    """Say that more may be promised of what is expected."""
    parts = _parts(keys)
    await outbox.add_all(tx, [SupplyOffered(id=new_id(), seq=1, skus=s, locations=x) for s, x in parts])


async def _announce(tx: Tx, kind: type[StockIncreased] | type[StockDecreased], keys: Keys, reason: str) -> None:
    await outbox.add_all(tx, [kind(id=new_id(), seq=1, reason=reason, skus=s, locations=x) for s, x in _parts(keys)])


def _parts(keys: Keys) -> list[tuple[list[int], list[int]]]:
    """Return SKUs and locations of each event."""
    parts = [keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)]
    return [([sku for sku, _ in part], [place for _, place in part]) for part in parts]
