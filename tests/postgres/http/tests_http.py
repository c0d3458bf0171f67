"""A served application on a test's own database: requests go through everything but the socket."""

import warnings
from collections.abc import Collection
from contextlib import AsyncExitStack
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from litestar.datastructures import State

from malha.app import bare_app, furnish
from malha.identity import service
from malha.identity.model import Role
from malha.identity.service import LoggedIn, PersonDraft
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.settings import Settings

PASSWORD = "correct horse battery"
HOST = "http://shop.test"


class Shop:
    """The application and ways to sign in."""

    def __init__(self, app: Litestar, database: Database, http: httpx.AsyncClient) -> None:
        self.app = app
        self.database = database
        self.http = http

    async def person(self, role: Role = Role.OWNER, *, email: str = "", locations: list[str] | None = None) -> UUID:
        draft = PersonDraft(name=role.title(), email=email or f"{role}@loja.test", role=role, locations=locations)
        async with self.database.transaction() as tx:
            return await service.create_person(tx, draft, password=PASSWORD)

    async def token(self, email: str) -> str:
        async with self.database.transaction() as tx:
            outcome = await service.log_in(tx, email, PASSWORD, source="127.0.0.9")
        assert isinstance(outcome, LoggedIn)
        return outcome.token

    async def session(self, role: Role = Role.OWNER, **options: Any) -> dict[str, str]:
        """Headers of a browser in which a new person of this role is signed in."""
        who = await self.person(role, **options)
        # As `token` ends; a password takes long to check, by intent.
        async with self.database.transaction() as tx:
            opened = await service.open_session(tx, who, source="127.0.0.9")
        return {"cookie": f"malha={opened.token}", "origin": HOST, "accept-language": "en"}

    async def key(self, permissions: Collection[str], **options: Any) -> dict[str, str]:
        """Headers of a program with a new key."""
        async with self.database.transaction() as tx:
            made = await service.create_key(tx, name="test", permissions=permissions, **options)
        return {"authorization": f"Bearer {made.secret}", "accept-language": "en"}


@cache
def _routes() -> tuple[Litestar, Any]:
    """The routes, once for all tests: putting them together takes longer than most tests. And what serves them."""
    with warnings.catch_warnings():
        # How pages declare their parameters is not what these tests are about.
        warnings.filterwarnings("ignore", message=r"\[paths='/(?!v1/)")
        app = bare_app(Settings())
    return app, app.asgi_handler


async def open_shop(
    stack: AsyncExitStack, database: Database, data_dir: Path, *, own: bool = False, **settings: Any
) -> Shop:
    """Serve the test's own database. A shop is a copy of the routes with everything behind them of its own.

    With `own`, the routes are its own too: for tests that add some.
    """
    routes, handler = _routes.__wrapped__() if own else _routes()
    app = copy(routes)
    app.state, app.asgi_handler = State(), handler
    furnish(app, Settings(database_url=database.url, data_dir=data_dir, log_level="error", **settings))
    await stack.enter_async_context(app.lifespan())
    transport = httpx.ASGITransport(app)
    http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=HOST))
    return Shop(app, database, http)
