"""What channels may sell, over HTTP: fences, caps, groups, owners, safety and kits, and that it is what orders get."""

import asyncio

import pytest
from tests_http import Shop

from malha.catalog import reads as catalog
from malha.intake.reference import REFRESH_SECONDS
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.inventory.safety import service as safety
from malha.platform import revisions
from malha.routing.ruling import service as ruling
from malha.routing.ruling.model import Content, Rule, Run, Unfilled, When, Where
from malha.testing.builders import a_network, a_product

RIGHTS = ["stock:read", "stock:write", "intake:submit", "network:read", "network:write"]
ADDRESS = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"}


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    """Cups and plates at DC and S1, a set of two cups and a plate."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        cup = await a_product(tx, shop.world, "CUP", stock={"DC": 10, "S1": 5, "S2": 1})
        plate = await a_product(tx, shop.world, "PLATE", stock={"DC": 3, "S1": 9})
        await a_product(tx, shop.world, "SET", components={cup: 2, plate: 1})
        shop.skus = {"CUP": cup, "PLATE": plate}
    shop.headers = await shop.key(RIGHTS)
    return shop


async def told(shop: Shop, **params) -> dict[str, dict]:
    """Availability as a table: SKU -> available, published and by location."""
    params = {"channel": "web", "sku": ["CUP", "PLATE", "SET"]} | params
    answer = await shop.http.get("/v1/availability", params=params, headers=shop.headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return {
        o["sku"]: {"all": (o["available"], o["published"]), "caps": o["caps"]}
        | {body["locations"][at]: (has, shown) for at, has, shown in o["at"]}
        for o in body["skus"]
    }


async def post(shop: Shop, path: str, body: dict, status: int = 200) -> dict:
    answer = await shop.http.post(path, json=body, headers=shop.headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else {}


async def test_kits_are_counted_from_their_components_at_one_location_each(sold: Shop) -> None:
    assert await told(sold) == {
        "CUP": {"all": (16, 16), "caps": [], "DC": (10, 10), "S1": (5, 5), "S2": (1, 1)},
        "PLATE": {"all": (12, 12), "caps": [], "DC": (3, 3), "S1": (9, 9)},
        "SET": {"all": (5, 5), "caps": [], "DC": (3, 3), "S1": (2, 2)},
    }


async def test_a_fence_a_loan_and_a_cap_show_to_those_they_concern(sold: Shop) -> None:
    fence = {
        "code": "MALL",
        "name": "Mall",
        "kind": "fence",
        "channels": ["mall"],
        "stock": [{"sku": "CUP", "location": "DC", "quantity": 6}],
        "borrowers": [{"channel": "till"}],
    }
    await post(sold, "/v1/allotments", fence, 201)
    cap = {"code": "WEB", "name": "Web", "kind": "cap", "channels": ["web"], "quota": 4, "skus": ["CUP"]}
    await post(sold, "/v1/allotments", cap, 201)
    web, mall, till = [(await told(sold, channel=c, sku=["CUP", "SET"])) for c in ("web", "mall", "till")]
    assert web["CUP"] == {"all": (4, 4), "caps": ["WEB"], "DC": (4, 4), "S1": (4, 4), "S2": (1, 1)}
    assert web["SET"]["all"] == (2, 2)
    assert mall["CUP"]["DC"] == (10, 10)
    assert till["CUP"]["DC"] == (10, 10)
    detail = (await sold.http.get("/v1/allotments/MALL", headers=sold.headers)).json()
    assert detail["stock"] == [
        {"sku": "CUP", "location": "DC", "wanted": 6, "granted": 6, "remaining": 6, "drawn": 0, "sold": 0}
    ]


async def test_a_hold_that_meets_a_cap_is_told_which_one_and_what_it_lets_through(sold: Shop) -> None:
    cap = {"code": "WEB", "name": "Web", "kind": "cap", "channels": ["web"], "quota": 4, "skus": ["CUP"]}
    await post(sold, "/v1/allotments", cap, 201)

    async def refused(item: dict) -> list[tuple[str, str]]:
        body = {"reference": "cart", "channel": "web", "items": [item | {"location": "DC"}]}
        problem = await post(sold, "/v1/holds", body, 409)
        return [(each["at"], each["says"]) for each in problem["errors"]]

    says = "The cap WEB lets only 4 more be sold."
    assert await refused({"sku": "CUP", "quantity": 5}) == [("/items/0/quantity", says)]
    says = "Of the component CUP the cap WEB lets only 4 more be sold, 6 are needed."
    assert await refused({"sku": "SET", "quantity": 3}) == [("/items/0/quantity", says)]


async def test_a_group_of_locations_and_a_group_of_customers_narrow_the_answer(sold: Shop) -> None:
    await post(sold, "/v1/location-groups", {"code": "lojas", "name": "Lojas", "locations": ["S1", "S2"]}, 201)
    assert (await told(sold, location_group="lojas"))["CUP"]["all"] == (6, 6)
    fence = {
        "code": "VIP",
        "name": "VIP",
        "kind": "fence",
        "channels": ["web"],
        "customer_groups": ["vip"],
        "stock": [{"sku": "CUP", "location": "S1", "quantity": 5}],
    }
    await post(sold, "/v1/allotments", fence, 201)
    assert (await told(sold, location_group="lojas"))["CUP"]["all"] == (1, 1)
    assert (await told(sold, location_group="lojas", customer_group="vip"))["CUP"]["all"] == (6, 6)
    order = {
        "channel": "web",
        "external_id": "V-1",
        "customer_group": "vip",
        "lines": [{"sku": "CUP", "quantity": 16, "unit_price": 100}],
        "ship_to": ADDRESS,
    }
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate was open before there was a network
    placed = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
    assert placed.status_code == 201, placed.text
    assert {line["state"] for line in placed.json()["lines"]} == {"allocated"}


async def test_a_cart_of_a_group_holds_what_is_set_apart_for_its_buyers(sold: Shop) -> None:
    fence = {"code": "VIP", "name": "VIP", "kind": "fence", "channels": ["web"], "customer_groups": ["vip"]}
    await post(sold, "/v1/allotments", fence | {"stock": [{"sku": "CUP", "location": "DC", "quantity": 8}]}, 201)
    cart = {"items": [{"sku": "CUP", "location": "DC", "quantity": 5}], "channel": "web"}
    assert (await post(sold, "/v1/holds", cart | {"reference": "anybody"}, 409))["code"] == "not_enough_stock"
    await post(sold, "/v1/holds", cart | {"reference": "vip", "customer_group": "vip"}, 201)
    fenced = (await sold.http.get("/v1/allotments/VIP", headers=sold.headers)).json()["stock"]
    assert [(row["remaining"], row["drawn"]) for row in fenced] == [(3, 5)]
    await post(sold, "/v1/holds/vip/release", {}, 204)
    assert (await told(sold, customer_group="vip"))["CUP"]["DC"] == (10, 10)
    for dots in (".", ".."):  # an address with them is another one
        no_address = await post(sold, "/v1/holds", {**cart, "reference": dots}, 422)
        assert [flaw["at"] for flaw in no_address["errors"]] == ["/reference"]
    alone = await post(sold, "/v1/holds", {**cart, "channel": None, "reference": "x", "customer_group": "vip"}, 422)
    assert [flaw["at"] for flaw in alone["errors"]] == ["/channel"]


async def test_a_cart_holds_nothing_where_its_channel_is_offered_nothing(sold: Shop) -> None:
    def cart(reference: str, channel: str | None = "web") -> dict:
        items = [{"sku": "CUP", "location": at, "quantity": 1} for at in ("DC", "S1")]
        return {"reference": reference, "items": items, "channel": channel}

    async def refused(reference: str) -> bool:
        assert "S1" not in (await told(sold))["CUP"]
        problem = await post(sold, "/v1/holds", cart(reference), 409)
        assert problem["code"] == "not_enough_stock"
        says = "Channel web sells nothing of CUP from S1 now."
        return [(each["at"], each["says"]) for each in problem["errors"]] == [("/items/1/quantity", says)]

    await post(sold, "/v1/holds", cart("before"), 201)
    for act, query in (("pause", {"reason": "the power is out"}), ("resume", {})):
        answer = await sold.http.post(f"/v1/locations/S1/{act}", params=query, headers=sold.headers)
        assert answer.status_code == 200, answer.text
        if act == "pause":
            assert await refused("paused")
    await post(sold, "/v1/holds", cart("resumed"), 201)
    version = {"if-match": '"3"'}
    stated = {"establishment": "RJ1"}
    answer = await sold.http.put("/v1/locations/S1/owner", json=stated, headers=sold.headers | version)
    assert answer.status_code == 204, answer.text
    stated = {"legal_entities": ["11222333"]}
    answer = await sold.http.put("/v1/channels/web/owners", json=stated, headers=sold.headers | {"if-match": '"1"'})
    assert answer.status_code == 204, answer.text
    assert await refused("of-another-owner")
    await post(sold, "/v1/holds", cart("anybody", None), 201)  # who names no channel sees to it himself


async def test_a_cart_holds_a_kit_as_its_components_on_their_sum(sold: Shop) -> None:
    def cart(reference: str, sets: int, cups: int) -> dict:
        wanted = (("SET", sets), ("CUP", cups))
        items = [{"sku": sku, "location": "DC", "quantity": n} for sku, n in wanted]
        return {"reference": reference, "items": items, "channel": "web"}

    short = await post(sold, "/v1/holds", cart("more", 3, 5), 409)
    assert [(flaw["at"], flaw["says"]) for flaw in short["errors"]] == [
        ("/items/0/quantity", "Of the component CUP only 10 are free, 11 are needed."),
        ("/items/1/quantity", "Only 10 are free."),
    ]
    await post(sold, "/v1/holds", cart("cart", 3, 4), 201)
    left = await told(sold)
    assert ("DC" in left["CUP"], "DC" in left["PLATE"], "DC" in left["SET"]) == (False, False, False)
    kept = (await sold.http.get("/v1/holds/cart", headers=sold.headers)).json()["lines"]
    assert {line["sku"]: line["quantity"] for line in kept} == {"CUP": 10, "PLATE": 3}


async def test_goods_of_an_owner_the_channel_does_not_sell_are_left_out_and_routing_says_why(sold: Shop) -> None:
    version = {"if-match": '"1"'}
    answer = await sold.http.put(
        "/v1/locations/S1/owner", json={"establishment": "RJ1"}, headers=sold.headers | version
    )
    assert answer.status_code == 204, answer.text
    answer = await sold.http.put(
        "/v1/channels/web/owners", json={"legal_entities": ["11222333"]}, headers=sold.headers | version
    )
    assert answer.status_code == 204, answer.text
    assert set(await told(sold, sku=["CUP"])) == {"CUP"}
    assert (await told(sold, sku=["CUP"]))["CUP"] == {"all": (10, 10), "caps": [], "DC": (10, 10)}
    assert "S1" in (await told(sold, channel="till", sku=["CUP"]))["CUP"]
    headers = sold.headers | {"if-match": '"9"'}
    stale = await sold.http.put("/v1/channels/web/owners", json={"legal_entities": []}, headers=headers)
    assert stale.status_code == 412


async def test_what_is_published_keeps_back_more_than_what_may_be_claimed(sold: Shop) -> None:
    for body in (
        {"code": "R", "name": "R", "amount": 1},
        {"code": "O", "name": "O", "amount": 2, "purpose": "online", "measure": "units"},
        {"code": "M", "name": "M", "amount": 4, "purpose": "online", "channel": "mall"},
    ):
        await post(sold, "/v1/safety-rules", body, 201)
    await safety.sweep(sold.database)
    assert (await told(sold, sku=["CUP"]))["CUP"] == {"all": (13, 11), "caps": [], "DC": (9, 8), "S1": (4, 3)}
    assert (await told(sold, channel="mall", sku=["CUP"]))["CUP"]["all"] == (13, 7)
    why = (await sold.http.get("/v1/stock/CUP/safety", params={"channel": "web"}, headers=sold.headers)).json()
    assert [(w["location"], w["units"]) for w in why] == [("DC", 1), ("S1", 1), ("S2", 1)]
    assert why[0]["online"] == [{"rule": "O", "name": "O", "units": 2, "before_next": None}]


async def test_a_rule_is_tried_changed_with_its_version_and_deleted(sold: Shop) -> None:
    draft = {"code": "ALL", "name": "All", "amount": 2}
    trial = await post(sold, "/v1/safety-rules:try", draft)
    assert (trial["balances"], trial["more"], trial["fewer"]) == (5, 10, 0)
    await post(sold, "/v1/safety-rules", draft, 201)
    again = await sold.http.put(
        "/v1/safety-rules/ALL", json=draft | {"amount": 3}, headers=sold.headers | {"if-match": '"1"'}
    )
    assert again.json() == {"code": "ALL", "version": 2}
    gone = await sold.http.request("DELETE", "/v1/safety-rules/ALL", headers=sold.headers | {"if-match": '"2"'})
    assert gone.status_code == 204
    assert (await sold.http.get("/v1/safety-rules", headers=sold.headers)).json() == []


async def test_a_basket_is_checked_on_the_sum_of_its_lines_and_as_an_order_would_be(sold: Shop) -> None:
    basket = {
        "channel": "web",
        "to_state": "SP",
        "lines": [{"sku": "SET", "quantity": 3}, {"sku": "CUP", "quantity": 11}],
    }
    found = await post(sold, "/v1/availability:check", basket)
    assert not found["available"]
    assert sum(line["available"] < line["asked"] for line in found["lines"]) == 1
    basket["lines"][1]["quantity"] = 4
    assert (await post(sold, "/v1/availability:check", basket))["available"]
    pickup = basket | {"method": "pickup", "pickup_location": "S2"}
    assert not (await post(sold, "/v1/availability:check", pickup))["available"]
    bad = await sold.http.post("/v1/availability:check", json=basket | {"to_state": "XX"}, headers=sold.headers)
    assert bad.status_code == 422


async def test_a_basket_goes_by_the_routing_rule_that_its_value_and_postal_code_choose(sold: Shop) -> None:
    nowhere = Rule(name="Nobody has it", where=Where(locations=["S2"]), unfilled=Unfilled.QUEUE, complete=True)
    near = Rule(name="Near", where=Where(max_km=50), unfilled=Unfilled.QUEUE, complete=True)
    content = Content(
        runs=[
            Run(name="Dear", when=When(min_value=10_000), rules=[nowhere]),
            Run(name="Bahia", when=When(states=["BA"]), rules=[near]),
        ]
    )
    async with sold.database.transaction() as tx:
        draft = await ruling.start_draft(tx, content)
        await ruling.publish(tx, draft.id, draft.version)
    await asyncio.sleep(REFRESH_SECONDS + 0.1)
    basket = {"channel": "web", "to_state": "SP", "lines": [{"sku": "CUP", "quantity": 4}]}
    for value, there in ((None, True), (9_999, True), (10_000, False)):
        asked = basket if value is None else basket | {"value": value}
        assert (await post(sold, "/v1/availability:check", asked))["available"] is there, value
        assert bool((await post(sold, "/v1/promises", asked))["deliveries"]) is there, value
    far = basket | {"to_state": None, "postal_code": "40020-000"}  # its state is that of its postal code
    assert not (await post(sold, "/v1/availability:check", far))["available"]
    wrong = basket | {"postal_code": "40020-000"}
    refused = await sold.http.post("/v1/availability:check", json=wrong, headers=sold.headers)
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "/to_state")


async def test_an_allotment_is_changed_with_its_version_and_ended(sold: Shop) -> None:
    fence = {
        "code": "F",
        "name": "F",
        "kind": "fence",
        "channels": ["mall"],
        "stock": [{"sku": "CUP", "location": "DC", "quantity": 6}],
    }
    await post(sold, "/v1/allotments", fence, 201)
    answer = await sold.http.post("/v1/allotments", json=fence | {"code": "G"}, headers=sold.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "fences_overlap")
    fence["stock"][0]["quantity"] = 2
    headers = sold.headers | {"if-match": '"1"'}
    assert (await sold.http.put("/v1/allotments/F", json=fence, headers=headers)).json()["version"] == 2
    assert (await sold.http.put("/v1/allotments/F", json=fence, headers=headers)).status_code == 412
    ended = await post(sold, "/v1/allotments/F/end", {})
    assert (ended["state"], ended["remaining"]) == ("ended", 0)
    assert (await told(sold, sku=["CUP"]))["CUP"]["DC"] == (10, 10)


async def test_whoever_is_limited_to_locations_defines_no_allotments_and_sees_their_own_stock(sold: Shop) -> None:
    key = await sold.key(RIGHTS, locations=["S1"])
    answer = await sold.http.get("/v1/availability", params={"channel": "web", "sku": "CUP"}, headers=key)
    assert answer.json()["locations"] == ["S1"]
    cap = {"code": "C", "name": "C", "kind": "cap", "quota": 4}
    assert (await sold.http.post("/v1/allotments", json=cap, headers=key)).status_code == 403
    rule = {"code": "R", "name": "R", "amount": 1}
    assert (await sold.http.post("/v1/safety-rules", json=rule, headers=key)).status_code == 403


async def test_fifty_skus_at_two_hundred_locations_come_as_one_compact_answer(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, state)"
            " SELECT 'X' || n, 'X', 'store', 1, 'SP' FROM generate_series(1, 200) n"
        )
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name, weight_grams)"
            " SELECT 1, 'N' || n, 'N', 100 FROM generate_series(1, 50) n"
        )
        await tx.execute("UPDATE revision SET n = n + 1")
        pairs = await tx.tuples(
            "SELECT v.id, l.id FROM variant v, location l WHERE v.sku LIKE 'N%%' AND l.code LIKE 'X%%'", {}
        )
        await inventory.set_on_hand(tx, [Claim(s, x, 5) for s, x in pairs], Reference("test"))
    params = {"channel": "web", "sku": [f"N{n}" for n in range(1, 51)]}
    answer = await sold.http.get("/v1/availability", params=params, headers=sold.headers)
    body = answer.json()
    assert sum(len(o["at"]) for o in body["skus"]) == 10_000
    assert {o["available"] for o in body["skus"]} == {1_000}
    assert len(answer.content) < 150_000


async def test_what_cannot_be_had_names_what_may_stand_in_for_it(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        bowl = await a_product(tx, sold.world, "BOWL")
        named = {"bowl": bowl, "cup": sold.skus["CUP"]}
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position) VALUES (%(bowl)s, %(cup)s, 0)", named
        )
    params = {"channel": "web", "sku": ["CUP", "BOWL"]}
    answer = await sold.http.get("/v1/availability", params=params, headers=sold.headers)
    by_sku = {o["sku"]: [(s["sku"], s["available"]) for s in o["substitutes"]] for o in answer.json()["skus"]}
    assert by_sku == {"CUP": [], "BOWL": [("CUP", 16)]}
    lines = [{"sku": "CUP", "quantity": 1}, {"sku": "BOWL", "quantity": 1}]
    basket = await post(sold, "/v1/availability:check", {"channel": "web", "lines": lines, "to_state": "SP"})
    assert not basket["available"]
    assert [[s["sku"] for s in line["substitutes"]] for line in basket["lines"]] == [[], ["CUP"]]


async def test_of_a_sku_that_is_no_longer_sold_nothing_is_available_and_the_others_are_told_with_it(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE variant SET active = false WHERE sku = 'CUP'")
        await revisions.bump(tx, catalog.REVISION)
    of = await told(sold)
    assert of["CUP"] == {"all": (0, 0), "caps": []}
    assert of["PLATE"]["all"] == (12, 12)
    params = {"channel": "web", "sku": ["CUP", "SAUCER"]}
    answer = await sold.http.get("/v1/availability", params=params, headers=sold.headers)
    assert (answer.status_code, answer.json()["facts"]) == (404, {"keys": "SAUCER"})
