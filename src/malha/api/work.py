"""The one pattern of the API: `command` changes something, `query` reads, and both get a `Work`.

See `malha.api` for how to use them.
"""

import asyncio
import functools
import inspect
import operator
import re
import types
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import quote

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp

from malha.api.bodies import refuse_encoded
from malha.api.errors import BodyNotTaken, StaleVersion, VersionRequired
from malha.api.replies import Raw
from malha.api.validation import NUL, Body
from malha.channels.connecting.receiving import Receiver
from malha.identity import oidc, passwords
from malha.identity.model import PERMISSIONS, PUBLIC, SIGNED_IN, Caller
from malha.identity.service import Keys
from malha.platform import idempotency, signing
from malha.platform.days import is_far
from malha.platform.db import Actor, Database, Tx
from malha.platform.embedded import has_no_room
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, current_language
from malha.platform.settings import Settings
from malha.platform.shapes import NO_YEAR, flaw_of

Method = Literal["POST", "PUT", "PATCH", "DELETE"]
T = TypeVar("T")

# Registered per type so that one process builds each encoder and decoder once.
_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode
_ROUTES: Mapping[str, Callable[..., Any]] = {
    "GET": get,
    "POST": post,
    "PUT": put,
    "PATCH": patch,
    "DELETE": delete,
}
NOTHING_SAID = {b"", b"{}", b"[]", b"null", b'""'}  # a body without white space
ANONYMOUS = Actor("anonymous", None, "anonymous", permissions=frozenset(), locations=frozenset())


class Cookie(msgspec.Struct, frozen=True):
    """The session cookie. Over https its name binds it to this host and path (`__Host-`).

    The browser keeps it for the longest life of a session; when an idle one ends, the server knows.
    """

    name: str
    secure: bool
    max_age: int  # seconds

    def header(self, token: str) -> str:
        """Return the `Set-Cookie` value that signs in with a token; an empty token signs out."""
        age = self.max_age if token else 0
        return f"{self.name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax" + (
            "; Secure" if self.secure else ""
        )


def cookie_of(settings: Settings) -> Cookie:
    """Return the session cookie these settings ask for."""
    secure = settings.address.startswith("https://")
    return Cookie("__Host-malha" if secure else "malha", secure, settings.session_days * 86_400)


