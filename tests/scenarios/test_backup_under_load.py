"""A backup is taken while orders come in, brought back on another machine, and the shop goes on where it was."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from traffic import Serving, a_retailer_in, buyers, drained, eventually, malha, url_of


@pytest.fixture
def place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-b-"))
    place.chmod(0o755)  # the test's own directory: as root the server's user must reach what is in it
    yield place
    shutil.rmtree(place, ignore_errors=True)


def external_ids(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT external_id FROM malha.sales_order")}


def test_a_backup_made_under_load_goes_on_elsewhere_with_every_order_and_every_pending_event(place: Path) -> None:
    here, there, kept = place / "here", place / "there", place / "kept"
    kept.mkdir()
    key = a_retailer_in(here)

    # Without a worker nobody digests events: they are in the outbox when the backup is made.
    with Serving(here, "--no-worker") as server, buyers(4, server.port, key) as at_work:
        eventually(lambda: all(len(buyer.acknowledged) > 5 for buyer in at_work))
        before = {name for buyer in at_work for name in buyer.acknowledged}
        done = malha(here, "backup", str(kept), "--verify", "--json")
        assert done.returncode == 0, done.stderr
        written = len([name for buyer in at_work for name in buyer.acknowledged])
        eventually(lambda: sum(len(buyer.acknowledged) for buyer in at_work) > written)
    assert [failure for buyer in at_work for failure in buyer.failures] == []
    said = json.loads(done.stdout)
    assert said["verified"]
    manifest = json.loads((Path(said["place"]) / "manifest.json").read_text())
    assert manifest["rows"]["malha.outbox"] >= len(before)

    restored = malha(here, "restore", said["place"], "--into", str(there))
    assert restored.returncode == 0, restored.stderr
    assert "Start Malha again." in restored.stderr
    assert (there / "secret.key").read_text() == (here / "secret.key").read_text()
    with Serving(there) as server:
        url = url_of(there)
        found = external_ids(url)
        assert before <= found
        assert len(found) == manifest["rows"]["malha.sales_order"]
        drained(url)
        with psycopg.connect(url) as connection:
            told = connection.execute("SELECT count(*) FROM malha.order_timeline WHERE type = 'order.placed'")
            assert told.fetchone() == (len(found),)
        with buyers(1, server.port, key) as after:  # the key of the backup opens, and numbers go on
            eventually(lambda: any(name not in found for name in after[0].acknowledged))
        doctor = malha(there, "doctor")
        assert doctor.returncode == 0, doctor.stdout


def test_a_running_malha_is_not_restored_over(place: Path) -> None:
    here = place / "here"
    a_retailer_in(here)
    backup = place / "backup.tar"
    assert malha(here, "backup", str(backup)).returncode == 0
    with Serving(here, "--no-worker", "--web-workers", "1"):
        refused = malha(here, "restore", str(backup), "--replace")
    assert refused.returncode == 2
    assert "Stop it, then restore again." in refused.stderr
