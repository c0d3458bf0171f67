"""Whatever comes as a table is read or refused with a sentence: no fault, no endless memory, no endless time.

Valid files are damaged in every way, and bombs are set off in a process of their own with its memory counted.
"""

import io
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from string import Formatter
from typing import BinaryIO

import hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xlsxwriter import Workbook

from malha.catalog.imports import parse_components
from malha.exchange import kinds
from malha.exchange.model import Kind
from malha.platform import tabular
from malha.platform.errors import MalhaError
from malha.platform.tabular import BadCell, open_table
from malha.platform.workbook import as_text

MOST_MEMORY_MB = 64

CSV_SEEDS = [
    'sku;nome;preço;option:Cor\nA-1;Blusa;12,90;Azul\nA-2;"Calça; ""jeans""";1.234,50;\n'.encode(),
    "código,CNPJ,UF\r\nSP01,12.ABC.345/01DE-35,SP\r\n".encode("cp1252"),
    "nome\tcpf\nAna\t111.444.777-35\n".encode("utf-16"),
    b"\xef\xbb\xbfsku|price\nA|=1+1\nB|@SUM(A1)\n",
]  # fmt: skip
NASTY = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b'""', b"\r", b"\n", b";" * 1_200, b"\xc3", b"\xed\xa0\x80", b"=cmd|'/C calc'!A0",
    b"9" * 5_000, b"\t", b"'" * 50, b"PK\x03\x04", b"-", b",", b"\x1a", b"1e999", "ﷺ".encode(), b"\\", b"NaN",
]  # fmt: skip


def a_workbook() -> bytes:
    file = io.BytesIO()
    book = Workbook(file)
    sheet = book.add_worksheet()
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    sheet.write_row(0, 0, ["sku", "preço", "dia", "nome"])
    for n in range(1, 6):
        sheet.write_row(n, 0, [f"A-{n}", 12.9 * n])
        sheet.write_number(n, 2, 45_000 + n, day)
        sheet.write_rich_string(n, 3, "a", book.add_format({"bold": True}), f"b{n}")
    sheet.write_formula(6, 0, "=1/0", value="#DIV/0!")
    sheet.write_boolean(6, 1, True)
    book.close()
    return file.getvalue()


WORKBOOK = a_workbook()
XML_NASTY = [
    b"&x;", b"<!DOCTYPE a>", b"]]>", b"</row>", b"<row r='-1'>", b"<row r='x'>", b"<c r='A1' t='s'><v>99999</v></c>", b"<c t='s'><v>-1</v></c>",
    b"<c r='A0'><v>1e400</v></c>", b"<c r='B2' s='99999999999'><v>9</v></c>", b"<c><v>nan</v></c>", b"<c s='1'><v>1e15</v></c>",
    b"<c t='d'><v>x</v></c>", b"\x00", b"\xff", b"<rPh>", b"</t>", b"<?xml version='1.1'?>", b'encoding="utf-7"', b"<c s='1'><v>-9e9</v></c>",
]  # fmt: skip


def damaged(data: bytes, seed: int, nasty: list[bytes]) -> bytes:
    """The data with some of it changed, cut, doubled, or with something nasty in it."""
    rng = random.Random(seed)
    made = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(5):
            case 0 if made:
                made[at % len(made)] = rng.randrange(256)
            case 1:
                made[at:at] = rng.choice(nasty)
            case 2:
                del made[at : at + rng.randint(1, 40)]
            case 3:
                made[at:at] = made[at : at + rng.randint(1, 200)] * rng.randint(1, 4)
            case _:
                del made[rng.randrange(len(made) + 1) :]
    return bytes(made)


def a_damaged_workbook(seed: int) -> bytes:
    """A workbook with damage to the archive, or to the XML in it."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        return damaged(WORKBOOK, seed, NASTY)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        names = source.namelist()
        chosen = rng.choice([n for n in names if n.endswith((".xml", ".rels"))])
        for name in names:
            content = source.read(name)
            if name != chosen:
                book.writestr(name, content)
            elif rng.random() < 0.95:
                book.writestr(name, damaged(content, seed, XML_NASTY))
    return file.getvalue()


def names_in(sentence: str) -> set[str]:
    """The facts that a sentence tells."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def read(data: bytes, kind: Kind) -> int | str:
    """Read all rows as the import of a kind does; return how many, or the code of the refusal."""
    target = kinds.target_of(kind)
    file: BinaryIO = io.BytesIO(data)
    try:
        file = as_text(file)
        table = open_table(file, target.columns, target.families)
        rows = 0
        for row in table:
            rows += 1
            assert row.values is not None
            for flaw in row.flaws:
                assert names_in(flaw.says) | names_in(flaw.mend) <= flaw.facts.keys()
    except MalhaError as refusal:
        assert refusal.status == 422
        assert names_in(refusal.says) <= refusal.facts.keys()
        return refusal.code
    finally:
        file.close()
    return rows


