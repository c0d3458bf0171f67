"""What a channel gets of a listing reaches it whole, once for each change, and shows what became of it."""

import asyncio
from typing import Any

import pytest
from linked_world import CODE, Linked, linked

from malha.catalog import service as catalog
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.channels import service as channels
from malha.channels.connecting import operating
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.listings import reads, service
from malha.channels.listings.errors import ListingChanged
from malha.channels.listings.model import ListingError, Source, Status, Teller
from malha.channels.listings.service import Listing, Published
from malha.channels.model import ListingDraft
from malha.platform.flaws import Invalid

OPS = "SELECT state FROM channel_op WHERE kind = 'put_listing' ORDER BY number"


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


def shirt(sku: str = "A", name: str = "Camiseta", **more: Any) -> ProductDraft:
    variant = {"name": name, "price": 5_990, "options": {"Tamanho": "M"}, "active": more.pop("sold", True)}
    draft = {
        "brand": "Alfa",
        "description": "Algodão.\nLava à máquina.",
        "options": ["Tamanho"],
        "attributes": {"Composição": "100% algodão"},
        "media": [MediaDraft(url=f"https://img.example/{sku}.jpg")],
    }
    return ProductDraft(code=sku, name=name, variants=[VariantDraft(sku=sku, **variant)], **{**draft, **more})


async def state(shop: Linked, *drafts: ProductDraft) -> None:
    async with shop.database.transaction() as tx:
        await catalog.put_products(tx, list(drafts))


async def publish(shop: Linked, *skus: str) -> Published:
    async with shop.database.transaction() as tx:
        return await service.publish(tx, CODE, skus)


async def end(shop: Linked, *skus: str) -> Published:
    async with shop.database.transaction() as tx:
        return await service.end(tx, CODE, skus)


async def say(shop: Linked, sku: str = "A", version: int | None = None, **said: Any) -> int:
    async with shop.database.transaction() as tx:
        if version is None:
            version = (await service.listing_of(tx, CODE, sku))[1].version
        return await service.say(tx, CODE, sku, said, version)


async def listing(shop: Linked, sku: str = "A") -> Listing:
    async with shop.database.transaction() as tx:
        return (await service.listing_of(tx, CODE, sku))[1]


async def status(shop: Linked, sku: str = "A") -> Status:
    return (await listing(shop, sku)).goods.status


async def follow(shop: Linked) -> int:
    """Have the catalogue looked at and everything told; return how many listings were queued."""
    queued = await service.offer(shop.database)
    await shop.tell()
    return queued


async def test_what_is_published_is_told_whole_and_is_live_when_the_channel_has_it(shop: Linked):
    await state(shop, shirt())
    assert await status(shop) is Status.DRAFT
    assert (await publish(shop, "A", "nowhere")).unknown == ["nowhere"]
    assert await status(shop) is Status.SUBMITTED
    await shop.tell()
    told = shop.peer.listings["A"]
    assert told["fields"] == {
        "title": "Camiseta",
        "description": "Algodão.\nLava à máquina.",
        "brand": "Alfa",
        "images": ["https://img.example/A.jpg"],
    }
    assert told["attributes"] == {"Composição": "100% algodão"}
    assert (told["options"], told["price"], told["product"], told["active"]) == ({"Tamanho": "M"}, 5_990, "A", True)
    now = await listing(shop)
    assert (now.goods.status, now.goods.reference, now.goods.errors) == (Status.LIVE, "listing-A", [])
    assert now.goods.sent_at is not None


async def test_the_same_content_is_not_told_again_and_a_change_of_the_product_is_told_once(shop: Linked):
    await state(shop, shirt(), shirt("B"))
    await publish(shop, "A", "B")
    await shop.tell()
    assert (await publish(shop, "A", "B")).unchanged == 2
    assert await follow(shop) == 0
    await state(shop, shirt(name="Camiseta lisa"))
    assert await follow(shop) == 1
    assert [shop.peer.listings[c]["fields"]["title"] for c in "AB"] == ["Camiseta lisa", "Camiseta"]
    assert await follow(shop) == 0, "once for each state of the catalogue"
    async with shop.database.transaction() as tx:
        await catalog.set_prices(tx, {"A": 4_990})
    assert await follow(shop) == 0, "prices go their own way"
    assert await shop.values(OPS) == ["done", "done", "done"]


