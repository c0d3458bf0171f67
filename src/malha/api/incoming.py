"""What channels call us with: `POST /in/{connection}`. No key: a message proves itself by its signature.

Proved on its raw bytes, kept, answered 202; what comes of it is the worker's. The same message again is acknowledged
again and kept once. Whoever wants more than an acknowledgement asks the API.
"""

from typing import Any

import msgspec
from litestar import Request, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from malha.api.replies import Raw
from malha.api.work import Services
from malha.channels.contract import RawRequest
from malha.identity.model import PUBLIC

LARGEST = 1024 * 1024  # bytes of one message

_encode = msgspec.json.Encoder().encode


@post(
    "/in/{connection:str}",
    opt={"permission": PUBLIC, "body_bytes": LARGEST},
    status_code=202,
    include_in_schema=False,
)
async def take_message(request: Request[Any, Any, Any], connection: FromPath[str]) -> ASGIApp:
    """Keep what a channel tells.

    Raises:
        NoWebhooks, NotProved, WebhookUnreadable, Overloaded: as the names say.
    """
    services: Services = request.app.state.services
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    # As the channel was told to call it: what the message says of its own host is nobody's word.
    query = request.scope["query_string"].decode("latin-1")
    url = f"{services.settings.address}/in/{connection}" + (f"?{query}" if query else "")
    raw = RawRequest("POST", url, headers, body)
    new = await services.receiver.receive(connection, raw)
    return Raw(_encode({"new": new}), 202)


routes = [take_message]
