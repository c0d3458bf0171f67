"""Compiled modules, kept for a session where the environment forbids Python to keep any.

A process that may neither find nor keep them compiles all of Malha before it begins, which takes it three times as long
as to import it; the tests start hundreds. The folder is the session's own and goes with it: the checkout stays clean.
"""

import os
import shutil
import tempfile

FORBIDDEN = "PYTHONDONTWRITEBYTECODE"
PLACE = "PYTHONPYCACHEPREFIX"


class Bytecode:
    """Where processes started from here keep and find compiled modules while the session runs."""

    def __init__(self, place: str | None) -> None:
        self.place = place
        self._before = {name: os.environ.get(name) for name in (FORBIDDEN, PLACE)}
        if place is not None:
            os.environ.pop(FORBIDDEN, None)
            os.environ[PLACE] = place

    @classmethod
    def open(cls) -> "Bytecode":
        """Make a folder where keeping is forbidden, else leave all as it is: Python keeps them beside the sources."""
        return cls(tempfile.mkdtemp(prefix="malha-bytecode-") if os.environ.get(FORBIDDEN) else None)

    def close(self) -> None:
        """Remove the folder and forbid again."""
        if self.place is None:
            return
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.place, ignore_errors=True)
