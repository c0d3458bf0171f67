"""Electronic mail by SMTP: where it goes out, how a message is made, and what the server said to it.

    server = mail.server_of(settings)                       # MailNotConfigured without MALHA_SMTP_URL
    message = mail.compose(sender=settings.mail_from, to="ana@example.com", subject="...", text="...", html="...")
    answer = await mail.send(server, message)

What can go wrong is four different things, and a caller does something else about each: `MailRefused` (never send it
again as it is), `MailPostponed` (the same message later), `MailUnreachable` (no message got through; the same later)
and `MailUnanswered` (the message was handed over but the answer never came: it may have arrived, so sending again may
tell the customer twice).

Encryption is not negotiable: `smtp://` requires STARTTLS, `smtps://` speaks TLS from the first byte, certificates are
checked. Only a server on this very machine may be spoken to without (`?tls=none`). No password is in a log, an error or
a `repr`. Never call this inside a transaction.
"""

import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib
import msgspec

from malha.platform.errors import MalhaError
from malha.platform.settings import Settings

TIMEOUT_S = 20.0
ANSWER_LENGTH = 300
SUBJECT_LENGTH = 200
ADDRESS_LENGTH = 254  # RFC 5321 with erratum 1690

Security = Literal["starttls", "tls", "none"]
_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_OWN_HEADERS = frozenset({"from", "to", "subject", "date", "message-id", "content-type", "mime-version"})


class MailNotConfigured(MalhaError):
    """No mail server or no sender is set."""

    status = 409
    code = "mail_not_configured"
    says = "No mail can be sent: {setting} is not set."
    mend = "Set MALHA_SMTP_URL and MALHA_MAIL_FROM, and start Malha again."


class MailAddressWrong(MalhaError):
    """What should be an e-mail address is none that mail can be sent to."""

    status = 422
    code = "mail_address_wrong"
    says = "{address} is no e-mail address."
    mend = "Write it like name@example.com."


class MailRefused(MalhaError):
    """The server will never take this message; `recipient` says whether it is the address that it does not want."""

    status = 422
    code = "mail_refused"
    says = "The mail server refused the message for good: {answer}"
    mend = "Correct the address or the message; the same one would be refused again."

    def __init__(self, *, answer: str, recipient: bool = False) -> None:
        self.recipient = recipient
        super().__init__(answer=answer)


class MailPostponed(MalhaError):
    """The server does not take this message now."""

    status = 503
    code = "mail_postponed"
    says = "The mail server does not take the message now: {answer}"
    mend = "Nothing to do; it is tried again."


class MailUnreachable(MalhaError):
    """No message got through: no connection, no encryption, or the log-in was refused."""

    status = 503
    code = "mail_unreachable"
    says = "The mail server {host} cannot be used: {answer}"
    mend = "Check MALHA_SMTP_URL and that the server runs; then it is tried again."


class MailUnanswered(MalhaError):
    """The whole message was handed over and the connection ended before the answer."""

    status = 503
    code = "mail_unanswered"
    says = "The mail server {host} did not say whether it took the message: {answer}"
    mend = "Ask the recipient, or look into the server's log, before it is sent again."


class MailServer(msgspec.Struct, frozen=True):
    """Where mail goes out. Its `repr` has no password."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = None
    ca_file: str | None = None

    def __repr__(self) -> str:
        return f"MailServer({self.host!r}, {self.port}, {self.security!r}, user={self.user!r})"


def parse_server(url: str) -> MailServer:
    """Read `smtp://user:password@host:587` or `smtps://...`; user and password are percent-encoded.

    `?ca=/path.pem` names the authority of an own mail server, `?tls=none` turns encryption off for a loopback host.

    Raises:
        ValueError: it is no such address. The sentence never repeats it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("It is no address of a mail server.") from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"} or parts.fragment:
        raise ValueError("It is no address of a mail server.")
    if _CONTROL.search(unquote(url)):
        raise ValueError("It holds control characters.")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= {"tls", "ca"} or options.get("tls", "none") != "none":
        raise ValueError("After the question mark it takes tls=none and ca=/path only.")
    if "tls" in options and (parts.scheme == "smtps" or not _is_loopback(parts.hostname)):
        raise ValueError("Encryption can be left out only for a mail server on this machine.")
    if "ca" in options and not Path(options["ca"]).is_file():
        raise ValueError("There is no such file of certificate authorities.")
    security: Security = "tls" if parts.scheme == "smtps" else "none" if "tls" in options else "starttls"
    return MailServer(
        host=parts.hostname,
        port=port or _PORTS[security],
        security=security,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ca_file=options.get("ca"),
    )


