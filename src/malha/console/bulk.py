"""Acts on orders of the list: on those that are chosen at once, on all that it finds by a worker (`bulk_actions`).

Each order is in a transaction of its own, and what was refused is said by order.
"""

from typing import Any

from litestar import Request, post
from litestar.datastructures import FormMultiDict
from litestar.response import Response

from malha.console import actions, forms, orders, shell, web
from malha.fulfillment import bulk as gathering
from malha.fulfillment.bulk_model import Act
from malha.platform.errors import Forbidden
from malha.platform.i18n import n_


@post("/orders/bulk", opt={"permission": "orders:read"}, status_code=200)
async def bulk(request: Request[Any, Any, Any]) -> Response[Any]:
    """Carry an act out on the chosen orders, then draw the list anew with what became of it.

    Raises:
        Forbidden: the person may not do this.
        NoOrdersFound, TooManyOrders, Invalid: of all that the list finds, nothing can be gathered.
    """
    form = await request.form()
    act = str(form.get("act", ""))
    permission = actions.BULK.get(act)
    if permission is None or not web.caller_of(request).may(permission):
        raise Forbidden(permission=permission or act)
    if form.get("all") and act in set(Act):
        return await _gather(request, Act(act), form)
    numbers = forms.numbers(form, "order", 18, actions.BULK_MOST)
    outcome = await actions.bulk(request, act, numbers, form)
    notice = told(act, outcome)
    if not web.wants_part(request):
        return web.see_other("/orders", notice=notice)
    shown = await orders.list_page(request, orders.asked_of(web.page_query(request)), outcome.refused)
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


async def _gather(request: Request[Any, Any, Any], act: Act, form: FormMultiDict) -> Response[Any]:
    """Write down all orders that the list finds, for the act that is begun on the next page."""
    asked = orders.asked_of(web.page_query(request))
    wish = actions.wish_of(act, form)
    async with web.writing(request) as tx:
        wanted = await orders.wanted_of(tx, asked, await orders.reference(tx), shell.scope_of(web.caller_of(request)))
        number = await gathering.gather(tx, wish, wanted, asked.address().partition("?")[2])
    return web.go_on(request, f"/bulk-actions/{number}")


def told(act: str, outcome: actions.Outcome) -> str:
    """Return what became of a bulk act, in one sentence."""
    done = outcome.done
    says = {
        "release": lambda: n_("{n} order released", "{n} orders released", done),
        "hold": lambda: n_("{n} order on hold", "{n} orders on hold", done),
        "resolve": lambda: n_("Holds lifted on {n} order", "Holds lifted on {n} orders", done),
        "promise": lambda: n_("{n} order promised anew", "{n} orders promised anew", done),
        "tags": lambda: n_("Tags set on {n} order", "Tags set on {n} orders", done),
        "refund": lambda: n_("{n} refund recorded", "{n} refunds recorded", done),
        "cancel": lambda: n_("{n} order cancelled", "{n} orders cancelled", done),
    }[act]()
    refused = len(outcome.refused)
    return f"{says}, {n_('{n} refused', '{n} refused', refused)}" if refused else says


HANDLERS = [bulk]
