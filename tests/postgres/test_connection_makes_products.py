"""A connection that makes products of what it tells: held or at once, by whole products, each once, and taken back."""

import asyncio
from typing import Any

import msgspec
import pytest
from linked_world import CODE, Linked, linked

from malha.catalog import ownership, reads, service
from malha.catalog.making import New, make
from malha.catalog.model import CategoryDraft, MediaDraft, Product, ProductDraft, VariantDraft
from malha.catalog.rules import categories_of_path
from malha.channels.connecting import (
    at_once,
    at_once_reads,
    categories,
    category_reads,
    making,
    making_reads,
    mapping,
    master_reads,
    mastering,
    products,
    turns,
)
from malha.channels.connecting.errors import MakesNoProducts, NothingToTakeBack, NotMadeAtOnce, UnknownEntry
from malha.channels.connecting.making_reads import Batch
from malha.channels.listings import service as listings
from malha.intake.model import NewLine, NewOrder, Placed
from malha.ordering import edits
from malha.platform import audit
from malha.platform.db import Actor
from malha.platform.flaws import Invalid
from peer_shop import API_KEY

GTIN = "7891000315507"


def a_variant(sku: str, **told: Any) -> dict[str, Any]:
    return {"id": sku.lower(), "sku": sku, "name": f"Manta {sku}", "price": 9990, "version": 1, **told}


MANTA = {"product": "MANTA", "product_name": "Manta de lã", "brand": "Da casa", "ncm": "63012000"}


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        made.peer.products = [
            a_variant("MANTA-P", **MANTA, weight_grams=900, dimensions=[300, 200, 100], gtin=GTIN),
            a_variant("MANTA-G", **MANTA, weight_grams=1200),
            a_variant("CANECA", name="Caneca azul", brand="Da casa"),
            a_variant("A", name="De casa"),
        ]
        yield made


async def read(shop: Linked) -> None:
    await products.ensure(shop.runtime)
    await shop.due()
    assert await turns.work(shop.runtime, products.STREAM, products.read, asyncio.Event()) == 1


async def let(shop: Linked, creates: str, *fields: str, version: int = 0) -> int:
    async with shop.database.transaction() as tx:
        return await mastering.put_fields(tx, CODE, fields, version, creates)


async def accept(shop: Linked, *codes: str, refused: bool = False) -> tuple[int, int]:
    async with shop.database.transaction() as tx:
        return await making.accept(tx, CODE, codes or None, refused=refused)


async def made(shop: Linked) -> int:
    return await making.work(shop.runtime, asyncio.Event())


async def product(shop: Linked, code: str) -> Product | None:
    async with shop.database.transaction() as tx:
        return await reads.product_by_code(tx, code)


async def refused(shop: Linked) -> dict[str, list[str]]:
    async with shop.database.transaction() as tx:
        rows = await making_reads.rows(tx, await shop.id(), view="refused")
    return {row.code: [flaw["at"] for flaw in row.make_flaws or []] for row in rows}


async def batch(shop: Linked) -> Batch:
    async with shop.database.transaction() as tx:
        return (await making_reads.batches(tx, await shop.id()))[0]


async def take_back(shop: Linked, number: int) -> None:
    async with shop.database.transaction() as tx:
        await making.take_back(tx, CODE, number)


async def test_a_connection_that_makes_none_makes_none(shop: Linked):
    await read(shop)
    assert await made(shop) == 0
    assert await product(shop, "MANTA") is None
    with pytest.raises(MakesNoProducts):
        await accept(shop)


