"""The four handlers of a record's form: the empty one, that of a record, making it, changing it.

A record of reference data has a code, an address of its own, and a version that its form was made from. What differs
between kinds is said once (`Form`); everything else is the same for all: who may, one transaction, where it leads.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import filling, render, web
from malha.console.filling import Filled
from malha.platform.db import Tx
from malha.platform.i18n import _

Asking = Request[Any, Any, Any]
WRITE = {"permission": "network:write"}


class Form(NamedTuple):
    """What is particular to one kind of record."""

    path: str  # its collection, like `/channels`
    template: str
    terms: Callable[[Tx, Asking, str | None], Awaitable[dict[str, Any]]]  # of the form; None is a new record
    make: Callable[[Tx, Filled], Awaitable[str]]  # make it, return its code
    change: Callable[[Tx, Asking, Filled, str], Awaitable[None]]  # refuse one that moved on
    made: str  # what is said then, as message ids
    changed: str
    located: bool = False  # a record is at one location; others are the whole retailer's


def handlers(form: Form) -> list[Any]:
    """Return the handlers of a form. `make` and `change` call `read.refuse()` before they write."""
    write = {**WRITE, "everywhere": not form.located}

    @get(f"{form.path}:new", opt=write)
    async def new(request: Asking) -> Response[str]:
        async with web.reading(request) as tx:
            return render.html(form.template, **await form.terms(tx, request, None))

    @post(f"{form.path}:new", opt=write, status_code=200)
    async def create(request: Asking) -> Response[Any]:
        read = filling.filled(await request.form())
        async with web.writing(request) as tx:
            code = await form.make(tx, read)
        return web.go_on(request, f"{form.path}/{quote(code, safe='')}", _(form.made))

    @get(f"{form.path}/{{code:str}}/edit", opt=write)
    async def edit(request: Asking, code: FromPath[str]) -> Response[str]:
        async with web.reading(request) as tx:
            return render.html(form.template, **await form.terms(tx, request, code))

    @post(f"{form.path}/{{code:str}}/edit", opt=write, status_code=200)
    async def save(request: Asking, code: FromPath[str]) -> Response[Any]:
        read = filling.filled(await request.form())
        async with web.writing(request) as tx:
            await form.change(tx, request, read, code)
        return web.go_on(request, f"{form.path}/{quote(code, safe='')}", _(form.changed))

    return [new, create, edit, save]
