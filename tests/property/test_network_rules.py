"""Calendars, tariffs, places and hours: what holds for all of them, and the edges by name."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.network import rules
from malha.network.calendar import TABLE_YEARS, Calendar, add_business_days, holidays_of, is_holiday
from malha.network.model import (
    WEEKDAYS,
    Channel,
    ChannelKind,
    EstablishmentDraft,
    Location,
    LocationDraft,
    LocationKind,
    LocationStatus,
    PaymentPolicy,
    Rate,
    RateDraft,
    ShortagePolicy,
)
from malha.network.places import locate, locate_city, place_of, places
from malha.network.tariff import Tariff, billable_grams, cubic_grams, distance_km
from malha.platform.address import Address
from malha.platform.brazil import STATES

SP = ZoneInfo("America/Sao_Paulo")
WEEK = {day: [("09:00", "18:00")] for day in WEEKDAYS[:5]} | {"sat": [("09:00", "12:00"), ("13:00", "14:00")]}


def a_location(**facts: object) -> Location:
    return Location(**{
        "id": 1, "code": "L", "name": "L", "kind": LocationKind.STORE, "establishment_id": 1,
        "status": LocationStatus.ACTIVE, "address": Address(), "state": "SP", "postal_code": None, "latitude": None,
        "longitude": None, "timezone": "America/Sao_Paulo", "opening_hours": WEEK, "holiday_calendar": "BR-SP",
        "can_ship": True, "can_pickup": True, "can_curbside": False, "can_return": False, "cut_off": time(14),
        "daily_capacity": None, "handling_cost": 0, "line_cost": 0, "priority": 100,
        "pickup_days": 7, "version": 1, **facts,
    })  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SP)


@pytest.mark.parametrize(
    ("released", "due"),
    [
        ("2026-11-24T10:00", "2026-11-24T18:00"),  # a Tuesday, in time
        ("2026-11-24T14:00", "2026-11-24T18:00"),  # the cut-off's minute counts
        ("2026-11-24T14:00:59", "2026-11-24T18:00"),
        ("2026-11-24T14:01", "2026-11-25T18:00"),
        ("2026-11-27T15:00", "2026-11-28T14:00"),  # Friday too late: Saturday's last closing
        ("2026-11-28T15:00", "2026-11-30T18:00"),  # Saturday too late: Monday
        ("2026-11-20T09:00", "2026-11-21T14:00"),  # Consciência Negra, a holiday
        ("2026-12-24T20:00", "2026-12-26T14:00"),  # over Christmas
        ("2026-07-09T09:00", "2026-07-10T18:00"),  # a holiday of São Paulo only
    ],
)
def test_work_is_due_when_its_working_day_closes(released: str, due: str) -> None:
    assert Calendar(a_location()).due_at(at(released)) == at(due)


def test_the_cut_off_is_the_locations_own_clock() -> None:
    manaus = Calendar(a_location(timezone="America/Manaus", holiday_calendar="BR-AM"))
    # 14:30 in São Paulo is 13:30 in Manaus: still in time there.
    assert manaus.due_at(at("2026-11-24T14:30")) == datetime(2026, 11, 24, 22, tzinfo=UTC)


def test_a_closure_moves_work_to_the_next_working_day() -> None:
    calendar = Calendar(a_location(), frozenset({date(2026, 11, 24)}))
    assert calendar.due_at(at("2026-11-24T10:00")) == at("2026-11-25T18:00")
    assert calendar.next_open_day(date(2026, 11, 24)) == date(2026, 11, 25)


def test_a_location_that_states_no_hours_works_from_monday_to_friday() -> None:
    calendar = Calendar(a_location(opening_hours={}))
    assert [calendar.is_open_on(date(2026, 11, 23) + timedelta(days=i)) for i in range(7)] == [True] * 5 + [False] * 2


def test_a_location_that_never_opens_is_due_never() -> None:
    days = frozenset(date(2026, 1, 1) + timedelta(days=i) for i in range(1200))
    assert Calendar(a_location(), days).due_at(at("2026-06-01T10:00")) is None


@pytest.mark.parametrize(
    ("released", "due"),
    [
        ("2026-11-28T14:00", "2026-11-28T14:00"),  # Saturday, as it closes
        ("2026-11-28T14:01", "2026-11-30T18:00"),  # Saturday, before the cut-off, but nobody is there any more
        ("2026-11-27T17:00", "2026-11-27T18:00"),  # Friday, before both
        ("2026-11-27T18:01", "2026-11-28T14:00"),
    ],
)
def test_what_comes_after_a_location_closed_is_work_of_its_next_day_though_the_cut_off_is_later(
    released: str, due: str
) -> None:
    calendar = Calendar(a_location(cut_off=time(20)))
    assert calendar.due_at(at(released)) == at(due)
    assert calendar.due_day(at(released)) == at(due).astimezone(ZoneInfo("America/Sao_Paulo")).date()


def test_a_location_that_states_no_hours_works_until_its_cut_off() -> None:
    calendar = Calendar(a_location(opening_hours={}, cut_off=time(20)))
    assert calendar.due_at(at("2026-11-24T19:30")) == at("2026-11-24T20:00")


def test_work_in_slots_goes_by_the_cut_off_alone() -> None:
    calendar = Calendar(a_location(cut_off=time(20)), by_slots=True)
    assert calendar.due_day(at("2026-11-28T19:00")) == date(2026, 11, 28)


def test_a_shop_open_at_night_closes_in_the_last_minute() -> None:
    calendar = Calendar(a_location(opening_hours={day: [("00:00", "24:00")] for day in WEEKDAYS}))
    assert calendar.due_at(at("2026-11-24T10:00")) == at("2026-11-24T23:59")


instants = st.datetimes(datetime(2015, 1, 1), datetime(2027, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))  # noqa: DTZ001


@given(
    instants,
    st.sampled_from(["America/Sao_Paulo", "America/Manaus", "America/Rio_Branco", "America/Noronha"]),
    st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.sets(st.integers(0, 20)),
)
def test_the_due_day_is_the_first_working_day_that_is_still_in_time(
    released: datetime, zone: str, days: set[str], cut_off: time, closed: set[int]
) -> None:
    local = released.astimezone(ZoneInfo(zone))
    closures = frozenset(local.date() + timedelta(days=i) for i in closed)
    location = a_location(timezone=zone, opening_hours={d: [("08:00", "20:00")] for d in days}, cut_off=cut_off)
    calendar = Calendar(location, closures)
    day = calendar.due_day(released)
    assert day is not None
    assert calendar.is_open_on(day)
    assert day not in closures
    minute = local.time().replace(second=0, microsecond=0)
    first = local.date() + timedelta(days=0 if minute <= min(cut_off, time(20)) else 1)
    assert day >= first
    assert not any(calendar.is_open_on(first + timedelta(days=i)) for i in range((day - first).days))
    due = calendar.due_at(released)
    assert due is not None
    assert due.astimezone(ZoneInfo(zone)).date() == day
    assert due >= released.replace(second=0, microsecond=0)


@given(st.dates(date(2016, 1, 1), date(2027, 12, 31)), st.integers(0, 30))
def test_business_days_count_no_weekend_and_no_holiday(day: date, n: int) -> None:
    end = add_business_days(day, n)
    between = [day + timedelta(days=i) for i in range(1, (end - day).days + 1)]
    assert sum(d.weekday() < 5 and not is_holiday("BR", d) for d in between) == n
    assert n == 0 or (end.weekday() < 5 and not is_holiday("BR", end))


def test_holiday_calendars_are_the_countrys_the_states_or_none() -> None:
    assert date(2026, 7, 9) in holidays_of("BR-SP", 2026)
    assert date(2026, 7, 9) not in holidays_of("BR", 2026)
    assert holidays_of("-", 2026) == frozenset()
    with pytest.raises(ValueError):
        holidays_of("XX", 2026)
    with pytest.raises(ValueError):
        holidays_of("BR-ZZ", 2026)


def test_the_table_of_holidays_is_what_the_package_says() -> None:
    # When this fails, the package knows a new law: run tools/build_holidays.py.
    for calendar in ["BR", *(f"BR-{state}" for state in STATES)]:
        country, _, state = calendar.partition("-")
        for year in TABLE_YEARS:
            expected = holidays.country_holidays(country, subdiv=state or None, years=year)
            assert holidays_of(calendar, year) == frozenset(expected), (calendar, year)
    assert date(2050, 12, 25) in holidays_of("BR", 2050)
    assert date(2026, 7, 4) in holidays_of("US", 2026)


# --- tariffs ---


def a_rate(from_state: str, to_state: str, max_grams: int, price: int, per_extra_kg: int = 0) -> Rate:
    return Rate(
        service_id=1, from_state=from_state, to_state=to_state, max_grams=max_grams, price=price,
        per_extra_kg=per_extra_kg, lead_days=price // 100,
    )  # fmt: skip


TARIFF = Tariff(
    [
        a_rate("SP", "SP", 1000, 1000),
        a_rate("SP", "SP", 500, 800),
        a_rate("SP", "SP", 5000, 2000, per_extra_kg=150),
        a_rate("SP", "*", 2000, 3000),
        a_rate("*", "RJ", 2000, 3500),
        a_rate("*", "*", 30_000, 9000),
    ]
)


@pytest.mark.parametrize(
    ("origin", "destination", "grams", "price"),
    [
        ("SP", "SP", 0, 800),
        ("SP", "SP", 500, 800),
        ("SP", "SP", 501, 1000),
        ("SP", "SP", 1000, 1000),
        ("SP", "SP", 5000, 2000),
        ("SP", "SP", 5001, 2150),  # each started kilogram
        ("SP", "SP", 6000, 2150),
        ("SP", "SP", 6001, 2300),
        ("SP", "BA", 2000, 3000),
        ("SP", "RJ", 2000, 3000),  # from is more specific than to
        ("SP", "BA", 2001, None),  # the nearer zone decides, even that it does not carry
        ("MG", "RJ", 100, 3500),
        ("MG", "BA", 30_000, 9000),
        ("MG", "BA", 30_001, None),
    ],
)
def test_the_most_specific_zone_and_the_smallest_bracket_decide(
    origin: str, destination: str, grams: int, price: int | None
) -> None:
    quote = TARIFF.quote(1, origin, destination, grams)
    assert (quote.price if quote else None) == price


def test_a_service_without_rates_carries_nothing() -> None:
    assert TARIFF.quote(2, "SP", "SP", 1) is None


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_a_heavier_parcel_is_never_cheaper(a: int, b: int) -> None:
    lighter, heavier = (TARIFF.quote(1, "SP", "SP", grams) for grams in sorted((a, b)))
    assert lighter
    assert heavier
    assert lighter.price <= heavier.price


def test_parcels_are_billed_by_volume_when_that_is_more() -> None:
    assert cubic_grams(300, 200, 100) == 1000  # 30 x 20 x 10 cm
    assert cubic_grams(1, 1, 1) == 1
    assert cubic_grams(0, 200, 100) == 0
    assert billable_grams(1500, 300, 200, 100) == 1500
    assert billable_grams(500, 300, 200, 100) == 1000


def test_distances_are_those_of_the_map() -> None:
    sp, rj, manaus = locate("01310-100"), locate("20040-002"), locate("69005-010")
    assert sp
    assert rj
    assert manaus
    assert 350 < distance_km(sp.latitude, sp.longitude, rj.latitude, rj.longitude) < 370
    assert 2650 < distance_km(sp.latitude, sp.longitude, manaus.latitude, manaus.longitude) < 2720


points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(points, points)
def test_distance_is_symmetric_and_at_most_half_the_earth(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert distance_km(*a, *b) == pytest.approx(distance_km(*b, *a))
    assert 0 <= distance_km(*a, *b) <= 20_016
    assert distance_km(*a, *a) == 0


# --- places ---


def test_every_municipality_is_found_by_name_and_code() -> None:
    all_places = places()
    assert len(all_places) == 5571
    for place in all_places:
        assert locate_city(place.city, place.state) == place
        assert place_of(place.ibge) == place
        ZoneInfo(place.timezone)


@pytest.mark.parametrize(
    ("cep", "city", "state"),
    [
        ("01310-100", "São Paulo", "SP"),
        ("13083970", "Campinas", "SP"),
        ("20040-002", "Rio de Janeiro", "RJ"),
        ("70040-010", "Brasília", "DF"),
        ("53990-000", "Fernando de Noronha", "PE"),
        ("01310", "São Paulo", "SP"),  # a prefix
        ("57350-000", "Campo Grande", "AL"),
    ],
)
def test_a_cep_tells_its_municipality(cep: str, city: str, state: str) -> None:
    place = locate(cep)
    assert place
    assert (place.city, place.state) == (city, state)


@pytest.mark.parametrize("cep", ["", "0000", "00000-000", "abcdefgh", "33400-000"])
def test_a_cep_nobody_has_is_nowhere(cep: str) -> None:
    assert locate(cep) is None


@pytest.mark.parametrize(
    ("name", "state"), [("sao joao del rei", "MG"), ("SANT'ANA DO LIVRAMENTO", "rs"), ("Mogi das cruzes", "SP")]
)
def test_cities_are_found_without_accents_case_and_hyphens(name: str, state: str) -> None:
    assert locate_city(name, state)


# --- establishments, locations, hours ---


def test_a_location_is_completed_by_its_cep_and_keeps_what_was_stated() -> None:
    draft = LocationDraft(
        code="X", name=" Loja ", kind=LocationKind.STORE, establishment="E", address=Address(postal_code="69005-010"),
        latitude=-3.0, longitude=-60.0,
    )  # fmt: skip
    done = rules.complete_location(draft, "SP")
    assert (done.address.city, done.address.state, done.timezone) == ("Manaus", "AM", "America/Manaus")
    assert (done.latitude, done.longitude, done.name) == (-3.0, -60.0, "Loja")
    assert not list(rules.check_location(done))


def test_an_unknown_cep_is_no_obstacle_when_the_state_is_known() -> None:
    draft = LocationDraft(code="X", name="L", kind=LocationKind.STORE, establishment="E")
    done = rules.complete_location(draft, "BA")
    assert (done.address.state, done.timezone, done.latitude) == ("BA", "America/Bahia", None)
    assert not list(rules.check_location(done))


def test_a_cep_of_another_state_is_named() -> None:
    draft = LocationDraft(
        code="X",
        name="L",
        kind=LocationKind.STORE,
        establishment="E",
        address=Address(postal_code="01310-100", state="RJ"),
    )
    (flaw,) = rules.check_location(rules.complete_location(draft))
    assert flaw.text() == "The CEP 01310100 lies in São Paulo (SP), not in RJ."


def test_an_establishment_is_stored_bare_and_exempt_means_no_registration() -> None:
    draft = EstablishmentDraft(code="E", name="E", cnpj="12.abc.345/01de-35", state="sp", state_registration="Isento")
    tidy = rules.tidy_establishment(draft)
    assert (tidy.cnpj, tidy.state, tidy.state_registration) == ("12ABC34501DE35", "SP", None)
    assert not list(rules.check_establishment(tidy))


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("mon-fri 09:00-18:00; sat 09:00-13:00", {**{d: [("09:00", "18:00")] for d in WEEKDAYS[:5]}, "sat": [("09:00", "13:00")]}),
        ("Seg-Sáb 08:00-12:00, 13:30-18:00", {d: [("08:00", "12:00"), ("13:30", "18:00")] for d in WEEKDAYS[:6]}),
        ("sat-mon 10:00-24:00", {d: [("10:00", "24:00")] for d in ("sat", "sun", "mon")}),
        ("", {}),
        ("always", None),
        ("mon 18:00-09:00", None),
        ("mon 9-18", None),
        ("xyz 09:00-18:00", None),
    ],
)  # fmt: skip
def test_hours_are_read_as_people_write_them(text: str, hours: dict[str, list[tuple[str, str]]] | None) -> None:
    assert rules.parse_hours(text) == hours


clocks = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02}:{t[1]:02}")
intervals = st.tuples(clocks, clocks).filter(lambda i: i[0] < i[1]).map(lambda i: [i])


@given(st.dictionaries(st.sampled_from(WEEKDAYS), intervals))
def test_hours_written_down_read_back_the_same(hours: dict[str, list[tuple[str, str]]]) -> None:
    assert rules.parse_hours(rules.write_hours(hours)) == hours


def test_a_tariff_that_contradicts_itself_is_named() -> None:
    def rate(grams: int, price: int, to_state: str = "SP") -> RateDraft:
        return RateDraft(from_state="SP", to_state=to_state, max_grams=grams, price=price, lead_days=1)

    assert not list(rules.check_rates([rate(1, 1), rate(2, 1), rate(1, 9, "*")]))
    assert [f.at for f in rules.check_rates([rate(1, 5), rate(2, 4)])] == ["rates"]
    assert [f.at for f in rules.check_rates([rate(1, 5), rate(1, 5)])] == ["rates/1"]
    assert [f.at for f in rules.check_rates([rate(1, 5, "XX")])] == ["rates/0/to_state"]


@given(st.frozensets(st.integers(1, 9)), st.frozensets(st.integers(1, 9)))
def test_of_a_channel_only_the_locations_in_sight_are_told_and_how_many_others_it_has(
    its: frozenset[int], mine: frozenset[int]
) -> None:
    channel = Channel(
        id=1, code="WEB", name="Web", kind=ChannelKind.WEB, establishment_id=None, currency="BRL",
        shortage_policy=ShortagePolicy.REJECT, payment_policy=PaymentPolicy.BEFORE_RELEASE, release_delay_minutes=0,
        priority=100, active=True, pickup_days=None, most_units=None, version=1, location_ids=its,
    )  # fmt: skip
    seen, others = rules.channel_in_sight(channel, lambda id_: id_ in mine)
    assert seen.location_ids == its & mine
    assert others == len(its - mine)
    assert rules.channel_in_sight(channel, lambda _id: True) == (channel, 0)
