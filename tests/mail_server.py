"""A real mail server for tests: aiosmtpd on a free port, with TLS, a log-in, and answers that a test can script.

async with mail_server(tmp_path) as server:
    settings = replace(settings, smtp_url=server.url, mail_from="Loja Azul <pedidos@loja.example>")
    ...
    assert server.inbox[0]["Subject"] == "..."
"""

import asyncio
import datetime as dt
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "malha", "s3cret/word"


class Mailbox:
    """What arrived, and what is answered next. Set `answer_to` or `answer_data` to refuse; `hang` to say nothing."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.inbox: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.logins: list[str] = []
        self.answer_to: dict[str, str] = {}
        self.answer_data: list[str] = []
        self.after_data: Callable[[], None] | None = None
        self.drop_after_data = False

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802 -- aiosmtpd's name
        answer = self.answer_to.get(address, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 -- aiosmtpd's name
        if self.answer_data and not (answer := self.answer_data.pop(0)).startswith("2"):
            return answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.inbox.append(message)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        if self.after_data is not None:
            self.after_data()
        if self.drop_after_data:
            server.transport.abort()
        return f"250 queued as {len(self.inbox)}"

    def authenticate(self, server, session, envelope, mechanism, login) -> AuthResult:
        known = login.login == USER.encode() and login.password == PASSWORD.encode()
        self.logins.append(login.login.decode())
        return AuthResult(success=known, handled=known)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine's loopback names, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail server of a test")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "mail.pem", folder / "mail.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@asynccontextmanager
async def mail_server(folder: Path, security: str = "starttls", port: int = 0) -> AsyncIterator[Mailbox]:
    """A server with log-in that takes mail after STARTTLS (`starttls`), from the first byte (`tls`), or plain (`none`)."""
    box = Mailbox()
    cert_file, key_file = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)

    def protocol() -> SMTP:
        return SMTP(
            box,
            hostname="mail.test",
            loop=asyncio.get_running_loop(),
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            auth_require_tls=security == "starttls",
            auth_required=security == "starttls",  # aiosmtpd does not count TLS from the first byte
            authenticator=box.authenticate,
            enable_SMTPUTF8=False,
        )

    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", port, ssl=context if security == "tls" else None
    )
    box.port = server.sockets[0].getsockname()[1]
    login = f"{USER}:{PASSWORD.replace('/', '%2F')}@"
    box.url = {
        "starttls": f"smtp://{login}127.0.0.1:{box.port}?ca={cert_file}",
        "tls": f"smtps://{login}127.0.0.1:{box.port}?ca={cert_file}",
        "none": f"smtp://127.0.0.1:{box.port}?tls=none",
    }[security]
    try:
        yield box
    finally:
        server.close()
