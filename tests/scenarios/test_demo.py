"""`malha demo` as a newcomer sees it: what cannot be is refused before anything is built, and what runs is a server."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.ports import free_port

PATIENCE_S = 240.0
PASSWORD = "trilho vento caneca azul"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-d-"))
    place.chmod(0o711)  # as root the server's user passes through
    yield place
    shutil.rmtree(place, ignore_errors=True)


def command(home: Path, *options: str) -> dict[str, object]:
    left = {
        name: value for name, value in os.environ.items() if not name.startswith("MALHA_") and name != "DATABASE_URL"
    }
    return {
        "args": [sys.executable, "-m", "malha.cli.main", "demo", "--orders", "12", "--no-traffic", *options],
        "env": {**left, "MALHA_DATA_DIR": str(home), "MALHA_LANGUAGE": "en"},
        "text": True,
    }


@contextmanager
def running(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    told = subprocess.PIPE
    with subprocess.Popen(
        **command(home, "--port", str(port), "--password", PASSWORD), stdout=told, stderr=subprocess.DEVNULL
    ) as demo:
        try:
            assert demo.stdout is not None
            assert f"http://127.0.0.1:{port}" in demo.stdout.readline()
            yield demo
        finally:
            demo.terminate()


def refused(home: Path, *options: str) -> str:
    done = subprocess.run(**command(home, *options), capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2, done.stderr
    return done.stderr


def read(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as reply:
        return reply.read().decode()


def log_in(port: int) -> int:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/sessions",
        json.dumps({"email": "ana@aroeira.example", "password": PASSWORD}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as reply:  # noqa: S310 -- our own server
        return reply.status


def test_a_password_that_is_easy_to_guess_is_refused_before_anything_is_built(home: Path) -> None:
    said = refused(home, "--password", "senha-forte-9")
    assert "easy to guess" in said
    assert "Orders" not in said


def test_it_can_be_measured_from_its_first_request(home: Path) -> None:
    port = free_port()
    with running(home, port):
        read(port, "/readyz")
        counted = []
        began = time.monotonic()
        while not counted and time.monotonic() - began < PATIENCE_S:  # the processes gather for a moment
            counted = re.findall(
                r'^malha_http_request_seconds_count\{.*"/readyz".*\} (\S+)$', read(port, "/metrics"), re.MULTILINE
            )
        assert counted


def test_a_start_that_has_no_address_leaves_the_log_in_as_it_was(home: Path) -> None:
    port = free_port()
    with running(home, port):
        assert "another program listens there" in refused(
            home, "--port", str(port), "--password", "outra frase bem longa"
        )
        assert log_in(port) == 204


def test_options_for_building_that_come_too_late_are_told(home: Path) -> None:
    """`--orders 500` on a demo that was there examined the old one, and looked as if it had built another."""
    examined = command(home, "--exit")  # states --orders, as every command here does
    done = subprocess.run(**examined, capture_output=True, timeout=PATIENCE_S, check=True)
    if "Orders" in done.stderr:  # it was built by this run, so that nothing came too late
        assert "is there already" not in done.stderr
        done = subprocess.run(**examined, capture_output=True, timeout=PATIENCE_S, check=True)
    assert "without --orders; add --fresh" in " ".join(done.stderr.split())
    assert "drift: 0" in done.stdout
    silent = {**examined, "args": [x for x in examined["args"] if x not in {"--orders", "12"}]}
    assert (
        "is there already" not in subprocess.run(**silent, capture_output=True, timeout=PATIENCE_S, check=True).stderr
    )


def test_a_taken_port_is_refused_before_anything_is_built(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "Orders" not in refused(home, "--fresh", "--port", str(other.getsockname()[1]))
