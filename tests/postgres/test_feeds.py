"""A feed's file: what it holds, what it leaves out and why, what changed since; killed, stopped, replaced, handed over."""

import asyncio
import random
from xml.etree import ElementTree as ET

import msgspec
import pytest
from feed_world import LIST, a_draft, a_feed, a_plan, a_shop, built, contents, hear, rows_in

from malha.catalog import service as catalog
from malha.catalog.model import CategoryDraft, MediaDraft, ProductDraft, VariantDraft
from malha.channels import quantities
from malha.channels import service as channels
from malha.channels.feeds import building, making, reads, service
from malha.channels.feeds.errors import BuildRunning, FeedChanged, FeedNotFound, NoFileYet, TooManyPulls
from malha.channels.feeds.model import BuildKind, Filters, Format, Mapped, Origin, Plan, State
from malha.channels.model import ListingDraft
from malha.intake.reference import reference_in
from malha.inventory import service as inventory
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.model import Claim, Reason, Reference
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.platform import jobs
from malha.platform.db import Actor
from malha.platform.flaws import Invalid
from malha.platform.signing import Keys
from malha.testing.builders import a_product

KEYS = Keys(b"k" * 32, None)
CHANGES = BuildKind.CHANGES
SOMEBODY = Actor("person", "1", "Ana")


async def counts_of(db, build) -> dict[tuple[str, str], int]:
    async with db.transaction() as tx:
        return {(c.severity, c.rule): c.rows for c in await reads.counts(tx, build.id)}


async def count(db, sku_id, location_id, units):
    """State how many units are there."""
    async with db.transaction() as tx:
        await inventory.set_on_hand(tx, [Claim(sku_id, location_id, units)], Reference("test"), Reason.COUNT)


async def test_a_file_says_what_the_channel_may_sell(database):
    world, ids = await a_shop(database)
    await count(database, ids["B"], world.locations["DC"], 0)
    await count(database, ids["B"], world.locations["S1"], 0)
    await a_feed(database)
    build = await built(database)
    assert (build.state, build.rows, build.refused, build.looked, build.total) == (State.DONE, 3, 0, 3, 3)
    rows = await rows_in(database, build)
    assert rows.keys() == {"c-A", "c-B", "c-C"}
    assert rows["c-A"]["availability"] == "in_stock"
    assert rows["c-B"]["availability"] == "out_of_stock"
    assert rows["c-A"]["price"] == "10.00 BRL"
    assert rows["c-A"]["link"] == "https://loja.example/A"
    assert rows["c-A"]["image_link"] == "https://img.example/A.jpg"
    assert build.size == len(await contents(database, build))


async def test_plain_goods_kits_and_what_is_no_more_sold_count_as_channels_are_told(database):
    world, ids = await a_shop(database, ("A", "B", "C"))
    async with database.transaction() as tx:
        ids["SET"] = await a_product(tx, world, "SET", components={ids["A"]: 2, ids["B"]: 1})
        await tx.execute(LIST, {"channel": world.channels["web"], "ids": [ids["SET"]]})
        await tx.execute("UPDATE variant SET active = false WHERE sku = 'C'")
        told = await quantities.published(tx, await reference_in(tx), world.channels["web"], ids)
    await a_feed(database, of="generic")
    rows = await rows_in(database, await built(database))
    assert {id_: int(row["quantity"]) for id_, row in rows.items()} == {"c-A": 7, "c-B": 7, "c-SET": 3}
    assert told == {ids["A"]: 7, ids["B"]: 7, ids["C"]: 0, ids["SET"]: 3}


async def test_building_again_neither_writes_nor_locks_what_is_kept_of_unchanged_listings(database):
    _, ids = await a_shop(database)
    await a_feed(database)
    await built(database)
    kept = "SELECT sku_id, ctid::text, xmin::text, xmax::text FROM feed_row ORDER BY sku_id"
    async with database.transaction() as tx:
        before = await tx.tuples(kept)
        await catalog.set_prices(tx, {"B": 2_500})
    await built(database)
    async with database.transaction() as tx:
        after = await tx.tuples(kept)
    assert len(before) == 3
    assert [row[0] for row in after if row not in before] == [ids["B"]]


