"""A solver's process: started, watched and, past its time, killed. Whoever asks waits; no order does."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from malha.platform.db import Database


class Answer(NamedTuple):
    """What came of a process. `why` is None where it ended well; `stopped`: the worker was told to stop meanwhile.

    `output` is what it had said until then; `late`: its time was over.
    """

    output: bytes
    why: str | None
    stopped: bool = False
    late: bool = False


async def ask(
    module: str, db: Database, stop: asyncio.Event | None, *, patience_s: float, arguments: Sequence[str] = ()
) -> Answer:
    """Run a module on a retailer's database, and kill it when `stop` is set or its time is over."""
    environ = {**os.environ, "DATABASE_URL": db.url, "MALHA_RETAILER": db.retailer, "OPENBLAS_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer = asyncio.create_task(process.communicate())
    told = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({answer, told}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        in_time = answer.done()
        if not in_time:
            process.kill()
        output, said = await answer
    if in_time and process.returncode == 0:
        return Answer(output, None)
    why = said.decode(errors="replace")[-2000:] if in_time else f"it took more than {patience_s:.0f} s"
    stopped = stop is not None and stop.is_set()
    return Answer(output, why or f"it ended with {process.returncode}", stopped, late=not in_time)
