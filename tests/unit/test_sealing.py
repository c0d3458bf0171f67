"""Secrets at rest: read back with the present or the former key and for their purpose only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.platform.sealing import SealBroken, seal, unseal
from malha.platform.signing import Keys

KEYS = Keys(b"k" * 40)


@given(st.text(max_size=100).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
def test_a_secret_is_read_as_it_was_and_is_not_in_what_is_stored(secret: str) -> None:
    sealed = seal(KEYS, "provider", secret)
    assert unseal(KEYS, "provider", sealed) == secret
    assert sealed != seal(KEYS, "provider", secret)


def test_the_former_key_still_opens_what_it_sealed() -> None:
    sealed = seal(Keys(b"o" * 40), "provider", "hunter2")
    assert unseal(Keys(b"n" * 40, previous=b"o" * 40), "provider", sealed) == "hunter2"


@pytest.mark.parametrize(("keys", "purpose"), [(Keys(b"x" * 40), "provider"), (KEYS, "other")])
def test_another_key_or_purpose_opens_nothing(keys: Keys, purpose: str) -> None:
    with pytest.raises(SealBroken):
        unseal(keys, purpose, seal(KEYS, "provider", "hunter2"))


@pytest.mark.parametrize("place", [0, 1, 13, -1])
def test_changed_or_cut_bytes_open_nothing(place: int) -> None:
    sealed = bytearray(seal(KEYS, "provider", "hunter2"))
    sealed[place] ^= 1
    for broken in (bytes(sealed), bytes(sealed)[:8], b""):
        with pytest.raises(SealBroken):
            unseal(KEYS, "provider", broken)
