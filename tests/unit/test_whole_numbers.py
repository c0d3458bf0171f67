"""A whole number is read from what an address or a form says, or none: never a sign, a letter, or more than fits."""

import pytest

from malha.platform.text import whole_in


@pytest.mark.parametrize(
    ("text", "found"),
    [("0", 0), ("7", 7), ("007", 7), ("999", 999), ("1000", None), ("", None), ("-1", None), ("1.5", None), ("²", None), ("٣", None)],
)  # fmt: skip
def test_a_number_of_so_many_digits_is_read_and_nothing_else(text: str, found: int | None) -> None:
    assert whole_in(text, 3) == found
