"""Orders are read page by page and none is passed over; days are compared, and what was lost is asked for."""

import ast
import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from linked_world import CODE, Linked, linked
from typer.testing import CliRunner

from malha.channels import connectors
from malha.channels.connecting import doctor, failures, pulling, reads, reconciling, service, turns
from malha.channels.connecting.model import Turn
from malha.channels.contract import Page, Retryable
from malha.cli import connector as command
from malha.platform.i18n import speaking
from malha.testing.peers import write_answer

ORDERS = "SELECT external_id FROM sales_order ORDER BY external_id"
PAGE = 3


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


@pytest.mark.parametrize("count", [0, 1, PAGE, PAGE + 1, 4 * PAGE])
async def test_every_order_is_read_once_wherever_a_page_ends(shop: Linked, count: int):
    ids = [f"{1000 + n}" for n in range(count)]
    for id_ in ids:
        shop.peer.sell(id_)
    await shop.settle()
    assert await shop.values(ORDERS) == ids
    await shop.settle()
    assert len(await shop.values("SELECT 1 FROM channel_inbox")) == count


async def test_orders_that_changed_at_one_moment_are_not_torn_apart_by_a_page(shop: Linked):
    for n in range(3 * PAGE):
        shop.peer.sell(f"{1000 + n}", version=7)
    await shop.settle()
    assert len(await shop.values(ORDERS)) == 3 * PAGE


async def test_an_order_that_changes_while_pages_are_read_is_read_again(shop: Linked):
    for n in range(2 * PAGE):
        payment = {"id": f"p{n}", "method": "pix", "amount": 1000, "state": "pending"}
        shop.peer.sell(f"{1000 + n}", payments=[payment])
    await pulling.work(shop.runtime)
    shop.peer.sell("1000", payments=[{"id": "p0", "method": "pix", "amount": 1000, "state": "captured"}])
    await shop.settle()
    assert len(await shop.values(ORDERS)) == 2 * PAGE
    assert await shop.values("SELECT count(*) FROM payment_entry WHERE kind = 'captured'") == [1]


async def test_the_cursor_moves_with_what_was_kept_or_not_at_all(shop: Linked, monkeypatch):
    for n in range(PAGE + 1):
        shop.peer.sell(f"{1000 + n}")
    real = pulling.inbox.keep

    async def broken(*args, **kwargs):
        await real(*args, **kwargs)
        raise ConnectionError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(pulling.inbox, "keep", broken)
        await pulling.work(shop.runtime)
    assert await shop.rows("SELECT value, failures FROM connection_cursor") == [(None, 1)]
    assert await shop.values("SELECT 1 FROM channel_inbox") == []
    await shop.settle()
    assert len(await shop.values(ORDERS)) == PAGE + 1


@pytest.mark.parametrize("how", ["cut", "status 429 1", "status 500", "status 502", "truncated", "commit_then_silence"])
async def test_a_page_that_does_not_arrive_is_read_again(shop: Linked, how: str):
    for n in range(2 * PAGE):
        shop.peer.sell(f"{1000 + n}")
    shop.peer.fail("GET /orders", how)
    await shop.settle(4)
    for _ in range(20):  # on a busy machine a page that is late may count as one that does not arrive, too
        await shop.settle()
        if len(await shop.values(ORDERS)) == 2 * PAGE:
            break
    assert len(await shop.values(ORDERS)) == 2 * PAGE


async def test_a_channel_that_promises_more_and_gives_the_same_page_again_is_not_asked_for_ever(shop: Linked):
    page = {"orders": [shop.peer.sell("1001")], "cursor": "here", "more": True}
    shop.peer._orders = lambda _query: (200, page)
    await pulling.work(shop.runtime)
    assert len(shop.peer.asked) == 2
    ((error, failed),) = await shop.rows("SELECT error, failures FROM connection_cursor WHERE stream = 'orders'")
    assert (error, failed) == ("the channel promises more pages and gives the same one again", 1)
    await shop.handle()
    assert await shop.values("SELECT external_id FROM sales_order") == ["1001"]


