"""The address under which a buyer follows one order, without a password: `/track/<token>`.

The token is signed and runs out; it says nothing but which order it is for. What the page behind it shows is decided
there. Whoever has the address may look, so it goes to the buyer only.

It remembers, by a mark, to which e-mail or telephone it was sent: once that is not the buyer's any more, because it was
mistyped and is corrected, it leads whoever got it nowhere.
"""

import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from malha.platform import signing
from malha.platform.ids import UUID
from malha.platform.signing import Keys, TokenExpired, TokenWrong

PURPOSE = "tracking"
PATH = "/track/"
DAYS = 180
_MARK = 3  # bytes: it tells addresses apart, and every letter of a link is one less in an SMS


def tracking_path(keys: Keys, order_id: UUID, *, at: datetime, days: int = DAYS, to: str | None = None) -> str:
    """Return the path under which an order can be followed for some days from `at`.

    `to`: the buyer's e-mail or telephone it is sent to; None: it is good whoever the buyer is.
    """
    # Whole days, so that an order has one address a day, not a new one in every message.
    until = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days + 1)
    mark = _mark(keys.current, to) if to and to.strip() else b""
    return PATH + signing.sign(keys, PURPOSE, order_id.bytes + mark, until=until)


def tracking_address(
    keys: Keys, base: str, order_id: UUID, *, at: datetime, days: int = DAYS, to: str | None = None
) -> str:
    """Return the whole address; `base` is where this server is reached, like `https://oms.example.com`."""
    return base.rstrip("/") + tracking_path(keys, order_id, at=at, days=days, to=to)


class Link(NamedTuple):
    """What a token says: which order it is for, and the mark of where it was sent; empty: nowhere in particular."""

    order_id: UUID
    mark: bytes

    def refuse_moved(self, keys: Keys, now_at: Iterable[str | None]) -> None:
        """Refuse what was sent to where the buyer is not: `now_at` are their e-mail and telephone as of now.

        Raises:
            TokenExpired: it was sent to an address that was corrected since.
        """
        known = [_mark(key, one) for one in now_at if one for key in (keys.current, keys.previous) if key]
        if self.mark and self.mark not in known:
            raise TokenExpired


def read_link(keys: Keys, token: str, *, at: datetime) -> Link:
    """Return what a token says. That the order still exists, and where its buyer is, is for the caller to find out.

    Raises:
        TokenWrong: it was not made here, or for something else.
        TokenExpired: its days are over.
    """
    payload = signing.read(keys, PURPOSE, token, at=at)
    if len(payload) not in {16, 16 + _MARK}:
        raise TokenWrong
    return Link(UUID(bytes=payload[:16]), payload[16:])


def _mark(key: bytes, to: str) -> bytes:
    return hmac.digest(signing.derive(key, "tracking-to"), to.strip().lower().encode(), "sha256")[:_MARK]