async def test_rss_is_well_formed_and_local_inventory_has_a_row_for_each_store(database):
    await a_shop(database)
    await a_feed(database, "rss", draft=a_draft(plan=a_plan(format=Format.RSS)))
    tree = ET.fromstring(await contents(database, await built(database, "rss")))  # noqa: S314 -- our own
    g = "{http://base.google.com/ns/1.0}"
    assert [item.findtext(f"{g}id") for item in tree.iter("item")] == ["c-A", "c-B", "c-C"]
    assert tree.tag == "rss"
    assert tree.get("version") == "2.0"

    await a_feed(database, "local", of="google_local")
    rows = await rows_in(database, await built(database, "local"))
    assert len(rows) == 9
    assert (rows["S1:c-A"]["quantity"], rows["S1:c-A"]["availability"]) == ("2", "in_stock")
    assert (rows["S2:c-A"]["quantity"], rows["S2:c-A"]["availability"]) == ("0", "out_of_stock")
    assert rows["DC:c-A"]["quantity"] == "5"

    await a_feed(database, "other", of="generic_local")
    other = await rows_in(database, await built(database, "other"))
    assert other.keys() == rows.keys()
    assert {key: row["quantity"] for key, row in other.items()} == {k: row["quantity"] for k, row in rows.items()}
    assert other["S1:c-A"]["store_name"] == "S1"


def of_one_store(of="google_local", *, words=None, **changes) -> Plan:
    """DC and S1 are the store `centro` to the target, S2 is `norte`; `words` maps locations to a word, by field."""
    stores = {"DC": "centro", "S1": "centro", "S2": "norte"}
    tables = {"store_code": stores, **(words or {})}
    plan = a_plan(of, **changes)
    mapping = [m for m in plan.mapping if m.target not in tables]
    mapping += [Mapped(target=name, value="location", table=table) for name, table in tables.items()]
    return msgspec.structs.replace(plan, mapping=mapping)


@pytest.mark.parametrize("of", ["google_local", "generic_local"])
async def test_locations_with_one_store_code_are_one_row_with_the_sum_of_what_they_may_sell(database, of):
    world, ids = await a_shop(database)
    await count(database, ids["B"], world.locations["DC"], 0)
    await count(database, ids["C"], world.locations["S1"], 0)
    await a_feed(database, draft=a_draft(plan=of_one_store(of)))
    build = await built(database)
    text = (await contents(database, build)).decode()
    assert len(text.splitlines()) == 1 + 3 * 2, "one row of each SKU and store, and the heading"
    rows = await rows_in(database, build)
    assert {key: (row["quantity"], row["availability"]) for key, row in rows.items()} == {
        "centro:c-A": ("7", "in_stock"),
        "centro:c-B": ("2", "in_stock"),
        "centro:c-C": ("5", "in_stock"),
        "norte:c-A": ("0", "out_of_stock"),
        "norte:c-B": ("0", "out_of_stock"),
        "norte:c-C": ("0", "out_of_stock"),
    }


async def test_a_store_of_several_locations_sells_no_more_than_caps_let_through(database):
    await a_shop(database, ("A",))
    async with database.transaction() as tx:
        draft = AllotmentDraft(code="FOUR", name="Four", kind=Kind.CAP, quota=4, channels=("web",))
        await allotments.put(tx, draft, None)
    await a_feed(database, draft=a_draft(plan=of_one_store()))
    assert (await rows_in(database, await built(database)))["centro:c-A"]["quantity"] == "4"


async def test_only_a_store_that_has_nothing_at_all_its_locations_is_left_out_for_want_of_stock(database):
    world, ids = await a_shop(database, ("A", "B"))
    await count(database, ids["A"], world.locations["DC"], 0)
    await count(database, ids["B"], world.locations["DC"], 0)
    await count(database, ids["B"], world.locations["S1"], 0)
    await a_feed(database, draft=a_draft(plan=of_one_store(filters=Filters(in_stock=True))))
    build = await built(database)
    assert (await rows_in(database, build)).keys() == {"centro:c-A"}
    assert (await counts_of(database, build))["filter", "no_stock"] == 3, "centro of B, and norte of both"


