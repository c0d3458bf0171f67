"""The recorded self-description of WooCommerce 9.4.1 as a gate: is this request one that it has a route and arguments for?

    index = recorded_index()
    index.flaws("GET", "/wp-json/wc/v3/orders?orderby=modified", b"")     # []

It is read in place from the specs beside the project, which may not be shipped; where it is missing, tests are skipped,
and fail in CI. What the index lacks and WooCommerce takes is in `WAIVED`, each with its reason.
"""

import functools
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.woocommerce_sim import WooSim, woocommerce_sim

SPECS = Path(__file__).parents[2] / "shared" / "specs" / "woocommerce"
ROOT = "/wp-json"

# Route and method: what may be sent besides, as a schema, and why.
WAIVED: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # "Retrieve an order" of the documentation has it, and 9.4 obeys it.
    (r"/wc/v3/orders/(?P<id>[\d]+)", "GET"): {"dp": {"type": "integer"}},
    # The index of 9.4.1 leaves out the lines of a refund; "Order refund - Line items properties" of the documentation
    # has them, and 9.4 takes them off the order (tests/peers/woocommerce/README.md).
    (r"/wc/v3/orders/(?P<order_id>[\d]+)/refunds", "POST"): {
        "line_items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "quantity": {"type": "integer"},
                    "refund_total": {"type": "number"},
                },
            },
        }
    },
}
# The index was recorded where brands were off: 9.4 gave them to some shops, 9.6 to all. Their controller is a subclass of
# that of categories, and a product takes them as it takes tags (`WC_Brands`, tried against 9.4.0 by hand).
BRANDS = "/wc/v3/products/brands"
# Who asks is no argument of a route.
PROOF = frozenset({"oauth_consumer_key", "oauth_nonce", "oauth_signature_method", "oauth_timestamp", "oauth_signature"})
# Of these parts an id says which one is meant, though the index calls it read-only.
NAMED_BY_ID = frozenset({"line_items", "meta_data"})


def need_specs(name: str) -> Path:
    """Return a recorded file; without it the test is skipped, or fails in CI."""
    path = SPECS / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is missing: CI needs the recorded specs")
        pytest.skip("the recorded specs are not here")
    return path


@functools.cache
def _index() -> "Index":
    return Index(json.loads(need_specs("wc-v3-index-9.4.1.json").read_bytes()))


def recorded_index() -> "Index":
    need_specs("wc-v3-index-9.4.1.json")
    return _index()


