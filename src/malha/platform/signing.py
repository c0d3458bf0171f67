"""Signed tokens: something small that we hand out, and later believe because only we can have made it.

A token holds when it runs out and a few bytes, and is good for one purpose only: what was made to follow an order
cannot reset a password. It is signed, not encrypted: whoever holds one can read it, so it holds ids, nothing personal.

    keys = signing.keys_of(settings)
    token = signing.sign(keys, "tracking", order_id.bytes, until=now() + timedelta(days=180))
    UUID(bytes=signing.read(keys, "tracking", token, at=now()))       # TokenWrong, TokenExpired

HMAC-SHA256 under a key derived for the purpose from `Settings.secret()`, which all processes share. To change the key,
set the new one as MALHA_SECRET_KEY and the former one as MALHA_SECRET_KEY_PREVIOUS until the last token made with it
has run out: both are believed, only the new one signs. What is stored sealed is sealed anew by `malha reseal`.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

import msgspec

from malha.platform.errors import MalhaError
from malha.platform.settings import Settings

_EXPIRY = 5  # bytes of seconds since 1970: until the year 36812
_DIGEST = 32
_LONGEST = 1_024  # characters; what is longer was never made here


class TokenWrong(MalhaError):
    """Nobody here made this token, or it was made for something else."""

    status = 404
    code = "token_wrong"
    says = "This link is not valid."
    mend = "Open the link exactly as it was sent, or ask for a new one."


class TokenExpired(MalhaError):
    """The token was good once."""

    status = 410
    code = "token_expired"
    says = "This link is no longer valid."
    mend = "Ask for a new one."


class Keys(msgspec.Struct, frozen=True):
    """What signs, and what is believed besides. Its `repr` shows neither."""

    current: bytes
    previous: bytes | None = None

    def __repr__(self) -> str:
        return "Keys(...)"


def keys_of(settings: Settings) -> Keys:
    """Return the keys of the settings; the first call on a new data directory makes one.

    Raises:
        SettingsError: the kept key cannot be read or written.
    """
    previous = settings.secret_key_previous
    return Keys(settings.secret().encode(), previous.encode() if previous else None)


def sign(keys: Keys, purpose: str, payload: bytes, *, until: datetime) -> str:
    """Return a token, fit for a URL, that `read` accepts for the same purpose until a time, rounded up to a second."""
    body = _second(until).to_bytes(_EXPIRY, "big") + payload
    return urlsafe_b64encode(body + _mac(keys.current, purpose, body)).rstrip(b"=").decode("ascii")


def read(keys: Keys, purpose: str, token: str, *, at: datetime) -> bytes:
    """Return what a token holds.

    Raises:
        TokenWrong: it was not made here for this purpose, or was changed.
        TokenExpired: it was, but ran out.
    """
    if len(token) > _LONGEST or not token.isascii():
        raise TokenWrong
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise TokenWrong from None
    # The decoder passes over strange characters and loose last bits; one token has one spelling.
    if len(raw) < _EXPIRY + _DIGEST or urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != token:
        raise TokenWrong
    body, mac = raw[:-_DIGEST], raw[-_DIGEST:]
    # Every key is tried, whichever fits: how long it takes says nothing.
    fits = [
        hmac.compare_digest(_mac(key, purpose, body), mac) for key in (keys.current, keys.previous) if key is not None
    ]
    if not any(fits):
        raise TokenWrong
    if at.timestamp() >= int.from_bytes(body[:_EXPIRY], "big"):
        raise TokenExpired
    return body[_EXPIRY:]


def derive(key: bytes, purpose: str) -> bytes:
    """Return 32 bytes that belong to one purpose; neither the key nor another purpose's bytes follow from them."""
    return hmac.digest(key, b"malha:" + purpose.encode(), "sha256")


def _mac(key: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.digest(derive(key, f"sign:{purpose}"), body, "sha256")


def _second(instant: datetime) -> int:
    return -int(-instant.timestamp() // 1)
