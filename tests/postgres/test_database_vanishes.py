"""A database whose machine vanishes, and says nothing: what was asked of it is not waited for longer than a while."""

import os
import socket
from collections.abc import Mapping

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from tests.pooler import pooled

from malha.platform.db import VANISHED_S, Database, session

TCP = socket.IPPROTO_TCP


def patience_of(connection: AsyncConnection) -> dict[str, float]:
    """How long the kernel waits, in seconds: for what was sent to be taken, and to find that nobody is there."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        assert line.family == socket.AF_INET
        asks = bool(line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        idle, each, times = (
            line.getsockopt(TCP, name) for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        return {
            "taken": line.getsockopt(TCP, socket.TCP_USER_TIMEOUT) / 1_000 or float("inf"),
            "there": idle + each * times if asks else float("inf"),
        }


async def test_the_kernel_gives_up_what_nobody_answers(database: Database) -> None:
    """libpq's own patience is the kernel's: a quarter of an hour for what was sent, two hours for who listens."""
    async with pooled(database.url, by="session") as url:
        async with Database(url, database.retailer) as db, db.transaction() as tx:
            waits = patience_of(tx.connection)
        async with await AsyncConnection.connect(session(url)) as listening:
            assert patience_of(listening) == waits
    assert 5 <= waits["taken"] <= VANISHED_S
    assert 5 <= waits["there"] <= 2 * VANISHED_S


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        ("", {"connect_timeout": "15", "tcp_user_timeout": "15000", "keepalives_idle": "10"}),
        ("?tcp_user_timeout=60000&connect_timeout=3", {"connect_timeout": "3", "tcp_user_timeout": "60000"}),
        ("?keepalives_idle=300", {"keepalives_idle": "300", "tcp_user_timeout": "15000"}),
    ],
)
def test_what_the_address_says_of_it_holds(
    said: str, is_so: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    found = conninfo_to_dict(session(f"postgresql://malha@db.example/malha{said}"))
    assert {name: str(found.get(name)) for name in is_so} == is_so


def test_what_the_environment_says_of_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "40")
    found = conninfo_to_dict(session("postgresql://malha@db.example/malha"))
    assert "connect_timeout" not in found
