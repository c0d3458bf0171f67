"""The composition root of a web process: the only module that knows everything.

`create_app` is a factory for Granian (`malha.app:create_app`). Modules of `malha.api` are found by their `handlers`,
the console by its router. Everything that costs time or memory and is not needed by the first order is opened or
imported later.
"""

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, cast

from litestar import Litestar, Request, Response, Router
from litestar.events import BaseEventEmitterBackend
from litestar.handlers import HTTPRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ASGIApp, ControllerRouterHandler, Method, RouteHandlerType, Scope

import malha.api
from malha.api import feeds, health, incoming, observe
from malha.api.access import guard
from malha.api.bodies import Bodies
from malha.api.edge import Edge, Observer
from malha.api.lane import Lane
from malha.api.problem import answer_refusal, told
from malha.api.work import Services
from malha.console import assets, render, routes
from malha.intake.gate import IN_FLIGHT, Gate
from malha.intake.pages import PromisePages
from malha.platform import i18n, logs
from malha.platform import settings as configuration
from malha.platform.db import AWAY_S, Database
from malha.platform.errors import MalhaError
from malha.platform.settings import Settings, SettingsError
from malha.shopper import pages as shopper
from malha.shopper.desk import Desk
from malha.shopper.render import Face

WRITE_USED_KEYS_S = 15.0
_ASKED_FIRST = {"/healthz", "/readyz", "/metrics", "/login", "/", "/v1/orders", "/v1/orders/{order_id:uuid}"}


class NoEmitter(BaseEventEmitterBackend):
    """In place of Litestar's emitter, which keeps a task group and a queue: our events are in the database."""

    def emit(self, event_id: str, *args: object, **kwargs: object) -> None:
        """Refuse."""
        raise NotImplementedError(f"{event_id}: events go through malha.platform.outbox")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class _Handlers(dict["Method", tuple[HTTPRouteHandler, Any]]):
    """The handlers of a route by method, each with what reads its arguments, which is made when it is first asked for.

    Looking through it makes nothing: `items` gives None for what was not asked for yet.
    """

    def __init__(self, app: Litestar, route: HTTPRoute) -> None:
        super().__init__()
        self._app = app
        self._path_parameters = route.path_parameters
        for handler in route.route_handlers:
            for method in handler.http_methods:
                self[method] = handler, None

    def __getitem__(self, method: Method) -> tuple[HTTPRouteHandler, Any]:
        handler, model = super().__getitem__(method)
        if model is None:
            handler.on_registration(self._app)
            model = handler.create_kwargs_model(path_parameters=self._path_parameters)
            for each in handler.http_methods:
                self[each] = handler, model
        return handler, model


class Routes(Router):
    """A router that finds by an index what it has at a path; Litestar's looks through all it has for each more."""

    _at: "dict[str, dict[Method, HTTPRouteHandler]]"  # by path

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Add these routes and return them.

        Raises:
            ValueError: one of them is not for HTTP, or a path has two handlers for a method.
        """
        return _register(self, value)

    @property
    def route_handler_method_map(self) -> "dict[str, dict[Method, HTTPRouteHandler]]":  # type: ignore[override]
        """The handlers at each path, by method."""
        return self._at


def _register(router: Any, value: ControllerRouterHandler) -> list[BaseRoute]:
    if not hasattr(router, "_at"):  # Litestar's constructors register
        router._at = {}  # noqa: SLF001 -- of the two classes here
    added = Router.register(router, value)
    for route in added:
        if not isinstance(route, HTTPRoute):
            raise ValueError(f"{route.path} is no route for HTTP")  # noqa: TRY004 -- a value of the right type
        found: dict[Method, HTTPRouteHandler] = {}
        router._at[route.path] = found  # noqa: SLF001
        for handler in route.route_handlers:
            for method in handler.http_methods:
                if found.setdefault(method, handler) is not handler:
                    raise ValueError(f"{method} {route.path} has two handlers")
    return added


class Lean(Litestar):
    """Litestar without what costs memory and the start of a process, and gives us nothing.

    It has plugins for Pydantic and attrs, whose types are none of ours, wherever these are installed; it copies each
    router with all its handlers, in case another application has it, too; and it works out at the start how each of two
    thousand handlers reads its arguments, of which a process may be asked for fifty.
    """

    _at: "dict[str, dict[Method, HTTPRouteHandler]]"  # as those of `Routes`

    def register(self, value: ControllerRouterHandler) -> None:  # type: ignore[override]  # as Litestar's own
        """Have these routes answered. What is wrong with a handler is told when it is first asked for.

        Raises:
            ValueError: one of them is not for HTTP, or a path has two handlers for a method.
        """
        for route in _register(self, value):
            cast("HTTPRoute", route).route_handler_map = _Handlers(self, cast("HTTPRoute", route))
        self.asgi_router.construct_routing_trie()

    @property
    def route_handler_method_map(self) -> "dict[str, dict[Method, HTTPRouteHandler]]":  # type: ignore[override]
        """The handlers at each path, by method."""
        return self._at

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]

    def _validate_registration_value(self, value: ControllerRouterHandler) -> "RouteHandlerType | Router":
        if not isinstance(value, Router):
            return super()._validate_registration_value(value)
        if value.owner is not None:
            raise ValueError("a router belongs to one application: make another for each")
        value.owner = self
        return value


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the application, ready to be served; its lifespan opens the database pool and the intake gate.

    Raises:
        SettingsError: a setting is wrong, or no database is named (`malha serve` starts the embedded one and names it).
    """
    settings = settings or _own_settings()
    i18n.settle(settings.timezone)
    app = bare_app(settings)
    _warm(app)
    return furnish(app, settings)


