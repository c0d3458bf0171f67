"""What is done and old goes: bodies of orders hold personal data and are not kept for longer than they are of use."""

from malha.channels.connecting import at_once_writes, making_writes, sample_writes, stock_writes, writes
from malha.channels.partners import writes as partner_writes
from malha.platform.db import Tx

AT_ONCE = 10_000


async def forget_old(tx: Tx) -> int:
    """Forget what came in or went out and was done with 30 days ago, old samples, old acceptances; return how much."""
    came = await tx.execute(writes.FORGET_CAME, {"most": AT_ONCE})
    came += await tx.execute(stock_writes.FORGET_LOOKS, {"most": AT_ONCE})
    came += await tx.execute(sample_writes.FORGET_SAMPLES, {"most": AT_ONCE})
    came += await tx.execute(making_writes.FORGET_BATCHES, {"most": AT_ONCE})
    came += await tx.execute(at_once_writes.FORGET, {"most": AT_ONCE})
    came += await tx.execute(partner_writes.FORGET_FILES, {"most": AT_ONCE})
    return came + await tx.execute(writes.FORGET_OPS, {"most": AT_ONCE})
