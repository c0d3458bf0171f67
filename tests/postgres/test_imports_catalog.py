"""Products from messy files: previews, good rows apart from bad ones, and exports that read back."""

import io
from pathlib import Path

import pytest

from malha.catalog import reads, service
from malha.catalog.imports import PriceImport, ProductImport, product_pages
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.exchange import kinds
from malha.exchange import model as exchange
from malha.platform.db import SYSTEM, Database
from malha.platform.imports import Mode, Report, run_import
from malha.platform.sheets import Format
from malha.platform.tabular import as_csv

MESSY = """Código;Produto;Nome;Marca;Categoria;NCM;EAN;Peso (kg);Comprimento;Preço;Ativo;Opção:Cor;Opção:Tamanho;Atributo:Tecido;Kit;Cor favorita
CAM-AZ-P;CAM;Camiseta Básica;Malha;Moda > Camisetas;6109.10.00;7891000315507;0,180;30;R$ 49,90;sim;Azul;P;Algodão;;x
CAM-AZ-M;CAM;Camiseta Básica;;;;;0,2;30,5;49,90;sim;Azul;M;;;
CAM-VD-M;CAM;Camiseta Verde;;;;;0,2;30;49,90;;Verde;M;;;
CAM-VD-G;CAM;;;;;7891000315508;0,2;30;49,90;;Verde;G;;;
=MEIA;;Meia "soquete"; ;;61159500;;1.234;10;dez;talvez;;;;;
MEIA-U;;Meia;Malha;;61159999;;0.05;10;9,9;1;;;;;
KIT-1;;Kit Meia e Camiseta;;;;;;;99,00;;;;;CAM-AZ-P:1 | MEIA-U x 2;
KIT-2;;Kit impossível;;;;;;;99,00;;;;;NADA:1;
MEIA-U;;Meia outra vez;;;;;;;1;;;;;;
"""


async def run(database: Database, text: str | bytes, mode: Mode, **more: int) -> Report:
    data = text if isinstance(text, bytes) else text.encode()
    return await run_import(database, ProductImport(), io.BytesIO(data), mode=mode, **more)


def told(report: Report) -> set[tuple[int, str]]:
    return {(p.line, p.column) for p in report.problems if not p.warning}


BAD = {(4, "Nome"), (5, "EAN"), (6, "Peso (kg)"), (6, "Preço"), (6, "Ativo"), (9, "Kit"), (10, "Código")}


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
async def test_a_preview_tells_every_bad_row_with_column_and_mend_and_writes_nothing(
    database: Database, encoding: str
) -> None:
    report = await run(database, MESSY.encode(encoding), Mode.PREVIEW)
    assert told(report) == BAD
    assert (report.rows, report.bad, report.created, report.applied) == (9, 5, 4, False)
    assert report.ignored_columns == ["Cor favorita"]
    assert [(p.line, p.column) for p in report.problems if p.warning] == [(7, "NCM")]
    price = next(p for p in report.problems if p.column == "Preço")
    assert (price.value, price.text("en")) == ("dez", "dez is no number. Write it like 1.234,50 or 1234.50.")
    async with database.transaction() as tx:
        assert await reads.product_codes(tx) == []
        assert await reads.categories(tx) == []


async def test_all_writes_nothing_when_a_row_is_bad_and_valid_writes_the_good_ones(database: Database) -> None:
    report = await run(database, MESSY, Mode.ALL)
    assert not report.applied
    assert told(report) == BAD
    report = await run(database, MESSY, Mode.VALID)
    assert report.applied
    assert told(report) == BAD
    assert (report.created, report.changed, report.unchanged, report.bad) == (4, 0, 0, 5)
    async with database.transaction() as tx:
        shirt = await reads.product_by_code(tx, "CAM")
        assert shirt
        assert (shirt.name, shirt.brand, shirt.category, shirt.ncm) == (
            "Camiseta Básica",
            "Malha",
            "moda.camisetas",
            "61091000",
        )
        assert (shirt.options, shirt.attributes) == (["Cor", "Tamanho"], {"Tecido": "Algodão"})
        variants = {v.sku: v for v in shirt.variants}
        assert variants.keys() == {"CAM-AZ-P", "CAM-AZ-M"}
        p = variants["CAM-AZ-P"]
        assert (p.name, p.weight_grams, p.length_mm, p.price) == ("Camiseta Básica Azul / P", 180, 300, 4990)
        (kit,) = await reads.by_skus(tx, ["KIT-1"])
        assert sorted(c.quantity for c in kit.components) == [1, 2]
    again = await run(database, MESSY, Mode.VALID)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 4)


