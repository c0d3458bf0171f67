"""A load at a fixed rate counts what a server's pause cost everybody who was due meanwhile."""

import asyncio
from contextlib import asynccontextmanager

from malha.bench.offered import offer

ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def server(answer):
    """Serve; `answer` gives the bytes of the nth answer, or none to hang up."""
    asked = 0

    async def talk(reader, writer):
        nonlocal asked
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                asked += 1
                said = await answer(asked)
                if said is None:
                    return
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    serving = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()


def ok(timing: str = "0.250", status: int = 200) -> bytes:
    heads = f'Content-Length: 2\r\nServer-Timing: promise;desc="kept";dur={timing}'
    return f"HTTP/1.1 {status} X\r\n{heads}\r\n\r\n{{}}".encode()


async def test_every_request_is_answered_once_and_the_server_s_own_time_is_read():
    async def answer(_n):
        return ok()

    async with server(answer) as port:
        found = await offer(port, lambda: ASKED, rate=500, seconds=0.4, connections=4)
    assert (len(found.seen), len(found.server), len(found.late), found.failed) == (200, 200, 200, 0)
    assert set(found.server) == {0.25}
    assert found.share("server", 5.0) == 1.0
    assert found.at("server", 0.99) == 0.25


async def test_who_was_due_during_a_pause_has_waited_though_nothing_was_sent_for_it():
    pause = asyncio.Event()

    async def answer(n):
        if n == 20:
            asyncio.get_running_loop().call_later(0.6, pause.set)
        if n >= 20:
            await pause.wait()
        return ok()

    async with server(answer) as port:
        found = await offer(port, lambda: ASKED, rate=200, seconds=1.0, connections=2)
    assert len(found.seen) == 200
    # Two connections stand still for 0.6 s: the hundred and more that were due meanwhile have waited, not only two.
    assert sum(ms >= 200 for ms in found.seen) >= 70
    assert sum(ms >= 200 for ms in found.late) >= 65


async def test_what_is_refused_or_cut_off_counts_as_failed_and_the_others_go_on():
    async def answer(n):
        return None if n % 10 == 0 else ok(status=503) if n % 10 == 5 else ok()

    async with server(answer) as port:
        found = await offer(port, lambda: ASKED, rate=400, seconds=0.25, connections=3)
    assert (len(found.seen), found.failed) == (80, 20)
    assert found.share("server", 5.0) == 0.8
