"""A person's file as a snapshot: checked first, applied when they say so, and refused as any snapshot would be."""

import gzip
import io
import re
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests_http import Shop
from xlsxwriter import Workbook

from malha.identity.model import Role
from malha.inventory.sync import applying, reads
from malha.inventory.sync.model import Scope, State
from malha.platform import jobs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sync_world import a_retailer, hours_ago, moved, on_hand, state

FILE = b"sku;local;saldo\nS1;L1;13\nS2;L1;6\nS3;L1;10\nNOPE;L1;4\n"
NDJSON = b'{"sku": "S1", "location": "L1", "on_hand": 13}\n{"sku": "S2", "location": "L1", "on_hand": "6"}\n'


@pytest.fixture
async def stated(shop: Shop) -> Shop:
    await jobs.install(shop.database.url)
    await a_retailer(shop.database)
    return shop


def local(hours: float) -> str:
    """A time of the day as a browser of UTC says it."""
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")


async def bring(
    shop: Shop, headers: dict[str, str], file: bytes = FILE, name: str = "s.csv", **fields: Any
) -> httpx.Response:
    said = {"scope": "partial", "as_of": local(2), "seq": "1", **fields}
    return await shop.http.post(
        "/stock-sync/sources/ERP/upload", data=said, files={"file": (name, file)}, headers=headers
    )


async def owner_in_utc(shop: Shop) -> dict[str, str]:
    headers = await shop.session()
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET timezone = 'UTC'")
    return headers


async def test_sheets_that_are_not_read_are_named_before_a_snapshot_is_applied(stated: Shop) -> None:
    file = io.BytesIO()
    made = Workbook(file)
    for name, units in (("Loja", 13), ("Depósito <2>", 6)):
        sheet = made.add_worksheet(name)
        sheet.write_row(0, 0, ["sku", "local", "saldo"])
        sheet.write_row(1, 0, ["S1", "L1", units])
    made.close()
    owner = await owner_in_utc(stated)
    for seq, sent in ((1, file.getvalue()), (2, gzip.compress(file.getvalue()))):
        answer = await bring(stated, owner, sent, "s.xlsx", seq=str(seq))
        page = await stated.http.get(answer.headers["location"], headers=owner)
        assert "Only the first sheet is read." in page.text
        assert "There is something in one more: Depósito &lt;2&gt;." in page.text
        async with stated.database.transaction() as tx:
            found = await reads.snapshot_by_number(tx, seq)
        assert (found.state, found.rows, found.other_sheets) == (State.WAITING, 1, ["Depósito <2>"])
    key = await stated.key(["stock:read"])
    told = await stated.http.get(f"/v1/stock/snapshots/{found.id}", headers=key)
    assert told.json()["other_sheets"] == ["Depósito <2>"]
    alone = await bring(stated, owner, seq="3")
    page = await stated.http.get(alone.headers["location"], headers=owner)
    assert "Only the first sheet is read." not in page.text


async def test_what_of_a_workbook_is_read_otherwise_than_seen_is_told_before_a_snapshot_is_applied(
    stated: Shop,
) -> None:
    file, sent = io.BytesIO(), io.BytesIO()
    made = Workbook(file)
    sheet = made.add_worksheet()
    for n, row in enumerate((["sku", "local", "saldo"], ["S1", "L1", 13], ["S2", "L1", 6], ["S3", "L1", 1])):
        sheet.write_row(n, 0, row)
    sheet.set_row(1, None, None, {"hidden": True})
    sheet.write_formula(3, 2, "=1+1", None, 987_654)  # of which nobody worked out the result
    made.close()
    with zipfile.ZipFile(file) as read, zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as written:
        for name in read.namelist():
            written.writestr(name, read.read(name).replace(b"<v>987654</v>", b""))
    owner = await owner_in_utc(stated)
    answer = await bring(stated, owner, sent.getvalue(), "s.xlsx")
    page = await stated.http.get(answer.headers["location"], headers=owner)
    told = "Hidden rows are read too: 1 (rows 2)."
    assert told in page.text
    assert "A cell holds a formula without a result." in page.text
    async with stated.database.transaction() as tx:
        found = await reads.snapshot_by_number(tx, 1)
    key = await stated.key(["stock:read"])
    shown = (await stated.http.get(f"/v1/stock/snapshots/{found.id}", headers=key)).json()
    assert (shown["oddities"][0], shown["held"], shown["rows"]) == (told, 1, 3)
    said = await stated.http.get(f"/v1/stock/snapshots/{found.id}", headers=key | {"accept-language": "pt-BR"})
    assert said.json()["oddities"][0] == "Linhas ocultas também são lidas: 1 (linhas 2)."


