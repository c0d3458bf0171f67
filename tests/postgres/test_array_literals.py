"""Array literals reach PostgreSQL as the values they were made of, whatever the text."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import DataError

from malha.platform import arrays
from malha.platform.db import Database

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=20)


async def test_any_text_and_number_survives_the_trip(database: Database) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.one_of(st.none(), TEXT)), st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62))))
    def collect(words: list[str | None], numbers: list[int | None]) -> None:
        cases.append((words, numbers))

    cases: list[tuple[list[str | None], list[int | None]]] = []
    collect()
    cases.append((["NULL", "null", "", "{}", '"', "\\", 'a"b\\c,{d}', " x "], [None, 0]))
    async with database.transaction() as tx:
        for words, numbers in cases:
            params = {"w": arrays.texts(words), "n": arrays.ints(numbers)}
            assert await tx.tuples("SELECT %(w)s::text[], %(n)s::bigint[]", params) == [(words, numbers)]


@pytest.mark.parametrize("words", [["a\0b"], ["\0"], ["a", "\0", "b"], ["a", "b\0"], [None, "a\0b"]], ids=repr)
async def test_a_text_with_nul_is_refused_and_never_parted(database: Database, words: list[str | None]) -> None:
    async with database.transaction() as tx:
        with pytest.raises(DataError, match="NUL"):
            await tx.value("SELECT %(w)s::text[]", {"w": arrays.texts(words)})
