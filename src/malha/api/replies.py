"""Answers as plain ASGI: a body that is encoded once and sent as it is, or one that is made while it is sent."""

from collections.abc import AsyncIterator, Mapping

from litestar.types import Receive, Scope, Send


class Raw:
    """A finished answer. Litestar sends it without touching it."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers
        self.media_type = media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI names them
        """Send it."""
        raw = [(b"content-length", b"%d" % len(self.body))]
        if self.status != 204:
            raw.append((b"content-type", self.media_type.encode()))
        if self.headers:
            raw += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    # What an exception handler of Litestar returns is asked for its ASGI application.
    def to_asgi_response(self, *_: object, **__: object) -> "Raw":
        """Return itself."""
        return self


class Pieces(Raw):
    """An answer that is made while it is sent: its length is not known before."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(b"", 200, headers, media_type)
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it piece by piece."""
        raw = [(b"content-type", self.media_type.encode())]
        raw += [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in (self.headers or {}).items()
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        async for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
