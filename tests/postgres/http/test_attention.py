"""Events that could not be handled are seen and replayed over the API."""

from tests_http import Shop

from malha.identity.model import Role
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.outbox import Event
from malha.platform.parking import retry_due
from malha.platform.subscribers import Recorded, Subscription, drain


class Painted(Event, frozen=True, kw_only=True):
    TYPE = "wall.painted"
    KIND = "wall"


async def test_a_parked_event_is_listed_with_its_cause_and_replayed(shop: Shop) -> None:
    broken = True

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        if broken:
            raise ValueError("no paint left")

    subscription = Subscription(name="painters", handler=handler)
    async with shop.database.transaction() as tx:
        await outbox.add(tx, Painted(id="a", seq=1), Painted(id="a", seq=2))
    await drain(shop.database, [subscription], strict=False)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE parked_key SET state = 'parked', retry_at = NULL")

    owner = await shop.session()
    listed = await shop.http.get("/v1/attention", headers=owner)
    assert listed.status_code == 200
    (item,) = listed.json()["items"]
    assert (item["subscriber"], item["key"], item["state"], item["cause"]) == (
        "painters",
        "wall:a",
        "parked",
        "ValueError",
    )
    assert (item["error"], item["waiting"]) == ("no paint left", 2)

    broken = False
    asked = await shop.http.post("/v1/attention/painters/wall:a/replay", headers=owner)
    assert asked.status_code == 204
    assert await retry_due(shop.database, [subscription]) == 1
    assert (await shop.http.get("/v1/attention", headers=owner)).json()["items"] == []
    async with shop.database.transaction() as tx:
        assert await tx.values("SELECT entity_id FROM audit WHERE action = 'replay'") == ["painters/wall:a"]


async def test_only_who_manages_settings_may_replay(shop: Shop) -> None:
    auditor = await shop.session(Role.AUDITOR)
    assert (await shop.http.get("/v1/attention", headers=auditor)).status_code == 200
    refused = await shop.http.post("/v1/attention/painters/wall:a/replay", headers=auditor)
    assert refused.status_code == 403
    owner = await shop.session()
    assert (await shop.http.post("/v1/attention/painters/wall:a/replay", headers=owner)).status_code == 404