async def test_categories_named_by_paths_are_made_when_the_whole_file_is_looked_at_first(database: Database) -> None:
    file = "sku;name;category\nA-1;Blusa;Moda > Blusas\nA-2;Calça;Moda > Calças\n"
    report = await run(database, file, Mode.ALL)
    assert (report.created, report.bad, report.applied) == (2, 0, True)
    async with database.transaction() as tx:
        made = {c.code: c.path for c in await reads.categories(tx)}
        products = await reads.products_by_code(tx, ["A-1", "A-2"])
    assert made == {"moda": "moda", "moda.blusas": "moda/moda.blusas", "moda.calcas": "moda/moda.calcas"}
    assert {code: p.category for code, p in products.items()} == {"A-1": "moda.blusas", "A-2": "moda.calcas"}
    assert (await run(database, file, Mode.ALL)).unchanged == 2


async def test_cells_that_are_empty_leave_what_is_there(database: Database) -> None:
    await run(database, MESSY, Mode.VALID)
    report = await run(database, "sku;price;option:Cor\nCAM-AZ-M;59,90;Azul-marinho\n", Mode.ALL)
    assert (report.changed, report.bad) == (1, 0)
    async with database.transaction() as tx:
        (card,) = await reads.by_skus(tx, ["CAM-AZ-M"])
        assert (card.price, card.weight_grams, card.name) == (5990, 200, "Camiseta Básica Azul-marinho / M")


async def test_an_export_reads_back_and_changes_nothing(database: Database) -> None:
    await run(database, MESSY, Mode.VALID)
    async with database.transaction() as tx:
        formula = ProductDraft(
            code="F",
            name="=HYPERLINK(1)",
            description='Duas\nlinhas; "aspas"',
            variants=[
                VariantDraft(
                    sku="+55", name="@nome", weight_grams=7, media=[MediaDraft(url="https://img.example/1.jpg")]
                ),
                VariantDraft(sku="-1", options={"Cor": "-Preto"}),
            ],
        )
        await service.put_products(tx, [formula])
        revision = await reads.revision(tx)
        before = await reads.products_by_code(tx, await reads.product_codes(tx))
    exported = b"".join([piece async for piece in as_csv(product_pages(database))])
    assert b"'=HYPERLINK" in exported
    assert b"'+55;" in exported
    report = await run(database, exported, Mode.ALL)
    assert (report.problems, report.ignored_columns) == ([p for p in report.problems if p.warning], [])
    assert (report.created, report.changed) == (0, 0)
    assert report.unchanged == 6
    async with database.transaction() as tx:
        assert await reads.products_by_code(tx, await reads.product_codes(tx)) == before
        assert await reads.revision(tx) == revision


async def test_a_long_file_goes_in_by_chunks_and_continues_where_it_stopped(database: Database) -> None:
    lines = ["sku;nome;preço;produto"] + [f"S{i:05};Produto {i // 3};{i},50;P{i // 3}" for i in range(1700)]
    seen: list[int] = []
    report = await run_import(
        database, ProductImport(), io.BytesIO("\n".join(lines).encode()), mode=Mode.VALID, progress=seen.append
    )
    assert (report.created, report.bad, report.last_line) == (1700, 0, 1701)
    assert seen == [500, 1000, 1500, 1700]
    rest = await run(database, "\n".join(lines), Mode.VALID, from_line=1500)
    assert (rest.rows, rest.unchanged) == (202, 202)


async def test_a_row_the_database_refuses_is_put_aside_and_its_neighbours_go_in(database: Database) -> None:
    class Stubborn(ProductImport):
        """Checks nothing, as if another writer had been faster."""

        async def _good(self, tx, groups, outcome):
            return {code: group.draft(group.rows) for code, group in groups.items()}

    text = "sku;nome;gtin\n" + "".join(f"S{i};N;{'7891000315507' if i in {2, 5} else ''}\n" for i in range(8))
    report = await run_import(database, Stubborn(), io.BytesIO(text.encode()), mode=Mode.VALID)
    assert (report.created, report.bad) == (7, 1)
    assert [p.line for p in report.problems] == [7]


