"""What page handlers share: caller, transactions in their name, what htmx asks for, notices, refusals in words."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, ClassVar, Self, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec
from litestar import Request
from litestar.datastructures import Cookie, MultiDict
from litestar.response import Response

from malha.identity.errors import NotSignedIn
from malha.identity.model import Caller
from malha.platform import i18n
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID
from malha.platform.text import fold

NOTICE_COOKIE = "malha_notice"
LANGUAGE_COOKIE = "malha_language"
SIGNED_OUT = "X-Signed-Out"  # of an answer to a script: nobody is signed in any more, which leads to the log-in
Asking = Request[Any, Any, Any]

# What stays as it is, besides letters and digits: in a path (RFC 3986), and in an address with escapes and a query.
_IN_PATHS = "/:@!$&'()*+,;=-._~"
_IN_ADDRESSES = "".join(chr(c) for c in range(33, 127))

__all__ = ["Asking", "actor_of", "caller_of", "database_of", "fold", "reading", "wants_part", "writing"]


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


async def speak(request: Asking) -> None:
    """Speak the reader's language from here on; runs before every page."""
    speak_now(request)


def speak_now(request: Asking) -> None:
    """Speak the person's language, else the one chosen at this browser's log-in, else the one the browser wishes."""
    caller = cast("dict[str, Any]", request.scope).get("user")
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in i18n.LANGUAGES and (caller is None or caller.language is None):
        i18n.use(chosen)


def by_htmx(request: Asking) -> bool:
    """Return whether a script asks, which puts the answer into the page it has."""
    return request.headers.get("hx-request") == "true"


def wants_part(request: Asking) -> bool:
    """Return whether a part of a page is wanted; going back in history wants all of it."""
    return by_htmx(request) and request.headers.get("hx-history-restore-request") != "true"


def login_address(wanted: str) -> str:
    """Return the address of the log-in that leads back to what was wanted."""
    return "/login" if wanted == "/" else f"/login?{urlencode({'next': wanted})}"


def page_address(request: Asking) -> str:
    """Return the address of the page a script acts in, as a path of this server."""
    shown = urlsplit(request.headers.get("hx-current-url", ""))
    return safe_address(shown.path + (f"?{shown.query}" if shown.query else ""), "/")


def page_query(request: Asking) -> MultiDict[str]:
    """Return the query of the page a script acts in: the list as the person sees it."""
    return MultiDict(parse_qsl(urlsplit(request.headers.get("hx-current-url", "")).query))


def said(query: Mapping[str, str], name: str) -> str:
    """Return what a query says under a name, "" when nothing, without NUL: no text in the database has one."""
    return query.get(name, "").replace("\x00", "")


def every(query: Mapping[str, str], name: str) -> list[str]:
    """Return all values of a name that a query may say several times."""
    if isinstance(query, MultiDict):
        return list(query.getall(name, []))
    return [query[name]] if name in query else []


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of a list says whose next page goes on `after` a row; with other terms it begins anew."""

    PATH: ClassVar[str]  # of the list

    after: str = ""

    def address(self, path: str | None = None, **changes: str) -> str:
        """Return the address of the list, or of another path, with terms changed."""
        if changes and "after" not in changes:
            changes["after"] = ""
        return address(path or self.PATH, self, changes)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return what an address asks; nonsense in it is ignored."""
        return cls(**{name: said(query, name).strip()[:120] for name in cls.__struct_fields__})


def address(
    path: str, terms: msgspec.Struct, changes: Mapping[str, Any], usual: Mapping[str, Any] | None = None
) -> str:
    """Return the address of a list with its terms, some of them changed. What is empty or `usual` is not said."""
    said = {**msgspec.structs.asdict(terms), **changes}
    shown = {name: value for name, value in said.items() if value and (usual or {}).get(name) != value}
    return f"{path}?{urlencode(shown)}" if shown else path


def place(at: datetime, id_: UUID) -> str:
    """Return where a list goes on, by instant and id, as its address says it."""
    return f"{at.isoformat()}|{id_}"


def place_in(text: str) -> tuple[datetime, UUID] | None:
    """Return where an address says that a list goes on; None where it says nothing, or no instant with its zone."""
    at, _sep, id_ = text.partition("|")
    try:
        found = datetime.fromisoformat(at), UUID(id_)
    except ValueError:
        return None
    return found if found[0].tzinfo is not None else None


