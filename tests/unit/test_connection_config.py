"""The form of a connection's configuration: every kind of field, of our connectors and of any other, there and back."""

from enum import StrEnum
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import msgspec
import pytest
from litestar.datastructures import FormMultiDict
from msgspec import Meta

from malha.channels.connecting import configuring, registry
from malha.channels.connecting.configuring import Kind
from malha.console import connection_config
from malha.console.filling import Filled
from malha.platform import i18n
from malha.platform.flaws import Invalid
from malha.platform.messages import messages, translations


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct, frozen=True):
    a: int = 1


class Every(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A configuration of a connector that somebody else wrote."""

    name: Annotated[str, Meta(title="Name", min_length=2)]
    plain: str = ""
    whole: Annotated[int, Meta(ge=1, le=99)] = 5
    part: float = 1.5
    yes: bool = True
    colour: Colour = Colour.RED
    size: Annotated[Literal[1, 2], Meta(extra_json_schema={"x-choices": {"2": "Large", "1": "Small"}})] = 1
    maybe: int | None = None
    unless: Annotated[Annotated[str, Meta(max_length=2000)] | None, Meta(title="Unless")] = "never"
    colours: list[Colour] = []
    numbers: dict[str, int] = msgspec.field(default_factory=lambda: {"a": 1})
    shares: dict[str, float] | None = None
    codes: list[Annotated[str, Meta(pattern="^[0-9]+$")]] = msgspec.field(default_factory=lambda: ["1"])
    places: Annotated[dict[str, str], Meta(title="Places", examples=[{"SP-MOEMA": "456"}])] = {}
    inner: Inner = Inner()
    either: int | str = 1


EVERY: Any = SimpleNamespace(config_model=Every)
FULL = {
    "name": "Loja = 1",
    "whole": 7,
    "part": 2.25,
    "yes": False,
    "colour": "blue",
    "size": 2,
    "maybe": 0,
    "unless": None,
    "colours": ["blue", "red"],
    "numbers": {"x=y": -3, "b": 12},
    "shares": {"a": 0.5},
    "codes": ["12", "3"],
    "places": {"SP-MOEMA": "gid://shopify/Location/1?x=2", "RJ": "a = b"},
    "inner": {"a": 9},
    "either": "both",
}


def posted(connector: Any, config: dict[str, Any], **typed: str) -> Filled:
    """The form as it is shown for a configuration, sent by a browser, with what was typed over it."""
    shown = {f"config/{f.name}": f.value.replace("\n", "\r\n") for f in connection_config.fields(connector, config)}
    return Filled(FormMultiDict({**shown, **{f"config/{name}": text for name, text in typed.items()}}))


def told(connector: Any, config: dict[str, Any], **typed: str) -> list[tuple[str, str]]:
    """What is refused of what was typed, each with its field."""
    form = posted(connector, config, **typed)
    connection_config.read(form, connector, config)
    problems = Invalid(form.flaws).facts["problems"]
    return [(p["at"], f"{i18n._(p['says'], **p['facts'])} {i18n._(p['mend'], **p['facts'])}".strip()) for p in problems]


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("config", [FULL, {"name": "Loja"}], ids=["full", "bare"])
def test_what_was_not_touched_stays_as_it_was_kept(config: dict[str, Any], language: str) -> None:
    with i18n.speaking(language):
        form = posted(EVERY, config)
        read = connection_config.read(form, EVERY, config)
    form.refuse()
    assert read == config


def test_each_kind_of_field_is_read_as_what_the_connector_wants() -> None:
    fields = configuring.fields_of(EVERY)
    assert [fields[name].kind for name in ("name", "whole", "part", "yes", "colour", "size", "maybe")] == [
        Kind.TEXT, Kind.WHOLE, Kind.NUMBER, Kind.CHOICE, Kind.CHOICE, Kind.CHOICE, Kind.WHOLE
    ]  # fmt: skip
    form = posted(
        EVERY,
        {},
        name="Loja",
        whole="12",
        part="3,5",
        yes="False",
        colour="blue",
        size="2",
        maybe="8",
        unless="",
        colours="red\r\n\r\n blue ",
        numbers="",
        shares="a = 0,25",
        codes="",
        places=" SP-MOEMA=456 \r\nRJ = a=b",
        inner='{"a": 3}',
        either='"x"',
    )
    read = connection_config.read(form, EVERY, {})
    form.refuse()
    assert read == {
        "name": "Loja",
        "whole": 12,
        "part": 3.5,
        "yes": False,
        "colour": "blue",
        "size": 2,
        "maybe": 8,
        "unless": None,
        "colours": ["red", "blue"],
        "numbers": {},
        "shares": {"a": 0.25},
        "codes": [],
        "places": {"SP-MOEMA": "456", "RJ": "a=b"},
        "inner": {"a": 3},
        "either": "x",
    }


def test_a_bad_line_is_named_with_what_is_wrong_and_how_to_mend_it() -> None:
    with i18n.speaking("en"):
        (wrong, empty, twice) = told(EVERY, FULL, places="SP-MOEMA 456\nRJ =\nMG = 1\nMG = 2")
        assert wrong == (
            "/config/places",
            "Line 1, SP-MOEMA 456: there is no = in it. Write both sides with a = between them, as SP-MOEMA = 456.",
        )
        assert empty[1].startswith("Line 2, RJ =: one side of the = is empty.")
        assert twice == ("/config/places", "Line 4: MG is there in line 3 already. Keep one of them.")
        ((at, says),) = told(EVERY, FULL, codes="12\n\nx9")
        assert (at, says.partition(". ")[0]) == ("/config/codes", "Line 3: This does not have the expected form")
        ((at, says),) = told(EVERY, FULL, colours="red\ngreen")
        assert (at, says) == (
            "/config/colours",
            "Line 2: green is not one of the possible values. Choose one of these: blue, red.",
        )
        ((at, says),) = told(EVERY, FULL, numbers="a = many")
        assert says == "Line 1: many is no whole number. Write it with digits only, like 25."
    with i18n.speaking("pt-BR"):
        assert told(EVERY, FULL, places="SP-MOEMA")[0][1].startswith("Linha 1, SP-MOEMA: falta o sinal de =.")


def test_what_the_connector_does_not_take_is_told_at_its_field() -> None:
    with i18n.speaking("en"):
        assert told(EVERY, {}, name="L", whole="0", part="much") == [
            ("/config/part", "much is no number. Write it like 1.234,50 or 1234.50.")
        ]
        assert dict(told(EVERY, {}, name="L", whole="0")) == {
            "/config/name": "This must have at least 2 characters. Correct it as the connector describes it.",
            "/config/whole": "This must be at least 1. Correct it as the connector describes it.",
        }
        assert dict(told(EVERY, {})) == {"/config/name": "This is required. Fill it in."}


class Odd(msgspec.Struct):
    """A configuration of somebody else that refuses values in its own words."""

    least: int = 1
    most: int = 9

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("least is more than most")


class Around(msgspec.Struct):
    name: str = ""
    odd: Odd = msgspec.field(default_factory=Odd)


def test_what_a_connector_itself_refuses_is_told_with_its_reason() -> None:
    odd: Any = SimpleNamespace(config_model=Odd)
    around: Any = SimpleNamespace(config_model=Around)
    with i18n.speaking("en"):
        ((at, says),) = told(odd, {}, least="10")
        assert at == "/config"
        assert says.startswith("This is not valid: least is more than most")
        ((at, says),) = told(around, {}, odd='{"least": 10}')
        assert at == "/config/odd"
        assert says.startswith("This is not valid: least is more than most")


@pytest.mark.parametrize(
    ("typed", "at", "words"),
    [
        ({"columns": "COD=sku, COR=foo"}, "columns", {
            "en": "“COR=foo”: there is no column foo. Choose one of these: active, ",
            "pt-BR": "“COR=foo”: não existe a coluna foo. Escolha ",
        }),
        ({"locations": "01"}, "locations", {
            "en": "“01” is no pair. Write both sides with a = between them, as 01=LOJA-1.",
            "pt-BR": "“01” não é um par. ",
        }),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_a_heading_that_means_nothing_is_told_at_its_field(
    typed: dict[str, str], at: str, words: dict[str, str], language: str
) -> None:
    erp = registry.connectors()["erp_files"]
    with i18n.speaking(language):
        ((where, says),) = told(erp, {"host": "sftp.example", "user": "malha"}, **typed)
    assert where == f"/config/{at}"
    assert says.startswith(words[language]), says


def test_a_field_without_a_title_is_called_by_its_name_and_never_translated() -> None:
    class Bare(msgspec.Struct):
        location: str = ""

    with i18n.speaking("pt-BR"):
        (shown,) = connection_config.fields(SimpleNamespace(config_model=Bare), {})  # type: ignore[arg-type]
        assert str(shown.label) == '<span class="m-mono">location</span>'


def test_a_page_tells_a_configuration_in_words() -> None:
    with i18n.speaking("en"):
        said = {str(s.label): s.text for s in connection_config.said(EVERY, FULL)}
    assert said["Places"] == "RJ = a = b, SP-MOEMA = gid://shopify/Location/1?x=2"
    assert said['<span class="m-mono">size</span>'] == "Large"
    assert said['<span class="m-mono">yes</span>'] == "No"


@pytest.fixture(scope="module")
def sayable() -> set[str]:
    """What can be said in both languages."""
    known = translations("pt-BR")
    return {m.text for m in messages("channels") if any(said for _file, said, _fuzzy in known.get(m.text, ()))}


@pytest.mark.parametrize("key", sorted(registry.connectors()))
def test_every_field_of_our_connectors_has_words_in_both_languages(key: str, sayable: set[str]) -> None:
    connector = registry.connectors()[key]
    words = dict(connector.secrets)
    for name, field in configuring.fields_of(connector).items():
        assert field.kind is not Kind.JSON, name
        words |= {f"{name}: title": field.title, f"{name}: description": field.about}
        words |= {f"{name}: {choice.value}": choice.word for choice in field.choices}
    lacking = [name for name, word in words.items() if word not in sayable]
    assert not lacking


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ({"base_url": "https://a.example/oms"}, {"base_url": "https://A.example/other", "page": 5}, False),
        ({"base_url": "https://a.example/oms"}, {"base_url": "http://a.example/oms"}, True),
        ({"base_url": "https://a.example/oms"}, {"base_url": "https://a.example:8443/oms"}, True),
        ({"shop": "loja.myshopify.com"}, {"shop": "outra.myshopify.com"}, True),
        ({"host": "files", "port": 22}, {"host": "files", "port": 2222}, True),
        ({"host": "files"}, {"host": "other"}, True),
        ({"host": "10.0.0.1"}, {"host": "fe80::1"}, True),
        ({"places": {"CD": "Main store"}}, {"places": {"CD": "Other store"}, "numbers": [1, 2]}, False),
        ({"more": [{"token_url": "https://a.example"}]}, {"more": [{"token_url": "https://b.example"}]}, True),
    ],
)
def test_a_configuration_names_another_server_whatever_its_field_is_called(before, after, new):
    assert bool(configuring.servers_in(after) - configuring.servers_in(before)) is new
