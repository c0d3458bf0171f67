"""A worker that sends webhooks until it is killed: `webhook_worker.py URL`."""

import asyncio
import sys

from malha.platform.db import Database
from malha.platform.outward import Outward
from malha.platform.signing import Keys
from malha.webhooks import sending


async def main() -> None:
    out = sending.Sending(Outward(("127.0.0.1/32",), timeout_s=5.0), lambda: Keys(b"k" * 32, None))
    async with Database(sys.argv[1], min_size=1, max_size=4) as database:
        await sending.run_sending(database, out, asyncio.Event())


asyncio.run(main())
