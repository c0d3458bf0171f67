"""Files of slots: whatever a spreadsheet saves is read, and what is none is refused with a sentence."""

from datetime import time
from io import BytesIO

import pytest
from xlsxwriter import Workbook

from malha.capacity.model import Kind, Template
from malha.console.capacity_form import read_file
from malha.network.rates_file import MOST_RATES, read_rates

TEXT = "Local;Tipo;Dia;De;Até;Vagas\nLJ01;retirada;seg;08:00;10:00;3\nLJ01;retirada;ter;8:00;10:00;4\n"
WEEK = [Template(1, time(8), time(10), 3), Template(2, time(8), time(10), 4)]


def book() -> bytes:
    file = BytesIO()
    made = Workbook(file)
    sheet, clock = made.add_worksheet(), made.add_format({"num_format": "hh:mm"})
    for at, line in enumerate(TEXT.splitlines()):
        for column, cell in enumerate(line.split(";")):
            if ":" in cell:
                sheet.write(at, column, time.fromisoformat(cell.zfill(5)), clock)
            else:
                sheet.write(at, column, int(cell) if cell.isdigit() else cell)
    made.close()
    return file.getvalue()


@pytest.mark.parametrize(
    "raw",
    [TEXT.encode(), TEXT.encode("cp1252"), TEXT.encode("utf-16"), TEXT.replace("\n", "\r").encode(), book()],
    ids=["utf-8", "windows", "utf-16", "old Macintosh", "xlsx"],
)
def test_slots_come_from_any_file_that_a_spreadsheet_saves(raw: bytes) -> None:
    stated, measures, flaws = read_file(raw)
    assert (measures, flaws) == ({}, [])
    ((key, week),) = stated.items()
    assert (key, week) == (("LJ01", Kind.PICKUP), WEEK)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "The file is empty."),
        (bytes(range(256)) * 20, "The first line lacks the columns {columns}."),
        (book()[:-400], "The file is no spreadsheet that can be read."),
        (TEXT.encode() + b"LJ01;" + b"x" * 200_000, "Lines {line} to {last} cannot be read: a cell is too long."),
    ],
    ids=["empty", "binary", "cut off", "endless cell"],
)
def test_what_is_no_file_of_slots_is_refused_with_a_sentence(raw: bytes, says: str) -> None:
    _stated, _measures, flaws = read_file(raw)
    assert [flaw.says for flaw in flaws] == [says]


def test_a_tariff_with_too_many_rows_is_not_read_to_its_end() -> None:
    rows = "".join(f"SP;RJ;{n},5;10,00;2\n" for n in range(1, MOST_RATES + 2))
    rates, problems = read_rates(f"from;to;up_to_kg;price;lead_days\n{rows}wrong;{'x' * 200_000}\n".encode())
    assert (rates, [problem.says for problem in problems]) == ([], ["More than {most} rows."])
