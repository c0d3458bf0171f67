"""The tables that an ERP, or any old system, writes: products, prices and orders. Their columns, and what they say."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.filed_rows import Bad
from malha.channels.connectors.partner_tables import Column, Row, Table
from malha.channels.connectors.woocommerce.money import digits_of
from malha.channels.contract import RowFlaw

ATTRIBUTE, OPTION = "attribute", "option"
PREFIXES = {
    ATTRIBUTE: ("atributo", "caracteristica"),
    OPTION: ("opcao", "variacao", "grade"),
}
SKU: Column = ("sku", ("codigo", "cod", "codigo sku", "codigo do produto", "cod produto", "product code"), True)
GTIN: Column = ("gtin", ("ean", "ean13", "gtin ean", "codigo de barras", "cod barras", "barcode"), False)
PRICE: Column = ("price", ("preco", "preco de venda", "preco venda", "valor", "vlr venda", "sale price"), False)
COLUMNS: Mapping[str, Sequence[Column]] = {
    "products": (
        SKU,
        GTIN,
        ("name", ("nome", "nome do produto", "descricao do produto", "produto", "title", "descricao"), False),
        ("product", ("codigo pai", "cod pai", "produto pai", "agrupador", "parent", "product group"), False),
        ("product_name", ("nome pai", "nome do pai", "nome do produto pai", "parent name"), False),
        ("description", ("descricao completa", "descricao detalhada", "descricao longa", "descricao", "texto"), False),
        ("brand", ("marca", "fabricante"), False),
        ("category", ("categoria", "grupo", "departamento", "secao"), False),
        ("ncm", ("codigo ncm", "classificacao fiscal"), False),
        ("cest", ("codigo cest",), False),
        ("origin", ("origem", "origem fiscal", "origem da mercadoria"), False),
        ("weight_kg", ("peso kg", "peso", "peso bruto", "weight"), False),
        ("length_cm", ("comprimento cm", "comprimento", "profundidade"), False),
        ("width_cm", ("largura cm", "largura"), False),
        ("height_cm", ("altura cm", "altura"), False),
        ("pictures", ("imagens", "imagem", "fotos", "foto", "images", "urls"), False),
        PRICE,
        ("active", ("ativo", "situacao", "ativa"), False),
    ),
    "prices": (SKU, (PRICE[0], PRICE[1], True)),
    "orders": (
        ("order", ("pedido", "numero do pedido", "num pedido", "no pedido", "order number", "order id"), True),
        ("placed_at", ("data do pedido", "data", "emissao", "data emissao", "criado em", "date", "order date"), False),
        ("status", ("situacao",), False),
        ("line", ("linha", "item", "sequencia", "seq"), False),
        (SKU[0], (*SKU[1], "produto"), False),
        GTIN,
        ("name", ("nome do produto", "descricao do produto", "descricao", "item name"), False),
        ("quantity", ("quantidade", "qtd", "qtde", "qty"), False),
        ("cancelled", ("quantidade cancelada", "qtd cancelada"), False),
        ("unit_price", ("preco unitario", "preco", "valor unitario", "vlr unitario", "price"), False),
        ("line_discount", ("desconto do item", "desconto item"), False),
        ("shipping", ("frete", "valor do frete", "freight"), False),
        ("discount", ("desconto", "desconto do pedido"), False),
        ("total", ("total do pedido", "valor total", "order total"), False),
        ("currency", ("moeda",), False),
        ("buyer_name", ("nome do cliente", "cliente", "comprador", "nome", "customer"), False),
        ("buyer_document", ("cpf cnpj", "cpf", "cnpj", "documento", "document"), False),
        ("buyer_email", ("email", "e mail"), False),
        ("buyer_phone", ("telefone", "celular", "fone", "phone"), False),
        ("postal_code", ("cep", "zip", "zip code"), False),
        ("street", ("logradouro", "endereco", "rua", "address"), False),
        ("number", ("numero", "nro", "numero do endereco"), False),
        ("complement", ("complemento",), False),
        ("district", ("bairro",), False),
        ("city", ("cidade", "municipio"), False),
        ("state", ("uf", "estado"), False),
        ("country", ("pais",), False),
        ("shipping_method", ("forma de envio", "envio", "metodo de envio", "transporte", "service"), False),
        ("pickup_location", ("loja de retirada", "retirada", "pickup"), False),
        ("payment", ("forma de pagamento", "pagamento", "payment method"), False),
        ("payment_id", ("id do pagamento", "nsu", "autorizacao"), False),
        ("paid", ("pago",), False),
        ("paid_at", ("pago em", "data do pagamento"), False),
        ("installments", ("parcelas",), False),
        ("promised_at", ("prometido em", "entrega prevista", "data de entrega"), False),
        ("note", ("observacao", "observacoes", "obs"), False),
    ),
}
# What a table must have a column for, though a row may leave it empty: one that is cancelled says no more.
HEADS = {"orders": ("placed_at", "sku", "quantity", "unit_price")}
KNOWN = frozenset(name for columns in COLUMNS.values() for name, _, _ in columns)
STOCK = ("location", "quantity", "as_of")  # of the table of stock, which partners write too
MOST = Decimal(10) ** 13


def table_of(kind: str, headings: Mapping[str, str]) -> Table:
    """Return a kind of table; `headings` are those of the ERP, folded, by what they mean."""
    columns = COLUMNS[kind] if kind in COLUMNS else tables.COLUMNS[kind]
    names = {name for name, _, _ in columns}
    prefixes = {} if kind not in {"products", "orders"} else PREFIXES
    mine = {heading: name for heading, name in headings.items() if name in names}
    return Table(columns, mine, prefixes, HEADS.get(kind, ()))


class NoPairError(ValueError):
    """A part of a setting that is no pair."""

    def __init__(self, part: str) -> None:
        super().__init__(f"“{part}” is no pair like theirs=ours")
        self.part = part


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a setting says as `theirs=ours`, separated by commas or ends of lines.

    Raises:
        NoPairError: a part of it is no such pair.
    """
    for each in text.replace("\n", ",").split(","):
        if not each.strip():
            continue
        theirs, sign, ours = (part.strip() for part in each.partition("="))
        if not sign or not theirs or not ours:
            raise NoPairError(each.strip()[:80])
        yield theirs, ours


