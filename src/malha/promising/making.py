"""What a date is made of, as it is stored and read again. Pure."""

from typing import Any

import msgspec

from malha.promising.model import Made

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Made).decode


def stored(made: Made) -> str:
    """Return it as it is stored."""
    return _encode(made).decode()


def read_made(found: str | bytes | dict[str, Any]) -> Made:
    """Return what was stored.

    Raises:
        msgspec.ValidationError: it is nothing of the kind.
    """
    if isinstance(found, dict):
        return msgspec.convert(found, Made)
    return _decode(found)
