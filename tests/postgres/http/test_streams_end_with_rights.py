"""A page that listens is told nothing more once its session is over or its person may do something else."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from tests_http import Shop

from malha.console import live
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity import service, standing
from malha.identity.model import Role
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

LIFE_S = 12.0
Change = Callable[[Shop, UUID], Awaitable[None]]


async def log_out_everywhere(shop: Shop, who: UUID) -> None:
    async with shop.database.transaction() as tx:
        await service.end_sessions(tx, who)


async def deactivate(shop: Shop, who: UUID) -> None:
    async with shop.database.transaction() as tx:
        await service.set_active(tx, who, active=False)


async def narrow(shop: Shop, who: UUID) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET everywhere = false WHERE id = %(id)s::uuid", {"id": who})


@pytest.fixture
async def listening(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """Who listens, and what they were told until the stream ended; a stream nobody ends lasts `LIFE_S`."""
    for module, name, value in (
        (live, "LIFE_SECONDS", LIFE_S),
        (live, "BEAT_SECONDS", 0.3),
        (standing, "LOOK_AGAIN_S", 0.3),
    ):
        monkeypatch.setattr(module, name, value)
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 50})
    who = await shop.person(Role.MANAGER, email="manager@loja.test")
    async with shop.database.transaction() as tx:
        opened = await service.open_session(tx, who, source="127.0.0.9")
    session = {"cookie": f"malha={opened.token}"}

    async def order() -> UUID:
        async with shop.database.transaction() as tx:
            made = await an_order(tx, world, [Sold(sku, 1, at="DC")])
        await drain(shop.database, SUBSCRIPTIONS)
        return made

    await shop.person(Role.OWNER)
    return shop, who, session, order, sku


@pytest.mark.parametrize("change", [log_out_everywhere, deactivate, narrow])
@pytest.mark.parametrize("path", ["/events/orders", "/events/stock?skus={sku}"])
async def test_a_page_is_told_nothing_once_its_session_is_over_or_its_rights_are_others(
    listening, change: Change, path: str
) -> None:
    shop, who, session, order, sku = listening
    began = time.monotonic()
    stream = asyncio.create_task(shop.http.get(path.format(sku=sku), headers=session))
    await asyncio.sleep(1.0)
    before = await order()
    await asyncio.sleep(1.0)
    assert not stream.done(), "it goes on while nothing changed"
    await change(shop, who)
    await asyncio.sleep(1.0)
    after = await order()
    told = (await stream).text
    assert time.monotonic() - began < LIFE_S - 3, "it ended by itself"
    assert str(before) in told
    assert str(after) not in told
    assert told.rstrip().endswith("data: null")
    assert "event: renew" in told, "the page opens another, and is refused or told by its rights of now"


async def test_listening_makes_no_session_last_longer(listening) -> None:
    shop, _who, session, _order, _sku = listening
    seen = "UPDATE session SET seen_at = now() - interval '5 minutes' RETURNING seen_at"
    stream = asyncio.create_task(shop.http.get("/events/orders", headers=session))
    await asyncio.sleep(0.5)
    async with shop.database.transaction() as tx:
        was = await tx.value(seen)
    await asyncio.sleep(1.5)
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT seen_at FROM session") == was
    stream.cancel()
