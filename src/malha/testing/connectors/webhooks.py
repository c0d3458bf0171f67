"""Messages of the peer."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from malha.channels.contract import Capability, InboxEvent, Ping, RawRequest, Rejected, Trust, Verified
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import Rig


def about(event: InboxEvent) -> str:
    """Return the order, or the request of a partner, that an event is about."""
    order = event.order_id or (event.order.id if event.order is not None else "")
    return order or str(getattr(event.answer, "request", ""))


class WebhookChecks(Kit):
    """A message is believed by its raw bytes, and told once."""

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
        assert [about(e) for e in events] == [id_]
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
