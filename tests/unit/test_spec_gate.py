"""The spec gate refuses what a document does not have, takes what it has, and proves that it can do both."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from tests.unit.test_generic_conformance import ShopRig

from malha.channels.connectors.generic import Generic
from malha.testing.connectors import ConnectorContract, context
from malha.testing.specs import Control, Exchange, GraphQl, OpenApi, SpecGate, replace_answer, replace_body, waivers_of
from peer_shop import peer_shop

HERE = Path(__file__).parent
ITEM = {"sku": "A", "code": "A", "quantity": 1, "version": 1, "changed_at": "2026-11-27T12:00:00Z"}
STOCK = Exchange(
    method="POST",
    url="http://127.0.0.1:1/stock",
    body=json.dumps({"items": [ITEM]}).encode(),
    status=200,
    answer=b'{"results": [{"status": "ok"}]}',
)
REFUND = Exchange(
    method="POST",
    url="http://127.0.0.1:1/refunds",
    headers={"idempotency-key": "k"},
    body=b'{"order": "1", "payment": "p1", "amount": 5, "currency": "BRL"}',
    status=200,
    answer=b'{"id": "r1"}',
)
PAGE = Exchange(
    method="GET", url="http://127.0.0.1:1/orders?limit=3", status=200, answer=b'{"orders": [], "cursor": ""}'
)
CONTROLS = [
    Control("a quantity below nothing", STOCK, lambda e: replace_body(e, items=[{**ITEM, "quantity": -1}])),
    Control("a misspelt field", REFUND, lambda e: replace_body(e, ammount=5)),
    Control("no amount", REFUND, lambda e: replace_body(e, amount=None)),
    Control("an amount of nothing", REFUND, lambda e: replace_body(e, amount=0)),
    Control("no key", REFUND, lambda e: msgspec.structs.replace(e, headers={})),
    Control("a field deep in a list", STOCK, lambda e: replace_body(e, items=[{**ITEM, "colour": "red"}])),
    Control("an answer without results", STOCK, lambda e: replace_answer(e, results=None)),
    Control("an answer with a strange status", STOCK, lambda e: replace_answer(e, results=[{"status": "well"}])),
    Control("a page too large", PAGE, lambda e: msgspec.structs.replace(e, url=e.url + "00000")),
    Control("a question nobody knows", PAGE, lambda e: msgspec.structs.replace(e, url=e.url + "&colour=red")),
    Control("another page", PAGE, lambda e: msgspec.structs.replace(e, url=e.url.replace("orders", "sales"))),
    Control("another method", STOCK, lambda e: msgspec.structs.replace(e, method="PUT")),
]


def document() -> OpenApi:
    return OpenApi(json.loads((HERE / "generic.openapi.json").read_text()))


class TestGenericBySpecification(ConnectorContract):
    """The whole kit again, every request and every answer held against the protocol's document."""

    connector = Generic()
    spec: ClassVar[SpecGate] = SpecGate(document(), CONTROLS, HERE / "generic.waivers.toml")

    @pytest.fixture
    async def rig(self) -> AsyncIterator[ShopRig]:
        async with peer_shop() as peer:
            yield ShopRig(peer)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_each_control_is_taken_when_right_and_refused_when_spoilt(control: Control) -> None:
    gate = SpecGate(document(), CONTROLS)
    assert gate.check(control.good) == []
    assert len(gate.check(control.spoil(control.good))) == 1


def test_a_gate_with_too_few_or_useless_controls_proves_nothing() -> None:
    assert SpecGate(document(), CONTROLS).prove() == []
    assert "at least 3" in SpecGate(document(), CONTROLS[:2]).prove()[0]
    assert "at least 3" in SpecGate(document(), CONTROLS[:1] * 3).prove()[0], "one control three times is one"
    useless = [*CONTROLS[:3], Control("nothing spoilt", STOCK, lambda e: e)]
    assert SpecGate(document(), useless).prove() == ["nothing spoilt: what is spoilt is taken"]
    wrong = [*CONTROLS[:3], Control("wrong", CONTROLS[1].spoil(REFUND), lambda e: e)]
    assert SpecGate(document(), wrong).prove()[0].startswith("wrong: what is right is refused: POST /refunds")


async def test_a_connector_that_sends_what_the_document_does_not_have_fails_the_kit() -> None:
    class Misspelling(Generic):
        async def set_stock(self, ctx: Any, items: Any) -> Any:
            told = [{"code": item.code, "qty": item.quantity} for item in items]
            return await self._batch(ctx, "/stock", told, "set_stock")

    gate = SpecGate(document(), CONTROLS)
    async with peer_shop() as peer:
        ctx = context(Misspelling(), ShopRig(peer), gate)
        with pytest.raises(AssertionError, match="the specification has it otherwise"):
            await Misspelling().set_stock(ctx, [msgspec.convert(ITEM, _Item)])


class _Item(msgspec.Struct):
    code: str
    quantity: int


