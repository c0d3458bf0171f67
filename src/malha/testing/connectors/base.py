"""What the checks of every subject share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest

from malha.channels.connecting import registry
from malha.channels.contract import Capability, Ctx, ExtRef, Ok, Page, Pending, Result, Retryable, Unknown, Unsure
from malha.testing.connectors.rig import PAGES, Direct, Fault, Operation, Rig
from malha.testing.specs import SpecGate

ATTEMPTS = 6


@pytest.mark.asyncio
class Kit:
    """What the checks of every subject share: the connector, its specification, its peer, and how the runtime asks."""

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
        filed = sorted(c.value for c in capabilities if not registry.is_asked(self.connector, c))
        if filed:
            pytest.skip(f"{self.connector.key} tells {', '.join(filed)} by files")

    def knows(self, rig: Rig, *names: str) -> None:
        """Skip the test where the rig does not know how to do something."""
        for name in names:
            if not hasattr(rig, name):
                pytest.skip(f"the rig has no {name}")

    def fail(self, ctx: Ctx, rig: Rig, operation: Operation, fault: Fault) -> None:
        """Have the peer fail the next time this is asked for; what does not come, or drips, is waited for shortly."""
        if fault in {Fault.SILENT, Fault.DRIP} and isinstance(ctx.http, Direct):
            ctx.http.silences += 1
        rig.fail(operation, fault)

    async def read_on(
        self, pull: Callable[[str | None], Awaitable[Page[Any]]], cursor: str | None = None
    ) -> tuple[list[Any], str]:
        """Read all there is after a cursor, as the runtime does: again where the peer fails."""
        found: list[Any] = []
        for _ in range(PAGES):
            try:
                page = await pull(cursor)
            except (Retryable, Unsure):
                continue
            found += page.items
            assert page.cursor is not None, "a page says where to go on"
            if not page.more:
                return found, page.cursor
            assert page.cursor != cursor, "a page that promises more moves the cursor"
            cursor = page.cursor
        pytest.fail("the pages have no end")

    async def settled(self, hand: Callable[[], Awaitable[Sequence[Result]]], count: int) -> Sequence[Result]:
        """Hand items over again until the peer says what became of them, as the runtime does."""
        for _ in range(ATTEMPTS):
            try:
                results = await hand()
            except (Retryable, Unsure):
                continue
            assert len(results) == count, "one result for each item, in their order"
            return results
        pytest.fail("it never ends")

    async def told_once(
        self, find: Callable[[], Awaitable[ExtRef | None]], tell: Callable[[], Awaitable[Result]]
    ) -> str:
        """Tell something as the runtime does: looked up before it is sent again. Returns what became of it."""
        doubtful = False
        for _ in range(ATTEMPTS):
            if doubtful:
                try:
                    if await find() is not None:
                        return "found"
                except NotImplementedError:
                    if not self.connector.idempotent:
                        return "a person decides"
                except (Retryable, Unsure):
                    continue
            try:
                result = await tell()
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
