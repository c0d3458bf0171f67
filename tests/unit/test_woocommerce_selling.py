"""What WooCommerce says of a product or a variation, as Malha takes it."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from malha.channels.connectors.woocommerce.selling import product_of
from malha.channels.connectors.woocommerce.showing import Units
from malha.channels.connectors.woocommerce.words import Sold

PATHS = {7: "Casa", 8: "Casa > Mantas"}
SHIRT: dict[str, Any] = {
    "id": 1, "sku": "", "name": "Manta &amp; capa", "type": "variable", "slug": "manta-capa", "price": "99.90",
    "description": "<p>Lã pura</p>\n<p>2 &lt; 3</p>", "weight": "1.5", "brands": [{"id": 3, "name": "Tear"}],
    "dimensions": {"length": "30", "width": "20.5", "height": ""}, "categories": [{"id": 7}, {"id": 8}],
    "images": [{"src": "https://loja.example/a.jpg"}, {"src": "http://loja.example/b.jpg"}],
    "attributes": [
        {"name": "Cor", "variation": True, "options": ["Azul", "Verde"]},
        {"name": "Fio", "variation": False, "options": ["lã", "algodão"]},
    ],
}  # fmt: skip


@pytest.fixture
def ctx() -> Any:
    """What is asked of a context: the currency."""
    return SimpleNamespace(connection=SimpleNamespace(currency="BRL"))


def a(**more: Any) -> Sold:
    return msgspec.convert(SHIRT | more, Sold)


def test_a_variation_has_the_texts_of_its_product_and_its_own_options_and_weight(ctx: Any) -> None:
    blue = a(
        id=2, sku="AZUL", type="variation", attributes=[{"name": "Cor", "option": "Azul"}], weight="2", dimensions={}
    )
    told = product_of(ctx, blue, 5, Units(), PATHS, a())
    assert (told.sku, told.name, told.product, told.product_name) == (
        "AZUL",
        "Manta & capa Azul",
        "manta-capa",
        "Manta & capa",
    )
    assert (told.description, told.brand, told.category) == ("Lã pura\n\n2 < 3", "Tear", "Casa > Mantas")
    assert (told.options, told.attributes) == ({"Cor": "Azul"}, {"Fio": "lã, algodão"})
    assert (told.weight_grams, told.dimensions, told.pictures) == (2_000, (300, 205, 0), ["https://loja.example/a.jpg"])


def test_a_simple_product_stands_alone_and_is_measured_in_the_units_of_its_shop(ctx: Any) -> None:
    told = product_of(ctx, a(type="simple", sku="MANTA", brands=None), 5, Units("lbs", "in"), {}, None)
    assert (told.product, told.product_name, told.options) == ("", "Manta & capa", {})
    assert (told.brand, told.category, told.weight_grams, told.dimensions) == (None, "", 680, (762, 521, 0))
    nothing = product_of(ctx, a(type="simple", weight="pesado", dimensions={}, attributes=[]), 5, Units(), {}, None)
    assert (nothing.weight_grams, nothing.dimensions) == (0, (0, 0, 0))
