"""Signed tokens: believed for one purpose and one time, under the present key or the one before; nothing else is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.ordering.tracking import read_link, tracking_address
from malha.platform import signing
from malha.platform.settings import Settings, SettingsError, load
from malha.platform.signing import Keys, TokenExpired, TokenWrong

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
KEYS = Keys(b"k" * 40)
ORDER = UUID("0190a5b0-0000-7000-8000-000000000001")


@given(st.binary(max_size=200))
def test_what_was_signed_is_read_as_it_was(payload: bytes) -> None:
    token = signing.sign(KEYS, "tracking", payload, until=LATER)
    assert signing.read(KEYS, "tracking", token, at=NOW) == payload
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.integers(0, 70), st.sampled_from("Aa0-_!é=\n "))
def test_a_token_changed_in_any_place_is_wrong(place: int, letter: str) -> None:
    token = signing.sign(KEYS, "tracking", ORDER.bytes, until=LATER)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(TokenWrong):
            signing.read(KEYS, "tracking", changed, at=NOW)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 2000, "A" * 71])
def test_what_is_no_token_is_wrong(token: str) -> None:
    with pytest.raises(TokenWrong):
        signing.read(KEYS, "tracking", token, at=NOW)


def test_a_token_is_good_for_one_purpose_and_one_key() -> None:
    token = signing.sign(KEYS, "tracking", ORDER.bytes, until=LATER)
    with pytest.raises(TokenWrong):
        signing.read(KEYS, "password", token, at=NOW)
    with pytest.raises(TokenWrong):
        signing.read(Keys(b"x" * 40), "tracking", token, at=NOW)


def test_a_token_runs_out_to_the_second() -> None:
    token = signing.sign(KEYS, "tracking", b"", until=LATER)
    assert signing.read(KEYS, "tracking", token, at=LATER - timedelta(seconds=1)) == b""
    with pytest.raises(TokenExpired):
        signing.read(KEYS, "tracking", token, at=LATER)


def test_after_a_change_of_key_both_are_believed_and_only_the_new_one_signs() -> None:
    old, new = Keys(b"o" * 40), Keys(b"n" * 40, previous=b"o" * 40)
    assert signing.read(new, "tracking", signing.sign(old, "tracking", b"1", until=LATER), at=NOW) == b"1"
    with pytest.raises(TokenWrong):
        signing.read(old, "tracking", signing.sign(new, "tracking", b"1", until=LATER), at=NOW)


def test_all_processes_of_one_data_directory_share_a_key_that_is_made_once(tmp_path: Path) -> None:
    here, there = (signing.keys_of(Settings(data_dir=tmp_path)) for _ in range(2))
    assert signing.read(there, "x", signing.sign(here, "x", b"1", until=LATER), at=NOW) == b"1"
    assert repr(here) == "Keys(...)"


def test_the_former_key_is_a_setting_that_is_never_shown(tmp_path: Path) -> None:
    settings = load({"MALHA_DATA_DIR": str(tmp_path), "MALHA_SECRET_KEY_PREVIOUS": "o" * 40})
    assert signing.keys_of(settings).previous == b"o" * 40
    with pytest.raises(SettingsError, match=r"MALHA_SECRET_KEY_PREVIOUS is \(not shown\)"):
        load({"MALHA_SECRET_KEY_PREVIOUS": "short"})


def test_the_tracking_address_of_an_order_leads_to_it_for_180_days() -> None:
    address = tracking_address(KEYS, "https://oms.example.com/", ORDER, at=NOW)
    base, _, token = address.rpartition("/")
    assert base == "https://oms.example.com/track"
    assert ORDER.hex not in token
    assert read_link(KEYS, token, at=NOW + timedelta(days=180)).order_id == ORDER
    with pytest.raises(TokenExpired):
        read_link(KEYS, token, at=NOW + timedelta(days=182))
    assert tracking_address(KEYS, "https://oms.example.com", ORDER, at=NOW + timedelta(hours=3)) == address


def test_a_token_that_holds_no_order_tracks_none() -> None:
    with pytest.raises(TokenWrong):
        read_link(KEYS, signing.sign(KEYS, "tracking", b"short", until=LATER), at=NOW)
