"""A retailer with orders on PostgreSQL 15 starts a Malha that brings PostgreSQL 18."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from traffic import Serving, a_retailer, buyers, drained, eventually, malha, url_of

from malha.platform.embedded import EmbeddedPostgres

DEBIAN_15 = Path("/usr/lib/postgresql/15")


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-u-"))
    place.chmod(0o755)  # as root the server's user must reach what is in it
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.skipif(
    not DEBIAN_15.exists() and os.environ.get("CI") != "true", reason="needs PostgreSQL 15 (Debian: postgresql-15)"
)
def test_it_is_told_how_to_upgrade_does_it_and_goes_on_with_every_order(home: Path) -> None:
    with EmbeddedPostgres(home, binaries=DEBIAN_15) as old:
        key = a_retailer(old.url)
        with (
            Serving(home, "--no-worker", "--web-workers", "1", DATABASE_URL=old.url) as server,
            buyers(2, server.port, key) as at_work,
        ):
            eventually(lambda: all(len(buyer.acknowledged) > 5 for buyer in at_work))
        placed = {name for buyer in at_work for name in buyer.acknowledged}

    refused = malha(home, "serve", "--port", str(server.port))
    assert refused.returncode == 2
    assert (
        "was made by PostgreSQL 15, and this Malha brings PostgreSQL 18. Stop Malha and run: malha upgrade-database"
        in (refused.stderr)
    )
    done = malha(home, "upgrade-database", "--remove-old")
    assert done.returncode == 0, done.stderr
    assert "From PostgreSQL 15 to 18, and the doctor found nothing." in done.stderr
    assert list(home.glob("postgres.before*")) == []
    with Serving(home):
        drained(url_of(home))
        with psycopg.connect(url_of(home)) as new:
            assert new.info.server_version // 10_000 == 18
            found = {name for (name,) in new.execute("SELECT external_id FROM malha.sales_order")}
        assert found == placed
        doctor = malha(home, "doctor")
        assert doctor.returncode == 0, doctor.stdout
    assert "already" in malha(home, "upgrade-database").stderr
