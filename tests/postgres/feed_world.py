"""A channel with listings for feeds, and a feed's file read back."""

import csv
import gzip
import io

import msgspec

from malha.channels.feeds import building, reads, service
from malha.channels.feeds.model import BuildKind, FeedDraft, Format, Plan
from malha.channels.feeds.profiles import PROFILES
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.platform.signing import Keys
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product

KEYS = Keys(b"k" * 32, None)
DRESS = """
UPDATE product SET name = 'Camiseta ' || code, description = 'Algodão macio', brand = 'Loja' WHERE id = ANY (%(ids)s::int[])
"""
PICTURE = """
INSERT INTO media (product_id, url) SELECT product_id, 'https://img.example/' || sku || '.jpg' FROM variant
WHERE id = ANY (%(ids)s::int[])
"""
LIST = """
INSERT INTO listing (channel_id, sku_id, code) SELECT %(channel)s::int, id, 'c-' || sku FROM variant
WHERE id = ANY (%(ids)s::int[])
"""


async def a_shop(db, skus=("A", "B", "C")):
    """SKUs with all that targets want, each with five at the centre and two in the first store, listed on `web`."""
    async with db.transaction() as tx:
        world = await a_network(tx)
        ids = {sku: await a_product(tx, world, sku, stock={"DC": 5, "S1": 2}) for sku in skus}
        await tx.execute(DRESS, {"ids": list(ids.values())})
        await tx.execute("UPDATE variant SET name = 'Camiseta ' || sku")
        await tx.execute(PICTURE, {"ids": list(ids.values())})
        await tx.execute(LIST, {"channel": world.channels["web"], "ids": list(ids.values())})
    return world, ids


def a_plan(of="google_products", **changes) -> Plan:
    target = PROFILES[of]
    plan = Plan(profile=of, format=target.formats[0], mapping=list(target.defaults))
    mapping = [
        msgspec.structs.replace(m, value=m.value.replace("{website}", "https://loja.example")) for m in plan.mapping
    ]
    return msgspec.structs.replace(plan, mapping=mapping, **changes)


def a_draft(of="google_products", channel="web", plan=None, **changes) -> FeedDraft:
    terms = {"name": "Google", "channel": channel, "plan": plan or a_plan(of)}
    return FeedDraft(**terms | changes)


async def a_feed(db, code="google", draft=None, **terms) -> int:
    async with db.transaction() as tx:
        return await service.put_feed(tx, code, draft or a_draft(**terms), 0, KEYS)


async def built(db, code="google", kind=BuildKind.FULL):
    """Build to the end, as the worker's job does; return the build."""
    async with db.transaction() as tx:
        begun = await service.start_build(tx, code, kind)
    await building.build.work(db, build_id=str(begun.id))
    async with db.transaction() as tx:
        return await reads.build(tx, begun.id)


async def contents(db, build) -> bytes:
    return gzip.decompress(b"".join([part async for part in reads.packed_parts(db, build.id)]))


async def rows_in(db, build) -> dict[str, dict[str, str]]:
    """The rows of a table by what identifies them."""
    text = (await contents(db, build)).decode()
    tabs = build.plan.format is Format.TSV
    lines = [line.split("\t") for line in text.split("\n")[:-1]] if tabs else list(csv.reader(io.StringIO(text)))
    named = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    return {row.get("store_code", "") + ":" * ("store_code" in row) + row["id"]: row for row in named}


async def hear(db):
    """Have the subscribers note what changed, as the worker does."""
    await drain(db, SUBSCRIPTIONS)