async def test_of_picking_up_a_store_promises_what_each_of_its_locations_with_units_can_keep(database):
    world, ids = await a_shop(database)
    words = {
        "pickup_method": {"DC": "buy", "S1": "reserve", "S2": "buy"},
        "pickup_sla": {"DC": "3-day", "S1": "same_day", "S2": "next_day"},
    }
    await count(database, ids["B"], world.locations["DC"], 0)
    await count(database, ids["C"], world.locations["S1"], 0)
    await a_feed(database, draft=a_draft(plan=of_one_store(words=words)))
    build = await built(database)
    rows = await rows_in(database, build)
    told = {key: (row["pickup_method"], row["pickup_sla"]) for key, row in rows.items()}
    assert told == {
        "centro:c-A": ("reserve", "3-day"),
        "centro:c-B": ("reserve", "same_day"),
        "centro:c-C": ("buy", "3-day"),
        "norte:c-A": ("buy", "next_day"),
        "norte:c-B": ("buy", "next_day"),
        "norte:c-C": ("buy", "next_day"),
    }
    async with database.transaction() as tx:
        counted = {c.field: c.rows for c in await reads.counts(tx, build.id) if c.rule == "places_differ"}
    assert counted == {"pickup_method": 3, "pickup_sla": 3}, "of each row of centro"
    assert (build.refused, build.warned) == (0, 3)


async def test_locations_that_are_mapped_to_no_store_are_each_named_in_the_report(database):
    await a_shop(database, ("A",))
    plan = a_plan("google_local")
    mapping = [m for m in plan.mapping if m.target != "store_code"]
    mapping += [Mapped(target="store_code", value="location", table={"S1": "centro"}, otherwise="")]
    await a_feed(database, draft=a_draft(plan=msgspec.structs.replace(plan, mapping=mapping)))
    build = await built(database)
    assert (await rows_in(database, build)).keys() == {"centro:c-A"}
    async with database.transaction() as tx:
        assert [(row.place, row.rule) for row in await reads.flaws(tx, build.id)] == [
            ("DC", "missing"),
            ("S2", "missing"),
        ]


async def test_changes_say_the_sum_of_a_store_anew_once_one_of_its_locations_changed(database):
    world, ids = await a_shop(database, ("A", "B"))
    await a_feed(database, draft=a_draft(plan=of_one_store()))
    await built(database)
    await count(database, ids["A"], world.locations["S1"], 9)
    await hear(database)
    rows = await rows_in(database, await built(database, kind=CHANGES))
    assert {key: row["quantity"] for key, row in rows.items()} == {"centro:c-A": "14", "norte:c-A": "0"}


async def test_filters_leave_out_by_stock_category_brand_and_group_and_every_one_is_counted(database):
    world, ids = await a_shop(database, ("A", "B", "C", "D"))
    async with database.transaction() as tx:
        await catalog.put_categories(tx, [CategoryDraft(code="roupas", name="Roupas")])
        await tx.execute("UPDATE product SET category_id = (SELECT id FROM category) WHERE code <> 'B'")
        await tx.execute("UPDATE product SET brand = 'Outra' WHERE code = 'C'")
        await tx.execute("INSERT INTO location_group (code, name) VALUES ('lojas', 'Lojas')")
        await tx.execute(
            "INSERT INTO location_group_member (group_id, location_id) SELECT g.id, l.id FROM location_group g, location l"
            " WHERE l.code = 'S1'"
        )
        await channels.put_listings(tx, "web", [ListingDraft("D", "c-D", active=False)])
    filters = Filters(in_stock=True, categories=["roupas"], brands=["Loja", "Outra"], location_group="lojas")
    await a_feed(database, draft=a_draft(plan=a_plan(filters=filters)))
    await count(database, ids["C"], world.locations["S1"], 0)
    build = await built(database)
    assert (await rows_in(database, build)).keys() == {"c-A"}
    left = {rule: n for (severity, rule), n in (await counts_of(database, build)).items() if severity == "filter"}
    assert left == {"inactive": 1, "category": 1, "no_stock": 1}, "C has stock, but not in the group"
    assert build.looked == build.rows + sum(left.values())