@pytest.mark.parametrize("at_once", [50, 4])  # more pages than the circle has, and fewer: it is found over turns
async def test_a_channel_whose_pages_go_in_a_circle_is_not_asked_for_ever(
    shop: Linked, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    """A page of some channels leads back to an earlier one: A, B, C, D, E, A ..."""
    monkeypatch.setattr(pulling, "PAGES", at_once)
    circle = ["a", "b", "c", "d", "e"]
    pages = {
        cursor: {"orders": [shop.peer.sell(f"100{n}")], "cursor": circle[(n + 1) % len(circle)], "more": True}
        for n, cursor in enumerate(circle)
    }
    shop.peer._orders = lambda query: (200, pages[query.get("cursor", "a")])
    for _ in range(4):
        await pulling.work(shop.runtime)
        ((error, failed),) = await shop.rows("SELECT error, failures FROM connection_cursor WHERE stream = 'orders'")
        if failed:
            break
    assert (error, failed) == ("the channel promises more pages and gives the same one again", 1)
    assert len(shop.peer.asked) <= 2 * len(circle)
    await shop.handle()
    assert sorted(await shop.values("SELECT external_id FROM sales_order")) == [f"100{n}" for n in range(5)]
    # What is new is taken whenever it comes, and the circle is no reason to leave it.
    pages["c"]["orders"] = [shop.peer.sell("2000")]
    for _ in range(3):
        await shop.due()
        await pulling.work(shop.runtime)
    await shop.handle()
    assert "2000" in await shop.values("SELECT external_id FROM sales_order")


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2065 07:28:00 GMT", "86400000", "99999999999999999999"])
async def test_a_rest_of_years_is_an_hour(shop: Linked, asked: str):
    """A clock that is off, or milliseconds for seconds: orders were not read, and stock not told, for a day."""
    shop.peer.fail("GET /orders", f"status 429 {asked.replace(' ', '_')}")
    with_blanks = asked

    async def write(writer: Any, status: int, page: bytes, more: dict[str, str] | None = None, **_: Any) -> None:
        await write_answer(writer, status, page, {"Retry-After": with_blanks} if more else {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("peer_shop.write_answer", write)
        await pulling.work(shop.runtime)
    ((failed, wait),) = await shop.rows(
        "SELECT failures, extract(epoch FROM next_at - now())::int FROM connection_cursor WHERE stream = 'orders'"
    )
    assert failed == 1
    assert 3_500 < wait < 4_100
    (blocked,) = await shop.values(
        "SELECT (bucket->>'blocked_until')::float8 - extract(epoch FROM now()) FROM connection_pace"
    )
    assert blocked < 3_700


async def test_a_web_page_instead_of_data_is_called_so_with_what_to_look_at(shop: Linked):
    page = b"\n<!DOCTYPE html><html><title>Log in</title></html>"

    async def write(writer: Any, _status: int, _page: bytes, *_: Any, **__: Any) -> None:
        await write_answer(writer, 200, page, {"Content-Type": "text/html"})

    shop.peer.keeps = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("peer_shop.write_answer", write)
        await pulling.work(shop.runtime)
    (error,) = await shop.values("SELECT error FROM connection_cursor WHERE stream = 'orders'")
    with speaking("pt-BR"):
        assert failures.shown(error).startswith("responde com uma página da web, não com dados")


async def test_what_is_read_as_a_whole_ends_where_its_pages_go_in_a_circle(
    shop: Linked, monkeypatch: pytest.MonkeyPatch
):
    """Stock and products of a channel, whose pages would be read a hundred thousand times."""
    asked: list[str | None] = []
    after = {None: "a", "a": "b", "b": "a"}

    async def page(_self: object, _line: object, _read: object, cursor: str | None) -> Page[int]:
        asked.append(cursor)
        return Page((len(asked),), after[cursor], more=len(asked) < 50)

    async def mine(_self: object) -> bool:
        return True

    monkeypatch.setattr(turns.Reading, "page", page)
    monkeypatch.setattr(turns.Reading, "still_mine", mine)
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
    turn = Turn(connection_id=found.id, stream="stock", value=None, since=None, handles=[], failures=0)
    reading = turns.Reading(shop.runtime, found, turn, asyncio.Event())
    with pytest.raises(Retryable, match="gives the same one again"):
        [each async for each in reading.pages(None, None)]
    assert asked == [None, "a", "b"]


async def test_four_workers_read_one_stream_once(shop: Linked):
    for n in range(6 * PAGE):
        shop.peer.sell(f"{1000 + n}")
    await asyncio.gather(*(pulling.work(shop.runtime) for _ in range(4)))
    asked = [path for _, path, _ in shop.peer.asked if path.startswith("/orders?")]
    assert len(asked) == 6
    assert len(await shop.values("SELECT 1 FROM channel_inbox")) == 6 * PAGE


async def test_an_order_whose_webhook_was_lost_is_found_by_comparing_and_asked_for(shop: Linked):
    for n in range(2):
        await shop.receive(shop.peer.webhook(shop.peer.sell(f"{1000 + n}")))
    await shop.handle()
    shop.peer.sell("1002")
    shop.peer.sell("1003", status="cancelled")
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
    assert await reconciling.compare_orders(shop.runtime, found, date(2026, 11, 26)) == ["+1002"]
    await shop.handle()
    assert await reconciling.compare_orders(shop.runtime, found, date(2026, 11, 26)) == []
    async with shop.database.transaction() as tx:
        (row,) = await reads.compared(tx, found.id)
    assert (row.ours, row.theirs, row.ours_total, row.theirs_total) == (3, 3, 3000, 3000)


async def test_the_doctor_says_what_works_and_what_does_not(shop: Linked):
    shop.peer.sell("1001")
    findings = {f.check: f for f in await doctor.examine(shop.runtime, CODE)}
    assert all(f.ok for f in findings.values()), findings
    assert findings["orders"].text("en") == "1 read, 0 cannot be read"
    shop.peer.sell("1002", status="levitating")
    findings = {f.check: f for f in await doctor.examine(shop.runtime, CODE)}
    assert "levitating" in findings["orders"].text("en")
    assert not findings["orders"].ok
    shop.peer.access_token = "not our key"
    findings = {f.check: f for f in await doctor.examine(shop.runtime, CODE)}
    assert not findings["check"].ok
    assert await shop.values("SELECT 1 FROM sales_order") == [], "it changes nothing"


async def test_the_doctor_counts_today_as_the_retailer_has_it(shop: Linked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "now", lambda: datetime(2026, 11, 28, 1, 30, tzinfo=UTC))  # half past ten in São Paulo
    assert all(f.ok for f in await doctor.examine(shop.runtime, CODE))
    (asked,) = [path for _, path, _ in shop.peer.asked if path.startswith("/orders/summary?")]
    assert "day=2026-11-27&" in asked


async def test_the_doctor_speaks_the_readers_language_and_programs_get_keys_that_stay(shop: Linked):
    shop.peer.sell("1001")
    findings = await doctor.examine(shop.runtime, CODE)
    said: dict[str, tuple[str, dict[str, Any]]] = {}
    for language in ("pt-BR", "en"):
        with speaking(language):
            said[language] = command.told(findings), command.to_json(findings)
    assert "ok     pedidos dos últimos dois dias: lidos: 1, não puderam ser lidos: 0" in said["pt-BR"][0].splitlines()
    assert "ok    orders of the last two days: 1 read, 0 cannot be read" in said["en"][0].splitlines()
    ours, theirs = ([(f["check"], f["of"], f["ok"], f["facts"]) for f in told["findings"]] for _, told in said.values())
    assert ours == theirs
    assert ("orders", None, True, [{"read": 1, "unread": 0}]) in ours
    assert said["pt-BR"][1]["healthy"]
    assert msgspec.json.decode(msgspec.json.encode(said["en"][1]))["findings"]


async def test_what_the_doctor_could_not_reach_is_told_in_the_readers_language(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection SET secrets = NULL, status = 'broken'")
    findings = {f.check: f for f in await doctor.examine(shop.runtime, CODE)}
    assert not findings["status"].ok
    assert findings["status"].text("pt-BR") == "o canal não nos reconhece mais"
    assert not findings["check"].ok
    assert findings["check"].text("en") == "the secret api_key was not entered"
    assert findings["check"].text("pt-BR") == "o segredo api_key não foi informado"
    assert findings["check"].facts == [{"name": "api_key"}]


def test_whatever_a_connector_of_ours_says_of_a_check_has_a_translation():
    folder = Path(connectors.__file__).parent
    said = {text for path in sorted(folder.rglob("*.py")) for text in _said_of_checks(ast.parse(path.read_text()))}
    assert len(said) > 8, said
    for text in said:
        assert failures.found(text) is not None, f"add it to failures.CHECKS: {text}"


def _said_of_checks(tree: ast.AST) -> Iterator[str]:
    """Texts with facts that become `Health.says`: those that `check` gives a name `says`, or hands over."""
    for function in ast.walk(tree):
        if not (isinstance(function, ast.AsyncFunctionDef) and function.name == "check"):
            continue
        for node in ast.walk(function):
            values = [k.value for k in node.keywords if k.arg == "says"] if isinstance(node, ast.Call) else []
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "says" for t in node.targets):
                values.append(node.value)
            for value in values:
                if isinstance(value, ast.JoinedStr):
                    text = "".join(str(p.value) if isinstance(p, ast.Constant) else "x1" for p in value.values)
                    if text != "HTTP x1":
                        yield text


def test_the_command_lists_connectors_with_their_tier():
    result = CliRunner().invoke(command.app, ["list"])
    assert result.exit_code == 0
    assert "generic          C  JSON over HTTP" in result.output
