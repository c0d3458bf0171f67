"""A process that is killed in the middle: it tells channels what is queued, or of their stock.

python connection_worker.py URL DATA_DIR ALLOWED [stock]
"""

import asyncio
import sys
from pathlib import Path

from malha.channels import pushing, sending
from malha.channels.connecting import operating
from malha.channels.connecting.runtime import Runtime
from malha.platform.db import Database
from malha.platform.settings import Settings


async def main(url: str, data_dir: str, allowed: str, what: str = "queued") -> None:
    settings = Settings(database_url=url, data_dir=Path(data_dir), outward_allow=(allowed,))
    async with Database(url) as db, Runtime(db, settings, keep=True) as runtime:
        if what == "stock":
            await pushing.run_pushes(db, sending.senders(runtime), asyncio.Event())
        else:
            await operating.run(runtime, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
