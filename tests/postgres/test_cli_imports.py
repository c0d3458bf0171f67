"""`malha import` as people run it: what it prints, what it returns, what is in the database afterwards."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psycopg
import pytest
from tests.waiting import doomed, gone

from malha.catalog import reads
from malha.platform.db import Database


async def malha(database: Database, *arguments: str, terminal: str = "C.UTF-8") -> tuple[int, str, str]:
    environment = {
        **os.environ,
        "LC_ALL": terminal,
        "DATABASE_URL": database.url,
        "MALHA_RETAILER": database.retailer,
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "malha.cli.main", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_file_is_looked_at_first_and_goes_in_by_its_good_rows(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "produtos.csv"
    file.write_bytes("sku;nome;preço\nA;Calça;12,90\nB;Blusa;dez\n".encode("cp1252"))
    code, out, _ = await malha(database, "import", "products", str(file))
    assert code == 1
    assert "dez não é um número." in out
    assert "Nada foi gravado: 1 linha de 2 tem problema." in out
    code, out, _ = await malha(database, "import", "products", str(file), "--valid", "--json")
    report = json.loads(out)
    assert (code, report["applied"], report["created"], report["bad"]) == (1, True, 1, 1)
    assert [(p["line"], p["column"], p["value"]) for p in report["problems"]] == [(3, "preço", "dez")]
    async with database.transaction() as tx:
        assert [card.price for card in await reads.by_skus(tx, ["A", "B"])] == [1290]
    file.write_text("nome\nCalça\n")
    code, _, err = await malha(database, "import", "products", str(file))
    assert code == 2
    assert "Faltam estas colunas: sku." in err


@pytest.mark.parametrize(
    ("terminal", "says"),
    [
        ("en_US.UTF-8", "1 row: 1 created, 0 changed, 0 unchanged, 0 rows refused."),
        ("pt_BR.UTF-8", "1 linha: 1 criada, 0 alterada, 0 sem mudança, 0 linha recusada."),
    ],
)
async def test_what_was_done_is_told_in_the_language_of_the_terminal(
    terminal: str, says: str, database: Database, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("sku;name\nA;Shirt\n")
    assert (await malha(database, "import", "products", str(table), terminal=terminal))[1].strip() == says


async def test_what_is_exported_to_a_file_imports_back_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    table = tmp_path / "precos.csv"
    table.write_text("sku;nome;preço\nA;Calça;12,90\n")
    assert (await malha(database, "import", "products", str(table)))[0] == 0
    for name in ("p.csv", "p.xlsx"):
        file = tmp_path / name
        assert (await malha(database, "export", "prices", str(file)))[0] == 0
        _, out, _ = await malha(database, "import", "prices", str(file), "--json")
        assert (json.loads(out)["rows"], json.loads(out)["unchanged"]) == (1, 1)
    code, out, _ = await malha(database, "export", "prices", "-")
    assert (code, out.lstrip("\ufeff").splitlines()) == (0, ["sku;price", "A;12,90"])


async def test_an_export_that_cannot_be_written_says_so_and_leaves_what_was_there(
    database: Database, tmp_path: Path
) -> None:
    code, _, err = await malha(database, "export", "prices", str(tmp_path / "no" / "p.csv"))
    assert (code, err.strip()) == (2, f"malha: {tmp_path}/no/p.csv: No such file or directory.")
    file = tmp_path / "p.csv"
    file.write_text("of yesterday")
    code, _, _ = await malha(database, "export", "prices", str(file))
    assert code == 0
    assert file.read_text("utf-8-sig").splitlines() == ["sku;price"]
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]
    table = tmp_path / "s.csv"
    table.mkdir()  # it cannot become the file: the one that was being written goes
    code, _, err = await malha(database, "export", "prices", str(table))
    assert code == 2
    assert "s.csv" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.csv", "s.csv"]


CPF = "11144477735"
ROWS, WRITTEN = 1_200, 1_000


async def killed(database: Database, *arguments: str) -> None:
    """Run an import that waits for somebody else in its third chunk, and kill it there."""
    with psycopg.connect(database.url, options="-c search_path=malha") as beside:
        beside.execute(
            "INSERT INTO customer (id, name, document, folded) VALUES (gen_random_uuid(), 'Outra', %s, '')", (CPF,)
        )
        environment = {**doomed(), "DATABASE_URL": database.url, "MALHA_RETAILER": database.retailer}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "malha.cli.main", "import", *arguments,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        async with asyncio.timeout(120):
            while (await told(database))[2:3] != (WRITTEN,):
                assert process.returncode is None
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        beside.rollback()
    await gone(database)


async def told(database: Database) -> tuple[object, ...]:
    """What became of the newest import: how many there are, its state, how many rows it read; and how many customers."""
    async with database.transaction() as tx:
        count = await tx.value("SELECT count(*) FROM import_run")
        newest = await tx.tuples("SELECT state, seen FROM import_run ORDER BY number DESC LIMIT 1")
        people = await tx.value("SELECT count(*) FROM customer")
    return (count, *(newest[0] if newest else ()), people)


def nameless(tmp_path: Path) -> Path:
    file = tmp_path / "clientes.csv"
    file.write_text("".join(["nome;cpf\n", *(f"F{n};{CPF if n == WRITTEN else ''}\n" for n in range(ROWS))]))
    return file


@pytest.mark.usefixtures("examined")
async def test_an_import_that_was_killed_goes_on_where_it_was_when_it_is_asked_for_again(
    database: Database, tmp_path: Path
) -> None:
    file = nameless(tmp_path)
    await killed(database, "customers", str(file), "--valid")
    assert await told(database) == (1, "applying", WRITTEN, WRITTEN)
    code, out, _ = await malha(database, "import", "customers", str(file), "--valid")
    assert code == 0, out
    assert f"Tinha sido interrompida depois da linha {WRITTEN + 1:,}, e continuou dali.".replace(",", ".", 1) in out
    assert await told(database) == (1, "done", ROWS, ROWS)
    code, out, _ = await malha(database, "import", "customers", str(file), "--valid", "--json")
    assert (code, json.loads(out)["created"]) == (0, ROWS - 1)  # who asks again states them again, as it warns
    assert await told(database) == (2, "done", ROWS, 2 * ROWS - 1)


@pytest.mark.parametrize("how", ["another file", "stopped", "of yesterday"])
async def test_what_is_another_import_begins_at_the_beginning(database: Database, tmp_path: Path, how: str) -> None:
    file = nameless(tmp_path)
    await killed(database, "customers", str(file), "--valid")
    async with database.transaction() as tx:
        if how == "stopped":
            await tx.execute("UPDATE import_run SET state = 'stopped', ended_at = now()")
        elif how == "of yesterday":
            await tx.execute("UPDATE import_run SET started_at = now() - interval '13 hours'")
        else:
            file.write_text(file.read_text() + "F;\n")
    code, out, _ = await malha(database, "import", "customers", str(file), "--valid", "--json")
    report = json.loads(out)
    rows = ROWS + (how == "another file")
    assert (code, report["rows"], report["went_on_after"]) == (0, rows, 0)
    assert await told(database) == (2, "done", rows, WRITTEN + rows)
