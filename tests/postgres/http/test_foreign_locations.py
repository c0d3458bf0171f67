"""Two franchises of one retailer, and a consignor whose goods stand at the site of one of them: whatever one of them
asks, nothing comes back that belongs to another alone.

Every GET route is walked, pages, API, exports and search, with the other's ids, numbers and words in every place where
they fit, by people of every role. What tells one franchise from the other is written all over the data and looked for
in every answer.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import pytest
from test_access import STREAMS, declared
from tests_http import Shop, open_shop

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as work
from malha.identity.model import Role
from malha.ordering import edits, reads
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.testing import builders


class Franchise(NamedTuple):
    """One of three: its location, and words that occur nowhere but in what is its own."""

    code: str
    buyer: str
    email: str
    document: str
    phone: str
    street: str
    external_id: str
    note: str
    sku: str
    stock: int
    cost: int

    def marks(self) -> tuple[str, ...]:
        cpf = self.document
        shown = f"{cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}"
        money = f"{self.cost / 100:,.2f}"
        stock = (self.stock, self.stock + 2)
        numbers = (*map(str, stock), *(f"{n:,}" for n in stock), str(self.cost), money)
        return (
            *self.buyer.split(),
            self.email,
            cpf,
            shown,
            self.phone,
            self.street,
            self.external_id,
            self.note,
            *numbers,
        )


FIRST = Franchise("S1", "Quitéria Uirapuru", "quiteria@um.example", "52998224725", "+5581998877665",
                  "Rua Sabiá-Laranjeira", "EXT-UM-77", "um bilhete confidencial", "SKU-UM", 735170011, 91733007)  # fmt: skip
SECOND = Franchise("S2", "Zenóbio Tamanduateí", "zenobio@dois.example", "11144477735", "+5521987654321",
                   "Alameda Jequitibá-Rosa", "EXT-DOIS-88", "outro bilhete sigiloso", "SKU-DOIS", 846290033, 82644009)  # fmt: skip
CONSIGNOR = Franchise("S1-SP9", "Ubiratã Cachoeirinha", "ubirata@tres.example", "15350946056", "+5531966554433",
                      "Travessa Maçaranduba", "EXT-TRES-99", "mais um bilhete reservado", "SKU-TRES", 619480055,
                      71955027)  # fmt: skip
EVERY = (FIRST, SECOND, CONSIGNOR)


class Known(NamedTuple):
    """What the database calls a franchise's own."""

    order: UUID
    number: int
    fulfillment: UUID
    customer: UUID
    person: UUID


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:
        world = await builders.a_network(tx)
        await builders.an_owner_at(tx, world, "S1", "SP9", root="98765432")
        for own in EVERY:
            await builders.a_product(tx, world, own.sku, stock={own.code: own.stock + 2})
            await tx.execute(
                "UPDATE location SET handling_cost = %(cost)s::int WHERE code = %(code)s::text",
                {"cost": own.cost, "code": own.code},
            )
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path)


async def two_franchises(shop: Shop) -> dict[Franchise, Known]:
    """An order of each, the consignor too, from the gate to the work at its location; nothing of one is at the other's."""
    key = await shop.key({"intake:submit"})
    for own in EVERY:
        order = {
            "channel": "mall",
            "external_id": own.external_id,
            "lines": [{"sku": own.sku, "quantity": 2, "unit_price": 1000}],
            "customer": {"name": own.buyer, "email": own.email, "document": own.document, "phone": own.phone},
            "ship_to": {
                "postal_code": "01310100",
                "street": own.street,
                "number": "1",
                "city": "São Paulo",
                "state": "SP",
            },
            "payments": [{"kind": "prepaid", "amount": 2000, "state": "captured", "reference": own.external_id}],
        }
        answer = await shop.http.post("/v1/orders", json=order, headers=key)
        assert answer.status_code == 201, answer.text
        assert answer.json()["lines"][0].get("location") == own.code, answer.text
        async with shop.database.transaction() as tx:
            await edits.add_note(tx, UUID(answer.json()["id"]), own.note)
    await drain(shop.database, SUBSCRIPTIONS)
    known = {}
    for own in EVERY:
        async with shop.database.transaction() as tx:
            order_id, number, customer = (
                await tx.tuples(
                    "SELECT id, number, customer_id FROM sales_order JOIN order_customer ON order_id = id WHERE external_id = %(x)s::text",
                    {"x": own.external_id},
                )
            )[0]
            await work.release_order(tx, order_id)
            job = await tx.value("SELECT id FROM fulfillment_order WHERE order_id = %(id)s::uuid", {"id": order_id})
        person = await shop.person(Role.STORE_LEAD, email=f"{own.code.lower()}-lead@loja.test", locations=[own.code])
        assert customer is not None
        known[own] = Known(order_id, number, job, customer, person)
    await drain(shop.database, SUBSCRIPTIONS)
    return known