async def test_a_file_is_checked_and_changes_nothing_until_it_is_applied(stated: Shop) -> None:
    owner = await owner_in_utc(stated)
    async with stated.database.transaction() as tx:
        await moved(tx, {(1, 1): -2}, 1)  # sold after the file was made
    sent = await bring(stated, owner)
    assert (sent.status_code, sent.headers["location"]) == (303, "/stock-sync/snapshots/1")
    assert (await on_hand(stated.database))[1, 1] == 8
    shown = (await stated.http.get("/stock-sync/snapshots/1", headers=owner)).text
    assert "2 balances would change." in shown
    assert "There is no such SKU." in shown
    assert re.search(r">S1</a>.*?>8<.*?>13<.*?\+5<", shown, re.DOTALL)
    expected = await stated.http.get("/stock-sync/snapshots/1/expected.csv", headers=owner)
    assert [line.split(";")[0::6] for line in expected.text.splitlines()[1:]] == [["S1", "5"], ["S2", "-4"]]
    held = await stated.http.get("/stock-sync/snapshots/1/held.csv", headers=owner)
    assert held.text.splitlines()[1].startswith("NOPE")
    done = await stated.http.post("/stock-sync/snapshots/1/confirm", headers=owner)
    assert done.status_code == 303
    async with stated.database.transaction() as tx:
        taken = await reads.snapshot_by_number(tx, 1)
    await applying.apply(stated.database, taken.id)
    now = await on_hand(stated.database)
    assert (now[1, 1], now[2, 1], now[3, 1]) == (11, 6, 10)  # 13 stated, less the 2 sold since


@pytest.mark.parametrize(
    "file", [NDJSON, gzip.compress(NDJSON), gzip.compress(FILE)], ids=["ndjson", "packed", "packed csv"]
)
async def test_each_kind_of_file_is_taken_from_a_form(stated: Shop, file: bytes) -> None:
    owner = await owner_in_utc(stated)
    assert (await bring(stated, owner, file, "saldos.bin")).status_code == 303
    async with stated.database.transaction() as tx:
        (taken,) = await reads.snapshots(tx)
    assert (taken.state, taken.differing) == (State.WAITING, 2)


async def test_whole_locations_are_those_that_were_ticked(stated: Shop) -> None:
    owner = await owner_in_utc(stated)
    sent = await bring(stated, owner, b"sku;local;saldo\nS1;L1;10\n", scope="whole", place=["L1", "L2"])
    assert sent.status_code == 303
    async with stated.database.transaction() as tx:
        (taken,) = await reads.snapshots(tx)
        assert (taken.zeroed, taken.absent) == (11, 11)
        assert await reads.expected_places(tx, taken.id) == {1: (5, 0, 50), 2: (6, 0, 60)}


async def test_a_file_that_changes_nothing_waits_for_nobody(stated: Shop) -> None:
    owner = await owner_in_utc(stated)
    sent = await bring(stated, owner, b"sku;local;saldo\nS1;L1;10\n")
    async with stated.database.transaction() as tx:
        (taken,) = await reads.snapshots(tx)
    assert (sent.status_code, taken.state, taken.differing) == (303, State.APPLIED, 0)


