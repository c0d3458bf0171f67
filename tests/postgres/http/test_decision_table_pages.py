"""The decision table of a draft on screen: filled in, wrong cells told where they are, rows moved, and as a file."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote

from test_routing_explained import placed, retailer
from test_rules_on_past_orders import AFAR, drafted, said, tried
from tests_http import Shop
from xlsxwriter import Workbook

from malha.identity.model import Role

__all__ = ["retailer"]

HTMX = {"hx-request": "true", "x-slot": "#refusal"}
BOTH = {"network:read", "network:write"}
RUN = {"name": "All", "rules": [{"name": "From afar", "where": {"locations": ["CAJ"]}, "unfilled": "queue"}]}
GRID = {
    "version": "1",
    "hit": "first",
    "rows": "4",
    "rows/0/name": "Cheap",
    "rows/0/states": "PB, PE",
    "rows/0/value": "<= 15,00",
    "rows/0/run": "All",
    "rows/2/hours": "8-18",
    "rows/2/weekdays": "seg-sex",
    "rows/2/complete": "yes",
    "rows/2/max_packages": "1",
}


async def a_draft(shop: Shop) -> tuple[dict[str, str], dict[str, str], str]:
    key = await shop.key(BOTH)
    draft = await drafted(shop, key, {"runs": [RUN]})
    return key, await shop.session(Role.OWNER), f"/routing-rules/{draft['id']}"


async def content(shop: Shop, at: str, key: dict[str, str]) -> dict[str, Any]:
    found = await said(shop, "GET", f"/v1{at}", key)
    return found["content"]


async def test_a_grid_is_saved_as_it_is_filled_in_and_empty_rows_are_left_out(retailer: Shop) -> None:
    key, person, at = await a_draft(retailer)
    shown = await retailer.http.get(f"{at}/table", headers=person)
    assert 'name="rows/2/value"' in shown.text
    saved = await retailer.http.post(f"{at}/table", data=GRID, headers=person)
    assert saved.status_code == 303, saved.text
    found = await content(retailer, at, key)
    assert found["runs"] == [RUN]
    assert found["table"]["rows"] == [
        {"name": "Cheap", "when": {"states": ["PB", "PE"], "max_value": 1500}, "then": {"run": "All"}},
        {
            "when": {"weekdays": [1, 2, 3, 4, 5], "from_hour": 8, "to_hour": 18},
            "then": {"complete": True, "max_packages": 1},
        },
    ]
    again = await retailer.http.post(f"{at}/table", data=GRID, headers=person)
    assert again.status_code == 409  # somebody saved it meanwhile: the version is another
    page = await retailer.http.get(at, headers=person)
    assert "8:00 to 18:00" in page.text
    renamed = await retailer.http.post(f"{at}/runs/0/edit", data={"version": "2", "name": "Far"}, headers=person)
    assert renamed.status_code == 303, renamed.text
    assert (await content(retailer, at, key))["table"]["rows"][0]["then"] == {"run": "Far"}


async def test_what_is_wrong_is_told_in_its_cell_and_nothing_is_saved(retailer: Shop) -> None:
    key, person, at = await a_draft(retailer)
    bad = {**GRID, "rows/0/value": "cheap", "rows/2/hours": "late", "rows/2/states": "XX"}
    refused = await retailer.http.post(f"{at}/table", data=bad, headers=person | HTMX)
    assert refused.status_code == 422
    for cell in ("rows/0/value", "rows/2/hours", "rows/2/states"):
        assert f'data-at="{cell}"' in refused.text
    known = {**GRID, "rows/0/run": "Nowhere", "rows/2/channels": "nope", "rows/2/groups": "nope"}
    refused = await retailer.http.post(f"{at}/table", data=known, headers=person | HTMX)
    assert refused.status_code == 422
    for cell in ("rows/0/run", "rows/2/channels", "rows/2/groups"):
        assert f'data-at="{cell}"' in refused.text
    assert "table" not in await content(retailer, at, key)


async def test_rows_move_and_go_without_being_written(retailer: Shop) -> None:
    key, person, at = await a_draft(retailer)

    async def arranged(do: str) -> str:
        return (await retailer.http.post(f"{at}/table:arrange", data={**GRID, "do": do}, headers=person)).text

    assert 'name="rows/1/name" id="f-rows/1/name" value="Cheap"' in await arranged("down:0")
    assert 'name="rows/1/name" id="f-rows/1/name" value="Cheap"' in await arranged("copy:0")
    assert 'value="Cheap"' not in await arranged("remove:0")
    assert 'name="rows/5/name"' in await arranged("add")
    assert 'value="Cheap"' in await arranged("up:99")
    assert (
        'name="rows/0/brands"'
        in (
            await retailer.http.post(
                f"{at}/table:arrange", data={**GRID, "do": "cols", "cols": "brands"}, headers=person
            )
        ).text
    )
    assert "table" not in await content(retailer, at, key)


async def test_a_table_goes_out_as_a_file_and_comes_back_the_same(retailer: Shop) -> None:
    key, person, at = await a_draft(retailer)
    await retailer.http.post(f"{at}/table", data=GRID, headers=person)
    before = (await content(retailer, at, key))["table"]
    for version, kind in (("2", "csv"), ("3", "xlsx")):
        sheet = await retailer.http.get(f"{at}/table:export.{kind}", headers=person)
        files = {"file": (f"table.{kind}", sheet.content)}
        done = await retailer.http.post(f"{at}/table:import", data={"version": version}, files=files, headers=person)
        assert done.status_code == 303, done.text
        assert (await content(retailer, at, key))["table"] == before
    wrong = b"name;estado;run\nA;SP;All\nB;XX;All\nC;SP;Nowhere\n"
    refused = await retailer.http.post(
        f"{at}/table:import", data={"version": "4"}, files={"file": ("t.csv", wrong)}, headers=person
    )
    assert refused.status_code == 422
    assert "XX" in refused.text
    unknown = b"name;estado;run\nA;SP;All\nC;SP;Nowhere\n"
    refused = await retailer.http.post(
        f"{at}/table:import", data={"version": "4"}, files={"file": ("t.csv", unknown)}, headers=person
    )
    assert refused.status_code == 422
    assert "Nowhere" in refused.text
    none = await retailer.http.post(f"{at}/table:import", data={"version": "4"}, headers=person)
    assert none.status_code == 422
    assert (await content(retailer, at, key))["table"] == before


async def test_a_file_with_columns_that_nobody_knows_changes_nothing(retailer: Shop) -> None:
    """Without its condition a row would take every order; a file of something else would leave empty rows."""
    key, person, at = await a_draft(retailer)
    await retailer.http.post(f"{at}/table", data=GRID, headers=person)
    before = (await content(retailer, at, key))["table"]
    for file, column in ((b"chanels;run\nsite;All\n", "chanels"), (b"sku;price\nA;1\n", "price")):
        files = {"file": ("t.csv", file)}
        answer = await retailer.http.post(f"{at}/table:import", data={"version": "2"}, files=files, headers=person)
        assert answer.status_code == 422, answer.text
        assert f"There is no column {column}." in answer.text
    assert (await content(retailer, at, key))["table"] == before


async def test_the_page_says_what_rows_took_and_which_are_never_reached(retailer: Shop) -> None:
    key = await retailer.key(BOTH)
    await placed(retailer, ("CAMA", 1))
    rows = [
        {"when": {"states": ["PB", "PE"]}, "then": {"max_packages": 2}},
        {"when": {"states": ["PE"], "min_value": 5}, "then": {"max_packages": 1}},
        {"when": {"states": ["SP"]}, "then": {"max_packages": 1}},
    ]
    draft = await drafted(retailer, key, {**AFAR, "table": {"rows": rows}})
    person = await retailer.session(Role.OWNER)
    at = f"/routing-rules/{draft['id']}"
    page = (await retailer.http.get(at, headers=person)).text
    assert "Never reached: row 1 takes all of it." in page
    assert "never hit" not in page
    run = await tried(retailer, key, draft["id"])
    page = (await retailer.http.get(at, headers=person)).text
    assert page.count("never hit") == 2
    assert run.removeprefix("/v1") in page
    number = (await said(retailer, "GET", f"{run}/orders", key))[0]["number"]
    trial = await retailer.http.post(f"{at}/try", data={"order": number}, headers=person)
    assert "Row 1 of the decision table fitted the order." in trial.text
    published = await retailer.http.post(f"{at}/publish", data={"version": "1"}, headers=person)
    assert published.status_code == 303, published.text
    assert (await retailer.http.get(at, headers=person)).text.count("never hit") == 2
    assert (await retailer.http.get(f"{at}/table", headers=person)).status_code == 409
    assert "Decision table" in (await retailer.http.get("/routing-rules", headers=person)).text


async def test_the_sheets_of_a_table_that_are_not_read_are_named(retailer: Shop) -> None:
    key, person, at = await a_draft(retailer)
    file = BytesIO()
    with Workbook(file) as made:
        for name in ("Semana", "Sábado"):
            made.add_worksheet(name).write_row(0, 0, ["name", "estado", "run"])
        made.worksheets()[0].write_row(1, 0, ["A", "SP", "All"])
    sent = await retailer.http.post(
        f"{at}/table:import", data={"version": "1"}, files={"file": ("t.xlsx", file.getvalue())}, headers=person
    )
    assert sent.status_code == 303, sent.text
    assert "Only the first sheet is read; these are not: Sábado." in unquote(sent.cookies["malha_notice"])
    assert len((await content(retailer, at, key))["table"]["rows"]) == 1
