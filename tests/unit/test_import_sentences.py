"""What `malha import` says it did: one row is one row, in either language."""

import io

import pytest
from rich.console import Console

from malha.cli.imports import tell
from malha.platform import i18n
from malha.platform.imports import Mode, Report

ONE = {"created": 1, "changed": 0, "unchanged": 0}
MANY = {"created": 2, "changed": 1, "unchanged": 2}


def told(language: str, report: Report, mode: Mode) -> str:
    out = io.StringIO()
    with i18n.speaking(language):
        tell(report, mode, Console(file=out, width=200))
    return out.getvalue().strip()


@pytest.mark.parametrize(
    ("language", "report", "mode", "says"),
    [
        ("en", Report(rows=1, **ONE, applied=True), Mode.ALL, "1 row: 1 created, 0 changed, 0 unchanged, 0 rows refused."),
        ("pt-BR", Report(rows=1, **ONE, applied=True), Mode.ALL, "1 linha: 1 criada, 0 alterada, 0 sem mudança, 0 linha recusada."),
        ("pt-BR", Report(rows=6, **MANY, bad=1, applied=True), Mode.VALID,
         "6 linhas: 2 criadas, 1 alterada, 2 sem mudança, 1 linha recusada."),
        ("en", Report(rows=1, **ONE), Mode.PREVIEW, "1 row checked: 1 would be created, 0 changed, 0 unchanged, 0 rows refused."),
        ("pt-BR", Report(rows=6, **MANY, bad=2), Mode.PREVIEW,
         "6 linhas conferidas: 2 seriam criadas, 1 alterada, 2 sem mudança, 2 linhas recusadas."),
        ("en", Report(rows=3, bad=1), Mode.ALL, "Nothing was written: 1 row of 3 is bad. --valid imports the others."),
        ("pt-BR", Report(rows=3, bad=2), Mode.ALL,
         "Nada foi gravado: 2 linhas de 3 têm problema. --valid importa as outras."),
    ],
)  # fmt: skip
def test_counts_are_spelled_as_people_count(language: str, report: Report, mode: Mode, says: str) -> None:
    assert told(language, report, mode) == says
