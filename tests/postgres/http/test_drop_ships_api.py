"""Vendors by API: what they supply, what they are asked, their answers and parcels, and who sees which."""

from datetime import UTC, datetime
from typing import Any

import pytest
from test_routing_explained import placed, retailer
from tests_http import Shop

from malha.api import drop_ships
from malha.fulfillment import dropping
from malha.identity.model import PERMISSIONS, Role
from malha.network import retailer as retailers
from malha.network.model import RetailerDraft
from malha.routing.ruling import service as rule_sets
from malha.routing.ruling.model import Content, Rule, Run, Unfilled, Where

__all__ = ["retailer"]

EVERYTHING = set(PERMISSIONS) - {"identity:manage"}
OFFER = {"sku": "REDE", "unit_cost": 4200, "lead_days": 2, "vendor_sku": "R-1"}


async def with_vendors(shop: Shop) -> dict[str, str]:
    async with shop.database.transaction() as tx:
        await tx.execute("INSERT INTO legal_entity (name, cnpj_root, kind) VALUES ('Fab', '77888999', 'vendor')")
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state, document_policy)"
            " VALUES (3, 'E3', 'Fab', '77888999000155', 'SP', 'not_required')"
        )
        for code in "FAB", "TEC":
            await tx.execute(
                "INSERT INTO location (code, name, kind, establishment_id, state) VALUES (%s, %s, 'vendor', 3, 'SP')",
                (code, f"{code} Ltda"),
            )
        rule = Rule(name="Recife", where=Where(locations=["REC"]), unfilled=Unfilled.DROP_SHIP)
        draft = await rule_sets.start_draft(tx, Content(runs=[Run(name="All", rules=[rule])]))
        await rule_sets.publish(tx, draft.id, draft.version)
    return await shop.key(EVERYTHING)


async def asked(shop: Shop, key: dict[str, str]) -> dict[str, Any]:
    """Return the drop-ship order of an order of which Recife has one of two."""
    stated = await shop.http.post("/v1/vendors/FAB/offers", json={"offers": [OFFER]}, headers=key)
    assert (stated.status_code, stated.json()) == (200, {"changed": 1}), stated.text
    shop.app.state.services.extra["gate"]._cache.expire()
    await placed(shop, ("REDE", 1))
    await placed(shop, ("REDE", 2))
    page = (await shop.http.get("/v1/drop-ships?open=true&status=asked", headers=key)).json()
    (row,) = page["items"]
    return dict(row)


async def test_offers_are_stated_listed_and_removed(retailer: Shop) -> None:
    key = await with_vendors(retailer)
    http = retailer.http
    wrong = {"offers": [OFFER, {**OFFER, "sku": "NADA"}, {**OFFER, "unit_cost": 1}]}
    refused = await http.post("/v1/vendors/FAB/offers", json=wrong, headers=key)
    assert refused.status_code == 422
    said = {problem["at"]: problem["says"] for problem in refused.json()["errors"]}
    assert said == {
        "/offers/1/sku": "There is no SKU NADA.",
        "/offers/2/sku": "SKU REDE is stated twice, first in row 1.",
    }
    assert (await http.post("/v1/vendors/FAB/offers", json={"offers": [OFFER]}, headers=key)).json() == {"changed": 1}
    again = await http.post("/v1/vendors/FAB/offers", json={"offers": [OFFER]}, headers=key)
    assert again.json() == {"changed": 0}
    store = await http.post("/v1/vendors/REC/offers", json={"offers": [OFFER]}, headers=key)
    assert (store.status_code, store.json()["code"]) == (409, "no_vendor")
    assert (await http.get("/v1/vendor-offers?vendor=TEC", headers=key)).json()["items"] == []
    (row,) = (await http.get("/v1/vendor-offers?sku=REDE", headers=key)).json()["items"]
    assert (row["location"], row["vendor_sku"], row["unit_cost"], row["lead_days"]) == ("FAB", "R-1", 4200, 2)
    assert (await http.delete("/v1/vendors/FAB/offers/REDE", headers=key)).status_code == 204
    gone = await http.delete("/v1/vendors/FAB/offers/REDE", headers=key)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_vendor_offer")


