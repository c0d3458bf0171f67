"""An ERP that only has CSV files, over a real SFTP server: products, prices, stock, orders, and what became of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.erp_world import CODE, Erp, an_erp, yesterday

from malha.channels.connecting import at_once, doctor, making_reads, master_reads, mastering, pulling
from malha.channels.partners import listing
from malha.doctor import examine
from malha.platform.db import Database

PRODUCTS = (
    "CÓDIGO;DESCRIÇÃO;DESCRIÇÃO COMPLETA;EAN;MARCA;NCM;PESO KG;PREÇO;ATRIBUTO:Material\n"
    "CAM-AZ;Camisa azul;Camisa de algodão;7891000100103;Ação;6109.10.00;0,250;59,90;Algodão\n"
    "CAM-VD;Camisa verde;Camisa de algodão;;Ação;61091000;0,25;R$ 59,90;Algodão\n"
)
HEAD = (
    "Pedido;Data;Código;Quantidade;Preço unitário;Frete;Total;Cliente;CPF;CEP;Endereço;Número;Cidade;UF;"
    "Forma de pagamento;Pago\n"
)


def a_row(order: str, sku: str, units: str = "1", price: str = "59,90", total: str = "69,90") -> str:
    to = "José da Conceição;52998224725;01310-100;Avenida Paulista;1000;São Paulo;SP"
    return f"{order};{yesterday()[:10]};{sku};{units};{price};10,00;{total};{to};Pix;sim\n"


@pytest.fixture
async def erp(database: Database, tmp_path: Path) -> AsyncIterator[Erp]:
    async with an_erp(database, tmp_path) as made:
        yield made
        report = await examine(database)
        drift = [line for f in report.findings if f.drifts for line in (f.check, *f.lines("en"))]
        assert not drift, "\n".join(drift)


async def stocked(erp: Erp) -> None:
    """Have the ERP tell two products and five of each at its location 01."""
    await erp.keeps(creates="once")
    erp.host.put("PRODUTOS.csv", PRODUCTS, "latin-1")
    erp.host.put("ESTOQUE.csv", "depósito;código;saldo\n01;CAM-AZ;5\n01;CAM-VD;5\n", "latin-1")
    await erp.go(16)


async def test_from_the_file_of_products_to_the_file_of_shipments(erp: Erp) -> None:
    await stocked(erp)
    assert await erp.files() == [
        ("products", "PRODUTOS.csv", "done", 2, 0, 2),
        ("stock", "ESTOQUE.csv", "done", 2, 0, 0),
    ]
    made = await erp.rows(
        "SELECT v.sku, v.gtin, p.name, p.description, p.ncm, v.weight_grams FROM variant v "
        "JOIN product p ON p.id = v.product_id ORDER BY v.sku"
    )
    assert made == [
        ("CAM-AZ", "7891000100103", "Camisa azul", "Camisa de algodão", "61091000", 250),
        ("CAM-VD", None, "Camisa verde", "Camisa de algodão", "61091000", 250),
    ]
    on_hand = "SELECT v.sku, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id ORDER BY 1"
    assert await erp.rows(on_hand) == [("CAM-AZ", 5), ("CAM-VD", 5)]

    erp.host.put("PRECOS.csv", "codigo;preco\nCAM-AZ;49,90\n")
    await erp.go()
    told = "SELECT code, price, name FROM channel_variant ORDER BY code"
    assert await erp.rows(told) == [("CAM-AZ", 4990, "Camisa azul"), ("CAM-VD", 5990, "Camisa verde")]
    assert await erp.rows("SELECT sku, price FROM variant ORDER BY 1") == [("CAM-AZ", 4990), ("CAM-VD", 5990)]

    rows = a_row("P-77", "CAM-AZ", total="189,70") + a_row("P-77", "CAM-VD", "2", total="189,70")
    other = a_row("P-78", "CAM-VD", total="69.90")  # a point where commas are usual
    erp.host.put("PEDIDOS.csv", HEAD + rows + other, "latin-1")
    await erp.go()
    assert await erp.stuck() == []
    assert await erp.orders() == [("P-77", 18970), ("P-78", 6990)]
    ((name, city, paid),) = await erp.rows(
        "SELECT o.buyer_name, o.ship_to ->> 'city', e.amount FROM sales_order o JOIN tender t ON t.order_id = o.id "
        "JOIN payment_entry e ON e.tender_id = t.id AND e.kind = 'captured' WHERE o.external_id = 'P-77'"
    )
    assert (name, city, paid) == ("José da Conceição", "São Paulo", 18970)

    await erp.send("P-77", "JD1")
    await erp.go()
    ((first, second),) = erp.written("SHIPMENT_P-77")
    assert (first["order"], first["sku"], first["quantity"], first["tracking"]) == ("P-77", "CAM-AZ", "1", "JD1")
    assert (second["sku"], second["quantity"], second["location"]) == ("CAM-VD", "2", "01")
    await erp.cancel("P-78")
    await erp.go()
    ((gone,),) = erp.written("CANCELLATION_P-78")
    assert (gone["order"], gone["whole"], gone["sku"], gone["quantity"]) == ("P-78", "yes", "CAM-VD", "1")
    assert await erp.rows(on_hand) == [("CAM-AZ", 4), ("CAM-VD", 3)]
    assert erp.host.names("in") == []
    assert erp.host.names("processed") == ["ESTOQUE_2.csv", "PEDIDOS_4.csv", "PRECOS_3.csv", "PRODUTOS_1.csv"]


async def test_a_file_that_is_put_again_makes_no_order_twice_and_products_follow_the_newest(erp: Erp) -> None:
    await stocked(erp)
    orders = HEAD + a_row("P-1", "CAM-AZ")
    for name in ("PEDIDOS.csv", "PEDIDOS.csv", "PEDIDOS-B.csv"):
        erp.host.put(name, orders, "latin-1")
        await erp.go()
    assert await erp.orders() == [("P-1", 6990)]
    assert await erp.stuck() == []
    for at, price in enumerate(("70,00", "80,00", "70,00")):  # the third says what the first said, and counts
        erp.host.put("PRECOS.csv", f"codigo;preco\nCAM-AZ;{price}\n", at=1_000 + at)
        await erp.go()
    assert await erp.rows("SELECT price FROM variant WHERE sku = 'CAM-AZ'") == [(7000,)]
    assert erp.host.names("in") == []


async def test_what_is_not_sold_any_more_stays_so_until_a_file_says_that_it_is(erp: Erp) -> None:
    await erp.keeps(creates="once")
    head, row = PRODUCTS.splitlines()[:2]
    sold = "SELECT code, price, active FROM channel_variant"
    wanted = [
        ("PRODUTOS.csv", f"{head};ATIVO\n{row};não\n", ("CAM-AZ", 5990, False)),
        ("PRECOS.csv", "codigo;preco\nCAM-AZ;49,90\n", ("CAM-AZ", 4990, False)),
        ("PRODUTOS-2.csv", PRODUCTS.replace("59,90", "39,90").rpartition("CAM-VD")[0], ("CAM-AZ", 3990, False)),
        ("PRODUTOS-3.csv", "codigo;ativo\nCAM-AZ;sim\n", ("CAM-AZ", 3990, True)),
    ]
    for name, text, kept in wanted:
        erp.host.put(name, text, "latin-1")
        await erp.go()
        assert await erp.rows(sold) == [kept], name


async def test_saving_which_fields_it_keeps_makes_nothing_that_was_taken_back_nor_what_only_a_price_names(
    erp: Erp,
) -> None:
    await stocked(erp)
    erp.host.put("PRODUTOS-B.csv", "CÓDIGO;DESCRIÇÃO;PREÇO\nBONE;Boné;39,90\nLUVA;Luva;29,90\n")
    erp.host.put("PRECOS.csv", "codigo;preco\nSO-PRECO;9,90\n")
    await erp.go()
    async with erp.database.transaction() as tx:
        assert await at_once.take_back(tx, CODE, ["BONE", "LUVA"]) == 2
    await erp.go()
    skus = "SELECT sku FROM variant WHERE sku IN ('BONE', 'LUVA', 'SO-PRECO') ORDER BY sku"
    waiting = "SELECT code, held, to_make, make_flaws FROM channel_variant WHERE sku_id IS NULL ORDER BY code"
    assert await erp.rows(skus) == []
    for creates, fields in (("once", ("name", "price")), ("held", ("name",)), ("once", ("name", "brand"))):
        async with erp.database.transaction() as tx:
            ((connection,),) = await tx.tuples("SELECT id FROM connection WHERE code = %s::text", [CODE])
            version = (await master_reads.master(tx, connection)).version
            await mastering.put_fields(tx, CODE, fields, version, creates, "made")
        await erp.go()
        assert await erp.rows(waiting) == [
            ("BONE", True, False, None), ("LUVA", True, False, None), ("SO-PRECO", False, False, None),
        ]  # fmt: skip
    assert await erp.rows(skus) == []
    async with erp.database.transaction() as tx:
        assert (await making_reads.counts(tx, connection)).refused == 0


async def test_what_waits_is_made_once_a_connection_by_files_makes_products_at_once(erp: Erp) -> None:
    await erp.keeps("name", creates="held")
    erp.host.put("PRODUTOS.csv", PRODUCTS, "latin-1")
    await erp.go()
    skus = "SELECT sku FROM variant WHERE starts_with(sku, 'CAM-') ORDER BY sku"
    assert await erp.rows(skus) == []
    async with erp.database.transaction() as tx:
        await mastering.put_fields(tx, CODE, ["name"], 1, "once", "made")
    await erp.go()
    assert await erp.rows(skus) == [("CAM-AZ",), ("CAM-VD",)]


async def test_rows_that_cannot_be_used_are_told_and_the_good_ones_are_taken(erp: Erp) -> None:
    await erp.keeps(creates="once")
    bad = "X-1;Sem peso;;123;;;muito;12,00;\nX-2;Boa;;;;;1;1.234,50;\n"
    erp.host.put("PRODUTOS.csv", PRODUCTS + bad, "latin-1")
    await erp.go()
    assert await erp.files() == [("products", "PRODUTOS.csv", "held", 4, 1, 3)]
    assert await erp.rows("SELECT sku, price FROM variant WHERE starts_with(sku, 'X')") == [("X-2", 123450)]
    back = erp.host.text("errors", "PRODUTOS_1.errors.csv")
    assert "X-1" in back
    assert "muito" in back
    assert "X-2" not in back
    assert await erp.rows("SELECT row, problem, field FROM partner_flaw") == [(4, "no_weight", "weight_kg")]

    # An order with a row that is wrong is held as a whole, and the others are taken.
    broken = a_row("P-2", "CAM-AZ", "1", "abc", "129,80") + a_row("P-2", "CAM-VD", total="129,80")
    erp.host.put("PEDIDOS.csv", HEAD + a_row("P-1", "CAM-AZ") + broken + a_row("P-3", "CAM-VD"), "latin-1")
    await erp.go()
    assert [row[0] for row in await erp.orders()] == ["P-1", "P-3"]
    file = "SELECT w.row, w.problem FROM partner_flaw w JOIN partner_file f ON f.id = w.file_id WHERE f.kind = 'orders'"
    assert await erp.rows(file + " ORDER BY 1") == [(3, "no_amount"), (4, "with_others")]
    (name,) = [each for each in erp.host.names("errors") if each.endswith(".errors.csv") and "PEDIDOS" in each]
    mended = erp.host.text("errors", name).replace("abc", "59,90")
    erp.host.put(name, mended)
    await erp.go()
    assert [row[0] for row in await erp.orders()] == ["P-1", "P-2", "P-3"]


async def test_stock_of_a_place_that_the_source_does_not_speak_for_is_held_and_the_rest_is_taken(erp: Erp) -> None:
    await stocked(erp)
    erp.host.put("ESTOQUE-2.csv", "local;sku;saldo\n01;CAM-AZ;9\n02;CAM-AZ;3\n01;CAM-VD;muitos\n")
    await erp.go()
    on_hand = "SELECT v.sku, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id ORDER BY 1"
    assert await erp.rows(on_hand) == [("CAM-AZ", 9), ("CAM-VD", 5)]
    assert (await erp.files())[-1][:5] == ("stock", "ESTOQUE-2.csv", "held", 3, 2)
    assert await erp.rows("SELECT row, problem, value FROM partner_flaw WHERE problem = 'other_location'") == [
        (3, "other_location", "S1")
    ]


async def test_the_rows_to_mend_of_stock_put_back_alone_empty_no_other_shelf(erp: Erp) -> None:
    await stocked(erp)
    erp.host.put("ESTOQUE-2.csv", "local;sku;saldo\n01;CAM-AZ;9\n01;CAM-VD;muitos\n")
    await erp.go()
    (name,) = [each for each in erp.host.names("errors") if each.endswith(".errors.csv")]
    erp.host.put(name, erp.host.text("errors", name).replace("muitos", "7"))
    await erp.go()
    on_hand = "SELECT v.sku, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id ORDER BY 1"
    assert await erp.rows(on_hand) == [("CAM-AZ", 9), ("CAM-VD", 5)]
    says = "SELECT says ->> 'problem' FROM (SELECT says::jsonb FROM partner_file WHERE state = 'held' AND says <> '') f"
    assert await erp.rows(says) == [("stock_in_part",)]


async def test_a_worker_that_dies_between_two_pages_goes_on_where_it_was(
    erp: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stocked(erp)
    monkeypatch.setattr(listing, "PAGE", 2)
    kept: list[int] = []
    keep = listing._keep

    async def dies(tx: object, connection_id: int, file: object, page: list[object]) -> None:
        await keep(tx, connection_id, file, page)  # type: ignore[arg-type]
        kept.append(len(page))
        if len(kept) == 2:
            raise RuntimeError("the machine lost its power")

    monkeypatch.setattr(listing, "_keep", dies)
    erp.host.put("PEDIDOS.csv", HEAD + "".join(a_row(f"P-{n}", "CAM-AZ") for n in range(5)), "latin-1")
    await erp.go()
    assert kept == [2, 2, 2, 1], "the second page was kept twice because its first time was undone"
    assert [row[0] for row in await erp.orders()] == [f"P-{n}" for n in range(5)]
    came = "SELECT count(*), count(DISTINCT entity) FROM channel_inbox WHERE source = 'file'"
    assert await erp.rows(came) == [(5, 5)]
    assert (await erp.files())[-1] == ("orders", "PEDIDOS.csv", "done", 5, 0, 5)


@pytest.mark.parametrize("whole", ["quiet", "marker"])
async def test_a_file_that_is_written_anew_under_its_name_before_it_is_put_away_is_read_too(
    database: Database, tmp_path: Path, whole: str
) -> None:
    async with an_erp(database, tmp_path, whole=whole) as erp:
        mark = erp.host.files / "in" / "PEDIDOS.csv.done"
        first = 1_750_000_000  # stock of a file counts from the file's time

        def puts(name: str, text: str, at: int) -> None:
            erp.host.put(name, text, "latin-1", at)
            (mark.parent / f"{name}.done").touch()

        await erp.keeps(creates="once")
        puts("PRODUTOS.csv", PRODUCTS, first)
        puts("ESTOQUE.csv", "depósito;código;saldo\n01;CAM-AZ;5\n01;CAM-VD;5\n", first)
        await erp.go(16)
        puts("PEDIDOS.csv", HEAD + a_row("P-1", "CAM-AZ"), first)
        for _ in range(2):  # seen, and taken
            await erp.now_due()
            await pulling.work(erp.runtime, pause_s=0)
        assert (await erp.files())[-1][:3] == ("orders", "PEDIDOS.csv", "taken")
        mark.unlink()  # as who writes anew does: it is no whole file meanwhile
        erp.host.put("PEDIDOS.csv", HEAD + a_row("P-2", "CAM-AZ"), "latin-1", first + 300)
        if whole == "marker":
            await erp.go()
            assert erp.host.names("in") == ["PEDIDOS.csv"], "nobody said yet that it is whole"
        mark.touch()
        await erp.go()
        assert [row[0] for row in await erp.orders()] == ["P-1", "P-2"]
        assert [row[2] for row in await erp.files()] == ["done"] * 4
        assert "PEDIDOS.csv" not in erp.host.names("in")
        assert [n for n in erp.host.names("processed") if "PEDIDOS" in n] == ["PEDIDOS_4.csv"]


async def test_a_server_that_dies_while_a_file_is_put_away_loses_and_doubles_nothing(erp: Erp) -> None:
    await stocked(erp)
    for when in ("rename", "renamed"):
        erp.host.put(f"PEDIDOS-{when}.csv", HEAD + a_row(f"P-{when}", "CAM-AZ"), "latin-1")
        erp.host.die_at(when)
        await erp.go(4)
        erp.host.stop()
        erp.host.start()
        await erp.go()
    assert [row[0] for row in await erp.orders()] == ["P-rename", "P-renamed"]
    assert erp.host.names("in") == []
    assert [row[2] for row in await erp.files()] == ["done"] * 4


async def test_what_is_still_written_is_not_read(erp: Erp) -> None:
    await stocked(erp)
    half, rest = a_row("P-1", "CAM-AZ"), a_row("P-1", "CAM-VD")
    incoming = erp.host.files / "in"
    (incoming / "PEDIDOS.csv").write_text(HEAD + half)
    await pulling.work(erp.runtime, pause_s=0)
    with (incoming / "PEDIDOS.csv").open("a") as file:
        file.write(rest.replace("69,90", "129,80"))
    (incoming / "PEDIDOS-2.csv.part").write_text(HEAD + half)
    text = (incoming / "PEDIDOS.csv").read_text().replace("69,90", "129,80")
    (incoming / "PEDIDOS.csv").write_text(text)
    await erp.go()
    assert await erp.orders() == [("P-1", 12980)]
    assert erp.host.names("in") == ["PEDIDOS-2.csv.part"]


async def test_an_order_is_cancelled_by_a_later_file_and_changes_wait_for_a_person(erp: Erp) -> None:
    await stocked(erp)
    erp.host.put("PEDIDOS.csv", HEAD + a_row("P-1", "CAM-AZ") + a_row("P-2", "CAM-VD"), "latin-1")
    await erp.go()
    erp.host.put("PEDIDOS-2.csv", "pedido;data;situacao;sku;quantidade;preco\nP-1;;Cancelado;;;\n")
    erp.host.put("PEDIDOS-3.csv", HEAD + a_row("P-2", "CAM-VD", "2", total="129,80"), "latin-1")
    await erp.go()
    states = "SELECT external_id, status FROM sales_order ORDER BY 1"
    assert [row for row in await erp.rows(states) if row[0] == "P-1"] == [("P-1", "cancelled")]
    assert [row[:2] for row in await erp.stuck()] == [("order:P-2", "changed")]
    assert erp.written("CANCELLATION") == [], "what the ERP cancelled is not told to it"


async def test_the_doctor_says_what_waits_in_the_folders_and_what_became_of_files(erp: Erp) -> None:
    await stocked(erp)
    erp.host.put("PEDIDOS.csv", HEAD + a_row("P-1", "CAM-AZ", "nada"), "latin-1")
    await erp.go()
    erp.host.put("PRODUTOS.csv", PRODUCTS, "latin-1")
    erp.host.put("LEIA-ME.txt", "?")
    found = {(f.check, f.of): f for f in await doctor.examine(erp.runtime, CODE)}
    said = {key: finding.text("en") for key, finding in found.items()}
    assert found["server_key", ""].ok
    assert said["folder", "in"] == "products: 1, prices: 0, orders: 0, stock levels: 0, 1 of a name that says nothing"
    assert not found["folder", "in"].ok
    assert said["files_of", "products"].startswith("PRODUTOS.csv, ")
    assert said["files_of", "products"].endswith("rows: 2")
    assert said["files_of", "orders"].endswith("rows: 1, 1 of them to mend")
    assert not found["files_of", "orders"].ok
    assert said["files_of", "prices"] == "none came yet"
    assert said["orders", ""] == "they come as files"
    assert found["files_of", "prices"].name("pt-BR") == "arquivos de preços"
    assert found["folder", "in"].text("pt-BR").startswith("produtos: 1, preços: 0, pedidos: 0, estoque: 0")
