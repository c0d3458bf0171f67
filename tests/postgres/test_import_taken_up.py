"""A keyed import that was cut off goes on where it was when it is sent again: each row is written once, and told once."""

import asyncio
import io

import msgspec
import psycopg
import pytest

from malha.exchange import at_once, reads, service, undoing
from malha.exchange.at_once import Asked, import_at_once
from malha.exchange.errors import ImportBusy
from malha.exchange.model import Kind, State
from malha.inventory import service as inventory
from malha.inventory.imports import StockImport
from malha.inventory.model import Claim, Reason, Reference
from malha.platform import idempotency
from malha.platform.db import SYSTEM, Actor
from malha.platform.errors import Busy
from malha.platform.i18n import translate
from malha.platform.idempotency import InFlight, KeyReused
from malha.platform.imports import TRIES, Mode, Report
from malha.platform.tabular import MissingColumns
from malha.testing.builders import a_network, a_product

BIA = Actor("person", "bia", "Bia")
ROWS = 1_200
STOCK = "sku;location;on_hand\n" + "".join(f"X{n};DC;{n % 9 + 1}\n" for n in range(ROWS))
MOVED = "SELECT count(*), count(DISTINCT (sku_id, location_id)) FROM movement WHERE ref_kind = 'import'"


class Killed(BaseException):
    pass


def killed(rows):
    raise Killed


def asked_of(text, key="night-1"):
    def reply(report):
        return idempotency.Reply(200, {}, msgspec.json.encode({"rows": report.rows, "changed": report.changed}))

    return Asked(idempotency.command(BIA.label, key, "POST /v1/stock:import valid", text.encode()), reply)


async def bring(database, text, *, kind=Kind.STOCK, mode=Mode.VALID, progress=None, key="night-1"):
    file = io.BytesIO(text.encode())
    return await import_at_once(
        database, kind, file, mode=mode, actor=BIA, name="t.csv", progress=progress, asked=asked_of(text, key)
    )


async def cut_off(database, text, **more):
    """As a killed process leaves it: its first chunk is written, and nothing says that it ended."""
    with pytest.raises(Killed):
        await bring(database, text, progress=killed, **more)
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET state = 'applying', ended_at = NULL, error = NULL")


async def the_run(database):
    async with database.transaction(BIA) as tx:
        [run] = await reads.runs(tx, [kind.value for kind in Kind])
    return run


async def kept(database, text):
    async with database.transaction(BIA) as tx:
        return await idempotency.begin(tx, asked_of(text).command)


@pytest.fixture
async def world(database, examined):
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 5}, price=100)
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name, price) SELECT 1, 'X' || n, 'X', 100 "
            "FROM generate_series(0, %(n)s) n",
            {"n": ROWS},
        )
    return world


@pytest.mark.parametrize("mode", [Mode.ALL, Mode.VALID])
async def test_what_changed_since_an_import_was_cut_off_is_not_put_back_when_it_goes_on(database, world, mode):
    await cut_off(database, STOCK, mode=mode)
    async with database.transaction() as tx:
        x8 = await tx.value("SELECT id FROM variant WHERE sku = 'X8'")
        broken = [Claim(x8, world.locations["DC"], -1)]
        await inventory.adjust(tx, broken, Reason.ADJUSTMENT, Reference("count"))
    report = await bring(database, STOCK, mode=mode)
    assert (report.rows, report.created, report.last_line, report.applied) == (ROWS, ROWS, ROWS + 1, True)
    async with database.transaction() as tx:
        on_hand = await tx.value("SELECT on_hand FROM balance WHERE sku_id = %(sku)s::int", {"sku": x8})
        assert on_hand == 8  # of nine that the table says
        assert await tx.tuples(MOVED) == [(ROWS, ROWS)]
    run = await the_run(database)
    assert (run.state, run.seen, run.created, run.total) == (State.DONE, ROWS, ROWS, ROWS)
    assert (await kept(database, STOCK)).status == 200


