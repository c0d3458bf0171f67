"""Files that are sifted before the database compares them mean what they mean without: the same rows, the same reasons."""

import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import WAY, a_retailer, hours_ago, on_hand, state

from malha.doctor import examine
from malha.inventory import service
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import applying, sieve
from malha.inventory.sync.files import Arriving
from malha.inventory.sync.model import Scope
from malha.platform.db import Database

KIT = "INSERT INTO variant (product_id, sku, name, is_kit) VALUES (1, 'KIT', 'Kit', true)"
ROWS = "SELECT sku_id, location_id, stated, mentioned FROM stock_snapshot_row WHERE snapshot_id = %(id)s::uuid"
SEEN = "SELECT count(seen) FROM stock_snapshot_row WHERE snapshot_id = %(id)s::uuid"
HELD = "SELECT row, sku, location, stated, problem FROM stock_snapshot_held WHERE snapshot_id = %(id)s::uuid"


@pytest.fixture(autouse=True)
async def as_usual(database: Database) -> AsyncIterator[None]:
    yield
    WAY["sift_from"] = sieve.FROM_ROWS
    report = await examine(database)
    assert [f.check for f in report.findings if f.drifts] == []


async def told(database: Database, file: bytes, way: int, seq: int, **said: Any) -> tuple[Any, ...]:
    """Send a file one way, not applied; return what was understood of it."""
    WAY["sift_from"] = way
    taken = await state(database, file, seq=seq, as_of=hours_ago(2 - seq / 1000), apply=False, **said)
    async with database.transaction() as tx:
        rows = sorted(await tx.tuples(ROWS, {"id": taken.id}))
        held = sorted(await tx.tuples(HELD, {"id": taken.id}))
        await tx.execute("UPDATE stock_snapshot SET state = 'cancelled' WHERE id = %(id)s::uuid", {"id": taken.id})
    facts = (taken.rows, taken.held, taken.differing, taken.absent, taken.zeroed, taken.stocked, taken.unchanged)
    return rows, held, facts


def a_file(rnd: random.Random, *, gtin: bool, quoted: bool, newline: str) -> bytes:
    """Return a table as a careless system writes it, most of it right: S1 to S9 have 10 everywhere, S10 has nothing."""
    rows = [(f"S{sku}", place, 10) for sku in range(1, 10) for place in ("L1", "L2") if rnd.random() > 0.1]
    rnd.shuffle(rows)
    out = []
    for sku, place, units in rows:
        cells = [sku, "", place, str(units), "x"]
        for _ in range(rnd.choice([0, 0, 1])):
            at, text = rnd.choice(
                [
                    (0, "S10"), (0, "NONE"), (0, "KIT"), (0, " S3 "), (0, ""), (0, "s1"),
                    (1, "7891000315507"), (1, "7891000315508"), (1, "1"),
                    (2, "L3"), (2, "L4"), (2, "nowhere"), (2, ""), (2, "L2 "),
                    (3, "0"), (3, "11"), (3, "10,00"), (3, "10.5"), (3, ""), (3, "-3"), (3, "010"), (3, "3000000000"),
                    (3, "ten"), (3, " 10 "), (3, "1" * 20), (4, "caf\u00e9"),
                ]
            )  # fmt: skip
            cells[at] = text
        if quoted:
            cells = [f'"{cell}"' if rnd.random() < 0.5 else cell for cell in cells]
        out.append(";".join(cells if gtin else [cells[0], *cells[2:]]))
        if rnd.random() < 0.05:
            out.append(out[-1])
    header = "sku;gtin;location;on_hand;note" if gtin else "sku;location;on_hand;note"
    return newline.join([header, *out]).encode() + newline.encode() * rnd.randrange(2)


@pytest.mark.parametrize("seed", range(6))
async def test_a_file_means_the_same_sifted_or_not(database: Database, seed: int) -> None:
    rnd = random.Random(seed)
    await a_retailer(database, skus=10, units=0)
    async with database.transaction() as tx:
        await tx.execute(KIT)
        goods = [Claim(s, place, 10) for s in range(1, 10) for place in (1, 2, 3)]
        await service.set_on_hand(tx, goods, Reference("test"), occurred_at=hours_ago(24))
    differed = 0
    for turn in range(12):
        file = a_file(rnd, gtin=turn % 2 == 0, quoted=turn % 3 == 0, newline=rnd.choice(["\n", "\r\n"]))
        said: dict[str, Any] = {"scope": Scope.WHOLE} if turn % 4 else {}
        if turn % 5 == 4:
            said["locations"] = ["L1", "L2"]
        loaded = await told(database, file, sieve.FROM_ROWS, turn * 2, **said)
        sifted = await told(database, file, 0, turn * 2 + 1, **said)
        assert sifted == loaded, file.decode()
        differed += len(loaded[0])
    assert differed > 0


