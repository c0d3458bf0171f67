"""What gateways report back about messages, over HTTP. No key: a receipt proves itself by the gateway's secret.

The address is `/v1/messages/receipts/sms`, `.../whatsapp` or `.../email` (for a mail service's bounce reports). What an
administrator entered says how a receipt proves itself and where it says what (`notifications.gateways.Receipts`).
"""

import hmac
from typing import Any

import msgspec
import structlog
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from malha.api.replies import Raw
from malha.api.work import Services
from malha.flows import telling
from malha.identity.model import PUBLIC
from malha.notifications import gateways, means, returns
from malha.notifications.errors import ReceiptNotProved
from malha.notifications.means import Opened
from malha.notifications.model import Channel
from malha.platform.db import Actor
from malha.platform.errors import NotFound

log = structlog.get_logger(__name__)
_OPEN = {"permission": PUBLIC}
Asking = Request[Any, Any, Any]


async def _opened(request: Asking, channel: str) -> Opened:
    services: Services = request.app.state.services
    if channel not in {each.value for each in Channel}:
        raise NotFound(what="gateway", key=channel[:20])
    async with services.database.transaction() as tx:
        opened = await means.open_gateway(tx, services.signing, Channel(channel))
    if opened is None or not opened.receipt_secret:
        raise ReceiptNotProved
    return opened


@post("/messages/receipts/{channel:str}", opt=_OPEN, status_code=200, include_in_schema=False)
async def take_receipts(request: Asking, channel: FromPath[str]) -> ASGIApp:
    """Write down what a gateway reports. The same report again changes nothing.

    Raises:
        ReceiptNotProved: whoever sends it does not know the secret.
    """
    opened = await _opened(request, channel)
    body = await request.body()
    receipts = opened.gateway.receipts
    headers = {name.lower(): value for name, value in request.headers.items()}
    token = str(request.query_params.get("token", ""))
    if not gateways.is_proved(receipts, opened.receipt_secret, headers, token, body):
        raise ReceiptNotProved
    told = gateways.receipts_of(receipts, headers.get("content-type", ""), body)
    services: Services = request.app.state.services
    actor = Actor("gateway", channel, channel)
    async with services.database.transaction(actor) as tx:
        done = await returns.record_receipts(tx, opened.channel, told, await telling.means_now(tx))
        if done.bounced:
            await telling.send_soon(tx)
    log.info("receipts_taken", channel=channel, known=done.known, bounced=done.bounced, kept=done.kept)
    return Raw(msgspec.json.encode({"known": done.known, "bounced": done.bounced, "kept": done.kept}))


@get("/messages/receipts/{channel:str}", opt=_OPEN, include_in_schema=False)
async def confirm_receipts(request: Asking, channel: FromPath[str]) -> ASGIApp:
    """Answer the question by which a gateway checks the address (WhatsApp Cloud API): it knows the secret, so do we.

    Raises:
        ReceiptNotProved: whoever asks does not know the secret.
    """
    opened = await _opened(request, channel)
    said = str(request.query_params.get("hub.verify_token", ""))
    if not hmac.compare_digest(said.encode(), opened.receipt_secret.encode()):
        raise ReceiptNotProved
    challenge = str(request.query_params.get("hub.challenge", ""))[:200]
    return Raw(challenge.encode(), media_type="text/plain; charset=utf-8")


handlers = [take_receipts, confirm_receipts]
