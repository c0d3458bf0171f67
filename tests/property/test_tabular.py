"""Tables as people send them: every encoding and delimiter reads the same, what is exported reads back, nothing runs."""

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.platform import tabular
from malha.platform.tabular import (
    BadCell,
    Column,
    ColumnTwice,
    MissingColumns,
    UnreadableTable,
    open_table,
    write_table,
)

COLUMNS = [
    Column("sku", ("código", "SKU do produto"), required=True),
    Column("name", ("nome",)),
    Column("price", ("preço",), parse=tabular.centavos),
]


def rows_of(data: bytes, columns: Sequence[Column] = COLUMNS) -> list[tuple[int, dict, list[str]]]:
    table = open_table(io.BytesIO(data), columns, {"options": ("opção",)})
    return [(row.line, dict(row.values), [flaw.at for flaw in row.flaws]) for row in table]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", list(";,\t|"))
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_any_usual_encoding_delimiter_and_line_end_reads_the_same(encoding: str, delimiter: str, newline: str) -> None:
    lines = [["Código", "NOME", "Preço"], ["A1", "Calça", '"12,90"'], ["A2", '"Pão; de, açúcar"', '"1.234,50"']]
    data = newline.join(delimiter.join(line) for line in lines).encode(encoding)
    assert [row[1] for row in rows_of(data)] == [
        {"sku": "A1", "name": "Calça", "price": 1290},
        {"sku": "A2", "name": "Pão; de, açúcar", "price": 123450},
    ]


def test_rows_tell_their_line_even_after_texts_of_several_lines_and_empty_lines() -> None:
    data = b'sku;name\nA;"two\nlines"\n\n;nothing\nB;b\n'
    assert rows_of(data) == [
        (2, {"sku": "A", "name": "two\nlines"}, []),
        (5, {"name": "nothing"}, ["sku"]),
        (6, {"sku": "B", "name": "b"}, []),
    ]


def test_a_bad_cell_spoils_its_own_row_only() -> None:
    data = "sku;preço;nome\nA;doze;x\nB;-1;y\nC;12,999;z\nD;5;w;v\nE;5;w;;\n".encode()
    assert [(values.get("sku"), flaws) for _, values, flaws in rows_of(data)] == [
        ("A", ["price"]), ("B", ["price"]), ("C", ["price"]), ("D", [""]), ("E", []),
    ]  # fmt: skip


def test_a_quotation_mark_that_is_not_closed_is_told_with_the_lines_it_swallowed() -> None:
    data = b'sku;name\nA;a\nB;"open\nC;c\nD;d\n'
    rows = list(open_table(io.BytesIO(data), COLUMNS))
    assert [row.values.get("sku") for row in rows] == ["A", None]
    assert rows[1].flaws[0].text() == "Lines 3 to 5 cannot be read: a quotation mark is not closed."
    inches = b'sku;name\nA;TV 42"\nB;"TV 42"" LED"\nC;"TV" LED"\nD;d\n'
    assert [(values.get("name"), flaws) for _, values, flaws in rows_of(inches)] == [
        ('TV 42"', []), ('TV 42" LED', []), (None, [""]), ("d", []),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "before",
    ["\n\n", ";;\n", '""\n', "sep=;\n", "SEP=;\n;;\n"],
    ids=["blank", "empty cells", "quoted", "sep", "sep, blank"],
)
def test_the_header_is_the_first_line_with_a_text_that_does_not_only_say_the_delimiter(before: str) -> None:
    line = before.count("\n") + 2
    assert rows_of(f"{before}sku;nome;preço\nA;Calça;1,50\n".encode()) == [
        (line, {"sku": "A", "name": "Calça", "price": 150}, [])
    ]
    assert rows_of(b"sep=,\nsku,name\nA,a;b;c;d\n") == [(3, {"sku": "A", "name": "a;b;c;d"}, [])]


def test_a_file_that_was_cut_off_within_a_letter_spoils_its_last_cell_and_no_other() -> None:
    data = "sku;nome;preço\nA;João;1,50\nB;Ação\nC;Calçã".encode()[:-1]
    assert rows_of(data) == [
        (2, {"sku": "A", "name": "João", "price": 150}, []),
        (3, {"sku": "B", "name": "Ação"}, []),
        (4, {"sku": "C"}, ["name"]),
    ]


@pytest.mark.parametrize(("encoding", "cut"), [("utf-16", 1), ("utf-32", 1), ("utf-32", 3)])
def test_a_file_of_wide_letters_that_was_cut_off_spoils_its_last_cell_too(encoding: str, cut: int) -> None:
    """The last letter became a mark, and the product was called so."""
    data = "sku;nome;preço\nA;João;1,50\nB;Ação\nC;Calçã".encode(encoding)[:-cut]
    assert rows_of(data) == [
        (2, {"sku": "A", "name": "João", "price": 150}, []),
        (3, {"sku": "B", "name": "Ação"}, []),
        (4, {"sku": "C"}, ["name"]),
    ]


