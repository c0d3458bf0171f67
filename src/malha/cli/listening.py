"""Where web processes accept connections: sockets that outlive them.

The parent binds one socket for each web process (SO_REUSEPORT: the kernel spreads connections evenly), or takes those
it was started with (systemd's socket units). A web process only accepts from its socket. When it is told to end or
dies, connections that nobody has accepted yet wait for the next process instead of being reset.

A web process that is told to end accepts nothing more at once, and for a moment answers what comes on the connections
it has with `Connection: close`: clients who keep connections open leave by themselves. Granian's own stop would close
those on which a request is on its way.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import Any

from granian._granian import SocketHolder
from granian.server.embed import Server
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from malha.platform.settings import Settings, SettingsError
from malha.platform.systemd import inherited_sockets

LEAVING_S = 1.0  # for requests that are on their way, and for clients to hear that they shall not send more


class Listeners:
    """The sockets of a server: one for each web process, or fewer that they share."""

    def __init__(self, sockets: Sequence[socket.socket], backlog: int, *, inherited: bool) -> None:
        self.inherited = inherited
        self.backlog = backlog
        self._sockets = list(sockets)

    def open(self) -> None:
        """Let connections in: from here on they wait for a web process."""
        for listening in self._sockets:
            listening.listen(self.backlog)

    def of(self, number: int) -> socket.socket:
        """Return the socket of web process `number` (from 1), and close the others in this process."""
        own = self._sockets[(number - 1) % len(self._sockets)]
        self.close(but=own)
        return own

    def close(self, *, but: socket.socket | None = None) -> None:
        """Close them in this process; connections come in as long as another one keeps them."""
        for listening in self._sockets:
            if listening is not but:
                listening.close()


@contextlib.contextmanager
def listeners(settings: Settings) -> Iterator[Listeners]:
    """Give the sockets, bound but not listening yet, for as long as the block lasts.

    Raises:
        SettingsError: somebody else has the address, or it is none of this machine's.
    """
    given = inherited_sockets()
    if len(given) > settings.web_workers:
        raise SettingsError(
            f"{len(given)} listening sockets were passed for {settings.web_workers} web process(es). Pass one, or set "
            f"MALHA_WEB_WORKERS to {len(given)} or more."
        )
    found = Listeners(given or _bind(settings), settings.backlog, inherited=bool(given))
    try:
        yield found
    finally:
        found.close()


def refuse_taken(settings: Settings) -> None:
    """Refuse an address that cannot be had, for commands that work for a while before they listen.

    Raises:
        SettingsError: somebody else has the address, or it is none of this machine's.
    """
    given = inherited_sockets()
    for bound in [] if given else _bind(settings):
        bound.close()
    for passed in given:
        passed.detach()  # it is the server's, later


def _bind(settings: Settings) -> list[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound: list[socket.socket] = []
    try:
        # First without SO_REUSEPORT: with it, two servers would silently share a port.
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
        for _ in range(settings.web_workers):
            listening = socket.socket(family)
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind((settings.host, settings.port))
    except OSError as error:
        for listening in bound:
            listening.close()
        if error.errno not in {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES} and not isinstance(
            error, socket.gaierror
        ):
            raise
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
        mend = {
            errno.EADDRINUSE: "Stop the other program, or choose another address with --port or MALHA_PORT.",
            errno.EACCES: "Choose another port, 1024 or more, with --port or MALHA_PORT.",
        }.get(error.errno or 0, "Name an address of this machine, like 0.0.0.0 or 127.0.0.1, with MALHA_HOST.")
        raise SettingsError(f"Malha cannot listen on {settings.host} port {settings.port}: {reason}. {mend}") from None
    return bound


class SocketServer(Server):
    """Granian on a socket that is there already; it closes it in this process when it stops accepting."""

    def __init__(self, application: ASGIApp, listening: socket.socket, **options: Any) -> None:
        super().__init__(self._call, **options)
        self._application = application
        self._listening = listening
        self._inode = os.fstat(listening.fileno()).st_ino
        self._leaving = False

    def _call(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._application(scope, receive, _last_on_its_connection(send) if self._leaving else send)

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop: accept nothing more, have clients go elsewhere, then finish what is being answered."""
        self._leaving = True
        _replace_by_silence(self._inode)
        loop.call_later(LEAVING_S, self.stop)

    def _init_shared_socket(self) -> None:
        self._listening.setblocking(False)
        holder = SocketHolder(self._listening.detach(), False, self.backlog)  # type: ignore[call-arg]
        self._ssp, self._shd, self._sfd = None, holder, holder.get_fd()  # type: ignore[assignment]


def _replace_by_silence(inode: int) -> None:
    """Put a socket that nobody can connect to in the place of every descriptor of a listening one.

    Granian offers no way to stop accepting without closing what was accepted. Other processes keep the real socket.
    """
    with socket.socket(socket.AF_UNIX) as silent:
        silent.setblocking(False)
        silent.bind("")  # a name that the kernel makes up
        silent.listen(1)
        for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            with contextlib.suppress(OSError):
                if os.fstat(number).st_ino == inode and stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.dup2(silent.fileno(), number, inheritable=False)


def _last_on_its_connection(send: Send) -> Send:
    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return closing
