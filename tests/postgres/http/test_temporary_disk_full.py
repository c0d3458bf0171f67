"""No room for temporary files: who sends a file hears that a disk is full, not that the program failed."""

import errno
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from tests.small_disk import small_disk
from tests_http import Shop, open_shop

from malha.cli.main import _sentence
from malha.platform import i18n
from malha.platform.db import Database

PEOPLE = b"email,name\n" + b"".join(b"p%d@loja.test,Pessoa %d\n" % (n, n) for n in range(5_000))


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path)


async def test_a_file_that_has_no_room_is_refused_as_that_and_taken_when_there_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await shop.key(["customers:read", "customers:write", "customers:reveal"])
    key["content-type"] = "text/csv"
    with small_disk("1m") as disk:
        with (disk / "full").open("wb", buffering=0) as full, suppress(OSError):
            while True:
                full.write(bytes(4096))
        with monkeypatch.context() as changed:
            changed.setattr(tempfile, "tempdir", str(disk))
            refused = await shop.http.post("/v1/imports/customers?name=c.csv", content=PEOPLE, headers=key)
    told = refused.json()
    assert (refused.status_code, told["code"]) == (503, "disk_full"), refused.text
    assert "TMPDIR" in told["mend"]
    assert int(refused.headers["retry-after"]) > 0
    taken = await shop.http.post("/v1/imports/customers?name=c.csv", content=PEOPLE, headers=key)
    assert taken.status_code < 300, taken.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_command_says_it_in_a_sentence(number: int) -> None:
    error = OSError(number, os.strerror(number))
    with i18n.speaking("en"):
        assert _sentence(error).startswith("A disk of this machine is full. ")
    with i18n.speaking("pt-BR"):
        assert _sentence(error).startswith("Um disco desta máquina está cheio. ")
    with i18n.speaking("en"):
        assert _sentence(OSError(number, "No room", "/var/x")) == "/var/x: No room."
    assert _sentence(OSError(errno.EBADF, "Bad file descriptor")) is None
