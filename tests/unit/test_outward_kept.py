"""Connections that stay open: used again for their own server only, and every new one goes to a judged address."""

import asyncio
import gzip

import pytest

from malha.platform import outward
from malha.platform.outward import Kept, Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable
from webhook_sink import webhook_sink

HERE = Outward(("127.0.0.1/32",))


async def send(kept, url, body=b"{}", *, again=True):
    return await kept.send("POST", url, headers={"webhook-id": "1"}, body=body, again=again)


def hangs_up(*which):
    """Answer, but close the connection at these requests, counted from 1."""
    count = 0

    def answer(_sent):
        nonlocal count
        count += 1
        if count in which:
            raise ConnectionResetError
        return 200, {}, b""

    return answer


async def until(said):
    async with asyncio.timeout(60):
        while not said():
            await asyncio.sleep(0.01)


async def test_requests_one_after_the_other_share_a_connection():
    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",))) as kept:
        for _ in range(5):
            assert (await send(kept, sink.url)).status == 200
        assert (sink.connections, len(sink.sent)) == (1, 5)


async def test_a_connection_of_one_server_carries_no_request_for_another():
    async with webhook_sink() as one, webhook_sink() as other, Kept(Outward(("127.0.0.1/32",))) as kept:
        await asyncio.gather(*(send(kept, sink.url) for sink in (one, other) * 3))
        assert (len(one.sent), len(other.sent)) == (3, 3)


async def test_each_new_connection_is_judged_whatever_the_name_server_said_before():
    answers = ["127.0.0.1", "10.0.0.7"]

    async def resolve(_host, _port):
        return [answers[0]]

    async with webhook_sink() as sink:
        sink.answer = lambda _sent: (200, {"connection": "close"}, b"")
        async with Kept(Outward(("127.0.0.1/32",), resolve=resolve)) as kept:
            url = f"http://hooks.example:{sink.port}/x"
            assert (await send(kept, url)).status == 200
            assert sink.sent[0].headers["host"] == f"hooks.example:{sink.port}"
            answers.pop(0)
            with pytest.raises(OutwardRefused):
                await send(kept, url)


async def test_plain_http_and_private_addresses_are_refused():
    async with Kept(Outward()) as kept:
        for url in ("http://93.184.215.14/x", "https://127.0.0.1/x", "https://[::1]/x", "file:///etc/passwd"):
            with pytest.raises(OutwardRefused):
                await send(kept, url)


async def test_whether_the_other_side_can_have_acted_is_told_apart():
    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",), timeout_s=0.5)) as kept:
        sink.delay = 30.0
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        sink.delay = 0.0
        assert (await send(kept, sink.url)).status == 200
        sink.answer = lambda _sent: (302, {"location": "http://127.0.0.1/"}, b"")
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
    async with Kept(Outward(("127.0.0.1/32",), limit=100)) as kept:
        with pytest.raises(OutwardUnreachable):
            await send(kept, f"http://127.0.0.1:{sink.port}/x")


async def test_an_endless_answer_ends_the_connection():
    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",), limit=100)) as kept:
        sink.answer = lambda _sent: (200, {}, b"x" * 10_000)
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        sink.answer = lambda _sent: (200, {}, b"")
        await send(kept, sink.url)
        assert sink.connections == 2


async def test_of_an_answer_whose_status_counts_the_beginning_is_returned_and_the_connection_ends():
    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",), limit=100)) as kept:
        sink.answer = lambda _sent: (200, {}, b"x" * 1_000_000)
        answer = await kept.send("POST", sink.url, body=b"{}", again=True, cut=True)
        assert (answer.status, answer.body) == (200, b"x" * 100)
        sink.answer = lambda _sent: (503, {"content-encoding": "gzip", "retry-after": "7"}, b"no gzip")
        answer = await kept.send("POST", sink.url, body=b"{}", again=True, cut=True)
        assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "7", b"")
        sink.answer = lambda _sent: (200, {}, b"y" * 100)
        answer = await kept.send("POST", sink.url, body=b"{}", again=True, cut=True)
        assert (answer.body, sink.connections) == (b"y" * 100, 3)


