"""What processes that stay do without."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Have these modules not be found while the block runs, unless they are there already.

    Libraries that paint with Rich where it is installed do without, which spares a server some six megabytes.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # as the import system wants it
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def import_plainly() -> None:
    """Import what would paint tracebacks and help on a terminal, for a process that has none."""
    with without("rich", "pygments", "click"):
        import httpx  # noqa: F401, PLC0415 -- its command line wants all three
        import structlog  # noqa: F401, PLC0415
