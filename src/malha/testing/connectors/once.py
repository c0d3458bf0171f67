"""What is told once: parcels, cancels, refunds, documents."""

from functools import partial
from typing import Any

import pytest

from malha.channels.connecting import registry
from malha.channels.contract import (
    AuthExpired,
    CancelPush,
    Capability,
    ChannelError,
    Ctx,
    ExtOrder,
    RefundPush,
    Rejected,
    Result,
    Retryable,
    ShippedLine,
    Unsure,
)
from malha.testing.connectors.asked import Told, document_of, shipment_of
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Operation, Rig, context

TOLD_ONCE = {
    Operation.SHIPMENT: Capability.SHIPMENTS,
    Operation.CANCEL: Capability.CANCELS,
    Operation.REFUND: Capability.CANCELS,
    Operation.DOCUMENT: Capability.DOCUMENTS,
}


class OnceChecks(Kit):
    """Whatever breaks, a parcel, a cancel, a refund or a document is there once."""

    async def told(self, ctx: Ctx, order: str) -> Told:
        """Return what is told of an order."""
        if not registry.is_asked(self.connector, Capability.ORDERS):
            return Told(order)
        read: ExtOrder = await self.connector.get_order(ctx, order)
        line = ShippedLine(read.lines[0].sku, 1, read.lines[0].id)
        return Told(order, line, read.payments[0].id if read.payments else "p1")

    async def once(self, operation: Operation, ctx: Ctx, order: Told, key: str) -> str:
        """Tell something of an order until it is settled; return what became of it."""
        return await self.told_once(
            partial(self._find, operation, ctx, order, key), partial(self._tell, operation, ctx, order, key)
        )

    async def _tell(self, operation: Operation, ctx: Ctx, order: Told, key: str) -> Result:
        result: Result
        if operation is Operation.SHIPMENT:
            result = await self.connector.push_shipment(ctx, shipment_of(order), key)
        elif operation is Operation.CANCEL:
            push = CancelPush(order=order.order, lines=[order.line], whole=True, reason="kit")
            result = await self.connector.cancel(ctx, push, key)
        elif operation is Operation.DOCUMENT:
            result = await self.connector.post_document(ctx, document_of(), key)
        else:
            refund = RefundPush(order=order.order, payment=order.payment, amount=500, currency="BRL")
            result = await self.connector.refund(ctx, refund, key)
        return result

    async def _find(self, operation: Operation, ctx: Ctx, order: Told, key: str) -> Any:
        if operation is Operation.SHIPMENT:
            return await self.connector.find_shipment(ctx, shipment_of(order), key)
        if operation is Operation.DOCUMENT:
            return await self.connector.find_document(ctx, document_of(), key)
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
            self.fail(ctx, rig, operation, fault)
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
            found = await self.connector.find_shipment(ctx, shipment_of(order), "0d3f0a52-33b5-5f3e-8d53-7f1f6c6a2b01")
        except NotImplementedError:
            pytest.skip("the peer cannot be asked")
        assert found is None

    async def test_what_the_peer_never_takes_is_refused_for_good(self, rig: Rig) -> None:
        """A parcel of an order that is not there is no time-out: it must not be tried for ever."""
        self.needs(Capability.SHIPMENTS)
        ctx = context(self.connector, rig, self.spec)
        try:
            result = await self.connector.push_shipment(ctx, shipment_of(Told("0-never-there")), "k")
        except (Retryable, Unsure, AuthExpired) as error:
            pytest.fail(f"it would be tried again: {error!r}")
        except ChannelError:
            return
        assert isinstance(result, Rejected)
