"""Identifiers: UUIDv7 for what is created all day, small integers for reference data (ADR 0002).

People never see either: they see order numbers, SKUs and codes.
"""

from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["UUID", "new_id"]


def new_id() -> UUID:
    """Return a new UUIDv7: its order is the order of creation to the millisecond, so index inserts stay local."""
    return uuid7()