@pytest.mark.parametrize("ends", [True, False], ids=["breaks off", "drips"])
async def test_an_answer_of_which_only_the_status_counts_may_break_off_or_drip(ends):
    talking = []

    async def talk(reader, writer):
        talking.append(writer)
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 50\r\n\r\nhalf")
        while not ends and not reader.at_eof():
            await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        talking.remove(writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    async with server, Kept(Outward(("127.0.0.1/32",), timeout_s=5)) as kept:
        began = asyncio.get_running_loop().time()
        for _ in range(2):  # neither waits for the next request
            answer = await kept.send("POST", url, body=b"{}", again=True, cut=True, rest_s=0.2)
            assert (answer.status, answer.body) == (202, b"half")
        assert asyncio.get_running_loop().time() - began < 5
        if ends:
            with pytest.raises(OutwardUnanswered):
                await kept.send("POST", url, body=b"{}", again=True, cut=True)
        await until(lambda: not talking)


async def test_what_must_not_be_sent_twice_goes_over_a_new_connection_each_time():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        for _ in range(3):
            await send(kept, sink.url, again=False)
        assert (sink.connections, len(sink.sent)) == (3, 3)


async def test_what_may_be_sent_twice_is_when_a_connection_that_waited_was_closed():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        sink.answer = hangs_up(2)
        assert (await send(kept, sink.url)).status == 200
        assert (await send(kept, sink.url)).status == 200
        assert (sink.connections, len(sink.sent)) == (2, 3)


async def test_it_is_not_sent_a_third_time_nor_again_over_a_new_connection():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        sink.answer = hangs_up(2, 3, 4)
        assert (await send(kept, sink.url)).status == 200
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        assert len(sink.sent) == 3
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        assert len(sink.sent) == 4


async def test_what_is_not_answered_in_time_is_not_sent_again():
    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",), timeout_s=0.5)) as kept:
        assert (await send(kept, sink.url)).status == 200
        sink.delay = 30.0
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        assert (sink.connections, len(sink.sent)) == (1, 2)


async def test_half_an_answer_is_not_a_connection_that_was_closed_meanwhile():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        assert (await send(kept, sink.url)).status == 200
        sink.answer = lambda _sent: (200, {"content-length": "50", "connection": "close"}, b"")
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        assert len(sink.sent) == 2


async def test_a_connection_that_the_other_side_closed_while_it_waited_is_not_used():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        sink.answer = lambda _sent: (200, {"x": "y"}, b"")
        await send(kept, sink.url)
        (waiting,) = kept._idle.values()
        assert len(waiting) == 1
        sink.hang_up()
        await until(lambda: not sink.open)
        await send(kept, sink.url)
        assert (sink.connections, len(sink.sent)) == (2, 2)


async def test_after_a_while_a_name_is_judged_anew_although_its_connection_is_busy(monkeypatch):
    answers = ["127.0.0.1"]

    async def resolve(_host, _port):
        return [answers[0]]

    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",), resolve=resolve)) as kept:
        url = f"http://hooks.example:{sink.port}/x"
        await send(kept, url)
        answers[0] = "10.0.0.7"
        assert (await send(kept, url)).status == 200
        monkeypatch.setattr(outward, "LONGEST_S", 0.0)
        with pytest.raises(OutwardRefused):
            await send(kept, url)
        assert len(sink.sent) == 2


async def test_no_more_connections_wait_than_were_allowed_of_one_server_and_of_all():
    async with webhook_sink() as one, webhook_sink() as other, Kept(HERE, idle=3, idle_of_one=2) as kept:
        one.delay = other.delay = 0.1
        await asyncio.gather(*(send(kept, sink.url) for sink in (one,) * 5 + (other,) * 5))
        await until(lambda: one.open + other.open == 3)
        assert {one.open, other.open} == {1, 2}


async def test_at_the_end_what_waits_is_closed_and_what_is_under_way_when_it_is_done():
    async with webhook_sink() as sink:
        kept = Kept(HERE)
        await send(kept, sink.url)
        sink.answers = asyncio.Event()
        late = asyncio.create_task(send(kept, sink.url, again=False))
        await until(lambda: sink.under_way)
        await kept.aclose()
        await until(lambda: sink.open == 1)
        sink.answers.set()
        assert (await late).status == 200
        await until(lambda: not sink.open)


async def test_packed_answers_are_unpacked_as_far_as_an_answer_may_go():
    async with webhook_sink() as sink, Kept(Outward(("127.0.0.1/32",), limit=1_000)) as kept:
        sink.answer = lambda _sent: (200, {"content-encoding": "gzip"}, gzip.compress(b"so it is"))
        assert (await send(kept, sink.url)).body == b"so it is"
        sink.answer = lambda _sent: (200, {"content-encoding": "gzip"}, gzip.compress(b"x" * 10_000_000))
        with pytest.raises(OutwardUnanswered, match="endless"):
            await send(kept, sink.url)
        sink.answer = lambda _sent: (200, {"content-encoding": "gzip"}, b"no gzip at all")
        with pytest.raises(OutwardUnanswered):
            await send(kept, sink.url)
        sink.answer = lambda _sent: (200, {"content-encoding": "br"}, b"")
        with pytest.raises(OutwardUnanswered, match="packed as br"):
            await send(kept, sink.url)


async def test_headers_and_methods_that_would_say_something_else_are_refused():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        for method, headers in (
            ("GET /x HTTP/1.1\r\n", {}),
            ("GET", {"x": "a\r\ny: b"}),
            ("GET", {"x\r\n": "a"}),
            ("GET", {"x": "a\x00"}),
        ):
            with pytest.raises(ValueError):
                await kept.send(method, sink.url, headers=headers)
        assert sink.sent == []


async def test_nobody_else_s_host_or_length_is_said():
    async with webhook_sink() as sink, Kept(HERE) as kept:
        said = {"Host": "other.example", "Content-Length": "999", "Transfer-Encoding": "chunked"}
        await kept.send("POST", sink.url, headers=said, body=b"abc")
        (sent,) = sink.sent
        assert (sent.headers["host"], sent.body) == (f"127.0.0.1:{sink.port}", b"abc")
        assert "transfer-encoding" not in sent.headers
