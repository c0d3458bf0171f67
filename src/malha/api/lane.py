"""The short way of the one operation that has to be fast: a channel's key submits an order.

`POST /v1/orders` with a bearer key is read, placed and answered here, past the framework's routing, dependency and
response machinery, which cost as much as placing the order (measured: `docs/explanation/performance.md`). Same rules,
same words, same gate; everything else, sessions included, goes the ordinary way.
"""

from typing import Any, cast

import msgspec
from litestar import Litestar, Request
from litestar.types import ASGIApp, Receive, Scope, Send

from malha.api.bodies import GRACE_S, bounded, refuse_encoded
from malha.api.errors import BodyTooLarge
from malha.api.problem import answer_problem
from malha.api.replies import Raw
from malha.api.validation import Body
from malha.api.work import Services
from malha.identity.errors import NotSignedIn
from malha.intake.gate import Gate
from malha.intake.model import NewOrder, Result
from malha.platform.db import Actor
from malha.platform.errors import Forbidden

PATH = "/v1/orders"
PERMISSION = "intake:submit"

_read = Body(NewOrder).read
_encode = msgspec.json.Encoder().encode


class Lane:
    """Wraps the application."""

    def __init__(self, app: Litestar, inner: ASGIApp, services: Services, *, grace_s: float = GRACE_S) -> None:
        self._app = app
        self._grace_s = grace_s
        self._inner = inner
        self._services = services
        self._limit = services.settings.upload_limit_mb * 1024 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the short way where it applies."""
        facts = cast("dict[str, Any]", scope)
        if facts["type"] == "http" and facts["path"] == PATH and facts["method"] == "POST":
            secret = key = length = encoding = None
            for name, value in facts["headers"]:
                if name == b"authorization":
                    secret = value.decode("latin-1")
                elif name == b"idempotency-key":
                    key = value.decode("latin-1")
                elif name == b"content-length":
                    length = value
                elif name == b"content-encoding":
                    encoding = value.decode("latin-1")
            if secret is not None:
                facts["path_template"] = PATH
                await (await self._answer(facts, receive, secret, key, (length, encoding)))(scope, receive, send)
                return
        await self._inner(scope, receive, send)

    async def _answer(
        self,
        facts: dict[str, Any],
        receive: Receive,
        secret: str,
        key: str | None,
        of_body: tuple[bytes | None, str | None],
    ) -> Raw:
        length, encoding = of_body
        try:
            actor = await self._actor(facts, secret)
            refuse_encoded(encoding)
            body = await self._body(facts, receive, length)
            gate: Gate = self._services.extra["gate"]
            placed = await gate.submit(_read(body), idempotency_key=key, actor=actor, size=len(body))
            return Raw(_encode(placed), 200 if placed.result is Result.DUPLICATE else 201)
        except Exception as error:  # noqa: BLE001 - every fault is answered as the application would
            facts["litestar_app"] = self._app
            return answer_problem(Request(cast("Scope", facts)), error)

    async def _actor(self, facts: dict[str, Any], secret: str) -> Actor:
        """Return who holds the key, or refuse as the guard of every other route does."""
        scheme, _, token = secret.partition(" ")
        caller = await self._services.keys.caller_of(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise NotSignedIn
        facts["user"] = caller
        if not caller.may(PERMISSION):
            raise Forbidden(permission=PERMISSION)
        return Actor(
            caller.kind,
            caller.id,
            caller.name,
            facts["source"],
            facts["request_id"],
            caller.permissions,
            caller.locations,
        )

    async def _body(self, facts: dict[str, Any], receive: Receive, length: bytes | None) -> bytes:
        """Return the body, refusing it as soon as it is too large or too slow; nearly all are one message.

        The server cannot say of that message that it is the last one, but a body of the announced length has no more to
        come: asking again, under a time limit, costs more than decoding the order.
        """
        more = bounded(facts, receive, grace_s=self._grace_s)
        message = cast("dict[str, Any]", await more())
        body: bytes = message.get("body", b"")
        if message.get("more_body") and b"%d" % len(body) != length:
            parts, size = [body], len(body)
            while message.get("more_body") and size <= self._limit:
                message = cast("dict[str, Any]", await more())
                parts.append(message.get("body", b""))
                size += len(parts[-1])
            body = b"".join(parts)
        if len(body) > self._limit:
            raise BodyTooLarge(megabytes=self._services.settings.upload_limit_mb)
        return body