async def test_the_example_in_the_documentation_goes_in(database: Database) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "import-tables.md").read_text("utf-8")
    example = page.split("```csv\n")[1].split("```")[0]
    report = await run(database, example, Mode.ALL)
    assert (report.problems, report.ignored_columns, report.created) == ([], [], 3)


async def test_substitutes_come_in_by_a_column_and_go_out_the_same(database: Database) -> None:
    text = "sku;product;nome;option:cor;substitutos\nA;P;P;azul;C <> | B\nB;P;P;verde;\nC;P;P;rosa;\n"
    assert not (await run(database, text, Mode.ALL)).bad
    async with database.transaction() as tx:
        product = await reads.product_by_code(tx, "P")
    assert product is not None
    named = {v.sku: [(one.sku, one.both_ways) for one in v.substitutes] for v in product.variants}
    assert named == {"A": [("C", True), ("B", False)], "B": [], "C": []}
    header, rows = [page async for page in product_pages(database)]
    at = header[0].index("substitutes")
    assert {row[0]: row[at] for row in rows} == {"A": "C <> | B", "B": "", "C": ""}
    again = await run(database, "sku;substitutes\nA;NONE\n", Mode.ALL)
    assert again.bad


async def test_addresses_of_pictures_may_be_parted_by_commas_and_hold_some(database: Database) -> None:
    text = """sku;nome;imagens
A;Calça;"https://loja.example/a.png, https://loja.example/b.png,https://loja.example/w_10,h_10/c.png"
B;Blusa;"https://loja.example/d.png;https://loja.example/e.png;"
"""
    assert (await run(database, text, Mode.ALL)).bad == 0
    async with database.transaction() as tx:
        found = await reads.products_by_code(tx, ["A", "B"])
    assert {code: [m.url.rpartition("example/")[2] for m in product.media] for code, product in found.items()} == {
        "A": ["a.png", "b.png", "w_10,h_10/c.png"],
        "B": ["d.png", "e.png"],
    }


async def test_an_ncm_that_lost_its_leading_zero_in_a_spreadsheet_has_it_again(database: Database) -> None:
    report = await run(database, "sku;nome;ncm\nA;Suco;9019000\nB;Calça;6203\n", Mode.VALID)
    assert told(report) == {(3, "ncm")}
    async with database.transaction() as tx:
        assert (await reads.products_by_code(tx, ["A"]))["A"].ncm == "09019000"


LOST = "There is no SKU 123, but 00123: a spreadsheet took the zeros in front."
TEXT = "Format the column as text, and enter the SKU again."


async def test_a_sku_that_lost_its_zeros_in_a_spreadsheet_makes_no_second_product(database: Database) -> None:
    await run(database, "sku;name;price\n00123;Mug;9,90\n77;Plate;5,00\n", Mode.ALL)
    report = await run(database, "sku;name;price\n123;Mug;8,90\n77;Plate;6,00\n0077;Bowl;7,00\n", Mode.VALID)
    [problem] = report.problems
    assert (problem.line, problem.column, problem.text("en")) == (
        2,
        "sku",
        f"{LOST} {TEXT} If 123 is another one, make it on the page of products.",
    )
    assert (report.bad, report.created, report.changed) == (1, 1, 1)
    async with database.transaction() as tx:
        assert await reads.product_codes(tx) == ["00123", "0077", "77"]


async def test_a_sku_that_a_spreadsheet_took_for_a_number_makes_no_second_product(database: Database) -> None:
    await run(database, "sku;name\n12E3;Mug\n5e2;Plate\n", Mode.ALL)
    report = await run(database, "sku;name\n12000;Mug\n500;Plate\n120;Bowl\n1200;Cup\n", Mode.VALID)
    assert (told(report), report.created) == ({(2, "sku"), (3, "sku")}, 2)
    assert (
        report.problems[0]
        .text("en")
        .startswith("There is no SKU 12000, but 12E3: a spreadsheet took it for a number. Format the column as text")
    )


