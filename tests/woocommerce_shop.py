"""A real WooCommerce for tests run by hand: WordPress on PHP's own server, with a MariaDB of its own, gone at the end.

PEER_WORDPRESS=…/wordpress.zip PEER_WOOCOMMERCE=…/woocommerce python -m pytest tests/scenarios/test_woocommerce_by_hand.py

How to get the two is told in tests/peers/woocommerce/README.md.
"""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.ports import free_port

from malha.channels.connectors.woocommerce.asking import signed

HOME = Path(__file__).parent / "peers" / "woocommerce"
PHP = ("php", "-d", "sendmail_path=/bin/true", "-d", "display_errors=0", "-d", "memory_limit=512M")
READY_S = 60.0
WEBHOOK_SECRET = "webhook-secret-of-the-shop"
API = "/wp-json/wc/v3"
ORDER_TABLES = (
    "wp_wc_orders", "wp_wc_orders_meta", "wp_wc_order_addresses", "wp_wc_order_operational_data",
    "wp_woocommerce_order_items", "wp_woocommerce_order_itemmeta", "wp_wc_order_stats", "wp_wc_order_product_lookup",
)  # fmt: skip
CONFIG = """<?php
define( 'DB_NAME', 'shop' ); define( 'DB_USER', 'root' ); define( 'DB_PASSWORD', '' );
define( 'DB_HOST', 'localhost:%(socket)s' ); define( 'DB_CHARSET', 'utf8mb4' ); define( 'DB_COLLATE', '' );
foreach ( array( 'AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT',
	'LOGGED_IN_SALT', 'NONCE_SALT' ) as $name ) {
	define( $name, 'of-a-test-only-' . $name );
}
$table_prefix = 'wp_';
// A proxy of the tests has another port: the shop is where it was asked, as its signatures need.
define( 'WP_HOME', 'http://' . $_SERVER['HTTP_HOST'] ); define( 'WP_SITEURL', WP_HOME );
define( 'DISABLE_WP_CRON', true ); define( 'AUTOMATIC_UPDATER_DISABLED', true ); define( 'WP_DEBUG', false );
define( 'WP_HTTP_BLOCK_EXTERNAL', true ); define( 'WP_ACCESSIBLE_HOSTS', '127.0.0.1' );
if ( ! defined( 'ABSPATH' ) ) define( 'ABSPATH', __DIR__ . '/' );
require_once ABSPATH . 'wp-settings.php';
"""


def need_woocommerce() -> tuple[Path, Path]:
    """Return where WordPress and WooCommerce are; skip where nobody said so."""
    where = [os.environ.get(name, "") for name in ("PEER_WORDPRESS", "PEER_WOOCOMMERCE")]
    if not all(where) or not all(shutil.which(each) for each in ("php", "mariadbd", "mariadb")):
        pytest.skip("by hand: tests/peers/woocommerce/README.md")
    return Path(where[0]), Path(where[1])


