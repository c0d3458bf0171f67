"""`malha serve`: web processes, the worker and, without DATABASE_URL, PostgreSQL, under one parent.

In this order: settings, port, database, migrations, then the processes are forked from the application, which is
imported once, while the database starts. They stop in the opposite order: web processes finish what they answer, the
worker what it is at, then the database.
"""

import asyncio
import gc
import importlib
import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import structlog
import typer

from malha.cli.listening import Listeners, SocketServer, listeners
from malha.cli.runtime import announce, database_of, export, migrate_surely
from malha.cli.tracing import require_tracing, tracing
from malha.platform import logs, metrics, systemd
from malha.platform.embedded import EmbeddedError, EmbeddedPostgres
from malha.platform.migrate import require
from malha.platform.settings import Settings, load
from malha.platform.supervision import Child, Supervisor, end_soon

log = structlog.get_logger(__name__)

_SERVED = (  # the application, and what its processes would each import by themselves
    "malha.app",
    "malha.intake.gate",
    "malha.worker",
    "granian.server.embed",
    "uvloop",
    "prometheus_client.multiprocess",
)
WEB_PATIENCE_S = 10.0  # with answers that are under way
WORKER_PATIENCE_S = 30.0


def command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    web_workers: Annotated[int | None, typer.Option("--web-workers", help="How many web processes.")] = None,
    worker: Annotated[bool | None, typer.Option(help="Run the worker beside the web processes.")] = None,
    migrate: Annotated[
        bool, typer.Option(help="Bring the database to this version's schema first, both phases of it.")
    ] = True,
) -> None:
    """Serve the API and the console."""
    settings = load(host=host, port=port, web_workers=web_workers, worker=worker)
    raise typer.Exit(serve(settings, migrate=migrate))


