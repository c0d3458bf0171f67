"""Does the database store what it is given? It may well answer while its disk is full, or while it takes no changes."""

from malha.platform.db import Tx, refusal_of
from malha.platform.errors import DatabaseFull

IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"
# Rows of a function beyond `work_mem` go to a temporary file: half a megabyte beside the data, gone at once. That needs
# room as tables do, and leaves no dead row behind, however often it is asked.
KEEP_LITTLE_IN_MEMORY = """
SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', '', true)
"""
WRITE_A_LITTLE = "SELECT count(*) FROM generate_series(1, 20000)"


async def storing(tx: Tx) -> str:
    """Return `ok`, `disk_full` or `read_only`. It settles the transaction's memory: give it one of its own."""
    if await tx.value(IS_READ_ONLY):
        return "read_only"
    try:
        async with tx.savepoint():
            await tx.execute(KEEP_LITTLE_IN_MEMORY)
            await tx.value(WRITE_A_LITTLE)
    except Exception as error:
        if isinstance(refusal_of(error), DatabaseFull):
            return "disk_full"
        raise
    return "ok"