async def test_what_it_tells_waits_for_a_person_and_is_made_whole_products_with_all_their_fields(shop: Linked):
    await let(shop, "held", "name", "brand", "weight")
    await read(shop)
    assert await made(shop) == 0
    async with shop.database.transaction() as tx:
        id_ = await shop.id()
        assert [row.code for row in await making_reads.rows(tx, id_)] == ["CANECA", "MANTA-G", "MANTA-P"]
        assert [row.code for row in await making_reads.rows(tx, id_, sought="lã")] == []
        assert [row.code for row in await making_reads.rows(tx, id_, sought="MANTA")] == ["MANTA-G", "MANTA-P"]
        assert (await making_reads.counts(tx, id_)).waiting == 3
    number, asked = await accept(shop)
    assert asked == 3
    assert await made(shop) == 3
    manta, caneca = await product(shop, "MANTA"), await product(shop, "CANECA")
    assert manta
    assert caneca
    assert (manta.name, manta.brand, manta.ncm, manta.version) == ("Manta de lã", "Da casa", "63012000", 1)
    assert {v.sku: (v.name, v.weight_grams, v.price, v.gtin, v.version) for v in manta.variants} == {
        "MANTA-G": ("Manta MANTA-G", 1200, 9990, None, 1), "MANTA-P": ("Manta MANTA-P", 900, 9990, GTIN, 1),
    }  # fmt: skip
    assert (caneca.name, [v.sku for v in caneca.variants]) == ("Caneca azul", ["CANECA"])
    async with shop.database.transaction() as tx:
        assert {lock.field for lock in (await ownership.locked(tx, [manta]))["MANTA"]} == {"name", "brand", "weight"}
        (entry,) = await audit.trail(tx, entity="product", entity_id="MANTA")
        assert (entry.action, entry.actor_kind, entry.actor_id) == ("create", "connection", CODE)
        assert [row.sku for row in await reads.variant_page(tx, query="lã da casa")] == ["MANTA-G", "MANTA-P"]
        told = await making_reads.made(tx, id_, number)
    assert (told[0].code, told[0].product, told[0].state) == ("CANECA", "CANECA", "made")
    with pytest.raises(UnknownEntry):
        await accept(shop)


async def test_at_once_makes_what_is_read_and_a_later_variant_joins_its_product(shop: Linked):
    await let(shop, "once")
    await read(shop)
    await made(shop)
    shop.peer.products.append(a_variant("MANTA-M", **MANTA))
    await read(shop)
    assert await made(shop) == 1
    manta = await product(shop, "MANTA")
    assert manta
    assert [v.sku for v in manta.variants] == ["MANTA-G", "MANTA-P", "MANTA-M"]


async def test_one_by_one_makes_only_what_was_accepted(shop: Linked):
    await let(shop, "held")
    await read(shop)
    assert (await accept(shop, "MANTA-P"))[1] == 1
    await made(shop)
    manta = await product(shop, "MANTA")
    assert manta
    assert [v.sku for v in manta.variants] == ["MANTA-P"]
    assert await product(shop, "CANECA") is None


async def test_what_cannot_be_made_is_held_with_its_reason_and_made_once_the_channel_mends_it(shop: Linked):
    await let(shop, "once")
    shop.peer.products += [
        a_variant("RUIM/1", name="Barra"),
        a_variant("GEMEA-1", gtin="7891000100103"),
        a_variant("GEMEA-2", gtin="7891000100103"),
        a_variant("SEM-NOME", name=""),
        a_variant("B-1", product="B"),
        a_variant("MANTA-X", **MANTA | {"ncm": "12"}),
    ]
    await read(shop)
    await made(shop)
    held = await refused(shop)
    assert "sku" in held.pop("RUIM/1")
    assert held == {
        "GEMEA-2": ["gtin"], "SEM-NOME": ["name"], "B-1": ["product"],
        "MANTA-G": ["ncm"], "MANTA-P": ["ncm"], "MANTA-X": ["ncm"],
    }  # fmt: skip
    assert await product(shop, "GEMEA-1")
    assert await product(shop, "GEMEA-2") is None
    b = await product(shop, "B")
    assert b
    assert [v.sku for v in b.variants] == ["B"], "what people made is not joined by a guess"
    shop.peer.products += [
        a_variant("SEM-NOME", name="Agora tem", version=2),
        *(a_variant(sku, **MANTA, version=2) for sku in ("MANTA-G", "MANTA-P", "MANTA-X")),
    ]
    await read(shop)
    await made(shop)
    assert set(await refused(shop)) == {"RUIM/1", "GEMEA-2", "B-1"}
    assert await product(shop, "SEM-NOME")


async def test_a_person_tries_what_was_refused_again_after_mending_it_here(shop: Linked):
    shop.peer.products = [a_variant("B-1", product="B")]
    await let(shop, "held")
    await read(shop)
    await accept(shop)
    await made(shop)
    assert await refused(shop) == {"B-1": ["product"]}
    shop.peer.products.append(a_variant("B-2", product="B"))
    await read(shop)
    async with shop.database.transaction() as tx:
        await mapping.put(tx, CODE, [("B-2", "B")])
    assert (await accept(shop, refused=True))[1] == 1
    await made(shop)
    b = await product(shop, "B")
    assert b
    assert [v.sku for v in b.variants] == ["B", "B-1"]


