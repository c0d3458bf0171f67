"""What is known of pictures."""

from collections.abc import Sequence

from malha.catalog.pictures.model import Size, Told
from malha.platform.db import Tx

# By primary key.
SMALL_OF = """
SELECT small FROM picture WHERE key = %(key)s::text
"""
LARGE_OF = """
SELECT large FROM picture WHERE key = %(key)s::text
"""
TOLD_OF = """
SELECT key, state, coalesce(why, '') AS why FROM picture WHERE key = ANY (%(keys)s::text[])
"""
WANTED_OF = """
SELECT key, url FROM picture WHERE key = ANY (%(keys)s::text[]) AND state = 'wanted' ORDER BY key
"""


async def picture(tx: Tx, key: str, size: Size) -> bytes | None:
    """Return a picture, a WebP; None: it is not here."""
    found = await tx.value(SMALL_OF if size is Size.SMALL else LARGE_OF, {"key": key})
    return None if found is None else bytes(found)


async def told(tx: Tx, keys: Sequence[str]) -> dict[str, Told]:
    """Return where pictures stand; nobody asked for those that are left out."""
    return {found.key: found for found in await tx.all(Told, TOLD_OF, {"keys": list(keys)})}


async def wanted(tx: Tx, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pictures (key, address) of some that have still to be fetched."""
    return [(key, url) for key, url in await tx.tuples(WANTED_OF, {"keys": list(keys)})]