def is_set_up(settings: Settings) -> bool:
    """Return whether the settings name a mail server and a sender."""
    return bool(settings.smtp_url and settings.mail_from)


def server_of(settings: Settings) -> MailServer:
    """Return the mail server of the settings.

    Raises:
        MailNotConfigured: MALHA_SMTP_URL or MALHA_MAIL_FROM is not set.
    """
    for value, name in ((settings.smtp_url, "MALHA_SMTP_URL"), (settings.mail_from, "MALHA_MAIL_FROM")):
        if not value:
            raise MailNotConfigured(setting=name)
    return parse_server(settings.smtp_url or "")


def clean_address(address: str) -> str:
    """Return an e-mail address as it goes on the wire: trimmed, its domain in ASCII and lower case.

    Raises:
        MailAddressWrong: it is none; names around it, comments, quotes and line breaks are not taken either.
    """
    text = address.strip()
    local, at, domain = text.rpartition("@")
    if at and not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            domain = ""
    if (
        len(text) > ADDRESS_LENGTH
        or len(local) > 64
        or not _LOCAL_PART.fullmatch(local)
        or not _DOMAIN.fullmatch(domain)
    ):
        raise MailAddressWrong(address=_CONTROL.sub(" ", text)[:ADDRESS_LENGTH])
    return f"{local}@{domain.lower()}"


def parse_sender(text: str) -> Address:
    """Read `pedidos@loja.example` or `Loja Azul <pedidos@loja.example>`.

    Raises:
        MailAddressWrong: there is no usable address in it.
    """
    name, bracket, rest = text.strip().partition("<")
    if not bracket:
        name, rest = "", text.strip()
    elif not rest.endswith(">"):
        raise MailAddressWrong(address=_CONTROL.sub(" ", text))
    clean = clean_address(rest.removesuffix(">"))
    return Address(display_name=_line(name).strip(' "'), addr_spec=clean)


BOUNCES_LOCAL = 18  # characters before the @ of the address for bounces: the rest of 64 names the message


def parse_bounces(text: str) -> str:
    """Read the address that undeliverable mail comes back to, like `bounces@loja.example`.

    Raises:
        MailAddressWrong: it is none, holds a `+`, or is too long to name a message before its `@`.
    """
    clean = clean_address(text)
    local = clean.partition("@")[0]
    if "+" in local or len(local) > BOUNCES_LOCAL:
        raise MailAddressWrong(address=clean)
    return clean


