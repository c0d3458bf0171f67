"""Files of partners are read piece by piece, and say what they would say if they were read whole."""

import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.partner_files import PartnerFiles, PartnerFilesConfig
from malha.channels.contract import Invalid, RowFlaw
from malha.channels.partners import rules, spooling

AT = datetime(2026, 11, 27, tzinfo=UTC)
CONFIG = PartnerFilesConfig(host="h", user="u", most_mb=64)
STYLE = tables.Style()


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PIECE", 7)  # so that pieces end within letters, ends of lines and cells


@given(
    text=st.text(st.sampled_from('aé€😀;"\r\n '), max_size=60),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example(text="a;b\r\nc\rd\n\r\n", encoding="utf-8")
@example(text="a\r", encoding="utf-16")
def test_a_file_in_pieces_has_the_lines_of_the_whole(text: str, encoding: str):
    body = text.encode(encoding)
    found = list(tables.decoded(io.BytesIO(body), "utf-8"))
    assert found == list(io.StringIO(text, newline=""))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_utf_8_are_read_as_the_partner_writes(noise: bytes):
    body = b"caf\xe9;" + noise.replace(b"\x00", b"")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        assert "".join(tables.decoded(io.BytesIO(body), "latin-1")) == body.decode("latin-1")


ACCENTS = "sku;nome\n1;Açúcar\n2;Café\n3;Pão de queijo\n".encode()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (ACCENTS + b"4;caf\xe9\n", "5, 0xE9"),
        (b"\xef\xbb\xbfsku;nome\n1;caf\xe9\n", "2, 0xE9"),
        (ACCENTS + "4;Maçã".encode()[:-1], "5, 0xC3"),
        (b"1;x\n" * 20_000 + ACCENTS + b"\xe7\n", "20005, 0xE7"),
    ],
    ids=["a stray byte", "marked as UTF-8", "cut in a letter", "beyond the first piece"],
)
@pytest.mark.parametrize("piece", [7, 1 << 16])
def test_a_file_that_is_utf_8_but_for_a_byte_is_refused_with_where_it_is(
    body: bytes, where: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PIECE", piece)
    with pytest.raises(Invalid) as caught:
        list(tables.decoded(io.BytesIO(body), "utf-8"))
    assert (caught.value.code, caught.value.why) == ("stray_byte", where)


def test_a_file_of_an_old_spreadsheet_is_read_as_such_and_another_encoding_as_the_partner_says():
    assert (
        "".join(tables.decoded(io.BytesIO("1;São José\n2;Açaí\n".encode("cp1252")), "utf-8")) == "1;São José\n2;Açaí\n"
    )
    assert "".join(tables.decoded(io.BytesIO(ACCENTS + b"\xe9"), "latin-1")).endswith("é")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("sku;nome\n1;Calça\n2;São\n".encode("cp850"), "2, 0x87"),
        (b"sku;nome\n1;caf\xe9\n2;\x90PICO\n", "3, 0x90"),
        ("sku;nome\n1;São\n".encode("utf-16")[:-1], "2, truncated data"),
    ],
    ids=["of DOS", "nothing in Windows-1252", "UTF-16 that is cut off"],
)
def test_a_file_whose_letters_cannot_be_told_is_held_with_where_it_is(body: bytes, where: str) -> None:
    """They were other signs, or marks for lost ones, and the file was taken."""
    with pytest.raises(Invalid) as caught:
        list(tables.decoded(io.BytesIO(body), "utf-8"))
    assert (caught.value.code, caught.value.why) == ("other_encoding", where)


def read(text: str, kind: str = "adjustments") -> list[Any]:
    return list(tables.rows(kind, io.BytesIO(text.encode()), STYLE, most=10))


def test_rows_bear_the_line_that_they_begin_at_and_bad_ones_are_named():
    text = 'reference;location;sku;quantity\n1;DC;A;2\n\n2;DC;;3\n3;DC;"A\nB";4\n4;DC;A;1;more\n'
    first, empty, long, odd = read(text)
    assert (first.line, long.line, long["sku"]) == (2, 5, "A\nB")
    assert (empty, odd) == (RowFlaw(4, "empty_field", "sku"), RowFlaw(7, "too_many_cells", value="5"))


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty"), (" \n\r\n ", "empty"), ("a\x00b", "no_table"), ("sku;quantity\n", "missing_columns")],
)
def test_what_is_no_table_is_refused(text: str, code: str):
    with pytest.raises(Invalid) as caught:
        read(text)
    assert caught.value.code == code


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "PIECE", 1 << 16)
    with pytest.raises(Invalid) as caught:
        list(tables.decoded(io.BytesIO(b"x" * (2 << 20)), "utf-8"))
    assert caught.value.code == "no_table"


