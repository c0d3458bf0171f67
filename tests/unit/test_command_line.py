"""The command line: what it offers, and in which words it refuses."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from malha.cli import backup, mail, restore
from malha.cli.imports import app
from malha.cli.main import main
from malha.exchange.model import Kind
from malha.platform import i18n
from malha.platform.backup import Backup, Manifest, NoBackup, open_backup


def test_every_kind_that_is_exported_is_imported_too() -> None:
    assert {command.name for command in app.registered_commands} >= {kind.value for kind in Kind}


def test_why_something_is_no_backup_is_said_in_one_language(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.tar").write_bytes(b"not a tar")
    for name, why in {
        "nothing": "não há nada ali",
        "empty": "falta manifest.json",
        "b.tar": "não é um arquivo .tar, ou foi interrompido",
    }.items():
        with pytest.raises(NoBackup) as refused, open_backup(tmp_path / name):
            pass
        assert i18n.translate("pt-BR", refused.value.says, **refused.value.facts).endswith(f"Malha: {why}.")


@pytest.mark.parametrize(("terminal", "why"), [("en_US.UTF-8", "nothing is there"), ("pt_BR.UTF-8", "não há nada ali")])
def test_a_refusal_is_in_the_language_of_the_terminal(
    terminal: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", terminal)
    with i18n.speaking(i18n.DEFAULT), pytest.raises(SystemExit):
        main(["restore", str(tmp_path / "nothing")])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["stock", "prices"])
def test_rows_about_what_is_not_there_make_no_database_in_a_directory_that_has_none(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("MALHA_DATABASE_URL", raising=False)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.setenv("MALHA_DATA_DIR", str(tmp_path / "mistyped"))
    table = tmp_path / "table.csv"
    table.write_text("sku,location,on_hand,price\nA,CD,3,12.90\n")
    with i18n.speaking(i18n.DEFAULT), pytest.raises(SystemExit) as ended:
        main(["import", kind, str(table)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"There is no database in {tmp_path / 'mistyped'} yet" in said
    assert "MALHA_DATA_DIR" in said
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [("MALHA_PORT", "none", "MALHA_PORT"), ("MALHA_DATA_DIR", "/dev/null/malha", "/dev/null/malha")],
)
def test_mail_that_came_back_stays_with_the_mail_server_while_malha_cannot_be_reached(
    setting: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv(setting, value)
    with pytest.raises(SystemExit) as ended:
        main(["mail", "bounces"])
    assert ended.value.code == os.EX_TEMPFAIL
    assert why in capsys.readouterr().err


def test_a_defect_does_not_lose_mail_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mail, "runtime", lambda **_: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        main(["mail", "bounces"])
    assert ended.value.code == os.EX_TEMPFAIL
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(("rows", "said"), [(1, "1 linha restaurada, e"), (2000, "2.000 linhas restauradas, e")])
def test_a_backup_and_its_restoring_count_one_row_as_one(
    rows: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    i18n.use("pt-BR")
    try:
        assert restore.restored(rows).startswith(said)
        manifest = Manifest(1, datetime.now(UTC), "1", 180006, "18", ["m"], ["m"], "x", {}, {"m.a": rows}, {})
        backup.tell(Backup(tmp_path, tmp_path, manifest), verified=False, removed=[], as_json=False)
        assert f"{i18n.number(rows)} linha{'s' if rows > 1 else ''} de 1 " in capsys.readouterr().err
    finally:
        i18n.use(i18n.DEFAULT)