def test_what_another_program_added_to_a_file_in_another_encoding_spoils_its_own_cells() -> None:
    data = "\ufeffsku;nome;opção:Cor\nA;João;Azulão\n".encode() + "B;Zoé;Azul\nC;z;Açaí\n".encode("cp1252")
    table = open_table(io.BytesIO(data), COLUMNS, {"options": ("opção",)})
    first, second, third = list(table)
    assert first.values == {"sku": "A", "name": "João", "options": {"Cor": "Azulão"}}
    assert [flaw.text() for flaw in (*second.flaws, *third.flaws)] == [
        "The cell holds characters that cannot be read: Zo\ufffd.",
        "The cell holds characters that cannot be read: A\ufffda\ufffd.",
    ]
    assert second.cells == ["B", "Zo\ufffd", "Azul"]


def test_a_letter_of_an_encoding_of_dos_is_told_and_never_replaced_by_a_mark() -> None:
    # 0x90 is É there, and nothing in Windows-1252; other letters of such a file cannot be told from others.
    found = rows_of("sku;name\nA;ÉPICO\nB;Pao\n".encode("cp850"))
    assert found == [(2, {"sku": "A"}, ["name"]), (3, {"sku": "B", "name": "Pao"}, [])]


WORDS = ["Calça", "São", "Açúcar", "Não", "CALÇA", "ALGODÃO", "PÃO", "Café", "CAFÉ", "Órgão", "AÇÃO", "Tênis", "Você"]
OF_BOTH = ["Água", "ÁGUA", "ÚTIL", "TÊNIS", "Ações", "Índigo", "Vovô", "à", "É"]  # no letter says which of the two


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), st.lists(st.sampled_from(OF_BOTH), max_size=2))
def test_words_are_read_as_programs_of_dos_write_them_and_as_those_of_windows_do(words: list[str], more: list[str]):
    """Each letter of a file of DOS used to be another sign: `Cal‡a`, and the products were called so."""
    name = " ".join((*words, *more))
    for encoding in ("cp850", "cp1252"):
        table = open_table(io.BytesIO(f"Código;Nome;Preço\nA;{name};12,90\n".encode(encoding)), COLUMNS)
        assert table.encoding == encoding
        assert [row.values for row in table] == [{"sku": "A", "name": name, "price": 1290}]


@pytest.mark.parametrize(
    "text",
    ["Camisa\xa0azul", "“Bom”… – 5º", "Jäger Müller", "Ærø Søren", "10m² 40µm ½", "€5 £3", "D’Água", "nota‡", "AÇO"],
)
def test_signs_of_windows_are_no_letters_of_dos(text: str) -> None:
    assert rows_of(f"sku;name\nA;{text}\n".encode("cp1252")) == [(2, {"sku": "A", "name": text}, [])]


def test_a_comma_before_three_digits_is_not_guessed_where_commas_part_cells_too() -> None:
    found = rows_of(b'sku,name,price\n"1,200","2,500","1,200"\nB,x,"R$ 1,200"\nC,y,"1,20"\nD,z,"1,200.00"\n')
    assert found == [
        (2, {"sku": "1,200", "name": "2,500"}, ["price"]),
        (3, {"sku": "B", "name": "x"}, ["price"]),
        (4, {"sku": "C", "name": "y", "price": 120}, []),
        (5, {"sku": "D", "name": "z", "price": 120000}, []),
    ]
    assert rows_of(b"sku;price\nA;1,200\n") == [(2, {"sku": "A", "price": 120}, [])]  # three decimals, as ERPs write


def test_the_mark_behind_the_last_row_of_a_file_of_dos_is_no_row() -> None:
    assert [values for _, values, _ in rows_of(b"sku;name\r\nA;x\r\n\x1a")] == [{"sku": "A", "name": "x"}]


def test_a_round_number_that_a_spreadsheet_shortened_is_no_code_either() -> None:
    assert [(values, flaws) for _, values, flaws in rows_of(b"sku;name\n7E+12;x\n7E12;y\n")] == [
        ({"name": "x"}, ["sku"]),
        ({"sku": "7E12", "name": "y"}, []),
    ]


def test_a_number_that_a_spreadsheet_shortened_is_no_code() -> None:
    data = b"sku;nome\n7,89E+12;x\n7.89E+12;y\n1E+2;z\n"
    assert [(values.get("sku"), flaws) for _, values, flaws in rows_of(data)] == [
        (None, ["sku"]), (None, ["sku"]), ("1E+2", []),
    ]  # fmt: skip


