"""What every means of contact does: a letter goes in, one of four ends comes out; receipts come back later.

Nothing here knows SMTP, HTTP or a provider. Mail (`sending.MailCarrier`) and gateways that an administrator describes
(`http_carrier.HttpCarrier`) meet this contract; so does a class of your own for a gateway that no description fits,
for example one that wants every request signed over its body:

    class Pigeons:
        channel = Channel.SMS

        async def send(self, letter: Letter) -> Answer:
            try:
                bird = await self.loft.release(letter.address, letter.text, key=str(letter.id))
            except LoftClosed as closed:                    # nothing left the loft
                return Answer(End.LATER, words="closed", retry_after_s=closed.seconds)
            except NoSuchRoof:                              # it will never arrive there
                return Answer(End.REFUSED, words="no such roof", bad_address=True)
            except OutOfSight:                              # it flew, nobody knows whether it arrived
                return Answer(End.UNKNOWN, words="out of sight")
            return Answer(End.ACCEPTED, reference=bird.ring)

        async def close(self) -> None:
            await self.loft.shut()

The rules of the contract:

- `send` is called outside of any transaction, at most once at a time per carrier, and returns; it raises only for
  defects. Every expected failure is an end.
- `UNKNOWN` is for everything after which the other side may have acted. Such a letter is not sent again by itself.
- `LATER` promises that nothing was sent. The same letter comes again, with the same `id`; a gateway that takes an
  idempotency key is given that.
- `words` are for people and kept: no secret, and no more of the address than the gateway says by itself.
- A receipt names its message by `reference`, as the answer did, or by the letter's own `id`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from malha.notifications.model import Channel
from malha.platform.ids import UUID


class End(StrEnum):
    """How handing over ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # for good: the next means is tried
    LATER = "later"  # nothing was sent: the same again later
    UNKNOWN = "unknown"  # it may have been sent: a person decides


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person, ready to go."""

    id: UUID  # the same at every attempt
    address: str  # an e-mail address, or a telephone number in E.164
    language: str  # "pt-BR", "en"
    text: str  # the whole message in plain words
    subject: str = ""
    html: str = ""
    template: str = ""  # an approved text at the gateway, by its name there
    template_language: str = ""  # as the gateway writes it, "pt_BR"
    parameters: tuple[str, ...] = ()  # what fills {{1}}, {{2}}, ... of the approved text
    wishes_address: str = ""  # where the person changes what they want to get
    stop_address: str = ""  # where one POST ends this kind of messages (RFC 8058); empty: it cannot be ended


class Answer(msgspec.Struct, frozen=True):
    """The end of one attempt."""

    end: End
    reference: str = ""  # under which the other side keeps it
    words: str = ""  # what it said
    bad_address: bool = False  # of a refusal: the address itself is bad and takes nothing any more
    retry_after_s: int | None = None  # of LATER: not before
    unreachable: bool = False  # of LATER: there was no connection, or no answer


class Status(StrEnum):
    """What became of a message that was accepted."""

    DELIVERED = "delivered"
    READ = "read"
    BOUNCED = "bounced"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side says later about a message."""

    reference: str
    status: Status
    words: str = ""
    bad_address: bool = False  # of a bounce: the address takes nothing any more
    at: datetime | None = None  # None: now


class Carrier(Protocol):
    """Takes letters to people by one means."""

    channel: Channel

    async def send(self, letter: Letter) -> Answer:
        """Hand a letter over; return how that ended. Raises for defects only."""
        ...

    async def close(self) -> None:
        """End connections; called once, after the last letter of a round."""
        ...
