"""What a browser is sent cannot run what somebody typed, no redirect leads away, no pattern takes for ever."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import malha
from malha.console.web import safe_address

SRC = Path(malha.__file__).parent
SCRIPTS = sorted((SRC / "console" / "static" / "js").glob("*.js"))
TEMPLATES = [*SRC.rglob("*.html")]

# Where a text is said to be HTML already, and why that is so.
SAID_TO_BE_HTML = {
    "api/docs.html": "type_of escapes every name of the OpenAPI document",
    "console/templates/parts/brand.html": "constants in the template itself",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_writes_text_as_html_or_runs_text(script: Path) -> None:
    text = script.read_text("utf-8")
    writes = r"\.(?:inner|outer)HTML\s*\+?=(?!=)|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|createContextualFragment"
    assert not re.findall(writes, text)
    assert "localStorage.setItem" not in text or script.name == "malha.js"


def test_every_template_is_escaped_unless_it_says_why_not() -> None:
    assert len(TEMPLATES) > 50
    marked = {
        page.relative_to(SRC).as_posix() for page in TEMPLATES if re.search(r"\|\s*safe\b", page.read_text("utf-8"))
    }
    assert marked == set(SAID_TO_BE_HTML)
    for module in SRC.rglob("*.py"):
        text = module.read_text("utf-8")
        assert text.count("Environment(") == text.count("autoescape=True") or "Environment" not in text, module


def test_no_template_holds_a_script_a_handler_or_an_address_that_is_a_script() -> None:
    for page in TEMPLATES:
        text = page.read_text("utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", text), page
        assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text), page
        assert "javascript:" not in text.lower(), page


@pytest.mark.parametrize(
    "away",
    ["", "x", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/evil.example", "/ /x", "\\/evil", "/\r\nset-cookie: a=b", "http:/evil"],
)  # fmt: skip
def test_an_address_that_leads_away_is_not_followed(away: str) -> None:
    assert safe_address(away, "/") == "/"


@given(st.text(max_size=40))
def test_whatever_is_followed_is_a_path_of_this_server(said: str) -> None:
    found = safe_address(said, "/")
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert not re.search(r"[\x00-\x20\x7f]", found)
    assert found.isascii()  # headers take nothing else


def patterns() -> Iterator[re.Pattern]:
    """Every pattern that a module of ours keeps, those in tables too."""

    def inside(value: object) -> Iterator[re.Pattern]:
        if isinstance(value, re.Pattern):
            yield value
        elif isinstance(value, tuple | list):
            for item in value:
                yield from inside(item)
        elif isinstance(value, dict):
            for item in value.values():
                yield from inside(item)

    for module in pkgutil.walk_packages(malha.__path__, "malha."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                yield from inside(value)


ATTACKS = ["a", "0", " ", "/", '"', "[", "(", "@", "a@", ".", "a.", "-", "'", "<", "{", "\\", "a ", "0.", "aA0", "\t", "\n", "=", "ç", "+", "a-", "`", "$"]  # fmt: skip


# Nothing here measures: a pattern that goes back and forth needs hours for these texts, and the limit ends the test.
@pytest.mark.timeout(120)
def test_no_pattern_goes_back_and_forth_for_ever() -> None:
    every = {(p.pattern, p.flags): p for p in patterns()}
    assert len(every) > 60
    for pattern in every.values():
        for unit in ATTACKS:
            for tail in ("", "\x01"):
                text = unit * (2_000 // len(unit)) + tail
                said = text.encode() if isinstance(pattern.pattern, bytes) else text
                pattern.search(said)
                pattern.fullmatch(said)
