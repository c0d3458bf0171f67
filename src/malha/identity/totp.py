"""Time-based one-time passwords (RFC 6238, the kind every authenticator app makes): SHA-1, six digits, 30 seconds.

Pure: the clock comes in as a value.
"""

import hmac
from base64 import b32decode, b32encode
from datetime import datetime
from urllib.parse import quote, urlencode

DIGITS = 6
PERIOD_S = 30
SECRET_BYTES = 20  # what RFC 4226 recommends
_APART = 1  # steps that a phone's clock may be off


def encoded(secret: bytes) -> str:
    """Return a secret as people and apps write it, in base 32."""
    return b32encode(secret).decode("ascii").rstrip("=")


def decoded(text: str) -> bytes:
    """Return the secret that `encoded` wrote."""
    return b32decode(text + "=" * (-len(text) % 8))


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step (RFC 4226, section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_at(at: datetime) -> int:
    """Return the time step of an instant."""
    return int(at.timestamp()) // PERIOD_S


def step_of(secret: bytes, code: str, at: datetime) -> int | None:
    """Return the time step that a code belongs to, None if it is not of now, the step before or the one after."""
    now, found = step_at(at), None
    for step in range(now - _APART, now + _APART + 1):  # all of them, whichever fits: the time it takes says nothing
        if hmac.compare_digest(code_at(secret, step), code):
            found = step
    return found


def address(secret: bytes, *, issuer: str, account: str) -> str:
    """Return what the QR code says, as apps read it: `otpauth://totp/Issuer:account?secret=...`."""
    label = quote(f"{issuer.replace(':', ' ')}:{account}")
    facts = {"secret": encoded(secret), "issuer": issuer.replace(":", " ")}
    return f"otpauth://totp/{label}?{urlencode(facts, quote_via=quote)}"
