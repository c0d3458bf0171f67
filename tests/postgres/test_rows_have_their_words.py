"""Rows have what their type says: a field of few words holds one of them, so that `is` and `match` can be believed."""

from enum import StrEnum

import msgspec

from malha.platform.db import Database


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Row(msgspec.Struct, frozen=True):
    one: Colour
    maybe: Colour | None
    some: list[Colour]
    perhaps: list[Colour] | None
    text: str
    facts: dict[str, Colour]


async def test_words_of_a_row_are_members_of_their_type(database: Database) -> None:
    async with database.transaction() as tx:
        row = await tx.one(
            Row,
            "SELECT 'red' AS one, 'blue' AS maybe, ARRAY['red', 'blue'] AS some, ARRAY['blue'] AS perhaps, 'red' AS text, "
            """'{"a": "red"}'::json AS facts""",
        )
        none = await tx.one(
            Row,
            "SELECT 'red' AS one, NULL AS maybe, ARRAY[]::text[] AS some, NULL AS perhaps, '' AS text, '{}'::json AS facts",
        )
    assert row.one is Colour.RED
    assert row.maybe is Colour.BLUE
    assert [word is member for word, member in zip(row.some, Colour, strict=True)] == [True, True]
    assert row.perhaps is not None
    assert row.perhaps[0] is Colour.BLUE
    assert type(row.text) is str
    assert row.facts == {"a": "red"}
    assert (none.maybe, none.some, none.perhaps) == (None, [], None)


async def test_a_word_of_a_newer_version_stays_the_text_it_is(database: Database) -> None:
    async with database.transaction() as tx:
        rows = await tx.all(
            Row,
            "SELECT 'mauve' AS one, 'mauve' AS maybe, ARRAY['red', 'mauve'] AS some, NULL AS perhaps, '' AS text, "
            "'{}'::json AS facts",
        )
    assert [(row.one, row.maybe, row.some) for row in rows] == [("mauve", "mauve", ["red", "mauve"])]
