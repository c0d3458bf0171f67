"""From the commit of a change of stock to its arrival at ten channels, over the generic connector and real HTTP.

Stock changes at a fixed rate; `malha serve` with its worker tells ten connections, each within its own budget, of what
they may sell now. What changed again before a channel's turn is told once. A change counts as told when a quantity that
contains it arrived. `bench.stock_push` measures the same way without connectors: what is more here is HTTP, budgets
and logs of ten connections.
"""

import asyncio
import json
import urllib.request
from collections.abc import Callable
from typing import Any

from malha.bench import stock_push
from malha.bench.channels.shop import shops
from malha.bench.channels.webhooks import SETTINGS, connect
from malha.bench.machine import cpu_seconds
from malha.bench.server import Grounds, Served, own_ground, processes, served
from malha.channels.connectors.generic import RATE
from malha.channels.model import PushDraft, PushKind
from malha.channels.service import put_push
from malha.platform.db import Database
from malha.platform.signing import Keys

Say = Callable[[str], None]

CHANNEL_IDS = "SELECT id FROM channel WHERE code LIKE 'bench-%%' ORDER BY id"
PRICES_TOLD = "SELECT count(*) FROM binding WHERE entity = 'price'"
CALLS = "SELECT coalesce(sum(calls), 0)::bigint FROM connection_pace"


async def _seeded(url: str, ports: list[int]) -> str:
    await stock_push.seed(url, channels=len(ports))
    async with Database(url, "malha", min_size=1, max_size=2) as db:
        for n, port in enumerate(ports, 1):
            await connect(db, base_url=f"http://127.0.0.1:{port}", code=f"bench-{n}", channel=f"bench-{n}")
            async with db.transaction(stock_push.ACTOR) as tx:
                draft = PushDraft(kind=PushKind.CONNECTOR)
                await put_push(tx, f"bench-{n}", draft, 0, Keys(b"b" * 32, None))
    return ""


async def _values(url: str, statement: Any) -> list[Any]:
    async with Database(url, "malha", min_size=1, max_size=1) as db, db.transaction() as tx:
        return await tx.values(statement)


async def _told_prices(url: str) -> bool:
    """Tell whether channels that are new have been told every price, which they are beside all stock."""
    told, channels = await _values(url, PRICES_TOLD), await _values(url, CHANNEL_IDS)
    return bool(told[0] >= len(channels) * stock_push.SKU_COUNT)


def heard(port: int) -> list[tuple[int, str, int]]:
    """Return when a channel was told which quantity of which code."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/bench/stock", timeout=60) as answer:
        return [(at, code, quantity) for at, code, quantity in json.loads(answer.read())]


def _used(shop: Served) -> dict[str, float]:
    """Return the processor time that serving took so far, and the database."""
    return {name: cpu_seconds(pids) for name, pids in asyncio.run(processes(shop)).items()}


def pushes(seconds: float, port: int, say: Say, grounds: Grounds = own_ground) -> dict[str, Any]:
    """Measure; return the delays from commit to arrival, what was coalesced, and how many requests a second it took."""
    with (
        shops(stock_push.CHANNELS) as ports,
        served(port, 1, lambda url: _seeded(url, ports), say, grounds, SETTINGS) as shop,
    ):
        say("Telling every channel everything first")
        stock_push.wait_until_told(shop.url, _told_prices)
        stock_push.wait_until_told(shop.url)
        before = asyncio.run(_values(shop.url, CALLS))[0]
        used = _used(shop)
        say("Changing stock")
        made, rate = asyncio.run(stock_push.change(shop.url, seconds))
        settled = stock_push.wait_until_told(shop.url)
        calls = asyncio.run(_values(shop.url, CALLS))[0] - before
        used = {name: seconds - used[name] for name, seconds in _used(shop).items()}
        ids = asyncio.run(_values(shop.url, CHANNEL_IDS))
        noted = [
            (at, id_, code, units) for id_, port in zip(ids, ports, strict=True) for at, code, units in heard(port)
        ]
    asked = calls / len(ports) / (seconds + settled)
    return stock_push.figures(made, noted, rate) | {
        "push_calls_per_s": round(asked, 1),
        "push_budget_per_s": RATE,
        "push_serve_cpu_s": round(used["serve"], 2),
        "push_database_cpu_s": round(used["database"], 2),
        "push_cpu_ms_per_call": round(1000 * sum(used.values()) / max(calls, 1), 2),
    }
