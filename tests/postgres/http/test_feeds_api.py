"""Feeds over HTTP: stated, previewed, built, reported, read at an address nobody guesses, and put where a partner says."""

import asyncio
import csv
import gzip
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from feed_world import a_shop
from tests_http import Shop, open_shop

from malha.channels.feeds import building, reads
from malha.identity.model import Role
from malha.platform import workbook
from malha.platform.db import Database

PLAN = {
    "profile": "generic",
    "format": "csv",
    "mapping": [
        {"target": "id", "value": "code"},
        {"target": "name", "value": "name"},
        {"target": "price", "value": "price"},
        {"target": "quantity", "value": "quantity"},
    ],
}


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    """Where a file may be put to this machine."""
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1",))


@pytest.fixture
async def listed(shop: Shop) -> Shop:
    await a_shop(shop.database)
    shop.headers = await shop.key(["network:read", "network:write"])
    return shop


async def state(shop: Shop, code="partner", **terms):
    body = {"name": "Partner", "channel": "web", "plan": PLAN} | terms
    return await shop.http.put(f"/v1/feeds/{code}", json=body, headers=shop.headers)


async def run(shop: Shop, code="partner", kind="full") -> dict:
    begun = await shop.http.post(f"/v1/feeds/{code}/builds", json={"kind": kind}, headers=shop.headers)
    assert begun.status_code == 202, begun.text
    async with shop.database.transaction() as tx:
        (feed,) = await reads.feeds(tx, code)
        found = await reads.build_of_number(tx, feed.id, begun.json()["number"])
    await building.build.work(shop.database, build_id=str(found.id))
    return (await shop.http.get(begun.headers["location"], headers=shop.headers)).json()


async def test_a_feed_is_stated_built_and_read_at_its_address_by_whoever_knows_it(listed: Shop) -> None:
    stored = await state(listed)
    assert stored.status_code == 200, stored.text
    feed = (await listed.http.get("/v1/feeds/partner", headers=listed.headers)).json()
    path = feed["url"].partition("/feeds/")[1] + feed["url"].partition("/feeds/")[2]
    assert (await listed.http.get(path)).status_code == 404, "nothing was built yet"
    build = await run(listed)
    assert (build["state"], build["rows"]) == ("done", 3)

    plain = await listed.http.get(path, headers={"accept-encoding": "identity"})
    assert plain.status_code == 200
    assert plain.headers["content-type"] == "text/csv; charset=utf-8"
    assert int(plain.headers["content-length"]) == len(plain.content) == build["size"]
    rows = list(csv.DictReader(io.StringIO(plain.text)))
    assert rows[0] == {"id": "c-A", "name": "Camiseta A", "price": "10.00", "quantity": "7"}
    squeezed = await listed.http.get(path, headers={"accept-encoding": "gzip"})
    assert squeezed.headers["content-encoding"] == "gzip"
    assert squeezed.content == plain.content
    archive = await listed.http.get(f"{path}.gz")
    assert archive.headers["content-type"] == "application/gzip"
    assert gzip.decompress(archive.content) == plain.content
    own = await listed.http.get(f"/v1/feeds/partner/builds/{build['number']}/file", headers=listed.headers)
    assert own.content == archive.content

    for known in (
        {"if-none-match": plain.headers["etag"]},
        {"if-none-match": f'"other", {plain.headers["etag"]}'},
        {"if-modified-since": plain.headers["last-modified"]},
    ):
        answer = await listed.http.get(path, headers=known)
        assert (answer.status_code, answer.content) == (304, b""), known
    for unknown in (
        {"if-none-match": '"other"'},
        {"if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"},
        {"if-modified-since": "x"},
    ):
        assert (await listed.http.get(path, headers=unknown)).status_code == 200, unknown
    head = await listed.http.head(path)
    assert (head.status_code, head.content) == (200, b"")

    changed = await listed.http.post("/v1/feeds/partner/rotate", headers=listed.headers | {"if-match": '"1"'})
    assert changed.json()["url"] != feed["url"]
    assert (await listed.http.get(path)).status_code == 404
    guess = await listed.http.get("/feeds/" + "A" * 32 + "/partner.csv")
    nobody = await listed.http.get("/feeds/" + "A" * 32 + "/nobody.csv")
    assert guess.status_code == nobody.status_code == 404
    assert guess.json()["code"] == nobody.json()["code"] == "feed_not_found"


async def test_an_address_that_is_read_too_often_is_told_to_wait(listed: Shop) -> None:
    await state(listed)
    await run(listed)
    path = (
        "/feeds/"
        + (await listed.http.get("/v1/feeds/partner", headers=listed.headers)).json()["url"].partition("/feeds/")[2]
    )
    answers = [(await listed.http.get(path)).status_code for _ in range(31)]
    assert answers == [200] * 30 + [429]
    last = await listed.http.get(path)
    assert last.headers["retry-after"] == "60"