async def test_a_code_of_a_product_that_a_spreadsheet_mangled_makes_no_second_product(database: Database) -> None:
    await run(database, "product;sku;name\n00777;00777-P;Mug\n12E3;12E3-P;Cup\n", Mode.ALL)
    rows = "777;00777-G;Mug\n12000;12E3-G;Cup\n2026-10-01;X-P;Bowl\n778;778-P;Plate\n"
    report = await run(database, f"product;sku;name\n{rows}", Mode.VALID)
    assert (told(report), report.created) == ({(2, "product"), (3, "product"), (4, "product")}, 1)
    assert [problem.text("en").partition(" Format")[0] for problem in report.problems] == [
        "There is no product 777, but 00777: a spreadsheet took the zeros in front.",
        "There is no product 12000, but 12E3: a spreadsheet took it for a number.",
        "2026-10-01 is a day: a spreadsheet made it of a code.",
    ]
    both = await run(database, "product;sku;name\n00777;00777-M;Mug\n777;777-P;Other\n", Mode.VALID)
    assert (both.bad, both.created) == (0, 2)


async def test_both_skus_are_meant_by_a_file_that_states_both(database: Database) -> None:
    file = "sku;name\n" + "".join(f"F{n};Filler\n" for n in range(600)) + "00123;Mug\n"
    for table in (file + "123;Cup\n", "sku;name\n00124;Mug\n124;Cup\n"):
        report = await run(database, table, Mode.VALID)
        assert report.bad == 0
    async with database.transaction() as tx:
        assert {"123", "00123", "124", "00124"} <= set(await reads.product_codes(tx))
    report = await run(database, "sku;name\n123;Cup\n", Mode.VALID)  # it is there
    assert (report.bad, report.unchanged) == (0, 1)


async def test_a_cest_that_lost_its_leading_zero_in_a_spreadsheet_has_it_again(database: Database) -> None:
    report = await run(database, "sku;nome;cest\nA;Bateria;100100\nB;Vela;1001\n", Mode.VALID)
    assert told(report) == {(3, "cest")}
    async with database.transaction() as tx:
        assert (await reads.products_by_code(tx, ["A"]))["A"].cest == "0100100"


async def test_a_sku_that_became_a_day_makes_no_product(database: Database) -> None:
    report = await run(database, "sku;name\n2025-10-01;Mug\n2025-10-01 14:00:00;Mug\n2025-10;Mug\n", Mode.VALID)
    assert told(report) == {(2, "sku"), (3, "sku")}
    assert "2025-10-01 is a day: a spreadsheet made it of a SKU." in report.problems[0].text("en")


async def test_a_price_of_a_sku_that_lost_its_zeros_is_told_which_one_it_was(database: Database) -> None:
    await run(database, "sku;name;price\n00123;Mug;9,90\n", Mode.ALL)
    body = io.BytesIO(b"sku;price\n123;1,00\n124;1,00\n")
    report = await run_import(database, PriceImport(), body, mode=Mode.VALID)
    assert [p.text("en") for p in report.problems] == [
        f"{LOST} {TEXT}",
        "There is no SKU 124. Import its product first.",
    ]


@pytest.mark.parametrize("format_", list(Format))
async def test_texts_that_begin_and_end_oddly_come_back_from_a_file_as_they_were(
    database: Database, format_: Format
) -> None:
    odd = ["=1+1", "'=1+1", "''=1", "'quoted", "-5", "+55 11", "line\n", "\t- dash", " two\n\nlines \r\n"]
    drafts = [
        ProductDraft(code=f"P{n}", name=text, description=text, variants=[VariantDraft(sku=f"S{n}")])
        for n, text in enumerate(odd)
    ]
    async with database.transaction() as tx:
        await service.put_products(tx, drafts)
        before = await reads.products_by_code(tx, [draft.code for draft in drafts])
    body = b"".join([piece async for piece in kinds.export(exchange.Kind.PRODUCTS, format_, database, SYSTEM)])
    again = await run(database, body, Mode.ALL)
    assert (again.bad, again.changed, again.unchanged) == (0, 0, len(odd))
    async with database.transaction() as tx:
        assert await reads.products_by_code(tx, [draft.code for draft in drafts]) == before
    assert before["P8"].description == "two\n\nlines"
