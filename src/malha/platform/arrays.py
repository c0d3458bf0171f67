"""PostgreSQL array literals, built fast.

psycopg's own list adapter costs a microsecond and more an element; a batch of orders has thousands. A literal is passed
as a string to a placeholder with an array cast (`%(skus)s::int[]`), and PostgreSQL parses it like any array constant.
"""

from collections.abc import Iterable, Sequence
from typing import cast

from psycopg import DataError


def ints(values: Sequence[int | None]) -> str:
    """Return whole numbers (or NULLs) as an array literal."""
    return "{" + str(list(values))[1:-1].replace("None", "NULL") + "}"


def bare(values: Iterable[str]) -> str:
    """Return texts that need no quoting (UUIDs, instants, fixed words) as an array literal."""
    return "{" + ",".join(values) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return any texts (or NULLs) as an array literal, quoted and escaped."""
    given = list(values)
    if given.count(None) == len(given):
        return "{" + ",".join(["NULL"] * len(given)) + "}"
    if None in given:
        return "{" + ",".join(["NULL" if v is None else f'"{_escaped(v)}"' for v in given]) + "}"
    # All in one go: NUL stands between them, since no text that can be stored holds it.
    joined = "\0".join(cast("list[str]", given))
    if joined.count("\0") >= len(given):
        raise DataError("PostgreSQL text cannot hold NUL (0x00)")
    return '{"' + _escaped(joined).replace("\0", '","') + '"}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