async def test_orders_that_waited_for_what_is_made_are_applied(shop: Linked):
    await let(shop, "held")
    await read(shop)
    shop.peer.sell("1", lines=[{"sku": "MANTA-P", "quantity": 1, "unit_price": 9990, "id": "l1"}])
    await shop.settle()
    assert await shop.values("SELECT state FROM channel_inbox") == ["unmapped"]
    await accept(shop)
    await made(shop)
    await shop.settle()
    assert await shop.values("SELECT state FROM channel_inbox") == ["done"]
    assert await shop.values("SELECT count(*) FROM sales_order") == [1]


async def test_an_acceptance_is_taken_back_as_a_whole_and_waits_again(shop: Linked):
    await let(shop, "held", "brand")
    await read(shop)
    number, _ = await accept(shop)
    await made(shop)
    for price, title in ((8_880, "Só aqui"), (None, None)):  # said, and taken back: nothing is left of it that counts
        async with shop.database.transaction() as tx:
            await listings.say_many(tx, CODE, [("CANECA", "title", title)], {"CANECA": price})
    await take_back(shop, number)
    assert await made(shop) == 3
    assert await product(shop, "MANTA") is None
    assert await product(shop, "CANECA") is None
    back = await batch(shop)
    assert (back.made, back.undone, back.kept) == (0, 3, 0)
    assert back.ended_at
    with pytest.raises(NothingToTakeBack):
        await take_back(shop, number)
    assert await made(shop) == 0
    await accept(shop)
    await made(shop)
    assert await product(shop, "MANTA")


async def test_what_something_refers_to_stays_when_an_acceptance_is_taken_back(shop: Linked):
    await let(shop, "held")
    await read(shop)
    shop.peer.sell("1", lines=[{"sku": "MANTA-P", "quantity": 1, "unit_price": 9990, "id": "l1"}])
    await shop.settle()
    number, _ = await accept(shop)
    await made(shop)
    await shop.settle()
    async with shop.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO ahead_policy (sku_id, mode, release_on, cap) SELECT id, 'preorder', '2030-01-01', 1 FROM variant WHERE sku = 'CANECA'"
        )
    await take_back(shop, number)
    await made(shop)
    manta = await product(shop, "MANTA")
    assert manta
    assert [v.sku for v in manta.variants] == ["MANTA-P"], "the variant that nobody ordered went"
    assert await product(shop, "CANECA"), "a rule names it"
    back = await batch(shop)
    assert (back.undone, back.kept) == (1, 2)
    mapped = await shop.values("SELECT code FROM channel_variant WHERE sku_id IS NOT NULL ORDER BY code")
    assert mapped == ["A", "CANECA", "MANTA-P"]


async def test_pictures_of_a_product_that_stays_stay_when_an_acceptance_is_taken_back(shop: Linked):
    async with shop.database.transaction() as tx:
        there = ProductDraft(
            code="MANTA-CASA",
            name="Manta de lã",
            media=[MediaDraft(url="https://img.example/manta.jpg")],
            variants=[VariantDraft(sku="MANTA-P", name="Manta P", price=9990)],
        )
        await service.put_products(tx, [there])
    await let(shop, "held")
    await read(shop)
    number, _ = await accept(shop, "MANTA-G")
    await made(shop)
    joined = await product(shop, "MANTA-CASA")
    assert joined
    assert sorted(v.sku for v in joined.variants) == ["MANTA-G", "MANTA-P"]
    await take_back(shop, number)
    await made(shop)
    left = await product(shop, "MANTA-CASA")
    assert left
    assert [v.sku for v in left.variants] == ["MANTA-P"]
    assert await shop.values("SELECT url FROM media") == ["https://img.example/manta.jpg"]


async def test_what_somebody_mapped_to_another_sku_since_stays_so_when_an_acceptance_is_taken_back(shop: Linked):
    await let(shop, "held")
    await read(shop)
    number, _ = await accept(shop, "CANECA")
    await made(shop)
    async with shop.database.transaction() as tx:
        await mapping.put(tx, CODE, [("CANECA", "A")])
    await take_back(shop, number)
    await made(shop)
    assert await product(shop, "CANECA") is None
    ours = "SELECT v.sku FROM channel_variant m JOIN variant v ON v.id = m.sku_id WHERE m.code = 'CANECA'"
    assert await shop.values(ours) == ["A"]


