"""Tables that people bring: looked at, checked, applied in pieces; a killed worker's import goes on; out and back in."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from contextlib import suppress

import msgspec
import pytest
from psycopg import OperationalError
from tests.waiting import doomed, gone
from xlsxwriter import Workbook

from malha.channels.connecting import service as connections
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.listings import service as listings
from malha.exchange import kinds, reads, service, undoing
from malha.exchange.errors import ColumnTwice, FileGone, ImportBusy, ImportNotFound, NoFile, UploadTooLarge
from malha.exchange.model import Kind, State
from malha.identity.errors import NeedsEverywhere
from malha.inventory.ahead import policies
from malha.inventory.ahead.model import Mode as SoldAhead
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.allotments import service as fences
from malha.inventory.allotments.model import AllotmentDraft, FenceRow
from malha.inventory.allotments.model import Kind as Fencing
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft
from malha.platform.db import SYSTEM, Actor
from malha.platform.errors import Forbidden
from malha.platform.imports import Mode, run_import
from malha.platform.sheets import Format
from malha.platform.signing import Keys
from malha.platform.tabular import UnreadableTable, as_csv
from malha.testing.builders import a_network, a_product

RUN = """
import asyncio, sys
from malha.exchange import service
from malha.platform.db import Database
async def main():
    async with Database(sys.argv[1], "malha", max_size=2) as db:
        await service.go_on.work(db, run_id=sys.argv[2])
