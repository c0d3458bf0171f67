"""Browsers by which somebody came in before: their tries at that account are counted apart from everybody else's.

Whoever knows an e-mail could otherwise keep its person out for good, by failing on purpose every quarter of an hour.
Who has a browser's mark was let in here before, and gets no more tries with it than anybody.
"""

import secrets
from datetime import datetime, timedelta

import msgspec

from malha.platform import signing
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.platform.signing import Keys

PURPOSE = "known-browser"
LASTS = timedelta(days=180)  # since it was last let in
_PERSON, _MARK = 16, 9  # bytes


class Known(msgspec.Struct, frozen=True):
    """Whom a browser let in before, and what tells it from their others."""

    person_id: UUID
    mark: str


def marked(keys: Keys, person_id: UUID, at: datetime) -> str:
    """Return what a browser keeps of having let somebody in; another one each time."""
    return signing.sign(keys, PURPOSE, person_id.bytes + secrets.token_bytes(_MARK), until=at + LASTS)


def known(keys: Keys, kept: str, at: datetime) -> Known | None:
    """Return whom a browser let in before; None: nobody, too long ago, or it was made up."""
    try:
        payload = signing.read(keys, PURPOSE, kept, at=at)
    except MalhaError:
        return None
    if len(payload) != _PERSON + _MARK:
        return None
    return Known(UUID(bytes=payload[:_PERSON]), payload[_PERSON:].hex())
