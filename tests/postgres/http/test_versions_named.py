"""A change names the version it was made on, and every record answers alike: stale 412, `*` what is there, none 428."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from linked_world import CODE, linked
from tests_http import Shop, open_shop

from malha.identity.model import Role
from malha.inventory.sync import sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.db import Database

PERMISSIONS = [
    "network:read",
    "network:write",
    "settings:manage",
    "webhooks:manage",
    "orders:read",
    "catalog:read",
    "catalog:write",
    "identity:manage",
]
LINK = f"/v1/connections/{CODE}"
PLAN = {
    "profile": "generic",
    "format": "csv",
    "mapping": [{"target": "id", "value": "code"}, {"target": "name", "value": "name"}],
}
FEED = {"name": "Partner", "channel": "web", "plan": PLAN}
WEBHOOK = {"name": "ERP", "url": "https://erp.example/hook", "types": ["order.*"]}


class Record(msgspec.Struct, frozen=True):
    """What people edit side by side, and how."""

    at: str
    body: dict[str, object] | None
    method: str = "PUT"
    act: str = ""  # below its address


LINKED = {"code": CODE, "name": "Loja", "connector": "generic", "channel": "web", "secrets": {}}
RECORDS = {
    "webhook": Record("/v1/webhooks/1", WEBHOOK),
    "webhook's secret": Record("/v1/webhooks/1", None, "POST", "/rotate"),
    "webhook's rest": Record("/v1/webhooks/1", None, "POST", "/pause"),
    "webhook's start": Record("/v1/webhooks/1", {}, "POST", "/start"),
    "webhook's end": Record("/v1/webhooks/1", None, "DELETE"),
    "connection": Record(LINK, LINKED),
    "feed": Record("/v1/feeds/partner", FEED),
    "feed's address": Record("/v1/feeds/partner", None, "POST", "/rotate"),
    "feed's end": Record("/v1/feeds/partner", None, "DELETE"),
    "stock push": Record("/v1/channels/web/stock-push", {"kind": "feed"}),
    "stock role": Record(f"{LINK}/stock-role", {"source": "shop", "scope": "whole", "minutes": 30}),
    "stock role's end": Record(f"{LINK}/stock-role", None, "DELETE"),
    "product role": Record(f"{LINK}/product-role", {"fields": ["brand"]}),
    "listing": Record(f"{LINK}/listings/A", {"overrides": {"title": "Outra"}}, "PATCH"),
    "listing fields": Record(f"{LINK}/listing-fields", {"mapping": None}),
}
# Nobody said anything of these yet: there is no row at which a second editor would wait.
UNSAID = {
    "feed": "/v1/feeds/partner",
    "stock push": "/v1/channels/web/stock-push",
    "stock role": f"{LINK}/stock-role",
    "product role": f"{LINK}/product-role",
    "listing": f"{LINK}/listings/A",
    "listing fields": f"{LINK}/listing-fields",
}


@pytest.fixture
async def bare(database: Database, tmp_path: Path):
    """A shop with a connection and a source of stock, and a key that may change both."""
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed, "erp.example"))
        shop.headers = await shop.key(PERMISSIONS)
        async with database.transaction() as tx:
            await sources.add_source(tx, SourceDraft(code="shop", name="Shop", truth=["S1"]))
            await tx.execute("DELETE FROM stock_push")
        LINKED["config"] = {"base_url": world.peer.url}
        yield shop


@pytest.fixture
async def made(bare: Shop) -> Shop:
    """The same, and of everything else one."""
    for path, body in (
        ("/v1/feeds/partner", FEED),
        ("/v1/channels/web/stock-push", {"kind": "feed"}),
    ):
        assert (await bare.http.put(path, json=body, headers=bare.headers)).status_code == 200, path
    for path in (f"{LINK}/stock-role", f"{LINK}/product-role"):
        (record,) = (r for r in RECORDS.values() if r.at == path and r.body)
        stored = await bare.http.put(path, json=record.body, headers=bare.headers | {"if-match": '"0"'})
        assert stored.status_code == 200, stored.text
    hook = await bare.http.post("/v1/webhooks", json=WEBHOOK, headers=bare.headers)
    assert hook.headers["location"] == "/v1/webhooks/1", hook.text
    return bare


async def act(shop: Shop, record: Record, match: str | None = None):
    headers = shop.headers | ({} if match is None else {"if-match": match})
    body = {} if record.body is None else {"json": record.body}
    return await shop.http.request(record.method, record.at + record.act, headers=headers, **body)


@pytest.mark.parametrize("name", RECORDS)
async def test_a_stale_version_is_told_alike_and_what_is_there_is_taken(made: Shop, name: str) -> None:
    record = RECORDS[name]
    none = await act(made, record)
    assert (none.status_code, none.json()["code"]) == (428, "version_required"), none.text
    before = (await made.http.get(record.at, headers=made.headers)).headers["etag"]
    for match in ('"999"', '"of another kind"', '""'):
        stale = await act(made, record, match)
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version"), (match, stale.text)
    assert (await made.http.get(record.at, headers=made.headers)).headers["etag"] == before, "nothing was changed"
    there = await act(made, record, "*")
    assert there.status_code in {200, 204}, there.text


@pytest.mark.parametrize("name", RECORDS)
async def test_the_version_that_was_read_is_taken(made: Shop, name: str) -> None:
    record = RECORDS[name]
    tag = (await made.http.get(record.at, headers=made.headers)).headers["etag"]
    done = await act(made, record, tag)
    assert done.status_code in {200, 204}, done.text


@pytest.mark.parametrize("name", ["feed", "stock push"])
async def test_what_is_not_there_is_made_and_is_no_version_of_anything(bare: Shop, name: str) -> None:
    record = RECORDS[name]
    for match in ("*", '"1"'):
        nothing = await act(bare, record, match)
        assert (nothing.status_code, nothing.json()["code"]) == (412, "stale_version"), nothing.text
    assert (await act(bare, record)).status_code == 200
    assert (await act(bare, record, "*")).status_code == 200


@pytest.mark.parametrize("name", RECORDS)
async def test_of_two_editors_at_once_one_is_told_that_the_other_was_faster(made: Shop, name: str) -> None:
    record = RECORDS[name]
    if name == "webhook's start":  # starting what is active changes nothing
        assert (await act(made, RECORDS["webhook's rest"], "*")).status_code == 200
    tag = (await made.http.get(record.at, headers=made.headers)).headers["etag"]
    answers = await asyncio.gather(*(act(made, record, tag) for _ in range(2)))
    codes = sorted(answer.status_code for answer in answers)
    gone = record.method == "DELETE" and "role" not in record.at
    assert codes in ([200, 412], [204, 404 if gone else 412]), [a.text for a in answers]


@pytest.mark.parametrize("name", UNSAID)
async def test_of_two_who_say_it_first_one_is_told_that_the_other_was_faster(bare: Shop, name: str) -> None:
    record = RECORDS[name]
    seen = await bare.http.get(UNSAID[name], headers=bare.headers)
    tag = seen.headers.get("etag")
    answers = await asyncio.gather(*(act(bare, record, tag) for _ in range(2)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 428 if tag is None else 412], [a.text for a in answers]


async def test_how_people_log_in_is_changed_by_the_version_that_was_read(shop: Shop) -> None:
    headers = await shop.session(Role.OWNER)
    body = {"provider_only": False}
    stale = await shop.http.put("/v1/login-policy", json=body, headers=headers | {"if-match": '"99"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version"), stale.text
    assert (await shop.http.put("/v1/login-policy", json=body, headers=headers | {"if-match": "*"})).status_code == 200
