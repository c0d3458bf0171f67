"""The locks pin with hashes everything that pyproject asks for, agree with each other, and name no registry."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def pins(lock: str) -> set[tuple[str, str]]:
    return set(PINNED.findall((REQUIREMENTS / f"{lock}.lock").read_text("utf-8")))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-") for line in requirements}


@pytest.mark.parametrize("lock", ["build", "runtime", "dev", "node"])
def test_every_pin_of_a_lock_has_hashes_and_no_address(lock: str):
    text = (REQUIREMENTS / f"{lock}.lock").read_text("utf-8")
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_runtime_lock_pins_every_runtime_dependency():
    assert names(PROJECT["dependencies"]) <= {name for name, _ in pins("runtime")}


def test_the_dev_lock_holds_the_runtime_lock_and_every_dev_dependency():
    assert pins("runtime") <= pins("dev")
    assert names(PROJECT["optional-dependencies"]["dev"]) <= {name for name, _ in pins("dev")}


def test_the_build_lock_never_contradicts_the_others():
    for lock in ("runtime", "dev"):
        versions = dict(pins(lock))
        assert all(versions.get(name, version) == version for name, version in pins("build"))


def test_the_front_end_lock_pins_integrity_and_no_address():
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())


def test_front_end_packages_are_pinned_exactly():
    package = json.loads((ROOT / "package.json").read_text("utf-8"))
    asked = package["dependencies"] | package["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values())
    assert asked["htmx.org"].startswith("2.")