async def test_a_row_that_only_its_gtin_names_sends_the_whole_file_the_usual_way(database: Database) -> None:
    await a_retailer(database, skus=4)
    head = b"sku;gtin;location;on_hand\n"
    # S1 twice: once by its own name, once by its GTIN alone. Nobody can know which number is meant.
    file = head + b"S1;;L1;10\n;7891000315507;L1;12\nS2;;L1;11\nS3;7891000315507;L1;11\n"
    loaded = await told(database, file, sieve.FROM_ROWS, 1)
    assert await told(database, file, 0, 2) == loaded
    rows, held, _facts = loaded
    assert [(sku, units) for sku, _place, units, _mentioned in rows] == [(2, 11)]
    assert [(row, problem) for row, *_cells, problem in held] == [(2, "twice"), (3, "twice"), (5, "other_gtin")]
    by_gtin = b"gtin;location;on_hand\n7891000315507;L1;12\n7891000315508;L1;1\n"
    loaded = await told(database, by_gtin, sieve.FROM_ROWS, 3)
    assert await told(database, by_gtin, 0, 4) == loaded
    assert len(loaded[0]) == len(loaded[1]) == 1


def rows_of(file: bytes) -> sieve.Rows | None:
    with Arriving(10) as arriving:
        arriving.write(file)
        table, shape = arriving.table("text/csv")
        return sieve.read(table, shape)


@pytest.mark.parametrize(
    "rows",
    [
        'S1;L1;10;a "mark" inside\n',
        '"S""1";L1;10;x\n',
        "S1;L1;10;x\n\nS2;L1;10;x\n",
        "S1;L1;10\n",
        "S1;L1;10;x;y\n",
        'S1;L1;10;"open\n',
    ],
)
def test_what_copy_may_read_otherwise_is_not_sifted(rows: str) -> None:
    file = "sku;location;on_hand;note\n" + rows
    assert rows_of(file.encode()) is None
    assert rows_of(b"sku;location;on_hand;note\nS1;L1;10;x\n") is not None


async def test_what_asks_for_a_second_look_is_kept_though_it_is_equal(database: Database) -> None:
    await a_retailer(database, skus=4)
    WAY["sift_from"] = 0
    async with database.transaction() as tx:  # after as_of two arrive and two leave: the number is equal, by chance
        await service.set_on_hand(tx, [Claim(1, 1, 12)], Reference("test"))
    file = b"sku;location;on_hand\n" + b"".join(f"S{s};L1;{12 if s == 1 else 10}\n".encode() for s in range(1, 5))
    taken = await state(database, file, seq=1, as_of=hours_ago(2), apply=False)
    assert taken.differing == 1
    assert (await on_hand(database))[1, 1] == 12


async def yesterday(database: Database) -> None:
    """Have everything recorded a day ago: nothing moved lately."""
    async with database.transaction() as tx:
        await tx.execute("UPDATE movement SET recorded_at = recorded_at - interval '1 day'")


async def test_a_balance_that_changes_after_the_comparison_has_its_movements_looked_up(database: Database) -> None:
    await a_retailer(database, skus=4)
    await yesterday(database)
    WAY["sift_from"] = 0
    file = b"sku;location;on_hand\n" + b"".join(f"S{s};L1;30\n".encode() for s in range(1, 5))
    taken = await state(database, file, seq=1, as_of=hours_ago(2), apply=False)
    async with database.transaction() as tx:
        assert await tx.value(SEEN, {"id": taken.id}) == 4
        await service.adjust(tx, [Claim(1, 1, 5)], Reason.FOUND, Reference("test"))
    await applying.apply(database, taken.id)
    now = await on_hand(database)
    assert [now[s, 1] for s in range(1, 5)] == [35, 30, 30, 30]


async def test_a_balance_that_moved_before_the_comparison_has_its_movements_looked_up(database: Database) -> None:
    await a_retailer(database, skus=4)
    await yesterday(database)
    WAY["sift_from"] = 0
    async with database.transaction() as tx:
        await service.adjust(tx, [Claim(1, 1, 5)], Reason.FOUND, Reference("test"))
    file = b"sku;location;on_hand\n" + b"".join(f"S{s};L1;30\n".encode() for s in range(1, 5))
    taken = await state(database, file, seq=1, as_of=hours_ago(2), apply=False)
    async with database.transaction() as tx:
        assert await tx.value(SEEN, {"id": taken.id}) == 3
    await applying.apply(database, taken.id)
    now = await on_hand(database)
    assert [now[s, 1] for s in range(1, 5)] == [35, 30, 30, 30]