async def test_the_report_names_every_row_to_mend_and_drops_none_silently(database):
    _, _ids = await a_shop(database, tuple("ABCDEFG"))
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM media WHERE url LIKE '%%/A.jpg'")
        await tx.execute("UPDATE variant SET price = 0 WHERE sku = 'B'")
        await tx.execute("UPDATE variant SET price = NULL WHERE sku = 'C'")
        await tx.execute("UPDATE variant SET name = repeat('palavra ', 30) WHERE sku = 'D'")
        await tx.execute("UPDATE variant SET gtin = '7891000315507' WHERE sku <> 'E' AND sku = 'F'")
        await tx.execute("""UPDATE product SET attributes = '{"ean": "7891000315500"}' WHERE code = 'G'""")
    plan = a_plan()
    gtin = Mapped(target="gtin", origin=Origin.TEMPLATE, value="{gtin}{attribute.ean}")
    plan = msgspec.structs.replace(plan, mapping=[*(m for m in plan.mapping if m.target != "gtin"), gtin])
    await a_feed(database, draft=a_draft(plan=plan))
    build = await built(database)
    assert (build.rows, build.refused) == (3, 4)
    counts = await counts_of(database, build)
    assert counts == {
        ("error", "image_missing"): 1,
        ("error", "price_zero"): 1,
        ("error", "missing"): 1,
        ("error", "gtin_wrong"): 1,
        ("warning", "too_long"): 1,
        ("warning", "gtin_missing"): 5,
        ("warning", "category_missing"): 7,
    }
    async with database.transaction() as tx:
        flaws = await reads.flaws(tx, build.id, limit=1_000)
        wrong = await reads.flaws(tx, build.id, rule="gtin_wrong")
    assert len(flaws) == sum(counts.values())
    assert [(f.sku, f.code, f.field, f.severity, f.value) for f in wrong] == [
        ("G", "c-G", "gtin", "error", "7891000315500")
    ]
    assert build.looked == build.rows + build.refused
    pages = [page async for page in service.mend_pages(database, SOMEBODY, build)]
    assert [len(page) for page in pages] == [len(flaws)]


async def test_an_id_that_is_there_twice_stays_with_the_first_over_pages_too(database, monkeypatch):
    monkeypatch.setattr(building, "PAGE", 2)
    await a_shop(database, tuple("ABCDEF"))
    plan = a_plan("generic")
    mapping = [*(m for m in plan.mapping if m.target != "id"), Mapped(target="id", value="brand")]
    await a_feed(database, draft=a_draft(plan=msgspec.structs.replace(plan, mapping=mapping)))
    for _ in range(2):  # the rows of the build before are no reason to refuse
        build = await built(database)
        rows = await rows_in(database, build)
        assert {id_: row["sku"] for id_, row in rows.items()} == {"Loja": "A"}
        assert (await counts_of(database, build))["error", "duplicate_id"] == 5
        assert (build.rows, build.refused) == (1, 5)


async def test_a_channel_in_another_currency_has_every_row_refused_and_said(database):
    await a_shop(database)
    await a_feed(database, draft=a_draft(plan=a_plan(currency="USD")))
    build = await built(database)
    assert (build.state, build.rows, build.refused) == (State.DONE, 0, 3)
    assert (await counts_of(database, build))["error", "currency_wrong"] == 3
    assert (await contents(database, build)).count(b"\n") == 1, "an empty file still has its heading"


# --- changes ---


async def test_changes_say_what_differs_from_the_last_full_file(database):
    world, ids = await a_shop(database)
    await a_feed(database)
    await built(database)
    nothing = await built(database, kind=CHANGES)
    assert (nothing.kind, nothing.rows, nothing.looked) == (CHANGES, 0, 0)

    await count(database, ids["A"], world.locations["DC"], 4)  # still in stock: the file says the same
    await count(database, ids["B"], world.locations["DC"], 0)
    await count(database, ids["B"], world.locations["S1"], 0)
    async with database.transaction() as tx:
        await catalog.set_prices(tx, {"C": 2_500})
    await hear(database)
    changed = await built(database, kind=CHANGES)
    rows = await rows_in(database, changed)
    assert rows.keys() == {"c-B", "c-C"}
    assert (rows["c-B"]["availability"], rows["c-C"]["price"]) == ("out_of_stock", "25.00 BRL")
    assert changed.looked == 3, "A was looked at, for it moved"

    again = await built(database, kind=CHANGES)
    assert await contents(database, again) == await contents(database, changed), "who missed one misses nothing"


