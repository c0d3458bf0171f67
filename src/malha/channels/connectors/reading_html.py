"""Texts of a shop's page as people write them: what `paragraphs.html_of` makes of a text comes back as the text."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset({"p", "div", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "section"})
_LINES = frozenset({"br", "li", "tr"})
_UNSEEN = frozenset({"script", "style"})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self.unseen = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.unseen += tag in _UNSEEN
        self.said.append("\n\n" if tag in _BLOCKS else "\n" if tag in _LINES else "")
        if tag == "li":
            self.said.append("- ")

    def handle_endtag(self, tag: str) -> None:
        self.unseen -= tag in _UNSEEN and self.unseen > 0
        self.said.append("\n\n" if tag in _BLOCKS else "")

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.said.append(re.sub(r"\s+", " ", data))


def text_of(html: str) -> str:
    """Return HTML as a text: paragraphs apart by an empty line, items of lists with a dash, without what is unseen."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [line.strip() for line in "".join(reader.said).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).replace("\n\n- ", "\n- ").strip()
