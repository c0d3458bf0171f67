"""The disk of `malha serve`'s own database is full: its server ends, the rest stays, says why, and goes on by itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from tests.ports import free_port
from tests.small_disk import small_disk

PATIENCE_S = 240.0
SIZE = "400m"
KEY = f"Bearer mk_aaaaaaaa_{'x' * 43}"  # nobody's: whether it is one only the database knows
LOGGED = "SELECT pg_logical_emit_message(false, 'room', repeat('x', 1000000))"  # a megabyte of the server's log


def eventually(condition, seconds: float = PATIENCE_S):
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(SIZE) as place:
        yield place


class Server:
    """A running `malha serve` whose data lies on a disk, and whose log does not."""

    def __init__(self, home: Path, log: Path) -> None:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("MALHA_") and n != "DATABASE_URL"}
        self.port, self.home, self.log = free_port(), home, log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "malha.cli.main", "serve", "--port", str(self.port), "--web-workers", "1"],
                env={**kept, "MALHA_DATA_DIR": str(home)},
                stdout=out,
                stderr=out,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def says(self, words: str) -> bool:
        assert self.process.poll() is None, "it ended"
        return words in self.log.read_text()

    def get(self, path: str) -> tuple[int, dict]:
        answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", headers={"authorization": KEY}, timeout=60)
        return answer.status_code, answer.json()

    def ready(self) -> bool:
        assert self.process.poll() is None, "it ended"
        try:
            return self.get("/readyz")[0] == 200
        except httpx.TransportError:
            return False

    @property
    def url(self) -> str:
        return json.loads((self.home / "postgres.owner").read_text())["url"]


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            return ballast


def write_until_it_ends(url: str) -> None:
    """Write to the server's log until no piece of it finds room any more, which ends the server."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            for _ in range(500):
                connection.execute(LOGGED)
    except psycopg.OperationalError:
        return
    raise AssertionError("there was room for it all")


def test_a_server_that_ended_for_want_of_room_is_told_as_such_and_goes_on_once_there_is_some(
    disk: Path, tmp_path: Path
) -> None:
    with Server(disk / "data", tmp_path / "serve.log") as server:
        eventually(server.ready)
        url = server.url
        ballast = fill(disk)
        write_until_it_ends(url)
        eventually(lambda: server.says("make room, and it starts by itself"))
        status, told = server.get("/readyz")
        assert (status, told["checks"]["database"]) == (503, "disk_full")
        assert server.get("/healthz")[0] == 200, "it is no reason to start the process again"
        status, problem = server.get("/v1/channels")
        assert (status, problem["code"]) == (503, "database_full"), problem
        ballast.unlink()
        eventually(server.ready)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(LOGGED)


def test_a_start_on_a_full_disk_ends_with_a_sentence(disk: Path) -> None:
    fill(disk)
    kept = {n: v for n, v in os.environ.items() if not n.startswith("MALHA_") and n != "DATABASE_URL"}
    (disk / "data").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "malha.cli.main", "serve", "--port", str(free_port())],
        env={**kept, "MALHA_DATA_DIR": str(disk / "data")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert f"malha: The disk of {disk / 'data'} is full: make room" in done.stderr
    assert "Traceback" not in done.stderr