async def test_the_telephone_of_the_buyer_is_masked_for_who_may_not_see_personal_data(retailer: Shop) -> None:
    at = f"/drop-ships/{(await asked(retailer, await with_vendors(retailer)))['number']}"
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET buyer_phone = '+5583987654321'")

    async def to(permissions: set[str]) -> object:
        shown = await retailer.http.get(f"/v1{at}", headers=await retailer.key(permissions))
        return shown.json()["to"]["phone"]

    assert await to({"orders:read"}) == "(83) •••••-4321"
    assert await to({"orders:read", "customers:reveal"}) == "+5583987654321"
    for role, shows in (Role.AUDITOR, False), (Role.OWNER, True):
        page = await retailer.http.get(at, headers=await retailer.session(role))
        assert (page.status_code, "+5583987654321" in page.text, "•••••-4321" in page.text) == (200, shows, not shows)


async def test_a_vendor_is_asked_answers_and_sends(retailer: Shop) -> None:
    key = await with_vendors(retailer)
    http = retailer.http
    row = await asked(retailer, key)
    assert (row["location"], row["units"], row["cost"], row["state"], row["held"]) == ("FAB", 2, 8400, "asked", False)
    at = f"/v1/drop-ships/{row['number']}"
    shown = (await http.get(at, headers=key)).json()
    assert (shown["lines"][0]["vendor_sku"], shown["to"]["address"]["city"]) == ("R-1", "João Pessoa")
    accepted = await http.post(f"{at}/accept", json={"leaves_on": "2031-01-02", "reference": "P9"}, headers=key)
    assert (accepted.json()["state"], accepted.json()["leaves_on"]) == ("accepted", "2031-01-02")
    too_many = await http.post(f"{at}/send", json={"lines": [{"line": 1, "quantity": 3}]}, headers=key)
    assert too_many.status_code == 422
    part = {"lines": [{"line": 1, "quantity": 1}], "tracking_code": "BR1", "carrier": "Jadlog"}
    sent = await http.post(f"{at}/send", json=part, headers=key)
    assert (sent.status_code, sent.json()["drop_ship"]["expected"]) == (200, 1), sent.text
    rest = await http.post(f"{at}/send", json={"tracking_code": "BR2"}, headers=key)
    assert (rest.json()["drop_ship"]["state"], rest.json()["drop_ship"]["sent"]) == ("sent", 2)
    over = await http.post(f"{at}/refuse", json={"reason": "no"}, headers=key)
    assert (over.status_code, over.json()["code"]) == (409, "drop_ship_ended")
    work = (await http.get(f"/v1/fulfillments/{sent.json()['fulfillment_id']}", headers=key)).json()
    assert work["state"] in {"shipped", "closed"}


async def test_what_is_refused_or_taken_back_goes_elsewhere_and_a_vendor_sees_its_own_alone(retailer: Shop) -> None:
    key = await with_vendors(retailer)
    http = retailer.http
    row = await asked(retailer, key)
    await http.post("/v1/vendors/TEC/offers", json={"offers": [OFFER]}, headers=key)
    at = f"/v1/drop-ships/{row['number']}"
    theirs = await retailer.key(EVERYTHING, locations=["TEC"])
    assert (await http.get(at, headers=theirs)).status_code == 404
    assert (await http.post(f"{at}/refuse", json={"reason": "no"}, headers=theirs)).status_code == 404
    assert (await http.get("/v1/drop-ships", headers=theirs)).json()["items"] == []
    mine = await retailer.key(EVERYTHING, locations=["FAB"])
    refused = await http.post(f"{at}/refuse", json={"reason": "sem estoque"}, headers=mine)
    assert (refused.json()["drop_ship"]["state"], refused.json()["waiting"]) == ("refused", 0)
    (other,) = (await http.get("/v1/drop-ships?vendor=TEC", headers=key)).json()["items"]
    back = await http.post(f"/v1/drop-ships/{other['number']}/cancel", json={"reason": "late"}, headers=key)
    assert (back.json()["drop_ship"]["state"], back.json()["waiting"]) == ("cancelled", 2)
    reader = await retailer.key({"orders:read"})
    assert (await http.post(f"{at}/accept", json={}, headers=reader)).status_code == 403