async def test_many_changes_on_their_way_are_one_statement_of_the_newest(shop: Linked):
    await state(shop, shirt())
    await publish(shop, "A")
    for n in range(5):
        await say(shop, title=f"Camiseta {n}")
    assert await shop.values(OPS) == ["superseded"] * 5 + ["waiting"]
    await state(shop, shirt(description="Nova"))
    await shop.tell()
    asked = [body for _, path, body in shop.peer.asked if path == "/listings"]
    assert len(asked) == 1
    assert asked[0]["items"][0]["fields"]["description"] == "Nova", "worked out when it is sent, not when it was queued"
    assert await follow(shop) == 0, "what was sent is what is known to be there"


@pytest.mark.parametrize(
    "how", ["cut", "status 429", "status 500", "status 503", "commit_then_cut", "commit_then_silence", "truncated"]
)
async def test_whatever_breaks_on_the_way_the_channel_ends_with_the_listing(shop: Linked, how: str):
    await state(shop, shirt())
    shop.peer.fail("POST /listings", how)
    await publish(shop, "A")
    await shop.tell()
    assert list(shop.peer.listings) == ["A"]
    assert await status(shop) is Status.LIVE
    assert await shop.values(OPS) == ["done"]


async def test_a_worker_killed_while_sending_leaves_nothing_behind_that_another_does_not_tell(shop: Linked):
    await state(shop, shirt())
    shop.peer.fail("POST /listings", "commit_then_silence")
    await publish(shop, "A")
    running = asyncio.create_task(operating.work(shop.runtime))
    while not shop.peer.listings:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await status(shop) is Status.SUBMITTED
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE channel_op SET taken_until = now() - interval '1 second'")
    await shop.tell()
    assert await status(shop) is Status.LIVE


async def test_what_the_channel_refuses_shows_with_each_field_and_goes_when_it_is_mended(shop: Linked):
    await state(shop, shirt(brand=None, media=[]), shirt("B"))
    shop.peer.wants = {"A": ["brand", "images"]}
    await publish(shop, "A", "B")
    await shop.tell()
    refused = await listing(shop)
    assert refused.goods.status is Status.REJECTED
    assert refused.goods.errors == [
        ListingError("empty", "brand", "brand must not be empty"),
        ListingError("empty", "images", "images must not be empty"),
    ]
    assert await status(shop, "B") is Status.LIVE, "one that is refused holds up no others"
    assert await follow(shop) == 0, "the same is not offered again and again"
    assert (await publish(shop, "A")).queued == 1, "but a person may offer it again"
    await shop.tell()
    await say(shop, brand="Beta", images=["https://img.example/b.jpg"])
    states = sorted(await shop.values(OPS))
    assert states == ["done", "superseded", "superseded", "waiting"], "what is dead is needless now"
    await shop.tell()
    now = await listing(shop)
    assert (now.goods.status, now.goods.errors) == (Status.LIVE, [])
    assert shop.peer.listings["A"]["fields"]["brand"] == "Beta"


async def test_what_is_not_ready_is_not_sent_and_goes_by_itself_once_it_is(shop: Linked):
    await state(shop, shirt())
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = NULL WHERE sku = 'A'")
    done = await publish(shop, "A")
    assert (done.queued, done.refused) == (0, {"A": [ListingError("missing", "price", teller=Teller.CHECK)]})
    assert (await status(shop), shop.peer.listings) == (Status.DRAFT, {})
    await state(shop, shirt())
    assert await follow(shop) == 1
    assert await status(shop) is Status.LIVE


async def test_what_becomes_unready_on_the_way_is_not_sent(shop: Linked):
    await state(shop, shirt())
    await publish(shop, "A")
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = NULL WHERE sku = 'A'")
    await shop.tell()
    assert shop.peer.listings == {}
    now = await listing(shop)
    assert [e.field for e in now.goods.errors] == ["price"]
    assert await shop.values(OPS) == ["done"]


