"""Back to a moment: orders are written, a moment is noted, more are written; what is restored is what was before it."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from traffic import Serving, a_retailer_in, buyers, eventually, malha, url_of

from malha.cli.proof import prove_base
from malha.platform import point_in_time
from malha.platform.backup import NoBackup
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.errors import MalhaError
from malha.platform.settings import Settings


@pytest.fixture
def place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-t-"))
    place.chmod(0o755)  # the test's own directory: as root the server's user must reach what is in it
    yield place
    shutil.rmtree(place, ignore_errors=True)


def external_ids(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT external_id FROM malha.sales_order")}


def sell(port: int, key: str, name: str, count: int) -> set[str]:
    """Place some orders; return those that were acknowledged when everybody has gone home."""
    with buyers(2, port, key, named=name) as at_work:
        eventually(lambda: sum(len(buyer.acknowledged) for buyer in at_work) >= count)
    assert [failure for buyer in at_work for failure in buyer.failures] == []
    return {order for buyer in at_work for order in buyer.acknowledged}


def test_exactly_what_was_acknowledged_before_the_moment_is_there(place: Path) -> None:
    # PostgreSQL's own commands give a percent sign a meaning, a shell the blank.
    here, there, kept, archive = place / "here", place / "there", place / "kept", place / "100%f of it"
    kept.mkdir()
    key = a_retailer_in(here)
    env = {"MALHA_WAL_ARCHIVE": str(archive)}

    refused = malha(here, "backup", str(kept), "--base")
    assert refused.returncode != 0
    assert "Set MALHA_WAL_ARCHIVE" in refused.stderr

    with Serving(here, "--web-workers", "1", **env) as server:
        with buyers(2, server.port, key) as at_work:  # the copy is made while orders come in
            eventually(lambda: all(len(buyer.acknowledged) > 3 for buyer in at_work))
            made = malha(here, "backup", str(kept), "--base", "--json", **env)
            assert made.returncode == 0, made.stderr
        before = {order for buyer in at_work for order in buyer.acknowledged}
        before |= sell(server.port, key, "before", 10)
        moment = datetime.now(UTC)
        time.sleep(0.05)
        after = sell(server.port, key, "after", 10)
        assert before | after == external_ids(url_of(here))
    base = Path(json.loads(made.stdout)["place"])
    assert any(archive.iterdir())  # stopping finished the last piece of the log
    assert_closed(archive)
    assert_closed(base)

    restored = malha(here, "restore", str(base), "--at", moment.isoformat(), "--into", str(there), "--json")
    assert restored.returncode == 0, restored.stderr
    told = json.loads(restored.stdout)
    assert told["healthy"]  # the doctor looked
    assert datetime.fromisoformat(told["reached"]) <= moment
    assert (there / "secret.key").read_text() == (here / "secret.key").read_text()
    with Serving(there, "--web-workers", "1") as server:
        assert external_ids(url_of(there)) == before
        again = sell(server.port, key, "again", 3)  # the shop goes on from there, with the same key
        assert external_ids(url_of(there)) == before | again

    # Without a moment: all that was archived, which is everything, for the server was stopped.
    whole = place / "whole"
    point_in_time.restore_base(base, whole, server_of(whole))
    assert_closed(whole / "postgres")
    with EmbeddedPostgres(whole) as database:
        assert external_ids(database.url) == before | after
    assert_refusals(base, place, moment)


def assert_closed(place: Path) -> None:
    """Everything that could be read by another person on the machine is for its owner only."""
    open_ = [path for path in (place, *place.rglob("*")) if path.stat().st_mode & 0o077]
    assert open_ == []


def server_of(home: Path):
    return lambda more: EmbeddedPostgres(home, settings=more)


def assert_refusals(base: Path, place: Path, moment: datetime) -> None:
    """What cannot be restored is refused, and nothing is left of the try."""
    lost = place / "lost"

    def refused(wrong: type[MalhaError], home: Path = lost, **options: Any) -> None:
        with pytest.raises(wrong):
            point_in_time.restore_base(base, home, server_of(home), **options)
        assert not (lost / "postgres").exists()

    refused(point_in_time.PlaceInUse, place / "there", at=moment)
    refused(point_in_time.MomentTooEarly, at=datetime(2020, 1, 1, tzinfo=UTC))
    refused(point_in_time.MomentToCome, at=datetime.now(UTC) + timedelta(days=1))
    refused(point_in_time.MomentNotReached, at=datetime.now(UTC))  # the archive ends before
    refused(point_in_time.ArchiveMissing, archive=place / "nowhere", at=moment)
    with pytest.raises(NoBackup):
        point_in_time.restore_base(place, lost, server_of(lost))
    victim = max((base / "data" / "base").rglob("[0-9]*"), key=lambda path: path.stat().st_size)
    with victim.open("r+b") as file:
        file.write(b"\0" * 64)
    refused(point_in_time.BaseDamaged, at=moment)


def test_old_copies_go_with_the_log_that_only_they_needed(place: Path) -> None:
    here, kept, archive = place / "here", place / "kept", place / "archive"
    kept.mkdir()
    a_retailer_in(here)
    settings = Settings(data_dir=here, wal_archive=archive)
    with EmbeddedPostgres(here, archive=archive) as server:
        ready = msgspec.structs.replace(settings, database_url=server.url)
        first = point_in_time.make_base(ready, kept)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SELECT pg_switch_wal()")
        time.sleep(1.1)  # a copy has its second in its name
        second = point_in_time.make_base(ready, kept)
        needed = point_in_time.read_base(second).first_wal
        assert point_in_time.read_base(first).first_wal < needed
        eventually(lambda: any(path.name >= needed[:24] for path in archive.iterdir()))
        prove_base(second, quiet=True)
        assert point_in_time.remove_old_bases(kept, 1) == [first]
    assert [path.name for path in kept.iterdir()] == [second.name]
    segments = [path.name for path in archive.iterdir() if len(path.name) == 24]
    assert segments
    assert min(segments) >= needed