async def test_a_sku_that_a_waiting_line_of_an_older_order_was_mapped_to_stays(shop: Linked):
    await let(shop, "held")
    await read(shop)
    line = NewLine(sku="SEM-NOME", quantity=1, unit_price=3990)
    older = await shop.gate.enqueue(NewOrder(channel="web", external_id="older", lines=[line]))
    assert isinstance(older, Placed)
    number, _ = await accept(shop, "CANECA")
    await made(shop)
    async with shop.database.transaction() as tx:
        await edits.map_line(tx, older.id, 1, "CANECA")
    await take_back(shop, number)
    await made(shop)
    assert await product(shop, "CANECA")


async def test_several_workers_that_read_the_same_page_make_each_product_once(shop: Linked):
    shop.peer.products = [
        a_variant(f"P{n}-{size}", product=f"P{n}", product_name=f"Produto {n}") for n in range(40) for size in "PMG"
    ]
    await let(shop, "once")
    await read(shop)
    await asyncio.gather(read_again(shop), read_again(shop), *(made(shop) for _ in range(6)))
    while await made(shop):
        pass
    assert await refused(shop) == {}
    assert await shop.values("SELECT count(*) FROM product WHERE code LIKE 'P%%'") == [40]
    counts = await shop.values(
        "SELECT count(*) FROM variant v JOIN product p ON p.id = v.product_id WHERE p.code LIKE 'P%%' GROUP BY p.id"
    )
    assert counts == [3] * 40
    versions = await shop.values("SELECT DISTINCT version FROM variant WHERE sku LIKE 'P%%-%%'")
    assert versions == [1], "nobody wrote over what another one made"


async def read_again(shop: Linked) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection_cursor SET value = NULL, next_at = now() WHERE stream = 'products'")
    await turns.work(shop.runtime, products.STREAM, products.read, asyncio.Event())


async def test_two_connections_that_are_told_the_same_sku_make_it_once(shop: Linked):
    news = [New(sku=f"X{n}", product=f"X{n}", told={"name": f"Produto {n}"}) for n in range(30)]

    async def one(owner: str) -> set[str]:
        async with shop.database.transaction() as tx:
            return set((await make(tx, owner, news)).products)

    first, second = await asyncio.gather(one("erp"), one("loja"))
    assert {len(first), len(second)} == {0, 30}
    assert await shop.values("SELECT count(*) FROM variant WHERE sku LIKE 'X%%'") == [30]


async def test_what_a_person_makes_at_the_same_moment_is_not_overwritten(shop: Linked):
    shop.peer.products = [a_variant("CANECA", name="Do canal")]
    await let(shop, "once")
    await read(shop)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def person() -> None:
        async with shop.database.transaction() as tx:
            draft = ProductDraft(code="CANECA", name="Da pessoa", variants=[VariantDraft(sku="CANECA", price=5000)])
            await service.create_product(tx, draft)
            begun.set()
            await go_on.wait()

    writing = asyncio.create_task(person())
    await begun.wait()
    racing = asyncio.create_task(made(shop))
    await asyncio.sleep(0.3)
    go_on.set()
    await asyncio.gather(writing, racing)
    while await made(shop):
        pass
    found = await product(shop, "CANECA")
    assert found
    assert (found.name, found.variants[0].price) == ("Da pessoa", 5000)
    assert await shop.values("SELECT how FROM channel_variant WHERE code = 'CANECA'") == ["exact"]


HOUSE = {"product": "MANTA", "product_name": "Manta", "category": "Casa > Mantas"}
PICTURE = "https://loja.example/manta.jpg"