def bare_app(settings: Settings) -> Litestar:
    """Return the routes, which take half a second to put together, without anything behind them yet."""
    return Lean(
        route_handlers=[
            *health.probes,
            *incoming.routes,
            *feeds.public,
            Routes("/v1", route_handlers=_api_handlers()),
            Routes(**routes.router.keywords),
            Routes(**shopper.router.keywords),
        ],
        guards=[guard],
        exception_handlers={Exception: cast("Any", _answer)},
        lifespan=[_lifespan],
        request_max_body_size=settings.upload_limit_mb * 1024 * 1024,
        event_emitter_backend=NoEmitter,
        openapi_config=None,
        logging_config=None,
    )


def furnish(app: Litestar, settings: Settings) -> Litestar:
    """Give the routes their database and settings, and return them ready to be served.

    Raises:
        SettingsError: no database is named.
    """
    if settings.database_url is None:
        raise SettingsError(
            "No database: set DATABASE_URL, or start Malha with `malha serve`, which brings a database of its own."
        )
    database = Database(
        settings.database_url, settings.retailer, min_size=1, max_size=settings.web_pool_size, away_s=AWAY_S
    )
    services = Services(settings, database)
    app.state.services = services
    app.state.shopper = Desk(Face(assets.address, render.icon), settings, database)
    access_log = observe.AccessLog(settings)
    counts = observe.Counts()
    services.extra["flush_log"] = access_log.flush
    services.extra["flush_counts"] = counts.flush
    observers: tuple[Observer, ...] = (counts, access_log) if settings.metrics else (access_log,)
    inner = Lane(app, Bodies(app.asgi_handler), services)
    app.asgi_handler = Edge(inner, settings, services.cookie.name, observers, page=_early(app))
    return app


def _warm(app: Litestar) -> None:
    """Make what the first requests ask for, and import what makes it: processes that are forked then share it."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path in _ASKED_FIRST:
            for method in list(route.route_handler_map):
                route.route_handler_map[method]


def _own_settings() -> Settings:
    settings = configuration.load()
    logs.configure(settings.log_level, settings.log_format, role="web")
    return settings


def _api_handlers() -> list[ControllerRouterHandler]:
    found: list[ControllerRouterHandler] = []
    for module in pkgutil.iter_modules(malha.api.__path__):
        found += getattr(importlib.import_module(f"malha.api.{module.name}"), "handlers", [])
    return found


def _answer(request: Request[Any, Any, Any], error: Exception) -> Any:
    """Answer what went wrong: people get a page, programs a problem."""
    refusal = told(request, error)
    return _page(request, refusal) or answer_refusal(request, refusal, error)


def _page(request: Request[Any, Any, Any], refusal: MalhaError) -> Response[Any] | None:
    """Return a refusal as a person sees it: the retailer's people, or its customers. None for a program."""
    path, headers = request.scope["path"], request.headers
    if path.startswith("/v1") or not ("text/html" in headers.get("accept", "") or headers.get("hx-request") == "true"):
        return None
    return shopper.refuse(request, refusal) if shopper.owns(path) else routes.refuse(request, refusal)


def _early(app: Litestar) -> Callable[[Scope, MalhaError], ASGIApp | None]:
    """Return what shows a person a refusal from before the application was asked."""

    def page(scope: Scope, refusal: MalhaError) -> ASGIApp | None:
        cast("dict[str, Any]", scope)["litestar_app"] = app
        request: Request[Any, Any, Any] = Request(scope)
        found = _page(request, refusal)
        return None if found is None else found.to_asgi_response(app=None, request=request)

    return page


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    services: Services = app.state.services
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(services.extra["flush_log"])
        stack.callback(services.extra["flush_counts"])
        await stack.enter_async_context(services.database)
        # Connections of its own: a page that reads for long must not keep orders waiting.
        own = Database(
            services.database.url, services.database.retailer, min_size=1, max_size=IN_FLIGHT + 2, away_s=AWAY_S
        )
        await stack.enter_async_context(own)
        gate = Gate(own)
        await gate.open()
        stack.push_async_callback(gate.close)
        services.extra["gate"] = gate
        pages = PromisePages(services.database, gate.cache)
        stack.push_async_callback(pages.close)
        services.extra["promise_pages"] = pages
        used = asyncio.create_task(_write_used_keys(services))
        stack.push_async_callback(_end, used)
        stack.push_async_callback(_end_tail, services)
        services.extra["stop"] = asyncio.Event()
        yield


def end_streams(app: Litestar) -> None:
    """Have the streams of live pages end, and those who wait for events be answered: this process is to end.

    They would otherwise go on until it is killed. Whoever listened comes again, to another process or the next one.
    """
    stop: asyncio.Event | None = app.state.services.extra.get("stop")
    if stop is not None:
        stop.set()


async def _write_used_keys(services: Services) -> None:
    while True:
        await asyncio.sleep(WRITE_USED_KEYS_S)
        # When it fails, "last used" is a little older than it should be: no reason to end the task or to wake anybody.
        with contextlib.suppress(Exception):
            await services.keys.write_used()


async def _end_tail(services: Services) -> None:
    """End the live pages' streams; the first of them started the tail."""
    services.extra["stop"].set()
    tail = services.extra.pop("tail_task", None)
    services.extra.pop("tail", None)
    if tail is not None:
        await tail


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
