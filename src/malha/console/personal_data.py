"""A person's rights over their data (LGPD, art. 18): all of it as a file, and erasing it for good, typed to be sure."""

from typing import Any

import msgspec
from litestar import Request, post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import export, filling, web
from malha.console.customers import customer_of
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.privacy import searching, service
from malha.privacy.model import REASON_LENGTH

_encode = msgspec.json.Encoder(order="deterministic").encode


@post(
    "/customers/{number:int}/personal-data",
    opt={"permission": "customers:reveal", "everywhere": True},
    status_code=200,
)
async def take(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[bytes]:
    """Send everything that is kept of a person as a file; who took it, and why, is written down.

    Raises:
        UnknownCustomer: there is none.
        Invalid: no reason is given.
    """
    read = filling.filled(await request.form())
    why = read.text("why", REASON_LENGTH)
    async with web.writing(request) as tx:
        data = await service.export(tx, (await customer_of(tx, request, number)).id, why)
    name = _("personal-data-{number}.json", number=str(number))
    headers = {"Content-Disposition": export.disposition(name), "Cache-Control": "no-store"}
    pretty = msgspec.json.format(_encode(data), indent=2)
    return Response(pretty, media_type="application/json", headers=headers)


@post("/customers/{number:int}/erase", opt={"permission": "customers:erase", "everywhere": True}, status_code=200)
async def erase(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Erase a person for good, where the customer's number was typed to be sure; in a large shop a worker looks first.

    Raises:
        UnknownCustomer: there is none.
        Invalid: no reason is given, or another number was typed.
        OrdersOpen, HoldsOpen, RefundsOpen, MessagesLeaving, OrdersComing, ImportsOpen, Conflict: not now.
    """
    read = filling.filled(await request.form())
    typed, reason = read.text("confirm", 20), read.text("reason", REASON_LENGTH)
    says, mend = N_("This is not the number of the customer."), N_("Type {number}.")
    refuse([] if typed.strip() == str(number) else [Flaw("confirm", says, mend, {"number": str(number)})])
    async with web.writing(request) as tx:
        done = await searching.begin(tx, (await customer_of(tx, request, number)).id, reason)
    again = _("They had been erased before")
    erased = again if done.again else _("Erased for good")
    return web.go_on(request, f"/customers/{number}", erased if done.state == "done" else _("They are looked for"))


HANDLERS = [take, erase]
