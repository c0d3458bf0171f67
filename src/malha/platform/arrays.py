"""PostgreSQL array literals, built fast.

psycopg's own list adapter costs a microsecond and more an element; a batch of orders has thousands. A literal is passed
as a string to a placeholder with an array cast (`%(skus)s::int[]`), and PostgreSQL parses it like any array constant.
"""

from collections.abc import Iterable, Sequence


def ints(values: Sequence[int | None]) -> str:
    """Return whole numbers (or NULLs) as an array literal."""
    return "{" + str(list(values))[1:-1].replace("None", "NULL") + "}"


def bare(values: Iterable[str]) -> str:
    """Return texts that need no quoting (UUIDs, instants, fixed words) as an array literal."""
    return "{" + ",".join(values) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return any texts (or NULLs) as an array literal, quoted and escaped."""
    return (
        "{"
        + ",".join(["NULL" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values])
        + "}"
    )
