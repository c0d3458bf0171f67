"""No process loads at its start what few ever need.

NumPy and the solver are for benchmarks and a process of their own, the library of SFTP for partners who have a server,
those of workbooks and of QR codes for who asks for one. Pydantic is somebody else's: none of our types are of it. A
server paints on no terminal.
"""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "highspy", "malha.routing.pricing", "asyncssh", "xlsxwriter", "segno", "pydantic"}
ASK = f"import sys; print(sorted({HEAVY} & set(sys.modules)))"


def loaded_by(said: str) -> str:
    """Return which of what is heavy a process has loaded after it did what is said, as it prints it."""
    done = subprocess.run(
        [sys.executable, "-c", f"{said}; {ASK}"], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["malha.app", "malha.worker"])
def test_neither_the_web_application_nor_the_worker_loads_what_is_heavy(module: str):
    assert loaded_by(f"import {module}") == "[]"


def test_putting_the_routes_together_loads_nothing_heavy_either():
    made = "from malha.app import bare_app; from malha.platform.settings import Settings; bare_app(Settings())"
    assert loaded_by(made) == "[]"


def test_a_server_loads_nothing_to_paint_with():
    served = "import malha.cli.sparing as s; s.import_plainly(); import malha.cli.serve, malha.app, malha.worker"
    painting = "import sys; print([n for n in ('rich', 'pygments', 'click', 'argparse') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{served}; {painting}"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_a_server_that_is_started_with_plain_options_loads_nothing_that_reads_others():
    said = (
        "import malha.cli.serve as s, malha.cli.main as m; s.serve = lambda settings, migrate: print(settings.port) or 0\n"
        "try: m.main(['serve', '--port', '8123', '--no-worker'])\n"
        "except SystemExit as ended: print(ended.code)\n"
        "import sys"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{said}; {ASK}"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split("\n")[:3] == ["8123", "0", "[]"]


def test_what_a_server_does_without_is_found_again_afterwards():
    done = subprocess.run(
        [sys.executable, "-m", "malha.cli.main", "serve", "--no-such-option"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "No such option: --no-such-option" in done.stderr
    assert "╭" in done.stderr  # Rich's frame


def test_the_question_would_find_it():
    found = loaded_by("import malha.routing.pricing.columns")
    assert found.splitlines()[-1] == "['highspy', 'malha.routing.pricing', 'numpy']"


def test_the_question_would_find_the_library_of_sftp():
    assert loaded_by("import malha.channels.partners.sftp") == "['asyncssh']"