def addresses(path: str, other: Franchise, known: Known) -> list[str]:
    """Every way to fill a route's parameters and its query with what is the other's."""
    choices = {
        "uuid": [str(known.order), str(known.fulfillment), str(known.customer), str(known.person)],
        "int": [str(known.number), "1"],
        "date": ["2026-12-24"],
        "str": [other.code, other.sku, "web"],
        "path": ["css/none.css"],
    }
    slots = re.findall(r"\{\w+:(\w+)\}", path)
    filled = []
    for values in product(*(choices[slot] for slot in slots)):
        rest = iter(values)
        filled.append(re.sub(r"\{\w+:\w+\}", lambda _match, rest=rest: next(rest), path))
    if slots:
        return filled
    narrowed = (
        f"location={other.code}&site={other.code}&from_location={other.code}&sku={other.sku}&entity_id={known.order}"
    )
    questions = (
        "",
        "?view=all",
        "?site=*",
        f"?{narrowed}&view=all&open={known.number}&ids={known.order}&postal_code=01310100",
        f"?q={quote(other.buyer)}&view=all",
        f"?q={quote(other.phone)}&view=all&limit=100",
    )
    return [path + question for question in questions]


# An owner of one franchise holds every permission; whoever leads the store of the other holds the usual ones.
@pytest.mark.parametrize(
    ("own", "other", "role"),
    [
        (FIRST, SECOND, Role.OWNER),
        (SECOND, FIRST, Role.STORE_LEAD),
        (FIRST, CONSIGNOR, Role.OWNER),
        (CONSIGNOR, FIRST, Role.STORE_LEAD),
    ],
    ids=["a franchise", "another franchise", "the site of a consignor", "a consignor at a site"],
)
async def test_no_route_gives_one_franchise_what_is_the_others(
    shop: Shop, own: Franchise, other: Franchise, role: Role
) -> None:
    theirs = (await two_franchises(shop))[other]
    routes = sorted(
        {path for method, path, _permission in declared(shop.app) if method == "GET" and path not in STREAMS}
    )
    found, asked = [], 0
    marks = [*other.marks(), str(theirs.order), str(theirs.fulfillment), str(theirs.customer), str(theirs.person),
             f"{other.code.lower()}-lead@loja.test"]  # fmt: skip
    headers = await shop.session(role, email=f"{own.code.lower()}-walker@loja.test", locations=[own.code])
    for path in routes:
        for address in addresses(path, other, theirs):
            shop.http.cookies.clear()
            answer = await shop.http.get(address, headers=headers)
            asked += 1
            assert answer.status_code < 500, (address, answer.text[:300])
            if answer.status_code >= 400:  # a refusal may say back what was asked for
                continue
            told, question = answer.content.decode("utf-8", "replace"), unquote(address)
            # A page may say the question back; whatever else is the other's came from the database.
            if given := [mark for mark in marks if mark in told and mark not in question]:
                found.append(f"{role} {address}: {given}")
    assert asked > 300
    assert not found, "\n".join(found)


async def test_one_franchise_sees_its_own(shop: Shop) -> None:
    known = await two_franchises(shop)
    headers = await shop.session(Role.OWNER, email="own@loja.test", locations=["S1"])

    async def told(address: str) -> str:
        answer = await shop.http.get(address, headers=headers)
        assert answer.status_code == 200, (address, answer.text)
        return answer.text

    own = known[FIRST]
    assert FIRST.buyer in await told("/orders?view=all")
    assert FIRST.buyer in await told(f"/orders/{own.number}")
    assert FIRST.buyer in await told("/v1/orders")
    assert FIRST.buyer in await told("/v1/customers")
    assert FIRST.buyer in await told("/v1/customers:export")
    assert FIRST.buyer in await told(f"/v1/customers/{own.customer}")
    assert str(FIRST.stock + 2) in await told(f"/v1/stock?sku={FIRST.sku}")
    assert str(FIRST.cost) in await told("/v1/locations")
    assert "s1-lead@loja.test" in await told("/v1/people")
    assert "S1" in await told(f"/v1/orders/{own.order}/routing")


async def test_live_news_name_only_orders_of_ones_own_locations(shop: Shop) -> None:
    known = await two_franchises(shop)
    ids = [own.order for own in known.values()]
    async with shop.database.transaction() as tx:
        first, second = [
            await tx.value("SELECT id FROM location WHERE code = %(c)s::text", {"c": c}) for c in ("S1", "S2")
        ]
        assert await reads.are_at(tx, ids, [first]) == {known[FIRST].order}
        assert await reads.are_at(tx, ids, [second]) == {known[SECOND].order}
        assert await reads.are_at(tx, ids, []) == set()
