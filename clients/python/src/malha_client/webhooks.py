"""Webhooks as Standard Webhooks says: is it from Malha, and is it fresh?"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

import msgspec

from malha_client.models import Envelope

PREFIX = "whsec_"
TOLERANCE_S = 300


class NotVerified(Exception):
    """It is not signed with any of the secrets, is too old, or is no webhook."""


_decode = msgspec.json.Decoder(Envelope).decode


def verify(
    secrets: str | Sequence[str], headers: Mapping[str, str], body: bytes, *, tolerance_s: float = TOLERANCE_S
) -> Envelope:
    """Return the event of a webhook that was signed with one of the secrets in the last minutes.

    Give the body as it came, not decoded. The same `id` may come again: drop what you have seen.

    Raises:
        NotVerified: do not believe it.
    """
    said = {name.lower(): value for name, value in headers.items()}
    id_, timestamp, signatures = (said.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id_ or not timestamp.isascii() or not timestamp.isdigit():
        raise NotVerified("headers are missing")
    if abs(time.time() - int(timestamp)) > tolerance_s:
        raise NotVerified("it is not of these minutes")
    signed = f"{id_}.{timestamp}.".encode() + body
    given = [part.partition(",")[2] for part in signatures.split(" ") if part.startswith("v1,")]
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError("this is no secret of webhooks") from error
        wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        if any(hmac.compare_digest(wanted, one) for one in given):
            try:
                return _decode(body)
            except msgspec.DecodeError as error:
                raise NotVerified("it is no event") from error
    raise NotVerified("no signature fits")
