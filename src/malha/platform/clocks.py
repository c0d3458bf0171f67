"""This machine's clock beside the database's: what one stamps and the other compares has to be of one time."""

from malha.platform.clock import now
from malha.platform.db import Tx

APART_S = 5.0  # by which they may differ before somebody is told


async def ahead_s(tx: Tx) -> float:
    """Return by how many seconds this machine's clock is ahead of the database's, half a round trip more or less."""
    asked = now()
    theirs = await tx.value("SELECT clock_timestamp()")
    took = now() - asked
    return float((asked + took / 2 - theirs).total_seconds())
