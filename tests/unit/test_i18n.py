"""The reader's language: which it is, what it sounds like, how it writes money and time."""

import contextvars
from datetime import UTC, date, datetime, timedelta

import pytest

from malha.platform import i18n, messages
from malha.platform.i18n import _, choose, n_, speaking, translate
from malha.platform.money import Money

NBSP = "\xa0"


@pytest.mark.parametrize(
    ("wish", "language"),
    [
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("en-US,en;q=0.9", "en"),
        ("fr, de;q=0.9, en;q=0.1", "en"),
        ("en;q=0.4, pt-PT;q=0.5", "pt-BR"),
        ("en;q=0", "pt-BR"),
        ("en;q=nonsense", "pt-BR"),
        ("", "pt-BR"),
        (None, "pt-BR"),
        ("*", "pt-BR"),
        (",;=" * 500, "pt-BR"),
    ],
)
def test_the_browsers_wish_is_followed_where_we_speak_it(wish, language) -> None:
    assert choose(wish) == language
    assert choose("fr", "en") == "en"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "pt_BR.UTF-8"}, "pt-BR"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "pt_PT@euro"}, "pt-BR"),
        ({"LANG": "pt_BR", "LC_MESSAGES": "en_GB", "LC_ALL": ""}, "en"),
        ({"LANG": "C.UTF-8"}, "pt-BR"),
        ({"LANG": "de_DE"}, "pt-BR"),
        ({"LANG": "C.UTF-8", "MALHA_LANGUAGE": "en"}, "en"),
        ({"LANG": "pt_BR", "MALHA_LANGUAGE": "en"}, "pt-BR"),
        ({"MALHA_LANGUAGE": "xx"}, "pt-BR"),
        ({}, "pt-BR"),
    ],
)
def test_a_terminal_speaks_the_language_that_it_is_set_to(environment: dict[str, str], language: str) -> None:
    assert i18n.of_terminal(environment) == language


def test_a_sentence_is_said_in_the_language_of_the_moment_with_its_facts() -> None:
    says = "There is no {what} {key}."
    with speaking("pt-BR"):
        assert _(says, what="pedido", key=12345) == "Não existe pedido 12345."
        with speaking("en"):
            assert _(says, what="order", key=12345) == "There is no order 12345."
        assert i18n.current_language() == "pt-BR"
    assert translate("xx", says, what="a", key="b") == "Não existe a b."
    assert translate("en", "{missing} facts stay visible, {x!z} too") == "{missing} facts stay visible, {x!z} too"
    assert translate("pt-BR", "Nobody translated this.") == "Nobody translated this."
    assert translate("pt-BR", "") == ""
    assert translate("en", "{a} {b}", a=Money(112640), b=[1, 2]) == "R$1,126.40 1, 2"
    with speaking("en"):
        assert (n_("{n} line", "{n} lines", 1), n_("{n} line", "{n} lines", 1200)) == ("1 line", "1,200 lines")
        assert (n_("{n} line", "{n} lines", -1), n_("{n} line", "{n} lines", -10)) == ("-1 line", "-10 lines")


def test_a_language_does_not_leak_into_another_task() -> None:
    before = i18n.current_language()
    contextvars.copy_context().run(i18n.use, "en", "Asia/Tokyo")
    assert (i18n.current_language(), i18n.current_zone()) == (before, "America/Sao_Paulo")


def test_money_numbers_and_time_are_written_as_people_here_write_them() -> None:
    at = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
    with speaking("pt-BR", "America/Sao_Paulo"):
        assert i18n.money(112640) == f"R${NBSP}1.126,40"
        assert i18n.money(-5) == f"-R${NBSP}0,05"
        assert i18n.money(Money(500, "JPY")).endswith("500")
        assert i18n.money(10**15 + 1) == f"R${NBSP}10.000.000.000.000,01"
        assert (i18n.date(at), i18n.time(at), i18n.datetime(at)) == ("23/11/2026", "22:30", "23/11/2026 22:30")
        assert i18n.datetime(at, zone="America/Manaus") == "23/11/2026 21:30"
        assert i18n.date(date(2026, 11, 23), "long") == "23 de novembro de 2026"
        assert (i18n.number(12345.6), i18n.number(2, decimals=2), i18n.percent(0.256)) == ("12.345,6", "2,00", "26%")
        assert i18n.ago(at - timedelta(minutes=3), at=at) == "há 3 minutos"
    with speaking("en", "America/Sao_Paulo"):
        assert i18n.money(112640) == "R$1,126.40"
        assert i18n.datetime(at) == "2026-11-23 22:30"
        assert i18n.ago(at + timedelta(hours=2), at=at) == "in 2 hours"


def test_what_is_nothing_once_it_is_rounded_has_no_minus() -> None:
    with speaking("pt-BR"):
        assert (i18n.percent(-0.0004, decimals=1), i18n.percent(-0.0006, decimals=1)) == ("0,0%", "-0,1%")
        assert (i18n.percent(-0.004), i18n.percent(-0.006)) == ("0%", "-1%")
        assert (i18n.number(-0.04, decimals=1), i18n.number(-0.06, decimals=1)) == ("0,0", "-0,1")
        assert (i18n.number(-0.0004), i18n.number(-0.0006), i18n.number(-0.0)) == ("0", "-0,001", "0")
        assert (i18n.number(-0.5, decimals=0), i18n.number(-3, decimals=0)) == ("0", "-3")  # to the even neighbour
        assert i18n.number(float("-inf"), decimals=1) == "-∞"


def test_instants_at_the_ends_of_the_calendar_are_shown_in_the_zone_that_has_them() -> None:
    with speaking("pt-BR"):
        first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
        assert i18n.datetime(first, zone="America/Sao_Paulo").endswith("00:00")
        assert i18n.datetime(last, zone="Asia/Tokyo") == "31/12/9999 23:59"
        assert i18n.datetime(last, zone="America/Sao_Paulo") == "31/12/9999 20:59"


def test_catalogues_compile_by_themselves_and_again_after_a_change(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(messages, "folder", lambda _language: tmp_path)
    assert messages.open_catalogue("pt-BR") is None
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    source = tmp_path / "a.po"
    source.write_text(head + 'msgid "Order"\nmsgstr "Pedido"\n')

    def said(msgid: str) -> str:
        from gettext import GNUTranslations

        found = messages.open_catalogue("pt-BR")
        assert found is not None
        return GNUTranslations(found).gettext(msgid)

    assert said("Order") == "Pedido"
    compiled = tmp_path / "malha.mo"
    first = compiled.stat().st_mtime_ns
    assert said("Order") == "Pedido"
    assert compiled.stat().st_mtime_ns == first  # nothing changed, nothing is written
    source.write_text(head + 'msgid "Order"\nmsgstr "Encomenda"\n\n#, fuzzy\nmsgid "Line"\nmsgstr "Talvez"\n')
    assert (said("Order"), said("Line")) == ("Encomenda", "Line")
    compiled.unlink()
    compiled.mkdir()  # cannot be written: served from memory
    assert said("Order") == "Encomenda"
    assert list(tmp_path.glob(".malha*")) == []
