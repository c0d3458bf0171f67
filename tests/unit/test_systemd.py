"""What systemd passes on and is told."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from malha.platform.systemd import inherited_sockets, notify


def test_whoever_asked_is_told_that_we_are_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        asker.bind(str(tmp_path / "notify"))
        asker.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert asker.recv(64) == b"READY=1"


def test_nobody_asked_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert inherited_sockets({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) == []
    assert inherited_sockets({}) == []


def test_sockets_meant_for_us_are_taken_and_not_passed_on() -> None:
    script = (
        "import os; os.environ['LISTEN_PID'] = str(os.getpid()); from malha.platform.systemd import inherited_sockets\n"
        "(found,) = inherited_sockets(); print(found.getsockname()[1], found.get_inheritable())"
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))

        def pass_socket() -> None:
            os.dup2(listening.fileno(), 3)

        said = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "LISTEN_FDS": "1"},
            preexec_fn=pass_socket,
            close_fds=False,
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.split() == [str(listening.getsockname()[1]), "False"]
