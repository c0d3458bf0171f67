"""Restarts and upgrades that no buyer notices: not one request fails, whoever is told to end in the middle of the load.

The buyers repeat nothing: every order they send must be answered at the first try.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from traffic import (
    PATIENCE_S,
    Serving,
    a_retailer,
    a_retailer_in,
    buyers,
    drained,
    ended_unless_ready,
    environment,
    eventually,
    malha,
    url_of,
)

import malha as package
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.processes import descendants, name_of

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)  # several servers, one after the other


@pytest.fixture
def place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-n-"))
    place.chmod(0o755)  # as root the server's user must reach what is in it
    yield place
    shutil.rmtree(place, ignore_errors=True)


class Activated:
    """`malha serve` as a systemd socket unit starts it: with a listening socket that outlives it."""

    def __init__(self, home: Path, listening: socket.socket, *options: str, **variables: str) -> None:
        self.log = home / f"activated-{time.monotonic_ns()}.log"

        def pass_socket() -> None:
            os.dup2(listening.fileno(), 3)
            os.set_inheritable(3, True)

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # The id of the process is known only in it.
                [
                    "/bin/sh",
                    "-c",
                    'LISTEN_PID=$$ exec "$0" "$@"',
                    sys.executable,
                    "-m",
                    "malha.cli.main",
                    "serve",
                    *options,
                ],
                env=environment(home, LISTEN_FDS="1", **variables),
                stdout=log,
                stderr=log,
                close_fds=False,
                preexec_fn=pass_socket,  # noqa: PLW1509 -- only two system calls
            )

    def ready(self) -> "Activated":
        with ended_unless_ready(self.process):
            eventually(lambda: self.process.poll() is not None or "Malha answers" in self.said())
            assert self.process.poll() is None, self.said()
        return self

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.said()

    def answered(self) -> int:
        """How many orders it took."""
        return self.said().count('"method":"POST"')


@contextmanager
def a_listening_socket() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        yield listening


def failures(at_work) -> list[str]:
    return [failure for buyer in at_work for failure in buyer.failures]


def more_orders(at_work, each: int = 5) -> None:
    """Wait until every buyer was answered some more times."""
    before = [len(buyer.acknowledged) for buyer in at_work]
    eventually(lambda: all(len(buyer.acknowledged) >= n + each for buyer, n in zip(at_work, before, strict=True)))


@pytest.mark.parametrize("keep_alive", [False, True], ids=["a connection an order", "connections kept open"])
def test_web_processes_that_are_told_to_end_one_after_the_other_lose_nothing(place: Path, keep_alive: bool) -> None:
    key = a_retailer_in(place)
    with (
        Serving(place, "--no-worker") as server,
        buyers(6, server.port, key, keep_alive=keep_alive) as at_work,
    ):
        for _ in range(2):
            for name in ("malha web:1", "malha web:2"):
                more_orders(at_work)
                (old,) = [pid for pid in descendants(server.process.pid) if name_of(pid) == name]
                os.kill(old, signal.SIGTERM)
                eventually(lambda gone=old: gone not in descendants(server.process.pid))
        more_orders(at_work)
    assert failures(at_work) == []


def test_a_service_that_is_restarted_on_its_socket_lets_buyers_wait_and_loses_none(place: Path) -> None:
    key = a_retailer_in(place)
    with a_listening_socket() as listening:
        port = listening.getsockname()[1]
        running = Activated(place, listening, "--port", str(port)).ready()
        try:
            with buyers(4, port, key) as at_work:
                for _ in range(2):
                    more_orders(at_work)
                    running.stop()  # the database stops with it: buyers wait in the socket's queue
                    running = Activated(place, listening, "--port", str(port)).ready()
                more_orders(at_work)
            assert failures(at_work) == []
            drained(url_of(place))
        finally:
            running.stop()
    doctor = malha(place, "doctor")
    assert doctor.returncode == 0, doctor.stdout


PRE = "ALTER TABLE sales_order ADD COLUMN drill integer;\nCREATE INDEX sales_order_drill ON sales_order (drill);\n"
POST = "ALTER TABLE sales_order ADD CONSTRAINT sales_order_drill_positive CHECK (drill > 0);\n"


@pytest.fixture
def newer(place: Path) -> Path:
    """A copy of the package as its next version: two migrations more, one for each phase."""
    root = place / "next"
    shutil.copytree(Path(package.__file__).parent, root / "malha", ignore=shutil.ignore_patterns("__pycache__"))
    migrations = root / "malha" / "migrations"
    (migrations / "9001_pre_drill.sql").write_text(PRE)
    (migrations / "9002_post_drill.sql").write_text(POST)
    return root


def test_old_and_new_run_side_by_side_between_the_phases_and_no_buyer_notices(place: Path, newer: Path) -> None:
    old_home, new_home = place / "old", place / "new"
    old_home.mkdir()
    new_home.mkdir()
    with EmbeddedPostgres(place / "database") as database, a_listening_socket() as listening:
        key = a_retailer(database.url)
        port = listening.getsockname()[1]
        options = ("--port", str(port), "--no-migrate", "--web-workers", "1")
        new_code = {"DATABASE_URL": database.url, "PYTHONPATH": str(newer)}

        def applied() -> list[str]:
            with psycopg.connect(database.url) as connection:
                return [n for (n,) in connection.execute("SELECT name FROM malha.migration WHERE number > 9000")]

        old = Activated(old_home, listening, *options, DATABASE_URL=database.url).ready()
        new = None
        try:
            with buyers(6, port, key) as at_work:
                more_orders(at_work)
                assert malha(new_home, "migrate", "--phase", "pre", **new_code).returncode == 0
                assert applied() == ["9001_pre_drill.sql"]
                more_orders(at_work)
                new = Activated(new_home, listening, *options, **new_code).ready()
                eventually(lambda: new.answered() > 20)
                taken = old.answered()
                eventually(lambda: old.answered() > taken)  # both take orders
                old.stop()
                old = Activated(old_home, listening, *options, DATABASE_URL=database.url).ready()  # changed their mind
                eventually(lambda: old.answered() > 20)
                old.stop()
                done = malha(new_home, "migrate", "--phase", "post", **new_code)
                assert done.returncode == 0, done.stderr
                assert applied() == ["9001_pre_drill.sql", "9002_post_drill.sql"]
                more_orders(at_work)
            assert failures(at_work) == []
            drained(database.url)
        finally:
            for server in (old, new):
                if server is not None and server.process.poll() is None:
                    server.stop()
        doctor = malha(new_home, "doctor", **new_code)
        assert doctor.returncode == 0, doctor.stdout
        with psycopg.connect(database.url) as connection:
            stored = {name for (name,) in connection.execute("SELECT external_id FROM malha.sales_order")}
        assert stored == {name for buyer in at_work for name in buyer.acknowledged}
        too_late = malha(old_home, "worker", "--no-migrate", DATABASE_URL=database.url)
        assert too_late.returncode == 2
        assert "9002_post_drill.sql" in too_late.stderr
