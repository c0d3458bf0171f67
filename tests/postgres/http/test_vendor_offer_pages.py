"""What vendors supply, on screen and as a file: it comes back as it went, and each wrong line says what is wrong."""

from io import BytesIO
from urllib.parse import unquote

from test_drop_ships_api import OFFER, asked, with_vendors
from test_routing_explained import retailer
from tests_http import Shop
from xlsxwriter import Workbook

from malha.identity.model import Role

__all__ = ["retailer"]

HEAD = "vendor;sku;vendor_sku;unit_cost;lead_days;active\n"


async def test_the_list_goes_out_as_a_file_and_comes_back_the_same(retailer: Shop) -> None:
    key, person = await with_vendors(retailer), await retailer.session(Role.OWNER)
    http = retailer.http
    await http.post("/v1/vendors/FAB/offers", json={"offers": [OFFER]}, headers=key)
    sheet = await http.get("/vendor-offers:export.csv?vendor=FAB", headers=person)
    done = await http.post("/vendor-offers:upload", files={"file": ("offers.csv", sheet.content)}, headers=person)
    assert done.status_code == 303, done.text
    (row,) = (await http.get("/v1/vendor-offers", headers=key)).json()["items"]
    assert (row["vendor_sku"], row["unit_cost"], row["lead_days"], row["version"]) == ("R-1", 4200, 2, 1)
    nobody = await http.get("/vendor-offers:export.csv?vendor=NADA", headers=person)
    assert "REDE" not in nobody.text


async def test_a_file_says_of_each_line_what_is_wrong_and_changes_nothing(retailer: Shop) -> None:
    key, person = await with_vendors(retailer), await retailer.session(Role.OWNER)
    async with retailer.database.transaction() as tx:
        await tx.execute("INSERT INTO variant (product_id, sku, name, is_kit) VALUES (1, 'KIT', 'Kit', true)")
    rows = (
        "FAB;REDE;R-1;42,00;2;sim\nFAB;NADA;;1;1;sim\nREC;REDE;;1;1;sim\n"
        f"FAB;KIT;;1;1;sim\nTEC;REDE;{'x' * 81};1;366;sim\n"
    )
    http = retailer.http
    spoken = {**person, "accept-language": "en"}
    sent = await http.post("/vendor-offers:upload", files={"file": ("o.csv", HEAD + rows)}, headers=spoken)
    assert sent.status_code == 422
    for said in (
        "Line 3, sku: There is no SKU NADA.",
        "Line 4, vendor: There is no vendor REC.",
        "Line 5, sku: A kit is sent in parts: state what it is made of.",
        "Line 6, lead_days: Write a whole number from 0 to 365.",
        "Line 6, vendor_sku: At most 80 characters.",
    ):
        assert said in sent.text
    twice = HEAD + "FAB;REDE;;1;1;sim\nFAB;REDE;;2;1;sim\n"
    sent = await http.post("/vendor-offers:upload", files={"file": ("o.csv", twice)}, headers=spoken)
    assert "Line 3, sku: Line 2 states the same offer." in sent.text
    assert (await http.get("/v1/vendor-offers", headers=key)).json()["items"] == []


async def test_what_is_no_number_among_the_ticked_lines_is_left_out(retailer: Shop) -> None:
    key, person = await with_vendors(retailer), await retailer.session(Role.OWNER)
    row = await asked(retailer, key)
    sent = await retailer.http.post(f"/drop-ships/{row['number']}/send", data={"line": ["²", "1"]}, headers=person)
    assert sent.status_code == 303, sent.text
    shown = (await retailer.http.get(f"/v1/drop-ships/{row['number']}", headers=key)).json()
    assert shown["drop_ship"]["state"] == "sent"


async def test_the_sheets_of_a_file_of_offers_that_are_not_read_are_named(retailer: Shop) -> None:
    await with_vendors(retailer)
    person = await retailer.session(Role.OWNER)
    file = BytesIO()
    with Workbook(file) as made:
        for name in ("Fábrica", "Outra"):
            sheet = made.add_worksheet(name)
            sheet.write_row(0, 0, HEAD.strip().split(";"))
            sheet.write_row(1, 0, ["FAB", "REDE", "", 1, 1, "sim"])
    files = {"file": ("o.xlsx", file.getvalue())}
    sent = await retailer.http.post("/vendor-offers:upload", files=files, headers=person)
    assert sent.status_code == 303, sent.text
    assert "Only the first sheet is read; these are not: Outra." in unquote(sent.cookies["malha_notice"])
