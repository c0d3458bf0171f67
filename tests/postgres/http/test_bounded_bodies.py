"""Bodies that are bounded while they arrive: endless, slow, or packed to unfold."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests_http import Shop

from malha.api.bodies import FORM_BYTES, REST_BYTES, SLOWEST, Bodies, bounded
from malha.api.edge import Edge
from malha.api.errors import BodyTooSlow
from malha.api.lane import Lane

MEGABYTE = 1024 * 1024
PATIENCE_S = 60.0


class Endless:
    """A body without a length that only ends when nobody reads any more."""

    def __init__(self, pieces: int = 200) -> None:
        self.read = 0
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            self.read += 1
            yield b"x" * MEGABYTE


@pytest.mark.parametrize(
    "path", ["/v1/orders", "/v1/orders:batch", "/v1/products:import", "/v1/customers"], ids=lambda path: path
)
async def test_a_body_without_a_length_is_read_to_the_limit_and_no_further(shop: Shop, path: str) -> None:
    limit = shop.app.state.services.settings.upload_limit_mb
    body = Endless(2 * limit)
    refused = await streamed(shop, path, body, **await shop.session())
    assert refused == 413
    assert body.read <= limit + 1


async def test_the_short_way_of_a_channels_orders_is_bounded_too(shop: Shop) -> None:
    limit = shop.app.state.services.settings.upload_limit_mb
    body = Endless(2 * limit)
    assert await streamed(shop, "/v1/orders", body, **await shop.key(["intake:submit"])) == 413
    assert body.read <= limit + 1


@pytest.mark.parametrize("pieces", [1, 3])
async def test_an_order_is_read_to_its_announced_length_and_not_asked_for_more(shop: Shop, pieces: int) -> None:
    """The server never says of a piece that it is the last one: who asked again would wait for nothing."""
    raw = b'{"channel": "nowhere", "external_id": "1", "lines": [{"sku": "A", "quantity": 1, "unit_price": 1}]}'
    size = -(-len(raw) // pieces)
    coming = [raw[at : at + size] for at in range(0, len(raw), size)]

    async def receive() -> dict:
        assert coming, "asked for more than was announced"
        return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming) or pieces == 1}

    key = await shop.key(["intake:submit"])
    answer = await asked(shop, "/v1/orders", receive, **key, **{"content-length": str(len(raw))})
    assert answer["status"] == 422
    assert not coming


async def test_an_order_is_not_taken_for_whole_before_its_announced_length(shop: Shop) -> None:
    whole = b'{"channel": "nowhere", "external_id": "1", "lines": []}'
    coming = [whole, b"  x"]

    async def receive() -> dict:
        return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming)}

    key = await shop.key(["intake:submit"])
    answer = await asked(shop, "/v1/orders", receive, **key, **{"content-length": str(len(whole) + 3)})
    assert answer["status"] == 400
    assert not coming


async def test_somebody_who_is_not_signed_in_sends_small_forms_only(shop: Shop) -> None:
    body = Endless()
    assert await streamed(shop, "/login", body, **{"content-type": "application/x-www-form-urlencoded"}) == 413
    assert body.read == 1 > FORM_BYTES / MEGABYTE


async def test_nobody_is_refused_before_a_byte_of_a_body_is_read(shop: Shop) -> None:
    body = Endless()
    assert await streamed(shop, "/v1/customers", body) == 401
    assert body.read == 0


@pytest.mark.parametrize("refused", [{"sec-fetch-site": "cross-site"}, {"authorization": "Bearer nobody"}], ids=str)
async def test_what_little_is_left_of_a_refused_body_is_read_before_the_answer(
    shop: Shop, refused: dict[str, str]
) -> None:
    """The server would close the connection without a word, and a proxy send the next request into it."""
    coming = [b"a" * 100, b"b" * 100]

    async def receive() -> dict:
        return {"type": "http.request", "body": coming.pop(0), "more_body": True}

    answer = await asked(shop, "/v1/orders", receive, **refused, **{"content-length": "200"})
    assert answer["status"] in {401, 403}
    assert not coming
    assert b"connection" not in dict(answer["headers"])


@pytest.mark.parametrize(
    "length", [{"content-length": str(REST_BYTES + 1)}, {"transfer-encoding": "chunked"}], ids=["large", "endless"]
)
async def test_of_more_the_answer_says_that_the_connection_ends(shop: Shop, length: dict[str, str]) -> None:
    async def receive() -> dict:
        raise AssertionError

    answer = await asked(shop, "/v1/customers", receive, **length)
    assert answer["status"] == 401
    assert dict(answer["headers"])[b"connection"] == b"close"


async def test_a_client_that_goes_before_the_rest_has_come_is_not_waited_for(shop: Shop) -> None:
    async def receive() -> dict:
        return {"type": "http.disconnect"}

    assert (await asked(shop, "/v1/customers", receive, **{"content-length": "200"}))["status"] == 401


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/orders", "/v1/orders:batch", "/v1/products:import"])
@pytest.mark.parametrize("who", ["key", "session"])
async def test_a_packed_body_is_not_unpacked_and_whoever_sends_it_hears_why(shop: Shop, path: str, who: str) -> None:
    bomb = gzip.compress(b"\0" * MEGABYTE)
    mine = {"accept-language": "en"}
    mine |= (
        await shop.session()
        if who == "session"
        else await shop.key(["intake:submit", "customers:write", "catalog:write"])
    )
    answer = await shop.http.post(path, content=bomb, headers={**mine, "content-encoding": "gzip"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert answer.json()["code"] == "body_encoded"
    assert "`Content-Encoding: gzip`" in answer.json()["detail"]
    assert "without this header" in answer.json()["mend"]


@pytest.mark.parametrize("who", ["key", "session"])
async def test_a_byte_order_mark_before_json_is_nobodys_fault(shop: Shop, who: str) -> None:
    order = b'{"channel": "nowhere", "external_id": "1", "lines": [{"sku": "A", "quantity": 1, "unit_price": 1}]}'
    mine = await shop.session() if who == "session" else await shop.key(["intake:submit"])
    for encoding in ({}, {"content-encoding": "identity"}):
        answer = await shop.http.post("/v1/orders", content=b"\xef\xbb\xbf" + order, headers={**mine, **encoding})
        assert (answer.status_code, answer.json()["code"]) == (422, "no_active_channel"), answer.text
    for many in (b"[" + order + b"]", order + b"\n" + order):
        answer = await shop.http.post("/v1/orders:batch", content=b"\xef\xbb\xbf" + many, headers=mine)
        assert {each["problem"]["code"] for each in answer.json()["results"]} == {"no_active_channel"}
    twice = await shop.http.post("/v1/orders", content=b"\xef\xbb\xbf" * 2 + order, headers=mine)
    assert (twice.status_code, twice.json()["code"]) == (400, "malformed_body")


async def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    async def never() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(BodyTooSlow):
        await bounded({}, never, grace_s=0.0)()


async def test_an_order_of_which_nothing_ever_comes_is_given_up_too(shop: Shop) -> None:
    async def never() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    services = shop.app.state.services
    key = await shop.key(["intake:submit"])
    inner = Bodies(shop.app.asgi_handler)
    shop.app.asgi_handler = Edge(Lane(shop.app, inner, services, grace_s=0.0), services.settings, services.cookie.name)
    async with asyncio.timeout(PATIENCE_S):
        answer = await asked(shop, "/v1/orders", never, **key, **{"content-length": "200"})
    assert answer["status"] == 408


@pytest.mark.parametrize(
    "length", [{"content-length": "200"}, {"transfer-encoding": "chunked"}], ids=["whole", "pieces"]
)
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders:batch", "/v1/customers", "/v1/stock:import"])
async def test_a_body_that_breaks_off_is_the_clients_fault_and_none_of_the_program(
    shop: Shop, path: str, length: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """A phone that loses its network is no fault to be woken for: nothing of it is in the log."""
    coming = [
        {"type": "http.request", "body": b'{"name":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict:
        return coming.pop(0)

    mine = await shop.key(["intake:submit", "customers:write", "stock:write"])
    answer = await asked(shop, path, receive, **mine, **length)
    assert answer["status"] == 400
    assert not coming
    assert "request_failed" not in "".join(capfd.readouterr())


async def test_who_sends_at_a_decent_pace_gets_the_time_it_takes() -> None:
    pieces = [{"type": "http.request", "body": b"x" * SLOWEST * 60, "more_body": True}] * 2
    pieces.append({"type": "http.request", "body": b"", "more_body": False})
    coming = iter(pieces)

    async def steadily() -> dict:
        await asyncio.sleep(0)
        return next(coming)

    take = bounded({}, steadily, grace_s=5.0)
    assert [(await take())["more_body"] for _ in range(3)] == [True, True, False]


async def streamed(shop: Shop, path: str, body: Endless, **headers: str) -> int:
    """Send piece by piece as the application asks for them; return the status."""
    pieces = aiter(body)

    async def receive() -> dict:
        try:
            return {"type": "http.request", "body": await anext(pieces), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    return (await asked(shop, path, receive, **headers))["status"]


async def asked(shop: Shop, path: str, receive: Callable[[], Awaitable[dict]], **headers: str) -> dict:
    """Post through the ASGI interface; return the message that begins the answer."""
    answer: dict = {}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "shop.test", **headers}.items()],
        "client": ("127.0.0.1", 1), "server": ("shop.test", 80),
    }  # fmt: skip
    await shop.app(scope, receive, send)
    return answer
