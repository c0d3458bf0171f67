"""What the page of a simulation says of both worlds: less is better only where as many units find a location."""

import pytest

from malha.console.simulations import _gap_row, figures, unlike
from malha.platform import i18n
from malha.simulation.model import DayGap, Sums


@pytest.fixture(autouse=True)
def in_english():
    with i18n.speaking("en"):
        yield


def sums(cost: int, units: int, unplaced: int) -> Sums:
    return Sums(orders=10, cost=cost, packages=units, units=units, unplaced=unplaced)


def test_a_cost_that_falls_is_welcome_where_as_many_units_find_a_location():
    before, after = sums(100_00, 20, 1), sums(90_00, 20, 1)
    tones = {row.label: row.tone for row in figures(before, after)}
    assert (tones["Cost"], tones["Cost of an order"]) == ("good", "good")
    assert unlike(before, after) == ""


def test_a_cost_that_falls_because_units_wait_is_not_called_welcome_and_the_page_says_why():
    before, after = sums(100_00, 20, 1), sums(60_00, 10, 11)
    tones = {row.label: row.tone for row in figures(before, after)}
    assert (tones["Cost"], tones["Cost of an order"], tones["Parcels"]) == ("", "", "")
    assert tones["Units without a location"] == "bad"
    with i18n.speaking("pt-BR"):
        said = unlike(before, after).replace("\N{NO-BREAK SPACE}", " ")
    assert said == (
        "Na simulação, 10 unidades a menos encontram local e não custam nada: os custos não são comparáveis. "
        "Cada unidade com local custou R$ 5,00; na simulação, R$ 6,00."
    )


def test_more_units_that_find_a_location_are_said_too_and_nothing_is_divided_by_none():
    assert unlike(sums(0, 0, 1), sums(5_00, 1, 0)) == (
        "On paper 1 unit more finds a location and has its cost, so the costs do not compare."
    )


def test_a_scenario_that_is_farther_from_hindsight_than_what_was_done_gains_nothing():
    worse = DayGap(orders=4, compared=4, live=110_00, draft=120_00, bound=100_00.0)
    better = DayGap(orders=4, compared=4, live=110_00, draft=105_00, bound=100_00.0)
    assert (_gap_row("x", worse).lost, _gap_row("x", better).lost) == (True, False)
