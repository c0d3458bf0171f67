"""`tools/setup.py`: what it asks of an administrator, and when it does nothing."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "tools" / "setup.py"


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as a module, in an empty checkout, on a Debian 12 that has nothing but apt-get."""
    spec = importlib.util.spec_from_file_location("malha_setup", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "debian_release", lambda: "12")
    monkeypatch.setattr(module, "has_ensurepip", lambda _interpreter: False)
    monkeypatch.setattr(module, "Path", NoSystem)
    monkeypatch.setattr(module.shutil, "which", lambda name, **_: name if name == "apt-get" else None)
    monkeypatch.delenv("CI", raising=False)
    return module


class NoSystem(type(Path())):
    """Paths, except that the system has no files."""

    def glob(self, pattern, **_kwargs):
        return iter(()) if str(self).startswith("/usr") else super().glob(pattern)


def test_without_root_it_prints_the_exact_command_and_exits_2(setup, monkeypatch, capsys):
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as stopped:
        setup.system("test", "/usr/bin/python3")
    assert stopped.value.code == 2
    assert (
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends "
        "python3-venv chromium-headless-shell postgresql-15 wrk libgomp1" in capsys.readouterr().err
    )


def test_a_demo_asks_for_nothing_that_only_tests_need(setup):
    assert setup.missing_packages("runtime", "/usr/bin/python3") == ["python3-venv"]


def test_continuous_integration_also_gets_the_proxies_whose_recipes_are_tested(setup, monkeypatch):
    at_a_desk = setup.missing_packages("test", "/usr/bin/python3")
    monkeypatch.setenv("CI", "true")
    assert setup.missing_packages("test", "/usr/bin/python3") == [*at_a_desk, "nginx-light", "caddy"]


class Apt:
    """What is asked of apt-get, and what it answers."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.asked: list[list[str]] = []

    def ended(self, words, _env) -> int:
        self.asked.append(words)
        return self.code


@pytest.fixture
def apt(setup, monkeypatch) -> Apt:
    """A machine of continuous integration with the whole Chromium, where root may install."""
    answers = Apt(0)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(setup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup.shutil, "which", lambda name, **_: name if name in {"apt-get", "chromium"} else None)
    monkeypatch.setattr(setup, "ended", answers.ended)
    return answers


def test_any_chromium_is_enough(setup, monkeypatch):
    monkeypatch.setattr(setup.shutil, "which", lambda name, **_: name if name == "chromium" else None)
    assert not [name for name in setup.missing_packages("test", "/usr/bin/python3") if "chromium" in name]


def test_continuous_integration_is_given_the_quick_browser_besides(setup, apt):
    setup.quick_browser()
    assert [words[1] for words in apt.asked] == ["update", "install"]
    assert apt.asked[-1][-1] == "chromium-headless-shell"


def test_where_the_quick_browser_cannot_be_had_it_says_so_and_goes_on(setup, apt, capsys):
    apt.code = 100
    setup.quick_browser()
    assert "the browser's tests take longer" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["at a desk", "not root", "not Debian", "it is there"])
def test_the_quick_browser_is_not_asked_for(setup, apt, monkeypatch, where: str):
    if where == "at a desk":
        monkeypatch.delenv("CI")
    elif where == "not root":
        monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    elif where == "not Debian":
        monkeypatch.setattr(setup, "debian_release", lambda: "")
    else:
        monkeypatch.setattr(setup.shutil, "which", lambda name, **_: name)
    setup.quick_browser()
    assert apt.asked == []


def test_with_uv_no_venv_package_is_needed(setup, monkeypatch):
    monkeypatch.setattr(setup.shutil, "which", lambda name: name if name == "uv" else None)
    assert setup.missing_packages("runtime", "/usr/bin/python3") == []


def test_elsewhere_than_on_debian_it_names_the_programs_and_exits_2(setup, monkeypatch, capsys):
    monkeypatch.setattr(setup.shutil, "which", lambda _name, **_: None)
    with pytest.raises(SystemExit) as stopped:
        setup.system("test", "/usr/bin/python3")
    assert stopped.value.code == 2
    assert "wrk" in capsys.readouterr().err


def test_a_stamp_is_fresh_only_for_the_same_contents(setup, tmp_path):
    lock, stamp = tmp_path / "a.lock", tmp_path / "stamp"
    lock.write_text("one")
    assert not setup.fresh(stamp, setup.digest(lock))
    stamp.write_text(setup.digest(lock))
    assert setup.fresh(stamp, setup.digest(lock))
    lock.write_text("two")
    assert not setup.fresh(stamp, setup.digest(lock))


def test_an_environment_whose_interpreter_is_gone_is_not_usable(setup, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "gone")
    assert not setup.usable(tmp_path)


BACKGROUND = """
import importlib.util, signal, sys
spec = importlib.util.spec_from_file_location("malha_setup", sys.argv[1])
setup = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup)
setup.end_when_asked()
setup.run(sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
"""


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_in_the_background_of_a_shell_it_ends_when_asked_with_what_runs(asked):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does to what it puts in the background
    try:
        words = [sys.executable, "-c", BACKGROUND, str(SOURCE)]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with running:
        try:
            child = int(running.stdout.readline())
            running.send_signal(asked)
            assert running.wait(60) == 128 + asked
            with pytest.raises(ProcessLookupError):
                os.kill(child, 0)
        finally:
            running.kill()


def test_who_waits_for_another_set_up_says_so(setup, tmp_path, monkeypatch):
    said = threading.Event()
    monkeypatch.setattr(setup, "say", lambda what: said.set() if "waiting for another set-up" in what else None)

    def enter() -> None:
        with setup.one_at_a_time(tmp_path):
            pass

    with setup.one_at_a_time(tmp_path):
        assert not said.is_set()
        second = threading.Thread(target=enter)
        second.start()
        assert said.wait(60)
        assert second.is_alive()
    second.join(60)
    assert not second.is_alive()
