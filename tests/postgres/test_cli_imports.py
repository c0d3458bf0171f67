"""`malha import` as people run it: what it prints, what it returns, what is in the database afterwards."""

import asyncio
import json
import os
import sys
from pathlib import Path

from malha.catalog import reads
from malha.platform.db import Database


async def malha(database: Database, *arguments: str) -> tuple[int, str, str]:
    environment = {**os.environ, "DATABASE_URL": database.url, "MALHA_RETAILER": database.retailer, "COLUMNS": "200"}
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
    assert "Nada foi gravado: 1 de 2 linhas têm problema." in out
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
