"""Handing a written message to whoever carries it, and what came of that. Never inside a transaction."""

from contextlib import AsyncExitStack
from email.message import EmailMessage
from types import TracebackType
from typing import Self

import msgspec

from malha.notifications.model import Claimed, Rendered, State
from malha.platform import mail
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


class Outcome(msgspec.Struct, frozen=True):
    """How handing over ended: a state, `queued` for "later", and the server's words."""

    state: State
    reason: str | None = None
    answer: str | None = None


class Outlets:
    """The ways messages leave by, for one round: one connection to the mail server serves all its messages."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._connection: mail.Connection | None = None
        try:
            self._server: MailServer | None = mail.server_of(settings)
        except MailNotConfigured:
            self._server = None

    @property
    def mail(self) -> bool:
        """Tell whether mail can be sent at all."""
        return self._server is not None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def send(self, message: Claimed, rendered: Rendered) -> Outcome:  # noqa: PLR0911 -- one for each end it can have
        """Hand a message over; return how that ended. Expected failures are outcomes, never exceptions."""
        if self._server is None:
            return Outcome(State.SKIPPED, "not_configured")
        try:
            written = compose(self._settings, message, rendered)
            if self._connection is None:
                self._connection = await self._stack.enter_async_context(mail.connect(self._server))
            answer = await self._connection.send(written)
        except MailRefused as refused:
            return Outcome(State.REFUSED, "refused", refused.facts["answer"])
        except MailAddressWrong:
            return Outcome(State.REFUSED, "no_address")
        except MailPostponed as postponed:
            return Outcome(State.QUEUED, "postponed", postponed.facts["answer"])
        except MailUnreachable as away:
            await self._hang_up()
            return Outcome(State.QUEUED, "unreachable", away.facts["answer"])
        except MailUnanswered as unsaid:
            await self._hang_up()
            return Outcome(State.UNCERTAIN, "unanswered", unsaid.facts["answer"])
        return Outcome(State.SENT, None, answer)

    async def _hang_up(self) -> None:
        """Begin the next message with a new connection."""
        self._connection = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()


def compose(settings: Settings, message: Claimed, rendered: Rendered) -> EmailMessage:
    """Return the mail. Every attempt carries one Message-ID, by which a server can know it again."""
    sender = settings.mail_from or ""
    return mail.compose(
        sender=sender,
        to=message.address,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id=f"<{message.id}@{mail.parse_sender(sender).domain}>",
        headers={"Auto-Submitted": "auto-generated"},
    )
