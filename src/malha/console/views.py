"""Saved views: a person keeps what a list shows now under a name, for themselves or for a role, and opens it again.

Any list takes part: a row in `LISTS`, `opening()` before its page is read, `bar()` for its template, and there the two
macros of `parts/views.html`. A view is the list's address; what it shows is decided when it is opened.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import web
from malha.identity import keeping, keeping_reads
from malha.identity.model import ROLE_NAMES, SIGNED_IN, Role
from malha.platform.db import Tx
from malha.platform.errors import Forbidden, NotFound
from malha.platform.i18n import _
from malha.platform.text import whole_in

PASSING = frozenset({"after", "before", "open"})  # where in the list a person stands is no part of a view


class Listing(NamedTuple):
    """A list whose views can be saved: its address, and who may open it."""

    path: str
    permission: str


LISTS: dict[str, Listing] = {
    "orders": Listing("/orders", "orders:read"),
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A saved view in the menu. `shared`: the name of the role that sees it."""

    id: int
    name: str
    href: str
    current: bool
    own: bool
    is_default: bool
    role: str
    shared: str
    owner: str


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """The saved views of a list, and what would be saved now."""

    of: str  # the name of the list
    path: str
    query: str
    rows: list[Row]
    audiences: list[tuple[str, str]]  # role, its name

    @property
    def current(self) -> Row | None:
        """Return the view that the list shows now."""
        return next((row for row in self.rows if row.current), None)


def query_of(asked: Mapping[str, str] | str) -> str:
    """Return the part of a list's query that a view keeps: no empty filters, no place in the list."""
    pairs = parse_qsl(asked) if isinstance(asked, str) else list(asked.items())
    return urlencode([(name, value) for name, value in pairs if value and name not in PASSING])


def address_of(list_: str, query: str) -> str:
    """Return the address of a view."""
    path = LISTS[list_].path
    return f"{path}?{query}" if query else path


async def bar(tx: Tx, request: web.Asking, list_: str, asked: Mapping[str, str] | str) -> Bar:
    """Read the saved views of a list that shows what `asked` asks."""
    caller = web.caller_of(request)
    query = query_of(asked)
    found = [] if caller.kind == "key" else await keeping_reads.views(tx, web.person_of(request), caller.role, list_)
    now = sorted(parse_qsl(query))
    return Bar(
        of=list_,
        path=LISTS[list_].path,
        query=query,
        rows=[
            Row(
                id=view.id,
                name=view.name,
                href=address_of(list_, view.query),
                current=sorted(parse_qsl(view.query)) == now,
                own=view.own,
                is_default=view.is_default,
                role=view.role or "",
                shared=_(ROLE_NAMES[Role(view.role)]) if view.role else "",
                owner=view.owner,
            )
            for view in found
        ],
        audiences=[(role.value, _(ROLE_NAMES[role])) for role in audiences(request)],
    )


def audiences(request: web.Asking) -> list[Role]:
    """Return the roles a person may share a view with: their own; whoever manages the settings, any."""
    caller = web.caller_of(request)
    if caller.can("settings:manage"):
        return list(Role)
    return [caller.role] if caller.role else []


async def opening(request: web.Asking, list_: str) -> Response[bytes] | None:
    """Lead a list that is asked for nothing in particular to the person's default view; None without one."""
    caller = web.caller_of(request)
    if request.url.query or web.by_htmx(request) or caller.kind == "key":
        return None
    async with web.reading(request) as tx:
        query = await keeping_reads.default_query(tx, web.person_of(request), caller.role, list_)
    return web.see_other(address_of(list_, query)) if query else None


def _listing(request: web.Asking, name: str) -> Listing:
    listing = LISTS.get(name)
    if listing is None:
        raise NotFound(what="list", key=name)
    if not web.caller_of(request).may(listing.permission):
        raise Forbidden(permission=listing.permission)
    return listing


def _audience(request: web.Asking, said: str) -> Role | None:
    if not said:
        return None
    if said not in {role.value for role in audiences(request)}:
        raise Forbidden(permission="settings:manage")
    return Role(said)


@post("/views", opt={"permission": SIGNED_IN}, status_code=200)
async def save(request: web.Asking) -> Response[Any]:
    """Save what a list shows now.

    Raises:
        NotFound: there is no such list.
        Forbidden: the person may not open the list, or not share with that role.
        Invalid: the name is empty or too long.
    """
    form = await request.form()
    list_, query = str(form.get("list", "")), query_of(str(form.get("query", "")))
    _listing(request, list_)
    role = _audience(request, str(form.get("role", "")))
    person = web.person_of(request)
    async with web.writing(request) as tx:
        view_id = await keeping.save_view(
            tx, person, list_=list_, name=str(form.get("name", "")), query=query, role=role
        )
        if form.get("default"):
            await keeping.choose_default(tx, person, web.caller_of(request).role, list_, view_id)
    return web.go_on(request, address_of(list_, query), _("The view is saved."))


@post("/views/default", opt={"permission": SIGNED_IN}, status_code=200)
async def choose_default(request: web.Asking) -> Response[Any]:
    """Have a list open in a view, or as it opens for everyone.

    Raises:
        NotFound: there is no such list, or the person sees no such view of it.
    """
    form = await request.form()
    list_, said = str(form.get("list", "")), str(form.get("view", ""))
    _listing(request, list_)
    view_id = whole_in(said, 9)
    async with web.writing(request) as tx:
        await keeping.choose_default(tx, web.person_of(request), web.caller_of(request).role, list_, view_id)
    text = _("The list opens in this view from now on.") if view_id else _("The list opens as it did at first.")
    return web.go_on(request, _back(form), text)


@post("/views/{view_id:int}", opt={"permission": SIGNED_IN}, status_code=200)
async def change(request: web.Asking, view_id: FromPath[int]) -> Response[Any]:
    """Rename one of one's own views and say who else sees it.

    Raises:
        NotFound: it is not there, or another person's.
        Forbidden: it cannot be shared with that role.
        Invalid: the name is empty or too long.
        ViewNameTaken: another view of the list has the name.
    """
    form = await request.form()
    role = _audience(request, str(form.get("role", "")))
    async with web.writing(request) as tx:
        await keeping.change_view(
            tx, web.person_of(request), _small(view_id), name=str(form.get("name", "")), role=role
        )
    return web.go_on(request, _back(form), _("The view is saved."))


@post("/views/{view_id:int}/delete", opt={"permission": SIGNED_IN}, status_code=200)
async def delete(request: web.Asking, view_id: FromPath[int]) -> Response[Any]:
    """Delete one of one's own views.

    Raises:
        NotFound: it is not there, or another person's.
    """
    form = await request.form()
    async with web.writing(request) as tx:
        await keeping.delete_view(tx, web.person_of(request), _small(view_id))
    return web.go_on(request, _back(form), _("The view is deleted."))


def _small(view_id: int) -> int:
    """Return an id that a database key can be.

    Raises:
        NotFound: none is that large.
    """
    if not 0 < view_id < 2**31:
        raise NotFound(what="view", key=view_id)
    return view_id


def _back(form: Mapping[str, Any]) -> str:
    return web.safe_address(str(form.get("next", "")), "/")


HANDLERS = [save, choose_default, change, delete]
