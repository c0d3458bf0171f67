"""The peer as the tests need it, and what a connector is given for it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from malha.channels.connecting import rules, wire
from malha.channels.contract import (
    AuthExpired,
    Capability,
    ConnectionRef,
    Connector,
    Ctx,
    RawRequest,
    Reply,
    Tokens,
    Unsure,
)
from malha.platform.outward import Outward
from malha.testing.specs import Exchange, SpecGate

TIMEOUT_S = 1.5  # for an answer that does not come
PATIENCE_S = 30.0  # for any other: a machine with much to do is slow, and no test is to fail for it
PAGES = 200  # more than any peer of a test has


class Fault(StrEnum):
    """How the peer fails once. "Done" is what was asked for when the connection breaks."""

    CUT = "cut"  # not done, the connection is closed
    LOST = "lost"  # done, the connection is closed without an answer
    SILENT = "silent"  # done, and no answer for `PATIENCE_S`
    TRUNCATED = "truncated"  # done, half of the answer
    DRIP = "drip"  # done, the answer comes byte by byte, all of it within `PATIENCE_S`
    LIMITED = "limited"  # 429 with Retry-After: 7
    LIMITED_BARE = "limited_bare"  # 429 alone
    BROKEN = "broken"  # 500, not done
    BROKEN_HTML = "broken_html"  # 502 with a page, not done
    AWAY = "away"  # 503, not done
    UNKNOWN_US = "unknown_us"  # 401


class Operation(StrEnum):
    """What the peer is asked for when it fails."""

    ORDERS = "orders"
    ORDER = "order"
    STOCK = "stock"
    LEVELS = "levels"  # stock that is read
    PRICES = "prices"
    SHIPMENT = "shipment"
    CANCEL = "cancel"
    REFUND = "refund"
    DOCUMENT = "document"
    PRODUCTS = "products"  # variants that are read
    LISTING = "listing"  # a variant that is written
    ASK = "ask"  # of a logistics partner


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer shows it: `fields` by the names of the connector's `listing_fields`, those with a value."""

    active: bool
    fields: Mapping[str, str | Sequence[str]] = {}


class Sold(msgspec.Struct, frozen=True):
    """A variant of a product that the peer is to sell."""

    sku: str
    options: Mapping[str, str] = {}


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A product that the peer is to sell, with all that it says of itself; what is empty it does not have.

    `description` is a text, its paragraphs apart by an empty line; `category` names from the root on; `values` those of
    its options as the product itself lists them, where that is not what its variants have. Its variants have prices.
    """

    code: str
    name: str
    variants: Sequence[Sold]
    description: str = ""
    brand: str = ""
    category: Sequence[str] = ()
    attributes: Mapping[str, str] = {}
    pictures: Sequence[str] = ()
    values: Mapping[str, Sequence[str]] | None = None


class Rig(Protocol):
    """The peer. Methods of capabilities that the connector lacks are never called.

    Answers are waited for as long as they take, but where the peer was told to be silent or slow: for `TIMEOUT_S`, or
    the `timeout_s` of a peer that may take longer to do what it then does not answer. Where answers come as files,
    `files` is the way to them: a `FolderFiles`, say.
    """

    config: Mapping[str, Any]
    secrets: Mapping[str, str]
    allowed: Sequence[str]  # as MALHA_OUTWARD_ALLOW names it
    page: int  # orders of one page
    webhook_secret: str

    def fail(self, operation: Operation, fault: Fault) -> None:
        """Fail the next time this is asked for."""

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        """Make an order and return its id; those with one `at` changed at one moment.

        An odd one has a status, and a field, that no version of the connector knows.
        """
        ...

    async def change_order(self, id_: str) -> None:
        """Change an order: it is told again, with a greater version."""

    async def cancel_units(self, id_: str, units: int) -> None:
        """Cancel units of an order's first line at the peer, as its own staff does; the others stay."""

    async def give_back(self, id_: str, amount: int) -> None:
        """Give money of an order back at the peer, as its own staff does."""

    async def add_product(self, sku: str) -> None:
        """Have the peer sell a variant that it did not sell yet."""

    async def change_product(self, sku: str) -> None:
        """Change a variant, its name or price: it is told again."""

    async def offer(self, product: Offered) -> Offered:
        """Have the peer sell a product; one that it sells under this code is changed to it, nothing else is touched.

        Returns it as the peer has it by then, which may give pictures addresses of its own.

        Raises:
            NotImplementedError: the peer takes no such product.
        """
        ...

    async def shown(self, code: str) -> Sequence[Shown]:
        """Return all variants that the peer has under a code: more than one is a double."""
        ...

    async def asked(self) -> Sequence[str]:
        """Return what a partner was asked that arrived, once for each message that it takes for one."""
        ...

    async def answer_by_file(self, rows: Sequence[tuple[str, str, str]]) -> str:
        """Have the partner write, row by row, how much of a request left: request, SKU, quantity. Returns its name."""
        ...

    async def products_by_file(self, rows: Sequence[tuple[str, str]]) -> str:
        """Have the peer write a file of products: their codes and prices. Returns its name."""
        ...

    async def orders_by_file(self, rows: Sequence[tuple[str, str]]) -> str:
        """Have the peer write a file of orders of two lines: their numbers, and the units of the second."""
        ...

    async def told(self, operation: Operation) -> Sequence[str]:
        """Return what arrived of shipments (ours), cancels (orders), refunds (payments) or documents, once for each."""
        ...

    async def values(self, operation: Operation) -> Mapping[str, int]:
        """Return the stock or the prices that the peer has now, by code."""
        ...

    def refuse(self, code: str) -> None:
        """Refuse stock, prices and a listing of a code for good."""

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        """Return a message about an order as the peer would send it, signed at a moment."""
        ...

    def ping(self) -> RawRequest | None:
        """Return what the peer sends to try the address; None if it never does."""
        ...


