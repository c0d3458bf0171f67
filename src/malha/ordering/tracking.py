"""The address under which a buyer follows one order, without a password: `/track/<token>`.

The token is signed and runs out; it says nothing but which order it is for. What the page behind it shows is decided
there. Whoever has the address may look, so it goes to the buyer only.
"""

from datetime import datetime, timedelta

from malha.platform import signing
from malha.platform.ids import UUID
from malha.platform.signing import Keys, TokenWrong

PURPOSE = "tracking"
PATH = "/track/"
DAYS = 180


def tracking_path(keys: Keys, order_id: UUID, *, at: datetime, days: int = DAYS) -> str:
    """Return the path under which an order can be followed for some days from `at`."""
    # Whole days, so that an order has one address a day, not a new one in every message.
    until = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days + 1)
    return PATH + signing.sign(keys, PURPOSE, order_id.bytes, until=until)


def tracking_address(keys: Keys, base: str, order_id: UUID, *, at: datetime, days: int = DAYS) -> str:
    """Return the whole address; `base` is where this server is reached, like `https://oms.example.com`."""
    return base.rstrip("/") + tracking_path(keys, order_id, at=at, days=days)


def tracked_order(keys: Keys, token: str, *, at: datetime) -> UUID:
    """Return which order a token is for. That the order still exists is for the caller to find out.

    Raises:
        TokenWrong: it was not made here, or for something else.
        TokenExpired: its days are over.
    """
    payload = signing.read(keys, PURPOSE, token, at=at)
    if len(payload) != 16:
        raise TokenWrong
    return UUID(bytes=payload)
