"""Files at an SFTP server that somebody else names: judged like any address, its key pinned by a person.

A file is written under a hidden name, a mark is left that says "about to be named", and then it is given its name. So
whatever is cut off, and whatever the partner took away meanwhile, tells later whether the file was ever to be seen: the
mark is there and the hidden file is not.

Imported where a partner has such a server, and nowhere else: the library takes a quarter of a second and some megabytes
that every process would pay for.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from stat import S_ISREG
from typing import Any, BinaryIO, TypeVar, cast

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN

from malha.channels.connecting import failures
from malha.channels.connecting.wire import Wire
from malha.channels.contract import (
    Access,
    AuthExpired,
    ChannelError,
    FileServer,
    Invalid,
    Missing,
    RemoteFile,
    Retryable,
    Unsure,
)
from malha.channels.partners.model import HostKey
from malha.platform.outward import Outward, OutwardRefused, OutwardUnreachable

T = TypeVar("T")
CONNECT_S = 15.0
CALL_S = 60.0
PIECE = 1 << 18
MOST_NAMES = 20_000
TEMPORARY, MARK = ".tmp", ".sent"
# What asyncssh raises when the connection is gone, is not made, or says nothing.
AWAY = (
    OSError,
    TimeoutError,
    asyncssh.ConnectionLost,
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPNoConnection,
    asyncssh.SFTPConnectionLost,
)
GONE = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)


async def host_key(outward: Outward, server: FileServer) -> HostKey:
    """Return the key that a server shows; nobody is logged in.

    Raises:
        ChannelError: it cannot be reached, or may not be asked.
    """
    address = await _judged(outward, server)
    try:
        async with asyncio.timeout(CONNECT_S):
            key = await asyncssh.get_server_host_key(address, server.port, config=None)
    except (*AWAY, asyncssh.Error) as error:
        raise Retryable(_said(error)) from None
    if key is None:
        raise Retryable(failures.NO_KEY.format(host=server.host))
    return HostKey(f"{server.host}:{server.port}", key.export_public_key().decode().strip(), key.get_fingerprint())


async def _judged(outward: Outward, server: FileServer) -> str:
    host = f"[{server.host}]" if ":" in server.host else server.host
    try:
        return (await outward.judge(f"https://{host}:{server.port}/")).address
    except OutwardRefused as refused:
        raise Invalid(str(refused)) from None
    except OutwardUnreachable as away:
        raise Retryable(str(away)) from None


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]


class Sftp:
    """The `contract.Files` of one connection. It connects when it is first asked; `close` ends it."""

    def __init__(
        self,
        wire: Wire,
        outward: Outward,
        server: FileServer,
        access: Access,
        trusted: Callable[[], Awaitable[HostKey | None]],
        wrote: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        """`trusted` returns the key a person trusted; `wrote` is told of each file that goes out, before it goes."""
        self._wire = wire
        self._outward = outward
        self._server = server
        self._access = access
        self._trusted = trusted
        self._wrote = wrote
        self._lock = asyncio.Lock()
        self._link: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self._real: dict[str, str] = {}  # paths as they are shown, where the server has them in another encoding

    async def close(self) -> None:
        """End the connection, if there is one."""
        link, self._link, self._sftp = self._link, None, None
        if link is not None:
            link.abort()

    # --- contract.Files ---

    async def list(self, folder: str) -> Sequence[RemoteFile]:
        """Return the plain files of a folder; see `contract.Files`."""

        async def ask(sftp: asyncssh.SFTPClient) -> list[RemoteFile]:
            found: dict[str, RemoteFile] = {}
            async for entry in sftp.scandir(folder):
                if _plain(entry.attrs) and len(found) < MOST_NAMES:
                    size, at = entry.attrs.size or 0, entry.attrs.mtime or 0
                    real = str(entry.filename)
                    name = _shown(real)
                    if name != real:
                        self._real[f"{folder}/{name}"] = f"{folder}/{real}"
                    found[name] = RemoteFile(name, size, int(at))
            return sorted(found.values(), key=lambda f: f.name)

        return await self._call("LIST", folder, ask)

    async def read(self, path: str, into: BinaryIO, *, most: int) -> None:
        """Read a file into another one; see `contract.Files`."""

        async def ask(sftp: asyncssh.SFTPClient) -> None:
            into.seek(0)
            into.truncate()
            read = 0
            async with sftp.open(self._real.get(path, path), "rb") as file:
                while piece := cast("bytes", await file.read(PIECE)):
                    read += into.write(piece)
                    if read > most:
                        raise Invalid(failures.TOO_LARGE.format(most=most), code="too_large")

        await self._call("READ", path, ask)

    async def write(self, folder: str, name: str, body: bytes) -> None:
        """Write a file and name it; see `contract.Files`."""
        await self._wrote(name, body)
        named = False

        async def ask(sftp: asyncssh.SFTPClient) -> None:
            nonlocal named
            path, temporary, mark = _paths(folder, name)
            if await sftp.exists(path):
                return
            await _folder(sftp, folder)
            async with sftp.open(temporary, "wb") as file:
                await file.write(body)
            async with sftp.open(mark, "wb"):
                pass
            named = True
            try:
                await sftp.rename(temporary, path)
            except asyncssh.SFTPFailure:
                if not await sftp.exists(path):
                    raise
                await sftp.remove(temporary)

        try:
            await self._call("WRITE", f"{folder}/{name}", ask)
        except Retryable as error:
            if named:
                raise Unsure(error.why) from None
            raise

    async def wrote(self, folder: str, name: str) -> bool:
        """Tell whether a file was given its name; see `contract.Files`."""

        async def ask(sftp: asyncssh.SFTPClient) -> bool:
            path, temporary, mark = _paths(folder, name)
            if await sftp.exists(path):
                return True
            return await sftp.exists(mark) and not await sftp.exists(temporary)

        return await self._call("LOOK", f"{folder}/{name}", ask)

    async def move(self, path: str, to: str) -> None:
        """Give a file another place; see `contract.Files`."""
        real = self._real.get(path, path)

        async def ask(sftp: asyncssh.SFTPClient) -> None:
            await _folder(sftp, to.rpartition("/")[0])
            try:
                await sftp.rename(real, to)
            except GONE:
                return
            except asyncssh.SFTPFailure:
                # Moved before, and put there once more: the second is the first, or it would have another number.
                if not await sftp.exists(to):
                    raise
                with contextlib.suppress(*GONE):  # it was moved, and we did not hear of it
                    await sftp.remove(real)

        await self._call("MOVE", path, ask)

    async def remove(self, path: str) -> None:
        """Remove a file; see `contract.Files`."""

        async def ask(sftp: asyncssh.SFTPClient) -> None:
            try:
                await sftp.remove(self._real.get(path, path))
            except GONE:
                return

        await self._call("REMOVE", path, ask)

    # --- the connection ---

    async def _call(self, method: str, path: str, ask: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        async def within() -> T:
            sftp = await self._connected()
            try:
                async with asyncio.timeout(CALL_S):
                    return await ask(sftp)
            except ChannelError:
                raise
            except AWAY as error:
                await self.close()
                raise Retryable(_said(error)) from None
            except GONE as error:
                raise Missing(f"{path}: {_said(error)}") from None
            except asyncssh.SFTPError as error:
                raise Invalid(f"{path}: {_said(error)}") from None
            except asyncssh.Error as error:
                await self.close()
                raise Retryable(_said(error)) from None

        return await self._wire.counted(method, path, "files", within)

    async def _connected(self) -> asyncssh.SFTPClient:
        async with self._lock:
            if self._sftp is None or self._link is None or self._link.is_closed():
                await self.close()
                self._link = await self._connect()
                try:
                    # One name in another encoding must not keep the others from being listed.
                    self._sftp = await self._link.start_sftp_client(path_errors="surrogateescape")
                except (*AWAY, asyncssh.Error) as error:
                    await self.close()
                    raise Retryable(failures.NO_FILES.format(host=self._server.host, why=_said(error))) from None
            return self._sftp

    async def _connect(self) -> asyncssh.SSHClientConnection:
        server = self._server
        trusted = await self._trusted()
        name = f"{server.host}:{server.port}"
        if trusted is None or trusted.server != name:
            raise AuthExpired(failures.KEY_NOT_TRUSTED.format(host=name))
        address = await _judged(self._outward, server)
        known: Any = ([asyncssh.import_public_key(trusted.public_key)], [], [])
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncssh.connect(
                    address, server.port, config=None, username=server.user, known_hosts=known, **self._credentials()
                )
        except asyncssh.HostKeyNotVerifiable:
            raise AuthExpired(failures.OTHER_KEY.format(host=name)) from None
        except asyncssh.PermissionDenied as error:
            raise AuthExpired(failures.LOGIN_REFUSED.format(host=name, why=_said(error))) from None
        except (*AWAY, asyncssh.Error) as error:
            raise Retryable(failures.UNREACHABLE.format(host=name, answer=_said(error))) from None

    def _credentials(self) -> dict[str, Any]:
        """Return how to log in: nothing of the machine (agent, key files, configuration) is ever offered."""
        common: dict[str, Any] = {"agent_path": None, "gss_host": None, "keepalive_interval": 15}
        key = _optional(self._access, "private_key")
        if key is None:
            return {**common, "client_keys": None, "password": self._access.secret("password")}
        try:
            read = asyncssh.import_private_key(key, passphrase=_optional(self._access, "passphrase"))
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise AuthExpired(failures.PRIVATE_KEY_UNREADABLE.format(why=_said(error))) from None
        return {**common, "client_keys": [read], "password": _optional(self._access, "password")}


def _optional(access: Access, name: str) -> str | None:
    try:
        return access.secret(name)
    except AuthExpired:
        return None


def _paths(folder: str, name: str) -> tuple[str, str, str]:
    return f"{folder}/{name}", f"{folder}/.{name}{TEMPORARY}", f"{folder}/.{name}{MARK}"


def _shown(name: str) -> str:
    """Return a file's name as text: what is no UTF-8 is read as Latin-1, as old systems write it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode(errors="surrogateescape").decode("latin-1")
    return name


def _plain(attrs: asyncssh.SFTPAttrs) -> bool:
    if attrs.type not in {None, FILEXFER_TYPE_UNKNOWN}:
        return bool(attrs.type == FILEXFER_TYPE_REGULAR)
    return attrs.permissions is None or S_ISREG(attrs.permissions)


async def _folder(sftp: asyncssh.SFTPClient, folder: str) -> None:
    if folder and not await sftp.isdir(folder):
        await sftp.makedirs(folder, exist_ok=True)
