"""Browsers are called what people call them."""

import pytest

from malha.console.devices import device, is_handheld
from malha.platform.i18n import speaking

CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 {}Safari/537.36{}"


@pytest.mark.parametrize(
    ("agent", "name", "handheld"),
    [
        (CHROME.format("Windows NT 10.0; Win64; x64", "", ""), "Chrome, Windows", False),
        (CHROME.format("Windows NT 10.0; Win64; x64", "", " Edg/126.0.2592.68"), "Edge, Windows", False),
        (CHROME.format("Linux; Android 10; K", "Mobile ", ""), "Chrome, Android", True),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox, Linux", False),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1",
            "Safari, iPhone",
            True,
        ),
        ("python-httpx/0.28.1", "python-httpx/0.28.1", False),
        (None, "Unknown device", False),
    ],
)
def test_a_browser_has_a_name(agent: str | None, name: str, handheld: bool) -> None:
    with speaking("en"):
        assert (device(agent), is_handheld(agent)) == (name, handheld)