async def test_category_options_attributes_and_pictures_are_made_and_kept(shop: Linked):
    shop.peer.products = [
        a_variant(f"MANTA-{size}", **HOUSE, options={"Tamanho": size}, attributes={"Fio": "lã"}, pictures=[PICTURE])
        for size in "PG"
    ]
    async with shop.database.transaction() as tx:
        await service.put_categories(tx, categories_of_path("Casa > Mantas"))
    await let(shop, "once", "category", "options", "attributes", "pictures")
    await read(shop)
    await made(shop)
    manta = await product(shop, "MANTA")
    assert manta
    assert (manta.category, manta.options, manta.attributes) == ("casa.mantas", ["Tamanho"], {"Fio": "lã"})
    assert [v.options for v in manta.variants] == [{"Tamanho": "G"}, {"Tamanho": "P"}]
    assert [m.url for m in manta.media] == [PICTURE]
    async with shop.database.transaction() as tx:
        draft = reads.product_draft(manta)
        mine = msgspec.structs.replace(draft, attributes={"Fio": "algodão"}, media=[], category=None)
        with pytest.raises(Invalid) as refused:
            await service.update_product(tx, mine, manta.version)
    assert [flaw.at for flaw in refused.value.flaws] == ["category", "attributes", "media"]
    async with shop.database.transaction() as tx:
        same = msgspec.structs.replace(draft, description="Escrita aqui", media=None)
        await service.update_product(tx, same, manta.version)
    other = PICTURE.replace("manta", "outra")
    shop.peer.products += [
        each | {"version": 2, "pictures": [other, PICTURE], "options": {"Tamanho": f"{each['sku'][-1]} (novo)"}}
        for each in shop.peer.products
    ]
    await read(shop)
    await mastering.work(shop.runtime, asyncio.Event())
    manta = await product(shop, "MANTA")
    assert manta
    assert [m.url for m in manta.media] == [other, PICTURE]
    assert [v.options for v in manta.variants] == [{"Tamanho": "G (novo)"}, {"Tamanho": "P (novo)"}]
    assert manta.description == "Escrita aqui"


async def test_a_category_that_nobody_knows_holds_products_until_somebody_says_which_it_is(shop: Linked):
    shop.peer.products = [a_variant("MANTA-P", **HOUSE), a_variant("A", category="Casa > Mantas")]
    await let(shop, "once", "category")
    await read(shop)
    await made(shop)
    await mastering.work(shop.runtime, asyncio.Event())
    assert await refused(shop) == {"MANTA-P": ["category"]}
    async with shop.database.transaction() as tx:
        (held,) = await master_reads.held(tx, await shop.id())
        assert (held.product, [flaw["at"] for flaw in held.flaws]) == ("A", ["category"])
        (row,) = await category_reads.rows(tx, await shop.id())
        assert (row.theirs, row.ours) == ("Casa > Mantas", None)
        await service.put_categories(tx, [CategoryDraft(code="cobertores", name="Cobertores")])
        with pytest.raises(Invalid):
            await categories.put(tx, CODE, [("Casa > Mantas", "ninguem")])
        await categories.put(tx, CODE, [("Casa > Mantas", "cobertores")])
    await made(shop)
    await mastering.work(shop.runtime, asyncio.Event())
    for code in ("MANTA", "A"):
        found = await product(shop, code)
        assert found
        assert found.category == "cobertores"


async def test_categories_are_made_of_their_names_where_the_connection_says_so(shop: Linked):
    shop.peer.products = [a_variant("MANTA-P", **HOUSE), a_variant("A", category="Casa > Mantas > Lã")]
    async with shop.database.transaction() as tx:
        await mastering.put_fields(tx, CODE, ["category"], 0, "once", "made")
    await read(shop)
    await made(shop)
    await mastering.work(shop.runtime, asyncio.Event())
    found = [await product(shop, code) for code in ("MANTA", "A")]
    assert [each and each.category for each in found] == ["casa.mantas", "casa.mantas.la"]
    async with shop.database.transaction() as tx:
        assert [c.path for c in await reads.categories(tx) if c.code.startswith("casa")][
            -1
        ] == "casa/casa.mantas/casa.mantas.la"


ODD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nul": ({"product_name": "Manta\x00", "description": "a\x00b", "attributes": {"Fi\x00o": "l\x00ã"}}, []),
    "control": ({"description": "a\x1bb"}, ["description"]),
    "long-name": ({"product_name": "Manta " * 900}, ["name"]),
    "long-text": ({"description": "lã " * 50_000}, ["description"]),
    "long-attribute": ({"attributes": {"Fio": "lã " * 1_000}}, ["attributes/Fio"]),
    "markup": ({"product_name": "Manta <b>azul</b> &amp; <script>alert(1)</script>"}, []),
    "plain-http": ({"pictures": ["http://img.example/a.jpg"]}, ["media/0/url"]),
    "script": ({"pictures": ["https://img.example/a.jpg", "javascript:alert(1)"]}, ["media/1/url"]),
    "password": ({"pictures": ["https://somebody:a-password@img.example/a.jpg"]}, ["media/0/url"]),
    "picture-twice": ({"pictures": ["https://img.example/a.jpg"] * 2}, []),
    "nameless-option": ({"options": {"": "Azul"}}, ["options"]),
    "empty-option": ({"options": {"Cor": ""}}, []),
    "huge-weight": ({"weight_grams": 2**40}, ["weight_grams"]),
    "no-category": ({"category": " > > "}, ["category"]),
}


