"""What surrounds every page: retailer, person, menu with its counts, theme, and from where it listens for news."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
from litestar import Request

from malha.console import menu, reads, web
from malha.fulfillment import reads as jobs
from malha.identity.keeping import THEMES
from malha.identity.model import ROLE_NAMES, Caller
from malha.ordering import list_reads, listing
from malha.platform.db import Tx
from malha.platform.i18n import _

THEME_COOKIE = "malha_theme"


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """What `base.html` shows around a page."""

    retailer: str
    locations: int
    menu: tuple[menu.Group, ...]
    counts: dict[str, int]  # open things of a page, by its key
    person: str
    role: str
    theme: str
    section: str
    here: str
    live: int  # position in the event log when the page was read
    may: Callable[[str], bool]
    limited: bool = False  # to some locations: pages of what is the whole retailer's offer nothing to change
    notices: tuple[str, ...] = ()
    held: frozenset[str] = frozenset()

    def in_vain(self, permission: str) -> bool:
        """Return whether the person holds a permission that is of no use for what concerns all locations."""
        return self.limited and permission in self.held


def theme_of(request: Request[Any, Any, Any]) -> str:
    """Return the theme of the person, else the one chosen at this browser's log-in; light without a choice."""
    caller = cast("dict[str, Any]", request.scope).get("user")
    chosen = (caller.theme if caller else None) or request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "light"


async def around(
    tx: Tx, request: Request[Any, Any, Any], section: str, *, open_orders: int | None = None, here: str | None = None
) -> Shell:
    """Read what surrounds a page of `section`, before the page's own data: news in between is told again."""
    caller = web.caller_of(request)
    place = await reads.surroundings(tx)
    scope = scope_of(caller)
    if open_orders is None:
        open_orders = await list_reads.count(tx, listing.Wanted(view=listing.View.OPEN, scope=scope))
    work_counts = await jobs.queue_counts(tx, scope)
    return Shell(
        retailer=place.retailer or _("Your shop"),
        locations=place.locations if scope is None else len(scope),
        menu=menu.groups_for(caller.can, limited=scope is not None),
        counts={"orders": open_orders, "fulfillment": sum(all_ for all_, _late in work_counts.values())},
        person=caller.name,
        role=_(ROLE_NAMES[caller.role]) if caller.role else "",
        theme=theme_of(request),
        section=section,
        here=here or web.asked_address(request),
        live=place.position,
        may=caller.can,
        limited=scope is not None,
        notices=web.notices_of(request),
        held=caller.permissions,
    )


def scope_of(caller: Caller) -> tuple[int, ...] | None:
    """Return the locations a caller may see, sorted; None is all."""
    return None if caller.locations is None else tuple(sorted(caller.locations))


def may_shape(request: Request[Any, Any, Any]) -> bool:
    """Return whether the caller may change what stock rules say for every location: not who is limited to some."""
    caller = web.caller_of(request)
    return caller.may("stock:write") and caller.locations is None
