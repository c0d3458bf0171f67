"""What Malha is made of: every licence is allowed, the bill of materials is whole, the audit tells what is known."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import supply

TOOL = Path(supply.__file__)


@contextmanager
def an_osv(weak: dict[str, list[str]]) -> Iterator[str]:
    """A server that answers as OSV does, and knows of these weaknesses by package."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            names = [query["package"]["name"] for query in asked]
            told = [{"vulns": [{"id": x} for x in weak[n]]} if n in weak else {} for n in names]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"results": told}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def audit(server: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOL, "audit"], env={"OSV_URL": server}, capture_output=True, text=True, check=False
    )


def test_every_locked_package_has_a_licence_that_is_allowed() -> None:
    found = supply.packages()
    assert len(found) > 100
    assert not supply.unlicensed(found)


def test_a_licence_that_asks_for_more_is_found() -> None:
    def of(licence: str) -> supply.Package:
        return supply.Package("PyPI", "x", "1", (), "", True, licence)

    assert supply.unlicensed([of("GPL-3.0-only"), of(""), of("MIT AND AGPL-3.0-only")]) == [
        "x 1: GPL-3.0-only",
        "x 1: unknown",
        "x 1: MIT AND AGPL-3.0-only",
    ]
    assert not supply.unlicensed([of("MIT OR GPL-2.0-only"), of("(MIT AND PSF-2.0)")])


def test_the_bill_of_materials_holds_every_package_of_every_lock_with_its_hashes() -> None:
    found = supply.packages()
    bill = supply.bill(found)
    assert bill == supply.bill(found)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["purl"]: part for part in bill["components"]}
    assert len(parts) == len(bill["components"]) == len(found)
    pinned = [line for lock in ("build", "dev", "node") for line in (supply.ROOT / f"requirements/{lock}.lock").read_text().splitlines() if "==" in line]  # fmt: skip
    for line in pinned:
        name, _, version = line.split()[0].partition("==")
        part = parts[f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"]
        assert part["properties"], line
    assert parts["pkg:npm/%40tabler/icons@3.51.0"]["scope"] == "required"
    assert next(p for p in bill["components"] if p["name"] == "pytest")["scope"] == "excluded"
    assert next(p for p in bill["components"] if p["name"] == "litestar")["scope"] == "required"


def test_the_audit_tells_known_weaknesses_and_fails() -> None:
    with an_osv({"jinja2": ["GHSA-x", "CVE-1"], "htmx.org": ["GHSA-y"]}) as server:
        told = audit(server)
    assert told.returncode == 1
    assert "jinja2" in told.stdout
    assert "CVE-1, GHSA-x" in told.stdout
    assert "npm htmx.org" in told.stdout


def test_the_audit_passes_when_nothing_is_known() -> None:
    with an_osv({}) as server:
        told = audit(server)
    assert told.returncode == 0
    assert "0 with known weaknesses" in told.stdout


def test_an_audit_that_could_not_ask_says_so_and_is_no_success() -> None:
    told = audit("http://127.0.0.1:9")
    assert told.returncode == 3
    assert "nothing was checked" in told.stderr
