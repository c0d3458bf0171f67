"""The disk for temporary files is full: what was counted may be missed, no process ends and no order is lost by it."""

import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.small_disk import small_disk
from traffic import Serving, a_retailer_in, buyers, eventually, url_of

PLACED = "SELECT count(*) FROM malha.sales_order"
# Each counts by a route of its own, so each wants room of its own.
PATHS = ("/v1/orders", "/v1/products", "/v1/locations", "/v1/holds", "/v1/customers", "/v1/feeds", "/metrics", "/login")


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk("3m") as place:
        place.chmod(0o1777)  # as a directory for temporary files is
        yield place


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="malha-t-") as place:
        Path(place).chmod(0o755)  # as root the server's user must reach what is in it
        yield Path(place) / "data"


def fill(disk: Path) -> None:
    with (disk / "full").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_orders_are_taken_and_no_process_ends(disk: Path, home: Path) -> None:
    key = a_retailer_in(home)
    with Serving(home, "--web-workers", "2", TMPDIR=str(disk)) as server:
        fill(disk)
        with buyers(2, server.port, key) as at_work:
            eventually(lambda: all(len(buyer.acknowledged) > 20 for buyer in at_work))
            assert max(status(server.port, path) for path in PATHS * 3) < 500
        assert [failure for buyer in at_work for failure in buyer.failures] == []
        with psycopg.connect(url_of(home)) as database:
            assert database.execute(PLACED).fetchone() == (sum(len(buyer.acknowledged) for buyer in at_work),)
        assert "child_died" not in server.said()
