"""The files of deploy/: what can be checked of them without the systems they are for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from malha.platform.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import observed  # noqa: E402 -- of tools/

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
MOST_EXPOSED = 2.0  # of 10, by `systemd-analyze security`; an unprotected service has 9.6

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that exists in place of the installed one."""
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/usr/local/lib/malha/bin/malha", sys.executable)
        (tmp_path / unit.name).write_text(text.replace("User=malha", "User=daemon"), "utf-8")
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, units: Path) -> None:
    asked = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(units / unit.name)]
    done = subprocess.run(
        asked, capture_output=True, text=True, check=False, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert said == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_that_is_started_again_is_so_for_as_long_as_it_takes(unit: Path) -> None:
    """A database that comes back after five quick starts of ours would find nobody who tries any more."""
    text = unit.read_text("utf-8")
    assert ("Restart=" in text) == ("StartLimitIntervalSec=0" in text)


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_may_do_little(unit: Path, units: Path) -> None:
    threshold = str(int(MOST_EXPOSED * 10))
    asked = [
        "systemd-analyze",
        "security",
        "--offline=yes",
        f"--threshold={threshold}",
        "--no-pager",
        str(units / unit.name),
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_a_command_by_hand_runs_as_the_service_does(tmp_path: Path) -> None:
    fake = tmp_path / "systemd-run"
    fake.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n', "utf-8")
    fake.chmod(0o755)
    done = subprocess.run(
        [DEPLOY / "malha", "owner", "ana@loja.example", "--name", "Ana Souza"],
        capture_output=True, text=True, check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    asked = done.stdout.rstrip("\0").split("\0")
    at = asked.index("/usr/local/lib/malha/bin/malha")
    assert asked[at + 1 :] == ["owner", "ana@loja.example", "--name", "Ana Souza"]
    service = (DEPLOY / "systemd" / "malha.service").read_text("utf-8").splitlines()
    as_the_service = [option.partition("=")[2] for option in asked[:at] if option.startswith("--property=")]
    as_the_service += [f"Environment={o.partition('=')[2]}" for o in asked[:at] if o.startswith("--setenv=")]
    assert {line.partition("=")[0] for line in as_the_service} >= {"User", "EnvironmentFile", "Environment"}
    assert set(as_the_service) <= set(service)
    if shutil.which("systemd-run"):
        known = subprocess.run(["systemd-run", "--help"], capture_output=True, text=True, check=True).stdout
        assert {option.partition("=")[0] for option in asked[:at]} <= set(re.findall(r"--[a-z-]+", known))


def test_every_setting_that_deploy_names_is_one() -> None:
    text = "\n".join(path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file())
    named = set(re.findall(r"\bMALHA_([A-Z_]+)\b", text))
    assert {name.lower() for name in named} <= set(Settings.__struct_fields__)


def test_proxies_let_bodies_through_that_malha_takes() -> None:
    taken = Settings().upload_limit_mb
    nginx = re.search(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx" / "malha.conf").read_text("utf-8"))
    caddy = re.search(r"max_size (\d+)MB", (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8"))
    assert nginx
    assert int(nginx[1]) > taken
    assert caddy
    assert int(caddy[1]) > taken


def test_the_container_file_pins_its_base_runs_as_nobody_special_and_takes_only_hashed_packages() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    steps = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    bases = [line.split()[1] for line in steps if line.startswith("FROM ")]
    assert all(re.fullmatch(r"[a-z]+:[0-9][\w.-]+", base) for base in bases)
    users = [line.split()[1] for line in steps if line.startswith("USER ")]
    assert users
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0
    assert not any(line.startswith("ADD ") for line in steps)
    installs = [part for line in steps for part in line.split("&&") if "pip install" in part]
    assert installs
    assert all("--require-hashes" in part or "--no-deps" in part for part in installs)
    copied = [
        source for line in steps if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]
    ]
    assert [source for source in copied if source.startswith("requirements/") and not (ROOT / source).exists()] == []
    assert steps[-2:] == ['ENTRYPOINT ["malha"]', 'CMD ["serve"]']


def test_every_metric_an_alert_names_is_measured() -> None:
    measured = {series for metric in observed.metrics() for series in metric.series}
    rules = yaml.safe_load((DEPLOY / "prometheus" / "malha-rules.yml").read_text("utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) > 5
    for alert in alerts:
        assert set(re.findall(r"\bmalha_\w+", alert["expr"])) <= measured, alert["alert"]
        assert alert["expr"].count("(") == alert["expr"].count(")")
        assert alert["annotations"]["summary"]


def test_every_alert_has_its_row_in_the_guide_and_the_guide_names_real_log_lines() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "malha-rules.yml").read_text("utf-8"))
    guide = (ROOT / "docs" / "how-to" / "operate.md").read_text("utf-8")
    assert set(re.findall(r"`(Malha\w+)`", guide)) == {
        rule["alert"] for group in rules["groups"] for rule in group["rules"]
    }
    rows = [line for line in guide.splitlines() if line.startswith("| `Malha")]
    named = {word for row in rows for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", row)} - {"request_id"}
    assert named
    assert named <= {line.event for line in observed.lines()}


def test_the_metrics_read_from_the_source_are_those_of_a_process() -> None:
    script = (
        "import malha.platform.measures, malha.api.observe as o; o._seconds(); o._problem_counter()\n"
        "from prometheus_client import REGISTRY\n"
        "print(*sorted(m.name for m in REGISTRY.collect() if m.name.startswith('malha_')))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(said) <= {metric.name for metric in observed.metrics()}
    assert len(said) > 5
