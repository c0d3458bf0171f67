"""While the database is away, whoever sends a request or looks at a page hears so, each in their way."""

import asyncio
from typing import Any

from away import absence

PATIENCE_S = 60.0
BROWSER = {"accept": "text/html", "accept-language": "pt-BR"}
ORDER = {
    "channel": "site",
    "external_id": "A-1",
    "customer": {"name": "Ana"},
    "lines": [{"sku": "CAMA", "quantity": 1, "unit_price": 100}],
}


def hurried(shop: Any) -> None:
    """Have its pools wait a moment for the database, and otherwise for ever."""
    for db in (shop.app.state.services.database, shop.app.state.services.extra["gate"]._db):
        assert db.pool.away_s is not None, "somebody waits for its answers"
        db.pool.away_s, db.pool.timeout = 0.1, 600.0


async def test_programs_and_people_hear_within_moments_and_pages_try_again_by_themselves(shop: Any) -> None:
    key = await shop.key({"intake:submit", "orders:read"})
    person = await shop.session()
    hurried(shop)
    assert (await shop.http.get("/v1/orders", headers=key)).status_code == 200  # the key is known from now on
    with absence(shop.database) as gone:
        gone.begin()
        async with asyncio.timeout(PATIENCE_S):
            listed = await shop.http.get("/v1/orders", headers=key)
            placed = await shop.http.post("/v1/orders", json=ORDER, headers=key)
            page = await shop.http.get("/orders", headers={**person, **BROWSER})
            sent = await shop.http.post("/drop-ships/1/refuse", data={"reason": "x"}, headers={**person, **BROWSER})
            part = await shop.http.get("/orders", headers={**person, **BROWSER, "hx-request": "true"})
            shopper = await shop.http.get("/track", headers=BROWSER)
            ready = await shop.http.get("/readyz")
            assert (await shop.http.get("/healthz")).status_code == 200
    for answer in (listed, placed):
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) > 0
    assert (page.status_code, page.headers["refresh"], page.headers["retry-after"]) == (503, "5", "5")
    assert "O banco de dados não responde neste momento." in page.text
    assert "Esta página tenta de novo sozinha." in page.text
    assert (sent.status_code, "refresh" in sent.headers) == (503, False)
    assert (part.status_code, "refresh" in part.headers) == (503, False)
    assert (shopper.status_code, shopper.headers["refresh"]) == (503, "5")
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"database": "away", "migrations": "unknown"}


async def test_the_gate_gives_a_batch_back_at_once_and_takes_orders_when_the_database_is_back(shop: Any) -> None:
    key = await shop.key({"intake:submit"})
    hurried(shop)
    gate = shop.app.state.services.extra["gate"]
    with absence(shop.database) as gone:
        gone.begin()
        async with asyncio.timeout(PATIENCE_S):
            told = await asyncio.gather(
                *(shop.http.post("/v1/orders", json={**ORDER, "external_id": f"A-{n}"}, headers=key) for n in range(20))
            )
            assert {answer.status_code for answer in told} == {503}
            assert gate.waiting == 0
            gone.end()
            status = 503
            while status == 503:
                answer = await shop.http.post("/v1/orders", json=ORDER, headers=key)
                status = answer.status_code
                await asyncio.sleep(0.01)
        assert answer.json()["code"] == "no_active_channel"  # this shop has none: it was asked, and answered
