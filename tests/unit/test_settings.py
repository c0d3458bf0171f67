"""Settings: precedence, conversion, and the sentences people get."""

import stat
from pathlib import Path

import pytest

from malha.platform.settings import Settings, SettingsError, load, reference_page

REPOSITORY = Path(__file__).parents[2]


def given(**variables: str):
    return load(variables)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "malha.toml").write_text(
        'port = 8100\nhost = "0.0.0.0"\ntrusted_proxies = ["10.0.0.0/8"]\nworker = false\n'
    )
    found = given(MALHA_DATA_DIR=str(tmp_path), MALHA_PORT="8200")
    assert (found.port, found.host, found.worker) == (8200, "0.0.0.0", False)
    assert found.trusted_proxies == ("10.0.0.0/8",)
    assert found.web_workers == 2
    assert load({"MALHA_DATA_DIR": str(tmp_path), "MALHA_PORT": "8200"}, port=8300, host=None).port == 8300


def test_a_database_url_may_come_under_its_usual_name() -> None:
    assert given(DATABASE_URL="postgresql://db/x").database_url == "postgresql://db/x"
    both = given(DATABASE_URL="postgresql://db/x", MALHA_DATABASE_URL="postgresql://db/y")
    assert both.database_url == "postgresql://db/y"


@pytest.mark.parametrize("word", ["true", "1", "on", "yes"])
def test_a_switch_takes_the_usual_words(word: str) -> None:
    assert given(MALHA_METRICS=word).metrics is True


def test_an_empty_variable_counts_as_not_set() -> None:
    assert given(MALHA_PORT="", DATABASE_URL="").port == 8000


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MALHA_PORT", "abc", "MALHA_PORT is 'abc', which is not a whole number from 1 to 65535. Correct it"),
        ("MALHA_PORT", "70000", "MALHA_PORT is '70000', which is not a whole number from 1 to 65535"),
        ("MALHA_PROT", "1", "MALHA_PROT is not a setting of Malha. Did you mean MALHA_PORT?"),
        ("MALHA_WORKER", "maybe", "MALHA_WORKER is 'maybe', which is not true or false"),
        ("MALHA_LOG_LEVEL", "loud", "MALHA_LOG_LEVEL is 'loud', which is not one of debug, info, warning, error"),
        ("MALHA_TIMEZONE", "Mars/Base", "There is no such time zone. Use a name like America/Sao_Paulo."),
        ("MALHA_TRUSTED_PROXIES", "10.0.0.1,lala", "'lala' is neither an address nor a network"),
        ("MALHA_RETAILER", "Loja Azul", "Use lower-case letters, digits and underscores, like loja_azul."),
        ("MALHA_PUBLIC_URL", "oms.example.com", "Write it with its scheme"),
        ("MALHA_CURRENCY", "R$", "Use a code of three capital letters, like BRL."),
        ("MALHA_POSTGRES_SHARED_BUFFERS", "lots", "Write auto, or a number and a unit, like 128MB."),
        ("MALHA_CONFIG", "/no/such.toml", "MALHA_CONFIG is '/no/such.toml', but there is no such file."),
        ("DATABASE_URL", "mysql://u:hunter2@h/x", "DATABASE_URL is (not shown), which cannot be used. Only PostgreSQL"),
    ],
)
def test_a_wrong_setting_says_which_what_and_how_to_mend_it(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load({name: value})
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "of", ["u:hunt%er2@h/x", "u:hunt@er2@h/x", "u:hunt/a?er2=1@h/x", "u:hunter2@[::1/x", "u:hunter2@h/x?colour=red"]
)
def test_an_address_of_a_database_that_cannot_be_read_is_refused_in_a_sentence_without_its_password(of: str) -> None:
    with pytest.raises(SettingsError) as refused:
        given(DATABASE_URL=f"postgresql://{of}")
    said = str(refused.value)
    assert said.startswith("DATABASE_URL is (not shown), which cannot be used.")
    assert "%40" in said or "colour" in said
    assert "hunt" not in said
    assert "er2" not in said


def test_a_password_with_strange_characters_is_taken_as_it_is_written() -> None:
    url = "postgresql://u:p%40ss%25@h:5433/x"
    assert given(DATABASE_URL=url).database_url == url


def test_a_secret_is_never_repeated_in_an_error() -> None:
    with pytest.raises(SettingsError) as refusal:
        given(MALHA_SECRET_KEY="hunter2")
    assert "hunter2" not in str(refusal.value)


def test_a_secret_is_not_in_what_a_log_or_a_failing_test_shows_of_settings() -> None:
    found = given(MALHA_SMTP_URL="smtp://loja:hunter2@smtp.example.com", DATABASE_URL="postgresql://u:hunter2@db/x")
    assert "hunter2" not in repr(found)
    assert "port=8000" in repr(found)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 'abc'", "port in the configuration file is 'abc'"),
        ("port = true", "port in the configuration file is True, which is not a whole number"),
        ("colour = 1", "colour is not a setting of Malha"),
        ("port = ", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_like_a_wrong_variable(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "malha.toml").write_text(text)
    with pytest.raises(SettingsError) as refusal:
        given(MALHA_DATA_DIR=str(tmp_path))
    assert sentence in str(refusal.value)


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    found = given(MALHA_DATA_DIR=str(tmp_path / "new"))
    first = found.secret()
    assert len(first) >= 32
    assert found.secret() == first
    file = tmp_path / "new" / "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert given(MALHA_DATA_DIR=str(tmp_path / "new"), MALHA_SECRET_KEY="k" * 40).secret() == "k" * 40


def test_a_damaged_secret_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("short")
    with pytest.raises(SettingsError, match="too short"):
        given(MALHA_DATA_DIR=str(tmp_path)).secret()


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"MALHA_HOST": "0.0.0.0", "MALHA_PORT": "81"}, "http://127.0.0.1:81"),
        ({"MALHA_HOST": "::1"}, "http://[::1]:8000"),
        ({"MALHA_PUBLIC_URL": "https://oms.example.com/"}, "https://oms.example.com"),
    ],
)
def test_the_printed_address_can_be_opened(variables: dict[str, str], address: str) -> None:
    assert load(variables).address == address


def test_the_reference_page_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "reference" / "settings.md").read_text("utf-8") == reference_page()


def test_traces_without_the_packages_for_them_stop_the_start_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from malha.cli import tracing

    tracing.require_tracing(Settings())
    monkeypatch.setattr(tracing, "PACKAGES", ("no_such_package.at_all",))
    with pytest.raises(SettingsError, match=r"pip install 'malha\[otel\]'"):
        tracing.require_tracing(Settings(otlp_endpoint="http://127.0.0.1:4318"))
