"""Connections that stay open: used again for their own server only, and every new one goes to a judged address."""

import asyncio

import pytest

from malha.platform.outward import Kept, Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable
from webhook_sink import webhook_sink


async def send(kept, url, body=b"{}"):
    return await kept.send("POST", url, headers={"webhook-id": "1"}, body=body)


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
