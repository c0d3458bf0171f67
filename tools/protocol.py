"""The reference page of the generic connector's protocol, from the structs that read and write it."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from malha.channels.connectors import generic
from malha.channels.contract import CancelPush, PricePush, ProductPush, RefundPush, ShipmentPush, StockUpdate

READ: tuple[tuple[str, str, str], ...] = (
    ("order", "An order", "What `GET /orders`, `GET /orders/{id}` and the webhook `order.changed` say."),
    (
        "product",
        "A variant",
        "One of `products`. A field that is absent says nothing, an empty one that there is none.",
    ),
    (
        "stock",
        "Stock of yours",
        (
            "One of `items` of `GET /stock`, which Malha compares, or takes your word for. "
            "One whose quantity is no whole number is held and shown until it is one, and holds up no other."
        ),
    ),
    ("summary", "What you count of a day", "The answer of `GET /orders/summary`; `refunds` is money by order."),
    ("result", "What became of an item", "One of `results`; `status` is `ok`, `rejected` or `pending`."),
    ("refusal", "A refusal", "The body of an answer of 400 and above."),
)
WRITTEN: tuple[tuple[str, str, type], ...] = (
    ("Stock", "`POST /stock`: what may be sold now.", StockUpdate),
    ("A price", "`POST /prices`.", PricePush),
    ("A listing", "`POST /listings`: a variant as a whole.", ProductPush),
    ("A parcel that left", "`POST /shipments`.", ShipmentPush),
    ("What will not come", "`POST /cancellations`.", CancelPush),
    ("Money to give back", "`POST /refunds`.", RefundPush),
)


def page(generated: str) -> str:
    """Return docs/reference/channel-protocol.md."""
    doc = (generic.__doc__ or "").split("\n\n")
    lines = [
        "# The protocol of a channel of your own",
        "",
        "What the connector `generic` asks and tells, field by field. How to build it, step by step:",
        f"[A channel of your own](../how-to/connect-your-own-channel.md). {generated}",
        "",
        "Amounts are whole centavos, instants ISO 8601 with an offset, texts UTF-8. Fields that are not named here are",
        "passed over.",
        "",
        "```text",
        *[line.removeprefix("    ") for line in doc[2].splitlines()],
        "```",
        "",
        *" ".join(doc[3].split()).split("\n"),
        "",
        f"`status` of an order is one of {_words(generic.STATES)}, `state` of a payment one of {_words(generic.PAID)},",
        f"of a refund one of {_words(generic.REFUNDED)}. With any other word a person looks.",
        "",
        "## What Malha reads",
    ]
    for key, title, says in READ:
        lines += _tables(title, says, generic.MESSAGES[key])
    lines += ["", "## What Malha writes"]
    for title, says, struct in WRITTEN:
        lines += _tables(title, says, struct)
    return "\n".join(lines) + "\n"


def _words(known: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in known if word != "unknown")


def _tables(title: str, says: str, struct: type) -> Iterator[str]:
    schema = msgspec.json.schema(struct)
    named = schema["$defs"]
    first = schema["$ref"].rpartition("/")[2]
    yield from ("", f"### {title}", "", says)
    for name in [first, *(each for each in named if each != first)]:
        said = named[name]
        if "properties" not in said:
            continue
        if name != first:
            yield from ("", f"`{name.lstrip('_')}`:")
        yield from ("", "| field | type | needed | otherwise |", "|---|---|---|---|")
        for field, of in said["properties"].items():
            needed = field in said.get("required", ())
            usual = "" if needed or "default" not in of else msgspec.json.encode(of["default"]).decode()
            yield f"| `{field}` | {_type(of, named)} | {'yes' if needed else ''} | {f'`{usual}`' if usual else ''} |"


PLAIN = {"integer": "whole number", "boolean": "true or false", "null": "null", "number": "number"}
TEXTS = {"date-time": "instant", "date": "day"}


def _type(of: dict[str, Any], named: dict[str, Any]) -> str:
    if "$ref" in of:
        name = of["$ref"].rpartition("/")[2]
        return _type(named[name], named) if "enum" in named[name] else f"`{name.lstrip('_')}`"
    if "anyOf" in of:
        return " or ".join(_type(each, named) for each in of["anyOf"])
    if "enum" in of:
        return ", ".join(f"`{each}`" for each in of["enum"])
    kind = of.get("type", "")
    inner = of.get({"array": "items", "object": "additionalProperties"}.get(kind, "")) or None
    if isinstance(inner, dict):
        return f"list of {_type(inner, named)}" if kind == "array" else f"{_type(inner, named)} by name"
    return TEXTS.get(of.get("format", ""), "text") if kind == "string" else PLAIN.get(kind, kind or "JSON")