@pytest.mark.parametrize("odd", sorted(ODD))
async def test_an_odd_product_is_made_or_held_with_a_reason_and_holds_up_no_others(shop: Linked, odd: str):
    told, flaws = ODD[odd]
    shop.peer.products = [
        a_variant("ODD", **{"product": "ODD", "product_name": "Manta", **told}),
        a_variant("BESIDE", product="BESIDE", product_name="Ao lado"),
    ]
    await let(shop, "once")
    await read(shop)
    await made(shop)
    assert await product(shop, "BESIDE"), "what stands beside it is made"
    assert await refused(shop) == ({"ODD": flaws} if flaws else {})
    assert bool(await product(shop, "ODD")) is not bool(flaws)
    kept = await shop.values("SELECT make_flaws::text || told::text FROM channel_variant WHERE make_flaws IS NOT NULL")
    assert not any(
        "a-password" in str(flaw) for flaw in await shop.values("SELECT make_flaws::text FROM channel_variant")
    )
    assert len(kept) == bool(flaws)


async def test_variants_of_one_product_with_the_same_options_are_held_and_say_which(shop: Linked):
    shop.peer.products = [a_variant(f"G-{n}", **MANTA, options={"Cor": "Azul"}) for n in (1, 2)]
    await let(shop, "once")
    await read(shop)
    await made(shop)
    assert await refused(shop) == {"G-2": ["options"]}


async def test_a_secret_of_the_connection_in_the_address_of_a_picture_is_not_kept(shop: Linked):
    shop.peer.products = [a_variant("LEAK", pictures=[f"https://img.example/a.jpg?key={API_KEY}"])]
    await let(shop, "once")
    await read(shop)
    await made(shop)
    assert await shop.values("SELECT url FROM media") == ["https://img.example/a.jpg?key=***"]
    told = "SELECT count(*) FROM channel_variant WHERE told::text LIKE %(key)s::text"
    async with shop.database.transaction() as tx:
        assert await tx.value(told, {"key": f"%{API_KEY}%"}) == 0


# --- what was made at once, taken back ---


async def at_once_rows(shop: Linked, **asked: Any) -> dict[str, tuple[str, list[str]]]:
    async with shop.database.transaction() as tx:
        rows = await at_once_reads.rows(tx, await shop.id(), **asked)
    return {row.code: (row.state, row.reasons) for row in rows}


async def take_at_once_back(shop: Linked, *codes: str, sought: str | None = None) -> int:
    async with shop.database.transaction(Actor("person", "7", "Ana")) as tx:
        return await at_once.take_back(tx, CODE, codes or None, sought=sought)


async def test_what_was_made_at_once_is_taken_back_and_held_from_then_on(shop: Linked):
    await let(shop, "once")
    await read(shop)
    await made(shop)
    assert await at_once_rows(shop) == {"MANTA-P": ("made", []), "MANTA-G": ("made", []), "CANECA": ("made", [])}
    assert await take_at_once_back(shop, "CANECA", "MANTA-P") == 2
    assert (await at_once_rows(shop))["CANECA"][0] == "going"
    with pytest.raises(NotMadeAtOnce):
        await take_at_once_back(shop, "CANECA")
    await made(shop)
    assert await product(shop, "CANECA") is None
    manta = await product(shop, "MANTA")
    assert manta
    assert [v.sku for v in manta.variants] == ["MANTA-G"]
    assert await at_once_rows(shop, state="undone") == {"CANECA": ("undone", []), "MANTA-P": ("undone", [])}
    shop.peer.products.append(a_variant("CANECA", name="Caneca verde", version=2))
    await read(shop)
    await made(shop)
    assert await product(shop, "CANECA") is None, "it is told again, and waits"
    async with shop.database.transaction() as tx:
        id_ = await shop.id()
        assert [row.code for row in await making_reads.rows(tx, id_)] == ["CANECA", "MANTA-P"]
        trail = await audit.trail(tx, entity="connection", entity_id=CODE)
        assert [(e.action, e.actor_id) for e in trail if e.action == "take_products_back"] == [
            ("take_products_back", "7")
        ]
        (gone, *_) = await audit.trail(tx, entity="product", entity_id="CANECA")
        assert (gone.action, gone.actor_kind, gone.actor_id) == ("delete", "person", "7")
    await accept(shop, "CANECA")
    await made(shop)
    assert await product(shop, "CANECA"), "somebody accepted it after all"
    assert (await at_once_rows(shop))["CANECA"][0] == "undone", "that was no making at once"
    shop.peer.products.append(a_variant("NOVA", name="Nova"))
    await read(shop)
    await made(shop)
    assert await product(shop, "NOVA"), "all others are made at once as before"


