"""A real Tryton for tests, on the PostgreSQL of the tests: a company, two goods with stock, and a window onto its books.

async with tryton_erp(template_url) as erp:
    await erp.sales()          # what was confirmed: (reference, total in centavos, state)
"""

import asyncio
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import psycopg
import pytest
from tests.peers.tryton.template import configuration
from tests.ports import free_port

from malha.platform.embedded import wheel_install
from malha.testing.connectors import Offered

HOME = Path(__file__).parent / "peers" / "tryton" / ".tryton"
READY_S = 120.0
COMPANY_1 = "eyJjb21wYW55IjogMX0="  # {"company": 1}
SINCE_17 = "SET transaction_timeout"  # which older servers do not know


def need_tryton() -> None:
    """Skip where Tryton is not installed; in CI it must be."""
    if not (HOME / "shop.json").exists() and os.environ.get("CI") != "true":
        pytest.skip("Tryton is not installed: make peers")


@contextmanager
def tryton_template(template_url: str) -> Iterator[str]:
    """The name of a database that each Tryton copies."""
    name = f"t_tryton_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(template_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        dump = (HOME / "template.sql").read_text("utf-8").splitlines(keepends=True)
        subprocess.run(
            [wheel_install() / "bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", _at(template_url, name)],
            input="".join(line for line in dump if not line.startswith(SINCE_17)).encode(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        yield name
    finally:
        with psycopg.connect(template_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _at(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def storable(text: str) -> str:
    """Return a text without the signs that Tryton takes in none."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text)


class TrytonErp:
    """A running ERP. `start` and `kill` may be called again and again; its books stay in its database."""

    def __init__(self, template_url: str, database: str) -> None:
        self.database_url = _at(template_url, database)
        self._scratch = Path(mkdtemp(prefix="malha-tryton-"))
        self.port = free_port()
        self._config = self._scratch / "trytond.conf"
        self._config.write_text(
            configuration(_at(template_url, "malha")) + f"[web]\nlisten = {self.allowed}\nhostname = 127.0.0.1\n",
            "utf-8",
        )
        said = msgspec.json.decode((HOME / "shop.json").read_bytes())
        self.key: str = said["key"]
        self.products: dict[str, int] = said["products"]
        self.storage: int = said["storage"]
        self.base_url = f"http://{self.allowed}/{database}"
        self._http = httpx.AsyncClient(timeout=60.0, trust_env=False, headers={"authorization": f"Bearer {self.key}"})
        self._process: asyncio.subprocess.Process | None = None
        self._templates: dict[str, int] = {}
        self._categories: dict[tuple[str, ...], int] = {}
        self._in: dict[int, int | None] = {}  # which category a template is in

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        log = (self._scratch / "log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            HOME / "venv/bin/trytond", "-c", self._config, stdout=log, stderr=log, cwd=self._scratch
        )
        log.close()
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    answer = await self._http.get(f"{self.base_url}/rest/model/company.company?f=id")
                except httpx.TransportError:
                    assert self._process.returncode is None, (self._scratch / "log").read_text("utf-8")[-4_000:]
                    await asyncio.sleep(0.1)
                    continue
                assert answer.status_code == 200, answer.text
                return

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._process = None

    async def close(self) -> None:
        await self.kill()
        await self._http.aclose()
        shutil.rmtree(self._scratch, ignore_errors=True)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Do as a person does at the ERP."""
        headers = {"x-tryton-context": COMPANY_1}
        url = f"{self.base_url}/rest/model/{path}"
        answer = await self._http.request(method, url, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def rows(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Look into its books."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            done = connection.execute(statement, params or None)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []

    def sales(self) -> list[tuple[str, int, str]]:
        """Return its sales by reference without our key: what each comes to in centavos, and its state."""
        found = self.rows(
            """SELECT split_part(s.reference, ' ', 1), sum(l.quantity::numeric * l.unit_price), s.state
               FROM sale_sale s JOIN sale_line l ON l.sale = s.id GROUP BY s.id ORDER BY s.id"""
        )
        return [(reference, int(Decimal(total) * 100), state) for reference, total, state in found]

    def parcels(self) -> list[tuple[str, int, str]]:
        """Return what it shipped: product code, units and state."""
        return self.rows(
            """SELECT p.code, m.quantity::int, s.state FROM stock_shipment_out s
               JOIN stock_move m ON m.shipment = 'stock.shipment.out,' || s.id
               JOIN product_product p ON p.id = m.product
               JOIN stock_location l ON l.id = m.to_location AND l.type = 'customer'
               ORDER BY s.id, p.code"""
        )

    async def add_product(self, code: str, name: str, price: str) -> None:
        """Sell one more product."""
        made = {
            "name": name,
            "type": "goods",
            "salable": True,
            "default_uom": 1,
            "sale_uom": 1,
            "list_price": {"__class__": "Decimal", "decimal": price},
            "products": [["create", [{"suffix_code": code}]]],
        }
        template = await self.ask("POST", "product.template?f=products", made)
        self.products[code] = template["products"][0]

    async def offer(self, product: Offered) -> None:
        """Sell a product with all that it says, or change it to that. Its codes begin with its template's."""
        said: dict[str, Any] = {"name": storable(product.name)}
        category = await self._category(product.category) if product.category else None
        if (template := self._templates.get(product.code)) is not None:
            had = self._in.get(template)
            links = [["remove", [had]]] if had and had != category else []
            links += [["add", [category]]] if category and had != category else []
            await self.ask("PUT", f"product.template/{template}", {**said, "categories": links})
            for variant in product.variants:
                text = {"description": storable(product.description)}
                await self.ask("PUT", f"product.product/{self.products[variant.sku]}", text)
        else:
            variants = [
                {
                    "suffix_code": v.sku.removeprefix(product.code),
                    "description": storable(product.description),
                }
                for v in product.variants
            ]
            made = {
                **said,
                "code": product.code,
                "type": "goods",
                "salable": True,
                "default_uom": 1,
                "sale_uom": 1,
                "list_price": {"__class__": "Decimal", "decimal": "10.00"},
                "categories": [["add", [category]]] if category else [],
                "products": [["create", variants]],
            }
            found = await self.ask("POST", "product.template?f=id&f=products", made)
            template = self._templates[product.code] = found["id"]
            self.products |= {v.sku: id_ for v, id_ in zip(product.variants, found["products"], strict=True)}
        self._in[template] = category

    def forget_offers(self) -> None:
        """Let what is offered from now on be new."""
        self._templates.clear()

    async def _category(self, path: Sequence[str]) -> int:
        """Return the id of a category by the names from the root on, made the first time."""
        key = tuple(path)
        if key not in self._categories:
            parent = {"parent": await self._category(path[:-1])} if len(path) > 1 else {}
            made = await self.ask("POST", "product.category?f=id", {"name": path[-1], **parent})
            self._categories[key] = made["id"]
        return self._categories[key]

    async def rename_category(self, path: Sequence[str], name: str) -> None:
        """Call a category otherwise."""
        await self.ask("PUT", f"product.category/{self._categories.pop(tuple(path))}", {"name": name})

    async def put_stock(self, code: str, units: int) -> None:
        """Count a product."""
        made = {
            "location": self.storage,
            "company": 1,
            "lines": [["create", [{"product": self.products[code], "quantity": units}]]],
        }
        inventory = await self.ask("POST", "stock.inventory?f=id", made)
        await self.ask("POST", f"stock.inventory/{inventory['id']}/confirm", {})


@asynccontextmanager
async def tryton_erp(template_url: str, template: str) -> AsyncIterator[TrytonErp]:
    """An ERP with a database of its own, gone at the end."""
    name = f"t_tryton_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(template_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    erp = TrytonErp(template_url, name)
    try:
        await erp.start()
        yield erp
    finally:
        await erp.close()
        with psycopg.connect(template_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
