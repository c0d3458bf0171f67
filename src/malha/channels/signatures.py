"""How webhooks prove where they come from: an HMAC over something canonical, in some header, in some spelling.

Pure. Secrets are compared in constant time, every one of them, so that how long it takes says nothing.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

TOLERANCE_S = 300.0
SECRET_PREFIX = "whsec_"  # noqa: S105 -- begins a secret of Standard Webhooks; its key follows in base64


class Spelling(StrEnum):
    """How a digest is written."""

    HEX = "hex"
    BASE64 = "base64"


def is_hmac(
    secrets: Sequence[str | bytes],
    canonical: bytes,
    said: str,
    *,
    algorithm: str = "sha256",
    spelling: Spelling = Spelling.BASE64,
    prefix: str = "",
) -> bool:
    """Tell whether `said` is the HMAC of `canonical` by one of the secrets. A secret that is empty proves nothing."""
    if not said.startswith(prefix):
        return False
    given = _digest_of(said.removeprefix(prefix), spelling)
    fits = [
        hmac.compare_digest(hmac.digest(_key_of(secret), canonical, getattr(hashlib, algorithm)), given)
        for secret in secrets
        if secret
    ]
    return any(fits)


def _key_of(secret: str | bytes) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


def _digest_of(text: str, spelling: Spelling) -> bytes:
    try:
        if spelling is Spelling.HEX:
            return bytes.fromhex(text) if text.isascii() else b""
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def standard_keys(secret: str) -> list[str | bytes]:
    """Return the keys that a secret of Standard Webhooks may mean, the first as their libraries read it.

    After `whsec_` the key is in base64; any other secret, and this one for who takes it as it is, is its own bytes.
    """
    if secret.startswith(SECRET_PREFIX):
        text = secret.removeprefix(SECRET_PREFIX)
        decoded = _digest_of(text + "=" * (-len(text) % 4), Spelling.BASE64)
        if decoded:
            return [decoded, secret]
    return [secret]


def sign_standard(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature` of a message: a signature for each key that the secret may mean."""
    return signature_of(map(_key_of, standard_keys(secret)), id_, timestamp, body)


def signature_of(keys: Iterable[bytes], id_: str, timestamp: int, body: bytes) -> str:
    """Return what the header `webhook-signature` says: one signature for each key, by Standard Webhooks."""
    canonical = _canonical(id_, timestamp, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, canonical, hashlib.sha256)).decode() for key in keys)


def _canonical(id_: str, timestamp: int | str, body: bytes) -> bytes:
    return f"{id_}.{timestamp}.".encode() + body


def is_standard(
    secrets: Sequence[str],
    *,
    id_: str,
    timestamp: str,
    body: bytes,
    said: str,
    now: datetime,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Tell whether a message is signed as Standard Webhooks says, by one of the secrets, and is not stale.

    `said` is the header: one or more signatures `v1,<base64>`, separated by spaces.
    """
    if not id_ or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    if abs(now.timestamp() - int(timestamp)) > tolerance_s:
        return False
    canonical = _canonical(id_, timestamp, body)
    given = [part.removeprefix("v1,") for part in said.split(" ") if part.startswith("v1,")][:8]
    keys = [key for secret in secrets for key in standard_keys(secret)]
    fits = [is_hmac(keys, canonical, each) for each in given]  # all of them, whichever fits
    return any(fits)