async def test_an_override_stands_until_it_is_taken_back(shop: Linked):
    await state(shop, shirt())
    await publish(shop, "A")
    await shop.tell()
    version = await say(shop, title="Só na loja", Composição="Algodão pima", Selo="Orgânico")
    await shop.tell()
    told = shop.peer.listings["A"]
    assert told["fields"]["title"] == told["name"] == "Só na loja"
    assert told["attributes"] == {"Composição": "Algodão pima", "Selo": "Orgânico"}
    await state(shop, shirt(name="Outra"))
    assert await follow(shop) == 0, "what is said here hides what the product says"
    fields = {f.field: f for f in (await listing(shop)).content.fields}
    assert (fields["title"].source, fields["title"].usual) == (Source.OVERRIDE, "Outra")
    await say(shop, version=version, title=None, Selo=None)
    await shop.tell()
    assert shop.peer.listings["A"]["fields"]["title"] == "Outra"
    assert shop.peer.listings["A"]["attributes"] == {"Composição": "Algodão pima"}


async def test_two_people_do_not_undo_each_other_unseen(shop: Linked):
    await state(shop, shirt())
    version = (await listing(shop)).version
    await say(shop, version=version, title="Eins")
    with pytest.raises(ListingChanged):
        await say(shop, version=version, brand="Zwei")
    with pytest.raises(ListingChanged):
        await say(shop, version=version, Composição="Zwei")
    assert {**(await listing(shop)).goods.said} == {"title": "Eins"}


async def test_of_two_at_once_with_one_version_one_is_told_so(shop: Linked):
    await state(shop, shirt())
    version = (await listing(shop)).version
    done = await asyncio.gather(*(say(shop, version=version, title=f"T{n}") for n in range(8)), return_exceptions=True)
    assert sum(isinstance(each, ListingChanged) for each in done) == 7
    assert sum(isinstance(each, int) for each in done) == 1


async def test_what_the_channel_does_not_have_is_refused_with_what_it_has(shop: Linked):
    await state(shop, shirt())
    with pytest.raises(Invalid):
        await say(shop, images="https://img.example/not-a-list.jpg")
    with pytest.raises(Invalid):
        await say(shop, title=["two", "titles"])
    async with shop.database.transaction() as tx:
        with pytest.raises(Invalid):
            await service.say_many(tx, CODE, [("nowhere", "title", "x")])


async def test_what_is_said_of_a_product_is_said_of_all_its_variants(shop: Linked):
    two = ProductDraft(
        code="P",
        name="Meia",
        options=["Cor"],
        variants=[VariantDraft(sku=f"P-{c}", price=990, options={"Cor": c}) for c in ("azul", "preta")],
    )
    await state(shop, two)
    await publish(shop, "P-azul", "P-preta")
    await shop.tell()
    await say(shop, "P-azul", Tecido="lã", title="Meia azul, quentinha")
    await shop.tell()
    assert [shop.peer.listings[f"P-{c}"]["attributes"] for c in ("azul", "preta")] == [{"Tecido": "lã"}] * 2
    titles = [shop.peer.listings[f"P-{c}"]["fields"]["title"] for c in ("azul", "preta")]
    assert titles[0] == "Meia azul, quentinha"
    assert titles[1] != titles[0], "a title is a variant's own"


async def test_ended_by_a_person_it_is_ended_there_and_stays_so_until_it_is_published_again(shop: Linked):
    await state(shop, shirt())
    await publish(shop, "A")
    await shop.tell()
    assert (await end(shop, "A")).queued == 1
    await shop.tell()
    assert (shop.peer.listings["A"]["active"], await status(shop)) == (False, Status.ENDED)
    assert (await end(shop, "A")).queued == 0
    await state(shop, shirt(name="Outra"))
    await follow(shop)
    assert not shop.peer.listings["A"]["active"]
    assert (await publish(shop, "A")).queued == 1
    await shop.tell()
    assert (shop.peer.listings["A"]["active"], await status(shop)) == (True, Status.LIVE)


async def test_what_never_went_out_is_ended_without_a_word(shop: Linked):
    await state(shop, shirt())
    assert (await end(shop, "A")).queued == 0
    assert (await status(shop), shop.peer.asked) == (Status.DRAFT, [])


@pytest.mark.parametrize("how", ["the variant", "the product", "the listing"])
async def test_withdrawn_here_it_is_ended_there_and_comes_back_with_it(shop: Linked, how: str):
    await state(shop, shirt())
    await publish(shop, "A")
    await shop.tell()

    async def sold(active: bool) -> None:
        if how == "the listing":
            async with shop.database.transaction() as tx:
                await channels.put_listings(tx, "web", [ListingDraft("A", active=active)])
        else:
            await state(shop, shirt(sold=active) if how == "the variant" else shirt(active=active))

    await sold(False)
    await follow(shop)
    assert (shop.peer.listings["A"]["active"], await status(shop)) == (False, Status.ENDED)
    await sold(True)
    await follow(shop)
    assert (shop.peer.listings["A"]["active"], await status(shop)) == (True, Status.LIVE)