def under(row: Row, prefix: str) -> dict[str, str]:
    """Return the cells whose headings begin with a prefix and that say something, by the rest of the heading."""
    start = f"{prefix}:"
    return {name.removeprefix(start): text for name, text in row.cells.items() if name.startswith(start) and text}


def minor_of(text: str, numbers: tables.Numbers, currency: str, field: str) -> int:
    """Return an amount in minor units.

    Raises:
        Bad: it is none, less than nothing, or finer than the currency.
    """
    found = tables.amount(text, numbers)
    minor = None if found is None else found.scaleb(digits_of(currency))
    if found is None or minor is None or not 0 <= found < MOST or minor != minor.to_integral_value():
        raise Bad("no_amount", field, text)
    return int(minor)


def major_of(minor: int, numbers: tables.Numbers, currency: str) -> str:
    """Return minor units as the ERP writes an amount."""
    text = format(Decimal(minor).scaleb(-digits_of(currency)), "f")
    return text.replace(".", ",") if numbers == "comma" else text


def thousandths(text: str, numbers: tables.Numbers, factor: int, problem: str, field: str) -> int:
    """Return a measure in a unit that is so many times smaller: grams of kilograms, millimetres of centimetres.

    Raises:
        Bad: it is none.
    """
    found = tables.amount(text, numbers)
    if found is None or not 0 <= found < 100_000:
        raise Bad(problem, field, text)
    return int((found * factor).to_integral_value())


def unplaced(flaw: RowFlaw) -> bool:
    """Tell whether nobody knows what a row that cannot be read belongs to."""
    return flaw.problem in {"unreadable", "too_many_cells", "empty_field"}
