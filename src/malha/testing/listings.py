"""What every connector that takes products must do right; see `malha.testing.connectors`, of which this is a part.

    class TestMine(ConnectorContract, ListingContract):
        connector = Acme()

The rig has two methods more (`ListingRig`), one of them for faults: `Operation` has no word for products.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec
import pytest

from malha.channels.contract import (
    Capability,
    Kind,
    Ok,
    ProductPush,
    Rejected,
    Result,
    Retryable,
    Unsure,
)
from malha.testing.connectors import DONE_MAYBE, NOT_DONE, Fault, Rig, context
from malha.testing.specs import SpecGate

ATTEMPTS = 6


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer shows it: `fields` by the names of the connector's `listing_fields`, those with a value."""

    active: bool
    fields: Mapping[str, str | Sequence[str]] = {}


class ListingRig(Rig, Protocol):
    """A peer that takes products."""

    def fail_listing(self, fault: Fault) -> None:
        """Fail the next time a product is written."""

    async def shown(self, code: str) -> list[Shown]:
        """Return all that the peer has under a code: more than one is a double."""
        ...


def a_push(connector: Any, code: str, word: str = "Um", *, active: bool = True, version: int = 1) -> ProductPush:
    """Return a variant of which every field of text that the connector takes says something."""
    fields: dict[str, str | Sequence[str]] = {}
    for field in connector.listing_fields.fields:
        match field.kind:
            case Kind.TEXT | Kind.LONG if field.name != "category":
                fields[field.name] = f"{word} {field.name} {code}"[: field.longest or None]
            case Kind.WORD:
                fields[field.name] = field.values[0]
            case _:
                pass
    return ProductPush(
        sku=code,
        code=code,
        name=str(fields.get("title", f"{word} {code}")),
        price=12_990,
        currency="BRL",
        active=active,
        version=version,
        product=f"P-{code}",
        fields=fields,
    )


class ListingContract:
    """What a `CatalogSink` must do right. Beside `ConnectorContract`, with the same `rig`."""

    connector: ClassVar[Any]
    spec: ClassVar[SpecGate | None] = None

    def _sinks(self) -> None:
        if Capability.CATALOG_SINK not in self.connector.capabilities:
            pytest.skip("it does not say that it can: catalog_sink")

    async def _hand(self, rig: ListingRig, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Hand items over again until the peer says what became of them, as the runtime does."""
        for _ in range(ATTEMPTS):
            try:
                results: Sequence[Result] = await self.connector.upsert_products(
                    context(self.connector, rig, self.spec), items
                )
            except (Retryable, Unsure):
                continue
            assert len(results) == len(items), "one result for each item, in their order"
            return results
        pytest.fail("it never ends")

    @pytest.mark.asyncio
    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    async def test_whatever_breaks_a_product_is_there_once_and_says_the_last_word(
        self, rig: ListingRig, fault: Fault | None
    ) -> None:
        """It is looked up before it is made: an answer that was lost makes no double."""
        self._sinks()
        if fault is not None:
            rig.fail_listing(fault)
        first, last = a_push(self.connector, "L-1"), a_push(self.connector, "L-1", "Dois", version=2)
        assert [type(r) for r in await self._hand(rig, [first])] == [Ok]
        assert [type(r) for r in await self._hand(rig, [last])] == [Ok]
        (shown,) = await rig.shown("L-1")
        assert shown.active
        assert dict(shown.fields) == dict(last.fields)

    @pytest.mark.asyncio
    async def test_the_same_again_changes_nothing(self, rig: ListingRig) -> None:
        """A statement is made again whenever nobody knows what became of it."""
        self._sinks()
        push = a_push(self.connector, "L-2")
        await self._hand(rig, [push])
        before = await rig.shown("L-2")
        await self._hand(rig, [push])
        assert await rig.shown("L-2") == before

    @pytest.mark.asyncio
    async def test_a_product_that_ends_is_not_for_sale_and_comes_back(self, rig: ListingRig) -> None:
        """Nothing is deleted at the peer: what it is called there stays, with its history."""
        self._sinks()
        push = a_push(self.connector, "L-3")
        active = []
        for wanted in (True, False, True):
            (result,) = await self._hand(rig, [msgspec.structs.replace(push, active=wanted)])
            assert isinstance(result, Ok)
            active += [each.active for each in await rig.shown("L-3")]
        assert active == [True, False, True]

    @pytest.mark.asyncio
    async def test_a_product_that_is_refused_holds_up_no_others(self, rig: ListingRig) -> None:
        """A poison item is told from those beside it, for good."""
        self._sinks()
        rig.refuse("POISON")
        items = [a_push(self.connector, code) for code in ("L-4", "POISON", "L-5")]
        results = await self._hand(rig, items)
        assert [type(r) for r in results] == [Ok, Rejected, Ok]
        refused = results[1]
        assert isinstance(refused, Rejected)
        assert refused.code
        assert [len(await rig.shown(each.code)) for each in items] == [1, 0, 1]

    @pytest.mark.asyncio
    async def test_ending_what_the_peer_does_not_have_is_no_trouble(self, rig: ListingRig) -> None:
        """Somebody deleted it there: it is not for sale, which is what was wanted."""
        self._sinks()
        (result,) = await self._hand(rig, [a_push(self.connector, "L-6", active=False)])
        assert isinstance(result, Ok)
        assert not any(each.active for each in await rig.shown("L-6"))
