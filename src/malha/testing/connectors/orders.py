"""Orders are read whole, once, as they were sold."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from malha.channels.contract import (
    Capability,
    ChannelError,
    Ctx,
    ExtLine,
    ExtOrder,
    ExtState,
    PaidState,
    RefundState,
    Retryable,
    Unsure,
)
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Operation, Rig, context


class OrderChecks(Kit):
    """Orders are read whole, once, as they were sold; what was taken back since is told beside."""

    async def read(self, ctx: Ctx, cursor: str | None = None) -> tuple[list[ExtOrder], str]:
        """Read all orders that changed after a cursor."""
        since = datetime(2020, 1, 1, tzinfo=UTC)
        return await self.read_on(lambda at: self.connector.pull_orders(ctx, at, since), cursor)

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
        self.fail(ctx, rig, Operation.ORDERS, fault)
        with pytest.raises((Retryable, Unsure)):
            await self.connector.pull_orders(ctx, None, None)
        self.fail(ctx, rig, Operation.ORDERS, fault)
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
        self.knows(rig, act)
        await getattr(rig, act)(id_, *given)

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
