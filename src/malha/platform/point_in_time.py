"""Back to a moment: base backups of the embedded server, the log since then, and a restore that stops where it is told.

PostgreSQL's own programs do the work: pg_basebackup copies the cluster while orders are taken, basic_archive puts each
finished piece of the write-ahead log into a directory, pg_verifybackup checks a copy, and recovery replays the log up
to a moment. A commit that was acknowledged before the moment is there afterwards, one that was made later is not.
"""

import contextlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg

import malha
from malha.platform.backup import CONFIGURATION, KEY, BackupPlaceTaken, BackupPlaceUnusable, NoBackup, write_private
from malha.platform.db import patient
from malha.platform.embedded import EmbeddedError, EmbeddedPostgres, give_tree, version_of
from malha.platform.errors import MalhaError
from malha.platform.pgtools import ToolFailed, find_tool, run_tool
from malha.platform.restoring import KeyDiffers, RestoreRefused
from malha.platform.settings import Settings

FORMAT = 1
DATA = "data"
FACTS = "base.json"
_NAME = re.compile(r"^malha-base-\d{8}T\d{6}Z$")
_FIRST = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)", re.MULTILINE)
ARCHIVER = """
SELECT current_setting('archive_mode') <> 'off', current_setting('basic_archive.archive_directory', true),
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false), last_failed_wal
FROM pg_stat_archiver
"""


class NotArchiving(MalhaError):
    """The server keeps no log to go back by."""

    status = 500
    code = "not_archiving"
    says = "There is no archive of the database's log, so nobody could go back to a moment from a base backup."
    mend = "Set MALHA_WAL_ARCHIVE to a directory, start Malha again, then make the base backup."


class ArchiveFailing(MalhaError):
    """The server cannot put its log into the archive."""

    status = 500
    code = "archive_failing"
    says = "The log {wal} could not be put into {place}."
    mend = "Look whether the disk is full or the directory was changed; the reason is in postgres.log."


class NotEmbedded(MalhaError):
    """Somebody else's server has tools of its own."""

    status = 500
    code = "not_embedded"
    says = "Base backups are for the embedded database; DATABASE_URL names another server."
    mend = "Use that server's own backups and archive, and malha backup beside them."


class MomentTooEarly(RestoreRefused):
    """A copy is whole only from its end on."""

    code = "moment_too_early"
    says = "The base backup ended at {ended}, after {at}."
    mend = "Take an older base backup."


class MomentToCome(RestoreRefused):
    """Nobody can go to a moment that was not yet."""

    code = "moment_to_come"
    says = "{at} is still to come."
    mend = "Name a moment that is over, with its time zone, like 2026-11-27T14:05:00-03:00."


class ArchiveMissing(RestoreRefused):
    """Without the log there is no way from the copy to a moment."""

    code = "archive_missing"
    says = "There is no archive of the log at {place}."
    mend = "Name the directory it is in with --archive."


class MomentNotReached(RestoreRefused):
    """The archive does not reach the moment, or the log cannot be read. `words` are PostgreSQL's own."""

    code = "moment_not_reached"
    says = "The database did not get there: {words}"
    mend = "Name an earlier moment, or look whether pieces of the log are missing in the archive."


class PlaceInUse(RestoreRefused):
    """The data directory holds a database already."""

    code = "place_in_use"
    says = "{place} holds a database already."
    mend = "Restore into another directory with --into, look at it, and move it into place then."


class BaseDamaged(RestoreRefused):
    """A file of the copy is not what was written."""

    code = "base_damaged"
    says = "{place} is damaged: {words}"
    mend = "Use another base backup."


class BaseForeign(RestoreRefused):
    """Copies of a cluster are tied to a major version of PostgreSQL."""

    code = "base_foreign"
    says = "{place} is of PostgreSQL {theirs}, and this Malha brings PostgreSQL {ours}."
    mend = "Restore it with the Malha that made it, then upgrade."


