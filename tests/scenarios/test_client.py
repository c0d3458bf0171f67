"""The Python client against a running Malha: it is generated, typed, repeats what is safe, and follows what happens."""

import asyncio
import importlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import httpx
import pytest
from standardwebhooks.webhooks import Webhook
from traffic import Serving

from malha.identity import service as identity
from malha.identity.model import PERMISSIONS
from malha.testing.builders import a_network, a_product

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The client as its build writes it, from the document in the repository."""
    home = tmp_path_factory.mktemp("client")
    shutil.copytree(
        ROOT / "clients" / "python" / "src" / "malha_client",
        home / "malha_client",
        ignore=shutil.ignore_patterns("models.py", "operations.py", "__pycache__"),
    )
    document = ROOT / "docs" / "reference" / "openapi.json"
    made = [sys.executable, str(ROOT / "tools" / "client_code.py"), str(document), str(home / "malha_client")]
    subprocess.run(made, check=True)
    sys.path.insert(0, str(home))
    yield importlib.import_module("malha_client")
    sys.path.remove(str(home))


class Served(NamedTuple):
    url: str
    key: str
    store_key: str  # sees S1 only


@pytest.fixture(scope="module")
def served(template_url: str, retailer_on: Any) -> Iterator[Served]:
    home = Path(tempfile.mkdtemp(prefix="malha-c-"))
    with asyncio.Runner() as runner:
        retailer = retailer_on(template_url)
        database = runner.run(retailer.__aenter__())

        async def fill() -> tuple[str, str]:
            async with database.transaction() as tx:
                world = await a_network(tx)
                await a_product(tx, world, "A", stock={"DC": 50, "S1": 50})
                all_ = await identity.create_key(tx, name="all", permissions=list(PERMISSIONS))
                store = await identity.create_key(tx, name="store", permissions=["orders:read"], locations=["S1"])
            return all_.secret, store.secret

        try:
            key, store_key = runner.run(fill())
            options = {"DATABASE_URL": database.url, "MALHA_LOG_LEVEL": "warning"}
            with Serving(home, "--web-workers", "1", **options) as serving:
                yield Served(f"http://127.0.0.1:{serving.port}", key, store_key)
        finally:
            runner.run(retailer.__aexit__(None, None, None))
            shutil.rmtree(home, ignore_errors=True)


def new_order(name: str) -> dict[str, Any]:
    return {
        "channel": "web",
        "external_id": name,
        "customer": {"name": "Maria da Silva", "document": "529.982.247-25"},
        "lines": [{"sku": "A", "quantity": 1, "unit_price": 1_000}],
        "ship_to": {
            "postal_code": "01310100",
            "street": "Avenida Paulista",
            "number": "1000",
            "district": "Bela Vista",
            "city": "São Paulo",
            "state": "SP",
        },
    }


def test_an_order_is_placed_read_listed_and_followed(client: ModuleType, served: Served) -> None:
    import msgspec

    with client.Client(served.url, key=served.key) as malha:
        cursor = malha.list_events().cursor
        order = msgspec.convert(new_order("C-1"), client.operations.NewOrder)
        placed = malha.create_order(order)
        again = malha.create_order(order)
        assert (again.id, again.result) == (placed.id, "duplicate")
        for number in range(2, 6):
            malha.create_order(msgspec.structs.replace(order, external_id=f"C-{number}"))
        read = malha.get_order(placed.id)
        assert read.order.id == placed.id
        listed = [row.id for row in malha.iter_orders(limit=2)]
        assert len(listed) == len(set(listed)) == 5
        followed = list(islice(malha.follow(after=cursor, types=["order.placed"], wait=5), 5))
        assert {event.data["order_id"] for event in followed} == {str(id_) for id_ in listed}
        assert [event.cursor for event in followed] == sorted(event.cursor for event in followed)
        (rest,) = islice(malha.follow(after=followed[-2].cursor, types=["order.placed"], wait=5), 1)
        assert rest.id == followed[-1].id


def test_what_is_refused_is_a_problem_with_its_code_and_its_place(client: ModuleType, served: Served) -> None:
    with client.Client(served.url, key=served.key) as malha:
        with pytest.raises(client.NotFound) as none:
            malha.get_webhook(999)
        assert (none.value.code, none.value.status) == ("webhook_not_found", 404)
        state = client.operations.StateWebhook(name="x", url="https://x.example", types=["nothing"])
        with pytest.raises(client.Invalid) as wrong:
            malha.create_webhook(state)
        assert wrong.value.errors[0].at == "/types"
    with client.Client(served.url, key="mk_nobody") as stranger, pytest.raises(client.NotSignedIn):
        stranger.list_webhooks()


async def test_the_asynchronous_client_does_the_same(client: ModuleType, served: Served) -> None:
    async with client.AsyncClient(served.url, key=served.key) as malha:
        assert [c.code async for c in _all(await malha.list_channels())] == ["mall", "till", "web"]
        types = await malha.list_event_types()
        assert "order.placed" in {one.type for one in types}


async def _all(found: Any) -> Any:
    for one in getattr(found, "items", found):
        yield one


def test_the_stream_resumes_from_the_last_event_and_hides_what_a_store_may_not_see(
    client: ModuleType, served: Served
) -> None:
    import msgspec

    def lines(key: str, **headers: str) -> Iterator[tuple[str, dict[str, Any]]]:
        given = {"authorization": f"Bearer {key}", **headers}
        with httpx.stream("GET", f"{served.url}/v1/events/stream?types=order.placed", headers=given, timeout=60) as got:
            assert got.status_code == 200
            event: dict[str, str] = {}
            for line in got.iter_lines():
                name, _, value = line.partition(": ")
                event[name] = value
                if not line and "data" in event:
                    yield event["id"], msgspec.json.decode(event["data"])
                if not line:
                    event = {}

    told = list(islice(lines(served.key, **{"last-event-id": "0"}), 5))
    rest = list(islice(lines(served.key, **{"last-event-id": told[2][0]}), 2))
    assert rest == told[3:]
    refused = httpx.get(f"{served.url}/v1/events/stream", headers={"authorization": "Bearer mk_x"})
    assert refused.status_code == 401
    ahead = httpx.get(
        f"{served.url}/v1/events/stream", headers={"authorization": f"Bearer {served.key}", "last-event-id": "99999999"}
    )
    assert ahead.json()["code"] == "cursor_ahead"
    with client.Client(served.url, key=served.store_key) as store:
        seen = store.list_events(after=0).items
    at_store = [
        event for event in seen if "locations" in event.data and event.data["locations"] not in ([], ["S1"], None)
    ]
    assert at_store == []


# --- what it does by itself, against answers that a test scripts -------------------------------------------------------


def scripted(client: ModuleType, answers: list[Any], asked: list[httpx.Request]) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    retries = client.Retries(first_s=0.0)
    return client.Client("http://x", key="k", transport=httpx.MockTransport(answer), retries=retries)


def test_a_request_that_may_be_repeated_is_repeated_under_one_key(client: ModuleType) -> None:
    asked: list[httpx.Request] = []
    busy = httpx.Response(503, headers={"retry-after": "0"}, json={"code": "database_unavailable"})
    made = httpx.Response(201, json={"id": 1, "version": 1, "secret": None})
    malha = scripted(client, [httpx.ReadTimeout("slow"), busy, httpx.Response(429), made], asked)
    state = client.operations.StateWebhook(name="x", url="https://x.example", types=["*"])
    assert malha.create_webhook(state).id == 1
    assert len({request.headers["idempotency-key"] for request in asked}) == 1
    assert len({request.content for request in asked}) == 1
    assert len(asked) == 4


def test_a_change_that_may_have_been_made_is_not_repeated_but_one_that_was_refused_is(client: ModuleType) -> None:
    asked: list[httpx.Request] = []
    malha = scripted(client, [httpx.ReadTimeout("slow")], asked)
    with pytest.raises(client.Unreachable):
        malha.remove_webhook(1, version=1)
    assert len(asked) == 1
    asked.clear()
    busy = httpx.Response(503, headers={"retry-after": "0"})
    malha = scripted(client, [httpx.ConnectError("none"), busy, httpx.Response(204)], asked)
    malha.remove_webhook(1, version=1)
    assert [request.headers["if-match"] for request in asked] == ['"1"'] * 3


def test_nobody_waits_longer_than_was_said(client: ModuleType) -> None:
    malha = scripted(client, [httpx.Response(429, headers={"retry-after": "86400"}, json={"code": "busy"})], [])
    with pytest.raises(client.TooManyRequests):
        malha.list_webhooks()


def test_webhooks_are_verified_as_the_standard_says(client: ModuleType) -> None:
    secret = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
    body = (
        b'{"id":"evt_1","type":"order.placed","version":1,"timestamp":"2026-11-27T12:00:00Z","subject":"order:1",'
        b'"sequence":1,"actor":"system","cursor":5,"data":{}}'
    )
    from datetime import UTC, datetime

    moment = datetime.now(UTC)
    signature = Webhook(secret).sign("evt_1", moment, body.decode())
    headers = {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(int(moment.timestamp())), "Webhook-Signature": signature}
    assert client.verify(secret, headers, body).cursor == 5
    other = "whsec_" + "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI="
    assert client.verify([other, secret], headers, body).type == "order.placed"
    for wrong in (
        (other, headers, body),
        (secret, headers, body + b" "),
        (secret, {**headers, "Webhook-Timestamp": str(int(time.time()) - 3_600)}, body),
        (secret, {}, body),
    ):
        with pytest.raises(client.NotVerified):
            client.verify(*wrong)


def test_the_client_is_typed_to_the_last_line(client: ModuleType) -> None:
    home = Path(client.__file__).parent
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", "", str(home)],
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-3_000:]
