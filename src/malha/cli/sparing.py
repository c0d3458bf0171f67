"""What processes that stay do without."""

import ctypes
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args, get_type_hints

_ARENAS = -8  # M_ARENA_MAX of malloc.h


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


def share_one_arena() -> None:
    """Have all threads of this process, and of those that are forked from it, allocate from one arena of malloc.

    Python's threads take turns anyway: an arena for each is memory that lies apart. Where malloc cannot be told
    (another C library than GNU's) nothing happens.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None:
        tell(_ARENAS, 1)


def options_of(command: Callable[..., None], arguments: list[str]) -> dict[str, Any] | None:
    """Return the options that `arguments` give a command, or None: the whole command line has to look at them.

    Only whole numbers, texts and switches, written out (`--port 80`, `--port=80`, `--no-worker`): what asks for help,
    is mistaken, or is more than that is told by Typer, whose reading of arguments a server would keep in memory for
    ever: it builds on Pydantic.
    """
    hints = get_type_hints(command)
    kinds: dict[str, tuple[str, Any]] = {}
    for name in inspect.signature(command).parameters:
        kind = next((one for one in get_args(hints[name]) or (hints[name],) if one is not type(None)), None)
        option = name.replace("_", "-")
        if kind is bool:
            kinds |= {f"--{option}": (name, True), f"--no-{option}": (name, False)}
        elif kind is int or kind is str:
            kinds[f"--{option}"] = (name, kind)
        else:
            return None
    given: dict[str, Any] = {}
    left = iter(arguments)
    for word in left:
        option, equals, value = word.partition("=")
        if option not in kinds:
            return None
        name, kind = kinds[option]
        if isinstance(kind, bool):
            if equals:
                return None
            given[name] = kind
            continue
        text = value if equals else next(left, None)
        if text is None or (not equals and text.startswith("-")):
            return None
        try:
            given[name] = kind(text)
        except ValueError:
            return None
    return given
