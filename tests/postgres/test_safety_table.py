"""Safety rules as a table: each row one rule whole, refused row by row, and out again unchanged."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from malha.exchange import kinds
from malha.exchange import service as exchange
from malha.exchange.model import Kind
from malha.identity.errors import NeedsEverywhere
from malha.inventory.safety import reads, service
from malha.inventory.safety.model import Measure, Purpose, SafetyRule, SafetyRuleDraft
from malha.inventory.safety.table import SafetyImport
from malha.network.service import SharedByAll
from malha.platform.db import Actor, Database
from malha.platform.imports import Mode, Report, run_import
from malha.platform.sheets import Format
from malha.testing.builders import a_network, a_product

BIA = Actor("person", "bia", "Bia", permissions=frozenset({"stock:write", "stock:read", "audit:read"}))
HEADER = "código;nome;finalidade;medida;quantidade;local;uf;sku;canal;fim;ativa\n"


@pytest.fixture
async def world(database: Database) -> Any:
    async with database.transaction(BIA) as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 10, "S1": 5})
        await service.put(tx, SafetyRuleDraft(code="OLD", name="Old", amount=1, sku="CUP"), None)
    return world


async def bring(database: Database, text: str, mode: Mode = Mode.VALID, actor: Actor = BIA) -> Report:
    return await run_import(database, SafetyImport(), io.BytesIO((HEADER + text).encode()), mode=mode, actor=actor)


async def rules(database: Database) -> dict[str, SafetyRule]:
    async with database.transaction(BIA) as tx:
        return {rule.code: rule for rule in await reads.all_rules(tx)}


async def taken(database: Database) -> bytes:
    pieces: AsyncIterator[bytes] = kinds.export(Kind.SAFETY_RULES, Format.CSV, database, BIA)
    return b"".join([piece async for piece in pieces])


async def test_rows_make_and_change_rules_and_the_trail_names_each(database: Database, world: Any):
    told = await bring(
        database,
        "OLD;Velha;não vender;%;20;DC;;CUP;;;\nNEW;Nova;não publicar;dias;3;;SP;;web;27/11/2026 08:00;não\n",
    )
    assert (told.created, told.changed, told.bad) == (1, 1, 0)
    found = await rules(database)
    old, new = found["OLD"], found["NEW"]
    assert (old.name, old.measure, old.amount, old.location, old.version) == ("Velha", Measure.PERCENT, 20, "DC", 2)
    assert (new.purpose, new.measure, new.state, new.channel, new.active) == (
        Purpose.ONLINE, Measure.DAYS, "SP", "web", False,
    )  # fmt: skip
    assert new.ends_at is not None
    assert new.ends_at.isoformat() == "2026-11-27T11:00:00+00:00"
    async with database.transaction(BIA) as tx:
        trail = await tx.tuples("SELECT action, entity_id FROM audit WHERE entity = 'safety_rule' ORDER BY id")
    assert trail == [("create", "OLD"), ("create", "NEW"), ("change", "OLD"), ("import", "-")]


async def test_what_an_export_says_changes_nothing_and_a_sweep_obeys_what_an_import_says(
    database: Database, world: Any
):
    await bring(database, "OLD;Velha;;;4;DC;;CUP;;;\n")
    out = (await taken(database)).decode("utf-8-sig")
    again = await run_import(database, SafetyImport(), io.BytesIO(out.encode()), mode=Mode.ALL, actor=BIA)
    assert (again.unchanged, again.changed, again.created, again.bad) == (1, 0, 0, 0)
    await service.sweep(database)
    async with database.transaction(BIA) as tx:
        kept = await tx.tuples("SELECT location_id, safety FROM balance WHERE safety > 0")
    assert [units for _place, units in kept] == [4]


async def test_bad_rows_are_told_each_with_its_column_and_the_others_go_in(database: Database, world: Any):
    told = await bring(
        database,
        "A;A;;percent;101;;;;;;\n"
        "B;B;talvez;;1;;;;;;\n"
        "C;C;;;1;NOWHERE;;NONE;;;\n"
        "D;D;;;1;;;;web;;\n"
        "E;E;;;1;;;;;ontem;\n"
        "F;F;;;1;;;;;;\n"
        "F;F again;;;2;;;;;;\n"
        ";G;;;1;;;;;;\n",
    )
    assert (told.created, told.bad) == (1, 7)
    wrong = {(problem.line, problem.column) for problem in told.problems}
    assert wrong == {
        (2, "quantidade"), (3, "finalidade"), (4, "local"), (4, "sku"), (5, "canal"), (6, "fim"), (8, "código"),
        (9, "código"),
    }  # fmt: skip
    assert set(await rules(database)) == {"OLD", "F"}


async def test_a_check_writes_nothing_and_one_bad_row_stops_a_table_that_wants_all_or_nothing(
    database: Database, world: Any
):
    assert (await bring(database, "N;N;;;1;;;;;;\n", Mode.PREVIEW)).created == 1
    assert not (await bring(database, "N;N;;;1;;;;;;\nM;M;;;x;;;;;;\n", Mode.ALL)).applied
    assert set(await rules(database)) == {"OLD"}


async def test_who_is_limited_to_locations_brings_no_rules(database: Database, world: Any):
    limited = Actor("person", "z", "Z", permissions=BIA.permissions, locations=frozenset({1}))
    with pytest.raises(SharedByAll):
        await bring(database, "N;N;;;1;;;;;;\n", actor=limited)

    async def body() -> AsyncIterator[bytes]:
        yield HEADER.encode()

    with pytest.raises(NeedsEverywhere):
        await exchange.take_in(database, limited, Kind.SAFETY_RULES, "x.csv", body(), limit_mb=1)