asyncio.run(main())
"""
ANA = Actor("person", "ana", "Ana", permissions=frozenset({"stock:write", "catalog:write"}))


async def body_of(*pieces):
    for piece in pieces:
        yield piece


async def upload(database, kind, *pieces, actor=ANA, name="table.csv", limit_mb=5):
    return await service.take_in(database, actor, kind, name, body_of(*pieces), limit_mb=limit_mb)


async def run_of(database, run_id, actor=SYSTEM):
    async with database.transaction(actor) as tx:
        return await reads.run(tx, run_id)


async def do(database, run_id, *, apply, mapping=None, actor=ANA):
    async with database.transaction(actor) as tx:
        await service.begin(tx, run_id, mapping, apply=apply)
    await service.go_on.work(database, run_id=str(run_id))
    return await run_of(database, run_id)


@pytest.fixture
async def world(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        for n in range(1, 6):
            await a_product(tx, world, f"SKU-{n}", stock={"DC": 3}, price=1990)
    return world


async def test_a_table_is_looked_at_checked_and_applied_and_the_second_time_changes_nothing(database, world):
    table = "código;loja;saldo\r\nSKU-1;DC;7\r\nSKU-1;S1;2\r\nSKU-9;DC;1\r\n".encode("cp1252")
    run_id = await upload(database, Kind.STOCK, table[:10], table[10:])
    run = await run_of(database, run_id)
    assert (run.state, run.encoding, run.delimiter) == (State.MAPPING, "cp1252", ";")
    assert run.mapping == {"código": "sku", "loja": "location", "saldo": "on_hand"}
    assert run.sample[0] == ["SKU-1", "DC", "7"]
    run = await do(database, run_id, apply=False)
    assert (run.state, run.total, run.created, run.changed, run.bad) == (State.CHECKED, 3, 1, 1, 1)
    async with database.transaction() as tx:
        assert await tx.value("SELECT sum(on_hand) FROM balance") == 15  # nothing was written
    run = await do(database, run_id, apply=True)
    assert (run.state, run.created, run.changed, run.unchanged, run.bad) == (State.DONE, 1, 1, 0, 1)
    async with database.transaction() as tx:
        assert await tx.value("SELECT sum(on_hand) FROM balance") == 21
        [row] = await reads.flaws(tx, run_id)
        assert (row.line, row.cells, row.refused) == (4, ["SKU-9", "DC", "1"], True)
        assert await tx.value("SELECT count(*) FROM audit WHERE entity = 'import_stock' AND action = 'imported'") == 1
    with pytest.raises(ImportBusy):
        await do(database, run_id, apply=True)
    again = await do(database, await upload(database, Kind.STOCK, table), apply=True)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 2)


async def test_of_rows_that_state_other_units_of_the_same_stock_the_last_one_counts_and_says_so(database, world):
    rows = ["SKU-1;DC;7", "SKU-2;DC;5", "SKU-1;DC;2", "SKU-2;DC;5", "SKU-1;S1;1"]
    run = await do(
        database, await upload(database, Kind.STOCK, "\n".join(["sku;loja;saldo", *rows]).encode()), apply=True
    )
    assert (run.state, run.bad, run.warned) == (State.DONE, 0, 1)
    async with database.transaction() as tx:
        [told] = await reads.flaws(tx, run.id)
    assert (told.line, told.refused) == (4, False)
    assert service.said(told, "en", run.mapping) == (
        "saldo: Line 2 says 7 of the same SKU and location; this line counts. Add the two up, or leave one out."
    )


async def test_a_table_that_was_exported_undoes_no_sale_when_it_is_sent_back(database, world):
    exported = b"".join([p async for p in kinds.export(Kind.STOCK, Format.CSV, database, ANA)]).decode("utf-8-sig")
    meanwhile = "sku;location;on_hand\n" + "".join(f"SKU-{n};DC;1\n" for n in range(2, 6))
    await do(database, await upload(database, Kind.STOCK, meanwhile.encode()), apply=True)
    # Who sends it back counted SKU-3, keeps one of SKU-4 back, and means SKU-5 as it is written.
    changed = (
        exported.replace("SKU-3;DC;3;", "SKU-3;DC;2;")
        .replace("SKU-4;DC;3;;", "SKU-4;DC;3;1;")
        .replace("SKU-5;DC;3;;;3", "SKU-5;DC;3;;;")
    )
    run = await do(database, await upload(database, Kind.STOCK, changed.encode()), apply=True)
    assert (run.changed, run.unchanged, run.bad, run.warned) == (3, 2, 0, 2)
    async with database.transaction() as tx:
        there = await tx.tuples("SELECT v.sku, b.on_hand, b.safety FROM balance b JOIN variant v ON v.id = b.sku_id")
        told = [service.said(row, "en", run.mapping) for row in await reads.flaws(tx, run.id)]
    assert sorted(there) == [
        ("SKU-1", 3, 0), ("SKU-2", 1, 0), ("SKU-3", 2, 0), ("SKU-4", 1, 1), ("SKU-5", 3, 0),
    ]  # fmt: skip
    assert told[0].startswith("on_hand: On hand is 1 by now. The line says what it said when it was exported")


async def test_what_a_person_says_headings_mean_is_remembered_for_files_like_that(database, world):
    table = b"a,b,c\nSKU-1,DC,4\n"
    mapping = {"a": "sku", "b": "location", "c": "on_hand"}
    run_id = await upload(database, Kind.STOCK, table)
    assert (await run_of(database, run_id)).mapping == {"a": "", "b": "", "c": ""}
    failed = await do(database, run_id, apply=False)
    assert failed.state is State.MAPPING
    assert "columns are missing" in failed.error["says"]
    with pytest.raises(ColumnTwice):
        await do(database, run_id, apply=False, mapping={**mapping, "c": "sku"})
    assert (await do(database, run_id, apply=False, mapping=mapping)).changed == 1
    assert (await run_of(database, await upload(database, Kind.STOCK, table))).mapping == mapping
    other = Actor("person", "bia", "Bia", permissions=frozenset({"stock:write"}))
    assert (await run_of(database, await upload(database, Kind.STOCK, table, actor=other))).mapping["a"] == ""


async def test_refused_rows_come_back_as_a_file_to_mend_and_send_again(database, world):
    table = "sku;preço;obs\nSKU-1;12,90;ok\nSKU-2;doze;ver\nSKU-X;1,00;?\n".encode()
    run_id = await upload(database, Kind.PRICES, table)
    assert (await do(database, run_id, apply=True)).bad == 2
    pages = service.refused_pages(database, ANA, run_id, "pt-BR", "O que está errado")
    refused = b"".join([piece async for piece in as_csv(pages)]).decode("utf-8-sig")
    head, first, second = refused.splitlines()
    assert head == "sku;preço;obs;O que está errado"
    assert first.startswith("SKU-2;doze;ver;") and "número" in first  # noqa: PT018
    assert second.startswith("SKU-X;1,00;?;")
    mended = refused.replace("doze", "12,00").replace("SKU-X", "SKU-3").encode()
    run = await do(database, await upload(database, Kind.PRICES, mended), apply=True)
    assert (run.bad, run.changed) == (0, 2)
    async with database.transaction() as tx:
        assert await tx.tuples("SELECT sku, price FROM variant ORDER BY sku LIMIT 3") == [
            ("SKU-1", 1290), ("SKU-2", 1200), ("SKU-3", 100),
        ]  # fmt: skip


async def test_a_refused_row_comes_back_with_what_it_has_beyond_the_header(database, world):
    table = "sku;preço\nSKU-1;1;200,00\nSKU-2;doze\nSKU-3;x; ;\n".encode()
    run_id = await upload(database, Kind.PRICES, table)
    assert (await do(database, run_id, apply=True)).bad == 3
    pages = [page async for page in service.refused_pages(database, ANA, run_id, "en", "wrong")]
    (_, first, second, third) = [row for page in pages for row in page]
    assert (first[:2], first[3:]) == (["SKU-1", "1"], ["200,00"])
    assert "has 3 cells for 2 columns" in first[2]
    assert (len(second), len(third)) == (3, 3)
    again = b"".join([piece async for piece in as_csv(service.refused_pages(database, ANA, run_id, "en", "wrong"))])
    assert (await do(database, await upload(database, Kind.PRICES, again), apply=True)).bad == 3


async def test_refused_rows_come_back_whole_however_long_their_texts_are(database, world):
    long = "Descrição longa. " * 900
    table = f"sku;nome;descrição;preço\nSKU-1;Um;{long};doze\n".encode()
    run_id = await upload(database, Kind.PRODUCTS, table)
    assert (await do(database, run_id, apply=True)).bad == 1
    refused = b"".join([p async for p in as_csv(service.refused_pages(database, ANA, run_id, "en", "What is wrong"))])
    run = await do(database, await upload(database, Kind.PRODUCTS, refused.replace(b"doze", b"12,00")), apply=True)
    assert (run.bad, run.changed) == (0, 1)
    async with database.transaction() as tx:
        sql = "SELECT p.description FROM product p JOIN variant v ON v.product_id = p.id WHERE v.sku = 'SKU-1'"
        assert await tx.value(sql) == long.strip()


async def test_the_import_of_a_killed_worker_goes_on_where_it_was_and_no_row_counts_twice(database, world):
    rows = 6_000
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name) SELECT 1, 'X' || n, 'X' FROM generate_series(1, %(n)s) n",
            {"n": rows},
        )
    table = "sku;location;on_hand\n" + "".join(f"X{n};DC;{n % 9 + 1}\n" for n in range(1, rows + 1))
    run_id = await upload(database, Kind.STOCK, table.encode())
    async with database.transaction(ANA) as tx:
        await service.begin(tx, run_id, None, apply=True)
    worker = subprocess.Popen([sys.executable, "-c", RUN, database.url, str(run_id)], env=doomed())
    while (killed := await run_of(database, run_id)).seen == 0:
        assert worker.poll() is None
        await asyncio.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    await gone(database)
    killed = await run_of(database, run_id)
    assert (killed.state, 0 < killed.seen < rows) == (State.APPLYING, True)
    async with database.transaction() as tx:
        moved = "SELECT count(*) FROM movement WHERE ref_kind = 'import'"
        assert await tx.value(moved) == killed.seen  # what is told is what is written
    await asyncio.gather(*(service.go_on.work(database, run_id=str(run_id)) for _ in range(2)))  # and one too many
    run = await run_of(database, run_id)
    assert (run.state, run.seen, run.created, run.bad) == (State.DONE, rows, rows, 0)
    async with database.transaction() as tx:
        assert await tx.value(moved) == rows
        assert await tx.value("SELECT sum(on_hand) FROM balance") == 15 + sum(n % 9 + 1 for n in range(1, rows + 1))


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_table_of_headings_alone_is_checked_and_applied_and_does_nothing(database, world, kind):
    heading = ";".join(column.name for column in kinds.target_of(kind).columns) + "\n"
    run_id = await upload(database, kind, b"\xef\xbb\xbf" + heading.encode())
    checked = await do(database, run_id, apply=False, actor=SYSTEM)
    assert (checked.state, checked.error, checked.total) == (State.CHECKED, None, 0)
    run = await do(database, run_id, apply=True, actor=SYSTEM)
    assert (run.state, run.error, run.total, run.created, run.bad) == (State.DONE, None, 0, 0, 0)
    async with database.transaction() as tx:
        assert not run.undoable(await tx.now())


async def test_imports_of_the_same_records_at_once_both_end_and_so_do_their_undos(database, world):
    """In opposite orders, over several chunks, with prices of the same SKUs between."""
    n = 1_200
    pens = "sku;name;price\n" + "".join(f"Q{i};Pen;1,00\n" for i in range(n))
    pencils = "sku;name;price\n" + "".join(f"Q{i};Pencil;2,00\n" for i in reversed(range(n)))
    prices = "sku;price\n" + "".join(f"Q{i};3,00\n" for i in range(0, n, 2))
    first = await do(database, await upload(database, Kind.PRODUCTS, pens.replace("1,00", "9,00").encode()), apply=True)
    assert first.created == n
    tables = ((Kind.PRODUCTS, pens), (Kind.PRODUCTS, pencils), (Kind.PRICES, prices))
    ids = [await upload(database, kind, table.encode()) for kind, table in tables]
    async with database.transaction(ANA) as tx:
        for run_id in ids:
            await service.begin(tx, run_id, None, apply=True)
    await asyncio.gather(*(service.go_on.work(database, run_id=str(run_id)) for run_id in ids))
    runs = [await run_of(database, run_id) for run_id in ids]
    assert [(run.state, run.bad, run.changed + run.unchanged) for run in runs] == [
        (State.DONE, 0, n), (State.DONE, 0, n), (State.DONE, 0, n // 2),
    ]  # fmt: skip
    written = [run for run in runs if run.changed]
    async with database.transaction(ANA) as tx:
        for run in written:
            await undoing.undo(tx, run.id)
    await asyncio.gather(*(undoing.take_back.work(database, run_id=str(run.id)) for run in written))
    ended = [await run_of(database, run.id) for run in written]
    assert [(run.state, run.undone + run.kept) for run in ended] == [(State.UNDONE, run.changed) for run in written]
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM variant WHERE sku LIKE 'Q%%' AND price IS NULL") == 0


@pytest.mark.parametrize(
    ("kind", "heading", "line", "again"),
    [
        (Kind.PRODUCTS, "sku;name", "N{n};One", "N0;Two"),
        (Kind.PRODUCTS, "sku;name;components", "N{n};One;SKU-1:1", "N0;Two;SKU-2:1"),
        (Kind.SAFETY_RULES, "code;name;amount", "N{n};One;1", "N0;Two;2"),
        (Kind.AHEAD_POLICIES, "sku;mode;cap", "Y{n};backorder;1", "Y0;backorder;2"),
        (Kind.CUSTOMERS, "nome;email;cep", "N{n};n{n}@loja.test;01310-100", "N0;n0@loja.test;22041-001"),
        (Kind.LOCATIONS, "code;name;establishment;cep;number", "N{n};One;SP1;01310-100;1", "N0;Two;SP1;01310-100;2"),
    ],
)
async def test_a_record_that_a_file_states_twice_is_refused_the_second_time_in_another_process_too(
    database, world, monkeypatch, kind, heading, line, again
):
    async with database.transaction() as tx:
        add = "INSERT INTO variant (product_id, sku, name) SELECT 1, 'Y' || n, 'Y' FROM generate_series(0, 500) n"
        await tx.execute(add)
    rows = [line.format(n=n) for n in range(500)]
    run_id = await upload(database, kind, "\n".join([heading, *rows, again, line.format(n=500), ""]).encode())
    async with database.transaction() as tx:
        await service.begin(tx, run_id, None, apply=True)
    target = type(kinds.target_of(kind))
    with monkeypatch.context() as patch:
        handle, times = target.handle, []

        async def dies(self, tx, rows, *, apply, turn):
            if rows[-1].line > 501 and (turn == 1 or "components" not in heading):
                raise OperationalError
            times.append(turn)
            return await handle(self, tx, rows, apply=apply, turn=turn)

        patch.setattr(target, "handle", dies)
        with pytest.raises(OperationalError):
            await service.go_on.work(database, run_id=str(run_id))
    assert (await run_of(database, run_id)).created == 500
    await service.go_on.work(database, run_id=str(run_id))
    run = await run_of(database, run_id)
    assert (run.state, run.seen, run.created, run.changed, run.bad) == (State.DONE, 502, 501, 0, 1)


@pytest.mark.parametrize(
    ("kind", "heading", "line", "again", "refused"),
    [
        (Kind.PRICES, "sku;price", "Y{n};5,00", "Y0;6,00", True),
        (Kind.STOCK, "sku;location;on_hand", "Y{n};DC;5", "Y0;DC;6", False),
    ],
)
async def test_what_a_row_says_otherwise_than_one_before_is_told_in_another_process_too(
    database, world, kind, heading, line, again, refused
):
    async with database.transaction() as tx:
        add = "INSERT INTO variant (product_id, sku, name) SELECT 1, 'Y' || n, 'Y' FROM generate_series(0, 500) n"
        await tx.execute(add)
    rows = [line.format(n=n) for n in range(500)]
    text = "\n".join([heading, *rows, again, line.format(n=500), ""])
    run_id = await upload(database, kind, text.encode())
    async with database.transaction() as tx:
        await service.begin(tx, run_id, None, apply=True)
    # As a worker leaves it that is killed after the first chunk.
    first = io.BytesIO("\n".join([heading, *rows, ""]).encode())
    await run_import(database, kinds.target_of(kind), first, mode=Mode.VALID)
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET at_line = 501, seen = 500, changed = 500")
    await service.go_on.work(database, run_id=str(run_id))
    run = await run_of(database, run_id)
    assert (run.state, run.seen, run.bad, run.warned) == (State.DONE, 502, int(refused), int(not refused))
    async with database.transaction() as tx:
        [told] = await reads.flaws(tx, run_id)
    assert (told.line, told.refused, told.problems[0]["facts"]["line"]) == (502, refused, "2")


async def test_an_import_that_a_person_stops_keeps_what_was_written_and_can_go_on(database, world):
    table = "sku;price\n" + "".join(f"SKU-{n % 5 + 1};{n},00\n" for n in range(1, 1_601))
    run_id = await upload(database, Kind.PRICES, table.encode())
    async with database.transaction(ANA) as tx:
        await service.begin(tx, run_id, None, apply=True)
    job = asyncio.create_task(service.go_on.work(database, run_id=str(run_id)))
    while (await run_of(database, run_id)).seen == 0 and not job.done():
        await asyncio.sleep(0)
    async with database.transaction(ANA) as tx:
        await service.stop(tx, run_id)
    await job
    stopped = await run_of(database, run_id)
    assert stopped.state in {State.STOPPED, State.DONE}
    if stopped.state is State.STOPPED:
        async with database.transaction(ANA) as tx:
            await service.resume(tx, run_id)
        await service.go_on.work(database, run_id=str(run_id))
    run = await run_of(database, run_id)
    assert (run.state, run.seen) == (State.DONE, 1_600)


async def test_people_see_their_own_imports_and_write_only_where_they_may(database, world):
    narrow = Actor(
        "person", "leo", "Leo", permissions=frozenset({"stock:write"}), locations=frozenset({world.locations["S1"]})
    )
    run_id = await upload(database, Kind.STOCK, b"sku;location;on_hand\nSKU-1;S1;4\nSKU-1;DC;9\n", actor=narrow)
    with pytest.raises(ImportNotFound):
        await run_of(database, run_id, ANA)
    run = await do(database, run_id, apply=True, actor=narrow)
    assert (run.created, run.bad) == (1, 1)
    exported = b"".join([p async for p in kinds.export(Kind.STOCK, Format.CSV, database, narrow)]).decode("utf-8-sig")
    assert exported.splitlines() == ["sku;location;on_hand;safety;owner;exported_on_hand", "SKU-1;S1;4;;;4"]
    with pytest.raises(NeedsEverywhere):
        await upload(database, Kind.PRICES, b"sku;price\nSKU-1;1,00\n", actor=narrow)
    everywhere = msgspec.structs.replace(narrow, locations=None)
    prices = await upload(database, Kind.PRICES, b"sku;price\nSKU-1;1,00\n", actor=everywhere)
    with pytest.raises(Forbidden):
        await do(database, prices, apply=True, actor=everywhere)


async def test_who_reads_the_audit_trail_sees_imports_of_others_but_no_personal_data_and_stops_none(database, world):
    ana = Actor("person", "ana", "Ana", permissions=frozenset({"customers:write", "stock:write"}))
    auditor = Actor("person", "rui", "Rui", permissions=frozenset({"audit:read", "stock:read"}))
    people = await upload(database, Kind.CUSTOMERS, b"nome;email\nZe;ze@example.com\n", actor=ana)
    with pytest.raises(ImportNotFound):
        await run_of(database, people, auditor)
    goods = await upload(database, Kind.STOCK, b"sku;location;on_hand\nSKU-1;DC;4\n", actor=ana)
    assert (await run_of(database, goods, auditor)).person == "Ana"

    async def stop():
        async with database.transaction(auditor) as tx:
            await service.stop(tx, goods)

    with pytest.raises(Forbidden):
        await stop()


async def test_what_is_no_table_is_refused_and_leaves_nothing_behind(database, world):
    for pieces, refusal in (
        ([], NoFile),
        ([b"x" * (2 << 20)], UploadTooLarge),
        ([b"PK\x03\x04junk"], UnreadableTable),
        ([b"s\0ku;b\n1;2\n" + b"x" * 40], UnreadableTable),
    ):
        with pytest.raises(refusal):
            await upload(database, Kind.STOCK, *pieces, limit_mb=1)
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM import_run") == 0
        assert await tx.value("SELECT count(*) FROM import_part") == 0


@pytest.mark.parametrize("apply", [False, True])
async def test_a_table_whose_file_was_forgotten_is_neither_checked_nor_applied_and_says_why(database, world, apply):
    run_id = await upload(database, Kind.PRICES, b"sku;price\nSKU-1;1,00\n")
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET uploaded_at = now() - interval '31 days'")
        await service.forget(tx)
    with pytest.raises(FileGone):
        await do(database, run_id, apply=apply)
    run = await run_of(database, run_id)
    assert (run.state, run.error) == (State.MAPPING, None)


async def test_old_files_and_refused_rows_are_forgotten_but_not_what_was_done(database, world):
    run_id = await upload(database, Kind.PRICES, b"sku;price\nSKU-X;1,00\n")
    await do(database, run_id, apply=True)
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET ended_at = now() - interval '31 days'")
        await service.forget(tx)
        assert await tx.value("SELECT count(*) FROM import_part") == 0
        assert await reads.flaws(tx, run_id) == []
        assert (await reads.run(tx, run_id)).bad == 1


@pytest.mark.parametrize("format_", list(Format))
@pytest.mark.parametrize("kind", list(Kind))
async def test_what_is_exported_imports_back_and_changes_nothing(database, world, kind, format_):
    async with database.transaction() as tx:
        await tx.execute("UPDATE variant SET weight_grams = 1234, price = 123456 WHERE sku = 'SKU-1'")
        await tx.execute("UPDATE variant SET name = '=SUM(A1)' WHERE sku = 'SKU-2'")
        await tx.execute("INSERT INTO balance (sku_id, location_id, on_hand, safety) SELECT 1, 2, 0, 4")
    people = b"nome;cpf;email\nAna Souza;111.444.777-35;ana@example.com\nZ\xc3\xa9;;ze@example.com\n"
    await run_import(database, kinds.target_of(Kind.CUSTOMERS), io.BytesIO(people), mode=Mode.VALID)
    if kind is Kind.LOCATIONS:  # as people state them: with everything that their address tells
        stated = "código;uf\n" + "".join(f"{code};{'RJ' if code == 'S2' else 'SP'}\n" for code in world.locations)
        await run_import(database, kinds.target_of(kind), io.BytesIO(stated.encode()), mode=Mode.ALL)
    if kind is Kind.ALLOTMENTS:
        stock = (FenceRow("SKU-1", "DC", 2),)
        async with database.transaction() as tx:
            await fences.put(
                tx, AllotmentDraft(code="APP", name="App", kind=Fencing.FENCE, channels=("web",), stock=stock), None
            )
    if kind is Kind.SAFETY_RULES:
        async with database.transaction() as tx:
            await safety.put(tx, SafetyRuleDraft(code="SPARE", name="Spare", amount=2, location="DC"), None)
    if kind is Kind.AHEAD_POLICIES:
        async with database.transaction() as tx:
            await policies.put(tx, PolicyDraft(product_id=1, sku_id=1, mode=SoldAhead.BACKORDER, cap=9), None)
    if kind is Kind.LISTINGS:
        draft = ConnectionDraft(
            code="loja",
            name="Loja",
            connector="generic",
            channel="web",
            config={"base_url": "https://loja.example/oms"},
        )
        said = [("SKU-1", "title", "Só na loja"), ("SKU-1", "images", ["https://a.example/1", "https://a.example/2"])]
        async with database.transaction() as tx:
            await connections.add_connection(tx, draft, Keys(b"k" * 32))
            await listings.say_many(tx, "loja", [*said, ("SKU-2", "Composição", "=lã")], {"SKU-3": 123_456})
    pieces = [piece async for piece in kinds.export(kind, format_, database, SYSTEM)]
    file = io.BytesIO(b"".join(pieces))
    report = await run_import(database, kinds.target_of(kind), file, mode=Mode.VALID)
    assert report.problems == [] or all(p.warning for p in report.problems), report.problems
    assert (report.created, report.changed, report.bad) == (0, 0, 0)
    assert report.unchanged == report.rows > 0


async def test_a_workbook_is_read_as_people_typed_it(database, world):
    file = io.BytesIO()
    book = Workbook(file)
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["SKU", "Preço"])
    sheet.write_row(1, 0, ["SKU-1", 12.9])
    sheet.write_row(3, 0, ["SKU-2", "1.234,50"])
    book.close()
    run = await do(database, await upload(database, Kind.PRICES, file.getvalue(), name="preços.xlsx"), apply=True)
    assert (run.encoding, run.changed, run.bad) == ("xlsx", 2, 0)
    async with database.transaction() as tx:
        found = await tx.values("SELECT price FROM variant WHERE sku IN ('SKU-1', 'SKU-2') ORDER BY sku")
    assert found == [1290, 123450]
    with suppress(ImportNotFound):
        await run_of(database, run.id, ANA)


async def test_a_formula_counts_by_its_result_and_one_that_failed_refuses_its_row(database, world):
    file = io.BytesIO()
    book = Workbook(file)
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["SKU", "Preço"])
    sheet.write_row(1, 0, ["SKU-1"])
    sheet.write_formula(1, 1, "=10+2.9", None, 12.9)
    sheet.write_row(2, 0, ["SKU-2"])
    sheet.write_formula(2, 1, "=1/0", None, "#DIV/0!")
    sheet.write_row(3, 0, ["SKU-3"])
    sheet.write_number(3, 1, 45_000, book.add_format({"num_format": "dd/mm/yyyy"}))
    book.close()
    run = await do(database, await upload(database, Kind.PRODUCTS, file.getvalue(), name="p.xlsx"), apply=True)
    assert (run.changed, run.bad) == (1, 2)
    async with database.transaction() as tx:
        flaws = await reads.flaws(tx, run.id)
    assert [service.said(flaw, "en", run.mapping) for flaw in flaws] == [
        "Preço: A formula failed in the spreadsheet: the cell holds #DIV/0!. Correct the formula, or empty the cell.",
        "Preço: 2023-03-15 is no number. Write it like 1.234,50 or 1234.50.",
    ]
