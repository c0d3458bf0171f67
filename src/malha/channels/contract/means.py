"""What a connector is given: the way to its peer, secrets, files, and what it says of its health."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Protocol

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """What a peer answered. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Asks the peer, within its budget; every call is written to the connection's log, without secrets."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        operation: str = "",
    ) -> Reply:
        """Send one request and return its answer.

        That is one below 400, or 404, 409, 410, 412 and 422, whose meaning the connector knows. `operation` is what the
        log calls it.

        Raises:
            RateLimited: 429.
            AuthExpired: 401.
            Retryable: the peer was not reached, is away (503), or may not be asked now.
            Unsure: the request was sent and no whole answer came, or 408 or a 5xx after which it may have been done.
            Invalid: any other 4xx.
        """
        ...

    async def learned(self, left: float) -> None:
        """Tell the budget how many more such requests the peer takes now, where it says so in its own words.

        What it says in a usual header is read without being told. Fewer than thought is believed, more is not.
        """
        ...


class Access(Protocol):
    """The secrets of a connection, by the names that the connector's `secrets` says; never written anywhere."""

    def secret(self, name: str) -> str:
        """Return a secret.

        Raises:
            AuthExpired: none of this name was entered.
        """
        ...

    async def token(self) -> str:
        """Return an access token that is still good, renewed if need be: once, however many ask.

        Raises:
            AuthExpired: it cannot be renewed.
        """
        ...


class ConnectionRef(msgspec.Struct, frozen=True):
    """Which connection this is about."""

    code: str
    connector: str
    channel: str
    currency: str = "BRL"


class FileServer(msgspec.Struct, frozen=True):
    """An SFTP server; the secrets `password` or `private_key` (and `passphrase`) of the connection open it."""

    host: str
    user: str
    port: int = 22


class RemoteFile(msgspec.Struct, frozen=True):
    """A file in a folder of a server; `modified` is in seconds of its clock."""

    name: str
    size: int
    modified: int


class Files(Protocol):
    """Reads and writes files at the peer, within its budget; every call is written to the connection's log.

    Every method raises `Retryable` where the server is away, `AuthExpired` where it does not know us or is not the
    one that was trusted, and `Invalid` where it refuses.
    """

    async def list(self, folder: str) -> Sequence[RemoteFile]:
        """Return the plain files of a folder by name.

        Raises:
            Missing: there is no such folder.
        """
        ...

    async def read(self, path: str, into: BinaryIO, *, most: int) -> None:
        """Read a file into another one, piece by piece.

        Raises:
            Missing: it is gone.
            Invalid: it is larger than `most` bytes.
        """
        ...

    async def write(self, folder: str, name: str, body: bytes) -> None:
        """Write a file under a hidden name, then give it its own. One that is there already is left as it is.

        Raises:
            Unsure: it was given its name, or not.
        """
        ...

    async def wrote(self, folder: str, name: str) -> bool:
        """Tell whether `write` gave a file its name, though somebody may have taken it away since."""
        ...

    async def move(self, path: str, to: str) -> None:
        """Give a file another place; one that is gone is gone. The folder is made if it is not there."""
        ...

    async def remove(self, path: str) -> None:
        """Remove a file; one that is gone is gone."""
        ...


class Ctx(msgspec.Struct, frozen=True):
    """What a connector works with. `config` is one of its `config_model`; `files` is for those that speak by files."""

    connection: ConnectionRef
    config: Any
    http: Http
    access: Access
    now: Callable[[], datetime]
    files: Files | None = None


class Health(msgspec.Struct, frozen=True):
    """What a check found; `says` is for people, in the peer's or the connector's words."""

    ok: bool
    says: str = ""
    facts: Mapping[str, str] = {}
