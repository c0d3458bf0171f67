"""The conformance kit: what every connector must do right, as tests that a connector's author inherits.

    class TestMine(ConnectorContract):
        connector = MyConnector()

        @pytest.fixture
        async def rig(self):
            async with my_peer() as peer:
                yield MyRig(peer)

A `Rig` is the peer as the tests need it: the real product, the vendor's simulator or a server of your own that keeps
state and fails on cue. What a connector does not say it can do is skipped. Needs pytest and pytest-asyncio, and no
database: queues, budgets and locks are the runtime's, and proved with it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Protocol
from zoneinfo import ZoneInfo

import msgspec
import pytest

from malha.channels.connecting import registry, rules, wire
from malha.channels.contract import (
    AuthExpired,
    CancelPush,
    Capability,
    ChannelError,
    ConnectionRef,
    Connector,
    Ctx,
    Document,
    DocumentKind,
    DocumentLine,
    ExtAddress,
    ExtBuyer,
    ExtLine,
    ExtOrder,
    ExtState,
    InboxEvent,
    Ok,
    PaidState,
    Pending,
    Ping,
    PricePush,
    RateLimited,
    RawRequest,
    RefundPush,
    RefundState,
    Rejected,
    Reply,
    Result,
    Retryable,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
    Tokens,
    Trust,
    Unknown,
    Unsure,
    Verified,
)
from malha.platform.outward import Outward
from malha.testing.specs import Exchange, SpecGate

TIMEOUT_S = 1.5
PAGES = 200  # more than any peer of a test has


class Fault(StrEnum):
    """How the peer fails once. "Done" is what was asked for when the connection breaks."""

    CUT = "cut"  # not done, the connection is closed
    LOST = "lost"  # done, the connection is closed without an answer
    SILENT = "silent"  # done, and no answer for longer than `TIMEOUT_S`
    TRUNCATED = "truncated"  # done, half of the answer
    DRIP = "drip"  # done, the answer comes byte by byte but within `TIMEOUT_S` after some
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


class Rig(Protocol):
    """The peer. Methods of capabilities that the connector lacks are never called.

    A peer that may take longer than `TIMEOUT_S` for an answer says how long in `timeout_s`.
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

    async def told(self, operation: Operation) -> Sequence[str]:
        """Return what arrived of shipments (ours), cancels (orders), refunds (payments) or documents, once for each."""
        ...

    async def values(self, operation: Operation) -> Mapping[str, int]:
        """Return the stock or the prices that the peer has now, by code."""
        ...

    def refuse(self, code: str) -> None:
        """Refuse stock and prices of a code for good."""

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        """Return a message about an order as the peer would send it, signed at a moment."""
        ...

    def ping(self) -> RawRequest | None:
        """Return what the peer sends to try the address; None if it never does."""
        ...


class Direct:
    """`contract.Http` without a budget: straight to the peer."""

    def __init__(self, outward: Outward, secrets: Sequence[str], gate: SpecGate | None = None) -> None:
        self._outward = outward
        self._secrets = secrets
        self._gate = gate
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
        reply, error = await wire.ask(self._outward, method, url, headers, body, clean)
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
        http=Direct(
            Outward(tuple(rig.allowed), timeout_s=getattr(rig, "timeout_s", TIMEOUT_S)), [*secrets.values()], gate
        ),
        access=given,
        now=lambda: datetime.now(UTC),
    )
    if Capability.TOKENS in connector.capabilities:
        given.renew = lambda token: connector.refresh(ctx, token)  # type: ignore[attr-defined]
    return ctx


class Told(msgspec.Struct, frozen=True):
    """An order as what is told of it names its parts: as the connector read them, where it reads orders."""

    order: str
    line: ShippedLine = ShippedLine("A", 1, "l1")
    payment: str = "p1"


def _shipment(told: Told, n: int = 1) -> ShipmentPush:
    order, lines = told.order, [told.line]
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    return ShipmentPush(order=order, shipment=f"parcel-{n}", lines=lines, carrier="C", tracking="BR1", shipped_at=at)


def _stock(code: str, quantity: int, version: int) -> StockUpdate:
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    return StockUpdate(sku=code, code=code, quantity=quantity, version=version, changed_at=at)