class Services:
    """What one web process shares between requests: made with the application, opened by its lifespan."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.keys = Keys(database)
        self.cookie = cookie_of(settings)
        # Log-ins hold a connection while a password is checked: as many as are checked at a time. However many come,
        # the others are for orders and pages.
        self.log_ins = asyncio.Semaphore(passwords.AT_ONCE)
        self.extra: dict[str, Any] = {}  # what the composition root opens for others by name: "gate", "tail"

    @property
    def is_without_room(self) -> bool:
        """Whether the disk of a database of our own is full; see `has_no_room`."""
        return has_no_room(self.settings.data_dir, self.database.url)

    @functools.cached_property
    def directory(self) -> oidc.Directory:
        """What this process knows of log-in providers."""
        return oidc.directory_of(self.settings)

    @functools.cached_property
    def signing(self) -> signing.Keys:
        """The keys that sign links and seal secrets; the first use on a new data directory makes them."""
        return signing.keys_of(self.settings)

    @functools.cached_property
    def receiver(self) -> Receiver:
        """What takes the webhooks of channels."""
        return Receiver(self.database, self.signing)


class Operation(msgspec.Struct, frozen=True):
    """What an API operation takes, gives and demands: the source of the OpenAPI document and of the access test."""

    method: str
    path: str
    name: str
    summary: str
    description: str
    permission: str
    status: int
    body: Any = None  # msgspec type; None: no body
    media_types: tuple[str, ...] = ("application/json",)  # of the body
    reply: Any = None
    reply_media_types: tuple[str, ...] = ("application/json",)  # the usual one first
    repeated: bool = False  # 200 with the same reply where it was done before
    parameters: dict[str, inspect.Parameter] = msgspec.field(default_factory=dict)
    idempotent_key: bool = False
    versioned: Literal["", "optional", "required"] = ""
    tag: str = ""

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Operation":
        # Litestar copies routers deeply; what is frozen need not be, and msgspec.Meta cannot be.
        return self


class _Counted(Exception):
    """A refusal whose operation commits."""

    def __init__(self, refusal: MalhaError) -> None:
        self.refusal = refusal
        super().__init__(refusal)


class Work:
    """One request being carried out: who asks, in which transaction, and what goes into the answer besides its body."""

    __slots__ = ("_headers", "_kept", "_tx", "actor", "caller", "request", "services", "status")

    def __init__(self, request: Request[Any, Any, Any], status: int) -> None:
        self.request = request
        self.services: Services = request.app.state.services
        self.caller: Caller | None = request.scope.get("user")
        self.actor = actor_of(request)
        self.status = status
        self._tx: Tx | None = None
        self._headers: dict[str, str] = {}
        self._kept: Any = None

    @property
    def tx(self) -> Tx:
        """Return the open transaction of this request."""
        if self._tx is None:
            raise RuntimeError("this operation was declared with transaction=False: open one with work.transaction()")
        return self._tx

    @property
    def database(self) -> Database:
        """Return the database, for operations that manage their own transactions."""
        return self.services.database

    @property
    def language(self) -> str:
        """Return the reader's language."""
        return current_language()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Open a transaction of the acting person or key (only with `transaction=False`)."""
        async with self.services.database.transaction(self.actor) as tx:
            yield tx

    def expect(self, version: int) -> int:
        """Return this version, for the service; refuse when the caller's `If-Match` names only others. `*` is of any.

        Call it with the row locked: the version must still be this one when the change is written.

        Raises:
            StaleVersion: the record has moved on.
        """
        given = _if_match(self.request)
        if given in {"", "*"}:
            return version
        # What is no version of ours matches nothing, which is what the standard asks for.
        named = [tag.strip().removeprefix("W/").strip('"') for tag in given.split(",")]
        expected = [int(tag) for tag in named if tag.isascii() and tag.isdigit() and len(tag) < 10]
        if version not in expected:
            told = expected[0] if len(expected) == 1 else ", ".join(map(str, expected))
            raise StaleVersion(current=version, expected=told if expected else "?")
        return version

    def expect_or_make(self, version: int) -> int:
        """Return this version as `expect` does; 0: there is none yet, and the same operation makes it.

        Raises:
            VersionRequired: it is there, and the caller does not say what was read.
            StaleVersion: the record has moved on, or is gone: `*` is of no record that is not there.
        """
        given = _if_match(self.request)
        if version and not given:
            raise VersionRequired
        if not version and given == "*":
            raise StaleVersion(current=version, expected=given)
        return self.expect(version)

    def tag(self, version: int) -> None:
        """Answer with the record's version as `ETag`."""
        self._headers["etag"] = f'"{version}"'

    def header(self, name: str, value: str) -> None:
        """Answer with a header."""
        self._headers[name.lower()] = value

    def created(self, location: str) -> None:
        """Answer 201 and where the new record is; a code in its path is encoded here."""
        self.status = 201
        self._headers["location"] = quote(location, safe="/")

    def refuse_counted(self, refusal: MalhaError) -> NoReturn:
        """Refuse, and let stay what was written until here: a wrong code counts as one that was tried.

        Raises:
            Exception: what the wrapper of the operation turns into the refusal, once all is committed.
        """
        raise _Counted(refusal)

    def keep(self, reply: Any) -> None:
        """Keep this for repeated sends of the same Idempotency-Key, instead of the answer itself.

        Needed where the answer holds a secret that is shown once, or personal data.
        """
        self._kept = reply


def _if_match(request: Request[Any, Any, Any]) -> str:
    """Return what `If-Match` says, empty when nothing."""
    return request.headers.get("if-match", "").strip()


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """Return the actor of a request, for the ledger and the audit trail."""
    scope = typing.cast("dict[str, Any]", request.scope)
    caller: Caller | None = scope.get("user")
    source, request_id = scope.get("source"), scope.get("request_id")
    if caller is None:
        return msgspec.structs.replace(ANONYMOUS, source=source, request_id=request_id)
    return Actor(caller.kind, caller.id, caller.name, source, request_id, caller.permissions, caller.locations)


