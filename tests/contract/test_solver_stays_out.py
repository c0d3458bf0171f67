"""No process loads at its start what few ever need.

NumPy and the solver are for benchmarks and a process of their own, the library of SFTP for partners who have a server,
those of workbooks and of QR codes for who asks for one. Pydantic is somebody else's: none of our types are of it.
"""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "highspy", "malha.routing.pricing", "asyncssh", "xlsxwriter", "segno", "pydantic"}
ASK = f"import sys, {{module}}; print(sorted({HEAVY} & set(sys.modules)))"


@pytest.mark.parametrize("module", ["malha.app", "malha.worker"])
def test_neither_the_web_application_nor_the_worker_loads_what_is_heavy(module: str):
    done = subprocess.run(
        [sys.executable, "-c", ASK.replace("{module}", module)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_putting_the_routes_together_loads_nothing_heavy_either():
    made = f"from malha.app import bare_app; from malha.platform.settings import Settings; bare_app(Settings()); {ASK}"
    done = subprocess.run(
        [sys.executable, "-c", made.replace("{module}", "malha.app")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "[]"


def test_the_question_would_find_it():
    done = subprocess.run(
        [sys.executable, "-c", ASK.replace("{module}", "malha.routing.pricing.columns")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip().splitlines()[-1] == "['highspy', 'malha.routing.pricing', 'numpy']"


def test_the_question_would_find_the_library_of_sftp():
    done = subprocess.run(
        [sys.executable, "-c", ASK.replace("{module}", "malha.channels.partners.sftp")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "['asyncssh']"