class Base(msgspec.Struct, frozen=True):
    """What a base backup says about itself. `ended_at`: no earlier moment can be reached from it."""

    format: int
    malha: str
    postgres: str
    began_at: datetime
    ended_at: datetime
    archive: str
    first_wal: str  # the oldest piece of the log it needs


def make_base(settings: Settings, destination: Path) -> Path:
    """Copy the embedded server's cluster, while it is used, into a directory of its own in `destination`.

    Raises:
        NotArchiving, ArchiveFailing: what the names say.
        BackupPlaceTaken, BackupPlaceUnusable: it cannot be written there. Nothing is left behind.
        ToolFailed: pg_basebackup or pg_verifybackup failed.
    """
    url = settings.database_url or ""
    began = datetime.now(UTC)
    with psycopg.connect(patient(url), autocommit=True) as connection:
        row = connection.execute(ARCHIVER).fetchone()
        major = connection.info.server_version // 10_000
    on, archive, failing, wal = row or (False, None, False, None)
    if not on or not archive:
        raise NotArchiving
    if failing:
        raise ArchiveFailing(wal=wal, place=archive)
    place = destination.absolute() / f"malha-base-{began:%Y%m%dT%H%M%SZ}"
    if place.exists():
        raise BackupPlaceTaken(place=place)
    fresh = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        fresh.mkdir(parents=True, mode=0o700)
        tool = find_tool("pg_basebackup", major)
        options = ["--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256"]
        run_tool(tool, [f"--pgdata={fresh / DATA}", *options, f"--label={place.name}"], url)
        ended = datetime.now(UTC)
        _verify(fresh / DATA, major)
        label = (fresh / DATA / "backup_label").read_text("utf-8")
        first = _FIRST.search(label)
        facts = Base(
            format=FORMAT,
            malha=malha.__version__,
            postgres=version_of(tool),
            began_at=began,
            ended_at=ended,
            archive=archive,
            first_wal=first[1] if first else "",
        )
        write_private(fresh / KEY, settings.secret() + "\n")
        for name in CONFIGURATION:
            with contextlib.suppress(FileNotFoundError):
                write_private(fresh / name, (settings.data_dir / name).read_text("utf-8"))
        write_private(fresh / FACTS, msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
        fresh.rename(place)
        _sync(place)
        _sync(place.parent)
    except OSError as error:
        raise BackupPlaceUnusable(place=place, reason=error.strerror or str(error)) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def is_base(place: Path) -> bool:
    """Tell whether a path is a base backup, not a dump."""
    return (place / FACTS).is_file()


def read_base(place: Path) -> Base:
    """Return what a base backup says about itself.

    Raises:
        NoBackup: it is none.
    """
    try:
        return msgspec.json.decode((place / FACTS).read_bytes(), type=Base)
    except (OSError, msgspec.DecodeError) as error:
        raise NoBackup(place=place, reason=str(error)) from None


def restore_base(
    place: Path,
    home: Path,
    server_of: Callable[[Mapping[str, str]], EmbeddedPostgres],
    *,
    at: datetime | None = None,
    archive: Path | None = None,
    keep_key: bool = False,
) -> datetime:
    """Bring a base backup and the log since it into an empty data directory; return the moment that was reached.

    Args:
        place: the base backup.
        home: the data directory, which must hold no database.
        server_of: makes the embedded server of `home` with these settings added.
        at: the moment; None is the end of the archive.
        archive: where the log is; by default where it was kept when the base backup was made.
        keep_key: leave another key that the data directory has.

    Raises:
        RestoreRefused: see its subclasses. The data directory holds no database then, as before.
        NoBackup: `place` is no base backup.
    """
    base = read_base(place)
    log = (archive or Path(base.archive)).absolute()
    _refuse(place, base, home, at, log, keep_key=keep_key)
    _verify(place / DATA, int(base.postgres.split(".")[0]))
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    recovering = {
        # PostgreSQL reads a percent sign of its own; two of them are one of the path's.
        "restore_command": f'cp {shlex.quote(str(log).replace("%", "%%"))}/"%f" "%p"',
        "recovery_target_action": "promote",
        # Not the newest: somebody who tried a restore and let it run may have left one in the same archive.
        "recovery_target_timeline": "current",
        "hot_standby": "off",  # whatever the settings of the server it comes from were
        "archive_mode": "off",  # until it is Malha's database again
        **({"recovery_target_time": at.astimezone(UTC).isoformat()} if at else {}),
    }
    server = server_of(recovering)
    _copy(place / DATA, server)
    try:
        with server:
            reached = _reached(server.url, at or datetime.now(UTC))
    except BaseException as error:
        shutil.rmtree(server.pgdata, ignore_errors=True)
        if not isinstance(error, EmbeddedError):
            raise
        words = str(error).strip().splitlines()
        fatal = next((line.rpartition("FATAL:  ")[2] for line in words if "FATAL:" in line), words[-1])
        raise MomentNotReached(words=fatal) from None
    for name in (KEY, *CONFIGURATION):
        if (place / name).exists() and not (home / name).exists():
            write_private(home / name, (place / name).read_text("utf-8"))
    return reached


def remove_old_bases(directory: Path, keep: int) -> list[Path]:
    """Remove all but the newest base backups in a directory, and the log that only they needed; return what went."""
    found = sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name) and is_base(path))
    gone = found[:-keep]
    for path in gone:
        shutil.rmtree(path)
    kept = found[-keep:]
    if kept:
        oldest = read_base(kept[0])
        if oldest.first_wal and Path(oldest.archive).is_dir():
            tool = find_tool("pg_archivecleanup", int(oldest.postgres.split(".")[0]))
            _run(tool, [oldest.archive, oldest.first_wal])
    return gone