class WooShop:
    """A running shop, with a window onto its database and its own REST API."""

    webhook_secret = WEBHOOK_SECRET

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, self.hook_port = free_port(), free_port()
        self.key = self.secret = self.version = self.wordpress = ""
        self._processes: list[asyncio.subprocess.Process] = []
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60.0, trust_env=False)

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.allowed}"

    @property
    def _socket(self) -> Path:
        return self.home / "db.sock"

    def sql(self, statement: str) -> list[list[str]]:
        """Do something in the shop's database, past WooCommerce; rows of text."""
        command = ["mariadb", "--no-defaults", "-uroot", f"-S{self._socket}", "-N", "-B", "-e", statement]
        if (self.home / "db" / "shop").exists():
            command.insert(4, "shop")
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    async def start(self, wordpress: Path, woocommerce: Path) -> None:
        site = self.home / "site"
        with zipfile.ZipFile(wordpress) as packed:
            packed.extractall(site)
        if (site / "wordpress").exists():  # as wordpress.org packs it
            site = site / "wordpress"
        shutil.copytree(woocommerce, site / "wp-content" / "plugins" / "woocommerce", dirs_exist_ok=True)
        (site / "wp-content" / "mu-plugins").mkdir(exist_ok=True)
        shutil.copy(HOME / "must-use.php", site / "wp-content" / "mu-plugins" / "shop.php")
        (site / "wp-config.php").write_text(CONFIG % {"socket": self._socket})
        await self._database()
        env = {
            **os.environ, "SHOP_ROOT": str(site), "SHOP_HOST": self.allowed, "SHOP_HOOK_PORT": str(self.hook_port),
            "PHP_CLI_SERVER_WORKERS": "4",
        }  # fmt: skip
        for part in ("install", "shop"):
            done = await asyncio.create_subprocess_exec(
                *PHP, str(HOME / "setup.php"), part, env=env,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            said, wrong = await done.communicate()
            assert done.returncode == 0, wrong.decode()[-2_000:]
        told = json.loads(said[said.rindex(b'{"consumer_key"') :])
        self.key, self.secret = told["consumer_key"], told["consumer_secret"]
        self.version, self.wordpress = told["version"], told["wordpress"]
        serve = ("-d", "opcache.enable_cli=1", "-S", self.allowed, "-t", str(site), str(HOME / "router.php"))
        with (self.home / "php.log").open("w") as log:
            started = await asyncio.create_subprocess_exec(
                *PHP, *serve, env=env, stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(started)
        async with asyncio.timeout(READY_S):
            while not await self._answers():
                await asyncio.sleep(0.1)

    async def _database(self) -> None:
        data = self.home / "db"
        install = ("--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db")
        serve = (
            f"--datadir={data}",
            f"--socket={self._socket}",
            "--skip-networking",
            "--innodb-flush-log-at-trx-commit=2",
        )
        user = ("--user=root",) if os.geteuid() == 0 else ()
        with (self.home / "db.log").open("w") as log:
            made = await asyncio.create_subprocess_exec("mariadb-install-db", *install, stdout=log, stderr=log)
            assert await made.wait() == 0, (self.home / "db.log").read_text()[-2_000:]
            started = await asyncio.create_subprocess_exec(
                "mariadbd", "--no-defaults", *serve, *user, stdout=log, stderr=log
            )
        self._processes.append(started)
        async with asyncio.timeout(READY_S):
            while not self._takes_statements():
                await asyncio.sleep(0.2)
        self.sql("CREATE DATABASE shop CHARACTER SET utf8mb4")

    async def _answers(self) -> bool:
        try:
            await self._http.get("/wp-json/")
        except httpx.TransportError:
            return False
        return True

    def _takes_statements(self) -> bool:
        try:
            self.sql("SELECT 1")
        except subprocess.CalledProcessError:
            return False
        return True

    async def close(self) -> None:
        await self._http.aclose()
        for process in reversed(self._processes):
            if process.returncode is None:
                if process is not self._processes[0]:
                    os.killpg(process.pid, 15)  # the workers, too
                process.terminate()
                await process.wait()

    async def ask(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Ask the shop's REST API as its seller."""
        address = f"{self.url}{API}{path}"
        proof = signed(method, address, params, self.key, self.secret, datetime.now(UTC), os.urandom(16).hex())
        said = await self._http.request(method, address, params={**params, **proof}, json=body)
        assert said.status_code < 400, said.text[:500]
        return said.json()

    async def over_https(self, path: str) -> int:
        """Ask with Basic as if a proxy in front had taken https off; return the status."""
        proto = {"x-forwarded-proto": "https"}
        return (await self._http.get(API + path, auth=(self.key, self.secret), headers=proto)).status_code

    async def work(self) -> None:
        """Do what the shop put off: it sends its webhooks then."""
        said = await self._http.post("/wp-json/shop/v1/queue")
        assert said.status_code == 200, said.text[:500]

    # --- what a seller and shoppers do ---

    async def offer(self, sku: str, price: str = "10.00", stock: int = 5, **more: Any) -> int:
        fields = {
            "name": f"Ware {sku}",
            "sku": sku,
            "regular_price": price,
            "manage_stock": True,
            "stock_quantity": stock,
        }
        return int((await self.ask("POST", "/products", {**fields, **more}))["id"])

    async def vary(self, sku: str, *options: str) -> None:
        attribute = {"name": "Cor", "variation": True, "visible": True, "options": options}
        parent = await self.ask(
            "POST", "/products", {"name": sku, "sku": sku, "type": "variable", "attributes": [attribute]}
        )
        made = [
            {"sku": f"{sku}-{o}", "regular_price": "10.00", "attributes": [{"name": "Cor", "option": o}]}
            for o in options
        ]
        await self.ask("POST", f"/products/{parent['id']}/variations/batch", {"create": made})

    async def buy(self, *wanted: tuple[str, int], method: str = "bacs", paid: bool = True) -> str:
        found = {row["sku"]: row for row in await self.ask("GET", "/products", sku=",".join(sku for sku, _n in wanted))}
        lines = [
            {
                "product_id": found[sku]["parent_id"] or found[sku]["id"],
                "variation_id": found[sku]["id"] if found[sku]["parent_id"] else 0,
                "quantity": n,
            }
            for sku, n in wanted
        ]
        person = {
            "first_name": "Maria", "last_name": "da Silva", "address_1": "Avenida Paulista", "city": "São Paulo",
            "state": "SP", "postcode": "01310-100", "country": "BR", "email": "maria@example.com", "phone": "11912345678",
        }  # fmt: skip
        meta = {"_billing_cpf": "529.982.247-25", "_billing_number": "1000", "_billing_neighborhood": "Bela Vista"}
        made = await self.ask(
            "POST",
            "/orders",
            {
                "payment_method": method, "payment_method_title": method, "set_paid": paid, "billing": person,
                "line_items": lines, "shipping_lines": [{"method_id": "flat_rate", "method_title": "Fixo", "total": "15.00"}],
                "meta_data": [{"key": key, "value": value} for key, value in meta.items()],
            },
        )  # fmt: skip
        return str(made["id"])

    async def product(self, sku: str) -> Any:
        (row,) = await self.ask("GET", "/products", sku=sku)
        return row

    async def order(self, id_: str) -> Any:
        return await self.ask("GET", f"/orders/{id_}")

    async def notes(self, id_: str) -> list[str]:
        return [note["note"] for note in await self.ask("GET", f"/orders/{id_}/notes")]

    async def refunds_of(self, id_: str) -> list[Any]:
        found: list[Any] = await self.ask("GET", f"/orders/{id_}/refunds")
        return found

    async def call(self, topic: str, address: str) -> None:
        """Have the shop call an address when something happens."""
        hook = {"name": topic, "topic": topic, "delivery_url": address, "secret": WEBHOOK_SECRET}
        await self.ask("POST", "/webhooks", hook)

    async def forget_products(self, begin: str) -> None:
        """Delete the products whose SKU begins so."""
        for row in await self.ask("GET", "/products", search_sku=begin, per_page="100"):
            if row["sku"].startswith(begin):
                await self.ask("DELETE", f"/products/{row['id']}", force="true")

    def forget_orders(self) -> None:
        tables = "".join(f"TRUNCATE {table}; " for table in ORDER_TABLES)
        self.sql(f"{tables} DELETE FROM wp_comments; DELETE FROM wp_posts WHERE post_type LIKE 'shop_order%'")

    def settle(self, id_: str, second: int) -> None:
        """Say that an order changed at a second long past."""
        self.sql(f"UPDATE wp_wc_orders SET date_updated_gmt = FROM_UNIXTIME({second}) WHERE id = {int(id_)}")


@asynccontextmanager
async def woocommerce_shop() -> AsyncIterator[WooShop]:
    """A shop in a directory of its own, gone at the end."""
    wordpress, woocommerce = need_woocommerce()
    with tempfile.TemporaryDirectory(prefix="woocommerce-") as home:
        shop = WooShop(Path(home))
        try:
            await shop.start(wordpress, woocommerce)
            yield shop
        finally:
            await shop.close()
