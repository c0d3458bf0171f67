"""What `malha doctor` prints, and how it ends."""

import json
from io import StringIO

import pytest
from rich.console import Console
from spine_rows import a_network, stock

from malha.cli import doctor
from malha.doctor import CHECKS, examine
from malha.platform.db import Database
from malha.platform.i18n import speaking


async def test_a_healthy_shop_ends_with_zero(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with speaking("en"):
        assert await doctor.run(database) == 0
    assert "Healthy: nothing drifts." in capsys.readouterr().out


async def test_drift_ends_with_one_and_is_told_in_the_readers_language(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        for sku in range(1, 4):
            for location in (1, 2):
                await stock(tx, sku, location, on_hand=10)
        await tx.execute("UPDATE balance SET on_hand = 9")
    console = Console(record=True, width=200, file=StringIO())
    with speaking("pt-BR"):
        assert await doctor.run(database, console=console) == 1
    told = console.export_text()
    assert "Saldos que não são a soma de seus movimentos: 6" in told
    assert "SKU-1 em CD01: físico 9, movimentos 10" in told
    assert "Divergências encontradas, linhas em desacordo: 6" in told


async def test_json_has_rows_and_sentences(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await stock(tx, 1, 1, on_hand=10)
        await tx.execute("UPDATE balance SET held = 2")
    with speaking("en"):
        assert await doctor.run(database, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["healthy"], told["drift"]) == (False, 2)
    assert [f["check"] for f in told["findings"]] == ["balance_ledger", "held_holds"]
    assert told["findings"][1]["rows"] == [
        {"says": "SKU-1 at CD01: held 2, by active holds 0.", "sku": "SKU-1", "location": "CD01", "held": 2, "holds": 0}
    ]


async def test_each_check_is_told_before_it_reads(database: Database) -> None:
    """On a large database a check may take minutes; whoever waits sees which one it is."""
    told: list[tuple[str, int, int]] = []
    await examine(database, progress=lambda *at: told.append(at))
    assert told == [(check.name, n, len(CHECKS)) for n, check in enumerate(CHECKS)]


async def test_the_check_at_hand_is_shown_beside_the_report_and_not_in_it(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as far as the bar can tell
    with speaking("pt-BR"):
        assert await doctor.run(database) == 0
    shown = capsys.readouterr()
    assert "Examinando" in shown.err
    assert "Examinando" not in shown.out
    assert await doctor.run(database, as_json=True) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out)["healthy"] is True
