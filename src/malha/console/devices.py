"""What a browser says it is, in words a person knows their own device by."""

import re

from malha.platform.i18n import _

# The first that fits: most browsers also claim to be the ones below them.
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
             ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
            ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip
_HANDHELD = re.compile(r"iPhone|iPad|Android|Mobile")


def device(agent: str | None) -> str:
    """Return browser and system, like `Chrome, Windows`; what is unknown stays in its own words."""
    said = agent or ""
    browser = next((name for mark, name in _BROWSERS if f"{mark}/" in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    known = ", ".join(part for part in (browser, system) if part)
    return known or said.split(" ")[0][:60] or _("Unknown device")


def is_handheld(agent: str | None) -> bool:
    """Return whether it is a phone or a tablet."""
    return bool(_HANDHELD.search(agent or ""))
