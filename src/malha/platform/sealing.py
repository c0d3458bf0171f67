"""Secrets at rest: what must be given to others again (a provider's password) is in the database only encrypted.

AES-256-GCM under a key derived for the purpose from `Settings.secret()`. Who has the database but not the key has
nothing; a backup of the database needs the key beside it to send messages again. A new column for such a secret needs a
line in `privacy.sealed`.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from malha.platform.errors import MalhaError
from malha.platform.signing import Keys, derive

_VERSION = b"\x01"
_NONCE = 12


class SealBroken(MalhaError):
    """A stored secret was encrypted with a key that is neither the present nor the former one."""

    status = 409
    code = "seal_broken"
    says = "A stored secret cannot be read: it was encrypted with another secret key."
    mend = "Set MALHA_SECRET_KEY_PREVIOUS to the former key, or enter the secret again."


def seal(keys: Keys, purpose: str, secret: str) -> bytes:
    """Return a secret encrypted for one purpose; never the same bytes twice."""
    nonce = os.urandom(_NONCE)
    return _VERSION + nonce + _cipher(keys.current, purpose).encrypt(nonce, secret.encode(), purpose.encode())


def unseal(keys: Keys, purpose: str, sealed: bytes) -> str:
    """Return the secret.

    Raises:
        SealBroken: it was sealed with an unknown key or for another purpose, or was changed.
    """
    if sealed[:1] == _VERSION:
        nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        for key in (keys.current, keys.previous):
            if key is not None:
                try:
                    return _cipher(key, purpose).decrypt(nonce, text, purpose.encode()).decode()
                except (InvalidTag, ValueError):
                    continue
    raise SealBroken


def resealed(keys: Keys, purpose: str, sealed: bytes) -> bytes | None:
    """Return a secret sealed with the present key; None where it is already.

    Raises:
        SealBroken: neither key opens it.
    """
    try:
        unseal(Keys(keys.current), purpose, sealed)
    except SealBroken:
        return seal(keys, purpose, unseal(keys, purpose, sealed))
    return None


def _cipher(key: bytes, purpose: str) -> AESGCM:
    return AESGCM(derive(key, f"seal:{purpose}"))
