"""Delivery status notifications (RFC 3464): what a mail server says about a mail it could not deliver. Pure.

Which message it is about is read from the address it came to (`returns.return_path`), else from the `Message-ID` of the
mail it quotes, which only its recipient and the servers on its way have seen.
"""

import re
from collections.abc import Iterator
from email.message import EmailMessage, Message

import msgspec

from malha.notifications import returns
from malha.notifications.contract import Receipt, Status
from malha.platform.ids import UUID
from malha.platform.signing import Keys

# Where servers write the address that a mail was delivered to.
_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To")
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
# The address itself is bad (RFC 3463): no such mailbox or domain, moved away, syntax, disabled.
_BAD_ADDRESS = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
_ID = re.compile(r"<([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})@", re.IGNORECASE)
_WORDS = 300


class Report(msgspec.Struct, frozen=True):
    """What a mail in the box for bounces is: a receipt, or why it is none."""

    receipt: Receipt | None
    why: str = ""  # no_message, no_report, delayed, delivered


def read_report(keys: Keys, mail: EmailMessage) -> Report:
    """Return what a notification says; what is none, or about no mail of ours, says so."""
    message_id = _message_of(keys, mail)
    if message_id is None:
        return Report(None, "no_message")
    fields = list(_fields(mail))
    if not fields:
        return Report(None, "no_report")
    for field in fields:
        action = str(field.get("Action", "")).strip().lower()
        status = _STATUS.search(str(field.get("Status", "")))
        diagnostic = " ".join(str(field.get("Diagnostic-Code", "")).split())
        if action == "failed" or (not action and status and status[1] == "5"):
            code = f"{status[2]}.{status[3]}" if status else ""
            said = _STATUS.search(diagnostic)
            # Many servers say 5.0.0 above and what it is in their own words below.
            if said and code in {"", "0.0"}:
                code = f"{said[2]}.{said[3]}"
            bad = code in _BAD_ADDRESS and (status is None or status[1] == "5")
            words = f"{status[0] if status else ''} {diagnostic}".strip()[:_WORDS]
            receipt = Receipt(reference=str(message_id), status=Status.BOUNCED, words=words, bad_address=bad)
            return Report(receipt)
        if action in {"delivered", "relayed", "expanded"}:
            return Report(None, "delivered")
    return Report(None, "delayed")


def _message_of(keys: Keys, mail: EmailMessage) -> UUID | None:
    for name in _TO:
        for value in mail.get_all(name, []):
            found = returns.returned_message(keys, str(value))
            if found is not None:
                return found
    for part in _quoted(mail):
        named = _ID.search(str(part.get("Message-ID", "")))
        if named:
            return UUID(named[1])
    return None


def _quoted(mail: EmailMessage) -> Iterator[Message]:
    """Yield the headers of the mail that came back."""
    for part in mail.walk():
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                yield inner[0]
        elif part.get_content_type() == "text/rfc822-headers":
            import email  # noqa: PLC0415 -- the module, beside a parameter's usual name

            yield email.message_from_string(str(part.get_payload()))


def _fields(mail: EmailMessage) -> Iterator[Message]:
    """Yield the fields of each recipient; the first block is about the whole mail."""
    for part in mail.walk():
        if part.get_content_type() == "message/delivery-status":
            blocks = part.get_payload()
            if isinstance(blocks, list):
                yield from (b for b in blocks if isinstance(b, Message) and ("Action" in b or "Status" in b))
