"""Bodies, cursors and audit differences under anything anyone may send."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from malha.api.errors import MalformedBody
from malha.api.problem import problem_of
from malha.api.validation import TWICE, Body
from malha.platform import audit, paging
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID, new_id


class Line(msgspec.Struct, forbid_unknown_fields=True):
    sku: Annotated[str, Meta(min_length=1, max_length=8)]
    quantity: Annotated[int, Meta(ge=1, le=100)]
    note: str | None = None


class Sheet(msgspec.Struct, forbid_unknown_fields=True):
    lines: Annotated[list[Line], Meta(min_length=1, max_length=3)]
    at: datetime | None = None
    tags: dict[str, int] = {}
    who: UUID | None = None


class Colour(Enum):
    BLUE = "blue"
    RED = "red"


class Dyed(msgspec.Struct):
    colours: list[Colour] = []
    size: Literal["small", "large"] | None = None


body = Body(Sheet)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["lines", "sku", "quantity", "at", "x/~"]), inner)
    ),
    max_leaves=12,
)


def resolve(document: Any, pointer: str) -> Any:
    """What an RFC 6901 pointer points at; a missing member at its end is None."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document.get(name)
    return document


def test_a_value_that_is_none_of_the_possible_ones_is_refused_with_those() -> None:
    with pytest.raises(Invalid) as refused:
        Body(Dyed).read(b'{"colours": ["blue", "green"], "size": "huge"}')
    told = problem_of(refused.value, "en").errors
    assert [(flaw.at, flaw.mend) for flaw in told] == [
        ("/colours/1", "Use one of blue, red."),
        ("/size", "Use one of small, large."),
    ]


@given(json_values)
def test_any_json_is_read_or_refused_with_pointers_that_lead_to_the_flaws(value: Any) -> None:
    try:
        read = body.read(json.dumps(value).encode())
    except Invalid as refusal:
        for language in ("en", "pt-BR"):
            problem = problem_of(refusal, language)
            assert problem.status == 422
            assert problem.errors
            for flaw in problem.errors:
                resolve(value, flaw.at)  # raises when the pointer leads nowhere
                assert flaw.says
    else:
        assert isinstance(read, Sheet)
        assert "\\u0000" not in json.dumps(msgspec.to_builtins(read))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(Invalid, MalformedBody):
        assert isinstance(body.read(raw), Sheet)


@given(st.dictionaries(st.sampled_from(["sku", "quantity"]), st.just(None)))
def test_every_flaw_is_told_at_once(line: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        body.read(json.dumps({"lines": [line, {}], "at": "x"}).encode())
    assert {flaw.at for flaw in refusal.value.flaws} == {
        "lines/0/sku",
        "lines/0/quantity",
        "lines/1/sku",
        "lines/1/quantity",
        "at",
    }


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=20), st.integers(0, 2**62))
def test_a_cursor_gives_back_its_position(at: datetime, name: str, number: int) -> None:
    key = (at, name, number, new_id())
    cursor = paging.cursor_of("orders", key)
    assert paging.position(cursor, "orders", (datetime, str, int, UUID)) == key
    assert cursor.isascii()
    with pytest.raises(paging.BadCursor):
        paging.position(cursor, "people", (datetime, str, int, UUID))


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(paging.BadCursor):
        paging.position(text, "orders", (int,))


@given(st.integers(1, 5), st.integers(0, 12))
def test_pages_show_every_row_once(limit: int, count: int) -> None:
    rows, seen, cursor = list(range(count)), [], None
    for _ in range(count + 2):
        after = paging.position(cursor, "rows", (int,))
        start = 0 if after is None else after[0] + 1
        page = paging.page_of(rows[start : start + limit + 1], limit, "rows", lambda row: (row,))
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert seen == rows


fields = st.dictionaries(
    st.sampled_from(["name", "email", "state", "n"]), st.none() | st.integers(0, 3) | st.text(max_size=3)
)


@given(fields, fields)
def test_an_audit_row_holds_only_what_differs_and_no_personal_value(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    old, new = audit.difference(before, after, personal=("name",))
    assert old is not None
    assert new is not None
    assert set(old) == set(new) == {n for n in {**before, **after} if before.get(n) != after.get(n)}
    for side in (old, new):
        assert all(value in {None, audit.CHANGED, "", 0} for name, value in side.items() if name in {"name", "email"})
    assert audit.difference(before, before) == ({}, {})


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        (b'{"lines": [{"sku": "a", "quantity": 1, "quantity": 2}]}', "/lines/0/quantity"),
        (b'{"lines": [{"sku": "a", "quantity": 1}], "lines": [{"sku": "a", "quantity": 1}]}', "/lines"),
        (b'{"lines": [{"sku": "a:b", "\\u0073ku": "b", "quantity": 1}]}', "/lines/0/sku"),
        (b'{"lines": [{"sku": "\\u003a", "quantity": 1, "quantity": 2}]}', "/lines/0/quantity"),
        (b'{"lines": [{"sku": "a", "quantity": 1}], "tags": {"x/y": 1, "x/y": 1}}', "/tags/x~1y"),
    ],
)
def test_a_name_that_is_stated_twice_is_refused_where_it_stands(raw, at):
    """The last one won, and the other was lost without a word."""
    with pytest.raises(Invalid) as refused:
        body.read(raw)
    assert [(f"/{flaw.at}", flaw.says) for flaw in refused.value.flaws] == [(at, TWICE)]


@given(json_values)
def test_no_body_that_states_each_name_once_is_refused_for_one_that_is_twice(value):
    sheet = {"lines": [{"sku": "a", "quantity": 1, "note": json.dumps(value)}], "tags": {"a:b": 1, "a": 1}}
    for raw in (json.dumps(sheet), json.dumps(sheet, indent=1), json.dumps(sheet).replace("a:b", "a\\u003ab")):
        assert body.read(raw.encode()).tags == {"a:b": 1, "a": 1}
