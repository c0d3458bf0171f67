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
    """Take a transfer to its end from wherever it is: in two shipments, each received on its own.

    A receipt's id is that of its shipment, so that it is received once.
    """
    while True:
        async with db.transaction() as tx:
            found = await reads.transfer(tx, number)
            assert found is not None
            coming = [one for one in await reads.shipments(tx, found.id) if one.coming]
            if found.state == "requested":
                await service.approve(tx, number)
            elif coming:
                arrived = [Arrived(line.sku_id, line.shipped) for line in coming[0].lines]
                id_ = UUID(int=number * 100 + coming[0].number)
                await service.receive(tx, number, Arrival(id=id_, lines=arrived, shipment=coming[0].number))
            elif found.state == "approved":
                await service.ship(tx, number, Departure(quantities={2: 0, 3: 0}, more_follows=True))
            elif found.state == "partly_shipped":
                await service.ship(tx, number, Departure(more_follows=True))
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
