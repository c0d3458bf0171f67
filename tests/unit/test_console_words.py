"""What pages do with text: amounts as people write them, addresses of lists, files for spreadsheets, redirects."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from malha.console import actions, assets, connection_products, goods_together, orders, render, timeline, web, words
from malha.fulfillment.model import RejectReason, WorkState
from malha.ordering.listing import Sort, View
from malha.ordering.model import HoldKind, OrderStatus, UnitState
from malha.ordering.reads import TimelineRow
from malha.payments.model import FactKind, PaymentState, TenderKind
from malha.platform import i18n, sheets
from malha.platform.errors import FieldError
from malha.platform.flaws import Flaw
from malha.simulation.model import Together


@pytest.mark.parametrize(
    ("text", "centavos"),
    [
        ("1.126,40", 112640),
        ("1126,40", 112640),
        ("1126.40", 112640),
        ("1,126.40", 112640),
        ("R$ 1.126,40", 112640),
        ("1126", 112600),
        ("0,01", 1),
        ("0", None),
        ("-5", None),
        ("1,005", None),
        ("nan", None),
        ("", None),
        ("10000000000000", None),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, centavos: int | None) -> None:
    assert actions.centavos(text) == centavos


@pytest.mark.parametrize("cell", ["=1+1", "+55 83", "@SUM(A1)", "-x", "\tx", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_kept_as_text(cell: str) -> None:
    assert sheets.csv_line([cell]).decode().lstrip('"').startswith("'")


@pytest.mark.parametrize("cell", ["-12,50", "12", "Maria", "a=b"])
def test_a_cell_that_is_harmless_is_left_alone(cell: str) -> None:
    assert sheets.csv_line([cell]).decode() == f"{cell}\r\n"


@pytest.mark.parametrize(
    "said", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb", ""]
)
def test_no_redirect_leads_away(said: str) -> None:
    assert web.safe_address(said, "/orders") == "/orders"


def test_an_address_says_the_list_and_reads_back_as_it_was() -> None:
    asked = orders.asked_of({"view": "late", "q": "maria", "channel": "site", "since": "2026-11-01", "sort": "due"})
    assert asked.view is View.LATE
    assert asked.sort is Sort.DUE
    again = orders.asked_of(dict(p.split("=") for p in asked.address().partition("?")[2].split("&")))
    assert again == asked


def test_nonsense_in_an_address_still_shows_a_list() -> None:
    asked = orders.asked_of(
        {"view": "x", "since": "yesterday", "sort": "?", "open": "a", "method": "fly", "status": "odd"}
    )
    assert asked == orders.Asked()


def test_a_search_without_a_view_looks_everywhere_and_its_address_says_so() -> None:
    asked = orders.asked_of({"q": "maria"})
    assert asked.view is View.ALL
    assert orders.asked_of({"q": "maria", "view": "open"}).address() == "/orders?view=open&q=maria"
    assert asked.address() == "/orders?q=maria"


def test_a_change_of_what_is_listed_goes_to_its_first_page() -> None:
    asked = orders.asked_of({"view": "open", "after": "abc", "open": "7"})
    assert asked.address(channel="site") == "/orders?channel=site"
    assert "after=abc" in asked.address(open=8)


def test_every_word_of_the_domain_has_a_name_on_the_page() -> None:
    assert set(words.STATUS) == set(OrderStatus)
    assert set(words.UNIT) == set(words.UNIT_COUNT) == set(words.UNIT_ORDER) == set(UnitState)
    assert set(words.HOLD) == set(words.HOLD_MEND) == set(HoldKind)
    assert words.HOLD_MEND[HoldKind.UNKNOWN_SKU].startswith("Identify the SKU")  # as the button says that does it
    assert set(words.TENDER) == set(TenderKind)
    assert set(words.ENTRY) == set(FactKind)
    assert set(words.PAYMENT) == set(PaymentState)
    assert set(words.FULFILLMENT) == set(WorkState)
    assert set(words.SHORT_REASONS) == set(RejectReason)
    assert set(words.VIEW) == set(words.EMPTY) == set(View)
    assert set(words.SORT) == set(Sort)


def test_what_has_no_sentence_is_still_shown() -> None:
    row = TimelineRow(seq=1, at=datetime.now(UTC), type="order.sang", actor="system", facts={})
    assert timeline.told([row], timeline.Names())[0].title == "order.sang"


def test_a_day_is_said_once_and_times_are_the_readers() -> None:
    at = datetime.now(UTC)
    rows = [
        TimelineRow(seq=n, at=at - timedelta(days=days), type="order.note_added", actor="system", facts={})
        for n, days in ((3, 0), (2, 0), (1, 5))
    ]
    with i18n.speaking("en", "America/Sao_Paulo"):
        told = timeline.told(rows, timeline.Names())
    assert [bool(happening.day) for happening in told] == [True, False, True]
    assert told[0].day == "today"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "1 min"), (42, "42 min"), (190, "3 h 10"), (180, "3 h"), (3000, "2 d 2 h"), (14400, "10 d")],
)
def test_a_length_of_time_is_said_in_its_largest_units(minutes: int, said: str) -> None:
    assert render.span(timedelta(minutes=minutes)) == said


def test_every_icon_the_pages_draw_is_in_the_list_that_is_built() -> None:
    import re

    folder = Path(assets.__file__).parent
    listed = {line.split("#")[0].strip() for line in (folder / "icons.txt").read_text("utf-8").splitlines()}
    drawn = set()
    for path in (folder / "templates").rglob("*.html"):
        drawn |= set(re.findall(r'icon\("([a-z-]+)"', path.read_text("utf-8")))
    for path in folder.glob("*.py"):
        drawn |= set(re.findall(r'icon="([a-z-]+)"', path.read_text("utf-8")))
    drawn |= {icon for _word, icon in words.TENDER.values()} | {
        icon for _say, icon, _tone in timeline.SENTENCES.values()
    }
    assert drawn - listed == set()


def test_that_no_order_came_together_is_said_as_a_word() -> None:
    with i18n.speaking("pt-BR"):
        told = [view.says for n in (0, 1, 2) if (view := goods_together.view(Together(before=n, after=1)))]
    assert told == [
        "Nenhum pedido foi juntado num só envio; na simulação, 1.",
        "1 pedido foi juntado num só envio; na simulação, 1.",
        "2 pedidos foram juntados num só envio; na simulação, 1.",
    ]


def test_a_flaw_of_a_form_writes_amounts_as_readers_do_and_names_as_they_are() -> None:
    between = {"says": "{value} is out of range.", "mend": "Use a whole number from {least} to {most}."}
    flaw = {**between, "at": "/n", "facts": {"value": -1000, "least": 0, "most": 2147483647}}
    order = {"says": "There is no order {number}.", "at": "/order", "facts": {"number": 104641}}
    with i18n.speaking("pt-BR"):
        said = web.problems_text(FieldError(problems=[flaw, order]))
    assert "2.147.483.647" in said[0]
    assert "-1.000" in said[0].replace("\N{MINUS SIGN}", "-")
    assert "104641" in said[1]


def test_a_flaw_of_an_empty_field_is_a_sentence() -> None:
    flaw = {"says": "{value} is no CNPJ.", "mend": "Fill it in.", "at": "/cnpj", "facts": {"value": ""}}
    with i18n.speaking("en"):
        assert web.problems_text(FieldError(problems=[flaw])) == ["This field is empty. Fill it in."]


def test_what_nobody_did_was_done_by_the_system_in_the_readers_language() -> None:
    with i18n.speaking("pt-BR"):
        assert [render.maker(name) for name in ("system", "Ana Prates")] == ["Sistema", "Ana Prates"]


def test_numbers_in_what_is_wrong_with_a_listing_are_written_as_the_reader_writes_them() -> None:
    facts = {"length": 12345, "longest": 5000, "line": 1200}
    flaw = Flaw("title", i18n.N_("The text has {length} characters."), i18n.N_("Use at most {longest}."), facts)
    with i18n.speaking("pt-BR"):
        assert connection_products.said_of([flaw]) == [("O texto tem 12.345 caracteres.", "Use no máximo 5.000.")]
    with i18n.speaking("en"):
        assert web.flaw_text(flaw) == ("The text has 12,345 characters.", "Use at most 5,000.")
    assert web.amounts(facts)["line"] == 1200  # a name, as those of orders are
