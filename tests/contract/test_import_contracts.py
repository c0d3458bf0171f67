"""The import contracts cover every capability there is: a new package cannot slip past them."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "malha"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]


def writing_modules() -> dict[str, set[str]]:
    """Capability -> its modules of writing statements: `writes`, or `<use case>_writes` where there are several."""
    found: dict[str, set[str]] = {}
    for path in (*PACKAGE.rglob("writes.py"), *PACKAGE.rglob("*_writes.py"), *PACKAGE.rglob("writes/__init__.py")):
        module = path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
        found.setdefault(module.split(".")[0], set()).add(f"malha.{module}")
    return found


@pytest.mark.parametrize("capability", sorted(writing_modules()))
def test_the_writes_of_a_capability_are_protected_by_a_contract_of_their_own(capability: str):
    mine = [c for c in CONTRACTS if c["id"] == f"writes-{capability}"]
    assert [set(c["protected_modules"]) for c in mine] == [writing_modules()[capability]]
    assert mine[0]["allowed_importers"] == [f"malha.{capability}"]
    assert not mine[0].get("ignore_imports", [])


def test_the_layers_name_every_package():
    (layers,) = (c for c in CONTRACTS if c["type"] == "layers")
    named = {name.strip(" ()") for layer in layers["layers"] for name in layer.split("|")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= named
    assert layers["exhaustive"] is True


def test_models_and_rules_of_every_capability_are_kept_pure():
    (purity,) = (c for c in CONTRACTS if c["id"] == "purity")
    assert {"malha.*.model", "malha.*.rules"} <= set(purity["source_modules"])
    assert {"malha.platform.db", "psycopg", "litestar", "httpx"} <= set(purity["forbidden_modules"])
    assert not purity.get("allow_indirect_imports", False)
    assert not purity.get("ignore_imports", [])


def test_every_folder_of_tests_is_collected():
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    # What peers of connectors bring along lies in hidden folders.
    found = [path.relative_to(ROOT) for path in ROOT.glob("tests/*/**/test_*.py")]
    folders = {"/".join(path.parts[:2]) for path in found if not any(part.startswith(".") for part in path.parts)}
    assert folders <= set(configured["testpaths"])


def test_no_contract_protects_writes_that_are_gone():
    protected = {m for c in CONTRACTS if c["type"] == "protected" for m in c["protected_modules"]}
    assert protected <= set().union(*writing_modules().values())