def query(
    path: str,
    *,
    permission: str,
    tag: str = "",
    snapshot: bool = False,
    transaction: bool = True,
    media_type: str | tuple[str, ...] = "application/json",
    summary: str = "",
) -> Callable[[Callable[..., Awaitable[Any]]], HTTPRouteHandler]:
    """Declare a reading operation: `GET path`.

    Args:
        path: below the router's own path, parameters like `{order_id:uuid}`.
        permission: one of `identity.model.PERMISSIONS`, `SIGNED_IN` or `PUBLIC`.
        tag: heading in the documentation; default the module's name.
        snapshot: read everything at one instant (REPEATABLE READ).
        transaction: False when the operation needs no database, or opens transactions itself.
        media_type: of the answer, the usual one first. Anything but JSON: the function returns bytes.
        summary: one line; default the first line of the docstring.
    """

    def declare(fn: Callable[..., Awaitable[Any]]) -> HTTPRouteHandler:
        operation = _operation(fn, "GET", path, permission, tag=tag, summary=summary, reply_media_type=media_type)
        usual = operation.reply_media_types[0]
        check, check_instants = _bounds(operation), _instants(operation)

        @functools.wraps(fn)
        async def run(request: Request[Any, Any, Any], **given: Any) -> ASGIApp:
            _refuse_unknown(request, operation)
            check_instants(request)
            check(given)
            work = Work(request, 200)
            if not transaction:
                found = await fn(work, **given)
            else:
                open_ = work.database.snapshot if snapshot else work.database.transaction
                async with open_(work.actor) as tx:
                    work._tx = tx  # noqa: SLF001 -- set here and nowhere else
                    found = await fn(work, **given)
            if isinstance(found, Raw):
                return typing.cast("ASGIApp", found)
            body = found if isinstance(found, bytes) else _encode(found)
            return _not_modified(request, work) or _answer(body, work, usual)

        return _route(run, fn, operation)

    return declare


async def _sent(
    request: Request[Any, Any, Any], reader: Callable[[bytes], Any] | None, *, streamed: bool
) -> dict[str, Any]:
    """Return what an operation is given of the body; one that is streamed reads it itself."""
    refuse_encoded(request.headers.get("content-encoding"))
    if streamed:
        return {}
    body = await request.body()
    return {"data": body if reader is None else reader(body)}


def command(
    path: str,
    *,
    permission: str,
    everywhere: bool = False,
    method: Method = "POST",
    status: int = 200,
    tag: str = "",
    transaction: bool = True,
    idempotent: bool = True,
    versioned: Literal["", "optional", "required"] = "",
    media_type: str | tuple[str, ...] = "application/json",
    summary: str = "",
    streamed: bool = False,
    repeated: bool = False,
    reads_key: bool = False,
) -> Callable[[Callable[..., Awaitable[Any]]], HTTPRouteHandler]:
    """Declare a changing operation. Its writes, its audit row and its kept reply commit together, or not at all.

    Args:
        path: below the router's own path. Actions on one record are sub-paths, `/{order_id:uuid}/cancel`.
        permission: one of `identity.model.PERMISSIONS`, `SIGNED_IN` or `PUBLIC`.
        everywhere: it concerns all locations; whoever is limited to some is refused before the body is read.
        method: HTTP method.
        status: of the answer when all went well; `work.created(location)` makes it 201. None returned: 204.
        tag: heading in the documentation; default the module's name.
        transaction: False when the operation opens transactions itself (imports, intake); no key is kept then.
        idempotent: False when the operation has a natural key of its own and handles repeats itself.
        versioned: "optional" honours `If-Match`, "required" refuses a change without it; call `work.expect(version)`,
            or `work.expect_or_make(version)` where the same operation makes what is not there.
        media_type: of the body. Anything but JSON: the function's `data` is bytes.
        summary: one line; default the first line of the docstring.
        streamed: the function reads the body itself, with `work.request.stream()`, and bounds it.
        repeated: a repeat is answered 200 instead of `status`, with the same reply.
        reads_key: the operation looks at the `Idempotency-Key` itself.
    """
    # Callers nobody knows share no name under which a reply could be kept for them alone.
    keyed = idempotent and transaction and method == "POST" and permission != PUBLIC

    def declare(fn: Callable[..., Awaitable[Any]]) -> HTTPRouteHandler:
        operation = _operation(
            fn,
            method,
            path,
            permission,
            status=status,
            tag=tag,
            summary=summary,
            media_type=media_type,
            keyed=keyed or reads_key,
            versioned=versioned,
            repeated=repeated,
        )
        if streamed:
            operation = msgspec.structs.replace(operation, body=bytes)
        check, check_instants = _bounds(operation), _instants(operation)
        reader = Body(operation.body).read if operation.body not in {None, bytes} else None

        @functools.wraps(fn)
        async def run(request: Request[Any, Any, Any], **given: Any) -> ASGIApp:
            await _refuse_lost(request, operation)
            check_instants(request)
            check(given)
            work = Work(request, status)
            if versioned == "required" and not _if_match(request):
                raise VersionRequired
            if operation.body is not None:
                given |= await _sent(request, reader, streamed=streamed)
            if not transaction:
                done = await fn(work, **given)
                return typing.cast("ASGIApp", done) if isinstance(done, Raw) else _answer(_body(done, work), work)
            return await _carried_out(request, work, functools.partial(fn, work, **given), keyed=keyed)

        return _route(run, fn, operation, streamed=streamed, everywhere=everywhere)

    return declare


