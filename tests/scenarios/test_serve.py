"""`malha serve` as an operator sees it: it starts, answers, mends itself, stops clean, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

from malha.platform.processes import descendants, is_alive, name_of
from malha.platform.settings import Settings

PATIENCE_S = 240.0


def eventually(condition, seconds: float = PATIENCE_S):
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-s-"))
    place.chmod(0o711)  # as root the server's user passes through
    yield place
    shutil.rmtree(place, ignore_errors=True)


def malha(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "malha.cli.main", *arguments],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def environment(home: Path, **variables: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MALHA_") and name != "DATABASE_URL"
    }
    return {**inherited, "MALHA_DATA_DIR": str(home), **variables}


class Server:
    """A running `malha serve`."""

    def __init__(self, home: Path, *options: str, **variables: str) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "malha.cli.main", "serve", "--port", str(self.port), *options],
            env=environment(home, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def __enter__(self):
        line = self.process.stdout.readline()
        assert f"http://127.0.0.1:{self.port}" in line, line + self.process.stderr.read()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        _, self.said = self.process.communicate(timeout=PATIENCE_S)

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(PATIENCE_S)

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def answers(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def family(self) -> list[int]:
        return descendants(self.process.pid)

    def children(self, name: str) -> list[int]:
        return [pid for pid in self.family() if name_of(pid).startswith(name)]


def test_it_answers_and_stops_clean(home: Path) -> None:
    with Server(home) as server:
        assert json.loads(server.get("/readyz")[1])["status"] == "ready"
        assert server.get("/healthz")[0] == 200
        assert len(server.children("malha web:")) == 2
        assert len(server.children("malha worker")) == 1
        family = server.family()
        with socket.create_connection(("127.0.0.1", server.port)):  # an idle client does not hold it up
            assert server.stop() == 0
        eventually(lambda: [pid for pid in family if is_alive(pid)] == [])
    assert "database system is shut down" in (home / "postgres.log").read_text()
    events = [json.loads(line)["event"] for line in server.said.splitlines() if line.startswith("{")]
    assert "stopping" in events
    assert "child_killed" not in events  # all ended when they were told to


A_KEY = """
import asyncio
from malha.cli.runtime import runtime
from malha.identity import service
from malha.platform.db import Database

async def make(url, retailer):
    async with Database(url, retailer) as database, database.transaction() as tx:
        made = await service.create_key(tx, name="listener", permissions=["orders:read", "stock:read"])
    print(made.secret)

with runtime(role="test", migrate=False) as settings:
    asyncio.run(make(settings.database_url, settings.retailer))
"""


def test_open_live_pages_and_readers_of_events_hold_no_stop_up_and_are_ended_in_order(home: Path) -> None:
    """Somebody always has a page open: each restart waited ten seconds for it, and then killed what it had not ended."""
    with Server(home) as server:
        script = [sys.executable, "-c", A_KEY]
        made = subprocess.run(script, env=environment(home), capture_output=True, text=True, check=True)
        head = f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {made.stdout.split()[-1]}\r\n\r\n"
        streams = []
        for path in ("/events/orders", "/events/stock?skus=1", "/v1/events/stream", "/v1/events?after=0&wait=25"):
            streams.append(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S))
            streams[-1].sendall(f"GET {path} {head}".encode())
        for stream in streams[:3]:
            assert stream.recv(4_096).startswith(b"HTTP/1.1 200")
        assert server.stop() == 0
        for stream in streams:
            with stream:
                said = b""
                while piece := stream.recv(4_096):
                    said += piece
                assert said.endswith((b"0\r\n\r\n", b"}"))  # whole, not torn off
    events = [json.loads(line)["event"] for line in server.said.splitlines() if line.startswith("{")]
    assert "child_killed" not in events
    assert "request_failed" not in events


def test_every_killed_process_comes_back(home: Path) -> None:
    with Server(home) as server:
        database = server.children("postgres")[0]
        for name in ("malha web:1", "malha web:2", "malha worker"):
            (old,) = server.children(name)
            os.kill(old, signal.SIGKILL)
            eventually(lambda name=name, old=old: [pid for pid in server.children(name) if pid != old])
        os.kill(database, signal.SIGKILL)
        eventually(lambda: database not in server.family() and server.children("postgres"))
        eventually(server.answers)
        assert server.stop(signal.SIGINT) == 0
    died = [json.loads(line) for line in server.said.splitlines() if '"child_died"' in line]
    assert {line["child"] for line in died} == {"web:1", "web:2", "worker"}


def test_when_the_parent_is_killed_nothing_is_left(home: Path) -> None:
    with Server(home) as server:
        family = server.family()
        assert len(family) > 5
        server.process.kill()
        eventually(lambda: [pid for pid in family if is_alive(pid)] == [])
    with Server(home) as server:
        assert server.answers()
        server.stop()


def test_metrics_are_those_of_all_processes(home: Path) -> None:
    with Server(home) as server:
        for _ in range(20):  # spread over both web processes by the kernel
            server.get("/v1/orders")
        eventually(lambda: b"malha_event_position " in server.get("/metrics")[1])

        def counted() -> float:
            page = server.get("/metrics")[1].decode()
            found = re.findall(r"^malha_http_request_seconds_count\{.*\} (\S+)$", page, re.MULTILINE)
            return sum(map(float, found))

        eventually(lambda: counted() >= 20)  # the other process gathers for a moment
        server.stop()


def test_no_worker_and_one_web_process_when_asked(home: Path) -> None:
    with Server(home, "--no-worker", "--web-workers", "1") as server:
        assert len(server.children("malha web:")) == 1
        assert server.children("malha worker") == []
        server.stop()


def test_a_worker_alone_works_beside_a_server_without_one(home: Path) -> None:
    with Server(home, "--no-worker") as server:
        worker = subprocess.Popen(
            [sys.executable, "-m", "malha.cli.main", "worker"], env=environment(home), stderr=subprocess.PIPE, text=True
        )
        assert json.loads(worker.stderr.readline())["event"] == "worker_started"
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(
            os.getpriority(os.PRIO_PROCESS, 0) + Settings().worker_nice, 19
        )
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=PATIENCE_S)[1]
        assert worker.returncode == 0
        assert json.loads(said.splitlines()[-1])["event"] == "worker_stopped"
        assert server.answers()  # the database was the server's, and still is
        server.stop()


def test_a_taken_port_is_refused_with_a_sentence(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = malha(home, "serve", "--port", str(port))
    assert done.returncode == 2
    assert f"malha: Malha cannot listen on 127.0.0.1 port {port}: another program listens there." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_serve_uses_the_running_database_and_leaves_it_running(home: Path) -> None:
    with Server(home) as first:
        with Server(home) as second:
            assert second.answers()
            assert second.children("postgres") == []
            second.stop()
        assert first.answers()
        first.stop()


A_COMMAND = """
import sys
from malha.cli.runtime import runtime

