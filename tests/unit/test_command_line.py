"""The command line: what it offers, and in which words it refuses."""

from pathlib import Path

import pytest

from malha.cli.imports import app
from malha.exchange.model import Kind
from malha.platform import i18n
from malha.platform.backup import NoBackup, open_backup


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