def test_a_waiver_covers_one_flaw_of_one_operation_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    said = 'operation = "POST /refunds"\nflaw = "body/amount"\nreason = '
    file.write_text(f"[[waiver]]\n{said}'zero is taken since 2.1 of the product'")
    gate = SpecGate(document(), CONTROLS, file)
    assert len(gate.unused) == 1
    assert gate.check(replace_body(REFUND, amount=0)) == []
    assert gate.unused == []
    assert len(gate.check(replace_body(REFUND, order=None))) == 1
    assert "no amount: what is spoilt is taken" not in gate.prove()
    assert "an amount of nothing: what is spoilt is taken" in gate.prove(), "a waiver may not blind a control"
    for bad in (f"{said}''", f"{said}'because'", said.replace("body/amount", "") + "'a reason that is long enough'"):
        file.write_text("[[waiver]]\n" + bad)
        with pytest.raises(ValueError, match="say w"):
            waivers_of(file)


def test_swagger_2_is_read_too() -> None:
    spec = OpenApi(
        {
            "swagger": "2.0",
            "paths": {
                "/items/{id}": {
                    "put": {
                        "parameters": [
                            {"name": "id", "in": "path", "required": True, "type": "integer"},
                            {"name": "item", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Item"}},
                        ],
                        "responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/Item"}}},
                    }
                }
            },
            "definitions": {
                "Item": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "x-nullable": True},
                        "owner": {"$ref": "#/definitions/Item"},
                    },
                }
            },
        },
        prefix="/V1",
    )
    good = Exchange(
        method="PUT", url="https://x/V1/items/7", body=b'{"name": null}', status=200, answer=b'{"name": "a"}'
    )
    assert spec.flaws_of(good) == []
    for spoilt, says in (
        (msgspec.structs.replace(good, url="https://x/V1/items/seven"), "path/id"),
        (msgspec.structs.replace(good, body=None), "body: it is required"),
        (replace_body(good, owner={"name": 5}), "body/owner/name"),
        (replace_answer(good, name=5), "answer/name"),
        (msgspec.structs.replace(good, status=201), "status/201"),
    ):
        (flaw,) = spec.flaws_of(spoilt)
        assert flaw.says.startswith(says)


SDL = """
type Query { order(id: ID!): Order node: Node }
type Mutation { ship(input: ShipInput!): ShipResult! }
interface Node { id: ID! }
enum State { OPEN SHIPPED }
type Order implements Node { id: ID! state: State! total: Int! lines: [Line!]! note: String }
type Line { sku: String! quantity: Int! }
input ShipInput { order: ID! units: Int! code: String }
type Shipped { id: ID! }
type Refused { message: String! }
union ShipResult = Shipped | Refused
"""
ORDER = "query ($id: ID!) { order(id: $id) { id state total lines { sku quantity } note } }"
SHIP = """mutation ($input: ShipInput!) {
  ship(input: $input) { __typename ... on Shipped { id } ... on Refused { message } } }"""


def graph(query: str, variables: Any, data: Any) -> Exchange:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return Exchange(
        method="POST", url="https://x/graphql", body=body, status=200, answer=json.dumps({"data": data}).encode()
    )


FOUND = {"id": "1", "state": "OPEN", "total": 5, "lines": [{"sku": "A", "quantity": 1}], "note": None}


@pytest.mark.parametrize(
    ("query", "variables", "data", "says"),
    [
        (ORDER, {"id": "1"}, {"order": FOUND}, ""),
        (ORDER, {"id": "1"}, {"order": None}, ""),
        (SHIP, {"input": {"order": "1", "units": 2}}, {"ship": {"__typename": "Shipped", "id": "s"}}, ""),
        (SHIP, {"input": {"order": "1", "units": 2}}, {"ship": {"__typename": "Refused", "message": "no"}}, ""),
        (ORDER.replace("note", "colour"), {"id": "1"}, {"order": FOUND}, "query: Cannot query field 'colour'"),
        (ORDER, {}, {"order": FOUND}, "variables: "),
        (ORDER, {"id": "1", "more": 1}, {"order": FOUND}, "variables/more: nobody asks"),
        (
            SHIP,
            {"input": {"order": "1", "units": 2, "unit": 2}},
            {"ship": {"__typename": "Shipped", "id": "s"}},
            "variables: ",
        ),
        (SHIP, {"input": {"order": "1", "units": "2"}}, {"ship": {"__typename": "Shipped", "id": "s"}}, "variables: "),
        (SHIP, {"input": {"order": "1", "units": 2}}, {"ship": {"__typename": "Lost"}}, "answer/ship/__typename"),
        (
            SHIP,
            {"input": {"order": "1", "units": 2}},
            {"ship": {"__typename": "Shipped"}},
            "answer/ship/id: it was asked",
        ),
        (ORDER, {"id": "1"}, {"order": {**FOUND, "state": "LEVITATING"}}, "answer/order/state"),
        (ORDER, {"id": "1"}, {"order": {**FOUND, "total": "5"}}, "answer/order/total"),
        (ORDER, {"id": "1"}, {"order": {**FOUND, "total": True}}, "answer/order/total"),
        (ORDER, {"id": "1"}, {"order": {**FOUND, "lines": [None]}}, "answer/order/lines/0: it is null"),
        (ORDER, {"id": "1"}, {"order": {**FOUND, "lines": {}}}, "answer/order/lines: it is no list"),
        ("query {", {}, {}, "query: Syntax Error"),
    ],
)
def test_graphql_is_checked_both_ways(query: str, variables: Any, data: Any, says: str) -> None:
    flaws = [flaw.says for flaw in GraphQl(SDL).flaws_of(graph(query, variables, data))]
    assert len(flaws) == (1 if says else 0), flaws
    assert all(flaw.startswith(says) for flaw in flaws), flaws
