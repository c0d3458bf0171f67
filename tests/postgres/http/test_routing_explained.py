"""Why an order went where it went: stored by the gate, told in words, kept to those who may see the order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests_http import Shop, open_shop

from malha.identity.model import Role
from malha.network import reads as networks
from malha.platform import i18n
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id
from malha.routing import reads, service
from malha.routing.model import Exclusion, Request, RequestLine
from malha.routing.rules import compile_network, plan

# Two own locations and a franchise's in the north-east, a distribution centre in São Paulo, one that is paused.
PLACES = [
    ("REC", "Recife Boa Viagem", "store", 1, "active", "PE", -8.12, -34.9, 300, 40),
    ("JPA", "João Pessoa", "store", 1, "active", "PB", -7.12, -34.86, 300, 40),
    ("NAT", "Natal Tirol", "store", 2, "active", "RN", -5.79, -35.2, 300, 40),
    ("CAJ", "CD Cajamar", "distribution_centre", 1, "active", "SP", -23.36, -46.88, 200, 20),
    ("MCZ", "Maceió Pajuçara", "store", 1, "paused", "AL", -9.66, -35.71, 300, 40),
]
RATES = [("PE", 1500), ("PB", 900), ("SP", 4500), ("RN", 1700), ("AL", 1800)]
STOCK = {"REDE": {"REC": 1, "CAJ": 4}, "CAMA": {"REC": 2, "JPA": 3, "CAJ": 9}}


@pytest.fixture
async def retailer(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO legal_entity (name, cnpj_root, kind) VALUES ('A', '11222333', 'own'), ('B', '44555666', 'franchise')"
        )
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) VALUES"
            " (1, 'E1', 'A', '11222333000181', 'SP'), (2, 'E2', 'B', '44555666000199', 'RN')"
        )
        for place in PLACES:
            await tx.execute(
                "INSERT INTO location (code, name, kind, establishment_id, status, state, latitude, longitude,"
                " handling_cost, line_cost, can_pickup) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, true)",
                place,
            )
        await tx.execute(
            "INSERT INTO channel (code, name, kind, establishment_id, payment_policy) VALUES ('site', 'Site', 'web', 1, 'settled_by_channel')"
        )
        await tx.execute("INSERT INTO service (code, name, carrier) VALUES ('exp', 'Jadlog expresso', 'Jadlog')")
        for state, price in RATES:
            await tx.execute(
                "INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days) VALUES (1, %s, 'PB', 30000, %s, 2)",
                (state, price),
            )
        await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'P')")
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name, weight_grams) VALUES"
            " (1, 'REDE', 'Rede Jaguaribe', 900), (1, 'CAMA', 'Jogo de cama', 1200)"
        )
        for sku, by_place in STOCK.items():
            for place, units in by_place.items():
                await tx.execute(
                    "INSERT INTO balance (sku_id, location_id, on_hand) SELECT v.id, l.id, %s FROM variant v, location l"
                    " WHERE v.sku = %s AND l.code = %s",
                    (units, sku, place),
                )
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path)


async def placed(shop: Shop, *lines: tuple[str, int]) -> UUID:
    order = {
        "channel": "site",
        "external_id": str(new_id()),
        "lines": [{"sku": sku, "quantity": quantity, "unit_price": 1000} for sku, quantity in lines],
        "ship_to": {"postal_code": "58038000", "city": "João Pessoa", "state": "PB", "street": "Rua A"},
    }
    answer = await shop.http.post("/v1/orders", json=order, headers=await shop.key({"intake:submit"}))
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def explained(shop: Shop, order_id: UUID, **headers: str) -> dict[str, Any]:
    key = await shop.key({"orders:read"})
    answer = await shop.http.get(f"/v1/orders/{order_id}/routing", headers={**key, **headers})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_order_tells_its_alternatives_with_their_costs_and_why_others_were_refused(retailer: Shop) -> None:
    order_id = await placed(retailer, ("REDE", 1), ("CAMA", 1))
    told = await explained(retailer, order_id)
    assert told["headline"] == "Recife Boa Viagem costs R$12.00 less than the next."
    assert told["sentences"] == ["It has all 2 lines.", "Freight makes R$9.00 of the difference."]
    assert [
        (a["rank"], [x["code"] for x in a["locations"]], a["cost"], a["difference"], a["packages"])
        for a in told["alternatives"]
    ] == [
        (1, ["REC"], 1880, 0, 1),
        (2, ["REC", "JPA"], 3080, 1200, 2),
        (3, ["CAJ"], 4740, 2860, 1),
    ]
    first, second, _ = told["alternatives"]
    assert (first["freight"], first["handling"], first["picking"]) == (1500, 300, 80)
    assert first["parcels"][0]["service"] == "Jadlog expresso"
    assert first["locations"][0]["distance_km"] in range(100, 125)
    assert second["lacks"] == {
        "JPA": [{"line": 1, "sku": "REDE", "reason": "stock", "says": "It has none of Rede Jaguaribe.", "why": None}]
    }
    assert {(r["location"]["code"], r["reason"]) for r in told["rejected"]} == {("NAT", "issuer"), ("MCZ", "paused")}
    assert (told["considered"], told["possible"], told["runner_up"], told["to_city"]) == (5, 3, 1200, "João Pessoa")
    translated = await explained(retailer, order_id, **{"accept-language": "pt-BR"})
    assert translated["headline"] == "Recife Boa Viagem custa R$\xa012,00 menos que o segundo."
    assert {r["says"] for r in translated["rejected"]} == {
        "Está pausado.",
        "O estoque é de uma empresa pela qual o canal site não pode vender.",
    }


async def test_what_found_no_place_is_told(retailer: Shop) -> None:
    told = await explained(retailer, await placed(retailer, ("REDE", 9)))
    assert told["sentences"][-1] == "4 units found no location."
    assert told["lines"][0]["unplaced"] == 4
    assert not told["exact"]
    assert {r["location"]["code"]: r["says"] for r in told["rejected"]}["JPA"] == "It has none of Rede Jaguaribe."


async def test_later_decisions_are_told_too_and_do_not_ask_again_who_gave_a_line_back(retailer: Shop) -> None:
    order_id = await placed(retailer, ("REDE", 1))
    async with retailer.database.transaction() as tx:
        given_back = [Exclusion(order_id, 1, 1, "damaged")]
        await service.exclude(tx, given_back)
        await service.exclude(tx, given_back)
        assert await reads.exclusions(tx, order_id) == {1: {1}}
        await service.exclude(tx, [msgspec.structs.replace(given_back[0], reason="display_item")])
        network = compile_network(await networks.snapshot(tx))
        request = Request(
            order_id=order_id, channel_id=1, to_state="PB", lines=[RequestLine(1, 1, 1, 900)],
            excluded=await reads.exclusions(tx, order_id),
        )  # fmt: skip
        free = {1: [STOCK["REDE"].get(PLACES[id_ - 1][0], 0) for id_ in network.location_ids]}
        assert await service.next_attempt(tx, order_id) == 2
        await service.record_decisions(tx, [service.Decision(str(order_id), 2, plan(request, network, free))])
        with i18n.speaking("pt-BR"):
            first = await reads.explanation(tx, order_id, 1)
            last = await reads.explanation(tx, order_id)
    assert first is not None
    assert last is not None
    assert (first.attempt, last.attempt, last.attempts) == (1, 2, 2)
    assert [told.alternatives[0].locations[0].code for told in (first, last)] == ["REC", "CAJ"]
    (gave_back,) = (r for r in last.rejected if r.location.code == "REC")
    assert (gave_back.reason, gave_back.says) == ("excluded", "Já devolveu Rede Jaguaribe.")
    assert gave_back.lacks[0].why == "display_item"
    key = await retailer.key({"orders:read"})
    missing = await retailer.http.get(f"/v1/orders/{order_id}/routing?attempt=3", headers=key)
    assert missing.status_code == 404
    assert (await retailer.http.get(f"/v1/orders/{order_id}/routing?attempt=0", headers=key)).status_code == 422


async def test_a_store_sees_why_for_orders_that_have_units_with_it_only(retailer: Shop) -> None:
    order_id = await placed(retailer, ("REDE", 1))
    for code, status in (("REC", 200), ("JPA", 404)):
        session = await retailer.session(Role.STORE_LEAD, email=f"{code}@loja.test", locations=[code])
        answer = await retailer.http.get(f"/v1/orders/{order_id}/routing", headers=session)
        assert answer.status_code == status, code
