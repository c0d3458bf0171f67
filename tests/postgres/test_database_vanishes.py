"""A database whose machine vanishes, and says nothing: what was asked of it is not waited for longer than a while."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.pooler import pooled

from malha.platform import db as db_module
from malha.platform.backup import make_backup
from malha.platform.db import STALLED_S, VANISHED_S, Database, patient, session
from malha.platform.pgtools import run_tool
from malha.platform.settings import Settings

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


@pytest.mark.parametrize("program", [session, patient])
def test_who_moves_all_data_waits_as_long_for_one_that_is_gone(program: Callable[[str], str]) -> None:
    found = conninfo_to_dict(program("postgresql://malha@db.example/malha?keepalives_count=4"))
    assert (str(found["keepalives_idle"]), str(found["keepalives_count"])) == ("10", "4")
    slow = int(found["tcp_user_timeout"]) // 1_000
    assert slow == (VANISHED_S if program is session else STALLED_S)


async def test_backup_and_its_tools_give_up_a_server_that_vanished(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    connect = psycopg.connect

    mine = conninfo_to_dict(database.url)["dbname"]

    def noted(conninfo: str, **kwargs: Any) -> Any:
        if conninfo_to_dict(conninfo)["dbname"] == mine:  # others make databases for the next tests meanwhile
            asked.append(conninfo)
        return connect(conninfo, **kwargs)

    monkeypatch.setattr(psycopg, "connect", noted)
    program = tmp_path / "pg_said"
    program.write_text('#!/bin/sh\necho "$2" >&2\n')
    program.chmod(0o700)
    run_tool(program, [], database.url, on_line=asked.append)
    await asyncio.to_thread(make_backup, Settings(database_url=database.url, data_dir=tmp_path / "data"), tmp_path)
    assert len(asked) >= 2
    for conninfo in asked:
        assert str(conninfo_to_dict(conninfo).get("tcp_user_timeout")) == str(STALLED_S * 1_000), conninfo


# On a socket of the machine, as here, the server reads its kernel's as 0 whatever was set; where from is kept.
CLIENT_SETTINGS = """
SELECT name, source FROM pg_settings
WHERE name IN ('tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout',
               'client_connection_check_interval')
"""


async def clients_of(url: str, database: Database) -> tuple[dict[str, str], str]:
    """Who says what becomes of clients that vanish, by setting; and how often the server looks after one."""
    async with Database(url, database.retailer) as db, db.transaction() as tx:
        every = await tx.value("SHOW client_connection_check_interval")
        return dict(await tx.tuples(CLIENT_SETTINGS)), every


async def test_the_server_gives_up_a_client_that_vanished(database: Database) -> None:
    """Its own patience is the kernel's: two hours with what the client's sessions hold."""
    async with pooled(database.url, by="session") as url:
        said, every = await clients_of(url, database)
    assert (set(said.values()), len(said), every) == ({"session"}, 5, "15s")
    here, _ = await clients_of(database.url, database)
    assert set(here.values()) == {"default"}, "whoever is on this machine ends with it"


async def test_what_the_server_says_of_its_clients_holds(database: Database) -> None:
    async with pooled(database.url, by="session") as url:
        own = make_conninfo(url, options="-c tcp_keepalives_idle=300 -c client_connection_check_interval=0")
        said, every = await clients_of(own, database)
    assert (said["tcp_keepalives_idle"], said["client_connection_check_interval"], every) == ("client", "client", "0")
    assert said["tcp_user_timeout"] == "session"


async def test_a_server_whose_system_knows_no_such_setting_is_used_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(db_module._UNHEARD_THERE, "tcp_user_timeout", "-1")  # refused, as another system refuses it
    async with pooled(database.url, by="session") as url:
        said, every = await clients_of(url, database)
    assert (set(said.values()), every) == ({"default"}, "0")
