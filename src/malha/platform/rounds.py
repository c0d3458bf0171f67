"""Rounds of work that begin again whatever becomes of one of them, and what the log is told.

rounds = Rounds(log, waits="pushes_wait", failed="pushes_failed")
while not stop.is_set():
    with rounds:
        await push(db)

While the database is away every round fails, once a second and for as long as that takes. That is told once, in one
line without a traceback (`waits`), and once more when a round is done again (`goes_on`). Anything else is a defect,
told each time with its traceback (`failed`); the next round tries again.

A loop whose round does not end, as one that listens, says by `done` that it is at work again.
"""

import time
from types import TracebackType
from typing import Any

from psycopg import InterfaceError, OperationalError

_AWAY: tuple[type[Exception], ...] = (
    OperationalError,
    InterfaceError,
)  # of the pool, too: that none became free in time


def is_away(error: BaseException) -> bool:
    """Tell whether an error, or all errors of a group, say no more than that the database is not there now."""
    return _is_of(error, _AWAY)


def _is_of(error: BaseException, kinds: tuple[type[Exception], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of(each, kinds) for each in error.exceptions)
    return isinstance(error, kinds)


def tell(log: Any, event: str, error: Exception, **facts: Any) -> None:
    """Log what failed: in one line where the database is away, which is no defect, else with its traceback."""
    if is_away(error):
        log.warning(event, error=str(error), **facts)
    else:
        log.error(event, exc_info=error, **facts)


class Rounds:
    """The rounds of one loop. As a context it lets no exception out, but those that end the loop's task."""

    def __init__(
        self, log: Any, *, waits: str, failed: str, also: tuple[type[Exception], ...] = (), **facts: Any
    ) -> None:
        """`also`: what else is waited out, being no defect of the loop."""
        self._log = log
        self._waited_out = (*_AWAY, *also)
        self._waits, self._failed = waits, failed
        self._facts = facts
        self._away_since: float | None = None

    def __enter__(self) -> None:
        """Begin a round."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End a round; tell of its failure."""
        if error is None:
            self.done()
        elif not isinstance(error, Exception):
            return False
        else:
            self.met(error)
        return True

    def met(self, error: Exception) -> None:
        """Tell of a failure, where a round is no block of code."""
        if is_away(error) or _is_of(error, self._waited_out):
            self._wait(error)
        else:
            self._log.error(self._failed, exc_info=error, **self._facts)

    def done(self) -> None:
        """Note that the work goes on, at the end of a round or amid it."""
        if self._away_since is not None:
            waited = round(time.monotonic() - self._away_since, 1)
            self._away_since = None
            self._log.info("goes_on", after=self._waits, waited_s=waited, **self._facts)

    def _wait(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._log.warning(self._waits, error=str(error), **self._facts)
