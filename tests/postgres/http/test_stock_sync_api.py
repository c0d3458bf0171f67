"""What sources state, over HTTP: files of each kind, the same twice, what is older, changes, disagreements."""

import gzip
import io
import json
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from tests_http import Shop
from xlsxwriter import Workbook

from malha.inventory.sync import applying
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.platform import jobs
from malha.platform.ids import UUID
from malha.testing.builders import in_days

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sync_world import a_retailer, on_hand

KEY = ["stock:read", "stock:write", "network:write"]
SOURCE = {"code": "POS", "name": "Tills", "secondary": ["L1"]}


@pytest.fixture
async def stated(shop: Shop) -> Shop:
    await jobs.install(shop.database.url)
    await a_retailer(shop.database)
    shop.headers = await shop.key(KEY)
    return shop


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


async def put(
    shop: Shop, body: bytes, seq: int, hours: float = 2.0, kind: str = "text/csv", **more: Any
) -> httpx.Response:
    headers = {**shop.headers, "content-type": kind, **more.pop("headers", {})}
    params = {"source": "ERP", "seq": seq, "as_of": ago(hours), **more}
    answer = await shop.http.put("/v1/stock/snapshots", params=params, content=body, headers=headers)
    if answer.status_code == 202 and answer.json()["state"] == "applying":
        await applying.apply(shop.database, UUID(answer.json()["id"]))
    return answer


def workbook() -> bytes:
    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet()
    for at, row in enumerate([["Código", "Loja", "Saldo"], ["S1", "L1", 13], ["S2", "L1", "6"]]):
        sheet.write_row(at, 0, row)
    book.close()
    return out.getvalue()


NDJSON = (
    b'{"sku": "S1", "location": "L1", "on_hand": 13}\n\n{"sku": "S2", "location": "L1", "on_hand": "6"}\n{"sku": 1}\n'
)
FILES = {
    "csv": (b"sku;location;on_hand\nS1;L1;13\nS2;L1;6\n", "text/csv"),
    "quoted, by comma, another order": (
        b'"on_hand","sku","location"\r\n"13","S1","L1"\r\n"6"," S2 ","L1"\r\n',
        "text/csv",
    ),
    "utf-16": ("sku\tlocal\tsaldo\nS1\tL1\t13\nS2\tL1\t6\n".encode("utf-16"), "text/csv"),
    "utf-32": ("sku;local;saldo\nS1;L1;13\nS2;L1;6\n".encode("utf-32"), "text/csv"),
    "dos": ("sku;local;saldo;obs\r\nS1;L1;13;ÉPICO\r\nS2;L1;6;x\r\n\x1a".encode("cp850"), "text/csv"),
    "words of dos": ("código;depósito;físico;descrição\nS1;L1;13;pão\nS2;L1;6;mãe\n".encode("cp850"), "text/csv"),
    "windows": ("código;depósito;físico;descrição\nS1;L1;13;pão\nS2;L1;6;mãe\n".encode("cp1252"), "text/csv"),
    "blank lines first": (b"sep=;\n;;\nsku;local;saldo\nS1;L1;13\nS2;L1;6\n", "text/csv"),
    "cut off within a letter": ("sku;local;saldo;obs\nS1;L1;13;pão\nS2;L1;6;mã".encode()[:-1], "text/csv"),
    "xlsx": (workbook(), "application/octet-stream"),
    "ndjson": (NDJSON, "application/x-ndjson"),
    "gzip": (gzip.compress(NDJSON), "application/x-ndjson"),
    "gtin": (b"ean;location;on_hand\n7891000315507;L1;13\n", "text/csv"),
}


@pytest.mark.parametrize("name", FILES)
async def test_each_kind_of_file_is_taken(stated: Shop, name: str) -> None:
    body, kind = FILES[name]
    answer = await put(stated, body, 1, kind=kind)
    assert answer.status_code == 202, answer.text
    now = await on_hand(stated.database)
    assert (now[1, 1], now[2, 1]) == (13, 10 if name == "gtin" else 6)
    told = (await stated.http.get(answer.headers["location"], headers=stated.headers)).json()
    assert (told["state"], told["percent"], told["held"]) == ("applied", 100, int("json" in kind))


async def test_whole_numbers_with_a_point_count_and_what_cannot_be_read_is_held_as_nothing_stated(
    stated: Shop,
) -> None:
    said = [
        b'{"sku": "S1", "location": "L1", "on_hand": 13.0}',
        b'{"sku": "S2", "location": "L1", "on_hand": 6.5}',
        b"{nothing",
        b'{"sku": "S2", "location": "L1", "on_hand": 1e400}',
    ]
    answer = await put(stated, b"\n".join(said), 1, kind="application/x-ndjson")
    assert (await on_hand(stated.database))[1, 1] == 13
    held = (await stated.http.get(f"{answer.headers['location']}/held", headers=stated.headers)).json()["items"]
    assert [(row["row"], row["stated"], row["problem"]) for row in held] == [
        (2, "6.5", "no_number"),
        (3, "", "unreadable"),
        (4, "", "unreadable"),
    ]


