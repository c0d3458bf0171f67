"""What pages with a plain form share: reading its fields, and a refusal that is shown above what was typed."""

from typing import Any, NamedTuple

from litestar.datastructures import FormMultiDict

from malha.console import web
from malha.platform.errors import MalhaError
from malha.platform.text import whole_in


class Refusal(NamedTuple):
    """Why a form was not taken: what is so, how to mend it, and each flaw."""

    says: str
    mend: str
    problems: tuple[str, ...]
    status: int
    fields: tuple[str, ...] = ()  # of the form, one for each flaw


def refusal(error: MalhaError) -> Refusal:
    """Return a refusal in the reader's words."""
    says, mend = web.refusal_text(error)
    return Refusal(says, mend, tuple(web.problems_text(error)), error.status, tuple(web.problem_fields(error)))


def said(form: FormMultiDict, name: str, most: int = 400) -> str:
    """Return one field, trimmed and bounded."""
    return str(form.get(name, "")).replace("\x00", "").strip()[:most]


def secret(form: FormMultiDict, name: str = "password") -> str:
    """Return a password as it was typed: its spaces belong to it."""
    return str(form.get(name, ""))[:1_000]


def chosen(form: FormMultiDict, name: str, most: int = 1_000) -> list[str]:
    """Return every value of a field that may be there several times, bounded and without NUL, like `said`."""
    return [str(value).replace("\x00", "")[:120] for value in form.getall(name, [])][:most]


def numbers(form: FormMultiDict, name: str, digits: int, most: int = 1_000) -> list[int]:
    """Return the whole numbers of at most so many digits among all values of a field; what is none is left out."""
    found = (whole_in(value, digits) for value in chosen(form, name, most))
    return [number for number in found if number is not None]


def own_token(request: web.Asking) -> str:
    """Return the token of the session that asks."""
    services: Any = request.app.state.services
    token: str = request.cookies.get(services.cookie.name, "")
    return token
