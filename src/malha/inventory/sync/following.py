"""What follows from a change that sources caused: deficits, fences, and the news of it."""

from collections.abc import Sequence

from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason
from malha.platform.db import Tx


async def follow(
    tx: Tx,
    more: Sequence[Sequence[int]],
    changed: Sequence[Sequence[int]],
    fewer: Sequence[Sequence[int]],
    unfenced: Sequence[Sequence[int]],
) -> None:
    """Go on after statements that answer with the balances they moved, as arrays of numbers."""
    await inventory.follow_physical(
        tx,
        Reason.SET,
        changed=[(sku, place, on_hand, allocated) for sku, place, on_hand, allocated in changed],
        more=[Claim(sku, place, 1) for sku, place in more],
        fewer=[Claim(sku, place, 1) for sku, place in fewer],
        short_of_fenced=[(sku, place) for sku, place in unfenced],
    )
