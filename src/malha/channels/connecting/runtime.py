"""What the runtime works with, and how it makes what a connector is given."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import structlog

from malha.channels.connecting import access, configuring, failures, registry, writes
from malha.channels.connecting.access import Safe
from malha.channels.connecting.model import Linked
from malha.channels.connecting.wire import Repeatable, Wire
from malha.channels.contract import (
    AuthExpired,
    ConnectionRef,
    Connector,
    Ctx,
    FileSource,
    Limits,
    Paced,
    TokenRefresher,
)
from malha.channels.partners import keeping
from malha.platform import signing
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.outward import Kept, Outward
from malha.platform.settings import Settings

if TYPE_CHECKING:
    from malha.channels.partners.sftp import Sftp

log = structlog.get_logger(__name__)

T = TypeVar("T")
TIMEOUT_S = 20.0


class Runtime:
    """What one worker process has for all its connections. Cheap to make; opens nothing.

    With `keep`, HTTP connections stay open between requests: leave its `async with` block to close them.
    """

    def __init__(
        self,
        db: Database,
        settings: Settings,
        *,
        timeout_s: float = TIMEOUT_S,
        take_stock: Any = None,
        keep: bool = False,
    ) -> None:
        """`take_stock` (a `partners.filing.TakeStock`) takes the stock that partners state; without one it waits."""
        self.take_stock = take_stock
        self.db = db
        self.settings = settings
        self.keys = signing.keys_of(settings)
        self.outward = Outward(settings.outward_allow, timeout_s=timeout_s, limit=8 << 20)
        self._keeps = keep
        self._walked: dict[tuple[int, str], set[str | None]] = {}
        self._kept: list[Kept] = []
        self._way = self.way(self.outward)

    def way(self, outward: Outward) -> Outward | Kept:
        """Return how requests leave: over connections that stay open, where they do."""
        if not self._keeps:
            return outward
        self._kept.append(Kept(outward))
        return self._kept[-1]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for kept in self._kept:
            await kept.aclose()

    def walked(self, connection_id: int, stream: str, cursor: str | None) -> set[str | None]:
        """Return the cursors that a stream was at since something new came, over the turns of this process.

        `cursor` is where it is now: one that is not among them was moved there by somebody else, and begins anew.
        """
        walked = self._walked.setdefault((connection_id, stream), set())
        if cursor not in walked:
            walked.clear()
            walked.add(cursor)
        return walked

    def line(self, connection: Linked) -> "Line":
        """Return a connection ready to be used.

        Raises:
            UnknownConnector: its connector is not installed.
            SealBroken: its secrets were sealed with another key.
            AuthExpired: its configuration does not fit the connector any more, or the connector breaks down over it.
        """
        connector = registry.connector_of(connection.connector)
        try:
            config = msgspec.convert(connection.config, connector.config_model)
        except msgspec.ValidationError:
            (flaw, *_) = configuring.flaws_of(connector, connection.config)
            raise AuthExpired(failures.MISFIT.format(field=flaw.at or "config", what=flaw.text())) from None
        secrets = access.unseal(self.keys, connection.secrets)
        try:
            limits = connector.limits_for(config) if isinstance(connector, Paced) else connector.limits
            server = connector.server(config) if isinstance(connector, FileSource) else None
        except Exception as error:  # the defect of one connector is its connections' trouble, not the others'
            log.exception("connector_failed", connection=connection.code)
            why = f"{type(error).__name__}: {error}"
            raise AuthExpired(failures.BREAKS_DOWN.format(why=why)) from None
        wire = Wire(self.db, self._way, connection.id, limits, secrets.values())
        safe = Safe(self.db, self.keys, connection, secrets)
        files = None
        if server is not None:
            from malha.channels.partners.sftp import Sftp  # noqa: PLC0415 - heavy, see there

            kept = keeping.Kept(self.db, connection)
            files = Sftp(wire, self.outward, server, safe, kept.host_key, kept.note)
        ctx = Ctx(
            connection=ConnectionRef(connection.code, connection.connector, connection.channel, connection.currency),
            config=config,
            http=wire,
            access=safe,
            now=now,
            files=files,
        )
        if isinstance(connector, TokenRefresher):
            safe.renew = partial(connector.refresh, ctx)
        return Line(self.db, connection, connector, limits, ctx, safe, wire, files)


class Line:
    """One connection, its connector, and what that is given."""

    def __init__(
        self,
        db: Database,
        connection: Linked,
        connector: Connector,
        limits: Limits,
        ctx: Ctx,
        safe: Safe,
        wire: Wire,
        files: "Sftp | None" = None,
    ) -> None:
        self._db = db
        self.wire = wire
        self.connection = connection
        self.connector = connector
        self.limits = limits
        self.ctx = ctx
        self._safe = safe
        self._files = files

    @property
    def repeatable(self) -> Ctx:
        """Return the context for absolute statements: what is sent may be sent twice."""
        return msgspec.structs.replace(self.ctx, http=Repeatable(self.wire))

    @property
    def stays_open(self) -> bool:
        """Tell whether something stays open between calls, to be closed at their end."""
        return self._files is not None

    async def close(self) -> None:
        """End what stays open between calls, if anything does."""
        if self._files is not None:
            await self._files.close()

    def __repr__(self) -> str:
        return f"Line({self.connection.code})"

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the peer; where it does not know our token, renew it and ask once more. A second no breaks it.

        Raises:
            ChannelError: what the peer answered.
        """
        try:
            try:
                self._safe.begin()
                return await ask()
            except AuthExpired:
                if not self._safe.spoil():
                    raise
                return await ask()
        except AuthExpired as error:
            broken = {"id": self.connection.id, "version": self.connection.version, "why": error.why[:300]}
            async with self._db.transaction() as tx:
                await tx.execute(writes.BREAK, broken)
            raise
