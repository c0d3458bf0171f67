"""Products, kits and categories: what holds for all of them, and the edges by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.catalog import rules
from malha.catalog.imports import parse_components
from malha.catalog.model import Component, ProductDraft, VariantDraft
from malha.catalog.ncm import is_known_ncm
from malha.platform.tabular import BadCell
from malha.platform.text import fold

quantities = st.integers(1, 50)
# Kits have ids from 100, plain SKUs below: kits do not hold kits.
kits = st.dictionaries(
    st.integers(100, 120),
    st.dictionaries(st.integers(1, 20), quantities, min_size=1).map(
        lambda parts: tuple(Component(sku, n) for sku, n in parts.items())
    ),
)
lines = st.lists(st.tuples(st.integers(1, 120), quantities))


@given(lines, kits)
def test_exploding_keeps_every_unit_and_leaves_no_kit(ordered: list[tuple[int, int]], known: dict) -> None:
    needed = rules.explode(ordered, known)
    expected = sum(q * sum(c.quantity for c in known[sku]) if sku in known else q for sku, q in ordered)
    assert sum(needed.values()) == expected
    assert not needed.keys() & known.keys()
    assert all(q > 0 for q in needed.values())


@given(lines, lines, kits)
def test_exploding_two_orders_together_needs_what_they_need_apart(a: list, b: list, known: dict) -> None:
    apart = rules.explode(a, known)
    for sku, quantity in rules.explode(b, known).items():
        apart[sku] = apart.get(sku, 0) + quantity
    assert rules.explode([*a, *b], known) == apart


names = st.text(min_size=1, max_size=20)


@given(st.builds(ProductDraft, code=names, name=names, brand=st.none() | names, ncm=st.none() | names, variants=st.lists(
    st.builds(VariantDraft, sku=names, name=st.just("") | names, gtin=st.none() | names, options=st.dictionaries(names, names, max_size=2)),
    max_size=3)))  # fmt: skip
def test_tidying_twice_is_tidying_once_and_no_text_breaks_the_check(draft: ProductDraft) -> None:
    tidy = rules.tidy_product(draft)
    assert rules.tidy_product(tidy) == tidy
    for flaw in rules.check_product(tidy):
        assert flaw.text()


def test_names_are_made_of_options_in_the_products_order() -> None:
    assert rules.variant_name("Camiseta", {"Tamanho": "M", "Cor": "Azul"}, ["Cor", "Tamanho"]) == "Camiseta Azul / M"
    assert rules.variant_name("Camiseta", {"Tamanho": "", "Cor": "Azul"}, ["Cor"]) == "Camiseta Azul"
    assert rules.variant_name("Camiseta", {}) == "Camiseta"


def test_two_variants_with_the_same_options_are_told_apart_or_refused() -> None:
    def product(*options: dict[str, str]) -> ProductDraft:
        variants = [VariantDraft(sku=f"S{i}", options=o) for i, o in enumerate(options)]
        return rules.tidy_product(ProductDraft(code="P", name="P", variants=variants))

    assert not list(rules.check_product(product({"Cor": "Azul"}, {"Cor": "Verde"})))
    assert [f.at for f in rules.check_product(product({"Cor": "Azul"}, {"Cor": "azul"}))] == ["variants/1/options"]
    # Variants without options may stand side by side: packs, editions.
    assert not list(rules.check_product(product({}, {})))


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("Moda > Camisetas", ["moda", "moda.camisetas"]),
        ("Calçados>Tênis & Cia.", ["calcados", "calcados.tenis-cia"]),
        ("Moda", ["moda"]),
        (" > Moda > ", ["moda"]),
        ("", []),
    ],
)
def test_a_path_of_names_becomes_categories_from_the_root(path: str, codes: list[str]) -> None:
    drafts = rules.categories_of_path(path)
    assert [d.code for d in drafts] == codes
    assert [d.parent for d in drafts] == [None, *codes[:-1]][: len(codes)]
    assert not [flaw for d in drafts for flaw in rules.check_category(d)]


@given(st.text(max_size=30))
def test_a_slug_is_a_code_and_its_own_slug(text: str) -> None:
    slug = rules.slug(text)
    assert rules.slug(slug) == slug
    assert slug.isascii()


def test_the_words_of_a_search_find_the_folded_text() -> None:
    text = rules.folded_variant(
        product="Calça Jeans", code="CAL", brand="Malha", variant="Calça Jeans Azul", sku="CAL-1", gtin=None
    )
    assert all(word in text for word in fold("CALCA azul malha cal-1").split())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A:2 | B:1", {"A": 2, "B": 1}),
        ("A x 2; B", {"A": 2, "B": 1}),
        ("CAM-AZ-P*3", {"CAM-AZ-P": 3}),
        ("", {}),
    ],
)
def test_what_a_kit_is_made_of_is_read_as_people_write_it(text: str, parts: dict[str, int]) -> None:
    assert parse_components(text) == parts


def test_a_component_named_twice_is_not_guessed() -> None:
    with pytest.raises(BadCell):
        parse_components("A:1 | A:2")


def test_the_table_of_ncm_codes_knows_what_exists() -> None:
    assert is_known_ncm("61091000")
    assert is_known_ncm("01012100")
    assert not is_known_ncm("61099999")
    assert not is_known_ncm("6109")