async def test_the_undo_of_an_import_that_went_on_takes_both_parts_back(database, world):
    await cut_off(database, STOCK)
    await bring(database, STOCK)
    run = await the_run(database)
    async with database.transaction(BIA) as tx:
        await undoing.undo(tx, run.id)
    await undoing.take_back.work(database, run_id=str(run.id))
    run = await the_run(database)
    assert (run.state, run.undone, run.kept) == (State.UNDONE, ROWS, 0)
    async with database.transaction() as tx:
        assert await tx.value("SELECT sum(on_hand) FROM balance") == 5


async def test_what_was_wrong_before_an_import_was_cut_off_is_told_when_it_ends(database, world):
    lines = [f"X{n};DC;1\n" for n in range(600)]
    lines[7], lines[9], lines[550] = "NOPE;DC;1\n", "X8;DC;4\n", "X550;ATTIC;1\n"
    text = "sku;loja;saldo\n" + "".join(lines)
    await cut_off(database, text)
    report = await bring(database, text)
    told = [(p.line, p.column, p.value, p.warning) for p in report.problems]
    assert told == [(9, "sku", "NOPE", False), (11, "saldo", "4", True), (552, "loja", "ATTIC", False)]
    assert report.problems[0].text("en") == "There is no SKU NOPE. Import its product first."
    assert (report.rows, report.bad, report.warned, report.more_problems) == (600, 2, 1, 0)
    whole = await bring(database, text, key="night-2")
    assert [(p.line, p.column, p.value, p.warning) for p in whole.problems] == told


async def test_of_two_processes_with_one_command_each_chunk_is_written_by_one(database, world):
    await cut_off(database, STOCK)
    found = await asyncio.gather(*(bring(database, STOCK) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, Report | InFlight) for one in found), found
    whole = [one for one in found if isinstance(one, Report)]
    assert [(one.rows, one.created) for one in whole] == [(ROWS, ROWS)]
    async with database.transaction() as tx:
        assert await tx.tuples(MOVED) == [(ROWS, ROWS)]
        assert await tx.value("SELECT count(*) FROM import_trace") == ROWS
    assert (await the_run(database)).seen == ROWS


async def test_a_command_that_comes_twice_at_once_from_the_beginning_is_one_import(database, world):
    found = await asyncio.gather(*(bring(database, STOCK, mode=Mode.ALL) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, Report | InFlight) for one in found), found
    assert [one.created for one in found if isinstance(one, Report)] == [ROWS]
    async with database.transaction() as tx:
        assert await tx.tuples(MOVED) == [(ROWS, ROWS)]


async def test_a_process_that_ends_does_not_end_what_another_one_has_gone_on_with(database, world):
    def overtaken(rows):
        with psycopg.connect(database.url, autocommit=True) as beside:
            beside.execute("UPDATE malha.import_run SET at_line = 1001")
        raise Killed

    with pytest.raises(Killed):
        await bring(database, STOCK, progress=overtaken)
    assert (await the_run(database)).state is State.APPLYING


@pytest.mark.parametrize("how", ["stopped", "undone"])
async def test_what_a_person_stopped_or_undid_does_not_go_on(database, world, how):
    await cut_off(database, STOCK)
    run = await the_run(database)
    async with database.transaction(BIA) as tx:
        await service.stop(tx, run.id)
    if how == "undone":
        async with database.transaction(BIA) as tx:
            await undoing.undo(tx, run.id)
        await undoing.take_back.work(database, run_id=str(run.id))
    with pytest.raises(ImportBusy):
        await bring(database, STOCK)
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM balance WHERE on_hand > 0") == (501 if how == "stopped" else 1)


async def test_a_key_stands_for_the_table_that_was_cut_off_and_for_no_other(database, world):
    await cut_off(database, STOCK)
    with pytest.raises(KeyReused):
        await bring(database, STOCK + "CUP;DC;1\n")
    assert (await bring(database, STOCK + "CUP;DC;1\n", key="night-2")).rows == ROWS + 1