with runtime(role="test"):
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_a_serve_that_came_to_another_commands_database_keeps_it_when_that_command_ends(home: Path) -> None:
    """After a power cut the backup that was missed and the server start together; whoever is first starts the database."""
    command = subprocess.Popen(
        [sys.executable, "-c", A_COMMAND],
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout.readline() == "begun\n"
    with Server(home) as server:
        assert server.children("postgres") == []
        eventually(server.answers)
        command.communicate(timeout=PATIENCE_S)
        assert command.returncode == 0
        eventually(lambda: server.children("postgres") and server.answers())
        (database,) = [
            pid
            for pid in server.children("postgres")
            if Path(f"/proc/{pid}/stat").read_text().split()[3] == str(server.process.pid)
        ]
        os.kill(database, signal.SIGKILL)  # it is the server's own now, and looked after as such
        eventually(lambda: database not in server.family() and server.children("postgres"))
        eventually(server.answers)
        family = server.family()
        assert server.stop() == 0
        eventually(lambda: [pid for pid in family if is_alive(pid)] == [])


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MALHA_PORT": "lots"}, "MALHA_PORT is 'lots', which is not a whole number"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, "The database cannot be reached"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(home: Path, variables: dict[str, str], sentence: str) -> None:
    done = malha(home, "serve", **{"MALHA_PORT": str(free_port()), **variables})
    assert done.returncode == 2
    assert done.stderr.startswith("malha: ") or "\nmalha: " in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_says_what_it_did_and_what_is_pending(home: Path) -> None:
    place = home / "other"
    pending = json.loads(malha(place, "migrate", "--check", "--json").stdout)["pending"]
    assert "0001_pre_platform.sql" in pending
    assert malha(place, "migrate", "--check").returncode == 1
    applied = json.loads(malha(place, "migrate", "--json").stdout)["applied"]
    assert applied[: len(pending)] == pending
    assert malha(place, "migrate", "--check").stdout == "The schema is up to date.\n"


def test_help_imports_no_command() -> None:
    script = "import sys; from malha.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(sorted({'psycopg', 'litestar', 'numpy'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
    assert "serve" in said


def test_a_body_without_a_length_and_without_an_end_is_refused_while_it_comes(home: Path) -> None:
    with Server(home, "--no-worker", "--web-workers", "1") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sender:
            head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n"
            sender.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode())
            sender.settimeout(0.2)
            answer, piece = b"", b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            for _ in range(100):
                try:
                    sender.sendall(piece)
                except OSError:  # it reads no more
                    break
            sender.settimeout(30)
            try:
                while got := sender.recv(65536):
                    answer += got
            except ConnectionResetError:
                pass
        assert answer.startswith(b"HTTP/1.1 413 "), answer
        assert b"64 KB" in answer
        assert server.answers()
        server.stop()