def serve(
    settings: Settings,
    *,
    migrate: bool = True,
    beside: tuple[Child, ...] = (),
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. `beside` are more children to keep alive (demo's traffic).

    Raises:
        SettingsError, EmbeddedError, MalhaError: it cannot start; the message says why.
    """
    begun = time.perf_counter()
    require_tracing(settings)
    logs.configure(settings.log_level, settings.log_format, role="main")
    shared = metrics.share()
    try:
        with (
            listeners(settings) as listening,
            _importing() as imported,
            database_of(settings) as (ready, server),
        ):
            ready.secret()  # one that can be neither read nor kept is refused here, not by each process again and again
            if migrate:
                applied = migrate_surely(ready, server)
                if applied:
                    announce(f"migrated the database ({len(applied)} steps)")
            else:
                asyncio.run(require(ready.database_url or "", ready.retailer))
            export(ready)
            imported()
            app = _application(ready)
            gc.enable()
            children = [
                *(_deaf(child, listening) for child in beside),
                *(_web(ready, app, listening, n) for n in range(1, ready.web_workers + 1)),
            ]
            if ready.worker:
                children.append(_deaf(_worker(ready), listening))
            listening.open()
            watch = _Watch(ready, server, begun, on_ready)
            return Supervisor(children, watch, before_stop=lambda: _leave(listening, server)).run()
    finally:
        if shared is not None:
            shutil.rmtree(shared, ignore_errors=True)


def _deaf(child: Child, listening: Listeners) -> Child:
    """Have a child that answers nobody close the sockets: one left open would keep connections waiting in vain."""
    run = child.run

    def alone() -> None:
        listening.close()
        run()

    child.run = alone
    return child


def _leave(listening: Listeners, server: EmbeddedPostgres | None) -> None:
    """Turn new connections away while we stop, unless they wait for our successor, who waits for our database."""
    systemd.notify("STOPPING=1")
    if server is not None:
        server.leave()
    if not listening.inherited:
        listening.close()


@contextmanager
def _importing() -> Iterator[Callable[[], None]]:
    """Import what is served in a thread of its own while the database starts; give what waits for it.

    Nothing is collected until the application stands: a million objects are made that stay, and walking them again and
    again is a third of the time. The supervisor collects once before it forks.
    """

    def load_all() -> None:
        with suppress(Exception):  # told where it is wanted: `_application` imports it again
            for module in _SERVED:
                importlib.import_module(module)

    gc.disable()
    thread = threading.Thread(target=load_all, name="imports")
    thread.start()
    try:
        yield thread.join
    finally:
        thread.join()
        gc.enable()


def _application(settings: Settings) -> Any:
    """Build what the web processes serve, once, before they are forked."""
    for module in _SERVED:
        importlib.import_module(module)
    from malha.app import create_app  # noqa: PLC0415 -- after `metrics.share`, and nothing before needs it

    return create_app(settings)


def _web(settings: Settings, app: Any, listening: Listeners, number: int) -> Child:
    def run() -> None:
        import uvloop  # noqa: PLC0415 -- imported before the fork

        logs.configure(settings.log_level, settings.log_format, role=f"web:{number}")
        with (
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            tracing(settings, f"web:{number}") as traced,
        ):
            from malha.app import end_streams  # noqa: PLC0415 -- imported before the fork

            runner.run(_answer(settings, traced(app), listening.of(number), lambda: end_streams(app)))

    return Child(f"web:{number}", run, patience_s=WEB_PATIENCE_S)


async def _answer(settings: Settings, app: Any, listening: socket.socket, leave: Callable[[], None]) -> None:
    """Serve the application until SIGTERM; `leave` is called then, before what is being answered is waited for."""
    import signal  # noqa: PLC0415

    from granian.constants import Interfaces  # noqa: PLC0415

    server = SocketServer(
        app,
        listening,
        interface=Interfaces.ASGI,
        backlog=settings.backlog,
        websockets=False,
    )
    granian = logging.getLogger("_granian")  # its own handlers write to standard output
    granian.handlers.clear()
    granian.propagate = True
    granian.setLevel(logging.ERROR)
    told = asyncio.Event()

    loop = asyncio.get_running_loop()

    def stop() -> None:
        told.set()
        end_soon(loop, WEB_PATIENCE_S)
        leave()
        server.leave(loop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve()
    if not told.is_set():
        raise SystemExit(1)  # it could not start, and has said why


def _worker(settings: Settings) -> Child:
    def run() -> None:
        import uvloop  # noqa: PLC0415 -- imported before the fork

        from malha.worker import run_until_signalled  # noqa: PLC0415

        logs.configure(settings.log_level, settings.log_format, role="worker")
        os.nice(settings.worker_nice)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, tracing(settings, "worker"):
            runner.run(run_until_signalled(settings))

    return Child("worker", run, patience_s=WORKER_PATIENCE_S)


class _Watch:
    """Looks after the database, and says once when the first request is answered."""

    def __init__(
        self, settings: Settings, server: EmbeddedPostgres | None, begun: float, on_ready: Callable[[], None] | None
    ) -> None:
        self._settings = settings
        self._server = server
        self._begun = begun
        self._on_ready = on_ready
        self._ready = False

    def __call__(self) -> bool:
        self._keep_database()
        if not self._ready and _answers(self._settings):
            self._ready = True
            systemd.notify("READY=1")
            took = time.perf_counter() - self._begun
            sys.stdout.write(f"Malha answers at {self._settings.address} (started in {took:.1f} s; Ctrl-C stops it)\n")
            sys.stdout.flush()
            if self._on_ready is not None:
                self._on_ready()
        return self._ready

    def _keep_database(self) -> None:
        """Have the embedded database run: one of our own that died, and one whose owner, another command, has ended."""
        server = self._server
        if server is None:
            return
        if server.running:
            server.bound_log()
            return
        try:
            if server.owned:
                log.error("database_died")
                server.restart()
            elif server.take_over():
                log.warning("database_taken_over")
        except (EmbeddedError, OSError) as error:
            log.error("database_not_restarted", error=str(error))  # noqa: TRY400 -- the sentence says it
            time.sleep(1.0)


def _answers(settings: Settings) -> bool:
    """Ask a web process whether it is alive."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 -- compared, not bound
    try:
        with socket.create_connection((host, settings.port), timeout=1.0) as asked:
            asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return asked.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
