"""Two commands at the same time: the failure of either is told, and nothing of what they say is lost."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "beside.py"


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def beside(first: str, second: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(TOOL), *shell(first), "::", *shell(second)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("first", "second", "status"), [(0, 0, 0), (3, 0, 3), (0, 3, 3), (5, 0, 5), (0, 5, 5), (5, 1, 1), (2, 5, 2)]
)
def test_the_failure_of_either_is_told(first: int, second: int, status: int):
    assert beside(f"exit {first}", f"exit {second}") == (status, "")


def test_one_that_is_killed_has_failed():
    assert beside("true", "kill -9 $$")[0] == 1


def test_both_run_at_the_same_time_and_speak_one_after_the_other(tmp_path: Path):
    # Each waits for the other: one after the other they would never end.
    here, there = tmp_path / "here", tmp_path / "there"
    wait = "echo {0} begins; touch {1}; while [ ! -e {2} ]; do sleep 0.02; done; echo {0} ends"
    told = beside(wait.format("one", here, there), wait.format("two", there, here) + "; echo wrong >&2")
    assert told == (0, "one begins\none ends\ntwo begins\ntwo ends\nwrong\n")


def test_both_are_asked_to_end_and_waited_for():
    gentle = "trap 'echo {0} cleared; exit 7' TERM; echo ready; while :; do sleep 0.02; done"
    tool = [sys.executable, str(TOOL), *shell(gentle.format("one")), "::", *shell(gentle.format("two"))]
    with subprocess.Popen(tool, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        said = running.stdout.read()
    assert "one cleared" in said
    assert running.returncode != 0
