"""A mapping of listing fields is tried on what is published before it counts, and taken back when it was wrong."""

from collections.abc import Sequence

import pytest
from linked_world import CODE, Linked, linked

from malha.catalog import service as catalog
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.channels.connecting.service import connection_of
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.listings import mapping, reads, service
from malha.channels.listings.errors import ListingChanged, NothingToTakeBack, UnknownListing
from malha.channels.listings.mapping import Change, Foresight
from malha.platform.flaws import Invalid

FABRIC = Mapped(target="title", origin=Origin.ATTRIBUTE, value="Tecido")  # a title is required
BRANDED = Mapped(target="title", origin=Origin.TEMPLATE, value="{name} {brand}")


@pytest.fixture
async def shop(database, tmp_path):
    """Three shirts, one without a fabric, two published, nothing of them is wrong."""
    async with linked(database, tmp_path) as made:
        drafts = [
            ProductDraft(
                code=code,
                name=f"Camiseta {code}",
                brand="Alfa",
                attributes={"Tecido": "algodão"} if code != "B" else {},
                media=[MediaDraft(url=f"https://img.example/{code}.jpg")],
                variants=[VariantDraft(sku=code, price=4_990)],
            )
            for code in ("A", "B", "C")
        ]
        async with made.database.transaction() as tx:
            await catalog.put_products(tx, drafts)
            await service.publish(tx, CODE, ["A", "B"])
        await made.tell()
        yield made


async def foresee(shop: Linked, said: Sequence[Mapped] | None, sku: str | None = None) -> Foresight:
    async with shop.database.transaction() as tx:
        return await mapping.foresee(tx, CODE, said, sku)


async def put(shop: Linked, said: Sequence[Mapped] | None, version: int) -> int:
    async with shop.database.transaction() as tx:
        return await service.put_mapping(tx, CODE, said, version)


async def now(shop: Linked) -> tuple[list[Mapped] | None, Change | None]:
    async with shop.database.transaction() as tx:
        connection = await connection_of(tx, CODE)
        said = (await reads.plan(tx, connection.id))[0]
        return said, await mapping.last_change(tx, connection, said)


async def test_what_would_change_is_what_is_told_once_it_is_saved(shop: Linked):
    before = shop.peer.listings["A"]["fields"]["title"]
    seen = await foresee(shop, [BRANDED])
    assert (seen.told, seen.kept_back, seen.looked, seen.more) == (2, 0, 2, False)
    titles = {
        each.goods.sku: [next(f.value for f in side.fields if f.field == "title") for side in (each.now, each.then)]
        for each in seen.shown
    }
    assert titles["A"] == [before, "Camiseta A Alfa"]
    await put(shop, [BRANDED], 0)
    assert await service.offer(shop.database) == seen.told
    await shop.tell()
    assert shop.peer.listings["A"]["fields"]["title"] == "Camiseta A Alfa"
    assert (await foresee(shop, [BRANDED])).told == 0
    back = await foresee(shop, None)
    assert back.told == 2, "taking it back changes them again"


async def test_trying_keeps_nothing(shop: Linked):
    await foresee(shop, [BRANDED])
    assert await now(shop) == (None, None)
    assert await service.offer(shop.database) == 0


async def test_what_the_channel_would_refuse_is_counted_by_its_reason_and_kept_back_once_saved(shop: Linked):
    seen = await foresee(shop, [FABRIC])
    assert (seen.told, seen.kept_back) == (1, 1)
    assert [(w.field, w.rule, w.count, w.sku) for w in seen.why] == [("title", "missing", 1, "B")]
    assert seen.shown[0].goods.sku == "B", "what is kept back is shown first"
    await put(shop, [FABRIC], 0)
    assert await service.offer(shop.database) == 1
    await shop.tell()
    assert shop.peer.listings["B"]["fields"]["title"] == "Camiseta B", "the channel keeps what it has"
    freed = await foresee(shop, None)
    assert (freed.told, freed.freed, freed.kept_back) == (1, 1, 0), "the channel has B already as it would be told"


async def test_one_sku_is_shown_whether_it_is_published_or_not(shop: Linked):
    seen = await foresee(shop, [BRANDED], "C")
    assert [(each.goods.sku, each.then.errors) for each in seen.shown] == [("C", [])]
    with pytest.raises(UnknownListing):
        await foresee(shop, [BRANDED], "nowhere")


async def test_a_mapping_that_makes_no_sense_is_refused_before_anything_is_shown(shop: Linked):
    with pytest.raises(Invalid):
        await foresee(shop, [Mapped(target="title", value="no field of ours")])


async def test_the_last_change_is_taken_back_and_that_too(shop: Linked):
    with pytest.raises(NothingToTakeBack):
        async with shop.database.transaction() as tx:
            await mapping.take_back(tx, CODE, 0)
    await put(shop, [BRANDED], 0)
    await put(shop, [FABRIC, Mapped(target="brand", value="ncm")], 1)
    said, change = await now(shop)
    assert said is not None
    assert change is not None
    assert (len(said), change.before) == (2, [BRANDED])
    async with shop.database.transaction() as tx:
        with pytest.raises(ListingChanged):
            await mapping.take_back(tx, CODE, 1)
    async with shop.database.transaction() as tx:
        assert await mapping.take_back(tx, CODE, 2) == 3
    assert (await now(shop))[0] == [BRANDED]
    async with shop.database.transaction() as tx:
        await mapping.take_back(tx, CODE, 3)
    assert (await now(shop))[0] == said


async def test_saved_as_it_was_the_change_before_can_still_be_taken_back(shop: Linked):
    await put(shop, [BRANDED], 0)
    await put(shop, [BRANDED], 1)
    _said, change = await now(shop)
    assert change is not None
    assert change.before is None