async def test_a_table_that_wrote_nothing_leaves_no_import_behind_and_its_key_free(database, world):
    with pytest.raises(MissingColumns):
        await bring(database, "sku;location\nCUP;DC\n")
    async with database.transaction(SYSTEM) as tx:
        assert await tx.value("SELECT count(*) FROM import_run") == 0
    assert (await bring(database, "sku;location;on_hand\nCUP;DC;9\n")).changed == 1


async def test_a_table_that_meets_what_somebody_holds_waits_for_its_turn_and_goes_on(database, world, monkeypatch):
    """Longer than a statement waits for a lock: a count in another browser, say. It failed in its midst."""
    handle, times = StockImport.handle, []
    with psycopg.connect(database.url, options="-c search_path=malha") as beside:
        beside.execute("SELECT FROM balance WHERE sku_id = (SELECT id FROM variant WHERE sku = 'CUP') FOR UPDATE")

        async def tried(self, tx, rows, *, apply, turn):
            times.append(rows[0].line)
            if times.count(502) == 2:
                beside.rollback()
            return await handle(self, tx, rows, apply=apply, turn=turn)

        monkeypatch.setattr(StockImport, "handle", tried)
        lines = STOCK.splitlines()
        lines[700] = "CUP;DC;9"
        report = await bring(database, "\n".join(lines))
    assert times == [2, 502, 502, 1002]
    assert (report.rows, report.bad, report.created, report.changed) == (ROWS, 0, ROWS - 1, 1)


async def test_a_chunk_that_gave_way_in_a_deadlock_is_written_once_more(database, world, monkeypatch):
    handle, times = StockImport.handle, []

    async def gives_way(self, tx, rows, *, apply, turn):
        done = await handle(self, tx, rows, apply=apply, turn=turn)
        times.append(rows[0].line)
        if times == [2]:
            raise psycopg.errors.DeadlockDetected
        return done

    monkeypatch.setattr(StockImport, "handle", gives_way)
    report = await bring(database, STOCK)
    assert (times, report.created, report.bad) == ([2, 2, 502, 1002], ROWS, 0)
    async with database.transaction() as tx:
        assert await tx.tuples(MOVED) == [(ROWS, ROWS)]


async def test_a_table_that_waits_in_vain_says_so_and_can_be_sent_again(database, world, monkeypatch):
    handle, times = StockImport.handle, []

    async def waits(self, tx, rows, *, apply, turn):
        times.append(rows[0].line)
        if rows[0].line == 502 and len(times) < 20:
            raise Busy
        return await handle(self, tx, rows, apply=apply, turn=turn)

    monkeypatch.setattr(StockImport, "handle", waits)
    with pytest.raises(Busy):
        await bring(database, STOCK)
    assert times == [2, *[502] * TRIES]
    assert ((await the_run(database)).state, (await the_run(database)).seen) == (State.FAILED, 500)
    times.extend([0] * 20)
    assert (await bring(database, STOCK)).created == ROWS


# --- whose process was killed ---


async def silent(database, seconds):
    """What has said nothing for so long."""
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET alive_at = now() - make_interval(secs => %(s)s)", {"s": seconds})
        await tx.execute("UPDATE import_run SET started_at = now() - interval '3 days'")


async def end_killed(database):
    async with database.transaction() as tx:
        await at_once.end_killed(tx)


async def killed_without_key(database, text, kind=Kind.STOCK):
    file = io.BytesIO(text.encode())
    with pytest.raises(Killed):
        await import_at_once(database, kind, file, mode=Mode.VALID, actor=BIA, name="t.csv", progress=killed)
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET state = 'applying', ended_at = NULL, error = NULL")