def asked_address(request: Asking) -> str:
    """Return the address that was asked for, as a link says it: a code in it may hold spaces, `#` or any letter."""
    query = request.url.query
    return quote(request.url.path, safe=_IN_PATHS) + (f"?{sendable(query)}" if query else "")


def sendable(address: str) -> str:
    """Return an address of ASCII, as headers take it, with what else is in it as the escapes that browsers send."""
    return quote(address, safe=_IN_ADDRESSES, errors="replace")


def safe_address(said: str, otherwise: str) -> str:
    """Return an address if it is a path of this server, else another one: no redirect leads away."""
    ours = said.startswith("/") and not said.startswith(("//", "/\\")) and not any(ord(c) < 33 for c in said)
    return sendable(said) if ours else otherwise


def notice_cookie(text: str, address: str) -> Cookie:
    """Return the cookie that carries one sentence to the page at an address, and to no other."""
    value = quote(f"{_path(address)}\n{text[:400]}")
    return Cookie(key=NOTICE_COOKIE, value=value, max_age=20, httponly=True, samesite="lax")


def _path(address: str) -> str:
    return unquote(urlsplit(address).path)


def notices_of(request: Asking) -> tuple[str, ...]:
    """Return what the page before wanted said on this one."""
    path, _line, said = unquote(request.cookies.get(NOTICE_COOKIE, "")).partition("\n")
    return (said,) if said and path == _path(str(request.url.path)) else ()


def see_other(address: str, *, notice: str = "") -> Response[bytes]:
    """Send the browser on with GET."""
    cookies = [notice_cookie(notice, address)] if notice else []
    return Response(b"", status_code=303, headers={"Location": address, "Cache-Control": "no-store"}, cookies=cookies)


def person_of(request: Asking) -> UUID:
    """Return the id of the signed-in person.

    Raises:
        NotSignedIn: the caller is a key, which has nothing of its own.
    """
    caller = caller_of(request)
    if caller.kind != "person":
        raise NotSignedIn
    return UUID(caller.id)


def go_on(request: Asking, address: str, notice: str = "") -> Response[bytes]:
    """Send the browser on after a form: a script that sent it goes there as a whole."""
    sent = see_other(address, notice=notice)
    if by_htmx(request):
        sent.status_code = 200
        sent.headers = {"HX-Redirect": address, "Cache-Control": "no-store"}
    return sent


def trigger(event: str, value: str) -> str:
    """Return the header by which a page hears of something after a swap."""
    return json.dumps({event: value})


def refusal_text(error: MalhaError) -> tuple[str, str]:
    """Return a refusal in the reader's language: what is so, and how to mend it."""
    return _(error.says, **error.facts), _(error.mend, **error.facts) if error.mend else ""


_EMPTY = N_("This field is empty.")
# Facts of flaws that are amounts, and written so; other whole numbers are names, as those of orders and lines are.
AMOUNTS = frozenset({"value", "least", "most", "longest", "length"})


def amounts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a flaw with its amounts as the reader's language writes numbers."""
    return {name: i18n.number(fact) if name in AMOUNTS and type(fact) is int else fact for name, fact in facts.items()}


def flaw_text(flaw: Flaw) -> tuple[str, str]:
    """Return a flaw in the reader's language: what is wrong, and how to mend it."""
    facts = amounts(flaw.facts)
    return _(flaw.says, **facts), _(flaw.mend, **facts) if flaw.mend else ""


def problems_text(error: MalhaError) -> list[str]:
    """Return the flaws of a refused form in the reader's language."""
    said = []
    for flaw in error.facts.get("problems", ()):
        facts = amounts(flaw.get("facts", {}))
        # "{value} is no code" would begin with the word after the value.
        says = _EMPTY if facts.get("value") == "" else flaw["says"]
        mend = flaw.get("mend", "")
        said.append(" ".join(x for x in (_(says, **facts), _(mend, **facts) if mend else "") if x))
    return said


def problem_fields(error: MalhaError) -> list[str]:
    """Return the field of each flaw, as `problems_text` has them: the names of fields of the form."""
    return [str(flaw.get("at", "")).lstrip("/") for flaw in error.facts.get("problems", ())]
