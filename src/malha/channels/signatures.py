"""How webhooks prove where they come from: an HMAC over something canonical, in some header, in some spelling.

Pure. Secrets are compared in constant time, every one of them, so that how long it takes says nothing.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

TOLERANCE_S = 300.0


class Spelling(StrEnum):
    """How a digest is written."""

    HEX = "hex"
    BASE64 = "base64"


def is_hmac(
    secrets: Sequence[str],
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
        hmac.compare_digest(hmac.digest(secret.encode(), canonical, getattr(hashlib, algorithm)), given)
        for secret in secrets
        if secret
    ]
    return any(fits)


def _digest_of(text: str, spelling: Spelling) -> bytes:
    try:
        if spelling is Spelling.HEX:
            return bytes.fromhex(text) if text.isascii() else b""
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


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
    canonical = f"{id_}.{timestamp}.".encode() + body
    given = [part.removeprefix("v1,") for part in said.split(" ") if part.startswith("v1,")][:8]
    fits = [is_hmac(secrets, canonical, each) for each in given]  # all of them, whichever fits
    return any(fits)
