"""A full disk and a database that takes no changes are told as what they are, and cost nothing that was acknowledged."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import OperationalError
from psycopg import errors as pg
from tests_http import Shop, open_shop

from away import THROWN_OUT, absence
from malha.cli.main import _sentence
from malha.platform import i18n, outbox, subscribers
from malha.platform.db import Database, ReadOnlyDatabase, Tx
from malha.platform.eventlog import Recorded, Subscription
from malha.platform.outbox import Event
from malha.platform.sequencer import sequence
from malha.testing.builders import a_network, a_product

SHIP_TO = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"}
ROOM = 6 << 20  # bytes that the disk has beyond the database
SIZE = "SELECT pg_database_size(current_database())"


class Nudged(Event, frozen=True, kw_only=True):
    TYPE = "wall.nudged"
    KIND = "wall"

    id: str


class Disk:
    """A small disk with a database on it."""

    def __init__(self, place: Path) -> None:
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def clear(self) -> None:
        self._ballast.unlink()


def _mounted(place: Path, size: int) -> bool:
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False)
    return made.returncode == 0


@pytest.fixture
async def small(database: Database, tmp_path: Path) -> AsyncIterator[tuple[Disk, Shop]]:
    """A shop whose database lies on a disk that can be filled."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 500})
        size = int(await tx.value(SIZE))
        data = Path(await tx.value("SHOW data_directory"))
    address = urlsplit(database.url)
    admin = urlunsplit(address._replace(path="/postgres"))
    name = address.path.lstrip("/")
    home = data.parent.parent / f"malha-small-{name}"  # the server's user gets there
    if not _mounted(home, size + ROOM):
        home.rmdir()
        pytest.skip("no disk can be mounted here")
    try:
        (home / "data").mkdir()
        os.chown(home / "data", data.stat().st_uid, data.stat().st_gid)
        with absence(database) as gone, psycopg.connect(admin, autocommit=True) as tx:
            gone.begin()
            tx.execute(f"CREATE TABLESPACE \"{name}\" LOCATION '{home / 'data'}'")
            tx.execute(f'ALTER DATABASE "{name}" SET TABLESPACE "{name}"')
        try:
            async with AsyncExitStack() as stack:
                yield Disk(home), await open_shop(stack, database, tmp_path)
        finally:
            with absence(database) as gone, psycopg.connect(admin, autocommit=True) as tx:
                (home / "ballast").unlink(missing_ok=True)
                gone.begin()
                tx.execute(f'ALTER DATABASE "{name}" SET TABLESPACE pg_default')
                tx.execute(f'DROP TABLESPACE "{name}"')
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)
        home.rmdir()


ORDERED = "SELECT count(*) FROM sales_order"


def an_order(number: int) -> dict[str, object]:
    lines = [{"sku": "A", "quantity": 1, "unit_price": 1000} for _ in range(50)]
    return {"channel": "web", "external_id": f"full-{number}", "ship_to": SHIP_TO, "lines": lines}


async def send(shop: Shop, key: dict[str, str], number: int):
    return await shop.http.post("/v1/orders", json=an_order(number), headers=key)


async def test_a_full_disk_is_told_and_what_was_acknowledged_is_there_when_it_has_room_again(small) -> None:
    disk, shop = small
    key = await shop.key(["intake:submit", "orders:read"])
    assert (await send(shop, key, 0)).status_code == 201
    assert (await shop.http.get("/readyz")).json()["checks"] == {"database": "ok", "migrations": "ok"}
    disk.fill()
    number, answer = 0, None
    while answer is None or answer.status_code == 201:  # what fits into pages that are there is still taken
        number += 1
        answer = await send(shop, key, number)
    told = answer.json()
    assert (answer.status_code, told["code"], told["status"]) == (503, "database_full", 503), answer.text
    assert "disk" in told["detail"]
    assert "room" in told["mend"]
    assert int(answer.headers["retry-after"]) > 0
    ready = await shop.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        503,
        {"status": "not_ready", "checks": {"database": "disk_full", "migrations": "ok"}},
    )
    assert (await shop.http.get("/healthz")).status_code == 200, "it is no reason to start the process again"
    disk.clear()
    assert (await shop.http.get("/readyz")).status_code == 200
    async with shop.database.transaction() as tx:
        assert await tx.value(ORDERED) == number, "all that were acknowledged, and none that was refused"
    assert (await send(shop, key, number)).status_code == 201


async def test_a_database_that_takes_no_changes_is_told_and_answers_what_is_read(database, tmp_path) -> None:
    async with database.transaction() as tx:
        await a_product(tx, await a_network(tx), "A", stock={"DC": 500})
    async with AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path)
        key = await shop.key(["intake:submit", "orders:read", "network:read", "network:write"])
        name = urlsplit(database.url).path.lstrip("/")
        set_ = f'ALTER DATABASE "{name}" SET default_transaction_read_only = '
        server = urlunsplit(urlsplit(database.url)._replace(path="/postgres"))
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(set_ + "on")
            admin.execute(THROWN_OUT, (name,))
        order = await send(shop, key, 1)
        assert (order.status_code, order.json()["code"]) == (503, "database_read_only"), order.text
        feed = {"kind": "feed"}
        change = await shop.http.put("/v1/channels/web/stock-push", json=feed, headers=key)
        assert (change.status_code, change.json()["code"]) == (503, "database_read_only"), change.text
        assert "primary" in change.json()["mend"]
        ready = await shop.http.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "read_only")
        assert (await shop.http.get("/v1/channels", headers=key)).status_code == 200
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(set_ + "off")
            admin.execute(THROWN_OUT, (name,))
        assert (await shop.http.get("/readyz")).status_code == 200
        assert (await send(shop, key, 1)).status_code == 201


@pytest.mark.parametrize("state", ["53100", "25006"])
async def test_a_worker_blames_no_event_for_a_database_that_stores_nothing(database: Database, state: str) -> None:
    heard: list[int] = []
    room = False

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        if not room:
            await tx.execute(f"DO $$ BEGIN RAISE 'no room' USING ERRCODE = '{state}'; END $$")
        heard.extend(event.position for event in events)

    subscription = Subscription(name="listener", handler=handler, types=("wall.nudged",))
    await subscribers.register(database, [subscription])
    async with database.transaction() as tx:
        await outbox.add(tx, Nudged(id="1", seq=1))
    async with database.transaction() as tx:
        await sequence(tx)
    for _ in range(subscribers.ISOLATE_AFTER + 2):
        with pytest.raises(OperationalError, match="no room"):
            await subscribers.run_batch(database, subscription)
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM parked_key") == 0
    room = True
    await subscribers.run_batch(database, subscription)
    assert len(heard) == 1


async def test_a_statement_that_writes_where_only_is_read_is_a_defect_of_ours(database: Database) -> None:
    with pytest.raises(RuntimeError, match="only read"):
        async with database.snapshot() as tx:
            await tx.execute("UPDATE sequencer SET position = position")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (pg.DiskFull("no space left"), "disk of the database is full"),
        (ReadOnlyDatabase("read-only"), "read-only"),
        (pg.OutOfMemory("out of memory"), "too little memory"),
        (pg.TooManyConnections("too many"), "connections"),
    ],
)
def test_a_command_says_what_it_is_and_no_lost_connection(error: Exception, told: str) -> None:
    with i18n.speaking("en"):
        said = _sentence(error) or ""
    assert told in said
    assert "cannot be reached" not in said