def compose(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str,
    html: str | None = None,
    to_name: str = "",
    reply_to: str | None = None,
    message_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """Return a message to one person, in plain text and, with `html`, both; readers choose.

    Line breaks and control characters in a header's value become spaces: no value can add a header or a recipient.

    Args:
        sender: an address, or `Name <address>`.
        to: one address.
        subject: one line.
        text: the whole message as plain text.
        html: the same as a page.
        to_name: what to call the recipient.
        reply_to: where answers go, if not to the sender.
        message_id: `<...>`; the same for the same message however often it is tried, so that servers can know it again.
        headers: further ones, like `List-Unsubscribe`.

    Raises:
        MailAddressWrong: sender, recipient or `reply_to` is no address.
    """
    sent_by = parse_sender(sender)
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = sent_by
    message["To"] = Address(display_name=_line(to_name), addr_spec=clean_address(to))
    message["Subject"] = _line(subject)[:SUBJECT_LENGTH]
    message["Date"] = formatdate(time.time(), localtime=False)
    message["Message-ID"] = _line(message_id) if message_id else make_msgid(domain=sent_by.domain)
    if reply_to:
        message["Reply-To"] = parse_sender(reply_to)
    for name, value in (headers or {}).items():
        if name.lower() in _OWN_HEADERS or not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ValueError(f"{name!r} cannot be set here")
        message[name] = _line(value)
    message.set_content(text.replace("\x00", ""), cte="quoted-printable")
    if html is not None:
        message.add_alternative(html.replace("\x00", ""), subtype="html", cte="quoted-printable")
    return message


class Connection:
    """An open, encrypted and logged-in connection, for several messages one after the other."""

    def __init__(self, client: aiosmtplib.SMTP, host: str) -> None:
        self._client = client
        self._host = host

    async def send(self, message: EmailMessage, *, return_path: str | None = None) -> str:
        """Hand over one message to the one person in its `To`; return the server's answer, often with its queue id.

        What cannot be delivered comes back to `return_path`, else to the sender.

        Raises:
            MailRefused, MailPostponed, MailUnreachable, MailUnanswered: see the module.
            MailAddressWrong: it does not name exactly one sender and one recipient.
        """
        sender, to = return_path or _only_address(message, "From"), _only_address(message, "To")
        try:
            await self._client.mail(sender)
            await self._client.rcpt(to)
        except aiosmtplib.SMTPResponseException as error:
            await self._reset()
            raise _refusal(error, recipient=isinstance(error, aiosmtplib.SMTPRecipientRefused)) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUnreachable(host=self._host, answer=_said(error)) from None
        try:
            response = await self._client.data(message.as_bytes())
        except aiosmtplib.SMTPDataError as error:
            raise _refusal(error) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUnanswered(host=self._host, answer=_said(error)) from None
        return _line(response.message)[:ANSWER_LENGTH]

    async def _reset(self) -> None:
        """Forget the envelope of a refused message. A connection that cannot is found out by the next one."""
        try:
            await self._client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._client.close()


@asynccontextmanager
async def connect(server: MailServer, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Connection]:
    """Open a connection for the block.

    Raises:
        MailUnreachable: no connection, no encryption, a wrong certificate, or the log-in was refused.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        timeout=timeout_s,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=None if server.security == "none" else ssl.create_default_context(cafile=server.ca_file),
    )
    try:
        await client.connect()
        if server.user is not None:
            await client.login(server.user, server.password or "")
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        raise MailUnreachable(host=server.host, answer=_said(error)) from None
    try:
        yield Connection(client, server.host)
    finally:
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError):
            client.close()


async def send(server: MailServer, message: EmailMessage, *, timeout_s: float = TIMEOUT_S) -> str:
    """Send one message over a connection of its own; return the server's answer.

    Raises:
        MailRefused, MailPostponed, MailUnreachable, MailUnanswered, MailAddressWrong: see `Connection.send`.
    """
    async with connect(server, timeout_s=timeout_s) as connection:
        return await connection.send(message)


def _only_address(message: EmailMessage, header: str) -> str:
    try:
        addresses = [a.addr_spec for value in message.get_all(header, []) for a in value.addresses]
    except (AttributeError, HeaderParseError):
        addresses = []
    if len(addresses) != 1:
        raise MailAddressWrong(address=_line(str(message.get(header, ""))))
    return clean_address(addresses[0])


def _refusal(error: aiosmtplib.SMTPResponseException, *, recipient: bool = False) -> MailRefused | MailPostponed:
    answer = f"{error.code} {_line(error.message)}"[:ANSWER_LENGTH]
    if error.code >= 500:
        return MailRefused(answer=answer, recipient=recipient)
    return MailPostponed(answer=answer)


def _said(error: BaseException) -> str:
    """Return what a person may read: the server's words, never what was sent to it."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {_line(error.message)}"[:ANSWER_LENGTH]
    return _line(str(error) or type(error).__name__)[:ANSWER_LENGTH]


def _line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
