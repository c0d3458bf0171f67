"""Lists of up to some thousands of rows that are read whole: what is sought in them, and one page of what was found."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from malha.console import web
from malha.platform.text import fold, whole_in

PAGE_SIZE = 50
T = TypeVar("T")


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of such a list says; nonsense in it is ignored."""

    q: str = ""
    page: int = 1

    def address(self, path: str, **changes: Any) -> str:
        """Return the address of the list with parts changed; what changes the list goes to its first page."""
        return web.address(path, self, {"page": 1, **changes}, usual={"page": 1})


class Shown(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of what was found, with the addresses of its neighbours; empty: there is none."""

    rows: list[T]
    first: int
    last: int
    total: int
    previous: str
    next: str


def text_of(request: web.Asking) -> str:
    """Return what an address seeks."""
    return web.said(request.query_params, "q").strip()[:80]


def page_number(request: web.Asking) -> int:
    """Return which page an address asks for, from 1 on."""
    return max(whole_in(request.query_params.get("page", ""), 5) or 1, 1)


def holds(text: str, q: str) -> bool:
    """Return whether a folded text holds every word that is sought."""
    return all(word in text for word in fold(q).split())


def shown(found: Sequence[T], asked: Sought, path: str) -> Shown[T]:
    """Return the page that is asked for; behind the last one, the last one."""
    last_page = max(-(-len(found) // PAGE_SIZE), 1)
    page = min(asked.page, last_page)
    start = (page - 1) * PAGE_SIZE
    rows = list(found[start : start + PAGE_SIZE])
    return Shown(
        rows=rows,
        first=start + 1 if rows else 0,
        last=start + len(rows),
        total=len(found),
        previous=asked.address(path, page=page - 1) if page > 1 else "",
        next=asked.address(path, page=page + 1) if page < last_page else "",
    )
