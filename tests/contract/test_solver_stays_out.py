"""No process that serves or works loads NumPy or the solver: they are for benchmarks and a process of their own."""

import subprocess
import sys

import pytest

ASK = "import sys, {module}; print(sorted({{'numpy', 'highspy', 'malha.routing.pricing'}} & set(sys.modules)))"


@pytest.mark.parametrize("module", ["malha.app", "malha.worker"])
def test_neither_the_web_application_nor_the_worker_loads_the_solver(module: str):
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(module=module)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_the_question_would_find_it():
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(module="malha.routing.pricing.columns")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip().splitlines()[-1] == "['highspy', 'malha.routing.pricing', 'numpy']"