async def test_the_same_snapshot_again_gets_the_same_answer_and_an_older_one_409(stated: Shop) -> None:
    body, as_of = b"sku;location;on_hand\nS1;L1;13\nX;L1;1\n", ago(2)
    first = await put(stated, body, 7, headers={"idempotency-key": "n1"}, as_of=as_of)
    again = await put(stated, body, 7, headers={"idempotency-key": "n1"}, as_of=as_of)
    assert first.json()["id"] == again.json()["id"]
    reused = await put(stated, body + b"S2;L1;1\n", 8, headers={"idempotency-key": "n1"})
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    older = await put(stated, body, 6)
    assert (older.status_code, older.json()["code"]) == (409, "older_snapshot")
    assert "not newer than 7" in older.json()["detail"]
    held = (await stated.http.get(f"{first.headers['location']}/held", headers=stated.headers)).json()["items"]
    assert [(row["row"], row["problem"]) for row in held] == [(3, "unknown_sku")]
    file = await stated.http.get(f"{first.headers['location']}/held:export", headers=stated.headers)
    assert file.text.lstrip("\ufeff").splitlines()[1].startswith("X;L1;1;3;There is no such SKU.")


async def test_what_cannot_be_a_snapshot_is_refused_with_words(stated: Shop) -> None:
    good = b"sku;location;on_hand\nS1;L1;13\n"
    wrong = [
        (await put(stated, b"", 1), 422, "empty_snapshot"),
        (await put(stated, b"sku;location\nS1;L1\n", 1), 422, "missing_columns"),
        (await put(stated, b"location;on_hand\nL1;1\n", 1), 422, "missing_columns"),
        (await put(stated, b"\x89PNG\x00\x00\x00" * 50, 1), 422, "unreadable_table"),
        (await put(stated, b"\x1f\x8bjunk", 1), 422, "unreadable_packing"),
        (await put(stated, gzip.compress(b"sku;location;on_hand\n" + b"S1;L1;0\n" * 3_000_000), 1), 422, "packed_bomb"),
        (await put(stated, good, 1, source="NOBODY"), 404, "unknown_stock_source"),
        (await put(stated, good, 1, as_of="yesterday"), 422, "invalid"),
        (await put(stated, good, 1, as_of="2026-11-26T10:00:00"), 422, "invalid"),
        (await put(stated, good, 1, hours=-3), 422, "as_of_in_future"),
        (await put(stated, good, 1, location=["L4"]), 409, "not_its_location"),
    ]
    assert [(a.status_code, a.json()["code"]) for a, *_ in wrong] == [(status, code) for _, status, code in wrong]
    listed = await stated.http.get("/v1/stock/snapshots", headers=stated.headers)
    assert listed.json()["items"] == []


async def test_a_whole_snapshot_that_empties_too_much_waits_for_confirm(stated: Shop) -> None:
    source = (await stated.http.get("/v1/stock/sources/ERP", headers=stated.headers)).json()
    draft = {k: v for k, v in source.items() if k not in {"last_seq", "version"}} | {"zero_percent": 10}
    stale = await stated.http.put("/v1/stock/sources/ERP", json=draft, headers={**stated.headers, "if-match": '"9"'})
    assert stale.status_code == 412
    saved = await stated.http.put("/v1/stock/sources/ERP", json=draft, headers={**stated.headers, "if-match": '"1"'})
    assert (saved.status_code, saved.json()["zero_percent"]) == (200, 10)
    waits = (await put(stated, b"sku;location;on_hand\nS1;L1;13\n", 1, covers="whole")).json()
    assert (waits["state"], waits["zeroed"]) == ("waiting", 5)
    confirmed = await stated.http.post(f"/v1/stock/snapshots/{waits['id']}/confirm", headers=stated.headers)
    assert confirmed.json()["state"] == "applying"
    await applying.apply(stated.database, UUID(waits["id"]))
    assert (await on_hand(stated.database))[2, 1] == 0
    late = await stated.http.post(f"/v1/stock/snapshots/{waits['id']}/cancel", headers=stated.headers)
    assert (late.status_code, late.json()["code"]) == (409, "snapshot_not_open")