class Direct:
    """`contract.Http` without a budget: straight to the peer."""

    def __init__(self, rig: Rig, secrets: Sequence[str], gate: SpecGate | None = None) -> None:
        short = getattr(rig, "timeout_s", TIMEOUT_S)
        self._short = Outward(tuple(rig.allowed), timeout_s=short)
        self._patient = Outward(tuple(rig.allowed), timeout_s=max(short, PATIENCE_S))
        self._secrets = secrets
        self._gate = gate
        self.silences = 0  # that the peer was told of and that did not come yet
        self.sent = 0
        self.left: float | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        operation: str = "",  # noqa: ARG002 -- for the log of the runtime
    ) -> Reply:
        """Send one request; see `contract.Http`."""
        self.sent += 1
        clean = lambda text: rules.redacted(text, self._secrets)  # noqa: E731
        short = self.silences > 0
        outward = self._short if short else self._patient
        reply, error = await wire.ask(outward, method, url, headers, body, clean)
        if short and reply is None and isinstance(error, Unsure):
            self.silences -= 1
        if self._gate is not None:
            known = {name.lower(): value for name, value in (headers or {}).items()}
            asked = Exchange(method=method, url=url, headers=known, body=body)
            if reply is not None:
                asked = msgspec.structs.replace(asked, status=reply.status, answer=reply.body)
            if flaws := self._gate.check(asked):
                raise AssertionError("the specification has it otherwise: " + "; ".join(flaws))
        if error is not None:
            raise error
        assert reply is not None
        return reply

    async def learned(self, left: float) -> None:
        """Note what the peer says is left; nobody waits here."""
        self.left = left


class Given:
    """`contract.Access` with what the rig says; a refresh token is used up as the peer wants it."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets
        self.tokens: Tokens | None = None
        self.renew: Callable[[str], Any] | None = None

    def secret(self, name: str) -> str:
        """Return a secret."""
        if not self._secrets.get(name):
            raise AuthExpired(f"the secret {name} was not entered")
        return self._secrets[name]

    async def token(self) -> str:
        """Return an access token, renewed the first time."""
        if self.tokens is None:
            if self.renew is None:
                raise AuthExpired("no token")
            self.tokens = await self.renew(self._secrets.get("refresh_token", ""))
        return self.tokens.access


def context(connector: Connector, rig: Rig, gate: SpecGate | None = None) -> Ctx:
    """Return what a connector is given, for a rig; with a gate every exchange is held against its document."""
    secrets = dict(rig.secrets)
    given = Given(secrets)
    ctx = Ctx(
        connection=ConnectionRef("kit", connector.key, "web"),
        config=msgspec.convert(dict(rig.config), connector.config_model),
        http=Direct(rig, [*secrets.values()], gate),
        access=given,
        now=lambda: datetime.now(UTC),
        files=getattr(rig, "files", None),
    )
    if Capability.TOKENS in connector.capabilities:
        given.renew = lambda token: connector.refresh(ctx, token)  # type: ignore[attr-defined]
    return ctx


DONE_MAYBE = (Fault.LOST, Fault.SILENT, Fault.TRUNCATED)
NOT_DONE = (Fault.CUT, Fault.LIMITED, Fault.LIMITED_BARE, Fault.BROKEN, Fault.BROKEN_HTML, Fault.AWAY)
