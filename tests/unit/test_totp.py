"""Codes of authenticator apps, against the vectors of the standards."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from malha.identity import totp

SECRET = b"12345678901234567890"  # of RFC 4226 and RFC 6238


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# RFC 6238, appendix B, SHA-1: its eight digits end in our six.
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert totp.code_at(SECRET, totp.step_at(at(seconds))) == code
    assert totp.step_of(SECRET, code, at(seconds)) == seconds // 30


def test_counter_codes_are_those_of_the_standard() -> None:
    # RFC 4226, appendix D
    expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [totp.code_at(SECRET, step) for step in range(10)] == expected


def test_a_clock_may_be_one_step_off_and_no_more() -> None:
    code = totp.code_at(SECRET, 1000)
    found = [totp.step_of(SECRET, code, at(30 * step + 7)) for step in (998, 999, 1000, 1001, 1002)]
    assert found == [None, 1000, 1000, 1000, None]
    assert totp.step_of(SECRET, "000000", at(30_000)) is None


def test_an_app_reads_secret_issuer_and_account_from_the_address() -> None:
    address = urlsplit(totp.address(SECRET, issuer="Loja & Cia: Casa", account="ana+1@loja.example"))
    facts = parse_qs(address.query)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == "/Loja & Cia  Casa:ana+1@loja.example"
    assert totp.decoded(facts["secret"][0]) == SECRET
    assert facts["issuer"] == ["Loja & Cia  Casa"]
