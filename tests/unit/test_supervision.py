"""One parent, its children: started again, given up, stopped in order, gone with it; and what a fork must not copy."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from malha.platform.processes import is_alive

HEAD = """
import json, os, signal, sys, time
from malha.platform import logs, supervision
from malha.platform.supervision import Child, Supervisor
logs.configure("debug", "json")
def note(what): os.write(1, f"{what} {os.getpid()}\\n".encode())  # whole, whoever else writes
def run(*children, tick=lambda: True): sys.exit(Supervisor(children, tick).run())
"""


def parent(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str], list[dict]]:
    said, logged = process.communicate(timeout=60)
    return (
        process.returncode,
        said.splitlines(),
        [json.loads(line) for line in logged.splitlines() if line.startswith("{")],
    )


def test_a_child_that_cannot_live_is_given_up_with_growing_pauses_and_its_traceback() -> None:
    code, said, logged = ended(
        parent(
            "supervision.GIVE_UP_AFTER = 4; supervision.FIRST_PAUSE_S = 0.01\n"
            "def fail(): note('born'); raise ValueError('no use')\n"
            "run(Child('web:1', fail))"
        )
    )
    assert code == 1
    assert len(said) == 4
    died = [line for line in logged if line["event"] == "child_died"]
    assert [line["code"] for line in died] == [1, 1, 1, 1]
    assert logged[-1]["event"] == "gave_up"


def test_children_are_stopped_kind_by_kind_in_their_order() -> None:
    process = parent(
        "def live(name):\n"
        "    def run():\n"
        "        def end(*_): time.sleep(0.1); note(name); os._exit(0)\n"
        "        signal.signal(signal.SIGTERM, end); note('up'); \n"
        "        while True: time.sleep(1)\n"
        "    return Child(name, run)\n"
        "run(live('web:1'), live('web:2'), live('worker'))"
    )
    assert {process.stdout.readline().split()[0] for _ in range(3)} == {"up"}
    process.send_signal(signal.SIGTERM)
    code, said, _ = ended(process)
    assert code == 0
    names = [line.split()[0] for line in said]
    assert set(names[:2]) == {"web:1", "web:2"}
    assert names[2] == "worker"


def test_a_child_that_will_not_end_is_killed_when_its_patience_is_over() -> None:
    process = parent(
        "def deaf():\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN); note('up')\n"
        "    while True: time.sleep(1)\n"
        "run(Child('worker', deaf, patience_s=0.3))"
    )
    pid = int(process.stdout.readline().split()[1])
    process.send_signal(signal.SIGINT)
    code, _, logged = ended(process)
    assert code == 0
    assert "child_killed" in [line["event"] for line in logged]
    assert not is_alive(pid)


def test_children_go_with_a_killed_parent() -> None:
    process = parent("run(Child('web:1', lambda: (note('up'), time.sleep(60))))")
    pid = int(process.stdout.readline().split()[1])
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "what",
    [
        "from malha.platform.ids import new_id as make",
        "import secrets; make = secrets.token_hex",
        "import random; make = random.random",
    ],
)
def test_no_two_children_make_the_same_random_things(tmp_path: Path, what: str) -> None:
    script = (
        f"{what}\nmake()\n"  # the parent has begun: its state is copied
        "def write():\n"
        "    open(f'{sys.argv[1]}/{os.getpid()}', 'w').write('\\n'.join(str(make()) for _ in range(2000)))\n"
        "    note('done'); signal.pause()\n"
        "run(Child('web:1', write), Child('web:2', write))"
    )
    process = parent(script, str(tmp_path))
    for _ in range(2):
        process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    ended(process)
    made = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert len(made) == 4000
    assert len(set(made)) == 4000