every_kind = st.sampled_from(list(Kind))


@settings(max_examples=150)
@given(st.binary(max_size=300), every_kind)
def test_any_bytes_are_read_or_refused(data: bytes, kind: Kind) -> None:
    read(data, kind)


@settings(max_examples=400)
@given(st.sampled_from(CSV_SEEDS), st.integers(0, 2**32), every_kind)
def test_a_damaged_text_is_read_or_refused(seed: bytes, damage: int, kind: Kind) -> None:
    read(damaged(seed, damage, NASTY), kind)


@settings(max_examples=400)
@given(st.integers(0, 2**32), every_kind)
def test_a_damaged_workbook_is_read_or_refused(damage: int, kind: Kind) -> None:
    read(a_damaged_workbook(damage), kind)


def test_what_is_not_damaged_is_read() -> None:
    assert read(WORKBOOK, Kind.PRICES) == 6
    assert [read(seed, kind) for seed, kind in zip(CSV_SEEDS, [Kind.PRODUCTS, Kind.LOCATIONS, Kind.CUSTOMERS, Kind.PRICES], strict=True)] == [2, 1, 1, 2]  # fmt: skip


PARSERS = sorted(
    {c.parse for kind in Kind for c in kinds.target_of(kind).columns}, key=lambda parse: parse.__qualname__
)


@settings(max_examples=300)
@given(st.text(max_size=60) | st.from_regex(r"-?[0-9.,R$ ]{1,30}", fullmatch=True), st.sampled_from(PARSERS))
def test_any_cell_is_read_or_refused_with_a_mend(text: str, parse) -> None:
    try:
        parse(text)
    except BadCell as flaw:
        assert flaw.says
        assert flaw.mend


@pytest.mark.parametrize("text", ["9" * 5_000, "1." + "0" * 5_000, "1.000" * 2_000, "-" * 9_999, "0" * 100_000])
def test_numbers_of_a_thousand_digits_are_refused_at_once(text: str) -> None:
    with pytest.raises(BadCell):
        tabular.scaled(text, 2)


@pytest.mark.timeout(60)
def test_a_cell_of_spaces_costs_what_its_length_is() -> None:
    assert parse_components("A" + " " * 99_000 + "B | C" + " " * 500 + "x 2")["C"] == 2


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("endless_tag", "unreadable_workbook"),
        ("endless_text", "1 good, 0 bad"),
        ("endless_shared_text", "0 good, 0 bad"),
        ("countless_shared_texts", "unreadable_workbook"),
        ("deep_nesting", "unreadable_workbook"),
        ("one_text_a_million_times", "unreadable_workbook"),
        ("leaping_rows", "0 good, 0 bad"),
        ("far_row", "unreadable_workbook"),
        ("far_column", "unreadable_workbook"),
        ("entities", "unreadable_workbook"),
        ("outside_file", "unreadable_workbook"),
        ("unpacks_a_thousandfold", "unreadable_workbook"),
        ("endless_directory", "unreadable_workbook"),
        ("slow_format", "0 good, 0 bad"),
        ("one_long_line", "2 good, 1 bad"),
        ("no_line_ends", "bad_header"),
        ("a_quote_that_never_closes", "0 good, 24 bad"),
        ("cells_without_end", "0 good, 0 bad"),
    ],
)
def test_a_bomb_costs_little_memory(name: str, ends: str) -> None:
    assert name in hostile.BOMBS
    done = subprocess.run(
        [sys.executable, Path(hostile.__file__), name], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    told, memory, _size, _seconds = done.stdout.strip().split("\t")
    assert told == ends
    assert int(memory) < MOST_MEMORY_MB


def test_every_bomb_is_set_off() -> None:
    (mark,) = test_a_bomb_costs_little_memory.pytestmark
    assert {name for name, _ in mark.args[1]} == set(hostile.BOMBS)
