"""Whether the reader of a stream is still signed in, with the rights they had when it began.

standing = Standing(caller, look_again)
while ...:
    if not await standing.holds():
        return                      # the reader opens another one, with the rights of now, or is refused
    yield ...
"""

import time
from collections.abc import Awaitable, Callable

from malha.identity.model import Caller

LOOK_AGAIN_S = 5.0  # how long what is known of a reader's rights is taken for granted


class Standing:
    """Asked before something is told: one look at the session by its primary key, every few seconds at most.

    Keys are remembered by `service.Keys`.
    """

    def __init__(self, caller: Caller, look_again: Callable[[], Awaitable[Caller | None]]) -> None:
        self._rights = _rights_of(caller)
        self._look_again = look_again
        self._looked = time.monotonic()

    async def holds(self) -> bool:
        """Return whether the stream may go on."""
        if time.monotonic() - self._looked < LOOK_AGAIN_S:
            return True
        self._looked = time.monotonic()
        caller = await self._look_again()
        return caller is not None and _rights_of(caller) == self._rights


def _rights_of(caller: Caller) -> tuple[object, ...]:
    return caller.kind, caller.id, caller.permissions, caller.locations
