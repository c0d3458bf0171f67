"""Requests to addresses that somebody typed: only where they may go, once, within bounds."""

import asyncio
import gzip
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from mail_server import certificate
from malha.platform import outward
from malha.platform.outward import (
    Outward,
    OutwardRefused,
    OutwardUnanswered,
    OutwardUnreachable,
    inward,
    is_public,
    never_asked,
    parse_allowed,
)
from malha.platform.settings import SettingsError, load

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: bytes | Talk, ssl_context=None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server of few words; yields its port and the requests it got."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            heard.append(head)
            if callable(answer):
                await answer(reader, writer)
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=ssl_context)
    async with listening:
        yield listening.sockets[0].getsockname()[1], heard


def resolving(*answers: str | list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name server that answers one thing after the other, and the last for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> list[str]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [found] if isinstance(found, str) else found

    return resolve


# --- where it goes ---


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",  # decimal
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://192.168.1.1:8443/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
    ],
)
async def test_an_address_of_our_own_network_is_never_asked_however_it_is_spelt(url):
    with pytest.raises(OutwardRefused):
        await Outward().send("GET", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example/",
        "ftp://gateway.example/",
        "file:///etc/passwd",
        "https://user:secret@gateway.example/",
        "https://gateway.example\\@127.0.0.1/",
        "https://gateway.example /",
        "https://gateway.example/\r\nX: y",
        "https://",
        "gateway.example",
        "https://gateway.example:0/",
        "https://gateway.example:99999/",
        "https://" + "a" * 3_000,
    ],
)
async def test_what_is_no_plain_https_address_is_refused_without_repeating_a_password(url):
    with pytest.raises(OutwardRefused) as refused:
        await Outward(resolve=resolving("93.184.215.14")).send("GET", url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("answer", ["127.0.0.1", "10.1.1.1", "::ffff:10.1.1.1", ["93.184.215.14", "127.0.0.1"]])
async def test_a_name_that_leads_into_our_own_network_is_refused(answer):
    with pytest.raises(OutwardRefused):
        await Outward(resolve=resolving(answer)).send("GET", "https://evil.example/")


async def test_a_name_is_resolved_once_so_a_second_answer_changes_nothing():
    async with server(OK) as (port, heard):
        out = Outward(["harmless.example"], resolve=resolving("127.0.0.1", "10.255.255.1"))
        answer = await out.send("GET", f"http://harmless.example:{port}/a?b=c")
    assert (answer.status, answer.body) == (200, b"ok")
    assert heard[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert f"Host: harmless.example:{port}".encode() in heard[0]


def test_addresses_are_public_or_not():
    assert is_public(ip_address("93.184.215.14"))
    assert is_public(ip_address("2606:4700::1111"))
    assert is_public(ip_address("64:ff9b::5db8:d70e"))
    assert not is_public(ip_address("64:ff9b::a00:1"))
    for special in ("fec0::1", "192.0.0.192", "::ffff:192.0.0.192", "3fff::1"):
        assert not is_public(ip_address(special)), special


async def test_what_an_administrator_allowed_is_asked_and_nothing_beside_it():
    async with server(OK) as (port, _heard):
        for allowed in ([f"127.0.0.1:{port}"], ["127.0.0.0/8"], ["localhost"]):
            host = "localhost" if allowed == ["localhost"] else "127.0.0.1"
            answer = await Outward(allowed, resolve=resolving("127.0.0.1")).send("GET", f"http://{host}:{port}/")
            assert answer.status == 200
        with pytest.raises(OutwardRefused):
            await Outward([f"127.0.0.1:{port + 1}"]).send("GET", f"http://127.0.0.1:{port}/")
        with pytest.raises(OutwardRefused):
            await Outward(["other.example"]).send("GET", f"http://127.0.0.1:{port}/")


def test_the_list_of_what_is_allowed_is_checked_at_the_start():
    assert load({"MALHA_OUTWARD_ALLOW": "sms.intern.example:8080, 10.2.0.0/16"}).outward_allow[1] == "10.2.0.0/16"
    for wrong in ("http://sms.example", "sms.example:99999", "a b"):
        with pytest.raises(ValueError, match="neither"):
            parse_allowed(wrong)
        with pytest.raises(SettingsError, match="MALHA_OUTWARD_ALLOW"):
            load({"MALHA_OUTWARD_ALLOW": wrong})


# --- what comes back ---


async def test_a_redirect_is_not_followed():
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with server(moved) as (port, heard):
        with pytest.raises(OutwardUnanswered, match="redirect"):
            await Outward(["127.0.0.1"]).send("POST", f"http://127.0.0.1:{port}/", body=b"{}")
    assert len(heard) == 1


async def test_the_certificate_must_be_of_the_name_that_was_asked(tmp_path: Path):
    import ssl

    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with server(OK, context) as (port, heard):
        out = Outward(["localhost", "other.example"], ca_file=str(cert), resolve=resolving("127.0.0.1"))
        assert (await out.send("GET", f"https://localhost:{port}/")).status == 200
        with pytest.raises(OutwardUnreachable):
            await out.send("GET", f"https://other.example:{port}/")
        with pytest.raises(OutwardUnreachable):
            await Outward(["localhost"], resolve=resolving("127.0.0.1")).send("GET", f"https://localhost:{port}/")
    assert len(heard) == 1


async def test_nothing_listening_is_unreachable_and_an_answer_that_never_comes_is_unanswered():
    async with server(OK) as (port, _heard):
        pass
    with pytest.raises(OutwardUnreachable):
        await Outward(["127.0.0.1"]).send("POST", f"http://127.0.0.1:{port}/", body=b"x")

    async def silence(_reader, _writer):
        await asyncio.sleep(5)

    async def drop(_reader, _writer):
        return

    async def trickle(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(50):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    for talk in (silence, drop, trickle):
        async with server(talk) as (port, heard):
            with pytest.raises(OutwardUnanswered):
                await Outward(["127.0.0.1"], timeout_s=0.4).send("POST", f"http://127.0.0.1:{port}/", body=b"x")
            assert len(heard) == 1


async def test_an_endless_answer_is_cut_off():
    async def endless(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    async with server(endless) as (port, _heard):
        with pytest.raises(OutwardUnanswered, match="endless"):
            await Outward(["127.0.0.1"], limit=10_000).send("GET", f"http://127.0.0.1:{port}/")


def packed(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def test_a_packed_answer_is_unpacked_no_further_than_an_answer_may_be_long():
    async def sent(answer: bytes) -> bytes:
        async with server(answer) as (port, heard):
            got = await Outward(["127.0.0.1"], limit=10_000).send("GET", f"http://127.0.0.1:{port}/")
            assert b"accept-encoding: identity" in heard[0].lower()
            return got.body

    assert await sent(packed("gzip", gzip.compress(b"ok" * 5_000))) == b"ok" * 5_000
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(OutwardUnanswered, match="endless"):
        await sent(packed("gzip", bomb))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000
    for kind, body in (("gzip", b"not packed"), ("br", b"x"), ("gzip, gzip", b"x")):
        with pytest.raises(OutwardUnanswered):
            await sent(packed(kind, body))


async def test_a_header_cannot_bring_another_one():
    for headers in ({"X": "a\r\nY: b"}, {"X Y": "a"}, {"X\r\n": "a"}):
        with pytest.raises(ValueError, match="header"):
            await Outward().send("GET", "https://gateway.example/", headers=headers)


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "100.64.0.1",
        "10.0.0.1.",
        "[::]",
        "[::1]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
    ],
)
def test_a_host_that_is_itself_an_inner_address_is_refused_where_it_is_typed(host: str) -> None:
    (flaw,) = inward("url", f"https://{host}/in", ())
    assert flaw.at == "url"
    assert "MALHA_OUTWARD_ALLOW" in flaw.mend


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "intranet.example", "localhost", "10.example"])
def test_public_addresses_and_names_are_judged_when_something_is_sent(host: str) -> None:
    assert inward("url", f"https://{host}/in", ()) == []


@pytest.mark.parametrize("allowed", ["10.0.0.7", "10.0.0.0/8", "10.0.0.7:8443"])
def test_an_inner_address_that_the_operator_allows_is_taken(allowed: str) -> None:
    assert inward("url", "https://10.0.0.7:8443/in", (allowed,)) == []
    assert inward("url", "https://192.168.0.7:8443/in", (allowed,)) != []


@pytest.mark.parametrize(
    ("url", "allowed", "refused"),
    [
        ("http://erp.example/in", (), True),
        ("http://8.8.8.8/in", (), True),
        ("http://erp.example/in", ("erp.example:8080",), True),
        ("http://erp.example/in", ("erp.example",), False),
        ("http://10.0.0.7/in", ("10.0.0.0/8",), False),
        ("http://erp.example/in", ("10.0.0.0/8",), False),  # it may lead there: judged when it is asked
        ("http://8.8.8.8/in", ("10.0.0.0/8",), True),
        ("https://erp.example/in", (), False),
    ],
)
def test_plain_http_that_can_never_be_asked_is_refused_where_it_is_typed(
    url: str, allowed: tuple[str, ...], refused: bool
) -> None:
    flaws = never_asked("url", url, allowed)
    assert [(flaw.at, "MALHA_OUTWARD_ALLOW" in flaw.mend) for flaw in flaws] == ([("url", True)] if refused else [])


async def test_a_name_server_that_is_silent_keeps_no_other_name_and_no_other_work_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    speaks = threading.Event()

    def look_up(host: str, port: int, *_more: object, **_named: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host == "silent.example":
            speaks.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(outward, "CONNECT_S", 2.0)
    out = Outward()
    waiting = [asyncio.create_task(out.judge("https://silent.example/hook")) for _ in range(50)]
    try:
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1.0):
            assert (await out.judge("https://good.example/hook")).address == "93.184.215.14"
            await asyncio.to_thread(lambda: None)  # a password, a file
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in found} == {OutwardUnreachable}, "who asked does not wait for ever"
    finally:
        speaks.set()
    assert asked.count("silent.example") == 1, "all who ask at the same time ask once"
    while outward._under_way:
        await asyncio.sleep(0.01)
    assert (await out.judge("https://silent.example/hook")).address == "93.184.215.14"
