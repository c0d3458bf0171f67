"""What surrounds the pages, without a database: the menu, small plots, the map, the query of a saved view."""

import re
from datetime import date

import pytest

from malha.console import assets, brazil_map, home_parts, menu, plots, views
from malha.console.home_facts import day_of, usual_of
from malha.console.home_reads import Cell
from malha.identity.model import PERMISSIONS, ROLES, Role
from malha.platform import i18n

ALL = frozenset(PERMISSIONS).__contains__


# --- the menu ---


@pytest.mark.parametrize("text", ["pedidos", "Pedid", "orders", "ORD"])
def test_a_page_is_found_by_its_name_in_either_language(text: str) -> None:
    for language in i18n.LANGUAGES:
        with i18n.speaking(language):
            assert menu.found(text, ALL)[0].key == "orders"


def test_a_page_is_found_by_the_beginning_of_a_word_and_by_other_words_for_it() -> None:
    assert [page.key for page in menu.found("atenção", ALL)] == ["attention"]
    assert [page.key for page in menu.found("retirada", ALL)] == ["fulfillment"]
    assert menu.found("cisa", ALL) == ()  # inside of "Precisa"


def test_the_menu_holds_the_pages_a_role_may_open_and_no_empty_section() -> None:
    keys = {page.key for page in menu.pages_for(ROLES[Role.STORE_ASSOCIATE].__contains__)}
    assert {"home", "orders", "fulfillment"} <= keys
    assert "attention" not in keys
    assert all(group.pages for group in menu.groups_for(ROLES[Role.STORE_ASSOCIATE].__contains__))


def test_who_is_limited_to_locations_is_offered_no_page_about_the_whole_retailer() -> None:
    planner = ROLES[Role.PLANNER].__contains__
    shared = {"simulations", "routing_rules", "stock_prices", "feeds", "connections"}
    assert shared <= {page.key for page in menu.pages_for(planner)}
    own = {page.key for group in menu.groups_for(planner, limited=True) for page in group.pages}
    assert own == {page.key for page in menu.pages_for(planner)} - shared
    assert menu.found("simula", planner, limited=True) == ()
    back = menu.page_of("/simulations/1", planner, limited=True)
    assert back is not None
    assert back.key == "home"


@pytest.mark.parametrize(
    ("address", "back"),
    [
        ("/orders/999", "/orders"),
        ("/bulk-actions/999", "/bulk-actions"),  # a list that the side bar does not have
        ("/shadows/00000000-0000-0000-0000-000000000000", "/shadows"),
        ("/cost-drafts/1", "/cost-drafts"),
        ("/customer-groups/gold/edit", "/customer-groups"),
        ("/nothing-of-the-kind", "/"),
        ("/", "/"),
    ],
)
def test_who_is_lost_finds_back_to_the_list_that_the_address_belongs_to(address: str, back: str) -> None:
    page = menu.page_of(address, ALL)
    assert page is not None
    assert page.href == back


def test_who_may_not_open_a_list_is_not_led_there() -> None:
    page = menu.page_of("/shadows/1", ROLES[Role.PLANNER].__contains__, limited=True)
    assert page is not None
    assert page.href == "/"


def test_every_list_beside_the_menu_belongs_to_a_page_of_it() -> None:
    assert {key for key, _word in menu.LISTS.values()} <= {page.key for page in menu.PAGES}
    assert not set(menu.LISTS) & {page.href for page in menu.PAGES}


def test_every_page_has_a_key_of_its_own_a_known_permission_and_a_drawn_icon() -> None:
    keys = [page.key for page in menu.PAGES]
    assert len(set(keys)) == len(keys)
    for page in menu.PAGES:
        assert page.permission in PERMISSIONS
        assert assets.icon_body(page.icon)


# --- plots ---


def cell(hour: int, orders: int, **said: object) -> Cell:
    facts = {"day": date(2026, 11, 24), "channel_id": 1, "currency": "BRL", "state": "SP", "total": orders * 100}
    return Cell(hour=hour, orders=orders, **{**facts, **said})  # type: ignore[arg-type]


def test_a_usual_day_is_the_mean_of_the_days_there_were() -> None:
    week, before = date(2026, 11, 17), date(2026, 11, 10)
    usual = usual_of([cell(9, 10, day=week), cell(9, 20, day=before), cell(10, 4, day=before, channel_id=2)], "BRL")
    assert usual.days == 2
    assert (usual.by_hour[9], usual.by_hour[10]) == (15, 2)
    assert usual.total_by_hour[9] == 1500
    assert usual.by_channel[2][10] == 2
    assert usual_of([], "BRL").days == 0


def test_half_an_hour_of_a_usual_hour_is_half_of_it() -> None:
    assert plots.so_far([10.0] * 24, 2.5) == 25
    assert plots.so_far([], 2.5) == 0


def test_amounts_of_two_currencies_are_not_added() -> None:
    day = day_of([cell(9, 3), cell(10, 1, currency="USD", total=99, state=None)])
    assert (day.orders, day.total, day.currency) == (4, 300, "BRL")
    assert day.by_state == {"SP": 3}


