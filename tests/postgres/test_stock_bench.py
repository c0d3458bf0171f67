"""The ledger behind `malha bench stock --full`, and what an interrupted benchmark leaves: nothing."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from tests.ports import free_port

from malha.bench.ledger import ledger, months
from malha.bench.server import drift
from malha.inventory.closing import SETTLED

FACTS = """
SELECT (SELECT count(*) FROM malha.movement), (SELECT count(*) FROM malha.movement_default),
       (SELECT count(*) FROM malha.movement_partition), (SELECT max(id) FROM malha.movement),
       (SELECT count(*) FROM (SELECT FROM malha.movement GROUP BY sku_id, location_id
                              HAVING sum(d_on_hand) <> 0 OR sum(d_allocated) <> 0) m)
"""


def test_months_of_a_ledger_follow_each_other_and_share_its_rows_by_their_days() -> None:
    found = months(1_000_000, datetime(2026, 11, 26, 12, tzinfo=UTC))
    assert [month.name for month in found[::12]] == ["movement_2025_11", "movement_2026_11"]
    assert found[-1].until == datetime(2026, 11, 23, tzinfo=UTC)
    assert all(one.until == other.since for one, other in itertools.pairwise(found))
    assert all(one.first + one.rows == other.first for one, other in itertools.pairwise(found))
    assert all(month.rows % 2 == 0 for month in found)
    assert abs(sum(month.rows for month in found) - 1_000_000) < 26
    assert len(months(1_000, datetime(2026, 11, 2, tzinfo=UTC))) == 12, "nothing of a month that has just begun"


def _this_month() -> datetime:
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_a_ledger_stands_behind_one_retailer_after_the_other_and_the_doctor_finds_nothing() -> None:
    with ledger(60_000, lambda _what: None) as (behind, figures):
        for _ in range(2):
            with behind.ground() as (_home, url):
                with psycopg.connect(url, autocommit=True) as connection:
                    facts = connection.execute(FACTS).fetchone()
                    assert facts is not None
                    rows, strays, closed, last, unequal = facts
                    assert (rows, strays, unequal) == (figures["ledger_rows"], 0, 0)
                    # The month before this one is closed once it has been over for a day.
                    assert closed == (12 if datetime.now(UTC) - SETTLED >= _this_month() else 11)
                    # What a part writes leaves with its retailer.
                    connection.execute(
                        "INSERT INTO malha.movement (sku_id, location_id, d_held, reason) VALUES (1, 1, 0, 'set')"
                    )
                    new = connection.execute("SELECT max(id) FROM malha.movement_default").fetchone()
                    assert new is not None
                    assert new[0] > last
                assert asyncio.run(drift(url)) == 0


def test_an_interrupted_benchmark_leaves_neither_files_nor_processes() -> None:
    with tempfile.TemporaryDirectory() as name:  # not pytest's own, which the server's account cannot reach
        room = Path(name)
        room.chmod(0o755)
        _interrupt(room)


def _interrupt(room: Path) -> None:
    port = free_port()
    for number, at in ((signal.SIGTERM, "Starting the server"), (signal.SIGKILL, "Making the catalogue")):
        process = subprocess.Popen(
            [sys.executable, "-m", "malha.cli.main", "bench", "stock", "--only", "availability", "--port", str(port)],
            env={**os.environ, "TMPDIR": str(room)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = ""
        while at not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        homes = list(room.glob("malha-bench-*"))
        assert homes
        process.send_signal(number)
        process.wait(60)
        process.stderr.close()
        _wait_until_gone(str(room))
        if number == signal.SIGTERM:
            assert list(room.iterdir()) == []
    # Nobody could remove what was killed: the next benchmark does, once it is sure that nobody is there.
    for home in homes:
        os.utime(home / "bench.lock", (1, 1))
    script = "from malha.bench.server import bench_home\nwith bench_home(): pass"
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(room)}, check=True)
    assert list(room.iterdir()) == []


def _wait_until_gone(room: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not any(room.encode() in _facts(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            return
        time.sleep(0.1)
    raise AssertionError("processes are left")


def _facts(entry: Path) -> bytes:
    try:
        found = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
    except OSError:
        return b""
    return found if int(entry.name) != os.getpid() else b""
