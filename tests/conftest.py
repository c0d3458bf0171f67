"""Fixtures every test may use. `database` is a migrated, empty retailer in a database of its own.

The server is the one in `MALHA_TEST_DATABASE_URL` (its role must be allowed to create databases), else an embedded
PostgreSQL 18 that lives as long as the session, without fsync, in a temporary directory. Under xdist the controller
owns it for all.

Temporary directories are in memory where there is room (see `memory.py`).
"""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from tests.bytecode import Bytecode
from tests.memory import Scratch

from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.embedded import VOLATILE, EmbeddedPostgres
from malha.platform.migrate import migrate

# How long an example takes, or what it is drawn from, says how busy the machine is, not whether the code is right. What
# is drawn is the same in each run, so that a failure belongs to a change; `make fuzz` draws anew each time.
EXPLORE = int(os.environ.get("MALHA_TEST_EXPLORE", "0"))
hypothesis_settings.register_profile(
    "malha",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not EXPLORE,
    max_examples=EXPLORE or 100,
)
hypothesis_settings.load_profile("malha")

RETAILER = "malha"
DEBIAN_15 = Path("/usr/lib/postgresql/15")
SMALL = {"max_wal_size": "256MB", "min_wal_size": "64MB"}  # it may be in memory
_cluster = pytest.StashKey[EmbeddedPostgres]()
_scratch = pytest.StashKey[Scratch]()
_bytecode = pytest.StashKey[Bytecode]()


def pytest_configure(config: pytest.Config) -> None:
    os.environ["LC_ALL"] = "C.UTF-8"  # commands speak the language of their terminal, whoever's it is
    if not hasattr(config, "workerinput"):  # workers have their controller's
        config.stash[_scratch] = Scratch.open()
        config.stash[_bytecode] = Bytecode.open()


def _start_cluster(config: pytest.Config) -> str:
    """Start the session's own server, once; it is stopped and removed when the session ends."""
    if _cluster not in config.stash:
        home = Path(tempfile.mkdtemp(prefix="malha-test-"))
        server = EmbeddedPostgres(home, settings={**VOLATILE, **SMALL, "max_connections": "300"})
        config.stash[_cluster] = server
        server.start()
    return config.stash[_cluster].url


def pytest_unconfigure(config: pytest.Config) -> None:
    if _cluster in config.stash:
        config.stash[_cluster].stop()
        shutil.rmtree(config.stash[_cluster].home, ignore_errors=True)
    if _bytecode in config.stash:
        config.stash[_bytecode].close()
    if _scratch in config.stash:
        config.stash[_scratch].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    if "MALHA_TEST_DATABASE_URL" not in os.environ:
        node.workerinput["malha_database_url"] = _start_cluster(node.config)


@pytest.fixture(scope="session")
def template_url(pytestconfig: pytest.Config) -> str:
    """The URL of a database on the server under test from which others can be created."""
    shared = getattr(pytestconfig, "workerinput", {}).get("malha_database_url")
    return shared or os.environ.get("MALHA_TEST_DATABASE_URL") or _start_cluster(pytestconfig)


@pytest.fixture(scope="session")
def migrated_template(template_url: str) -> Iterator[str]:
    """The name of a migrated database that `database` copies: far quicker than migrating each."""
    with migrated_database(template_url) as name:
        yield name


@pytest.fixture(scope="session")
def copies(template_url: str, migrated_template: str) -> Iterator["Copies"]:
    """Copies of the migrated database, each made while the test before it runs."""
    with Copies(template_url, migrated_template).open() as made:
        yield made


@pytest.fixture
async def database(template_url: str, copies: "Copies") -> AsyncIterator[Database]:
    with copies.one() as name:
        async with Database(at_database(template_url, name), RETAILER) as db:
            yield db


@pytest.fixture(scope="session")
def retailer_on() -> Callable[[str], AbstractAsyncContextManager[Database]]:
    """`async with retailer_on(url) as database`: a migrated, empty retailer on another server."""

    @asynccontextmanager
    async def on(url: str) -> AsyncIterator[Database]:
        with migrated_database(url) as template:
            async with fresh_database(url, template) as db:
                yield db

    return on


@pytest.fixture(scope="session")
def debian15() -> Iterator[str]:
    """The URL of a running PostgreSQL 15, the oldest supported one, from Debian's package."""
    if not (DEBIAN_15 / "bin" / "postgres").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL 15 is missing: apt-get install postgresql-15")
        pytest.skip("PostgreSQL 15 is not installed (apt-get install postgresql-15)")
    home = Path(tempfile.mkdtemp(prefix="malha-test-15-"))
    try:
        with EmbeddedPostgres(home, settings=VOLATILE, binaries=DEBIAN_15) as server:
            yield server.url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def at_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def migrated_database(url: str) -> Iterator[str]:
    """Create and migrate a database on a server; drop it at the end. Gives its name."""
    name = f"t_template_{uuid.uuid4().hex[:8]}"
    _administer(url, f'CREATE DATABASE "{name}"')
    try:
        with ThreadPoolExecutor(1) as pool:  # a loop of its own, apart from the tests'
            pool.submit(lambda: asyncio.run(_migrate(at_database(url, name)))).result()
        yield name
    finally:
        _administer(url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _migrate(url: str) -> None:
    await migrate(url, RETAILER)
    await jobs.install(url)


class Copies:
    """Copies of a database, made and dropped in a thread: a test waits for neither, only for the server's own speed."""

    def __init__(self, url: str, template: str) -> None:
        self.url = url
        self.template = template
        self._ahead: list[Future[str]] = []
        self._dropped: list[Future[None]] = []

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Make the first; at the end drop what is left. What could not be dropped is raised."""
        with ThreadPoolExecutor(1) as self._pool:
            self._make_ahead()
            try:
                yield self
            finally:
                for made in self._ahead:
                    self._dropped.append(self._pool.submit(self._drop, made.result()))
                for dropped in self._dropped:
                    dropped.result()

    @contextmanager
    def one(self) -> Iterator[str]:
        """Give the name of a copy that nobody has used."""
        made = self._ahead.pop()
        self._make_ahead()
        name = made.result()
        try:
            yield name
        finally:
            self._dropped.append(self._pool.submit(self._drop, name))

    def _make_ahead(self) -> None:
        self._ahead.append(self._pool.submit(self._make))

    def _make(self) -> str:
        name = f"t_{uuid.uuid4().hex[:12]}"
        copy_database(self.url, self.template, name)
        return name

    def _drop(self, name: str) -> None:
        _administer(self.url, f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def fresh_database(url: str, template: str) -> AsyncIterator[Database]:
    """An open copy of a migrated database, dropped at the end."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    copy_database(url, template, name)
    try:
        async with Database(at_database(url, name), RETAILER) as db:
            yield db
    finally:
        _administer(url, f'DROP DATABASE "{name}" WITH (FORCE)')


def copy_database(url: str, template: str, name: str) -> None:
    """Copy a database on a server, the way that is cheapest there."""
    with psycopg.connect(url, autocommit=True) as admin:
        # Copying files spares the server 17 MB of log, at the price of a checkpoint: dear only where it waits for the disk.
        synced = admin.execute("SELECT current_setting('fsync')::bool").fetchone() == (True,)
        strategy = "WAL_LOG" if synced else "FILE_COPY"
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {strategy}')


def _administer(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(statement)