async def test_a_day_that_is_over_is_accepted_of_nobody(retailer: Shop) -> None:
    key = await with_vendors(retailer)
    http = retailer.http
    at = f"/v1/drop-ships/{(await asked(retailer, key))['number']}"
    over = await http.post(f"{at}/accept", json={"leaves_on": "2024-02-29"}, headers=key)
    assert (over.status_code, over.json()["errors"][0]["at"]) == (422, "/leaves_on"), over.text
    assert "is over" in over.json()["errors"][0]["says"]
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE drop_ship SET leaves_on = '2024-02-28'")
    silent = await http.post(f"{at}/accept", json={}, headers=key)  # by the day it was asked for
    assert (silent.status_code, silent.json()["errors"][0]["at"]) == (422, "/leaves_on")
    browser = {**await retailer.session(), "accept": "text/html", "accept-language": "pt-BR"}
    page = await http.post(at.removeprefix("/v1") + "/accept", data={"leaves_on": "2024-02-29"}, headers=browser)
    assert page.status_code == 422
    assert "já passou" in page.text
    assert (await http.get(at, headers=key)).json()["drop_ship"]["state"] == "asked"
    good = await http.post(f"{at}/accept", json={"leaves_on": "2031-01-02"}, headers=key)
    assert good.json()["state"] == "accepted"
    async with retailer.database.transaction() as tx:  # years later
        await tx.execute("UPDATE drop_ship SET leaves_on = '2024-02-28'")
    named = await http.post(f"{at}/accept", json={"leaves_on": "2024-02-28", "reference": "P7"}, headers=key)
    assert (named.status_code, named.json()["reference"]) == (200, "P7")


async def test_who_sees_the_vendor_or_the_order_alone_is_led_nowhere_and_told_no_untruth(retailer: Shop) -> None:
    key = await with_vendors(retailer)
    row = await asked(retailer, key)
    http, number, order = retailer.http, row["number"], row["order_number"]
    vendor = await retailer.session(Role.STORE_LEAD, locations=["FAB"], email="fab@loja.test")
    owner = await retailer.session()
    for path in ("/drop-ships", f"/drop-ships/{number}"):
        mine = (await http.get(path, headers=vendor)).text
        assert str(order) in mine
        assert f'href="/orders/{order}"' not in mine
        assert f'href="/orders/{order}"' in (await http.get(path, headers=owner)).text
    assert (await http.get(f"/orders/{order}", headers=vendor)).status_code == 404
    # Of an order that is in part at a store, the store is told that a vendor has the rest, and not which.
    async with retailer.database.transaction() as tx:
        place = "(SELECT id FROM location WHERE code = 'REC')"
        await tx.execute(f"UPDATE order_unit SET location_id = {place} WHERE order_id = %s", (row["order_id"],))
    store = await retailer.session(Role.STORE_LEAD, locations=["REC"], email="rec@loja.test")
    shown = (await http.get(f"/orders/{order}", headers=store)).text
    assert "At a vendor" in shown
    assert "outside of your locations" in shown
    assert "FAB" not in shown
    assert "Without a location" not in shown


async def test_a_vendor_accepts_for_today_as_long_as_it_is_today_there(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await with_vendors(retailer)
    at = f"/v1/drop-ships/{(await asked(retailer, key))['number']}"
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE location SET timezone = 'America/Rio_Branco' WHERE code = 'FAB'")
    # Half past ten in the evening in Rio Branco, and half past midnight in São Paulo.
    monkeypatch.setattr(dropping, "now", lambda: datetime(2031, 1, 3, 3, 30, tzinfo=UTC))
    over = await retailer.http.post(f"{at}/accept", json={"leaves_on": "2031-01-01"}, headers=key)
    assert over.status_code == 422
    browser = {**await retailer.session(), "accept-language": "en"}
    page = await retailer.http.get(at.removeprefix("/v1"), headers=browser)
    assert 'min="2031-01-02"' in page.text
    good = await retailer.http.post(f"{at}/accept", json={"leaves_on": "2031-01-02"}, headers=key)
    assert good.json()["state"] == "accepted"
    monkeypatch.setattr(dropping, "now", lambda: datetime(2031, 1, 9, 12, tzinfo=UTC))
    page = await retailer.http.get(at.removeprefix("/v1"), headers=browser)
    assert 'min="2031-01-02" value="2031-01-02"' in page.text, "the day that was accepted is not moved by the way"


async def test_what_leaves_today_by_the_retailers_calendar_is_not_late(
    retailer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await with_vendors(retailer)
    at = f"/v1/drop-ships/{(await asked(retailer, key))['number']}"
    good = await retailer.http.post(f"{at}/accept", json={"leaves_on": "2031-01-02"}, headers=key)
    assert good.status_code == 200, good.text
    # Half past ten in the evening of that day in Rio Branco, and half past midnight in São Paulo.
    monkeypatch.setattr(drop_ships, "now", lambda: datetime(2031, 1, 3, 3, 30, tzinfo=UTC))
    late = "/v1/drop-ships?late=true"
    assert len((await retailer.http.get(late, headers=key)).json()["items"]) == 1
    async with retailer.database.transaction() as tx:
        before = await retailers.current(tx)
        await retailers.change(tx, RetailerDraft(name="Shop", timezone="America/Rio_Branco"), before.version)
    assert (await retailer.http.get(late, headers=key)).json()["items"] == []
