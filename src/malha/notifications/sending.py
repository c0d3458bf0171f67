"""Handing written messages to whoever carries them. Never inside a transaction.

`MailCarrier` meets the contract by SMTP; gateways are `http_carrier.HttpCarrier`. `Outlets` are the carriers of one
round: a connection to the mail server serves all its mails.
"""

from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from email.message import EmailMessage
from types import TracebackType
from typing import Self

import msgspec

from malha.notifications import returns, rules
from malha.notifications.contract import Answer, Carrier, End, Letter
from malha.notifications.model import Channel, Claimed, Rendered, State
from malha.platform import mail, signing
from malha.platform.mail import (
    MailAddressWrong,
    MailNotConfigured,
    MailPostponed,
    MailRefused,
    MailServer,
    MailUnanswered,
    MailUnreachable,
)
from malha.platform.settings import Settings


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How handing over ended: a state, `queued` for "later", and what the other side said."""

    state: State
    reason: str | None = None
    answer: str | None = None
    reference: str = ""
    bad_address: bool = False
    not_before_s: int | None = None


class MailCarrier:
    """Takes mails to a server. One connection for all of a round."""

    channel = Channel.EMAIL

    def __init__(self, settings: Settings, server: MailServer) -> None:
        self._settings = settings
        self._server = server
        self._stack = AsyncExitStack()
        self._connection: mail.Connection | None = None

    async def send(self, letter: Letter) -> Answer:
        """Hand a mail over."""
        back = self._settings.bounce_address
        try:
            written = compose(self._settings, letter)
            path = returns.return_path(signing.keys_of(self._settings), back, letter.id) if back else None
            if self._connection is None:
                self._connection = await self._stack.enter_async_context(mail.connect(self._server))
            answer = await self._connection.send(written, return_path=path)
        except MailRefused as refused:
            said = str(refused.facts["answer"])
            return Answer(End.REFUSED, words=said, bad_address=rules.is_bad_address(said))
        except MailAddressWrong:
            return Answer(End.REFUSED, words="no address")
        except MailPostponed as postponed:
            return Answer(End.LATER, words=str(postponed.facts["answer"]))
        except MailUnreachable as away:
            await self.close()
            return Answer(End.LATER, words=str(away.facts["answer"]), unreachable=True)
        except MailUnanswered as unsaid:
            await self.close()
            return Answer(End.UNKNOWN, words=str(unsaid.facts["answer"]))
        return Answer(End.ACCEPTED, words=answer)

    async def close(self) -> None:
        """Hang up; the next mail begins with a new connection."""
        self._connection = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()


class Outlets:
    """The ways messages leave by, for one round."""

    def __init__(self, settings: Settings, gateways: Iterable[Carrier] = ()) -> None:
        self._carriers: dict[Channel, Carrier] = {carrier.channel: carrier for carrier in gateways}
        with suppress(MailNotConfigured):
            self._carriers[Channel.EMAIL] = MailCarrier(settings, mail.server_of(settings))

    @property
    def ready(self) -> frozenset[Channel]:
        """Return by which means messages can leave at all."""
        return frozenset(self._carriers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for carrier in self._carriers.values():
            await carrier.close()

    async def send(self, message: Claimed, rendered: Rendered, wishes: tuple[str, str] = ("", "")) -> Outcome:
        """Hand a message over; return how that ended. Expected failures are outcomes, never exceptions.

        `wishes` are the addresses of the page of wishes and of the one-click end, as far as the message has them.
        """
        carrier = self._carriers.get(message.channel)
        if carrier is None:
            return Outcome(state=State.SKIPPED, reason="not_configured")
        return outcome_of(await carrier.send(letter_of(message, rendered, wishes)))


def letter_of(message: Claimed, rendered: Rendered, wishes: tuple[str, str] = ("", "")) -> Letter:
    """Return a message as carriers take it."""
    return Letter(
        id=message.id,
        address=message.address,
        language=message.language,
        text=rendered.text,
        subject=rendered.subject,
        html=rendered.html,
        template=rendered.template,
        template_language=rendered.template_language,
        parameters=rendered.parameters,
        wishes_address=wishes[0],
        stop_address=wishes[1],
    )


def outcome_of(answer: Answer) -> Outcome:
    """Return an end as the log keeps it."""
    state, reason = {
        End.ACCEPTED: (State.SENT, None),
        End.REFUSED: (State.REFUSED, "refused"),
        End.LATER: (State.QUEUED, "postponed"),
        End.UNKNOWN: (State.UNCERTAIN, "unanswered"),
    }[answer.end]
    return Outcome(
        state=state,
        reason="unreachable" if answer.unreachable else reason,
        answer=answer.words or None,
        reference=answer.reference,
        bad_address=answer.bad_address,
        not_before_s=answer.retry_after_s,
    )


def compose(settings: Settings, letter: Letter) -> EmailMessage:
    """Return the mail. Every attempt carries one Message-ID, by which a server can know it again."""
    sender = settings.mail_from or ""
    headers = {"Auto-Submitted": "auto-generated"}
    if letter.stop_address:  # RFC 8058: a mail program shows its own button and sends one POST
        headers["List-Unsubscribe"] = f"<{letter.stop_address}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return mail.compose(
        sender=sender,
        to=letter.address,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        message_id=f"<{letter.id}@{mail.parse_sender(sender).domain}>",
        headers=headers,
    )
