"""What is compiled decides, replays and explains as its source does, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from malha import routing
from malha.platform import compiled

SCRIPT = Path(__file__).parent / "deciding.py"


def decided(said: str) -> list[str]:
    environ = {**os.environ, compiled.VARIABLE: said, "PYTHONHASHSEED": "0"}
    answer = subprocess.run([sys.executable, SCRIPT], env=environ, capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()


def test_decisions_replays_and_explanations_are_the_same_bytes_compiled_and_not():
    if not compiled.is_fresh(Path(routing.__file__).parent / "compiled", routing.LIBRARY):
        pytest.skip("nothing is compiled here: no C compiler, or sources that changed since `make setup`")
    with_it, *told = decided("true")
    without, *from_source = decided("false")
    assert (with_it, without) == ("True", "False")
    assert len(told) == 360
    assert len(set(told)) > 300
    assert told == from_source
