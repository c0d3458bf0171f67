"""Files of partners and of people are told apart by the same letters, though a connector sees only its contract."""

import pytest

from malha.channels.connectors import partner_tables
from malha.platform import tabular


@pytest.mark.parametrize("name", ["_NOT_1252", "_OF_DOS", "_OF_WINDOWS"])
def test_both_readers_know_the_same_letters(name: str) -> None:
    assert getattr(partner_tables, name).pattern == getattr(tabular, name).pattern