def _price(code: str, price: int, version: int, currency: str = "BRL") -> PricePush:
    return PricePush(sku=code, code=code, price=price, currency=currency, version=version)


TOLD_ONCE = {
    Operation.SHIPMENT: Capability.SHIPMENTS,
    Operation.CANCEL: Capability.CANCELS,
    Operation.REFUND: Capability.CANCELS,
    Operation.DOCUMENT: Capability.DOCUMENTS,
}
CPF = "52998224725"  # of nobody


def _document(total: int = 2_690, **more: Any) -> Document:
    """Two of A at 9.99 with 8.92 for freight and 2.00 off, as a sale; or what `more` says."""
    asked: dict[str, Any] = {
        "kind": DocumentKind.SALE,
        "number": "1001",
        "order": "1001",
        "reference": "W-1",
        "channel": "web",
        "order_day": "2026-11-27",
        "day": "2026-11-27",
        "currency": "BRL",
        "total": total,
        "lines": [DocumentLine(sku="A", code="A", quantity=2, unit_price=999, name="Ware A")],
        "freight": 892,
        "adjustment": -200,
        "party": ExtBuyer(name="Maria da Silva", document=CPF, email="maria@example.com"),
        "ship_to": ExtAddress(postal_code="01310100", street="Avenida Paulista", number="1", city="SP", state="SP"),
    }
    return Document(**{**asked, **more})


DONE_MAYBE = (Fault.LOST, Fault.SILENT, Fault.TRUNCATED)
NOT_DONE = (Fault.CUT, Fault.LIMITED, Fault.LIMITED_BARE, Fault.BROKEN, Fault.BROKEN_HTML, Fault.AWAY)


