"""What the files of an ERP say, as Brazilian systems write them, and what is wrong with them."""

import tracemalloc
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import msgspec
import pytest

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.erp_files import ErpFiles, ErpFilesConfig
from malha.channels.contract import ExtProduct, ExtState, FileTold, Invalid, PaidState

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
CONFIG = ErpFilesConfig(host="sftp.example", user="malha")


def told(name: str, text: str | bytes, config: ErpFilesConfig = CONFIG) -> FileTold:
    body = text if isinstance(text, bytes) else text.encode()
    return ErpFiles().understand(config, name, BytesIO(body), AT)


def items(found: FileTold) -> list[Any]:
    return [each.item for each in found.listed or ()]


def flaws(found: FileTold) -> list[tuple[int, str, str]]:
    return [(flaw.row, flaw.problem, flaw.field) for flaw in found.flaws]


TABLE = (
    "Código;Descrição;Descrição completa;EAN;Marca;NCM;Origem;Peso (kg);Altura;Largura;Comprimento;Imagens;Preço;"
    "Código pai;Nome pai;Atributo:Composição;Opção:Cor\r\n"
    "CAM-AZ;Camisa azul;Feita à mão;7891000100103;Ação;6109.10.00;0;0,25;2,5;30;40;"
    '"https://img.example/a.jpg|https://img.example/b.jpg";1.259,90;CAM;Camisa;Algodão;Azul\r\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_a_product_is_read_whatever_its_file_is_written_in(encoding: str) -> None:
    found = told("PRODUTOS.csv", TABLE.encode(encoding))
    assert flaws(found) == []
    assert items(found) == [
        ExtProduct(
            id="",
            sku="CAM-AZ",
            gtin="7891000100103",
            name="Camisa azul",
            price=125_990,
            active=None,
            product="CAM",
            product_name="Camisa",
            weight_grams=250,
            dimensions=(400, 300, 25),
            description="Feita à mão",
            brand="Ação",
            ncm="61091000",
            origin=0,
            attributes={"Composição": "Algodão"},
            options={"Cor": "Azul"},
            pictures=["https://img.example/a.jpg", "https://img.example/b.jpg"],
        )
    ]


def test_a_lone_description_is_the_name_and_what_has_no_column_is_not_told() -> None:
    (product,) = items(told("PROD.csv", "codigo,descricao\nA,Camisa\n"))
    assert (product.name, product.product_name, product.description) == ("Camisa", "Camisa", None)
    assert (product.price, product.weight_grams, product.ncm, product.attributes) == (None, None, None, None)
    assert product.active is None


def test_an_empty_cell_of_a_text_says_that_there_is_none_and_one_of_a_number_says_nothing() -> None:
    (product,) = items(told("PROD.csv", "codigo;nome;marca;ncm;peso kg;preco;atributo:Cor\nA;Camisa;;;;;\n"))
    assert (product.brand, product.ncm, product.attributes) == ("", "", {})
    assert (product.weight_grams, product.price) == (None, None)


@pytest.mark.parametrize(
    ("written", "numbers", "minor"),
    [
        ("12,90", "comma", 1290),
        ("1.234,5", "comma", 123_450),
        ("1.234", "comma", 123_400),
        ("12.90", "comma", 1290),
        ("R$ 1.234,50", "comma", 123_450),
        ("1,234.50", "comma", 123_450),
        ("12.90", "point", 1290),
        ("1,234", "point", 123_400),
        ("12,9", "point", 1290),
        ("0", "comma", 0),
        ("0.500", "comma", 50),
        ("0,500", "point", 50),
        ("00.500", "comma", 50),
    ],
)
def test_money_is_read_as_the_erp_writes_it_or_the_other_way_where_that_is_clear(
    written: str, numbers: Any, minor: int
) -> None:
    config = msgspec.structs.replace(CONFIG, numbers=numbers)
    (product,) = items(told("PRECOS.csv", f'codigo;preco\nA;"{written}"\n', config))
    assert product == ExtProduct(id="", sku="A", price=minor, active=None)


@pytest.mark.parametrize(("written", "numbers"), [("0.500", "comma"), ("0,500", "point"), ("0,500", "comma")])
def test_half_a_kilogram_is_not_half_a_ton(written: str, numbers: Any) -> None:
    config = msgspec.structs.replace(CONFIG, numbers=numbers)
    (product,) = items(told("PROD.csv", f'codigo;nome;peso kg\nA;x;"{written}"\n', config))
    assert product.weight_grams == 500


@pytest.mark.parametrize("wrong", ["abc", "-1", "12,905", "1,2,3", "12.3.4", "9" * 20])
def test_what_is_no_amount_is_told_with_its_line(wrong: str) -> None:
    found = told("PRECOS.csv", f'codigo;preco\nA;1\nB;"{wrong}"\nC;2\n')
    assert [each.sku for each in items(found)] == ["A", "C"]
    assert flaws(found) == [(3, "no_amount", "price")]


@pytest.mark.parametrize(
    ("column", "wrong", "problem"),
    [
        ("gtin", "7,89E+12", "no_gtin"),
        ("ncm", "6109", "no_tax_code"),
        ("cest", "123", "no_tax_code"),
        ("origin", "9", "no_origin"),
        ("weight_kg", "leve", "no_weight"),
        ("height_cm", "alto", "no_size"),
        ("pictures", "http://img.example/a.jpg", "no_picture"),
        ("active", "talvez", "unknown_word"),
    ],
)
def test_each_wrong_cell_is_named_and_harms_no_other_row(column: str, wrong: str, problem: str) -> None:
    found = told("PROD.csv", f'sku;name;{column}\nA;x;\nB;x;"{wrong}"\nC;x;\n')
    assert [each.sku for each in items(found)] == ["A", "C"]
    assert flaws(found) == [(3, problem, column)]


def test_headings_and_locations_of_its_own_are_understood_and_nonsense_is_refused() -> None:
    config = ErpFilesConfig(
        host="h", user="u", columns="COD_PROD=sku, VLR=price, Qt. disp.=quantity, FIL=location", locations="01=DC"
    )
    (product,) = items(told("PRECO.csv", "COD_PROD;VLR\nA;1,50\n", config))
    assert (product.sku, product.price) == ("A", 150)
    stock = told("ESTOQUE.csv", "FIL;COD_PROD;Qt. disp.\n01;A;7\n02;A;1\n", config).stock
    assert stock is not None
    assert [(line.location, line.sku, line.quantity) for line in stock.lines] == [("DC", "A", 7), ("02", "A", 1)]
    for wrong in ({"columns": "COR=colour"}, {"columns": "sku"}, {"locations": "01="}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"host": "h", "user": "u", **wrong}, ErpFilesConfig)