@pytest.mark.parametrize(
    ("value", "usual", "text"), [(12, 10, "20%"), (8, 10, "20%"), (34, 10, "3,4\xd7"), (5, 0, None)]
)
def test_a_figure_is_told_in_percent_then_as_a_manifold(value: int, usual: int, text: str | None) -> None:
    with i18n.speaking("pt-BR"):
        found = home_parts.delta_of(value, usual)
    assert (found and found.text) == text
    assert found is None or found.up == (value >= usual)


@pytest.mark.parametrize(
    ("minor", "told"),
    [(12_345, ("R$", "123", "")), (8_420_000, ("R$", "84,2", "mil")), (123_456_789, ("R$", "1,2", "mi"))],
)
def test_an_amount_is_shortened_where_it_is_read_at_a_glance(minor: int, told: tuple[str, str, str]) -> None:
    with i18n.speaking("pt-BR"):
        assert home_parts.thousands(minor, "BRL") == told


@pytest.mark.parametrize(
    ("most", "top", "step"), [(0, 1, 1), (3, 3, 1), (7, 8, 2), (99, 100, 25), (360, 400, 100), (1284, 1500, 500)]
)
def test_an_axis_ends_at_a_round_number(most: int, top: int, step: int) -> None:
    assert plots.nice_top(most) == (top, step)


def test_a_share_of_four_in_five_is_not_drawn_as_the_whole_height() -> None:
    plot = plots.days([80, 60], [], whole=100)
    assert [tick.value for tick in plot.rows] == [0, 25, 50, 75, 100]
    full = plots.HOURS_BOTTOM - plots.HOURS_TOP
    assert [bar.height for bar in plot.bars] == [pytest.approx(0.8 * full, abs=0.1), pytest.approx(0.6 * full, abs=0.1)]
    assert max(tick.value for tick in plots.days([80, 60], []).rows) == 80


def test_the_largest_value_has_the_darkest_shade_and_nothing_has_none() -> None:
    assert [plots.heat(n, 400) for n in (0, 1, 100, 400)] == [0, 1, 3, 5]


def test_bars_stay_inside_their_plot_and_the_running_hour_is_soft() -> None:
    drawn = plots.hours([5] * 11 + [0] * 13, [4.0] * 24, 10.5)
    assert len(drawn.bars) == 11
    assert [bar.soft for bar in drawn.bars] == [False] * 10 + [True]
    assert all(bar.x >= plots.HOURS_LEFT and bar.x + bar.width <= plots.HOURS_WIDTH for bar in drawn.bars)
    assert all(bar.y >= plots.HOURS_TOP for bar in drawn.bars)


def test_a_line_needs_two_values_that_are_not_nothing() -> None:
    assert plots.spark([3]) is None
    assert plots.spark([0, 0]) is None
    line = plots.spark([1, 2])
    assert line is not None
    assert (line.x, line.y) == (plots.SPARK_WIDTH, plots.SPARK_MARGIN)


# --- the map ---


def corners(path: str) -> list[tuple[float, float]]:
    """The corners of a path's largest ring."""
    rings = []
    for ring in path.split("M")[1:]:
        numbers = [float(n) for n in re.findall(r"-?\d*\.?\d+", ring)]
        x = y = 0.0
        points = []
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            points.append((x, y))
        rings.append(points)
    return max(rings, key=len)


def inside(x: float, y: float, ring: list[tuple[float, float]]) -> bool:
    crossed = False
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            crossed = not crossed
    return crossed


@pytest.mark.parametrize(
    ("uf", "latitude", "longitude"),
    [("SP", -22.9, -47.06), ("MG", -19.92, -43.94), ("AM", -3.1, -60.02), ("PE", -8.28, -36.0), ("RS", -29.17, -51.18), ("DF", -15.79, -47.88)],
)  # fmt: skip
def test_a_city_lies_in_its_state(uf: str, latitude: float, longitude: float) -> None:
    at = brazil_map.place(latitude, longitude)
    assert at is not None
    states = {name for name, path in brazil_map.shapes().states.items() if inside(*at, corners(path))}
    assert uf in states
    assert states <= {uf, "GO"}  # the Federal District is an island in Goiás


@pytest.mark.parametrize(("latitude", "longitude"), [(38.7, -9.1), (90.0, 0.0), (-3.85, -32.4)])
def test_a_place_outside_of_the_map_is_not_on_it(latitude: float, longitude: float) -> None:
    assert brazil_map.place(latitude, longitude) is None


def test_names_on_the_map_cover_neither_each_other_nor_a_point() -> None:
    points = [(200.0, 200.0 + 6 * n, 4.0, f"Loja número {n}") for n in range(20)]
    found = brazil_map.labels(points)
    assert found[0] is not None
    assert sum(1 for label in found if label) <= brazil_map.LABELS
    boxes = [brazil_map._box(label, points[i][3]) for i, label in enumerate(found) if label]
    for i, (left, top, right, bottom) in enumerate(boxes):
        dots = [(x - r, y - r, x + r, y + r) for x, y, r, name in points]
        for a, b, c, d in boxes[:i] + dots:
            assert not (left < c and a < right and top < d and b < bottom)


# --- saved views ---


def test_a_view_keeps_the_filter_and_not_the_place_in_the_list() -> None:
    assert views.query_of("view=late&channel=&q=maria&after=abc&open=7") == "view=late&q=maria"
    assert views.query_of({"hold": "fraud", "before": "x"}) == "hold=fraud"
    assert views.address_of("orders", "hold=fraud") == "/orders?hold=fraud"
