"""Every refusal and every fault as one object: `application/problem+json` (RFC 9457), or the same for a page.

`refusal_of` turns any exception into a `MalhaError`; what it does not know becomes a fault (500) whose cause goes to
the log and never to the caller. `problem_of` puts a refusal in the reader's language.
"""

import math
import re
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import psycopg
import structlog
from litestar import Request
from litestar.exceptions import HTTPException, ValidationException
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from malha.api import errors
from malha.api.replies import Raw
from malha.platform import db
from malha.platform.errors import Busy, DatabaseExhausted, DatabaseFull, DatabaseReadOnly, DiskFull, MalhaError
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_, current_language, translate
from malha.platform.shapes import REQUIRED, flaw_of, with_choices, words_of

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger("malha.http")
_MISSING = re.compile(r"Missing required query parameter '([^']+)'")  # the framework's words

TITLES: dict[int, str] = {
    400: N_("Unreadable request"),
    401: N_("Not signed in"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    405: N_("Wrong method"),
    408: N_("Too slow"),
    409: N_("Conflict"),
    412: N_("Changed meanwhile"),
    413: N_("Too large"),
    415: N_("Content not taken"),
    422: N_("Not valid"),
    428: N_("Version required"),
    429: N_("Too many requests"),
    500: N_("Internal fault"),
    503: N_("Not available"),
}


class FieldProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One flaw of the body. `at` is a JSON pointer, `?name` for a query parameter."""

    at: str
    says: str
    mend: str = ""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Why a request was not carried out, and what to do about it.

    `code` is for programs and never changes; `detail` and `mend` are for people; `facts` are what both sentences are
    about, by name. `errors` are there when the body is at fault.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    mend: str = ""
    instance: str = ""
    request_id: str = ""
    facts: dict[str, Any] = {}
    errors: list[FieldProblem] = []


TOLD_EVERY_S = 60.0  # that the database refuses everything, by each process
MOST_NUMBER = 2_147_483_647  # of the shorter kind; the longer one is beyond any that was given, too
# Facts that are told elsewhere in the answer.
_OWN_PLACE = frozenset({"problems", "request_id", "retry_after"})
_encode = msgspec.json.Encoder().encode


def problem_of(error: BaseException, language: str, *, instance: str = "", request_id: str = "") -> Problem:
    """Return any exception as the object people and programs get, in a language."""
    refusal = refusal_of(error)
    facts = {"request_id": request_id, **refusal.facts}
    return Problem(
        type=f"/problems/{refusal.code}",
        title=translate(language, TITLES.get(refusal.status, TITLES[400])),
        status=refusal.status,
        code=refusal.code,
        detail=_say(language, refusal.says, facts),
        mend=_say(language, refusal.mend, facts),
        instance=instance,
        request_id=request_id,
        facts=msgspec.to_builtins(
            {name: fact for name, fact in refusal.facts.items() if name not in _OWN_PLACE}, str_keys=True, enc_hook=str
        ),
        errors=[
            FieldProblem(
                _pointer(flaw["at"]),
                _say(language, flaw["says"], flaw.get("facts", {})),
                _say(language, flaw.get("mend", ""), flaw.get("facts", {})),
            )
            for flaw in facts.get("problems", ())
        ],
    )


def problem_bytes(error: BaseException, language: str, *, instance: str = "", request_id: str = "") -> bytes:
    """Return `problem_of` as JSON."""
    return _encode(problem_of(error, language, instance=instance, request_id=request_id))


def _pointer(at: str) -> str:
    """Return the pointer of a flaw: the whole body is the empty one, a query parameter is no pointer."""
    return "" if at == "/" else at.removeprefix("/") if at.startswith("/?") else at


def _say(language: str, msgid: str, facts: Mapping[str, Any]) -> str:
    shown = {}
    for name, value in facts.items():
        words = words_of(value)
        shown[name] = value if words is None else " / ".join(translate(language, word) for word in words)
    return translate(language, msgid, **shown)


def refusal_of(error: BaseException) -> MalhaError:
    """Return any exception as a refusal; what nobody foresaw is `Internal`."""
    match error:
        case MalhaError():
            found: MalhaError = error
        case HTTPException():
            found = _of_framework(error)
        case pg.DeadlockDetected() | pg.SerializationFailure() | pg.LockNotAvailable():
            found = Busy()
        case pg.CheckViolation() if db.is_moved_apart(error):
            found = Busy()
        case psycopg.Error() if (of_database := db.refusal_of(error)) is not None:
            found = of_database
        case PoolTimeout() | psycopg.OperationalError() | psycopg.InterfaceError():
            found = errors.Unavailable()
        case psycopg.IntegrityError():
            found = errors.ConstraintRefused()
        case psycopg.DataError():
            found = errors.ValueRefused()
        case OSError() if (of_disk := DiskFull.told_by(error)) is not None:
            found = of_disk
        case _:
            found = errors.Internal()
    return found


def _of_framework(error: HTTPException) -> MalhaError:
    found: MalhaError
    match error.status_code:
        case 404:
            found = errors.NoSuchRoute(path="")
        case 405:
            found = errors.MethodNotAllowed(path="", method="")
        case 413:
            found = errors.BodyTooLarge(megabytes="")
        case 400 if isinstance(error, ValidationException) and isinstance(error.extra, list):
            found = Invalid([_parameter_flaw(entry) for entry in error.extra])
        case 400 if missing := _MISSING.match(error.detail):
            found = Invalid([Flaw(f"?{missing[1]}", REQUIRED)])
        case status if status < 500:
            found = errors.BadRequest(reason=error.detail)
        case _:
            found = errors.Internal()
    return found


def _parameter_flaw(entry: Any) -> Flaw:
    told = entry if isinstance(entry, dict) else {}
    flaw = flaw_of(str(told.get("message", "")))
    name = str(told.get("key", ""))
    return Flaw(name if told.get("source") == "body" else f"?{name}", flaw.says, facts=flaw.facts)


def _with_choices(refusal: Invalid, scope: Mapping[str, Any]) -> Invalid:
    """Return a refusal of parameters that says of each what it may be."""
    handler = scope.get("route_handler")
    operation = handler.opt.get("operation") if handler is not None else None
    if operation is None:
        return refusal
    kinds = {f"?{name}": parameter.annotation for name, parameter in operation.parameters.items()}
    return Invalid([with_choices(flaw, kinds.get(flaw.at)) for flaw in refusal.flaws])


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Raw:
    """Answer an exception of any kind as a problem; the exception handler of the API."""
    return answer_refusal(request, told(request, error), error)


def told(request: Request[Any, Any, Any], error: Exception) -> MalhaError:
    """Return an exception as a refusal that knows its request; log it when its cause may not be shown."""
    scope = cast("dict[str, Any]", request.scope)
    path, request_id = scope["path"], str(scope.get("request_id", ""))
    refusal = _of_address(error, scope) or refusal_of(error)
    if isinstance(error, ValidationException) and isinstance(refusal, Invalid):
        refusal = _with_choices(refusal, scope)
    if refusal.code == errors.Unavailable.code and request.app.state.services.is_without_room:
        refusal = DatabaseFull()  # its server is gone, and could not say so
    match refusal:
        case errors.NoSuchRoute() | errors.MethodNotAllowed():
            refusal.facts.update(path=path, method=scope["method"])
        case errors.BodyTooLarge():
            refusal.facts.update(megabytes=request.app.state.services.settings.upload_limit_mb)
        case errors.Internal():
            refusal.facts.update(request_id=request_id)
            _log.error("request_failed", request_id=request_id, method=scope["method"], path=path, exc_info=error)
        case DatabaseFull() | DatabaseReadOnly() | DatabaseExhausted():
            if _is_to_be_told(request.app.state.services.extra, refusal.code):
                _log.error("database_refuses", request_id=request_id, path=path, code=refusal.code, error=str(error))
        case errors.Unavailable() if request.app.state.services.database.is_away:
            pass  # that it is away was logged once, and this request has a line that says `unavailable`
        case errors.Unavailable() | errors.ValueRefused() | errors.ConstraintRefused():
            cause = _without_values(error)
            _log.warning("request_refused", request_id=request_id, path=path, code=refusal.code, error=cause)
        case _:
            pass
    scope["problem"] = refusal.code
    return refusal


def _is_to_be_told(extra: dict[str, Any], code: str) -> bool:
    """Tell whether this process has not said lately that the database refuses; each request has a line of its own."""
    told: dict[str, float] = extra.setdefault("refusals_told", {})
    at = time.monotonic()
    if at - told.get(code, -math.inf) < TOLD_EVERY_S:
        return False
    told[code] = at
    return True


def _of_address(error: Exception, scope: Mapping[str, Any]) -> MalhaError | None:
    """Return the refusal of an address whose number no column holds, and which therefore names nothing; else None."""
    if not isinstance(error, pg.NumericValueOutOfRange):
        return None
    numbers = [value for value in scope.get("path_params", {}).values() if isinstance(value, int)]
    return next((errors.NoSuchNumber(key=number) for number in numbers if abs(number) > MOST_NUMBER), None)


def answer_refusal(request: Request[Any, Any, Any], refusal: MalhaError, error: Exception) -> Raw:
    """Answer a refusal as `application/problem+json`, with the headers that belong to it."""
    scope = cast("dict[str, Any]", request.scope)
    language = current_language()
    body = problem_bytes(refusal, language, instance=scope["path"], request_id=str(scope.get("request_id", "")))
    headers = {"content-language": language}
    wait = refusal.facts.get("retry_after", refusal.retry_after)
    if wait is not None:
        headers["retry-after"] = str(wait)
    if refusal.status == 415:
        headers["accept-encoding"] = "identity"  # of request bodies: RFC 9110, section 12.5.3
    if refusal.status == 401:
        headers["www-authenticate"] = 'Bearer realm="malha"'
    if isinstance(error, HTTPException) and error.headers:
        headers.update({name.lower(): value for name, value in error.headers.items()})
    return Raw(body, refusal.status, headers, MEDIA_TYPE)


def _without_values(error: Exception) -> str:
    """Say what the database refused without the row it quotes, which may hold personal data."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return f"{error.sqlstate} {error.diag.table_name or ''} {error.diag.constraint_name or ''}".strip()
    return type(error).__name__