async def test_an_import_whose_process_was_killed_says_so_soon_with_what_is_written_and_can_be_undone(
    database, world, monkeypatch
):
    # The server of a test is younger than a minute.
    monkeypatch.setattr(at_once, "SILENT_S", 0)
    await killed_without_key(database, STOCK)
    await silent(database, 1)
    async with database.transaction() as tx:
        assert await tx.value("SELECT alive_at FROM import_run") is not None
    await end_killed(database)
    run = await the_run(database)
    assert (run.state, run.seen, run.created) == (State.FAILED, 500, 500)
    told = {lang: translate(lang, run.error["says"], **run.error["facts"]) for lang in ("en", "pt-BR")}
    assert "written up to line 501" in told["en"]
    assert "até a linha 501" in told["pt-BR"]
    assert "from line 502 on" in translate("en", run.error["mend"], **run.error["facts"])
    async with database.transaction(BIA) as tx:
        await undoing.undo(tx, run.id)
    await undoing.take_back.work(database, run_id=str(run.id))
    assert ((await the_run(database)).state, (await the_run(database)).undone) == (State.UNDONE, 500)


async def test_a_table_that_is_read_twice_is_sent_whole_again(database, world, monkeypatch):
    monkeypatch.setattr(at_once, "SILENT_S", 0)
    goods = "sku;name\n" + "".join(f"N{n};N\n" for n in range(600))
    await killed_without_key(database, goods, Kind.PRODUCTS)
    await silent(database, 1)
    await end_killed(database)
    assert "the whole file" in (await the_run(database)).error["mend"]


async def test_a_keyed_import_that_was_killed_goes_on_after_it_was_said_to_be_interrupted(database, world, monkeypatch):
    await cut_off(database, STOCK)
    await silent(database, 1)
    monkeypatch.setattr(at_once, "SILENT_S", 0)
    await end_killed(database)
    assert (await the_run(database)).state is State.FAILED
    assert (await bring(database, STOCK)).created == ROWS
    assert (await the_run(database)).state is State.DONE


async def test_an_import_that_lives_says_so_however_long_one_of_its_chunks_waits(database, world, monkeypatch):
    """Its chunk waits until its process has said, beside it, that it lives."""
    monkeypatch.setattr(at_once, "SAY_EVERY_S", 0.01)
    handle = StockImport.handle

    async def waits(self, tx, rows, *, apply, turn):
        if rows[0].line == 502:
            await silent(database, 600)
            async with database.transaction() as other:
                while not await other.value("SELECT alive_at > now() - interval '1 minute' FROM import_run"):
                    await asyncio.sleep(0.01)
            await end_killed(database)
        return await handle(self, tx, rows, apply=apply, turn=turn)

    monkeypatch.setattr(StockImport, "handle", waits)
    assert (await bring(database, STOCK)).created == ROWS
    assert (await the_run(database)).state is State.DONE


async def test_an_import_of_a_program_from_before_has_hours_and_one_of_a_job_is_watched_as_jobs_are(
    database, world, monkeypatch
):
    monkeypatch.setattr(at_once, "SILENT_S", 0)
    await killed_without_key(database, STOCK)
    async with database.transaction() as tx:
        await tx.execute("UPDATE import_run SET alive_at = NULL, started_at = now() - interval '11 hours'")
    await end_killed(database)
    assert (await the_run(database)).state is State.APPLYING
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO import_part (run_id, part, data) SELECT id, 0, 'x' FROM import_run")
        await tx.execute("UPDATE import_run SET started_at = now() - interval '13 hours'")
    await end_killed(database)
    assert (await the_run(database)).state is State.APPLYING
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM import_part")
    await end_killed(database)
    assert (await the_run(database)).state is State.FAILED


async def test_an_import_that_changes_nothing_stands_in_the_trail_once(database, world):
    text = "sku;location;on_hand\nCUP;DC;5\n"
    await import_at_once(database, Kind.STOCK, io.BytesIO(text.encode()), mode=Mode.ALL, actor=BIA, name="t.csv")
    async with database.transaction() as tx:
        told = await tx.tuples("SELECT action, entity_id FROM audit WHERE actor_id = 'bia'")
    assert told == [("import", "t.csv")]
