"""Backups: one moment, checked sums, refusals before anything is touched, and what was there comes back on failure."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest

from malha.platform import backup, restoring
from malha.platform.backup import BackupDamaged, BackupPlaceTaken, NoBackup, NothingToBackUp, make_backup, open_backup
from malha.platform.db import Database
from malha.platform.migrate import DatabaseNewer
from malha.platform.pgtools import ToolFailed, ToolsMissing, find_tool, needs_tls, run_tool
from malha.platform.restoring import DatabaseHasData, DatabaseInUse, KeyDiffers, RowsMissing, restore_backup
from malha.platform.settings import Settings
from malha.testing.builders import a_network, a_product


@pytest.fixture
async def settings(database: Database, tmp_path: Path) -> AsyncIterator[Settings]:
    async with database.transaction() as tx:
        await a_product(tx, await a_network(tx), "SHIRT")
    return Settings(data_dir=tmp_path / "data", database_url=database.url)


@contextmanager
def an_empty_database(url: str) -> Iterator[str]:
    name = f"t_restored_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield _at(url, name)
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _at(url: str, name: str) -> str:
    return psycopg.conninfo.make_conninfo(url, dbname=name)


def skus(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [sku for (sku,) in connection.execute("SELECT sku FROM malha.variant ORDER BY sku")]


def changed(place: Path, **facts) -> None:
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**manifest, **facts}))


def test_a_backup_holds_data_key_and_configuration_and_only_its_owner_reads_it(
    settings: Settings, tmp_path: Path
) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "malha.toml").write_text("web_workers = 3\n")
    seen: list[tuple[str, int, int]] = []
    kept = tmp_path / "kept"
    kept.mkdir()
    made = make_backup(settings, kept, progress=lambda *said: seen.append(said))
    assert made.place.parent == kept
    assert {path.name for path in made.place.iterdir()} == {
        "database.dump",
        "secret.key",
        "malha.toml",
        "manifest.json",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.place.iterdir()} == {0o600}
    assert stat.S_IMODE(made.place.stat().st_mode) == 0o700
    assert made.manifest.rows["malha.variant"] == 1
    assert "variant" in {what for what, _, _ in seen}
    assert all(done <= total for _, done, total in seen)
    assert [path.name for path in kept.iterdir()] == [made.place.name]  # nothing half-made beside it


def test_it_comes_back_into_an_empty_database(settings: Settings, tmp_path: Path) -> None:
    with (
        open_backup(make_backup(settings, tmp_path / "b").place) as found,
        an_empty_database(settings.database_url) as url,
    ):
        seen: list[tuple[str, int, int]] = []
        restore_backup(found, url, progress=lambda *said: seen.append(said))
        assert skus(url) == ["SHIRT"]
        assert seen[-1][1] == seen[-1][2]  # the bar reaches its end
        with pytest.raises(DatabaseHasData, match=r"holds \d+ rows in the schema malha already"):
            restore_backup(found, url)


def test_one_file_is_as_good_as_a_directory(settings: Settings, tmp_path: Path) -> None:
    made = make_backup(settings, tmp_path / "b.tar")
    assert made.place.is_file()
    assert stat.S_IMODE(made.place.stat().st_mode) == 0o600
    with open_backup(made.place) as found, an_empty_database(settings.database_url) as url:
        restore_backup(found, url)
        assert skus(url) == ["SHIRT"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_replacing_puts_the_backup_in_place_of_what_is_there(settings: Settings, tmp_path: Path) -> None:
    with (
        open_backup(make_backup(settings, tmp_path / "b").place) as found,
        an_empty_database(settings.database_url) as url,
    ):
        restore_backup(found, url)
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE malha.variant SET sku = 'LATER'")
            connection.execute("CREATE TABLE malha.of_a_later_version (n integer)")
        restore_backup(found, url, replace=True)
        assert skus(url) == ["SHIRT"]
        with psycopg.connect(url) as connection:
            schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'malha%' ORDER BY 1")
            assert [name for (name,) in schemas] == ["malha", "malha_ext", "malha_jobs"]
            assert connection.execute("SELECT to_regclass('malha.of_a_later_version')").fetchone() == (None,)


def test_when_a_restore_fails_what_was_there_is_there_again(settings: Settings, tmp_path: Path) -> None:
    made = make_backup(settings, tmp_path / "b")
    with an_empty_database(settings.database_url) as url:
        with open_backup(made.place) as found:
            restore_backup(found, url)
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE malha.variant SET sku = 'LATER'")
        changed(made.place, rows={**made.manifest.rows, "malha.variant": 7})
        with (
            open_backup(made.place) as found,
            pytest.raises(RowsMissing, match=r"malha\.variant has 1 rows, .* noted 7"),
        ):
            restore_backup(found, url, replace=True)
        assert skus(url) == ["LATER"]


def test_a_restore_waits_for_nobody_it_refuses_while_others_are_connected(settings: Settings, tmp_path: Path) -> None:
    with (
        open_backup(make_backup(settings, tmp_path / "b").place) as found,
        an_empty_database(settings.database_url) as url,
        psycopg.connect(url, application_name="malha serve"),
        pytest.raises(DatabaseInUse, match="malha serve"),
    ):
        restore_backup(found, url)


def test_a_damaged_file_is_refused_before_anything_is_touched(settings: Settings, tmp_path: Path) -> None:
    made = make_backup(settings, tmp_path / "b")
    dump = made.place / "database.dump"
    with dump.open("r+b") as file:
        file.seek(dump.stat().st_size // 2)
        there = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([there ^ 0xFF]))  # not zeros: those may be there already
    with pytest.raises(BackupDamaged, match=r"database\.dump"), open_backup(made.place):
        pass


def test_what_is_no_backup_is_said_to_be_none(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no archive")
    climbing = tmp_path / "climbing.tar"
    (tmp_path / "evil").write_text("x")
    with tarfile.open(climbing, "w") as archive:
        archive.add(tmp_path / "evil", "../evil")
    for place in (tmp_path / "nothing", tmp_path, tmp_path / "text.tar", climbing):
        with pytest.raises(NoBackup), open_backup(place):
            pass


def test_a_backup_of_a_newer_version_is_not_restored_by_an_older_one(settings: Settings, tmp_path: Path) -> None:
    made = make_backup(settings, tmp_path / "b")
    changed(made.place, migrations={"malha": ["9999_pre_later.sql"]})
    with open_backup(made.place) as found, pytest.raises(DatabaseNewer, match="9999_pre_later"):
        restore_backup(found, settings.database_url)


def test_a_backup_is_not_written_over_something(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("precious")
    with pytest.raises(BackupPlaceTaken):
        make_backup(settings, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "precious"


def test_a_database_without_a_retailer_is_not_backed_up(template_url: str, tmp_path: Path) -> None:
    with an_empty_database(template_url) as url, pytest.raises(NothingToBackUp):
        make_backup(Settings(data_dir=tmp_path, database_url=url), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_only_old_backups_are_removed_and_nothing_else(settings: Settings, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    made = make_backup(settings, kept)
    (kept / "notes.txt").write_text("precious")
    (kept / "malha-20200101T000000Z").mkdir()  # the name of a backup, but none
    older = [kept / f"malha-20260{month}01T000000Z" for month in (1, 2, 3)]
    for place in older:
        place.mkdir()
        (place / "manifest.json").write_bytes((made.place / "manifest.json").read_bytes())
    assert set(backup.remove_old(kept, 2)) == set(older[:2])
    assert {path.name for path in kept.iterdir()} == {
        "notes.txt",
        "malha-20200101T000000Z",
        older[2].name,
        made.place.name,
    }


def test_the_first_of_many_makes_their_directory(settings: Settings, tmp_path: Path) -> None:
    kept = tmp_path / "var" / "backups"
    made = make_backup(settings, kept, among_others=True)
    assert made.place.parent == kept
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert backup.remove_old(kept, 1) == []


def test_on_the_command_line_the_first_night_needs_no_directory_and_one_file_is_not_many(
    settings: Settings, tmp_path: Path
) -> None:
    def malha(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DATABASE_URL": settings.database_url or "", "MALHA_DATA_DIR": str(tmp_path)}
        command = [sys.executable, "-m", "malha.cli.main", "backup", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = malha(str(tmp_path / "kept"), "--keep", "14")
    assert done.returncode == 0, done.stderr
    assert [path.name[:6] for path in (tmp_path / "kept").iterdir()] == ["malha-"]
    refused = malha(str(tmp_path / "b.tar"), "--keep", "14")
    assert refused.returncode == 2
    assert "directory of backups" in refused.stderr
    assert not (tmp_path / "b.tar").exists()


def test_another_key_in_the_data_directory_is_not_overwritten(settings: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret.key").write_text("k" * 40)
    with open_backup(make_backup(settings, tmp_path / "b").place) as found:
        with pytest.raises(KeyDiffers):
            restoring.refuse_other_key(found, other)
        assert restoring.restore_files(found, other) == []
        (other / "secret.key").unlink()
        assert restoring.restore_files(found, other) == ["secret.key"]
        assert (other / "secret.key").read_text().strip() == settings.secret()


async def test_from_the_oldest_server_to_the_newest_and_back(
    debian15: str,
    template_url: str,
    retailer_on: Callable[[str], AbstractAsyncContextManager[Database]],
    tmp_path: Path,
) -> None:
    for source, target in ((debian15, template_url), (template_url, debian15)):
        async with retailer_on(source) as database:
            async with database.transaction() as tx:
                await a_product(tx, await a_network(tx), "SHIRT")
            place = tmp_path / f"from-{len(list(tmp_path.iterdir()))}"
            made = make_backup(Settings(data_dir=tmp_path / "data", database_url=database.url), place)
        with open_backup(made.place) as found, an_empty_database(target) as url:
            restore_backup(found, url)
            assert skus(url) == ["SHIRT"]


def test_a_password_is_in_no_argument_that_others_can_list(tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "arguments: $*" >&2\necho "password: $PGPASSWORD" >&2\n')
    program.chmod(0o755)
    said: list[str] = []
    run_tool(program, ["--verbose"], "postgresql://malha:hush@db.example/malha", on_line=said.append)
    assert len(said) == 2
    assert said[0].startswith("arguments: --dbname user=malha ")
    assert said[0].endswith(" --verbose")
    assert "dbname=malha host=db.example" in said[0]
    assert "hush" not in said[0]
    assert said[1] == "password: hush"


def test_a_tool_that_fails_says_its_last_words(settings: Settings) -> None:
    tool = find_tool("pg_dump", 15)
    with pytest.raises(ToolFailed, match="does not exist"):
        run_tool(tool, ["--file=/dev/null"], _at(settings.database_url, "no_such_database"))


def test_no_tool_for_a_server_of_the_future_is_said_with_what_to_install() -> None:
    with pytest.raises(ToolsMissing, match="PostgreSQL 99 server over TLS"):
        find_tool("pg_dump", 99, tls=True)


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("postgresql://u@db.example/x?sslmode=require", True),
        ("postgresql://u@db.example/x?sslmode=verify-full", True),
        ("postgresql://u@db.example/x", False),
        ("postgresql:///x?host=%2Frun&sslmode=require", False),
    ],
)
def test_where_the_connection_must_be_encrypted_the_wheels_tools_which_cannot_are_passed_over(
    url: str, needed: bool
) -> None:
    assert needs_tls(url) == needed


def test_a_manifest_survives_being_written_and_read(settings: Settings, tmp_path: Path) -> None:
    made = make_backup(settings, tmp_path / "b")
    assert msgspec.json.decode((made.place / "manifest.json").read_bytes(), type=backup.Manifest) == made.manifest