async def test_what_one_variant_costs_has_the_others_of_its_product_neither_looked_at_nor_said(database):
    await a_shop(database)
    sizes = [VariantDraft(sku=f"TEE-{size}", price=5_000, options={"Size": size}) for size in "SML"]
    tee = ProductDraft(
        code="TEE", name="Camiseta", description="Algodão", brand="Loja", options=["Size"], variants=sizes
    )
    async with database.transaction() as tx:
        await catalog.put_products(tx, [tee])
        await channels.put_listings(tx, "web", [ListingDraft(v.sku, f"c-{v.sku}") for v in sizes])
    await a_feed(database, of="generic")
    await built(database)

    async with database.transaction() as tx:
        await catalog.set_prices(tx, {"TEE-M": 4_000})
    priced = await built(database, kind=CHANGES)
    assert (priced.looked, (await rows_in(database, priced)).keys()) == (1, {"c-TEE-M"})

    edited = msgspec.structs.replace(sizes[2], price=4_500)
    async with database.transaction() as tx:
        await catalog.put_products(tx, [msgspec.structs.replace(tee, variants=[sizes[0], edited])])
    assert (await built(database, kind=CHANGES)).looked == 2, "with the one before: the last full file knows neither"

    async with database.transaction() as tx:
        await catalog.put_products(tx, [msgspec.structs.replace(tee, brand="Outra", variants=[])])
    branded = await built(database, kind=CHANGES)
    assert branded.looked == 3, "what the product says is said of all of them"
    assert (await rows_in(database, branded)).keys() == {"c-TEE-S", "c-TEE-M", "c-TEE-L"}


@pytest.mark.parametrize(
    ("of", "said"),
    [("google_products", ("c-A", "availability", "out_of_stock")), ("generic", ("c-A", "removed", "true"))],
)
async def test_what_is_no_more_is_said_as_the_target_wants_it(database, of, said):
    await a_shop(database)
    await a_feed(database, of=of)
    await built(database)
    async with database.transaction() as tx:
        await channels.put_listings(tx, "web", [ListingDraft("A", "c-A", active=False)])
    changes = await built(database, kind=CHANGES)
    id_, field, word = said
    rows = await rows_in(database, changes)
    assert rows.keys() == {id_}
    assert rows[id_][field] == word
    assert (changes.rows, changes.removed) == (1, 1)


@pytest.mark.parametrize("of", ["google_products", "google_local", "generic_local"])
async def test_a_full_file_and_its_changes_are_together_what_a_new_full_file_says(database, of, monkeypatch):
    """Whatever happens, in any order: the old file with the changes laid over it is the new file."""
    monkeypatch.setattr(building, "PAGE", 7)
    chance = random.Random(20_261_126)
    world, ids = await a_shop(database, tuple("ABCDEFGH"))
    plan = a_plan(of, filters=Filters(in_stock=True))
    await a_feed(database, draft=a_draft(plan=plan))
    base = await rows_in(database, await built(database))
    for _turn in range(6):
        for _ in range(4):
            sku = chance.choice(list(ids))
            match chance.randrange(5):
                case 0 | 1:
                    place = chance.choice(list(world.locations.values()))
                    await count(database, ids[sku], place, chance.choice([0, 0, 1, 9]))
                case 2:
                    async with database.transaction() as tx:
                        await catalog.set_prices(tx, {sku: chance.choice([0, 1_000, 4_200])})
                case 3:
                    async with database.transaction() as tx:
                        draft = ListingDraft(sku, f"c-{sku}", active=chance.random() < 0.7)
                        await channels.put_listings(tx, "web", [draft])
                case _:
                    pictures = [MediaDraft(url=f"https://img.example/{chance.random()}.jpg")] * chance.randrange(2)
                    draft = ProductDraft(
                        code=sku, name=f"Camiseta {sku}", description="x", brand="Loja", media=pictures
                    )
                    async with database.transaction() as tx:
                        await catalog.put_products(tx, [draft])
        await hear(database)
        changes = await rows_in(database, await built(database, kind=CHANGES))
        removed = {key for key, row in changes.items() if row.pop("removed", "") == "true"}
        laid = base | changes
        async with database.transaction() as tx:
            await tx.execute("UPDATE feed SET baseline = NULL, code = 'kept' WHERE code = 'google'")
        await a_feed(database, draft=a_draft(plan=plan))
        fresh = await rows_in(database, await built(database))
        gone = laid.keys() - fresh.keys()
        assert {key: laid[key] for key in fresh} == fresh
        assert all(laid[key]["availability"] == "out_of_stock" for key in gone)
        assert of != "generic_local" or removed == {key for key in changes if key not in fresh}
        base = fresh
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM feed WHERE code = 'kept'")


