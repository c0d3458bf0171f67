"""Cells of decision tables: what people write is read as they meant it, and written so that it is read again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.console import rule_table_cells as cells
from malha.network.model import Method
from malha.platform.i18n import speaking
from malha.platform.tabular import BadCell
from malha.routing.ruling.model import Row, Then, Unfilled, When


def read(**texts: str) -> tuple[Row, dict[str, str]]:
    wrong: dict[str, str] = {}
    with speaking("pt-BR"):
        row = cells.read_row(texts, lambda name, bad: wrong.setdefault(name, bad.says))
    return row, wrong


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("100..500", 10_000, 50_000),
        ("100-500", 10_000, 50_000),
        ("R$ 1.234,50 \u2013 2.000,00", 123_450, 200_000),
        ("100 a 500", 10_000, 50_000),
        (">= 99,90", 9_990, None),
        ("≤ 50", None, 5_000),
        ("< 50", None, 4_999),
        ("> 50", 5_001, None),
        ("= 7", 700, 700),
        ("12,5", 1_250, 1_250),
    ],
)
def test_a_range_of_money_is_read_as_people_write_it(text: str, least: int | None, most: int | None):
    row, wrong = read(value=text)
    assert wrong == {}
    assert (row.when.min_value, row.when.max_value) == (least, most)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("seg-sex", [1, 2, 3, 4, 5]),
        ("Segunda-feira, Sábado", [1, 6]),
        ("sex-seg", [1, 5, 6, 7]),
        ("Mon..Wed; Sun", [1, 2, 3, 7]),
        ("7", [7]),
    ],
)
def test_days_are_read_in_both_languages_and_over_the_end_of_the_week(text: str, days: list[int]):
    row, wrong = read(weekdays=text)
    assert (row.when.weekdays, wrong) == (days, {})


def test_words_of_the_page_are_read_as_well_as_the_names_of_a_file():
    row, wrong = read(methods="Retirada, ship", complete="Sim", unfilled="queue", hours="22h-6h", keep="2", states="sp")
    assert wrong == {}
    assert row.when == When(methods=[Method.PICKUP, Method.SHIP], from_hour=22, to_hour=6, states=["SP"])
    assert row.then == Then(complete=True, unfilled=Unfilled.QUEUE, keep=2)


def test_what_cannot_be_read_is_told_by_cell_and_the_others_stand():
    row, wrong = read(
        value="cheap", states="SP, XX", weekdays="someday", hours="25-3", methods="by drone", keep="-1", attributes="red",
        max_packages="0", channels="web",
    )  # fmt: skip
    assert set(wrong) == {"value", "states", "weekdays", "hours", "methods", "keep", "attributes", "max_packages"}
    assert row.when == When(channels=["web"])
    with pytest.raises(BadCell):
        cells.bounds("a..b", int_of)


def int_of(text: str) -> int:
    if not text.isdigit():
        raise BadCell("{value} is no number.", "")
    return int(text)


words = st.lists(st.sampled_from(("a", "b-c", "d e")), max_size=3, unique=True)
amounts = st.one_of(st.none(), st.integers(0, 10**9))
whens = st.builds(
    When,
    channels=words,
    methods=st.lists(st.sampled_from(Method), max_size=2, unique=True),
    states=st.lists(st.sampled_from(("SP", "RJ")), max_size=2, unique=True),
    customer_groups=words,
    min_value=amounts,
    max_value=amounts,
    min_units=amounts,
    max_units=amounts,
    max_grams=amounts,
    brands=words,
    attributes=st.dictionaries(st.sampled_from(("size", "class")), words.filter(bool), max_size=2),
    goods=st.sampled_from(("any", "all")),
    weekdays=st.lists(st.integers(1, 7), unique=True).map(sorted),
    from_hour=st.one_of(st.none(), st.integers(0, 24)),
    to_hour=st.one_of(st.none(), st.integers(0, 24)),
)
thens = st.builds(
    Then,
    run=st.sampled_from((None, "Express")),
    groups=words,
    prefer=words,
    keep=st.one_of(st.none(), st.integers(0, 9)),
    complete=st.sampled_from((None, True, False)),
    max_packages=st.one_of(st.none(), st.integers(1, 9)),
    unfilled=st.sampled_from((None, *Unfilled)),
    cancel_after_days=st.one_of(st.none(), st.integers(1, 365)),
)


@settings(max_examples=150, deadline=None)
@given(st.builds(Row, name=st.sampled_from(("", "Usual")), when=whens, then=thens), st.sampled_from(("pt-BR", "en")))
def test_a_row_that_is_written_out_is_read_again_as_it_was(row: Row, language: str):
    with speaking(language):
        texts = cells.texts_of(row)
        wrong: list[str] = []
        assert cells.read_row(texts, lambda name, _bad: wrong.append(name)) == row
    assert wrong == []
