"""Rows of fences as a table: checked, applied in pieces beside claims, refused row by row, taken back, and out again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from malha.doctor import examine
from malha.exchange import kinds, reads, service, undoing
from malha.exchange.model import Kind, State
from malha.identity.errors import NeedsEverywhere
from malha.inventory import service as inventory
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments import service as fences
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Taker
from malha.inventory.allotments.model import Kind as What
from malha.inventory.model import Claim, Reference
from malha.platform.db import SYSTEM, Actor, Database
from malha.platform.errors import Conflict
from malha.platform.ids import UUID, new_id
from malha.platform.sheets import Format
from malha.testing.builders import a_network, a_product

RIGHTS = frozenset({"stock:write", "stock:read", "audit:read"})
BIA = Actor("person", "bia", "Bia", permissions=RIGHTS)


@pytest.fixture
async def world(database: Database) -> Any:
    """Cups and plates at DC and S1; the fence APP of the web, and a cap."""
    async with database.transaction(BIA) as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 10, "S1": 5})
        await a_product(tx, world, "PLATE", stock={"DC": 8})
        app = AllotmentDraft(
            code="APP", name="App", kind=What.FENCE, channels=("web",), stock=(FenceRow("CUP", "DC", 2),)
        )
        await fences.put(tx, app, None)
        await fences.put(tx, AllotmentDraft(code="CAP", name="Cap", kind=What.CAP, quota=3), None)
    return world


async def _body(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def run(database: Database, text: str, *, apply: bool = True, actor: Actor = BIA) -> UUID:
    run_id = await service.take_in(database, actor, Kind.ALLOTMENTS, "cotas.csv", _body(text), limit_mb=5)
    async with database.transaction(actor) as tx:
        await service.begin(tx, run_id, None, apply=apply)
    await service.go_on.work(database, run_id=str(run_id))
    return run_id


async def standing(database: Database, code: str) -> dict[tuple[str, str], tuple[int, int]]:
    """What a fence wants and has left, by SKU and location."""
    async with database.transaction() as tx:
        (found,) = await allotments.listed(tx, [code])
        return {(x.sku, x.location): (x.wanted, x.remaining) for x in await allotments.fence_lines(tx, found.id)}


HEAD = "cota;sku;local;quantidade\n"
GOOD = HEAD + "APP;CUP;DC;6\nAPP;CUP;S1;9\nAPP;PLATE;DC;3\n"


async def test_a_check_writes_nothing_and_an_import_sets_apart_what_is_there(
    database: Database, world: Any, examined: None
) -> None:
    checked = await run(database, GOOD, apply=False)
    assert await standing(database, "APP") == {("CUP", "DC"): (2, 2)}
    async with database.transaction() as tx:
        found = await reads.run(tx, checked)
    assert (found.state, found.created, found.changed, found.bad) == (State.CHECKED, 2, 1, 0)
    await run(database, GOOD)
    assert await standing(database, "APP") == {("CUP", "DC"): (6, 6), ("CUP", "S1"): (9, 5), ("PLATE", "DC"): (3, 3)}
    again = await run(database, GOOD)
    async with database.transaction() as tx:
        found = await reads.run(tx, again)
    assert (found.created, found.changed, found.unchanged) == (0, 0, 3)


async def test_rows_that_cannot_be_are_refused_one_by_one_and_the_others_are_applied(
    database: Database, world: Any
) -> None:
    async with database.transaction(BIA) as tx:
        mall = AllotmentDraft(
            code="WEB2", name="Other", kind=What.FENCE, channels=("web",), stock=(FenceRow("PLATE", "DC", 1),)
        )
        await fences.put(tx, mall, None)
    rows = "NOPE;CUP;DC;1\nCAP;CUP;DC;1\nAPP;NOPE;DC;1\nAPP;CUP;NOPE;1\nAPP;CUP;DC;-1\nAPP;PLATE;DC;2\nAPP;CUP;S1;4\n"
    run_id = await run(database, HEAD + rows)
    async with database.transaction() as tx:
        flaws = {f.line: f.problems[0]["says"] for f in await reads.flaws(tx, run_id)}
    assert flaws == {
        2: "There is no allotment {value}.",
        3: "{value} is a cap: it sets nothing apart.",
        4: "There is no SKU {value}.",
        5: "There is no location {value}.",
        6: "{value} is no possible quantity.",
        7: "Fence {other} already sets it apart for the same channels at that time.",
    }
    assert (await standing(database, "APP"))["CUP", "S1"] == (4, 4)
    pages = service.refused_pages(database, BIA, run_id, "en", "wrong")
    refused = [row async for page in pages for row in page]
    assert [row[:4] for row in refused[1:3]] == [["NOPE", "CUP", "DC", "1"], ["CAP", "CUP", "DC", "1"]]


async def test_an_import_is_taken_back_but_for_what_somebody_stated_since(
    database: Database, world: Any, examined: None
) -> None:
    run_id = await run(database, GOOD)
    await run(database, HEAD + "APP;PLATE;DC;5\n")
    async with database.transaction(BIA) as tx:
        await undoing.undo(tx, run_id)
    await undoing.take_back.work(database, run_id=str(run_id))
    assert await standing(database, "APP") == {("CUP", "DC"): (2, 2), ("PLATE", "DC"): (5, 5)}
    async with database.transaction(SYSTEM) as tx:
        assert [left.label for left in await reads.left(tx, run_id)] == ["APP, PLATE, DC"]


async def test_what_goes_out_comes_back_in_unchanged(database: Database, world: Any) -> None:
    await run(database, GOOD)
    file = b"".join([piece async for piece in kinds.export(Kind.ALLOTMENTS, Format.CSV, database, BIA)]).decode(
        "utf-8-sig"
    )
    assert file.splitlines()[0] == "allotment;sku;location;quantity"
    run_id = await run(database, file)
    async with database.transaction() as tx:
        found = await reads.run(tx, run_id)
    assert (found.unchanged, found.bad) == (3, 0)


async def test_an_open_form_does_not_put_back_what_a_table_stated(database: Database, world: Any) -> None:
    async with database.transaction(BIA) as tx:
        (before,) = await allotments.listed(tx, ["APP"])
    await run(database, GOOD)
    stale = AllotmentDraft(
        code="APP", name="App", kind=What.FENCE, channels=("web",), stock=(FenceRow("CUP", "DC", 1),)
    )
    with pytest.raises(Conflict):
        async with database.transaction(BIA) as tx:
            await fences.put(tx, stale, before.version)


async def test_who_is_limited_to_locations_brings_none(database: Database, world: Any) -> None:
    limited = Actor("person", "ana", "Ana", permissions=RIGHTS, locations=frozenset({1}))
    with pytest.raises(NeedsEverywhere):
        await run(database, GOOD, actor=limited)


async def test_tables_and_claims_at_once_never_give_a_unit_twice(database: Database, world: Any) -> None:
    """Fences grow and shrink by tables while their channel draws and another one claims common stock."""
    place = world.locations["DC"]
    async with database.transaction() as tx:
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'CUP'")

    async def tables() -> None:
        for n in range(6):
            await run(database, HEAD + f"APP;CUP;DC;{(n * 5) % 9}\n")

    async def claims(channel: str) -> int:
        got = 0
        for _ in range(8):
            async with database.transaction(BIA) as tx:
                taker = Taker(world.channels[channel], None)
                about = Reference("order", new_id())
                got += not await inventory.reserve(tx, [Claim(sku, place, 1)], about, taker=taker)
        return got

    _none, web, mall = await asyncio.gather(tables(), claims("web"), claims("mall"))
    async with database.transaction() as tx:
        ((on_hand, allocated, held, fenced),) = await tx.tuples(
            "SELECT on_hand, allocated, held, fenced FROM balance "
            "WHERE sku_id = %(sku)s::int AND location_id = %(place)s::int",
            {"sku": sku, "place": place},
        )
    assert (allocated, on_hand) == (web + mall, 10)
    assert allocated + held + fenced <= on_hand
    report = await examine(database)
    assert not [f.check for f in report.findings if f.drifts and f.check.startswith(("fence", "stock_", "balance"))]