async def _carried_out(
    request: Request[Any, Any, Any], work: Work, act: Callable[[], Awaitable[Any]], *, keyed: bool
) -> ASGIApp:
    """Carry a command out in one transaction, once for each key, and return its answer."""
    key = request.headers.get("idempotency-key") if keyed else None
    asked = refusal = None
    if key is not None:
        target = f"{request.method} {_target(request)}"
        asked = idempotency.command(work.actor.label, key, target, await request.body())
    async with work.database.transaction(work.actor) as tx:
        work._tx = tx  # noqa: SLF001 -- set here and nowhere else
        kept = None if asked is None else await idempotency.begin(tx, asked)
        if kept is not None:
            replayed = {**kept.headers, "idempotent-replayed": "true"}
            return typing.cast("ASGIApp", Raw(kept.body, kept.status, replayed))
        body = b""
        try:
            body = _body(await act(), work)
        except _Counted as counted:
            refusal = counted.refusal
        if asked is not None and refusal is None:
            stored = body if work._kept is None else _encode(work._kept)  # noqa: SLF001
            headers = dict(work._headers)  # noqa: SLF001
            await idempotency.keep(tx, asked, idempotency.Reply(work.status, headers, stored))
    if refusal is not None:
        raise refusal
    return _answer(body, work)


def _target(request: Request[Any, Any, Any]) -> str:
    query_string = request.scope.get("query_string", b"").decode("latin-1")
    return request.scope["path"] + (f"?{query_string}" if query_string else "")


async def _refuse_lost(request: Request[Any, Any, Any], operation: Operation) -> None:
    """Refuse what an operation would not look at: parameters that it has not, and a body where it takes none.

    Many clients send something empty where there is nothing to say.
    """
    _refuse_unknown(request, operation)
    if operation.body is None and b"".join((await request.body()).split()) not in NOTHING_SAID:
        raise BodyNotTaken(method=request.method, path=request.url.path)


def _body(done: Any, work: Work) -> bytes:
    if done is None:
        work.status = 204
        return b""
    return done if isinstance(done, bytes) else _encode(done)


def _answer(body: bytes, work: Work, media_type: str = "application/json") -> ASGIApp:
    return typing.cast("ASGIApp", Raw(body, work.status, work._headers, media_type))  # noqa: SLF001


def _not_modified(request: Request[Any, Any, Any], work: Work) -> ASGIApp | None:
    tag = work._headers.get("etag")  # noqa: SLF001
    if tag and tag in request.headers.get("if-none-match", ""):
        return typing.cast("ASGIApp", Raw(b"", 304, {"etag": tag}))
    return None


def _operation(
    fn: Callable[..., Any],
    method: str,
    path: str,
    permission: str,
    *,
    status: int = 200,
    tag: str = "",
    summary: str = "",
    media_type: str | tuple[str, ...] = "application/json",
    reply_media_type: str | tuple[str, ...] = "application/json",
    keyed: bool = False,
    versioned: Literal["", "optional", "required"] = "",
    repeated: bool = False,
) -> Operation:
    if permission not in PERMISSIONS and permission not in {PUBLIC, SIGNED_IN}:
        raise ValueError(f"{fn.__qualname__} asks for {permission!r}, which is no permission")
    hints = typing.get_type_hints(fn, include_extras=True)
    names = list(inspect.signature(fn).parameters.values())
    if not names or hints.get(names[0].name) is not Work:
        raise TypeError(f"the first parameter of {fn.__qualname__} must be a Work")
    first, _separator, rest = inspect.cleandoc(fn.__doc__ or "").partition("\n")
    return Operation(
        method=method,
        path=path,
        name=fn.__name__,
        summary=summary or first.rstrip("."),
        description=rest.strip(),
        permission=permission,
        status=status,
        body=hints.get("data"),
        media_types=(media_type,) if isinstance(media_type, str) else media_type,
        reply=hints.get("return"),
        reply_media_types=(reply_media_type,) if isinstance(reply_media_type, str) else reply_media_type,
        repeated=repeated,
        parameters={
            p.name: p.replace(annotation=hints.get(p.name, str)) for p in names[1:] if p.name not in {"data", "request"}
        },
        idempotent_key=keyed,
        versioned=versioned,
        tag=tag or fn.__module__.rpartition(".")[2].replace("_", " "),
    )