async def test_what_all_rows_depend_on_has_all_looked_at_and_only_what_differs_written(database):
    _world, _ = await a_shop(database)
    await a_feed(database, of="google_local")
    await built(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET status = 'paused' WHERE code = 'S1'")
        await tx.execute(
            "INSERT INTO revision (name) VALUES ('network') ON CONFLICT (name) DO UPDATE SET n = revision.n + 1"
        )
    changes = await built(database, kind=CHANGES)
    assert changes.looked == 3
    rows = await rows_in(database, changes)
    gone = {key for key, row in rows.items() if row["quantity"] == "0" and key.startswith("S1:")}
    assert gone == {"S1:c-A", "S1:c-B", "S1:c-C"}


async def test_changes_mend_what_an_older_program_made_of_the_same_goods(database, monkeypatch):
    await a_shop(database, ("A", "B"))
    await a_feed(database, draft=a_draft(plan=of_one_store()))
    # Before locations of one store were one row, each had a row of its own, with its own units.
    with monkeypatch.context() as older:
        older.setattr(making, "program", lambda: "an older one")
        older.setattr(making.Maker, "_stores_of", lambda _self, _facts, locations: [[n] for n in range(len(locations))])
        full = (await contents(database, await built(database))).decode()
    assert len(full.splitlines()) == 1 + 2 * 3, "two rows of each SKU in the store centro"
    changes = await built(database, kind=CHANGES)
    assert (changes.looked, changes.removed) == (2, 0), "what is twice in the file is not gone"
    assert {key: row["quantity"] for key, row in (await rows_in(database, changes)).items()} == {
        "centro:c-A": "7",
        "norte:c-A": "0",
        "centro:c-B": "7",
        "norte:c-B": "0",
    }
    await built(database)
    assert (await built(database, kind=CHANGES)).looked == 0, "the full file is of this program"


async def test_changes_say_anew_what_the_website_of_the_retailer_is_part_of(database):
    await a_shop(database, ("A",))
    plan = a_plan("generic")
    link = Mapped(target="link", origin=Origin.TEMPLATE, value="{website}/{sku}")
    await a_feed(database, draft=a_draft(plan=msgspec.structs.replace(plan, mapping=[*plan.mapping, link])))
    await built(database)
    async with database.transaction() as tx:
        await retailer.change(tx, RetailerDraft(name="Loja", website="https://nova.example"), 0)
    rows = await rows_in(database, await built(database, kind=CHANGES))
    assert {key: row["link"] for key, row in rows.items()} == {"c-A": "https://nova.example/A"}


async def test_changes_without_a_full_file_or_after_another_plan_are_a_full_file(database):
    await a_shop(database)
    version = await a_feed(database)
    assert (await built(database, kind=CHANGES)).kind is BuildKind.FULL
    assert (await built(database, kind=CHANGES)).kind is CHANGES
    async with database.transaction() as tx:
        draft = a_draft(plan=a_plan(filters=Filters(in_stock=True)))
        await service.put_feed(tx, "google", draft, version, KEYS)
    assert (await built(database, kind=CHANGES)).kind is BuildKind.FULL


async def test_changes_of_a_file_that_was_replaced_are_not_read_any_more(database):
    """Laid over a newer full file they would say again what has been."""
    world, ids = await a_shop(database)
    await a_feed(database, full_minutes=1440, changes_minutes=60)
    await built(database)
    await count(database, ids["A"], world.locations["DC"], 0)
    await count(database, ids["A"], world.locations["S1"], 0)
    await hear(database)
    changes = await built(database, kind=CHANGES)
    async with database.transaction() as tx:
        feed = await service.feed_of(tx, "google")
        assert (await reads.newest_file(tx, feed.id, CHANGES)).id == changes.id
    await built(database)
    async with database.transaction() as tx:
        assert await reads.newest_file(tx, feed.id, CHANGES) is None
        assert (await service.feed_of(tx, "google")).next_changes_at <= await tx.now(), "the next ones come at once"
    await built(database, kind=CHANGES)
    async with database.transaction() as tx:
        assert (await reads.newest_file(tx, feed.id, CHANGES)).rows == 0


# --- killed, stopped, twice at once ---


async def test_a_killed_build_goes_on_where_it_was_and_the_file_is_the_same(database, monkeypatch):
    monkeypatch.setattr(building, "PAGE", 2)
    await a_shop(database, tuple("ABCDEFG"))
    await a_feed(database)
    whole = await contents(database, await built(database))
    async with database.transaction() as tx:
        begun = await service.start_build(tx, "google", BuildKind.FULL)
    steps = 0
    step = building._step

    async def dies(*asked):
        nonlocal steps
        steps += 1
        if steps == 3:
            raise asyncio.CancelledError
        return await step(*asked)

    monkeypatch.setattr(building, "_step", dies)
    with pytest.raises(asyncio.CancelledError):
        await building.build.work(database, build_id=str(begun.id))
    async with database.transaction() as tx:
        half = await reads.build(tx, begun.id)
        assert (await reads.newest_file(tx, half.feed_id, BuildKind.FULL)).id != half.id, (
            "the file before is read still"
        )
    assert (half.state, half.looked, half.parts) == (State.BUILDING, 4, 2)
    monkeypatch.setattr(building, "_step", step)
    await building.build.work(database, build_id=str(begun.id))
    async with database.transaction() as tx:
        done = await reads.build(tx, begun.id)
    assert (done.state, done.looked, done.rows) == (State.DONE, 7, 7)
    assert await contents(database, done) == whole


async def test_a_build_whose_job_gave_up_is_taken_up_again(database):
    await a_shop(database)
    await a_feed(database)
    async with database.transaction() as tx:
        begun = await service.start_build(tx, "google", BuildKind.FULL)
        assert await jobs.open_arguments(tx, building.build) == [{"build_id": str(begun.id)}]
    await service.build_due(database)
    async with database.transaction() as tx:
        assert len(await jobs.open_arguments(tx, building.build)) == 1, "it has its job"
        await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'failed'")
    await service.build_due(database)
    async with database.transaction() as tx:
        assert await jobs.open_arguments(tx, building.build) == [{"build_id": str(begun.id)}]


async def test_another_channel_ends_the_build_of_the_former_one(database):
    await a_shop(database)
    version = await a_feed(database)
    async with database.transaction() as tx:
        begun = await service.start_build(tx, "google", BuildKind.FULL)
    async with database.transaction() as tx:
        await service.put_feed(tx, "google", a_draft(channel="mall"), version, KEYS)
    async with database.transaction() as tx:
        assert (await reads.build(tx, begun.id)).state is State.STOPPED


async def test_two_workers_on_one_build_write_every_row_once(database, monkeypatch):
    monkeypatch.setattr(building, "PAGE", 2)
    await a_shop(database, tuple("ABCDEFG"))
    await a_feed(database)
    async with database.transaction() as tx:
        begun = await service.start_build(tx, "google", BuildKind.FULL)
    await asyncio.gather(*(building.build.work(database, build_id=str(begun.id)) for _ in range(3)))
    async with database.transaction() as tx:
        done = await reads.build(tx, begun.id)
    assert (done.state, done.rows) == (State.DONE, 7)
    assert len((await contents(database, done)).splitlines()) == 8


async def test_a_feed_is_built_once_at_a_time_and_a_stopped_build_ends(database):
    await a_shop(database)
    await a_feed(database)
    async with database.transaction() as tx:
        begun = await service.start_build(tx, "google", BuildKind.FULL)
    async with database.transaction() as tx:
        with pytest.raises(BuildRunning):
            await service.start_build(tx, "google", BuildKind.FULL)
    async with database.transaction() as tx:
        assert (await service.stop_build(tx, "google", begun.number)).state is State.STOPPED
    await building.build.work(database, build_id=str(begun.id))
    async with database.transaction() as tx:
        assert (await reads.build(tx, begun.id)).state is State.STOPPED
        with pytest.raises(NoFileYet):
            await service.file_of(tx, "google", begun.number)


async def test_the_file_before_stays_readable_and_older_ones_go(database):
    await a_shop(database)
    await a_feed(database)
    builds = [await built(database) for _ in range(3)]
    async with database.transaction() as tx:
        for number in (builds[1].number, builds[2].number):
            await service.file_of(tx, "google", number)
        with pytest.raises(NoFileYet):
            await service.file_of(tx, "google", builds[0].number)
    assert builds[1].digest == builds[2].digest, "the same content has the same tag"


# --- its address ---


async def test_the_address_finds_the_file_until_it_is_changed(database):
    await a_shop(database)
    version = await a_feed(database)
    build = await built(database)
    async with database.transaction() as tx:
        feed = await service.feed_of(tx, "google")
        _, _, token, name = service.path_of(KEYS, feed, tx.retailer).split("/")
        assert len(token) == 32
        found = await service.pulled(tx, KEYS, token, name)
        assert found.build.id == build.id
        assert (await service.pulled(tx, KEYS, token, f"{name}.gz")).gzipped
        # A new secret key leaves the address alone as long as the former one is known.
        assert (await service.pulled(tx, Keys(b"n" * 32, b"k" * 32), token, name)).build.id == build.id
        for absent in ("google.changes.tsv", "google.xml"):
            with pytest.raises(NoFileYet):
                await service.pulled(tx, KEYS, token, absent)
        for wrong in (("x" * 32, name), (token, "other.tsv"), (token, "google"), ("é", name)):
            with pytest.raises(FeedNotFound):
                await service.pulled(tx, KEYS, *wrong)
    async with database.transaction() as tx:
        await service.rotate(tx, "google", version)
    async with database.transaction() as tx:
        with pytest.raises(FeedNotFound):
            await service.pulled(tx, KEYS, token, name)
        with pytest.raises(FeedChanged):
            await service.rotate(tx, "google", version)


async def test_an_address_is_read_so_often_a_minute_and_no_more(database):
    await a_shop(database)
    await a_feed(database)
    await built(database)
    async with database.transaction() as tx:
        feed = await service.feed_of(tx, "google")
        _, _, token, name = service.path_of(KEYS, feed, tx.retailer).split("/")
        for _ in range(service.PULLS_A_MINUTE):
            await service.pulled(tx, KEYS, token, name)
        with pytest.raises(TooManyPulls):
            await service.pulled(tx, KEYS, token, name)
        await tx.execute("UPDATE feed SET pulls_since = now() - interval '61 seconds'")
        await service.pulled(tx, KEYS, token, name)


# --- stating one ---


async def test_a_feed_that_makes_no_sense_is_refused_and_a_version_is_kept(database):
    await a_shop(database)
    for draft, at in (
        (a_draft(name=" "), "name"),
        (a_draft(full_minutes=1), "full_minutes"),
        (a_draft(changes_minutes=15), "full_minutes"),
        (a_draft(plan=a_plan(filters=Filters(categories=["nowhere"]))), "plan/filters/categories"),
        (a_draft(plan=a_plan(filters=Filters(location_group="nowhere"))), "plan/filters/location_group"),
        (a_draft(push_secret="a\nb", push_url="https://x.example/"), "push_secret"),
    ):
        with pytest.raises(Invalid) as refusal:
            await a_feed(database, draft=draft)
        assert at in {flaw.at for flaw in refusal.value.flaws}
    with pytest.raises(Invalid):
        await a_feed(database, code="Com espaço")
    version = await a_feed(database)
    with pytest.raises(FeedChanged):
        await a_feed(database)
    async with database.transaction() as tx:
        assert await service.put_feed(tx, "google", a_draft(), version, KEYS) == version + 1
    async with database.transaction() as tx:
        with pytest.raises(FeedChanged):
            await service.put_feed(tx, "google", a_draft(), version, KEYS)


async def test_what_is_due_is_built_and_not_twice(database):
    await a_shop(database)
    await a_feed(database, full_minutes=60, changes_minutes=10)
    await asyncio.gather(*(service.build_due(database) for _ in range(4)))
    async with database.transaction() as tx:
        feed = await service.feed_of(tx, "google")
        (begun,) = await reads.builds(tx, feed.id)
        assert begun.kind is BuildKind.FULL
        assert feed.next_full_at > await tx.now()
        await tx.execute("UPDATE feed SET next_changes_at = now()")
    await service.build_due(database)  # it is being built: its turn stays
    async with database.transaction() as tx:
        assert len(await reads.builds(tx, feed.id)) == 1
    await building.build.work(database, build_id=str(begun.id))
    await service.build_due(database)
    async with database.transaction() as tx:
        assert (await reads.builds(tx, feed.id))[0].kind is CHANGES


async def test_a_preview_shows_rows_and_what_is_wrong_and_keeps_nothing(database):
    await a_shop(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = 0 WHERE sku = 'A'")
        channel = await channels.channel_of(tx, "web")
        shown = await service.preview(tx, a_plan(), channel, rows=2)
        assert [row.sku for row in shown.rows] == ["A", "B"]
        assert shown.rows[0].refused
        assert "price_zero" in {found.rule for found in shown.rows[0].found}
        one = await service.preview(tx, a_plan("google_local"), channel, sku="C")
        assert [(row.sku, row.place) for row in one.rows] == [("C", "DC"), ("C", "S1"), ("C", "S2")]
        assert not await reads.feeds(tx)