def test_the_rows_to_mend_are_those_that_were_named():
    text = "reference;location;sku;quantity\n1;DC;A;2\n2;DC;B;um\n3;DC;C;3\n"
    back = tables.mended(io.BytesIO(text.encode()), {3: "no number"}, STYLE).decode()
    assert back.splitlines() == ["reference;location;sku;quantity;error", "2;DC;B;um;no number"]


def test_a_row_to_mend_keeps_what_it_has_beyond_the_header():
    text = "reference;location;sku;quantity\n1;DC;A;1;200\n"
    back = tables.mended(io.BytesIO(text.encode()), {2: "too many"}, STYLE)
    assert back.decode().splitlines()[1] == "1;DC;A;1;too many;200"
    again = tables.mended(io.BytesIO(back), {2: "too many"}, STYLE)
    assert again == back
    assert [row.problem for row in tables.rows("adjustments", io.BytesIO(back), STYLE, most=9)] == ["too_many_cells"]


@pytest.mark.parametrize(
    ("written", "numbers", "units"),
    [("1.500", "comma", 1500), ("0.500", "comma", None), ("1,500", "point", 1500), ("0,500", "point", None)],
)
def test_a_group_that_begins_with_a_nought_is_no_thousand(written: str, numbers: Any, units: int | None):
    assert tables.whole(written, numbers) == units


def test_the_rows_to_mend_of_a_partners_stock_are_not_all_that_there_is():
    with pytest.raises(Invalid) as caught:
        PartnerFiles().understand(CONFIG, "STOCK_7.errors.csv", io.BytesIO(b"location;sku;quantity\nDC;A;2\n"), AT)
    assert caught.value.code == "stock_in_part"


def test_stock_is_read_from_its_file_again_each_time_and_says_the_same():
    body = io.BytesIO(b"location;sku;quantity;as_of\nDC;A;2;2026-11-27T10:00:00Z\nDC;B;x;\nS1;A;1;\n")
    told = PartnerFiles().understand(CONFIG, "STOCK.csv", body, AT)
    assert told.stock is not None
    lines = [(each.location, each.sku, each.quantity) for each in told.stock.lines]
    assert lines == [("DC", "A", 2), ("DC", "B", "x"), ("S1", "A", 1)]
    assert [(each.location, each.sku, each.quantity) for each in told.stock.lines] == lines
    assert (len(told.stock.lines), told.stock.lines[-1].location, list(told.stock_rows)) == (3, "S1", [2, 3, 4])
    assert told.stock.as_of == datetime(2026, 11, 27, 10, tzinfo=UTC)
    table = b"".join(rules.table_of(told.stock, {"DC": "CD"}))
    assert table == b'location;sku;on_hand\n"CD";"A";"2"\n"CD";"B";"x"\n'


def test_what_a_stock_file_takes_of_memory_does_not_grow_with_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "PIECE", 1 << 16)
    monkeypatch.setattr(spooling, "IN_MEMORY", 1 << 16)

    def lines(count: int) -> Iterator[bytes]:
        yield b"location;sku;quantity;note\n"
        yield from (f"DC;SKU-{n % 500};{n % 90};{'palavra ' * 60}\n".encode() for n in range(count))

    def peak(count: int) -> int:
        with spooling.spool() as body:
            for line in lines(count):
                body.write(line)
            tracemalloc.start()
            try:
                told = PartnerFiles().understand(CONFIG, "STOCK.csv", body, AT)
                content = spooling.squeezed(body)
                with spooling.opened(content) as again:
                    told = PartnerFiles().understand(CONFIG, "STOCK.csv", again, AT)
                    assert told.stock is not None
                    assert sum(1 for _ in rules.table_of(told.stock, {"DC": "CD"})) == count + 1
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    small, large = peak(300), peak(6_000)
    assert large - small < 400_000, "twenty times as much, three megabytes: no copy of it, no list of its rows"
