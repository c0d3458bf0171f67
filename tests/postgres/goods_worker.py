"""A process that is killed in the middle: it carries transfers, or applies a count, until nothing is left to do.

python goods_worker.py URL transfer NUMBER
python goods_worker.py URL count NUMBER
"""

import asyncio
import sys

from malha.inventory.counts import service as counts
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.model import Arrival, Arrived, Departure
from malha.platform.db import Database
from malha.platform.ids import UUID


async def carry(db: Database, number: int) -> None:
    """Take a transfer to its end from wherever it is; the receipt's id is its own, so that it is received once."""
    while True:
        async with db.transaction() as tx:
            found = await reads.transfer(tx, number)
            assert found is not None
            lines = await reads.transfer_lines(tx, found.id)
            if found.state == "requested":
                await service.approve(tx, number)
            elif found.state == "approved":
                await service.ship(tx, number, Departure())
            elif found.state == "shipped":
                arrived = [Arrived(line.sku_id, line.shipped) for line in lines]
                await service.receive(tx, number, Arrival(id=UUID(int=number), lines=arrived))
            else:
                return


async def apply(db: Database, number: int) -> None:
    """Apply a closed count, a line to a transaction."""
    while True:
        async with db.transaction() as tx:
            if not (await counts.apply_some(tx, number, limit=1)).left:
                return


async def main(url: str, what: str, number: str) -> None:
    """Do it."""
    async with Database(url) as db:
        print("ready", flush=True)
        await (carry if what == "transfer" else apply)(db, int(number))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