def _plain(kind: Any) -> Any:
    """Return a parameter's type without its bounds: Litestar cannot carry them, `_bounds` checks them."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _plain(inner[0])
    if origin in {typing.Union, types.UnionType}:
        return functools.reduce(operator.or_, (_plain(part) for part in inner))
    return origin[tuple(_plain(part) for part in inner)] if origin in {list, set, tuple, frozenset} else kind


@functools.cache  # Litestar's marks are slow to tell apart, and a thousand parameters are of some thirty kinds
def _read_from(plain: Any, in_path: bool) -> Any:
    """Return a parameter's type with where Litestar shall read it."""
    return (FromPath if in_path else FromQuery)[plain]


def _refuse_unknown(request: Request[Any, Any, Any], operation: Operation) -> None:
    """Refuse a parameter that does not exist: a list or a change that silently ignores it is a wrong answer."""
    unknown = sorted(set(request.query_params) - operation.parameters.keys())
    says, mend = N_("There is no parameter {name}."), N_("Known are: {known}.")
    known = ", ".join(sorted(operation.parameters)) or "-"
    refuse([Flaw(f"?{name[:80]}", says, mend, {"name": name[:80], "known": known}) for name in unknown])


def _bounds(operation: Operation) -> Callable[[dict[str, Any]], None]:
    """Return a check of the parameters: their bounds, days that have others beside them, nothing no column can hold."""
    bounded = {name: p.annotation for name, p in operation.parameters.items() if _plain(p.annotation) != p.annotation}

    def check(given: dict[str, Any]) -> None:
        flaws = []
        for name, kind in bounded.items():
            try:
                msgspec.convert(given[name], kind)
            except msgspec.ValidationError as error:
                flaws.append(flaw_of(str(error), f"?{name}"))
        flaws += [Flaw(f"?{name}", NO_YEAR) for name in operation.parameters if _is_no_day(given.get(name))]
        # A streamed answer has begun when the database would refuse it.
        flaws += [Flaw(f"?{name}", NUL) for name in operation.parameters if _holds_nul(given.get(name))]
        refuse(flaws)

    return check


def _instants(operation: Operation) -> Callable[[Request[Any, Any, Any]], None]:
    """Return a check of the parameters that are instants, as they were sent: RFC 3339.

    Litestar takes a number for seconds since 1970: `2026`, meant as a year, would be half past midnight of that one.
    """
    names = sorted(name for name, p in operation.parameters.items() if _is_instant(_plain(p.annotation)))

    def check(request: Request[Any, Any, Any]) -> None:
        flaws = []
        for name in names:
            for sent in request.query_params.getall(name, []):
                try:
                    msgspec.convert(sent, datetime)
                except msgspec.ValidationError as error:
                    flaws.append(flaw_of(str(error), f"?{name}"))
        refuse(flaws)

    return check


def _is_instant(plain: Any) -> bool:
    return plain is datetime or any(part is datetime for part in typing.get_args(plain))


def _is_no_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime) and is_far(value)


def _holds_nul(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and "\x00" in one for one in values)


def _route(
    run: Callable[..., Any],
    fn: Callable[..., Any],
    operation: Operation,
    *,
    streamed: bool = False,
    everywhere: bool = False,
) -> HTTPRouteHandler:
    """Give the wrapper the signature Litestar reads: the request, and the path and query parameters of the function."""
    parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)]
    in_path = set(re.findall(r"\{(\w+)", operation.path))
    for p in operation.parameters.values():
        kind = _read_from(_plain(p.annotation), p.name in in_path)
        parameters.append(p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind))
    shaped: Any = run
    shaped.__signature__ = inspect.Signature(parameters, return_annotation=ASGIApp)
    shaped.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": ASGIApp}
    del shaped.__wrapped__
    route = _ROUTES[operation.method](
        operation.path,
        status_code=200 if operation.status == 204 else operation.status,
        opt={"permission": operation.permission, "everywhere": everywhere, "operation": operation},
        name=f"{fn.__module__}.{fn.__qualname__}",
        include_in_schema=False,
        **({"request_max_body_size": None} if streamed else {}),
    )
    handler: HTTPRouteHandler = route(shaped)
    return handler