async def test_fields_are_mapped_to_the_channels_words_and_all_is_told_anew(shop: Linked):
    await state(shop, shirt())
    await publish(shop, "A")
    await shop.tell()
    mapping = [
        Mapped(target="title", origin=Origin.TEMPLATE, value="{name} {attribute.Composição}"),
        Mapped(target="material", origin=Origin.ATTRIBUTE, value="Composição", table={"100% algodão": "cotton"}),
    ]
    async with shop.database.transaction() as tx:
        assert await service.put_mapping(tx, CODE, mapping, 0) == 1
        with pytest.raises(ListingChanged):
            await service.put_mapping(tx, CODE, None, 0)
        with pytest.raises(Invalid):
            await service.put_mapping(tx, CODE, [Mapped(target="title", value="no field of ours")], 1)
    assert await follow(shop) == 1
    told = shop.peer.listings["A"]
    assert (told["fields"]["title"], told["attributes"]["material"]) == ("Camiseta 100% algodão", "cotton")
    fields = {f.field: f for f in (await listing(shop)).content.fields}
    assert (fields["title"].source, fields["material"].source, fields["brand"].source) == (
        Source.MAPPING, Source.MAPPING, Source.PRODUCT,
    )  # fmt: skip
    assert (fields["category"].source, fields["gtin"].source) == (Source.MISSING, Source.MISSING)


async def test_listings_are_found_by_status_errors_and_name(shop: Linked):
    await state(shop, shirt(), shirt("B", "Boné"), shirt("C", "Cinto"))
    shop.peer.refuses["B"] = "not here"
    await publish(shop, "A", "B", "C")
    await shop.tell()
    await end(shop, "C")
    await shop.tell()
    async with shop.database.transaction() as tx:
        place = service.place_of((await service.listing_of(tx, CODE, "A"))[0])
        by_status = {s: [r.sku for r in await reads.listed(tx, place, status=s)] for s in Status}
        wrong = [r.sku for r in await reads.listed(tx, place, wrong=True)]
        sought = [r.sku for r in await reads.listed(tx, place, sought="bone")]
        pages = (
            [r.sku for r in await reads.listed(tx, place, most=2)],
            [r.sku for r in await reads.listed(tx, place, after="B")],
        )
        counts, errors = await reads.counts(tx, place)
    assert by_status == {
        Status.DRAFT: [], Status.SUBMITTED: [], Status.LIVE: ["A"], Status.REJECTED: ["B"], Status.ENDED: ["C"],
    }  # fmt: skip
    assert (wrong, sought, pages) == (["B"], ["B"], (["A", "B"], ["C"]))
    assert (counts, errors) == ({Status.LIVE: 1, Status.REJECTED: 1, Status.ENDED: 1}, 1)


async def test_many_go_in_calls_of_what_the_channel_takes_at_once(shop: Linked):
    drafts = [shirt(f"M{n:04}") for n in range(450)]
    await state(shop, *drafts)
    done = await publish(shop, *(d.code for d in drafts))
    assert done.queued == 450
    await shop.tell(30)
    assert len(shop.peer.listings) == 450
    asked = [len(body["items"]) for _, path, body in shop.peer.asked if path == "/listings"]
    assert (max(asked), shop.peer.most_under_way) == (operating.LISTINGS_AT_ONCE, 1), "one call at a time"


async def test_what_is_there_for_the_first_time_is_told_its_stock_again(shop: Linked):
    """A channel refuses the stock of what it does not have: what it has since then has none."""
    await state(shop, shirt())
    await publish(shop, "A")
    told = "SELECT sent_quantity FROM listing l JOIN variant v ON v.id = l.sku_id WHERE v.sku = 'A'"
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE listing SET sent_quantity = 5")
    await shop.tell()
    assert await shop.values(told) == [None]
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE listing SET sent_quantity = 5")
    await say(shop, title="Outro")
    await shop.tell()
    assert await shop.values(told) == [5], "but not with every change of its words"
