"""The shopper's pages without a database: opening hours in few words, days as people say them, and the meter."""

from datetime import UTC, date, datetime, timedelta

import pytest

from malha.network.colour import READABLE, contrast
from malha.platform import i18n
from malha.platform.clock import now
from malha.shopper import code, render
from malha.shopper.desk import HERO, stylesheet
from malha.shopper.meter import Meter
from malha.shopper.reads import Place
from malha.shopper.view import hours_of

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
SHOP = {day: [("09:00", "19:00")] for day in WEEKDAYS} | {"sat": [("09:00", "12:00"), ("13:00", "18:00")]}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", [("Mon to Fri", "09:00 to 19:00"), ("Sat", "09:00 to 12:00, 13:00 to 18:00")]),
        ("pt-BR", [("seg a sex", "09:00 às 19:00"), ("sáb", "09:00 às 12:00, 13:00 às 18:00")]),
    ],
)
def test_equal_neighbouring_days_are_said_together(language: str, said: list[tuple[str, str]]) -> None:
    place = Place(id=1, name="S", kind="store", timezone="America/Sao_Paulo", opening_hours=SHOP)
    with i18n.speaking(language):
        assert [(row.days, row.hours) for row in hours_of(place)] == said


def test_a_place_that_states_no_hours_has_those_the_network_assumes() -> None:
    with i18n.speaking("en"):
        place = Place(id=1, name="S", kind="store", timezone="America/Sao_Paulo")
        assert [(row.days, row.hours) for row in hours_of(place)] == [("Mon to Fri", "09:00 to 18:00")]


@pytest.mark.parametrize(("language", "said"), [("pt-BR", "quarta, 25 de novembro"), ("en", "Wednesday, 25 November")])
def test_a_promise_names_its_day(language: str, said: str) -> None:
    with i18n.speaking(language):
        assert render.long_day(date(2026, 11, 25)) == said


def test_a_time_of_this_week_needs_no_date_and_one_of_another_does() -> None:
    with i18n.speaking("en", "UTC"):
        assert render.moment(now()).startswith("today, ")
        assert len(render.moment(now() - timedelta(days=3)).split(", ")) == 2
        assert "2020" in render.moment(datetime(2020, 3, 1, 12, tzinfo=UTC))


def test_a_code_is_read_out_in_two_groups_and_drawn_as_it_is() -> None:
    assert code.spoken("482107") == "482 107"
    assert code.qr("482107") == code.qr("482107") != code.qr("482108")
    assert "script" not in code.qr("482107")


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#f2ae65", "#0b6e4f", "#808080"])
def test_a_retailers_colour_can_be_read_in_the_head_of_the_page(colour: str) -> None:
    found = dict(part.split(":") for part in stylesheet(colour).partition("{")[2].partition("}")[0].split(";"))
    assert contrast(found["--m-brand-hero"], HERO) >= READABLE
    assert contrast(found["--m-on-brand"], found["--m-brand"]) >= READABLE


def test_the_meter_lets_people_by_and_machines_wait() -> None:
    meter = Meter(burst=3, per_minute=60)
    assert [meter.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 1]
    assert meter.take("b", 0.0) == 0
    assert meter.take("a", 1.0) == 0
    assert meter.take("a", 1.0) == 1


def test_the_meter_forgets_whom_it_has_not_seen_for_long() -> None:
    meter = Meter(burst=1, per_minute=1, remembered=2)
    meter.take("a", 0.0)
    for other in ("b", "c"):
        meter.take(other, 0.0)
    assert meter.take("a", 0.0) == 0
    assert meter.take("c", 0.0) > 0
