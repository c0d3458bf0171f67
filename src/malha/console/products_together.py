"""Chosen products of the list: put on sale, taken off it, given what they have in common."""

from typing import Any

from litestar import Request, post
from litestar.response import Response

from malha.catalog import together
from malha.catalog.together import Common, Done
from malha.console import filling, forms, products, web
from malha.console.filling import Filled
from malha.platform.i18n import n_


@post("/products:bulk", opt={"permission": "catalog:write"}, status_code=200)
async def bulk(request: Request[Any, Any, Any]) -> Response[Any]:
    """Change the chosen products; those of which it is kept elsewhere, and those that are so already, stay."""
    form = await request.form()
    read = filling.filled(form)
    codes = forms.chosen(form, "code", products.PAGE_SIZE)
    common = _common(read)
    read.refuse()
    async with web.writing(request) as tx:
        done = await together.change(tx, codes, common)
    return web.go_on(request, web.safe_address(read.text("next"), "/products"), said(done))


def _common(read: Filled) -> Common:
    act = read.text("act")
    if act in {"sell", "stop"}:
        return Common(active=act == "sell")
    return Common(
        brand=read.text("brand") or None,
        category=read.text("category") or None,
        ncm=read.text("ncm") or None,
        cest=read.text("cest") or None,
        origin=read.maybe_whole("origin"),
    )


def said(done: Done) -> str:
    """Return what became of the chosen products, in a sentence or more."""
    told = []
    if done.changed or not (done.same or done.left or done.gone):
        told.append(n_("{n} product changed.", "{n} products changed.", len(done.changed)))
    if done.same:
        told.append(n_("{n} was so already.", "{n} were so already.", len(done.same)))
    if done.left:
        left = len(done.left)
        told.append(
            n_(
                "{n} was left as it is: this is kept elsewhere, or it lacks something.",
                "{n} were left as they are: this is kept elsewhere, or they lack something.",
                left,
            )
        )
    if done.gone:
        told.append(n_("{n} is not there any more.", "{n} are not there any more.", len(done.gone)))
    return " ".join(told)


HANDLERS = [bulk]