async def test_what_is_missing_or_too_old_is_said_and_leaves_nothing(stated: Shop) -> None:
    owner = await owner_in_utc(stated)
    htmx = {**owner, "hx-request": "true", "x-slot": "#refusal"}
    for fields, status, says in (
        ({"as_of": ""}, 422, "This field is empty."),
        ({"seq": "x"}, 422, "This is no sequence."),
        ({"scope": "all"}, 422, "No choice was made."),
        ({"as_of": local(-3)}, 422, "has not come yet"),
        ({"scope": "whole", "place": ["L4"]}, 409, "L4"),
    ):
        refused = await bring(stated, htmx, **fields)
        assert (refused.status_code, says in refused.text) == (status, True), (fields, refused.text)
    async with stated.database.transaction() as tx:
        assert await reads.snapshots(tx) == []
    first = await bring(stated, owner, seq="7", as_of=(at := local(1)))
    assert (await bring(stated, htmx, b"sku;local;saldo\nS1;L1;1\n", seq="7")).status_code == 409
    again = await bring(stated, owner, seq="7", as_of=at)  # the very same statement is the snapshot it is already
    assert (first.status_code, again.headers["location"]) == (303, first.headers["location"])


async def test_who_is_limited_to_locations_states_and_applies_only_there(stated: Shop) -> None:
    async with stated.database.transaction() as tx:
        await tx.execute("UPDATE location SET name = 'L' || id")
    keeper = await stated.session(Role.MANAGER, locations=["L1"])
    page = await stated.http.get("/stock-sync/sources/ERP/upload", headers=keeper)
    assert 'value="L1"' in page.text
    assert 'value="L2"' not in page.text
    refused = await bring(stated, {**keeper, "hx-request": "true"}, scope="whole", place=["L2"])
    assert refused.status_code in {404, 422}
    file = b"sku;local;saldo\nS1;L1;13\nS1;L2;13\n"
    await bring(stated, await owner_in_utc(stated), file, seq="3")
    own = await stated.http.get("/stock-sync/snapshots/1", headers=keeper)
    assert "/confirm" not in own.text  # it speaks of L2 too, which somebody else decides
    told = await stated.http.get("/stock-sync/snapshots/1/expected.csv", headers=keeper)
    assert [line.split(";")[2] for line in told.text.splitlines()[1:]] == ["L1"]


async def test_half_a_form_is_no_file_and_leaves_nothing(stated: Shop) -> None:
    owner = await owner_in_utc(stated)
    fields = {"scope": "partial", "as_of": local(2), "seq": "1"}
    parts = "".join(
        f'--cut\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{said}\r\n' for name, said in fields.items()
    )
    head = '--cut\r\ncontent-disposition: form-data; name="file"; filename="s.csv"\r\ncontent-type: text/csv\r\n\r\n'
    whole = parts.encode() + head.encode() + FILE + b"\r\n--cut--\r\n"
    headers = {**owner, "content-type": "multipart/form-data; boundary=cut"}
    # However a way between cuts it: in a row, at its end, in the boundary, in the fields, in their heads.
    for end in (b"S2;L1", b"NOPE;L1;4\n", b"\r\n--cu", b"filename", b"2;L1;6\n"):
        cut = whole[: whole.rindex(end) + len(end)]
        refused = await stated.http.post("/stock-sync/sources/ERP/upload", content=cut, headers=headers)
        assert refused.status_code in {400, 422}, (end, refused.status_code)
    async with stated.database.transaction() as tx:
        assert await reads.snapshots(tx) == []
    taken = await stated.http.post("/stock-sync/sources/ERP/upload", content=whole, headers=headers)
    assert taken.status_code == 303, taken.text


async def test_its_page_says_what_waits_for_rows_of_unknown_skus_and_one_click_goes_on(stated: Shop) -> None:
    file = b"sku;location;on_hand\nS1;L1;12\nS2X;L1;10\nS4;L1;10\nS5;L1;10\nS6;L1;10\n"
    await state(stated.database, file, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE)
    owner = await stated.session(Role.OWNER)
    page = (await stated.http.get("/stock-sync/snapshots/1", headers=owner)).text
    assert "2 balances that the file does not mention keep their stock." in page
    assert "They are stated as zero" not in page
    assert "S2X" in page
    answer = await stated.http.post("/stock-sync/snapshots/1/confirm", headers=owner)
    assert answer.status_code in {200, 303}, answer.text
    async with stated.database.snapshot() as tx:
        assert await tx.values("SELECT state FROM stock_snapshot") == ["applying"]
