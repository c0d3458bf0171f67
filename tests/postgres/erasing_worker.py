"""A process that is killed in the middle: it erases a person, page by page.

python erasing_worker.py URL CUSTOMER
"""

import asyncio
import sys

from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.privacy import searching


async def main(url: str, customer_id: str) -> None:
    searching.PAGES = 1
    async with Database(url, max_size=2) as db:
        print("ready", flush=True)
        while await searching.step(db, UUID(customer_id)):
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
