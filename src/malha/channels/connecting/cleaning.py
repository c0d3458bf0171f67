"""What no database keeps of what peers say: NUL characters, which JSON may hold and PostgreSQL's texts may not.

They are shown as U+FFFD, so that a person sees that something stood there. One in a name would otherwise keep a whole
page of orders from being taken.
"""

from typing import Any

import msgspec

NUL, SHOWN = "\x00", "\ufffd"
_ESCAPED = b"\\u0000"
_encode = msgspec.json.Encoder().encode


def text(value: str) -> str:
    """Return a text that can be kept."""
    return value.replace(NUL, SHOWN)


def body(encoded: bytes) -> bytes:
    """Return JSON, as msgspec encodes it, whose texts can be kept."""
    return encoded if _ESCAPED not in encoded else _encode(_cleaned(msgspec.json.decode(encoded)))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {text(name): _cleaned(each) for name, each in value.items()}
    return value
