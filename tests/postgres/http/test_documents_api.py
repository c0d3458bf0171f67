"""A fiscal document as a program tells it: what opens the gate, and what is refused with a sentence that helps."""

from datetime import UTC, datetime, timedelta

from tests_http import Shop

from malha.fulfillment import service
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order


async def packed(shop: Shop) -> tuple[str, str]:
    """Return packed work of goods worth 50.00, and an access key for it."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, price=5_000)])
        [work] = await service.release_order(tx, order_id)
        await service.confirm_pick(tx, work.id)
        await service.pack(tx, work.id)
        return str(work.id), an_access_key(world)


async def test_a_date_needs_its_zone_and_a_total_its_goods_or_a_reason(shop: Shop) -> None:
    work, access_key = await packed(shop)
    erp = await shop.key(["fiscal:record", "orders:read"])

    async def tell(**facts: object) -> tuple[int, str, str]:
        told = {"access_key": access_key, **facts}
        answer = await shop.http.post(f"/v1/fulfillments/{work}/document", json=told, headers=erp)
        if answer.is_success:
            return answer.status_code, "", ""
        [problem] = answer.json()["errors"]
        return answer.status_code, problem["at"], problem["says"]

    now = datetime.now(UTC)
    assert await tell(issued_at=now.replace(tzinfo=None).isoformat()) == (
        422,
        "/issued_at",
        "This needs a time zone, like 2026-11-23T14:05:00-03:00.",
    )
    for end in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-03:00"):
        assert (await tell(issued_at=end))[:2] == (422, "/issued_at")
    status, at, says = await tell(issued_at=(now + timedelta(hours=1)).isoformat())
    assert (status, at) == (422, "/issued_at")
    assert "which is still to come" in says
    status, at, says = await tell(total=1)
    assert (status, at) == (422, "/total")
    assert "R$0.01" in says
    assert "R$50.00" in says
    assert await tell(total=1, issued_at=now.isoformat(), total_reason="Bonificação") == (200, "", "")
    assert (await tell(total=1, issued_at=now.isoformat()))[0] == 200  # the same again, without its reason