def examples(name: str) -> list[Any]:
    """Return the JSON answers that a page of the documentation shows."""
    text = need_specs(name).read_text()
    return [json.loads(found) for found in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


class Index:
    """The routes by their patterns."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.routes = [(re.compile(pattern), pattern, route) for pattern, route in said["routes"].items()]

    def arguments(self, method: str, path: str) -> tuple[str, Mapping[str, Any], Mapping[str, str]] | None:
        """Return the pattern of a path, the arguments of a method there, and what the path itself says."""
        like = path.replace(BRANDS, "/wc/v3/products/categories", 1) if path.startswith(BRANDS) else path
        for regex, pattern, route in self.routes:
            found = regex.fullmatch(like)
            if found is None:
                continue
            for endpoint in route["endpoints"]:
                if method in endpoint["methods"]:
                    args = endpoint["args"]
                    more = {"brands": args["tags"]} if pattern == "/wc/v3/products/batch" else {}
                    return pattern, {**args, **more}, found.groupdict()
        return None

    def flaws(self, method: str, target: str, body: bytes) -> list[str]:
        """Return what WooCommerce knows nothing of, or would not take, in a request."""
        parts = urlsplit(target)
        if not parts.path.startswith(ROOT):
            return [f"{parts.path} is not under {ROOT}"]
        found = self.arguments(method, parts.path.removeprefix(ROOT))
        if found is None:
            return [f"no route takes {method} {parts.path}"]
        pattern, args, _named = found
        args = {**args, **WAIVED.get((pattern, method), {})}
        flaws: list[str] = []
        asked = [(name, text) for name, text in parse_qsl(parts.query, keep_blank_values=True) if name not in PROOF]
        for name, text in asked:
            if name not in args:
                flaws.append(f"?{name}: {pattern} has no such argument")
            else:
                flaws += _text_flaws(f"?{name}", text, args[name])
        sent = json.loads(body) if body else {}
        if pattern.endswith("/batch"):
            flaws += _batch_flaws(sent, args)
        else:
            flaws += _body_flaws("", sent, args)
            given = {name for name, _text in asked} | set(sent)
            flaws += [f"{name} is missing" for name, schema in args.items() if _required(schema) and name not in given]
        return flaws


def _required(schema: Mapping[str, Any]) -> bool:
    return schema.get("required") is True


def _batch_flaws(sent: Any, args: Mapping[str, Any]) -> Iterator[str]:
    for verb, items in sent.items():
        if verb not in {"create", "update", "delete"}:
            yield f"a batch knows no {verb}"
        elif len(items) > 100:
            yield f"{verb}: {len(items)} are more than 100"
        elif verb == "delete":
            yield from (f"delete: {item}" for item in items if not isinstance(item, int))
        else:
            for n, item in enumerate(items):
                if (verb == "update") != isinstance(item.get("id"), int):
                    yield f"{verb}[{n}]: id"
                yield from _body_flaws(f"{verb}[{n}].", {k: v for k, v in item.items() if k != "id"}, args)


def _body_flaws(at: str, sent: Mapping[str, Any], args: Mapping[str, Any]) -> Iterator[str]:
    for name, value in sent.items():
        if name not in args:
            yield f"{at}{name}: there is no such argument"
        else:
            yield from flaws_of(f"{at}{name}", value, args[name])


def _text_flaws(at: str, text: str, schema: Mapping[str, Any]) -> list[str]:
    """Judge an argument as it stands in an address: numbers and truth as text, lists with commas."""
    kind = schema.get("type")
    if kind == "integer":
        return flaws_of(at, int(text), schema) if re.fullmatch(r"-?\d+", text) else [f"{at}: {text} is no integer"]
    if kind == "boolean":
        return [] if text in {"true", "false", "1", "0"} else [f"{at}: {text} is neither true nor false"]
    if kind == "array":
        items = schema.get("items", {})
        return [flaw for each in text.split(",") for flaw in _text_flaws(at, each, items)]
    if schema.get("format") == "date-time":
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return [f"{at}: {text} is no time"]
    return flaws_of(at, text, schema)


KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def is_a(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def flaws_of(at: str, value: Any, schema: Mapping[str, Any], *, answered: bool = False) -> list[str]:
    """Judge a value of JSON; with `answered` one that the shop says, where what is read-only may be, too."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_a(value, kind) for kind in kinds):
        return [f"{at}: {json.dumps(value)[:60]} is no {' or '.join(kinds)}"]
    flaws: list[str] = []
    if schema.get("enum") and value not in schema["enum"]:
        flaws.append(f"{at}: {json.dumps(value)[:60]} is none of {', '.join(map(str, schema['enum']))[:120]}")
    if "minimum" in schema and value < schema["minimum"]:
        flaws.append(f"{at}: {value} is less than {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        flaws.append(f"{at}: {value} is more than {schema['maximum']}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for n, each in enumerate(value):
            flaws += flaws_of(f"{at}[{n}]", each, schema["items"], answered=answered)
    if isinstance(value, dict) and schema.get("properties"):
        for name, each in value.items():
            flaws += _property_flaws(f"{at}.{name}", each, schema["properties"].get(name), answered=answered)
    return flaws


def _property_flaws(at: str, value: Any, schema: Mapping[str, Any] | None, *, answered: bool) -> list[str]:
    if schema is None:
        return [] if answered else [f"{at}: there is no such property"]
    if schema.get("readonly") is True and not answered:
        part, _, name = at.rpartition(".")
        named = name == "id" and part.partition("[")[0].rpartition(".")[2] in NAMED_BY_ID
        return [] if named else [f"{at}: it is read-only"]
    return flaws_of(at, value, schema, answered=answered)


def unlike(at: str, said: Any, example: Any) -> list[str]:
    """Return what of an example of the documentation an answer lacks, or says as another type; null fits all."""
    if said is None or example is None:
        return []
    if isinstance(example, dict):
        if not isinstance(said, dict):
            return [f"{at} is no object"]
        return [
            flaw
            for name, each in example.items()
            for flaw in ([f"{at}.{name} is missing"] if name not in said else unlike(f"{at}.{name}", said[name], each))
        ]
    if isinstance(example, list):
        if not isinstance(said, list):
            return [f"{at} is no list"]
        return unlike(f"{at}[0]", said[0], example[0]) if said and example else []
    same = isinstance(said, type(example)) or (is_a(said, "number") and is_a(example, "number"))
    return [] if same else [f"{at}: {json.dumps(said)[:40]} is of another type than {json.dumps(example)[:40]}"]


@asynccontextmanager
async def watched_sim() -> AsyncIterator[WooSim]:
    """Serve a shop for the block, of which nothing may be asked that the recorded index has not."""
    index = recorded_index()
    async with woocommerce_sim() as shop:
        yield shop
    assert {flaw for asked in shop.asked for flaw in index.flaws(*asked)} == set()