def _refuse(place: Path, base: Base, home: Path, at: datetime | None, log: Path, *, keep_key: bool) -> None:
    if (home / "postgres").exists():
        raise PlaceInUse(place=home)
    key = home / KEY
    if not keep_key and key.exists() and key.read_bytes().strip() != (place / KEY).read_bytes().strip():
        raise KeyDiffers(place=key)
    ours = version_of(find_tool("postgres", 0))
    if ours.split(".")[0] != base.postgres.split(".")[0]:
        raise BaseForeign(place=place, theirs=base.postgres, ours=ours)
    if at is not None and at < base.ended_at:
        raise MomentTooEarly(at=at, ended=base.ended_at)
    if at is not None and at > datetime.now(UTC):
        raise MomentToCome(at=at)
    if not log.is_dir():
        raise ArchiveMissing(place=log)


def _copy(data: Path, server: EmbeddedPostgres) -> None:
    """Copy a cluster beside its place and move it there: a half copy is never taken for a database."""
    identity = server.identity()
    fresh = server.home / f".postgres.{secrets.token_hex(4)}"
    fresh.mkdir(mode=0o700)  # closed before the first file is in it: a file has its own mode only once it is whole
    shutil.copytree(data, fresh, symlinks=True, dirs_exist_ok=True)
    (fresh / "recovery.signal").touch(mode=0o600)
    fresh.chmod(0o700)
    if os.geteuid() == 0:
        give_tree(fresh, *identity)
    fresh.rename(server.pgdata)


def _reached(url: str, at: datetime) -> datetime:
    """Return when the last transaction was committed that is there now; without one, the moment itself."""
    with psycopg.connect(patient(url), autocommit=True) as connection:
        row = connection.execute("SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()").fetchone()
    return row[1] if row and row[1] is not None else at


def _verify(data: Path, major: int) -> None:
    try:
        _run(find_tool("pg_verifybackup", major), ["--exit-on-error", "--quiet", str(data)])
    except ToolFailed as error:
        raise BaseDamaged(place=data.parent, words=error.facts["words"]) from None


def _run(program: Path, arguments: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 -- PostgreSQL's own program, no shell
        [str(program), *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise ToolFailed(tool=program.name, words=(done.stderr or done.stdout).strip()[-500:])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