async def test_sources_changes_and_disagreements(stated: Shop) -> None:
    two = await stated.http.post("/v1/stock/sources", json={**SOURCE, "truth": ["L2"]}, headers=stated.headers)
    assert (two.status_code, two.json()["code"]) == (409, "two_sources_of_truth")
    assert (await stated.http.post("/v1/stock/sources", json=SOURCE, headers=stated.headers)).status_code == 201
    rows = [
        {"ref": "t-1", "sku": "S1", "location": "L1", "delta": -2, "reason": "hand_over", "document": "NFC-e 7"},
        {"ref": "t-2", "sku": "S1", "location": "L1", "set": 5, "expected": 99},
        {"ref": "t-1", "sku": "S1", "location": "L1", "delta": -2},
    ]
    said = await stated.http.post("/v1/stock/deltas", json={"source": "POS", "rows": rows}, headers=stated.headers)
    assert said.json()["rows"] == [
        {"ref": "t-1", "outcome": "applied", "on_hand": 8},
        {"ref": "t-2", "outcome": "conflict", "on_hand": 8},
        {"ref": "t-1", "outcome": "duplicate"},
    ]
    both = await stated.http.post(
        "/v1/stock/deltas", json={"source": "POS", "rows": [{**rows[0], "set": 1}]}, headers=stated.headers
    )
    assert (both.status_code, both.json()["errors"][0]["at"]) == (422, "/rows/0")
    await put(stated, b"sku;location;on_hand\nS1;L3;4\nS2;L3;4\n", 1)
    open_ = (await stated.http.get("/v1/stock/drift", headers=stated.headers)).json()["items"]
    assert {(d["sku"], d["theirs"], d["ours"], d["unexplained"], d["kind"]) for d in open_} == {
        ("S1", 4, 10, -6, "compared"),
        ("S2", 4, 10, -6, "compared"),
    }
    one = await stated.http.get(f"/v1/stock/drift/{open_[0]['id']}", headers=stated.headers)
    assert [m["side"] for m in one.json()["movements"]] == ["before"]
    items = [{"id": d["id"], "version": d["version"]} for d in open_]
    done = await stated.http.post(
        "/v1/stock/drift:repair", json={"how": "theirs", "items": items}, headers=stated.headers
    )
    assert [d["state"] for d in done.json()] == ["theirs", "theirs"]
    again = await stated.http.post(
        "/v1/stock/drift:repair", json={"how": "ours", "items": items}, headers=stated.headers
    )
    assert (again.status_code, again.json()["code"]) == (409, "drift_settled")
    now = await on_hand(stated.database)
    assert (now[1, 3], now[2, 3]) == (4, 4)
    file = await stated.http.get("/v1/stock/drift:export?status=theirs&format=csv", headers=stated.headers)
    assert len(file.text.splitlines()) == 3
    trend = (await stated.http.get("/v1/stock/sources/ERP/trend", headers=stated.headers)).json()
    assert [(day["rows"], day["differed"]) for day in trend] == [(2, 2)]


@pytest.mark.parametrize("swap", ["x", "\x00", "", 7])
async def test_a_cursor_of_disagreements_that_was_tampered_with_is_refused(stated: Shop, swap: object) -> None:
    assert (await stated.http.post("/v1/stock/sources", json=SOURCE, headers=stated.headers)).status_code == 201
    await put(stated, b"sku;location;on_hand\nS1;L3;4\nS2;L3;4\n", 1)
    page = (await stated.http.get("/v1/stock/drift", params={"limit": 1}, headers=stated.headers)).json()
    name, found_at, _id = json.loads(urlsafe_b64decode(page["next"] + "=="))
    turned = await stated.http.get("/v1/stock/drift", params={"cursor": page["next"]}, headers=stated.headers)
    assert {one["id"] for one in turned.json()["items"]}.isdisjoint(one["id"] for one in page["items"])
    assert len(turned.json()["items"]) == 1
    made = urlsafe_b64encode(json.dumps([name, found_at, swap]).encode()).rstrip(b"=").decode()
    refused = await stated.http.get("/v1/stock/drift", params={"cursor": made}, headers=stated.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_cursor")


async def test_who_is_limited_to_a_location_states_nothing_elsewhere(stated: Shop) -> None:
    stated.headers = await stated.key(["stock:read", "stock:write"], locations=["L1"])
    other = await put(stated, b"sku;location;on_hand\nS1;L2;1\n", 1, location=["L2"])
    assert (other.status_code, other.json()["code"]) == (404, "unknown_location")
    mixed = await put(stated, b"sku;location;on_hand\nS1;L2;1\nS1;L1;1\n", 1)
    assert mixed.json()["held"] == 1
    held = (await stated.http.get(f"{mixed.headers['location']}/held", headers=stated.headers)).json()["items"]
    assert held == []  # the row speaks of a location out of sight
    now = await on_hand(stated.database)
    assert (now[1, 1], now[1, 2]) == (1, 10)
    row = {"ref": "x", "sku": "S1", "location": "L2", "delta": 1}
    said = await stated.http.post("/v1/stock/deltas", json={"source": "ERP", "rows": [row]}, headers=stated.headers)
    assert said.json()["rows"][0]["outcome"] == "unknown_location"
    assert (await stated.http.get("/v1/stock/drift", headers=stated.headers)).json()["items"] == []


async def test_the_trend_of_a_source_has_the_retailers_days(stated: Shop) -> None:
    await put(stated, b"sku;location;on_hand\nS1;L1;13\nS2;L1;6\n", 1)
    day = in_days(-5)
    at = datetime.combine(day, time(23, 30), ZoneInfo("America/Rio_Branco"))  # the next day of the installation
    async with stated.database.transaction() as tx:
        draft = RetailerDraft(name="Loja", timezone="America/Rio_Branco")
        await retailer.change(tx, draft, (await retailer.current(tx)).version)
        await tx.execute("UPDATE stock_snapshot SET as_of = %s", (at,))
    trend = (await stated.http.get("/v1/stock/sources/ERP/trend", headers=stated.headers)).json()
    assert [each["day"] for each in trend] == [day.isoformat()]
