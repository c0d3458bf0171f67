"""Every operation of the API, handled roughly: whatever is sent, the answer is an answer and never a fault."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests_http import Shop

from malha.api import reference

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

# These read other formats than JSON; their own tests handle them.
TABLES = re.compile(r":(import|batch)$")
# Releasing a hold that is over, opening days that are open, ending other sessions where there are none, turning on what
# is on: nothing is changed, nothing is written down.
NOTHING_TO_DO = re.compile(
    r"^/v1/holds(/.*/|:)release$|/open-days$|^/v1/sessions/revoke-others$"
    r"|^/v1/promises/(slipping:promise|learned:turn)$|^/v1/stock-prices:turn$"
)
SOME_ID = "01932c4e-7a10-7c3e-9f52-0a4b8d6e2f11"
ODD_PARTS = ["%00", "%F0%9F%98%80", "9" * 40, "..", "a%2Fb", "NaN"]
ODD_TEXTS = ["", "\0", "' OR 1=1 --", "ç😀" * 40, "../../etc/passwd", "%00", "{x}", "-1", "9" * 30, "x" * 5_000]


def examples(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = None if content is None else reference.example(content["schema"], schemas)
            yield method.upper(), path, operation, body


def rougher(body: Any) -> Iterator[Any]:
    """The example itself, then with every kind of value replaced by one nobody expects there."""
    yield body
    for odd in ("\0", "x" * 3_000, 2**63, -1, 10**40, None, [], {"a": {"b": 1}}, True, 1.5):
        yield replaced(body, odd)
    yield [body]
    yield "text"


def replaced(node: Any, odd: Any) -> Any:
    if isinstance(node, dict):
        return {name: replaced(value, odd) for name, value in node.items()}
    if isinstance(node, list):
        return [replaced(value, odd) for value in node]
    same = isinstance(node, type(odd)) or (isinstance(node, int) and isinstance(odd, int))
    return odd if same or odd is None or isinstance(odd, list | dict) else node


def rough_requests(document: dict[str, Any], ids: dict[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for method, path, operation, body in examples(document):
        if TABLES.search(path) or operation["operationId"] in {"delete_session", "change_password"}:
            continue
        address = re.sub(r"\{(\w+)\}", lambda match: ids.get(match.group(1), SOME_ID), path)
        for rough in rougher(body) if body is not None else ():
            yield method, address, {"content": json.dumps(rough)}
        if body is None:
            yield method, address, {}
        for parameter in operation.get("parameters", []):
            if parameter.get("in") == "query":
                yield from ((method, address, {"params": {parameter["name"]: odd}}) for odd in ODD_TEXTS)
        if "{" in path:
            yield from ((method, re.sub(r"\{\w+\}", odd, path), {"content": json.dumps(body)}) for odd in ODD_PARTS)


async def test_no_request_is_answered_with_a_fault(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(tx)
    owner = {**await shop.session(), "if-match": '"1"'}
    ids = {"order_id": str(order_id), "location": "CD01", "sku": "SKU-1", "code": "CD01", "kind": "manual", "line": "1"}
    faults: list[str] = []
    changes: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for method, address, what in rough_requests(reference.document(), ids):
        answer = await shop.http.request(method, address, headers=owner, **what)
        statuses[answer.status_code] += 1
        if method != "GET" and answer.status_code < 300 and not NOTHING_TO_DO.search(address):
            changes[answer.headers["x-request-id"]] = f"{method} {address}"
        told = answer.headers.get("content-type", "")
        if answer.status_code >= 500 or (answer.status_code >= 400 and told != "application/problem+json"):
            faults.append(f"{method} {address} {str(what)[:300]}: {answer.status_code} {answer.text[:300]}")
    async with shop.database.transaction() as tx:
        audited = set(await tx.values("SELECT request_id FROM audit"))
    assert {change for request_id, change in changes.items() if request_id not in audited} == set()
    assert len(changes) > 5
    assert not faults, "\n".join(faults[:20])
    assert (await shop.http.get("/v1/session", headers=owner)).status_code == 200  # signed in to the end
    assert {200, 204, 404, 412, 422} <= set(statuses)
    assert statuses.total() > 1_000