async def test_what_something_rests_on_is_left_and_says_why_until_it_goes(shop: Linked):
    await let(shop, "once")
    shop.peer.products += [a_variant("KITADA", name="Num kit"), a_variant("REGRA", name="Numa regra")]
    await read(shop)
    await made(shop)
    placed = await shop.gate.enqueue(
        NewOrder(channel="web", external_id="1", lines=[NewLine(sku="MANTA-P", quantity=1, unit_price=9990)])
    )
    assert isinstance(placed, Placed)
    async with shop.database.transaction() as tx:
        kit = VariantDraft(sku="CESTA", components={"KITADA": 1})
        await service.put_products(tx, [ProductDraft(code="CESTA", name="Cesta", variants=[kit])])
        await tx.execute(
            "INSERT INTO ahead_policy (sku_id, mode, release_on, cap) SELECT id, 'preorder', '2030-01-01', 1 FROM variant WHERE sku = 'REGRA'"
        )
        rows = await at_once_reads.rows(tx, await shop.id())
        against = await at_once.against(tx, await shop.id(), rows)
    assert against == {"MANTA-P": ["ordered"], "KITADA": ["kit"]}
    assert await take_at_once_back(shop) == 5
    await made(shop)
    assert await at_once_rows(shop) == {
        "MANTA-P": ("kept", ["ordered"]), "KITADA": ("kept", ["kit"]), "REGRA": ("kept", ["referred"]),
        "MANTA-G": ("undone", []), "CANECA": ("undone", []),
    }  # fmt: skip
    mapped = await shop.values("SELECT code FROM channel_variant WHERE sku_id IS NOT NULL AND NOT held ORDER BY code")
    assert mapped == ["A", "KITADA", "MANTA-P", "REGRA"]
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM ahead_policy")
    with pytest.raises(NotMadeAtOnce):
        await take_at_once_back(shop)
    assert await take_at_once_back(shop, "REGRA") == 1
    await made(shop)
    assert (await at_once_rows(shop))["REGRA"] == ("undone", [])


async def test_all_that_is_found_is_taken_back_and_no_more(shop: Linked):
    await let(shop, "once")
    await read(shop)
    await made(shop)
    assert set(await at_once_rows(shop, sought="manta")) == {"MANTA-P", "MANTA-G"}
    assert set(await at_once_rows(shop, sought=GTIN)) == {"MANTA-P"}
    assert await at_once_rows(shop, sought="%") == {}
    assert await take_at_once_back(shop, sought="manta") == 2
    await made(shop)
    assert await product(shop, "MANTA") is None
    assert await product(shop, "CANECA")


async def test_what_was_accepted_is_not_listed_as_made_at_once(shop: Linked):
    await let(shop, "held")
    await read(shop)
    await accept(shop, "CANECA")
    await made(shop)
    assert await at_once_rows(shop) == {}
    with pytest.raises(NotMadeAtOnce):
        await take_at_once_back(shop, "CANECA")


async def test_several_workers_take_back_what_was_made_at_once_each_once(shop: Linked):
    shop.peer.products = [a_variant(f"P{n}", name=f"Produto {n}") for n in range(250)]
    await let(shop, "once")
    await read(shop)
    while await made(shop):
        pass
    assert await take_at_once_back(shop) == 250
    await asyncio.gather(*(made(shop) for _ in range(4)))
    while await made(shop):
        pass
    assert await shop.values("SELECT count(*) FROM product_at_once WHERE state = 'undone'") == [250]
    assert await shop.values("SELECT count(*) FROM product WHERE code LIKE 'P%%'") == [0]
    deleted = "SELECT count(*) FROM audit WHERE entity = 'product' AND action = 'delete'"
    assert await shop.values(deleted) == [250]
