"""Who is asking, and may they: the guard of every route.

A route declares its permission in `opt["permission"]`, and in `opt["everywhere"]` that it concerns all locations. The
guard runs before the body is read. Sessions come by cookie, keys by `Authorization: Bearer`; nothing else signs anyone
in.
"""

from functools import partial
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from malha.api.bodies import FORM_BYTES
from malha.identity import service
from malha.identity.errors import NotSignedIn
from malha.identity.model import PUBLIC, WHOLE, Caller
from malha.network.errors import SharedByAll
from malha.platform.errors import Forbidden
from malha.platform.i18n import use

Connection = ASGIConnection[Any, Any, Any, Any]


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Find the caller and refuse who lacks the route's permission; a route that declares none is closed to everyone.

    Raises:
        NotSignedIn: nobody, or an unknown, expired or revoked session or key.
        Forbidden: the permission is not among the caller's.
        SharedByAll: it concerns all locations, and the caller is limited to some.
    """
    permission = handler.opt.get("permission")
    if permission == PUBLIC:
        # Bounds the body, see `bodies`.
        cast("dict[str, Any]", connection.scope)["anonymous"] = handler.opt.get("body_bytes", FORM_BYTES)
        return
    caller = await caller_of(connection)
    if caller is None:
        raise NotSignedIn
    if permission is None or not caller.may(permission):
        raise Forbidden(permission=permission)
    if caller.locations is not None and (permission in WHOLE or handler.opt.get("everywhere")):
        raise SharedByAll


async def caller_of(connection: Connection) -> Caller | None:
    """Return who makes the request, None if nobody; remembered, and the person's language is spoken from here."""
    scope = cast("dict[str, Any]", connection.scope)
    if "user" in scope:
        known: Caller | None = scope["user"]
        return known
    caller = await identify(connection)
    scope["user"] = caller
    scope["look_again"] = partial(identify, connection, uses=False)
    if caller is not None and caller.kind == "person":
        use(caller.language or scope.get("language", ""), caller.timezone)
    return caller


async def identify(connection: Connection, *, uses: bool = True) -> Caller | None:
    """Return whose key or session a request carries, as it is now; None if nobody's.

    Without `uses` a session is looked at only: that somebody listens does not make it last longer.
    """
    services = connection.app.state.services
    authorization = connection.headers.get("authorization")
    if authorization:
        scheme, _separator, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        keys: service.Keys = services.keys
        return await keys.caller_of(secret.strip())
    token = connection.cookies.get(services.cookie.name)
    if not token:
        return None
    async with services.database.transaction() as tx:
        settings = services.settings
        return await service.session_of(tx, token, settings.session_hours, settings.session_days, uses=uses)
