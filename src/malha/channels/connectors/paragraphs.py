"""Texts of people as a shop's page shows them."""

import re
from html import escape

_MARKUP = re.compile(r"</?(p|br|div|span|ul|ol|li|h[1-6]|b|strong|i|em|table|a)\b[^<>]*>", re.IGNORECASE)


def html_of(text: str) -> str:
    """Return a text as HTML: one that is HTML as it is, another with its paragraphs and lines."""
    if _MARKUP.search(text):
        return text
    parts = [part.strip() for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if part.strip()]
    return "".join(f"<p>{escape(part, quote=False)}</p>".replace("\n", "<br>") for part in parts)