@pytest.mark.asyncio
class ConnectorContract:
    """What every connector must do right. Inherit it, set `connector`, and give a fixture `rig`."""

    connector: ClassVar[Any]
    spec: ClassVar[SpecGate | None] = None  # the vendor's document, where there is one: every exchange must fit it

    @pytest.fixture
    def rig(self) -> Rig:
        """Return the peer; a connector's tests have their own."""
        raise NotImplementedError("give a fixture `rig`")

    def needs(self, *capabilities: Capability) -> None:
        """Skip the test where the connector does not say it can do this."""
        lacking = sorted(c.value for c in set(capabilities) - set(self.connector.capabilities))
        if lacking:
            pytest.skip(f"{self.connector.key} has no {', '.join(lacking)}")

    # --- what it says of itself ---

    async def test_it_keeps_what_it_says_of_itself(self) -> None:
        """It has the methods of its capabilities, its configuration has a JSON Schema, its limits are usable."""
        assert list(registry.flaws_of(self.connector)) == []
        assert msgspec.json.schema(self.connector.config_model)
        limits = self.connector.limits
        assert min(limits.rate, limits.burst, limits.in_flight, limits.batch) > 0
        assert self.connector.capabilities

    async def test_its_specification_refuses_what_is_spoilt(self) -> None:
        """A gate that takes everything proves nothing: controls are demanded, and waivers have reasons."""
        if self.spec is None:
            pytest.skip("no document is named")
        assert self.spec.prove() == []

    async def test_a_check_says_yes_and_with_wrong_secrets_no(self, rig: Rig) -> None:
        """A check proves address and secrets."""
        assert (await self.connector.check(context(self.connector, rig, self.spec))).ok
        wrong = dict.fromkeys(rig.secrets, "wrong")
        other = msgspec.structs.replace(context(self.connector, rig, self.spec), access=Given(wrong))
        with pytest.raises(ChannelError):
            health = await self.connector.check(other)
            if not health.ok:
                raise AuthExpired(health.says)

    # --- reading orders ---

    async def read(self, ctx: Ctx, cursor: str | None = None) -> tuple[list[ExtOrder], str | None]:
        """Read all there is after a cursor, as the runtime does: again where the peer fails."""
        found: list[ExtOrder] = []
        for _ in range(PAGES):
            try:
                page = await self.connector.pull_orders(ctx, cursor, datetime(2020, 1, 1, tzinfo=UTC))
            except (Retryable, Unsure):
                continue
            found += page.items
            assert page.cursor is not None, "a page says where to go on"
            if page.more:
                assert page.cursor != cursor, "a page that promises more moves the cursor"
            cursor = page.cursor
            if not page.more:
                return found, cursor
        pytest.fail("the pages have no end")

    @pytest.mark.parametrize("extra", [-1, 0, 1])
    @pytest.mark.parametrize("pages", [0, 1, 3])
    async def test_every_order_is_read_once_wherever_a_page_ends(self, rig: Rig, pages: int, extra: int) -> None:
        """0, 1, page - 1, page, page + 1 orders, and several pages; read on from the end nothing is there."""
        self.needs(Capability.ORDERS)
        count = max(0, pages * rig.page + extra)
        made = [await rig.add_order() for _ in range(count)]
        ctx = context(self.connector, rig, self.spec)
        found, cursor = await self.read(ctx)
        assert sorted(o.id for o in found) == sorted(made)
        assert await self.read(ctx, cursor) == ([], cursor)
        late = await rig.add_order()
        again, _ = await self.read(ctx, cursor)
        assert late in {o.id for o in again}

    async def test_orders_of_one_moment_are_not_torn_apart(self, rig: Rig) -> None:
        """More orders than fit a page changed at the same moment: none is passed over."""
        self.needs(Capability.ORDERS)
        made = {await rig.add_order(at=1_000) for _ in range(2 * rig.page + 1)}
        found, _ = await self.read(context(self.connector, rig, self.spec))
        assert {o.id for o in found} == made

    async def test_an_order_that_changes_while_pages_are_read_is_told_again(self, rig: Rig) -> None:
        """Its newest version is among what is read, and none of the others is lost."""
        self.needs(Capability.ORDERS)
        made = [await rig.add_order() for _ in range(2 * rig.page)]
        ctx = context(self.connector, rig, self.spec)
        page = await self.connector.pull_orders(ctx, None, None)
        await rig.change_order(made[0])
        rest, _ = await self.read(ctx, page.cursor)
        both = [*page.items, *rest]
        assert {o.id for o in both} == set(made)
        versions = [o.version for o in both if o.id == made[0]]
        now = await self.connector.get_order(ctx, made[0])
        assert now.version == max(versions)
        assert now.version > min(versions) or len(versions) == 1

    @pytest.mark.parametrize("fault", [*NOT_DONE, *DONE_MAYBE])
    async def test_reading_survives_every_failure(self, rig: Rig, fault: Fault) -> None:
        """A failed page is an error of the contract, and read again nothing is missing or doubled."""
        self.needs(Capability.ORDERS)
        made = [await rig.add_order() for _ in range(rig.page + 1)]
        ctx = context(self.connector, rig, self.spec)
        rig.fail(Operation.ORDERS, fault)
        with pytest.raises((Retryable, Unsure)):
            await self.connector.pull_orders(ctx, None, None)
        rig.fail(Operation.ORDERS, fault)
        found, _ = await self.read(ctx)
        assert sorted(o.id for o in found) == sorted(made)

    async def test_what_nobody_knows_is_not_guessed(self, rig: Rig) -> None:
        """An unknown status is said to be unknown, unknown fields are passed over, and other orders are read."""
        self.needs(Capability.ORDERS)
        odd, plain = await rig.add_order(odd=True), await rig.add_order()
        ctx = context(self.connector, rig, self.spec)
        found = {o.id: o for o in (await self.read(ctx))[0]}
        assert found[plain].state is ExtState.OPEN
        strange = found[odd]
        assert strange.state is ExtState.UNKNOWN or any(p.state is PaidState.UNKNOWN for p in strange.payments)

    async def test_orders_are_whole_and_their_money_is_in_minor_units(self, rig: Rig) -> None:
        """Lines, currency, an instant with a zone; all money whole numbers."""
        self.needs(Capability.ORDERS)
        id_ = await rig.add_order()
        order = await self.connector.get_order(context(self.connector, rig, self.spec), id_)
        assert order.id == id_
        assert len(order.currency) == 3
        assert order.placed_at.tzinfo is not None
        assert order.lines
        amounts = [order.shipping, order.discount, *(p.amount for p in order.payments)]
        amounts += [amount for line in order.lines for amount in (line.unit_price, line.discount)]
        assert all(type(amount) is int for amount in amounts)
        assert all(isinstance(line, ExtLine) and line.quantity > 0 for line in order.lines)

    async def test_an_order_that_is_not_there_is_missing(self, rig: Rig) -> None:
        """It is said so, and taken for no failure of the peer."""
        self.needs(Capability.ORDERS)
        with pytest.raises(ChannelError) as caught:
            await self.connector.get_order(context(self.connector, rig, self.spec), "0-never-there")
        assert type(caught.value).__name__ == "Missing"

    async def taken_back(self, rig: Rig, act: str, id_: str, *given: int) -> None:
        """Have the peer take something back; skip the test where it cannot, or the rig does not know how."""
        do = getattr(rig, act, None)
        if do is None:
            pytest.skip(f"the rig has no {act}")
        await do(id_, *given)

    async def test_what_the_peer_cancelled_is_counted_on_lines_that_stay_as_they_were_sold(self, rig: Rig) -> None:
        """Quantity, discount and total do not move: else the order would look changed, and wait for a person."""
        self.needs(Capability.ORDERS)
        id_ = await rig.add_order()
        ctx = context(self.connector, rig, self.spec)
        sold = await self.connector.get_order(ctx, id_)
        assert [line.cancelled for line in sold.lines] == [0] * len(sold.lines)
        await self.taken_back(rig, "cancel_units", id_, 1)
        left = await self.connector.get_order(ctx, id_)
        assert left.version > sold.version
        if left.state is ExtState.CANCELLED:  # its only unit
            return
        assert [line.cancelled for line in left.lines] == [1] + [0] * (len(sold.lines) - 1)
        assert [msgspec.structs.replace(line, cancelled=0) for line in left.lines] == list(sold.lines)
        assert (left.total, left.shipping, left.discount) == (sold.total, sold.shipping, sold.discount)

    async def test_what_the_peer_gave_back_is_told_with_one_name_for_ever(self, rig: Rig) -> None:
        """Each refund once, by an id that stays, with its amount in minor units and the payment it was of."""
        self.needs(Capability.ORDERS)
        id_ = await rig.add_order()
        ctx = context(self.connector, rig, self.spec)
        assert list((await self.connector.get_order(ctx, id_)).refunds) == []
        await self.taken_back(rig, "give_back", id_, 300)
        (first,) = (await self.connector.get_order(ctx, id_)).refunds
        await self.taken_back(rig, "give_back", id_, 200)
        order = await self.connector.get_order(ctx, id_)
        assert [(r.amount, type(r.amount)) for r in order.refunds] == [(300, int), (200, int)]
        assert len({r.id for r in order.refunds}) == 2
        assert order.refunds[0].id == first.id != ""
        assert {r.payment for r in order.refunds} <= {"", *(p.id for p in order.payments)}
        assert {r.state for r in order.refunds} <= {RefundState.DONE, RefundState.PENDING}
        if Capability.SUMMARIES in self.connector.capabilities:
            zone = "America/Sao_Paulo"
            day = order.placed_at.astimezone(ZoneInfo(zone)).date()
            counted = (await self.connector.summarise(ctx, day, zone)).refunds
            done = sum(r.amount for r in order.refunds if r.state is RefundState.DONE)
            assert counted is None or counted.get(id_, 0) == done

    # --- failures are told apart ---

    async def test_throttling_says_how_long(self, rig: Rig) -> None:
        """`Retry-After` arrives; without it there is none."""
        self.needs(Capability.ORDERS)
        ctx = context(self.connector, rig, self.spec)
        rig.fail(Operation.ORDERS, Fault.LIMITED)
        with pytest.raises(RateLimited) as caught:
            await self.connector.pull_orders(ctx, None, None)
        assert caught.value.after == 7
        rig.fail(Operation.ORDERS, Fault.LIMITED_BARE)
        with pytest.raises(RateLimited) as bare:
            await self.connector.pull_orders(ctx, None, None)
        assert bare.value.after is None

    async def test_who_is_not_known_is_told_so(self, rig: Rig) -> None:
        """401 is `AuthExpired`, so that the runtime renews a token or stops."""
        self.needs(Capability.ORDERS)
        rig.fail(Operation.ORDERS, Fault.UNKNOWN_US)
        with pytest.raises(AuthExpired):
            await self.connector.pull_orders(context(self.connector, rig, self.spec), None, None)

    # --- things that are told once ---

    async def told(self, ctx: Ctx, order: str) -> Told:
        """Return what is told of an order."""
        if Capability.ORDERS not in self.connector.capabilities:
            return Told(order)
        read: ExtOrder = await self.connector.get_order(ctx, order)
        line = ShippedLine(read.lines[0].sku, 1, read.lines[0].id)
        return Told(order, line, read.payments[0].id if read.payments else "p1")

    async def once(self, operation: Operation, ctx: Ctx, order: Told, key: str) -> str:
        """Tell something as the runtime does: looked up before it is sent again. Returns what became of it."""
        doubtful = False
        for _ in range(6):
            if doubtful:
                try:
                    if await self._find(operation, ctx, order, key) is not None:
                        return "found"
                except NotImplementedError:
                    if not self.connector.idempotent:
                        return "a person decides"
                except (Retryable, Unsure):
                    continue
            try:
                result: Result = await self._tell(operation, ctx, order, key)
            except Retryable:
                continue
            except Unsure:
                doubtful = True
                continue
            if isinstance(result, Ok):
                return "ok"
            assert isinstance(result, Pending | Unknown), f"a good one was refused: {result}"
            doubtful = True
        return "gave up"

    async def _tell(self, operation: Operation, ctx: Ctx, order: Told, key: str) -> Result:
        result: Result
        if operation is Operation.SHIPMENT:
            result = await self.connector.push_shipment(ctx, _shipment(order), key)
        elif operation is Operation.CANCEL:
            push = CancelPush(order=order.order, lines=[order.line], whole=True, reason="kit")
            result = await self.connector.cancel(ctx, push, key)
        elif operation is Operation.DOCUMENT:
            result = await self.connector.post_document(ctx, _document(), key)
        else:
            refund = RefundPush(order=order.order, payment=order.payment, amount=500, currency="BRL")
            result = await self.connector.refund(ctx, refund, key)
        return result

    async def _find(self, operation: Operation, ctx: Ctx, order: Told, key: str) -> Any:
        if operation is Operation.SHIPMENT:
            return await self.connector.find_shipment(ctx, _shipment(order), key)
        if operation is Operation.DOCUMENT:
            return await self.connector.find_document(ctx, _document(), key)
        return await self.connector.find_operation(ctx, order.order, key)

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    @pytest.mark.parametrize("operation", list(TOLD_ONCE))
    async def test_whatever_breaks_a_thing_is_told_once(
        self, rig: Rig, operation: Operation, fault: Fault | None
    ) -> None:
        """A crash before or after the peer acted ends in exactly one of it, or with a person."""
        self.needs(TOLD_ONCE[operation])
        ctx = context(self.connector, rig, self.spec)
        # A document brings its order along.
        order = Told("") if operation is Operation.DOCUMENT else await self.told(ctx, await rig.add_order())
        if fault is not None:
            rig.fail(operation, fault)
        became = await self.once(operation, ctx, order, "5f0f2d2e-6d0c-5b58-9a5b-0c9f0a7c1d11")
        arrived = len(await rig.told(operation))
        if became == "a person decides":
            assert arrived <= 1
        else:
            assert (became if became not in {"ok", "found"} else "done", arrived) == ("done", 1), (became, arrived)

    async def test_what_never_arrived_is_not_found(self, rig: Rig) -> None:
        """A look-up by a key nobody used says no instead of inventing one."""
        self.needs(Capability.SHIPMENTS)
        ctx = context(self.connector, rig, self.spec)
        order = await self.told(ctx, await rig.add_order())
        try:
            found = await self.connector.find_shipment(ctx, _shipment(order), "0d3f0a52-33b5-5f3e-8d53-7f1f6c6a2b01")
        except NotImplementedError:
            pytest.skip("the peer cannot be asked")
        assert found is None

    async def test_what_the_peer_never_takes_is_refused_for_good(self, rig: Rig) -> None:
        """A parcel of an order that is not there is no time-out: it must not be tried for ever."""
        self.needs(Capability.SHIPMENTS)
        ctx = context(self.connector, rig, self.spec)
        try:
            result = await self.connector.push_shipment(ctx, _shipment(Told("0-never-there")), "k")
        except (Retryable, Unsure, AuthExpired) as error:
            pytest.fail(f"it would be tried again: {error!r}")
        except ChannelError:
            return
        assert isinstance(result, Rejected)

    # --- documents ---

    async def test_a_document_is_posted_to_the_cent_and_what_is_taken_back_with_it(self, rig: Rig) -> None:
        """Discounts and freight are in the total, and of a sale and its credit what is left is summed."""
        self.needs(Capability.DOCUMENTS)
        ctx = context(self.connector, rig, self.spec)
        before = await self.connector.summarise_documents(ctx, date(2026, 11, 27), "America/Sao_Paulo")
        sale = await self.connector.post_document(ctx, _document(), "8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f01")
        assert isinstance(sale, Ok)
        back = [DocumentLine(sku="A", code="A", quantity=-1, unit_price=999)]
        changes = {"kind": DocumentKind.CREDIT, "number": "1001-2", "lines": back, "freight": 0, "adjustment": 100}
        credit = _document(-899, sale=sale.ref, day="2026-11-28", **changes)
        assert isinstance(await self.connector.post_document(ctx, credit, "8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f02"), Ok)
        after = await self.connector.summarise_documents(ctx, date(2026, 11, 27), "America/Sao_Paulo")
        assert after.total - before.total == 2_690 - 899
        assert "1001" in (after.ids or ())

    async def test_a_document_with_an_unknown_sku_is_refused_and_nothing_of_it_posted(self, rig: Rig) -> None:
        """Nor is one for a total that its parts do not come to."""
        self.needs(Capability.DOCUMENTS)
        ctx = context(self.connector, rig, self.spec)
        before = await rig.told(Operation.DOCUMENT)
        odd = _document(lines=[DocumentLine(sku="NONE", code="NONE", quantity=2, unit_price=999)])
        for n, document in enumerate((odd, _document(2_691))):
            key = f"8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f1{n}"
            assert isinstance(await self.connector.post_document(ctx, document, key), Rejected)
            assert await self.connector.find_document(ctx, document, key) is None
        assert await rig.told(Operation.DOCUMENT) == before

    async def test_the_same_buyer_is_found_again(self, rig: Rig) -> None:
        """Two documents of one new buyer at the same moment are both posted."""
        self.needs(Capability.DOCUMENTS)
        ctx = context(self.connector, rig, self.spec)
        party = ExtBuyer(name="Loja Nova", document="11222333000181")
        keys = [f"8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f2{n}" for n in range(3)]
        ended = await asyncio.gather(*(self.connector.post_document(ctx, _document(party=party), k) for k in keys))
        assert all(isinstance(each, Ok) for each in ended)
        assert len({each.ref for each in ended}) == len(keys)

    # --- stock and prices ---

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    async def test_the_last_word_about_stock_stays(self, rig: Rig, fault: Fault | None) -> None:
        """However a push breaks, said again the newest quantity is what the peer has; a refused code harms none."""
        self.needs(Capability.STOCK)
        ctx = context(self.connector, rig, self.spec)
        rig.refuse("POISON")
        codes = [f"SKU-{n}" for n in range(min(self.connector.limits.batch, 12))]
        for version in (1, 2):
            if fault is not None:
                rig.fail(Operation.STOCK, fault)
            items = [_stock(code, 10 * version + n, version) for n, code in enumerate(codes)]
            items.insert(len(items) // 2, _stock("POISON", 1, version))
            results = await self._settled(partial(self.connector.set_stock, ctx, items), len(items))
            for item, result in zip(items, results, strict=True):
                assert isinstance(result, Rejected) == (item.code == "POISON"), (item.code, result)
        assert await rig.values(Operation.STOCK) == {code: 20 + n for n, code in enumerate(codes)}

    async def levels(self, ctx: Ctx) -> dict[str, int]:
        """Read all the stock the peer has, as the runtime does: again where the peer fails."""
        found: dict[tuple[str, str], int] = {}
        cursor: str | None = None
        for _ in range(PAGES):
            try:
                page = await self.connector.pull_stock(ctx, cursor)
            except (Retryable, Unsure):
                continue
            for row in page.items:
                assert row.as_of.tzinfo is not None
                assert type(row.quantity) is int
                assert (row.sku, row.location) not in found, f"{row.sku} was told twice in one reading"
                found[row.sku, row.location] = row.quantity
            if not page.more:
                told: dict[str, int] = {}
                for (sku, _place), quantity in found.items():
                    told[sku] = told.get(sku, 0) + quantity
                return told
            assert page.cursor != cursor, "a page that promises more moves the cursor"
            cursor = page.cursor
        pytest.fail("the pages have no end")

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    async def test_the_stock_that_was_told_is_read_back(self, rig: Rig, fault: Fault | None) -> None:
        """More than fit a page: each variant once, with what it was told last; a failed page is read again."""
        self.needs(Capability.STOCK, Capability.STOCK_SOURCE)
        ctx = context(self.connector, rig, self.spec)
        codes = [f"SKU-{n}" for n in range(min(self.connector.limits.batch, 12))]
        for version in (1, 2):
            items = [_stock(code, 10 * version + n, version) for n, code in enumerate(codes)]
            await self._settled(partial(self.connector.set_stock, ctx, items), len(items))
        if fault is not None:
            rig.fail(Operation.LEVELS, fault)
        found = await self.levels(ctx)
        assert {code: found.get(code) for code in codes} == {code: 20 + n for n, code in enumerate(codes)}

    @pytest.mark.parametrize("fault", [*NOT_DONE, *DONE_MAYBE])
    async def test_half_a_page_of_stock_is_no_page(self, rig: Rig, fault: Fault) -> None:
        """What is not there would be taken for gone: a failed page is an error of the contract, never a short one."""
        self.needs(Capability.STOCK_SOURCE)
        rig.fail(Operation.LEVELS, fault)
        with pytest.raises((Retryable, Unsure)):
            await self.connector.pull_stock(context(self.connector, rig, self.spec), None)

    async def test_prices_arrive_in_the_minor_units_of_their_currency(self, rig: Rig) -> None:
        """Centavos, cents, whole yen, thousandths of a dinar: the number that was said is the number that is there."""
        self.needs(Capability.PRICES)
        ctx = context(self.connector, rig, self.spec)
        rig.refuse("POISON")
        items = [
            _price("BRL-1", 12_990, 1, "BRL"),
            _price("USD-1", 1, 1, "USD"),
            _price("POISON", 5, 1),
            _price("JPY-1", 12_990, 1, "JPY"),
            _price("KWD-1", 12_345, 1, "KWD"),
        ]
        results = await self._settled(partial(self.connector.set_prices, ctx, items), len(items))
        assert [isinstance(r, Rejected) for r in results] == [False, False, True, False, False]
        assert await rig.values(Operation.PRICES) == {i.code: i.price for i in items if i.code != "POISON"}

    async def _settled(self, hand: Callable[[], Any], count: int) -> Sequence[Result]:
        for _ in range(6):
            try:
                results: Sequence[Result] = await hand()
            except (Retryable, Unsure):
                continue
            assert len(results) == count, "one result for each item, in their order"
            return results
        pytest.fail("it never ends")

    async def test_ten_at_once_do_not_mix_their_answers(self, rig: Rig) -> None:
        """A connector holds no state between calls: each gets its own order."""
        self.needs(Capability.ORDERS)
        made = [await rig.add_order() for _ in range(10)]
        ctx = context(self.connector, rig, self.spec)
        found = await asyncio.gather(*(self.connector.get_order(ctx, id_) for id_ in made))
        assert [o.id for o in found] == made

    # --- webhooks ---

    def heard(self, raw: RawRequest, *secrets: str, now: datetime | None = None) -> Sequence[InboxEvent] | str:
        """Return what a message tells, or in a word why it tells nothing."""
        said = self.connector.verify(raw, secrets, now or datetime.now(UTC))
        if isinstance(said, Rejected):
            return "rejected"
        if isinstance(said, Ping):
            return "ping"
        assert isinstance(said, Verified)
        events: Sequence[InboxEvent] = self.connector.parse(said)
        assert said.signed or all(e.trust is Trust.HINT for e in events), "what is not signed is a hint"
        return events

    async def test_a_webhook_is_believed_by_its_raw_bytes(self, rig: Rig) -> None:
        """The secret fits: it tells of the order. Each message has one name, and another message another."""
        self.needs(Capability.WEBHOOKS)
        now = datetime.now(UTC)
        id_ = await rig.add_order()
        first = rig.webhook(id_, secret=rig.webhook_secret, at=now)
        events, again = self.heard(first, rig.webhook_secret), self.heard(first, rig.webhook_secret)
        assert not isinstance(events, str)
        assert events == again, "the same message has the same name each time"
        assert [e.order_id or (e.order and e.order.id) for e in events] == [id_]
        await rig.change_order(id_)
        other = self.heard(rig.webhook(id_, secret=rig.webhook_secret, at=now), rig.webhook_secret)
        assert not isinstance(other, str)
        assert {e.dedup for e in events}.isdisjoint({e.dedup for e in other})
        assert {e.entity for e in events} == {e.entity for e in other}

    async def test_a_webhook_of_anybody_else_is_refused(self, rig: Rig) -> None:
        """Wrong secret, no secret, no signature, and every single byte of the body changed in turn."""
        self.needs(Capability.WEBHOOKS)
        raw = rig.webhook(await rig.add_order(), secret=rig.webhook_secret, at=datetime.now(UTC))
        signed = self.connector.verify(raw, [rig.webhook_secret], datetime.now(UTC))
        if isinstance(signed, Verified) and not signed.signed:
            pytest.skip("the peer signs nothing: all it says is a hint")
        assert self.heard(raw, "another secret") == "rejected"
        assert self.heard(raw) == "rejected"
        assert self.heard(raw, "") == "rejected"
        assert self.heard(msgspec.structs.replace(raw, headers={}), rig.webhook_secret) == "rejected"
        step = max(1, len(raw.body) // 40)
        for at in range(0, len(raw.body), step):
            body = bytearray(raw.body)
            body[at] ^= 1
            other = msgspec.structs.replace(raw, body=bytes(body))
            assert self.heard(other, rig.webhook_secret) == "rejected", f"byte {at}"

    async def test_both_secrets_are_believed_while_one_replaces_the_other(self, rig: Rig) -> None:
        """Whichever comes first in the list."""
        self.needs(Capability.WEBHOOKS)
        raw = rig.webhook(await rig.add_order(), secret=rig.webhook_secret, at=datetime.now(UTC))
        assert not isinstance(self.heard(raw, "the new one", rig.webhook_secret), str)
        assert not isinstance(self.heard(raw, rig.webhook_secret, "the new one"), str)

    async def test_an_old_message_sent_again_is_refused_where_its_time_is_signed(self, rig: Rig) -> None:
        """A day later nobody may send it once more. A peer that signs no time is skipped: the inbox knows its name."""
        self.needs(Capability.WEBHOOKS)
        now = datetime.now(UTC)
        order = await rig.add_order()
        raw, later = (rig.webhook(order, secret=rig.webhook_secret, at=at) for at in (now, now + timedelta(seconds=60)))
        if raw.headers == later.headers:
            pytest.skip("the peer signs no time")
        assert self.heard(raw, rig.webhook_secret, now=now + timedelta(days=1)) == "rejected"
        assert self.heard(raw, rig.webhook_secret, now=now - timedelta(days=1)) == "rejected"

    async def test_a_ping_is_answered_and_tells_nothing(self, rig: Rig) -> None:
        """Whatever the peer sends to try the address."""
        self.needs(Capability.WEBHOOKS)
        raw = rig.ping()
        if raw is None:
            pytest.skip("the peer sends none")
        assert self.heard(raw, rig.webhook_secret) in ("ping", [])

    # --- secrets ---

    async def test_no_secret_shows_in_anything_that_is_told_to_people(self, rig: Rig) -> None:
        """Not in errors, not in `repr`, not in what a check says, when the peer fails in every way."""
        self.needs(Capability.ORDERS)
        ctx = context(self.connector, rig, self.spec)
        shown = [repr(self.connector), repr(msgspec.structs.replace(ctx, access=None, http=None))]
        shown.append(str(await self.connector.check(ctx)))
        for fault in (*NOT_DONE, *DONE_MAYBE, Fault.UNKNOWN_US):
            rig.fail(Operation.ORDERS, fault)
            with pytest.raises(ChannelError) as caught:
                await self.connector.pull_orders(ctx, None, None)
            shown += [str(caught.value), repr(caught.value), caught.value.why]
        secrets = [secret for secret in rig.secrets.values() if len(secret) >= rules.SHORTEST_SECRET]
        assert [text for text in shown for secret in secrets if secret in text] == []
