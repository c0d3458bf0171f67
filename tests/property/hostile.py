"""Workbooks and tables that were made to do harm. Run as a program it reads one under limits and says what it cost:

python hostile.py NAME
"""

import io
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator

from malha.platform import workbook as workbook_module
from malha.platform.errors import MalhaError
from malha.platform.tabular import Column, centavos, open_table
from malha.platform.workbook import as_text

MEGABYTE = 1 << 20
COLUMNS = [Column("sku", required=True), Column("price", parse=centavos)]

HEAD = (
    '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    '<row r="1"><c r="A1" t="inlineStr"><is><t>sku</t></is></c><c r="B1" t="inlineStr"><is><t>price</t></is></c></row>'
)
TAIL = "</sheetData></worksheet>"
WORKBOOK = '<workbook xmlns="m" xmlns:r="r"><sheets><sheet name="x" sheetId="1" r:id="rId1"/></sheets></workbook>'
LINKS = '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>'

Pieces = str | bytes | Iterator[bytes]


def workbook(sheet: Pieces, *, shared: Pieces | None = None, styles: Pieces | None = None, level: int = 1) -> bytes:
    """A workbook of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as book:
        parts = {"xl/workbook.xml": WORKBOOK, "xl/_rels/workbook.xml.rels": LINKS, "xl/worksheets/sheet1.xml": sheet}
        parts |= {"xl/sharedStrings.xml": shared} if shared is not None else {}
        parts |= {"xl/styles.xml": styles} if styles is not None else {}
        for name, content in parts.items():
            with book.open(name, "w", force_zip64=True) as part:
                for piece in [content] if isinstance(content, str | bytes) else content:
                    part.write(piece.encode() if isinstance(piece, str) else piece)
    return file.getvalue()


def noise(n: int) -> bytes:
    """Text that packs about eight to one, so that the ratio of a part alone betrays nothing."""
    state, out = 12_345, bytearray()
    while len(out) < n:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        out += b"%d" % (state % 97) * 4
    return bytes(out[:n])


def repeated(piece: bytes, megabytes: int, head: str = HEAD, tail: str = TAIL) -> Iterator[bytes]:
    yield head.encode()
    block = piece * max(1, MEGABYTE // len(piece))
    for _ in range(megabytes):
        yield block
    yield tail.encode()


def endless_tag() -> bytes:
    return workbook(repeated(noise(MEGABYTE), 24, HEAD + '<row r="2" x="', '"></row>' + TAIL))


def endless_text() -> bytes:
    return workbook(repeated(noise(MEGABYTE), 24, HEAD + '<row r="2"><c r="A2" t="str"><v>', "</v></c></row>" + TAIL))


def endless_shared_text() -> bytes:
    return workbook(HEAD + TAIL, shared=repeated(noise(MEGABYTE), 24, "<sst><si><t>", "</t></si></sst>"))


def countless_shared_texts() -> bytes:
    return workbook(
        HEAD + TAIL, shared=repeated(b"<si><t>" + noise(60) + b"</t></si>" + b"<si/>" * 20, 40, "<sst>", "</sst>")
    )


def deep_nesting() -> bytes:
    return workbook(repeated(b"<a>", 50))


def one_text_a_million_times() -> bytes:
    row = b'<row><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>0</v></c></row>'
    return workbook(repeated(row, 3), shared="<sst><si><t>" + "x" * 90_000 + "</t></si></sst>")


def leaping_rows() -> bytes:
    return workbook(HEAD + "".join(f'<row r="{n * 10_000 % 1_000_000 + 2}"/>' for n in range(20_000)) + TAIL)


def far_row() -> bytes:
    return workbook(HEAD + '<row r="99999999999"><c r="A2" t="str"><v>A</v></c></row>' + TAIL)


def far_column() -> bytes:
    return workbook(HEAD + '<row r="2"><c r="ZZZ2" t="str"><v>A</v></c></row>' + TAIL)


def entities() -> bytes:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return workbook(
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>' + HEAD.partition("?>")[2] + "<row><c><v>&l11;</v></c></row>" + TAIL
    )


def outside_file() -> bytes:
    return workbook(
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        + HEAD.partition("?>")[2] + '<row><c t="str"><v>&e;</v></c></row>' + TAIL
    )  # fmt: skip


def unpacks_a_thousandfold() -> bytes:
    return workbook(repeated(b" " * 1_024, 200), level=9)


def endless_directory() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        for n in range(90_000):
            book.writestr(zipfile.ZipInfo(f"{n}"), b"")
    return file.getvalue()


def slow_format() -> bytes:
    styles = f'<styleSheet><numFmts><numFmt numFmtId="200" formatCode="{"[" * 2_000_000}"/></numFmts><cellXfs><xf numFmtId="200"/></cellXfs></styleSheet>'
    return workbook(HEAD + TAIL, styles=styles)


def one_long_line() -> bytes:
    return b"sku;price\nA;1\n" + b"x" * (10 * MEGABYTE) + b"\nB;2\n"


def no_line_ends() -> bytes:
    return b"sku;" * (20 * MEGABYTE)


def a_quote_that_never_closes() -> bytes:
    return b'sku;price\n"' + b'a;b";"c\n' * (3 * MEGABYTE)


def cells_without_end() -> bytes:
    return b"sku;price\n" + (b";" * 900_000 + b"\n") * 20


BOMBS: dict[str, Callable[[], bytes]] = {
    make.__name__: make
    for make in (
        endless_tag, endless_text, endless_shared_text, countless_shared_texts, deep_nesting, one_text_a_million_times,
        leaping_rows, far_row, far_column, entities, outside_file, unpacks_a_thousandfold, endless_directory,
        slow_format, one_long_line, no_line_ends, a_quote_that_never_closes, cells_without_end,
    )
}  # fmt: skip


def read(data: bytes) -> str:
    """Read it as an import does; return how it ended."""
    try:
        text = as_text(io.BytesIO(data))
        table = open_table(text, COLUMNS)
        good = bad = 0
        for row in table:
            good, bad = good + (not row.flaws), bad + bool(row.flaws)
    except MalhaError as refusal:
        return refusal.code
    return f"{good} good, {bad} bad"


def main(name: str) -> None:
    made = BOMBS[name]()
    # The two bounds that take half a minute to reach are made small; what is asked is that they hold.
    workbook_module.MAX_TEXTS, workbook_module.MAX_OUT = 1 << 19, 1 << 26
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    told = read(made)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(f"{told}\t{max(0, after - before) // 1024}\t{len(made) // 1024}\t{spent:.1f}")


if __name__ == "__main__":
    main(sys.argv[1])
