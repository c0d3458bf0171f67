"""What goes wrong, as exceptions: decide by the class or by `code`, show `detail` and `mend`."""

from typing import Any

import msgspec


class Field(msgspec.Struct, frozen=True):
    """One flaw of a request. `at` is a JSON pointer, `?name` for a query parameter."""

    at: str = ""
    says: str = ""
    mend: str = ""


class Said(msgspec.Struct, frozen=True):
    """A problem as the server says it."""

    status: int = 0
    code: str = ""
    title: str = ""
    detail: str = ""
    mend: str = ""
    request_id: str = ""
    facts: dict[str, Any] = {}
    errors: list[Field] = []


class Problem(Exception):
    """The request was refused, or could not be carried out."""

    def __init__(self, said: Said) -> None:
        self.status = said.status
        self.code = said.code
        self.detail = said.detail
        self.mend = said.mend
        self.facts = said.facts
        self.errors = said.errors
        self.request_id = said.request_id
        super().__init__(" ".join(part for part in (f"{said.status} {said.code}:", said.detail, said.mend) if part))


class NotSignedIn(Problem):
    """401: the key is unknown, ended or revoked."""


class Forbidden(Problem):
    """403: the key lacks a permission."""


class NotFound(Problem):
    """404: there is no such record, or the key may not see it."""


class Conflict(Problem):
    """409: what is so does not allow it."""


class Gone(Problem):
    """410: it was there once."""


class Stale(Problem):
    """412 or 428: the record has moved on since it was read, or its version was not said."""


class Invalid(Problem):
    """400 or 422: see `errors`."""


class TooManyRequests(Problem):
    """429: still, after the last repetition."""


class ServerFault(Problem):
    """5xx: still, after the last repetition."""


class Unreachable(Exception):
    """No answer came, after the last repetition; a request that was sent may have been carried out."""


_BY_STATUS: dict[int, type[Problem]] = {
    400: Invalid,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    412: Stale,
    422: Invalid,
    428: Stale,
    429: TooManyRequests,
}


def problem_of(status: int, body: bytes) -> Problem:
    """Return an answer that is no success as an exception."""
    try:
        said = msgspec.json.decode(body, type=Said)
    except msgspec.DecodeError:
        said = Said(code="no_problem", detail=body[:300].decode("utf-8", "replace"))
    said = msgspec.structs.replace(said, status=status)
    return _BY_STATUS.get(status, ServerFault if status >= 500 else Problem)(said)