async def test_the_report_is_read_page_by_page_and_taken_out_defused(listed: Shop) -> None:
    async with listed.database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = 0")
        await tx.execute("UPDATE variant SET name = '=HYPERLINK(\"http://x\")' WHERE sku = 'A'")
    await state(listed)
    build = await run(listed)
    assert build["counts"] == [{"severity": "error", "rule": "price_zero", "field": "price", "rows": 3}]
    seen, cursor = [], None
    while True:
        params = {"limit": 2, "rule": "price_zero"} | ({"cursor": cursor} if cursor else {})
        address = f"/v1/feeds/partner/builds/{build['number']}/flaws"
        page = (await listed.http.get(address, params=params, headers=listed.headers)).json()
        seen += [row["sku"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["A", "B", "C"]
    mend = f"/v1/feeds/partner/builds/{build['number']}/mend"
    table = (await listed.http.get(mend, headers=listed.headers | {"accept-language": "pt-BR"})).content.decode(
        "utf-8-sig"
    )
    lines = list(csv.reader(io.StringIO(table), delimiter=";"))
    assert len(lines) == 4
    assert lines[1][1].startswith("'="), "a spreadsheet must not run it"
    assert "O preço é zero" in lines[1]
    sheet = await listed.http.get(f"{mend}?xlsx=true", headers=listed.headers)
    with workbook.as_text(io.BytesIO(sheet.content)) as text:
        assert text.read().count(b"c-") == 3


async def test_a_preview_shows_what_a_plan_would_say(listed: Shop) -> None:
    body = {"channel": "web", "plan": PLAN, "rows": 2}
    shown = (await listed.http.post("/v1/feeds/preview", json=body, headers=listed.headers)).json()
    assert shown["columns"] == ["id", "name", "price", "quantity"]
    assert [row["sku"] for row in shown["rows"]] == ["A", "B"]
    wrong = {**body, "plan": {**PLAN, "mapping": [{"target": "id", "value": "nothing"}]}}
    answer = await listed.http.post("/v1/feeds/preview", json=wrong, headers=listed.headers)
    assert answer.status_code == 422
    assert "/plan/mapping/0/value" in answer.text


async def test_versions_codes_and_wrong_plans_are_refused(listed: Shop) -> None:
    assert (await state(listed, plan={**PLAN, "format": "rss"})).status_code == 422
    assert (await state(listed, code="Feira")).status_code == 422
    assert (await state(listed, push_url="ftp://x.example/")).status_code == 422
    assert (await state(listed, channel="nowhere")).status_code == 404
    assert (await state(listed)).status_code == 200
    again = await state(listed)
    assert (again.status_code, again.json()["code"]) == (428, "version_required")
    profiles = (await listed.http.get("/v1/feed-profiles", headers=listed.headers)).json()
    for profile in profiles:
        terms = {"plan": profile["usual"]}
        assert (await state(listed, code=f"usual-{profile['key']}", **terms)).status_code == 200, profile["key"]
    gone = await listed.http.delete("/v1/feeds/partner", headers=listed.headers | {"if-match": '"1"'})
    assert gone.status_code == 204
    assert (await listed.http.get("/v1/feeds/partner", headers=listed.headers)).status_code == 404


async def test_who_is_limited_to_a_store_sees_no_feed(listed: Shop) -> None:
    await state(listed)
    lead = await listed.session(Role.PLANNER, locations=["S1"])
    for address in ("/v1/feeds", "/v1/feeds/partner", "/v1/feeds/partner/builds"):
        assert (await listed.http.get(address, headers=lead)).status_code == 403, address


# --- put where a partner says ---


class Shelf:
    """A server that keeps what is put there, and answers what it is told to."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 201


@asynccontextmanager
async def a_shelf() -> AsyncIterator[tuple[int, Shelf]]:
    shelf = Shelf()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        shelf.kept.append((head[0], headers, body))
        writer.write(f"HTTP/1.1 {shelf.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], shelf


async def test_a_new_file_is_put_in_pieces_with_its_length_and_the_secret_and_tried_again(listed: Shop) -> None:
    settings = listed.app.state.services.settings
    async with a_shelf() as (port, shelf):
        allowing = msgspec.structs.replace(settings, outward_allow=(f"127.0.0.1:{port}",))
        stored = await state(listed, push_url=f"http://127.0.0.1:{port}/in/{{name}}", push_secret="Bearer abc")
        assert stored.status_code == 200
        assert "abc" not in (await listed.http.get("/v1/feeds/partner", headers=listed.headers)).text
        build = await run(listed)
        assert build["push_state"] == "waiting"
        async with listed.database.transaction() as tx:
            (feed,) = await reads.feeds(tx, "partner")
            id_ = str((await reads.build_of_number(tx, feed.id, build["number"])).id)
        shelf.status = 500
        with pytest.raises(building.NotTaken):
            await building.push_file.work(listed.database, settings=allowing, build_id=id_)
        shelf.status = 201
        await building.push_file.work(listed.database, settings=allowing, build_id=id_)
        await building.push_file.work(listed.database, settings=allowing, build_id=id_)  # done: not again
        async with listed.database.transaction() as tx:
            await tx.execute("UPDATE feed_build SET push_state = 'waiting'")
        forbidding = msgspec.structs.replace(settings, outward_allow=())
        with pytest.raises(building.NotTaken):  # nobody allows this host any more
            await building.push_file.work(listed.database, settings=forbidding, build_id=id_)
    assert len(shelf.kept) == 2
    line, headers, body = shelf.kept[1]
    assert line == "PUT /in/partner.csv.gz HTTP/1.1"
    assert headers["authorization"] == "Bearer abc"
    assert headers["content-encoding"] == "gzip"
    assert "transfer-encoding" not in headers
    assert gzip.decompress(body).startswith(b"id,")
