"""A database that is away for a while: nobody can connect to it, and who was connected is thrown out."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg

from malha.platform.db import Database

THROWN_OUT = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"


class Absence:
    """One database that is taken away, and comes back at the latest at the end of the test."""

    def __init__(self, database: Database) -> None:
        address = urlsplit(database.url)
        self._name = address.path.lstrip("/")
        self._server = urlunsplit(address._replace(path="/postgres"))

    def begin(self, *, for_all: bool = True) -> None:
        """Let nobody in, and throw everybody out; or leave those who are in, `for_all` being false."""
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
            if for_all:
                admin.execute(THROWN_OUT, (self._name,))

    def end(self) -> None:
        """Let everybody in again."""
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')


@contextmanager
def absence(database: Database) -> Iterator[Absence]:
    """Give what takes a database away; it is back at the end."""
    found = Absence(database)
    try:
        yield found
    finally:
        found.end()
