"""Stories run over HTTP against the whole application on a database of their own, with everything behind it digested."""

import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from malha.app import create_app
from malha.doctor import examine
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity import service as identity
from malha.identity.model import PERMISSIONS, Role
from malha.identity.service import LoggedIn, PersonDraft
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import World, a_network, a_product

PASSWORD = "correct horse battery"


class Story:
    """The retailer over HTTP. `post("/orders/1/cancel", {...})` answers the JSON and demands success."""

    def __init__(self, http: httpx.AsyncClient, database: Database, world: World, secret: str) -> None:
        self.http = http
        self.database = database
        self.world = world
        self.secret = secret

    async def ask(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] = {}) -> httpx.Response:
        given = {"authorization": f"Bearer {self.secret}", "accept-language": "en", **headers}
        return await self.http.request(method, f"/v1{path}", json=body, headers=given)

    async def get(self, path: str) -> Any:
        return self._told(await self.ask("GET", path))

    async def post(self, path: str, body: Any = None) -> Any:
        return self._told(await self.ask("POST", path, body))

    async def put(self, path: str, body: Any) -> Any:
        return self._told(await self.ask("PUT", path, body))

    async def refused(self, path: str, body: Any = None, *, method: str = "POST") -> str:
        """The code of the refusal that this request meets."""
        answer = await self.ask(method, path, body)
        assert answer.status_code >= 400, answer.text
        problem = answer.json()
        assert problem["detail"]
        assert "{" not in problem["detail"] + problem.get("mend", ""), problem
        return str(problem["code"])

    async def person(self, role: str, locations: list[str] | None = None) -> "Person":
        """Somebody of this role who is signed in."""
        draft = PersonDraft(
            name=role.replace("_", " ").title(), email=f"{role}@loja.test", role=Role(role), locations=locations
        )
        async with self.database.transaction() as tx:
            await identity.create_person(tx, draft, password=PASSWORD)
            outcome = await identity.log_in(tx, draft.email, PASSWORD, source="127.0.0.9")
        assert isinstance(outcome, LoggedIn)
        return Person(self, {"cookie": f"malha={outcome.token}", "origin": "http://shop.test"})

    @staticmethod
    def _told(answer: httpx.Response) -> Any:
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def product(self, sku: str, **stock: int) -> int:
        async with self.database.transaction() as tx:
            return await a_product(tx, self.world, sku, stock=stock)

    async def time_passes(self) -> None:
        """The worker does what it does: events, jobs, releases. Afterwards nothing disagrees with anything."""
        await drain(self.database, SUBSCRIPTIONS)
        async with self.database.transaction() as tx:
            waiting = await tx.values(
                "SELECT DISTINCT args->>'order_id' FROM malha_jobs.procrastinate_jobs "
                "WHERE status = 'todo' AND task_name = 'orders.place_waiting'"
            )
            await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'succeeded'")
        for order_id in waiting:
            await order_to_cash.place_waiting.work(self.database, order_id=order_id)
        await order_to_cash.release_due(self.database)
        await drain(self.database, SUBSCRIPTIONS)
        report = await examine(self.database)
        assert report.healthy, [line for f in report.findings for line in (f.headline("en"), *f.lines("en"))]

    async def stock(self, sku_id: int, code: str) -> tuple[int, int]:
        """What is on hand and what is allocated."""
        async with self.database.transaction() as tx:
            rows = await tx.tuples(
                "SELECT on_hand, allocated FROM balance WHERE sku_id = %(sku)s AND location_id = %(at)s",
                {"sku": sku_id, "at": self.world.locations[code]},
            )
        return rows[0]


class Person:
    """Somebody with a browser."""

    def __init__(self, story: Story, headers: dict[str, str]) -> None:
        self.story = story
        self.headers = {**headers, "accept-language": "en"}

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.story.http.request(method, f"/v1{path}", json=body, headers=self.headers)


@pytest.fixture
async def story(database: Database, tmp_path: Path) -> AsyncIterator[Story]:
    async with database.transaction() as tx:
        world = await a_network(tx)
        key = await identity.create_key(tx, name="story", permissions=list(PERMISSIONS))
    async with AsyncExitStack() as stack:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[paths='/(?!v1/)")  # how pages declare their parameters
            app = create_app(Settings(database_url=database.url, data_dir=tmp_path, log_level="error"))
        await stack.enter_async_context(app.lifespan())
        transport = httpx.ASGITransport(app)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://shop.test"))
        yield Story(http, database, world, key.secret)