def test_a_heading_of_its_own_counts_before_what_a_word_usually_means() -> None:
    config = ErpFilesConfig(host="h", user="u", columns="Valor de tabela=price")
    (product,) = items(told("PRECO.csv", "codigo;valor;Valor de tabela\nA;1;2\n", config))
    assert product.price == 200


@pytest.mark.parametrize("name", ["ESTOQUE_4.errors.csv", "Estoque_4.errors_9.CSV", "ESTOQUE_4.errors_9.errors.csv"])
def test_the_rows_to_mend_of_stock_are_not_all_that_there_is(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        told(name, "local;codigo;saldo\n01;A;7\n")
    assert caught.value.code == "stock_in_part"
    assert told("ESTOQUE_4.csv", "local;codigo;saldo\n01;A;7\n").stock is not None


TO = "pedido;data;sku;quantidade;preco;cep;pais\n"
ORDER = "pedido;data;sku;quantidade;preco;frete;situacao;atributo:Gravação;obs\n"


def test_rows_of_one_number_are_one_order_wherever_they_stand() -> None:
    found = told(
        "PEDIDOS.csv",
        ORDER
        + "1;27/11/2026 10:00;A;1;10,00;5,00;;Ana;oi\n"
        + "2;27/11/2026;C;3;1,00;;Cancelado;;\n"
        + "1;27/11/2026 10:00;B;2;20,00;;;Rui;\n",
    )
    second, first = items(found)
    assert [each.rows for each in found.listed or ()] == [[3], [2, 4]]
    assert (first.id, first.shipping, first.note, first.state) == ("1", 500, "oi", ExtState.OPEN)
    assert [(line.sku, line.quantity, line.unit_price) for line in first.lines] == [("A", 1, 1000), ("B", 2, 2000)]
    assert [line.attributes for line in first.lines] == [{"Gravação": "Ana"}, {"Gravação": "Rui"}]
    assert first.attributes == {}
    assert first.placed_at == datetime(2026, 11, 27, 13, tzinfo=UTC)
    assert second.state is ExtState.CANCELLED


def test_an_order_with_a_row_that_is_wrong_is_held_as_a_whole() -> None:
    good = "{n};27/11/2026;A;1;10,00;;;;\n"
    found = told(
        "PEDIDOS.csv",
        ORDER
        + good.format(n=1)
        + "2;27/11/2026;A;um;10,00;;;;\n"
        + good.format(n=2)
        + good.format(n=3)
        + "3;27/11/2026;B;1;10,00;9,00;;;\n"
        + "3;27/11/2026;C;1;10,00;8,00;;;\n"  # another freight than the row before
        + "4;;A;1;10,00;;;;\n"
        + good.format(n=5),
    )
    assert [each.id for each in items(found)] == ["1", "5"]
    assert flaws(found) == [
        (3, "no_quantity", "quantity"),
        (4, "with_others", ""),
        (5, "with_others", ""),
        (6, "with_others", ""),
        (7, "other_value", "shipping"),
        (8, "empty_field", "placed_at"),
    ]


@pytest.mark.parametrize(
    ("written", "country"), [("", "BR"), ("BR", "BR"), ("pt", "PT"), ("Brasil", "BR"), ("BRAZIL", "BR")]
)
def test_a_country_is_its_two_letters(written: str, country: str) -> None:
    (order,) = items(told("PEDIDOS.csv", f"{TO}1;27/11/2026;A;1;10,00;01310-100;{written}\n"))
    assert order.ship_to.country == country


@pytest.mark.parametrize("wrong", ["Austrália", "Estados Unidos", "BRA", "1"])
def test_a_country_by_another_name_is_not_cut_to_that_of_another(wrong: str) -> None:
    found = told("PEDIDOS.csv", f"{TO}1;27/11/2026;A;1;10,00;01310-100;{wrong}\n")
    assert items(found) == []
    assert flaws(found) == [(2, "unknown_word", "country")]


PEOPLE = {
    "cliente": "Ana Souza", "cpf": "52998224725", "email": "ana@loja.example", "telefone": "11987654321",
    "cep": "01310-100", "endereço": "Rua das Flores", "número": "1000", "complemento": "ap 7", "bairro": "Bela Vista",
    "cidade": "Ouro Preto", "uf": "MG", "observação": "deixar com Rui",
}  # fmt: skip


@pytest.mark.parametrize("heading", PEOPLE)
def test_what_rows_say_of_a_buyer_is_not_told_where_they_differ(heading: str) -> None:
    rows = f"1;27/11/2026;A;1;10,00;outro\n1;27/11/2026;B;1;10,00;{PEOPLE[heading]}\n"
    found = told("PEDIDOS.csv", f"pedido;data;sku;quantidade;preco;{heading}\n{rows}")
    assert [(flaw.row, flaw.problem, flaw.value) for flaw in found.flaws] == [
        (2, "with_others", ""),
        (3, "other_person", ""),
    ]


@pytest.mark.parametrize("broken", ["2;27/11/2026;B;1;10,00;;;;;zu;viel\n", ";27/11/2026;B;1;10,00;;;;\n"])
def test_a_row_that_may_be_of_the_orders_beside_it_holds_them(broken: str) -> None:
    """Else an order would be taken without the line that nobody could read."""
    row = "{n};27/11/2026;A;1;10,00;;;;\n"
    found = told("PEDIDOS.csv", ORDER + row.format(n=1) + row.format(n=2) + broken + row.format(n=3) + row.format(n=4))
    assert [each.id for each in items(found)] == ["1", "4"]
    assert [flaw[::2] for flaw in flaws(found) if flaw[1] == "beside_unreadable"] == [(3, "order"), (5, "order")]
    assert [flaw.row for flaw in found.flaws] == [3, 4, 5]


def test_a_payment_is_what_the_order_is_worth_and_paid_where_that_is_said() -> None:
    head = "pedido;data;sku;quantidade;preco;desconto do item;frete;desconto;pagamento;pago em;pago;parcelas\n"
    found = told(
        "PEDIDOS.csv",
        head
        + "1;27/11/2026;A;2;10,00;1,00;5,00;2,00;Pix;27/11/2026 09:00;;\n"
        + "2;27/11/2026;A;1;10,00;;;;Boleto;;;3\n"
        + "3;27/11/2026;A;1;10,00;;;;Boleto;;sim;\n",
    )
    one, two, three = items(found)
    assert [(p.id, p.method, p.amount, p.state, p.installments) for p in (*one.payments, *two.payments)] == [
        ("1-1", "Pix", 2_200, PaidState.CAPTURED, 1),
        ("2-1", "Boleto", 1_000, PaidState.PENDING, 3),
    ]
    assert three.payments[0].state is PaidState.CAPTURED


def test_a_state_that_nobody_knows_is_no_open_order() -> None:
    (order,) = items(told("PEDIDOS.csv", ORDER + "1;27/11/2026;A;1;10,00;;Em análise de crédito;;\n"))
    assert (order.state, order.status) == (ExtState.UNKNOWN, "Em análise de crédito")


def test_a_cancelled_order_needs_no_more_than_its_number() -> None:
    (order,) = items(told("PEDIDOS.csv", ORDER + "1;;;;;;Cancelado;;\n"))
    assert (order.id, order.state, list(order.lines)) == ("1", ExtState.CANCELLED, [])


def test_a_table_without_its_columns_says_which() -> None:
    with pytest.raises(Invalid) as caught:
        told("PEDIDOS.csv", "pedido;sku;quantidade\n1;A;1\n")
    assert (caught.value.code, caught.value.why) == ("missing_columns", "placed_at, unit_price")
    with pytest.raises(Invalid) as unknown:
        told("LEIA-ME.txt", "x")
    assert unknown.value.code == "unknown_file"


@pytest.mark.parametrize(("kind", "each"), [("products", 0), ("orders", 300)])
def test_what_a_file_takes_of_memory_does_not_grow_with_its_rows(
    kind: str, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row of it stays in memory; of orders, how many rows each number has: a few hundred bytes."""
    monkeypatch.setattr(tables, "PIECE", 1 << 14)
    head, row = {
        "products": ("PROD.csv;sku;name;price;description\n", "P-{n};Camisa;59,90;{long}\n"),
        "orders": ("PEDIDOS.csv;pedido;data;sku;quantidade;preco;x\n", "{n};27/11/2026;A;1;10,00;{long}\n"),
    }[kind]
    name, _, head = head.partition(";")

    def peak(count: int) -> int:
        body = BytesIO((head + "".join(row.format(n=n, long="palavra " * 40) for n in range(count))).encode())
        tracemalloc.start()
        try:
            found = ErpFiles().understand(CONFIG, name, body, AT)
            assert sum(len(each.rows) for each in found.listed or ()) == found.rows == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(200), peak(3_000)
    assert large - small < 200_000 + 3_000 * each  # the file is a megabyte