@pytest.mark.parametrize("error", ["#DIV/0!", "#N/A", "#N/D", "#VALOR!", "#REF!"])
def test_what_a_formula_leaves_when_it_fails_is_no_name_and_no_empty_cell(error: str) -> None:
    table = open_table(io.BytesIO(f"sku;name;option:Cor;x\nA;{error};b;c\nB;b;{error};c\nC;c;d;{error}\n".encode()), COLUMNS,
                       {"options": ("option",)})  # fmt: skip
    first, second, third = list(table)
    assert [flaw.text() for flaw in (*first.flaws, *second.flaws)] == [
        f"A formula failed in the spreadsheet: the cell holds {error}."
    ] * 2
    assert not third.flaws  # a column that nobody reads
    assert "name" not in first.values


def test_columns_of_a_family_come_as_a_mapping_and_unknown_ones_are_named() -> None:
    table = open_table(
        io.BytesIO("sku;Opção:Cor;option:Size;colour\nA;Azul;M;x\n".encode()), COLUMNS, {"options": ("option", "opção")}
    )
    assert table.unknown == ["colour"]
    assert table.heading("sku") == "sku"
    assert [row.values for row in table] == [{"sku": "A", "options": {"Cor": "Azul", "Size": "M"}}]


@pytest.mark.parametrize("data", [b"", b"  \n ", b"PK\x03\x04\x00\xff\x00\x00\x9c" * 50, b"a\x00b\x00" * 50])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableTable):
        open_table(io.BytesIO(data), COLUMNS)


def test_a_required_column_that_is_missing_is_named_with_what_is_there() -> None:
    with pytest.raises(MissingColumns) as refused:
        open_table(io.BytesIO(b"name;price\nx;1"), COLUMNS)
    assert str(refused.value) == "These columns are missing: sku. The file has: name, price."


def test_two_columns_of_one_heading_are_refused_and_the_plainer_of_two_names_is_meant() -> None:
    with pytest.raises(ColumnTwice) as refused:
        open_table(io.BytesIO(b"sku;name;Name\nA;x;y"), COLUMNS)
    assert str(refused.value) == "Two columns are called Name."
    with pytest.raises(ColumnTwice):  # a person said of both what they are
        open_table(io.BytesIO(b"sku;x;x\nA;1;2"), COLUMNS, mapping={"x": "price"})
    twice_unknown = open_table(io.BytesIO(b"sku;notes;notes\nA;x;y"), COLUMNS)
    assert [row.values["sku"] for row in twice_unknown] == ["A"]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12,90", 1290), ("12.90", 1290), ("12.9", 1290), ("12", 1200), ("R$ 1.234,50", 123450), ("1,234.50", 123450),
        ("1.234.567", 123456700), ("1.234.567,8", 123456780), ("0.5", 50), ("0,999", None), ("1.234", None),
        ("0.123", None), ("12,900", 1290), ("1234", 123400), ("1,2,3", None), ("12,", None), ("abc", None),
        ("-1", None), ("--1", None), ("1e3", None), ("999999999999", None), ("1.2.3", None), ("١٢", None),
        ("12.345,67.8", None), ("1,23.45", None),
    ],
)  # fmt: skip
def test_money_as_people_write_it(text: str, amount: int | None) -> None:
    if amount is None:
        with pytest.raises(BadCell):
            tabular.centavos(text)
    else:
        assert tabular.centavos(text) == amount


def test_yes_and_no_in_two_languages() -> None:
    assert all(tabular.yes_no(word) for word in ("Sim", "S", "yes", "1", "ATIVO"))
    assert not any(tabular.yes_no(word) for word in ("não", "N", "no", "0", "inativo"))
    with pytest.raises(BadCell):
        tabular.yes_no("talvez")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30).map(str.strip)


@given(st.lists(st.tuples(cells.filter(bool), cells), max_size=8))
def test_what_is_written_reads_back_the_same(rows: list[tuple[str, str]]) -> None:
    data = b"".join(write_table(["sku", "name"], rows))
    read = open_table(io.BytesIO(data), COLUMNS)
    assert [(row.values["sku"], row.values.get("name", "")) for row in read] == rows


@given(st.sampled_from(["=1+1", "+5511", "-1+1", "@SUM(A1)", "\t=1", "\uff1d1", "'=1", "=cmd|' /C calc'!A0"]))
def test_nothing_that_is_written_runs_in_a_spreadsheet(text: str) -> None:
    shown = tabular.defuse(text)
    assert shown[0] == "'"
    assert tabular.undo(shown) == text


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(0, 3))
def test_numbers_written_read_back_the_same(value: int, digits: int) -> None:
    text = tabular.decimal_text(value, digits)
    assert tabular.scaled(text, digits) == value
    assert tabular.defuse(text) == text
