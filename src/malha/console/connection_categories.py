"""Which of our categories a connection's are, on screen: what people said, and what is known by its code or names."""

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.catalog import reads as catalog
from malha.channels.connecting import categories, category_reads, master_reads, service
from malha.console import filling, render, shell, web
from malha.console.products import indented
from malha.platform.i18n import _

SEE, CHANGE = "network:read", "network:write"
PAGE = 50


@get("/connections/{code:str}/categories", opt={"permission": SEE})
async def categories_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show categories as the channel tells them, each with which of ours it is."""
    query = request.query_params
    sought, after = web.said(query, "q").strip()[:200], web.said(query, "after")[:500]
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        role = await master_reads.master(tx, found.id)
        rows = await category_reads.rows(tx, found.id, after=after, sought=sought or None, most=PAGE + 1)
        known = await categories.ours(tx, found.id, [row.theirs for row in rows])
        tree = indented(await catalog.categories(tx))
    return render.html(
        "connections/categories.html",
        shell=around,
        may=around.may,
        c=found,
        made=role.categories == "made",
        rows=[(row, known.get(row.theirs)) for row in rows[:PAGE]],
        tree=tree,
        names=dict(tree),
        q=sought,
        last=rows[PAGE - 1].theirs if len(rows) > PAGE else None,
    )


@post("/connections/{code:str}/categories", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def categories_say(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Keep which of ours each category is (`theirs/<n>`, `ours/<n>`); one that is as it was is passed over."""
    form = await request.form()
    read = filling.filled(form)
    places = [name.partition("/")[2] for name in form if name.startswith("theirs/")]
    stated = [(read.text(f"theirs/{n}", 500), read.text(f"ours/{n}", 120), read.text(f"was/{n}", 120)) for n in places]
    pairs = [(theirs, ours or None) for theirs, ours, was in stated if ours != was]
    address = f"/connections/{code}/categories"
    if pairs:
        async with web.writing(request) as tx:
            await categories.put(tx, code, pairs)
    return web.go_on(request, address, _("Saved: what waited for it is tried again") if pairs else _("Nothing to save"))


HANDLERS = [categories_show, categories_say]
