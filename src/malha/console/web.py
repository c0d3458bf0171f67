"""What page handlers share: caller, transactions in their name, what htmx asks for, notices, refusals in words."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import quote

from litestar import Request
from litestar.datastructures import Cookie
from litestar.response import Response

from malha.identity.model import Caller
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import _
from malha.platform.text import fold

NOTICE_COOKIE = "malha_notice"
Asking = Request[Any, Any, Any]

__all__ = ["Asking", "actor_of", "caller_of", "csv_line", "database_of", "fold", "reading", "wants_part", "writing"]


def caller_of(request: Asking) -> Caller:
    """Return the signed-in person; the guard of every page but log-in has made sure there is one."""
    caller: Caller = request.scope["user"]
    return caller


def database_of(request: Asking) -> Database:
    """Return the database this process serves."""
    database: Database = request.app.state.services.database
    return database


def actor_of(request: Asking) -> Actor:
    """Return who acts, for the ledger and the audit trail."""
    scope = cast("dict[str, Any]", request.scope)
    caller: Caller | None = scope.get("user")
    source, request_id = scope.get("source"), scope.get("request_id")
    if caller is None:
        return Actor("anonymous", None, "anonymous", source, request_id)
    return Actor(caller.kind, caller.id, caller.name, source, request_id, caller.permissions, caller.locations)


@asynccontextmanager
async def reading(request: Asking) -> AsyncIterator[Tx]:
    """Open a transaction in which everything is seen at one instant."""
    async with database_of(request).snapshot(actor_of(request)) as tx:
        yield tx


@asynccontextmanager
async def writing(request: Asking) -> AsyncIterator[Tx]:
    """Open a transaction in the caller's name."""
    async with database_of(request).transaction(actor_of(request)) as tx:
        yield tx


def by_htmx(request: Asking) -> bool:
    """Return whether a script asks, which puts the answer into the page it has."""
    return request.headers.get("hx-request") == "true"


def wants_part(request: Asking) -> bool:
    """Return whether a part of a page is wanted; going back in history wants all of it."""
    return by_htmx(request) and request.headers.get("hx-history-restore-request") != "true"


def here_or(request: Asking, otherwise: str) -> str:
    """Return the address of ours a form says to go back to; anything foreign is not followed."""
    said = request.query_params.get("next", "")
    return safe_address(said, otherwise)


def safe_address(said: str, otherwise: str) -> str:
    """Return an address if it is a path of this server, else another one: no redirect leads away."""
    ours = said.startswith("/") and not said.startswith(("//", "/\\")) and not any(ord(c) < 33 for c in said)
    return said if ours else otherwise


def notice_cookie(text: str) -> Cookie:
    """Return the cookie that carries one sentence to the next page."""
    return Cookie(key=NOTICE_COOKIE, value=quote(text[:400]), max_age=20, httponly=True, samesite="lax")


def notices_of(request: Asking) -> tuple[str, ...]:
    """Return what the page before wanted said; the page that shows it also forgets it."""
    from urllib.parse import unquote  # noqa: PLC0415

    said = request.cookies.get(NOTICE_COOKIE, "")
    return (unquote(said),) if said else ()


def see_other(address: str, *, notice: str = "") -> Response[bytes]:
    """Send the browser on with GET."""
    cookies = [notice_cookie(notice)] if notice else []
    return Response(b"", status_code=303, headers={"Location": address, "Cache-Control": "no-store"}, cookies=cookies)


def refusal_text(error: MalhaError) -> tuple[str, str]:
    """Return a refusal in the reader's language: what is so, and how to mend it."""
    return _(error.says, **error.facts), _(error.mend, **error.facts) if error.mend else ""


def plain_money(minor: int) -> str:
    """Return an amount for a spreadsheet: a point and two digits, no currency sign, no grouping."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}"


# A spreadsheet runs a cell that begins with one of these as a formula; a leading apostrophe keeps it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Sequence[object], *, bom: bool = False) -> bytes:
    """Return one line of a CSV file; cells that a spreadsheet would run are defused."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_defused(str(cell)) for cell in cells])
    return (b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode()


def _defused(cell: str) -> str:
    if cell.startswith(_FORMULA) and not _is_number(cell):
        return "'" + cell
    return cell.replace("\x00", "")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
