"""What a connector says of itself, and that no secret shows."""

import asyncio

import msgspec
import pytest

from malha.channels.connecting import registry, rules
from malha.channels.contract import AuthExpired, Capability, ChannelError, RateLimited, Retryable
from malha.testing.connectors.base import ATTEMPTS, Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Given, Operation, Rig, context


class SelfChecks(Kit):
    """What a connector says of itself, how failures are told apart, and that no secret shows."""

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

    async def test_ten_at_once_do_not_mix_their_answers(self, rig: Rig) -> None:
        """A connector holds no state between calls: each gets its own order. A peer that says later is asked anew."""
        self.needs(Capability.ORDERS)
        made = [await rig.add_order() for _ in range(10)]
        ctx = context(self.connector, rig, self.spec)

        async def asked(id_: str) -> str:
            for _ in range(ATTEMPTS):
                try:
                    return str((await self.connector.get_order(ctx, id_)).id)
                except Retryable:
                    continue
            pytest.fail("it never answers")

        assert await asyncio.gather(*map(asked, made)) == made

    async def test_no_secret_shows_in_anything_that_is_told_to_people(self, rig: Rig) -> None:
        """Not in errors, not in `repr`, not in what a check says, when the peer fails in every way."""
        self.needs(Capability.ORDERS)
        ctx = context(self.connector, rig, self.spec)
        shown = [repr(self.connector), repr(msgspec.structs.replace(ctx, access=None, http=None))]
        shown.append(str(await self.connector.check(ctx)))
        for fault in (*NOT_DONE, *DONE_MAYBE, Fault.UNKNOWN_US):
            self.fail(ctx, rig, Operation.ORDERS, fault)
            with pytest.raises(ChannelError) as caught:
                await self.connector.pull_orders(ctx, None, None)
            shown += [str(caught.value), repr(caught.value), caught.value.why]
        secrets = [secret for secret in rig.secrets.values() if len(secret) >= rules.SHORTEST_SECRET]
        assert [text for text in shown for secret in secrets if secret in text] == []
