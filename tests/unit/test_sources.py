"""Network addresses of callers: told in one form, and counted against whoever can choose from them."""

import pytest

from malha.platform.sources import neighbourhood, plain


@pytest.mark.parametrize(
    ("address", "told", "counted"),
    [
        ("203.0.113.9", "203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::/64"),
        ("::1", "::1", "::/64"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_an_address_is_told_in_one_form_and_counted_with_those_its_user_has_too(address, told, counted) -> None:
    assert (plain(address), neighbourhood(address)) == (told, counted)


def test_neighbours_are_told_apart_from_strangers() -> None:
    assert neighbourhood("2001:db8:1:2::1") == neighbourhood("2001:db8:1:2:ffff::1")
    assert neighbourhood("2001:db8:1:2::1") != neighbourhood("2001:db8:1:3::1")
