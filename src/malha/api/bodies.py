"""Bodies are bounded while they arrive: by size, whatever length they announce, and by the time they take.

A body is taken as it is: nothing is unpacked, so nothing can unfold into more than was sent. What says
`Content-Encoding: gzip` is refused by the operations of the API; what channels send is theirs to say, and signed.

Limits are checked before anything is kept, and a refused body is not read to its end unless little of it is left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from malha.api.errors import BodyBroken, BodyEncoded, BodyTooSlow, FormTooLarge
from malha.platform.csrf import SAFE_METHODS

FORM_BYTES = 64 * 1024  # of somebody who is not signed in: a log-in, an address, never a file
GRACE_S = 15.0
SLOWEST = 8 * 1024  # bytes a second, after the grace


REST_BYTES = 64 * 1024
REST_S = 1.0


class Body:
    """The body of one request: how far it was read, and what becomes of the rest once it is answered.

    A server that is told the answer before it has the body closes the connection, often without having said so, and a
    proxy that keeps its connections sends the next request, somebody else's, into it: 502. So what little is left is
    read before the answer begins; of more, or of a length nobody announced, the answer says that the connection ends.
    """

    __slots__ = ("_announced", "_complete", "_receive", "_taken")

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"")
        self._receive = receive
        self._announced = int(length) if length.isdigit() else None
        self._taken = 0
        self._complete = self._announced == 0 or (self._announced is None and b"transfer-encoding" not in headers)

    async def receive(self) -> HTTPReceiveMessage:
        """Hand on what comes.

        Raises:
            BodyBroken: the client went, or its connection did, before the body was there.
        """
        waited = not self._complete
        message = await self._next()
        if waited and message["type"] == "http.disconnect":
            raise BodyBroken
        return cast("HTTPReceiveMessage", message)

    async def ended(self) -> bool:
        """Return whether the whole body was taken, taking what is left where that is `REST_BYTES` at most."""
        if self._complete or self._announced is None or self._announced - self._taken > REST_BYTES:
            return self._complete
        try:
            async with asyncio.timeout(REST_S):
                while await self._more():
                    pass
        except TimeoutError:
            return False
        return True

    async def _more(self) -> bool:
        await self._next()
        return not self._complete

    async def _next(self) -> dict[str, Any]:
        message = cast("dict[str, Any]", await self._receive())
        self._taken += len(message.get("body", b""))
        # The server does not say of the last piece of an announced length that it is the last.
        if self._taken == self._announced or not message.get("more_body", False):
            self._complete = True
        return message


class Bodies:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, grace_s: float = GRACE_S) -> None:
        self._app = app
        self._grace_s = grace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        facts = cast("dict[str, Any]", scope)
        if facts["type"] == "http" and facts["method"] not in SAFE_METHODS:
            receive = cast("Receive", bounded(facts, receive, grace_s=self._grace_s))
        await self._app(scope, receive, send)


def refuse_encoded(encoding: str | None) -> None:
    """Refuse a body by its `Content-Encoding`.

    Raises:
        BodyEncoded: it is compressed.
    """
    if encoding is not None and encoding.strip().lower() not in {"", "identity"}:
        raise BodyEncoded(encoding=encoding[:40])


def bounded(
    facts: dict[str, Any], receive: Receive, *, grace_s: float = GRACE_S
) -> Callable[[], Awaitable[HTTPReceiveMessage]]:
    """Return a `receive` that refuses a body which takes too long, or is too large for somebody nobody knows.

    Raises:
        BodyTooSlow: it arrives slower than `SLOWEST` after the grace.
        FormTooLarge: the route is open to everybody, and this is more than the guard noted for it (`anonymous`).
    """
    began = asyncio.get_running_loop().time()
    size, complete = 0, False

    async def take() -> HTTPReceiveMessage:
        nonlocal size, complete
        if complete:  # what comes now is that the client goes, whenever that is
            return cast("HTTPReceiveMessage", await receive())
        try:
            async with asyncio.timeout_at(began + grace_s + size / SLOWEST):
                message = cast("dict[str, Any]", await receive())
        except TimeoutError:
            raise BodyTooSlow(seconds=round(grace_s)) from None
        size += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        most = facts.get("anonymous")
        if most and size > most:
            raise FormTooLarge(kilobytes=most // 1024)
        return cast("HTTPReceiveMessage", message)

    return take
